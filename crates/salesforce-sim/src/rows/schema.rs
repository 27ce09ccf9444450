//! Which columns a file has: by its event type and by the API version that it was made for.
//!
//! Columns are inserted between versions, in the middle too (EventLogFile supported event types); so a file is read by the
//! names in its header and never by position.

use super::event_types::{self, EventType};
use super::login::{COLUMNS, Hour, LOGS_OUT, LoginRows, Row, logout_millis, push_iso, push_timestamp};

/// The version of the newest files, and of those before a change of columns.
pub(crate) const NEWEST: u32 = 67;
pub(crate) const BEFORE_CHANGE: u32 = 58;

/// Columns of Login files that came with API 60 or later.
const NEWER_OF_LOGIN: [&str; 7] = [
    "USE_API_TOKEN",
    "HTTP_REFERER",
    "LOGIN_URL",
    "COUNTRY_CODE",
    "AUTHENTICATION_SERVICE_ID",
    "AUTHENTICATION_CONTEXT_CLASS_REFERENCE",
    "FORWARDED_FOR_IP",
];

/// Columns of a Logout file, in file order (object reference, `sforce_api_objects_eventlogfile_logout`). There is no
/// RUN_TIME, CPU_TIME or URI.
const LOGOUT: [(&str, &str); 21] = [
    ("EVENT_TYPE", "String"),
    ("TIMESTAMP", "DateTime"),
    ("REQUEST_ID", "String"),
    ("ORGANIZATION_ID", "Id"),
    ("USER_ID", "Id"),
    ("USER_TYPE", "String"),
    ("SESSION_TYPE", "String"),
    ("SESSION_LEVEL", "String"),
    ("BROWSER_TYPE", "String"),
    ("PLATFORM_TYPE", "String"),
    ("RESOLUTION_TYPE", "String"),
    ("APP_TYPE", "String"),
    ("CLIENT_VERSION", "String"),
    ("API_TYPE", "String"),
    ("API_VERSION", "String"),
    ("USER_INITIATED_LOGOUT", "Boolean"),
    ("SESSION_KEY", "String"),
    ("LOGIN_KEY", "String"),
    ("TIMESTAMP_DERIVED", "DateTime"),
    ("USER_ID_DERIVED", "Id"),
    ("CLIENT_IP", "String"),
];

/// The names of all event types that an org can have files of.
pub fn event_types() -> Vec<&'static str> {
    let others = event_types::all().into_iter().map(|event_type| event_type.name);
    ["Login", "Logout"].into_iter().chain(others).collect()
}

/// The names of those that only attacks have rows of.
pub fn event_types_of_attacks() -> Vec<&'static str> {
    event_types::of_attacks().into_iter().map(|event_type| event_type.name).collect()
}

/// What makes the rows of a type.
pub(crate) enum Maker {
    Login,
    Logout,
    Table(EventType),
}

impl Maker {
    /// The maker of an event type, if there is one.
    pub(crate) fn of(event_type: &str) -> Option<Self> {
        match event_type {
            "Login" => Some(Self::Login),
            "Logout" => Some(Self::Logout),
            other => event_types::all().into_iter().find(|known| known.name == other).map(Self::Table),
        }
    }

    /// The maker of an event type, also of one that only attacks, and the routine of a quiet day, have rows of.
    pub(crate) fn of_any(event_type: &str) -> Option<Self> {
        let of_attacks = || event_types::of_attacks().into_iter().find(|known| known.name == event_type);
        Self::of(event_type).or_else(|| of_attacks().map(Self::Table))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Login => "Login",
            Self::Logout => "Logout",
            Self::Table(event_type) => event_type.name,
        }
    }

    /// Every column: its name and type, and its index among the values of a row.
    pub(crate) fn columns(&self, version: u32) -> Vec<(usize, &'static str, &'static str)> {
        let numbered = |all: &[(&'static str, &'static str)]| {
            all.iter().enumerate().map(|(index, (name, kind))| (index, *name, *kind)).collect::<Vec<_>>()
        };
        match self {
            Self::Login => {
                let mut all = numbered(&COLUMNS);
                all.retain(|(_, name, _)| version >= 60 || !NEWER_OF_LOGIN.contains(name));
                all
            }
            Self::Logout => numbered(&LOGOUT),
            Self::Table(event_type) => {
                let columns = event_type.columns.iter().enumerate();
                let present = columns.filter(|(_, column)| column.since <= version);
                present.map(|(index, column)| (index, column.name, column.kind)).collect()
            }
        }
    }

    /// The indices of the columns, in file order.
    pub(crate) fn indices(&self, version: u32) -> Vec<usize> {
        self.columns(version).into_iter().map(|(index, ..)| index).collect()
    }

    /// The header line.
    pub(crate) fn header(&self, version: u32) -> Vec<u8> {
        let names: Vec<String> =
            self.columns(version).into_iter().map(|(_, name, _)| format!("\"{name}\"")).collect();
        format!("{}\n", names.join(",")).into_bytes()
    }

    /// The hour of this type that belongs to an hour of logins: logouts are an hour later, other types have a quarter of
    /// the rows.
    pub(crate) fn hour(&self, logins: &Hour) -> Hour {
        match self {
            Self::Login => logins.clone(),
            Self::Logout => Hour { number: logins.number + 1, rows: logins.rows.div_ceil(LOGS_OUT) },
            Self::Table(_) => Hour { number: logins.number, rows: logins.rows.div_ceil(4) },
        }
    }

    /// Fills `row` with row `index`; `login_hour` is the hour of logins that the hour belongs to.
    pub(crate) fn fill(
        &self,
        rows: &LoginRows,
        login_hour: &Hour,
        hour: &Hour,
        index: u64,
        nul: bool,
        row: &mut Row,
    ) {
        match self {
            Self::Login => rows.fill(login_hour, index, row),
            Self::Logout => logout(rows, login_hour, hour, index * LOGS_OUT, row),
            Self::Table(event_type) => event_type.fill(rows, hour, index, nul, row),
        }
    }
}

/// The logout that follows the login at `index`.
fn logout(rows: &LoginRows, login_hour: &Hour, hour: &Hour, index: u64, row: &mut Row) {
    let mut login = Row::default();
    rows.fill(login_hour, index, &mut login);
    let millis = logout_millis(rows, login_hour, index);
    let timed_out = index % 5 == 4;
    row.clear();
    row.text("Logout");
    push_timestamp(&mut row.bytes, hour, millis);
    row.end();
    rows.push_request_id(hour, index, &mut row.bytes);
    row.end();
    row.text(login.login("ORGANIZATION_ID"));
    row.text(login.login("USER_ID"));
    row.text("Standard(db=S,api=Standard)");
    row.text("UI");
    row.text("HIGH_ASSURANCE(db=10,api=HIGH_ASSURANCE)");
    row.text(login.login("BROWSER_TYPE"));
    row.text(if timed_out { "" } else { "2003" });
    row.text(if timed_out { "" } else { "10012" });
    row.text("1000");
    row.text("9998");
    row.text(login.login("API_TYPE"));
    row.text("9998.0");
    row.text(if timed_out { "0" } else { "1" });
    row.text("");
    row.text(login.login("LOGIN_KEY"));
    push_iso(&mut row.bytes, hour, millis);
    row.end();
    row.text(login.login("USER_ID_DERIVED"));
    row.text(login.login("CLIENT_IP"));
}
