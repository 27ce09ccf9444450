//! What one instance hands to the next.

use std::fmt;

use zeroize::Zeroizing;

/// What an instance was signed in with, for the next one with the same configuration: [`crate::Source::suspend`] returns
/// it, [`crate::Source::resume`] takes it.
///
/// A secret, as good as the credentials while it lasts. So it can be kept in memory and handed back, and nothing else: it does
/// not show itself, cannot be copied, written down or read, and is wiped when it is dropped.
///
/// ```no_run
/// # async fn example(mut source: source_host::Source, config: &str) -> Result<(), source_host::Error> {
/// // None, if the source has not signed in.
/// let session: Option<source_host::Session> = source.suspend().await?;
/// source.revive(config, session).await?;
/// # Ok(())
/// # }
/// ```
pub struct Session(Zeroizing<String>);

impl Session {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_does_not_show_itself_when_printed() {
        assert_eq!(format!("{:?}", Session::new("hunter2".into())), "Session(not shown)");
    }
}
