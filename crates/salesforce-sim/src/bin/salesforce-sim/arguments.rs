//! The flags, and what each of them means.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Parser;
use salesforce_sim::{
    Attack, Doubles, EmptyFiles, LocatorRefusal, Objects, Obstacle, OrgSettings, SessionRefusal,
    StoredObject, Total,
};

/// Runs a simulated Salesforce org on this machine.
///
/// The org has event log files, hourly and daily, for some past hours, the same logins and logouts in LoginEvent,
/// LogoutEvent and LoginHistory, and records of ApiEvent, ReportEvent, ApiAnomalyEventStore, AuraRequestEventLog and
/// SetupAuditTrail. Clients sign in with the JWT bearer, the password or the client-credentials flow,
/// query with SOQL and download the files, as they would from Salesforce. The same seed gives the same users, ids and rows.
///
/// At the start it prints one line of JSON with everything a client needs, then serves until SIGINT or SIGTERM. It listens
/// on 127.0.0.1 only.
#[derive(Debug, Parser)]
#[command(name = "salesforce-sim", version, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Port of the org; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,

    /// Port of the control listener; 0 takes a free one
    ///
    /// GET /truth?interval=hourly (daily) or ?object=LoginEvent (or another object), with &from=, &to= and &event_types= if
    /// wanted, streams the event ids that a complete collection delivers, GET /stats counts, POST /expire-sessions ends every session, POST /exhaust-quota uses
    /// up the day's calls, POST /clock {"advance_seconds":n} moves the org's clock, POST /faults plans faults as --faults
    /// does and DELETE /faults forgets them.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) control_port: u16,

    /// Number that everything random follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many past hours have logs
    ///
    /// The last one ended six hours and ten minutes ago or before, as Salesforce makes an hourly file 3 to 6 hours late.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub(crate) hours: u32,

    /// How many rows there are in all hours together
    ///
    /// More by day than by night; an hour that gets none has no file. A row takes about 560 bytes of CSV.
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub(crate) rows: u64,

    /// PEM file with the client's RSA private key, which the org verifies sign-ins with
    ///
    /// Made with mode 0600 if it does not exist. PKCS#8 or PKCS#1, at least 2048 bits, not encrypted.
    #[arg(long, value_name = "FILE", default_value = "salesforce-sim-key.pem")]
    pub(crate) key_file: PathBuf,

    /// Consumer key of the app that may sign in (claim `iss`)
    #[arg(long, value_name = "KEY", default_value_t = OrgSettings::default().client_id)]
    pub(crate) client_id: String,

    /// User that may sign in (claim `sub`)
    #[arg(long, value_name = "USER", default_value_t = OrgSettings::default().username)]
    pub(crate) username: String,

    /// Consumer secret of the app, for the password and the client-credentials flow
    #[arg(long, value_name = "SECRET", default_value_t = OrgSettings::default().client_secret)]
    pub(crate) client_secret: String,

    /// Password of the user
    #[arg(long, value_name = "PASSWORD", default_value_t = OrgSettings::default().password)]
    pub(crate) password: String,

    /// Security token of the user, which may stand behind the password
    #[arg(long, value_name = "TOKEN", default_value_t = OrgSettings::default().security_token)]
    pub(crate) security_token: String,

    /// What stands in the way of signing in; may be given several times
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) obstacle: Vec<Obstacle>,

    /// Minutes that a session lives after its last call
    #[arg(long, value_name = "MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) session_minutes: u32,

    /// Most live tokens of a user; the oldest is revoked for the next
    #[arg(long, value_name = "TOKENS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_tokens: u16,

    /// Refuse every live session, in words that signing in again does not cure
    #[arg(long, value_name = "WORDS", value_enum)]
    pub(crate) session_refusal: Option<SessionRefusal>,

    /// Calls that the org serves in 24 hours
    #[arg(long, value_name = "CALLS", default_value_t = OrgSettings::default().daily_api_limit)]
    pub(crate) daily_api_limit: u64,

    /// Seconds that the org's clock is ahead of this machine's; behind, if negative
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-31_536_000..=31_536_000))]
    pub(crate) clock_skew: i64,

    /// When the last hour of logs ends, such as 2026-03-04T18:00:00Z; the last full hour that ended 6:10 ago or before if left out
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<DateTime<Utc>>,

    /// Event types with files, separated by commas; `all` has every one there is
    ///
    /// Rows are counted by Login; the other types have a quarter of them, and Logout the logouts of LogoutEvent.
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "Login")]
    pub(crate) event_types: Vec<String>,

    /// One hour in so many has late data: a second hourly file, and its daily file issued again; 0 for none
    #[arg(long, value_name = "HOURS", default_value_t = 0)]
    pub(crate) late_one_in: u32,

    /// Hours that late data comes after the first file of its hour, at least
    #[arg(long, value_name = "HOURS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(..=72))]
    pub(crate) late_by: u32,

    /// Rows of the first file that a late hourly file repeats
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub(crate) repeated_rows: u64,

    /// A daily file that is issued again keeps its Id
    #[arg(long)]
    pub(crate) reissue_keeps_id: bool,

    /// One file in so many is listed only some time after its CreatedDate; 0 for none
    #[arg(long, value_name = "FILES", default_value_t = 0)]
    pub(crate) hidden_one_in: u32,

    /// How many minutes later such a file is listed
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) hidden_minutes: u32,

    /// Days after which a file expires
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) retention_days: u32,

    /// Files of days before this time have the columns of an older API version
    #[arg(long, value_name = "TIME")]
    pub(crate) columns_change: Option<DateTime<Utc>>,

    /// Values with NUL bytes in some rows
    #[arg(long)]
    pub(crate) nul_bytes: bool,

    /// A second header in the middle of each file
    #[arg(long)]
    pub(crate) repeated_header: bool,

    /// Seconds at most that a record of Real-Time Event Monitoring takes to become queryable, one in eight of them
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=604_800))]
    pub(crate) settle_seconds: u32,

    /// Rows of a big object, such as LoginEvent, beyond which a query ends with QUERY_TIMEOUT
    #[arg(long, value_name = "ROWS", default_value_t = Objects::default().max_rows)]
    pub(crate) max_object_rows: u64,

    /// Rows of SetupAuditTrail in each hour
    #[arg(long, value_name = "ROWS", default_value_t = Objects::default().audit_rows_per_hour)]
    pub(crate) audit_rows: u32,

    /// Records of ApiEvent in each hour
    #[arg(long, value_name = "ROWS", default_value_t = Objects::default().api_rows_per_hour)]
    pub(crate) api_rows: u32,

    /// Records of ReportEvent in each hour
    #[arg(long, value_name = "ROWS", default_value_t = Objects::default().report_rows_per_hour)]
    pub(crate) report_rows: u32,

    /// Records of ApiAnomalyEventStore in each hour
    #[arg(long, value_name = "ROWS", default_value_t = Objects::default().anomaly_rows_per_hour)]
    pub(crate) anomaly_rows: u32,

    /// Records of AuraRequestEventLog in each hour
    #[arg(long, value_name = "ROWS", default_value_t = Objects::default().aura_rows_per_hour)]
    pub(crate) aura_rows: u32,

    /// When a crowd of records happens, all of them at this one instant
    #[arg(long, value_name = "TIME", requires = "crowd_rows")]
    pub(crate) crowd_at: Option<DateTime<Utc>>,

    /// How many records the crowd has in each of its objects
    #[arg(long, value_name = "ROWS", requires = "crowd_at", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) crowd_rows: Option<u64>,

    /// The objects that have the crowd, separated by commas
    #[arg(long, value_name = "OBJECTS", value_delimiter = ',', value_parser = stored_object,
          default_value = "LoginEvent,SetupAuditTrail,LoginHistory")]
    pub(crate) crowd_objects: Vec<StoredObject>,

    /// An attack that the org suffered; may be given several times
    ///
    /// Its rows and records come in addition to the others, and bring the files and objects that they stand in. When it
    /// happened, and to whom, follows from the seed.
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) attack: Vec<Attack>,

    /// Nothing else happens that matters to security: changes in Setup are routine, and Threat Detection finds nothing
    ///
    /// Harmless changes of permissions and jobs of the Bulk APIs come in addition, with the files and objects that they stand
    /// in, such as BulkApi2 and PermissionSetEventStore.
    #[arg(long)]
    pub(crate) quiet: bool,

    /// JSON file with a plan of faults
    ///
    /// A list of {"method", "path", "of", "from", "until", "nth" or "every", "times", "action"}: the n-th request, or every
    /// one, of this method whose path contains this text, which queries this object, between these times. An action is
    /// {"kind": K}, with K one of answer (status, body, headers), close, delay (millis), cut-silently, cut-connection or
    /// stall (after so many bytes), drip (bytes, millis), corrupt-gzip (at), behind-gzip or append (text), wrong-length
    /// (by), total (says), fewer-records (by), costly (wider_than_seconds, more_than, failure), damage-record (place, how,
    /// field), date-header (ahead_seconds), forget-locators, revoke-sessions, exhaust-quota.
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,

    /// JSON file with what is odd about the org for good, as the README describes it
    ///
    /// An object with any of: damaged (records), late (records of a deployment), finer_dates (objects), locator_refusal,
    /// doubles, file_end, empty_files. The flags of the same names go before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) oddities: Option<PathBuf>,

    /// What totalSize says: minus-one, of-the-page, absent, or a number by which it is too large
    #[arg(long, value_name = "WHAT", value_parser = total, allow_hyphen_values = true)]
    pub(crate) totals: Option<Total>,

    /// Further pages of a query are refused to another session than the one that asked, in this way
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) locator_refusal: Option<LocatorRefusal>,

    /// How numbers with a fraction are written, LogFileLength among them
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) doubles: Option<Doubles>,

    /// What an hour without rows has in the way of a file; without this flag, none
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) empty_files: Option<EmptyFiles>,

    /// A blank line at the end of each file, which LogFileLength does not count
    #[arg(long)]
    pub(crate) blank_line_at_end: bool,

    /// Seconds that the header Date is ahead of the org's clock; behind, if negative
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, conflicts_with = "no_date_header")]
    pub(crate) date_header_ahead: Option<i64>,

    /// Answers without the header Date
    #[arg(long)]
    pub(crate) no_date_header: bool,

    /// An org without hourly files: daily ones only, and no field `Interval`
    #[arg(long)]
    pub(crate) no_hourly: bool,

    /// Most records in one page of a query answer, 1 to 2000
    #[arg(long, value_name = "RECORDS", default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub(crate) page_size: u16,
}

/// What `totalSize` says.
fn total(name: &str) -> Result<Total, String> {
    match name {
        "minus-one" => Ok(Total::MinusOne),
        "of-the-page" => Ok(Total::OfThePage),
        "absent" => Ok(Total::Absent),
        number => number
            .parse()
            .map(Total::Off)
            .map_err(|_| "there are minus-one, of-the-page, absent and whole numbers".to_owned()),
    }
}

/// An object by its name.
fn stored_object(name: &str) -> Result<StoredObject, String> {
    let known = StoredObject::ALL;
    known.into_iter().find(|object| object.name() == name).ok_or_else(|| {
        let names = known.map(StoredObject::name).join(", ");
        format!("no such object; there are {names}")
    })
}

const EXAMPLES: &str = r#"Examples:
  A small org with a day of logs, on a free port:
      salesforce-sim

  A week with two million logins, always on the same ports:
      salesforce-sim --port 8080 --control-port 8081 --hours 168 --rows 2000000

  What a complete collection of the hourly files must deliver:
      curl 'http://127.0.0.1:8081/truth?interval=hourly'

  Every event type, late data, and a second answer to queries that is an error:
      echo '[{"path":"/query","nth":2,"action":{"kind":"answer","status":503}}]' > plan.json
      salesforce-sim --event-types all --late-one-in 4 --repeated-rows 5 --faults plan.json

  An org that blocks the password flow, as new ones do:
      salesforce-sim --obstacle password-flow-blocked

  Ten thousand logins on one single instant, in LoginEvent and in LoginHistory:
      salesforce-sim --end 2026-03-04T18:00:00Z --crowd-at 2026-03-04T10:17:42.345Z --crowd-rows 10000 \
          --crowd-objects LoginEvent,LoginHistory

  A token that has run out, and a clock that is two hours further:
      curl -X POST http://127.0.0.1:8081/expire-sessions
      curl -X POST http://127.0.0.1:8081/clock -d '{"advance_seconds":7200}'

  A day on which nothing happens but that somebody steals reports:
      salesforce-sim --quiet --attack report-theft

Exit status: 0 after SIGINT or SIGTERM, 1 if it cannot run, 2 if a flag is wrong."#;
