//! Rules that are refused: for what, in which words.

use serde_json::{Value, json};

use super::{merge, parse, refused, with_provider, with_rule};

const OF_ESCAPED_SLASHES: &str = "rules[0].escaped_slashes: is for rules that let nobody through without a token, and not beside route_metadata";

#[test]
fn refuses_rules() {
    let requires = json!({"provider_name": "auth0"});
    let authorize = |demand: Value| json!({"match": {"prefix": "/"}, "requires": requires, "authorize": demand});
    let claim = |rule: Value| authorize(json!({"claims": [rule]}));
    let form = "paths are compared without query, parameters and needless escapes, here";
    let table = [
        (json!({}), ".match: required".to_owned()),
        (json!({"match": {}}), ".match: exactly one of prefix, path, path_separated_prefix, safe_regex and connect_matcher is required".to_owned()),
        (json!({"match": {"prefix": "/a", "path": "/a"}}), ".match: exactly one of prefix, path, path_separated_prefix, safe_regex and connect_matcher is required".to_owned()),
        (json!({"match": {"prefix": ""}}), ".match.prefix: never matches: it does not start with a slash".to_owned()),
        (json!({"match": {"path": "a"}}), ".match.path: never matches: it does not start with a slash".to_owned()),
        (json!({"match": {"path": "/a?b"}}), format!(".match.path: never matches: {form} /a")),
        (json!({"match": {"path": "/a;b"}}), format!(".match.path: never matches: {form} /a")),
        (json!({"match": {"path": "/a//b"}}), format!(".match.path: never matches: {form} /a/b")),
        (json!({"match": {"prefix": "/%61"}}), format!(".match.prefix: never matches: {form} /a")),
        (json!({"match": {"prefix": "/a%2fb"}}), ".match.prefix: never matches: it escapes a character that is not safe to decode".to_owned()),
        (json!({"match": {"prefix": "/a#b"}}), ".match.prefix: never matches: it has a character that a path cannot have".to_owned()),
        (json!({"match": {"prefix": "/a b"}}), ".match.prefix: never matches: it has a character that a path cannot have".to_owned()),
        (json!({"match": {"prefix": "/a/../b"}}), ".match.prefix: never matches: it has a dot segment".to_owned()),
        (json!({"match": {"prefix": "//a"}}), ".match.prefix: never matches: it starts with two slashes".to_owned()),
        (json!({"match": {"prefix": "/", "methods": []}}), ".match.methods: must not be empty".to_owned()),
        (json!({"match": {"prefix": "/", "methods": ["GET", "post"]}}), ".match.methods[1]: must be in upper case".to_owned()),
        (json!({"match": {"prefix": "/", "methods": ["GET,PUT"]}}), ".match.methods[0]: is not a method".to_owned()),
        (json!({"match": {"prefix": "/", "methods": [""]}}), ".match.methods[0]: is not a method".to_owned()),
        (
            json!({"match": {"prefix": "/"}, "requires": {}}),
            ".requires: exactly one of provider_name, provider_and_audiences, requires_any, requires_all, allow_missing and allow_missing_or_failed is required (leave requires out for a public rule)".to_owned(),
        ),
        (
            json!({"match": {"prefix": "/"}, "requires": {"provider_name": "auht0"}}),
            ".requires.provider_name: unknown provider".to_owned(),
        ),
        (
            json!({"match": {"prefix": "/"}, "requires": {"provider_name": "auth"}}),
            ".requires.provider_name: unknown provider, did you mean auth0?".to_owned(),
        ),
        (
            json!({"match": {"prefix": "/"}, "authorize": {"scopes": {"all": ["a"]}}}),
            ".authorize: needs requires: a rule without it is public".to_owned(),
        ),
        (authorize(json!({})), ".authorize: one of scopes, claims and policies is required".to_owned()),
        (authorize(json!({"scopes": {}})), ".authorize.scopes: one of all and any is required".to_owned()),
        (authorize(json!({"scopes": {"all": []}})), ".authorize.scopes.all: must not be empty".to_owned()),
        (authorize(json!({"scopes": {"any": []}})), ".authorize.scopes.any: must not be empty".to_owned()),
        (
            authorize(json!({"scopes": {"any": ["a", "b c"]}})),
            ".authorize.scopes.any[1]: is not a scope: one or more printable ASCII characters without space, \" and \\".to_owned(),
        ),
        (
            authorize(json!({"scopes": ["a"]})),
            ".authorize.scopes: invalid type: sequence, expected an object with all or any".to_owned(),
        ),
        (authorize(json!({"claims": []})), ".authorize.claims: must not be empty".to_owned()),
        (claim(json!({"equals": 1})), ".authorize.claims[0].path: required".to_owned()),
        (claim(json!({"path": [], "equals": 1})), ".authorize.claims[0].path: must not be empty".to_owned()),
        (
            claim(json!({"path": ["a"]})),
            ".authorize.claims[0]: exactly one of equals, any, all, exists and not is required".to_owned(),
        ),
        (
            claim(json!({"path": ["a"], "equals": 1, "exists": true})),
            ".authorize.claims[0]: exactly one of equals, any, all, exists and not is required".to_owned(),
        ),
        (
            claim(json!({"path": ["a"], "equals": null})),
            ".authorize.claims[0].equals: must be a string, a number or a boolean".to_owned(),
        ),
        (
            claim(json!({"path": ["a"], "any": [1, []]})),
            ".authorize.claims[0].any[1]: must be a string, a number or a boolean".to_owned(),
        ),
        (claim(json!({"path": ["a"], "all": []})), ".authorize.claims[0].all: must not be empty".to_owned()),
        (
            claim(json!({"path": ["a"], "equals": 1e300})),
            ".authorize.claims[0].equals: is a number beyond 2^53, which cannot be compared exactly".to_owned(),
        ),
    ];
    for (rule, expected) in table {
        assert_eq!(
            refused(&with_rule(rule.clone())),
            format!("rules[0]{expected}"),
            "{rule}"
        );
    }
    // a path that keeps an escape in its normal form can match
    assert!(parse(&with_rule(json!({"match": {"path": "/caf%C3%A9/a%20b"}}))).is_ok());
}

#[test]
fn refuses_matchers() {
    let rule = |matcher: Value| {
        let mut all = json!({"prefix": "/"});
        merge(&mut all, matcher);
        with_rule(json!({"match": all}))
    };
    let path = |matcher: Value| {
        let mut all = json!({"prefix": null});
        merge(&mut all, matcher);
        rule(all)
    };
    let header = |test: Value| {
        let mut all = json!({"name": "x-a"});
        merge(&mut all, test);
        rule(json!({"headers": [all]}))
    };
    let parameter = |test: Value| {
        let mut all = json!({"name": "q"});
        merge(&mut all, test);
        rule(json!({"query_parameters": [all]}))
    };
    let text = |test: Value| header(json!({"string_match": test}));
    let table = [
        (
            path(json!({"path_separated_prefix": "/a/"})),
            ".path_separated_prefix: must not end with a slash",
        ),
        (
            path(json!({"path_separated_prefix": "a"})),
            ".path_separated_prefix: never matches: it does not start with a slash",
        ),
        (
            path(json!({"safe_regex": {}})),
            ".safe_regex.regex: required",
        ),
        (
            path(json!({"safe_regex": {"regex": ""}})),
            ".safe_regex.regex: must not be empty",
        ),
        (
            path(json!({"safe_regex": {"regexp": "a"}})),
            ".safe_regex.regexp: unknown field, did you mean regex?",
        ),
        (
            path(json!({"connect_matcher": {"x": 1}})),
            ".connect_matcher.x: unknown field",
        ),
        (
            rule(json!({"case_sensitive": "no"})),
            ".case_sensitive: invalid type: string, expected a boolean",
        ),
        (rule(json!({"hosts": []})), ".hosts: must not be empty"),
        (
            rule(json!({"hosts": ["a", "a:80"]})),
            ".hosts[1]: must be a host without port, or *. and a domain: it has a port",
        ),
        (
            rule(json!({"hosts": ["*"]})),
            ".hosts[0]: must be a host without port, or *. and a domain: it has a character that a host cannot have (other alphabets are written xn--...)",
        ),
        (
            rule(json!({"hosts": ["*a.example"]})),
            ".hosts[0]: must be a host without port, or *. and a domain: it has a character that a host cannot have (other alphabets are written xn--...)",
        ),
        (
            rule(json!({"hosts": [""]})),
            ".hosts[0]: must be a host without port, or *. and a domain: it is missing",
        ),
        (
            rule(json!({"hosts": ["a..b"]})),
            ".hosts[0]: must be a host without port, or *. and a domain: it has an empty label or one that is too long",
        ),
        (
            rule(json!({"hosts": ["[::1]:80"]})),
            ".hosts[0]: must be a host without port, or *. and a domain: it has a port",
        ),
        (
            rule(json!({"hosts": ["127.1"]})),
            ".hosts[0]: must be a host without port, or *. and a domain: it ends in a number and is no IPv4 address",
        ),
        (
            rule(json!({"hosts": ["*.[::1]"]})),
            ".hosts[0]: never matches: nothing is below an address",
        ),
        (
            rule(json!({"headers": [{"name": "host", "exact_match": "a.example:80"}]})),
            ".headers[0]: must be a host without port, or *. and a domain: it has a port",
        ),
        (
            rule(json!({"headers": [{"name": ":authority", "suffix_match": ":80"}]})),
            ".headers[0]: never matches: hosts are compared in lower case, without port and final dot",
        ),
        (
            rule(json!({"headers": [{"name": ":authority", "contains_match": "a,b"}]})),
            ".headers[0]: never matches: hosts are compared in lower case, without port and final dot",
        ),
        (
            rule(json!({"headers": [{"name": ":method", "exact_match": "post"}]})),
            ".headers[0]: must be in upper case",
        ),
        (
            rule(json!({"headers": [{"name": "x-a", "exact_match": "a "}]})),
            ".headers[0]: never matches: white space around a value is no part of it",
        ),
        (
            rule(json!({"headers": [{"name": "x-a", "prefix_match": "\ta"}]})),
            ".headers[0]: never matches: white space around a value is no part of it",
        ),
        (header(json!({"name": null})), ".headers[0].name: required"),
        (
            header(json!({"name": "x a"})),
            ".headers[0].name: is not a header name",
        ),
        (
            header(json!({"name": ":"})),
            ".headers[0].name: is not a header name",
        ),
        (
            header(json!({"name": ":path"})),
            ".headers[0].name: the path has many spellings: use prefix, path, path_separated_prefix or safe_regex",
        ),
        (
            header(json!({"exact_match": "a", "prefix_match": "b"})),
            ".headers[0]: has more than one test",
        ),
        (
            header(json!({"prefix_match": ""})),
            ".headers[0].prefix_match: must not be empty",
        ),
        (
            header(json!({"range_match": {"start": 5, "end": 5}})),
            ".headers[0].range_match: never matches: end, which is not part of it, must be above start",
        ),
        (
            header(json!({"range_match": {"start": 1.5, "end": 5}})),
            ".headers[0].range_match.start: expected a whole number of 64 bits",
        ),
        (
            header(json!({"exactMatsch": "a"})),
            ".headers[0].exactMatsch: unknown field, did you mean exactMatch?",
        ),
        (
            text(json!({})),
            ".headers[0].string_match: exactly one of exact, prefix, suffix, contains and safe_regex is required",
        ),
        (
            text(json!({"exact": "a", "contains": "b"})),
            ".headers[0].string_match: exactly one of exact, prefix, suffix, contains and safe_regex is required",
        ),
        (
            text(json!({"suffix": ""})),
            ".headers[0].string_match.suffix: must not be empty",
        ),
        (
            text(json!({"custom": {}})),
            ".headers[0].string_match.custom: not supported by this version of bearer-gate",
        ),
        (
            parameter(json!({"name": null})),
            ".query_parameters[0].name: required",
        ),
        (
            parameter(json!({"present_match": true, "string_match": {"exact": "a"}})),
            ".query_parameters[0]: has more than one test",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(
            refused(&config),
            format!("rules[0].match{expected}"),
            "{config}"
        );
    }
    let regex = refused(&path(json!({"safe_regex": {"regex": "("}})));
    assert!(
        regex.starts_with("rules[0].match.safe_regex.regex: is not a regular expression: "),
        "{regex}"
    );
    // what Envoy takes
    for accepted in [
        path(json!({"safe_regex": {"google_re2": {"max_program_size": 100}, "regex": "/a.*"}})),
        header(json!({"range_match": {"start": "-9223372036854775808", "end": 5.0}})),
        header(
            json!({"name": "Host", "invert_match": true, "treat_missing_header_as_empty": true}),
        ),
        header(json!({"name": ":method", "exact_match": "GET"})),
        parameter(json!({"present_match": false})),
        rule(json!({"hosts": ["A.example", "*.b.example", "[::1]", "127.0.0.1"]})),
    ] {
        assert_eq!(refused(&accepted), "accepted", "{accepted}");
    }
}

#[test]
fn refuses_requirements() {
    let requires =
        |requires: Value| with_rule(json!({"match": {"prefix": "/"}, "requires": requires}));
    let auth0 = json!({"provider_name": "auth0"});
    let missing = json!({"allow_missing": {}});
    let list = |name: &str, members: Value| requires(json!({name: {"requirements": members}}));
    let one_of = "exactly one of provider_name, provider_and_audiences, requires_any, requires_all, allow_missing and allow_missing_or_failed is required (leave requires out for a public rule)";
    let table = [
        (
            requires(json!({"provider_name": "auth0", "allow_missing": {}})),
            format!(": {one_of}"),
        ),
        (
            list("requires_any", json!([])),
            ".requires_any.requirements: must have 2 members at least".into(),
        ),
        (
            list("requires_all", json!([auth0])),
            ".requires_all.requirements: must have 2 members at least".into(),
        ),
        (
            list("requires_any", json!(vec![auth0.clone(); 65])),
            ".requires_any.requirements: must have 64 members at most".into(),
        ),
        (
            list("requires_all", json!([auth0, {}])),
            format!(".requires_all.requirements[1]: {one_of}"),
        ),
        (
            list("requires_any", json!([missing, {"provider_name": "auht"}])),
            ".requires_any.requirements[1].provider_name: unknown provider".into(),
        ),
        (
            requires(json!({"provider_and_audiences": {"audiences": ["a"]}})),
            ".provider_and_audiences.provider_name: required".into(),
        ),
        (
            requires(
                json!({"provider_and_audiences": {"provider_name": "auth0", "audiences": [""]}}),
            ),
            ".provider_and_audiences.audiences[0]: must not be empty".into(),
        ),
        (
            requires(json!({"allow_missing": true})),
            ".allow_missing: invalid type: boolean, expected an empty object".into(),
        ),
    ];
    for (config, expected) in table {
        assert_eq!(
            refused(&config),
            format!("rules[0].requires{expected}"),
            "{config}"
        );
    }
    let mut deep = auth0.clone();
    for _ in 0..20 {
        deep = json!({"requires_all": {"requirements": [auth0, deep]}});
    }
    assert!(refused(&requires(deep)).ends_with("more than 16 requirements within one another"));

    let with = |rule: Value, more: Value| {
        let mut config = with_rule(rule);
        merge(&mut config, more);
        config
    };
    let named = |name: &str| json!({"match": {"prefix": "/"}, "requirement_name": name});
    let map = json!({"requirement_map": {"users": auth0, "nobody": missing}});
    let authorize =
        |demand: Value| json!({"match": {"prefix": "/"}, "requires": auth0, "authorize": demand});
    let table = [
        (with(named("users"), map.clone()), "accepted"),
        (
            with(named("user"), map.clone()),
            "rules[0].requirement_name: unknown requirement, did you mean users?",
        ),
        (
            with(named("x"), json!({})),
            "rules[0].requirement_name: unknown requirement",
        ),
        (
            with(
                json!({"match": {"prefix": "/"}, "requires": auth0, "requirement_name": "users"}),
                map.clone(),
            ),
            "rules[0]: has both requires and requirement_name",
        ),
        (
            with(
                json!({}),
                json!({"requirement_map": {"x": {"provider_name": "y"}}}),
            ),
            "requirement_map.x.provider_name: unknown provider",
        ),
        (
            with(
                json!({"match": {"prefix": "/"}, "requirement_name": "nobody", "authorize": {"scopes": {"all": ["s"]}}}),
                map,
            ),
            "rules[0].authorize: contradicts allow_missing: a request without a token has no scopes and claims",
        ),
        (
            with(
                json!({"match": {"prefix": "/"}, "report_only": true}),
                json!({}),
            ),
            "rules[0].report_only: changes nothing: the rule is public",
        ),
        (
            with_rule(json!({"match": {"prefix": "/"}, "escaped_slashes": true})),
            OF_ESCAPED_SLASHES,
        ),
        (
            with_rule(json!({
                "match": {"prefix": "/"}, "escaped_slashes": true,
                "requires": {"allow_missing": {}},
            })),
            OF_ESCAPED_SLASHES,
        ),
        (
            with_rule(json!({
                "match": {"prefix": "/"}, "escaped_slashes": true, "report_only": true,
                "requires": auth0,
            })),
            OF_ESCAPED_SLASHES,
        ),
        (
            with(
                json!({
                    "match": {"prefix": "/"}, "escaped_slashes": true,
                    "requires": auth0,
                }),
                json!({
                    "route_metadata": "bearer_gate",
                    "requirement_map": {"x": auth0},
                }),
            ),
            OF_ESCAPED_SLASHES,
        ),
        (
            with_rule(authorize(json!({"policies": []}))),
            "rules[0].authorize.policies: must not be empty",
        ),
        (
            with(
                authorize(json!({"policies": ["editors"]})),
                json!({"policies": {"editor": {"claims": [{"path": ["a"], "exists": true}]}}}),
            ),
            "rules[0].authorize.policies[0]: unknown policy, did you mean editor?",
        ),
        (
            with(json!({}), json!({"policies": {"a": {"policies": ["a"]}}})),
            "policies.a.policies: a policy does not refer to others",
        ),
        (
            with(json!({}), json!({"policies": {"a": {}}})),
            "policies.a: one of scopes, claims and policies is required",
        ),
        (
            with_rule(authorize(json!({"claims": [{"path": ["a"], "not": {}}]}))),
            "rules[0].authorize.claims[0].not: exactly one of equals, any and all is required",
        ),
        (
            with_rule(authorize(
                json!({"claims": [{"path": ["a"], "not": {"exists": true}}]}),
            )),
            "rules[0].authorize.claims[0].not.exists: unknown field",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(refused(&config), expected, "{config}");
    }
}

#[test]
fn tokens_that_are_there_together_set_no_header_both() {
    let one = json!({"provider_name": "auth0"});
    let two = json!({"provider_name": "two"});
    let all = |members: Value| json!({"requires_all": {"requirements": members}});
    let any = |members: Value| json!({"requires_any": {"requirements": members}});
    let same = "auth0 and two both set";
    // of which the first sets x-user, and x-payload as its payload
    let table = [
        ("X-User", all(json!([one, two])), Some(same)),
        ("x_user", all(json!([one, two])), Some(same)),
        ("x-payload", all(json!([one, two])), Some(same)),
        (
            "x-user",
            all(json!([one, any(json!([one, two]))])),
            Some(same),
        ),
        (
            "x-user",
            all(json!([one, {"allow_missing": {}}])),
            Some(same),
        ),
        (
            "x-user",
            any(json!([one, all(json!([one, two]))])),
            Some(same),
        ),
        // one at a time
        ("x-user", any(json!([one, two])), None),
        ("x-user", all(json!([one, one])), None),
        ("x-roles", all(json!([one, two])), None),
    ];
    for (header, requires, problem) in table {
        let mut config = with_provider(json!({
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            "forward_payload_header": "x-payload",
        }));
        let (_, provider) = config["providers"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        let mut provider = provider.clone();
        provider["claim_to_headers"] = json!([{"header_name": header, "claim_name": "sub"}]);
        provider
            .as_object_mut()
            .unwrap()
            .remove("forward_payload_header");
        let first = config["providers"].as_object_mut().unwrap();
        let named = first.values().next().unwrap().clone();
        *first = serde_json::Map::new();
        first.insert("auth0".to_owned(), named);
        first.insert("two".to_owned(), provider);
        config["rules"] = json!([{"match": {"prefix": "/"}, "requires": requires}]);
        match problem {
            None => assert!(parse(&config).is_ok(), "{header} {requires}"),
            Some(problem) => {
                let refused = refused(&config);
                assert!(refused.contains(problem), "{header} {requires}: {refused}");
                assert!(
                    refused.starts_with("rules[0].requires.requires_a"),
                    "{refused}"
                );
            }
        }
    }
}
