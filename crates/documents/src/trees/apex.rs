//! What Apex code did. One document for the six types: none has all of the columns, and a column means the same in each.
//!
//! Columns: the pages of the types ApexCallout, ApexExecution, ApexRestApi, ApexSoap, ApexTrigger and
//! ExternalCustomApexCallout, object reference.

use super::{
    columns,
    parts::{EVENT, HEAD},
};
use crate::grammar::{
    codes,
    form::Form::*,
    node::Node::{self, *},
};

/// The event types of the stream `apex`.
pub const TYPES: &[&str] =
    &["ApexCallout", "ApexExecution", "ApexRestApi", "ApexSoap", "ApexTrigger", "ExternalCustomApexCallout"];

/// A row of a file of one of the types.
pub const FILE: &[Node] = &[
    Parts(HEAD),
    Object(
        "event",
        &[
            Parts(EVENT),
            Success(columns::OUTCOMES),
            Column("url", "URL|URI", Unquoted),
            // A callout's RUN_TIME is not used, and an execution's stands beside the time from end to end.
            Column("duration", "TIME|EXEC_TIME|TOTAL_MS|RUN_TIME", MillisAsNanos),
        ],
    ),
    Object(
        "user",
        &[
            Column("id", "USER_ID", Keyword),
            columns::NAMES,
            Column("email", "USER.Email", Keyword),
            Column("roles", "USER_TYPE", ListOfOne),
            columns::EFFECTIVE,
        ],
    ),
    Object("source", &[Also("ip", columns::ADDRESSES, Ip), Column("address", columns::ADDRESSES, NoIp)]),
    Object("related", &[columns::RELATED_ADDRESSES, columns::RELATED_USERS]),
    Object(
        "http",
        &[
            Object("request", &[Column("method", "METHOD", Keyword), Column("bytes", "REQUEST_SIZE", Long)]),
            Object(
                "response",
                &[Column("bytes", "RESPONSE_SIZE", Long), Column("status_code", "STATUS_CODE", Long)],
            ),
        ],
    ),
    Object("user_agent", &[Column("original", "USER_AGENT", NoDigits)]),
    Object(
        "salesforce",
        &[
            Provenance,
            Object(
                "apex",
                &[
                    Column("event_type", "EVENT_TYPE", Keyword),
                    Column("request_id", "REQUEST_ID", Keyword),
                    Column("request_status", "REQUEST_STATUS", Keyword),
                    Column("success", "SUCCESS", Boolean),
                    Column("status", "STATUS", Keyword),
                    Column("organization_id", "ORGANIZATION_ID", Keyword),
                    Column("user_id_derived", "USER_ID_DERIVED", Keyword),
                    Column("login_key", "LOGIN_KEY", Keyword),
                    Column("session_key", "SESSION_KEY", Keyword),
                    Column("uri", "URI", Keyword),
                    Column("uri_derived_id", "URI_ID_DERIVED", Keyword),
                    Column("user_agent", "USER_AGENT", Prefix(codes::USER_AGENT)),
                    Column("type", "TYPE", Keyword),
                    Column("action", "ACTION", Keyword),
                    Column("class_name", "CLASS_NAME", Keyword),
                    Column("method_name", "METHOD_NAME", Keyword),
                    Column("client_name", "CLIENT_NAME", Keyword),
                    Column("connected_app_id", "CONNECTED_APP_ID", Keyword),
                    Column("media_type", "MEDIA_TYPE", Keyword),
                    Column("message", "MESSAGE", Keyword),
                    Column("exception_message", "EXCEPTION_MESSAGE", Keyword),
                    Column("entity", "ENTITY", Keyword),
                    Column("entity_name", "ENTITY_NAME", Keyword),
                    Column("entry_point", "ENTRY_POINT", Keyword),
                    Column("quiddity", "QUIDDITY", Keyword),
                    Column("is_long_running_request", "IS_LONG_RUNNING_REQUEST", Boolean),
                    Column("trigger_id", "TRIGGER_ID", Keyword),
                    Column("trigger_name", "TRIGGER_NAME", Keyword),
                    Column("trigger_type", "TRIGGER_TYPE", Keyword),
                    Column("bot_id", "BOT_ID", Keyword),
                    Column("bot_session_id", "BOT_SESSION_ID", Keyword),
                    Column("planner_id", "PLANNER_ID", Keyword),
                    Column("query", "QUERY", Keyword),
                    Column("select", "SELECT", Keyword),
                    Column("filter", "FILTER", Keyword),
                    Column("orderby", "ORDERBY", Keyword),
                    Column("subqueries", "SUBQUERIES", Keyword),
                    Column("limit", "LIMIT", Long),
                    Column("offset", "OFFSET", Long),
                    Column("rows_total", "ROWS", Long),
                    Column("rows_fetched", "ROWS_FETCHED", Long),
                    Column("rows_processed", "ROWS_PROCESSED", Long),
                    Column("fields_count", "NUMBER_FIELDS", Long),
                    Column("soql_queries_count", "NUMBER_SOQL_QUERIES", Long),
                    Column("db_blocks", "DB_BLOCKS", Long),
                    Column("time", "TIME", Double),
                    Column("exec_time", "EXEC_TIME", Double),
                    Column("total_ms", "TOTAL_MS", Double),
                    Column("execute_ms", "EXECUTE_MS", Double),
                    Column("fetch_ms", "FETCH_MS", Double),
                    Column("run_time", "RUN_TIME", Double),
                    Column("cpu_time", "CPU_TIME", Double),
                    Column("callout_time", "CALLOUT_TIME", Double),
                    Column("db_total_time", "DB_TOTAL_TIME", Double),
                    Column("db_cpu_time", "DB_CPU_TIME", Double),
                    Column("limit_usage_pct", "LIMIT_USAGE_PERCENT", Double),
                    Column("throughput", "THROUGHPUT", Double),
                    Rest,
                ],
            ),
        ],
    ),
];
