//! Every output stands every fault of its receiver. NATS is tried in `nats`, with a real server.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::fake::{Answer, Fake, Request};
use crate::support::{Log, SECRET, id_of};
use event_output::conformance::{Fault, Rig, conforms, endures};
use event_output::*;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

/// Which protocol the fake speaks.
#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    Http,
    Elasticsearch,
    Otlp,
}

/// A receiver over HTTP, with outputs to it.
struct Web {
    speaks: Speaks,
    fake: Fake,
    there: Arc<There>,
    asked: usize,
}

/// What the receiver keeps.
struct There {
    fault: Mutex<Fault>,
    since: AtomicUsize,
    ids: Mutex<Vec<String>>,
}

impl There {
    fn answer(&self, speaks: Speaks, request: &Request) -> Answer {
        let fault = *self.fault.lock().unwrap();
        let since = self.since.fetch_add(1, Ordering::SeqCst);
        if fault == Fault::Refuses {
            // Some servers echo what they were sent.
            let echo = format!("no: {:?}", request.headers.get("authorization"));
            return Answer::Status(401, vec![], echo.into_bytes());
        }
        let busy = || Answer::Status(503, vec![("retry-after", "7".into())], b"busy".to_vec());
        if fault == Fault::TakesHalf && speaks != Speaks::Elasticsearch && since >= 2 {
            return busy();
        }
        if fault == Fault::Dies && since >= 2 {
            return Answer::Die;
        }
        let body = match speaks {
            Speaks::Http => {
                self.ids.lock().unwrap().extend(request.lines().iter().map(|line| id_of(line)));
                Vec::new()
            }
            Speaks::Otlp => {
                self.ids.lock().unwrap().extend(ids_of_records(&request.body));
                Vec::new()
            }
            Speaks::Elasticsearch if request.method == "GET" => {
                br#"{"cluster_name":"fake","version":{"number":"9.1.0"},"tagline":"You Know, for Search"}"#
                    .to_vec()
            }
            Speaks::Elasticsearch => self.create(request, fault == Fault::TakesHalf),
        };
        match fault {
            Fault::Tears => Answer::Tear,
            Fault::Silent => Answer::Silence,
            _ => Answer::Status(200, vec![("content-type", "application/json".into())], body),
        }
    }

    fn create(&self, request: &Request, half: bool) -> Vec<u8> {
        let mut ids = self.ids.lock().unwrap();
        let mut known: HashSet<String> = ids.iter().cloned().collect();
        let mut items = Vec::new();
        for pair in request.lines().chunks(2) {
            let action: serde_json::Value = serde_json::from_str(&pair[0]).unwrap();
            assert_eq!(action["create"]["_index"], "logs-a.b-default");
            let id = action["create"]["_id"].as_str().unwrap().to_owned();
            assert_eq!(id, id_of(&pair[1]));
            let status = if half && id.ends_with(['1', '3', '5', '7', '9']) {
                429
            } else if known.insert(id.clone()) {
                ids.push(id);
                201
            } else {
                409
            };
            items.push(serde_json::json!({"create": {"status": status}}));
        }
        serde_json::json!({ "items": items }).to_string().into_bytes()
    }
}

fn ids_of_records(body: &[u8]) -> Vec<String> {
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let records = request.resource_logs.into_iter().flat_map(|r| r.scope_logs).flat_map(|s| s.log_records);
    records
        .map(|record| {
            let uid = record.attributes.iter().find(|pair| pair.key == "log.record.uid").unwrap();
            match uid.value.clone().unwrap().value.unwrap() {
                Value::StringValue(id) => id,
                _ => panic!("the id is no text"),
            }
        })
        .collect()
}

impl Web {
    async fn start(speaks: Speaks) -> Self {
        let there = Arc::new(There {
            fault: Mutex::new(Fault::None),
            since: AtomicUsize::new(0),
            ids: Mutex::default(),
        });
        let kept = there.clone();
        let fake = Fake::start(move |request| kept.answer(speaks, request)).await;
        Self { speaks, fake, there, asked: 0 }
    }
}

/// Whether the promise of the output is "once" differs by protocol, so it is a parameter.
struct Promising<const ORDERED: bool, const ONCE: bool>(Web);

impl<const IN_ORDER: bool, const BY_ID: bool> Rig for Promising<IN_ORDER, BY_ID> {
    const ORDERED: bool = IN_ORDER;
    const ONCE: bool = BY_ID;

    fn output(&mut self) -> Box<dyn Output> {
        let secret = ("authorization".to_owned(), Secret::new(format!("Bearer {SECRET}")));
        match self.0.speaks {
            Speaks::Http => {
                let mut settings = HttpSettings::new(self.0.fake.url(&format!("/in/{SECRET}?key={SECRET}")));
                settings.web.headers.push(secret);
                settings.web.max_events = 10;
                assert!(!format!("{settings:?}").contains(SECRET));
                Box::new(Http::new(settings).unwrap())
            }
            Speaks::Otlp => {
                let mut settings = OtlpSettings::new(self.0.fake.url(""));
                settings.web.headers.push(secret);
                settings.web.max_events = 10;
                assert!(!format!("{settings:?}").contains(SECRET));
                Box::new(Otlp::new(settings).unwrap())
            }
            Speaks::Elasticsearch => {
                let mut settings = ElasticsearchSettings::new(self.0.fake.url(""));
                settings.authentication = Authentication::Bearer(SECRET.into());
                settings.web.max_events = 10;
                settings.pause = Duration::ZERO;
                assert!(!format!("{settings:?}").contains(SECRET));
                Box::new(Elasticsearch::new(settings).unwrap())
            }
        }
    }

    async fn behave(&mut self, fault: Fault) -> bool {
        if fault == Fault::Down {
            self.0.fake.kill().await;
        } else {
            self.0.fake.revive().await;
        }
        *self.0.there.fault.lock().unwrap() = fault;
        self.0.there.since.store(0, Ordering::SeqCst);
        self.0.asked = self.0.fake.asked();
        true
    }

    async fn arrived(&mut self) -> Vec<String> {
        self.0.there.ids.lock().unwrap().clone()
    }

    fn was_asked(&self) -> bool {
        self.0.fake.asked() > self.0.asked
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.into()]
    }
}

#[tokio::test]
async fn http_stands_every_fault() {
    let log = Log::keep();
    conforms(&mut Promising::<true, false>(Web::start(Speaks::Http).await), 45).await;
    assert!(log.text().contains("hyper"), "the log of the libraries is not kept");
    assert!(!log.text().contains(SECRET), "a secret is logged");
}

#[tokio::test]
async fn elasticsearch_stands_every_fault() {
    let log = Log::keep();
    conforms(&mut Promising::<false, true>(Web::start(Speaks::Elasticsearch).await), 45).await;
    assert!(!log.text().contains(SECRET), "a secret is logged");
}

#[tokio::test]
async fn otlp_stands_every_fault() {
    let log = Log::keep();
    conforms(&mut Promising::<true, false>(Web::start(Speaks::Otlp).await), 45).await;
    assert!(!log.text().contains(SECRET), "a secret is logged");
}

#[tokio::test]
async fn no_event_is_lost_whatever_comes_after_what() {
    for seed in 1..=5 {
        endures(&mut Promising::<true, false>(Web::start(Speaks::Http).await), 12, 35, seed).await;
        endures(&mut Promising::<false, true>(Web::start(Speaks::Elasticsearch).await), 12, 35, seed).await;
        endures(&mut Promising::<true, false>(Web::start(Speaks::Otlp).await), 12, 35, seed).await;
    }
}

/// A file whose folder may go away.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn there(&self) -> PathBuf {
        self.folder.path().join("out")
    }
    fn away(&self) -> PathBuf {
        self.folder.path().join("away")
    }
}

impl Rig for Folder {
    const ORDERED: bool = true;
    const ONCE: bool = true;

    fn output(&mut self) -> Box<dyn Output> {
        let mut settings = FileSettings::new(self.there().join("events.ndjson"));
        settings.rotate_bytes = Some(10_000);
        Box::new(EventFile::open(settings).unwrap())
    }

    async fn behave(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::None if self.away().exists() => std::fs::rename(self.away(), self.there()).unwrap(),
            Fault::None => {}
            Fault::Refuses => std::fs::rename(self.there(), self.away()).unwrap(),
            _ => return false,
        }
        true
    }

    async fn arrived(&mut self) -> Vec<String> {
        let folder = if self.away().exists() { self.away() } else { self.there() };
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end != "lock"));
        // Those that were rotated have names that sort, and the current one is the newest.
        files.sort_by_key(|file| (file.extension().is_some_and(|end| end == "ndjson"), file.clone()));
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        text.lines().map(id_of).collect()
    }

    fn was_asked(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_file_stands_a_folder_that_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    conforms(&mut Folder { folder }, 45).await;
}

/// A pipe, whose reader may go away.
#[derive(Clone, Default)]
struct Pipe {
    text: Arc<Mutex<Vec<u8>>>,
    gone: Arc<AtomicBool>,
}

impl Write for Pipe {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.text.lock().unwrap().write(text)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rig for Pipe {
    const ORDERED: bool = true;
    const ONCE: bool = true;

    fn output(&mut self) -> Box<dyn Output> {
        Box::new(Lines::new(self.clone(), "a pipe").unwrap())
    }

    async fn behave(&mut self, fault: Fault) -> bool {
        self.gone.store(fault == Fault::Down, Ordering::SeqCst);
        matches!(fault, Fault::None | Fault::Down)
    }

    async fn arrived(&mut self) -> Vec<String> {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap().lines().map(id_of).collect()
    }

    fn was_asked(&self) -> bool {
        false
    }

    fn kind(&self, _: Fault) -> OutputErrorKind {
        OutputErrorKind::Closed
    }
}

#[tokio::test]
async fn lines_stand_a_reader_that_goes_away() {
    conforms(&mut Pipe::default(), 45).await;
}
