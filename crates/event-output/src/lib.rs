//! Brings events to where they are kept, and returns once they are safe.
//!
//! An [`Output`] takes batches of events, each one JSON object on one line. The caller stores the source's state only after
//! a delivery, and delivers again what is behind [`OutputError::accepted`] after an error: so no event is lost, and one may
//! arrive twice. What each output makes of that, and what each answer of a receiver leads to, stands in the README.
//!
//! | output | to |
//! |---|---|
//! | [`Lines`] | standard output, or any writer |
//! | [`EventFile`] | a file, rotated |
//! | [`Http`] | anything that takes lines or arrays of JSON |
//! | [`Elasticsearch`] | data streams, by `event.id` |
//! | [`Otlp`] | OpenTelemetry, as log records |
//! | [`Nats`] | a stream of NATS JetStream, by `event.id` |
//!
//! | to read about | look into |
//! |---|---|
//! | what an output does, and its errors | `output` |
//! | settings, what is wrong with them, secrets | `settings` |
//! | what is read of an event | `document` |
//! | addresses, and what is shown of them | `address` |
//! | threads that may block | `worker` |
//! | files: mending, locks, rotation, dead letters | `files` |
//! | requests, TLS, what a status means, batches in pieces | `web` |
//! | the outputs themselves | `lines`, `files/event_file`, `http`, `elasticsearch`, `otlp`, `nats` |
//! | what every output has to stand | `conformance` (a feature) |
//!
//! Each of these knows only what stands below it: `output`, `settings`, `document`, `address`; `worker`; `files`; `web`; `lines`, `http`,
//! `elasticsearch`, `otlp`, `nats`; `conformance`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use event_output::{EventFile, FileSettings, Output};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("events.ndjson");
//! let mut output: Box<dyn Output> = Box::new(EventFile::open(FileSettings::new(path))?);
//! let mut events = vec![r#"{"event":{"id":"1"}}"#.to_owned(), r#"{"event":{"id":"2"}}"#.to_owned()];
//! while let Err(error) = output.deliver(&events).await {
//!     // Those are safe. The others again, after a pause.
//!     events.drain(..error.accepted());
//! #   panic!("{error}");
//! }
//! // Only now is the state of the source stored.
//! # Ok::<(), event_output::OutputError>(())
//! # }).unwrap();
//! ```

#![deny(missing_docs)]

mod address;
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

pub use document::event_id;
pub use elasticsearch::{Authentication, Elasticsearch, ElasticsearchSettings};
pub use files::{DeadLetters, EventFile, FileSettings};
pub use http::{Format, Http, HttpSettings, SendMethod};
pub use lines::Lines;
pub use nats::{Nats, NatsAuthentication, NatsSettings};
pub use otlp::{Otlp, OtlpSettings};
pub use output::{Check, Closing, Delivered, Delivery, Output, OutputError, OutputErrorKind};
pub use settings::{Secret, SettingProblem, SettingsError};
pub use web::{ClientCertificate, Compression, Transport, WebSettings};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
