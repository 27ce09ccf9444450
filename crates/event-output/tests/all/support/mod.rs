//! Receivers for tests.

pub mod certificates;
pub mod fake;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

/// Never to be seen.
pub const SECRET: &str = "hunter22-never-shown";

/// The id in an event.
pub fn id_of(event: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(event).unwrap();
    json["event"]["id"].as_str().unwrap().to_owned()
}

/// Everything that all libraries log, down to the smallest detail.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to keep it, once per process.
    pub fn keep() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(move || writer.clone())
                .init();
            log
        })
        .clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
