//! The component in the Rust host, with requests answered from memory.

use crate::canned::CannedOrg;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use collector::io::Clock as _;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use source_host::{
    Admission, Answer, Clock, Egress, Limits, Options, Plugin, Runtime, Source, Timeouts, Transport,
    TransportError, WasiBody,
};
use std::{
    io::Read,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

/// Where `make build` puts the component.
pub fn component_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist/salesforce-source.wasm")
}

/// The one for WASI 0.3.
pub fn component_p3_path() -> PathBuf {
    component_path().with_file_name("salesforce-source-p3.wasm")
}

/// A program of this workspace, as built with the tests.
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap_or_default();
    let folder = tests.ancestors().find(|folder| folder.join(name).is_file());
    folder.map_or_else(
        || panic!("there is no program '{name}'; run `make build` first"),
        |folder| folder.join(name),
    )
}

/// The component, compiled.
pub fn plugin() -> Result<Plugin> {
    load(&component_path())
}

/// A component, compiled. On a thread of its own: who asks may be on an executor.
pub fn load(path: &Path) -> Result<Plugin> {
    let compiled = || {
        let executor = tokio::runtime::Builder::new_current_thread().build()?;
        let runtime = Runtime::new()?;
        let mut admission = Admission::default();
        admission.wasi_0_3 = true;
        Ok(executor.block_on(runtime.load(path, &admission))?)
    };
    let compiled: Result<Plugin> = std::thread::scope(|scope| {
        scope.spawn(compiled).join().unwrap_or_else(|_| bail!("compiling panicked"))
    });
    compiled.with_context(|| format!("{} is not there or no component; run `make build`", path.display()))
}

/// Opens the component with an org in memory behind it, and a clock that stands still: which windows are asked for does not
/// depend on how fast the machine is, and what the org has ready is what is asked for.
pub async fn open(plugin: &Plugin, org: CannedOrg, limits: Limits) -> Result<Source> {
    let transport = CannedTransport(Mutex::new(org));
    let egress = Egress::allow(["acme.my.salesforce.com"])?;
    let options = Options::new().limits(limits).egress(egress).transport(transport).clock(Still);
    Ok(plugin.open(options).await?)
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::from_millis(crate::inputs::clock().now_ms().unsigned_abs())
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

struct CannedTransport(Mutex<CannedOrg>);

impl Transport for CannedTransport {
    fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Answer {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
        let answer = self.0.lock().ok().and_then(|mut org| org.answer(&path));
        Box::pin(async move {
            // The request is done once its body is read.
            request.into_body().collect().await?;
            let (status, headers, body) = answer.ok_or(TransportError::ConnectionTerminated)?;
            let mut response = http::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(from_reader(body)).map_err(|_| TransportError::HttpProtocolError)
        })
    }
}

/// A body with the bytes of a reader that never waits.
pub fn from_reader(reader: crate::canned::Body) -> WasiBody {
    FromReader(reader).boxed_unsync()
}

struct FromReader(crate::canned::Body);

impl Body for FromReader {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let mut part = vec![0; 64 * 1024];
        Poll::Ready(match self.0.read(&mut part) {
            Ok(0) => None,
            Ok(count) => {
                part.truncate(count);
                Some(Ok(Frame::data(part.into())))
            }
            Err(_) => Some(Err(TransportError::ConnectionTerminated)),
        })
    }
}
