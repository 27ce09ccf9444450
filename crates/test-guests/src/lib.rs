//! Components for the tests of hosts, made from text.

use anyhow::{Context as _, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A module or a component that is written down as text.
///
/// # Errors
/// If the text is none.
pub fn from_text(text: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(text)?)
}

/// `guest.wat` as a component that imports nothing and exports the contract. What `poll` does is chosen by the first letter
/// of the state.
///
/// # Errors
/// If the text is no longer one that fits the contract.
pub fn component() -> Result<Vec<u8>> {
    let mut module = wat::parse_str(include_str!("guest.wat"))?;
    let mut resolve = Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).context("the contract")?;
    let package =
        resolve.push_str("world.wit", "package t:t; world w { export pipeline:source/source@0.1.0; }")?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}
