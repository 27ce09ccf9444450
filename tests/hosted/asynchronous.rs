//! The component for WASI 0.3 beside the one for 0.2: the same events and states, byte for byte, whichever of them goes on with the
//! state of the other; and the same limits for one that attacks.

use crate::hostile::{Server, attacking_by, limits, resident};
use chrono::{DateTime, TimeZone as _, Utc};
use e2e::{
    hosted::{component_p3_path, component_path, load},
    org::TestOrg,
    truth::Delivered,
};
use salesforce_sim::{Fault, FaultAction, Files, Interval, OrgSettings, Rows, Workload};
use serde_json::{Value, json};
use source_host::{
    Admission, Clock, Egress, Error, Following, Limits, Options, Plugin, ProblemKind, Runtime, Source,
};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{LazyLock, atomic::Ordering},
    time::{Duration, SystemTime},
};

static OLD: LazyLock<Plugin> = LazyLock::new(|| load(&component_path()).expect("the component"));
static NEW: LazyLock<Plugin> = LazyLock::new(|| load(&component_p3_path()).expect("the component"));
static HOSTILE: LazyLock<Plugin> = LazyLock::new(|| {
    load(&component_path().with_file_name("hostile-source-p3.wasm")).expect("the component")
});

/// What a state says of the time is the same in each run: the clocks of the host and of the org stand still.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 6, 1, 12, 30, 0).single().expect("a time")
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::from_millis(now().timestamp_millis().unsigned_abs())
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

async fn org() -> TestOrg {
    let workload = Workload { hours: 3, rows: Rows::Total(3_000), ..Workload::default() };
    let event_types = ["Login", "Logout", "ApexExecution"].map(String::from).into();
    let files = Files { event_types, ..Files::default() };
    let settings = OrgSettings { workload, clock_fixed_at: Some(now()), files, ..OrgSettings::default() };
    TestOrg::start(settings).await.expect("an org")
}

fn config(org: &TestOrg) -> String {
    let mut config = org.source().expect("a configuration");
    config["batch"] = json!({"max_events": 170});
    config["streams"] = json!({
        "login": {"event_log_file": {"log_file_interval": "hourly"}, "object": {}},
        "logout": {"object": {}},
        "apex": {"event_log_file": {"log_file_interval": "hourly"}},
        "setupaudittrail": {"object": {}},
    });
    config.to_string()
}

async fn open(plugin: &Plugin, org: &TestOrg) -> Source {
    let egress = Egress::allow([org.authority()]).expect("a rule");
    plugin.open(Options::new().egress(egress).clock(Still)).await.expect("an instance")
}

/// What came of polling until nothing was left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    events: Vec<String>,
    states: Vec<String>,
    next_polls: Vec<u32>,
    requests: u32,
    token_requests: u32,
    rows: u32,
}

/// Polls with one of the plugins after the other, each with the state of the one before; with one alone, it stays.
async fn collect(org: &TestOrg, plugins: &[&Plugin]) -> Run {
    let (mut run, mut source) = (Run::default(), None);
    for plugin in plugins.iter().cycle() {
        let mut one = match source.take() {
            Some(source) if plugins.len() == 1 => source,
            _ => {
                let mut source = open(plugin, org).await;
                source.configure(&config(org)).await.expect("configured");
                source
            }
        };
        let mut batch = one.poll(run.states.last().map(String::as_str)).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        run.events.append(&mut batch.events);
        run.states.push(batch.state.clone());
        run.next_polls.push(batch.next_poll_ms);
        run.requests += batch.stats.requests;
        run.token_requests += batch.stats.token_requests;
        run.rows += batch.stats.rows_read;
        if batch.next_poll_ms > 0 {
            break;
        }
        source = Some(one);
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn both_components_deliver_the_same_events_and_states_and_either_goes_on_with_the_state_of_the_other() {
    let org = org().await;
    let old = collect(&org, &[&OLD]).await;
    let new = collect(&org, &[&NEW]).await;
    println!("{} events in {} polls, {} requests", old.events.len(), old.states.len(), old.requests);
    assert!(old.states.len() > 10 && old.events.len() > 2_000, "{} polls", old.states.len());
    assert_eq!(old.token_requests, 1);
    assert!(old == new, "the components deliver different events, states or counts");
    // An instance that begins anew takes turns anew as well, so batches are others; what stands in all of them is not.
    let (again, mixed) = (collect(&org, &[&OLD, &OLD]).await, collect(&org, &[&OLD, &NEW]).await);
    assert!(again == mixed, "a component that goes on with the state of the other does not as its own would");
    let sorted = |run: &Run| run.events.iter().cloned().collect::<BTreeSet<_>>();
    assert!(sorted(&old) == sorted(&mixed), "events differ after restarts");
    for stream in ["login", "logout", "apex", "setupaudittrail"] {
        let of = format!("salesforce.{stream}");
        assert!(old.events.iter().any(|event| event.contains(&of)), "no event of {stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_renew_a_session_that_has_ended_and_lose_nothing() {
    let org = org().await;
    let expected = collect(&org, &[&OLD]).await;
    let mut runs = Vec::new();
    for plugin in [&*OLD, &*NEW] {
        let action = FaultAction::RevokeSessions;
        org.simulator.org().plan_fault(Fault { path_contains: String::from("/LogFile"), nth: 3, action });
        runs.push(collect(&org, &[plugin]).await);
        org.simulator.org().clear_faults();
    }
    assert_eq!(runs[0].token_requests, 2);
    assert!(runs[0] == runs[1], "the components deliver different events, states or counts");
    assert!(runs[0].events == expected.events, "events differ where a session has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_either_saves_the_other_a_sign_in() {
    let org = org().await;
    for (from, to) in [(&*OLD, &*NEW), (&*NEW, &*OLD)] {
        let mut source = open(from, &org).await;
        source.configure(&config(&org)).await.expect("configured");
        let state = source.poll(None).await.expect("a batch").state.clone();
        let session = source.suspend().await.expect("suspended");
        let mut other = open(to, &org).await;
        other.revive(&config(&org), session).await.expect("revived");
        let batch = other.poll(Some(&state)).await.expect("a batch");
        assert_eq!((batch.stats.token_requests, batch.events.len()), (0, 170));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_say_the_same_of_themselves_of_a_configuration_of_an_org_and_of_a_state() {
    let org = org().await;
    let (mut old, mut new) = (open(&OLD, &org).await, open(&NEW, &org).await);
    let described = old.describe().await.expect("a description");
    assert_eq!(json!(described), json!(new.describe().await.expect("a description")));
    assert_eq!(OLD.contract(), "pipeline:source/source@0.1.0");
    assert_eq!(NEW.contract(), "pipeline:source/async-source@0.1.0");

    for wrong in [
        json!({}),
        json!({"instance_url": "https://acme.lightning.force.com", "auth": {"flow": "jwt-barer"}, "streems": {}}),
        json!("text"),
    ] {
        let error = old.configure(&wrong.to_string()).await.expect_err("a wrong configuration").to_string();
        assert_eq!(new.configure(&wrong.to_string()).await.expect_err("the same").to_string(), error);
    }
    let unconfigured = old.poll(None).await.expect_err("not configured").to_string();
    assert_eq!(new.poll(None).await.expect_err("not configured").to_string(), unconfigured);

    let grants = old.configure(&config(&org)).await.expect("configured");
    assert_eq!(json!(grants), json!(new.configure(&config(&org)).await.expect("configured")));
    let (found, same) = (old.check().await.expect("findings"), new.check().await.expect("findings"));
    assert!(found.len() > 3, "{found:?}");
    // How much of the allowance is used is another number each time.
    let of_the_org = |findings: Vec<source_host::Finding>| {
        findings
            .into_iter()
            .filter(|finding| finding.name != "api-quota")
            .map(|one| json!(one))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_the_org(found), of_the_org(same));
    for state in ["", "{}", r#"{"format":"salesforce-source/state","version":99}"#] {
        let error = old.poll(Some(state)).await.expect_err("no state").to_string();
        assert_eq!(new.poll(Some(state)).await.expect_err("no state").to_string(), error);
        assert_eq!(
            old.is_complete(state).await.expect("an answer"),
            new.is_complete(state).await.expect("an answer")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_and_an_unreachable_org_are_told_in_the_same_words() {
    let org = org().await;
    let mut said = Vec::new();
    for plugin in [&*OLD, &*NEW] {
        let mut denied = plugin.open(Options::new().clock(Still)).await.expect("an instance");
        denied.configure(&config(&org)).await.expect("configured");
        let denied = denied.poll(None).await.expect_err("denied").to_string();
        let mut closed: Value = serde_json::from_str(&config(&org)).expect("a configuration");
        closed["instance_url"] = json!("http://127.0.0.1:9");
        let egress = Egress::allow(["127.0.0.1:9"]).expect("a rule");
        let mut closed_org =
            plugin.open(Options::new().egress(egress).clock(Still)).await.expect("an instance");
        closed_org.configure(&closed.to_string()).await.expect("configured");
        said.push((denied, closed_org.poll(None).await.expect_err("unreachable").to_string()));
    }
    assert_eq!(said[0], said[1]);
    assert!(
        said[0].0.contains("the host does not allow requests") && said[0].1.contains("refused"),
        "{:?}",
        said[0]
    );
}

/// The events that `source-host run` writes with a component.
async fn run(org: &TestOrg, component: &Path, more: &str) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let config = org.write_config(folder.path(), output, more).expect("a configuration");
    let text = fs::read_to_string(&config).expect("the configuration");
    let other = fs::canonicalize(component).expect("the component; run `make build`");
    let line = |line: &str| match line.strip_prefix("component = ") {
        Some(_) => format!("component = {other:?}\n"),
        None => format!("{line}\n"),
    };
    fs::write(&config, text.lines().map(line).collect::<String>()).expect("written");
    let mut host = crate::host();
    host.arg("run").arg(config).args(["--until-caught-up", "-q"]);
    let ended =
        tokio::task::spawn_blocking(move || host.output()).await.expect("a thread").expect("the host");
    if !ended.status.success() {
        return Err(String::from_utf8_lossy(&ended.stderr).into_owned());
    }
    Ok(fs::read(folder.path().join("events.ndjson")).expect("events"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_runs_a_component_for_wasi_0_3_where_it_is_told_to_and_delivers_the_same() {
    let workload = Workload { hours: 3, rows: Rows::Total(6_000), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org");
    let refused = run(&org, &component_p3_path(), "").await.expect_err("not told to");
    assert!(
        refused.contains("it is a component for WASI 0.3") && refused.contains("`wasi_0_3`"),
        "{refused}"
    );
    let old = run(&org, &component_path(), "").await.expect("events");
    let new = run(&org, &component_p3_path(), "[admission]\nwasi_0_3 = true\n").await.expect("events");
    assert!(old == new, "the components deliver different events");
    let mut delivered = Delivered::default();
    delivered.read(&new[..]).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
}

#[test]
fn what_a_component_for_wasi_0_3_may_do_is_shown_in_the_same_words() {
    let shown = |component: &Path| {
        let shown = crate::host().arg("inspect").arg(component).arg("--json").output().expect("the program");
        serde_json::from_slice::<Value>(&shown.stdout).expect("JSON")
    };
    let (old, new) = (shown(&component_path()), shown(&component_p3_path()));
    assert_eq!(old["permissions"], new["permissions"]);
    assert_eq!(new["permissions"].as_array().map(Vec::len), Some(3));
    assert_eq!(new["contract"], "pipeline:source/async-source@0.1.0");
}

#[tokio::test]
async fn a_component_of_another_version_or_with_other_imports_gets_a_sentence() {
    let runtime = Runtime::new().expect("a runtime");
    let mut admission = Admission::default();
    admission.wasi_0_3 = true;
    let refusal = async |text: &str| {
        let content = test_guests::from_text(text).expect("a component");
        runtime.load_bytes("c.wasm", content, &admission).await.expect_err(text).to_string()
    };
    let exports = |version: &str| {
        format!(r#"(instance $i) (export "pipeline:source/async-source@{version}" (instance $i))"#)
    };
    let said = refusal(&format!("(component {})", exports("0.2.0"))).await;
    assert!(said.contains("it speaks `pipeline:source/async-source@0.2.0`"), "{said}");
    let said = refusal(&format!("(component {})", exports("0.1.0"))).await;
    assert!(said.contains("it does not fit the contract: there is no `describe`"), "{said}");
    for import in
        ["wasi:http/outgoing-handler@0.2.0", "wasi:filesystem/types@0.3.0", "wasi:http/client@0.4.0"]
    {
        let text = format!(r#"(component (import "{import}" (instance)) {})"#, exports("0.1.0"));
        let said = refusal(&text).await;
        assert!(said.contains(&format!("it imports `{import}`")) && said.contains("at 0.3"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_attacks_its_host_by_wasi_0_3_is_stopped_by_the_same_limits() {
    let server = Server::start().await.expect("a server");
    for (attack, expected) in [
        ("spin", "cpu"),
        ("yield", "cpu"),
        ("wait", "time"),
        ("trap", "trap"),
        ("grow", "memory"),
        ("many-streams", "handles"),
        // Those that are cancelled leave handles behind in the component.
        ("dropped-requests", "handles"),
        ("large-batch", "answer"),
    ] {
        let bounds = limits(|limits| {
            limits.cpu_time = Duration::from_millis(300);
            limits.call_time = Duration::from_secs(3);
            limits.batch_bytes = 4 << 20;
        });
        for follows in [false, true] {
            let (mut source, _) = attacking_by(&HOSTILE, attack, &server.authority, bounds.clone()).await;
            let before = resident();
            let error = if follows {
                let mut following = source.follow(None).await.expect("a stream");
                let first = following.next().await.expect("a batch").map(|batch| batch.state);
                assert_eq!(first.as_deref(), Some("first"));
                following.next().await.expect_err(attack)
            } else {
                source.poll(None).await.expect_err(attack)
            };
            let fits = match expected {
                "cpu" => matches!(error, Error::CpuTime { .. }),
                "time" => matches!(error, Error::Timeout { .. }),
                "memory" => matches!(error, Error::Memory { .. }),
                "answer" => matches!(error, Error::Refused(_)),
                "handles" => error.to_string().contains("handle limit"),
                _ => matches!(error, Error::Trap { .. }),
            };
            assert!(fits, "{attack}, follows: {follows}: {error:?}");
            assert!(server.most.load(Ordering::SeqCst) <= 9, "{attack}");
            if let (Some(before), Some(after)) = (before, resident()) {
                assert!(after.saturating_sub(before) < 100 << 20, "{attack}: {before} to {after}");
            }
            // Whoever opens a new instance begins anew.
            source.renew().await.expect("another instance");
            source.configure(&json!({"authority": server.authority}).to_string()).await.expect("configured");
            assert_eq!(source.poll(None).await.expect("a batch").events.len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_sends_by_wasi_0_3_passes_the_same_gate_and_the_same_bounds() {
    let server = Server::start().await.expect("a server");
    for (attack, state, limit) in [
        ("denied-requests", "denied 300", None),
        ("many-requests", "done 2000", None),
        ("requests-at-once", "refused 32", Some("connections")),
        ("endless-body", "HttpResponseBodySize", Some("response-bytes")),
        ("large-request", "HttpProtocolError", Some("request-bytes")),
        ("large-headers", "HttpResponseHeaderSectionSize", Some("response-headers")),
        ("silent-server", "HttpResponseTimeout", Some("request-time")),
    ] {
        let bounds = limits(|limits| {
            limits.requests_per_second = 100_000;
            limits.received_bytes = 20_000_000;
            limits.request_bytes = 1_000_000;
            if attack == "silent-server" {
                limits.request_time = Duration::from_millis(300);
            }
        });
        let (mut source, told) = attacking_by(&HOSTILE, attack, &server.authority, bounds).await;
        let before = resident();
        let batch = source.poll(None).await.expect(attack);
        assert!(batch.state.contains(state), "{attack}: {}", batch.state);
        assert!(limit.is_none_or(|limit| told.has(limit)), "{attack}");
        let denied = if attack == "denied-requests" { 300 } else { 0 };
        assert_eq!(told.denied.load(Ordering::Relaxed), denied, "{attack}");
        assert!(server.most.load(Ordering::SeqCst) <= 9, "{attack}");
        if let (Some(before), Some(after)) = (before, resident()) {
            assert!(after.saturating_sub(before) < 100 << 20, "{attack}: {before} to {after}");
        }
    }
}

/// As `collect` with one plugin, by its stream.
async fn follow(org: &TestOrg) -> Run {
    let mut run = Run::default();
    let mut source = open(&NEW, org).await;
    source.configure(&config(org)).await.expect("configured");
    let mut following = source.follow(None).await.expect("a stream");
    while run.next_polls.last().is_none_or(|wait| *wait == 0) {
        let mut batch = following.next().await.expect("a batch").expect("more");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        run.events.append(&mut batch.events);
        run.states.push(batch.state.clone());
        run.next_polls.push(batch.next_poll_ms);
        run.requests += batch.stats.requests;
        run.token_requests += batch.stats.token_requests;
        run.rows += batch.stats.rows_read;
    }
    drop(following);
    assert!(!source.is_usable(), "what is left of a stream is gone with it");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_followed_delivers_what_one_that_is_polled_does() {
    let org = org().await;
    let (polled, followed) = (collect(&org, &[&NEW]).await, follow(&org).await);
    assert!(polled.states.len() > 10, "{} polls", polled.states.len());
    assert!(polled == followed, "the stream delivers other events, states or counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_where_the_source_does_and_where_somebody_has_to_act() {
    let org = org().await;
    let mut source = open(&NEW, &org).await;
    source.configure(&config(&org)).await.expect("configured");
    let (day, now) = (Duration::from_secs(24 * 3600), SystemTime::UNIX_EPOCH + Clock::now(&Still));
    source.confine(now - 30 * day..now - 20 * day).await.expect("a range");
    let mut following = source.follow(None).await.expect("a stream");
    let mut batches = 0;
    while let Some(batch) = following.next().await.expect("a batch") {
        assert!(batch.events.is_empty());
        batches += 1;
    }
    assert!(batches > 0);
    drop(following);
    // Nothing is allowed: that is the operator's to mend.
    let mut source = NEW.open(Options::new().clock(Still)).await.expect("an instance");
    source.configure(&config(&org)).await.expect("configured");
    let mut following = source.follow(None).await.expect("a stream");
    let Err(Error::Failure(failure)) = following.next().await else { panic!("no failure") };
    assert_eq!(failure.problem.kind, ProblemKind::Config, "{}", failure.problem);
    assert!(following.next().await.expect("an end").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_for_wasi_0_2_cannot_be_followed_and_goes_on_being_polled() {
    let org = org().await;
    let mut source = open(&OLD, &org).await;
    source.configure(&config(&org)).await.expect("configured");
    let error = source.follow(None).await.expect_err("no stream").to_string();
    assert_eq!(error, "the component has no `follow`");
    assert!(!source.poll(None).await.expect("a batch").events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_none_holds_the_component_up_whatever_it_writes_at_once() {
    let server = Server::start().await.expect("a server");
    let (mut source, _) = attacking_by(&HOSTILE, "many-at-once", &server.authority, Limits::default()).await;
    let mut following = source.follow(None).await.expect("a stream");
    let states =
        async |following: &mut Following<'_>| following.next().await.expect("a batch").expect("more").state;
    assert_eq!(states(&mut following).await, "first");
    for _ in 0..1_000 {
        assert_eq!(states(&mut following).await, "{}");
    }
    // Whoever gives up half-way is answered all the same.
    let next = tokio::time::timeout(Duration::ZERO, following.next()).await;
    assert!(next.is_err() || next.is_ok_and(|next| next.is_ok()));
    drop(following);
    source.renew().await.expect("another instance");
}
