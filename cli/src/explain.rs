//! `explain`: why a request passes, or does not.
//!
//! Invariant: the verdict is [`authn::authenticate`]'s. The steps that lead there are made by the
//! functions that it is made of; they are said to agree by a test over random requests.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use bearer_gate::authn::{self, Decision, Means};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::{Access, Config, Demand, Rule, TokenAccess};
use bearer_gate::http::ambiguous::Ambiguous;
use bearer_gate::http::credentials::{Extracted, Place};
use bearer_gate::http::request::{Header, Request};
use bearer_gate::http::{authority, path};
use bearer_gate::policy::{self, RuleOutcome};
use bearer_gate::signature::portable::Portable;

use crate::failure::{Failure, exit};
use crate::judge::Judge;
use crate::keys::Ring;
use crate::plugin::{File, Plugin};
use crate::verdict::{Explanation, Mark, Step, Verdict, name};

#[derive(clap::Args)]
pub struct Args {
    /// The file with the plugin's configuration, as `check` takes it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which configuration of the file, where there are several, from 0
    #[arg(long, value_name = "N")]
    select: Option<usize>,
    /// The token; `-` reads it from standard input
    #[arg(long)]
    token: Option<String>,
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's path and query
    #[arg(long, default_value = "/")]
    path: String,
    /// The request's host
    #[arg(long)]
    host: Option<String>,
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
    /// Print the token too
    #[arg(long)]
    show_token: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let file = File::read(&args.config)?;
    let plugins = file.plugins();
    let plugin = select(&file, &plugins, args.select)?;
    let config = plugin.parse().map_err(|error| {
        let (line, column) = plugin.locate(error.path());
        Failure::usage(format!("{}:{line}:{column}: {error}", file.name))
    })?;
    let now = match args.at {
        Some(at) => at,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Failure::usage("the clock is before 1970"))?
            .as_secs_f64(),
    };
    let ring = Ring::load(&config, &args.jwks, args.fetch)?;
    let token = args.token.as_deref().map(read_token).transpose()?;
    let request = request(args, &config, token.as_deref())?;
    let explanation = Explanation::of(&config, &request, &ring, now);
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
    match explanation.verdict.admitted {
        Some(admitted) => Ok(exit(admitted)),
        None => Err(Failure::usage(
            "the keys decide: give --jwks FILE, or --fetch",
        )),
    }
}

fn select<'p, 'd>(
    file: &File,
    plugins: &'p [Plugin<'d>],
    which: Option<usize>,
) -> Result<&'p Plugin<'d>, Failure> {
    let several = || {
        let names: Vec<String> = plugins
            .iter()
            .enumerate()
            .map(|(index, plugin)| format!("{index} ({})", plugin.name))
            .collect();
        Failure::usage(format!(
            "{}: --select one of its configurations: {}",
            file.name,
            names.join(", ")
        ))
    };
    match (plugins, which) {
        ([], _) => Err(Failure::usage(format!(
            "{}: no configuration of bearer-gate in it",
            file.name
        ))),
        ([one], None) => Ok(one),
        (_, None) => Err(several()),
        (_, Some(which)) => plugins.get(which).ok_or_else(several),
    }
}

fn read_token(token: &str) -> Result<String, Failure> {
    if token != "-" {
        return Ok(token.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(1 << 20)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    let text = text.trim();
    // as it stands in a header that was pasted
    Ok(text.strip_prefix("Bearer ").unwrap_or(text).to_owned())
}

/// The request, with the token where the rule looks for one.
fn request(args: &Args, config: &Config, token: Option<&str>) -> Result<Request, Failure> {
    let mut headers: Vec<Header> = vec![
        (Cow::Borrowed(":method"), args.method.clone().into_bytes()),
        (Cow::Borrowed(":path"), args.path.clone().into_bytes()),
    ];
    if let Some(host) = &args.host {
        headers.push((Cow::Borrowed(":authority"), host.clone().into_bytes()));
    }
    for header in &args.headers {
        let (name, value) = header
            .split_once(':')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Failure::usage(format!("not a header, name: value: {header}")))?;
        let name = name.trim().to_ascii_lowercase();
        headers.push((Cow::Owned(name), value.trim().as_bytes().to_vec()));
    }
    let route = args.route_requirement.clone().map(String::into_bytes);
    let bare = Request::new(headers.clone()).on_route_with(route.clone());
    let Some(token) = token else {
        return Ok(bare);
    };
    let bearer = Place::bearer();
    let normal = bare.path().and_then(|path| path::normalize(path).ok());
    let places = match access(config, normal.as_deref(), &bare) {
        Some(access) => access.demand.places.as_slice(),
        None => &[],
    };
    let place = if places.contains(&bearer) {
        &bearer
    } else {
        places.first().unwrap_or(&bearer)
    };
    put(&mut headers, place, token);
    Ok(Request::new(headers).on_route_with(route))
}

/// The token in a place of a request.
fn put(headers: &mut Vec<Header>, place: &Place, token: &str) {
    match place {
        Place::Header { name, prefix } => headers.push((
            Cow::Owned(name.clone()),
            format!("{prefix}{token}").into_bytes(),
        )),
        Place::Cookie(name) => headers.push((
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
    pub fn of(config: &Config, request: &Request, ring: &Ring, now: f64) -> Explanation {
        let cache = RefCell::new(TokenCache::new(&config.providers));
        let means = Means {
            keys: ring,
            verifier: &Portable,
            cache: &cache,
            headers: &RefCell::default(),
            now,
        };
        let decision = authn::authenticate(request, config, &means);
        let end = match &decision {
            Decision::Admit(admission) => admission.reported.map_or(End::Good, End::Refused),
            Decision::Reject(refusal) => End::Refused(refusal.rejection.reason()),
            Decision::Await(_) => End::Open,
            Decision::Answer(_) => {
                let text = "is the address of the resource's metadata, which the filter answers";
                return Explanation {
                    verdict: Verdict::of(&decision, config, request),
                    steps: vec![Step::new("path", Mark::Good, text)],
                };
            }
        };
        let mut steps = Vec::new();
        let judge = Judge {
            config,
            request,
            ring,
            now,
        };
        trace(&judge, end, &mut steps);
        Explanation {
            verdict: Verdict::of(&decision, config, request),
            steps,
        }
    }
}

/// How the request's way ends, as far as its steps have to agree.
#[derive(Clone, Copy)]
enum End {
    Good,
    /// By this reason, be it only reported.
    Refused(&'static str),
    /// Keys decide that are not at hand.
    Open,
}

/// The way of a request, in the order of [`authn::authenticate`].
fn trace(judge: &Judge<'_>, end: End, steps: &mut Vec<Step>) {
    let Judge {
        config, request, ..
    } = judge;
    let normal = match request.path().map(path::normalize).transpose() {
        Err(reason) => {
            let text = format!("has no single meaning: it {reason}");
            steps.push(Step::new("path", Mark::Bad, text).because("unsafe_path"));
            return;
        }
        Ok(normal) => normal,
    };
    if let Some(normal) = &normal {
        steps.push(Step::new(
            "path",
            Mark::Good,
            format!("compared as {normal}"),
        ));
    }
    if let Some(part) = authn::ambiguous_to_routes(request, config, normal.as_deref()) {
        let text = format!(
            "Envoy has chosen the route by another form of it: {}",
            part.description()
        );
        steps.push(Step::new("route", Mark::Bad, text).because(part.reason()));
        return;
    }
    if config.bypass_cors_preflight && request.is_cors_preflight() {
        steps.push(Step::new(
            "preflight",
            Mark::Good,
            "a CORS preflight passes without a token",
        ));
        return;
    }
    if let Some(name) = request.requirement_of_route() {
        let name = String::from_utf8_lossy(name);
        match access(config, normal.as_deref(), request) {
            Some(access) => {
                let text = format!("asks for what requirement_map says of {name}");
                steps.push(Step::new("route", Mark::Good, text));
                of_token(judge, access, end, steps);
            }
            None => {
                let text = format!("asks for {name}, which routes cannot name");
                steps.push(Step::new("route", Mark::Bad, text).because("no_rule"));
            }
        }
        return;
    }
    let mut step = Step::new("rule", Mark::Good, String::new());
    for (index, rule) in config.rules.all().iter().enumerate() {
        let here = describe(rule);
        let path_fits = rule.matcher.path_matches(normal.as_deref(), request);
        let matches = rule.matcher.matches(normal.as_deref(), request);
        if let Err(part) = matches {
            step.text = format!("rules[{index}] {here}: {}", unclear(part, request));
            steps.push(step.marked(Mark::Bad).because(part.reason()));
            return;
        }
        if matches == Ok(true) {
            step.text = format!("rules[{index}] decides: {here}");
            if rule.report_only {
                step.text.push_str(", only reports");
            }
            steps.push(step);
            match &rule.access {
                Access::Public => {
                    steps.push(Step::new("token", Mark::Good, "the rule is public"));
                }
                Access::Token(access) => of_token(judge, access, end, steps),
            }
            return;
        }
        let why = if path_fits == Ok(true) {
            "another condition does not hold"
        } else {
            "another path"
        };
        step.detail(Mark::Note, format!("rules[{index}] {here}: {why}"));
    }
    match policy::select_rule(config, normal.as_deref(), request) {
        Ok(RuleOutcome::Public) => {
            step.text = "no rule matches, and unmatched is allow".to_owned();
        }
        Err(part) => {
            step.text = "there is no path, and no rule for CONNECT".to_owned();
            step = step.marked(Mark::Bad).because(part.reason());
        }
        Ok(_) => {
            step.text = "no rule matches, and what no rule matches is denied".to_owned();
            step = step.marked(Mark::Bad).because("no_rule");
        }
    }
    steps.push(step);
}

/// Why a rule cannot be sure of a request.
fn unclear(part: Ambiguous, request: &Request) -> String {
    match part {
        Ambiguous::Host => {
            let authority = request.value(":authority").unwrap_or_default();
            let reason = authority::host(authority).err();
            let reason = reason.map_or(String::new(), |reason| format!(": it {reason}"));
            format!("looks at the host (--host), which has no single meaning{reason}")
        }
        Ambiguous::Method => "looks at the method, which is not in upper case".to_owned(),
        Ambiguous::Query => {
            "looks at a parameter of the query that upstreams read in several ways".to_owned()
        }
        Ambiguous::Header | Ambiguous::TokenList | Ambiguous::Path => {
            "looks at a header that upstreams read in several ways".to_owned()
        }
    }
}

fn describe(rule: &Rule) -> String {
    use bearer_gate::matcher::PathMatcher::{Connect, Exact, Prefix, Regex, Segments};
    let path = match &rule.matcher.path {
        Prefix(text) => format!("prefix {text}"),
        Exact(text) => format!("path {text}"),
        Segments(text) => format!("path_separated_prefix {text}"),
        Regex(_) => "safe_regex".to_owned(),
        Connect => "CONNECT".to_owned(),
    };
    match rule.matcher.conditions.len() {
        0 => path,
        more => format!("{path} and {more} more conditions"),
    }
}

fn of_token(judge: &Judge<'_>, access: &TokenAccess, end: End, steps: &mut Vec<Step>) {
    let demand = &*access.demand;
    let mut step = Step::new("token", Mark::Good, String::new());
    places(judge.request, demand, &mut step);
    let accepted = judge.requirement(demand, &mut step);
    let (mark, text) = match end {
        End::Refused("insufficient_scope" | "claim_rule") | End::Good if accepted.is_empty() => {
            (Mark::Good, "is not needed")
        }
        End::Refused("insufficient_scope" | "claim_rule") | End::Good => {
            (Mark::Good, "satisfies the rule")
        }
        End::Refused(_) => (Mark::Bad, "does not satisfy the rule"),
        End::Open => (Mark::Note, "depends on its signature"),
    };
    step.text = text.to_owned();
    steps.push(step.marked(mark));
    if mark == Mark::Good && !access.authorize.is_empty() {
        steps.push(judge.authorize(access, &accepted));
    }
}

fn places(request: &Request, demand: &Demand, step: &mut Step) {
    for place in &demand.places {
        let (mark, found) = match place.extract(request) {
            Extracted::Missing => (Mark::Note, "nothing"),
            Extracted::Token(_) => (Mark::Good, "a token"),
            Extracted::Several => {
                step.reasons.push("several_tokens");
                (Mark::Bad, "more than one credential")
            }
            Extracted::Ambiguous(part) => {
                step.reasons.push(part.reason());
                (Mark::Bad, doubt(part))
            }
        };
        if let (Extracted::Missing, Some(near)) = (place.extract(request), near(request, place)) {
            step.detail(Mark::Note, format!("{}: {near}", name(place)));
            continue;
        }
        step.detail(mark, format!("{}: {found}", name(place)));
    }
}

/// What is there in place of a token.
fn near(request: &Request, place: &Place) -> Option<&'static str> {
    let Place::Header { name, prefix } = place else {
        return None;
    };
    if prefix.is_empty() {
        return None;
    }
    let query = request
        .path()
        .and_then(|path| path.split(|byte| *byte == b'?').nth(1));
    let has_parameter = |query: &[u8]| {
        query
            .split(|byte| *byte == b'&')
            .any(|piece| piece.starts_with(b"access_token="))
    };
    match request.value(name) {
        Some(value) if value.len() > 1 => {
            Some("nothing: the header is there, and does not begin so")
        }
        _ if query.is_some_and(has_parameter) => Some(
            "nothing: the query has access_token, which is looked for where from_params names it",
        ),
        _ => None,
    }
}

/// What is wrong with a place for a token.
fn doubt(part: Ambiguous) -> &'static str {
    match part {
        Ambiguous::TokenList => "a list, where one token is looked for",
        _ => {
            "what only some upstreams read as a token: under a similar name, or after another separator"
        }
    }
}

#[cfg(test)]
mod tests;
