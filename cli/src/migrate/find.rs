//! Finds jwt_authn and oauth2 in a file, in every form that Envoy reads: the filters, the routes'
//! settings for them, and the readers of what they tell.

use crate::document::{Entry, Node};
use crate::plugin::{File, message};

const OAUTH2: &str = "envoy.extensions.filters.http.oauth2.v3.OAuth2";
const OAUTH2_PER_ROUTE: &str = "envoy.extensions.filters.http.oauth2.v3.OAuth2PerRoute";
const JWT_AUTHN: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const PER_ROUTE: &str = "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig";
/// The filters' usual names; the first is the namespace of jwt_authn's dynamic metadata.
const NAME: &str = "envoy.filters.http.jwt_authn";
const NAME_OF_OAUTH2: &str = "envoy.filters.http.oauth2";
/// Fields of the filter's own message, for a file that has nothing else.
const ALONE: [&str; 3] = ["providers", "rules", "requirement_map"];

/// What is there, in the order of the file.
#[derive(Default)]
pub(super) struct Found<'d> {
    pub filters: Vec<Filter<'d>>,
    pub surroundings: Vec<Surrounding>,
}

/// A filter, or two that stand one behind the other.
pub(super) enum Filter<'d> {
    JwtAuthn(&'d Node),
    OAuth2(Pair<'d>),
}

/// An oauth2 filter, and a jwt_authn filter in the same list.
pub(super) struct Pair<'d> {
    /// `OAuth2`, or its `config` alone.
    pub oauth2: &'d Node,
    pub jwt: Option<&'d Node>,
    /// Whether jwt_authn stands before oauth2.
    pub jwt_is_first: bool,
    document: &'d Node,
}

impl Pair<'_> {
    /// The hosts of the routes in the file.
    pub(super) fn hosts(&self) -> Vec<String> {
        let mut found = Vec::new();
        hosts(self.document, &mut found);
        found
    }

    /// Where else in the file one of these names stands.
    pub(super) fn readers(&self, names: &[String]) -> Vec<(usize, String)> {
        let mut readers = Vec::new();
        find_readers(self.document, names, &mut readers);
        readers
    }
}

fn find_readers(node: &Node, names: &[String], readers: &mut Vec<(usize, String)>) {
    let is_own = [OAUTH2, JWT_AUTHN]
        .iter()
        .any(|own| message(node, own).is_some());
    if is_own {
        return;
    }
    if let Some(text) = node.text() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let mut words = text.split(|c| !is_word(c));
        if let Some(word) = words.find(|word| names.iter().any(|name| name == word)) {
            readers.push((node.line, word.to_owned()));
        }
    }
    for entry in node.entries() {
        find_readers(&entry.node, names, readers);
    }
    for item in node.items() {
        find_readers(item, names, readers);
    }
}

/// Something beside the filters that affects jwt_authn or depends on it.
pub(super) struct Surrounding {
    pub line: usize,
    pub kind: Beside,
}

pub(super) enum Beside {
    /// A route's own configuration, with the requirement that it names.
    PerRoute(Option<String>),
    /// A route's own configuration of oauth2.
    OAuth2PerRoute,
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
        let mut search = Search { document, found };
        let before = search.found.filters.len();
        search.search(document, "");
        if search.found.filters.len() == before {
            if is_oauth2_alone(document) {
                search.oauth2(document);
            } else if ALONE.iter().any(|name| document.get(name).is_some()) {
                search.found.filters.push(Filter::JwtAuthn(document));
            }
        }
        found = search.found;
    }
    found
}

struct Search<'d> {
    document: &'d Node,
    found: Found<'d>,
}

/// `OAuth2` or `OAuth2Config` in a file that has nothing else.
fn is_oauth2_alone(document: &Node) -> bool {
    let is_config = |node: &Node| {
        let fields = ["token_endpoint", "authorization_endpoint", "credentials"];
        fields.iter().all(|field| node.get(field).is_some())
    };
    is_config(document) || document.get("config").is_some_and(is_config)
}

/// The hosts of virtual hosts, but for those that say nothing.
fn hosts(node: &Node, found: &mut Vec<String>) {
    for host in node.items_of("virtual_hosts") {
        let domains = host.items_of("domains").iter().filter_map(Node::text);
        let is_host = |domain: &&str| *domain != "*" && !domain.ends_with('*');
        found.extend(domains.filter(is_host).map(str::to_owned));
    }
    for entry in node.entries() {
        hosts(&entry.node, found);
    }
    for item in node.items() {
        hosts(item, found);
    }
}

/// The filters of one list: each oauth2 with the jwt_authn that comes next, or else with one before.
fn paired(filters: Vec<Filter<'_>>) -> Vec<Filter<'_>> {
    let mut paired: Vec<Filter<'_>> = Vec::new();
    for filter in filters {
        match (filter, paired.pop()) {
            (Filter::JwtAuthn(jwt), Some(Filter::OAuth2(mut pair))) if pair.jwt.is_none() => {
                pair.jwt = Some(jwt);
                paired.push(Filter::OAuth2(pair));
            }
            (Filter::OAuth2(mut pair), Some(Filter::JwtAuthn(jwt))) => {
                pair.jwt = Some(jwt);
                pair.jwt_is_first = true;
                paired.push(Filter::OAuth2(pair));
            }
            (filter, last) => {
                paired.extend(last);
                paired.push(filter);
            }
        }
    }
    paired
}

impl<'d> Search<'d> {
    fn search(&mut self, node: &'d Node, name: &str) {
        if let Some(filter) = message(node, JWT_AUTHN) {
            self.found.filters.push(Filter::JwtAuthn(filter));
            return;
        }
        if let Some(filter) = message(node, OAUTH2) {
            self.oauth2(filter);
            return;
        }
        if let Some(route) = message(node, PER_ROUTE) {
            let requirement = route.text_at(&["requirement_name"]).map(str::to_owned);
            self.beside(node.line, Beside::PerRoute(requirement));
            return;
        }
        let config = node.get("typed_config").or(node.get("config"));
        let is_one = |config| {
            [JWT_AUTHN, OAUTH2]
                .iter()
                .any(|one| message(config, one).is_some())
        };
        let is_filter = config.is_some_and(is_one);
        let is_off = |node: &Node| node.get("disabled").is_some_and(|off| !is_false(off));
        let of_route = name == NAME || name == NAME_OF_OAUTH2;
        if (is_filter || of_route) && is_off(node) {
            self.beside(node.line, Beside::Disabled { of_route });
        }
        if node.get("rds").is_some() || node.get("scoped_routes").is_some() {
            self.beside(node.line, Beside::RoutesElsewhere);
        }
        // The filter's name alone is no reader of its metadata.
        let is_named = node.get("typed_config").is_some() || node.get("config_discovery").is_some();
        for Entry { name, node, .. } in node.entries() {
            let before = self.found.filters.len();
            match name.as_str() {
                "name" if is_named => {}
                "typed_per_filter_config" | "typedPerFilterConfig" => self.route(node),
                _ => self.search(node, name),
            }
            if matches!(name.as_str(), "http_filters" | "httpFilters") {
                let of_list = self.found.filters.split_off(before);
                self.found.filters.extend(paired(of_list));
            }
        }
        for item in node.items() {
            self.search(item, name);
        }
        if node.text().is_some_and(|text| text.contains(NAME)) {
            self.beside(node.line, Beside::Reader);
        }
    }

    /// What a route says of filters: an `OAuth2` there is the route's own.
    fn route(&mut self, configs: &'d Node) {
        for Entry { name, node, .. } in configs.entries() {
            if has_oauth2(node) {
                self.beside(node.line, Beside::OAuth2PerRoute);
            } else {
                self.search(node, name);
            }
        }
    }

    fn oauth2(&mut self, oauth2: &'d Node) {
        self.found.filters.push(Filter::OAuth2(Pair {
            oauth2,
            jwt: None,
            jwt_is_first: false,
            document: self.document,
        }));
    }

    fn beside(&mut self, line: usize, kind: Beside) {
        self.found.surroundings.push(Surrounding { line, kind });
    }
}

fn has_oauth2(node: &Node) -> bool {
    let is_one = [OAUTH2, OAUTH2_PER_ROUTE]
        .iter()
        .any(|one| message(node, one).is_some());
    is_one || node.get("config").is_some_and(has_oauth2)
}

fn is_false(node: &Node) -> bool {
    node.to_json() == "false" || node.to_json() == "\"false\""
}

/// A message for a file without jwt_authn: what it has instead, and what can be done.
pub(super) fn instead(file: &File) -> String {
    let read = "`migrate` reads envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication and envoy.extensions.filters.http.oauth2.v3.OAuth2: by themselves, or in an Envoy configuration (bootstrap, listener, HttpConnectionManager, filter, or a resource with one)";
    let mut seen: Vec<String> = Vec::new();
    for document in &file.documents {
        let kind = document.text_at(&["kind"]).unwrap_or_default();
        let is_kubernetes = document.get("api_version").is_some();
        let has = match kind {
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
    format!(
        "no jwt_authn and no oauth2 in it. It has {}. {read}",
        seen.join("; ")
    )
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
