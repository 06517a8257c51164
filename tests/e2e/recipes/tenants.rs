//! Entra with several tenants: one document of metadata and one set of keys for all of them.

use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::Customs;
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::token;
use serde_json::{Value, json};

use super::kitchen::Kitchen;
use super::people::{Recipe, customs, idp};
use crate::stage::merge;

const OURS: &str = "11111111-1111-1111-1111-111111111111";
const PARTNER: &str = "55555555-5555-5555-5555-555555555555";
/// Whose people have personal accounts.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const TEMPLATE: &str = "/{tenantid}/v2.0";

const METADATA: &str = "/organizations/v2.0";
const KEYS: &str = "/common/discovery/v2.0/keys";

/// A key as Entra publishes it, for the tokens of this issuer.
fn jwk(key: &SigningKey, issuer: &str) -> Value {
    let mut jwk = key.jwk(KeyForm::ModulusAndCertificate);
    jwk.as_object_mut().unwrap().remove("alg");
    jwk["x5t"] = jwk["kid"].clone();
    jwk["issuer"] = json!(issuer);
    jwk
}

fn issuer(idp: &Idp, tenant: &str) -> String {
    idp.url() + &TEMPLATE.replace("{tenantid}", tenant)
}

#[tokio::test]
async fn a35_entra_with_several_tenants() {
    let personal = SigningKey::generate();
    let builder = idp(METADATA, KEYS, Customs::default()).tenant(TEMPLATE, OURS);
    let kitchen = Kitchen::open("entra-tenants", builder, |idp| {
        let key = idp.key();
        idp.set_extra_jwks(vec![
            jwk(&personal, &issuer(idp, PERSONAL)),
            jwk(&key, &issuer(idp, "{tenantid}")),
        ]);
    });
    kitchen.check_without_token().await;
    let of = |tenant: &str| json!({"iss": issuer(&kitchen.idp, tenant), "tid": tenant});
    let mut user = json!({
        "aud": "22222222-2222-2222-2222-222222222222",
        "nbf": token::now() - 5,
        "azp": "33333333-3333-3333-3333-333333333333",
        "oid": "44444444-4444-4444-4444-444444444444",
        "scp": "access_as_user Messages.Read",
        "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        "ver": "2.0",
    });
    merge(&mut user, of(OURS));
    let ours = issuer(&kitchen.idp, OURS);
    let upper = "ABCDEF01-1111-1111-1111-111111111111";
    kitchen
        .check(
            &user,
            &[
                ("a tenant", json!({}), [200, 200, 403, 403]),
                ("the other one", of(PARTNER), [200, 200, 403, 403]),
                ("one that is not listed", of(PERSONAL), [401; 4]),
                ("tid of the other one", json!({"tid": PARTNER}), [401; 4]),
                ("tid of a stranger", json!({"tid": PERSONAL}), [401; 4]),
                ("tid of null", json!({"tid": null}), [401; 4]),
                ("tid in a list", json!({"tid": [OURS]}), [401; 4]),
                ("the template", of("{tenantid}"), [401; 4]),
                ("upper case", of(upper), [401; 4]),
                ("an alias", of("common"), [401; 4]),
                ("a slash", of(&format!("{OURS}/..")), [401; 4]),
                (
                    "a longer issuer",
                    json!({"iss": format!("{ours}/{OURS}/v2.0")}),
                    [401; 4],
                ),
                (
                    "version 1.0",
                    json!({"iss": format!("https://sts.windows.net/{OURS}/")}),
                    [401; 4],
                ),
            ],
        )
        .await;
    for tenant in [OURS, PARTNER] {
        let mut claims = user.clone();
        merge(&mut claims, of(tenant));
        kitchen
            .check_headers(
                &claims,
                &[
                    ("x-tenant", tenant),
                    ("x-user", "44444444-4444-4444-4444-444444444444"),
                    ("x-client", "33333333-3333-3333-3333-333333333333"),
                ],
            )
            .await;
    }
    let mut without = user.clone();
    without.as_object_mut().unwrap().remove("tid");
    let token = kitchen.token(&without);
    assert_eq!(kitchen.statuses(Some(&token)).await, [401; 4]);
    // A key for personal accounts is in the same set, and signs for nobody else.
    let header = json!({"alg": "RS256", "kid": personal.kid()});
    let forged = token::sign(&personal, &header, &kitchen.claims(&user));
    assert_eq!(kitchen.statuses(Some(&forged)).await, [401; 4]);
}

#[tokio::test]
async fn people_of_several_tenants_of_entra() {
    let paths = [
        "/organizations/oauth2/v2.0/authorize",
        "/organizations/oauth2/v2.0/token",
        "/organizations/oauth2/v2.0/logout",
    ];
    let own = json!({
        "at_hash": null, "auth_time": null, "azp": null, "groups": null,
        "oid": "44444444-4444-4444-4444-444444444444", "roles": ["Editor"],
        "tid": PARTNER, "ver": "2.0",
    });
    let recipe = Recipe {
        name: "entra-tenants",
        client_id: "33333333-3333-3333-3333-333333333333",
        idp: idp(METADATA, KEYS, customs(paths, own)).tenant(TEMPLATE, PARTNER),
        says_iss: false,
        secret_in_body: true,
        asked: &[],
        user: "44444444-4444-4444-4444-444444444444",
        statuses: [200, 401, 200, 403],
        forwards: true,
        gets: None,
        ends_session: true,
        refreshes: (true, true),
        is_told: None,
    };
    recipe.serve().await;
}
