//! Routes that rewrite paths: the filter has decided by then, by the path that came.

use bearer_gate::config::Config;
use bearer_gate::matcher::PathMatcher;
use bearer_gate::text::Pattern;

use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::risks::rules::rules_past;
use crate::view::{Chain, Part};

const TEMPLATE: &str = "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig";

pub(super) fn look_at(chain: &Chain<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let Some(config) = config else { return };
    for route in chain.all_routes() {
        let Some(action) = route.part.get("route") else {
            continue;
        };
        let matched = route.part.get("match").unwrap_or(route.part);
        for (name, rewrite) in rewrites(action) {
            let Some((from, to, at)) = way(matched, &rewrite.form, config) else {
                continue;
            };
            let finding = Finding::warning(
                Kind::PathRewritten,
                rewrite.part.spot(),
                name,
                format!(
                    "makes {to} of {from} behind the filter, which has looked at {from}: rules[{}] decides, and rules[{}], which is for {to}, asks for more",
                    at.0, at.1
                ),
            )
            .write("a rule for the path that clients send, which asks for as much");
            // once for all chains
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
}

struct Rewrite<'d> {
    part: Part<'d>,
    form: Form<'d>,
}

/// What becomes of a path.
enum Form<'d> {
    /// What the route matched is replaced by this.
    Prefix(&'d str),
    /// Each place of the first is replaced by the second.
    Each(&'d str, &'d str),
    /// This, and nothing else.
    Whole(&'d str),
    /// Something that begins with this.
    Begins(&'d str),
}

fn rewrites<'d>(action: Part<'d>) -> impl Iterator<Item = (&'static str, Rewrite<'d>)> {
    let text = |part: &Part<'d>| part.node.text();
    let prefix = action.get("prefix_rewrite").and_then(|part| {
        let form = Form::Prefix(text(&part)?);
        Some(("prefix_rewrite", Rewrite { part, form }))
    });
    let regex = action.get("regex_rewrite").and_then(|part| {
        let substitution = part.node.text_at(&["substitution"])?;
        let pattern = part.node.text_at(&["pattern", "regex"])?;
        let is_literal = |text: &str| !text.contains(|c| r"\.+*?()|[]{}^$".contains(c));
        let form = match is_literal(pattern) && !pattern.is_empty() && !substitution.contains('\\')
        {
            true => Form::Each(pattern, substitution),
            false => Form::of(substitution, '\\'),
        };
        Some(("regex_rewrite", Rewrite { part, form }))
    });
    let policy = action.get("path_rewrite_policy").map(|part| {
        let settings = part.get("typed_config");
        let template = settings.and_then(|settings| message(settings.node, TEMPLATE));
        let template = template.and_then(|node| node.text_at(&["path_template_rewrite"]));
        let form = template.map_or(Form::Begins(""), |template| Form::of(template, '{'));
        ("path_rewrite_policy", Rewrite { part, form })
    });
    let format = action.get("path_rewrite").and_then(|part| {
        let form = Form::of(text(&part)?, '%');
        Some(("path_rewrite", Rewrite { part, form }))
    });
    [prefix, regex, policy, format].into_iter().flatten()
}

impl<'d> Form<'d> {
    /// Of a text in which this character begins what is taken from the request.
    fn of(text: &'d str, mark: char) -> Self {
        match text.split_once(mark) {
            Some((start, _)) => Self::Begins(start),
            None => Self::Whole(text),
        }
    }
}

/// A path that comes by this route, what becomes of it, and the rules of both, of which the first asks
/// for less.
fn way(
    matched: Part<'_>,
    form: &Form<'_>,
    config: &Config,
) -> Option<(String, String, (usize, usize))> {
    let known = known_paths(config);
    let text = |names: &[&str]| matched.node.text_at(names);
    let prefix = text(&["prefix"]).or_else(|| text(&["path_separated_prefix"]));
    let whole = text(&["path"]);
    let regex = text(&["safe_regex", "regex"]).map(Pattern::parse);
    let matches = |path: &str| match (&regex, prefix, whole) {
        (Some(Ok(regex)), ..) => regex.matches(path.as_bytes()),
        (_, Some(prefix), _) => path.starts_with(prefix),
        (.., Some(whole)) => path == whole,
        _ => true,
    };
    let start = prefix.or(whole).unwrap_or_default();
    let mut froms = vec![start.to_owned()];
    froms.extend(known.iter().map(|path| (*path).to_owned()));
    if let Form::Prefix(rewrite) = form {
        let below = known.iter().filter_map(|path| path.strip_prefix(rewrite));
        froms.extend(below.map(|rest| format!("{start}{rest}")));
    }
    froms.retain(|from| from.starts_with('/') && matches(from));
    froms.iter().find_map(|from| {
        let tos: Vec<String> = match form {
            Form::Prefix(rewrite) => {
                let rest = from.strip_prefix(start).unwrap_or_default();
                vec![format!("{rewrite}{rest}")]
            }
            Form::Each(pattern, by) => vec![from.replace(pattern, by)],
            Form::Whole(path) => vec![(*path).to_owned()],
            Form::Begins(start) => {
                let below = known.iter().filter(|path| path.starts_with(start));
                let below = below.map(|path| (*path).to_owned());
                below.chain([(*start).to_owned()]).collect()
            }
        };
        let mut ways = tos.into_iter().filter(|to| to != from);
        ways.find_map(|to| {
            let rules = rules_past(config, from, &to)?;
            Some((from.clone(), to, rules))
        })
    })
}

/// The paths that rules name.
fn known_paths(config: &Config) -> Vec<&str> {
    let rules = config.rules.all().iter();
    rules
        .filter_map(|rule| match &rule.matcher.path {
            PathMatcher::Prefix(path) | PathMatcher::Exact(path) | PathMatcher::Segments(path) => {
                Some(path.as_str())
            }
            PathMatcher::Regex(_) | PathMatcher::Connect => None,
        })
        .collect()
}
