//! What `crates/source-command/wit` says of the gate, in Rust. Generated.

#![expect(
    unsafe_code,
    reason = "the canonical ABI passes pointers; the code is generated and documented in wit/"
)]

wit_bindgen::generate!({
    path: ["../../wit", "../source-command/wit"],
    world: "pipeline:command/gate",
    generate_all,
});

export!(Gate);

/// What answers the calls of the source and of the command.
pub(crate) struct Gate;
