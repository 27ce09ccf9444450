//! What a type of event is about: `event.kind`, `.category`, `.type` and `.action` for rules to go by, and the class and
//! activity in the Open Cybersecurity Schema Framework.
//!
//! A file type and the objects that tell of the same event (`Report`, `ReportEvent`, `ReportEventLog`) are one kind. Values
//! and pairs are those that ECS allows ("ECS Categorization Fields"); what fits none of its categories has none.

use super::{
    class::{ACCOUNT_SWITCH, Class, OTHER},
    names::snake_case,
};

/// A row: types and objects without their ending, then the categories and types, and what they are in the Open Cybersecurity
/// Schema Framework: the class, and the activity where no column tells it. `!` in front marks what Salesforce's Threat
/// Detection found, which is an alert.
const KINDS: &[(&str, &str, &str, Class, u8)] = &[
    ("Login LoginHistory", "authentication", "info", Class::Authentication, 1),
    ("Logout", "authentication", "info", Class::Authentication, 2),
    ("LoginAs SalesforceLoginAs", "authentication", "info", Class::Authentication, ACCOUNT_SWITCH),
    ("IdentityVerification IdentityProvider", "authentication", "info", Class::Authentication, OTHER),
    ("SetupAuditTrail", "iam", "admin", Class::EntityManagement, OTHER),
    ("ApexCallout", "network", "connection", Class::Http, 0),
    ("ApexRestApi ApexSoap", "network", "connection", Class::Api, 0),
    (
        "ExternalCustomApexCallout ExternalCrossOrgCallout ExternalDataSourceCallout ExternalODataCallout",
        "network",
        "connection",
        Class::Api,
        0,
    ),
    ("ContinuationCalloutSummary NamedCredential", "network", "connection", Class::Http, 0),
    ("ApexTrigger", "", "connection", Class::Base, 0),
    (
        "!CredentialStuffing !LoginAnomaly",
        "authentication intrusion_detection",
        "info",
        Class::DetectionFinding,
        1,
    ),
    ("!SessionHijacking", "intrusion_detection session", "info", Class::DetectionFinding, 1),
    (
        "!ApiAnomaly !ReportAnomaly !GuestUserAnomaly !PermissionSetAnomaly",
        "intrusion_detection",
        "info",
        Class::DetectionFinding,
        1,
    ),
    ("TransactionSecurity", "intrusion_detection", "info", Class::DetectionFinding, 1),
    (
        "Report ReportExport AsyncReportRun MultiBlockReport Dashboard",
        "database",
        "access",
        Class::Datastore,
        1,
    ),
    ("ListView", "database", "access", Class::Datastore, 8),
    ("Search SearchClick UniqueQuery", "database", "access", Class::Datastore, 4),
    ("KnowledgeArticleView", "database", "access", Class::Datastore, 1),
    ("InsufficientAccess", "database", "access error", Class::Datastore, 0),
    ("DatabaseSave", "database", "change", Class::Datastore, 5),
    (
        "API RestApi CompositeApi CompositeApiSubrequest ApiTotalUsage BulkApi BulkApi2 BulkApiRequest BulkApiResult",
        "api",
        "access",
        Class::Api,
        0,
    ),
    ("ContentTransfer", "file", "access", Class::FileHosting, 0),
    ("ContentDistribution ContentDocumentLink", "file", "access", Class::FileHosting, 12),
    ("DocumentAttachmentDownloads DocAtchDownload", "file", "access", Class::FileHosting, 2),
    ("Attachment File", "file", "access", Class::FileHosting, 0),
    ("WaveDownload", "file", "access", Class::FileHosting, 2),
    ("PermissionUpdate PermissionSet", "iam", "admin change", Class::UserAccess, 0),
    ("GroupMembership", "iam", "change group", Class::GroupManagement, 0),
    (
        "MetadataApiOperation ChangeSetOperation Sandbox",
        "configuration",
        "change",
        Class::EntityManagement,
        0,
    ),
    ("PlatformEncryption", "configuration", "info", Class::EntityManagement, 0),
    ("PackageInstall", "package", "installation", Class::EntityManagement, 1),
    (
        "AuraRequest URI LightningUri LightningPageView LightningInteraction LightningPerformance VisualforceRequest Sites \
      Console UITelemetryNavigationTiming UITelemetryResourceTiming WaveInteraction HostnameRedirects",
        "web",
        "access",
        Class::Http,
        0,
    ),
    ("LightningError CorsViolation CSPViolation", "web", "error", Class::ApplicationError, 1),
    ("InsecureExternalAssets", "web", "info", Class::Http, 0),
    ("BlockedRedirections", "network", "denied", Class::Http, 0),
    ("ApexUnexpectedException", "", "error", Class::ApplicationError, 1),
];

/// Actions that are not simply the name of the type.
const ACTIONS: &[(&str, &str)] = &[
    ("Login", "login-attempt"),
    ("LoginHistory", "login-attempt"),
    ("ApexRestApi", "apex-rest"),
    ("ExternalCustomApexCallout", "apex-external-custom-callout"),
    // Each record tells its own.
    ("SetupAuditTrail", ""),
];

/// Which tactic and technique of MITRE ATT&CK for Enterprise, version 16, Salesforce's Threat Detection looks for: the type,
/// then id and name of tactic, technique and sub-technique, if there is one that fits.
const THREATS: &[(&str, Threat)] = &[
    (
        "CredentialStuffing",
        Threat {
            tactic: ("TA0006", "Credential Access"),
            technique: ("T1110", "Brute Force"),
            subtechnique: Some(("T1110.004", "Credential Stuffing")),
        },
    ),
    (
        "LoginAnomaly",
        Threat {
            tactic: ("TA0001", "Initial Access"),
            technique: ("T1078", "Valid Accounts"),
            subtechnique: Some(("T1078.004", "Cloud Accounts")),
        },
    ),
    (
        "SessionHijacking",
        Threat {
            tactic: ("TA0006", "Credential Access"),
            technique: ("T1539", "Steal Web Session Cookie"),
            subtechnique: None,
        },
    ),
    ("ApiAnomaly", COLLECTION),
    ("ReportAnomaly", COLLECTION),
    ("GuestUserAnomaly", COLLECTION),
    (
        "PermissionSetAnomaly",
        Threat {
            tactic: ("TA0003", "Persistence"),
            technique: ("T1098", "Account Manipulation"),
            subtechnique: Some(("T1098.003", "Additional Cloud Roles")),
        },
    ),
];

const COLLECTION: Threat = Threat {
    tactic: ("TA0009", "Collection"),
    technique: ("T1213", "Data from Information Repositories"),
    subtechnique: Some(("T1213.004", "Customer Relationship Management Software")),
};

/// Tactic and technique of a threat, each with its id and its name.
#[derive(Clone, Copy)]
pub struct Threat {
    /// `threat.tactic`
    pub tactic: (&'static str, &'static str),
    /// `threat.technique`
    pub technique: (&'static str, &'static str),
    /// `threat.technique.subtechnique`
    pub subtechnique: Option<(&'static str, &'static str)>,
}

impl Threat {
    /// As the member `threat`, with a comma behind it.
    pub fn member(self) -> String {
        let pair = |(id, name): (&str, &str)| format!("\"id\":[\"{id}\"],\"name\":[\"{name}\"]");
        let subtechnique =
            self.subtechnique.map_or_else(String::new, |one| format!(",\"subtechnique\":{{{}}}", pair(one)));
        format!(
            "\"threat\":{{\"framework\":\"MITRE ATT&CK\",\"tactic\":{{{}}},\"technique\":{{{}{subtechnique}}}}},",
            pair(self.tactic),
            pair(self.technique)
        )
    }

    /// As a member of a finding, with a comma behind it.
    pub fn attacks(self) -> String {
        let pair = |key: &str, (id, name): (&str, &str)| {
            format!("\"{key}\":{{\"uid\":\"{id}\",\"name\":\"{name}\"}}")
        };
        let subtechnique =
            self.subtechnique.map_or_else(String::new, |one| format!(",{}", pair("sub_technique", one)));
        format!(
            "\"attacks\":[{{\"version\":\"16\",{},{}{subtechnique}}}],",
            pair("tactic", self.tactic),
            pair("technique", self.technique)
        )
    }
}

/// The threats that have a technique, by type.
pub fn threats() -> impl Iterator<Item = (&'static str, Threat)> {
    THREATS.iter().copied()
}

/// How a type is categorised.
pub struct Kind {
    /// `event.kind`
    pub kind: &'static str,
    /// `event.category`, divided by spaces
    pub categories: &'static str,
    /// `event.type`, divided by spaces
    pub types: &'static str,
    /// `event.action`, empty if a column tells it
    pub action: String,
    /// `threat`, if it is one that was detected.
    pub threat: Option<Threat>,
    /// The class in the Open Cybersecurity Schema Framework.
    pub class: Class,
    /// `activity_id` there, where no column tells it.
    pub activity: u8,
}

/// The types and objects that have a row, by the names in it.
pub fn categorised() -> impl Iterator<Item = (&'static str, Kind)> {
    let names = KINDS.iter().flat_map(|(names, ..)| names.split_ascii_whitespace());
    names.map(|name| name.trim_start_matches('!')).map(|name| (name, Kind::of(name)))
}

impl Kind {
    /// Of a file type or an object.
    #[inline(never)]
    pub fn of(name: &str) -> Self {
        let ending =
            ["EventLog", "EventStore", "Event"].into_iter().find_map(|ending| name.strip_suffix(ending));
        let name = ending.filter(|base| !base.is_empty()).unwrap_or(name);
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let row = KINDS.iter().find(|(names, ..)| {
            names.split_ascii_whitespace().any(|known| is(known.trim_start_matches('!')))
        });
        // Salesforce adds to what it detects.
        let unknown = if name.ends_with("Anomaly") {
            ("!", "intrusion_detection", "info", Class::DetectionFinding, 1)
        } else {
            ("", "", "", Class::Base, 0)
        };
        let (names, categories, types, class, activity) = row.copied().unwrap_or(unknown);
        let action = ACTIONS.iter().find(|(known, _)| is(known));
        Self {
            kind: if names.starts_with('!') { "alert" } else { "event" },
            categories,
            types,
            class,
            activity,
            threat: THREATS.iter().find(|(known, _)| is(known)).map(|(_, threat)| *threat),
            action: action
                .map_or_else(|| snake_case(name).replace('_', "-"), |(_, action)| (*action).to_owned()),
        }
    }

    /// As members of `event`, each with a comma behind it.
    pub fn members(&self) -> String {
        let mut members = format!("\"kind\":\"{}\",", self.kind);
        for (key, words) in [("category", self.categories), ("type", self.types)] {
            if !words.is_empty() {
                members.push_str(&format!("\"{key}\":[\"{}\"],", words.replace(' ', "\",\"")));
            }
        }
        if !self.action.is_empty() {
            members.push_str(&format!("\"action\":\"{}\",", self.action));
        }
        members
    }
}
