//! Whom the collector asks, and when it stops asking.

use crate::cases::{NOW, configured, configured_with};
use collector::{
    Collector,
    io::{Http, Request, Response, TransportError},
    problem::Kind,
};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use serde_json::json;

const FILE: &str = "\"EVENT_TYPE\",\"TIMESTAMP_DERIVED\"\n\"Login\",\"2026-06-01T10:00:00.000Z\"\n";

/// An org that notes whom requests are for, and says what it likes in its headers.
struct Watched {
    org: CannedOrg,
    asked: Vec<(String, String)>,
    denied: Option<&'static str>,
    token_answer: String,
    headers: Vec<(&'static str, String)>,
}

impl Watched {
    fn new() -> Self {
        let token_answer = json!({"access_token": "00D!token"}).to_string();
        let org = CannedOrg::with(vec![CannedFile::new(1, FILE.as_bytes())]);
        Self { org, asked: Vec::new(), denied: None, token_answer, headers: Vec::new() }
    }

    fn at(instance_url: &str) -> Self {
        let answer = json!({"access_token": "00D!token", "instance_url": instance_url});
        Self { token_answer: answer.to_string(), ..Self::new() }
    }

    fn usage(&mut self, used: u32) {
        self.headers = vec![("sforce-limit-info", format!("api-usage={used}/1000"))];
    }

    /// Hosts that queries and downloads were for.
    fn hosts(&self) -> Vec<&str> {
        let data = self.asked.iter().filter(|(_, path)| path.starts_with("/services/data/v"));
        data.map(|(host, _)| host.as_str()).collect()
    }
}

impl Http for Watched {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        if self.denied == Some(request.authority.as_str()) {
            return Err(TransportError::Denied(String::from("denied")));
        }
        self.asked.push((request.authority.clone(), request.path.clone()));
        if request.body.is_some() && self.org.mishaps.is_empty() {
            let body = Box::new(std::io::Cursor::new(self.token_answer.clone().into_bytes()));
            return Ok(Response { status: 200, headers: Vec::new(), body });
        }
        let mut response = self.org.send(request)?;
        response.headers.extend(self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(response)
    }
}

fn poll(collector: &mut Collector, org: &mut Watched) -> Result<usize, String> {
    let batch = collector.poll(org, &StillClock::at(NOW), None);
    batch.map(|batch| batch.events.len()).map_err(|failure| failure.problem.to_string())
}

#[test]
fn requests_follow_the_token_answer_to_an_org_of_salesforce() {
    let mut org = Watched::at("https://renamed.my.salesforce.com");
    assert_eq!(poll(&mut configured(""), &mut org), Ok(1));
    assert_eq!(org.hosts(), ["renamed.my.salesforce.com", "renamed.my.salesforce.com"]);
}

#[test]
fn requests_do_not_follow_the_token_answer_anywhere_else() {
    for elsewhere in [
        "https://evil.example",
        "https://acme.my.salesforce.com.evil.example",
        "http://renamed.my.salesforce.com",
        "https://acme.my.site.com",
        "https://login.salesforce.com",
        "not a URL",
        "",
    ] {
        let mut org = Watched::at(elsewhere);
        assert_eq!(poll(&mut configured(""), &mut org), Ok(1), "{elsewhere}");
        assert_eq!(org.hosts(), ["acme.my.salesforce.com", "acme.my.salesforce.com"], "{elsewhere}");
    }
}

#[test]
fn where_the_host_does_not_allow_the_told_address_the_configured_one_is_used_and_a_check_names_both() {
    let mut org = Watched::at("https://renamed.my.salesforce.com");
    org.denied = Some("renamed.my.salesforce.com");
    let mut collector = configured("");
    assert_eq!(poll(&mut collector, &mut org), Ok(1));
    assert_eq!(org.hosts(), ["acme.my.salesforce.com", "acme.my.salesforce.com"]);

    let findings = collector.check(&mut org, &StillClock::at(NOW));
    let finding = findings.iter().find(|finding| finding.name == "org-address").expect("a finding");
    for part in ["https://renamed.my.salesforce.com", "https://acme.my.salesforce.com"] {
        assert!(finding.message.contains(part), "{}", finding.message);
    }
}

#[test]
fn a_refusal_that_may_come_of_the_address_names_both() {
    struct NotReset(Watched);
    impl Http for NotReset {
        fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
            if request.path.contains("/query") {
                let body = br#"[{"errorCode":"URL_NOT_RESET","message":"Destination URL not reset."}]"#;
                return Ok(Response { status: 404, headers: Vec::new(), body: Box::new(&body[..]) });
            }
            self.0.send(request)
        }
    }
    let mut org = NotReset(Watched::at("https://evil.example"));
    let failure = configured("").poll(&mut org, &StillClock::at(NOW), None).expect_err("a failure");
    let said = failure.problem.to_string();
    assert_eq!(failure.problem.kind, Kind::Config);
    assert!(
        said.contains("https://evil.example") && said.contains("https://acme.my.salesforce.com"),
        "{said}"
    );
}

#[test]
fn the_newest_version_is_asked_for_once() {
    let mut org = Watched::new();
    let mut collector = configured("\"api_version\": \"latest\",");
    assert_eq!(poll(&mut collector, &mut org), Ok(1));
    assert_eq!(poll(&mut collector, &mut org), Ok(1));
    let versions = org.asked.iter().filter(|(_, path)| path == "/services/data").count();
    assert_eq!(versions, 1, "{:?}", org.asked);
    assert!(org.asked.iter().any(|(_, path)| path.starts_with("/services/data/v65.0/query")));
}

#[test]
fn a_version_that_the_org_does_not_have_names_the_nearest() {
    struct NotFound(Watched);
    impl Http for NotFound {
        fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
            if request.path.starts_with("/services/data/v") {
                let body =
                    br#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
                return Ok(Response { status: 404, headers: Vec::new(), body: Box::new(&body[..]) });
            }
            self.0.send(request)
        }
    }
    for (wanted, nearest) in [("99.0", "65.0"), ("52.0", "64.0")] {
        let mut org = NotFound(Watched::new());
        let mut collector = configured(&format!("\"api_version\": \"{wanted}\","));
        let failure = collector.poll(&mut org, &StillClock::at(NOW), None).expect_err("a failure");
        let said = failure.problem.to_string();
        assert_eq!(
            (failure.problem.kind, failure.problem.path.as_deref()),
            (Kind::Config, Some("api_version"))
        );
        assert!(said.contains(wanted) && said.contains(&format!("\"{nearest}\"")), "{said}");
    }
}

#[test]
fn a_share_of_the_allowance_that_is_used_up_stops_polls_until_a_probe_finds_it_free() {
    let mut org = Watched::new();
    let clock = StillClock::at(NOW);
    let mut collector = configured("\"api_quota_share\": 0.5,");
    org.usage(499);
    let mut batch = collector.poll(&mut org, &clock, None).expect("a batch");
    assert!(batch.problems.is_empty(), "{:?}", batch.problems);

    // The file is listed; then the share is used up.
    org.org.files.push(CannedFile {
        created: String::from("2026-06-01T14:30:00.000+0000"),
        ..CannedFile::new(2, FILE.as_bytes())
    });
    org.usage(500);
    clock.advance(i64::from(batch.next_poll_ms));
    let mut asked = org.asked.len();
    batch = collector.poll(&mut org, &clock, Some(&batch.state)).expect("what was listed is kept");
    assert_eq!(org.asked.len(), asked + 1, "{:?}", &org.asked[asked..]);
    let problem = &batch.problems[0];
    assert_eq!(problem.kind, Kind::RateLimited);
    assert!(problem.message.contains("500 of its 1000") && problem.message.contains("50 %"), "{problem}");
    assert!(problem.retry_after_ms.is_some_and(|wait| wait >= 45_000), "{problem:?}");
    assert_eq!(Some(batch.next_poll_ms), problem.retry_after_ms);

    // Waits grow, and each ends with one request; a fresh instance does not forget. A check asks all the same.
    let mut state = batch.state;
    let mut events = 0;
    for _ in 0..8 {
        collector = configured("\"api_quota_share\": 0.5,");
        let failure = collector.poll(&mut org, &clock, Some(&state)).expect_err("it waits");
        assert!(failure.problem.message.contains("500 of its 1000"), "{}", failure.problem);
        assert!(
            !collector
                .check(&mut org, &clock)
                .iter()
                .any(|found| found.name == "sign-in" && found.hint.is_some())
        );
        clock.advance(i64::from(failure.problem.retry_after_ms.expect("a wait")));
        asked = org.hosts().len();
        state = match collector.poll(&mut org, &clock, Some(&state)) {
            // The one request may be the download of what was listed.
            Ok(batch) => {
                events += batch.events.len();
                batch.state
            }
            Err(failure) => failure.state.expect("a state"),
        };
        assert_eq!(org.hosts().len(), asked + 1);
    }
    let value: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!(value["backoff"]["attempts"], 9, "{state}");

    org.usage(10);
    clock.advance(3_600_000);
    let batch = collector.poll(&mut org, &clock, Some(&state)).expect("a batch");
    assert_eq!((events + batch.events.len(), batch.problems.len()), (1, 0), "{:?}", batch.problems);
}

#[test]
fn an_allowance_that_is_used_up_stops_every_source_at_once() {
    let more = ("\"event_log_file\": {}", "\"event_log_file\": {}, \"object\": {}");
    let mut org = Watched::new();
    let mut collector = configured_with(&[more]);
    collector.check(&mut org, &StillClock::at(NOW));
    let refusal = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
    for _ in 0..9 {
        org.org.mishaps.push(Mishap { path: "/services/data", what: What::Answer(403, refusal) });
    }
    let asked = org.asked.len();
    let failure = collector.poll(&mut org, &StillClock::at(NOW), None).expect_err("a failure");
    assert_eq!(failure.problem.kind, Kind::RateLimited);
    assert_eq!(org.asked.len(), asked + 1, "{:?}", &org.asked[asked..]);
}

#[test]
fn what_retry_after_asks_for_is_waited_in_seconds_or_up_to_a_date() {
    struct Busy(Watched, &'static str);
    impl Http for Busy {
        fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
            let mut response = self.0.send(request)?;
            if request.path.contains("/query") {
                response.status = 503;
                let date = String::from("Mon, 01 Jun 2026 14:00:00 GMT");
                response.headers =
                    vec![(String::from("date"), date), (String::from("retry-after"), self.1.to_owned())];
            }
            Ok(response)
        }
    }
    for (header, wait) in [
        ("7200", 7_200_000),
        ("Mon, 01 Jun 2026 16:00:00 GMT", 7_200_000),
        ("99999999", 24 * 3_600_000),
        ("Mon, 01 Jun 2026 13:00:00 GMT", 2_000),
        ("soon", 2_000),
    ] {
        let mut org = Busy(Watched::new(), header);
        let failure = configured("").poll(&mut org, &StillClock::at(NOW), None).expect_err("a failure");
        let waited = failure.problem.retry_after_ms.expect("a wait");
        assert!((wait * 3 / 4..=wait).contains(&waited), "{header}: {waited}");
    }
}
