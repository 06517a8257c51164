//! `migrate`: a configuration of Envoy's `jwt_authn` or `oauth2`, of oauth2-proxy, or policies of Istio or
//! Envoy Gateway, as one of this filter.
//!
//! Invariant: no request passes that the old filter would stop. What is not read with certainty, or
//! cannot be carried over, is left open; the filter then refuses what is printed.

mod access;
mod convert;
mod envoy_gateway;
mod files;
mod find;
mod istio;
mod kubernetes;
mod message;
mod oauth2;
mod oauth2_proxy;
mod oidc;
mod read;
mod tree;
mod unsupported;
mod wrapper;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, print, println};
use serde_json::{Value, json};

use crate::command_error::{CommandError, exit};
use crate::document::{Node, Yaml};
use crate::output::{BAD, WARN, escaped, safe, styled};
use crate::yaml;
use files::{Files, Lines};
use find::{Beside, Filter, Owner, Pair, Surrounding};
use kubernetes::{Converted, Resources};

/// The namespace of the route metadata that is proposed, as in docs/rules.md.
const ROUTE_METADATA: &str = "bearer_gate";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A `JwtAuthentication` or an `OAuth2` by itself, an Envoy configuration with such filters, or
    /// oauth2-proxy's .cfg; with the files of its routes. Or all files with Istio's `RequestAuthentication` and
    /// `AuthorizationPolicy`, or Envoy Gateway's `SecurityPolicy`
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The issuer of the provider where people sign in, which oauth2 does not have
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The alpha configuration of oauth2-proxy, beside its .cfg
    #[arg(long, value_name = "FILE")]
    alpha_config: Option<PathBuf>,
    /// A host of your pages, where the old configuration takes the host of the request
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Print the whole filter, an entry of Envoy's `http_filters`, and not its configuration alone
    #[arg(long, conflicts_with = "json")]
    envoy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How something differs from what was written.
struct Change {
    line: usize,
    path: String,
    text: String,
    kind: ChangeKind,
}

impl From<read::Problem> for Change {
    fn from(problem: read::Problem) -> Self {
        Self {
            line: problem.line,
            path: problem.path,
            text: problem.text,
            kind: ChangeKind::Open,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ChangeKind {
    /// Was added so that nothing changes, and is a choice to think about.
    Added,
    /// The filter decides in another way.
    Differs,
    /// Has no counterpart and was left out.
    LeftOut,
    /// Must be done by hand.
    Open,
}

impl ChangeKind {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Differs => "differs",
            Self::LeftOut => "left out",
            Self::Open => "open",
        }
    }
}

/// A change: its kind, its field's path, its text.
type ToldChange = (ChangeKind, String, String);

struct Migration {
    line: usize,
    node: Node,
    changes: Vec<Change>,
    /// What the old filter is called.
    from: &'static str,
    /// Differences that every configuration has.
    always: Vec<&'static str>,
    /// Whether the old filter had requirements that routes can name.
    has_names: bool,
    /// Fields of the new configuration that are wrong because of what is open already.
    explained: Vec<&'static str>,
    /// The resource that the new configuration goes into, without it.
    resource: Option<Node>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let told = oauth2::Told {
        issuer: args.issuer.clone(),
        hosts: args.hosts.clone(),
        gateway: None,
    };
    let path = args.files.first().map(PathBuf::as_path);
    let path = path.unwrap_or(Path::new(""));
    if let Some(options) = oauth2_proxy::read(path, args.alpha_config.as_deref())? {
        let mut migration = Migration::of_oauth2_proxy(&options, &told);
        let is_open = migration.is_open();
        migration.close(is_open);
        let lines = Lines::of(path);
        return Ok(finish(args, &lines, &[migration]));
    }
    let files = Files::read(&args.files)?;
    if let Some(resources) = kubernetes::read(&files.documents) {
        return of_kubernetes(args, resources, &files.lines);
    }
    let found = find::find(&files.documents);
    if found.filters.is_empty() {
        return Err(CommandError::usage(format!(
            "{}: {}",
            files.lines.names(),
            find::instead(&files.documents)
        )));
    }
    let directory = |node: &Node| {
        let (name, _) = files.lines.locate(node.line);
        Path::new(name)
            .parent()
            .unwrap_or(Path::new("."))
            .to_owned()
    };
    let mut migrations: Vec<Migration> = found
        .filters
        .iter()
        .map(|filter| match filter {
            Filter::JwtAuthn(node) => Migration::of_jwt_authn(node, &directory(node)),
            Filter::OAuth2(pair) => Migration::of_oauth2(pair, &directory(pair.oauth2), &told),
        })
        .collect();
    let beside = beside(&found.surroundings, &migrations);
    let is_there = |test: fn(&Beside) -> bool| {
        let mut kinds = found.surroundings.iter().map(|one| &one.kind);
        kinds.any(test)
    };
    let names_by_route = is_there(|kind| matches!(kind, Beside::PerRoute { .. }));
    let routes_are_here =
        found.has_routes && !is_there(|kind| matches!(kind, Beside::RoutesElsewhere));
    let open_beside = beside.iter().any(|change| change.kind == ChangeKind::Open);
    if let Some(last) = migrations.last_mut() {
        last.changes.extend(beside);
    }
    for migration in &mut migrations {
        migration.requirements_of_routes(names_by_route, routes_are_here);
        let is_open = migration.is_open();
        migration.close(is_open || open_beside);
    }
    Ok(finish(args, &files.lines, &migrations))
}

/// One configuration for each target of the policies.
fn of_kubernetes(
    args: &Args,
    resources: Resources,
    lines: &Lines,
) -> Result<ExitCode, CommandError> {
    if args.envoy {
        let text = "--envoy is for filters: policies are printed as a resource as it is";
        return Err(CommandError::usage(text));
    }
    let converted = converted(&resources)?.into_iter();
    let mut migrations: Vec<Migration> = converted
        .map(|one| Migration::of_policies(one, &resources.others, &args.hosts))
        .collect();
    if let Some(last) = migrations.last_mut() {
        last.changes.extend(resources.changes);
    }
    let is_open = migrations.iter().any(Migration::is_open);
    for migration in &mut migrations {
        migration.close(is_open);
    }
    Ok(finish(args, lines, &migrations))
}

/// One configuration for each target.
///
/// # Errors
/// Nothing in the files is about tokens.
fn converted(resources: &Resources) -> Result<Vec<Converted>, CommandError> {
    let mut converted = envoy_gateway::convert(resources);
    let is_of_istio = |resource: &kubernetes::Resource| resource.kind != "SecurityPolicy";
    if resources.read.iter().any(is_of_istio) {
        converted.extend(istio::convert(resources)?);
    }
    if converted.is_empty() {
        return Err(CommandError::usage(
            "no SecurityPolicy in the files has a `jwt`: nothing in them is about tokens",
        ));
    }
    Ok(converted)
}

/// Prints what came out.
fn finish(args: &Args, lines: &Lines, migrations: &[Migration]) -> ExitCode {
    if args.json {
        let report = migrations.iter();
        let report = report.map(|migration| as_json(lines, migration)).collect();
        println!("{}", escaped(&Value::Array(report)));
    } else {
        for migration in migrations {
            show(args, lines, migration, migrations.len() > 1);
        }
    }
    exit(!migrations.iter().any(Migration::is_open))
}

const PER_ROUTE_CONFIG: &str = "typed_per_filter_config";
const ROUTES: &str = "routes";

/// Changes that the rest of the files needs because of the filters.
fn beside(surroundings: &[Surrounding], migrations: &[Migration]) -> Vec<Change> {
    let any = |test: fn(&Node) -> bool| migrations.iter().any(|migration| test(&migration.node));
    let tells_metadata = any(|node| {
        let providers = node.get("providers").map_or(&[][..], Node::entries);
        providers.iter().any(|provider| {
            let fields = provider.node.entries().iter();
            fields
                .into_iter()
                .any(|field| field.name.ends_with("_in_metadata"))
        })
    });
    let signs_in = any(|node| node.get("sign_in").is_some());
    let mut changes = Vec::new();
    for Surrounding { line, kind } in surroundings {
        let (kind, path, text) = match kind {
            // Whose requirement asks for a session too nobody can tell.
            Beside::PerRoute { is_told: true, .. } if !signs_in => continue,
            Beside::PerRoute {
                requirement, of, ..
            } => {
                let name = requirement.as_deref().unwrap_or("NAME");
                let put = match of {
                    Owner::Route => "put MD on the route",
                    Owner::VirtualHost => "put MD on each route of the virtual host that has no requirement of its own",
                    Owner::AllRoutes => "put MD on each route that has no requirement of its own",
                    Owner::OneOfClusters => "make one route of each cluster, and put MD on this one's",
                };
                let metadata = format!(
                    "`metadata: {{filter_metadata: {{{ROUTE_METADATA}: {{requirement_name: {name}}}}}}}`"
                );
                let text = format!("a Wasm filter has none: {}", put.replace("MD", &metadata));
                (ChangeKind::Open, PER_ROUTE_CONFIG, text)
            }
            Beside::OAuth2PerRoute => (
                ChangeKind::Open,
                PER_ROUTE_CONFIG,
                "a Wasm filter has none: say in rules, by match, what is so on this route alone".to_owned(),
            ),
            Beside::Disabled(Some(_)) => (
                ChangeKind::Differs,
                "disabled",
                "turns the old filter off here: to turn this one off, say so of its name with a `FilterConfig`, and know that clients' copies of claim headers pass then".to_owned(),
            ),
            Beside::Disabled(None) => (
                ChangeKind::Differs,
                "disabled",
                "the filter is off, but where a route turns it on: this one is on, unless you say the same of it".to_owned(),
            ),
            Beside::Reader(who) if tells_metadata => (
                ChangeKind::Open,
                "envoy.filters.http.jwt_authn",
                format!("{who} reads what jwt_authn tells in dynamic metadata, of which there is none now: a rule that denies by it no longer does. Deny in a rule of this filter (authorize); have logs read the filter state"),
            ),
            Beside::RoutesElsewhere if signs_in => (
                ChangeKind::Open,
                ROUTES,
                "are in none of the files, and an OAuth2PerRoute in them may ask for more: give the file that has them too".to_owned(),
            ),
            Beside::RoutesElsewhere => (
                ChangeKind::Differs,
                ROUTES,
                "are in none of the files: what they say of jwt_authn, such as disabled, has no effect any more".to_owned(),
            ),
            Beside::Reader(_) => continue,
        };
        changes.push(Change {
            line: *line,
            path: path.to_owned(),
            text,
            kind,
        });
    }
    changes
}

impl Migration {
    fn of_jwt_authn(written: &Node, directory: &Path) -> Self {
        let mut migration = Self::converted(written, directory);
        migration.refuse();
        migration
    }

    fn of_oauth2(pair: &Pair<'_>, directory: &Path, told: &oauth2::Told) -> Self {
        let of_jwt = pair.jwt.map(|jwt| Self::converted(jwt, directory));
        let jwt = of_jwt.as_ref().map(|migration| &migration.node);
        let oauth2::Converted {
            node,
            changes,
            explained,
        } = oauth2::convert(pair, jwt, told);
        let mut migration = of_jwt.unwrap_or(Self {
            line: pair.oauth2.line,
            node: node.clone(),
            changes: Vec::new(),
            from: "oauth2",
            always: ALWAYS.to_vec(),
            has_names: false,
            explained: Vec::new(),
            resource: None,
        });
        migration.node = node;
        migration.explained = explained;
        migration.changes.extend(changes);
        migration.always.splice(0..0, oauth2::ALWAYS);
        if pair.jwt.is_some() {
            migration.from = "oauth2 and jwt_authn";
        }
        migration.refuse();
        migration
    }

    fn of_oauth2_proxy(options: &oauth2_proxy::Options, told: &oauth2::Told) -> Self {
        let oauth2_proxy::Converted { node, changes } = oauth2_proxy::convert(options, told);
        let mut migration = Self {
            line: options.node.line,
            node,
            changes,
            from: "oauth2-proxy",
            always: [&oauth2_proxy::ALWAYS[..], &ALWAYS].concat(),
            has_names: false,
            explained: Vec::new(),
            resource: None,
        };
        let open = migration.changes.iter();
        let open = open.filter(|change| change.kind == ChangeKind::Open);
        for option in open.map(|change| change.path.as_str()) {
            migration.explained.extend(oauth2_proxy::explains(option));
        }
        migration.refuse();
        migration
    }

    /// What istiod and Envoy Gateway make of their policies is jwt_authn, and its providers are converted
    /// as everywhere; so is oauth2, with the `hosts` of the pages and what else is in the files.
    fn of_policies(converted: Converted, others: &[Node], hosts: &[String]) -> Self {
        let mut migration = Self {
            line: converted.node.line,
            node: converted.node,
            changes: converted.changes,
            from: converted.from,
            always: [&converted.always[..], &OF_JWT_AUTHN, &ALWAYS].concat(),
            has_names: false,
            explained: Vec::new(),
            resource: Some(converted.resource),
        };
        for (kind, path, text) in convert::providers(&mut migration.node, Path::new(".")) {
            migration.say(kind, &path, &text);
        }
        if let Some(oidc) = converted.oidc {
            let signed_in = oidc.signed_in(&migration.node, others, hosts);
            migration.node = signed_in.node;
            migration.explained = signed_in.explained;
            migration.changes.extend(signed_in.changes);
            migration.always.splice(0..0, oauth2::ALWAYS);
        }
        let changes = migration.changes.iter_mut();
        for change in changes.filter(|change| change.path.starts_with("spec.")) {
            change.path = read::camel_case(&change.path);
        }
        migration.refuse();
        migration
    }

    fn is_open(&self) -> bool {
        let mut changes = self.changes.iter();
        changes.any(|change| change.kind == ChangeKind::Open)
    }

    /// The message as the filter takes it, as far as it was understood.
    fn converted(written: &Node, directory: &Path) -> Self {
        let (node, problems) = read::read(written, &message::AUTHENTICATION);
        let mut migration = Self {
            line: written.line,
            node,
            changes: problems.into_iter().map(Change::from).collect(),
            from: "jwt_authn",
            always: [&OF_JWT_AUTHN[..], &ALWAYS].concat(),
            has_names: false,
            explained: Vec::new(),
            resource: None,
        };
        migration.has_names = migration.node.get("requirement_map").is_some();
        let mut told = convert::providers(&mut migration.node, directory);
        told.extend(convert::rules(&mut migration.node));
        for (kind, path, text) in told {
            migration.say(kind, &path, &text);
        }
        migration
    }

    /// Takes note of what the filter refuses.
    fn refuse(&mut self) {
        for refusal in unsupported::find(&self.node) {
            let unsupported::Refusal {
                path,
                problem,
                is_needless,
            } = refusal;
            // A field that was not read may be refused because of that.
            let is_known =
                |change: &Change| change.kind == ChangeKind::Open && change.path.starts_with(&path);
            if is_needless {
                self.say(ChangeKind::LeftOut, &path, "has no counterpart");
                self.node.remove_at(&path);
            } else if !self.changes.iter().any(is_known) && !self.explained.contains(&path.as_str())
            {
                let text = format!("{problem}: see to it by hand");
                self.say(ChangeKind::Open, &path, &text);
            }
        }
    }

    fn say(&mut self, kind: ChangeKind, path: &str, text: &str) {
        let (line, _) = self.node.locate(path);
        self.changes.push(Change {
            line,
            path: path.to_owned(),
            text: text.to_owned(),
            kind,
        });
    }

    /// Reports requirements that routes can name, where not all routes are in the files.
    fn requirements_of_routes(&mut self, names_by_route: bool, routes_are_here: bool) {
        if !self.has_names {
            return;
        }
        let unused = convert::unused_requirements(&self.node);
        if !routes_are_here {
            let of_rules = match unused.as_slice() {
                [] => String::new(),
                unused => format!("no rule asks for {}: ", unused.join(", ")),
            };
            let text = format!(
                "{of_rules}routes can, by a PerRouteConfig, and not all routes are in the files: give the files that have them too. A Wasm filter has no such configuration: put `metadata: {{filter_metadata: {{{ROUTE_METADATA}: {{requirement_name: NAME}}}}}}` on each such route"
            );
            self.say(ChangeKind::Open, "requirement_map", &text);
        }
        let is_named = names_by_route || !routes_are_here && !unused.is_empty();
        if is_named && self.node.get("requirement_map").is_some() {
            let text = "Routes name a requirement by requirement_name in this namespace of their metadata.";
            let name = Yaml::Text(ROUTE_METADATA.to_owned());
            self.node.add("route_metadata", name, text);
            self.say(ChangeKind::Added, "route_metadata", text);
        }
    }

    /// Says what happens to requests that no rule matches. If something is open, also adds a line
    /// that makes the filter refuse the configuration.
    fn close(&mut self, is_open: bool) {
        if is_open {
            let text = "Something is open here, so what no rule matches is denied, whatever it was before.";
            let deny = Yaml::Text("deny".to_owned());
            self.node.add("unmatched", deny, text);
            let text = "Something of the old filter is not in here, see standard error. The filter refuses this configuration as long as this line is in it: take it out when you have seen to everything.";
            self.node.add_first("open", Yaml::Bool(true), text);
        } else if self.resource.is_none() && !convert::are_complete(&self.node) {
            let text = "jwt_authn lets pass what no rule matches. Without this line it is denied, which is safer.";
            self.node
                .add("unmatched", Yaml::Text("allow".to_owned()), text);
            self.say(ChangeKind::Added, "unmatched", text);
        }
    }
}

/// Where the printed text goes.
const ALONE: &str =
    "This is `configuration.value` of the filter: `migrate --envoy` prints the filter around it.";

/// Differences of every old filter.
const ALWAYS: [&str; 2] = [
    "paths are compared in normal form: /%61pi is /api",
    "paths with two readings (//, %2f, ..) are 400",
];

/// Differences that every configuration of jwt_authn has.
const OF_JWT_AUTHN: [&str; 5] = [
    "a wrong audience is 401, not 403; keys that cannot be had are 503, not 401",
    "a token with crit, with iat in the future, or with cnf is refused",
    "a token with padding (= at the end of a part) is refused",
    "more tokens in a request than its rule has a use for are 400",
    "the body of a rejection is JSON; the challenge has a fixed realm, not the request's URL",
];

fn show(args: &Args, lines: &Lines, migration: &Migration, several: bool) {
    if several {
        println!("---");
    }
    let mut head = String::new();
    let from = migration.from;
    let title = format!("From {from}. Whatever the configuration, these differ:");
    yaml::comment(&title, 0, &mut head);
    for line in &migration.always {
        yaml::comment(&format!("- {line}"), 0, &mut head);
    }
    let (whole, place) = match &migration.resource {
        Some(resource) => (Some(kubernetes::filled(resource, &migration.node)), None),
        None if args.envoy => (
            Some(wrapper::filter(&migration.node)),
            Some(match from {
                "oauth2-proxy" => "This goes to the head of `http_filters`.".to_owned(),
                old => format!("This takes the place of {old} in `http_filters`."),
            }),
        ),
        None => (None, Some(ALONE.to_owned())),
    };
    if let Some(place) = place {
        yaml::comment(&place, 0, &mut head);
    }
    print!(
        "{head}{}",
        yaml::write(whole.as_ref().unwrap_or(&migration.node))
    );
    for change in &migration.changes {
        let style = if change.kind == ChangeKind::Open {
            BAD
        } else {
            WARN
        };
        let word = change.kind.word();
        let (name, line) = lines.locate(change.line);
        eprintln!(
            "{name}:{line}: {}: {}: {}",
            styled(style, word),
            safe(&change.path),
            safe(&change.text)
        );
    }
}

fn as_json(lines: &Lines, migration: &Migration) -> Value {
    let changes: Vec<Value> = migration
        .changes
        .iter()
        .map(|change| {
            let (name, line) = lines.locate(change.line);
            json!({
                "kind": change.kind.word().replace(' ', "_"),
                "file": name,
                "line": line,
                "path": change.path,
                "text": change.text,
            })
        })
        .collect();
    let json = |node: &Node| serde_json::from_str::<Value>(&node.to_json()).unwrap_or_default();
    let (_, line) = lines.locate(migration.line);
    let mut report = json!({
        "line": line,
        "config": json(&migration.node),
        "changes": changes,
        "always": migration.always,
    });
    if let (Some(resource), Some(members)) = (&migration.resource, report.as_object_mut()) {
        members.insert("resource".to_owned(), json(resource));
    }
    report
}
