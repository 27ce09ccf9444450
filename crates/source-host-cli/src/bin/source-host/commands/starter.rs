//! A first configuration, made from the JSON Schema of the file alone: what is required is asked for, and what is not
//! stands there as a comment, with its default.
//!
//! The schema is a stranger's. A table with the one key `file` or `env` is a reference to what lies on this machine, so a value
//! under such a key, and a table of any kind, is taken from the one who writes the file and never from the schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use toml::{Table, Value as Toml};

/// One thing to ask for.
pub(super) struct Question<'a> {
    /// Dotted keys: `source.auth.flow`.
    pub(super) path: &'a str,
    /// What it is.
    pub(super) about: &'a str,
    /// What it may be; any text if empty.
    pub(super) choices: &'a [String],
    /// What holds if there is no answer.
    pub(super) default: Option<&'a str>,
    /// Whether it must not stand in the file.
    pub(super) secret: bool,
}

/// A configuration that is being made.
pub(super) struct Starter<'a> {
    schema: &'a Value,
    values: Table,
    /// Paths that are required, and that nobody gave.
    pub(super) missing: Vec<String>,
    /// Hosts of addresses that somebody gave. Those of the component's own defaults are not meant until somebody says so.
    hosts: BTreeSet<String>,
    /// The references that somebody gave. There must be no others.
    given: BTreeSet<Reference>,
}

/// Where a table refers to what lies elsewhere: its path, `file` or `env`, and the name there.
type Reference = (String, String, String);

/// Columns of a comment.
const WIDTH: usize = 116;

impl<'a> Starter<'a> {
    /// Begins with nothing given.
    pub(super) fn new(schema: &'a Value) -> Self {
        Self {
            schema,
            values: Table::new(),
            missing: Vec::new(),
            hosts: BTreeSet::new(),
            given: BTreeSet::new(),
        }
    }

    /// Takes `source.auth.flow=jwt-bearer`.
    ///
    /// # Errors
    /// If there is no such key, or it cannot have the value.
    pub(super) fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (path, text) =
            assignment.split_once('=').ok_or_else(|| format!("`{assignment}` is not KEY=VALUE"))?;
        let keys: Vec<&str> = path.trim().split('.').collect();
        let schema = find(self.schema, &keys).ok_or_else(|| format!("there is no key `{path}`"))?;
        let value = read(schema, text).map_err(|problem| format!("{path}: {problem}"))?;
        self.given(&keys.join("."), &value);
        put(&mut self.values, &keys, value)
            .ok_or_else(|| format!("{path}: a value was given for a part of it"))
    }

    /// Notes what somebody gave.
    fn given(&mut self, path: &str, value: &Toml) {
        self.hosts.extend(hosts(value));
        references(value, path, &mut self.given);
        // A key of such a table by itself: whoever names it knows what it does.
        if let (Some((table, key)), Some(name)) = (path.rsplit_once('.'), value.as_str())
            && refers(key)
        {
            self.given.insert((table.to_owned(), key.to_owned(), name.to_owned()));
        }
    }

    /// Asks for everything that is required and has no value yet. Without an answer it is missing.
    pub(super) fn ask(&mut self, ask: &mut dyn FnMut(&Question<'_>) -> Option<String>) {
        let mut values = std::mem::take(&mut self.values);
        self.ask_table(self.schema, "", &mut values, ask);
        let hosts = self.hosts.iter().cloned().map(Toml::String).collect();
        let egress = values.entry("egress").or_insert_with(|| Toml::Table(Table::new()));
        if let Toml::Table(egress) = egress {
            egress.entry("allow").or_insert(Toml::Array(hosts));
        }
        self.values = values;
    }

    fn ask_table(
        &mut self,
        schema: &Value,
        path: &str,
        values: &mut Table,
        ask: &mut dyn FnMut(&Question<'_>) -> Option<String>,
    ) {
        if let Some(tag) = tag(schema).filter(|tag| !self.is_left_open(path, tag, values)) {
            let property = json!({"enum": words(schema, tag), "description": about_tag(schema, tag)});
            self.ask_value(&property, &join(path, tag), tag, true, values, ask);
        }
        let schema = chosen(schema, values);
        let parent = path;
        for (key, property) in properties(schema) {
            let path = join(parent, key);
            let required = is_required(schema, key);
            if self.is_left_open(parent, key, values) {
                if required {
                    self.missing.push(path);
                }
            } else if is_table(property) {
                let given = values.contains_key(key);
                if !given && !required {
                    continue;
                }
                if let Toml::Table(inner) =
                    values.entry(key.clone()).or_insert_with(|| Toml::Table(Table::new()))
                {
                    self.ask_table(property, &path, inner, ask);
                }
            } else if required {
                self.ask_value(property, &path, key, false, values, ask);
            }
        }
        self.ask_for_some(schema, path, values, ask);
    }

    /// Whether a key of the component's is one that nobody is asked for, and that has no value unless somebody gave one: alone in
    /// its table it would be a reference.
    fn is_left_open(&self, path: &str, key: &str, values: &Table) -> bool {
        (path == "source" || path.starts_with("source.")) && refers(key) && !values.contains_key(key)
    }

    /// Where a table needs at least one of several tables in it.
    fn ask_for_some(
        &mut self,
        schema: &Value,
        path: &str,
        values: &mut Table,
        ask: &mut dyn FnMut(&Question<'_>) -> Option<String>,
    ) {
        let tables: Vec<String> = properties(schema)
            .filter(|(_, property)| is_table(property))
            .map(|(key, _)| key.clone())
            .collect();
        let needs_one = schema.get("minProperties").is_some() || schema.get("anyOf").is_some();
        if !needs_one || tables.is_empty() || tables.iter().any(|key| values.contains_key(key)) {
            return;
        }
        // Names of the user's own were given.
        if schema.get("minProperties").is_some() && !values.is_empty() {
            return;
        }
        let likely = schema
            .pointer("/examples/0")
            .and_then(Value::as_object)
            .and_then(|example| example.keys().next());
        let first = likely.filter(|likely| tables.contains(likely)).or(tables.first());
        let first = first.cloned().unwrap_or_default();
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let question = Question { path, about, choices: &tables, default: Some(&first), secret: false };
        let answer = ask(&question).filter(|answer| tables.contains(answer)).unwrap_or(first);
        let property = property(schema, &answer);
        let mut inner = Table::new();
        self.ask_table(property, &join(path, &answer), &mut inner, ask);
        values.insert(answer, Toml::Table(inner));
    }

    fn ask_value(
        &mut self,
        schema: &Value,
        path: &str,
        key: &str,
        is_tag: bool,
        values: &mut Table,
        ask: &mut dyn FnMut(&Question<'_>) -> Option<String>,
    ) {
        if values.contains_key(key) {
            return;
        }
        let choices: Vec<String> = schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        // A choice that other keys depend on has to be made.
        let default = match is_tag {
            true => choices.first().cloned().map(Toml::String),
            false => default(schema),
        };
        let shown =
            default.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let question =
            Question { path, about, choices: &choices, default: shown.as_deref(), secret: is_secret(schema) };
        let value = match ask(&question).filter(|answer| !answer.trim().is_empty()) {
            Some(answer) => read(schema, &answer).ok().inspect(|value| self.given(path, value)),
            None => default,
        };
        values.insert(
            key.to_owned(),
            value.unwrap_or_else(|| {
                self.missing.push(path.to_owned());
                // Of a secret too: a variable that is named like the key would be one of the schema's choice.
                Toml::String(String::new())
            }),
        );
    }

    /// The file.
    ///
    /// # Errors
    /// If it refers to what lies on this machine without anybody having said so, or is none: the schema is to blame.
    pub(super) fn write(&self) -> Result<String, String> {
        let text = self.text();
        let written: Table = text
            .parse()
            .map_err(|_| String::from("the component's schema makes no file of TOML; nothing is written"))?;
        let mut found = BTreeSet::new();
        references(&Toml::Table(written), "", &mut found);
        match found.difference(&self.given).next() {
            None => Ok(text),
            Some((path, ..)) => Err(format!(
                "the component's schema would have {path} refer to a file or a variable of this machine that nobody named; nothing is written"
            )),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        // The file's own order, whatever order the schema has.
        let mut order = vec!["component", "source", "state", "output", "egress", "limits"];
        let root = properties(self.schema).map(|(key, _)| key.as_str());
        order.extend(
            root.filter(|key| !["component", "source", "state", "output", "egress", "limits"].contains(key)),
        );
        for key in order {
            let property = property(self.schema, key);
            if is_table(property) {
                let given = self.values.get(key).and_then(Toml::as_table);
                write_table(&mut out, property, key, given);
            } else {
                write_value(&mut out, property, key, self.values.get(key), "");
            }
        }
        out
    }
}

/// Writes a table with all its keys; as a comment, if it is not wanted.
fn write_table(out: &mut String, schema: &Value, path: &str, values: Option<&Table>) {
    let mark = if values.is_some() { "" } else { "#" };
    let empty = Table::new();
    let values = values.unwrap_or(&empty);
    let variant = chosen(schema, values);
    out.push('\n');
    let about =
        |schema: &Value| schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    comment(out, &about(schema));
    out.push_str(&format!("{mark}[{path}]\n"));
    if let Some(tag) = tag(schema) {
        let words = words(schema, tag);
        let others: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        comment(out, &format!("{} One of {}.", about_tag(schema, tag), others.join(", ")));
        if !about(variant).is_empty() {
            comment(out, &about(variant));
        }
        write_value(out, &json!({}), tag, values.get(tag), mark);
    }
    let own = |key: &str| tag(schema) != Some(key);
    for (key, property) in properties(variant).filter(|(key, property)| own(key) && !is_table(property)) {
        write_value(out, property, key, values.get(key), mark);
    }
    for (key, property) in properties(variant).filter(|(_, property)| is_table(property)) {
        write_table(out, property, &join(path, key), values.get(key).and_then(Toml::as_table));
    }
    // Names of the user's own.
    if let Some(other) = variant.get("additionalProperties").filter(|other| other.is_object()) {
        for (key, value) in
            values.iter().filter(|(key, _)| variant.pointer(&format!("/properties/{key}")).is_none())
        {
            write_table(out, other, &join(path, key), value.as_table());
        }
    }
}

fn write_value(out: &mut String, schema: &Value, key: &str, value: Option<&Toml>, mark: &str) {
    let mut about = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        about.push_str(&format!(" One of {}.", words.join(", ")));
    }
    comment(out, about.trim());
    match value {
        Some(value) => {
            // A gap for a secret looks like one for any text.
            if is_secret(schema) && value.as_str().is_some_and(str::is_empty) {
                comment(out, "A secret: say where it lies, { file = \"PATH\" } or { env = \"NAME\" }.");
            }
            out.push_str(&format!("{mark}{key} = {value}\n"));
        }
        None => out.push_str(&format!("#{key} = {}\n", example(schema, key))),
    }
}

/// What an optional key could be: its default, or something of the right kind.
fn example(schema: &Value, key: &str) -> String {
    if is_secret(schema) {
        return elsewhere("file", key).to_string();
    }
    let kind = |schema: &Value| schema.get("type").and_then(Value::as_str).map(str::to_owned);
    match (schema.get("default"), kind(schema).as_deref()) {
        (Some(default), _) => default.to_string(),
        (None, Some("array")) => String::from("[]"),
        (None, Some("integer" | "number")) => String::from("0"),
        (None, Some("boolean")) => String::from("false"),
        (None, _)
            if schema.get("oneOf").and_then(|forms| forms.get(0)).and_then(kind).as_deref()
                == Some("array") =>
        {
            String::from("[]")
        }
        _ => String::from("\"\""),
    }
}

fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        out.push_str(&line);
        out.push('\n');
    }
}

/// Reads what was typed, as the schema has it. Of a secret only where it lies: `file:PATH` or `env:NAME`.
fn read(schema: &Value, text: &str) -> Result<Toml, String> {
    let text = text.trim();
    if is_secret(schema) {
        return match text.split_once(':') {
            Some((kind @ ("file" | "env"), name)) if !name.is_empty() => Ok(elsewhere(kind, name)),
            _ => Err("a secret does not belong into the file: give file:PATH or env:NAME".into()),
        };
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.iter().any(|word| word == text)
    {
        let words: Vec<String> = words.iter().map(plain).collect();
        return Err(format!("one of {} is expected", words.join(", ")));
    }
    let is_text = schema.get("type") == Some(&json!("string"))
        || schema.get("enum").is_some()
        || schema.get("const").is_some()
        || schema.get("anyOf").is_some();
    let parsed = || format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    if is_text {
        return Ok(Toml::String(text.to_owned()));
    }
    let other = parsed().or_else(|| Some(Toml::String(text.to_owned())));
    other.filter(|value| fits(schema, value)).ok_or_else(|| String::from("the value is of another type"))
}

/// Whether a value is of the type that the schema names, where it names one.
fn fits(schema: &Value, value: &Toml) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => value.is_integer(),
        Some("number") => value.is_integer() || value.is_float(),
        Some("boolean") => value.is_bool(),
        Some("array") => value.is_array(),
        Some("object") => value.is_table(),
        Some("string") => value.is_str(),
        _ => true,
    }
}

/// What holds if nobody says anything: a text, a number, a list of such. A text is taken as it is and never as TOML; a table, and
/// where a secret lies, are not the schema's to say.
fn default(schema: &Value) -> Option<Toml> {
    fn plain_value(value: &Value) -> Option<Toml> {
        match value {
            Value::String(text) => Some(Toml::String(text.clone())),
            Value::Bool(flag) => Some(Toml::Boolean(*flag)),
            Value::Number(number) => {
                number.as_i64().map(Toml::Integer).or_else(|| number.as_f64().map(Toml::Float))
            }
            Value::Array(items) => items.iter().map(plain_value).collect::<Option<_>>().map(Toml::Array),
            Value::Null | Value::Object(_) => None,
        }
    }
    let value = schema.get("default").filter(|_| !is_secret(schema)).and_then(plain_value)?;
    let is_offered = |words: &Vec<Value>| words.iter().any(|word| word.as_str() == value.as_str());
    let is_word = schema.get("enum").and_then(Value::as_array).is_none_or(is_offered);
    (is_word && fits(schema, &value)).then_some(value)
}

/// Whether a key makes a table a reference, if it is the only one there.
fn refers(key: &str) -> bool {
    matches!(key, "file" | "env")
}

/// All references in a value.
fn references(value: &Toml, path: &str, found: &mut BTreeSet<Reference>) {
    match value {
        Toml::Table(table) => {
            if let (1, Some((key, Toml::String(name)))) = (table.len(), table.iter().next())
                && refers(key)
            {
                found.insert((path.to_owned(), key.clone(), name.clone()));
            }
            table.iter().for_each(|(key, value)| references(value, &join(path, key), found));
        }
        Toml::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(nth, item)| references(item, &format!("{path}[{nth}]"), found));
        }
        _ => {}
    }
}

fn elsewhere(kind: &str, name: &str) -> Toml {
    Toml::Table([(kind.to_owned(), Toml::String(name.to_owned()))].into_iter().collect())
}

/// The hosts of all addresses in a value.
fn hosts(value: &Toml) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Toml::Table(table) => open.extend(table.values()),
            Toml::Array(items) => open.extend(items),
            Toml::String(text) => {
                let authority =
                    text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
                found.extend(
                    authority.filter(|host| !host.is_empty() && !host.contains('@')).map(str::to_owned),
                );
            }
            _ => {}
        }
    }
    found
}

fn put(table: &mut Table, keys: &[&str], value: Toml) -> Option<()> {
    match keys {
        [] => None,
        [key] => {
            table.insert((*key).to_owned(), value);
            Some(())
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| Toml::Table(Table::new()));
            put(inner.as_table_mut()?, rest, value)
        }
    }
}

/// The schema of a key, whichever form a table with several has.
fn find<'s>(schema: &'s Value, keys: &[&str]) -> Option<&'s Value> {
    let [key, rest @ ..] = keys else { return Some(schema) };
    let forms = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let other = || schema.get("additionalProperties").filter(|other| other.is_object());
    let own = schema.pointer(&format!("/properties/{key}")).or_else(other);
    own.into_iter()
        .chain(forms.filter_map(|form| form.pointer(&format!("/properties/{key}"))))
        .find_map(|found| find(found, rest))
}

/// The keys of a table, those first that are required.
fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let all = || schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let required = all().filter(|(key, _)| is_required(schema, key));
    required.chain(all().filter(|(key, _)| !is_required(schema, key)))
}

fn property<'s>(schema: &'s Value, key: &str) -> &'s Value {
    schema.pointer(&format!("/properties/{key}")).unwrap_or(&Value::Null)
}

fn is_table(schema: &Value) -> bool {
    schema.get("type") == Some(&json!("object"))
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&json!(true))
}

fn is_required(schema: &Value, key: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|name| name == key))
}

/// The key whose word decides which form a table has.
fn tag(schema: &Value) -> Option<&str> {
    let forms = schema.get("oneOf")?.as_array()?;
    let first = forms.first()?.get("properties")?.as_object()?;
    let is_tag =
        |key: &&String| forms.iter().all(|form| form.pointer(&format!("/properties/{key}/const")).is_some());
    first.keys().find(is_tag).map(String::as_str)
}

fn words(schema: &Value, tag: &str) -> Vec<String> {
    let forms = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    forms.filter_map(|form| form.pointer(&format!("/properties/{tag}/const"))).map(plain).collect()
}

fn about_tag<'s>(schema: &'s Value, tag: &str) -> &'s str {
    let first = schema.pointer(&format!("/oneOf/0/properties/{tag}/description"));
    first.and_then(Value::as_str).unwrap_or_default()
}

/// The form that a table has, or will have.
fn chosen<'s>(schema: &'s Value, values: &Table) -> &'s Value {
    let Some(tag) = tag(schema) else { return schema };
    let word = values.get(tag).and_then(Toml::as_str);
    let forms = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let mut named = forms
        .filter(|form| form.pointer(&format!("/properties/{tag}/const")).and_then(Value::as_str) == word);
    named.next().or_else(|| schema.pointer("/oneOf/0")).unwrap_or(schema)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        source_host_cli::schema::whole(
            "logs",
            json!({
                "type": "object",
                "required": ["url", "auth", "streams"],
                "properties": {
                    "auth": {"type": "object", "description": "How to sign in.", "required": ["flow"], "oneOf": [
                        {"description": "By key.", "required": ["flow", "key"], "properties": {
                            "flow": {"const": "key", "description": "The flow."},
                            "key": {"type": "string", "writeOnly": true},
                        }},
                        {"description": "By password.", "required": ["flow", "password", "user"], "properties": {
                            "flow": {"const": "password", "description": "The flow."},
                            "password": {"type": "string", "writeOnly": true},
                            "user": {"type": "string", "description": "Who."},
                        }},
                    ]},
                    "retries": {"type": "integer", "default": 3, "description": "How often."},
                    "streams": {"type": "object", "minProperties": 1, "examples": [{"login": {}}], "description": "What to collect.", "properties": {
                        "audit": {"type": "object", "properties": {"every": {"type": "string", "default": "5m"}}},
                        "login": {"type": "object", "properties": {"every": {"type": "string", "default": "5m"}}},
                    }},
                    "url": {"type": "string", "description": "Where."},
                },
            }),
        )
    }

    #[test]
    fn what_is_required_is_asked_for_and_the_rest_stands_there_as_a_comment() {
        let schema = schema();
        let mut starter = Starter::new(&schema);
        let mut asked = Vec::new();
        starter.ask(&mut |question| {
            asked.push(question.path.to_owned());
            let answer = match question.path {
                "component" => "logs.wasm",
                "source.url" => "https://logs.example.com/v1",
                "source.auth.flow" => "password",
                "source.auth.password" => "file:password.txt",
                "source.auth.user" => "me",
                "source.streams" => "login",
                _ => return None,
            };
            Some(answer.to_owned())
        });
        assert!(!asked.contains(&String::from("source.auth.key")), "{asked:?}");
        assert!(starter.missing.is_empty(), "{:?}", starter.missing);
        let text = starter.write().expect("a file");
        for part in [
            "component = \"logs.wasm\"\n",
            "# How to sign in.\n[source.auth]\n",
            "flow = \"password\"\n",
            "password = { file = \"password.txt\" }\n",
            "# Who.\nuser = \"me\"\n",
            "# How often.\n#retries = 3\n",
            "\n[source.streams.login]\n#every = \"5m\"\n",
            "\n#[source.streams.audit]\n#every = \"5m\"\n",
            "path = \"state.json\"\n",
            "allow = [\"logs.example.com\"]\n",
            "#memory = \"64MiB\"\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
        let parsed: Table = text.parse().expect("TOML");
        assert_eq!(parsed["source"]["auth"]["user"].as_str(), Some("me"));
        assert!(parsed["source"]["streams"].get("audit").is_none());
    }

    #[test]
    fn without_answers_the_gaps_are_named_and_the_file_is_still_toml() {
        let schema = schema();
        let mut starter = Starter::new(&schema);
        starter.set("source.retries=5").unwrap();
        starter.ask(&mut |_| None);
        assert_eq!(starter.missing, ["component", "source.auth.key", "source.url"]);
        let text = starter.write().expect("a file");
        assert!(
            text.contains("\n[source.streams.login]\n") && text.contains("\n#[source.streams.audit]\n"),
            "{text}"
        );
        // What a variable is called is not for the schema to say.
        assert!(text.contains("key = \"\"\n") && text.contains("url = \"\"\n"), "{text}");
        assert!(text.contains("\nretries = 5\n"), "{text}");
        text.parse::<Table>().expect("TOML");
    }

    #[test]
    fn no_table_of_the_file_refers_to_this_machine_unless_somebody_said_so() {
        let hostile = |component: Value| source_host_cli::schema::whole("logs", component);
        let table =
            |properties: Value| json!({"type": "object", "required": ["file"], "properties": properties});
        let file = json!({"type": "string", "default": "/etc/passwd"});
        for (name, property) in [
            ("a text that is a table", json!({"default": "{ file = \"/etc/passwd\" }"})),
            (
                "a text that is a list of them",
                json!({"type": "array", "default": "[{ file = \"/etc/passwd\" }]"}),
            ),
            ("a table", json!({"default": {"file": "/etc/passwd"}})),
            ("a list of tables", json!({"type": "array", "default": [{"file": "/etc/passwd"}]})),
            (
                "where a secret lies",
                json!({"type": "string", "writeOnly": true, "default": "file:/etc/passwd"}),
            ),
            ("a table of one key", table(json!({"file": file}))),
            (
                "a table with another key that is not needed",
                table(json!({"file": file, "x": {"type": "string"}})),
            ),
            (
                "a word that decides",
                json!({"type": "object", "oneOf": [{"required": ["file"], "properties": {"file": {"const": "/etc/passwd"}}}]}),
            ),
            ("a variable", table(json!({"env": {"default": "HOME"}, "file": {"type": "object"}, "x": {}}))),
        ] {
            let schema = hostile(json!({"type": "object", "required": ["p"], "properties": {"p": property}}));
            let mut starter = Starter::new(&schema);
            starter.ask(&mut |_| None);
            let text = starter.write().expect(name);
            let values = text.lines().filter(|line| !line.starts_with('#'));
            assert!(
                !values.clone().any(|line| line.contains("passwd") || line.contains("HOME")),
                "{name}:\n{text}"
            );
            let mut found = BTreeSet::new();
            references(&Toml::Table(text.parse().expect(name)), "", &mut found);
            assert!(found.is_empty(), "{name}: {found:?}\n{text}");
        }
        // Whoever names it means it.
        let schema =
            hostile(json!({"type": "object", "properties": {"p": table(json!({"file": file, "x": {}}))}}));
        let mut starter = Starter::new(&schema);
        starter.set("source.p.file=own.txt").unwrap();
        starter.ask(&mut |_| None);
        assert!(starter.write().unwrap().contains("\nfile = \"own.txt\"\n"));
        // And whatever else made such a table, it is not written.
        starter.given.clear();
        assert!(starter.write().unwrap_err().contains("source.p refer"));
    }

    #[test]
    fn an_assignment_that_cannot_be_is_refused() {
        let schema = schema();
        let mut starter = Starter::new(&schema);
        for (assignment, said) in [
            ("source.url", "not KEY=VALUE"),
            ("source.nothing=1", "no key `source.nothing`"),
            ("source.retries=many", "another type"),
            ("source.auth.key=hunter2", "does not belong into the file"),
            ("output.kind=files", "stdout, file"),
        ] {
            let problem = starter.set(assignment).unwrap_err();
            assert!(problem.contains(said), "{assignment}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
