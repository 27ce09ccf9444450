//! What `wasmtime run -S http` gives to a component: WASI 0.2 as a whole, and HTTP. For commands, and for components that are
//! called without knowing their types.

use source_host::{HttpTransport, Timeouts, Transport as _, TransportError, WasiBody};
use wasmtime::{
    Engine, Result,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{RequestOptions, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// What one component gets.
pub struct Wasi {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Hooks,
}

impl Wasi {
    /// What is given, and HTTP.
    pub fn new(wasi: WasiCtx) -> Result<Self> {
        let hooks = Hooks(HttpTransport::new()?);
        Ok(Self { wasi, http: WasiHttpCtx::new(), table: ResourceTable::new(), hooks })
    }
}

/// Everything that a component may import, with HTTP or without.
pub fn linker(engine: &Engine, with_http: bool) -> Result<Linker<Wasi>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    if with_http {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    }
    Ok(linker)
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Wasi {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

struct Hooks(HttpTransport);

type Sent = Result<(http::Response<WasiBody>, Transmission), TransportError>;
type Transmission = Box<dyn Future<Output = Result<(), TransportError>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Transmission,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let answer = self.0.send(request, Timeouts::default());
        Box::new(async { Ok((answer.await?, Box::new(async { Ok(()) }) as Transmission)) })
    }
}
