//! A plan of faults in JSON.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::action::{FaultAction, header};
use super::rule::{FaultRule, PlannedFault, QueriesOf};
use crate::objects;

/// Everything that is wrong with a plan; displays as one line for each mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PlanMistakes(pub Vec<String>);

impl PlannedFault {
    /// Reads a plan: a JSON list of faults, as the module `faults` says.
    ///
    /// # Errors
    /// If the text is no such list. Every mistake in it is named.
    pub fn plan(json: &str) -> Result<Vec<FaultRule>, PlanMistakes> {
        let whole = |problem: String| PlanMistakes(vec![problem]);
        let plan = serde_json::from_str(json).map_err(|error| whole(format!("no JSON: {error}")))?;
        let Value::Array(entries) = plan else {
            return Err(whole("a plan is a list of faults".to_owned()));
        };
        let (mut faults, mut mistakes) = (Vec::new(), Vec::new());
        for (index, entry) in entries.into_iter().enumerate() {
            let mut named = |problem: String| mistakes.push(format!("fault {}: {problem}", index + 1));
            match entry {
                Value::Object(fields) => faults.extend(Entry { fields, named: &mut named }.read()),
                _ => named("not an object".to_owned()),
            }
        }
        if mistakes.is_empty() { Ok(faults) } else { Err(PlanMistakes(mistakes)) }
    }
}

/// An entry of a plan, and where its mistakes are named.
struct Entry<'a> {
    fields: Map<String, Value>,
    named: &'a mut dyn FnMut(String),
}

impl Entry<'_> {
    fn read(mut self) -> Option<FaultRule> {
        let method = self.text("method");
        let path_contains = self.text("path").unwrap_or_default();
        if let Some(method) = method.as_deref().filter(|method| !["GET", "POST"].contains(method)) {
            (self.named)(format!("method is GET or POST, not {method}"));
        }
        let of = self.of();
        let during = match (self.time("from"), self.time("until")) {
            (None, None) => None,
            (from, until) => {
                Some(from.unwrap_or(DateTime::<Utc>::MIN_UTC)..until.unwrap_or(DateTime::<Utc>::MAX_UTC))
            }
        };
        let every = match self.fields.remove("every") {
            None => false,
            Some(Value::Bool(every)) => every,
            Some(other) => {
                (self.named)(format!("every is true or false, not {other}"));
                false
            }
        };
        if every && self.fields.contains_key("nth") {
            (self.named)("nth and every exclude each other".to_owned());
            self.fields.remove("nth");
        }
        let nth = self.count("nth").unwrap_or(1);
        let times = self.count("times");
        let action = self.action();
        for name in self.fields.keys() {
            let all = "method, path, of, from, until, nth, times, every and action";
            (self.named)(format!("there is no {name}; there are {all}"));
        }
        let fault = PlannedFault { method, path_contains, nth: (!every).then_some(nth), action: action? };
        Some(FaultRule { of, times, during, ..FaultRule::from(fault) })
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name)? {
            Value::String(text) => Some(text),
            other => {
                (self.named)(format!("{name} is a text, not {other}"));
                None
            }
        }
    }

    fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        let time = text.parse().ok();
        if time.is_none() {
            (self.named)(format!("{name} is a time such as 2026-03-04T18:00:00Z, not {text}"));
        }
        time
    }

    fn count(&mut self, name: &str) -> Option<u32> {
        let given = self.fields.remove(name)?;
        let count = given.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
        if count.is_none() {
            (self.named)(format!("{name} is a whole number from 1, not {given}"));
        }
        count
    }

    fn of(&mut self) -> QueriesOf {
        match self.text("of") {
            None => QueriesOf::Any,
            Some(name) if name == "big" => QueriesOf::Big,
            Some(name) => {
                if objects::named(&name).is_none() {
                    (self.named)(format!("of is big or the name of an object, not {name}"));
                }
                QueriesOf::Object(name)
            }
        }
    }

    fn action(&mut self) -> Option<FaultAction> {
        match self.fields.remove("action").map(serde_json::from_value::<FaultAction>) {
            None => {
                (self.named)("action is missing".to_owned());
                None
            }
            Some(Err(error)) => {
                (self.named)(format!("action: {error}"));
                None
            }
            Some(Ok(FaultAction::Answer { status, .. })) if !(200..=599).contains(&status) => {
                (self.named)(format!("action: status is a number from 200 to 599, not {status}"));
                None
            }
            Some(Ok(action)) => {
                if let FaultAction::Answer { headers, .. } = &action {
                    for (name, value) in headers.iter().filter(|(name, value)| header(name, value).is_none())
                    {
                        (self.named)(format!("action: HTTP has no header field '{name}: {value}'"));
                    }
                }
                Some(action)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::faults::Total;
    use crate::faults::cost::Failure;
    use crate::faults::damage::Damage;

    #[test]
    fn a_plan_reads_every_kind_of_fault() {
        let costly = |wider_than_seconds, more_than, failure| FaultAction::Costly {
            wider_than_seconds,
            more_than,
            failure,
        };
        let kinds = [
            (r#"{"kind":"answer","status":503}"#, FaultAction::answer(503, "")),
            (r#"{"kind":"close"}"#, FaultAction::Close),
            (r#"{"kind":"delay","millis":5}"#, FaultAction::Delay { millis: 5 }),
            (r#"{"kind":"cut-silently","after":1}"#, FaultAction::CutSilently { after: 1 }),
            (r#"{"kind":"cut-connection","after":2}"#, FaultAction::CutConnection { after: 2 }),
            (r#"{"kind":"stall","after":3}"#, FaultAction::Stall { after: 3 }),
            (r#"{"kind":"drip"}"#, FaultAction::Drip { bytes: NonZeroUsize::MIN, millis: 1_000 }),
            (r#"{"kind":"corrupt-gzip"}"#, FaultAction::CorruptGzip { at: 20 }),
            (r#"{"kind":"behind-gzip","text":"x"}"#, FaultAction::BehindGzip { text: "x".to_owned() }),
            (r#"{"kind":"append","text":"\r\n"}"#, FaultAction::Append { text: "\r\n".to_owned() }),
            (r#"{"kind":"wrong-length","by":-4}"#, FaultAction::WrongLength { by: -4 }),
            (r#"{"kind":"total","says":"minus-one"}"#, FaultAction::Total { says: Total::MinusOne }),
            (r#"{"kind":"total","says":"of-the-page"}"#, FaultAction::Total { says: Total::OfThePage }),
            (r#"{"kind":"total","says":"absent"}"#, FaultAction::Total { says: Total::Absent }),
            (r#"{"kind":"total","says":{"off":3}}"#, FaultAction::Total { says: Total::Off(3) }),
            (r#"{"kind":"fewer-records","by":10}"#, FaultAction::FewerRecords { by: 10 }),
            (
                r#"{"kind":"costly","more_than":60,"failure":"request-running-too-long"}"#,
                costly(None, Some(60), Failure::RequestRunningTooLong),
            ),
            (
                r#"{"kind":"costly","wider_than_seconds":60,"failure":{"page":504}}"#,
                costly(Some(60), None, Failure::Page(504)),
            ),
            (
                r#"{"kind":"damage-record","how":{"record":"null"}}"#,
                FaultAction::DamageRecord { place: 0, how: Damage::Record("null".to_owned()), field: None },
            ),
            (
                r#"{"kind":"date-header","ahead_seconds":-60}"#,
                FaultAction::DateHeader { ahead_seconds: Some(-60) },
            ),
            (
                r#"{"kind":"date-header","ahead_seconds":null}"#,
                FaultAction::DateHeader { ahead_seconds: None },
            ),
            (r#"{"kind":"forget-locators"}"#, FaultAction::ForgetLocators),
            (r#"{"kind":"revoke-sessions"}"#, FaultAction::RevokeSessions),
            (r#"{"kind":"exhaust-quota"}"#, FaultAction::ExhaustQuota),
        ];
        for (json, action) in kinds {
            let plan = PlannedFault::plan(&format!(r#"[{{"path":"/x","action":{json}}}]"#)).unwrap();
            assert_eq!((plan[0].fault.nth, &plan[0].fault.action), (Some(1), &action));
        }
        let plan =
            PlannedFault::plan(r#"[{"method":"POST","every":true,"action":{"kind":"drip"}}]"#).unwrap();
        assert_eq!((plan[0].fault.method.as_deref(), plan[0].fault.nth), (Some("POST"), None));
    }

    #[test]
    fn a_plan_says_for_which_object_when_and_how_often() {
        let plan = PlannedFault::plan(
            r#"[{"of":"LoginEvent","from":"2026-03-04T18:00:00Z","nth":3,"times":2,"action":{"kind":"close"}},
                {"of":"big","until":"2026-03-04T18:00:00Z","every":true,"times":5,"action":{"kind":"close"}}]"#,
        )
        .unwrap();
        let time: DateTime<Utc> = "2026-03-04T18:00:00Z".parse().unwrap();
        let nth = PlannedFault { nth: Some(3), ..PlannedFault::every("", FaultAction::Close) };
        let login_event = QueriesOf::Object("LoginEvent".to_owned());
        assert_eq!(plan[0], nth.of(login_event).during(time..DateTime::<Utc>::MAX_UTC).times(2));
        let every = PlannedFault::every("", FaultAction::Close);
        assert_eq!(plan[1], every.of(QueriesOf::Big).during(DateTime::<Utc>::MIN_UTC..time).times(5));
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
            7,
            {"of": "Logins", "from": "noon", "times": 0, "action": {"kind": "close"}}
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
            "fault 8: of is big or the name of an object, not Logins",
            "fault 8: from is a time such as 2026-03-04T18:00:00Z, not noon",
            "fault 8: times is a whole number from 1, not 0",
        ] {
            assert!(mistakes.contains(named), "{named}: {mistakes}");
        }
        assert!(PlannedFault::plan("{}").unwrap_err().to_string().contains("a plan is a list"));
        assert!(PlannedFault::plan("[").unwrap_err().to_string().contains("no JSON"));
    }
}
