//! One event log file: opened, found again where it was left, and read row by row.
//!
//! The body is decompressed and parsed as it comes. What is held of it is a buffer and the row at hand, whatever the
//! size of the file.

use crate::{
    config::{
        streams::{EventTypes, FilesSource},
        treatment,
    },
    files::download::{self, Taken},
    org::{
        names::KnownNames,
        session::{Org, RequestError},
    },
    problem::{Kind, Problem},
    schedule::batch::Progress,
    state::Checkpoint,
};
use documents::{
    Common, EventLogFile, Id, Mapper, Origin,
    csv::{Next, Rows},
};
use std::io::{self, Read};

/// How much of a row that is too long is delivered.
const SHOWN_OF_TOO_LONG: usize = 64 * 1024;

/// How much of a file is read ahead where the names of its ids are wanted: some hundred rows, of which each query for names may ask.
const LOOK_AHEAD: usize = 512 * 1024;

/// A file that is being read.
pub struct OpenFile {
    rows: Rows<Box<dyn Read>>,
    stage: Stage,
    length: u64,
    /// Bytes counted in the stats already.
    counted: u64,
    /// Up to where the ids in rows were looked up.
    looked_up: u64,
    /// What is doubtful about the configuration, now that the columns are known.
    pub doubts: Vec<Problem>,
}

/// How far the reading is. Each stage may take more than one poll.
enum Stage {
    /// Before the header. Behind it, the position of a checkpoint is looked for.
    Header(Option<Search>),
    /// On the way to the checkpoint.
    Search(Search, Vec<String>),
    /// Among the rows.
    Rows(Box<Mapper>),
}

/// The way to a checkpoint.
struct Search {
    checkpoint: Checkpoint,
    /// What was found of the row that was read last.
    row: Vec<u8>,
}

/// Why reading stopped.
pub enum Stop {
    /// The batch is full, or the poll has taken its time.
    Full,
    /// The file is read to its end.
    End,
    /// The file ended at this length, before its `LogFileLength`.
    Short(u64),
    /// It is not the file that the checkpoint was made in.
    Changed,
}

impl OpenFile {
    /// Asks for a file, unless the download was begun and came to something.
    pub fn open(
        org: &mut Org<'_>,
        file: &EventLogFile,
        checkpoint: Option<&Checkpoint>,
        begun: Option<Taken>,
    ) -> Result<Box<Self>, RequestError> {
        let body = download::get(org, &file.id, begun)?.body;
        let search = checkpoint.map(|checkpoint| Search { checkpoint: checkpoint.clone(), row: Vec::new() });
        let counted = checkpoint.map_or(0, |checkpoint| checkpoint.offset);
        let stage = Stage::Header(search);
        Ok(Box::new(Self {
            rows: Rows::new(body, 0),
            stage,
            length: file.length,
            counted,
            looked_up: 0,
            doubts: Vec::new(),
        }))
    }

    /// Reads rows until the batch is full or the file is not.
    ///
    /// # Errors
    /// When the download broke off, or is no log. What was read before is in the batch.
    pub fn read(
        &mut self,
        org: &mut Org<'_>,
        source: &FilesSource,
        file: &EventLogFile,
        progress: &mut Progress<'_>,
    ) -> Result<Stop, Problem> {
        let result = self.read_on(org, source, file, progress);
        // What is passed over on the way to a checkpoint was counted before.
        if matches!(self.stage, Stage::Rows(_)) {
            let position = self.rows.position();
            progress.count_bytes(position.saturating_sub(self.counted));
            self.counted = self.counted.max(position);
        }
        result
    }

    fn read_on(
        &mut self,
        org: &mut Org<'_>,
        source: &FilesSource,
        file: &EventLogFile,
        progress: &mut Progress<'_>,
    ) -> Result<Stop, Problem> {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Header(None));
            self.stage = match stage {
                Stage::Header(search) => {
                    let header = match self.advance(progress).map_err(|error| broken(file, 0, &error))? {
                        Next::Row => header(&self.rows).ok_or_else(|| no_header(file))?,
                        Next::TooLong => return Err(no_header(file)),
                        Next::End if self.length == 0 => return Ok(Stop::End),
                        Next::End => return Ok(Stop::Short(0)),
                        Next::NotYet => {
                            self.stage = Stage::Header(search);
                            return Ok(Stop::Full);
                        }
                    };
                    match search {
                        Some(search) => Stage::Search(search, header),
                        None => {
                            let mapper = mapper(org, source, file, header);
                            let rows = format!("{} files", file.event_type);
                            let only =
                                matches!(&source.event_types, EventTypes::Only(names) if names.len() == 1);
                            self.doubts = treatment::unknown_names(&mapper, &rows, only);
                            Stage::Rows(mapper)
                        }
                    }
                }
                Stage::Search(mut search, header) => {
                    let found = search.go_on(&mut self.rows, progress);
                    match found.map_err(|error| broken(file, self.rows.position(), &error))? {
                        Found::Yes => Stage::Rows(mapper(org, source, file, header)),
                        Found::OtherRow => return Ok(Stop::Changed),
                        Found::End if search.checkpoint.offset <= self.length => {
                            return Ok(Stop::Short(self.rows.position()));
                        }
                        Found::End => return Ok(Stop::Changed),
                        Found::NotYet => {
                            self.stage = Stage::Search(search, header);
                            return Ok(Stop::Full);
                        }
                    }
                }
                Stage::Rows(mut mapper) => {
                    let result = self.read_rows(&mut mapper, org, source, file, progress);
                    mapper.take(&mut progress.events);
                    self.stage = Stage::Rows(mapper);
                    return result;
                }
            };
        }
    }

    /// Goes on to the next row, as long as there is time to wait for it.
    fn advance(&mut self, progress: &mut Progress<'_>) -> io::Result<Next> {
        self.rows.advance_while(|| {
            progress.check_time();
            !progress.is_full()
        })
    }

    fn read_rows(
        &mut self,
        mapper: &mut Mapper,
        org: &mut Org<'_>,
        source: &FilesSource,
        file: &EventLogFile,
        progress: &mut Progress<'_>,
    ) -> Result<Stop, Problem> {
        // A row has a separator between any two columns and a line break. So what is missing and shorter is no row, but an
        // empty line that is counted and not sent.
        let columns = mapper.columns() as u64;
        let is_whole = |rows: &Rows<Box<dyn Read>>, length: u64| {
            let shortest = if rows.is_terminated() { columns } else { 1 };
            rows.position().saturating_add(shortest) > length
        };
        while !progress.is_full() {
            let before = self.rows.position();
            if before >= self.looked_up && mapper.has_names() {
                self.looked_up = self.look_up(mapper, org, source, progress);
            }
            match self.advance(progress).map_err(|error| broken(file, before, &error))? {
                Next::Row => {
                    // A row without a line break that is not the end of the file: the download was cut.
                    let at = self.rows.position();
                    if !self.rows.is_terminated() && !is_whole(&self.rows, self.length) {
                        self.rows.unread();
                        return Ok(Stop::Short(at));
                    }
                    deliver(mapper, &self.rows, org.names, file, before, progress);
                }
                Next::TooLong => {
                    let shown = self.rows.row()[..SHOWN_OF_TOO_LONG].to_vec();
                    let terminated = self.rows.skip_rest().map_err(|error| broken(file, before, &error))?;
                    if !terminated && !is_whole(&self.rows, self.length) {
                        return Ok(Stop::Short(self.rows.position()));
                    }
                    self.rows.accept_rest();
                    let reason = format!(
                        "row of file {} at byte {before} is longer than {} bytes; its first {SHOWN_OF_TOO_LONG} are kept",
                        file.id,
                        documents::csv::MAX_ROW
                    );
                    deliver_malformed(mapper, &shown, &reason, progress);
                }
                Next::End if !is_whole(&self.rows, self.length) => {
                    return Ok(Stop::Short(self.rows.position()));
                }
                Next::End => return Ok(Stop::End),
                Next::NotYet => return Ok(Stop::Full),
            }
        }
        Ok(Stop::Full)
    }

    /// How far it is read.
    pub fn position(&self) -> u64 {
        self.rows.position()
    }

    /// Reads ahead, and looks up the ids in all rows that came. Returns the position behind them.
    fn look_up(
        &mut self,
        mapper: &Mapper,
        org: &mut Org<'_>,
        source: &FilesSource,
        progress: &mut Progress<'_>,
    ) -> u64 {
        let position = self.rows.position();
        let ahead = self.rows.look_ahead(LOOK_AHEAD, || {
            progress.check_time();
            !progress.is_full()
        });
        // Boxed, so that the reader of rows is compiled once.
        let ahead: Box<dyn Read> = Box::new(io::Cursor::new(ahead.to_vec()));
        let mut rows = Rows::new(ahead, position);
        let mut passed = position;
        while let Ok(Next::Row) = rows.advance_while(|| true) {
            if rows.width() == mapper.columns() {
                mapper.ids(&rows.fields()).for_each(|id| org.want_name(id));
            }
            if rows.is_terminated() {
                passed = rows.position();
            }
        }
        org.look_up(&source.stream);
        progress.check_time();
        passed
    }

    /// The checkpoint behind the last row that was read; none before the first one.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let (row, offset) = self.rows.last_row();
        let checkpoint = || Checkpoint {
            offset,
            row_length: row.len() as u64,
            row_digest: Id::of(row).as_str().to_owned(),
        };
        matches!(self.stage, Stage::Rows(_)).then(checkpoint)
    }
}

fn mapper(org: &Org<'_>, source: &FilesSource, file: &EventLogFile, header: Vec<String>) -> Box<Mapper> {
    let instance_url = org.config.instance.to_string();
    let common = Common {
        stream: &source.stream,
        instance_url: &instance_url,
        since: file.log_date,
        output: org.config.output,
        origin: Origin::File(file),
    };
    let wanted = org.config.lookups.of_documents();
    Box::new(Mapper::with_treatment(&common, header, &source.outflow.treatment, wanted))
}

fn deliver(
    mapper: &mut Mapper,
    rows: &Rows<Box<dyn Read>>,
    names: &KnownNames,
    file: &EventLogFile,
    before: u64,
    progress: &mut Progress<'_>,
) {
    let (has, must_have) = (rows.width(), mapper.columns());
    if has == must_have {
        if !mapper.is_header(rows.fields()) {
            match mapper.add_named(rows.fields(), names) {
                Some(bytes) => progress.announce(bytes),
                None => progress.leave_out(),
            }
            if mapper.is_full() {
                mapper.take(&mut progress.events);
            }
        }
        return;
    }
    let reason =
        format!("row of file {} at byte {before} has {has} fields, and the header has {must_have}", file.id);
    deliver_malformed(mapper, rows.row(), &reason, progress);
}

fn deliver_malformed(mapper: &mut Mapper, row: &[u8], reason: &str, progress: &mut Progress<'_>) {
    mapper.take(&mut progress.events);
    progress.push_malformed(mapper.malformed(row, reason));
}

/// What stands at a checkpoint.
enum Found {
    /// The row that was read last.
    Yes,
    /// Something else.
    OtherRow,
    /// Nothing: the file ended before.
    End,
    /// It takes more time.
    NotYet,
}

impl Search {
    /// Goes on to the checkpoint, as long as there is time.
    fn go_on(&mut self, rows: &mut Rows<Box<dyn Read>>, progress: &mut Progress<'_>) -> io::Result<Found> {
        let Checkpoint { offset, row_length, row_digest } = &self.checkpoint;
        let start = offset.checked_sub(*row_length);
        let passed = |start: &u64| self.row.is_empty() && rows.position() > *start;
        let Some(start) = start.filter(|start| !passed(start)) else {
            return Ok(Found::OtherRow);
        };
        if *row_length > 2 * documents::csv::MAX_ROW as u64 {
            return Ok(Found::OtherRow);
        }
        while rows.position() < *offset {
            progress.check_time();
            if progress.is_full() {
                return Ok(Found::NotYet);
            }
            let position = rows.position();
            let part = rows.skip_some(if position < start { start - position } else { offset - position })?;
            if part.is_empty() {
                return Ok(Found::End);
            }
            if position >= start {
                self.row.extend_from_slice(part);
            }
        }
        Ok(if Id::of(&self.row).as_str() == row_digest { Found::Yes } else { Found::OtherRow })
    }
}

/// The names of the columns, if this is a header.
fn header(rows: &Rows<Box<dyn Read>>) -> Option<Vec<String>> {
    let name = |index| {
        let name = rows.field(index);
        let name = if index == 0 { name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name) } else { name };
        String::from_utf8_lossy(name).trim_matches('"').to_owned()
    };
    let columns: Vec<String> = (0..rows.width()).map(name).collect();
    columns.iter().any(|name| name == "EVENT_TYPE" || name == "TIMESTAMP").then_some(columns)
}

fn no_header(file: &EventLogFile) -> Problem {
    let message = format!("event log file {} does not begin with a header", file.id);
    Problem::new(Kind::Data, message).hint("it is tried again later; the other files go on")
}

fn broken(file: &EventLogFile, at: u64, error: &io::Error) -> Problem {
    let reason = documents::quoted(&error.to_string(), 200);
    let message = format!("the download of event log file {} broke off after byte {at}: {reason}", file.id);
    Problem::new(Kind::Transient, message).hint("it goes on from there")
}
