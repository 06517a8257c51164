//! The law of layers, which stands at the head of `src/lib.rs`, holds in the code; and the crate that is
//! the Wasm module is nothing else.
//!
//! Invariant: what is read is the code without its tests, as the compiler's grammar has it. Names
//! in the bodies of macros are not seen.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, UseTree, Visibility};

/// A module's path below the crate: `["jose", "jwk"]` is `src/jose/jwk.rs`.
type Module = Vec<String>;

/// The files of a crate by their modules, and the modules that each imports from.
struct House {
    imports: BTreeMap<Module, BTreeSet<Module>>,
    /// The external crates that each names.
    crates: BTreeMap<Module, BTreeSet<String>>,
}

impl House {
    fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files = BTreeMap::new();
        read_folder(&root, &Vec::new(), &mut files);
        let modules: BTreeSet<Module> = files.keys().cloned().collect();
        let mut house = Self {
            imports: BTreeMap::new(),
            crates: BTreeMap::new(),
        };
        for (module, text) in &files {
            let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{module:?}: {error}"));
            let mut reader = Reader {
                module,
                modules: &modules,
                imports: BTreeSet::new(),
                crates: BTreeSet::new(),
            };
            reader.visit_file(&file);
            reader.imports.remove(module);
            house.imports.insert(module.clone(), reader.imports);
            house.crates.insert(module.clone(), reader.crates);
        }
        house
    }

    /// A circle of files, if there is one.
    fn circle(&self) -> Option<Vec<Module>> {
        let mut done = BTreeSet::new();
        self.imports
            .keys()
            .find_map(|start| self.circle_from(start, &mut Vec::new(), &mut done))
    }

    fn circle_from(
        &self,
        module: &Module,
        way: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(at) = way.iter().position(|known| known == module) {
            return Some(way[at..].to_vec());
        }
        if !done.insert(module.clone()) {
            return None;
        }
        way.push(module.clone());
        let found = self
            .imports
            .get(module)?
            .iter()
            .find_map(|next| self.circle_from(next, way, done));
        way.pop();
        found
    }
}

fn read_folder(folder: &Path, above: &Module, into: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut module = above.clone();
        if !["lib", "main", "mod"].contains(&stem.as_str()) {
            module.push(stem.clone());
        }
        if path.is_dir() {
            read_folder(&path, &module, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
            into.insert(module, fs::read_to_string(path).unwrap());
        }
    }
}

/// Reads what one file imports.
struct Reader<'h> {
    module: &'h Module,
    modules: &'h BTreeSet<Module>,
    imports: BTreeSet<Module>,
    crates: BTreeSet<String>,
}

impl Reader<'_> {
    /// Takes note of a path as it is written: `crate::jose::jwk::Key`, `super::der`.
    fn path(&mut self, written: &[String]) {
        let Some((first, rest)) = written.split_first() else {
            return;
        };
        let mut path: Module = match first.as_str() {
            "crate" => rest.to_vec(),
            "super" => {
                let ups = rest.iter().take_while(|name| *name == "super").count();
                let kept = self.module.len().saturating_sub(ups + 1);
                [&self.module[..kept], &rest[ups..]].concat()
            }
            "self" => [self.module, rest].concat(),
            other => {
                self.crates.insert(other.to_owned());
                return;
            }
        };
        while !self.modules.contains(&path) {
            if path.pop().is_none() {
                return;
            }
        }
        // The crate's root only lists its modules.
        if !path.is_empty() {
            self.imports.insert(path);
        }
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.path(&with(&name.ident)),
            UseTree::Rename(name) => self.path(&with(&name.ident)),
            UseTree::Glob(_) => self.path(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(before, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    /// `pub(in crate::config)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.path(&names);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|of| of.is_ident("test"))
    })
}

/// The rows of the law, the highest first, by the modules in them.
fn law() -> BTreeMap<String, usize> {
    let head = include_str!("../src/lib.rs");
    let rows = head
        .lines()
        .skip_while(|line| !line.ends_with("```text"))
        .skip(1)
        .take_while(|line| !line.ends_with("```"));
    rows.enumerate()
        .flat_map(|(row, line)| {
            let modules = line.trim_start_matches("//!").split_whitespace();
            modules.map(move |module| (module.to_owned(), row))
        })
        .collect()
}

/// The part of the law that a file stands in, and its row: `config/read` before `config`.
fn room<'l>(module: &[String], law: &'l BTreeMap<String, usize>) -> Option<(&'l str, usize)> {
    (1..=module.len()).rev().find_map(|length| {
        let (room, row) = law.get_key_value(&module[..length].join("/"))?;
        Some((room.as_str(), *row))
    })
}

/// What breaks the law, line by line.
fn broken(house: &House, law: &BTreeMap<String, usize>) -> Vec<String> {
    let mut broken = Vec::new();
    // The root only lists its modules.
    for (module, imports) in house
        .imports
        .iter()
        .filter(|(module, _)| !module.is_empty())
    {
        let from = module.join("/");
        let Some((room, row)) = room(module, law) else {
            broken.push(format!("{from} has no row"));
            continue;
        };
        for other in imports {
            let is_below =
                self::room(other, law).is_some_and(|(other, below)| other == room || below > row);
            if !is_below {
                let to = other.join("/");
                broken.push(format!("{from} imports from {to}, which is not below it"));
            }
        }
    }
    broken.extend(
        law.keys()
            .filter(|room| {
                !house
                    .imports
                    .keys()
                    .any(|module| module.join("/") == **room)
            })
            .map(|room| format!("there is no {room}")),
    );
    broken
}

#[test]
fn every_import_points_down() {
    let broken = broken(&House::read("src"), &law());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in ["src", "cli/src"] {
        assert_eq!(House::read(folder).circle(), None, "{folder}");
    }
}

#[test]
fn only_the_edge_names_the_hosts_calls() {
    for (module, crates) in House::read("src").crates {
        let is_edge = module.first().is_none_or(|room| room == "proxy");
        assert!(
            is_edge || !crates.contains("bearer_gate_hostcalls"),
            "{module:?}"
        );
    }
}

/// What Cargo makes of each crate that is linked as a library, by the crate's name.
fn libraries() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("Cargo");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("the workspace");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let mut libraries = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        for target in list(&package["targets"]) {
            let kinds: Vec<String> = list(&target["crate_types"]).iter().map(text).collect();
            if kinds != ["bin"] {
                libraries.insert(text(&package["name"]), kinds);
            }
        }
    }
    libraries
}

/// Cargo optimizes across all crates only what is a module and nothing else. It does not say so where a
/// crate is both a module and a library: the module is larger and slower then.
#[test]
fn the_module_is_optimized_across_all_crates() {
    let libraries = libraries();
    for (name, expected) in [("bearer-gate", "lib"), ("bearer-gate-module", "cdylib")] {
        assert_eq!(libraries[name], [expected], "{name}");
    }
    let manifest = include_str!("../Cargo.toml");
    let (_, release) = manifest.split_once("\n[profile.release]\n").unwrap();
    let (release, _) = release.split_once("\n[").unwrap();
    for line in ["lto = \"fat\"", "codegen-units = 1", "opt-level = 3"] {
        assert!(release.lines().any(|known| known == line), "{line}");
    }
}

#[test]
fn an_import_that_points_up_is_found() {
    let imports = |of: &[(&str, &str)]| House {
        imports: of
            .iter()
            .map(|(from, to)| {
                let path = |text: &str| text.split('/').map(str::to_owned).collect::<Module>();
                (path(from), BTreeSet::from([path(to)]))
            })
            .collect(),
        crates: BTreeMap::new(),
    };
    let law = BTreeMap::from([("high".to_owned(), 0), ("low".to_owned(), 1)]);
    let good = imports(&[("high", "low/a"), ("low", "low/b"), ("low/a", "low/b")]);
    assert_eq!(broken(&good, &law), [""; 0]);
    assert_eq!(good.circle(), None);
    let bad = imports(&[("high", "low"), ("low", "high")]);
    assert_eq!(broken(&bad, &law).len(), 1);
    assert_eq!(bad.circle().map(|circle| circle.len()), Some(2));
    assert_eq!(broken(&imports(&[("other", "low")]), &law).len(), 3);
}
