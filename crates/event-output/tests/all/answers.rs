//! What each answer of a server leads to.

use std::path::Path;
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::fake::{Answer, Fake};
use crate::support::{SECRET, id_of};
use event_output::conformance::events;
use event_output::*;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

/// The dead letters in a file: reason and id.
fn dead(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let id = line["event"]["event"]["id"].as_str().unwrap_or_default().to_owned();
            (line["reason"].as_str().unwrap().to_owned(), id)
        })
        .collect()
}

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("dead.ndjson")
    }
    fn letters(&self) -> Option<DeadLetters> {
        Some(DeadLetters::new(self.path()))
    }
    fn dead(&self) -> Vec<(String, String)> {
        dead(&self.path())
    }
}

fn http(fake: &Fake, fixture: &Fixture) -> HttpSettings {
    let mut settings = HttpSettings::new(fake.url("/in"));
    settings.web.dead_letters = fixture.letters();
    settings
}

#[tokio::test]
async fn every_status_over_http_leads_to_its_action() {
    use OutputErrorKind::{Refused, Unavailable};
    let fake = Fake::start(|request| {
        let status = request.headers["x-answer"].parse().unwrap();
        Answer::Status(status, vec![("retry-after", "120".into())], b"said".to_vec())
    })
    .await;
    for (status, kind) in [
        (200, None),
        (201, None),
        (202, None),
        (204, None),
        (301, Some(Refused)),
        (304, Some(Refused)),
        (307, Some(Refused)),
        (400, None),
        (401, Some(Refused)),
        (403, Some(Refused)),
        (404, Some(Refused)),
        (405, Some(Refused)),
        (407, Some(Refused)),
        (408, Some(Unavailable)),
        (413, None),
        (415, Some(Refused)),
        (422, None),
        (425, Some(Unavailable)),
        (429, Some(Unavailable)),
        (500, Some(Unavailable)),
        (502, Some(Unavailable)),
        (503, Some(Unavailable)),
        (504, Some(Unavailable)),
        (507, Some(Unavailable)),
    ] {
        let fixture = Fixture::new();
        let mut settings = http(&fake, &fixture);
        settings.web.headers.push(("x-answer".into(), Secret::new(status.to_string())));
        let result = Http::new(settings).unwrap().deliver(&events(0..3)).await;
        match (result, kind) {
            (Ok(delivered), None) => {
                let aside = if status >= 400 { 3 } else { 0 };
                assert_eq!((delivered.set_aside, delivered.events), (aside, 3 - aside), "{status}");
                assert_eq!(fixture.dead().len() as u64, aside, "{status}");
            }
            (Err(error), Some(kind)) => {
                assert_eq!((error.kind(), error.accepted()), (kind, 0), "{status}: {error}");
                let wait = (kind == Unavailable).then_some(Duration::from_secs(120));
                assert_eq!(error.retry_after(), wait, "{status}");
                assert!(error.to_string().contains(&status.to_string()), "{error}");
                assert!(!fixture.path().exists(), "{status}");
            }
            (result, _) => panic!("{status}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_split_and_only_what_is_too_large_alone_is_set_aside() {
    let fake = Fake::start(|request| Answer::status(if request.body.len() > 400 { 413 } else { 200 })).await;
    let fixture = Fixture::new();
    let mut batch = events(0..9);
    batch[4] = format!(r#"{{"event":{{"id":"long"}},"message":"{}"}}"#, "x".repeat(500));
    let delivered = Http::new(http(&fake, &fixture)).unwrap().deliver(&batch).await.unwrap();
    assert_eq!((delivered.events, delivered.set_aside), (8, 1));
    assert_eq!(fixture.dead()[0].1, "long");
    let taken: Vec<String> = fake
        .requests()
        .iter()
        .filter(|request| request.body.len() <= 400)
        .flat_map(|request| request.lines().iter().map(|line| id_of(line)).collect::<Vec<_>>())
        .collect();
    assert_eq!(taken.len(), 8);
    assert!(taken.is_sorted());
}

#[tokio::test]
async fn what_is_never_taken_is_refused_without_a_dead_letter_file_and_nothing_is_lost() {
    let fake = Fake::start(|request| {
        let bad = request.lines().iter().any(|line| id_of(line) == "000003");
        Answer::status(if bad { 422 } else { 200 })
    })
    .await;
    let mut settings = HttpSettings::new(fake.url("/in"));
    settings.web.max_events = 2;
    let error = Http::new(settings).unwrap().deliver(&events(0..9)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Refused, 2));
    assert_eq!(error.delivered().events, 2);
    assert!(error.to_string().contains("422"), "{error}");
}

#[tokio::test]
async fn what_was_taken_before_a_failure_does_not_come_again() {
    let fake = Fake::start(|request| {
        let busy = request.lines().iter().any(|line| id_of(line) == "000005");
        Answer::status(if busy { 503 } else { 200 })
    })
    .await;
    let mut settings = HttpSettings::new(fake.url("/in"));
    settings.web.max_events = 2;
    let error = Http::new(settings).unwrap().deliver(&events(0..9)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Unavailable, 4));
    assert_eq!((error.delivered().events, error.delivered().requests), (4, 3));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_is_named_without_what_may_be_a_token() {
    let other = Fake::start(|_| Answer::status(200)).await;
    let to = other.url(&format!("/v2/in?token={SECRET}"));
    let fake = Fake::start(move |_| Answer::Status(308, vec![("location", to.clone())], vec![])).await;
    let fixture = Fixture::new();
    let error = Http::new(http(&fake, &fixture)).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused);
    assert!(error.to_string().contains(&other.url("/v2/in")), "{error}");
    assert!(!error.to_string().contains(SECRET), "{error}");
    assert_eq!(other.asked(), 0);
}

#[tokio::test]
async fn bodies_are_arrays_or_lines_compressed_as_set() {
    let fake = Fake::start(|_| Answer::status(200)).await;
    let batch = events(0..3);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        for format in [Format::Ndjson, Format::JsonArray] {
            let mut settings = HttpSettings::new(fake.url("/in"));
            settings.method = SendMethod::Put;
            settings.web.compression = compression;
            settings.format = format;
            let delivered = Http::new(settings).unwrap().deliver(&batch).await.unwrap();
            let request = fake.requests().pop().unwrap();
            assert_eq!(request.method, "PUT");
            assert_eq!(request.headers["content-length"], delivered.bytes_sent.to_string());
            let text = String::from_utf8(request.body).unwrap();
            match format {
                Format::JsonArray => assert_eq!(text, format!("[{}]", batch.join(","))),
                _ => assert_eq!(text, format!("{}\n", batch.join("\n"))),
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let fake = Fake::start(|_| Answer::Silence).await;
    let mut settings = HttpSettings::new(fake.url("/in"));
    settings.web.transport.timeout = Duration::from_secs(1);
    let error = Http::new(settings).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Unavailable);
    assert!(error.to_string().contains("in time"), "{error}");
}

#[tokio::test]
async fn a_check_over_http_tells_what_head_shows() {
    for (status, fine) in
        [(200, true), (405, true), (404, true), (401, false), (403, false), (503, false), (302, false)]
    {
        let fake = Fake::start(move |_| Answer::status(status)).await;
        let fixture = Fixture::new();
        let seen = Http::new(http(&fake, &fixture)).unwrap().check().await;
        assert_eq!(seen.is_ok(), fine, "{status}: {seen:?}");
        assert_eq!(fake.requests()[0].method, "HEAD");
    }
}

#[tokio::test]
async fn a_proxy_is_used_with_its_password_and_never_shows_it() {
    let proxy = Fake::start(|_| Answer::status(502)).await;
    let mut settings = HttpSettings::new("http://logs.example.com/in");
    settings.web.transport.proxy = Some(Secret::new(format!("http://user:{SECRET}@{}", proxy.address)));
    assert!(!format!("{settings:?}").contains(SECRET));
    let error = Http::new(settings).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert!(!error.to_string().contains(SECRET), "{error}");
    let request = proxy.requests().pop().unwrap();
    assert_eq!(request.target, "http://logs.example.com/in");
    assert!(request.headers.contains_key("proxy-authorization"));
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_alone() {
    let authority = Authority::new();
    let fake = Fake::start_with(|_| Answer::status(200), Some(authority.server(false))).await;
    let url = fake.url("/in").replace("http://", "https://");
    let error = Http::new(HttpSettings::new(&url)).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused);
    assert!(error.to_string().contains("name its authority in ca_file"), "{error}");
    assert_eq!(fake.asked(), 0);
    let mut settings = HttpSettings::new(&url);
    settings.web.transport.ca_file = Some(authority.ca_file());
    assert_eq!(Http::new(settings).unwrap().deliver(&events(0..1)).await.unwrap().events, 1);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it_or_says_so() {
    let authority = Authority::new();
    let fake = Fake::start_with(|_| Answer::status(200), Some(authority.server(true))).await;
    let mut settings = HttpSettings::new(fake.url("/in").replace("http://", "https://"));
    settings.web.transport.ca_file = Some(authority.ca_file());
    let error = Http::new(settings.clone()).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(fake.asked(), 0, "{error}");
    settings.web.transport.client_certificate = Some(authority.client());
    let mut output = Http::new(settings.clone()).unwrap();
    assert_eq!(output.deliver(&events(0..1)).await.unwrap().events, 1);
    output.reopen();
    assert_eq!(output.deliver(&events(0..1)).await.unwrap().events, 1);
    settings.web.transport.ca_file = Some("/nowhere.pem".into());
    assert_eq!(settings.validate().unwrap_err().problems()[0].setting, "ca_file");
}

#[tokio::test]
async fn outputs_of_one_process_share_a_dead_letter_file_and_another_process_does_not() {
    let fake = Fake::start(|_| Answer::status(400)).await;
    let fixture = Fixture::new();
    let shared = http(&fake, &fixture);
    for n in 0..3 {
        Http::new(shared.clone()).unwrap().deliver(&events(n..n + 1)).await.unwrap();
    }
    assert_eq!(fixture.dead().len(), 3);
    // Not a clone: as if another process had it.
    let error = Http::new(http(&fake, &fixture)).unwrap().deliver(&events(3..4)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Mistake, 0));
    assert!(
        error.to_string().contains("dead-letter file") && error.to_string().contains("in use"),
        "{error}"
    );
}

/// A cluster that answers each document by its id.
async fn cluster(answer: impl Fn(&str) -> serde_json::Value + Send + Sync + 'static) -> Fake {
    Fake::start(move |request| {
        let items: Vec<serde_json::Value> = request
            .lines()
            .chunks(2)
            .map(|pair| serde_json::json!({"create": answer(&id_of(&pair[1]))}))
            .collect();
        Answer::Status(200, vec![], serde_json::json!({ "items": items }).to_string().into_bytes())
    })
    .await
}

fn elasticsearch(fake: &Fake, fixture: &Fixture) -> ElasticsearchSettings {
    let mut settings = ElasticsearchSettings::new(fake.url(""));
    settings.web.dead_letters = fixture.letters();
    settings.pause = Duration::ZERO;
    settings
}

#[tokio::test]
async fn a_document_that_cannot_be_mapped_is_set_aside_with_the_reason_and_a_known_one_is_a_duplicate() {
    let fake = cluster(|id| match id {
        "000001" => serde_json::json!({"status": 400, "error": {
            "type": "document_parsing_exception", "reason": "failed to parse field [source.ip]",
            "caused_by": {"reason": "'x' is not an IP string literal."}}}),
        "000002" => serde_json::json!({"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "exists"}}),
        _ => serde_json::json!({"status": 201}),
    })
    .await;
    let fixture = Fixture::new();
    let delivered =
        Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().deliver(&events(0..5)).await.unwrap();
    assert_eq!((delivered.events, delivered.duplicates, delivered.set_aside), (4, 1, 1));
    let dead = fixture.dead();
    assert_eq!(dead[0].1, "000001");
    assert!(dead[0].0.contains("source.ip") && dead[0].0.contains("not an IP"), "{dead:?}");
}

#[tokio::test]
async fn only_documents_without_capacity_are_sent_again_and_nothing_is_set_aside_twice() {
    let fake = cluster(|id| match id {
        "000002" => serde_json::json!({"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue full"}}),
        "000003" => serde_json::json!({"status": 400}),
        "000001" => serde_json::json!({"status": 400}),
        _ => serde_json::json!({"status": 201}),
    })
    .await;
    let fixture = Fixture::new();
    let mut output = Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap();
    let error = output.deliver(&events(0..5)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Unavailable, 2));
    assert!(error.to_string().contains("queue full"), "{error}");
    assert_eq!((error.delivered().events, error.delivered().set_aside), (1, 1));
    let sizes: Vec<usize> = fake.requests().iter().map(|request| request.lines().len() / 2).collect();
    assert_eq!(sizes, [5, 1, 1, 1]);
    assert_eq!(fixture.dead().len(), 1);
    output.deliver(&events(2..5)).await.unwrap_err();
    assert_eq!(fixture.dead().len(), 1, "what comes again was set aside already");
}

#[tokio::test]
async fn what_cannot_be_set_aside_is_not_accepted() {
    let fake = cluster(|id| serde_json::json!({"status": if id == "000002" { 400 } else { 201 }})).await;
    let mut settings = ElasticsearchSettings::new(fake.url(""));
    settings.web.dead_letters = None;
    let error = Elasticsearch::new(settings).unwrap().deliver(&events(0..5)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Refused, 2));
    assert_eq!((error.delivered().events, error.delivered().set_aside), (2, 0));
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path()).unwrap();
    let error =
        Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().deliver(&events(0..5)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Mistake, 2));
}

#[tokio::test]
async fn a_document_that_may_not_be_created_stops_the_delivery_and_is_not_set_aside() {
    let fake = cluster(|id| match id {
        "000002" => serde_json::json!({"status": 403, "error": {"type": "security_exception", "reason": "action [indices:data/write/bulk] is unauthorized"}}),
        _ => serde_json::json!({"status": 201}),
    })
    .await;
    let fixture = Fixture::new();
    let error =
        Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().deliver(&events(0..5)).await.unwrap_err();
    assert_eq!((error.kind(), error.accepted()), (OutputErrorKind::Refused, 2));
    assert!(error.to_string().contains("unauthorized"), "{error}");
    assert!(!fixture.path().exists());
}

#[tokio::test]
async fn an_event_for_another_index_is_set_aside_and_never_sent() {
    let fake = cluster(|_| serde_json::json!({"status": 201})).await;
    let fixture = Fixture::new();
    let batch = [
        r#"{"event":{"id":"1"},"data_stream":{"dataset":"../_security"}}"#.to_owned(),
        "{\"event\":{\"id\":\"2\"},\n\"x\":1}".to_owned(),
        "no json".to_owned(),
    ];
    let delivered =
        Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().deliver(&batch).await.unwrap();
    assert_eq!((delivered.events, delivered.set_aside), (1, 2));
    assert_eq!(fake.requests()[0].lines().len(), 2);
    assert!(fixture.dead()[0].0.contains("data_stream.dataset"), "{:?}", fixture.dead());
}

#[tokio::test]
async fn a_bulk_request_that_is_too_large_is_split() {
    let fake = Fake::start(|request| {
        let lines = request.lines().len();
        if lines > 4 {
            return Answer::status(413);
        }
        let items = vec![serde_json::json!({"create": {"status": 201}}); lines / 2];
        Answer::Status(200, vec![], serde_json::json!({ "items": items }).to_string().into_bytes())
    })
    .await;
    let fixture = Fixture::new();
    let delivered =
        Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().deliver(&events(0..9)).await.unwrap();
    assert_eq!((delivered.events, delivered.set_aside), (9, 0));
}

#[tokio::test]
async fn what_is_not_elasticsearch_is_told() {
    let login = Fake::start(|_| Answer::Status(200, vec![], b"<html>log in</html>".to_vec())).await;
    let fixture = Fixture::new();
    let mut output = Elasticsearch::new(elasticsearch(&login, &fixture)).unwrap();
    let error = output.deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused);
    assert!(error.to_string().contains("did not answer like Elasticsearch"), "{error}");
    assert_eq!(output.check().await.unwrap_err().kind(), OutputErrorKind::Refused);
}

#[tokio::test]
async fn a_check_of_elasticsearch_names_cluster_and_version_or_says_why_not() {
    let fixture = Fixture::new();
    for (status, body, expected) in [
        (200, r#"{"cluster_name":"logs","version":{"number":"9.1.0"}}"#, Ok("cluster logs")),
        (
            403,
            r#"{"error":{"type":"security_exception","reason":"unauthorized"},"status":403}"#,
            Ok("monitor"),
        ),
        (
            401,
            r#"{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}"#,
            Err("unable to authenticate"),
        ),
        (503, "", Err("503")),
    ] {
        let fake = Fake::start(move |_| Answer::Status(status, vec![], body.as_bytes().to_vec())).await;
        let seen = Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().check().await;
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert!(seen.contains(expected), "{seen}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (seen, _) => panic!("{status}: {seen:?}"),
        }
    }
}

fn otlp(fake: &Fake, fixture: &Fixture) -> OtlpSettings {
    let mut settings = OtlpSettings::new(fake.url(""));
    settings.web.dead_letters = fixture.letters();
    settings
}

fn protobuf(status: u16, body: Vec<u8>) -> Answer {
    Answer::Status(status, vec![("content-type", "application/x-protobuf".into())], body)
}

#[tokio::test]
async fn a_request_that_is_taken_in_part_is_not_sent_again_and_its_events_are_set_aside() {
    let fake = Fake::start(|request| {
        let request = ExportLogsServiceRequest::decode(&*request.body).unwrap();
        let records = &request.resource_logs[0].scope_logs[0].log_records;
        let full = records.len() == 4;
        let partial_success = full.then(|| ExportLogsPartialSuccess {
            rejected_log_records: 2,
            error_message: "body too long".into(),
        });
        protobuf(200, ExportLogsServiceResponse { partial_success }.encode_to_vec())
    })
    .await;
    let fixture = Fixture::new();
    let mut settings = otlp(&fake, &fixture);
    settings.web.max_events = 4;
    let delivered = Otlp::new(settings).unwrap().deliver(&events(0..6)).await.unwrap();
    assert_eq!((delivered.events, delivered.set_aside, delivered.requests), (2, 4, 2));
    assert!(fixture.dead()[0].0.contains("rejected 2 of 4 log records"), "{:?}", fixture.dead());
    assert!(fixture.dead()[0].0.contains("body too long"));
    assert!(fake.requests().iter().all(|request| request.target == "/v1/logs"));
}

#[tokio::test]
async fn every_status_over_otlp_leads_to_its_action() {
    use OutputErrorKind::{Refused, Unavailable};
    for (status, kind) in [
        (200, None),
        (400, None),
        (401, Some(Refused)),
        (403, Some(Refused)),
        (404, Some(Refused)),
        (429, Some(Unavailable)),
        (500, None),
        (502, Some(Unavailable)),
        (503, Some(Unavailable)),
        (504, Some(Unavailable)),
        (302, Some(Refused)),
    ] {
        // google.rpc.Status with a message.
        let body = b"\x12\x04said".to_vec();
        let fake =
            Fake::start(move |_| protobuf(status, if status == 200 { vec![] } else { body.clone() })).await;
        let fixture = Fixture::new();
        let result = Otlp::new(otlp(&fake, &fixture)).unwrap().deliver(&events(0..3)).await;
        match (result, kind) {
            (Ok(delivered), None) => {
                assert_eq!(delivered.set_aside, if status == 200 { 0 } else { 3 }, "{status}");
            }
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind(), kind, "{status}");
                assert!(error.to_string().contains("said"), "{error}");
            }
            (result, _) => panic!("{status}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn a_check_of_otlp_sends_no_event() {
    let fake = Fake::start(|_| protobuf(200, vec![])).await;
    let fixture = Fixture::new();
    Otlp::new(otlp(&fake, &fixture)).unwrap().check().await.unwrap();
    assert!(fake.requests()[0].body.is_empty());
    let fake = Fake::start(|_| Answer::status(404)).await;
    let error = Otlp::new(otlp(&fake, &fixture)).unwrap().check().await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused);
}

/// The documents that this project expects of its cases, in a format.
fn documents_of_cases(file: &str) -> Vec<String> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/files");
    let mut batch = Vec::new();
    for case in std::fs::read_dir(cases).unwrap() {
        let text = std::fs::read_to_string(case.unwrap().path().join(file)).unwrap_or_default();
        batch.extend(text.lines().map(str::to_owned));
    }
    assert!(batch.len() > 50, "{}", batch.len());
    batch
}

#[tokio::test]
async fn the_documents_of_the_cases_of_this_project_reach_every_receiver() {
    for (file, id) in [("expected.ndjson", "/event/id"), ("expected.ocsf.ndjson", "/metadata/uid")] {
        let batch = documents_of_cases(file);
        let ids: Vec<String> = batch
            .iter()
            .map(|event| {
                let event: serde_json::Value = serde_json::from_str(event).unwrap();
                event.pointer(id).and_then(|id| id.as_str()).unwrap().to_owned()
            })
            .collect();
        let fixture = Fixture::new();
        let count = batch.len() as u64;

        let fake = Fake::start(|request| {
            let items = vec![serde_json::json!({"create": {"status": 201}}); request.lines().len() / 2];
            Answer::Status(200, vec![], serde_json::json!({ "items": items }).to_string().into_bytes())
        })
        .await;
        let delivered =
            Elasticsearch::new(elasticsearch(&fake, &fixture)).unwrap().deliver(&batch).await.unwrap();
        assert_eq!((delivered.events, delivered.set_aside), (count, 0), "{:?}", fixture.dead().first());
        let lines: Vec<String> = fake.requests().iter().flat_map(|request| request.lines()).collect();
        for (pair, id) in lines.chunks(2).zip(&ids) {
            let [action, event] = [&pair[0], &pair[1]].map(|line| serde_json::from_str(line).unwrap());
            let (action, event): (serde_json::Value, serde_json::Value) = (action, event);
            assert_eq!(action["create"]["_id"], **id);
            let index = action["create"]["_index"].as_str().unwrap();
            assert!(index.starts_with("logs-salesforce.") && index.ends_with("-default"), "{index}");
            assert!(event["@timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{event}");
        }

        let fake = Fake::start(|_| protobuf(200, vec![])).await;
        assert_eq!(Otlp::new(otlp(&fake, &fixture)).unwrap().deliver(&batch).await.unwrap().events, count);
        let request = ExportLogsServiceRequest::decode(&*fake.requests()[0].body).unwrap();
        let records = &request.resource_logs[0].scope_logs[0].log_records;
        for (record, id) in records.iter().zip(&ids) {
            assert!(record.time_unix_nano > 0 && record.event_name.starts_with("salesforce."), "{record:?}");
            let uid = record.attributes.iter().find(|attribute| attribute.key == "log.record.uid").unwrap();
            let uid = uid.value.as_ref().and_then(|value| value.value.as_ref());
            assert!(matches!(uid, Some(Value::StringValue(uid)) if uid == id), "{uid:?}");
        }
    }
}
