//! Where documents come from, and what those of one file or object have in common.

use crate::bytes::{
    json::{Key, Writer},
    time::Time,
};
use serde::{Deserialize, Serialize};

/// What is known of a file from its record in EventLogFile (object reference).
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct EventLogFile {
    /// `Id`
    pub id: String,
    /// `EventType`
    #[serde(default = "login")]
    pub event_type: String,
    /// `CreatedDate`
    pub created: Time,
    /// `LogDate`
    pub log_date: Time,
    /// `LogFileLength`: bytes after decompression.
    pub length: u64,
    /// `Interval`
    pub interval: String,
    /// `Sequence`
    pub sequence: u32,
    /// `ApiVersion`
    pub api_version: String,
}

/// The event type of all files that were known before there were others.
fn login() -> String {
    String::from("Login")
}

/// What records are written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Documents in the Elastic Common Schema.
    #[default]
    Ecs,
    /// Documents of the Open Cybersecurity Schema Framework.
    Ocsf,
    /// As they came.
    Raw,
}

impl Format {
    /// Their names in a configuration, in their order.
    pub const NAMES: &[&str] = &["ecs", "ocsf", "raw"];

    /// The format of a name, if it is one of them.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Ecs, Self::Ocsf, Self::Raw];
        Self::NAMES.iter().position(|known| *known == name).map(|at| all[at])
    }
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// As what.
    pub format: Format,
    /// Documents with the record as it came in them.
    pub original: bool,
}

/// What the documents of a file, or of an object, have in common.
pub struct Common<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// Address of the org.
    pub instance_url: &'a str,
    /// The time of a row that tells none: the beginning of what was asked for.
    pub since: Time,
    /// How they are written.
    pub output: Output,
    /// Where they come from.
    pub origin: Origin<'a>,
}

/// Where documents come from.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// An event log file.
    File(&'a EventLogFile),
    /// An object that is queried.
    Object {
        /// Its name.
        name: &'a str,
        /// The field with the time of the event.
        date: &'a str,
        /// The field with the key of a record, if it has one. An `Id` is one within its org and its copies alone.
        key: Option<&'a str>,
    },
    /// The collector: a receipt for an event log file.
    FileReceipt(&'a EventLogFile),
    /// The collector: a receipt for a window of the object with this name.
    WindowReceipt(&'a str),
}

impl Common<'_> {
    /// Host of the org.
    pub(super) fn host(&self) -> &str {
        self.instance_url.split_once("://").map_or(self.instance_url, |(_, host)| host)
    }

    /// Where they come from, as members, each with a comma behind it.
    pub(super) fn members(&self) -> String {
        let mut json = Writer::default();
        json.begin();
        json.rare("", &[("instance_url", self.instance_url.as_bytes())]);
        if let Origin::Object { name, .. } | Origin::WindowReceipt(name) = self.origin {
            json.rare("", &[("object_name", name.as_bytes())]);
        }
        if let Origin::File(file) | Origin::FileReceipt(file) = self.origin {
            json.put("\"event_log_file\":{");
            let dates = [file.log_date, file.created].map(Time::to_rfc3339);
            json.rare(
                "",
                &[
                    ("id", file.id.as_bytes()),
                    ("log_date", dates[0].as_bytes()),
                    ("created_date", dates[1].as_bytes()),
                    ("interval", file.interval.as_bytes()),
                ],
            );
            json.integer(&Key::new("sequence"), file.sequence.into());
            json.rare("", &[("api_version", file.api_version.as_bytes())]);
            json.end();
        }
        let object = json.finish();
        format!("{},", &object[1..object.len() - 1])
    }
}
