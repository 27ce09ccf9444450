//! Metrics, health, the audit trail, and the server that shows them.

#![expect(clippy::expect_used, reason = "a test that meets what it does not expect has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use source_host::{
    ApiUsage, Batch, CallRecord, Error, Failure, Observer, Problem, ProblemKind, RequestRecord, Stats,
};
use source_host_cli::watch::{
    Audit, Clock, Delivered, Health, Metrics, Observers, Queue, Server, ServerError, ServerLimits,
    TenantMetrics, Thresholds,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A clock that goes when it is told to.
struct Set(Mutex<Duration>);

impl Set {
    fn on(&self, time: Duration) {
        *self.0.lock().expect("a lock") += time;
    }
}

impl Clock for Set {
    fn now(&self) -> Duration {
        *self.0.lock().expect("a lock")
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.now()
    }
}

fn metrics(per_tenant: bool) -> (Metrics, Arc<Set>) {
    let clock = Arc::new(Set(Mutex::new(Duration::from_secs(5))));
    (Metrics::with_clock(per_tenant, Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

type Labels = BTreeMap<String, String>;

/// What a scrape says.
#[derive(Default)]
struct Scrape {
    /// Family to type, as declared.
    families: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Scrape {
    /// Reads as strictly as OpenMetrics is written: nothing but what the format allows, in its order.
    fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut helped = BTreeSet::new();
        let mut family = String::new();
        let body = text.strip_suffix("# EOF\n").expect("an end");
        for line in body.split_terminator('\n') {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                family = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(name, family, "a type follows its help");
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert!(scrape.families.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            } else if let Some(rest) = line.strip_prefix("# UNIT ") {
                let (name, unit) = rest.split_once(' ').expect("a unit");
                assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
            } else {
                scrape.sample(line, &family);
            }
        }
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let end = line.find(|c| !is_name(c)).expect("an end of the name");
        let (name, mut rest) = line.split_at(end);
        let mut labels = Labels::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (key, value) = rest.split_once("=\"").expect("a label");
                assert!(!key.is_empty() && key.chars().all(is_name), "{line}");
                let (value, after) = unescaped(value);
                assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
                match after.strip_prefix(',') {
                    Some(more) => rest = more,
                    None => break rest = after.strip_prefix('}').expect("a brace"),
                }
            }
        }
        let value: f64 = rest.strip_prefix(' ').expect("a blank").parse().expect("a number");
        assert!(value.is_finite() && value >= 0.0, "{line}");
        let suffix = name.strip_prefix(family).expect("a sample of its family");
        let fits = match self.families[family].as_str() {
            "counter" => suffix == "_total",
            "gauge" => suffix.is_empty(),
            _ => matches!(suffix, "_sum" | "_count" | "_bucket"),
        };
        assert!(fits, "{line}");
        assert!(self.samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }

    /// The value of a series, whose labels are written `a=b`.
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(format!("source_host_{name}"), labels)).copied()
    }

    /// The names as a query has them: a counter with its suffix, a histogram without one.
    fn names(&self) -> BTreeMap<String, &str> {
        let queried = |(name, kind): (&String, &String)| match kind.as_str() {
            "counter" => format!("{name}_total"),
            _ => name.clone(),
        };
        self.families.iter().map(|family| (queried(family), family.1.as_str())).collect()
    }
}

fn unescaped(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("what is escaped").1 {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                other => panic!("\\{other} is not escaped so"),
            },
            c => value.push(c),
        }
    }
    panic!("a label without an end");
}

fn problem(kind: ProblemKind) -> Problem {
    Problem::new(kind, "no")
}

fn failure(kind: ProblemKind) -> Error {
    Error::Failure(Box::new(Failure::new(problem(kind), None)))
}

fn request(status: Option<u16>, error: Option<&'static str>, denied: bool) -> RequestRecord<'static> {
    let mut record = RequestRecord::default();
    (record.method, record.scheme, record.authority, record.path) = ("GET", "https", "a.example", "/x");
    (record.status, record.error, record.denied) = (status, error, denied);
    (record.bytes_sent, record.bytes_received, record.duration) = (10, 100, Duration::from_millis(200));
    record
}

/// Two polls, a failed one, a delivery that failed before, and some requests.
fn scripted(tenant: &TenantMetrics, clock: &Set) {
    let mut stats = Stats::default();
    (stats.rows_read, stats.rows_malformed) = (20, 3);
    (stats.files_given_up, stats.files_completed) = (1, 2);
    (stats.backlog_files, stats.backlog_bytes) = (4, 5_000);
    stats.api_usage = Some(ApiUsage::new(70, 100));
    let mut batch = Batch::default();
    batch.problems = vec![problem(ProblemKind::Data), problem(ProblemKind::Auth)];
    batch.stats = stats;
    tenant.instance_open(true);
    for _ in 0..2 {
        tenant.running(true);
        tenant.polled(&batch, Duration::from_millis(1_500));
        tenant.running(false);
    }
    tenant.output_failed();
    clock.on(MINUTE);
    tenant.delivered(&Delivered {
        events: 17,
        bytes: 1_700,
        set_aside: 1,
        oldest: Some(clock.wall() - HOUR),
        newest: Some(clock.wall() - MINUTE),
        took: Duration::from_millis(250),
    });
    tenant.saved(512);
    tenant.poll_failed(&failure(ProblemKind::Transient));
    tenant.poll_failed(&Error::Memory { limit: 1 });
    tenant.poll_failed(&Error::Cancelled { call: "poll" });
    for record in [
        request(Some(200), None, false),
        request(Some(503), None, false),
        request(Some(200), Some("cut"), false),
        request(None, Some("no"), true),
    ] {
        tenant.request(&record);
    }
    let mut call = CallRecord::default();
    (call.cpu, call.peak_memory, call.ended_by) = (Duration::from_millis(500), 9 << 20, Some("memory"));
    tenant.call(&call);
    call.ended_by = Some("trap");
    tenant.call(&call);
    tenant.limit("connections");
    tenant.limit("a limit of the future");
    tenant.scheduled(MINUTE);
    clock.on(2 * MINUTE);
}

#[test]
fn a_scripted_run_is_counted_series_by_series() {
    let (metrics, clock) = metrics(true);
    let tenant = metrics.tenant("acme", "sha256:abc");
    scripted(&tenant, &clock);
    let scrape = Scrape::read(&metrics.scrape());
    let acme = ("tenant", "acme");
    for (name, expected) in [
        ("polls_total", 4.0),
        ("polls_failed_total", 2.0),
        ("poll_seconds_total", 3.0),
        ("rows_total", 40.0),
        ("rows_malformed_total", 6.0),
        ("files_completed_total", 4.0),
        ("files_given_up_total", 2.0),
        ("events_total", 17.0),
        ("event_bytes_total", 1_700.0),
        ("events_set_aside_total", 1.0),
        ("delivery_seconds_total", 0.25),
        ("output_failures_total", 1.0),
        ("save_failures_total", 0.0),
        ("request_bytes_total", 40.0),
        ("response_bytes_total", 400.0),
        ("calls_total", 2.0),
        ("cpu_seconds_total", 1.0),
        ("delivery_lag_seconds_sum", 3_600.0),
        ("delivery_lag_seconds_count", 1.0),
        ("backlog_files", 4.0),
        ("backlog_bytes", 5_000.0),
        ("state_bytes", 512.0),
        ("api_usage_used", 70.0),
        ("api_usage_maximum", 100.0),
        ("component_memory_bytes", f64::from(9 << 20)),
        ("output_up", 1.0),
        ("undelivered_age_seconds", 0.0),
        ("successful_poll_age_seconds", 180.0),
        ("newest_event_age_seconds", 180.0),
        ("poll_overdue_seconds", 60.0),
        ("poll_running_seconds", 0.0),
    ] {
        assert_eq!(scrape.get(name, &[acme]), Some(expected), "{name}");
    }
    for (name, label, word, expected) in [
        ("requests_total", "status", "2xx", Some(1.0)),
        ("requests_total", "status", "5xx", Some(1.0)),
        ("requests_total", "status", "failed", Some(1.0)),
        ("requests_total", "status", "denied", Some(1.0)),
        ("requests_total", "status", "4xx", None),
        ("problems_total", "kind", "data", Some(2.0)),
        ("problems_total", "kind", "auth", Some(2.0)),
        ("problems_total", "kind", "transient", Some(1.0)),
        ("problems_total", "kind", "memory", Some(1.0)),
        ("limit_refusals_total", "limit", "memory", Some(1.0)),
        ("limit_refusals_total", "limit", "connections", Some(1.0)),
        ("limit_refusals_total", "limit", "other", Some(1.0)),
        ("limit_refusals_total", "limit", "trap", None),
    ] {
        assert_eq!(scrape.get(name, &[acme, (label, word)]), expected, "{name} {word}");
    }
    assert_eq!(scrape.get("delivery_lag_seconds_bucket", &[acme, ("le", "1800.0")]), Some(0.0));
    assert_eq!(scrape.get("delivery_lag_seconds_bucket", &[acme, ("le", "3600.0")]), Some(1.0));
    assert_eq!(scrape.get("delivery_lag_seconds_bucket", &[acme, ("le", "+Inf")]), Some(1.0));
    assert_eq!(scrape.get("request_seconds_count", &[]), Some(3.0), "what was denied took no time");
    assert_eq!(scrape.get("tenant_info", &[acme, ("component", "sha256:abc")]), Some(1.0));
    assert_eq!(scrape.get("tenants", &[("state", "failing")]), Some(1.0));
    assert_eq!(scrape.get("instances_open", &[]), Some(1.0));
    assert_eq!(scrape.get("polls_waiting", &[]), Some(1.0));
    assert_eq!(scrape.get("uptime_seconds", &[]), Some(180.0));
}

#[test]
fn a_removed_tenant_vanishes_with_all_its_series() {
    let (metrics, clock) = metrics(true);
    scripted(&metrics.tenant("gone", "x"), &clock);
    scripted(&metrics.tenant("stays", "x"), &clock);
    metrics.remove("gone");
    let text = metrics.scrape();
    assert!(!text.contains("gone"), "{text}");
    assert_eq!(Scrape::read(&text).get("polls_total", &[("tenant", "stays")]), Some(4.0));
}

#[test]
fn a_tenant_that_never_succeeded_is_as_old_as_itself_and_a_paused_one_has_no_age() {
    let (metrics, clock) = metrics(true);
    let tenant = metrics.tenant("acme", "x");
    clock.on(HOUR);
    let age = || Scrape::read(&metrics.scrape()).get("successful_poll_age_seconds", &[("tenant", "acme")]);
    assert_eq!(age(), Some(3_600.0));
    tenant.paused(true);
    assert_eq!(age(), None);
}

#[test]
fn sums_name_no_tenant_and_do_not_shrink_when_one_is_removed() {
    let (metrics, clock) = metrics(false);
    scripted(&metrics.tenant("one", "x"), &clock);
    scripted(&metrics.tenant("two", "x"), &clock);
    metrics.tenant("two", "x").output_failed();
    let text = metrics.scrape();
    assert!(!text.contains("tenant=") && !text.contains("two"), "{text}");
    let before = Scrape::read(&text);
    assert_eq!(before.get("polls_total", &[]), Some(8.0));
    assert_eq!(before.get("backlog_files", &[]), Some(8.0));
    assert_eq!(before.get("output_up", &[]), Some(0.0), "one of them is down");
    assert_eq!(before.get("successful_poll_age_seconds", &[]), Some(360.0), "the oldest counts");
    metrics.remove("two");
    let after = Scrape::read(&metrics.scrape());
    assert_eq!(after.get("polls_total", &[]), Some(8.0));
    assert_eq!(after.get("backlog_files", &[]), Some(4.0), "what is now is of those that are");
    assert_eq!(after.get("output_up", &[]), Some(1.0));
}

#[test]
fn sums_do_not_shrink_while_tenants_come_and_go() {
    let (metrics, _) = metrics(false);
    let changing = metrics.clone();
    let changes = std::thread::spawn(move || {
        for number in 0..5_000 {
            let name = format!("tenant-{number}");
            changing.tenant(&name, "x").polled(&Batch::default(), MINUTE);
            changing.remove(&name);
        }
    });
    let mut before = 0.0;
    while !changes.is_finished() {
        let polls = Scrape::read(&metrics.scrape()).get("polls_total", &[]).expect("a sum");
        assert!(polls >= before, "{polls} after {before}");
        before = polls;
    }
    changes.join().expect("a thread");
    assert_eq!(Scrape::read(&metrics.scrape()).get("polls_total", &[]), Some(5_000.0));
}

#[test]
fn a_hostile_name_stays_one_label_of_bounded_length() {
    let (metrics, _) = metrics(true);
    let names = [
        "\"} 1\nsource_host_output_up{tenant=\"forged".to_owned(),
        "back\\slash\\".to_owned(),
        "quote\"".to_owned(),
        "\u{1b}[2J\u{202e}\r\n\0".to_owned(),
        "名".repeat(5_000),
        "名".repeat(5_001),
        String::new(),
    ];
    for name in &names {
        metrics.tenant(name, name);
    }
    let scrape = Scrape::read(&metrics.scrape());
    let tenants: BTreeSet<&String> =
        scrape.samples.keys().filter_map(|(_, labels)| labels.get("tenant")).collect();
    assert_eq!(tenants.len(), names.len());
    assert!(tenants.iter().all(|name| name.chars().count() < 120 && !name.contains(char::is_control)));
    assert!(!tenants.contains(&"forged".to_owned()));
    for name in &names {
        metrics.remove(name);
    }
    assert!(!metrics.scrape().contains("tenant="));
}

/// Names and types as a page of the documentation has them.
fn documented() -> BTreeMap<String, String> {
    let page = fs::read_to_string(docs("metrics.md")).expect("the page");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `source_host_")).map(cells);
    rows.map(|row| (row[1].trim_matches('`').to_owned(), row[2].clone())).collect()
}

fn docs(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn every_metric_is_documented_and_nothing_else_is() {
    let (metrics, clock) = metrics(true);
    scripted(&metrics.tenant("acme", "x"), &clock);
    metrics.queue(Some(Queue::default()));
    let scrape = Scrape::read(&metrics.scrape());
    let shown: BTreeMap<String, String> =
        scrape.names().into_iter().map(|(name, kind)| (name, kind.to_owned())).collect();
    assert_eq!(documented(), shown);
}

#[test]
fn every_metric_that_an_alert_names_exists_and_every_alert_says_what_to_do() {
    let (metrics, clock) = metrics(true);
    scripted(&metrics.tenant("acme", "x"), &clock);
    metrics.queue(Some(Queue::default()));
    let scrape = Scrape::read(&metrics.scrape());
    let (names, samples) = (scrape.names(), scrape.samples.keys().map(|(name, _)| name.as_str()));
    let known: BTreeSet<&str> = names.keys().map(String::as_str).chain(samples).collect();
    let rules = fs::read_to_string(docs("alerts.yml")).expect("the rules");
    let mut named = 0;
    for (at, _) in rules.match_indices("source_host_") {
        let end = rules[at..]
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .map_or(rules.len(), |end| at + end);
        assert!(known.contains(&rules[at..end]), "{} is in no scrape", &rules[at..end]);
        named += 1;
    }
    let tests = fs::read_to_string(docs("alerts.test.yml")).expect("the tests of the rules");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(named >= alerts.len() && alerts.len() >= 9, "{named} names, {} alerts", alerts.len());
    for alert in alerts {
        for part in ["expr:", "severity:", "summary:", "description:"] {
            assert!(alert.contains(part), "no {part} in {alert}");
        }
        let name = alert.lines().next().unwrap_or_default();
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is not tested");
    }
}

fn judged(script: impl FnOnce(&TenantMetrics, &Set)) -> Option<(&'static str, String)> {
    let (metrics, clock) = metrics(true);
    let health = Health::new(metrics.clone(), Thresholds::default());
    script(&metrics.tenant("acme", "x"), &clock);
    let report = health.report();
    assert_eq!(report.stuck, report.named.len());
    assert_eq!(report.status == "ok", report.stuck == 0);
    report.named.into_iter().next().map(|stuck| (stuck.reason, stuck.why))
}

#[test]
fn a_poll_that_runs_for_more_than_twice_its_call_time_is_stuck() {
    let run = |time| {
        judged(move |tenant, clock| {
            tenant.call_time(MINUTE);
            tenant.running(true);
            clock.on(time);
        })
    };
    assert_eq!(run(2 * MINUTE), None);
    let (reason, why) = run(3 * MINUTE).expect("it is stuck");
    assert_eq!((reason, &*why), ("running", "a poll has been running for 3 min, and a call may take 60 s"));
}

#[test]
fn a_tenant_that_is_due_and_not_polled_is_stuck_after_five_minutes_and_twice_its_wait() {
    let due = |wait: Duration, late: Duration| {
        judged(move |tenant, clock| {
            tenant.scheduled(wait);
            clock.on(wait + late);
        })
        .map(|(reason, _)| reason)
    };
    assert_eq!(due(MINUTE, 5 * MINUTE), None);
    assert_eq!(due(MINUTE, 6 * MINUTE), Some("overdue"));
    assert_eq!(due(HOUR, 2 * HOUR), None);
    assert_eq!(due(HOUR, 2 * HOUR + MINUTE), Some("overdue"));
    assert_eq!(
        judged(|_, clock| clock.on(6 * MINUTE)).map(|(reason, _)| reason),
        Some("overdue"),
        "never polled"
    );
}

#[test]
fn a_tenant_whose_output_has_failed_for_a_quarter_of_an_hour_is_stuck() {
    let down = |recovers: bool, time| {
        judged(move |tenant, clock| {
            tenant.running(true);
            tenant.running(false);
            tenant.output_failed();
            clock.on(time);
            tenant.output_failed();
            if recovers {
                tenant.output_recovered();
            }
        })
        .map(|(reason, _)| reason)
    };
    assert_eq!(down(false, 15 * MINUTE), None);
    assert_eq!(down(false, 16 * MINUTE), Some("output"));
    assert_eq!(down(true, 16 * MINUTE), None);
}

#[test]
fn a_tenant_whose_state_cannot_be_saved_is_stuck_until_it_can() {
    assert_eq!(judged(|tenant, _| tenant.save_failed()).map(|(reason, _)| reason), Some("state"));
    let saved = judged(|tenant, _| {
        tenant.save_failed();
        tenant.saved(1);
    });
    assert_eq!(saved, None);
}

#[test]
fn a_tenant_that_cannot_sign_in_for_an_hour_is_stuck_and_one_that_waits_for_the_network_is_not() {
    let failing = |kind, time, then: Option<ProblemKind>| {
        judged(move |tenant, clock| {
            tenant.poll_failed(&failure(kind));
            clock.on(time);
            if let Some(then) = then {
                tenant.poll_failed_with(then);
            }
            tenant.scheduled(Duration::ZERO);
        })
    };
    assert_eq!(failing(ProblemKind::Auth, HOUR, None), None);
    let (reason, why) = failing(ProblemKind::Auth, 2 * HOUR, None).expect("it is stuck");
    assert_eq!(
        (reason, &*why),
        ("failing", "its polls have failed for 2 h, last with a problem of kind auth")
    );
    assert!(failing(ProblemKind::Config, 2 * HOUR, Some(ProblemKind::Transient)).is_some());
    assert_eq!(failing(ProblemKind::Transient, 2 * HOUR, None), None);
    let again = judged(|tenant, clock| {
        tenant.poll_failed(&failure(ProblemKind::Auth));
        clock.on(2 * HOUR);
        tenant.polled(&Batch::default(), Duration::ZERO);
        tenant.scheduled(Duration::ZERO);
    });
    assert_eq!(again, None);
}

#[test]
fn a_paused_tenant_is_not_stuck_and_one_that_goes_on_begins_anew() {
    let paused = |goes_on: bool| {
        judged(move |tenant, clock| {
            tenant.poll_failed(&failure(ProblemKind::Auth));
            tenant.output_failed();
            tenant.paused(true);
            clock.on(24 * HOUR);
            if goes_on {
                tenant.paused(false);
            }
        })
    };
    assert_eq!(paused(false), None);
    assert_eq!(paused(true), None);
}

#[test]
fn an_answer_names_a_hundred_tenants_at_most_and_counts_them_all() {
    let (metrics, clock) = metrics(true);
    (0..250).for_each(|number| drop(metrics.tenant(&format!("t{number:03}"), "x")));
    clock.on(HOUR);
    let report = Health::new(metrics, Thresholds::default()).report();
    assert_eq!((report.tenants, report.stuck, report.named.len()), (250, 250, 100));
}

#[test]
fn the_host_is_ready_once_every_tenant_is_settled_and_until_it_drains() {
    let health = Health::new(metrics(true).0, Thresholds::default());
    assert_eq!(health.ready(), Err("the folder is not read yet"));
    health.folder_read(["acme", "globex"].map(str::to_owned));
    health.settled("acme");
    // Said again, or of one that came later, it counts for nobody else.
    health.settled("acme");
    health.settled("initech");
    assert_eq!(health.ready(), Err("tenants are being opened"));
    health.settled("globex");
    assert_eq!(health.ready(), Ok(()));
    health.draining();
    assert_eq!(health.ready(), Err("draining"));
}

async fn started(limits: ServerLimits) -> (Metrics, Arc<Set>, Health, Server) {
    let (metrics, clock) = metrics(true);
    let health = Health::new(metrics.clone(), Thresholds::default());
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(address, metrics.clone(), health.clone(), limits).await.expect("a port");
    (metrics, clock, health, server)
}

async fn ask(address: std::net::SocketAddr, line: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer[9..12].parse().expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

#[tokio::test]
async fn three_addresses_are_answered_and_nothing_else() {
    let (metrics, clock, health, server) = started(ServerLimits::default()).await;
    let address = server.address();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let tenant = metrics.tenant("acme", "x");
    let (status, body) = ask(address, "GET /metrics").await;
    assert_eq!((status, Scrape::read(&body).get("output_up", &[("tenant", "acme")])), (200, Some(1.0)));
    assert_eq!(
        ask(address, "GET /healthz").await,
        (200, r#"{"status":"ok","tenants":1,"stuck":0,"named":[]}"#.into())
    );
    tenant.scheduled(Duration::ZERO);
    clock.on(10 * MINUTE);
    let (status, body) = ask(address, "GET /healthz?x=1").await;
    assert_eq!(status, 503);
    assert!(
        body.contains(r#"{"tenant":"acme","reason":"overdue","why":"a poll has been due for 10 min"#),
        "{body}"
    );
    assert_eq!(ask(address, "GET /readyz").await.0, 503);
    health.folder_read([]);
    assert_eq!(ask(address, "GET /readyz").await, (200, r#"{"status":"ready"}"#.into()));
    for line in ["GET /", "POST /metrics", "GET /metrics/", "GET /../etc/passwd", "DELETE /healthz"] {
        assert_eq!(ask(address, line).await.0, 404, "{line}");
    }
    stop.cancel();
    running.await.expect("an end");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_holds_up_nobody_and_is_cut_off() {
    let (_, _, _, server) = started(ServerLimits::default()).await;
    let address = server.address();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let mut slow = TcpStream::connect(address).await.expect("a connection");
    slow.write_all(b"GET /metrics HTTP/1.1\r\nx-slow: ").await.expect("sent");
    assert_eq!(ask(address, "GET /metrics").await.0, 200);
    // From here on time passes whenever nobody has anything to do.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.expect("an end");
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}", began.elapsed());
    assert!(!String::from_utf8_lossy(&rest).contains("source_host"));
    stop.cancel();
    running.await.expect("an end");
}

#[tokio::test]
async fn who_finds_no_permit_waits_until_another_goes() {
    let mut limits = ServerLimits::default();
    limits.connections = 1;
    let (_, _, _, server) = started(limits).await;
    let address = server.address();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let mut first = TcpStream::connect(address).await.expect("a connection");
    first.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut head = [0; 12];
    first.read_exact(&mut head).await.expect("it is the one that is served");
    let second = tokio::spawn(async move { ask(address, "GET /metrics").await });
    // It stays with the first for as long as that one does: a further answer comes to it and to none else.
    first.write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut seen = String::new();
    while !seen.contains("404") {
        let mut bytes = [0; 256];
        let count = first.read(&mut bytes).await.expect("bytes");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.expect("an answer").0, 200);
    stop.cancel();
    running.await.expect("an end");
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_a_stopped_server() {
    let (_, _, _, server) = started(ServerLimits::default()).await;
    let address = server.address();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(stop.clone()));
    let mut idle = TcpStream::connect(address).await.expect("a connection");
    assert_eq!(ask(address, "GET /nothing").await.0, 404);
    tokio::time::pause();
    stop.cancel();
    running.await.expect("an end");
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_address_in_use_is_said_in_words() {
    let (metrics, _, health, server) = started(ServerLimits::default()).await;
    let error =
        Server::bind(server.address(), metrics, health, ServerLimits::default()).await.expect_err("taken");
    assert!(matches!(error, ServerError::InUse(_)));
    assert!(error.to_string().contains("another program does"), "{error}");
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn an_audit_line_is_one_line_without_a_query_whatever_the_path_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.ndjson");
    let audit = Audit::to_file(&path).expect("a file");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let tenant = audit.tenant("ac\nme", "sha256:00");
    let long = "/".to_owned() + &"x".repeat(1 << 20);
    let paths =
        ["/a?token=secret", "/a\r\n{\"forged\":1}#secret", "/\"\\\u{2028}\u{1b}[2J\0", "?secret", "", &long];
    for path in paths {
        let mut record = request(Some(200), Some("it\nbroke"), true);
        record.path = path;
        tenant.request(&record);
    }
    audit.flush();
    let text = fs::read_to_string(&path).expect("a file");
    assert!(
        !text.contains("secret") && !text.contains("token") && !text.contains(['\u{1b}', '\u{2028}', '\r'])
    );
    assert!(text.len() < 10_000);
    let lines = lines(&path);
    assert_eq!(lines.len(), paths.len());
    let mut first = lines[0].clone();
    let time = first["time"].take();
    assert!(time.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{time}");
    let expected = serde_json::json!({
        "time": null, "tenant": "ac me", "component": "sha256:00", "method": "GET", "scheme": "https",
        "host": "a.example", "path": "/a", "status": 200, "denied": true, "error": "it broke", "bytes_sent": 10,
        "bytes_received": 100, "ms": 200,
    });
    assert_eq!(first, expected);
}

#[test]
fn a_trail_that_was_moved_away_is_begun_anew_and_a_torn_line_is_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, moved) = (folder.path().join("audit.ndjson"), folder.path().join("audit.1"));
    fs::write(&path, "{\"torn\":").expect("written");
    let audit = Audit::to_file(&path).expect("a file");
    let tenant = audit.tenant("acme", "x");
    tenant.request(&request(Some(200), None, false));
    audit.flush();
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.starts_with("{\"torn\":\n{\"time\""), "{text}");
    fs::rename(&path, &moved).expect("moved");
    tenant.request(&request(Some(201), None, false));
    audit.flush();
    assert_eq!(lines(&path)[0]["status"], 201);
    fs::remove_file(&path).expect("removed");
    audit.reopen();
    tenant.request(&request(Some(202), None, false));
    audit.flush();
    assert_eq!(lines(&path)[0]["status"], 202);
    assert_eq!(audit.dropped(), 0);
}

#[test]
fn a_trail_that_is_no_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(Audit::to_file(folder.path()).is_err());
    assert!(Audit::to_file("/dev/null").is_err());
}

#[test]
fn several_observers_are_told_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.ndjson");
    let (metrics, _) = metrics(true);
    let audit = Audit::to_file(&path).expect("a file");
    metrics.watch_audit(&audit);
    let tenant = metrics.tenant("acme", "x");
    let all = Observers::new([Arc::clone(&tenant) as Arc<dyn Observer>, audit.tenant("acme", "x")]);
    all.request(&request(Some(404), None, false));
    all.limit("requests");
    all.call(&CallRecord::default());
    audit.flush();
    assert_eq!(lines(&path).len(), 1);
    let scrape = Scrape::read(&metrics.scrape());
    assert_eq!(scrape.get("requests_total", &[("tenant", "acme"), ("status", "4xx")]), Some(1.0));
    assert_eq!(scrape.get("limit_refusals_total", &[("tenant", "acme"), ("limit", "requests")]), Some(1.0));
    assert_eq!(scrape.get("calls_total", &[("tenant", "acme")]), Some(1.0));
    assert_eq!(scrape.get("audit_lines_dropped_total", &[]), Some(0.0));
}
