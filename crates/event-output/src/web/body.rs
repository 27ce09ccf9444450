//! Bodies of requests, compressed.

use std::io::{self, Write};

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, HeaderName};

use crate::output::OutputError;

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every receiver knows.
    #[default]
    Gzip,
    /// zstd: smaller and faster, where the receiver knows it.
    Zstd,
}

impl Compression {
    /// The header that tells it.
    pub(crate) fn header(self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::None => None,
            Self::Gzip => Some((CONTENT_ENCODING, "gzip")),
            Self::Zstd => Some((CONTENT_ENCODING, "zstd")),
        }
    }

    /// Compresses, beside the executor: a few megabytes take tens of milliseconds.
    pub(crate) async fn apply(self, plain: Vec<u8>) -> Result<Bytes, OutputError> {
        if self == Self::None {
            return Ok(plain.into());
        }
        let packed = tokio::task::spawn_blocking(move || self.pack(&plain)).await;
        match packed {
            Ok(Ok(packed)) => Ok(packed.into()),
            Ok(Err(error)) => Err(OutputError::unavailable(format!("cannot compress: {error}"))),
            Err(error) => Err(OutputError::unavailable(format!("cannot compress: {error}"))),
        }
    }

    fn pack(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(plain.to_vec()),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(plain)?;
                encoder.finish()
            }
            Self::Zstd => zstd::encode_all(plain, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }
}
