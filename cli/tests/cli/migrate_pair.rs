//! `migrate` of `oauth2` with the jwt_authn filter behind it: one configuration that asks for what both
//! asked for.

use bearer_gate::config::{Access, Config, Requirement};

use super::migrate_oauth2::{JWT_AUTHN, OAUTH2, migrate, parse};

/// Texts, and what stands in their place.
type Changes<'c> = &'c [(&'c str, &'c str)];

/// What a rule asks for, in short.
fn asked(access: &Access) -> String {
    fn words(requirement: &Requirement) -> String {
        let all = |members: &[Requirement]| {
            let members: Vec<String> = members.iter().map(words).collect();
            members.join(" ")
        };
        match requirement {
            Requirement::Provider(demand) if demand.session.is_some() => "session".to_owned(),
            Requirement::Provider(_) => "token".to_owned(),
            Requirement::Any { members, .. } => format!("any({})", all(members)),
            Requirement::All(members) => format!("all({})", all(members)),
        }
    }
    match access {
        Access::Public => "public".to_owned(),
        Access::Token(access) => words(&access.demand.requirement),
    }
}

fn rules(config: &Config) -> Vec<String> {
    let rules = config.rules.all().iter();
    rules.map(|rule| asked(&rule.access)).collect()
}

#[test]
fn what_both_filters_ask_for_together() {
    let other = "      other: {issuer: https://o.example, audiences: [a], require_expiration: true, from_headers: [{name: x-o}], remote_jwks: {http_uri: {uri: https://o.example/jwks, cluster: o, timeout: 5s}}}\n    rules:\n";
    let requires = "requires: {provider_name: kc}";
    let pass = "use_refresh_token: false\n      pass_through_matcher: [{name: authorization, string_match: {prefix: 'Bearer '}}]";
    let table: [(Changes<'_>, &[&str]); 10] = [
        (&[], &["session", "session"]),
        (&[(requires, "")], &["session", "session"]),
        (
            &[(requires, "requires: {provider_name: other}")],
            &["all(session token)", "session"],
        ),
        (
            &[(
                requires,
                "requires: {requires_any: {requirements: [{provider_name: other}, {provider_name: kc}]}}",
            )],
            &["session", "session"],
        ),
        (
            &[(
                requires,
                "requires: {requires_all: {requirements: [{provider_name: other}, {provider_name: kc}]}}",
            )],
            &["all(session all(token token))", "session"],
        ),
        (
            &[(requires, "requires: {allow_missing: {}}")],
            &["all(session any(token token))", "session"],
        ),
        (
            &[(requires, "requires: {allow_missing_or_failed: {}}")],
            &["session", "session"],
        ),
        // A bad token in another place was refused, whatever the session.
        (
            &[(
                "from_cookies: [IdToken]",
                "from_cookies: [IdToken]\n        from_headers: [{name: x-kc}]",
            )],
            &["all(session any(token))", "session"],
        ),
        // A token in a cookie is no Bearer token: what passes oauth2 by its header needs one all the same.
        (
            &[("use_refresh_token: false", pass)],
            &["token", "public", "session", "session"],
        ),
        (&[("{prefix: /api}", "{prefix: /}")], &["session"]),
    ];
    for (changes, expected) in table {
        let mut text = format!("{OAUTH2}{JWT_AUTHN}").replace("    rules:\n", other);
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replacen(old, new, 1);
        }
        let ran = migrate(&text, &[]);
        let open = ran.said.iter().any(|said| said.contains(" open "));
        assert!(!open, "{:?}", ran.said);
        let config = parse(&ran.config).unwrap_or_else(|error| panic!("{error}: {:#}", ran.config));
        assert_eq!(rules(&config), expected, "{changes:?}");
    }
    // Everywhere a token or a session: they stand side by side.
    let bearer = format!("{OAUTH2}{JWT_AUTHN}")
        .replacen(
            "use_refresh_token: false",
            &pass.replace(
                "pass_through",
                "forward_bearer_token: true\n      pass_through",
            ),
            1,
        )
        .replace(
            "        from_cookies: [IdToken]\n",
            "        from_headers: [{name: Authorization, value_prefix: 'Bearer '}]\n",
        )
        .replace("        audiences: [web]\n", "")
        .replace("{prefix: /api}", "{prefix: /}");
    let ran = migrate(&bearer, &[]);
    assert_eq!(ran.code, 0, "{:?}", ran.said);
    let config = parse(&ran.config).unwrap();
    assert_eq!(rules(&config), ["any(token session)"]);
    // Also where nobody is redirected.
    let text = bearer.replacen(
        "signout_path:",
        "deny_redirect_matcher: [{name: x-a}]\n      signout_path:",
        1,
    );
    let config = parse(&migrate(&text, &[]).config).unwrap();
    assert_eq!(rules(&config), ["any(token session)"; 2]);
}

#[test]
fn what_the_pair_leaves_open() {
    let pair = format!("{OAUTH2}{JWT_AUTHN}");
    let swapped = format!(
        "http_filters:\n{JWT_AUTHN}{}",
        OAUTH2.trim_start_matches("http_filters:\n")
    );
    let bearer = pair
        .replace("use_refresh_token: false", "forward_bearer_token: true")
        .replace("        from_cookies: [IdToken]\n", "");
    let table = [
        (
            pair.replace("audiences: [web]", "audiences: [api]"),
            "26 open providers.kc.audiences",
        ),
        (
            bearer.replace("audiences: [web]", "audiences: [api]"),
            "25 open providers.kc.audiences",
        ),
        // Nobody knows whether the client is an audience of an access token.
        (bearer, "25 open providers.kc.audiences"),
        (
            pair.replace(
                "{provider_name: kc}",
                "{provider_and_audiences: {provider_name: kc, audiences: [api]}}",
            ),
            "30 open providers.kc.audiences",
        ),
        (swapped, "27 open config.credentials"),
        (
            pair.replace("        issuer: https://kc.example/realms/a\n", ""),
            "6 open sign_in.schemes.web.provider_name",
        ),
        (
            format!(
                "{pair}- name: lua\n  typed_config: {{code: 'headers:get(\"cookie\"):match(\"IdToken=(.*)\")'}}\n"
            ),
            "32 open IdToken",
        ),
        (
            format!(
                "{pair}- typed_per_filter_config:\n    envoy.filters.http.oauth2:\n      \"@type\": type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2\n"
            ),
            "33 open typed_per_filter_config",
        ),
        (
            format!(
                "{pair}- typed_per_filter_config:\n    x:\n      \"@type\": type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2PerRoute\n      config: {{}}\n"
            ),
            "33 open typed_per_filter_config",
        ),
    ];
    for (text, expected) in table {
        let ran = migrate(&text, &[]);
        assert_eq!(ran.code, 1, "{expected}: {:?}", ran.said);
        let mut said = ran.said.iter();
        assert!(
            said.any(|said| said == expected),
            "{expected}: {:?}",
            ran.said
        );
        assert!(parse(&ran.config).is_err(), "{expected}");
        assert_eq!(ran.config["unmatched"], "deny", "{expected}");
    }
    // A preflight passes jwt_authn, and oauth2 sends it to sign in.
    let ran = migrate(&format!("{pair}    bypass_cors_preflight: true\n"), &[]);
    assert_eq!(ran.code, 0);
    assert!(ran.config.get("bypass_cors_preflight").is_none());
}
