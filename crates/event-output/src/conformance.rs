//! What every output has to stand: a receiver that is down, slow, refuses, tears the connection, takes half, or dies.
//!
//! For outputs of your own: implement [`Rig`] over a fake of your receiver, and call [`conforms`] and [`endures`] in tests. They
//! panic with what is wrong.
//!
//! - Nothing is lost: after an error the events behind [`OutputError::accepted`](crate::OutputError::accepted) come again,
//!   and every event has arrived then, or was set aside.
//! - What is accepted is true: those events have arrived at the time of the error.
//! - Events keep their order, and arrive once, where the output promises it.
//! - A delivery that is dropped midway loses nothing.
//! - No secret shows in a message.

use std::future::poll_fn;
use std::task::Poll;

use crate::output::{Output, OutputErrorKind};

/// What the receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Takes everything.
    None,
    /// Cannot be reached.
    Down,
    /// Reads, and never answers.
    Silent,
    /// Says no, until somebody acts.
    Refuses,
    /// Takes events and tears the connection before it has answered.
    Tears,
    /// Takes about half of the events, and has no capacity for the others.
    TakesHalf,
    /// Takes some requests and is killed in the midst of the batch.
    Dies,
}

/// All faults.
pub const FAULTS: [Fault; 6] =
    [Fault::Down, Fault::Silent, Fault::Refuses, Fault::Tears, Fault::TakesHalf, Fault::Dies];

/// A receiver to be tried, and outputs to it.
pub trait Rig {
    /// An output to the receiver, new as after a restart of the host.
    fn output(&mut self) -> Box<dyn Output>;

    /// Makes the receiver behave so. False if it has no such fault.
    fn behave(&mut self, fault: Fault) -> impl Future<Output = bool>;

    /// The ids of all events that arrived so far, in their order, repeats included.
    fn arrived(&mut self) -> impl Future<Output = Vec<String>>;

    /// The ids of the events that were set aside.
    fn set_aside(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the receiver got a request since it behaves as it does.
    fn was_asked(&self) -> bool;

    /// The kind that an error has with this fault.
    fn kind(&self, fault: Fault) -> OutputErrorKind {
        match fault {
            Fault::Refuses => OutputErrorKind::Refused,
            _ => OutputErrorKind::Unavailable,
        }
    }

    /// Whether events keep their order, repeats aside.
    const ORDERED: bool;

    /// Whether an event that comes again is not there twice.
    const ONCE: bool;

    /// Texts that must not show.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Events with ids `first` to `last`, of different lengths.
pub fn events(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|id| {
        let message = "x".repeat(id % 7 * 10);
        format!(
            r#"{{"@timestamp":"2026-06-01T10:15:30.123Z","event":{{"id":"{id:06}"}},"data_stream":{{"type":"logs","dataset":"a.b"}},"message":"{message}"}}"#
        )
    })
    .collect()
}

/// Tries one output with every fault that its receiver has. `size` events are a batch: more than a few requests' worth.
pub async fn conforms<R: Rig>(rig: &mut R, size: usize) {
    let mut next = 0;
    let mut batch = || {
        next += size;
        events(next - size..next)
    };

    assert!(rig.behave(Fault::None).await, "the receiver has to work");
    let mut output = rig.output();
    let seen = output.check().await;
    assert!(seen.is_ok(), "a receiver that works fails the check: {seen:?}");
    assert!(output.deliver(&[]).await.is_ok(), "an empty batch has to be delivered");
    let first = batch();
    let delivered = output.deliver(&first).await;
    assert!(
        delivered.as_ref().is_ok_and(|delivered| delivered.events == size as u64 && delivered.bytes_sent > 0),
        "a receiver that works does not take a batch of {size}: {delivered:?}"
    );
    complete(rig, size).await;

    let mut expected = size;
    for fault in FAULTS {
        if !rig.behave(fault).await {
            continue;
        }
        let batch = batch();
        expected += size;
        let accepted = if fault == Fault::Silent {
            dropped_midway(rig, output.as_mut(), &batch).await;
            0
        } else {
            failed(rig, output.as_mut(), fault, &batch, expected - size).await
        };
        rig.behave(Fault::None).await;
        // The host may have been started again in between.
        if fault == Fault::Dies {
            output.close().await.ok();
            output = rig.output();
        }
        let again = output.deliver(&batch[accepted..]).await;
        assert!(again.is_ok(), "{fault:?} has passed, and the rest is not delivered: {again:?}");
        complete(rig, expected).await;
    }
    let closed = output.close().await;
    assert!(closed.is_ok(), "an output that works cannot be closed: {closed:?}");
}

/// Delivers batches while faults come and go by chance, as a host does: after an error the rest, with another fault or none.
/// In the end everything has arrived. The same `seed` is the same run.
pub async fn endures<R: Rig>(rig: &mut R, batches: usize, size: usize, seed: u64) {
    let mut random = seed | 1;
    let mut output = rig.output();
    for number in 0..batches {
        let batch = events(number * size..(number + 1) * size);
        let mut safe = 0;
        while safe < batch.len() {
            // Xorshift is enough to choose by.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let fault = FAULTS.into_iter().nth((random % 11) as usize).unwrap_or(Fault::None);
            if !rig.behave(fault).await {
                continue;
            }
            if fault == Fault::Silent {
                dropped_midway(rig, output.as_mut(), &batch[safe..]).await;
                continue;
            }
            match output.deliver(&batch[safe..]).await {
                Ok(_) => safe = batch.len(),
                Err(error) => safe += error.accepted(),
            }
        }
        assert!(rig.behave(Fault::None).await, "the receiver has to work");
        complete(rig, (number + 1) * size).await;
    }
}

/// Delivers while the receiver has a fault; returned is what was accepted.
async fn failed<R: Rig>(
    rig: &mut R,
    output: &mut dyn Output,
    fault: Fault,
    batch: &[String],
    before: usize,
) -> usize {
    let Err(error) = output.deliver(batch).await else {
        panic!("a batch counts as delivered with {fault:?}");
    };
    assert_eq!(error.kind(), rig.kind(fault), "{fault:?}: {error}");
    assert!(error.accepted() < batch.len(), "{fault:?}: an error that accepted everything");
    let message = format!("{error} {error:?}");
    for secret in rig.secrets() {
        assert!(!message.contains(&secret), "{fault:?}: a secret shows");
    }
    if !matches!(fault, Fault::Down | Fault::Dies) {
        holds(rig, before + error.accepted(), "accepted").await;
    }
    error.accepted()
}

/// Begins a delivery and drops it once the receiver was asked.
async fn dropped_midway<R: Rig>(rig: &mut R, output: &mut dyn Output, batch: &[String]) {
    let mut delivery = output.deliver(batch);
    poll_fn(|context| {
        let early = delivery.as_mut().poll(context).is_ready();
        assert!(!early, "a batch counts as delivered, or failed, without an answer");
        if rig.was_asked() {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Everything has arrived, in order and once where that is promised.
async fn complete<R: Rig>(rig: &mut R, expected: usize) {
    holds(rig, expected, "delivered").await;
    let arrived = rig.arrived().await;
    let mut seen = std::collections::HashSet::new();
    let once: Vec<&String> = arrived.iter().filter(|id| seen.insert((*id).clone())).collect();
    if R::ORDERED {
        assert!(once.is_sorted(), "events do not keep their order");
    }
    if R::ONCE {
        assert_eq!(once.len(), arrived.len(), "events are there twice");
    }
}

/// The first events have arrived or were set aside.
async fn holds<R: Rig>(rig: &mut R, count: usize, claim: &str) {
    let mut there: std::collections::HashSet<String> = rig.arrived().await.into_iter().collect();
    there.extend(rig.set_aside());
    for id in 0..count {
        assert!(there.contains(&format!("{id:06}")), "event {id} counts as {claim}, and is not there");
    }
}
