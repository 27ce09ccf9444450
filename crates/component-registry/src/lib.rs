//! Takes components from OCI registries, and puts them there.
//!
//! The threat: a registry, or somebody who sits in it, hands out something else than what was pushed: another component under the
//! same tag, a manifest that lies about its layer, a body that has no end, a redirect or a token service elsewhere that is to get
//! the password. So everything is read up to a limit and by a deadline, and hashed before it is used; plain HTTP is for this machine;
//! credentials go to the registry's own domain alone; and what a tag led to once is written down in a [`Lock`].
//!
//! - [`Reference`] is an address, `oci://ghcr.io/acme/source:1.0@sha256:…`; [`Access`] says how its registry is reached.
//! - [`Repository`] resolves, pulls, pushes, and finds what is attached to an artifact: signatures, descriptions.
//! - [`Lock`] is `source-host.lock`, and the folder in which pulled components lie.
//!
//! An artifact is what the CNCF's guide "Wasm OCI Artifact layout" describes: a config of the type `application/vnd.wasm.config.v0+json`
//! and one layer, `application/wasm`. Other tools take it as it is.
//!
//! | to read about | look into |
//! |---|---|
//! | addresses | `reference` |
//! | the documents of a registry | `manifest` |
//! | passwords, authorities, limits | `access` |
//! | what is sent to a registry, and what to nobody | `client` |
//! | which requests a push and a pull consist of | `repository` |
//! | what was pulled | `lock` |
//!
//! Each of these knows only what stands below it: `error`; `reference` and `manifest`; `access`; `client`; `repository` and `lock`.

#![deny(missing_docs)]

mod access;
mod client;
mod error;
mod lock;
mod manifest;
mod reference;
mod repository;

pub use access::{Access, Credentials};
pub use error::Error;
pub use lock::{Entry, Lock, STORE};
pub use manifest::{DESCRIPTION, SIGNATURE};
pub use reference::Reference;
pub use repository::{Artifact, Attached, Package, Purpose, Repository};
