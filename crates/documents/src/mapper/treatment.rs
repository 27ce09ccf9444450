//! What leaves and what does not, row by row.
//!
//! All of it happens to the row before a document is made of it: what a document is made of further (`related`, `observables`,
//! `event.original`, the record of the raw format) is made of what is left. The id of an event alone is that of the row as it came.
//! What cannot be told apart into fields cannot be treated, and is withheld.

use super::origin::{Common, Origin};
use crate::{
    bytes::{
        csv::{Fields, Rewritten},
        row::Row,
        time::Time,
    },
    records::Record,
};
use redaction::Treatment;

/// A treatment, laid out against the columns of a file or an object.
pub struct Plan {
    of: redaction::Plan,
    /// The columns that tell when it happened, and which type it is: they are not touched.
    kept: Vec<usize>,
    rewritten: Rewritten,
}

impl Plan {
    /// For rows with these columns. None where they are passed on as they are.
    pub fn new(treatment: &Treatment, common: &Common<'_>, columns: &[String]) -> Option<Self> {
        let date = match common.origin {
            Origin::Object { date, .. } => date,
            _ => "TIMESTAMP_DERIVED",
        };
        let is_kept = |name: &String| matches!(name.as_str(), "EVENT_TYPE" | "TIMESTAMP") || *name == date;
        let kept: Vec<usize> = (0..columns.len()).filter(|index| is_kept(&columns[*index])).collect();
        let of = redaction::Plan::new(treatment, columns, &kept)?;
        Some(Self { of, kept, rewritten: Rewritten::default() })
    }

    /// What becomes of a column becomes at least what becomes of those with another name.
    pub fn include(&mut self, column: usize, names: &[String]) {
        self.of.include(column, names);
    }

    /// The column in which rows tell for how many they stand, where they are sampled.
    pub fn weight_column(&self, common: &Common<'_>) -> Option<&'static str> {
        let is_file = matches!(common.origin, Origin::File(_));
        self.of.samples().then_some(if is_file { "SAMPLE_WEIGHT" } else { RECORDS_WEIGHT })
    }

    /// Columns that it names and that are not there.
    pub fn unknown(&self) -> &[String] {
        self.of.unknown()
    }

    /// Whether something of a row is not to be shown.
    pub fn withholds(&self) -> bool {
        self.of.withholds()
    }

    /// Whether a row leaves.
    pub fn keeps(&self, row: &impl Row, id: &mut dyn FnMut() -> Vec<u8>) -> bool {
        self.of.keeps(&|column| row.field(column), id)
    }

    /// The row as it may leave; where rows are sampled, with one column more.
    pub fn row(&mut self, row: Fields<'_>) -> Fields<'_> {
        self.rewritten.clear();
        for column in 0..self.of.columns() {
            let value = row.field(column);
            self.rewritten.push(self.of.value(column, value).unwrap_or(value));
        }
        if self.of.samples() {
            let weight = self.of.weight(&|column| row.field(column)).to_string();
            self.rewritten.push(weight.as_bytes());
        }
        self.rewritten.fields()
    }

    /// For how many records each stands, as a number.
    pub fn weight_of_records(&self) -> String {
        self.of.weight(&|_| b"").to_string()
    }

    /// The same of a record. What was damaged may stand in a field that it does not belong to: then no field is left.
    pub fn record<'r>(&mut self, record: &'r Record<'_>, weight: &'r str) -> Record<'r> {
        let is_damaged = !record.damages().is_empty() && self.withholds();
        // A date is one, whatever else is damaged.
        let is_date = |value: &[u8]| str::from_utf8(value).is_ok_and(|text| Time::parse(text).is_some());
        let mut rewritten = record.rewritten(|column, value| match self.of.value(column, value) {
            _ if is_damaged && self.kept.contains(&column) && is_date(value) => None,
            _ if is_damaged => Some(String::new()),
            left => left.map(|left| String::from_utf8_lossy(left).into_owned()),
        });
        if is_damaged {
            rewritten.withhold("the record could not be read in full, and its fields are withheld");
        }
        if self.of.samples() {
            rewritten.push(RECORDS_WEIGHT, weight);
        }
        rewritten
    }
}

const RECORDS_WEIGHT: &str = "SampleWeight";
