//! What it costs to watch many tenants: the memory of their metrics, and a scrape of all of them.

use crate::{report::Table, tenants::memory};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use source_host::{
    ApiUsage, Batch, CallRecord, Error, Failure, Observer as _, Problem, ProblemKind, RequestRecord, grouped,
};
use source_host_cli::watch::{Delivered, Metrics, TenantMetrics};
use std::time::{Duration, Instant, SystemTime};

const SCRAPES: usize = 5;

/// So many tenants, and a scrape of them.
#[derive(Serialize)]
pub struct Watched {
    tenants: usize,
    /// Whether each is told of, or all together.
    each: bool,
    bytes_each: u64,
    series: usize,
    /// The shortest of some.
    seconds: f64,
    scrape_bytes: usize,
}

impl Watched {
    /// Watches so many of each number, and once more those of the last together.
    pub fn measure(numbers: &[usize], bar: &ProgressBar) -> Result<Vec<Self>> {
        let together = numbers.last().map(|last| (*last, false));
        let wanted = numbers.iter().map(|tenants| (*tenants, true)).chain(together);
        // Code and tables that are touched for the first time are no tenant's.
        let first = Metrics::new(true);
        poll(&first.tenant("first", "sha256:0123456789abcdef"));
        first.scrape();
        // Memory first and all of it held: what a scrape gives back would otherwise be counted as free.
        let mut built = Vec::new();
        for (tenants, each) in wanted {
            bar.set_message(format!("{tenants} tenants"));
            let before = memory().context("this system does not tell how much memory a process has")?;
            let metrics = Metrics::new(each);
            for nth in 0..tenants {
                poll(&metrics.tenant(&format!("customer-{nth:05}"), "sha256:0123456789abcdef"));
            }
            let grown = memory().unwrap_or(before).saturating_sub(before);
            built.push((tenants, each, metrics, grown / tenants.max(1) as u64));
        }
        Ok(built
            .into_iter()
            .map(|(tenants, each, metrics, bytes)| Self::scrape(tenants, each, &metrics, bytes))
            .collect())
    }

    fn scrape(tenants: usize, each: bool, metrics: &Metrics, bytes_each: u64) -> Self {
        let (mut seconds, mut text) = (f64::INFINITY, String::new());
        for _ in 0..SCRAPES {
            let started = Instant::now();
            text = metrics.scrape();
            seconds = seconds.min(started.elapsed().as_secs_f64());
        }
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        Self { tenants, each, bytes_each, series, seconds, scrape_bytes: text.len() }
    }

    /// Many of them for people.
    pub fn text(all: &[Self]) -> String {
        let mut table =
            Table::new(["tenants", "series", "bytes of memory for each", "scrape", "bytes of the answer"]);
        for one in all {
            let tenants = grouped(one.tenants as u64);
            table.add([
                if one.each { tenants } else { format!("{tenants}, summed") },
                grouped(one.series as u64),
                grouped(one.bytes_each),
                format!("{:.0} ms", one.seconds * 1e3),
                grouped(one.scrape_bytes as u64),
            ]);
        }
        format!("\nMetrics of tenants that have polled, failed and delivered:\n\n{}", table.text())
    }
}

/// All that a tenant can be told of, so that each of its series is there.
fn poll(tenant: &TenantMetrics) {
    let problem = |kind| Problem::new(kind, "no");
    let mut batch = Batch::default();
    batch.problems = vec![problem(ProblemKind::Data), problem(ProblemKind::Auth)];
    batch.stats.api_usage = Some(ApiUsage::new(70, 100));
    batch.stats.rows_read = 20;
    tenant.instance_open(true);
    tenant.running(true);
    tenant.polled(&batch, Duration::from_millis(1_500));
    tenant.running(false);
    tenant.output_failed();
    let now = SystemTime::now();
    tenant.delivered(&Delivered {
        events: 17,
        bytes: 1_700,
        set_aside: 1,
        oldest: Some(now - Duration::from_secs(3600)),
        newest: Some(now - Duration::from_secs(60)),
        took: Duration::from_millis(250),
    });
    tenant.saved(512);
    let failure = Failure::new(problem(ProblemKind::Transient), None);
    tenant.poll_failed(&Error::Failure(Box::new(failure)));
    tenant.poll_failed(&Error::Memory { limit: 1 });
    let requests = [(Some(200), None), (Some(503), None), (Some(200), Some("cut")), (None, Some("denied"))];
    for (status, error) in requests {
        let mut request = RequestRecord::default();
        (request.method, request.status, request.error) = ("GET", status, error);
        request.denied = error == Some("denied");
        request.duration = Duration::from_millis(200);
        tenant.request(&request);
    }
    let mut call = CallRecord::default();
    (call.cpu, call.peak_memory, call.ended_by) = (Duration::from_millis(500), 9 << 20, Some("memory"));
    tenant.call(&call);
    tenant.limit("connections");
    tenant.scheduled(Duration::from_secs(60));
}
