//! What to collect: the streams of the configuration, as sources of files and of records.
//!
//! A stream is what its events are about. It is fed by event log files, by an object, or by both. Four streams are known by
//! name; any other name is a stream of the user's own, which says itself what it collects.

use super::treatment::{self, DAILY_BYTES, DROP_EVENTS, DROP_FIELDS, HASH_FIELDS, MASK_FIELDS, SAMPLE};
use crate::{
    problem::{Kind, Problem},
    schema::{Checked, Flaw, Key, Shape, days, minutes, nearest},
};
use documents::{
    APEX_TYPES, quoted,
    time::{Time, millis},
};
use redaction::Treatment;
use std::{collections::BTreeSet, fmt, rc::Rc, time::Duration};

/// Streams in a configuration at most; what bounds the size of the state.
pub const MAX_STREAMS: usize = 32;
/// Event types named in all of it at most; Salesforce has about 75.
const MAX_EVENT_TYPES: usize = 200;

/// The keys of `streams`.
pub const STREAMS: Shape = Shape::Map {
    known: &[
        Key::optional("login", Shape::Table(LOGIN), "Logins, successful and failed."),
        Key::optional("logout", Shape::Table(LOGOUT), "Logouts."),
        Key::optional(
            "apex",
            Shape::Table(APEX),
            "What Apex code did: callouts, executions, REST and SOAP calls, triggers.",
        ),
        Key::optional("setupaudittrail", Shape::Table(AUDIT), "Changes made in Setup."),
    ],
    other: OWN,
    name: stream_name,
};

const INITIAL: Key = Key::defaulted(
    "initial_interval",
    Shape::Span(minutes(1), days(3650)),
    "7d",
    "How far back to collect when there is no state.",
);
const FROM: Key = Key::optional(
    "from",
    Shape::Instant,
    "From when on to collect when there is no state, in place of initial_interval. Files are collected whole.",
);
const UNTIL: Key = Key::optional(
    "until",
    Shape::Instant,
    "Up to when to collect: with it a stream has an end. Files are collected whole.",
);
/// The same for one source of the stream, which then differs from the others.
const ITS_INITIAL: Key = Key::optional(
    "initial_interval",
    Shape::Span(minutes(1), days(3650)),
    "How far back to collect when there is no state, where that differs from the stream's own.",
);

/// The keys of a stream: how far back it goes, what all streams have, and what it collects from.
macro_rules! stream_keys {
    ($initial:expr, $($own:expr),+ $(,)?) => {
        &[
            $initial, FROM, UNTIL, HASH_FIELDS, MASK_FIELDS, DROP_FIELDS, DROP_EVENTS, SAMPLE, DAILY_BYTES, $($own),+
        ]
    };
}

const LOGIN: &[Key] = stream_keys![
    INITIAL,
    Key::optional("event_log_file", Shape::Table(FILES), "Collect event log files of the type Login."),
    Key::optional("object", Shape::Table(EVENTS), "Collect the object LoginEvent."),
];

const LOGOUT: &[Key] = stream_keys![
    INITIAL,
    Key::optional("event_log_file", Shape::Table(FILES), "Collect event log files of the type Logout."),
    Key::optional("object", Shape::Table(EVENTS), "Collect the object LogoutEvent."),
];

const APEX: &[Key] = stream_keys![
    INITIAL,
    Key::optional("event_log_file", Shape::Table(APEX_FILES), "Collect event log files of the Apex types."),
];

const AUDIT: &[Key] = stream_keys![
    Key::defaulted(
        "initial_interval",
        Shape::Span(minutes(1), days(180)),
        "7d",
        "How far back to collect when there is no state. Salesforce keeps 180 days.",
    ),
    Key::optional("object", Shape::Table(AUDIT_OBJECT), "Collect the object SetupAuditTrail."),
];

const OWN: &[Key] = stream_keys![
    INITIAL,
    Key::optional("event_log_file", Shape::Table(OWN_FILES), "Collect event log files of any types."),
    Key::optional(
        "object",
        Shape::Table(OWN_OBJECT),
        "Collect any object that has a field with a date and time.",
    ),
];

const FILES_INTERVAL: Key =
    Key::defaulted("interval", Shape::Span(minutes(1), days(7)), "1h", "How often to look for new files.");
const CADENCE: Key = Key::defaulted(
    "log_file_interval",
    Shape::OneOf(&["hourly", "daily"]),
    "hourly",
    "Which files to collect. Hourly ones need the Event Monitoring add-on and may be completed by later files.",
);
const OVERLAP: Key = Key::defaulted(
    "overlap",
    Shape::Span(Duration::ZERO, days(7)),
    "1h",
    "How far behind the newest file to look for files that became visible late.",
);
const FILES_SETTLE: Key = Key::optional(
    "settle",
    Shape::Span(Duration::ZERO, days(1)),
    "How old a file must be to be read, since a file can be listed while it is still being written. 5m for hourly \
     files and 0s for daily ones if left out.",
);
const MAX_AGE: Key = Key::defaulted(
    "give_up_after",
    Shape::Span(minutes(60), days(90)),
    "7d",
    "For how long a file that cannot be read is tried again.",
);
const FILES: &[Key] = &[FILES_INTERVAL, CADENCE, OVERLAP, FILES_SETTLE, MAX_AGE, ITS_INITIAL];
const APEX_FILES: &[Key] = &[
    Key::optional(
        "event_types",
        Shape::Names { check: apex_type, all: false },
        "Which of the six; all if left out.",
    ),
    FILES_INTERVAL,
    CADENCE,
    OVERLAP,
    FILES_SETTLE,
    MAX_AGE,
    ITS_INITIAL,
];
const OWN_FILES: &[Key] = &[
    Key::required(
        "event_types",
        Shape::Names { check: event_type, all: true },
        "The event types, as in EventLogFile.EventType; \"*\" for all that no other stream collects.",
    ),
    FILES_INTERVAL,
    CADENCE,
    OVERLAP,
    FILES_SETTLE,
    MAX_AGE,
    ITS_INITIAL,
];

const SETTLE_ABOUT: &str = "How old a record must be to be collected, since records appear late.";
const OBJECT_INTERVAL: Shape = Shape::Span(Duration::from_secs(10), days(7));
const SETTLE: Shape = Shape::Span(Duration::ZERO, days(1));

const MORE_FIELDS: Key = Key::optional(
    "fields",
    Shape::Names { check: field_name, all: false },
    "Fields to collect besides the standard ones, such as \"CreatedBy.Department\".",
);

const EVENTS: &[Key] = &[
    Key::defaulted("interval", OBJECT_INTERVAL, "5m", "How often to look for new records."),
    Key::defaulted("settle", SETTLE, "3m", SETTLE_ABOUT),
    MORE_FIELDS,
    ITS_INITIAL,
];
const AUDIT_OBJECT: &[Key] = &[
    Key::defaulted("interval", OBJECT_INTERVAL, "1h", "How often to look for new records."),
    Key::defaulted("settle", SETTLE, "3m", SETTLE_ABOUT),
    Key::defaulted(
        "overlap",
        Shape::Span(Duration::ZERO, days(1)),
        "1h",
        "How far back to look again for records that became visible late, such as those of a long deployment.",
    ),
    MORE_FIELDS,
];
const OWN_OBJECT: &[Key] = &[
    Key::required(
        "name",
        Shape::Text(api_name),
        "The API name of the object, such as \"ApiEvent\" or \"LoginHistory\".",
    ),
    Key::optional(
        "cursor_field",
        Shape::Text(api_name),
        "The field with the date and time to collect by. If left out: EventDate for objects of Real-Time Event \
         Monitoring, Timestamp for Event Log Objects, LoginTime for LoginHistory, CreatedDate for others. Required for a \
         big object of the org's own (Readings__b): the first field of its index.",
    ),
    Key::optional(
        "fields",
        Shape::Names { check: field_name, all: false },
        "The fields to collect; FIELDS(STANDARD) if left out, which needs api_version 51.0. Required for a big object of the \
         org's own.",
    ),
    Key::defaulted("interval", OBJECT_INTERVAL, "5m", "How often to look for new records."),
    Key::optional(
        "settle",
        SETTLE,
        "How old a record must be to be collected, since records appear late. If left out: 3m, and 1h for Event Log \
         Objects.",
    ),
    Key::optional(
        "overlap",
        Shape::Span(Duration::ZERO, days(1)),
        "How far back to look again for records that became visible late, in ordinary objects. If left out: 10m. Objects \
         that can be filtered by their date alone have settle for that.",
    ),
    ITS_INITIAL,
];

/// Event types ("EventLogFile Supported Event Types", object reference, v67), to tell a typing mistake from a new type.
const KNOWN_TYPES: &str = "API ApexCallout ApexExecution ApexInline ApexRestApi ApexSoap ApexTrigger \
    ApexUnexpectedException ApiTotalUsage AsyncReportRun Attachment AuraRequest BlockedRedirections BulkApi BulkApiRequest \
    BulkApi2 ChangeSetOperation CompositeApi CompositeApiSubrequest ConcurrentLongRunningApexLimit Console \
    ContentDistribution ContentDocumentLink ContentTransfer ContinuationCalloutSummary CorsViolation CSPViolation Dashboard \
    DatabaseSave DocumentAttachmentDownloads ExternalCrossOrgCallout ExternalCustomApexCallout ExternalDataSourceCallout \
    ExternalODataCallout FlowExecution FlowNavMetric GroupMembership HostnameRedirects InsecureExternalAssets \
    InsufficientAccess InvocableAction KnowledgeArticleView LightningError LightningInteraction LightningLogger \
    LightningPageView LightningPerformance Login LoginAs Logout MetadataApiOperation MultiBlockReport NamedCredential \
    OneCommerceUsage PackageInstall PermissionUpdate PlatformEncryption Pricing QueuedExecution Report ReportExport RestApi \
    SalesforceLoginAs Sandbox Search SearchClick Sites TimeBasedWorkflow TransactionSecurity UITelemetryNavigationTiming \
    UITelemetryResourceTiming UniqueQuery URI VisualforceRequest WaveChange WaveDownload WaveInteraction WavePerformance";

/// Objects of Real-Time Event Monitoring that are big objects ("Real-Time Event Monitoring Data Storage", Security
/// Implementation Guide). The other objects of it are ordinary ones.
const BIG_OBJECTS: &[&str] = &[
    "ApiEvent",
    "BulkApiResultEventStore",
    "FileEventStore",
    "IdentityProviderEventStore",
    "IdentityVerificationEvent",
    "LightningUriEvent",
    "ListViewEvent",
    "LoginAsEvent",
    "LoginEvent",
    "LogoutEvent",
    "PermissionSetEventStore",
    "ReportEvent",
    "UriEvent",
];

/// The streams to collect, in two kinds of sources.
#[derive(Default)]
pub struct Streams {
    /// Objects that are queried.
    pub objects: Vec<ObjectSource>,
    /// Event log files that are listed and downloaded.
    pub files: Vec<FilesSource>,
}

/// What is collected of a stream, by the time at which it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// From when on, where that is not so far back from the first poll.
    pub from: Option<Time>,
    /// Up to when; none = without end.
    pub until: Option<Time>,
}

impl TimeRange {
    /// From when on files of a cadence can hold what is in it: the one that covers its beginning began before it.
    pub fn first_file(self, cadence: Cadence) -> Option<Time> {
        let span = millis(cadence.span());
        self.from.map(|from| Time(from.0 - from.0.rem_euclid(span)))
    }

    /// Whether a file that covers the time from `log_date` on can hold something of it.
    pub fn covers(self, log_date: Time, cadence: Cadence) -> bool {
        self.first_file(cadence).is_none_or(|first| first <= log_date)
            && self.until.is_none_or(|until| log_date < until)
    }

    /// Whether all of it that can still come lies before this instant.
    pub fn is_over(self, at: Time) -> bool {
        self.until.is_some_and(|until| until <= at)
    }
}

/// What of a stream leaves, and what does not.
#[derive(Clone, Debug)]
pub struct Outflow {
    /// What becomes of its rows.
    pub treatment: Rc<Treatment>,
    /// How many bytes of events leave in a day; none = all.
    pub daily_bytes: Option<u64>,
}

/// The event log files of a stream.
#[derive(Clone, Debug)]
pub struct FilesSource {
    /// Name of the stream: `login`.
    pub stream: String,
    /// Which types.
    pub event_types: EventTypes,
    /// How far back to collect when there is no state.
    pub initial_interval: Duration,
    /// What to collect of it, where that is not all from then on.
    pub range: TimeRange,
    /// What of it leaves, and what does not.
    pub outflow: Outflow,
    /// How often to look for new files.
    pub interval: Duration,
    /// Which files to collect.
    pub cadence: Cadence,
    /// How far behind the newest file to look for late ones.
    pub overlap: Duration,
    /// How old a file must be to be read.
    pub settle: Duration,
    /// For how long a file that cannot be read is tried again.
    pub give_up_after: Duration,
}

/// How much time one event log file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// One hour; completed by files of a higher `Sequence`.
    Hourly,
    /// One day; replaced as a whole when it changes.
    Daily,
}

impl Cadence {
    /// As it stands in `EventLogFile.Interval`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hourly => "Hourly",
            Self::Daily => "Daily",
        }
    }

    /// How much time it is.
    pub const fn span(self) -> Duration {
        match self {
            Self::Hourly => minutes(60),
            Self::Daily => days(1),
        }
    }
}

/// The object of a stream.
#[derive(Clone, Debug)]
pub struct ObjectSource {
    /// Name of the stream: `setupaudittrail`.
    pub stream: String,
    /// Name of the object.
    pub object: String,
    /// The field with the date and time to collect by.
    pub date: String,
    /// How its records are paged through.
    pub paging: Paging,
    /// The fields to collect; none = FIELDS(STANDARD).
    pub fields: Option<Vec<String>>,
    /// Fields to collect besides.
    pub more_fields: Vec<String>,
    /// How far back to collect when there is no state.
    pub initial_interval: Duration,
    /// What to collect of it, where that is not all from then on.
    pub range: TimeRange,
    /// What of it leaves, and what does not.
    pub outflow: Outflow,
    /// How often to look for new records.
    pub interval: Duration,
    /// How old a record must be to be collected.
    pub settle: Duration,
    /// How far behind the newest record to look for records that appeared late.
    pub overlap: Duration,
}

/// What an object allows to be filtered and sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// A big object: filtered by its date, and by EventIdentifier on one instant of it; newest first.
    BigObject,
    /// Filtered by its date, without a key that is known to be one: in an Event Log Object `Id` is one constant
    /// (`AuraRequestEventLog`). One query covers 15 days at most.
    EventLogObject,
    /// A big object of the org's own (`Readings__b`): filtered by the fields of its index from the first one on, of which the
    /// cursor is the first, and without any field that is known to be a key ("SOQL with Big Objects", Big Objects guide).
    CustomBigObject,
    /// Filtered and sorted by (date, `Id`).
    Ascending,
}

impl Paging {
    /// The field with the key of a record, where there is one.
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::BigObject => Some("EventIdentifier"),
            Self::EventLogObject | Self::Ascending => Some("Id"),
            Self::CustomBigObject => None,
        }
    }

    /// How much time one query covers at most.
    pub const fn longest_window(self) -> Duration {
        match self {
            Self::EventLogObject => days(14),
            Self::BigObject | Self::CustomBigObject | Self::Ascending => days(3650),
        }
    }

    fn of(object: &str) -> Self {
        if BIG_OBJECTS.contains(&object) {
            Self::BigObject
        } else if object.ends_with("__b") {
            Self::CustomBigObject
        } else if object.ends_with("EventLog") {
            Self::EventLogObject
        } else {
            Self::Ascending
        }
    }
}

/// A choice of event types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTypes {
    /// These.
    Only(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
}

impl EventTypes {
    /// One type.
    pub fn one(name: &str) -> Self {
        Self::Only(BTreeSet::from([name.to_owned()]))
    }

    /// How many names it takes to say.
    pub fn len(&self) -> usize {
        match self {
            Self::Only(names) | Self::AllBut(names) => names.len(),
        }
    }

    /// Whether a type is chosen.
    pub fn include(&self, event_type: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(event_type),
            Self::AllBut(names) => !names.contains(event_type),
        }
    }

    /// Whether all that `other` chooses is chosen.
    pub fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Only(names)) => names.iter().all(|name| self.include(name)),
            (Self::AllBut(ours), Self::AllBut(theirs)) => ours.is_subset(theirs),
            (Self::Only(_), Self::AllBut(_)) => false,
        }
    }

    /// As it stands in the state: names, or `*` and what it leaves out, each with an exclamation mark.
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Self::Only(names) => names.iter().cloned().collect(),
            Self::AllBut(names) => std::iter::once(String::from("*"))
                .chain(names.iter().map(|name| format!("!{name}")))
                .collect(),
        }
    }

    /// Reads what [`to_list`](Self::to_list) wrote.
    pub fn from_list(list: Vec<String>) -> Self {
        if list.first().is_some_and(|first| first == "*") {
            Self::AllBut(list.iter().skip(1).map(|name| name.trim_start_matches('!').to_owned()).collect())
        } else {
            Self::Only(list.into_iter().collect())
        }
    }
}

impl Streams {
    /// Has every stream collect what happened in this range of time alone.
    pub fn confine(&mut self, range: TimeRange) {
        self.files.iter_mut().for_each(|source| source.range = range);
        self.objects.iter_mut().for_each(|source| source.range = range);
    }
}

impl fmt::Display for EventTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Only(names) => f.write_str(&join(names)),
            Self::AllBut(names) if names.is_empty() => f.write_str("all types"),
            Self::AllBut(names) => write!(f, "all types but {}", join(names)),
        }
    }
}

fn stream_name(name: &str) -> Result<(), Flaw> {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fits {
        return Ok(());
    }
    Err(Flaw::with_hint(
        "is no name for a stream",
        "a letter, then letters, digits and underscores, all in lower case, at most 40",
    ))
}

fn event_type(name: &str) -> Result<(), Flaw> {
    if !name.is_empty() && name.len() <= 60 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let shown = quoted(name, 60);
    let hint = r#""ReportExport" is one; event_types = "*" takes all that the org has"#;
    Err(Flaw::with_hint(format!("holds '{shown}', which is no event type"), hint))
}

fn apex_type(name: &str) -> Result<(), Flaw> {
    if APEX_TYPES.contains(&name) {
        return Ok(());
    }
    let shown = quoted(name, 60);
    let hint = match nearest(name, APEX_TYPES.iter().copied()) {
        Some(known) => format!("did you mean '{known}'?"),
        None => format!("there are {}; others go into a stream of your own", APEX_TYPES.join(", ")),
    };
    Err(Flaw::with_hint(format!("holds '{shown}', which is no type of this stream"), hint))
}

/// Nothing else may stand in a query.
fn api_name(name: &str) -> Result<(), Flaw> {
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 80
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits { Ok(()) } else { Err(Flaw::new("must be an API name: letters, digits and underscores")) }
}

/// A field, or one of a related record: `CreatedBy.Name`.
fn field_name(name: &str) -> Result<(), Flaw> {
    if name.split('.').count() <= 5 && name.split('.').all(|part| api_name(part).is_ok()) {
        return Ok(());
    }
    Err(Flaw::new(format!("holds '{}', which is no name of a field", quoted(name, 60))))
}

/// Takes the streams out of a checked document.
pub fn read(streams: Checked<'_>, hash_key: Option<&str>, problems: &mut Vec<Problem>) -> Streams {
    let mut found = Streams::default();
    let entries = streams.entries(&STREAMS);
    if streams.has_no_entry() {
        let problem = Problem::new(Kind::Config, "no stream is configured");
        problems.push(problem.at("streams").hint("add streams.login with event_log_file = {}"));
    }
    if entries.len() > MAX_STREAMS {
        let message = format!("there are {} streams, and {MAX_STREAMS} is the most", entries.len());
        let hint = "a stream can collect many event types; more objects need a second source";
        problems.push(Problem::new(Kind::Config, message).at("streams").hint(hint));
    }
    for (name, stream) in &entries {
        let path = format!("streams.{name}");
        if stream.is_empty("event_log_file") && stream.is_empty("object") {
            let known = nearest(name, ["login", "logout", "apex", "setupaudittrail"].into_iter());
            let hint = match (*name, known) {
                ("login" | "logout", _) => String::from("add event_log_file = {}, or object = {}"),
                ("apex", _) => String::from("add event_log_file = {}"),
                ("setupaudittrail", _) => String::from("add object = {}"),
                (_, Some(known)) => {
                    format!("did you mean '{known}'? A stream of your own says what it collects")
                }
                _ => String::from(
                    "add event_log_file = { event_types = [...] }, or object = { name = \"...\" }",
                ),
            };
            let message = format!("the stream '{name}' has nothing to collect from");
            problems.push(Problem::new(Kind::Config, message).at(path).hint(hint));
            continue;
        }
        problems.extend(empty_range(name, range(*stream)));
        problems.extend(treatment::missing_key(name, *stream, hash_key));
        let outflow = Outflow {
            treatment: Rc::new(treatment::read(*stream, hash_key)),
            daily_bytes: (!stream.is_empty("daily_bytes")).then(|| stream.size("daily_bytes")),
        };
        if let Some(files) = stream.table("event_log_file") {
            found.files.push(files_source(name, *stream, files, outflow.clone()));
        }
        if let Some(object) = stream.table("object") {
            found.objects.extend(object_source(name, *stream, object, outflow));
            problems.extend(missing_of_big_object(name, object));
        }
    }
    claim(&mut found, problems);
    found
}

fn files_source(stream: &str, table: Checked<'_>, files: Checked<'_>, outflow: Outflow) -> FilesSource {
    let cadence = match files.text("log_file_interval") {
        Some("daily") => Cadence::Daily,
        _ => Cadence::Hourly,
    };
    let names = || files.names("event_types").into_iter().collect();
    let event_types = match stream {
        "login" => EventTypes::one("Login"),
        "logout" => EventTypes::one("Logout"),
        "apex" if files.is_empty("event_types") => {
            EventTypes::Only(APEX_TYPES.iter().map(|name| (*name).to_owned()).collect())
        }
        _ if files.text("event_types") == Some("*") => EventTypes::AllBut(BTreeSet::new()),
        _ => EventTypes::Only(names()),
    };
    let settle = match cadence {
        _ if !files.is_empty("settle") => files.span("settle"),
        Cadence::Hourly => minutes(5),
        Cadence::Daily => Duration::ZERO,
    };
    FilesSource {
        stream: stream.to_owned(),
        event_types,
        initial_interval: initial_interval(table, files),
        range: range(table),
        outflow,
        interval: files.span("interval"),
        cadence,
        overlap: files.span("overlap"),
        settle,
        give_up_after: files.span("give_up_after"),
    }
}

fn object_source(
    stream: &str,
    table: Checked<'_>,
    object: Checked<'_>,
    outflow: Outflow,
) -> Option<ObjectSource> {
    let name = match stream {
        "login" => "LoginEvent",
        "logout" => "LogoutEvent",
        "setupaudittrail" => "SetupAuditTrail",
        _ => object.text("name")?,
    };
    let paging = Paging::of(name);
    let date = match paging {
        Paging::BigObject => "EventDate",
        // It has no default: what is missing is told below.
        Paging::CustomBigObject => "",
        Paging::EventLogObject => "Timestamp",
        Paging::Ascending if name.ends_with("EventStore") => "EventDate",
        Paging::Ascending if name == "LoginHistory" => "LoginTime",
        Paging::Ascending => "CreatedDate",
    };
    let settle = match paging {
        // Records of an Event Log Object can be queried 25 to 45 minutes after the event.
        Paging::EventLogObject if object.is_empty("settle") => minutes(60),
        _ if object.is_empty("settle") => minutes(3),
        _ => object.span("settle"),
    };
    let overlap = match paging {
        Paging::BigObject | Paging::CustomBigObject | Paging::EventLogObject => Duration::ZERO,
        Paging::Ascending if stream != "setupaudittrail" && object.is_empty("overlap") => minutes(10),
        Paging::Ascending => object.span("overlap"),
    };
    let listed = || object.names("fields");
    let is_own = !matches!(stream, "login" | "logout" | "setupaudittrail");
    let fields = (is_own && !object.is_empty("fields")).then(listed);
    let mut more_fields = Vec::new();
    if fields.is_none() {
        more_fields.extend(needed(name).iter().map(|field| (*field).to_owned()));
        // Asked for twice, a field is refused; the standard ones are asked for already.
        more_fields
            .extend(listed().into_iter().filter(|field| field.contains('.') || field.ends_with("__c")));
    }
    Some(ObjectSource {
        stream: stream.to_owned(),
        object: name.to_owned(),
        date: object.text("cursor_field").unwrap_or(date).to_owned(),
        paging,
        fields,
        more_fields,
        initial_interval: initial_interval(table, object),
        range: range(table),
        outflow,
        interval: object.span("interval"),
        settle,
        overlap,
    })
}

impl ObjectSource {
    /// The same without the fields of other objects that the built-in query asks for, where there are any: a user may read
    /// an object and not those.
    pub fn alone(&self) -> Option<Self> {
        let needed = needed(&self.object);
        let more_fields: Vec<String> =
            self.more_fields.iter().filter(|field| !needed.contains(&field.as_str())).cloned().collect();
        (more_fields.len() < self.more_fields.len()).then(|| Self { more_fields, ..self.clone() })
    }
}

/// What the documents of an object are made of besides its standard fields.
fn needed(object: &str) -> &'static [&'static str] {
    match object {
        "SetupAuditTrail" => &["CreatedBy.Name", "CreatedBy.Username", "CreatedBy.Email"],
        _ => &[],
    }
}

/// What the configuration must say of a big object of the org's own, since nothing else says it.
fn missing_of_big_object(stream: &str, object: Checked<'_>) -> Vec<Problem> {
    let name = object.text("name").unwrap_or_default();
    if Paging::of(name) != Paging::CustomBigObject {
        return Vec::new();
    }
    let needed = [
        (
            "cursor_field",
            "a big object of the org's own has no date that all of them have",
            "name the field with the date and time that is the first of its index: a big object can be filtered by no other",
        ),
        (
            "fields",
            "FIELDS(STANDARD) holds no field of a big object of the org's own",
            "name the fields to collect, such as [\"Reading__c\"]; with all fields of the index among them, records that differ have different ids",
        ),
    ];
    let missing = needed.into_iter().filter(|(key, ..)| object.is_empty(key));
    missing
        .map(|(key, why, hint)| {
            let message = format!("'{key}' is missing: {why}");
            Problem::new(Kind::Config, message).at(format!("streams.{stream}.object.{key}")).hint(hint)
        })
        .collect()
}

fn initial_interval(stream: Checked<'_>, source: Checked<'_>) -> Duration {
    if source.is_empty("initial_interval") {
        stream.span("initial_interval")
    } else {
        source.span("initial_interval")
    }
}

fn range(stream: Checked<'_>) -> TimeRange {
    TimeRange { from: stream.instant("from"), until: stream.instant("until") }
}

/// What is wrong with a range of time that has no instant in it.
fn empty_range(name: &str, range: TimeRange) -> Option<Problem> {
    let (from, until) = (range.from?, range.until?);
    (from >= until).then(|| {
        Problem::new(Kind::Config, format!("'until' is {until}, and 'from' is {from}"))
            .at(format!("streams.{name}.until"))
            .hint("name a time after 'from'; an event at 'until' itself is not collected")
    })
}

/// Sees to it that nothing is collected by two streams, and that `*` means what no other stream names.
fn claim(streams: &mut Streams, problems: &mut Vec<Problem>) {
    let mut claimed: BTreeSet<String> = BTreeSet::new();
    let mut everything = None;
    for source in &streams.files {
        let path = format!("streams.{}.event_log_file.event_types", source.stream);
        match &source.event_types {
            EventTypes::AllBut(_) => {
                if let Some(first) = everything.replace(source.stream.clone()) {
                    let message =
                        format!("the streams '{first}' and '{}' both collect all event types", source.stream);
                    problems.push(Problem::new(Kind::Config, message).at(path).hint("keep one of them"));
                }
            }
            EventTypes::Only(names) => {
                for name in names.iter().filter(|name| claimed.contains(*name)) {
                    let names_it = |other: &&FilesSource| matches!(&other.event_types, EventTypes::Only(names) if names.contains(name));
                    let other = streams.files.iter().find(names_it).map_or("", |other| other.stream.as_str());
                    let message =
                        format!("the event type {name} is already collected by the stream '{other}'");
                    problems.push(
                        Problem::new(Kind::Config, message)
                            .at(&*path)
                            .hint("it would be delivered twice; keep one"),
                    );
                }
                claimed.extend(names.iter().cloned());
            }
        }
    }
    if claimed.len() > MAX_EVENT_TYPES {
        let message = format!("{} event types are named, and {MAX_EVENT_TYPES} is the most", claimed.len());
        problems.push(Problem::new(Kind::Config, message).at("streams").hint("use \"*\""));
    }
    for source in &mut streams.files {
        if let EventTypes::AllBut(others) = &mut source.event_types {
            others.clone_from(&claimed);
        }
    }
    for (nth, source) in streams.objects.iter().enumerate() {
        if let Some(other) = streams.objects[..nth].iter().find(|other| other.object == source.object) {
            let message =
                format!("the object {} is already collected by the stream '{}'", source.object, other.stream);
            let path = format!("streams.{}.object.name", source.stream);
            problems.push(
                Problem::new(Kind::Config, message).at(path).hint("it would be delivered twice; keep one"),
            );
        }
    }
}

impl Streams {
    /// The names of the streams; one that has an object and files comes twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let objects = self.objects.iter().map(|source| source.stream.as_str());
        objects.chain(self.files.iter().map(|source| source.stream.as_str()))
    }

    /// What is allowed and probably not meant.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for object in &self.objects {
            let Some(event_type) = same_event(&object.object) else { continue };
            let Some(files) = self.files.iter().find(|files| files.event_types.include(event_type)) else {
                continue;
            };
            let message = format!(
                "what {event_type} files tell also comes as {}: each event counts twice downstream",
                object.object
            );
            warnings.push(
                Problem::new(Kind::Config, message)
                    .at(format!("streams.{}.object", object.stream))
                    .in_stream(&files.stream)
                    .hint("keep one of the two, or tell them apart by event.provider"),
            );
        }
        for files in &self.files {
            let EventTypes::Only(names) = &files.event_types else { continue };
            for name in names.iter().filter(|name| !known_types().any(|known| known == **name)) {
                let hint = match nearest(name, known_types()) {
                    Some(known) => format!("did you mean '{known}'?"),
                    None => String::from("if Salesforce has it, it is collected all the same"),
                };
                warnings.push(
                    Problem::new(Kind::Config, format!("'{name}' is not an event type that is known"))
                        .at(format!("streams.{}.event_log_file.event_types", files.stream))
                        .in_stream(&files.stream)
                        .hint(hint),
                );
            }
        }
        warnings
    }
}

fn known_types() -> impl Iterator<Item = &'static str> {
    KNOWN_TYPES.split_ascii_whitespace()
}

/// The event type whose files tell of the same events as an object, if there is one.
fn same_event(object: &str) -> Option<&str> {
    let base = match object {
        "LoginHistory" => "Login",
        _ => {
            ["EventLog", "EventStore", "Event"].into_iter().find_map(|ending| object.strip_suffix(ending))?
        }
    };
    known_types().find(|known| *known == base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> EventTypes {
        EventTypes::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn all_but(names: &[&str]) -> EventTypes {
        EventTypes::AllBut(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_choice_of_event_types_knows_what_it_covers() {
        assert!(only(&["A", "B"]).cover(&only(&["A"])) && !only(&["A"]).cover(&only(&["A", "B"])));
        assert!(all_but(&["C"]).cover(&only(&["A"])) && !all_but(&["A"]).cover(&only(&["A"])));
        assert!(all_but(&[]).cover(&all_but(&["A"])) && !all_but(&["A"]).cover(&all_but(&[])));
        assert!(!only(&["A"]).cover(&all_but(&["A"])));
    }

    #[test]
    fn a_choice_of_event_types_is_read_back_as_it_was_written() {
        for types in [only(&[]), only(&["A", "B"]), all_but(&[]), all_but(&["A", "B"])] {
            assert_eq!(EventTypes::from_list(types.to_list()), types);
        }
    }

    #[test]
    fn the_same_event_is_recognised_in_files_and_objects() {
        for (object, event_type) in [
            ("LoginEvent", Some("Login")),
            ("LoginHistory", Some("Login")),
            ("AuraRequestEventLog", Some("AuraRequest")),
            ("ReportEvent", Some("Report")),
            ("ApiAnomalyEventStore", None),
            ("SetupAuditTrail", None),
        ] {
            assert_eq!(same_event(object), event_type);
        }
    }
}
