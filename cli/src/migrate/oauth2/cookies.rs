//! The cookies of the `oauth2` filter, and who reads them.

use super::super::find::Reader;
use super::super::{ChangeKind, tree};
use super::Conversion;
use crate::document::{Node, Yaml};

/// The fields of `cookie_names` that name a cookie which somebody behind the filter may read.
const NAMES: [(&str, &str); 5] = [
    ("bearer_token", "BearerToken"),
    ("id_token", "IdToken"),
    ("refresh_token", "RefreshToken"),
    ("oauth_hmac", "OauthHMAC"),
    ("oauth_expires", "OauthExpires"),
];

/// The name of a cookie by its field in `cookie_names`.
pub(super) fn name_of<'n>(config: &'n Node, field: &str) -> &'n str {
    let written = config.text_at(&["credentials", "cookie_names", field]);
    let usual = NAMES.iter().find(|(name, _)| *name == field);
    written.unwrap_or(usual.map_or("", |(_, usual)| usual))
}

impl Conversion<'_> {
    /// The attributes of the session's cookie.
    pub(super) fn cookie(&mut self, scheme: &mut Node) {
        let at = tree::object(&self.config, []);
        let mut cookie = at.clone();
        if let Some(domain) = self.config.at(&["credentials", "cookie_domain"]).cloned() {
            let bare = domain.text().unwrap_or_default().trim_start_matches('.');
            let bare = tree::text(&domain, &bare.to_ascii_lowercase());
            tree::set(&mut cookie, "domain", bare);
        }
        if self.config.at(&["credentials", "cookie_names"]).is_some() {
            let text = "the cookies have names of their own: __Host-Http-bg_session_web";
            self.say(ChangeKind::LeftOut, "credentials.cookie_names", text);
        }
        let written = self.same("cookie_configs");
        for entry in written.as_ref().map_or(&[][..], Node::entries) {
            let field = format!("cookie_configs.{}", entry.name);
            let is_session = entry.name == "oauth_hmac_cookie_config";
            match entry.node.text_at(&["same_site"]) {
                Some("NONE") if is_session => {
                    tree::set(&mut cookie, "same_site", tree::text(&at, "NONE"));
                }
                Some("STRICT") => {
                    let text =
                        "is LAX: a browser comes back from the provider without a STRICT cookie";
                    self.say(ChangeKind::Differs, &format!("{field}.same_site"), text);
                }
                _ => {}
            }
            let path = entry.node.text_at(&["path"]);
            if path.is_some_and(|path| path != "/") {
                let text = "a session counts on every path of its host: to keep it to some, name them in the rules";
                self.say(ChangeKind::Open, &format!("{field}.path"), text);
            }
            if entry.node.get("partitioned").is_some_and(Node::is_true) {
                let text = "has no counterpart: in a frame of another site there is no session";
                self.say(ChangeKind::LeftOut, &format!("{field}.partitioned"), text);
            }
        }
        if matches!(&cookie.yaml, Yaml::Map(entries) if !entries.is_empty()) {
            tree::set(scheme, "cookie", cookie);
        }
        self.readers();
    }

    /// Whoever reads a token in one of the cookies reads what nobody vouches for any more.
    fn readers(&mut self) {
        let names = NAMES.map(|(field, _)| name_of(&self.config, field).to_owned());
        let readers = self.pair.readers(&names);
        for Reader { line, name, who } in readers {
            self.changes.push(super::Change {
                line,
                path: name.clone(),
                text: format!("{who} reads the cookie {name}, which oauth2 vouched for and nobody does now: have it read what forward_bearer_token, forward_id_token_header or claim_to_headers give"),
                kind: ChangeKind::Open,
            });
        }
    }
}
