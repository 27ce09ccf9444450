//! The JSON Schema of a whole configuration file: the host's own keys, and the component's under `[source]`.
//!
//! An editor with a language server for TOML completes and checks a file with it. The component describes its document as
//! `configure` takes it; in the file, a text may lie elsewhere: `{ file = "…" }` or `{ env = "…" }`.

use serde_json::{Map, Value, json};
use source_host::printable;

use crate::config::KINDS;

/// Where a reference into the component's own schema leads once that is a part of the whole.
const SOURCE: &str = "#/properties/source";

/// The schema of the file for a component with this `config_schema`. `name` is what the component calls itself.
#[must_use]
pub fn whole(name: &str, mut source: Value) -> Value {
    harmless(&mut source);
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
        "required": ["component", "source"],
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

/// Takes from a component's schema what would make a file of the component's choice of it: names that are no bare keys, control
/// characters, tables that refer to files and variables of this machine, whatever would become one, and addresses that nobody gave.
fn harmless(schema: &mut Value) {
    match schema {
        Value::String(text) => *text = printable(std::mem::take(text)),
        Value::Array(items) => items.iter_mut().for_each(harmless),
        Value::Object(object) => {
            let required = object.get("required").cloned().unwrap_or_default();
            for key in ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"] {
                if let Some(Value::Object(named)) = object.get_mut(key) {
                    named.retain(|name, _| is_bare(name) || key == "patternProperties");
                    for (name, property) in named {
                        let is_required =
                            required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
                        let default = property.get("default");
                        let is_harmful =
                            matches!(name.as_str(), "file" | "env") || default.is_some_and(is_table);
                        if default.is_some_and(|_| is_harmful)
                            || is_required && default.is_some_and(is_address)
                        {
                            property.as_object_mut().and_then(|property| property.remove("default"));
                        }
                    }
                }
            }
            if is_reference(object) {
                *object = Map::new();
                object.insert("type".into(), json!("string"));
                object.insert("writeOnly".into(), json!(true));
            }
            object.values_mut().for_each(harmless);
        }
        _ => {}
    }
}

fn is_bare(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

/// Whether a default is an address, or holds one.
fn is_address(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("://"),
        Value::Array(items) => items.iter().any(is_address),
        Value::Object(object) => object.values().any(is_address),
        _ => false,
    }
}

/// Whether a default is a table or holds one, also one that is written as TOML.
fn is_table(value: &Value) -> bool {
    fn holds_one(value: &toml::Value) -> bool {
        match value {
            toml::Value::Table(_) => true,
            toml::Value::Array(items) => items.iter().any(holds_one),
            _ => false,
        }
    }
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(is_table),
        Value::String(text) => {
            let parsed = format!("v = {text}").parse::<toml::Table>();
            parsed.is_ok_and(|table| table.values().any(holds_one))
        }
        _ => false,
    }
}

/// Whether a table looks as if it referred to a file or a variable: that is for the one who writes the file to do.
fn is_reference(object: &Map<String, Value>) -> bool {
    let properties = object.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| {
        !properties.is_empty() && properties.keys().all(|key| matches!(key.as_str(), "file" | "env"))
    })
}

fn reference(key: &str) -> Value {
    let properties: Map<String, Value> =
        [(key.to_owned(), json!({"type": "string", "minLength": 1}))].into_iter().collect();
    json!({"type": "object", "required": [key], "properties": properties, "additionalProperties": false})
}

/// The keys that the host reads itself. `config` is what reads them; a test compares the two.
pub(crate) fn own() -> Value {
    json!({
        "component": {"type": "string", "minLength": 1, "description": "The component's file, or where it lies in a registry: oci://HOST/REPOSITORY:TAG, with @sha256:… behind it to pin it here as well as in source-host.lock. Paths are relative to this file."},
        "registry": {
            "type": "object",
            "description": "How `source-host pull` reaches the registry of the component.",
            "properties": {
                "username": text("Whose password it is. Without it, what `docker login` left for the registry is used."),
                "password": secret("The password, or a token that the registry takes as one."),
                "docker_config": text("The file of `docker login` [default: config.json in $DOCKER_CONFIG or ~/.docker]."),
                "ca_file": text("Certificates to trust besides Mozilla's roots, in PEM form."),
                "insecure": {"type": "boolean", "default": false, "description": "Whether the registry speaks plain HTTP. One on this machine is taken to."},
            },
            "additionalProperties": false,
        },
        "state": {
            "type": "object",
            "description": "How far collection has come. `run` needs it; `serve` keeps it itself where it is left out.",
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
            "properties": output(),
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
                "private": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string", "minLength": 1}},
                    "description": "Names that may resolve to private addresses, and to which: { \"acme.my.salesforce.com\" = [\"10.1.0.0/16\"] }.",
                },
                "ca_file": text("Certificates to trust besides the roots, in PEM form."),
                "roots": {"enum": ["mozilla", "system", "none"], "default": "mozilla", "description": "Whom to trust."},
                "client_certificate": text("The certificate that is shown to servers that ask for one, in PEM form."),
                "client_key": text("Its key, in PEM form."),
                "proxy": secret("A proxy: http://[user:password@]host:port. The environment is not asked."),
            },
            "additionalProperties": false,
        },
        "limits": {
            "type": "object",
            "description": "What the component may use.",
            "properties": {
                "memory": size("64MiB", "Its memory."),
                "total_memory": size("128MiB", "All that the host holds for it: its memory, batches until they are delivered, requests under way."),
                "call_time": time("300s", "The time of one call."),
                "cpu_time": time("20s", "The time of the processor in one call, waiting not counted."),
                "batch_bytes": size("32MiB", "The events of one batch."),
                "event_bytes": size("8MiB", "One event."),
                "connections": count(8, "Requests under way at the same time."),
                "requests_per_second": count(1_000, "Requests a second; what comes sooner waits."),
                "request_bytes": size("16MiB", "The body of one request."),
                "received_bytes": size("4GiB", "Answers read in one call, as they come over the wire."),
                "request_time": time("1h", "The time of one request, until its answer is read."),
                "longest_wait": time("24h", "The longest wait between two polls that it may ask for."),
                "log_lines_per_minute": count(60, "Lines of the log that it can cause."),
            },
            "additionalProperties": false,
        },
        "admission": {
            "type": "object",
            "description": "What the component has to be before it is compiled.",
            "properties": {
                "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": "Its SHA-256, as `inspect` shows it."},
                "signed_by": text("An Ed25519 public key in PEM form; the signature lies beside the component, its name with .sig."),
                "component_bytes": size("32MiB", "Its file."),
                "functions": count(40_000, "Its functions."),
                "function_bytes": size("256KiB", "Its longest function."),
                "code_bytes": size("8MiB", "All its functions."),
                "declarations": count(100_000, "All else that it declares: types, imports, exports, globals, instances."),
                "compile_time": time("60s", "Compiling it."),
                "compile_memory": size("2GiB", "Address space for compiling it."),
                "wasi_0_3": {"type": "boolean", "default": false, "description": "Whether it may be a component for WASI 0.3."},
            },
            "additionalProperties": false,
        },
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

fn secret(description: &str) -> Value {
    json!({
        "anyOf": [{"$ref": "#/$defs/elsewhere"}, {"type": "string", "minLength": 1}],
        "writeOnly": true,
        "description": description,
    })
}

fn size(default: &str, description: &str) -> Value {
    let pattern = "^\\s*[0-9]+\\s*(B|KiB|MiB|GiB)?\\s*$";
    json!({"type": "string", "default": default, "pattern": pattern, "description": description})
}

fn time(default: &str, description: &str) -> Value {
    let pattern = "^\\s*[0-9]+\\s*(ms|s|m|h|d)\\s*$";
    json!({"type": "string", "default": default, "pattern": pattern, "description": description})
}

fn count(default: u32, description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "default": default, "description": description})
}

/// The same for a key that has no default: an example stands in its place.
fn without_default(mut schema: Value) -> Value {
    if let Some(example) = schema.as_object_mut().and_then(|schema| schema.remove("default")) {
        schema["examples"] = json!([example]);
    }
    schema
}

/// The keys of all kinds of outputs, each with the kinds that have it.
fn output() -> Value {
    let texts = |description: &str| {
        let text = json!({"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/elsewhere"}]});
        json!({"type": "object", "additionalProperties": text, "description": description})
    };
    let word = |words: &[&str], description: &str| json!({"enum": words, "description": description});
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let mut properties = json!({
        "kind": {"enum": kinds, "default": "stdout", "description": "Standard output, a file, or a service."},
        "path": text("The file that events are appended to."),
        "rotate_size": without_default(size("1GiB", "A new file is begun before this one would be larger. Never if left out.")),
        "rotate_after": without_default(time("1d", "A new file is begun after so long. Never if left out.")),
        "keep": count(0, "How many rotated files are kept; 0 for all."),
        "url": text("Where events are sent."),
        "method": word(&["post", "put"], "How they are sent."),
        "format": word(&["ndjson", "json-array"], "One event per line, or an array."),
        "compression": word(&["none", "gzip", "zstd"], "How bodies are compressed."),
        "headers": texts("Further headers."),
        "max_bytes": size("4MiB", "The longest body, before compression."),
        "max_events": count(5_000, "The most events in one request."),
        "dead_letters": text("The file that takes events which are never taken."),
        "ca_file": text("Certificates to trust besides the public authorities, in PEM form."),
        "client_certificate": text("The certificate that is shown to the server, in PEM form."),
        "client_key": text("Its key, in PEM form."),
        "proxy": secret("A proxy: http://[user:password@]host:port. The environment is not asked."),
        "timeout": time("60s", "A request with its answer."),
        "connect_timeout": time("10s", "A connection with its TLS."),
        "credentials_without_tls": {"type": "boolean", "default": false, "description": "Whether credentials may travel in the clear."},
        "api_key": secret("An API key, encoded."),
        "user": text("A user."),
        "password": secret("The user's password."),
        "token": secret("A token."),
        "default_dataset": text("The dataset of events that name none."),
        "default_namespace": text("The namespace of events that name none."),
        "service_name": text("service.name of the resource."),
        "resource": texts("Further attributes of the resource."),
        "servers": {"type": "array", "items": {"type": "string", "minLength": 1}, "description": "The servers: \"nats://nats.example.com\"."},
        "subject": text("The subject; {dataset} and {namespace} stand for those of the event."),
        "stream": text("The stream that has to have it."),
        "credentials_file": text("A file with a user's JWT and seed."),
        "in_flight": count(256, "Messages that wait for their acknowledgement at the same time."),
        "ack_timeout": time("10s", "An acknowledgement."),
    });
    for (key, property) in properties.as_object_mut().into_iter().flatten() {
        let having: Vec<&str> =
            KINDS.iter().filter(|kind| kind.keys().contains(&key.as_str())).map(|kind| kind.name).collect();
        if having.len() < KINDS.len()
            && let Some(Value::String(description)) = property.get_mut("description")
        {
            description.push_str(&format!(" With kind = {}.", having.join(", ")));
        }
    }
    properties
}

/// Makes a schema fit to stand inside another, and texts in it such that they may lie elsewhere.
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
    fn references_within_the_components_schema_still_lead_to_the_same_target() {
        let schema = whole(
            "x",
            json!({"$defs": {"a": {"type": "integer"}}, "properties": {"b": {"$ref": "#/$defs/a"}}}),
        );
        let reference = schema["properties"]["source"]["properties"]["b"]["$ref"].as_str().unwrap();
        assert_eq!(schema.pointer(reference.trim_start_matches('#')), Some(&json!({"type": "integer"})));
    }
}
