//! Secrets that stand in a configuration as they are, which would lie in NATS for whoever may read there.

use std::collections::HashSet;
use std::ptr::from_ref;

use serde_json::Value;
use toml::Value as Toml;

use crate::config::{Config, Mistake};
use crate::secrets::join;

const SECRET: &str = "a secret stands in the file itself, and would lie in NATS as it stands; put it into a file below the workers' \
    --secrets and write { file = \"NAME\" }, or into a variable of theirs and write { env = \"TENANT_NAME\" }";
const UNKNOWN: &str = "the component knows no such setting, so whether this is a secret is not known, and it would lie in NATS as it \
    stands; `source-host schema` shows the settings that there are";

/// Each secret of a configuration that stands in it and not elsewhere, and what of `source` may be one, as no part of the `schema` of the
/// whole file speaks of it. What is a secret, that says: `writeOnly`.
#[must_use]
pub fn inline_secrets(schema: &Value, text: &str) -> Vec<Mistake> {
    let Ok(table) = text.parse().map(Toml::Table) else { return Vec::new() };
    let mut search = Search { root: schema, seen: HashSet::new(), known: HashSet::new(), found: Vec::new() };
    search.look(schema, &table, "");
    if let Some(source) = table.get("source") {
        search.look_for_unknown(source, "source");
    }
    let mut found = search.found;
    found.sort();
    found.dedup();
    let mistake = |(path, message): (String, &str)| Mistake {
        line: Config::line_of(text, &path),
        path,
        message: message.to_owned(),
    };
    let mut mistakes: Vec<Mistake> = found.into_iter().map(mistake).collect();
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes
}

struct Search<'s> {
    root: &'s Value,
    /// Which part of the schema was held against which value: schemas may go round in circles.
    seen: HashSet<(*const Value, *const Toml)>,
    /// The values of which a part of the schema speaks.
    known: HashSet<*const Toml>,
    found: Vec<(String, &'static str)>,
}

impl<'s> Search<'s> {
    fn look(&mut self, schema: &'s Value, value: &Toml, path: &str) {
        if !self.seen.insert((from_ref(schema), from_ref(value))) {
            return;
        }
        // `true`, which is `{}`, and `false` say of nothing what it is.
        if schema.as_object().is_some_and(|says| !says.is_empty()) {
            self.known.insert(from_ref(value));
        }
        if schema.get("writeOnly").and_then(Value::as_bool) == Some(true) {
            self.note(value, path);
        }
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        if let Some(part) = referred.and_then(|to| self.root.pointer(to)) {
            self.look(part, value, path);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.look(part, value, path);
            }
        }
        for part in ["if", "then", "else"].into_iter().filter_map(|key| schema.get(key)) {
            self.look(part, value, path);
        }
        for part in
            schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
        {
            self.look(part, value, path);
        }
        match value {
            Toml::Table(table) => {
                for (key, value) in table {
                    let named = schema.get("properties").and_then(|all| all.get(key));
                    let patterns = schema.get("patternProperties").and_then(Value::as_object);
                    let others = schema.get("additionalProperties");
                    let parts = named
                        .into_iter()
                        .chain(patterns.into_iter().flat_map(|all| all.values()))
                        .chain(others);
                    for part in parts {
                        self.look(part, value, &join(path, key));
                    }
                }
            }
            Toml::Array(items) => {
                let first = schema.get("prefixItems").and_then(Value::as_array);
                let parts: Vec<_> = first.into_iter().flatten().chain(schema.get("items")).collect();
                for (index, item) in items.iter().enumerate() {
                    for part in &parts {
                        self.look(part, item, &format!("{path}[{index}]"));
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes a value that is secret, and each value in what is. A table of one key `file` or `env` says where it lies.
    fn note(&mut self, value: &Toml, path: &str) {
        match value {
            // The address of a proxy is no secret, but for the name and the password in it.
            Toml::String(text) if path == "egress.proxy" && !text.contains('@') => {}
            Toml::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.note(item, &format!("{path}[{index}]"));
                }
            }
            Toml::Table(table) if !is_reference(table) => {
                for (key, value) in table {
                    self.note(value, &join(path, key));
                }
            }
            Toml::Table(_) => {}
            // A password may be written as a number.
            _ => self.found.push((path.to_owned(), SECRET)),
        }
    }

    /// Notes each value of which the schema does not speak, nor of what it is in where that is secret.
    fn look_for_unknown(&mut self, value: &Toml, path: &str) {
        match value {
            Toml::Table(table) if is_reference(table) => {}
            Toml::Table(table) => {
                for (key, value) in table {
                    self.look_for_unknown(value, &join(path, key));
                }
            }
            Toml::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.look_for_unknown(item, &format!("{path}[{index}]"));
                }
            }
            _ if self.known.contains(&from_ref(value))
                || self.found.iter().any(|(found, _)| found == path) => {}
            _ => self.found.push((path.to_owned(), UNKNOWN)),
        }
    }
}

fn is_reference(table: &toml::Table) -> bool {
    table.len() == 1 && table.keys().all(|key| key == "file" || key == "env")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::whole;
    use serde_json::json;

    fn found(source: Value, text: &str) -> Vec<String> {
        inline_secrets(&whole("x", source), text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_secret_in_the_file_is_found_wherever_the_schema_has_one() {
        let secret = json!({"type": "string", "writeOnly": true});
        let source = json!({"type": "object", "properties": {
            "url": {"type": "string"},
            "token": secret,
            "keys": {"type": "array", "items": secret},
            "auth": {"oneOf": [
                {"properties": {"flow": {"const": "none"}}},
                {"properties": {"flow": {"const": "password"}, "password": secret, "more": {"$ref": "#/$defs/more"}}},
            ]},
            "headers": {"type": "object", "additionalProperties": secret},
            "all": {"type": "object", "writeOnly": true},
        }, "dependentSchemas": {"url": {"properties": {"pin": secret}}}, "$defs": {"more": {"properties": {"seed": secret, "more": {"$ref": "#/$defs/more"}}}}});
        let said = found(
            source,
            r#"
component = "c.wasm"
[source]
url = "https://plain.example.com"
token = "t"
keys = [{ file = "k" }, "k"]
pin = "1"
all = { one = "o", two = { file = "t" } }
[source.auth]
password = "p"
more.more.seed = "s"
[source.headers]
cookie = "c"
elsewhere = { env = "TENANT_X" }
[egress]
proxy = "http://user:word@proxy.example.com:3128"
"#,
        );
        let paths: Vec<&str> =
            said.iter().map(|mistake| mistake.split(": a secret").next().unwrap()).collect();
        let expected = [
            "line 5: source.token",
            "line 6: source.keys[1]",
            "line 7: source.pin",
            "line 8: source.all.one",
            "line 10: source.auth.password",
            "line 11: source.auth.more.more.seed",
            "line 13: source.headers.cookie",
            "line 16: egress.proxy",
        ];
        assert_eq!(paths, expected);
        assert!(
            said.iter().all(|mistake| !mistake.contains("user:word") && mistake.contains("TENANT_NAME")),
            "{said:?}"
        );
    }

    #[test]
    fn what_the_component_does_not_know_may_be_a_secret_and_a_number_may_be_a_password() {
        let secret = json!({"type": "string", "writeOnly": true});
        let source = json!({"type": "object", "additionalProperties": false, "properties": {
            "client_secret": secret,
            "pins": {"type": "array", "items": secret},
            "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
            "open": {"type": "object", "additionalProperties": true},
        }});
        let said = found(
            source,
            "component = \"c.wasm\"\n[source]\nclient_secert = \"s3cret\"\nclient_secret = 12345678\npins = [1, { env = \"TENANT_PIN\" }]\n\
             mistyped = { file = \"k\" }\nlimits.any = 5\nopen.x = [\"y\"]\n",
        );
        let short: Vec<&str> = said.iter().map(|mistake| mistake.split([',', ';']).next().unwrap()).collect();
        let expected = [
            "line 3: source.client_secert: the component knows no such setting",
            "line 4: source.client_secret: a secret stands in the file itself",
            "line 5: source.pins[0]: a secret stands in the file itself",
            "line 8: source.open.x[0]: the component knows no such setting",
        ];
        assert_eq!(short, expected);
        assert!(!said.concat().contains("s3cret") && !said.concat().contains("12345678"), "{said:?}");
    }

    #[test]
    fn what_lies_elsewhere_or_is_no_secret_is_not_found() {
        let source = json!({"properties": {"token": {"type": "string", "writeOnly": true}}});
        let text = "component = \"c.wasm\"\n[source]\ntoken = { file = \"t\" }\n[egress]\nproxy = \"http://proxy:3128\"\n";
        assert_eq!(found(source, text), Vec::<String>::new());
    }
}
