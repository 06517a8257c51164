//! `check` of what is around the filter in Envoy: each finding in a minimal file, and its good twin.

mod table;

use serde_json::Value;
use table::{GOOD, JWT_AUTHN, Proof, Request, Row, onward, table, with};

use super::{Files, run};

const LUA_OF_A_FILE: &str = r#"- name: lua
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code: {filename: /opt/a.lua}"#;

const TRANSCODER: &str = r#"- name: transcoder
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
    proto_descriptor: /opt/api.pb
    services: [api.Orders]"#;

const DYNAMIC_MODULE: &str = r#"- name: module
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
    dynamic_module_config: {name: module}"#;

/// Another plugin, which has nothing to do with the filter.
const ANOTHER: &str = r#"- name: another
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config: {name: another, vm_config: {vm_id: another, runtime: envoy.wasm.runtime.v8, code: {local: {filename: /opt/another.wasm}}}}"#;

/// What is found, and the exit code.
fn findings(text: &str) -> (i32, Vec<Value>) {
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("envoy.yaml", text)]);
    let report = ran.json();
    (ran.code, report[0]["findings"].as_array().unwrap().clone())
}

#[test]
fn each_finding_has_a_good_twin() {
    assert_eq!(findings(&with(&[])), (0, vec![]), "{GOOD}");
    let mut wrong = Vec::new();
    for Row {
        kind,
        bad,
        at,
        good,
        proof,
    } in table()
    {
        let text = with(bad);
        let (code, found) = findings(&text);
        let level = if proof.is_some() { "error" } else { "warning" };
        let is_it = |found: &Value| {
            let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
            let line = text.lines().nth(line - 1).unwrap_or_default();
            found["kind"] == *kind && found["severity"] == level && line.contains(at)
        };
        if let Some(Proof::Passes(request)) = proof {
            let Request {
                listener,
                path,
                headers,
                subject,
                host,
                within,
            } = request;
            assert!(!host.is_empty(), "{kind}");
            assert!(
                within.is_none() || text.contains("connect_config"),
                "{kind}"
            );
            assert!(text.contains(&format!("- name: {listener}\n")), "{kind}");
            assert!(
                path.starts_with('/') && headers.iter().all(|(name, _)| *name != "authorization"),
                "{kind}: without a token"
            );
            // whose token is good is let through here, and refused by what stands behind
            assert!(subject.is_none() || text.contains("action: DENY"), "{kind}");
        }
        let is_complete = |found: &Value| {
            ["text", "instead"]
                .iter()
                .all(|name| !found[name].as_str().unwrap().is_empty())
        };
        if code != i32::from(proof.is_some())
            || found.len() != 1
            || !found.iter().all(is_it)
            || !found.iter().all(is_complete)
        {
            wrong.push(format!("{kind}, {level}, at {at}: {code} {found:#?}"));
        }
        let twin = findings(&with(good));
        if twin != (0, vec![]) {
            wrong.push(format!("twin of {kind}, {good:?}: {twin:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let errors = table().filter(|row| matches!(row.proof, Some(Proof::Passes(_))));
    assert!(errors.count() > 10);
}

/// What a service makes of a path behind the filter nobody sees: a note, and no finding.
#[test]
fn what_may_write_another_path_is_noted() {
    let noted = |change: table::Change| {
        let files = Files::in_a_directory();
        let file = files.with("envoy.yaml", &with(change));
        let ran = run(&["check", "--strict", &file]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        ran.out.contains("may write another path")
    };
    const OPEN: (&str, &str) = ("rules", "- match: {path_separated_prefix: /open}");
    assert!(noted(&[OPEN, ("after", table::EXT_PROC)]));
    assert!(noted(&[OPEN, ("after", table::EXT_AUTHZ)]));
    assert!(noted(&[OPEN, ("after", LUA_OF_A_FILE)]));
    assert!(noted(&[OPEN, ("after", TRANSCODER)]));
    assert!(noted(&[OPEN, ("after", ANOTHER)]));
    // all paths need the same; and one that may not
    assert!(!noted(&[("after", table::EXT_PROC)]));
    assert!(!noted(&[OPEN, ("after", table::EXT_PROC_WITHOUT_PATH)]));
}

/// Code of others before the filter may do anything: a note too.
#[test]
fn code_before_the_filter_is_noted() {
    let noted = |change: table::Change| {
        let files = Files::in_a_directory();
        let file = files.with("envoy.yaml", &with(change));
        let ran = run(&["check", "--strict", &file]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        ran.out.contains("stands before the filter, and may answer")
    };
    assert!(noted(&[("before", ANOTHER)]));
    assert!(noted(&[("before", DYNAMIC_MODULE)]));
    assert!(!noted(&[("after", ANOTHER)]));
}

/// Of a field that is given twice the last counts.
#[test]
fn the_last_of_two_fields_counts() {
    let off = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}"#;
    let text = with(&[]).replace(
        "    route:\n",
        &format!(
            "    typed_per_filter_config: {{}}\n                {off}\n                route:\n"
        ),
    );
    let (code, found) = findings(&text);
    let kinds: Vec<&Value> = found.iter().map(|found| &found["kind"]).collect();
    assert_eq!(
        (code, kinds),
        (
            1,
            vec![&"field-twice".into(), &"route-without-filter".into()]
        ),
        "{text}"
    );
}

/// What is good may be written in another way too.
#[test]
fn a_good_file_may_be_written_in_another_way() {
    let table = [
        ("normalize_path: true", "normalize_path: 'true'"),
        ("merge_slashes: true", "mergeSlashes: 'Y'"),
        ("action: REJECT_REQUEST", "action: 2"),
        (
            "underscores_action: REJECT_REQUEST",
            "underscores_action: '1'",
        ),
        ("failure_policy: FAIL_RELOAD", "failure_policy: fail_reload"),
    ];
    for (from, to) in table {
        let text = with(&[]).replacen(from, to, 1);
        assert!(text.contains(to), "{to}");
        assert_eq!(findings(&text), (0, vec![]), "{to}");
    }
}

/// A filter that hands tokens on may have jwt_authn behind itself. To hand them on is a risk by itself.
#[test]
fn jwt_authn_behind_a_filter_that_forwards() {
    let text = with(&[("after", JWT_AUTHN), ("provider", "forward: true")]);
    let (code, found) = findings(&text);
    assert_eq!((code, found.len()), (0, 1), "{found:#?}");
    assert_eq!(found[0]["kind"], "risky-choice");
}

/// A filter that hands tokens on may have another one behind itself too, if all its providers do.
#[test]
fn another_filter_behind_one_that_forwards() {
    let with_second = |change: table::Change| {
        let behind = [
            ("first", onward::API_TO_OWN),
            ("listener", onward::GUARDED),
            ("cluster", onward::OWN),
        ];
        let change: Vec<(&str, &str)> = behind.iter().chain(change).copied().collect();
        let (code, found) = findings(&with(&change));
        assert_eq!(code, 0, "{found:#?}");
        let mut kinds: Vec<String> = found
            .iter()
            .map(|found| found["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.sort();
        kinds
    };
    const FORWARD: (&str, &str) = ("provider", "forward: true");
    const ANOTHER_PROVIDER: (&str, &str) = (
        "providers",
        "keys: {issuer: https://keys.example.com/, audiences: [a], remote_jwks: {http_uri: {uri: 'http://127.0.0.1:8080/keys', cluster: api, timeout: 5s}}}",
    );
    assert_eq!(with_second(&[]), ["filter-twice"]);
    assert_eq!(with_second(&[FORWARD]), ["risky-choice"]);
    let one_of_two = with_second(&[FORWARD, ANOTHER_PROVIDER]);
    assert!(
        one_of_two.contains(&"filter-twice".to_owned()),
        "{one_of_two:?}"
    );
}

/// The good file's listener as xDS brings it, so many times.
fn by_xds(times: usize) -> String {
    let text = with(&[]);
    let (_, listener) = text.split_once("  - name: web\n").unwrap();
    let (listener, _) = listener.split_once("  clusters:\n").unwrap();
    let lines = listener.lines().map(|line| format!("{}\n", &line[2..]));
    let body: String = lines.collect();
    let resource = |at| {
        format!(
            "- \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n  name: web{at}\n{body}"
        )
    };
    format!(
        "resources:\n{}",
        (0..times).map(resource).collect::<String>()
    )
}

/// Files without a bootstrap may be of several Envoys, each with the same address.
#[test]
fn listeners_of_several_envoys_may_have_one_address() {
    let twice = |texts: &[String]| {
        let files = Files::in_a_directory();
        let named = texts.iter().enumerate();
        let paths: Vec<String> = named
            .map(|(at, text)| files.with(&format!("{at}.yaml"), text))
            .collect();
        let paths = paths.iter().map(String::as_str);
        let arguments: Vec<&str> = ["check", "--json"].into_iter().chain(paths).collect();
        let report = run(&arguments).json();
        let files = report.as_array().unwrap().iter();
        let findings = files.flat_map(|file| file["findings"].as_array().unwrap());
        findings
            .filter(|found| found["kind"] == "listener-twice")
            .count()
    };
    assert_eq!(twice(&[by_xds(1), by_xds(1)]), 0);
    assert_eq!(twice(&[by_xds(2)]), 1);
    // of one Envoy, by its bootstrap
    assert_eq!(twice(&[with(&[]), by_xds(1)]), 1);
}

/// A kind without a row is one that another test provokes.
#[test]
fn every_kind_is_provoked() {
    let elsewhere = [
        // check.rs
        "configuration",
        "risky-choice",
        "path-normalization",
        "escaped-slashes",
        "underscores",
        "host-form",
        "header-route",
        "failure-policy",
        "vm-id",
        "phase",
        // check_files.rs
        "filter-default",
        "filter-unused",
        "configuration-twice",
        // check_sign_in.rs
        "variable",
        "secret-in-file",
        "body-not-handed",
        "header-room",
        "site-port",
        "other-authentication",
        "set-cookie-removed",
        "own-path-off",
        // check_mesh.rs
        "unknown-field",
        "plugin-type",
        "requests-left-out",
        "every-workload",
    ];
    let ran = run(&["check", "--format", "sarif", "envoy/envoy-minimal.yaml"]);
    let report = ran.json();
    let rules = report["runs"][0]["tool"]["driver"]["rules"].as_array();
    let kinds = rules
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap());
    for kind in kinds.clone() {
        let in_table = table().any(|row| row.kind == kind);
        assert!(in_table != elsewhere.contains(&kind), "{kind}");
    }
    assert!(
        elsewhere
            .iter()
            .all(|known| kinds.clone().any(|kind| kind == *known))
    );
}
