//! A state in a file of its own, held by one host alone.
//!
//! Around `state.json` lie `state.json.lock`, which is locked as long as a host holds the state (and means nothing by
//! being there), for a moment `state.json.tmp`, and the folder `state.json.history` with earlier states, each in a file
//! named after its revision. They are files of their own, and not part of `state.json`, because a state of 100 KiB is
//! saved every few seconds during a backfill, and five more would have to be written with it each time.
//!
//! Every save reads the file again first: what is checked is what lies there, not what this host remembers.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Identity, beside, failure, private, probe, replace, resolve, sync_folder_of};
use crate::envelope::{Content, LARGEST_FILE, open, seal};
use crate::error::StateError;
use crate::rules::{Label, Unheard, check_owner, check_state, continues, surplus, worth_keeping};
use crate::settings::Settings;
use crate::store::{Answer, Owner, Past, StateStore, Stored};

/// A state in a file, held by this host alone as long as this lives. Must be used in a tokio runtime: files are written
/// and synced on its threads for blocking work.
///
/// A plain state that a host of old left is taken over: it is loaded as revision 0, and the first save binds it.
#[derive(Debug)]
pub struct StateFile {
    held: Arc<Mutex<Held>>,
    calls: AtomicU64,
}

impl StateFile {
    /// Takes hold of the file, which need not exist yet; its folder must.
    ///
    /// # Errors
    ///
    /// If another host holds it, its folder cannot be written to, or the owner's names cannot be used.
    pub fn open(path: &Path, owner: Owner, settings: Settings) -> Result<Self, StateError> {
        check_owner(&owner)?;
        let path = resolve(path)?;
        let lock_path = beside(&path, ".lock");
        let io = failure("create the lock", &lock_path);
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(&lock_path)
            .map_err(&io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::InUse { location: path.display().to_string() });
            }
            Err(TryLockError::Error(reason)) => return Err(io(reason)),
        }
        let lock_identity = Identity::of(&lock.metadata().map_err(&io)?);
        let held = Held {
            location: path.display().to_string(),
            past: beside(&path, ".history"),
            path,
            owner,
            settings,
            unheard: None,
            synced: false,
            latest: 0,
            known: None,
            lock_path: lock_path.clone(),
            lock_identity,
            lock,
        };
        Ok(Self { held: Arc::new(Mutex::new(held)), calls: AtomicU64::new(1) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Held) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let held = Arc::clone(&self.held);
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || {
            let mut held = lock(&held);
            // A call whose future was dropped while it waited for a thread must not undo a later one. Nobody hears this.
            if call < held.latest {
                return Err(held.gone(io::Error::other("given up")));
            }
            held.latest = call;
            work(&mut held)
        })
        .await;
        done.unwrap_or_else(|error| Err(lock(&self.held).gone(io::Error::other(error))))
    }

    /// The caller has the answer, and knows the revision.
    fn heard(&self) {
        lock(&self.held).unheard = None;
    }
}

/// Nothing in it is ever half changed, so a panic elsewhere does not spoil it.
fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StateStore for StateFile {
    fn load(&mut self) -> Answer<'_, Option<Stored>> {
        Box::pin(async {
            let stored = self.run(|held| held.load()).await?;
            self.heard();
            Ok(stored)
        })
    }

    fn save<'a>(&'a mut self, state: &'a str, expected: Option<u64>) -> Answer<'a, u64> {
        Box::pin(async move {
            let state = state.to_owned();
            let revision = self.run(move |held| held.save(&state, expected)).await?;
            self.heard();
            Ok(revision)
        })
    }

    fn history(&mut self) -> Answer<'_, Vec<Past>> {
        Box::pin(self.run(|held| Ok(held.history()?.labels.iter().map(Label::past).collect())))
    }

    fn roll_back(&mut self, to: u64) -> Answer<'_, Stored> {
        Box::pin(async move {
            let stored = self.run(move |held| held.roll_back(to)).await?;
            self.heard();
            Ok(stored)
        })
    }

    fn check(&mut self) -> Answer<'_, ()> {
        Box::pin(self.run(|held| held.check()))
    }
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    location: String,
    past: PathBuf,
    owner: Owner,
    settings: Settings,
    unheard: Option<Unheard>,
    /// Whether the folder is known to be synced since the file got its name. It is not at the start: the host before may
    /// have been killed in between.
    synced: bool,
    /// The last call that began.
    latest: u64,
    /// What the history is known to hold, so that it is not read with every save. Nobody else writes to it.
    known: Option<History>,
    lock_path: PathBuf,
    lock_identity: Identity,
    lock: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing would do, were it not for a child process that is just being started: until it runs its program it has
        // a copy of this handle, and with it the lock.
        let _ = self.lock.unlock();
    }
}

/// What lies in the file.
struct Current {
    label: Label,
    state: String,
    plain: bool,
}

/// What lies in the history's folder, newest first.
#[derive(Clone, Debug, Default)]
struct History {
    labels: Vec<Label>,
    /// The highest revision that has a file, usable or not.
    highest: Option<u64>,
}

impl Held {
    fn gone(&self, reason: io::Error) -> StateError {
        StateError::Io { action: "use the state", location: self.location.clone(), reason }
    }

    fn is_held(&self) -> Result<(), StateError> {
        self.lock_identity.still_at(&self.lock_path)
    }

    fn read(&self, path: &Path) -> Result<Option<Current>, StateError> {
        let unusable = |reason| StateError::NotAState { location: path.display().to_string(), reason };
        let io = failure("read the state", path);
        // Asked before opening: opening a pipe would wait for ever.
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(unusable("is not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(&io)?;
        file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(&io)?;
        match open(bytes).map_err(unusable)? {
            Content::Labelled(label, state) => {
                label.owned_by(&self.owner, &path.display().to_string())?;
                Ok(Some(Current { label, state, plain: false }))
            }
            Content::Plain(state) => {
                let label = Label {
                    version: None,
                    digest: None,
                    saved_at: None,
                    ..Label::new(&self.owner, 0, 0, &state)
                };
                Ok(Some(Current { label, state, plain: true }))
            }
        }
    }

    fn load(&self) -> Result<Option<Stored>, StateError> {
        self.is_held()?;
        Ok(self.read(&self.path)?.map(|current| current.label.stored(current.state)))
    }

    fn save(&mut self, state: &str, expected: Option<u64>) -> Result<u64, StateError> {
        self.is_held()?;
        check_state(state, &self.location)?;
        let current = self.read(&self.path)?;
        let found = current.as_ref().map(|current| current.label.revision);
        continues(found, expected, self.unheard, &self.location)?;
        if let Some(current) = &current
            && current.state == state
            && !current.plain
        {
            if !self.synced {
                sync_folder_of(&self.path).map_err(failure("write the state", &self.path))?;
                self.synced = true;
            }
            return Ok(current.label.revision);
        }
        let history = match self.known.take() {
            Some(known) => known,
            None => self.history()?,
        };
        let mut kept = false;
        if let Some(current) = &current
            && worth_keeping(&current.label, history.labels.first(), &self.owner, &self.settings)
        {
            self.keep(current)?;
            kept = true;
        }
        let revision = found.max(history.highest).map_or(1, |highest| highest + 1);
        let label = Label::new(&self.owner, revision, self.settings.now(), state);
        // From here on the new state may be there, whatever is said about it.
        self.unheard = Some(Unheard { expected, revision });
        self.write(&label, state)?;
        if kept {
            self.prune();
        } else {
            self.known = Some(history);
        }
        Ok(revision)
    }

    fn roll_back(&mut self, to: u64) -> Result<Stored, StateError> {
        self.is_held()?;
        let current = self.read(&self.path)?;
        if let Some(current) = &current
            && current.label.revision == to
        {
            return Ok(current.label.clone().stored(current.state.clone()));
        }
        self.known = None;
        let history = self.history()?;
        let earlier = self.read(&self.past_path(to))?;
        let Some(earlier) = earlier.filter(|past| !past.plain && past.label.revision == to) else {
            return Err(StateError::NoSuchRevision {
                location: self.location.clone(),
                revision: to,
                available: history.labels.iter().map(|label| label.revision).collect(),
            });
        };
        let found = current.as_ref().map(|current| current.label.revision);
        if let Some(current) = &current {
            self.keep(current)?;
        }
        let revision = found.max(history.highest).map_or(1, |highest| highest + 1);
        let label = earlier.label.again(revision, self.settings.now());
        self.unheard = None;
        self.write(&label, &earlier.state)?;
        self.prune();
        Ok(label.stored(earlier.state))
    }

    fn check(&self) -> Result<(), StateError> {
        self.is_held()?;
        self.read(&self.path)?;
        probe(&beside(&self.path, ".tmp"), LARGEST_FILE)?;
        if self.past.exists() {
            self.history()?;
            probe(&self.past.join("0.tmp"), 1)?;
        }
        Ok(())
    }

    fn write(&mut self, label: &Label, state: &str) -> Result<(), StateError> {
        let io = failure("write the state", &self.path);
        let bytes = seal(label, state).map_err(|error| io(error.into()))?;
        self.synced = false;
        replace(&self.path, &bytes).map_err(io)?;
        self.synced = true;
        Ok(())
    }

    fn past_path(&self, revision: u64) -> PathBuf {
        self.past.join(revision.to_string())
    }

    /// Copies the present state into the history. Only states that were saved whole get there, so nothing in it is torn.
    fn keep(&self, current: &Current) -> Result<(), StateError> {
        if self.settings.history == 0 {
            return Ok(());
        }
        let path = self.past_path(current.label.revision);
        let io = failure("write the history of the state", &path);
        match private_folder(&self.past) {
            Ok(()) => sync_folder_of(&self.past).map_err(&io)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failure("create the folder", &self.past)(error)),
        }
        let bytes = seal(&current.label, &current.state).map_err(|error| io(error.into()))?;
        replace(&path, &bytes).map_err(io)
    }

    /// What can be gone back to. A file that is damaged, of somebody else, or not named after a revision is left out and
    /// left alone.
    fn history(&self) -> Result<History, StateError> {
        let io = failure("read the history of the state", &self.past);
        let entries = match std::fs::read_dir(&self.past) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(History::default()),
            Err(error) => return Err(io(error)),
        };
        let mut history = History::default();
        for entry in entries {
            let entry = entry.map_err(&io)?;
            let Some(revision) = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()) else {
                continue;
            };
            history.highest = history.highest.max(Some(revision));
            match self.read(&self.past_path(revision)) {
                Ok(Some(past)) if !past.plain && past.label.revision == revision => {
                    history.labels.push(past.label);
                }
                _ => {}
            }
        }
        history.labels.sort_by_key(|label| std::cmp::Reverse(label.revision));
        Ok(history)
    }

    /// Removes what is too many. The state is safe by now, so what cannot be read or removed is left for the next time.
    fn prune(&mut self) {
        self.known = None;
        let Ok(history) = self.history() else { return };
        for revision in surplus(&history.labels, Some(&self.owner.version), self.settings.history) {
            let _ = crate::disk::remove(&self.past_path(revision));
        }
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}
