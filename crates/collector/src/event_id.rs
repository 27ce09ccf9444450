//! The identity of a file row: a digest of its content.
//!
//! Event log files give their rows no id. REQUEST_ID is shared by all rows of a transaction and may be empty, the place
//! in a file changes when a file is issued again, and the same row comes again in late files. What stays is the content.
//!
//! The recipe, so that others can compute it: BLAKE3 over, for every column with a value that is not empty, in ascending
//! byte order of the column names: the first four bytes of BLAKE3 over the name, the length of the value in bytes as four
//! bytes little-endian, the value. The first 16 bytes of the digest in hexadecimal are the id.
//!
//! - Sorted names and no empty values: a column that is inserted between API versions does not change old ids.
//! - The length: no value can be written so that it looks like the beginning of another column, which would let whoever
//!   controls a User-Agent make two different rows look like one.
//! - Four bytes for a name: written out, the names would be half of what is hashed. Names come from Salesforce alone;
//!   that two of a hundred agree in their four bytes happens once in a million.
//! - Why not SHA-256: BLAKE3 has SIMD code for WASM and SHA-256 has none.
//!
//! Rows that are equal in every column get the same id. There is nothing to tell them apart by.

use crate::buffer::Buffer;

/// Computes ids for the rows of one file.
pub struct EventId {
    /// Index and tag of each column, in ascending order of names. Of columns with the same name, in order of position.
    columns: Vec<(usize, [u8; 4])>,
    content: Buffer,
}

impl EventId {
    /// For rows with these columns.
    pub fn new(columns: &[String]) -> Self {
        let mut columns: Vec<(usize, &String)> = columns.iter().enumerate().collect();
        columns.sort_by_key(|(index, name)| (*name, *index));
        let columns = columns.into_iter().map(|(index, name)| (index, tag(name))).collect();
        Self { columns, content: Buffer::default() }
    }

    /// The id of a row, whose fields `field` gives.
    pub fn of<'a>(&mut self, field: impl Fn(usize) -> &'a [u8]) -> Id {
        self.content.truncate(0);
        for (index, tag) in &self.columns {
            let value = field(*index);
            if !value.is_empty() {
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                self.content.put_array(tag);
                self.content.put_array(&length.to_le_bytes());
                self.content.put(value);
            }
        }
        Id::of(self.content.bytes())
    }
}

/// A name in four bytes.
fn tag(name: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = *blake3::hash(name.as_bytes()).as_bytes();
    [a, b, c, d]
}

/// 128 bits in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id([u8; 32]);

impl Id {
    /// The id of some bytes: a row that cannot be understood is identified by them.
    pub fn of(bytes: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let digest = blake3::hash(bytes);
        let mut id = [0; 32];
        for (pair, byte) in id.chunks_exact_mut(2).zip(digest.as_bytes()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(id)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<V: AsRef<[u8]>>(row: &[(&str, V)]) -> String {
        let columns: Vec<String> = row.iter().map(|(name, _)| (*name).to_owned()).collect();
        EventId::new(&columns).of(|index| row[index].1.as_ref()).as_str().to_owned()
    }

    #[test]
    fn the_id_is_what_the_recipe_says() {
        let tag = |name: &[u8]| blake3::hash(name).as_bytes()[..4].to_vec();
        let content = [&tag(b"A")[..], b"\x01\0\0\0x", &tag(b"B"), b"\x02\0\0\0yz"].concat();
        let expected = blake3::hash(&content).to_hex();
        assert_eq!(id(&[("B", "yz"), ("A", "x")]), expected.as_str()[..32]);
    }

    #[test]
    fn empty_and_moved_columns_do_not_change_it() {
        let expected = id(&[("A", "x"), ("B", "y")]);
        assert_eq!(id(&[("B", "y"), ("A", "x")]), expected);
        assert_eq!(id(&[("A", "x"), ("NEW", ""), ("B", "y")]), expected);
    }

    #[test]
    fn a_value_that_looks_like_the_next_column_changes_it() {
        let looks_like = [b"x", &tag("B")[..], b"\x01\0\0\0y"].concat();
        assert_ne!(id(&[("A", &looks_like[..]), ("B", b"")]), id(&[("A", "x"), ("B", "y")]));
    }

    #[test]
    fn a_value_in_another_column_or_cut_elsewhere_changes_it() {
        let ids = [
            id(&[("A", "x"), ("B", "")]),
            id(&[("A", ""), ("B", "x")]),
            id(&[("A", "x"), ("B", "y")]),
            id(&[("A", "y"), ("B", "x")]),
            id(&[("A", "xy"), ("B", "")]),
        ];
        for (i, one) in ids.iter().enumerate() {
            assert!(ids.iter().skip(i + 1).all(|other| other != one), "{ids:?}");
        }
    }
}
