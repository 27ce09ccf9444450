//! The JSON Schema of a whole configuration file: the host's own keys, and the component's under `[source]`.
//!
//! An editor with a language server for TOML completes and checks a file with it. The component describes its document as
//! `configure` takes it; in the file, a text may lie elsewhere: `{ file = "…" }` or `{ env = "…" }`.

use serde_json::{Map, Value, json};

/// Where a reference into the component's own schema leads once that is a part of the whole.
const SOURCE: &str = "#/properties/source";

/// The schema of the file for a component with this `config_schema`. `name` is what the component calls itself.
#[must_use]
pub fn whole(name: &str, mut source: Value) -> Value {
    let described = source.get("title").and_then(Value::as_str).unwrap_or(name).to_owned();
    embed(&mut source);
    if let Value::Object(source) = &mut source {
        source.remove("$schema");
        // In the file it is a table, even where the component does not say so.
        source.entry("type").or_insert_with(|| json!("object"));
        source.entry("description").or_insert_with(|| json!(format!("What {described} is configured with.")));
    }
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("source-host configuration for {described}"),
        "type": "object",
        "required": ["component", "source", "state"],
        "properties": own(),
        "additionalProperties": false,
        "$defs": {"elsewhere": {
            "description": "A text that lies elsewhere: in a file (relative to this one), or in an environment variable.",
            "oneOf": [reference("file"), reference("env")],
        }},
    });
    whole["properties"]["source"] = source;
    whole
}

fn reference(key: &str) -> Value {
    let properties: Map<String, Value> =
        [(key.to_owned(), json!({"type": "string", "minLength": 1}))].into_iter().collect();
    json!({"type": "object", "required": [key], "properties": properties, "additionalProperties": false})
}

/// The keys that the host reads itself. `config` is what reads them; a test compares the two.
pub(crate) fn own() -> Value {
    json!({
        "component": {"type": "string", "minLength": 1, "description": "The component's file. Paths are relative to this file."},
        "state": {
            "type": "object",
            "description": "How far collection has come.",
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "minLength": 1, "default": "state.json", "description": "The file that remembers it."},
            },
            "additionalProperties": false,
        },
        "output": {
            "type": "object",
            "description": "Where events go. To standard output if left out.",
            "required": ["kind"],
            "properties": {
                "kind": {"enum": ["stdout", "file"], "default": "stdout", "description": "Standard output, or a file."},
                "path": {"type": "string", "minLength": 1, "description": "The file that events are appended to, with kind = \"file\"."},
            },
            "additionalProperties": false,
        },
        "egress": {
            "type": "object",
            "description": "Where the component may connect to. Nowhere if left out.",
            "properties": {
                "allow": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "description": "Hosts: \"logs.example.com\", \"*.example.com\", \"host:port\".",
                },
                "ca_file": {"type": "string", "minLength": 1, "description": "Certificates to trust besides the public authorities, in PEM form."},
            },
            "additionalProperties": false,
        },
        "limits": {
            "type": "object",
            "description": "What the component may use.",
            "properties": {
                "memory": {
                    "type": "string", "default": "64MiB", "pattern": "^\\s*[0-9]+\\s*(B|KiB|MiB|GiB)?\\s*$",
                    "description": "Its memory.",
                },
                "call_time": {
                    "type": "string", "default": "300s", "pattern": "^\\s*[0-9]+\\s*(ms|s|m|h|d)\\s*$",
                    "description": "The time of one call.",
                },
            },
            "additionalProperties": false,
        },
    })
}

/// Makes a schema fit for a place inside another, and texts in it such that they may lie elsewhere.
fn embed(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    if let Some(Value::String(reference)) = object.get_mut("$ref")
        && let Some(local) = reference.strip_prefix('#')
    {
        *reference = format!("{SOURCE}{local}");
    }
    for key in ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"] {
        if let Some(Value::Object(schemas)) = object.get_mut(key) {
            schemas.values_mut().for_each(embed);
        }
    }
    for key in ["oneOf", "anyOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(schemas)) = object.get_mut(key) {
            schemas.iter_mut().for_each(embed);
        }
    }
    for key in ["items", "additionalProperties", "if", "then", "else", "not", "contains"] {
        if let Some(schema) = object.get_mut(key) {
            embed(schema);
        }
    }
    // A text with a pattern is a number with a unit and the like, which nobody keeps elsewhere.
    if object.get("type") == Some(&json!("string")) && !object.contains_key("pattern") {
        *schema = or_elsewhere(std::mem::take(object));
    }
}

fn or_elsewhere(mut text: Map<String, Value>) -> Value {
    let mut outer = Map::new();
    for key in ["title", "description", "default", "examples", "writeOnly", "deprecated"] {
        if let Some(value) = text.remove(key) {
            outer.insert(key.to_owned(), value);
        }
    }
    let elsewhere = json!({"$ref": "#/$defs/elsewhere"});
    let text = Value::Object(text);
    // An editor offers the first one first, and a secret had better not stand in the file.
    let forms = if outer.contains_key("writeOnly") { [elsewhere, text] } else { [text, elsewhere] };
    outer.insert("anyOf".into(), json!(forms));
    Value::Object(outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_may_lie_elsewhere_and_a_secret_is_offered_to_lie_there_first() {
        let schema = whole(
            "x",
            json!({"properties": {
                "user": {"type": "string", "description": "Who."},
                "token": {"type": "string", "writeOnly": true},
                "wait": {"type": "string", "pattern": "^[0-9]+s$"},
            }}),
        );
        let of = |key: &str| schema["properties"]["source"]["properties"][key].clone();
        assert_eq!(
            of("user"),
            json!({"description": "Who.", "anyOf": [{"type": "string"}, {"$ref": "#/$defs/elsewhere"}]})
        );
        assert_eq!(
            of("token"),
            json!({"writeOnly": true, "anyOf": [{"$ref": "#/$defs/elsewhere"}, {"type": "string"}]})
        );
        assert_eq!(of("wait"), json!({"type": "string", "pattern": "^[0-9]+s$"}));
    }

    #[test]
    fn references_within_the_components_schema_still_lead_to_the_same_place() {
        let schema = whole(
            "x",
            json!({"$defs": {"a": {"type": "integer"}}, "properties": {"b": {"$ref": "#/$defs/a"}}}),
        );
        let reference = schema["properties"]["source"]["properties"]["b"]["$ref"].as_str().unwrap();
        assert_eq!(schema.pointer(reference.trim_start_matches('#')), Some(&json!({"type": "integer"})));
    }
}
