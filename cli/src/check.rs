//! `check`: what is wrong with configurations, and what is risky about them.

use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use bearer_gate::config::{Config, ConfigError};
use serde_json::{Value, json};

use crate::command_error::{CommandError, exit};
use crate::finding::Finding;
use crate::output::{BAD, GOOD, WARN, escaped, safe, styled};
use crate::plugin::{Container, File, Plugin};
use crate::surroundings::sign_in::{
    handed_by_envoy, handed_by_gateway, handed_by_istio, look_at_bodies, look_at_values,
    look_at_variables,
};
use crate::{risks, surroundings};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The configuration of the plugin by itself, an Envoy configuration, or resources of Istio or
    /// Envoy Gateway; YAML or JSON
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Refuse variables that are not set here, where Envoy will be started
    #[arg(long)]
    environment: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let mut good = true;
    let mut report = Vec::new();
    for path in &args.files {
        let file = File::read(path)?;
        let (mut findings, configurations) = check(&file)?;
        if args.environment {
            for plugin in &file.plugins() {
                if let Some(tree) = plugin.tree() {
                    look_at_values(tree, &|path| plugin.locate(path), &mut findings);
                }
            }
            findings.sort_by_key(|finding| (finding.line, finding.column));
        }
        let refused = |finding: &Finding| finding.is_error || args.strict;
        let is_good = !findings.iter().any(refused);
        good &= is_good;
        if args.json {
            report.push(as_json(&file.name, is_good, configurations, &findings));
        } else {
            print(&file.name, is_good, configurations, &findings);
        }
    }
    if args.json {
        println!("{}", escaped(&Value::Array(report)));
    }
    Ok(exit(good))
}

/// What there is to say about a file, in the order of its lines, and how many configurations it
/// has.
///
/// # Errors
/// The file has none.
pub(crate) fn check(file: &File) -> Result<(Vec<Finding>, usize), CommandError> {
    let plugins = file.plugins();
    if plugins.is_empty() {
        return Err(CommandError::usage(format!(
            "{}: no configuration of bearer-gate in it",
            file.name
        )));
    }
    let mut findings = Vec::new();
    let configs: Vec<Result<Config, ConfigError>> = plugins.iter().map(Plugin::parse).collect();
    for (at, (plugin, config)) in plugins.iter().zip(&configs).enumerate() {
        let earlier = configs.iter().take(at).flatten();
        match config {
            Ok(config) => {
                let beside = risks::sign_in::beside(config, earlier);
                for risk in risks::find(config).into_iter().chain(beside) {
                    let (line, column) = plugin.locate(&risk.path);
                    findings.push(Finding {
                        line,
                        column,
                        is_error: false,
                        path: risk.path,
                        text: risk.text,
                    });
                }
            }
            Err(error) => {
                let (line, column) = plugin.locate(error.path());
                findings.push(Finding {
                    line,
                    column,
                    is_error: true,
                    path: error.path().to_owned(),
                    text: error.problem().to_owned(),
                });
            }
        }
        let handed = match plugin.container {
            Container::Alone => None,
            Container::Envoy { plugin, .. } => Some(handed_by_envoy(plugin)),
            Container::Istio(resource) => Some(handed_by_istio(resource)),
            Container::Gateway(wasm) => Some(handed_by_gateway(wasm)),
        };
        if let (Some(handed), Some(tree)) = (&handed, plugin.tree()) {
            look_at_variables(tree, handed, &|path| plugin.locate(path), &mut findings);
        }
        if let (
            Container::Envoy {
                plugin: settings, ..
            },
            Some(tree),
        ) = (plugin.container, plugin.tree())
        {
            look_at_bodies(tree, settings, &mut findings);
        }
        match plugin.container {
            Container::Alone => {}
            Container::Envoy {
                document,
                manager,
                plugin: settings,
            } => findings.extend(surroundings::envoy(
                document,
                manager,
                settings,
                config.as_ref().ok(),
                &|path| plugin.locate(path),
            )),
            Container::Istio(resource) => findings.extend(surroundings::istio(resource)),
            Container::Gateway(wasm) => findings.extend(surroundings::gateway(wasm)),
        }
    }
    findings.sort_by_key(|finding| (finding.line, finding.column));
    Ok((findings, plugins.len()))
}

fn print(name: &str, is_good: bool, configurations: usize, findings: &[Finding]) {
    for finding in findings {
        let kind = if finding.is_error {
            styled(BAD, "error")
        } else {
            styled(WARN, "warning")
        };
        let path = match finding.path.as_str() {
            "" => String::new(),
            path => format!("{}: ", safe(path)),
        };
        println!(
            "{name}:{}:{}: {kind}: {path}{}",
            finding.line,
            finding.column,
            safe(&finding.text)
        );
    }
    let warnings = findings.iter().filter(|finding| !finding.is_error).count();
    let verdict = if is_good {
        styled(GOOD, "good")
    } else {
        styled(BAD, "refused")
    };
    println!("{name}: {verdict}: configurations: {configurations}, warnings: {warnings}");
}

fn as_json(name: &str, is_good: bool, configurations: usize, findings: &[Finding]) -> Value {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "severity": if finding.is_error { "error" } else { "warning" },
                "line": finding.line,
                "column": finding.column,
                "path": finding.path,
                "text": finding.text,
            })
        })
        .collect();
    json!({"file": name, "good": is_good, "configurations": configurations, "findings": findings})
}
