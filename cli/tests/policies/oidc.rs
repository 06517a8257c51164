//! Policies of Envoy Gateway that sign people in, drawn, and what its documentation and Envoy's say
//! that they decide.
//!
//! A person who has signed in has a session of the old filter before, and one of the new filter now,
//! made of the same ID token.

use bearer_gate::config::Config;
use bearer_gate::jose::base64url;
use bearer_gate::session::life::Session;
use bearer_gate::session::seal::{self, Keyring};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::envoy_gateway::{passes_rule, rule};
use crate::gate::{self, JWKS, NOW, SECRET};
use crate::request::{ISSUERS, Request, Token};
use crate::{Drawn, Kind, compare, seed};

const HOST: &str = "a.example";
const CLIENT: &str = "web";
/// The cookie of an ID token.
const COOKIE: &str = "I";
/// The header of a program.
const HEADER: &str = "x-token";

#[derive(Clone, Debug)]
struct Visit {
    /// Without its token.
    request: Request,
    person: Option<Person>,
    /// What is sent as it is, by the place.
    bearer: Option<Token>,
    header: Option<Token>,
    cookie: Option<Token>,
}

/// The tokens of somebody who has signed in.
#[derive(Clone, Debug)]
struct Person {
    id_token: Token,
    access_token: Token,
}

impl Person {
    fn draw(dice: &mut Dice) -> Self {
        let [mut id_token, mut access_token] = [(); 2].map(|()| Token::draw(dice));
        for (token, audience) in [(&mut id_token, CLIENT), (&mut access_token, "api")] {
            token.is_good = true;
            token.claims["iss"] = json!(ISSUERS[0]);
            token.claims["aud"] = json!(audience);
        }
        id_token.claims["sub"] = json!("s1");
        Self {
            id_token,
            access_token,
        }
    }

    /// The cookie of the session.
    fn cookie(&self) -> String {
        let now = NOW as u64;
        let session = Session {
            issuer: None,
            id: [1; 16],
            scope: seal::scope("web", ISSUERS[0], CLIENT),
            subject: "s1".to_owned(),
            sid: None,
            auth_time: Some(now - 60),
            acr: None,
            started: now - 60,
            issued: now - 60,
            seen: now - 30,
            idle: None,
            expires: now + 600,
            claims: self.id_token.claims.to_string(),
            tokens: None,
            refreshing: None,
            first_sid: None,
        };
        let keyring = Keyring::new(&[SECRET]).unwrap();
        let sealed = session.seal(&keyring, HOST, [7; 24]);
        format!("__Host-Http-bg_session_web={}", base64url::encode(&sealed))
    }
}

fn visit(dice: &mut Dice) -> Visit {
    let mut request = Request::draw(dice);
    request.host = HOST.to_owned();
    request.token = None;
    let person = dice.chance(60).then(|| Person::draw(dice));
    let token = |dice: &mut Dice, percent| {
        dice.chance(percent).then(|| {
            let mut token = Token::draw(dice);
            token.claims["aud"] = json!(dice.pick(&["api", CLIENT]));
            token
        })
    };
    let (bearer, header) = (token(dice, 40), token(dice, 25));
    // Whoever changes a cookie of the old filter has no session; and beside another token nobody
    // looks at it now, as is said of every policy.
    let is_alone = person.is_none() && bearer.is_none() && header.is_none();
    let cookie = is_alone.then(|| token(dice, 50)).flatten();
    Visit {
        request,
        person,
        bearer,
        header,
        cookie,
    }
}

fn decide(config: &Config, visit: &Visit) -> String {
    let mut headers = vec![("sec-fetch-site".to_owned(), "same-origin".to_owned())];
    let mut cookies = Vec::new();
    cookies.extend(visit.person.as_ref().map(Person::cookie));
    if let Some(token) = &visit.cookie {
        cookies.push(format!("{COOKIE}={}", gate::signed(token)));
    }
    if !cookies.is_empty() {
        headers.push(("cookie".to_owned(), cookies.join("; ")));
    }
    for (name, prefix, token) in [
        ("authorization", "Bearer", &visit.bearer),
        (HEADER, "T", &visit.header),
    ] {
        if let Some(token) = token {
            headers.push((name.to_owned(), format!("{prefix} {}", gate::signed(token))));
        }
    }
    gate::decide_with(config, &visit.request, headers)
}

/// The providers of `jwt`.
fn providers(spec: &Value) -> &[Value] {
    let providers = spec.pointer("/jwt/providers").and_then(Value::as_array);
    providers.map_or(&[], Vec::as_slice)
}

/// The headers that a provider reads.
fn headers_of(provider: &Value) -> Vec<&str> {
    let Some(places) = provider.get("extractFrom") else {
        return vec!["authorization"];
    };
    let headers = places["headers"].as_array().into_iter().flatten();
    headers
        .map(|header| header["name"].as_str().unwrap())
        .collect()
}

fn admits(policies: &[Value], visit: &Visit) -> bool {
    let spec = &policies[0];
    let oidc = &spec["oidc"];
    let mut sent = visit.clone();
    let is_sent = |name: &&str| match *name {
        HEADER => visit.header.is_some(),
        _ => visit.bearer.is_some(),
    };
    let passes = oidc["passThroughAuthHeader"] == true
        && providers(spec)
            .iter()
            .any(|provider| headers_of(provider).iter().any(is_sent));
    if !passes {
        let Some(person) = &visit.person else {
            return false;
        };
        if oidc["forwardAccessToken"] == true {
            sent.bearer = Some(person.access_token.clone());
        }
        if oidc["cookieNames"]["idToken"] == COOKIE {
            sent.cookie = Some(person.id_token.clone());
        }
    }
    let mut request = visit.request.clone();
    if spec.get("jwt").is_some() {
        let found = |provider: &Value| {
            let cookies = provider.pointer("/extractFrom/cookies").is_some();
            let headers = headers_of(provider);
            let mut found: Vec<Token> = Vec::new();
            for name in headers {
                found.extend(match name {
                    HEADER => sent.header.clone(),
                    _ => sent.bearer.clone(),
                });
            }
            found.extend(sent.cookie.clone().filter(|_| cookies));
            found
        };
        let is_good = |provider: &Value, token: &Token| {
            let audiences = provider.get("audiences").and_then(Value::as_array);
            token.is_good
                && token.claims["iss"] == provider["issuer"]
                && audiences.is_none_or(|audiences| audiences.contains(&token.claims["aud"]))
        };
        let verified = providers(spec).iter().find_map(|provider| {
            let found = found(provider);
            // All of them must be good.
            let all = !found.is_empty() && found.iter().all(|token| is_good(provider, token));
            all.then(|| found[0].clone())
        });
        let is_missing = providers(spec)
            .iter()
            .all(|provider| found(provider).is_empty());
        match verified {
            Some(token) => request.token = Some(token),
            None if is_missing && spec["jwt"]["optional"] == true => {}
            None => return false,
        }
    }
    let Some(authorization) = spec.get("authorization") else {
        return true;
    };
    let rules = authorization["rules"].as_array();
    let rule = rules.and_then(|rules| rules.iter().find(|rule| passes_rule(rule, &request)));
    match rule {
        Some(rule) => rule["action"] == "Allow",
        None => authorization["defaultAction"] == "Allow",
    }
}

fn draw(dice: &mut Dice) -> Drawn {
    let mut oidc = json!({
        "provider": {
            "issuer": ISSUERS[0],
            "authorizationEndpoint": "https://one.example/auth",
            "tokenEndpoint": "https://one.example/token",
        },
        "clientID": CLIENT,
        "clientSecret": {"name": "secret"},
        "redirectURL": format!("https://{HOST}/oauth2/callback"),
    });
    let bearer = json!({"name": "authorization", "valuePrefix": "Bearer "});
    let header = json!({"name": HEADER, "valuePrefix": "T "});
    let mut spec = json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}],
    });
    if dice.chance(60) {
        oidc["cookieNames"] = json!({"idToken": COOKIE});
    }
    if dice.chance(40) {
        oidc["forwardAccessToken"] = json!(true);
    }
    if dice.chance(20) {
        oidc["denyRedirect"] =
            json!({"headers": [{"name": "x-mode", "type": "Prefix", "value": "a"}]});
    }
    if dice.chance(85) {
        let count = dice.between(1, 2);
        let places = [
            Value::Null,
            json!({"cookies": [COOKIE]}),
            json!({"cookies": [COOKIE]}),
            json!({"headers": [header]}),
            json!({"cookies": [COOKIE], "headers": [bearer]}),
        ];
        let providers: Vec<Value> = (0..count)
            .map(|at| {
                let mut provider = json!({
                    "name": format!("p{at}"), "issuer": ISSUERS[at],
                    "localJWKS": {"type": "Inline", "inline": JWKS},
                });
                let places = dice.pick(&places).clone();
                if !places.is_null() {
                    provider["extractFrom"] = places;
                }
                if dice.chance(60) {
                    provider["audiences"] = json!([dice.pick(&["api", CLIENT])]);
                }
                provider
            })
            .collect();
        spec["jwt"] = json!({"providers": providers});
        if dice.chance(25) {
            spec["jwt"]["optional"] = json!(true);
        }
        if dice.chance(40) {
            oidc["passThroughAuthHeader"] = json!(true);
        }
    }
    let count = providers(&spec).len();
    if dice.chance(50) {
        let mut rules: Vec<Value> = (0..dice.between(0, 2)).map(|_| rule(dice)).collect();
        for rule in &mut rules {
            let principal = rule["principal"].as_object_mut().unwrap();
            match principal.get_mut("jwt") {
                Some(jwt) if count > 0 => {
                    jwt["provider"] = json!(format!("p{}", dice.between(0, count - 1)));
                }
                Some(_) => {
                    principal.remove("jwt");
                    let headers = json!([{"name": "x-mode", "values": ["a"]}]);
                    principal.insert("headers".to_owned(), headers);
                }
                None => {}
            }
        }
        spec["authorization"] = json!({"rules": rules});
        if dice.chance(40) {
            spec["authorization"]["defaultAction"] = json!(dice.pick(&["Allow", "Deny"]));
        }
    }
    spec["oidc"] = oidc;
    let resource = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": {"name": "p"}, "spec": spec,
    });
    let mut shown = spec.clone();
    for provider in shown
        .pointer_mut("/jwt/providers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        provider.as_object_mut().unwrap().remove("localJWKS");
    }
    Drawn {
        resources: vec![resource],
        shown: shown.to_string(),
        deciding: vec![spec],
    }
}

const KIND: Kind<Visit> = Kind {
    policies: draw,
    request: visit,
    admits,
    decide,
    // Every token beside another one has to have a part in the rule.
    may_stop: |visit| {
        let tokens = [&visit.bearer, &visit.header, &visit.cookie];
        let tokens = tokens.iter().filter(|token| token.is_some()).count();
        tokens > 1 || tokens == 1 && visit.person.is_some()
    },
    // What an audience was asked for is left to the operator, and printed as if it was not.
    is_strict: false,
};

#[test]
fn people_who_sign_in_by_a_policy_get_as_far_as_before() {
    let tally = compare(seed(), 200, &KIND);
    println!("{tally:?}");
    assert!(tally.closed * 3 >= tally.open, "{tally:?}");
    assert!(tally.admitted * 10 >= tally.rejected, "{tally:?}");
}

#[test]
#[ignore = "long: make soak runs it"]
fn soak_oidc() {
    for seed in 1..=20 {
        println!("{:?}", compare(seed, 500, &KIND));
    }
}
