//! The SHA-256 of a component, by which it is known.

use std::fmt;
use std::str::FromStr;

use ring::digest;

/// The SHA-256 of a component, as OCI registries write it: `sha256:` and 64 hexadecimal digits.
///
/// ```
/// use source_host::Digest;
///
/// let looked_at = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// assert_eq!(Digest::of(b"test"), looked_at.parse()?);
/// # Ok::<(), source_host::DigestError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no digest.
///
/// ```
/// let error = "9f86d081".parse::<source_host::Digest>().unwrap_err();
/// assert_eq!(error.to_string(), "a digest is expected: sha256: and 64 hexadecimal digits");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("a digest is expected: sha256: and 64 hexadecimal digits")]
pub struct DigestError;

impl Digest {
    /// That of some bytes.
    ///
    /// ```
    /// let digest = source_host::Digest::of(b"test");
    /// assert!(digest.to_string().starts_with("sha256:9f86d081884c7d65"));
    /// ```
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii());
        let digits = digits.ok_or(DigestError)?;
        let mut digest = [0; 32];
        for (nth, byte) in digest.iter_mut().enumerate() {
            let pair = digits.get(2 * nth..2 * nth + 2).ok_or(DigestError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| DigestError)?;
        }
        // `from_str_radix` takes a sign.
        if digits.contains('+') { Err(DigestError) } else { Ok(Self(digest)) }
    }
}
