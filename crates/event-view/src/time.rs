//! Times, in milliseconds since 1970.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

/// Reads a time as documents write it, such as `2026-11-27T08:00:00.000Z`. The usual form is read by hand: there are millions.
pub fn parse(text: &str) -> Option<i64> {
    usual(text.as_bytes()).or_else(|| {
        DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()).ok().or_else(|| {
            let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.fZ").ok()?;
            Some(time.and_utc().timestamp_millis())
        })
    })
}

fn usual(text: &[u8]) -> Option<i64> {
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', _, _, b'.', _, _, _, b'Z'] = text
    else {
        return None;
    };
    let number = |range: std::ops::Range<usize>| {
        text[range].iter().try_fold(0i64, |sum, c| c.is_ascii_digit().then(|| sum * 10 + i64::from(c - b'0')))
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years begin in March here, so that the day that some of them have more is their last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1
        - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + number(20..23)?)
}

/// As documents write it.
pub fn format(at: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_by_hand_is_what_the_library_reads() {
        for at in (-70_000_000_000_000i64..100_000_000_000_000).step_by(76_543_210_987) {
            assert_eq!(parse(&format(at)), Some(at), "{}", format(at));
        }
        assert_eq!(parse("2026-02-29T00:00:00.000Z"), None);
        assert_eq!(parse("2026-11-27T01:00:03+01:00"), parse("2026-11-27T00:00:03.000Z"));
    }
}
