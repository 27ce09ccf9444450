//! What a component has to be before any of it is compiled, let alone run.
//!
//! The threat: a file that is no component and has no end; one whose compilation takes more memory or time than the host has;
//! one that is not the component that the operator looked at. So a file is read up to a limit, hashed and held against a
//! digest or a signature, its imports are held against what a source gets, and its sections are counted, all before the compiler and its cache see a byte. What compiling costs
//! grows with the number of functions and, faster, with the length of the longest (200,000 of them took 1.07 GiB, one of 2 MB
//! 417 MiB and 33 s), so both have limits of their own. What is still costly is for the bounds of `compiler` to stop.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use wasmparser::{BinaryReaderError, ComponentName, KnownCustom, Parser, Payload};

use super::digest::Digest;
use super::keys::PublicKey;
use crate::contract::printable;
use crate::error::Error;
use crate::units::{bytes, grouped};

/// What a component has to be. [`Admission::default`] fits components that were written in a compiled language.
///
/// ```
/// use source_host::Admission;
///
/// let mut admission = Admission::default();
/// admission.component_bytes = 16 << 20;
/// admission.digest = Some("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".parse()?);
/// # Ok::<(), source_host::DigestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// Bytes of the component. Default 32 MiB.
    pub component_bytes: u64,
    /// Functions that are compiled. Default 40,000.
    pub functions: u64,
    /// Bytes of the longest function. Default 256 KiB.
    pub function_bytes: u64,
    /// Bytes of all functions. Default 8 MiB.
    pub code_bytes: u64,
    /// All else that is declared: types, imports, exports, globals, instances. Default 100,000.
    pub declarations: u64,
    /// Wall-clock time of compiling it, by a [`crate::Compiler`] that is a child. Default 60 s.
    pub compile_time: Duration,
    /// Address space for compiling it, by a [`crate::Compiler`] that is a child. Default 2 GiB.
    pub compile_memory: u64,
    /// Whether a component for WASI 0.3 is run (`pipeline:source/async-source`). Default no: wasmtime 48 promises no security
    /// fixes for what is new in it.
    pub wasi_0_3: bool,
    /// The component itself, by its SHA-256.
    pub digest: Option<Digest>,
    /// Who must have signed it.
    pub signed_by: Option<PublicKey>,
}

/// Which contract a component speaks, and so which WASI it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// WASI 0.2: who calls it waits with it.
    Source,
    /// WASI 0.3: a component that waits holds nobody up.
    AsyncSource,
}

impl Contract {
    /// What a component exports that speaks it.
    pub(super) fn export(self) -> &'static str {
        match self {
            Self::Source => "pipeline:source/source@0.1.0",
            Self::AsyncSource => "pipeline:source/async-source@0.1.0",
        }
    }

    /// That of a component which exports these.
    fn of<'a>(exports: impl IntoIterator<Item = &'a str>) -> Self {
        let asynchronous =
            exports.into_iter().any(|export| export.starts_with("pipeline:source/async-source"));
        if asynchronous { Self::AsyncSource } else { Self::Source }
    }

    /// Why a component which exports these does not speak it.
    pub(super) fn missing<'a>(self, exports: impl IntoIterator<Item = &'a str>) -> String {
        let own = self.export();
        let (interface, _) = own.split_once('@').unwrap_or((own, ""));
        match exports.into_iter().find(|export| export.starts_with(interface)) {
            Some(other) => format!("it speaks `{other}` and this host speaks `{own}`; use versions that fit"),
            None => format!("it does not export `{own}`, so it is not a source"),
        }
    }

    /// Interfaces that it may import, and how the version of each begins.
    fn imports(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Source => &[
                ("wasi:clocks/monotonic-clock", "0.2."),
                ("wasi:clocks/wall-clock", "0.2."),
                ("wasi:http/outgoing-handler", "0.2."),
                ("wasi:http/types", "0.2."),
                ("wasi:io/error", "0.2."),
                ("wasi:io/poll", "0.2."),
                ("wasi:io/streams", "0.2."),
            ],
            Self::AsyncSource => &[
                // Types alone: nothing is linked under this name.
                ("pipeline:source/source", "0.1."),
                ("wasi:clocks/monotonic-clock", "0.3."),
                ("wasi:clocks/system-clock", "0.3."),
                ("wasi:clocks/types", "0.3."),
                ("wasi:http/client", "0.3."),
                ("wasi:http/types", "0.3."),
            ],
        }
    }

    pub(super) fn offers(self, import: &str) -> bool {
        let Some((interface, version)) = import.split_once('@') else { return false };
        self.imports().iter().any(|(offered, track)| {
            let patch = version.strip_prefix(track).filter(|_| *offered == interface);
            patch.is_some_and(|patch| patch.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }

    /// Whether a source gets all these imports.
    ///
    /// # Errors
    ///
    /// Which it does not get. Names come from the component.
    pub(super) fn offered<'a>(self, imports: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let mut beyond: Vec<&str> = imports.into_iter().filter(|import| !self.offers(import)).collect();
        if beyond.is_empty() {
            return Ok(());
        }
        beyond.sort_unstable();
        let gets = match self {
            Self::Source => "wasi:http/outgoing-handler, wasi:clocks and what they need, at 0.2",
            Self::AsyncSource => "wasi:http/client, wasi:clocks and what they need, at 0.3",
        };
        Err(format!(
            "it imports `{}`, which a source does not get; `{}` gets {gets}",
            beyond.join("`, `"),
            self.export()
        ))
    }
}

/// What is known of a component before it is compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inspected {
    pub(super) digest: Digest,
    pub(super) contract: Contract,
}

/// Which contract a component speaks. One that was not inspected may be anything.
pub(super) fn contract(content: &[u8]) -> Contract {
    Contract::of(exports(content).iter().map(String::as_str))
}

/// What it exports at its outermost level.
fn exports(content: &[u8]) -> Vec<String> {
    let mut exports = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(content).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                let named = section.into_iter().map_while(Result::ok);
                exports.extend(named.map(|export| export.name.full_name().to_string()));
            }
            _ => {}
        }
    }
    exports
}

impl Admission {
    /// Looks at a component as far as that goes without compiling it: size, digest, signature, imports, the contract, and what
    /// compiling it would cost. `name` is for messages. For who takes a component from elsewhere, before it is put anywhere.
    ///
    /// ```
    /// let cut = b"\0asm\x0d\0\x01\0\x01";
    /// let error = source_host::Admission::default().examine("source.wasm", cut, None).unwrap_err();
    /// assert!(error.to_string().contains("it is damaged"), "{error}");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotAdmitted`].
    pub fn examine(&self, name: &str, content: &[u8], signature: Option<&[u8]>) -> Result<Digest, Error> {
        examine(content, signature, self)
            .map_err(|reason| Error::NotAdmitted { name: name.to_owned(), reason: printable(reason) })
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            component_bytes: 32 << 20,
            functions: 40_000,
            function_bytes: 256 << 10,
            code_bytes: 8 << 20,
            declarations: 100_000,
            compile_time: Duration::from_secs(60),
            compile_memory: 2 << 30,
            wasi_0_3: false,
            digest: None,
            signed_by: None,
        }
    }
}

/// Reads a component's file as far as it may reach. A device or a pipe, which may have no end, is none.
pub(crate) fn read(path: &Path, admission: &Admission) -> io::Result<Result<Vec<u8>, String>> {
    // Opening a pipe would wait for somebody to write to it.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Err("it is not a file".to_owned()));
    }
    let mut content = Vec::new();
    File::open(path)?.take(admission.component_bytes + 1).read_to_end(&mut content)?;
    Ok(fits(content.len(), admission).map(|()| content))
}

fn fits(length: usize, admission: &Admission) -> Result<(), String> {
    if length as u64 > admission.component_bytes {
        let limit = bytes(admission.component_bytes);
        return Err(format!("it is larger than its limit of {limit} (`component_bytes`)"));
    }
    Ok(())
}

/// Looks at a component before it is compiled.
///
/// # Errors
///
/// Why it is not admitted.
pub(crate) fn inspect(
    content: &[u8],
    signature: Option<&[u8]>,
    admission: &Admission,
) -> Result<Inspected, String> {
    fits(content.len(), admission)?;
    let digest = Digest::of(content);
    if let Some(expected) = admission.digest.filter(|expected| *expected != digest) {
        return Err(format!("its digest is {digest}, and {expected} is expected"));
    }
    if let Some(key) = &admission.signed_by {
        let Some(signature) = signature else {
            return Err(
                "it has to be signed, and there is no signature beside it (its name with .sig)".into()
            );
        };
        if !key.has_signed(content, signature) {
            return Err("its signature is not one of the expected key over this file".into());
        }
    }
    match content {
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => {}
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => {
            return Err("it is a core module and not a component".into());
        }
        _ => return Err("it is not WebAssembly".into()),
    }
    let contract = survey(content, admission)?;
    if contract == Contract::AsyncSource && !admission.wasi_0_3 {
        return Err(
            "it is a component for WASI 0.3, which is not run unless the host is told to (`wasi_0_3`)".into(),
        );
    }
    Ok(Inspected { digest, contract })
}

/// The same, and that it exports the contract: what can be known of a component without compiling it.
pub(super) fn examine(
    content: &[u8],
    signature: Option<&[u8]>,
    admission: &Admission,
) -> Result<Digest, String> {
    let Inspected { digest, contract } = inspect(content, signature, admission)?;
    let exports = exports(content);
    if exports.iter().any(|export| export == contract.export()) {
        return Ok(digest);
    }
    Err(contract.missing(exports.iter().map(String::as_str)))
}

/// What a component says of itself beside its code: the annotations that registries know too, each a section of its own
/// at its outermost level (`version`, `licenses`, `source`, …), and its name.
pub(crate) fn annotations(content: &[u8]) -> BTreeMap<&'static str, String> {
    const KNOWN: [&str; 7] =
        ["authors", "description", "homepage", "licenses", "revision", "source", "version"];
    let mut found = BTreeMap::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(content).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                if let KnownCustom::ComponentName(parts) = section.as_known() {
                    let mut names = parts.into_iter().map_while(Result::ok);
                    if let Some(ComponentName::Component { name, .. }) = names.next() {
                        found.insert("name", printable(name.to_owned()));
                    }
                }
                let known = KNOWN.iter().find(|name| **name == section.name());
                if let (Some(name), Ok(text)) = (known, std::str::from_utf8(section.data())) {
                    found.insert(*name, printable(text.to_owned()));
                }
            }
            _ => {}
        }
    }
    found
}

fn damaged(error: BinaryReaderError) -> String {
    format!("it is damaged or was cut off; copy it again ({})", printable(error.to_string()))
}

/// Counts what it would cost to compile, without any of the work.
fn survey(content: &[u8], admission: &Admission) -> Result<Contract, String> {
    let (mut functions, mut declarations, mut longest, mut code) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut depth, mut imports, mut exports) = (0_u32, Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(content) {
        let payload = payload.map_err(damaged)?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // Those of what it consists of are its own affair. More than may be declared are not looked at.
            Payload::ComponentImportSection(section)
                if depth == 0 && u64::from(section.count()) <= admission.declarations =>
            {
                for import in section.clone() {
                    let import = import.map_err(damaged)?;
                    imports.push(import.name.full_name());
                }
            }
            Payload::ComponentExportSection(section)
                if depth == 0 && u64::from(section.count()) <= admission.declarations =>
            {
                for export in section.clone() {
                    let export = export.map_err(damaged)?;
                    exports.push(export.name.full_name());
                }
            }
            _ => {}
        }
        declarations += u64::from(match &payload {
            Payload::CodeSectionStart { count, .. } => {
                functions += u64::from(*count);
                0
            }
            Payload::CodeSectionEntry(body) => {
                longest = longest.max(body.as_bytes().len() as u64);
                code += body.as_bytes().len() as u64;
                0
            }
            Payload::TypeSection(section) => section.count(),
            Payload::ImportSection(section) => section.count(),
            Payload::TableSection(section) => section.count(),
            Payload::MemorySection(section) => section.count(),
            Payload::TagSection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            Payload::ExportSection(section) => section.count(),
            Payload::ElementSection(section) => section.count(),
            Payload::DataSection(section) => section.count(),
            Payload::InstanceSection(section) => section.count(),
            Payload::CoreTypeSection(section) => section.count(),
            Payload::ComponentInstanceSection(section) => section.count(),
            Payload::ComponentAliasSection(section) => section.count(),
            Payload::ComponentTypeSection(section) => section.count(),
            Payload::ComponentCanonicalSection(section) => section.count(),
            Payload::ComponentImportSection(section) => section.count(),
            Payload::ComponentExportSection(section) => section.count(),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => 1,
            _ => 0,
        });
        for (count, limit, what, name) in [
            (functions, admission.functions, "functions", "functions"),
            (declarations, admission.declarations, "declarations", "declarations"),
        ] {
            if count > limit {
                let (count, limit) = (grouped(count), grouped(limit));
                return Err(format!("it has {count} {what}, more than its limit of {limit} (`{name}`)"));
            }
        }
        if code > admission.code_bytes {
            let limit = bytes(admission.code_bytes);
            return Err(format!("its functions are longer than their limit of {limit} (`code_bytes`)"));
        }
        if longest > admission.function_bytes {
            let (longest, limit) = (bytes(longest), bytes(admission.function_bytes));
            return Err(format!(
                "it has a function of {longest}, more than its limit of {limit} (`function_bytes`)"
            ));
        }
    }
    let contract = Contract::of(exports.iter().map(AsRef::as_ref));
    contract.offered(imports.iter().map(AsRef::as_ref))?;
    Ok(contract)
}
