//! When a tenant is stuck, and when the host is ready.
//!
//! Health is for a person or a pager, not for what restarts the host: an output that is down is down after a restart as well,
//! and every other tenant would pay for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::metrics::Metrics;
use super::tenant::{Standing, locked};

/// How many tenants an answer names.
const NAMED: usize = 100;

/// From when on a tenant is stuck.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Thresholds {
    /// A poll has been running for so many times what a call may take. Default 2.
    pub call_times: u32,
    /// A poll is due for that long, and for twice its wait. Default 5 min.
    pub overdue: Duration,
    /// Its output has failed for that long. Default 15 min.
    pub output: Duration,
    /// It has failed for that long with what does not pass by itself: `auth`, `config`, a crash. Default 1 h.
    pub failing: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            call_times: 2,
            overdue: Duration::from_secs(5 * 60),
            output: Duration::from_secs(15 * 60),
            failing: Duration::from_secs(3600),
        }
    }
}

/// A tenant that is stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stuck {
    /// Its name, as in the metrics.
    pub tenant: Box<str>,
    /// `running`, `overdue`, `output`, `state` or `failing`: the first that holds.
    pub reason: &'static str,
    /// The same in words.
    pub why: String,
}

/// What `/healthz` answers.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `ok` or `stuck`.
    pub status: &'static str,
    /// All tenants.
    pub tenants: usize,
    /// Those that are stuck.
    pub stuck: usize,
    /// The first hundred of them.
    pub named: Vec<Stuck>,
}

#[derive(Debug, Default)]
struct Readiness {
    /// Tenants of the start that are not settled yet; none before the folder is read.
    pending: Mutex<Option<HashSet<String>>>,
    draining: AtomicBool,
}

/// Judges what the metrics have counted. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Health {
    metrics: Metrics,
    thresholds: Thresholds,
    readiness: Arc<Readiness>,
}

impl Health {
    /// A judge of those metrics. Nothing is ready yet.
    pub fn new(metrics: Metrics, thresholds: Thresholds) -> Self {
        Self { metrics, thresholds, readiness: Arc::default() }
    }

    /// The folder has been read, and holds these tenants.
    pub fn folder_read(&self, tenants: impl IntoIterator<Item = String>) {
        *locked(&self.readiness.pending) = Some(tenants.into_iter().collect());
    }

    /// This tenant was opened or refused, or is paused or gone. One that came later, or says so again, counts for nobody else.
    pub fn settled(&self, tenant: &str) {
        if let Some(pending) = &mut *locked(&self.readiness.pending) {
            pending.remove(tenant);
        }
    }

    /// The host is about to end: whoever balances load looks elsewhere.
    pub fn draining(&self) {
        self.readiness.draining.store(true, SeqCst);
    }

    /// Whether everything that was there at the start has been opened or refused, or else why the host is not ready.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.readiness.draining.load(SeqCst) {
            return Err("draining");
        }
        match &*locked(&self.readiness.pending) {
            None => Err("the folder is not read yet"),
            Some(pending) if !pending.is_empty() => Err("tenants are being opened"),
            Some(_) => Ok(()),
        }
    }

    /// Which tenants are stuck, and why.
    pub fn report(&self) -> Report {
        let standings = self.metrics.standings();
        let mut report = Report { status: "ok", tenants: standings.len(), stuck: 0, named: Vec::new() };
        for standing in &standings {
            let Some((reason, why)) = self.why_stuck(standing) else { continue };
            report.status = "stuck";
            report.stuck += 1;
            if report.named.len() < NAMED {
                report.named.push(Stuck { tenant: standing.tenant.clone(), reason, why });
            }
        }
        report
    }

    fn why_stuck(&self, standing: &Standing) -> Option<(&'static str, String)> {
        let Thresholds { call_times, overdue, output, failing } = self.thresholds;
        if standing.paused {
            return None;
        }
        let call_time = standing.call_time;
        if let Some(age) = standing.running.filter(|age| *age > call_time.saturating_mul(call_times)) {
            let limit = call_time.as_secs();
            return Some((
                "running",
                format!("a poll has been running for {}, and a call may take {limit} s", words(age)),
            ));
        }
        if let Some(age) = standing.overdue.filter(|age| *age > overdue.max(standing.wait.saturating_mul(2)))
        {
            return Some(("overdue", format!("a poll has been due for {} and has not begun", words(age))));
        }
        if let Some(age) = standing.output_failing.filter(|age| *age > output) {
            return Some(("output", format!("its output has refused events for {}", words(age))));
        }
        if standing.save_failing {
            return Some(("state", "its state cannot be saved".to_owned()));
        }
        let (kind, age) = standing.failing.filter(|(_, age)| *age > failing)?;
        Some((
            "failing",
            format!("its polls have failed for {}, last with a problem of kind {kind}", words(age)),
        ))
    }
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
