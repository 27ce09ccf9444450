//! The import `wasi:http/outgoing-handler`, with the request's options given back.
//!
//! The contract hands the options over with the request, for good. wasmtime 48 reads them and leaves them in the table of
//! handles, so a component that sends requests for long enough would run into its limit of them, and trap.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, FutureIncomingResponse, OutgoingRequest, RequestOptions,
};

use super::guest::Guest;

/// The newest version that wasmtime's own bindings know. Components that ask for an older 0.2 get it as well.
const NAME: &str = "wasi:http/outgoing-handler@0.2.12";

type Parameters = (Resource<OutgoingRequest>, Option<Resource<RequestOptions>>);
type Answer = Result<Resource<FutureIncomingResponse>, ErrorCode>;

/// Offers it to components.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(NAME)?.func_wrap("handle", handle)
}

fn handle(
    mut store: StoreContextMut<'_, Guest>,
    (request, options): Parameters,
) -> wasmtime::Result<(Answer,)> {
    let mut http = store.data_mut().http();
    let handle = options.as_ref().map(Resource::rep);
    let answer = http.handle(request, options);
    if let Some(handle) = handle {
        // Gone already in a wasmtime that gives them back itself.
        let _ = http.table.delete(Resource::<RequestOptions>::new_own(handle));
    }
    match answer {
        Ok(future) => Ok((Ok(future),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}
