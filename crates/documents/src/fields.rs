//! The fields of the documents, read off the same trees that documents are written by.
//!
//! For those who make documentation and index templates of them, as the tests of this project do. Nothing that runs in a
//! pipeline calls it.

use crate::{
    grammar::{
        class::{AUDITED, Class, Rules},
        codes,
        form::Form,
        kinds,
        node::Node,
    },
    trees::{apex, audit, aura, generic, login, logout, ocsf, receipt},
};
use std::collections::BTreeMap;

/// One view of events: files of a type, or an object.
pub struct View {
    /// What it is a view of.
    pub title: &'static str,
    /// `event.provider`
    pub provider: &'static str,
    /// What becomes of its columns.
    pub mappings: Vec<Mapping>,
}

/// What becomes of a column.
pub struct Mapping {
    /// The column; several divided by `|` mean the first that is there.
    pub column: &'static str,
    /// The field; `<type>` stands for the name of the type or the object in snake case.
    pub field: String,
    /// Elasticsearch's type of the field.
    pub kind: &'static str,
    /// The unit of a number, or nothing.
    pub unit: &'static str,
    /// How the value is made, where it is not simply taken over.
    pub how: String,
}

/// A field.
#[derive(Default)]
pub struct Field {
    /// Elasticsearch's type of it.
    pub kind: &'static str,
    /// The unit of a number, or nothing.
    pub unit: &'static str,
    /// The columns it is made of, or why it is there.
    pub from: Vec<String>,
}

/// Fields that no column tells: name, type, what they are.
const FIXED: &[(&str, &str, &str)] = &[
    (
        "@timestamp",
        "date",
        "when it happened; if no column tells, LogDate of the file or the beginning of what was asked for",
    ),
    ("ecs.version", "keyword", "8.11.0"),
    ("data_stream.type", "constant_keyword", "logs"),
    ("data_stream.dataset", "constant_keyword", "`salesforce.` and the name of the stream"),
    ("event.id", "keyword", "key of the record, or a digest"),
    (
        "event.kind",
        "keyword",
        "`event`; `alert` for threats that were detected, `pipeline_error` for rows that make no sense",
    ),
    ("event.category", "keyword", "by the type"),
    ("event.type", "keyword", "by the type"),
    ("event.action", "keyword", "by the type"),
    ("event.module", "keyword", "salesforce"),
    ("event.dataset", "keyword", "as `data_stream.dataset`"),
    ("event.provider", "keyword", "`EventLogFile` or `Object`; `Collector` of receipts"),
    (
        "event.original",
        "keyword",
        "the record as it came, if it was asked for; a row that makes no sense always",
    ),
    ("error.message", "match_only_text", "values that are not what their column promises"),
    ("threat.framework", "keyword", "MITRE ATT&CK, of threats that were detected"),
    ("threat.tactic.id", "keyword", "by the type"),
    ("threat.tactic.name", "keyword", "by the type"),
    ("threat.technique.id", "keyword", "by the type"),
    ("threat.technique.name", "keyword", "by the type"),
    ("threat.technique.subtechnique.id", "keyword", "by the type"),
    ("threat.technique.subtechnique.name", "keyword", "by the type"),
    ("salesforce.instance_url", "keyword", "address of the org"),
    ("salesforce.object_name", "keyword", "name of the object, on its records"),
    ("salesforce.event_log_file.id", "keyword", "`EventLogFile.Id`"),
    ("salesforce.event_log_file.log_date", "date", "`EventLogFile.LogDate`"),
    ("salesforce.event_log_file.created_date", "date", "`EventLogFile.CreatedDate`"),
    ("salesforce.event_log_file.interval", "keyword", "`EventLogFile.Interval`"),
    ("salesforce.event_log_file.sequence", "long", "`EventLogFile.Sequence`"),
    ("salesforce.event_log_file.api_version", "keyword", "`EventLogFile.ApiVersion`"),
];

/// Types that the form of a value does not tell.
const TYPES: &[(&str, &str)] = &[
    ("event.risk_score", "float"),
    ("url.original", "wildcard"),
    ("url.path", "wildcard"),
    ("salesforce.apex.message", "text"),
    ("salesforce.login.additional_info", "match_only_text"),
];

/// What columns are for. Columns of objects that say the same have the same words.
const ABOUT: &[(&str, &str)] = &[
    ("REQUEST_ID RequestIdentifier", "transaction, shared by all events of it; not a key"),
    ("LOGIN_KEY LoginKey", "ties together all events from login to logout"),
    ("SESSION_KEY SessionKey", "session; usually empty at login"),
    ("USER_ID", "15 characters, case-sensitive"),
    ("USER_ID_DERIVED", "18 characters"),
    ("ORGANIZATION_ID", "15 characters"),
    ("URI_ID_DERIVED", "the record that the URI is about, 18 characters"),
    ("QUIDDITY", "code of what started the code, as in Apex's `System.Quiddity`"),
    ("API_VERSION", "`9998.0` for none"),
    ("USE_API_TOKEN UseApiToken", "`T` or `P`"),
    ("FORWARDED_FOR_IP ForwardedForIp", "the X-Forwarded-For header, free text"),
    ("ROWS", "-1 if the total is not known"),
    ("LIMIT_USAGE_PERCENT", "-1 if it is not known"),
    ("RelatedEventIdentifier", "the event that this one follows, as after multi-factor authentication"),
    ("DelegateUser", "the administrator who was logged in as the user"),
    ("PolicyOutcome", "what a transaction security policy did"),
    ("RESOLUTION_TYPE", "code of the screen's resolution"),
    ("EventIdentifier", "key of a record of a big object"),
    ("Id", "key of any other record"),
];

/// All views, those with a document of their own first.
pub fn views() -> Vec<View> {
    let view = |title, provider, document, own: &[(&'static str, &str)]| {
        let mut mappings = Vec::new();
        for (column, field) in own {
            let (kind, how) = match (*column, *field) {
                ("Id", _) => ("keyword", "a digest of it, the org's host and the object"),
                (_, "event.id") => ("keyword", ""),
                _ => ("date", "UTC"),
            };
            let (field, how) = ((*field).to_owned(), how.to_owned());
            mappings.push(Mapping { column, field, kind, unit: "", how });
        }
        walk(document, "", &mut mappings);
        View { title, provider, mappings }
    };
    let row: &[_] = &[("TIMESTAMP_DERIVED|TIMESTAMP", "@timestamp")];
    let event: &[_] = &[("EventDate", "@timestamp"), ("EventIdentifier", "event.id")];
    let login: &[_] = &[event[0], ("LoginTime", "@timestamp"), event[1], ("Id", "event.id")];
    let change: &[_] = &[("CreatedDate", "@timestamp"), ("Id", "event.id")];
    vec![
        view("Login event log files", "EventLogFile", login::FILE, row),
        view("LoginEvent and LoginHistory", "Object", login::OBJECT, login),
        view("Logout event log files", "EventLogFile", logout::FILE, row),
        view("LogoutEvent", "Object", logout::OBJECT, event),
        view("Apex event log files of all six types", "EventLogFile", apex::FILE, row),
        view("SetupAuditTrail", "Object", audit::OBJECT, change),
        view("AuraRequest event log files", "EventLogFile", aura::FILE, row),
        view("AuraRequestEventLog", "Object", aura::OBJECT, &[("Timestamp", "@timestamp")]),
        view("Event log files of any other type", "EventLogFile", generic::FILE, row),
        view("Any other object", "Object", generic::OBJECT, event),
        view(
            "Receipts",
            "Collector",
            receipt::DOCUMENT,
            &[("Collected", "@timestamp"), ("Receipt", "event.id")],
        ),
    ]
}

/// All fields by name. Those of columns that no document names are not among them: they are `salesforce.<type>.` and the
/// name of the column in snake case.
pub fn fields() -> BTreeMap<String, Field> {
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    for (name, kind, what) in FIXED {
        fields.insert((*name).to_owned(), Field { kind, unit: "", from: vec![(*what).to_owned()] });
    }
    for mapping in views().into_iter().flat_map(|view| view.mappings) {
        if mapping.field.contains('<') {
            continue;
        }
        let names = mapping.column.replace('|', ", else ");
        let about = about(mapping.column).map_or_else(String::new, |about| format!(" ({about})"));
        let from = format!("{names}{about}");
        let field = fields.entry(mapping.field).or_default();
        (field.kind, field.unit) = (mapping.kind, mapping.unit);
        if !field.from.contains(&from) {
            field.from.push(from);
        }
    }
    fields
}

/// The codes that are replaced by their meaning, by column.
pub fn codes() -> Vec<(&'static str, codes::Table)> {
    vec![
        ("API_TYPE", codes::API_TYPE),
        ("APP_TYPE", codes::APP_TYPE),
        ("LOGIN_TYPE", codes::LOGIN_TYPE),
        ("PLATFORM_TYPE", codes::PLATFORM_TYPE),
        ("REQUEST_STATUS of Login", codes::REQUEST_STATUS),
        ("SESSION_LEVEL", codes::SESSION_LEVEL),
        ("SESSION_TYPE", codes::SESSION_TYPE),
        ("USER_AGENT of Apex, first three digits", codes::USER_AGENT),
        ("USER_TYPE of Logout", codes::USER_TYPE),
    ]
}

/// What is categorised: type or object without its ending, `event.kind`, `.category`, `.type` and `.action`.
pub fn categories() -> Vec<[String; 5]> {
    let row = |(name, kind): (&'static str, kinds::Kind)| {
        [
            name.to_owned(),
            kind.kind.to_owned(),
            kind.categories.to_owned(),
            kind.types.to_owned(),
            kind.action,
        ]
    };
    kinds::categorised().map(row).collect()
}

/// The threats that have a technique: type or object without its ending, then id and name of tactic, technique and
/// sub-technique.
pub fn threats() -> Vec<[String; 4]> {
    let words = |(id, name): (&str, &str)| format!("{id} {name}");
    let row = |(name, threat): (&str, kinds::Threat)| {
        let subtechnique = threat.subtechnique.map_or_else(String::new, words);
        [name.to_owned(), words(threat.tactic), words(threat.technique), subtechnique]
    };
    kinds::threats().map(row).collect()
}

/// What becomes of types and objects in the Open Cybersecurity Schema Framework.
pub mod classes {
    use crate::fields::{AUDITED, Class, Node, Rules, how, kinds, ocsf};

    /// The version of the framework.
    pub use crate::grammar::class::VERSION;

    /// The classes: `class_uid` and name.
    pub fn all() -> Vec<(u32, &'static str)> {
        Class::ALL.iter().map(|class| (class.uid(), class.name())).collect()
    }

    /// Type or object without its ending, name of the class, name of the activity where no column tells it.
    pub fn of_types() -> Vec<[&'static str; 3]> {
        let row = |(name, kind): (&'static str, kinds::Kind)| {
            [name, kind.class.name(), kind.class.activity_name(kind.activity)]
        };
        kinds::categorised().map(row).collect()
    }

    /// What a column says, each with the activity that it means.
    pub type Words = Vec<(&'static str, &'static str)>;

    /// How columns tell the activity: name of the class, the columns, the first that is there, and what they say.
    pub fn activities() -> Vec<(&'static str, &'static str, Words)> {
        let row = |class: Class, columns, rules: Rules| {
            let words = |(word, activity): &(&'static str, u8)| (*word, class.activity_name(*activity));
            (class.name(), columns, rules.iter().map(words).collect::<Vec<_>>())
        };
        let classes = Class::ALL.iter().map(|class| (*class, class.rules()));
        let told = classes.filter(|(_, (columns, _))| !columns.is_empty());
        let audited = AUDITED.iter().map(|(class, rules)| row(*class, "Action", rules));
        told.map(|(class, (columns, rules))| row(class, columns, rules)).chain(audited).collect()
    }

    /// Where the attributes of a class come from: path, and what it is made of.
    pub fn attributes() -> Vec<(&'static str, Vec<(String, String)>)> {
        let attributes = |class: &Class| {
            let mut found = Vec::new();
            walk(ocsf::document(*class), "", "", &mut found);
            (class.name(), found)
        };
        Class::ALL.iter().map(attributes).collect()
    }

    /// The columns that a class has an attribute for, or that tell an activity.
    pub fn columns() -> Vec<&'static str> {
        fn own(nodes: &'static [Node], found: &mut Vec<&'static str>) {
            for node in nodes {
                match node {
                    Node::Object(_, parts)
                    | Node::List(_, parts)
                    | Node::Parts(parts)
                    | Node::Filled(parts) => {
                        own(parts, found);
                    }
                    Node::Or(parts, _) => own(parts, found),
                    Node::Own(_, names, _) => found.extend(names.split('|')),
                    _ => {}
                }
            }
        }
        let mut found = Vec::new();
        for class in Class::ALL {
            own(ocsf::document(*class), &mut found);
            found.extend(class.rules().0.split('|').filter(|name| !name.is_empty()));
        }
        found
    }

    fn walk(nodes: &[Node], path: &str, otherwise: &str, found: &mut Vec<(String, String)>) {
        let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let codes = |names: &str| format!("`{}`", names.replace('|', "`, else `"));
        let with =
            |words: String, how: String| if how.is_empty() { words } else { format!("{words} ({how})") };
        let column = |names: &str| with(names.replace('|', ", else "), String::new());
        for node in nodes {
            let mut put = |key: &str, from: String| {
                found.push((join(key), format!("{from}{otherwise}")));
            };
            match node {
                Node::Object(key, parts) => walk(parts, &join(key), otherwise, found),
                Node::List(key, parts) => walk(parts, &join(&format!("{key}[]")), otherwise, found),
                Node::Parts(parts) | Node::Filled(parts) => walk(parts, path, otherwise, found),
                Node::Or(parts, others) => {
                    walk(parts, path, otherwise, found);
                    walk(others, path, ", if there is nothing else", found);
                }
                Node::Fixed(key, value) => put(key, format!("`{}`", value.trim_matches('"'))),
                Node::Of(key, fields) => put(key, codes(fields)),
                Node::As(key, fields, form) => put(key, with(codes(fields), how(*form))),
                Node::Own(key, names, form) | Node::Also(key, names, form) => {
                    put(key, with(column(names), how(*form)));
                }
                Node::Coordinates(field) => {
                    put("lat", codes(field));
                    put("long", codes(field));
                }
                Node::Classification => {
                    for key in ["class_uid", "class_name", "category_uid", "category_name"] {
                        put(key, String::from("the class"));
                    }
                    for key in ["activity_id", "activity_name", "type_uid"] {
                        put(key, String::from("the activity"));
                    }
                    for key in ["severity_id", "severity"] {
                        put(key, String::from("[by the type](#severity)"));
                    }
                }
                Node::Time => put("time", String::from("`@timestamp`")),
                Node::OriginalTime => {
                    put("original_time", String::from("the column of `@timestamp`, as it came"))
                }
                Node::StatusId => {
                    for key in ["status_id", "status"] {
                        put(
                            key,
                            String::from(
                                "`event.outcome`; 0, `Unknown`, without one; 1, `New`, of a finding",
                            ),
                        );
                    }
                }
                Node::Id(key) => put(key, String::from("`event.id`")),
                Node::Name(key) => put(key, String::from("name of the type or the object")),
                Node::Host(key) => put(key, String::from("host of `salesforce.instance_url`")),
                Node::Provider(key) => put(key, String::from("`event.provider`")),
                Node::Dataset(key) => put(key, String::from("`event.dataset`")),
                Node::Original(key) => put(key, String::from("`event.original`")),
                Node::Observables => {
                    put(
                        "observables[].type_id",
                        String::from("2 an address, 4 the name of a user, 31 the id of one"),
                    );
                    put("observables[].value", String::from("`related.ip`, `related.user`"));
                }
                Node::Attacks => put("attacks[]", String::from("`threat`")),
                Node::Unmapped => put("unmapped", String::from("[all else](#what-has-no-place)")),
                _ => {}
            }
        }
    }
}

fn about(column: &str) -> Option<&'static str> {
    let is = |names: &str| names.split_ascii_whitespace().any(|name| name == column);
    ABOUT.iter().find(|(names, _)| is(names)).map(|(_, about)| *about)
}

fn walk(nodes: &'static [Node], path: &str, mappings: &mut Vec<Mapping>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for node in nodes {
        match node {
            Node::Object(key, parts) => walk(parts, &join(key), mappings),
            Node::Typed(parts) => walk(parts, &join("<type>"), mappings),
            Node::Parts(parts) => walk(parts, path, mappings),
            Node::Column(key, column, Form::Actions) => {
                for (part, kind) in [
                    ("id", "keyword"),
                    ("scheme", "keyword"),
                    ("controller", "keyword"),
                    ("method", "keyword"),
                    ("duration", "long"),
                ] {
                    let mut mapping = Mapping::of(join(&format!("{key}.{part}")), column, Form::Actions);
                    mapping.kind = kind;
                    mapping.unit = if part == "duration" { "ms" } else { "" };
                    mappings.push(mapping);
                }
            }
            Node::Column(key, column, form) | Node::Also(key, column, form) => {
                mappings.push(Mapping::of(join(key), column, *form));
            }
            Node::Success(columns) => {
                let mapping = |column| Mapping::of(join("outcome"), column, Form::Status);
                mappings.extend(columns.split('|').map(mapping));
            }
            Node::Behind { parts, .. } | Node::Monitored(parts) => {
                let first = mappings.len();
                walk(parts, path, mappings);
                let when = match node {
                    Node::Behind { .. } => "if somebody else [acts](#who-acts)",
                    _ => "in Real-Time Event Monitoring",
                };
                for mapping in &mut mappings[first..] {
                    mapping.how = when.to_owned();
                }
            }
            Node::Distinct(key, columns) | Node::Either(key, columns) => {
                for (column, form) in *columns {
                    mappings.push(Mapping::of(join(key), column, *form));
                }
            }
            Node::Location(latitude, longitude) => {
                for (part, column) in [("lat", *latitude), ("lon", *longitude)] {
                    mappings.push(Mapping {
                        column,
                        field: join("location"),
                        kind: "geo_point",
                        unit: "degrees",
                        how: format!("`{part}`, if both are there"),
                    });
                }
            }
            // They make no field of a column.
            _ => {}
        }
    }
}

impl Mapping {
    fn of(field: String, column: &'static str, form: Form) -> Self {
        let kind = TYPES.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind);
        let kind = kind.unwrap_or(match form {
            Form::Long | Form::MillisAsNanos => "long",
            Form::Double => "double",
            Form::Boolean => "boolean",
            Form::Date => "date",
            Form::Ip => "ip",
            _ => "keyword",
        });
        Self { column, unit: unit(&field, form), kind, how: how(form), field }
    }
}

/// The unit of a number.
fn unit(field: &str, form: Form) -> &'static str {
    let name = field.rsplit('.').next().unwrap_or_default();
    match (form, name) {
        (Form::MillisAsNanos, _) => "ns",
        (Form::Long | Form::Double, "db_total_time") if field.contains(".apex.") => {
            "ns; ms in ApexExecution and ApexTrigger"
        }
        (Form::Long | Form::Double, "db_total_time") => "ns",
        (Form::Long, "bytes") => "bytes",
        (Form::Double, "limit_usage_pct") => "percent",
        (Form::Double, "throughput") => "records per second",
        (Form::Long | Form::Double, name) if name.ends_with("time") || name.ends_with("_ms") => "ms",
        _ => "",
    }
}

/// How a form makes a value, in words.
fn how(form: Form) -> String {
    let words = match form {
        Form::Outcome(success) => return format!("`{success}` is `success`, all else `failure`"),
        Form::Unquoted => "without quotes around it",
        Form::ListOfOne => "list of one",
        Form::ListOfCode(_) => "list of one, a code by its meaning",
        Form::Boolean => "`1` is true, `0` false",
        Form::MillisAsNanos => "milliseconds in nanoseconds; left out below zero",
        Form::Millis => "whole milliseconds; left out below zero",
        Form::Epoch => "milliseconds since 1970",
        Form::Method => "in capitals",
        Form::Email => "if it is an e-mail address",
        Form::Date => "UTC",
        Form::Ip => "if it is an address",
        Form::NoIp => "if it is no address",
        Form::Digits => "if it is digits alone",
        Form::NoDigits => "unless it is digits alone; without quotes around it",
        Form::NoEmptyKey => "unless it is `000000000000000AAA`, the constant for none",
        Form::Code(_) => "a code by its meaning, others as they are",
        Form::Prefix(_) => "the first three digits by their meaning, others as they are",
        Form::Status => "[see above](#outcome)",
        Form::Agent => "if it begins with a product and its version, as `Mozilla/5.0` does",
        Form::OneUser => "if it is the id of a user, and of one alone",
        Form::TlsVersion => "`1.3` of `TLSv1.3`; others as they are",
        Form::TlsProtocol => "`tls` of `TLSv1.3`",
        Form::Target => "X of `For user X, ...`",
        Form::TargetEmail => "X of `For user X, ...`, if it has an `@`",
        Form::TargetAddress => "X of `For user X, ...`, if it is an e-mail address",
        Form::TargetName => "X of `For user X, ...`, up to an `@`",
        Form::TargetDomain => "X of `For user X, ...`, behind the `@`",
        Form::Scheme => "scheme of the URL",
        Form::Domain => "host of the URL",
        Form::Path => "path of the URL, decoded",
        Form::Extension => "ending of the path",
        Form::Query => "what stands behind the `?`",
        Form::Actions => "list of the actions `<id>$<scheme>://<controller>/ACTION$<method>=<ms>` in it",
        Form::Keyword | Form::Given | Form::Long | Form::Double => "",
    };
    words.to_owned()
}
