//! The RSA key that signs assertions: `RS256`, which is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).

use crate::{
    problem::{Kind, Problem},
    secret::{Secret, is_blank},
    sign_in::encrypted_key,
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
use zeroize::Zeroizing;

/// Below this, Salesforce refuses the certificate (and NIST SP 800-57 the key).
const MIN_BITS: u32 = 2048;
/// Above this, a signature takes seconds in a component.
const MAX_BITS: u32 = 8192;
/// An RSA private key.
pub struct PrivateKey(SigningKey<Sha256>);

impl PrivateKey {
    /// Reads a key from PEM text: PKCS#1, PKCS#8, or encrypted PKCS#8 with its passphrase. What became of its line breaks is
    /// forgiven, and so is other text around it, such as a certificate.
    pub fn from_pem(text: &Secret, passphrase: Option<&Secret>) -> Result<Self, Problem> {
        let Block { form, der } = Block::find(text)?;
        let key = match (form, passphrase) {
            (Form::Encrypted, Some(passphrase)) => {
                RsaPrivateKey::from_pkcs8_der(&encrypted_key::decrypt(der, passphrase)?).ok()
            }
            (Form::Encrypted, None) => {
                return Err(refused(
                    "the private key is encrypted",
                    "give its passphrase in auth.private_key_passphrase, or decrypt it: openssl pkcs8 -in KEY -out \
                     client-key.pem",
                ));
            }
            (Form::Pkcs1, _) => RsaPrivateKey::from_pkcs1_der(&der).ok(),
            (Form::Pkcs8, _) => RsaPrivateKey::from_pkcs8_der(&der).ok(),
        };
        let Some(key) = key else {
            return Err(refused(
                "the private key cannot be read as an RSA key",
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

    /// What tells this key from others and is no secret.
    pub fn modulus(&self) -> Box<[u8]> {
        self.0.as_ref().n_bytes()
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

/// A problem with a key. Its words are written here, so that nothing of a key can get into them.
fn refused(message: &'static str, hint: &'static str) -> Problem {
    Problem::new(Kind::Config, message).hint(hint)
}

/// In which form a key that can be used is written.
#[derive(Clone, Copy)]
enum Form {
    Pkcs1,
    Pkcs8,
    Encrypted,
}

/// A label of PEM.
struct Label {
    /// Without its spaces.
    squeezed: &'static str,
    meaning: Meaning,
}

/// A form that can be used; or what it is instead, and what to do.
type Meaning = Result<Form, (&'static str, &'static str)>;

const NEW_KEY: &str = "give an RSA key: openssl genrsa -out client-key.pem 2048";
const THE_OTHER_HALF: &str =
    "it belongs into the app in Salesforce; give the private key it was made from here";
const A_CERTIFICATE: Meaning = Err(("the private key is a certificate", THE_OTHER_HALF));
const A_REQUEST: Meaning = Err(("the private key is a request for a certificate", THE_OTHER_HALF));
const A_PUBLIC_KEY: Meaning = Err(("the private key is a public key", THE_OTHER_HALF));
const DSA: Meaning = Err(("the private key is a DSA key", NEW_KEY));
const ELLIPTIC: Meaning = Err((
    "the private key is an elliptic-curve key",
    "only RSA keys sign RS256 assertions: openssl genrsa -out client-key.pem 2048",
));
const OPENSSH: Meaning =
    Err(("the private key is in the form of OpenSSH", "convert it: ssh-keygen -p -m PKCS8 -f KEY"));
const DAMAGED: Meaning = Err((
    "the private key is none, or its line -----BEGIN is damaged",
    "give a file that has the line -----BEGIN PRIVATE KEY-----",
));

const fn label(squeezed: &'static str, meaning: Meaning) -> Label {
    Label { squeezed, meaning }
}

/// The labels that people have.
const LABELS: &[Label] = &[
    label("PRIVATEKEY", Ok(Form::Pkcs8)),
    label("RSAPRIVATEKEY", Ok(Form::Pkcs1)),
    label("ENCRYPTEDPRIVATEKEY", Ok(Form::Encrypted)),
    label("CERTIFICATE", A_CERTIFICATE),
    label("TRUSTEDCERTIFICATE", A_CERTIFICATE),
    label("X509CERTIFICATE", A_CERTIFICATE),
    label("CERTIFICATEREQUEST", A_REQUEST),
    label("NEWCERTIFICATEREQUEST", A_REQUEST),
    label("PUBLICKEY", A_PUBLIC_KEY),
    label("RSAPUBLICKEY", A_PUBLIC_KEY),
    label("ECPARAMETERS", ELLIPTIC),
    label("ECPRIVATEKEY", ELLIPTIC),
    label("DSAPARAMETERS", DSA),
    label("DSAPRIVATEKEY", DSA),
    label("OPENSSHPRIVATEKEY", OPENSSH),
];

/// The key in a text, whatever became of its line breaks.
struct Block {
    form: Form,
    der: Zeroizing<Vec<u8>>,
}

impl Block {
    /// Finds the key, or says what stands there in its place.
    fn find(text: &Secret) -> Result<Self, Problem> {
        let text = plain(text.reveal());
        let mut rest = text.reveal();
        let mut instead = (
            "the private key is not in PEM form",
            "give a file that has the line -----BEGIN PRIVATE KEY-----; a Java keystore must be exported first",
        );
        let mut is_first = true;
        while let Some((label, after)) =
            rest.split_once("-----BEGIN").and_then(|(_, begun)| begun.split_once("-----"))
        {
            let label = squeezed(label);
            let known = LABELS.iter().find(|known| known.squeezed == *label);
            match known.map_or(DAMAGED, |known| known.meaning) {
                Ok(form) => return Self::read(form, &label, after),
                Err(other) if std::mem::take(&mut is_first) => instead = other,
                Err(_) => {}
            }
            rest = after;
        }
        Err(refused(instead.0, instead.1))
    }

    /// Reads what stands behind the line `-----BEGIN`.
    fn read(form: Form, label: &str, after: &str) -> Result<Self, Problem> {
        if matches!(form, Form::Pkcs1) && after.contains("Proc-Type:") {
            return Err(refused(
                "the private key is encrypted in an old form (PKCS#1), which is not supported",
                "convert it: openssl pkcs8 -topk8 -in KEY -out client-key.pem, which keeps it encrypted",
            ));
        }
        let ends = |end: &str| end.split_once("-----").is_some_and(|(end, _)| *squeezed(end) == *label);
        let body = after.split_once("-----END").filter(|(body, end)| !body.contains("-----") && ends(end));
        let Some((body, _)) = body else {
            return Err(refused(
                "the private key is cut off",
                "its last line must be the one that starts with -----END",
            ));
        };
        let der = decode(&squeezed(body)).ok_or_else(|| {
            refused(
                "the private key is damaged: between its first and its last line is something else than base64",
                "copy or export it once more",
            )
        })?;
        Ok(Self { form, der })
    }
}

/// Decodes base64, with or without its padding. Decoders of the libraries would cost the component ten times the code.
fn decode(base64: &str) -> Option<Zeroizing<Vec<u8>>> {
    // In its final size: a buffer that grows would leave copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64.len() / 4 * 3 + 3));
    let (mut bits, mut count) = (0_u32, 0);
    for byte in base64.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

/// A text without its white space.
fn squeezed(text: &str) -> Zeroizing<String> {
    let mut squeezed = Zeroizing::new(String::with_capacity(text.len()));
    squeezed.extend(text.chars().filter(|c| !is_blank(*c)));
    squeezed
}

/// The text with blanks for what became of its line breaks on the way through JSON, YAML, a shell or an environment variable:
/// `\n`, `\r` and `\t`, however many times they were escaped, and the backslashes that continue a line.
fn plain(text: &str) -> Secret {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        while chars.next_if_eq(&'\\').is_some() {}
        chars.next_if(|c| matches!(c, 'n' | 'r' | 't'));
        plain.push(' ');
    }
    Secret::new(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    const PKCS8: &str = include_str!("../../tests/keys/pkcs8.pem");
    const PKCS1: &str = include_str!("../../tests/keys/pkcs1.pem");
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
        let with_certificate = format!("{}\n{PKCS8}", include_str!("../../tests/keys/certificate.pem"));
        for pem in [PKCS8.replace('\n', "\r\n"), PKCS8.replace('\n', "\\n"), indented, with_certificate] {
            read(&pem).expect(&pem);
        }
    }

    /// The ways in which a text loses its line breaks.
    const WAYS: [(&str, &str); 10] = [
        ("nothing", ""),
        ("a space", " "),
        ("spaces", "   "),
        ("a tab", "\t"),
        ("\\n", "\\n"),
        ("\\r\\n", "\\r\\n"),
        ("\\n, escaped twice", "\\\\n"),
        ("all sorts", " \\t\\\\r\\n \t\r\n"),
        ("a continued line", "\\\n"),
        ("no-break and zero-width spaces", "\u{a0}\u{200b}\u{feff}"),
    ];

    #[test]
    fn a_key_is_taken_whatever_stands_for_its_line_breaks() {
        let encrypted = include_str!("../../tests/keys/encrypted-pkcs8.pem");
        for pem in [PKCS8, PKCS1, encrypted] {
            for (way, between) in WAYS {
                let lost = pem.replace('\n', between);
                let key = decrypt(&lost, "correct horse").expect(way);
                assert_eq!(STANDARD.encode(key.sign("hello").expect("a signature")), SIGNED_HELLO, "{way}");
            }
            let lines: Vec<&str> = pem.lines().collect();
            let mixed: String =
                lines.iter().zip(WAYS.iter().cycle()).map(|(line, (_, b))| format!("{line}{b}")).collect();
            decrypt(&mixed, "correct horse").expect("mixed");
            let squeezed: String = pem.chars().filter(|c| !c.is_whitespace()).collect();
            decrypt(&squeezed, "correct horse").expect("no white space at all");
            decrypt(&format!("\u{feff}{pem}"), "correct horse").expect("a byte-order mark");
            decrypt(&format!("key: \"{}\",", pem.replace('\n', "\\n")), "correct horse").expect("in quotes");
            decrypt(pem.replace("=", "").as_str(), "correct horse").expect("no padding");
        }
    }

    #[test]
    fn nothing_of_a_key_is_quoted_however_it_is_damaged() {
        let certificate = include_str!("../../tests/keys/certificate.pem");
        for pem in [PKCS8, PKCS1, include_str!("../../tests/keys/encrypted-pkcs8.pem"), certificate] {
            for (_, between) in WAYS {
                let lost = pem.replace('\n', between);
                let half: String = lost.chars().take(lost.chars().count() / 2).collect();
                for damaged in [
                    lost.replacen("KEY-----", "KEY", 1),
                    lost.replacen("KEY-----", "KEY--", 1),
                    lost.replacen("-----", "", 1),
                    lost.replacen("-----BEGIN", "-----BEGIN ", 1).replace("KEY", "K E Y "),
                    lost.replace("-----", "—"),
                    lost.replacen("MII", "A*A", 1),
                    lost.replacen("PRIVATE", "PUBLIC", 1),
                    lost.trim_start_matches(|c| c != '\n').to_owned(),
                    format!("{half}{lost}"),
                    half,
                    lost.replace('A', "é"),
                ] {
                    let Err(problem) = decrypt(&damaged, "wrong") else { continue };
                    let said = problem.to_string();
                    for line in pem.lines().filter(|line| !line.starts_with('-')) {
                        for part in 0..line.len().saturating_sub(8) {
                            assert!(!said.contains(&line[part..part + 8]), "{said}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_named_for_what_it_is() {
        let cut = &PKCS8[..400];
        let damaged = PKCS8.replacen("MII", "AAA", 1);
        for (pem, said) in [
            (include_str!("../../tests/keys/1024-bits.pem"), "has 1024 bits"),
            (include_str!("../../tests/keys/ec.pem"), "elliptic-curve"),
            (include_str!("../../tests/keys/ec-pkcs8.pem"), "cannot be read as an RSA key"),
            (include_str!("../../tests/keys/encrypted-pkcs1.pem"), "encrypted in an old form"),
            (include_str!("../../tests/keys/encrypted-pkcs8.pem"), "is encrypted"),
            (include_str!("../../tests/keys/certificate.pem"), "is a certificate"),
            ("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", "is a public key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----\n", "OpenSSH"),
            ("-----BEGIN THING-----\nAA==\n-----END THING-----\n", "is none"),
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
        let encrypted = include_str!("../../tests/keys/encrypted-pkcs8.pem");
        let key = decrypt(encrypted, "correct horse").expect("a key");
        assert_eq!(STANDARD.encode(key.sign("hello").expect("a signature")), SIGNED_HELLO);
        for passphrase in ["", "wrong", "correct horse "] {
            let problem = decrypt(encrypted, passphrase).expect_err(passphrase);
            assert!(problem.message.contains("does not fit"), "{problem}");
            assert_eq!(
                problem.to_string().contains("begins or ends with a space"),
                passphrase.ends_with(' ')
            );
        }
        decrypt(PKCS8, "not needed").expect("a key");
    }

    #[test]
    fn a_passphrase_never_opens_a_key_by_chance() {
        let encrypted = include_str!("../../tests/keys/encrypted-pkcs8.pem");
        for n in 0..600 {
            assert!(decrypt(encrypted, &n.to_string()).is_err(), "{n}");
        }
    }

    #[test]
    fn a_scheme_that_is_not_supported_is_named() {
        for (pem, name) in [
            (include_str!("../../tests/keys/encrypted-scrypt.pem"), "scrypt"),
            (include_str!("../../tests/keys/encrypted-3des.pem"), "DES-EDE3-CBC"),
            (include_str!("../../tests/keys/encrypted-sha1.pem"), "HMAC-SHA1"),
            (include_str!("../../tests/keys/encrypted-aes128.pem"), "AES-128-CBC"),
        ] {
            let problem = decrypt(pem, "correct horse").expect_err(name);
            assert!(problem.message.contains(name) && problem.hint.is_some(), "{problem}");
        }
        let damaged = include_str!("../../tests/keys/encrypted-pkcs8.pem").replacen("MII", "AAA", 1);
        assert!(decrypt(&damaged, "x").expect_err("damaged").message.contains("damaged"));
    }
}
