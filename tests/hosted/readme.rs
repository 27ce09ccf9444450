//! The README tells the truth.

use e2e::hosted::program;
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

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

#[test]
fn a_tenant_is_made_of_the_configuration_in_the_readme_as_it_says() {
    let readme = read("README.md");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let toml =
        readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a TOML block");
    let toml = toml.replace("https://acme.my.salesforce.com", "http://127.0.0.1:1");
    fs::write(path("source-host.toml"), toml.replace("acme.my.salesforce.com", "127.0.0.1:1"))
        .expect("written");
    fs::write(path("client-key.pem"), read("crates/collector/tests/keys/pkcs8.pem")).expect("written");
    let component = fs::canonicalize(e2e::hosted::component_path()).expect("the component");
    symlink(component.parent().expect("a folder"), path("dist")).expect("a link");
    fs::create_dir_all(path("target/release")).expect("a folder");
    symlink(program("source-host"), path("target/release/source-host")).expect("a link");

    let (_, rest) = readme.split_once("## Many tenants in one process\n\n").expect("the section");
    let block = rest.split("\n\n").next().expect("its commands");
    let command = |has: &str| {
        let found = block.lines().find(|line| line.contains(has)).expect(has);
        found.replace("127.0.0.1:9464", "127.0.0.1:0")
    };
    let (serve, list) = (command("source-host serve"), command("source-host tenants"));
    let before: String = block
        .lines()
        .take_while(|line| !line.contains("source-host serve"))
        .map(|line| format!("{line}\n"))
        .collect();
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(folder.path()).stdin(Stdio::null());
        command.env("SOURCE_HOST_CACHE", env!("CARGO_TARGET_TMPDIR"));
        command
    };
    assert!(shell(&before).status().expect("a shell").success(), "{before}");
    let said = File::create(path("said.txt")).expect("a file");
    let mut server = shell(&format!("exec {serve}")).stderr(said).spawn().expect("the server");
    let started = Instant::now();
    // The org of the README is not there; how far the tenant comes shows that its configuration is right.
    let listed = loop {
        let listed = shell(&list).output().expect("an answer");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        if listed.contains("no answer from 127.0.0.1:1") || started.elapsed() > Duration::from_secs(60) {
            break listed;
        }
    };
    server.kill().expect("killed");
    server.wait().expect("an end");
    let said = fs::read_to_string(path("said.txt")).unwrap_or_default();
    assert!(listed.contains("acme") && listed.contains("no answer from 127.0.0.1:1"), "{listed}{said}");
    assert!(!path("tenants/state.json").exists() && path("tenants/states.sqlite").exists());
}
