//! Many tenants in one process: the program as an operator runs it, against simulated orgs.

use e2e::{hosted::component_path, org::TestOrg, truth::Delivered};
use salesforce_sim::{Interval, OrgSettings, Rows, Workload};
use serde_json::Value;
use source_host_cli::serve::{Answer, Ask, TenantStatus, ask};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Far beyond what anything here takes on any machine that can build it.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn org(rows: u64) -> TestOrg {
    org_with(Workload { hours: 4, rows: Rows::Total(rows), ..Workload::default() }).await
}

pub async fn org_with(workload: Workload) -> TestOrg {
    TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org")
}

/// A folder that is served, with what lies beside it.
pub struct Fixture {
    folder: TempDir,
    beside: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            beside: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.toml"))
    }

    pub fn output(&self, name: &str) -> PathBuf {
        self.beside.path().join(format!("{name}.ndjson"))
    }

    /// A tenant that collects from an org into a file of its own; its state is kept by the server.
    pub fn add(&self, name: &str, org: &TestOrg) {
        self.write(name, &self.config(name, org));
    }

    pub fn config(&self, name: &str, org: &TestOrg) -> String {
        let own = self.beside.path().join(name);
        fs::create_dir_all(&own).expect("a folder");
        let output = format!("kind = \"file\"\npath = {:?}", self.output(name));
        let config = org.write_config(&own, &output, "").expect("a configuration");
        let text = fs::read_to_string(config).expect("a configuration");
        let key = format!("{:?}", own.join("client-key.pem"));
        text.replace("\"client-key.pem\"", &key).replace("[state]\npath = \"state.json\"\n", "")
    }

    /// Takes its place at once, as a careful operator's file does.
    pub fn write(&self, name: &str, text: &str) {
        let draft = self.beside.path().join("draft");
        fs::write(&draft, text).expect("written");
        fs::rename(draft, self.file(name)).expect("moved");
    }

    pub fn serve(&self) -> Server<'_> {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, arguments: &[&str]) -> Server<'_> {
        let said = File::options().create(true).append(true).open(self.said()).expect("a file");
        let mut command = crate::host();
        command.arg("serve").arg(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        Server { fixture: self, child: command.spawn().expect("the host") }
    }

    fn said(&self) -> PathBuf {
        self.beside.path().join("said.txt")
    }

    pub fn tenants(&self, arguments: &[&str]) -> Option<String> {
        let mut command = crate::host();
        let output =
            command.arg("tenants").arg(self.folder.path()).args(arguments).output().expect("the host");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What is said where a command does not succeed.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let mut command = crate::host();
        let output =
            command.arg("tenants").arg(self.folder.path()).args(arguments).output().expect("the host");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What its servers have said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.said()).unwrap_or_default()
    }

    /// Where its server tells metrics.
    fn address(&self) -> String {
        let started = Instant::now();
        loop {
            let log = self.log();
            if let Some(rest) = log.split_once("address=").map(|(_, rest)| rest)
                && let Some((address, _)) = rest.split_once(char::is_whitespace)
            {
                return address.to_owned();
            }
            assert!(started.elapsed() < PATIENCE, "{log}");
        }
    }

    /// A tenant of the component that does this, and is well behaved where it has no such name.
    fn add_hostile(&self, name: &str, does: &str, more: &str) {
        let component = component_path().with_file_name("hostile-source.wasm");
        let output = self.output(name);
        self.write(
            name,
            &format!("component = {component:?}\n[source]\ndo = \"{does}\"\n{more}\n[output]\nkind = \"file\"\npath = {output:?}\n"),
        );
    }

    /// What all tenants are at, asked as `tenants` asks, and by no program that has to be started first.
    async fn all(&self) -> BTreeMap<String, TenantStatus> {
        match ask(self.folder.path(), &Ask::Status).await {
            Ok(Answer::Tenants(all)) => all.into_iter().map(|one| (one.tenant.clone(), one)).collect(),
            _ => BTreeMap::new(),
        }
    }

    /// How long it takes until a tenant has been polled more than so often.
    async fn polled(&self, name: &str, more_than: u64) -> Duration {
        let started = Instant::now();
        loop {
            let all = self.all().await;
            if all.get(name).is_some_and(|one| one.polls > more_than && one.state == "waiting") {
                return started.elapsed();
            }
            assert!(started.elapsed() < PATIENCE, "{name} is never polled: {all:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How long polls of a tenant take that are asked for one after the other, in order.
    async fn polls(&self, name: &str, times: usize) -> Vec<Duration> {
        let mut took = Vec::new();
        for _ in 0..times {
            let before = self.all().await[name].polls;
            let started = Instant::now();
            let asked = ask(self.folder.path(), &Ask::Poll { tenant: name.to_owned() }).await;
            assert!(matches!(asked, Ok(Answer::Done(_))), "{asked:?}");
            self.polled(name, before).await;
            took.push(started.elapsed());
        }
        took.sort();
        took
    }

    /// What a tenant is at, if there is a server and it knows it.
    fn status(&self, name: &str) -> Option<Value> {
        let all: Vec<Value> = serde_json::from_str(&self.tenants(&["list", "--json"])?).expect("JSON");
        all.into_iter().find(|one| one["tenant"] == name)
    }

    /// Comes back once a tenant is at what is asked for.
    pub fn wait(&self, name: &str, what: &str, is: impl Fn(Option<&Value>) -> bool) {
        let started = Instant::now();
        loop {
            let status = self.status(name);
            if is(status.as_ref()) {
                return;
            }
            let said = fs::read_to_string(self.said()).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "{name} is never {what}: {status:?}\n{said}");
        }
    }

    pub fn wait_for_events(&self, name: &str, rows: u64) {
        self.wait(name, "done", |status| {
            status.is_some_and(|one| one["events"].as_u64() >= Some(rows) && one["state"] == "waiting")
        });
    }

    pub fn delivered(&self, name: &str) -> Delivered {
        let mut delivered = Delivered::default();
        delivered.read(File::open(self.output(name)).expect("its events")).expect("events");
        delivered
    }
}

pub struct Server<'a> {
    fixture: &'a Fixture,
    child: Child,
}

impl Server<'_> {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Ends it as a service manager does, and returns what it said.
    pub fn stop(mut self) -> String {
        self.signal("-TERM");
        let status = self.child.wait().expect("an end");
        let said = fs::read_to_string(self.fixture.said()).expect("what it said");
        assert!(status.success(), "{said}");
        said
    }

    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Where a test fails before its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn is_complete(delivered: &Delivered, org: &TestOrg) {
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_complete(), "{comparison}");
}

pub fn is_clean(delivered: &Delivered, org: &TestOrg) {
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_of_a_folder_gets_its_own_events_and_what_is_wrong_with_one_stays_with_it() {
    const ROWS: u64 = 2_000;
    let (one, other) = (org(ROWS).await, org(ROWS).await);
    let fixture = Fixture::new();
    fixture.add("acme", &one);
    fixture.add("globex", &other);
    // A file that is none, one with mistakes, a component that computes without end, an output that is down, and a server
    // that refuses the credentials.
    fixture.write("broken", "component = \"c.wasm\n");
    fixture.write(
        "mistaken",
        &fixture.config("mistaken", &one).replace("flow = \"jwt-bearer\"", "flow = \"jwt\""),
    );
    let hostile = component_path().with_file_name("hostile-source.wasm");
    fixture.write(
        "spinner",
        &format!("component = {hostile:?}\n[source]\ndo = \"spin\"\n[limits]\ncpu_time = \"1s\"\n"),
    );
    let down = fixture.config("down", &one);
    let file = format!("kind = \"file\"\npath = {:?}", fixture.output("down"));
    fixture.write("down", &down.replace(&file, "kind = \"http\"\nurl = \"http://127.0.0.1:9/\""));
    fixture
        .write("refused", &fixture.config("refused", &one).replace("username = \"", "username = \"nobody-"));

    let server = fixture.serve();
    fixture.wait_for_events("acme", ROWS);
    fixture.wait_for_events("globex", ROWS);
    for (name, says) in
        [("broken", "not TOML at line 1"), ("mistaken", "line 7: source.auth.flow"), ("refused", "user")]
    {
        fixture.wait(name, "failed", |status| {
            status.is_some_and(|one| one["failed"].as_str().is_some_and(|why| why.contains(says)))
        });
    }
    let said = server.stop();
    assert!(said.contains("the output cannot take events; they wait"), "{said}");
    assert!(said.contains("computed for longer than its limit of 1 s"), "{said}");
    is_clean(&fixture.delivered("acme"), &one);
    is_clean(&fixture.delivered("globex"), &other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_goes_on_where_it_was_and_loses_nothing() {
    const ROWS: u64 = 30_000;
    let org = org(ROWS).await;
    let fixture = Fixture::new();
    for name in ["acme", "globex", "initech"] {
        fixture.write(
            name,
            &fixture.config(name, &org).replace("[source.auth]", "batch.max_events = 500\n[source.auth]"),
        );
    }
    for _ in 0..4 {
        let server = fixture.serve();
        let before = fixture.output("acme").metadata().map_or(0, |file| file.len());
        let started = Instant::now();
        // In the midst of it, wherever that is.
        while fixture.output("acme").metadata().map_or(0, |file| file.len()) <= before + 500_000 {
            assert!(
                started.elapsed() < PATIENCE,
                "{}",
                fs::read_to_string(fixture.said()).unwrap_or_default()
            );
            tokio::task::yield_now().await;
        }
        server.kill();
    }
    let server = fixture.serve();
    for name in ["acme", "globex", "initech"] {
        fixture.wait(name, "done", |status| status.is_some_and(|one| one["state"] == "waiting"));
    }
    server.stop();
    for name in ["acme", "globex", "initech"] {
        is_complete(&fixture.delivered(name), &org);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_come_change_pause_and_go_while_the_others_go_on() {
    const ROWS: u64 = 400;
    let org = org(ROWS).await;
    let fixture = Fixture::new();
    fixture.add("acme", &org);
    let server = fixture.serve();
    fixture.wait_for_events("acme", ROWS);

    fixture.add("globex", &org);
    fixture.wait_for_events("globex", ROWS);

    // Mended as soon as its file is.
    fixture.write("initech", "component = \"no/such.wasm\"");
    fixture.wait("initech", "failed", |status| status.is_some_and(|one| one["state"] == "failed"));
    fixture.add("initech", &org);
    fixture.wait_for_events("initech", ROWS);

    assert_eq!(fixture.tenants(&["pause", "globex"]).as_deref(), Some("globex is paused\n"));
    fixture.wait("globex", "paused", |status| status.is_some_and(|one| one["state"] == "paused"));
    assert_eq!(fixture.tenants(&["poll", "globex"]), None, "it is paused");
    assert_eq!(fixture.tenants(&["resume", "globex"]).as_deref(), Some("globex is resumed\n"));
    fixture.wait("globex", "waiting", |status| status.is_some_and(|one| one["state"] == "waiting"));
    let counts =
        |name| fixture.status(name).map(|one| (one["events"].as_u64(), one["polls"].as_u64() > Some(1)));
    assert_eq!(counts("globex"), Some((Some(ROWS), true)), "what it did before it was opened anew counts");
    assert_eq!(fixture.tenants(&["pause", "nobody"]), None);

    fs::remove_file(fixture.file("acme")).expect("removed");
    fixture.wait("acme", "gone", |status| status.is_none());
    let polls = |name| fixture.status(name).and_then(|one| one["polls"].as_u64()).unwrap_or_default();
    let before = polls("globex");
    assert!(fixture.tenants(&["poll", "globex"]).is_some());
    fixture.wait("globex", "polled", |status| status.and_then(|one| one["polls"].as_u64()) > Some(before));
    server.stop();
    is_clean(&fixture.delivered("globex"), &org);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_server_and_who_asks_without_one_is_told() {
    let org = org(10).await;
    let fixture = Fixture::new();
    fixture.add("acme", &org);
    let mut command = crate::host();
    let asked = command.arg("tenants").arg(fixture.folder.path()).arg("list").output().expect("the host");
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(!asked.status.success() && said.contains("source-host serve"), "{said}");
    let server = fixture.serve();
    fixture.wait_for_events("acme", 10);
    let mut second = crate::host();
    let second = second.arg("serve").arg(fixture.folder.path()).output().expect("the host");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("another server serves this folder"), "{said}");
    server.stop();
    assert!(!Path::new(&fixture.folder.path().join("control.sock")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_slices_come_to_their_end_and_breaks_off_those_that_do_not() {
    let fixture = Fixture::new();
    let hostile = component_path().with_file_name("hostile-source.wasm");
    fixture.write("spinner", &format!("component = {hostile:?}\n[source]\ndo = \"spin\"\n[limits]\ncpu_time = \"1h\"\ncall_time = \"1h\"\n"));
    let server = {
        let said = File::options().create(true).append(true).open(fixture.said()).expect("a file");
        let mut command = crate::host();
        command
            .arg("serve")
            .arg(fixture.folder.path())
            .args(["--drain", "300ms"])
            .stdin(Stdio::null())
            .stderr(said);
        Server { fixture: &fixture, child: command.spawn().expect("the host") }
    };
    // It is running while it is still being compiled, by another process; once this one computes, it spins.
    let pid = server.child.id();
    fixture.wait("spinner", "computing", |status| {
        status.is_some_and(|one| one["state"] == "running") && computed(pid) >= Duration::from_secs(2)
    });
    let started = Instant::now();
    let said = server.stop();
    assert!(said.contains("breaking off"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// How long a process has computed, those that it has started left out (proc_pid_stat(5), in hundredths of a second).
fn computed(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// What a page of the server says.
async fn page(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("the server");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_waits_is_no_instance_signs_in_once_and_is_told_of() {
    const ROWS: u64 = 300;
    let org = org(ROWS).await;
    let fixture = Fixture::new();
    fixture.add("acme", &org);
    let said = File::options().create(true).append(true).open(fixture.said()).expect("a file");
    let audit = fixture.beside.path().join("audit.ndjson");
    let mut command = crate::host();
    command.arg("serve").arg(fixture.folder.path()).args(["--instances", "0", "--metrics", "127.0.0.1:0"]);
    command.arg("--audit").arg(&audit).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    let server = Server { fixture: &fixture, child: command.spawn().expect("the host") };
    fixture.wait_for_events("acme", ROWS);
    for _ in 0..3 {
        let polls = fixture.status("acme").and_then(|one| one["polls"].as_u64());
        assert!(fixture.tenants(&["poll", "acme"]).is_some());
        fixture.wait("acme", "polled again", |status| {
            status.is_some_and(|one| one["polls"].as_u64() > polls && one["state"] == "waiting")
        });
    }
    assert_eq!(org.simulator.org().requests().count("/oauth2/token"), 1);

    let address = fixture.address();
    let (status, metrics) = page(&address, "/metrics").await;
    assert!(status.contains("200"), "{status}");
    for line in [
        format!("source_host_events_total{{tenant=\"acme\"}} {ROWS}"),
        "source_host_output_up{tenant=\"acme\"} 1.0".to_owned(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in:\n{metrics}");
    }
    for path in ["/healthz", "/readyz"] {
        let (status, body) = page(&address, path).await;
        assert!(status.contains("200"), "{path}: {status} {body}");
    }
    server.stop();
    let trail = fs::read_to_string(audit).expect("an audit trail");
    let requests: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(requests.len() >= 4, "{trail}");
    assert!(requests.iter().all(|one| one["tenant"] == "acme"), "{trail}");
    assert!(!trail.contains("SELECT") && !trail.contains("q="), "no queries: {trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_metrics_health_and_its_requests_as_a_server_does() {
    const ROWS: u64 = 300;
    let org = org(ROWS).await;
    let fixture = Fixture::new();
    let beside = |name: &str| fixture.beside.path().join(name);
    let text = format!("{}\n[state]\npath = {:?}\n", fixture.config("acme", &org), beside("state.json"));
    fs::write(beside("acme.toml"), text).expect("written");
    let said = File::options().create(true).append(true).open(fixture.said()).expect("a file");
    let mut command = crate::host();
    command.arg("run").arg(beside("acme.toml")).args(["--metrics", "127.0.0.1:0"]);
    command.arg("--audit").arg(beside("audit.ndjson"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    let run = Server { fixture: &fixture, child: command.spawn().expect("the host") };
    let address = fixture.address();
    let expected = format!("source_host_events_total{{tenant=\"acme\"}} {ROWS}");
    let started = Instant::now();
    let metrics = loop {
        let (status, metrics) = page(&address, "/metrics").await;
        assert!(status.contains("200"), "{status}");
        // Its last batch is safe, and it waits for the next.
        if metrics.lines().any(|line| line == expected)
            && metrics.lines().any(|line| line == "source_host_polls_running 0")
        {
            break metrics;
        }
        assert!(started.elapsed() < PATIENCE, "{metrics}\n{}", fixture.log());
    };
    for line in [
        "source_host_output_up{tenant=\"acme\"} 1.0",
        "source_host_tenant_info{tenant=\"acme\",component=\"salesforce-source\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }
    for path in ["/healthz", "/readyz"] {
        let (status, body) = page(&address, path).await;
        assert!(status.contains("200"), "{path}: {status} {body}");
    }
    run.stop();
    let trail = fs::read_to_string(beside("audit.ndjson")).expect("an audit trail");
    let requests: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(requests.len() >= 3, "{trail}");
    assert!(requests.iter().all(|one| one["tenant"] == "acme" && one["component"].is_string()), "{trail}");

    // What cannot be told is known before anything is collected.
    for (flag, value, word) in
        [("--audit", "nowhere/audit.ndjson", "audit trail"), ("--metrics", "192.0.2.1:1", "192.0.2.1:1")]
    {
        let mut command = crate::host();
        let output =
            command.arg("run").arg(beside("acme.toml")).args([flag, value]).output().expect("the host");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(word), "{flag}: {said}");
    }
}

/// Serves twenty of them beside one that is good, and whose name sorts last, and returns how long it waits for its polls: for the
/// first one, and for the slowest of twenty others.
async fn beside_twenty(fixture: &Fixture, add: impl Fn(&str)) -> (Duration, Duration) {
    for nth in 0..20 {
        add(&format!("greedy-{nth:02}"));
    }
    fixture.add_hostile("zz-good", "nothing", "");
    let started = Instant::now();
    let server = fixture.serve();
    fixture.polled("zz-good", 0).await;
    let first = started.elapsed();
    let polls = fixture.polls("zz-good", 20).await;
    let running = fixture.all().await.values().filter(|one| one.state == "running").count();
    server.kill();
    assert!(running >= 12, "the others are at it all the time: {running}");
    (first, polls[19])
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tenants_that_compute_without_end_make_nobody_wait_for_their_places() {
    let fixture = Fixture::new();
    let (first, slowest) = beside_twenty(&fixture, |name| fixture.add_hostile(name, "spin", "")).await;
    println!("the first poll after {first:?}, the slowest of twenty others after {slowest:?}");
    // By arrival alone it would be eighty seconds on two processors: sixteen times what a call may compute for, by two.
    assert!(first < Duration::from_secs(15), "{first:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tenants_whose_servers_never_answer_make_nobody_wait_for_their_places() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = silent.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    let fixture = Fixture::new();
    let more = format!("authority = {authority:?}\n[egress]\nallow = [{authority:?}]");
    let (first, slowest) =
        beside_twenty(&fixture, |name| fixture.add_hostile(name, "one-request", &more)).await;
    println!("the first poll after {first:?}, the slowest of twenty others after {slowest:?}");
    // By arrival alone it would be the minute that a first byte may take.
    assert!(first < Duration::from_secs(15), "{first:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tenants_whose_receivers_never_answer_make_nobody_wait_for_their_places() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = silent.local_addr().expect("an address").to_string();
    let fixture = Fixture::new();
    let component = component_path().with_file_name("hostile-source.wasm");
    let add = |name: &str| {
        fixture.write(
            name,
            &format!("component = {component:?}\n[output]\nkind = \"http\"\nurl = \"http://{authority}/\"\n"),
        );
    };
    let (first, slowest) = beside_twenty(&fixture, add).await;
    println!("the first poll after {first:?}, the slowest of twenty others after {slowest:?}");
    // By arrival alone it would be the minute that an answer may take.
    assert!(first < Duration::from_secs(15), "{first:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_whose_components_take_long_to_compile_make_nobody_wait() {
    const SLOW: usize = 20;
    let fixture = Fixture::new();
    fixture.add_hostile("zz-good", "nothing", "");
    let server = fixture.serve();
    fixture.polled("zz-good", 0).await;
    for nth in 0..SLOW {
        let (name, component) = (format!("slow-{nth:02}"), fixture.beside.path().join(format!("{nth}.wasm")));
        // A section that nobody reads makes each another component.
        let section = [0, 2, 1, b'a' + u8::try_from(nth).expect("few")];
        fs::write(&component, [&crate::compiling::SLOW[..], &section].concat()).expect("written");
        let admission = "[admission]\ncompile_time = \"3s\"\n[output]\nkind = \"file\"";
        let output = fixture.output(&name);
        fixture.write(&name, &format!("component = {component:?}\n{admission}\npath = {output:?}\n"));
    }
    let started = Instant::now();
    let slow = async |failed: bool| {
        let all = fixture.all().await;
        let them = all.iter().filter(|(name, _)| name.starts_with("slow"));
        them.filter(|(_, one)| one.failed.is_some() == failed).count()
    };
    while slow(true).await == 0 {
        assert!(started.elapsed() < PATIENCE, "{}", fixture.log());
    }
    let polls = fixture.polls("zz-good", 20).await;
    assert!(slow(false).await > SLOW / 2, "the others wait for the compiler all the time");
    server.kill();
    assert!(polls[19] < Duration::from_secs(2), "{polls:?}");
}

/// How often threads of a process gave a processor back or lost it: each time, one had been woken before.
fn switches(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process");
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
        lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>()
    };
    threads.map(|thread| of(thread.expect("a thread"))).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tenants_that_wait_wake_no_processor() {
    const SPAN: Duration = Duration::from_secs(2);
    let fixture = Fixture::new();
    // Each asks to be polled in 49 days, and will be tomorrow.
    for nth in 0..100 {
        fixture.add_hostile(&format!("silent-{nth:02}"), "silent", "");
    }
    let server = fixture.serve();
    let started = Instant::now();
    loop {
        let all = fixture.all().await;
        if all.len() == 100 && all.values().all(|one| one.polls > 0 && one.state == "waiting") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{}", fixture.log());
    }
    let process = server.child.id();
    // What was begun comes to its end: an instance that is dropped, a file that is closed.
    let mut before = switches(process);
    let woken = loop {
        tokio::time::sleep(SPAN).await;
        let after = switches(process);
        let woken = after - before;
        if woken < 20 || started.elapsed() > PATIENCE {
            break woken;
        }
        before = after;
    };
    server.kill();
    println!("woken {woken} times in {SPAN:?}");
    assert!(woken < 20, "{woken} times in {SPAN:?}");
}

/// The hostile component, which returns an empty state where nothing else is configured.
fn without_a_state() -> Vec<u8> {
    const MARK: &[u8] = b"hostile-attack: ";
    let mut content = fs::read(component_path().with_file_name("hostile-source.wasm")).expect("a component");
    let at = content.windows(MARK.len()).position(|window| window == MARK).expect("the mark") + MARK.len();
    content[at..at + 32].copy_from_slice(format!("{:32}", "empty-state").as_bytes());
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_has_keys_and_components_read_again_and_polls_nobody_who_is_well() {
    const ROWS: u64 = 200;
    let org = org(ROWS).await;
    let fixture = Fixture::new();
    fixture.add("acme", &org);
    let key = fixture.beside.path().join("acme/client-key.pem");
    let right = fs::read(&key).expect("a key");
    fs::write(&key, "no key").expect("written");
    // A component that is replaced by another one.
    let component = fixture.beside.path().join("replaced.wasm");
    fs::copy(component_path().with_file_name("hostile-source.wasm"), &component).expect("copied");
    let output = fixture.output("replaced");
    fixture.write(
        "replaced",
        &format!("component = {component:?}\n[output]\nkind = \"file\"\npath = {output:?}\n"),
    );
    let server = fixture.serve();
    fixture.polled("replaced", 0).await;
    fixture.wait("acme", "refused", |status| status.is_some_and(|one| !one["failed"].is_null()));

    fs::write(&key, right).expect("written");
    fs::write(&component, without_a_state()).expect("written");
    server.signal("-HUP");
    // What had failed is tried at once.
    fixture.wait_for_events("acme", ROWS);
    let replaced = &fixture.all().await["replaced"];
    assert_eq!(
        (replaced.state.as_str(), replaced.polls),
        ("waiting", 1),
        "opened anew when it is due, and not before: {replaced:?}"
    );
    assert!(fixture.tenants(&["poll", "replaced"]).is_some());
    fixture.wait("replaced", "another component", |status| {
        status.is_some_and(|one| one["failed"].as_str().is_some_and(|why| why.contains("state")))
    });
    let said = server.stop();
    assert!(said.contains("everything is read again"), "{said}");
    is_clean(&fixture.delivered("acme"), &org);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_ready_when_each_tenant_of_its_start_is_opened_paused_or_gone_and_none_counts_for_another()
 {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = silent.local_addr().expect("an address").to_string();
    let fixture = Fixture::new();
    let more = format!("authority = {authority:?}\n[egress]\nallow = [{authority:?}]");
    fixture.add_hostile("paused", "one-request", &more);
    fixture.add_hostile("removed", "one-request", &more);
    let server = fixture.serve_with(&["--metrics", "127.0.0.1:0"]);
    for name in ["paused", "removed"] {
        fixture.wait(name, "running", |status| status.is_some_and(|one| one["state"] == "running"));
    }
    let address = fixture.address();
    for name in ["later", "latest"] {
        fixture.add_hostile(name, "nothing", "");
        fixture.polled(name, 0).await;
    }
    let is_ready = async || page(&address, "/readyz").await.0.contains("200");
    assert!(!is_ready().await, "those of the start have not been opened");
    assert!(fixture.tenants(&["pause", "paused"]).is_some());
    assert!(!is_ready().await);
    fs::remove_file(fixture.file("removed")).expect("removed");
    let started = Instant::now();
    while !is_ready().await {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", fixture.log());
    }
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_host_and_component_are_told_together_with_file_line_and_key() {
    let org = org(1).await;
    let fixture = Fixture::new();
    let wrong = fixture.config("acme", &org).replace("flow = \"jwt-bearer\"", "flow = \"jwt\"");
    fixture.write("acme", &format!("{wrong}\n[limits]\nmemory = \"much\"\n"));
    let server = fixture.serve();
    fixture.wait("acme", "failed", |status| status.is_some_and(|one| one["state"] == "failed"));
    let all = fixture.all().await;
    let why = all["acme"].failed.as_deref().expect("why");
    let file = fixture.file("acme");
    assert!(why.starts_with(&format!("{}: ", file.display())), "{why}");
    let text = fs::read_to_string(&file).expect("its file");
    for (line, key) in [("flow = ", "source.auth.flow"), ("memory = ", "limits.memory")] {
        let line = text.lines().position(|written| written.starts_with(line)).expect(line) + 1;
        assert!(why.contains(&format!("line {line}: {key}: ")), "line {line}, {key}: {why}");
    }
    assert!(server.stop().contains(why), "and in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_instances_are_kept_than_may_be() {
    let fixture = Fixture::new();
    let component = component_path().with_file_name("hostile-source.wasm");
    for nth in 0..6 {
        // Nobody listens there: each is due again after seconds, with events that wait.
        let text =
            format!("component = {component:?}\n[output]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n");
        fixture.write(&format!("tenant-{nth}"), &text);
    }
    let server = fixture.serve_with(&["--instances", "2", "--metrics", "127.0.0.1:0"]);
    let address = fixture.address();
    let started = Instant::now();
    let mut most = 0.0_f64;
    loop {
        let (_, metrics) = page(&address, "/metrics").await;
        let values = |name: &str| -> Vec<f64> {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
        };
        let open = values("source_host_instances_open");
        assert_eq!(open.len(), 1, "{metrics}");
        assert!(open[0] <= 2.0, "{metrics}");
        most = most.max(open[0]);
        let failures = values("source_host_output_failures_total");
        if failures.len() == 6 && failures.iter().all(|times| *times >= 4.0) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{metrics}\n{}", fixture.log());
    }
    assert!((most - 2.0).abs() < 0.5, "{most}");
    server.stop();
}
