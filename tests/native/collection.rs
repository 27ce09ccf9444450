//! A collection from the simulated org, step by step, on clocks that move only when a test moves them.

use chrono::{DateTime, TimeDelta, Utc};
use e2e::{
    random::Random,
    simulation::{
        engine::{Engine, HOST, Native, Polled},
        world::World,
    },
    truth::{Comparison, Delivered},
};
use salesforce_sim::{
    FaultAction, Objects, OrgSettings, PlannedFault, PrivateKey, Rows, Simulator, StoredObject, Workload,
};
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = include_str!("../../crates/collector/tests/keys/pkcs8.pem");
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const BROKEN: &str = r#"[{"errorCode":"UNKNOWN_EXCEPTION","message":"An unexpected error occurred"}]"#;

pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// When every collection begins.
pub fn beginning() -> DateTime<Utc> {
    time("2026-03-04T18:20:00Z")
}

/// An org with so many logins in each hour, from 12 hours before the beginning until so many hours after it.
pub fn settings(rows: u64, hours_after: i64, objects: Objects) -> OrgSettings {
    let workload = Workload {
        hours: 12 + u32::try_from(hours_after).expect("hours"),
        rows: Rows::PerHour(rows),
        end: Some(beginning() + TimeDelta::hours(hours_after)),
        ..Workload::default()
    };
    OrgSettings { workload, objects, ..OrgSettings::default() }
}

pub fn answer(path: &str, nth: Option<u32>, status: u16, body: &str) -> PlannedFault {
    let action = FaultAction::answer(status, body);
    PlannedFault { method: None, path_contains: path.to_owned(), nth, action }
}

/// A collection from a simulated org, on clocks that move only when they are moved, or a request travels.
pub struct Collection {
    pub world: Arc<World>,
    pub native: Native,
    pub config: String,
    pub state: Option<String>,
    pub delivered: Delivered,
    pub problems: Vec<String>,
}

impl Collection {
    pub fn new(settings: OrgSettings, streams: &Value) -> Self {
        Self::in_batches_of(5000, settings, streams)
    }

    pub fn in_batches_of(max_events: u32, settings: OrgSettings, streams: &Value) -> Self {
        let public_key = PrivateKey::from_pem(KEY).expect("a key").public_key().expect("its half");
        let config = json!({
            "instance_url": format!("https://{HOST}"),
            "auth": {
                "flow": "jwt-bearer",
                "client_id": settings.client_id,
                "username": settings.username,
                "private_key": KEY,
            },
            "batch": {"max_events": max_events},
            "streams": streams,
        });
        let clock_fixed_at = Some(beginning());
        let settings = OrgSettings { public_key: Some(public_key), clock_fixed_at, ..settings };
        let org = Simulator::offline(settings).expect("an org");
        let world = Arc::new(World::new(org, Random::new(1)));
        let mut collection = Self {
            native: Native::new(Arc::clone(&world)),
            world,
            config: config.to_string(),
            state: None,
            delivered: Delivered::default(),
            problems: Vec::new(),
        };
        collection.restart();
        collection
    }

    /// Forgets all but the state.
    pub fn restart(&mut self) {
        self.native.renew(&self.config, None).expect("a valid configuration");
    }

    pub fn poll(&mut self) -> Polled {
        let polled = self.native.poll(self.state.as_deref()).expect("a poll");
        self.state = polled.state.clone().or(self.state.take());
        for event in &polled.events {
            self.delivered.add(event).expect("an event");
        }
        self.problems.extend(polled.problems.iter().cloned());
        polled
    }

    /// Polls until there is something to wait for, and returns how long, in milliseconds.
    pub fn round(&mut self) -> i64 {
        for _ in 0..1000 {
            let wait = self.poll().next_poll_ms;
            if wait > 0 {
                return i64::from(wait);
            }
        }
        panic!("it never waits: {:?}", self.problems);
    }

    /// Rounds, and the waits between them, until so much time has passed, in milliseconds.
    pub fn go_on_for(&mut self, ms: i64) {
        let end = self.world.org_ms() + ms;
        while self.world.org_ms() < end {
            let wait = self.round();
            self.world.pass(wait.min(end - self.world.org_ms()).max(1));
        }
    }

    /// The queries so far, in the words of SOQL.
    pub fn queries(&self) -> Vec<String> {
        let records = self.world.org.org().requests().records();
        let queries = records.iter().filter_map(|request| request.path.split_once("/query?q="));
        queries.map(|(_, query)| unescaped(query)).collect()
    }

    pub fn queries_of(&self, object: &str) -> usize {
        self.queries().iter().filter(|query| query.contains(&format!("FROM {object} "))).count()
    }

    /// From when until when each query of LoginEvent asked.
    pub fn windows(&self) -> Vec<(String, String)> {
        let queries = self.queries();
        let window = |query: &String| {
            let (_, condition) = query.split_once("FROM LoginEvent WHERE EventDate >= ")?;
            let (from, until) = condition.split_once(" AND EventDate < ")?;
            Some((from.to_owned(), until.to_owned()))
        };
        queries.iter().filter_map(window).collect()
    }

    /// Up to when the object of a stream is collected.
    pub fn cursor(&self, stream: &str) -> DateTime<Utc> {
        let state: Value = serde_json::from_str(self.state.as_deref().expect("a state")).expect("JSON");
        time(state["streams"][stream]["object"]["cursor"].as_str().expect("a cursor"))
    }

    /// What was delivered, against what the org has from the initial interval on up to the cursor.
    pub fn compare(&self, stream: &str, object: StoredObject, initial: TimeDelta) -> Comparison {
        // The sign-in, which tells the org's time, takes less than a second; records are not that exact to the instant.
        let span = beginning() - initial..self.cursor(stream);
        self.delivered.compare_with(self.world.org.org().object_truth(object, span))
    }
}

/// Undoes the escaping of a query in a path.
pub fn unescaped(query: &str) -> String {
    let mut parts = query.split('%');
    let mut text = parts.next().unwrap_or_default().replace('+', " ");
    for part in parts {
        let (code, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(code, 16).expect("two hex digits")));
        text.push_str(&rest.replace('+', " "));
    }
    text
}
