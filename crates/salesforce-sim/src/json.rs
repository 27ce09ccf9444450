//! How rows stand in JSON: the value of a field, and a record with what is wrong with it.

pub(crate) mod record;
pub(crate) mod value;
