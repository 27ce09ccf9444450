//! The benchmark runs, and what it writes for programs can be read.

use e2e::hosted::program;
use serde_json::Value;
use std::{fs, process::Command};

#[test]
fn the_benchmark_measures_native_code_the_component_and_the_loops_that_can_run_and_writes_each_round_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("bench.json");
    let output = Command::new(program("bench"))
        .args(["--rounds", "2", "--megabytes", "1", "--only", "Login", "--output"])
        .arg(&json)
        .output()
        .expect("the benchmark");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "a bar is for terminals");
    let ratios = said.find("to native").expect("ratios");
    assert!(ratios < said.find("rows/s").expect("rates"), "ratios come first: {said}");

    let bench: Value = serde_json::from_str(&fs::read_to_string(json).expect("bench.json")).expect("JSON");
    for name in ["cpu", "cores", "date", "commit"] {
        assert!(!bench["machine"][name].is_null(), "{name}: {}", bench["machine"]);
    }
    let measurements = bench["measurements"].as_array().expect("measurements");
    let has = |input: &str, contender: &str| {
        let is_it = |one: &&Value| one["input"] == input && one["contender"] == contender;
        let found = measurements.iter().find(is_it).expect(contender);
        assert_eq!(found["rounds"].as_array().map(Vec::len), Some(2), "{found}");
    };
    for input in ["Login", "Login, gzip", "LoginEvent", "LoginEvent, gzip"] {
        for contender in [
            "native, ecs",
            "native, ocsf",
            "native, raw",
            "component, ecs",
            "component, ocsf",
            "component, raw",
        ] {
            has(input, contender);
        }
    }
    for (tool, contender) in [("go", "Go, flat"), ("go", "Go, nested"), ("python3", "Python, flat")] {
        let can_run = Command::new(tool).arg(if tool == "go" { "version" } else { "--version" }).output();
        if can_run.is_ok_and(|output| output.status.success()) {
            has("Login", contender);
        }
    }
    assert!(bench["end_to_end"]["cold_start_ms"]["median"].as_f64().is_some_and(|ms| ms > 0.0));
}
