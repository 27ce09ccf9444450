//! Requests of Lightning pages. Columns: the page of the type AuraRequest, and "AuraRequestEventLog", object reference.

use super::{
    columns,
    parts::{EVENT, HEAD, url},
};
use crate::grammar::{
    form::Form::*,
    node::Node::{self, *},
};

/// A row of an AuraRequest file.
pub const FILE: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[Parts(EVENT), Success(columns::OUTCOMES), Column("duration", "RUN_TIME", MillisAsNanos)],
    ),
    Object("user", columns::USER),
    Object("organization", &[Column("id", "ORGANIZATION_ID", Keyword)]),
    Object("source", &[Also("ip", columns::ADDRESSES, Ip)]),
    Object("related", &[columns::RELATED_ADDRESSES, columns::RELATED_USERS]),
    url!("URI"),
    Object(
        "http",
        &[Object(
            "request",
            &[Column("id", "REQUEST_ID", Keyword), Column("method", "REQUEST_METHOD", Keyword)],
        )],
    ),
    Object("user_agent", &[Column("original", "USER_AGENT", NoDigits)]),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "aura_request",
                &[
                    Column("event_type", "EVENT_TYPE", Keyword),
                    Column("action_message", "ACTION_MESSAGE", Keyword),
                    Column("actions", "ACTION_MESSAGE", Actions),
                    Column("action_message_length", "ACTION_MESSAGE_LENGTH", Long),
                    Column("request_status", "REQUEST_STATUS", Keyword),
                    Column("client_ip", "CLIENT_IP", NoIp),
                    Column("user_agent_code", "USER_AGENT", Digits),
                    Column("user_id", "USER_ID", Keyword),
                    Column("user_type", "USER_TYPE", Keyword),
                    Column("login_key", "LOGIN_KEY", Keyword),
                    Column("session_key", "SESSION_KEY", Keyword),
                    Column("uri_id", "URI_ID_DERIVED", Keyword),
                    Column("easy_suite_value", "EASY_SUITE_VALUE", Keyword),
                    Column("run_time", "RUN_TIME", Long),
                    Column("cpu_time", "CPU_TIME", Long),
                    Column("db_total_time", "DB_TOTAL_TIME", Long),
                    Rest,
                ],
            ),
        ],
    ),
];

/// A record of AuraRequestEventLog.
pub const OBJECT: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[Parts(EVENT), Success(columns::OUTCOME_FIELDS), Column("duration", "RunTime", MillisAsNanos)],
    ),
    Object(
        "user",
        &[
            Column("id", "UserIdentifier", Keyword),
            columns::NAME_FIELDS,
            Column("email", "User.Email", Keyword),
            columns::EFFECTIVE_FIELDS,
        ],
    ),
    Object("source", &[Also("ip", columns::ADDRESS_FIELDS, Ip)]),
    Object("related", &[columns::RELATED_ADDRESS_FIELDS, columns::RELATED_USER_FIELDS]),
    url!("Uri"),
    Object(
        "http",
        &[Object(
            "request",
            &[Column("id", "RequestIdentifier", Keyword), Column("method", "RequestMethod", Keyword)],
        )],
    ),
    Object("user_agent", &[Column("original", "UserAgent", NoDigits)]),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "aura_request",
                &[
                    Column("id", "Id", Keyword),
                    Column("action_message", "ActionMessage", Keyword),
                    Column("actions", "ActionMessage", Actions),
                    Column("request_status", "RequestStatus", Keyword),
                    Column("client_ip", "ClientIp", NoIp),
                    Column("user_agent_code", "UserAgent", Digits),
                    Column("user_type", "UserType", Keyword),
                    Column("login_key", "LoginKey", Keyword),
                    Column("session_key", "SessionKey", Keyword),
                    Column("run_time", "RunTime", Long),
                    Column("cpu_time", "CpuTime", Long),
                    Column("db_total_time", "DatabaseTotalTime", Long),
                    Rest,
                ],
            ),
        ],
    ),
];
