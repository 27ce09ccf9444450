//! Polls one after another, as a stream of what they come to.

use crate::{
    bindings::{
        clocks::monotonic_clock,
        contract::{Batch, Failure, ProblemKind},
        wit_stream,
    },
    calls,
};
use std::time::Duration;
use wit_bindgen::{StreamReader, spawn_local};

/// How long to wait after a failure that does not say.
const RETRY_AFTER_MS: u32 = 60_000;

pub(crate) fn follow(state: Option<String>) -> StreamReader<Result<Batch, Failure>> {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        let mut state = state;
        loop {
            let polled = calls::poll(state.clone());
            let next = Next::after(&polled, state);
            // What comes back was not taken: nobody listens any more.
            if !writer.write_all(vec![polled]).await.is_empty() {
                return;
            }
            let Some(Next { wait, state: following }) = next else { return };
            state = following;
            if !wait.is_zero() {
                monotonic_clock::wait_for(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)).await;
            }
        }
    });
    reader
}

/// How it goes on after a poll.
struct Next {
    wait: Duration,
    state: Option<String>,
}

impl Next {
    /// Nothing, if it does not.
    fn after(polled: &Result<Batch, Failure>, before: Option<String>) -> Option<Self> {
        let (wait, state) = match polled {
            Ok(batch) if calls::is_complete(&batch.state) => return None,
            Ok(batch) => (batch.next_poll_ms, Some(batch.state.clone())),
            Err(failure) => match failure.problem.kind {
                ProblemKind::Config | ProblemKind::State => return None,
                _ => (
                    failure.problem.retry_after_ms.unwrap_or(RETRY_AFTER_MS),
                    failure.state.clone().or(before),
                ),
            },
        };
        Some(Self { wait: Duration::from_millis(wait.into()), state })
    }
}
