//! Keys that components are signed and checked with: Ed25519 (RFC 8032), in files as OpenSSL writes them (RFC 8410).
//!
//! A signature is 64 bytes over the component as it is, so that `openssl pkeyutl -sign -rawin` makes one and `-verify` checks it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::digest::Digest;

/// The bytes of a signature.
pub const SIGNATURE: usize = 64;
/// How many of them a file may hold.
pub const SIGNATURES: usize = 64;

/// An Ed25519 key that components are signed with (RFC 8032).
///
/// ```
/// use source_host::{Admission, PublicKey};
///
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
/// -----END PUBLIC KEY-----";
/// let mut admission = Admission::default();
/// admission.signed_by = Some(PublicKey::from_pem(pem)?);
/// # Ok::<(), source_host::PublicKeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A text that is no such key.
///
/// ```
/// let error = source_host::PublicKey::from_pem("a password").unwrap_err();
/// assert!(error.to_string().contains("openssl pkey -pubout"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("an Ed25519 public key in PEM form is expected, as `openssl pkey -pubout` writes it")]
pub struct PublicKeyError;

impl PublicKey {
    /// How the 44 bytes of the DER form begin (RFC 8410 section 4).
    const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

    /// Reads one in PEM form, as `openssl pkey -in key.pem -pubout` writes it.
    ///
    /// # Errors
    ///
    /// If it is none, or a key for something else.
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        use rustls::pki_types::SubjectPublicKeyInfoDer;
        use rustls::pki_types::pem::PemObject as _;
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| PublicKeyError)?;
        let key = der.as_ref().strip_prefix(&Self::PREFIX).ok_or(PublicKeyError)?;
        Ok(Self(key.try_into().map_err(|_| PublicKeyError)?))
    }

    /// It in PEM form, as `openssl pkey -pubout` writes it.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// Which key it is: the SHA-256 of its DER form, as `openssl pkey -pubin -outform DER | sha256sum` shows it.
    pub fn id(&self) -> Digest {
        Digest::of(&self.der())
    }

    fn der(&self) -> Vec<u8> {
        [&Self::PREFIX[..], &self.0].concat()
    }

    /// Whether this key made one of these signatures of that content: of 64 bytes each, one behind the other.
    ///
    /// ```
    /// let key = source_host::SigningKey::generate()?;
    /// let signature = key.sign(b"a component");
    /// assert!(key.public().has_signed(b"a component", &signature));
    /// assert!(!key.public().has_signed(b"another", &signature));
    /// let another = source_host::SigningKey::generate()?.sign(b"a component");
    /// assert!(key.public().has_signed(b"a component", &[another, signature].concat()));
    /// # Ok::<(), source_host::SigningKeyError>(())
    /// ```
    pub fn has_signed(&self, content: &[u8], signatures: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        let mut all = signatures.chunks(SIGNATURE).take(SIGNATURES);
        all.any(|signature| key.verify(content, signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The private part of an Ed25519 key. It is not printed, and its text is wiped when it is dropped.
pub struct SigningKey(Ed25519KeyPair);

/// A text that is no such key, or none could be made.
///
/// ```
/// let error = source_host::SigningKey::from_pem("a password").unwrap_err();
/// assert!(error.to_string().contains("openssl genpkey -algorithm ed25519"));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The text is none.
    #[error(
        "an Ed25519 private key in PEM form is expected (PKCS#8, without a passphrase), as `source-host keygen` and `openssl genpkey -algorithm ed25519` write it"
    )]
    Text,
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl SigningKey {
    /// How its DER form begins: PKCS#8 version 1 and the algorithm, then 32 bytes (RFC 8410 section 7). Version 2, which holds the
    /// public key as well, is read by few.
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

    /// Makes one.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers.
    pub fn generate() -> Result<Self, SigningKeyError> {
        Self::generate_pem().map(|(key, _)| key)
    }

    /// Makes one, with its PEM form: what a key that is in use does not give away again.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers.
    pub fn generate_pem() -> Result<(Self, Zeroizing<String>), SigningKeyError> {
        let seed = ring::rand::generate::<[u8; 32]>(&SystemRandom::new());
        let seed = Zeroizing::new(seed.map_err(|_| SigningKeyError::Random)?.expose());
        let der = Zeroizing::new([&Self::PREFIX[..], &*seed].concat());
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| SigningKeyError::Text)?;
        Ok((Self(key), Zeroizing::new(pem("PRIVATE KEY", &der))))
    }

    /// Reads one in PEM form.
    ///
    /// # Errors
    ///
    /// If it is none, or a key for something else, or needs a passphrase.
    pub fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use rustls::pki_types::pem::PemObject as _;
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| SigningKeyError::Text)?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        key.map(Self).map_err(|_| SigningKeyError::Text)
    }

    /// The part that whoever checks signatures needs.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }

    /// The signature of a component: 64 bytes, as they lie beside it in a file whose name ends with `.sig`.
    pub fn sign(&self, content: &[u8]) -> Vec<u8> {
        self.0.sign(content).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public())
    }
}

/// A text as RFC 7468 has it, in lines of 64.
fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (nth, letter) in text.chars().enumerate() {
        if nth > 0 && nth % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}
