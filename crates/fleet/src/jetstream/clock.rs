//! What time it is to the servers. A schedule needs a time of day, and the workers' clocks are not to matter.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use tokio::time::Instant;

use super::errors::away;
use crate::engine::EngineError;

/// After so long the servers are asked again.
const KEPT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<(Instant, DateTime<Utc>)>>);

#[derive(Deserialize)]
struct Answer {
    ts: Option<DateTime<Utc>>,
}

impl ServerClock {
    /// That long from now, as the servers write it. Never too early: what the answer took on its way is added.
    pub(super) async fn after(
        &self,
        context: &Context,
        stream: &str,
        wait: Duration,
    ) -> Result<String, EngineError> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, then) = match known.filter(|(asked, _)| asked.elapsed() < KEPT) {
            Some(known) => known,
            None => {
                let asked = Instant::now();
                let answer: Answer =
                    context.request(format!("STREAM.INFO.{stream}"), &()).await.map_err(away)?;
                let Some(ts) = answer.ts else {
                    return Err(away("the server did not say what time it is"));
                };
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, ts));
                (asked, ts)
            }
        };
        let until =
            chrono::Duration::from_std(asked.elapsed() + wait).unwrap_or(chrono::Duration::days(36_500));
        Ok((then + until).to_rfc3339_opts(SecondsFormat::Nanos, true))
    }
}
