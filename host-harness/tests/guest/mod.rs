//! A source for tests, made from text.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// `guest.wat` as a component that imports nothing and exports the contract.
pub fn component() -> Vec<u8> {
    let mut module = wat::parse_str(include_str!("guest.wat")).unwrap();
    let mut resolve = Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap();
    let package = resolve
        .push_str("world.wit", "package t:t; world w { export pipeline:source/source@0.1.0; }")
        .unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
