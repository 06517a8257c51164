//! What Istio decides, as its documentation has it (AuthorizationPolicy, RequestAuthentication).

use serde_json::Value;

use crate::request::{ISSUERS, Request};

/// Whether a text passes one of the values: exact, `abc*`, `*abc`, or `*` for every text but the empty one.
fn passes(values: &[Value], text: &str) -> bool {
    values.iter().any(|value| {
        let value = value.as_str().unwrap();
        if value == "*" {
            !text.is_empty()
        } else if let Some(end) = value.strip_prefix('*') {
            text.ends_with(end)
        } else if let Some(start) = value.strip_suffix('*') {
            text.starts_with(start)
        } else {
            text == value
        }
    })
}

/// A path passes a template segment by segment: `{*}` is one segment, `{**}` any number.
fn passes_template(template: &str, path: &str) -> bool {
    fn walk(template: &[&str], path: &[&str]) -> bool {
        let legal =
            |segment: &str| !segment.contains(['"', '<', '>', '[', ']', '^', '`', '{', '|', '}']);
        match (template.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"{**}", rest)), _) => (1..=path.len()).any(|taken| {
                let (these, others) = path.split_at(taken);
                these.iter().all(|segment| legal(segment)) && walk(rest, others)
            }),
            (Some((&"{*}", rest)), Some((segment, others))) => {
                !segment.is_empty() && legal(segment) && walk(rest, others)
            }
            (Some((literal, rest)), Some((segment, others))) => {
                literal == segment && walk(rest, others)
            }
            _ => false,
        }
    }
    let split = |text| str::split(text, '/').collect::<Vec<_>>();
    walk(&split(template), &split(path))
}

fn passes_path(values: &[Value], path: &str) -> bool {
    values.iter().any(|value| {
        let text = value.as_str().unwrap();
        match text.contains("{*}") || text.contains("{**}") {
            true => passes_template(text, path),
            false => passes(std::slice::from_ref(value), path),
        }
    })
}

/// A list that is there, and its counterpart: both have to be right.
fn both(object: &Value, field: &str, not_field: &str, test: impl Fn(&[Value]) -> bool) -> bool {
    let list = |name: &str| object.get(name).and_then(Value::as_array);
    list(field).is_none_or(|values| test(values))
        && !list(not_field).is_some_and(|values| test(values))
}

fn passes_operation(operation: &Value, request: &Request) -> bool {
    let lower = |values: &[Value]| -> Vec<Value> {
        let lower = values
            .iter()
            .map(|value| value.as_str().unwrap().to_ascii_lowercase());
        lower.map(Value::from).collect()
    };
    let host = request.host.to_ascii_lowercase();
    both(operation, "hosts", "notHosts", |values| {
        passes(&lower(values), &host)
    }) && both(operation, "methods", "notMethods", |values| {
        passes(values, &request.method)
    }) && both(operation, "paths", "notPaths", |values| {
        passes_path(values, &request.path)
    })
}

/// Whether the token's principal is one of these, by its issuer and its subject.
fn passes_principal(values: &[Value], claims: &Value) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let (issuer, subject) = (text("iss"), text("sub"));
    if claims.get("sub").is_none() {
        return false;
    }
    values.iter().any(|value| {
        let value = value.as_str().unwrap();
        let one = |pattern: &str, text: &str| passes(&[Value::from(pattern)], text);
        match value.rsplit_once('/') {
            _ if value == "*" => !issuer.is_empty() && !subject.is_empty(),
            Some((of_issuer, of_subject)) if value.starts_with('*') => {
                one(of_issuer, issuer) && of_subject == subject
            }
            Some((of_issuer, of_subject)) => of_issuer == issuer && one(of_subject, subject),
            None if value.starts_with('*') => !issuer.is_empty() && one(value, subject),
            None => one(value, issuer) && !subject.is_empty(),
        }
    })
}

/// A claim passes as a text, or by an item of a list. `scope` and `permission` are lists of words.
fn passes_claim(values: &[Value], path: &[&str], claims: &Value) -> bool {
    let Some(claim) = path
        .iter()
        .try_fold(claims, |at, name| at.as_object()?.get(*name))
    else {
        return false;
    };
    let text = |value: &Value| value.as_str().is_some_and(|text| passes(values, text));
    match claim {
        Value::String(words) if path == ["scope"] || path == ["permission"] => {
            let mut words = words.split(' ').filter(|word| !word.is_empty());
            words.any(|word| passes(values, word))
        }
        Value::Array(items) => items.iter().any(text),
        other => text(other),
    }
}

fn passes_condition(condition: &Value, request: &Request) -> bool {
    let key = condition["key"].as_str().unwrap();
    let claims = request.token.as_ref().map(|token| &token.claims);
    let of_claim = |path: &[&str]| {
        both(condition, "values", "notValues", |values| {
            claims.is_some_and(|claims| passes_claim(values, path, claims))
        })
    };
    if let Some(rest) = key.strip_prefix("request.auth.claims[") {
        let names: Vec<&str> = rest.trim_end_matches(']').split("][").collect();
        return of_claim(&names);
    }
    if let Some(rest) = key.strip_prefix("request.headers[") {
        let name = rest.trim_end_matches(']').to_ascii_lowercase();
        let value = request.headers.iter().find(|(other, _)| *other == name);
        return both(condition, "values", "notValues", |values| {
            value.is_some_and(|(_, value)| {
                values.iter().any(|one| one == "*") || passes(values, value)
            })
        });
    }
    match key {
        "request.auth.principal" => both(condition, "values", "notValues", |values| {
            claims.is_some_and(|claims| passes_principal(values, claims))
        }),
        "request.auth.audiences" => of_claim(&["aud"]),
        "request.auth.presenter" => of_claim(&["azp"]),
        other => panic!("{other} is not drawn"),
    }
}

fn passes_rule(rule: &Value, request: &Request) -> bool {
    let list = |name: &str| rule.get(name).and_then(Value::as_array);
    let claims = request.token.as_ref().map(|token| &token.claims);
    let from = |from: &Value| {
        both(
            &from["source"],
            "requestPrincipals",
            "notRequestPrincipals",
            |values| claims.is_some_and(|claims| passes_principal(values, claims)),
        )
    };
    list("from").is_none_or(|sources| sources.iter().any(from))
        && list("to").is_none_or(|operations| {
            let passes = |to: &Value| passes_operation(&to["operation"], request);
            operations.iter().any(passes)
        })
        && list("when").is_none_or(|conditions| {
            let passes = |condition: &Value| passes_condition(condition, request);
            conditions.iter().all(passes)
        })
}

/// Whether the request gets through.
pub(crate) fn admits(policies: &[Value], request: &Request) -> bool {
    let is_accepted = request.token.as_ref().is_none_or(|token| {
        let issuer = token.claims["iss"].as_str().unwrap_or_default();
        token.is_good && ISSUERS.contains(&issuer)
    });
    if !is_accepted {
        return false;
    }
    let of_action = |action: &'static str| {
        policies.iter().filter(move |policy| {
            let written = policy["spec"]
                .get("action")
                .map_or("ALLOW", |action| action.as_str().unwrap());
            written == action
        })
    };
    let fits = |policy: &Value| {
        let rules = policy["spec"].get("rules").and_then(Value::as_array);
        rules.is_some_and(|rules| rules.iter().any(|rule| passes_rule(rule, request)))
    };
    if of_action("DENY").any(fits) {
        return false;
    }
    of_action("ALLOW").next().is_none() || of_action("ALLOW").any(fits)
}

#[test]
fn the_evaluator_reads_the_documentation_so() {
    use serde_json::json;
    let list = |text: &str| vec![Value::from(text)];
    // From the examples of the page on AuthorizationPolicy.
    assert!(passes_template("/foo/{*}", "/foo/bar"));
    assert!(!passes_template("/foo/{*}", "/foo/bar/baz"));
    assert!(passes_template("/foo/{**}/", "/foo/bar/baz/"));
    assert!(!passes_template("/foo/{**}/", "/foo/bar/baz"));
    assert!(passes_template("/{*}/bar/{**}", "/buzz/bar/buzz/"));
    assert!(!passes_template("/{*}/bar/{**}", "/bar/buzz"));
    let claims = json!({"iss": "issuer.example.com", "sub": "subject-admin", "groups": ["g"]});
    for (value, expected) in [
        ("issuer.example.com/subject-admin", true),
        ("issuer.example.com/*", true),
        ("*/subject-admin", true),
        ("*/other", false),
        ("issuer.*", true),
        ("*-admin", true),
        ("other", false),
    ] {
        assert_eq!(passes_principal(&list(value), &claims), expected, "{value}");
    }
    assert!(passes_claim(&list("g"), &["groups"], &claims));
    assert!(!passes_claim(&list("g"), &["group"], &claims));
}
