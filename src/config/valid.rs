//! What a configuration says once it is valid: every default filled in and every choice valid.
//!
//! Invariant: whatever a [`Config`] can say the filter can do.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::id::{PerProvider, ProviderId};
use super::sign_in::{SchemeId, SignIn, Unauthenticated};
use crate::document::times::Times;
use crate::http::ambiguous::Ambiguous;
use crate::http::credentials::Place;
use crate::http::name::are_alike_of_headers;
use crate::http::protected_resource::ProtectedResource;
use crate::http::request::Request;
use crate::http::response::Responses;
use crate::http::subprotocol;
use crate::http::uri::{Scheme, Uri};
use crate::jose::base64url::Spelling;
use crate::jose::jwks::KeySet;
use crate::jose::jwt::Expectations;
use crate::matcher::{
    Comparison, Condition, HeaderMatcher, PathIndex, PathMatcher, RequestMatcher,
};
use crate::metrics;
use crate::named::Named;

/// Marks a request that a rule would have rejected if it did not only report; the value is the
/// reason.
pub const REPORT_HEADER: &str = "x-bearer-gate-report";

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// In the order written; each has its own name.
    pub providers: PerProvider<Provider>,
    /// In the order written; the first that matches decides.
    pub rules: Rules,
    /// What happens where none of the rules matches.
    pub unmatched: Unmatched,
    /// The form of the bodies and challenges that rejections have.
    pub responses: Responses,
    /// What is told of the resource that is protected, where something is.
    pub protected_resource: Option<ProtectedResource>,
    /// Requests that may wait for keys, or for answers, at once, per worker.
    pub max_waiting: usize,
    /// Every header that the filter sets, in lower case, sorted: a client's own must not reach the
    /// upstream, on whatever route and in whatever spelling ([`Config::is_reserved`]).
    pub reserved_headers: Vec<String>,
    /// What must be read of a request.
    pub reads: Reads,
    /// Whether a CORS preflight passes without a token.
    pub bypass_cors_preflight: bool,
    /// The requirements that routes may name; `None` where only the rules decide.
    pub of_routes: Option<OfRoutes>,
    /// What is told of each request by filter state.
    pub facts: Vec<Fact>,
    /// How people in browsers sign in, where they can.
    pub sign_in: Option<SignIn>,
    /// The store that several Envoys share, where there is one. `sign_in` has keys of its own then.
    pub fleet_store: Option<FleetStore>,
}

/// What Envoy's routes ask for by themselves, in place of the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct OfRoutes {
    /// The namespace of a route's metadata in which `requirement_name` is.
    pub namespace: String,
    pub(in crate::config) by_name: Named<TokenAccess>,
}

/// What must be read of a request for its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// These headers, each of which Envoy holds as one value.
    Each(Vec<&'static str>),
    /// All of them at once, of which these and those with names alike are kept, by lower-case
    /// names.
    All(Vec<String>),
}

/// Rules, and how to find the one that decides.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    index: PathIndex,
}

/// What happens to a request that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// It is rejected with 403.
    Deny,
    /// It is let through, and no token is asked for.
    Allow,
}

/// An issuer of tokens: what its tokens must be like, and what is done with them.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name that rules refer to; without control characters.
    pub name: String,
    /// What its tokens must be like.
    pub expectations: Expectations,
    /// How the parts of its tokens are spelt.
    pub spelling: Spelling,
    /// Where its tokens are in a request; never empty.
    pub places: Vec<Place>,
    /// What its signatures are verified with.
    pub keys: KeySource,
    /// The bounds of the memory of its verified tokens, per worker.
    pub cache: CacheBounds,
    /// Whether the upstream gets to see the token.
    pub forward: bool,
    /// What the upstream and later filters learn of an admitted token.
    pub outputs: OutputRules,
    /// Top-level claims, by their literal names, that hold scopes; never empty.
    pub scope_claims: Vec<String>,
}

/// What is passed on of a provider's tokens. Names of headers are in lower case; names of filter
/// state are without the `wasm.` that Envoy puts before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputRules {
    /// The header for the whole payload (`forward_payload_header`).
    pub payload_header: Option<PayloadHeader>,
    /// The headers for single claims, in the order written.
    pub claim_headers: Vec<ClaimHeader>,
    /// The filter state for the claims.
    pub payload_state: Option<String>,
    /// Top-level claims, by their literal names, that are lists in `payload_state` where the
    /// token has strings separated by spaces.
    pub space_delimited_claims: Vec<String>,
    /// The filter state for the JOSE header.
    pub header_state: Option<String>,
    /// The filter state for why there is no good token.
    pub failure_state: Option<String>,
    /// The same for every provider.
    pub facts: Vec<Fact>,
}

/// A header that carries the token's payload, base64url as in the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadHeader {
    /// In lower case.
    pub name: String,
    /// Whether `=` fills the last group of four characters (RFC 4648 section 3.2).
    pub padded: bool,
}

/// A header that carries a claim to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The header's name.
    pub header: String,
    /// The claim's name, then those of the members below it; never empty.
    pub claim: Vec<String>,
    /// How a value that is not one string is written.
    pub format: ClaimFormat,
    /// Whether the value, or each of several, is sent in base64.
    pub base64: bool,
}

/// How a claim is written into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFormat {
    /// As jwt_authn does it.
    JwtAuthn,
    /// Items separated by commas.
    Csv,
    /// JSON, in ASCII.
    Json,
    /// A header for each item.
    Repeat,
}

/// What is told of a request by filter state, for access logs and traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Why the request was rejected.
    Reason,
    /// The provider of the token that was verified, by its name in the configuration.
    Provider,
    /// Its `iss`.
    Issuer,
    /// Its `sub`.
    Subject,
    /// The `iss` that a token says which was refused. Nobody has verified it.
    UnverifiedIssuer,
    /// Its `sub`, likewise.
    UnverifiedSubject,
    /// Its `kid`, likewise.
    UnverifiedKid,
}

impl Fact {
    /// In the order of the documents.
    pub const ALL: [Self; 7] = [
        Self::Reason,
        Self::Provider,
        Self::Issuer,
        Self::Subject,
        Self::UnverifiedIssuer,
        Self::UnverifiedSubject,
        Self::UnverifiedKid,
    ];

    /// What the names of all of them begin with.
    pub const PREFIX: &'static str = "bearer_gate.";

    /// The filter state's name, to which Envoy adds `wasm.`.
    pub fn state(self) -> &'static str {
        match self {
            Self::Reason => "bearer_gate.reason",
            Self::Provider => "bearer_gate.provider",
            Self::Issuer => "bearer_gate.issuer",
            Self::Subject => "bearer_gate.subject",
            Self::UnverifiedIssuer => "bearer_gate.unverified_issuer",
            Self::UnverifiedSubject => "bearer_gate.unverified_subject",
            Self::UnverifiedKid => "bearer_gate.unverified_kid",
        }
    }

    /// Whether it is about tokens that were refused, and only about them.
    pub fn is_unverified(self) -> bool {
        match self {
            Self::UnverifiedIssuer | Self::UnverifiedSubject | Self::UnverifiedKid => true,
            Self::Reason | Self::Provider | Self::Issuer | Self::Subject => false,
        }
    }
}

/// Where a provider's keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Part of the configuration.
    Local(Rc<KeySet>),
    /// Fetched from the provider, and renewed.
    Remote(Rc<Remote>),
}

impl KeySource {
    /// Whether the provider's metadata lead to the keys.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        matches!(self, Self::Remote(remote) if remote.is_discovered())
    }
}

/// Keys that are fetched, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Which document leads to the keys.
    pub endpoint: Endpoint,
    /// When it is fetched, and how long the keys are used.
    pub times: Times,
}

impl Remote {
    /// Whether the provider's metadata lead to the keys.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        matches!(self.endpoint, Endpoint::Discovery { .. })
    }
}

/// What is fetched to get at keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A JWK Set document.
    Jwks(HttpUri),
    /// A document for each key, in PEM. The key's `kid` follows the path of the address.
    ByKid(HttpUri),
    /// The provider's metadata, which names the JWK Set (OpenID Connect Discovery, RFC 8414).
    Discovery {
        /// The provider's issuer: an absolute http or https URI without a query.
        issuer: String,
        /// Where the metadata are, if the issuer does not say it: an absolute http or https URI.
        uri: Option<String>,
        /// The cluster for the metadata, and for the keys where they are on the same host.
        cluster: String,
        /// The cluster for keys that are on another host.
        jwks_cluster: Option<String>,
        /// Of each of the two calls.
        timeout: Duration,
    },
}

impl Endpoint {
    /// The address that the metadata are found by, where they lead to the keys: their own, or the issuer.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        match self {
            Self::Discovery { issuer, uri, .. } => Some(uri.as_ref().unwrap_or(issuer)),
            Self::Jwks(_) | Self::ByKid(_) => None,
        }
    }
}

/// A document at a known address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUri {
    /// What the host is told in `:scheme`; the cluster decides whether the call has TLS.
    pub scheme: Scheme,
    /// Host, and port where it is given.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// The Envoy cluster that the call goes to.
    pub cluster: String,
    /// For the whole response; from the time the call is made.
    pub timeout: Duration,
}

/// A store that several Envoys share: Redis, asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetStore {
    /// Where it is asked.
    pub uri: HttpUri,
    /// What the names of its keys begin with: letters, digits, `-`, `_` and `:`.
    pub key_prefix: String,
    /// How often it is read.
    pub interval: Duration,
    /// How long sessions count after it was read last; not below `interval`.
    pub max_stale: Duration,
    /// Whether sessions count after that, too.
    pub allow_stale: bool,
}

impl HttpUri {
    /// The address, with this text after its path.
    #[must_use]
    pub fn address(&self, rest: &str) -> Uri {
        Uri {
            scheme: self.scheme,
            authority: self.authority.clone(),
            path: [&self.path, rest].concat(),
        }
    }
}

/// How much is remembered of verified tokens, where the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheBounds {
    /// There is room for this many tokens at least.
    pub tokens: Option<usize>,
    /// Longer tokens are not remembered, in bytes.
    pub longest: Option<usize>,
}

/// Which requests a rule is for, and what it asks of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which requests it is for.
    pub matcher: RequestMatcher,
    /// What they must bring.
    pub access: Access,
    /// Whether what it would reject is let through and reported.
    pub report_only: bool,
    /// Whether it decides paths with escaped slashes too. Such a rule needs a token.
    pub escaped_slashes: bool,
    /// What somebody gets who has not signed in, where it takes a session.
    pub unauthenticated: Unauthenticated,
}

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// Nothing.
    Public,
    /// One or more valid tokens, or a session.
    Token(TokenAccess),
}

/// Tokens, and what they must allow.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenAccess {
    /// Which tokens; rules that name the same requirement share it.
    pub demand: Rc<Demand>,
    /// What each of the tokens must allow.
    pub authorize: Permissions,
}

/// Which tokens satisfy a rule, and where they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Of which providers tokens must be, and how many.
    pub requirement: Requirement,
    /// Every place of every provider in it, once.
    pub places: Vec<Place>,
    /// Whether nothing of a request but its `authorization` counts.
    pub is_by_authorization: bool,
}

/// A requirement and those within it (`JwtRequirement`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// One token or session satisfies it.
    Provider(ProviderDemand),
    /// The first that accounts for the tokens decides. An optional token that stands by itself is
    /// one of any provider.
    Any {
        /// In the order written; never empty.
        members: Vec<Self>,
        /// What happens where none of them is satisfied.
        otherwise: Otherwise,
    },
    /// Each of them must be satisfied.
    All(Vec<Self>),
}

/// What becomes of a request that satisfies none of several requirements; the most lenient last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Otherwise {
    /// It is rejected for the most specific failure.
    Reject,
    /// `allow_missing` beside them: it passes if it has no token in any of their places.
    AllowMissing,
    /// `allow_missing_or_failed` beside them: it passes.
    AllowMissingOrFailed,
}

/// A token of one provider, or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderDemand {
    /// Whose token it must be.
    pub provider: ProviderId,
    /// Its places, as indices in [`Demand::places`]; none where it is a session.
    pub places: Vec<usize>,
    /// The scheme by which somebody must have signed in, where no token but a session counts.
    pub session: Option<SchemeId>,
    /// In place of the provider's own: they differ in the audiences.
    pub expectations: Option<Box<Expectations>>,
}

/// What a valid token must allow; the default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permissions {
    /// Each must be satisfied.
    pub scopes: Vec<Scopes>,
    /// Each must hold.
    pub claims: Vec<ClaimRule>,
    /// All names of all scopes, separated by spaces: the `scope` of a challenge.
    pub challenge: String,
}

/// Scopes that a token must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// Each of these; empty asks for none.
    pub all: Vec<String>,
    /// One of these at least; empty asks for none.
    pub any: Vec<String>,
}

/// A test of one claim.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimRule {
    /// Literal member names from the top of the claims; never empty.
    pub path: Vec<String>,
    /// What must be true of the claim at that path.
    pub test: ClaimTest,
}

/// The values are strings, numbers and booleans, and equal only what has their own type.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimTest {
    /// The claim is this value.
    Equals(Value),
    /// The claim is, or as an array holds, one of these.
    Any(Vec<Value>),
    /// The claim, as an array, holds each of these.
    All(Vec<Value>),
    /// The claim is there, `null` not counted, or is not.
    Exists(bool),
    /// The test does not hold; so it is with a claim that is not there.
    Not(Box<Self>),
}

impl OfRoutes {
    /// What a route that has this `requirement_name` asks for.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&TokenAccess> {
        self.by_name.get(std::str::from_utf8(name).ok()?)
    }

    /// Whether the namespace in a route's metadata, as Envoy writes a map for Wasm (every name and
    /// value ends with NUL), has a `requirement_name` that is empty. Asked for by itself, an empty
    /// one looks as if it were not there.
    #[must_use]
    pub fn has_empty_name(namespace: &[u8]) -> bool {
        let empty = b"\0requirement_name\0\0";
        namespace.windows(empty.len()).any(|part| part == empty)
    }
}

impl Rules {
    pub(in crate::config) fn new(list: Vec<Rule>) -> Self {
        Self {
            index: PathIndex::new(list.iter().map(|rule| &rule.matcher)),
            list,
        }
    }

    /// In the order written.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.list
    }

    /// The first rule for a request with this path in normal form; `None` where it has no path.
    /// `compared` hears of each that is looked at, by its place.
    ///
    /// # Errors
    /// What is ambiguous about the request, where that decides which rule it is.
    pub fn first(
        &self,
        path: Option<&str>,
        request: &Request,
        compared: impl Fn(usize, Result<Comparison, Ambiguous>),
    ) -> Result<Option<&Rule>, Ambiguous> {
        let matcher = |at: usize| self.list.get(at).map(|rule| &rule.matcher);
        let at = self.index.first(matcher, path, request, compared)?;
        Ok(at.and_then(|at| self.list.get(at)))
    }
}

/// The most headers that are read one by one: from there on, all at once costs less.
const MOST_SINGLE_READS: usize = 3;

impl Config {
    /// Whether only the filter may set a request header of this lower-case name: it is one of
    /// [`Config::reserved_headers`], or some upstream takes it for one.
    #[must_use]
    pub fn is_reserved(&self, name: &str) -> bool {
        let mut reserved = self.reserved_headers.iter();
        reserved.any(|known| are_alike_of_headers(known, name))
    }

    /// Pairs of providers that fetch keys and count in the same metrics, because their names have
    /// one label: the first one of the label, and each other one.
    #[must_use]
    pub fn sharing_metrics(&self) -> Vec<[&Provider; 2]> {
        let mut firsts: Vec<(String, &Provider)> = Vec::new();
        let mut pairs = Vec::new();
        for provider in &self.providers {
            if let KeySource::Local(_) = provider.keys {
                continue;
            }
            let label = metrics::label(&provider.name);
            match firsts.iter().find(|(known, _)| *known == label) {
                Some((_, first)) => pairs.push([*first, provider]),
                None => firsts.push((label, provider)),
            }
        }
        pairs
    }
}

impl Reads {
    /// What these rules and features look at, and nothing else. What Envoy holds as several values
    /// is never read alone: of those the host hands out the first only.
    pub(in crate::config) fn new(
        rules: &[Rule],
        of_routes: Option<&OfRoutes>,
        bypass_cors_preflight: bool,
        answers: bool,
        signs_in: bool,
    ) -> Self {
        let mut names: Vec<String> = vec![":path".to_owned()];
        let mut read = |name: &str| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        if answers {
            read(":method");
        }
        if bypass_cors_preflight {
            for name in [":method", "origin", "access-control-request-method"] {
                read(name);
            }
        }
        if signs_in {
            for name in OF_SIGN_IN {
                read(name);
            }
        }
        if of_routes.is_some() {
            // Envoy has chosen the route by it.
            read(":authority");
        }
        for rule in rules {
            if rule.matcher.path == PathMatcher::Connect {
                read(":method");
            }
            for condition in &rule.matcher.conditions {
                match condition {
                    Condition::Methods(_) => read(":method"),
                    Condition::Hosts(_) => read(":authority"),
                    Condition::Header(HeaderMatcher { name, .. }) => read(name),
                    Condition::Parameter(_) => {}
                }
            }
        }
        let of_rules = rules.iter().filter_map(|rule| match &rule.access {
            Access::Token(access) => Some(access),
            Access::Public => None,
        });
        let of_routes = of_routes
            .into_iter()
            .flat_map(|of| of.by_name.iter().map(|(_, access)| access));
        for place in of_rules
            .chain(of_routes)
            .flat_map(|access| &access.demand.places)
        {
            match place {
                Place::Header { name, .. } => read(name),
                Place::Basic { .. } => read("authorization"),
                Place::Subprotocol { .. } => read(subprotocol::HEADER),
                Place::Parameter(_) => {}
                Place::Cookie(_) | Place::Chunks(_) => read("cookie"),
            }
        }
        let single: Option<Vec<&'static str>> = names
            .iter()
            .map(|name| SINGLE.into_iter().find(|single| *single == name))
            .collect();
        match single {
            Some(single) if single.len() <= MOST_SINGLE_READS => Self::Each(single),
            _ => Self::All(names),
        }
    }
}

impl Reads {
    /// The name in lower case of a header that is kept: one that is looked at, or that some upstream takes
    /// for one. Some hosts tell names as they were sent.
    #[must_use]
    pub fn kept(&self, name: &str) -> Option<Cow<'static, str>> {
        // Most of them have a name that nothing has to be made for.
        let single = SINGLE.into_iter().find(|single| *single == name);
        let is_kept = match self {
            Self::Each(names) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
            Self::All(names) => names.iter().any(|known| are_alike_of_headers(known, name)),
        };
        is_kept.then(|| single.map_or_else(|| name.to_ascii_lowercase().into(), Cow::Borrowed))
    }
}

/// What tells where a sign-in comes from and who asks for it: a browser that navigates, a script or
/// another site.
const OF_SIGN_IN: [&str; 15] = [
    ":method",
    ":authority",
    "cookie",
    "accept",
    "content-type",
    "origin",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-purpose",
    "purpose",
    "x-purpose",
    "x-moz",
    "upgrade",
    "x-requested-with",
];

/// Headers of which Envoy never holds two values: it joins them where they arrive.
const SINGLE: [&str; 4] = [":path", ":method", ":authority", "authorization"];

impl Permissions {
    /// Whether every valid token will do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.claims.is_empty()
    }
}

impl OutputRules {
    /// The names of the request headers that an admitted token makes the filter set.
    pub fn headers_set(&self) -> impl Iterator<Item = &str> {
        let claims = self.claim_headers.iter().map(|claim| claim.header.as_str());
        self.payload_header
            .as_ref()
            .map(|header| header.name.as_str())
            .into_iter()
            .chain(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `marshalPairs` of the proxy-wasm C++ host writes a map.
    fn pairs(map: &[(&str, &[u8])]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut bytes = u32::try_from(map.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in map {
            bytes.extend(length(name.as_bytes()));
            bytes.extend(length(value));
        }
        for (name, value) in map {
            bytes.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        bytes
    }

    #[test]
    fn an_empty_name_of_a_route_is_not_no_name() {
        const NAME: &str = "requirement_name";
        type Map = &'static [(&'static str, &'static [u8])];
        let table: &[(Map, bool)] = &[
            (&[], false),
            (&[(NAME, b"")], true),
            (&[("a", b"b"), (NAME, b"")], true),
            (&[("a", b""), (NAME, b""), ("b", b"")], true),
            (&[(NAME, b"users")], false),
            (&[("a", b"")], false),
            (&[("my_requirement_name", b"")], false),
            (&[("requirement_names", b"")], false),
        ];
        for (map, expected) in table {
            assert_eq!(OfRoutes::has_empty_name(&pairs(map)), *expected, "{map:?}");
        }
    }
}
