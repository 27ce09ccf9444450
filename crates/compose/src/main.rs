//! Three components to one: a source, the gate, and the command that polls it.
//!
//! ```text
//!              ┌─────────────────────────────────────────┐
//!  files,      │ command ──► source ──► gate ────────────┼─► HTTP of the host
//!  streams  ◄──┤    └────────(rules)─────▲               │
//!              └─────────────────────────────────────────┘
//! ```
//!
//! What is not connected is imported from the host. The source has no import but clocks and HTTP types then, and the files of
//! the command are not within its reach.

use anyhow::{Context, Result, bail};
use std::{env, fs};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId, types::Package};

const SOURCE: &str = "pipeline:source/source@0.1.0";
const EGRESS: &str = "pipeline:command/egress@0.1.0";
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.0";
const RUN: &str = "wasi:cli/run@0.2.0";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [command, gate, source, composed] = arguments.as_slice() else {
        bail!(
            "usage: compose COMMAND GATE SOURCE COMPOSED: three components, and where the composition goes"
        );
    };
    let read = |path: &String| fs::read(path).with_context(|| format!("cannot read {path}"));
    let bytes = compose(read(command)?, read(gate)?, read(source)?)?;
    fs::write(composed, &bytes).with_context(|| format!("cannot write {composed}"))?;
    println!("{composed}: {} KiB", bytes.len().div_ceil(1024));
    Ok(())
}

/// The bytes of the composition, of those of three components.
fn compose(command: Vec<u8>, gate: Vec<u8>, source: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let command = register(&mut graph, "pipeline:command", command)?;
    let gate = register(&mut graph, "pipeline:gate", gate)?;
    let source = register(&mut graph, "pipeline:source", source)?;
    let (command, gate, source) =
        (graph.instantiate(command), graph.instantiate(gate), graph.instantiate(source));
    connect(&mut graph, gate, HANDLER, source)?;
    connect(&mut graph, source, SOURCE, command)?;
    connect(&mut graph, gate, EGRESS, command)?;
    let run = graph.alias_instance_export(command, RUN)?;
    graph.export(run, RUN)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

fn register(graph: &mut CompositionGraph, name: &str, component: Vec<u8>) -> Result<PackageId> {
    let package = Package::from_bytes(name, None, component, graph.types_mut())
        .with_context(|| format!("{name} is no component"))?;
    Ok(graph.register_package(package)?)
}

/// Gives one's export to the other, which imports it under the same name.
fn connect(graph: &mut CompositionGraph, from: NodeId, name: &str, to: NodeId) -> Result<()> {
    let export = graph.alias_instance_export(from, name)?;
    graph.set_instantiation_argument(to, name, export).with_context(|| format!("{name} does not fit"))
}
