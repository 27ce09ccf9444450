//! What of a module takes how much space, crate by crate.

use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs, ops::Range, path::Path};
use wasmparser::{KnownCustom, Name, Parser, Payload};

/// Prints the code of a module by crate, and its data. The module must have kept its names.
pub fn print(module: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let (mut imports, mut bodies, mut names, mut data) = (0, Vec::new(), BTreeMap::new(), 0u64);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload? {
            Payload::ImportSection(section) => {
                imports =
                    section.into_imports().filter(|import| import.as_ref().is_ok_and(is_function)).count();
            }
            Payload::CodeSectionEntry(body) => bodies.push(length(&body.range())),
            Payload::DataSection(section) => data = length(&section.range()),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(section) = section.as_known() {
                    for name in section {
                        if let Name::Function(functions) = name? {
                            for naming in functions {
                                let naming = naming?;
                                names.insert(naming.index as usize, naming.name.to_owned());
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    anyhow::ensure!(!names.is_empty(), "{} has no names: build it with `make sizes`", module.display());
    let mut crates: BTreeMap<String, u64> = BTreeMap::new();
    for (nth, size) in bodies.iter().enumerate() {
        let name = names.get(&(imports + nth)).map_or("", String::as_str);
        *crates.entry(crate_of(name)).or_default() += size;
    }
    let mut rows: Vec<(String, u64)> = crates.into_iter().collect();
    rows.push((String::from("(data: texts, tables)"), data));
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let all: u64 = rows.iter().map(|(_, size)| size).sum();
    let (large, small): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, size)| *size >= all / 200);
    let rest = (format!("({} more)", small.len()), small.iter().map(|(_, size)| size).sum());
    for (name, size) in large.into_iter().chain([&rest]) {
        println!("{size:>9} {:>5.1} %  {name}", 100.0 * *size as f64 / all as f64);
    }
    println!("{all:>9}          all of code and data");
    Ok(())
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

fn is_function(import: &wasmparser::Import<'_>) -> bool {
    matches!(import.ty, wasmparser::TypeRef::Func(_))
}

/// The crate that a mangled name begins with: of an implementation, that of the first path in it.
fn crate_of(name: &str) -> String {
    let found = match name.strip_prefix("_ZN") {
        // The older scheme: identifiers with their lengths, and `_$LT$documents..bytes..csv..Rows$GT$`.
        Some(path) => identifier(path).map(|first| match first.split_once("..") {
            Some((before, _)) => before.rsplit('$').next().unwrap_or_default().trim_start_matches('_'),
            None => first,
        }),
        // RFC 2603: a crate is `C`, what tells it from others of its name (`s`, digits and letters, `_`), and an identifier.
        None => name.match_indices("Cs").find_map(|(at, _)| identifier(name[at + 2..].split_once('_')?.1)),
    };
    match found {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => String::from("(others)"),
    }
}

/// The identifier that a text begins with, behind its length.
fn identifier(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (length, rest) = text.split_at(digits);
    rest.strip_prefix('_').filter(|rest| !rest.starts_with('$')).unwrap_or(rest).get(..length.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::crate_of;

    #[test]
    fn the_crate_of_a_function_is_read_off_its_name() {
        for (name, expected) in [
            ("_ZN9documents6mapper6Mapper5write17h3f662125ad4588ceE", "documents"),
            (
                "_ZN54_$LT$collector..io..Body$u20$as$u20$std..io..Read$GT$4read17h967adc5a1d9e1b2eE",
                "collector",
            ),
            (
                "_ZN60_$LT$serde_json..error..Error$u20$as$u20$core..fmt..Debug$GT$3fmt17h967adc5a1d9e1b2eE",
                "serde_json",
            ),
            ("_RNvNtNtCsgXGp5Oqx2Ny_4core3str8converts9from_utf8", "core"),
            ("_RNvMs0_NtCsjqx8TIyZbP9_8dlmalloc8dlmalloc", "dlmalloc"),
            ("memcmp", "(others)"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }
}
