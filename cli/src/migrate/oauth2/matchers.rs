//! Matchers of headers, by which the `oauth2` filter tells requests apart, as the `match` of a rule.
//!
//! Invariant: what comes out matches no request that was not matched before, but for the path's
//! spelling and its query. What cannot be said so is an error.

use super::super::tree;
use crate::document::{Node, Yaml};

/// What a matcher of the old filter is in a rule.
pub(super) enum Taken {
    Header(Node),
    /// A path matcher of a rule, and whether case counts.
    Path {
        kind: &'static str,
        value: Node,
        ignores_case: bool,
    },
}

/// What two matchers have in common.
pub(super) enum Common {
    Match(Box<Node>),
    Nothing,
    /// It cannot be told.
    Unclear,
}

const PATH_KINDS: [&str; 5] = [
    "prefix",
    "path",
    "path_separated_prefix",
    "safe_regex",
    "connect_matcher",
];

/// Reads a `HeaderMatcher`.
pub(super) fn take(matcher: &Node) -> Result<Taken, &'static str> {
    let name = matcher.text_at(&["name"]).unwrap_or_default();
    if !name.eq_ignore_ascii_case(":path") {
        return Ok(Taken::Header(matcher.clone()));
    }
    let is_set = |field: &str| matcher.get(field).is_some_and(Node::is_true);
    if is_set("invert_match") || is_set("treat_missing_header_as_empty") {
        return Err("tests what the path is not: say in match which paths are meant");
    }
    let by_old_field = ["exact", "prefix", "suffix", "contains"].into_iter();
    let mut texts = by_old_field.filter_map(|kind| {
        let old = matcher.get(&format!("{kind}_match"));
        let text = old.or_else(|| matcher.at(&["string_match", kind]))?;
        Some((kind, text))
    });
    let (Some((kind, node)), None) = (texts.next(), texts.next()) else {
        return Err("compares path and query at once, which a rule does not: say it by match");
    };
    let text = node.text().unwrap_or_default();
    if text.contains(['?', '#']) {
        return Err("is about the query: say it by match, with query_parameters");
    }
    let ignores_case = matcher
        .at(&["string_match", "ignore_case"])
        .is_some_and(Node::is_true);
    let regex = |pattern: String| {
        let case = if ignores_case { "(?i)" } else { "" };
        let pattern = tree::text(node, &format!("{case}{pattern}"));
        Taken::Path {
            kind: "safe_regex",
            value: tree::object(node, [("regex", pattern)]),
            ignores_case: false,
        }
    };
    let literal = |kind| Taken::Path {
        kind,
        value: node.clone(),
        ignores_case,
    };
    Ok(match kind {
        "exact" => literal("path"),
        "prefix" => literal("prefix"),
        "suffix" => regex(format!(".*{}", escaped(text))),
        _ => regex(format!(".*{}.*", escaped(text))),
    })
}

fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Whether it is for everything that begins with `Bearer `.
pub(super) fn is_bearer(matcher: &Node) -> bool {
    let name = matcher.text_at(&["name"]).unwrap_or_default();
    let prefix = matcher
        .get("prefix_match")
        .or_else(|| matcher.at(&["string_match", "prefix"]));
    let is_inverted = matcher.get("invert_match").is_some_and(Node::is_true);
    name.eq_ignore_ascii_case("authorization")
        && prefix
            .and_then(Node::text)
            .is_some_and(|text| text.eq_ignore_ascii_case("bearer "))
        && !is_inverted
}

/// The `match` of a rule for what both match.
pub(super) fn both(rule: &Node, taken: &Taken) -> Common {
    match taken {
        Taken::Header(matcher) => {
            let mut common = rule.clone();
            tree::push(&mut common, "headers", matcher.clone());
            Common::Match(Box::new(common))
        }
        Taken::Path {
            kind,
            value,
            ignores_case,
        } => both_paths(rule, kind, value, *ignores_case),
    }
}

fn both_paths(rule: &Node, kind: &str, value: &Node, ignores_case: bool) -> Common {
    let mut kinds = PATH_KINDS.iter();
    let Some(own_kind) = kinds.find(|kind| rule.get(kind).is_some()) else {
        return Common::Unclear;
    };
    let own = rule.text_at(&[own_kind]);
    let narrowed = || {
        let mut common = rule.clone();
        common.remove(own_kind);
        common.remove("case_sensitive");
        tree::set(&mut common, kind, value.clone());
        if ignores_case {
            let no = tree::value(value, Yaml::Bool(false));
            tree::set(&mut common, "case_sensitive", no);
        }
        Common::Match(Box::new(common))
    };
    if *own_kind == "prefix" && own == Some("/") {
        return narrowed();
    }
    let regards_case = rule
        .get("case_sensitive")
        .is_none_or(|node| matches!(node.yaml, Yaml::Bool(true)));
    let (Some(own), Some(text), true, false) = (own, value.text(), regards_case, ignores_case)
    else {
        return Common::Unclear;
    };
    if covers(own_kind, own, kind, text) {
        narrowed()
    } else if covers(kind, text, own_kind, own) {
        Common::Match(Box::new(rule.clone()))
    } else {
        Common::Nothing
    }
}

/// Whether the first of two literal paths matches everything that the second one does.
fn covers(kind: &str, text: &str, other_kind: &str, other: &str) -> bool {
    match kind {
        "prefix" => other.starts_with(text),
        "path_separated_prefix" => {
            let below = other.strip_prefix(text);
            below.is_some_and(|rest| {
                rest.starts_with('/') || rest.is_empty() && other_kind != "prefix"
            })
        }
        _ => other_kind == "path" && text == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Scalars, parse};

    fn node(text: &str) -> Node {
        parse(text, Some(Scalars::Envoy)).unwrap().remove(0)
    }

    fn common(rule: &str, matcher: &str) -> String {
        let taken = match take(&node(matcher)) {
            Ok(taken) => taken,
            Err(_) => return "open".to_owned(),
        };
        match both(&node(rule), &taken) {
            Common::Match(node) => node.to_json().replace('"', ""),
            Common::Nothing => "nothing".to_owned(),
            Common::Unclear => "unclear".to_owned(),
        }
    }

    #[test]
    fn what_a_rule_and_a_matcher_have_in_common() {
        let table = [
            (
                "{prefix: /}",
                "{name: x, exact_match: a}",
                "{prefix:/,headers:[{name:x,exact_match:a}]}",
            ),
            (
                "{prefix: /a, headers: [{name: z}]}",
                "{name: x}",
                "{prefix:/a,headers:[{name:z},{name:x}]}",
            ),
            (
                "{prefix: /}",
                "{name: ':path', exact_match: /a}",
                "{path:/a}",
            ),
            (
                "{prefix: /}",
                "{name: ':Path', string_match: {prefix: /a, ignore_case: true}}",
                "{prefix:/a,case_sensitive:false}",
            ),
            (
                "{prefix: /}",
                "{name: ':path', string_match: {suffix: .js}}",
                "{safe_regex:{regex:.*\\\\.js}}",
            ),
            (
                "{prefix: /}",
                "{name: ':path', string_match: {contains: a+b, ignore_case: true}}",
                "{safe_regex:{regex:(?i).*a\\\\+b.*}}",
            ),
            // narrower, wider, apart
            (
                "{prefix: /a}",
                "{name: ':path', prefix_match: /ab}",
                "{prefix:/ab}",
            ),
            (
                "{prefix: /ab}",
                "{name: ':path', prefix_match: /a}",
                "{prefix:/ab}",
            ),
            (
                "{prefix: /a}",
                "{name: ':path', prefix_match: /b}",
                "nothing",
            ),
            (
                "{path: /a}",
                "{name: ':path', prefix_match: /}",
                "{path:/a}",
            ),
            ("{path: /a}", "{name: ':path', exact_match: /ab}", "nothing"),
            (
                "{path_separated_prefix: /a}",
                "{name: ':path', exact_match: /a}",
                "{path:/a}",
            ),
            (
                "{path_separated_prefix: /a}",
                "{name: ':path', prefix_match: /a}",
                "{path_separated_prefix:/a}",
            ),
            (
                "{path_separated_prefix: /a}",
                "{name: ':path', prefix_match: /ab}",
                "nothing",
            ),
            (
                "{safe_regex: {regex: /a}}",
                "{name: ':path', prefix_match: /a}",
                "unclear",
            ),
            (
                "{prefix: /a, case_sensitive: false}",
                "{name: ':path', prefix_match: /a}",
                "unclear",
            ),
            // what says more than a path
            ("{prefix: /}", "{name: ':path', exact_match: /a?b}", "open"),
            (
                "{prefix: /}",
                "{name: ':path', exact_match: /a, invert_match: true}",
                "open",
            ),
            (
                "{prefix: /}",
                "{name: ':path', present_match: true}",
                "open",
            ),
            (
                "{prefix: /}",
                "{name: ':path', safe_regex_match: {regex: /a}}",
                "open",
            ),
        ];
        for (rule, matcher, expected) in table {
            assert_eq!(common(rule, matcher), expected, "{rule} {matcher}");
        }
    }
}
