//! A backfill: what a tenant collects of a range of time, beside what it collects anyway.
//!
//! It has a folder of its own beside the states, with its range and its state, and that folder is the backfill: a server
//! that was killed goes on with it, and when it is complete the folder goes. Its events go where the tenant's go, with the
//! same ids.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use state_store::{Owner, Settings as StateSettings, StateError, StateFile};

/// The range of time of a backfill: `from <= time < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end, which is not in it any more.
    pub until: DateTime<Utc>,
}

impl TimeRange {
    /// A range with something in it.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub fn new(from: SystemTime, until: SystemTime) -> Result<Self, String> {
        let range = Self { from: from.into(), until: until.into() };
        if range.from < range.until { Ok(range) } else { Err(format!("there is nothing in a range {range}")) }
    }

    pub(super) fn times(self) -> Range<SystemTime> {
        self.from.into()..self.until.into()
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        write!(f, "from {} until {}", text(self.from), text(self.until))
    }
}

/// The backfill of a tenant, on the disk.
#[derive(Clone, Debug)]
pub(super) struct Backfill {
    folder: PathBuf,
    pub(super) range: TimeRange,
}

impl Backfill {
    /// That of a tenant, if there is one.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    pub(super) fn of(folders: &Path, tenant: &str) -> io::Result<Option<Self>> {
        let folder = folders.join(tenant);
        let text = match fs::read_to_string(folder.join(RANGE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let range: TimeRange = serde_json::from_str(&text)
            .map_err(|error| io::Error::other(format!("{}: {error}", folder.join(RANGE).display())))?;
        Ok(Some(Self { folder, range }))
    }

    /// Begins one. From then on it goes on by itself, until it is complete.
    ///
    /// # Errors
    ///
    /// If it cannot be written down.
    pub(super) fn begin(folders: &Path, tenant: &str, range: TimeRange) -> io::Result<()> {
        let folder = folders.join(tenant);
        // What one left that ended while it was being removed.
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        let written = folder.join("range.json.new");
        fs::write(&written, serde_json::to_string(&range)? + "\n")?;
        fs::File::open(&written)?.sync_all()?;
        fs::rename(&written, folder.join(RANGE))?;
        fs::File::open(&folder)?.sync_all()
    }

    /// Where its state lies. It belongs to its range: with another one, what was not wanted before would be passed over.
    ///
    /// # Errors
    ///
    /// As [`StateFile::open`].
    pub(super) fn store(&self, owner: &Owner) -> Result<StateFile, StateError> {
        let owner = Owner { tenant: format!("{} {}", owner.tenant, self.range), ..owner.clone() };
        StateFile::open(&self.folder.join("state.json"), owner, StateSettings::default().history(0))
    }

    /// Ends it, complete or not.
    ///
    /// # Errors
    ///
    /// If it cannot be removed. Then the next start goes on with it.
    pub(super) fn end(&self) -> io::Result<()> {
        remove(&self.folder)
    }
}

const RANGE: &str = "range.json";

/// The range first: without it there is no backfill, whatever else is left.
fn remove(folder: &Path) -> io::Result<()> {
    let there = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    there(fs::remove_file(folder.join(RANGE)))?;
    there(fs::remove_dir_all(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> TimeRange {
        TimeRange {
            from: "2026-11-01T00:00:00Z".parse().unwrap(),
            until: "2026-11-08T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_backfill_is_there_from_when_it_is_begun_until_it_ends() {
        let folders = tempfile::tempdir().unwrap();
        let folders = folders.path().join("backfills");
        assert!(Backfill::of(&folders, "acme").unwrap().is_none());
        Backfill::begin(&folders, "acme", range()).unwrap();
        let backfill = Backfill::of(&folders, "acme").unwrap().unwrap();
        assert_eq!(backfill.range, range());
        assert!(Backfill::of(&folders, "other").unwrap().is_none());
        drop(backfill.store(&Owner::new("acme", "source", "1.0.0")).unwrap());
        backfill.end().unwrap();
        assert!(Backfill::of(&folders, "acme").unwrap().is_none());
        assert!(!folders.join("acme").exists());
        backfill.end().unwrap();
    }

    #[test]
    fn a_range_that_somebody_has_damaged_is_named_and_not_passed_over() {
        let folders = tempfile::tempdir().unwrap();
        Backfill::begin(folders.path(), "acme", range()).unwrap();
        let path = folders.path().join("acme/range.json");
        fs::write(&path, "{\"from\":\"yesterday\"}").unwrap();
        let error = Backfill::of(folders.path(), "acme").unwrap_err();
        assert!(error.to_string().contains("acme/range.json"), "{error}");
    }

    #[test]
    fn a_range_reads_as_times_and_needs_something_in_it() {
        assert_eq!(range().to_string(), "from 2026-11-01T00:00:00Z until 2026-11-08T00:00:00Z");
        let times = range().times();
        assert_eq!(TimeRange::new(times.start, times.end), Ok(range()));
        let why = TimeRange::new(times.end, times.start).unwrap_err();
        assert!(why.contains("nothing in a range"), "{why}");
    }
}
