//! What one collector hands to the next: it saves sign-ins, and does nothing else, whatever becomes of it on the way.

use crate::cases::{CONFIG, NOW, configured, configured_with};
use collector::{
    Collector,
    batch::Batch,
    io::{Http, Request, Response, TransportError},
};
use e2e::{
    canned::{CannedFile, CannedOrg, Mishap, StillClock, What},
    random::Random,
};
use serde_json::json;

const TOKEN: &str = "00D!token";
const HOUR: i64 = 3_600_000;
const ENDED: &str = r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;

/// A log of three rows.
fn log() -> Vec<u8> {
    let rows = (0..3).map(|n| format!("\"Login\",\"2026-06-01T10:00:0{n}.000Z\"\n"));
    format!("\"EVENT_TYPE\",\"TIMESTAMP_DERIVED\"\n{}", rows.collect::<String>()).into_bytes()
}

/// An org of Salesforce that notes which hosts requests are for, and may say that it is elsewhere.
struct Org {
    canned: CannedOrg,
    hosts: Vec<String>,
    instance_url: Option<&'static str>,
}

impl Org {
    fn new() -> Self {
        let canned = CannedOrg {
            date: Some("Mon, 01 Jun 2026 14:00:00 GMT"),
            records: Some(String::from("[]")),
            ..CannedOrg::with(vec![CannedFile::new(1, log())])
        };
        Self { canned, hosts: Vec::new(), instance_url: None }
    }

    fn count(&self, part: &str) -> usize {
        self.canned.requests.iter().filter(|path| path.contains(part)).count()
    }

    fn tokens(&self) -> usize {
        self.count("/oauth2/token")
    }
}

impl Http for Org {
    fn send(&mut self, request: &Request) -> Result<Response, TransportError> {
        self.hosts.push(request.authority.clone());
        if let Some(instance_url) = self.instance_url.filter(|_| request.body.is_some()) {
            self.canned.requests.push(request.path.clone());
            let answer = json!({"access_token": TOKEN, "instance_url": instance_url}).to_string();
            let body = Box::new(std::io::Cursor::new(answer.into_bytes()));
            return Ok(Response { status: 200, headers: Vec::new(), body });
        }
        self.canned.send(request)
    }
}

fn poll(collector: &mut Collector, org: &mut Org, clock: &StillClock, state: Option<&str>) -> Batch {
    collector.poll(org, clock, state).expect("a batch")
}

/// What a collector is signed in with that has polled once.
fn session(collector: &mut Collector) -> String {
    poll(collector, &mut Org::new(), &StillClock::at(NOW), None);
    collector.suspend().expect("a session").reveal().to_owned()
}

/// Whether a collector that was given a session goes on with it.
fn is_taken(mut collector: Collector, session: &str) -> bool {
    collector.resume(session);
    collector.suspend().is_some()
}

#[test]
fn a_collector_that_goes_on_with_a_session_asks_just_what_one_that_stayed_would() {
    for more in ["", "\"api_version\": \"latest\","] {
        let (mut org, clock) = (Org::new(), StillClock::at(NOW));
        let mut stays = configured(more);
        let first = poll(&mut stays, &mut org, &clock, None);
        assert_eq!(first.events.len(), 3);
        let session = stays.suspend().expect("a session");

        clock.advance(HOUR);
        let asked = org.canned.requests.len();
        poll(&mut stays, &mut org, &clock, Some(&first.state));
        let would_ask = org.canned.requests.split_off(asked);
        let mut next = configured(more);
        next.resume(session.reveal());
        poll(&mut next, &mut org, &clock, Some(&first.state));
        assert_eq!(org.canned.requests.split_off(asked), would_ask, "{more}");
        assert!(!would_ask.is_empty());
        assert_eq!(org.tokens(), 1);
    }
}

#[test]
fn where_the_clocks_of_the_host_disagree_the_org_is_asked_what_time_it_is_and_for_no_token() {
    let (mut org, clock) = (Org::new(), StillClock::at(NOW));
    let collector = || configured_with(&[("event_log_file", "object")]);
    let mut first = collector();
    let batch = poll(&mut first, &mut org, &clock, None);
    let session = first.suspend().expect("a session");

    // Somebody has set one of them back.
    struct SetBack(StillClock);
    impl collector::io::Clock for SetBack {
        fn now_ms(&self) -> i64 {
            self.0.now_ms() - HOUR
        }
        fn elapsed(&self) -> std::time::Duration {
            self.0.elapsed()
        }
    }
    clock.advance(3 * HOUR);
    org.canned.date = Some("Mon, 01 Jun 2026 17:00:00 GMT");
    let mut next = collector();
    next.resume(session.reveal());
    next.poll(&mut org, &SetBack(clock), Some(&batch.state)).expect("a batch");
    assert_eq!(
        (org.tokens(), org.canned.requests.iter().filter(|path| *path == "/services/data").count()),
        (1, 1)
    );
}

#[test]
fn requests_go_where_the_token_answer_said_that_the_org_is() {
    let mut org = Org { instance_url: Some("https://renamed.my.salesforce.com"), ..Org::new() };
    let clock = StillClock::at(NOW);
    let mut first = configured("");
    let batch = poll(&mut first, &mut org, &clock, None);
    clock.advance(HOUR);
    org.hosts.clear();
    let mut next = configured("");
    next.resume(first.suspend().expect("a session").reveal());
    poll(&mut next, &mut org, &clock, Some(&batch.state));
    let queries = org.hosts.iter().filter(|host| *host == "renamed.my.salesforce.com").count();
    assert!(queries > 0 && org.tokens() == 1, "{:?}", org.hosts);
}

#[test]
fn a_session_is_for_whoever_signs_in_alike_and_for_nobody_else() {
    let flow = |name: &str, more: &str| {
        let (_, rest) = CONFIG.split_once("\"auth\": {").expect("a table");
        let (auth, _) = rest.split_once('}').expect("its end");
        configured_with(&[(auth, &format!("\"flow\": \"{name}\", {more}"))])
    };
    let client = r#""client_id": "3MVG9.acme", "client_secret": "hunter2""#;
    let password = format!(r#"{client}, "username": "collector@acme.com", "password": "hunter3""#);
    let other = |text: &str, from: &str, to: &str| text.replacen(from, to, 1);

    let own = session(&mut configured(""));
    assert!(is_taken(configured(""), &own));
    // What is collected, and how, does not matter.
    assert!(is_taken(configured("\"format\": \"raw\", \"api_quota_share\": 0.1,"), &own));
    assert!(is_taken(configured_with(&[("event_log_file", "object")]), &own));
    for (from, to) in [
        ("https://acme.my", "https://acme2.my"),
        ("{", "{\"api_version\": \"66.0\","),
        ("{", "{\"api_version\": \"latest\","),
        ("3MVG9.acme", "3MVG9.other"),
        ("collector@acme.com", "other@acme.com"),
        ("\"flow\"", "\"token_url\": \"https://login.salesforce.com\", \"flow\""),
        ("\"flow\"", "\"audience\": \"https://test.salesforce.com\", \"flow\""),
    ] {
        assert!(!is_taken(configured_with(&[(from, to)]), &own), "{to}");
    }
    let key = salesforce_sim::generate_key().and_then(|key| key.pkcs8_pem()).expect("a key");
    let key = key.replace('\n', "\\n");
    assert!(!is_taken(configured_with(&[("@KEY@", &key)]), &own), "another key");
    assert!(!is_taken(flow("client-credentials", client), &own), "another flow");

    let own = session(&mut flow("client-credentials", client));
    assert!(is_taken(flow("client-credentials", client), &own));
    assert!(!is_taken(flow("client-credentials", &other(client, "hunter2", "hunter4")), &own));

    let own = session(&mut flow("username-password", &password));
    assert!(is_taken(flow("username-password", &password), &own));
    for (from, to) in [
        ("hunter2", "hunter4"),
        ("hunter3", "hunter4"),
        ("hunter3\"", "hunter3\", \"security_token\": \"x\""),
        ("collector@", "other@"),
    ] {
        assert!(!is_taken(flow("username-password", &other(&password, from, to)), &own), "{to}");
    }
}

#[test]
fn a_session_that_is_damaged_in_any_way_is_ignored() {
    let own = session(&mut configured(""));
    let taken = |text: &[u8]| is_taken(configured(""), &String::from_utf8_lossy(text));
    assert!(taken(own.as_bytes()));
    // A key is read for each of them, so they share one.
    let mut collector = configured("");
    let mut taken = |text: &[u8]| {
        collector.resume(&String::from_utf8_lossy(text));
        collector.suspend().is_some()
    };
    for end in 0..own.len() {
        assert!(!taken(&own.as_bytes()[..end]), "cut at {end}");
        assert!(!taken(&own.as_bytes()[own.len() - end..]), "cut before {end}");
    }
    for at in 0..own.len() {
        for bit in 0..8 {
            let mut text = own.clone().into_bytes();
            text[at] ^= 1 << bit;
            // The digest may be written in capitals.
            let same = text.eq_ignore_ascii_case(own.as_bytes()) && at < 64;
            assert!(same || !taken(&text), "bit {bit} of byte {at}");
        }
    }
    let mut random = Random::new(20_261_127);
    for _ in 0..2_000 {
        let length = random.below(600);
        let text: Vec<u8> = (0..length).map(|_| random.bits().to_le_bytes()[0]).collect();
        assert!(!taken(&text));
    }
    assert!(!taken(&[own.as_bytes(), b" "].concat()));
    assert!(!taken(&own.as_bytes()[64..]));
    // In the end it signs in as ever, and asks nobody else.
    let mut org = Org::new();
    assert_eq!(poll(&mut collector, &mut org, &StillClock::at(NOW), None).events.len(), 3);
    assert_eq!(org.tokens(), 1);
    assert!(org.hosts.iter().all(|host| host == "acme.my.salesforce.com"), "{:?}", org.hosts);
}

#[test]
fn a_session_that_the_org_has_ended_is_renewed_once_and_nothing_is_told() {
    let (mut org, clock) = (Org::new(), StillClock::at(NOW));
    let expected = poll(&mut configured(""), &mut org, &clock, None);
    let own = session(&mut configured(""));
    for path in ["/query", "/LogFile"] {
        let mut org = Org::new();
        org.canned.mishaps.push(Mishap { path, what: What::Answer(401, ENDED) });
        let mut next = configured("");
        next.resume(&own);
        let batch = poll(&mut next, &mut org, &clock, None);
        assert_eq!(batch.events, expected.events, "{path}");
        assert_eq!((org.tokens(), batch.stats.token_requests), (1, 1), "{path}");
        assert!(batch.problems.is_empty(), "{path}: {:?}", batch.problems);
    }
}

#[test]
fn a_path_that_no_new_token_helps_causes_no_more_sign_ins_than_it_does_for_one_that_stays() {
    let sign_ins = |fresh: bool| {
        let streams = "\"history\": {\"object\": {\"name\": \"LoginHistory\"}}, \"login\"";
        let collector = || configured_with(&[("\"login\"", streams)]);
        let (mut org, clock) = (Org::new(), StillClock::at(NOW));
        org.canned.date = None;
        org.canned.always.push((String::from("FROM+LoginHistory"), 401, ENDED));
        let (mut instance, mut state) = (collector(), None::<String>);
        for _ in 0..20 {
            state = Some(poll(&mut instance, &mut org, &clock, state.as_deref()).state);
            if fresh {
                let session = instance.suspend().expect("a session");
                instance = collector();
                instance.resume(session.reveal());
            }
            clock.advance(HOUR);
        }
        assert!(org.count("FROM+LoginHistory") > 2);
        org.tokens()
    };
    assert_eq!(sign_ins(true), sign_ins(false));
}

#[test]
fn a_session_shows_itself_nowhere() {
    let (mut org, clock) = (Org::new(), StillClock::at(NOW));
    let mut first = configured("");
    assert!(first.suspend().is_none(), "there is none before it has signed in");
    assert!(Collector::new().suspend().is_none());
    poll(&mut first, &mut org, &clock, None);
    let session = first.suspend().expect("a session");
    assert!(session.reveal().contains(TOKEN) && session.reveal().len() < 1024);
    assert_eq!(format!("{session:?}"), "Secret(…)");
    let mut next = configured("");
    next.resume(session.reveal());
    let batch = poll(&mut next, &mut org, &clock, None);
    let shown = format!("{:?}{:?}{}", batch.events, batch.problems, batch.state);
    assert!(!shown.contains(TOKEN) && !shown.contains(&session.reveal()[..64]), "{shown}");
}

#[test]
fn a_session_that_comes_too_early_or_too_late_is_ignored() {
    let own = session(&mut configured(""));
    let mut unconfigured = Collector::new();
    unconfigured.resume(&own);
    assert!(unconfigured.suspend().is_none());

    let mut org = Org { instance_url: Some("https://renamed.my.salesforce.com"), ..Org::new() };
    let clock = StillClock::at(NOW);
    let mut collector = configured("");
    poll(&mut collector, &mut org, &clock, None);
    let signed_in = collector.suspend().expect("a session");
    collector.resume(&own);
    assert_eq!(collector.suspend().expect("a session").reveal(), signed_in.reveal());
}
