//! States in memory, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StateError;
use crate::rules::{Label, check_owner, check_state, continues, surplus, worth_keeping};
use crate::settings::Settings;
use crate::store::{Answer, Owner, Past, StateStore, Stored};

type Key = (String, String);

#[derive(Clone, Default)]
struct Cell {
    current: Option<(Label, String)>,
    /// Newest first.
    history: Vec<(Label, String)>,
}

/// States in memory, gone with the process. Clones share them.
#[derive(Clone)]
pub struct Memory {
    cells: Arc<Mutex<HashMap<Key, Cell>>>,
    settings: Settings,
}

/// The state of one tenant and component in a [`Memory`].
#[derive(Debug)]
pub struct MemoryState {
    memory: Memory,
    owner: Owner,
    location: String,
}

impl Memory {
    /// Without any state.
    pub fn new(settings: Settings) -> Self {
        Self { cells: Arc::default(), settings }
    }

    /// The state of this tenant and component.
    ///
    /// # Errors
    ///
    /// If the owner's names cannot be used.
    pub fn tenant(&self, owner: Owner) -> Result<MemoryState, StateError> {
        check_owner(&owner)?;
        let location = format!("in memory of tenant {:?}", owner.tenant);
        Ok(MemoryState { memory: self.clone(), owner, location })
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<Key, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("states", &self.cells().len()).finish_non_exhaustive()
    }
}

impl MemoryState {
    fn with<T>(&self, work: impl FnOnce(&mut Cell) -> T) -> T {
        let key = (self.owner.tenant.clone(), self.owner.component.clone());
        work(self.memory.cells().entry(key).or_default())
    }

    fn replace(&self, cell: &mut Cell, label: Label, state: String, keep: bool) {
        if let Some(current) = cell.current.replace((label, state))
            && keep
        {
            cell.history.insert(0, current);
        }
        let labels: Vec<Label> = cell.history.iter().map(|(label, _)| label.clone()).collect();
        let surplus = surplus(&labels, Some(&self.owner.version), self.memory.settings.history);
        cell.history.retain(|(label, _)| !surplus.contains(&label.revision));
    }

    fn save_now(&self, state: &str, expected: Option<u64>) -> Result<u64, StateError> {
        check_state(state, &self.location)?;
        self.with(|cell| {
            let found = cell.current.as_ref().map(|(label, _)| label.revision);
            continues(found, expected, None, &self.location)?;
            let settings = &self.memory.settings;
            let mut keep = false;
            if let Some((label, text)) = &cell.current {
                if text == state {
                    return Ok(label.revision);
                }
                let newest = cell.history.first().map(|(label, _)| label);
                keep = worth_keeping(label, newest, &self.owner, settings);
            }
            let revision = found.map_or(1, |found| found + 1);
            let label = Label::new(&self.owner, revision, settings.now(), state);
            self.replace(cell, label, state.to_owned(), keep);
            Ok(revision)
        })
    }

    fn roll_back_now(&self, to: u64) -> Result<Stored, StateError> {
        self.with(|cell| {
            if let Some((label, state)) = &cell.current
                && label.revision == to
            {
                return Ok(label.clone().stored(state.clone()));
            }
            let Some((label, state)) = cell.history.iter().find(|(label, _)| label.revision == to).cloned()
            else {
                return Err(StateError::NoSuchRevision {
                    location: self.location.clone(),
                    revision: to,
                    available: cell.history.iter().map(|(label, _)| label.revision).collect(),
                });
            };
            let revision = cell.current.as_ref().map_or(1, |(label, _)| label.revision + 1);
            let label = label.again(revision, self.memory.settings.now());
            self.replace(cell, label.clone(), state.clone(), true);
            Ok(label.stored(state))
        })
    }
}

impl StateStore for MemoryState {
    fn load(&mut self) -> Answer<'_, Option<Stored>> {
        let stored = self.with(|cell| cell.current.clone().map(|(label, state)| label.stored(state)));
        Box::pin(std::future::ready(Ok(stored)))
    }

    fn save<'a>(&'a mut self, state: &'a str, expected: Option<u64>) -> Answer<'a, u64> {
        Box::pin(async move { self.save_now(state, expected) })
    }

    fn history(&mut self) -> Answer<'_, Vec<Past>> {
        let history = self.with(|cell| cell.history.iter().map(|(label, _)| label.past()).collect());
        Box::pin(std::future::ready(Ok(history)))
    }

    fn roll_back(&mut self, to: u64) -> Answer<'_, Stored> {
        Box::pin(async move { self.roll_back_now(to) })
    }

    fn check(&mut self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
