//! canaille, an OpenID provider that no code of this project had a part in; see
//! `canaille/serve.py`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::idp::openid::{ClientAuth, Person, RelyingParty};
use crate::{path_from, repository};

/// How long its tokens are good, if nothing else is asked for.
const LIFE: Duration = Duration::from_secs(3600);

/// A running canaille; dropping it stops it.
#[derive(Debug)]
pub struct Canaille {
    process: Child,
    stdin: Option<ChildStdin>,
    port: u16,
    folder: TempDir,
}

impl Canaille {
    /// On a free loopback port, with [`Person::demo`] and these clients. It asks for no consent
    /// where a client's first redirect URI is on this machine.
    ///
    /// # Panics
    /// When it does not start, because it is missing for one, or a client has a key.
    pub fn start(parties: &[RelyingParty]) -> Self {
        Self::start_with(parties, LIFE)
    }

    /// The same, with tokens that are good for so many seconds. Its refresh tokens end with its
    /// access tokens, and are good for one use.
    ///
    /// # Panics
    /// As [`Canaille::start`].
    pub fn start_with(parties: &[RelyingParty], life: Duration) -> Self {
        let folder = TempDir::with_prefix("canaille").expect("a temporary folder");
        let people: Vec<Value> = Person::demo().iter().map(person).collect();
        let clients: Vec<Value> = parties.iter().map(client).collect();
        // Where the Makefile puts it, if it is not told otherwise.
        let modules = path_from("BEARER_GATE_CANAILLE", ".cache/canaille");
        let environment = std::env::vars().filter(|(name, _)| ["PATH", "HOME"].contains(&&**name));
        let log_file = log_file(&folder);
        let log = File::create(&log_file).expect("a file for the log");
        let mut process = Command::new("python3")
            .arg(repository().join("tests/testbed/canaille/serve.py"))
            .arg(folder.path())
            .args([json!(people).to_string(), json!(clients).to_string()])
            .arg(life.as_secs().to_string())
            // Every variable that it knows would be a setting.
            .env_clear()
            .envs(environment)
            .env("PYTHONPATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("python3");
        let stdin = process.stdin.take();
        let output = process.stdout.take().expect("a pipe");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        read.expect("a line");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let log = fs::read_to_string(&log_file).unwrap_or_default();
            panic!("no port; if modules are missing, run `make .cache/canaille/.done`\n{log}")
        });
        let port = told["port"].as_u64().and_then(|port| port.try_into().ok());
        Self {
            process,
            stdin,
            port: port.expect("a port"),
            folder,
        }
    }

    /// The issuer, below which its metadata is.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its metadata.
    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer())
    }

    /// The statuses of its token endpoint's answers until now. One that is no 200 would be of a code
    /// or a refresh token that was used before.
    ///
    /// # Panics
    /// When its log cannot be read.
    pub fn token_answers(&self) -> Vec<String> {
        let log = fs::read_to_string(log_file(&self.folder)).expect("its log");
        let asked = log.split("\"POST /oauth/token HTTP/1.1\" ").skip(1);
        asked.map(|rest| rest.chars().take(3).collect()).collect()
    }
}

fn log_file(folder: &TempDir) -> PathBuf {
    folder.path().join("canaille.log")
}

/// Fills in its pages, the first of which a browser shows.
///
/// # Panics
/// When they are others.
pub async fn sign_in(browser: &Browser, username: &str, password: &str) {
    browser.fill("#login", username).await;
    browser.press("Continue").await;
    browser.fill("#password", password).await;
    browser.screenshot("canaille").await;
    let button = browser.wait_for("button.primary").await;
    button.click().await.expect("something to press");
}

impl Drop for Canaille {
    fn drop(&mut self) {
        // It ends when its standard input does, also when this process dies.
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

fn person(person: &Person) -> Value {
    let (given_name, family_name) = person.name.split_once(' ').unwrap_or((&person.name, "-"));
    json!({
        "user_name": person.username,
        "formatted_name": person.name,
        "given_name": given_name,
        "family_name": family_name,
        "emails": [person.email],
        "password": person.password,
    })
}

fn client(party: &RelyingParty) -> Value {
    let (secret, method) = match &party.auth {
        ClientAuth::Secret(secret) => (Some(secret), "client_secret_basic"),
        ClientAuth::Public => (None, "none"),
        ClientAuth::PrivateKeyJwt(_) => panic!("keys of clients are not passed on"),
    };
    let redirect_uri = party.redirect_uris.first().expect("a redirect URI");
    let url = Url::parse(redirect_uri).expect("a URL");
    json!({
        "client_id": party.client_id,
        "client_secret": secret,
        "client_name": party.client_id,
        "client_uri": url.origin().ascii_serialization(),
        "redirect_uris": party.redirect_uris,
        "post_logout_redirect_uris": party.post_logout_redirect_uris,
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": ["openid", "profile", "email"],
    })
}
