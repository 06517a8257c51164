//! `explain`: why a request passes, or does not.
//!
//! Invariant: the verdict is the one of [`authn::authenticate_with`], and the steps are what that
//! function reports while it decides.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bearer_gate::authn::{self, Context, Decision, RESOURCE_METADATA};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::{Config, TokenAccess};
use bearer_gate::desk::Basis;
use bearer_gate::http::credentials::Place;
use bearer_gate::http::path;
use bearer_gate::http::request::{Body, Header, Request};
use bearer_gate::http::subprotocol;
use bearer_gate::http::uri::Uri;
use bearer_gate::jose::base64url;
use bearer_gate::policy::{self, RuleOutcome};
use bearer_gate::session::seal::{Keyring, LEAST_SECRET};
use bearer_gate::sign_in::{People, Sessions, Steady};
use bearer_gate::signature::portable::Portable;
use rand::Rng;

use crate::command_error::{CommandError, exit};
use crate::explanation::{Explanation, Mark, ShownVerdict, Step, Touched};
use crate::gateway::Gateway;
use crate::hint::{self, cookie};
use crate::keys::{KeysAtHand, Wanted};
use crate::log_line;
use crate::narrator::Narrator;
use crate::outlook::{Does, Outlook, Source};
use crate::plugin::{self, File};
use crate::sign_in_reason;

mod around;
mod findings;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file with the plugin's configuration, as `check` takes it; with --admin the running one by
    /// default
    #[arg(long, value_name = "FILE", required_unless_present_any = ["log", "admin"])]
    config: Option<PathBuf>,
    /// Which configuration of the file, counted from 0, if the file has several
    #[arg(long, value_name = "N")]
    select: Option<usize>,
    /// The token; `-` reads it from standard input
    #[arg(long)]
    token: Option<String>,
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's path and query, or its whole address
    #[arg(long, default_value = "/")]
    path: String,
    /// The request's host
    #[arg(long)]
    host: Option<String>,
    /// A line of a browser's cookies, `name=value; name=value`; `-` reads it from standard input
    #[arg(long = "cookie", value_name = "LINE")]
    cookies: Vec<String>,
    /// A header, `name: value`
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The `requirement_name` in the metadata of the request's route
    #[arg(long, value_name = "NAME")]
    route_requirement: Option<String>,
    /// The time of the request, in seconds since 1970
    #[arg(long, value_name = "UNIX")]
    at: Option<f64>,
    /// A JWK Set in place of the one that would be fetched; of one provider only as `NAME=FILE`
    #[arg(long = "jwks", value_name = "[NAME=]FILE")]
    jwks: Vec<String>,
    /// Fetch the keys from where the filter would
    #[arg(long)]
    fetch: bool,
    /// Envoy's admin interface on this machine, `http://127.0.0.1:9901`: the configuration that runs, the
    /// age of its keys and the state of their clusters
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Say what to do about the reason in a line of a log, a response or a metric; `-` reads lines from
    /// standard input
    #[arg(long, value_name = "LINE", conflicts_with_all = ["config", "token", "cookies", "headers", "fetch", "jwks", "admin"])]
    log: Option<String>,
    /// Print the token too
    #[arg(long)]
    show_token: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    if let Some(line) = &args.log {
        let text = match line.as_str() {
            "-" => standard_input(MAX_LOG)?,
            line => line.to_owned(),
        };
        return log_line::explain(&text, args.json);
    }
    let gateway = args.admin.as_deref().map(Gateway::ask).transpose()?;
    let read = args.config.as_deref().map(File::read).transpose()?;
    let running = gateway.as_ref().map(Gateway::running);
    let file = read
        .as_ref()
        .or(running)
        .ok_or_else(|| CommandError::usage("give --config FILE, or --admin URL"))?;
    let source = match read {
        Some(_) => Source::File,
        None => Source::Running,
    };
    let plugins = file.plugins();
    let plugin = plugin::select(file, &plugins, args.select)?;
    let config = match source {
        Source::File => plugin::parse(file, plugin)?,
        Source::Running => plugin.parse().map_err(|error| {
            let instead = gateway.as_ref().map(|gateway| gateway.in_place_of(plugin));
            let instead = instead.unwrap_or_default();
            CommandError::usage(format!(
                "{}: {error}: {instead}. Give what should run by --config",
                file.name
            ))
        })?,
    };
    let now = match args.at {
        Some(at) => at,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| CommandError::usage("the clock is before 1970"))?
            .as_secs_f64(),
    };
    let token = args.token.as_deref().map(read_token).transpose()?;
    let kid = token
        .iter()
        .chain(&args.headers)
        .find_map(|text| kid_in(text));
    let fetch = args.fetch.then_some(Wanted(kid.as_deref()));
    let keys_at_hand = KeysAtHand::load(&config, &args.jwks, fetch)?;
    let cookies = args.cookies.iter().map(|line| read_cookies(line));
    let cookies = cookies.collect::<Result<Vec<String>, CommandError>>()?;
    let (request, removed) = request(args, &config, token.as_deref(), &cookies)?;
    let mut explanation = Explanation::new(&config, &request, &removed, &keys_at_hand, now);
    let is_admitted = explanation.verdict.admitted == Some(true);
    if let Some(gateway) = &gateway {
        let touched = &explanation.touched;
        let steps = gateway.steps(plugin, source, &config, touched);
        explanation.outlook = gateway.outlook(plugin, source, &config, touched, is_admitted);
        explanation.steps.extend(steps);
    }
    if let Some((step, outlook)) = findings::step(file, plugin, source, &explanation.touched)? {
        explanation.steps.push(step);
        // What a gateway has been seen to have counts more than what a file says of it, and so does a
        // rejection.
        let may_answer = gateway.is_none() && is_admitted;
        let counts = |outlook: &Outlook| may_answer || outlook.does == Does::MayDiffer;
        let outlook = outlook.filter(counts);
        explanation.outlook = explanation.outlook.or(outlook);
    }
    if matches!(source, Source::File) {
        let step = around::step(file, &args.method, &args.headers);
        explanation.steps.extend(step);
    }
    if let Some(sign_in) = &config.sign_in {
        let mut lines = cookies.iter();
        let hint = lines.find_map(|line| cookie::hint_at_names(line, sign_in));
        let step = hint.map(|hint| Step::new("cookies", Mark::Note, hint));
        explanation.steps.extend(step);
    }
    if args.json {
        anstream::println!(
            "{}",
            crate::output::escaped(
                &explanation.to_json(token.as_deref().filter(|_| args.show_token))
            )
        );
    } else {
        if let Some(token) = token.as_deref().filter(|_| args.show_token) {
            anstream::println!("token: {}", crate::output::safe(token));
        }
        explanation.print();
    }
    let answers = explanation.outlook.as_ref().map(|outlook| outlook.does);
    match explanation.verdict.admitted {
        Some(true) if matches!(answers, Some(Does::Answers(_))) => Ok(exit(false)),
        Some(admitted) => Ok(exit(admitted)),
        None => Err(CommandError::usage(match &explanation.verdict {
            verdict if verdict.asks_provider => {
                "the provider decides: the filter asks its token endpoint, and explain does not"
            }
            verdict if verdict.asks_store => {
                "the shared store decides: the filter asks it for the session, and explain does not"
            }
            _ => "the keys decide: give --jwks FILE, or --fetch",
        })),
    }
}

fn read_token(token: &str) -> Result<String, CommandError> {
    let token = if token == "-" {
        let text = standard_input(MAX_PASTED)?;
        let text = text.trim();
        // a pasted header has it
        text.strip_prefix("Bearer ").unwrap_or(text).to_owned()
    } else {
        token.to_owned()
    };
    match hint::hint_at_answer(&token) {
        Some(hint) => Err(CommandError::usage(format!("--token: {hint}"))),
        None => Ok(token),
    }
}

/// The `kid` of the token that a text ends with.
fn kid_in(text: &str) -> Option<String> {
    let token = text.rsplit([' ', ':']).next()?;
    let header = hint::header(token.as_bytes())?;
    Some(header.get("kid")?.as_str()?.to_owned())
}

/// A line of cookies, which may be pasted with the header's name.
fn read_cookies(line: &str) -> Result<String, CommandError> {
    let text = match line {
        "-" => standard_input(MAX_PASTED)?,
        line => line.to_owned(),
    };
    let text = text.trim();
    let bare = match text.get(..7) {
        Some(name) if name.eq_ignore_ascii_case("cookie:") => text.get(7..).unwrap_or_default(),
        _ => text,
    };
    match cookie::hint_at_line(bare) {
        Some(hint) => Err(CommandError::usage(format!("--cookie: {hint}"))),
        None => Ok(bare.trim().to_owned()),
    }
}

/// The most of standard input that is read of a token or of cookies, in bytes.
const MAX_PASTED: u64 = 1 << 20;
/// The same of a log.
const MAX_LOG: u64 = 64 << 20;

fn standard_input(most: u64) -> Result<String, CommandError> {
    let mut text = Vec::new();
    std::io::stdin()
        .take(most)
        .read_to_end(&mut text)
        .map_err(|error| CommandError::usage(format!("standard input: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The request as the filter decides it, with the token in a place of its rule. Also the names of the
/// client's headers that the filter removes first.
fn request(
    args: &Args,
    config: &Config,
    token: Option<&str>,
    cookies: &[String],
) -> Result<(Request, Vec<String>), CommandError> {
    // A whole address, as a browser shows it.
    let address = Uri::parse(&args.path).ok();
    let path = address.as_ref().map_or(&args.path, |uri| &uri.path);
    let of_address = address.as_ref().map(|uri| &uri.authority);
    let mut headers: Vec<Header> = vec![
        (Cow::Borrowed(":method"), args.method.clone().into_bytes()),
        (Cow::Borrowed(":path"), path.clone().into_bytes()),
    ];
    if let Some(host) = args.host.as_ref().or(of_address) {
        headers.push((Cow::Borrowed(":authority"), host.clone().into_bytes()));
    }
    for line in cookies {
        headers.push((Cow::Borrowed("cookie"), line.clone().into_bytes()));
    }
    for header in &args.headers {
        let (name, value) = header
            .split_once(':')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| CommandError::usage(format!("not a header, name: value: {header}")))?;
        let name = name.trim().to_ascii_lowercase();
        headers.push((Cow::Owned(name), value.trim().as_bytes().to_vec()));
    }
    let removed = remove_reserved(&mut headers, config);
    let route = args.route_requirement.clone().map(String::into_bytes);
    let request = |headers| {
        let request = Request::new(headers).on_route_with(route.clone());
        if matches!(request.method(), Ok(b"GET" | b"HEAD")) {
            request.with_body(Body::Whole(Vec::new()))
        } else {
            request
        }
    };
    let bare = request(headers.clone());
    let Some(token) = token else {
        return Ok((bare, removed));
    };
    let bearer = Place::bearer();
    let readings = bare.path().and_then(|raw| path::readings(raw).ok());
    let normal = readings.as_ref().and_then(|readings| readings.first());
    let places = match access(config, normal.map(String::as_str), &bare) {
        Some(access) => access.demand.places.as_slice(),
        None => &[],
    };
    let place = if places.contains(&bearer) {
        &bearer
    } else {
        places.first().unwrap_or(&bearer)
    };
    put(&mut headers, place, token);
    Ok((request(headers), removed))
}

/// Removes the headers that only the filter sets, as the filter does before it decides. Returns their
/// names as the client spelt them, each once.
fn remove_reserved(headers: &mut Vec<Header>, config: &Config) -> Vec<String> {
    let mut removed: Vec<String> = Vec::new();
    headers.retain(|(name, _)| {
        let is_reserved = config.is_reserved(name);
        if is_reserved && !removed.iter().any(|known| known == name) {
            removed.push(name.to_string());
        }
        !is_reserved
    });
    removed
}

/// The token in a place of a request.
fn put(headers: &mut Vec<Header>, place: &Place, token: &str) {
    match place {
        Place::Header { name, prefix } => headers.push((
            Cow::Owned(name.clone()),
            format!("{prefix}{token}").into_bytes(),
        )),
        Place::Basic { username } => {
            let name = username.as_deref().unwrap_or("token");
            let credentials = STANDARD.encode(format!("{name}:{token}"));
            headers.push((
                Cow::Borrowed("authorization"),
                format!("Basic {credentials}").into_bytes(),
            ));
        }
        Place::Subprotocol { prefix, base64url } => {
            let token = match base64url {
                true => base64url::encode(token.as_bytes()),
                false => token.to_owned(),
            };
            headers.push((
                Cow::Borrowed(subprotocol::HEADER),
                format!("{prefix}{token}").into_bytes(),
            ));
        }
        Place::Cookie(name) | Place::Chunks(name) => headers.push((
            Cow::Borrowed("cookie"),
            format!("{name}={token}").into_bytes(),
        )),
        Place::Parameter(name) => {
            for (_, path) in headers.iter_mut().filter(|(name, _)| name == ":path") {
                let separator = if path.contains(&b'?') { '&' } else { '?' };
                path.extend(format!("{separator}{name}={token}").into_bytes());
            }
        }
    }
}

/// What the request's route or rule asks for, if it asks for anything.
fn access<'c>(
    config: &'c Config,
    path: Option<&str>,
    request: &Request,
) -> Option<&'c TokenAccess> {
    if let Some(name) = request.requirement_of_route() {
        return config.of_routes.as_ref()?.named(name);
    }
    match policy::select_rule(config, path, request) {
        Ok(RuleOutcome::Token(_, access)) => Some(access),
        Ok(RuleOutcome::Public | RuleOutcome::NoRule) | Err(_) => None,
    }
}

impl Explanation {
    /// Decides a request. `removed` are the names of the headers that the filter took out of it.
    pub(crate) fn new(
        config: &Config,
        request: &Request,
        removed: &[String],
        keys_at_hand: &KeysAtHand,
        now: f64,
    ) -> Self {
        let cache = RefCell::new(TokenCache::new(&config.providers));
        let sign_in = config.sign_in.as_ref();
        let keyring = sign_in.and_then(|sign_in| match &sign_in.keyring {
            Some(keyring) => Some(keyring.clone()),
            None => Keyring::new(&[rand::random::<[u8; LEAST_SECRET]>()]).ok(),
        });
        let sessions = keyring.map(Sessions::new);
        let steady = Steady::default();
        let context = Context {
            basis: Basis {
                facts: keys_at_hand,
                verifier: &Portable,
                headers: &RefCell::default(),
                now,
            },
            cache: &cache,
            people: sessions.as_ref().map(|sessions| People {
                sessions,
                entropy: &|into| {
                    rand::rng().fill_bytes(into);
                    Ok(())
                },
                steady: &steady,
            }),
        };
        let keyring = sessions.as_ref().map(Sessions::keyring);
        let narrator = Narrator::new(
            config,
            request,
            keys_at_hand,
            keyring.map(|ring| &**ring),
            now,
        );
        let decision = authn::authenticate_with(request, config, &context, &narrator);
        let mut steps = Vec::new();
        if !removed.is_empty() {
            let text = format!(
                "removed before anything is decided, for only the filter sets them: {}",
                removed.join(", ")
            );
            steps.push(Step::new("headers", Mark::Note, text));
        }
        let heard = narrator.heard();
        steps.extend(heard.steps);
        if let Decision::Answer(answer) = &decision
            && answer.what == RESOURCE_METADATA
        {
            let text = "is the address of the resource's metadata, which the filter answers";
            steps.push(Step::new("path", Mark::Good, text));
        }
        if let Decision::Answer(answer) = &decision
            && answer.what != RESOURCE_METADATA
        {
            steps.push(Step::new("answer", Mark::Note, answer.what));
        }
        // Nothing is reported of the filter's own paths.
        if let Decision::Reject(refusal) = &decision
            && !steps.iter().any(|step| step.mark == Mark::Bad)
        {
            let reason = refusal.rejection.reason();
            let text = format!("the filter answers at this path itself, and refuses: {reason}");
            steps.push(Step::new("answer", Mark::Bad, text).because(reason));
        }
        let mut verdict = ShownVerdict::new(&decision, config, request, removed);
        if let Decision::Answer(_) = &decision
            && let Some(reason) = verdict.reason.and_then(sign_in_reason::of)
        {
            let told = (Mark::Hint, reason.means());
            let is_against = |step: &&mut Step| step.mark == Mark::Bad;
            if let Some(step) = steps.iter_mut().find(is_against) {
                step.details.push(told);
            } else if let Some(step) = steps.last_mut() {
                step.mark = Mark::Bad;
                step.reasons.push(reason.name);
                step.details.push(told);
            }
        }
        verdict.tell_of_missing_headers(config, &heard.good);
        Self {
            outlook: None,
            verdict,
            steps,
            touched: Touched {
                rule: heard.rule,
                providers: heard.asked,
            },
        }
    }
}

#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;
