//! The testbed on the command line: its identity provider and its upstream by themselves, and the
//! demo, which puts them round an Envoy.

mod demo;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bearer_gate_testbed::application;
use bearer_gate_testbed::idp::{Client, Idp};
use bearer_gate_testbed::upstream::Upstream;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The identity provider, the upstream and the demo of bearer-gate
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// An identity provider that looks like Auth0, and where people sign in to the demo
    Idp {
        #[arg(long, default_value = "127.0.0.1:9000")]
        listen: SocketAddr,
        /// The tokens' iss; http://LISTEN/ by default
        #[arg(long)]
        issuer: Option<String>,
        #[arg(long, default_value = "demo-client")]
        client_id: String,
        #[arg(long, default_value = "demo-secret")]
        client_secret: String,
        /// An audience that tokens may be asked for; repeatable
        #[arg(long, default_value = "https://api.example.com")]
        audience: Vec<String>,
    },
    /// The demo's application: an upstream that answers with what it received, and its pages
    Upstream {
        #[arg(long, default_value = "127.0.0.1:9001")]
        listen: SocketAddr,
    },
    /// Both, and Envoy between them and you, until Ctrl-C
    Demo {
        #[arg(long, env = "ENVOY", default_value = bearer_gate_testbed::envoy::ENVOY_PATH)]
        envoy: PathBuf,
        /// The module that the configuration names; looked at to say when it is missing
        #[arg(long, default_value = bearer_gate_testbed::envoy::MODULE_PATH)]
        wasm: PathBuf,
        #[arg(long, default_value = "envoy/envoy.yaml")]
        config: PathBuf,
        /// Where Envoy's log goes
        #[arg(long, default_value = "target/demo-envoy.log")]
        log: PathBuf,
        /// Make the printed requests, with sh and curl, sign in and out, and leave: 0 when each was
        /// answered as it says
        #[arg(long)]
        check: bool,
    },
    /// Print what to try with the demo
    Requests {
        /// Try it, with a demo that runs
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Idp {
            listen,
            issuer,
            client_id,
            client_secret,
            audience,
        } => {
            let client = Client {
                id: client_id,
                secret: client_secret,
                audiences: audience,
                ..Client::demo()
            };
            run_idp(listen, issuer.as_deref(), client)
        }
        Command::Upstream { listen } => run_upstream(listen),
        Command::Demo {
            envoy,
            wasm,
            config,
            log,
            check,
        } => demo::Demo {
            envoy,
            wasm,
            config,
            log,
        }
        .run(check),
        Command::Requests { check: true } => demo::try_it().map_err(Into::into),
        Command::Requests { check: false } => {
            print!("{}", demo::instructions());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_idp(listen: SocketAddr, issuer: Option<&str>, client: Client) -> Result<(), Box<dyn Error>> {
    let builder = Idp::builder().listen(listen).client(client);
    let idp = match issuer {
        Some(issuer) => builder.issuer(issuer),
        None => builder,
    }
    .start()?;
    application::register(&idp, &application::SITES);
    println!("identity provider {} at {}", idp.issuer(), idp.url());
    until_stopped(|| Ok(()))
}

fn run_upstream(listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let upstream = Upstream::start_with(listen, application::pages())?;
    println!("upstream at http://{}", upstream.address());
    until_stopped(|| Ok(()))
}

/// Waits for SIGINT or SIGTERM, and asks `healthy` twice a second; its error ends the wait.
fn until_stopped(
    mut healthy: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = tick.tick() => healthy()?,
            }
        }
    })
}
