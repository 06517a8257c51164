//! Whose tokens a provider takes: issuers, tenants, a trust domain.

use bearer_gate::jose::issuer::{Issuer, Tenants};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::token_type::TokenType;
use serde_json::{Value, json};

use super::{merge, parse, refused, with_discovery, with_provider};

#[test]
fn issuers_and_tenants() {
    const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    let template = "https://login.example/{tenantid}/v2.0";
    let of_tenants = |ids: Option<Vec<String>>| {
        Issuer::OfTenants(Tenants {
            template: template.to_owned(),
            ids,
        })
    };
    for (fields, expected) in [
        (json!({}), Issuer::One("https://i.example/".to_owned())),
        (
            json!({"issuer": null, "issuers": ["https://a/", "b"]}),
            Issuer::Several(vec!["https://a/".to_owned(), "b".to_owned()]),
        ),
        (json!({"issuer": null, "any_issuer": true}), Issuer::Any),
        (
            json!({"issuer": template, "tenants": [TENANT]}),
            of_tenants(Some(vec![TENANT.to_owned()])),
        ),
        (
            json!({"issuer": template, "any_tenant": true}),
            of_tenants(None),
        ),
        // Other braces are part of a name.
        (
            json!({"issuer": "https://i.example/{tenant}"}),
            Issuer::One("https://i.example/{tenant}".to_owned()),
        ),
    ] {
        let config = parse(&with_provider(fields.clone())).unwrap();
        let provider = &config.providers.iter().as_slice()[0];
        assert_eq!(provider.expectations.issuer, expected, "{fields}");
    }
    for (fields, expected) in [
        (json!({"issuers": ["a"]}), "issuers: contradicts issuer"),
        (
            json!({"issuer": null, "issuers": []}),
            "issuers: must not be empty",
        ),
        (
            json!({"issuer": null, "issuers": ["a", ""]}),
            "issuers[1]: must not be empty",
        ),
        (
            json!({"issuer": null, "issuers": ["a", "b", "a"]}),
            "issuers[2]: given twice",
        ),
        (
            json!({"issuer": null, "issuers": ["a"], "any_issuer": true}),
            "any_issuer: contradicts issuers",
        ),
        (
            json!({"issuer": null, "issuers": [template], "tenants": [TENANT]}),
            "issuers[0]: has {tenantid}: that is for issuer alone",
        ),
        (
            json!({"issuer": template}),
            "tenants: required by {tenantid} in issuer (or any_tenant: true)",
        ),
        (
            json!({"issuer": template, "any_tenant": false}),
            "tenants: required by {tenantid} in issuer (or any_tenant: true)",
        ),
        (
            json!({"issuer": template, "tenants": []}),
            "tenants: must not be empty",
        ),
        (
            json!({"issuer": template, "tenants": [TENANT], "any_tenant": true}),
            "any_tenant: contradicts tenants",
        ),
        (
            json!({"issuer": template, "tenants": [TENANT, TENANT]}),
            "tenants[1]: given twice",
        ),
        (
            json!({"issuer": template, "tenants": ["contoso.onmicrosoft.com"]}),
            "tenants[0]: must be a tenant's id: a UUID in lower case",
        ),
        (
            json!({"issuer": template, "tenants": [TENANT.to_uppercase()]}),
            "tenants[0]: must be a tenant's id: a UUID in lower case",
        ),
        (
            json!({"issuer": format!("{template}/{{tenantid}}"), "tenants": [TENANT]}),
            "issuer: has {tenantid} more than once",
        ),
        (
            json!({"tenants": [TENANT]}),
            "tenants: needs {tenantid} in issuer",
        ),
        (
            json!({"any_tenant": true}),
            "any_tenant: needs {tenantid} in issuer",
        ),
        (
            json!({"issuer": null, "any_issuer": true, "tenants": [TENANT]}),
            "tenants: needs {tenantid} in issuer",
        ),
    ] {
        assert_eq!(
            refused(&with_provider(fields.clone())),
            format!("providers.p.{expected}"),
            "{fields}"
        );
    }
}

#[test]
fn a_trust_domain_of_spiffe() {
    let with = |fields: Value| {
        let mut config = with_provider(json!({"issuer": null, "trust_domain": "example.org"}));
        merge(&mut config["providers"]["p"], fields);
        config
    };
    let config = parse(&with(json!({}))).unwrap();
    let expectations = &config.providers.iter().as_slice()[0].expectations;
    assert_eq!(
        expectations.issuer,
        Issuer::TrustDomain("example.org".to_owned())
    );
    assert_eq!(expectations.token_type, Some(TokenType::Svid));
    assert!(expectations.require_expiration);
    assert!(!expectations.algorithms.is_empty());
    let is_of_svids = |algorithm: &Algorithm| !matches!(algorithm.name(), "EdDSA" | "HS256");
    assert!(expectations.algorithms.iter().all(is_of_svids));
    for (fields, expected) in [
        (
            json!({"trust_domain": ""}),
            "trust_domain: must be the name of a trust domain alone, such as example.org: 1 to 255 of a-z, 0-9, ., - and _",
        ),
        (
            json!({"trust_domain": "spiffe://example.org"}),
            "trust_domain: must be the name of a trust domain alone, such as example.org: 1 to 255 of a-z, 0-9, ., - and _",
        ),
        (
            json!({"issuers": ["a"]}),
            "issuers: contradicts trust_domain",
        ),
        (
            json!({"any_issuer": true}),
            "any_issuer: contradicts trust_domain",
        ),
        (
            json!({"audiences": null, "any_audience": true}),
            "any_audience: contradicts trust_domain",
        ),
        (
            json!({"audiences": null}),
            "audiences: required (or any_audience: true)",
        ),
        (
            json!({"token_type": "jwt"}),
            "token_type: contradicts trust_domain",
        ),
        (
            json!({"require_expiration": false}),
            "require_expiration: contradicts trust_domain",
        ),
        (
            json!({"algorithms": ["ES256", "EdDSA"]}),
            "algorithms: must be of RS*, ES* and PS* alone: a JWT-SVID has no other",
        ),
        (
            json!({"algorithms": ["HS256"]}),
            "algorithms: must be of RS*, ES* and PS* alone: a JWT-SVID has no other",
        ),
        (
            json!({"any_tenant": true}),
            "any_tenant: contradicts trust_domain",
        ),
    ] {
        assert_eq!(
            refused(&with(fields.clone())),
            format!("providers.p.{expected}"),
            "{fields}"
        );
    }
    let mut both = with_provider(json!({"trust_domain": "example.org"}));
    assert_eq!(
        refused(&both),
        "providers.p.issuer: contradicts trust_domain"
    );
    both = with_discovery(json!({}));
    merge(
        &mut both["providers"]["p"],
        json!({"issuer": null, "trust_domain": "example.org"}),
    );
    assert_eq!(
        refused(&both),
        "providers.p.openid_discovery: needs issuer: the metadata are found by it, and must name it"
    );
}
