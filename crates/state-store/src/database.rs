//! The states of many tenants in one SQLite database.
//!
//! One thread owns the connection. Tenants send it what they want and wait without blocking the executor; it takes all
//! that has come meanwhile into one transaction, so that a hundred tenants share one sync of the disk, and answers once
//! that is committed. `journal_mode = WAL` and `synchronous = FULL`: what was answered is there after a power failure.
//!
//! The file must lie on a disk of this machine: SQLite's WAL needs shared memory, which network file systems lack.
//!
//! Nothing here opens the database file other than through SQLite. Closing any other handle of it would drop the locks
//! that the connections of this process hold, as POSIX has it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::disk::{Identity, beside, create, failure, probe, remove, resolve, sync_folder_of, unique};
use crate::error::StateError;
use crate::limits::LARGEST_STATE;
use crate::rules::{Label, Unheard, check_owner, check_state, continues, surplus, usable, worth_keeping};
use crate::settings::Settings;
use crate::store::{Answer, Owner, Past, StateStore, Stored};

/// "stat", so that `file` and we know whose database it is.
const APPLICATION: i32 = 0x7374_6174;
const FORMAT: i32 = 1;

/// How many saves share a transaction at most: beyond a few hundred, waiting costs more than syncing less often gains.
const GROUP: usize = 256;

const SCHEMA: &str = "
CREATE TABLE state (
    tenant TEXT NOT NULL, component TEXT NOT NULL, revision INTEGER NOT NULL, saved_at INTEGER,
    version TEXT, digest TEXT, checksum BLOB NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (tenant, component)
);
CREATE TABLE history (
    tenant TEXT NOT NULL, component TEXT NOT NULL, revision INTEGER NOT NULL, saved_at INTEGER,
    version TEXT, digest TEXT, checksum BLOB NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (tenant, component, revision)
);
";

/// A database of states. Clones share it; it is closed, which
/// blocks for a moment, when the last of them and of their tenants' states is gone.
#[derive(Clone, Debug)]
pub struct Database {
    shared: Arc<Shared>,
}

/// The state of one tenant and component in a [`Database`].
#[derive(Debug)]
pub struct TenantState {
    shared: Arc<Shared>,
    owner: Owner,
    location: String,
    unheard: Arc<Mutex<Option<Unheard>>>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    settings: Settings,
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Database {
    /// Opens the database, or creates it; its folder must exist. Blocks for a moment.
    ///
    /// # Errors
    ///
    /// If the file is not a database of states or was written by a newer version, or cannot be opened and written to.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, StateError> {
        let path = resolve(path)?;
        let location = path.display().to_string();
        if !path.exists() {
            create_database(&path)?;
        }
        let refused = |action| {
            let location = location.clone();
            move |error: rusqlite::Error| Refusal::new(action, &error).at(&location)
        };
        let connection = connect(&path).map_err(refused("open"))?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let application = pragma("application_id").map_err(refused("open"))?;
        let format = pragma("user_version").map_err(refused("open"))?;
        let not = |reason| Err(StateError::NotAState { location: location.clone(), reason });
        match (application, format) {
            (APPLICATION, FORMAT) => {}
            (APPLICATION, _) => return not("was written by a newer version of this program"),
            (0, 0) => return not("is empty, and should be a database of states"),
            _ => return not("is a database of another program"),
        }
        if !set_up(&connection, settings.patience).map_err(refused("open"))? {
            return not("lies where SQLite cannot have a write-ahead log, such as on a network drive");
        }
        // A host that was killed may have written what it had not synced yet, and what is read should be safe.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(refused("open"))?;
        let identity = Identity::of(&std::fs::metadata(&path).map_err(failure("find", &path))?);
        let (sender, jobs) = mpsc::channel();
        let writer = Writer { connection, identity, wal: None, path: path.clone(), location };
        let thread = std::thread::Builder::new()
            .name("states".into())
            .spawn(move || writer.work(&jobs))
            .map_err(failure("start a thread for", &path))?;
        let shared =
            Shared { path, settings, jobs: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The state of this tenant and component. Two of the same tenant get conflicts when they save.
    ///
    /// # Errors
    ///
    /// If the owner's names cannot be used.
    pub fn tenant(&self, owner: Owner) -> Result<TenantState, StateError> {
        check_owner(&owner)?;
        let location = format!("{} of tenant {:?}", self.shared.path.display(), owner.tenant);
        Ok(TenantState { shared: Arc::clone(&self.shared), owner, location, unheard: Arc::default() })
    }
}

/// Makes a whole database beside and gives it its name at the end. So an empty file is never a database that was just
/// being made: it is one that lost what it had, and is refused.
fn create_database(path: &Path) -> Result<(), StateError> {
    if beside(path, "-wal").exists() {
        return Err(StateError::NotAState {
            location: path.display().to_string(),
            reason: "is not there and its last changes (-wal) are",
        });
    }
    let new = unique(path, "new");
    let io = failure("create", path);
    for suffix in ["", "-wal", "-shm", "-journal"] {
        remove(&beside(&new, suffix)).map_err(&io)?;
    }
    // SQLite gives its other files the mode of this one.
    create(&new).map_err(&io)?;
    let made = connect(&new).and_then(|connection| {
        set_up(&connection, Duration::ZERO)?;
        connection.execute_batch(&format!(
            "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
        connection.close().map_err(|(_, error)| error)
    });
    let made = made.map_err(|error| Refusal::new("create", &error).at(&path.display().to_string()));
    // Unlike a rename, a link does not replace what another host has created meanwhile: that one is used.
    let linked = made.and_then(|()| match std::fs::hard_link(&new, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io(error)),
        _ => sync_folder_of(path).map_err(&io),
    });
    let removed = remove(&new).map_err(&io);
    linked.and(removed)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Whether it has a write-ahead log now.
fn set_up(connection: &Connection, patience: Duration) -> rusqlite::Result<bool> {
    connection.busy_timeout(patience)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where a sync alone does not reach the disk (macOS).
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

impl Drop for Shared {
    fn drop(&mut self) {
        *guard(&self.jobs) = None;
        if let Some(thread) = guard(&self.thread).take() {
            // It has answered everybody. If it has panicked, they know.
            let _ = thread.join();
        }
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that owns the connection.
struct Writer {
    connection: Connection,
    path: PathBuf,
    location: String,
    identity: Identity,
    wal: Option<Identity>,
}

impl Writer {
    fn work(mut self, jobs: &mpsc::Receiver<Box<dyn Job>>) {
        while let Ok(first) = jobs.recv() {
            let mut group = vec![first];
            group.extend(jobs.try_iter().take(GROUP - 1));
            // Nobody waits for these any more, and they have not begun.
            group.retain(|job| !job.is_abandoned());
            match self.transact(&mut group) {
                // One tenant's megabyte may be what does not fit.
                Err(TransactionError::Refused(refusal)) if refusal.full && group.len() > 1 => {
                    for job in group {
                        let mut alone = vec![job];
                        let outcome = self.transact(&mut alone);
                        self.answer(alone, &outcome);
                    }
                }
                outcome => self.answer(group, &outcome),
            }
        }
    }

    fn transact(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), TransactionError> {
        if group.is_empty() {
            return Ok(());
        }
        self.is_in_place()?;
        let begin = if group.iter().any(|job| job.writes()) { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let refused = |error| TransactionError::Refused(Refusal::new("write the state in", &error));
        self.connection.execute_batch(begin).map_err(refused)?;
        let outcome = group
            .iter_mut()
            .try_for_each(|job| job.run(&self.connection))
            .and_then(|()| self.connection.execute_batch("COMMIT"))
            .map_err(refused);
        if !self.connection.is_autocommit() {
            // If that fails as well, SQLite has rolled back already, or the next BEGIN says what is wrong.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        outcome.and_then(|()| self.is_in_place())
    }

    /// What SQLite writes to a file that somebody removed is lost, and SQLite does not notice. So this is asked before a
    /// transaction, and again before anybody hears that it is safe.
    fn is_in_place(&mut self) -> Result<(), TransactionError> {
        let wal = beside(&self.path, "-wal");
        let check = || {
            self.identity.still_at(&self.path)?;
            match self.wal {
                Some(identity) => identity.still_at(&wal),
                None => Ok(()),
            }
        };
        check().map_err(TransactionError::Moved)?;
        if self.wal.is_none() {
            self.wal = std::fs::metadata(&wal).ok().map(|metadata| Identity::of(&metadata));
        }
        Ok(())
    }

    fn answer(&self, group: Vec<Box<dyn Job>>, outcome: &Result<(), TransactionError>) {
        for job in group {
            job.answer(match outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(error.at(&self.location)),
            });
        }
    }
}

/// Why a whole transaction failed. Each of its jobs is told.
enum TransactionError {
    Moved(StateError),
    Refused(Refusal),
}

impl TransactionError {
    fn at(&self, location: &str) -> StateError {
        match self {
            Self::Moved(StateError::Io { action, location, reason }) => StateError::Io {
                action,
                location: location.clone(),
                reason: io::Error::new(reason.kind(), reason.to_string()),
            },
            Self::Moved(_) => StateError::Replaced { location: location.to_owned() },
            Self::Refused(refusal) => refusal.at(location),
        }
    }
}

/// What SQLite said.
struct Refusal {
    action: &'static str,
    reason: String,
    passes: bool,
    full: bool,
    damaged: Option<&'static str>,
}

impl Refusal {
    fn new(action: &'static str, error: &rusqlite::Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, OutOfMemory,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        let code = error.sqlite_error_code();
        let hint = match code {
            Some(DiskFull) => "; make room, then it goes on from the state saved before",
            Some(CannotOpen | PermissionDenied | ReadOnly) => {
                "; neither it nor its folder may be read-only for this host's user"
            }
            Some(DatabaseBusy) => "; another program keeps it locked",
            _ => "",
        };
        let damaged = match code {
            Some(NotADatabase) => Some("is not a database"),
            Some(DatabaseCorrupt) => Some("is a damaged database"),
            _ => None,
        };
        Self {
            action,
            reason: format!("{error}{hint}"),
            passes: matches!(
                code,
                Some(DiskFull | DatabaseBusy | DatabaseLocked | SystemIoFailure | OutOfMemory)
            ),
            full: code == Some(DiskFull),
            damaged,
        }
    }

    fn at(&self, location: &str) -> StateError {
        let location = location.to_owned();
        match self.damaged {
            Some(reason) => StateError::NotAState { location, reason },
            None => StateError::Database {
                action: self.action,
                location,
                reason: self.reason.clone(),
                passes: self.passes,
            },
        }
    }
}

/// What a tenant wants done in a transaction.
trait Job: Send {
    fn writes(&self) -> bool;
    fn is_abandoned(&self) -> bool;
    /// May run again after a transaction that was rolled back.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StateError>);
}

/// What a job says about its own tenant; an error in it does not concern the others of the transaction.
struct Done<T> {
    value: Result<T, StateError>,
    wrote: Option<Unheard>,
}

impl<T> From<Result<T, StateError>> for Done<T> {
    fn from(value: Result<T, StateError>) -> Self {
        Self { value, wrote: None }
    }
}

struct Work<T, F> {
    writes: bool,
    work: F,
    done: Option<Done<T>>,
    location: String,
    unheard: Arc<Mutex<Option<Unheard>>>,
    sender: oneshot::Sender<Result<T, StateError>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<Done<T>> + Send,
{
    fn writes(&self) -> bool {
        self.writes
    }

    fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.done = Some(match (self.work)(connection) {
            // A value of a type that we never write: that row was tampered with, and the others were not.
            Err(error) if error.sqlite_error_code().is_none() => {
                let location = self.location.clone();
                Err(StateError::NotAState { location, reason: "is damaged" }).into()
            }
            done => done?,
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StateError>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => {
                if let Some(wrote) = done.wrote {
                    *guard(&self.unheard) = Some(wrote);
                }
                done.value
            }
            (Err(error), _) => Err(error),
            // A committed transaction has run all of its jobs.
            (Ok(()), None) => return,
        };
        // If nobody waits any more, `unheard` knows.
        let _ = self.sender.send(answer);
    }
}

impl TenantState {
    async fn run<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnMut(&Connection) -> rusqlite::Result<Done<T>> + Send + 'static,
    ) -> Result<T, StateError> {
        let (sender, receiver) = oneshot::channel();
        let (location, unheard) = (self.location.clone(), Arc::clone(&self.unheard));
        let work = Work { writes, work, done: None, location, unheard, sender };
        // The thread ends before its sender only by a panic.
        let gone = || StateError::Database {
            action: "use",
            location: self.location.clone(),
            reason: "its thread has ended; start again".into(),
            passes: false,
        };
        guard(&self.shared.jobs).as_ref().and_then(|jobs| jobs.send(Box::new(work)).ok()).ok_or_else(gone)?;
        let answer = receiver.await.map_err(|_| gone())??;
        *guard(&self.unheard) = None;
        Ok(answer)
    }

    fn cell(&self) -> Cell {
        Cell {
            owner: self.owner.clone(),
            location: self.location.clone(),
            settings: self.shared.settings.clone(),
        }
    }
}

impl StateStore for TenantState {
    fn load(&mut self) -> Answer<'_, Option<Stored>> {
        let cell = self.cell();
        Box::pin(self.run(false, move |connection| {
            let current = cell.current(connection)?;
            Ok(current.map(|current| current.map(|(label, state)| label.stored(state))).into())
        }))
    }

    fn save<'a>(&'a mut self, state: &'a str, expected: Option<u64>) -> Answer<'a, u64> {
        let cell = self.cell();
        Box::pin(async move {
            check_state(state, &self.location)?;
            let state = state.to_owned();
            // Asked when it is this save's job that runs: one that was dropped may be under way until then. The two are never in one
            // transaction, for a dropped one that has not begun is left out.
            let unheard = Arc::clone(&self.unheard);
            self.run(true, move |connection| cell.save(connection, &state, expected, *guard(&unheard))).await
        })
    }

    fn history(&mut self) -> Answer<'_, Vec<Past>> {
        let cell = self.cell();
        Box::pin(self.run(false, move |connection| {
            Ok(Ok(cell.history(connection)?.iter().map(Label::past).collect()).into())
        }))
    }

    fn roll_back(&mut self, to: u64) -> Answer<'_, Stored> {
        let cell = self.cell();
        Box::pin(self.run(true, move |connection| cell.roll_back(connection, to)))
    }

    fn check(&mut self) -> Answer<'_, ()> {
        let cell = self.cell();
        let path = self.shared.path.clone();
        Box::pin(self.run(true, move |connection| {
            let checked = cell.current(connection)?;
            connection.execute_batch("SAVEPOINT attempt")?;
            let written = connection.execute(
                "INSERT OR REPLACE INTO state VALUES (?, ?, 0, NULL, NULL, NULL, x'', x'')",
                params![cell.owner.tenant, cell.owner.component],
            );
            connection.execute_batch("ROLLBACK TO attempt; RELEASE attempt")?;
            written?;
            let space = || probe(&unique(&path, "check"), LARGEST_STATE);
            Ok(checked.and_then(|_| space()).into())
        }))
    }
}

/// One tenant's rows.
struct Cell {
    owner: Owner,
    location: String,
    settings: Settings,
}

type Read = Result<(Label, String), StateError>;

impl Cell {
    fn label(&self, row: &Row<'_>) -> rusqlite::Result<Label> {
        let saved_at: Option<i64> = row.get("saved_at")?;
        Ok(Label {
            tenant: self.owner.tenant.clone(),
            component: self.owner.component.clone(),
            version: row.get("version")?,
            digest: row.get("digest")?,
            revision: row.get("revision")?,
            saved_at: saved_at.map(i64::unsigned_abs),
            bytes: row.get("bytes")?,
        })
    }

    fn read(&self, row: &Row<'_>) -> rusqlite::Result<Read> {
        let label = self.label(row)?;
        let state: Vec<u8> = row.get("state")?;
        let unusable = |reason| StateError::NotAState { location: self.location.clone(), reason };
        let sum: Vec<u8> = row.get("checksum")?;
        if Sha256::digest(&state)[..] != sum[..] {
            return Ok(Err(unusable("is damaged")));
        }
        Ok(usable(state).map_err(unusable).map(|state| (label, state)))
    }

    fn current(
        &self,
        connection: &Connection,
    ) -> rusqlite::Result<Result<Option<(Label, String)>, StateError>> {
        let read = connection
            .prepare_cached("SELECT *, length(state) AS bytes FROM state WHERE tenant = ? AND component = ?")?
            .query_row(params![self.owner.tenant, self.owner.component], |row| self.read(row))
            .optional()?;
        Ok(read.transpose())
    }

    fn history(&self, connection: &Connection) -> rusqlite::Result<Vec<Label>> {
        connection
            .prepare_cached(
                "SELECT revision, saved_at, version, digest, length(state) AS bytes FROM history
                 WHERE tenant = ? AND component = ? ORDER BY revision DESC",
            )?
            .query_map(params![self.owner.tenant, self.owner.component], |row| self.label(row))?
            .collect()
    }

    fn save(
        &self,
        connection: &Connection,
        state: &str,
        expected: Option<u64>,
        unheard: Option<Unheard>,
    ) -> rusqlite::Result<Done<u64>> {
        let current = match self.current(connection)? {
            Ok(current) => current,
            Err(error) => return Ok(Err(error).into()),
        };
        let found = current.as_ref().map(|(label, _)| label.revision);
        if let Err(error) = continues(found, expected, unheard, &self.location) {
            return Ok(Err(error).into());
        }
        let history = self.history(connection)?;
        let mut keep = false;
        if let Some((label, text)) = &current {
            if text == state {
                return Ok(Ok(label.revision).into());
            }
            keep = worth_keeping(label, history.first(), &self.owner, &self.settings);
        }
        let revision = next(found, &history);
        let label = Label::new(&self.owner, revision, self.settings.now(), state);
        self.replace(connection, &label, state, keep)?;
        Ok(Done { value: Ok(revision), wrote: Some(Unheard { expected, revision }) })
    }

    fn roll_back(&self, connection: &Connection, to: u64) -> rusqlite::Result<Done<Stored>> {
        let current = match self.current(connection)? {
            Ok(current) => current,
            Err(error) => return Ok(Err(error).into()),
        };
        if let Some((label, state)) = current.clone()
            && label.revision == to
        {
            return Ok(Ok(label.stored(state)).into());
        }
        let key = i64::try_from(to).unwrap_or(-1);
        let earlier = connection
            .prepare_cached(
                "SELECT *, length(state) AS bytes FROM history
                 WHERE tenant = ? AND component = ? AND revision = ?",
            )?
            .query_row(params![self.owner.tenant, self.owner.component, key], |row| self.read(row))
            .optional()?;
        let history = self.history(connection)?;
        let (earlier, state) = match earlier {
            Some(Ok(earlier)) => earlier,
            Some(Err(error)) => return Ok(Err(error).into()),
            None => {
                let available = history.iter().map(|label| label.revision).collect();
                let location = self.location.clone();
                return Ok(Err(StateError::NoSuchRevision { location, revision: to, available }).into());
            }
        };
        let found = current.map(|(label, _)| label.revision);
        let label = earlier.again(next(found, &history), self.settings.now());
        self.replace(connection, &label, &state, true)?;
        Ok(Ok(label.stored(state)).into())
    }

    fn replace(
        &self,
        connection: &Connection,
        label: &Label,
        state: &str,
        keep: bool,
    ) -> rusqlite::Result<()> {
        let key = params![self.owner.tenant, self.owner.component];
        if keep {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO history SELECT * FROM state WHERE tenant = ? AND component = ?",
                )?
                .execute(key)?;
        }
        connection.prepare_cached("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?.execute(
            params![
                label.tenant,
                label.component,
                label.revision,
                label.saved_at,
                label.version,
                label.digest,
                &Sha256::digest(state)[..],
                state.as_bytes()
            ],
        )?;
        if keep {
            let history = self.history(connection)?;
            for revision in surplus(&history, Some(&self.owner.version), self.settings.history) {
                connection
                    .prepare_cached(
                        "DELETE FROM history WHERE tenant = ? AND component = ? AND revision = ?",
                    )?
                    .execute(params![self.owner.tenant, self.owner.component, revision])?;
            }
        }
        Ok(())
    }
}

fn next(found: Option<u64>, history: &[Label]) -> u64 {
    let highest = history.first().map(|label| label.revision);
    found.max(highest).map_or(1, |highest| highest + 1)
}
