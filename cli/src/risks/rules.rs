//! What is risky about how rules divide paths among themselves.
//!
//! A path that the author may not have thought of is made of a rule's own, and the rules are asked in
//! their order who decides it. A rule counts only where it is certain that it decides such a path, and
//! asks for more or for less only where that is certain too.

use bearer_gate::config::{
    Access, ClaimRule, ClaimTest, Config, Otherwise, Permissions, Requirement, Rule, Scopes,
    TokenAccess, Unmatched,
};
use bearer_gate::http::request::Request;
use bearer_gate::matcher::{Condition, HostMatcher, PathMatcher, RequestMatcher};

use super::implies;

/// Warns of rules, by their paths in the configuration.
pub(super) fn look_at(config: &Config, warn: &mut dyn FnMut(String, &str)) {
    for (at, rule) in config.rules.all().iter().enumerate() {
        if let Some(told) = beyond_a_prefix(config, at, rule) {
            warn(format!("rules[{at}].match.prefix"), &told);
        }
        if let PathMatcher::Prefix(path) | PathMatcher::Exact(path) | PathMatcher::Segments(path) =
            &rule.matcher.path
            && path.contains('*')
        {
            warn(
                format!("rules[{at}].match"),
                "has a star, which stands for itself and for nothing else: write path_separated_prefix without it, or safe_regex",
            );
        }
        if let Some(told) = in_another_case(config, at, rule) {
            warn(format!("rules[{at}].match"), &told);
        }
    }
}

/// The rule that decides a path, and the one that is for another path and asks for more, by their
/// places: what gets past the second where the upstream is given the other path.
pub(crate) fn rules_past(config: &Config, from: &str, to: &str) -> Option<(usize, usize)> {
    let rules = || config.rules.all().iter().enumerate();
    for (at, rule) in rules() {
        let Some(takes_from) = takes(&rule.matcher, from, &rule.matcher) else {
            continue;
        };
        for (other, by) in rules() {
            let Some(takes) = takes(&by.matcher, to, &rule.matcher) else {
                continue;
            };
            if asks_less(asked_by(rule), asked_by(by)) {
                return Some((at, other));
            }
            if takes == Takes::All {
                break;
            }
        }
        if takes_from == Takes::All && rule.matcher.conditions.is_empty() {
            return None;
        }
    }
    None
}

/// `/public` opens `/public-x` too. That matters where the path would have to bring more without this
/// rule.
fn beyond_a_prefix(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    let PathMatcher::Prefix(prefix) = &rule.matcher.path else {
        return None;
    };
    if prefix.ends_with('/') {
        return None;
    }
    let path = format!("{prefix}-x");
    for (other, by) in config.rules.all().iter().enumerate() {
        if other == at {
            continue;
        }
        let Some(takes) = takes(&by.matcher, &path, &rule.matcher) else {
            continue;
        };
        if other > at && asks_less(asked_by(rule), asked_by(by)) {
            return Some(format!(
                "takes {path} too, for which rules[{other}] asks for more: write path_separated_prefix, or safe_regex where that is meant"
            ));
        }
        if takes == Takes::All {
            return None;
        }
    }
    let rest = asked_without_a_rule(config);
    asks_less(asked_by(rule), rest).then(|| {
        format!(
            "takes {path} too, which no other rule opens: write path_separated_prefix, or safe_regex where that is meant"
        )
    })
}

/// `/api/admin` does not guard `/api/ADMIN`, which many routers take for the same. That matters where a
/// rule that asks for less takes it.
fn in_another_case(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    let (PathMatcher::Prefix(path) | PathMatcher::Exact(path) | PathMatcher::Segments(path)) =
        &rule.matcher.path
    else {
        return None;
    };
    if rule.matcher.ignore_case {
        return None;
    }
    let mut spellings = other_spellings(path).into_iter();
    spellings.find_map(|spelling| who_asks_less(config, at, rule, path, &spelling))
}

fn who_asks_less(
    config: &Config,
    at: usize,
    rule: &Rule,
    path: &str,
    spelling: &str,
) -> Option<String> {
    const CURE: &str = "and many routers ignore case: say case_sensitive: false";
    for (other, by) in config.rules.all().iter().enumerate() {
        if other < at
            && let Some(takes) = takes(&by.matcher, path, &rule.matcher)
        {
            // It decides both spellings.
            if takes == Takes::All {
                return None;
            }
            continue;
        }
        let Some(takes) = takes(&by.matcher, spelling, &rule.matcher) else {
            continue;
        };
        if asks_less(asked_by(by), asked_by(rule)) {
            return Some(format!(
                "is not for {spelling}: rules[{other}] is, which asks for less, {CURE}"
            ));
        }
        if takes == Takes::All {
            return None;
        }
    }
    asks_less(asked_without_a_rule(config), asked_by(rule))
        .then(|| format!("is not for {spelling}: no rule is, so it passes without a token, {CURE}"))
}

/// The path with one segment in the other case, for each that has letters.
fn other_spellings(path: &str) -> Vec<String> {
    let segments: Vec<&str> = path.split('/').collect();
    let mut spellings = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let upper = segment.to_ascii_uppercase();
        let other = if upper == **segment {
            segment.to_ascii_lowercase()
        } else {
            upper
        };
        if other == **segment {
            continue;
        }
        let mut spelling: Vec<&str> = segments.clone();
        if let Some(place) = spelling.get_mut(at) {
            *place = &other;
        }
        spellings.push(spelling.join("/"));
    }
    spellings
}

/// How many of the requests with a path, and with the conditions of another rule, a rule takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Some,
    All,
}

/// `None` where it takes none, or where that is not certain.
fn takes(rule: &RequestMatcher, path: &str, of: &RequestMatcher) -> Option<Takes> {
    let matches = rule.path_matches(Some(path), &Request::new(Vec::new()));
    if rule.path == PathMatcher::Connect || matches != Ok(true) {
        return None;
    }
    let mut takes = Takes::All;
    for condition in &rule.conditions {
        if of.conditions.iter().any(|known| implies(known, condition)) {
            continue;
        }
        let may_be = match condition {
            Condition::Methods(_) | Condition::Hosts(_) => {
                of.conditions.iter().all(|known| overlap(known, condition))
            }
            Condition::Header(_) | Condition::Parameter(_) => false,
        };
        if !may_be {
            return None;
        }
        takes = Takes::Some;
    }
    Some(takes)
}

/// Whether both can hold of one request.
fn overlap(one: &Condition, other: &Condition) -> bool {
    match (one, other) {
        (Condition::Methods(some), Condition::Methods(others)) => {
            some.iter().any(|method| others.contains(method))
        }
        (Condition::Hosts(some), Condition::Hosts(others)) => some
            .iter()
            .any(|host| others.iter().any(|other| share_a_host(host, other))),
        _ => true,
    }
}

fn share_a_host(one: &HostMatcher, other: &HostMatcher) -> bool {
    match (one, other) {
        (HostMatcher::Exact(host), matcher) | (matcher, HostMatcher::Exact(host)) => {
            matcher.matches(host)
        }
        (HostMatcher::Below(one), HostMatcher::Below(other)) => {
            one.ends_with(other.as_str()) || other.ends_with(one.as_str())
        }
    }
}

/// What a request must bring. A rule that only reports counts as what it will be.
#[derive(Clone, Copy)]
enum Asked<'c> {
    Nothing,
    Token(&'c TokenAccess),
    /// Nothing that it can bring is enough.
    Denied,
}

fn asked_by(rule: &Rule) -> Asked<'_> {
    match &rule.access {
        Access::Token(access) if !admits_nobodies(&access.demand.requirement) => {
            Asked::Token(access)
        }
        _ => Asked::Nothing,
    }
}

fn asked_without_a_rule(config: &Config) -> Asked<'_> {
    match config.unmatched {
        Unmatched::Allow => Asked::Nothing,
        Unmatched::Deny => Asked::Denied,
    }
}

/// Whether a request without a token passes.
fn admits_nobodies(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Provider(_) => false,
        Requirement::Any { members, otherwise } => {
            *otherwise != Otherwise::Reject || members.iter().any(admits_nobodies)
        }
        Requirement::All(members) => members.iter().all(admits_nobodies),
    }
}

/// Whether the first asks for less than the second, as far as that is certain. Who asks for a token asks
/// for enough where nobody else opens the path.
fn asks_less(one: Asked<'_>, other: Asked<'_>) -> bool {
    match (one, other) {
        (Asked::Nothing, Asked::Nothing) => false,
        (Asked::Nothing, _) => true,
        (Asked::Token(one), Asked::Token(other)) => {
            is_as_weak(&one.demand.requirement, &other.demand.requirement)
                && asks_for(&other.authorize, &one.authorize)
                && !asks_for(&one.authorize, &other.authorize)
        }
        _ => false,
    }
}

/// Whether what satisfies the second requirement satisfies the first.
fn is_as_weak(one: &Requirement, other: &Requirement) -> bool {
    let is_one = |member: &Requirement| is_as_weak(member, other);
    one == other
        || match one {
            Requirement::Any { members, .. } => members.iter().any(is_one),
            Requirement::Provider(_) | Requirement::All(_) => false,
        }
}

/// Whether who has what the first asks for has what the second asks for.
fn asks_for(one: &Permissions, other: &Permissions) -> bool {
    let has = |scope: &String| one.scopes.iter().any(|scopes| scopes.all.contains(scope));
    let is_asked = |scopes: &Scopes| {
        let narrower = |known: &Scopes| {
            !known.any.is_empty() && known.any.iter().all(|scope| scopes.any.contains(scope))
        };
        let has_one =
            scopes.any.is_empty() || scopes.any.iter().any(has) || one.scopes.iter().any(narrower);
        scopes.all.iter().all(has) && has_one
    };
    let is_tested = |rule: &ClaimRule| {
        let mut same = one.claims.iter().filter(|known| known.path == rule.path);
        same.any(|known| holds_where(&known.test, &rule.test))
    };
    other.scopes.iter().all(is_asked) && other.claims.iter().all(is_tested)
}

/// Whether the second test holds wherever the first does.
fn holds_where(one: &ClaimTest, other: &ClaimTest) -> bool {
    match (one, other) {
        (ClaimTest::Equals(value), ClaimTest::Any(values)) => values.contains(value),
        (ClaimTest::Any(few), ClaimTest::Any(values)) => {
            few.iter().all(|value| values.contains(value))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
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
                json!([
                    rule(json!({"safe_regex": {"regex": "/public.*"}}), None),
                    all()
                ]),
                None,
            ),
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
}
