//! Texts and secrets as people paste them.

use super::{Flaw, SecretFlaw};
use crate::secret::is_blank;

/// One word, such as a consumer key or a user name. What stands around it is not part of it, and is not sent.
pub fn word(text: &str) -> Result<(), Flaw> {
    match text.trim_matches(is_blank) {
        "" => Err(Flaw::new("is empty")),
        word if word.contains(is_blank) => {
            Err(Flaw::with_hint("has a space or a line break in it", "copy it once more, as one word"))
        }
        _ => Ok(()),
    }
}

/// The same of a secret, such as a consumer secret.
pub fn secret_word(text: &str) -> Result<(), SecretFlaw> {
    word(text).map_err(|_| ("has a space or a line break in it", "copy it once more, as one word"))
}

/// A password. A line break behind it is no part of it; a space might be, and nobody could see why the sign-in fails.
pub fn password(text: &str) -> Result<(), SecretFlaw> {
    let text = text.trim_matches(LINE_BREAKS);
    if text.starts_with(is_blank) || text.ends_with(is_blank) {
        return Err((
            "begins or ends with a space",
            "take it out where the password lies; if it belongs to the password, choose another one",
        ));
    }
    if text.contains(char::is_control) {
        return Err(("has a line break or another control character in it", "copy it once more"));
    }
    Ok(())
}

/// Any secret: the code that uses it says what is wrong with it.
pub fn any_secret(_: &str) -> Result<(), SecretFlaw> {
    Ok(())
}

/// What editors and `echo` put around a secret, which is no part of it.
pub const LINE_BREAKS: [char; 3] = ['\r', '\n', '\u{feff}'];
