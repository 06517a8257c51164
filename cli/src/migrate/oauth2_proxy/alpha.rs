//! oauth2-proxy's alpha configuration, by the options of its other file.
//!
//! Invariant: a field that is not in the lists keeps its own name, which no option has, so it is open.

use super::super::tree;
use crate::document::{Entry, Node, Yaml};

/// Fields of the whole.
const TOP: [(&str, &str); 5] = [
    ("upstreams", "upstreams"),
    ("upstreamConfig", "upstreams"),
    ("injectResponseHeaders", "set_xauthrequest"),
    ("server", "http_address"),
    ("metricsServer", "metrics_address"),
];
/// Fields of the provider.
const PROVIDER: [(&str, &str); 14] = [
    ("provider", "provider"),
    ("clientID", "client_id"),
    ("clientSecret", "client_secret"),
    ("clientSecretFile", "client_secret_file"),
    ("scope", "scope"),
    ("allowedGroups", "allowed_groups"),
    ("loginURL", "login_url"),
    ("redeemURL", "redeem_url"),
    ("profileURL", "profile_url"),
    ("validateURL", "validate_url"),
    ("skipClaimsFromProfileURL", "skip_claims_from_profile_url"),
    ("code_challenge_method", "code_challenge_method"),
    ("caFiles", "provider_ca_files"),
    ("useSystemTrustStore", "use_system_trust_store"),
];
/// Fields of `oidcConfig`.
const OIDC: [(&str, &str); 9] = [
    ("issuerURL", "oidc_issuer_url"),
    ("jwksURL", "oidc_jwks_url"),
    ("skipDiscovery", "skip_oidc_discovery"),
    ("emailClaim", "oidc_email_claim"),
    ("groupsClaim", "oidc_groups_claim"),
    ("extraAudiences", "oidc_extra_audiences"),
    (
        "insecureAllowUnverifiedEmail",
        "insecure_oidc_allow_unverified_email",
    ),
    (
        "insecureSkipIssuerVerification",
        "insecure_oidc_skip_issuer_verification",
    ),
    ("insecureSkipNonce", "insecure_oidc_skip_nonce"),
];
/// Names that say nothing of who gets in.
const NAMES: [&str; 2] = ["id", "name"];

/// Adds the options that an alpha configuration has. Which they are.
pub(super) fn add(alpha: &Node, options: &mut Node) -> Vec<String> {
    let mut found = Vec::new();
    for entry in alpha.entries() {
        match entry.name.as_str() {
            "providers" => provider(entry, &mut found),
            _ => found.push(option(entry, &TOP)),
        }
    }
    let names = found.iter().map(|(name, _)| name.clone()).collect();
    for (name, node) in found {
        tree::set(options, &name, node);
    }
    names
}

fn option(entry: &Entry, known: &[(&str, &str)]) -> (String, Node) {
    let known = known.iter().find(|(field, _)| *field == entry.name);
    let name = known.map_or(entry.name.as_str(), |(_, option)| option);
    (name.to_owned(), entry.node.clone())
}

/// The one provider. Several are open, by a name that no option has.
fn provider(providers: &Entry, found: &mut Vec<(String, Node)>) {
    let [provider] = providers.node.items() else {
        found.push(("providers".to_owned(), providers.node.clone()));
        return;
    };
    for entry in provider.entries() {
        match entry.name.as_str() {
            "oidcConfig" => {
                for entry in entry.node.entries() {
                    let is_usual =
                        |items: &[Node]| matches!(items, [one] if one.text() == Some("aud"));
                    if entry.name == "audienceClaims" && is_usual(entry.node.items()) {
                        continue;
                    }
                    found.push(option(entry, &OIDC));
                }
            }
            name if NAMES.contains(&name) => {}
            _ if matches!(entry.node.yaml, Yaml::Null) => {}
            _ => found.push(option(entry, &PROVIDER)),
        }
    }
}
