//! The program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_salesforce-sim"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a program that ends by itself; its exit status and what it wrote.
fn ended(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn it_prints_one_line_with_everything_a_client_needs_and_ends_on_sigterm() {
    let directory = Directory::new("program_line");
    let key = directory.0.join("key.pem");
    let mut child = program().args(["--hours", "5", "--rows", "70", "--key-file"]).arg(&key).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    for name in ["url", "control_url"] {
        assert!(line[name].as_str().unwrap().starts_with("http://127.0.0.1:"));
    }
    assert_eq!((&line["hours"], &line["rows"]), (&5.into(), &70.into()));
    assert_eq!(line["audience"], "https://login.salesforce.com");
    assert_eq!(line["key_file"].as_str(), key.to_str());
    for name in ["client_secret", "password", "security_token"] {
        assert!(line[name].is_string(), "{name}");
    }
    assert!(line["client_id"].is_string() && line["username"].is_string());
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_wrong_flag_is_named_and_ends_with_status_2() {
    let directory = Directory::new("program_flags");
    let broken = directory.0.join("broken.pem");
    std::fs::write(&broken, "not a key").unwrap();
    let plan = directory.0.join("plan.json");
    std::fs::write(&plan, r#"[{"nth": 0}]"#).unwrap();
    for (arguments, named) in [
        (vec!["--prot", "1"], "--prot"),
        (vec!["--port", "70000"], "--port"),
        (vec!["--hours", "0"], "--hours"),
        (vec!["--rows", "many"], "--rows"),
        (vec!["--page-size", "2001"], "--page-size"),
        (vec!["--obstacle", "moon"], "--obstacle"),
        (vec!["--event-types", "Login,Nope"], "no event type Nope"),
        (vec!["--end", "yesterday"], "--end"),
        (vec!["--crowd-rows", "10"], "--crowd-at"),
        (vec!["--crowd-at", "2026-03-04T10:00:00Z"], "--crowd-rows"),
        (vec!["--crowd-objects", "LoginEvent,Nope"], "'Nope' for '--crowd-objects"),
        (vec!["--faults", plan.to_str().unwrap()], "fault 1: nth is a whole number from 1"),
        (vec!["--faults", plan.to_str().unwrap()], "fault 1: action is missing"),
        (vec!["--faults", "missing.json"], "--faults"),
        (vec!["--key-file", broken.to_str().unwrap()], "--key-file"),
    ] {
        let (status, out, problem) = ended(&arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {problem}");
        assert!(problem.contains(named), "{problem}");
    }
}

#[test]
fn every_mistake_in_files_and_event_types_is_named_at_once_and_no_key_is_made() {
    let directory = Directory::new("program_mistakes");
    let key = directory.0.join("key.pem");
    let plan = directory.0.join("plan.json");
    std::fs::write(&plan, r#"[{"nth": 0}, {"action": {"kind": "melt"}}]"#).unwrap();
    let [key, plan] = [key.to_str().unwrap(), plan.to_str().unwrap()];
    let arguments = ["--faults", plan, "--event-types", "Nope,Login,Nor", "--key-file", key];
    let (status, out, problem) = ended(&arguments);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    for named in ["no event type Nope, Nor", "fault 1: nth", "fault 1: action is missing", "fault 2: action"]
    {
        assert!(problem.contains(named), "{named}: {problem}");
    }
    assert!(!std::path::Path::new(key).exists());
    std::fs::write(key, "no key").unwrap();
    let (_, _, problem) = ended(&arguments);
    assert!(problem.contains("fault 1: nth") && problem.contains("not an RSA private key"), "{problem}");
}

#[test]
fn help_explains_every_flag_and_gives_examples() {
    let (status, help, _) = ended(&["--help"]);
    assert_eq!(status, Some(0));
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for flag in "port control-port seed hours rows key-file client-id username client-secret password security-token \
                 obstacle session-minutes max-tokens session-refusal daily-api-limit clock-skew end event-types \
                 late-one-in late-by repeated-rows reissue-keeps-id hidden-one-in hidden-minutes retention-days \
                 columns-change nul-bytes repeated-header settle-seconds max-object-rows audit-rows api-rows report-rows \
                 anomaly-rows aura-rows crowd-at crowd-rows crowd-objects faults no-hourly page-size"
        .split_whitespace()
    {
        assert!(help.contains(&format!(" --{flag} ")), "{flag}");
    }
    for word in [
        "answer (status, body, headers)",
        "delay (millis)",
        "cut-silently",
        "cut-connection",
        "stall",
        "drip (bytes, millis)",
        "corrupt-gzip (at)",
        "wrong-length (by)",
        "revoke-sessions",
        "exhaust-quota",
        "GET /truth?interval=hourly",
        "?object=LoginEvent",
        "GET /stats",
        "POST /expire-sessions",
        "POST /exhaust-quota",
        "POST /clock",
        "POST /faults",
        "DELETE /faults",
        "Examples:",
        "Exit status:",
    ] {
        assert!(help.contains(word), "{word}");
    }
}
