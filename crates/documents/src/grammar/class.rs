//! Classes of the Open Cybersecurity Schema Framework, version 1.8.0: numbers and words of its classes and activities, and
//! which activity a row tells of.

/// The version of the framework.
pub const VERSION: &str = "1.8.0";

/// A class of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What has no class of its own.
    Base,
    /// What happens to an account.
    AccountChange,
    /// Who signs in and out.
    Authentication,
    /// What happens to what is managed: settings, packages, code.
    EntityManagement,
    /// Who may do more or less than before.
    UserAccess,
    /// Who belongs to a group.
    GroupManagement,
    /// What a security control found.
    DetectionFinding,
    /// Requests of browsers and other programs.
    Http,
    /// Calls of an interface for programs.
    Api,
    /// Who reads and writes data.
    Datastore,
    /// Who reads and writes files.
    FileHosting,
    /// What failed in a program.
    ApplicationError,
}

/// What is known of a class: `class_uid`, `class_name`, `category_name`, and its activities but `Unknown` and `Other`.
type Words = (u32, &'static str, &'static str, &'static [(u8, &'static str)]);

/// How a value of a column tells an activity: it begins so, or is so where a `$` ends the rule, in letters of either case. The
/// first that fits counts.
pub type Rules = &'static [(&'static str, u8)];

/// The activity that is none of those of a class.
pub const OTHER: u8 = 99;
/// `activity_id` of a login that becomes another user.
pub const ACCOUNT_SWITCH: u8 = 7;

impl Class {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Base,
        Self::AccountChange,
        Self::Authentication,
        Self::EntityManagement,
        Self::UserAccess,
        Self::GroupManagement,
        Self::DetectionFinding,
        Self::Http,
        Self::Api,
        Self::Datastore,
        Self::FileHosting,
        Self::ApplicationError,
    ];

    fn words(self) -> Words {
        const IAM: &str = "Identity & Access Management";
        const APPLICATION: &str = "Application Activity";
        match self {
            Self::Base => (0, "Base Event", "Uncategorized", &[]),
            Self::AccountChange => (
                3001,
                "Account Change",
                IAM,
                &[
                    (1, "Create"),
                    (2, "Enable"),
                    (3, "Password Change"),
                    (4, "Password Reset"),
                    (5, "Disable"),
                    (6, "Delete"),
                    (9, "Lock"),
                    (10, "MFA Factor Enable"),
                    (11, "MFA Factor Disable"),
                    (12, "Unlock"),
                ],
            ),
            Self::Authentication => (
                3002,
                "Authentication",
                IAM,
                &[(1, "Logon"), (2, "Logoff"), (ACCOUNT_SWITCH, "Account Switch")],
            ),
            Self::EntityManagement => (
                3004,
                "Entity Management",
                IAM,
                &[
                    (1, "Create"),
                    (2, "Read"),
                    (3, "Update"),
                    (4, "Delete"),
                    (5, "Move"),
                    (8, "Enable"),
                    (9, "Disable"),
                    (10, "Activate"),
                    (11, "Deactivate"),
                    (12, "Suspend"),
                    (13, "Resume"),
                ],
            ),
            Self::UserAccess => {
                (3005, "User Access Management", IAM, &[(1, "Assign Privileges"), (2, "Revoke Privileges")])
            }
            Self::GroupManagement => (3006, "Group Management", IAM, &[(3, "Add User"), (4, "Remove User")]),
            Self::DetectionFinding => (2004, "Detection Finding", "Findings", &[(1, "Create")]),
            Self::Http => (
                4002,
                "HTTP Activity",
                "Network Activity",
                &[
                    (1, "Connect"),
                    (2, "Delete"),
                    (3, "Get"),
                    (4, "Head"),
                    (5, "Options"),
                    (6, "Post"),
                    (7, "Put"),
                    (8, "Trace"),
                    (9, "Patch"),
                ],
            ),
            Self::Api => (
                6003,
                "API Activity",
                APPLICATION,
                &[(1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")],
            ),
            Self::Datastore => (
                6005,
                "Datastore Activity",
                APPLICATION,
                &[
                    (1, "Read"),
                    (2, "Update"),
                    (4, "Query"),
                    (5, "Write"),
                    (6, "Create"),
                    (7, "Delete"),
                    (8, "List"),
                ],
            ),
            Self::FileHosting => (
                6006,
                "File Hosting Activity",
                APPLICATION,
                &[
                    (1, "Upload"),
                    (2, "Download"),
                    (3, "Update"),
                    (4, "Delete"),
                    (9, "Preview"),
                    (12, "Share"),
                    (14, "Open"),
                ],
            ),
            Self::ApplicationError => (6008, "Application Error", APPLICATION, &[(1, "General Error")]),
        }
    }

    /// `class_uid`
    pub fn uid(self) -> u32 {
        self.words().0
    }

    /// `class_name`
    pub fn name(self) -> &'static str {
        self.words().1
    }

    /// `activity_name`
    pub fn activity_name(self, activity: u8) -> &'static str {
        let known = self.words().3.iter().find(|(id, _)| *id == activity);
        known.map_or(if activity == OTHER { "Other" } else { "Unknown" }, |(_, name)| name)
    }

    /// What is the same in all events of the class, as members, each with a comma behind it.
    pub fn members(self) -> String {
        let (uid, name, category, _) = self.words();
        format!(
            "\"class_uid\":{uid},\"class_name\":\"{name}\",\"category_uid\":{},\"category_name\":\"{category}\",",
            uid / 1000
        )
    }

    /// An activity as members, each with a comma behind it.
    pub fn activity(self, id: u8) -> String {
        let name = self.activity_name(id);
        let uid = self.uid() * 100 + u32::from(id);
        let switch = if (self, id) == (Self::Authentication, ACCOUNT_SWITCH) {
            "\"account_switch_type_id\":2,\"account_switch_type\":\"Impersonate\","
        } else {
            ""
        };
        format!("\"activity_id\":{id},\"activity_name\":\"{name}\",\"type_uid\":{uid},{switch}")
    }

    /// The columns that tell what was done, the first that a file has, and what they say. None: it is the same for a type.
    pub fn rules(self) -> (&'static str, Rules) {
        match self {
            Self::Http => ("REQUEST_METHOD|METHOD|HTTP_METHOD|RequestMethod|HttpMethod|Method", METHODS),
            Self::Api => (
                "METHOD|REQUEST_METHOD|HTTP_METHOD|OPERATION_TYPE|OPERATION|ACTION|RequestMethod|HttpMethod|Operation",
                CALLS,
            ),
            Self::Datastore => ("DML_TYPE|DmlType", STATEMENTS),
            Self::FileHosting => ("TRANSACTION_TYPE|TransactionType|FileAction|ACTION|Action", TRANSFERS),
            Self::UserAccess => ("OPERATION|Operation", ASSIGNMENTS),
            Self::GroupManagement => ("OPERATION|Operation", MEMBERSHIPS),
            Self::EntityManagement => ("OPERATION_TYPE|OPERATION|OperationType|Operation", CHANGES),
            _ => ("", &[]),
        }
    }
}

/// Whether a rule is for a value.
pub fn fits((word, _): &(&str, u8), value: &[u8]) -> bool {
    match word.strip_suffix('$') {
        Some(whole) => value.eq_ignore_ascii_case(whole.as_bytes()),
        None => value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes())),
    }
}

const METHODS: Rules = &[
    ("get", 3),
    ("post", 6),
    ("patch", 9),
    ("put", 7),
    ("delete", 2),
    ("head", 4),
    ("options", 5),
    ("connect", 1),
    ("trace", 8),
];

const CALLS: Rules = &[
    ("get", 2),
    ("head", 2),
    ("query", 2),
    ("search", 2),
    ("retrieve", 2),
    ("describe", 2),
    ("read", 2),
    ("post", 1),
    ("insert", 1),
    ("create", 1),
    ("upsert", 1),
    ("patch", 3),
    ("put", 3),
    ("update", 3),
    ("merge", 3),
    ("undelete", 3),
    ("delete", 4),
    ("harddelete", 4),
];

const STATEMENTS: Rules = &[("insert", 6), ("upsert", 5), ("update", 2), ("undelete", 5), ("delete", 7)];

/// "Event Log File: Content Transfer Event Type": VersionDownloadAction, VersionRenditionDownload, saveVersion.
const TRANSFERS: Rules = &[
    ("versionrendition", 9),
    ("versiondownload", 2),
    ("saveversion", 1),
    ("upload", 1),
    ("download", 2),
    ("preview", 9),
    ("update", 3),
    ("delete", 4),
    ("share", 12),
];

const ASSIGNMENTS: Rules = &[
    ("assign", 1),
    ("unassign", 2),
    ("permissionsenabled", 1),
    ("permissionsdisabled", 2),
    ("add", 1),
    ("remove", 2),
    ("grant", 1),
    ("revoke", 2),
];

const MEMBERSHIPS: Rules = &[("add", 3), ("insert", 3), ("remove", 4), ("delete", 4)];

const CHANGES: Rules = &[
    ("install", 1),
    ("create", 1),
    ("insert", 1),
    ("retrieve", 2),
    ("export", 2),
    ("list", 2),
    ("upgrade", 3),
    ("update", 3),
    ("deploy", 3),
    ("uninstall", 4),
    ("delete", 4),
];

/// What the actions of the audit trail are, by the class; what fits none of them is the last class.
pub const AUDITED: &[(Class, Rules)] = &[
    (
        Class::AccountChange,
        &[
            ("createduser", 1),
            ("createdcrmuser", 1),
            ("createdpartneruser", 1),
            ("createdcustomer", 1),
            ("activateduser", 2),
            ("activateuser", 2),
            ("reactivateduser", 2),
            ("changedpassword$", 3),
            ("resetpassword", 4),
            ("passwordreset", 4),
            ("deactivateduser", 5),
            ("deactivateuser", 5),
            ("frozeuser", 9),
            ("lockeduser", 9),
            ("unfrozeuser", 12),
            ("unlockeduser", 12),
            ("deleteduser", 6),
            ("registereduserphone", 10),
            ("changeduser", OTHER),
            ("changedemail", OTHER),
            ("changedfederationid", OTHER),
        ],
    ),
    (
        Class::UserAccess,
        &[
            ("permsetassign", 1),
            ("permsetgroupassign", 1),
            ("permsetlicenseassign", 1),
            ("permsetunassign", 2),
            ("permsetgroupunassign", 2),
            ("permsetlicenseunassign", 2),
            ("changedprofileforuser", 1),
            ("changedroleforuser", 1),
        ],
    ),
    (
        Class::EntityManagement,
        &[
            ("created", 1),
            ("new", 1),
            ("insert", 1),
            ("add", 1),
            ("install", 1),
            ("changed", 3),
            ("updated", 3),
            ("edit", 3),
            ("permset", 3),
            ("deleted", 4),
            ("removed", 4),
            ("uninstall", 4),
            ("moved", 5),
            ("enable", 8),
            ("disable", 9),
            ("activate", 10),
            ("deactivate", 11),
            ("suspend", 12),
            ("resume", 13),
        ],
    ),
];
