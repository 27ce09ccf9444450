//! What the runner polls: a source together with all that is needed to open it again after a crash.

use crate::secrets::Secret;
use source_host::Error;
use source_host::Options;
use source_host::Plugin;
use source_host::Source;
use source_host::{Batch, Grants};

/// What the runner polls: a [`Configured`] source, or a stand-in for tests.
pub trait Pollable: Send {
    /// As [`Source::poll`].
    fn poll(&mut self, state: Option<&str>) -> impl Future<Output = Result<Batch, Error>> + Send;

    /// Puts a fresh instance, configured the same way, in the place of one that crashed.
    fn renew(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// The most memory any instance has held, in bytes.
    fn peak_memory(&self) -> u64;
}

/// A source with all that is needed to open it again.
#[derive(Debug)]
pub struct Configured {
    config: Secret,
    source: Source,
    suspended: bool,
}

impl Configured {
    /// Opens a source and configures it.
    ///
    /// # Errors
    ///
    /// As [`Plugin::open`] and [`Source::configure`].
    pub async fn open(plugin: &Plugin, options: Options, config: Secret) -> Result<(Self, Grants), Error> {
        let mut source = plugin.open(options).await?;
        let grants = source.configure(config.expose()).await?;
        Ok((Self { config, source, suspended: false }, grants))
    }

    /// Drops the instance, until it is polled again.
    pub async fn suspend(&mut self) {
        self.source.suspend();
        self.suspended = true;
    }

    /// The source itself, for [`Source::check`] and [`Source::denied`].
    pub fn source(&mut self) -> &mut Source {
        &mut self.source
    }
}

impl Pollable for Configured {
    async fn poll(&mut self, state: Option<&str>) -> Result<Batch, Error> {
        if self.suspended {
            self.renew().await?;
        }
        self.source.poll(state).await
    }

    async fn renew(&mut self) -> Result<(), Error> {
        self.suspended = false;
        self.source.renew().await?;
        self.source.configure(self.config.expose()).await.map(drop)
    }

    fn peak_memory(&self) -> u64 {
        self.source.peak_memory()
    }
}
