//! A source that attacks its host, in one of many ways.
//!
//! Which way, says the configuration: `{"do":"spin","authority":"127.0.0.1:8080"}`. What is asked before it is configured
//! (`describe`) goes by the name in [`BEFORE_CONFIGURATION`], which a test writes into the component's bytes.
//! Whatever is not named here behaves well: one event, and again in a minute.
//!
//! What an attack came to stands in the state of its batch: `sent 12, then ConnectionLimitReached`.

#[path = "../../reference-source/src/batch.rs"]
mod batch;
mod bindings;
mod network;

use bindings::Hostile;
use bindings::contract::{
    BacklogDay, Batch, Description, Failure, Finding, Grants, Guest, Problem, ProblemKind, StreamDescription,
    TimeRange, Verdict,
};
use std::{cell::RefCell, iter, sync::LazyLock};

/// Its name: 32 bytes behind a mark that is found in the component. See `test_guests::hostile`.
static BEFORE_CONFIGURATION: LazyLock<String> = LazyLock::new(|| {
    static MARKED: [u8; 48] = *b"hostile-attack: well-behaved                    ";
    // Read as if it might change, or the compiler would look at it once and for all.
    let marked = std::hint::black_box(&MARKED);
    String::from_utf8_lossy(&marked[16..]).trim_end().to_owned()
});

const MANY: usize = 600_000;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A value of the configuration, which is simple enough to be read like this.
fn configured(key: &str) -> Option<String> {
    CONFIG.with_borrow(|config| {
        let (_, rest) = config.split_once(&format!("\"{key}\":\""))?;
        Some(rest.split('"').next()?.to_owned())
    })
}

fn attack() -> String {
    configured("do").unwrap_or_else(|| BEFORE_CONFIGURATION.clone())
}

fn problem(message: &str) -> Problem {
    Problem {
        kind: ProblemKind::Data,
        stream: None,
        path: None,
        message: message.to_owned(),
        hint: None,
        retry_after_ms: None,
    }
}

/// One that asks for 49 days.
fn silent() -> Problem {
    Problem { kind: ProblemKind::Transient, retry_after_ms: Some(u32::MAX), ..problem("later") }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

impl Guest for Hostile {
    fn describe() -> Description {
        let good = StreamDescription { name: "events".to_owned(), summary: "Events.".to_owned() };
        let mut description = Description {
            name: "hostile".to_owned(),
            version: "0.1.0".to_owned(),
            config_schema: r#"{"type":"object","properties":{"url":{"type":"string"}}}"#.to_owned(),
            streams: vec![good.clone()],
        };
        match BEFORE_CONFIGURATION.as_str() {
            "large-schema" => {
                // As far as its memory reaches. One text, which is valid JSON.
                let text = "x".repeat(12 << 20);
                description.config_schema = format!(r#"{{"description":"{text}"}}"#);
            }
            "many-streams" => description.streams = vec![good; MANY],
            "escapes" => {
                description.name = "\u{1b}[2Jcleared\r\n\u{7}".to_owned();
                description.version = "1.0\u{1b}]0;owned\u{7}".to_owned();
                description.streams[0].name = "a\nlevel=ERROR forged\u{202e}".to_owned();
                description.config_schema =
                    "{\"type\":\"object\",\"x\u{9b}2J\":[\"\u{202e}gnol\u{7f}\"],\"properties\":\
                     {\"url\":{\"type\":\"string\",\"description\":\"\u{9b}31m\u{2066}\"}}}"
                        .to_owned();
            }
            "spin-in-describe" => spin(),
            "schema-that-writes" => description.config_schema = WRITES.to_owned(),
            _ => {}
        }
        description
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        CONFIG.replace(config);
        let authorities = configured("authority").into_iter().collect();
        match attack().as_str() {
            "many-warnings" => Ok(Grants { authorities, warnings: vec![problem("a warning"); MANY] }),
            "many-authorities" => {
                Ok(Grants { authorities: vec!["a.example.com".to_owned(); MANY], warnings: Vec::new() })
            }
            "many-refusals" => Err(vec![problem("refused"); MANY]),
            _ => Ok(Grants { authorities, warnings: Vec::new() }),
        }
    }

    fn check() -> Vec<Finding> {
        let finding = Finding {
            name: "all".to_owned(),
            verdict: Verdict::Pass,
            message: "well".to_owned(),
            hint: None,
            backlog: Vec::new(),
        };
        let day = BacklogDay { kind: "a kind".to_owned(), day: None, items: None, bytes: None };
        match attack().as_str() {
            "many-findings" => vec![finding; MANY],
            "many-days" => vec![Finding { backlog: vec![day; MANY], ..finding }],
            _ => vec![finding],
        }
    }

    fn poll(_: Option<String>) -> Result<Batch, Failure> {
        let authority = configured("authority").unwrap_or_default();
        let mut batch = Batch {
            events: vec![r#"{"event":{"id":"1"}}"#.to_owned()],
            state: "{}".to_owned(),
            next_poll_ms: 60_000,
            ..batch::empty()
        };
        let attack = attack();
        match attack.as_str() {
            "spin" => spin(),
            "spin-a-little" => {
                for n in 0..60_000_000_u64 {
                    std::hint::black_box(n);
                }
            }
            "unsent-bodies" => batch.state = network::unsent_bodies(&authority, 100),
            "dropped-requests" => batch.state = network::dropped_requests(&authority, 10_000),
            "denied-requests" => batch.state = network::denied_requests(2_500),
            "denied-and-dropped" => batch.state = network::denied_and_dropped(20_000),
            "silent-server" => batch.state = network::read_all(&authority, "/slow"),
            "endless-body" => batch.state = network::read_all(&authority, "/endless"),
            "informational-answers" => batch.state = network::read_all(&authority, "/informational"),
            "large-headers" => batch.state = network::read_all(&authority, "/large-headers"),
            "large-request" => batch.state = network::large_request(&authority, 2 << 30),
            "many-requests" => batch.state = network::many_requests(&authority, 2_000),
            "one-request" => batch.state = network::read_all(&authority, "/"),
            "many-problems" => batch.problems = vec![problem(&"p".repeat(4096)); 5_000],
            "empty-state" => batch.state.clear(),
            "silent" => batch.next_poll_ms = u32::MAX,
            "silent-problem" => batch.problems = vec![silent()],
            "silent-failure" => return Err(Failure { problem: silent(), state: None }),
            "large-event" => batch.events = vec![format!(r#"{{"a":"{}"}}"#, "x".repeat(8 << 20))],
            "large-batch" => batch.events = vec![format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20)); 20],
            "twice" => batch.events = vec![r#"{"a":{"b":1,"c":2,"b":3}}"#.to_owned()],
            "deep" => batch.events = vec![format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200))],
            "surrogate" => batch.events = vec![r#"{"a":"\ud800"}"#.to_owned()],
            "number" => batch.events = vec![r#"{"a":1e999999}"#.to_owned()],
            "nested" => {
                let deep = 10_000_000;
                let text = iter::repeat_n("[", deep).chain(iter::repeat_n("]", deep));
                batch.events = vec![format!(r#"{{"a":{}}}"#, text.collect::<String>())];
            }
            "grow" => {
                let mut held = Vec::new();
                loop {
                    held.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&held);
                }
            }
            _ => {}
        }
        Ok(batch)
    }

    fn suspend() -> Option<String> {
        match attack().as_str() {
            "large-session" => Some("s".repeat(40 << 20)),
            "session-over-its-limit" => Some("s".repeat((16 << 10) + 1)),
            "spin-in-suspend" => spin(),
            _ => Some(SESSION.to_owned()),
        }
    }

    fn confine(_: TimeRange) -> Result<(), Problem> {
        match attack().as_str() {
            "spin-in-confine" => spin(),
            _ => Ok(()),
        }
    }

    fn is_complete(_: String) -> bool {
        match attack().as_str() {
            "spin-in-is-complete" => spin(),
            "trap-in-is-complete" => panic!("complete"),
            _ => false,
        }
    }

    fn resume(session: String) {
        // Whatever it is given is its own.
        assert_eq!(session, SESSION);
        match attack().as_str() {
            "spin-in-resume" => spin(),
            "trap-in-resume" => panic!("resumed"),
            _ => {}
        }
    }
}

/// What it hands to its next instance.
const SESSION: &str = "hunter2";

/// A schema whose names and defaults would become a configuration of the attacker's choice, if they were written as they are.
const WRITES: &str = r#"{
    "type": "object",
    "required": ["token", "url", "untyped", "listed", "table", "secret", "chosen", "apart"],
    "properties": {
        "untyped": {"default": "{ file = \"/etc/passwd\" }"},
        "listed": {"type": "array", "default": "[{ file = \"/etc/passwd\" }]"},
        "table": {"type": "object", "required": ["file"], "properties": {
            "file": {"type": "string", "default": "/etc/passwd"}, "x": {"type": "string"}
        }},
        "secret": {"type": "string", "writeOnly": true, "default": "file:/etc/passwd"},
        "chosen": {"type": "object", "required": ["file"], "oneOf": [
            {"required": ["file"], "properties": {"file": {"const": "/etc/passwd"}, "x": {"type": "string"}}}
        ]},
        "apart": {"type": "object", "required": ["env"], "properties": {"env": {"enum": ["HOME"], "default": "HOME"}, "x": {}}},
        "token": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "default": "/etc/passwd"}}},
        "url": {"type": "string", "format": "uri", "default": "https://attacker.example.net/x"},
        "a = 1\n[egress]\nallow = [\"attacker.example.net\"]\n[source]\nb": {"type": "string", "default": "x"},
        "ring\u0007\u001b[2J": {"type": "string", "description": "a\nb = \"c\"\u001b[0m"}
    }
}"#;
