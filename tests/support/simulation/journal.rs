//! What happened in a run, poll by poll, and what of it excuses that something came late.

use super::{
    plan::{Plan, Source, What},
    timeline::{Hold, LONG_AFTERMATH, MINUTE, Match, TimedFault},
    world::{Struck, World},
};

/// One poll.
#[derive(Clone, Debug, Default)]
pub struct Poll {
    /// When it began, on the org's clock.
    pub began: i64,
    /// When it ended.
    pub ended: i64,
    /// Whether it promised that more is ready.
    pub more: bool,
    /// Whether the host stopped it.
    pub stopped: bool,
    /// Whether its state was not saved.
    pub lost: bool,
    /// Requests.
    pub requests: u64,
    /// Events.
    pub events: usize,
    /// Which sources they are of, by their index in the plan.
    pub sources: Vec<usize>,
    /// What it said.
    pub problems: Vec<String>,
}

/// Spans of time, in order and apart.
#[derive(Clone, Debug, Default)]
pub struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// Puts spans in order.
    pub fn new(mut spans: Vec<(i64, i64)>) -> Self {
        spans.retain(|(from, until)| from < until);
        spans.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for (from, until) in spans {
            match merged.last_mut() {
                Some((_, last)) if from <= *last => *last = until.max(*last),
                _ => merged.push((from, until)),
            }
        }
        Self(merged)
    }

    /// How much of a span they cover.
    pub fn covered(&self, from: i64, until: i64) -> i64 {
        let first = self.0.partition_point(|(_, end)| *end <= from);
        let within = self.0[first..].iter().take_while(|(begin, _)| *begin < until);
        within.map(|(begin, end)| end.min(&until) - begin.max(&from)).sum()
    }

    /// Whether a moment lies in one.
    pub fn hold(&self, at: i64) -> bool {
        self.covered(at, at + 1) > 0
    }
}

/// How long after its first failure a query that asked for too much may go on to fail: time to find a width that does not.
const NARROWING: i64 = 120 * MINUTE;

/// When a fault holds up what it holds, its aftermath included; none if it never struck.
pub fn held(fault: &TimedFault, struck: Struck) -> Option<(i64, i64)> {
    if struck.times == 0 {
        return None;
    }
    Some(match (&fault.matches, fault.until) {
        (Match::Wider(..), _) => (struck.first, struck.first + NARROWING),
        (_, Some(until)) => (fault.from, until + fault.aftermath),
        (_, None) => (struck.first, struck.last + fault.aftermath),
    })
}

/// What excuses a source at times: everything that is not the collector's doing.
pub fn excuses(plan: &Plan, world: &World, polls: &[Poll], source: &Source) -> Spans {
    let mut spans = common(plan, world);
    spans.extend(plan.late_records(source));
    for (fault, struck) in plan.timeline.faults.iter().zip(world.struck()) {
        let its = match (&fault.holds, &source.what) {
            (Hold::Everything, _) | (Hold::Files, What::Files { .. }) => true,
            (Hold::Object(object), What::Object(of)) => object == of,
            _ => false,
        };
        spans.extend(held(fault, struck).filter(|_| its));
    }
    spans.extend(out_of_schedule(polls, source));
    Spans::new(spans)
}

/// When a source is not configured, or waits in a queue: while batches are full there is one, and who is served in it is for
/// another oracle to judge. And when the allowance is used up and a poll says so; who used it is for the bound of requests.
pub fn out_of_schedule(polls: &[Poll], source: &Source) -> Vec<(i64, i64)> {
    let used_up = |said: &String| said.contains("the org has used") || said.contains("TotalRequests Limit");
    let full = polls.windows(2).filter(|pair| pair[0].more || pair[0].problems.iter().any(used_up));
    let mut spans: Vec<_> = full.map(|pair| (pair[0].began, pair[1].began)).collect();
    let mut before = i64::MIN;
    for (from, until) in &source.there {
        spans.push((before, *from));
        before = *until;
    }
    if before < i64::MAX {
        spans.push((before, i64::MAX));
    }
    spans
}

/// What excuses everybody.
pub fn common(plan: &Plan, world: &World) -> Vec<(i64, i64)> {
    let timeline = &world.timeline;
    let mut spans = timeline.off.clone();
    spans.extend(timeline.busy_org.iter().map(|(from, until)| (*from, until + LONG_AFTERMATH)));
    // Waits that were under way end by the old clock.
    spans.extend(timeline.ahead.iter().map(|(at, _)| (*at, at + LONG_AFTERMATH)));
    spans.extend(timeline.lost.iter().map(|lost| (lost.at, lost.at + 2 * LONG_AFTERMATH)));
    spans.extend(plan.configs.iter().map(|config| (config.from, config.from + 15 * MINUTE)));
    spans
}
