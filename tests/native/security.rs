//! What `docs/security.md` promises has tests, and the engine is built as it says.

use std::{fs, path::Path};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect(path)
}

#[test]
fn each_of_the_eighteen_points_is_met_or_says_why_not_and_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut numbers, mut wrong) = (Vec::new(), Vec::new());
    for line in read("docs/security.md").lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, expected, met, tests] = cells[..] else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        numbers.push(number);
        if expected.is_empty() || met.is_empty() {
            wrong.push(format!("point {number} lacks what is expected or how it is met"));
        }
        let missing = crate::behaviours::missing_tests(&root, tests);
        wrong.extend(missing.into_iter().map(|name| format!("point {number}: {name}")));
    }
    assert!(numbers.iter().copied().eq(1..=18), "{numbers:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wasmtime_is_built_without_what_no_source_needs() {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("wasmtime = ")).expect("wasmtime");
    assert!(line.contains("default-features = false"), "{line}");
    for feature in ["threads", "gc", "stack-switching", "winch", "debug"] {
        assert!(!line.contains(feature), "{feature}: {line}");
    }
    // Only components for WASI 0.3 need it, and these run in an engine of their own.
    assert!(line.contains("component-model-async"), "{line}");
    let compiler = read("host-harness/src/component/compiler.rs");
    assert!(compiler.contains(".concurrency_support(contract == Contract::AsyncSource)"));
}
