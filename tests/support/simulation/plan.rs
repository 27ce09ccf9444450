//! What a seed means: the org, the configuration, and how much goes wrong.

use super::engine::HOST;
use crate::random::Random;
use chrono::{DateTime, TimeDelta, Utc};
use salesforce_sim::{
    Crowd, Files, Interval, Objects, OrgSettings, PrivateKey, Rows, StoredObject, Workload,
};
use serde_json::{Map, Value, json};

/// The key of the client, of no use to anybody.
const KEY: &str = include_str!("../../../crates/collector/tests/keys/pkcs8.pem");
const APEX: [&str; 6] =
    ["ApexCallout", "ApexExecution", "ApexRestApi", "ApexSoap", "ApexTrigger", "ExternalCustomApexCallout"];

/// Streams of the user's own, each with an object.
const OWN_OBJECTS: [(&str, StoredObject); 5] = [
    ("api", StoredObject::ApiEvent),
    ("reports", StoredObject::ReportEvent),
    ("history", StoredObject::LoginHistory),
    ("anomalies", StoredObject::ApiAnomalyEventStore),
    ("aura", StoredObject::AuraRequestEventLog),
];

/// What a collection must deliver of one source.
pub enum Wanted {
    /// Every row of these files.
    Files {
        /// Their types.
        event_types: Vec<String>,
        /// Hourly or daily.
        interval: Interval,
    },
    /// Every record of an object.
    Object(StoredObject),
}

/// A run that is planned.
pub struct Plan {
    /// What the org is like.
    pub settings: OrgSettings,
    /// The configuration of the source.
    pub config: Value,
    /// A stream that is not there at first, and then comes and goes.
    pub comes_and_goes: Option<String>,
    /// What must be delivered.
    pub wanted: Vec<Wanted>,
    /// From when on nothing new happens and nothing goes wrong, on the org's clock.
    pub calm: DateTime<Utc>,
    /// Polls of a hundred before which a fault is planned.
    pub faults: u64,
    /// Polls of a hundred after which a new instance goes on.
    pub restarts: u64,
    /// Polls of a hundred whose state is not saved.
    pub unsaved: u64,
    /// Polls of a hundred before which the host's clock is set.
    pub clock_changes: u64,
    /// Events in a batch at most.
    pub max_events: u64,
}

impl Plan {
    /// The plan of a seed.
    ///
    /// # Panics
    /// If the key of the tests is none.
    pub fn new(random: &mut Random) -> Self {
        // Small batches are many polls: then there is less to collect.
        let max_events = *random.pick(&[1, 2, 7, 40, 500, 5000]);
        let rows = match max_events {
            1 | 2 => random.between(20, 120),
            7 => random.between(50, 400),
            _ => random.between(100, 1500),
        };
        let hours = u32::try_from(random.between(6, 40)).unwrap_or(6);
        let first: DateTime<Utc> = DateTime::from_timestamp(1_772_409_600, 0).unwrap_or_default();
        let first = first + TimeDelta::hours(i64::try_from(random.below(24)).unwrap_or_default());
        let end = first + TimeDelta::hours(hours.into());
        // The collection begins somewhere in it: a part is backlog, a part comes up meanwhile.
        let minutes = random.below(u64::from(hours) * 60);
        let begin = first + TimeDelta::minutes(i64::try_from(minutes).unwrap_or_default());

        let mut streams = Map::new();
        let mut wanted = Vec::new();
        let mut event_types: Vec<String> = Vec::new();
        let mut files = |random: &mut Random, types: &[&str], wanted: &mut Vec<Wanted>| {
            let daily = random.percent(25);
            let names: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
            event_types.extend(names.iter().cloned());
            let interval = if daily { Interval::Daily } else { Interval::Hourly };
            wanted.push(Wanted::Files { event_types: names, interval });
            json!({
                "interval": random.pick(&["20m", "1h", "3h"]),
                "log_file_interval": if daily { "daily" } else { "hourly" },
            })
        };
        let object = |random: &mut Random, object: StoredObject, wanted: &mut Vec<Wanted>| {
            wanted.push(Wanted::Object(object));
            json!({"interval": random.pick(&["20m", "1h", "3h"])})
        };
        let own = |random: &mut Random, object: StoredObject, wanted: &mut Vec<Wanted>| {
            wanted.push(Wanted::Object(object));
            json!({"name": object.name(), "interval": random.pick(&["30m", "3h"])})
        };
        let mut login = Map::new();
        login.insert(String::from("event_log_file"), files(random, &["Login"], &mut wanted));
        login.insert(String::from("object"), object(random, StoredObject::LoginEvent, &mut wanted));
        streams.insert(String::from("login"), login.into());
        let mut logout = Map::new();
        logout.insert(String::from("event_log_file"), files(random, &["Logout"], &mut wanted));
        logout.insert(String::from("object"), object(random, StoredObject::LogoutEvent, &mut wanted));
        streams.insert(String::from("logout"), logout.into());
        streams.insert(String::from("apex"), json!({"event_log_file": files(random, &APEX, &mut wanted)}));
        let audit = json!({"object": object(random, StoredObject::SetupAuditTrail, &mut wanted)});
        streams.insert(String::from("setupaudittrail"), audit);
        let mut files_of_own = files(random, &["ReportExport", "URI"], &mut wanted);
        let named = random.percent(50);
        files_of_own["event_types"] = if named { json!(["ReportExport", "URI"]) } else { json!("*") };
        streams.insert(String::from("exports"), json!({"event_log_file": files_of_own}));
        for (name, stored) in &OWN_OBJECTS {
            if random.percent(60) {
                streams.insert(String::from(*name), json!({"object": own(random, *stored, &mut wanted)}));
            }
        }
        for stream in streams.values_mut() {
            stream["initial_interval"] = json!("10d");
        }
        // Without it, a stream of all other types would take its files over.
        let may_go = |name: &&String| {
            named || !streams[*name].as_object().is_some_and(|s| s.contains_key("event_log_file"))
        };
        let names: Vec<String> = streams.keys().filter(may_go).cloned().collect();
        let comes_and_goes = random.percent(30).then(|| random.pick(&names).clone());

        let key = PrivateKey::from_pem(KEY).ok().and_then(|key| key.public_key().ok());
        let settings = OrgSettings {
            seed: random.bits(),
            public_key: key,
            clock_fixed_at: Some(begin),
            hourly_files: true,
            page_size: *random.pick(&[20, 200, 2000]),
            session_lifetime: TimeDelta::minutes(*random.pick(&[3, 30, 120])),
            workload: Workload { hours, rows: Rows::Total(rows), end: Some(end) },
            files: Files {
                event_types,
                late_one_in: *random.pick(&[0, 2, 5]),
                late_by: TimeDelta::hours(*random.pick(&[1, 6, 20])),
                repeated_rows: random.below(3),
                reissue_keeps_id: random.percent(50),
                hidden_one_in: *random.pick(&[0, 2, 5]),
                hidden_for: TimeDelta::minutes(*random.pick(&[5, 30, 55])),
                retention: None,
                columns_change: random.percent(30).then(|| first + TimeDelta::hours(24)),
                nul_bytes: random.percent(30),
                repeated_header: random.percent(30),
            },
            objects: Objects {
                // Records are created up to some seconds after their date; the collector waits three minutes.
                settle: TimeDelta::seconds(*random.pick(&[0, 30, 150])),
                max_rows: *random.pick(&[5, 40, 1_000_000]),
                audit_rows_per_hour: busy(random, max_events),
                api_rows_per_hour: busy(random, max_events),
                report_rows_per_hour: busy(random, max_events),
                anomaly_rows_per_hour: busy(random, max_events),
                aura_rows_per_hour: busy(random, max_events),
                crowd: crowd(random, max_events, first, hours),
            },
            ..OrgSettings::default()
        };
        let config = json!({
            "instance_url": format!("https://{HOST}"),
            "auth": {
                "flow": "jwt-bearer",
                "client_id": settings.client_id,
                "username": settings.username,
                "private_key": KEY,
            },
            "batch": {"max_events": max_events, "max_bytes": random.pick(&["1KiB", "64KiB", "4MiB"])},
            "streams": streams,
        });
        Self {
            settings,
            config,
            comes_and_goes,
            wanted,
            calm: end + TimeDelta::hours(48),
            faults: *random.pick(&[0, 10, 30]),
            restarts: *random.pick(&[0, 10, 100]),
            unsaved: *random.pick(&[0, 5, 20]),
            clock_changes: *random.pick(&[0, 0, 5]),
            max_events,
        }
    }

    /// When everything must have been delivered: an allowance that is used up comes back after a day, and a file that is
    /// shorter than it says is taken for whole after hours.
    pub fn end(&self) -> DateTime<Utc> {
        self.calm + TimeDelta::hours(34)
    }

    /// The configuration, with or without the stream that comes and goes.
    pub fn config(&self, without: bool) -> String {
        let mut config = self.config.clone();
        if let Some(name) = self.comes_and_goes.as_ref().filter(|_| without)
            && let Some(streams) = config["streams"].as_object_mut()
        {
            streams.remove(name);
        }
        config.to_string()
    }
}

/// Records of an object in an hour.
fn busy(random: &mut Random, max_events: u64) -> u32 {
    *random.pick(if max_events < 10 { &[0, 1, 3] } else { &[0, 3, 12, 24] })
}

/// Many records on one instant, in some orgs.
fn crowd(random: &mut Random, max_events: u64, first: DateTime<Utc>, hours: u32) -> Option<Crowd> {
    let rows = match max_events {
        0..10 => random.between(2, 40),
        10..100 => random.between(30, 300),
        _ => random.between(300, 3000),
    };
    let ms = random.below(u64::from(hours) * 3_600_000);
    let at = first + TimeDelta::milliseconds(i64::try_from(ms).unwrap_or_default());
    let objects = vec![StoredObject::LoginEvent, StoredObject::SetupAuditTrail, StoredObject::LoginHistory];
    random.percent(15).then_some(Crowd { at, rows, objects })
}
