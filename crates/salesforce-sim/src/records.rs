//! The records of the objects that are queried record by record.
//!
//! No record is held: each is made out of its [`Origin`], out of the logins of the org and of what [`Store`] has besides them.

mod api;
mod audit_trail;
mod aura;
mod dates;
mod login;
mod of_attacks;
mod origin;
mod query;
mod record;
mod report;
mod row;
mod rules;
mod store;

pub(crate) use self::origin::Origin;
pub(crate) use self::store::{Records, Store};
