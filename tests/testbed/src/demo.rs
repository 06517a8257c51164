//! The demo: identity provider, application and Envoy on fixed loopback ports, and what to try. The
//! ports are those of envoy/envoy.yaml.

mod walk;

use std::error::Error;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bearer_gate_testbed::envoy::{Process, tail};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::{application, holds_within, raw};

const IDP: u16 = 9000;
const UPSTREAM: u16 = 9001;
const ADMIN: u16 = 9901;
const LISTENER: u16 = 10_000;

/// Compiling the module is most of it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A request to paste, and the status to expect.
struct Step {
    what: &'static str,
    command: &'static str,
    /// `None` where the line only sets TOKEN.
    status: Option<u16>,
}

const STEPS: &[Step] = &[
    Step {
        what: "A public route needs no token",
        command: "curl -i http://127.0.0.1:10000/public",
        status: Some(200),
    },
    Step {
        what: "A private route does",
        command: "curl -i http://127.0.0.1:10000/api/private",
        status: Some(401),
    },
    Step {
        what: "Get a token. No scope is asked for, so it carries none",
        command: "TOKEN=$(curl -s http://127.0.0.1:9000/oauth/token \
                  -d grant_type=client_credentials \
                  -d client_id=demo-client -d client_secret=demo-secret \
                  -d audience=https://api.example.com \
                  | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
        status: None,
    },
    Step {
        what: "With it the private route answers, and the upstream is told x-user",
        command: "curl -i http://127.0.0.1:10000/api/private -H \"Authorization: Bearer $TOKEN\"",
        status: Some(200),
    },
    Step {
        what: "The scoped route wants read:messages, which this token lacks",
        command: "curl -i http://127.0.0.1:10000/api/private-scoped \
                  -H \"Authorization: Bearer $TOKEN\"",
        status: Some(403),
    },
    Step {
        what: "Get a token with the scope",
        command: "TOKEN=$(curl -s http://127.0.0.1:9000/oauth/token \
                  -d grant_type=client_credentials \
                  -d client_id=demo-client -d client_secret=demo-secret \
                  -d audience=https://api.example.com -d scope=read:messages \
                  | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
        status: None,
    },
    Step {
        what: "With that one the scoped route answers",
        command: "curl -i http://127.0.0.1:10000/api/private-scoped \
                  -H \"Authorization: Bearer $TOKEN\"",
        status: Some(200),
    },
];

/// What to try, as it is printed.
pub(crate) fn instructions() -> String {
    let mut text = format!(
        "Sign in with a browser, as alice with the password wonderland:\n\n    {}/\n\n\
         Tokens: paste these in order into another terminal:\n",
        application::SITE
    );
    for Step {
        what,
        command,
        status,
    } in STEPS
    {
        let expected = status.map_or_else(String::new, |status| format!(": {status}"));
        let _ = write!(text, "\n# {what}{expected}\n{command}\n");
    }
    text
}

/// What the demo runs.
#[derive(Debug)]
pub(crate) struct Demo {
    pub envoy: PathBuf,
    pub wasm: PathBuf,
    pub config: PathBuf,
    pub log: PathBuf,
}

impl Demo {
    /// Until Ctrl-C, or with `check` until each request has been made.
    pub(crate) fn run(&self, check: bool) -> Result<(), Box<dyn Error>> {
        exists(&self.envoy, "`make` fetches Envoy; ENVOY names another one")?;
        exists(&self.config, "run this at the repository's root")?;
        exists(
            &self.wasm,
            "build the module: cargo build --release --target wasm32-wasip1",
        )?;
        for port in [LISTENER, ADMIN] {
            TcpListener::bind(loopback(port))
                .map_err(|e| format!("port {port}, which Envoy needs, is not free: {e}"))?;
        }
        if let Some(directory) = self.log.parent() {
            std::fs::create_dir_all(directory)?;
        }

        let idp = Idp::builder().listen(loopback(IDP)).start()?;
        application::register(&idp, &application::SITES);
        println!("identity provider at {}", idp.url());
        let upstream = Upstream::start_with(loopback(UPSTREAM), application::pages())?;
        println!("upstream          at http://{}", upstream.address());
        let mut envoy = self.start_envoy()?;
        println!("Envoy             at http://127.0.0.1:{LISTENER}");
        println!("its admin page    at http://127.0.0.1:{ADMIN}");
        println!("its log           in {}\n", self.log.display());

        if check {
            return try_it().map_err(|e| with_log(&e, &envoy));
        }
        println!("{}\nCtrl-C stops everything.", instructions());
        crate::until_stopped(|| match envoy.exited() {
            None => Ok(()),
            Some(status) => Err(with_log(&format!("Envoy exited: {status}"), &envoy)),
        })?;
        println!("\nStopping.");
        Ok(())
    }

    fn start_envoy(&self) -> Result<Process, Box<dyn Error>> {
        let config = self
            .config
            .to_str()
            .ok_or("the path of the configuration")?;
        let arguments = ["--config-path", config, "--disable-hot-restart"];
        let mut command = Command::new(&self.envoy);
        command.args(arguments).envs(application::VARIABLES);
        let mut envoy = Process::spawn(&mut command, &self.log)?;
        let mut exited = None;
        let ready = holds_within(START_LIMIT, || {
            exited = envoy.exited();
            let page = raw::get(loopback(ADMIN), "/ready", &[]);
            exited.is_some() || page.is_ok_and(|page| page.status == 200)
        });
        match exited {
            Some(status) => Err(with_log(&format!("Envoy exited: {status}"), &envoy)),
            None if ready => Ok(envoy),
            None => Err(with_log("Envoy is not ready", &envoy)),
        }
    }
}

/// Makes each of the printed requests of a demo that runs or starts, and signs in and out.
pub(crate) fn try_it() -> Result<(), String> {
    let ready = || raw::get(loopback(ADMIN), "/ready", &[]).is_ok_and(|page| page.status == 200);
    if !holds_within(START_LIMIT, ready) {
        return Err(format!("no Envoy is ready at port {ADMIN}"));
    }
    make_requests()?;
    walk::walk()
}

/// Runs the printed lines in one shell, as somebody who pastes them would.
fn make_requests() -> Result<(), String> {
    const MARK: &str = "--- next";
    let mut script = String::new();
    for step in STEPS {
        // Nothing here may wait for ever, and the progress meter says nothing.
        let command = step.command.replace("curl ", "curl -sS --max-time 20 ");
        let _ = write!(script, "{command}\necho; echo '{MARK}'\n");
    }
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .map_err(|e| format!("sh: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut wrong = 0;
    for (step, answer) in STEPS.iter().zip(text.split(MARK)) {
        let Some(expected) = step.status else {
            continue;
        };
        let status_line = answer.trim_start().lines().next().unwrap_or_default();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        if status == Some(expected) {
            println!("ok    {expected} {}", step.what);
        } else {
            wrong += 1;
            println!("WRONG {expected} {}: {}", step.what, answer.trim());
        }
    }
    match wrong {
        0 => Ok(()),
        _ => Err(format!(
            "{wrong} requests were not answered as they should be\n{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn exists(path: &Path, hint: &str) -> Result<(), String> {
    if path.exists() {
        Ok(())
    } else {
        Err(format!("{} is not there; {hint}", path.display()))
    }
}

fn with_log(problem: &str, envoy: &Process) -> Box<dyn Error> {
    let end = tail(&envoy.log(), 20);
    format!("{problem}\n--- the end of Envoy's log\n{end}").into()
}
