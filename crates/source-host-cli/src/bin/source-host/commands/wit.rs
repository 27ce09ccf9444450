//! A WIT package as it travels: in its binary form, with all that it depends on.

use std::collections::BTreeSet;
use std::path::Path;

use component_registry::Package;
use wit_parser::{Resolve, WorldKey};

use super::exit::Exit;

/// The package of a folder, and what it is called: `pipeline:source@0.1.0`.
pub(super) fn package(folder: &Path) -> Result<(Package, String), Exit> {
    let no = |error: &dyn std::fmt::Display| {
        Exit::mistake(format!("{} is no WIT package: {error}", folder.display()))
    };
    let mut resolve = Resolve::default();
    let (id, _) = resolve.push_dir(folder).map_err(|error| no(&format!("{error:#}")))?;
    let content = wit_component::encode(&resolve, id, false).map_err(|error| no(&format!("{error:#}")))?;
    let of = resolve.packages.get(id).ok_or_else(|| no(&"it has no package"))?;
    let name = of.name.to_string();
    // What it offers is its interfaces, and what its worlds export.
    let mut exports: BTreeSet<String> =
        of.interfaces.values().filter_map(|interface| resolve.id_of(*interface)).collect();
    for (world, id) in &of.worlds {
        exports.insert(of.name.interface_id(world));
        let exported = resolve.worlds.get(*id).into_iter().flat_map(|world| world.exports.keys());
        exports.extend(exported.map(|key: &WorldKey| resolve.name_world_key(key)));
    }
    let version = of.name.version.as_ref().map(ToString::to_string);
    let said = [("title", Some(name.clone())), ("version", version)];
    let annotations =
        said.into_iter().filter_map(|(key, text)| Some((format!("org.opencontainers.image.{key}"), text?)));
    let (exports, annotations) = (exports.into_iter().collect(), annotations.collect());
    Ok((Package { content, exports, annotations, ..Package::default() }, name))
}
