//! What the document of each type of event looks like, written down as a tree.

/// The object `url`, of what stands in a column.
macro_rules! url {
    ($column:literal) => {
        Object(
            "url",
            &[
                Column("original", $column, Unquoted),
                Column("scheme", $column, Scheme),
                Column("domain", $column, Domain),
                Column("path", $column, Path),
                Column("extension", $column, Extension),
                Column("query", $column, Query),
            ],
        )
    };
}

pub mod apex;
pub mod audit;
pub mod aura;
mod columns;
pub mod generic;
pub mod login;
pub mod logout;
pub mod raw;

use crate::grammar::{codes, form::Form, node::Node};

/// How every document begins.
const HEAD: &[Node] = &[
    Node::Timestamp,
    Node::Object("ecs", &[Node::Fixed("version", "\"8.11.0\"")]),
    Node::Object("data_stream", &[Node::Fixed("type", "\"logs\""), Node::Dataset]),
];

/// What stands in `event` of every document.
const EVENT: &[Node] = &[
    Node::Id,
    Node::Kind,
    Node::Fixed("module", "\"salesforce\""),
    Node::Dataset,
    Node::Provider,
    Node::Original,
];

/// All trees that name fields of their own.
pub const ALL: &[&[Node]] = &[
    login::FILE,
    login::OBJECT,
    logout::FILE,
    logout::OBJECT,
    apex::FILE,
    audit::OBJECT,
    aura::FILE,
    aura::OBJECT,
];

/// What a row of an event log file looks like.
pub fn document_of_file(event_type: &str) -> &'static [Node] {
    match event_type {
        "Login" => login::FILE,
        "Logout" => logout::FILE,
        "AuraRequest" => aura::FILE,
        _ if apex::TYPES.contains(&event_type) => apex::FILE,
        _ => generic::FILE,
    }
}

/// What a record of an object looks like.
pub fn document_of_object(name: &str) -> &'static [Node] {
    match name {
        "LoginEvent" | "LoginHistory" => login::OBJECT,
        "LogoutEvent" => logout::OBJECT,
        "SetupAuditTrail" => audit::OBJECT,
        "AuraRequestEventLog" => aura::OBJECT,
        _ => generic::OBJECT,
    }
}
