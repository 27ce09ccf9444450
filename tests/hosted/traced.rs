//! What stands in the log of a host that says more: which request was sent in which call for whom.

use anyhow::Result;
use captured_log::Log;
use e2e::{hosted::plugin, org::TestOrg};
use salesforce_sim::{OrgSettings, Rows, Workload};
use serde_json::Value;
use source_host::{Egress, Options};
use tracing::Instrument as _;
use tracing_subscriber::fmt::format::FmtSpan;

fn lines(log: &Log) -> Vec<Value> {
    log.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Configures and polls once, for the tenant `acme`, with a log as `-vv` writes it. Below that wasmtime has lines of its own.
async fn polled() -> Result<Log> {
    let workload = Workload { hours: 1, rows: Rows::Total(50), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await?;
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(log.clone())
        .finish();
    // Compiled before: what that takes is not what is looked at.
    let plugin = plugin()?;
    let _guard = log.listen_as(subscriber);
    let work = async {
        let egress = Egress::allow([org.authority()])?;
        let mut source = plugin.open(Options::new().egress(egress)).await?;
        source.configure(&org.source()?.to_string()).await?;
        let batch = source.poll(None).await?;
        anyhow::ensure!(!batch.events.is_empty(), "{:?}", batch.problems);
        Ok(())
    };
    work.instrument(tracing::info_span!("tenant", tenant = "acme")).await?;
    Ok(log)
}

#[tokio::test]
async fn the_lines_of_a_request_stand_within_its_call_and_its_tenant() {
    let log = polled().await.expect("a poll");
    let lines = lines(&log);
    let requests: Vec<&Value> = lines.iter().filter(|line| line["fields"]["message"] == "request").collect();
    assert!(requests.len() >= 3, "{}", log.text());
    for line in &requests {
        let spans = line["spans"].as_array().expect("spans");
        let names: Vec<&str> = spans.iter().filter_map(|span| span["name"].as_str()).collect();
        assert_eq!(names, ["tenant", "poll", "request"], "{line}");
        assert_eq!(spans[0]["tenant"], "acme", "{line}");
        let request = &spans[2];
        assert_eq!(request["status"], 200, "{line}");
        assert!(request["host"].as_str().is_some_and(|host| host.starts_with("127.0.0.1")), "{line}");
        assert!(request["path"].as_str().is_some_and(|path| path.starts_with("/services/")), "{line}");
    }
    let methods: Vec<&str> = requests.iter().filter_map(|line| line["spans"][2]["method"].as_str()).collect();
    assert!(methods.contains(&"GET") && methods.contains(&"POST"), "{methods:?}");

    let closed = |name: &str| {
        let close = |line: &&Value| line["fields"]["message"] == "close" && line["span"]["name"] == name;
        lines.iter().find(close).unwrap_or_else(|| panic!("{name}: {}", log.text())).clone()
    };
    let poll = closed("poll");
    assert_eq!(poll["span"]["requests"], requests.len(), "{poll}");
    assert!(poll["span"]["events"].as_u64().is_some_and(|events| events > 0), "{poll}");
    assert_eq!(closed("configure")["span"]["requests"], 0);
}

#[tokio::test]
async fn neither_a_query_nor_a_secret_stands_in_a_span() {
    let text = polled().await.expect("a poll").text();
    assert!(text.contains("/services/data/") && text.contains("/query"), "{text}");
    for part in ["SELECT", "q=", "PRIVATE KEY", "assertion", "Bearer", "access_token"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}
