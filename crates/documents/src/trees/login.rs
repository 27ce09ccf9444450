//! Logins: what the Elastic integration would index, minus its slips (`docs/ecs.md` has the list).
//!
//! Columns: "Event Log File: Login Event Type" and "LoginHistory", object reference; "LoginEvent", platform events guide.

use super::{
    columns,
    parts::{EVENT, HEAD},
};
use crate::grammar::{
    codes,
    form::Form::*,
    node::Node::{self, *},
};

/// A row of a Login file.
pub const FILE: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[
            Parts(EVENT),
            Column("outcome", "LOGIN_STATUS", Outcome("LOGIN_NO_ERROR")),
            Column("url", "URI", Keyword),
            Column("duration", "RUN_TIME", MillisAsNanos),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "USER_ID_DERIVED", Keyword),
            columns::NAMES,
            Column("email", "USER_NAME|USER.Email", Keyword),
            Column("roles", "USER_TYPE", ListOfOne),
            columns::EFFECTIVE,
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
    Object("related", &[Distinct("ip", &[("SOURCE_IP", Ip), ("CLIENT_IP", Ip)]), columns::RELATED_USERS]),
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
                    Column("type", "LOGIN_TYPE", Code(codes::LOGIN_TYPE)),
                    Column("type_code", "LOGIN_TYPE", Keyword),
                    Column("sub_type", "LOGIN_SUB_TYPE", Keyword),
                    Column("key", "LOGIN_KEY", Keyword),
                    Column("organization_id", "ORGANIZATION_ID", Keyword),
                    Column("user_id", "USER_ID", Keyword),
                    Object(
                        "request",
                        &[
                            Column("id", "REQUEST_ID", Keyword),
                            Column("status", "REQUEST_STATUS", Code(codes::REQUEST_STATUS)),
                        ],
                    ),
                    Object(
                        "api",
                        &[
                            Column("type", "API_TYPE", Code(codes::API_TYPE)),
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
                    Column("session_key", "SESSION_KEY", Keyword),
                    Column("use_api_token", "USE_API_TOKEN", Keyword),
                    Column("login_url", "LOGIN_URL", Keyword),
                    Column(
                        "authentication_context_class_reference",
                        "AUTHENTICATION_CONTEXT_CLASS_REFERENCE",
                        Keyword,
                    ),
                    Column("forwarded_for_ip", "FORWARDED_FOR_IP", Keyword),
                    Rest,
                ],
            ),
        ],
    ),
];

/// A record of LoginEvent or LoginHistory.
pub const OBJECT: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[
            Parts(EVENT),
            Column("outcome", "Status", Outcome("Success")),
            Column("created", "CreatedDate", Date),
            Column("url", "LoginUrl", Keyword),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "UserId", Keyword),
            columns::NAME_FIELDS,
            Column("email", "Username|User.Email", Keyword),
            Column("roles", "UserType", ListOfOne),
            columns::EFFECTIVE_FIELDS,
        ],
    ),
    Object(
        "source",
        &[
            Column("ip", "SourceIp", Ip),
            Column("address", "SourceIp", NoIp),
            Object(
                "geo",
                &[
                    Location("LoginLatitude", "LoginLongitude"),
                    Column("country_iso_code", "CountryIso", Keyword),
                    Column("country_name", "Country", Keyword),
                    Column("region_name", "Subdivision", Keyword),
                    Column("city_name", "City", Keyword),
                    Column("postal_code", "PostalCode", Keyword),
                ],
            ),
        ],
    ),
    Object("related", &[Distinct("ip", &[("SourceIp", Ip)]), columns::RELATED_USER_FIELDS]),
    Object(
        "tls",
        &[
            Column("cipher", "CipherSuite", Keyword),
            Column("version", "TlsProtocol", TlsVersion),
            Column("version_protocol", "TlsProtocol", TlsProtocol),
        ],
    ),
    Object(
        "http",
        &[Object(
            "request",
            &[Column("method", "HttpMethod", Keyword), Column("referrer", "HttpReferer", Keyword)],
        )],
    ),
    Object(
        "user_agent",
        &[Column("name", "Browser", Keyword), Object("os", &[Column("name", "Platform", Keyword)])],
    ),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "login",
                &[
                    Column("status", "Status", Keyword),
                    Column("type", "LoginType", Keyword),
                    Column("sub_type", "LoginSubType", Keyword),
                    Column("key", "LoginKey", Keyword),
                    Column("history_id", "LoginHistoryId", Keyword),
                    Column("geo_id", "LoginGeoId", Keyword),
                    Column("application", "Application", Keyword),
                    Column("client_version", "ClientVersion", Keyword),
                    Column("additional_info", "AdditionalInfo", Keyword),
                    Column("evaluation_time", "EvaluationTime", Double),
                    Column("related_event_identifier", "RelatedEventIdentifier", Keyword),
                    Object(
                        "api",
                        &[Column("type", "ApiType", Keyword), Column("version", "ApiVersion", Keyword)],
                    ),
                    Object(
                        "auth",
                        &[
                            Column("method_reference", "AuthMethodReference", Keyword),
                            Column("service_id", "AuthServiceId|AuthenticationServiceId", Keyword),
                        ],
                    ),
                    Object(
                        "transaction_security",
                        &[Object(
                            "policy",
                            &[Column("id", "PolicyId", Keyword), Column("outcome", "PolicyOutcome", Keyword)],
                        )],
                    ),
                    Column("session_key", "SessionKey", Keyword),
                    Column("session_level", "SessionLevel", Keyword),
                    Column("created_by_id", "CreatedById", Keyword),
                    Column("use_api_token", "UseApiToken", Keyword),
                    Column("network_id", "NetworkId", Keyword),
                    Column("remote_identifier", "RemoteIdentifier", Keyword),
                    Column("forwarded_for_ip", "ForwardedForIp", Keyword),
                    Column("options_is_get", "OptionsIsGet", Boolean),
                    Column("options_is_post", "OptionsIsPost", Boolean),
                    Column("id", "Id", NoEmptyKey),
                    Rest,
                ],
            ),
        ],
    ),
];
