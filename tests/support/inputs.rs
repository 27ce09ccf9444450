//! What is measured: the same four logs for the benchmark and for the tests that count instead of measuring.
//!
//! Rows and records are those of the cases, with the values that differ in real logs drawn anew for each: keys, numbers,
//! times and the last part of an address. What repeats in real logs repeats here, so that gzip has as much to do as it
//! would have. Everything follows from a seed, and what is compressed is compressed here, before any clock starts.

use crate::{
    canned::{CannedFile, CannedOrg, History, StillClock},
    random::Random,
};
use anyhow::{Context, Result, bail};
use chrono::DateTime;
use collector::Collector;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use std::{io::Write, sync::Arc};

/// 2026-06-01T14:00:00Z, an hour after the file was made.
const NOW: i64 = 1_780_322_400_000;
/// 2026-06-01T10:00:00Z, when the hour of the file begins.
const HOUR: i64 = 1_780_308_000_000;
/// Over how many milliseconds records lie: a little less than the day that is collected.
const SPAN: i64 = 86_000_000;

/// A kind of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files with 35 columns, mapped to fields of ECS.
    Login,
    /// Files with 24 columns, mapped to fields of ECS.
    ApexExecution,
    /// Files with 60 columns, of a type that nothing is known of.
    Wide,
    /// Records, from the pages of query answers.
    LoginEvent,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Login, Self::ApexExecution, Self::Wide, Self::LoginEvent];

    /// The `EventType` of the files, or the object of the records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "Login",
            Self::ApexExecution => "ApexExecution",
            Self::Wide => "LightningPageView",
            Self::LoginEvent => "LoginEvent",
        }
    }

    /// Whether it comes in files and not in records.
    pub fn is_file(self) -> bool {
        self != Self::LoginEvent
    }

    fn stream(self) -> serde_json::Value {
        match self {
            Self::Login => json!({"login": {"event_log_file": {}}}),
            Self::ApexExecution => json!({"apex": {"event_log_file": {}}}),
            Self::Wide => json!({"pages": {"event_log_file": {"event_types": [self.name()]}}}),
            Self::LoginEvent => json!({"login": {"initial_interval": "1d", "object": {}}}),
        }
    }

    /// What rows or records are made of: a header and a row, or a record.
    fn model(self) -> &'static str {
        match self {
            Self::Login => include_str!("../cases/files/login-full/file.csv"),
            Self::ApexExecution => include_str!("../cases/files/apex-execution/file.csv"),
            Self::Wide => include_str!("../bench/wide.csv"),
            Self::LoginEvent => include_str!("../cases/objects/login-event/records.json"),
        }
    }
}

/// A log, and the org that has it.
pub struct Input {
    /// What it is.
    pub kind: Kind,
    /// Rows or records.
    pub rows: usize,
    /// Their bytes, uncompressed.
    pub bytes: usize,
    content: Content,
}

enum Content {
    File { csv: Arc<[u8]>, gzip: Arc<[u8]> },
    Records(Arc<History>),
}

impl Input {
    /// A log with so many rows or records.
    ///
    /// # Errors
    /// If the case that it is made of is not what it was.
    pub fn with_rows(kind: Kind, rows: usize) -> Result<Self> {
        let mut lines = kind.model().lines();
        let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        if kind.is_file() {
            let csv = file(first, second, rows);
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(&csv)?;
            let (bytes, gzip) = (csv.len(), gzip.finish()?.into());
            return Ok(Self { kind, rows, bytes, content: Content::File { csv: csv.into(), gzip } });
        }
        let history = history(second.trim_end_matches(','), rows)?;
        Ok(Self { kind, rows, bytes: history.bytes(), content: Content::Records(Arc::new(history)) })
    }

    /// A log of about so many bytes, uncompressed.
    ///
    /// # Errors
    /// The same.
    pub fn with_bytes(kind: Kind, bytes: usize) -> Result<Self> {
        const FEW: usize = 1000;
        let few = Self::with_rows(kind, FEW)?;
        Self::with_rows(kind, (bytes * FEW / few.bytes).max(1))
    }

    /// The file as it is downloaded; none of records.
    pub fn file(&self, gzip: bool) -> Option<&[u8]> {
        match &self.content {
            Content::File { gzip: compressed, .. } if gzip => Some(compressed),
            Content::File { csv, .. } => Some(csv),
            Content::Records(_) => None,
        }
    }

    /// Makes what an org sends compressed, and returns its bytes for documents of ECS. How answers with records are cut
    /// follows from the queries, and these from the size of the events, so they are asked for once in either format.
    ///
    /// # Errors
    /// If they cannot be collected.
    pub fn compress(&self) -> Result<usize> {
        match &self.content {
            Content::File { gzip, .. } => Ok(gzip.len()),
            Content::Records(history) => {
                collect(&mut configured(&self.config("ecs"))?, &mut self.org(true))?;
                let bytes = history.compressed_bytes();
                // Which windows are asked for follows from how long documents are.
                for format in ["ocsf", "raw"] {
                    collect(&mut configured(&self.config(format))?, &mut self.org(true))?;
                }
                Ok(bytes)
            }
        }
    }

    /// How many answers an org compressed while it was asked.
    pub fn compressed_answers(&self) -> usize {
        match &self.content {
            Content::File { .. } => 0,
            Content::Records(history) => history.compressed_answers(),
        }
    }

    /// An org that has this log and nothing else.
    pub fn org(&self, gzip: bool) -> CannedOrg {
        let date = Some("Mon, 01 Jun 2026 14:00:00 GMT");
        match &self.content {
            Content::File { csv, gzip: compressed } => {
                let file = CannedFile {
                    event_type: self.kind.name().to_owned(),
                    gzip: Some(Arc::clone(compressed)),
                    ..CannedFile::new(1, Arc::clone(csv))
                };
                CannedOrg { gzip, date, ..CannedOrg::with(vec![file]) }
            }
            Content::Records(history) => {
                CannedOrg { gzip, history: Some(Arc::clone(history)), date, ..CannedOrg::default() }
            }
        }
    }

    /// The configuration that collects it. It signs in with a secret: a signature takes the same time for one row and for a
    /// million, and would tell nothing of either.
    pub fn config(&self, format: &str) -> String {
        json!({
            "instance_url": "https://acme.my.salesforce.com",
            "auth": {"flow": "client-credentials", "client_id": "3MVG9.acme", "client_secret": "secret"},
            "format": format,
            "streams": self.kind.stream(),
        })
        .to_string()
    }
}

/// What whole polls returned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collected {
    /// Events.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Collected {
    /// Counts the events of a batch.
    pub fn add(&mut self, events: &[String]) {
        self.events += events.len();
        self.bytes += events.iter().map(String::len).sum::<usize>();
    }
}

/// The clock that all of it is collected by.
pub fn clock() -> StillClock {
    StillClock::at(NOW)
}

/// A collector with a configuration.
///
/// # Errors
/// If it is refused.
pub fn configured(config: &str) -> Result<Collector> {
    let mut collector = Collector::new();
    match collector.configure(config) {
        Ok(_) => Ok(collector),
        Err(problems) => bail!("{}", problems[0]),
    }
}

/// Polls until nothing is left, natively.
///
/// # Errors
/// If a poll fails.
pub fn collect(collector: &mut Collector, org: &mut CannedOrg) -> Result<Collected> {
    let (clock, mut state, mut collected) = (clock(), None, Collected::default());
    loop {
        let batch = match collector.poll(org, &clock, state.as_deref()) {
            Ok(batch) => batch,
            Err(failure) => bail!("{}", failure.problem),
        };
        if let Some(problem) = batch.problems.first() {
            bail!("{problem}");
        }
        collected.add(&batch.events);
        state = Some(batch.state);
        if batch.next_poll_ms > 0 {
            return Ok(collected);
        }
    }
}

/// How the values of a column differ from row to row.
enum Values {
    Same,
    Drawn,
    Address,
    Compact,
    Rfc3339,
}

impl Values {
    fn of(column: &str, model: &str) -> Self {
        match column {
            "TIMESTAMP" => Self::Compact,
            "TIMESTAMP_DERIVED" => Self::Rfc3339,
            "API_VERSION" | "EVENT_TYPE" => Self::Same,
            _ if column.ends_with("_IP") && !model.contains(',') => Self::Address,
            _ if column.ends_with("_KEY") || column == "REQUEST_ID" || column == "RECORD_ID" => Self::Drawn,
            _ if model.len() > 1 && model.bytes().all(|byte| byte.is_ascii_digit()) => Self::Drawn,
            _ => Self::Same,
        }
    }
}

/// A file with so many rows like one, over an hour.
fn file(header: &str, row: &str, rows: usize) -> Vec<u8> {
    let cells = |line: &str| line.trim_matches('"').split("\",\"").map(str::to_owned).collect::<Vec<_>>();
    let columns: Vec<_> = cells(header)
        .into_iter()
        .zip(cells(row))
        .map(|(column, model)| (Values::of(&column, &model), model))
        .collect();
    let mut random = Random::new(1);
    let mut text = String::with_capacity(header.len() + (row.len() + 8) * rows);
    text.push_str(header);
    for nth in 0..rows {
        let at = DateTime::from_timestamp_millis(HOUR + nth as i64 * 3_600_000 / rows as i64);
        let at = at.unwrap_or_default();
        for (index, (values, model)) in columns.iter().enumerate() {
            text.push_str(if index == 0 { "\n\"" } else { "\",\"" });
            match values {
                Values::Same => text.push_str(model),
                Values::Drawn => draw(&mut text, model, &mut random),
                Values::Address => {
                    let (network, _) = model.rsplit_once('.').unwrap_or((model, ""));
                    text.push_str(network);
                    text.push('.');
                    text.push_str(&random.between(1, 254).to_string());
                }
                Values::Compact => text.push_str(&at.format("%Y%m%d%H%M%S%.3f").to_string()),
                Values::Rfc3339 => text.push_str(&at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
            }
        }
        text.push('"');
    }
    text.push('\n');
    text.into_bytes()
}

/// So many records like one, over a day.
fn history(record: &str, rows: usize) -> Result<History> {
    let value = |field: &str| {
        let (_, rest) = record.split_once(&format!("\"{field}\": \""))?;
        rest.split('"').next()
    };
    let date = value("EventDate").context("a record without a date")?;
    let drawn: Vec<_> = ["EventIdentifier", "LoginKey", "SessionKey", "LoginHistoryId"]
        .into_iter()
        .filter_map(value)
        .collect();
    let mut random = Random::new(1);
    let mut history = History::default();
    for nth in 0..rows {
        let at = NOW - 86_400_000 + 1 + nth as i64 * SPAN / rows as i64;
        let text = DateTime::from_timestamp_millis(at).unwrap_or_default();
        let mut record = record.replace(date, &text.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string());
        for model in &drawn {
            let mut value = String::with_capacity(model.len());
            draw(&mut value, model, &mut random);
            record = record.replace(model, &value);
        }
        history.push(at, &record);
    }
    Ok(history)
}

/// A value like a model: a digit for each digit, but no zero in front, and a letter for each letter. Letters are those of
/// hexadecimal numbers, so that an identifier stays one.
fn draw(text: &mut String, model: &str, random: &mut Random) {
    for (index, c) in model.chars().enumerate() {
        text.push(match c {
            '0'..='9' => char::from(b'0' + random.between(u64::from(index == 0), 9) as u8),
            'a'..='z' => char::from(b'a' + random.below(6) as u8),
            'A'..='Z' => char::from(b'A' + random.below(6) as u8),
            other => other,
        });
    }
}
