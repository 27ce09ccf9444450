//! The component as a program, run as `wasmtime run -S http` runs it: beside `source-host` against the simulated org, and with a
//! source that does what a test tells it.
//!
//! `WASMTIME=wasmtime cargo test ...` runs the same by that program instead of `run-command`.

use e2e::{hosted::program, org::TestOrg, truth::Delivered};
use salesforce_sim::{Interval, OrgSettings, Rows, Workload};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(name)
}

/// What runs a command, which gets this folder as `/data`.
fn runner(folder: &Path) -> Command {
    let cached = |program: PathBuf| {
        let mut command = Command::new(program);
        command.env("RUN_COMMAND_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands"));
        command.args(["run", "-S", "http"]);
        command
    };
    let mut command = match std::env::var_os("WASMTIME") {
        None => cached(program("run-command")),
        Some(wasmtime) => {
            let mut command = cached(PathBuf::from(wasmtime));
            command.args(["-C", "cache=y"]);
            command
        }
    };
    command.arg("--dir").arg(format!("{}::/data", folder.display()));
    command
}

/// The component of Salesforce as a command, with a configuration in its folder.
fn collector(config: &Path) -> Command {
    let mut command = runner(config.parent().expect("a folder"));
    command.arg(dist("salesforce-command.wasm")).arg("/data/source-host.toml");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn org_of(rows: u64) -> OrgSettings {
    let workload = Workload { hours: 12, rows: Rows::Total(rows), ..Workload::default() };
    OrgSettings { workload, ..OrgSettings::default() }
}

const STDOUT: &str = "kind = \"stdout\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_command_delivers_what_source_host_delivers_byte_for_byte() {
    let org = TestOrg::start(org_of(8_000)).await.expect("an org");
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let config = |nth: usize| org.write_config(folders[nth].path(), STDOUT, "").expect("a configuration");
    let mut host = crate::host();
    host.arg("run").arg(config(0)).args(["--until-caught-up", "-q"]);
    let by_host = host.output().expect("the host");
    let by_command = collector(&config(1)).output().expect("the command");
    assert!(by_host.status.success() && by_command.status.success(), "{}", said(&by_command));
    assert!(by_host.stdout == by_command.stdout, "they deliver different events");
    assert!(said(&by_command).contains("caught up: 8,000 events from 12 files"), "{}", said(&by_command));
    let mut delivered = Delivered::default();
    delivered.read(&by_command.stdout[..]).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_clean(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_for_kubernetes_runs_as_it_stands() {
    let manifest = include_str!("../../docs/cronjob.yaml");
    let org = TestOrg::start(org_of(100)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    org.write_config(folder.path(), STDOUT, "").expect("a configuration");
    let source = org.source().expect("a configuration");
    let of = |name: &str| source["auth"][name].as_str().expect("a text").to_owned();
    let (_, rest) = manifest.split_once("acme.toml: |\n").expect("a configuration");
    let config = rest.split("---").next().expect("its end").replace("\n    ", "\n");
    let config = config
        .replace("https://acme.my.salesforce.com", org.simulator.url())
        .replace("acme.my.salesforce.com", org.authority())
        .replace("3MVG9...", &of("client_id"))
        .replace("collector@acme.com", &of("username"));
    fs::write(folder.path().join("acme.toml"), config).expect("written");
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("args: ")).expect("arguments");
    let arguments: Vec<String> = serde_json::from_str(line).expect("a list");
    // Its folders are one here, under three names; and the file is where it was built.
    let arguments = arguments.into_iter().skip(3).map(|argument| match argument.as_str() {
        "/config" | "/secrets" | "/state" => format!("{}::{argument}", folder.path().display()),
        "/salesforce-command.wasm" => dist("salesforce-command.wasm").display().to_string(),
        _ => argument,
    });
    let ended = runner(folder.path()).args(arguments).output().expect("the command");
    assert!(ended.status.success(), "{}", said(&ended));
    assert_eq!(ended.stdout.split(|byte| *byte == b'\n').count(), 101, "{}", said(&ended));
    assert!(folder.path().join("acme.json").is_file(), "its state");
    assert!(manifest.contains("concurrencyPolicy: Forbid"), "one run at a time has the state");
}

/// Takes so many lines from a program, kills it, and takes what it had written before.
fn killed_after(lines: usize, mut program: Command, delivered: &mut Delivered) {
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a program");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    for _ in 0..lines {
        line.clear();
        assert!(output.read_line(&mut line).expect("a line") > 0, "it ended before it was killed");
        delivered.add(line.trim_end()).expect("an event");
    }
    end(&mut child);
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).expect("the rest");
    // Up to a line that was cut.
    delivered.read(&rest[..]).expect("events");
}

fn end(child: &mut Child) {
    child.kill().expect("a kill");
    child.wait().expect("its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_and_source_host_go_on_where_the_other_was_killed() {
    let org = TestOrg::start(org_of(20_000)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org
        .write_config(folder.path(), STDOUT, "[source.batch]\nmax_events = 700\n")
        .expect("a configuration");
    let host = || {
        let mut host = crate::host();
        host.arg("run").arg(&config).args(["--until-caught-up", "-q"]);
        host
    };
    let mut delivered = Delivered::default();
    for (nth, lines) in [1_500, 900, 2_200, 1, 3_000].into_iter().enumerate() {
        let program = if nth % 2 == 0 { collector(&config) } else { host() };
        killed_after(lines, program, &mut delivered);
    }
    let rest = collector(&config).output().expect("the command");
    assert!(rest.status.success(), "{}", said(&rest));
    delivered.read(&rest.stdout[..]).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    println!("{comparison}");
    assert!(comparison.is_complete(), "{comparison}");
    assert_eq!(delivered.changed(), None, "an event was delivered again with other bytes");
    for mut program in [host(), collector(&config)] {
        let nothing = program.output().expect("a program");
        assert!(nothing.status.success() && nothing.stdout.is_empty(), "{}", said(&nothing));
    }
}

const FILE: &str = "kind = \"file\"\npath = \"events.ndjson\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_command_appends_to_the_file_of_source_host_and_cuts_off_a_torn_line() {
    let org = TestOrg::start(org_of(8_000)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        org.write_config(folder.path(), FILE, "[source.batch]\nmax_events = 700\n").expect("a configuration");
    let events = folder.path().join("events.ndjson");
    // It has been compiled before the files that it may write are bounded.
    assert!(collector(&config).arg("--describe").output().expect("the command").status.success());
    // The system ends it in the middle of a line: a file of more than so many blocks of 512 bytes may not be written.
    let mut program = collector(&config);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -c 0; ulimit -f 5000; exec \"$@\"", "sh"]).arg(program.get_program());
    limited.args(program.get_args()).envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let ended = limited.output().expect("the command");
    assert!(!ended.status.success(), "{}", said(&ended));
    let torn = fs::read(&events).expect("events");
    assert!(
        !torn.is_empty() && torn.last() != Some(&b'\n'),
        "half a line stands there: {} bytes",
        torn.len()
    );
    let mut host = crate::host();
    host.arg("run").arg(&config).args(["--until-caught-up", "-q"]);
    let rest = program.output().expect("the command");
    assert!(rest.status.success() && rest.stdout.is_empty(), "{}", said(&rest));
    assert!(
        said(&rest).contains("cutting off a line of /data/events.ndjson that was torn"),
        "{}",
        said(&rest)
    );
    let mut delivered = Delivered::default();
    let text = fs::read_to_string(&events).expect("events");
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    delivered.read(text.as_bytes()).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_complete() && delivered.changed().is_none(), "{comparison}");
    // The other host goes on with both, and has nothing to add.
    assert!(host.status().expect("the host").success());
    assert_eq!(fs::read_to_string(&events).expect("events"), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_of_something_else_is_left_and_one_whose_last_event_lacks_its_line_end_gets_it() {
    let org = TestOrg::start(org_of(400)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org.write_config(folder.path(), FILE, "").expect("a configuration");
    let events = folder.path().join("events.ndjson");
    let state = folder.path().join("state.json");
    let refused = |part: &str| {
        let ended = collector(&config).output().expect("the command");
        assert_eq!(ended.status.code(), Some(2), "{}", said(&ended));
        assert!(said(&ended).contains(part), "{part}: {}", said(&ended));
    };
    fs::write(&events, "a text without an end").expect("written");
    refused("does not end with a line of events; it is left as it is");
    assert_eq!(fs::read_to_string(&events).expect("a text"), "a text without an end");
    fs::remove_file(&events).expect("removed");
    fs::create_dir(&events).expect("a folder");
    refused("cannot write events to /data/events.ndjson: Is a directory");
    fs::remove_dir(&events).expect("removed");
    assert!(!state.exists(), "nothing was collected");
    // The last event, whole but for the end of its line, stays.
    fs::write(&events, "{\"event\":{\"id\":\"another\"}}").expect("written");
    let ended = collector(&config).output().expect("the command");
    assert!(ended.status.success(), "{}", said(&ended));
    let text = fs::read_to_string(&events).expect("events");
    assert!(text.starts_with("{\"event\":{\"id\":\"another\"}}\n{"), "{}", &text[..100]);
    assert_eq!(text.lines().count(), 401);
    // By --output it goes to a file as well.
    fs::remove_file(&events).expect("removed");
    let document = org.source().expect("a configuration").to_string();
    fs::write(folder.path().join("source.json"), document).expect("written");
    let mut command = runner(folder.path());
    command.arg(dist("salesforce-command.wasm"));
    command.args([
        "--output",
        "/data/events.ndjson",
        "--state",
        "/data/other.json",
        "--allow",
        org.authority(),
    ]);
    let ended = command.arg("/data/source.json").output().expect("the command");
    assert!(ended.status.success() && ended.stdout.is_empty(), "{}", said(&ended));
    assert_eq!(fs::read_to_string(&events).expect("events").lines().count(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_ends_a_command_well_and_loses_nothing() {
    let org = TestOrg::start(org_of(8_000)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org
        .write_config(folder.path(), STDOUT, "[source.batch]\nmax_events = 700\n")
        .expect("a configuration");
    let mut child =
        collector(&config).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
    let mut delivered = Delivered::default();
    let output = BufReader::new(child.stdout.take().expect("its output"));
    for line in output.lines().take(1_000) {
        delivered.add(&line.expect("a line")).expect("an event");
    }
    let ended = child.wait_with_output().expect("its end");
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert!(said(&ended).contains("the reader of the events is gone"), "{}", said(&ended));
    let rest = collector(&config).output().expect("the command");
    delivered.read(&rest.stdout[..]).expect("events");
    let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
    assert!(comparison.is_complete(), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_its_configuration_from_standard_input_as_toml_or_json() {
    let org = TestOrg::start(org_of(100)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org.write_config(folder.path(), STDOUT, "").expect("a configuration");
    let mut document = org.source().expect("a configuration");
    document["auth"]["private_key"] = serde_json::json!({ "env": "CLIENT_KEY" });
    let toml = fs::read_to_string(&config).expect("a configuration");
    let toml = toml.replace("{ file = \"client-key.pem\" }", "{ file = \"data/client-key.pem\" }");
    let toml = toml.replace("\"state.json\"", "\"/data/toml.json\"");
    let key = fs::read_to_string(folder.path().join("client-key.pem")).expect("a key");
    for (text, arguments) in [
        (toml, vec!["-"]),
        (document.to_string(), vec!["-", "--state", "/data/json.json", "--allow", org.authority()]),
    ] {
        let mut command = runner(folder.path());
        command
            .arg("--env")
            .arg(format!("CLIENT_KEY={key}"))
            .arg(dist("salesforce-command.wasm"))
            .args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command");
        child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
        let ended = child.wait_with_output().expect("its end");
        assert!(ended.status.success(), "{}", said(&ended));
        assert_eq!(ended.stdout.split(|byte| *byte == b'\n').count(), 101, "{}", said(&ended));
    }
    assert!(folder.path().join("toml.json").is_file() && folder.path().join("json.json").is_file());
    // Of a runtime that gives no arguments.
    let mut command = runner(folder.path());
    command.args(["--env", "SOURCE_ARGUMENTS=--log json /data/source-host.toml"]);
    let ended = command.arg(dist("salesforce-command.wasm")).output().expect("the command");
    assert!(ended.status.success() && said(&ended).contains("\"caught up: 100 events"), "{}", said(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_checks_and_collects_a_range_of_time_as_source_host_does() {
    let org = TestOrg::start(org_of(400)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org.write_config(folder.path(), FILE, "").expect("a configuration");
    let events = folder.path().join("events.ndjson");
    let check = || {
        let checked = collector(&config).arg("--check").output().expect("the command");
        (checked.status.code(), String::from_utf8_lossy(&checked.stdout).into_owned() + &said(&checked))
    };
    let (status, findings) = check();
    assert!(status == Some(0) && findings.contains("pass  sign-in"), "{findings}");
    assert!(findings.contains("/data/state.json does not exist yet and can be written"), "{findings}");
    assert!(findings.contains("events can be written to /data/events.ndjson"), "{findings}");
    assert!(!folder.path().join("state.json").exists() && !events.exists(), "it changes nothing");
    for (text, right) in [("{\"torn\":", true), ("a text", false)] {
        fs::write(&events, text).expect("written");
        let (status, findings) = check();
        assert_eq!(status, Some(i32::from(!right)), "{findings}");
        assert_eq!(findings.contains("does not end with a line of events"), !right, "{findings}");
        assert_eq!(fs::read_to_string(&events).expect("a text"), text, "it changes nothing");
    }
    fs::remove_file(&events).expect("removed");
    let range = ["--from", "2020-01-01", "--until", "2020-02-01T12:00:00Z"];
    let ranged = collector(&config).args(range).output().expect("the command");
    assert!(ranged.status.success() && said(&ranged).contains("complete: 0 events"), "{}", said(&ranged));
    let name = "state.json.20200101T000000Z-20200201T120000Z";
    let state = fs::read(folder.path().join(name)).expect("the state of the range");
    // Without locks, the collection that goes on beside it has its own file.
    assert!(folder.path().join(name.replace("state.json", "events.ndjson")).exists() && !events.exists());
    // The other host takes it for its own.
    let mut host = crate::host();
    let again = host.arg("run").arg(&config).args(range).output().expect("the host");
    assert!(again.status.success(), "{}", said(&again));
    assert!(state.windows(9).any(|part| part == b"2020-01-0"), "the label names the range");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_a_configuration_is_named_at_once_in_the_words_of_source_host() {
    let org = TestOrg::start(org_of(1)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org.write_config(folder.path(), STDOUT, "").expect("a configuration");
    let good = fs::read_to_string(&config).expect("a configuration");
    let both = |text: &str| {
        fs::write(&config, text).expect("written");
        let host = crate::host().arg("run").arg(&config).output().expect("the host");
        let command = collector(&config).output().expect("the command");
        let list = |output: &Output| {
            assert_eq!(output.status.code(), Some(2), "{}", said(output));
            assert!(output.stdout.is_empty());
            said(output)
                .lines()
                .filter(|line| line.starts_with("  - "))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        (list(&host), list(&command))
    };
    // What the source finds, and what its host does.
    for (from, to, mistakes) in [
        ("flow = \"jwt-bearer\"", "flow = \"jwt\"\nmore = 1", 2),
        ("{ file = \"client-key.pem\" }", "{ env = \"NOT_SET\" }", 1),
        ("[state]\npath = \"state.json\"", "[state]\npaht = \"state.json\"", 2),
        ("[source]", "[source]\n[source", 0),
        ("instance_url = \"http", "instance_url = 1\nurl = \"http", 2),
    ] {
        let (host, command) = both(&good.replacen(from, to, 1));
        assert!(host.len() >= mistakes, "{host:?}");
        // Both read the key's file where it lies for them, so paths are the same but for the folder.
        assert_eq!(host, command, "after {to}");
    }
    // What is source-host's alone.
    let more = "ca_file = \"ca.pem\"\n[limits]\nmemory = \"64MiB\"\n[admission]\nwasi_0_3 = true\n";
    let text = good.replace(STDOUT, "kind = \"syslog\"\nserver = \"logs\"") + more;
    fs::write(&config, text.replace("allow = [\"127", "allow = [\"https://x\", \"*.com\", \"127"))
        .expect("written");
    let refused = collector(&config).output().expect("the command");
    assert_eq!(refused.status.code(), Some(2));
    let said = said(&refused);
    for part in [
        "has 6 mistakes",
        "output.kind: \"stdout\" or \"file\" is expected",
        "limits: is for source-host",
        "admission: is for source-host",
        "egress.ca_file: is for source-host",
        "egress.allow[0]: `https://x` is no host to allow: write the host alone",
        "egress.allow[1]: `*.com` is no host to allow: a suffix needs two labels",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // What it may contact, and what is not a file of ours.
    for (from, to, part) in [
        (
            "allow = [\"127",
            "allow = [\"other.example.com\"] #",
            "does not allow what the source has to contact: 127.0.0.1:",
        ),
        (
            "path = \"state.json\"",
            "path = \"/elsewhere/state.json\"",
            "it lies in no folder that this program was given",
        ),
        ("path = \"state.json\"", "path = \"none/state.json\"", "create the folder, or mount it again"),
    ] {
        fs::write(&config, good.replacen(from, to, 1)).expect("written");
        let refused = collector(&config).output().expect("the command");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    }
    for (arguments, part) in [
        (&[] as &[&str], "CONFIG is missing"),
        (&["/data/none.toml"], "cannot read the configuration /data/none.toml: No such file or directory"),
        (&["--folow"], "invalid option '--folow'; --help lists the options"),
        (&["--give-up-after", "5", "x"], "--give-up-after: a time is expected, such as \"30s\""),
        (&["--from", "2026-11-01", "x"], "--from and --until go together"),
    ] {
        let mut command = runner(folder.path());
        let refused =
            command.arg(dist("salesforce-command.wasm")).args(arguments).output().expect("the command");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_damaged_or_of_somebody_else_is_refused_and_left_as_it_is() {
    let org = TestOrg::start(org_of(100)).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let config = org.write_config(folder.path(), STDOUT, "").expect("a configuration");
    let state = folder.path().join("state.json");
    assert!(collector(&config).output().expect("the command").status.success());
    let good = fs::read(&state).expect("a state");
    let mut damaged = good.clone();
    damaged[100] ^= 1;
    for (content, arguments, part) in [
        (&damaged, &[][..], "the state /data/state.json is damaged; it is left as it is"),
        (
            &good,
            &["--tenant", "globex"],
            "was saved for tenant \"source-host\" and component \"salesforce-source\" and not for tenant \"globex\"",
        ),
        (&Vec::new(), &[], "the state /data/state.json is empty"),
        (&b"{\"format\":\"somebody's\"}".to_vec(), &[], "state: "),
    ] {
        fs::write(&state, content).expect("written");
        let refused = collector(&config).args(arguments).output().expect("the command");
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(part), "{part}: {}", said(&refused));
        assert_eq!(&fs::read(&state).expect("a state"), content, "it is left as it is");
    }
    // As hosts of old wrote it: the state alone. It is taken over, and bound.
    let text: Vec<u8> = good.splitn(3, |byte| *byte == b'\n').last().expect("the state itself").to_vec();
    fs::write(&state, &text).expect("written");
    let taken = collector(&config).output().expect("the command");
    assert!(taken.status.success() && taken.stdout.is_empty(), "{}", said(&taken));
    fs::remove_file(&state).expect("removed");
    std::os::unix::fs::symlink("elsewhere.json", &state).expect("a link");
    let refused = collector(&config).output().expect("the command");
    assert!(said(&refused).contains("is a link; name the file that it leads to"), "{}", said(&refused));
}

/// What the reference source asks: answers with what a test says, and remembers the states.
struct Told {
    authority: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Told {
    fn start(answer: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let authority = listener.local_addr().expect("an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Self { authority, asked: Arc::clone(&asked) };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answer, asked) = (stream.expect("a connection"), answer.clone(), asked.clone());
                std::thread::spawn(move || serve(stream, &*answer, &asked));
            }
        });
        told
    }

    /// The reference source as a command that asks it, with more in its configuration.
    fn command(&self, folder: &Path, more: serde_json::Value) -> Command {
        let mut config = serde_json::json!({ "authority": self.authority });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        fs::write(folder.join("config.json"), config.to_string()).expect("written");
        let mut command = runner(folder);
        command.arg(dist("reference-command.wasm")).args([
            "--allow",
            &self.authority,
            "--state",
            "/data/state.json",
        ]);
        command.arg("/data/config.json");
        command
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// Answers what comes over a connection, which may be more than one request.
fn serve(mut stream: TcpStream, answer: &dyn Fn(&str, usize) -> String, asked: &Mutex<Vec<String>>) {
    let mut head = BufReader::new(stream.try_clone().expect("a stream"));
    while let Some(path) = path_of_request(&mut head) {
        let state = path.split_once("state=").map_or("", |(_, state)| state).to_owned();
        let times = {
            let mut asked = asked.lock().expect("no panic");
            asked.push(state.clone());
            asked.iter().filter(|before| **before == state).count()
        };
        let body = answer(&state, times);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn path_of_request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut path = None;
    for line in stream.lines() {
        let line = line.ok()?;
        match line.as_str() {
            "" => return path,
            line => path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned)),
        }
    }
    None
}

#[test]
fn a_request_that_the_rules_do_not_cover_or_the_source_did_not_ask_for_never_leaves() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("a listener");
    let other = elsewhere.local_addr().expect("an address");
    let port = other.port();
    let spellings = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f.1:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("127.0.0.1.:{port}"),
        String::from("169.254.169.254"),
        String::from("example.com"),
    ];
    let script: String = spellings.iter().map(|authority| format!("request {authority}\n")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::start(move |_, _| format!("{script}state one\nnext 60000\n"));
    // As a stranger to the source's own configuration: a rule covers it, and nobody asked for it.
    let mut command = told.command(folder.path(), serde_json::json!({}));
    let ended = command.args(["--allow", &other.to_string()]).output().expect("the command");
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    let events = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(events.lines().count(), spellings.len(), "{events}");
    for event in events.lines() {
        assert!(event.contains("HttpRequestDenied") || event.contains("no authority"), "{event}");
    }
    // Asked for, and no rule covers it: it does not begin.
    let declared = serde_json::json!({ "declare": other.to_string() });
    let refused = told.command(folder.path(), declared).output().expect("the command");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains(&format!("does not allow what the source has to contact: {other}")));
    assert!(said(&refused).contains(&format!("--allow {other}")), "{}", said(&refused));
    assert!(elsewhere.accept().is_err(), "something has connected to it");
}

#[test]
fn a_runtime_that_gives_no_http_says_so_and_nothing_runs() {
    let mut command = Command::new(runner(Path::new(".")).get_program());
    let refused = command.arg("run").arg(dist("reference-command.wasm")).output().expect("the command");
    assert!(!refused.status.success() && refused.stdout.is_empty());
    assert!(said(&refused).contains("`wasi:http/types@0.2.0`"), "{}", said(&refused));
}

#[test]
fn a_state_that_another_host_saved_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.json");
    let beside = state.clone();
    let told = Told::start(move |asked, _| {
        if asked == "one" {
            fs::write(&beside, "somebody else's").expect("written");
        }
        String::from(if asked.is_empty() { "event {}\nstate one\n" } else { "event {}\nstate two\n" })
    });
    let ended = told.command(folder.path(), serde_json::json!({})).output().expect("the command");
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("was changed by another host: it should be at revision 1"),
        "{}",
        said(&ended)
    );
    assert_eq!(fs::read_to_string(&state).expect("a state"), "somebody else's");
}

#[test]
fn a_command_that_follows_polls_again_when_it_is_time_and_survives_what_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::start(|state, times| match (state, times) {
        ("", 1) => String::from("fail transient 50 it is busy\n"),
        ("", _) => String::from("event {\"nth\":1}\nproblem auth it looks odd\nstate one\nnext 80\n"),
        ("one", 1) => String::from("fail auth 80 it was refused\nstate one\n"),
        ("one", _) => String::from("event {\"nth\":2}\nstate two\nnext 80\n"),
        _ => String::from("next 80\n"),
    });
    let mut command = told.command(folder.path(), serde_json::json!({}));
    let command = command.args(["--follow", "--log", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command");
    let begun = Instant::now();
    while told.asked().iter().filter(|state| *state == "two").count() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", told.asked());
        assert!(child.try_wait().expect("its status").is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    end(&mut child);
    let ended = child.wait_with_output().expect("its end");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "{\"nth\":1}\n{\"nth\":2}\n");
    let lines: Vec<serde_json::Value> =
        said(&ended).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<(&str, &str)> =
        lines.iter().filter_map(|line| Some((line["level"].as_str()?, line["kind"].as_str()?))).collect();
    assert_eq!(told, [("WARN", "transient"), ("ERROR", "auth"), ("ERROR", "auth")], "{lines:?}");
    let state = fs::read(folder.path().join("state.json")).expect("a state");
    assert!(state.ends_with(b"\ntwo"), "the state of what it wrote");
}

/// The reference source as a command that writes into a file.
fn into_file(told: &Told, folder: &Path) -> Command {
    let mut command = told.command(folder, serde_json::json!({}));
    command.args(["--output", "/data/events.ndjson"]);
    command
}

/// The state itself in the file of a state.
fn state_in(folder: &Path) -> String {
    let state = fs::read(folder.join("state.json")).expect("a state");
    String::from_utf8_lossy(state.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned()
}

#[test]
fn a_file_that_is_rotated_between_two_batches_is_whole_and_so_is_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let [events, rotated] = ["events.ndjson", "events.1"].map(|name| folder.path().join(name));
    let (from, to) = (events.clone(), rotated.clone());
    let told = Told::start(move |state, _| match state {
        "" => String::from("event {\"nth\":1}\nstate one\n"),
        "one" => {
            fs::rename(&from, &to).expect("rotated");
            String::from("event {\"nth\":2}\nstate two\n")
        }
        _ => String::from("next 60000\n"),
    });
    let ended = into_file(&told, folder.path()).output().expect("the command");
    assert!(ended.status.success(), "{}", said(&ended));
    assert_eq!(fs::read_to_string(rotated).expect("events"), "{\"nth\":1}\n");
    assert_eq!(fs::read_to_string(events).expect("events"), "{\"nth\":2}\n");
}

#[test]
fn a_program_that_finds_another_one_writing_to_its_file_ends_and_saves_no_state_of_what_it_did_not_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = folder.path().join("events.ndjson");
    let other = events.clone();
    let told = Told::start(move |state, _| match state {
        "" => String::from("event {\"nth\":1}\nstate one\n"),
        _ => {
            let mut file = fs::OpenOptions::new().append(true).open(&other).expect("events");
            file.write_all(b"{\"another\":1}\n").expect("written");
            String::from("event {\"nth\":2}\nstate two\n")
        }
    });
    let ended = into_file(&told, folder.path()).output().expect("the command");
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("another program writes to it as well; give each a file"),
        "{}",
        said(&ended)
    );
    assert_eq!(fs::read_to_string(events).expect("events"), "{\"nth\":1}\n{\"another\":1}\n");
    assert_eq!(state_in(folder.path()), "one");
}

#[test]
fn half_a_line_that_another_program_is_writing_is_not_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = folder.path().join("events.ndjson");
    fs::write(&events, "{\"nth\":1}\n{\"text\":\"").expect("written");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let path = events.clone();
    let other = std::thread::spawn(move || {
        let mut file = fs::OpenOptions::new().append(true).open(path).expect("events");
        let mut written = 0;
        while stopped.recv_timeout(Duration::from_millis(10)).is_err() {
            file.write_all(b"x").expect("written");
            written += 1;
        }
        written
    });
    let told = Told::start(|_, _| String::from("event {}\nstate one\nnext 60000\n"));
    let ended = into_file(&told, folder.path()).output().expect("the command");
    stop.send(()).expect("it writes");
    let written = other.join().expect("it has written");
    assert_eq!(ended.status.code(), Some(2), "{}", said(&ended));
    assert!(said(&ended).contains("another program writes to it as well"), "{}", said(&ended));
    let text = fs::read_to_string(events).expect("events");
    assert_eq!(text, format!("{{\"nth\":1}}\n{{\"text\":\"{}", "x".repeat(written)));
    assert!(told.asked().is_empty(), "nothing was collected");
}

#[test]
fn a_disk_that_is_full_is_waited_out_and_half_a_batch_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let [events, rotated] = ["events.ndjson", "events.1"].map(|name| folder.path().join(name));
    let told = Told::start(|state, _| match state {
        "" => String::from("large 300000\nstate one\n"),
        "one" => String::from("large 200000\nlarge 200000\nstate two\n"),
        _ => String::from("next 60000\n"),
    });
    let program = into_file(&told, folder.path());
    // It has been compiled before the files that it may write are bounded.
    assert!(
        into_file(&told, folder.path()).arg("--describe").output().expect("the command").status.success()
    );
    // No file becomes larger than 512,000 bytes; who tries is told, and not ended.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "sh"]).arg(program.get_program());
    limited.args(program.get_args()).envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut child = limited.stderr(Stdio::piped()).spawn().expect("the command");
    let mut complaints = BufReader::new(child.stderr.take().expect("what it says")).lines();
    let full = complaints.find_map(|line| line.ok().filter(|line| line.contains("again in")));
    assert!(full.is_some_and(|line| line.contains("File too large")), "it is told");
    let first = fs::read_to_string(&events).expect("events");
    assert!(first.lines().count() == 1 && first.ends_with('\n'), "half a batch is taken back");
    assert_eq!(state_in(folder.path()), "one");
    fs::rename(&events, &rotated).expect("room is made");
    let rest: Vec<String> = complaints.map_while(Result::ok).collect();
    assert!(child.wait().expect("its end").success(), "{rest:?}");
    assert!(fs::read_to_string(&rotated).expect("events") == first, "nothing is added to it");
    let second = fs::read_to_string(&events).expect("events");
    assert!(second.lines().count() == 2 && second.len() > 400_000, "{} bytes", second.len());
}

#[test]
fn the_status_says_who_must_act() {
    let folder = tempfile::tempdir().expect("a folder");
    for (script, arguments, status, part) in [
        ("fail config 0 the stream was renamed", &[][..], 2, "error: config: the stream was renamed"),
        ("fail state 0 a newer version wrote it", &[], 2, "error: state: a newer version wrote it"),
        ("fail auth 1000 it was refused", &[], 1, "error: auth: it was refused"),
        (
            "fail transient 30000 it is busy",
            &["--give-up-after", "1s"],
            1,
            "given up, as nothing came for 0 s and the next attempt is 30 s away: it is busy",
        ),
        ("event {\"a\":%0a1}\nstate one", &[], 1, "not a JSON object on one line"),
        ("event {\"a\":1} {}\nstate one", &[], 1, "not a JSON object on one line"),
        ("state \nnext 60000", &[], 2, "returned an empty state"),
        // Delivered, and then it ends with what lasts.
        (
            "event {}\nproblem permission it may not\nstate one\nnext 60000",
            &[],
            1,
            "error: permission: it may not",
        ),
        ("trap", &[], 134, "unreachable"),
    ] {
        let told = Told::start(move |_, _| format!("{script}\n"));
        let _ = fs::remove_file(folder.path().join("state.json"));
        let mut command = told.command(folder.path(), serde_json::json!({}));
        let ended = command.args(arguments).output().expect("the command");
        assert_eq!(ended.status.code(), Some(status), "{script}: {}", said(&ended));
        assert!(said(&ended).contains(part), "{script}: {}", said(&ended));
    }
}
