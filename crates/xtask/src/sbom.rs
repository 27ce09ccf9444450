//! What is handed out, and of which crates each consists: CycloneDX documents, made by cargo-cyclonedx.

use crate::metadata;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The packages whose products are handed out, and what each is compiled for. The command is composed of a source and two of these.
const PRODUCTS: [(&str, &str); 6] = [
    ("salesforce-source", "wasm32-unknown-unknown"),
    ("salesforce-source-p3", "wasm32-unknown-unknown"),
    ("source-command", "wasm32-unknown-unknown"),
    ("egress-gate", "wasm32-unknown-unknown"),
    ("source-host-cli", "x86_64-unknown-linux-gnu"),
    ("event-view", "x86_64-unknown-linux-gnu"),
];

/// Writes a document for each into the folder: `salesforce-source.cdx.json`.
pub fn write(program: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let workspace = metadata::workspace()?;
    let root = workspace["workspace_root"].as_str().context("there is no workspace")?;
    for (name, target) in PRODUCTS {
        let package = workspace["packages"].as_array().into_iter().flatten().find(|one| one["name"] == name);
        let manifest = package.and_then(|package| package["manifest_path"].as_str()).map(PathBuf::from);
        let manifest = manifest.with_context(|| format!("there is no package {name}"))?;
        let made = manifest.with_file_name(format!("{name}.cdx.json"));
        let status = Command::new(program)
            .args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--quiet", "--no-build-deps"])
            .args(["--target", target, "--override-filename", &format!("{name}.cdx"), "--manifest-path"])
            .arg(&manifest)
            // It names the time and a number of its own otherwise: the same sources give the same document.
            .env("SOURCE_DATE_EPOCH", "0")
            .status()
            .with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(status.success(), "cargo-cyclonedx failed for {name}");
        let text = fs::read_to_string(&made).with_context(|| format!("cannot read {}", made.display()))?;
        // Where it was made is nobody's business.
        let text = text.replace(root, "");
        let document: Value = serde_json::from_str(&text)?;
        let components = document["components"].as_array().map_or(0, Vec::len);
        ensure!(components > 0, "the document of {name} has no components");
        let to = folder.join(format!("{name}.cdx.json"));
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
        println!("{}: {components} crates", to.display());
    }
    // It writes one beside each member of the workspace.
    for package in workspace["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().map(PathBuf::from).unwrap_or_default();
        for (name, _) in PRODUCTS {
            let _ = fs::remove_file(manifest.with_file_name(format!("{name}.cdx.json")));
        }
    }
    Ok(())
}
