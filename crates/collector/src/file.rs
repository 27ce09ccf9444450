//! One event log file: opened, found again where it was left, and read row by row.
//!
//! The body is decompressed and parsed as it comes. What is held of it is a buffer and the row at hand, whatever the
//! size of the file.

use crate::{
    batch::Progress,
    ecs::{Common, Mapper, Origin},
    event_id::Id,
    gzip,
    problem::{Kind, Problem},
    rows::{Next, Rows},
    session::{Org, Trouble},
    state::{Checkpoint, FileInfo},
};
use std::io::Read;

/// How much of a row that is too long is delivered.
const SHOWN_OF_TOO_LONG: usize = 64 * 1024;

/// A file that is being read.
pub struct OpenFile {
    rows: Rows<Box<dyn Read>>,
    mapper: Mapper,
    length: u64,
    /// A length at which the file ended before so often that it is taken for its true one.
    accepted_end: Option<u64>,
    /// Bytes counted in the stats already.
    counted: u64,
}

/// How opening a file ended.
pub enum Opened {
    /// It can be read.
    Ready(Box<OpenFile>),
    /// It ended at this length, before its header or before the checkpoint.
    Short(u64),
    /// It is not the file that the checkpoint was made in.
    Changed,
}

/// Why a file could not be opened.
pub enum Failure {
    /// Salesforce or the network refused; it would refuse other requests as well.
    Trouble(Trouble),
    /// Something is wrong with this file.
    File(Problem),
}

/// Why reading stopped.
pub enum Stop {
    /// The batch is full.
    Full,
    /// The file is read to its end.
    End,
    /// The file ended at this length, before its `LogFileLength`.
    Short(u64),
}

impl OpenFile {
    /// Asks for a file, and finds the place after the last row that was read.
    pub fn open(
        org: &mut Org<'_>,
        stream: &str,
        file: &FileInfo,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Opened, Failure> {
        let version = org.api_version().map_err(Failure::Trouble)?;
        let path = format!("/services/data/v{version}/sobjects/EventLogFile/{}/LogFile", file.id);
        let headers = [("accept", "*/*"), ("accept-encoding", "gzip")];
        let response = org.get(&path, &headers).map_err(Failure::Trouble)?;
        let compressed =
            response.header("content-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
        let body = if compressed { gzip::decode(response.body) } else { response.body };
        let mut rows = Rows::new(body, 0);
        let columns = match rows.advance().map_err(|error| Failure::File(broken(file, 0, &error)))? {
            Next::Row => header(&rows).ok_or_else(|| no_header(file))?,
            Next::TooLong => return Err(no_header(file)),
            Next::End => return Ok(Opened::Short(0)),
        };
        if let Some(checkpoint) = checkpoint {
            let found = find(&mut rows, checkpoint);
            match found.map_err(|error| Failure::File(broken(file, rows.position(), &error)))? {
                Found::Yes => {}
                Found::OtherRow => return Ok(Opened::Changed),
                Found::End if checkpoint.offset <= file.length => return Ok(Opened::Short(rows.position())),
                Found::End => return Ok(Opened::Changed),
            }
        }
        let instance_url = org.config.instance.to_string();
        let common = Common {
            stream,
            instance_url: &instance_url,
            since: file.log_date,
            output: org.config.output,
            origin: Origin::File(file),
        };
        let mapper = Mapper::new(&common, columns);
        let counted = checkpoint.map_or(0, |checkpoint| checkpoint.offset);
        let length = file.length;
        Ok(Opened::Ready(Box::new(Self { rows, mapper, length, accepted_end: None, counted })))
    }

    /// Takes a length for the true one, whatever Salesforce says.
    pub fn accept_end_at(&mut self, length: u64) {
        self.accepted_end = Some(length);
    }

    /// Bytes read.
    pub fn position(&self) -> u64 {
        self.rows.position()
    }

    fn is_whole(&self, position: u64) -> bool {
        position >= self.length || self.accepted_end == Some(position)
    }

    /// Reads rows until the batch is full or the file is not.
    ///
    /// # Errors
    /// When the download broke off. What was read before is in the batch.
    pub fn read(&mut self, file: &FileInfo, progress: &mut Progress<'_>) -> Result<Stop, Problem> {
        let result = self.read_rows(file, progress);
        let position = self.rows.position();
        progress.count_bytes(position.saturating_sub(self.counted));
        self.counted = self.counted.max(position);
        result
    }

    fn read_rows(&mut self, file: &FileInfo, progress: &mut Progress<'_>) -> Result<Stop, Problem> {
        let mut fills = self.rows.fills();
        while !progress.is_full() {
            let before = self.rows.position();
            match self.rows.advance().map_err(|error| broken(file, before, &error))? {
                Next::Row => {
                    // A row without a line break that is not the end of the file: the download was cut.
                    let at = self.rows.position();
                    if !self.rows.is_terminated() && !self.is_whole(at) {
                        self.rows.unread();
                        return Ok(Stop::Short(at));
                    }
                    self.deliver(file, before, progress);
                }
                Next::TooLong => {
                    let shown = self.rows.row()[..SHOWN_OF_TOO_LONG].to_vec();
                    let terminated = self.rows.skip_rest().map_err(|error| broken(file, before, &error))?;
                    if !terminated && !self.is_whole(self.rows.position()) {
                        return Ok(Stop::Short(self.rows.position()));
                    }
                    let reason = format!(
                        "row of file {} at byte {before} is longer than {} bytes; its first {SHOWN_OF_TOO_LONG} are kept",
                        file.id,
                        crate::rows::MAX_ROW
                    );
                    progress.push_malformed(self.mapper.malformed(&shown, &reason));
                }
                Next::End if !self.is_whole(before) => return Ok(Stop::Short(before)),
                Next::End => return Ok(Stop::End),
            }
            if fills != self.rows.fills() {
                fills = self.rows.fills();
                progress.look_at_the_clock();
            }
        }
        Ok(Stop::Full)
    }

    fn deliver(&mut self, file: &FileInfo, before: u64, progress: &mut Progress<'_>) {
        let (has, must_have) = (self.rows.len(), self.mapper.columns());
        if has == must_have {
            if self.mapper.is_header(&self.rows) {
                return;
            }
            progress.push(self.mapper.event(&self.rows));
        } else {
            let reason = format!(
                "row of file {} at byte {before} has {has} fields, and the header has {must_have}",
                file.id
            );
            progress.push_malformed(self.mapper.malformed(self.rows.row(), &reason));
        }
    }

    /// The place after the last row that was read.
    pub fn checkpoint(&self) -> Checkpoint {
        let (row, offset) = self.rows.last_row();
        Checkpoint { offset, row_length: row.len() as u64, row_digest: Id::of(row).as_str().to_owned() }
    }
}

/// What stands at a checkpoint.
enum Found {
    /// The row that was read last.
    Yes,
    /// Something else.
    OtherRow,
    /// Nothing: the file ended before.
    End,
}

/// Goes on to a checkpoint.
fn find(rows: &mut Rows<Box<dyn Read>>, checkpoint: &Checkpoint) -> std::io::Result<Found> {
    let start = checkpoint.offset.checked_sub(checkpoint.row_length);
    let Some(distance) = start.and_then(|start| start.checked_sub(rows.position())) else {
        return Ok(Found::OtherRow);
    };
    if checkpoint.row_length > 2 * crate::rows::MAX_ROW as u64 {
        return Ok(Found::OtherRow);
    }
    let mut row = Vec::new();
    if !rows.skip(distance, |_| ())?
        || !rows.skip(checkpoint.row_length, |part| row.extend_from_slice(part))?
    {
        return Ok(Found::End);
    }
    Ok(if Id::of(&row).as_str() == checkpoint.row_digest { Found::Yes } else { Found::OtherRow })
}

/// The names of the columns, if this is a header.
fn header(rows: &Rows<Box<dyn Read>>) -> Option<Vec<String>> {
    let name = |index| {
        let name = rows.field(index);
        let name = if index == 0 { name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name) } else { name };
        String::from_utf8_lossy(name).trim_matches('"').to_owned()
    };
    let columns: Vec<String> = (0..rows.len()).map(name).collect();
    columns.iter().any(|name| name == "EVENT_TYPE" || name == "TIMESTAMP").then_some(columns)
}

fn no_header(file: &FileInfo) -> Failure {
    let message = format!("event log file {} does not begin with a header", file.id);
    Failure::File(Problem::new(Kind::Data, message).hint("it is tried again later; the other files go on"))
}

fn broken(file: &FileInfo, at: u64, error: &std::io::Error) -> Problem {
    let reason = crate::problem::quoted(&error.to_string(), 200);
    let message = format!("the download of event log file {} broke off after byte {at}: {reason}", file.id);
    Problem::new(Kind::Transient, message).hint("it goes on from there")
}
