//! The questions asked in SOQL, and the way they travel.

use crate::{
    address::form_encode,
    config::streams::{Cadence, EventTypes, ObjectSource, Paging, TimeRange},
};
use documents::time::Time;
use std::collections::BTreeSet;

/// Whether the org knows `EventLogFile.Interval`. Orgs without hourly files do not; all their files are daily, and a
/// daily file has `Sequence` 0 ("Differences Between Hourly and Daily Event Logs", REST API guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalField {
    /// The usual case.
    Known,
    /// The org answered INVALID_FIELD.
    Unknown,
}

/// Lists the event log files of some types that were created at or after `since` and before `until`, oldest first, with one more
/// condition.
///
/// The interval always stands in the query: without it Salesforce answers daily files, but daily and hourly ones
/// together as soon as the query names an `Id`.
pub fn event_log_files(
    types: &[&EventTypes],
    cadence: Cadence,
    since: Time,
    until: Option<Time>,
    interval: IntervalField,
    condition: &str,
) -> String {
    let filter = match interval {
        IntervalField::Known => format!("Interval = '{}'", cadence.name()),
        IntervalField::Unknown => String::from("Sequence = 0"),
    };
    let column = if interval == IntervalField::Known { ", Interval" } else { "" };
    let types = type_filter(types);
    let until = until.map_or_else(String::new, |until| format!(" AND CreatedDate < {until}"));
    format!(
        "SELECT Id, EventType, CreatedDate, LogDate, LogFileLength, Sequence, ApiVersion{column} FROM EventLogFile \
         WHERE {types}{filter} AND CreatedDate >= {since}{until}{condition} ORDER BY CreatedDate ASC, Id ASC"
    )
}

/// Asks for one event log file. A query that names an `Id` answers files of any interval.
pub fn file_by_id(id: &str) -> String {
    format!("SELECT Id, EventType, CreatedDate, LogFileLength FROM EventLogFile WHERE Id = {}", text(id))
}

/// A condition for the types that are wanted by anyone; none if somebody wants nearly all.
fn type_filter(types: &[&EventTypes]) -> String {
    let mut names = BTreeSet::new();
    for types in types {
        match types {
            EventTypes::Only(only) => names.extend(only.iter().map(String::as_str)),
            EventTypes::AllBut(_) => return String::new(),
        }
    }
    match names.len() {
        1 => format!("EventType = '{}' AND ", names.into_iter().collect::<String>()),
        _ => format!("EventType IN ('{}') AND ", names.into_iter().collect::<Vec<_>>().join("','")),
    }
}

/// The records of an object from one instant up to another, which is not in it any more. For objects that are paged through
/// by (date, `Id`), from behind the record `after` of the first instant on, in that order, and at most `limit` of them.
pub fn records(source: &ObjectSource, from: Time, after: Option<&str>, until: Time, limit: usize) -> String {
    let date = &source.date;
    let select = select(source);
    match (source.paging, after) {
        (Paging::BigObject | Paging::EventLogObject | Paging::CustomBigObject, _) => {
            format!("{select} WHERE {date} >= {from} AND {date} < {until}")
        }
        (Paging::Ascending, None) => format!(
            "{select} WHERE {date} >= {from} AND {date} < {until} ORDER BY {date} ASC, Id ASC LIMIT {limit}"
        ),
        (Paging::Ascending, Some(after)) => format!(
            "{select} WHERE ({date} > {from} OR ({date} = {from} AND Id > {})) AND {date} < {until} ORDER BY {date} ASC, Id \
             ASC LIMIT {limit}",
            text(after)
        ),
    }
}

/// The records of an object of one single instant; of a big object, those behind the key `after`.
pub fn records_at(source: &ObjectSource, at: Time, after: Option<&str>) -> String {
    let (select, date) = (select(source), &source.date);
    match (source.paging, after) {
        (Paging::BigObject, Some(after)) => {
            format!("{select} WHERE {date} = {at} AND EventIdentifier > {}", text(after))
        }
        _ => format!("{select} WHERE {date} = {at}"),
    }
}

fn select(source: &ObjectSource) -> String {
    let mut names: Vec<&str> = match &source.fields {
        // A field of the customer's own is none of the standard ones, and named twice a field is refused.
        None if source.date.ends_with("__c") => vec!["FIELDS(STANDARD)", &source.date],
        None => vec!["FIELDS(STANDARD)"],
        Some(fields) => {
            let needed = source.paging.key().into_iter().chain([source.date.as_str()]);
            needed.chain(fields.iter().map(String::as_str)).collect()
        }
    };
    names.extend(source.more_fields.iter().map(String::as_str));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    format!("SELECT {} FROM {}", names.join(", "), source.object)
}

/// A text literal ("Quoted String Escape Sequences", SOQL reference).
fn text(value: &str) -> String {
    let mut literal = String::from("'");
    for c in value.chars() {
        match c {
            '\'' | '\\' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

/// How many records an object has in a range of time. For objects that are counted.
pub fn count(source: &ObjectSource, range: TimeRange) -> String {
    let bound = |sign: &str, time: Option<Time>| time.map(|time| format!("{} {sign} {time}", source.date));
    let bounds: Vec<String> = bound(">=", range.from).into_iter().chain(bound("<", range.until)).collect();
    let condition =
        if bounds.is_empty() { String::new() } else { format!(" WHERE {}", bounds.join(" AND ")) };
    format!("SELECT COUNT() FROM {}{condition}", source.object)
}

/// The path that asks a question.
pub fn query_path(api_version: &str, soql: &str) -> String {
    path("query", api_version, soql)
}

/// The same, with records that were deleted.
pub fn query_all_path(api_version: &str, soql: &str) -> String {
    path("queryAll", api_version, soql)
}

fn path(resource: &str, api_version: &str, soql: &str) -> String {
    let mut path = format!("/services/data/v{api_version}/{resource}?q=");
    form_encode(soql, &mut path);
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

    #[test]
    fn a_text_cannot_leave_its_quotes() {
        assert_eq!(text("a'b\\c\nd"), "'a\\'b\\\\c\\nd'");
    }

    #[test]
    fn streams_that_list_together_ask_for_all_their_types() {
        let (a, b) = (EventTypes::one("A"), EventTypes::one("B"));
        assert_eq!(type_filter(&[&a]), "EventType = 'A' AND ");
        assert_eq!(type_filter(&[&b, &a, &b]), "EventType IN ('A','B') AND ");
        assert_eq!(type_filter(&[&a, &EventTypes::AllBut(BTreeSet::new())]), "");
    }

    #[test]
    fn a_file_is_asked_for_by_its_id() {
        let soql = file_by_id("0AT000000000001");
        assert!(soql.ends_with(" FROM EventLogFile WHERE Id = '0AT000000000001'"), "{soql}");
    }

    #[test]
    fn the_interval_is_asked_for_where_the_org_knows_it() {
        let types = EventTypes::one("Login");
        let list = |interval| event_log_files(&[&types], Cadence::Daily, Time(0), None, interval, "");
        assert!(list(IntervalField::Known).contains(", Interval FROM"), "{}", list(IntervalField::Known));
        assert!(!list(IntervalField::Unknown).contains("Interval"), "{}", list(IntervalField::Unknown));
    }

    #[test]
    fn the_records_of_one_instant_are_asked_for_behind_a_key_where_there_is_one_to_compare() {
        let login = crate::objects::tests::source("login");
        let at = |after| records_at(&login, Time(0), after);
        let all = "FROM LoginEvent WHERE EventDate = 1970-01-01T00:00:00.000Z";
        assert!(at(None).ends_with(all), "{}", at(None));
        let behind = format!("{all} AND EventIdentifier > 'k\\'y'");
        assert!(at(Some("k'y")).ends_with(&behind), "{}", at(Some("k'y")));
    }
}
