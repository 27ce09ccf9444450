//! Who knows whom: the sources are read, and their imports held against what each crate says of itself.
//!
//! Each library says in one sentence of its `lib.rs` which of its modules stand on which, from the bottom up. A module may use
//! what stands below it, and what lies in its own folder, as long as no circle comes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const CRATES: [&str; 8] = [
    "crates/redaction",
    "crates/documents",
    "crates/collector",
    "crates/component",
    "crates/salesforce-sim",
    "crates/event-output",
    "host-harness",
    "crates/source-host-cli",
];
/// Those that are large enough to have floors.
const FLOORS: [&str; 6] = [
    "crates/documents",
    "crates/collector",
    "crates/salesforce-sim",
    "crates/event-output",
    "host-harness",
    "crates/source-host-cli",
];
const SENTENCE: &str = "Each of these knows only what stands below it:";

type Module = Vec<String>;

/// The modules of a crate, each with those that it uses.
fn imports(name: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut texts = BTreeMap::new();
    read(&top().join(name).join("src"), &mut Vec::new(), &mut texts);
    let modules: BTreeSet<Module> = texts.keys().cloned().collect();
    let used = |(module, text): (&Module, &String)| {
        let children =
            modules.iter().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
        let calls = children.filter(|child| calls(text, &child[module.len()])).cloned();
        let paths = paths(text).into_iter().filter_map(|path| {
            let found = resolved(module, &path, &modules);
            // What the library hands out at its root may come from any floor.
            let at_root = path.len() > 1 && path[0] == "crate" && found.is_none() && FLOORS.contains(&name);
            assert!(!at_root, "{}: {} is not named by its module", module.join("::"), path.join("::"));
            found
        });
        (module.clone(), paths.chain(calls).filter(|other| other != module).collect())
    };
    texts.iter().map(used).collect()
}

/// Reads what lies in a folder. Programs are no modules of the library.
fn read(folder: &Path, within: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let is_program = within.is_empty() && matches!(&*stem, "bin" | "main" | "lib");
        if is_program {
            continue;
        }
        within.push(stem);
        if path.is_dir() {
            read(&path, within, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut module = within.clone();
            module.pop_if(|name| name == "mod");
            texts.insert(module, without_comments_and_tests(&fs::read_to_string(&path).expect("a source")));
        }
        within.pop();
    }
}

/// Whether something of a module of the own folder is named with its path.
fn calls(text: &str, child: &str) -> bool {
    text.match_indices(&format!("{child}::")).any(|(at, _)| {
        !text[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':'))
            || text[..at].ends_with("self::")
    })
}

fn without_comments_and_tests(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let text = text.split("#[cfg(test)]\npub mod tests").next().unwrap_or_default();
    // Two slashes behind a colon stand in an address.
    let code = |line: &str| {
        let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
        line[..comment.map_or(line.len(), |(at, _)| at)].to_owned()
    };
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// All paths that are imported, and those that begin with `crate` or `super` wherever they stand.
fn paths(text: &str) -> Vec<Module> {
    let mut paths = Vec::new();
    for (start, _) in text.match_indices("use ") {
        let is_word = text[..start].ends_with(['\n', ' ', '(']) || start == 0;
        let tree = text[start + 4..].split(';').next().unwrap_or_default();
        if is_word && !tree.contains(['=', '#']) {
            branches(&mut Vec::new(), tree, &mut paths);
        }
    }
    for root in ["crate::", "super::"] {
        for (start, _) in text.match_indices(root) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let path: String = text[start..].chars().take_while(|c| is_name(*c)).collect();
            // A tree goes on behind it, and was read as one.
            if !path.ends_with("::") {
                paths.push(segments(&path));
            }
        }
    }
    paths
}

fn segments(path: &str) -> Module {
    let path = path.split(" as ").next().unwrap_or_default();
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The paths of a tree such as `crate::{a, b::{self, C}}`.
fn branches(before: &mut Module, tree: &str, paths: &mut Vec<Module>) {
    let Some((stem, rest)) = tree.split_once('{') else {
        return paths.push([&before[..], &segments(tree)].concat());
    };
    let length = before.len();
    before.extend(segments(stem));
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches(before, &inside[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        branches(before, &inside[start..], paths);
    }
    before.truncate(length);
}

/// The module of this crate that a path leads to.
fn resolved(module: &Module, path: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut target = match &**first {
        "crate" => rest.to_vec(),
        "super" => {
            let up = path.iter().take_while(|name| *name == "super").count();
            [&module[..module.len().saturating_sub(up)], &path[up..]].concat()
        }
        "self" => [&module[..], rest].concat(),
        // A module of its own folder, or another crate.
        _ => [&module[..], path].concat(),
    };
    let is_own = |target: &Module| target.len() > module.len() || !target.starts_with(module);
    while !target.is_empty() && !modules.contains(&target) {
        target.pop();
    }
    (!target.is_empty() && is_own(&target)).then_some(target)
}

/// The modules that lie on a circle.
fn circle(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut left = imports.clone();
    loop {
        let free: Vec<Module> = left
            .iter()
            .filter(|(_, uses)| !uses.iter().any(|module| left.contains_key(module)))
            .map(|(module, _)| module.clone())
            .collect();
        if free.is_empty() {
            return left.keys().map(|module| module.join("::")).collect();
        }
        left.retain(|module, _| !free.contains(module));
    }
}

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn no_module_is_part_of_a_circle() {
    for name in CRATES {
        let imports = imports(name);
        let edges: usize = imports.values().map(BTreeSet::len).sum();
        assert!(edges >= imports.len() / 2, "{name}: {edges} imports of {} modules were read", imports.len());
        assert_eq!(circle(&imports), [""; 0], "{name}");
    }
}

#[test]
fn every_module_knows_only_what_its_crate_says_stands_below_it() {
    for name in FLOORS {
        let library = fs::read_to_string(top().join(name).join("src/lib.rs")).expect("a library");
        let library = library.replace("\n//! ", " ");
        let (_, said) =
            library.split_once(SENTENCE).unwrap_or_else(|| panic!("{name} says nothing of its floors"));
        let said = said.split('.').next().unwrap_or_default();
        let floors: BTreeMap<&str, usize> = said
            .split(';')
            .enumerate()
            .flat_map(|(floor, names)| names.split('`').skip(1).step_by(2).map(move |name| (name, floor)))
            .collect();
        let imports = imports(name);
        let own: BTreeSet<&str> = imports.keys().map(|module| &*module[0]).collect();
        assert_eq!(own, floors.keys().copied().collect(), "{name}: the modules, and those that are told");
        for (module, uses) in &imports {
            for other in uses.iter().filter(|other| other[0] != module[0]) {
                let (from, to) = (floors[&*module[0]], floors[&*other[0]]);
                assert!(to < from, "{name}: {} uses {}", module.join("::"), other.join("::"));
            }
        }
    }
}

#[test]
fn a_circle_and_an_arrow_upwards_are_seen() {
    let module = |name: &str| segments(name);
    let all: BTreeSet<Module> = ["a", "a::b", "c", "d"].map(module).into();
    let text = "use crate::{c::{self, Thing}, d};\nuse b::Part;\nuse super::d as other;\nfn f() { crate::a::b::f() }";
    let found: BTreeSet<_> =
        paths(text).iter().filter_map(|path| resolved(&module("a"), path, &all)).collect();
    assert_eq!(found, ["a::b", "c", "d"].map(module).into());
    let edges = |uses: [(&str, &[&str]); 3]| {
        uses.map(|(one, others)| (module(one), others.iter().map(|other| module(other)).collect())).into()
    };
    assert_eq!(circle(&edges([("a", &["c"]), ("c", &["d"]), ("d", &["a"])])), ["a", "c", "d"]);
    assert_eq!(circle(&edges([("a", &["c", "d"]), ("c", &["d"]), ("d", &[])])), [""; 0]);
}
