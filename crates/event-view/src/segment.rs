//! A segment: the columns of the documents that stand in one piece of a file. The columns are those of tantivy, a search
//! engine: a dictionary and packed numbers for each field, each read when it is asked for and not before.
//!
//! Why not the whole engine? See `docs/decisions.md`: its inverted index takes the most of the time that a first look would wait.

use crate::time;
use columnar::{Column, ColumnarReader, ColumnarWriter, DynamicColumn, NumericalType, StrColumn};
use common::file_slice::{FileSlice, WrapFile};
use memchr::memchr_iter;
use rustc_hash::FxHashMap;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use std::{
    fmt, fs,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// The time of a document, in milliseconds since 1970.
pub const TIME: &str = "@timestamp";
/// Where the line of a document begins, counted from the beginning of the segment.
const OFFSET: &str = "\u{1}offset";
/// Longer values are texts to read, not to count: their beginning is what is searched.
const LONGEST_VALUE: usize = 1024;
/// Deeper objects are left out of the columns. The document is shown whole all the same.
const DEEPEST: usize = 24;

/// What of a value can be searched: its beginning.
pub fn searched(value: &str) -> &str {
    let mut end = value.len().min(LONGEST_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// What a piece of a file held, besides documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// Rows of the columns: documents, and those of `not_json` whose values turned out to be none when they were read.
    pub rows: u32,
    /// Documents.
    pub documents: u32,
    /// Lines that are no JSON object.
    pub not_json: u32,
    /// JSON objects without a time in `@timestamp`: not of the Elastic Common Schema.
    pub other_kind: u32,
    /// Where the first line of those that were left out begins, from the beginning of the segment.
    pub first_left_out: Option<u64>,
}

impl Lines {
    /// With those of another piece. The place of the first that was left out is not kept.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.documents += other.documents;
        self.not_json += other.not_json;
        self.other_kind += other.other_kind;
    }
}

/// Columns in the making.
pub struct Built {
    /// The segment as it is stored.
    pub bytes: Vec<u8>,
    /// What the lines were.
    pub lines: Lines,
}

/// Makes the columns of whole lines.
pub fn build(piece: &[u8]) -> io::Result<Built> {
    let mut writer = ColumnarWriter::default();
    let mut lines = Lines::default();
    let mut path = String::new();
    let mut begin = 0;
    for end in memchr_iter(b'\n', piece) {
        let line = piece[begin..end].trim_ascii();
        let row = lines.rows;
        if !line.is_empty() {
            match read(line, row, &mut writer, &mut path) {
                Ok(()) => {
                    writer.record_numerical(row, OFFSET, begin as u64);
                    lines.rows += 1;
                    lines.documents += 1;
                }
                Err(left_out) => {
                    match left_out {
                        LeftOut::NotJson => lines.not_json += 1,
                        LeftOut::Half => {
                            lines.rows += 1;
                            lines.not_json += 1;
                        }
                        LeftOut::OtherKind => lines.other_kind += 1,
                    }
                    lines.first_left_out.get_or_insert(begin as u64);
                }
            }
        }
        begin = end + 1;
    }
    let mut bytes = Vec::new();
    writer.serialize(lines.rows, &mut bytes)?;
    Ok(Built { bytes, lines })
}

enum LeftOut {
    NotJson,
    /// Some of its values were recorded before one was none, such as a number beyond all bounds. It has no time, so nothing finds it.
    Half,
    OtherKind,
}

#[derive(Deserialize)]
struct Timed<'a> {
    #[serde(rename = "@timestamp", borrow, default)]
    timestamp: Option<std::borrow::Cow<'a, str>>,
}

/// When the document of a line was.
pub fn time_of(line: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Timed>(line).ok()?.timestamp.as_deref().and_then(time::parse)
}

/// A line is looked through before anything of it is recorded: what was recorded cannot be taken back.
fn read(line: &[u8], row: u32, writer: &mut ColumnarWriter, path: &mut String) -> Result<(), LeftOut> {
    // A list would do for what is asked of it below: its first value as the first field.
    if line.first() != Some(&b'{') {
        return Err(LeftOut::NotJson);
    }
    let timed = match serde_json::from_slice::<Timed>(line) {
        Ok(timed) => timed,
        Err(_) => {
            // An object all the same, whose @timestamp is a number or stands there twice?
            let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok();
            return Err(if object { LeftOut::OtherKind } else { LeftOut::NotJson });
        }
    };
    let at = timed.timestamp.as_deref().and_then(time::parse).ok_or(LeftOut::OtherKind)?;
    path.clear();
    let mut json = serde_json::Deserializer::from_slice(line);
    Values { row, writer, path, depth: 0 }.deserialize(&mut json).map_err(|_| LeftOut::Half)?;
    writer.record_numerical(row, TIME, at);
    Ok(())
}

/// Records each value under the path that leads to it. What is in a list has the path of the list.
struct Values<'w> {
    row: u32,
    writer: &'w mut ColumnarWriter,
    path: &'w mut String,
    depth: usize,
}

impl Values<'_> {
    fn deeper(&mut self) -> Values<'_> {
        Values { row: self.row, writer: self.writer, path: self.path, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.writer.record_str(self.row, self.path, if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.writer.record_numerical(self.row, self.path, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.writer.record_numerical(self.row, self.path, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.writer.record_numerical(self.row, self.path, value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.writer.record_str(self.row, self.path, searched(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self.deeper())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let length = self.path.len();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            // A zero byte is what tantivy ends names of columns with.
            if self.depth >= DEEPEST || key.0.contains('\0') {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            }
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key.0);
            // These columns are filled otherwise, whatever else leads to the same name.
            if *self.path == TIME || *self.path == OFFSET {
                map.next_value::<serde::de::IgnoredAny>()?;
            } else {
                map.next_value_seed(self.deeper())?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

/// The columns of one field in one segment. A field can have values of both kinds.
pub struct FieldValues {
    /// Values that are texts, by their place in the segment's dictionary.
    pub texts: Option<StrColumn>,
    /// Values that are numbers.
    pub numbers: Option<Column<f64>>,
}

/// A segment that can be asked.
pub struct Segment {
    /// No two segments of a run have the same.
    pub id: u64,
    /// Which file.
    pub file: usize,
    /// Where in the file it begins.
    pub begin: u64,
    /// Where it ends, after a line break.
    pub end: u64,
    /// What its lines were.
    pub lines: Lines,
    /// Whether it has a file open; else it is in memory.
    pub has_file: bool,
    reader: ColumnarReader,
    columns: Arc<Mutex<FxHashMap<String, Arc<FieldValues>>>>,
}

impl Segment {
    /// Opens one that is stored.
    pub fn open(path: &Path, id: u64, file: usize, begin: u64, end: u64, lines: Lines) -> io::Result<Self> {
        let slice = FileSlice::new(Arc::new(WrapFile::new(fs::File::open(path)?)?));
        Ok(Self { has_file: true, ..Self::new(ColumnarReader::open(slice)?, id, file, begin, end, lines)? })
    }

    /// Takes one that is in memory alone.
    pub fn of(built: Built, id: u64, file: usize, begin: u64, end: u64) -> io::Result<Self> {
        let reader = ColumnarReader::open(built.bytes)?;
        Self::new(reader, id, file, begin, end, built.lines)
    }

    fn new(
        reader: ColumnarReader,
        id: u64,
        file: usize,
        begin: u64,
        end: u64,
        lines: Lines,
    ) -> io::Result<Self> {
        if reader.num_docs() != lines.rows {
            return Err(io::Error::other("the index has another number of documents than it says"));
        }
        Ok(Self { id, file, begin, end, lines, has_file: false, reader, columns: Arc::default() })
    }

    /// The same as of a file with this number.
    pub fn of_file(segment: &Arc<Self>, file: usize) -> Arc<Self> {
        if segment.file == file {
            return segment.clone();
        }
        let (reader, columns) = (segment.reader.clone(), segment.columns.clone());
        Arc::new(Self { file, reader, columns, ..**segment })
    }

    /// How many rows its columns have.
    pub fn rows(&self) -> u32 {
        self.lines.rows
    }

    /// The names of its fields, and whether there are texts.
    pub fn fields(&self) -> io::Result<Vec<(String, bool)>> {
        Ok(self
            .reader
            .list_columns()?
            .into_iter()
            .filter(|(name, _)| name != OFFSET)
            .map(|(name, handle)| (name, handle.column_type() == columnar::ColumnType::Str))
            .collect())
    }

    /// The columns of a field.
    pub fn column(&self, field: &str) -> io::Result<Arc<FieldValues>> {
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = columns.get(field) {
            return Ok(found.clone());
        }
        let column = Arc::new(self.read(field)?);
        columns.insert(field.to_owned(), column.clone());
        Ok(column)
    }

    /// Of how many fields the columns are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The columns of a field, read for this once.
    pub fn read(&self, field: &str) -> io::Result<FieldValues> {
        let mut values = FieldValues { texts: None, numbers: None };
        for handle in self.reader.read_columns(field)? {
            match handle.open()? {
                DynamicColumn::Str(column) => values.texts = Some(column),
                other => {
                    if let Some(DynamicColumn::F64(column)) = other.coerce_numerical(NumericalType::F64) {
                        values.numbers = Some(column);
                    }
                }
            }
        }
        Ok(values)
    }

    /// Where the line of a document begins in its file.
    pub fn offset(&self, row: u32) -> io::Result<u64> {
        let column = self.column(OFFSET)?;
        let offset = column.numbers.as_ref().and_then(|numbers| numbers.first(row));
        // Below 2^53, as segments are.
        Ok(self.begin + offset.ok_or_else(|| io::Error::other("the index has no such document"))? as u64)
    }
}

/// Writes a file under another name first, so that what has the name is whole.
pub fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let written = fs::File::create(&unfinished).and_then(|mut file| file.write_all(bytes));
    if let Err(error) = written.and_then(|()| fs::rename(&unfinished, path)) {
        // What is left of it takes room that lacks.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(())
}
