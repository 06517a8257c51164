//! The rules of RequestAuthentications as providers of jwt_authn, which istiod makes of them too.

use bearer_gate::http::uri::{Scheme, Uri};

use super::super::tree;
use super::super::{Change, ChangeKind};
use crate::document::Node;

/// Claims that istiod always has jwt_authn split into words.
const DELIMITED: [&str; 2] = ["permission", "scope"];

/// A rule of a RequestAuthentication.
pub(super) struct Rule<'n> {
    pub node: &'n Node,
    /// Where it stands in its resource.
    pub path: String,
    /// The name of its provider.
    pub name: String,
}

impl Rule<'_> {
    pub(super) fn issuer(&self) -> &str {
        self.node.text_at(&["issuer"]).unwrap_or_default()
    }

    /// Whether RBAC sees this claim as the list of its words.
    pub(super) fn is_delimited(&self, claim: &str) -> bool {
        let own = self.node.items_of("space_delimited_claims").iter();
        let mut own = own.filter_map(Node::text);
        DELIMITED.contains(&claim) || own.any(|name| name == claim)
    }

    /// Headers that RBAC sees otherwise than they came.
    pub(super) fn own_headers(&self) -> Vec<String> {
        let node = self.node;
        let payload = node.text_at(&["output_payload_to_header"]).into_iter();
        let claims = node.items_of("output_claim_to_headers").iter();
        let claims = claims.filter_map(|claim| claim.text_at(&["header"]));
        let places = node.items_of("from_headers").iter();
        let places = places.filter_map(|place| place.text_at(&["name"]));
        let cookie = node.get("from_cookies").map(|_| "cookie");
        let all = payload.chain(claims).chain(places).chain(cookie);
        all.chain(["authorization"])
            .map(str::to_ascii_lowercase)
            .collect()
    }

    /// As `JwtProvider`.
    pub(super) fn provider(&self, changes: &mut Vec<Change>) -> Node {
        let at = tree::object(self.node, []);
        let mut provider = at.clone();
        let mut open = |node: &Node, field: &str, text: String, kind: ChangeKind| {
            changes.push(Change {
                line: node.line,
                path: format!("{}.{field}", self.path),
                text,
                kind,
            });
        };
        for (theirs, ours) in [
            ("issuer", "issuer"),
            ("audiences", "audiences"),
            ("forward_original_token", "forward"),
            ("output_payload_to_header", "forward_payload_header"),
            ("from_params", "from_params"),
            ("from_cookies", "from_cookies"),
        ] {
            if let Some(node) = self.node.get(theirs) {
                tree::set(&mut provider, ours, node.clone());
            }
        }
        if self.issuer().is_empty() {
            let text = "is missing, so tokens of every issuer pass whose key is there: say which one it is";
            open(self.node, "issuer", text.to_owned(), ChangeKind::Open);
        }
        let renamed = |list: &str, names: [(&str, &str); 2]| {
            let items = self.node.items_of(list).iter();
            let items: Vec<Node> = items
                .map(|item| {
                    let members = names.into_iter();
                    let members = members
                        .filter_map(|(theirs, ours)| Some((ours, item.get(theirs)?.clone())));
                    tree::object(item, members)
                })
                .collect();
            (!items.is_empty()).then(|| tree::list(&at, items))
        };
        let headers = renamed(
            "from_headers",
            [("name", "name"), ("prefix", "value_prefix")],
        );
        let claims = renamed(
            "output_claim_to_headers",
            [("header", "header_name"), ("claim", "claim_name")],
        );
        for (field, node) in [("from_headers", headers), ("claim_to_headers", claims)] {
            if let Some(node) = node {
                tree::set(&mut provider, field, node);
            }
        }
        let timeout = self.node.get("timeout").cloned();
        let timeout = timeout.unwrap_or_else(|| tree::text(&at, "5s"));
        match (self.node.get("jwks"), self.node.get("jwks_uri")) {
            (Some(keys), None) => {
                let keys = tree::object(keys, [("inline_string", keys.clone())]);
                tree::set(&mut provider, "local_jwks", keys);
            }
            (None, Some(uri)) => match uri.text().and_then(cluster) {
                Some(name) => {
                    let call = tree::object(
                        uri,
                        [
                            ("uri", uri.clone()),
                            ("cluster", tree::text(uri, &name)),
                            ("timeout", timeout),
                        ],
                    );
                    let jwks = tree::object(uri, [("http_uri", call)]);
                    tree::set(&mut provider, "remote_jwks", jwks);
                    open(uri, "jwks_uri", reached(&name), ChangeKind::Added);
                }
                None => {
                    let text = "is no URL that is certain".to_owned();
                    open(uri, "jwks_uri", text, ChangeKind::Open);
                }
            },
            (Some(keys), Some(_)) => {
                let text =
                    "stands beside jwksUri: which of the two counts depends on istiod".to_owned();
                open(keys, "jwks", text, ChangeKind::Open);
            }
            (None, None) => match cluster(self.issuer()) {
                Some(name) => {
                    let members = [("cluster", tree::text(&at, &name)), ("timeout", timeout)];
                    tree::set(
                        &mut provider,
                        "openid_discovery",
                        tree::object(&at, members),
                    );
                    let text = format!(
                        "{}; where the keys are on another host than the issuer, say in jwks_cluster which cluster leads there",
                        reached(&name)
                    );
                    open(self.node, "issuer", text, ChangeKind::Added);
                }
                None => {
                    let text = "is missing, and the issuer is no URL whose metadata say where the keys are".to_owned();
                    open(self.node, "jwks_uri", text, ChangeKind::Open);
                }
            },
        }
        provider
    }
}

fn reached(cluster: &str) -> String {
    format!(
        "needs the cluster {cluster}: a ServiceEntry for HTTP, and a DestinationRule for TLS, see deploy/istio/issuer.yaml. istiod fetched the keys before, or the same ServiceEntry was there"
    )
}

/// Istio's name for what a URL leads to.
fn cluster(url: &str) -> Option<String> {
    let uri = Uri::parse(url).ok()?;
    let (host, port) = match uri.authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (
            uri.authority.as_str(),
            match uri.scheme {
                Scheme::Https => "443",
                Scheme::Http => "80",
            },
        ),
    };
    (!host.is_empty()).then(|| format!("outbound|{port}||{host}"))
}
