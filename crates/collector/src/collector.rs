//! The collector: configured once, then polled.
//!
//! A poll does what is due, one step after another, each source in turn, until the batch is full or nothing is left.
//! All that it must know to go on stands in the state. What it keeps in memory besides (the list of files to read, an
//! open download) belongs to the state it returned last, and is dropped when it is called with another one.

use crate::{
    backoff::Backoff,
    batch::{Batch, Failure, Progress},
    config::{Config, Source},
    files::{FilesWork, Step, Turn},
    io::{Clock, Http},
    problem::{Kind, Problem},
    session::{Org, Session, Trouble},
    state::State,
    time::Time,
};

/// A source of events. One instance is one configured source.
#[derive(Default)]
pub struct Collector {
    configured: Option<Configured>,
}

struct Configured {
    config: Config,
    session: Session,
    /// What is kept in memory for each source of the configuration.
    work: Vec<FilesWork>,
    /// The state that `work` belongs to.
    last_state: Option<String>,
}

impl Collector {
    /// A collector that is not configured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration. Returns the authorities that it contacts.
    ///
    /// # Errors
    /// One problem for each mistake in it. What was configured before stays.
    pub fn configure(&mut self, json: &str) -> Result<Vec<String>, Vec<Problem>> {
        let config = Config::parse(json)?;
        let authorities = config.authorities();
        let work = config.sources.iter().map(|_| FilesWork::default()).collect();
        self.configured = Some(Configured { config, session: Session::default(), work, last_state: None });
        Ok(authorities)
    }

    /// Tries each thing that a poll needs.
    pub fn check(&mut self, http: &mut dyn Http, clock: &dyn Clock) -> Vec<crate::check::Finding> {
        match &mut self.configured {
            Some(configured) => {
                let session = &mut configured.session;
                let mut org = Org { config: &configured.config, http, clock, session };
                crate::check::check(&mut org)
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
}

/// What `check` and `poll` say before a configuration.
pub fn not_configured() -> Problem {
    Problem::new(Kind::Config, "there is no configuration").hint("call configure first")
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
        // Whatever way this poll ends, the memory fits no state but the one that is returned.
        let last_state = self.last_state.take();
        if last_state.is_none() || last_state.as_deref() != given {
            self.work.iter_mut().for_each(|work| *work = FilesWork::default());
        }
        let now = Time(clock.now_ms());
        if let Some(backoff) = state.backoff.as_ref().filter(|backoff| backoff.remaining(now) > 0) {
            return Err(Failure { problem: waiting(backoff, now), state: None });
        }

        self.session.take_costs();
        let mut org = Org { config: &self.config, http, clock, session: &mut self.session };
        let mut progress = Progress::new(self.config.limits, clock);
        let mut turns = Turns { problems: Vec::new(), useful: false };
        match turns.take(&self.config.sources, &mut self.work, &mut org, &mut state, &mut progress) {
            Ok(()) => state.backoff = None,
            Err(problem) => {
                let backoff =
                    Backoff::after(state.backoff.as_ref(), &problem, now, &self.config.auth.client_id);
                turns.problems.push(problem.retry_after_ms(backoff.remaining(now)));
                state.backoff = Some(backoff);
            }
        }

        let more = progress.is_full() && state.backoff.is_none();
        let wait = if more { 0 } else { next_poll(&self.config.sources, &state, now) };
        let text = state.to_json();
        self.last_state = Some(text.clone());
        // With events there is a batch, whatever went wrong besides: the state has moved past them.
        if !turns.useful && progress.events.is_empty() {
            let stalled = || stalled(&self.config.sources, &state, now);
            if let Some(problem) = turns.problems.first().cloned().or_else(stalled) {
                return Err(Failure { problem, state: Some(text) });
            }
        }
        let mut stats = progress.stats;
        let costs = self.session.take_costs();
        stats.requests = costs.requests;
        stats.token_requests = costs.token_requests;
        stats.bytes_received = costs.received;
        stats.api_usage = self.session.api_usage();
        for (source, work) in self.config.sources.iter().zip(&self.work) {
            let (files, bytes) = work.backlog(state.streams.get(&source.stream));
            stats.backlog_files = stats.backlog_files.saturating_add(files);
            stats.backlog_bytes = stats.backlog_bytes.saturating_add(bytes);
        }
        Ok(Batch {
            events: progress.events,
            state: text,
            next_poll_ms: wait,
            problems: turns.problems,
            stats,
        })
    }
}

struct Turns {
    problems: Vec<Problem>,
    /// Whether anything was listed or read.
    useful: bool,
}

impl Turns {
    /// Lets every source take a step, again and again, until the batch is full or none has anything left to do.
    ///
    /// # Errors
    /// When nobody can sign in.
    fn take(
        &mut self,
        sources: &[Source],
        work: &mut [FilesWork],
        org: &mut Org<'_>,
        state: &mut State,
        progress: &mut Progress<'_>,
    ) -> Result<(), Problem> {
        loop {
            let mut idle = true;
            for (source, work) in sources.iter().zip(&mut *work) {
                progress.look_at_the_clock();
                if progress.is_full() {
                    return Ok(());
                }
                let stream = state.streams.entry(source.stream.clone()).or_default();
                let turn =
                    Turn { source, org: &mut *org, progress: &mut *progress, problems: &mut self.problems };
                match work.step(turn, &mut stream.event_log_file) {
                    Ok(Step::Worked) => {
                        idle = false;
                        self.useful = true;
                    }
                    Ok(Step::Failed) => idle = false,
                    Ok(Step::Idle) => {}
                    Err(problem) => return Err(problem),
                }
            }
            if idle {
                return Ok(());
            }
        }
    }
}

/// The problem of a trouble, if it is one that ends the whole poll: nobody is signed in.
pub fn ends_poll(trouble: &Trouble) -> Option<Problem> {
    match trouble {
        Trouble::SignIn(problem) => Some(problem.clone()),
        _ => None,
    }
}

/// A wait that is under way, as a problem.
fn waiting(backoff: &Backoff, now: Time) -> Problem {
    let kind = Kind::from_name(&backoff.kind).unwrap_or(Kind::Transient);
    Problem::new(kind, format!("waiting until {} after: {}", backoff.until, backoff.reason))
        .retry_after_ms(backoff.remaining(now))
}

/// Why nothing was done, if that is because of a wait.
fn stalled(sources: &[Source], state: &State, now: Time) -> Option<Problem> {
    sources.iter().find_map(|source| {
        let backoff = state.streams.get(&source.stream)?.event_log_file.as_ref()?.backoff.as_ref()?;
        (backoff.remaining(now) > 0).then(|| waiting(backoff, now).in_stream(&source.stream))
    })
}

/// Milliseconds until something is due.
fn next_poll(sources: &[Source], state: &State, now: Time) -> u32 {
    let wait = match &state.backoff {
        Some(backoff) => Some(backoff.remaining(now)),
        None => sources
            .iter()
            .map(|source| {
                let files =
                    state.streams.get(&source.stream).and_then(|stream| stream.event_log_file.as_ref());
                files.map_or(0, |files| crate::files::wait(files, source, now))
            })
            .min(),
    };
    // Nothing is ready now, or it would have been done.
    u32::try_from(wait.unwrap_or(i64::MAX).max(1)).unwrap_or(u32::MAX)
}
