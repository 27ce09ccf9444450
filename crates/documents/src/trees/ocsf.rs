//! Documents of the Open Cybersecurity Schema Framework, by their class.
//!
//! They say where what a column means stands. What it means, the tree of its type says, by the field that the column
//! has there ([`Of`]): so there is one description of a column, and two documents. What no class has an attribute for stands in
//! `unmapped`, under the name that it has there.
//!
//! An attribute that a class requires is always there: `Unknown`, or 0, where a row does not tell it.

use crate::grammar::{
    class::Class,
    codes,
    form::Form::*,
    node::Node::{self, *},
};

/// The document of an event of a class.
pub fn document(class: Class) -> &'static [Node] {
    match class {
        Class::Base => BASE,
        Class::AccountChange => ACCOUNT_CHANGE,
        Class::Authentication => AUTHENTICATION,
        Class::EntityManagement => ENTITY_MANAGEMENT,
        Class::UserAccess => USER_ACCESS,
        Class::GroupManagement => GROUP_MANAGEMENT,
        Class::DetectionFinding => DETECTION_FINDING,
        Class::Http => HTTP,
        Class::Api => API,
        Class::Datastore => DATASTORE,
        Class::FileHosting => FILE_HOSTING,
        Class::ApplicationError => BASE,
    }
}

/// `metadata.version`, as JSON.
const VERSION: Node = Fixed("version", "\"1.8.0\"");
const UNKNOWN_NAME: &[Node] = &[Fixed("name", "\"Unknown\"")];

/// How every event begins.
const HEAD: &[Node] = &[
    Classification,
    Time,
    StatusId,
    Own("status_code", "REQUEST_STATUS|RequestStatus", Keyword),
    Own("status_detail", "LOGIN_STATUS|Status|EXCEPTION_TYPE|ACCESS_ERROR|FAILURE_TYPE", Keyword),
    As("duration", "event.duration", Millis),
    Own("message", "Summary|Display|MESSAGE|Message|EXCEPTION_MESSAGE|ExceptionMessage", Keyword),
    Object(
        "metadata",
        &[
            VERSION,
            Fixed("profiles", "[\"cloud\",\"host\"]"),
            Object("product", &[Fixed("name", "\"Salesforce\""), Fixed("vendor_name", "\"Salesforce\"")]),
            Id("uid"),
            Name("log_name"),
            Provider("log_provider"),
            Dataset("log_source"),
            OriginalTime,
            As("logged_time", "event.created", Epoch),
            Of("event_code", "event.action"),
            Own("correlation_uid", "REQUEST_ID|RequestIdentifier|RequestId", Keyword),
        ],
    ),
    Object(
        "cloud",
        &[
            Fixed("provider", "\"Salesforce\""),
            Object("org", &[Own("uid", "ORGANIZATION_ID|OrganizationId|OrganizationIdentifier", Keyword)]),
        ],
    ),
    Object("device", &[Host("hostname"), Fixed("type_id", "1"), Fixed("type", "\"Server\"")]),
];

/// How every event ends.
const TAIL: &[Node] = &[Observables, Original("raw_data"), Unmapped];

const USER: &[Node] = &[
    Or(&[Of("uid", "user.id"), Of("name", "user.name|user.email")], UNKNOWN_NAME),
    Own("uid_alt", "USER_ID|USER_ID_DERIVED", Keyword),
    Of("full_name", "user.full_name"),
    As("email_addr", "user.email", Email),
    As("type", "user.roles", Keyword),
    As("type", "salesforce.logout.user.roles", Code(codes::USER_TYPE)),
];

const SESSION: Node = Object(
    "session",
    &[Own("uid", "SESSION_KEY|SessionKey", Keyword), Own("uid_alt", "LOGIN_KEY|LoginKey", Keyword)],
);

const ACTOR: Node = Object(
    "actor",
    &[
        Object("user", USER),
        SESSION,
        Own("app_name", "CLIENT_NAME|CONNECTED_APP_NAME|APP_NAME|Application|Client", Keyword),
        Own("app_uid", "CONNECTED_APP_ID|ConnectedAppId", Keyword),
    ],
);

const SOURCE: Node = Object(
    "src_endpoint",
    &[
        Or(&[Of("ip", "source.ip"), Of("name", "source.address")], UNKNOWN_NAME),
        Filled(&[Object(
            "location",
            &[
                Or(
                    &[
                        Of("city", "source.geo.city_name"),
                        Of("country", "source.geo.country_iso_code"),
                        Of("region", "source.geo.region_name"),
                        Of("postal_code", "source.geo.postal_code"),
                    ],
                    &[Fixed("region", "\"Unknown\"")],
                ),
                Of("desc", "source.geo.country_name"),
                Coordinates("source.geo.location"),
            ],
        )]),
        Filled(&[Object("os", &[Of("name", "user_agent.os.name"), Fixed("type_id", "0")])]),
    ],
);
/// The same where it need not be there.
const SOURCE_IF_KNOWN: Node = Filled(&[SOURCE]);

const REQUEST: &[Node] = &[
    As("http_method", "http.request.method", Method),
    Of("length", "http.request.bytes"),
    Of("referrer", "http.request.referrer"),
    Of("user_agent", "user_agent.original"),
    Object(
        "url",
        &[
            Of("url_string", "url.original|event.url"),
            Of("scheme", "url.scheme"),
            Of("hostname", "url.domain"),
            Of("path", "url.path"),
            Of("query_string", "url.query"),
        ],
    ),
];
const HTTP_REQUEST: Node = Object("http_request", REQUEST);
const HTTP_RESPONSE: Node = Filled(&[Object(
    "http_response",
    &[
        Or(&[Of("code", "http.response.status_code")], &[Fixed("code", "0")]),
        Of("length", "http.response.bytes"),
    ],
)]);

/// Who is acted upon.
const TARGET: Node = Object(
    "user",
    &[
        Or(&[Of("uid", "user.target.id"), Of("name", "user.target.name")], UNKNOWN_NAME),
        Of("domain", "user.target.domain"),
        As("email_addr", "user.target.email", TargetAddress),
    ],
);

/// Base Event, and Application Error, which has nothing more.
const BASE: &[Node] = &[Parts(HEAD), ACTOR, Parts(TAIL)];

const AUTHENTICATION: &[Node] = &[
    Parts(HEAD),
    Object("user", USER),
    Filled(&[Object(
        "actor",
        &[
            Object(
                "user",
                &[Or(
                    &[
                        Own("uid", "DELEGATED_USER_ID_DERIVED|DELEGATED_USER_ID|DelegatedUserId", Keyword),
                        Own("name", "DELEGATED_USER_NAME|DelegatedUsername|DelegatedUserName", Keyword),
                    ],
                    UNKNOWN_NAME,
                )],
            ),
            Own("app_name", "CLIENT_NAME|Application", Keyword),
        ],
    )]),
    SESSION,
    Object("service", &[Fixed("name", "\"Salesforce\"")]),
    SOURCE_IF_KNOWN,
    Filled(&[Of("logon_type", "salesforce.login.type"), Fixed("logon_type_id", "99")]),
    HTTP_REQUEST,
    Parts(TAIL),
];

const ACCOUNT_CHANGE: &[Node] = &[Parts(HEAD), TARGET, ACTOR, SOURCE_IF_KNOWN, Parts(TAIL)];

const USER_ACCESS: &[Node] = &[
    Parts(HEAD),
    TARGET,
    Or(
        &[Own("privileges", "PERMISSION_LIST|PermissionList|PERMISSIONS|ParentNameList", ListOfOne)],
        &[Fixed("privileges", "[\"Unknown\"]")],
    ),
    ACTOR,
    SOURCE_IF_KNOWN,
    HTTP_REQUEST,
    Parts(TAIL),
];

const GROUP_MANAGEMENT: &[Node] = &[
    Parts(HEAD),
    Object(
        "group",
        &[
            Or(
                &[
                    Own("uid", "GROUP_ID|GroupId|GroupIdentifier", Keyword),
                    Own("name", "GROUP_NAME|GroupName", Keyword),
                ],
                UNKNOWN_NAME,
            ),
            Own("type", "GROUP_TYPE|GroupType", Keyword),
        ],
    ),
    Filled(&[TARGET]),
    ACTOR,
    SOURCE_IF_KNOWN,
    HTTP_REQUEST,
    Parts(TAIL),
];

const ENTITY_MANAGEMENT: &[Node] = &[
    Parts(HEAD),
    Object(
        "entity",
        &[
            Or(
                &[
                    Own(
                        "name",
                        "Section|PACKAGE_NAME|PackageName|ENTITY_NAME|EntityName|OPERATION_NAME",
                        Keyword,
                    ),
                    Own("uid", "PACKAGE_ID|PackageId|ENTITY_ID|EntityId|ORG_ID", Keyword),
                ],
                UNKNOWN_NAME,
            ),
            Own("type", "ENTITY_TYPE|EntityType|METADATA_TYPE", Keyword),
            Own("version", "PACKAGE_VERSION|PackageVersion", Keyword),
        ],
    ),
    ACTOR,
    SOURCE_IF_KNOWN,
    HTTP_REQUEST,
    Parts(TAIL),
];

const DETECTION_FINDING: &[Node] = &[
    Parts(HEAD),
    Object(
        "finding_info",
        &[
            Or(
                &[Also(
                    "uid",
                    "EventIdentifier|EVENT_IDENTIFIER|Id|POLICY_ID|REQUEST_ID|RequestIdentifier",
                    NoEmptyKey,
                )],
                &[Fixed("uid", "\"Unknown\"")],
            ),
            Name("title"),
            Attacks,
        ],
    ),
    List("evidences", &[ACTOR, SOURCE_IF_KNOWN, HTTP_REQUEST, HTTP_RESPONSE]),
    Parts(TAIL),
];

const HTTP: &[Node] = &[
    Parts(HEAD),
    ACTOR,
    SOURCE_IF_KNOWN,
    Or(&[HTTP_REQUEST], &[Object("http_request", &[Fixed("uid", "\"Unknown\"")])]),
    HTTP_RESPONSE,
    Parts(TAIL),
];

const ENTITIES: &str =
    "ENTITY_NAME|EntityName|ENTITY_TYPE|EntityType|ENTITY|QUERIED_ENTITIES|QueriedEntities";

const API: &[Node] = &[
    Parts(HEAD),
    ACTOR,
    Object(
        "api",
        &[
            Or(
                &[Own(
                    "operation",
                    "METHOD_NAME|API_RESOURCE|OPERATION_TYPE|OPERATION|ACTION|Operation|OperationType",
                    Keyword,
                )],
                &[Name("operation")],
            ),
            Own("version", "API_VERSION|ApiVersion", Keyword),
            Object("service", &[Own("name", "API_FAMILY|API_TYPE|ApiType|CLASS_NAME", Keyword)]),
        ],
    ),
    SOURCE,
    Filled(&[List("resources", &[Own("name", ENTITIES, Keyword)])]),
    HTTP_REQUEST,
    HTTP_RESPONSE,
    Parts(TAIL),
];

const DATASTORE: &[Node] = &[
    Parts(HEAD),
    ACTOR,
    SOURCE,
    Object(
        "database",
        &[Fixed("name", "\"Salesforce\""), Fixed("type_id", "1"), Fixed("type", "\"Relational\"")],
    ),
    Object("table", &[Own("name", ENTITIES, Keyword)]),
    Filled(&[Object(
        "query_info",
        &[
            Or(
                &[
                    Own(
                        "uid",
                        "REPORT_ID|ReportId|DASHBOARD_ID|DashboardId|LIST_VIEW_ID|ListViewId|QUERY_ID|QueryId",
                        Keyword,
                    ),
                    Own("name", "REPORT_DESCRIPTION|Name|DASHBOARD_NAME|DeveloperName", Unquoted),
                ],
                UNKNOWN_NAME,
            ),
            Or(
                &[Own("query_string", "QUERY|Query|SEARCH_QUERY|SearchQuery", Keyword)],
                &[Fixed("query_string", "\"Unknown\"")],
            ),
        ],
    )]),
    HTTP_REQUEST,
    HTTP_RESPONSE,
    Parts(TAIL),
];

const FILE_HOSTING: &[Node] = &[
    Parts(HEAD),
    ACTOR,
    SOURCE,
    Object(
        "file",
        &[
            Or(
                &[Own("name", "FILE_NAME|FileName|DOCUMENT_NAME|DocumentName|CONTENT_NAME", Keyword)],
                UNKNOWN_NAME,
            ),
            Fixed("type_id", "1"),
            Fixed("type", "\"Regular File\""),
            Own(
                "uid",
                "DOCUMENT_ID|DocumentId|CONTENT_DOCUMENT_ID|ContentDocumentId|FILE_ID|ASSET_ID",
                Keyword,
            ),
            Own("version", "VERSION_NUMBER|VersionNumber", Keyword),
            Own("ext", "FILE_TYPE|FileType", Keyword),
            Own("size", "SIZE_BYTES|FILE_SIZE|FileSize", Long),
        ],
    ),
    HTTP_REQUEST,
    HTTP_RESPONSE,
    Parts(TAIL),
];
