//! Points in time as the three ways to write them: RFC 3339, Salesforce's REST answers, HTTP's `Date`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, time::Duration};

/// Milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Time {
    /// Reads `2026-01-02T03:04:05.678Z`, with any offset, and Salesforce's `…+0000` without the colon.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
            .ok()
            .map(|time| Self(time.timestamp_millis()))
    }

    /// Reads a day, `2026-01-02`, as its beginning in UTC.
    pub fn parse_day(text: &str) -> Option<Self> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        // chrono takes a day of one digit as well.
        (text.len() == 10).then(|| Self(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()))
    }

    /// Reads the `Date` header of HTTP (RFC 9110 section 5.6.7, the one form that servers may send).
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let naive = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
        Some(Self(naive.and_utc().timestamp_millis()))
    }

    /// Reads the TIMESTAMP column of event log files: `YYYYMMDDhhmmss` and up to three digits of fraction, in UTC.
    pub fn parse_compact(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.len() != 14 || fraction.len() > 3 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let naive = NaiveDateTime::parse_from_str(whole, "%Y%m%d%H%M%S").ok()?;
        let millis = format!("{fraction:0<3}").parse::<i64>().ok()?;
        Some(Self(naive.and_utc().timestamp_millis() + millis))
    }

    /// `2026-01-02T03:04:05.678Z`
    pub fn to_rfc3339(self) -> String {
        match Utc.timestamp_millis_opt(self.0) {
            chrono::LocalResult::Single(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
            _ => String::from("1970-01-01T00:00:00.000Z"),
        }
    }

    /// Later by a duration, at most the end of time.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }

    /// Earlier by a duration.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// A duration in whole milliseconds, at most `i64::MAX`.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is not a date and time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_notations_of_one_instant_are_equal() {
        let expected = Some(Time(1_767_323_045_670));
        for text in [
            "2026-01-02T03:04:05.670Z",
            "2026-01-02T03:04:05.67Z",
            "2026-01-02T03:04:05.670+0000",
            "2026-01-02T04:04:05.670+01:00",
        ] {
            assert_eq!(Time::parse(text), expected, "{text}");
        }
        for text in ["20260102030405.670", "20260102030405.67"] {
            assert_eq!(Time::parse_compact(text), expected, "{text}");
        }
        assert_eq!(Time::parse_compact("20260102030405"), Some(Time(1_767_323_045_000)));
        assert_eq!(Time::parse_http_date("Fri, 02 Jan 2026 03:04:05 GMT"), Some(Time(1_767_323_045_000)));
        assert_eq!(Time(1_767_323_045_670).to_rfc3339(), "2026-01-02T03:04:05.670Z");
        assert_eq!(Time::parse_day("2026-01-02"), Some(Time(1_767_312_000_000)));
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        for text in ["", "now", "2026-01-02", "2026-13-02T03:04:05Z"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        for text in ["", "2026-1-2", "2026-02-30", "2026-01-02 ", "2026-01-02T03:04:05Z"] {
            assert_eq!(Time::parse_day(text), None, "{text}");
        }
        for text in [
            "",
            "2026010203040",
            "20260102030405.6789",
            "20261302030405",
            "2026010203040x",
            "20260102030405.-1",
        ] {
            assert_eq!(Time::parse_compact(text), None, "{text}");
        }
    }
}
