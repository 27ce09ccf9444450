//! Components, by digest. What comes out of the store is looked at before it is used: whoever may write there is not whoever may
//! say what runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::object_store::{Config, ObjectStore};
use ring::digest::{Context as Sha256, SHA256};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::engine::JetStream;
use super::errors::{away, no_fleet};
use super::layout::patiently;
use crate::engine::EngineError;

/// How long a component may take on its way.
const PATIENCE: Duration = Duration::from_secs(60);

/// The components of a fleet. Cheap to clone.
#[derive(Clone)]
pub struct Components {
    store: ObjectStore,
}

/// Why there is no component.
#[derive(Debug, Error)]
pub enum NotLoaded {
    /// It may pass.
    #[error("the component {digest} cannot be fetched: {why}")]
    Away {
        /// Which.
        digest: String,
        /// Why.
        why: String,
    },
    /// What is there is another one.
    #[error("the component that is stored as {digest} is {found}: it is not used; store it again")]
    Other {
        /// Which was wanted.
        digest: String,
        /// Which it is.
        found: String,
    },
    /// There is none.
    #[error(
        "there is no component {digest} in the fleet's store; `source-host fleet tenants add` brings it there"
    )]
    Absent {
        /// Which.
        digest: String,
    },
    /// It is larger than what may be.
    #[error("the component {digest} has more than {most} bytes")]
    TooLarge {
        /// Which.
        digest: String,
        /// So many.
        most: u64,
    },
    /// What was asked for is no digest.
    #[error("{digest:?} is no digest: sha256: and 64 hexadecimal digits")]
    NoDigest {
        /// What it is.
        digest: String,
    },
    /// It cannot be written down here.
    #[error("cannot write {}: {why}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
}

impl std::fmt::Debug for Components {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Components").finish_non_exhaustive()
    }
}

impl Components {
    /// Those of this fleet.
    ///
    /// # Errors
    ///
    /// If their store cannot be opened.
    pub async fn open(engine: &JetStream) -> Result<Self, EngineError> {
        let (context, layout) = (&engine.inner.context, engine.layout());
        let bucket = layout.bucket("components");
        let store = patiently(|| async {
            if let Ok(store) = context.get_object_store(&bucket).await {
                return Ok(store);
            }
            if !layout.make {
                return Err(no_fleet(&layout.fleet, &bucket));
            }
            let config =
                Config { bucket: bucket.clone(), num_replicas: layout.replicas, ..Config::default() };
            let made = context.create_object_store(config).await;
            made.map_err(|error| away(format!("the store {bucket} cannot be made: {error}")))
        })
        .await?;
        Ok(Self { store })
    }

    /// Brings a component there, unless it is there, and returns its digest.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn put(&self, bytes: &[u8]) -> Result<String, EngineError> {
        let digest = digest_of(bytes);
        // What is there by this name may be another one, or half of it.
        if self.read(&digest, bytes.len() as u64).await.is_ok() {
            return Ok(digest);
        }
        let mut reader = bytes;
        self.store
            .put(&*digest, &mut reader)
            .await
            .map_err(|error| away(format!("the component {digest} cannot be stored: {error}")))?;
        Ok(digest)
    }

    /// The file with a component in a folder of this machine, fetched if it is not there. What is there already was looked at
    /// when it was fetched, and whoever loads it is told its digest.
    ///
    /// # Errors
    ///
    /// [`NotLoaded`].
    pub async fn fetch(&self, digest: &str, folder: &Path, most: u64) -> Result<PathBuf, NotLoaded> {
        let Some(hex) = digest.strip_prefix("sha256:").filter(|hex| is_hex(hex)) else {
            return Err(NotLoaded::NoDigest { digest: digest.to_owned() });
        };
        let path = folder.join(format!("{hex}.wasm"));
        if path.is_file() {
            return Ok(path);
        }
        let bytes = self.read(digest, most).await?;
        keep(&path, &bytes).await.map_err(|why| NotLoaded::Disk { path: path.clone(), why })?;
        Ok(path)
    }

    /// Removes the file of a component from that folder, if it is there.
    pub fn forget(digest: &str, folder: &Path) {
        if let Some(hex) = digest.strip_prefix("sha256:").filter(|hex| is_hex(hex)) {
            // It is fetched again when it is wanted.
            let _ = std::fs::remove_file(folder.join(format!("{hex}.wasm")));
        }
    }

    /// What is stored by this digest, and has it. An object that is replaced while it is read never comes to its end, so that it
    /// is waited for no longer than [`PATIENCE`].
    async fn read(&self, digest: &str, most: u64) -> Result<Vec<u8>, NotLoaded> {
        let read = timeout(PATIENCE, self.read_all(digest, most)).await;
        read.unwrap_or_else(|_| {
            let why = format!("it did not come within {} s", PATIENCE.as_secs());
            Err(NotLoaded::Away { digest: digest.to_owned(), why })
        })
    }

    async fn read_all(&self, digest: &str, most: u64) -> Result<Vec<u8>, NotLoaded> {
        let own = || digest.to_owned();
        let mut object = self.store.get(digest).await.map_err(|error| match error.kind() {
            async_nats::jetstream::object_store::GetErrorKind::NotFound => {
                NotLoaded::Absent { digest: own() }
            }
            _ => NotLoaded::Away { digest: own(), why: error.to_string() },
        })?;
        let mut bytes = Vec::new();
        let mut part = vec![0; 128 << 10];
        loop {
            let read = object.read(&mut part).await;
            match read.map_err(|error| NotLoaded::Away { digest: own(), why: error.to_string() })? {
                0 => break,
                read => bytes.extend_from_slice(part.get(..read).unwrap_or_default()),
            }
            if bytes.len() as u64 > most {
                return Err(NotLoaded::TooLarge { digest: own(), most });
            }
        }
        let found = digest_of(&bytes);
        if found != digest {
            return Err(NotLoaded::Other { digest: own(), found });
        }
        Ok(bytes)
    }
}

/// Whole or not at all.
async fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = tokio::fs::File::create(&beside).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&beside, path).await
}

fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn digest_of(bytes: &[u8]) -> String {
    let mut sha256 = Sha256::new(&SHA256);
    sha256.update(bytes);
    let hex: String = sha256.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
