//! Which token of a session jwt_authn verified, and what it asked of it beyond what is asked of a
//! session.

use super::super::ChangeKind;
use super::rules::audiences_of_rules;
use super::{Conversion, cookies};
use crate::document::Node;

/// How jwt_authn came to the token of a session.
pub(super) struct TokenOfSession {
    /// The provider that verified it.
    pub provider: String,
    /// Whether the access token is among them.
    pub is_access_token: bool,
    /// Whether the provider reads the Authorization header and nothing else.
    pub reads_bearer_only: bool,
    /// Whether jwt_authn leaves the token in the request.
    pub is_forwarded: bool,
    /// Whether the provider also reads what a client sent in another place: a bad token there was
    /// refused, whatever the session.
    pub is_read_elsewhere: bool,
}

impl Conversion<'_> {
    /// The token of a session that a provider of jwt_authn read, if one did.
    pub(super) fn token_of_session(&mut self, jwt: Option<&Node>) -> Option<TokenOfSession> {
        let providers = jwt?.get("providers").map_or(&[][..], Node::entries);
        if self.pair.jwt_is_first {
            let text = "jwt_authn stands before oauth2, and sees no token of a session: put it behind oauth2 first, or see what each rule needs";
            self.say(ChangeKind::Open, "credentials", text);
            return None;
        }
        let mut found: Vec<TokenOfSession> = Vec::new();
        for provider in providers {
            if let Some(is_access_token) = self.reads(&provider.node) {
                found.push(TokenOfSession {
                    provider: provider.name.clone(),
                    is_access_token,
                    reads_bearer_only: reads_bearer_only(&provider.node),
                    is_forwarded: provider.node.get("forward").is_some_and(Node::is_true),
                    is_read_elsewhere: self.reads_elsewhere(&provider.node),
                });
            }
        }
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|token| token.provider.as_str()).collect();
            let text = format!(
                "several providers of jwt_authn read the token of a session: {}. See that the one whose people sign in is the provider_name of the scheme",
                names.join(", ")
            );
            self.say(ChangeKind::Open, "credentials.client_id", text);
        }
        let token = found.into_iter().next()?;
        let provider = providers
            .iter()
            .find(|known| known.name == token.provider)?;
        self.compare_audiences(&token, &provider.node, jwt?);
        Some(token)
    }

    /// Whether a provider reads the session's access token (`true`), perhaps beside its ID token, or
    /// that alone.
    fn reads(&self, provider: &Node) -> Option<bool> {
        let in_cookie = |field| {
            let name = cookies::name_of(&self.config, field);
            let cookies = provider.items_of("from_cookies").iter();
            cookies
                .into_iter()
                .any(|cookie| cookie.text() == Some(name))
        };
        let in_header = |name: &str| {
            let headers = provider.items_of("from_headers").iter();
            let mut names = headers.filter_map(|header| header.text_at(&["name"]));
            let by_default =
                name.eq_ignore_ascii_case("authorization") && has_default_places(provider);
            by_default || names.any(|known| known.eq_ignore_ascii_case(name))
        };
        let id_token_header = self.config.text_at(&["forward_id_token", "header"]);
        let reads_id_token = in_cookie("id_token") || id_token_header.is_some_and(in_header);
        let is_forwarded = self.is_true("forward_bearer_token") && in_header("authorization");
        let reads_access_token = in_cookie("bearer_token") || is_forwarded;
        (reads_id_token || reads_access_token).then_some(reads_access_token)
    }

    /// The cookies in which a session had its tokens.
    pub(super) fn own_cookies(&self) -> [&str; 2] {
        ["id_token", "bearer_token"].map(|field| cookies::name_of(&self.config, field))
    }

    /// Whether a provider reads a place into which oauth2 put nothing of its own, and which it left
    /// as it came.
    fn reads_elsewhere(&self, provider: &Node) -> bool {
        let leaves = self.is_true("preserve_authorization_header");
        let leaves_bearer = leaves && !self.is_true("forward_bearer_token");
        let of_id_token = self.config.text_at(&["forward_id_token", "header"]);
        let is_others = |name: &str| match of_id_token {
            Some(own) if name.eq_ignore_ascii_case(own) => false,
            _ if name.eq_ignore_ascii_case("authorization") => leaves_bearer,
            _ => true,
        };
        let headers = provider.items_of("from_headers").iter();
        let mut headers = headers.filter_map(|header| header.text_at(&["name"]));
        let own = self.own_cookies();
        let cookies = provider.items_of("from_cookies").iter();
        let mut cookies = cookies.filter_map(Node::text);
        has_default_places(provider) && leaves_bearer
            || headers.any(is_others)
            || !provider.items_of("from_params").is_empty()
            || cookies.any(|name| !own.contains(&name))
    }

    /// A session says that the client is an audience of its ID token, and nothing of its access
    /// token.
    fn compare_audiences(&mut self, token: &TokenOfSession, provider: &Node, jwt: &Node) {
        let client = self.config.text_at(&["credentials", "client_id"]);
        let mut lists = Vec::new();
        lists.extend(provider.get("audiences"));
        audiences_of_rules(jwt, &token.provider, &mut lists);
        let is_client = |one: &Node| !token.is_access_token && one.text() == client;
        let has_client = |list: &&Node| list.items().iter().any(is_client);
        let field = format!("providers.{}", token.provider);
        let Some(line) = lists
            .iter()
            .find(|list| !has_client(list))
            .map(|list| list.line)
        else {
            if token.is_access_token {
                let text = "verified the access token; a session is made of the ID token, and claims for headers are those of the ID token";
                self.say_of_jwt(ChangeKind::Differs, provider.line, &field, text);
            }
            return;
        };
        let text = if token.is_access_token {
            "asks for audiences of the access token, and a session says nothing of them: it is good for everybody who may sign in at this client. If that is right, there is nothing to do; if not, say with authorize who may"
        } else {
            "asks for audiences that do not have the client, which is the audience of an ID token: nobody got through, and now who signs in does"
        };
        self.say_of_jwt(ChangeKind::Open, line, &format!("{field}.audiences"), text);
    }

    pub(super) fn say_of_jwt(&mut self, kind: ChangeKind, line: usize, path: &str, text: &str) {
        self.changes.push(super::Change {
            line,
            path: path.to_owned(),
            text: text.to_owned(),
            kind,
        });
    }
}

fn has_default_places(provider: &Node) -> bool {
    let mut places = ["from_headers", "from_params", "from_cookies"].into_iter();
    places.all(|place| provider.get(place).is_none())
}

fn reads_bearer_only(provider: &Node) -> bool {
    let elsewhere = ["from_params", "from_cookies"].into_iter();
    let mut elsewhere = elsewhere.filter(|place| provider.get(place).is_some());
    let is_bearer = |header: &Node| {
        header
            .text_at(&["name"])
            .is_some_and(|name| name.eq_ignore_ascii_case("authorization"))
    };
    elsewhere.next().is_none() && provider.items_of("from_headers").iter().all(is_bearer)
}
