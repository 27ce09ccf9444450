//! Documents against the schema of the Open Cybersecurity Schema Framework, as `tests/ocsf/schema.txt` has it: attributes that
//! there are, those that must be there, their types, values and captions, constraints, and profiles.

use serde_json::{Map, Value};
use std::{collections::HashMap, net::IpAddr};

/// Made by `tests/ocsf/table.py` of the framework's own schema.
const TABLE: &str = include_str!("../ocsf/schema.txt");

/// Attributes of a class or an object.
#[derive(Default)]
struct Attributes {
    by_name: HashMap<&'static str, Attribute>,
    /// `at_least_one` or `just_one`, and of which attributes.
    constraints: Vec<(&'static str, Vec<&'static str>)>,
}

struct Attribute {
    kind: &'static str,
    is_list: bool,
    is_object: bool,
    required: bool,
    deprecated: bool,
    profiles: Vec<&'static str>,
    /// The attribute with the caption of this one's value.
    sibling: Option<&'static str>,
    values: Vec<(&'static str, &'static str)>,
}

/// The schema.
pub struct Schema {
    classes: HashMap<u64, Attributes>,
    objects: HashMap<&'static str, Attributes>,
}

impl Default for Schema {
    fn default() -> Self {
        let mut schema = Self { classes: HashMap::new(), objects: HashMap::new() };
        let mut current: Option<&mut Attributes> = None;
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            if let Some(line) = line.strip_prefix('\t') {
                let (name, attribute) = Attribute::read(line);
                if let Some(attributes) = &mut current {
                    attributes.by_name.insert(name, attribute);
                }
                continue;
            }
            let mut words = line.split(' ');
            let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let attributes = if kind == "classes" {
                let uid = words.next().and_then(|uid| uid.parse().ok()).unwrap_or_default();
                schema.classes.entry(uid).or_default()
            } else {
                schema.objects.entry(name).or_default()
            };
            let constraint = |word: &'static str| {
                word.split_once('=').map(|(rule, names)| (rule, names.split(',').collect()))
            };
            attributes.constraints = words.filter_map(constraint).collect();
            current = Some(attributes);
        }
        schema
    }
}

impl Attribute {
    fn read(line: &'static str) -> (&'static str, Self) {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (name, kind, words, values) = (cell(), cell(), cell(), cell());
        let has = |word: &str| words.split(' ').any(|other| other == word);
        let all = |key: &str| words.split(' ').filter_map(|word| word.strip_prefix(key)).collect::<Vec<_>>();
        let (is_list, kind) = kind.strip_prefix("[]").map_or((false, kind), |kind| (true, kind));
        let (is_object, kind) = kind.strip_prefix("{}").map_or((false, kind), |kind| (true, kind));
        let attribute = Self {
            kind,
            is_list,
            is_object,
            required: has("required"),
            deprecated: has("deprecated"),
            profiles: all("profile="),
            sibling: all("sibling=").first().copied(),
            values: values.split('|').filter_map(|value| value.split_once('=')).collect(),
        };
        (name, attribute)
    }

    /// Whether a document with these profiles may have it.
    fn is_of(&self, profiles: &[&str]) -> bool {
        self.profiles.is_empty() || self.profiles.iter().any(|profile| profiles.contains(profile))
    }
}

impl Schema {
    /// What is wrong with a document.
    pub fn check(&self, document: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(members) = document.as_object() else { return vec![String::from("it is no object")] };
        let Some(class) = document["class_uid"].as_u64().and_then(|uid| self.classes.get(&uid)) else {
            return vec![format!("class_uid may not be {}", document["class_uid"])];
        };
        let metadata = &document["metadata"];
        let profiles: Vec<&str> =
            metadata["profiles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.check_object("", class, members, &profiles, &mut wrong);
        let version = TABLE.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        if metadata["version"].as_str() != version.map(|version| version.trim_end_matches(',')) {
            wrong.push(format!("metadata.version may not be {}", metadata["version"]));
        }
        let type_uid = document["class_uid"].as_u64().zip(document["activity_id"].as_u64());
        if document["type_uid"].as_u64() != type_uid.map(|(class, activity)| 100 * class + activity) {
            wrong.push(format!("type_uid may not be {}", document["type_uid"]));
        }
        wrong
    }

    fn check_object(
        &self,
        path: &str,
        attributes: &Attributes,
        members: &Map<String, Value>,
        profiles: &[&str],
        wrong: &mut Vec<String>,
    ) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for (name, value) in members {
            match attributes.by_name.get(name.as_str()) {
                None => wrong.push(format!("{} is no attribute", join(name))),
                Some(attribute) if !attribute.is_of(profiles) => {
                    wrong.push(format!("{} is of a profile that is not claimed", join(name)));
                }
                Some(attribute) if attribute.deprecated => {
                    wrong.push(format!("{} is deprecated", join(name)))
                }
                Some(attribute) => {
                    self.check_value(&join(name), attribute, value, profiles, wrong);
                    let caption = attribute.values.iter().find(|(known, _)| is(value, known));
                    let sibling = attribute.sibling.and_then(|sibling| members.get(sibling));
                    if let (Some((id, caption)), Some(sibling)) = (caption, sibling)
                        && *id != "99"
                        && sibling != caption
                    {
                        wrong.push(format!("{} is {id}, {caption}, and not {sibling}", join(name)));
                    }
                }
            }
        }
        for (name, attribute) in &attributes.by_name {
            if attribute.required && attribute.is_of(profiles) && !members.contains_key(*name) {
                wrong.push(format!("{} is missing", join(name)));
            }
        }
        for (rule, names) in &attributes.constraints {
            let count = names.iter().filter(|name| members.contains_key(**name)).count();
            if count == 0 || (*rule == "just_one" && count > 1) {
                wrong.push(format!("{path} has {count} of {names:?}: {rule}"));
            }
        }
    }

    fn check_value(
        &self,
        path: &str,
        attribute: &Attribute,
        value: &Value,
        profiles: &[&str],
        wrong: &mut Vec<String>,
    ) {
        let values = match value {
            Value::Array(values) if attribute.is_list => values.as_slice(),
            one if !attribute.is_list => std::slice::from_ref(one),
            _ => return wrong.push(format!("{path} is no list: {value}")),
        };
        for value in values {
            if attribute.is_object {
                let Some(members) = value.as_object() else {
                    wrong.push(format!("{path} is no object: {value}"));
                    continue;
                };
                // Any object.
                if attribute.kind == "object" {
                    continue;
                }
                match self.objects.get(attribute.kind) {
                    Some(attributes) => self.check_object(path, attributes, members, profiles, wrong),
                    None => wrong.push(format!("{path}: {} is not in the table", attribute.kind)),
                }
            } else if !fits(attribute.kind, value) {
                wrong.push(format!("{path} is no {}: {value}", attribute.kind));
            }
            if !attribute.values.is_empty() && !attribute.values.iter().any(|(known, _)| is(value, known)) {
                wrong.push(format!("{path} may not be {value}"));
            }
        }
    }
}

fn is(value: &Value, known: &str) -> bool {
    let written = value.to_string();
    value.as_str().unwrap_or(&written) == known
}

/// Whether a value is of a type of the framework's dictionary.
fn fits(kind: &str, value: &Value) -> bool {
    let Some(text) = value.as_str() else {
        return match kind {
            "integer" | "long" | "timestamp" | "timespan" => value.is_i64(),
            "port" => value.as_u64().is_some_and(|port| port <= 65_535),
            "float" => value.is_number(),
            "boolean" => value.is_boolean(),
            "json" => true,
            _ => false,
        };
    };
    match kind {
        "ip" => text.parse::<IpAddr>().is_ok(),
        "email" => {
            let name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
            let host = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            text.split_once('@').is_some_and(|(user, domain)| {
                let dots = domain.char_indices().any(|(at, c)| c == '.' && at > 0 && at + 1 < domain.len());
                !user.is_empty() && user.chars().all(name) && domain.chars().all(host) && dots
            })
        }
        "string" | "username" | "hostname" | "url" | "file_name" | "file_path" | "resource_uid" | "json" => {
            true
        }
        _ => false,
    }
}
