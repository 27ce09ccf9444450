//! Login files: what the Elastic integration would index, minus its slips (`docs/ecs.md` has the list).
//!
//! Columns: "Event Log File: Login Event Type", object reference.

use super::{Form::*, Node, Node::*};

/// `API_TYPE`
const API_TYPE: &[(&str, &str)] = &[
    ("D", "Apex Class"),
    ("E", "SOAP Enterprise"),
    ("I", "SOAP Cross Instance"),
    ("M", "SOAP Metadata"),
    ("O", "Old SOAP"),
    ("P", "SOAP Partner"),
    ("S", "SOAP Apex"),
    ("T", "SOAP Tooling"),
    ("X", "XmlRPC"),
    ("f", "Feed"),
    ("l", "Live Agent"),
    ("p", "SOAP ClientSync"),
];

/// `REQUEST_STATUS`
const REQUEST_STATUS: &[(&str, &str)] = &[
    ("S", "Success"),
    ("F", "Failure"),
    ("U", "Undefined"),
    ("A", "Authorization Error"),
    ("R", "Redirect"),
    ("N", "Not Found"),
];

/// A row of a Login file.
pub const DOCUMENT: &[Node] = &[
    Timestamp,
    Object("ecs", &[Fixed("version", "\"8.11.0\"")]),
    Object("data_stream", &[Fixed("type", "\"logs\""), Dataset]),
    Object(
        "event",
        &[
            Id,
            Fixed("kind", "\"event\""),
            Fixed("category", "[\"authentication\"]"),
            Fixed("type", "[\"info\"]"),
            Fixed("action", "\"login-attempt\""),
            Column("outcome", "LOGIN_STATUS", Outcome("LOGIN_NO_ERROR")),
            Fixed("module", "\"salesforce\""),
            Dataset,
            Provider,
            Column("url", "URI", Keyword),
            Column("duration", "RUN_TIME", MillisAsNanos),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "USER_ID_DERIVED", Keyword),
            Column("email", "USER_NAME", Keyword),
            Column("roles", "USER_TYPE", ListOfOne),
        ],
    ),
    Object(
        "source",
        &[
            Column("ip", "SOURCE_IP", Ip),
            Column("address", "SOURCE_IP", NoIp),
            Object("geo", &[Column("country_iso_code", "COUNTRY_CODE", Keyword)]),
        ],
    ),
    Object(
        "related",
        &[
            Distinct("ip", &["SOURCE_IP", "CLIENT_IP"], Ip),
            Distinct("user", &["USER_ID_DERIVED", "USER_NAME"], Keyword),
        ],
    ),
    Object(
        "tls",
        &[
            Column("cipher", "CIPHER_SUITE", Keyword),
            Column("version", "TLS_PROTOCOL", TlsVersion),
            Column("version_protocol", "TLS_PROTOCOL", TlsProtocol),
        ],
    ),
    Object("http", &[Object("request", &[Column("referrer", "HTTP_REFERER", Keyword)])]),
    Object("user_agent", &[Column("original", "BROWSER_TYPE", Keyword)]),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "login",
                &[
                    Column("event_type", "EVENT_TYPE", Keyword),
                    Column("status", "LOGIN_STATUS", Keyword),
                    Column("type", "LOGIN_TYPE", Keyword),
                    Column("sub_type", "LOGIN_SUB_TYPE", Keyword),
                    Column("key", "LOGIN_KEY", Keyword),
                    Column("organization_id", "ORGANIZATION_ID", Keyword),
                    Column("user_id", "USER_ID", Keyword),
                    Object(
                        "request",
                        &[
                            Column("id", "REQUEST_ID", Keyword),
                            Column("status", "REQUEST_STATUS", Code(REQUEST_STATUS)),
                        ],
                    ),
                    Object(
                        "api",
                        &[
                            Column("type", "API_TYPE", Code(API_TYPE)),
                            Column("version", "API_VERSION", Keyword),
                        ],
                    ),
                    Object(
                        "auth",
                        &[
                            Column("method_reference", "AUTHENTICATION_METHOD_REFERENCE", Keyword),
                            Column("service_id", "AUTHENTICATION_SERVICE_ID", Keyword),
                        ],
                    ),
                    Object("client", &[Column("ip", "CLIENT_IP", Ip), Column("address", "CLIENT_IP", NoIp)]),
                    Object("uri", &[Column("id", "URI_ID_DERIVED", Keyword)]),
                    Column("run_time", "RUN_TIME", Long),
                    Column("cpu_time", "CPU_TIME", Long),
                    Column("db_total_time", "DB_TOTAL_TIME", Long),
                    Rest,
                ],
            ),
        ],
    ),
];
