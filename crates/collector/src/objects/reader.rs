//! Makes events of records.
//!
//! Nothing that stands in a record stops it: what can be read becomes the event, what cannot is told in its
//! `error.message`. A record that is no object becomes an event as well, with its text in `event.original`.

use crate::{
    config::{streams::ObjectSource, treatment},
    problem::Problem,
};
use documents::{Common, Id, Mapper, Names, Origin, Output, Record, Wanted, time::Time};

/// The key of records that have none ("empty key").
const EMPTY_KEY: &str = "000000000000000";
/// Longer texts are no keys; what bounds the state.
const MAX_KEY: usize = 255;

/// A record that is ready to be delivered.
pub struct Held {
    /// When it happened; none if it tells no date that can be read.
    pub at: Option<Time>,
    /// What tells it from the others of its object: its own key, or a digest of its content.
    pub key: String,
    /// Whether the key is its own, so that the org knows what lies behind it.
    pub keyed: bool,
    /// The event; none if it is left out.
    pub event: Option<String>,
    /// Bytes of the record.
    pub bytes: u64,
    /// Whether something of it could not be read.
    pub malformed: bool,
}

impl Held {
    /// Bytes of the event.
    pub fn length(&self) -> usize {
        self.event.as_ref().map_or(0, String::len)
    }
}

/// Makes events of the records of an object.
pub struct Reader<'a> {
    source: &'a ObjectSource,
    instance_url: String,
    since: Time,
    output: Output,
    wanted: Wanted,
    mapper: Option<(Mapper, bool)>,
}

impl<'a> Reader<'a> {
    /// For records of a window that begins at `since`, which is the time of those that tell none.
    pub fn new(
        source: &'a ObjectSource,
        instance_url: String,
        since: Time,
        output: Output,
        wanted: Wanted,
    ) -> Self {
        Self { source, instance_url, since, output, wanted, mapper: None }
    }

    /// Whether names of ids are wanted.
    pub fn wants_names(&self) -> bool {
        self.wanted != Wanted::default()
    }

    /// Shows each id of a record whose name may be wanted.
    pub fn ids(&mut self, json: &[u8], show: &mut dyn FnMut(&[u8])) {
        let record = Record::parse(json);
        if record.is_object() {
            let keyed = self.key(&record).is_some();
            self.mapper(&record, keyed).ids(&record).for_each(show);
        }
    }

    fn key<'r>(&self, record: &'r Record<'_>) -> Option<&'r str> {
        self.source.paging.key().and_then(|name| record.text(name)).filter(|key| is_key(key))
    }

    /// Makes an event of a record as it came.
    pub fn read(&mut self, json: &[u8], names: &dyn Names) -> Held {
        let bytes = json.len() as u64;
        let record = Record::parse(json);
        if !record.is_object() {
            let reason =
                format!("a record of {} from {} on is no JSON object", self.source.object, self.since);
            let event = Some(self.mapper(&record, false).malformed(json, &reason));
            let key = Id::of(json).as_str().to_owned();
            return Held { at: None, key, keyed: false, event, bytes, malformed: true };
        }
        let key = self.key(&record);
        let at = record.text(&self.source.date).and_then(Time::parse);
        let malformed = at.is_none() || !record.damages().is_empty();
        let mapper = self.mapper(&record, key.is_some());
        let event = mapper.event(&record, names);
        let keyed = key.is_some();
        let key = key.map_or_else(|| mapper.digest(&record).as_str().to_owned(), str::to_owned);
        Held { at, key, keyed, event, bytes, malformed }
    }

    /// What is doubtful about the configuration, as far as the fields of the last record show.
    pub fn doubts(&self) -> Vec<Problem> {
        let rows = format!("records of {}", self.source.object);
        let mapper = self.mapper.iter().map(|(mapper, _)| mapper).filter(|mapper| mapper.columns() > 0);
        mapper.flat_map(|mapper| treatment::unknown_names(mapper, &rows, true)).collect()
    }

    /// The mapper for records with these fields.
    fn mapper(&mut self, record: &Record<'_>, keyed: bool) -> &mut Mapper {
        if !self
            .mapper
            .as_ref()
            .is_some_and(|(mapper, with_key)| *with_key == keyed && mapper.fits(record.names()))
        {
            self.mapper = None;
        }
        let make = || {
            let origin = Origin::Object {
                name: &self.source.object,
                date: &self.source.date,
                key: self.source.paging.key().filter(|_| keyed),
            };
            let common = Common {
                stream: &self.source.stream,
                instance_url: &self.instance_url,
                since: self.since,
                output: self.output,
                origin,
            };
            let columns = record.names().map(str::to_owned).collect();
            (Mapper::with_treatment(&common, columns, &self.source.outflow.treatment, self.wanted), keyed)
        };
        &mut self.mapper.get_or_insert_with(make).0
    }
}

/// Whether a text can be a key: not one that was damaged, since another may be damaged to the same.
fn is_key(text: &str) -> bool {
    let damaged = |c: char| c == char::REPLACEMENT_CHARACTER || c.is_control();
    !text.starts_with(EMPTY_KEY) && text.len() <= MAX_KEY && !text.contains(damaged)
}
