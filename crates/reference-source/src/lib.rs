//! A source that does what a server tells it, for trying hosts.
//!
//! Its configuration is `{"authority":"127.0.0.1:8080"}`. At each poll it asks that server, `GET /poll?state=STATE` (without a
//! query where there is no state), with `&session=SESSION` if it was resumed. What it is to do stands in the answer, a line
//! each, in which `%0a` and the like stand for bytes:
//!
//! | line | what becomes of it |
//! |---|---|
//! | `event TEXT` | an event |
//! | `large BYTES` | an event of that size |
//! | `state TEXT` | the batch's state, or the failure's |
//! | `next MILLISECONDS` | when to poll again; 0 without it |
//! | `problem KIND TEXT` | a problem beside the events |
//! | `fail KIND MILLISECONDS TEXT` | the poll fails, to be tried again after that time |
//! | `request AUTHORITY` | a request there, whose outcome is an event: `{"request":"AUTHORITY","outcome":"..."}` |
//! | `trap`, `spin`, `grow` | a crash, an endless loop, all memory there is |
//!
//! What the server says decides, so that whoever tries a host sees when it polls and with which state. A configuration with
//! `"refuse"` is refused, with two problems; one with `"declare":"AUTHORITY"` says that it needs that one as well.

mod batch;
mod bindings;
mod network;

use bindings::Reference;
use bindings::contract::{
    Batch, Description, Failure, Finding, Grants, Guest, Problem, ProblemKind, StreamDescription, TimeRange,
    Verdict,
};
use std::cell::RefCell;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
    static SESSION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A value of the configuration, which is simple enough to be read like this.
fn configured(key: &str) -> Option<String> {
    CONFIG.with_borrow(|config| {
        let (_, rest) = config.split_once(&format!("\"{key}\""))?;
        let (_, rest) = rest.split_once('"')?;
        Some(rest.split('"').next()?.to_owned())
    })
}

fn problem(kind: ProblemKind, message: String) -> Problem {
    Problem { kind, stream: None, path: None, message, hint: None, retry_after_ms: None }
}

fn kind(name: &str) -> ProblemKind {
    match name {
        "config" => ProblemKind::Config,
        "auth" => ProblemKind::Auth,
        "permission" => ProblemKind::Permission,
        "rate-limited" => ProblemKind::RateLimited,
        "transient" => ProblemKind::Transient,
        "data" => ProblemKind::Data,
        "state" => ProblemKind::State,
        _ => ProblemKind::Internal,
    }
}

/// Puts bytes in the place of `%0a` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The other way round, for a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let safe = |c: char| if c.is_control() || c == '"' || c == '\\' { ' ' } else { c };
    format!("\"{}\"", text.chars().map(safe).collect::<String>())
}

/// What the server has said so far.
struct Doing {
    batch: Batch,
    state: Option<String>,
    failure: Option<Problem>,
}

impl Doing {
    fn obey(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "event" => self.batch.events.push(decoded(rest)),
            "large" => {
                let filler = "x".repeat(rest.parse().unwrap_or(0));
                self.batch.events.push(format!("{{\"large\":\"{filler}\"}}"));
            }
            "state" => self.state = Some(decoded(rest)),
            "next" => self.batch.next_poll_ms = rest.parse().unwrap_or(0),
            "problem" => {
                let (name, message) = rest.split_once(' ').unwrap_or((rest, ""));
                self.batch.problems.push(problem(kind(name), decoded(message)));
            }
            "fail" => {
                let mut parts = rest.splitn(3, ' ');
                let mut part = || parts.next().unwrap_or_default();
                let (name, wait, message) = (part(), part(), part());
                let failure = problem(kind(name), decoded(message));
                self.failure = Some(Problem { retry_after_ms: wait.parse().ok(), ..failure });
            }
            "request" => {
                let outcome = network::get(rest, "/").unwrap_or_else(|error| error);
                let event = format!("{{\"request\":{},\"outcome\":{}}}", quoted(rest), quoted(&outcome));
                self.batch.events.push(event);
            }
            "trap" => panic!("as it was told"),
            "spin" => loop {
                std::hint::black_box(());
            },
            "grow" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(vec![1; 1 << 20]);
                }
            }
            _ => {}
        }
    }
}

impl Guest for Reference {
    fn describe() -> Description {
        Description {
            name: "reference".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema:
                r#"{"type":"object","required":["authority"],"properties":{"authority":{"type":"string"}}}"#
                    .to_owned(),
            streams: vec![StreamDescription {
                name: "events".to_owned(),
                summary: "What a server says.".to_owned(),
            }],
        }
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        CONFIG.replace(config);
        let authorities: Vec<String> = ["authority", "declare"].into_iter().filter_map(configured).collect();
        let wrong = |path: &str, message: &str| Problem {
            path: Some(path.to_owned()),
            ..problem(ProblemKind::Config, message.to_owned())
        };
        if configured("refuse").is_some() {
            return Err(vec![
                wrong("refuse", "is the first mistake"),
                wrong("other", "is the second mistake"),
            ]);
        }
        if authorities.is_empty() {
            return Err(vec![wrong("authority", "is missing")]);
        }
        Ok(Grants { authorities, warnings: Vec::new() })
    }

    fn check() -> Vec<Finding> {
        let asked = network::get(&configured("authority").unwrap_or_default(), "/check");
        let (verdict, message) = match asked {
            Ok(_) => (Verdict::Pass, "the server answers".to_owned()),
            Err(error) => (Verdict::Fail, error),
        };
        vec![Finding { name: "server".to_owned(), verdict, message, hint: None, backlog: Vec::new() }]
    }

    fn poll(state: Option<String>) -> Result<Batch, Failure> {
        let Some(authority) = configured("authority") else {
            let problem = problem(ProblemKind::Config, "it is not configured".to_owned());
            return Err(Failure { problem, state: None });
        };
        let session = SESSION.with_borrow(|session| session.as_deref().map(encoded));
        let query = [("state", state.as_deref().map(encoded)), ("session", session)]
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            .collect::<Vec<_>>()
            .join("&");
        let path = if query.is_empty() { "/poll".to_owned() } else { format!("/poll?{query}") };
        let answer = network::get(&authority, &path).map_err(|error| {
            let problem = problem(ProblemKind::Transient, format!("the server does not answer: {error}"));
            Failure { problem: Problem { retry_after_ms: Some(1_000), ..problem }, state: None }
        })?;
        let mut doing = Doing { batch: batch::empty(), state: None, failure: None };
        answer.lines().for_each(|line| doing.obey(line));
        let Doing { mut batch, state: told, failure } = doing;
        if let Some(problem) = failure {
            return Err(Failure { problem, state: told });
        }
        batch.state = told.or(state).unwrap_or_else(|| "start".to_owned());
        batch.stats.requests = 1;
        batch.stats.rows_read = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        Ok(batch)
    }

    fn suspend() -> Option<String> {
        Some("reference-session".to_owned())
    }

    fn resume(session: String) {
        SESSION.set(Some(session));
    }

    fn confine(range: TimeRange) -> Result<(), Problem> {
        if range.from_ms < range.until_ms {
            return Ok(());
        }
        Err(problem(ProblemKind::Config, "the range is empty".to_owned()))
    }

    fn is_complete(state: String) -> bool {
        state == "end"
    }
}
