//! Every row of `docs/errors.md`, answered by the simulated org to the built component. The page itself is made from the
//! code's tables (`crates/collector/src/org/errors.rs`), so a row that is added there is tested here.

use chrono::TimeDelta;
use e2e::{hosted::plugin, org::TestOrg};
use salesforce_sim::{FaultAction, OrgSettings, PlannedFault, Rows, Workload};
use serde_json::json;
use source_host::{Egress, Error, Failure, Options, Plugin, Problem};

const PAGE: &str = include_str!("../../docs/errors.md");

/// The rows of the table behind a heading, without those of its head, cell by cell.
fn rows<'p>(heading: &str) -> Vec<Vec<&'p str>> {
    let (_, part) = PAGE.split_once(heading).expect(heading);
    let lines = part.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells =
        |line: &'p str| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The failure of the first poll of a fresh instance, which is given this state.
async fn refused(plugin: &Plugin, org: &TestOrg, state: Option<&str>) -> Failure {
    let egress = Egress::allow([org.authority()]).expect("a rule");
    let mut source = plugin.open(Options::new().egress(egress)).await.expect("an instance");
    source.configure(&org.source().expect("a configuration").to_string()).await.expect("a valid one");
    match source.poll(state).await {
        Err(Error::Failure(failure)) => *failure,
        other => panic!("no failure: {other:?}"),
    }
}

/// What a first poll says when a path is answered so.
async fn answered(plugin: &Plugin, org: &TestOrg, path: &str, status: u16, body: &str) -> Problem {
    org.simulator.org().plan_fault(PlannedFault::every(path, FaultAction::answer(status, body)));
    let failure = refused(plugin, org, None).await;
    org.simulator.org().clear_faults();
    failure.problem
}

fn check(problem: &Problem, kind: &str, hint: &str) {
    assert_eq!(problem.kind.as_str(), kind, "{problem}");
    let needs = rows("## Permissions")[0][1];
    let hint = if hint == "*(the permissions below)*" { needs } else { hint };
    assert_eq!(problem.hint.as_deref(), Some(hint), "{problem}");
    let first_wait =
        rows("| kind | who must act").iter().find(|row| row[0] == kind).map(|row| row[2]).expect(kind);
    let full = if first_wait.starts_with("after 2 s") { 2_000 } else { 60_000 };
    // Jitter takes up to a quarter, and the clock has gone on since.
    let waited = problem.retry_after_ms.expect("a wait");
    assert!((full * 5 / 8..=full).contains(&waited), "{first_wait}: {waited} ms, {problem}");
}

async fn org() -> (Plugin, TestOrg) {
    let workload = Workload { hours: 1, rows: Rows::Total(5), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org");
    (plugin().expect("the component"), org)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_of_the_token_endpoint_is_answered_as_the_page_says() {
    let (plugin, org) = org().await;
    let rows = rows("## Signing in");
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let [status, error, text, _, kind, meaning, hint] = row[..] else { panic!("{row:?}") };
        let error = error.replace('*', "another_error");
        let body = json!({"error": error, "error_description": text}).to_string();
        let status = status.parse().expect("a status");
        let problem = answered(&plugin, &org, "/services/oauth2/token", status, &body).await;
        assert!(problem.message.contains(meaning) && problem.message.contains(&error), "{problem}");
        check(&problem, kind, hint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_of_the_api_is_answered_as_the_page_says() {
    let (plugin, org) = org().await;
    let rows = rows("## Queries and downloads");
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let [status, code, text, _, _, kind, hint] = row[..] else { panic!("{row:?}") };
        let code = code.replace('*', "RUNTIME_EXCEPTION");
        let body = json!([{"errorCode": code, "message": format!("words {text} words")}]).to_string();
        let status = status.parse().expect("a status");
        let problem = answered(&plugin, &org, "/query", status, &body).await;
        assert!(problem.message.contains(&code) && problem.message.contains("words"), "{problem}");
        check(&problem, kind, hint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_status_without_a_known_code_is_answered_as_the_page_says() {
    let (plugin, org) = org().await;
    let (unknown, page) =
        (json!([{"errorCode": "BRAND_NEW", "message": "words"}]).to_string(), "<html>words</html>");
    let rows = rows("Where the code is unknown");
    assert!(rows.len() > 8, "{}", rows.len());
    for row in rows {
        let [status, code, _, _, kind, hint] = row[..] else { panic!("{row:?}") };
        let statuses: Vec<u16> = match status.split_once(" to ") {
            Some((first, last)) => vec![first.parse().expect("a status"), last.parse().expect("a status")],
            None => vec![status.parse().unwrap_or(418)],
        };
        for status in statuses {
            if code != "none" {
                check(&answered(&plugin, &org, "/query", status, &unknown).await, kind, hint);
            }
            if code != "unknown" {
                check(&answered(&plugin, &org, "/query", status, page).await, kind, hint);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retry_after_asks_for_is_waited_even_by_a_fresh_instance() {
    let (plugin, org) = org().await;
    let asked = TimeDelta::hours(2);
    let date = (org.simulator.org().clock().now() + asked).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (path, status) in [("/services/oauth2/token", 503), ("/query", 503), ("/query", 429), ("/query", 403)]
    {
        for retry_after in ["7200", &date] {
            let body = json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "words"}]).to_string();
            let action = FaultAction::answer_with(status, body, [("Retry-After", retry_after)]);
            org.simulator.org().plan_fault(PlannedFault::every(path, action));
            let first = refused(&plugin, &org, None).await;
            let waited = first.problem.retry_after_ms.map(i64::from).expect("a wait");
            // Some seconds have gone by since the date was made, or since the answer came.
            let range = asked.num_milliseconds() - 60_000..=asked.num_milliseconds();
            assert!(range.contains(&waited), "{status} {path} {retry_after}: {waited} ms");

            let before = org.simulator.org().requests().count("");
            let second = refused(&plugin, &org, first.state.as_deref()).await;
            assert_eq!(org.simulator.org().requests().count(""), before, "{path} {status}");
            assert!(
                second.problem.retry_after_ms.is_some_and(|left| range.contains(&left.into())),
                "{second:?}"
            );
            org.simulator.org().clear_faults();
        }
    }
}
