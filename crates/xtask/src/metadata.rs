//! What a component says of itself beside its code: sections by the names that registries use too, as `wasm-tools metadata` shows them.
//!
//! All of it comes from the package that it is built of, and none from the machine: the same commit gives the same bytes in any folder. The
//! revision is the last commit that changed something that the component is made of, so that a commit of documentation changes nothing. It
//! stays out where git does not know it: outside a repository, in a clone without history, and while something is not committed.

use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// What besides its crates decides how a component comes out.
const ALSO: [&str; 6] = [".cargo", "Cargo.lock", "Cargo.toml", "Makefile", "crates/xtask", "wit"];

/// Writes what is known of the package whose module this is.
pub fn write(component: &mut Vec<u8>, module: &Path) -> Result<()> {
    let stem = module.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem.replace('_', "-");
    let workspace = workspace()?;
    let package =
        find(&workspace, &name).with_context(|| format!("there is no package {name} in this workspace"))?;
    let text = |key: &str| package.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    named(component, &name);
    for (section, key) in [
        ("description", "description"),
        ("version", "version"),
        ("licenses", "license"),
        ("source", "repository"),
    ] {
        if let Some(text) = text(key) {
            annotate(component, section, text.as_bytes());
        }
    }
    match revision(&workspace, &name) {
        Ok(revision) => annotate(component, "revision", revision.as_bytes()),
        Err(why) => eprintln!("{name}: no revision is written into it, for {why}"),
    }
    Ok(())
}

/// What cargo knows of the packages here.
pub fn workspace() -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .context("cargo cannot be asked")?;
    anyhow::ensure!(output.status.success(), "cargo: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn find<'a>(workspace: &'a Value, name: &str) -> Option<&'a Value> {
    workspace["packages"].as_array()?.iter().find(|package| package["name"] == name)
}

/// The folders of a package, and of all that it is built of here. What it is tested with is none of that.
fn folders(workspace: &Value, name: &str, found: &mut BTreeSet<PathBuf>) {
    let Some(package) = find(workspace, name) else { return };
    let manifest = package["manifest_path"].as_str().map(Path::new);
    if !manifest.and_then(Path::parent).is_some_and(|folder| found.insert(folder.to_owned())) {
        return;
    }
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    for dependency in dependencies.filter(|one| one["path"].is_string() && one["kind"] != "dev") {
        folders(workspace, dependency["name"].as_str().unwrap_or_default(), found);
    }
}

/// The last commit that changed what a package is built of.
///
/// # Errors
///
/// Why it is not known.
fn revision(workspace: &Value, name: &str) -> Result<String, String> {
    let root = workspace["workspace_root"].as_str().unwrap_or(".");
    let git = |arguments: &[&str], paths: &[PathBuf]| {
        let output = Command::new("git").current_dir(root).args(arguments).arg("--").args(paths).output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let mut paths = BTreeSet::new();
    folders(workspace, name, &mut paths);
    paths.extend(ALSO.iter().map(|path| Path::new(root).join(path)));
    let paths: Vec<PathBuf> = paths.into_iter().filter(|path| path.exists()).collect();
    match git(&["rev-parse", "--is-shallow-repository"], &[])
        .as_deref()
        .map(|text| text.lines().next().unwrap_or_default())
    {
        None => return Err("this is no git repository".into()),
        Some("true") => return Err("this clone has no history".into()),
        Some(_) => {}
    }
    let changed = git(&["status", "--porcelain"], &paths).ok_or("git does not say what has changed")?;
    if !changed.is_empty() {
        return Err("something that it is made of is not committed".into());
    }
    git(&["log", "-1", "--format=%H"], &paths)
        .filter(|hash| !hash.is_empty())
        .ok_or_else(|| "git has no commit of it".into())
}

/// Appends a custom section with this name and this content.
fn annotate(component: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut section = Vec::new();
    text(&mut section, name.as_bytes());
    section.extend_from_slice(content);
    component.push(0);
    text(component, &section);
}

/// Appends the section that names a component: a part with the number 0, which holds a text.
fn named(component: &mut Vec<u8>, name: &str) {
    let mut part = Vec::new();
    text(&mut part, name.as_bytes());
    let mut section = vec![0];
    text(&mut section, &part);
    annotate(component, "component-name", &section);
}

/// Bytes with their length before them.
fn text(out: &mut Vec<u8>, content: &[u8]) {
    length(out, content.len());
    out.extend_from_slice(content);
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
