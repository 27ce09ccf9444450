//! Event log files: which ones there are, when they become visible, what is in them.
//!
//! Object reference, `sforce_api_objects_eventlogfile`; REST guide, `event_log_file_hourly_diff`,
//! `event_log_file_hourly_query` and `using_resources_event_log_files`:
//! - An hourly file covers one hour (`Sequence` 1, `LogDate` its start), a daily file one UTC day (`Sequence` 0). Both
//!   hold the same events. An hour or a day without events has no file.
//! - `CreatedDate` is when the file was made, 3 to 6 hours after `LogDate` of an hourly one and in the quiet hours of the
//!   next day for a daily one. So the order of `CreatedDate` is not that of `LogDate`, and several files can share one.
//! - A query means daily files unless it says otherwise: it says so by filtering on `Interval` or `Sequence`, and also by
//!   any condition on `Id`, which brings both kinds (reported from live orgs in elastic/integrations pull request 20931).
//! - An org without hourly files has no field `Interval`.
//! - Late data comes as one more hourly file with the next `Sequence`, which can repeat rows of an earlier one, and makes
//!   the daily file be issued again with everything; the first issue is gone then.
//! - A file can be listed later than others with a later `CreatedDate`, and expires (30 days after it, by default).

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::Ids;
use crate::login_rows::{Hour, LoginRows, Row};
use crate::prng::Rng;
use crate::schema::{BEFORE_CHANGE, Maker, NEWEST};
use crate::settings::{Files, Rows, Workload};
use crate::soql::SoqlError;
use crate::soql::eval::{self, FieldType, Object, Plan, Value, field, unfilterable};
use crate::soql::parser::Query;

/// How long a span a file covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// One hour.
    Hourly,
    /// One UTC day.
    Daily,
}

/// One event log file of the org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogFile {
    /// 18 characters, beginning with `0AT`.
    pub id: String,
    /// What kind of events it has, such as `Login`.
    pub event_type: &'static str,
    /// The span it covers.
    pub interval: Interval,
    /// 0 for a daily file; 1 for the first hourly one, more for late ones.
    pub sequence: u32,
    /// Start of that span.
    pub log_date: DateTime<Utc>,
    /// When the file was made, in whole seconds; no query shows it before.
    pub created_date: DateTime<Utc>,
    /// How many rows it has.
    pub rows: u64,
    /// The version whose columns it has.
    pub api_version: u32,
    /// When it is there: from the first moment up to the second.
    pub(crate) there: Range<DateTime<Utc>>,
    /// Its place in [`Catalogue::streams`].
    stream: usize,
    /// The rows it is made of.
    pub(crate) parts: Vec<Part>,
}

impl EventLogFile {
    fn is_there(&self, now: DateTime<Utc>) -> bool {
        self.there.contains(&now)
    }
}

/// Some rows of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Place in [`Stream::hours`].
    pub(crate) hour: usize,
    pub(crate) rows: Range<u64>,
}

/// What the length of a part depends on: stream, hour, first and last row, API version.
type PartKey = (usize, usize, u64, u64, u32);

/// The events of one type.
struct Stream {
    maker: Maker,
    /// Beside the hours of logins, place by place.
    hours: Vec<Hour>,
}

/// Bytes that [`Catalogue::generate`] hands over at a time, give or take a row.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Rows that one thread measures before it takes the next piece of work.
const MEASURED_AT_ONCE: u64 = 20_000;

/// All event log files of an org.
pub(crate) struct Catalogue {
    rows: LoginRows,
    /// The hours that have logins.
    hours: Vec<Hour>,
    streams: Vec<Stream>,
    nul_bytes: bool,
    repeated_header: bool,
    /// CSV bytes of parts, once measured.
    measured: Mutex<HashMap<PartKey, u64>>,
    measuring: Mutex<()>,
    files: Vec<EventLogFile>,
    /// An id has several files where a daily one keeps it when it is issued again; one of them is there at a time.
    by_id: HashMap<String, Vec<usize>>,
    created_by_id: String,
}

impl Catalogue {
    pub(crate) fn new(
        seed: u64,
        org_id15: &str,
        workload: &Workload,
        settings: &Files,
        hourly: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let rows = LoginRows::new(seed, org_id15, settings.nul_bytes);
        let end =
            workload.end.unwrap_or(now - TimeDelta::hours(5)).timestamp().div_euclid(3600).max(0) as u64;
        let numbers = end.saturating_sub(workload.hours.into())..end;
        let hours: Vec<Hour> =
            hours(numbers, workload.rows, &rows).into_iter().filter(|hour| hour.rows > 0).collect();
        let makers = settings.event_types.iter().filter_map(|event_type| Maker::of(event_type));
        let streams: Vec<Stream> = makers
            .map(|maker| Stream { hours: hours.iter().map(|hour| maker.hour(hour)).collect(), maker })
            .collect();
        let (ids, mut number) = (Ids::new("0AT", seed), 0);
        let mut files = Vec::new();
        for (stream, Stream { maker, hours }) in streams.iter().enumerate() {
            let issue = Issue { seed, settings, stream, event_type: maker.name(), hours, end };
            if hourly {
                files.extend(issue.hourly_files());
            }
            files.extend(issue.daily_files());
        }
        for file in &mut files {
            let keeps_id = file.id == SAME_ID;
            number += u64::from(!keeps_id);
            file.id = ids.nth_18(number.saturating_sub(1));
            issue_times(seed, settings, number, file);
        }
        files.sort_by(|a, b| (&a.id, a.created_date).cmp(&(&b.id, b.created_date)));
        let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, file) in files.iter().enumerate() {
            by_id.entry(file.id.clone()).or_default().push(place);
        }
        Self {
            rows,
            hours,
            streams,
            nul_bytes: settings.nul_bytes,
            repeated_header: settings.repeated_header,
            measured: Mutex::default(),
            measuring: Mutex::default(),
            files,
            by_id,
            created_by_id: Ids::new("005", seed ^ 1).nth_18(0),
        }
    }

    /// The file with this 18-character id, if it is there at `now`.
    pub(crate) fn find(&self, id: &str, now: DateTime<Utc>) -> Option<&EventLogFile> {
        let places = self.by_id.get(id)?;
        places.iter().map(|place| &self.files[*place]).find(|file| file.is_there(now))
    }

    /// The files that are there at `now`, in the order of their ids (which is no order a client may rely on).
    pub(crate) fn visible(&self, now: DateTime<Utc>) -> impl Iterator<Item = &EventLogFile> {
        self.files.iter().filter(move |file| file.is_there(now))
    }

    /// What makes the logins.
    pub(crate) fn logins(&self) -> &LoginRows {
        &self.rows
    }

    /// The hours that have logins, in the order of time.
    pub(crate) fn hours(&self) -> &[Hour] {
        &self.hours
    }

    /// The columns of one row of a file.
    pub(crate) fn fill_row(&self, file: &EventLogFile, hour: usize, index: u64, row: &mut Row) {
        self.fill_stream(file.stream, hour, index, row);
    }

    fn fill_stream(&self, stream: usize, hour: usize, index: u64, row: &mut Row) {
        let Stream { maker, hours } = &self.streams[stream];
        maker.fill(&self.rows, &self.hours[hour], &hours[hour], index, self.nul_bytes, row);
    }

    /// The columns of a file: place, name and type.
    pub(crate) fn columns(&self, file: &EventLogFile) -> Vec<(usize, &'static str, &'static str)> {
        self.streams[file.stream].maker.columns(file.api_version)
    }

    fn header(&self, file: &EventLogFile) -> Vec<u8> {
        self.streams[file.stream].maker.header(file.api_version)
    }

    /// Makes the file's CSV and hands it over piece by piece, until the end or until `emit` breaks.
    pub(crate) fn generate(
        &self,
        file: &EventLogFile,
        mut emit: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let header = self.header(file);
        let places = self.streams[file.stream].maker.places(file.api_version);
        let mut buffer = header.clone();
        let mut row = Row::default();
        let mut left = if self.repeated_header { file.rows.div_ceil(2) } else { u64::MAX };
        for part in &file.parts {
            for index in part.rows.clone() {
                self.fill_stream(file.stream, part.hour, index, &mut row);
                row.write_csv(&places, &mut buffer);
                left -= 1;
                if left == 0 {
                    buffer.extend_from_slice(&header);
                    left = u64::MAX;
                }
                if buffer.len() >= CHUNK {
                    emit(&buffer)?;
                    buffer.clear();
                }
            }
        }
        emit(&buffer)
    }

    /// `LogFileLength`: the exact bytes of the file's CSV, undecoded by any content coding.
    pub(crate) fn length(&self, file: &EventLogFile) -> u64 {
        self.measure(std::slice::from_ref(&file));
        let measured = self.measured();
        let rows: u64 = part_keys(file).filter_map(|key| measured.get(&key)).sum();
        let headers = if self.repeated_header { 2 } else { 1 };
        headers * self.header(file).len() as u64 + rows
    }

    fn measured(&self) -> MutexGuard<'_, HashMap<PartKey, u64>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the lengths of these files, each part once for good, on all processors.
    pub(crate) fn measure(&self, files: &[&EventLogFile]) {
        let unmeasured = || {
            let measured = self.measured();
            let all = files.iter().flat_map(|file| part_keys(file));
            all.filter(|key| !measured.contains_key(key)).collect::<HashSet<PartKey>>()
        };
        if unmeasured().is_empty() {
            return;
        }
        let _one_at_a_time = self.measuring.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<PartKey> = unmeasured().into_iter().collect();
        let pieces: Vec<(usize, Range<u64>)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(slot, &(_, _, first, end, _))| {
                let starts = (first..end).step_by(MEASURED_AT_ONCE as usize);
                starts.map(move |from| (slot, from..end.min(from + MEASURED_AT_ONCE)))
            })
            .collect();
        let totals: Vec<AtomicU64> = wanted.iter().map(|_| AtomicU64::new(0)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut row, mut buffer) = (Row::default(), Vec::with_capacity(2048));
            while let Some((slot, rows)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (stream, hour, _, _, version) = wanted[*slot];
                let places = self.streams[stream].maker.places(version);
                let mut bytes = 0;
                for index in rows.clone() {
                    self.fill_stream(stream, hour, index, &mut row);
                    buffer.clear();
                    row.write_csv(&places, &mut buffer);
                    bytes += buffer.len() as u64;
                }
                totals[*slot].fetch_add(bytes, Ordering::Relaxed);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len());
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let totals = totals.into_iter().map(AtomicU64::into_inner);
        self.measured().extend(wanted.into_iter().zip(totals));
    }

    /// Runs a query that names this object.
    pub(crate) fn query(
        &self,
        query: &Query,
        has_hourly: bool,
        version: u32,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Vec<FileRow<'_>>), SoqlError> {
        let absent: &[&str] = if has_hourly { &[] } else { &["Interval"] };
        let plan = Plan::new(query, &OBJECT, absent)?;
        let any_interval = [ID, INTERVAL, SEQUENCE].into_iter().any(|field| plan.filters_on(field));
        let candidates: Vec<&EventLogFile> =
            self.visible(now).filter(|file| any_interval || file.interval == Interval::Daily).collect();
        if plan.depends_on(LOG_FILE_LENGTH) {
            self.measure(&candidates);
        }
        let rows = plan.run(candidates.into_iter().map(|file| FileRow { catalogue: self, file, version }));
        Ok((plan, rows))
    }
}

/// The hours of a span with their rows, empty ones included.
fn hours(numbers: Range<u64>, rows: Rows, maker: &LoginRows) -> Vec<Hour> {
    match rows {
        Rows::PerHour(rows) => numbers.map(|number| Hour { number, rows }).collect(),
        Rows::Total(total) => {
            let whole: u64 = numbers.clone().map(weight).sum();
            let share =
                |so_far: u64| (u128::from(total) * u128::from(so_far) / u128::from(whole.max(1))) as u64;
            let mut so_far = 0;
            numbers
                .map(|number| {
                    let before = share(so_far);
                    so_far += weight(number);
                    Hour { number, rows: share(so_far) - before }
                })
                .collect()
        }
        Rows::OneFileOfBytes(bytes) => {
            const SAMPLE: u64 = 2_000;
            let number = numbers.end.saturating_sub(1);
            let sample = Hour { number, rows: SAMPLE };
            let places = Maker::Login.places(NEWEST);
            let (mut row, mut csv) = (Row::default(), Vec::new());
            for index in 0..SAMPLE {
                maker.fill(&sample, index, &mut row);
                row.write_csv(&places, &mut csv);
            }
            let rows = u128::from(bytes) * u128::from(SAMPLE) / csv.len() as u128;
            vec![Hour { number, rows: (rows as u64).max(1) }]
        }
    }
}

/// How busy an hour is: office hours in Europe and America on weekdays, a fifth of that at weekends.
fn weight(hour: u64) -> u64 {
    const DAY: [u64; 24] =
        [2, 1, 1, 1, 2, 5, 12, 25, 30, 28, 26, 24, 28, 34, 38, 36, 32, 26, 18, 12, 8, 6, 4, 3];
    let weekday = (hour / 24 + 3) % 7; // 1970-01-01 was a Thursday; 0 is Monday
    DAY[(hour % 24) as usize] * if weekday >= 5 { 1 } else { 5 }
}

/// Stands for an id until there are ids: this file has that of the one before.
const SAME_ID: &str = "the same";

fn part_keys(file: &EventLogFile) -> impl Iterator<Item = PartKey> {
    let version = file.api_version;
    file.parts.iter().map(move |part| (file.stream, part.hour, part.rows.start, part.rows.end, version))
}

/// Sets from when to when a file is there, within what was set already.
fn issue_times(seed: u64, settings: &Files, number: u64, file: &mut EventLogFile) {
    file.there.start = file.created_date;
    if settings.hidden_one_in > 0 && Rng::of(&[seed, number, 0x41d]).one_in(settings.hidden_one_in.into()) {
        file.there.start += settings.hidden_for;
    }
    if let Some(expiry) = settings.retention.and_then(|kept| file.created_date.checked_add_signed(kept)) {
        file.there.end = file.there.end.min(expiry);
    }
}

/// How the hours of one type become files.
struct Issue<'a> {
    seed: u64,
    settings: &'a Files,
    stream: usize,
    event_type: &'static str,
    hours: &'a [Hour],
    /// The first hour after the workload.
    end: u64,
}

impl Issue<'_> {
    /// How many rows of an hour are late.
    fn late_rows(&self, hour: &Hour) -> u64 {
        let one_in = self.settings.late_one_in.into();
        let late = one_in > 0
            && hour.rows > 1
            && Rng::of(&[self.seed, self.stream as u64, hour.number, 0x1a7e]).one_in(one_in);
        if late { hour.rows.div_ceil(5) } else { 0 }
    }

    /// When the late file of an hour is made.
    fn late_date(&self, hour: &Hour, first: DateTime<Utc>) -> DateTime<Utc> {
        let more = Rng::of(&[self.seed, self.stream as u64, hour.number, 0x1a7f]).below(3_600);
        first + self.settings.late_by + TimeDelta::seconds(more as i64)
    }

    fn file(
        &self,
        interval: Interval,
        log_date: DateTime<Utc>,
        created_date: DateTime<Utc>,
        parts: Vec<Part>,
    ) -> EventLogFile {
        let day = log_date.timestamp().div_euclid(86_400);
        let before_change =
            self.settings.columns_change.is_some_and(|change| day < change.timestamp().div_euclid(86_400));
        EventLogFile {
            id: String::new(),
            event_type: self.event_type,
            interval,
            sequence: u32::from(interval == Interval::Hourly),
            log_date,
            created_date,
            rows: parts.iter().map(|part| part.rows.end - part.rows.start).sum(),
            api_version: if before_change { BEFORE_CHANGE } else { NEWEST },
            there: created_date..DateTime::<Utc>::MAX_UTC,
            stream: self.stream,
            parts,
        }
    }

    fn hourly_files(&self) -> Vec<EventLogFile> {
        let mut firsts: Vec<EventLogFile> = Vec::with_capacity(self.hours.len());
        let mut lates = Vec::new();
        for (place, hour) in self.hours.iter().enumerate() {
            let mut rng = Rng::of(&[self.seed, hour.number, 0x41 + ((self.stream as u64) << 8)]);
            let log_date = hour.start();
            let delay = TimeDelta::seconds(10_800 + rng.below(10_800) as i64);
            // Now and then two files are made in the same second, as long as each stays 3 to 6 hours late.
            let with_previous = firsts.last().map(|file| file.created_date).filter(|created| {
                rng.one_in(6) && (TimeDelta::hours(3)..=TimeDelta::hours(6)).contains(&(*created - log_date))
            });
            let created = with_previous.unwrap_or(log_date + delay);
            let split = hour.rows - self.late_rows(hour);
            let part = |rows| vec![Part { hour: place, rows }];
            firsts.push(self.file(Interval::Hourly, log_date, created, part(0..split)));
            if split < hour.rows {
                let from = split.saturating_sub(self.settings.repeated_rows);
                let date = self.late_date(hour, created);
                let late = self.file(Interval::Hourly, log_date, date, part(from..hour.rows));
                lates.push(EventLogFile { sequence: 2, ..late });
            }
        }
        firsts.extend(lates);
        firsts
    }

    /// One file for each UTC day that was over before the end, and one more for a day with late data.
    fn daily_files(&self) -> Vec<EventLogFile> {
        let mut files = Vec::new();
        let mut from = 0;
        for of_day in self.hours.chunk_by(|a, b| a.number / 24 == b.number / 24) {
            let first = from;
            from += of_day.len();
            let day = of_day[0].number / 24;
            if (day + 1) * 24 > self.end {
                continue;
            }
            let mut rng = Rng::of(&[self.seed, day, 0xda + ((self.stream as u64) << 8)]);
            let log_date = Hour { number: day * 24, rows: 0 }.start();
            let created = log_date + TimeDelta::seconds(86_400 + 7_200 + rng.below(7_200) as i64);
            let parts = |late: bool| {
                let rows = |hour: &Hour| hour.rows - if late { 0 } else { self.late_rows(hour) };
                (first..)
                    .zip(of_day)
                    .map(|(place, hour)| Part { hour: place, rows: 0..rows(hour) })
                    .collect::<Vec<_>>()
            };
            let mut file = self.file(Interval::Daily, log_date, created, parts(false));
            if of_day.iter().all(|hour| self.late_rows(hour) == 0) {
                files.push(file);
                continue;
            }
            let again = self.late_date(&of_day[0], created);
            file.there.end = again;
            files.push(file);
            let mut whole = self.file(Interval::Daily, log_date, again, parts(true));
            if self.settings.reissue_keeps_id {
                whole.id = SAME_ID.to_owned();
            }
            files.push(whole);
        }
        files
    }
}

const ID: usize = 0;
const INTERVAL: usize = 4;
const LOG_FILE_LENGTH: usize = 10;
const SEQUENCE: usize = 11;

/// The object as SOQL sees it.
pub(crate) const OBJECT: Object = Object {
    name: "EventLogFile",
    fields: &[
        field("Id", FieldType::Id),
        field("ApiVersion", FieldType::Double),
        field("CreatedDate", FieldType::DateTime),
        field("EventType", FieldType::Text),
        field("Interval", FieldType::Text),
        field("LogDate", FieldType::DateTime),
        unfilterable("LogFile", FieldType::Base64),
        field("LogFileContentType", FieldType::Text),
        unfilterable("LogFileFieldNames", FieldType::Text),
        unfilterable("LogFileFieldTypes", FieldType::Text),
        field("LogFileLength", FieldType::Double),
        field("Sequence", FieldType::Int),
        field("LastModifiedDate", FieldType::DateTime),
        field("SystemModstamp", FieldType::DateTime),
        field("CreatedById", FieldType::Id),
        field("IsDeleted", FieldType::Boolean),
    ],
};

/// A file as a row of a query.
#[derive(Clone, Copy)]
pub(crate) struct FileRow<'a> {
    catalogue: &'a Catalogue,
    pub(crate) file: &'a EventLogFile,
    version: u32,
}

impl<'a> FileRow<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, file: &'a EventLogFile, version: u32) -> Self {
        Self { catalogue, file, version }
    }

    /// Where the record itself would be read.
    pub(crate) fn url(&self) -> String {
        format!("/services/data/v{}.0/sobjects/EventLogFile/{}", self.version, self.file.id)
    }
}

impl eval::Row for FileRow<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        let columns = || self.catalogue.columns(self.file).into_iter();
        let joined = |texts: Vec<&str>| Value::Text(texts.join(",").into());
        match OBJECT.fields[field].name {
            "Id" => Value::Text(self.file.id.as_str().into()),
            "ApiVersion" => Value::Double(self.file.api_version.into()),
            "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(self.file.created_date),
            "EventType" => Value::Text(self.file.event_type.into()),
            "Interval" => {
                Value::Text(if self.file.interval == Interval::Hourly { "Hourly" } else { "Daily" }.into())
            }
            "LogDate" => Value::DateTime(self.file.log_date),
            "LogFile" => Value::Text(format!("{}/LogFile", self.url()).into()),
            "LogFileContentType" => Value::Text("text/csv".into()),
            "LogFileFieldNames" => joined(columns().map(|(_, name, _)| name).collect()),
            "LogFileFieldTypes" => joined(columns().map(|(.., kind)| kind).collect()),
            "LogFileLength" => Value::Double(self.catalogue.length(self.file) as f64),
            "Sequence" => Value::Int(self.file.sequence.into()),
            "CreatedById" => Value::Text(self.catalogue.created_by_id.as_str().into()),
            "IsDeleted" => Value::Boolean(false),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soql::parser::parse;

    fn now() -> DateTime<Utc> {
        "2026-03-04T18:20:00Z".parse().unwrap()
    }

    fn catalogue(hours: u32, rows: Rows) -> Catalogue {
        Catalogue::new(
            5,
            "00D5j000000abcd",
            &Workload { hours, rows, end: None },
            &Files::default(),
            true,
            now(),
        )
    }

    fn of(catalogue: &Catalogue, interval: Interval) -> Vec<&EventLogFile> {
        let mut files: Vec<_> = catalogue.visible(now()).filter(|file| file.interval == interval).collect();
        files.sort_by_key(|file| file.log_date);
        files
    }

    fn count(catalogue: &Catalogue, condition: &str) -> usize {
        let query = parse(&format!("SELECT Id FROM EventLogFile {condition}")).unwrap();
        catalogue.query(&query, true, 65, now()).unwrap().1.len()
    }

    #[test]
    fn every_hourly_file_is_visible_at_the_start() {
        assert_eq!(of(&catalogue(200, Rows::PerHour(1)), Interval::Hourly).len(), 200);
    }

    #[test]
    fn rows_add_up_to_the_total_and_follow_the_day() {
        let catalogue = catalogue(48, Rows::Total(12_345));
        let files = of(&catalogue, Interval::Hourly);
        assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 12_345);
        let at =
            |hour: &str| files.iter().find(|file| file.log_date.to_rfc3339().contains(hour)).unwrap().rows;
        assert!(at("03T14:00") > 5 * at("03T02:00"));
    }

    #[test]
    fn an_hour_without_rows_has_no_file() {
        let catalogue = catalogue(48, Rows::Total(10));
        let files = of(&catalogue, Interval::Hourly);
        assert!(files.len() < 11 && files.iter().all(|file| file.rows > 0));
    }

    #[test]
    fn created_dates_are_whole_seconds_3_to_6_hours_late_and_in_another_order() {
        let catalogue = catalogue(100, Rows::PerHour(1));
        let files = of(&catalogue, Interval::Hourly);
        for file in &files {
            let delay = file.created_date - file.log_date;
            assert!((TimeDelta::hours(3)..=TimeDelta::hours(6)).contains(&delay), "{delay}");
            assert_eq!(file.created_date.timestamp_subsec_nanos(), 0);
        }
        assert!(files.windows(2).any(|pair| pair[0].created_date > pair[1].created_date));
        assert!(files.windows(2).any(|pair| pair[0].created_date == pair[1].created_date));
    }

    #[test]
    fn a_daily_file_holds_the_rows_of_its_hours_and_exists_for_past_days_only() {
        let catalogue = catalogue(48, Rows::Total(5_000));
        let days = of(&catalogue, Interval::Daily);
        let dates: Vec<String> = days.iter().map(|file| file.log_date.to_rfc3339()).collect();
        assert_eq!(dates, ["2026-03-02T00:00:00+00:00", "2026-03-03T00:00:00+00:00"]);
        let hours = of(&catalogue, Interval::Hourly);
        let in_day = |file: &&&EventLogFile| file.log_date.date_naive() == days[1].log_date.date_naive();
        assert_eq!(hours.iter().filter(in_day).map(|file| file.rows).sum::<u64>(), days[1].rows);
    }

    #[test]
    fn a_file_is_invisible_until_its_created_date() {
        let workload = Workload { hours: 1, rows: Rows::PerHour(1), end: Some(now()) };
        let catalogue = Catalogue::new(5, "00D5j000000abcd", &workload, &Files::default(), true, now());
        let created = catalogue.files[0].created_date;
        assert_eq!(catalogue.visible(created - TimeDelta::seconds(1)).count(), 0);
        assert_eq!(catalogue.visible(created).count(), 1);
    }

    #[test]
    fn a_query_means_daily_files_unless_interval_sequence_or_id_is_filtered() {
        let catalogue = catalogue(48, Rows::PerHour(1));
        assert_eq!(count(&catalogue, ""), 2);
        assert_eq!(count(&catalogue, "WHERE EventType = 'Login'"), 2);
        assert_eq!(count(&catalogue, "WHERE Interval = 'Hourly'"), 48);
        assert_eq!(count(&catalogue, "WHERE Sequence != 0"), 48);
        assert_eq!(count(&catalogue, "WHERE Sequence >= 0"), 50);
        assert_eq!(count(&catalogue, "WHERE Id != null"), 50);
        assert_eq!(count(&catalogue, "WHERE Id != null AND Interval = 'Daily'"), 2);
        assert_eq!(count(&catalogue, "ORDER BY Id"), 2);
    }

    #[test]
    fn the_measured_length_is_the_length_of_what_is_generated() {
        let catalogue = catalogue(30, Rows::Total(60_000));
        for file in catalogue.files.iter() {
            let mut bytes = 0;
            let ended = catalogue.generate(file, |piece| {
                bytes += piece.len() as u64;
                ControlFlow::Continue(())
            });
            assert!(ended.is_continue());
            assert_eq!(catalogue.length(file), bytes);
        }
        assert!(count(&catalogue, "WHERE LogFileLength > 1000.0") > 0);
    }

    #[test]
    fn one_file_of_n_bytes_is_about_that_long() {
        let catalogue = catalogue(1, Rows::OneFileOfBytes(20_000_000));
        let file = of(&catalogue, Interval::Hourly)[0];
        let length = catalogue.length(file);
        assert!(length.abs_diff(20_000_000) < 100_000, "{length}");
    }
}
