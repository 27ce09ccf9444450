//! Secrets that stand in a configuration as they are, which would lie in NATS for whoever may read there.

use std::collections::HashSet;
use std::ptr::from_ref;

use serde_json::Value;
use toml::Value as Toml;

use crate::config::{Config, Mistake};
use crate::secrets::join;

/// Each secret of a configuration that stands in it and not elsewhere. What is a secret, the `schema` of the whole file says: `writeOnly`.
#[must_use]
pub fn inline_secrets(schema: &Value, text: &str) -> Vec<Mistake> {
    let Ok(table) = text.parse().map(Toml::Table) else { return Vec::new() };
    let mut search = Search { root: schema, seen: HashSet::new(), found: Vec::new() };
    search.look(schema, &table, "");
    let mut found = search.found;
    found.sort();
    found.dedup();
    let mistake = |path: String| {
        Mistake {
        line: Config::line_of(text, &path),
        path,
        message: "a secret stands in the file itself, and would lie in NATS as it stands; put it into a file below the workers' --secrets \
            and write { file = \"NAME\" }, or into a variable of theirs and write { env = \"TENANT_NAME\" }"
            .to_owned(),
    }
    };
    let mut mistakes: Vec<Mistake> = found.into_iter().map(mistake).collect();
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes
}

struct Search<'s> {
    root: &'s Value,
    /// Which part of the schema was held against which value: schemas may go round in circles.
    seen: HashSet<(*const Value, *const Toml)>,
    found: Vec<String>,
}

impl<'s> Search<'s> {
    fn look(&mut self, schema: &'s Value, value: &Toml, path: &str) {
        if !self.seen.insert((from_ref(schema), from_ref(value))) {
            return;
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

    /// Notes a text that is secret, and each text in what is. A table of one key `file` or `env` says where it lies.
    fn note(&mut self, value: &Toml, path: &str) {
        match value {
            // The address of a proxy is no secret, but for the name and the password in it.
            Toml::String(text) if path == "egress.proxy" && !text.contains('@') => {}
            Toml::String(_) => self.found.push(path.to_owned()),
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
            _ => {}
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
    fn what_lies_elsewhere_or_is_no_secret_is_not_found() {
        let source = json!({"properties": {"token": {"type": "string", "writeOnly": true}}});
        let text = "component = \"c.wasm\"\n[source]\ntoken = { file = \"t\" }\n[egress]\nproxy = \"http://proxy:3128\"\n";
        assert_eq!(found(source, text), Vec::<String>::new());
    }
}
