//! A document laid out against the columns of a file, or the fields of a record. What would stay empty in every row is left
//! out, and what is the same in every row is rendered once.

use super::{Common, Node, Origin, form, form::Form, kinds::Kind, names};
use crate::json::Key;

/// What is done to write a document.
pub enum Step {
    /// Members that are the same in every document, up to a comma or the brace that opens an object.
    Put(String),
    /// Ends an object that [`Step::Put`] began.
    End,
    /// Begins an object that may stay empty.
    Open(Key),
    /// Ends it.
    Close,
    /// A value made of a column.
    Column(Key, usize, Form),
    /// A value made of the first of some columns that is not empty.
    First(Key, Vec<usize>, Form),
    /// The different values of some columns.
    Distinct(Key, Vec<(usize, Form)>),
    /// A latitude and a longitude.
    Location(Key, usize, usize),
    /// `@timestamp`
    Timestamp(Key),
    /// `event.id`
    Id(Key),
    /// The record, as an object of texts if it is a row.
    Record(Key),
    /// The same as a text.
    Original(Key),
}

impl Step {
    /// The columns of which it has to be known whether they hold an address.
    pub fn addresses(&self) -> Vec<usize> {
        match self {
            Self::Column(_, column, Form::Ip | Form::NoIp) => vec![*column],
            Self::Distinct(_, columns) => columns
                .iter()
                .filter(|(_, form)| matches!(form, Form::Ip))
                .map(|(column, _)| *column)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A layout in the making.
pub struct Layout<'a> {
    pub columns: &'a [String],
    /// Of each column whether a part of the document stands for it.
    pub used: Vec<bool>,
    pub common: &'a Common<'a>,
    /// The name of the type or the object.
    pub kind: &'a str,
    pub dataset: &'a str,
    pub provider: &'a str,
    pub provenance: &'a str,
    pub plan: Vec<Step>,
}

impl Layout<'_> {
    /// Lays out some parts.
    pub fn add(&mut self, nodes: &'static [Node]) {
        for node in nodes {
            match node {
                Node::Object(key, parts) => self.object(key, parts),
                Node::Typed(parts) => self.object(&names::snake_case(self.kind), parts),
                Node::Parts(parts) => self.add(parts),
                Node::Fixed(key, value) => self.put(&format!("\"{key}\":{value},")),
                Node::Column(key, names, form) => {
                    if let Some(index) = self.position(names) {
                        self.used[index] = true;
                        self.plan.push(Step::Column(Key::new(key), index, *form));
                    }
                }
                Node::Also(key, names, form) => {
                    let columns: Vec<usize> =
                        names.split('|').filter_map(|name| self.position(name)).collect();
                    if !columns.is_empty() {
                        self.plan.push(Step::First(Key::new(key), columns, *form));
                    }
                }
                Node::Distinct(key, columns) => {
                    let present =
                        columns.iter().filter_map(|(names, form)| Some((self.position(names)?, *form)));
                    let step = Step::Distinct(Key::new(key), present.collect());
                    self.plan.push(step);
                }
                Node::Location(latitude, longitude) => {
                    if let (Some(latitude), Some(longitude)) =
                        (self.position(latitude), self.position(longitude))
                    {
                        self.used[latitude] = true;
                        self.used[longitude] = true;
                        self.plan.push(Step::Location(Key::new("location"), latitude, longitude));
                    }
                }
                Node::Timestamp => self.plan.push(Step::Timestamp(Key::new("@timestamp"))),
                Node::Id => self.plan.push(Step::Id(Key::new("id"))),
                Node::Dataset => self.put(&format!("\"dataset\":\"{}\",", self.dataset)),
                Node::Provider => self.put(&format!("\"provider\":\"{}\",", self.provider)),
                Node::Stream => self.put(&format!("\"stream\":\"{}\",", self.common.stream)),
                Node::Kind => self.put(&Kind::of(self.kind).members()),
                Node::Provenance => self.put(self.provenance),
                Node::Original if self.common.output.original => {
                    self.plan.push(Step::Original(Key::new("original")));
                }
                Node::Original => {}
                Node::Record => self.plan.push(Step::Record(Key::new("record"))),
                Node::Rest => self.rest(nodes),
            }
        }
    }

    fn object(&mut self, key: &str, parts: &'static [Node]) {
        if never_empty(parts) {
            self.put(&format!("\"{key}\":{{"));
            self.add(parts);
            self.end();
        } else {
            self.plan.push(Step::Open(Key::new(key)));
            self.add(parts);
            self.plan.push(Step::Close);
        }
    }

    /// The first of some names, divided by `|`, that a column has.
    fn position(&self, names: &str) -> Option<usize> {
        names.split('|').find_map(|name| self.columns.iter().position(|column| column == name))
    }

    /// Adds to what is the same in every document, in one piece with what comes before it.
    fn put(&mut self, members: &str) {
        match self.plan.last_mut() {
            Some(Step::Put(text)) => text.push_str(members),
            _ => self.plan.push(Step::Put(members.to_owned())),
        }
    }

    /// Ends an object that is never empty.
    fn end(&mut self) {
        match self.plan.last_mut() {
            Some(Step::Put(text)) if text.ends_with(',') => {
                text.pop();
                text.push_str("},");
            }
            _ => self.plan.push(Step::End),
        }
    }

    /// The columns that no part stands for, each under a key of its own beside `siblings`.
    fn rest(&mut self, siblings: &[Node]) {
        let mut keys: Vec<String> = siblings.iter().filter_map(Node::key).map(str::to_owned).collect();
        let is_file = matches!(self.common.origin, Origin::File(_));
        for (index, name) in self.columns.iter().enumerate() {
            // The second column of a name that was mentioned is as unknown as a new one.
            if self.used[index] {
                continue;
            }
            let first = self.position(name) == Some(index);
            let mut key = names::snake_case(name);
            let form = if is_file { form::by_name(&key) } else { form::of_record(&key) };
            if key.is_empty() || keys.contains(&key) || !first {
                key = format!("{key}_{}", index + 1);
            }
            self.plan.push(Step::Column(Key::new(&key), index, form));
            keys.push(key);
        }
    }
}

/// Whether an object of these parts has a member in every document.
fn never_empty(parts: &[Node]) -> bool {
    parts.iter().any(|part| match part {
        Node::Object(_, parts) | Node::Typed(parts) | Node::Parts(parts) => never_empty(parts),
        Node::Fixed(..)
        | Node::Timestamp
        | Node::Id
        | Node::Dataset
        | Node::Provider
        | Node::Stream
        | Node::Kind
        | Node::Record
        | Node::Provenance => true,
        Node::Column(..)
        | Node::Also(..)
        | Node::Distinct(..)
        | Node::Location(..)
        | Node::Original
        | Node::Rest => false,
    })
}
