//! Components in registries, as whoever publishes and whoever runs one sees it: Debian's docker-registry, and servers that lie.

use component_registry::{Access, Credentials, Package, Purpose, Repository, SIGNATURE};
use e2e::{hosted::component_path, org::TestOrg};
use salesforce_sim::{OrgSettings, Rows, Workload};
use serde_json::{Value, json};
use source_host::Digest;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const USERNAME: &str = "publisher";
const PASSWORD: &str = "s3cret-registry";
/// The password as `htpasswd -B` writes it.
const HASHED: &str = "$2b$05$yKz1vlUjXJacCimynYdwZuPd.YQnuNTSo0Ls3Jn/tvfvEWj/bicb6";

/// Debian's registry, of the system or unpacked by `make setup-registry`.
fn registry_program() -> Option<PathBuf> {
    let unpacked = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("registry/debian/usr/bin/docker-registry");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("docker-registry"));
    found.chain([unpacked]).find(|program| program.is_file())
}

/// A registry with an empty store of its own, which lets nobody in without the password.
struct Registry {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Registry {
    /// None where there is no program for it, which is said.
    fn start() -> Option<Self> {
        let Some(program) = registry_program() else {
            println!(
                "There is no docker-registry (make setup-registry unpacks Debian's): this is not tried."
            );
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("htpasswd"), format!("{USERNAME}:{HASHED}\n")).expect("written");
        let settings = json!({
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": at("store")}, "delete": {"enabled": true}},
            "http": {"addr": "127.0.0.1:0"},
            "auth": {"htpasswd": {"realm": "test", "path": at("htpasswd")}},
        });
        fs::write(at("config.yml"), settings.to_string()).expect("written");
        let mut child = Command::new(program)
            .args(["serve", &at("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the registry");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let rest = line.split_once("listening on ")?.1;
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
            Some(rest[..end].to_owned())
        });
        // What is not read would stop it some day.
        thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address: address.expect("its address"), folder })
    }

    fn reference(&self, rest: &str) -> String {
        format!("oci://{}/acme/{rest}", self.address)
    }

    fn access(&self) -> Access {
        let mut access = Access::default();
        let password = String::from(PASSWORD).into();
        access.credentials = Some(Credentials { username: USERNAME.into(), password });
        access
    }

    /// Pushes bytes as they are, which the program would not.
    async fn push_bytes(&self, reference: &str, content: Vec<u8>) {
        let reference = reference.parse().expect("a reference");
        let repository = Repository::open(&reference, &self.access(), Purpose::Push).expect("a repository");
        let package = Package { content, ..Package::default() };
        repository.push(&package).await.expect("pushed");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, which knows the password and no file of docker.
fn host(folder: &Path) -> Command {
    let mut host = crate::host();
    host.current_dir(folder).env("DOCKER_CONFIG", folder.join("no-docker"));
    host.env("SOURCE_HOST_REGISTRY_USERNAME", USERNAME).env("SOURCE_HOST_REGISTRY_PASSWORD", PASSWORD);
    host
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains(PASSWORD) && !err.contains(PASSWORD), "{out}{err}");
    (output.status.code(), out, err)
}

/// What a command prints that has to succeed.
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, err) = texts(&host(folder).args(arguments).output().expect("the host"));
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
    out
}

/// What it says where it must not.
fn refused(folder: &Path, arguments: &[&str], status: i32) -> String {
    let (code, out, err) = texts(&host(folder).args(arguments).output().expect("the host"));
    assert_eq!(code, Some(status), "{arguments:?}: {out}{err}");
    err
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

/// A component that is a source as well, and small.
fn another_component() -> PathBuf {
    component_path().with_file_name("reference-source.wasm")
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn what_is_pushed_is_inspected_verified_and_pulled_by_somebody_else() {
    let Some(registry) = Registry::start() else { return };
    let (publisher, user) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (publisher, user) = (publisher.path(), user.path());
    let reference = registry.reference("salesforce:1.0");
    let component = component_path().display().to_string();
    let made = done(publisher, &["keygen", "release"]);
    assert!(made.contains("release.pub"), "{made}");
    let pushed =
        parsed(&done(publisher, &["push", &component, &reference, "--key", "release.pem", "--json"]));
    let digest = Digest::of(&fs::read(component_path()).expect("the component")).to_string();
    assert_eq!(text_of(&pushed, "component"), digest);
    // The same once more changes nothing.
    let again = parsed(&done(publisher, &["push", &component, &reference, "--key", "release.pem", "--json"]));
    assert_eq!(again, pushed);

    let shown = parsed(&done(user, &["inspect", &reference, "--json"]));
    assert_eq!(
        (text_of(&shown, "manifest"), text_of(&shown, "digest")),
        (text_of(&pushed, "manifest"), &*digest)
    );
    assert_eq!(text_of(&shown["annotations"], "org.opencontainers.image.licenses"), "Apache-2.0");
    assert_eq!(text_of(&shown["annotations"], "org.opencontainers.image.version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(shown["signatures"], json!([pushed["signed_by"]]));
    // What describes it is what it says of itself where it runs.
    assert_eq!(shown["description"], parsed(&done(publisher, &["describe", &component, "--json"])));
    let words = done(user, &["inspect", &reference]);
    assert!(words.contains(&digest) && words.contains("login"), "{words}");

    fs::copy(publisher.join("release.pub"), user.join("release.pub")).expect("copied");
    let verified = parsed(&done(user, &["verify", &reference, "--signed-by", "release.pub", "--json"]));
    assert_eq!((text_of(&verified, "component"), &verified["signed_by"]), (&*digest, &pushed["signed_by"]));
    done(user, &["pull", &reference, "--signed-by", "release.pub", "-o", "source.wasm"]);
    assert_eq!(
        fs::read(user.join("source.wasm")).expect("pulled"),
        fs::read(component_path()).expect("the component")
    );
    done(user, &["verify", "source.wasm", "--signed-by", "release.pub"]);
    let lock = fs::read_to_string(user.join("source-host.lock")).expect("a lock file");
    for part in [
        &*digest,
        text_of(&pushed, "manifest"),
        text_of(&pushed, "signed_by"),
        &reference,
        "size = ",
        "pulled = ",
    ] {
        assert!(lock.contains(part), "{part}: {lock}");
    }

    let other = done(user, &["keygen", "other"]);
    assert!(other.contains("other.pem"), "{other}");
    for command in
        [["verify", &reference, "--signed-by", "other.pub"], ["pull", &reference, "--signed-by", "other.pub"]]
    {
        let error = refused(user, &command, 2);
        assert!(
            error.contains("of the 1 signatures that are attached to it none is of the key sha256:"),
            "{error}"
        );
    }
    let unsigned = registry.reference("salesforce:unsigned");
    done(publisher, &["push", &another_component().display().to_string(), &unsigned]);
    let error = refused(user, &["pull", &unsigned, "--signed-by", "release.pub"], 2);
    assert!(error.contains("has to be signed, and no signature is attached"), "{error}");
    assert!(!fs::read_to_string(user.join("source-host.lock")).expect("a lock file").contains("unsigned"));
    // Nobody reads it without the password, nor with another one.
    let mut nobody = host(user);
    nobody.env_remove("SOURCE_HOST_REGISTRY_USERNAME");
    let (code, _, error) = texts(&nobody.args(["inspect", &reference]).output().expect("the host"));
    assert!(code == Some(2) && error.contains("wants credentials"), "{error}");
    let wrong =
        host(user).env("SOURCE_HOST_REGISTRY_PASSWORD", "another").args(["inspect", &reference]).output();
    let (code, _, error) = texts(&wrong.expect("the host"));
    assert!(code == Some(2) && error.contains("does not let publisher have"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_signatures_is_pushed_and_pulled_and_what_is_attached_with_one_is_not() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::copy(another_component(), folder.join("source.wasm")).expect("copied");
    let beside = folder.join("source.wasm.sig");
    let mut both = Vec::new();
    for name in ["one", "two"] {
        done(folder, &["keygen", name]);
        done(folder, &["sign", "source.wasm", "--key", &format!("{name}.pem")]);
        both.extend(fs::read(&beside).expect("a signature"));
    }
    fs::write(&beside, &both[..100]).expect("written");
    let reference = registry.reference("salesforce:1.0");
    let error = refused(folder, &["push", "source.wasm", &reference], 2);
    assert!(error.contains("source.wasm.sig is no signature: that has 64 bytes, or several"), "{error}");
    fs::write(&beside, &both).expect("written");
    done(folder, &["push", "source.wasm", &reference]);
    // Whoever may push attaches one that is right with something behind it.
    let parsed_reference = reference.parse().expect("a reference");
    let repository = Repository::open(&parsed_reference, &registry.access(), Purpose::Push).expect("opened");
    let artifact = repository.resolve().await.expect("what was pushed");
    for (signature, behind) in both.chunks(64).zip([36, 64]) {
        let content = [signature, &vec![0; behind]].concat();
        repository.attach(&artifact, SIGNATURE, &content, BTreeMap::new()).await.expect("attached");
    }
    for round in 0..2 {
        for name in ["one.pub", "two.pub"] {
            done(folder, &["pull", &reference, "--signed-by", name]);
        }
        let stored = files(&folder.join(".source-host"));
        let stored = stored.into_iter().find(|path| path.extension().is_some_and(|end| end == "sig"));
        let stored = fs::read(stored.expect("signatures")).expect("signatures");
        assert_eq!(stored, both, "round {round}: {} bytes", stored.len());
    }
}

#[test]
fn a_tag_that_was_moved_is_told_and_taken_only_when_asked_for() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let reference = registry.reference("salesforce:stable");
    let (one, other) = (component_path().display().to_string(), another_component().display().to_string());
    let first = parsed(&done(folder, &["push", &one, &reference, "--json"]));
    done(folder, &["pull", &reference]);
    let error = refused(folder, &["push", &other, &reference], 2);
    assert!(error.contains(text_of(&first, "manifest")) && error.contains("--replace"), "{error}");
    let second = parsed(&done(folder, &["push", &other, &reference, "--replace", "--json"]));
    let before = fs::read(folder.join("source-host.lock")).expect("a lock file");
    let error = refused(folder, &["pull", &reference], 2);
    for part in
        [text_of(&first, "manifest"), text_of(&second, "manifest"), "somebody has moved the tag", "--update"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(fs::read(folder.join("source-host.lock")).expect("a lock file"), before);
    // The old one is still there by its digest.
    done(folder, &["pull", &format!("{reference}@{}", text_of(&first, "manifest"))]);
    let updated = parsed(&done(folder, &["pull", &reference, "--update", "--json"]));
    assert_eq!((&updated["component"], &updated["before"]), (&second["component"], &first["manifest"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_or_speaks_another_contract_or_is_no_component_is_not_pulled() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let whole = fs::read(component_path()).expect("the component");
    let mut of_another_version = whole.clone();
    replace(&mut of_another_version, b"pipeline:source/source@0.1.0", b"pipeline:source/source@0.9.0");
    for (tag, content, reason) in [
        (
            "cut",
            whole[..whole.len() / 2].to_vec(),
            "it is damaged or was cut off; copy it again (unexpected end",
        ),
        (
            "other",
            of_another_version,
            "it speaks `pipeline:source/source@0.9.0` and this host speaks `pipeline:source/source@0.1.0`",
        ),
        ("text", b"not a component".to_vec(), "it is not WebAssembly"),
    ] {
        let reference = registry.reference(&format!("salesforce:{tag}"));
        registry.push_bytes(&reference, content).await;
        let error = refused(folder, &["pull", &reference], 2);
        assert!(error.contains(reason) && error.contains(&reference), "{error}");
    }
    assert_eq!(files(folder), Vec::<PathBuf>::new(), "nothing of it is kept");
    // Nor does the program push what it would not run.
    fs::write(folder.join("cut.wasm"), &whole[..whole.len() / 2]).expect("written");
    let error = refused(folder, &["push", "cut.wasm", &registry.reference("salesforce:2")], 2);
    assert!(error.contains("it is damaged"), "{error}");
}

/// Puts other bytes of the same length in the place of some, wherever they are.
fn replace(content: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at: Vec<usize> =
        content.windows(from.len()).enumerate().filter(|(_, part)| *part == from).map(|(at, _)| at).collect();
    assert!(!at.is_empty(), "it is in there");
    for at in at {
        content[at..at + to.len()].copy_from_slice(to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_runs_what_its_reference_pins_and_needs_no_registry_afterwards() {
    let Some(registry) = Registry::start() else { return };
    let workload = Workload { hours: 2, rows: Rows::Total(200), ..Workload::default() };
    let org = TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let component = component_path().display().to_string();
    done(folder, &["keygen", "release"]);
    let reference = registry.reference("salesforce:1.0");
    let pushed = parsed(&done(folder, &["push", &component, &reference, "--key", "release.pem", "--json"]));
    let output = "kind = \"file\"\npath = \"events.ndjson\"";
    let more = format!(
        "[registry]\nusername = \"{USERNAME}\"\npassword = {{ env = \"THE_PASSWORD\" }}\n[admission]\nsigned_by = \"release.pub\"\n"
    );
    let config = org.write_config(folder, output, &more).expect("a configuration");
    let text = fs::read_to_string(&config).expect("a configuration");
    let line = text.lines().find(|line| line.starts_with("component")).expect("a component").to_owned();
    let with = |reference: &str| {
        fs::write(&config, text.replace(&line, &format!("component = {reference:?}"))).expect("written")
    };
    let config = config.file_name().and_then(|name| name.to_str()).expect("a name");
    let run = |password: Option<&str>| {
        let mut command = crate::host();
        command.current_dir(folder).env("DOCKER_CONFIG", folder.join("no-docker"));
        command.args(["run", config, "--until-caught-up", "-q"]);
        if let Some(password) = password {
            command.env("THE_PASSWORD", password);
        }
        texts(&command.output().expect("the host"))
    };
    // Of a tag nobody has looked what it is.
    with(&reference);
    let (code, _, error) = run(Some(PASSWORD));
    assert!(
        code == Some(2) && error.contains("is not in source-host.lock: run `source-host pull`"),
        "{error}"
    );
    assert!(!folder.join("events.ndjson").exists());
    // A digest says all that has to be known.
    with(&format!("{reference}@{}", text_of(&pushed, "manifest")));
    let (code, _, error) = run(None);
    assert!(code == Some(2) && error.contains("THE_PASSWORD"), "{error}");
    let (code, _, error) = run(Some(PASSWORD));
    assert_eq!(code, Some(0), "{error}");
    let events = fs::read_to_string(folder.join("events.ndjson")).expect("events");
    assert!(events.lines().count() > 100, "{} events", events.lines().count());
    // With the lock file the tag is enough, and neither registry nor password are needed for what is there.
    let address = registry.address.clone();
    drop(registry);
    assert!(TcpStream::connect(&address).is_err());
    with(&reference);
    let (code, _, error) = run(None);
    assert_eq!(code, Some(0), "{error}");
    // What lies there is looked at each time.
    let stored = files(&folder.join(".source-host"))
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "wasm"));
    let stored = stored.expect("a component");
    let good = fs::read(&stored).expect("a component");
    let mut bad = good.clone();
    bad.extend_from_slice(b"\0\x02\x01x");
    fs::write(&stored, bad).expect("written");
    let (code, _, error) = run(None);
    assert!(code == Some(2) && error.contains("its digest is sha256:"), "{error}");
    fs::write(&stored, good).expect("written");
    fs::write(
        folder.join(".source-host").join(stored.with_extension("wasm.sig").file_name().expect("a name")),
        [0; 64],
    )
    .expect("written");
    let (code, _, error) = run(None);
    assert!(code == Some(2) && error.contains("its signature is not one of the expected key"), "{error}");
    // Nor is anything else run than the configuration pins.
    let other = Digest::of(b"another").to_string();
    with(&format!("{reference}@{other}"));
    let (code, _, error) = run(Some(PASSWORD));
    assert_ne!(code, Some(0), "{error}");
}

#[test]
fn tenants_of_a_folder_have_their_components_pulled_when_it_is_served() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let reference = registry.reference("salesforce:1.0");
    let component = component_path().display().to_string();
    let pushed = parsed(&done(folder.path(), &["push", &component, &reference, "--json"]));
    let pinned = format!("{reference}@{}", text_of(&pushed, "manifest"));
    let text = format!(
        "component = {pinned:?}\n[registry]\nusername = {USERNAME:?}\npassword = {{ env = \"SOURCE_HOST_REGISTRY_PASSWORD\" }}\n[source]\n[output]\nkind = \"stdout\"\n"
    );
    fs::write(folder.path().join("acme.toml"), text).expect("written");
    let mut server = host(folder.path())
        .args(["serve", "."])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the host");
    let said = BufReader::new(server.stderr.take().expect("its log")).lines().map_while(Result::ok);
    // It has the component, and asks it what it thinks of an empty [source].
    let mut log = Vec::new();
    for line in said {
        let is_it = line.contains("acme") && line.contains("source.");
        log.push(line);
        if is_it {
            break;
        }
    }
    let _ = server.kill();
    let _ = server.wait();
    let log = log.join("\n");
    assert!(log.contains("is missing") || log.contains("required"), "{log}");
    assert!(folder.path().join("source-host.lock").is_file(), "{log}");
}

#[test]
fn a_wit_package_is_an_artifact_as_well() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let reference = registry.reference("pipeline/source:0.1.0");
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit").display().to_string();
    let pushed = parsed(&done(folder.path(), &["push", "--wit", &wit, &reference, "--json"]));
    assert_eq!(text_of(&pushed, "name"), "pipeline:source@0.1.0");
    let again = parsed(&done(folder.path(), &["push", "--wit", &wit, &reference, "--json"]));
    assert_eq!(again, pushed);
    let shown = parsed(&done(folder.path(), &["inspect", &reference, "--json"]));
    assert_eq!(text_of(&shown["annotations"], "org.opencontainers.image.title"), "pipeline:source@0.1.0");
    // It is no source, and is not taken for one.
    let error = refused(folder.path(), &["pull", &reference], 2);
    assert!(error.contains("is not admitted"), "{error}");
    // What came is the package, with what it depends on.
    let blob = stored_blob(registry.folder.path(), text_of(&pushed, "component"));
    let decoded = wit_component::decode(&blob).expect("a WIT package");
    let wit_component::DecodedWasm::WitPackage(resolve, id) = decoded else { panic!("it is a package") };
    assert_eq!(resolve.packages[id].name.to_string(), "pipeline:source@0.1.0");
    assert!(
        resolve.packages[id].worlds.contains_key("log-source") || !resolve.packages[id].worlds.is_empty()
    );
}

fn stored_blob(folder: &Path, digest: &str) -> Vec<u8> {
    let digits = digest.trim_start_matches("sha256:");
    let path =
        folder.join("store/docker/registry/v2/blobs/sha256").join(&digits[..2]).join(digits).join("data");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn keys_and_signatures_are_those_of_openssl() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !openssl(&["version"]) {
        println!("There is no openssl: this is not tried.");
        return;
    }
    fs::copy(component_path(), folder.join("source.wasm")).expect("copied");
    // What this program makes, openssl reads and verifies.
    done(folder, &["keygen", "ours"]);
    done(folder, &["sign", "source.wasm", "--key", "ours.pem"]);
    let verify = |key: &str| {
        openssl(&[
            "pkeyutl",
            "-verify",
            "-rawin",
            "-pubin",
            "-inkey",
            key,
            "-in",
            "source.wasm",
            "-sigfile",
            "source.wasm.sig",
        ])
    };
    assert!(verify("ours.pub"));
    assert!(openssl(&["pkey", "-in", "ours.pem", "-pubout", "-out", "derived.pub"]));
    let text = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
    assert_eq!(text("derived.pub"), text("ours.pub"));
    // And the other way round.
    assert!(openssl(&["genpkey", "-algorithm", "ed25519", "-out", "theirs.pem"]));
    assert!(openssl(&["pkey", "-in", "theirs.pem", "-pubout", "-out", "theirs.pub"]));
    assert!(!verify("theirs.pub"));
    assert!(openssl(&[
        "pkeyutl",
        "-sign",
        "-rawin",
        "-inkey",
        "theirs.pem",
        "-in",
        "source.wasm",
        "-out",
        "source.wasm.sig"
    ]));
    done(folder, &["verify", "source.wasm", "--signed-by", "theirs.pub"]);
    let error = refused(folder, &["verify", "source.wasm", "--signed-by", "ours.pub"], 2);
    assert!(error.contains("is not a signature of it by the key sha256:"), "{error}");
    let theirs = fs::read(folder.join("source.wasm.sig")).expect("a signature");
    done(folder, &["sign", "source.wasm", "--key", "theirs.pem"]);
    assert_eq!(
        fs::read(folder.join("source.wasm.sig")).expect("a signature"),
        theirs,
        "Ed25519 has one signature"
    );
    // Nothing is overwritten, and the secret is for its owner alone.
    let (before, error) = (text("ours.pem"), refused(folder, &["keygen", "ours"], 2));
    assert!(error.contains("not overwritten") && text("ours.pem") == before, "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.join("ours.pem")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for (name, content) in
        [("rsa", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"), ("text", "s3cret")]
    {
        fs::write(folder.join(name), content).expect("written");
        let error = refused(folder, &["sign", "source.wasm", "--key", name], 2);
        assert!(error.contains("openssl genpkey -algorithm ed25519") && !error.contains("s3cret"), "{error}");
    }
}

/// A request to a server that lies.
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
}

type Lie = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

/// Answers requests as it likes. It is on the address until the test ends.
struct Liar {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Liar {
    fn start(address: &str, lie: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, lie): (_, Arc<Lie>) = (Arc::clone(&asked), Arc::new(lie));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (noted, lie) = (Arc::clone(&noted), Arc::clone(&lie));
                thread::spawn(move || answer(stream, &noted, &*lie));
            }
        });
        Self { address, asked }
    }

    fn reference(&self, rest: &str) -> String {
        format!("oci://{}/acme/{rest}", self.address)
    }

    /// What was asked with a header that holds a secret.
    fn told(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let with = asked.iter().filter(|asked| asked.headers.contains_key("authorization"));
        with.map(|asked| asked.line.clone()).collect()
    }
}

fn answer(stream: TcpStream, noted: &Mutex<Vec<Asked>>, lie: &Lie) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let mut stream = stream;
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let mut headers = BTreeMap::new();
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
        if let Some((name, value)) = header.trim_end().split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        header.clear();
    }
    let asked = Asked { line: line.trim_end().to_owned(), headers };
    lie(&asked, &mut stream);
    noted.lock().expect("no panic").push(asked);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // What is still sent is taken, so that the answer is not lost.
    let _ = reader.read(&mut [0; 1024]);
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(component: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}").to_string(), "size": 2},
        "layers": [{"mediaType": "application/wasm", "digest": Digest::of(component).to_string(), "size": component.len()}],
    });
    change(&mut manifest);
    manifest.to_string().into_bytes()
}

/// A registry with one manifest, and a lie where the component is asked for.
fn liar(manifest: Vec<u8>, kind: &'static str, lie: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Liar {
    Liar::start("127.0.0.1", move |asked, stream| {
        if asked.line.contains("/manifests/") {
            respond(stream, "200 OK", &format!("content-type: {kind}\r\n"), &manifest);
        } else if asked.line.contains("/blobs/") {
            lie(stream);
        } else {
            respond(stream, "404 Not Found", "", b"");
        }
    })
}

#[test]
fn a_registry_that_lies_is_found_out_and_nothing_of_it_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let whole = Arc::new(fs::read(component_path()).expect("the component"));
    let honest = || manifest(&whole, |_| {});
    let send = |content: Vec<u8>| move |stream: &mut TcpStream| respond(stream, "200 OK", "", &content);
    let mut changed = whole.to_vec();
    changed[100_000] ^= 1;
    let endless = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[0; 1 << 16]).is_ok() {}
    };
    let cut = {
        let whole = Arc::clone(&whole);
        move |stream: &mut TcpStream| {
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", whole.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&whole[..5000]));
        }
    };
    let nothing = |_: &mut TcpStream| {};
    let with = |change: fn(&mut Value)| manifest(&whole, change);
    let cases: Vec<(&str, Liar, &str)> = vec![
        ("other bytes", liar(honest(), MANIFEST, send(changed)), "the component has the digest sha256:"),
        ("more bytes than said", liar(honest(), MANIFEST, send([&whole[..], b"x"].concat())), "of more than"),
        ("an endless body", liar(honest(), MANIFEST, endless), "of more than"),
        (
            "fewer bytes than said",
            liar(honest(), MANIFEST, send(whole[..5000].to_vec())),
            "was cut: 4.9 KiB came",
        ),
        ("a body that is cut", liar(honest(), MANIFEST, cut), "breaks off the component"),
        (
            "a size beyond the limit",
            liar(with(|m| m["layers"][0]["size"] = json!(1_u64 << 40)), MANIFEST, nothing),
            "more than its limit of 32 MiB",
        ),
        (
            "another config",
            liar(
                with(|m| m["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json")),
                MANIFEST,
                nothing,
            ),
            "it holds no component: its config is `application/vnd.oci.image.config.v1+json`",
        ),
        (
            "another layer",
            liar(
                with(|m| m["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip")),
                MANIFEST,
                nothing,
            ),
            "its layer is `application/vnd.oci.image.layer.v1.tar+gzip`",
        ),
        (
            "two layers",
            liar(with(|m| m["layers"] = json!([m["layers"][0], m["layers"][0]])), MANIFEST, nothing),
            "it has 2 layers",
        ),
        (
            "a weak digest",
            liar(with(|m| m["layers"][0]["digest"] = json!("md5:00")), MANIFEST, nothing),
            "no digest by SHA-256",
        ),
        (
            "an index",
            liar(honest(), "application/vnd.oci.image.index.v1+json", nothing),
            "index of several artifacts",
        ),
        ("a page", liar(b"<html>".to_vec(), "text/html", nothing), "it is `text/html`"),
        ("no JSON", liar(b"{".to_vec(), MANIFEST, nothing), "what should be a manifest is none"),
        ("a long manifest", liar(vec![b' '; 5 << 20], MANIFEST, nothing), "a manifest of more than 4 MiB"),
        (
            "an error with words",
            liar(honest(), MANIFEST, |stream| {
                respond(
                    stream,
                    "503 Busy",
                    "",
                    br#"{"errors":[{"code":"UNAVAILABLE","message":"\u001b[31mlook"}]}"#,
                )
            }),
            "answers 503 Service Unavailable UNAVAILABLE when asked for the component",
        ),
    ];
    for (name, liar, reason) in cases {
        let started = Instant::now();
        let (code, out, error) =
            texts(&host(folder).args(["pull", &liar.reference("source:1")]).output().expect("the host"));
        assert!(matches!(code, Some(1 | 2)), "{name}: {out}{error}");
        assert!(error.contains(reason) && !error.contains("look"), "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
    }
    // A manifest that is not the one that was asked for.
    let liar = liar(honest(), MANIFEST, send(whole.to_vec()));
    let pinned = format!("{}@{}", liar.reference("source:1"), Digest::of(b"another"));
    let error = refused(folder, &["pull", &pinned], 2);
    assert!(error.contains("the registry sends a manifest with the digest"), "{error}");
    assert_eq!(files(folder), Vec::<PathBuf>::new(), "nothing of it is kept");
    // The same server tells the truth.
    done(folder, &["pull", &liar.reference("source:1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_says_nothing_is_not_waited_for_without_end() {
    let whole = fs::read(component_path()).expect("the component");
    let liar = liar(manifest(&whole, |_| {}), MANIFEST, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        // A byte now and then is no silence.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut access = Access::default();
    access.time = Duration::from_millis(500);
    let reference = liar.reference("source:1").parse().expect("a reference");
    let repository = Repository::open(&reference, &access, Purpose::Pull).expect("a repository");
    let artifact = repository.resolve().await.expect("a manifest");
    let started = Instant::now();
    let error = repository.component(&artifact).await.expect_err("it does not come").to_string();
    assert!(error.contains("has not sent all of it within 0.5 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_password_goes_to_the_registry_and_to_no_other_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let whole = fs::read(component_path()).expect("the component");
    let content = whole.clone();
    // Where the bytes really lie, as with registries that keep them with a cloud.
    let elsewhere = Liar::start("127.0.0.2", move |_, stream| respond(stream, "200 OK", "", &content));
    let location = format!("location: http://{}/bytes?signed=1\r\n", elsewhere.address);
    let document = manifest(&whole, |_| {});
    let registry = Liar::start("127.0.0.1", move |asked, stream| {
        if !asked.headers.contains_key("authorization") {
            respond(stream, "401 Unauthorized", "www-authenticate: Basic realm=\"test\"\r\n", b"");
        } else if asked.line.contains("/manifests/") {
            respond(stream, "200 OK", &format!("content-type: {MANIFEST}\r\n"), &document);
        } else {
            respond(stream, "307 Temporary Redirect", &location, b"");
        }
    });
    done(folder, &["pull", &registry.reference("source:1")]);
    assert_eq!(registry.told().len(), 2, "{:?}", registry.told());
    let count = elsewhere.asked.lock().expect("no panic").len();
    assert_eq!((count, elsewhere.told()), (1, Vec::new()));

    // A token service that is none of the registry's own.
    let thief = Liar::start("127.0.0.3", |_, stream| respond(stream, "200 OK", "", br#"{"token": "t"}"#));
    let challenge =
        format!("www-authenticate: Bearer realm=\"http://{}/token\",service=\"x\"\r\n", thief.address);
    let registry =
        Liar::start("127.0.0.1", move |_, stream| respond(stream, "401 Unauthorized", &challenge, b""));
    let error = refused(folder, &["pull", &registry.reference("source:1")], 1);
    assert!(
        error.contains("wants the password to be sent to http://127.0.0.3:")
            && error.contains("it is not sent"),
        "{error}"
    );
    assert_eq!(thief.asked.lock().expect("no panic").len(), 0);

    // One of its own gives a token, which is good for the registry alone.
    let document = manifest(&whole, |_| {});
    let own = Liar::start("127.0.0.1", |_, stream| respond(stream, "200 OK", "", br#"{"token": "t0ken"}"#));
    let challenge =
        format!("www-authenticate: Bearer realm=\"http://{}/token\",service=\"x\"\r\n", own.address);
    let registry = Liar::start("127.0.0.1", move |asked, stream| {
        let is_known = asked.headers.get("authorization").is_some_and(|it| it == "Bearer t0ken");
        match is_known {
            false => respond(stream, "401 Unauthorized", &challenge, b""),
            true if asked.line.contains("/manifests/") => {
                respond(stream, "200 OK", &format!("content-type: {MANIFEST}\r\n"), &document);
            }
            true => respond(stream, "200 OK", "", &whole),
        }
    });
    done(folder, &["pull", &registry.reference("other:1")]);
    let asked = own.asked.lock().expect("no panic");
    assert!(asked[0].line.contains("scope=repository%3Aacme%2Fother%3Apull&service=x"), "{}", asked[0].line);
    assert!(asked[0].headers["authorization"].starts_with("Basic "));

    // Plain HTTP elsewhere is not spoken without being asked for, and a redirect into it not followed.
    let error = refused(folder, &["pull", "oci://registry.invalid/acme/source:1"], 1);
    assert!(error.contains("registry.invalid cannot be asked"), "{error}");
    let registry = Liar::start("127.0.0.1", |_, stream| {
        respond(stream, "307 Temporary Redirect", "location: http://registry.invalid/x\r\n", b"");
    });
    let error = refused(folder, &["pull", &registry.reference("source:2")], 1);
    assert!(error.contains("sends to http://registry.invalid, which is not https"), "{error}");
}
