//! Finds jwt_authn in a file, in every form that Envoy reads: the filter, the routes' settings for it,
//! and the readers of its dynamic metadata.

use crate::document::{Entry, Node};
use crate::plugin::{File, message};

const JWT_AUTHN: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const PER_ROUTE: &str = "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig";
/// The filter's usual name, and the namespace of its dynamic metadata.
const NAME: &str = "envoy.filters.http.jwt_authn";
/// Fields of the filter's own message, for a file that has nothing else.
const ALONE: [&str; 3] = ["providers", "rules", "requirement_map"];

/// What is there, in the order of the file.
#[derive(Default)]
pub(super) struct Found<'d> {
    pub filters: Vec<&'d Node>,
    pub surroundings: Vec<Surrounding>,
}

/// Something beside the filters that affects jwt_authn or depends on it.
pub(super) struct Surrounding {
    pub line: usize,
    pub kind: Beside,
}

pub(super) enum Beside {
    /// A route's own configuration, with the requirement that it names.
    PerRoute(Option<String>),
    /// A filter, or a route's configuration of it, is turned off.
    Disabled { of_route: bool },
    /// Something reads the dynamic metadata.
    Reader,
    /// Routes come from elsewhere.
    RoutesElsewhere,
}

pub(super) fn find(file: &File) -> Found<'_> {
    let mut found = Found::default();
    for document in &file.documents {
        found.search(document, "");
        if found.filters.is_empty() && ALONE.iter().any(|name| document.get(name).is_some()) {
            found.filters.push(document);
        }
    }
    found
}

impl<'d> Found<'d> {
    fn search(&mut self, node: &'d Node, name: &str) {
        if let Some(filter) = message(node, JWT_AUTHN) {
            self.filters.push(filter);
            return;
        }
        if let Some(route) = message(node, PER_ROUTE) {
            let requirement = route.text_at(&["requirement_name"]).map(str::to_owned);
            self.beside(node.line, Beside::PerRoute(requirement));
            return;
        }
        let config = node.get("typed_config").or(node.get("config"));
        let is_filter = config.is_some_and(|config| message(config, JWT_AUTHN).is_some());
        let is_off = |node: &Node| node.get("disabled").is_some_and(|off| !is_false(off));
        let of_route = name == NAME;
        if (is_filter || of_route) && is_off(node) {
            self.beside(node.line, Beside::Disabled { of_route });
        }
        if node.get("rds").is_some() || node.get("scoped_routes").is_some() {
            self.beside(node.line, Beside::RoutesElsewhere);
        }
        // The filter's name alone is no reader of its metadata.
        let is_named = node.get("typed_config").is_some() || node.get("config_discovery").is_some();
        for Entry { name, node, .. } in node.entries() {
            if !(is_named && name == "name") {
                self.search(node, name);
            }
        }
        for item in node.items() {
            self.search(item, name);
        }
        if node.text().is_some_and(|text| text.contains(NAME)) {
            self.beside(node.line, Beside::Reader);
        }
    }

    fn beside(&mut self, line: usize, kind: Beside) {
        self.surroundings.push(Surrounding { line, kind });
    }
}

fn is_false(node: &Node) -> bool {
    node.to_json() == "false" || node.to_json() == "\"false\""
}

/// A message for a file without jwt_authn: what it has instead, and what can be done.
pub(super) fn instead(file: &File) -> String {
    let read = "`migrate` reads envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication: by itself, or in an Envoy configuration (bootstrap, listener, HttpConnectionManager, filter, or a resource with one)";
    let mut seen: Vec<String> = Vec::new();
    for document in &file.documents {
        let kind = document.text_at(&["kind"]).unwrap_or_default();
        let is_kubernetes = document.get("api_version").is_some();
        let has = match kind {
            "RequestAuthentication" => {
                "Istio's RequestAuthentication. istiod makes jwt_authn of it: `istioctl proxy-config listeners POD -o json` prints what. Its rules are in AuthorizationPolicies, which are not jwt_authn's"
            }
            "SecurityPolicy" => {
                "Envoy Gateway's SecurityPolicy. Envoy Gateway makes jwt_authn of its `jwt`: `egctl config envoy-proxy listener -o yaml` prints what"
            }
            "ConfigMap" => "a ConfigMap: take the file out of its `data`, and give that",
            kind if is_kubernetes => {
                seen.push(format!("a Kubernetes resource of the kind {kind}"));
                continue;
            }
            _ => {
                types(document, &mut seen);
                continue;
            }
        };
        seen.push(has.to_owned());
    }
    seen.dedup();
    if seen.is_empty() {
        seen.push("nothing that has a type".to_owned());
    }
    seen.truncate(8);
    format!("no jwt_authn in it. It has {}. {read}", seen.join("; "))
}

/// The types that messages have, those of jwt_authn's old versions with what to do.
fn types(node: &Node, seen: &mut Vec<String>) {
    let of_any = ["@type", "type_url"].iter();
    let url = of_any.filter_map(|name| node.text_at(&[name])).next_back();
    if let Some(name) = url.and_then(|url| url.rsplit('/').next()) {
        let is_old = name.contains("jwt_authn") && name.contains(".v2");
        let told = match name {
            "envoy.extensions.filters.http.wasm.v3.Wasm" => {
                "a Wasm filter, as bearer-gate is one (see `check`)".to_owned()
            }
            name if is_old => format!(
                "{name}, a type of the v2 API, which no Envoy since 1.18 reads: the fields are the same in v3, so put the v3 type there"
            ),
            name => name.to_owned(),
        };
        if !seen.contains(&told) {
            seen.push(told);
        }
    }
    let name = node.text_at(&["name"]).unwrap_or_default();
    if name.contains("jwt_authn") && node.get("typed_config").is_none() {
        seen.push(format!(
            "a filter {name} without typed_config (`config` is of the v2 API): put typed_config with the v3 type there"
        ));
    }
    for entry in node.entries() {
        types(&entry.node, seen);
    }
    for item in node.items() {
        types(item, seen);
    }
}
