//! What `wit/` says, in Rust. Generated.

#![expect(
    unsafe_code,
    reason = "the canonical ABI passes pointers; the code is generated and documented in wit/"
)]

wit_bindgen::generate!({ path: "../../wit", world: "plugin", generate_all });

// Of this package there are two versions in `wit/`, so its module is named after one.
pub(crate) use wasi::http0_2_0 as http;

pub(crate) use exports::pipeline::source::source as contract;

export!(Hostile);

/// What answers the calls of the host.
pub(crate) struct Hostile;
