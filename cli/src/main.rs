//! The command-line tool: it runs the filter's own code on files.
//!
//! Invariants: every verdict comes from the library; no token is printed whole unless the user asks
//! for it; and the exit code tells the result.

mod advice;
mod alert;
mod check;
mod command_error;
mod config_map;
mod correction;
mod document;
mod duration;
mod explain;
mod explanation;
mod expression;
mod finding;
mod forms;
mod gateway;
mod hint;
mod http;
mod keys;
mod log_line;
mod migrate;
mod mint;
mod narrator;
mod no_yaml;
mod outlook;
mod output;
mod plugin;
mod refusals;
mod report;
mod risks;
mod sign_in_reason;
mod signing;
mod sort;
mod surroundings;
mod unrendered;
mod view;
mod yaml;

use std::process::ExitCode;

use anstream::{eprintln, print, println};
use clap::{Parser, Subcommand};

use output::{BAD, safe, styled};

/// Checks configurations of the filter bearer-gate, explains its decisions, and mints test tokens.
///
/// Exit codes: 0 in order, 1 refused or denied, 2 wrong arguments or unreadable files.
#[derive(Parser)]
#[command(version, name = "bearer-gate")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Validate configurations, and warn of risky choices
    Check(check::Args),
    /// Say step by step why a request passes or fails
    Explain(Box<explain::Args>),
    /// Turn a configuration of Envoy's jwt_authn or oauth2, of oauth2-proxy, or policies of Istio or Envoy Gateway, into one of the plugin, and say what changes
    Migrate(migrate::Args),
    /// Mint a token for tests
    Token(mint::TokenArgs),
    /// Make a key for tests
    Keygen(mint::KeygenArgs),
    /// Print the JSON Schema of the configuration
    Schema {
        /// The reference in Markdown instead
        #[arg(long)]
        markdown: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Token(args) => mint::token(&args),
        Command::Keygen(args) => mint::keygen(&args),
        Command::Schema { markdown } => {
            if markdown {
                print!("{}", bearer_gate::config::reference());
            } else {
                println!("{:#}", bearer_gate::config::schema());
            }
            Ok(command_error::exit(true))
        }
    };
    outcome.unwrap_or_else(|error| {
        for reason in &error.0 {
            eprintln!("{}: {}", styled(BAD, "error"), safe(reason));
        }
        ExitCode::from(command_error::USAGE)
    })
}
