//! The index of some files: which pieces of them are read, and into which segments. It follows files that grow, notices those that
//! are replaced, and keeps what it made in a folder, so that the next look begins at once.
//!
//! Nothing in the folder is needed: what lacks or does not fit is made anew. Where the disk is full, segments stay in memory. What was made
//! of a file that is no more is removed: it tells of people, and whoever deletes a log wants it gone.
//!
//! Why do segments keep their files open, and the limit for such is raised? A segment that was joined with others or whose file was replaced is
//! removed while somebody may still ask it, and another program may look at the same folder: an open file stays what it was. Half of
//! the limit is for segments; more of them are read into memory.

use crate::segment::{self, Lines, Segment};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

/// How much of a file becomes one segment. Several are made at a time, and each takes about as much again.
const PIECE: u64 = 24 << 20;
/// So many small segments at the end of a file become one.
const SMALL_ONES: usize = 8;
/// A line that is longer than this is not one of documents.
pub const LONGEST_LINE: u64 = PIECE;
/// How much of the beginning and of the end tells a file from another one under its name.
const FINGERPRINT: u64 = 4096;
/// What is written in the folder has this form.
const FORM: u32 = 2;
/// What knows the segments of a file.
const MANIFEST: &str = "index.json";
/// So many files may be open, if the system lets us: macOS refuses more.
#[cfg(unix)]
const OPEN: u64 = 10_240;

/// Something that is told in the page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// The file, if it is about one.
    pub file: Option<String>,
    /// A sentence or two.
    pub text: String,
}

/// One of the files.
#[derive(Clone, Debug, Serialize)]
pub struct FileState {
    /// What it is known by: the same for the same path, whichever other files there are.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// How much of it is read.
    pub read: u64,
    /// What its lines were.
    pub lines: Lines,
    /// Bytes after the last line break.
    pub unfinished: u64,
}

/// All that is known at one moment.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// Another number is another content.
    pub generation: u64,
    /// In the order of the files, and in each of its bytes.
    pub segments: Vec<Arc<Segment>>,
    /// The files.
    pub files: Vec<FileState>,
    /// What is to be told.
    pub notices: Vec<Notice>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    kept: Kept,
    begin: u64,
    end: u64,
    lines: Lines,
}

/// A segment's file. Columns trust their bytes, so a file that is not whole must not be opened: its length and its end are known.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    name: String,
    length: u64,
    tail: String,
}

impl Kept {
    fn of(name: String, bytes: &[u8]) -> Self {
        let begin = bytes.len().saturating_sub(FINGERPRINT as usize);
        Self { name, length: bytes.len() as u64, tail: hash(&bytes[begin..]) }
    }

    fn is_whole(&self, folder: &Path) -> io::Result<bool> {
        let mut file = fs::File::open(folder.join(&self.name))?;
        Ok(file.metadata()?.len() == self.length && tail(&mut file, self.length)? == self.tail)
    }
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    form: u32,
    path: PathBuf,
    head: String,
    head_length: u64,
    tail: String,
    segments: Vec<Stored>,
}

/// Those of a file, in the order of its bytes, each with the file that it is stored in, if it is.
type Segments = Vec<(Arc<Segment>, Option<Kept>)>;

/// The last segment and how many there are, bytes that are not finished, and what is told.
type Shown = (Option<u64>, usize, u64, Option<String>, Option<String>);

struct Followed {
    id: String,
    path: PathBuf,
    /// Which of the sources it is of.
    source: usize,
    folder: PathBuf,
    head: (String, u64),
    tail: String,
    seen: Option<(u64, std::time::SystemTime)>,
    segments: Segments,
    unfinished: u64,
    /// Whether the folder knows of what is read.
    stored: bool,
    /// Told until the file is replaced once more.
    happened: Option<String>,
    /// Why it cannot be read at present.
    unreadable: Option<String>,
}

struct Source {
    path: PathBuf,
    is_folder: bool,
}

/// The files and what is made of them.
pub struct Index {
    sources: Vec<Source>,
    folder: Option<PathBuf>,
    /// So many segments may have a file open.
    most_open: usize,
    files: BTreeMap<PathBuf, Followed>,
    next: AtomicU64,
    generation: u64,
    full: Mutex<Option<String>>,
    snapshot: Mutex<Arc<Snapshot>>,
    said: Vec<Notice>,
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().as_str()[..32].to_owned()
}

fn read_at(file: &mut fs::File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a folder's file is one of events: not a lock, a key, a state or a report beside them.
fn of_events(path: &Path) -> bool {
    const OTHERS: [&str; 16] = [
        "lock",
        "unfinished",
        "gz",
        "tgz",
        "zst",
        "bz2",
        "xz",
        "lz4",
        "lz",
        "lzma",
        "lzo",
        "br",
        "z",
        "sz",
        "zip",
        "7z",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || ".-".contains(c));
    [".ndjson", ".jsonl"].iter().any(|end| {
        base.ends_with(end) || name.contains(&format!("{end}.")) || name.contains(&format!("{end}-"))
    }) && !name.rsplit_once('.').is_some_and(|(_, end)| OTHERS.contains(&end))
}

/// What is the same for all names of a file: symbolic and hard links.
fn identity(path: &Path) -> (u64, u64, PathBuf) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        use std::os::unix::fs::MetadataExt;
        return (metadata.dev(), metadata.ino(), PathBuf::new());
    }
    (0, 0, path.to_owned())
}

/// How many segments may have a file open. Raises what the process may open.
fn most_open() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current: Some(current), maximum } = getrlimit(Resource::Nofile) else {
            return usize::MAX;
        };
        let wanted = maximum.unwrap_or(OPEN).min(OPEN).max(current);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
        (if raised.is_ok() { wanted } else { current } / 2) as usize
    }
    #[cfg(not(unix))]
    usize::MAX
}

/// Removes what was made of a file that is no more. Whatever else somebody has in the folder stays.
fn forget(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == MANIFEST || name.ends_with(".columns") || name.ends_with(".unfinished") {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// Of files that were deleted, or emptied, while nobody looked.
fn forget_gone(folder: &Path) {
    #[derive(Deserialize)]
    struct Named {
        path: PathBuf,
        #[serde(default)]
        segments: Vec<Ends>,
    }
    #[derive(Deserialize)]
    struct Ends {
        end: u64,
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(text) = fs::read(entry.path().join(MANIFEST)) else { continue };
        let Ok(Named { path, segments }) = serde_json::from_slice(&text) else { continue };
        let gone = match fs::metadata(&path) {
            Ok(metadata) => segments.last().is_some_and(|segment| metadata.len() < segment.end),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if gone && entry.file_name().to_string_lossy() == id_of(&path) {
            forget(&entry.path());
        }
    }
}

fn id_of(path: &Path) -> String {
    hash(path.as_os_str().as_encoded_bytes())
}

impl Index {
    /// Of files, and of folders whose files of events are taken, those that come later as well. `folder` holds what is made; without
    /// one all stays in memory. Raises how many files this process may have open.
    pub fn new(sources: &[PathBuf], folder: Option<PathBuf>) -> Result<Self> {
        let mut known = Vec::new();
        for source in sources {
            let kind = fs::metadata(source).with_context(|| {
                format!("cannot read {}. Name a file of events, or a folder with such", source.display())
            })?;
            if !kind.is_file() && !kind.is_dir() {
                bail!("{} is neither a file nor a folder", source.display());
            }
            if kind.is_file() {
                fs::File::open(source).with_context(|| format!("cannot read {}", source.display()))?;
            }
            known.push(Source { path: fs::canonicalize(source)?, is_folder: kind.is_dir() });
        }
        if let Some(folder) = &folder {
            forget_gone(folder);
        }
        Ok(Self {
            sources: known,
            folder,
            most_open: most_open(),
            files: BTreeMap::new(),
            next: AtomicU64::new(1),
            generation: 0,
            full: Mutex::default(),
            snapshot: Mutex::default(),
            said: Vec::new(),
        })
    }

    /// What is known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        lock(&self.snapshot).clone()
    }

    /// Reads what is new. `progress` is called with how many bytes of how many are read. Says whether anything has changed.
    pub fn refresh(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> bool {
        let before = self.shown();
        let (paths, notices) = self.found();
        let gone: Vec<PathBuf> =
            self.files.keys().filter(|path| !paths.contains_key(*path)).cloned().collect();
        for path in gone {
            if let Some(followed) = self.files.remove(&path) {
                followed.forget();
            }
        }
        let mut jobs = Vec::new();
        for (path, source) in paths {
            if !self.files.contains_key(&path) {
                let followed = self.begin(&path, source);
                self.files.insert(path.clone(), followed);
            }
            let Some(followed) = self.files.get_mut(&path) else { continue };
            match followed.look() {
                Ok(found) => {
                    followed.unreadable = None;
                    jobs.extend(found.map(|(begin, end)| (path, begin, end)));
                }
                Err(error) => followed.unreadable = Some(unreadable(&error)),
            }
        }
        let total: u64 = jobs.iter().map(|(_, begin, end)| end - begin).sum();
        let done = AtomicU64::new(0);
        for (path, begin, end) in jobs {
            self.read(&path, begin, end, &|bytes| {
                progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
            });
        }
        if self.shown() != before || notices != self.said || self.generation == 0 {
            self.said.clone_from(&notices);
            self.publish(notices);
            return true;
        }
        false
    }

    /// The files that there are, each once whichever names it has, with the place of its source; and what is to be told of folders.
    fn found(&self) -> (BTreeMap<PathBuf, usize>, Vec<Notice>) {
        let mut notices = Vec::new();
        let mut names = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            if !source.is_folder {
                names.push((source.path.clone(), number));
                continue;
            }
            let entries = fs::read_dir(&source.path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            match entries {
                Ok(entries) => names.extend(
                    entries
                        .into_iter()
                        .map(|entry| entry.path())
                        .filter(|path| of_events(path) && path.is_file())
                        .map(|path| (fs::canonicalize(&path).unwrap_or(path), number)),
                ),
                Err(error) => {
                    let known = self.files.values().filter(|followed| followed.source == number);
                    names.extend(known.map(|followed| (followed.path.clone(), number)));
                    notices.push(Notice {
                        file: Some(source.path.display().to_string()),
                        text: format!("This folder cannot be read: {error}. What was read before is shown."),
                    });
                }
            }
        }
        if names.is_empty() && notices.is_empty() {
            notices.push(Notice {
                file: None,
                text: "There is no file of events here yet (*.ndjson or *.jsonl). It will be shown when it comes.".into(),
            });
        }
        // What is followed already keeps its name.
        names.sort_by_cached_key(|(path, _)| (!self.files.contains_key(path), path.clone()));
        let mut known = BTreeSet::new();
        names.retain(|(path, _)| known.insert(identity(path)));
        (names.into_iter().collect(), notices)
    }

    /// What of the files a snapshot is made of: if it is the same, so is the snapshot.
    fn shown(&self) -> Vec<(PathBuf, Shown)> {
        self.files.iter().map(|(path, followed)| (path.clone(), followed.shown())).collect()
    }

    fn open(&self) -> usize {
        let segments = self.files.values().flat_map(|followed| &followed.segments);
        segments.filter(|(segment, _)| segment.has_file).count()
    }

    /// What the folder has of a file, if it is still the file that it is of.
    fn begin(&self, path: &Path, source: usize) -> Followed {
        let id = id_of(path);
        let folder = self.folder.as_ref().map(|folder| folder.join(&id)).unwrap_or_default();
        let mut followed = Followed {
            id,
            path: path.to_owned(),
            source,
            folder,
            head: Default::default(),
            tail: String::new(),
            seen: None,
            segments: Vec::new(),
            unfinished: 0,
            stored: true,
            happened: None,
            unreadable: None,
        };
        if self.folder.is_some() {
            // Whatever is wrong with it: it is made anew.
            let _ = self.restore(&mut followed);
        }
        followed
    }

    fn restore(&self, followed: &mut Followed) -> Result<()> {
        let manifest: Manifest = serde_json::from_slice(&fs::read(followed.folder.join(MANIFEST))?)?;
        if manifest.form != FORM || manifest.path != followed.path {
            followed.forget();
            bail!("it is of another form, or of another file");
        }
        let mut file = fs::File::open(&followed.path)?;
        let end = manifest.segments.last().map_or(0, |segment| segment.end);
        followed.head = (manifest.head, manifest.head_length);
        followed.tail = manifest.tail;
        if !followed.same(&mut file, end)? {
            followed.head = Default::default();
            followed.forget();
            bail!("the file is another one");
        }
        let room = self.most_open.saturating_sub(self.open());
        for stored in manifest.segments {
            let path = followed.folder.join(&stored.kept.name);
            let in_memory = followed.segments.len() >= room;
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let opened = stored.kept.is_whole(&followed.folder).and_then(|whole| {
                if !whole {
                    return Err(io::Error::other("the index is not whole"));
                }
                if in_memory {
                    let built = segment::Built { bytes: fs::read(&path)?, lines: stored.lines };
                    return Segment::of(built, id, 0, stored.begin, stored.end);
                }
                Segment::open(&path, id, 0, stored.begin, stored.end, stored.lines)
            });
            match opened {
                Ok(segment) => followed.segments.push((Arc::new(segment), Some(stored.kept))),
                Err(error) => {
                    // What stands before it is good; the rest is read again.
                    followed.tail = tail(&mut file, followed.end())?;
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Reads a piece into segments, several at a time. What could not be read comes again.
    fn read(&mut self, path: &Path, begin: u64, end: u64, progress: &(dyn Fn(u64) + Sync)) {
        let room = AtomicUsize::new(self.most_open.saturating_sub(self.open()));
        let Some(followed) = self.files.get_mut(path) else { return };
        let known = followed.end();
        let (begin, joined) = followed.joined(begin, end);
        let stored = self.folder.is_some();
        if stored && let Err(error) = followed.make_folder() {
            full(&self.full, &error);
        }
        let work = Mutex::new(Work { at: begin, end, made: Vec::new(), error: None });
        let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
        let keeper = Keeper { folder: stored.then_some(&*followed.folder), room: &room, problem: &self.full };
        let next = &self.next;
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let result = fs::File::open(path).and_then(|mut file| {
                        while let Some((at, after, piece)) = Work::take(&work, &mut file)? {
                            let id = next.fetch_add(1, Ordering::Relaxed);
                            let built = segment::build(&piece)?;
                            drop(piece);
                            let made = keeper.keep(built, id, at, after)?;
                            progress(after - at);
                            lock(&work).made.push(made);
                        }
                        Ok(())
                    });
                    if let Err(error) = result {
                        lock(&work).error = Some(error);
                    }
                });
            }
        });
        let mut work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
        work.made.sort_by_key(|(segment, _)| segment.begin);
        let before = followed.segments.len();
        for (segment, name) in work.made {
            // Behind a piece that could not be read nothing is taken.
            if segment.begin != followed.end().max(begin) {
                break;
            }
            followed.segments.push((Arc::new(segment), name));
        }
        let marked = if followed.end() < known { Ok(()) } else { followed.mark() };
        if followed.end() < known || marked.is_err() {
            // Nothing is lost that was there, and the marks of the file are those of what is read of it.
            followed.segments.truncate(before);
            followed.segments.extend(joined);
        }
        followed.unreadable = work.error.or(marked.err()).as_ref().map(unreadable);
        // A line that is longer than all may end behind what there was when this began.
        followed.unfinished = end.saturating_sub(followed.end());
        if stored {
            let result = followed.store();
            followed.stored = result.is_ok() && followed.segments.iter().all(|(_, kept)| kept.is_some());
            if let Err(error) = result {
                full(&self.full, &error);
            }
        }
    }

    /// Tells that nothing more is read, as a mistake of this program ended it: its words are on standard error.
    pub fn stop(&mut self) {
        let mut snapshot = (*self.snapshot()).clone();
        self.generation += 1;
        snapshot.generation = self.generation;
        snapshot.notices.push(Notice {
            file: None,
            text: "Reading stopped by a mistake of event-view, which its standard error tells: what was read before is shown, \
                   and nothing that came since. Start event-view again."
                .into(),
        });
        *lock(&self.snapshot) = Arc::new(snapshot);
    }

    fn publish(&mut self, mut notices: Vec<Notice>) {
        self.generation += 1;
        let mut snapshot = Snapshot { generation: self.generation, ..Snapshot::default() };
        for (number, followed) in self.files.values().enumerate() {
            let mut lines = Lines::default();
            for (segment, _) in &followed.segments {
                lines.add(&segment.lines);
                snapshot.segments.push(Segment::of_file(segment, number));
            }
            snapshot.files.push(FileState {
                id: followed.id.clone(),
                path: followed.path.clone(),
                read: followed.end(),
                lines,
                unfinished: followed.unfinished,
            });
            let name = followed.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for text in followed.notices(&lines) {
                notices.push(Notice { file: Some(name.clone()), text });
            }
        }
        if self.files.values().all(|followed| followed.stored) {
            // What lacked is there by now, or is needed no more.
            *lock(&self.full) = None;
        }
        if let Some(error) = lock(&self.full).as_ref() {
            notices.push(Notice {
                file: None,
                text: format!(
                    "The index cannot be written ({error}). It stays in memory, and is made again at the next start; \
                     --index names another folder for it."
                ),
            });
        }
        snapshot.notices = notices;
        *lock(&self.snapshot) = Arc::new(snapshot);
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("It cannot be read: {error}. What was read before is shown.")
}

fn full(problem: &Mutex<Option<String>>, error: &io::Error) {
    *lock(problem) = Some(error.to_string());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Events tell of people: what is made of them is for the one who looks alone.
fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Where segments go.
struct Keeper<'a> {
    /// The folder of the file; without one they stay in memory.
    folder: Option<&'a Path>,
    /// So many more of them may have a file open.
    room: &'a AtomicUsize,
    problem: &'a Mutex<Option<String>>,
}

impl Keeper<'_> {
    /// Stores a segment, or keeps it in memory if that cannot be done.
    fn keep(
        &self,
        built: segment::Built,
        id: u64,
        begin: u64,
        end: u64,
    ) -> io::Result<(Segment, Option<Kept>)> {
        let Some(folder) = self.folder else { return Ok((Segment::of(built, id, 0, begin, end)?, None)) };
        let name = format!("{begin:012x}-{end:012x}.columns");
        let path = folder.join(&name);
        if let Err(error) = segment::store(&path, &built.bytes) {
            full(self.problem, &error);
            return Ok((Segment::of(built, id, 0, begin, end)?, None));
        }
        let kept = Kept::of(name, &built.bytes);
        let room =
            self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1)).is_ok();
        if room && let Ok(segment) = Segment::open(&path, id, 0, begin, end, built.lines) {
            return Ok((segment, Some(kept)));
        }
        Ok((Segment::of(built, id, 0, begin, end)?, Some(kept)))
    }
}

/// What is still to be read of a file, from which each thread takes a piece of whole lines.
struct Work {
    at: u64,
    end: u64,
    made: Vec<(Segment, Option<Kept>)>,
    error: Option<io::Error>,
}

impl Work {
    /// From where to where the next piece stands in the file, and its lines.
    fn take(work: &Mutex<Self>, file: &mut fs::File) -> io::Result<Option<(u64, u64, Vec<u8>)>> {
        let mut work = lock(work);
        if work.at >= work.end || work.error.is_some() {
            return Ok(None);
        }
        let begin = work.at;
        let mut piece = read_at(file, begin, PIECE.min(work.end - begin))?;
        match memchr::memrchr(b'\n', &piece) {
            Some(last) => piece.truncate(last + 1),
            None if piece.len() as u64 >= LONGEST_LINE => {
                // No line of documents: up to its end it counts as one that is no JSON, and is not kept, however long it is.
                let mut end = begin + piece.len() as u64;
                piece = b"?\n".to_vec();
                loop {
                    let more = read_at(file, end, 1 << 20)?;
                    if let Some(found) = memchr::memchr(b'\n', &more) {
                        end += found as u64 + 1;
                        break;
                    }
                    if more.is_empty() {
                        work.at = work.end;
                        return Ok(None);
                    }
                    end += more.len() as u64;
                }
                work.at = end;
                return Ok(Some((begin, end, piece)));
            }
            None => {
                work.at = work.end;
                return Ok(None);
            }
        }
        let end = begin + piece.len() as u64;
        work.at = end;
        Ok(Some((begin, end, piece)))
    }
}

fn tail(file: &mut fs::File, end: u64) -> io::Result<String> {
    let begin = end.saturating_sub(FINGERPRINT);
    Ok(hash(&read_at(file, begin, end - begin)?))
}

impl Followed {
    fn end(&self) -> u64 {
        self.segments.last().map_or(0, |(segment, _)| segment.end)
    }

    fn same(&self, file: &mut fs::File, end: u64) -> io::Result<bool> {
        if file.metadata()?.len() < end {
            return Ok(false);
        }
        let head = read_at(file, 0, self.head.1)?;
        Ok(hash(&head) == self.head.0 && tail(file, end)? == self.tail)
    }

    /// What of the file is new, from where to where. Forgets what was read of it if it is another file now.
    fn look(&mut self) -> io::Result<Option<(u64, u64)>> {
        let mut file = fs::File::open(&self.path)?;
        let metadata = file.metadata()?;
        let now = (metadata.len(), metadata.modified()?);
        // What could not be read comes again, even if the file is as it was then.
        if self.seen == Some(now) && self.unreadable.is_none() {
            return Ok(None);
        }
        let end = self.end();
        if end > 0 && !self.same(&mut file, end)? {
            let how = if now.0 < end { "became shorter" } else { "was replaced by another one" };
            self.happened =
                Some(format!("It {how} while it was shown: it was read again from its beginning."));
            self.segments.clear();
            self.stored = true;
            self.head = Default::default();
            self.forget();
        }
        self.seen = Some(now);
        let begin = self.end();
        self.unfinished = now.0.saturating_sub(begin);
        Ok((now.0 > begin).then_some((begin, now.0)))
    }

    /// Takes away small segments at the end if there are many, and says from where is to be read, with what was taken.
    fn joined(&mut self, begin: u64, end: u64) -> (u64, Segments) {
        let small = |segment: &Segment| segment.end - segment.begin < PIECE / 4;
        let count = self.segments.iter().rev().take_while(|(segment, _)| small(segment)).count();
        let Some((first, _)) = self.segments.get(self.segments.len() - count) else {
            return (begin, Vec::new());
        };
        if count < SMALL_ONES || end - first.begin > 4 * PIECE {
            return (begin, Vec::new());
        }
        (first.begin, self.segments.split_off(self.segments.len() - count))
    }

    /// Keeps by what the file is known again.
    fn mark(&mut self) -> io::Result<()> {
        let mut file = fs::File::open(&self.path)?;
        let tail = tail(&mut file, self.end())?;
        if self.head.1 < FINGERPRINT {
            let head = read_at(&mut file, 0, FINGERPRINT.min(self.end()))?;
            self.head = (hash(&head), head.len() as u64);
        }
        self.tail = tail;
        Ok(())
    }

    fn shown(&self) -> Shown {
        let last = self.segments.last().map(|(segment, _)| segment.id);
        (last, self.segments.len(), self.unfinished, self.happened.clone(), self.unreadable.clone())
    }

    /// Removes what was made of it, if any of it is kept.
    fn forget(&self) {
        if !self.folder.as_os_str().is_empty() {
            forget(&self.folder);
        }
    }

    /// With its manifest, so that whatever comes into it is known to be of this file.
    fn make_folder(&self) -> io::Result<()> {
        private_folder(&self.folder)?;
        if self.folder.join(MANIFEST).exists() { Ok(()) } else { self.store() }
    }

    fn store(&self) -> io::Result<()> {
        let mut segments = Vec::new();
        for (segment, kept) in &self.segments {
            // Behind one that is in memory alone nothing can be found again.
            let Some(kept) = kept else { break };
            segments.push(Stored {
                kept: kept.clone(),
                begin: segment.begin,
                end: segment.end,
                lines: segment.lines,
            });
        }
        let end = segments.last().map_or(0, |segment| segment.end);
        let tail =
            if end == self.end() { self.tail.clone() } else { tail(&mut fs::File::open(&self.path)?, end)? };
        let manifest = Manifest {
            form: FORM,
            path: self.path.clone(),
            head: self.head.0.clone(),
            head_length: self.head.1,
            tail,
            segments,
        };
        segment::store(&self.folder.join(MANIFEST), &serde_json::to_vec(&manifest)?)?;
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".columns") && !manifest.segments.iter().any(|stored| stored.kept.name == name)
            {
                // It is of a file that is no more, or was joined with others.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn notices(&self, lines: &Lines) -> Vec<String> {
        let mut notices: Vec<String> = self.happened.iter().chain(&self.unreadable).cloned().collect();
        let first =
            self.segments.iter().find_map(|(segment, _)| Some(segment.begin + segment.lines.first_left_out?));
        let place = first
            .map(|at| format!(" The first line that is left out begins at byte {at}."))
            .unwrap_or_default();
        if lines.not_json > 0 {
            notices.push(format!(
                "{} of its lines are no JSON objects and are left out.{place}",
                lines.not_json
            ));
        }
        if lines.other_kind > 0 {
            notices.push(format!(
                "{} of its lines are JSON, but have no time in @timestamp, as documents in the Elastic Common Schema have, and are left out.{place}",
                lines.other_kind
            ));
        }
        if self.unfinished > 0 {
            notices.push(format!(
                "Its last line is not finished ({} bytes after the last line break). It will be shown once it is.",
                self.unfinished
            ));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(index: &Index) -> u32 {
        index.snapshot().segments.iter().map(|segment| segment.lines.documents).sum()
    }

    #[test]
    fn what_could_not_be_read_comes_again_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap().join("events.ndjson");
        let away = folder.path().join("away");
        let line = "{\"@timestamp\":\"2026-11-27T01:00:00.000Z\"}\n";
        let nothing = |_: u64| {};
        let append = |count: usize| {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
            io::Write::write_all(&mut file, line.repeat(count).as_bytes()).unwrap();
        };
        append(1);
        let mut index = Index::new(std::slice::from_ref(&path), Some(folder.path().join("index"))).unwrap();
        for count in 1..=20 {
            index.refresh(&|_, _| {});
            assert_eq!(documents(&index), count);
            // Each time the file is not there when it is to be read, as if it could not be opened; at times many segments were to be joined.
            append(1);
            let (begin, end) = index.files.get_mut(&path).unwrap().look().unwrap().unwrap();
            fs::rename(&path, &away).unwrap();
            index.read(&path, begin, end, &nothing);
            fs::rename(&away, &path).unwrap();
            index.publish(Vec::new());
            assert_eq!(documents(&index), count);
            assert!(index.snapshot().notices.iter().any(|notice| notice.text.contains("cannot be read")));
        }
        index.refresh(&|_, _| {});
        assert_eq!(documents(&index), 21);
        assert_eq!(index.snapshot().notices, []);
        assert!(!index.refresh(&|_, _| {}));
    }

    #[test]
    fn a_line_that_is_finished_while_it_is_read_is_left_out_and_what_follows_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap().join("events.ndjson");
        let line = "{\"@timestamp\":\"2026-11-27T01:00:00.000Z\"}\n";
        fs::write(&path, line).unwrap();
        let mut index = Index::new(std::slice::from_ref(&path), None).unwrap();
        index.refresh(&|_, _| {});
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.set_len(line.len() as u64 + LONGEST_LINE + 1).unwrap();
        let (begin, end) = index.files.get_mut(&path).unwrap().look().unwrap().unwrap();
        io::Write::write_all(&mut file, format!("\n{line}").as_bytes()).unwrap();
        index.read(&path, begin, end, &|_| {});
        index.refresh(&|_, _| {});
        assert_eq!(documents(&index), 2);
        assert!(index.snapshot().notices[0].text.contains("1 of its lines are no JSON objects"));
    }

    #[test]
    fn what_is_compressed_or_no_events_is_left_out() {
        let taken = [
            "a.ndjson",
            "a.jsonl.1",
            "a.ndjson.2026-11-27",
            "a.ndjson-20261127",
            "a-1.ndjson",
            "A.NDJSON.old",
        ];
        let others = [
            "a.json",
            "a.ndjson.gz",
            "a.ndjson.1.bz2",
            "a.jsonl.xz",
            "a.ndjson.lz4",
            "a.ndjson.zip",
            "a.ndjson.1.ZST",
            "a.ndjson.lock",
        ];
        assert!(taken.iter().all(|name| of_events(Path::new(name))));
        assert!(others.iter().all(|name| !of_events(Path::new(name))));
    }
}
