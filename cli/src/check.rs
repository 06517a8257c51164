//! `check`: what is wrong with configurations, and what is risky about them.

use std::path::PathBuf;
use std::process::ExitCode;

use bearer_gate::config::{Config, ConfigError};

use crate::command_error::{CommandError, exit};
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::{Container, File, MARK, MARKED, Plugin};
use crate::report::{Format, Report};
use crate::surroundings::sign_in::{
    handed_by_envoy, handed_by_gateway, handed_by_istio, look_at_bodies, look_at_values,
    look_at_variables,
};
use crate::view::{Part, View};
use crate::{correction, refusals, risks, surroundings};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The configuration of the plugin by itself, Envoy's configuration, in one file or in several, or
    /// resources of Istio or Envoy Gateway, or a ConfigMap of such; YAML or JSON; `-` reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print JSON, as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Refuse variables that are not set here, where Envoy will be started
    #[arg(long)]
    environment: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let files = File::read_each(&args.files)?;
    let files: Vec<File> = files.into_iter().flatten().collect();
    let view = View::new(&files);
    let mut findings = check(&files, &view)?;
    if args.environment {
        for plugin in &view.plugins {
            look_at_values(plugin, &mut findings);
        }
        in_order(&mut findings);
    }
    let notes = surroundings::notes(&view);
    let report = Report {
        notes: &notes,
        files: &files,
        plugins: &view.plugins,
        findings: &findings,
        is_strict: args.strict,
    };
    report.print(if args.json { Format::Json } else { args.format });
    Ok(exit(report.is_good()))
}

/// What there is to say about files that are one configuration, or several, in the order of their
/// lines.
///
/// # Errors
/// None of them has a configuration of ours.
pub(crate) fn check(files: &[File], view: &View<'_>) -> Result<Vec<Finding>, CommandError> {
    if view.plugins.is_empty() && !surroundings::has_unconfigured(view) {
        return Err(CommandError::usage(nothing_in(files, view)));
    }
    let mut findings = Vec::new();
    let configs: Vec<Option<Config>> = view
        .plugins
        .iter()
        .map(|plugin| valid(plugin, &mut findings))
        .collect();
    for (at, (plugin, config)) in view.plugins.iter().zip(&configs).enumerate() {
        if let Some(config) = config {
            let earlier = configs.iter().enumerate().take(at);
            let earlier = earlier.filter(|(other, _)| view.are_together(at, *other));
            let beside = risks::sign_in::beside(config, earlier.filter_map(|(_, it)| it.as_ref()));
            let unused = risks::unused::look_at(plugin, config);
            for risk in risks::find(config).into_iter().chain(beside).chain(unused) {
                let spot = plugin.spot(&risk.path);
                findings.push(Finding::warning(
                    Kind::RiskyChoice,
                    spot,
                    &risk.path,
                    risk.text,
                ));
            }
        }
        look_at_environment(plugin, &mut findings);
        surroundings::look_at_plugin(plugin, config.as_ref(), &mut findings);
    }
    for group in view.groups.iter().filter(|group| !group.plugins.is_empty()) {
        surroundings::look_at_envoy(view, group, &configs, &mut findings);
    }
    surroundings::look_at_kubernetes(view, &configs, &mut findings);
    surroundings::ports::look_at(files, &mut findings);
    surroundings::written::look_at(files, &view.plugins, &mut findings);
    in_order(&mut findings);
    Ok(findings)
}

/// By file and line, each once: what several configurations share is looked at with each of them.
fn in_order(findings: &mut Vec<Finding>) {
    findings.sort_by_key(|finding| finding.spot);
    let mut seen: Vec<Finding> = Vec::new();
    findings.retain(|finding| {
        let of_here = seen.iter().rev();
        let mut of_here = of_here.take_while(|other| other.spot == finding.spot);
        let is_new = !of_here.any(|other| other == finding);
        if is_new {
            seen.push(finding.clone());
        }
        is_new
    });
}

/// A configuration, if the filter takes it; also one that only `migrate` has marked.
fn valid(plugin: &Plugin<'_>, findings: &mut Vec<Finding>) -> Option<Config> {
    let error = match plugin.parse() {
        Ok(config) => return Some(config),
        Err(error) => error,
    };
    let Some(unmarked) = plugin.without_mark(&error) else {
        findings.extend(refused(plugin, plugin.tree(), error));
        return None;
    };
    findings.push(
        Finding::error(Kind::Configuration, plugin.spot(MARK), MARK, MARKED)
            .write("what was left open, and take this line out"),
    );
    let config = plugin.parse_another(&unmarked);
    config
        .map_err(|error| findings.extend(refused(plugin, Some(&unmarked), error)))
        .ok()
}

/// All that is refused of this tree, of which this is the first.
fn refused(plugin: &Plugin<'_>, tree: Option<&Node>, first: ConfigError) -> Vec<Finding> {
    let all = refusals::all(plugin, tree, first);
    all.iter().map(|error| refusal(plugin, error)).collect()
}

fn refusal(plugin: &Plugin<'_>, error: &ConfigError) -> Finding {
    let spot = plugin.spot(error.path());
    let refused = Finding::error(Kind::Configuration, spot, error.path(), error.problem());
    match correction::of(error) {
        Some(instead) => refused.write(instead),
        None => refused,
    }
}

/// Why there is nothing to check.
fn nothing_in(files: &[File], view: &View<'_>) -> String {
    let given = files.iter().filter(|file| file.entry.is_none());
    let names: Vec<&str> = given.map(|file| file.name.as_str()).collect();
    let names = names.join(", ");
    let elsewhere = view.groups.iter().find_map(|group| group.file_of_filter());
    match elsewhere {
        Some(path) => format!(
            "{names}: no configuration of bearer-gate in it; a filter comes from {path}: give that file too"
        ),
        None => format!("{names}: no configuration of bearer-gate in it"),
    }
}

/// What the filter is handed beside its configuration.
fn look_at_environment(plugin: &Plugin<'_>, findings: &mut Vec<Finding>) {
    let handed = match plugin.container {
        Container::Alone => return,
        Container::Envoy { plugin, .. } => handed_by_envoy(plugin),
        Container::Istio(resource) => handed_by_istio(resource),
        Container::Gateway(wasm) => handed_by_gateway(wasm),
    };
    look_at_variables(plugin, &handed, findings);
    if let (Container::Envoy { plugin: node, .. }, Some(tree)) = (plugin.container, plugin.tree()) {
        let settings = Part {
            file: plugin.file,
            node,
        };
        look_at_bodies(tree, settings, findings);
    }
}
