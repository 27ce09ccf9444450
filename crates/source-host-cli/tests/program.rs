//! The program, as an operator meets it: what it prints, what it leaves on disk, with which status it ends.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a component and a configuration in it.
struct Fixture {
    folder: TempDir,
}

const GOOD: &str = r#"
    component = "guest.wasm"
    [state]
    path = "state.json"
    [output]
    kind = "file"
    path = "events.ndjson"
    [egress]
    allow = ["*.example.com"]
"#;

impl Fixture {
    fn new(config: &str) -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(fixture.path("guest.wasm"), test_guests::component().unwrap()).unwrap();
        std::fs::write(fixture.path("config.toml"), config).unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The component's text in the file of its state.
    fn state(&self) -> String {
        let bytes = std::fs::read(self.path("state.json")).unwrap();
        let text = bytes.splitn(3, |byte| *byte == b'\n').nth(2).unwrap();
        String::from_utf8(text.to_owned()).unwrap()
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_source-host"));
        command.args(args).current_dir(self.folder.path()).env_remove("RUST_LOG");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

/// Runs once through a configuration.
fn run_through(fixture: &Fixture) -> Output {
    fixture.run(&["run", "config.toml", "--until-caught-up", "--report", "report.json"])
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs that must be refused as the user's mistake, with these words, leaving nothing behind.
fn refused(fixture: &Fixture, words: &[&str]) {
    let output = run_through(fixture);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
    }
    assert!(!fixture.path("events.ndjson").exists());
}

#[test]
fn a_run_delivers_events_keeps_the_state_and_sums_up() {
    let fixture = Fixture::new(GOOD);
    let output = run_through(&fixture);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fixture.read("events.ndjson"), "{\"n\":1}\n");
    assert_eq!(fixture.state(), "{}");
    assert!(stderr(&output).contains("caught up: 1 events from 0 files"), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&fixture.read("report.json")).unwrap();
    assert_eq!((&report["events"], &report["caught_up"]), (&1.into(), &true.into()));
    assert_eq!(report["peak_memory_bytes"], 40 * 65_536);
    let keys = "bytes_read bytes_received caught_up event_bytes events events_set_aside files files_given_up peak_memory_bytes \
                polls problems requests rows rows_malformed seconds token_requests";
    let found: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found.join(" "), keys);
}

#[test]
fn events_go_to_standard_output_and_nothing_else_does() {
    let fixture = Fixture::new(
        &GOOD.replace("kind = \"file\"", "kind = \"stdout\"").replace("path = \"events.ndjson\"", ""),
    );
    let output = run_through(&fixture);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "{\"n\":1}\n");
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_its_batch_is_not_counted_as_read() {
    let fixture = Fixture::new(
        &GOOD.replace("kind = \"file\"", "kind = \"stdout\"").replace("path = \"events.ndjson\"", ""),
    );
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status =
        fixture.command(&["-q", "run", "config.toml"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    assert!(!fixture.path("state.json").exists());
}

#[test]
fn a_signal_ends_a_run_well() {
    for name in ["INT", "TERM"] {
        let fixture = Fixture::new(GOOD);
        let mut child = fixture.command(&["run", "config.toml"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        lines.find(|line| line.contains("batch delivered")).unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
        assert!(lines.any(|line| line.starts_with("stopped: 1 events")));
        assert_eq!(fixture.state(), "{}");
    }
}

#[test]
fn a_hang_up_opens_the_output_again_and_ends_nothing() {
    let fixture = Fixture::new(GOOD);
    let mut child = fixture.command(&["run", "config.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("batch delivered")).unwrap();
    let pid = child.id().to_string();
    let signal = |name| assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    for _ in 0..2 {
        signal("HUP");
        lines.find(|line| line.contains("the output is opened again")).expect("it goes on");
    }
    signal("TERM");
    assert!(child.wait().unwrap().success());
    assert!(lines.any(|line| line.starts_with("stopped: 1 events")));
}

#[test]
fn a_check_beside_a_host_that_runs_says_that_its_state_is_in_use_and_fails_for_nothing_else() {
    let fixture = Fixture::new(GOOD);
    let mut child = fixture.command(&["run", "config.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("batch delivered")).unwrap();
    let checked = fixture.run(&["check", "config.toml"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
    assert!(stdout(&checked).contains("in use by another host"), "{}", stdout(&checked));
}

#[test]
fn a_second_host_with_the_same_state_is_refused() {
    let fixture = Fixture::new(GOOD);
    let mut child = fixture.command(&["run", "config.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("batch delivered")).unwrap();
    let second = run_through(&fixture);
    assert_eq!(second.status.code(), Some(2));
    assert!(stderr(&second).contains("in use by another host"), "{}", stderr(&second));
    assert_eq!(fixture.read("events.ndjson"), "{\"n\":1}\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn log_lines_can_be_json() {
    let fixture = Fixture::new(GOOD);
    let output = fixture.run(&["--log", "json", "run", "config.toml", "--until-caught-up"]);
    let line = stderr(&output).lines().find(|line| line.contains("batch delivered")).unwrap().to_owned();
    let entry: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&entry["events"], &entry["level"]), (&1.into(), &"INFO".into()));
}

#[test]
fn a_component_that_is_not_there_is_named() {
    let fixture = Fixture::new(&GOOD.replace("guest.wasm", "missing.wasm"));
    refused(&fixture, &["missing.wasm", "No such file"]);
}

#[test]
fn a_core_module_is_told_from_a_component() {
    let fixture = Fixture::new(GOOD);
    std::fs::write(fixture.path("guest.wasm"), b"\0asm\x01\0\0\0").unwrap();
    refused(&fixture, &["guest.wasm is not admitted", "core module"]);
}

#[test]
fn mistakes_of_host_and_component_are_reported_together() {
    let fixture =
        Fixture::new("component = \"guest.wasm\"\nstat = 1\n[source]\nx = 1\n[limits]\nmemory = \"much\"");
    refused(
        &fixture,
        &[
            "config.toml has 3 mistakes",
            "stat: unknown key; did you mean `state`?",
            "line 6: limits.memory: a size is expected",
            "source: nothing [2Jworks",
        ],
    );
}

#[test]
fn mistakes_of_the_component_alone_are_listed_with_their_table() {
    refused(
        &Fixture::new(&format!("{GOOD}\n[source]\nx = 1")),
        &["config.toml has a mistake", "source: nothing"],
    );
}

#[test]
fn a_source_that_may_not_connect_shows_the_lines_to_add() {
    let words = [
        "does not allow",
        "logs.example.com",
        "[egress]\n    allow = [\"logs.example.com\", \"other.example.net\"]",
    ];
    refused(&Fixture::new(&GOOD.replace("*.example.com", "other.example.net")), &words);
    let without = GOOD.split("[egress]").next().unwrap().to_owned();
    refused(&Fixture::new(&without), &["[egress]\n    allow = [\"logs.example.com\"]"]);
}

#[test]
fn a_secret_is_named_when_it_is_missing_and_never_shown_when_it_is_there() {
    let config =
        format!("{GOOD}\n[source]\na = {{ file = \"none.pem\" }}\nb = {{ env = \"NOT_SET_ANYWHERE\" }}");
    refused(
        &Fixture::new(&config),
        &[
            "source.a: cannot read the file",
            "none.pem",
            "source.b: the environment variable NOT_SET_ANYWHERE is not set",
        ],
    );

    let fixture = Fixture::new(&format!("{GOOD}\n[source]\na = {{ env = \"CANARY\" }}\nb = \"c4n4ry\""));
    let output = fixture.command(&["-vv", "run", "config.toml"]).env("CANARY", "c4n4ry").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        !stderr(&output).contains("c4n4ry") && !stdout(&output).contains("c4n4ry"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_foreign_state_is_refused_and_left_alone() {
    let fixture = Fixture::new(GOOD);
    fixture.write("state.json", "x");
    let output = run_through(&fixture);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(fixture.read("state.json"), "x");
    assert_eq!(fixture.read("events.ndjson"), "");
}

#[test]
fn a_state_that_is_no_text_is_refused_and_left_alone() {
    let fixture = Fixture::new(GOOD);
    std::fs::write(fixture.path("state.json"), [0xff, 0xfe]).unwrap();
    refused(&fixture, &["state.json is not UTF-8"]);
    assert_eq!(std::fs::read(fixture.path("state.json")).unwrap(), [0xff, 0xfe]);
}

#[test]
fn a_failure_that_does_not_pass_in_time_ends_the_run_with_status_1() {
    let fixture = Fixture::new(GOOD);
    fixture.write("state.json", "e");
    let output = fixture.run(&["run", "config.toml", "--until-caught-up", "--give-up-after", "100ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("given up"), "{}", stderr(&output));
    assert_eq!(fixture.read("state.json"), "e");
}

#[test]
fn a_report_is_written_of_a_failed_run_too() {
    let fixture = Fixture::new(GOOD);
    fixture.write("state.json", "x");
    run_through(&fixture);
    let report: Value = serde_json::from_str(&fixture.read("report.json")).unwrap();
    assert_eq!((&report["events"], &report["caught_up"]), (&0.into(), &false.into()));
}

#[test]
fn check_ends_well_where_nothing_fails() {
    let fixture = Fixture::new(GOOD);
    let output = fixture.run(&["check", "config.toml", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let findings: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let names: Vec<_> =
        findings.as_array().unwrap().iter().map(|one| (&one["name"], &one["verdict"])).collect();
    assert_eq!(
        format!("{names:?}"),
        r#"[(String("state"), String("pass")), (String("output"), String("pass"))]"#
    );
    assert!(!fixture.path("state.json").exists(), "a check saves no state");
}

#[test]
fn describe_shows_what_a_component_is() {
    let fixture = Fixture::new(GOOD);
    let output = fixture.run(&["describe", "guest.wasm"]);
    assert!(stdout(&output).starts_with("guest 0.0.0\n"), "{}", stdout(&output));
    let json: Value =
        serde_json::from_str(&stdout(&fixture.run(&["describe", "guest.wasm", "--json"]))).unwrap();
    assert_eq!((&json["name"], &json["imports"]), (&"guest".into(), &Value::Array(Vec::new())));
}

#[test]
fn a_reader_that_looks_at_the_beginning_alone_is_no_failure() {
    let fixture = Fixture::new(GOOD);
    for arguments in [&["describe", "guest.wasm", "--json"][..], &["schema", "guest.wasm"]] {
        let mut command = fixture.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_first_configuration_is_written_from_what_the_component_says_and_never_over_another() {
    let fixture = Fixture::new(GOOD);
    let output = fixture.run(&["init", "guest.wasm", "--output", "new.toml", "--set", "limits.memory=32MiB"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fixture.read("new.toml");
    for part in
        ["component = \"guest.wasm\"\n", "path = \"state.json\"\n", "memory = \"32MiB\"\n", "allow = []\n"]
    {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    fixture.write("new.toml", &text.replace("allow = []", "allow = [\"logs.example.com\"]"));
    let output = fixture.run(&["check", "new.toml"]);
    assert!(output.status.success(), "{}{}", stderr(&output), fixture.read("new.toml"));

    for path in ["config.toml", "guest.wasm"] {
        let output = fixture.run(&["init", "guest.wasm", "-o", path]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("left as it is"), "{}", stderr(&output));
    }
    assert_eq!(fixture.read("config.toml"), GOOD);
    let output = fixture.run(&["init", "guest.wasm", "-o", "other.toml", "--set", "nothing=1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no key `nothing`") && !fixture.path("other.toml").exists());
}

#[test]
fn the_schema_of_the_file_is_printed_as_json() {
    let fixture = Fixture::new(GOOD);
    let schema: Value = serde_json::from_str(&stdout(&fixture.run(&["schema", "guest.wasm"]))).unwrap();
    assert_eq!(schema["properties"]["state"]["required"][0], "path");
    assert!(schema["properties"]["source"].is_object());
}

#[test]
fn help_teaches_with_an_example() {
    let fixture = Fixture::new(GOOD);
    let text = stdout(&fixture.run(&["--help"]));
    for part in ["[egress]", "source-host check CONFIG.toml", "Exit status:"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(fixture.run(&["run"]).status.code(), Some(2));
}
