//! What the server's answers mean.

use std::error::Error;

use async_nats::jetstream::context::{
    CreateStreamError, CreateStreamErrorKind, PublishError, PublishErrorKind,
};
use async_nats::jetstream::{Error as Answer, ErrorCode};

use crate::engine::{CommitError, EngineError};

pub(super) fn away(error: impl std::fmt::Display) -> EngineError {
    EngineError::Unavailable(error.to_string())
}

/// Why a stream cannot be made.
pub(super) fn not_created(name: &str, replicas: usize, error: &CreateStreamError) -> EngineError {
    match &error.kind() {
        CreateStreamErrorKind::JetStreamUnavailable => no_jetstream(),
        CreateStreamErrorKind::JetStream(answer) => match answer.error_code() {
            _ if is_without_jetstream(answer) => no_jetstream(),
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => EngineError::Refused(format!(
                "{replicas} replicas need a cluster, and this server is none; for a trial, ask for one replica"
            )),
            ErrorCode::STREAM_NAME_EXIST | ErrorCode::STREAM_SUBJECT_OVERLAP => {
                other_stream(name, &answer.to_string())
            }
            // Servers that have just started do not know one another yet.
            ErrorCode::CLUSTER_NO_PEERS => {
                away(format!("{replicas} servers for the stream {name} cannot be had: {answer}"))
            }
            _ if answer.code() >= 500 => away(format!("the stream {name} cannot be made: {answer}")),
            _ => EngineError::Refused(format!("the stream {name} cannot be made: {answer}")),
        },
        CreateStreamErrorKind::TimedOut => away("the server did not answer in time"),
        kind => away(format!("the stream {name} cannot be made: {kind}")),
    }
}

pub(super) fn other_stream(name: &str, how: &str) -> EngineError {
    EngineError::Refused(format!(
        "there is a stream {name} already that is not as a fleet needs it ({how}); remove it, or name the fleet otherwise"
    ))
}

pub(super) fn other_consumer(stream: &str, name: &str) -> EngineError {
    EngineError::Refused(format!(
        "the stream {stream} has a consumer {name} that is not as a fleet needs it: it has to acknowledge each job, and to have the \
         jobs alone; remove it"
    ))
}

/// There is no fleet by this name.
pub(super) fn no_fleet(fleet: &str, stream: &str) -> EngineError {
    EngineError::Refused(format!(
        "there is no fleet by the name {fleet} on these servers, as its stream {stream} is not there; `source-host fleet worker` makes one"
    ))
}

pub(super) fn is_without_jetstream(answer: &Answer) -> bool {
    matches!(
        answer.error_code(),
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
    )
}

pub(super) fn no_jetstream() -> EngineError {
    EngineError::Refused(
        "this server has no JetStream; start it with `jetstream {}` in its configuration, or use an account that has it"
            .to_owned(),
    )
}

/// What a refused event means.
pub(super) fn not_published(subject: &str, error: &PublishError) -> CommitError {
    let what = || format!("an event for {subject} was not taken: {error}");
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => EngineError::Refused(format!(
            "{}; raise `max_payload` of the servers, or lower `limits.event_bytes` of the tenant",
            what()
        ))
        .into(),
        PublishErrorKind::StreamNotFound => EngineError::Unavailable(what()).into(),
        PublishErrorKind::Other => match answer(error) {
            Some(answer) if is_full(answer) => CommitError::Full(answer.to_string()),
            Some(answer) if answer.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => {
                EngineError::Refused(answer.to_string()).into()
            }
            Some(answer) => EngineError::Unavailable(answer.to_string()).into(),
            None => EngineError::Unavailable(what()).into(),
        },
        _ => EngineError::Unavailable(what()).into(),
    }
}

/// What the server says of a message that it did not take.
pub(super) fn answer(error: &PublishError) -> Option<&Answer> {
    error.source().and_then(|source| source.downcast_ref())
}

/// Of the tenant, of all tenants, or of the servers' disks.
fn is_full(answer: &Answer) -> bool {
    match answer.error_code() {
        ErrorCode::STREAM_STORE_FAILED => answer.to_string().contains("maximum"),
        ErrorCode::INSUFFICIENT_RESOURCES | ErrorCode::STORAGE_RESOURCES_EXCEEDED => true,
        _ => false,
    }
}
