//! Secrets, and where they are looked up: those of `source-host`.

#[path = "../../source-host-cli/src/secrets.rs"]
mod of_source_host;

pub(crate) use of_source_host::{NOT_BELOW, Secret, Vault, is_below, join};
