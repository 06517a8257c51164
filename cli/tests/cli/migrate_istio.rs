//! `migrate` of Istio's policies: what comes out is a good configuration in a good WasmPlugin, and what
//! is not carried over is said with its file and its line.

use bearer_gate::config::Config;
use serde_json::{Value, json};

use super::{Files, run};

const KEYS: &str = concat!(
    "{\"keys\":[",
    include_str!("../../../tests/fixtures/set-a.jwk.json"),
    "]}"
);

/// What is always said of the authentication here.
const ALWAYS: [&str; 3] = [
    "differs providers.jwt.audiences",
    "added providers.jwt.require_expiration",
    "differs providers.jwt.from_params",
];

fn authentication(rule: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: jwt, namespace: ns}}\nspec:\n  selector: {{matchLabels: {{app: a}}}}\n  jwtRules:\n  - issuer: https://one.example/\n    audiences: [https://api.example]\n    {rule}\n"
    )
}

/// A policy whose `spec` begins on line 4.
fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: ns}}\nspec: {spec}\n"
    )
}

/// The exit code, what is said but for what always is, and the reports.
fn migrate(texts: &[&str]) -> (i32, Vec<String>, Value) {
    let files = Files::in_a_directory();
    let names: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| files.with(&format!("{at}.yaml"), text))
        .collect();
    let mut arguments = vec!["migrate", "--json"];
    arguments.extend(names.iter().map(String::as_str));
    let ran = run(&arguments);
    let reports = ran.json();
    let mut said = Vec::new();
    for report in reports.as_array().unwrap() {
        for change in report["changes"].as_array().unwrap() {
            let word = |name: &str| change[name].as_str().unwrap().to_owned();
            let one = format!("{} {}", word("kind"), word("path"));
            if !ALWAYS.contains(&one.as_str()) {
                let file = word("file");
                let file = file
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .trim_end_matches(".yaml")
                    .to_owned();
                said.push(format!("{file}:{} {one}", change["line"]));
            }
        }
    }
    (ran.code, said, reports)
}

fn with_keys() -> String {
    authentication(&format!("jwks: '{}'", KEYS.replace('\n', "")))
}

/// What becomes of a policy: the exit code, what is said, and the rules.
fn of_policy(spec: &str) -> (i32, Vec<String>, Value) {
    let spec = spec.replacen('{', "{selector: {matchLabels: {app: a}}, ", 1);
    let (code, said, reports) = migrate(&[&with_keys(), &policy("p", &spec)]);
    let config = reports[0]["config"].clone();
    let is_taken = Config::parse(config.to_string().as_bytes()).is_ok();
    assert_eq!(is_taken, code == 0, "{spec} {config:#}");
    (code, said, config)
}

#[test]
fn each_kind_of_policy() {
    let jwt = json!({"provider_name": "jwt"});
    let optional = json!({"requires_any": {"requirements": [jwt, {"allow_missing": {}}]}});
    let rule = |matcher: Value, authorize: Value| {
        let mut rule = json!({"match": matcher, "requires": {"provider_name": "jwt"}});
        if !authorize.is_null() {
            rule["authorize"] = authorize;
        }
        rule
    };
    let subject = json!({"policies": ["has-subject"]});
    let nobody = json!({"claims": [{"path": ["iss"], "exists": false}]});
    let claims = |tests: Value| json!({"claims": tests});
    let all = json!({"prefix": "/"});
    let table = [
        // no rules allow nothing, an empty rule allows everything, and no policy that allows as well
        ("{}", json!([])),
        (
            "{rules: [{}]}",
            json!([{"match": all, "requires": optional}]),
        ),
        ("{action: DENY, rules: [{}]}", json!([])),
        (
            "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}",
            json!([rule(all.clone(), subject.clone())]),
        ),
        (
            "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}",
            json!([rule(all.clone(), subject.clone())]),
        ),
        (
            "{rules: [{from: [{source: {requestPrincipals: ['https://one.example//me', 'https://other.example/you']}}]}]}",
            json!([rule(
                all.clone(),
                claims(json!([{"path": ["sub"], "any": ["me"]}]))
            )]),
        ),
        (
            "{rules: [{from: [{source: {requestPrincipals: ['https://other.example/*']}}]}]}",
            json!([]),
        ),
        // paths: an exact one, a prefix, an end, a template; a star within one is a star
        (
            "{rules: [{to: [{operation: {paths: ['/a', '/b*', '*.html', '/a/*/b']}}]}]}",
            json!([
                {"match": {"path": "/a"}, "requires": optional},
                {"match": {"path": "/a/*/b"}, "requires": optional},
                {"match": {"prefix": "/b"}, "requires": optional},
                {"match": {"safe_regex": {"regex": ".*\\.html"}}, "requires": optional},
            ]),
        ),
        (
            "{action: DENY, rules: [{to: [{operation: {paths: ['/a/{*}/b', '/c/{**}']}}]}]}",
            json!([
                rule(json!({"safe_regex": {"regex": "/a/[^/]+/b"}}), nobody.clone()),
                rule(json!({"prefix": "/c/"}), nobody.clone()),
                {"match": all, "requires": optional},
            ]),
        ),
        // what denies comes first, and not-lists leave out
        (
            "{rules: [{to: [{operation: {methods: [GET, POST], notPaths: ['/in*']}}]}]}",
            json!([
                rule(json!({"prefix": "/in"}), nobody.clone()),
                {"match": {"prefix": "/", "methods": ["GET", "POST"]}, "requires": optional},
            ]),
        ),
        (
            "{rules: [{to: [{operation: {notMethods: [GET]}}]}]}",
            json!([
                rule(json!({"prefix": "/", "methods": ["GET"]}), nobody.clone()),
                {"match": all, "requires": optional},
            ]),
        ),
        // alternatives of one claim are one test
        (
            "{rules: [{when: [{key: 'request.auth.claims[groups]', values: [a]}]}, {when: [{key: 'request.auth.claims[groups]', values: [b]}]}]}",
            json!([rule(
                all.clone(),
                claims(json!([{"path": ["groups"], "any": ["a", "b"]}]))
            )]),
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[a.b][https://c]', values: [a], notValues: [b]}]}]}",
            json!([rule(
                all.clone(),
                claims(json!([
                    {"path": ["a.b", "https://c"], "any": ["a"]},
                    {"path": ["a.b", "https://c"], "not": {"any": ["b"]}},
                ]))
            )]),
        ),
        (
            "{rules: [{when: [{key: request.auth.audiences, values: [x]}, {key: request.auth.presenter, values: [z]}]}]}",
            json!([rule(
                all.clone(),
                claims(json!([{"path": ["aud"], "any": ["x"]}, {"path": ["azp"], "any": ["z"]}]))
            )]),
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[scope]', values: [read]}, {key: 'request.auth.claims[scope]', values: [a, b]}]}]}",
            json!([rule(
                all.clone(),
                json!({"scopes": {"all": ["read"], "any": ["a", "b"]}})
            )]),
        ),
        (
            "{rules: [{to: [{operation: {paths: [/x]}}], when: [{key: 'request.headers[X-Mode]', values: ['a*']}]}]}",
            json!([{"match": {"path": "/x", "headers": [{"name": "x-mode", "prefix_match": "a"}]}, "requires": optional}]),
        ),
    ];
    for (spec, expected) in table {
        let (code, said, config) = of_policy(spec);
        assert_eq!((code, said), (0, vec![]), "{spec}");
        assert_eq!(config["rules"], expected, "{spec}");
    }
}

#[test]
fn hosts_are_told() {
    let spec =
        "{rules: [{to: [{operation: {hosts: [A.example, 'a.example:*', '*.b.example', 'c.*']}}]}]}";
    let (code, said, config) = of_policy(spec);
    assert_eq!(
        (code, said),
        (
            0,
            vec!["1:4 differs spec.rules[0].to[0].operation.hosts".to_owned()]
        )
    );
    let matches = config["rules"].as_array().unwrap().iter();
    let matches: Vec<&Value> = matches.map(|rule| &rule["match"]).collect();
    assert_eq!(
        json!(matches),
        json!([
            {"prefix": "/", "hosts": ["a.example", "*.b.example"]},
            {"prefix": "/", "headers": [{"name": ":authority", "prefix_match": "c."}]},
        ])
    );
}

#[test]
fn a_subject_by_its_beginning_is_a_provider_of_its_own() {
    let spec = "{rules: [{from: [{source: {requestPrincipals: ['https://one.example//svc-*']}}]}]}";
    let (code, _, config) = of_policy(spec);
    assert_eq!(code, 0);
    assert_eq!(
        config["rules"][0]["requires"],
        json!({"provider_name": "jwt.subjects-1"})
    );
    assert_eq!(
        config["providers"]["jwt.subjects-1"]["subjects"],
        json!({"prefix": "svc-"})
    );
    assert_eq!(config["providers"]["jwt"]["subjects"], Value::Null);
}

/// A policy, and where it is open.
#[test]
fn what_cannot_be_said_is_open_by_its_line() {
    let table = [
        (
            "{action: CUSTOM, provider: {name: x}, rules: [{}]}",
            "spec.action",
        ),
        (
            "{rules: [{from: [{source: {principals: [a]}}]}]}",
            "spec.rules[0].from[0].source.principals",
        ),
        (
            "{rules: [{from: [{source: {notIpBlocks: [10.0.0.0/8]}}]}]}",
            "spec.rules[0].from[0].source.notIpBlocks",
        ),
        (
            "{rules: [{from: [{source: {}}]}]}",
            "spec.rules[0].from[0].source",
        ),
        ("{rules: [{to: [{}]}]}", "spec.rules[0].to[0].operation"),
        (
            "{rules: [{to: [{operation: {ports: ['80']}}]}]}",
            "spec.rules[0].to[0].operation.ports",
        ),
        (
            "{rules: [{to: [{operation: {hosts: ['a.example:80']}}]}]}",
            "spec.rules[0].to[0].operation.hosts",
        ),
        (
            "{rules: [{to: [{operation: {hosts: ['a.example:*']}}]}]}",
            "spec.rules[0].to[0].operation.hosts",
        ),
        (
            "{rules: [{to: [{operation: {methods: [get]}}]}]}",
            "spec.rules[0].to[0].operation.methods",
        ),
        (
            "{rules: [{to: [{operation: {methods: ['P*']}}]}]}",
            "spec.rules[0].to[0].operation.methods",
        ),
        (
            "{rules: [{to: [{operation: {paths: ['/a//b']}}]}]}",
            "spec.rules[0].to[0].operation.paths",
        ),
        (
            "{rules: [{to: [{operation: {paths: ['*%2e']}}]}]}",
            "spec.rules[0].to[0].operation.paths",
        ),
        (
            "{rules: [{to: [{operation: {paths: ['/a{*}']}}]}]}",
            "spec.rules[0].to[0].operation.paths",
        ),
        (
            "{rules: [{to: [{operation: {paths: ['/{**}/{*}']}}]}]}",
            "spec.rules[0].to[0].operation.paths",
        ),
        (
            "{rules: [{when: [{key: request.auth.claims, values: [a]}]}]}",
            "spec.rules[0].when[0].values",
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[a]b]', values: [a]}]}]}",
            "spec.rules[0].when[0].values",
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[a]'}]}]}",
            "spec.rules[0].when[0]",
        ),
        (
            "{rules: [{when: [{key: 'request.headers[authorization]', values: [a]}]}]}",
            "spec.rules[0].when[0].values",
        ),
        (
            "{rules: [{when: [{key: 'request.headers[:path]', values: [a]}]}]}",
            "spec.rules[0].when[0].values",
        ),
        (
            "{rules: [{when: [{key: source.ip, values: [a]}]}]}",
            "spec.rules[0].when[0].values",
        ),
        (
            "{rules: [{when: [{key: something, values: [a]}]}]}",
            "spec.rules[0].when[0].values",
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[a]', values: ['x*']}]}]}",
            "spec.rules[0]",
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[a]', values: ['*']}]}]}",
            "spec.rules[0]",
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[scope]', notValues: [x]}]}]}",
            "spec.rules[0]",
        ),
        // one claim or another
        (
            "{rules: [{when: [{key: 'request.auth.claims[a]', values: [x]}]}, {when: [{key: 'request.auth.claims[b]', values: [x]}]}]}",
            "spec.rules[0]",
        ),
        // whoever has no token gets through, and whoever has a certain one does not
        (
            "{action: DENY, rules: [{when: [{key: 'request.auth.claims[a]', values: [x]}]}]}",
            "spec.rules[0]",
        ),
        ("{rules: [{unknown: 1}]}", "spec.rules[0].unknown"),
        ("{action: ALLOW, actions: DENY}", "spec.actions"),
    ];
    for (spec, path) in table {
        let (code, said, config) = of_policy(spec);
        assert_eq!(
            (code, said.last().map(String::as_str)),
            (1, Some(format!("1:4 open {path}").as_str())),
            "{spec} {said:?}"
        );
        assert_eq!(
            (&config["open"], &config["unmatched"]),
            (&json!(true), &json!("deny")),
            "{spec}"
        );
    }
}

#[test]
fn what_is_open_denies_more_and_never_less() {
    // An address that denies makes its rule wider, and one that allows takes it away.
    let (_, _, config) = of_policy(
        "{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {paths: [/x]}}]}]}",
    );
    assert_eq!(config["rules"][0]["match"], json!({"path": "/x"}));
    assert_eq!(
        config["rules"][0]["authorize"]["claims"][0]["exists"],
        json!(false)
    );
    for spec in [
        "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}",
        "{rules: [{unknown: 1}]}",
        "{action: DENY, rules: [{unknown: 1, to: [{operation: {paths: [/x]}}]}]}",
    ] {
        let (_, _, config) = of_policy(spec);
        assert_eq!(config["rules"], json!([]), "{spec}");
    }
}

#[test]
fn each_field_of_an_authentication() {
    let keys = "remote_jwks";
    let uri = |uri: &str, cluster: &str, timeout: &str| json!({"http_uri": {"uri": uri, "cluster": cluster, "timeout": timeout}});
    let table = [
        (
            "jwksUri: https://one.example/k",
            keys,
            uri("https://one.example/k", "outbound|443||one.example", "5s"),
        ),
        (
            "jwksUri: http://k.n.svc:8080/k\n    timeout: 2s",
            keys,
            uri("http://k.n.svc:8080/k", "outbound|8080||k.n.svc", "2s"),
        ),
        (
            "timeout: 3s",
            "openid_discovery",
            json!({"cluster": "outbound|443||one.example", "timeout": "3s"}),
        ),
        ("forwardOriginalToken: true", "forward", json!(true)),
        (
            "outputPayloadToHeader: x-p",
            "forward_payload_header",
            json!("x-p"),
        ),
        ("fromParams: [t]", "from_params", json!(["t"])),
        ("fromCookies: [c]", "from_cookies", json!(["c"])),
        (
            "fromHeaders: [{name: x, prefix: 'T '}]",
            "from_headers",
            json!([{"name": "x", "value_prefix": "T "}]),
        ),
        (
            "outputClaimToHeaders: [{header: x-u, claim: sub}]",
            "claim_to_headers",
            json!([{"header_name": "x-u", "claim_name": "sub"}]),
        ),
    ];
    for (rule, field, expected) in table {
        let (code, _, reports) = migrate(&[&authentication(rule)]);
        let config = &reports[0]["config"];
        assert_eq!(code, 0, "{rule} {reports:#}");
        assert_eq!(config["providers"]["jwt"][field], expected, "{rule}");
        assert!(
            Config::parse(config.to_string().as_bytes()).is_ok(),
            "{rule} {config:#}"
        );
        // without policies a token may be missing, and must not be bad
        assert_eq!(
            config["rules"][0]["requires"]["requires_any"]["requirements"][1],
            json!({"allow_missing": {}})
        );
    }
    for (rule, path) in [
        (
            "jwksUri: https://x\n    jwks: '{}'",
            "spec.jwtRules[0].jwks",
        ),
        ("jwksUri: k", "spec.jwtRules[0].jwksUri"),
        ("unknown: 1", "spec.jwtRules[0].unknown"),
    ] {
        let (code, said, _) = migrate(&[&authentication(rule)]);
        assert_eq!(code, 1, "{rule}");
        assert!(
            said.iter()
                .any(|said| said.ends_with(&format!("open {path}"))),
            "{rule} {said:?}"
        );
    }
    let no_issuer = with_keys().replace("issuer: https://one.example/\n    ", "");
    assert_eq!(migrate(&[&no_issuer]).0, 1);
}

#[test]
fn which_policies_count_for_which_workloads() {
    let app = |app: &str| format!("selector: {{matchLabels: {{app: {app}}}}}");
    let deny_all = |namespace: &str| {
        policy("d", "{}").replace("namespace: ns", &format!("namespace: {namespace}"))
    };
    // The policy of the namespace, and that of the mesh, count too. One of another namespace does not.
    let allow = policy("p", &format!("{{{}, rules: [{{}}]}}", app("a")));
    let (code, said, reports) = migrate(&[
        &with_keys(),
        &allow,
        &deny_all("ns"),
        &deny_all("istio-system"),
        &deny_all("other"),
    ]);
    assert_eq!(code, 0);
    assert_eq!(
        said,
        [
            "2:1 added spec.selector",
            "3:1 differs metadata.namespace",
            "3:1 added spec.selector",
            "4:1 left_out spec",
        ]
    );
    let resource = &reports[0]["resource"];
    assert_eq!(
        resource["metadata"],
        json!({"name": "bearer-gate", "namespace": "ns"})
    );
    assert_eq!(
        resource["spec"]["selector"],
        json!({"matchLabels": {"app": "a"}})
    );
    // Workloads that are of both are open, those of others are another configuration.
    let whole = with_keys().replace("  selector: {matchLabels: {app: a}}\n", "");
    let (code, said, reports) = migrate(&[&whole, &allow]);
    assert_eq!(
        (code, reports.as_array().unwrap().len()),
        (1, 2),
        "{said:?}"
    );
    assert!(
        said.contains(&"1:1 open spec.selector".to_owned()),
        "{said:?}"
    );
    let of_b = with_keys()
        .replace("app: a", "app: b")
        .replace("name: jwt", "name: jwt-b");
    let (code, _, reports) = migrate(&[&with_keys(), &allow, &of_b]);
    assert_eq!((code, reports.as_array().unwrap().len()), (0, 2));
    assert_eq!(
        reports[1]["resource"]["metadata"]["name"],
        json!("bearer-gate-2")
    );
    // A dry run and an audit decide nothing.
    let dry = policy("p", "{}").replace(
        "namespace: ns",
        "namespace: ns, annotations: {istio.io/dry-run: 'true'}",
    );
    let (code, said, reports) = migrate(&[&with_keys(), &dry, &policy("q", "{action: AUDIT}")]);
    assert_eq!(code, 0, "{said:?}");
    assert_eq!(reports[0]["config"]["rules"].as_array().unwrap().len(), 1);
}

#[test]
fn what_else_is_in_the_files_is_named() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n";
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec:\n  http:\n  - match:\n    - headers:\n        '@request.auth.claims.group': {exact: a}\n";
    let both = format!("{}---\n{service}", with_keys());
    let (code, said, _) = migrate(&[&both]);
    assert_eq!((code, said), (0, vec!["0:11 left_out Service".to_owned()]));
    let (code, said, _) = migrate(&[&with_keys(), service, route]);
    assert_eq!(code, 1);
    assert_eq!(said, ["1:1 left_out Service", "2:7 open VirtualService"]);
    // a list of kubectl
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [{
        "apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": {"name": "jwt"},
        "spec": {"jwtRules": [{"issuer": "i", "jwks": KEYS}]},
    }]});
    assert_eq!(migrate(&[&list.to_string()]).0, 0);
    let files = Files::in_a_directory();
    let ran = run(&["migrate", &files.with("p.yaml", &policy("p", "{}"))]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("stays with Istio"), "{}", ran.err);
    let one = files.with("s.yaml", service);
    let ran = run(&["migrate", &one, &one]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("of the kind Service"), "{}", ran.err);
}

#[test]
fn what_is_printed_is_a_wasm_plugin_that_check_takes() {
    let files = Files::in_a_directory();
    let policy = policy(
        "p",
        "{selector: {matchLabels: {app: a}}, rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}",
    );
    let file = files.with("p.yaml", &format!("{}---\n{policy}", with_keys()));
    let ran = run(&["migrate", &file]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("kind: WasmPlugin"), "{}", ran.out);
    let ran = run(&["check", &files.with("wasm-plugin.yaml", &ran.out)]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}
