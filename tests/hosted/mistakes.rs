//! What an operator may do wrong, at the program itself: one sentence that says what to do, the right exit status, and
//! nothing overwritten.

use e2e::org::TestOrg;
use salesforce_sim::{OrgSettings, Rows, Workload};
use std::{fs, path::Path};

struct Said {
    status: i32,
    text: String,
}

fn run(folder: &Path) -> Said {
    let output = crate::host()
        .arg("run")
        .arg(folder.join("source-host.toml"))
        .args(["--until-caught-up", "--give-up-after", "1ms"])
        .output()
        .expect("the host");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    Said {
        status: output.status.code().expect("a status"),
        text: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Changes one thing in a folder that would work, and returns what the host says.
async fn with(change: impl FnOnce(&Path) + Send + 'static) -> Said {
    let workload = Workload { hours: 1, rows: Rows::Total(5), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    org.write_config(folder.path(), output, "").expect("a configuration");
    tokio::task::spawn_blocking(move || {
        change(folder.path());
        let said = run(folder.path());
        if said.status != 0 {
            let events = fs::read_to_string(folder.path().join("events.ndjson")).unwrap_or_default();
            assert_eq!(events, "", "events were written in spite of the mistake");
        }
        said
    })
    .await
    .expect("a thread")
}

fn edit(folder: &Path, from: &str, to: &str) {
    let path = folder.join("source-host.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replace(from, to)).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_wrong_ends_with_status_0() {
    let said = with(|_| ()).await;
    assert_eq!(said.status, 0, "{}", said.text);
    assert!(said.text.contains("caught up: 5 events"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_the_configuration_is_named_with_its_path_and_the_nearest_key() {
    let said = with(|folder| {
        edit(folder, "client_id", "clientid");
        edit(folder, "event_log_file", "event_log_files");
    })
    .await;
    assert_eq!(said.status, 2, "{}", said.text);
    for part in [
        "source.auth.clientid",
        "did you mean 'client_id'?",
        "source.auth.client_id: 'client_id' is missing",
        "source.streams.login.event_log_files",
        "did you mean 'event_log_file'?",
    ] {
        assert!(said.text.contains(part), "{part}: {}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_is_named_for_what_it_is() {
    for (key, part) in [
        (None, "client-key.pem"),
        (Some(include_str!("../../crates/collector/tests/keys/encrypted-pkcs8.pem")), "is encrypted"),
        (Some(include_str!("../../crates/collector/tests/keys/encrypted-pkcs1.pem")), "is encrypted"),
        (Some(include_str!("../../crates/collector/tests/keys/ec.pem")), "elliptic-curve"),
        (Some(include_str!("../../crates/collector/tests/keys/certificate.pem")), "is a certificate"),
        (Some(""), "auth.private_key"),
    ] {
        let said = with(move |folder| {
            let path = folder.join("client-key.pem");
            match key {
                Some(key) => fs::write(path, key).expect("written"),
                None => fs::remove_file(path).expect("removed"),
            }
        })
        .await;
        assert_eq!(said.status, 2, "{part}: {}", said.text);
        assert!(said.text.contains(part), "{part}: {}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_lost_its_line_breaks_is_as_good_as_before() {
    for between in ["", " ", "\\n"] {
        let said = with(move |folder| {
            let path = folder.join("client-key.pem");
            let key = fs::read_to_string(&path).expect("a key");
            fs::write(path, key.trim_end().replace('\n', between)).expect("written");
        })
        .await;
        assert_eq!(said.status, 0, "{between:?}: {}", said.text);
        assert!(said.text.contains("caught up: 5 events"), "{}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_place_of_its_name_is_not_repeated() {
    for reference in ["file", "env"] {
        let said = with(move |folder| {
            let key = fs::read_to_string(folder.join("client-key.pem")).expect("a key");
            let line = format!("{{ {reference} = {:?} }}", key.replace('\n', " "));
            edit(folder, "{ file = \"client-key.pem\" }", &line);
        })
        .await;
        assert_eq!(said.status, 2, "{}", said.text);
        assert!(said.text.contains("source.auth.private_key: "), "{}", said.text);
        assert!(said.text.contains("not shown") && !said.text.contains("BEGIN"), "{}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_serves_pages_is_told_with_the_right_one() {
    for (address, right) in [
        ("https://acme.my.site.com/s", "https://acme.my.salesforce.com"),
        ("https://acme--uat--c.sandbox.vf.force.com", "https://acme--uat.sandbox.my.salesforce.com"),
    ] {
        let said = with(move |folder| {
            let path = folder.join("source-host.toml");
            let text = fs::read_to_string(&path).expect("a configuration");
            let line =
                text.lines().find(|line| line.starts_with("instance_url")).expect("an address").to_owned();
            fs::write(path, text.replace(&line, &format!("instance_url = \"{address}\""))).expect("written");
        })
        .await;
        assert_eq!(said.status, 2, "{}", said.text);
        let use_it = format!("use \"{right}\"");
        assert!(said.text.contains("source.instance_url") && said.text.contains(&use_it), "{}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_ours_or_newer_is_refused_and_kept() {
    for (state, part) in [
        ("{\"cursor\": 5}", "was not written by"),
        ("not json", "not JSON"),
        ("{\"format\":\"salesforce-source/state\",\"version\":7}", "version 7"),
    ] {
        let said = with(move |folder| {
            fs::write(folder.join("state.json"), state).expect("written");
            let said = run(folder);
            assert_eq!(fs::read_to_string(folder.join("state.json")).expect("the state"), state);
            assert_eq!(said.status, 2, "{}", said.text);
        })
        .await;
        assert_eq!(said.status, 2, "{}", said.text);
        assert!(said.text.contains(part), "{part}: {}", said.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_not_built_is_told_with_what_to_do() {
    let said = with(|folder| edit(folder, "salesforce-source.wasm", "missing.wasm")).await;
    assert_eq!(said.status, 2, "{}", said.text);
    assert!(said.text.contains("missing.wasm") && said.text.contains("No such file"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_that_the_host_does_not_allow_is_told_with_the_lines_to_add() {
    let said = with(|folder| edit(folder, "allow = [\"127.0.0.1", "allow = [\"127.0.0.2")).await;
    assert_eq!(said.status, 2, "{}", said.text);
    assert!(said.text.contains("[egress]") && said.text.contains("\"127.0.0.1:"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_org_does_not_know_fails_with_status_1_and_says_so() {
    let said = with(|folder| {
        let other = include_str!("../../crates/collector/tests/keys/pkcs8.pem");
        fs::write(folder.join("client-key.pem"), other).expect("written");
    })
    .await;
    assert_eq!(said.status, 1, "{}", said.text);
    assert!(said.text.contains("certificate is uploaded to the app"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_consumer_key_fails_with_status_1_and_says_so() {
    let said = with(|folder| edit(folder, "client_id = \"", "client_id = \"not-")).await;
    assert_eq!(said.status, 1, "{}", said.text);
    assert!(said.text.contains("the consumer key is unknown"), "{}", said.text);
}
