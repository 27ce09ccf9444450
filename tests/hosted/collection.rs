//! Whole collections: through kills, in little memory, with sessions that end.

use e2e::{org::TestOrg, random::Random, truth::Delivered};
use salesforce_sim::{Fault, FaultAction, Interval, OrgSettings, PlannedFault, Rows, Workload};
use source_host::{Limits, Source};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

fn settings(hours: u32, rows: Rows) -> OrgSettings {
    OrgSettings { workload: Workload { hours, rows, ..Workload::default() }, ..OrgSettings::default() }
}

async fn open(org: &TestOrg, limits: Limits, more: serde_json::Value) -> Source {
    org.open(limits, more).await.expect("an instance with a valid configuration")
}

fn host(config: &Path) -> Command {
    let mut host = crate::host();
    host.arg("run").arg(config).args(["--until-caught-up", "-q"]);
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_at_random_moments_loses_nothing() {
    const KILLS: u64 = 10;
    const ROWS: u64 = 60_000;
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let org = TestOrg::start(settings(24, Rows::Total(ROWS))).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let batch = "[source.batch]\nmax_events = 700\n";
    let file = "kind = \"file\"\npath = \"events.ndjson\"";
    let mut delivered = Delivered::default();
    let mut hit = 0;
    for kill in 0..KILLS {
        if kill % 2 == 0 {
            // The reader of its standard output has seen so many lines.
            let config =
                org.write_config(folder.path(), "kind = \"stdout\"", batch).expect("a configuration");
            let mut child = host(&config).stdout(Stdio::piped()).spawn().expect("the host");
            let mut output = BufReader::new(child.stdout.take().expect("its output"));
            let mut line = String::new();
            for _ in 0..random.below(ROWS / (2 * KILLS)) {
                line.clear();
                if output.read_line(&mut line).expect("a line") == 0 {
                    break;
                }
                delivered.add(line.trim_end()).expect("an event");
            }
            hit += u64::from(end(&mut child));
            // What was written before the kill arrives as well, up to a line that was cut.
            let mut rest = Vec::new();
            output.read_to_end(&mut rest).expect("the rest");
            delivered.read(&rest[..]).expect("events");
        } else {
            // The org has sent so much to it, or has got so many requests of it.
            let config = org.write_config(folder.path(), file, batch).expect("a configuration");
            let mut child = host(&config).stdout(Stdio::null()).spawn().expect("the host");
            let requests = org.simulator.org().requests();
            if random.below(2) == 0 {
                let sent = requests.totals().body_bytes;
                requests.wait_for_body_bytes(sent + 1 + random.below(300_000), "").await;
            } else {
                let seen = requests.count("");
                requests
                    .wait_for_requests(seen + 1 + usize::try_from(random.below(3)).expect("few"), "")
                    .await;
            }
            hit += u64::from(end(&mut child));
        }
    }
    assert_eq!(hit, KILLS, "some kills came after the end");
    let config = org.write_config(folder.path(), file, batch).expect("a configuration");
    assert!(host(&config).status().expect("the host").success());
    delivered.read(File::open(folder.path().join("events.ndjson")).expect("events")).expect("events");

    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    println!("{hit} kills hit; {comparison}");
    assert!(comparison.is_complete(), "{comparison}");
    assert_eq!(delivered.changed(), None, "an event was delivered again with other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_go_on_says_so_and_the_program_goes_on_with_the_others() {
    const REFUSALS: [(&str, u16, &str); 3] = [
        ("LoginHistory", 404, "NOT_FOUND"),
        ("ReportEvent", 400, "INVALID_FIELD"),
        ("ApiEvent", 400, "MALFORMED_QUERY"),
    ];
    let org = TestOrg::start(settings(1, Rows::Total(20))).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let own = REFUSALS.map(|(object, ..)| {
        format!(
            "[source.streams.{}.object]\nname = \"{object}\"\ninterval = \"10s\"\n",
            object.to_lowercase()
        )
    });
    let streams = format!("[source.streams.login.object]\ninterval = \"25s\"\n{}", own.concat());
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let config = org.write_config_of(&streams, folder.path(), output, "").expect("a configuration");
    let log = File::create(folder.path().join("log")).expect("a file");
    let mut child = crate::host().arg("run").arg(&config).stderr(log).spawn().expect("the host");
    let asked = |object: &str| format!("FROM+{object}+");
    let requests = org.simulator.org().requests();
    let more = async |object: &str| {
        let of = asked(object);
        let more = requests.wait_for_requests(requests.count(&of) + 1, &of);
        tokio::time::timeout(Duration::from_secs(120), more).await.expect("it goes on");
    };
    more("LoginEvent").await;
    // From now on each query of the others is refused; they are due before LoginEvent is, in polls of their own.
    for (object, status, code) in REFUSALS {
        let body = format!(r#"[{{"errorCode":"{code}","message":"no"}}]"#);
        org.simulator.org().plan_fault(PlannedFault::every(asked(object), FaultAction::answer(status, body)));
    }
    more("LoginHistory").await;
    more("LoginEvent").await;
    more("LoginEvent").await;
    assert!(end(&mut child), "it ended by itself");
    let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
    for (_, _, code) in REFUSALS {
        assert!(log.contains(code), "{code} is not in the log:\n{log}");
    }
}

/// Kills a process. True if it was still running.
fn end(child: &mut Child) -> bool {
    let running = child.try_wait().expect("its status").is_none();
    child.kill().expect("a kill");
    child.wait().expect("its end");
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_300_megabytes_is_collected_in_8_mebibytes() {
    let org = TestOrg::start(settings(1, Rows::OneFileOfBytes(300_000_000))).await.expect("an org");
    let mut limits = Limits::default();
    limits.memory = 8 << 20;
    let mut source = open(&org, limits, serde_json::json!({})).await;
    let mut delivered = Delivered::default();
    let (mut state, mut bytes, mut polls) = (None, 0u64, 0);
    loop {
        let batch = source.poll(state.as_deref()).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        bytes += u64::from(batch.stats.bytes_read);
        polls += 1;
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    println!(
        "{bytes} bytes in {polls} polls, peak memory {}; {comparison}",
        source_host::bytes(source.peak_memory())
    );
    assert!(bytes > 295_000_000, "{bytes}");
    assert!(comparison.is_clean(), "{comparison}");
    assert!(source.peak_memory() <= 8 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_poll_may_be_on_another_instance_and_the_events_stay_the_same() {
    let org = TestOrg::start(settings(3, Rows::Total(2000))).await.expect("an org");
    let more = serde_json::json!({"batch": {"max_events": 150}});
    let mut delivered = Delivered::default();
    let mut state: Option<String> = None;
    loop {
        let mut source = open(&org, Limits::default(), more.clone()).await;
        let batch = source.poll(state.as_deref()).await.expect("a batch");
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_and_downloads_that_are_cut_leave_no_trace_in_the_events() {
    let org = TestOrg::start(settings(4, Rows::Total(4000))).await.expect("an org");
    let fault = |path: &str, nth, action| Fault { path_contains: path.to_owned(), nth, action };
    for (nth, action) in [
        (1, FaultAction::RevokeSessions),
        (3, FaultAction::CutConnection { after: 100_000 }),
        (4, FaultAction::CutSilently { after: 50_000 }),
    ] {
        org.simulator.org().plan_fault(fault("/LogFile", nth, action));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let config = org.write_config(folder.path(), output, "").expect("a configuration");
    let report = folder.path().join("report.json");
    let mut command = host(&config);
    let status = tokio::task::spawn_blocking({
        let report = report.clone();
        move || command.arg("--report").arg(report).status()
    });
    assert!(status.await.expect("a thread").expect("the host").success());
    let mut delivered = Delivered::default();
    delivered.read(File::open(folder.path().join("events.ndjson")).expect("events")).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
    let report: serde_json::Value =
        serde_json::from_reader(File::open(report).expect("a report")).expect("JSON");
    assert_eq!(report["token_requests"], 2, "{report}");
    // A download that was begun before its turn and was cut is asked for again without a word.
    assert!((1..=2).contains(&report["problems"].as_u64().expect("a number")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_files_are_collected_from_an_org_without_hourly_ones() {
    let mut settings = settings(72, Rows::Total(1500));
    settings.hourly_files = false;
    let org = TestOrg::start(settings).await.expect("an org");
    let streams = serde_json::json!({"login": {"event_log_file": {"log_file_interval": "daily"}}});
    let mut source = open(&org, Limits::default(), serde_json::json!({"streams": streams})).await;
    let batch = source.poll(None).await.expect("a batch");
    let mut delivered = Delivered::default();
    for event in &batch.events {
        delivered.add(event).expect("an event");
    }
    let comparison = delivered.compare(org.simulator.org(), Interval::Daily);
    assert!(comparison.is_clean(), "{comparison}");
}
