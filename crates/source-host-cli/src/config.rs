//! The host's configuration file.
//!
//! The host reads its own tables and passes `[source]` on unread. Mistakes are collected, not stopped at: an operator
//! who mends a file wants to hear of everything at once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use source_host::{Egress, Limits};
use toml::{Table, Value};
use zeroize::Zeroizing;

use crate::secrets::{Secret, Vault, join};
use crate::units::{parse_size, parse_time};

/// The keys there are. `schema` describes them.
const KEYS: [&str; 6] = ["component", "source", "state", "output", "egress", "limits"];
const STATE: [&str; 1] = ["path"];
const OUTPUT: [&str; 2] = ["kind", "path"];
const EGRESS: [&str; 2] = ["allow", "ca_file"];
const LIMITS: [&str; 2] = ["memory", "call_time"];

/// Everything a run needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The component's file.
    pub component: PathBuf,
    /// The document for the component's `configure`, secrets included.
    pub source: Secret,
    /// The file that holds the state between runs.
    pub state: PathBuf,
    /// Where events go.
    pub output: Output,
    /// Where the component may connect to.
    pub egress: Egress,
    /// The rules of `egress` as they were written.
    pub allow: Vec<String>,
    /// Certificates to trust besides Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// What the component may use.
    pub limits: Limits,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output, one event per line.
    Stdout,
    /// A file, one event per line, appended.
    File(PathBuf),
}

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Dotted keys; empty where the file as a whole is meant.
    pub path: String,
    /// What is wrong and what is expected. Never the value of a secret.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// A configuration with mistakes, and what could be read of it all the same: enough to ask the component for its
/// opinion of `[source]` too.
#[derive(Debug)]
pub struct Mistakes {
    /// All of them, in the order of the file's tables.
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
        let failed = |message: String| Mistakes {
            found: vec![Mistake { path: String::new(), message }],
            component: None,
            source: None,
        };
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|e| failed(format!("cannot read the configuration {}: {e}", path.display())))?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, base, &|name| std::env::var_os(name))
    }

    /// Reads a configuration from memory. Relative paths are relative to `base`.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn parse(text: &str, base: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Mistakes> {
        let mut reader = Reader { base, mistakes: Vec::new() };
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                reader.note(String::new(), not_toml(text, &error));
                return Err(Mistakes { found: reader.mistakes, component: None, source: None });
            }
        };
        reader.known(&table, "", &KEYS);

        let component = match table.get("component") {
            None => reader.missing("component", "the component's file: component = \"source.wasm\""),
            Some(value) => reader.path(value, "component"),
        };
        let vault = Vault { base, env };
        let source = match table.get("source") {
            None => Some(Secret::new("{}".into())),
            Some(Value::Table(source)) => {
                vault.document(source, "source", |path, message| reader.note(path, message))
            }
            Some(_) => reader.wrong("source", "a table is expected: [source]"),
        };
        let state = reader.state(&table);
        let output = reader.output(&table);
        let (allow, egress, ca_file) = reader.egress(&table);
        let limits = reader.limits(&table);
        if let (Some(state), Some(Output::File(file))) = (&state, &output)
            && state == file
        {
            reader.note("output.path".into(), "it is the same file as state.path".into());
        }

        match (component, source, state, output) {
            (Some(component), Some(source), Some(state), Some(output)) if reader.mistakes.is_empty() => {
                Ok(Self { component, source, state, output, egress, allow, ca_file, limits })
            }
            (component, source, ..) => Err(Mistakes { found: reader.mistakes, component, source }),
        }
    }
}

/// The place and the reason, but not the line itself: it may hold a password.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let offset = error.span().map_or(0, |span| span.start);
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(
        "not TOML at line {line}, column {column}: {}",
        source_host::printable(error.message().to_owned())
    )
}

struct Reader<'a> {
    base: &'a Path,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn note(&mut self, path: String, message: String) {
        self.mistakes.push(Mistake { path, message });
    }

    fn wrong<T>(&mut self, path: &str, message: &str) -> Option<T> {
        self.note(path.to_owned(), message.to_owned());
        None
    }

    fn missing<T>(&mut self, path: &str, what: &str) -> Option<T> {
        self.note(path.to_owned(), format!("is missing; it gives {what}"));
        None
    }

    /// Refuses keys that are none of the allowed ones.
    fn known(&mut self, table: &Table, path: &str, allowed: &[&str]) {
        for key in table.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let meant =
                nearest(key, allowed).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let allowed = allowed.join(", ");
            self.note(join(path, key), format!("unknown key{meant} (allowed here: {allowed})"));
        }
    }

    fn table<'t>(&mut self, root: &'t Table, key: &str, allowed: &[&str]) -> Option<&'t Table> {
        match root.get(key)? {
            Value::Table(table) => {
                self.known(table, key, allowed);
                Some(table)
            }
            _ => self.wrong(key, &format!("a table is expected: [{key}]")),
        }
    }

    fn text<'t>(&mut self, value: &'t Value, path: &str) -> Option<&'t str> {
        match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => self.wrong(path, "a text that is not empty is expected"),
        }
    }

    fn path(&mut self, value: &Value, path: &str) -> Option<PathBuf> {
        let text = self.text(value, path)?;
        Some(self.base.join(text))
    }

    fn state(&mut self, root: &Table) -> Option<PathBuf> {
        let what =
            "the file that remembers how far collection has come:\n    [state]\n    path = \"state.json\"";
        let Some(table) = self.table(root, "state", &STATE) else {
            return if root.contains_key("state") { None } else { self.missing("state.path", what) };
        };
        match table.get("path") {
            None => self.missing("state.path", what),
            Some(value) => self.path(value, "state.path"),
        }
    }

    fn output(&mut self, root: &Table) -> Option<Output> {
        let Some(table) = self.table(root, "output", &OUTPUT) else {
            return if root.contains_key("output") { None } else { Some(Output::Stdout) };
        };
        let path = table.get("path");
        match table.get("kind").map(|kind| kind.as_str()) {
            Some(Some("stdout")) if path.is_some() => {
                self.wrong("output.path", "kind = \"stdout\" has no path; for a file write kind = \"file\"")
            }
            Some(Some("stdout")) => Some(Output::Stdout),
            Some(Some("file")) => match path {
                Some(path) => self.path(path, "output.path").map(Output::File),
                None => self.missing("output.path", "the file that events are appended to"),
            },
            None => self.missing("output.kind", "where events go: \"stdout\" or \"file\""),
            Some(_) => self.wrong("output.kind", "\"stdout\" or \"file\" is expected"),
        }
    }

    fn egress(&mut self, root: &Table) -> (Vec<String>, Egress, Option<PathBuf>) {
        let Some(table) = self.table(root, "egress", &EGRESS) else {
            return (Vec::new(), Egress::deny_all(), None);
        };
        let mut allow = Vec::new();
        match table.get("allow") {
            None => {}
            Some(Value::Array(rules)) => {
                for (index, rule) in rules.iter().enumerate() {
                    let path = format!("egress.allow[{index}]");
                    if let Some(rule) = self.text(rule, &path) {
                        match Egress::allow([rule]) {
                            Ok(_) => allow.push(rule.to_owned()),
                            Err(error) => self.note(path, error.to_string()),
                        }
                    }
                }
            }
            Some(_) => {
                self.note("egress.allow".into(), "a list is expected: allow = [\"logs.example.com\"]".into())
            }
        }
        let ca_file = table.get("ca_file").and_then(|file| self.path(file, "egress.ca_file"));
        let egress = Egress::allow(&allow).unwrap_or_default();
        (allow, egress, ca_file)
    }

    fn limits(&mut self, root: &Table) -> Limits {
        let mut limits = Limits::default();
        let Some(table) = self.table(root, "limits", &LIMITS) else { return limits };
        if let Some(text) = table.get("memory").and_then(|value| self.text(value, "limits.memory")) {
            match parse_size(text) {
                Ok(size) => limits.memory = size,
                Err(message) => self.note("limits.memory".into(), message),
            }
        }
        if let Some(text) = table.get("call_time").and_then(|value| self.text(value, "limits.call_time")) {
            match parse_time(text) {
                Ok(time) => limits.call_time = time,
                Err(message) => self.note("limits.call_time".into(), message),
            }
        }
        limits
    }
}

/// The lines that would allow what is denied, to be pasted into the configuration.
pub fn lines_to_allow(allow: &[String], denied: &[String]) -> String {
    let all: BTreeSet<&str> = allow.iter().chain(denied).map(String::as_str).collect();
    let quoted: Vec<String> = all.into_iter().map(|rule| format!("{rule:?}")).collect();
    format!("[egress]\nallow = [{}]", quoted.join(", "))
}

/// The allowed key that a mistyped one was probably meant to be.
fn nearest<'a>(key: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let far = key.chars().count() / 3 + 1;
    allowed.iter().map(|a| (distance(key, a), *a)).filter(|(d, _)| *d <= far).min().map(|(_, a)| a)
}

/// Letters to add, drop or change to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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
        assert_eq!(config.state, Path::new("/etc/host/state.json"));
        assert_eq!(config.output, Output::File("/var/log/events.ndjson".into()));
        assert_eq!(config.ca_file.as_deref(), Some(Path::new("/etc/host/ca.pem")));
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
        for (table, read) in
            [("state", &STATE[..]), ("output", &OUTPUT), ("egress", &EGRESS), ("limits", &LIMITS)]
        {
            assert_eq!(keys(&format!("/properties/{table}")), sorted(read), "{table}");
        }
        let limits = &schema["properties"]["limits"]["properties"];
        let memory = limits["memory"]["default"].as_str().unwrap();
        assert_eq!(parse_size(memory), Ok(Limits::default().memory));
        let call_time = limits["call_time"]["default"].as_str().unwrap();
        assert_eq!(parse_time(call_time), Ok(Limits::default().call_time));
    }

    #[test]
    fn output_egress_and_limits_have_defaults() {
        let config = parse("component = \"c.wasm\"\n[state]\npath = \"s\"").unwrap();
        assert_eq!(config.output, Output::Stdout);
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
        assert_eq!(found.len(), 8, "{found:#?}");
        let all = found.join("\n");
        for part in [
            "compnent: unknown key; did you mean `component`? (allowed here: component, source,",
            "component: is missing",
            "source.token: the environment variable NOT_SET is not set",
            "state.path: is missing",
            "output.kind: \"stdout\" or \"file\"",
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
        assert!(found[0].starts_with("not TOML at line 3"), "{found:?}");
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
    }

    #[test]
    fn a_rule_that_is_none_is_reported_with_its_place() {
        let found = with(
            "[state]\npath = \"s\"\n[egress]\nallow = [\"ok.example.com\", \"https://x.example.com\", 3]",
        );
        assert!(found[0].starts_with("egress.allow[1]: `https://x.example.com`"), "{found:?}");
        assert!(found[1].starts_with("egress.allow[2]: "), "{found:?}");
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
    fn a_key_that_resembles_none_gets_no_suggestion() {
        assert_eq!(nearest("memmory", &["memory", "call_time"]), Some("memory"));
        assert_eq!(nearest("frobnicate", &["memory", "call_time"]), None);
    }
}
