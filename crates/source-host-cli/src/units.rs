//! How sizes and times are written in a configuration: `64MiB`, `120s`.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveTime};

/// Reads `512KiB`, `64MiB`, `2GiB` or a plain number of bytes.
///
/// # Errors
///
/// A sentence that says what is expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
        Some(size) if size > 0 => Ok(size),
        _ => Err("a size is expected, such as \"64MiB\" (units: B, KiB, MiB, GiB)".into()),
    }
}

/// Reads `500ms`, `30s`, `5m`, `2h` or `1d`.
///
/// # Errors
///
/// A sentence that says what is expected.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err("a time is expected, such as \"30s\" (units: ms, s, m, h, d)".into()),
    }
}

/// Reads `2026-11-01`, which is its beginning in UTC, or `2026-11-01T10:00:00Z`, with any offset.
///
/// # Errors
///
/// A sentence that says what is expected.
pub fn parse_instant(text: &str) -> Result<SystemTime, String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = day.or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()));
    let time = time.map_err(|_| "a date is expected, such as 2026-11-01, or a time as 2026-11-01T10:00:00Z");
    Ok(time?.into())
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1 GiB"), Ok(1 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in ["", "0", "MiB", "64MB", "-1KiB", "1.5GiB", "99999999999999999999", "99999999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_are_read_as_days_and_as_times_with_an_offset() {
        let at = |seconds| Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(parse_instant("2026-11-01"), at(1_793_491_200));
        assert_eq!(parse_instant("2026-11-01T10:00:00Z"), at(1_793_527_200));
        assert_eq!(parse_instant("2026-11-01T12:00:00+02:00"), at(1_793_527_200));
        for bad in ["", "yesterday", "2026-13-01", "2026-11-01T10:00:00", "10:00"] {
            assert!(parse_instant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_time("120s"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_time("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "5", "0s", "s", "5 minutes", "-1s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
