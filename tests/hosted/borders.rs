//! What crosses the borders: between the component and the world, and between the crates.

use e2e::hosted::{component_p3_path, component_path};
use std::{collections::BTreeSet, fs, path::Path, process::Command};
use wit_component::DecodedWasm;

/// What a component imports and exports.
fn borders(component: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let bytes = fs::read(component).expect("the component; run `make build`");
    let Ok(DecodedWasm::Component(resolve, world)) = wit_component::decode(&bytes) else {
        panic!("not a component");
    };
    let names = |items: &wit_parser::IndexMap<wit_parser::WorldKey, wit_parser::WorldItem>| {
        items.keys().map(|key| resolve.name_world_key(key)).collect::<BTreeSet<_>>()
    };
    let world = &resolve.worlds[world];
    (names(&world.imports), names(&world.exports))
}

#[test]
fn the_component_imports_and_exports_exactly_what_the_contract_says() {
    let (imports, exports) = borders(&component_path());
    let expected = [
        "wasi:clocks/monotonic-clock@0.2.0",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:http/types@0.2.0",
        "wasi:io/error@0.2.0",
        "wasi:io/poll@0.2.0",
        "wasi:io/streams@0.2.0",
    ];
    assert_eq!(imports, expected.map(str::to_owned).into());
    assert_eq!(exports, ["pipeline:source/source@0.1.0".to_owned()].into());
}

#[test]
fn the_component_for_wasi_0_3_imports_clocks_the_http_client_and_types_alone() {
    let (imports, exports) = borders(&component_p3_path());
    let expected = [
        "pipeline:source/source@0.1.0",
        "wasi:clocks/monotonic-clock@0.3.0",
        "wasi:clocks/system-clock@0.3.0",
        "wasi:clocks/types@0.3.0",
        "wasi:http/client@0.3.0",
        "wasi:http/types@0.3.0",
    ];
    assert_eq!(imports, expected.map(str::to_owned).into());
    assert_eq!(exports, ["pipeline:source/async-source@0.1.0".to_owned()].into());
}

#[test]
fn the_command_imports_files_streams_and_arguments_besides_and_exports_that_it_runs() {
    let (imports, exports) = borders(&component_path().with_file_name("salesforce-command.wasm"));
    let expected = [
        "wasi:cli/environment@0.2.0",
        "wasi:cli/exit@0.2.12",
        "wasi:cli/stderr@0.2.0",
        "wasi:cli/stdin@0.2.0",
        "wasi:cli/stdout@0.2.0",
        "wasi:clocks/monotonic-clock@0.2.0",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
        "wasi:filesystem/types@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:http/types@0.2.0",
        "wasi:io/error@0.2.0",
        "wasi:io/poll@0.2.0",
        "wasi:io/streams@0.2.0",
    ];
    assert_eq!(imports, expected.map(str::to_owned).into());
    assert_eq!(exports, ["wasi:cli/run@0.2.0".to_owned()].into());
}

#[test]
fn the_command_knows_neither_what_it_collects_nor_how_files_lie_on_a_system() {
    let dependencies = dependencies("source-command");
    for package in ["collector", "salesforce-source", "tokio", "rusqlite", "source-host"] {
        assert!(!dependencies.contains(package), "{package}");
    }
    for folder in ["source-command/src", "source-command/wit", "egress-gate/src"] {
        let sources = format!("{}/../crates/{folder}", env!("CARGO_MANIFEST_DIR"));
        let search = Command::new("grep").args(["-ril", "salesforce", &sources]).output().expect("grep");
        assert_eq!(String::from_utf8_lossy(&search.stdout), "", "{folder}");
    }
}

#[test]
fn the_component_is_at_most_1_300_kilobytes_and_what_asynchronous_calls_need_no_more_than_20_beyond() {
    for (path, limit) in [(component_path(), 1_300_000), (component_p3_path(), 1_320_000)] {
        let size = fs::metadata(&path).expect("the component; run `make build`").len();
        assert!(size <= limit, "{}: {size} bytes", path.display());
    }
}

#[test]
fn the_component_tells_nothing_of_the_machine_that_built_it() {
    let bytes = fs::read(component_path()).expect("the component; run `make build`");
    let has = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(has("crates/rsa-"), "it names sources, by their crates");
    let here = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("the repository");
    let home = std::env::var("HOME").unwrap_or_default();
    for path in [here.to_string_lossy().as_ref(), &format!("{home}/.cargo"), "registry/src", "/home/"] {
        assert!(!has(path), "{path}");
    }
}

/// The names that a crate of the workspace lists as dependencies, those for its tests left out.
fn dependencies(package: &str) -> BTreeSet<String> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|found| found["name"] == package).expect("the package");
    let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
    dependencies
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn the_collector_knows_neither_wasm_nor_http_nor_async() {
    let allowed = [
        "aes",
        "base64",
        "blake3",
        "cbc",
        "documents",
        "flate2",
        "pbkdf2",
        "redaction",
        "rsa",
        "serde",
        "serde_json",
        "sha2",
        "zeroize",
    ];
    assert_eq!(dependencies("collector"), allowed.map(str::to_owned).into());
}

#[test]
fn documents_are_made_without_any_knowledge_of_where_they_come_from_and_go_to() {
    let allowed = ["blake3", "chrono", "memchr", "redaction", "serde", "simdutf8", "wide"];
    assert_eq!(dependencies("documents"), allowed.map(str::to_owned).into());
}

#[test]
fn the_component_is_glue_between_the_contract_and_the_collector() {
    for component in ["salesforce-source", "salesforce-source-p3"] {
        let expected = ["blake3", "collector", "wit-bindgen"];
        assert_eq!(dependencies(component), expected.map(str::to_owned).into(), "{component}");
    }
}

#[test]
fn programs_and_tests_are_built_with_the_same_features_so_that_wasmtime_is_built_once() {
    let tree = |edges: &str| {
        let tree = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--workspace",
                "--exclude",
                "salesforce-source",
                "--exclude",
                "hostile-source",
                "--exclude",
                "reference-source",
                "--exclude",
                "salesforce-source-p3",
                "--exclude",
                "hostile-source-p3",
                "--exclude",
                "source-command",
                "--exclude",
                "egress-gate",
                "--exclude",
                "compose",
                "--offline",
                "--prefix",
                "none",
            ])
            .args(["--no-dedupe", "-f", "{p} {f}", "-e", edges])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo tree");
        String::from_utf8_lossy(&tree.stdout).lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (programs, tests) = (tree("normal,build"), tree("normal,build,dev"));
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let shared: BTreeSet<String> = programs.iter().map(|line| name(line)).collect();
    // Crates of this repository are small; it is those that wasmtime is built with that must not change.
    let own = |line: &&String| line.contains("(/");
    let changed: Vec<_> =
        tests.difference(&programs).filter(|line| shared.contains(&name(line)) && !own(line)).collect();
    assert!(programs.len() > 100, "{programs:?}");
    assert!(changed.is_empty(), "built twice, with other features for the tests: {changed:?}");
}

#[test]
fn the_host_knows_nothing_of_salesforce() {
    let dependencies = dependencies("source-host");
    for package in ["collector", "salesforce-sim", "salesforce-source", "salesforce-source-p3", "e2e"] {
        assert!(!dependencies.contains(package), "{package}");
    }
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-harness");
    let search = Command::new("grep").args(["-ril", "salesforce", sources]).output().expect("grep");
    assert_eq!(String::from_utf8_lossy(&search.stdout), "");
}
