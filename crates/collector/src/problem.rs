//! What can go wrong, sorted by who must act on it.

use std::fmt;

/// Who must act. The same list as `problem-kind` in `wit/source.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operator must change the configuration.
    Config,
    /// The operator or a Salesforce administrator must mend the credentials.
    Auth,
    /// A Salesforce administrator must grant something.
    Permission,
    /// Nobody must act; the org asks for patience.
    RateLimited,
    /// Nobody must act; it passes.
    Transient,
    /// Salesforce sent something other than it promises.
    Data,
    /// The state is not one of ours.
    State,
    /// A mistake in this program.
    Internal,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Config,
        Self::Auth,
        Self::Permission,
        Self::RateLimited,
        Self::Transient,
        Self::Data,
        Self::State,
        Self::Internal,
    ];

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name as it stands in the contract and in the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::RateLimited => "rate-limited",
            Self::Transient => "transient",
            Self::Data => "data",
            Self::State => "state",
            Self::Internal => "internal",
        }
    }
}

/// One thing that went wrong, in words for a person. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Who must act.
    pub kind: Kind,
    /// The stream it happened in.
    pub stream: Option<String>,
    /// Where in the configuration, as dotted keys.
    pub path: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Milliseconds after which trying again makes sense.
    pub retry_after_ms: Option<u32>,
}

impl Problem {
    /// A problem with a message alone.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, stream: None, path: None, message: message.into(), hint: None, retry_after_ms: None }
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where in the configuration it lies.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Says which stream it happened in.
    pub fn in_stream(mut self, stream: &str) -> Self {
        self.stream = Some(stream.to_owned());
        self
    }

    /// Says when to try again, in milliseconds.
    pub fn retry_after_ms(mut self, wait: i64) -> Self {
        self.retry_after_ms = Some(u32::try_from(wait.max(0)).unwrap_or(u32::MAX));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// What `check` and `poll` say before a configuration.
pub fn not_configured() -> Problem {
    Problem::new(Kind::Config, "there is no configuration").hint("call configure first")
}
