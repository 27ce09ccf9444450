//! What every output does, and what comes back.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// A delivery, to come.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<Delivered, OutputError>> + Send + 'a>>;

/// A check, to come: in words, what was seen.
pub type Check<'a> = Pin<Box<dyn Future<Output = Result<String, OutputError>> + Send + 'a>>;

/// A closing, to come.
pub type Closing<'a> = Pin<Box<dyn Future<Output = Result<(), OutputError>> + Send + 'a>>;

/// Takes events to where they are kept.
pub trait Output: Send {
    /// Takes the events of one batch, each one JSON object on one line, and returns once they are safe: the caller stores
    /// the source's state only then. After an error the events behind [`OutputError::accepted`] come again. If the future
    /// is dropped, all of them do: so an event may arrive twice, and is never lost.
    ///
    /// One attempt, or a few quick ones: waiting for hours is up to the caller.
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a>;

    /// Tries whether events would be taken now, without sending one, and says in words what was seen.
    fn check<'a>(&'a mut self) -> Check<'a>;

    /// Opens again what is open: connections, with certificates that were renewed. For SIGHUP. A file needs none: before each
    /// batch it is looked at whether it is still the one of that name.
    fn reopen(&mut self) {}

    /// Lets go of what is held, so that another may take it at once. A delivery after it is an error or opens anew.
    fn close<'a>(&'a mut self) -> Closing<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Events that were taken. Includes `duplicates`, not `set_aside`.
    pub events: u64,
    /// Events that the receiver had already, and told so.
    pub duplicates: u64,
    /// Events that the receiver never takes, written to the dead-letter file instead.
    pub set_aside: u64,
    /// Requests that were sent, or messages, or writes.
    pub requests: u64,
    /// Bytes of their bodies, as they were sent: compressed where they are.
    pub bytes_sent: u64,
}

/// Who must act before events can be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputErrorKind {
    /// The reader is gone. Not a mistake: `source-host run ... | head` ends like this.
    Closed,
    /// Passes by itself: try again.
    Unavailable,
    /// Somebody must act: credentials, an address, a permission, a mapping. Still tried again, and said loudly.
    Refused,
    /// What is there is somebody else's: a file with other content, or in use. It is not touched.
    Mistake,
}

impl fmt::Display for OutputErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Mistake => "mistake",
        })
    }
}

/// Why events are not safe, in words for a person. Holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct OutputError {
    kind: OutputErrorKind,
    message: String,
    accepted: usize,
    retry_after: Option<Duration>,
    delivered: Delivered,
}

impl OutputError {
    /// An error of this kind. The message says what happened and what to do.
    pub fn new(kind: OutputErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            accepted: 0,
            retry_after: None,
            delivered: Delivered::default(),
        }
    }

    /// The first `accepted` events are safe all the same.
    #[must_use]
    pub fn with_accepted(mut self, accepted: usize) -> Self {
        self.accepted = accepted;
        self
    }

    /// The receiver asks to be left alone for so long.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// What was done before it failed.
    #[must_use]
    pub fn with_delivered(mut self, delivered: Delivered) -> Self {
        self.delivered = delivered;
        self
    }

    /// Who must act.
    pub fn kind(&self) -> OutputErrorKind {
        self.kind
    }

    /// How many of the events, from the first, are safe: the retry starts behind them.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// How long the receiver asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What became of the events that are safe, and how much was sent.
    pub fn delivered(&self) -> Delivered {
        self.delivered
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(OutputErrorKind::Unavailable, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(OutputErrorKind::Refused, message)
    }

    pub(crate) fn mistake(message: impl Into<String>) -> Self {
        Self::new(OutputErrorKind::Mistake, message)
    }
}
