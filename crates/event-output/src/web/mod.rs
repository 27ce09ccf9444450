//! What all outputs over HTTP share.

pub(crate) mod answers;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod pieces;
pub(crate) mod settings;
pub(crate) mod tls;

pub use body::Compression;
pub use settings::{Transport, WebSettings};
pub use tls::ClientCertificate;
