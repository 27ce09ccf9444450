//! Whom a server has to be certified by, and how this side shows who it is.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, ClientConfig, RootCertStore};

/// A certificate for this side, and its key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The chain in PEM, the own certificate first.
    pub certificate_file: PathBuf,
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key_file: PathBuf,
}

/// The settings for TLS: Mozilla's roots, and those of the settings. A problem is told with the setting.
pub(crate) fn config(
    ca_file: Option<&Path>,
    client: Option<&ClientCertificate>,
) -> Result<ClientConfig, (&'static str, String)> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        for certificate in certificates(path).map_err(|message| ("ca_file", message))? {
            roots.add(certificate).map_err(|error| ("ca_file", format!("{}: {error}", path.display())))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ("ca_file", error.to_string()))?
        .with_root_certificates(roots);
    match client {
        None => Ok(builder.with_no_client_auth()),
        Some(ClientCertificate { certificate_file, key_file }) => {
            let chain = certificates(certificate_file).map_err(|message| ("certificate_file", message))?;
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| {
                ("key_file", format!("no private key in {}: {error}", key_file.display()))
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| ("key_file", format!("{}: {error}", key_file.display())))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let no = |error: &dyn std::fmt::Display| format!("no certificates in PEM in {}: {error}", path.display());
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| no(&error))?;
    if certificates.is_empty() { Err(no(&"the file holds none")) } else { Ok(certificates) }
}

/// A certificate that does not do: that passes with no time, and somebody must act.
pub(crate) enum Distrust {
    /// The server's.
    OfServer,
    /// The one of this side, or that there is none.
    OfClient,
}

/// Whether this error is about a certificate.
pub(crate) fn distrust(error: &(dyn Error + 'static)) -> Option<Distrust> {
    use AlertDescription::{AccessDenied, BadCertificate, CertificateExpired, CertificateRequired};
    use AlertDescription::{CertificateRevoked, CertificateUnknown, UnknownCA, UnsupportedCertificate};
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Some(Distrust::OfServer),
            rustls::Error::AlertReceived(
                AccessDenied
                | BadCertificate
                | CertificateExpired
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate,
            ) => Some(Distrust::OfClient),
            _ => None,
        };
    }
    // What an I/O error holds is not its source.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => distrust(inner),
        None => error.source().and_then(distrust),
    }
}
