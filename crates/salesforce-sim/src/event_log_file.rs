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

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::Ids;
use crate::login_rows::{COLUMNS, Hour, LoginRows, Row, header};
use crate::prng::Rng;
use crate::settings::{Rows, Workload};
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
    /// The span it covers.
    pub interval: Interval,
    /// Start of that span.
    pub log_date: DateTime<Utc>,
    /// When the file was made, in whole seconds; no query shows it before.
    pub created_date: DateTime<Utc>,
    /// How many rows it has.
    pub rows: u64,
    /// The hours it is made of, as places in [`Catalogue::hours`].
    pub(crate) hours: Range<usize>,
}

/// Bytes that [`Catalogue::generate`] hands over at a time, give or take a row.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Rows that one thread measures before it takes the next piece of work.
const MEASURED_AT_ONCE: u64 = 20_000;

/// All event log files of an org.
pub(crate) struct Catalogue {
    rows: LoginRows,
    hours: Vec<Hour>,
    /// CSV bytes of each hour without the header, once measured.
    hour_bytes: Vec<OnceLock<u64>>,
    measuring: Mutex<()>,
    files: Vec<EventLogFile>,
    by_id: HashMap<String, usize>,
    created_by_id: String,
}

impl Catalogue {
    pub(crate) fn new(
        seed: u64,
        org_id15: &str,
        workload: &Workload,
        hourly: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let rows = LoginRows::new(seed, org_id15);
        let end =
            workload.end.unwrap_or(now - TimeDelta::hours(5)).timestamp().div_euclid(3600).max(0) as u64;
        let numbers = end.saturating_sub(workload.hours.into())..end;
        let hours: Vec<Hour> =
            hours(numbers, workload.rows, &rows).into_iter().filter(|hour| hour.rows > 0).collect();
        let mut files = if hourly { hourly_files(seed, &hours) } else { Vec::new() };
        files.extend(daily_files(seed, &hours, end));
        let ids = Ids::new("0AT", seed);
        for (n, file) in (0..).zip(&mut files) {
            file.id = ids.nth_18(n);
        }
        files.sort_by(|a, b| a.id.cmp(&b.id));
        let by_id = files.iter().enumerate().map(|(place, file)| (file.id.clone(), place)).collect();
        let hour_bytes = hours.iter().map(|_| OnceLock::new()).collect();
        let created_by_id = Ids::new("005", seed ^ 1).nth_18(0);
        Self { rows, hours, hour_bytes, measuring: Mutex::default(), files, by_id, created_by_id }
    }

    /// The file with this 18-character id, if it is visible at `now`.
    pub(crate) fn find(&self, id: &str, now: DateTime<Utc>) -> Option<&EventLogFile> {
        self.by_id.get(id).map(|place| &self.files[*place]).filter(|file| file.created_date <= now)
    }

    /// The files that are visible at `now`, in the order of their ids (which is no order a client may rely on).
    pub(crate) fn visible(&self, now: DateTime<Utc>) -> impl Iterator<Item = &EventLogFile> {
        self.files.iter().filter(move |file| file.created_date <= now)
    }

    /// The columns of one file, row for row.
    pub(crate) fn fill(&self, hour: usize, index: u64, row: &mut Row) {
        self.rows.fill(&self.hours[hour], index, row);
    }

    /// The hours that have logins, in the order of time.
    pub(crate) fn hours(&self) -> &[Hour] {
        &self.hours
    }

    /// How many rows an hour has.
    pub(crate) fn rows_in(&self, hour: usize) -> u64 {
        self.hours[hour].rows
    }

    /// Makes the file's CSV and hands it over piece by piece, until the end or until `emit` breaks.
    pub(crate) fn generate(
        &self,
        file: &EventLogFile,
        mut emit: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut buffer = header();
        let mut row = Row::default();
        for hour in &self.hours[file.hours.clone()] {
            for index in 0..hour.rows {
                self.rows.fill(hour, index, &mut row);
                row.write_csv(&mut buffer);
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
        let rows: u64 = self.hour_bytes[file.hours.clone()].iter().filter_map(OnceLock::get).sum();
        header().len() as u64 + rows
    }

    /// Finds the lengths of these files, each hour once for good, on all processors.
    pub(crate) fn measure(&self, files: &[&EventLogFile]) {
        let unmeasured = || {
            let all = files.iter().flat_map(|file| file.hours.clone());
            all.filter(|hour| self.hour_bytes[*hour].get().is_none()).collect::<Vec<usize>>()
        };
        if unmeasured().is_empty() {
            return;
        }
        let _one_at_a_time = self.measuring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = unmeasured();
        wanted.sort_unstable();
        wanted.dedup();
        let pieces: Vec<(usize, usize, Range<u64>)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(slot, &hour)| {
                let rows = self.hours[hour].rows;
                let starts = (0..rows).step_by(MEASURED_AT_ONCE as usize);
                starts.map(move |from| (slot, hour, from..rows.min(from + MEASURED_AT_ONCE)))
            })
            .collect();
        let totals: Vec<AtomicU64> = wanted.iter().map(|_| AtomicU64::new(0)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut row, mut buffer) = (Row::default(), Vec::with_capacity(2048));
            while let Some((slot, hour, rows)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut bytes = 0;
                for index in rows.clone() {
                    self.rows.fill(&self.hours[*hour], index, &mut row);
                    buffer.clear();
                    row.write_csv(&mut buffer);
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
        for (hour, total) in wanted.into_iter().zip(totals) {
            self.hour_bytes[hour].get_or_init(|| total.into_inner());
        }
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
            let (mut row, mut csv) = (Row::default(), Vec::new());
            for index in 0..SAMPLE {
                maker.fill(&sample, index, &mut row);
                row.write_csv(&mut csv);
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

fn hourly_files(seed: u64, hours: &[Hour]) -> Vec<EventLogFile> {
    let mut files: Vec<EventLogFile> = Vec::with_capacity(hours.len());
    for (place, hour) in hours.iter().enumerate() {
        let mut rng = Rng::of(&[seed, hour.number, 0x41]);
        let log_date = hour.start();
        let delay = TimeDelta::seconds(10_800 + rng.below(10_800) as i64);
        // Now and then two files are made in the same second, as long as each stays 3 to 6 hours late.
        let with_previous = files.last().map(|file| file.created_date).filter(|created| {
            rng.one_in(6) && (TimeDelta::hours(3)..=TimeDelta::hours(6)).contains(&(*created - log_date))
        });
        files.push(EventLogFile {
            id: String::new(),
            interval: Interval::Hourly,
            log_date,
            created_date: with_previous.unwrap_or(log_date + delay),
            rows: hour.rows,
            hours: place..place + 1,
        });
    }
    files
}

/// One file for each UTC day that was over before the hour `end`.
fn daily_files(seed: u64, hours: &[Hour], end: u64) -> Vec<EventLogFile> {
    let mut files = Vec::new();
    let mut from = 0;
    for of_day in hours.chunk_by(|a, b| a.number / 24 == b.number / 24) {
        let places = from..from + of_day.len();
        from = places.end;
        let day = of_day[0].number / 24;
        if (day + 1) * 24 > end {
            continue;
        }
        let mut rng = Rng::of(&[seed, day, 0xda]);
        let log_date = Hour { number: day * 24, rows: 0 }.start();
        let delay = TimeDelta::seconds(86_400 + 7_200 + rng.below(7_200) as i64);
        files.push(EventLogFile {
            id: String::new(),
            interval: Interval::Daily,
            log_date,
            created_date: log_date + delay,
            rows: of_day.iter().map(|hour| hour.rows).sum(),
            hours: places,
        });
    }
    files
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
        let joined = |texts: [&str; COLUMNS.len()]| Value::Text(texts.join(",").into());
        match OBJECT.fields[field].name {
            "Id" => Value::Text(self.file.id.as_str().into()),
            "ApiVersion" => Value::Double(67.0),
            "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(self.file.created_date),
            "EventType" => Value::Text("Login".into()),
            "Interval" => {
                Value::Text(if self.file.interval == Interval::Hourly { "Hourly" } else { "Daily" }.into())
            }
            "LogDate" => Value::DateTime(self.file.log_date),
            "LogFile" => Value::Text(format!("{}/LogFile", self.url()).into()),
            "LogFileContentType" => Value::Text("text/csv".into()),
            "LogFileFieldNames" => joined(COLUMNS.map(|(name, _)| name)),
            "LogFileFieldTypes" => joined(COLUMNS.map(|(_, kind)| kind)),
            "LogFileLength" => Value::Double(self.catalogue.length(self.file) as f64),
            "Sequence" => Value::Int(i64::from(self.file.interval == Interval::Hourly)),
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
        Catalogue::new(5, "00D5j000000abcd", &Workload { hours, rows, end: None }, true, now())
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
        let catalogue = Catalogue::new(5, "00D5j000000abcd", &workload, true, now());
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
