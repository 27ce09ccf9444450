//! RSA keys for the JWT bearer flow.
//!
//! A real org holds the X.509 certificate that was uploaded to the app and verifies assertions with its public key
//! (help.salesforce.com, `remoteaccess_oauth_jwt_flow`). Here the public key is registered directly.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::traits::PublicKeyParts;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no RSA private key.
    #[error(
        "not an RSA private key in PEM form (PKCS#8 `BEGIN PRIVATE KEY` or PKCS#1 `BEGIN RSA PRIVATE KEY`)"
    )]
    NotAKey,
    /// Salesforce takes 2048 bits and more.
    #[error("an RSA key of {0} bits: at least 2048 are needed")]
    TooShort(usize),
    /// The key could not be generated or written as PEM.
    #[error("cannot make an RSA key: {0}")]
    Generate(String),
}

/// A private key that a client signs assertions with.
pub struct PrivateKey(rsa::PrivateKey);

impl PrivateKey {
    /// Reads a key from PEM text, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// If the text is no unencrypted RSA private key, or one below 2048 bits.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = rsa::PrivateKey::from_pkcs8_pem(pem)
            .or_else(|_| rsa::PrivateKey::from_pkcs1_pem(pem))
            .map_err(|_| KeyError::NotAKey)?;
        match key.size() * 8 {
            bits if bits < 2048 => Err(KeyError::TooShort(bits)),
            _ => Ok(Self(key)),
        }
    }

    /// The key as PKCS#8 PEM (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn pkcs8_pem(&self) -> Result<String, KeyError> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF).map_err(|e| KeyError::Generate(e.to_string()))?;
        Ok(pem.to_string())
    }

    /// The key as PKCS#1 PEM (`BEGIN RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn pkcs1_pem(&self) -> Result<String, KeyError> {
        let pem = self.0.to_pkcs1_pem(LineEnding::LF).map_err(|e| KeyError::Generate(e.to_string()))?;
        Ok(pem.to_string())
    }

    /// The half of the key that the org registers.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let der = self.0.to_public_key().to_pkcs1_der().map_err(|e| KeyError::Generate(e.to_string()))?;
        Ok(PublicKey(der.as_bytes().to_vec()))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// Makes a new RSA key of 2048 bits; takes around a second.
///
/// # Errors
/// If the host has no randomness to give.
pub fn generate_key() -> Result<PrivateKey, KeyError> {
    rsa::PrivateKey::new(&mut rand::rng(), 2048)
        .map(PrivateKey)
        .map_err(|e| KeyError::Generate(e.to_string()))
}

/// A registered public key (PKCS#1 DER).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Whether `signature` is this key's RS256 signature of `message` (RFC 7518 section 3.3).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_both_pem_forms() {
        let key = generate_key().unwrap();
        let public = key.public_key().unwrap();
        for pem in [key.pkcs8_pem().unwrap(), key.pkcs1_pem().unwrap()] {
            assert_eq!(PrivateKey::from_pem(&pem).unwrap().public_key().unwrap(), public);
        }
        assert!(key.pkcs8_pem().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(key.pkcs1_pem().unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_by_name() {
        let problem = PrivateKey::from_pem("hello").unwrap_err().to_string();
        assert!(problem.contains("not an RSA private key"), "{problem}");
    }

    #[test]
    fn a_private_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", generate_key().unwrap()), "PrivateKey(..)");
    }
}
