//! Names of ids: asked for together, and never waited for.
//!
//! Deleted records are asked for as well (`queryAll`). What has no name that this user may see stays an id, and that is no problem. Where a
//! whole object is refused, that is said once, and nothing more is asked of it for an hour.

use crate::{
    config::lookup::{LOOKUPS, Lookup},
    org::{
        errors::{Remedy, needs},
        names::{Key, Known, REFUSED, key},
        pages::{Pages, read_page},
        session::{Org, RequestError},
        soql::query_all_path,
    },
};
use documents::{
    Name, Record,
    time::{Time, millis},
};
use std::time::Duration;

/// Ids in one query: their text is a third of the longest address that Salesforce takes (16,384 bytes).
const MOST_IDS: usize = 300;
/// The longest name that is kept, in characters.
const LONGEST_NAME: usize = 255;
/// The same for one that did not answer.
const UNANSWERED: Duration = Duration::from_secs(300);
/// The same where every other request would fail as well.
const ELSEWHERE: Duration = Duration::from_secs(60);

/// The name that a record tells.
fn name(lookup: &Lookup, record: &Record<'_>) -> Option<Name> {
    let text = |field: &str| {
        let text = record.text(field).unwrap_or_default();
        text.chars().take(LONGEST_NAME).collect::<String>()
    };
    match lookup.fields {
        [username, full_name, email] => {
            let [username, full_name, email] = [username, full_name, email].map(|field| text(field));
            Some(Name::User { username, full_name, email })
        }
        [field, ..] => Some(text(field)).filter(|name| !name.is_empty()).map(Name::Other),
        [] => None,
    }
}

impl Org<'_> {
    /// Notes what stands in a column of ids.
    pub fn want_name(&mut self, id: &[u8]) {
        self.names.want(&self.config.lookups, id, self.clock.elapsed());
    }

    /// Asks for the names of all that was noted, for events of this stream.
    pub fn look_up(&mut self, stream: &str) {
        for (nth, lookup) in LOOKUPS.iter().enumerate() {
            let wanted: Vec<Key> = std::mem::take(&mut self.names.wanted[nth]);
            for ids in wanted.chunks(MOST_IDS) {
                if self.names.wait(lookup.object, Time(self.clock.now_ms())) > 0 {
                    break;
                }
                if let Err(error) = self.ask(lookup, ids) {
                    self.put_off(lookup, stream, &error);
                }
            }
        }
    }

    fn ask(&mut self, lookup: &Lookup, ids: &[Key]) -> Result<(), RequestError> {
        let ids_in_soql: Vec<String> =
            ids.iter().map(|id| format!("'{}'", String::from_utf8_lossy(id))).collect();
        let soql = format!(
            "SELECT Id, {} FROM {} WHERE Id IN ({})",
            lookup.fields.join(", "),
            lookup.object,
            ids_in_soql.join(",")
        );
        let mut pages = Pages::new(query_all_path(&self.api_version()?, &soql));
        let mut found: Vec<(Key, Name)> = Vec::new();
        while let Some(path) = pages.path() {
            let body = self.get_body(path, &[])?;
            let page = read_page(&body)?;
            for record in page.records.iter().map(|record| Record::parse(record)) {
                if let Some(key) = record.text("Id").and_then(|id| key(id.as_bytes()))
                    && let Some(name) = name(lookup, &record)
                {
                    found.push((key, name));
                }
            }
            let records = page.records.len();
            pages.read(records, records, page.total, page.done, page.next.as_deref())?;
        }
        self.names.put_off(lookup.object, None);
        let since = self.clock.elapsed();
        for id in ids {
            let index = found.iter().position(|(key, _)| key == id);
            let name = index.map(|index| found.swap_remove(index).1);
            self.names.insert(*id, Known { name, since });
        }
        Ok(())
    }

    /// Lets an object be for a while.
    fn put_off(&mut self, lookup: &Lookup, stream: &str, error: &RequestError) {
        let is_refused = error.meaning().remedy == Remedy::StopAsking;
        let wait = match error {
            // Whoever asks next meets it as well, and says so.
            RequestError::Everywhere(_) => ELSEWHERE,
            _ if is_refused => REFUSED,
            _ => UNANSWERED,
        };
        let until = Time(self.clock.now_ms()).after(wait);
        self.names.put_off(lookup.object, Some(until));
        if matches!(error, RequestError::Everywhere(_)) {
            return;
        }
        let what = format!("the query for names of {}", lookup.object);
        let problem = error.problem_with(&what, lookup.object).in_stream(stream);
        let hint = if is_refused { needs(lookup.object) } else { "it is asked again" };
        let hint = format!("{hint}; until then ids stay ids");
        self.names.problems.push(problem.hint(hint).retry_after_ms(millis(wait)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_query_fits_an_address() {
        let ids = vec![format!("'{}'", "005000000000000"); MOST_IDS].join(",");
        assert!(query_all_path("65.0", &ids).len() < 12_000);
    }
}
