//! A provider of a SecurityPolicy as one of jwt_authn, which Envoy Gateway makes of it too.

use bearer_gate::http::uri::Uri;

use super::super::oauth2_proxy::options::seconds;
use super::super::tree;
use super::super::{Change, ChangeKind};
use crate::document::Node;

/// Headers that RBAC sees otherwise than they came, or that have a token.
pub(super) fn own_headers(spec: &Node) -> Vec<String> {
    let providers = spec.at(&["jwt", "providers"]).map_or(&[][..], Node::items);
    let mut headers = vec!["authorization".to_owned(), "cookie".to_owned()];
    for provider in providers {
        let claims = provider.items_of("claim_to_headers").iter();
        let claims = claims.filter_map(|claim| claim.text_at(&["header"]));
        let places = provider.get("extract_from");
        let places = places.map_or(&[][..], |places| places.items_of("headers"));
        let places = places.iter().filter_map(|place| place.text_at(&["name"]));
        headers.extend(claims.chain(places).map(str::to_ascii_lowercase));
    }
    headers
}

/// As `JwtProvider`.
pub(super) fn provider(written: &Node, path: &str, changes: &mut Vec<Change>) -> Node {
    let at = tree::object(written, []);
    let mut say = |kind: ChangeKind, node: &Node, field: &str, text: String| {
        changes.push(Change {
            line: node.line,
            path: format!("{path}.{field}"),
            text,
            kind,
        });
    };
    let mut provider = at.clone();
    for field in ["issuer", "audiences"] {
        if let Some(node) = written.get(field) {
            tree::set(&mut provider, field, node.clone());
        }
    }
    // Envoy Gateway leaves tokens in requests.
    tree::set(&mut provider, "forward", tree::yes(&at));
    let renamed = |items: &[Node], names: [(&str, &str); 2]| {
        let items = items.iter().map(|item| {
            let members = names.into_iter();
            let members =
                members.filter_map(|(theirs, ours)| Some((ours, item.get(theirs)?.clone())));
            tree::object(item, members)
        });
        items.collect::<Vec<Node>>()
    };
    let claims = renamed(
        written.items_of("claim_to_headers"),
        [("header", "header_name"), ("claim", "claim_name")],
    );
    let mut lists = vec![("claim_to_headers", claims)];
    if let Some(places) = written.get("extract_from") {
        let headers = [("name", "name"), ("value_prefix", "value_prefix")];
        lists.push(("from_headers", renamed(places.items_of("headers"), headers)));
        lists.push(("from_params", places.items_of("params").to_vec()));
        lists.push(("from_cookies", places.items_of("cookies").to_vec()));
    }
    for (field, items) in lists {
        if !items.is_empty() {
            tree::set(&mut provider, field, tree::list(&at, items));
        }
    }
    if let Some(recompute) = written.get("recompute_route") {
        let text = "Envoy chooses the route anew whenever a Wasm filter changes headers".to_owned();
        say(ChangeKind::LeftOut, recompute, "recomputeRoute", text);
    }
    match (written.get("remoteJWKS"), written.get("localJWKS")) {
        (Some(remote), None) => {
            let jwks = remote_jwks(remote, &mut say);
            tree::set(&mut provider, "remote_jwks", jwks);
        }
        (None, Some(local)) => match local.get("inline") {
            Some(inline) if local.get("value_ref").is_none() => {
                let keys = tree::object(inline, [("inline_string", inline.clone())]);
                tree::set(&mut provider, "local_jwks", keys);
            }
            _ => {
                let text = "has its keys in a ConfigMap, which is not read: put them into inline"
                    .to_owned();
                say(ChangeKind::Open, local, "localJWKS", text);
            }
        },
        (_, _) => {
            let text = "has to have one of remoteJWKS and localJWKS".to_owned();
            say(ChangeKind::Open, written, "remoteJWKS", text);
        }
    }
    provider
}

fn remote_jwks(remote: &Node, say: &mut impl FnMut(ChangeKind, &Node, &str, String)) -> Node {
    let uri = remote.text_at(&["uri"]).unwrap_or_default();
    let host = Uri::parse(uri).map(|uri| uri.authority);
    let mut jwks = tree::object(remote, []);
    match host {
        Ok(host) => {
            let call = [
                ("uri", tree::text(remote, uri)),
                ("cluster", tree::text(remote, &host)),
                ("timeout", tree::text(remote, "10s")),
            ];
            tree::set(&mut jwks, "http_uri", tree::object(remote, call));
            let text = format!(
                "needs a cluster {host} in Envoy's bootstrap, with TLS, see deploy/envoy-gateway/issuer.yaml: that of Envoy Gateway goes away with the policy"
            );
            say(ChangeKind::Added, remote, "remoteJWKS.uri", text);
        }
        Err(_) => {
            let text = "is no URL that is certain".to_owned();
            say(ChangeKind::Open, remote, "remoteJWKS.uri", text);
        }
    }
    let written = remote.text_at(&["cache_duration"]).unwrap_or("300s");
    match seconds(written) {
        Some(1..) => {
            let duration = format!("{}s", seconds(written).unwrap_or(300));
            let duration = tree::text(remote, &duration);
            tree::set(&mut jwks, "cache_duration", duration);
        }
        _ => {
            let text = "is no duration from a second on".to_owned();
            say(ChangeKind::Open, remote, "remoteJWKS.cacheDuration", text);
        }
    }
    for (field, name) in [
        ("backend_refs", "backendRefs"),
        ("backend_settings", "backendSettings"),
        ("failed_refetch_duration", "failedRefetchDuration"),
    ] {
        if let Some(node) = remote.get(field) {
            let text = "is said of the cluster: let it lead where this leads".to_owned();
            say(
                ChangeKind::LeftOut,
                node,
                &format!("remoteJWKS.{name}"),
                text,
            );
        }
    }
    jwks
}
