//! Answers, before they become HTTP.

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::event_log_file::EventLogFile;

/// The content type of every JSON of the REST API.
pub(crate) const JSON: &str = "application/json;charset=UTF-8";

/// What a request is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Content,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    Whole {
        content_type: &'static str,
        bytes: Vec<u8>,
    },
    LogFile(EventLogFile),
    /// There is no answer.
    Lost(Lost),
}

/// How a request gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The connection closes before the first byte.
    Closed,
    /// Nothing comes, and the connection stays open.
    Stalled,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), content: Content::Whole { content_type, bytes } }
    }

    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::new(status, JSON, bytes),
            Err(error) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain;charset=UTF-8",
                error.to_string().into_bytes(),
            ),
        }
    }

    /// An error of the REST API: a JSON array of one object (REST guide, `errorcodes`).
    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::json(status, &json!([{ "message": message, "errorCode": code }]))
    }

    pub(crate) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist")
    }

    /// No answer. Its status is that of none: a client never sees it.
    pub(crate) fn lost(how: Lost) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), content: Content::Lost(how) }
    }

    /// The same answer with one header more; a value that cannot stand in a header is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// Text as it stands in XML.
pub(crate) fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
