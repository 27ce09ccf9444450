//! Brings events to where they are kept.
#![deny(missing_docs)]

mod document;
mod elasticsearch;
mod files;
mod http;
mod lines;
mod otlp;
mod output;
mod settings;
mod web;
mod worker;

pub use elasticsearch::{Authentication, Elasticsearch, ElasticsearchSettings};
pub use files::{DeadLetters, EventFile, FileSettings};
pub use http::{Format, Http, HttpSettings, SendMethod};
pub use lines::Lines;
pub use otlp::{Otlp, OtlpSettings};
pub use output::{Check, Closing, Delivered, Delivery, Output, OutputError, OutputErrorKind};
pub use settings::{Secret, SettingProblem, SettingsError};
pub use web::{ClientCertificate, Compression, Transport};
