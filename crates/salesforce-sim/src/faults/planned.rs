//! The faults of an org that are still to come.

use std::sync::{Mutex, PoisonError};

use super::action::FaultAction;
use super::rule::{Asked, FaultRule};

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(FaultRule, u32)>>);

impl Faults {
    pub(crate) fn new(rules: &[FaultRule]) -> Self {
        Self(Mutex::new(rules.iter().map(|rule| (rule.clone(), 0)).collect()))
    }

    pub(crate) fn plan(&self, rule: FaultRule) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((rule, 0));
    }

    /// Forgets every fault that is still to come.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a request and takes the faults that strike it.
    pub(crate) fn strike(&self, request: &Asked<'_>) -> Vec<FaultAction> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        planned.retain_mut(|(rule, seen)| {
            if !rule.matches(request) {
                return true;
            }
            *seen = seen.saturating_add(1);
            let first = rule.fault.nth.unwrap_or(1);
            if *seen < first {
                return true;
            }
            due.push(rule.fault.action.clone());
            match rule.times.or(rule.fault.nth.map(|_| 1)) {
                Some(times) => *seen - first + 1 < times,
                None => true,
            }
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{Fault, PlannedFault, QueriesOf};
    use crate::objects::stored::StoredObject;

    fn asked<'a>(path: &'a str, now: &str, object: &'a dyn Fn() -> Option<String>) -> Asked<'a> {
        Asked { method: "GET", path, now: now.parse().unwrap(), object }
    }

    fn strike(faults: &Faults, path: &str) -> Vec<FaultAction> {
        faults.strike(&asked(path, "2026-03-04T18:20:00Z", &|| None))
    }

    #[test]
    fn a_fault_strikes_the_nth_match_and_no_other() {
        let faults = Faults::default();
        let fault = Fault { path_contains: "/query".to_owned(), nth: 2, action: FaultAction::RevokeSessions };
        faults.plan(fault.into());
        assert!(strike(&faults, "/query?a").is_empty());
        assert!(strike(&faults, "/other").is_empty());
        assert_eq!(strike(&faults, "/query?b"), [FaultAction::RevokeSessions]);
        assert!(strike(&faults, "/query?c").is_empty());
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_was_planned_to() {
        let faults = Faults::default();
        let nth = PlannedFault { nth: Some(2), ..PlannedFault::every("/a", FaultAction::Close) };
        faults.plan(nth.times(3));
        faults.plan(PlannedFault::every("/b", FaultAction::Close).times(2));
        let struck = |path| (0..7).map(|_| strike(&faults, path).len()).collect::<Vec<_>>();
        assert_eq!(struck("/a"), [0, 1, 1, 1, 0, 0, 0]);
        assert_eq!(struck("/b"), [1, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_fault_strikes_in_its_span_of_time_and_not_before_and_not_after() {
        let faults = Faults::default();
        let span = "2026-03-04T10:00:00Z".parse().unwrap().."2026-03-04T11:00:00Z".parse().unwrap();
        faults.plan(PlannedFault::every("", FaultAction::Close).during(span));
        let at = |now| faults.strike(&asked("/", now, &|| None)).len();
        assert_eq!(at("2026-03-04T09:59:59Z"), 0);
        assert_eq!((at("2026-03-04T10:00:00Z"), at("2026-03-04T10:59:59Z")), (1, 1));
        assert_eq!(at("2026-03-04T11:00:00Z"), 0);
    }

    #[test]
    fn a_fault_of_an_object_strikes_its_queries_alone() {
        for (of, about) in [
            (QueriesOf::Any, [true, true, true, true]),
            (QueriesOf::Big, [true, false, false, false]),
            (StoredObject::LoginHistory.into(), [false, true, false, false]),
            (QueriesOf::Object("eventlogfile".to_owned()), [false, false, true, false]),
        ] {
            let faults = Faults::default();
            faults.plan(PlannedFault::every("", FaultAction::Close).of(of.clone()));
            let objects = [Some("LoginEvent"), Some("LoginHistory"), Some("EventLogFile"), None];
            let struck = objects.map(|object| {
                let object = || object.map(str::to_owned);
                !faults.strike(&asked("/", "2026-03-04T18:20:00Z", &object)).is_empty()
            });
            assert_eq!(struck, about, "{of:?}");
        }
    }
}
