//! `oidc` of a SecurityPolicy as the `oauth2` filter that Envoy Gateway makes of it, and that as sign-in.
//!
//! Invariant: what `oauth2` would get of Envoy Gateway, it gets here. What a person tells is told by the
//! names of the policy.

use bearer_gate::http::uri::Uri;

use super::find::Pair;
use super::oauth2::{self, Told};
use super::{Change, ChangeKind, tree};
use crate::document::{Node, Yaml};

/// What Envoy Gateway writes where the policy says nothing.
const REDIRECT_URL: &str = "%REQ(x-forwarded-proto)%://%REQ(:authority)%/oauth2/callback";
const LOGOUT_PATH: &str = "/logout";
/// Names of cookies end in something that Envoy Gateway has drawn.
const DRAWN: [(&str, &str, &str); 2] = [
    ("access_token", "bearer_token", "AccessToken-"),
    ("id_token", "id_token", "IdToken-"),
];
/// Fields of `oauth2`, and what they are made of.
const FIELDS: [(&str, &str); 20] = [
    ("token_endpoint", "provider.tokenEndpoint"),
    ("authorization_endpoint", "provider.authorizationEndpoint"),
    ("end_session_endpoint", "provider.endSessionEndpoint"),
    ("retry_policy", "provider.backendSettings"),
    ("credentials.client_id", "clientID"),
    ("credentials.token_secret", "clientSecret"),
    ("credentials.cookie_domain", "cookieDomain"),
    ("credentials.cookie_names", "cookieNames"),
    (
        "cookie_configs.oauth_hmac_cookie_config.same_site",
        "cookieConfig.sameSite",
    ),
    ("redirect_uri", "redirectURL"),
    ("signout_path", "logoutPath"),
    ("auth_scopes", "scopes"),
    ("forward_bearer_token", "forwardAccessToken"),
    ("forward_id_token", "forwardIDToken"),
    ("deny_redirect_matcher", "denyRedirect.headers"),
    ("default_expires_in", "defaultTokenTTL"),
    ("default_refresh_token_expires_in", "defaultRefreshTokenTTL"),
    ("csrf_token_expires_in", "csrfTokenTTL"),
    ("disable_token_encryption", "disableTokenEncryption"),
    ("pass_through_matcher", "passThroughAuthHeader"),
];

/// People who sign in, as the policy has it.
pub(super) struct Oidc {
    /// `OAuth2Config`.
    oauth2: Node,
    issuer: Option<String>,
    /// The cluster of the issuer.
    cluster: String,
    names_cookies: bool,
    /// `targetRefs`.
    targets: Vec<Node>,
}

impl Oidc {
    /// `spec` is the policy's. What is open is told.
    pub(super) fn of(spec: &Node, changes: &mut Vec<Change>) -> Option<Self> {
        let written = spec.get("oidc")?;
        let mut reader = Reader { written, changes };
        let oauth2 = reader.oauth2(spec);
        let issuer = written.text_at(&["provider", "issuer"]).map(str::to_owned);
        let host = issuer.as_deref().and_then(host).unwrap_or_default();
        if host.is_empty() {
            let text = "is no URL that is certain";
            reader.say(ChangeKind::Open, written, "provider.issuer", text);
        }
        let cluster = oauth2.text_at(&["token_endpoint", "cluster"]);
        let mut clusters = vec![host.as_str()];
        clusters.extend(cluster.filter(|cluster| *cluster != host));
        let text = format!(
            "needs a cluster {} in Envoy's bootstrap, with TLS, see deploy/envoy-gateway/issuer.yaml: those of Envoy Gateway go away with the policy. Where the provider has its keys on another host, say in jwks_cluster which cluster leads there",
            clusters.join(", and a cluster ")
        );
        reader.say(ChangeKind::Added, written, "provider.issuer", &text);
        reader.drawn_names(spec);
        Some(Self {
            cluster: host,
            issuer,
            names_cookies: written.get("cookie_names").is_some(),
            targets: spec
                .get("target_ref")
                .into_iter()
                .chain(spec.items_of("target_refs"))
                .cloned()
                .collect(),
            oauth2,
        })
    }

    /// The configuration with sign-in. `jwt` is that of `jwt` and `authorization`; `others` are the
    /// resources beside the policies.
    pub(super) fn signed_in(
        &self,
        jwt: &Node,
        others: &[Node],
        hosts: &[String],
    ) -> oauth2::Converted {
        let told = Told {
            issuer: self.issuer.clone(),
            hosts: match hosts {
                [] if self.is_of_request() => self.hosts_of_routes(others),
                hosts => hosts.to_vec(),
            },
            gateway: Some(self.cluster.clone()),
        };
        let pair = Pair {
            oauth2: &self.oauth2,
            jwt: None,
            jwt_is_first: false,
            documents: others,
        };
        let mut converted = oauth2::convert(&pair, Some(jwt), &told);
        if self.cluster.is_empty() {
            converted.explained.extend([
                "providers.idp.openid_discovery",
                "sign_in.schemes.web.token_endpoint.cluster",
            ]);
        }
        if self.oauth2.at(&["credentials", "client_id"]).is_none() {
            converted.explained.extend([
                "providers.idp.audiences[0]",
                "sign_in.schemes.web.credentials.client_id",
            ]);
        }
        converted.changes.retain_mut(|change| {
            let is_drawn = change.path == "credentials.cookie_names" && !self.names_cookies;
            change.path = name_of(&change.path);
            !is_drawn
        });
        converted
    }
}

impl Oidc {
    /// Whether browsers come back to the host of their request.
    fn is_of_request(&self) -> bool {
        let uri = self.oauth2.text_at(&["redirect_uri"]);
        uri.is_some_and(|uri| uri.contains('%'))
    }

    /// The hosts of the routes that the policy is for, as far as they are among these resources.
    fn hosts_of_routes(&self, resources: &[Node]) -> Vec<String> {
        let is_target = |kind: &str, name: Option<&str>| {
            let mut targets = self.targets.iter();
            targets.any(|target| {
                target.text_at(&["kind"]) == Some(kind) && target.text_at(&["name"]) == name
            })
        };
        let is_for = |route: &&Node| {
            let kind = route.text_at(&["kind"]).unwrap_or_default();
            let parents = route.at(&["spec", "parent_refs"]);
            let mut parents = parents.map_or(&[][..], Node::items).iter();
            let is_route = matches!(kind, "HTTPRoute" | "GRPCRoute");
            is_route
                && (is_target(kind, route.text_at(&["metadata", "name"]))
                    || parents.any(|parent| is_target("Gateway", parent.text_at(&["name"]))))
        };
        let hosts = resources.iter().filter(is_for);
        let hosts = hosts.filter_map(|route| route.at(&["spec", "hostnames"]));
        let hosts = hosts.flat_map(Node::items).filter_map(Node::text);
        let hosts = hosts.filter(|host| !host.starts_with('*'));
        hosts.map(str::to_owned).collect()
    }
}

/// How the policy calls a field of `oauth2`, or of `jwt`.
fn name_of(path: &str) -> String {
    if path == "credentials.hmac_secret" || path == "redirect_path_matcher" {
        return "spec.oidc".to_owned();
    }
    if path.starts_with("rules[") {
        return "spec.authorization".to_owned();
    }
    if let Some(rest) = path.strip_prefix("providers.") {
        return format!("spec.jwt.providers.{rest}");
    }
    let known = FIELDS.iter().find_map(|(field, name)| {
        let rest = path.strip_prefix(field)?;
        let is_whole = rest.is_empty() || rest.starts_with(['.', '[']);
        is_whole.then(|| format!("spec.oidc.{name}{rest}"))
    });
    known.unwrap_or_else(|| match path.is_empty() {
        true => "spec.oidc".to_owned(),
        false => format!("spec.oidc.{path}"),
    })
}

fn host(url: &str) -> Option<String> {
    Uri::parse(url).ok().map(|uri| uri.authority)
}

struct Reader<'r> {
    /// `oidc`.
    written: &'r Node,
    changes: &'r mut Vec<Change>,
}

impl Reader<'_> {
    fn say(&mut self, kind: ChangeKind, node: &Node, field: &str, text: &str) {
        self.changes.push(Change {
            line: node.line,
            path: format!("spec.oidc.{field}"),
            text: text.to_owned(),
            kind,
        });
    }

    fn oauth2(&mut self, spec: &Node) -> Node {
        let written = self.written;
        let at = tree::object(written, []);
        let mut oauth2 = at.clone();
        for (theirs, field) in [
            ("authorization_endpoint", "authorization_endpoint"),
            ("end_session_endpoint", "end_session_endpoint"),
            ("backend_settings", "retry_policy"),
        ] {
            if let Some(node) = written.at(&["provider", theirs]) {
                tree::set(&mut oauth2, field, node.clone());
            }
        }
        for (theirs, field) in [
            ("resources", "resources"),
            ("forward_access_token", "forward_bearer_token"),
            ("forwardIDToken", "forward_id_token"),
            ("defaultTokenTTL", "default_expires_in"),
            ("defaultRefreshTokenTTL", "default_refresh_token_expires_in"),
            ("csrfTokenTTL", "csrf_token_expires_in"),
            ("disable_token_encryption", "disable_token_encryption"),
        ] {
            if let Some(node) = written.get(theirs) {
                // Of a time it only counts that there is one.
                let node = match theirs.ends_with("TTL") {
                    true => tree::text(node, "1s"),
                    false => node.clone(),
                };
                tree::set(&mut oauth2, field, node);
            }
        }
        let refreshes = written.get("refresh_token").cloned();
        let refreshes = refreshes.unwrap_or_else(|| tree::yes(&at));
        tree::set(&mut oauth2, "use_refresh_token", refreshes);
        // It deletes the header of a client only where it puts a token there.
        let forwards = written
            .get("forward_access_token")
            .is_some_and(Node::is_true);
        let preserves = tree::value(&at, Yaml::Bool(!forwards));
        tree::set(&mut oauth2, "preserve_authorization_header", preserves);
        tree::set(&mut oauth2, "auth_type", tree::text(&at, "BASIC_AUTH"));
        let scopes = self.scopes();
        tree::set(&mut oauth2, "auth_scopes", scopes);
        let or = |field: &str, other: &str| {
            let node = written.get(field).cloned();
            node.unwrap_or_else(|| tree::text(&at, other))
        };
        tree::set(&mut oauth2, "redirect_uri", or("redirectURL", REDIRECT_URL));
        let exact = tree::object(&at, [("exact", or("logout_path", LOGOUT_PATH))]);
        let signout = tree::object(&at, [("path", exact)]);
        tree::set(&mut oauth2, "signout_path", signout);
        let matcher = self.redirect_path(&or("redirectURL", REDIRECT_URL));
        tree::set(&mut oauth2, "redirect_path_matcher", matcher);
        let endpoint = self.token_endpoint();
        tree::set(&mut oauth2, "token_endpoint", endpoint);
        let credentials = self.credentials();
        tree::set(&mut oauth2, "credentials", credentials);
        self.cookies(&mut oauth2);
        let matchers = self.deny_redirect();
        tree::set(&mut oauth2, "deny_redirect_matcher", matchers);
        if written
            .get("pass_through_auth_header")
            .is_some_and(Node::is_true)
        {
            let matchers = passes_through(written, spec);
            if matchers.items().is_empty() {
                let at = written.get("pass_through_auth_header").unwrap_or(written);
                let text = "is about tokens that jwt finds in a header, and there are none: a program that brings one gets 401 here. Add a provider for it, and requires_any of the session and its provider_name";
                self.say(ChangeKind::Differs, at, "passThroughAuthHeader", text);
            }
            tree::set(&mut oauth2, "pass_through_matcher", matchers);
        }
        if let Some(refs) = written.at(&["provider", "backend_refs"]) {
            let text = "is said of the cluster: let it lead where this leads";
            self.say(ChangeKind::LeftOut, refs, "provider.backendRefs", text);
        }
        oauth2
    }

    fn scopes(&self) -> Node {
        let at = self.written.get("scopes").unwrap_or(self.written);
        let mut scopes = self.written.items_of("scopes").to_vec();
        if !scopes.iter().any(|scope| scope.text() == Some("openid")) {
            scopes.push(tree::text(at, "openid"));
        }
        tree::list(at, scopes)
    }

    fn redirect_path(&self, url: &Node) -> Node {
        let text = url.text().unwrap_or_default();
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let path = rest.find('/').and_then(|slash| rest.get(slash..));
        let exact = tree::text(url, path.unwrap_or_default());
        let exact = tree::object(url, [("exact", exact)]);
        tree::object(url, [("path", exact)])
    }

    /// Where nobody says where it is, the provider's metadata do.
    fn token_endpoint(&self) -> Node {
        let written = self.written.at(&["provider", "token_endpoint"]);
        let issuer = self.written.text_at(&["provider", "issuer"]);
        let at = written.unwrap_or(self.written);
        let leads_to = written.and_then(Node::text).or(issuer);
        let cluster = leads_to.and_then(host).unwrap_or_default();
        let uri = written.map(|node| ("uri", node.clone()));
        let rest = [
            ("cluster", tree::text(at, &cluster)),
            ("timeout", tree::text(at, "10s")),
        ];
        tree::object(at, uri.into_iter().chain(rest))
    }

    fn credentials(&mut self) -> Node {
        let written = self.written;
        let at = tree::object(written, []);
        let mut credentials = at.clone();
        if let Some(id) = written.get("clientID") {
            tree::set(&mut credentials, "client_id", id.clone());
        }
        if let Some(reference) = written.get("clientIDRef") {
            let text = "is in a Secret, which is not read: write clientID";
            self.say(ChangeKind::Open, reference, "clientIDRef", text);
        }
        let secret = written.get("client_secret");
        if let Some(name) = secret.and_then(|secret| secret.get("name")) {
            let secret = tree::object(name, [("name", name.clone())]);
            tree::set(&mut credentials, "token_secret", secret);
        }
        if let Some(domain) = written.get("cookie_domain") {
            tree::set(&mut credentials, "cookie_domain", domain.clone());
        }
        let names = DRAWN.map(|(theirs, field, drawn)| {
            let name = written.at(&["cookie_names", theirs]).cloned();
            // A name that no cookie has.
            (
                field,
                name.unwrap_or_else(|| tree::text(&at, &format!("{drawn}?"))),
            )
        });
        let at = written.get("cookie_names").unwrap_or(written);
        tree::set(&mut credentials, "cookie_names", tree::object(at, names));
        credentials
    }

    fn cookies(&mut self, oauth2: &mut Node) {
        let Some(node) = self.written.at(&["cookie_config", "same_site"]) else {
            return;
        };
        let same_site = match node.text() {
            Some("Lax") => "LAX",
            Some("Strict") => "STRICT",
            Some("None") => "NONE",
            _ => {
                let text = "is no mode that is known here";
                self.say(ChangeKind::Open, node, "cookieConfig.sameSite", text);
                return;
            }
        };
        let cookie = tree::object(node, [("same_site", tree::text(node, same_site))]);
        let cookies = tree::object(node, [("oauth_hmac_cookie_config", cookie)]);
        tree::set(oauth2, "cookie_configs", cookies);
    }

    fn deny_redirect(&mut self) -> Node {
        let headers = self.written.at(&["deny_redirect", "headers"]);
        let mut matchers = Vec::new();
        for (index, header) in headers.map_or(&[][..], Node::items).iter().enumerate() {
            let value = header.get("value").cloned();
            let value = value.unwrap_or_else(|| tree::text(header, ""));
            let test = match header.text_at(&["type"]).unwrap_or("Exact") {
                "Exact" => ("exact", value),
                "Prefix" => ("prefix", value),
                "Suffix" => ("suffix", value),
                "RegularExpression" => ("safe_regex", tree::object(header, [("regex", value)])),
                _ => {
                    let path = format!("denyRedirect.headers[{index}].type");
                    let text = "is no type that is known here";
                    self.say(ChangeKind::Open, header, &path, text);
                    continue;
                }
            };
            let name = header.get("name").cloned();
            let name = name.unwrap_or_else(|| tree::text(header, ""));
            matchers.push(tree::object(
                header,
                [
                    ("name", name),
                    ("string_match", tree::object(header, [test])),
                ],
            ));
        }
        tree::list(headers.unwrap_or(self.written), matchers)
    }

    /// A provider that reads a cookie by a name that was drawn reads nothing any more.
    fn drawn_names(&mut self, spec: &Node) {
        let providers = spec.at(&["jwt", "providers"]);
        for (index, provider) in providers.map_or(&[][..], Node::items).iter().enumerate() {
            let cookies = provider.at(&["extract_from", "cookies"]);
            for cookie in cookies.map_or(&[][..], Node::items) {
                let name = cookie.text().unwrap_or_default();
                let named = |theirs| self.written.text_at(&["cookie_names", theirs]) == Some(name);
                let is_drawn = DRAWN
                    .iter()
                    .any(|(theirs, _, drawn)| name.starts_with(drawn) && !named(theirs));
                if is_drawn {
                    self.changes.push(Change {
                        line: cookie.line,
                        path: format!("spec.jwt.providers[{index}].extractFrom.cookies"),
                        text: format!("may read a token of a session, by the name {name} that Envoy Gateway has drawn: where it does, say in cookieNames which token that is"),
                        kind: ChangeKind::Open,
                    });
                }
            }
        }
    }
}

/// The headers in which `jwt` looks for tokens.
fn passes_through(at: &Node, spec: &Node) -> Node {
    let providers = spec.at(&["jwt", "providers"]).map_or(&[][..], Node::items);
    let matcher = |at: &Node, name: Node, prefix: Option<Node>| {
        let prefix = prefix.map(|prefix| ("string_match", tree::object(at, [("prefix", prefix)])));
        tree::object(at, [("name", name)].into_iter().chain(prefix))
    };
    let mut matchers = Vec::new();
    for provider in providers {
        match provider.get("extract_from") {
            None => {
                let (name, prefix) = ("Authorization", "Bearer ");
                let [name, prefix] = [name, prefix].map(|text| tree::text(provider, text));
                matchers.push(matcher(provider, name, Some(prefix)));
            }
            Some(places) => {
                matchers.extend(places.items_of("headers").iter().filter_map(|place| {
                    let prefix = place.get("value_prefix").cloned();
                    Some(matcher(place, place.get("name")?.clone(), prefix))
                }))
            }
        }
    }
    matchers.dedup_by(|one, other| one.to_json() == other.to_json());
    tree::list(at, matchers)
}
