//! What kind of org to simulate.

use chrono::{DateTime, TimeDelta, Utc};

use crate::keys::PublicKey;

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
    /// The maximum that `Sforce-Limit-Info` states. Calls are counted against it, and not refused beyond it.
    pub daily_api_limit: u64,
    /// The logs that the org holds.
    pub workload: Workload,
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
            audiences: vec![
                "https://login.salesforce.com".to_owned(),
                "https://test.salesforce.com".to_owned(),
            ],
            clock_fixed_at: None,
            clock_skew: TimeDelta::zero(),
            hourly_files: true,
            page_size: 2_000,
            daily_api_limit: 100_000,
            workload: Workload::default(),
        }
    }
}

/// How much happened in the org, and when.
#[derive(Debug, Clone)]
pub struct Workload {
    /// How many hours of logs there are.
    pub hours: u32,
    /// How many rows they have.
    pub rows: Rows,
    /// When the last hour ends (cut to the full hour). None ends it five full hours before the org's clock at the start:
    /// late enough to be recent, early enough that every file is visible at once.
    pub end: Option<DateTime<Utc>>,
}

impl Default for Workload {
    fn default() -> Self {
        Self { hours: 24, rows: Rows::Total(10_000), end: None }
    }
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
