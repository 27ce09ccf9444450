//! A source that polls by itself.

use std::time::Duration;

use super::source::Source;
use super::stream::Stream;
use crate::contract::Batch;
use crate::error::Error;

/// A source that polls by itself: [`Source::follow`] makes it. While it is there the source takes no other calls, and once it is dropped
/// the instance is gone.
///
/// ```no_run
/// # fn deliver(_: &[String]) {}
/// # fn save(_: &str) {}
/// # async fn example(mut source: source_host::Source, config: &str, saved: Option<&str>) -> Result<(), source_host::Error> {
/// use source_host::Error;
///
/// source.configure(config).await?;
/// let mut following = source.follow(saved).await?;
/// loop {
///     match following.next().await {
///         Ok(Some(batch)) => {
///             // First the events, then the state: it covers them.
///             deliver(&batch.events);
///             save(&batch.state);
///         }
///         Ok(None) => break,
///         // The source goes on by itself, after a while.
///         Err(Error::Failure(failure)) => println!("{}", failure.problem),
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Following<'s> {
    source: &'s mut Source,
    stream: Stream,
    /// How long the component rests before it polls again.
    rest: Duration,
}

impl Source {
    /// Has a component for WASI 0.3 poll by itself from `state` on (none = from the beginning), and wait between two polls for as long as
    /// they ask. Who delivers nothing takes nothing: the component goes on only while its next batch is waited for.
    ///
    /// It costs an instance for as long as it goes on; a host of many sources polls them and drops their instances in between.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchCall`] if it is a component for WASI 0.2, or if the component fails or exceeds a limit.
    pub async fn follow(&mut self, state: Option<&str>) -> Result<Following<'_>, Error> {
        let stream = self.stream(state).await?;
        Ok(Following { source: self, stream, rest: Duration::ZERO })
    }
}

impl Following<'_> {
    /// Waits for the next batch: for as long as the one before asked for, and for the poll. Nothing at the end of the source, and
    /// after a failure that somebody has to mend. Nothing is polled ahead: the poll begins when this is called, or has begun before
    /// and stands still between two calls.
    ///
    /// # Errors
    ///
    /// As [`Source::poll`]. It goes on after [`Error::Failure`]; after any other error the instance is gone.
    pub async fn next(&mut self) -> Result<Option<Batch>, Error> {
        let next = self.source.next_of(&self.stream, self.rest).await;
        let wait = match &next {
            Ok(Some(batch)) => batch.next_poll_ms,
            Err(Error::Failure(failure)) => failure.problem.retry_after_ms.unwrap_or(60_000),
            _ => 0,
        };
        self.rest = Duration::from_millis(wait.into());
        next
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.source.discard();
    }
}
