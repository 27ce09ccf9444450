//! The types of the contract as wasmtime generates them. Private: the rest of the crate, and whoever embeds it, sees `contract`.
//! The calls are in `component/calls`, for the asynchronous contract has the same types.
//!
//! Only what a source exports is generated. Its imports are WASI, which `wasmtime-wasi` and `wasmtime-wasi-http` have
//! bindings of; `runtime` links exactly those that are offered.

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package source-host:bindings;

        world plugin {
            export pipeline:source/source@0.1.0;
        }
    ",
    world: "source-host:bindings/plugin",
    exports: { default: async },
});
