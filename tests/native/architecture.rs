//! Who knows whom: the sources are read, and their imports held against what each crate says of itself.
//!
//! Each library says in one sentence of its `lib.rs` which of its modules stand on which, from the bottom up. A module may use
//! what stands below it, and what lies in its own folder, as long as no circle comes of it. A program is read as a tree of its
//! own, with its `main.rs` at the root.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const CRATES: [&str; 22] = [
    "crates/redaction",
    "crates/documents",
    "crates/collector",
    "crates/component",
    "crates/component-p3",
    "crates/salesforce-sim",
    "crates/event-output",
    "crates/event-view",
    "crates/fleet",
    "crates/state-store",
    "host-harness",
    "crates/component-registry",
    "crates/source-host-cli",
    "crates/hostile-source",
    "crates/reference-source",
    "crates/hostile-source-p3",
    "crates/source-command",
    "crates/egress-gate",
    "crates/compose",
    "crates/captured-log",
    "crates/test-guests",
    "crates/xtask",
];
/// Those whose library is large enough to have layers.
const LAYERED: [&str; 10] = [
    "crates/documents",
    "crates/collector",
    "crates/salesforce-sim",
    "crates/event-output",
    "crates/fleet",
    "crates/state-store",
    "host-harness",
    "crates/component-registry",
    "crates/source-host-cli",
    "crates/source-command",
];
const SENTENCE: &str = "Each of these knows only what stands below it:";

/// The path of a module. That of the root, `lib.rs` or `main.rs`, is empty.
type Module = Vec<String>;
/// The modules of a library or a program, each with those that it uses.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// The trees of modules of a crate: its library, if it has one, and its programs.
fn trees(name: &str) -> Vec<(String, Imports)> {
    let sources = top().join(name).join("src");
    let mut roots = vec![sources.clone()];
    if let Ok(programs) = fs::read_dir(sources.join("bin")) {
        roots.extend(programs.map(|entry| entry.expect("an entry").path()));
    }
    let tree = |root: PathBuf| {
        let called = root.strip_prefix(top()).expect("below the top").display().to_string();
        let imports = imports(&root);
        (called, imports)
    };
    roots.into_iter().map(tree).collect()
}

/// What is imported in the tree whose root lies in this folder, or is this file.
fn imports(root: &Path) -> Imports {
    let mut texts = BTreeMap::new();
    if root.is_dir() {
        read(root, &mut Vec::new(), &mut texts);
    } else {
        texts.insert(Vec::new(), source(root));
    }
    assert!(texts.contains_key(&[][..]), "{} has a root", root.display());
    borrow(root, &mut texts);
    let modules: BTreeSet<Module> = texts.keys().cloned().collect();
    let used = |(module, text): (&Module, &String)| {
        let children =
            modules.iter().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
        let calls = children.flat_map(|child| calls(text, &child[module.len()]));
        let used = paths(text).into_iter().chain(calls).filter_map(|path| resolved(module, &path, &modules));
        (module.clone(), used.filter(|other| other != module).collect())
    };
    texts.iter().map(used).collect()
}

/// Reads what lies in a folder. The programs in `bin` are no modules of the library.
fn read(folder: &Path, within: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        if within.is_empty() && stem == "bin" {
            continue;
        }
        let is_root = within.is_empty() && matches!(&*stem, "main" | "lib");
        within.push(stem);
        if path.is_dir() {
            read(&path, within, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut module = within.clone();
            module.pop_if(|name| is_root || name == "mod");
            let known = texts.insert(module, source(&path));
            assert!(known.is_none(), "{} is the only one of its module", path.display());
        }
        within.pop();
    }
}

/// Reads what the root takes from other crates: `#[path = "..."] mod name;`.
fn borrow(root: &Path, texts: &mut BTreeMap<Module, String>) {
    let own = texts[&[][..]].clone();
    for part in own.split("#[path = \"").skip(1) {
        let (path, rest) = part.split_once("\"]").expect("a path");
        let name = rest.trim_start().strip_prefix("mod ").and_then(|rest| rest.split(';').next());
        texts.insert(vec![name.expect("a module").to_owned()], source(&root.join(path)));
    }
}

fn source(path: &Path) -> String {
    without_comments_and_tests(&fs::read_to_string(path).expect("a source"))
}

/// The paths in a text that begin with a module of the own folder.
fn calls(text: &str, child: &str) -> Vec<Module> {
    let begins = |(at, _): &(usize, &str)| {
        !text[..*at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':'))
            || text[..*at].ends_with("self::")
    };
    text.match_indices(&format!("{child}::"))
        .filter(begins)
        .map(|(at, _)| segments(path_at(text, at)))
        .collect()
}

fn path_at(text: &str, start: usize) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text[start..].split(|c| !is_name(c)).next().unwrap_or_default()
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
            let path = path_at(text, start);
            // A tree goes on behind it, and was read as one.
            if !path.ends_with("::") {
                paths.push(segments(path));
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

/// The module of this tree that a path leads to.
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
    // What no module has stands at the root, or in another crate.
    let is_here = !target.is_empty() || matches!(&**first, "crate" | "super");
    (is_here && is_own(&target)).then_some(target)
}

/// The modules that lie on a circle.
fn circle(imports: &Imports) -> Vec<String> {
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
    let folders = fs::read_dir(top().join("crates")).expect("the crates");
    let there = folders.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let there: BTreeSet<String> = there.map(|name| format!("crates/{name}")).collect();
    let listed = CRATES.iter().filter(|name| name.starts_with("crates/"));
    assert_eq!(there, listed.map(|name| (*name).to_owned()).collect(), "the crates, and those that are read");
    for (called, imports) in CRATES.iter().flat_map(|name| trees(name)) {
        let edges: usize = imports.values().map(BTreeSet::len).sum();
        assert!(
            edges >= imports.len() / 2,
            "{called}: {edges} imports of {} modules were read",
            imports.len()
        );
        assert_eq!(circle(&imports), [""; 0], "{called}");
    }
}

#[test]
fn every_module_knows_only_what_its_crate_says_stands_below_it() {
    for name in LAYERED {
        let sources = top().join(name).join("src");
        let library = fs::read_to_string(sources.join("lib.rs")).expect("a library");
        let library = library.replace("\n//! ", " ");
        let (_, said) =
            library.split_once(SENTENCE).unwrap_or_else(|| panic!("{name} says nothing of its layers"));
        let said = said.split('.').next().unwrap_or_default();
        let layers: BTreeMap<&str, usize> = said
            .split(';')
            .enumerate()
            .flat_map(|(layer, names)| names.split('`').skip(1).step_by(2).map(move |name| (name, layer)))
            .collect();
        let mut imports = imports(&sources);
        // It hands out what lies in all layers.
        imports.remove(&[][..]);
        let own: BTreeSet<&str> = imports.keys().map(|module| &*module[0]).collect();
        assert_eq!(own, layers.keys().copied().collect(), "{name}: the modules, and those that are told");
        for (module, uses) in &imports {
            for other in uses {
                let Some(top) = other.first() else {
                    panic!("{name}: {} names something of the root, and not its module", module.join("::"));
                };
                let (from, to) = (layers[&*module[0]], layers[&**top]);
                let is_below = to < from || *top == module[0];
                assert!(is_below, "{name}: {} uses {}", module.join("::"), other.join("::"));
            }
        }
    }
}

#[test]
fn programs_are_read_with_what_stands_at_their_roots() {
    let trees: BTreeMap<String, Imports> = CRATES.iter().flat_map(|name| trees(name)).collect();
    let uses =
        |tree: &str, module: &str, other: &str| trees[tree][&segments(module)].contains(&segments(other));
    assert!(uses("crates/source-host-cli/src/bin/source-host", "", "commands::run"));
    assert!(uses("crates/source-host-cli/src/bin/source-host", "commands::run", "console"));
    assert!(uses("crates/salesforce-sim/src/bin/salesforce-sim", "", "settings"));
    assert!(uses("crates/xtask/src", "", "sizes"));
}

#[test]
fn the_library_that_hosts_components_depends_on_nothing_that_a_program_needs() {
    let text = fs::read_to_string(top().join("host-harness/Cargo.toml")).expect("the manifest");
    let manifest: toml::Table = text.parse().expect("TOML");
    let mut tables = vec![&manifest["dependencies"]];
    tables.extend(manifest["target"].as_table().expect("a table").values().map(|of| &of["dependencies"]));
    let names: BTreeSet<&str> = tables
        .iter()
        .flat_map(|table| table.as_table().expect("a table").keys().map(String::as_str))
        .collect();
    assert!(names.contains("wasmtime") && names.contains("rustix"), "{names:?}");
    for program in
        ["clap", "indicatif", "notify", "prometheus-client", "rusqlite", "toml", "tracing-subscriber"]
    {
        assert!(!names.contains(program), "{program}");
    }
}

#[test]
fn a_circle_and_an_arrow_upwards_are_seen() {
    let module = |name: &str| segments(name);
    let all: BTreeSet<Module> = ["", "a", "a::b", "c", "d"].map(module).into();
    let text = "use crate::{c::{self, Thing}, d};\nuse b::Part;\nuse super::d as other;\nfn f() { crate::a::b::f() }";
    let found: BTreeSet<_> =
        paths(text).iter().filter_map(|path| resolved(&module("a"), path, &all)).collect();
    assert_eq!(found, ["a::b", "c", "d"].map(module).into());
    let found = |path: &str, from: &str| resolved(&module(from), &module(path), &all);
    assert_eq!(found("crate::AT_THE_ROOT", "a::b"), Some(module("")));
    assert_eq!(found("super::AT_THE_ROOT", "c"), Some(module("")));
    assert_eq!(found("std::fs", "c"), None);
    assert_eq!(found("std::fs", ""), None);
    let edges = |uses: [(&str, &[&str]); 3]| {
        uses.map(|(one, others)| (module(one), others.iter().map(|other| module(other)).collect())).into()
    };
    assert_eq!(circle(&edges([("a", &["c"]), ("c", &["d"]), ("d", &["a"])])), ["a", "c", "d"]);
    assert_eq!(circle(&edges([("a", &["c", "d"]), ("c", &["d"]), ("d", &[])])), [""; 0]);
}
