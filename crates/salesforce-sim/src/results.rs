//! The results of queries: what each selected, and those that have pages left to fetch.

mod found;
mod locators;

pub(crate) use self::found::{Selection, select};
pub(crate) use self::locators::{Locators, QueryResult};
