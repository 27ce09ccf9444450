//! The download of a file, asked for when its turn comes or before: while one file is read, the org makes ready the next ones. Where
//! an answer takes a fifth of a second, a backlog of small files is mostly waiting otherwise.
//!
//! Nothing depends on what is begun ahead. It ends with the poll at the latest, and what comes of it otherwise than as a file that can
//! be read is asked for again when its turn comes, as if it had not been begun: only then it counts as a try.

use crate::{
    io::Response,
    org::session::{Begun, Org, RequestError},
    schedule::batch::Progress,
};
use documents::EventLogFile;
use std::{collections::VecDeque, time::Duration};

/// Longer files flow for longer than they are waited for.
const LONGEST: u64 = 1024 * 1024;
/// A file is begun ahead where the batch has room for at least one part in so many.
const SURELY_READ: u64 = 4;
/// What has waited longer may have been closed by whoever sends it.
const OLDEST: Duration = Duration::from_secs(10);

/// Asks for a file, unless that was begun and came to something.
pub fn get(org: &mut Org<'_>, id: &str, begun: Option<Taken>) -> Result<Response, RequestError> {
    if let Some(response) = begun.and_then(|begun| begun.answer(org)) {
        return Ok(response);
    }
    let path = path(org, id)?;
    org.get(&path, HEADERS)
}

const HEADERS: &[(&str, &str)] = &[("accept", "*/*")];

/// Where the content of a file is.
fn path(org: &mut Org<'_>, id: &str) -> Result<String, RequestError> {
    let version = org.api_version()?;
    Ok(format!("/services/data/v{version}/sobjects/EventLogFile/{id}/LogFile"))
}

/// The downloads of a stream that are under way and not looked at.
#[derive(Default)]
pub struct Ahead {
    downloads: VecDeque<Download>,
    sizes: Sizes,
}

/// How long rows are and what becomes of them, as far as rows of the stream were read.
#[derive(Clone, Copy)]
struct Sizes {
    row: u64,
    event: u64,
}

impl Default for Sizes {
    /// Hardly any row is shorter, and a document is about three times as long as its row.
    fn default() -> Self {
        Self { row: 256, event: 768 }
    }
}

struct Download {
    file: String,
    begun: Begun,
    /// On the monotonic clock.
    at: Duration,
}

impl Ahead {
    /// Begins the downloads of what comes after a file of so many bytes and will be read for this batch. Of the last one some may be left
    /// to the next batch; where that is most of it, it is not begun: what is known of its rows is an estimate. Of the batch's room `sharing` streams
    /// take as much.
    pub fn begin(
        &mut self,
        org: &mut Org<'_>,
        length: u64,
        next: &VecDeque<EventLogFile>,
        sharing: u64,
        progress: &Progress<'_>,
    ) {
        if length > LONGEST {
            return;
        }
        let mut bytes = length;
        for file in next {
            if file.length > LONGEST
                || !self
                    .fits(bytes.saturating_add(file.length / SURELY_READ).saturating_mul(sharing), progress)
            {
                return;
            }
            bytes = bytes.saturating_add(file.length);
            if self.downloads.iter().any(|download| download.file == file.id) {
                continue;
            }
            let Ok(path) = path(org, &file.id) else { return };
            let at = org.clock.elapsed();
            let Some(begun) = org.begin(&path, HEADERS) else { return };
            self.downloads.push_back(Download { file: file.id.clone(), begun, at });
        }
    }

    /// Takes note of what so many rows came to, in bytes of the log and of events.
    pub fn learn(&mut self, rows: u32, log: u64, events: u64) {
        if rows > 0 {
            let rows = u64::from(rows);
            self.sizes = Sizes { row: (log / rows).max(1), event: events / rows };
        }
    }

    fn fits(&self, log: u64, progress: &Progress<'_>) -> bool {
        let rows = log / self.sizes.row;
        progress.has_room_for(rows, rows.saturating_mul(self.sizes.event))
    }

    /// Takes the download of a file, if it was begun.
    pub fn take(&mut self, file: &str) -> Option<Taken> {
        let index = self.downloads.iter().position(|download| download.file == file)?;
        self.downloads.remove(index).map(Taken)
    }

    /// Gives up all that was begun.
    pub fn give_up(&mut self) {
        self.downloads.clear();
    }
}

/// A download whose turn it is.
pub struct Taken(Download);

impl Taken {
    /// The answer, if it is a file.
    fn answer(self, org: &mut Org<'_>) -> Option<Response> {
        let waited = org.clock.elapsed().saturating_sub(self.0.at);
        if waited > OLDEST { None } else { org.get_begun(self.0.begun) }
    }
}
