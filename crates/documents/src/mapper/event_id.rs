//! The identity of an event.
//!
//! # Rows of files, and records without a key: a digest of the content
//!
//! Event log files give their rows no id. REQUEST_ID is shared by all rows of a transaction and may be empty, the position
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
//!
//! The records of an Event Log Object have no key: their `Id` is one constant. All of their fields identify them, numbers as they
//! stand in JSON, since no few of them are known to: RequestIdentifier is shared by all events of a transaction, and two
//! events that are taken for one are an event that is lost. So the id depends on which fields with a value are asked for, and not
//! on their order, nor on those without a value. Whoever adds one to `fields`, or takes one away, gets other ids for what is
//! collected from then on.
//!
//! A row that cannot be understood, and a record that is no object, is identified by its bytes, without the line break
//! behind it.
//!
//! # Records with a key
//!
//! `EventIdentifier` is a UUID, and is the id. An `Id` is not: a sandbox is copied together with the ids of its records
//! ("Sandboxes: Staging Environments for Customizing and Testing", Salesforce Help). So the id is that of a row with the
//! columns `Id`, `host` (that of the org, with its port if it has one) and `object` (its name), by the same recipe. A new
//! My Domain name makes new ids for what is collected from then on.

use crate::bytes::{
    buffer::Buffer,
    padded::{PADDING, Padded},
    row::Row,
};

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
        columns.sort_unstable_by_key(|(index, name)| (*name, *index));
        let columns = columns.into_iter().map(|(index, name)| (index, tag(name))).collect();
        Self { columns, content: Buffer::default() }
    }

    /// What identifies a row, in bytes.
    pub fn write(&self, row: &impl Row, content: &mut Buffer) {
        for (index, tag) in &self.columns {
            let value = row.padded(*index);
            if !value.is_empty() {
                put(content, tag, value);
            }
        }
    }

    /// The id of a row.
    pub fn of(&mut self, row: &impl Row) -> Id {
        let mut content = std::mem::take(&mut self.content);
        content.truncate(0);
        self.write(row, &mut content);
        let id = Id::of(content.bytes());
        self.content = content;
        id
    }
}

/// Computes ids for records whose key is one in their org alone.
pub struct RecordId {
    host: String,
    object: String,
    content: Buffer,
}

impl RecordId {
    /// For the records of an object in the org at this host.
    pub fn new(host: &str, object: &str) -> Self {
        Self { host: host.to_owned(), object: object.to_owned(), content: Buffer::default() }
    }

    /// The id of the record with this `Id`.
    pub fn of(&mut self, id: &[u8]) -> Id {
        self.content.truncate(0);
        let columns = [("Id", id), ("host", self.host.as_bytes()), ("object", self.object.as_bytes())];
        for (name, value) in columns {
            put(&mut self.content, &tag(name), Padded::exact(value));
        }
        Id::of(self.content.bytes())
    }
}

/// Adds a column with a value to what is digested.
#[inline(always)]
fn put(content: &mut Buffer, tag: &[u8; 4], value: Padded<'_>) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let mut head = [0; 8];
    head[..4].copy_from_slice(tag);
    head[4..].copy_from_slice(&length.to_le_bytes());
    content.put_headed(head, value);
}

/// A name in four bytes.
fn tag(name: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = *blake3::hash(name.as_bytes()).as_bytes();
    [a, b, c, d]
}

/// 128 bits in hexadecimal, with spare bytes behind them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id([u8; PADDING]);

/// Digits of an id.
pub(super) const DIGITS: usize = 32;

impl Id {
    /// The id of some bytes: a row that cannot be understood is identified by them.
    pub fn of(bytes: &[u8]) -> Self {
        Self::new(blake3::hash(bytes).as_bytes())
    }

    /// The id that begins with these bytes.
    pub(super) fn new(digest: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; PADDING];
        for (pair, byte) in id[..DIGITS].chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(id)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0[..DIGITS]).unwrap_or_default()
    }

    pub(super) fn padded(&self) -> Padded<'_> {
        Padded::new(&self.0, DIGITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Values<'a>(Vec<&'a [u8]>);

    impl Row for Values<'_> {
        fn field(&self, index: usize) -> &[u8] {
            self.0[index]
        }
    }

    fn id<V: AsRef<[u8]>>(row: &[(&str, V)]) -> String {
        let columns: Vec<String> = row.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values: Vec<&[u8]> = row.iter().map(|(_, value)| value.as_ref()).collect();
        EventId::new(&columns).of(&Values(values)).as_str().to_owned()
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
    fn the_same_record_id_in_another_org_or_object_is_another_event() {
        let id_of = |host: &str, object: &str, id: &str| {
            RecordId::new(host, object).of(id.as_bytes()).as_str().to_owned()
        };
        let ours = id_of("acme.my.salesforce.com", "SetupAuditTrail", "0Ym5j00000AbCdECAV");
        let row =
            [("Id", "0Ym5j00000AbCdECAV"), ("host", "acme.my.salesforce.com"), ("object", "SetupAuditTrail")];
        assert_eq!(ours, id(&row));
        for (host, object, id) in [
            ("acme--uat.sandbox.my.salesforce.com", "SetupAuditTrail", "0Ym5j00000AbCdECAV"),
            ("acme.my.salesforce.com", "LoginHistory", "0Ym5j00000AbCdECAV"),
            ("acme.my.salesforce.com", "SetupAuditTrail", "0Ym5j00000AbCdECAW"),
        ] {
            assert_ne!(id_of(host, object, id), ours, "{host} {object} {id}");
        }
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
