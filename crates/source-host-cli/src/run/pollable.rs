//! What the runner polls: a source together with all that is needed to open it again after a crash.

use crate::secrets::Secret;
use source_host::Error;
use source_host::Options;
use source_host::Plugin;
use source_host::{Batch, Grants};
use source_host::{Session, Source};
use std::ops::Range;
use std::time::SystemTime;

/// What the runner polls: a [`Configured`] source, or a stand-in for tests.
pub trait Pollable: Send {
    /// As [`Source::poll`].
    fn poll(&mut self, state: Option<&str>) -> impl Future<Output = Result<Batch, Error>> + Send;

    /// Puts a fresh instance, configured the same way, in the place of one that crashed.
    fn renew(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// As [`Source::is_complete`]; of a source that has no end, false.
    fn is_complete(&mut self, _state: &str) -> impl Future<Output = Result<bool, Error>> + Send {
        async { Ok(false) }
    }

    /// The most memory any instance has held, in bytes.
    fn peak_memory(&self) -> u64;
}

/// A source with all that is needed to open it again.
#[derive(Debug)]
pub struct Configured {
    config: Secret,
    range: Option<Range<SystemTime>>,
    source: Source,
    rest: Rest,
}

/// Whether there is an instance.
#[derive(Debug)]
enum Rest {
    /// There is.
    Awake,
    /// It was dropped, and this is what the next one goes on with.
    Suspended(Option<Session>),
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
        Ok((Self { config, range: None, source, rest: Rest::Awake }, grants))
    }

    /// Confines it to a range of time, this instance and those after it.
    ///
    /// # Errors
    ///
    /// As [`Source::confine`].
    pub async fn confine(&mut self, range: Range<SystemTime>) -> Result<(), Error> {
        self.source.confine(range.clone()).await?;
        self.range = Some(range);
        Ok(())
    }

    /// Sees to it that there is an instance.
    async fn awake(&mut self) -> Result<&mut Source, Error> {
        // Awake only once it is configured: this future may be dropped before.
        if let Rest::Suspended(session) = &mut self.rest {
            let session = session.take();
            self.source.revive(self.config.expose(), session).await?;
            self.confine_again().await?;
            self.rest = Rest::Awake;
        }
        Ok(&mut self.source)
    }

    async fn confine_again(&mut self) -> Result<(), Error> {
        match &self.range {
            Some(range) => self.source.confine(range.clone()).await,
            None => Ok(()),
        }
    }

    /// Drops the instance until the source is polled again. The next one goes on with its session, so that it need not sign in.
    pub async fn suspend(&mut self) {
        if matches!(self.rest, Rest::Suspended(_)) {
            return;
        }
        // Without a session the next instance signs in, which is what it does anyway after a crash.
        let session = self.source.suspend().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "no session");
            None
        });
        self.rest = Rest::Suspended(session);
    }

    /// The source itself, for [`Source::check`] and [`Source::denied`].
    pub fn source(&mut self) -> &mut Source {
        &mut self.source
    }
}

impl Pollable for Configured {
    async fn poll(&mut self, state: Option<&str>) -> Result<Batch, Error> {
        self.awake().await?.poll(state).await
    }

    async fn is_complete(&mut self, state: &str) -> Result<bool, Error> {
        self.awake().await?.is_complete(state).await
    }

    async fn renew(&mut self) -> Result<(), Error> {
        self.rest = Rest::Suspended(None);
        self.awake().await.map(drop)
    }

    fn peak_memory(&self) -> u64 {
        self.source.peak_memory()
    }
}
