//! The objects that are queried record by record, and what is particular to each.
//!
//! - Big objects of Real-Time Event Monitoring (platform events guide): newest first, filtered by their index alone, all
//!   with one constant `Id`; `EventIdentifier` is their key.
//! - Event Log Objects (object reference, `sforce_api_objects_aurarequesteventlog`): filtered and sorted as one likes, within
//!   15 days a query; `Id` is a constant here too, and there is no other key.
//! - Ordinary objects: filtered and sorted as one likes, `Id` is their key.

use chrono::TimeDelta;
use serde::Deserialize;

use super::{api, audit_trail, aura, login, of_attacks, report};
use crate::soql::object::Object;

/// `Id` of every record of a big object, and of an Event Log Object.
pub(crate) const CONSTANT_ID: &str = "000000000000000AAA";

/// An object whose records are queried one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum StoredObject {
    /// Stored logins; the id of an event is its `EventIdentifier`.
    LoginEvent,
    /// Stored logouts; the id of an event is its `EventIdentifier`.
    LogoutEvent,
    /// Stored API calls; the id of an event is its `EventIdentifier`.
    ApiEvent,
    /// Stored runs of reports; the id of an event is its `EventIdentifier`.
    ReportEvent,
    /// Logins as every org keeps them; the id of an event is [`crate::event_id()`] over `Id`, `host` and `object`: the org's
    /// host, with its port if it has one, and the name of the object.
    LoginHistory,
    /// The setup audit trail; the id of an event is as that of [`Self::LoginHistory`].
    SetupAuditTrail,
    /// Anomalies among API calls; the id of an event is as that of [`Self::LoginHistory`].
    ApiAnomalyEventStore,
    /// Requests of Lightning pages. Its records have no key: the id of an event is [`crate::event_id()`] over the fields of
    /// the record as `FIELDS(STANDARD)` gives them, numbers as they stand in JSON, without `attributes`.
    AuraRequestEventLog,
    /// Stolen sessions that Threat Detection found. This object and those below are there where an
    /// [`Attack`](crate::Attack) put something in; the id of an event is as that of [`Self::LoginHistory`].
    SessionHijackingEventStore,
    /// Stolen passwords that Threat Detection saw used; the id of an event is as that of [`Self::LoginHistory`].
    CredentialStuffingEventStore,
    /// Logins that Threat Detection found odd; the id of an event is as that of [`Self::LoginHistory`].
    LoginAnomalyEventStore,
    /// Runs of reports that Threat Detection found odd; the id of an event is as that of [`Self::LoginHistory`].
    ReportAnomalyEventStore,
    /// Guests that Threat Detection found odd; the id of an event is as that of [`Self::LoginHistory`].
    GuestUserAnomalyEventStore,
    /// Logins in another user's name; the id of an event is its `EventIdentifier`.
    LoginAsEvent,
    /// Changes of permission sets, of which a quiet day has some too; the id of an event is its `EventIdentifier`.
    PermissionSetEventStore,
}

/// What may be asked of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Big,
    EventLog,
    Ordinary,
}

impl StoredObject {
    /// Those that every org has.
    pub const ALL: [Self; 8] = {
        let [login, logout, api, report, history, audit, anomaly, aura, ..] = Self::EVERY;
        [login, logout, api, report, history, audit, anomaly, aura]
    };

    /// Those that every org has, and those that are there where an attack, or the routine of a quiet day, put something in.
    pub const EVERY: [Self; 15] = [
        Self::LoginEvent,
        Self::LogoutEvent,
        Self::ApiEvent,
        Self::ReportEvent,
        Self::LoginHistory,
        Self::SetupAuditTrail,
        Self::ApiAnomalyEventStore,
        Self::AuraRequestEventLog,
        Self::SessionHijackingEventStore,
        Self::CredentialStuffingEventStore,
        Self::LoginAnomalyEventStore,
        Self::ReportAnomalyEventStore,
        Self::GuestUserAnomalyEventStore,
        Self::LoginAsEvent,
        Self::PermissionSetEventStore,
    ];

    /// Its name in SOQL.
    pub fn name(self) -> &'static str {
        self.object().name
    }

    /// The object as SOQL sees it.
    pub(crate) fn object(self) -> &'static Object {
        match self {
            Self::LoginEvent => &login::LOGIN_EVENT,
            Self::LogoutEvent => &login::LOGOUT_EVENT,
            Self::ApiEvent => &api::API_EVENT,
            Self::ReportEvent => &report::REPORT_EVENT,
            Self::LoginHistory => &login::LOGIN_HISTORY,
            Self::SetupAuditTrail => &audit_trail::SETUP_AUDIT_TRAIL,
            Self::ApiAnomalyEventStore => &api::API_ANOMALY_EVENT_STORE,
            Self::AuraRequestEventLog => &aura::AURA_REQUEST_EVENT_LOG,
            Self::SessionHijackingEventStore => &of_attacks::SESSION_HIJACKING,
            Self::CredentialStuffingEventStore => &of_attacks::CREDENTIAL_STUFFING,
            Self::LoginAnomalyEventStore => &of_attacks::LOGIN_ANOMALY,
            Self::ReportAnomalyEventStore => &of_attacks::REPORT_ANOMALY,
            Self::GuestUserAnomalyEventStore => &of_attacks::GUEST_USER_ANOMALY,
            Self::LoginAsEvent => &of_attacks::LOGIN_AS_EVENT,
            Self::PermissionSetEventStore => &of_attacks::PERMISSION_SET_EVENT_STORE,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::LoginEvent
            | Self::LogoutEvent
            | Self::ApiEvent
            | Self::ReportEvent
            | Self::LoginAsEvent
            | Self::PermissionSetEventStore => Kind::Big,
            Self::AuraRequestEventLog => Kind::EventLog,
            _ => Kind::Ordinary,
        }
    }

    /// Whether it is stored by Real-Time Event Monitoring, some seconds after what it tells of.
    pub(crate) fn is_monitored(self) -> bool {
        !matches!(self, Self::LoginHistory | Self::SetupAuditTrail | Self::AuraRequestEventLog)
    }

    /// The field that says when a record happened.
    pub(crate) fn date_name(self) -> &'static str {
        match self {
            Self::LoginHistory => "LoginTime",
            Self::SetupAuditTrail => "CreatedDate",
            Self::AuraRequestEventLog => "Timestamp",
            _ => "EventDate",
        }
    }

    /// Its index among the fields.
    pub(crate) fn date(self) -> usize {
        self.object().fields.iter().position(|field| field.name == self.date_name()).unwrap_or(0)
    }

    /// The field that tells its records apart, as far as one does.
    pub(crate) fn key(self) -> &'static str {
        if self.kind() == Kind::Big { "EventIdentifier" } else { "Id" }
    }

    /// Whether its dates are shown in whole seconds.
    pub(crate) fn has_whole_seconds(self) -> bool {
        matches!(self, Self::LoginHistory | Self::SetupAuditTrail)
    }

    /// How much later than an hour of logins its records happen.
    pub(crate) fn after_logins(self) -> TimeDelta {
        TimeDelta::hours(i64::from(self == Self::LogoutEvent))
    }

    /// How long a record is kept.
    pub(crate) fn retention(self) -> TimeDelta {
        if self.kind() == Kind::EventLog { TimeDelta::days(30) } else { TimeDelta::days(36_500) }
    }
}
