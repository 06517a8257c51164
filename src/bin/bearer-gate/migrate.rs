//! `migrate`: a configuration of Envoy's `jwt_authn` as one of this filter.
//!
//! Invariant: no request passes that jwt_authn would stop. Where a field cannot be carried over
//! and leaving it out could let more through, it stays, and the filter refuses it by name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, print, println};
use bearer_gate::config::Config;
use serde_json::{Value, json};

use crate::document::{Node, Yaml};
use crate::failure::{Failure, exit};
use crate::output::{BAD, WARN, safe, styled};
use crate::plugin::{File, message};
use crate::yaml;

const JWT_AUTHN: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const PER_ROUTE: &str = "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig";
/// How the filter says that a field is jwt_authn's alone.
const UNSUPPORTED: &str = "not supported";
/// Fields of one configuration that are left out at most.
const MOST_REMOVED: usize = 1000;

#[derive(clap::Args)]
pub struct Args {
    /// A `JwtAuthentication` by itself, or an Envoy configuration with `jwt_authn` filters
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is not as it was.
struct Change {
    line: usize,
    path: String,
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Was added so that nothing changes, and is a choice to think about.
    Added,
    /// The filter decides in another way.
    Differs,
    /// Has no counterpart and was left out.
    LeftOut,
    /// Has to be seen to by hand.
    Open,
}

struct Migration {
    line: usize,
    node: Node,
    changes: Vec<Change>,
}

pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let file = File::read(&args.file)?;
    let directory = args.file.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    let mut per_route = Vec::new();
    for document in &file.documents {
        search(document, &mut found, &mut per_route);
        let alone = ["providers", "rules", "requirement_map"];
        if found.is_empty() && alone.iter().any(|name| document.get(name).is_some()) {
            found.push(document);
        }
    }
    if found.is_empty() {
        let name = &file.name;
        return Err(Failure::usage(format!("{name}: no jwt_authn in it")));
    }
    let mut migrations: Vec<Migration> =
        found.iter().map(|node| migrate(node, directory)).collect();
    if let Some(last) = migrations.last_mut() {
        for line in per_route {
            last.changes.push(Change {
                line,
                path: "typed_per_filter_config".to_owned(),
                text: "a Wasm filter has none: set route_metadata, and requirement_name in the metadata of the route".to_owned(),
                kind: Kind::Open,
            });
        }
    }
    let open = |migration: &Migration| migration.changes.iter().any(|c| c.kind == Kind::Open);
    let good = !migrations.iter().any(open);
    if args.json {
        let report: Vec<Value> = migrations.iter().map(as_json).collect();
        println!("{}", Value::Array(report));
    } else {
        for migration in &migrations {
            show(&file.name, migration, migrations.len() > 1);
        }
    }
    Ok(exit(good))
}

fn search<'d>(node: &'d Node, found: &mut Vec<&'d Node>, per_route: &mut Vec<usize>) {
    if let Some(filter) = message(node, JWT_AUTHN) {
        found.push(filter);
    }
    if message(node, PER_ROUTE).is_some() {
        per_route.push(node.line);
    }
    for entry in node.entries() {
        search(&entry.node, found, per_route);
    }
    for item in node.items() {
        search(item, found, per_route);
    }
}

fn migrate(written: &Node, directory: &Path) -> Migration {
    let mut migration = Migration {
        line: written.line,
        node: written.clone(),
        changes: Vec::new(),
    };
    migration.node.remove("@type");
    migration.providers(directory);
    migration.rules();
    migration.leave_out();
    migration
}

impl Migration {
    fn say(&mut self, kind: Kind, path: &str, text: &str) {
        let (line, _) = self.node.locate(path);
        self.changes.push(Change {
            line,
            path: path.to_owned(),
            text: text.to_owned(),
            kind,
        });
    }

    fn providers(&mut self, directory: &Path) {
        let names: Vec<String> = self
            .node
            .get("providers")
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|entry| entry.name.clone())
            .collect();
        for name in names {
            let path = format!("providers.{name}");
            let mut changes = Vec::new();
            if let Some(provider) = self
                .node
                .get_mut("providers")
                .and_then(|providers| providers.get_mut(&name))
            {
                convert_provider(provider, directory, &mut changes);
            }
            for (kind, field, text) in changes {
                self.say(kind, &format!("{path}.{field}"), &text);
            }
        }
    }

    fn rules(&mut self) {
        let mut public = Vec::new();
        let mut every = false;
        if let Some(Node {
            yaml: Yaml::List(rules),
            ..
        }) = self.node.get_mut("rules")
        {
            for (index, rule) in rules.iter_mut().enumerate() {
                let says_nothing =
                    |node: &Node| matches!(&node.yaml, Yaml::Map(entries) if entries.is_empty());
                if rule.get("requires").is_some_and(says_nothing) {
                    rule.remove("requires");
                    public.push(index);
                }
                let only_prefix = rule
                    .get("match")
                    .is_some_and(|matcher| matcher.entries().len() == 1);
                every |= only_prefix && rule.text_at(&["match", "prefix"]) == Some("/");
            }
        }
        for index in public {
            self.say(
                Kind::Differs,
                &format!("rules[{index}]"),
                "has an empty requires, which jwt_authn lets pass: the rule is public now by having none",
            );
        }
        if !every {
            let text = "jwt_authn lets pass what no rule matches. Without this line it is denied, which is safer.";
            self.node
                .add("unmatched", Yaml::Text("allow".to_owned()), text);
            self.say(Kind::Added, "unmatched", text);
        }
    }

    /// What the filter refuses by name and nothing depends on is left out, until it takes the rest.
    fn leave_out(&mut self) {
        for _ in 0..MOST_REMOVED {
            let Err(error) = Config::parse(self.node.to_json().as_bytes()) else {
                return;
            };
            let decides = ["match", "requires", "requirement_map", "filter_state_rules"]
                .iter()
                .any(|part| error.path().split(['.', '[']).any(|name| name == *part));
            if !error.problem().starts_with(UNSUPPORTED) || decides {
                let text = format!("{}: see to it by hand", error.problem());
                self.say(Kind::Open, error.path(), &text);
                return;
            }
            self.say(Kind::LeftOut, error.path(), "has no counterpart");
            self.node.remove_at(error.path());
        }
    }
}

fn convert_provider(
    provider: &mut Node,
    directory: &Path,
    changes: &mut Vec<(Kind, String, String)>,
) {
    let mut say = |kind: Kind, field: &str, text: &str| {
        changes.push((kind, field.to_owned(), text.to_owned()));
    };
    if provider.text_at(&["issuer"]).is_none_or(str::is_empty) {
        let text = "There is no issuer, so jwt_authn takes every one. Better: issuer.";
        provider.remove("issuer");
        provider.add("any_issuer", Yaml::Bool(true), text);
        say(Kind::Added, "any_issuer", text);
    }
    let audiences: Vec<&str> = provider
        .get("audiences")
        .map_or(&[][..], Node::items)
        .iter()
        .filter_map(Node::text)
        .collect();
    if audiences.is_empty() {
        let text =
            "There are no audiences, so jwt_authn takes tokens for every API. Better: audiences.";
        provider.remove("audiences");
        provider.add("any_audience", Yaml::Bool(true), text);
        say(Kind::Added, "any_audience", text);
    } else if audiences
        .iter()
        .any(|one| one.starts_with("http") || one.ends_with('/'))
    {
        say(
            Kind::Differs,
            "audiences",
            "are compared exactly: jwt_authn leaves out http(s):// and a slash at the end, on both sides",
        );
    }
    let requires = provider
        .get("require_expiration")
        .is_some_and(Node::is_true);
    if !requires && provider.get("max_lifetime").is_none() {
        let text = "jwt_authn takes tokens without exp. Without this line they are refused, which is safer.";
        provider.remove("require_expiration");
        provider.add("require_expiration", Yaml::Bool(false), text);
        say(Kind::Added, "require_expiration", text);
    }
    let zero = provider
        .get("clock_skew_seconds")
        .is_some_and(|skew| matches!(skew.to_json().as_str(), "0" | "\"0\""));
    if zero {
        provider.remove("clock_skew_seconds");
        say(
            Kind::LeftOut,
            "clock_skew_seconds",
            "is 0, which jwt_authn takes for 60; so it is by default here too",
        );
    }
    let places = ["from_headers", "from_params", "from_cookies"];
    if places.iter().all(|place| provider.get(place).is_none()) {
        say(
            Kind::Differs,
            "from_params",
            "the query parameter access_token is no place for tokens by default; to keep it, say from_headers and from_params",
        );
    }
    let has_prefix = |header: &Node| header.get("value_prefix").is_some();
    if provider
        .get("from_headers")
        .is_some_and(|headers| headers.items().iter().any(has_prefix))
    {
        say(
            Kind::Differs,
            "from_headers",
            "a prefix is compared without case, and at the start of the value only",
        );
    }
    if provider.get("from_cookies").is_some() && !provider.get("forward").is_some_and(Node::is_true)
    {
        say(
            Kind::Differs,
            "from_cookies",
            "a cookie with a token is taken out of the request, unless forward is true",
        );
    }
    let filename = provider
        .text_at(&["local_jwks", "filename"])
        .map(str::to_owned);
    if let Some(filename) = filename {
        match std::fs::read_to_string(directory.join(&filename)) {
            Ok(document) => {
                if let Some(keys) = provider.get_mut("local_jwks") {
                    keys.remove("filename");
                    let text = "A Wasm filter has no files: these are the keys as they were.";
                    keys.add(
                        "inline_string",
                        Yaml::Text(document.trim().to_owned()),
                        text,
                    );
                }
                say(
                    Kind::Differs,
                    "local_jwks",
                    "the keys of the file are part of the configuration now: changes of the file have no effect",
                );
            }
            Err(error) => say(
                Kind::Open,
                "local_jwks.filename",
                &format!("a Wasm filter has no files, and {filename} cannot be read: {error}"),
            ),
        }
    }
}

/// What differs for whatever configuration.
const ALWAYS: [&str; 5] = [
    "a wrong audience is 401, not 403; keys that cannot be had are 503, not 401",
    "a token with crit, with iat in the future, or with cnf is refused",
    "more than one token in a request is 400",
    "the body of a rejection is JSON; the challenge has a fixed realm, not the request's URL",
    "paths with two readings (//, %2f, ..) are 400",
];

fn show(name: &str, migration: &Migration, several: bool) {
    if several {
        println!("---");
    }
    let mut head = String::new();
    yaml::comment(
        "From jwt_authn. Whatever the configuration, these differ:",
        0,
        &mut head,
    );
    for line in ALWAYS {
        yaml::comment(&format!("- {line}"), 0, &mut head);
    }
    print!("{head}{}", yaml::write(&migration.node));
    for change in &migration.changes {
        let (style, word) = match change.kind {
            Kind::Added => (WARN, "added"),
            Kind::Differs => (WARN, "differs"),
            Kind::LeftOut => (WARN, "left out"),
            Kind::Open => (BAD, "open"),
        };
        eprintln!(
            "{name}:{}: {}: {}: {}",
            change.line,
            styled(style, word),
            safe(&change.path),
            safe(&change.text)
        );
    }
}

fn as_json(migration: &Migration) -> Value {
    let word = |kind: Kind| match kind {
        Kind::Added => "added",
        Kind::Differs => "differs",
        Kind::LeftOut => "left_out",
        Kind::Open => "open",
    };
    let changes: Vec<Value> = migration
        .changes
        .iter()
        .map(|change| {
            json!({
                "kind": word(change.kind),
                "line": change.line,
                "path": change.path,
                "text": change.text,
            })
        })
        .collect();
    let config: Value = serde_json::from_str(&migration.node.to_json()).unwrap_or_default();
    json!({
        "line": migration.line,
        "config": config,
        "changes": changes,
        "always": ALWAYS,
    })
}
