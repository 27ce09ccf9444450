//! How a worker works.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a worker works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Tenants that it polls at the same time. Default 16.
    pub places: usize,
    /// How long a tenant that has more to do may go on before it goes to the end of the queue. Default 10 s.
    pub slice: Duration,
    /// Bytes of memory of all instances together, batches and requests under way included. Default 4 GiB.
    pub memory: u64,
    /// How long jobs may go on after a stop. Default 25 s.
    pub drain: Duration,
    /// Where `{ file = … }` in the tenants' configurations begins.
    pub secrets: PathBuf,
    /// A folder for components that were fetched.
    pub components: PathBuf,
    /// Where metrics and health are told. Nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// Whether metrics are told for each tenant, and not for all together. Default no: any worker may have any tenant.
    pub metrics_per_tenant: bool,
    /// The file that gets a line for each request. None by default.
    pub audit: Option<PathBuf>,
}

impl Settings {
    /// With secrets and components in these folders.
    pub fn new(secrets: impl Into<PathBuf>, components: impl Into<PathBuf>) -> Self {
        Self {
            places: 16,
            slice: Duration::from_secs(10),
            memory: 4 << 30,
            drain: Duration::from_secs(25),
            secrets: secrets.into(),
            components: components.into(),
            metrics: None,
            metrics_per_tenant: false,
            audit: None,
        }
    }
}
