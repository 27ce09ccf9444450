//! The state between runs: a file as `source-host` writes it, so that either goes on where the other stopped.
//!
//! WASI has no locks. Every save reads the file again first, and refuses to overwrite what it does not know; so a second host is
//! noticed by its first save. Between that look and the rename lie some microseconds that nothing guards: what starts this
//! program must not start two of them (`concurrencyPolicy: Forbid`). Even then nothing is lost, but comes twice; a file of events has a
//! look of its own (`output.rs`).

use crate::{bindings::wasi::filesystem::types::DescriptorType, clock, files};
use state_store::envelope::{Content, LARGEST_FILE, open, seal};
use state_store::{Label, Owner, StateError, check_owner, check_state};
use std::io;
use std::path::PathBuf;

/// A state in a file.
pub(crate) struct StateFile {
    path: PathBuf,
    location: String,
    owner: Owner,
    /// What lay there when it was last read or written.
    known: Option<Vec<u8>>,
    revision: Option<u64>,
    text: Option<String>,
    /// Whether the file says whose state it is. Hosts of old wrote the state alone.
    is_labelled: bool,
}

impl StateFile {
    /// Reads what there is.
    pub(crate) fn open(path: PathBuf, owner: Owner) -> Result<Self, StateError> {
        check_owner(&owner)?;
        let location = path.display().to_string();
        let mut file =
            Self { path, location, owner, known: None, revision: None, text: None, is_labelled: false };
        file.known = file.bytes()?;
        let Some(bytes) = file.known.clone() else { return Ok(file) };
        match open(bytes).map_err(|reason| file.unusable(reason))? {
            Content::Labelled(label, text) => {
                label.owned_by(&file.owner, &file.location)?;
                (file.revision, file.text, file.is_labelled) = (Some(label.revision), Some(text), true);
            }
            Content::Plain(text) => (file.revision, file.text) = (Some(0), Some(text)),
        }
        Ok(file)
    }

    /// The state that was saved last.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Grows with every save.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// Replaces it as a whole or not at all.
    pub(crate) fn save(&mut self, text: &str) -> Result<(), StateError> {
        check_state(text, &self.location)?;
        let found = self.bytes()?;
        if found != self.known {
            return Err(StateError::Conflict {
                location: self.location.clone(),
                expected: self.revision,
                found: found.and_then(|bytes| match open(bytes) {
                    Ok(Content::Labelled(label, _)) => Some(label.revision),
                    _ => None,
                }),
            });
        }
        if self.is_labelled && self.text.as_deref() == Some(text) {
            return Ok(());
        }
        let revision = self.revision.map_or(1, |revision| revision + 1);
        let now = u64::try_from(clock::now().timestamp_millis()).unwrap_or_default();
        let io =
            |reason| StateError::Io { action: "write the state", location: self.location.clone(), reason };
        let bytes =
            seal(&Label::new(&self.owner, revision, now, text), text).map_err(|error| io(error.into()))?;
        files::replace(&self.path, &bytes).map_err(io)?;
        (self.known, self.revision, self.text) = (Some(bytes), Some(revision), Some(text.to_owned()));
        self.is_labelled = true;
        Ok(())
    }

    /// Whether a save would work. Changes nothing.
    pub(crate) fn check(&self) -> Result<(), StateError> {
        files::probe(&self.path).map_err(|reason| StateError::Io {
            action: "write beside the state",
            location: self.location.clone(),
            reason,
        })
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>, StateError> {
        let io =
            |reason| StateError::Io { action: "read the state", location: self.location.clone(), reason };
        match files::kind(&self.path).map_err(io)? {
            None => return Ok(None),
            Some(DescriptorType::RegularFile) => {}
            Some(DescriptorType::SymbolicLink) => {
                return Err(self.unusable("is a link; name the file that it leads to"));
            }
            Some(_) => return Err(self.unusable("is not a file")),
        }
        match files::read(&self.path, LARGEST_FILE as u64 + 1) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(error)),
        }
    }

    fn unusable(&self, reason: &'static str) -> StateError {
        StateError::NotAState { location: self.location.clone(), reason }
    }
}
