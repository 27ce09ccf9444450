//! What `wit/` says, in Rust. Generated.

#![expect(
    unsafe_code,
    reason = "the canonical ABI passes pointers; the code is generated and documented in wit/"
)]

wit_bindgen::generate!({ path: "../../wit", world: "async-plugin", generate_all });

// Of these packages there are two versions in `wit/`, so their modules are named after them.
pub(crate) use wasi::{clocks0_3_0 as clocks, http0_3_0 as http};

pub(crate) use pipeline::source::source as contract;

export!(Hostile);

/// What answers the calls of the host.
pub(crate) struct Hostile;
