//! Downloads that are begun before it is their turn: while one file is read, the org makes ready the next ones. Where an answer takes
//! a fifth of a second, a backlog of small files is mostly waiting otherwise.
//!
//! Nothing depends on it. What was begun ends with the poll at the latest, and what comes of it otherwise than as a file that can be
//! read is asked for again when its turn comes, as if it had not been begun: only then it counts as a try.

use crate::{
    files::file::log_file_path,
    io::Response,
    org::session::{Begun, Org},
    schedule::batch::Progress,
};
use documents::EventLogFile;
use std::{collections::VecDeque, time::Duration};

/// Longer files flow for longer than they are waited for.
const LONGEST: u64 = 1024 * 1024;
/// What has waited longer may have been closed by whoever sends it.
const OLDEST: Duration = Duration::from_secs(10);

/// The downloads of a stream that are under way and not looked at.
#[derive(Default)]
pub struct Ahead {
    downloads: VecDeque<Download>,
}

struct Download {
    file: String,
    begun: Begun,
    /// On the monotonic clock.
    at: Duration,
}

impl Ahead {
    /// Begins the downloads of what comes next, as far as the batch has room for it.
    pub fn begin(&mut self, org: &mut Org<'_>, next: &VecDeque<EventLogFile>, progress: &Progress<'_>) {
        let mut bytes = 0u64;
        for file in next {
            bytes = bytes.saturating_add(file.length);
            if file.length > LONGEST || !progress.has_room_for(bytes) {
                return;
            }
            if self.downloads.iter().any(|download| download.file == file.id) {
                continue;
            }
            let Ok(version) = org.api_version() else { return };
            let at = org.clock.elapsed();
            let Some(begun) = org.begin(&log_file_path(&version, &file.id), &[("accept", "*/*")]) else {
                return;
            };
            self.downloads.push_back(Download { file: file.id.clone(), begun, at });
        }
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
    pub fn answer(self, org: &mut Org<'_>) -> Option<Response> {
        let waited = org.clock.elapsed().saturating_sub(self.0.at);
        if waited > OLDEST { None } else { org.get_begun(self.0.begun) }
    }
}
