//! The plugin itself: its VM, its module, and how the file that it is in is written.

use super::{CORS, ERROR, Proof, Row, WARNING};

const NODE: &str = "node: {id: a, cluster: a}";

const BY_CONTROL_PLANE: &str = r#"- name: other
  config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors]}"#;

const BY_ECDS: &str = r#"- name: other
  config_discovery:
    config_source:
      path_config_source:
        path: /etc/other.yaml
    type_urls: [type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors]"#;

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

/// What the filter calls and Envoy calls of it, but for requests.
macro_rules! allowed {
    ($more:literal) => {
        concat!(
            "capability_restriction_config:\n  allowed_capabilities: {fd_write: {}, proc_exit: {}, proxy_on_memory_allocate: {}, proxy_on_vm_start: {}, proxy_on_configure: {}, proxy_on_context_create: {}, proxy_on_delete: {}, proxy_on_http_call_response: {}, proxy_on_request_body: {}, proxy_on_request_trailers: {}, proxy_on_response_headers: {}, proxy_add_header_map_value: {}, proxy_call_foreign_function: {}, proxy_continue_stream: {}, proxy_define_metric: {}, proxy_get_buffer_bytes: {}, proxy_get_current_time_nanoseconds: {}, proxy_get_header_map_pairs: {}, proxy_get_header_map_value: {}, proxy_get_log_level: {}, proxy_get_property: {}, proxy_get_shared_data: {}, proxy_http_call: {}, proxy_increment_metric: {}, proxy_log: {}, proxy_record_metric: {}, proxy_remove_header_map_value: {}, proxy_replace_header_map_value: {}, proxy_send_local_response: {}, proxy_set_effective_context: {}, proxy_set_property: {}, proxy_set_shared_data: {}, proxy_set_tick_period_milliseconds: {}, clock_time_get: {}, environ_get: {}, environ_sizes_get: {}, random_get: {}",
            $more,
            "}"
        )
    };
}

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "capability-missing",
        bad: &[("plugin", allowed!(""))],
        at: "allowed_capabilities",
        good: &[(
            "plugin",
            allowed!(", proxy_on_request_headers: {}, proxy_on_tick: {}"),
        )],
        proof: ERROR,
    },
    Row {
        kind: "capability-missing",
        bad: &[("plugin", allowed!(", proxy_on_request_headers: {}"))],
        at: "allowed_capabilities",
        good: &[],
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
    // beside listeners of its own
    Row {
        kind: "file-not-given",
        bad: &[
            ("top", NODE),
            (
                "top",
                "dynamic_resources: {lds_config: {path_config_source: {path: /etc/lds.yaml}}}",
            ),
        ],
        at: "lds_config",
        good: &[
            ("top", NODE),
            ("top", "dynamic_resources: {lds_config: {ads: {}}}"),
        ],
        proof: WARNING,
    },
    Row {
        kind: "file-not-given",
        bad: &[("before", BY_ECDS), ("top", NODE)],
        at: "path: /etc/other.yaml",
        good: &[("before", CORS)],
        proof: WARNING,
    },
];
