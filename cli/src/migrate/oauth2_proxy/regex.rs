//! Expressions for paths, which oauth2-proxy looks for anywhere in a path and a rule compares as a
//! whole.
//!
//! Invariant: what comes out matches no path that the expression does not.

use super::super::tree;
use crate::document::Node;

/// The `match` of a rule, of `METHOD=EXPRESSION` or an expression alone. `None` where it is not
/// certain.
pub(super) fn matcher(at: &Node, written: &str, has_method: bool) -> Option<Node> {
    let parts = written.split_once('=').filter(|_| has_method);
    let (method, pattern) = match parts {
        // `METHOD!=EXPRESSION` is for whatever does not match.
        Some((method, _)) if method.ends_with('!') => return None,
        Some((method, pattern)) if method.chars().all(|c| c.is_ascii_alphabetic()) => {
            (Some(method).filter(|method| !method.is_empty()), pattern)
        }
        Some(_) => return None,
        None => (None, written),
    };
    let pattern = tree::text(at, &whole(pattern)?);
    let regex = tree::object(at, [("regex", pattern)]);
    let mut matcher = tree::object(at, [("safe_regex", regex)]);
    if let Some(method) = method {
        let method = tree::text(at, &method.to_ascii_uppercase());
        tree::set(&mut matcher, "methods", tree::list(at, vec![method]));
    }
    Some(matcher)
}

/// An expression for the whole path.
fn whole(pattern: &str) -> Option<String> {
    let has_start = pattern.starts_with('^');
    let rest = pattern.strip_prefix('^').unwrap_or(pattern);
    let is_escaped = |text: &str| {
        let slashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
        slashes % 2 == 1
    };
    let (rest, has_end) = match rest.strip_suffix('$') {
        Some(before) if !is_escaped(before) => (before, true),
        _ => (rest, false),
    };
    // Elsewhere they are conditions of their own, and an alternative may have its own.
    if rest.contains(['^', '$']) && !rest.contains("[^")
        || rest.contains("(?")
        || rest.is_empty() && !has_start
    {
        return None;
    }
    let before = if has_start { "" } else { ".*" };
    let after = if has_end { "" } else { ".*" };
    // `^a|b$` is `^a` or `b$`.
    if rest.contains('|') && (has_start || has_end) && !is_in_group(rest) {
        return None;
    }
    let inner = if rest.contains('|') {
        format!("(?:{rest})")
    } else {
        rest.to_owned()
    };
    Some(format!("{before}{inner}{after}"))
}

/// Whether every `|` stands within parentheses.
fn is_in_group(pattern: &str) -> bool {
    let mut depth = 0_usize;
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn what_is_looked_for_anywhere_becomes_the_whole() {
        let table = [
            ("^/api/health$", Some("/api/health")),
            ("^/public", Some("/public.*")),
            ("\\.js$", Some(".*\\.js")),
            ("/static/", Some(".*/static/.*")),
            ("^/(a|b)/", Some("(?:/(a|b)/).*")),
            ("a|b", Some(".*(?:a|b).*")),
            ("^/", Some("/.*")),
            ("^/a\\$", None),
            ("^/[^/]+/open$", Some("/[^/]+/open")),
            ("^/a|^/b", None),
            ("^/a|/b$", None),
            ("(?i)/a", None),
            ("", None),
        ];
        for (pattern, expected) in table {
            assert_eq!(whole(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
