//! How many instructions of WebAssembly the component needs for a row: a rate that no machine and no neighbour changes.
//!
//! The engine counts them as "fuel", one for most of them, the same wherever the same component runs on the same input. What a
//! collection costs once (instantiation, sign-in, listing) is left out by taking the difference of twice as many rows and as
//! many. The host's engine counts nothing, since counting costs time; so this test has an engine of its own, with just as much
//! of a host around it as a component needs.
//!
//! `bench/instructions.toml` holds the numbers, and a row may take 3 % more or less: a gain that is not written down could be lost
//! again unseen. After a change that is meant, for the better or the worse, `make update-bench` writes the file anew, which runs this test with `UPDATE_BENCH=1`.

use e2e::{
    canned::CannedOrg,
    hosted::{component_path, from_reader},
    inputs::{Input, Kind},
};
use std::{collections::BTreeMap, env, fs, path::Path, time::Duration};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package counted:bindings;

        world plugin {
            export pipeline:source/source@0.1.0;
        }
    ",
    world: "counted:bindings/plugin",
    exports: { default: async },
});

const ROWS: usize = 4_000;
/// How far a number may be from the one that is written down, in percent.
const TOLERANCE: u64 = 3;

struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    org: Org,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.org }
    }
}

struct Org(CannedOrg);

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Org {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), Error>> + Send> {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let (status, headers, body) = self.0.answer(path).expect("an answer");
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let response = response.body(from_reader(body)).expect("a response");
        Box::new(async move { Ok((response, Box::new(async { Ok(()) }) as Io)) })
    }
}

/// A clock that stands still, so that no batch ends because of how long it took.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        use collector::io::Clock as _;
        Duration::from_millis(e2e::inputs::clock().now_ms().unsigned_abs())
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// An engine that counts, and the component compiled for it.
struct Counter {
    engine: Engine,
    pre: PluginPre<Guest>,
}

impl Counter {
    fn new() -> Self {
        let mut config = Config::new();
        config.wasm_component_model(true).concurrency_support(false).consume_fuel(true);
        let engine = Engine::new(&config).expect("an engine");
        let component =
            Component::from_file(&engine, component_path()).expect("the component; run `make build`");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(&mut linker).expect("linked");
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).expect("linked");
        let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).expect("the contract");
        Self { engine, pre }
    }

    /// The instructions of all polls that it takes to collect an input.
    async fn count(&self, input: &Input, gzip: bool, format: &str) -> u64 {
        const FUEL: u64 = u64::MAX / 2;
        let guest = Guest {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().wall_clock(Still).monotonic_clock(Still).build(),
            http: WasiHttpCtx::new(),
            org: Org(input.org(gzip)),
        };
        let mut store = Store::new(&self.engine, guest);
        store.set_fuel(FUEL).expect("fuel");
        let plugin = self.pre.instantiate_async(&mut store).await.expect("an instance");
        let source = plugin.pipeline_source_source();
        let configured = source.call_configure(&mut store, &input.config(format)).await.expect("a call");
        configured.expect("a valid configuration");
        let (mut state, mut events) = (None::<String>, 0);
        loop {
            let batch = source.call_poll(&mut store, state.as_deref()).await.expect("a call");
            let batch = batch.expect("a batch");
            events += batch.events.len();
            state = Some(batch.state);
            if batch.next_poll_ms > 0 {
                break;
            }
        }
        assert_eq!(events, input.rows, "{:?}", input.kind);
        FUEL - store.get_fuel().expect("fuel")
    }
}

#[tokio::test]
async fn a_row_takes_about_as_many_instructions_as_are_written_down() {
    let counter = Counter::new();
    let mut counted = BTreeMap::new();
    for kind in Kind::ALL {
        let inputs = [ROWS, 2 * ROWS].map(|rows| Input::with_rows(kind, rows).expect("an input"));
        for (gzip, format) in [(false, "ecs"), (false, "ocsf"), (false, "raw"), (true, "ecs")] {
            let mut counts = [0, 0];
            for (count, input) in counts.iter_mut().zip(&inputs) {
                *count = counter.count(input, gzip, format).await;
            }
            let packed = if gzip { "-gzip" } else { "" };
            counted
                .insert(format!("{}{packed}-{format}", kind.name()), (counts[1] - counts[0]) / ROWS as u64);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/instructions.toml");
    if env::var_os("UPDATE_BENCH").is_some() {
        let mut text = String::from(
            "# Instructions of WebAssembly for a row or a record, counted by `hosted/instructions.rs`.\n\
             # `make update-bench` writes this file anew.\n",
        );
        text.extend(counted.iter().map(|(name, count)| format!("{name} = {count}\n")));
        fs::write(path, text).expect("written");
        return;
    }
    let written = fs::read_to_string(path).expect("bench/instructions.toml");
    let written: BTreeMap<String, u64> = toml::from_str(&written).expect("numbers");
    assert!(written.keys().eq(counted.keys()), "{:?} are written down", written.keys());
    let is_about = |count: u64, written: u64| count.abs_diff(written) * 100 <= written * TOLERANCE;
    let beyond: Vec<_> = counted
        .iter()
        .zip(written.values())
        .filter(|((_, count), written)| !is_about(**count, **written))
        .map(|((name, count), written)| format!("{name} takes {count}, and {written} are written down"))
        .collect();
    assert!(beyond.is_empty(), "if this is meant, run `make update-bench`:\n{}", beyond.join("\n"));
}
