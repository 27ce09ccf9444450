//! The questions asked in SOQL, and the way they travel.

use crate::{config::Source, time::Time};

/// Whether the org knows `EventLogFile.Interval`. Orgs without hourly files do not; all their files are daily, and a
/// daily file has `Sequence` 0 ("Differences Between Hourly and Daily Event Logs", REST API guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalField {
    /// The usual case.
    Known,
    /// The org answered INVALID_FIELD.
    Unknown,
}

/// Lists the event log files of a type that were created at or after `since`, oldest first.
///
/// The interval always stands in the query: without it Salesforce answers daily files, but daily and hourly ones
/// together as soon as the query names an `Id`.
pub fn event_log_files(source: &Source, event_type: &str, since: Time, interval: IntervalField) -> String {
    let filter = match interval {
        IntervalField::Known => format!("Interval = '{}'", source.cadence.name()),
        IntervalField::Unknown => String::from("Sequence = 0"),
    };
    let column = if interval == IntervalField::Known { ", Interval" } else { "" };
    format!(
        "SELECT Id, EventType, CreatedDate, LogDate, LogFileLength, Sequence, ApiVersion{column} FROM EventLogFile \
         WHERE EventType = '{event_type}' AND {filter} AND CreatedDate >= {since} ORDER BY CreatedDate ASC, Id ASC"
    )
}

/// The path that asks a question.
pub fn query_path(api_version: &str, soql: &str) -> String {
    let mut path = format!("/services/data/v{api_version}/query?q=");
    for byte in soql.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte))
            }
            b' ' => path.push('+'),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                path.push('%');
                path.push(char::from(HEX[usize::from(byte >> 4)]));
                path.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_travels_with_everything_but_plain_letters_escaped() {
        assert_eq!(
            query_path("65.0", "a = 'b+c' é"),
            "/services/data/v65.0/query?q=a+%3D+%27b%2Bc%27+%C3%A9"
        );
    }
}
