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
    pub(crate) path: &'static str,
    /// Lines of its head.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The `sub` of a good token, where a later filter should have refused it.
    pub(crate) subject: Option<&'static str>,
}

const PLAIN: Request = Request {
    listener: "web",
    path: "/api/orders",
    headers: &[],
    subject: None,
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
    - filters:
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
pub(crate) fn with(change: Change) -> String {
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

const WEBSOCKET: Request = Request {
    headers: &[
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ],
    ..PLAIN
};

const OFF: &str = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}"#;
const OFF_BY_TEXT: &str = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: 'True'}}"#;
/// One object where a list is due, and again in it.
const ONE_UPGRADE: &str = r#"upgrade_configs: {upgrade_type: websocket, filters: {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}"#;
const ON: &str = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {}}}"#;
const OF_ANOTHER: &str = r#"typed_per_filter_config: {cors: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}"#;
const CORS: &str = r#"- name: cors
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}"#;
const ROUTER_FIRST: &str = r#"- name: first
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}"#;

const LUA: &str = r#"- name: lua
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code: {inline_string: "function envoy_on_request(handle) end"}"#;
const CACHE: &str = r#"- name: cache
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig
    typed_config: {"@type": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig}"#;
const CACHE_V2: &str = r#"- name: cache
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.cache_v2.v3.CacheV2Config
    typed_config: {"@type": type.googleapis.com/envoy.extensions.http.cache_v2.simple_http_cache.v3.SimpleHttpCacheV2Config}"#;
const EXT_AUTHZ: &str = r#"- name: ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
    grpc_service: {envoy_grpc: {cluster_name: api}}"#;
const EXT_PROC: &str = r#"- name: ext_proc
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
    grpc_service: {envoy_grpc: {cluster_name: api}}"#;
const RATE_LIMIT: &str = r#"- name: ratelimit
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
    domain: api
    rate_limit_service: {transport_api_version: V3, grpc_service: {envoy_grpc: {cluster_name: api}}}"#;
const RBAC_BY_HEADER: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules: {action: ALLOW, policies: {users: {permissions: [{any: true}], principals: [{header: {name: x-user, string_match: {exact: alice}}}]}}}"#;
const RBAC_BY_ADDRESS: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules: {action: ALLOW, policies: {users: {permissions: [{header: {name: ":path", string_match: {prefix: /}}}], principals: [{remote_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}]}}}"#;
pub(crate) const JWT_AUTHN: &str = r#"- name: jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: {idp: {issuer: x, local_jwks: {inline_string: '{"keys": []}'}}}"#;
const JWT_AUTHN_FORWARDING: &str = r#"- name: jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: {idp: {issuer: x, forward: true, local_jwks: {inline_string: '{"keys": []}'}}}"#;

/// A DENY of one user, who has a good token.
const DENY_BY_METADATA: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals:
          - metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: jwt}, {key: sub}], value: {string_match: {exact: mallory}}}"#;
const DENY_BY_STATE: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals: [{filter_state: {key: wasm.bearer_gate.subject, string_match: {exact: mallory}}}]"#;
const DENY_BY_STRUCT: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals: [{filter_state: {key: wasm.jwt, string_match: {exact: mallory}}}]"#;
const DENY_BY_SHORT_NAME: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals: [{filter_state: {key: bearer_gate.subject, string_match: {exact: mallory}}}]"#;
/// The same of a route.
const EMPTY_RBAC: &str = r#"- name: rbac
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}"#;
const DENY_OF_ROUTE_BY_METADATA: &str = r#"typed_per_filter_config:
  rbac:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute
    rbac:
      rules:
        action: DENY
        policies:
          mallory:
            permissions: [{any: true}]
            principals:
            - metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: jwt}, {key: sub}], value: {string_match: {exact: mallory}}}"#;
const DENY_OF_ROUTE_BY_STATE: &str = r#"typed_per_filter_config:
  rbac:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute
    rbac:
      rules:
        action: DENY
        policies:
          mallory:
            permissions: [{any: true}]
            principals: [{filter_state: {key: wasm.bearer_gate.subject, string_match: {exact: mallory}}}]"#;

/// Lua that reads metadata.
macro_rules! lua {
    ($namespace:literal) => {
        concat!(
            r#"- name: lua
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code:
      inline_string: |
        function envoy_on_request(handle)
          handle:streamInfo():dynamicMetadata():get(""#,
            $namespace,
            r#"")
        end"#
        )
    };
}

/// `ext_authz` that is told metadata.
macro_rules! ext_authz {
    ($namespace:literal) => {
        concat!(
            r#"- name: ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
    grpc_service: {envoy_grpc: {cluster_name: api}}
    metadata_context_namespaces: ["#,
            $namespace,
            "]"
        )
    };
}

/// Limits by metadata.
macro_rules! rate_limits {
    ($namespace:literal) => {
        concat!(
            "rate_limits: [{actions: [{metadata: {descriptor_key: user, metadata_key: {key: ",
            $namespace,
            ", path: [{key: sub}]}}}]}]"
        )
    };
}

/// A rule without `requires`.
const OPEN_RULE: &str = "- match: {path: /open}";
const OPEN: Request = Request {
    path: "/open",
    ..PLAIN
};
const MAP: &str = "route_metadata: bearer_gate\nrequirement_map: {users: {provider_name: idp}}";

const CLAIM_HEADER: &str = "claim_to_headers: [{header_name: x-user, claim_name: sub}]";
const MUTATION: &str = r#"- name: mutation
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
    mutations:
      request_mutations:
      - append: {header: {key: X-User, value: nobody}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}"#;
const MUTATION_OF_ROUTE: &str = r#"typed_per_filter_config:
  mutation:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute
    mutations:
      request_mutations:
      - append: {header: {key: X-User, value: nobody}}"#;
/// The cluster of the upstream again, with a filter of its own that sets this header.
macro_rules! api_that_sets {
    ($header:literal) => {
        concat!(
            r#"typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: {http_protocol_options: {}}
    http_filters:
    - name: mutation
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
        mutations:
          request_mutations:
          - append: {header: {key: "#,
            $header,
            r#", value: "%REQ(x-who)%"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
    - name: codec
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}"#
        )
    };
}
const API_THAT_SETS: &str = api_that_sets!("X-User");
const API_THAT_SETS_ANOTHER: &str = api_that_sets!("X-Users");
const ROUTER_THAT_SETS: &str = r#"- name: router
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    upstream_http_filters:
    - name: mutation
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
        mutations: {request_mutations: [{append: {header: {key: X-User, value: nobody}}}]}
    - name: codec
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}"#;
const TO_METADATA: &str = r#"- name: to_metadata
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
    request_rules:
    - header: X-User
      on_header_present: {metadata_namespace: users, key: user, type: STRING}"#;
const NODE: &str = "node: {id: a, cluster: a}";
const BY_CONTROL_PLANE: &str = r#"- name: other
  config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors]}"#;
const BY_ECDS: &str = r#"- name: other
  config_discovery:
    config_source:
      path_config_source:
        path: /etc/other.yaml
    type_urls: [type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors]"#;
const SUBJECT: &str = "filter_state: [subject]";
const MALLORY: Request = Request {
    subject: Some("mallory"),
    ..PLAIN
};

const ACCESS_LOG_OF_METADATA: &str = r#"access_log:
- name: log
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
    log_format: {json_format: {user: "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:sub)%"}}"#;
const ACCESS_LOG_OF_STATE: &str = r#"access_log:
- name: log
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
    log_format: {json_format: {user: "%FILTER_STATE(wasm.bearer_gate.subject:PLAIN)%"}}"#;

/// A listener without the filter, that does this with its requests.
macro_rules! listener {
    ($route:literal) => {
        concat!(
            r#"- name: other
  address: {socket_address: {address: 127.0.0.1, port_value: 10001}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: other
        http_filters:
        - name: envoy.filters.http.router
          typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
        route_config:
          virtual_hosts:
          - name: other
            domains: ["*"]
            routes:
            - "#,
            $route
        )
    };
}
const LISTENER_TO_API: &str = listener!(r#"{match: {prefix: /}, route: {cluster: api}}"#);
const LISTENER_TO_ALIAS: &str = listener!(r#"{match: {prefix: /}, route: {cluster: alias}}"#);
const LISTENER_TO_STATIC: &str = listener!(
    r#"{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: static, weight: 1}]}}}"#
);
const LISTENER_TO_HEADER: &str =
    listener!(r#"{match: {prefix: /}, route: {cluster_header: x-cluster}}"#);
const LISTENER_OF_ITS_OWN: &str =
    listener!(r#"{match: {prefix: /}, direct_response: {status: 200}}"#);
const LISTENER_TO_FRONT: &str = listener!(r#"{match: {prefix: /}, route: {cluster: front}}"#);
const TCP_TO_API: &str = r#"- name: other
  address: {socket_address: {address: 127.0.0.1, port_value: 10001}}
  filter_chains:
  - filters:
    - name: tcp
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: tcp, cluster: api}"#;
const TCP_TO_STATIC: &str = r#"- name: other
  address: {socket_address: {address: 127.0.0.1, port_value: 10001}}
  filter_chains:
  - filters:
    - name: tcp
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: tcp, cluster: static}"#;

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
const ALIAS: &str = cluster!("alias", "8080");
const STATIC: &str = cluster!("static", "8081");
const ADMIN: &str = cluster!("admin", "9901");
const ADMIN_HERE: &str =
    "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}";
const FRONT: &str = cluster!("front", "10000");

const MATCHED: &str = r#"- name: matched
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher
    xds_matcher:
      matcher_list:
        matchers:
        - predicate:
            single_predicate:
              input: {name: header, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-skip}}
              value_match: {exact: "1"}
          on_match: {action: {name: skip, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter}}}
    extension_config:
      name: gate
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
        config:
          name: bearer-gate
          vm_config: {vm_id: bearer-gate, runtime: envoy.wasm.runtime.v8, code: {local: {filename: /opt/bearer-gate/plugin.wasm}}}
          failure_policy: FAIL_RELOAD
          configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '{"rules": []}'}"#;

const SECOND: &str = r#"- name: second
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: bearer-gate
      vm_config: {vm_id: bearer-gate, runtime: envoy.wasm.runtime.v8, code: {local: {filename: /opt/bearer-gate/plugin.wasm}}}
      failure_policy: FAIL_RELOAD
      configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '{"rules": []}'}"#;

/// A provider whose keys are fetched.
const REMOTE: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  remote_jwks: {http_uri: {uri: 'https://keys.example.com/jwks', cluster: keys, timeout: 5s}}";
const DISCOVERED: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  openid_discovery: {cluster: keys, timeout: 3s}";
const SLOW: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  remote_jwks:
    http_uri:
      uri: https://keys.example.com/jwks
      cluster: keys
      timeout: 31s";
const SLOWEST: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  remote_jwks: {http_uri: {uri: 'https://keys.example.com/jwks', cluster: keys, timeout: 30s}}";

/// The cluster of the keys, with an address, a port and an `UpstreamTlsContext`.
macro_rules! keys {
    ($address:literal, $port:literal, $($tls:literal),+) => {
        concat!(
            "- name: keys
  type: STRICT_DNS
  load_assignment:
    cluster_name: keys
    endpoints:
    - lb_endpoints:
      - endpoint: {address: {socket_address: {address: ",
            $address,
            ", port_value: ",
            $port,
            "}}}
  transport_socket:
    name: tls
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
",
            $($tls),+
        )
    };
}
const KEYS: &str = keys!("keys.example.com", "443", "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}");
/// Inside of a network a host has another name, and shows the certificate of the public one.
const KEYS_INSIDE: &str = keys!("keys.default.svc", "443", "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}");
const KEYS_ELSEWHERE: &str = keys!("other.example.com", "443", "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: 'spiffe://a'}}, {san_type: DNS, matcher: {suffix: .example.com}}]}}");
const KEYS_OF_ANY_HOST: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}}"
);
const KEYS_OF_SNI: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      auto_sni_san_validation: true
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}}"
);
const KEYS_OF_ANOTHER: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      common_tls_context:
        validation_context:
          trusted_ca: {filename: /ca}
          match_typed_subject_alt_names:
          - {san_type: DNS, matcher: {exact: other.example.com}}"
);
/// The cluster of the keys, with a matcher of names.
macro_rules! keys_of {
    ($matcher:literal) => {
        keys!(
            "keys.example.com",
            "443",
            "      sni: keys.example.com
      common_tls_context:
        validation_context:
          trusted_ca: {filename: /ca}
          match_typed_subject_alt_names:
          - {san_type: DNS, matcher: {",
            $matcher,
            "}}"
        )
    };
}
const KEYS_OF_A_SUFFIX: &str = keys_of!("suffix: example.com");
const KEYS_OF_A_DOMAIN: &str = keys_of!("suffix: .example.com");
const KEYS_OF_A_PART: &str = keys_of!("contains: keys.example.com");
const KEYS_OF_A_REGEX: &str = keys_of!("safe_regex: {regex: '.*keys.example.com'}");
const KEYS_OF_A_STRICT_REGEX: &str = keys_of!("safe_regex: {regex: 'keys\\.example\\.com'}");
const KEYS_UNTRUSTED: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      common_tls_context:
        validation_context:
          trusted_ca: {filename: /ca}
          trust_chain_verification: ACCEPT_UNTRUSTED
          match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]"
);
/// The same by its number.
const KEYS_UNTRUSTED_BY_NUMBER: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      common_tls_context:
        validation_context:
          trusted_ca: {filename: /ca}
          trust_chain_verification: 1
          match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]"
);
const KEYS_UNVERIFIED: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      common_tls_context: {validation_context: {}}"
);
/// Sockets that an endpoint's metadata choose, beside the good one.
macro_rules! keys_with {
    ($matched:literal, $socket:literal) => {
        keys!("keys.example.com", "443", "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}
  transport_socket_matches:
  - name: matched
    match: ", $matched, "
    transport_socket:
      name: socket
      typed_config: ", $socket)
    };
}
const KEYS_MATCHED_RAW: &str = keys_with!(
    "{a: b}",
    r#"{"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}"#
);
const KEYS_MATCHED_UNVERIFIED: &str = keys_with!(
    "{}",
    r#"{"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: keys.example.com, common_tls_context: {}}"#
);
const KEYS_MATCHED: &str = keys_with!(
    "{}",
    r#"{"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: keys.example.com, common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}}"#
);
/// No call takes the cluster's own socket, which is none.
const KEYS_ALL_MATCHED: &str = "- name: keys
  type: STRICT_DNS
  load_assignment: {cluster_name: keys, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: keys.example.com, port_value: 443}}}}]}]}
  transport_socket_matches:
  - name: all
    transport_socket:
      name: socket
      typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: keys.example.com, common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}}";
const KEYS_BY_SDS: &str = keys!(
    "keys.example.com",
    "443",
    "      sni: keys.example.com
      common_tls_context: {validation_context_sds_secret_config: {name: ca}}"
);
const KEYS_WITHOUT_SNI: &str = keys!(
    "keys.example.com",
    "443",
    "      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}"
);
const KEYS_AUTO_SNI: &str = keys!("keys.example.com", "443", "      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}
  typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {upstream_http_protocol_options: {auto_sni: true}}}");
const KEYS_AT_8443: &str = keys!("keys.example.com", "8443", "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}");
const KEYS_HERE: &str = keys!("127.0.0.1", "8443", "      sni: keys.example.com
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.example.com}}]}}");

/// Keys that come from this host.
const REMOTE_HERE: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  remote_jwks: {http_uri: {uri: 'https://localhost:8443/jwks', cluster: keys, timeout: 5s}}";
const KEYS_HERE_AT_8443: &str = keys!("127.0.0.1", "8443", "      sni: localhost
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: localhost}}]}}");
const KEYS_HERE_AT_8444: &str = keys!("127.0.0.1", "8444", "      sni: localhost
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: localhost}}]}}");
const PLAIN_KEYS: &str = cluster!("keys", "8081");
const KEYS_WITHOUT_TLS: &str = "- name: keys
  type: STRICT_DNS
  load_assignment: {cluster_name: keys, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: keys.example.com, port_value: 443}}}}]}]}";
const KEYS_RAW: &str = "- name: keys
  type: STRICT_DNS
  load_assignment: {cluster_name: keys, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: keys.example.com, port_value: 443}}}}]}]}
  transport_socket: {name: raw, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}";

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

/// The filter, with its module from here.
macro_rules! module {
    ($code:literal) => {
        concat!(
            r#"- name: gate
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: bearer-gate
      vm_config:
        vm_id: bearer-gate
        runtime: envoy.wasm.runtime.v8
        code: "#,
            $code,
            r#"
      failure_policy: FAIL_RELOAD
      configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '{"rules": []}'}"#
        )
    };
}

/// An access log of this.
macro_rules! log {
    ($text:literal) => {
        concat!(
            r#"access_log:
- name: log
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
    log_format: {text_format_source: {inline_string: ""#,
            $text,
            r#""}}"#
        )
    };
}

pub(crate) const TABLE: &[Row] = &[
    Row {
        kind: "upgrade-without-filter",
        bad: &[(
            "manager",
            "upgrade_configs:\n- upgrade_type: websocket\n  filters:\n  - name: envoy.filters.http.router\n    typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}",
        )],
        at: "- name: envoy.filters.http.router",
        good: &[("manager", "upgrade_configs: [{upgrade_type: websocket}]")],
        proof: Some(Proof::Passes(WEBSOCKET)),
    },
    Row {
        kind: "upgrade-without-filter",
        bad: &[
            (
                "manager",
                "upgrade_configs: [{upgrade_type: websocket, enabled: false, filters: [{name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}]",
            ),
            ("action", "upgrade_configs: [{upgrade_type: WebSocket}]"),
        ],
        at: "enabled: false, filters",
        good: &[(
            "manager",
            "upgrade_configs: [{upgrade_type: websocket, enabled: false, filters: [{name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}]",
        )],
        proof: Some(Proof::Passes(WEBSOCKET)),
    },
    Row {
        kind: "filter-disabled",
        bad: &[("own", "disabled: true")],
        at: "disabled: true",
        good: &[("own", "disabled: false")],
        proof: ERROR,
    },
    Row {
        kind: "filter-disabled",
        bad: &[
            ("own", "disabled: true"),
            (
                "first",
                "- match: {prefix: /admin}\n  route: {cluster: api}\n  typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {}}}",
            ),
        ],
        at: "disabled: true",
        good: &[("own", "disabled: true"), ("host", ON)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("route", OFF)],
        at: "disabled: true",
        good: &[("route", OF_ANOTHER)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("host", OFF)],
        at: "disabled: true",
        good: &[("host", OFF), ("route", ON)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("routes", OFF)],
        at: "disabled: true",
        good: &[("routes", OFF), ("host", ON)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[(
            "first",
            "- match: {prefix: /api/orders}\n  route: {cluster: api}\n  typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        at: "disabled: true",
        good: &[(
            "first",
            "- match: {prefix: /api/orders}\n  direct_response: {status: 204}\n  typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[(
            "first",
            "- match: {prefix: /api/orders}\n  route:\n    weighted_clusters:\n      clusters:\n      - name: api\n        weight: 1\n        typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        at: "disabled: true",
        good: &[(
            "first",
            "- match: {prefix: /api/orders}\n  route:\n    weighted_clusters:\n      clusters:\n      - name: api\n        weight: 1\n        typed_per_filter_config: {cors: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        proof: ERROR,
    },
    Row {
        kind: "filter-matched",
        bad: &[("instead", MATCHED)],
        at: "- name: matched",
        good: &[("instead", SECOND)],
        proof: Some(Proof::Passes(Request {
            headers: &[("x-skip", "1")],
            ..PLAIN
        })),
    },
    Row {
        kind: "filter-twice",
        bad: &[("after", SECOND)],
        at: "- name: second",
        good: &[],
        proof: WARNING,
    },
    Row {
        kind: "filter-optional",
        bad: &[("own", "is_optional: true")],
        at: "is_optional: true",
        good: &[("own", "is_optional: false")],
        proof: WARNING,
    },
    Row {
        kind: "filter-after-router",
        bad: &[("before", ROUTER_FIRST)],
        at: "- name: first",
        good: &[("before", CORS)],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "filter-order",
        bad: &[("before", LUA)],
        at: "- name: lua",
        good: &[("after", LUA)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", CACHE)],
        at: "- name: cache",
        good: &[("before", CORS)],
        proof: ERROR,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", CACHE_V2)],
        at: "- name: cache",
        good: &[],
        proof: ERROR,
    },
    Row {
        kind: "filter-order",
        bad: &[("after", CACHE)],
        at: "- name: cache",
        good: &[("after", CORS)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", EXT_AUTHZ)],
        at: "- name: ext_authz",
        good: &[("after", EXT_AUTHZ)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", EXT_PROC)],
        at: "- name: ext_proc",
        good: &[("after", EXT_PROC)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", RATE_LIMIT)],
        at: "- name: ratelimit",
        good: &[("after", RATE_LIMIT)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", RBAC_BY_HEADER)],
        at: "- name: rbac",
        good: &[("before", RBAC_BY_ADDRESS), ("after", RBAC_BY_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "jwt-authn-beside",
        bad: &[("before", JWT_AUTHN)],
        at: "- name: jwt_authn",
        good: &[("before", JWT_AUTHN_FORWARDING)],
        proof: WARNING,
    },
    Row {
        kind: "jwt-authn-beside",
        bad: &[("after", JWT_AUTHN)],
        at: "- name: jwt_authn",
        good: &[],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", DENY_BY_METADATA)],
        at: "envoy.filters.http.jwt_authn",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "metadata-unset",
        bad: &[("manager", ACCESS_LOG_OF_METADATA)],
        at: "DYNAMIC_METADATA",
        good: &[("manager", ACCESS_LOG_OF_STATE), ("config", SUBJECT)],
        proof: WARNING,
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", LISTENER_TO_API)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_OF_ITS_OWN)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", LISTENER_TO_ALIAS), ("cluster", ALIAS)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_TO_FRONT), ("cluster", FRONT)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", TCP_TO_API)],
        at: "TcpProxy",
        good: &[("listener", TCP_TO_STATIC), ("cluster", STATIC)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "other-chain",
        bad: &[("listener", LISTENER_TO_STATIC), ("cluster", STATIC)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_TO_FRONT), ("cluster", FRONT)],
        proof: WARNING,
    },
    Row {
        kind: "other-chain",
        bad: &[("listener", LISTENER_TO_HEADER)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_OF_ITS_OWN)],
        proof: WARNING,
    },
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}",
            ),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer-gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: &[
            (
                "route",
                "metadata: {filter_metadata: {other: {name: x}, bearer_gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "route",
                "typed_per_filter_config: {envoy.filters.http.jwt_authn: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, requirement_name: users}}",
            ),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unknown",
        bad: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer_gate: {requirement_name: user}}}",
            ),
            ("config", MAP),
        ],
        at: "requirement_name: user}",
        good: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
        ],
        proof: WARNING,
    },
    Row {
        kind: "state-unset",
        bad: &[("after", DENY_BY_STATE)],
        at: "wasm.bearer_gate.subject",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "state-unset",
        bad: &[
            ("after", DENY_BY_STRUCT),
            ("provider", "payload_in_metadata: jwt"),
        ],
        at: "key: wasm.jwt",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "state-unset",
        bad: &[("after", DENY_BY_SHORT_NAME), ("config", SUBJECT)],
        at: "key: bearer_gate.subject",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "state-unset",
        bad: &[
            ("manager", ACCESS_LOG_OF_STATE),
            ("config", "filter_state: [reason]"),
        ],
        at: "wasm.bearer_gate.subject",
        good: &[
            ("manager", ACCESS_LOG_OF_STATE),
            ("config", "filter_state: [reason, subject]"),
        ],
        proof: WARNING,
    },
    Row {
        kind: "state-unset",
        bad: &[("manager", log!("%CEL(filter_state['wasm.jwt'].azp)%"))],
        at: "wasm.jwt",
        good: &[
            ("manager", log!("%CEL(filter_state['wasm.jwt'].azp)%")),
            ("after", another!("another", "/opt/another.wasm")),
        ],
        proof: WARNING,
    },
    Row {
        kind: "credential-logged",
        bad: &[("manager", log!("%REQ(Authorization)%"))],
        at: "REQ(Authorization)",
        good: &[("manager", log!("%REQ(X-Authorization)% %REQ(COOKIE)%"))],
        proof: WARNING,
    },
    Row {
        kind: "credential-logged",
        bad: &[(
            "manager",
            "tracing: {custom_tags: [{tag: token, request_header: {name: authorization}}]}",
        )],
        at: "name: authorization",
        good: &[(
            "manager",
            "tracing: {custom_tags: [{tag: id, request_header: {name: x-request-id}}]}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "admin-open",
        bad: &[(
            "top",
            "admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}",
        )],
        at: "0.0.0.0",
        good: &[(
            "top",
            "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "request-timeout",
        bad: &[
            ("timeout", "request_timeout: 11.5s"),
            ("providers", REMOTE),
            ("cluster", KEYS),
        ],
        at: "request_timeout: 11.5s",
        good: &[
            ("timeout", "request_timeout: 12s"),
            ("providers", REMOTE),
            ("cluster", KEYS),
        ],
        proof: WARNING,
    },
    Row {
        kind: "request-timeout",
        bad: &[
            ("timeout", "request_timeout: 19s"),
            ("providers", DISCOVERED),
            ("cluster", KEYS),
        ],
        at: "request_timeout: 19s",
        good: &[
            ("timeout", "request_timeout: 20s"),
            ("providers", DISCOVERED),
            ("cluster", KEYS),
        ],
        proof: WARNING,
    },
    Row {
        kind: "request-timeout",
        bad: &[("timeout", "request_timeout: 0s")],
        at: "request_timeout: 0s",
        good: &[("timeout", "request_timeout: 1s")],
        proof: WARNING,
    },
    Row {
        kind: "fetch-timeout",
        bad: &[
            ("timeout", "request_timeout: 60s"),
            ("providers", SLOW),
            ("cluster", KEYS),
        ],
        at: "timeout: 31s",
        good: &[
            ("timeout", "request_timeout: 60s"),
            ("providers", SLOWEST),
            ("cluster", KEYS),
        ],
        proof: WARNING,
    },
    Row {
        kind: "cluster-missing",
        bad: &[("providers", REMOTE), ("cluster", STATIC)],
        at: "cluster: keys",
        good: &[("providers", REMOTE), ("cluster", KEYS)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "cluster-host",
        bad: &[("providers", REMOTE), ("cluster", KEYS_ELSEWHERE)],
        at: "cluster: keys",
        good: &[("providers", REMOTE), ("cluster", KEYS_INSIDE)],
        proof: WARNING,
    },
    Row {
        kind: "cluster-port",
        bad: &[("providers", REMOTE), ("cluster", KEYS_AT_8443)],
        at: "port_value: 8443",
        good: &[("providers", REMOTE), ("cluster", KEYS_HERE)],
        proof: WARNING,
    },
    Row {
        kind: "cluster-port",
        bad: &[("providers", REMOTE_HERE), ("cluster", KEYS_HERE_AT_8444)],
        at: "port_value: 8444",
        good: &[("providers", REMOTE_HERE), ("cluster", KEYS_HERE_AT_8443)],
        proof: WARNING,
    },
    Row {
        kind: "cluster-without-tls",
        bad: &[("providers", REMOTE), ("cluster", KEYS_WITHOUT_TLS)],
        at: "- name: keys",
        good: &[("providers", REMOTE), ("cluster", KEYS)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "cluster-without-tls",
        bad: &[("providers", REMOTE), ("cluster", KEYS_RAW)],
        at: "- name: keys",
        good: &[("providers", REMOTE), ("cluster", KEYS)],
        proof: Some(Proof::Unseen),
    },
    // a proxy on this host may add TLS
    Row {
        kind: "cluster-without-tls",
        bad: &[("providers", REMOTE), ("cluster", PLAIN_KEYS)],
        at: "- name: keys",
        good: &[("providers", REMOTE), ("cluster", KEYS_HERE)],
        proof: WARNING,
    },
    Row {
        kind: "certificate-name",
        bad: &[("providers", REMOTE), ("cluster", KEYS_OF_ANY_HOST)],
        at: "UpstreamTlsContext",
        good: &[("providers", REMOTE), ("cluster", KEYS_OF_SNI)],
        proof: WARNING,
    },
    Row {
        kind: "certificate-name",
        bad: &[("providers", REMOTE), ("cluster", KEYS_OF_ANOTHER)],
        at: "exact: other.example.com",
        good: &[("providers", REMOTE), ("cluster", KEYS_BY_SDS)],
        proof: WARNING,
    },
    Row {
        kind: "certificate-name",
        bad: &[("providers", REMOTE), ("cluster", KEYS_OF_A_SUFFIX)],
        at: "suffix: example.com",
        good: &[("providers", REMOTE), ("cluster", KEYS_OF_A_DOMAIN)],
        proof: WARNING,
    },
    Row {
        kind: "certificate-name",
        bad: &[("providers", REMOTE), ("cluster", KEYS_OF_A_REGEX)],
        at: "safe_regex",
        good: &[("providers", REMOTE), ("cluster", KEYS_OF_A_STRICT_REGEX)],
        proof: WARNING,
    },
    Row {
        kind: "certificate-name",
        bad: &[("providers", REMOTE), ("cluster", KEYS_OF_A_PART)],
        at: "contains",
        good: &[("providers", REMOTE), ("cluster", KEYS)],
        proof: WARNING,
    },
    Row {
        kind: "certificate-unverified",
        bad: &[("providers", REMOTE), ("cluster", KEYS_UNTRUSTED)],
        at: "ACCEPT_UNTRUSTED",
        good: &[("providers", REMOTE), ("cluster", KEYS)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "certificate-unverified",
        bad: &[("providers", REMOTE), ("cluster", KEYS_UNTRUSTED_BY_NUMBER)],
        at: "trust_chain_verification: 1",
        good: &[("providers", REMOTE), ("cluster", KEYS)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "certificate-unverified",
        bad: &[("providers", DISCOVERED), ("cluster", KEYS_UNVERIFIED)],
        at: "validation_context: {}",
        good: &[("providers", DISCOVERED), ("cluster", KEYS)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "cluster-without-tls",
        bad: &[("providers", REMOTE), ("cluster", KEYS_MATCHED_RAW)],
        at: "- name: matched",
        good: &[("providers", REMOTE), ("cluster", KEYS_MATCHED)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "certificate-unverified",
        bad: &[("providers", REMOTE), ("cluster", KEYS_MATCHED_UNVERIFIED)],
        at: "common_tls_context: {}",
        good: &[("providers", REMOTE), ("cluster", KEYS_ALL_MATCHED)],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "server-name",
        bad: &[("providers", REMOTE), ("cluster", KEYS_WITHOUT_SNI)],
        at: "UpstreamTlsContext",
        good: &[("providers", REMOTE), ("cluster", KEYS_AUTO_SNI)],
        proof: WARNING,
    },
    Row {
        kind: "vm-id-shared",
        bad: &[("after", another!("bearer-gate", "/opt/another.wasm"))],
        at: "vm_id: bearer-gate",
        good: &[("after", another!("another", "/opt/another.wasm"))],
        proof: WARNING,
    },
    Row {
        kind: "module-unverified",
        bad: &[(
            "instead",
            module!(
                "{remote: {http_uri: {uri: 'https://a.example/m.wasm', cluster: api, timeout: 5s}}}"
            ),
        )],
        at: "code: {remote",
        good: &[(
            "instead",
            module!(
                "{remote: {http_uri: {uri: 'https://a.example/m.wasm', cluster: api, timeout: 5s}, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}}"
            ),
        )],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "module-missing",
        bad: &[(
            "instead",
            module!("{local: {filename: no/such/plugin.wasm}}"),
        )],
        at: "no/such/plugin.wasm",
        good: &[("instead", module!("{local: {filename: cli/Cargo.toml}}"))],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("after", MUTATION), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("before", MUTATION), ("provider", CLAIM_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("route", MUTATION_OF_ROUTE), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("route", MUTATION_OF_ROUTE)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("api", API_THAT_SETS), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("api", API_THAT_SETS_ANOTHER), ("provider", CLAIM_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("after", ROUTER_THAT_SETS), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("after", ROUTER_THAT_SETS)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", TO_METADATA), ("provider", CLAIM_HEADER)],
        at: "header: X-User",
        good: &[("after", TO_METADATA), ("provider", CLAIM_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {prefix: /open/v1}\n  route: {cluster: api, prefix_rewrite: /api}",
            ),
        ],
        at: "prefix_rewrite: /api",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {prefix: /open/v1}\n  route: {cluster: api, prefix_rewrite: /open/v2}",
            ),
        ],
        proof: WARNING,
    },
    // what is below the rewritten path
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {prefix: /open/}\n  route: {cluster: api, prefix_rewrite: /}",
            ),
        ],
        at: "prefix_rewrite: /",
        good: &[(
            "first",
            "- match: {prefix: /v1/}\n  route: {cluster: api, prefix_rewrite: /}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: '^/[^/]*(/.*)'}, substitution: '\\1'}",
            ),
        ],
        at: "regex_rewrite",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: /v1}, substitution: /v2}",
            ),
        ],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            ("action", "path_rewrite: '%REQ(x-who)%'"),
        ],
        at: "path_rewrite",
        good: &[("action", "path_rewrite: '%REQ(x-who)%'")],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                r#"path_rewrite_policy: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig, path_template_rewrite: "/api/{rest}"}}"#,
            ),
        ],
        at: "path_rewrite_policy",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                r#"path_rewrite_policy: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig, path_template_rewrite: "/open/{rest}"}}"#,
            ),
        ],
        proof: WARNING,
    },
    Row {
        kind: "cluster-missing",
        bad: &[(
            "first",
            "- match: {prefix: /other}\n  route:\n    cluster: apis",
        )],
        at: "cluster: apis",
        good: &[(
            "first",
            "- match: {prefix: /other}\n  route:\n    cluster: api",
        )],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "upgrade-without-filter",
        bad: &[("manager", ONE_UPGRADE)],
        at: "filters:",
        good: &[("manager", "upgrade_configs: {upgrade_type: websocket}")],
        proof: Some(Proof::Passes(WEBSOCKET)),
    },
    Row {
        kind: "filter-disabled",
        bad: &[("own", "disabled: 'yes'")],
        at: "disabled: 'yes'",
        good: &[("own", "disabled: 'F'")],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("route", OFF_BY_TEXT)],
        at: "disabled: 'True'",
        good: &[("route", OF_ANOTHER)],
        proof: ERROR,
    },
    Row {
        kind: "field-twice",
        bad: &[("own", "disabled: false\ndisabled: false")],
        at: "disabled: false",
        good: &[("own", "disabled: false")],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "field-twice",
        bad: &[(
            "route",
            "typedPerFilterConfig: {}\ntyped_per_filter_config: {}",
        )],
        at: "typed_per_filter_config",
        good: &[("route", "metadata: {filter_metadata: {a: {x_y: 1, xY: 1}}}")],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "document-unread",
        bad: &[("top", "admin: {}\n---")],
        at: "static_resources:",
        good: &[("top", "---")],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "node-missing",
        bad: &[("before", BY_CONTROL_PLANE)],
        at: "config_source: {ads: {}}",
        good: &[("before", BY_CONTROL_PLANE), ("top", NODE)],
        proof: WARNING,
    },
    Row {
        kind: "file-not-given",
        bad: &[("before", BY_ECDS), ("top", NODE)],
        at: "path: /etc/other.yaml",
        good: &[("before", CORS)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            (
                "route",
                "request_headers_to_add: [{header: {key: X-User, value: '%REQ(x-name)%'}}]",
            ),
            ("provider", CLAIM_HEADER),
        ],
        at: "X-User",
        good: &[
            (
                "route",
                "request_headers_to_add: [{header: {key: x-users, value: '%REQ(x-name)%'}}]",
            ),
            ("provider", CLAIM_HEADER),
        ],
        proof: WARNING,
    },
    Row {
        kind: "admin-open",
        bad: &[
            ("top", ADMIN_HERE),
            (
                "first",
                "- match: {prefix: /admin}\n  route: {cluster: admin}",
            ),
            ("cluster", ADMIN),
        ],
        at: "match: {prefix: /admin}",
        good: &[
            ("top", ADMIN_HERE),
            (
                "first",
                "- match: {path: /ready}\n  route: {cluster: admin}",
            ),
            ("cluster", ADMIN),
        ],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", EMPTY_RBAC), ("route", DENY_OF_ROUTE_BY_METADATA)],
        at: "envoy.filters.http.jwt_authn",
        good: &[
            ("after", EMPTY_RBAC),
            ("route", DENY_OF_ROUTE_BY_STATE),
            ("config", SUBJECT),
        ],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", lua!("envoy.filters.http.jwt_authn"))],
        at: "envoy.filters.http.jwt_authn",
        good: &[("after", lua!("envoy.filters.http.ext_authz"))],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", ext_authz!("envoy.filters.http.jwt_authn"))],
        at: "envoy.filters.http.jwt_authn",
        good: &[("after", ext_authz!("envoy.filters.http.header_to_metadata"))],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("action", rate_limits!("envoy.filters.http.jwt_authn"))],
        at: "envoy.filters.http.jwt_authn",
        good: &[(
            "action",
            rate_limits!("envoy.filters.http.header_to_metadata"),
        )],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[(
            "host",
            "request_headers_to_add: [{header: {key: x-sub, value: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:sub)%'}}]",
        )],
        at: "envoy.filters.http.jwt_authn",
        good: &[
            (
                "host",
                "request_headers_to_add: [{header: {key: x-sub, value: '%FILTER_STATE(wasm.bearer_gate.subject:PLAIN)%'}}]",
            ),
            ("config", SUBJECT),
        ],
        proof: WARNING,
    },
];
