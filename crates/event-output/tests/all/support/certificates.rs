//! An authority for tests, and what it certifies.

use std::path::PathBuf;
use std::sync::Arc;

use event_output::ClientCertificate;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

pub struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(authority.ca_file(), issuer.pem()).unwrap();
        for name in ["127.0.0.1", "client"] {
            let key = KeyPair::generate().unwrap();
            let signed = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &issuer).unwrap();
            std::fs::write(authority.path(&format!("{name}.pem")), signed.pem()).unwrap();
            std::fs::write(authority.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub fn client(&self) -> ClientCertificate {
        ClientCertificate { certificate_file: self.path("client.pem"), key_file: self.path("client.key") }
    }

    /// The files of a server at 127.0.0.1: certificate and key.
    pub fn server_files(&self) -> (String, String) {
        let name = |end: &str| self.path(&format!("127.0.0.1.{end}")).to_str().unwrap().to_owned();
        (name("pem"), name("key"))
    }

    /// A server at 127.0.0.1, which may want a certificate of the other side.
    pub fn server(&self, wants_client: bool) -> TlsAcceptor {
        let provider = Arc::new(crypto::ring::default_provider());
        let (certificate, key) = self.server_files();
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.ca_file()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }
}
