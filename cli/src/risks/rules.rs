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

use super::{covers, implies};
use crate::expression;

/// Warns of rules, by their paths in the configuration.
pub(super) fn look_at(config: &Config, warn: &mut dyn FnMut(String, &str)) {
    for (at, rule) in config.rules.all().iter().enumerate() {
        let field = match &rule.matcher.path {
            PathMatcher::Regex(_) => "safe_regex",
            _ => "prefix",
        };
        if let Some(told) = beyond_its_end(config, at, rule) {
            warn(format!("rules[{at}].match.{field}"), &told);
        }
        if let Some(told) = stands_for_itself(&rule.matcher.path) {
            warn(format!("rules[{at}].match"), told);
        }
        if rule.matcher.conditions.iter().any(is_any_method) {
            warn(
                format!("rules[{at}].match.methods"),
                "is for the method of that name alone: without methods a rule is for all of them",
            );
        }
        for (number, test) in tests_of(rule).iter().enumerate() {
            if let Some(told) = dotted(test) {
                warn(
                    format!("rules[{at}].authorize.claims[{number}].path"),
                    &told,
                );
            }
        }
        let spellings = [
            in_another_case(config, at, rule),
            at_the_last_slash(config, at, rule),
        ];
        let spellings: Vec<String> = spellings.into_iter().flatten().collect();
        if !spellings.is_empty() {
            warn(format!("rules[{at}].match"), &spellings.join("; and it "));
        }
        if let Some(told) = asked_for_head(config, at, rule) {
            warn(format!("rules[{at}].match.methods"), &told);
        }
        if let Some((field, told)) = by_what_clients_send(config, at, rule) {
            warn(format!("rules[{at}].match.{field}"), &told);
        }
        if let Some(told) = behind_a_weaker(config, at, rule) {
            warn(format!("rules[{at}].match"), &told);
        }
    }
}

/// What a path has that elsewhere stands for something: of globs, and of the routers of applications.
fn stands_for_itself(matcher: &PathMatcher) -> Option<&'static str> {
    let (PathMatcher::Prefix(path) | PathMatcher::Exact(path) | PathMatcher::Segments(path)) =
        matcher
    else {
        return None;
    };
    let is_parameter = |segment: &str| {
        let mut letters = segment.chars();
        letters.next() == Some(':') && letters.next().is_some_and(char::is_alphabetic)
    };
    if path.contains('*') {
        Some(
            "has a star, which stands for itself and for nothing else: write path_separated_prefix without it, or safe_regex",
        )
    } else if path.contains(['{', '}', '<', '>']) || path.split('/').any(is_parameter) {
        Some(
            "has a parameter of a router, as {id}, which stands for itself and for nothing else: write path_separated_prefix with what is before it, or safe_regex with [^/]+ in its place",
        )
    } else {
        None
    }
}

/// A word for all methods, which is a method of that name.
fn is_any_method(condition: &Condition) -> bool {
    let is_word = |name: &String| matches!(name.as_str(), "*" | "ANY" | "ALL");
    matches!(condition, Condition::Methods(names) if names.iter().any(is_word))
}

fn tests_of(rule: &Rule) -> &[ClaimRule] {
    match &rule.access {
        Access::Token(access) => &access.authorize.claims,
        Access::Public => &[],
    }
}

/// `[realm_access.roles]`, in one name. Names with dots of their own are addresses, or begin with a host's name.
fn dotted(test: &ClaimRule) -> Option<String> {
    let name = test.path.iter().find(|name| {
        let is_word = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        name.contains('.') && name.as_str() != "kubernetes.io" && name.split('.').all(is_word)
    })?;
    let names = name.split('.').collect::<Vec<_>>().join(", ");
    Some(format!(
        "has a dot in a name, and is for a claim of that very name: what is within others has a list of names, as [{names}]"
    ))
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

/// The rule that lets requests of a path through without a token; `None` in it where no rule is for the path,
/// and none has to be.
pub(crate) fn opens(config: &Config, path: &str) -> Option<Option<usize>> {
    let takes_it = |rule: &Rule, of: &Rule| takes(&rule.matcher, path, &of.matcher);
    opens_where(config, &takes_it)
}

/// As [`opens`], of `CONNECT`, which has no path.
pub(crate) fn opens_connect(config: &Config) -> Option<Option<usize>> {
    let is_for_it = |rule: &Rule, _: &Rule| {
        let is_bare = rule.matcher.conditions.is_empty();
        (rule.matcher.path == PathMatcher::Connect).then_some(match is_bare {
            true => Takes::All,
            false => Takes::Some,
        })
    };
    opens_where(config, &is_for_it)
}

/// Of the requests for which the first rule is asked whether it takes those of the second.
fn opens_where(
    config: &Config,
    takes: &dyn Fn(&Rule, &Rule) -> Option<Takes>,
) -> Option<Option<usize>> {
    let rules = config.rules.all();
    let mut taken = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| takes(rule, rule).is_some());
    let is_left_to = |at: usize, rule: &Rule| {
        let mut earlier = rules.iter().take(at);
        !earlier.any(|earlier| takes(earlier, rule) == Some(Takes::All))
    };
    let is_open = |(at, rule): &(usize, &Rule)| {
        matches!(asked_by(rule), Asked::Nothing) && is_left_to(*at, rule)
    };
    if let Some((at, _)) = taken.clone().find(is_open) {
        return Some(Some(at));
    }
    let is_all_taken = taken.any(|(_, rule)| rule.matcher.conditions.is_empty());
    let is_open_without = matches!(asked_without_a_rule(config), Asked::Nothing);
    (is_open_without && !is_all_taken).then_some(None)
}

/// `/public` opens `/public-x` too, and so does `/public.*`. That matters where the path would have to
/// bring more without this rule.
fn beyond_its_end(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    const AS_A_REGEX: &str = "(/.*)? for what is below it, or say what may follow, as [-/].*";
    let (ends, instead) = match &rule.matcher.path {
        PathMatcher::Prefix(prefix) => (
            vec![prefix.clone()],
            "path_separated_prefix, or a safe_regex that says what may follow, as [-/].*",
        ),
        PathMatcher::Regex(pattern) => (expression::open_ends(pattern.written()), AS_A_REGEX),
        PathMatcher::Exact(_) | PathMatcher::Segments(_) | PathMatcher::Connect => return None,
    };
    let is_separator = |last: char| match rule.matcher.path {
        PathMatcher::Regex(_) => !last.is_alphanumeric(),
        _ => last == '/',
    };
    let is_in_a_word = |end: &&String| end.starts_with('/') && !end.ends_with(is_separator);
    let mut ends = ends.iter().filter(is_in_a_word);
    ends.find_map(|end| {
        let path = format!("{end}-x");
        takes(&rule.matcher, &path, &rule.matcher)?;
        let told = match asks_more_without(config, at, &path)? {
            Some(other) => format!("for which rules[{other}] asks for more"),
            None => "which no other rule opens".to_owned(),
        };
        Some(format!("takes {path} too, {told}: write {instead}"))
    })
}

/// Who asks for more of a path than a rule does, among those that would decide it without this one; `None`
/// in it where no rule would.
pub(super) fn asks_more_without(config: &Config, at: usize, path: &str) -> Option<Option<usize>> {
    let rule = config.rules.all().get(at)?;
    for (other, by) in config.rules.all().iter().enumerate() {
        if other == at {
            continue;
        }
        let Some(takes) = takes(&by.matcher, path, &rule.matcher) else {
            continue;
        };
        if other > at && asks_less(asked_by(rule), asked_by(by)) {
            return Some(Some(other));
        }
        if takes == Takes::All {
            return None;
        }
    }
    asks_less(asked_by(rule), asked_without_a_rule(config)).then_some(None)
}

/// A rule by a header or a parameter, before one that asks for more of the same paths: the client chooses
/// the weaker one. A browser asks for permission by a header too, with `OPTIONS`, which upstreams do nothing for.
fn by_what_clients_send(config: &Config, at: usize, rule: &Rule) -> Option<(&'static str, String)> {
    let conditions = &rule.matcher.conditions;
    let only_asks = |condition: &Condition| matches!(condition, Condition::Methods(methods) if methods.iter().all(|name| name == "OPTIONS"));
    if conditions.iter().any(only_asks) {
        return None;
    }
    let (field, what) = conditions.iter().find_map(|condition| match condition {
        Condition::Header(header) if !header.name.starts_with(':') => {
            Some(("headers", format!("header {}", header.name)))
        }
        Condition::Parameter(parameter) => {
            Some(("query_parameters", format!("parameter {}", parameter.name)))
        }
        Condition::Header(_) | Condition::Methods(_) | Condition::Hosts(_) => None,
    })?;
    let later = config.rules.all().iter().skip(at);
    let mut paths = later.flat_map(|rule| paths_of(&rule.matcher.path));
    let (path, other) = paths.find_map(|path| {
        takes(&rule.matcher, &path, &rule.matcher)?;
        let other = asks_more_without(config, at, &path)??;
        Some((path, other))
    })?;
    Some((
        field,
        format!(
            "the {what} is the client's choice, and makes less be asked of {path} than rules[{other}] asks: leave it out, or have what stands before Envoy take it off"
        ),
    ))
}

/// Paths that a matcher is for.
fn paths_of(matcher: &PathMatcher) -> Vec<String> {
    match matcher {
        PathMatcher::Prefix(path) | PathMatcher::Exact(path) | PathMatcher::Segments(path) => {
            vec![path.clone()]
        }
        PathMatcher::Regex(pattern) => expression::examples(pattern.written(), None),
        PathMatcher::Connect => Vec::new(),
    }
}

/// `/api/admin` does not guard `/api/ADMIN`, which many routers take for the same. That matters where a
/// rule that asks for less takes it.
fn in_another_case(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    if rule.matcher.ignore_case {
        return None;
    }
    let cure = match &rule.matcher.path {
        PathMatcher::Regex(_) => "begin the expression with (?i)",
        _ => "say case_sensitive: false",
    };
    paths_of(&rule.matcher.path).iter().find_map(|path| {
        let mut spellings = other_spellings(path).into_iter();
        let told =
            spellings.find_map(|spelling| at_another_path(config, at, rule, path, &spelling));
        Some(format!("{}, and many routers ignore case: {cure}", told?))
    })
}

/// `/api/admin` does not guard `/api/admin/`, nor `/api/admin/.*` the path without its last slash. Many routers
/// take both for the same.
fn at_the_last_slash(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    let cure = match &rule.matcher.path {
        PathMatcher::Exact(_) => "write path_separated_prefix",
        PathMatcher::Regex(_) => "end the expression in /? or in (/.*)?",
        // whoever writes a slash there means what is below
        PathMatcher::Prefix(_) | PathMatcher::Segments(_) | PathMatcher::Connect => return None,
    };
    paths_of(&rule.matcher.path).iter().find_map(|path| {
        let spelling = match path.strip_suffix('/') {
            Some("") => return None,
            Some(bare) => bare.to_owned(),
            None => format!("{path}/"),
        };
        let told = at_another_path(config, at, rule, path, &spelling)?;
        Some(format!(
            "{told}, and many routers take both for the same: {cure}"
        ))
    })
}

fn at_another_path(
    config: &Config,
    at: usize,
    rule: &Rule,
    path: &str,
    spelling: &str,
) -> Option<String> {
    let other = (spelling, &rule.matcher);
    Some(match who_asks_less(config, at, rule, path, other)? {
        Some(other) => format!("is not for {spelling}: rules[{other}] is, which asks for less"),
        None => format!("is not for {spelling}: no rule is, so it passes without a token"),
    })
}

/// `methods: [GET]` does not guard `HEAD`, which most upstreams answer by what they do for `GET`.
fn asked_for_head(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    let mut of_head = rule.matcher.clone();
    for condition in &mut of_head.conditions {
        let Condition::Methods(methods) = condition else {
            continue;
        };
        if !methods.iter().any(|name| name == "GET") || methods.iter().any(|name| name == "HEAD") {
            return None;
        }
        *methods = vec!["HEAD".to_owned()];
    }
    paths_of(&rule.matcher.path).iter().find_map(|path| {
        let told = match who_asks_less(config, at, rule, path, (path, &of_head))? {
            Some(other) => format!("rules[{other}] is, which asks for less"),
            None => "no rule is, so it passes without a token".to_owned(),
        };
        Some(format!(
            "is not for HEAD: {told}, and most upstreams do for HEAD what they do for GET: write [GET, HEAD]"
        ))
    })
}

/// Of a rule that decides a path, who asks for less of other requests, which it is not for: those with the path
/// and the conditions of `other`. `None` in it where no rule is for them, and none has to be.
fn who_asks_less(
    config: &Config,
    at: usize,
    rule: &Rule,
    path: &str,
    (spelling, of): (&str, &RequestMatcher),
) -> Option<Option<usize>> {
    // it is for both
    takes(&rule.matcher, path, &rule.matcher)?;
    if takes(&rule.matcher, spelling, of).is_some() {
        return None;
    }
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
        let Some(takes) = takes(&by.matcher, spelling, of) else {
            continue;
        };
        if asks_less(asked_by(by), asked_by(rule)) {
            return Some(Some(other));
        }
        if takes == Takes::All {
            return None;
        }
    }
    asks_less(asked_without_a_rule(config), asked_by(rule)).then_some(None)
}

/// `/api/admin` behind `/api` guards nothing but what `/api` leaves to it, such as another case. Where it
/// leaves nothing, the rule is never reached, which is told elsewhere.
fn behind_a_weaker(config: &Config, at: usize, rule: &Rule) -> Option<String> {
    let paths = paths_of(&rule.matcher.path);
    let path = paths.first()?;
    let below = match &rule.matcher.path {
        PathMatcher::Segments(path) => vec![format!("{path}/x")],
        PathMatcher::Prefix(path) => vec![format!("{}/x", path.trim_end_matches('/'))],
        PathMatcher::Exact(_) | PathMatcher::Regex(_) | PathMatcher::Connect => Vec::new(),
    };
    let mut earlier = config.rules.all().iter().take(at).enumerate();
    let (other, by) = earlier.find(|(_, by)| {
        let mut all = paths.iter().chain(&below);
        all.all(|path| takes(&by.matcher, path, &rule.matcher) == Some(Takes::All))
    })?;
    let is_weaker = asks_less(asked_by(by), asked_by(rule));
    (is_weaker && !covers(&by.matcher, &rule.matcher)).then(|| {
        format!(
            "is not asked for {path} nor for what is below: rules[{other}] is before it, and asks for less: put this rule before that one"
        )
    })
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
mod tests;
