//! Which source gets a slice when.
//!
//! Whoever did something longest ago comes first, whether it took much or little. Of those that never did anything, objects
//! come before files, since what they bring is minutes old and a file is hours old, and then whoever has been due for
//! the longest time. So a long backfill, or an object that takes minutes for an answer, has one slice of many, and starves
//! nobody. The state counts the slices, so that it holds for hosts that use a new instance for every poll.

use crate::{
    config::Config,
    files::{self, FilesWork, Need, list_together},
    objects::{self, ObjectWork},
    org::session::Org,
    problem::{Kind, Problem},
    schedule::{
        batch::Progress,
        slice::{Slice, Step},
    },
    state::{Capacity, State},
};
use documents::time::Time;

/// What is kept in memory for the sources of a configuration. None of it is needed.
#[derive(Default)]
pub struct Work {
    objects: Vec<ObjectWork>,
    files: Vec<FilesWork>,
    /// Whether the org said that it does not know `EventLogFile.Interval`.
    interval_unknown: bool,
}

/// What came of all slices of a poll.
#[derive(Default)]
pub struct Outcome {
    /// What went wrong.
    pub problems: Vec<Problem>,
    /// Whether anything was listed or read.
    pub useful: bool,
}

/// A source of the configuration, by its index in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Object(usize),
    Files(usize),
}

impl Source {
    /// Its stream, and how many bytes of events may leave it in a day.
    fn stream(self, config: &Config) -> (&str, Option<u64>) {
        match self {
            Self::Object(index) => {
                let source = &config.streams.objects[index];
                (&source.stream, source.outflow.daily_bytes)
            }
            Self::Files(index) => {
                let source = &config.streams.files[index];
                (&source.stream, source.outflow.daily_bytes)
            }
        }
    }

    /// Milliseconds until more of its stream may leave.
    fn wait_for_day(self, config: &Config, state: &State, now: Time) -> i64 {
        let (stream, daily) = self.stream(config);
        state.streams.get(stream).map_or(0, |stream| stream.wait_for_day(daily, now))
    }

    /// Counts what left. Says so if that was the last of it for the day.
    fn count(self, config: &Config, state: &mut State, bytes: u64, now: Time) -> Option<Problem> {
        let (name, daily) = self.stream(config);
        let stream = state.streams.get_mut(name).filter(|_| bytes > 0)?;
        let daily = daily?;
        stream.count(bytes, now);
        let wait = stream.wait_for_day(Some(daily), now);
        (wait > 0).then(|| {
            let message = format!("the {daily} bytes of the day have left the stream '{name}': it waits for the next day");
            let hint = "nothing is lost as long as the org keeps what waits: raise daily_bytes, or leave events out that nobody needs";
            Problem::new(Kind::RateLimited, message).in_stream(name).hint(hint).retry_after_ms(wait)
        })
    }
}

impl Work {
    /// Nothing kept for the sources of a configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            objects: config.streams.objects.iter().map(|_| ObjectWork::default()).collect(),
            files: config.streams.files.iter().map(|_| FilesWork::default()).collect(),
            interval_unknown: false,
        }
    }

    /// Lets every source take a slice, again and again, until the batch is full or none has anything left to do.
    ///
    /// # Errors
    /// When nobody can sign in.
    pub fn run(
        &mut self,
        org: &mut Org<'_>,
        state: &mut State,
        progress: &mut Progress<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), Problem> {
        let config = org.config;
        state.evict(config.streams.names());
        // All of them before the first slice: whoever lists may take others along.
        for source in &config.streams.files {
            let stream = state.streams.entry(source.stream.clone()).or_default();
            files::prepare(org, source, &mut stream.event_log_file)?;
        }
        let order = order(config, state);
        loop {
            let mut idle = true;
            for source in &order {
                progress.check_time();
                if progress.is_full() {
                    return Ok(());
                }
                let now = Time(org.clock.now_ms());
                if source.wait_for_day(config, state, now) > 0 {
                    self.let_go(*source);
                    continue;
                }
                progress.begin_slice();
                let before = progress.bytes();
                let slice =
                    Slice { org: &mut *org, progress: &mut *progress, problems: &mut outcome.problems };
                let step = self.run_one(*source, config, state, slice);
                progress.end_slice();
                outcome.problems.extend(source.count(config, state, progress.bytes() - before, now));
                match step? {
                    Step::Worked => {
                        idle = false;
                        outcome.useful = true;
                        note_served(*source, config, state);
                    }
                    Step::Failed => {
                        idle = false;
                        note_served(*source, config, state);
                    }
                    Step::Idle => {}
                }
            }
            if idle {
                return Ok(());
            }
        }
    }

    /// Gives up what outlasts no poll.
    pub fn end_poll(&mut self) {
        self.files.iter_mut().for_each(FilesWork::end_poll);
    }

    /// Lets go of what a source holds that waits for long: a download, records.
    fn let_go(&mut self, source: Source) {
        match source {
            Source::Object(index) => self.objects[index] = ObjectWork::default(),
            Source::Files(index) => self.files[index].close(),
        }
    }

    fn run_one(
        &mut self,
        source: Source,
        config: &Config,
        state: &mut State,
        slice: Slice<'_, '_, '_>,
    ) -> Result<Step, Problem> {
        match source {
            Source::Object(index) => {
                let source = &config.streams.objects[index];
                let capacity = state.capacity();
                let held = self.objects.iter().map(ObjectWork::held).sum();
                let stream = state.streams.entry(source.stream.clone()).or_default();
                self.objects[index].step(slice, source, capacity, held, &mut stream.object)
            }
            Source::Files(index) => self.run_files(index, config, state, slice),
        }
    }

    /// A list of files alone is no slice, for a fresh instance would have to ask for it again: something of it is read as well.
    fn run_files(
        &mut self,
        index: usize,
        config: &Config,
        state: &mut State,
        mut slice: Slice<'_, '_, '_>,
    ) -> Result<Step, Problem> {
        let source = &config.streams.files[index];
        let mut listings = 0;
        loop {
            let capacity: Capacity = state.capacity();
            let streams = config.streams.files.iter().zip(&self.files);
            let sharing = streams
                .filter(|(source, work)| work.is_reading(state.streams.get(&source.stream)))
                .count()
                .max(1) as u64;
            let stream = state.streams.entry(source.stream.clone()).or_default();
            let now = slice.now();
            let Some(cursor) = &mut stream.event_log_file else { return Ok(Step::Idle) };
            match self.files[index].need(cursor, source, now) {
                // An org that does not know the interval is asked a second time.
                Need::Listing if listings >= 2 => return Ok(Step::Worked),
                Need::Listing => {
                    listings += 1;
                    let unknown = &mut self.interval_unknown;
                    let step =
                        list_together(slice.reborrow(), config, index, &mut self.files, state, unknown)?;
                    if step != Step::Worked {
                        return Ok(step);
                    }
                }
                Need::Reading => return self.files[index].read_on(slice, source, cursor, capacity, sharing),
                Need::Nothing => {
                    let more = self.files[index].end_part(&mut slice, source, cursor);
                    return Ok(if more || listings > 0 { Step::Worked } else { Step::Idle });
                }
            }
        }
    }

    /// Files known of and not read to their end, and the bytes of them still to read.
    pub fn backlog(&self, config: &Config, state: &State) -> (u32, u64) {
        let (mut files, mut bytes) = (0u32, 0u64);
        for (source, work) in config.streams.files.iter().zip(&self.files) {
            let (more, longer) = work.backlog(state.streams.get(&source.stream));
            files = files.saturating_add(more);
            bytes = bytes.saturating_add(longer);
        }
        (files, bytes)
    }
}

/// The sources in the order of their slices.
fn order(config: &Config, state: &State) -> Vec<Source> {
    let cursor = |stream: &str| state.streams.get(stream);
    let objects = config.streams.objects.iter().enumerate().map(|(index, source)| {
        let cursor = cursor(&source.stream).and_then(|stream| stream.object.as_ref());
        let (served, due) = cursor.map_or((0, Time(0)), |cursor| (cursor.served, cursor.due));
        (served, 0, due, index, Source::Object(index))
    });
    let files = config.streams.files.iter().enumerate().map(|(index, source)| {
        let cursor = cursor(&source.stream).and_then(|stream| stream.event_log_file.as_ref());
        let (served, due) = cursor.map_or((0, Time(0)), |cursor| (cursor.served, cursor.due));
        (served, 1, due, index, Source::Files(index))
    });
    let mut order: Vec<_> = objects.chain(files).collect();
    order.sort_unstable_by_key(|(served, kind, due, index, _)| (*served, *kind, *due, *index));
    order.into_iter().map(|(.., source)| source).collect()
}

/// Notes that a source had a slice.
fn note_served(source: Source, config: &Config, state: &mut State) {
    let serial = state.next_serial();
    let served = match source {
        Source::Object(index) => {
            let stream = state.streams.get_mut(&config.streams.objects[index].stream);
            stream.and_then(|stream| stream.object.as_mut()).map(|object| &mut object.served)
        }
        Source::Files(index) => {
            let stream = state.streams.get_mut(&config.streams.files[index].stream);
            stream.and_then(|stream| stream.event_log_file.as_mut()).map(|files| &mut files.served)
        }
    };
    if let Some(served) = served {
        *served = serial;
    }
}

/// Whether no source has anything left to do, now or later.
pub fn are_complete(config: &Config, state: &State) -> bool {
    let stream = |name: &str| state.streams.get(name);
    config.streams.objects.iter().all(|source| {
        let cursor = stream(&source.stream).and_then(|stream| stream.object.as_ref());
        cursor.is_some_and(|cursor| cursor.is_complete(source.range.until))
    }) && config.streams.files.iter().all(|source| {
        let cursor = stream(&source.stream).and_then(|stream| stream.event_log_file.as_ref());
        cursor.is_some_and(|cursor| cursor.until == source.range.until && cursor.is_complete())
    })
}

/// Milliseconds until a source has something to do; without end if none ever has.
pub fn next(config: &Config, state: &State, now: Time) -> i64 {
    let objects = config.streams.objects.iter().enumerate().map(|(index, source)| {
        let cursor = state.streams.get(&source.stream).and_then(|stream| stream.object.as_ref());
        let not_yet = || source.range.from.map_or(0, |from| from.0.saturating_sub(now.0).max(0));
        let wait = cursor.map_or_else(not_yet, |cursor| objects::wait(cursor, source, now));
        wait.max(Source::Object(index).wait_for_day(config, state, now))
    });
    let files = config.streams.files.iter().enumerate().map(|(index, source)| {
        let cursor = state.streams.get(&source.stream).and_then(|stream| stream.event_log_file.as_ref());
        let wait = cursor.map_or(0, |cursor| files::wait(cursor, source, now));
        wait.max(Source::Files(index).wait_for_day(config, state, now))
    });
    objects.chain(files).min().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::streams::EventTypes,
        state::{FilesState, ObjectState, StreamState},
    };

    #[test]
    fn whoever_had_a_slice_comes_behind_all_that_had_theirs_before() {
        let key = include_str!("../tests/keys/pkcs8.pem").replace('\n', "\\n");
        let config = r#"{
            "instance_url": "https://acme.my.salesforce.com",
            "auth": {"flow": "jwt-bearer", "client_id": "3MVG9.acme", "username": "a@b.c", "private_key": "@KEY@"},
            "streams": {"login": {"event_log_file": {}}, "logout": {"event_log_file": {}},
                "setupaudittrail": {"object": {}}}
        }"#;
        let config = Config::parse(&config.replace("@KEY@", &key)).expect("a configuration");
        let mut state = State::new();
        for (index, source) in config.streams.files.iter().enumerate() {
            // The last one has been due for the longest time.
            let due = Time(10 - i64::try_from(index).expect("small"));
            let files = FilesState::new("Hourly", &EventTypes::one("Login"), due, Time(0));
            let cursor = StreamState { event_log_file: Some(files), ..StreamState::default() };
            state.streams.insert(source.stream.clone(), cursor);
        }
        let audit = ObjectState::new("SetupAuditTrail", "CreatedDate", Time(20), Time(0));
        let cursor = StreamState { object: Some(audit), ..StreamState::default() };
        state.streams.insert(config.streams.objects[0].stream.clone(), cursor);
        let (object, one, two) = (Source::Object(0), Source::Files(0), Source::Files(1));
        assert_eq!(order(&config, &state), [object, two, one]);
        for (served, after) in [
            (object, [two, one, object]),
            (two, [one, object, two]),
            (one, [object, two, one]),
            (two, [object, one, two]),
        ] {
            note_served(served, &config, &mut state);
            assert_eq!(order(&config, &state), after, "after {served:?}");
        }
    }
}
