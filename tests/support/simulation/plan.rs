//! What a seed means: the org, the configurations of a run one after another, and what goes wrong when.

use super::{
    engine::HOST,
    knobs::{Knob, Knobs},
    timeline::{self, DAY, HOUR, Lost, MINUTE, Timeline, moments},
};
use crate::random::Random;
use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use salesforce_sim::{
    Crowd, Files, Interval, Objects, OrgSettings, PrivateKey, Rows, Simulator, StoredObject, Workload,
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

/// How far back a collection begins, at its end too if it has to begin again. Nothing happened in the org before.
const BEGINNING: &str = "20d";

/// What a source collects.
#[derive(Clone, Debug)]
pub enum What {
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

/// A source of a run: what a stream collects from one moment to another.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name of the stream.
    pub stream: String,
    /// What it collects.
    pub what: What,
    /// How often it looks, in milliseconds.
    pub interval: i64,
    /// How old something must be to be collected, in milliseconds.
    pub settle: i64,
    /// When it is configured: spans on the org's clock.
    pub there: Vec<(i64, i64)>,
    /// Whether all of it must have come in the end. What was taken out of the configuration need not.
    pub must: bool,
    /// Whether each event comes once. Rows of files that were hourly and became daily may come from both.
    pub once: bool,
}

impl Source {
    /// As a provider stands in an event.
    pub fn provider(&self) -> &str {
        match &self.what {
            What::Files { .. } => "EventLogFile",
            What::Object(object) => object.name(),
        }
    }

    /// Its object, if it has one.
    pub fn object(&self) -> Option<StoredObject> {
        match &self.what {
            What::Files { .. } => None,
            What::Object(object) => Some(*object),
        }
    }
}

/// A configuration, and from when on it counts.
#[derive(Clone, Debug)]
pub struct Configured {
    /// On the org's clock.
    pub from: i64,
    /// The document.
    pub json: String,
    /// Changes where the events of a source may read otherwise than before.
    pub generation: u32,
    /// Whether the state was written by the first version of this program.
    pub old_state: bool,
}

/// A run that is planned.
pub struct Plan {
    /// What the org is like.
    pub settings: OrgSettings,
    /// The configurations, one after another.
    pub configs: Vec<Configured>,
    /// All sources that are ever configured.
    pub sources: Vec<Source>,
    /// When the collection begins, on the org's clock.
    pub begin: i64,
    /// From when on nothing new happens and nothing goes wrong.
    pub calm: i64,
    /// When everything must have been delivered.
    pub end: i64,
    /// What goes wrong when.
    pub timeline: Timeline,
    /// When one of the instances of a run with several is replaced.
    pub restarts: Vec<i64>,
    /// Events in a batch at most.
    pub max_events: u64,
    /// How long after its CreatedDate a file may become visible.
    pub hidden: i64,
    /// Rows that a source has at most, roughly.
    pub rows: u64,
    /// Whether answers are such that a doubt may be said of them at any time.
    pub doubtful: bool,
    /// Records that become visible late: of which object, the first date that they carry, and when they are there.
    pub late: Vec<(StoredObject, i64, i64)>,
}

/// The streams of a configuration, and the sources they are.
#[derive(Default)]
struct Streams {
    json: Map<String, Value>,
    sources: Vec<Source>,
    types: Vec<String>,
}

impl Streams {
    fn files(&mut self, random: &mut Random, stream: &str, types: &[&str], many: bool) {
        let daily = random.percent(25);
        let names: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        for name in &names {
            if !self.types.contains(name) {
                self.types.push(name.clone());
            }
        }
        let interval = if daily { Interval::Daily } else { Interval::Hourly };
        let every = *random.pick(if many { &["1h", "3h"] } else { &["20m", "1h", "3h"] });
        let settle = if daily { 0 } else { 5 * MINUTE };
        self.add(stream, What::Files { event_types: names, interval }, every, settle);
        self.json.entry(stream).or_insert_with(|| json!({}))["event_log_file"] =
            json!({"interval": every, "log_file_interval": if daily { "daily" } else { "hourly" }});
    }

    fn object(&mut self, random: &mut Random, stream: &str, object: StoredObject) {
        let own = OWN_OBJECTS.iter().any(|(_, known)| *known == object);
        let every = *random.pick(if own { &["30m", "3h"] } else { &["20m", "1h", "3h"] });
        let settle = if object == StoredObject::AuraRequestEventLog { HOUR } else { 3 * MINUTE };
        self.add(stream, What::Object(object), every, settle);
        let mut table = json!({"interval": every});
        if own {
            table["name"] = json!(object.name());
        }
        self.json.entry(stream).or_insert_with(|| json!({}))["object"] = table;
    }

    fn add(&mut self, stream: &str, what: What, every: &str, settle: i64) {
        let interval = match every {
            "20m" => 20 * MINUTE,
            "30m" => 30 * MINUTE,
            "1h" => HOUR,
            _ => 3 * HOUR,
        };
        let (there, must, once) = (Vec::new(), true, true);
        self.sources.push(Source { stream: stream.to_owned(), what, interval, settle, there, must, once });
    }
}

impl Plan {
    /// The plan of a seed.
    ///
    /// # Errors
    /// When the org of the seed cannot be.
    pub fn new(random: &mut Random, knobs: Knobs) -> Result<Self> {
        // Small batches are many polls: then there is less to collect.
        let max_events: u64 = *random.pick(&[1, 2, 7, 40, 500, 5000]);
        let max_bytes = *random.pick(if max_events <= 7 { &["1KiB", "4MiB"] } else { &["64KiB", "4MiB"] });
        let batch = match max_bytes {
            "1KiB" => 1,
            "64KiB" => max_events.min(30),
            _ => max_events,
        };
        let rows = match batch {
            1 | 2 => random.between(20, 50),
            7 => random.between(50, 200),
            _ => random.between(100, 1000),
        };
        let mut hours = random.between(6, 40);
        let many_files = random.percent(8) && knobs.on(Knob::ManyFiles) && batch >= 500;
        let many_streams = random.percent(12) && knobs.on(Knob::ManyStreams) && batch >= 30;
        if many_files {
            hours = random.between(220, 260);
        }
        let first = 1_772_409_600_000 + i64::try_from(random.below(24)).unwrap_or_default() * HOUR;
        let length = i64::try_from(hours).unwrap_or(6) * HOUR;
        let end = first + length;
        // The collection begins somewhere in it: a part is backlog, a part comes up meanwhile.
        let part = random.below(length.unsigned_abs() / MINUTE.unsigned_abs());
        let begin = first + i64::try_from(part).unwrap_or_default() * MINUTE;
        let begin = if many_files { begin.max(end - 40 * HOUR) } else { begin };
        let calm = end + 48 * HOUR;

        let mut streams = Streams::default();
        let kinds = Some(random.below(8)).filter(|_| knobs.on(Knob::OneKind)).unwrap_or(7);
        let (with_files, with_objects) = (kinds != 0, kinds != 1);
        if with_files {
            streams.files(random, "login", &["Login"], many_files);
            streams.files(random, "logout", &["Logout"], many_files);
            streams.files(random, "apex", &APEX, many_files);
            streams.files(random, "exports", &["ReportExport", "URI"], many_files);
        }
        if with_objects {
            streams.object(random, "login", StoredObject::LoginEvent);
            streams.object(random, "logout", StoredObject::LogoutEvent);
            streams.object(random, "setupaudittrail", StoredObject::SetupAuditTrail);
            for (name, stored) in &OWN_OBJECTS {
                if random.percent(60) {
                    streams.object(random, name, *stored);
                }
            }
        }
        if many_streams && with_files {
            let taken = streams.types.clone();
            let others = salesforce_sim::event_types()
                .into_iter()
                .filter(|name| !taken.contains(&String::from(*name)));
            for name in others.take(16).collect::<Vec<_>>() {
                let stream = name.to_ascii_lowercase();
                streams.files(random, &stream, &[name], true);
            }
        }
        let named = random.percent(50) || many_streams;
        if let Some(exports) = streams.json.get_mut("exports") {
            exports["event_log_file"]["event_types"] =
                if named { json!(["ReportExport", "URI"]) } else { json!("*") };
        }
        if many_streams {
            for source in &streams.sources {
                let own = !["login", "logout", "apex", "exports"].contains(&source.stream.as_str());
                if let (What::Files { event_types, .. }, true) = (&source.what, own) {
                    streams.json[&source.stream]["event_log_file"]["event_types"] = json!(event_types);
                }
            }
        }
        for stream in streams.json.values_mut() {
            stream["initial_interval"] = json!(BEGINNING);
        }

        let key = PrivateKey::from_pem(KEY).ok().and_then(|key| key.public_key().ok());
        let time = |ms: i64| DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
        let hidden_one_in = *random.pick(&[0, 2, 5]);
        let hidden = i64::try_from(*random.pick(&[5_u64, 30, 55])).unwrap_or_default() * MINUTE;
        let settings = OrgSettings {
            seed: random.bits(),
            public_key: key,
            clock_fixed_at: Some(time(begin)),
            hourly_files: true,
            page_size: *random.pick(if batch < 30 { &[200, 2000] } else { &[20, 200, 2000] }),
            session_lifetime: TimeDelta::minutes(*random.pick(&[3, 30, 120])),
            workload: Workload {
                hours: u32::try_from(hours).unwrap_or(6),
                rows: if many_files { Rows::PerHour(4) } else { Rows::Total(rows) },
                end: Some(time(end)),
                attacks: Vec::new(),
                quiet: false,
            },
            files: Files {
                event_types: streams.types.clone(),
                late_one_in: *random.pick(&[0, 2, 5]),
                late_by: TimeDelta::hours(*random.pick(&[1, 6, 20])),
                repeated_rows: random.below(3),
                reissue_keeps_id: random.percent(50),
                hidden_one_in,
                hidden_for: TimeDelta::milliseconds(hidden),
                retention: None,
                columns_change: random.percent(30).then(|| time(first + DAY)),
                nul_bytes: random.percent(30),
                repeated_header: random.percent(30),
            },
            objects: Objects {
                // Records are created up to some seconds after their date; the collector waits three minutes.
                settle: TimeDelta::seconds(*random.pick(&[0, 30, 150])),
                max_rows: *random.pick(if rows <= 300 { &[5, 40, 1_000_000] } else { &[40, 1_000_000] }),
                audit_rows_per_hour: busy(random, batch, many_files),
                api_rows_per_hour: busy(random, batch, many_files),
                report_rows_per_hour: busy(random, batch, many_files),
                anomaly_rows_per_hour: busy(random, batch, many_files),
                aura_rows_per_hour: busy(random, batch, many_files),
                crowd: crowd(random, batch, time(first), length),
            },
            ..OrgSettings::default()
        };
        let mut plan = Self {
            settings,
            configs: Vec::new(),
            sources: streams.sources,
            begin,
            calm,
            // An allowance that is used up comes back after a day, and a file that is shorter than it says is taken for
            // whole after hours.
            end: calm + 34 * HOUR,
            timeline: Timeline { calm: Some(calm), ..Timeline::default() },
            restarts: Vec::new(),
            max_events,
            hidden: if hidden_one_in > 0 { hidden } else { 0 },
            rows: rows.max(16 * hours),
            doubtful: false,
            late: Vec::new(),
        };
        plan.configure(&mut random.apart(), knobs, streams.json, named, max_bytes);
        plan.make_odd(random, knobs);
        plan.disturb(random, knobs)?;
        plan.blur_clocks(random, knobs);
        Ok(plan)
    }

    /// Plans the configurations of the run.
    fn configure(
        &mut self,
        random: &mut Random,
        knobs: Knobs,
        streams: Map<String, Value>,
        named: bool,
        max_bytes: &str,
    ) {
        // Signing with a key costs a test more than all the rest of a poll.
        let auth = if random.percent(25) {
            let OrgSettings { client_id, username, .. } = &self.settings;
            json!({"flow": "jwt-bearer", "client_id": client_id, "username": username, "private_key": KEY})
        } else {
            let OrgSettings { client_id, client_secret, .. } = &self.settings;
            json!({"flow": "client-credentials", "client_id": client_id, "client_secret": client_secret})
        };
        let mut config = json!({
            "instance_url": format!("https://{HOST}"),
            "auth": auth,
            "batch": {"max_events": self.max_events, "max_bytes": max_bytes},
            "streams": streams,
        });
        let always = (self.begin, i64::MAX);
        for source in &mut self.sources {
            source.there = vec![always];
        }
        let mut generation = 0;
        let during = |random: &mut Random, plan: &Self| {
            let span = plan.calm - plan.begin - 24 * HOUR;
            plan.begin + i64::try_from(random.below(span.unsigned_abs())).unwrap_or_default()
        };
        self.add_config(self.begin, &config, generation);

        // A stream that is not there at first, and then comes and goes. Without one of files, a stream of all other types
        // would take its files over.
        let may_go = |name: &&String| named || config["streams"][*name].get("event_log_file").is_none();
        let names: Vec<String> = streams.keys().filter(may_go).cloned().collect();
        if random.percent(30) && names.len() > 1 {
            let name = random.pick(&names).clone();
            let mut without = config.clone();
            if let Some(streams) = without["streams"].as_object_mut() {
                streams.remove(&name);
            }
            self.configs.clear();
            let mut there = Vec::new();
            let mut gone = true;
            self.add_config(self.begin, &without, generation);
            for at in moments(random, self.begin, self.calm, 18 * HOUR).into_iter().chain([self.calm]) {
                if at == self.calm && !gone {
                    break;
                }
                gone = !gone && at < self.calm;
                self.add_config(at, if gone { &without } else { &config }, generation);
                match there.last_mut() {
                    Some((_, until)) if gone => *until = at,
                    _ => there.push((at, i64::MAX)),
                }
            }
            for source in self.sources.iter_mut().filter(|source| source.stream == name) {
                source.there.clone_from(&there);
            }
            return;
        }

        if knobs.on(Knob::OldState) && random.percent(12) && streams.contains_key("login") {
            let login = self.sources.iter().position(|source| {
                source.stream == "login"
                    && matches!(source.what, What::Files { interval: Interval::Hourly, .. })
            });
            if let Some(login) = login {
                let at = during(random, self);
                let mut old = config.clone();
                old["streams"] = json!({"login": streams["login"]});
                if let Some(login) = old["streams"]["login"].as_object_mut() {
                    login.remove("object");
                }
                self.configs.clear();
                self.add_config(self.begin, &old, generation);
                self.add_config(at, &config, generation);
                if let Some(config) = self.configs.last_mut() {
                    config.old_state = true;
                }
                for (index, source) in self.sources.iter_mut().enumerate() {
                    source.there = vec![(if index == login { self.begin } else { at }, i64::MAX)];
                }
                return;
            }
        }

        let files: Vec<usize> =
            (0..self.sources.len()).filter(|index| self.sources[*index].object().is_none()).collect();
        if knobs.on(Knob::IntervalChange) && random.percent(35) && !files.is_empty() {
            let at = during(random, self);
            // All of a configuration together, or one stream alone.
            let changed = if random.percent(50) { files } else { vec![*random.pick(&files)] };
            for index in changed {
                let mut source = self.sources[index].clone();
                let (name, settle, interval) = match &source.what {
                    What::Files { interval: Interval::Hourly, .. } => ("daily", 0, Interval::Daily),
                    _ => ("hourly", 5 * MINUTE, Interval::Hourly),
                };
                if let What::Files { interval: of, .. } = &mut source.what {
                    *of = interval;
                }
                config["streams"][&source.stream]["event_log_file"]["log_file_interval"] = json!(name);
                let earlier = &mut self.sources[index];
                (earlier.there, earlier.must, earlier.once) = (vec![(self.begin, at)], false, false);
                source.settle = settle;
                source.once = false;
                source.there = vec![(at, i64::MAX)];
                self.sources.push(source);
            }
            self.add_config(at, &config, generation);
        }

        if knobs.on(Knob::ConfigChange) && random.percent(35) {
            for _ in 0..random.between(1, 2) {
                let at = during(random, self).max(self.configs.last().map_or(0, |last| last.from + MINUTE));
                generation += 1;
                self.change(random, &mut config, at);
                self.add_config(at, &config, generation);
            }
        }
    }

    /// Changes something in a configuration.
    fn change(&mut self, random: &mut Random, config: &mut Value, at: i64) {
        let objects: Vec<(&str, StoredObject)> =
            OWN_OBJECTS.iter().filter(|(name, _)| config["streams"].get(*name).is_some()).copied().collect();
        match random.below(3) {
            0 => config["api_version"] = json!(random.pick(&["latest", "60.0", "51.0"])),
            1 if !objects.is_empty() => {
                let (name, object) = *random.pick(&objects);
                let fields: &[&str] = match object {
                    StoredObject::ApiEvent => &["Operation", "Username", "SourceIp"],
                    StoredObject::ReportEvent => &["Username", "SourceIp"],
                    StoredObject::LoginHistory => &["UserId", "Status", "SourceIp"],
                    StoredObject::ApiAnomalyEventStore => &["Username", "Score"],
                    // Its records have no key: their ids are made of their fields.
                    _ => return,
                };
                config["streams"][name]["object"]["fields"] = json!(fields);
            }
            _ if !objects.is_empty() => {
                let (name, _) = *random.pick(&objects);
                let new = format!("{name}_renamed");
                let Some(streams) = config["streams"].as_object_mut() else { return };
                let Some(table) = streams.remove(name) else { return };
                streams.insert(new.clone(), table);
                let Some(index) = self.sources.iter().position(|source| source.stream == name) else {
                    return;
                };
                let mut source = self.sources[index].clone();
                source.stream = new;
                source.there = vec![(at, i64::MAX)];
                let earlier = &mut self.sources[index];
                earlier.must = false;
                if let Some((_, until)) = earlier.there.last_mut() {
                    *until = at;
                }
                self.sources.push(source);
            }
            _ => {}
        }
    }

    fn add_config(&mut self, from: i64, config: &Value, generation: u32) {
        let json = config.to_string();
        self.configs.push(Configured { from, json, generation, old_state: false });
    }

    /// Plans what goes wrong, and when.
    fn disturb(&mut self, all: &mut Random, knobs: Knobs) -> Result<()> {
        let (begin, calm) = (self.begin, self.calm);
        let soon = begin + 20 * MINUTE;
        // While the backlog is read, a poll follows the other; later there is one now and then.
        let dense = |random: &mut Random, gap: i64| {
            let gap = *random.pick(&[0, gap, gap]);
            moments(random, begin, soon, gap)
        };
        let sparse = |random: &mut Random, gaps: &[i64]| {
            let gap = *random.pick(gaps);
            moments(random, soon, calm, gap)
        };
        let mut faults = Vec::new();
        let random = &mut all.apart();
        if random.percent(70) {
            let mut at = dense(random, MINUTE);
            at.extend(sparse(random, &[0, 8 * HOUR, 90 * MINUTE]));
            faults.extend(at.into_iter().map(|at| timeline::short_fault(random, at)));
        }
        let mut at = dense(random, 3 * MINUTE);
        at.extend(sparse(random, &[0, 8 * HOUR, 2 * HOUR]));
        if random.percent(65) {
            self.timeline.lost = at
                .into_iter()
                .map(|at| {
                    let back = match random.below(20) {
                        0 => i64::MAX,
                        1..4 => i64::try_from(random.below(6)).unwrap_or_default() * HOUR,
                        4..8 => i64::try_from(random.below(60)).unwrap_or_default() * 1000,
                        _ => 0,
                    };
                    let back_to = if back == 0 { i64::MAX } else { at.saturating_sub(back).max(0) };
                    Lost { at, delivered: random.percent(70), back_to }
                })
                .collect();
        }
        let mut restarts = dense(random, 2 * MINUTE);
        restarts.extend(sparse(random, &[0, 4 * HOUR]));
        self.restarts = restarts;
        self.timeline.early = sparse(random, &[0, 5 * HOUR]);
        let random = &mut all.apart();
        if random.percent(50) {
            let gap = *random.pick(&[0, 10 * HOUR]);
            for at in moments(random, begin, calm - HOUR, gap) {
                let long = random.percent(15) && knobs.on(Knob::HostOff);
                let hours = if long { 20 * 60 } else { 90 };
                let until = at + i64::try_from(random.between(5, hours)).unwrap_or(5) * MINUTE;
                if self.timeline.off.last().is_none_or(|(_, last)| *last < at) {
                    self.timeline.off.push((at, until.min(calm)));
                }
            }
        }
        if random.percent(30) {
            let at = sparse(random, &[15 * HOUR]);
            self.timeline.ahead = at.into_iter().map(|at| (at, random.either_way(10 * 60_000))).collect();
        }
        let random = &mut all.apart();
        if knobs.on(Knob::ClockDays) && random.percent(15) {
            let from = begin + i64::try_from(random.below(30)).unwrap_or_default() * HOUR;
            let until = from + i64::try_from(random.between(1, 20)).unwrap_or(1) * HOUR;
            let sign = if random.percent(50) { 1 } else { -1 };
            let ahead = sign * i64::try_from(random.between(1, 24 * 9)).unwrap_or(1) * HOUR;
            self.timeline.ahead = vec![(from, ahead), (until.min(calm), 0)];
        }
        let random = &mut all.apart();
        if knobs.on(Knob::OtherUsers) && random.percent(20) {
            let from = begin + i64::try_from(random.below(40)).unwrap_or_default() * HOUR;
            let until = from + i64::try_from(random.between(1, 14)).unwrap_or(1) * HOUR;
            self.timeline.busy_org = vec![(from, until.min(calm))];
        }
        let objects: Vec<StoredObject> = self.sources.iter().filter_map(Source::object).collect();
        let random = &mut all.apart();
        if knobs.on(Knob::Lasting) && random.percent(30) {
            let at = begin + i64::try_from(random.below(60)).unwrap_or_default() * HOUR;
            faults.push(timeline::lasting_fault(random, at, &objects));
        }
        let big: Vec<StoredObject> = objects
            .into_iter()
            .filter(|object| !matches!(object, StoredObject::AuraRequestEventLog))
            .collect();
        let random = &mut all.apart();
        if knobs.on(Knob::Width) && random.percent(20) && !big.is_empty() {
            let object = *random.pick(&big);
            faults.push(timeline::wide_fault(random, begin, object));
        }
        let random = &mut all.apart();
        if knobs.on(Knob::BadFiles) && random.percent(25) {
            let files = self.files()?;
            if !files.is_empty() {
                for _ in 0..*random.pick(&[1, 2, 8]) {
                    let (id, created, _) = random.pick(&files).clone();
                    faults.push(timeline::bad_file(random, created.max(begin), &id));
                }
            }
        }
        let random = &mut all.apart();
        if knobs.on(Knob::Retention) && random.percent(15) {
            self.settings.files.retention = Some(TimeDelta::days(*random.pick(&[2, 3, 5])));
            // Nothing is in the way for so long that a file could expire before it was ever to be had.
            faults.retain(|fault| fault.until.is_none() && fault.aftermath < DAY);
            self.timeline.busy_org.clear();
            self.timeline.ahead.retain(|(_, ahead)| ahead.abs() < HOUR);
            self.timeline.off.retain(|(from, until)| until - from < 2 * HOUR);
            // What was delivered behind a state that is lost with all its forerunners may be gone.
            for lost in &mut self.timeline.lost {
                lost.back_to = lost.back_to.max(lost.at - HOUR);
            }
            for source in &mut self.sources {
                source.must &= source.there == [(self.begin, i64::MAX)];
            }
        }
        faults.retain(|fault| fault.from < calm);
        for fault in &mut faults {
            fault.until = fault.until.map(|until| until.min(calm));
        }
        faults.sort_by_key(|fault| fault.from);
        self.timeline.faults = faults;
        Ok(())
    }

    /// The files that the org has in the end, as long as none expires: ids, times, and the indices of their sources.
    pub fn files(&self) -> Result<Vec<(String, i64, usize)>> {
        let settings = OrgSettings {
            clock_fixed_at: self.settings.clock_fixed_at.map(|at| at + TimeDelta::days(20)),
            files: Files { retention: None, ..self.settings.files.clone() },
            ..self.settings.clone()
        };
        let org = Simulator::offline(settings).context("the org")?;
        let wanted = self.sources.iter().enumerate().filter_map(|(index, source)| match &source.what {
            What::Files { event_types, interval } => Some((index, event_types, *interval)),
            What::Object(_) => None,
        });
        let mut files = Vec::new();
        for (index, event_types, interval) in wanted {
            let all = org.org().event_log_files(interval).into_iter();
            let of = all.filter(|file| event_types.iter().any(|name| name == file.event_type));
            files.extend(of.map(|file| (file.id.clone(), file.created_date.timestamp_millis(), index)));
        }
        Ok(files)
    }

    /// The source that events of a stream and a provider are of, by its index.
    pub fn source_of(&self, stream: &str, provider: &str, daily: bool) -> Option<usize> {
        self.sources.iter().position(|source| {
            let kind = match &source.what {
                What::Files { interval, .. } => (*interval == Interval::Daily) == daily,
                What::Object(_) => true,
            };
            source.stream == stream && source.provider() == provider && kind
        })
    }

    /// The configuration that counts at a moment.
    pub fn config_at(&self, at: i64) -> usize {
        self.configs.iter().rposition(|config| config.from <= at).unwrap_or(0)
    }

    /// What is planned, for people.
    pub fn describe(&self) -> String {
        let Timeline { faults, off, ahead, lost, busy_org, .. } = &self.timeline;
        let lasting = faults.iter().filter(|fault| fault.until.is_some());
        let lasting: Vec<String> = lasting
            .map(|t| {
                format!("{:?} {:?} from {} to {:?}", t.matches, t.action, moment(t.from), t.until.map(moment))
            })
            .collect();
        format!(
            "begins {}, calm {}, files kept {:?}, {:?}, {} short faults, {} states lost, off {:?}, clock {:?}, busy {:?}, lasting: {lasting:?}, \
             configurations from {:?}",
            moment(self.begin),
            moment(self.calm),
            self.settings.files.retention.map(|kept| kept.num_days()),
            self.settings.oddities,
            faults.iter().filter(|fault| fault.until.is_none()).count(),
            lost.len(),
            off.iter().map(|(from, until)| (moment(*from), (until - from) / MINUTE)).collect::<Vec<_>>(),
            ahead.iter().map(|(from, ms)| (moment(*from), *ms)).collect::<Vec<_>>(),
            busy_org.iter().map(|(from, until)| (moment(*from), moment(*until))).collect::<Vec<_>>(),
            self.configs.iter().map(|config| moment(config.from)).collect::<Vec<_>>(),
        )
    }
}

/// A moment of the org's clock, for people.
pub fn moment(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |at| at.format("%m-%d %H:%M:%S").to_string())
}

/// Records of an object in an hour.
fn busy(random: &mut Random, batch: u64, many_files: bool) -> u32 {
    let choice: &[u32] = if batch < 10 || many_files { &[0, 1, 2] } else { &[0, 3, 8, 16] };
    *random.pick(choice)
}

/// Many records on one instant, in some orgs.
fn crowd(random: &mut Random, batch: u64, first: DateTime<Utc>, length: i64) -> Option<Crowd> {
    let rows = match batch {
        0..10 => random.between(2, 30),
        10..100 => random.between(30, 200),
        _ => random.between(300, 2400),
    };
    let ms = random.below(length.unsigned_abs());
    let at = first + TimeDelta::milliseconds(i64::try_from(ms).unwrap_or_default());
    let objects = vec![StoredObject::LoginEvent, StoredObject::SetupAuditTrail, StoredObject::LoginHistory];
    random.percent(12).then_some(Crowd { at, rows, objects })
}
