//! What a collector meets: the simulated org, two clocks that differ, and the way between, with all that is planned on it.

use super::{
    asks::Asks,
    timeline::{self, Match, TimedFault, Timeline},
};
use crate::random::Random;
use chrono::{DateTime, TimeDelta};
use salesforce_sim::{OfflineAnswer, OfflineOrg, Unanswered};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long the collector waits for the beginning of an answer, in milliseconds: what is configured for `first_byte`.
pub const PATIENCE: i64 = 60_000;
/// What share of the allowance other programs use while they use it up.
const BUSY_PERCENT: u64 = 80;

/// The world of one run. Time passes while requests travel; nothing waits.
pub struct World {
    /// The org. Its clock is the true one.
    pub org: OfflineOrg,
    /// What is planned.
    pub timeline: Timeline,
    inner: Mutex<Inner>,
}

struct Inner {
    random: Random,
    sent: Vec<Sent>,
    /// Beside the faults.
    struck: Vec<Struck>,
    /// The number of the poll that goes on.
    poll: u32,
    /// How far the host's clock is ahead besides what is planned, in milliseconds.
    ahead: i64,
    /// Whether an answer in this poll told that the allowance is used up beyond the share.
    told: bool,
    /// A request that was sent although it was told.
    spendthrift: Option<String>,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When, on the org's clock.
    pub at: i64,
    /// In which poll.
    pub poll: u32,
    /// What it asks for.
    pub asks: Asks,
    /// Whether anything planned struck it.
    pub struck: bool,
}

/// How often a fault struck, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Struck {
    /// Requests that match, so far.
    seen: u32,
    /// Requests it struck.
    pub times: u32,
    /// When first, on the org's clock.
    pub first: i64,
    /// When last.
    pub last: i64,
}

impl World {
    /// A world in which nothing goes wrong, and everything that looks random follows from `random`.
    pub fn new(org: OfflineOrg, random: Random) -> Self {
        Self::planned(org, Timeline::default(), random)
    }

    /// A world in which all this happens besides.
    pub fn planned(org: OfflineOrg, timeline: Timeline, random: Random) -> Self {
        let struck = vec![Struck::default(); timeline.faults.len()];
        let inner =
            Inner { random, sent: Vec::new(), struck, poll: 0, ahead: 0, told: false, spendthrift: None };
        Self { org, timeline, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host's clock, in milliseconds since 1970.
    pub fn host_ms(&self) -> i64 {
        let now = self.org_ms();
        now + self.timeline.ahead_at(now) + self.inner().ahead
    }

    /// Sets the host's clock, by how much it is ahead of the org's besides what is planned, in milliseconds.
    pub fn set_host_ahead(&self, ms: i64) {
        self.inner().ahead = ms;
    }

    /// Looks at the host's clock, which may go on before it is looked at again.
    pub fn look_at_host_clock(&self) -> i64 {
        let tick = self.inner().random.below(2);
        self.pass(i64::try_from(tick).unwrap_or_default());
        self.host_ms()
    }

    /// The org's clock.
    pub fn org_ms(&self) -> i64 {
        self.org.org().clock().now().timestamp_millis()
    }

    /// Lets time pass, on both clocks.
    pub fn pass(&self, ms: i64) {
        self.org.org().clock().advance(TimeDelta::milliseconds(ms.max(0)));
    }

    /// Begins a poll.
    pub fn begin_poll(&self, number: u32) {
        let mut inner = self.inner();
        inner.poll = number;
        inner.told = false;
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.inner().sent.len() as u64
    }

    /// Looks through the requests that were sent.
    pub fn sent<T>(&self, look: impl FnOnce(&[Sent]) -> T) -> T {
        look(&self.inner().sent)
    }

    /// How often each fault struck.
    pub fn struck(&self) -> Vec<Struck> {
        self.inner().struck.clone()
    }

    /// A request that was sent in a poll after an answer had told that the share of the allowance is used up.
    pub fn spendthrift(&self) -> Option<String> {
        self.inner().spendthrift.clone()
    }

    /// Sends a request, which takes its time.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<OfflineAnswer, Unanswered> {
        let (there, back) = {
            let mut inner = self.inner();
            (inner.random.below(400), inner.random.below(400))
        };
        self.pass(i64::try_from(there).unwrap_or_default());
        self.note(path);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut answer = self.org.answer(method, path, &headers, body);
        if let Err(Unanswered::TimedOut(millis)) = answer {
            let late = i64::try_from(millis).unwrap_or(i64::MAX);
            self.pass(late.min(PATIENCE));
            if late < PATIENCE {
                answer = self.org.answer(method, path, &headers, body);
            }
        }
        self.pass(i64::try_from(back).unwrap_or_default());
        answer.map(|answer| self.share(path, self.blur(answer)))
    }

    /// Notes a request, and plans with the org what strikes it.
    fn note(&self, path: &str) {
        let now = self.org_ms();
        let asks = Asks::of(path);
        let mut inner = self.inner();
        let mut any = false;
        let calm = self.timeline.calm.is_some_and(|calm| now >= calm);
        let faults = if calm { &[] } else { self.timeline.faults.as_slice() };
        for (fault, struck) in faults.iter().zip(&mut inner.struck) {
            if !applies(fault, *struck, &asks, path, now) {
                continue;
            }
            struck.seen += 1;
            if fault.until.is_none() && struck.seen < fault.nth {
                continue;
            }
            if struck.times == 0 {
                struck.first = now;
            }
            struck.times += 1;
            struck.last = now;
            any = true;
            self.org.org().plan_fault(timeline::strike(path, &fault.action));
        }
        if inner.told
            && matches!(asks, Asks::Object { .. } | Asks::Listing { .. } | Asks::Page | Asks::File(_))
        {
            inner.spendthrift.get_or_insert_with(|| format!("at {now}: {path}"));
        }
        let poll = inner.poll;
        inner.sent.push(Sent { at: now, poll, asks, struck: any });
    }

    /// What the server that answers thinks is the time.
    fn blur(&self, mut answer: OfflineAnswer) -> OfflineAnswer {
        let most = self.timeline.server_clocks;
        for (name, value) in answer.headers.iter_mut().filter(|_| most > 0) {
            if name.eq_ignore_ascii_case("date")
                && let Ok(date) = DateTime::parse_from_rfc2822(value)
            {
                let off = self.inner().random.either_way(most);
                *value =
                    (date + TimeDelta::milliseconds(off)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            }
        }
        answer
    }

    /// What the org tells of its allowance while others use it up.
    fn share(&self, path: &str, mut answer: OfflineAnswer) -> OfflineAnswer {
        if !self.timeline.org_is_busy(self.org_ms()) || path.contains("/oauth2/") {
            return answer;
        }
        for (name, value) in &mut answer.headers {
            if name == "sforce-limit-info"
                && let Some((_, limit)) = value.split_once('/')
                && let Ok(limit) = limit.parse::<u64>()
            {
                *value = format!("api-usage={}/{limit}", limit * BUSY_PERCENT / 100);
                self.inner().told = true;
            }
        }
        answer
    }
}

/// Whether a fault has to do with a request.
fn applies(fault: &TimedFault, struck: Struck, asks: &Asks, path: &str, now: i64) -> bool {
    let over = match fault.until {
        Some(until) => now >= until,
        None => struck.times > 0,
    };
    if over || now < fault.from {
        return false;
    }
    match (&fault.matches, asks) {
        (Match::Path(part), _) => path.contains(part.as_str()),
        (Match::Object(object), Asks::Object { object: asked, .. }) => object.name() == asked,
        (Match::Wider(object, most), Asks::Object { object: asked, width }) => {
            object.name() == asked && width.is_none_or(|width| width > *most)
        }
        (Match::Listing, Asks::Listing { .. }) => true,
        (Match::File(file), Asks::File(asked)) => file == asked,
        _ => false,
    }
}
