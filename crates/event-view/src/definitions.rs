//! What is shown, as it stands in `dashboards/*.toml`. The page, Kibana's objects and Grafana's dashboards are made of it.

use crate::{engine::Metric, query::Query};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Those that come with the program, by name.
const BUNDLED: [(&str, &str); 8] = [
    ("overview", include_str!("../dashboards/overview.toml")),
    ("login", include_str!("../dashboards/login.toml")),
    ("logout", include_str!("../dashboards/logout.toml")),
    ("apex", include_str!("../dashboards/apex.toml")),
    ("setupaudittrail", include_str!("../dashboards/setupaudittrail.toml")),
    ("aurarequest", include_str!("../dashboards/aurarequest.toml")),
    ("completeness", include_str!("../dashboards/completeness.toml")),
    ("collector", include_str!("../dashboards/collector.toml")),
];

/// A page of panels.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Its place in addresses: the name of its file.
    #[serde(default)]
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// Which documents it is about.
    #[serde(default)]
    pub filter: String,
    /// What it shows, row by row.
    #[serde(rename(deserialize = "panel"))]
    pub panels: Vec<Panel>,
}

/// How a panel looks at documents.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One number.
    Number,
    /// Series over time.
    Time,
    /// The values of a field that are there most.
    Top,
    /// Groups by one field or several, with columns of numbers.
    Table,
    /// Places and countries.
    Map,
    /// Values of a field over time.
    Heat,
    /// Values that somebody has for the first time.
    First,
    /// Events with those of another kind that the same one made shortly before.
    Beside,
    /// Events.
    Events,
    /// Files, each with what should have come of it.
    Files,
}

/// How a panel is drawn, where there is a choice.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// Bars; over time stacked if they are the values of one field.
    #[default]
    Bar,
    /// Lines.
    Line,
    /// Areas on each other.
    Area,
    /// Parts of a ring.
    Ring,
    /// Boxes whose area tells.
    Boxes,
}

/// A column of a table, or a series over time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Series {
    /// What it is called.
    pub title: String,
    /// Which documents it is of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// What it tells of them.
    #[serde(flatten)]
    pub metric: Metric,
    /// `ns`, `ms`, `s`, `bytes`, `percent`, `time`; without one it is a number.
    #[serde(default)]
    pub unit: String,
    /// Whether it has the axis on the right.
    #[serde(default)]
    pub right: bool,
}

/// One of the panels of a dashboard.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Its place in addresses.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// What it tells, where the title does not.
    #[serde(default)]
    pub about: String,
    /// How it looks at documents.
    pub kind: Kind,
    /// How it is drawn.
    #[serde(default)]
    pub look: Look,
    /// Twelfths of the page's width.
    #[serde(default = "half")]
    pub width: u8,
    /// Which documents of the dashboard it is about.
    #[serde(default)]
    pub filter: String,
    /// The field whose values are shown.
    #[serde(default)]
    pub field: String,
    /// The fields by which documents are put together: of a table its groups, of `first` and `beside` the one who acts.
    #[serde(default)]
    pub by: Vec<String>,
    /// The field whose values are told apart.
    #[serde(default)]
    pub split: String,
    /// How many values are shown.
    #[serde(default = "ten")]
    pub size: usize,
    /// What is told of documents; the first one decides the order.
    #[serde(default)]
    pub series: Vec<Series>,
    /// Whether the band in which values usually are is drawn, and what leaves it is marked.
    #[serde(default)]
    pub band: bool,
    /// Fields of events that are columns.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Of `beside`: which events are looked for.
    #[serde(default)]
    pub other: String,
    /// Of `beside`: their columns.
    #[serde(default)]
    pub other_columns: Vec<String>,
    /// Of `beside`: how many hours before.
    #[serde(default)]
    pub hours: u32,
    /// Of `map`: fields of a place and of a country's code of two letters.
    #[serde(default)]
    pub place: String,
    /// See `place`.
    #[serde(default)]
    pub country: String,
    /// Of `files`: the fields by which files and what is told of them are known.
    pub files: Option<Files>,
}

/// The fields that tell of files.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The file that an event is of.
    pub id: String,
    /// The beginning of what the file covers.
    pub covers: String,
    /// When the file was made.
    pub made: String,
    /// Hourly or daily.
    pub interval: String,
    /// What kind of file it is, told by events.
    pub group: String,
    /// The search for receipts.
    pub receipts: String,
    /// What kind of file it is, told by its receipt.
    pub receipt_group: String,
    /// How many rows it had.
    pub rows: String,
    /// How many of these were left out on purpose.
    pub left_out: String,
    /// After how many hours from the end of what it covers a file is late.
    pub late_after: u32,
}

fn half() -> u8 {
    6
}

fn ten() -> usize {
    10
}

impl Dashboard {
    fn read(name: &str, text: &str) -> Result<Self> {
        let mut dashboard: Self = toml::from_str(text)?;
        dashboard.name = name.to_owned();
        dashboard.check()?;
        Ok(dashboard)
    }

    fn check(&self) -> Result<()> {
        Query::parse(&self.filter).context("filter")?;
        let mut known = Vec::new();
        for panel in &self.panels {
            panel.check().with_context(|| format!("panel {}", panel.id))?;
            if known.contains(&&panel.id) {
                bail!("there are two panels {}", panel.id);
            }
            known.push(&panel.id);
        }
        Ok(())
    }

    /// Every field that is used, each once.
    pub fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = named(&self.filter);
        for panel in &self.panels {
            fields.extend(named(&panel.filter));
            fields.extend(named(&panel.other));
            for series in &panel.series {
                fields.extend(named(&series.filter));
                match &series.metric {
                    Metric::Share { of } => fields.extend(named(of)),
                    Metric::Unique { field }
                    | Metric::Sum { field }
                    | Metric::Average { field }
                    | Metric::Min { field }
                    | Metric::Max { field }
                    | Metric::Percentile { field, .. } => fields.push(field.clone()),
                    Metric::Count | Metric::First | Metric::Last => {}
                }
            }
            fields.extend([&panel.field, &panel.split, &panel.place, &panel.country].map(String::clone));
            fields.extend(panel.by.iter().chain(&panel.columns).chain(&panel.other_columns).cloned());
            if let Some(files) = &panel.files {
                fields.extend(named(&files.receipts));
                fields.extend(
                    [
                        &files.id,
                        &files.covers,
                        &files.made,
                        &files.interval,
                        &files.group,
                        &files.receipt_group,
                        &files.rows,
                        &files.left_out,
                    ]
                    .map(String::clone),
                );
            }
        }
        fields.retain(|field| !field.is_empty());
        fields.sort();
        fields.dedup();
        fields
    }
}

fn named(search: &str) -> Vec<String> {
    Query::parse(search)
        .map(|query| query.fields().into_iter().map(str::to_owned).collect())
        .unwrap_or_default()
}

impl Panel {
    fn check(&self) -> Result<()> {
        if !(1..=12).contains(&self.width) {
            bail!("width is 1 to 12");
        }
        for search in [&self.filter, &self.other] {
            Query::parse(search)?;
        }
        for series in &self.series {
            Query::parse(&series.filter)?;
            if let Metric::Share { of } = &series.metric {
                Query::parse(of)?;
            }
        }
        let lacks = match self.kind {
            Kind::Number | Kind::Time => self.series.is_empty().then_some("series"),
            Kind::Top => (self.field.is_empty() || self.series.is_empty()).then_some("field or series"),
            Kind::Heat => self.field.is_empty().then_some("field"),
            Kind::Table => (self.by.is_empty() || self.by.len() > 2 || self.series.is_empty())
                .then_some("series, or one or two fields in by"),
            Kind::Map => self.country.is_empty().then_some("country"),
            Kind::First => {
                (self.by.len() != 1 || self.field.is_empty()).then_some("field, or one field in by")
            }
            Kind::Beside => (self.by.len() != 1 || self.other.is_empty() || self.hours == 0)
                .then_some("other, hours, or one field in by"),
            Kind::Events => self.columns.is_empty().then_some("columns"),
            Kind::Files => {
                if let Some(files) = &self.files {
                    Query::parse(&files.receipts)?;
                }
                self.files.is_none().then_some("files")
            }
        };
        if let Some(what) = lacks {
            bail!("it lacks {what}");
        }
        Ok(())
    }
}

/// Those that come with the program.
pub fn bundled() -> Result<Vec<Dashboard>> {
    BUNDLED
        .iter()
        .map(|(name, text)| Dashboard::read(name, text).with_context(|| format!("dashboards/{name}.toml")))
        .collect()
}

/// Those of a folder, in the order of their names.
pub fn of_folder(folder: &Path) -> Result<Vec<Dashboard>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        bail!("there is no dashboard (*.toml) in {}", folder.display());
    }
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(path)?;
            Dashboard::read(&name, &text).with_context(|| format!("{} cannot be understood", path.display()))
        })
        .collect()
}
