//! What is written about fields, against the documents themselves.
//!
//! `docs/fields.md`, `docs/index-template.json` and the tables in `docs/ecs.md` are made of the trees that documents are written
//! by; `UPDATE_DOCS=1` makes them anew. All expected events of the cases are held against the template, and against what
//! the Elastic Common Schema says of its own fields (`tests/ecs`).

use crate::cases::{NOW, columns_of, configured_with, expected_events};
use documents::fields::{Mapping, View, categories, codes, fields, threats, views};
use e2e::{
    canned::{CannedFile, CannedOrg, StillClock},
    template::{Template, fits, leaves},
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Holds a file against what it should be, or makes it so.
fn compare(name: &str, text: &str) {
    let path = docs(name);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, text).expect("write");
    } else {
        let is = fs::read_to_string(path).unwrap_or_default();
        assert!(is == text, "docs/{name} is not what the documents are made by; UPDATE_DOCS=1 makes it anew");
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_field_reference_is_what_documents_are_made_by() {
    let mut text = String::from(
        "# Field reference\n\nMade of the trees that documents are written by: do not edit, run the tests with `UPDATE_DOCS=1`. What \
         becomes of each\ncolumn, view by view, and why: [ecs.md](ecs.md). The same as an index template for Elasticsearch: \
         [index-template.json](index-template.json).\n\n\
         Columns that no document names are `salesforce.<type>.` and their name in snake case; their types are described in\n\
         [ecs.md](ecs.md#types-of-other-columns).\n\n| field | type | unit | from |\n|---|---|---|---|\n",
    );
    for (name, field) in fields() {
        let from = cell(&field.from.join("; "));
        text.push_str(&format!("| `{name}` | {} | {} | {from} |\n", field.kind, field.unit));
    }
    text.push_str("\n## Codes\n\nA code that is not among these stays as it is.\n");
    for (column, table) in codes() {
        let codes: Vec<_> = table.iter().map(|(code, meaning)| format!("`{code}` {meaning}")).collect();
        text.push_str(&format!("\n**{column}**: {}.\n", codes.join(", ")));
    }
    compare("fields.md", &text);
}

#[test]
fn every_field_of_a_receipt_is_explained() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ecs.md"))
        .expect("docs/ecs.md");
    let section = docs.split("\n## ").find(|section| section.starts_with("Receipts")).expect("a section");
    let views = views();
    let receipts = views.iter().find(|view| view.provider == "Collector").expect("a view");
    for mapping in receipts.mappings.iter().filter(|mapping| mapping.field != "@timestamp") {
        let name = mapping.field.strip_prefix("salesforce.receipt").unwrap_or(&mapping.field);
        assert!(section.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_tables_of_columns_are_what_documents_are_made_by() {
    let mut tables = String::new();
    // What becomes of a column in each view of a kind is said once. The audit trail has columns of its own alone.
    let is_same = |a: &Mapping, b: &Mapping| (a.column, &a.field) == (b.column, &b.field);
    let is_shared = |mapping: &Mapping, provider: &str| {
        let of_kind = |view: &&View| view.provider == provider && view.title != "SetupAuditTrail";
        let has_it = |view: &View| view.mappings.iter().any(|other| is_same(other, mapping));
        views().iter().filter(of_kind).all(has_it)
    };
    let shared = |title, provider| {
        let of_kind = views().into_iter().filter(|view| view.provider == provider);
        let mut mappings: Vec<Mapping> = of_kind.flat_map(|view| view.mappings).collect();
        mappings.retain(|mapping| is_shared(mapping, provider));
        mappings.sort_by(|a, b| (a.column, &a.field).cmp(&(b.column, &b.field)));
        mappings.dedup_by(|a, b| is_same(a, b));
        View { title, provider, mappings }
    };
    let mut all = vec![
        shared("All event log files", "EventLogFile"),
        shared("All objects but SetupAuditTrail", "Object"),
    ];
    // Receipts have no columns of Salesforce's.
    for mut view in views().into_iter().filter(|view| view.provider != "Collector") {
        view.mappings.retain(|mapping| !is_shared(mapping, view.provider));
        all.push(view);
    }
    for view in all {
        let mut columns: BTreeMap<&str, Vec<&Mapping>> = BTreeMap::new();
        for mapping in &view.mappings {
            columns.entry(mapping.column).or_default().push(mapping);
        }
        tables.push_str(&format!("\n### {}\n\n| column | field |\n|---|---|\n", view.title));
        for (column, mappings) in columns {
            let column = column.replace('|', ", else ");
            let field = |mapping: &&Mapping| {
                let words = [mapping.unit, &mapping.how].into_iter().filter(|words| !words.is_empty());
                match words.collect::<Vec<_>>().join(": ") {
                    words if words.is_empty() => format!("`{}`", mapping.field),
                    words => format!("`{}` ({words})", mapping.field),
                }
            };
            let fields: Vec<_> = mappings.iter().map(field).collect();
            tables.push_str(&format!("| {column} | {} |\n", cell(&fields.join(", "))));
        }
    }
    let mut kinds = String::from(
        "\n| type or object | `event.kind` | `event.category` | `event.type` | `event.action` |\n|---|---|---|---|---|\n",
    );
    for [name, kind, categories, types, action] in categories() {
        let action = if action.is_empty() { String::from("of the record") } else { format!("`{action}`") };
        kinds.push_str(&format!(
            "| {name} | {kind} | {} | {} | {action} |\n",
            categories.replace(' ', ", "),
            types.replace(' ', ", ")
        ));
    }
    let mut techniques =
        String::from("\n| type or object | tactic | technique | sub-technique |\n|---|---|---|---|\n");
    for row in threats() {
        techniques.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    let mut text = fs::read_to_string(docs("ecs.md")).expect("docs/ecs.md");
    for (mark, part) in [("columns", tables), ("kinds", kinds), ("threats", techniques)] {
        let (start, end) = (format!("<!-- {mark}: made by tests -->\n"), format!("<!-- {mark}: end -->\n"));
        let (before, rest) = text.split_once(&start).expect("a mark in docs/ecs.md");
        let (_, after) = rest.split_once(&end).expect("the end of it");
        text = format!("{before}{start}{part}\n{end}{after}");
    }
    compare("ecs.md", &text);
}

/// The index template: each field with its type, and how others get theirs.
/// Fields that an Elastic Agent, Filebeat or the ingest pipeline adds; their types are those of `tests/ecs/fields.txt`.
const ADDED: &[&str] = &[
    "agent.ephemeral_id",
    "agent.id",
    "agent.name",
    "agent.type",
    "agent.version",
    "event.agent_id_status",
    "event.ingested",
    "host.name",
    "log.file.path",
    "source.as.number",
    "source.as.organization.name",
    "source.geo.city_name",
    "source.geo.continent_name",
    "source.geo.country_iso_code",
    "source.geo.country_name",
    "source.geo.location",
    "source.geo.region_iso_code",
    "source.geo.region_name",
    "source.geo.timezone",
    "tags",
    "user_agent.device.name",
    "user_agent.name",
    "user_agent.original",
    "user_agent.os.full",
    "user_agent.os.name",
    "user_agent.os.version",
    "user_agent.version",
];

/// Fields that Filebeat adds and ECS does not have ("Exported fields", Filebeat reference).
const OF_FILEBEAT: &[(&str, &str)] = &[("input.type", "keyword"), ("log.offset", "long")];

/// Fields that are searched for words as well, in ECS's multi-field `.text`.
const TEXTS: &[&str] = &[
    "source.as.organization.name",
    "threat.technique.name",
    "threat.technique.subtechnique.name",
    "url.original",
    "user.effective.name",
    "user.full_name",
    "user.name",
    "user.target.name",
    "user_agent.original",
    "user_agent.os.full",
    "user_agent.os.name",
];

/// What Elasticsearch adds to an event: where its address is, and what its user agent tells. What a document says itself stays, and so does
/// an event of which something cannot be told.
fn pipeline() -> Value {
    let geoip = |database: &str, target: &str| {
        json!({"geoip": {"if": format!("ctx.source?.ip != null && ctx.{} == null", target.replace('.', "?.")),
            "field": "source.ip", "target_field": target, "database_file": database, "ignore_missing": true}})
    };
    let rename = |field: &str, target: &str| json!({"rename": {"field": field, "target_field": target, "ignore_missing": true}});
    let mut autonomous = geoip("GeoLite2-ASN.mmdb", "source.as");
    autonomous["geoip"]["properties"] = json!(["asn", "organization_name"]);
    json!({
        "description": "Documents of the Salesforce source: place and network of source.ip, parts of user_agent.original.",
        "processors": [
            {"set": {"field": "event.ingested", "copy_from": "_ingest.timestamp"}},
            geoip("GeoLite2-City.mmdb", "source.geo"),
            autonomous,
            rename("source.as.asn", "source.as.number"),
            rename("source.as.organization_name", "source.as.organization.name"),
            {"user_agent": {"field": "user_agent.original", "ignore_missing": true}},
        ],
        "on_failure": [
            {"append": {"field": "error.message",
                "value": "{{{_ingest.on_failure_processor_type}}}: {{{_ingest.on_failure_message}}}"}},
        ],
    })
}

fn template() -> Value {
    let mut properties = Map::new();
    let types: BTreeMap<String, String> =
        ecs("fields.txt").into_iter().map(|line| (line[0].clone(), line[1].clone())).collect();
    for name in ADDED {
        let kind = types.get(*name).unwrap_or_else(|| panic!("{name} is no field of ECS"));
        let mapping = if kind == "keyword" {
            json!({"type": kind, "ignore_above": 1024})
        } else {
            json!({"type": kind})
        };
        insert(&mut properties, name, mapping);
    }
    for (name, kind) in OF_FILEBEAT {
        insert(&mut properties, name, json!({"type": kind}));
    }
    for (name, field) in fields() {
        let mapping = match (name.as_str(), field.kind) {
            ("event.original", _) => json!({"type": "keyword", "index": false, "doc_values": false}),
            ("data_stream.type", _) => json!({"type": "constant_keyword", "value": "logs"}),
            (_, "keyword") => json!({"type": "keyword", "ignore_above": 8191}),
            (_, kind) => json!({"type": kind}),
        };
        insert(&mut properties, &name, mapping);
    }
    insert(&mut properties, "data_stream.namespace", json!({"type": "constant_keyword"}));
    for name in TEXTS {
        let pointer = format!("/{}", name.replace('.', "/properties/"));
        let mut all = Value::Object(std::mem::take(&mut properties));
        let mapping = all.pointer_mut(&pointer).unwrap_or_else(|| panic!("{name} is no field"));
        mapping["fields"] = json!({"text": {"type": "match_only_text"}});
        properties = all.as_object().cloned().unwrap_or_default();
    }
    properties["salesforce"]["properties"]["aura_request"]["properties"]["actions"]["type"] = json!("nested");
    let dynamic = |name: &str, json_type: &str, mapping: Value| json!({name: {"path_match": "salesforce.*", "match_mapping_type": json_type, "mapping": mapping}});
    json!({
        "index_patterns": ["logs-salesforce.*-*"],
        "priority": 250,
        "data_stream": {},
        "_meta": {"description": "Documents of the Salesforce source. Made of the trees that they are written by."},
        "template": {
            "settings": {
                "index.mapping.total_fields.limit": 5000,
                "index.mapping.ignore_malformed": true,
                "index.default_pipeline": "logs-salesforce",
            },
            "lifecycle": {"data_retention": "365d"},
            "mappings": {
                "date_detection": false,
                "numeric_detection": false,
                "dynamic_templates": [
                    dynamic("salesforce_text", "string", json!({"type": "keyword", "ignore_above": 8191})),
                    dynamic("salesforce_whole", "long", json!({"type": "long"})),
                    dynamic("salesforce_number", "double", json!({"type": "double"})),
                    dynamic("salesforce_switch", "boolean", json!({"type": "boolean"})),
                ],
                "properties": properties,
            },
        },
    })
}

fn insert(properties: &mut Map<String, Value>, name: &str, mapping: Value) {
    match name.split_once('.') {
        None => {
            properties.insert(name.to_owned(), mapping);
        }
        Some((first, rest)) => {
            let within = properties.entry(first).or_insert_with(|| json!({"properties": {}}));
            insert(within["properties"].as_object_mut().expect("an object"), rest, mapping);
        }
    }
}

#[test]
fn the_index_template_is_what_documents_are_made_by() {
    compare("index-template.json", &format!("{:#}\n", template()));
}

#[test]
fn the_ingest_pipeline_adds_fields_of_the_template_alone_and_takes_none_away() {
    let pipeline = pipeline();
    compare("ingest-pipeline.json", &format!("{pipeline:#}\n"));
    // What the processors of Elasticsearch write, by their documentation.
    let geo = [
        "city_name",
        "continent_name",
        "country_iso_code",
        "country_name",
        "location",
        "region_iso_code",
        "region_name",
    ];
    let agent = ["name", "version", "device.name", "os.name", "os.full", "os.version", "original"];
    let mut written = vec![String::from("event.ingested"), String::from("error.message")];
    written.extend(geo.map(|name| format!("source.geo.{name}")));
    written.extend(agent.map(|name| format!("user_agent.{name}")));
    for processor in pipeline["processors"].as_array().expect("processors") {
        let kind = processor.as_object().and_then(|processor| processor.keys().next()).expect("a kind");
        assert!(["set", "geoip", "rename", "user_agent"].contains(&kind.as_str()), "{kind}");
        written.extend(processor["rename"]["target_field"].as_str().map(str::to_owned));
        let field = processor["rename"]["field"].as_str().unwrap_or("source.as.");
        assert!(field.starts_with("source.as."), "{field} is ours");
    }
    let template = template();
    for name in written {
        let pointer = format!("/template/mappings/properties/{}/type", name.replace('.', "/properties/"));
        assert!(template.pointer(&pointer).is_some(), "{name} has no type");
    }
}

/// All expected events that are documents, each with its case.
fn documents() -> impl Iterator<Item = (String, Value)> {
    expected_events().into_iter().filter(|(_, event)| event.get("stream").is_none())
}

#[test]
fn every_field_of_every_expected_event_is_in_the_template_with_its_type() {
    let mut template = Template::new(&template());
    let wrong: BTreeSet<String> =
        documents().flat_map(|(case, event)| template.check(&case, &event)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(template.dynamic() > 50, "the cases show {} fields that no document names", template.dynamic());
}

/// The lines of a file in `tests/ecs`, as words.
fn ecs(name: &str) -> Vec<Vec<String>> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ecs").join(name)).expect("data");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn every_expected_event_is_what_the_elastic_common_schema_allows() {
    let known: BTreeMap<String, (String, bool)> = ecs("fields.txt")
        .into_iter()
        .map(|line| (line[0].clone(), (line[1].clone(), line.get(2).is_some_and(|word| word == "list"))))
        .collect();
    let allowed: BTreeMap<String, Vec<String>> = ecs("categories.txt")
        .into_iter()
        .map(|line| (line[0].trim_end_matches(':').to_owned(), line[1..].to_vec()))
        .collect();
    let mut wrong = BTreeSet::new();
    for (case, event) in documents() {
        let ours = |name: &str| name.starts_with("salesforce.");
        for (name, value, in_list) in leaves(&event).into_iter().filter(|(name, ..)| !ours(name)) {
            match known.get(&name) {
                None => {
                    wrong.insert(format!("{case}: {name} is no field of ECS"));
                }
                Some((kind, list)) => {
                    let may_be_list = *list || name == "error.message";
                    if !fits(kind, value) || in_list != may_be_list {
                        wrong.insert(format!(
                            "{case}: {name} is no {kind}, or a list and should not be: {value}"
                        ));
                    }
                }
            }
        }
        let event = &event["event"];
        let words = |name: &str| -> Vec<String> {
            let list = event[name].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for name in ["kind", "outcome"] {
            if event[name].as_str().is_some_and(|value| !allowed[name].iter().any(|allowed| allowed == value))
            {
                wrong.insert(format!("{case}: event.{name} may not be {}", event[name]));
            }
        }
        if event["kind"].is_null() || event["id"].is_null() {
            wrong.insert(format!("{case}: there is no event.kind or no event.id"));
        }
        let (categories, types) = (words("category"), words("type"));
        wrong.extend(
            pairs(&allowed, &categories, &types).into_iter().map(|reason| format!("{case}: {reason}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong with some categories and types together.
fn pairs(allowed: &BTreeMap<String, Vec<String>>, categories: &[String], types: &[String]) -> Vec<String> {
    let in_none = |word: &&String| {
        !allowed.iter().any(|(name, types)| name != "kind" && name != "outcome" && types.contains(word))
    };
    let mut wrong: Vec<_> =
        types.iter().filter(in_none).map(|word| format!("event.type may not be {word}")).collect();
    for category in categories {
        match allowed.get(category) {
            Some(expected) if types.iter().any(|word| expected.contains(word)) => {}
            _ => wrong.push(format!("event.category {category} may not stand with event.type {types:?}")),
        }
    }
    for word in types.iter().filter(|_| !categories.is_empty()) {
        if !categories.iter().any(|category| allowed.get(category).is_some_and(|types| types.contains(word)))
        {
            wrong.push(format!("event.type {word} may not stand with event.category {categories:?}"));
        }
    }
    wrong
}

#[test]
fn every_category_is_one_that_the_elastic_common_schema_allows_with_its_type() {
    let allowed: BTreeMap<String, Vec<String>> = ecs("categories.txt")
        .into_iter()
        .map(|line| (line[0].trim_end_matches(':').to_owned(), line[1..].to_vec()))
        .collect();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for [name, kind, categories, types, _] in categories() {
        assert!(allowed["kind"].contains(&kind), "{name}");
        assert_eq!(pairs(&allowed, &words(&categories), &words(&types)), Vec::<String>::new(), "{name}");
    }
}

/// A file of a type in which each row has a text in one column alone.
fn marked_file(columns: &[&str]) -> Vec<u8> {
    let quoted =
        |values: Vec<String>| values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(",");
    let mut text = quoted(columns.iter().map(|column| (*column).to_owned()).collect());
    for nth in 0..columns.len() {
        let value = |at: usize| if at == nth { format!("marker-{nth}") } else { String::new() };
        text.push_str(&format!("\n{}", quoted((0..columns.len()).map(value).collect())));
    }
    text.push('\n');
    text.into_bytes()
}

#[test]
fn no_value_of_any_column_is_dropped() {
    let events = |event_type: &str, records: Option<String>, columns: &[&str], streams: Value| {
        let files = vec![CannedFile {
            event_type: event_type.to_owned(),
            ..CannedFile::new(1, marked_file(columns))
        }];
        let mut org = match records {
            Some(_) => CannedOrg { records, ..CannedOrg::default() },
            None => CannedOrg::with(files),
        };
        let streams = format!("\"streams\": {streams}");
        let login = "\"streams\": {\"login\": {\"event_log_file\": {}}}";
        let mut collector = configured_with(&[(login, &streams)]);
        collector.poll(&mut org, &StillClock::at(NOW), None).expect("a batch").events
    };
    let files = ["Login", "Logout", "ApexCallout", "AuraRequest", "BrandNew"];
    let objects = ["LoginEvent", "LogoutEvent", "AuraRequestEventLog", "ApiEvent"];
    let mut tried = 0;
    for view in views() {
        let names: BTreeSet<&str> =
            view.mappings.iter().flat_map(|mapping| mapping.column.split('|')).collect();
        let is_file = view.provider == "EventLogFile";
        let mut columns: Vec<&str> = names.into_iter().collect();
        if is_file {
            columns.extend(["EVENT_TYPE", "TIMESTAMP", "TIMESTAMP_DERIVED", "NEW_COLUMN"]);
            columns.sort_unstable();
            columns.dedup();
        } else {
            columns.extend(["NewField"]);
        }
        let named = |name: &&&str| {
            view.title.contains(name.trim_start_matches("Apex").trim_end_matches("Callout"))
                || view.title.contains(**name)
        };
        let name = if is_file {
            files.iter().find(named).unwrap_or(&"BrandNew")
        } else {
            objects.iter().find(named).unwrap_or(&"ApiEvent")
        };
        // SetupAuditTrail is collected in the order of a date that the records here do not have.
        if view.title == "SetupAuditTrail" {
            continue;
        }
        let (records, streams) = if is_file {
            let own = matches!(*name, "AuraRequest" | "BrandNew");
            let stream = match *name {
                "Login" => "login",
                "Logout" => "logout",
                "ApexCallout" => "apex",
                _ => "own",
            };
            let source = if own { json!({"event_types": [name]}) } else { json!({}) };
            (None, json!({stream: {"event_log_file": source}}))
        } else {
            let record = |nth: usize| {
                let field = |(at, column): (usize, &&str)| {
                    (
                        (*column).to_owned(),
                        if at == nth { json!(format!("marker-{nth}")) } else { Value::Null },
                    )
                };
                Value::Object(columns.iter().enumerate().map(field).collect())
            };
            let records: Vec<_> = (0..columns.len()).map(record).collect();
            let (stream, source) = match *name {
                "LoginEvent" => ("login", json!({})),
                "LogoutEvent" => ("logout", json!({})),
                _ => ("own", json!({"name": name})),
            };
            (Some(Value::Array(records).to_string()), json!({stream: {"object": source}}))
        };
        let events = events(name, records, &columns, streams);
        assert_eq!(events.len(), columns.len(), "{}", view.title);
        for (nth, column) in columns.iter().enumerate() {
            let marker = format!("marker-{nth}");
            let holds = |event: &&String| {
                let event: Value = serde_json::from_str(event).expect("JSON");
                leaves(&event).iter().any(|(_, value, _)| {
                    value.as_str().is_some_and(|text| text == marker || text.contains(&format!("'{marker}'")))
                })
            };
            assert!(events.iter().any(|event| holds(&event)), "{}: {column} is dropped", view.title);
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn every_column_of_every_mapped_type_is_in_its_table() {
    let types = [
        ("Login event log files", "Login"),
        ("LoginEvent and LoginHistory", "LoginEvent"),
        ("LoginEvent and LoginHistory", "LoginHistory"),
        ("Logout event log files", "Logout"),
        ("LogoutEvent", "LogoutEvent"),
        ("Apex event log files of all six types", "ApexCallout"),
        ("Apex event log files of all six types", "ApexExecution"),
        ("Apex event log files of all six types", "ApexRestApi"),
        ("Apex event log files of all six types", "ApexSoap"),
        ("Apex event log files of all six types", "ApexTrigger"),
        ("Apex event log files of all six types", "ExternalCustomApexCallout"),
        ("SetupAuditTrail", "SetupAuditTrail"),
        ("AuraRequest event log files", "AuraRequest"),
        ("AuraRequestEventLog", "AuraRequestEventLog"),
    ];
    let views = views();
    for (title, name) in types {
        let view = views.iter().find(|view| view.title == title).expect("a view");
        let known: BTreeSet<&str> =
            view.mappings.iter().flat_map(|mapping| mapping.column.split('|')).collect();
        let columns = columns_of(name);
        assert!(columns.len() > 8, "the cases of {name} have {} columns", columns.len());
        // The type and address that Salesforce adds to each record, a related record, and what a case calls new or a note.
        let own = ["attributes", "CreatedBy", "New__c", "NOTE"];
        let missing: Vec<_> = columns
            .iter()
            .filter(|column| !known.contains(column.as_str()) && !own.contains(&column.as_str()))
            .collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}
