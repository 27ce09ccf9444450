//! A compiled component that was found fit to be run.
//!
//! Admission happens before any of its code runs: what it imports was compared with the list of what a source gets before it was
//! compiled, and is once more as the compiler has it; here its exports are held against the contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::Component;

use super::admission::{self, Contract, Inspected};
use super::calls::{Code, Functions};
use super::digest::Digest;
use super::options::Options;
use super::platform::Platform;
use super::source::Source;
use super::ticker::Ticker;
use crate::contract::printable;
use crate::error::Error;

/// A component, compiled and admitted. Cheap to clone; opens any number of sources.
///
/// ```no_run
/// # async fn example() -> Result<(), source_host::Error> {
/// use source_host::{Admission, Options, Runtime};
///
/// let plugin = Runtime::new()?.load("source.wasm", &Admission::default()).await?;
/// println!("{}, {:?}, imports {}", plugin.digest(), plugin.annotations().get("version"), plugin.imports().join(", "));
/// // Each has a memory, a transport and limits of its own.
/// let (acme, other) = (plugin.open(Options::new()).await?, plugin.open(Options::new()).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Plugin {
    name: String,
    digest: Digest,
    contract: Contract,
    imports: Vec<String>,
    annotations: BTreeMap<&'static str, String>,
    code: Code,
    ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Which component it is.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it says of itself beside its code, by name: `name`, `version`, `licenses`, `source`, `authors`, `homepage`, `revision`,
    /// `description`. Nobody has vouched for it.
    pub fn annotations(&self) -> &BTreeMap<&'static str, String> {
        &self.annotations
    }

    /// Which contract it speaks, and so which WASI it runs on: `pipeline:source/source@0.1.0` on 0.2,
    /// `pipeline:source/async-source@0.1.0` on 0.3. Whoever calls it need not know.
    pub fn contract(&self) -> &'static str {
        self.contract.export()
    }

    /// What it imports, sorted: `wasi:http/types@0.2.0`.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Makes an instance with a memory of its own. Not configured yet.
    ///
    /// # Errors
    ///
    /// If it needs more than the limits from the start, or the transport cannot be set up.
    pub async fn open(&self, options: Options) -> Result<Source, Error> {
        Source::open(&self.code, &self.ticker, options).await
    }
}

/// Takes a compiled component if it exports the contract, and imports nothing that is not offered.
///
/// Names come from the component, and whoever prints the error does so on a terminal.
pub(super) fn admit(
    platform: &Platform,
    ticker: &Arc<Ticker>,
    name: &str,
    content: &[u8],
    inspected: Inspected,
    component: &Component,
) -> Result<Plugin, Error> {
    let refuse = |reason: String| Error::NotAdmitted { name: name.to_owned(), reason: printable(reason) };
    let Inspected { digest, contract } = inspected;
    let (engine, ty) = (&platform.engine, component.component_type());
    let mut imports: Vec<String> = ty.imports(engine).map(|(import, _)| import.to_owned()).collect();
    imports.sort();
    contract.offered(imports.iter().map(String::as_str)).map_err(refuse)?;
    if ty.get_export(engine, contract.export()).is_none() {
        return Err(refuse(contract.missing(ty.exports(engine).map(|(export, _)| export))));
    }
    let does_not_fit = |reason: String| refuse(format!("it does not fit the contract: {reason}"));
    let functions = Functions::of(component, contract).map_err(does_not_fit)?;
    let pre = platform.linker.instantiate_pre(component);
    let pre = pre.map_err(|error| does_not_fit(format!("{error:#}")))?;
    let annotations = admission::annotations(content);
    let (name, code) = (name.to_owned(), Code { pre, functions });
    Ok(Plugin { name, digest, contract, imports, annotations, code, ticker: Arc::clone(ticker) })
}

#[cfg(test)]
mod tests {
    use crate::component::admission::Contract::{AsyncSource, Source};
    use crate::{Admission, Runtime};

    #[test]
    fn any_patch_version_of_its_wasi_is_offered_to_a_source_and_nothing_else() {
        assert!(Source.offers("wasi:http/types@0.2.0"));
        assert!(Source.offers("wasi:io/poll@0.2.12"));
        assert!(AsyncSource.offers("wasi:http/types@0.3.0"));
        assert!(AsyncSource.offers("wasi:http/client@0.3.2"));
        assert!(AsyncSource.offers("pipeline:source/source@0.1.0"));
        for no in [
            "wasi:http/handler@0.3.0",
            "wasi:http/client@0.3.0-rc-2026-03-15",
            "wasi:http/types@0.2.0",
            "wasi:clocks/timezone@0.3.0",
            "pipeline:source/async-source@0.1.0",
        ] {
            assert!(!AsyncSource.offers(no), "{no}");
        }
        for no in [
            "wasi:cli/environment@0.2.0",
            "wasi:filesystem/types@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:random/random@0.2.0",
            "wasi:http/types@0.3.0",
            "wasi:http/types@0.2.0-rc.1",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:http/types",
            "pipeline:source/source@0.1.0",
        ] {
            assert!(!Source.offers(no), "{no}");
        }
    }

    async fn refusal(name: &str, content: &[u8]) -> String {
        let runtime = Runtime::new().unwrap();
        runtime.load_bytes(name, content.to_owned(), &Admission::default()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_missing_component_is_named() {
        let loaded = Runtime::new().unwrap().load("no/such.wasm", &Admission::default()).await;
        let error = loaded.unwrap_err().to_string();
        assert!(error.contains("no/such.wasm") && error.contains("No such file"), "{error}");
    }

    #[tokio::test]
    async fn what_a_component_imports_is_read_before_it_is_compiled() {
        // Its function lacks the number that it has to return, as whoever compiles it notices.
        let content = |import: &str| {
            test_guests::from_text(&format!("(component {import} (core module (func (result i32))))"))
                .unwrap()
        };
        let error = refusal("c.wasm", &content("")).await;
        assert!(!error.contains("imports"), "{error}");
        let error = refusal("c.wasm", &content(r#"(import "wasi:filesystem/types@0.2.0" (instance))"#)).await;
        assert!(error.contains("it imports `wasi:filesystem/types@0.2.0`"), "{error}");
        // What a part of it imports comes from the component itself.
        let inner = r#"(component (import "anything" (instance)))"#;
        let error =
            refusal("c.wasm", &test_guests::from_text(&format!("(component {inner})")).unwrap()).await;
        assert!(error.contains("does not export"), "{error}");
    }

    #[tokio::test]
    async fn a_core_module_and_other_files_are_told_apart() {
        let module = refusal("m.wasm", b"\0asm\x01\0\0\0").await;
        assert!(module.contains("core module"), "{module}");
        let text = refusal("t.txt", b"hello").await;
        assert!(text.contains("not WebAssembly"), "{text}");
    }

    #[tokio::test]
    async fn a_component_without_the_contract_is_no_source() {
        let error = refusal("c.wasm", b"\0asm\x0d\0\x01\0").await;
        assert!(error.contains("does not export") && error.contains("pipeline:source"), "{error}");
    }
}
