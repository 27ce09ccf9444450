//! Faults that are planned ahead: one by one by a test, or as a plan in JSON by anyone.
//!
//! A plan is a list; each entry says which requests it matches, which of them it strikes and what happens:
//!
//! ```json
//! [
//!   {"path": "/query", "nth": 2, "action": {"kind": "answer", "status": 503, "body": "<h1>Down</h1>"}},
//!   {"method": "GET", "path": "/LogFile", "every": true, "action": {"kind": "drip"}}
//! ]
//! ```
//!
//! `method` and `path` (a part of the path with its query, as sent) match all if left out; `nth` counts matching requests
//! from 1, which it is if left out, and the fault happens once; with `every` it happens each time.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Misbehaviour on one request; each fault happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Matches requests whose path, with its query as sent, contains this text.
    pub path_contains: String,
    /// Which of the matching requests it strikes, counted from 1 since the fault was planned.
    pub nth: u32,
    /// What happens.
    pub action: FaultAction,
}

/// What happens to the request. In a plan: an object with the variant's name as `kind` (`cut-silently`) and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// It is answered with this, and nothing else of the org sees it.
    Answer {
        /// HTTP status.
        status: u16,
        /// Sent as JSON if it begins with `[` or `{`, otherwise as HTML.
        #[serde(default)]
        body: String,
        /// Header fields that come with it, such as `Retry-After`; one that HTTP does not allow is left out, and a
        /// mistake in a plan.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// The answer comes so much later.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// The answer ends after so many decoded bytes and looks complete to HTTP (and to gzip).
    CutSilently {
        /// Bytes before any content coding.
        after: u64,
    },
    /// The connection breaks after so many decoded bytes.
    CutConnection {
        /// Bytes before any content coding.
        after: u64,
    },
    /// Nothing comes after so many decoded bytes, and the connection stays open.
    Stall {
        /// Bytes before any content coding.
        after: u64,
    },
    /// The body comes in drops: one byte a second, if nothing else is said.
    Drip {
        /// Bytes of a drop on the wire, before any chunking.
        #[serde(default = "one_byte")]
        bytes: NonZeroUsize,
        /// Milliseconds from one drop to the next.
        #[serde(default = "a_second")]
        millis: u64,
    },
    /// One byte of a gzip body is wrong; a body without gzip stays as it is.
    CorruptGzip {
        /// Where, in bytes on the wire; a shorter body is wrong at its end.
        #[serde(default = "behind_the_header")]
        at: u64,
    },
    /// Every `LogFileLength` in the answer to a query is off.
    WrongLength {
        /// By so many bytes, too few if negative.
        by: i64,
    },
    /// Every session is revoked before the request is looked at.
    RevokeSessions,
    /// The quota is used up before the request is looked at.
    ExhaustQuota,
}

impl FaultAction {
    /// An answer with this status and body.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::answer_with(status, body, [])
    }

    /// The same with header fields.
    pub fn answer_with<const N: usize>(
        status: u16,
        body: impl Into<String>,
        headers: [(&str, &str); N],
    ) -> Self {
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self::Answer { status, body: body.into(), headers }
    }
}

fn one_byte() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn a_second() -> u64 {
    1_000
}

/// The header of gzip has ten bytes (RFC 1952); a few of the data follow.
fn behind_the_header() -> u64 {
    20
}

/// A fault with everything that a plan can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Matches requests with this method; none matches all.
    pub method: Option<String>,
    /// Matches requests whose path, with its query as sent, contains this text.
    pub path_contains: String,
    /// Which of the matching requests it strikes, counted from 1; none strikes every one.
    pub nth: Option<u32>,
    /// What happens.
    pub action: FaultAction,
}

impl From<Fault> for PlannedFault {
    fn from(Fault { path_contains, nth, action }: Fault) -> Self {
        Self { method: None, path_contains, nth: Some(nth), action }
    }
}

/// Everything that is wrong with a plan; displays as one line for each mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PlanMistakes(pub Vec<String>);

impl PlannedFault {
    /// Strikes every request whose path, with its query as sent, contains this text.
    pub fn every(path_contains: impl Into<String>, action: FaultAction) -> Self {
        Self { method: None, path_contains: path_contains.into(), nth: None, action }
    }

    /// Reads a plan: a JSON list of faults, as the module says.
    ///
    /// # Errors
    /// If the text is no such list. Every mistake in it is named.
    pub fn plan(json: &str) -> Result<Vec<Self>, PlanMistakes> {
        let whole = |problem: String| PlanMistakes(vec![problem]);
        let plan = serde_json::from_str(json).map_err(|error| whole(format!("no JSON: {error}")))?;
        let Value::Array(entries) = plan else {
            return Err(whole("a plan is a list of faults".to_owned()));
        };
        let (mut faults, mut mistakes) = (Vec::new(), Vec::new());
        for (place, entry) in entries.into_iter().enumerate() {
            let mut named = |problem: String| mistakes.push(format!("fault {}: {problem}", place + 1));
            match entry {
                Value::Object(fields) => faults.extend(Self::read(fields, &mut named)),
                _ => named("not an object".to_owned()),
            }
        }
        if mistakes.is_empty() { Ok(faults) } else { Err(PlanMistakes(mistakes)) }
    }

    fn read(mut fields: Map<String, Value>, named: &mut impl FnMut(String)) -> Option<Self> {
        let mut text = |name: &str, named: &mut dyn FnMut(String)| match fields.remove(name) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                named(format!("{name} is a text, not {other}"));
                None
            }
        };
        let method = text("method", &mut *named);
        let path_contains = text("path", &mut *named).unwrap_or_default();
        if let Some(method) = method.as_deref().filter(|method| !["GET", "POST"].contains(method)) {
            named(format!("method is GET or POST, not {method}"));
        }
        let every = match fields.remove("every") {
            None => false,
            Some(Value::Bool(every)) => every,
            Some(other) => {
                named(format!("every is true or false, not {other}"));
                false
            }
        };
        let nth = match fields.remove("nth") {
            None => 1,
            Some(_) if every => {
                named("nth and every exclude each other".to_owned());
                1
            }
            Some(given) => {
                let nth = given.as_u64().and_then(|nth| u32::try_from(nth).ok()).filter(|nth| *nth > 0);
                if nth.is_none() {
                    named(format!("nth is a whole number from 1, not {given}"));
                }
                nth.unwrap_or(1)
            }
        };
        let action = match fields.remove("action").map(serde_json::from_value::<FaultAction>) {
            None => {
                named("action is missing".to_owned());
                None
            }
            Some(Err(error)) => {
                named(format!("action: {error}"));
                None
            }
            Some(Ok(FaultAction::Answer { status, .. })) if !(200..=599).contains(&status) => {
                named(format!("action: status is a number from 200 to 599, not {status}"));
                None
            }
            Some(Ok(action)) => {
                if let FaultAction::Answer { headers, .. } = &action {
                    for (name, value) in headers.iter().filter(|(name, value)| header(name, value).is_none())
                    {
                        named(format!("action: HTTP has no header field '{name}: {value}'"));
                    }
                }
                Some(action)
            }
        };
        for name in fields.keys() {
            named(format!("there is no {name}; there are method, path, nth, every and action"));
        }
        let nth = (!every).then_some(nth);
        action.map(|action| Self { method, path_contains, nth, action })
    }
}

/// A header field as HTTP allows it (RFC 9110 section 5).
pub(crate) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(PlannedFault, u32)>>);

impl Faults {
    pub(crate) fn plan(&self, fault: PlannedFault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((fault, 0));
    }

    /// Forgets every fault that is still to come.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a request and takes the faults that strike it.
    pub(crate) fn strike(&self, method: &str, path: &str) -> Vec<FaultAction> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        planned.retain_mut(|(fault, seen)| {
            let other_method = fault.method.as_ref().is_some_and(|wanted| wanted != method);
            if other_method || !path.contains(&fault.path_contains) {
                return true;
            }
            *seen += 1;
            if fault.nth.is_some_and(|nth| *seen < nth) {
                return true;
            }
            due.push(fault.action.clone());
            fault.nth.is_none()
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_nth_match_and_no_other() {
        let faults = Faults::default();
        let fault = Fault { path_contains: "/query".to_owned(), nth: 2, action: FaultAction::RevokeSessions };
        faults.plan(fault.into());
        assert!(faults.strike("GET", "/query?a").is_empty());
        assert!(faults.strike("GET", "/other").is_empty());
        assert_eq!(faults.strike("GET", "/query?b"), [FaultAction::RevokeSessions]);
        assert!(faults.strike("GET", "/query?c").is_empty());
    }

    #[test]
    fn a_plan_reads_every_kind_of_fault() {
        let kinds = [
            (r#"{"kind":"answer","status":503}"#, FaultAction::answer(503, "")),
            (r#"{"kind":"delay","millis":5}"#, FaultAction::Delay { millis: 5 }),
            (r#"{"kind":"cut-silently","after":1}"#, FaultAction::CutSilently { after: 1 }),
            (r#"{"kind":"cut-connection","after":2}"#, FaultAction::CutConnection { after: 2 }),
            (r#"{"kind":"stall","after":3}"#, FaultAction::Stall { after: 3 }),
            (r#"{"kind":"drip"}"#, FaultAction::Drip { bytes: NonZeroUsize::MIN, millis: 1_000 }),
            (r#"{"kind":"corrupt-gzip"}"#, FaultAction::CorruptGzip { at: 20 }),
            (r#"{"kind":"wrong-length","by":-4}"#, FaultAction::WrongLength { by: -4 }),
            (r#"{"kind":"revoke-sessions"}"#, FaultAction::RevokeSessions),
            (r#"{"kind":"exhaust-quota"}"#, FaultAction::ExhaustQuota),
        ];
        for (json, action) in kinds {
            let plan = PlannedFault::plan(&format!(r#"[{{"path":"/x","action":{json}}}]"#)).unwrap();
            assert_eq!((plan[0].nth, &plan[0].action), (Some(1), &action));
        }
        let plan =
            PlannedFault::plan(r#"[{"method":"POST","every":true,"action":{"kind":"drip"}}]"#).unwrap();
        assert_eq!((plan[0].method.as_deref(), plan[0].nth), (Some("POST"), None));
    }

    #[test]
    fn every_mistake_in_a_plan_is_named() {
        let plan = r#"[
            {"method": "PUT", "nth": 0, "path": 5, "when": 1},
            {"action": {"kind": "explode"}},
            {"action": {"kind": "stall", "after": 1}, "nth": 2, "every": true},
            {"action": {"kind": "answer", "status": 99}},
            {"action": {"kind": "answer", "status": 503, "headers": {"Retry After": "1", "Retry-After": "2"}}},
            {"action": {"kind": "drip", "bytes": 0}},
            7
        ]"#;
        let mistakes = PlannedFault::plan(plan).unwrap_err().to_string();
        for named in [
            "fault 1: method is GET or POST, not PUT",
            "fault 1: nth is a whole number from 1, not 0",
            "fault 1: path is a text, not 5",
            "fault 1: action is missing",
            "fault 1: there is no when",
            "fault 2: action: unknown variant `explode`",
            "fault 3: nth and every exclude each other",
            "fault 4: action: status is a number from 200 to 599, not 99",
            "fault 5: action: HTTP has no header field 'Retry After: 1'",
            "fault 6: action: invalid value: integer `0`, expected a nonzero usize",
            "fault 7: not an object",
        ] {
            assert!(mistakes.contains(named), "{named}: {mistakes}");
        }
        assert!(PlannedFault::plan("{}").unwrap_err().to_string().contains("a plan is a list"));
        assert!(PlannedFault::plan("[").unwrap_err().to_string().contains("no JSON"));
    }
}
