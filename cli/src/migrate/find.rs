//! Finds jwt_authn and oauth2 in files, in every form that Envoy reads: the filters, the routes'
//! settings for them, and the readers of what they tell.

use super::ROUTE_METADATA;
use crate::document::{Entry, Node};
use crate::plugin::message;

const OAUTH2: &str = "envoy.extensions.filters.http.oauth2.v3.OAuth2";
const OAUTH2_PER_ROUTE: &str = "envoy.extensions.filters.http.oauth2.v3.OAuth2PerRoute";
const JWT_AUTHN: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const FILTERS: [&str; 2] = [JWT_AUTHN, OAUTH2];
const PER_ROUTE: &str = "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig";
/// The filters' usual names; the first is the namespace of jwt_authn's dynamic metadata.
const NAME: &str = "envoy.filters.http.jwt_authn";
const NAME_OF_OAUTH2: &str = "envoy.filters.http.oauth2";
/// Fields of the filter's own message, for a file that has nothing else.
const ALONE: [&str; 3] = ["providers", "rules", "requirement_map"];

/// What is there, in the order of the files.
#[derive(Default)]
pub(super) struct Found<'d> {
    pub filters: Vec<Filter<'d>>,
    pub surroundings: Vec<Surrounding>,
    /// Whether there is any route.
    pub has_routes: bool,
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
    /// All of the files.
    pub documents: &'d [Node],
}

impl Pair<'_> {
    /// The hosts of the routes in the files.
    pub(super) fn hosts(&self) -> Vec<String> {
        let mut found = Vec::new();
        for document in self.documents {
            hosts(document, &mut found);
        }
        found
    }

    /// Where else in the files one of these names stands.
    pub(super) fn readers(&self, names: &[String]) -> Vec<Reader> {
        let mut readers = Vec::new();
        for document in self.documents {
            find_readers(document, names, None, &mut readers);
        }
        readers
    }
}

/// Who reads what a filter tells.
pub(super) struct Reader {
    pub line: usize,
    /// The name that it reads.
    pub name: String,
    /// What it is, such as `the filter rbac`.
    pub who: String,
}

/// What a part of a file is to those who look for it, if it has a name of its own.
fn title(node: &Node) -> Option<String> {
    let name = node.text_at(&["name"]);
    if node.get("typed_config").is_some() || node.get("config_discovery").is_some() {
        return name.map(|name| format!("the filter {name}"));
    }
    let matched = node.get("match")?;
    let path = ["prefix", "path", "path_separated_prefix", "path_template"];
    let path = path.iter().find_map(|kind| matched.text_at(&[kind]));
    let path = path.or_else(|| matched.text_at(&["safe_regex", "regex"]));
    Some(format!(
        "the route {}",
        name.or(path).unwrap_or("without a name")
    ))
}

/// `above` is what the node is in.
fn who(above: Option<&str>) -> String {
    above.unwrap_or("something").to_owned()
}

/// As [`title`], of a member by its own name too.
fn title_of(entry: &Entry) -> Option<String> {
    match entry.name.as_str() {
        "access_log" | "accessLog" => Some("an access log".to_owned()),
        "tracing" => Some("a trace".to_owned()),
        _ => None,
    }
}

fn find_readers(node: &Node, names: &[String], above: Option<&str>, readers: &mut Vec<Reader>) {
    let own = title(node);
    // what an access log has a typed_config for is no filter
    let above = match (above, own.as_deref()) {
        (Some(log), _) if log.starts_with("an access log") => Some(log),
        (above, own) => own.or(above),
    };
    let is_own = FILTERS.iter().any(|own| message(node, own).is_some());
    if is_own {
        return;
    }
    if let Some(text) = node.text() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let mut words = text.split(|c| !is_word(c));
        if let Some(word) = words.find(|word| names.iter().any(|name| name == word)) {
            readers.push(Reader {
                line: node.line,
                name: word.to_owned(),
                who: who(above),
            });
        }
    }
    for entry in node.entries() {
        let of_entry = title_of(entry);
        find_readers(&entry.node, names, of_entry.as_deref().or(above), readers);
    }
    for item in node.items() {
        find_readers(item, names, above, readers);
    }
}

/// Something beside the filters that affects jwt_authn or depends on it.
pub(super) struct Surrounding {
    pub line: usize,
    pub kind: Beside,
}

pub(super) enum Beside {
    /// A configuration of its own that routes have, with the requirement that it names.
    PerRoute {
        requirement: Option<String>,
        of: Owner,
        /// Whether metadata say the same already.
        is_told: bool,
    },
    /// A configuration of oauth2 that routes have.
    OAuth2PerRoute,
    /// A filter is turned off, or what routes say of it turns it off.
    Disabled(Option<Owner>),
    /// Something reads the dynamic metadata: what it is.
    Reader(String),
    /// Routes come from elsewhere.
    RoutesElsewhere,
}

/// Whose configuration of a filter it is.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Route,
    VirtualHost,
    AllRoutes,
    /// One of the clusters among which a route divides its requests.
    OneOfClusters,
}

impl Owner {
    fn of(node: &Node) -> Self {
        let has = |name| node.get(name).is_some();
        match () {
            () if has("virtual_hosts") => Self::AllRoutes,
            () if has("domains") => Self::VirtualHost,
            () if !has("match") && has("weight") => Self::OneOfClusters,
            () => Self::Route,
        }
    }

    /// Whether the metadata of its routes name a requirement, that of its own as this.
    fn is_told(self, node: &Node, requirement: &str) -> bool {
        let name = |route: &Node| {
            let path = [
                "metadata",
                "filter_metadata",
                ROUTE_METADATA,
                "requirement_name",
            ];
            route.text_at(&path).map(str::to_owned)
        };
        let in_all = |host: &Node| {
            let routes = host.items_of("routes");
            routes.iter().all(|route| name(route).is_some())
        };
        match self {
            Self::Route => name(node).is_some_and(|name| name == requirement),
            Self::VirtualHost => in_all(node),
            Self::AllRoutes => node.items_of("virtual_hosts").iter().all(in_all),
            Self::OneOfClusters => false,
        }
    }
}

pub(super) fn find(documents: &[Node]) -> Found<'_> {
    let mut around = Around {
        filters: [NAME, NAME_OF_OAUTH2].map(str::to_owned).to_vec(),
        routes: Vec::new(),
    };
    for document in documents {
        around.names(document);
    }
    let mut search = Search {
        found: Found {
            has_routes: !around.routes.is_empty(),
            ..Found::default()
        },
        documents,
        around,
        above: Vec::new(),
    };
    for document in documents {
        let before = search.found.filters.len();
        search.search(document);
        if search.found.filters.len() == before {
            if is_oauth2_alone(document) {
                search.oauth2(document);
            } else if ALONE.iter().any(|name| document.get(name).is_some()) {
                search.found.filters.push(Filter::JwtAuthn(document));
            }
        }
    }
    search.found
}

/// Names in the files.
struct Around {
    /// What the filters are called.
    filters: Vec<String>,
    /// What lists of routes are called.
    routes: Vec<String>,
}

impl Around {
    fn names(&mut self, node: &Node) {
        let name = node.text_at(&["name"]).unwrap_or_default();
        if node.get("virtual_hosts").is_some() {
            self.routes.push(name.to_owned());
        }
        let types = node.at(&["config_discovery", "type_urls"]);
        let mut types = types.map_or(&[][..], Node::items).iter();
        let is_one = |url: &str| FILTERS.contains(&url.rsplit('/').next().unwrap_or_default());
        if has_filter(node) || types.any(|url| url.text().is_some_and(is_one)) {
            self.filters.push(name.to_owned());
        }
        for entry in node.entries() {
            self.names(&entry.node);
        }
        for item in node.items() {
            self.names(item);
        }
    }
}

/// Whether it is one of the filters in its wrapper.
fn has_filter(node: &Node) -> bool {
    let config = node.get("typed_config").or(node.get("config"));
    config.is_some_and(|config| FILTERS.iter().any(|one| message(config, one).is_some()))
}

struct Search<'d> {
    documents: &'d [Node],
    around: Around,
    /// What the node is in that is looked at, the nearest last.
    above: Vec<String>,
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
    /// Searches what is in something that has a name.
    fn search(&mut self, node: &'d Node) {
        let is_log = |above: &String| above == "an access log";
        let own = title(node).filter(|_| !self.above.last().is_some_and(is_log));
        let depth = self.above.len();
        self.above.extend(own);
        self.search_in(node);
        self.above.truncate(depth);
    }

    fn search_in(&mut self, node: &'d Node) {
        if let Some(filter) = message(node, JWT_AUTHN) {
            self.found.filters.push(Filter::JwtAuthn(filter));
            return;
        }
        if let Some(filter) = message(node, OAUTH2) {
            self.oauth2(filter);
            return;
        }
        let is_discovered = node.get("config_discovery").is_some();
        let is_filter =
            has_filter(node) || is_discovered && self.is_filter(node.text_at(&["name"]));
        if is_filter && is_off(node) {
            self.beside(node.line, Beside::Disabled(None));
        }
        self.routes_elsewhere(node);
        // The filter's name alone is no reader of its metadata.
        let is_named = node.get("typed_config").is_some() || is_discovered;
        for entry in node.entries() {
            let Entry { name, node: of, .. } = entry;
            let depth = self.above.len();
            self.above.extend(title_of(entry));
            let before = self.found.filters.len();
            match name.as_str() {
                "name" if is_named => {}
                "typed_per_filter_config" | "typedPerFilterConfig" => self.per_filter(node, of),
                _ => self.search(of),
            }
            if matches!(name.as_str(), "http_filters" | "httpFilters") {
                let of_list = self.found.filters.split_off(before);
                self.found.filters.extend(paired(of_list));
            }
            self.above.truncate(depth);
        }
        for item in node.items() {
            self.search(item);
        }
        if node.text().is_some_and(|text| text.contains(NAME)) {
            let who = who(self.above.last().map(String::as_str));
            self.beside(node.line, Beside::Reader(who));
        }
    }

    fn is_filter(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.around.filters.iter().any(|known| known == name))
    }

    /// Routes by RDS are here where one of the files has them.
    fn routes_elsewhere(&mut self, node: &Node) {
        let is_here = |rds: &Node| {
            let name = rds.text_at(&["route_config_name"]);
            name.is_some_and(|name| self.around.routes.iter().any(|known| known == name))
        };
        let elsewhere = ["rds", "scoped_routes", "vhds"].into_iter();
        let elsewhere = elsewhere
            .filter_map(|field| Some((field, node.get(field)?)))
            .find(|(field, node)| *field != "rds" || !is_here(node));
        if let Some((_, node)) = elsewhere {
            self.beside(node.line, Beside::RoutesElsewhere);
        }
    }

    /// What a route, or what is above it, says of filters: an `OAuth2` there is the route's own.
    fn per_filter(&mut self, owner: &Node, configs: &'d Node) {
        let of = Owner::of(owner);
        for Entry { name, node, .. } in configs.entries() {
            let own = message(node, PER_ROUTE);
            let own = own.or_else(|| message(node.get("config")?, PER_ROUTE));
            let is_filter = own.is_some() || self.is_filter(Some(name));
            if is_filter && (is_off(node) || own.is_some_and(is_off)) {
                self.beside(node.line, Beside::Disabled(Some(of)));
            } else if let Some(own) = own {
                let requirement = own.text_at(&["requirement_name"]).map(str::to_owned);
                let is_told = requirement.as_ref();
                let is_told = is_told.is_some_and(|name| of.is_told(owner, name));
                let kind = Beside::PerRoute {
                    requirement,
                    of,
                    is_told,
                };
                self.beside(node.line, kind);
            } else if has_oauth2(node) {
                self.beside(node.line, Beside::OAuth2PerRoute);
            } else {
                self.search(node);
            }
        }
    }

    fn oauth2(&mut self, oauth2: &'d Node) {
        self.found.filters.push(Filter::OAuth2(Pair {
            oauth2,
            jwt: None,
            jwt_is_first: false,
            documents: self.documents,
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

/// Whether it is `disabled`, in whatever spelling.
fn is_off(node: &Node) -> bool {
    let is_false = |off: &Node| matches!(off.to_json().as_str(), "false" | "\"false\"");
    node.get("disabled").is_some_and(|off| !is_false(off))
}

/// A message for files without jwt_authn: what they have instead, and what can be done.
pub(super) fn instead(documents: &[Node]) -> String {
    let read = "`migrate` reads envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication and envoy.extensions.filters.http.oauth2.v3.OAuth2: by themselves, or in an Envoy configuration (bootstrap, listener, HttpConnectionManager, filter, or a resource with one)";
    let mut seen: Vec<String> = Vec::new();
    for document in documents {
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
