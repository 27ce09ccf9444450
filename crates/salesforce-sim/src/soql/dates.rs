//! Date literals: `TODAY`, `LAST_N_DAYS:n`, `THIS_QUARTER` and their kin (SOQL guide, "Date Formats and Date Literals").
//!
//! Each is a span of whole days, from midnight to midnight of the user's time zone, which is UTC here. Weeks begin on
//! Sunday, as in the locale en_US. Literals of fiscal years are outside the subset.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, Utc};

/// What a literal counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// A date literal: so many units from one on, seen from the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relative {
    unit: Unit,
    /// The first unit; 0 is the present one.
    first: i64,
    count: i64,
}

/// How a word stands for a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// By itself.
    Alone(Relative),
    /// With a number behind a colon.
    Counted(Counted),
}

/// A literal that waits for its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    unit: Unit,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Last,
    Next,
    Ago,
}

/// What a word in upper case stands for, if it is a date literal.
pub(crate) fn word(upper: &str) -> Option<Word> {
    let alone = |unit, first, count| Some(Word::Alone(Relative { unit, first, count }));
    match upper {
        "TODAY" => return alone(Unit::Day, 0, 1),
        "YESTERDAY" => return alone(Unit::Day, -1, 1),
        "TOMORROW" => return alone(Unit::Day, 1, 1),
        "LAST_90_DAYS" => return alone(Unit::Day, -90, 91),
        "NEXT_90_DAYS" => return alone(Unit::Day, 1, 90),
        _ => {}
    }
    let counted = |name: &str, way| Some(Word::Counted(Counted { unit: plural(name)?, way }));
    if let Some(name) = upper.strip_prefix("LAST_N_") {
        counted(name, Way::Last)
    } else if let Some(name) = upper.strip_prefix("NEXT_N_") {
        counted(name, Way::Next)
    } else if let Some(name) = upper.strip_prefix("N_").and_then(|name| name.strip_suffix("_AGO")) {
        counted(name, Way::Ago)
    } else if let Some(name) = upper.strip_prefix("THIS_") {
        alone(singular(name)?, 0, 1)
    } else if let Some(name) = upper.strip_prefix("LAST_") {
        alone(singular(name)?, -1, 1)
    } else if let Some(name) = upper.strip_prefix("NEXT_") {
        alone(singular(name)?, 1, 1)
    } else {
        None
    }
}

fn singular(name: &str) -> Option<Unit> {
    match name {
        "WEEK" => Some(Unit::Week),
        "MONTH" => Some(Unit::Month),
        "QUARTER" => Some(Unit::Quarter),
        "YEAR" => Some(Unit::Year),
        _ => None,
    }
}

fn plural(name: &str) -> Option<Unit> {
    if name == "DAYS" { Some(Unit::Day) } else { singular(name.strip_suffix('S')?) }
}

impl Counted {
    /// The literal with its number, which is at least 1.
    pub(crate) fn with(self, n: i64) -> Relative {
        let Self { unit, way } = self;
        let (first, count) = match way {
            // The present day is in it, the present week, month, quarter or year is not.
            Way::Last if unit == Unit::Day => (-n, n + 1),
            Way::Last => (-n, n),
            Way::Next => (1, n),
            Way::Ago => (-n, 1),
        };
        Relative { unit, first, count }
    }
}

impl Relative {
    /// The first instant of it, and the first after it.
    pub(crate) fn span(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let today = now.date_naive();
        let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        let from = self.start(today, self.first).map_or(DateTime::<Utc>::MIN_UTC, midnight);
        let until = self.start(today, self.first + self.count).map_or(DateTime::<Utc>::MAX_UTC, midnight);
        (from, until)
    }

    /// The first day of a unit, `n` of them from the present one; none where the calendar ends.
    fn start(self, today: NaiveDate, n: i64) -> Option<NaiveDate> {
        let month = |months_before: u32| today.with_day(1)?.checked_sub_months(Months::new(months_before));
        let (present, months) = match self.unit {
            Unit::Day => return days(today, n),
            Unit::Week => {
                return days(today, n.checked_mul(7)? - i64::from(today.weekday().num_days_from_sunday()));
            }
            Unit::Month => (month(0)?, 1),
            Unit::Quarter => (month(today.month0() % 3)?, 3),
            Unit::Year => (month(today.month0())?, 12),
        };
        let months = n.checked_mul(months)?;
        let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        if months < 0 { present.checked_sub_months(by) } else { present.checked_add_months(by) }
    }
}

fn days(date: NaiveDate, n: i64) -> Option<NaiveDate> {
    let by = Days::new(n.unsigned_abs());
    if n < 0 { date.checked_sub_days(by) } else { date.checked_add_days(by) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_literal_is_the_span_that_the_guide_gives_it() {
        let now: DateTime<Utc> = "2026-03-04T18:20:00Z".parse().unwrap(); // a Wednesday
        for (name, n, from, until) in [
            ("TODAY", 0, "2026-03-04", "2026-03-05"),
            ("YESTERDAY", 0, "2026-03-03", "2026-03-04"),
            ("TOMORROW", 0, "2026-03-05", "2026-03-06"),
            ("LAST_N_DAYS", 3, "2026-03-01", "2026-03-05"),
            ("NEXT_N_DAYS", 3, "2026-03-05", "2026-03-08"),
            ("N_DAYS_AGO", 3, "2026-03-01", "2026-03-02"),
            ("LAST_90_DAYS", 0, "2025-12-04", "2026-03-05"),
            ("NEXT_90_DAYS", 0, "2026-03-05", "2026-06-03"),
            ("THIS_WEEK", 0, "2026-03-01", "2026-03-08"),
            ("LAST_WEEK", 0, "2026-02-22", "2026-03-01"),
            ("NEXT_WEEK", 0, "2026-03-08", "2026-03-15"),
            ("LAST_N_WEEKS", 2, "2026-02-15", "2026-03-01"),
            ("N_WEEKS_AGO", 2, "2026-02-15", "2026-02-22"),
            ("THIS_MONTH", 0, "2026-03-01", "2026-04-01"),
            ("LAST_MONTH", 0, "2026-02-01", "2026-03-01"),
            ("NEXT_MONTH", 0, "2026-04-01", "2026-05-01"),
            ("LAST_N_MONTHS", 4, "2025-11-01", "2026-03-01"),
            ("NEXT_N_MONTHS", 2, "2026-04-01", "2026-06-01"),
            ("N_MONTHS_AGO", 2, "2026-01-01", "2026-02-01"),
            ("THIS_QUARTER", 0, "2026-01-01", "2026-04-01"),
            ("LAST_QUARTER", 0, "2025-10-01", "2026-01-01"),
            ("N_QUARTERS_AGO", 2, "2025-07-01", "2025-10-01"),
            ("THIS_YEAR", 0, "2026-01-01", "2027-01-01"),
            ("LAST_N_YEARS", 2, "2024-01-01", "2026-01-01"),
        ] {
            let relative = match word(name).unwrap() {
                Word::Alone(relative) => relative,
                Word::Counted(counted) => counted.with(n),
            };
            let (first, after) = relative.span(now);
            assert_eq!(
                (first.date_naive().to_string(), after.date_naive().to_string()),
                (from.into(), until.into()),
                "{name}"
            );
        }
        for no_literal in ["LAST", "THIS_DAY", "LAST_N_FORTNIGHTS", "N_DAYS", "THIS_FISCAL_YEAR", "LAST_DAYS"]
        {
            assert_eq!(word(no_literal), None, "{no_literal}");
        }
    }

    #[test]
    fn a_literal_beyond_the_calendar_has_no_end() {
        let now: DateTime<Utc> = "2026-03-04T18:20:00Z".parse().unwrap();
        let Some(Word::Counted(years)) = word("LAST_N_YEARS") else { panic!("a literal") };
        assert_eq!(years.with(1_000_000).span(now).0, DateTime::<Utc>::MIN_UTC);
    }
}
