//! `source-host check`, as an operator and as a program meets it.

use e2e::org::TestOrg;
use salesforce_sim::{Files, OrgSettings, Rows, Workload};
use serde_json::Value;
use std::{fs, path::Path};

struct Checked {
    status: i32,
    out: String,
    err: String,
}

impl Checked {
    fn verdict(&self, name: &str) -> String {
        let findings: Value = serde_json::from_str(&self.out).expect("JSON");
        let all = findings.as_array().expect("a list");
        let found = all.iter().find(|finding| finding["name"] == name);
        found.and_then(|finding| finding["verdict"].as_str()).unwrap_or("missing").to_owned()
    }
}

fn settings() -> OrgSettings {
    // Whole days, so that there are daily files of the last two at any time of the day.
    let workload = Workload { hours: 72, rows: Rows::Total(600), ..Workload::default() };
    let files =
        Files { event_types: vec!["Login".into(), "Logout".into(), "RestApi".into()], ..Files::default() };
    OrgSettings { workload, files, ..OrgSettings::default() }
}

const STREAMS: &str = "
[source.streams.login.object]
[source.streams.logout]
event_log_file = { log_file_interval = \"daily\" }
object = {}
[source.streams.setupaudittrail]
object = {}
";

/// Checks an org with a configuration that `change` had its way with.
async fn check(
    settings: OrgSettings,
    flags: &'static [&str],
    change: impl FnOnce(&Path) + Send + 'static,
) -> Checked {
    let org = TestOrg::start(settings).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org.write_config(folder.path(), "kind = \"stdout\"", STREAMS).expect("a configuration");
    let output = tokio::task::spawn_blocking(move || {
        change(&config);
        let output = crate::host().arg("check").arg(&config).args(flags).output().expect("the host");
        assert!(!folder.path().join("state.json").exists());
        output
    });
    let output = output.await.expect("a thread");
    Checked {
        status: output.status.code().expect("a status"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a configuration");
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replace(from, to)).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_org_passes_with_one_finding_for_each_thing_that_a_poll_needs() {
    let checked = check(settings(), &["--json"], |_| ()).await;
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    let findings: Value = serde_json::from_str(&checked.out).expect("JSON");
    let names: Vec<&str> =
        findings.as_array().expect("a list").iter().filter_map(|finding| finding["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "instance-url",
            "api-version",
            "clock",
            "sign-in",
            "api-enabled",
            "api-quota",
            "event-log-file",
            "hourly-files",
            "streams.login.event_log_file",
            "streams.logout.event_log_file",
            "streams.login.object",
            "streams.logout.object",
            "streams.setupaudittrail.object",
            "state",
            "output"
        ]
    );
    for finding in findings.as_array().expect("a list") {
        assert_eq!(finding["verdict"], "pass", "{finding}");
    }
    assert!(
        checked.out.contains("hourly Login, Logout, RestApi; daily Login, Logout, RestApi"),
        "{}",
        checked.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_a_list_with_what_to_do() {
    let checked = check(settings(), &[], |config| edit(config, "client_id = \"", "client_id = \"not-")).await;
    assert_eq!(checked.status, 1, "{}{}", checked.out, checked.err);
    let lines: Vec<&str> = checked.out.lines().collect();
    assert!(lines[0].starts_with("pass  instance-url  http://127.0.0.1:"), "{}", checked.out);
    assert!(lines.iter().any(|line| line.starts_with("FAIL  sign-in")), "{}", checked.out);
    assert!(
        lines.iter().any(|line| line.trim_start().starts_with("-> check auth.client_id")),
        "{}",
        checked.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_configuration_ends_with_status_2_and_no_finding() {
    let checked = check(settings(), &["--json"], |config| edit(config, "client_id", "cliend_id")).await;
    assert_eq!((checked.status, checked.out.as_str()), (2, ""));
    assert!(checked.err.contains("did you mean 'client_id'?"), "{}", checked.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_deserves_a_look_is_found() {
    let version = |config: &Path| edit(config, "[source.auth]", "api_version = \"99.0\"\n[source.auth]");
    let checked = check(settings(), &["--json"], version).await;
    assert_eq!((checked.status, checked.verdict("api-version").as_str()), (1, "fail"), "{}", checked.out);
    assert!(checked.out.contains("set api_version to \\\"67.0\\\""), "{}", checked.out);

    let checked = check(OrgSettings { hourly_files: false, ..settings() }, &["--json"], |_| ()).await;
    assert_eq!((checked.status, checked.verdict("hourly-files").as_str()), (1, "fail"), "{}", checked.out);
    assert_eq!(checked.verdict("streams.logout.event_log_file"), "pass", "{}", checked.out);

    let clock_skew = chrono::TimeDelta::minutes(10);
    let checked = check(OrgSettings { clock_skew, ..settings() }, &["--json"], |_| ()).await;
    assert_eq!((checked.status, checked.verdict("clock").as_str()), (0, "warn"), "{}", checked.out);

    let checked = check(OrgSettings { daily_api_limit: 2, ..settings() }, &["--json"], |_| ()).await;
    assert_eq!((checked.status, checked.verdict("api-quota").as_str()), (1, "warn"), "{}", checked.out);
    assert_eq!(checked.verdict("streams.setupaudittrail.object"), "fail", "{}", checked.out);

    let files = Files { event_types: vec!["Login".into()], ..Files::default() };
    let checked = check(OrgSettings { files, ..settings() }, &["--json"], |_| ()).await;
    let verdict = checked.verdict("streams.logout.event_log_file");
    assert_eq!((checked.status, verdict.as_str()), (0, "warn"), "{}", checked.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_missing_or_blocked_fails_the_sign_in_with_what_to_do() {
    use salesforce_sim::{FaultAction, PlannedFault};
    for (error, description, hint) in [
        (
            "app_not_found",
            "External client app is not installed in this org",
            "in a sandbox again after each refresh",
        ),
        ("invalid_client", "app must be installed into org", "Connected Apps OAuth Usage"),
        ("OAUTH_APP_BLOCKED", "this app is blocked by admin", "unblock it"),
        ("access_denied", "this app is blocked by admin", "unblock it"),
        ("oauth_flow_disabled", "", "OAuth and OpenID Connect Settings"),
        ("INVALID_SSO_GATEWAY_URL", "", "Is Single Sign-On Enabled"),
    ] {
        let org = TestOrg::start(settings()).await.expect("an org");
        let body = serde_json::json!({"error": error, "error_description": description}).to_string();
        let action = FaultAction::answer(400, body);
        org.simulator.org().plan_fault(PlannedFault::every("/services/oauth2/token", action));
        let folder = tempfile::tempdir().expect("a folder");
        let config = org.write_config(folder.path(), "kind = \"stdout\"", "").expect("a configuration");
        let output = tokio::task::spawn_blocking(move || crate::host().arg("check").arg(config).output());
        let output = output.await.expect("a thread").expect("the host");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("FAIL  sign-in") && said.contains(error) && said.contains(hint),
            "{error}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_for_the_object_that_needs_it() {
    use e2e::hosted::plugin;
    use salesforce_sim::{FaultAction, PlannedFault};
    use source_host::{Egress, Options};
    let org = TestOrg::start(settings()).await.expect("an org");
    let mut config = org.source().expect("a configuration");
    config["streams"] = serde_json::json!({
        "login": {"event_log_file": {}, "object": {}},
        "setupaudittrail": {"object": {}},
        "aura": {"object": {"name": "AuraRequestEventLog"}},
    });
    let body = r#"[{"errorCode":"INVALID_TYPE","message":"sObject type is not supported."}]"#;
    for object in ["EventLogFile", "LoginEvent", "SetupAuditTrail", "AuraRequestEventLog"] {
        let action = FaultAction::answer(400, body);
        let path_contains = format!("+FROM+{object}+");
        org.simulator.org().plan_fault(PlannedFault::every(path_contains, action));
    }
    let egress = Egress::allow([org.authority()]).expect("a rule");
    let plugin = plugin().expect("the component");
    let mut source = plugin.open(Options::new().egress(egress)).await.expect("an instance");
    source.configure(&config.to_string()).await.expect("a valid configuration");
    let findings = source.check().await.expect("findings");
    for (name, permission) in [
        ("event-log-file", "View Event Log Files"),
        ("streams.login.object", "View Real-Time Event Monitoring Data"),
        ("streams.setupaudittrail.object", "View Setup and Configuration"),
        ("streams.aura.object", "View Event Log Object Data"),
    ] {
        let finding = findings.iter().find(|finding| finding.name == name).expect(name);
        assert_eq!(finding.verdict, source_host::Verdict::Fail);
        assert!(finding.hint.as_deref().is_some_and(|hint| hint.contains(permission)), "{finding:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_init_writes_passes_the_check_and_collects() {
    let org = TestOrg::start(settings()).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    org.write_config(folder.path(), "kind = \"stdout\"", "").expect("a key");
    let source = org.source().expect("a configuration");
    let text = |key: &str| source["auth"][key].as_str().expect(key).to_owned();
    let sets = [
        format!("source.instance_url={}", org.simulator.url()),
        String::from("source.auth.flow=jwt-bearer"),
        format!("source.auth.client_id={}", text("client_id")),
        format!("source.auth.username={}", text("username")),
        String::from("source.auth.private_key=file:client-key.pem"),
        String::from("source.batch.max_events=17"),
    ];
    let outputs = tokio::task::spawn_blocking(move || {
        let config = folder.path().join("first.toml");
        let mut init = crate::host();
        init.arg("init").arg(e2e::hosted::component_path()).arg("--output").arg(&config);
        sets.iter().for_each(|set| {
            init.arg("--set").arg(set);
        });
        let init = init.stdin(std::process::Stdio::null()).output().expect("the host");
        let check = crate::host().arg("check").arg(&config).output().expect("the host");
        let run = crate::host().arg("run").arg(&config).arg("--until-caught-up").output().expect("the host");
        (init, check, run, fs::read_to_string(config).expect("a configuration"))
    });
    let (init, check, run, config) = outputs.await.expect("a thread");
    let said = |output: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    assert!(init.status.success() && !said(&init).contains("Still to fill in"), "{}\n{config}", said(&init));
    assert!(check.status.success(), "{}\n{config}", said(&check));
    assert!(run.status.success(), "{}\n{config}", said(&run));
    let events = String::from_utf8_lossy(&run.stdout).lines().count() as u64;
    assert_eq!(
        events,
        org.simulator
            .org()
            .event_log_files(salesforce_sim::Interval::Hourly)
            .iter()
            .filter(|file| file.event_type == "Login")
            .map(|file| file.rows)
            .sum::<u64>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_a_table_for_a_person_and_a_list_for_a_program() {
    let yesterday = chrono::Utc::now() - chrono::TimeDelta::days(1);
    let from = yesterday.format("%Y-%m-%dT%H:00:00Z").to_string();
    let flags: &'static [&str] = vec!["--plan", "--from", from.leak()].leak();
    let checked = check(settings(), flags, |_| ()).await;
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    let (_, tables) = checked.out.split_once("\n\n").expect("tables behind the findings");
    let lines: Vec<&str> = tables.lines().collect();
    assert_eq!(lines[0], "login.event_log_file");
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["day", "kind", "items", "bytes"]);
    let sum: usize = lines[2..]
        .iter()
        .take_while(|line| line.starts_with("  2"))
        .map(|line| {
            line.split_whitespace().nth(2).and_then(|items| items.parse::<usize>().ok()).expect("a count")
        })
        .sum();
    let total = format!("  {sum} hourly files of one type from ");
    assert!(sum > 10 && lines.iter().any(|line| line.starts_with(&total)), "{tables}");
    for part in
        ["login.object", "LoginEvent", "unknown", "setupaudittrail.object", "records of SetupAuditTrail from"]
    {
        assert!(tables.contains(part), "{part}: {tables}");
    }
    let flags: &'static [&str] = vec!["--plan", "--json", "--from", flags[2]].leak();
    let checked = check(settings(), flags, |_| ()).await;
    let findings: Value = serde_json::from_str(&checked.out).expect("JSON");
    let name = "streams.login.event_log_file.backlog";
    let files = findings.as_array().into_iter().flatten().find(|finding| finding["name"] == name);
    let days = files.and_then(|files| files["backlog"].as_array()).expect("days");
    assert!(days.iter().all(|day| day["kind"] == "Login" && day["bytes"].as_u64() > Some(0)), "{days:?}");
    // Without a time there is nothing to plan.
    let checked = check(settings(), &["--plan"], |_| ()).await;
    assert!(checked.out.contains("nothing to plan: no stream has `from`"), "{}", checked.out);
    let checked = check(settings(), &["--plan", "--from", "yesterday"], |_| ()).await;
    assert_eq!(checked.status, 2, "{}", checked.err);
}
