//! What older components and this one make of each other's states, and what a host says of a component that is not for it.
//!
//! The older ones are built from the commits in `versions.txt` by `make test-versions`; those that were not built are left out,
//! and named. They are called without knowing their types, as their contract may have been another.

use e2e::{
    hosted::component_path,
    org::TestOrg,
    truth::Delivered,
    wasi::{Wasi, linker},
};
use salesforce_sim::{Interval, OrgSettings, Rows, Workload};
use source_host::{Admission, Limits, Runtime};
use std::{
    fs,
    path::{Path, PathBuf},
};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Instance, Val},
};
use wasmtime_wasi::WasiCtxBuilder;

const SOURCE: &str = "pipeline:source/source@0.1.0";
const ROWS: u64 = 6_000;

/// The older components that were built, each with what is different about it.
fn older() -> Vec<(PathBuf, &'static str)> {
    let versions = include_str!("../versions.txt");
    let listed = versions.lines().filter(|line| !line.starts_with('#'));
    listed
        .filter_map(|line| {
            let (commit, what) = line.split_once(' ').expect("a commit, and what is different about it");
            let target = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/versions"));
            let component = target.join(format!("{commit}.wasm"));
            if !component.is_file() {
                // What `make test-versions` sets, which builds them first.
                assert!(
                    std::env::var_os("OLDER_COMPONENTS").is_none(),
                    "{} is not there",
                    component.display()
                );
                println!("left out, as `make test-versions` has not built it: {commit} ({what})");
                return None;
            }
            Some((component, what))
        })
        .collect()
}

/// A component that is called by the names of its functions.
struct Untyped {
    store: Store<Wasi>,
    instance: Instance,
}

impl Untyped {
    async fn open(path: &Path, config: &str) -> Self {
        let engine = Engine::new(&Config::new()).expect("an engine");
        let component = Component::from_file(&engine, path).expect("a component");
        let linker = linker(&engine, true).expect("WASI");
        let wasi = Wasi::new(WasiCtxBuilder::new().build()).expect("WASI");
        let mut store = Store::new(&engine, wasi);
        let instance = linker.instantiate_async(&mut store, &component).await.expect("an instance");
        let mut opened = Self { store, instance };
        let answer = opened.call("configure", Val::String(config.to_owned())).await;
        assert!(matches!(answer, Val::Result(Ok(_))), "{answer:?}");
        opened
    }

    async fn call(&mut self, name: &str, argument: Val) -> Val {
        let store = &mut self.store;
        let (_, source) = self.instance.get_export(&mut *store, None, SOURCE).expect("the contract");
        let (_, function) = self.instance.get_export(&mut *store, Some(&source), name).expect("a function");
        let function = self.instance.get_func(&mut *store, function).expect("a function");
        let mut answer = [Val::Bool(false)];
        function.call_async(&mut *store, &[argument], &mut answer).await.expect("an answer");
        let [answer] = answer;
        answer
    }

    /// The next events, their state and the wait; or the kind of the failure and its words.
    async fn poll(&mut self, state: Option<&str>) -> Result<(Vec<String>, String, u32), (String, String)> {
        let state = state.map(|state| Box::new(Val::String(state.to_owned())));
        match self.call("poll", Val::Option(state)).await {
            Val::Result(Ok(Some(batch))) => {
                let Val::List(events) = field(&batch, "events") else { panic!("no list of events") };
                let events = events.iter().map(|event| text(event).to_owned()).collect();
                let Val::U32(wait) = field(&batch, "next-poll-ms") else { panic!("no wait") };
                Ok((events, text(field(&batch, "state")).to_owned(), *wait))
            }
            Val::Result(Err(Some(failure))) => {
                let problem = field(&failure, "problem");
                let Val::Enum(kind) = field(problem, "kind") else { panic!("no kind") };
                Err((kind.clone(), text(field(problem, "message")).to_owned()))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn field<'a>(record: &'a Val, name: &str) -> &'a Val {
    let Val::Record(fields) = record else { panic!("no record") };
    let found = fields.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value).unwrap_or_else(|| panic!("no {name}"))
}

fn text(value: &Val) -> &str {
    let Val::String(text) = value else { panic!("no text") };
    text
}

async fn org() -> TestOrg {
    let workload = Workload { hours: 6, rows: Rows::Total(ROWS), ..Workload::default() };
    TestOrg::start(OrgSettings { workload, ..OrgSettings::default() }).await.expect("an org")
}

fn config(org: &TestOrg) -> serde_json::Value {
    let mut config = org.source().expect("a configuration");
    // Batches that end within files.
    config["batch"] = serde_json::json!({ "max_events": 350 });
    config
}

/// Collects with the first until half is there, and with the second from the first one's state.
async fn handed_over(org: &TestOrg, first: &Path, second: &Path) -> Result<Delivered, (String, String)> {
    let config = config(org).to_string();
    let mut delivered = Delivered::default();
    let mut source = Untyped::open(first, &config).await;
    let mut state = None;
    while delivered.count() < ROWS / 2 {
        let (events, next, _) = source.poll(state.as_deref()).await.expect("a batch");
        events.iter().for_each(|event| delivered.add(event).expect("an event"));
        state = Some(next);
    }
    let mut source = Untyped::open(second, &config).await;
    loop {
        let (events, next, wait) = source.poll(state.as_deref()).await?;
        events.iter().for_each(|event| delivered.add(event).expect("an event"));
        state = Some(next);
        if wait > 0 {
            return Ok(delivered);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_component_takes_over_the_state_of_an_older_one_within_a_file_with_nothing_lost_or_repeated() {
    for (component, what) in older() {
        let org = org().await;
        let delivered = handed_over(&org, &component, &component_path()).await.expect("it goes on");
        let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
        println!("{what}: {comparison}");
        assert!(comparison.is_clean(), "{what}: {comparison}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_component_takes_this_ones_state_or_refuses_it_and_says_why() {
    for (component, what) in older() {
        let org = org().await;
        match handed_over(&org, &component_path(), &component).await {
            Ok(delivered) => {
                assert!(what.starts_with("state 3"), "{what}: it goes on");
                let comparison = delivered.compare(org.simulator.org(), Interval::Hourly);
                assert!(comparison.is_clean(), "{what}: {comparison}");
            }
            Err((kind, message)) => {
                println!("{what}: {message}");
                assert!(what.starts_with("state 2"), "{what}: {message}");
                assert_eq!(kind, "state");
                assert_eq!(message, "the state has version 3, and this program knows 2 at most");
            }
        }
    }
}

async fn refusal(content: Vec<u8>) -> String {
    let loaded =
        Runtime::new().expect("a runtime").load_bytes("source.wasm", content, &Admission::default()).await;
    loaded.expect_err("it is not for this host").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_cut_or_keeps_another_contract_is_refused_in_a_sentence() {
    let content = fs::read(component_path()).expect("the component; run `make build`");
    for share in [0.0001, 0.1, 0.5, 0.99] {
        let length = (content.len() as f64 * share) as usize;
        let said = refusal(content[..length].to_vec()).await;
        assert!(said.contains("it is damaged or was cut off; copy it again"), "{share}: {said}");
    }
    let other = String::from("pipeline:source/source@0.2.0").into_bytes();
    let mut newer = content.clone();
    while let Some(at) = newer.windows(SOURCE.len()).position(|part| part == SOURCE.as_bytes()) {
        newer[at..at + other.len()].copy_from_slice(&other);
    }
    let said = refusal(newer).await;
    assert!(said.contains("it speaks `pipeline:source/source@0.2.0` and this host speaks"), "{said}");
    for (component, what) in older().into_iter().filter(|(_, what)| what.contains("contract without")) {
        let said = refusal(fs::read(component).expect("a component")).await;
        println!("{what}: {said}");
        assert!(
            said.contains("there is no `suspend`") && said.contains("it is older than this host"),
            "{what}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_same_contract_runs_in_this_host_whatever_its_age() {
    for (component, what) in older().into_iter().filter(|(_, what)| what.contains("contract as it is")) {
        let org = org().await;
        let runtime = Runtime::new().expect("a runtime");
        let plugin = runtime.load(&component, &Admission::default()).await.expect("it is for this host");
        let egress = source_host::Egress::allow([org.authority()]).expect("a rule");
        let options = source_host::Options::new().limits(Limits::default()).egress(egress);
        let mut source = plugin.open(options).await.expect("an instance");
        source.configure(&config(&org).to_string()).await.expect("a configuration");
        let batch = source.poll(None).await.expect("a batch");
        assert_eq!(batch.events.len(), 350, "{what}");
    }
}

/// What hosts say that are not ours: the words are those of wasmtime, of which many are made.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_vectors_or_without_http_says_so() {
    let mut without_vectors = Config::new();
    without_vectors.wasm_simd(false).wasm_relaxed_simd(false);
    let engine = Engine::new(&without_vectors).expect("an engine");
    let said = format!("{:#}", Component::from_file(&engine, component_path()).expect_err("it has vectors"));
    assert!(said.contains("SIMD support is not enabled"), "{said}");
    let engine = Engine::new(&Config::new()).expect("an engine");
    let component = Component::from_file(&engine, component_path()).expect("a component");
    let linked = linker(&engine, false).expect("WASI").instantiate_pre(&component);
    let said = format!("{:#}", linked.err().expect("it wants HTTP"));
    assert!(said.contains("`wasi:http/types@0.2.0`"), "{said}");
}
