//! The RSA key that signs assertions: `RS256`, which is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).

use crate::{
    encrypted_key,
    problem::{Kind, Problem},
    secret::Secret,
};
use rsa::{
    PrivateKey as RsaPrivateKey,
    pkcs1::DecodeRsaPrivateKey,
    pkcs1v15::SigningKey,
    pkcs8::DecodePrivateKey,
    signature::{SignatureEncoding, Signer},
    traits::PublicKeyParts,
};
use sha2::Sha256;
use std::fmt;

/// Below this, Salesforce refuses the certificate (and NIST SP 800-57 the key).
const MIN_BITS: u32 = 2048;
/// Above this, a signature takes seconds in a component.
const MAX_BITS: u32 = 8192;

/// An RSA private key.
pub struct PrivateKey(SigningKey<Sha256>);

impl PrivateKey {
    /// Reads a key from PEM text: PKCS#1, PKCS#8, or encrypted PKCS#8 with its passphrase. Windows line ends, indentation
    /// and the `\n` of environment variables are forgiven, and so is other text around it, such as a certificate.
    pub fn from_pem(text: &Secret, passphrase: Option<&Secret>) -> Result<Self, Problem> {
        let text = Secret::new(text.reveal().replace("\\n", "\n"));
        let (label, block) = block(text.reveal())?;
        let key = match (label, passphrase) {
            ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => {
                RsaPrivateKey::from_pkcs8_der(&encrypted_key::decrypt(block.reveal(), passphrase)?).ok()
            }
            ("ENCRYPTED PRIVATE KEY", None) => {
                return Err(Problem::new(Kind::Config, "the private key is encrypted").hint(
                    "give its passphrase in auth.private_key_passphrase, or decrypt it: openssl pkcs8 -in KEY -out \
                     client-key.pem",
                ));
            }
            ("RSA PRIVATE KEY", _) => RsaPrivateKey::from_pkcs1_pem(block.reveal()).ok(),
            _ => RsaPrivateKey::from_pkcs8_pem(block.reveal()).ok(),
        };
        let Some(key) = key else {
            let problem = Problem::new(Kind::Config, "the private key cannot be read as an RSA key");
            return Err(problem.hint(
                "only RSA keys sign RS256 assertions; if it is one, the file is damaged: openssl rsa -in KEY -check",
            ));
        };
        let bits = key.n().bit_width_vartime();
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            let message = format!("the private key has {bits} bits, and must have {MIN_BITS} to {MAX_BITS}");
            return Err(
                Problem::new(Kind::Config, message).hint("make one: openssl genrsa -out client-key.pem 2048")
            );
        }
        Ok(Self(SigningKey::new(key)))
    }

    /// The signature of a text. The same text gets the same signature.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, Problem> {
        let signature = self.0.try_sign(text.as_bytes());
        let signature = signature.map_err(|_| Problem::new(Kind::Config, "the private key cannot sign"))?;
        Ok(signature.to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// The label and the PEM block of the private key, with clean lines, or what stands there in its place.
fn block(text: &str) -> Result<(&str, Secret), Problem> {
    let refuse = |message: &str, hint: &str| Err(Problem::new(Kind::Config, message).hint(hint));
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let labels = || lines().filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    let Some(label) = labels().find(|label| label.ends_with("PRIVATE KEY")) else {
        return match labels().next() {
            Some("CERTIFICATE" | "TRUSTED CERTIFICATE") => refuse(
                "the private key is a certificate",
                "the certificate belongs into the app in Salesforce; give the private key it was made from here",
            ),
            Some(other) => refuse(
                &format!("the private key is a '{}'", crate::problem::quoted(other, 40)),
                "give a file that has the line -----BEGIN PRIVATE KEY-----",
            ),
            None => refuse(
                "the private key is not in PEM form",
                "give a file that has the line -----BEGIN PRIVATE KEY-----; a Java keystore must be exported first",
            ),
        };
    };
    match label {
        "RSA PRIVATE KEY" if lines().any(|line| line.starts_with("Proc-Type: 4,ENCRYPTED")) => {
            return refuse(
                "the private key is encrypted in an old form (PKCS#1), which is not supported",
                "convert it: openssl pkcs8 -topk8 -in KEY -out client-key.pem, which keeps it encrypted",
            );
        }
        "RSA PRIVATE KEY" | "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {}
        "EC PRIVATE KEY" => {
            return refuse(
                "the private key is an elliptic-curve key",
                "only RSA keys sign RS256 assertions: openssl genrsa -out client-key.pem 2048",
            );
        }
        other => {
            let message = format!("the private key is a '{}'", crate::problem::quoted(other, 40));
            return refuse(&message, "give an RSA key: openssl genrsa -out client-key.pem 2048");
        }
    }
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut block = String::with_capacity(text.len());
    for line in lines().skip_while(|line| *line != begin) {
        block.push_str(line);
        block.push('\n');
        if line == end {
            return Ok((label, Secret::new(block)));
        }
    }
    refuse("the private key is cut off", "its last line must be the one that starts with -----END")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    const PKCS8: &str = include_str!("../tests/keys/pkcs8.pem");
    const PKCS1: &str = include_str!("../tests/keys/pkcs1.pem");
    /// printf hello | openssl dgst -sha256 -sign pkcs8.pem | base64
    const SIGNED_HELLO: &str = "QilEdFACtTvLOSicX5Zx9CwsZvx3LOpFTjNAaoSn2sufYHAGcafOMJrln4AdBv70M4vs3cDvLZNgmJtyD4tQLfCapI1/8ZXiMWjNFcM/7Z/ldyPtSIRcQmNOnDjRUEnP63T43aUdaEfKByVNmLvMbThFWrl/8096YrFwnCxKl28Qou3djkPmeQBuJEx6tOmp9TQJuSWTndMF2EwtvdCQ2rylit1K/zBLHYND/YJ2Di190VUXbvzAZ/LqF2MGur2CfmThM1fGntCcdvU5FRIXiYlIclpGoaUHEK92X4Boyf75MLVehAU+MWeg5avjPuHm/D838f9dilX2VnU6RyCoNA==";

    fn read(text: &str) -> Result<PrivateKey, Problem> {
        PrivateKey::from_pem(&Secret::new(text.to_owned()), None)
    }

    fn decrypt(text: &str, passphrase: &str) -> Result<PrivateKey, Problem> {
        PrivateKey::from_pem(&Secret::new(text.to_owned()), Some(&Secret::new(passphrase.to_owned())))
    }

    #[test]
    fn both_pem_forms_of_a_key_sign_as_openssl_does() {
        for pem in [PKCS8, PKCS1] {
            let signature = read(pem).expect("a key").sign("hello").expect("a signature");
            assert_eq!(STANDARD.encode(signature), SIGNED_HELLO);
        }
    }

    #[test]
    fn a_key_survives_the_ways_it_travels() {
        let indented: String = PKCS8.lines().map(|line| format!("    {line}\n")).collect();
        let with_certificate = format!("{}\n{PKCS8}", include_str!("../tests/keys/certificate.pem"));
        for pem in [PKCS8.replace('\n', "\r\n"), PKCS8.replace('\n', "\\n"), indented, with_certificate] {
            read(&pem).expect(&pem);
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_named_for_what_it_is() {
        let cut = &PKCS8[..400];
        let damaged = PKCS8.replacen("MII", "AAA", 1);
        for (pem, said) in [
            (include_str!("../tests/keys/1024-bits.pem"), "has 1024 bits"),
            (include_str!("../tests/keys/ec.pem"), "elliptic-curve"),
            (include_str!("../tests/keys/ec-pkcs8.pem"), "cannot be read as an RSA key"),
            (include_str!("../tests/keys/encrypted-pkcs1.pem"), "encrypted in an old form"),
            (include_str!("../tests/keys/encrypted-pkcs8.pem"), "is encrypted"),
            (include_str!("../tests/keys/certificate.pem"), "is a certificate"),
            ("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", "is a 'PUBLIC KEY'"),
            ("3MVG9...", "not in PEM form"),
            (cut, "cut off"),
            (&damaged, "cannot be read as an RSA key"),
        ] {
            let problem = read(pem).expect_err(said);
            assert!(problem.message.contains(said), "{said}: {problem}");
            assert_eq!(problem.kind, Kind::Config);
            assert!(problem.hint.is_some(), "{problem}");
        }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_alone() {
        let encrypted = include_str!("../tests/keys/encrypted-pkcs8.pem");
        let key = decrypt(encrypted, "correct horse").expect("a key");
        assert_eq!(STANDARD.encode(key.sign("hello").expect("a signature")), SIGNED_HELLO);
        for passphrase in ["", "wrong", "correct horse "] {
            let problem = decrypt(encrypted, passphrase).expect_err(passphrase);
            assert!(problem.message.contains("does not fit"), "{problem}");
        }
        decrypt(PKCS8, "not needed").expect("a key");
    }

    #[test]
    fn a_passphrase_never_opens_a_key_by_chance() {
        let encrypted = include_str!("../tests/keys/encrypted-pkcs8.pem");
        for n in 0..600 {
            assert!(decrypt(encrypted, &n.to_string()).is_err(), "{n}");
        }
    }

    #[test]
    fn a_scheme_that_is_not_supported_is_named() {
        for (pem, name) in [
            (include_str!("../tests/keys/encrypted-scrypt.pem"), "scrypt"),
            (include_str!("../tests/keys/encrypted-3des.pem"), "DES-EDE3-CBC"),
            (include_str!("../tests/keys/encrypted-sha1.pem"), "HMAC-SHA1"),
            (include_str!("../tests/keys/encrypted-aes128.pem"), "AES-128-CBC"),
        ] {
            let problem = decrypt(pem, "correct horse").expect_err(name);
            assert!(problem.message.contains(name) && problem.hint.is_some(), "{problem}");
        }
        let damaged = include_str!("../tests/keys/encrypted-pkcs8.pem").replacen("MII", "AAA", 1);
        assert!(decrypt(&damaged, "x").expect_err("damaged").message.contains("damaged"));
    }
}
