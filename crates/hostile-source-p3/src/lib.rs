//! A source for WASI 0.3 that attacks its host, in one of several ways: those of `hostile-source` that the other WASI might let
//! through, and some that only it knows.
//!
//! Which way, says the configuration: `{"do":"spin","authority":"127.0.0.1:8080"}`. Whatever is not named here behaves well: one
//! event, and again in a minute. What an attack came to stands in the state of its batch.

#[path = "../../reference-source/src/batch.rs"]
mod batch;
mod bindings;
mod network;

use bindings::Hostile;
use bindings::clocks::monotonic_clock;
use bindings::contract::{Batch, Description, Failure, Finding, Grants, Problem, TimeRange};
use bindings::exports::pipeline::source::async_source::Guest;
use std::cell::RefCell;
use wit_bindgen::StreamReader;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A value of the configuration, which is simple enough to be read like this.
fn configured(key: &str) -> String {
    CONFIG.with_borrow(|config| {
        let value = config.split_once(&format!("\"{key}\":\"")).and_then(|(_, rest)| rest.split('"').next());
        value.unwrap_or_default().to_owned()
    })
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".to_owned(),
            version: "0.1.0".to_owned(),
            config_schema: "{}".to_owned(),
            streams: Vec::new(),
        }
    }

    fn configure(config: String) -> Result<Grants, Vec<Problem>> {
        CONFIG.replace(config);
        if configured("do") == "spin-in-configure" {
            spin();
        }
        Ok(Grants { authorities: vec![configured("authority")], warnings: Vec::new() })
    }

    async fn check() -> Vec<Finding> {
        Vec::new()
    }

    async fn poll(_: Option<String>) -> Result<Batch, Failure> {
        polled().await
    }

    /// A batch that is well, and then what `poll` does, again and again without a rest.
    async fn follow(_: Option<String>) -> StreamReader<Result<Batch, Failure>> {
        let (mut writer, reader) = bindings::wit_stream::new();
        wit_bindgen::spawn_local(async move {
            let mut elements = vec![Ok(Batch { state: "first".to_owned(), next_poll_ms: 0, ..well() })];
            if configured("do") == "many-at-once" {
                elements.extend((0..1_000).map(|_| Ok(well())));
            }
            while writer.write_all(elements).await.is_empty() {
                elements = vec![polled().await];
            }
        });
        reader
    }

    fn suspend() -> Option<String> {
        None
    }

    fn resume(_: String) {}

    fn confine(_: TimeRange) -> Result<(), Problem> {
        Ok(())
    }

    fn is_complete(_: String) -> bool {
        false
    }
}

fn well() -> Batch {
    Batch {
        events: vec![r#"{"event":{"id":"1"}}"#.to_owned()],
        state: "{}".to_owned(),
        next_poll_ms: 60_000,
        ..batch::empty()
    }
}

async fn polled() -> Result<Batch, Failure> {
    let authority = configured("authority");
    let mut batch = well();
    match configured("do").as_str() {
        "spin" => spin(),
        "yield" => loop {
            wit_bindgen::yield_async().await;
        },
        "wait" => monotonic_clock::wait_for(u64::MAX).await,
        "trap" => panic!("trapped"),
        "grow" => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&held);
            }
        }
        "many-streams" => {
            let mut held = Vec::new();
            loop {
                held.push(bindings::wit_stream::new::<u8>());
            }
        }
        "large-batch" => batch.events = vec![format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20)); 20],
        "denied-requests" => batch.state = network::denied_requests(300).await,
        "dropped-requests" => batch.state = network::dropped_requests(&authority, 2_000).await,
        "requests-at-once" => batch.state = network::requests_at_once(&authority, 40).await,
        "many-requests" => batch.state = network::many_requests(&authority, 2_000).await,
        "endless-body" => batch.state = network::read_all(&authority, "/endless").await,
        "large-headers" => batch.state = network::read_all(&authority, "/large-headers").await,
        "silent-server" => batch.state = network::read_all(&authority, "/slow").await,
        "large-request" => batch.state = network::large_request(&authority, 1 << 30).await,
        _ => {}
    }
    Ok(batch)
}
