//! A bucket as a whole: what lies in it, one message for each key.

use async_nats::header::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::kv::Store;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::time::{Duration, SystemTime};

use super::errors::away;
use super::layout::{Layout, patiently, stream};
use crate::engine::EngineError;

/// How long the next message is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What lies under a key.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) written: SystemTime,
    pub(super) headers: HeaderMap,
    pub(super) value: Bytes,
}

/// Opens a bucket of the fleet, and makes it where there is none. Without an age, what lies there stays.
pub(super) async fn open(
    context: &Context,
    layout: &Layout,
    of: &str,
    age: Duration,
) -> Result<Store, EngineError> {
    let mut config = layout.bucket_config(of);
    config.max_age = age;
    stream(context, layout, config).await?;
    let bucket = layout.bucket(of);
    patiently(|| async {
        let opened = context.get_key_value(&bucket).await;
        opened.map_err(|error| away(format!("the bucket {bucket} cannot be opened: {error}")))
    })
    .await
}

/// All that lies in a bucket; without what lies there, if the headers do.
pub(super) async fn entries(
    context: &Context,
    bucket: &str,
    headers_only: bool,
) -> Result<Vec<Entry>, EngineError> {
    let failed = |error: &dyn std::fmt::Display| away(format!("the bucket {bucket} cannot be read: {error}"));
    let stream = context.get_stream_no_info(format!("KV_{bucket}")).await.map_err(|error| failed(&error))?;
    let config = pull::OrderedConfig {
        deliver_policy: DeliverPolicy::LastPerSubject,
        filter_subject: format!("$KV.{bucket}.>"),
        headers_only,
        ..pull::OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| failed(&error))?;
    let mut found = Vec::new();
    let mut left = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await.map_err(|error| failed(&error))?;
    let prefix = format!("$KV.{bucket}.");
    while left > 0 {
        let next = tokio::time::timeout(PATIENCE, messages.next()).await;
        let message = match next.map_err(|_| failed(&"nothing comes any more"))? {
            Some(message) => message.map_err(|error| failed(&error))?,
            None => return Err(failed(&"it was cut off")),
        };
        let info = message.info().map_err(|error| failed(&error))?;
        left = info.pending;
        let written = SystemTime::from(info.published);
        let headers = message.headers.clone().unwrap_or_default();
        let Some(key) = message.subject.strip_prefix(&*prefix) else { continue };
        // What marks a key that was removed.
        if headers.get("KV-Operation").is_some() {
            continue;
        }
        found.push(Entry { key: key.to_owned(), written, headers, value: message.payload.clone() });
    }
    Ok(found)
}
