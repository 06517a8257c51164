//! Envoy's `oauth2` filter as sign-in, together with the jwt_authn filter behind it.
//!
//! Invariants: a secret is named and never looked at; whoever gets through has signed in with the
//! provider that the old filter sent people to, or needed no session before.

mod cookies;
mod guess;
mod matchers;
mod message;
mod pair;
mod rules;

use bearer_gate::http::uri::Uri;

use super::find::Pair;
use super::{Change, ChangeKind, read, tree};
use crate::document::{Node, Yaml};
use pair::TokenOfSession;
use rules::People;

/// The names of what is made.
const SCHEME: &str = "web";
const PROVIDER: &str = "idp";
/// Fields that change no decision, and why each is not needed.
const LEFT_OUT: [(&str, &str); 10] = [
    (
        "retry_policy",
        "a call that fails is answered with 503 and Retry-After",
    ),
    (
        "default_expires_in",
        "a session is refreshed after 5 minutes where nobody says how long its tokens live",
    ),
    (
        "default_refresh_token_expires_in",
        "a session is over after session.max_duration at the latest",
    ),
    (
        "disable_id_token_set_cookie",
        "a session is sealed as a whole, and has no cookie for each token",
    ),
    (
        "disable_access_token_set_cookie",
        "the access token is kept with forward_bearer_token only",
    ),
    (
        "disable_refresh_token_set_cookie",
        "a session is sealed as a whole, and has no cookie for each token",
    ),
    ("disable_token_encryption", "a session is always encrypted"),
    (
        "use_access_token_expiry_for_id_token_cookie",
        "a session that is not refreshed ends with its ID token",
    ),
    (
        "token_cookie_chunking",
        "a session is split over cookies where it has to be, see cookie.max_bytes",
    ),
    ("stat_prefix", "has no counterpart"),
];

/// What differs, whatever the configuration.
pub(super) const ALWAYS: [&str; 7] = [
    "nobody's session goes on: people sign in once more",
    "a session needs an ID token, signed with a key pair, whose issuer, client, times and nonce are right",
    "only a browser that opens a page is sent to sign in; scripts get 401",
    "a POST or a WebSocket that counts on a session must come from a page of yours, or gets 403",
    "a sign-out by a link of another site asks first",
    "the cookies of oauth2 mean nothing any more, and are not taken out of requests",
    "a matcher of :path is about the path without its query",
];

/// What is known beside the filter, of the command line or of a policy.
#[derive(Clone)]
pub(super) struct Told {
    /// The provider's issuer.
    pub issuer: Option<String>,
    /// Hosts of the pages.
    pub hosts: Vec<String>,
    /// The cluster that leads to the issuer, where Envoy Gateway made the filter of a policy. Such a
    /// policy denies what no rule matches.
    pub gateway: Option<String>,
}

/// One filter, on its way.
struct Conversion<'n> {
    /// As Envoy reads it.
    config: Node,
    /// What stands before its fields in the file.
    prefix: &'static str,
    pair: &'n Pair<'n>,
    told: &'n Told,
    changes: Vec<Change>,
    explained: Vec<&'static str>,
}

/// What became of the filters.
pub(super) struct Converted {
    pub node: Node,
    pub changes: Vec<Change>,
    /// Fields of `node` that are wrong because something is open.
    pub explained: Vec<&'static str>,
}

/// The configuration of both filters, and what changes. `jwt` is jwt_authn's as it was converted.
pub(super) fn convert(pair: &Pair<'_>, jwt: Option<&Node>, told: &Told) -> Converted {
    let is_whole = pair.oauth2.get("config").is_some();
    let (message, prefix) = if is_whole {
        (&message::OAUTH2, "config.")
    } else {
        (&message::CONFIG, "")
    };
    let (read, problems) = read::read(pair.oauth2, message);
    let config = read.get("config").cloned().unwrap_or(read);
    let mut conversion = Conversion {
        config,
        prefix,
        pair,
        told,
        changes: problems.into_iter().map(Change::from).collect(),
        explained: Vec::new(),
    };
    let node = conversion.whole(jwt);
    Converted {
        node,
        changes: conversion.changes,
        explained: conversion.explained,
    }
}

impl Conversion<'_> {
    fn say(&mut self, kind: ChangeKind, field: &str, text: impl Into<String>) {
        let (line, _) = self.config.locate(field);
        self.changes.push(Change {
            line,
            path: format!("{}{field}", self.prefix),
            text: text.into(),
            kind,
        });
    }

    fn is_true(&self, field: &str) -> bool {
        self.config.get(field).is_some_and(Node::is_true)
    }

    /// A member that is carried over as it is.
    fn same(&self, field: &str) -> Option<Node> {
        self.config.get(field).cloned()
    }

    fn whole(&mut self, jwt: Option<&Node>) -> Node {
        let at = tree::object(&self.config, []);
        let mut whole = jwt.cloned().unwrap_or_else(|| at.clone());
        let token = self.token_of_session(jwt);
        let provider = match &token {
            Some(token) => token.provider.clone(),
            None => {
                let provider = self.provider();
                let mut providers = whole.get("providers").cloned().unwrap_or(at.clone());
                tree::set(&mut providers, PROVIDER, provider);
                tree::set(&mut whole, "providers", providers);
                PROVIDER.to_owned()
            }
        };
        let people = People {
            scheme: SCHEME,
            provider: token.as_ref().map(|token| token.provider.as_str()),
            reads_bearer_only: token.as_ref().is_some_and(|token| token.reads_bearer_only),
            is_read_elsewhere: token.as_ref().is_some_and(|token| token.is_read_elsewhere),
            has_claims: token.as_ref().is_some_and(|token| !token.is_access_token),
            denies_others: self.told.gateway.is_some(),
        };
        let mut unsaid = Vec::new();
        let rules = rules::rules(&self.config, jwt, &people, &mut |field, line, why| {
            unsaid.push((field, line, why));
        });
        for (field, line, why) in unsaid {
            let is_about_redirects = field.starts_with("deny_redirect");
            let kind = match is_about_redirects {
                true => ChangeKind::LeftOut,
                false => ChangeKind::Open,
            };
            match line {
                Some(line) => self.say_of_jwt(kind, line, &field, why),
                None => self.say(kind, &field, why),
            }
        }
        if whole.get("bypass_cors_preflight").is_some() {
            whole.remove("bypass_cors_preflight");
            self.say(
                ChangeKind::Differs,
                "pass_through_matcher",
                "jwt_authn's bypass_cors_preflight is left out: without a session oauth2 lets a preflight pass only by pass_through_matcher. Put Envoy's cors filter before this one",
            );
        }
        names_not_used(&mut whole, jwt);
        if let Some(token) = token.as_ref().filter(|token| token.is_read_elsewhere) {
            self.without_own_cookies(&mut whole, &token.provider);
        }
        let issuer = whole.text_at(&["providers", &provider, "issuer"]);
        let sign_in = self.sign_in(&provider, issuer, token.as_ref());
        for (name, node) in [("sign_in", sign_in), ("rules", tree::list(&at, rules))] {
            tree::set(&mut whole, name, node);
        }
        self.what_is_left();
        whole
    }

    /// Browsers keep the cookies of the old filter for a while: what is left of them is no bad token.
    fn without_own_cookies(&self, whole: &mut Node, provider: &str) {
        let own = self.own_cookies();
        let providers = whole.get_mut("providers");
        let Some(provider) = providers.and_then(|providers| providers.get_mut(provider)) else {
            return;
        };
        let Some(Yaml::List(cookies)) = provider.get_mut("from_cookies").map(|node| &mut node.yaml)
        else {
            return;
        };
        cookies.retain(|cookie| cookie.text().is_none_or(|name| !own.contains(&name)));
        if cookies.is_empty() {
            provider.remove("from_cookies");
        }
    }

    fn sign_in(
        &mut self,
        provider: &str,
        issuer: Option<&str>,
        token: Option<&TokenOfSession>,
    ) -> Node {
        let at = tree::object(&self.config, []);
        let mut scheme = tree::object(&at, [("provider_name", tree::text(&at, provider))]);
        let credentials = self.credentials(issuer);
        tree::set(&mut scheme, "credentials", credentials);
        // The defaults of the two differ.
        let auth_type = self.same("auth_type");
        let auth_type = auth_type.unwrap_or_else(|| tree::text(&at, "URL_ENCODED_BODY"));
        tree::set(&mut scheme, "auth_type", auth_type);
        for field in [
            "authorization_endpoint",
            "token_endpoint",
            "end_session_endpoint",
            "resources",
        ] {
            if let Some(node) = self.same(field) {
                tree::set(&mut scheme, field, node);
            }
        }
        let domains = self.redirects(&mut scheme);
        self.sign_out(&mut scheme);
        let scopes = self.scopes();
        tree::set(&mut scheme, "auth_scopes", scopes);
        self.tokens(&mut scheme, token);
        self.cookie(&mut scheme);
        // By default it is so in Envoy.
        let refreshes = self.same("use_refresh_token");
        let refreshes = refreshes.unwrap_or_else(|| tree::yes(&at));
        if refreshes.is_true() {
            tree::set(&mut scheme, "use_refresh_token", refreshes);
        }
        let key = tree::text(&at, &self.key_variable());
        let key = tree::object(&at, [("environment_variable", key)]);
        let domains = domains.iter().map(|domain| tree::text(&at, domain));
        let domains = tree::list(&at, domains.collect());
        tree::object(
            &at,
            [
                ("cookie_keys", tree::list(&at, vec![key])),
                ("allowed_redirect_domains", domains),
                ("schemes", tree::object(&at, [(SCHEME, scheme)])),
            ],
        )
    }

    /// The client, whose secret becomes a variable.
    fn credentials(&mut self, issuer: Option<&str>) -> Node {
        let at = self.config.get("credentials").unwrap_or(&self.config);
        let at = tree::object(at, []);
        let mut credentials = at.clone();
        if let Some(id) = self.config.at(&["credentials", "client_id"]) {
            tree::set(&mut credentials, "client_id", id.clone());
        }
        let auth_type = self.config.text_at(&["auth_type"]);
        let is_signed = auth_type == Some("PRIVATE_KEY_JWT");
        if auth_type != Some("TLS_CLIENT_AUTH") {
            let name = self.secret_name("token_secret");
            let variable = variable(name.as_deref().unwrap_or("client-secret"));
            let node = tree::text(&at, &variable);
            let node = tree::object(&at, [("environment_variable", node)]);
            let (field, form) = match is_signed {
                true => (
                    "private_key",
                    ", in PKCS#8 (`openssl pkcs8 -topk8 -nocrypt`)",
                ),
                false => ("token_secret", ""),
            };
            tree::set(&mut credentials, field, node);
            let name = name.unwrap_or_default();
            let text = format!(
                "set {variable} in Envoy's environment to what the secret {name} has{form}{}",
                self.handed_on()
            );
            self.say(ChangeKind::Added, "credentials.token_secret", text);
        }
        if is_signed {
            self.assertion(&mut credentials, issuer);
        }
        let key = self.key_variable();
        let text = format!(
            "set {key} in Envoy's environment to a new secret, such as the output of `openssl rand -base64 33`{}",
            self.handed_on()
        );
        self.say(ChangeKind::Added, "credentials.hmac_secret", text);
        credentials
    }

    /// What the client signs (RFC 7523), for the token endpoint by default.
    fn assertion(&mut self, credentials: &mut Node, issuer: Option<&str>) {
        const CONFIG: &str = "private_key_jwt_config";
        let said = |field| self.config.text_at(&[CONFIG, field]).map(str::to_owned);
        let (audience, algorithm) = (said("assertion_audience"), said("signing_algorithm"));
        let endpoint = self.config.text_at(&["token_endpoint", "uri"]);
        if audience
            .as_deref()
            .is_none_or(|audience| Some(audience) == endpoint)
        {
            let at = self.config.get(CONFIG).unwrap_or(&self.config);
            let for_endpoint = tree::text(at, "ENDPOINT");
            tree::set(credentials, "assertion_audience", for_endpoint);
        } else if audience.as_deref() != issuer {
            self.say(
                ChangeKind::Open,
                &format!("{CONFIG}.assertion_audience"),
                "is neither the issuer nor the address of the token endpoint: what the client signs is for one of the two here",
            );
        }
        let field = format!("{CONFIG}.signing_algorithm");
        match algorithm.as_deref() {
            None | Some("RS256" | "ES256") => {}
            Some("RS384" | "RS512") => self.say(
                ChangeKind::Differs,
                &field,
                "is RS256 with the same key: see that the provider takes it",
            ),
            Some(_) => self.say(
                ChangeKind::Open,
                &field,
                "needs a key of another curve than P-256: make a new key, as docs/sign-in.md has it",
            ),
        }
        if self.config.at(&[CONFIG, "assertion_lifetime"]).is_some() {
            let text = "what the client signs is good for a minute";
            let field = format!("{CONFIG}.assertion_lifetime");
            self.say(ChangeKind::LeftOut, &field, text);
        }
    }

    /// How Envoy hands a variable on to the filter.
    fn handed_on(&self) -> &'static str {
        match self.told.gateway {
            Some(_) => ", by the EnvoyProxy: env.hostKeys hands it on",
            None => {
                ", and list it in vm_config.environment_variables.host_env_keys, as --envoy prints it"
            }
        }
    }

    fn secret_name(&self, field: &str) -> Option<String> {
        let name = self.config.text_at(&["credentials", field, "name"]);
        name.map(str::to_owned)
    }

    /// The variable with the cookie key: never the client's secret.
    fn key_variable(&self) -> String {
        let of = |field, other: &str| variable(self.secret_name(field).as_deref().unwrap_or(other));
        let key = of("hmac_secret", "cookie-key");
        if key == of("token_secret", "client-secret") {
            "BG_COOKIE_KEY".to_owned()
        } else {
            key
        }
    }

    /// The provider, where no jwt_authn tells of it.
    fn provider(&mut self) -> Node {
        let at = tree::object(&self.config, []);
        let mut provider = at.clone();
        let endpoint = self.same("authorization_endpoint");
        let endpoint = endpoint.as_ref().and_then(Node::text).unwrap_or_default();
        let issuer = match (&self.told.issuer, guess::issuer(endpoint)) {
            (Some(told), _) => Some(told.clone()),
            (None, Some(guessed)) => {
                self.say(
                    ChangeKind::Added,
                    "authorization_endpoint",
                    format!("the issuer is {guessed}, as this provider writes it: see that its ID tokens have this iss"),
                );
                Some(guessed)
            }
            (None, None) => {
                self.say(
                    ChangeKind::Open,
                    "authorization_endpoint",
                    "does not tell the issuer, which ID tokens must have: give it with --issuer",
                );
                self.explained.push("providers.idp.issuer");
                self.explained.push("sign_in.schemes.web.provider_name");
                None
            }
        };
        let client = self.config.at(&["credentials", "client_id"]);
        let client = client.cloned().unwrap_or_else(|| at.clone());
        if let Some(issuer) = &issuer {
            tree::set(&mut provider, "issuer", tree::text(&at, issuer));
        }
        tree::set(&mut provider, "audiences", tree::list(&at, vec![client]));
        if let Some(cluster) = &self.told.gateway {
            let cluster = ("cluster", tree::text(&at, cluster));
            let timeout = ("timeout", tree::text(&at, "10s"));
            let discovery = tree::object(&at, [cluster, timeout]);
            tree::set(&mut provider, "openid_discovery", discovery);
            return provider;
        }
        let same_host = |token: &Node| {
            let host = |text: &str| Uri::parse(text).ok().map(|uri| uri.authority);
            let own = issuer.as_deref().and_then(host);
            own.is_some() && own == token.text_at(&["uri"]).and_then(host)
        };
        let Some(token) = self.same("token_endpoint") else {
            return provider;
        };
        if issuer.is_some() && !same_host(&token) {
            self.say(
                ChangeKind::Open,
                "token_endpoint.cluster",
                "the issuer is on another host: say in openid_discovery which cluster leads there, and in jwks_cluster where its keys are, if that is a third one",
            );
        }
        let parts = ["cluster", "timeout"].into_iter();
        let parts = parts.filter_map(|part| Some((part, token.get(part)?.clone())));
        let discovery = tree::object(&token, parts);
        tree::set(&mut provider, "openid_discovery", discovery);
        provider
    }

    /// The callback. Returns the hosts that browsers may be sent back to.
    fn redirects(&mut self, scheme: &mut Node) -> Vec<String> {
        let mut domains = self.told.hosts.clone();
        for domain in self.config.items_of("allowed_redirect_domains") {
            domains.extend(domain.text().map(str::to_owned));
        }
        let written = self.same("redirect_uri");
        let written = written.as_ref().and_then(Node::text).unwrap_or_default();
        let at = tree::object(self.config.get("redirect_uri").unwrap_or(&self.config), []);
        let path = match guess::redirect(written) {
            Some(guess::Redirect::Whole { host, path }) => {
                domains.push(host);
                tree::set(scheme, "redirect_uri", tree::text(&at, written));
                Some(path)
            }
            Some(guess::Redirect::OfRequest { path }) => {
                if domains.is_empty() {
                    domains.extend(self.pair.hosts());
                }
                tree::set(scheme, "callback_path", tree::text(&at, &path));
                Some(path)
            }
            None => {
                self.say(
                    ChangeKind::Open,
                    "redirect_uri",
                    "cannot be said: only the host may be the request's. Write redirect_uri as it is registered at the provider",
                );
                self.explained.push("sign_in.schemes.web");
                self.explained.push("sign_in.allowed_redirect_domains");
                None
            }
        };
        domains.sort();
        domains.dedup();
        if domains.is_empty() && path.is_some() {
            self.say(
                ChangeKind::Open,
                "redirect_uri",
                "has the host of the request: give the hosts of your pages, each with --host",
            );
            self.explained.push("sign_in.allowed_redirect_domains");
        }
        let matcher = self.config.at(&["redirect_path_matcher", "path"]);
        let matched = matcher.and_then(|matcher| matcher.text_at(&["exact"]));
        match (path, matched) {
            (Some(path), Some(matched)) if path != matched => self.say(
                ChangeKind::Open,
                "redirect_path_matcher",
                format!("is not the path of redirect_uri, which is the callback here: {path}"),
            ),
            (Some(path), None) => self.say(
                ChangeKind::Differs,
                "redirect_path_matcher",
                format!("{path} alone is the callback: a request for another path is decided by the rules"),
            ),
            _ => {}
        }
        if self.config.get("original_request_uri").is_some() {
            self.say(
                ChangeKind::Differs,
                "original_request_uri",
                "browsers come back to the Host of their request: the proxy in front of Envoy must leave it as it is",
            );
        }
        domains
    }

    fn sign_out(&mut self, scheme: &mut Node) {
        let exact = self.config.at(&["signout_path", "path", "exact"]).cloned();
        match exact {
            Some(exact) => tree::set(scheme, "signout_path", exact),
            None => self.say(
                ChangeKind::Open,
                "signout_path",
                "is one path here: write signout_path, and send people there",
            ),
        }
        let ignores_case = self.config.at(&["signout_path", "path", "ignore_case"]);
        if ignores_case.is_some_and(Node::is_true) {
            let text = "the case of the path counts";
            self.say(ChangeKind::Differs, "signout_path", text);
        }
        if self.config.get("post_logout_redirect_uri").is_none() {
            return;
        }
        let uri = self.config.text_at(&["post_logout_redirect_uri", "uri"]);
        let path = uri
            .and_then(guess::redirect)
            .map(|redirect| match redirect {
                guess::Redirect::Whole { path, .. } | guess::Redirect::OfRequest { path } => path,
            });
        let text = match &path {
            Some(path) => {
                let at = tree::object(scheme, []);
                tree::set(scheme, "post_logout_redirect_path", tree::text(&at, path));
                "has the host of the request here: register it for each of your hosts"
            }
            None => {
                "the provider is always told to send browsers to post_logout_redirect_path: register that"
            }
        };
        self.say(ChangeKind::Differs, "post_logout_redirect_uri", text);
    }

    fn scopes(&mut self) -> Node {
        let at = tree::object(self.config.get("auth_scopes").unwrap_or(&self.config), []);
        let written = self.config.items_of("auth_scopes").to_vec();
        // As the old filter has it.
        let mut scopes = match written.is_empty() {
            true => vec![tree::text(&at, "user")],
            false => written,
        };
        if !scopes.iter().any(|scope| scope.text() == Some("openid")) {
            scopes.insert(0, tree::text(&at, "openid"));
            self.say(
                ChangeKind::Added,
                "auth_scopes",
                "openid is one now: without it there is no ID token. See that the client may have it",
            );
        }
        tree::list(&at, scopes)
    }

    /// What the upstream gets of the tokens.
    fn tokens(&mut self, scheme: &mut Node, token: Option<&TokenOfSession>) {
        let at = tree::object(&self.config, []);
        let taken_out = token.is_some_and(|token| token.is_access_token && !token.is_forwarded);
        if self.is_true("forward_bearer_token") && taken_out {
            let text = "jwt_authn takes the token out again, so no upstream gets it";
            self.say(ChangeKind::LeftOut, "forward_bearer_token", text);
        } else if self.is_true("forward_bearer_token") {
            let yes = tree::yes(&at);
            tree::set(scheme, "forward_bearer_token", yes);
        }
        let forwards = scheme.get("forward_bearer_token").is_some();
        if !forwards && !self.is_true("preserve_authorization_header") {
            self.say(
                ChangeKind::Differs,
                "preserve_authorization_header",
                "where a session is asked for, a client's own Authorization is left in the request: put it into request_headers_to_remove of the routes, if the upstream would believe it",
            );
        }
        let header = self.config.at(&["forward_id_token", "header"]).cloned();
        if let Some(header) = header {
            let is_taken = header
                .text()
                .is_some_and(|name| name.eq_ignore_ascii_case("authorization"));
            if is_taken {
                let text = "the ID token is forwarded in a header of its own only: write forward_id_token_header, and have the upstream read that";
                self.say(ChangeKind::Open, "forward_id_token.header", text);
            } else {
                tree::set(scheme, "forward_id_token_header", header);
            }
        }
    }

    /// What has no counterpart, or another one.
    fn what_is_left(&mut self) {
        for (field, why) in LEFT_OUT {
            if self.config.get(field).is_some() {
                self.say(ChangeKind::LeftOut, field, why);
            }
        }
        for field in ["csrf_token_expires_in", "code_verifier_token_expires_in"] {
            if self.config.get(field).is_some() {
                let text = "a sign-in has ten minutes";
                self.say(ChangeKind::Differs, field, text);
            }
        }
        if !self.config.items_of("allow_failed_matcher").is_empty() {
            self.say(
                ChangeKind::Differs,
                "allow_failed_matcher",
                "the upstream gets no x-envoy-oauth-status: without a session it gets no claims, and that is how it knows",
            );
        }
    }
}

/// Leaves in `requirement_map` what no rule of jwt_authn asked for: routes may. The others are in the
/// rules now.
fn names_not_used(whole: &mut Node, jwt: Option<&Node>) {
    let unused = jwt
        .map(super::convert::unused_requirements)
        .unwrap_or_default();
    if unused.is_empty() {
        whole.remove("requirement_map");
    } else if let Some(Yaml::Map(entries)) =
        whole.get_mut("requirement_map").map(|node| &mut node.yaml)
    {
        entries.retain(|entry| unused.contains(&entry.name));
    }
}

/// The variable for a secret: `token-1` is `BG_TOKEN_1`.
fn variable(secret: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    let name: String = secret.chars().map(letter).collect();
    format!("BG_{name}")
}
