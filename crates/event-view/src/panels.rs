//! What a panel shows, as numbers: the page draws them, and the tests hold them against the truth.

use crate::{
    definitions::{Dashboard, Files, Kind, Panel, Series},
    engine::{Dimension, Engine, Group, Metric, Ordinal, Place, Selection},
    query::{Query, number},
    segment::TIME,
    time,
};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    sync::Arc,
};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How long pieces of time are. They begin at whole ones, by UTC.
const INTERVALS: [i64; 15] = [
    SECOND,
    5 * SECOND,
    15 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    365 * DAY,
];
/// So many pieces of time are shown at most.
const PIECES: i64 = 120;
/// So many series are told apart over time; the rest are one.
const SERIES: usize = 10;
/// So many events are looked at for what stands beside them.
const BESIDE: usize = 200;
/// So many files are listed, the worst first.
const FILES: usize = 500;
/// So many countries are told apart on a map, and so many places.
const PLACES: usize = 500;
/// So many hours are told apart beside each other; more are days.
const CELLS: i64 = 200;
/// What an event is known by, wherever it comes again.
const EVENT: &str = "event.id";

/// What is looked at.
pub struct View {
    /// The search and the filters of the page.
    pub query: Query,
    /// From when on, and before when, in milliseconds since 1970.
    pub times: Range<i64>,
}

/// Pieces of time.
struct Pieces {
    from: i64,
    interval: i64,
    count: usize,
}

impl Pieces {
    fn of(times: &Range<i64>) -> Self {
        let pieces =
            |interval: i64| (times.end - 1).div_euclid(interval) - times.start.div_euclid(interval) + 1;
        let longest = INTERVALS[INTERVALS.len() - 1];
        // As many of the longest as it takes, and one more, as the first may begin before.
        let many = || longest * (pieces(longest) / (PIECES - 1) + 1);
        let interval = INTERVALS.into_iter().find(|one| pieces(*one) <= PIECES).unwrap_or_else(many);
        Self {
            from: times.start.div_euclid(interval) * interval,
            interval,
            count: pieces(interval).max(1) as usize,
        }
    }

    fn dimension(&self) -> Dimension {
        Dimension::Time(self.from, self.interval)
    }

    fn index(&self, at: i64) -> usize {
        (at - self.from).div_euclid(self.interval).max(0) as usize
    }

    /// Whether all of a piece is looked at.
    fn is_whole(&self, start: i64, times: &Range<i64>) -> bool {
        times.start <= start && start + self.interval <= times.end
    }

    fn starts(&self) -> Vec<i64> {
        (0..self.count as i64).map(|index| self.from + index * self.interval).collect()
    }
}

struct Panels<'a> {
    engine: &'a Engine,
    panel: &'a Panel,
    /// What the panel is about, without what is looked at.
    scope: Query,
    view: &'a View,
    selection: Arc<Selection>,
}

/// What one panel shows of what is looked at.
pub fn answer(
    engine: &Engine,
    dashboard: &Dashboard,
    panel: &Panel,
    view: &View,
    skip: usize,
) -> Result<Value> {
    let scope = Query::parse(&dashboard.filter)?.and(Query::parse(&panel.filter)?);
    let query = scope.clone().and(view.query.clone());
    let selection = engine.select(&query, &view.times)?;
    let panels = Panels { engine, panel, scope, view, selection };
    Ok(match panel.kind {
        Kind::Number => panels.number()?,
        Kind::Time => panels.over_time()?,
        Kind::Top => panels.top()?,
        Kind::Table => panels.table()?,
        Kind::Map => panels.map()?,
        Kind::Heat => panels.heat()?,
        Kind::First => panels.first()?,
        Kind::Beside => panels.beside()?,
        Kind::Events => panels.events(skip)?,
        Kind::Files => match &panel.files {
            Some(files) => panels.files(files)?,
            None => bail!("the panel has no files"),
        },
    })
}

impl Panels<'_> {
    fn metrics<'s>(
        &self,
        series: impl IntoIterator<Item = &'s Series>,
    ) -> Result<Vec<(Metric, Option<Arc<Selection>>)>> {
        series
            .into_iter()
            .map(|series| {
                let part = match &series.metric {
                    Metric::Share { of } => Some(self.engine.select(&Query::parse(of)?, &self.view.times)?),
                    _ => None,
                };
                Ok((series.metric.clone(), part))
            })
            .collect()
    }

    /// The documents of a series among those of the panel.
    fn of(&self, series: &Series) -> Result<Arc<Selection>> {
        if series.filter.is_empty() {
            return Ok(self.selection.clone());
        }
        let query = self.scope.clone().and(Query::parse(&series.filter)?).and(self.view.query.clone());
        Ok(self.engine.select(&query, &self.view.times)?)
    }

    fn number(&self) -> Result<Value> {
        let series = &self.panel.series[0];
        let selection = self.of(series)?;
        let groups = self.engine.groups(&selection, &[], &self.metrics([series])?)?;
        let empty = counted(&series.metric).then_some(0.0);
        let value = groups.first().and_then(|group| group.values[0]).or(empty);
        Ok(
            json!({ "value": value, "unit": series.unit, "count": groups.first().map_or(0, |group| group.count) }),
        )
    }

    fn over_time(&self) -> Result<Value> {
        let pieces = Pieces::of(&self.view.times);
        let mut shown = Vec::new();
        if self.panel.split.is_empty() {
            for series in &self.panel.series {
                let selection = self.of(series)?;
                let groups =
                    self.engine.groups(&selection, &[pieces.dimension()], &self.metrics([series])?)?;
                let values = spread(&groups, &pieces, &series.metric, |group| group.key[0]);
                shown.push(json!({
                    "name": series.title, "values": values, "unit": series.unit, "right": series.right,
                    "filter": series.filter,
                }));
            }
        } else {
            let series = &self.panel.series[0];
            let field = &self.panel.split;
            let by = [Dimension::Field(field.clone()), pieces.dimension()];
            let groups = self.engine.groups(&self.selection, &by, &self.metrics([series])?)?;
            let order = self.by_sums(field, &groups);
            let (told, others) = order.split_at(order.len().min(SERIES));
            for (_, name, ordinal) in told {
                let of = groups.iter().filter(|group| group.key[0] == *ordinal).cloned().collect::<Vec<_>>();
                let values = spread(&of, &pieces, &series.metric, |group| group.key[1]);
                shown.push(
                    json!({ "name": &**name, "values": values, "unit": series.unit, "value": &**name }),
                );
            }
            // Of counts alone can be told what the others come to.
            if !others.is_empty() && series.metric == Metric::Count {
                let mut values = vec![0u64; pieces.count];
                let is_other = |value| told.iter().all(|(_, _, ordinal)| *ordinal != value);
                self.engine.having(&self.selection, field, is_other, |at| {
                    if let Some(value) = values.get_mut(pieces.index(at)) {
                        *value += 1;
                    }
                })?;
                shown.push(json!({ "name": format!("{} others", others.len()), "values": values, "unit": series.unit }));
            }
        }
        let mut answer = json!({
            "starts": pieces.starts(), "interval": pieces.interval, "series": shown, "split": self.panel.split,
        });
        if self.panel.band {
            let values: Vec<Option<f64>> = answer["series"][0]["values"]
                .as_array()
                .into_iter()
                .flatten()
                .zip(pieces.starts())
                .map(|(value, start)| value.as_f64().filter(|_| pieces.is_whole(start, &self.view.times)))
                .collect();
            let band = band(&values, pieces.interval);
            answer["band"] = json!({
                "low": band.iter().map(|band| band.map(|(low, _)| low)).collect::<Vec<_>>(),
                "high": band.iter().map(|band| band.map(|(_, high)| high)).collect::<Vec<_>>(),
            });
        }
        Ok(answer)
    }

    fn top(&self) -> Result<Value> {
        let series = &self.panel.series[0];
        let field = &self.panel.field;
        let by = [Dimension::Field(field.clone())];
        let groups = self.engine.groups(&self.selection, &by, &self.metrics([series])?)?;
        let rows = self.sorted(groups, &[field]);
        let others = rows.len().saturating_sub(self.panel.size);
        let mut shown = Vec::new();
        for (key, group) in rows.iter().take(self.panel.size) {
            shown.push(json!({ "key": &*key[0], "value": group.values[0], "count": group.count }));
        }
        let mut answer = json!({ "field": field, "unit": series.unit, "name": series.title, "rows": shown, "others": others });
        // What others come to is known of events alone, of which each has one of them or several.
        if series.metric == Metric::Count && others > 0 {
            let told: Vec<Ordinal> =
                rows.iter().take(self.panel.size).map(|(_, group)| group.key[0]).collect();
            let mut rest = 0u64;
            self.engine.having(&self.selection, field, |value| !told.contains(&value), |_| rest += 1)?;
            answer["rest"] = json!(rest);
        }
        if !self.panel.split.is_empty() {
            let by = [Dimension::Field(field.clone()), Dimension::Field(self.panel.split.clone())];
            let groups = self.engine.groups(&self.selection, &by, &self.metrics([series])?)?;
            let cells: Vec<Value> = groups
                .iter()
                .map(|group| {
                    json!([
                        &*self.engine.text(field, group.key[0]),
                        &*self.engine.text(&self.panel.split, group.key[1]),
                        group.values[0],
                    ])
                })
                .collect();
            answer["split"] = json!({ "field": self.panel.split, "cells": cells });
        }
        Ok(answer)
    }

    fn table(&self) -> Result<Value> {
        let by: Vec<Dimension> = self.panel.by.iter().cloned().map(Dimension::Field).collect();
        let mut groups = self.engine.groups(&self.selection, &by, &self.metrics(&self.panel.series)?)?;
        groups.retain(|group| group.values[0].is_some());
        let fields: Vec<&String> = self.panel.by.iter().collect();
        let rows = self.sorted(groups, &fields);
        let shown: Vec<Value> = rows
            .iter()
            .take(self.panel.size)
            .map(|(key, group)| {
                json!({ "key": key.iter().map(|text| &**text).collect::<Vec<_>>(), "values": group.values, "count": group.count })
            })
            .collect();
        let columns: Vec<Value> = self
            .panel
            .series
            .iter()
            .map(|series| json!({ "title": series.title, "unit": series.unit }))
            .collect();
        Ok(
            json!({ "by": self.panel.by, "columns": columns, "rows": shown, "others": rows.len().saturating_sub(self.panel.size) }),
        )
    }

    /// The largest first; equal ones by their names, so that the order is always the same.
    fn sorted(&self, groups: Vec<Group>, fields: &[&String]) -> Vec<(Vec<Arc<str>>, Group)> {
        let mut rows: Vec<(Vec<Arc<str>>, Group)> = groups
            .into_iter()
            .map(|group| {
                let key =
                    fields.iter().enumerate().map(|(index, field)| self.engine.text(field, group.key[index]));
                (key.collect(), group)
            })
            .collect();
        rows.sort_by(|(key, one), (other_key, other)| {
            let value = |group: &Group| group.values[0].unwrap_or(f64::NEG_INFINITY);
            value(other).total_cmp(&value(one)).then_with(|| key.cmp(other_key))
        });
        rows
    }

    /// The values of a field that is the first dimension of groups, those with most documents first; equal ones by their names.
    fn by_sums(&self, field: &str, groups: &[Group]) -> Vec<(u64, Arc<str>, Ordinal)> {
        let mut sums: BTreeMap<Ordinal, u64> = BTreeMap::new();
        for group in groups {
            *sums.entry(group.key[0]).or_default() += group.count;
        }
        let mut order: Vec<(u64, Arc<str>, Ordinal)> = sums
            .into_iter()
            .map(|(ordinal, count)| (count, self.engine.text(field, ordinal), ordinal))
            .collect();
        order.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        order
    }

    fn map(&self) -> Result<Value> {
        let country = &self.panel.country;
        let groups = self.engine.groups(&self.selection, &[Dimension::Field(country.clone())], &[])?;
        let countries = self.by_sums(country, &groups);
        let mut places: Vec<(u64, Arc<str>, Arc<str>)> = Vec::new();
        if !self.panel.place.is_empty() {
            let by = ["lat", "lon"].map(|part| Dimension::Field(format!("{}.{part}", self.panel.place)));
            for group in self.engine.groups(&self.selection, &by, &[])? {
                let part = |index: usize, name: &str| {
                    self.engine.text(&format!("{}.{name}", self.panel.place), group.key[index])
                };
                places.push((group.count, part(0, "lat"), part(1, "lon")));
            }
        }
        places.sort_by(|one, other| {
            other.0.cmp(&one.0).then_with(|| (&one.1, &one.2).cmp(&(&other.1, &other.2)))
        });
        // The numbers are where it is drawn, the texts what it is searched by. What is no number has no place.
        let mut places: Vec<Value> = places
            .iter()
            .filter_map(|(count, lat, lon)| Some(json!([number(lon)?, number(lat)?, count, &**lat, &**lon])))
            .collect();
        let told: u64 = countries.iter().map(|(count, ..)| count).sum();
        let rows: Vec<Value> = countries
            .iter()
            .take(PLACES)
            .map(|(count, key, _)| json!({ "key": &**key, "value": count }))
            .collect();
        let left = places.len().saturating_sub(PLACES);
        places.truncate(PLACES);
        Ok(json!({
            "field": country, "rows": rows, "others": countries.len() - rows.len(), "places": places, "left": left,
            "without": self.selection.count().saturating_sub(told),
        }))
    }

    fn heat(&self) -> Result<Value> {
        let pieces = Pieces::of(&self.view.times);
        let field = &self.panel.field;
        let by = [Dimension::Field(field.clone()), pieces.dimension()];
        let groups = self.engine.groups(&self.selection, &by, &[])?;
        let mut order = self.by_sums(field, &groups);
        let others = order.len().saturating_sub(self.panel.size);
        order.truncate(self.panel.size);
        let cells: Vec<Value> = groups
            .iter()
            .filter_map(|group| {
                let row = order.iter().position(|(_, _, ordinal)| *ordinal == group.key[0])?;
                Some(json!([group.key[1], row, group.count]))
            })
            .collect();
        let names: Vec<&str> = order.iter().map(|(_, name, _)| &**name).collect();
        Ok(json!({
            "field": field, "starts": pieces.starts(), "interval": pieces.interval, "names": names, "cells": cells, "others": others,
        }))
    }

    /// All that is in the files counts for what is new, not only what is looked at: somebody who was there before is not new.
    fn first(&self) -> Result<Value> {
        let (who, field) = (&self.panel.by[0], &self.panel.field);
        let by = [Dimension::Field(who.clone()), Dimension::Field(field.clone())];
        let metrics = [(Metric::First, None)];
        let groups = self.engine.firsts(&self.scope, &by)?;
        let mut begun: BTreeMap<Ordinal, f64> = BTreeMap::new();
        for group in groups.iter() {
            let at = group.values[0].unwrap_or_default();
            let first = begun.entry(group.key[0]).or_insert(at);
            *first = first.min(at);
        }
        let selected = self.engine.groups(&self.selection, &by, &metrics)?;
        let selected: rustc_hash::FxHashSet<(Ordinal, Ordinal, i64)> = selected
            .iter()
            .map(|group| (group.key[0], group.key[1], group.values[0].unwrap_or_default() as i64))
            .collect();
        let mut found: Vec<(i64, Arc<str>, Arc<str>, u64)> = groups
            .iter()
            .filter_map(|group| {
                let at = group.values[0]?;
                // The first of it is looked at, and it is not the first of all of them.
                let shown = selected.contains(&(group.key[0], group.key[1], at as i64))
                    && at > *begun.get(&group.key[0])?;
                shown.then(|| {
                    (
                        at as i64,
                        self.engine.text(who, group.key[0]),
                        self.engine.text(field, group.key[1]),
                        group.count,
                    )
                })
            })
            .collect();
        found.sort_by(|one, other| {
            other.0.cmp(&one.0).then_with(|| (&one.1, &one.2).cmp(&(&other.1, &other.2)))
        });
        let total = found.len();
        let rows: Vec<Value> = found
            .iter()
            .take(100)
            .map(|(at, who, value, count)| json!({ "at": at, "by": &**who, "value": &**value, "count": count }))
            .collect();
        Ok(json!({ "by": who, "field": field, "total": total, "rows": rows }))
    }

    fn beside(&self) -> Result<Value> {
        let who = &self.panel.by[0];
        let events = self.engine.ordered(&self.selection, true, 0, BESIDE)?;
        let reach = i64::from(self.panel.hours) * HOUR;
        let from = events.iter().map(|place| place.at - reach).min().unwrap_or_default();
        let to = events.first().map_or(0, |place| place.at + 1);
        let others = self.engine.select(&Query::parse(&self.panel.other)?, &(from..to))?;
        let mut by_who: BTreeMap<Arc<str>, Vec<Place>> = BTreeMap::new();
        for (ordinal, place) in self.engine.ordinals(&others, who)? {
            by_who.entry(self.engine.text(who, ordinal)).or_default().push(place);
        }
        for places in by_who.values_mut() {
            places.sort_by_key(|place| (place.at, place.segment, place.row));
        }
        let mut rows = Vec::new();
        for event in &events {
            let names = self.engine.values(*event, who)?;
            let other = names.first().and_then(|name| {
                let places = by_who.get(name.as_str())?;
                let before = places.partition_point(|place| place.at <= event.at);
                places[..before].last().filter(|place| place.at >= event.at - reach)
            });
            let mut row = json!({ "at": event.at, "by": names.first(), "place": self.place(*event)?, "values": self.texts(*event, &self.panel.columns)? });
            if let Some(other) = other {
                row["other"] = json!({ "at": other.at, "place": self.place(*other)?, "values": self.texts(*other, &self.panel.other_columns)? });
            }
            rows.push(row);
        }
        Ok(json!({
            "by": who, "columns": self.panel.columns, "other_columns": self.panel.other_columns, "hours": self.panel.hours,
            "total": self.selection.count(), "rows": rows,
        }))
    }

    /// Of each field the values that an event has.
    fn texts(&self, place: Place, fields: &[String]) -> io::Result<Vec<Vec<String>>> {
        fields.iter().map(|field| self.engine.values(place, field)).collect()
    }

    fn place(&self, place: Place) -> io::Result<Value> {
        let snapshot = self.engine.snapshot();
        let segment = &snapshot.segments[place.segment];
        Ok(
            json!({ "file": snapshot.files[segment.file].id, "offset": segment.offset(place.row)?, "at": place.at }),
        )
    }

    fn events(&self, skip: usize) -> Result<Value> {
        const PAGE: usize = 50;
        let mut rows = Vec::new();
        for place in self.engine.ordered(&self.selection, true, skip, PAGE)? {
            rows.push(json!({ "at": place.at, "place": self.place(place)?, "values": self.texts(place, &self.panel.columns)? }));
        }
        Ok(
            json!({ "columns": self.panel.columns, "total": self.selection.count(), "skip": skip, "page": PAGE, "rows": rows }),
        )
    }

    fn files(&self, files: &Files) -> Result<Value> {
        let receipts = Query::parse(&files.receipts)?;
        // A file stands where its hour does, whichever time its receipt has: all of its events and its receipt count. What is searched for
        // only chooses which files are listed: their events held against their receipts are the same whatever is looked at.
        let always = i64::MIN / 4..i64::MAX / 4;
        let field = |field: &str| Dimension::Field(field.to_owned());
        let events = self.scope.clone().and(Query::Not(Box::new(receipts.clone())));
        let mut known: BTreeMap<Arc<str>, File> = BTreeMap::new();
        let events = self.engine.select(&events, &always)?;
        let here = self.engine.documents_once(&events, &files.id, EVENT)?;
        for group in self.engine.groups(&events, &[field(&files.id), field(&files.group)], &[])? {
            let file = known.entry(self.engine.text(&files.id, group.key[0])).or_default();
            file.kind = self.engine.text(&files.group, group.key[1]).to_string();
        }
        for (ordinal, count) in here {
            let file = known.entry(self.engine.text(&files.id, ordinal)).or_default();
            (file.here, file.again) = count;
        }
        let receipts = self.engine.select(&receipts.and(self.scope.clone()), &always)?;
        let told: Vec<(Metric, Option<Arc<Selection>>)> =
            [&files.rows, &files.left_out].map(|field| (Metric::Max { field: field.clone() }, None)).into();
        for group in self.engine.groups(&receipts, &[field(&files.id)], &told)? {
            let file = known.entry(self.engine.text(&files.id, group.key[0])).or_default();
            let rows = group.values[0].unwrap_or_default();
            file.listed = Some((rows - group.values[1].unwrap_or_default()) as u64);
        }
        for group in self.engine.groups(&receipts, &[field(&files.id), field("event.outcome")], &[])? {
            let outcome = self.engine.text("event.outcome", group.key[1]);
            if let Some(file) = known.get_mut(&self.engine.text(&files.id, group.key[0])) {
                // A later receipt of success makes good an earlier one of failure.
                file.succeeded |= &*outcome == "success";
            }
        }
        for group in self.engine.groups(&receipts, &[field(&files.id), field(&files.receipt_group)], &[])? {
            if let Some(file) = known.get_mut(&self.engine.text(&files.id, group.key[0])) {
                file.named = self.engine.text(&files.receipt_group, group.key[1]).to_string();
            }
        }
        for selection in [&events, &receipts] {
            let by = [field(&files.id), field(&files.covers), field(&files.made)];
            for group in self.engine.groups(selection, &by, &[])? {
                if let Some(file) = known.get_mut(&self.engine.text(&files.id, group.key[0])) {
                    file.covers = time::parse(&self.engine.text(&files.covers, group.key[1]));
                    file.made = time::parse(&self.engine.text(&files.made, group.key[2]));
                }
            }
            for group in self.engine.groups(selection, &[field(&files.id), field(&files.interval)], &[])? {
                if let Some(file) = known.get_mut(&self.engine.text(&files.id, group.key[0])) {
                    file.length =
                        if self.engine.text(&files.interval, group.key[1]).eq_ignore_ascii_case("daily") {
                            DAY
                        } else {
                            HOUR
                        };
                }
            }
        }
        // The name that receipts have is better, and files without one have it from those of their kind.
        let names: BTreeMap<String, String> = known
            .values()
            .filter(|file| !file.named.is_empty() && !file.kind.is_empty())
            .map(|file| (file.kind.clone(), file.named.clone()))
            .collect();
        let matching = self.engine.select(&self.scope.clone().and(self.view.query.clone()), &always)?;
        let listed: BTreeSet<Arc<str>> = self
            .engine
            .groups(&matching, &[field(&files.id)], &[])?
            .iter()
            .map(|group| self.engine.text(&files.id, group.key[0]))
            .collect();
        // All of what there is has no edge: the first file may cover what lies before its first event.
        let span = self.engine.span()?.unwrap_or(0..0);
        let times = &self.view.times;
        let seen =
            if times.start <= span.start && span.end < times.end { always.clone() } else { times.clone() };
        let seen = seen.start.max(always.start)..seen.end.min(always.end);
        let mut rows = Vec::new();
        let mut kinds: BTreeMap<String, Covered> = BTreeMap::new();
        for (id, file) in &known {
            let length = file.length.max(HOUR);
            let Some(covers) = file.covers else { continue };
            let kind =
                if file.named.is_empty() { names.get(&file.kind).unwrap_or(&file.kind) } else { &file.named };
            let late = file.made.map(|made| made - covers - length);
            let state = file.state(late, files.late_after);
            let entry = kinds.entry(kind.clone()).or_default();
            entry.length = entry.length.map_or(Some(length), |known| Some(known.min(length)));
            let piece = entry.pieces.entry(covers).or_insert(Piece { end: covers, worst: state, files: 0 });
            *piece = Piece {
                end: piece.end.max(covers + length),
                worst: worse(piece.worst, state),
                files: piece.files + 1,
            };
            // Of which kinds the hours are shown does not depend on the piece of time: where all files lack is what somebody looks for.
            let listed = listed.contains(id);
            entry.listed |= listed;
            if listed && overlaps(&(covers..covers + length), &seen) {
                rows.push(json!({
                    "id": &**id, "kind": kind, "covers": covers, "here": file.here, "again": file.again, "listed": file.listed,
                    "late": late, "state": state,
                }));
            }
        }
        // Each kind has files for all that any file covers, from the beginning of the first to the end of the last.
        let first = kinds.values().filter_map(|kind| kind.pieces.keys().next()).min().copied();
        let last = kinds.values().flat_map(|kind| kind.pieces.values()).map(|piece| piece.end).max();
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(
                json!({ "total": 0, "rows": [], "cells": [], "cell": HOUR, "summary": [], "late_after": files.late_after }),
            );
        };
        // Of more than can be told apart beside each other a cell is longer, with the worst of it.
        let length = last.min(seen.end) - first.max(seen.start);
        let cell = [HOUR, DAY, 30 * DAY, 365 * DAY]
            .into_iter()
            .find(|cell| length / cell < CELLS)
            .unwrap_or(length / CELLS / DAY * DAY + DAY);
        let mut without = 0;
        let mut cells: BTreeMap<(&String, i64), Piece> = BTreeMap::new();
        for (kind, covered) in kinds.iter().filter(|(_, covered)| covered.listed) {
            let mut add = |at: i64, piece: &Piece| {
                let at = at.div_euclid(cell) * cell;
                let known = cells.entry((kind, at)).or_insert(Piece { end: at + cell, files: 0, ..*piece });
                known.end = known.end.max(piece.end);
                known.worst = worse(known.worst, piece.worst);
                known.files += piece.files;
            };
            for (at, piece) in covered.pieces.iter().filter(|(at, piece)| overlaps(&(**at..piece.end), &seen))
            {
                add(*at, piece);
            }
            for lack in covered.lacks(first..last, &seen) {
                without += lack.count;
                for at in lack.starts(cell) {
                    add(at, &Piece { end: at + lack.length, worst: "no file", files: 0 });
                }
            }
        }
        let cells: Vec<Value> = cells
            .iter()
            .map(|((kind, at), piece)| json!({ "kind": kind, "at": at, "to": piece.end, "state": piece.worst, "files": piece.files }))
            .collect();
        rows.sort_by_key(|row| {
            let state = row["state"].as_str().unwrap_or_default();
            (severity(state), row["covers"].as_i64(), row["id"].as_str().map(str::to_owned))
        });
        let count = |name: &str| rows.iter().filter(|row| row["state"] == name).count();
        let summary: Vec<Value> = STATES
            .iter()
            .map(|state| json!([state, if *state == "no file" { without } else { count(state) as i64 }]))
            .collect();
        let total = rows.len();
        rows.truncate(FILES);
        Ok(
            json!({ "total": total, "rows": rows, "cells": cells, "cell": cell, "summary": summary, "late_after": files.late_after }),
        )
    }
}

/// What a file can be like, the worst first.
const STATES: [&str; 7] = ["given up", "rows lack", "no file", "too many", "late", "no receipt", "complete"];

fn severity(state: &str) -> usize {
    STATES.iter().position(|known| *known == state).unwrap_or(STATES.len())
}

fn overlaps(one: &Range<i64>, other: &Range<i64>) -> bool {
    one.start < other.end && one.end > other.start
}

fn worse(one: &'static str, other: &'static str) -> &'static str {
    if severity(other) < severity(one) { other } else { one }
}

/// A piece of time: where it ends, the worst file that begins in it, and how many do.
struct Piece {
    end: i64,
    worst: &'static str,
    files: u64,
}

/// A kind of file: how much time one covers, what there is of each piece of time by its beginning, and whether one of them is listed.
#[derive(Default)]
struct Covered {
    length: Option<i64>,
    pieces: BTreeMap<i64, Piece>,
    listed: bool,
}

/// Files that there are not, one behind the other.
struct Lack {
    from: i64,
    length: i64,
    count: i64,
}

impl Lack {
    /// Where they begin, of those in the same cell the first.
    fn starts(&self, cell: i64) -> impl Iterator<Item = i64> {
        let (from, length, count) = (self.from, self.length, self.count);
        let next = move |at: &i64| {
            let after = (at.div_euclid(cell) + 1) * cell;
            Some(from + ((after - from + length - 1) / length) * length)
        };
        std::iter::successors(Some(from), next).take_while(move |at| *at < from + count * length)
    }
}

impl Covered {
    /// The files of its length that lack between two times, of those that cover any of what is seen. However long that is, it is told at once.
    fn lacks(&self, within: Range<i64>, seen: &Range<i64>) -> Vec<Lack> {
        let length = self.length.unwrap_or(HOUR);
        let own = self.pieces.keys().next().copied().unwrap_or(within.start);
        // Daily files begin at whole days, whatever hourly ones of another kind do.
        let mut at = own - (own - within.start) / length * length;
        let mut found = Vec::new();
        let ends = self.pieces.iter().map(|(begin, piece)| (*begin, piece.end));
        for (begin, end) in ends.chain([(within.end, within.end)]) {
            let unseen = ((seen.start - at).max(0) / length).min((begin - at).max(0) / length);
            let from = at + unseen * length;
            let count = ((begin - from) / length).min((seen.end - from + length - 1) / length);
            if count > 0 {
                found.push(Lack { from, length, count });
            }
            at = at.max(end);
        }
        found
    }
}

#[derive(Default)]
struct File {
    kind: String,
    named: String,
    /// Its events, each once, and how many came again.
    here: u64,
    again: u64,
    listed: Option<u64>,
    succeeded: bool,
    covers: Option<i64>,
    made: Option<i64>,
    length: i64,
}

impl File {
    fn state(&self, late: Option<i64>, late_after: u32) -> &'static str {
        let late = late.is_some_and(|late| late > i64::from(late_after) * HOUR);
        match self.listed {
            Some(_) if !self.succeeded => "given up",
            Some(listed) if self.here < listed => "rows lack",
            Some(listed) if self.here > listed => "too many",
            _ if self.again > 0 => "too many",
            _ if late => "late",
            Some(_) => "complete",
            None => "no receipt",
        }
    }
}

fn counted(metric: &Metric) -> bool {
    matches!(metric, Metric::Count | Metric::Unique { .. } | Metric::Sum { .. })
}

/// A value for each piece of time. Where nothing is to be counted there is 0, where nothing is to be measured there is none.
fn spread(
    groups: &[Group],
    pieces: &Pieces,
    metric: &Metric,
    bucket: impl Fn(&Group) -> Ordinal,
) -> Vec<Option<f64>> {
    let mut values = vec![counted(metric).then_some(0.0); pieces.count];
    for group in groups {
        if let Some(value) = values.get_mut(bucket(group) as usize) {
            *value = group.values[0].or(*value);
        }
    }
    values
}

/// Where each value would usually lie: three usual deviations around the median of the other values, of the same time of day if there
/// are four such. What is no value is not judged, and nothing is where there are fewer than four others.
fn band(values: &[Option<f64>], interval: i64) -> Vec<Option<(f64, f64)>> {
    let day = if DAY % interval == 0 { (DAY / interval) as usize } else { 1 };
    (0..values.len())
        .map(|index| {
            let others = |step: usize| -> Vec<f64> {
                (0..values.len())
                    .filter(|other| *other != index && (other.abs_diff(index)).is_multiple_of(step))
                    .filter_map(|other| values[other])
                    .collect()
            };
            values[index]?;
            let mut usual = others(day);
            if usual.len() < 4 {
                usual = others(1);
            }
            if usual.len() < 4 {
                return None;
            }
            let middle = crate::engine::percentile(&mut usual, 50.0).unwrap_or_default();
            let mut away: Vec<f64> = usual.iter().map(|value| (value - middle).abs()).collect();
            // 1.4826 makes of the median deviation the standard deviation of values that are spread normally; numbers of events
            // that have nothing to do with each other are spread by the root of their mean.
            let spread = (crate::engine::percentile(&mut away, 50.0).unwrap_or_default() * 1.4826)
                .max(middle.sqrt())
                .max(1.0);
            Some(((middle - 3.0 * spread).max(0.0), middle + 3.0 * spread))
        })
        .collect()
}

/// The fields that documents have, for completion: names, and whether their values are texts.
pub fn fields(engine: &Engine) -> io::Result<BTreeMap<String, bool>> {
    let mut fields = BTreeMap::new();
    for segment in &engine.snapshot().segments {
        for (name, text) in segment.fields()? {
            *fields.entry(name).or_default() |= text;
        }
    }
    fields.remove(TIME);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_the_band_and_what_comes_every_day_does_not() {
        let mut values: Vec<Option<f64>> =
            (0..24 * 7).map(|hour| Some(if hour % 24 == 9 { 500.0 } else { 20.0 })).collect();
        values[100] = Some(90.0);
        let band = band(&values, HOUR);
        let out: Vec<usize> =
            (0..values.len()).filter(|index| values[*index] > band[*index].map(|(_, high)| high)).collect();
        assert_eq!(out, [100]);
    }

    #[test]
    fn few_values_have_no_band_and_what_is_none_is_not_judged() {
        assert_eq!(band(&[Some(1.0), Some(900.0), Some(1.0), Some(1.0)], HOUR), [None; 4]);
        let band = band(&[None, Some(20.0), Some(20.0), Some(20.0), Some(20.0), Some(20.0), None], HOUR);
        assert_eq!((band[0], band[6]), (None, None));
        assert!(band[1..6].iter().all(|band| band.is_some_and(|(low, high)| low > 6.0 && high < 34.0)));
    }

    #[test]
    fn a_piece_that_is_cut_is_not_whole() {
        let times = HOUR + 7..4 * HOUR;
        let pieces = Pieces { from: HOUR, interval: HOUR, count: 3 };
        let whole: Vec<bool> = pieces.starts().iter().map(|start| pieces.is_whole(*start, &times)).collect();
        assert_eq!(whole, [false, true, true]);
    }

    #[test]
    fn pieces_of_time_begin_at_whole_ones_and_hold_all() {
        let pieces = Pieces::of(&(HOUR + 7..DAY + 1));
        assert_eq!((pieces.from, pieces.interval), (HOUR, 15 * MINUTE));
        assert_eq!(pieces.starts().last(), Some(&DAY));
    }

    #[test]
    fn however_long_what_is_looked_at_is_there_are_no_more_pieces_than_are_shown_and_they_hold_all() {
        for start in [-8_640_000_000_000_000, -1, 0, 7, HOUR - 1] {
            for length in (0..53).map(|power| 1 << power) {
                for length in [length, length + 1, length / SECOND * SECOND * 120] {
                    let times = start..start + length.max(1);
                    let pieces = Pieces::of(&times);
                    assert!(pieces.count <= PIECES as usize, "{} pieces of {times:?}", pieces.count);
                    assert_eq!(
                        (pieces.index(times.start), pieces.index(times.end - 1) + 1),
                        (0, pieces.count)
                    );
                }
            }
        }
    }
}
