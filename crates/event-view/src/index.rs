//! The index of some files: which pieces of them are read, and into which segments. It follows files that grow, notices those that
//! are replaced, and keeps what it made in a folder, so that the next look begins at once.
//!
//! Nothing in the folder is needed: what lacks or does not fit is made anew. Where the disk is full, segments stay in memory.

use crate::segment::{self, Lines, Segment};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// How much of a file becomes one segment. Several are made at a time, and each takes about as much again.
const PIECE: u64 = 24 << 20;
/// So many small segments at the end of a file become one.
const SMALL_ONES: usize = 8;
/// A line that is longer than this is not one of documents.
const LONGEST_LINE: u64 = PIECE;
/// How much of the beginning and of the end tells a file from another one under its name.
const FINGERPRINT: u64 = 4096;
/// What is written in the folder has this form.
const FORM: u32 = 1;

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

struct Followed {
    path: PathBuf,
    folder: PathBuf,
    head: (String, u64),
    tail: String,
    seen: Option<(u64, std::time::SystemTime)>,
    segments: Vec<(Arc<Segment>, Option<Kept>)>,
    unfinished: u64,
    /// Told until the file is replaced once more.
    happened: Option<String>,
    /// Why it cannot be read at present.
    unreadable: Option<String>,
}

/// The files and what is made of them.
pub struct Index {
    sources: Vec<PathBuf>,
    folder: Option<PathBuf>,
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
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || ".-".contains(c));
    [".ndjson", ".jsonl"].iter().any(|end| {
        base.ends_with(end) || name.contains(&format!("{end}.")) || name.contains(&format!("{end}-"))
    }) && ![".lock", ".gz", ".zst", ".unfinished"].iter().any(|end| name.ends_with(end))
}

impl Index {
    /// Of files, and of folders whose files of events are taken, those that come later as well. `folder` holds what is made; without
    /// one all stays in memory.
    pub fn new(sources: &[PathBuf], folder: Option<PathBuf>) -> Result<Self> {
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
        }
        let sources = sources.iter().map(fs::canonicalize).collect::<io::Result<_>>()?;
        Ok(Self {
            sources,
            folder,
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
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what is new. `progress` is called with how many bytes of how many are read. Says whether anything has changed.
    pub fn refresh(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> bool {
        let mut changed = false;
        let mut paths = Vec::new();
        let mut notices = Vec::new();
        for source in &self.sources {
            match fs::read_dir(source) {
                Ok(entries) => {
                    let found = entries
                        .flatten()
                        .map(|entry| entry.path())
                        .filter(|path| of_events(path) && path.is_file());
                    paths.extend(found);
                }
                Err(_) => paths.push(source.clone()),
            }
        }
        paths.sort();
        paths.dedup();
        if paths.is_empty() {
            notices.push(Notice {
                file: None,
                text: "There is no file of events here yet (*.ndjson or *.jsonl). It will be shown when it comes.".into(),
            });
        }
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !paths.contains(path)).cloned().collect();
        for path in gone {
            self.files.remove(&path);
            changed = true;
        }
        let mut jobs = Vec::new();
        for path in paths {
            if !self.files.contains_key(&path) {
                let followed = self.begin(&path);
                self.files.insert(path.clone(), followed);
                changed = true;
            }
            if let Some(followed) = self.files.get_mut(&path) {
                let before = followed.segments.len();
                match followed.look() {
                    Ok(found) => {
                        changed |= followed.unreadable.take().is_some() || followed.segments.len() != before;
                        if let Some((begin, end)) = found {
                            jobs.push((path, begin, end));
                        }
                    }
                    Err(error) => {
                        let text = format!("It cannot be read: {error}. What was read before is shown.");
                        changed |= followed.unreadable.as_ref() != Some(&text);
                        followed.unreadable = Some(text);
                    }
                }
            }
        }
        let total: u64 = jobs.iter().map(|(_, begin, end)| end - begin).sum();
        let done = AtomicU64::new(0);
        for (path, begin, end) in jobs {
            changed |= self.read(&path, begin, end, &|bytes| {
                progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
            });
        }
        if changed || notices != self.said || self.generation == 0 {
            self.said.clone_from(&notices);
            self.publish(notices);
            return true;
        }
        false
    }

    /// What the folder has of a file, if it is still the file that it is of.
    fn begin(&self, path: &Path) -> Followed {
        let name = hash(path.as_os_str().as_encoded_bytes());
        let folder = self.folder.as_ref().map(|folder| folder.join(name)).unwrap_or_default();
        let mut followed = Followed {
            path: path.to_owned(),
            folder,
            head: Default::default(),
            tail: String::new(),
            seen: None,
            segments: Vec::new(),
            unfinished: 0,
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
        let manifest: Manifest = serde_json::from_slice(&fs::read(followed.folder.join("index.json"))?)?;
        if manifest.form != FORM || manifest.path != followed.path {
            bail!("it is of another form, or of another file");
        }
        let mut file = fs::File::open(&followed.path)?;
        let end = manifest.segments.last().map_or(0, |segment| segment.end);
        followed.head = (manifest.head, manifest.head_length);
        followed.tail = manifest.tail;
        if !followed.same(&mut file, end)? {
            followed.head = Default::default();
            bail!("the file is another one");
        }
        for stored in manifest.segments {
            let path = followed.folder.join(&stored.kept.name);
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let opened = stored.kept.is_whole(&followed.folder).and_then(|whole| {
                if !whole {
                    return Err(io::Error::other("the index is not whole"));
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

    /// Reads a piece into segments, several at a time. Says whether it made any.
    fn read(&mut self, path: &Path, begin: u64, end: u64, progress: &(dyn Fn(u64) + Sync)) -> bool {
        let Some(followed) = self.files.get_mut(path) else { return false };
        let begin = followed.joined(begin, end);
        let stored = self.folder.is_some();
        if stored && let Err(error) = private_folder(&followed.folder) {
            full(&self.full, &error);
        }
        let work = Mutex::new(Work { at: begin, end, made: Vec::new(), error: None });
        let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
        let (folder, next, problem) = (&followed.folder, &self.next, &self.full);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let result = fs::File::open(path).and_then(|mut file| {
                        while let Some((at, after, piece)) = Work::take(&work, &mut file)? {
                            let id = next.fetch_add(1, Ordering::Relaxed);
                            let built = segment::build(&piece)?;
                            drop(piece);
                            let made = keep(built, folder, stored, problem, id, at, after)?;
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
        let mut made = false;
        for (segment, name) in work.made {
            // Behind a piece that could not be read nothing is taken: it comes again.
            if segment.begin != followed.end().max(begin) {
                break;
            }
            followed.segments.push((Arc::new(segment), name));
            made = true;
        }
        followed.unreadable =
            work.error.map(|error| format!("It cannot be read: {error}. What was read before is shown."));
        followed.unfinished = end - followed.end();
        let after = fs::File::open(path).and_then(|mut file| {
            if followed.head.1 < FINGERPRINT {
                let head = read_at(&mut file, 0, FINGERPRINT.min(followed.end()))?;
                followed.head = (hash(&head), head.len() as u64);
            }
            followed.tail = tail(&mut file, followed.end())?;
            Ok(())
        });
        if let Err(error) = after {
            followed.unreadable = Some(format!("It cannot be read: {error}."));
        }
        if stored && let Err(error) = followed.store() {
            full(&self.full, &error);
        }
        made || followed.unfinished > 0
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
        if let Some(error) = self.full.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            notices.push(Notice {
                file: None,
                text: format!(
                    "The index cannot be written ({error}). It stays in memory, and is made again at the next start; \
                     --index names another folder for it."
                ),
            });
        }
        snapshot.notices = notices;
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

fn full(problem: &Mutex<Option<String>>, error: &io::Error) {
    *problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
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

/// Stores a segment, or keeps it in memory if that cannot be done.
fn keep(
    built: segment::Built,
    folder: &Path,
    stored: bool,
    problem: &Mutex<Option<String>>,
    id: u64,
    begin: u64,
    end: u64,
) -> io::Result<(Segment, Option<Kept>)> {
    if stored {
        let name = format!("{begin:012x}-{end:012x}.columns");
        let path = folder.join(&name);
        match segment::store(&path, &built.bytes)
            .and_then(|()| Segment::open(&path, id, 0, begin, end, built.lines))
        {
            Ok(segment) => return Ok((segment, Some(Kept::of(name, &built.bytes)))),
            Err(error) => full(problem, &error),
        }
    }
    Ok((Segment::of(built, id, 0, begin, end)?, None))
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
        if self.seen == Some(now) {
            return Ok(None);
        }
        let end = self.end();
        if end > 0 && !self.same(&mut file, end)? {
            let how = if now.0 < end { "became shorter" } else { "was replaced by another one" };
            self.happened =
                Some(format!("It {how} while it was shown: it was read again from its beginning."));
            self.segments.clear();
            self.head = Default::default();
        }
        self.seen = Some(now);
        let begin = self.end();
        self.unfinished = now.0 - begin;
        Ok((now.0 > begin).then_some((begin, now.0)))
    }

    /// Takes away small segments at the end if there are many, and says from where is to be read.
    fn joined(&mut self, begin: u64, end: u64) -> u64 {
        let small = |segment: &Segment| segment.end - segment.begin < PIECE / 4;
        let count = self.segments.iter().rev().take_while(|(segment, _)| small(segment)).count();
        let Some((first, _)) = self.segments.get(self.segments.len() - count) else { return begin };
        if count < SMALL_ONES || end - first.begin > 4 * PIECE {
            return begin;
        }
        let begin = first.begin;
        self.segments.truncate(self.segments.len() - count);
        begin
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
        let mut file = fs::File::open(&self.path)?;
        let manifest = Manifest {
            form: FORM,
            path: self.path.clone(),
            head: self.head.0.clone(),
            head_length: self.head.1,
            tail: tail(&mut file, end)?,
            segments,
        };
        segment::store(&self.folder.join("index.json"), &serde_json::to_vec(&manifest)?)?;
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
