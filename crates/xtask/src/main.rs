//! What make needs in Rust.

mod sizes;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::{fs, path::PathBuf};

#[derive(Parser)]
#[command(about = "What make needs in Rust", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes a component of a core module that was compiled for wasm32-unknown-unknown.
    Componentize {
        /// The core module.
        module: PathBuf,
        /// Where the component goes.
        component: PathBuf,
    },
    /// Prints which crates the code of a core module comes from, and how much of it.
    Sizes {
        /// The core module, with its names.
        module: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Componentize { module, component } => componentize(&module, &component),
        Task::Sizes { module } => sizes::print(&module),
    }
}

/// Appends a section that tools and registries show: a custom section with this name, whose content is the text.
fn annotate(component: &mut Vec<u8>, name: &str, text: &str) {
    let mut section = Vec::new();
    length(&mut section, name.len());
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(text.as_bytes());
    component.push(0);
    length(component, section.len());
    component.extend_from_slice(&section);
}

/// A length as WebAssembly writes it: seven bits a byte, the low ones first (LEB128).
fn length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The WIT stands in a section of the module that `wit_bindgen::generate!` wrote, so nothing else is needed.
fn componentize(module: &PathBuf, component: &PathBuf) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut encoded = wit_component::ComponentEncoder::default().validate(true).module(&bytes)?.encode()?;
    annotate(&mut encoded, "version", env!("CARGO_PKG_VERSION"));
    annotate(&mut encoded, "licenses", env!("CARGO_PKG_LICENSE"));
    if let Some(folder) = component.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(component, &encoded).with_context(|| format!("cannot write {}", component.display()))?;
    println!("{}: {} KiB", component.display(), encoded.len().div_ceil(1024));
    Ok(())
}
