//! What the source says of itself.

/// Name of the source.
pub const NAME: &str = "salesforce-source";
/// Version of the source.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The streams it can emit: name, and what their events are.
pub const STREAMS: &[(&str, &str)] = &[
    ("login", "Logins, successful and failed, from event log files and from LoginEvent."),
    ("logout", "Logouts, from event log files and from LogoutEvent."),
    ("apex", "Callouts, executions, REST and SOAP calls and triggers of Apex code, from event log files."),
    ("setupaudittrail", "Changes made in Setup, from SetupAuditTrail."),
];
