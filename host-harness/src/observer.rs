//! What an embedder can be told while sources run: for metrics, and for an audit trail.

use std::time::Duration;

/// Is told what happens. Called from wherever it happens, so each method returns at once and does not block.
///
/// ```
/// use source_host::{Observer, RequestRecord};
///
/// /// One line for each request, as an auditor wants it.
/// struct Audit {
///     tenant: String,
/// }
///
/// impl Observer for Audit {
///     fn request(&self, request: &RequestRecord<'_>) {
///         println!("{} {} {}{} {:?}", self.tenant, request.method, request.authority, request.path, request.status);
///     }
/// }
/// ```
pub trait Observer: Send + Sync {
    /// A request has come to its end: its answer was read or given up, or it was refused or failed.
    fn request(&self, request: &RequestRecord<'_>) {
        let _ = request;
    }

    /// A call of the component has ended, well or not.
    fn call(&self, call: &CallRecord) {
        let _ = call;
    }

    /// Something ran into a limit, and the call went on: `requests` a second, `connections`, `request-bytes` (the body of one
    /// request), `response-bytes` (of one call), `response-headers` (a head that is too long, or too many that announce another),
    /// `request-time`, `wait` (longer than it may be until the next poll, and cut), `problems` (more than are kept). What a call
    /// ended by, stands in its [`CallRecord`] instead.
    fn limit(&self, limit: &'static str) {
        let _ = limit;
    }
}

/// A request from beginning to end: what [`Observer::request`] is told.
///
/// ```
/// use source_host::RequestRecord;
///
/// fn class(request: &RequestRecord<'_>) -> &'static str {
///     match request.status {
///         _ if request.denied => "denied",
///         Some(200..=299) if request.error.is_none() => "ok",
///         Some(_) => "refused or cut off",
///         None => "no answer",
///     }
/// }
/// assert_eq!(class(&RequestRecord::default()), "no answer");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RequestRecord<'a> {
    /// `GET`
    pub method: &'a str,
    /// `https` or `http`
    pub scheme: &'a str,
    /// `host` or `host:port`, in the form that was compared with the rules.
    pub authority: &'a str,
    /// Its path, without the query, which may hold what is secret.
    pub path: &'a str,
    /// Absent where there was no answer.
    pub status: Option<u16>,
    /// Why there was none, or none to its end.
    pub error: Option<&'a str>,
    /// Whether the host refused to send it.
    pub denied: bool,
    /// So many before it were refused as well, denied or not as this one is, and faster than [`crate::Limits::requests_per_second`]:
    /// this record stands for them, whatever hosts they were for.
    pub untold_before: u64,
    /// Bytes of its body.
    pub bytes_sent: u64,
    /// Bytes of the answer's body that were read.
    pub bytes_received: u64,
    /// From when it was sent until its answer was read.
    pub duration: Duration,
}

/// A call from beginning to end: what [`Observer::call`] is told.
///
/// ```
/// use source_host::CallRecord;
///
/// fn line(call: &CallRecord) -> String {
///     let CallRecord { function, duration, cpu, .. } = call;
///     format!("{function}: {duration:?}, {cpu:?} of the processor, {}", call.ended_by.unwrap_or("well"))
/// }
/// assert_eq!(line(&CallRecord::default()), ": 0ns, 0ns of the processor, well");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CallRecord {
    /// `poll`
    pub function: &'static str,
    /// On the wall.
    pub duration: Duration,
    /// Of the processor.
    pub cpu: Duration,
    /// Bytes of memory that the instance has held at most so far.
    pub peak_memory: u64,
    /// What ended it, if it did not end by itself: `memory`, `time`, `cpu`, `cancelled`, `trap`, `answer`.
    pub ended_by: Option<&'static str>,
}
