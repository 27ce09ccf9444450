//! What make needs in Rust.

mod metadata;
mod sbom;
mod sizes;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::{
    fs,
    path::{Path, PathBuf},
};

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
    /// Writes what each thing that is handed out consists of: a CycloneDX document for each.
    Sbom {
        /// The program cargo-cyclonedx.
        program: PathBuf,
        /// The folder for the documents.
        folder: PathBuf,
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
        Task::Sbom { program, folder } => sbom::write(&program, &folder),
        Task::Sizes { module } => sizes::print(&module),
    }
}

/// The WIT stands in a section of the module that `wit_bindgen::generate!` wrote. What it is comes from the package of that name. A
/// component that is there already, as it would be made, is left alone, so that what is made of it is not made anew.
fn componentize(module: &Path, component: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut encoded = wit_component::ComponentEncoder::default().validate(true).module(&bytes)?.encode()?;
    metadata::write(&mut encoded, module)?;
    if fs::read(component).is_ok_and(|there| there == encoded) {
        return Ok(());
    }
    if let Some(folder) = component.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(component, &encoded).with_context(|| format!("cannot write {}", component.display()))?;
    println!("{}: {} KiB", component.display(), encoded.len().div_ceil(1024));
    Ok(())
}
