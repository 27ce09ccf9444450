//! What all stores decide in the same way: what may be saved, what is a conflict, what goes into the history.

use std::time::{Duration, SystemTime};

use crate::error::{Bound, StateError};
use crate::limits::LARGEST_STATE;
use crate::settings::Settings;
use crate::store::{Owner, Past, Stored};

/// What is kept beside a state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Label {
    /// Whose it is.
    pub tenant: String,
    /// The component's name.
    pub component: String,
    /// The version of the component that wrote it.
    pub version: Option<String>,
    /// The digest of that component's file.
    pub digest: Option<String>,
    /// Grows with every save.
    pub revision: u64,
    /// Milliseconds since 1970; none if a host that knew no revisions saved it.
    pub saved_at: Option<u64>,
    /// The size of the state, in bytes.
    pub bytes: usize,
}

impl Label {
    /// The label of a state that is saved at `now`, in milliseconds since 1970.
    pub fn new(owner: &Owner, revision: u64, now: u64, state: &str) -> Self {
        Self {
            tenant: owner.tenant.clone(),
            component: owner.component.clone(),
            version: Some(owner.version.clone()),
            digest: owner.digest.clone(),
            revision,
            saved_at: Some(now),
            bytes: state.len(),
        }
    }

    /// The label that an earlier state gets when it is saved again.
    pub(crate) fn again(&self, revision: u64, now: u64) -> Self {
        Self { revision, saved_at: Some(now), ..self.clone() }
    }

    /// Whether it is the state of this owner. `location` is the state's place, for the message.
    ///
    /// # Errors
    ///
    /// If it is that of somebody else.
    pub fn owned_by(&self, owner: &Owner, location: &str) -> Result<(), StateError> {
        if self.tenant == owner.tenant && self.component == owner.component {
            return Ok(());
        }
        Err(StateError::OtherOwner {
            location: location.to_owned(),
            found: Bound { tenant: self.tenant.clone(), component: self.component.clone() },
            asked: Bound { tenant: owner.tenant.clone(), component: owner.component.clone() },
        })
    }

    pub(crate) fn past(&self) -> Past {
        Past {
            revision: self.revision,
            saved_at: self.saved_at.map(time),
            bytes: self.bytes,
            version: self.version.clone(),
        }
    }

    pub(crate) fn stored(self, state: String) -> Stored {
        Stored {
            state,
            revision: self.revision,
            saved_at: self.saved_at.map(time),
            version: self.version,
            digest: self.digest,
        }
    }
}

fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Names stand in messages and in headers: control characters would forge lines of a log.
///
/// # Errors
///
/// The first name that is none.
pub fn check_owner(owner: &Owner) -> Result<(), StateError> {
    let fits = |name: &str| !name.is_empty() && name.len() <= 256 && !name.chars().any(char::is_control);
    for (what, name) in [
        ("the tenant", Some(&owner.tenant)),
        ("the component's name", Some(&owner.component)),
        ("the component's version", Some(&owner.version)),
        ("the component's digest", owner.digest.as_ref()),
    ] {
        if name.is_some_and(|name| !fits(name)) {
            return Err(StateError::Name { what });
        }
    }
    Ok(())
}

/// Refuses what would be refused at the next start.
///
/// # Errors
///
/// If it is empty or too large. `location` is the state's place, for the message.
pub fn check_state(state: &str, location: &str) -> Result<(), StateError> {
    match state.len() {
        0 => Err(StateError::Empty { location: location.to_owned() }),
        bytes if bytes > LARGEST_STATE => Err(StateError::TooLarge { location: location.to_owned(), bytes }),
        _ => Ok(()),
    }
}

/// What was read, if it can be a state. The reason else.
pub(crate) fn usable(bytes: Vec<u8>) -> Result<String, &'static str> {
    if bytes.len() > LARGEST_STATE {
        return Err("is larger than 1 MiB, so no source wrote it");
    }
    if bytes.is_empty() {
        return Err("is empty");
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8, so no source wrote it")
}

/// A save whose outcome the caller has not heard of: its future was dropped, or the folder could not be synced after the
/// rename. The caller goes on from the revision before, which is no conflict as long as ours is the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unheard {
    pub expected: Option<u64>,
    pub revision: u64,
}

/// Whether the caller continues what is there.
pub(crate) fn continues(
    found: Option<u64>,
    expected: Option<u64>,
    unheard: Option<Unheard>,
    location: &str,
) -> Result<(), StateError> {
    let ours = |unheard: Unheard| unheard.expected == expected && Some(unheard.revision) == found;
    if found == expected || unheard.is_some_and(ours) {
        return Ok(());
    }
    Err(StateError::Conflict { location: location.to_owned(), expected, found })
}

/// Whether the state that is about to be replaced goes into the history. A distance in both directions, so that a clock
/// that once was far ahead does not end the history.
pub(crate) fn worth_keeping(
    current: &Label,
    newest: Option<&Label>,
    owner: &Owner,
    settings: &Settings,
) -> bool {
    if settings.history == 0 {
        return false;
    }
    if current.version.as_ref() != Some(&owner.version) || current.digest != owner.digest {
        return true;
    }
    let saved_at = |label: &Label| label.saved_at.unwrap_or(0);
    newest.is_none_or(|newest| {
        Duration::from_millis(saved_at(current).abs_diff(saved_at(newest))) >= settings.interval
    })
}

/// The revisions that are too many, given the history with the newest first. The newest that another version than the
/// present one wrote stays: it is the one to go back to after an upgrade.
pub(crate) fn surplus(history: &[Label], version: Option<&str>, limit: usize) -> Vec<u64> {
    let anchor = history.iter().position(|past| past.version.as_deref() != version);
    let free = match anchor {
        Some(anchor) if anchor >= limit => limit.saturating_sub(1),
        _ => limit,
    };
    let stays = |i: usize| i < free || (limit > 0 && anchor == Some(i));
    history.iter().enumerate().filter(|(i, _)| !stays(*i)).map(|(_, past)| past.revision).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(version: &str) -> Owner {
        Owner::new("acme", "salesforce", version)
    }

    fn label(version: &str, revision: u64, hours: u64) -> Label {
        Label::new(&owner(version), revision, hours * 3_600_000, "x")
    }

    #[test]
    fn the_first_state_is_worth_keeping_and_the_next_one_an_hour_later() {
        let settings = Settings::default();
        assert!(worth_keeping(&label("1", 1, 10), None, &owner("1"), &settings));
        assert!(!worth_keeping(&label("1", 2, 10), Some(&label("1", 1, 10)), &owner("1"), &settings));
        assert!(worth_keeping(&label("1", 2, 11), Some(&label("1", 1, 10)), &owner("1"), &settings));
    }

    #[test]
    fn the_last_state_of_another_version_is_always_worth_keeping() {
        let settings = Settings::default();
        assert!(worth_keeping(&label("1", 2, 10), Some(&label("1", 1, 10)), &owner("2"), &settings));
        let rebuilt = owner("1").with_digest("sha256:1");
        assert!(worth_keeping(&label("1", 2, 10), Some(&label("1", 1, 10)), &rebuilt, &settings));
    }

    #[test]
    fn a_clock_that_was_far_ahead_does_not_end_the_history() {
        let newest = label("1", 1, 1_000_000);
        assert!(worth_keeping(&label("1", 2, 10), Some(&newest), &owner("1"), &Settings::default()));
    }

    #[test]
    fn no_more_than_the_limit_stays_and_the_state_before_the_upgrade_is_among_it() {
        let history: Vec<Label> = (0..8).rev().map(|r| label(if r < 2 { "1" } else { "2" }, r, r)).collect();
        assert_eq!(surplus(&history, Some("2"), 5), [3, 2, 0]);
        assert_eq!(surplus(&history, Some("3"), 5), [2, 1, 0]);
        assert_eq!(surplus(&history[..3], Some("2"), 5), [0; 0]);
        assert_eq!(surplus(&history, Some("2"), 1), [7, 6, 5, 4, 3, 2, 0]);
        assert_eq!(surplus(&history, Some("2"), 0).len(), 8);
    }

    #[test]
    fn a_save_that_was_not_heard_of_is_no_conflict_unless_another_came_after_it() {
        let unheard = Some(Unheard { expected: Some(4), revision: 5 });
        assert!(continues(Some(5), Some(4), unheard, "here").is_ok());
        assert!(continues(Some(6), Some(4), unheard, "here").unwrap_err().is_conflict());
        assert!(continues(Some(5), Some(3), unheard, "here").unwrap_err().is_conflict());
        assert!(continues(Some(5), Some(4), None, "here").unwrap_err().is_conflict());
    }

    #[test]
    fn a_name_that_could_forge_a_line_of_a_log_is_refused() {
        let long = "x".repeat(257);
        for name in ["", "a\nb", long.as_str()] {
            assert!(check_owner(&Owner::new(name, "salesforce", "1")).unwrap_err().is_users());
            assert!(check_owner(&Owner::new("acme", name, "1")).is_err());
        }
        assert!(check_owner(&Owner::new("ACME GmbH & Söhne/EU", "salesforce", "1")).is_ok());
    }
}
