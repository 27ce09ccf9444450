//! Faults that a test plans ahead.

use std::sync::{Mutex, PoisonError};

/// Misbehaviour on one request; each fault happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Matches requests whose path, with its query as sent, contains this text.
    pub path_contains: String,
    /// Which of the matching requests it strikes, counted from 1 since the fault was planned.
    pub nth: u32,
    /// What happens.
    pub action: FaultAction,
}

/// What happens to the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultAction {
    /// It is answered with this, and nothing else of the org sees it.
    Answer {
        /// HTTP status.
        status: u16,
        /// Sent as JSON if it begins with `[` or `{`, otherwise as HTML.
        body: String,
    },
    /// The answer ends after so many decoded bytes and looks complete to HTTP (and to gzip).
    CutSilently {
        /// Bytes before any content coding.
        after: u64,
    },
    /// The connection breaks after so many decoded bytes.
    CutConnection {
        /// Bytes before any content coding.
        after: u64,
    },
    /// Every session is revoked before the request is looked at.
    RevokeSessions,
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(Fault, u32)>>);

impl Faults {
    pub(crate) fn plan(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((fault, 0));
    }

    /// Counts a request and takes the faults that strike it.
    pub(crate) fn strike(&self, path: &str) -> Vec<FaultAction> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        planned.retain_mut(|(fault, seen)| {
            if !path.contains(&fault.path_contains) {
                return true;
            }
            *seen += 1;
            if *seen < fault.nth {
                return true;
            }
            due.push(fault.action.clone());
            false
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_nth_match_and_no_other() {
        let faults = Faults::default();
        faults.plan(Fault {
            path_contains: "/query".to_owned(),
            nth: 2,
            action: FaultAction::RevokeSessions,
        });
        assert!(faults.strike("/query?a").is_empty());
        assert!(faults.strike("/other").is_empty());
        assert_eq!(faults.strike("/query?b"), [FaultAction::RevokeSessions]);
        assert!(faults.strike("/query?c").is_empty());
    }
}
