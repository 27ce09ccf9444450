//! Brings events to where they are kept.
#![deny(missing_docs)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod document;
mod elasticsearch;
mod files;
mod http;
mod lines;
mod nats;
mod otlp;
mod output;
mod settings;
mod web;
mod worker;

pub use elasticsearch::{Authentication, Elasticsearch, ElasticsearchSettings};
pub use files::{DeadLetters, EventFile, FileSettings};
pub use http::{Format, Http, HttpSettings, SendMethod};
pub use lines::Lines;
pub use nats::{Nats, NatsAuthentication, NatsSettings};
pub use otlp::{Otlp, OtlpSettings};
pub use output::{Check, Closing, Delivered, Delivery, Output, OutputError, OutputErrorKind};
pub use settings::{Secret, SettingProblem, SettingsError};
pub use web::{ClientCertificate, Compression, Transport};
