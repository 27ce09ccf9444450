//! Events that the receiver never takes. They are kept in a file, with the reason, until somebody looks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use super::appender::Appender;
use crate::document::one_line;
use crate::output::OutputError;
use crate::worker::Worker;

/// A file for events that the receiver never takes: one line of JSON each, `{"reason", "output", "at", "event"}`, with the
/// event as it was.
///
/// Created when it is first needed, for its owner alone (mode 0600), and held by one host like an
/// [`EventFile`](crate::EventFile). Several outputs of one process share it by clones. It is synced before the batch counts
/// as delivered; if it cannot be written, neither can the batch. It is not rotated: somebody has to look at it.
#[derive(Clone)]
pub struct DeadLetters {
    path: PathBuf,
    worker: Arc<Mutex<Option<Worker<Option<Appender>>>>>,
}

impl DeadLetters {
    /// Into this file. Its folder must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), worker: Arc::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the text; without any, it tries whether that would work.
    async fn append(&self, text: Vec<u8>) -> Result<(), OutputError> {
        let mut worker = self.worker.lock().await;
        let worker = match &mut *worker {
            Some(worker) => worker,
            none => none
                .insert(Worker::start(None).map_err(|reason| {
                    OutputError::unavailable(format!("cannot start a thread: {reason}"))
                })?),
        };
        let path = self.path.clone();
        let write = move |appender: &mut Option<Appender>| {
            let appender = match appender {
                Some(appender) => appender,
                none => none.insert(Appender::open(&path)?),
            };
            appender.follow()?;
            appender.append(&text)
        };
        worker.run(write).await?.map_err(|error: OutputError| {
            OutputError::new(error.kind(), format!("the dead-letter file does not work: {error}"))
        })
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadLetters").field(&self.path).finish()
    }
}

/// An event that is set aside, and why.
pub(crate) struct Letter<'a> {
    pub event: &'a str,
    pub reason: String,
}

/// Whether events could be set aside, if there is a file for them.
pub(crate) async fn check_dead_letters(file: Option<&DeadLetters>) -> Result<(), OutputError> {
    match file {
        Some(file) => file.append(Vec::new()).await,
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    reason: &'a str,
    output: &'a str,
    at: &'a str,
    event: Event<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Event<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

/// Sets events aside, so that they are safe. Without a file nothing is: the delivery is refused until somebody acts.
pub(crate) async fn set_aside(
    file: Option<&DeadLetters>,
    output: &str,
    letters: &[Letter<'_>],
) -> Result<(), OutputError> {
    let Some(first) = letters.first() else {
        return Ok(());
    };
    let count = letters.len();
    let Some(file) = file else {
        return Err(OutputError::refused(format!(
            "{output} never takes {count} of the events ({}); name a dead-letter file to set such events aside",
            first.reason
        )));
    };
    let at = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut text = Vec::new();
    for letter in letters {
        let event = one_line(letter.event);
        let event = match serde_json::from_str(&event) {
            Ok(json) => Event::Json(json),
            Err(_) => Event::Text(letter.event),
        };
        let line = Line { reason: &letter.reason, output, at: &at, event };
        serde_json::to_writer(&mut text, &line)
            .map_err(|error| OutputError::unavailable(format!("cannot write a dead letter: {error}")))?;
        text.push(b'\n');
    }
    file.append(text).await?;
    tracing::warn!(
        file = %file.path.display(), output, events = count, reason = first.reason,
        "events that the output never takes were set aside"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::OutputErrorKind;

    #[tokio::test]
    async fn an_event_is_kept_as_it_was_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = DeadLetters::new(folder.path().join("dead.ndjson"));
        let event = r#"{"n":18446744073709551617,"b":1.0}"#;
        let letters = [
            Letter { event, reason: "too\nlarge".into() },
            Letter { event: "{torn", reason: "no JSON".into() },
        ];
        set_aside(Some(&file), "somewhere", &letters).await.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with(r#"{"reason":"too\nlarge","output":"somewhere","at":"2"#),
            "{}",
            lines[0]
        );
        assert!(lines[0].ends_with(&format!(r#""event":{event}}}"#)), "{}", lines[0]);
        assert!(lines[1].ends_with(r#""event":"{torn"}"#), "{}", lines[1]);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file.path()).unwrap()) & 0o777,
            0o600
        );
    }

    #[tokio::test]
    async fn without_a_file_or_with_a_broken_one_nothing_counts_as_delivered() {
        let letters = [Letter { event: "{}", reason: "never".into() }];
        let error = set_aside(None, "somewhere", &letters).await.unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Refused);
        assert!(error.to_string().contains("name a dead-letter file"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let broken = DeadLetters::new(folder.path().join("none/dead.ndjson"));
        assert_eq!(
            set_aside(Some(&broken), "x", &letters).await.unwrap_err().kind(),
            OutputErrorKind::Refused
        );
    }
}
