//! Origins of CORS as no browser sends them: a page that is meant is never answered.

use crate::finding::{Finding, Kind};
use crate::view::{Chain, Part};

/// The lists of matchers of origins: of Envoy, and of Istio.
const LISTS: [&str; 2] = ["allow_origin_string_match", "allow_origins"];

pub(super) fn look_at(chain: &Chain<'_>, findings: &mut Vec<Finding>) {
    for routes in &chain.routes {
        look_below(*routes, findings);
    }
}

/// Looks at each policy in this part.
pub(super) fn look_below(part: Part<'_>, findings: &mut Vec<Finding>) {
    look_at_policy(part, findings);
    part.each_below(&mut |below| look_below(below, findings));
}

/// Looks at the origins of a policy, if this is one.
pub(super) fn look_at_policy(part: Part<'_>, findings: &mut Vec<Finding>) {
    for matcher in LISTS.iter().flat_map(|list| part.items_of(list)) {
        let ignores_case = matcher.get("ignore_case");
        let ignores_case = ignores_case.is_some_and(|it| it.node.is_true());
        for how in ["exact", "prefix", "suffix"] {
            let Some(origin) = matcher.get(how) else {
                continue;
            };
            let text = origin.node.text().unwrap_or_default();
            let Some((why, instead)) = never(how, text, ignores_case) else {
                continue;
            };
            let finding = Finding::warning(
                Kind::CorsOrigin,
                origin.spot(),
                &format!("cors.{how}"),
                format!(
                    "{why}, and no origin does that a browser sends: no page is answered by it"
                ),
            )
            .write(instead);
            // once for all chains
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
}

/// Why a matcher matches no origin, and what may be meant. An origin is a scheme, a host in small letters, and a
/// port that is not the scheme's own (RFC 6454, section 6.2).
fn never(how: &str, text: &str, ignores_case: bool) -> Option<(&'static str, String)> {
    if how == "exact" && ["*", "null"].contains(&text) {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None if how == "exact" => {
            return Some(("has no scheme", format!("{how}: https://{text}")));
        }
        None => (None, text),
    };
    let of_scheme = |rest: &str| match scheme {
        Some(scheme) => format!("{how}: {scheme}://{rest}"),
        None => format!("{how}: {rest}"),
    };
    if let Some((host, path)) = rest.split_once('/') {
        let why = match path {
            "" => "ends with a slash",
            _ => "has a path",
        };
        return Some((why, of_scheme(host)));
    }
    if rest.contains('*') {
        let instead = "safe_regex, with [^/]+ for the star; or suffix with a dot at its start";
        return Some(("has a star that stands for itself", instead.to_owned()));
    }
    if !ignores_case && text.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Some((
            "has capital letters",
            format!("{how}: {}", text.to_ascii_lowercase()),
        ));
    }
    let own_port = match (how, scheme) {
        ("exact", Some("https")) => ":443",
        ("exact", Some("http")) => ":80",
        _ => return None,
    };
    let bare = rest.strip_suffix(own_port)?;
    Some(("has the port of its scheme", of_scheme(bare)))
}

#[cfg(test)]
mod tests {
    use super::never;

    #[test]
    fn what_no_browser_sends() {
        let table = [
            ("exact", "https://app.example", None),
            ("exact", "https://app.example:8443", None),
            ("exact", "http://localhost:3000", None),
            ("exact", "*", None),
            ("exact", "null", None),
            (
                "exact",
                "https://app.example/",
                Some("exact: https://app.example"),
            ),
            (
                "exact",
                "https://app.example/a",
                Some("exact: https://app.example"),
            ),
            (
                "exact",
                "https://app.example:443",
                Some("exact: https://app.example"),
            ),
            (
                "exact",
                "http://app.example:80",
                Some("exact: http://app.example"),
            ),
            (
                "exact",
                "https://App.example",
                Some("exact: https://app.example"),
            ),
            ("exact", "app.example", Some("exact: https://app.example")),
            ("prefix", "https://app.", None),
            ("prefix", "https://app.example:443", None),
            (
                "prefix",
                "https://app.example/",
                Some("prefix: https://app.example"),
            ),
            ("suffix", ".example.com", None),
            ("suffix", ".example.com/", Some("suffix: .example.com")),
            ("suffix", "https://a.example", None),
        ];
        for (how, text, instead) in table {
            let told = never(how, text, false).map(|(_, instead)| instead);
            assert_eq!(told.as_deref(), instead, "{how} {text}");
        }
        assert!(never("exact", "https://*.example.com", false).is_some());
        assert!(never("exact", "https://App.example", true).is_none());
    }
}
