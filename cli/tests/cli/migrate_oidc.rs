//! `migrate` of the `oidc` in Envoy Gateway's SecurityPolicy, by itself and with `jwt` and
//! `authorization`: what comes out is a good configuration, and each change is said with its line.

use serde_json::{Value, json};

use super::migrate_oauth2::parse;
use super::{Files, run};

const KEYS: &str = concat!(
    "{\"keys\":[",
    include_str!("../../../tests/fixtures/set-a.jwk.json"),
    "]}"
);

/// A policy: `oidc` is more of that, on line 11; `spec` is more of all, on line 12.
fn policy(oidc: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {{name: p, namespace: ns}}\nspec:\n  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}}]\n  oidc:\n    provider: {{issuer: 'https://idp.example/realms/a'}}\n    clientID: web\n    clientSecret: {{name: the-secret}}\n    redirectURL: https://app.example/oauth2/callback\n    {oidc}\n  {spec}\n"
    )
}

/// What is always said: where the provider and the secrets are.
const ALWAYS: [&str; 3] = [
    "7 added spec.oidc.provider.issuer",
    "9 added spec.oidc.clientSecret",
    "7 added spec.oidc",
];

fn migrate(text: &str, more: &[&str]) -> (i32, Vec<String>, Value) {
    let files = Files::in_a_directory();
    let file = files.with("policy.yaml", text);
    let mut arguments = vec!["migrate", "--json", &file];
    arguments.extend(more);
    let report = run(&arguments);
    let code = report.code;
    let report = report.json();
    let changes = report[0]["changes"].as_array().unwrap().iter();
    let said = changes.map(|change| {
        let word = |name: &str| change[name].as_str().unwrap().to_owned();
        format!("{} {} {}", change["line"], word("kind"), word("path"))
    });
    let said = said.filter(|said| !ALWAYS.contains(&said.as_str()));
    (code, said.collect(), report[0]["config"].clone())
}

#[test]
fn a_policy_without_more() {
    let (code, said, config) = migrate(&policy("", ""), &[]);
    assert_eq!((code, said), (0, vec![]), "{config:#}");
    parse(&config).unwrap();
    let expected = json!({
        "providers": {"idp": {
            "issuer": "https://idp.example/realms/a",
            "audiences": ["web"],
            "openid_discovery": {"cluster": "idp.example", "timeout": "10s"},
        }},
        "sign_in": {
            "cookie_keys": [{"environment_variable": "BG_COOKIE_KEY"}],
            "allowed_redirect_domains": ["app.example"],
            "schemes": {"web": {
                "provider_name": "idp",
                "credentials": {"client_id": "web", "token_secret": {"environment_variable": "BG_THE_SECRET"}},
                "auth_type": "BASIC_AUTH",
                "token_endpoint": {"cluster": "idp.example", "timeout": "10s"},
                "redirect_uri": "https://app.example/oauth2/callback",
                "signout_path": "/logout",
                "auth_scopes": ["openid"],
                "use_refresh_token": true,
            }},
        },
        "rules": [{"match": {"prefix": "/"}, "requires": {"session": "web"}}],
    });
    assert_eq!(config, expected, "{config:#}");
}

/// A field, the exit code, what is said, and a place in the new configuration with what is there.
type Row<'r> = (&'r str, i32, &'r [&'r str], &'r str, Value);

#[test]
fn each_field_of_oidc() {
    let rows: &[Row<'_>] = &[
        (
            "scopes: [openid, email]",
            0,
            &[],
            "auth_scopes",
            json!(["openid", "email"]),
        ),
        (
            "scopes: [email]",
            0,
            &[],
            "auth_scopes",
            json!(["email", "openid"]),
        ),
        (
            "resources: ['https://api.example']",
            0,
            &[],
            "resources",
            json!(["https://api.example"]),
        ),
        ("logoutPath: /bye", 0, &[], "signout_path", json!("/bye")),
        (
            "cookieDomain: app.example",
            0,
            &[],
            "cookie/domain",
            json!("app.example"),
        ),
        (
            "cookieNames: {idToken: I}",
            0,
            &["11 left_out spec.oidc.cookieNames"],
            "cookie",
            Value::Null,
        ),
        (
            "cookieConfig: {sameSite: None}",
            0,
            &[],
            "cookie/same_site",
            json!("NONE"),
        ),
        (
            "cookieConfig: {sameSite: Lax}",
            0,
            &[],
            "cookie",
            Value::Null,
        ),
        (
            "cookieConfig: {sameSite: Strict}",
            0,
            &["11 differs spec.oidc.cookieConfig.sameSite"],
            "cookie",
            Value::Null,
        ),
        (
            "cookieConfig: {sameSite: strict}",
            1,
            &["11 open spec.oidc.cookieConfig.sameSite"],
            "cookie",
            Value::Null,
        ),
        (
            "forwardAccessToken: true",
            0,
            &[],
            "forward_bearer_token",
            json!(true),
        ),
        (
            "forwardAccessToken: false",
            0,
            &[],
            "forward_bearer_token",
            Value::Null,
        ),
        (
            "forwardIDToken: {header: x-id}",
            0,
            &[],
            "forward_id_token_header",
            json!("x-id"),
        ),
        (
            "forwardIDToken: {header: authorization}",
            1,
            &["11 open spec.oidc.forwardIDToken.header"],
            "forward_id_token_header",
            Value::Null,
        ),
        (
            "refreshToken: false",
            0,
            &[],
            "use_refresh_token",
            Value::Null,
        ),
        (
            "defaultTokenTTL: 1h",
            0,
            &["11 left_out spec.oidc.defaultTokenTTL"],
            "x",
            Value::Null,
        ),
        (
            "defaultRefreshTokenTTL: 24h",
            0,
            &["11 left_out spec.oidc.defaultRefreshTokenTTL"],
            "x",
            Value::Null,
        ),
        (
            "csrfTokenTTL: 5m",
            0,
            &["11 differs spec.oidc.csrfTokenTTL"],
            "x",
            Value::Null,
        ),
        (
            "disableTokenEncryption: true",
            0,
            &["11 left_out spec.oidc.disableTokenEncryption"],
            "x",
            Value::Null,
        ),
        (
            "noSuchField: 1",
            1,
            &["11 open spec.oidc.noSuchField"],
            "x",
            Value::Null,
        ),
        (
            "cookieNames: {accessToken: A, refreshToken: R}",
            1,
            &[
                "11 open spec.oidc.cookieNames.refreshToken",
                "11 left_out spec.oidc.cookieNames",
            ],
            "x",
            Value::Null,
        ),
        (
            "denyRedirect: {headers: [{name: x, type: Sideways, value: a}]}",
            1,
            &["11 open spec.oidc.denyRedirect.headers[0].type"],
            "x",
            Value::Null,
        ),
    ];
    for (field, code, expected, place, value) in rows {
        let (ran, said, config) = migrate(&policy(field, ""), &[]);
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        assert_eq!((ran, said.as_slice()), (*code, *expected), "{field}");
        let place = format!("/sign_in/schemes/web/{place}");
        let found = config.pointer(&place).unwrap_or(&Value::Null);
        assert_eq!(found, value, "{field}: {config:#}");
        let parsed = parse(&config);
        assert_eq!(parsed.is_ok(), *code == 0, "{field}: {:?}", parsed.err());
    }
}

/// A text and what stands in its place, and as in [`Row`].
type Changed<'r> = (&'r str, &'r str, i32, &'r [&'r str], &'r str, Value);

#[test]
fn what_the_provider_and_the_client_are() {
    let rows: &[Changed<'_>] = &[
        (
            "realms/a'",
            "realms/a', tokenEndpoint: 'https://t.example/token'",
            0,
            &[],
            "/sign_in/schemes/web/token_endpoint",
            json!({"uri": "https://t.example/token", "cluster": "t.example", "timeout": "10s"}),
        ),
        (
            "realms/a'",
            "realms/a', authorizationEndpoint: 'https://idp.example/auth?x=y', endSessionEndpoint: 'https://idp.example/out'",
            0,
            &[],
            "/sign_in/schemes/web/end_session_endpoint",
            json!("https://idp.example/out"),
        ),
        (
            "realms/a'",
            "realms/a', backendRefs: [{name: x}], backendSettings: {retry: {}}",
            0,
            &[
                "7 left_out spec.oidc.provider.backendRefs",
                "7 left_out spec.oidc.provider.backendSettings",
            ],
            "/sign_in/schemes/web/token_endpoint/cluster",
            json!("idp.example"),
        ),
        (
            "'https://idp.example/realms/a'",
            "idp",
            1,
            &["7 open spec.oidc.provider.issuer"],
            "/open",
            json!(true),
        ),
        (
            "clientID: web",
            "clientIDRef: {name: x}",
            1,
            &["8 open spec.oidc.clientIDRef"],
            "/open",
            json!(true),
        ),
        (
            "https://app.example/oauth2/callback",
            "'%REQ(x-forwarded-proto)%://%REQ(:authority)%/cb'",
            1,
            &["10 open spec.oidc.redirectURL"],
            "/sign_in/schemes/web/callback_path",
            json!("/cb"),
        ),
        (
            "https://app.example/oauth2/callback",
            "'%REQ(x-forwarded-proto)%://%REQ(x-host)%/cb'",
            1,
            &["10 open spec.oidc.redirectURL"],
            "/open",
            json!(true),
        ),
    ];
    for (old, new, code, expected, place, value) in rows {
        let text = policy("", "").replacen(old, new, 1);
        let (ran, said, config) = migrate(&text, &[]);
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        assert_eq!((ran, said.as_slice()), (*code, *expected), "{new}");
        assert_eq!(
            config.pointer(place).unwrap_or(&Value::Null),
            value,
            "{new}: {config:#}"
        );
        assert_eq!(parse(&config).is_ok(), *code == 0, "{new}");
    }
    // Without a redirectURL it is Envoy Gateway's own, on the host of the request.
    let text = policy("", "").replacen("redirectURL: https://app.example/oauth2/callback", "", 1);
    assert_eq!(migrate(&text, &[]).0, 1);
    let (code, _, config) = migrate(&text, &["--host", "app.example"]);
    assert_eq!(code, 0);
    let scheme = &config["sign_in"]["schemes"]["web"];
    assert_eq!(scheme["callback_path"], "/oauth2/callback");
    assert_eq!(
        config["sign_in"]["allowed_redirect_domains"],
        json!(["app.example"])
    );
}

#[test]
fn the_hosts_of_the_routes_are_those_of_the_pages() {
    let text = policy("", "").replacen("redirectURL: https://app.example/oauth2/callback", "", 1);
    let route = |name: &str, gateway: &str, host: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec: {{parentRefs: [{{name: {gateway}}}], hostnames: ['*.example', {host}]}}\n"
        )
    };
    let routes = route("r", "eg", "a.example")
        + &route("other", "eg", "b.example")
        + &route("s", "gw", "c.example");
    for (target, hosts) in [
        ("kind: HTTPRoute, name: r", json!(["a.example"])),
        ("kind: Gateway, name: eg", json!(["a.example", "b.example"])),
        ("kind: HTTPRoute, name: none", json!([])),
    ] {
        let text = text.replacen("kind: HTTPRoute, name: r", target, 1) + &routes;
        let (code, said, config) = migrate(&text, &[]);
        assert_eq!(code == 0, hosts != json!([]), "{target}: {said:?}");
        assert_eq!(
            config["sign_in"]["allowed_redirect_domains"], hosts,
            "{target}"
        );
        let (_, _, config) = migrate(&text, &["--host", "d.example"]);
        let given = &config["sign_in"]["allowed_redirect_domains"];
        assert_eq!(*given, json!(["d.example"]), "{target}");
    }
}

/// `jwt` with a provider, and what is besides.
fn jwt(provider: &str, rest: &str) -> String {
    format!(
        "jwt: {{providers: [{{name: p, issuer: 'https://idp.example/realms/a', {provider}localJWKS: {{type: Inline, inline: '{}'}}}}]{rest}}}",
        KEYS.replace('\n', "")
    )
}

const ENDPOINTS: &str = "provider: {issuer: 'https://idp.example/realms/a', authorizationEndpoint: 'https://idp.example/auth', tokenEndpoint: 'https://idp.example/token'}";

fn with_endpoints(oidc: &str, spec: &str) -> String {
    policy(oidc, spec).replacen(
        "provider: {issuer: 'https://idp.example/realms/a'}",
        ENDPOINTS,
        1,
    )
}

#[test]
fn with_tokens() {
    let session = || json!({"session": "web"});
    let token = || json!({"provider_name": "p"});
    let everything = || json!({"prefix": "/"});
    let bearer = |value: &str| json!({"prefix": "/", "headers": [{"name": "x-token", "string_match": {"prefix": value}}]});
    let all = || json!({"requires_all": {"requirements": [session(), token()]}});
    // Each with what is open in it, and its rules.
    let table: Vec<(&str, String, &[&str], Value)> = vec![
        // Both are asked for, where nobody knows of which token.
        (
            "",
            jwt("", ""),
            &[],
            json!([{"match": everything(), "requires": all()}]),
        ),
        // The ID token of the session is the token.
        (
            "cookieNames: {idToken: I}",
            jwt("audiences: [web], extractFrom: {cookies: [I]}, ", ""),
            &[],
            json!([{"match": everything(), "requires": session()}]),
        ),
        // Or its access token.
        (
            "forwardAccessToken: true",
            jwt("", ""),
            &[],
            json!([{"match": everything(), "requires": session()}]),
        ),
        (
            "forwardAccessToken: true",
            jwt("audiences: [api], ", ""),
            &["open spec.jwt.providers.p.audiences"],
            json!([{"match": everything(), "requires": session()}]),
        ),
        // A program brings a token of its own.
        (
            "passThroughAuthHeader: true",
            jwt(
                "extractFrom: {headers: [{name: x-token, valuePrefix: 'T '}]}, ",
                "",
            ),
            &[],
            json!([
                {"match": bearer("T "), "requires": token()},
                {"match": everything(), "requires": all()},
            ]),
        ),
        (
            "passThroughAuthHeader: true\n    forwardAccessToken: true",
            jwt("", ""),
            &[],
            json!([{"match": everything(), "requires": {"requires_any": {"requirements": [token(), session()]}}}]),
        ),
        // Without one its claims are not there.
        (
            "",
            jwt("", ", optional: true"),
            &[],
            json!([{"match": everything(), "requires": {"requires_all": {"requirements": [session(), {"requires_any": {"requirements": [token(), {"allow_missing": {}}]}}]}}}]),
        ),
        // A name that was drawn.
        (
            "",
            jwt("extractFrom: {cookies: [IdToken-a1b2c3d4]}, ", ""),
            &["open spec.jwt.providers[0].extractFrom.cookies"],
            json!([{"match": everything(), "requires": all()}]),
        ),
    ];
    for (oidc, jwt, open, rules) in table {
        let (code, said, config) = migrate(&with_endpoints(oidc, &jwt), &[]);
        let said = said.iter().filter_map(|said| said.split_once(' '));
        let said: Vec<&str> = said
            .map(|(_, said)| said)
            .filter(|said| said.starts_with("open"))
            .collect();
        assert_eq!(said, open, "{oidc} {jwt}");
        assert_eq!(code, i32::from(!open.is_empty()), "{oidc}");
        assert_eq!(config["rules"], rules, "{oidc}\n{:#}", config["rules"]);
        let parsed = parse(&config);
        assert_eq!(
            parsed.is_ok(),
            open.is_empty(),
            "{oidc}: {:?}",
            parsed.err()
        );
    }
}

#[test]
fn with_claims() {
    let id_token = "cookieNames: {idToken: I}";
    let of_id_token = jwt("audiences: [web], extractFrom: {cookies: [I]}, ", "");
    let access_token = "forwardAccessToken: true\n    passThroughAuthHeader: true";
    let allow = "{action: Allow, principal: {jwt: {provider: p, claims: [{name: g, values: [x]}]}}, operation: {path: {type: Exact, value: /a}}}";
    let deny = "{action: Deny, principal: {headers: [{name: x, values: [yes!]}]}}";
    let a = || json!({"path": "/a"});
    let with_x = |path: &str, value: &str| json!({path: value, "headers": [{"name": "x", "exact_match": "yes!"}]});
    let group = || json!({"claims": [{"path": ["g"], "equals": "x"}]});
    let nobody = || json!({"claims": [{"path": ["iss"], "exists": false}]});
    let no_session = || json!({"claims": [{"path": ["iss"], "exists": true}, {"path": ["iss"], "exists": false}]});
    let session = || json!({"session": "web"});
    let token = || json!({"provider_name": "p"});
    let table: Vec<(&str, String, String, i32, Value)> = vec![
        // A session has the claims of its ID token.
        (
            id_token,
            of_id_token.clone(),
            format!("{{rules: [{allow}]}}"),
            0,
            json!([{"match": a(), "requires": session(), "authorize": group()}]),
        ),
        // Nobody is nobody, and needs not to sign in for that.
        (
            id_token,
            of_id_token.clone(),
            format!("{{defaultAction: Allow, rules: [{deny}]}}"),
            0,
            json!([
                {"match": with_x("prefix", "/"), "requires": token(), "authorize": nobody()},
                {"match": {"prefix": "/"}, "requires": session()},
            ]),
        ),
        // What is asked of another token is not asked of a session.
        (
            "",
            jwt("", ""),
            format!("{{rules: [{allow}]}}"),
            1,
            json!([{"match": a(), "requires": {"requires_all": {"requirements": [session(), token()]}}, "authorize": no_session()}]),
        ),
        (
            access_token,
            jwt("", ""),
            format!("{{rules: [{allow}]}}"),
            1,
            json!([{"match": a(), "requires": token(), "authorize": group()}]),
        ),
        // Without tokens a rule is about requests alone.
        (
            "",
            "cors: {}".to_owned(),
            format!("{{defaultAction: Allow, rules: [{deny}]}}"),
            0,
            json!([
                {"match": with_x("prefix", "/"), "requires": session(), "authorize": no_session()},
                {"match": {"prefix": "/"}, "requires": session()},
            ]),
        ),
        // What no rule is for is denied by both.
        (id_token, of_id_token, "{}".to_owned(), 0, json!([])),
    ];
    for (oidc, jwt, authorization, code, rules) in table {
        let spec = format!("{jwt}\n  authorization: {authorization}");
        let (ran, said, config) = migrate(&with_endpoints(oidc, &spec), &[]);
        assert_eq!(ran, code, "{oidc} {authorization}: {said:?}");
        assert_eq!(
            config["rules"], rules,
            "{oidc} {authorization}\n{:#}",
            config["rules"]
        );
        assert_ne!(config["unmatched"], "allow");
        let open = said.iter().filter(|said| said.contains(" open "));
        let line = 13 + oidc.matches('\n').count();
        let expected = format!("{line} open spec.authorization");
        let expected = (code == 1).then_some(&expected);
        assert_eq!(
            open.collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>(),
            "{oidc}"
        );
        assert_eq!(
            parse(&config).is_ok(),
            code == 0,
            "{oidc}: {:?}",
            parse(&config).err()
        );
    }
}

#[test]
fn who_is_not_redirected() {
    let headers = "denyRedirect: {headers: [{name: x-a, value: a}, {name: x-b, type: Prefix, value: b}, {name: x-c, type: Suffix, value: c}, {name: x-d, type: RegularExpression, value: 'd+'}]}";
    let (code, said, config) = migrate(&policy(headers, ""), &[]);
    assert_eq!((code, said), (0, vec![]), "{config:#}");
    let rules = config["rules"].as_array().unwrap();
    let tests = ["exact", "prefix", "suffix", "safe_regex"];
    for (rule, test) in rules.iter().zip(tests) {
        assert!(
            rule["match"]["headers"][0]["string_match"]
                .get(test)
                .is_some(),
            "{rule}"
        );
        assert_eq!(rule["unauthenticated"], "unauthorized", "{rule}");
        assert_eq!(rule["requires"], json!({"session": "web"}), "{rule}");
    }
    assert_eq!(rules.len(), 5);
    parse(&config).unwrap();
}

#[test]
fn who_reads_a_cookie_elsewhere_is_told() {
    let oidc = "cookieNames: {accessToken: Token}";
    let other = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nspec: {lua: [{type: Inline, inline: 'cookie(\"Token\")'}]}\n";
    let (code, said, _) = migrate(&format!("{}---\n{other}", policy(oidc, "")), &[]);
    assert_eq!(code, 1);
    let open: Vec<&String> = said.iter().filter(|said| said.contains("open")).collect();
    assert_eq!(open, ["16 open spec.oidc.Token"]);
}

#[test]
fn the_secrets_are_handed_on_and_check_takes_it() {
    let files = Files::in_a_directory();
    let ran = run(&["migrate", &files.with("p.yaml", &policy("", ""))]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let printed = bearer_gate_testbed::yaml::parse(&ran.out);
    let keys = &printed["spec"]["wasm"][0]["env"]["hostKeys"];
    assert_eq!(*keys, json!(["BG_COOKIE_KEY", "BG_THE_SECRET"]));
    let ran = run(&["check", &files.with("extension-policy.yaml", &ran.out)]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn two_policies_that_sign_people_in() {
    let one = policy("", "");
    let files = Files::in_a_directory();
    let two = format!("{one}---\n{}", one.replacen("name: p", "name: q", 1));
    let ran = run(&["migrate", "--json", &files.with("p.yaml", &two)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let reports = ran.json();
    let differs = |at: usize| {
        let changes = reports[at]["changes"].as_array().unwrap().iter();
        changes.filter(|change| change["kind"] == "differs").count()
    };
    assert_eq!((differs(0), differs(1)), (0, 1), "{reports:#}");
}

/// Without `jwt` no token of a program is taken.
#[test]
fn tokens_that_nothing_looks_for() {
    let (code, said, config) = migrate(&policy("passThroughAuthHeader: true", ""), &[]);
    let told = "11 differs spec.oidc.passThroughAuthHeader".to_owned();
    assert_eq!((code, said), (0, vec![told]), "{config:#}");
    let (_, said, _) = migrate(&policy("passThroughAuthHeader: false", ""), &[]);
    assert_eq!(said, [""; 0]);
}
