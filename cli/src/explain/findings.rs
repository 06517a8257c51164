//! What `check` finds about the parts of a file that had a part in a decision.
//!
//! Invariant: nothing is looked for here. A finding is `check`'s, and is told or left out.

use crate::check;
use crate::command_error::CommandError;
use crate::document::Node;
use crate::explanation::{Mark, Step, Touched};
use crate::finding::{Finding, Kind};
use crate::outlook::{Does, Outlook, Source};
use crate::plugin::{File, Plugin};
use crate::view::View;

/// More findings are counted only.
const MOST_SHOWN: usize = 6;

/// A step with the findings, if there are any.
pub(super) fn step(
    file: &File,
    plugin: &Plugin<'_>,
    source: Source,
    touched: &Touched,
) -> Result<Option<(Step, Option<Outlook>)>, CommandError> {
    let files = std::slice::from_ref(file);
    let view = View::new(files);
    let findings = check::check(files, &view)?;
    let members: Vec<&str> = plugin
        .tree()
        .map_or(&[][..], Node::entries)
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    let (own, around): (Vec<Finding>, Vec<Finding>) = findings
        .into_iter()
        .partition(|finding| is_of_configuration(&finding.path, &members));
    // A file may have several configurations: what is where another one has its fields is that one's.
    let own = own.into_iter().filter(|finding| {
        let is_of = |plugin: &Plugin<'_>| {
            plugin.locate(&finding.path) == (finding.spot.line, finding.spot.column)
        };
        matters(&finding.path, touched) && (is_of(plugin) || !view.plugins.iter().any(is_of))
    });
    let mut found: Vec<Finding> = own.chain(around).collect();
    if found.is_empty() {
        return Ok(None);
    }
    // Listeners with the same settings have the same findings.
    found.sort_by(|one, other| (&one.path, &one.text).cmp(&(&other.path, &other.text)));
    found.dedup_by(|one, other| one.path == other.path && one.text == other.text);
    found.sort_by_key(|finding| (!finding.is_error(), finding.spot));
    let count = found.len();
    let text = match source {
        Source::File => format!(
            "findings that may make Envoy answer otherwise: {count}, by bearer-gate check {}",
            file.name
        ),
        Source::Running => {
            format!("findings in what runs that may make Envoy answer otherwise: {count}")
        }
    };
    let mut step = Step::new("check", Mark::Note, text);
    for finding in found.iter().take(MOST_SHOWN) {
        let mark = if finding.is_error() {
            Mark::Bad
        } else {
            Mark::Note
        };
        let Finding {
            spot, path, text, ..
        } = finding;
        step.detail(
            mark,
            match source {
                Source::File => format!("line {}: {path}: {text}", spot.line),
                Source::Running => format!("{path}: {text}"),
            },
        );
    }
    if let Some(more) = found.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        step.detail(Mark::Note, format!("and {more} more"));
    }
    Ok(Some((step, outlook(&found))))
}

/// What an Envoy with these findings does, if it is not what the configuration says.
fn outlook(found: &[Finding]) -> Option<Outlook> {
    let mut errors = found.iter().filter(|finding| finding.is_error());
    let first = errors.next()?;
    let missing = found.iter().find(|finding| {
        finding.kind == Kind::ClusterMissing && finding.path.starts_with("providers.")
    });
    Some(match missing {
        Some(missing) => Outlook::new(Does::Answers(503), missing.text.clone()),
        None => Outlook::new(Does::MayDiffer, first.text.clone()),
    })
}

/// Whether a path is one of the plugin's configuration, not of what surrounds it.
fn is_of_configuration(path: &str, members: &[&str]) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    first == "unmatched" || members.contains(&first)
}

/// Whether a field of the configuration had a part in the decision.
fn matters(path: &str, touched: &Touched) -> bool {
    let is_or_below = |part: &str| {
        let rest = path.strip_prefix(part);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let of_rule = match touched.rule {
        Some(rule) => is_or_below(&format!("rules[{rule}]")),
        None => is_or_below("unmatched"),
    };
    let mut providers = touched.providers.iter();
    of_rule || providers.any(|name| is_or_below(&format!("providers.{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_no_part_is_left_out() {
        let touched = Touched {
            rule: Some(1),
            providers: vec!["a".to_owned()],
        };
        for (path, expected) in [
            ("providers.a", true),
            ("providers.a.remote_jwks.http_uri.cluster", true),
            ("providers.ab", false),
            ("providers.b.issuer", false),
            ("rules[1]", true),
            ("rules[1].match", true),
            ("rules[10]", false),
            ("rules[0]", false),
            ("unmatched", false),
        ] {
            assert_eq!(matters(path, &touched), expected, "{path}");
        }
        assert!(is_of_configuration("rules[0].match", &["rules"]));
        assert!(!is_of_configuration("normalize_path", &["rules"]));
    }
}
