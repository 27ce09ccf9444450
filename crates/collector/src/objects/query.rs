//! A window is asked for: its query, and all pages of the answer.

use super::{
    answer::{Fetched, Found},
    reader::Reader,
    window::{MAX_RECORDS, Window},
};
use crate::{
    config::streams::ObjectSource,
    org::{
        pages::{Pages, read_page},
        session::{Org, RequestError},
        soql::{query_path, records, records_at},
    },
    state::ObjectState,
};
use std::time::Duration;

/// How often more is asked for of an ordinary object whose answer held nothing new, four times as much each time.
pub const REPETITIONS: u32 = 2;

/// How much one query may bring, and how long it may take.
#[derive(Clone, Copy)]
pub struct FetchLimits {
    /// Bytes of events.
    pub bytes: usize,
    /// After which no further page is asked for, if that can be helped.
    pub time: Duration,
    /// Whether an answer that is shorter than it says is asked for again.
    pub ask_again: bool,
}

impl Window {
    /// Asks, and reads all pages of the answer; once more if a page of it was lost, or if it is shorter than it says.
    pub fn fetch(
        &self,
        org: &mut Org<'_>,
        source: &ObjectSource,
        state: &ObjectState,
        limits: FetchLimits,
    ) -> Result<Fetched, RequestError> {
        let (mut lost, mut short, mut repetitions) = (false, false, 0);
        let mut limit = self.limit(state);
        loop {
            let mut pages = Pages::new(String::new());
            match self.fetch_once(org, source, state, limits, limit, &mut pages) {
                // An answer is bound to the session that asked, and may be gone before its last page: then the query
                // begins anew, and nobody must act.
                Err(RequestError::Refused(refusal)) if pages.has_begun() && refusal.is_lost_answer() => {
                    if lost {
                        return Err(RequestError::Garbled(format!(
                            "its pages are lost again and again: {}",
                            refusal.said()
                        )));
                    }
                    lost = true;
                }
                Ok(Fetched::All(answer)) if answer.shortage.is_some() && limits.ask_again && !short => {
                    short = true
                }
                // A query that went on from there would never end.
                Ok(Fetched::Some(answer)) if self.ascending && answer.records.is_empty() => {
                    repetitions += 1;
                    if repetitions > REPETITIONS {
                        let message = "it answers records that were asked for before";
                        return Err(RequestError::Garbled(String::from(message)));
                    }
                    limit *= 4;
                }
                fetched => return fetched,
            }
        }
    }

    pub fn fetch_once(
        &self,
        org: &mut Org<'_>,
        source: &ObjectSource,
        state: &ObjectState,
        limits: FetchLimits,
        limit: usize,
        pages: &mut Pages,
    ) -> Result<Fetched, RequestError> {
        let after = self.after.as_deref();
        let soql = if self.instant {
            records_at(source, self.from, after)
        } else {
            records(source, self.from, after, self.until, limit)
        };
        let instance_url = org.config.instance.to_string();
        let output = org.config.output;
        let wanted = org.config.lookups.of_documents();
        let mut reader = Reader::new(source, instance_url, self.from, output, wanted);
        *pages = Pages::new(query_path(&org.api_version()?, &soql));
        let mut found = Found::new(self, limits.bytes, limit);
        // Pages of one instant may be many, and only a part of them is kept.
        let headers: &[_] = if self.instant { &[("sforce-query-options", "batchSize=500")] } else { &[] };
        let began = org.clock.elapsed();
        while let Some(path) = pages.path() {
            let body = org.get_body(path, headers)?;
            let page = read_page(&body)?;
            let is_last = page.next.is_none();
            let (before, records) = (found.seen, page.records.len());
            if reader.wants_names() {
                for raw in &page.records {
                    reader.ids(raw, &mut |id| org.want_name(id));
                }
                org.look_up(&source.stream);
            }
            for raw in page.records {
                found.add(self, state, reader.read(raw, org.names));
                if found.is_too_much() && !is_last && !self.instant && !self.ascending {
                    return Ok(Fetched::TooMuch(pages.total()));
                }
                found.drop_excess();
            }
            pages.read(records, found.seen - before, page.total, page.done, page.next.as_deref())?;
            if pages.path().is_none() {
                break;
            }
            let late = org.clock.elapsed().saturating_sub(began) >= limits.time;
            if self.ascending {
                // In order, so that what is there is good without the rest.
                if late && !found.positioned.is_empty() && found.is_in_order {
                    found.cut = true;
                    break;
                }
            } else if !self.instant {
                let told = pages.total().filter(|total| *total > MAX_RECORDS as u64);
                if told.is_some() || late {
                    return Ok(Fetched::TooMuch(told));
                }
            }
        }
        found.doubts = reader.doubts();
        Ok(found.finish(self, pages.shortage()))
    }
}
