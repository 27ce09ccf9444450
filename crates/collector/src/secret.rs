//! Text that must not be seen: it cannot be printed or serialised, and is wiped when dropped.

use serde_json::Value;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A secret text: a private key, a passphrase, a password, a token, a signed assertion, the form that carries them.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call of this is a place to look at when a secret is found where it should not be.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a character shows nothing: white space, and what editors and web pages put beside it (byte-order marks, zero-width
/// spaces).
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

/// Overwrites all texts of a document that held secrets.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Overwrites a copy of a secret that had to be made.
pub fn wipe_bytes(bytes: &mut [u8]) {
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself_when_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
    }

    #[test]
    fn a_document_keeps_none_of_its_texts_when_it_is_wiped() {
        let mut document = serde_json::json!({"a": ["hunter2", {"b": "hunter3"}], "c": 5});
        wipe(&mut document);
        assert_eq!(document, serde_json::json!({"a": ["", {"b": ""}], "c": 5}));
    }
}
