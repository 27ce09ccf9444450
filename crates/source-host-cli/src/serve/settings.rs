//! How a folder is served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a folder is served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The folder: `acme.toml` is the tenant `acme`.
    pub folder: PathBuf,
    /// Where the states lie of tenants that say nothing else. Default `states.sqlite` in the folder.
    pub states: PathBuf,
    /// A folder for backfills that are under way. Default `backfills` in the folder.
    pub backfills: PathBuf,
    /// Places: tenants that have a time slice at the same time. A quarter is kept for those that use little, and up to four times
    /// as many run where some hold theirs for long. Default 16.
    pub concurrency: usize,
    /// How long a tenant that has more to do may go on before others have a slice. Default 2 s.
    pub slice: Duration,
    /// Instances that are kept between two slices, with what they have in memory: by tenants that have more to do as well. Default
    /// 64.
    pub instances: usize,
    /// The longest wait for which an instance is kept. Default 60 s.
    pub keep_for: Duration,
    /// Bytes of memory of all instances together, batches and requests under way included. Default 4 GiB.
    pub memory: u64,
    /// Bytes of events that wait for outputs, all together. Default 256 MiB.
    pub held_events: usize,
    /// When a tenant that could not be opened, or cannot go on, is tried again. Default 5 min.
    pub retry_after: Duration,
    /// How long slices may go on after a stop. Default 25 s.
    pub drain: Duration,
    /// Where metrics and health are told. Nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// Whether metrics are told for each tenant, and not for all together. Default yes.
    pub metrics_per_tenant: bool,
    /// The file that gets a line for each request. None by default.
    pub audit: Option<PathBuf>,
}

impl Settings {
    /// Those of a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            states: folder.join("states.sqlite"),
            backfills: folder.join("backfills"),
            folder,
            concurrency: 16,
            slice: Duration::from_secs(2),
            instances: 64,
            keep_for: Duration::from_secs(60),
            memory: 4 << 30,
            held_events: 256 << 20,
            retry_after: Duration::from_secs(300),
            drain: Duration::from_secs(25),
            metrics: None,
            metrics_per_tenant: true,
            audit: None,
        }
    }
}
