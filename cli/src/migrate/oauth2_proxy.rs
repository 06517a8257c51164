//! oauth2-proxy's configuration file as sign-in.
//!
//! Invariants: a secret is named and never looked at; an option that is not known here is open; and
//! what oauth2-proxy let pass without a session is all that is public.

mod alpha;
mod entra;
pub(super) mod options;
mod regex;

use std::path::Path;

use bearer_gate::http::uri::Uri;

use super::{Change, ChangeKind, tree};
use crate::command_error::CommandError;
use crate::document::{Node, Yaml};
use crate::plugin::File;
use options::{Fate, KNOWN};

const SCHEME: &str = "web";
const PROVIDER: &str = "idp";
const SECRET: &str = "BG_CLIENT_SECRET";
const KEY: &str = "BG_COOKIE_KEY";
/// The clusters of the provider, which oauth2-proxy has no need of: for its metadata, and where they
/// are on other hosts for its keys and its token endpoint.
const CLUSTER: &str = "idp";
const CLUSTER_OF_KEYS: &str = "idp-keys";
const CLUSTER_OF_TOKENS: &str = "idp-tokens";

/// What differs, whatever the configuration.
pub(super) const ALWAYS: [&str; 7] = [
    "nobody's session goes on: people sign in once more, without a page to choose the provider",
    "a session ends with its ID token; sessions need no Redis",
    "nonce, PKCE (S256) and the issuer are always checked",
    "a POST or a WebSocket that counts on a session must come from a page of yours, or gets 403",
    "/ping and /ready are answered by nobody: Envoy has a health_check filter",
    "/oauth2/auth (nginx's auth_request) is not there: Envoy is the proxy now",
    "upstreams are routes and clusters of Envoy",
];

pub(super) struct Converted {
    pub node: Node,
    pub changes: Vec<Change>,
}

/// The options of oauth2-proxy, of one file or two.
pub(super) struct Options {
    pub node: Node,
    /// Those that stand in the alpha configuration, on whose lines they are.
    of_alpha: Vec<String>,
}

/// The options of a file, if it is one of oauth2-proxy by its ending, and those of an alpha
/// configuration beside it.
///
/// # Errors
/// It is one, and cannot be read.
pub(super) fn read(path: &Path, alpha: Option<&Path>) -> Result<Option<Options>, CommandError> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    if !matches!(ending, Some("cfg" | "toml")) {
        return Ok(None);
    }
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("{name}: {error}")))?;
    let parsed = options::parse(&text);
    let mut node = parsed
        .map_err(|(line, problem)| CommandError::usage(format!("{name}:{line}: {problem}")))?;
    let mut of_alpha = Vec::new();
    if let Some(alpha) = alpha {
        let file = File::read(alpha)?;
        for document in &file.documents {
            of_alpha.extend(alpha::add(document, &mut node));
        }
    }
    Ok(Some(Options { node, of_alpha }))
}

/// Fields of the new configuration that are wrong because an option is open.
pub(super) fn explains(option: &str) -> &'static [&'static str] {
    match option {
        "provider" => &["providers.idp.issuer", "sign_in.schemes.web.provider_name"],
        "oidc_issuer_url" => &["providers.idp.tenants", "sign_in.schemes.web.provider_name"],
        "redirect_url" => &["sign_in.allowed_redirect_domains"],
        _ => &[],
    }
}

struct Conversion<'n> {
    options: &'n Node,
    of_alpha: &'n [String],
    told: &'n super::oauth2::Told,
    changes: Vec<Change>,
}

pub(super) fn convert(options: &Options, told: &super::oauth2::Told) -> Converted {
    let mut conversion = Conversion {
        options: &options.node,
        of_alpha: &options.of_alpha,
        told,
        changes: Vec::new(),
    };
    let node = conversion.whole();
    Converted {
        node,
        changes: conversion.changes,
    }
}

/// How Envoy calls the provider; without a URI the metadata have it.
fn call(at: &Node, uri: Option<&str>, cluster: &str) -> Node {
    let uri = uri.map(|uri| ("uri", tree::text(at, uri)));
    let rest = [
        ("cluster", tree::text(at, cluster)),
        ("timeout", tree::text(at, "5s")),
    ];
    tree::object(at, uri.into_iter().chain(rest))
}

impl Conversion<'_> {
    fn say(&mut self, kind: ChangeKind, option: &str, text: impl Into<String>) {
        let (line, _) = self.options.locate(option);
        let is_in_alpha = self.of_alpha.iter().any(|of_alpha| of_alpha == option);
        let text = match is_in_alpha {
            true => format!("{} (on this line of the alpha configuration)", text.into()),
            false => text.into(),
        };
        self.changes.push(Change {
            line,
            path: option.to_owned(),
            text,
            kind,
        });
    }

    fn text(&self, option: &str) -> Option<&str> {
        self.options
            .text_at(&[option])
            .filter(|text| !text.is_empty())
    }

    fn is_true(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(Node::is_true)
    }

    /// The texts of an option that may be one text.
    fn texts(&self, option: &str) -> Vec<String> {
        let Some(node) = self.options.get(option) else {
            return Vec::new();
        };
        let one = node.text().into_iter().map(str::to_owned);
        let all = node
            .items()
            .iter()
            .filter_map(Node::text)
            .map(str::to_owned);
        one.chain(all).collect()
    }

    fn at(&self, option: &str) -> Node {
        let (line, column) = self.options.locate(option);
        Node {
            line,
            column,
            yaml: Yaml::Null,
        }
    }

    fn whole(&mut self) -> Node {
        self.what_is_known();
        let at = self.at("client_id");
        let provider = self.provider();
        let providers = tree::object(&at, [(PROVIDER, provider)]);
        let sign_in = self.sign_in();
        let rules = self.rules();
        let mut whole = tree::object(
            &at,
            [
                ("providers", providers),
                ("sign_in", sign_in),
                ("rules", tree::list(&at, rules)),
            ],
        );
        if self.is_true("skip_auth_preflight") {
            let yes = tree::yes(&at);
            tree::set(&mut whole, "bypass_cors_preflight", yes);
            let text = "only a real preflight of CORS passes, not every OPTIONS";
            self.say(ChangeKind::Differs, "skip_auth_preflight", text);
        }
        whole
    }

    /// Says what becomes of each option that has no counterpart.
    fn what_is_known(&mut self) {
        for entry in self.options.entries() {
            let name = entry.name.as_str();
            let is_off = matches!(&entry.node.yaml, Yaml::Bool(false))
                || entry.node.text() == Some("")
                || matches!(&entry.node.yaml, Yaml::List(items) if items.is_empty());
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            let (kind, text) = match known {
                None => (
                    ChangeKind::Open,
                    "is no option that is known here: see to it by hand",
                ),
                Some((_, Fate::Used)) => continue,
                Some(_) if is_off => continue,
                Some((_, Fate::LeftOut(text))) => (ChangeKind::LeftOut, *text),
                Some((_, Fate::Differs(text))) => (ChangeKind::Differs, *text),
                Some((_, Fate::Open(text))) => (ChangeKind::Open, *text),
            };
            self.say(kind, name, text);
        }
    }

    fn is_google(&self) -> bool {
        self.text("provider").unwrap_or("google") == "google"
    }

    fn issuer(&mut self) -> Option<String> {
        let written = self.text("oidc_issuer_url").map(str::to_owned);
        let provider = self.text("provider").unwrap_or("google").to_owned();
        let issuer = self.told.issuer.clone().or(written);
        match provider.as_str() {
            "oidc" | "keycloak-oidc" | "entra-id" if issuer.is_some() => issuer,
            "google" => Some(issuer.unwrap_or("https://accounts.google.com".to_owned())),
            _ if issuer.is_some() => {
                self.say(
                    ChangeKind::Open,
                    "provider",
                    format!("{provider} asks more of people than an ID token says: see what, and say it with authorize"),
                );
                issuer
            }
            _ => {
                self.say(
                    ChangeKind::Open,
                    "provider",
                    format!("{provider} has no issuer here: give it with --issuer, if the provider issues ID tokens"),
                );
                None
            }
        }
    }

    fn provider(&mut self) -> Node {
        let at = self.at("client_id");
        let mut provider = tree::object(&at, []);
        let issuer = self.issuer();
        let metadata = issuer.and_then(|issuer| entra::set_issuer(self, &mut provider, &issuer));
        let mut audiences = self.texts("oidc_extra_audiences");
        audiences.insert(0, self.text("client_id").unwrap_or_default().to_owned());
        let audiences = audiences.iter().map(|one| tree::text(&at, one)).collect();
        tree::set(&mut provider, "audiences", tree::list(&at, audiences));
        if self.is_true("skip_oidc_discovery") {
            let uri = call(&at, self.text("oidc_jwks_url"), CLUSTER);
            let jwks = tree::object(&at, [("http_uri", uri)]);
            tree::set(&mut provider, "remote_jwks", jwks);
        } else {
            let mut discovery = call(&at, metadata.as_deref(), CLUSTER);
            if self.is_google() {
                let keys = tree::text(&at, CLUSTER_OF_KEYS);
                tree::set(&mut discovery, "jwks_cluster", keys);
            }
            tree::set(&mut provider, "openid_discovery", discovery);
        }
        let clusters = match self.is_google() {
            true => format!(
                "Envoy needs the clusters {CLUSTER} (accounts.google.com), {CLUSTER_OF_KEYS} (www.googleapis.com) and {CLUSTER_OF_TOKENS} (oauth2.googleapis.com), with TLS: see docs/sign-in.md"
            ),
            false => format!(
                "Envoy needs a cluster {CLUSTER} that leads to the provider, with TLS: see docs/sign-in.md"
            ),
        };
        self.say(ChangeKind::Added, "client_id", clusters);
        self.headers(&mut provider);
        provider
    }

    /// What the upstream learns of people, by default and by option.
    fn headers(&mut self, provider: &mut Node) {
        let is_off = |node: &Node| matches!(node.yaml, Yaml::Bool(false));
        let is_default = self
            .options
            .get("pass_user_headers")
            .is_none_or(|node| !is_off(node));
        if !is_default {
            return;
        }
        let at = self.at("pass_user_headers");
        let groups = self
            .text("oidc_groups_claim")
            .unwrap_or("groups")
            .to_owned();
        let email = self.text("oidc_email_claim").unwrap_or("email").to_owned();
        let mut headers = Vec::new();
        for (header, claim) in [
            ("x-forwarded-user", "sub"),
            ("x-forwarded-email", email.as_str()),
            ("x-forwarded-preferred-username", "preferred_username"),
        ] {
            headers.push(tree::object(
                &at,
                [
                    ("header_name", tree::text(&at, header)),
                    ("claim_name", tree::text(&at, claim)),
                ],
            ));
        }
        headers.push(tree::object(
            &at,
            [
                ("header_name", tree::text(&at, "x-forwarded-groups")),
                (
                    "claim_path",
                    tree::list(&at, vec![tree::text(&at, &groups)]),
                ),
                ("format", tree::text(&at, "csv")),
            ],
        ));
        tree::set(provider, "claim_to_headers", tree::list(&at, headers));
    }

    fn sign_in(&mut self) -> Node {
        let at = self.at("client_id");
        let variable =
            |name: &str| tree::object(&at, [("environment_variable", tree::text(&at, name))]);
        self.say(
            ChangeKind::Added,
            "client_secret",
            format!("set {SECRET} in Envoy's environment to the client's secret, and list it in vm_config.environment_variables.host_env_keys"),
        );
        self.say(
            ChangeKind::Added,
            "cookie_secret",
            format!("set {KEY} in Envoy's environment to a new secret, such as the output of `openssl rand -base64 33`, and list it in host_env_keys too"),
        );
        let client = tree::text(&at, self.text("client_id").unwrap_or_default());
        let credentials = [("client_id", client), ("token_secret", variable(SECRET))];
        let mut scheme = tree::object(
            &at,
            [
                ("provider_name", tree::text(&at, PROVIDER)),
                ("credentials", tree::object(&at, credentials)),
            ],
        );
        let login = self.text("login_url").map(|url| tree::text(&at, url));
        if let Some(login) = login {
            tree::set(&mut scheme, "authorization_endpoint", login);
        }
        let cluster = match self.is_google() {
            true => CLUSTER_OF_TOKENS,
            false => CLUSTER,
        };
        let token = call(&at, self.text("redeem_url"), cluster);
        tree::set(&mut scheme, "token_endpoint", token);
        let domains = self.paths(&mut scheme);
        self.request(&mut scheme);
        self.session(&mut scheme);
        if self.is_true("pass_access_token") {
            let yes = tree::yes(&at);
            tree::set(&mut scheme, "forward_bearer_token", yes);
        }
        let domains = domains
            .iter()
            .map(|domain| tree::text(&at, domain))
            .collect();
        tree::object(
            &at,
            [
                ("cookie_keys", tree::list(&at, vec![variable(KEY)])),
                ("allowed_redirect_domains", tree::list(&at, domains)),
                ("schemes", tree::object(&at, [(SCHEME, scheme)])),
            ],
        )
    }

    /// The filter's own paths. Returns the hosts that browsers may be sent back to.
    fn paths(&mut self, scheme: &mut Node) -> Vec<String> {
        let prefix = self.text("proxy_prefix").unwrap_or("/oauth2").to_owned();
        let at = self.at("proxy_prefix");
        let mut domains = self.told.hosts.clone();
        for domain in self.texts("whitelist_domains") {
            domains.push(match domain.strip_prefix('.') {
                Some(below) => format!("*.{below}"),
                None => domain,
            });
        }
        let redirect = self.text("redirect_url").map(str::to_owned);
        match redirect.as_deref().map(|url| (url, Uri::parse(url))) {
            Some((url, Ok(uri))) => {
                domains.push(uri.authority);
                tree::set(
                    scheme,
                    "redirect_uri",
                    tree::text(&self.at("redirect_url"), url),
                );
            }
            _ => {
                let path = tree::text(&at, &format!("{prefix}/callback"));
                tree::set(scheme, "callback_path", path);
                if domains.is_empty() {
                    let text = "is not there, so the host is the request's: give the hosts of your pages, each with --host";
                    self.say(ChangeKind::Open, "redirect_url", text);
                }
            }
        }
        for (field, end) in [
            ("signin_path", "start"),
            ("signout_path", "sign_out"),
            ("session_path", "userinfo"),
        ] {
            tree::set(scheme, field, tree::text(&at, &format!("{prefix}/{end}")));
        }
        domains.sort();
        domains.dedup();
        domains
    }

    /// What the provider is asked for.
    fn request(&mut self, scheme: &mut Node) {
        let at = self.at("scope");
        let scope = self
            .text("scope")
            .unwrap_or("openid email profile")
            .to_owned();
        let mut scopes: Vec<&str> = scope.split_whitespace().collect();
        if !scopes.contains(&"openid") {
            scopes.insert(0, "openid");
        }
        let scopes = scopes.iter().map(|scope| tree::text(&at, scope)).collect();
        tree::set(scheme, "auth_scopes", tree::list(&at, scopes));
        let mut parameters = tree::object(&at, []);
        for (option, parameter) in [("prompt", "prompt"), ("acr_values", "acr_values")] {
            if let Some(text) = self.text(option) {
                let node = tree::text(&self.at(option), text);
                tree::set(&mut parameters, parameter, node);
            }
        }
        if !parameters.entries().is_empty() {
            tree::set(scheme, "authorization_params", parameters);
        }
    }

    fn session(&mut self, scheme: &mut Node) {
        let at = self.at("cookie_expire");
        let written = self.text("cookie_expire").unwrap_or("168h").to_owned();
        let session = match options::seconds(&written) {
            Some(0) => None,
            Some(seconds) => {
                let yes = tree::yes(&at);
                let duration = tree::text(&at, &format!("{seconds}s"));
                Some(tree::object(
                    &at,
                    [("max_duration", duration), ("persistent", yes)],
                ))
            }
            None => {
                self.say(ChangeKind::Open, "cookie_expire", "is no duration");
                None
            }
        };
        if let Some(session) = session {
            tree::set(scheme, "session", session);
        }
        let mut cookie = tree::object(&at, []);
        match self.texts("cookie_domains").as_slice() {
            [] => {}
            [domain] => {
                let bare = tree::text(&at, domain.trim_start_matches('.'));
                tree::set(&mut cookie, "domain", bare);
            }
            _ => {
                let text = "are several: a scheme has one cookie.domain";
                self.say(ChangeKind::Open, "cookie_domains", text);
            }
        }
        match self.text("cookie_samesite") {
            Some("none") => tree::set(&mut cookie, "same_site", tree::text(&at, "NONE")),
            Some("strict") => {
                let text = "is LAX: a browser comes back from the provider without a STRICT cookie";
                self.say(ChangeKind::Differs, "cookie_samesite", text);
            }
            _ => {}
        }
        if self.text("cookie_path").is_some_and(|path| path != "/") {
            let text = "a session counts on every path of its host: to keep it to some, name them in the rules";
            self.say(ChangeKind::Open, "cookie_path", text);
        }
        if !cookie.entries().is_empty() {
            tree::set(scheme, "cookie", cookie);
        }
    }

    fn rules(&mut self) -> Vec<Node> {
        let mut rules = Vec::new();
        for option in ["skip_auth_routes", "skip_auth_regex", "api_routes"] {
            for (index, written) in self.texts(option).iter().enumerate() {
                let at = self.at(&format!("{option}[{index}]"));
                let Some(matcher) = regex::matcher(&at, written, option == "skip_auth_routes")
                else {
                    let text = "is an expression that cannot be put into a rule with certainty: write a rule for it";
                    self.say(ChangeKind::Open, &format!("{option}[{index}]"), text);
                    continue;
                };
                let mut rule = tree::object(&at, [("match", matcher)]);
                if option == "api_routes" {
                    self.demand(&mut rule);
                    tree::set(
                        &mut rule,
                        "unauthenticated",
                        tree::text(&at, "unauthorized"),
                    );
                }
                rules.push(rule);
            }
        }
        let at = self.at("email_domains");
        let everything = tree::object(&at, [("prefix", tree::text(&at, "/"))]);
        let mut rule = tree::object(&at, [("match", everything)]);
        self.demand(&mut rule);
        self.people();
        rules.push(rule);
        rules
    }

    /// What a rule asks for that is not public.
    fn demand(&self, rule: &mut Node) {
        let at = self.at("skip_jwt_bearer_tokens");
        let session = tree::object(&at, [("session", tree::text(&at, SCHEME))]);
        let requires = if self.is_true("skip_jwt_bearer_tokens") {
            let token = tree::object(&at, [("provider_name", tree::text(&at, PROVIDER))]);
            let members = tree::list(&at, vec![token, session]);
            let members = tree::object(&at, [("requirements", members)]);
            tree::object(&at, [("requires_any", members)])
        } else {
            session
        };
        tree::set(rule, "requires", requires);
        let mut claims = Vec::new();
        let test = |claim: &str, test: &str, value: Node| {
            let path = tree::list(&at, vec![tree::text(&at, claim)]);
            tree::object(&at, [("path", path), (test, value)])
        };
        let groups = self.texts("allowed_groups");
        if !groups.is_empty() {
            let claim = self.text("oidc_groups_claim").unwrap_or("groups");
            let groups = groups.iter().map(|group| tree::text(&at, group)).collect();
            claims.push(test(claim, "any", tree::list(&at, groups)));
        }
        if !self.is_true("insecure_oidc_allow_unverified_email") {
            let no = tree::value(&at, Yaml::Bool(false));
            let equals = tree::object(&at, [("equals", no)]);
            claims.push(test("email_verified", "not", equals));
        }
        if !claims.is_empty() {
            let claims = tree::object(&at, [("claims", tree::list(&at, claims))]);
            tree::set(rule, "authorize", claims);
        }
    }

    /// Who may sign in, by e-mail address.
    fn people(&mut self) {
        let domains = self.texts("email_domains");
        if domains.iter().any(|domain| domain == "*") {
            return;
        }
        let text = match domains.is_empty() {
            true => {
                "let nobody in, or stands elsewhere (OAUTH2_PROXY_EMAIL_DOMAINS, authenticated_emails_file): say with authorize who may"
            }
            false => {
                "the end of an address is no test of a claim here: have the provider put the people into a group, or their domain into a claim (Google has hd), and say that with authorize; or have Envoy's RBAC look at it, see docs/from-oauth2-proxy.md"
            }
        };
        self.say(ChangeKind::Open, "email_domains", text);
    }
}
