//! An Envoy in which nothing gets past the filter, and what may be written into it: each finding
//! with a twin that is as it should be. `cli/tests/bypasses.rs` shows on a real Envoy which of them lets
//! requests past.

/// Texts to put below marks of [`GOOD`].
pub(crate) type Change = &'static [(&'static str, &'static str)];

/// A finding.
pub(crate) struct Row {
    /// The kind that is found.
    pub(crate) kind: &'static str,
    /// What is put into the good file then, and nothing else is found.
    pub(crate) bad: Change,
    /// A part of the line where it is found.
    pub(crate) at: &'static str,
    /// Another change, with which nothing is found.
    pub(crate) good: Change,
    /// How the real Envoy takes the bad file; `None` where it is a warning.
    pub(crate) proof: Option<Proof>,
}

/// What a real Envoy does with a bad file. With its good twin no such request reaches the upstream.
pub(crate) enum Proof {
    /// This request reaches the upstream without a token.
    Passes(Request),
    /// The file is refused.
    Refused,
    /// It takes somebody on the way to the provider, or nothing works.
    Unseen,
}

/// A request, without a token of its own.
pub(crate) struct Request {
    pub(crate) listener: &'static str,
    /// With `8080` for the upstream's port, as in headers.
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    /// Lines of its head.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The `sub` of a good token, where a later filter should have refused it.
    pub(crate) subject: Option<&'static str>,
    /// What comes to the upstream in the body of another request.
    pub(crate) within: Option<Tunnel>,
}

/// A request that has another one in its body.
#[derive(Clone, Copy)]
pub(crate) enum Tunnel {
    Post,
    Connect,
}

const PLAIN: Request = Request {
    listener: "web",
    host: "api.example.com",
    path: "/api/orders",
    headers: &[],
    subject: None,
    within: None,
};
const OTHER: Request = Request {
    listener: "other",
    ..PLAIN
};
const ERROR: Option<Proof> = Some(Proof::Passes(PLAIN));
const WARNING: Option<Proof> = None;

/// Lines that are only a mark (`#name`) are where a [`Change`] is put, with their indent.
pub(crate) const GOOD: &str = r#"#top
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    filter_chains:
    -
      #chain
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          normalize_path: true
          merge_slashes: true
          strip_trailing_host_dot: true
          strip_any_host_port: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
          #timeout
          #manager
          http_filters:
          #before
          #instead
          - name: gate
            #own
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: bearer-gate
                vm_config:
                  vm_id: bearer-gate
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: /opt/bearer-gate/plugin.wasm}}
                failure_policy: FAIL_RELOAD
                #plugin
                configuration:
                  "@type": type.googleapis.com/google.protobuf.Struct
                  value:
                    #config
                    providers:
                      idp:
                        issuer: https://idp.example.com/
                        audiences: [https://api.example.com]
                        local_jwks: {inline_string: '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'}
                        #provider
                      #providers
                    rules:
                    #rules
                    - match: {path_separated_prefix: /api}
                      requires: {provider_name: idp}
          #after
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            name: all
            #routes
            virtual_hosts:
            - name: all
              domains: ["*"]
              #host
              routes:
              #first
              - match: {prefix: /}
                #route
                route:
                  cluster: api
                  #action
  #listener
  clusters:
  - name: api
    type: STATIC
    #api
    load_assignment:
      cluster_name: api
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8080}}}
  #cluster
"#;

/// The good file with this change, without the marks. What is put at `instead` stands for the filter.
pub(crate) fn with(change: &[(&str, &str)]) -> String {
    for (mark, _) in change {
        assert_eq!(GOOD.matches(&format!("#{mark}\n")).count(), 1, "{mark}");
    }
    let of = |wanted: &str| {
        let texts = change.iter().filter(|(mark, _)| *mark == wanted);
        texts.map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
    };
    let mut text = String::new();
    let mut is_left_out = false;
    for line in GOOD.lines() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let put = match bare.strip_prefix('#') {
            Some("after") => {
                is_left_out = false;
                of("after")
            }
            Some("timeout") if of("timeout").is_empty() => "request_timeout: 30s".to_owned(),
            // what nothing uses would be a finding
            Some("rules") if !of("providers").is_empty() => {
                let rule = "- match: {path: /keys}\n  requires: {provider_name: keys}";
                [rule, &of("rules")].join("\n")
            }
            Some(mark) => of(mark),
            None if is_left_out => continue,
            None => bare.to_owned(),
        };
        is_left_out |= bare == "#instead" && !put.is_empty();
        for line in put.lines() {
            text.push_str(&format!("{indent}{line}\n"));
        }
    }
    text
}

/// Another plugin, with a VM and a module of these.
macro_rules! another {
    ($vm_id:literal, $code:literal) => {
        concat!(
            r#"- name: another
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: another
      vm_config:
        vm_id: "#,
            $vm_id,
            "
        runtime: envoy.wasm.runtime.v8
        code: {local: {filename: ",
            $code,
            "}}"
        )
    };
}

const CORS: &str = r#"- name: cors
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}"#;

pub(crate) const JWT_AUTHN: &str = r#"- name: jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: {idp: {issuer: x, local_jwks: {inline_string: '{"keys": []}'}}}"#;

pub(crate) const EXT_AUTHZ: &str = r#"- name: ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
    grpc_service: {envoy_grpc: {cluster_name: api}}"#;

pub(crate) const EXT_PROC: &str = r#"- name: ext_proc
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
    grpc_service: {envoy_grpc: {cluster_name: api}}"#;

pub(crate) const EXT_PROC_WITHOUT_PATH: &str = r#"- name: ext_proc
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
    grpc_service: {envoy_grpc: {cluster_name: api}}
    mutation_rules: {disallow_system: true}"#;

const CLAIM_HEADER: &str = "claim_to_headers: [{header_name: x-user, claim_name: sub}]";

/// A cluster of this name, and its port.
macro_rules! cluster {
    ($name:literal, $port:literal) => {
        concat!(
            "- name: ",
            $name,
            "\n  type: STATIC\n  load_assignment: {cluster_name: ",
            $name,
            ", endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ",
            $port,
            "}}}}]}]}"
        )
    };
}

const STATIC: &str = cluster!("static", "8081");

/// How a listener of this name begins, with its port.
macro_rules! at_port {
    ($name:literal, $port:literal) => {
        concat!(
            "- name: ",
            $name,
            "\n  address: {socket_address: {address: 127.0.0.1, port_value: ",
            $port,
            "}}\n"
        )
    };
}

/// Another listener, with these network filters.
macro_rules! other_listener {
    ($($filters:expr),+) => {
        concat!(at_port!("other", "10001"), "  filter_chains:\n  - filters:\n", $($filters),+)
    };
}

/// A listener within Envoy, with these network filters.
macro_rules! inner_listener {
    ($($filters:expr),+) => {
        concat!(
            "- name: inner\n  internal_listener: {}\n  filter_chains:\n  - filters:\n",
            $($filters),+
        )
    };
}

/// A TCP proxy to this cluster.
macro_rules! tcp_proxy {
    ($cluster:literal) => {
        concat!(
            r#"    - name: tcp
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: tcp, cluster: "#,
            $cluster,
            "}"
        )
    };
}

/// A connection manager with these options, these filters before its router, and these routes.
macro_rules! connection_manager {
    ($name:literal; $options:expr; $filters:expr; $routes:expr) => {
        concat!(
            r#"    - name: http
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: "#,
            $name,
            "\n",
            $options,
            "        http_filters:\n",
            $filters,
            r#"        - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
        route_config: {virtual_hosts: [{name: "#,
            $name,
            r#", domains: ["*"], routes: ["#,
            $routes,
            "]}]}"
        )
    };
}

/// Another listener without the filter: with these entries of filters before its router, and what it does with all
/// requests.
macro_rules! other_manager {
    ($($filters:literal),*; $($does:literal),+) => {
        other_listener!(connection_manager!(
            "other"; ""; concat!($($filters),*); concat!("{match: {prefix: /}, ", $($does,)+ "}")
        ))
    };
}

/// Options of a cluster by which its calls pass these filters first.
macro_rules! filters_of_calls {
    ($($filters:literal),+) => {
        concat!(
            r#"typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: {http_protocol_options: {}}
    http_filters:
"#,
            $($filters,)+
            r#"
    - {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}"#
        )
    };
}

/// The same within an entry of clusters, with this filter.
macro_rules! filter_of_calls {
    ($filter:expr) => {
        concat!(
            r#"
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: {http_protocol_options: {}}
      http_filters:
"#,
            $filter,
            r#"
      - {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}"#
        )
    };
}

/// An entry of these that sets a header.
macro_rules! setting_of_calls {
    ($header:literal) => {
        filter_of_calls!(concat!(
            r#"      - name: set
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
          mutations: {request_mutations: [{append: {header: {key: "#,
            $header,
            ", value: Bearer a}}}]}"
        ))
    };
}

/// What a virtual host says of CORS, with this origin.
macro_rules! cors {
    ($origin:literal) => {
        concat!(
            "typed_per_filter_config: {cors: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, allow_origin_string_match: [{exact: '",
            $origin,
            "'}]}}"
        )
    };
}

mod entrances;
mod filters;
mod fronts;
mod headers;
pub(crate) mod onward;
mod plugin;
mod ports;
mod providers;
mod readers;
mod tunnels;
mod upstreams;

/// Every row.
pub(crate) fn table() -> impl Iterator<Item = &'static Row> {
    let rooms = [
        filters::ROWS,
        fronts::ROWS,
        headers::ROWS,
        entrances::ROWS,
        readers::ROWS,
        providers::ROWS,
        onward::ROWS,
        plugin::ROWS,
        ports::ROWS,
        tunnels::ROWS,
        upstreams::ROWS,
    ];
    rooms.into_iter().flatten()
}
