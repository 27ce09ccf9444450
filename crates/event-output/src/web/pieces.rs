//! A batch in requests of bounded size, in order, one after the other.

use std::ops::Range;

use super::answers::Verdict;
use super::settings::{Bounds, WebSettings};
use crate::files::{Letter, set_aside};
use crate::output::{Delivered, OutputError};

/// An output that sends events in requests.
pub(crate) trait Requests: Sync {
    /// Its name in dead letters.
    const NAME: &'static str;

    /// What it was told.
    fn settings(&self) -> &WebSettings;

    /// Sends a few events in one request.
    fn post(&self, events: &[String], delivered: &mut Delivered) -> impl Future<Output = Verdict> + Send;
}

/// Sends all events. One request follows the other, so the events in front of a failure are safe and keep their order.
pub(crate) async fn deliver<R: Requests>(output: &R, events: &[String]) -> Result<Delivered, OutputError> {
    let settings = output.settings();
    let mut delivered = Delivered::default();
    let mut waiting: Vec<Range<usize>> = cut(events, settings.bounds());
    waiting.reverse();
    while let Some(piece) = waiting.pop() {
        let part = &events[piece.clone()];
        let reason = match output.post(part, &mut delivered).await {
            Verdict::Accepted => {
                delivered.events += part.len() as u64;
                continue;
            }
            Verdict::TooLarge if part.len() > 1 => {
                let middle = piece.start + part.len() / 2;
                waiting.push(middle..piece.end);
                waiting.push(piece.start..middle);
                continue;
            }
            Verdict::TooLarge => format!("too large for this receiver: {} bytes", part[0].len()),
            Verdict::Never(reason) => reason,
            Verdict::Failed(error) => return Err(error.with_accepted(piece.start).with_delivered(delivered)),
        };
        let letters: Vec<Letter<'_>> =
            part.iter().map(|event| Letter { event, reason: reason.clone() }).collect();
        set_aside(settings.dead_letters.as_ref(), R::NAME, &letters)
            .await
            .map_err(|error| error.with_accepted(piece.start).with_delivered(delivered))?;
        delivered.set_aside += part.len() as u64;
    }
    Ok(delivered)
}

/// Where requests begin and end. An event that is longer than the bound has a request of its own.
pub(crate) fn cut(events: &[String], bounds: Bounds) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        let length = event.len() + 1;
        if index > start && (bytes + length > bounds.bytes || index - start >= bounds.events) {
            pieces.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += length;
    }
    if start < events.len() {
        pieces.push(start..events.len());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_to_their_bounds_and_hold_every_event_once() {
        let events: Vec<String> = [3, 3, 20, 3, 3, 3, 3].iter().map(|n| "x".repeat(*n)).collect();
        assert_eq!(cut(&events, Bounds { bytes: 8, events: 100 }), [0..2, 2..3, 3..5, 5..7]);
        assert_eq!(cut(&events, Bounds { bytes: 1000, events: 3 }), [0..3, 3..6, 6..7]);
        assert_eq!(cut(&[], Bounds { bytes: 8, events: 1 }), [] as [Range<usize>; 0]);
    }
}
