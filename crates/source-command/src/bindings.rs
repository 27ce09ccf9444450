//! What `wit/` says of the command, in Rust. Generated.

#![expect(
    unsafe_code,
    reason = "the canonical ABI passes pointers; the code is generated and documented in wit/"
)]

wit_bindgen::generate!({
    path: ["../../wit", "wit"],
    world: "pipeline:command/command",
    generate_all,
});

export!(Command);

/// What answers the call of the host.
pub(crate) struct Command;
