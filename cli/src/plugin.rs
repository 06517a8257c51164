//! Finds the plugin's configurations in a file: on its own, in an Envoy configuration, or in a
//! resource of Istio or Envoy Gateway.
//!
//! Invariant: exactly what Envoy would give to the filter is parsed here. A file without a
//! configuration of bearer-gate is an error, not a file without errors.

use std::io::Read;
use std::path::{Path, PathBuf};

use bearer_gate::config::{Config, ConfigError};
use serde_json::Value;

use crate::command_error::CommandError;
use crate::config_map::{self, Entry};
use crate::document::{self, Node, STRUCT, Scalars, Unreadable, Yaml, type_of};
use crate::finding::Spot;
use crate::forms;
use crate::no_yaml;
pub(crate) use crate::sort::{Sort, WASM, message};
use crate::unrendered;

const STRING_VALUE: &str = "google.protobuf.StringValue";
/// Top-level fields that only a configuration of bearer-gate has.
const OURS: [&str; 4] = ["providers", "rules", "requirement_map", "policies"];

/// A file and its documents.
pub(crate) struct File {
    pub name: String,
    /// Where it is the text of a `ConfigMap` in the file of that name.
    pub entry: Option<Entry>,
    pub documents: Vec<Node>,
    /// How many lines the file has.
    pub lines: usize,
}

/// The most of standard input that is read, in bytes.
const MAX_INPUT: u64 = 64 << 20;

/// The name of a file, without its folders.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// What surrounds a configuration of the plugin.
#[derive(Clone, Copy)]
pub(crate) enum Container<'d> {
    Alone,
    Envoy {
        /// The whole document.
        document: &'d Node,
        /// `envoy.extensions.wasm.v3.PluginConfig`.
        plugin: &'d Node,
    },
    Istio(&'d Node),
    /// An entry of `spec.wasm`.
    Gateway(&'d Node),
}

/// A configuration of the plugin.
pub(crate) struct Plugin<'d> {
    /// Which of the files that were given has it.
    pub file: usize,
    pub container: Container<'d>,
    /// Its name in the file, which may have several.
    pub name: String,
    /// As the filter gets it.
    json: String,
    source: Source<'d>,
    line: usize,
    column: usize,
}

enum Source<'d> {
    Tree(&'d Node),
    /// A text with JSON in it, its tree, and how many lines are above it in the file.
    Text(Option<Node>, usize),
}

impl File {
    /// The file with a configuration of ours: this one, or one in a `ConfigMap` in it.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let mut files = Self::read_all(path)?;
        let has_one = |file: &Self| !file.plugins().is_empty();
        let at = files.iter().position(has_one).unwrap_or_default();
        Ok(files.swap_remove(at))
    }

    /// What [`File::read_all`] has of each.
    ///
    /// # Errors
    /// Some cannot be read: a reason for each of them.
    pub(crate) fn read_each(paths: &[PathBuf]) -> Result<Vec<Vec<Self>>, CommandError> {
        let mut reasons = Vec::new();
        let mut read = Vec::new();
        for path in paths {
            match Self::read_all(path) {
                Ok(files) => read.push(files),
                Err(CommandError(why)) => reasons.extend(why),
            }
        }
        match reasons.is_empty() {
            true => Ok(read),
            false => Err(CommandError(reasons)),
        }
    }

    /// A file, and those that are in its `ConfigMap`s. `-` is standard input.
    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>, CommandError> {
        let is_input = path.as_os_str() == "-";
        let name = match is_input {
            true => "stdin".to_owned(),
            false => path.display().to_string(),
        };
        if let Some(instead) = unrendered::folder(path) {
            return Err(CommandError::usage(format!("{name}: {instead}")));
        }
        let text = match is_input {
            true => std::io::read_to_string(std::io::stdin().take(MAX_INPUT)),
            false => std::fs::read_to_string(path),
        };
        let text = text.map_err(|error| CommandError::usage(format!("{name}: {error}")))?;
        let unreadable = |error: Unreadable| {
            let Unreadable {
                line,
                column,
                problem,
            } = error;
            let cure = no_yaml::cure(&problem);
            let cure = cure.map_or(String::new(), |cure| format!(": {cure}"));
            CommandError::usage(format!("{name}:{line}:{column}: {problem}{cure}"))
        };
        let documents = forms::read(&text);
        if let Some(line) = unrendered::line_of_template(&text, documents.is_ok()) {
            let told = format!("{name}:{line}: {}", unrendered::TEMPLATE);
            return Err(CommandError::usage(told));
        }
        let documents = documents.map_err(unreadable)?;
        let others = config_map::texts(&documents, &text).map_err(unreadable)?;
        let file = |entry, documents| Self {
            name: name.clone(),
            entry,
            documents,
            lines: text.lines().count(),
        };
        let others = others.into_iter();
        let others = others.map(|(entry, documents)| file(Some(entry), documents));
        Ok([file(None, documents)].into_iter().chain(others).collect())
    }

    /// Its name without folders, as Envoy's own configuration has it at its end.
    pub(crate) fn base_name(&self) -> &str {
        match &self.entry {
            Some(entry) => &entry.key,
            None => base_name(&self.name),
        }
    }

    /// What it is, where it has nothing to look at.
    pub(crate) fn is_of_another_kind(&self) -> Option<&'static str> {
        let mut documents = self.documents.iter();
        let is_other = !self.documents.is_empty()
            && documents.all(|document| Sort::of(document) == Sort::Other);
        let is_compose = |document: &Node| document.get("services").is_some();
        is_other.then(|| match self.documents.iter().any(is_compose) {
            true => "a file of Docker Compose",
            false => "neither of Envoy nor of Kubernetes",
        })
    }

    /// Every configuration of ours in the file.
    pub(crate) fn plugins(&self) -> Vec<Plugin<'_>> {
        self.documents.iter().flat_map(plugins_of).collect()
    }
}

/// Every configuration of ours in a document.
pub(crate) fn plugins_of(document: &Node) -> Vec<Plugin<'_>> {
    let mut plugins = Vec::new();
    find_in_document(document, &mut plugins);
    plugins
}

/// One configuration of a file: the only one, or the one that is asked for.
pub(crate) fn select<'p, 'd>(
    file: &File,
    plugins: &'p [Plugin<'d>],
    which: Option<usize>,
) -> Result<&'p Plugin<'d>, CommandError> {
    let several = || {
        let names: Vec<String> = plugins
            .iter()
            .enumerate()
            .map(|(index, plugin)| format!("{index} ({})", plugin.name))
            .collect();
        CommandError::usage(format!(
            "{}: --select one of its configurations: {}",
            file.name,
            names.join(", ")
        ))
    };
    match (plugins, which) {
        ([], _) => Err(CommandError::usage(format!(
            "{}: no configuration of bearer-gate in it{}",
            file.name,
            elsewhere(file)
        ))),
        ([one], None) => Ok(one),
        // Of several listeners with one configuration any will do.
        ([first, rest @ ..], None) if rest.iter().all(|other| other.value() == first.value()) => {
            Ok(first)
        }
        (_, None) => Err(several()),
        (_, Some(which)) => plugins.get(which).ok_or_else(several),
    }
}

/// What to give in the place of a file whose filter comes from another one.
fn elsewhere(file: &File) -> String {
    let mut sources = file.documents.iter().filter_map(source_of_filter);
    match sources.next() {
        Some(path) => format!("; a filter comes from {path}: give that file"),
        None => String::new(),
    }
}

/// The file of a filter that comes by ECDS.
fn source_of_filter(node: &Node) -> Option<&str> {
    let own = node.at(&["config_discovery", "config_source", "path_config_source"]);
    let own = own.and_then(|source| source.text_at(&["path"]));
    let members = node.entries().iter().map(|entry| &entry.node);
    let mut below = members.chain(node.items());
    own.or_else(|| below.find_map(source_of_filter))
}

/// A configuration of a file, or the place where it is wrong.
pub(crate) fn parse(file: &File, plugin: &Plugin<'_>) -> Result<Config, CommandError> {
    plugin.parse().map_err(|error| {
        let (line, column) = plugin.locate(error.path());
        let problem = match plugin.without_mark(&error) {
            Some(_) => format!("{MARK}: {MARKED}"),
            None => error.to_string(),
        };
        CommandError::usage(format!("{}:{line}:{column}: {problem}", file.name))
    })
}

/// The field that `migrate` writes where something is left to do, so that the filter refuses it.
pub(crate) const MARK: &str = "open";
/// What that means.
pub(crate) const MARKED: &str = "is the mark of `bearer-gate migrate`: something of the old filter is not in here, which it told as open, so the filter refuses this";

/// What stands for a private key: the form of one, without a number in it.
const NO_KEY: &str = "MBwCAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEAjAA";
/// What ends a text that stands for a variable.
pub(crate) const NOT_SET: &str = ", which is not set where the tool runs";

/// What stands for a variable of the gateway, in a configuration that names it.
pub(crate) fn stand_in(config: Option<&Node>, variable: &str) -> String {
    let schemes = config.and_then(|config| config.at(&["sign_in", "schemes"]));
    let mut schemes = schemes.map_or(&[][..], Node::entries).iter();
    let path = ["credentials", "private_key", "environment_variable"];
    match schemes.any(|scheme| scheme.node.text_at(&path) == Some(variable)) {
        true => NO_KEY.to_owned(),
        false => format!("{variable}{NOT_SET}"),
    }
}

impl Plugin<'_> {
    pub(crate) fn parse(&self) -> Result<Config, ConfigError> {
        Config::parse_in(self.json.as_bytes(), &|name| Some(self.variable(name)))
    }

    /// Another configuration in the place of this one.
    pub(crate) fn parse_another(&self, tree: &Node) -> Result<Config, ConfigError> {
        let json = tree.to_json();
        Config::parse_in(json.as_bytes(), &|name| Some(self.variable(name)))
    }

    /// The configuration without the mark of `migrate`, where that is what the filter refuses.
    pub(crate) fn without_mark(&self, error: &ConfigError) -> Option<Node> {
        let mut tree = self.tree()?.clone();
        let is_it = error.path() == MARK && tree.get(MARK).is_some_and(Node::is_true);
        tree.remove(MARK);
        is_it.then_some(tree)
    }

    /// A variable that is set here. Those of the gateway mostly are not, and a text of its own
    /// stands for each: what is sealed with the gateway's keys does not open here then.
    fn variable(&self, name: &str) -> String {
        std::env::var(name).unwrap_or_else(|_| stand_in(self.tree(), name))
    }

    /// As the filter gets it; null if that is no JSON.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// As it is written, where that can be told.
    pub(crate) fn tree(&self) -> Option<&Node> {
        match &self.source {
            Source::Tree(node) => Some(node),
            Source::Text(node, _) => node.as_ref(),
        }
    }

    /// Where a field is, by its path.
    pub(crate) fn spot(&self, path: &str) -> Spot {
        let (line, column) = self.locate(path);
        Spot {
            file: self.file,
            line,
            column,
        }
    }

    /// Line and column of a field by its path.
    pub(crate) fn locate(&self, path: &str) -> (usize, usize) {
        match &self.source {
            Source::Tree(node) => node.locate(path),
            Source::Text(Some(node), above) => {
                let (line, column) = node.locate(path);
                (line + above, column)
            }
            Source::Text(None, _) => (self.line, self.column),
        }
    }

    fn from_tree<'d>(
        container: Container<'d>,
        name: &str,
        node: &'d Node,
        sorted: bool,
    ) -> Plugin<'d> {
        let json = if sorted {
            sort(node).to_json()
        } else {
            node.to_json()
        };
        Plugin {
            file: 0,
            container,
            name: name.to_owned(),
            json,
            source: Source::Tree(node),
            line: node.line,
            column: node.column,
        }
    }

    fn from_text<'d>(container: Container<'d>, name: &str, node: &'d Node) -> Option<Plugin<'d>> {
        let Yaml::Text(text) = &node.yaml else {
            return None;
        };
        let tree = document::parse(text, Some(Scalars::Json)).ok();
        Some(Plugin {
            file: 0,
            container,
            name: name.to_owned(),
            json: text.clone(),
            source: Source::Text(
                tree.and_then(|trees| trees.into_iter().next()),
                node.line - 1,
            ),
            line: node.line,
            column: node.column,
        })
    }
}

/// A Struct has no order: the filter gets its members sorted by their names.
fn sort(node: &Node) -> Node {
    let mut sorted = node.clone();
    sort_members(&mut sorted);
    sorted
}

fn sort_members(node: &mut Node) {
    match &mut node.yaml {
        Yaml::Map(entries) => {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            entries
                .iter_mut()
                .for_each(|entry| sort_members(&mut entry.node));
        }
        Yaml::List(items) => items.iter_mut().for_each(sort_members),
        _ => {}
    }
}

fn find_in_document<'d>(document: &'d Node, plugins: &mut Vec<Plugin<'d>>) {
    match document.text_at(&["kind"]) {
        Some("List") => {
            for item in document.get("items").map_or(&[][..], Node::items) {
                find_in_document(item, plugins);
            }
        }
        Some(kind @ ("WasmPlugin" | "TrafficExtension")) => {
            let name = document.text_at(&["metadata", "name"]).unwrap_or(kind);
            let config = match kind {
                "WasmPlugin" => document.at(&["spec", "plugin_config"]),
                _ => document.at(&["spec", "wasm", "plugin_config"]),
            };
            if let Some(config) = config
                && is_ours(document, config)
            {
                let container = Container::Istio(document);
                plugins.push(Plugin::from_tree(container, name, config, true));
            }
        }
        Some("EnvoyExtensionPolicy") => {
            for wasm in document.at(&["spec", "wasm"]).map_or(&[][..], Node::items) {
                let name = wasm.text_at(&["name"]).unwrap_or("EnvoyExtensionPolicy");
                if let Some(config) = wasm.get("config")
                    && is_ours(wasm, config)
                {
                    plugins.push(Plugin::from_tree(
                        Container::Gateway(wasm),
                        name,
                        config,
                        true,
                    ));
                }
            }
        }
        _ => match Sort::of(document) {
            Sort::Alone => plugins.push(Plugin::from_tree(
                Container::Alone,
                "configuration",
                document,
                false,
            )),
            Sort::Bootstrap | Sort::Resources | Sort::Kubernetes => {
                find_in_envoy(document, document, plugins);
            }
            Sort::Other => {}
        },
    }
}

fn find_in_envoy<'d>(node: &'d Node, document: &'d Node, plugins: &mut Vec<Plugin<'d>>) {
    let message = message(node, WASM);
    if let Some(plugin) = message.and_then(|message| message.get("config")) {
        let name = plugin
            .text_at(&["name"])
            .unwrap_or("envoy.filters.http.wasm");
        let container = Container::Envoy { document, plugin };
        if let Some(configuration) = plugin.get("configuration")
            && is_ours(plugin, configuration)
        {
            let value = configuration.get("value");
            let found = match type_of(configuration) {
                Some(STRING_VALUE) => {
                    value.and_then(|text| Plugin::from_text(container, name, text))
                }
                Some(STRUCT) => value.map(|tree| Plugin::from_tree(container, name, tree, true)),
                _ => None,
            };
            plugins.extend(found);
        }
    }
    for entry in node.entries() {
        find_in_envoy(&entry.node, document, plugins);
    }
    for item in node.items() {
        find_in_envoy(item, document, plugins);
    }
}

/// Whether a Wasm filter is this one: by its name, or by the fields of its configuration.
fn is_ours(plugin: &Node, configuration: &Node) -> bool {
    let told = |node: &Node| OURS.iter().any(|name| node.get(name).is_some());
    let in_text = |text: &str| {
        OURS.iter()
            .any(|name| text.contains(&format!("\"{name}\"")))
    };
    told(configuration)
        || configuration.get("value").is_some_and(told)
        || configuration.text_at(&["value"]).is_some_and(in_text)
        || names_us(plugin)
}

/// Whether the filter's name is somewhere in a part of a file.
pub(crate) fn names_us(node: &Node) -> bool {
    let text = node.to_json();
    text.contains("bearer-gate") || text.contains("bearer_gate")
}
