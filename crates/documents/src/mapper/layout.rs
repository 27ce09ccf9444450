//! A document laid out against the columns of a file, or the fields of a record. What would stay empty in every row is left
//! out, and what is the same in every row is rendered once.

use super::{
    origin::{Common, Origin},
    plan::Step,
};
use crate::{
    bytes::json::Key,
    grammar::{
        form::{self, Form},
        kinds::Kind,
        names,
        node::Node,
    },
    trees,
};

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
    /// The keys of the objects that are open.
    pub within: Vec<String>,
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
                    let columns = self.positions(names).into_iter().map(|column| (column, *form));
                    self.first(key, columns.collect());
                }
                Node::Either(key, columns) => {
                    let present =
                        columns.iter().filter_map(|(names, form)| Some((self.position(names)?, *form)));
                    self.first(key, present.collect());
                }
                Node::Success(names) => {
                    let columns = self.positions(names);
                    if !columns.is_empty() {
                        self.plan.push(Step::Success(Key::new("outcome"), columns));
                    }
                }
                Node::Behind { person, user, parts } => self.behind(person, user, parts),
                Node::Monitored(parts) if self.is_monitored() => self.add(parts),
                Node::Monitored(_) => {}
                Node::Threat => {
                    if let Some(threat) = Kind::of(self.kind).threat {
                        self.put(&threat.member());
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

    fn first(&mut self, key: &str, columns: Vec<(usize, Form)>) {
        if !columns.is_empty() {
            self.plan.push(Step::First(Key::new(key), columns));
        }
    }

    fn behind(&mut self, person: &str, user: &str, parts: &'static [Node]) {
        let (person, user) = (self.positions(person), self.positions(user));
        if person.is_empty() {
            return;
        }
        let at = self.plan.len();
        self.plan.push(Step::Behind { person, user, steps: 0 });
        self.add(parts);
        let added = self.plan.len() - at - 1;
        if let Some(Step::Behind { steps, .. }) = self.plan.get_mut(at) {
            *steps = added;
        }
    }

    /// Whether this is an object of Real-Time Event Monitoring.
    fn is_monitored(&self) -> bool {
        let is_event = self.kind.ends_with("Event") || self.kind.ends_with("EventStore");
        is_event && matches!(self.common.origin, Origin::Object { .. })
    }

    fn object(&mut self, key: &str, parts: &'static [Node]) {
        self.within.push(key.to_owned());
        if never_empty(parts) {
            self.put(&format!("\"{key}\":{{"));
            self.add(parts);
            self.end();
        } else {
            self.plan.push(Step::Open(Key::new(key)));
            self.add(parts);
            self.plan.push(Step::Close);
        }
        self.within.pop();
    }

    /// The first of some names, divided by `|`, that a column has.
    fn position(&self, names: &str) -> Option<usize> {
        names.split('|').find_map(|name| self.columns.iter().position(|column| column == name))
    }

    /// All of some names that a column has.
    fn positions(&self, names: &str) -> Vec<usize> {
        names.split('|').filter_map(|name| self.position(name)).collect()
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
        let ours = self.ours(siblings);
        let is_file = matches!(self.common.origin, Origin::File(_));
        for (index, key) in self.free_keys(&ours) {
            let plain = names::snake_case(&self.columns[index]);
            // What is called like one of ours has one type in all views, for there is one index for them: that of ours, or
            // a text where it had to make way.
            let form = match ours.iter().find(|(name, _)| *name == plain) {
                Some((_, form)) => form.unwrap_or(Form::Keyword),
                None if is_file => form::by_name(&plain),
                None => form::of_record(&plain),
            };
            self.plan.push(Step::Column(Key::new(&key), index, form));
        }
    }

    /// The fields that a document has in this place, in this view or in another. Those without a form cannot be shared.
    fn ours(&self, siblings: &[Node]) -> Vec<(&'static str, Option<Form>)> {
        let mut ours: Vec<_> =
            siblings.iter().filter_map(Node::key).map(|name| (name, None::<Form>)).collect();
        for document in trees::ALL {
            let mut parts: Option<&[Node]> = Some(document);
            for key in &self.within {
                parts = parts.and_then(|parts| {
                    parts.iter().find_map(|part| match part {
                        Node::Object(name, parts) if name == key => Some(*parts),
                        _ => None,
                    })
                });
            }
            for part in parts.unwrap_or_default() {
                let Some(name) = part.key() else { continue };
                let form = part.form().and_then(Form::of_its_type);
                match ours.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, other)) if form.is_none() => *other = None,
                    Some(_) => {}
                    None => ours.push((name, form)),
                }
            }
        }
        ours
    }

    /// The columns that no part stands for, each with a key that does not depend on where in the file it stands. Of columns
    /// whose keys would be the same, those come first whose names are of letters, digits and underscores.
    fn free_keys(&self, ours: &[(&'static str, Option<Form>)]) -> Vec<(usize, String)> {
        let is_ours = |key: &str| ours.iter().any(|(name, form)| *name == key && form.is_none());
        let is_odd = |name: &str| !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let mut columns: Vec<usize> = (0..self.columns.len()).filter(|index| !self.used[*index]).collect();
        columns.sort_by_key(|index| (is_odd(&self.columns[*index]), &self.columns[*index], *index));
        // The second column of a name that was mentioned is as unknown as a new one.
        let is_first = |index: usize| self.position(&self.columns[index]) == Some(index);
        let mut keys: Vec<(usize, String)> = Vec::with_capacity(columns.len());
        columns.retain(|index| {
            let key = names::snake_case(&self.columns[*index]);
            let is_taken = key.is_empty() || is_ours(&key) || keys.iter().any(|(_, other)| *other == key);
            let stays = is_taken || !is_first(*index);
            if !stays {
                keys.push((*index, key));
            }
            stays
        });
        for index in columns {
            let key = names::snake_case(&self.columns[index]);
            let meets_ours = key.is_empty() || is_ours(&key);
            let base =
                if meets_ours { format!("{key}_column").trim_start_matches('_').to_owned() } else { key };
            let is_free = |key: &String| !is_ours(key) && keys.iter().all(|(_, other)| other != key);
            let numbered = (2..).map(|nth| format!("{base}_{nth}"));
            let mut candidates = meets_ours.then(|| base.clone()).into_iter().chain(numbered);
            if let Some(key) = candidates.find(is_free) {
                keys.push((index, key));
            }
        }
        keys.sort_unstable();
        keys
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
        | Node::Either(..)
        | Node::Success(..)
        | Node::Behind { .. }
        | Node::Monitored(..)
        | Node::Threat
        | Node::Distinct(..)
        | Node::Location(..)
        | Node::Original
        | Node::Rest => false,
    })
}
