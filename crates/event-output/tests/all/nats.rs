//! JetStream, with a real server. Left out, and said so, where there is none: set `NATS_SERVER` to one of 2.14 or newer.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::{Log, SECRET, id_of};
use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use event_output::conformance::{Fault, Rig, conforms, endures, events};
use event_output::{DeadLetters, Nats, NatsAuthentication, NatsSettings, Output, OutputErrorKind};

fn program() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.venv/bin");
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::var_os("NATS_SERVER").map(PathBuf::from).or_else(|| {
        std::env::split_paths(&folders)
            .chain([installed])
            .map(|f| f.join("nats-server"))
            .find(|p| p.is_file())
    });
    if found.is_none() {
        // Not by the macro, whose text is kept back from those whose tests pass.
        let _ = writeln!(
            std::io::stderr(),
            "left out: there is no nats-server; `make setup` installs one, or name it in NATS_SERVER"
        );
    }
    found
}

/// A server of its own, killed at the end.
struct Server {
    program: PathBuf,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl Server {
    fn start(program: PathBuf, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { program, folder, arguments, port: 0, child: None };
        server.revive();
        server
    }

    /// Starts it, at its old port, and returns once it is ready.
    fn revive(&mut self) {
        if self.child.is_some() {
            return;
        }
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let mut child = Command::new(&self.program)
            .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        for line in lines.by_ref() {
            if let Some((_, address)) = line.split_once("Listening for client connections on 127.0.0.1:") {
                self.port = address.trim().parse().unwrap();
            }
            if line.contains("Server is ready") {
                break;
            }
        }
        // Read on, or the server would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn stream(&self) -> jetstream::Context {
        let options = async_nats::ConnectOptions::new().token(SECRET.into());
        jetstream::new(options.connect(self.url()).await.unwrap())
    }

    async fn ids(&self) -> Vec<String> {
        let stream = self.stream().await.get_stream("LOGS").await.unwrap();
        let state = &stream.cached_info().state;
        let mut ids = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            ids.push(id_of(std::str::from_utf8(&message.payload).unwrap()));
        }
        ids
    }

    fn settings(&self) -> NatsSettings {
        let mut settings = NatsSettings::new(self.url());
        settings.authentication = NatsAuthentication::Token(SECRET.into());
        settings.stream = Some("LOGS".into());
        settings.ack_timeout = Duration::from_secs(2);
        settings.in_flight = 10;
        settings
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn config() -> Config {
    Config {
        name: "LOGS".into(),
        subjects: vec!["logs.>".into()],
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    }
}

struct Real {
    server: Server,
    stopped: bool,
}

impl Rig for Real {
    const ORDERED: bool = true;
    const ONCE: bool = true;

    fn output(&mut self) -> Box<dyn Output> {
        let settings = self.server.settings();
        assert!(!format!("{settings:?}").contains(SECRET));
        Box::new(Nats::new(settings).unwrap())
    }

    async fn behave(&mut self, fault: Fault) -> bool {
        if self.stopped {
            self.server.signal("-CONT");
            self.stopped = false;
        }
        if fault == Fault::Down {
            self.server.kill();
            return true;
        }
        self.server.revive();
        match fault {
            Fault::None => {
                self.server.stream().await.update_stream(config()).await.unwrap();
            }
            Fault::Silent => {
                self.server.signal("-STOP");
                self.stopped = true;
            }
            Fault::Refuses => {
                let config = Config { subjects: vec!["other".into()], ..config() };
                self.server.stream().await.update_stream(config).await.unwrap();
            }
            Fault::TakesHalf => {
                let limit = self.server.ids().await.len() + 20;
                let config = Config { max_messages: i64::try_from(limit).unwrap(), ..config() };
                self.server.stream().await.update_stream(config).await.unwrap();
            }
            _ => return false,
        }
        true
    }

    async fn arrived(&mut self) -> Vec<String> {
        self.server.ids().await
    }

    /// A stopped server is asked as soon as the delivery began.
    fn was_asked(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.into()]
    }
}

async fn with_stream(program: PathBuf) -> Server {
    let server = Server::start(program, &["--auth", SECRET]);
    server.stream().await.create_stream(config()).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_stands_every_fault() {
    let Some(program) = program() else { return };
    let log = Log::keep();
    let server = with_stream(program).await;
    conforms(&mut Real { server, stopped: false }, 45).await;
    // The client of this test is made with the secret as well, and logs it no more than the output's.
    assert!(!log.text().contains(SECRET), "a secret is logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_whatever_comes_after_what() {
    let Some(program) = program() else { return };
    let server = with_stream(program).await;
    endures(&mut Real { server, stopped: false }, 6, 35, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_acknowledged_is_there_and_the_rest_comes_again() {
    let Some(program) = program() else { return };
    let mut server = with_stream(program).await;
    let batch = events(0..20_000);
    let mut settings = server.settings();
    settings.in_flight = 64;
    let mut output = Nats::new(settings).unwrap();
    let watcher = server.stream().await;
    let mut delivery = output.deliver(&batch);
    let wait = async {
        let mut stream = watcher.get_stream("LOGS").await.unwrap();
        while stream.info().await.unwrap().state.messages < 2_000 {}
    };
    tokio::select! {
        _ = &mut delivery => panic!("delivered before the server could be killed"),
        () = wait => server.kill(),
    }
    let error = delivery.await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Unavailable, "{error}");
    let accepted = error.accepted();
    assert!((1..batch.len()).contains(&accepted), "{accepted}");
    server.revive();
    let there = server.stream().await.get_stream("LOGS").await.unwrap().cached_info().state.messages;
    assert!(there >= accepted as u64, "{there} of {accepted} that were acknowledged");
    let delivered = output.deliver(&batch[accepted..]).await.unwrap();
    assert_eq!(delivered.events, (batch.len() - accepted) as u64);
    let there = server.stream().await.get_stream("LOGS").await.unwrap().cached_info().state.messages;
    assert_eq!(there, batch.len() as u64, "once by id, {} were repeated", delivered.duplicates);
}

#[tokio::test]
async fn credentials_permissions_and_streams_are_told_apart() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.conf");
    std::fs::write(
        &file,
        format!(
            r#"authorization {{ users = [
                {{user: all, password: "{SECRET}"}}
                {{user: narrow, password: "{SECRET}", permissions: {{publish: ["other", "$JS.API.>"]}}}} ] }}
            max_payload: 2000"#
        ),
    )
    .unwrap();
    let server = Server::start(program, &["-c", file.to_str().unwrap()]);
    let as_user = |user: &str, password: &str| {
        let mut settings = server.settings();
        settings.stream = None;
        settings.authentication = NatsAuthentication::User { user: user.into(), password: password.into() };
        settings
    };

    let error = Nats::new(as_user("all", "wrong")).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("check the credentials"), "{error}");

    let mut output = Nats::new(as_user("all", SECRET)).unwrap();
    let error = output.deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("logs.*.*; create one"), "{error}");
    assert_eq!(output.check().await.unwrap_err().kind(), OutputErrorKind::Refused);

    let options = async_nats::ConnectOptions::new().user_and_password("all".into(), SECRET.into());
    let stream = jetstream::new(options.connect(server.url()).await.unwrap());
    stream.create_stream(config()).await.unwrap();
    let seen = output.check().await.unwrap();
    assert!(seen.contains("stream LOGS") && seen.contains("120 seconds"), "{seen}");

    let dead = folder.path().join("dead.ndjson");
    let mut settings = as_user("all", SECRET);
    settings.dead_letters = Some(DeadLetters::new(&dead));
    let mut batch = events(0..3);
    batch[1] = format!(r#"{{"event":{{"id":"long"}},"message":"{}"}}"#, "x".repeat(3000));
    let delivered = Nats::new(settings).unwrap().deliver(&batch).await.unwrap();
    assert_eq!((delivered.events, delivered.set_aside), (2, 1));
    assert!(std::fs::read_to_string(&dead).unwrap().contains("too large"));

    // Once more, with no file for it: what stands behind it comes again, so it does not count.
    let error = output.deliver(&batch).await.unwrap_err();
    let counted = (error.accepted(), error.delivered().events, error.delivered().duplicates);
    assert_eq!(counted, (1, 1, 1), "{error}");

    let error = Nats::new(as_user("narrow", SECRET)).unwrap().deliver(&events(9..10)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("grant them"), "{error}");

    let mut settings = as_user("all", SECRET);
    settings.stream = Some("OTHER".into());
    let error = Nats::new(settings).unwrap().deliver(&events(9..10)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_does_not_matter_where_another_is_there() {
    let Some(program) = program() else { return };
    let server = with_stream(program).await;
    // Nobody listens at port 1.
    for servers in [["nats://127.0.0.1:1".into(), server.url()], [server.url(), "nats://127.0.0.1:1".into()]]
    {
        let mut settings = server.settings();
        settings.servers = servers.into();
        Nats::new(settings).unwrap().deliver(&events(0..3)).await.unwrap();
    }
    let mut settings = server.settings();
    settings.servers = vec!["nats://127.0.0.1:1".into()];
    let error = Nats::new(settings).unwrap().deliver(&events(0..3)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_server_with_tls_is_trusted_by_its_authority_alone() {
    let Some(program) = program() else { return };
    let authority = Authority::new();
    let (certificate, key) = authority.server_files();
    let server = Server::start(program, &["--tls", "--tlscert", &certificate, "--tlskey", &key]);
    let mut settings = NatsSettings::new(server.url().replace("nats://", "tls://"));
    let error = Nats::new(settings.clone()).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert_eq!(error.kind(), OutputErrorKind::Refused, "{error}");
    settings.ca_file = Some(authority.ca_file());
    let error = Nats::new(settings).unwrap().deliver(&events(0..1)).await.unwrap_err();
    assert!(error.to_string().contains("create one"), "{error}");
}
