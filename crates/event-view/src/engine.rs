//! Questions to an index: which documents match a search, and what there is of them, counted by the values of fields.
//! All numbers are exact, as far as those of 64 bits with a floating point are.

use crate::{
    index::Snapshot,
    query::{Pattern, Query, number, times},
    segment::{FieldValues, Segment, TIME},
};
use columnar::{Column, StrColumn};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// A value that is the only one of its kind: a place in the values of a field.
pub type Ordinal = u32;

/// The different values of one field over all segments. It only grows.
#[derive(Default)]
struct Terms {
    texts: Vec<Arc<str>>,
    known: FxHashMap<Arc<str>, Ordinal>,
    /// By the segment: the ordinals of its dictionary.
    dictionaries: FxHashMap<u64, Arc<[Ordinal]>>,
}

impl Terms {
    fn intern(&mut self, text: &str) -> Ordinal {
        if let Some(found) = self.known.get(text) {
            return *found;
        }
        let ordinal = self.texts.len() as Ordinal;
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.known.insert(text, ordinal);
        ordinal
    }

    fn dictionary(&mut self, segment: u64, column: &StrColumn) -> io::Result<Arc<[Ordinal]>> {
        if let Some(found) = self.dictionaries.get(&segment) {
            return Ok(found.clone());
        }
        let mut ordinals = Vec::with_capacity(column.num_terms());
        let mut terms = column.dictionary().stream()?;
        while terms.advance() {
            ordinals.push(self.intern(&String::from_utf8_lossy(terms.key())));
        }
        let ordinals: Arc<[Ordinal]> = ordinals.into();
        self.dictionaries.insert(segment, ordinals.clone());
        Ok(ordinals)
    }
}

/// Documents that match: a bit for each row of each segment.
pub struct Selection {
    bits: Vec<Vec<u64>>,
}

impl Selection {
    /// How many documents.
    pub fn count(&self) -> u64 {
        self.bits.iter().flatten().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether nothing of a segment matches, so that none of its columns is to be read.
    fn is_empty(&self, segment: usize) -> bool {
        self.bits[segment].iter().all(|word| *word == 0)
    }

    fn has(&self, segment: usize, row: u32) -> bool {
        self.bits[segment][row as usize / 64] >> (row % 64) & 1 == 1
    }

    fn rows(&self, segment: usize) -> impl Iterator<Item = u32> + '_ {
        self.bits[segment].iter().enumerate().flat_map(|(index, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros();
                    word &= word - 1;
                    index as u32 * 64 + bit
                })
            })
        })
    }
}

/// What documents are counted by.
#[derive(Clone, Debug)]
pub enum Dimension {
    /// Each value of a field.
    Field(String),
    /// Pieces of time of so many milliseconds, from this time on.
    Time(i64, i64),
    /// Pieces of time told by a field that is no `@timestamp`.
    TimeField(String, i64, i64),
}

/// What is said of documents.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "metric")]
pub enum Metric {
    /// How many there are.
    Count,
    /// Which part of them matches a search: 0 to 1.
    Share {
        /// The search.
        of: String,
    },
    /// How many different values a field has.
    Unique {
        /// The field.
        field: String,
    },
    /// The sum of a field.
    Sum {
        /// The field.
        field: String,
    },
    /// The mean of a field.
    Average {
        /// The field.
        field: String,
    },
    /// The smallest value of a field.
    Min {
        /// The field.
        field: String,
    },
    /// The largest value of a field.
    Max {
        /// The field.
        field: String,
    },
    /// The value below which so many percent of the values lie (nearest rank).
    Percentile {
        /// The field.
        field: String,
        /// 0 to 100.
        percent: f64,
    },
    /// When the last of them was.
    Last,
    /// When the first of them was.
    First,
}

/// What has come together of a metric.
enum Heap {
    Count(u64),
    Share(u64, u64),
    Unique(FxHashSet<Ordinal>),
    Sum(f64, u64),
    Average(f64, u64),
    Min(f64),
    Max(f64),
    Values(Vec<f64>, f64),
}

impl Heap {
    fn new(metric: &Metric) -> Self {
        match metric {
            Metric::Count => Self::Count(0),
            Metric::Share { .. } => Self::Share(0, 0),
            Metric::Unique { .. } => Self::Unique(FxHashSet::default()),
            Metric::Sum { .. } => Self::Sum(0.0, 0),
            Metric::Average { .. } => Self::Average(0.0, 0),
            Metric::Min { .. } | Metric::First => Self::Min(f64::INFINITY),
            Metric::Max { .. } | Metric::Last => Self::Max(f64::NEG_INFINITY),
            Metric::Percentile { percent, .. } => Self::Values(Vec::new(), *percent),
        }
    }

    fn add_number(&mut self, value: f64) {
        match self {
            Self::Sum(sum, count) | Self::Average(sum, count) => {
                *sum += value;
                *count += 1;
            }
            Self::Min(least) => *least = least.min(value),
            Self::Max(most) => *most = most.max(value),
            Self::Values(values, _) => values.push(value),
            Self::Count(_) | Self::Share(..) | Self::Unique(_) => {}
        }
    }

    fn value(self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(count as f64),
            Self::Share(part, all) => (all > 0).then(|| part as f64 / all as f64),
            Self::Unique(values) => Some(values.len() as f64),
            Self::Sum(sum, count) => (count > 0).then_some(sum),
            Self::Average(sum, count) => (count > 0).then(|| sum / count as f64),
            Self::Min(value) | Self::Max(value) => value.is_finite().then_some(value),
            Self::Values(mut values, percent) => percentile(&mut values, percent),
        }
    }
}

/// Nearest rank: the smallest value that at least so many percent are not above.
pub fn percentile(values: &mut [f64], percent: f64) -> Option<f64> {
    let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).max(1) - 1;
    if rank >= values.len() {
        return None;
    }
    Some(*values.select_nth_unstable_by(rank, f64::total_cmp).1)
}

/// One group of documents: a value for each dimension, and what each metric says of them.
#[derive(Clone, Debug)]
pub struct Group {
    /// For each dimension the ordinal of its field's value, or the number of the piece of time.
    pub key: [Ordinal; 3],
    /// How many documents there are.
    pub count: u64,
    /// In the order of the metrics; none where no document has such a value.
    pub values: Vec<Option<f64>>,
}

/// A document's place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The segment's place in the snapshot.
    pub segment: usize,
    /// Its row there.
    pub row: u32,
    /// When it was.
    pub at: i64,
}

struct Opened {
    values: Arc<FieldValues>,
    dictionary: Option<Arc<[Ordinal]>>,
    numbers: FxHashMap<u64, Ordinal>,
    /// The values of the document at hand.
    seen: Vec<Ordinal>,
}

/// Answers questions to one snapshot.
pub struct Engine {
    snapshot: Arc<Snapshot>,
    fields: Fields,
    selections: Mutex<Vec<(String, Arc<Selection>)>>,
    firsts: Mutex<FxHashMap<String, Arc<Vec<Group>>>>,
}

/// The values of fields, which outlive a snapshot.
#[derive(Clone, Default)]
pub struct Fields(Arc<Mutex<FxHashMap<String, Arc<Mutex<Terms>>>>>);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many selections are kept: the panels of a page ask for few different ones.
const KEPT: usize = 24;

impl Engine {
    /// Of a snapshot.
    pub fn new(snapshot: Arc<Snapshot>, fields: Fields) -> Self {
        Self { snapshot, fields, selections: Mutex::default(), firsts: Mutex::default() }
    }

    /// Of the snapshot that follows. The values of fields stay known, so that what has come is all that is read, unless a file has gone or was
    /// replaced: then those that it alone had are to go as well.
    pub fn next(&self, snapshot: Arc<Snapshot>) -> Self {
        let less = self.snapshot.files.iter().any(|file| {
            let now = snapshot.files.binary_search_by(|now| now.path.cmp(&file.path));
            now.map_or(true, |place| snapshot.files[place].read < file.read)
        });
        if less {
            return Self::new(snapshot, Fields::default());
        }
        let segments: FxHashSet<u64> = snapshot.segments.iter().map(|segment| segment.id).collect();
        for terms in lock(&self.fields.0).values() {
            lock(terms).dictionaries.retain(|segment, _| segments.contains(segment));
        }
        Self::new(snapshot, self.fields.clone())
    }

    /// What it answers from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn terms(&self, field: &str) -> Arc<Mutex<Terms>> {
        lock(&self.fields.0).entry(field.to_owned()).or_default().clone()
    }

    /// The text of a value of a field.
    pub fn text(&self, field: &str, ordinal: Ordinal) -> Arc<str> {
        lock(&self.terms(field)).texts.get(ordinal as usize).cloned().unwrap_or_else(|| "".into())
    }

    fn open(&self, segment: &Segment, field: &str) -> io::Result<Opened> {
        let values = segment.column(field)?;
        let dictionary = match &values.texts {
            Some(column) => Some(lock(&self.terms(field)).dictionary(segment.id, column)?),
            None => None,
        };
        Ok(Opened { values, dictionary, numbers: FxHashMap::default(), seen: Vec::new() })
    }

    /// The first and the last time of all documents.
    pub fn span(&self) -> io::Result<Option<Range<i64>>> {
        let mut span: Option<Range<i64>> = None;
        for segment in &self.snapshot.segments {
            if let Some(times) = &segment.column(TIME)?.numbers
                && segment.lines.documents > 0
            {
                let (from, to) = (times.min_value() as i64, times.max_value() as i64);
                span = Some(span.map_or(from..to, |span| span.start.min(from)..span.end.max(to)));
            }
        }
        Ok(span)
    }

    /// Documents that match, from a time on and before another.
    pub fn select(&self, query: &Query, times: &Range<i64>) -> io::Result<Arc<Selection>> {
        let name = format!("{times:?} {query:?}");
        if let Some((_, found)) = lock(&self.selections).iter().find(|(known, _)| *known == name) {
            return Ok(found.clone());
        }
        let mut bits = Vec::new();
        for segment in &self.snapshot.segments {
            let mut found = in_times(segment, times)?;
            if found.iter().any(|word| *word != 0) {
                self.narrow(segment, query, &mut found, true)?;
            }
            bits.push(found);
        }
        let selection = Arc::new(Selection { bits });
        let mut kept = lock(&self.selections);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((name, selection.clone()));
        Ok(selection)
    }

    /// Leaves of some rows those that match. Columns that are not kept are ones that no panel may ever ask for.
    fn narrow(&self, segment: &Segment, query: &Query, rows: &mut [u64], keeps: bool) -> io::Result<()> {
        let column =
            |field: &str| if keeps { segment.column(field) } else { segment.read(field).map(Arc::new) };
        match query {
            Query::All => {}
            Query::And(parts) => {
                for part in parts {
                    self.narrow(segment, part, rows, keeps)?;
                }
            }
            Query::Or(parts) => {
                any(rows, parts, |part, some| self.narrow(segment, part, some, keeps))?;
            }
            Query::Not(part) => {
                let mut some = rows.to_vec();
                self.narrow(segment, part, &mut some, keeps)?;
                rows.iter_mut().zip(&some).for_each(|(row, some)| *row &= !some);
            }
            Query::InFields(pattern, about) => {
                // What is asked of each is about its very name, whatever signs that has.
                let fields = names(segment)?.into_iter().filter(|field| pattern.matches(field));
                any(rows, fields, |field, some| self.narrow(segment, &about.of_field(&field), some, false))?;
            }
            Query::Exists(field) => {
                let values = column(field)?;
                retain(rows, |row| {
                    values.texts.as_ref().is_some_and(|texts| texts.ords().index.has_value(row))
                        || values.numbers.as_ref().is_some_and(|numbers| numbers.index.has_value(row))
                });
            }
            Query::Is(field, pattern) if field == TIME => {
                let (from, to) = match pattern {
                    Pattern::Time(times, _) => span_of(times),
                    Pattern::Exact(text, _) => match times(text).as_ref().map(span_of) {
                        Some(times) => times,
                        None => number(text).map_or((f64::NAN, f64::NAN), |number| (number, number)),
                    },
                    _ => (f64::NAN, f64::NAN),
                };
                let values = column(field)?;
                retain(rows, |row| first(&values, row).is_some_and(|at| from <= at && at <= to));
            }
            Query::Is(field, pattern) => {
                let values = column(field)?;
                let hits = match &values.texts {
                    Some(texts) => matching(texts, |text| pattern.matches(text))?,
                    None => Vec::new(),
                };
                keep(rows, &values, &hits, pattern.number());
            }
            Query::Compares(field, comparison, value) => {
                // What may be both is a number to numbers, and a time to times.
                let as_time = times(value).as_ref().map(span_of);
                let as_number = number(value).map(|number| (number, number)).or(as_time);
                let (as_time, as_number) = if field == TIME {
                    (as_time.or(as_number), as_time.or(as_number))
                } else {
                    (as_time, as_number)
                };
                let holds = |value: f64| as_number.is_some_and(|bound| comparison.holds(value, bound));
                let values = column(field)?;
                let hits = match &values.texts {
                    Some(texts) => matching(texts, |text| match (number(text), times(text)) {
                        (Some(value), _) => holds(value),
                        (None, Some(times)) => {
                            as_time.is_some_and(|bound| comparison.holds(times.start as f64, bound))
                        }
                        (None, None) => false,
                    })?,
                    None => Vec::new(),
                };
                keep(rows, &values, &hits, holds);
            }
            Query::Text(pattern) => {
                let (mut part, number) = (pattern.part(), pattern.number());
                any(rows, names(segment)?, |field, some| {
                    match (field == TIME, pattern) {
                        (true, Pattern::Time(..)) => {
                            return self.narrow(segment, &Query::Is(field, pattern.clone()), some, true);
                        }
                        (true, _) => some.fill(0),
                        (false, _) => {
                            let values = segment.read(&field)?;
                            let hits = match &values.texts {
                                Some(texts) => matching(texts, &mut part)?,
                                None => Vec::new(),
                            };
                            keep(some, &values, &hits, &number);
                        }
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Counts documents by dimensions, of which there are three at most, and says what the metrics say of each group. What lacks a
    /// value of a dimension is in no group; what has several is in several.
    pub fn groups(
        &self,
        selection: &Selection,
        by: &[Dimension],
        metrics: &[(Metric, Option<Arc<Selection>>)],
    ) -> io::Result<Vec<Group>> {
        let mut groups: FxHashMap<[Ordinal; 3], usize> = FxHashMap::default();
        let mut heaps: Vec<(u64, Vec<Heap>)> = Vec::new();
        let mut keys = Vec::new();
        for (number, segment) in self.snapshot.segments.iter().enumerate() {
            if selection.is_empty(number) {
                continue;
            }
            let times = segment.column(TIME)?;
            let mut opened = Vec::new();
            for dimension in by {
                opened.push(match dimension {
                    Dimension::Field(field) | Dimension::TimeField(field, ..) => {
                        Some(self.open(segment, field)?)
                    }
                    Dimension::Time(..) => None,
                });
            }
            let mut measured = Vec::new();
            for (metric, _) in metrics {
                measured.push(match metric {
                    Metric::Unique { field }
                    | Metric::Sum { field }
                    | Metric::Average { field }
                    | Metric::Min { field }
                    | Metric::Max { field }
                    | Metric::Percentile { field, .. } => Some((field, self.open(segment, field)?)),
                    Metric::Count | Metric::Share { .. } | Metric::First | Metric::Last => None,
                });
            }
            let mut parsed: Vec<FxHashMap<Ordinal, Option<i64>>> = vec![FxHashMap::default(); by.len()];
            for row in selection.rows(number) {
                keys.clear();
                keys.push([0; 3]);
                for (index, dimension) in by.iter().enumerate() {
                    match (dimension, &mut opened[index]) {
                        (Dimension::Time(from, interval), _) => {
                            let at = first(&times, row).unwrap_or_default() as i64;
                            let bucket = (at - from).div_euclid(*interval);
                            keys.iter_mut().for_each(|key| key[index] = bucket.max(0) as Ordinal);
                        }
                        (Dimension::Field(field), Some(opened)) => {
                            let before = std::mem::take(&mut keys);
                            self.each(field, opened, row, |value| {
                                keys.extend(before.iter().map(|key| {
                                    let mut key = *key;
                                    key[index] = value;
                                    key
                                }));
                            });
                        }
                        (Dimension::TimeField(field, from, interval), Some(opened)) => {
                            let mut value = None;
                            self.each(field, opened, row, |ordinal| value = Some(ordinal));
                            let at = value.and_then(|ordinal| {
                                *parsed[index]
                                    .entry(ordinal)
                                    .or_insert_with(|| crate::time::parse(&self.text(field, ordinal)))
                            });
                            match at {
                                Some(at) if at >= *from => {
                                    let bucket = (at - from).div_euclid(*interval) as Ordinal;
                                    keys.iter_mut().for_each(|key| key[index] = bucket);
                                }
                                _ => keys.clear(),
                            }
                        }
                        _ => keys.clear(),
                    }
                }
                for key in &keys {
                    let place = *groups.entry(*key).or_insert_with(|| {
                        heaps.push((0, metrics.iter().map(|(metric, _)| Heap::new(metric)).collect()));
                        heaps.len() - 1
                    });
                    let (count, heaps) = &mut heaps[place];
                    *count += 1;
                    for (index, heap) in heaps.iter_mut().enumerate() {
                        match (heap, &mut measured[index]) {
                            (Heap::Count(count), _) => *count += 1,
                            (Heap::Share(part, all), _) => {
                                *all += 1;
                                let of = metrics[index].1.as_ref();
                                *part += u64::from(of.is_some_and(|of| of.has(number, row)));
                            }
                            (Heap::Unique(values), Some((field, opened))) => {
                                self.each(field, opened, row, |value| {
                                    values.insert(value);
                                });
                            }
                            (heap, Some((_, opened))) => {
                                if let Some(numbers) = &opened.values.numbers {
                                    numbers.values_for_doc(row).for_each(|value| heap.add_number(value));
                                }
                            }
                            (heap, None) => heap.add_number(first(&times, row).unwrap_or_default()),
                        }
                    }
                }
            }
        }
        let mut found: Vec<Group> = groups
            .into_iter()
            .map(|(key, place)| {
                let (count, heaps) = std::mem::take(&mut heaps[place]);
                Group { key, count, values: heaps.into_iter().map(Heap::value).collect() }
            })
            .collect();
        found.sort_by_key(|group| group.key);
        Ok(found)
    }

    /// For each value of a field how many documents have it, those of the same id counted once, and how many came again. What has no id is counted as
    /// it is. There may be as many ids as documents, so of each is kept a digest, and that for as long as this takes.
    pub fn documents_once(
        &self,
        selection: &Selection,
        field: &str,
        id: &str,
    ) -> io::Result<FxHashMap<Ordinal, (u64, u64)>> {
        let digest = |bytes: &[u8]| {
            let mut digest = [0; 16];
            digest.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
            digest
        };
        let mut found: FxHashMap<Ordinal, (u64, Vec<[u8; 16]>)> = FxHashMap::default();
        for (number, segment) in self.snapshot.segments.iter().enumerate() {
            if selection.is_empty(number) {
                continue;
            }
            let mut opened = self.open(segment, field)?;
            let ids = segment.read(id)?;
            let mut digests = Vec::new();
            if let Some(texts) = &ids.texts {
                let mut terms = texts.dictionary().stream()?;
                while terms.advance() {
                    digests.push(digest(terms.key()));
                }
            }
            for row in selection.rows(number) {
                let text = ids.texts.as_ref().and_then(|texts| texts.ords().first(row));
                let own = match (text, first(&ids, row)) {
                    (Some(text), _) => Some(digests[text as usize]),
                    (None, Some(number)) => Some(digest(number.to_string().as_bytes())),
                    (None, None) => None,
                };
                self.each(field, &mut opened, row, |value| {
                    let (without, ids) = found.entry(value).or_default();
                    *without += u64::from(own.is_none());
                    ids.extend(own);
                });
            }
        }
        let counted = found.into_iter().map(|(value, (without, mut ids))| {
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            (value, (without + ids.len() as u64, (all - ids.len()) as u64))
        });
        Ok(counted.collect())
    }

    /// When each group was first, of all documents that match. It is the same for whatever is looked at, and so is found once.
    pub fn firsts(&self, query: &Query, by: &[Dimension]) -> io::Result<Arc<Vec<Group>>> {
        let name = format!("{by:?} {query:?}");
        if let Some(found) = lock(&self.firsts).get(&name) {
            return Ok(found.clone());
        }
        let all = self.select(query, &(i64::MIN / 4..i64::MAX / 4))?;
        let groups = Arc::new(self.groups(&all, by, &[(Metric::First, None)])?);
        lock(&self.firsts).insert(name, groups.clone());
        Ok(groups)
    }

    /// The different values that a document has in a field.
    fn each(&self, field: &str, opened: &mut Opened, row: u32, mut with: impl FnMut(Ordinal)) {
        opened.seen.clear();
        if let (Some(texts), Some(dictionary)) = (&opened.values.texts, &opened.dictionary) {
            for ord in texts.ords().values_for_doc(row) {
                let value = dictionary[ord as usize];
                // A list in which a value stands twice is told of once. Lists are short.
                if !opened.seen.contains(&value) {
                    opened.seen.push(value);
                    with(value);
                }
            }
        }
        let values = opened.values.clone();
        if let Some(numbers) = &values.numbers {
            for value in numbers.values_for_doc(row) {
                let ordinal = *opened
                    .numbers
                    .entry(value.to_bits())
                    .or_insert_with(|| lock(&self.terms(field)).intern(&value.to_string()));
                if !opened.seen.contains(&ordinal) {
                    opened.seen.push(ordinal);
                    with(ordinal);
                }
            }
        }
    }

    /// Calls with the time of each document that has one of some values of a field, once for each document.
    pub fn having(
        &self,
        selection: &Selection,
        field: &str,
        holds: impl Fn(Ordinal) -> bool,
        mut with: impl FnMut(i64),
    ) -> io::Result<()> {
        for (number, segment) in self.snapshot.segments.iter().enumerate() {
            if selection.is_empty(number) {
                continue;
            }
            let times = segment.column(TIME)?;
            let mut opened = self.open(segment, field)?;
            for row in selection.rows(number) {
                let mut has = false;
                self.each(field, &mut opened, row, |value| has = has || holds(value));
                if has {
                    with(first(&times, row).unwrap_or_default() as i64);
                }
            }
        }
        Ok(())
    }

    /// Documents by their time, the newest first or the oldest, from a place in this order on.
    pub fn ordered(
        &self,
        selection: &Selection,
        newest: bool,
        skip: usize,
        take: usize,
    ) -> io::Result<Vec<Place>> {
        let mut places = Vec::new();
        for (number, segment) in self.snapshot.segments.iter().enumerate() {
            let times = segment.column(TIME)?;
            for row in selection.rows(number) {
                places.push(Place {
                    segment: number,
                    row,
                    at: first(&times, row).unwrap_or_default() as i64,
                });
            }
        }
        let order = |one: &Place, other: &Place| {
            let order = one.at.cmp(&other.at).then((one.segment, one.row).cmp(&(other.segment, other.row)));
            if newest { order.reverse() } else { order }
        };
        let end = skip.saturating_add(take).min(places.len());
        if end < places.len() {
            places.select_nth_unstable_by(end, order);
            places.truncate(end);
        }
        places.sort_unstable_by(order);
        Ok(places.split_off(skip.min(places.len())))
    }

    /// The values of a field of one document, as text.
    pub fn values(&self, place: Place, field: &str) -> io::Result<Vec<String>> {
        let segment = &self.snapshot.segments[place.segment];
        if field == TIME {
            return Ok(vec![crate::time::format(place.at)]);
        }
        let values = segment.column(field)?;
        let mut found = Vec::new();
        if let Some(texts) = &values.texts {
            for ord in texts.term_ords(place.row) {
                let mut text = String::new();
                texts.ord_to_str(ord, &mut text)?;
                found.push(text);
            }
        }
        if let Some(numbers) = &values.numbers {
            found.extend(numbers.values_for_doc(place.row).map(|value| value.to_string()));
        }
        Ok(found)
    }

    /// For some documents each, whichever they are: a value of a field, by its ordinal.
    pub fn ordinals(&self, selection: &Selection, field: &str) -> io::Result<Vec<(Ordinal, Place)>> {
        let mut found = Vec::new();
        for (number, segment) in self.snapshot.segments.iter().enumerate() {
            if selection.is_empty(number) {
                continue;
            }
            let times = segment.column(TIME)?;
            let mut opened = self.open(segment, field)?;
            for row in selection.rows(number) {
                let at = first(&times, row).unwrap_or_default() as i64;
                self.each(field, &mut opened, row, |value| {
                    found.push((value, Place { segment: number, row, at }));
                });
            }
        }
        Ok(found)
    }
}

/// From the first to the last moment of a piece of time.
fn span_of(times: &Range<i64>) -> (f64, f64) {
    (times.start as f64, (times.end - 1) as f64)
}

/// The names of fields, each once.
fn names(segment: &Segment) -> io::Result<std::collections::BTreeSet<String>> {
    Ok(segment.fields()?.into_iter().map(|(name, _)| name).collect())
}

fn first(values: &FieldValues, row: u32) -> Option<f64> {
    values.numbers.as_ref().and_then(|numbers| numbers.first(row))
}

fn in_times(segment: &Segment, times: &Range<i64>) -> io::Result<Vec<u64>> {
    let rows = segment.rows();
    let mut bits = vec![0u64; (rows as usize).div_ceil(64)];
    let values = segment.column(TIME)?;
    let Some(numbers) = &values.numbers else { return Ok(bits) };
    let full = numbers.min_value() as i64 >= times.start
        && (numbers.max_value() as i64) < times.end
        && segment.lines.rows == segment.lines.documents;
    for row in 0..rows {
        if full || numbers.first(row).is_some_and(|at| times.contains(&(at as i64))) {
            bits[row as usize / 64] |= 1 << (row % 64);
        }
    }
    Ok(bits)
}

fn retain(rows: &mut [u64], mut holds: impl FnMut(u32) -> bool) {
    for (index, word) in rows.iter_mut().enumerate() {
        let mut left = *word;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            if !holds(index as u32 * 64 + bit) {
                *word &= !(1 << bit);
            }
        }
    }
}

fn matching(texts: &StrColumn, mut holds: impl FnMut(&str) -> bool) -> io::Result<Vec<bool>> {
    let mut hits = Vec::with_capacity(texts.num_terms());
    let mut terms = texts.dictionary().stream()?;
    while terms.advance() {
        hits.push(std::str::from_utf8(terms.key()).is_ok_and(&mut holds));
    }
    Ok(hits)
}

/// Leaves those that one of several things leaves.
fn any<T>(
    rows: &mut [u64],
    things: impl IntoIterator<Item = T>,
    mut narrow: impl FnMut(T, &mut [u64]) -> io::Result<()>,
) -> io::Result<()> {
    let mut sum = vec![0; rows.len()];
    for thing in things {
        let mut some = rows.to_vec();
        narrow(thing, &mut some)?;
        sum.iter_mut().zip(&some).for_each(|(sum, some)| *sum |= some);
    }
    rows.copy_from_slice(&sum);
    Ok(())
}

fn keep(rows: &mut [u64], values: &FieldValues, hits: &[bool], number: impl Fn(f64) -> bool) {
    let texts = values.texts.as_ref().filter(|_| hits.contains(&true)).map(|texts| texts.ords());
    let numbers: Option<&Column<f64>> = values.numbers.as_ref();
    if texts.is_none() && numbers.is_none() {
        return rows.fill(0);
    }
    retain(rows, |row| {
        texts.is_some_and(|ords| ords.values_for_doc(row).any(|ord| hits[ord as usize]))
            || numbers.is_some_and(|numbers| numbers.values_for_doc(row).any(&number))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;
    use std::{fs, io::Write};

    #[test]
    fn a_search_in_all_fields_keeps_no_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let line = "{\"@timestamp\":\"2026-11-27T01:00:00.000Z\",\"a\":\"1\",\"b\":2,\"c\":{\"d\":\"203.0.113.9\"}}\n";
        fs::write(&path, line).unwrap();
        let mut index = Index::new(&[path], None).unwrap();
        index.refresh(&|_, _| {});
        let engine = Engine::new(index.snapshot(), Fields::default());
        for search in ["*:203.0.113.9", "203.0.113.9", "not *:x", "*:* and *.d:*", "* > 1"] {
            let found = engine.select(&Query::parse(search).unwrap(), &(0..i64::MAX / 4)).unwrap();
            assert_eq!(found.count(), 1, "{search}");
        }
        assert_eq!(engine.snapshot().segments[0].kept(), 1, "that of the time");
    }

    #[test]
    fn of_files_in_which_nothing_matches_no_columns_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for hour in 1..3 {
            let line = format!("{{\"@timestamp\":\"2026-11-27T0{hour}:00:00.000Z\",\"a\":\"{hour}\"}}\n");
            fs::write(folder.path().join(format!("{hour}.ndjson")), line).unwrap();
        }
        let mut index = Index::new(&[folder.path().to_owned()], None).unwrap();
        index.refresh(&|_, _| {});
        let engine = Engine::new(index.snapshot(), Fields::default());
        let second = times("2026-11-27T02").unwrap();
        let found = engine.select(&Query::All, &second).unwrap();
        let mut count = 0;
        engine.having(&found, "a", |_| true, |_| count += 1).unwrap();
        assert_eq!((count, engine.ordinals(&found, "a").unwrap().len()), (1, 1));
        assert_eq!(engine.groups(&found, &[Dimension::Field("a".into())], &[]).unwrap().len(), 1);
        assert_eq!(engine.snapshot().segments[0].kept(), 1, "that of the time");
        assert_eq!(engine.snapshot().segments[1].kept(), 2);
    }

    #[test]
    fn what_is_known_of_values_does_not_grow_with_segments_that_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let append = |value: &str| {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
            writeln!(file, "{{\"@timestamp\":\"2026-11-27T01:00:00.000Z\",\"a\":\"{value}\"}}").unwrap();
        };
        append("first");
        let mut index = Index::new(std::slice::from_ref(&path), None).unwrap();
        let mut engine = Engine::new(Arc::default(), Fields::default());
        let known = |engine: &Engine| {
            let all = engine.select(&Query::All, &(i64::MIN / 4..i64::MAX / 4)).unwrap();
            let groups = engine.groups(&all, &[Dimension::Field("a".into())], &[]).unwrap();
            let terms = engine.terms("a");
            let terms = lock(&terms);
            (groups.iter().map(|group| group.count).sum::<u64>(), terms.dictionaries.len(), terms.texts.len())
        };
        for count in 1..40 {
            index.refresh(&|_, _| {});
            engine = engine.next(index.snapshot());
            let segments = engine.snapshot().segments.len();
            assert_eq!(known(&engine), (count, segments, count.min(2) as usize));
            append("another");
        }
        // A file that begins again has other values.
        fs::write(&path, "").unwrap();
        append("last");
        index.refresh(&|_, _| {});
        assert_eq!(known(&engine.next(index.snapshot())), (1, 1, 1));
    }
}
