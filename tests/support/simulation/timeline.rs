//! What happens in a run besides collecting, and when.
//!
//! Everything is planned by the org's clock and nothing by the number of a poll: two collectors that poll at other moments,
//! or need other requests, meet the same faults at the same times and can be compared.

use crate::random::Random;
use salesforce_sim::{Fault, FaultAction, StoredObject};
use std::num::NonZeroUsize;

/// A minute in milliseconds.
pub const MINUTE: i64 = 60_000;
/// An hour in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// A day in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// How long after its end a short fault may still be felt: a few waits that grow from seconds.
const SHORT_AFTERMATH: i64 = 30 * MINUTE;
/// The same of one that lasted: the longest wait between two tries is an hour.
pub const LONG_AFTERMATH: i64 = 65 * MINUTE;
/// The same for a file that failed for days.
pub const FILE_AFTERMATH: i64 = 6 * HOUR + 5 * MINUTE;

/// Which requests something strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Whose path, with its query as sent, contains this.
    Path(String),
    /// First pages of queries of an object.
    Object(StoredObject),
    /// The same, if they ask for more than so many milliseconds.
    Wider(StoredObject, i64),
    /// Lists of event log files.
    Listing,
    /// The download of one file.
    File(String),
}

/// Whose events something may hold up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// All.
    Everything,
    /// Those of an object.
    Object(StoredObject),
    /// All files.
    Files,
    /// One file, and nobody besides.
    File(String),
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub struct TimedFault {
    /// From when on.
    pub from: i64,
    /// Until when; none strikes once.
    pub until: Option<i64>,
    /// Which requests.
    pub matches: Match,
    /// Which of the matching ones, counted from 1, if it strikes once.
    pub nth: u32,
    /// What happens.
    pub action: FaultAction,
    /// Whose events are held up by it.
    pub holds: Hold,
    /// How long it may still be felt after its end.
    pub aftermath: i64,
    /// How long after its end problems may still be said of it, which is longer where nothing is held up.
    pub remembered: i64,
}

/// A state that is not saved.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// The first poll that ends from here on is the one.
    pub at: i64,
    /// Whether its events were delivered.
    pub delivered: bool,
    /// Every state that was saved from here on is lost as well.
    pub back_to: i64,
}

/// All that is planned.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// What goes wrong.
    pub faults: Vec<TimedFault>,
    /// When the host is switched off.
    pub off: Vec<(i64, i64)>,
    /// When the host polls although it was told to wait.
    pub early: Vec<i64>,
    /// From when on the host's clock is how far ahead.
    pub ahead: Vec<(i64, i64)>,
    /// States that are not saved.
    pub lost: Vec<Lost>,
    /// When other programs use up the allowance.
    pub busy_org: Vec<(i64, i64)>,
    /// How far the `Date` of an answer may be off either way, in milliseconds.
    pub server_clocks: u32,
    /// From when on nothing goes wrong any more, even what was planned for before and did not come up.
    pub calm: Option<i64>,
}

impl Timeline {
    /// How far the host's clock is ahead at a moment of the org's.
    pub fn ahead_at(&self, at: i64) -> i64 {
        self.ahead.iter().take_while(|(from, _)| *from <= at).last().map_or(0, |(_, ahead)| *ahead)
    }

    /// Whether other programs use the allowance up at a moment.
    pub fn org_is_busy(&self, at: i64) -> bool {
        self.busy_org.iter().any(|(from, until)| (*from..*until).contains(&at))
    }

    /// When a host that would poll at a moment does so: it may poll earlier, and cannot while it is off.
    pub fn next_poll(&self, now: i64, at: i64) -> i64 {
        let early = self.early.iter().find(|early| (now + 1..at).contains(early)).copied();
        let at = early.unwrap_or(at);
        let off = self.off.iter().find(|(from, until)| (*from..*until).contains(&at));
        off.map_or(at, |(_, until)| *until)
    }
}

/// Moments between two, with so much between them on average.
pub fn moments(random: &mut Random, from: i64, until: i64, gap: i64) -> Vec<i64> {
    let mut moments = Vec::new();
    let mut at = if gap > 0 { from } else { until };
    while at < until {
        at += i64::try_from(random.below(2 * gap.unsigned_abs())).unwrap_or_default() + 1;
        if at >= until {
            break;
        }
        moments.push(at);
    }
    moments
}

/// An error of the REST API.
pub fn error(status: u16, code: &str, message: &str) -> FaultAction {
    FaultAction::answer(status, format!(r#"[{{"errorCode":"{code}","message":"{message}"}}]"#))
}

/// A page for people.
pub fn html(status: u16) -> FaultAction {
    FaultAction::answer(status, "<html>back soon</html>")
}

/// Something that goes wrong with one request.
pub fn short_fault(random: &mut Random, from: i64) -> TimedFault {
    let path = *random.pick(&["", "/token", "/query", "/LogFile", "/LogFile", "/query/"]);
    let after = random.below(60_000);
    let wait = i64::try_from(after / 10).unwrap_or_default();
    let seconds = wait.to_string();
    let busy = |status| {
        let body = r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"back soon"}]"#;
        FaultAction::answer_with(status, body, [("Retry-After", &seconds)])
    };
    let action = match random.below(22) {
        0 => html(503),
        1 => html(502),
        2 => html(200),
        3 => error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"),
        4 => busy(503),
        5 => error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        6 => error(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded",
        ),
        7 => error(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
        8 => error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
        9 => busy(429),
        10 => error(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        11 => error(404, "NOT_FOUND", "The requested resource does not exist"),
        12 => error(403, "INSUFFICIENT_ACCESS", "no"),
        13 => FaultAction::CutSilently { after },
        14 | 15 => FaultAction::CutConnection { after },
        16 => FaultAction::Stall { after },
        17 => FaultAction::Drip { bytes: NonZeroUsize::MIN, millis: 1_000 },
        18 => FaultAction::Delay { millis: random.below(100_000) },
        // Longer than the truth: a file that seems to be cut. Shorter never comes with a cut that nothing else shows.
        19 => FaultAction::WrongLength { by: i64::try_from(random.between(1, 500)).unwrap_or(1) },
        20 => FaultAction::ExhaustQuota,
        _ => FaultAction::RevokeSessions,
    };
    let nth = u32::try_from(random.between(1, 4)).unwrap_or(1);
    let (aftermath, remembered) = match &action {
        // The allowance comes back after a day; it is asked for an hour later at most.
        FaultAction::ExhaustQuota => (DAY + LONG_AFTERMATH, DAY + 2 * LONG_AFTERMATH),
        // A file that is too short is asked for again for hours, and holds nobody up.
        FaultAction::WrongLength { .. } => (SHORT_AFTERMATH, 12 * HOUR),
        FaultAction::Answer { headers, .. } if !headers.is_empty() => {
            (wait * 1000 + SHORT_AFTERMATH, wait * 1000 + 2 * LONG_AFTERMATH)
        }
        _ => (SHORT_AFTERMATH, 2 * LONG_AFTERMATH),
    };
    let matches = Match::Path(path.to_owned());
    TimedFault { from, until: None, matches, nth, action, holds: Hold::Everything, aftermath, remembered }
}

/// Something that goes wrong for hours or days with a kind of requests.
pub fn lasting_fault(random: &mut Random, from: i64, objects: &[StoredObject]) -> TimedFault {
    let until = from + i64::try_from(random.between(1, 30)).unwrap_or(1) * HOUR;
    let (matches, holds) = match random.below(6) {
        0 | 1 if !objects.is_empty() => {
            let object = *random.pick(objects);
            (Match::Object(object), Hold::Object(object))
        }
        0..=2 => (Match::Listing, Hold::Files),
        3 => (Match::Path(String::from("/LogFile")), Hold::Files),
        4 => (Match::Path(String::from("/token")), Hold::Everything),
        _ => (Match::Path(String::new()), Hold::Everything),
    };
    let action = match (&matches, random.below(9)) {
        (Match::Path(path), 0..4) if path == "/token" => FaultAction::answer(
            400,
            r#"{"error":"invalid_grant","error_description":"ip restricted or invalid login hours"}"#,
        ),
        (_, 0) => error(403, "INSUFFICIENT_ACCESS", "no"),
        (_, 1) => error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"),
        (_, 2) => html(502),
        (_, 3) => FaultAction::Delay { millis: 100_000 },
        (_, 4) => FaultAction::CutConnection { after: 10 },
        (_, 5) => FaultAction::answer(429, ""),
        (_, 6) => error(403, "FUNCTIONALITY_NOT_ENABLED", "not here"),
        _ => html(503),
    };
    let (aftermath, remembered) = (LONG_AFTERMATH, 2 * LONG_AFTERMATH);
    TimedFault { from, until: Some(until), matches, nth: 1, action, holds, aftermath, remembered }
}

/// A query that fails as long as it asks for too much time at once.
pub fn wide_fault(random: &mut Random, from: i64, object: StoredObject) -> TimedFault {
    let until = from + i64::try_from(random.between(6, 60)).unwrap_or(6) * HOUR;
    let width = *random.pick(&[10 * MINUTE, HOUR, 4 * HOUR]);
    let action = match random.below(9) {
        0 => error(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
        1 => error(
            500,
            "REQUEST_RUNNING_TOO_LONG",
            "Your request was running for too long, and has been stopped.",
        ),
        2 => error(400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct who/what's"),
        3 => html(502),
        4 => html(503),
        5 => error(504, "SERVER_UNAVAILABLE", "back soon"),
        6 => FaultAction::Delay { millis: 100_000 },
        7 => FaultAction::CutConnection { after: 10 },
        _ => FaultAction::Close,
    };
    // The records are to be had all the time: a few narrower tries, and they come.
    TimedFault {
        from,
        until: Some(until),
        matches: Match::Wider(object, width),
        nth: 1,
        action,
        holds: Hold::Object(object),
        aftermath: 0,
        remembered: 2 * LONG_AFTERMATH,
    }
}

/// A file that cannot be read for a while, although the org lists it.
pub fn bad_file(random: &mut Random, from: i64, file: &str) -> TimedFault {
    let hours = *random.pick(&[5, 70]);
    let until = from + i64::try_from(random.between(1, hours)).unwrap_or(1) * HOUR;
    let action = match random.below(11) {
        0 => error(404, "NOT_FOUND", "The requested resource does not exist"),
        1 => error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"),
        2 => error(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        3 => FaultAction::answer(429, ""),
        4 => error(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded",
        ),
        5 => error(403, "INSUFFICIENT_ACCESS", "no"),
        6 => FaultAction::answer(200, ""),
        7 | 10 => FaultAction::CutSilently { after: random.below(1_000) },
        8 => FaultAction::CutConnection { after: random.below(2_000) },
        _ => html(503),
    };
    TimedFault {
        from,
        until: Some(until),
        matches: Match::File(file.to_owned()),
        nth: 1,
        action,
        holds: Hold::File(file.to_owned()),
        // The longest wait for a single file is six hours, after it has failed for two days.
        aftermath: FILE_AFTERMATH,
        remembered: 2 * FILE_AFTERMATH,
    }
}

/// The fault that strikes this very request.
pub fn strike(path: &str, action: &FaultAction) -> Fault {
    Fault { path_contains: path.to_owned(), nth: 1, action: action.clone() }
}
