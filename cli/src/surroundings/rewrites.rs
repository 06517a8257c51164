//! Routes that rewrite paths: the filter has decided by then, by the path that came.

use bearer_gate::config::Config;
use bearer_gate::matcher::PathMatcher;
use bearer_gate::text::Pattern;
use regex_lite::Regex;

use crate::expression;
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::risks::rules::{opens, rules_past};
use crate::view::{Chain, Part};

const TEMPLATE: &str = "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig";

/// The most paths that are tried of one route.
const MOST: usize = 1024;

pub(super) fn look_at(chain: &Chain<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let Some(config) = config else { return };
    for route in chain.all_routes() {
        let Some(action) = route.part.get("route") else {
            continue;
        };
        let matched = Matched::of(route.part.get("match").unwrap_or(route.part));
        for rewrite in rewrites(action) {
            rewrite.look_at(&matched, config, findings);
        }
    }
}

/// The paths of a route.
pub(super) enum Matched<'d> {
    Any,
    Prefix(&'d str),
    /// It, and what is below it.
    Segments(&'d str),
    Exact(&'d str),
    Regex(&'d str, Pattern),
}

/// What becomes of a path.
pub(super) enum Form<'d> {
    /// What the route matched is replaced by this.
    Prefix(&'d str),
    /// Each place of the expression is replaced by the text, in which `$` stands for its groups.
    Each(Regex, String),
    /// This, and nothing else.
    Whole(&'d str),
    /// Something that begins with this.
    Begins(&'d str),
}

pub(super) struct Rewrite<'d> {
    pub part: Part<'d>,
    /// The field.
    pub path: &'static str,
    pub form: Form<'d>,
}

fn rewrites<'d>(action: Part<'d>) -> impl Iterator<Item = Rewrite<'d>> {
    let field = |path: &'static str, form: fn(Part<'d>) -> Option<Form<'d>>| {
        let part = action.get(path)?;
        let form = form(part)?;
        Some(Rewrite { part, path, form })
    };
    let fields = [
        field("prefix_rewrite", |part| part.node.text().map(Form::Prefix)),
        field("regex_rewrite", |part| {
            let pattern = part.node.text_at(&["pattern", "regex"])?;
            let substitution = part.node.text_at(&["substitution"]);
            Some(Form::each(pattern, substitution.unwrap_or_default()))
        }),
        field("path_rewrite_policy", |part| {
            let settings = part.get("typed_config");
            let template = settings.and_then(|settings| message(settings.node, TEMPLATE));
            let template = template.and_then(|node| node.text_at(&["path_template_rewrite"]));
            Some(template.map_or(Form::Begins(""), |template| Form::of(template, '{')))
        }),
        field("path_rewrite", |part| {
            Some(Form::of(part.node.text()?, '%'))
        }),
    ];
    fields.into_iter().flatten()
}

impl<'d> Matched<'d> {
    /// The paths of a rule of the Gateway API.
    pub(super) fn of_rule(rule: Part<'d>) -> Vec<Self> {
        let mut matched: Vec<Self> = rule.items_of("matches").map(Self::of_match).collect();
        if matched.is_empty() {
            matched.push(Self::Segments("/"));
        }
        matched
    }

    fn of_match(matched: Part<'d>) -> Self {
        let text = |name: &str| matched.node.text_at(&["path", name]);
        let value = text("value").unwrap_or("/");
        match text("type") {
            Some("Exact") => Self::Exact(value),
            Some("RegularExpression") => Self::regex(value),
            // the end of a prefix is the end of a segment
            _ => Self::Segments(value.strip_suffix('/').unwrap_or(value)),
        }
    }

    pub(super) fn of(matched: Part<'d>) -> Self {
        let text = |names: &[&str]| matched.node.text_at(names);
        let prefix = || text(&["prefix"]).map(Self::Prefix);
        let segments = || text(&["path_separated_prefix"]).map(Self::Segments);
        let exact = || text(&["path"]).map(Self::Exact);
        let regex = || text(&["safe_regex", "regex"]).map(Self::regex);
        let found = prefix().or_else(segments).or_else(exact);
        found.or_else(regex).unwrap_or(Self::Any)
    }

    /// Those of an expression; what cannot be read may be every path.
    pub(super) fn regex(written: &'d str) -> Self {
        Pattern::parse(written).map_or(Self::Any, |pattern| Self::Regex(written, pattern))
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Segments(segments) => path.strip_prefix(segments).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || segments.ends_with('/')
            }),
            Self::Exact(exact) => path == *exact,
            Self::Regex(_, pattern) => pattern.matches(path.as_bytes()),
        }
    }

    /// Paths with which those of the route begin, and what of them is replaced.
    fn starts(&self) -> Vec<String> {
        match self {
            Self::Any => Vec::new(),
            Self::Prefix(path) | Self::Segments(path) | Self::Exact(path) => {
                vec![(*path).to_owned()]
            }
            Self::Regex(written, _) => expression::examples(written, None),
        }
    }

    /// One of its paths that is let through without a token, and the rule that does it, if it is one.
    pub(super) fn open(&self, config: &Config) -> Option<(String, Option<usize>)> {
        let known = known_paths(config).into_iter().map(str::to_owned);
        let of_rules = config.rules.all().iter();
        let of_rules = of_rules.flat_map(|rule| match &rule.matcher.path {
            PathMatcher::Regex(pattern) => expression::examples(pattern.written(), None),
            _ => Vec::new(),
        });
        let any = ["/".to_owned(), "/x".to_owned()];
        let paths = known.chain(of_rules).chain(self.starts()).chain(any);
        let mut paths = paths.filter(|path| path.starts_with('/') && self.matches(path));
        paths.find_map(|path| {
            let by = opens(config, &path)?;
            Some((path, by))
        })
    }

    /// What is left of a path when what was matched is taken off. An expression has matched all of it.
    fn rest<'p>(&self, path: &'p str) -> &'p str {
        match self {
            Self::Prefix(prefix) | Self::Segments(prefix) => {
                path.strip_prefix(prefix).unwrap_or_default()
            }
            Self::Any => path,
            Self::Exact(_) | Self::Regex(..) => "",
        }
    }
}

impl<'d> Form<'d> {
    /// Of a text in which this character begins what is taken from the request.
    fn of(text: &'d str, mark: char) -> Self {
        match text.split_once(mark) {
            Some((start, _)) => Self::Begins(start),
            None => Self::Whole(text),
        }
    }

    /// Of an expression of Envoy's, whose groups are `\1` in what is put in its place.
    pub(super) fn each(pattern: &str, substitution: &'d str) -> Self {
        let mut by = String::new();
        let mut letters = substitution.chars();
        while let Some(letter) = letters.next() {
            match (letter, letter == '\\') {
                (_, true) => match letters.next() {
                    Some(digit) if digit.is_ascii_digit() => by.push_str(&format!("${{{digit}}}")),
                    other => by.extend(other),
                },
                ('$', _) => by.push_str("$$"),
                _ => by.push(letter),
            }
        }
        match Regex::new(pattern) {
            Ok(regex) => Self::Each(regex, by),
            Err(_) => Self::of(substitution, '\\'),
        }
    }

    /// What may become of a path.
    fn apply(&self, path: &str, matched: &Matched<'_>, known: &[&str]) -> Vec<String> {
        match self {
            Self::Prefix(rewrite) => vec![format!("{rewrite}{}", matched.rest(path))],
            Self::Each(regex, by) => vec![regex.replace_all(path, by.as_str()).into_owned()],
            Self::Whole(path) => vec![(*path).to_owned()],
            Self::Begins(start) => {
                let below = known.iter().filter(|path| path.starts_with(start));
                let below = below.map(|path| (*path).to_owned());
                below.chain([(*start).to_owned()]).collect()
            }
        }
    }

    /// Paths of a route from which this one may come.
    fn sources(&self, starts: &[String], path: &str) -> Vec<String> {
        match self {
            Self::Prefix(rewrite) => {
                let bare = rewrite.strip_suffix('/').unwrap_or(rewrite);
                let rests = [path.strip_prefix(rewrite), path.strip_prefix(bare)];
                let rests = rests.into_iter().flatten();
                rests
                    .flat_map(|rest| starts.iter().map(move |start| format!("{start}{rest}")))
                    .collect()
            }
            Self::Each(regex, by) => {
                let literal = by.split('$').next().unwrap_or_default();
                let mut groups = vec![path, path.trim_start_matches('/')];
                groups.extend(path.strip_prefix(literal));
                let examples = |group| expression::examples(regex.as_str(), Some(group));
                let found = groups.into_iter().flat_map(examples);
                found
                    .flat_map(|found| [found.clone(), format!("{found}{path}")])
                    .collect()
            }
            Self::Whole(_) | Self::Begins(_) => Vec::new(),
        }
    }
}

impl Rewrite<'_> {
    /// Tells of a path that a rule lets through, which becomes one for which another rule asks for more.
    pub(super) fn look_at(
        &self,
        matched: &Matched<'_>,
        config: &Config,
        findings: &mut Vec<Finding>,
    ) {
        let Some((from, to, at)) = self.way(matched, config) else {
            return;
        };
        let finding = Finding::warning(
            Kind::PathRewritten,
            self.part.spot(),
            self.path,
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

    /// A path that comes by the route, what becomes of it, and the rules of both, of which the first asks
    /// for less.
    fn way(
        &self,
        matched: &Matched<'_>,
        config: &Config,
    ) -> Option<(String, String, (usize, usize))> {
        let known = known_paths(config);
        let starts = matched.starts();
        let whole = known.iter().map(|path| (*path).to_owned());
        let sources = known
            .iter()
            .flat_map(|path| self.form.sources(&starts, path));
        let mut froms: Vec<String> = starts.iter().cloned().chain(whole).collect();
        froms.extend(sources.take(MOST));
        // what is looked for may be behind a path that a rule opens
        if matches!(self.form, Form::Each(..)) {
            let ends: Vec<String> = froms.clone();
            let behind = |open: &&str| {
                let open = open.strip_suffix('/').unwrap_or(open);
                ends.iter()
                    .map(move |end| format!("{open}{end}"))
                    .collect::<Vec<_>>()
            };
            froms.extend(known.iter().flat_map(behind).take(MOST));
        }
        froms.retain(|from| from.starts_with('/') && matched.matches(from));
        froms.iter().find_map(|from| {
            let tos = self.form.apply(from, matched, &known).into_iter();
            let mut ways = tos
                .map(|to| without_empty_segments(&to))
                .filter(|to| to != from);
            ways.find_map(|to| {
                let rules = rules_past(config, from, &to)?;
                Some((from.clone(), to, rules))
            })
        })
    }
}

/// Whether rules ask for more of one path than of another.
pub(super) fn may_matter(config: &Config) -> bool {
    let known = known_paths(config);
    known.iter().any(|from| {
        known
            .iter()
            .any(|to| rules_past(config, from, to).is_some())
    })
}

/// A path as most upstreams read it.
fn without_empty_segments(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !merged.ends_with('/') {
            merged.push(letter);
        }
    }
    match merged.is_empty() {
        true => "/".to_owned(),
        false => merged,
    }
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
