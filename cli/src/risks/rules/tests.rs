use serde_json::{Value, json};

use super::*;

const ONE: &str = "asks for more";
const REST: &str = "no other rule opens";
const CASE: &str = "asks for less";
const OPEN: &str = "passes without a token";

/// What is told of the rules, each with its field.
fn told(rules: Value, unmatched: &str) -> Vec<String> {
    let provider = json!({
        "issuer": "https://i/", "audiences": ["a"],
        "remote_jwks": {"http_uri": {"uri": "https://i/jwks", "cluster": "c", "timeout": "1s"}},
    });
    let config = json!({
        "providers": {"p": provider, "q": provider}, "rules": rules, "unmatched": unmatched,
    });
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    let mut told = Vec::new();
    look_at(&config, &mut |path, text| {
        told.push(format!("{path}: {text}"))
    });
    told
}

fn check(table: &[(Value, Option<(&str, &str)>)], unmatched: &str) {
    for (rules, expected) in table {
        let told = told(rules.clone(), unmatched);
        match expected {
            None => assert!(told.is_empty(), "{rules} {told:?}"),
            Some((field, text)) => {
                assert_eq!(told.len(), 1, "{rules} {told:?}");
                let is_told = told[0].starts_with(&format!("{field}: "));
                assert!(is_told && told[0].contains(text), "{rules} {told:?}");
            }
        }
    }
}

/// What one of several alternatives is enough for is weaker than the one with a scope.
#[test]
fn a_rule_with_alternatives_asks_for_less() {
    let scoped = rule(json!({"path_separated_prefix": "/a/scoped"}), Some(&["s"]));
    let mut any = rule(json!({"path_separated_prefix": "/a"}), Some(&[]));
    let both = json!([{"provider_name": "q"}, {"provider_name": "p"}]);
    any["requires"] = json!({"requires_any": {"requirements": both}});
    let mut other = any.clone();
    other["requires"] = json!({"provider_name": "q"});
    let mut guarded = scoped.clone();
    guarded["match"]["case_sensitive"] = json!(false);
    check(
        &[
            (json!([scoped, any]), Some(("rules[0].match", CASE))),
            (json!([scoped, other]), None),
            (json!([guarded, any]), None),
        ],
        "deny",
    );
}

/// A rule with this matcher, which asks for nothing, or for a token with these scopes.
fn rule(matcher: Value, scopes: Option<&[&str]>) -> Value {
    let mut rule = json!({"match": matcher});
    if let Some(scopes) = scopes {
        rule["requires"] = json!({"provider_name": "p"});
        if !scopes.is_empty() {
            rule["authorize"] = json!({"scopes": {"all": scopes}});
        }
    }
    rule
}

#[test]
fn a_prefix_without_a_slash_at_its_end_that_opens_more_than_it_says() {
    let below = |rest: Value| {
        let mut matcher = json!({"prefix": "/public"});
        let members = matcher.as_object_mut().unwrap();
        members.extend(rest.as_object().unwrap().clone());
        matcher
    };
    let all = || rule(json!({"prefix": "/", "case_sensitive": false}), Some(&[]));
    let (first, second) = ("rules[0].match.prefix", "rules[1].match.prefix");
    let of_regex = "rules[0].match.safe_regex";
    let regex = |regex: &str| json!({"safe_regex": {"regex": regex}});
    let table = [
        (
            json!([rule(below(json!({})), None), all()]),
            Some((first, ONE)),
        ),
        (
            json!([rule(json!({"prefix": "/public/"}), None), all()]),
            None,
        ),
        (
            json!([
                rule(json!({"path_separated_prefix": "/public"}), None),
                all()
            ]),
            None,
        ),
        (json!([rule(json!({"path": "/public"}), None), all()]), None),
        (
            json!([rule(regex("/public.*"), None), all()]),
            Some((of_regex, ONE)),
        ),
        (
            json!([rule(regex("/(x|public[^/]*)$"), None), all()]),
            Some((of_regex, ONE)),
        ),
        (
            json!([rule(regex("/public.+"), None)]),
            Some((of_regex, REST)),
        ),
        (json!([rule(regex("/public(/.*)?"), None), all()]), None),
        (json!([rule(regex("/public[-/].*"), None), all()]), None),
        (json!([rule(regex("/public-.*"), None), all()]), None),
        (json!([rule(regex("/.*\\.css"), None), all()]), None),
        (json!([rule(regex("/public.*"), Some(&[])), all()]), None),
        // Nobody else opens it.
        (json!([rule(below(json!({})), None)]), Some((first, REST))),
        (
            json!([rule(json!({"path_separated_prefix": "/public"}), None)]),
            None,
        ),
        // What it takes too needs the same, or is decided before.
        (json!([rule(below(json!({})), Some(&[])), all()]), None),
        (
            json!([rule(below(json!({"case_sensitive": false})), Some(&[]))]),
            None,
        ),
        (
            json!([
                rule(
                    json!({"safe_regex": {"regex": "(?i)/public-.*"}}),
                    Some(&["a"])
                ),
                rule(below(json!({})), None),
                all()
            ]),
            None,
        ),
        // Fewer scopes, other ones, of another provider.
        (
            json!([
                rule(below(json!({})), Some(&[])),
                rule(
                    json!({"prefix": "/", "case_sensitive": false}),
                    Some(&["a"])
                )
            ]),
            Some((first, ONE)),
        ),
        (
            json!([
                rule(below(json!({"case_sensitive": false})), Some(&["b"])),
                rule(
                    json!({"prefix": "/", "case_sensitive": false}),
                    Some(&["a"])
                )
            ]),
            None,
        ),
        (
            json!([{"match": below(json!({"case_sensitive": false})), "requires": {"provider_name": "q"}}, rule(json!({"prefix": "/", "case_sensitive": false}), Some(&["a"]))]),
            None,
        ),
        (
            json!([
                rule(below(json!({"case_sensitive": false})), Some(&["a", "b"])),
                rule(
                    json!({"prefix": "/", "case_sensitive": false}),
                    Some(&["a"])
                )
            ]),
            None,
        ),
        // Who has no token passes.
        (
            json!([{"match": below(json!({})), "requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}}}, all()]),
            Some((first, ONE)),
        ),
        // Of some requests.
        (
            json!([rule(below(json!({"methods": ["GET"]})), None), all()]),
            Some((first, ONE)),
        ),
        (
            json!([
                rule(below(json!({"methods": ["GET"]})), None),
                rule(
                    json!({"prefix": "/", "methods": ["POST"], "case_sensitive": false}),
                    Some(&[])
                ),
                rule(json!({"prefix": "/"}), None)
            ]),
            None,
        ),
        (
            json!([
                rule(below(json!({})), None),
                rule(
                    json!({"prefix": "/", "methods": ["POST"], "case_sensitive": false}),
                    Some(&[])
                ),
                rule(json!({"prefix": "/"}), None)
            ]),
            Some((first, ONE)),
        ),
        (
            json!([
                rule(below(json!({"hosts": ["a.example"]})), None),
                rule(
                    json!({"prefix": "/", "hosts": ["*.example"], "case_sensitive": false}),
                    Some(&[])
                ),
                rule(json!({"prefix": "/"}), None)
            ]),
            Some((first, ONE)),
        ),
        (
            json!([
                rule(below(json!({"hosts": ["a.example"]})), None),
                rule(
                    json!({"prefix": "/", "hosts": ["b.example"], "case_sensitive": false}),
                    Some(&[])
                ),
                rule(json!({"prefix": "/"}), None)
            ]),
            None,
        ),
        // A header may never be there together with what the rule asks for.
        (
            json!([
                rule(below(json!({})), None),
                rule(
                    json!({"prefix": "/", "headers": [{"name": "x", "exact_match": "y"}], "case_sensitive": false}),
                    Some(&[])
                ),
                rule(json!({"prefix": "/"}), None)
            ]),
            None,
        ),
        (
            json!([
                rule(json!({"path": "/a", "case_sensitive": false}), Some(&[])),
                rule(below(json!({})), None)
            ]),
            Some((second, REST)),
        ),
    ];
    check(&table, "deny");
    check(&[(json!([rule(below(json!({})), None)]), None)], "allow");
}

/// The client chooses which of two rules decides.
#[test]
fn a_weaker_rule_by_what_clients_send() {
    let api = |rest: Value, scopes: Option<&[&str]>| {
        let mut matcher = json!({"path_separated_prefix": "/1", "case_sensitive": false});
        let members = matcher.as_object_mut().unwrap();
        members.extend(rest.as_object().unwrap().clone());
        rule(matcher, scopes)
    };
    let plain = || json!({});
    let header = || json!({"headers": [{"name": "x-a", "exact_match": "b"}]});
    let query = || json!({"query_parameters": [{"name": "q", "present_match": true}]});
    let all = || rule(json!({"prefix": "/", "case_sensitive": false}), Some(&[]));
    let of_header = Some(("rules[0].match.headers", "x-a"));
    let of_query = Some(("rules[0].match.query_parameters", "parameter q"));
    let table = [
        (
            json!([api(header(), None), api(plain(), Some(&[]))]),
            of_header,
        ),
        (json!([api(query(), None), all()]), of_query),
        (
            json!([api(header(), Some(&[])), api(plain(), Some(&["a"]))]),
            of_header,
        ),
        (
            json!([
                rule(
                    json!({"prefix": "/", "headers": [{"name": "x-a", "present_match": false}]}),
                    None
                ),
                api(plain(), Some(&[]))
            ]),
            of_header,
        ),
        (
            json!([
                rule(
                    json!({"safe_regex": {"regex": "/1/[a-z]+"}, "headers": [{"name": "x-a", "prefix_match": "b"}]}),
                    None
                ),
                all()
            ]),
            of_header,
        ),
        // As strong, or stronger.
        (
            json!([api(header(), Some(&[])), api(plain(), Some(&[]))]),
            None,
        ),
        (
            json!([api(header(), Some(&["a"])), api(plain(), Some(&[]))]),
            None,
        ),
        // The other rule asks for the same header, or is for other requests.
        (
            json!([
                api(header(), None),
                rule(json!({"path": "/2", "case_sensitive": false}), Some(&[]))
            ]),
            None,
        ),
        (
            json!([
                api(
                    json!({"methods": ["GET"], "headers": [{"name": "x-a", "exact_match": "b"}]}),
                    None
                ),
                api(json!({"methods": ["POST"]}), Some(&[]))
            ]),
            None,
        ),
        // A host is no choice of whoever wants to get in, and what asks a browser's permission no harm.
        (
            json!([
                api(
                    json!({"headers": [{"name": ":authority", "exact_match": "b"}]}),
                    None
                ),
                all()
            ]),
            None,
        ),
        (
            json!([
                api(
                    json!({"methods": ["OPTIONS"], "headers": [{"name": "origin", "present_match": true}]}),
                    None
                ),
                all()
            ]),
            None,
        ),
        // What is between them is for everybody.
        (
            json!([api(header(), None), api(plain(), None), all()]),
            None,
        ),
        (json!([api(header(), None)]), None),
    ];
    check(&table, "deny");
}

#[test]
fn a_guard_behind_a_rule_that_asks_for_less() {
    let guard = |matcher: Value| rule(matcher, Some(&["admin"]));
    let api = |scopes| rule(json!({"path_separated_prefix": "/api"}), scopes);
    let admin = json!({"path_separated_prefix": "/api/admin", "case_sensitive": false});
    let with = |name: &str, value: Value| {
        let mut matcher = admin.clone();
        matcher[name] = value;
        matcher
    };
    let told = Some(("rules[1].match", "put this rule before that one"));
    let whole = json!({"prefix": "/api/admin/", "case_sensitive": false});
    let exact = json!({"path": "/api/admin", "case_sensitive": false});
    let table = [
        (json!([api(Some(&[])), guard(admin.clone())]), told),
        (json!([api(None), guard(admin.clone())]), told),
        (json!([api(Some(&[])), guard(whole)]), told),
        (json!([api(Some(&[])), guard(exact)]), told),
        (
            json!([api(Some(&[])), guard(with("methods", json!(["DELETE"])))]),
            told,
        ),
        (json!([guard(admin.clone()), api(Some(&[]))]), None),
        (json!([api(Some(&["admin"])), guard(admin.clone())]), None),
        // of some requests only, or one path of them
        (
            json!([
                rule(
                    json!({"path_separated_prefix": "/api", "methods": ["GET"]}),
                    Some(&[])
                ),
                guard(admin.clone())
            ]),
            None,
        ),
        (
            json!([
                rule(json!({"path": "/api/admin"}), None),
                guard(admin.clone())
            ]),
            None,
        ),
    ];
    check(&table, "deny");
}

#[test]
fn a_guard_that_another_spelling_passes_by() {
    let guard = |matcher: Value| rule(matcher, Some(&["admin"]));
    let prefix = |prefix: &str| json!({"prefix": prefix});
    let whole = |scopes| rule(prefix("/"), scopes);
    let first = Some(("rules[0].match", CASE));
    let ignored = json!({"prefix": "/api/admin/", "case_sensitive": false});
    let table = [
        (
            json!([guard(prefix("/api/admin/")), whole(Some(&[]))]),
            first,
        ),
        (
            json!([guard(json!({"path": "/api/admin"})), whole(None)]),
            first,
        ),
        (
            json!([
                guard(json!({"path_separated_prefix": "/api/admin"})),
                whole(None)
            ]),
            first,
        ),
        (
            json!([
                guard(prefix("/api/ADMIN/")),
                rule(prefix("/api/"), Some(&[]))
            ]),
            first,
        ),
        (json!([guard(ignored.clone()), whole(Some(&[]))]), None),
        (json!([guard(prefix("/1/2/")), whole(None)]), None),
        // Nobody takes the other spelling, or only who asks for as much.
        (json!([guard(prefix("/api/admin/"))]), None),
        (
            json!([guard(prefix("/api/admin/")), whole(Some(&["admin"]))]),
            None,
        ),
        (
            json!([guard(prefix("/api/admin/")), whole(Some(&["other"]))]),
            None,
        ),
        (
            json!([
                guard(prefix("/api/admin/")),
                guard(prefix("/api/ADMIN/")),
                guard(prefix("/API/admin/"))
            ]),
            None,
        ),
        // What is before it is for both spellings.
        (
            json!([
                rule(json!({"prefix": "/api/", "methods": ["GET"]}), Some(&[])),
                guard(prefix("/api/admin/"))
            ]),
            None,
        ),
        (
            json!([
                rule(json!({"path": "/api/ADMIN/"}), None),
                guard(prefix("/api/admin/"))
            ]),
            Some(("rules[1].match", CASE)),
        ),
        // Of other requests.
        (
            json!([
                guard(json!({"prefix": "/api/admin/", "methods": ["POST"]})),
                rule(json!({"prefix": "/", "methods": ["GET"]}), None)
            ]),
            None,
        ),
        (
            json!([
                guard(json!({"prefix": "/api/admin/", "methods": ["POST"]})),
                rule(json!({"prefix": "/", "methods": ["GET", "POST"]}), None)
            ]),
            first,
        ),
    ];
    check(&table, "deny");
    check(
        &[
            (
                json!([guard(prefix("/api/admin/"))]),
                Some(("rules[0].match", OPEN)),
            ),
            (json!([guard(ignored)]), None),
        ],
        "allow",
    );
}

#[test]
fn a_star_stands_for_itself() {
    let at = |matcher: Value| json!([rule(matcher, Some(&[]))]);
    let star = Some(("rules[0].match", "a star"));
    check(
        &[
            (at(json!({"path": "/1/*"})), star),
            (at(json!({"path_separated_prefix": "/1/*"})), star),
            (at(json!({"prefix": "/1/*"})), star),
            (at(json!({"safe_regex": {"regex": "/1/.*"}})), None),
        ],
        "deny",
    );
}

#[test]
fn what_stands_for_something_elsewhere_is_told() {
    let at = |matcher: Value| json!([rule(matcher, Some(&[]))]);
    let parameter = Some(("rules[0].match", "a parameter of a router"));
    let methods = Some(("rules[0].match.methods", "without methods"));
    check(
        &[
            (at(json!({"path": "/1/{id}"})), parameter),
            (at(json!({"path": "/1/<int:id>/2"})), parameter),
            (at(json!({"path_separated_prefix": "/1/:id"})), parameter),
            (at(json!({"prefix": "/1/:id"})), parameter),
            // as Google's APIs have them
            (at(json!({"path_separated_prefix": "/1/x:batch"})), None),
            (at(json!({"path_separated_prefix": "/1/:1"})), None),
            (at(json!({"prefix": "/", "methods": ["*"]})), methods),
            (
                at(json!({"prefix": "/", "methods": ["GET", "ANY"]})),
                methods,
            ),
            (at(json!({"prefix": "/", "methods": ["GET"]})), None),
        ],
        "deny",
    );
}

#[test]
fn a_path_to_a_claim_is_a_list_of_names() {
    let at = |path: Value| {
        json!([{
            "match": {"prefix": "/"}, "requires": {"provider_name": "p"},
            "authorize": {"claims": [
                {"path": ["a"], "exists": true},
                {"path": path, "any": ["admin"]},
            ]},
        }])
    };
    let told = Some(("rules[0].authorize.claims[1].path", "[realm_access, roles]"));
    check(
        &[
            (at(json!(["realm_access.roles"])), told),
            (at(json!(["realm_access", "roles"])), None),
            (at(json!(["https://example.com/roles"])), None),
            (at(json!(["example.com/roles"])), None),
            (at(json!(["kubernetes.io", "namespace"])), None),
        ],
        "deny",
    );
}

#[test]
fn what_asks_for_more_by_claims() {
    let rule = |at: &str, test: Value| {
        json!({
            "match": {"prefix": at}, "requires": {"provider_name": "p"},
            "authorize": {"claims": [test]},
        })
    };
    let (ada, both) = (
        json!({"path": ["a"], "equals": "ada"}),
        json!({"path": ["a"], "any": ["ada", "ed"]}),
    );
    let other = json!({"path": ["b"], "equals": "ada"});
    let less = Some(("rules[0].match", CASE));
    check(
        &[
            (
                json!([rule("/a/", ada.clone()), rule("/", both.clone())]),
                less,
            ),
            (
                json!([rule("/a/", both.clone()), rule("/", ada.clone())]),
                None,
            ),
            (json!([rule("/a/", ada.clone()), rule("/", other)]), None),
            (json!([rule("/a/", both.clone()), rule("/", both)]), None),
        ],
        "deny",
    );
}

#[test]
fn an_expression_that_a_spelling_escapes() {
    let regex =
        |regex: &str, scope: &str| rule(json!({"safe_regex": {"regex": regex}}), Some(&[scope]));
    let api = || {
        rule(
            json!({"path_separated_prefix": "/api", "case_sensitive": false}),
            Some(&[]),
        )
    };
    let first = "rules[0].match";
    let table = [
        // another case
        (
            json!([regex("/api/admin(/.*)?", "a"), api()]),
            Some((first, "is not for /API/admin: rules[1] is")),
        ),
        (json!([regex("(?i)/api/admin(/.*)?", "a"), api()]), None),
        (
            json!([
                regex("/api/[0-9]+/?", "a"),
                rule(
                    json!({"path_separated_prefix": "/api", "case_sensitive": false}),
                    Some(&["a"])
                )
            ]),
            None,
        ),
        // a slash at the end
        (
            json!([regex("(?i)/api/admin", "a"), api()]),
            Some((first, "is not for /api/admin/: rules[1] is")),
        ),
        (
            json!([regex("(?i)/api/admin/.*", "a"), api()]),
            Some((first, "is not for /api/admin: rules[1] is")),
        ),
        (json!([regex("(?i)/api/admin/?", "a"), api()]), None),
        (
            json!([
                rule(
                    json!({"path": "/api/admin", "case_sensitive": false}),
                    Some(&["a"])
                ),
                api()
            ]),
            Some((first, "is not for /api/admin/: rules[1] is")),
        ),
        // nobody asks for less
        (json!([regex("(?i)/api/admin", "a")]), None),
        (
            json!([rule(json!({"path": "/api/public"}), None), api()]),
            None,
        ),
        // behind one that takes all of its paths
        (
            json!([api(), regex("(?i)/api/admin/?", "a")]),
            Some(("rules[1].match", "is not asked for /api/admin")),
        ),
        (json!([api(), regex("(?i)/(api|v2)/admin/?", "a")]), None),
        (
            json!([
                rule(json!({"path": "/api/admin/x"}), Some(&[])),
                regex("(?i)/api/admin(/.*)?", "a")
            ]),
            None,
        ),
    ];
    check(&table[..3], "allow");
    check(&table[3..], "deny");
}

/// Upstreams answer `HEAD` by what they do for `GET`.
#[test]
fn a_guard_of_get_that_leaves_head_to_a_rule_that_asks_for_less() {
    let of = |methods: Value, scopes| {
        let mut matcher = json!({"path_separated_prefix": "/api", "case_sensitive": false});
        matcher["methods"] = methods;
        rule(matcher, scopes)
    };
    let all = |scopes| rule(json!({"prefix": "/"}), scopes);
    let field = "rules[0].match.methods";
    let told = Some((field, "is not for HEAD: rules[1] is, which asks for less"));
    let table = [
        (json!([of(json!(["GET"]), Some(&["a"])), all(None)]), told),
        (
            json!([of(json!(["GET"]), Some(&["a"])), all(Some(&[]))]),
            told,
        ),
        (
            json!([of(json!(["GET", "POST"]), Some(&[])), all(None)]),
            told,
        ),
        (
            json!([of(json!(["GET", "HEAD"]), Some(&["a"])), all(None)]),
            None,
        ),
        (
            json!([of(json!(["GET"]), Some(&["a"])), all(Some(&["a"]))]),
            None,
        ),
        (json!([of(json!(["GET"]), Some(&["a"]))]), None),
        // it is for other methods on purpose
        (
            json!([of(json!(["POST"]), Some(&["a"])), all(Some(&[]))]),
            None,
        ),
        // HEAD is decided by a rule of its own
        (
            json!([
                of(json!(["GET"]), Some(&[])),
                of(json!(["HEAD"]), Some(&[])),
                all(None)
            ]),
            None,
        ),
        (
            json!([
                of(json!(["HEAD"]), Some(&[])),
                of(json!(["GET"]), Some(&[])),
                all(None)
            ]),
            None,
        ),
        // GET is public
        (json!([of(json!(["GET"]), None), all(Some(&[]))]), None),
    ];
    check(&table, "deny");
    check(
        &[
            (
                json!([of(json!(["GET"]), Some(&["a"]))]),
                Some((
                    field,
                    "is not for HEAD: no rule is, so it passes without a token",
                )),
            ),
            (json!([of(json!(["GET", "HEAD"]), Some(&["a"]))]), None),
        ],
        "allow",
    );
}
