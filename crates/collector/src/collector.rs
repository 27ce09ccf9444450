//! The collector: configured once, then polled.
//!
//! A poll does what is due, one step after another, each source in turn, until the batch is full or nothing is left.
//! All that it must know to go on stands in the state. What it keeps in memory besides (the list of files to read, an
//! open download) belongs to the state it returned last, and is dropped when it is called with another one.

use crate::{
    check::Verdict,
    config::{Config, streams::TimeRange},
    io::{Clock, Http},
    org::{
        names::KnownNames,
        session::{Org, Session},
    },
    problem::{Kind, Problem, not_configured},
    schedule::{
        backoff::Backoff,
        batch::{Batch, Failure, Progress},
    },
    secret::Secret,
    sources::{self, Outcome, Work},
    state::State,
};
use documents::time::Time;

/// A source of events. One instance is one configured source.
#[derive(Default)]
pub struct Collector {
    configured: Option<Configured>,
}

/// What a configuration needs of the host.
#[derive(Debug)]
pub struct Grants {
    /// The authorities (`host` or `host:port`) that it will contact.
    pub authorities: Vec<String>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

struct Configured {
    config: Config,
    session: Session,
    names: KnownNames,
    work: Work,
    /// The state that `work` belongs to.
    last_state: Option<String>,
}

impl Collector {
    /// A collector that is not configured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration. Returns what it needs of the host.
    ///
    /// # Errors
    /// One problem for each mistake in it. What was configured before stays.
    pub fn configure(&mut self, json: &str) -> Result<Grants, Vec<Problem>> {
        let config = Config::parse(json)?;
        let grants = Grants { authorities: config.authorities(), warnings: config.warnings() };
        let work = Work::new(&config);
        let (session, names) = (Session::default(), KnownNames::default());
        self.configured = Some(Configured { config, session, names, work, last_state: None });
        Ok(grants)
    }

    /// Confines every stream to what happened from `from` on and before `until`, both in milliseconds since 1970: for a backfill
    /// with a state of its own. What the configuration says of the range does not count then.
    ///
    /// # Errors
    /// If it is not configured, or no time lies between both.
    pub fn confine(&mut self, from: i64, until: i64) -> Result<(), Problem> {
        let Some(configured) = &mut self.configured else { return Err(not_configured()) };
        let (from, until) = (Time(from), Time(until));
        if from >= until {
            return Err(Problem::new(Kind::Config, format!("{until} is not after {from}"))
                .hint("name an end that lies after the beginning"));
        }
        configured.config.streams.confine(TimeRange { from: Some(from), until: Some(until) });
        // What is in memory belongs to another range.
        configured.last_state = None;
        Ok(())
    }

    /// Whether the streams have an end, and a state is there: no poll brings anything any more.
    pub fn is_complete(&self, state: &str) -> bool {
        let Some(configured) = &self.configured else { return false };
        State::parse(state).is_ok_and(|state| sources::are_complete(&configured.config, &state))
    }

    /// Tries each thing that a poll needs.
    pub fn check(&mut self, http: &mut dyn Http, clock: &dyn Clock) -> Vec<crate::check::Finding> {
        match &mut self.configured {
            Some(configured) => {
                let (session, names) = (&mut configured.session, &mut configured.names);
                session.begin(clock, false);
                let mut org = Org { config: &configured.config, http, clock, session, names };
                let mut findings = crate::check::check(&mut org);
                // Without a sign-in there is nothing to be asked.
                if findings
                    .iter()
                    .any(|finding| finding.name == "api-enabled" && finding.verdict == Verdict::Pass)
                {
                    findings.extend(crate::plan::plan(&mut org));
                }
                findings
            }
            None => vec![crate::check::Finding::not_configured()],
        }
    }

    /// Returns the next events after `state`.
    ///
    /// # Errors
    /// When it could do nothing at all.
    pub fn poll(
        &mut self,
        http: &mut dyn Http,
        clock: &dyn Clock,
        state: Option<&str>,
    ) -> Result<Batch, Failure> {
        match &mut self.configured {
            Some(configured) => configured.poll(http, clock, state),
            None => Err(Failure { problem: not_configured(), state: None }),
        }
    }

    /// What the next collector with this configuration can go on with, so that it need not sign in: a secret. None if this one
    /// has not signed in.
    pub fn suspend(&self) -> Option<Secret> {
        let configured = self.configured.as_ref()?;
        configured.session.suspend(&configured.config)
    }

    /// Goes on with what an earlier collector was signed in with. What does not fit is ignored, and so is whatever comes once
    /// this one has signed in itself.
    pub fn resume(&mut self, session: &str) {
        if let Some(Configured { config, session: own, .. }) = &mut self.configured
            && !own.is_signed_in()
            && let Some(earlier) = Session::resume(config, session)
        {
            *own = earlier;
        }
    }
}

impl Configured {
    fn poll(
        &mut self,
        http: &mut dyn Http,
        clock: &dyn Clock,
        given: Option<&str>,
    ) -> Result<Batch, Failure> {
        let state = given.map_or_else(|| Ok(State::new()), State::parse);
        let mut state = state.map_err(|problem| Failure { problem, state: None })?;
        state
            .belongs_to(&self.config.instance.authority)
            .map_err(|problem| Failure { problem, state: None })?;
        state.belongs_to_configuration(&self.config.fingerprint);
        // Whatever way this poll ends, the memory fits no state but the one that is returned.
        let last_state = self.last_state.take();
        if last_state.is_none() || last_state.as_deref() != given {
            self.work = Work::new(&self.config);
        }
        let now = Time(clock.now_ms());
        if let Some(backoff) = state.backoff.as_ref().filter(|backoff| backoff.remaining(now) > 0) {
            let wait = next_poll(&self.config, &state, now);
            let problem = waiting(backoff, now).retry_after_ms(wait.into());
            return Err(Failure { problem, state: None });
        }

        self.session.begin(clock, true);
        self.names.waits = std::mem::take(&mut state.lookups);
        let (session, names) = (&mut self.session, &mut self.names);
        let mut org = Org { config: &self.config, http, clock, session, names };
        let mut progress = Progress::new(self.config.limits, clock, state.stalled);
        let mut outcome = Outcome::default();
        let slices = self.work.run(&mut org, &mut state, &mut progress, &mut outcome);
        self.work.end_poll();
        outcome.useful |= progress.has_worked();
        // What was asked is done; but if that used the share up, the next poll must not ask before it has waited.
        let within_share = || org.within_share().map_err(|error| error.problem("a request"));
        match slices.and_then(|()| within_share()) {
            Ok(()) => state.backoff = None,
            Err(problem) => {
                // What worked before it failed begins a new row of failures. A probe that finds the share used up does not.
                let goes_on = !outcome.useful || within_share().is_err();
                let earlier = state.backoff.as_ref().filter(|_| goes_on);
                let backoff = Backoff::after(earlier, &problem, now, &self.config.auth.client_id);
                outcome.problems.push(problem.retry_after_ms(backoff.remaining(now)));
                state.backoff = Some(backoff);
            }
        }

        state.lookups = std::mem::take(&mut self.names.waits);
        outcome.problems.append(&mut self.names.problems);
        let more = progress.is_full() && state.backoff.is_none();
        state.stalled = progress.stalled(state.stalled, more);
        // The poll took its time, and the host waits from now on.
        let now = Time(clock.now_ms());
        let wait = if more { 0 } else { next_poll(&self.config, &state, now) };
        let text = state.to_json();
        self.last_state = Some(text.clone());
        // With events there is a batch, whatever went wrong besides: the state has moved past them.
        if !outcome.useful && progress.events.is_empty() {
            if !more {
                let waiting = waiting_streams(&self.config, &state, now, &outcome.problems);
                outcome.problems.extend(waiting);
            }
            let everything = outcome.problems.iter().find(|problem| problem.stream.is_none());
            let only = Some(&outcome.problems).filter(|all| all.len() == 1).and_then(|all| all.first());
            if let Some(problem) = everything.or(only) {
                // Another source may have to do sooner what this one waits for.
                let problem = problem.clone().retry_after_ms(i64::from(wait.max(1)));
                return Err(Failure { problem, state: Some(text) });
            }
        }
        let mut stats = progress.stats;
        let costs = self.session.take_costs();
        stats.requests = costs.requests;
        stats.token_requests = costs.token_requests;
        stats.bytes_received = costs.received;
        stats.api_usage = self.session.api_usage().map(|usage| (usage.used, usage.maximum));
        (stats.backlog_files, stats.backlog_bytes) = self.work.backlog(&self.config, &state);
        Ok(Batch {
            events: progress.events,
            state: text,
            next_poll_ms: wait,
            problems: outcome.problems,
            stats,
        })
    }
}

/// A wait that is under way, as a problem.
fn waiting(backoff: &Backoff, now: Time) -> Problem {
    let kind = Kind::from_name(&backoff.kind).unwrap_or(Kind::Transient);
    Problem::new(kind, format!("waiting until {} after: {}", backoff.until, backoff.reason))
        .retry_after_ms(backoff.remaining(now))
}

/// What the streams wait for that are not said to have failed just now.
fn waiting_streams(config: &Config, state: &State, now: Time, said: &[Problem]) -> Vec<Problem> {
    let said =
        |name: &str| said.iter().any(|problem| problem.stream.as_deref().is_none_or(|stream| stream == name));
    let waiting = |name: &str| {
        let stream = state.streams.get(name)?;
        let files = stream.event_log_file.as_ref();
        let files = files.into_iter().flat_map(|files| files.backoff.iter().chain(&files.downloads));
        let object = stream.object.as_ref().and_then(|object| object.backoff.as_ref());
        let backoff = files.chain(object).find(|backoff| backoff.remaining(now) > 0)?;
        Some(waiting(backoff, now).in_stream(name))
    };
    let mut names = Vec::new();
    for name in config.streams.names() {
        // One of files and of an object is named twice.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().filter(|name| !said(name)).filter_map(waiting).collect()
}

/// Milliseconds until something is due.
fn next_poll(config: &Config, state: &State, now: Time) -> u32 {
    // Once the wait is over there may still be nothing to do: what was due may be done.
    let backoff = state.backoff.as_ref().map_or(0, |backoff| backoff.remaining(now));
    let wait = sources::next(config, state, now).max(backoff);
    // Nothing is ready now, or it would have been done.
    u32::try_from(wait.max(1)).unwrap_or(u32::MAX)
}
