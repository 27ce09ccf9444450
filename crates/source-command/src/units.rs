//! How sizes and times are written: as for `source-host`.

#[path = "../../source-host-cli/src/units.rs"]
mod of_source_host;

pub(crate) use of_source_host::{parse_instant, parse_size, parse_time};
