//! The README tells the truth.

use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

#[test]
fn the_rust_host_in_the_readme_is_the_example_that_is_compiled() {
    let example = read("host-harness/examples/collect.rs");
    let code: String = example
        .lines()
        .skip_while(|line| line.starts_with("//!") || line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(code.lines().count() <= 25, "{} lines", code.lines().count());
    assert!(read("README.md").contains(&code), "copy host-harness/examples/collect.rs into README.md");
}

#[test]
fn each_configuration_in_the_readme_is_accepted() {
    let readme = read("README.md");
    let block = |nth| readme.split("```toml\n").nth(nth).and_then(|rest| rest.split("```").next());
    let whole = block(1).expect("a TOML block");
    let streams = block(2).expect("a second TOML block");
    let (before, after) = whole.split_once("[source.streams.login]").expect("a stream");
    let (_, after) = after.split_once("[state]").expect("a state");
    for toml in [whole.to_owned(), format!("{before}{streams}[state]{after}")] {
        accepts(&toml);
    }
}

fn accepts(toml: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = read("crates/collector/tests/keys/pkcs8.pem");
    fs::write(folder.path().join("client-key.pem"), key).expect("written");
    let component = fs::canonicalize(e2e::hosted::component_path()).expect("the component");
    let toml = toml.replace("dist/salesforce-source.wasm", &component.to_string_lossy());
    // Not even its name is looked up: tests talk to this machine alone. Nobody listens at this port.
    let toml = toml.replace("https://acme.my.salesforce.com", "http://127.0.0.1:1");
    let toml = toml.replace("acme.my.salesforce.com", "127.0.0.1:1");
    fs::write(folder.path().join("source-host.toml"), toml).expect("written");
    // The org of the README is not there; how far the host comes shows that the configuration is right.
    let output = crate::host()
        .arg("run")
        .arg(folder.path().join("source-host.toml"))
        .args(["--until-caught-up", "--give-up-after", "1ms"])
        .output()
        .expect("the host");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no answer from 127.0.0.1:1"), "{said}");
}
