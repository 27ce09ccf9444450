//! Windows of time: how wide the next one is, and what it asks for.

use crate::{
    config::streams::{ObjectSource, Paging},
    org::session::Org,
    state::ObjectState,
};
use documents::time::{Time, millis};
use std::time::Duration;

/// Records of one window at most: as many as a full page of Salesforce has.
pub const MAX_RECORDS: usize = 2000;
/// Records of an ordinary object that are asked for where a millisecond of them was too much.
pub const FEW_RECORDS: usize = 50;
/// After how many windows that came wider ones are tried than one that failed, each four times as wide, until one fails. Twice
/// as many after each time that the first of them did, up to so many times: a failure may take two minutes.
pub const CAME: u32 = 16;
pub const MOST_VAIN: u32 = 6;
/// Windows that come between the one from which on wider ones are tried, and the second that is wider.
pub const FIRST_WIDER: u32 = 2;
/// A window wider than this is as good as none.
pub const WIDEST_MS: u64 = 3650 * 24 * 3_600_000;

/// Up to when records are old enough to be there, on the org's clock.
pub fn settled(org: &Org<'_>, source: &ObjectSource) -> Time {
    whole_second(org.now().before(source.settle))
}

/// The whole second before. Windows end there where that is possible: an org may show dates less finely than it compares
/// them.
pub fn whole_second(time: Time) -> Time {
    Time(time.0 - time.0.rem_euclid(1000))
}

/// What one query asks for: `from <= date < until`, of the first instant only what lies behind a key.
pub struct Window {
    pub from: Time,
    pub after: Option<String>,
    pub until: Time,
    /// Its width, in milliseconds, before it was cut at what is old enough.
    pub width: u64,
    /// Whether it is a part of one instant.
    pub instant: bool,
    pub ascending: bool,
    /// Whether a query can go on behind a key.
    pub is_keyed: bool,
}

impl Window {
    pub fn next(source: &ObjectSource, state: &ObjectState, until: Time) -> Self {
        let longest = u64::try_from(millis(source.paging.longest_window())).unwrap_or(u64::MAX);
        let width = state.window.unwrap_or(u64::MAX).min(longest).max(1);
        let end = state.cursor.after(Duration::from_millis(width)).min(until);
        let whole = whole_second(end);
        let ascending = source.paging == Paging::Ascending;
        Self {
            from: state.cursor,
            after: state.after.clone(),
            until: if whole > state.cursor && end < until { whole } else { end },
            width,
            instant: state.window == Some(0) && !ascending,
            ascending,
            is_keyed: matches!(source.paging, Paging::Ascending | Paging::BigObject),
        }
    }

    /// The time that it covers, in milliseconds.
    pub fn span(&self) -> u64 {
        u64::try_from(self.until.0.saturating_sub(self.from.0)).unwrap_or(0)
    }

    pub fn can_be_narrower(&self) -> bool {
        !self.instant
    }

    /// The width, in milliseconds, of a window so many times narrower; 0 where it is one instant already.
    pub fn narrower(&self, times: u64) -> u64 {
        self.span() / times.max(2)
    }

    /// How many records of an ordinary object are asked for.
    pub fn limit(&self, state: &ObjectState) -> usize {
        if self.ascending && state.window == Some(0) { FEW_RECORDS } else { MAX_RECORDS }
    }

    /// Lets windows grow again once they are sparse, in records and in bytes. One that was cut says nothing of wider ones.
    pub fn adapt(
        &self,
        state: &mut ObjectState,
        records: usize,
        bytes: usize,
        capacity: usize,
        complete: bool,
    ) {
        let Some(window) = state.window else { return };
        if !complete || self.span() < self.width / 2 {
            return;
        }
        let sparse = |parts: usize| records < MAX_RECORDS / parts && bytes < capacity / parts;
        let times = if sparse(64) {
            32
        } else if sparse(8) {
            4
        } else {
            1
        };
        let mut wider = window.max(1).saturating_mul(times);
        if let Some(too_wide) = state.too_wide {
            wider = wider.min((too_wide / 2).max(window));
            state.came = state.came.saturating_add(1);
            if state.came >= CAME << state.vain.min(MOST_VAIN) {
                state.too_wide = Some(too_wide.saturating_mul(4)).filter(|width| *width < WIDEST_MS);
                state.vain = if state.too_wide.is_some() { state.vain } else { 0 };
            }
        }
        state.window = (wider < WIDEST_MS).then_some(wider);
    }

    /// As it stands in a problem.
    pub fn name(&self, source: &ObjectSource) -> String {
        let object = &source.object;
        if self.instant {
            format!("the query of {object} at {}", self.from)
        } else {
            format!("the query of {object} from {} to {}", self.from, self.until)
        }
    }
}
