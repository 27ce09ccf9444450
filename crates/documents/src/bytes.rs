//! Bytes as they come and go: CSV, JSON, times. Nothing here knows a column or a field.

pub mod buffer;
pub mod csv;
pub mod json;
pub mod lanes;
pub mod padded;
pub mod row;
pub mod scan;
pub mod text;
pub mod time;
