//! Whom the host trusts, and as whom it appears.
//!
//! Certificates are checked always; there is no switch to leave it out. Trust is written down: which roots, which authorities
//! besides. The private key of a client certificate is read once, and neither its text nor a part of it is in an error.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;

/// Which certificate authorities are trusted, besides those of [`crate::HttpTransportBuilder::extra_ca_file`].
///
/// ```no_run
/// use source_host::{HttpTransport, Roots};
///
/// // A service inside, and nobody else.
/// let transport = HttpTransport::builder().roots(Roots::None).extra_ca_file("/etc/pki/inner-ca.pem").build()?;
/// # Ok::<(), source_host::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's, as they were when the host was built. The same on every machine.
    #[default]
    Mozilla,
    /// The operating system's, as they are when the transport is built: what an administrator adds or removes there counts.
    /// On Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` say where they are, if they are set.
    System,
    /// None but the extra files: for a source that talks to one inner service alone.
    None,
}

/// Where the certificate is that the host shows to servers, and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The settings for TLS of a client that trusts these authorities and shows no certificate: for what else a host connects to, so that it
/// trusts as the sources' transport does.
///
/// ```
/// let settings = source_host::tls_config(source_host::Roots::Mozilla, &[])?;
/// assert!(settings.alpn_protocols.is_empty());
/// # Ok::<(), source_host::Error>(())
/// ```
///
/// # Errors
///
/// If a file cannot be read, or holds no certificates.
pub fn tls_config(roots: Roots, extra: &[PathBuf]) -> Result<ClientConfig, Error> {
    client_config(roots, extra, None)
}

pub(crate) fn client_config(
    roots: Roots,
    extra: &[PathBuf],
    identity: Option<&Identity>,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Setup(e.to_string()))?
        .with_root_certificates(trusted(roots, extra)?);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::new(shown(identity)?)),
    })
}

fn trusted(roots: Roots, extra: &[PathBuf]) -> Result<rustls::RootCertStore, Error> {
    let mut store = rustls::RootCertStore::empty();
    match roots {
        Roots::Mozilla => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = store.add_parsable_certificates(found.certs);
            if added == 0 {
                let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
                return Err(Error::Setup(format!("the system has no usable roots: {}", reasons.join("; "))));
            }
        }
        Roots::None if extra.is_empty() => {
            return Err(Error::Setup("no certificate authority is trusted: give a CA file".into()));
        }
        Roots::None => {}
    }
    for file in extra {
        for certificate in certificates("CA file", file)? {
            store.add(certificate).map_err(|e| unusable("CA file", file, &e))?;
        }
    }
    Ok(store)
}

fn shown(identity: &Identity) -> Result<SingleCertAndKey, Error> {
    let file = &identity.key;
    let bad = |reason: &dyn Display| unusable("client key", file, reason);
    let chain = certificates("client certificate", &identity.certificate)?;
    let text = Zeroizing::new(std::fs::read(file).map_err(|e| bad(&e))?);
    // What the parser says may quote a line of the file.
    let mut der = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| bad(&"it holds no private key in PEM form, or one that needs a passphrase"))?;
    let key = any_supported_type(&der);
    der.zeroize();
    let key = key.map_err(|_| bad(&"it is neither an RSA nor an ECDSA nor an Ed25519 key"))?;
    let certified = CertifiedKey::new(chain, key);
    if let Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) =
        certified.keys_match()
    {
        return Err(bad(&format_args!(
            "it belongs to another certificate than {}",
            identity.certificate.display()
        )));
    }
    Ok(certified.into())
}

fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(file).map_err(|e| unusable(what, file, &e))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|e| unusable(what, file, &e))?;
    match found.is_empty() {
        true => Err(unusable(what, file, &"it holds no certificate in PEM form")),
        false => Ok(found),
    }
}

fn unusable(what: &str, file: &Path, reason: &dyn Display) -> Error {
    Error::Setup(format!("the {what} {} is not usable: {reason}", file.display()))
}
