//! What is sent for a token, and to whom: the addresses and words of the configuration, however they were written.

use crate::cases::NOW;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use collector::{
    Collector,
    check::Verdict,
    io::{Http, Request, Response, TransportError},
};
use e2e::canned::{CannedFile, CannedOrg, StillClock};
use serde_json::{Value, json};

const KEY: &str = include_str!("../../crates/collector/tests/keys/pkcs8.pem");
const FILE: &str = "\"EVENT_TYPE\",\"TIMESTAMP_DERIVED\"\n\"Login\",\"2026-06-01T10:00:00.000Z\"\n";

/// An org that notes what it is sent for a token, and who is asked for anything.
struct Door {
    org: CannedOrg,
    forms: Vec<String>,
    asked: Vec<String>,
    /// Where its token answer says that it is.
    told: Option<&'static str>,
}

impl Door {
    fn new() -> Self {
        let org = CannedOrg::with(vec![CannedFile::new(1, FILE.as_bytes())]);
        Self { org, forms: Vec::new(), asked: Vec::new(), told: None }
    }

    /// What stands in the form that was sent, decoded.
    fn sent(&self, name: &str) -> String {
        let form = self.forms.last().expect("a form");
        let value = form_urlencoded::parse(form.as_bytes()).find(|(key, _)| key == name);
        value.expect(name).1.into_owned()
    }

    /// A claim of the assertion that was sent.
    fn claim(&self, name: &str) -> Value {
        let assertion = self.sent("assertion");
        let claims = assertion.split('.').nth(1).expect("three parts");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
        serde_json::from_slice::<Value>(&claims).expect("JSON")[name].clone()
    }
}

impl Http for Door {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        self.asked.push(request.authority.clone());
        let Some(form) = &request.body else { return self.org.send(request) };
        self.forms.push(form.reveal().to_owned());
        let answer = json!({"access_token": "00D!token", "instance_url": self.told}).to_string();
        let body = Box::new(std::io::Cursor::new(answer.into_bytes()));
        Ok(Response { status: 200, headers: Vec::new(), body })
    }
}

fn config(instance_url: &str) -> Value {
    json!({
        "instance_url": instance_url,
        "auth": {"flow": "jwt-bearer", "client_id": "3MVG9.acme", "username": "collector@acme.com", "private_key": KEY},
        "streams": {"login": {"event_log_file": {}}},
    })
}

fn configured(config: &Value) -> Collector {
    let mut collector = Collector::new();
    collector.configure(&config.to_string()).expect("a valid configuration");
    collector
}

/// Collects the one event there is.
fn collect(config: &Value, door: &mut Door) {
    let batch = configured(config).poll(door, &StillClock::at(NOW), None).expect("a batch");
    assert_eq!((batch.events.len(), batch.problems.len()), (1, 0), "{:?}", batch.problems);
}

#[test]
fn an_assertion_is_for_the_audience_that_the_address_stands_for() {
    let (sandbox, production) = ("https://test.salesforce.com", "https://login.salesforce.com");
    for (instance_url, token_url, audience, sent) in [
        ("https://acme--uat.sandbox.my.salesforce.com", None, None, sandbox),
        ("https://acme.scratch.my.salesforce.com/", None, None, sandbox),
        ("https://acme--uat.sandbox.my.salesforce.com", Some(sandbox), None, sandbox),
        ("https://proxy.acme.com", Some("https://test.salesforce.com/services/oauth2/token"), None, sandbox),
        ("https://proxy.acme.com", Some("https://acme--uat.sandbox.my.salesforce.com"), None, sandbox),
        ("https://acme.my.salesforce.com", None, None, production),
        ("https://acme-dev-ed.develop.my.salesforce.com", None, None, production),
        ("https://acme.my.salesforce.com", Some(production), None, production),
        ("http://127.0.0.1:8080", None, None, production),
        // Who names one gets it, with no slash behind it.
        (
            "https://acme--uat.sandbox.my.salesforce.com",
            None,
            Some("https://login.salesforce.com/"),
            production,
        ),
        ("https://acme.my.salesforce.com", None, Some(" https://test.salesforce.com//"), sandbox),
        (
            "https://acme.my.salesforce.com",
            None,
            Some("https://acme.my.site.com/x"),
            "https://acme.my.site.com/x",
        ),
    ] {
        let mut config = config(instance_url);
        token_url.iter().for_each(|url| config["auth"]["token_url"] = json!(url));
        audience.iter().for_each(|audience| config["auth"]["audience"] = json!(audience));
        let mut door = Door::new();
        collect(&config, &mut door);
        assert_eq!(door.claim("aud"), json!(sent), "{instance_url} {token_url:?} {audience:?}");
    }
}

#[test]
fn a_check_warns_of_an_audience_or_an_address_that_does_not_fit() {
    let findings = |config: &Value| configured(config).check(&mut Door::new(), &StillClock::at(NOW));
    let mut sandbox = config("https://acme--uat.sandbox.my.salesforce.com");
    assert!(
        findings(&sandbox)
            .iter()
            .all(|finding| finding.verdict != Verdict::Warn || finding.name != "auth.audience")
    );
    sandbox["auth"]["audience"] = json!("https://login.salesforce.com");
    let mut crossed = config("https://acme--uat.sandbox.my.salesforce.com");
    crossed["auth"]["token_url"] = json!("https://login.salesforce.com");
    for (config, name, part) in [
        (sandbox, "auth.audience", "\"https://test.salesforce.com\""),
        (crossed, "auth.token_url", "\"https://test.salesforce.com\""),
        (config("https://acme--uat.my.salesforce.com"), "auth.audience", "if it is one"),
        (config("https://acme.force.com"), "instance_url", "Setup, My Domain shows it"),
        (config("https://proxy.acme.com"), "instance_url", "secrets and tokens are sent there"),
    ] {
        let findings = findings(&config);
        let finding = findings.iter().find(|finding| finding.name == name).expect(name);
        assert_eq!(finding.verdict, Verdict::Warn, "{finding:?}");
        assert!(finding.hint.as_deref().is_some_and(|hint| hint.contains(part)), "{finding:?}");
        // It stands before the sign-in, whose failure it may explain.
        let at = |name: &str| findings.iter().position(|finding| finding.name == name);
        assert!(at(name) < at("sign-in"), "{findings:?}");
    }
}

#[test]
fn slashes_behind_an_address_change_nothing() {
    for (instance_url, token_url, told) in [
        (
            "https://acme.my.salesforce.com/",
            "https://acme.my.salesforce.com/",
            "https://acme.my.salesforce.com/",
        ),
        (
            " https://acme.my.salesforce.com// ",
            "https://acme.my.salesforce.com//",
            "https://ACME.my.salesforce.com//",
        ),
        (
            "https://acme.my.salesforce.com:443/",
            "https://acme.my.salesforce.com:443/services/oauth2/token/",
            "https://acme.my.salesforce.com:443",
        ),
        (
            "https://acme.my.salesforce.com\n",
            "\u{feff}https://acme.my.salesforce.com\r\n",
            "https://acme.my.salesforce.com/",
        ),
    ] {
        let mut config = config(instance_url);
        config["auth"]["token_url"] = json!(token_url);
        assert_eq!(
            Collector::new().configure(&config.to_string()).expect("a valid configuration").authorities,
            ["acme.my.salesforce.com"],
            "{instance_url:?}"
        );
        let mut door = Door { told: Some(told), ..Door::new() };
        let mut collector = configured(&config);
        let batch = collector.poll(&mut door, &StillClock::at(NOW), None).expect("a batch");
        assert_eq!((batch.events.len(), batch.problems.len()), (1, 0), "{:?}", batch.problems);
        assert!(door.asked.iter().all(|host| host == "acme.my.salesforce.com"), "{:?}", door.asked);
        // A different org would be named.
        let findings = collector.check(&mut door, &StillClock::at(NOW));
        assert!(!findings.iter().any(|finding| finding.name == "org-address"), "{findings:?}");
        // And the state is of the same org, whichever way it is written.
        let plain = self::config("https://acme.my.salesforce.com");
        let again = configured(&plain).poll(&mut Door::new(), &StillClock::at(NOW), Some(&batch.state));
        assert!(again.is_ok_and(|batch| batch.events.is_empty()), "{instance_url:?}");
    }
}

#[test]
fn what_stands_around_a_word_or_a_password_is_not_sent() {
    for (before, after) in [("", "\n"), ("", "\r\n"), ("\u{feff}", ""), ("", "\n\n"), ("\n", "\n")] {
        let around = |word: &str| format!("{before}{word}{after}");
        let mut config = config("https://acme.my.salesforce.com");
        config["auth"] = json!({
            "flow": "username-password",
            "client_id": around("3MVG9.acme"),
            "client_secret": around("c4n4ry-secret"),
            "username": around(" collector@acme.com\t"),
            "password": around("pass word"),
            "security_token": around(" t0ken\u{200b} "),
        });
        let mut door = Door::new();
        collect(&config, &mut door);
        for (name, sent) in [
            ("client_id", "3MVG9.acme"),
            ("client_secret", "c4n4ry-secret"),
            ("username", "collector@acme.com"),
            ("password", "pass wordt0ken"),
        ] {
            assert_eq!(door.sent(name), sent, "{before:?} {after:?}");
        }
    }
}

#[test]
fn a_version_of_the_api_is_asked_for_as_it_was_meant_however_new_it_is() {
    for (written, asked) in [
        ("65.0", "/v65.0/"),
        ("68.0", "/v68.0/"),
        ("v68.0", "/v68.0/"),
        (" V70.0 ", "/v70.0/"),
        ("123.0", "/v123.0/"),
    ] {
        let mut config = config("https://acme.my.salesforce.com");
        config["api_version"] = json!(written);
        let mut door = Door::new();
        collect(&config, &mut door);
        assert!(
            door.org.requests.iter().any(|path| path.contains(asked)),
            "{written}: {:?}",
            door.org.requests
        );
    }
}

#[test]
fn a_big_object_of_the_orgs_own_is_asked_for_the_fields_that_are_named_and_for_no_key() {
    let mut config = config("https://acme.my.salesforce.com");
    config["streams"] = json!({"readings": {"object": {
        "name": "Readings__b",
        "cursor_field": "At__c",
        "fields": ["Meter__c", "At__c"],
    }}});
    let record = |meter: u32| {
        json!({
            "attributes": {"type": "Readings__b"},
            "At__c": "2026-06-01T10:00:00.000+0000",
            "Meter__c": format!("M{meter}"),
        })
    };
    let records: Vec<Value> = (0..5).map(record).collect();
    let mut door = Door::new();
    door.org.records = Some(Value::Array(records).to_string());
    let batch = configured(&config).poll(&mut door, &StillClock::at(NOW), None).expect("a batch");
    assert!(batch.problems.is_empty(), "{:?}", batch.problems);
    let id = |event: &String| {
        let event: Value = serde_json::from_str(event).expect("an event");
        event["event"]["id"].as_str().expect("an id").to_owned()
    };
    let ids: std::collections::BTreeSet<String> = batch.events.iter().map(id).collect();
    assert_eq!((batch.events.len(), ids.len()), (5, 5), "{ids:?}");
    let query = door.org.requests.iter().find(|path| path.contains("/query")).expect("a query");
    assert!(query.contains("SELECT+At__c%2C+Meter__c+FROM+Readings__b+WHERE+At__c+%3E%3D+"), "{query}");
    assert!(
        !query.contains("EventIdentifier") && !query.contains("ORDER") && !query.contains("FIELDS"),
        "{query}"
    );
}
