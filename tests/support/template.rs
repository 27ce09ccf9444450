//! Events against the index template: each field is in it with its type, or lies where fields are dynamic and has the same
//! type in every event.

use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

/// The template that is delivered with the source.
const STORED: &str = include_str!("../../docs/index-template.json");
/// Events of which all are looked at; of the rest, one in [`ONE_IN`].
const ALL_OF: u64 = 500;
const ONE_IN: u64 = 32;

/// A template, and what was seen of the fields that it leaves open.
pub struct Template {
    fields: HashMap<String, String>,
    dynamic: BTreeMap<String, (String, &'static str)>,
    events: u64,
}

impl Default for Template {
    fn default() -> Self {
        Self::new(&serde_json::from_str(STORED).unwrap_or_default())
    }
}

impl Template {
    /// Reads an index template.
    pub fn new(template: &Value) -> Self {
        let mut fields = HashMap::new();
        flatten("", &template["template"]["mappings"], &mut fields);
        Self { fields, dynamic: BTreeMap::new(), events: 0 }
    }

    /// Fields that were seen and that no template names.
    pub fn dynamic(&self) -> usize {
        self.dynamic.len()
    }

    /// What is wrong with an event; `what` is what it is called. Raw records, which have no fields, pass.
    pub fn check(&mut self, what: &str, event: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, value, _) in leaves(event) {
            match self.fields.get(&name) {
                Some(kind) if fits(kind, value) => {}
                Some(kind) => wrong.push(format!("{what}: {name} is no {kind}: {value}")),
                None if name.starts_with("salesforce.") && name.matches('.').count() >= 2 => {
                    let is = json_type(value);
                    let (first, seen) = self.dynamic.entry(name.clone()).or_insert((what.to_owned(), is));
                    if *seen != is {
                        wrong.push(format!("{name} is a {seen} in {first} and a {is} in {what}: {value}"));
                    }
                }
                None if event.get("stream").is_some() => {}
                None => wrong.push(format!("{what}: {name} is not in the template")),
            }
        }
        wrong
    }

    /// The same of the first of many events and of a sample of the rest.
    pub fn sample(&mut self, what: &str, event: &Value) -> Vec<String> {
        self.events += 1;
        if self.events <= ALL_OF || self.events.is_multiple_of(ONE_IN) {
            self.check(what, event)
        } else {
            Vec::new()
        }
    }
}

fn flatten(prefix: &str, at: &Value, fields: &mut HashMap<String, String>) {
    for (name, field) in at["properties"].as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if let Some(kind) = field["type"].as_str() {
            fields.insert(name.clone(), kind.to_owned());
        }
        flatten(&name, field, fields);
    }
}

/// A leaf of an event: its name, its value, and whether it stood in a list.
pub type Leaf<'e> = (String, &'e Value, bool);

/// The leaves of an event. A location is one.
pub fn leaves(event: &Value) -> Vec<Leaf<'_>> {
    let mut found = Vec::new();
    add_leaves("", event, false, &mut found);
    found
}

fn add_leaves<'e>(prefix: &str, value: &'e Value, in_list: bool, found: &mut Vec<Leaf<'e>>) {
    match value {
        Value::Object(members) if !prefix.ends_with(".location") => {
            for (key, value) in members {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                add_leaves(&name, value, false, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| add_leaves(prefix, value, true, found)),
        _ => found.push((prefix.to_owned(), value, in_list)),
    }
}

/// Whether a value can be indexed as a type, and is of the JSON type that it has.
pub fn fits(kind: &str, value: &Value) -> bool {
    match kind {
        "keyword" | "constant_keyword" | "wildcard" | "text" | "match_only_text" => value.is_string(),
        "long" => value.is_i64(),
        "double" | "float" => value.is_f64(),
        "boolean" => value.is_boolean(),
        "date" => value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok()),
        "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        "geo_point" => value["lat"].is_number() && value["lon"].is_number(),
        _ => false,
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Bool(_) => "switch",
        Value::Number(number) if number.is_i64() => "whole number",
        Value::Number(_) => "number",
        _ => "nothing",
    }
}
