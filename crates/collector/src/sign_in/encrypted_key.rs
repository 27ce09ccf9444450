//! Private keys that a passphrase protects: PKCS#8's `EncryptedPrivateKeyInfo` (RFC 5958) with PBES2 (RFC 8018).
//!
//! Of the many schemes there are, the one that OpenSSL has written by default since 1.1.0 is read: PBKDF2 with HMAC-SHA-256,
//! then AES-256 in CBC mode. Each further one would make the component larger; what else is met is named, with the command
//! that converts it. Decrypting needs no random numbers.

use crate::{
    problem::{Kind, Problem},
    secret::{Secret, is_blank},
};
use aes::Aes256;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use rsa::pkcs8::{
    der::{
        self, Decode, SliceReader,
        asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
    },
    spki::AlgorithmIdentifierRef,
};
use sha2::Sha256;
use zeroize::Zeroizing;

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const PBES2: ObjectIdentifier = oid("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = oid("1.2.840.113549.1.5.12");
const HMAC_SHA256: ObjectIdentifier = oid("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.42");
/// What other schemes consist of, as OpenSSL names them.
const OTHERS: &[(ObjectIdentifier, &str)] = &[
    (oid("1.3.6.1.4.1.11591.4.11"), "scrypt"),
    (oid("1.2.840.113549.2.7"), "HMAC-SHA1"),
    (oid("1.2.840.113549.2.10"), "HMAC-SHA384"),
    (oid("1.2.840.113549.2.11"), "HMAC-SHA512"),
    (oid("1.2.840.113549.3.7"), "DES-EDE3-CBC"),
    (oid("2.16.840.1.101.3.4.1.2"), "AES-128-CBC"),
    (oid("2.16.840.1.101.3.4.1.22"), "AES-192-CBC"),
    (oid("2.16.840.1.101.3.4.1.46"), "AES-256-GCM"),
    (oid("1.2.840.113549.1.12.1.3"), "PBE-SHA1-3DES"),
    (oid("1.2.840.113549.1.5.3"), "PBE-MD5-DES"),
];
/// More rounds would take minutes in a component.
const MOST_ROUNDS: u32 = 10_000_000;

/// Decrypts the DER of an encrypted key, to that of a PKCS#8 key.
pub fn decrypt(mut der: Zeroizing<Vec<u8>>, passphrase: &Secret) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let damaged = || {
        Problem::new(Kind::Config, "the encrypted private key is damaged").hint("copy or export it once more")
    };
    let (parameters, start, length) = read(&der).map_err(|_| damaged())?;
    let Parameters { salt, rounds, iv } = parameters.map_err(|scheme| {
        let message = format!("the private key is encrypted with {scheme}, which is not supported");
        Problem::new(Kind::Config, message).hint(
            "convert it: openssl pkcs8 -topk8 -in KEY -out client-key.pem (OpenSSL 1.1.0 or later), which keeps it encrypted",
        )
    })?;
    if !(1..=MOST_ROUNDS).contains(&rounds) {
        let message = format!("the private key is encrypted with more than {MOST_ROUNDS} rounds, or none");
        return Err(Problem::new(Kind::Config, message)
            .hint("convert it with fewer: openssl pkcs8 -topk8 -iter 100000"));
    }
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.reveal().as_bytes(), &salt, rounds, key.as_mut());
    let wrong = || {
        Problem::new(Kind::Config, "the passphrase does not fit the private key").hint(
            if passphrase.reveal().starts_with(is_blank) || passphrase.reveal().ends_with(is_blank) {
                "auth.private_key_passphrase begins or ends with a space, which counts: is it meant?"
            } else {
                "check auth.private_key_passphrase: openssl rsa -in KEY -noout asks for it"
            },
        )
    };
    let data = der.get_mut(start..start + length).ok_or_else(wrong)?;
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(key.as_ref(), &iv).map_err(|_| wrong())?;
    let clear = cipher.decrypt_padded::<Pkcs7>(data).map_err(|_| wrong())?;
    let clear = Zeroizing::new(clear.to_vec());
    // A wrong passphrase passes for a right one once in 256 times, as far as padding goes.
    if SliceReader::new(&clear).and_then(|mut reader| AnyRef::decode(&mut reader)).is_err() {
        return Err(wrong());
    }
    Ok(clear)
}

/// How a key is encrypted.
struct Parameters {
    salt: Vec<u8>,
    rounds: u32,
    iv: Vec<u8>,
}

/// The parameters, or the name of what is not supported; and where in the DER the encrypted part begins and how long it is.
type Found = (Result<Parameters, &'static str>, usize, usize);

fn read(der: &[u8]) -> der::Result<Found> {
    let outer = AnyRef::from_der(der)?;
    outer.sequence(|reader| {
        let scheme = AlgorithmIdentifierRef::decode(reader)?;
        let data = <&OctetStringRef>::decode(reader)?;
        let start = data.as_bytes().as_ptr().addr() - der.as_ptr().addr();
        Ok((parameters(&scheme)?, start, data.as_bytes().len()))
    })
}

fn parameters(scheme: &AlgorithmIdentifierRef<'_>) -> der::Result<Result<Parameters, &'static str>> {
    if scheme.oid != PBES2 {
        return Ok(Err(name(scheme.oid)));
    }
    given(scheme.parameters)?.sequence(|reader| {
        let derivation = AlgorithmIdentifierRef::decode(reader)?;
        let cipher = AlgorithmIdentifierRef::decode(reader)?;
        if derivation.oid != PBKDF2 {
            return Ok(Err(name(derivation.oid)));
        }
        if cipher.oid != AES_256_CBC {
            return Ok(Err(name(cipher.oid)));
        }
        let iv = given(cipher.parameters)?.decode_as::<&OctetStringRef>()?.as_bytes().to_vec();
        given(derivation.parameters)?.sequence(|reader| {
            let salt = <&OctetStringRef>::decode(reader)?.as_bytes().to_vec();
            let rounds = u32::decode(reader)?;
            let _length = Option::<u16>::decode(reader)?;
            let hash = match Option::<AlgorithmIdentifierRef<'_>>::decode(reader)? {
                Some(hash) => hash.oid,
                // RFC 8018, appendix A.2.
                None => OTHERS[1].0,
            };
            Ok(if hash == HMAC_SHA256 { Ok(Parameters { salt, rounds, iv }) } else { Err(name(hash)) })
        })
    })
}

fn given(parameters: Option<AnyRef<'_>>) -> der::Result<AnyRef<'_>> {
    parameters.ok_or(der::ErrorKind::Failed.into())
}

fn name(oid: ObjectIdentifier) -> &'static str {
    OTHERS.iter().find(|(known, _)| *known == oid).map_or("an unknown scheme", |(_, name)| name)
}
