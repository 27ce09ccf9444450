//! What the document of each type of event looks like, written down as a tree.

pub mod apex;
pub mod audit;
pub mod aura;
mod columns;
pub mod generic;
pub mod login;
pub mod logout;
pub mod ocsf;
mod parts;
pub mod raw;
pub mod receipt;

use crate::grammar::node::Node;

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
    receipt::DOCUMENT,
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
