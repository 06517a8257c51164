//! Policies of Istio.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::gate::{self, JWKS};
use crate::istio_drawn::policies;
use crate::istio_evaluator::admits;
use crate::request::{ISSUERS, Request};
use crate::{Drawn, Kind, compare, seed};

fn authentication() -> Value {
    let rules = ISSUERS.map(|issuer| json!({"issuer": issuer, "audiences": ["api"], "jwks": JWKS}));
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "jwt", "namespace": "n"},
        "spec": {"jwtRules": rules},
    })
}

fn draw(dice: &mut Dice) -> Drawn {
    let deciding = policies(dice);
    let shown: Vec<String> = deciding.iter().map(Value::to_string).collect();
    let mut resources = vec![authentication()];
    resources.extend(deciding.iter().cloned());
    Drawn {
        resources,
        deciding,
        shown: shown.join("\n"),
    }
}

const KIND: Kind<Request> = Kind {
    policies: draw,
    request: Request::draw,
    admits,
    decide: gate::decide,
    // An operator takes no asterisk of a path in older Envoys.
    may_stop: |request| request.path.contains('*'),
    is_strict: true,
};

#[test]
fn what_is_migrated_decides_as_istio_does() {
    compare(seed(), 250, &KIND).check();
}

#[test]
#[ignore = "long: make soak runs it"]
fn soak_istio() {
    for seed in 1..=20 {
        println!("{:?}", compare(seed, 500, &KIND));
    }
}
