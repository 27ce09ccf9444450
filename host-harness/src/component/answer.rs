//! What a component returns, measured before anybody sees it.
//!
//! What breaks the contract, or a limit that leaves no doubt what was meant, is refused: delivering half a batch would lose
//! the other half. Of what is only told (problems, warnings) as much is kept as somebody would read.

use super::event::Checker;
use super::limits::Limits;
use super::session::Session;
use crate::bindings::exports::pipeline::source::source as wit;
use crate::contract::{Batch, Description, Failure, Finding, Grants, Problem, ProblemKind};
use crate::error::Error;
use crate::units::{bytes, grouped};

fn refused<T>(what: String) -> Result<T, Error> {
    Err(Error::Refused(what))
}

fn fits(count: usize, what: &str, limits: &Limits) -> Result<(), Error> {
    if count > limits.list_length {
        let (count, limit) = (grouped(count as u64), limits.list_length);
        return refused(format!("{count} {what}, more than the {limit} of its limit"));
    }
    Ok(())
}

/// Whether more were reported than are kept.
pub(super) fn too_many(problems: &[wit::Problem], limits: &Limits) -> bool {
    problems.len() > limits.list_length
}

/// Whether a batch or a failure asks for more patience than is had.
pub(super) fn asks_for_too_long(answer: &Result<wit::Batch, wit::Failure>, limits: &Limits) -> bool {
    let longest = limits.longest_wait_ms();
    let too_long = |problem: &wit::Problem| problem.retry_after_ms.is_some_and(|wait| wait > longest);
    match answer {
        Ok(batch) => batch.next_poll_ms > longest || batch.problems.iter().any(too_long),
        Err(failure) => too_long(&failure.problem),
    }
}

/// With a wait that is no longer than the longest one.
fn patient(mut problem: Problem, limits: &Limits) -> Problem {
    problem.retry_after_ms = problem.retry_after_ms.map(|wait| wait.min(limits.longest_wait_ms()));
    problem
}

/// The first of them, and one more that says how many there were.
fn first_of(problems: Vec<wit::Problem>, limits: &Limits) -> Vec<Problem> {
    let beyond = problems.len().saturating_sub(limits.list_length);
    let kept = problems.into_iter().take(limits.list_length);
    let mut kept: Vec<Problem> = kept.map(|problem| patient(problem.into(), limits)).collect();
    if beyond > 0 {
        kept.push(Problem {
            kind: ProblemKind::Internal,
            stream: None,
            path: None,
            message: format!("{} more were reported and are not shown", grouped(beyond as u64)),
            hint: None,
            retry_after_ms: None,
        });
    }
    kept
}

pub(super) fn description(answer: wit::Description, limits: &Limits) -> Result<Description, Error> {
    fits(answer.streams.len(), "streams", limits)?;
    if answer.config_schema.len() > limits.schema_bytes {
        let (size, limit) = (bytes(answer.config_schema.len() as u64), bytes(limits.schema_bytes as u64));
        return refused(format!("a schema of {size}, more than the {limit} of its limit"));
    }
    Ok(answer.into())
}

pub(super) fn grants(
    answer: Result<wit::Grants, Vec<wit::Problem>>,
    limits: &Limits,
) -> Result<Grants, Error> {
    match answer {
        Ok(wit::Grants { authorities, warnings }) => {
            fits(authorities.len(), "authorities", limits)?;
            Ok(Grants { authorities, warnings: first_of(warnings, limits) })
        }
        Err(problems) => Err(Error::Configuration(first_of(problems, limits))),
    }
}

pub(super) fn findings(answer: Vec<wit::Finding>, limits: &Limits) -> Result<Vec<Finding>, Error> {
    fits(answer.len(), "findings", limits)?;
    let days: usize = answer.iter().map(|finding| finding.backlog.len()).sum();
    if days > limits.backlog_days {
        let (days, limit) = (grouped(days as u64), grouped(limits.backlog_days as u64));
        return refused(format!("{days} days of backlog, more than the {limit} of its limit"));
    }
    Ok(answer.into_iter().map(Into::into).collect())
}

pub(super) fn batch(mut answer: wit::Batch, limits: &Limits) -> Result<Batch, Error> {
    let problems = first_of(std::mem::take(&mut answer.problems), limits);
    let mut batch = Batch { problems, ..Batch::from(answer) };
    batch.next_poll_ms = batch.next_poll_ms.min(limits.longest_wait_ms());
    events(&batch, limits)?;
    state(&batch.state, limits)?;
    Ok(batch)
}

pub(super) fn failure(failure: Failure, limits: &Limits) -> Result<Failure, Error> {
    if let Some(text) = &failure.state {
        state(text, limits)?;
    }
    Ok(Failure { problem: patient(failure.problem, limits), ..failure })
}

pub(super) fn session(answer: Option<String>, limits: &Limits) -> Result<Option<Session>, Error> {
    // In custody first: one that is refused is wiped as well.
    let session = answer.map(Session::new);
    let size = session.as_ref().map_or(0, |session| session.text().len());
    if size > limits.session_bytes {
        let (size, limit) = (bytes(size as u64), bytes(limits.session_bytes as u64));
        return refused(format!("a session of {size}, more than the {limit} of its limit"));
    }
    Ok(session)
}

fn events(batch: &Batch, limits: &Limits) -> Result<(), Error> {
    if batch.events.len() > limits.batch_events {
        return refused(format!(
            "{} events, more than the {} of its limit",
            batch.events.len(),
            limits.batch_events
        ));
    }
    let size: usize = batch.events.iter().map(String::len).sum();
    if size > limits.batch_bytes {
        let (size, limit) = (bytes(size as u64), bytes(limits.batch_bytes as u64));
        return refused(format!("{size} of events, more than the {limit} of its limit"));
    }
    let mut checker = Checker::default();
    for (index, event) in batch.events.iter().enumerate() {
        if event.len() > limits.event_bytes {
            let (size, limit) = (bytes(event.len() as u64), bytes(limits.event_bytes as u64));
            return refused(format!("an event of {size}, more than the {limit} of its limit"));
        }
        if !checker.is_object_on_a_line(event) {
            return refused(format!(
                "an event (number {} of its batch) that is not one JSON object on one line",
                index + 1
            ));
        }
    }
    Ok(())
}

fn state(state: &str, limits: &Limits) -> Result<(), Error> {
    // Whoever stored it could not tell it from none.
    if state.is_empty() {
        return refused("an empty state".to_owned());
    }
    if state.len() > limits.state_bytes {
        let (size, limit) = (bytes(state.len() as u64), bytes(limits.state_bytes as u64));
        return refused(format!("a state of {size}, more than the {limit} of its limit"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: &[&str]) -> Batch {
        Batch { events: events.iter().map(|e| (*e).to_owned()).collect(), ..Batch::default() }
    }

    fn refusal(batch: &Batch, limits: &Limits) -> String {
        events(batch, limits).unwrap_err().to_string()
    }

    #[test]
    fn an_event_is_one_json_object_on_one_line() {
        let limits = Limits::default();
        assert!(events(&batch(&["{}", r#"{"a":[1,{"b":null}]}"#]), &limits).is_ok());
        for bad in [
            r#"{"a":1,"a":2}"#,
            "",
            "[]",
            "1",
            " {}",
            "{",
            "{}{}",
            "{\n}",
            "{\"a\":1,\r\"b\":2}",
            "{\"a\":}",
            "{} x",
        ] {
            let text = refusal(&batch(&["{}", bad]), &limits);
            assert!(text.contains("number 2"), "{bad:?}: {text}");
        }
    }

    #[test]
    fn a_batch_with_too_many_events_is_refused() {
        let limits = Limits { batch_events: 2, ..Limits::default() };
        assert!(events(&batch(&["{}", "{}"]), &limits).is_ok());
        assert!(refusal(&batch(&["{}", "{}", "{}"]), &limits).contains("3 events"));
    }

    #[test]
    fn a_batch_with_too_many_bytes_is_refused() {
        let limits = Limits { batch_bytes: 3, ..Limits::default() };
        assert!(refusal(&batch(&["{}", "{}"]), &limits).contains("4 bytes of events"));
    }

    #[test]
    fn a_state_beyond_its_limit_is_refused() {
        let limits = Limits::default();
        let error = state(&"x".repeat((1 << 20) + 1), &limits).unwrap_err().to_string();
        assert!(error.contains("1 MiB of its limit"), "{error}");
        assert!(state("", &limits).unwrap_err().to_string().contains("an empty state"));
    }
}
