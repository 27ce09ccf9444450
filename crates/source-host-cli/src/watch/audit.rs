//! The audit trail: one line of JSON for each request that a component made or wanted to make.
//!
//! A line must not hold up a poll, and must not fill the memory when the disk is slow. So lines go through a bounded channel to
//! a thread of their own, and what does not fit there is dropped. How many were dropped is said in a line of its own before
//! the next line, so that a trail with a hole does not look like one without.
//!
//! A component chooses host and path. They are cut, stand in JSON strings, and never make a second line.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use source_host::{Observer, RequestRecord, printable};

/// Lines that wait for the disk.
const WAITING: usize = 4096;
/// After so many lines in a row it is looked whether the file is still the one of that name.
const LOOK_AFTER: u32 = 256;
/// The longest path, host or error of a line, in characters: what waits is below 64 MiB at the very worst.
const LONGEST_TEXT: usize = 1024;

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    tenant: &'a str,
    component: &'a str,
    method: &'a str,
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
    status: Option<u16>,
    denied: bool,
    /// So many before it were refused like it, faster than they may be told of one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    untold_before: Option<u64>,
    error: Option<&'a str>,
    bytes_sent: u64,
    bytes_received: u64,
    ms: u64,
}

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

#[derive(Debug, Default)]
struct Counts {
    /// Not told of yet.
    untold: AtomicU64,
    dropped: AtomicU64,
    reopen: AtomicBool,
}

impl Counts {
    fn drop_one(&self) {
        self.untold.fetch_add(1, Relaxed);
        self.dropped.fetch_add(1, Relaxed);
    }
}

/// Where audit lines go. Cheap to clone; all clones write to the same target. The thread ends once all clones are gone and
/// everything is written.
#[derive(Clone)]
pub struct Audit {
    sender: SyncSender<Message>,
    counts: Arc<Counts>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Audit {
    /// Appends to a file, which only its owner can read if it is made here. It is opened again after [`reopen`](Self::reopen),
    /// and by itself when it was renamed or removed: whatever rotates logs needs to tell nobody.
    pub fn to_file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let trail = Trail::open(path.into())?;
        Self::start(Box::new(trail))
    }

    /// Writes to something else, for instance standard output.
    pub fn to_writer(writer: impl Write + Send + 'static) -> io::Result<Self> {
        Self::start(Box::new(Writer(writer)))
    }

    fn start(target: Box<dyn Target>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        thread::Builder::new().name("audit".into()).spawn(move || write_all(target, &receiver, &theirs))?;
        Ok(Self { sender, counts })
    }

    /// What observes one tenant.
    pub fn tenant(&self, tenant: &str, component_digest: &str) -> Arc<TenantAudit> {
        Arc::new(TenantAudit {
            tenant: short(tenant),
            component: short(component_digest),
            audit: self.clone(),
        })
    }

    /// Opens the file again before the next line: after a SIGHUP.
    pub fn reopen(&self) {
        self.counts.reopen.store(true, Relaxed);
    }

    /// How many lines were dropped, for want of capacity or because they could not be written.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Relaxed)
    }

    /// Returns once all that was told before is written. Blocks: for the end of a program.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _ = written.recv();
        }
    }
}

/// Observes one tenant for an [`Audit`].
#[derive(Debug)]
pub struct TenantAudit {
    tenant: String,
    component: String,
    audit: Audit,
}

impl Observer for TenantAudit {
    fn request(&self, request: &RequestRecord<'_>) {
        // The record has no query. Should that ever change, the trail must not.
        let path = request.path.split(['?', '#']).next().unwrap_or_default();
        let error = request.error.map(short);
        let line = Line {
            time: &time(SystemTime::now()),
            tenant: &self.tenant,
            component: &self.component,
            method: &short(request.method),
            scheme: request.scheme,
            host: &short(request.authority),
            path: &short(path),
            status: request.status,
            denied: request.denied,
            untold_before: Some(request.untold_before).filter(|untold| *untold > 0),
            error: error.as_deref(),
            bytes_sent: request.bytes_sent,
            bytes_received: request.bytes_received,
            ms: u64::try_from(request.duration.as_millis()).unwrap_or(u64::MAX),
        };
        let line = serde_json::to_string(&line).map(|line| line + "\n");
        if !line.is_ok_and(|line| self.audit.sender.try_send(Message::Line(line)).is_ok()) {
            self.audit.counts.drop_one();
        }
    }
}

fn short(text: &str) -> String {
    let mut chars = text.chars();
    let kept: String = chars.by_ref().take(LONGEST_TEXT).collect();
    let cut = if chars.next().is_some() { "…" } else { "" };
    printable(kept) + cut
}

fn time(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or_default();
    DateTime::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Where lines are written to.
trait Target: Send {
    fn write_line(&mut self, line: &str) -> io::Result<()>;

    fn flush(&mut self) -> io::Result<()>;

    /// Looks whether it is still the right file. `reopen`: takes it anew in any case.
    fn renew(&mut self, reopen: bool) -> io::Result<()> {
        let _ = reopen;
        Ok(())
    }
}

struct Writer<W>(W);

impl<W: Write + Send> Target for Writer<W> {
    fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(line.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file that is appended to.
struct Trail {
    path: PathBuf,
    file: File,
    inode: (u64, u64),
    /// Whether the last line has no end: a host died within it, or the disk was full.
    torn: bool,
}

impl Trail {
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not a file", path.display()),
            ));
        }
        let mut last = [b'\n'];
        if metadata.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self { path, inode: inode(&metadata), file, torn: last != [b'\n'] })
    }

    fn is_at(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|metadata| inode(&metadata) == self.inode)
    }
}

fn inode(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Target for Trail {
    fn write_line(&mut self, line: &str) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut left = line.as_bytes();
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn = left.len() < line.len();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn renew(&mut self, reopen: bool) -> io::Result<()> {
        if reopen || !self.is_at(&self.path) {
            *self = Self::open(self.path.clone())?;
        }
        Ok(())
    }
}

fn write_all(mut target: Box<dyn Target>, receiver: &Receiver<Message>, counts: &Counts) {
    let mut since_look = LOOK_AFTER;
    let mut failing = false;
    let mut lost = false;
    loop {
        let message = match receiver.try_recv() {
            Ok(message) => message,
            // Nothing waits: all of it is handed on, and the next line, whenever it comes, looks for the file first.
            Err(_) => {
                let _ = target.flush();
                since_look = LOOK_AFTER;
                match receiver.recv() {
                    Ok(message) => message,
                    Err(_) => return,
                }
            }
        };
        let line = match message {
            Message::Line(line) => line,
            Message::Flush(done) => {
                let _ = target.flush();
                // Who waits for this may rotate the file next.
                since_look = LOOK_AFTER;
                let _ = done.send(());
                continue;
            }
        };
        let reopen = counts.reopen.swap(false, Relaxed);
        if reopen || since_look >= LOOK_AFTER {
            since_look = 0;
            let renewed = target.renew(reopen);
            if let (Err(error), false) = (&renewed, lost) {
                // The old one is better than none.
                tracing::error!(
                    %error,
                    "the file of the audit trail cannot be opened again; lines go to the one that was open: \
                     create its folder, or let this program's user write there"
                );
            }
            lost = renewed.is_err();
        }
        since_look += 1;
        let written = tell_dropped(&mut *target, counts).and_then(|()| target.write_line(&line));
        if written.is_err() {
            counts.drop_one();
        }
        if let (Err(error), false) = (&written, failing) {
            tracing::error!(
                %error,
                "the audit trail cannot be written; lines are dropped until it can: free some space"
            );
        }
        failing = written.is_err();
    }
}

/// Says how many lines are missing here, if any.
fn tell_dropped(target: &mut dyn Target, counts: &Counts) -> io::Result<()> {
    let dropped = counts.untold.swap(0, Relaxed);
    if dropped == 0 {
        return Ok(());
    }
    let line = format!("{{\"time\":\"{}\",\"dropped\":{dropped}}}\n", time(SystemTime::now()));
    target.write_line(&line).inspect_err(|_| {
        counts.untold.fetch_add(dropped, Relaxed);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError, mpsc};

    /// Holds each write until it is let through.
    struct Gate(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the other end is gone, everything passes.
            let _ = self.0.recv();
            self.1.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_disk_holds_up_nobody_and_the_next_line_says_what_is_missing() {
        let (gate, held) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let audit = Audit::to_writer(Gate(held, Arc::clone(&written))).unwrap();
        let tenant = audit.tenant("acme", "sha256:00");
        let record = RequestRecord::default();
        // One is in the writer's hands or still waits, all others find capacity or none.
        for _ in 0..WAITING + 100 {
            tenant.request(&record);
        }
        let dropped = audit.dropped();
        assert!((99..=100).contains(&dropped), "{dropped}");
        drop(gate);
        audit.flush();
        tenant.request(&record);
        audit.flush();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: u64 = lines.iter().filter_map(|line| line["dropped"].as_u64()).sum();
        assert_eq!(told, dropped);
        assert_eq!(
            lines.iter().filter(|line| line["tenant"] == "acme").count() as u64,
            WAITING as u64 + 101 - dropped
        );
    }
}
