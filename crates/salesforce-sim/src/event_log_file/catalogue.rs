//! All event log files of an org: which ones there are, which are there now, and what their rows are.

use std::collections::HashMap;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};

use super::file::{EventLogFile, PartKey};
use super::issue::{Issue, SAME_ID, hours, issue_times};
use crate::attacks::{self, Told};
use crate::ids::Ids;
use crate::oddities::{EmptyFiles, FileEnd, Oddities};
use crate::people::People;
use crate::prng::mix;
use crate::rows::login::{Hour, LoginRows, Row};
use crate::rows::schema::Maker;
use crate::settings::{Files, Workload};

/// How long ago the last hour ended at least: its files were made within five hours, those of its logouts, which are an hour later, within
/// six, and files settle for some minutes.
const BEHIND: TimeDelta = TimeDelta::minutes(6 * 60 + 10);

/// The events of one type.
pub(super) struct Stream {
    pub(super) maker: Maker,
    /// Beside the hours of logins, index by index.
    pub(super) hours: Vec<Hour>,
}

/// All event log files of an org.
pub(crate) struct Catalogue {
    pub(super) rows: LoginRows,
    /// The hours that have logins.
    pub(super) hours: Vec<Hour>,
    pub(super) streams: Vec<Stream>,
    pub(super) nul_bytes: bool,
    pub(super) repeated_header: bool,
    pub(super) file_end: Option<FileEnd>,
    pub(super) empty_files: Option<EmptyFiles>,
    /// CSV bytes of parts, once measured.
    pub(super) measured: Mutex<HashMap<PartKey, u64>>,
    pub(super) measuring: Mutex<()>,
    pub(super) files: Vec<EventLogFile>,
    /// An id has several files where a daily one keeps it when it is issued again; one of them is there at a time.
    pub(super) by_id: HashMap<String, Vec<usize>>,
    pub(super) created_by_id: String,
    pub(super) people: People,
    pub(super) told: Told,
    pub(super) quiet: bool,
}

impl Catalogue {
    pub(crate) fn new(
        seed: u64,
        org_id15: &str,
        workload: &Workload,
        settings: &Files,
        oddities: &Oddities,
        hourly: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let rows = LoginRows::new(seed, org_id15, settings.nul_bytes);
        let end = workload.end.unwrap_or(now - BEHIND).timestamp().div_euclid(3600).max(0) as u64;
        let numbers = end.saturating_sub(workload.hours.into())..end;
        let (hours, empty): (Vec<Hour>, Vec<Hour>) =
            hours(numbers, workload.rows, &rows).into_iter().partition(|hour| hour.rows > 0);
        let told = attacks::play(&workload.attacks, workload.quiet, seed, &rows, &hours);
        let makers = settings.event_types.iter().filter_map(|event_type| Maker::of(event_type));
        let mut streams: Vec<Stream> = makers
            .map(|maker| Stream { hours: hours.iter().map(|hour| maker.hour(hour)).collect(), maker })
            .collect();
        let ordinary = streams.len();
        // Types that the org has no files of but for the attacks, or for the routine of a quiet day.
        let others =
            told.event_types().filter(|told| !settings.event_types.iter().any(|known| known == told));
        streams.extend(others.filter_map(Maker::of_any).map(|maker| {
            let none = |hour: &Hour| Hour { rows: 0, ..maker.hour(hour) };
            Stream { hours: hours.iter().map(none).collect(), maker }
        }));
        let (ids, mut number) = (Ids::new("0AT", seed), 0);
        let mut files = Vec::new();
        for (stream, Stream { maker, hours }) in streams.iter().enumerate() {
            let told = |index| told.rows(maker.name(), index).len() as u64;
            let all = hours.iter().enumerate();
            let hours: Vec<Hour> =
                all.map(|(index, hour)| Hour { rows: hour.rows + told(index), ..*hour }).collect();
            let issue = Issue { seed, settings, stream, event_type: maker.name(), hours: &hours, end };
            if hourly {
                files.extend(issue.hourly_files());
            }
            if hourly && oddities.empty_files.is_some() && stream < ordinary {
                files.extend(empty.iter().map(|hour| issue.empty_file(&maker.hour(hour))));
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
        for (index, file) in files.iter().enumerate() {
            by_id.entry(file.id.clone()).or_default().push(index);
        }
        let mut people = People::new(seed, &rows);
        for extra in told.extras() {
            people.add(extra.id18.clone(), extra.name);
        }
        Self {
            people,
            told,
            quiet: workload.quiet,
            rows,
            hours,
            streams,
            nul_bytes: settings.nul_bytes,
            repeated_header: settings.repeated_header,
            file_end: oddities.file_end.clone(),
            empty_files: oddities.empty_files,
            measured: Mutex::default(),
            measuring: Mutex::default(),
            files,
            by_id,
            created_by_id: Ids::new("005", seed ^ 1).nth_18(0),
        }
    }

    /// The file with this 18-character id, if it is there at `now`.
    pub(crate) fn find(&self, id: &str, now: DateTime<Utc>) -> Option<&EventLogFile> {
        let indices = self.by_id.get(id)?;
        indices.iter().map(|index| &self.files[*index]).find(|file| file.is_there(now))
    }

    /// The files that are there at `now`, in the order of their ids (which is no order a client may rely on).
    pub(crate) fn visible(&self, now: DateTime<Utc>) -> impl Iterator<Item = &EventLogFile> {
        self.files.iter().filter(move |file| file.is_there(now))
    }

    /// The users that the logs tell of, and others.
    pub(crate) fn people(&self) -> &People {
        &self.people
    }

    /// Adds a user for an integration.
    pub(crate) fn add_user(&mut self, id: String, username: &str) {
        self.people.add(id, username);
    }

    /// What attacks told of.
    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    /// Whether nothing happened that matters to security.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
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

    pub(super) fn fill_stream(&self, stream: usize, hour: usize, index: u64, row: &mut Row) {
        let Stream { maker, hours } = &self.streams[stream];
        maker.fill(&self.rows, &self.hours[hour], &hours[hour], index, self.nul_bytes, row);
        // Behind the ordinary rows of an hour come those of attacks.
        let told = index.checked_sub(hours[hour].rows).and_then(|n| usize::try_from(n).ok());
        if let Some(told) = told.and_then(|n| self.told.rows(maker.name(), hour).get(n)) {
            told.put_into(row, maker, &hours[hour]);
        }
    }

    /// The columns of a file: index, name and type.
    pub(crate) fn columns(&self, file: &EventLogFile) -> Vec<(usize, &'static str, &'static str)> {
        self.streams[file.stream].maker.columns(file.api_version)
    }

    pub(super) fn header(&self, file: &EventLogFile) -> Vec<u8> {
        let alone = matches!(self.empty_files, None | Some(EmptyFiles::HeaderAlone));
        let there = file.rows > 0 || alone;
        if there { self.streams[file.stream].maker.header(file.api_version) } else { Vec::new() }
    }

    /// Whether a file is answered with 204.
    pub(crate) fn has_no_content(&self, file: &EventLogFile) -> bool {
        file.rows == 0 && self.empty_files == Some(EmptyFiles::NoContent)
    }

    /// What comes behind the last row of a file.
    pub(super) fn end(&self, file: &EventLogFile) -> Option<&FileEnd> {
        let end = self.file_end.as_ref().filter(|end| end.one_in > 0 && file.rows > 0)?;
        let digest = file.id.bytes().fold(0, |digest, byte| mix(digest ^ u64::from(byte)));
        digest.is_multiple_of(end.one_in.into()).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_log_file::Interval;
    use crate::settings::Rows;
    use crate::soql::parser::parse;

    fn now() -> DateTime<Utc> {
        "2026-03-04T18:20:00Z".parse().unwrap()
    }

    fn catalogue(hours: u32, rows: Rows) -> Catalogue {
        Catalogue::new(
            5,
            "00D5j000000abcd",
            &Workload { hours, rows, ..Workload::default() },
            &Files::default(),
            &Oddities::default(),
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
        let workload = Workload { hours: 1, rows: Rows::PerHour(1), end: Some(now()), ..Workload::default() };
        let catalogue = Catalogue::new(
            5,
            "00D5j000000abcd",
            &workload,
            &Files::default(),
            &Oddities::default(),
            true,
            now(),
        );
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
            let (mut cursor, mut bytes, mut piece) = (catalogue.cursor(file.clone()), 0, Vec::new());
            while catalogue.write_some(&mut cursor, &mut piece) {
                bytes += piece.len() as u64;
                piece.clear();
            }
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
