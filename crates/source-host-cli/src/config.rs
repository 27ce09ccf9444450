//! The host's configuration file.
//!
//! The host reads its own tables and passes `[source]` on unread. Mistakes are collected, not stopped at: an operator
//! who mends a file wants to hear of everything at once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use component_registry::Access;
use source_host::{Admission, Digest, Egress, Limits, PublicKey};
use toml::{Table, Value};
use zeroize::Zeroizing;

pub use self::egress::Transport;
use self::lines::Lines;
pub use self::mistake::Mistake;
pub(crate) use self::output::KINDS;
pub use self::output::Output;
use self::reader::{Reader, not_toml};
pub use self::registry::FromRegistry;
use crate::secrets::{Secret, Vault};

mod egress;
mod lines;
mod mistake;
mod output;
mod reader;
mod registry;

/// The keys there are. `schema` describes them.
const KEYS: [&str; 8] =
    ["component", "registry", "source", "state", "output", "egress", "limits", "admission"];
const STATE: [&str; 1] = ["path"];
const LIMITS: [&str; 13] = [
    "memory",
    "total_memory",
    "call_time",
    "cpu_time",
    "batch_bytes",
    "event_bytes",
    "connections",
    "requests_per_second",
    "request_bytes",
    "received_bytes",
    "request_time",
    "longest_wait",
    "log_lines_per_minute",
];
const ADMISSION: [&str; 10] = [
    "digest",
    "signed_by",
    "component_bytes",
    "functions",
    "function_bytes",
    "code_bytes",
    "declarations",
    "compile_time",
    "compile_memory",
    "wasi_0_3",
];

/// Everything a run needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The component's file. Of one from a registry, where it lies since it was pulled.
    pub component: PathBuf,
    /// What it has to be.
    pub admission: Admission,
    /// The document for the component's `configure`, secrets included.
    pub source: Secret,
    /// The file that holds the state between runs; none where the host keeps the states of many tenants together.
    pub state: Option<PathBuf>,
    /// Where events go.
    pub output: Output,
    /// Where the component may connect to.
    pub egress: Egress,
    /// The rules of `egress` as they were written.
    pub allow: Vec<String>,
    /// How its requests travel.
    pub transport: Transport,
    /// What the component may use.
    pub limits: Limits,
}

/// A configuration with mistakes, and what could be read of it all the same: enough to ask the component for its
/// opinion of `[source]` too.
#[derive(Debug)]
pub struct Mistakes {
    /// All of them, table by table.
    pub found: Vec<Mistake>,
    /// The component's file.
    pub component: Option<PathBuf>,
    /// The document for the component, if every secret was found.
    pub source: Option<Secret>,
}

impl Config {
    /// Reads a configuration file and the secrets it refers to.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let text = text_of(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base, &|name| std::env::var_os(name))
    }

    /// Reads a configuration from memory. Relative paths are relative to `base`.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn parse(text: &str, base: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Mistakes> {
        Self::parse_with(text, Vault { base, env, confined: false, read: &read_file })
    }

    /// Reads the configuration of a tenant that somebody else may have written, in a fleet: as [`Config::parse`], but secrets,
    /// keys and certificates are looked for nowhere than below `base`. Whoever writes a configuration says as well where a secret is sent.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn parse_confined(
        text: &str,
        base: &Path,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Mistakes> {
        Self::parse_with(text, Vault { base, env, confined: true, read: &read_file })
    }

    fn parse_with(text: &str, vault: Vault<'_>) -> Result<Self, Mistakes> {
        let Vault { base, env, confined, read } = vault;
        let mut reader = Reader { vault, lines: Lines::of(text), mistakes: Vec::new() };
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                reader.note(String::new(), source_host::printable(not_toml(text, &error)));
                return Err(Mistakes { found: reader.mistakes, component: None, source: None });
            }
        };
        reader.known(&table, "", &KEYS);

        let mut locked = None;
        let component = match table.get("component") {
            None => reader.missing("component", "the component's file: component = \"source.wasm\""),
            Some(Value::String(text)) if registry::is_reference(text) => {
                reader.pulled(text).map(|(path, digest)| {
                    locked = Some(digest);
                    path
                })
            }
            Some(value) => reader.path(value, "component"),
        };
        reader.registry(&table);
        let source = match table.get("source") {
            None => Some(Secret::new("{}".into())),
            Some(Value::Table(source)) => {
                let vault = Vault { base, env, confined, read };
                vault.document(source, "source", |path, message| reader.note(path, message))
            }
            Some(_) => reader.wrong("source", "a table is expected: [source]"),
        };
        let state = reader.state(&table);
        let output = reader.output(&table);
        let (allow, egress, transport) = reader.egress(&table);
        let limits = reader.limits(&table);
        let mut admission = reader.admission(&table);
        if let Some(digest) = locked {
            // What is written down is what is run, whether the configuration says it once more or not.
            if let Some(other) = admission.digest.replace(digest).filter(|other| *other != digest) {
                let message =
                    format!("{other} is expected, and the component of source-host.lock has {digest}");
                reader.note("admission.digest".into(), message);
            }
        }
        if let Some((key, file)) = output.as_ref().and_then(Output::file)
            && state.as_deref() == Some(file)
        {
            reader.note(format!("output.{key}"), "it is the same file as state.path".into());
        }

        match (component, source, output) {
            (Some(component), Some(source), Some(output)) if reader.mistakes.is_empty() => {
                Ok(Self { component, admission, source, state, output, egress, allow, transport, limits })
            }
            // One of a registry is not asked: that it is what it should be is looked at together with the rest.
            (component, source, _) => {
                let component = component.filter(|_| locked.is_none());
                Err(Mistakes { found: reader.mistakes, component, source })
            }
        }
    }

    /// What a pull needs of a configuration file; nothing where its component is a file. What else may be wrong with it is no matter.
    ///
    /// # Errors
    ///
    /// The mistakes in what is needed.
    pub fn from_registry(path: &Path) -> Result<Option<FromRegistry>, Mistakes> {
        let text = text_of(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let vault = Vault { base, env: &|name| std::env::var_os(name), confined: false, read: &read_file };
        let mut reader = Reader { vault, lines: Lines::of(&text), mistakes: Vec::new() };
        let Ok(table) = text.parse::<Table>() else { return Ok(None) };
        let Some(text) =
            table.get("component").and_then(Value::as_str).filter(|text| registry::is_reference(text))
        else {
            return Ok(None);
        };
        let reference = reader.reference(text);
        reader.known(&table, "", &KEYS);
        let mut access = Access::default();
        let admission = reader.admission(&table);
        access.component_bytes = admission.component_bytes;
        if let Some(reference) = &reference {
            reader.access(&table, reference, &mut access);
        }
        match reference {
            Some(reference) if reader.mistakes.is_empty() => {
                let folder = base.to_owned();
                Ok(Some(FromRegistry { reference, access, admission, folder }))
            }
            _ => Err(Mistakes { found: reader.mistakes, component: None, source: None }),
        }
    }

    /// Whether a text can be the configuration of a tenant of a fleet, and which file its component is. Secrets are not looked for: the
    /// workers have them, and not whoever adds a tenant.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn of_fleet(text: &str, base: &Path) -> Result<(PathBuf, Admission), Mistakes> {
        let table: Table = text.parse().unwrap_or_default();
        let wrong = |path: &str, message: &str| Mistake {
            line: Self::line_of(text, path),
            path: path.to_owned(),
            message: message.to_owned(),
        };
        let mut found = Vec::new();
        if table.contains_key("state") {
            found.push(wrong("state", "states lie with the fleet; leave this table out"));
        }
        if table.contains_key("output") {
            found.push(wrong("output", "events go to the fleet's stream; leave this table out"));
        }
        if table.get("component").and_then(Value::as_str).is_some_and(registry::is_reference) {
            let message = "a file is expected; `source-host pull` brings one out of a registry";
            found.push(wrong("component", message));
        }
        // They only have to be there.
        let env = |_: &str| Some("-".into());
        let vault = Vault { base, env: &env, confined: true, read: &|_, _| Ok(b"-".to_vec()) };
        match Self::parse_with(text, vault) {
            Ok(config) if found.is_empty() => Ok((config.component, config.admission)),
            Ok(_) => Err(Mistakes { found, component: None, source: None }),
            Err(mut mistakes) => {
                mistakes.found.splice(0..0, found);
                Err(mistakes)
            }
        }
    }

    /// The line of a key in the text that a configuration was read from: `source.streams.login`.
    pub fn line_of(text: &str, path: &str) -> Option<usize> {
        Lines::of(text).line(path)
    }
}

/// Reads a file, but no more than so many bytes of it.
pub(crate) fn read_file(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(path: &Path) -> Result<Zeroizing<String>, Mistakes> {
    let failed = |message: String| Mistakes {
        found: vec![Mistake { line: None, path: String::new(), message }],
        component: None,
        source: None,
    };
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|e| failed(format!("cannot read the configuration {}: {e}", path.display())))
}

impl Reader<'_> {
    fn state(&mut self, root: &Table) -> Option<PathBuf> {
        let table = self.table(root, "state", &STATE)?;
        match table.get("path") {
            None => self.missing("state.path", "the file that remembers how far collection has come"),
            Some(value) => self.path(value, "state.path"),
        }
    }

    fn limits(&mut self, root: &Table) -> Limits {
        const AT: &str = "limits";
        let mut limits = Limits::default();
        let Some(table) = self.table(root, AT, &LIMITS) else { return limits };
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        limits.memory = self.size_of(table, AT, "memory").unwrap_or(limits.memory);
        limits.total_memory = self.size_of(table, AT, "total_memory").unwrap_or(limits.total_memory);
        limits.call_time = self.time_of(table, AT, "call_time").unwrap_or(limits.call_time);
        limits.cpu_time = self.time_of(table, AT, "cpu_time").unwrap_or(limits.cpu_time);
        limits.batch_bytes = self.size_of(table, AT, "batch_bytes").map_or(limits.batch_bytes, size);
        limits.event_bytes = self.size_of(table, AT, "event_bytes").map_or(limits.event_bytes, size);
        limits.connections = self.count_of(table, AT, "connections").unwrap_or(limits.connections);
        limits.requests_per_second =
            self.count_of(table, AT, "requests_per_second").map_or(limits.requests_per_second, count);
        limits.request_bytes = self.size_of(table, AT, "request_bytes").unwrap_or(limits.request_bytes);
        limits.received_bytes = self.size_of(table, AT, "received_bytes").unwrap_or(limits.received_bytes);
        limits.request_time = self.time_of(table, AT, "request_time").unwrap_or(limits.request_time);
        limits.longest_wait = self.time_of(table, AT, "longest_wait").unwrap_or(limits.longest_wait);
        limits.log_lines_per_minute =
            self.count_of(table, AT, "log_lines_per_minute").map_or(limits.log_lines_per_minute, count);
        for (key, is_none) in [
            ("connections", limits.connections == 0),
            ("requests_per_second", limits.requests_per_second == 0),
        ] {
            if is_none {
                self.note(format!("{AT}.{key}"), "at least 1 is expected".to_owned());
            }
        }
        limits
    }

    fn admission(&mut self, root: &Table) -> Admission {
        const AT: &str = "admission";
        let mut admission = Admission::default();
        let Some(table) = self.table(root, AT, &ADMISSION) else { return admission };
        if let Some(text) = self.text_of(table, AT, "digest") {
            match text.parse::<Digest>() {
                Ok(digest) => admission.digest = Some(digest),
                Err(error) => self.note("admission.digest".into(), error.to_string()),
            }
        }
        if let Some(path) = self.path_of(table, AT, "signed_by") {
            let read = std::fs::read_to_string(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()));
            match read.and_then(|pem| PublicKey::from_pem(&pem).map_err(|error| error.to_string())) {
                Ok(key) => admission.signed_by = Some(key),
                Err(message) => self.note("admission.signed_by".into(), message),
            }
        }
        let count = |count: usize| count as u64;
        admission.component_bytes =
            self.size_of(table, AT, "component_bytes").unwrap_or(admission.component_bytes);
        admission.functions = self.count_of(table, AT, "functions").map_or(admission.functions, count);
        admission.function_bytes =
            self.size_of(table, AT, "function_bytes").unwrap_or(admission.function_bytes);
        admission.code_bytes = self.size_of(table, AT, "code_bytes").unwrap_or(admission.code_bytes);
        admission.declarations =
            self.count_of(table, AT, "declarations").map_or(admission.declarations, count);
        admission.compile_time = self.time_of(table, AT, "compile_time").unwrap_or(admission.compile_time);
        admission.compile_memory =
            self.size_of(table, AT, "compile_memory").unwrap_or(admission.compile_memory);
        admission.wasi_0_3 = self.flag_of(table, AT, "wasi_0_3").unwrap_or(admission.wasi_0_3);
        admission
    }
}

/// The lines that would allow what is denied, to be pasted into the configuration.
pub fn lines_to_allow(allow: &[String], denied: &[String]) -> String {
    let all: BTreeSet<&str> = allow.iter().chain(denied).map(String::as_str).collect();
    let quoted: Vec<String> = all.into_iter().map(|rule| format!("{rule:?}")).collect();
    format!("[egress]\nallow = [{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GOOD: &str = r#"
        component = "dist/source.wasm"
        [source]
        url = "https://logs.example.com"
        token = { env = "TOKEN" }
        [state]
        path = "state.json"
        [output]
        kind = "file"
        path = "/var/log/events.ndjson"
        [egress]
        allow = ["logs.example.com", "*.cdn.example.com"]
        ca_file = "ca.pem"
        [limits]
        memory = "32MiB"
        call_time = "90s"
    "#;

    fn parse(text: &str) -> Result<Config, Mistakes> {
        let env = |name: &str| (name == "TOKEN").then(|| OsString::from("s3cret"));
        Config::parse(text, Path::new("/etc/host"), &env)
    }

    fn mistakes(text: &str) -> Vec<String> {
        parse(text).unwrap_err().found.iter().map(ToString::to_string).collect()
    }

    /// The mistakes of a file that is right but for these lines.
    fn with(lines: &str) -> Vec<String> {
        mistakes(&format!("component = \"c.wasm\"\n{lines}"))
    }

    #[test]
    fn a_good_file_is_read_and_relative_paths_start_at_it() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.component, Path::new("/etc/host/dist/source.wasm"));
        assert_eq!(config.state.as_deref(), Some(Path::new("/etc/host/state.json")));
        assert!(
            matches!(&config.output, Output::File(file) if file.path == Path::new("/var/log/events.ndjson"))
        );
        assert_eq!(config.transport.ca_file.as_deref(), Some(Path::new("/etc/host/ca.pem")));
        assert_eq!(config.source.expose(), r#"{"token":"s3cret","url":"https://logs.example.com"}"#);
        assert_eq!(config.limits.memory, 32 << 20);
        assert_eq!(config.limits.call_time, Duration::from_secs(90));
        assert!(config.egress.covers("a.cdn.example.com"));
    }

    #[test]
    fn the_schema_knows_the_keys_that_are_read() {
        let schema = crate::schema::whole("x", serde_json::json!({}));
        let keys = |at: &str| -> Vec<String> {
            let properties = schema.pointer(&format!("{at}/properties")).and_then(|found| found.as_object());
            properties.unwrap().keys().cloned().collect()
        };
        let sorted = |keys: &[&str]| {
            let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(""), sorted(&KEYS));
        for (table, read) in [
            ("state", &STATE[..]),
            ("registry", &registry::KEYS),
            ("egress", &egress::KEYS),
            ("limits", &LIMITS),
            ("admission", &ADMISSION),
        ] {
            assert_eq!(keys(&format!("/properties/{table}")), sorted(read), "{table}");
        }
        let all: BTreeSet<&str> = KINDS.iter().flat_map(|kind| kind.keys()).collect();
        assert_eq!(keys("/properties/output"), all.into_iter().collect::<Vec<_>>());
        // Its defaults are those that are used where nothing is written.
        let mut lines = String::from("component = \"c.wasm\"\n");
        for table in ["limits", "admission"] {
            lines.push_str(&format!("[{table}]\n"));
            let properties = &schema["properties"][table]["properties"];
            for (key, property) in properties.as_object().unwrap() {
                if let Some(default) = property.get("default") {
                    lines.push_str(&format!("{key} = {default}\n"));
                }
            }
        }
        let config = parse(&lines).unwrap();
        assert_eq!((config.limits, config.admission), (Limits::default(), Admission::default()));
    }

    #[test]
    fn the_schema_knows_the_defaults_of_outputs() {
        let schema = crate::schema::whole("x", serde_json::json!({}));
        // What the schema says of a file is what makes sense once a file is rotated at all.
        for kind in KINDS.iter().filter(|kind| kind.name != "file") {
            let mut lines = format!("component = \"c.wasm\"\n[output]\nkind = {:?}\n", kind.name);
            for (key, value) in
                [("url", "\"https://x.example.com\""), ("servers", "[\"tls://x.example.com\"]")]
            {
                if kind.keys().contains(&key) {
                    lines.push_str(&format!("{key} = {value}\n"));
                }
            }
            let without = parse(&lines).unwrap().output;
            for key in kind.keys().into_iter().filter(|key| *key != "kind") {
                if let Some(default) = schema["properties"]["output"]["properties"][key].get("default") {
                    lines.push_str(&format!("{key} = {default}\n"));
                }
            }
            let with = parse(&lines).unwrap().output;
            assert_eq!(format!("{with:?}"), format!("{without:?}"));
        }
    }

    #[test]
    fn output_egress_and_limits_have_defaults() {
        let config = parse("component = \"c.wasm\"\n[state]\npath = \"s\"").unwrap();
        assert_eq!(config.output.kind(), "stdout");
        assert_eq!(config.egress, Egress::deny_all());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.source.expose(), "{}");
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let config = parse(GOOD).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        let broken = parse(&GOOD.replace("memory", "memry")).unwrap_err();
        assert!(broken.source.is_some());
        assert!(!format!("{broken:?}").contains("s3cret"));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let found = mistakes(
            r#"
            compnent = "c.wasm"
            [source]
            token = { env = "NOT_SET" }
            [output]
            kind = "files"
            [egress]
            alow = []
            [limits]
            memory = "64MB"
            call_time = 5
            "#,
        );
        assert_eq!(found.len(), 7, "{found:#?}");
        let all = found.join("\n");
        for part in [
            "compnent: unknown key; did you mean `component`? (allowed here: component, registry, source,",
            "component: is missing",
            "source.token: the environment variable NOT_SET is not set",
            "line 6: output.kind: one of \"stdout\", \"file\", \"http\"",
            "egress.alow: unknown key; did you mean `allow`?",
            "limits.memory: a size is expected",
            "limits.call_time: a text",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
    }

    #[test]
    fn text_that_is_not_toml_is_located_and_not_shown() {
        let found = mistakes("component = \"c.wasm\"\n[source]\npassword = \"s3cret\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("not TOML at line 3"), "{found:?}");
        assert!(!found[0].contains("s3cret"), "{found:?}");
    }

    #[test]
    fn a_table_that_is_none_is_reported() {
        let found = with("source = 1\nstate = 2\noutput = \"stdout\"\negress = []\nlimits = true");
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found.iter().all(|m| m.contains("a table is expected")), "{found:?}");
    }

    #[test]
    fn an_output_without_sense_is_reported() {
        let state = "[state]\npath = \"s\"\n[output]\n";
        assert!(with(&format!("{state}path = \"x\""))[0].contains("output.kind: is missing"));
        assert!(with(&format!("{state}kind = \"file\""))[0].contains("output.path: is missing"));
        assert!(with(&format!("{state}kind = \"stdout\"\npath = \"x\""))[0].contains("has no path"));
        assert!(
            with(&format!("{state}kind = \"file\"\npath = \"s\""))[0].contains("same file as state.path")
        );
        let http = "kind = \"http\"\nurl = \"https://x.example.com\"\ndead_letters = \"s\"";
        let found = with(&format!("{state}{http}"));
        assert!(found[0].starts_with("line 7: output.dead_letters: it is the same file"), "{found:?}");
    }

    #[test]
    fn a_rule_that_is_none_is_reported_with_its_position() {
        let found = with(
            "[state]\npath = \"s\"\n[egress]\nallow = [\"ok.example.com\", \"https://x.example.com\", 3]",
        );
        assert!(found[0].starts_with("line 5: egress.allow[1]: `https://x.example.com`"), "{found:?}");
        assert!(found[1].starts_with("line 5: egress.allow[2]: "), "{found:?}");
    }

    #[test]
    fn a_tenant_of_a_fleet_has_the_secrets_of_the_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        std::fs::create_dir_all(secrets.join("acme")).unwrap();
        for path in [folder.path().join("other"), secrets.join("acme/key")] {
            std::fs::write(path, "s3cret").unwrap();
        }
        let parse = |path: &str| {
            let text = format!("component = \"c.wasm\"\n[source]\ntoken = {{ file = {path:?} }}");
            Config::parse_confined(&text, &secrets, &|_| None)
        };
        assert!(parse("acme/key").unwrap().source.expose().contains("s3cret"));
        let absolute = folder.path().join("other");
        for path in ["../other", "acme/../../other", absolute.to_str().unwrap()] {
            let found = parse(path).unwrap_err().found;
            assert!(found[0].to_string().contains("does not lie in the folder of secrets"), "{found:?}");
        }
    }

    #[test]
    fn no_file_of_a_host_of_a_fleet_is_named_by_a_tenant() {
        let folder = tempfile::tempdir().unwrap();
        for key in ["egress.ca_file", "egress.client_key", "egress.client_certificate", "admission.signed_by"]
        {
            let (table, key) = key.split_once('.').unwrap();
            for path in ["/etc/ssl/own.key", "../own.key", "acme/../../own.key"] {
                let text = format!("component = \"c.wasm\"\n[source]\n[{table}]\n{key} = \"{path}\"\n");
                let found = Config::parse_confined(&text, folder.path(), &|_| None).unwrap_err().found;
                let said =
                    |mistake: &Mistake| mistake.message.contains("does not lie in the folder of secrets");
                assert!(found.iter().any(said), "{key} = {path}: {found:?}");
                assert!(Config::of_fleet(&text, folder.path()).unwrap_err().found.iter().any(said), "{path}");
            }
        }
    }

    #[test]
    fn what_a_fleet_keeps_itself_is_no_part_of_a_tenants_configuration() {
        let of = |more: &str| {
            Config::of_fleet(
                &format!("component = \"c.wasm\"\n[source]\ntoken = {{ env = \"NOT_SET\" }}\n{more}"),
                Path::new("/x"),
            )
        };
        assert_eq!(of("").unwrap().0, Path::new("/x/c.wasm"));
        let found = of("[state]\npath = \"s\"\n[output]\nkind = \"stdout\"").unwrap_err().found;
        assert!(found[0].to_string().starts_with("line 4: state: states lie with the fleet"), "{found:?}");
        assert!(found[1].to_string().starts_with("line 6: output: events go to the fleet"), "{found:?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let found = Config::read(Path::new("/no/such/config.toml")).unwrap_err().found;
        assert!(found[0].message.contains("/no/such/config.toml"));
    }

    #[test]
    fn the_lines_to_add_contain_what_was_allowed_before() {
        let lines = lines_to_allow(&["b.example.com".into()], &["a.example.com:8443".into()]);
        assert_eq!(lines, "[egress]\nallow = [\"a.example.com:8443\", \"b.example.com\"]");
    }

    #[test]
    fn every_kind_of_output_is_read_and_what_is_wrong_with_it_is_told_with_its_line() {
        for (output, kind) in [
            (
                "kind = \"http\"\nurl = \"https://in.example.com\"\nheaders = { authorization = { env = \"TOKEN\" } }\nformat = \"json-array\"",
                "http",
            ),
            (
                "kind = \"elasticsearch\"\nurl = \"https://es.example.com\"\napi_key = { env = \"TOKEN\" }\ndead_letters = \"dead.ndjson\"",
                "elasticsearch",
            ),
            (
                "kind = \"otlp\"\nurl = \"https://otel.example.com\"\nresource = { \"service.namespace\" = { env = \"TOKEN\" } }",
                "otlp",
            ),
            (
                "kind = \"nats\"\nservers = [\"tls://nats.example.com\"]\ntoken = { env = \"TOKEN\" }\nsubject = \"logs.{dataset}\"",
                "nats",
            ),
            (
                "kind = \"file\"\npath = \"e.ndjson\"\nrotate_size = \"1GiB\"\nrotate_after = \"1d\"\nkeep = 7",
                "file",
            ),
        ] {
            let config = parse(&format!("component = \"c.wasm\"\n[output]\n{output}")).unwrap();
            assert_eq!(config.output.kind(), kind);
            assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        }
        for (output, says) in [
            ("kind = \"http\"", "line 2: output.url: is missing"),
            ("kind = \"http\"\nurl = \"ftp://x\"", "line 4: output.url: "),
            (
                "kind = \"http\"\nurl = \"https://x.example.com\"\nmax_bytes = \"4MB\"",
                "line 5: output.max_bytes: a size",
            ),
            (
                "kind = \"http\"\nurl = \"https://x.example.com\"\nheaders = 3",
                "line 5: output.headers: a table",
            ),
            (
                "kind = \"elasticsearch\"\nurl = \"https://x.example.com\"\nuser = \"u\"",
                "output.password: is missing",
            ),
            (
                "kind = \"elasticsearch\"\nurl = \"https://x.example.com\"\ntoken = { env = \"NOT_SET\" }",
                "NOT_SET is not set",
            ),
            ("kind = \"nats\"\nservers = \"nats://x\"", "line 4: output.servers: a list is expected"),
            (
                "kind = \"otlp\"\nurl = \"https://x.example.com\"\nclient_key = \"k.pem\"",
                "output.client_certificate: is missing",
            ),
            ("kind = \"file\"\npath = \"e\"\nurl = \"https://x\"", "line 5: output.url: unknown key"),
        ] {
            let found = with(&format!("[output]\n{output}"));
            assert!(found.iter().any(|message| message.contains(says)), "{says}: {found:?}");
        }
    }

    #[test]
    fn an_output_without_an_address_is_told_what_else_is_wrong_with_it() {
        for (kind, lacks) in [
            ("http", "url"),
            ("elasticsearch", "url"),
            ("otlp", "url"),
            ("nats", "servers"),
            ("file", "path"),
        ] {
            let wrong = if kind == "file" { "keep" } else { "credentials_without_tls" };
            let found = with(&format!("[output]\nkind = \"{kind}\"\n{wrong} = \"x\""));
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(found[0].contains(&format!("output.{lacks}: is missing")), "{found:?}");
            assert!(found[1].contains(&format!("line 4: output.{wrong}: ")), "{found:?}");
        }
    }

    #[test]
    fn what_an_output_finds_wrong_is_told_under_the_key_of_the_file() {
        let http = "[output]\nkind = \"http\"\nurl = \"https://x.example.com\"\n";
        let files = "client_certificate = \"no.pem\"\nclient_key = \"no.pem\"";
        let found = with(&format!("{http}{files}"));
        assert!(found[0].starts_with("line 5: output.client_certificate: no certificates"), "{found:?}");
        let elasticsearch = http.replace("http\"\n", "elasticsearch\"\n");
        let found = with(&format!("{elasticsearch}user = \"a:b\"\npassword = \"x\""));
        assert!(found[0].starts_with("line 5: output.user: a user's name"), "{found:?}");
    }

    #[test]
    fn credentials_beside_others_are_refused() {
        let nats = "[output]\nkind = \"nats\"\nservers = [\"tls://x.example.com\"]\n";
        let found = with(&format!("{nats}credentials_file = \"u.creds\"\ntoken = \"x\""));
        assert!(found[0].starts_with("line 6: output.token: `credentials_file` says already"), "{found:?}");
        let elasticsearch = "[output]\nkind = \"elasticsearch\"\nurl = \"https://x.example.com\"\n";
        let found = with(&format!("{elasticsearch}user = \"u\"\npassword = \"x\"\napi_key = \"x\""));
        assert!(found[0].starts_with("line 5: output.user: `api_key` says already"), "{found:?}");
    }

    #[test]
    fn a_certificate_whose_key_is_there_and_wrong_is_not_said_to_lack_it() {
        for table in ["[egress]", "[output]\nkind = \"http\"\nurl = \"https://x.example.com\""] {
            let found = with(&format!("{table}\nclient_certificate = \"c.pem\"\nclient_key = 3"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("client_key: a text"), "{found:?}");
        }
    }

    #[test]
    fn how_requests_travel_is_read_and_what_is_wrong_with_it_is_told() {
        let egress = |lines: &str| {
            format!("component = \"c.wasm\"\n[egress]\nallow = [\"acme.my.salesforce.com\"]\n{lines}")
        };
        let good = egress(
            "private = { \"acme.my.salesforce.com\" = [\"10.1.0.0/16\"] }\nroots = \"system\"\nclient_certificate = \"c.pem\"\nclient_key = \"k.pem\"\nproxy = { env = \"PROXY\" }",
        );
        let env =
            |name: &str| (name == "PROXY").then(|| OsString::from("http://me:s3cret@proxy.example.com:3128"));
        let config = Config::parse(&good, Path::new("/etc/host"), &env).unwrap();
        assert!(config.transport.client_certificate.is_some() && config.transport.proxy.is_some());
        assert!(!format!("{config:?}").contains("s3cret"));
        for (lines, says) in [
            ("private = 3", "line 4: egress.private: a table"),
            (
                "private = { \"acme.my.salesforce.com\" = [\"169.254.0.0/16\"] }",
                "egress.private.\"acme.my.salesforce.com\": ",
            ),
            ("roots = \"all\"", "line 4: egress.roots: one of"),
            ("client_key = \"k.pem\"", "egress.client_certificate: is missing"),
            ("proxy = \"ftp://x\"", "line 4: egress.proxy: "),
        ] {
            let found = mistakes(&egress(lines));
            assert!(found.iter().any(|message| message.contains(says)), "{says}: {found:?}");
        }
    }
}
