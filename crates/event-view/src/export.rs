//! The same dashboards for Kibana and Grafana. What neither of them can show is named in a panel of text.

use crate::{
    definitions::{Dashboard, Kind, Look, Panel, Series},
    engine::Metric,
    query::{Comparison, Pattern, Query, Sign},
};
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// The documents in Elasticsearch: data streams of the datasets that are collected.
const STREAMS: &str = "logs-salesforce.*";

/// What Grafana asks.
#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    /// A data source of Elasticsearch.
    Elasticsearch,
    /// A data source of Loki, whose lines are the documents.
    Loki,
}

fn chosen<'a>(dashboards: &'a [Dashboard], only: Option<&str>) -> Result<Vec<&'a Dashboard>> {
    let found: Vec<_> =
        dashboards.iter().filter(|dashboard| only.is_none_or(|only| dashboard.name == only)).collect();
    if found.is_empty() {
        let names: Vec<_> = dashboards.iter().map(|dashboard| dashboard.name.as_str()).collect();
        bail!("there is no dashboard {}; there are {}", only.unwrap_or_default(), names.join(", "));
    }
    Ok(found)
}

/// Whether any of it can be asked of a store that only counts and measures.
fn elsewhere(panel: &Panel, shown: impl Fn(&Panel, &Series) -> bool) -> bool {
    !matches!(panel.kind, Kind::First | Kind::Beside | Kind::Files)
        && (panel.series.is_empty() || panel.series.iter().any(|series| shown(panel, series)))
}

/// Panels, and columns of panels, that are not shown elsewhere.
fn left_out(dashboard: &Dashboard, shown: impl Fn(&Panel, &Series) -> bool) -> Option<String> {
    let mut titles = Vec::new();
    for panel in &dashboard.panels {
        if !elsewhere(panel, &shown) {
            titles.push(panel.title.clone());
            continue;
        }
        let columns = panel.series.iter().filter(|series| !shown(panel, series));
        titles.extend(columns.map(|series| format!("{}, {}", panel.title, series.title)));
    }
    (!titles.is_empty())
        .then(|| format!("{} Shown by `event-view` alone: {}.", dashboard.about, titles.join("; ")))
}

/// What is told of documents where some of it cannot be: where nothing is named, how many there are.
fn those_shown(panel: &Panel, shown: impl Fn(&Panel, &Series) -> bool) -> Vec<Series> {
    let found: Vec<Series> = panel.series.iter().filter(|series| shown(panel, series)).cloned().collect();
    if found.is_empty() { vec![counted()] } else { found }
}

/// Of a share Kibana shows a number's part and rest, and has no other place for it; nor has it one for series with searches of their own.
fn in_kibana(panel: &Panel, series: &Series) -> bool {
    let share = matches!(series.metric, Metric::Share { .. });
    series.filter.is_empty() && (!share || panel.kind == Kind::Number)
}

/// In Grafana's tables over Elasticsearch the columns of two queries are called the same, so that each table is of one.
fn in_grafana(panel: &Panel, series: &Series) -> bool {
    panel.kind != Kind::Table || series.filter.is_empty() && !matches!(series.metric, Metric::Share { .. })
}

/// Loki has no function for the time of a line.
fn in_loki(_: &Panel, series: &Series) -> bool {
    !matches!(series.metric, Metric::First | Metric::Last)
}

impl Source {
    fn shows(self) -> fn(&Panel, &Series) -> bool {
        match self {
            Self::Elasticsearch => in_grafana,
            Self::Loki => in_loki,
        }
    }
}

fn both(one: &str, other: &str) -> String {
    match (one, other) {
        ("", text) | (text, "") => text.to_owned(),
        _ => format!("({one}) and ({other})"),
    }
}

// ---- Kibana ----------------------------------------------------------------------------------------

/// Saved objects: a data view, and for each dashboard its visualizations, its searches and itself.
pub fn kibana(dashboards: &[Dashboard], only: Option<&str>) -> Result<String> {
    let mut objects = vec![json!({
        "type": "index-pattern", "id": "event-view-logs", "references": [],
        "attributes": { "title": STREAMS, "name": "Salesforce events", "timeFieldName": "@timestamp" },
    })];
    for dashboard in chosen(dashboards, only)? {
        let mut panels = Vec::new();
        let mut references = Vec::new();
        let mut place = Grid { columns: 48, row: 12, ..Grid::default() };
        let mut add = |object: Value, grid: (u32, u32, u32, u32), objects: &mut Vec<Value>| {
            let index = panels.len().to_string();
            let (x, y, w, h) = grid;
            panels.push(json!({
                "panelIndex": index, "gridData": { "x": x, "y": y, "w": w, "h": h, "i": index },
                "panelRefName": format!("panel_{index}"), "embeddableConfig": {}, "type": object["type"],
            }));
            references.push(json!({ "name": format!("{index}:panel_{index}"), "type": object["type"], "id": object["id"] }));
            objects.push(object);
        };
        for panel in dashboard.panels.iter().filter(|panel| elsewhere(panel, in_kibana)) {
            add(kibana_panel(dashboard, panel), place.next(u32::from(panel.width) * 4, panel), &mut objects);
        }
        if let Some(text) = left_out(dashboard, in_kibana) {
            let state = json!({ "title": "About", "type": "markdown", "aggs": [], "params": { "markdown": text, "fontSize": 12, "openLinksInNewTab": false } });
            let object = json!({
                "type": "visualization", "id": format!("event-view-{}-about", dashboard.name), "references": [],
                "attributes": {
                    "title": "About", "visState": state.to_string(), "uiStateJSON": "{}",
                    "kibanaSavedObjectMeta": { "searchSourceJSON": "{}" },
                },
            });
            add(object, place.full(4), &mut objects);
        }
        objects.push(json!({
            "type": "dashboard", "id": format!("event-view-{}", dashboard.name), "references": references,
            "attributes": {
                "title": format!("[event-view] {}", dashboard.title), "description": dashboard.about, "timeRestore": false,
                "panelsJSON": Value::from(panels).to_string(), "optionsJSON": json!({ "useMargins": true }).to_string(),
                "kibanaSavedObjectMeta": { "searchSourceJSON": json!({ "query": { "language": "kuery", "query": "" }, "filter": [] }).to_string() },
            },
        }));
    }
    Ok(objects.iter().map(|object| format!("{object}\n")).collect())
}

/// Where the next panel goes.
#[derive(Default)]
struct Grid {
    columns: u32,
    row: u32,
    x: u32,
    y: u32,
    height: u32,
}

impl Grid {
    fn next(&mut self, width: u32, panel: &Panel) -> (u32, u32, u32, u32) {
        let height = if panel.kind == Kind::Number { self.row / 2 } else { self.row };
        if self.x + width > self.columns {
            self.x = 0;
            self.y += self.height;
            self.height = 0;
        }
        let place = (self.x, self.y, width, height);
        self.x += width;
        self.height = self.height.max(height);
        place
    }

    fn full(&mut self, height: u32) -> (u32, u32, u32, u32) {
        (0, self.y + self.height, self.columns, height)
    }
}

fn kibana_panel(dashboard: &Dashboard, panel: &Panel) -> Value {
    let query = both(&dashboard.filter, &panel.filter);
    let source = json!({
        "query": { "language": "kuery", "query": query }, "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    });
    let references = json!([{
        "name": "kibanaSavedObjectMeta.searchSourceJSON.index", "type": "index-pattern", "id": "event-view-logs",
    }]);
    let id = format!("event-view-{}-{}", dashboard.name, panel.id);
    let meta = json!({ "searchSourceJSON": source.to_string() });
    if panel.kind == Kind::Events {
        return json!({
            "type": "search", "id": id, "references": references,
            "attributes": {
                "title": format!("{}: {}", dashboard.title, panel.title), "description": panel.about, "columns": panel.columns,
                "sort": [["@timestamp", "desc"]], "kibanaSavedObjectMeta": meta,
            },
        });
    }
    let state = kibana_state(panel);
    json!({
        "type": "visualization", "id": id, "references": references,
        "attributes": {
            "title": format!("{}: {}", dashboard.title, panel.title), "description": panel.about, "visState": state.to_string(),
            "uiStateJSON": "{}", "version": 1, "kibanaSavedObjectMeta": meta,
        },
    })
}

fn kibana_state(panel: &Panel) -> Value {
    let mut aggregations = Vec::new();
    let series = those_shown(panel, in_kibana);
    let mut add = |kind: &str, schema: &str, params: Value| {
        let id = (aggregations.len() + 1).to_string();
        aggregations
            .push(json!({ "id": id, "enabled": true, "type": kind, "schema": schema, "params": params }));
    };
    for series in &series {
        let label = &series.title;
        let (kind, params) = match &series.metric {
            Metric::Count | Metric::Share { .. } => ("count", json!({ "customLabel": label })),
            Metric::Unique { field } => ("cardinality", json!({ "field": field, "customLabel": label })),
            Metric::Sum { field } => ("sum", json!({ "field": field, "customLabel": label })),
            Metric::Average { field } => ("avg", json!({ "field": field, "customLabel": label })),
            Metric::Min { field } => ("min", json!({ "field": field, "customLabel": label })),
            Metric::Max { field } => ("max", json!({ "field": field, "customLabel": label })),
            Metric::Percentile { field, percent } => {
                ("percentiles", json!({ "field": field, "percents": [percent], "customLabel": label }))
            }
            Metric::First => ("min", json!({ "field": "@timestamp", "customLabel": label })),
            Metric::Last => ("max", json!({ "field": "@timestamp", "customLabel": label })),
        };
        add(kind, "metric", params);
    }
    // Of a share is told what it is made of: how many match, and how many do not.
    if let Some(of) = series.iter().find_map(|series| match &series.metric {
        Metric::Share { of } if panel.kind == Kind::Number => Some(of),
        _ => None,
    }) {
        let filter = |search: String, label: &str| json!({ "input": { "query": search, "language": "kuery" }, "label": label });
        add(
            "filters",
            "group",
            json!({ "filters": [filter(of.clone(), of), filter(format!("not ({of})"), "others")] }),
        );
    }
    // The first metric decides the order; of percentiles that is one value of those that there might be.
    let order = match &series[0].metric {
        Metric::Percentile { percent, .. } if percent.fract() == 0.0 => format!("1.{percent}"),
        Metric::Percentile { percent, .. } => format!("1['{percent}']"),
        _ => "1".to_owned(),
    };
    let terms = |field: &str, size: usize| json!({ "field": field, "size": size, "order": "desc", "orderBy": order, "otherBucket": false, "missingBucket": false });
    let by_time = json!({ "field": "@timestamp", "interval": "auto", "useNormalizedEsInterval": true, "min_doc_count": 1 });
    let kind = match panel.kind {
        Kind::Number => "metric",
        Kind::Time => {
            add("date_histogram", "segment", by_time);
            if !panel.split.is_empty() {
                add("terms", "group", terms(&panel.split, panel.size));
            }
            match panel.look {
                Look::Line => "line",
                Look::Area => "area",
                _ => "histogram",
            }
        }
        Kind::Top => {
            add("terms", "segment", terms(&panel.field, panel.size));
            if !panel.split.is_empty() {
                add("terms", "group", terms(&panel.split, 10));
            }
            if matches!(panel.look, Look::Ring | Look::Boxes) { "pie" } else { "horizontal_bar" }
        }
        Kind::Heat => {
            add("date_histogram", "segment", by_time);
            add("terms", "group", terms(&panel.field, panel.size));
            "heatmap"
        }
        Kind::Map => {
            add("terms", "bucket", terms(&panel.country, 50));
            "table"
        }
        _ => {
            for field in &panel.by {
                add("terms", "bucket", terms(field, panel.size));
            }
            "table"
        }
    };
    let params = match kind {
        "pie" => json!({ "type": "pie", "isDonut": true, "addLegend": true, "addTooltip": true }),
        "table" => {
            json!({ "perPage": 10, "showMetricsAtAllLevels": false, "showPartialRows": false, "showTotal": false })
        }
        "metric" => json!({ "type": "metric", "addLegend": false, "addTooltip": true }),
        "heatmap" => {
            json!({ "type": "heatmap", "addLegend": true, "addTooltip": true, "colorSchema": "Blues", "colorsNumber": 5, "valueAxes": [{ "id": "ValueAxis-1", "type": "value", "show": false, "scale": { "type": "linear" }, "labels": { "show": false } }] })
        }
        _ => xy(panel, kind, &series),
    };
    json!({ "title": panel.title, "type": kind, "aggs": aggregations, "params": params })
}

fn xy(panel: &Panel, kind: &str, series: &[Series]) -> Value {
    let across = kind == "horizontal_bar";
    let drawn = if across { "histogram" } else { kind };
    let axis = |right: bool| if right { "ValueAxis-2" } else { "ValueAxis-1" };
    let lines: Vec<Value> = series
        .iter()
        .enumerate()
        .map(|(index, series)| {
            json!({
                "show": true, "type": if series.right { "line" } else { drawn }, "mode": if panel.look == Look::Line { "normal" } else { "stacked" },
                "data": { "id": (index + 1).to_string(), "label": series.title }, "valueAxis": axis(series.right), "showCircles": true,
                "drawLinesBetweenPoints": true, "interpolate": "linear",
            })
        })
        .collect();
    let mut axes = vec![(false, if across { "bottom" } else { "left" })];
    if series.iter().any(|series| series.right) {
        axes.push((true, "right"));
    }
    let axes: Vec<Value> = axes
        .into_iter()
        .map(|(right, position)| {
            json!({
                "id": axis(right), "name": position, "type": "value", "position": position, "show": true, "style": {},
                "scale": { "type": "linear", "mode": "normal" }, "labels": { "show": true, "rotate": 0, "filter": false, "truncate": 100 }, "title": { "text": "" },
            })
        })
        .collect();
    json!({
        "type": kind, "addLegend": true, "addTooltip": true, "legendPosition": "right", "times": [], "addTimeMarker": false,
        "grid": { "categoryLines": false }, "seriesParams": lines, "valueAxes": axes,
        "categoryAxes": [{
            "id": "CategoryAxis-1", "type": "category", "position": if across { "left" } else { "bottom" }, "show": true, "style": {},
            "scale": { "type": "linear" }, "labels": { "show": true, "filter": true, "truncate": 100 }, "title": {},
        }],
    })
}

fn counted() -> Series {
    Series {
        title: "Events".into(),
        filter: String::new(),
        metric: Metric::Count,
        unit: String::new(),
        right: false,
    }
}

// ---- Grafana ---------------------------------------------------------------------------------------

/// One dashboard, to be imported.
pub fn grafana(dashboards: &[Dashboard], only: Option<&str>, source: Source) -> Result<String> {
    let found = chosen(dashboards, only)?;
    let [dashboard] = found[..] else {
        let names: Vec<_> = dashboards.iter().map(|dashboard| dashboard.name.as_str()).collect();
        bail!("Grafana takes one dashboard at a time: name it with --only, one of {}", names.join(", "));
    };
    let shown = source.shows();
    let mut panels = Vec::new();
    let mut place = Grid { columns: 24, row: 8, ..Grid::default() };
    for panel in dashboard.panels.iter().filter(|panel| elsewhere(panel, shown)) {
        let (x, y, w, h) = place.next(u32::from(panel.width) * 2, panel);
        let mut made = grafana_panel(dashboard, panel, source)?;
        made["id"] = json!(panels.len() + 1);
        made["gridPos"] = json!({ "x": x, "y": y, "w": w, "h": h });
        panels.push(made);
    }
    if let Some(text) = left_out(dashboard, shown) {
        let (x, y, w, h) = place.full(3);
        panels.push(json!({
            "id": panels.len() + 1, "type": "text", "title": "About", "gridPos": { "x": x, "y": y, "w": w, "h": h },
            "options": { "mode": "markdown", "content": text },
        }));
    }
    let mut variables = vec![json!({
        "name": "source", "label": "Data source", "type": "datasource", "query": if source == Source::Loki { "loki" } else { "elasticsearch" },
    })];
    if source == Source::Loki {
        variables.push(json!({
            "name": "streams", "label": "Streams", "type": "textbox", "query": "{service_name=~\".+\"}",
            "current": { "text": "{service_name=~\".+\"}", "value": "{service_name=~\".+\"}" },
        }));
    }
    let dashboard = json!({
        "uid": format!("event-view-{}", dashboard.name), "title": format!("{} (event-view)", dashboard.title), "description": dashboard.about,
        "tags": ["event-view"], "timezone": "utc", "schemaVersion": 39, "editable": true, "time": { "from": "now-24h", "to": "now" },
        "templating": { "list": variables }, "panels": panels,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&dashboard)?))
}

fn grafana_panel(dashboard: &Dashboard, panel: &Panel, source: Source) -> Result<Value> {
    let kind = match (panel.kind, panel.look) {
        (Kind::Number, _) => "stat",
        (Kind::Time, _) => "timeseries",
        (Kind::Heat, _) => "timeseries",
        (Kind::Top, Look::Ring) => "piechart",
        (Kind::Top, _) => "bargauge",
        (Kind::Events, _) if source == Source::Loki => "logs",
        _ => "table",
    };
    let series = those_shown(panel, source.shows());
    let scope = Query::parse(&dashboard.filter)?.and(Query::parse(&panel.filter)?);
    let data =
        json!({ "type": if source == Source::Loki { "loki" } else { "elasticsearch" }, "uid": "${source}" });
    let mut targets = Vec::new();
    match source {
        Source::Elasticsearch => elasticsearch(panel, &series, &scope, &mut targets),
        Source::Loki => loki(panel, &series, &scope, &mut targets),
    }
    for (target, _) in &mut targets {
        target["datasource"] = data.clone();
    }
    let overrides: Vec<Value> = match (panel.kind, source) {
        (Kind::Time, _) => targets.iter().filter_map(|(target, series)| {
            let mut properties = vec![json!({ "id": "unit", "value": unit(series.as_ref()?, source) })];
            if series.as_ref()?.right {
                properties.push(json!({ "id": "custom.axisPlacement", "value": "right" }));
            }
            Some(json!({ "matcher": { "id": "byFrameRefID", "options": target["refId"] }, "properties": properties }))
        }).collect(),
        (Kind::Table, Source::Elasticsearch) => series.iter().map(|series| column(json!({ "id": "byRegexp", "options": column_name(&series.metric) }), series, source)).collect(),
        (Kind::Table, Source::Loki) => targets.iter().filter_map(|(target, series)| {
            let name = if targets.len() > 1 { format!("Value #{}", target["refId"].as_str()?) } else { "Value".to_owned() };
            Some(column(json!({ "id": "byName", "options": name }), series.as_ref()?, source))
        }).collect(),
        _ => Vec::new(),
    };
    let asked: Vec<&Value> = targets.iter().map(|(target, _)| target).collect();
    let mut made = json!({
        "type": kind, "title": panel.title, "description": panel.about, "datasource": data, "targets": asked,
        "fieldConfig": { "defaults": { "unit": if panel.kind == Kind::Table { "short" } else { unit(&series[0], source) } }, "overrides": overrides },
    });
    // A table of several queries is one table.
    if kind == "table" && targets.len() > 1 {
        made["transformations"] = json!([{ "id": "merge", "options": {} }]);
    }
    let bars = panel.kind == Kind::Time && panel.look == Look::Bar || panel.kind == Kind::Heat;
    if kind == "timeseries" && bars {
        made["fieldConfig"]["defaults"]["custom"] =
            json!({ "drawStyle": "bars", "fillOpacity": 80, "stacking": { "mode": "normal" } });
    }
    // Each row is a value, and not all of them one.
    let each = json!({ "values": true, "calcs": ["lastNotNull"], "fields": "", "limit": panel.size });
    match kind {
        "bargauge" => made["options"] = json!({ "orientation": "horizontal", "reduceOptions": each }),
        "piechart" => made["options"] = json!({ "pieType": "donut", "reduceOptions": each }),
        "stat" => {
            // The pieces of time of which a number is made may be two.
            let sum = match (&series[0].metric, source) {
                (_, Source::Loki) => "lastNotNull",
                (Metric::Count | Metric::Sum { .. } | Metric::Share { .. }, _) => "sum",
                (Metric::Min { .. } | Metric::First, _) => "min",
                (Metric::Max { .. } | Metric::Last, _) => "max",
                _ => "lastNotNull",
            };
            made["options"] = json!({ "reduceOptions": { "values": false, "calcs": [sum], "fields": "" } });
        }
        _ => {}
    }
    Ok(made)
}

/// As Grafana calls it. Over Elasticsearch a share is two numbers of documents.
fn unit(series: &Series, source: Source) -> &str {
    match (series.unit.as_str(), &series.metric) {
        (_, Metric::Share { .. }) if source == Source::Elasticsearch => "short",
        ("percent", _) => "percentunit",
        ("ns" | "ms" | "s" | "bytes", _) => &series.unit,
        ("time", _) => "dateTimeFromNow",
        _ => "short",
    }
}

fn column(matcher: Value, series: &Series, source: Source) -> Value {
    json!({ "matcher": matcher, "properties": [
        { "id": "displayName", "value": series.title }, { "id": "unit", "value": unit(series, source) },
    ] })
}

/// What Grafana calls a column of a table over Elasticsearch: it names the field only if there are several of the kind.
fn column_name(metric: &Metric) -> String {
    let of = |name: &str, field: &str| format!("/^{name}( {})?$/", field.replace('.', "\\."));
    match metric {
        Metric::Count | Metric::Share { .. } => "/^Count$/".to_owned(),
        Metric::Unique { field } => of("Unique Count", field),
        Metric::Sum { field } => of("Sum", field),
        Metric::Average { field } => of("Average", field),
        Metric::Min { field } => of("Min", field),
        Metric::Max { field } => of("Max", field),
        Metric::Percentile { field, percent } => {
            format!("/^p{}(\\.0)? {}$/", percent.to_string().replace('.', "\\."), field.replace('.', "\\."))
        }
        Metric::First => of("Min", "@timestamp"),
        Metric::Last => of("Max", "@timestamp"),
    }
}

/// What is asked, and for which series if it is for one.
type Targets = Vec<(Value, Option<Series>)>;

fn elasticsearch(panel: &Panel, series: &[Series], scope: &Query, targets: &mut Targets) {
    let reference = |index: usize| char::from(b'A' + index as u8 % 26).to_string();
    if panel.kind == Kind::Events {
        let target = json!({
            "refId": "A", "query": lucene(scope), "timeField": "@timestamp", "bucketAggs": [],
            "metrics": [{ "id": "1", "type": "raw_data", "settings": { "size": "100" } }],
        });
        return targets.push((target, None));
    }
    // Each series over time is a query of its own, which has a name and an axis. Elsewhere the first one is all that is shown, or all are columns.
    let shown: Vec<&[Series]> = match panel.kind {
        Kind::Time => series.chunks(1).collect(),
        Kind::Table => vec![series],
        _ => vec![&series[..1]],
    };
    let single = panel.split.is_empty() && matches!(panel.kind, Kind::Time | Kind::Number);
    for series in shown {
        let buckets = grafana_buckets(panel, &series[0].metric);
        let metrics: Vec<Value> =
            series.iter().enumerate().map(|(index, series)| grafana_metric(index, &series.metric)).collect();
        let part = scope.clone().and(Query::parse(&series[0].filter).unwrap_or(Query::All));
        let mut add = |alias: Option<&str>, query: &Query| {
            let mut target = json!({
                "refId": reference(targets.len()), "query": lucene(query), "timeField": "@timestamp", "bucketAggs": buckets, "metrics": metrics,
            });
            if let Some(alias) = alias {
                target["alias"] = json!(alias);
            }
            targets.push((target, (series.len() == 1).then(|| series[0].clone())));
        };
        let alias = single.then_some(series[0].title.as_str());
        match &series[0].metric {
            // How many of them match, in a query of its own: the part and the whole stand beside each other.
            Metric::Share { of } => {
                add(alias, &part.clone().and(Query::parse(of).unwrap_or(Query::All)));
                add(Some("of"), &part);
            }
            _ => add(alias, &part),
        }
    }
}

fn grafana_buckets(panel: &Panel, first: &Metric) -> Vec<Value> {
    // The first metric decides the order; of percentiles it is one value of several.
    let order = match first {
        Metric::Count | Metric::Share { .. } => "_count".to_owned(),
        Metric::Percentile { percent, .. } => format!("1[{percent:?}]"),
        _ => "1".to_owned(),
    };
    let terms = |id: usize, field: &str, size: usize| json!({ "id": id.to_string(), "type": "terms", "field": field, "settings": { "size": size.to_string(), "order": "desc", "orderBy": order, "min_doc_count": "1" } });
    let by_time = |interval: &str| json!({ "id": "90", "type": "date_histogram", "field": "@timestamp", "settings": { "interval": interval, "min_doc_count": "0" } });
    let mut buckets = Vec::new();
    match panel.kind {
        Kind::Time | Kind::Heat => {
            let split = if panel.kind == Kind::Heat { &panel.field } else { &panel.split };
            if !split.is_empty() {
                buckets.push(terms(91, split, panel.size));
            }
            buckets.push(by_time("auto"));
        }
        Kind::Top => {
            buckets.push(terms(91, &panel.field, panel.size));
            if !panel.split.is_empty() {
                buckets.push(terms(92, &panel.split, 10));
            }
        }
        Kind::Table => {
            buckets.extend(
                panel.by.iter().enumerate().map(|(index, field)| terms(91 + index, field, panel.size)),
            );
        }
        Kind::Map => buckets.push(terms(91, &panel.country, 50)),
        // A number over all of what is looked at is one of a piece that is long enough.
        _ => buckets.push(by_time("1000d")),
    }
    buckets
}

fn grafana_metric(index: usize, metric: &Metric) -> Value {
    let id = (index + 1).to_string();
    match metric {
        Metric::Count | Metric::Share { .. } => json!({ "id": id, "type": "count" }),
        Metric::Unique { field } => json!({ "id": id, "type": "cardinality", "field": field }),
        Metric::Sum { field } => json!({ "id": id, "type": "sum", "field": field }),
        Metric::Average { field } => json!({ "id": id, "type": "avg", "field": field }),
        Metric::Min { field } => json!({ "id": id, "type": "min", "field": field }),
        Metric::Max { field } => json!({ "id": id, "type": "max", "field": field }),
        Metric::Percentile { field, percent } => {
            json!({ "id": id, "type": "percentiles", "field": field, "settings": { "percents": [percent.to_string()] } })
        }
        Metric::First => json!({ "id": id, "type": "min", "field": "@timestamp" }),
        Metric::Last => json!({ "id": id, "type": "max", "field": "@timestamp" }),
    }
}

/// A search in the language that Grafana hands to Elasticsearch.
fn lucene(query: &Query) -> String {
    let joined = |parts: &[Query], with: &str| {
        parts.iter().map(|part| format!("({})", lucene(part))).collect::<Vec<_>>().join(with)
    };
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    match query {
        Query::All => "*".into(),
        Query::And(parts) => joined(parts, " AND "),
        Query::Or(parts) => joined(parts, " OR "),
        Query::Not(part) => format!("NOT ({})", lucene(part)),
        Query::Exists(field) => format!("_exists_:{field}"),
        Query::InFields(_, about) => lucene(about),
        Query::Is(field, Pattern::Exact(text, _) | Pattern::Address(_, text) | Pattern::Time(_, text)) => {
            format!("{field}:{}", quoted(text))
        }
        Query::Is(field, Pattern::Wildcard(pattern)) => format!("{field}:{}", wildcard(pattern)),
        Query::Is(field, Pattern::Network(address, bits)) => format!("{field}:\"{address}/{bits}\""),
        Query::Compares(field, comparison, value) => {
            let sign = sign(*comparison);
            format!(
                "{field}:{sign}{}",
                if value.parse::<f64>().is_ok() { value.clone() } else { quoted(value) }
            )
        }
        Query::Text(Pattern::Exact(text, _) | Pattern::Address(_, text) | Pattern::Time(_, text)) => {
            quoted(text)
        }
        Query::Text(Pattern::Wildcard(pattern)) => wildcard(pattern),
        Query::Text(Pattern::Network(address, bits)) => format!("\"{address}/{bits}\""),
    }
}

fn wildcard(pattern: &[Sign]) -> String {
    let mut text = String::new();
    for sign in pattern {
        match sign {
            Sign::Any => text.push('*'),
            Sign::One => text.push('?'),
            // These two cannot be escaped.
            Sign::Letter('<' | '>') => text.push('?'),
            Sign::Letter(letter) => {
                text.extend("+-=&|!(){}[]^\"~*?:\\/ ".contains(*letter).then_some('\\'));
                text.push(*letter);
            }
        }
    }
    text
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// As Loki's parser of JSON names it.
fn label(field: &str) -> String {
    field.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn loki(panel: &Panel, series: &[Series], scope: &Query, targets: &mut Targets) {
    let lines = |query: &Query| {
        let filter = logql(query, false);
        if filter.is_empty() { "$streams | json".to_owned() } else { format!("$streams | json | {filter}") }
    };
    let over_time = matches!(panel.kind, Kind::Time | Kind::Heat);
    let range = if over_time { "$__auto" } else { "$__range" };
    let by: Vec<String> = match panel.kind {
        Kind::Time => {
            [&panel.split].into_iter().filter(|field| !field.is_empty()).map(|field| label(field)).collect()
        }
        Kind::Heat => vec![label(&panel.field)],
        Kind::Top => [&panel.field, &panel.split]
            .into_iter()
            .filter(|field| !field.is_empty())
            .map(|field| label(field))
            .collect(),
        Kind::Table => panel.by.iter().map(|field| label(field)).collect(),
        Kind::Map => vec![label(&panel.country)],
        _ => Vec::new(),
    };
    // What lacks the field is in no group.
    let there: String = by.iter().map(|field| format!(" | {field}!=\"\"")).collect();
    let grouped = format!("by ({})", by.join(", "));
    let mut add = |expression: String, title: &str, series: Option<&Series>| {
        let reference = char::from(b'A' + targets.len() as u8 % 26).to_string();
        let target = json!({
            "refId": reference, "expr": expression, "queryType": if over_time || panel.kind == Kind::Events { "range" } else { "instant" },
            "legendFormat": if by.is_empty() { title.to_owned() } else { by.iter().map(|field| format!("{{{{{field}}}}}")).collect::<Vec<_>>().join(" ") },
        });
        targets.push((target, series.cloned()));
    };
    if panel.kind == Kind::Events {
        return add(lines(scope), &panel.title, None);
    }
    for series in series {
        let part = scope.clone().and(Query::parse(&series.filter).unwrap_or(Query::All));
        let from = format!("{}{there}", lines(&part));
        let measured = |function: &str, first: &str, field: &str| {
            format!(
                "{function}({first}{from} | unwrap {} | __error__=\"\" [{range}]) {grouped}",
                label(field)
            )
        };
        let count = |from: &str| format!("sum {grouped} (count_over_time({from} [{range}]))");
        let expression = match &series.metric {
            Metric::Count => count(&from),
            Metric::Share { of } => {
                let share = part.clone().and(Query::parse(of).unwrap_or(Query::All));
                format!("{} / {}", count(&format!("{}{there}", lines(&share))), count(&from))
            }
            Metric::Unique { field } => {
                let mut all = by.clone();
                all.push(label(field));
                format!(
                    "count {grouped} (sum by ({}) (count_over_time({from} | {}!=\"\" [{range}])))",
                    all.join(", "),
                    label(field)
                )
            }
            Metric::Sum { field } => format!(
                "sum {grouped} ({})",
                measured("sum_over_time", "", field).trim_end_matches(&format!(" {grouped}"))
            ),
            Metric::Average { field } => measured("avg_over_time", "", field),
            Metric::Min { field } => measured("min_over_time", "", field),
            Metric::Max { field } => measured("max_over_time", "", field),
            Metric::Percentile { field, percent } => {
                measured("quantile_over_time", &format!("{}, ", percent / 100.0), field)
            }
            Metric::First | Metric::Last => continue,
        };
        let expression =
            if panel.kind == Kind::Top { format!("topk({}, {expression})", panel.size) } else { expression };
        add(expression, &series.title, Some(series));
    }
}

/// A filter of labels; `not` turns it around, as there is no word for that.
fn logql(query: &Query, not: bool) -> String {
    let quoted =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let joined = |parts: &[Query], with: &str| {
        parts.iter().map(|part| format!("({})", logql(part, not))).collect::<Vec<_>>().join(with)
    };
    match query {
        Query::All => String::new(),
        Query::And(parts) => joined(parts, if not { " or " } else { " and " }),
        Query::Or(parts) => joined(parts, if not { " and " } else { " or " }),
        Query::Not(part) => logql(part, !not),
        Query::InFields(_, about) => logql(about, not),
        Query::Exists(field) => format!("{}{}\"\"", label(field), if not { "=" } else { "!=" }),
        Query::Is(field, Pattern::Exact(text, _)) => {
            format!("{}{}{}", label(field), if not { "!=" } else { "=" }, quoted(text))
        }
        Query::Is(field, Pattern::Address(_, text)) => {
            format!("{}{}ip({})", label(field), if not { "!=" } else { "=" }, quoted(text))
        }
        // Documents write times in one way, of which a day is the beginning.
        Query::Is(field, Pattern::Time(_, text)) => {
            format!("{}{}{}", label(field), if not { "!~" } else { "=~" }, quoted(&format!("{text}.*")))
        }
        Query::Is(field, Pattern::Wildcard(pattern)) => {
            let text: String = pattern
                .iter()
                .map(|sign| match sign {
                    Sign::Any => ".*".to_owned(),
                    Sign::One => ".".to_owned(),
                    Sign::Letter(c) if c.is_alphanumeric() || "_-/ ".contains(*c) => c.to_string(),
                    Sign::Letter(c) => format!("\\{c}"),
                })
                .collect();
            format!("{}{}{}", label(field), if not { "!~" } else { "=~" }, quoted(&format!("(?i){text}")))
        }
        Query::Is(field, Pattern::Network(address, bits)) => {
            format!("{}{}ip(\"{address}/{bits}\")", label(field), if not { "!=" } else { "=" })
        }
        Query::Compares(field, comparison, value) => {
            let turned = match (comparison, not) {
                (Comparison::Less, false) | (Comparison::GreaterOrEqual, true) => "<",
                (Comparison::LessOrEqual, false) | (Comparison::Greater, true) => "<=",
                (Comparison::Greater, false) | (Comparison::LessOrEqual, true) => ">",
                (Comparison::GreaterOrEqual, false) | (Comparison::Less, true) => ">=",
            };
            format!("{}{turned}{value}", label(field))
        }
        // Definitions name fields; a word alone has no place among labels.
        Query::Text(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn a_search_says_the_same_in_the_languages_of_others() {
        let query = read(
            "event.outcome:failure and not (source.ip:203.0.113.0/24 or user.email:*@example.com) and event.duration > 5",
        );
        assert_eq!(
            lucene(&query),
            "(event.outcome:\"failure\") AND (NOT ((source.ip:\"203.0.113.0/24\") OR (user.email:*@example.com))) AND (event.duration:>5)"
        );
        assert_eq!(
            lucene(&read(r"url.path:/Setup/a\*b* and Secur*")),
            r"(url.path:\/Setup\/a\*b*) AND (Secur*)"
        );
        assert_eq!(
            logql(&query, false),
            "(event_outcome=\"failure\") and ((source_ip!=ip(\"203.0.113.0/24\")) and (user_email!~\"(?i).*\\\\@example\\\\.com\")) and (event_duration>5)"
        );
    }
}
