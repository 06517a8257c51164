//! The rules that the `oauth2` filter and a jwt_authn filter after it come to together.
//!
//! Invariant: a rule asks for all that both filters asked for, or is for what both let pass.

use super::super::access::{NOBODY, asks_nobody};
use super::super::tree;
use super::matchers::{Common, Taken, both, is_bearer, take};
use crate::document::{Node, Yaml};

/// What a session is in the rules.
pub(super) struct People<'n> {
    /// The name of the scheme.
    pub scheme: &'n str,
    /// The provider of jwt_authn that read the token of a session, if one did.
    pub provider: Option<&'n str>,
    /// Whether that provider reads the Authorization header and nothing else.
    pub reads_bearer_only: bool,
    /// Whether a bad token in another place of that provider was refused, whatever the session.
    pub is_read_elsewhere: bool,
    /// Whether that token was the ID token, of which a session has the claims.
    pub has_claims: bool,
    /// Whether a request that no rule matches is denied.
    pub denies_others: bool,
}

/// Lists of matchers, in the order in which the filter looks at them.
const LISTS: [&str; 3] = [
    "pass_through_matcher",
    "allow_failed_matcher",
    "deny_redirect_matcher",
];

/// A rule of jwt_authn: what it is for, what it asks for, and what it asks of the token.
struct Asked {
    matcher: Node,
    requires: Option<Node>,
    authorize: Option<Node>,
}

/// Claims of a token that a session does not have.
const CLAIMS: &str = "asks for claims of a token that is not the ID token of a session: say with authorize which sessions may";

/// Takes note of a matcher that is no rule, or a rule that cannot be, by its list and its number,
/// with the line that a rule is of.
pub(super) type Unsaid<'s> = dyn FnMut(String, Option<usize>, &'static str) + 's;

/// The rules. `jwt` is jwt_authn's configuration.
pub(super) fn rules(
    config: &Node,
    jwt: Option<&Node>,
    people: &People<'_>,
    unsaid: &mut Unsaid<'_>,
) -> Vec<Node> {
    let asked = asked(config, jwt, people);
    for (index, asked) in asked.iter().enumerate() {
        if asked.claims_are_missing(people) {
            unsaid(format!("rules[{index}]"), Some(asked.matcher.line), CLAIMS);
        }
    }
    let mut rules = Vec::new();
    // Of a Bearer token jwt_authn says what it is worth, so it stands beside the session.
    let mut takes_bearer = false;
    for list in LISTS {
        for (index, matcher) in config.items_of(list).iter().enumerate() {
            let field = || format!("{list}[{index}]");
            let all_beside = || {
                asked
                    .iter()
                    .all(|asked| asked.takes_bearer_beside_a_session(people))
            };
            if list == "pass_through_matcher" && is_bearer(matcher) && all_beside() {
                takes_bearer = true;
                continue;
            }
            let taken = match take(matcher) {
                Ok(taken) => taken,
                Err(why) => {
                    unsaid(field(), None, why);
                    continue;
                }
            };
            for asked in &asked {
                match asked.narrowed(&taken, list, people, takes_bearer) {
                    Some(Ok(rule)) => rules.push(rule),
                    Some(Err(())) => unsaid(
                        field(),
                        None,
                        "and a rule of jwt_authn are about paths of which nobody can say what they have in common",
                    ),
                    None => {}
                }
            }
        }
    }
    let whole = |asked: &Asked| asked.rule(asked.matcher.clone(), people, takes_bearer);
    rules.extend(asked.iter().map(whole));
    rules
}

/// What jwt_authn asks for; without it, and where no rule of it matches, nothing.
fn asked(config: &Node, jwt: Option<&Node>, people: &People<'_>) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    for rule in jwt.map_or(&[][..], |jwt| jwt.items_of("rules")) {
        let named = rule.get("requirement_name").map(|name| {
            let found = jwt.and_then(|jwt| jwt.at(&["requirement_map", name.text()?]));
            // One that nobody knows is refused by the filter, by the name.
            found
                .cloned()
                .unwrap_or_else(|| tree::object(name, [("provider_name", name.clone())]))
        });
        asked.push(Asked {
            matcher: rule.get("match").unwrap_or(rule).clone(),
            requires: rule.get("requires").cloned().or(named),
            authorize: rule.get("authorize").cloned(),
        });
    }
    let is_complete = jwt.is_some_and(super::super::convert::are_complete);
    if !is_complete && !people.denies_others {
        let everything = tree::object(config, [("prefix", tree::text(config, "/"))]);
        asked.push(Asked {
            matcher: everything,
            requires: None,
            authorize: None,
        });
    }
    asked
}

impl Asked {
    fn rule(&self, matcher: Node, people: &People<'_>, takes_bearer: bool) -> Node {
        let takes_bearer = takes_bearer && !self.is_for_nobody();
        match self.requires.as_ref().filter(|_| takes_bearer) {
            // A session does not say what is asked of the token.
            Some(own) if self.claims_are_missing(people) => self.of(matcher, Some(own.clone())),
            Some(own) => {
                let either = any(own, vec![own.clone(), self.with_session(people)]);
                self.of(matcher, Some(either))
            }
            None => self.signed_in(matcher, people),
        }
    }

    fn of(&self, matcher: Node, requires: Option<Node>) -> Node {
        let at = self.matcher.clone();
        let requires = requires.map(|requires| ("requires", requires));
        let authorize = self.authorize.clone().map(|node| ("authorize", node));
        let members = [("match", matcher)].into_iter();
        let mut rule = tree::object(&at, members.chain(requires).chain(authorize));
        if self.is_for_nobody() {
            tree::note(&mut rule, "match", NOBODY);
        }
        rule
    }

    /// A rule for those who have signed in, if it asks for something.
    fn signed_in(&self, matcher: Node, people: &People<'_>) -> Node {
        if self.is_for_nobody() && self.requires.is_some() {
            return self.of(matcher, self.requires.clone());
        }
        let mut rule = self.of(matcher, Some(self.with_session(people)));
        if self.is_for_nobody() {
            tree::set(&mut rule, "authorize", no_session(&self.matcher));
        } else if self.claims_are_missing(people) {
            tree::set(&mut rule, "authorize", no_session(&self.matcher));
            tree::note(&mut rule, "match", "This is open.");
        }
        rule
    }

    fn is_for_nobody(&self) -> bool {
        self.authorize.as_ref().is_some_and(asks_nobody)
    }

    /// Whether something is asked of the claims of a token, and a session does not have them.
    fn claims_are_missing(&self, people: &People<'_>) -> bool {
        let is_session = self.requires.as_ref();
        let is_session = is_session.is_some_and(|requires| is_satisfied(requires, people.provider));
        let asks = self.authorize.is_some() && !self.is_for_nobody();
        // Of two tokens either one may have the claims.
        asks && !(is_session && people.has_claims && !people.is_read_elsewhere)
    }

    /// A rule for what a matcher of a list takes, too.
    fn narrowed(
        &self,
        taken: &Taken,
        list: &str,
        people: &People<'_>,
        takes_bearer: bool,
    ) -> Option<Result<Node, ()>> {
        let matcher = match both(&self.matcher, taken) {
            Common::Match(matcher) => *matcher,
            Common::Nothing => return None,
            Common::Unclear => return Some(Err(())),
        };
        let at = matcher.clone();
        let unauthorized = || tree::text(&at, "unauthorized");
        Some(Ok(match (list, &self.requires) {
            ("pass_through_matcher", requires) => self.of(matcher, requires.clone()),
            ("allow_failed_matcher", None) => {
                let missing = tree::object(&at, [("allow_missing", tree::object(&at, []))]);
                let requires = any(&at, vec![session(&at, people), missing]);
                self.of(matcher, Some(requires))
            }
            _ => {
                let mut rule = self.rule(matcher, people, takes_bearer);
                // Where a session counts for nothing nobody is sent to sign in.
                let asks_for_token = takes_bearer && self.claims_are_missing(people);
                if !self.is_for_nobody() && !asks_for_token {
                    tree::set(&mut rule, "unauthenticated", unauthorized());
                }
                rule
            }
        }))
    }

    /// A session, and what a session does not say by itself.
    fn with_session(&self, people: &People<'_>) -> Node {
        match &self.requires {
            Some(requires) if !is_satisfied(requires, people.provider) => {
                all(requires, vec![session(requires, people), requires.clone()])
            }
            Some(requires) if people.is_read_elsewhere => {
                let missing =
                    tree::object(requires, [("allow_missing", tree::object(requires, []))]);
                let or_none = any(requires, vec![requires.clone(), missing]);
                all(requires, vec![session(requires, people), or_none])
            }
            Some(requires) => session(requires, people),
            None => session(&self.matcher, people),
        }
    }

    /// Whether a request with a Bearer token needs that token or a session, and nothing else
    /// counts for the one or the other.
    fn takes_bearer_beside_a_session(&self, people: &People<'_>) -> bool {
        let Some(requires) = &self.requires else {
            return false;
        };
        let named = requires
            .text_at(&["provider_name"])
            .or_else(|| requires.text_at(&["provider_and_audiences", "provider_name"]));
        people.reads_bearer_only && named.is_some() && named == people.provider
    }
}

/// What no session passes: a claim that is there and is not.
fn no_session(at: &Node) -> Node {
    let test = |exists: bool| {
        let path = tree::list(at, vec![tree::text(at, "iss")]);
        let exists = tree::value(at, Yaml::Bool(exists));
        tree::object(at, [("path", path), ("exists", exists)])
    };
    let both = vec![test(true), test(false)];
    tree::object(at, [("claims", tree::list(at, both))])
}

fn any(at: &Node, members: Vec<Node>) -> Node {
    several(at, "requires_any", members)
}

fn all(at: &Node, members: Vec<Node>) -> Node {
    several(at, "requires_all", members)
}

fn several(at: &Node, field: &'static str, members: Vec<Node>) -> Node {
    let members = tree::object(at, [("requirements", tree::list(at, members))]);
    tree::object(at, [(field, members)])
}

fn session(at: &Node, people: &People<'_>) -> Node {
    tree::object(at, [("session", tree::text(at, people.scheme))])
}

/// Whether the token of a session alone satisfied jwt_authn.
fn is_satisfied(requires: &Node, provider: Option<&str>) -> bool {
    let is_named = |name: Option<&str>| name.is_some() && name == provider;
    let Yaml::Map(entries) = &requires.yaml else {
        return false;
    };
    let [entry] = entries.as_slice() else {
        return false;
    };
    let members = || entry.node.items_of("requirements").iter();
    match entry.name.as_str() {
        "provider_name" => is_named(entry.node.text()),
        "provider_and_audiences" => is_named(entry.node.text_at(&["provider_name"])),
        "requires_any" => members().any(|member| is_satisfied(member, provider)),
        "requires_all" => {
            members().next().is_some() && members().all(|member| is_satisfied(member, provider))
        }
        "allow_missing_or_failed" => true,
        _ => false,
    }
}

/// The audiences that rules ask for of a provider.
pub(super) fn audiences_of_rules<'n>(node: &'n Node, provider: &str, found: &mut Vec<&'n Node>) {
    if let Some(with) = node.get("provider_and_audiences")
        && with.text_at(&["provider_name"]) == Some(provider)
        && let Some(audiences) = with.get("audiences")
    {
        found.push(audiences);
    }
    for entry in node.entries() {
        audiences_of_rules(&entry.node, provider, found);
    }
    for item in node.items() {
        audiences_of_rules(item, provider, found);
    }
}
