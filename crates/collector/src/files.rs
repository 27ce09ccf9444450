//! The event log files of a stream: looked for when it is time, read one after another, oldest first.
//!
//! Streams that look for files at the same time share one query, whatever types they take: every request counts against
//! the allowance of the org.

use crate::{
    config::{
        Config,
        streams::{Cadence, FilesSource},
    },
    file::OpenFile,
    listing::{Listing, list},
    problem::{Kind, Problem},
    reading::Job,
    session::{Org, Trouble},
    soql::IntervalField,
    state::{FileInfo, FilesState, Reading, Room, State, StreamState},
    time::{Time, millis},
    turn::{Step, Turn},
};
use std::collections::VecDeque;

/// What is kept in memory of a stream's files. None of it is needed: it only saves requests.
#[derive(Default)]
pub struct FilesWork {
    queue: VecDeque<FileInfo>,
    /// When the queue was listed; none = it has to be.
    listed: Option<Time>,
    /// Whether the queue held all files that there were.
    complete: bool,
    open: Option<Box<OpenFile>>,
}

/// What a stream needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To know which files there are.
    Listing,
    /// To read one.
    Reading,
    /// Nothing for now.
    Nothing,
}

/// Makes a stream's place if it has none, and brings it in line with the configuration.
///
/// # Errors
/// When nobody can sign in.
pub fn prepare(
    org: &mut Org<'_>,
    source: &FilesSource,
    place: &mut Option<FilesState>,
) -> Result<(), Problem> {
    let now = Time(org.clock.now_ms());
    let cadence = source.cadence.name();
    if place.is_none() {
        // The org's clock decides how far back the beginning lies, and a sign-in tells it.
        org.sign_in().map_err(|trouble| trouble.problem("the sign-in"))?;
        let floor = org.now().before(source.initial_interval);
        *place = Some(FilesState::new(cadence, &source.event_types, now, floor));
    }
    if let Some(state) = place {
        state.change_interval(cadence, now);
        state.change_event_types(&source.event_types, now, org.now().before(source.initial_interval));
    }
    Ok(())
}

/// Lists the files of all streams that need it now and take the same kind of files, in one query. The place of each is
/// prepared.
///
/// # Errors
/// When nobody can sign in.
pub fn list_together(
    mut turn: Turn<'_, '_, '_>,
    config: &Config,
    cadence: Cadence,
    work: &mut [FilesWork],
    state: &mut State,
    interval_unknown: &mut bool,
) -> Result<Step, Problem> {
    let now = turn.now();
    let place =
        |state: &State, source: &FilesSource| state.streams.get(&source.stream)?.event_log_file.clone();
    let mut group = Vec::new();
    for (index, source) in config.streams.files.iter().enumerate() {
        let Some(place) = place(state, source) else { continue };
        if source.cadence == cadence && work[index].need(&place, source, state.room(), now) == Need::Listing {
            group.push((index, source, place));
        }
    }
    let wanted: Vec<_> = group.iter().map(|(_, source, place)| (*source, place)).collect();
    let interval = if *interval_unknown { IntervalField::Unknown } else { IntervalField::Known };
    let (problem, trouble) = match list(turn.org, &wanted, cadence, interval) {
        Ok(Listing { queues, complete, unusable }) => {
            for ((index, source, _), queue) in group.iter().zip(queues) {
                work[*index].queue = queue;
                work[*index].complete = complete;
                work[*index].listed = Some(now);
                with_place(state, source, |place| place.backoff = None);
            }
            if let (Some(first), Some((_, source, _))) = (unusable.first(), group.first()) {
                let message = format!(
                    "{} records of EventLogFile lack Id, EventType or CreatedDate: {first}",
                    unusable.len()
                );
                turn.problems.push(Problem::new(Kind::Data, message).in_stream(&source.stream));
            }
            return Ok(Step::Worked);
        }
        Err(trouble) if lacks_interval(&trouble) && cadence == Cadence::Daily && !*interval_unknown => {
            *interval_unknown = true;
            return Ok(Step::Failed);
        }
        Err(trouble) if lacks_interval(&trouble) => (None, trouble),
        Err(trouble) => (Some(trouble.problem("the list of event log files")), trouble),
    };
    for (_, source, _) in &group {
        let problem = problem.clone().unwrap_or_else(|| no_hourly_files(source));
        if let Some(place) =
            state.streams.get_mut(&source.stream).and_then(|stream| stream.event_log_file.as_mut())
        {
            turn.trouble(&source.stream, &mut place.backoff, &trouble, problem)?;
        }
    }
    Ok(Step::Failed)
}

fn with_place(state: &mut State, source: &FilesSource, change: impl FnOnce(&mut FilesState)) {
    if let Some(place) =
        state.streams.get_mut(&source.stream).and_then(|stream| stream.event_log_file.as_mut())
    {
        change(place);
    }
}

impl FilesWork {
    /// What the stream needs.
    pub fn need(&self, state: &FilesState, source: &FilesSource, room: Room, now: Time) -> Need {
        if state.backoff.as_ref().is_some_and(|backoff| backoff.remaining(now) > 0) {
            return Need::Nothing;
        }
        if self.listed.is_none() && wait_for_listing(state, source, now) == 0 {
            return Need::Listing;
        }
        let new = !self.queue.is_empty() && state.set_aside.len() < room.set_aside;
        let again = state.set_aside.iter().any(|reading| is_due(reading, now));
        if state.reading.is_some() || new || again { Need::Reading } else { Need::Nothing }
    }

    /// Reads on: the file that was begun, or the next one.
    ///
    /// # Errors
    /// When nobody can sign in, and no other source needs to try.
    pub fn read_on(
        &mut self,
        mut turn: Turn<'_, '_, '_>,
        source: &FilesSource,
        state: &mut FilesState,
        room: Room,
    ) -> Result<Step, Problem> {
        let now = turn.now();
        if state.reading.is_none() {
            state.reading = self.next_file(state, room, now);
        }
        let step = match state.reading.take() {
            Some(reading) => {
                Job { turn: &mut turn, source, state, room, now, open: &mut self.open }.read(reading)?
            }
            None => Step::Idle,
        };
        self.end_round(source, state, now);
        Ok(step)
    }

    /// Once all is read that was listed, the next listing is due after the interval.
    pub fn end_round(&mut self, source: &FilesSource, state: &mut FilesState, now: Time) {
        if let Some(listed) = self.listed
            && state.reading.is_none()
            && self.queue.is_empty()
        {
            // Until here a fresh instance would have had to list again.
            state.due = if self.complete { listed.after(source.interval) } else { now };
            self.listed = None;
        }
    }

    /// Files known of and not read to their end, and the bytes of them still to read.
    pub fn backlog(&self, place: Option<&StreamState>) -> (u32, u64) {
        let state = place.and_then(|place| place.event_log_file.as_ref());
        let started = state.into_iter().flat_map(|state| state.reading.iter().chain(&state.set_aside));
        let (mut files, mut bytes) = (0u32, 0u64);
        for remaining in started.map(Reading::remaining).chain(self.queue.iter().map(|file| file.length)) {
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(remaining);
        }
        (files, bytes)
    }

    /// The next file to read: first what is new, then what was set aside long enough.
    fn next_file(&mut self, state: &mut FilesState, room: Room, now: Time) -> Option<Reading> {
        if state.set_aside.len() < room.set_aside
            && let Some(file) = self.queue.pop_front()
        {
            return Some(Reading::new(file));
        }
        let due = state.set_aside.iter().position(|reading| is_due(reading, now));
        due.map(|index| state.set_aside.remove(index))
    }
}

fn is_due(reading: &Reading, now: Time) -> bool {
    reading.backoff.as_ref().is_none_or(|backoff| backoff.remaining(now) == 0)
}

/// Whether the org said that it does not know `EventLogFile.Interval`.
pub fn lacks_interval(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused(refusal) if refusal.is("INVALID_FIELD") && refusal.message.contains("'Interval'"))
}

/// What to say of that to an operator who wants hourly files.
pub fn no_hourly_files(source: &FilesSource) -> Problem {
    Problem::new(Kind::Config, "this org has no hourly event log files")
        .at(format!("streams.{}.event_log_file.log_file_interval", source.stream))
        .hint("set it to \"daily\"; hourly files come with the Event Monitoring add-on")
}

/// Milliseconds until the stream has something to do.
pub fn wait(state: &FilesState, source: &FilesSource, room: Room, now: Time) -> i64 {
    if let Some(backoff) = state.backoff.as_ref().filter(|backoff| backoff.remaining(now) > 0) {
        return backoff.remaining(now);
    }
    let set_aside = state.set_aside.iter().filter_map(|reading| reading.backoff.as_ref());
    let retry = set_aside.map(|backoff| backoff.remaining(now)).min().unwrap_or(i64::MAX);
    if state.set_aside.len() >= room.set_aside {
        retry
    } else {
        retry.min(wait_for_listing(state, source, now))
    }
}

/// Milliseconds until files are looked for again. Nothing if that is further off than the interval: then the clock went
/// back, or the interval was longer before.
fn wait_for_listing(state: &FilesState, source: &FilesSource, now: Time) -> i64 {
    let wait = state.due.0.saturating_sub(now.0).max(0);
    if wait > millis(source.interval) { 0 } else { wait }
}
