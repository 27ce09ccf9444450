//! What the runner polls: a source together with all that is needed to open it again after a crash.

use std::fmt;
use std::sync::Arc;

use source_host::Options;
use source_host::Plugin;
use source_host::Source;
use source_host::{Batch, Grants};
use source_host::Error;
use source_host::HttpTransport;
use crate::secrets::Secret;

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
    plugin: Plugin,
    options: OpaqueOptions,
    config: Secret,
    source: Source,
    peak: u64,
}

struct OpaqueOptions(Options);

impl fmt::Debug for OpaqueOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("limits", &self.0.limits)
            .field("egress", &self.0.egress)
            .finish_non_exhaustive()
    }
}

impl Configured {
    /// Opens a source and configures it.
    ///
    /// # Errors
    ///
    /// As [`Plugin::open`] and [`Source::configure`].
    pub async fn open(plugin: Plugin, mut options: Options, config: Secret) -> Result<(Self, Grants), Error> {
        if options.transport.is_none() {
            // One pool of connections for all instances of this source.
            options.transport = Some(Arc::new(HttpTransport::new()?));
        }
        let (source, grants) = configured(&plugin, &options, &config).await?;
        Ok((Self { plugin, options: OpaqueOptions(options), config, source, peak: 0 }, grants))
    }

    /// The source itself, for [`Source::check`] and [`Source::denied`].
    pub fn source(&mut self) -> &mut Source {
        &mut self.source
    }
}

async fn configured(plugin: &Plugin, options: &Options, config: &Secret) -> Result<(Source, Grants), Error> {
    let mut source = plugin.open(options.clone()).await?;
    let grants = source.configure(config.expose()).await?;
    Ok((source, grants))
}

impl Pollable for Configured {
    async fn poll(&mut self, state: Option<&str>) -> Result<Batch, Error> {
        self.source.poll(state).await
    }

    async fn renew(&mut self) -> Result<(), Error> {
        self.peak = self.peak_memory();
        let (source, _) = configured(&self.plugin, &self.options.0, &self.config).await?;
        self.source = source;
        Ok(())
    }

    fn peak_memory(&self) -> u64 {
        self.peak.max(self.source.peak_memory())
    }
}
