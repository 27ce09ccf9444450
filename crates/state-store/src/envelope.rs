//! A state in a file, with what is kept beside it.
//!
//! ```text
//! <FF>state<FF>1 <SHA-256 of all that follows this line, in hex>
//! {"tenant":"acme","component":"salesforce","version":"1.4.0","revision":17,...}
//! the state, verbatim
//! ```
//!
//! Hosts of old wrote the state alone. A state is UTF-8, and the byte FF stands in no UTF-8, so neither can be taken for
//! the other, and a host of old that is put back refuses the file rather than feeding a header to the component. There
//! are two such bytes, so that no damage to a single byte turns an envelope into a plain state. `tail -n +3` shows the
//! state.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::limits::LARGEST_STATE;
use crate::rules::{Label, usable};

const MAGIC: &[u8] = b"\xffstate\xff";
const FORMAT: &[u8] = b"1 ";

/// The largest file that is read: names have 256 bytes at most, and JSON makes six of one at most.
pub const LARGEST_FILE: usize = LARGEST_STATE + (16 << 10);

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// The state alone, as hosts of old wrote it.
    Plain(String),
    /// A state with its label.
    Labelled(Label, String),
}

/// The file's bytes.
///
/// # Errors
///
/// If the label cannot be written, which no label made by [`Label::new`] is.
pub fn seal(label: &Label, state: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = serde_json::to_vec(label)?;
    body.push(b'\n');
    body.extend_from_slice(state.as_bytes());
    let mut file = Vec::with_capacity(body.len() + 80);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(FORMAT);
    file.extend_from_slice(checksum(&body).as_bytes());
    file.push(b'\n');
    file.append(&mut body);
    Ok(file)
}

/// What the bytes hold.
///
/// # Errors
///
/// What is wrong with them, to follow "the state X".
pub fn open(mut bytes: Vec<u8>) -> Result<Content, &'static str> {
    const DAMAGED: &str = "is damaged";
    if bytes.len() > LARGEST_FILE {
        return Err("is larger than 1 MiB, so no source wrote it");
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return usable(bytes).map(Content::Plain);
    };
    let Some(rest) = rest.strip_prefix(FORMAT) else {
        return Err("is damaged, or was written by a newer version of this program");
    };
    let (sum, body) = split(rest).ok_or(DAMAGED)?;
    if sum != checksum(body).as_bytes() {
        return Err(DAMAGED);
    }
    let (label, state) = split(body).ok_or(DAMAGED)?;
    let label: Label = serde_json::from_slice(label)
        .map_err(|_| "was written by a newer version of this program, or is damaged")?;
    if label.bytes != state.len() {
        return Err(DAMAGED);
    }
    let state = bytes.split_off(bytes.len() - state.len());
    Ok(Content::Labelled(label, usable(state)?))
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn checksum(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Owner;

    fn sealed(state: &str) -> Vec<u8> {
        let owner = Owner::new("acme", "salesforce", "1.4.0").with_digest("sha256:00");
        seal(&Label::new(&owner, 17, 1_700_000_000_000, state), state).unwrap()
    }

    #[test]
    fn a_state_comes_out_as_it_went_in() {
        let largest = "x".repeat(LARGEST_STATE);
        for state in ["{}", "\n", "a\0b\r\n\n", "ü\u{10ffff}", largest.as_str()] {
            let Content::Labelled(label, out) = open(sealed(state)).unwrap() else {
                panic!("taken for a plain state");
            };
            assert!(out == state && label.revision == 17);
        }
    }

    #[test]
    fn no_text_is_taken_for_an_envelope_and_no_envelope_for_a_text() {
        assert!(String::from_utf8(sealed("{}")).is_err());
        for text in ["state1 ", "\u{ff}state\u{ff}1 ", "{}"] {
            assert!(matches!(open(text.into()), Ok(Content::Plain(out)) if out == text));
        }
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let whole = sealed("{\"cursor\": 17}");
        for i in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[i] ^= 1 << bit;
                assert!(open(damaged).is_err(), "byte {i}, bit {bit}");
            }
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_noticed() {
        let whole = sealed("{\"cursor\": 17}");
        for end in 0..whole.len() {
            assert!(open(whole[..end].to_vec()).is_err(), "{end} bytes");
        }
        assert!(open([&whole[..], b" "].concat()).is_err());
    }
}
