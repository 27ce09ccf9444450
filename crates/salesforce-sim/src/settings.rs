//! What kind of org to simulate.

use std::io;

use chrono::{DateTime, TimeDelta, Utc};
use clap::ValueEnum;
use serde::Deserialize;

use crate::attacks::Attack;
use crate::keys::PublicKey;
use crate::objects::stored::StoredObject;
use crate::oddities::Oddities;
use crate::rows::schema::event_types;

/// The settings of a simulated org; change the fields that matter to a test and take the rest from `default()`.
///
/// ```
/// use salesforce_sim::{OrgSettings, Rows, Workload};
///
/// let settings = OrgSettings {
///     seed: 7,
///     workload: Workload { hours: 3, rows: Rows::Total(1_000), ..Workload::default() },
///     ..OrgSettings::default()
/// };
/// assert_eq!(settings.page_size, 2_000);
/// ```
#[derive(Debug, Clone)]
pub struct OrgSettings {
    /// Everything that looks random follows from this number.
    pub seed: u64,
    /// Port of the org on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Port of the control listener on 127.0.0.1; 0 takes a free one.
    pub control_port: u16,
    /// The consumer key of the one app that may sign in.
    pub client_id: String,
    /// The one user that is approved for the app.
    pub username: String,
    /// The key that assertions are verified with. None, like an app without a certificate, refuses every assertion.
    pub public_key: Option<PublicKey>,
    /// The consumer secret of the app: for the password and the client-credentials flow.
    pub client_secret: String,
    /// The user's password. It may be followed by [`Self::security_token`], and must where that is required.
    pub password: String,
    /// The user's security token.
    pub security_token: String,
    /// The user that the client-credentials flow signs in as.
    pub run_as_user: String,
    /// The refresh token that the user once gave the app.
    pub refresh_token: String,
    /// What stands in the way of signing in.
    pub obstacles: Vec<Obstacle>,
    /// How long a session lives after its last call. Salesforce's default is two hours.
    pub session_lifetime: TimeDelta,
    /// How many live tokens a user may have for one app; the oldest is revoked for the next.
    pub max_tokens: usize,
    /// The words in which every call is refused although its session is live; none serves them.
    pub session_refusal: Option<SessionRefusal>,
    /// What `aud` may be, besides the simulator's own URL.
    pub audiences: Vec<String>,
    /// Where the org's clock stands still until a test moves it; none lets it run with the host's.
    pub clock_fixed_at: Option<DateTime<Utc>>,
    /// How far the org's clock is ahead of the host's (or of `clock_fixed_at`); negative is behind.
    pub clock_skew: TimeDelta,
    /// Whether the org has hourly event log files. Without them it does not know the field `Interval` either.
    pub hourly_files: bool,
    /// Most records in one page of a query answer. Salesforce's own is 2,000, its least 200; tests may go below.
    pub page_size: usize,
    /// How long the rest of a query result can be fetched. Salesforce keeps it two days.
    pub locator_lifetime: TimeDelta,
    /// How many calls the org serves in 24 hours; beyond it they get `REQUEST_LIMIT_EXCEEDED`.
    pub daily_api_limit: u64,
    /// The logs that the org holds.
    pub workload: Workload,
    /// How the logs become event log files.
    pub files: Files,
    /// The objects that are queried record by record.
    pub objects: Objects,
    /// What is odd about its answers.
    pub oddities: Oddities,
}

impl Default for OrgSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            port: 0,
            control_port: 0,
            client_id: "3MVG9simulated.consumer.key".to_owned(),
            username: "collector@example.com".to_owned(),
            public_key: None,
            client_secret: "simulated.consumer.secret".to_owned(),
            password: "simulated-password".to_owned(),
            security_token: "simulatedToken".to_owned(),
            run_as_user: "integration@example.com".to_owned(),
            refresh_token: "5Aep861simulated.refresh.token".to_owned(),
            obstacles: Vec::new(),
            session_lifetime: TimeDelta::hours(2),
            max_tokens: 5,
            session_refusal: None,
            audiences: vec![
                "https://login.salesforce.com".to_owned(),
                "https://test.salesforce.com".to_owned(),
            ],
            clock_fixed_at: None,
            clock_skew: TimeDelta::zero(),
            hourly_files: true,
            page_size: 2_000,
            locator_lifetime: TimeDelta::days(2),
            daily_api_limit: 100_000,
            workload: Workload::default(),
            files: Files::default(),
            objects: Objects::default(),
            oddities: Oddities::default(),
        }
    }
}

impl OrgSettings {
    /// Names the event types that there are not.
    pub(crate) fn check(&self) -> io::Result<()> {
        let known = event_types();
        let unknown = self.files.event_types.iter().filter(|name| !known.contains(&name.as_str()));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let (unknown, known) = (unknown.join(", "), known.join(", "));
        let problem = format!("no event type {unknown}: there are {known}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
    }
}

/// Something that keeps a user from signing in, with the answer that Salesforce gives for it
/// (help.salesforce.com, `remoteaccess_oauth_flow_errors`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// The password flow is switched off, as in every org since Summer '23. The answer does not say so.
    PasswordFlowBlocked,
    /// Passwords count only with the security token behind them, as from networks that are not trusted.
    SecurityTokenRequired,
    /// The user is not pre-authorised for the app.
    UserNotApproved,
    /// The app admits users that an administrator approved, and this one is not among them.
    NotAdminApproved,
    /// The profile of the user does not allow this address or this hour.
    IpRestricted,
    /// The user is locked out.
    UserLocked,
    /// The user was deactivated.
    UserInactive,
    /// The org was deactivated.
    OrgInactive,
    /// The host is login or test and not My Domain, where alone the client-credentials flow is served.
    NotMyDomain,
    /// The app names no user for the client-credentials flow.
    NoRunAsUser,
    /// The app was never installed in this org.
    AppNotInstalled,
    /// An administrator blocked the app.
    AppBlocked,
    /// Too many sign-ins: 3,600 for each user and hour.
    LoginRateExceeded,
}

/// The two texts of `INVALID_SESSION_ID` that a new sign-in does not cure: a client that signs in again for them does so
/// for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SessionRefusal {
    /// `This session is not valid for use with the REST API`
    NotForRest,
    /// `Connected app is not attached to Agent`
    NotAttachedToAgent,
}

/// How much happened in the org, and when.
#[derive(Debug, Clone)]
pub struct Workload {
    /// How many hours of logs there are.
    pub hours: u32,
    /// How many rows they have.
    pub rows: Rows,
    /// When the last hour ends (cut to the full hour). None ends it six full hours before the org's clock at the start
    /// and ten minutes: late enough to be recent, early enough that every file has been there for ten minutes, so that who
    /// waits until files have settled takes all at once.
    pub end: Option<DateTime<Utc>>,
    /// What attacks the org suffered meanwhile. Their rows and records come in addition, and bring the files and objects that
    /// they stand in where the org has none of the kind.
    pub attacks: Vec<Attack>,
    /// Whether nothing else happens that matters to security: changes in Setup are routine, and Threat Detection finds nothing.
    /// A few harmless changes of permissions and jobs of the Bulk APIs come in addition, with the files and objects that they
    /// stand in.
    pub quiet: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Self { hours: 24, rows: Rows::Total(10_000), end: None, attacks: Vec::new(), quiet: false }
    }
}

/// What event log files there are besides the plain ones, and what is odd in them. The default has nothing odd.
#[derive(Debug, Clone)]
pub struct Files {
    /// The event types with files; see [`crate::event_types()`] for those there can be. Rows are those of Login, a quarter of
    /// them in the other types; Logout files have the logouts of LogoutEvent.
    pub event_types: Vec<String>,
    /// One hour in so many has a fifth of its rows in a late file: hourly with the next `Sequence`, and its daily file is
    /// issued again, whole. Zero has no late data.
    pub late_one_in: u32,
    /// How long after the first file of its hour a late one is made, at least.
    pub late_by: TimeDelta,
    /// How many rows of the first file a late hourly file repeats.
    pub repeated_rows: u64,
    /// Whether a daily file that is issued again keeps its `Id`.
    pub reissue_keeps_id: bool,
    /// One file in so many is in no query until [`Self::hidden_for`] after its `CreatedDate`. Zero hides none.
    pub hidden_one_in: u32,
    /// See [`Self::hidden_one_in`].
    pub hidden_for: TimeDelta,
    /// How long after its `CreatedDate` a file exists; none keeps it for ever. Salesforce's default is 30 days.
    pub retention: Option<TimeDelta>,
    /// Files of days before this one have the columns of API 58, later ones those of API 67.
    pub columns_change: Option<DateTime<Utc>>,
    /// Whether one row in 64 has a NUL byte in a value.
    pub nul_bytes: bool,
    /// Whether the header comes a second time, in the middle of the file.
    pub repeated_header: bool,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            event_types: vec!["Login".to_owned()],
            late_one_in: 0,
            late_by: TimeDelta::hours(6),
            repeated_rows: 0,
            reissue_keeps_id: false,
            hidden_one_in: 0,
            hidden_for: TimeDelta::zero(),
            retention: Some(TimeDelta::days(30)),
            columns_change: None,
            nul_bytes: false,
            repeated_header: false,
        }
    }
}

/// The objects that are queried record by record. LoginEvent and LoginHistory have the logins of the Login files,
/// LogoutEvent a logout for every fourth of them, an hour later. The others have so many records in each hour that has
/// logins, each of them by someone who signed in shortly before; zero for none.
#[derive(Debug, Clone)]
pub struct Objects {
    /// How long at most a record of Real-Time Event Monitoring can take to become queryable after its `CreatedDate`. One in
    /// eight takes some of it; zero makes all of them queryable at once.
    pub settle: TimeDelta,
    /// Rows of a big object that a query may come by before it ends with `QUERY_TIMEOUT`. Queries for one instant, which
    /// the index serves, never do.
    pub max_rows: u64,
    /// Rows of SetupAuditTrail in an hour, in groups of three that share one second.
    pub audit_rows_per_hour: u32,
    /// Records of ApiEvent in an hour.
    pub api_rows_per_hour: u32,
    /// Records of ReportEvent in an hour.
    pub report_rows_per_hour: u32,
    /// Records of ApiAnomalyEventStore in an hour.
    pub anomaly_rows_per_hour: u32,
    /// Records of AuraRequestEventLog in an hour. They become queryable 25 to 45 minutes late and are kept for 30 days.
    pub aura_rows_per_hour: u32,
    /// Many records on one instant.
    pub crowd: Option<Crowd>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            settle: TimeDelta::zero(),
            max_rows: 1_000_000,
            audit_rows_per_hour: 12,
            api_rows_per_hour: 60,
            report_rows_per_hour: 12,
            anomaly_rows_per_hour: 1,
            aura_rows_per_hour: 60,
            crowd: None,
        }
    }
}

/// Records beyond the workload that all happened at one instant. They are in no event log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    /// The instant; SetupAuditTrail and LoginHistory, whose dates have whole seconds, take its second.
    pub at: DateTime<Utc>,
    /// How many records each of the objects has then.
    pub rows: u64,
    /// Which objects.
    pub objects: Vec<StoredObject>,
}

/// How many rows the hours have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Exactly so many in all, more by day than by night and fewer at weekends.
    Total(u64),
    /// Exactly so many in each hour.
    PerHour(u64),
    /// None but in the last hour, whose file has about so many bytes (within a few in a thousand).
    OneFileOfBytes(u64),
}
