//! Signing in to the simulated org through the built component: every flow, every obstacle, every odd answer.

use e2e::{
    hosted::plugin,
    org::TestOrg,
    signing_in::{FLOWS, by_flow},
    truth::Delivered,
};
use salesforce_sim::{
    FaultAction, Interval, Obstacle, OrgSettings, PlannedFault, PrivateKey, Rows, SessionRefusal, Simulator,
    Workload,
};
use serde_json::{Value, json};
use source_host::{Egress, Error, Options, Plugin, Problem, ProblemKind, Source};
use tokio::{io::AsyncWriteExt, net::TcpListener};

const PKCS8: &str = include_str!("../../crates/collector/tests/keys/pkcs8.pem");
const TOKEN: &str = "/services/oauth2/token";

fn settings() -> OrgSettings {
    let workload = Workload { hours: 2, rows: Rows::Total(40), ..Workload::default() };
    OrgSettings { workload, ..OrgSettings::default() }
}

fn authority(config: &Value) -> String {
    config["instance_url"].as_str().expect("a URL").trim_start_matches("http://").to_owned()
}

async fn open(plugin: &Plugin, config: &Value) -> Source {
    let egress = Egress::allow([authority(config)]).expect("a rule");
    let mut source = plugin.open(Options::new().egress(egress)).await.expect("an instance");
    source.configure(&config.to_string()).await.expect("a valid configuration");
    source
}

/// The problem of a first poll that can do nothing.
async fn failure(plugin: &Plugin, config: &Value) -> Problem {
    match open(plugin, config).await.poll(None).await {
        Err(Error::Failure(failure)) => failure.problem,
        other => panic!("no failure: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_flow_collects_everything_with_one_token() {
    let plugin = plugin().expect("the component");
    for flow in FLOWS {
        let org = TestOrg::start(settings()).await.expect("an org");
        let mut source = open(&plugin, &by_flow(&org, flow).expect("a configuration")).await;
        let batch = source.poll(None).await.expect("a batch");
        let mut delivered = Delivered::default();
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        assert!(delivered.compare(org.simulator.org(), Interval::Hourly).is_clean(), "{flow}");
        source.poll(Some(&batch.state)).await.expect("a batch");
        assert_eq!(org.simulator.org().tokens_issued(), 1, "{flow}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_in_the_way_is_named() {
    let plugin = plugin().expect("the component");
    for (obstacle, flow, part) in [
        (Obstacle::PasswordFlowBlocked, "username-password", "Username-Password Flow Disabled"),
        (Obstacle::UserNotApproved, "jwt-bearer", "not pre-authorised"),
        (Obstacle::NotAdminApproved, "client-credentials", "not approved for the app"),
        (Obstacle::IpRestricted, "jwt-bearer", "from this address"),
        (Obstacle::UserLocked, "jwt-bearer", "the user is locked"),
        (Obstacle::UserLocked, "username-password", "the user is locked"),
        (Obstacle::UserInactive, "client-credentials", "not active"),
        (Obstacle::OrgInactive, "jwt-bearer", "the org is not active"),
        (Obstacle::NotMyDomain, "client-credentials", "My Domain"),
        (Obstacle::NoRunAsUser, "client-credentials", "Run As"),
        (Obstacle::LoginRateExceeded, "jwt-bearer", "signs in too often"),
    ] {
        let org =
            TestOrg::start(OrgSettings { obstacles: vec![obstacle], ..settings() }).await.expect("an org");
        let problem = failure(&plugin, &by_flow(&org, flow).expect("a configuration")).await;
        assert!(problem.to_string().contains(part), "{obstacle:?}: {problem}");
        let kind = if obstacle == Obstacle::LoginRateExceeded {
            ProblemKind::RateLimited
        } else {
            ProblemKind::Auth
        };
        assert_eq!(problem.kind, kind, "{problem}");
        assert!(problem.retry_after_ms.is_some_and(|wait| wait >= 40_000), "{problem:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_security_token_goes_behind_the_password() {
    let plugin = plugin().expect("the component");
    let obstacles = vec![Obstacle::SecurityTokenRequired];
    let org = TestOrg::start(OrgSettings { obstacles, ..settings() }).await.expect("an org");
    let mut config = by_flow(&org, "username-password").expect("a configuration");
    open(&plugin, &config).await.poll(None).await.expect("a batch");
    config["auth"].as_object_mut().expect("a table").remove("security_token");
    let problem = failure(&plugin, &config).await;
    assert!(problem.to_string().contains("auth.security_token"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_password_user_audience_or_key_is_told_apart() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    for (flow, key, value, part) in [
        ("client-credentials", "client_secret", "wrong", "check auth.client_secret"),
        ("client-credentials", "client_id", "wrong", "the consumer key is unknown"),
        ("username-password", "password", "wrong", "user name, password or security token are wrong"),
        ("jwt-bearer", "username", "nobody@acme.com", "not pre-authorised"),
        ("jwt-bearer", "audience", "https://login.example.com", "the audience of the assertion is wrong"),
        (
            "jwt-bearer",
            "audience",
            "https://acme.my.site.com/customers",
            "the audience of the assertion is wrong",
        ),
        ("jwt-bearer", "private_key", PKCS8, "certificate is uploaded to the app"),
    ] {
        let mut config = by_flow(&org, flow).expect("a configuration");
        config["auth"][key] = json!(value);
        let problem = failure(&plugin, &config).await;
        assert!(problem.to_string().contains(part), "{flow} {key}: {problem}");
        assert_eq!(problem.kind, ProblemKind::Auth, "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_with_a_path_is_sent_as_it_is() {
    let site = "https://acme.my.site.com/customers";
    let org =
        TestOrg::start(OrgSettings { audiences: vec![site.to_owned()], ..settings() }).await.expect("an org");
    let mut config = org.source().expect("a configuration");
    config["auth"]["audience"] = json!(site);
    open(&plugin().expect("the component"), &config).await.poll(None).await.expect("a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_endpoint_is_found_however_it_is_written() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    for ending in ["", "/", "//", "/services/oauth2/token", "/services/oauth2/token/", " "] {
        let mut config = org.source().expect("a configuration");
        config["auth"]["token_url"] = json!(format!("{}{ending}", org.simulator.url()));
        open(&plugin, &config).await.poll(None).await.expect(ending);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_org_however_it_travelled_there() {
    let plugin = plugin().expect("the component");
    let key = PrivateKey::from_pem(PKCS8).expect("a key");
    let public_key = Some(key.public_key().expect("its other half"));
    let simulator = Simulator::start(OrgSettings { public_key, ..settings() }).await.expect("an org");
    let indented: String = PKCS8.lines().map(|line| format!("\t  {line}\n")).collect();
    let certificate = include_str!("../../crates/collector/tests/keys/certificate.pem");
    let encrypted = include_str!("../../crates/collector/tests/keys/encrypted-pkcs8.pem");
    let pkcs1 = include_str!("../../crates/collector/tests/keys/pkcs1.pem");
    for (name, pem, passphrase) in [
        ("PKCS#8", PKCS8.to_owned(), None),
        ("PKCS#1", pkcs1.to_owned(), None),
        ("encrypted", encrypted.to_owned(), Some("correct horse")),
        ("encrypted, \\n", encrypted.replace('\n', "\\n"), Some("correct horse")),
        ("CRLF", PKCS8.replace('\n', "\r\n"), None),
        ("\\n", PKCS8.replace('\n', "\\n"), None),
        ("indented", indented, None),
        ("behind its certificate", format!("{certificate}{PKCS8}"), None),
        ("on one line", PKCS8.replace('\n', ""), None),
        ("on one line with spaces", PKCS8.replace('\n', " "), None),
        ("PKCS#1 on one line", pkcs1.replace('\n', ""), None),
        ("PKCS#1 on one line with tabs", pkcs1.replace('\n', "\t"), None),
        ("encrypted, on one line", encrypted.replace('\n', ""), Some("correct horse")),
        ("encrypted, on one line with spaces", encrypted.replace('\n', " "), Some("correct horse\r\n")),
        ("\\n, escaped twice, in quotes", format!("\"{}\"", PKCS8.replace('\n', "\\\\n")), None),
        ("behind a byte-order mark", format!("\u{feff}{PKCS8}"), None),
    ] {
        let mut config = json!({
            "instance_url": simulator.url(),
            "auth": {
                "flow": "jwt-bearer",
                "client_id": OrgSettings::default().client_id,
                "username": OrgSettings::default().username,
                "private_key": pem,
            },
            "streams": {"login": {"event_log_file": {}}},
        });
        if let Some(passphrase) = passphrase {
            config["auth"]["private_key_passphrase"] = json!(passphrase);
        }
        open(&plugin, &config).await.poll(None).await.expect(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_refused_before_any_request() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    macro_rules! key {
        ($name:literal) => {
            include_str!(concat!("../../crates/collector/tests/keys/", $name, ".pem"))
        };
    }
    for (flow, key, value, part) in [
        ("jwt-bearer", "private_key", key!("1024-bits"), "has 1024 bits"),
        ("jwt-bearer", "private_key", key!("ec"), "elliptic-curve"),
        ("jwt-bearer", "private_key", key!("ec-pkcs8"), "cannot be read as an RSA key"),
        ("jwt-bearer", "private_key", key!("certificate"), "is a certificate"),
        ("jwt-bearer", "private_key", key!("encrypted-pkcs8"), "is encrypted"),
        ("jwt-bearer", "private_key", key!("encrypted-pkcs1"), "old form"),
        ("jwt-bearer", "private_key", "", "is empty"),
        ("jwt-bearer", "private_key", " \n", "is empty"),
        ("client-credentials", "client_secret", "", "is empty"),
        ("client-credentials", "token_url", "https://login.salesforce.com", "does not serve"),
        ("username-password", "password", " ", "is empty"),
        ("username-password", "password", "Pass word ", "begins or ends with a space"),
        ("username-password", "security_token", "t0k en", "has a space or a line break in it"),
        ("client-credentials", "client_secret", "c4n4ry\nc4n4ry", "has a space or a line break in it"),
        ("client-credentials", "client_id", "3MVG9. acme", "has a space or a line break in it"),
        ("jwt-bearer", "username", "collector@acme.com x", "has a space or a line break in it"),
        ("jwt-bearer", "token_url", "https://acme--c.vf.force.com", "\"https://acme.my.salesforce.com\""),
        ("jwt-bearer", "client_secret", "x", "has no meaning with flow"),
    ] {
        let mut config = by_flow(&org, flow).expect("a configuration");
        config["auth"][key] = json!(value);
        let mut source = plugin.open(Options::default()).await.expect("an instance");
        let Err(Error::Configuration(problems)) = source.configure(&config.to_string()).await else {
            panic!("{key} = {value} is accepted");
        };
        let said = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(said.contains(part), "{part}: {said}");
        assert_eq!(problems[0].path.as_deref(), Some(format!("auth.{key}").as_str()), "{said}");
    }
    assert_eq!(org.simulator.org().requests().totals().requests, 0);
}

/// What a host sends for a token to an org that refuses it.
async fn sent(host: impl AsyncFnOnce(String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = listener.local_addr().expect("its address").to_string();
    let heard = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let request = crate::canary::request(&mut client).await.expect("a request");
        let body = r#"{"error":"app_not_found","error_description":"External client app is not installed in this org"}"#;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: \
             {length}\r\n\r\n{body}"
        );
        client.write_all(answer.as_bytes()).await.expect("an answer");
        request
    });
    host(authority).await;
    heard.await.expect("a request")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_request_says_how_long_it_is_in_each_host() {
    let config = |authority: &str| {
        json!({
            "instance_url": format!("http://{authority}"),
            "auth": {
                "flow": "client-credentials",
                "client_id": "3MVG9.acme",
                // Longer than what is written at once.
                "client_secret": "c4n4ry".repeat(2000),
            },
            "streams": {"login": {"event_log_file": {}}},
        })
    };
    let plugin = plugin().expect("the component");
    let in_rust = sent(async |authority| {
        let problem = failure(&plugin, &config(&authority)).await;
        assert_eq!(problem.kind, ProblemKind::Auth);
        assert!(problem.to_string().contains("install or deploy the app in this org"), "{problem}");
    });
    let mut requests = vec![("Rust", in_rust.await)];
    for (name, program, script, component) in crate::portable::others() {
        let folder = tempfile::tempdir().expect("a folder");
        let request = sent(async |authority| {
            let path = folder.path().join("config.json");
            std::fs::write(&path, config(&authority).to_string()).expect("written");
            let mut command = std::process::Command::new(program);
            command.arg(script).arg(component).arg(path).arg("--until-caught-up");
            let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
            let said = String::from_utf8_lossy(&output.expect("the host").stderr).into_owned();
            assert!(said.contains("app_not_found") && !said.contains("c4n4ry"), "{name}: {said}");
        });
        requests.push((name, request.await));
    }
    for (host, request) in requests {
        let (head, body) = request.split_once("\r\n\r\n").expect("a head");
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /services/oauth2/token http/1.1\r\n"), "{host}: {head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{host}: {head}");
        assert!(!head.contains("transfer-encoding") && body.starts_with("grant_type="), "{host}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_answer_that_is_none_is_named_for_what_it_is() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    let large = format!("{{\"access_token\": \"{}\"}}", "x".repeat(10_000_000));
    for (status, body, part) in [
        (200, "{}".to_owned(), "holds no access_token"),
        (200, r#"{"access_token": null, "instance_url": 5}"#.to_owned(), "holds no access_token"),
        (200, r#"{"access_token": "a b"}"#.to_owned(), "holds no access_token"),
        (200, "[]".to_owned(), "not the JSON"),
        (200, String::new(), "not the JSON"),
        (200, "<html>Log in</html>".to_owned(), "HTML"),
        (200, large, "longer than"),
        (302, String::new(), "token endpoint"),
        (404, "<html>".to_owned(), "does not answer as Salesforce does"),
    ] {
        org.simulator.org().plan_fault(PlannedFault::every(TOKEN, FaultAction::answer(status, body)));
        let problem = failure(&plugin, &org.source().expect("a configuration")).await;
        assert!(problem.to_string().contains(part), "{part}: {problem}");
        assert_eq!(problem.kind, ProblemKind::Auth, "{problem}");
        org.simulator.org().clear_faults();
    }
    org.simulator.org().plan_fault(PlannedFault::every(TOKEN, FaultAction::CutConnection { after: 10 }));
    let problem = failure(&plugin, &org.source().expect("a configuration")).await;
    assert_eq!(problem.kind, ProblemKind::Transient, "{problem}");
    org.simulator.org().clear_faults();
    open(&plugin, &org.source().expect("a configuration")).await.poll(None).await.expect("a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_named_and_neither_secret_nor_token_follows_it() {
    let plugin = plugin().expect("the component");
    let elsewhere = Simulator::start(settings()).await.expect("a second org");
    let aside = elsewhere.url().trim_start_matches("http://");
    let org = TestOrg::start(settings()).await.expect("an org");
    for (path, status) in [(TOKEN, 302), (TOKEN, 307), ("/query", 301), ("/query", 308), ("/LogFile", 302)] {
        let location = format!("{}{path}?Canary", elsewhere.url());
        let action = FaultAction::answer_with(status, "", [("Location", &location)]);
        org.simulator.org().plan_fault(PlannedFault::every(path, action));
        // The host would let it: only the component itself keeps it from following.
        let egress = Egress::allow([org.authority(), aside]).expect("a rule");
        let mut source = plugin.open(Options::new().egress(egress)).await.expect("an instance");
        source.configure(&org.source().expect("a configuration").to_string()).await.expect("a valid one");
        let problems = match source.poll(None).await {
            Err(Error::Failure(failure)) => vec![failure.problem],
            Ok(batch) => batch.problems,
            Err(error) => panic!("{path} {status}: {error}"),
        };
        assert!(!problems.is_empty(), "{path} {status}");
        for problem in problems {
            let said = format!("HTTP status {status}, a redirect to {aside}");
            assert!(problem.to_string().contains(&said), "{path} {status}: {problem}");
            assert!(!problem.to_string().contains("Canary"), "{problem}");
            let kind = if path == TOKEN { ProblemKind::Auth } else { ProblemKind::Transient };
            assert_eq!(problem.kind, kind, "{problem}");
        }
        org.simulator.org().clear_faults();
    }
    assert_eq!(elsewhere.org().requests().count(""), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_by_minutes_do_not_keep_anyone_out() {
    let plugin = plugin().expect("the component");
    for minutes in [-60, -5, 5, 60] {
        let clock_skew = chrono::TimeDelta::minutes(minutes);
        let org = TestOrg::start(OrgSettings { clock_skew, ..settings() }).await.expect("an org");
        let mut source = open(&plugin, &org.source().expect("a configuration")).await;
        source.poll(None).await.expect("a batch");
        assert!(org.simulator.org().requests().count(TOKEN) <= 2, "{minutes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_is_renewed_at_any_point() {
    let plugin = plugin().expect("the component");
    for (path, nth) in [("/query?", 1), ("/query/", 1), ("/query/", 2), ("/LogFile", 1), ("/LogFile", 2)] {
        let org = TestOrg::start(OrgSettings { page_size: 1, ..settings() }).await.expect("an org");
        let mut settings_with_pages = org.source().expect("a configuration");
        settings_with_pages["streams"]["setupaudittrail"] = json!({"object": {}});
        let action = FaultAction::RevokeSessions;
        let fault = PlannedFault { method: None, path_contains: path.to_owned(), nth: Some(nth), action };
        org.simulator.org().plan_fault(fault);
        let mut source = open(&plugin, &settings_with_pages).await;
        let batch = source.poll(None).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{path} {nth}: {:?}", batch.problems);
        assert_eq!(org.simulator.org().tokens_issued(), 2, "{path} {nth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_in_the_middle_of_a_file_leaves_no_trace() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    let mut config = org.source().expect("a configuration");
    config["batch"] = json!({"max_events": 7});
    let mut delivered = Delivered::default();
    let mut state: Option<String> = None;
    loop {
        // A fresh instance each time goes on in the middle of a file, and its session ends as it asks for that.
        org.simulator.org().plan_fault(PlannedFault {
            method: None,
            path_contains: String::from("/LogFile"),
            nth: Some(1),
            action: FaultAction::RevokeSessions,
        });
        let batch = open(&plugin, &config).await.poll(state.as_deref()).await.expect("a batch");
        assert!(batch.problems.is_empty(), "{:?}", batch.problems);
        for event in &batch.events {
            delivered.add(event).expect("an event");
        }
        org.simulator.org().clear_faults();
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            break;
        }
    }
    assert!(delivered.compare(org.simulator.org(), Interval::Hourly).is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_a_new_session_cannot_mend_is_not_tried_again() {
    let plugin = plugin().expect("the component");
    for (refusal, part) in [
        (SessionRefusal::NotForRest, "scope 'Manage user data via APIs (api)'"),
        (SessionRefusal::NotAttachedToAgent, "agent"),
    ] {
        let org = TestOrg::start(OrgSettings { session_refusal: Some(refusal), ..settings() })
            .await
            .expect("an org");
        let problem = failure(&plugin, &org.source().expect("a configuration")).await;
        assert!(problem.to_string().contains(part), "{problem}");
        assert_eq!(problem.kind, ProblemKind::Permission);
        assert_eq!(org.simulator.org().tokens_issued(), 1);
    }
    // And one that ends each session at once is not tried for ever.
    let org = TestOrg::start(settings()).await.expect("an org");
    org.simulator.org().plan_fault(PlannedFault::every("/query", FaultAction::RevokeSessions));
    let problem = failure(&plugin, &org.source().expect("a configuration")).await;
    assert_eq!(problem.kind, ProblemKind::Auth, "{problem}");
    assert_eq!(org.simulator.org().tokens_issued(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_the_configured_one_or_the_newest_and_a_missing_one_names_the_nearest() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    let mut config = org.source().expect("a configuration");
    config["api_version"] = json!("latest");
    open(&plugin, &config).await.poll(None).await.expect("a batch");
    assert!(org.simulator.org().requests().count("/services/data/v67.0/query") > 0);
    config["api_version"] = json!("99.0");
    let problem = failure(&plugin, &config).await;
    assert_eq!(
        (problem.kind, problem.path.as_deref()),
        (ProblemKind::Config, Some("api_version")),
        "{problem}"
    );
    assert!(problem.to_string().contains("\"67.0\""), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_is_left_to_others_beyond_the_configured_share() {
    let plugin = plugin().expect("the component");
    let workload = Workload { hours: 20, rows: Rows::Total(40), ..Workload::default() };
    let org =
        TestOrg::start(OrgSettings { daily_api_limit: 20, workload, ..settings() }).await.expect("an org");
    let mut config = org.source().expect("a configuration");
    config["api_quota_share"] = json!("40%");
    let mut source = open(&plugin, &config).await;
    let batch = source.poll(None).await.expect("what came before is delivered");
    assert!(!batch.events.is_empty());
    let problem = &batch.problems[0];
    assert_eq!(problem.kind, ProblemKind::RateLimited);
    assert!(problem.message.contains("8 of its 20") && problem.message.contains("40 %"), "{problem}");
    assert_eq!(org.simulator.org().api_calls(), 8);
    // It waits, in this instance and in the next.
    for source in [&mut source, &mut open(&plugin, &config).await] {
        let Err(Error::Failure(failure)) = source.poll(Some(&batch.state)).await else { panic!("no wait") };
        assert_eq!(failure.problem.kind, ProblemKind::RateLimited);
    }
    assert_eq!(org.simulator.org().api_calls(), 8);
    // Who checks wants to know.
    let findings = open(&plugin, &config).await.check().await.expect("findings");
    let quota = findings.iter().find(|finding| finding.name == "api-quota").expect("a finding");
    assert_eq!(quota.verdict, source_host::Verdict::Warn, "{}", quota.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_that_is_used_up_is_waited_for() {
    let plugin = plugin().expect("the component");
    let org = TestOrg::start(settings()).await.expect("an org");
    org.simulator.org().exhaust_quota();
    let mut config = org.source().expect("a configuration");
    config["streams"]["login"]["object"] = json!({});
    let problem = failure(&plugin, &config).await;
    assert_eq!(problem.kind, ProblemKind::RateLimited);
    assert!(problem.message.contains("100000 of 100000 requests"), "{problem}");
    // No second source tried.
    assert_eq!(org.simulator.org().requests().count("/services/data/v"), 1);
}
