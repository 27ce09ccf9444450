//! Salesforce record ids.
//!
//! An id has 15 case-sensitive characters; the 18-character form adds three that encode which of them are upper case, so
//! that it survives systems that ignore case. REST answers carry 18 characters; EventLogFile columns such as `USER_ID`
//! carry 15 and their `*_DERIVED` siblings 18 (object reference, EventLogFile supported event types).

use crate::prng::mix;

const BASE62: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How many ids [`Ids::nth`] tells apart: six characters of 62.
const SPACE: u64 = 62_u64.pow(6);

/// The ids of one kind of record in one org, in an order that looks random and never repeats.
pub(crate) struct Ids {
    stem: String,
    step: u64,
    start: u64,
}

impl Ids {
    /// Ids that begin with the three characters of `prefix` (the key prefix of the object).
    pub(crate) fn new(prefix: &str, seed: u64) -> Self {
        let seed = prefix.bytes().fold(seed, |seed, byte| mix(seed ^ u64::from(byte)));
        let mut step = (mix(seed ^ 0x51) % SPACE) | 1;
        while step.is_multiple_of(31) {
            step += 2; // 62 = 2 * 31: a step that shares no factor with it visits every id before it repeats one
        }
        Self { stem: format!("{prefix}5j0000"), step, start: mix(seed ^ 0x52) % SPACE }
    }

    /// The 15-character id number `n`, for `n` below 56 billion.
    pub(crate) fn nth(&self, n: u64) -> String {
        let at = u128::from(n) * u128::from(self.step) + u128::from(self.start);
        let mut rest = (at % u128::from(SPACE)) as u64;
        let mut id = self.stem.clone();
        let mut tail = [0; 6];
        for digit in tail.iter_mut().rev() {
            *digit = BASE62[(rest % 62) as usize];
            rest /= 62;
        }
        id.extend(tail.map(char::from));
        debug_assert_eq!(id.len(), 15, "three of prefix, six of stem, six of number");
        id
    }

    /// The same id in its 18-character form.
    pub(crate) fn nth_18(&self, n: u64) -> String {
        let id = self.nth(n);
        let suffix = case_suffix(&id);
        id + &suffix
    }
}

/// The three characters that make an 18-character id out of one of 15.
pub(crate) fn case_suffix(id15: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let upper_bits = |five: &[u8]| {
        five.iter()
            .enumerate()
            .filter(|(_, c)| c.is_ascii_uppercase())
            .map(|(bit, _)| 1 << bit)
            .sum::<usize>()
    };
    id15.as_bytes().chunks(5).map(|five| char::from(ALPHABET[upper_bits(five)])).collect()
}

/// An id given by a client in its 18-character form, or none where it cannot be an id.
pub(crate) fn canonical(id: &str) -> Option<String> {
    if !id.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    match id.len() {
        15 => Some(format!("{id}{}", case_suffix(id))),
        18 if id.ends_with(&case_suffix(&id[..15])) => Some(id.to_owned()),
        _ => None,
    }
}

/// Writes `n` as exactly `width` characters of 62; injective for `n` below `62^width`.
pub(crate) fn push_base62(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let at = out.len();
    out.resize(at + width, b'A');
    for digit in out[at..].iter_mut().rev() {
        *digit = BASE62[(n % 62) as usize];
        n /= 62;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Ids, canonical, case_suffix};

    #[test]
    fn the_case_suffix_is_the_one_salesforce_computes() {
        // The sample id of the EventLogFile page.
        assert_eq!(case_suffix("0AT5j00002LqQTx"), "GAN");
    }

    #[test]
    fn ids_are_distinct_and_valid() {
        let ids = Ids::new("0AT", 3);
        let seen: HashSet<String> = (0..50_000).map(|n| ids.nth_18(n)).collect();
        assert_eq!(seen.len(), 50_000);
        assert!(seen.iter().all(|id| id.len() == 18 && canonical(id).as_ref() == Some(id)));
    }

    #[test]
    fn an_id_of_15_characters_and_its_18_character_form_are_the_same() {
        assert_eq!(canonical("0AT5j00002LqQTx").as_deref(), Some("0AT5j00002LqQTxGAN"));
        assert_eq!(canonical("0AT5j00002LqQTxAAA"), None);
        assert_eq!(canonical("0AT"), None);
    }
}
