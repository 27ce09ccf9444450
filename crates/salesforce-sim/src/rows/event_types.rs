//! The columns of event log files other than Login, and plausible values for them.
//!
//! Object reference, one page for each type (`sforce_api_objects_eventlogfile_apexcallout` and so on), in the order of real
//! files. Units are those of each type: DB_TOTAL_TIME is nanoseconds in some and milliseconds in others, RUN_TIME of
//! ApexCallout and ApexTrigger is always empty, ExternalCustomApexCallout has neither keys nor addresses. Columns that
//! later API versions inserted, in the middle too, say since when.
//!
//! No two rows of a type are equal: each type has a column with a bijection of (hour, index) in it.

use super::login::{Hour, LoginRows, Row, moment, push_iso, push_timestamp};
use crate::ids::{Ids, case_suffix, push_base62};
use crate::prng::{Rng, mix};

/// An event type with its columns in file order.
pub(crate) struct EventType {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
}

/// A column: its name, the type that LogFileFieldTypes gives, the first API version that has it, and its values.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) since: u32,
    make: Make,
}

#[derive(Clone, Copy)]
enum Make {
    EventType,
    Timestamp,
    TimestampDerived,
    RequestId,
    Organization,
    User,
    UserDerived,
    Address,
    Empty,
    /// From the first to the last, both included.
    Number(u64, u64),
    /// Up to so many tenths.
    Tenths(u64),
    Pick(&'static [&'static str]),
    /// An id of an object with this prefix, in 15 or 18 characters.
    Id15(&'static str),
    Id18(&'static str),
    Key,
    /// The text with a key that no other row has.
    Unique(&'static str, &'static str),
}

use Make::{Empty, Id15, Id18, Key, Number, Pick, Tenths, Unique};

const fn text(name: &'static str, make: Make) -> Column {
    Column { name, kind: "String", since: 0, make }
}

const fn number(name: &'static str, from: u64, to: u64) -> Column {
    Column { name, kind: "Number", since: 0, make: Number(from, to) }
}

const fn id(name: &'static str, make: Make) -> Column {
    Column { name, kind: "Id", since: 0, make }
}

const fn since(version: u32, column: Column) -> Column {
    Column { since: version, ..column }
}

const EVENT_TYPE: Column = text("EVENT_TYPE", Make::EventType);
const TIMESTAMP: Column = Column { kind: "DateTime", ..text("TIMESTAMP", Make::Timestamp) };
const REQUEST_ID: Column = text("REQUEST_ID", Make::RequestId);
const ORGANIZATION_ID: Column = id("ORGANIZATION_ID", Make::Organization);
const USER_ID: Column = id("USER_ID", Make::User);
const RUN_TIME: Column = number("RUN_TIME", 1, 9_000);
const NO_RUN_TIME: Column = Column { make: Empty, ..RUN_TIME };
const CPU_TIME: Column = number("CPU_TIME", 0, 2_000);
const SESSION_KEY: Column = text("SESSION_KEY", Key);
const LOGIN_KEY: Column = text("LOGIN_KEY", Unique("", ""));
const TIMESTAMP_DERIVED: Column =
    Column { kind: "DateTime", ..text("TIMESTAMP_DERIVED", Make::TimestampDerived) };
const USER_ID_DERIVED: Column = id("USER_ID_DERIVED", Make::UserDerived);
const CLIENT_IP: Column = text("CLIENT_IP", Make::Address);
const USER_TYPE: Column =
    text("USER_TYPE", Pick(&["Standard", "Standard", "Standard", "Guest", "PowerPartner", "CspLitePortal"]));
const REQUEST_STATUS: Column =
    text("REQUEST_STATUS", Pick(&["S", "S", "S", "S", "F", "U", "A", "R", "N", ""]));
const AGENT: [Column; 3] = [
    since(63, text("BOT_ID", Empty)),
    since(63, text("BOT_SESSION_ID", Empty)),
    since(63, text("PLANNER_ID", Empty)),
];
const TAIL: [Column; 4] = [TIMESTAMP_DERIVED, USER_ID_DERIVED, CLIENT_IP, id("URI_ID_DERIVED", Empty)];

/// The columns that begin nearly every type.
const fn head(run_time: Column, uri: Make) -> [Column; 10] {
    let uri = text("URI", uri);
    [
        EVENT_TYPE,
        TIMESTAMP,
        REQUEST_ID,
        ORGANIZATION_ID,
        USER_ID,
        run_time,
        CPU_TIME,
        uri,
        SESSION_KEY,
        LOGIN_KEY,
    ]
}

const METHODS: Make = Pick(&["GET", "GET", "POST", "POST", "PATCH", "DELETE"]);
const ENTITIES: Make = Pick(&["Account", "Contact", "Opportunity", "Case", "Invoice__c"]);
const QUERIES: Make = Pick(&[
    "",
    "SELECT Id, Name FROM Account WHERE Name = 'O''Neill, \"Sons\"'",
    "SELECT Id\nFROM Contact\n\nWHERE Email LIKE '%@example.com'",
]);
/// Actions are `id$address=milliseconds`, with `;` between them.
const ACTIONS: [&str; 3] = [
    "104$aura://RecordUiController/ACTION$getRecordWithFields=41;105$aura://ApexActionController/ACTION$execute=12",
    "208$apex://AccountController/ACTION$getAccounts=230",
    "",
];
const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "9999",
];
const TRACES: Make = Pick(&[
    "Class.Invoices.post: line 41, column 1\nClass.InvoiceJob.execute: line 12, column 1",
    "Trigger.InvoiceTrigger: line 7, column 5\n\n(System Code)\u{2028}External entry point",
    "",
]);

/// Every type that this module makes.
pub(crate) fn all() -> Vec<EventType> {
    let of = |name, parts: &[&[Column]]| EventType { name, columns: parts.concat() };
    vec![
        of(
            "ApexCallout",
            &[
                &head(NO_RUN_TIME, Pick(&["CALLOUT-LOG"])),
                &[
                    text("TYPE", Pick(&["REST", "REST", "AJAX", "OData"])),
                    text("METHOD", METHODS),
                    text("SUCCESS", Pick(&["1", "1", "1", "0"])),
                    since(60, text("STATUS_CODE", Pick(&["200", "200", "201", "404", "500"]))),
                    number("TIME", 1, 12_000),
                    number("REQUEST_SIZE", 0, 40_000),
                    number("RESPONSE_SIZE", 0, 400_000),
                    text(
                        "URL",
                        Pick(&[
                            "\"https://sts.example.com/token\"",
                            "\"https://api.example.com/v1/invoices?name=O'Neill&quote=\"\"\"",
                            "https://api.example.com/v1/orders",
                        ]),
                    ),
                ],
                &AGENT,
                &TAIL,
            ],
        ),
        of(
            "ApexExecution",
            &[
                &head(RUN_TIME, Pick(&["/aura", "APEXSOAP", "/services/apexrest/invoices", ""])),
                &[
                    number("EXEC_TIME", 1, 9_000),
                    number("DB_TOTAL_TIME", 0, 4_000),
                    number("CALLOUT_TIME", 0, 3_000),
                    number("NUMBER_SOQL_QUERIES", 0, 90),
                    text(
                        "ENTRY_POINT",
                        Pick(&["InvoiceController.save", "Invoices.post", "InvoiceJob", "acme.Sync.run"]),
                    ),
                    text("QUIDDITY", Pick(&["A", "B", "BA", "F", "H", "L", "M", "Q", "R", "S", "V", "X"])),
                    text("IS_LONG_RUNNING_REQUEST", Pick(&["0", "0", "0", "1"])),
                ],
                &AGENT,
                &TAIL,
            ],
        ),
        of(
            "ApexRestApi",
            &[
                &head(RUN_TIME, Pick(&["/services/apexrest/invoices", "/services/apexrest/orders"])),
                &[
                    since(60, USER_TYPE),
                    REQUEST_STATUS,
                    number("DB_TOTAL_TIME", 100_000, 900_000_000),
                    text("METHOD", METHODS),
                    text("MEDIA_TYPE", Pick(&["application/json", "application/xml", "*/*"])),
                    text("STATUS_CODE", Pick(&["200", "200", "201", "400", "500"])),
                    text("USER_AGENT", Pick(&["9999", "1000", "2007"])),
                    number("ROWS_PROCESSED", 0, 2_000),
                    number("NUMBER_FIELDS", 0, 60),
                    number("DB_BLOCKS", 0, 90_000),
                    number("DB_CPU_TIME", 0, 900),
                    number("REQUEST_SIZE", 0, 40_000),
                    number("RESPONSE_SIZE", 0, 400_000),
                    text("ENTITY_NAME", ENTITIES),
                    since(60, id("CONNECTED_APP_ID", Id15("0H4"))),
                    since(60, text("CLIENT_NAME", Pick(&["", "9999", "billing-sync/2.1"]))),
                    since(
                        60,
                        text("EXCEPTION_MESSAGE", Pick(&["", "", "", "List has no rows\nfor assignment"])),
                    ),
                    since(60, text("QUERY", QUERIES)),
                ],
                &AGENT,
                &TAIL,
            ],
        ),
        of(
            "ApexSoap",
            &[
                &head(RUN_TIME, Pick(&["APEXSOAP", "/services/Soap/class/Invoices"])),
                &[
                    since(60, USER_TYPE),
                    REQUEST_STATUS,
                    number("DB_TOTAL_TIME", 100_000, 900_000_000),
                    text("CLIENT_NAME", Pick(&["", "SfdcInternalAPI/", "billing/1.0"])),
                    text("CLASS_NAME", Pick(&["Invoices", "Orders", "acme.Sync"])),
                    text("METHOD_NAME", Pick(&["post", "list", "cancel"])),
                    text("LIMIT_USAGE_PERCENT", Pick(&["0.0", "0.1", "4.5", "-1.0"])),
                    text("QUERY", QUERIES),
                ],
                &TAIL,
            ],
        ),
        of(
            "ApexTrigger",
            &[
                &head(NO_RUN_TIME, Pick(&["/aura", "TRIGGERS", ""])),
                &[
                    USER_TYPE,
                    REQUEST_STATUS,
                    Column { make: Empty, ..number("DB_TOTAL_TIME", 0, 0) },
                    id("TRIGGER_ID", Id15("01q")),
                    text("TRIGGER_NAME", Pick(&["InvoiceTrigger", "acme.SyncTrigger", "CaseTrigger"])),
                    text("ENTITY_NAME", ENTITIES),
                    text(
                        "TRIGGER_TYPE",
                        Pick(&["BeforeInsert", "AfterInsert", "BeforeUpdate", "AfterUpdate", "AfterDelete"]),
                    ),
                    number("EXEC_TIME", 0, 4_000),
                ],
                &AGENT,
                &TAIL,
            ],
        ),
        of(
            "ExternalCustomApexCallout",
            &[&[
                EVENT_TYPE,
                TIMESTAMP,
                REQUEST_ID,
                ORGANIZATION_ID,
                USER_ID,
                text("ENTITY", Pick(&["Order__x", "Stock__x"])),
                text("ACTION", Pick(&["query", "query", "upsert", "delete"])),
                number("OFFSET", 0, 4_000),
                number("LIMIT", 1, 2_000),
                text("SELECT", Pick(&["ExternalId, Name__c", "ExternalId"])),
                text("FILTER", Unique("Name__c = '", "'")),
                text("ORDERBY", Pick(&["", "Name__c ASC"])),
                text("SUBQUERIES", Empty),
                text("STATUS", Pick(&["1", "1", "0", ""])),
                text("ROWS", Pick(&["-1", "0", "12", "2000"])),
                number("ROWS_FETCHED", 0, 2_000),
                number("EXECUTE_MS", 1, 5_000),
                number("FETCH_MS", 1, 5_000),
                number("TOTAL_MS", 2, 10_000),
                text("THROUGHPUT", Tenths(9_000)),
                text("MESSAGE", Pick(&["", "", "timed out: \"stock.example.com\""])),
                TIMESTAMP_DERIVED,
            ]],
        ),
        of(
            "ApexUnexpectedException",
            &[
                &[EVENT_TYPE, TIMESTAMP, REQUEST_ID, ORGANIZATION_ID, USER_ID],
                &[
                    text("EXCEPTION_TYPE", Pick(&["System.NullPointerException", "System.LimitException"])),
                    text(
                        "EXCEPTION_MESSAGE",
                        Unique("Attempt to de-reference a null object, id ", "\n(see log)"),
                    ),
                    text("STACK_TRACE", TRACES),
                    text("EXCEPTION_CATEGORY", Pick(&["", "Uncaught"])),
                    TIMESTAMP_DERIVED,
                    USER_ID_DERIVED,
                ],
            ],
        ),
        of(
            "RestApi",
            &[
                &head(
                    RUN_TIME,
                    Pick(&["/services/data/v65.0/query", "/services/data/v65.0/sobjects/Account"]),
                ),
                &[
                    REQUEST_STATUS,
                    number("DB_TOTAL_TIME", 100_000, 900_000_000),
                    text("METHOD", METHODS),
                    text("MEDIA_TYPE", Pick(&["application/json", "application/xml"])),
                    text("STATUS_CODE", Pick(&["200", "200", "400", "404"])),
                    text("USER_AGENT", Pick(&["9999", "1000"])),
                    number("ROWS_PROCESSED", 0, 2_000),
                    number("NUMBER_FIELDS", 0, 60),
                    number("REQUEST_SIZE", 0, 40_000),
                    number("RESPONSE_SIZE", 0, 400_000),
                    text("ENTITY_NAME", ENTITIES),
                ],
                &TAIL,
            ],
        ),
        of(
            "URI",
            &[
                &head(RUN_TIME, Pick(&["/home/home.jsp", "/setup/forcecomHomepage.apexp", "/001/o"])),
                &[
                    REQUEST_STATUS,
                    number("DB_TOTAL_TIME", 100_000, 900_000_000),
                    number("DB_BLOCKS", 0, 90_000),
                    number("DB_CPU_TIME", 0, 900),
                    text("REFERRER_URI", Pick(&["", "/lightning/page/home", "/?ec=302&startURL=%2F"])),
                ],
                &TAIL,
            ],
        ),
        of(
            "ReportExport",
            &[
                &[EVENT_TYPE, TIMESTAMP, REQUEST_ID, ORGANIZATION_ID, USER_ID],
                &[
                    text("URI", Pick(&["/00O5j000000abcd"])),
                    text("CLIENT_INFO", Pick(&["Mozilla/5.0 (Windows NT 10.0; Win64; x64)"])),
                    text("REPORT_DESCRIPTION", Unique("\"Pipeline by owner, run ", "\"")),
                ],
                &TAIL,
            ],
        ),
        of(
            "LightningError",
            &[
                &[
                    EVENT_TYPE,
                    TIMESTAMP,
                    REQUEST_ID,
                    ORGANIZATION_ID,
                    USER_ID,
                    CLIENT_IP,
                    SESSION_KEY,
                    LOGIN_KEY,
                    USER_TYPE,
                ],
                &[
                    text("APP_NAME", Pick(&["one:one", "\"acme:console\""])),
                    text("DEVICE_PLATFORM", Pick(&["SFX:BROWSER:DESKTOP", "APP:NATIVE:PHONE"])),
                    text("PAGE_START_TIME", Number(1_600_000_000_000, 1_800_000_000_000)),
                    text("DURATION", Tenths(90_000)),
                    text("UI_EVENT_TYPE", Pick(&["error", "crash", "warning"])),
                    text("UI_EVENT_SOURCE", Pick(&["storage", "\"click\""])),
                    text("MESSAGE", Pick(&["Cannot read properties of undefined (reading 'Id')", ""])),
                    text("STACK_TRACE", TRACES),
                    TIMESTAMP_DERIVED,
                    USER_ID_DERIVED,
                ],
            ],
        ),
        of(
            "ApiTotalUsage",
            &[&[
                EVENT_TYPE,
                TIMESTAMP,
                REQUEST_ID,
                ORGANIZATION_ID,
                USER_ID,
                text("API_FAMILY", Pick(&["REST", "SOAP", "BULK"])),
                text("API_VERSION", Pick(&["46.0", "60.0", "67.0"])),
                text("API_RESOURCE", Pick(&["/v65.0/query", "/v65.0/sobjects/Account", "login"])),
                text("CLIENT_NAME", Unique("client ", "")),
                text("HTTP_METHOD", METHODS),
                CLIENT_IP,
                text("COUNTS_AGAINST_API_LIMIT", Pick(&["1", "0"])),
                id("CONNECTED_APP_ID", Id18("0H4")),
                text("CONNECTED_APP_NAME", Pick(&["Log Collector", ""])),
                text("ENTITY_NAME", ENTITIES),
                text("STATUS_CODE", Pick(&["200", "401"])),
                TIMESTAMP_DERIVED,
            ]],
        ),
        of(
            "AuraRequest",
            &[
                &head(RUN_TIME, Pick(&["/aura", "/aura", "/s/sfsites/aura", "/one/one.app"])),
                &[
                    USER_TYPE,
                    REQUEST_STATUS,
                    number("DB_TOTAL_TIME", 100_000, 900_000_000),
                    text("REQUEST_METHOD", Pick(&["POST", "POST", "POST", "GET"])),
                    text("ACTION_MESSAGE", Pick(&ACTIONS)),
                    number("ACTION_MESSAGE_LENGTH", 60, 4_000),
                    text("USER_AGENT", Pick(&BROWSERS)),
                    text("EASY_SUITE_VALUE", Empty),
                ],
                &TAIL,
            ],
        ),
    ]
}

/// The types that only attacks, and the routine of a quiet day, have rows of.
pub(crate) fn of_attacks() -> Vec<EventType> {
    let of = |name, parts: &[&[Column]]| EventType { name, columns: parts.concat() };
    let bulk = |own: &[Column]| {
        let job = [
            id("JOB_ID", Id15("750")),
            text("OPERATION_TYPE", Pick(&["insert", "update", "query"])),
            text("ENTITY_TYPE", ENTITIES),
            number("ROWS_PROCESSED", 0, 2_000),
        ];
        [&head(RUN_TIME, Pick(&["/services/async"])), job.as_slice(), own, &TAIL].concat()
    };
    vec![
        of(
            "LoginAs",
            &[
                &head(RUN_TIME, Pick(&["/home/home.jsp"])),
                &[
                    id("DELEGATED_USER_ID", Empty),
                    text("DELEGATED_USER_NAME", Empty),
                    id("DELEGATED_USER_ID_DERIVED", Empty),
                ],
                &TAIL,
            ],
        ),
        of(
            "SalesforceLoginAs",
            &[&[
                EVENT_TYPE,
                TIMESTAMP,
                REQUEST_ID,
                ORGANIZATION_ID,
                id("ACTUAL_USER_ID", Empty),
                text("OPERATION", Pick(&["Login", "Logout"])),
                text("IP_ADDRESS", Empty),
                id("CASE_ID", Id15("500")),
                TIMESTAMP_DERIVED,
            ]],
        ),
        of(
            "PermissionUpdate",
            &[&[
                EVENT_TYPE,
                TIMESTAMP,
                REQUEST_ID,
                ORGANIZATION_ID,
                USER_ID,
                SESSION_KEY,
                LOGIN_KEY,
                text("CONTEXT", Empty),
                text("DESCRIPTION", Pick(&["UserPerm: ConvertLeads disabled"])),
                id("FEATURE_ID", Id15("0PS")),
                text("PERMISSION_TYPE", Pick(&["EntityObject"])),
                TIMESTAMP_DERIVED,
                USER_ID_DERIVED,
            ]],
        ),
        EventType {
            name: "BulkApi",
            columns: bulk(&[
                id("BATCH_ID", Id15("751")),
                number("NUMBER_FAILURES", 0, 3),
                text("SUCCESS", Pick(&["1"])),
                text("MESSAGE", Empty),
            ]),
        },
        EventType { name: "BulkApi2", columns: bulk(&[text("JOB_STATUS", Pick(&["JobComplete"]))]) },
    ]
}

impl EventType {
    /// Fills `row` with row `index` of `hour`. With `nul`, one row in 64 has a NUL byte in its REQUEST_ID, as real files
    /// have them in odd columns.
    pub(crate) fn fill(&self, logins: &LoginRows, hour: &Hour, index: u64, nul: bool, row: &mut Row) {
        let tag = self.name.bytes().fold(0, |tag, byte| mix(tag ^ u64::from(byte)));
        let key = mix(logins.seed ^ tag ^ mix(hour.number << 36 ^ index));
        let mut rng = Rng::of(&[logins.seed, hour.number, index, tag]);
        let (user15, user18, address) = logins.someone(&mut rng);
        let millis = moment(hour, index, &mut rng);
        row.clear();
        for column in &self.columns {
            match column.make {
                Make::EventType => row.text(self.name),
                Make::Timestamp => {
                    push_timestamp(&mut row.bytes, hour, millis);
                    row.end();
                }
                Make::TimestampDerived => {
                    push_iso(&mut row.bytes, hour, millis);
                    row.end();
                }
                Make::RequestId => {
                    logins.push_request_id(hour, index, &mut row.bytes);
                    if nul && key.is_multiple_of(64) {
                        row.bytes.push(0);
                    }
                    row.end();
                }
                Make::Organization => row.text(&logins.org_id15),
                Make::User => row.text(user15),
                Make::UserDerived => row.text(user18),
                Make::Address => row.text(address),
                Empty => row.text(""),
                Number(from, to) => row.number(from + rng.below(to - from + 1)),
                Tenths(most) => {
                    let tenths = rng.below(most);
                    row.text(format!("{}.{}", tenths / 10, tenths % 10));
                }
                Pick(choices) => row.text(rng.pick(choices)),
                Id15(prefix) => row.text(Ids::new(prefix, logins.seed).nth(rng.below(30))),
                Id18(prefix) => {
                    let id = Ids::new(prefix, logins.seed).nth(rng.below(30));
                    row.text(format!("{id}{}", case_suffix(&id)));
                }
                Key => {
                    push_base62(&mut row.bytes, rng.next(), 16);
                    row.end();
                }
                Unique(before, after) => {
                    row.bytes.extend_from_slice(before.as_bytes());
                    push_base62(&mut row.bytes, key, 11); // 62^11 > 2^64: the whole key
                    push_base62(&mut row.bytes, rng.next(), 5);
                    row.bytes.extend_from_slice(after.as_bytes());
                    row.end();
                }
            }
        }
    }
}
