//! What there is no document of its own for: any event type, any object, by the names of its columns.

use super::{Form::*, Node, Node::*};

/// A row of any event log file.
pub const FILE: &[Node] = &[
    Timestamp,
    Object("ecs", &[Fixed("version", "\"8.11.0\"")]),
    Object("data_stream", &[Fixed("type", "\"logs\""), Dataset]),
    Object(
        "event",
        &[
            Id,
            Fixed("kind", "\"event\""),
            Fixed("module", "\"salesforce\""),
            Dataset,
            Provider,
            Column("url", "URI", Keyword),
            Column("duration", "RUN_TIME", MillisAsNanos),
        ],
    ),
    Object("user", &[Column("id", "USER_ID_DERIVED", Keyword)]),
    Object("source", &[Column("ip", "CLIENT_IP", Ip), Column("address", "CLIENT_IP", NoIp)]),
    Object("related", &[Distinct("ip", &["CLIENT_IP"], Ip), Distinct("user", &["USER_ID_DERIVED"], Keyword)]),
    Object(
        "salesforce",
        &[
            Provenance,
            Typed(&[
                Column("event_type", "EVENT_TYPE", Keyword),
                Column("run_time", "RUN_TIME", Long),
                Column("cpu_time", "CPU_TIME", Long),
                Column("db_total_time", "DB_TOTAL_TIME", Long),
                Rest,
            ]),
        ],
    ),
];

/// A record of any object.
pub const OBJECT: &[Node] = &[
    Timestamp,
    Object("ecs", &[Fixed("version", "\"8.11.0\"")]),
    Object("data_stream", &[Fixed("type", "\"logs\""), Dataset]),
    Object("event", &[Id, Fixed("kind", "\"event\""), Fixed("module", "\"salesforce\""), Dataset, Provider]),
    Object("user", &[Column("id", "UserId", Keyword), Column("email", "Username", Keyword)]),
    Object("source", &[Column("ip", "SourceIp", Ip), Column("address", "SourceIp", NoIp)]),
    Object(
        "related",
        &[Distinct("ip", &["SourceIp"], Ip), Distinct("user", &["UserId", "Username"], Keyword)],
    ),
    Object("salesforce", &[Provenance, Typed(&[Rest])]),
];
