//! A file of events, rotated.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDateTime, Utc};

use super::appender::{Appender, folder};
use crate::document;
use crate::output::{Check, Closing, Delivered, Delivery, Output, OutputError};
use crate::settings::{Problems, SettingsError};
use crate::worker::Worker;

/// How a rotated file is named: the time at which it ended, in UTC, so that names sort by age.
const STAMP: &str = "%Y%m%dT%H%M%S%.3fZ";

/// Settings of an [`EventFile`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileSettings {
    /// The file. Its folder must exist.
    pub path: PathBuf,
    /// A new file is begun before a batch that would make this one longer, in bytes; a longer batch has a file of its
    /// own. None, the default: never. At least 1.
    pub rotate_bytes: Option<u64>,
    /// A new file is begun before the first batch that comes so long after this file was created. None, the default:
    /// never. At least 1 second.
    pub rotate_after: Option<Duration>,
    /// How many rotated files are kept; older ones are deleted. 0, the default: all.
    pub keep: usize,
}

impl FileSettings {
    /// One file that grows.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), rotate_bytes: None, rotate_after: None, keep: 0 }
    }

    /// Names everything that is wrong.
    ///
    /// # Errors
    ///
    /// If something is.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let mut problems = Problems::default();
        problems.unless(self.path.file_name().is_some(), "path", "is not the path of a file; name one");
        problems.unless(self.rotate_bytes != Some(0), "rotate_bytes", "must be at least 1");
        let short = self.rotate_after.is_some_and(|age| age < Duration::from_secs(1));
        problems.unless(!short, "rotate_after", "must be at least 1 second");
        problems.done(Some(()))
    }
}

/// A file that events are appended to, one per line, synced to the disk after each batch.
///
/// A batch stands there as a whole or not at all, as far as anybody but a kill is concerned; after a kill the same events
/// come again. Order is kept. The file belongs to its owner alone (mode 0600) and to one host (see `<file>.lock`). Rotated
/// by size and by age to `<file>.<time>`, never in the midst of a batch; if somebody else renames or deletes it
/// (logrotate), the next batch begins a new one, with or without a signal.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use event_output::{EventFile, FileSettings, Output};
///
/// let folder = tempfile::tempdir().unwrap();
/// let mut settings = FileSettings::new(folder.path().join("events.ndjson"));
/// settings.rotate_bytes = Some(100 << 20);
/// settings.keep = 10;
/// let mut output = EventFile::open(settings)?;
/// output.deliver(&[r#"{"event":{"id":"1"}}"#.to_owned()]).await?;
/// output.close().await?;
/// # Ok::<(), event_output::OutputError>(())
/// # }).unwrap();
/// ```
pub struct EventFile {
    path: PathBuf,
    worker: Worker<Rotated>,
}

/// What the time is.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The file and its rotation, on the thread that writes.
struct Rotated {
    settings: FileSettings,
    /// None once it was closed.
    appender: Option<Appender>,
    opened: SystemTime,
    clock: Clock,
}

impl EventFile {
    /// Opens or creates the file, and mends a last line that was torn by a kill.
    ///
    /// # Errors
    ///
    /// If the settings are wrong, or the file cannot be opened, is in use, or ends with something else.
    pub fn open(settings: FileSettings) -> Result<Self, OutputError> {
        Self::open_at(settings, Arc::new(SystemTime::now))
    }

    fn open_at(settings: FileSettings, clock: Clock) -> Result<Self, OutputError> {
        settings.validate().map_err(|error| OutputError::mistake(error.to_string()))?;
        let path = settings.path.clone();
        let appender = Appender::open(&path)?;
        let rotated = Rotated { settings, appender: Some(appender), opened: clock(), clock };
        let worker = Worker::start(rotated)
            .map_err(|reason| OutputError::unavailable(format!("cannot start a thread: {reason}")))?;
        Ok(Self { path, worker })
    }

    async fn write(&self, lines: Vec<u8>) -> Result<(), OutputError> {
        self.worker.run(move |file| file.write(&lines)).await?
    }
}

impl std::fmt::Debug for EventFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Output for EventFile {
    fn deliver<'a>(&'a mut self, events: &'a [String]) -> Delivery<'a> {
        Box::pin(async move {
            let lines = document::lines(events);
            let bytes_sent = lines.len() as u64;
            self.write(lines).await?;
            Ok(Delivered { events: events.len() as u64, requests: 1, bytes_sent, ..Delivered::default() })
        })
    }

    fn check<'a>(&'a mut self) -> Check<'a> {
        Box::pin(async move {
            self.write(Vec::new()).await?;
            Ok(format!("the file {} can be written to", self.path.display()))
        })
    }

    fn close<'a>(&'a mut self) -> Closing<'a> {
        Box::pin(async move { self.worker.run(|file| file.appender = None).await })
    }
}

impl Rotated {
    fn write(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        let now = (self.clock)();
        let appender = match &mut self.appender {
            Some(appender) => appender,
            closed @ None => {
                self.opened = now;
                closed.insert(Appender::open(&self.settings.path)?)
            }
        };
        appender.follow()?;
        let metadata = appender.metadata()?;
        let created = metadata.created().unwrap_or(self.opened);
        let old =
            self.settings.rotate_after.is_some_and(|age| now.duration_since(created).is_ok_and(|a| a >= age));
        let long = self.settings.rotate_bytes.is_some_and(|most| metadata.len() + lines.len() as u64 > most);
        if metadata.len() > 0 && !lines.is_empty() && (old || long) {
            let name = free_name(appender.path(), now);
            appender.move_to(&name)?;
            self.opened = now;
            delete_old(appender.path(), self.settings.keep);
        }
        appender.append(lines)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// A name that nothing bears: another file is never replaced.
fn free_name(path: &Path, now: SystemTime) -> PathBuf {
    let mut time = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    loop {
        let stamp = DateTime::<Utc>::from_timestamp(time.as_secs().cast_signed(), time.subsec_nanos());
        let name = with_suffix(path, &stamp.unwrap_or_default().format(STAMP).to_string());
        if !name.exists() {
            return name;
        }
        time += Duration::from_millis(1);
    }
}

/// Deletes rotated files beyond the newest `keep`. One that is not named like them is not ours. What cannot be deleted is
/// said and does not stop a delivery.
fn delete_old(path: &Path, keep: usize) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| keep > 0) else {
        return;
    };
    let mut rotated: Vec<PathBuf> = fs::read_dir(folder(path))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let other = entry.file_name();
            let stamp = other.to_str().and_then(|other| other.strip_prefix(name)?.strip_prefix('.'));
            stamp.is_some_and(|stamp| NaiveDateTime::parse_from_str(stamp, STAMP).is_ok())
        })
        .map(|entry| entry.path())
        .collect();
    rotated.sort_unstable();
    for old in rotated.iter().take(rotated.len().saturating_sub(keep)) {
        if let Err(reason) = fs::remove_file(old) {
            tracing::warn!(file = %old.display(), %reason, "cannot delete an old file of events");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::output::OutputErrorKind;

    fn events(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn events_are_appended_one_per_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        fs::write(&path, "{\"n\":1}\n").unwrap();
        let mut output = EventFile::open(FileSettings::new(&path)).unwrap();
        output.deliver(&events(&["{\"n\":2}", "{\"n\":3}"])).await.unwrap();
        output.deliver(&[]).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    }

    #[tokio::test]
    async fn a_closed_file_may_be_taken_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let settings = FileSettings::new(folder.path().join("events.ndjson"));
        let mut first = EventFile::open(settings.clone()).unwrap();
        assert_eq!(EventFile::open(settings.clone()).unwrap_err().kind(), OutputErrorKind::Mistake);
        first.close().await.unwrap();
        let mut second = EventFile::open(settings).unwrap();
        second.deliver(&events(&["{}"])).await.unwrap();
        assert_eq!(first.deliver(&events(&["{}"])).await.unwrap_err().kind(), OutputErrorKind::Mistake);
        drop(second);
        first.deliver(&events(&["{}"])).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_was_renamed_or_deleted_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut output = EventFile::open(FileSettings::new(&path)).unwrap();
        output.deliver(&events(&["{\"n\":1}"])).await.unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        output.deliver(&events(&["{\"n\":2}"])).await.unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("old")).unwrap(), "{\"n\":1}\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
        fs::remove_file(&path).unwrap();
        output.reopen();
        output.deliver(&events(&["{\"n\":3}"])).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":3}\n");
    }

    #[tokio::test]
    async fn a_file_is_rotated_by_size_between_batches_and_the_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut settings = FileSettings::new(&path);
        settings.rotate_bytes = Some(10);
        settings.keep = 2;
        fs::write(folder.path().join("events.ndjson.mine"), "not to be deleted").unwrap();
        let mut output = EventFile::open(settings).unwrap();
        for n in 0..5 {
            output.deliver(&[format!("{{\"n\":{n}}}"), "{\"same\":\"batch\"}".into()]).await.unwrap();
        }
        let names = names(folder.path());
        assert_eq!(names.len(), 5, "{names:?}");
        let kept: Vec<String> =
            names[1..3].iter().map(|name| fs::read_to_string(folder.path().join(name)).unwrap()).collect();
        assert_eq!(kept, ["{\"n\":2}\n{\"same\":\"batch\"}\n", "{\"n\":3}\n{\"same\":\"batch\"}\n"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":4}\n{\"same\":\"batch\"}\n");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_behind_a_link_is_rotated_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.ndjson");
        let link = folder.path().join("link.ndjson");
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut settings = FileSettings::new(&link);
        settings.rotate_bytes = Some(1);
        let mut output = EventFile::open(settings).unwrap();
        output.deliver(&events(&["{\"n\":1}"])).await.unwrap();
        output.deliver(&events(&["{\"n\":2}"])).await.unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "{\"n\":2}\n");
        assert!(link.is_symlink());
        // The link, the file, its lock, and the one that was rotated.
        assert_eq!(names(folder.path()).len(), 4);
    }

    #[tokio::test]
    async fn a_file_is_rotated_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = FileSettings::new(folder.path().join("events.ndjson"));
        settings.rotate_after = Some(Duration::from_secs(3600));
        let now = Arc::new(Mutex::new(SystemTime::now()));
        let shown = now.clone();
        let mut output = EventFile::open_at(settings, Arc::new(move || *shown.lock().unwrap())).unwrap();
        output.deliver(&events(&["{}"])).await.unwrap();
        output.deliver(&events(&["{}"])).await.unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        *now.lock().unwrap() += Duration::from_secs(3700);
        output.deliver(&events(&["{}"])).await.unwrap();
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[tokio::test]
    async fn a_delivery_that_is_dropped_leaves_whole_batches() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut output = EventFile::open(FileSettings::new(&path)).unwrap();
        let batch: Vec<String> = (0..1000).map(|n| format!("{{\"n\":{n}}}")).collect();
        for _ in 0..20 {
            let mut delivery = output.deliver(&batch);
            std::future::poll_fn(|cx| std::task::Poll::Ready(delivery.as_mut().poll(cx).is_ready())).await;
        }
        output.deliver(&batch).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let there: Vec<&str> = text.lines().collect();
        assert!(!there.is_empty() && there.chunks(1000).all(|chunk| chunk == batch), "{} lines", there.len());
    }

    #[test]
    fn a_rotated_file_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let first = free_name(&path, UNIX_EPOCH);
        fs::write(&first, "").unwrap();
        let second = free_name(&path, UNIX_EPOCH);
        assert!(first.ends_with("x.19700101T000000.000Z"), "{first:?}");
        assert!(second.ends_with("x.19700101T000000.001Z"), "{second:?}");
    }

    #[test]
    fn settings_that_make_no_sense_are_named_all_at_once() {
        let mut settings = FileSettings::new("/");
        settings.rotate_bytes = Some(0);
        settings.rotate_after = Some(Duration::ZERO);
        assert_eq!(settings.validate().unwrap_err().problems().len(), 3);
    }
}
