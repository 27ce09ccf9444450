//! How hours of events become files: which ones, when they are made, and which of them replace others.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use super::file::{EventLogFile, Interval, Part};
use crate::prng::Rng;
use crate::rows::login::{Hour, LoginRows, Row};
use crate::rows::schema::{BEFORE_CHANGE, Maker, NEWEST};
use crate::settings::{Files, Rows};

/// The hours of a span with their rows, empty ones included.
pub(super) fn hours(numbers: Range<u64>, rows: Rows, maker: &LoginRows) -> Vec<Hour> {
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
            let indices = Maker::Login.indices(NEWEST);
            let (mut row, mut csv) = (Row::default(), Vec::new());
            for index in 0..SAMPLE {
                maker.fill(&sample, index, &mut row);
                row.write_csv(&indices, &mut csv);
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
pub(super) const SAME_ID: &str = "the same";

/// Sets from when to when a file is there, within what was set already.
pub(super) fn issue_times(seed: u64, settings: &Files, number: u64, file: &mut EventLogFile) {
    file.there.start = file.created_date;
    if settings.hidden_one_in > 0 && Rng::of(&[seed, number, 0x41d]).one_in(settings.hidden_one_in.into()) {
        file.there.start += settings.hidden_for;
    }
    if let Some(expiry) = settings.retention.and_then(|kept| file.created_date.checked_add_signed(kept)) {
        file.there.end = file.there.end.min(expiry);
    }
}

/// How the hours of one type become files.
pub(super) struct Issue<'a> {
    pub(super) seed: u64,
    pub(super) settings: &'a Files,
    pub(super) stream: usize,
    pub(super) event_type: &'static str,
    pub(super) hours: &'a [Hour],
    /// The first hour after the workload.
    pub(super) end: u64,
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

    pub(super) fn hourly_files(&self) -> Vec<EventLogFile> {
        let mut firsts: Vec<EventLogFile> = Vec::with_capacity(self.hours.len());
        let mut lates = Vec::new();
        for (index, hour) in self.hours.iter().enumerate().filter(|(_, hour)| hour.rows > 0) {
            let mut rng = Rng::of(&[self.seed, hour.number, 0x41 + ((self.stream as u64) << 8)]);
            let log_date = hour.start();
            let delay = TimeDelta::seconds(10_800 + rng.below(10_800) as i64);
            // Now and then two files are made in the same second, as long as each stays 3 to 6 hours late.
            let with_previous = firsts.last().map(|file| file.created_date).filter(|created| {
                rng.one_in(6) && (TimeDelta::hours(3)..=TimeDelta::hours(6)).contains(&(*created - log_date))
            });
            let created = with_previous.unwrap_or(log_date + delay);
            let split = hour.rows - self.late_rows(hour);
            let part = |rows| vec![Part { hour: index, rows }];
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

    /// The file of an hour without rows.
    pub(super) fn empty_file(&self, hour: &Hour) -> EventLogFile {
        let mut rng = Rng::of(&[self.seed, hour.number, 0x41 + ((self.stream as u64) << 8)]);
        let created = hour.start() + TimeDelta::seconds(10_800 + rng.below(10_800) as i64);
        self.file(Interval::Hourly, hour.start(), created, Vec::new())
    }

    /// One file for each UTC day that was over before the end, and one more for a day with late data.
    pub(super) fn daily_files(&self) -> Vec<EventLogFile> {
        let mut files = Vec::new();
        let mut from = 0;
        for of_day in self.hours.chunk_by(|a, b| a.number / 24 == b.number / 24) {
            let first = from;
            from += of_day.len();
            let day = of_day[0].number / 24;
            if (day + 1) * 24 > self.end || of_day.iter().all(|hour| hour.rows == 0) {
                continue;
            }
            let mut rng = Rng::of(&[self.seed, day, 0xda + ((self.stream as u64) << 8)]);
            let log_date = Hour { number: day * 24, rows: 0 }.start();
            let created = log_date + TimeDelta::seconds(86_400 + 7_200 + rng.below(7_200) as i64);
            let parts = |late: bool| {
                let rows = |hour: &Hour| hour.rows - if late { 0 } else { self.late_rows(hour) };
                (first..)
                    .zip(of_day)
                    .map(|(index, hour)| Part { hour: index, rows: 0..rows(hour) })
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
