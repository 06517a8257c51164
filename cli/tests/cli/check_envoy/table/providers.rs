//! The way to a provider: its cluster, its certificate, its time.

use super::{Proof, Row, STATIC, WARNING};

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

/// The same by another name of this host.
const REMOTE_HERE_BY_NAME: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  remote_jwks: {http_uri: {uri: 'https://keys.localhost:8443/jwks', cluster: keys, timeout: 5s}}";

const KEYS_BY_NAME_AT_8443: &str = keys!("127.0.0.1", "8443", "      sni: keys.localhost
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.localhost}}]}}");

const KEYS_BY_NAME_AT_8444: &str = keys!("127.0.0.1", "8444", "      sni: keys.localhost
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: keys.localhost}}]}}");

const PLAIN_KEYS: &str = cluster!("keys", "8081");

const REMOTE_PLAIN: &str = "keys:
  issuer: https://keys.example.com/
  audiences: [x]
  remote_jwks: {http_uri: {uri: 'http://127.0.0.1:8081/jwks', cluster: keys, timeout: 5s}}";

const KEYS_HERE_WITH_TLS: &str = keys!("127.0.0.1", "8081", "      sni: localhost
      common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: localhost}}]}}");

const KEYS_WITHOUT_TLS: &str = "- name: keys
  type: STRICT_DNS
  load_assignment: {cluster_name: keys, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: keys.example.com, port_value: 443}}}}]}]}";

const KEYS_RAW: &str = "- name: keys
  type: STRICT_DNS
  load_assignment: {cluster_name: keys, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: keys.example.com, port_value: 443}}}}]}]}
  transport_socket: {name: raw, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}";

pub(super) const ROWS: &[Row] = &[
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
    // the timeout is no duration
    Row {
        kind: "request-timeout",
        bad: &[("timeout", "request_timeout: 30")],
        at: "request_timeout: 30",
        good: &[("timeout", "request_timeout: {seconds: 30}")],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "request-timeout",
        bad: &[("timeout", "request_timeout: 1m")],
        at: "request_timeout: 1m",
        good: &[("timeout", "request_timeout: 60.5s")],
        proof: Some(Proof::Refused),
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
        kind: "cluster-port",
        bad: &[
            ("providers", REMOTE_HERE_BY_NAME),
            ("cluster", KEYS_BY_NAME_AT_8444),
        ],
        at: "port_value: 8444",
        good: &[
            ("providers", REMOTE_HERE_BY_NAME),
            ("cluster", KEYS_BY_NAME_AT_8443),
        ],
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
    Row {
        kind: "cluster-with-tls",
        bad: &[("providers", REMOTE_PLAIN), ("cluster", KEYS_HERE_WITH_TLS)],
        at: "UpstreamTlsContext",
        good: &[("providers", REMOTE_PLAIN), ("cluster", PLAIN_KEYS)],
        proof: WARNING,
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
];
