//! Configurations: one `JwtAuthentication`, and the same JSON with the fields that the stricter
//! defaults of bearer-gate require.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::feature::Feature;
use crate::matcher::{self, Around};
use crate::requirement::Requirement;
use crate::token::POOL;

/// Where a provider's tokens are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Header { name: String, prefix: String },
    Param(String),
    Cookie(String),
}

impl Place {
    /// Whether both are the same header, parameter or cookie.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header { name, .. }, Self::Header { name: other, .. })
            | (Self::Param(name), Self::Param(other))
            | (Self::Cookie(name), Self::Cookie(other)) => name == other,
            _ => false,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Subjects {
    pub good: &'static str,
    pub bad: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub name: String,
    pub issuer: Option<String>,
    pub audiences: Vec<String>,
    pub subjects: Option<Subjects>,
    /// Seconds.
    pub max_lifetime: Option<i64>,
    /// Seconds.
    pub clock_skew: i64,
    /// Indices into the pool.
    pub keys: Vec<usize>,
    pub places: Vec<Place>,
    /// Whether `places` are the defaults, as jwt_authn has them.
    pub default_places: bool,
    /// The headers that it sets.
    pub sets: Vec<String>,
    /// Whether the upstream gets the token.
    pub forward: bool,
    /// The `kid`s of its keys that have one.
    named_keys: Vec<&'static str>,
    /// The algorithms of those that have none.
    nameless_keys: Vec<&'static str>,
    json: Value,
}

impl Provider {
    /// Where bearer-gate looks for its tokens.
    pub(crate) fn read_places(&self) -> &[Place] {
        match self.default_places {
            true => &self.places[..1],
            false => &self.places,
        }
    }

    pub(crate) fn requires_expiration(&self, is_lenient: bool) -> bool {
        let configured = self.json.get("require_expiration").and_then(Value::as_bool);
        configured.unwrap_or(!is_lenient)
    }

    /// For jwt_authn, with this place alone.
    fn only_at(&self, place: &Place) -> Value {
        let mut json = self.json.clone();
        if let Some(members) = json.as_object_mut() {
            for places in ["from_headers", "from_params", "from_cookies"] {
                members.remove(places);
            }
        }
        match place {
            Place::Header { name, prefix } => {
                json["from_headers"] = json!([{"name": name, "value_prefix": prefix}]);
            }
            Place::Param(name) => json["from_params"] = json!([name]),
            Place::Cookie(name) => json["from_cookies"] = json!([name]),
        }
        json
    }

    /// bearer-gate refuses a requires_all of providers that set the same header.
    fn sets_headers_of_its_own(&mut self, at: usize) {
        let own = |name: &str| name.replacen("x-claim-", &format!("x-{at}-claim-"), 1);
        for name in &mut self.sets {
            *name = own(name);
        }
        let claims = self
            .json
            .get_mut("claim_to_headers")
            .and_then(Value::as_array_mut);
        for claim in claims.into_iter().flatten() {
            claim["header_name"] = json!(own(claim["header_name"].as_str().unwrap_or_default()));
        }
    }

    pub(crate) fn names_key(&self, kid: &str) -> bool {
        self.named_keys.contains(&kid)
    }

    pub(crate) fn has_nameless_key(&self, algorithm: &str) -> bool {
        self.nameless_keys.contains(&algorithm)
    }
}

/// The smallest question to jwt_authn: a provider with one of its places, and other audiences
/// than its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub provider: usize,
    pub audiences: Option<Vec<String>>,
    pub place: Place,
}

/// A header that says which leaf is asked about.
pub(crate) const PART: &str = "x-part";

/// A token that a rule takes which is only asked whether it matches.
pub(crate) fn rule_token(at: usize) -> &'static str {
    static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let header = json!({"alg": "ES256", "kid": "ec-a"}).to_string();
        let claims = |at: usize| json!({"iss": format!("rule-{at}")}).to_string();
        let key = POOL.iter().find(|key| key.kid == "ec-a");
        let key = key.expect("a key of the pool");
        (0..MOST_RULES)
            .map(|at| key.token(&header, &claims(at)))
            .collect()
    });
    &TOKENS[at]
}

const MOST_RULES: usize = 6;
pub(crate) const MOST_PROVIDERS: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    matcher: Value,
    /// Requests that it matches, and some that it nearly does.
    pub around: Around,
    pub requires: Option<Requirement>,
    named: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub providers: Vec<Provider>,
    pub rules: Vec<Rule>,
    pub uses: BTreeSet<Feature>,
    pub bypasses_preflight: bool,
    pub strips_failures: bool,
    /// Whether bearer-gate is told to be as lenient as jwt_authn where only its defaults differ.
    pub is_lenient: bool,
}

/// Where the keys of remote providers are, in Envoy's words.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub uri: String,
    pub cluster: &'static str,
}

/// What a configuration is drawn with.
pub(crate) struct Draw<'d> {
    pub dice: &'d mut Dice,
    pub remote: &'d Remote,
    pub uses: BTreeSet<Feature>,
}

impl Draw<'_> {
    /// Whether to use a feature this time.
    pub(crate) fn uses(&mut self, feature: Feature, percent: u32) -> bool {
        let does = self.dice.chance(percent);
        if does {
            self.uses.insert(feature);
        }
        does
    }
}

impl Configuration {
    pub(crate) fn draw(dice: &mut Dice, remote: &Remote) -> Self {
        let mut draw = Draw {
            dice,
            remote,
            uses: BTreeSet::new(),
        };
        let count = draw.dice.between(1, MOST_PROVIDERS);
        let mut providers: Vec<Provider> = (0..count).map(|at| provider(&mut draw, at)).collect();
        let mut rules: Vec<Rule> = (0..draw.dice.between(1, 4))
            .map(|at| rule(&mut draw, &providers, at))
            .collect();
        if draw.dice.chance(60) {
            let around = Around::path("/", &["/", "/x", "/api", "/any/thing.json"], &[]);
            rules.push(Rule {
                matcher: json!({"prefix": "/"}),
                around,
                requires: requires(&mut draw, &providers, 0),
                named: None,
            });
        }
        if rules.len() < MOST_RULES && draw.uses(Feature::ConnectMatcher, 15) {
            // No request that is drawn is a CONNECT: it must not match, wherever it stands.
            let connect = Rule {
                matcher: json!({"connect_matcher": {}}),
                around: Around::path("/", &["/", "/api"], &[]),
                requires: requires(&mut draw, &providers, 0),
                named: None,
            };
            let at = draw.dice.between(0, rules.len());
            rules.insert(at, connect);
        }
        if draw.uses.contains(&Feature::RequiresAll) {
            for (at, provider) in providers.iter_mut().enumerate() {
                provider.sets_headers_of_its_own(at);
            }
        }
        for (at, rule) in rules.iter_mut().enumerate() {
            if rule.requires.is_some() && draw.uses(Feature::RequirementMap, 20) {
                rule.named = Some(format!("requirement-{at}"));
            }
        }
        Self {
            bypasses_preflight: draw.uses(Feature::BypassCorsPreflight, 30),
            strips_failures: draw.uses(Feature::StripFailureResponse, 15),
            is_lenient: draw.dice.chance(85),
            providers,
            rules,
            uses: draw.uses,
        }
    }

    /// As Envoy's own filter takes it.
    pub(crate) fn jwt_authn(&self) -> Value {
        let providers: Map<String, Value> = self
            .providers
            .iter()
            .map(|provider| (provider.name.clone(), provider.json.clone()))
            .collect();
        let mut named = Map::new();
        let mut rules = Vec::new();
        for rule in &self.rules {
            let mut json = json!({"match": rule.matcher});
            match (&rule.requires, &rule.named) {
                (Some(requires), Some(name)) => {
                    named.insert(name.clone(), requires.json(&self.providers));
                    json["requirement_name"] = json!(name);
                }
                (Some(requires), None) => json["requires"] = requires.json(&self.providers),
                (None, _) => {}
            }
            rules.push(json);
        }
        let mut json = json!({"providers": providers, "rules": rules});
        if !named.is_empty() {
            json["requirement_map"] = Value::Object(named);
        }
        if self.bypasses_preflight {
            json["bypass_cors_preflight"] = json!(true);
        }
        if self.strips_failures {
            json["strip_failure_response"] = json!(true);
        }
        json
    }

    /// The names under which failures are told.
    pub(crate) fn failed_names(&self) -> impl Iterator<Item = String> {
        let names = self.providers.iter();
        names.filter_map(|provider| {
            Some(
                provider.json["failed_status_in_metadata"]
                    .as_str()?
                    .to_owned(),
            )
        })
    }

    /// Every place of every provider by itself, also with the audiences that rules give in place
    /// of the provider's.
    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        let own = (0..self.providers.len()).map(|provider| (provider, None));
        let rules = self.rules.iter().filter_map(|rule| rule.requires.as_ref());
        let of_rules = rules.flat_map(Requirement::named);
        let mut leaves = Vec::new();
        for (provider, audiences) in own.chain(of_rules) {
            for place in self.providers[provider].read_places() {
                let leaf = Leaf {
                    provider,
                    audiences: audiences.map(<[String]>::to_vec),
                    place: place.clone(),
                };
                if !leaves.contains(&leaf) {
                    leaves.push(leaf);
                }
            }
        }
        leaves
    }

    /// For jwt_authn: with a part's number in [`PART`] that leaf is required, and otherwise the
    /// rule that matches tells its number in `x-rule`.
    pub(crate) fn parts(&self) -> Value {
        let mut json = self.jwt_authn();
        if let Some(members) = json.as_object_mut() {
            members.remove("strip_failure_response");
            members.remove("requirement_map");
        }
        let mut rules = Vec::new();
        for (at, leaf) in self.leaves().into_iter().enumerate() {
            let is_asked = json!([{"name": PART, "string_match": {"exact": at.to_string()}}]);
            let name = format!("part-{at}");
            json["providers"][&name] = self.providers[leaf.provider].only_at(&leaf.place);
            let requires = match leaf.audiences {
                None => json!({"provider_name": name}),
                Some(audiences) => json!({
                    "provider_and_audiences": {"provider_name": name, "audiences": audiences},
                }),
            };
            let is_asked = json!({"prefix": "/", "headers": is_asked});
            rules.push(json!({"match": is_asked, "requires": requires}));
        }
        let key = POOL.iter().find(|key| key.kid == "ec-a");
        let keys = json!({"keys": [&key.expect("a key of the pool").jwk]}).to_string();
        for (at, rule) in self.rules.iter().enumerate() {
            let name = format!("rule-{at}");
            json["providers"][&name] = json!({
                "issuer": name,
                "local_jwks": {"inline_string": keys},
                "from_headers": [{"name": format!("x-rule-{at}")}],
                "claim_to_headers": [{"header_name": "x-rule", "claim_name": "iss"}],
            });
            rules.push(json!({"match": rule.matcher, "requires": {"provider_name": name}}));
        }
        json["rules"] = Value::Array(rules);
        json
    }

    /// The same for bearer-gate.
    pub(crate) fn bearer_gate(&self) -> Value {
        let mut json = self.jwt_authn();
        for provider in &self.providers {
            let json = &mut json["providers"][&provider.name];
            // Without these two it refuses the configuration.
            if provider.issuer.is_none() {
                json["any_issuer"] = json!(true);
            }
            if provider.audiences.is_empty() {
                json["any_audience"] = json!(true);
            }
            if self.is_lenient && json.get("require_expiration").is_none() {
                json["require_expiration"] = json!(false);
            }
        }
        if self.is_lenient {
            json["unmatched"] = json!("allow");
        }
        json
    }
}

const SUBJECTS: &[(&str, &str, &str, &str)] = &[
    ("exact", "alice", "alice", "alicia"),
    (
        "prefix",
        "spiffe://example/",
        "spiffe://example/web",
        "spiffe://other/web",
    ),
    (
        "suffix",
        "@example.com",
        "bob@example.com",
        "bob@example.org",
    ),
    ("contains", "|5f", "auth0|5f00", "auth0|6f00"),
    ("safe_regex", "svc-[0-9]+", "svc-12", "svc-12x"),
];

fn provider(draw: &mut Draw, at: usize) -> Provider {
    let name = format!("provider-{at}");
    let mut json = json!({});
    let issuer = match draw.dice.between(0, 9) {
        0 => None,
        // Two providers of one issuer differ in their audiences or keys.
        1 => Some("https://provider-0.example/".to_owned()),
        _ => Some(format!("https://{name}.example/")),
    };
    if let Some(issuer) = &issuer {
        json["issuer"] = json!(issuer);
    }
    let known = [
        "https://api.example.com",
        "https://other.example.com/",
        "mobile",
        "web",
    ];
    let count = draw.dice.weighted(&[(2, 0), (5, 1), (3, 2)]);
    let audiences: Vec<String> = draw
        .dice
        .some(&known, count)
        .iter()
        .map(|a| (*a).to_owned())
        .collect();
    if !audiences.is_empty() {
        json["audiences"] = json!(audiences);
    }
    let mut subjects = None;
    if draw.uses(Feature::Subjects, 35) {
        let (kind, text, good, bad) = *draw.dice.pick(SUBJECTS);
        subjects = Some(Subjects { good, bad });
        json["subjects"] = match kind {
            "safe_regex" => json!({"safe_regex": {"regex": text}}),
            _ => json!({ kind: text }),
        };
        if kind != "safe_regex" && draw.dice.chance(30) {
            json["subjects"][kind] = json!(text.to_uppercase());
            json["subjects"]["ignore_case"] = json!(true);
        }
    }
    let max_lifetime = draw.uses(Feature::MaxLifetime, 20).then_some(3600);
    if let Some(seconds) = max_lifetime {
        json["max_lifetime"] = json!(format!("{seconds}s"));
    }
    if draw.dice.chance(25) {
        json["require_expiration"] = json!(draw.dice.chance(70));
    }
    let clock_skew = draw.dice.weighted(&[(6, 60), (1, 30), (1, 120)]);
    if clock_skew != 60 || draw.dice.chance(10) {
        json["clock_skew_seconds"] = json!(clock_skew);
    }
    let keys = key_source(draw, &mut json);
    let places = places(draw, at, &mut json);
    let default_places = places.is_empty();
    let places = if default_places {
        default_of_jwt_authn()
    } else {
        places
    };
    if draw.dice.chance(50) {
        json["forward"] = json!(draw.dice.chance(70));
    }
    let sets = outputs(draw, at, &mut json);
    if draw.uses(Feature::JwtCacheConfig, 25) {
        json["jwt_cache_config"] = json!({"jwt_cache_size": draw.dice.between(1, 50)});
        if draw.dice.chance(50) {
            json["jwt_cache_config"]["jwt_max_token_size"] = json!(draw.dice.between(100, 4096));
        }
    }
    metadata(draw, at, &mut json);
    Provider {
        name,
        issuer,
        audiences,
        subjects,
        max_lifetime,
        clock_skew,
        forward: json["forward"].as_bool().unwrap_or(false),
        named_keys: keys
            .iter()
            .filter(|key| !key.is_nameless)
            .map(|key| POOL[key.at].kid)
            .collect(),
        nameless_keys: keys
            .iter()
            .filter(|key| key.is_nameless)
            .map(|key| POOL[key.at].algorithm)
            .collect(),
        keys: keys.iter().map(|key| key.at).collect(),
        places,
        default_places,
        sets,
        json,
    }
}

fn default_of_jwt_authn() -> Vec<Place> {
    let header = Place::Header {
        name: "authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
    };
    vec![header, Place::Param("access_token".to_owned())]
}

/// A key of the pool, as a provider publishes it.
struct Published {
    at: usize,
    is_nameless: bool,
}

fn key_source(draw: &mut Draw, json: &mut Value) -> Vec<Published> {
    let all: Vec<usize> = (0..POOL.len()).collect();
    if draw.uses(Feature::RemoteJwks, 20) {
        let mut remote = json!({
            "http_uri": {"uri": draw.remote.uri, "cluster": draw.remote.cluster, "timeout": "5s"},
            // Without it a requires_any of jwt_authn goes on to its next member while it fetches.
            "async_fetch": {},
        });
        if draw.dice.chance(50) {
            remote["cache_duration"] = json!("300s");
        }
        json["remote_jwks"] = remote;
        let published = |at| Published {
            at,
            is_nameless: false,
        };
        return all.into_iter().map(published).collect();
    }
    let count = draw.dice.between(1, 3);
    let mut published = Vec::new();
    let keys = draw.dice.some(&all, count);
    let jwks: Vec<Value> = keys
        .iter()
        .map(|at| {
            let mut jwk = POOL[*at].jwk.clone();
            let object = jwk.as_object_mut().expect("a JWK");
            // A key for PSS must say so: RFC 8017 forbids one key for both paddings.
            if POOL[*at].algorithm != "PS256" && draw.dice.chance(20) {
                object.remove("alg");
            }
            let is_nameless = draw.dice.chance(12);
            if is_nameless {
                object.remove("kid");
            }
            if draw.dice.chance(30) {
                object.remove("use");
            }
            published.push(Published {
                at: *at,
                is_nameless,
            });
            jwk
        })
        .collect();
    let text = json!({"keys": jwks}).to_string();
    json["local_jwks"] = if draw.dice.chance(15) {
        use base64::Engine as _;
        json!({"inline_bytes": base64::prelude::BASE64_STANDARD.encode(text)})
    } else {
        json!({"inline_string": text})
    };
    published
}

fn places(draw: &mut Draw, at: usize, json: &mut Value) -> Vec<Place> {
    let mut places = Vec::new();
    if draw.uses(Feature::FromHeaders, 40) {
        let own = format!("x-token-{at}");
        let known = [
            ("Authorization", "Bearer "),
            ("x-token", ""),
            ("x-token", "JWT "),
            (own.as_str(), ""),
            ("x-goog-iap", "Bearer "),
        ];
        let count = draw.dice.between(1, 2);
        let mut list = Vec::new();
        for (name, prefix) in draw.dice.some(&known, count) {
            let mut place = json!({"name": name});
            if !prefix.is_empty() {
                place["value_prefix"] = json!(prefix);
            }
            list.push(place);
            places.push(Place::Header {
                name: name.to_ascii_lowercase(),
                prefix: prefix.to_owned(),
            });
        }
        json["from_headers"] = json!(list);
    }
    if draw.uses(Feature::FromParams, 25) {
        let count = draw.dice.between(1, 2);
        let names = draw.dice.some(&["token", "jwt"], count);
        json["from_params"] = json!(names);
        places.extend(names.iter().map(|name| Place::Param((*name).to_owned())));
    }
    if draw.uses(Feature::FromCookies, 25) {
        let count = draw.dice.between(1, 2);
        let names = draw.dice.some(&["session", "id"], count);
        json["from_cookies"] = json!(names);
        places.extend(names.iter().map(|name| Place::Cookie((*name).to_owned())));
    }
    places
}

fn outputs(draw: &mut Draw, at: usize, json: &mut Value) -> Vec<String> {
    let mut sets = Vec::new();
    if draw.dice.chance(60) {
        let count = draw.dice.between(1, 3);
        let claims = [
            "sub",
            "level",
            "member",
            "org.name",
            "org.unit.id",
            "iss",
            "nothing",
        ];
        let mut list = Vec::new();
        for claim in draw.dice.some(&claims, count) {
            let header = match draw.dice.between(0, 3) {
                // The same header for several providers, or of one alone.
                0 => format!("x-claim-{}", claim.replace('.', "-")),
                _ => format!("x-{at}-{}", claim.replace('.', "-")),
            };
            list.push(json!({"header_name": header, "claim_name": claim}));
            sets.push(header);
        }
        json["claim_to_headers"] = json!(list);
    }
    if draw.dice.chance(35) {
        let header = format!("x-payload-{at}");
        json["forward_payload_header"] = json!(header);
        sets.push(header);
        if draw.uses(Feature::PadPayloadHeader, 40) {
            json["pad_forward_payload_header"] = json!(true);
        }
    }
    sets
}

/// What is told of a token, by the field that asks for it.
pub(crate) const IN_METADATA: [(&str, &str); 3] = [
    ("payload_in_metadata", "payload"),
    ("header_in_metadata", "header"),
    ("failed_status_in_metadata", FAILED),
];

pub(crate) const FAILED: &str = "failed";

/// The name under which a provider tells something.
pub(crate) fn told(what: &str, provider: usize) -> String {
    format!("told-{what}-{provider}")
}

/// What only later filters and the log see.
fn metadata(draw: &mut Draw, at: usize, json: &mut Value) {
    if !draw.uses(Feature::Metadata, 25) {
        return;
    }
    for (field, what) in IN_METADATA {
        if draw.dice.chance(60) {
            json[field] = json!(told(what, at));
        }
    }
    if draw.dice.chance(30) {
        json["normalize_payload_in_metadata"] = json!({"space_delimited_claims": ["scope", "sub"]});
    }
    if draw.dice.chance(30) {
        json["clear_route_cache"] = json!(true);
    }
}

fn rule(draw: &mut Draw, providers: &[Provider], at: usize) -> Rule {
    let (matcher, around) = matcher::draw(draw, at);
    let requires = if draw.dice.chance(80) {
        requires(draw, providers, 0)
    } else {
        None
    };
    Rule {
        matcher,
        around,
        requires,
        named: None,
    }
}

fn requires(draw: &mut Draw, providers: &[Provider], depth: usize) -> Option<Requirement> {
    let at = draw.dice.between(0, providers.len() - 1);
    let members = |draw: &mut Draw| -> Vec<Requirement> {
        let count = draw.dice.between(2, 3);
        (0..count)
            .filter_map(|_| requires(draw, providers, depth + 1))
            .collect()
    };
    if depth < 2 && draw.uses(Feature::RequiresAny, 25) {
        return Some(Requirement::Any(members(draw)));
    }
    if depth < 2 && draw.uses(Feature::RequiresAll, 12) {
        return Some(Requirement::All(members(draw)));
    }
    if draw.uses(Feature::AllowMissing, 12) {
        return Some(Requirement::AllowMissing);
    }
    if draw.uses(Feature::AllowMissingOrFailed, 8) {
        return Some(Requirement::AllowMissingOrFailed);
    }
    if draw.uses(Feature::ProviderAndAudiences, 20) {
        let known = ["https://api.example.com", "mobile", "admin"];
        let count = draw.dice.between(1, 2);
        let audiences = draw.dice.some(&known, count);
        let audiences = audiences.iter().map(|a| (*a).to_owned()).collect();
        return Some(Requirement::ProviderAndAudiences(at, audiences));
    }
    Some(Requirement::Provider(at))
}
