//! A document laid out against the columns of a file, or the fields of a record. What would stay empty in every row is left
//! out, and what is the same in every row is rendered once.

use super::{
    origin::{Common, Origin},
    plan::{Activity, Step},
};
use crate::{
    bytes::json::Key,
    grammar::{
        class::{Class, OTHER, Rules},
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
    /// The columns with the time of an event, those first that count first.
    pub times: &'a [usize],
    /// What the columns of the type mean.
    pub tree: &'static [Node],
    /// What its events are in the Open Cybersecurity Schema Framework, and the column that tells the activity.
    pub class: (Class, &'static str, Rules),
    /// The keys of the objects that are open.
    pub within: Vec<String>,
    pub plan: Vec<Step>,
    /// The fields of the tree that stand elsewhere, and of each column whether it has a field of its own.
    pub taken: Vec<String>,
    pub has_own_field: Vec<bool>,
    /// Steps that nothing more may be put into, since they may be left out.
    pub closed: usize,
}

impl Layout<'_> {
    /// Lays out some parts.
    #[cold]
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
                        self.step(Step::Column(Key::new(key), index, *form));
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
                        self.step(Step::Success(Key::new("outcome"), columns));
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
                    self.step(step);
                }
                Node::Location(latitude, longitude) => {
                    if let (Some(latitude), Some(longitude)) =
                        (self.position(latitude), self.position(longitude))
                    {
                        self.used[latitude] = true;
                        self.used[longitude] = true;
                        self.step(Step::Location(&form::LOCATION, latitude, longitude));
                    }
                }
                Node::Timestamp => self.step(Step::Timestamp(Key::new("@timestamp"))),
                Node::Id(key) => self.step(Step::Id(Key::new(key))),
                Node::Dataset(key) => self.text(key, self.dataset),
                Node::Provider(key) => self.text(key, self.provider),
                Node::Stream => self.text("stream", self.common.stream),
                Node::Kind => self.put(&Kind::of(self.kind).members()),
                Node::Provenance => self.put(self.provenance),
                Node::Original(key) if self.common.output.original => {
                    self.step(Step::Original(Key::new(key)));
                }
                Node::Original(_) => {}
                Node::Record => self.step(Step::Record(Key::new("record"))),
                Node::Rest => self.rest(nodes),
                Node::Of(key, fields) => self.of(key, fields, None),
                Node::As(key, fields, form) => self.of(key, fields, Some(*form)),
                Node::Coordinates(field) => self.coordinates(field),
                Node::Own(key, names, form) => self.own(key, names, *form),
                Node::Or(parts, others) => self.or(parts, others),
                Node::Filled(parts) => self.filled(parts),
                Node::List(key, parts) => {
                    self.put(&format!("\"{key}\":[{{"));
                    self.add(parts);
                    self.step(Step::EndList);
                }
                Node::Classification => self.classification(),
                Node::Time => self.step(Step::Time(Key::new("time"))),
                Node::OriginalTime => {
                    self.first(
                        "original_time",
                        self.times.iter().map(|time| (*time, Form::Keyword)).collect(),
                    );
                }
                Node::StatusId => self.status(),
                Node::Name(key) => self.text(key, self.kind),
                Node::Host(key) => self.text(key, self.common.host()),
                Node::Observables => self.observables(),
                Node::Attacks => {
                    if let Some(threat) = Kind::of(self.kind).threat {
                        self.put(&threat.attacks());
                    }
                }
                Node::Unmapped => {
                    self.put("\"unmapped\":{");
                    self.unmapped(self.tree, "");
                    self.step(Step::Errors);
                    self.end();
                }
            }
        }
    }

    /// A text that needs no escape.
    #[inline(never)]
    fn text(&mut self, key: &str, text: &str) {
        self.put(&format!("\"{key}\":\"{text}\","));
    }

    /// What the tree of the type has in the first of some fields that is there and stands nowhere yet.
    #[cold]
    fn of(&mut self, key: &str, fields: &str, form: Option<Form>) {
        let length = self.plan.len();
        for field in fields.split('|') {
            if self.taken.iter().any(|taken| taken == field) {
                continue;
            }
            match find(self.tree, field) {
                Some(Node::Column(_, names, own)) => {
                    if let Some(index) = self.position(names) {
                        self.used[index] = true;
                        self.step(Step::Column(Key::new(key), index, form.unwrap_or(*own)));
                    }
                }
                Some(Node::Also(_, names, own)) => {
                    let form = form.unwrap_or(*own);
                    let columns = self.positions(names).into_iter().map(|column| (column, form));
                    self.first(key, columns.collect());
                }
                Some(Node::Either(_, columns)) => {
                    let present =
                        columns.iter().filter_map(|(names, own)| Some((self.position(names)?, *own)));
                    self.first(key, present.collect());
                }
                _ => {}
            }
            if self.plan.len() > length {
                self.taken.push(field.to_owned());
                return;
            }
        }
    }

    #[cold]
    fn coordinates(&mut self, field: &str) {
        if let Some(Node::Location(latitude, longitude)) = find(self.tree, field)
            && let (Some(latitude), Some(longitude)) = (self.position(latitude), self.position(longitude))
        {
            self.used[latitude] = true;
            self.used[longitude] = true;
            self.taken.push(field.to_owned());
            self.step(Step::Location(&form::COORDINATES, latitude, longitude));
        }
    }

    #[cold]
    fn own(&mut self, key: &str, names: &str, form: Form) {
        let free = self.positions(names).into_iter().find(|index| !self.used[*index]);
        if let Some(index) = free {
            self.used[index] = true;
            self.has_own_field[index] = true;
            self.step(Step::Column(Key::new(key), index, form));
        }
    }

    #[cold]
    fn or(&mut self, parts: &'static [Node], others: &'static [Node]) {
        let at = self.plan.len();
        self.step(Step::Mark);
        self.add(parts);
        if self.plan.len() == at + 1 {
            self.plan.pop();
            return self.add(others);
        }
        let or = self.plan.len();
        self.step(Step::Or(0));
        self.add(others);
        let added = self.plan.len() - or - 1;
        self.plan[or] = Step::Or(added);
        self.closed = self.plan.len();
    }

    #[cold]
    fn filled(&mut self, parts: &'static [Node]) {
        let at = self.plan.len();
        self.step(Step::Filled(Vec::new(), 0));
        self.add(parts);
        let mut columns: Vec<usize> = self.plan[at..].iter().flat_map(Step::columns).collect();
        columns.sort_unstable();
        columns.dedup();
        if columns.is_empty() {
            self.plan.truncate(at);
        } else {
            self.plan[at] = Step::Filled(columns, self.plan.len() - at - 1);
            self.closed = self.plan.len();
        }
    }

    #[cold]
    fn classification(&mut self) {
        let Kind { kind, activity, .. } = Kind::of(self.kind);
        let (class, column, rules) = self.class;
        self.put(&class.members());
        match self.position(column).filter(|_| !rules.is_empty()) {
            Some(column) => {
                let other = if activity == 0 { OTHER } else { activity };
                self.step(Step::Activity(Box::new(Activity {
                    column,
                    rules,
                    members: rules.iter().map(|(_, activity)| class.activity(*activity)).collect(),
                    other: class.activity(other),
                    none: class.activity(activity),
                })));
            }
            None => self.put(&class.activity(activity)),
        }
        let severity = match class {
            Class::DetectionFinding if kind == "alert" => "\"severity_id\":4,\"severity\":\"High\",",
            Class::DetectionFinding | Class::ApplicationError => "\"severity_id\":3,\"severity\":\"Medium\",",
            _ => "\"severity_id\":1,\"severity\":\"Informational\",",
        };
        self.put(severity);
    }

    #[cold]
    fn status(&mut self) {
        // The status of a finding is how far people have come with it.
        if self.class.0 == Class::DetectionFinding {
            return self.put("\"status_id\":1,\"status\":\"New\",");
        }
        let (columns, success) = match find(self.tree, "event.outcome") {
            Some(Node::Success(names)) => (self.positions(names), None),
            Some(Node::Column(_, names, Form::Outcome(success))) => {
                (self.position(names).into_iter().collect(), Some(*success))
            }
            _ => (Vec::new(), None),
        };
        self.taken.push(String::from("event.outcome"));
        self.step(Step::Status(columns, success));
    }

    #[cold]
    fn observables(&mut self) {
        let mut of = Vec::new();
        for field in ["related.ip", "related.user"] {
            let Some(Node::Distinct(_, columns)) = find(self.tree, field) else { continue };
            for (names, form) in *columns {
                let Some(column) = self.position(names) else { continue };
                let is_name = |ending: &&str| self.columns[column].to_ascii_lowercase().ends_with(ending);
                // Types of observables: an address, the name of a user, the id of one.
                let item: &[u8] = if matches!(form, Form::Ip) {
                    b"{\"type_id\":2,\"value\":\""
                } else if ["name", "email", "delegateuser", "display"].iter().any(is_name) {
                    b"{\"type_id\":4,\"value\":\""
                } else {
                    b"{\"type_id\":31,\"value\":\""
                };
                of.push((column, *form, item));
            }
        }
        self.step(Step::Observables(Key::new("observables"), of));
    }

    /// The parts of a tree that stand nowhere else.
    #[cold]
    fn unmapped(&mut self, nodes: &'static [Node], path: &str) {
        let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for node in nodes {
            match node {
                Node::Object(key, parts) => self.unmapped_object(key, parts, &join(key)),
                Node::Typed(parts) => {
                    let key = names::snake_case(self.kind);
                    self.unmapped_object(&key, parts, &join(&key));
                }
                Node::Parts(parts) => self.unmapped(parts, path),
                Node::Column(key, names, form) if !self.taken.contains(&join(key)) => {
                    if let Some(index) = self.position(names).filter(|index| !self.has_own_field[*index]) {
                        self.used[index] = true;
                        self.step(Step::Column(Key::new(key), index, *form));
                    }
                }
                Node::Location(..) if !self.taken.contains(&join("location")) => {
                    self.add(std::slice::from_ref(node));
                }
                Node::Also(key, ..) | Node::Either(key, _) if !self.taken.contains(&join(key)) => {
                    self.add(std::slice::from_ref(node));
                }
                Node::Monitored(parts) if self.is_monitored() => self.unmapped(parts, path),
                Node::Provenance => self.put(self.provenance),
                Node::Rest => self.rest(nodes),
                _ => {}
            }
        }
    }

    fn unmapped_object(&mut self, key: &str, parts: &'static [Node], path: &str) {
        self.within.push(key.to_owned());
        let at = self.plan.len();
        self.step(Step::Open(Key::new(key)));
        self.unmapped(parts, path);
        if self.plan.len() == at + 1 {
            self.plan.pop();
        } else {
            self.step(Step::Close);
        }
        self.within.pop();
    }

    /// Adds a step. Not inlined, as most of what lays out a document is not: it is done once for a file, and should be small.
    #[inline(never)]
    fn step(&mut self, step: Step) {
        self.plan.push(step);
    }

    #[inline(never)]
    fn first(&mut self, key: &str, columns: Vec<(usize, Form)>) {
        if !columns.is_empty() {
            self.step(Step::First(Key::new(key), columns));
        }
    }

    fn behind(&mut self, person: &str, user: &str, parts: &'static [Node]) {
        let (person, user) = (self.positions(person), self.positions(user));
        if person.is_empty() {
            return;
        }
        let at = self.plan.len();
        self.step(Step::Behind { person, user, steps: 0 });
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
            self.step(Step::Open(Key::new(key)));
            self.add(parts);
            self.step(Step::Close);
        }
        self.within.pop();
    }

    /// The first of some names, divided by `|`, that a column has.
    fn position(&self, names: &str) -> Option<usize> {
        self.positions(names).first().copied()
    }

    /// All of some names that a column has.
    #[inline(never)]
    fn positions(&self, names: &str) -> Vec<usize> {
        let position = |name| self.columns.iter().position(|column| column == name);
        names.split('|').filter_map(position).collect()
    }

    /// Adds to what is the same in every document, in one piece with what comes before it.
    #[inline(never)]
    fn put(&mut self, members: &str) {
        let is_open = self.plan.len() > self.closed;
        match self.plan.last_mut() {
            Some(Step::Put(text)) if is_open => text.push_str(members),
            _ => self.step(Step::Put(members.to_owned())),
        }
    }

    /// Ends an object that is never empty.
    fn end(&mut self) {
        let is_open = self.plan.len() > self.closed;
        match self.plan.last_mut() {
            Some(Step::Put(text)) if is_open && text.ends_with(',') => {
                text.pop();
                text.push_str("},");
            }
            _ => self.step(Step::End),
        }
    }

    /// The columns that no part stands for, each under a key of its own beside `siblings`.
    #[cold]
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
            self.step(Step::Column(Key::new(&key), index, form));
        }
    }

    /// The fields that a document has at this position, in this view or in another. Those without a form cannot be shared.
    #[cold]
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
    #[cold]
    fn free_keys(&self, ours: &[(&'static str, Option<Form>)]) -> Vec<(usize, String)> {
        let is_ours = |key: &str| ours.iter().any(|(name, form)| *name == key && form.is_none());
        let is_odd = |name: &str| !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let mut columns: Vec<usize> = (0..self.columns.len()).filter(|index| !self.used[*index]).collect();
        columns.sort_unstable_by_key(|index| (is_odd(&self.columns[*index]), &self.columns[*index], *index));
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

/// The part of a tree that is in a field.
pub fn find(nodes: &'static [Node], field: &str) -> Option<&'static Node> {
    nodes.iter().find_map(|node| match node {
        Node::Object(key, parts) => {
            field.strip_prefix(key)?.strip_prefix('.').and_then(|field| find(parts, field))
        }
        Node::Parts(parts) => find(parts, field),
        Node::Location(..) => (field == "location").then_some(node),
        Node::Success(_) => (field == "outcome").then_some(node),
        _ => (node.key() == Some(field)).then_some(node),
    })
}

/// Whether an object of these parts has a member in every document.
fn never_empty(parts: &[Node]) -> bool {
    parts.iter().any(|part| match part {
        Node::Object(_, parts) | Node::Typed(parts) | Node::Parts(parts) => never_empty(parts),
        Node::Fixed(..)
        | Node::Timestamp
        | Node::Id(_)
        | Node::Dataset(_)
        | Node::Provider(_)
        | Node::Stream
        | Node::Kind
        | Node::Record
        | Node::Provenance
        | Node::Or(..)
        | Node::List(..)
        | Node::Classification
        | Node::Time
        | Node::StatusId
        | Node::Name(_)
        | Node::Host(_)
        | Node::Unmapped => true,
        Node::Column(..)
        | Node::Also(..)
        | Node::Either(..)
        | Node::Success(..)
        | Node::Behind { .. }
        | Node::Monitored(..)
        | Node::Threat
        | Node::Distinct(..)
        | Node::Location(..)
        | Node::Original(_)
        | Node::Rest
        | Node::Of(..)
        | Node::As(..)
        | Node::Coordinates(_)
        | Node::Own(..)
        | Node::Filled(_)
        | Node::OriginalTime
        | Node::Observables
        | Node::Attacks => false,
    })
}
