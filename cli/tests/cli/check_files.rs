//! `check` of several files: which of them are one configuration, and how what is found is printed.

use serde_json::Value;

use super::{Files, Ran, root, run, run_with};

const DEPLOYED: [&str; 2] = ["deploy/envoy/envoy.yaml", "deploy/envoy/bearer-gate.yaml"];

/// A file of the repository, with its module on another machine.
fn shipped(name: &str) -> String {
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    text.replace("filename: target/", "filename: /opt/target/")
}

/// For each file its end of name, and what is found in it, `line kind`.
fn found(ran: &Ran) -> Vec<(String, Vec<String>)> {
    let report = ran.json();
    let files = report.as_array().unwrap().iter();
    files
        .map(|file| {
            let name = file["file"].as_str().unwrap();
            let name = name.rsplit('/').next().unwrap().to_owned();
            let findings = file["findings"].as_array().unwrap().iter();
            let lines = findings.map(|finding| {
                format!("{} {}", finding["line"], finding["kind"].as_str().unwrap())
            });
            (name, lines.collect())
        })
        .collect()
}

/// Each file with nothing found in it, but for those that are given.
fn expected(names: &[&str], findings: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    let of = |name: &&str| {
        let own = findings.iter().filter(|(file, _)| file == name);
        let lines = own.map(|(_, finding)| (*finding).to_owned());
        ((*name).to_owned(), lines.collect())
    };
    names.iter().map(of).collect()
}

#[test]
fn the_deployment_is_one_configuration_in_two_files() {
    let [envoy, filter] = DEPLOYED.map(shipped);
    let names = ["envoy.yaml", "bearer-gate.yaml"];
    let check = |envoy: &str, filter: &str| {
        let files = Files::in_a_directory();
        let paths = [
            files.with("envoy.yaml", envoy),
            files.with("bearer-gate.yaml", filter),
        ];
        // in either order
        let ran = run(&["check", "--json", &paths[0], &paths[1]]);
        let mut turned = found(&run(&["check", "--json", &paths[1], &paths[0]]));
        turned.reverse();
        assert_eq!(turned, found(&ran));
        (ran.code, found(&ran))
    };
    assert_eq!(check(&envoy, &filter), (0, expected(&names, &[])));
    // what stands in one file is found by what stands in the other
    let other = filter.replace("cluster: auth0", "cluster: auth1");
    let missing = ("bearer-gate.yaml", "27 cluster-missing");
    assert_eq!(check(&envoy, &other).1, expected(&names, &[missing]));
    let open = envoy.replacen("normalize_path: true", "normalize_path: false", 1);
    let finding = ("envoy.yaml", "30 path-normalization");
    assert_eq!(check(&open, &filter).1, expected(&names, &[finding]));
    // a filter that no listener has
    let renamed = filter.replacen(
        "name: bearer-gate\n  typed",
        "name: bearer_gate\n  typed",
        1,
    );
    let unused = ("bearer-gate.yaml", "19 filter-unused");
    assert_eq!(check(&envoy, &renamed), (1, expected(&names, &[unused])));
    // two filters of one name
    let (_, resource) = filter.split_once("resources:\n").unwrap();
    let twice = ("bearer-gate.yaml", "47 configuration-twice");
    assert_eq!(
        check(&envoy, &format!("{filter}{resource}")),
        (
            1,
            expected(&names, &[twice, ("bearer-gate.yaml", "62 filter-unused")])
        )
    );
    // another document, which Envoy does not read
    let second = format!("{filter}---\nresources: []\n");
    let unread = format!("{} document-unread", second.lines().count());
    let unread = expected(&names, &[("bearer-gate.yaml", unread.as_str())]);
    assert_eq!(check(&envoy, &second), (1, unread));
    // what stands for the filter until it has come
    let default = "            config_discovery:
              default_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 1}";
    let until = envoy.replacen("            config_discovery:", default, 1);
    let finding = ("envoy.yaml", "43 filter-default");
    assert_eq!(check(&until, &filter), (0, expected(&names, &[finding])));
    // by itself neither is the whole
    let ran = run(&["check", DEPLOYED[0]]);
    assert_eq!(ran.code, 2);
    let told = "a filter comes from /etc/bearer-gate/bearer-gate.yaml: give that file too";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert_eq!(run(&["check", DEPLOYED[1]]).code, 0);
}

/// The deployment as `kubectl kustomize` renders it, with other resources around it.
fn rendered(envoy: &str, filter: &str) -> String {
    let indented = |text: &str| {
        let lines = text.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("    {line}\n"),
        });
        lines.collect::<String>()
    };
    format!(
        "apiVersion: v1\ndata:\n  envoy.yaml: |\n{}kind: ConfigMap\nmetadata:\n  name: bearer-gate-envoy\n---\napiVersion: v1\ndata:\n  bearer-gate.yaml: |\n{}kind: ConfigMap\nmetadata:\n  name: bearer-gate-filter\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: other}}\n---\napiVersion: v1\ndata: {{prometheus.yaml: 'rules: []', broken.yaml: '{{', README: 'has static_resources: {{'}}\nkind: ConfigMap\n",
        indented(envoy),
        indented(filter)
    )
}

#[test]
fn what_is_in_a_config_map() {
    let [envoy, filter] = DEPLOYED.map(shipped);
    let names = ["stdin", "stdin", "stdin"];
    let good = rendered(&envoy, &filter);
    let ran = run_with(&["check", "--json", "-"], &good);
    assert_eq!(
        (ran.code, found(&ran)),
        (0, expected(&names, &[])),
        "{}",
        ran.out
    );
    assert_eq!(ran.json()[2]["entry"]["key"], "bearer-gate.yaml");
    let ran = run_with(&["check", "-"], &good);
    let told = "stdin: bearer-gate.yaml of ConfigMap bearer-gate-filter: good: configurations: 1";
    assert!(ran.out.contains(told), "{}", ran.out);

    // on its line, by what stands in the other one
    let other = good.replace("cluster: auth0", "cluster: auth1");
    let at = other
        .lines()
        .position(|line| line.contains("cluster: auth1"));
    let line = at.unwrap() + 1;
    let ran = run_with(&["check", "--json", "-"], &other);
    let report = ran.json();
    let finding = &report[2]["findings"][0];
    assert_eq!(finding["kind"], "cluster-missing", "{report}");
    assert_eq!(finding["line"], line);
    let column = other
        .lines()
        .nth(line - 1)
        .unwrap()
        .find("cluster:")
        .unwrap()
        + 1;
    assert_eq!(finding["column"], column);

    // in a list, as a text with \n in it
    let item =
        |key: &str, text: &str| serde_json::json!({"kind": "ConfigMap", "data": {key: text}});
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        item("envoy.yaml", &envoy),
        item("bearer-gate.yaml", &filter.replace("cluster: auth0", "cluster: auth1")),
    ]});
    let ran = run_with(&["check", "--json", "-"], &format!("\n{list}"));
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()[2]["findings"][0]["line"], 2);

    // what no Envoy reads, at its place
    let broken = good.replacen("    static_resources:", "    static_resources: ]", 1);
    let at = broken
        .lines()
        .position(|line| line.contains("static_resources: ]"));
    let ran = run_with(&["check", "-"], &broken);
    assert_eq!(ran.code, 2, "{}", ran.out);
    let place = format!("stdin:{}:", at.unwrap() + 1);
    assert!(ran.err.contains(&place), "{}", ran.err);

    // explain and token take the configuration in it too
    let files = Files::in_a_directory();
    let path = files.with("rendered.yaml", &good);
    let ran = run(&["explain", "--config", &path, "--path", "/"]);
    assert!(!ran.err.contains("no configuration"), "{}", ran.err);
}

/// A bootstrap that has all from files, and those files.
#[test]
fn every_kind_of_resource_is_seen() {
    let manager = |rest: &str| {
        format!(
            "resources:
- \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  filter_chains:
  - filters:
    - typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        normalize_path: true
        merge_slashes: true
        strip_trailing_host_dot: true
        strip_any_host_port: true
        path_with_escaped_slashes_action: REJECT_REQUEST
        common_http_protocol_options: {{headers_with_underscores_action: REJECT_REQUEST}}
        request_timeout: 30s
        http_filters:
        - name: gate
          config_discovery: {{config_source: {{path_config_source: {{path: /x/ecds.yaml}}}}}}
        - name: router
{rest}"
        )
    };
    let routes = "resources:
- \"@type\": type.googleapis.com/envoy.service.discovery.v3.Resource
  name: wrapped
  resource:
    \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
    name: api
    virtual_hosts:
    - routes:
      - match: {prefix: /, headers: [{name: x-a, string_match: {exact: b}}]}
        route: {cluster: api}
";
    let clusters = "resources:
- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: idp
- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: api
";
    let filter = shipped(DEPLOYED[1])
        .replace("name: bearer-gate\n  typed", "name: gate\n  typed")
        .replace(
            "          rules:",
            "          route_metadata: ns\n          requirement_map: {users: {provider_name: auth0}}\n          rules:",
        );
    let dynamic = "node: {id: a, cluster: a}
dynamic_resources:
  lds_config: {path_config_source: {path: /x/lds.yaml}}
  cds_config: {path_config_source: {path: /x/cds.yaml}}
";
    let names = [
        "bootstrap.yaml",
        "lds.yaml",
        "rds.yaml",
        "cds.yaml",
        "ecds.yaml",
    ];
    let check = |listeners: &str| {
        let files = Files::in_a_directory();
        let texts = [dynamic, listeners, routes, clusters, &filter];
        let pairs = names.iter().zip(texts);
        let paths: Vec<String> = pairs.map(|(name, text)| files.with(name, text)).collect();
        let paths = paths.iter().map(String::as_str);
        let arguments: Vec<&str> = ["check", "--json"].into_iter().chain(paths).collect();
        found(&run(&arguments))
    };
    let missing = ("ecds.yaml", "27 cluster-missing");
    let by_header = ("rds.yaml", "9 header-route");
    for (rest, chosen) in [
        (
            "        rds: {route_config_name: api}",
            vec![missing, by_header],
        ),
        ("        rds: {route_config_name: other}", vec![missing]),
        (
            "        scoped_routes: {scoped_route_configurations_list: {scoped_route_configurations: [{route_configuration_name: api}]}}",
            vec![missing, by_header],
        ),
    ] {
        assert_eq!(check(&manager(rest)), expected(&names, &chosen), "{rest}");
    }
}

#[test]
fn two_bootstraps_are_never_one_configuration() {
    let minimal = shipped("envoy/envoy-minimal.yaml");
    let renamed = minimal.replace("cluster: auth0", "cluster: auth1");
    let renamed = renamed.replace("- name: auth0", "- name: auth1");
    let files = Files::in_a_directory();
    let paths = [
        files.with("one.yaml", &minimal),
        files.with("two.yaml", &renamed),
    ];
    let names = ["one.yaml", "two.yaml"];
    let ran = run(&["check", "--json", &paths[0], &paths[1]]);
    assert_eq!((ran.code, found(&ran)), (0, expected(&names, &[])));
    // a cluster of one is none of the other
    let missing = minimal.replace("- name: auth0", "- name: auth1");
    let missing = files.with("two.yaml", &missing);
    let ran = run(&["check", "--json", &paths[0], &missing]);
    assert_eq!(
        found(&ran),
        expected(&names, &[("two.yaml", "39 cluster-missing")])
    );
    // resources belong to the one that names their file
    let [envoy, filter] = DEPLOYED.map(shipped);
    let other = filter.replace("cluster: auth0", "cluster: auth1");
    let paths = [
        files.with("one.yaml", &renamed),
        files.with("envoy.yaml", &envoy),
        files.with("bearer-gate.yaml", &other),
    ];
    let ran = run(&["check", "--json", &paths[0], &paths[1], &paths[2]]);
    let names = ["one.yaml", "envoy.yaml", "bearer-gate.yaml"];
    let missing = ("bearer-gate.yaml", "27 cluster-missing");
    assert_eq!(found(&ran), expected(&names, &[missing]));
}

/// Endpoints that come by EDS, from a file that is given.
#[test]
fn endpoints_of_a_file_are_looked_at() {
    let good = shipped("envoy/envoy-minimal.yaml");
    let other = "node: {id: a, cluster: a}
static_resources:
  listeners:
  - name: other
    address: {socket_address: {address: 127.0.0.1, port_value: 10001}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: tcp, cluster: other}
";
    let cluster = "  clusters:
  - name: other
    type: EDS
    eds_cluster_config: {service_name: orders, eds_config: {path_config_source: {path: /x/eds.yaml}}}
";
    let bootstrap = good
        .replacen("static_resources:\n  listeners:\n", other, 1)
        .replacen("  clusters:\n", cluster, 1);
    let check = |port: u16| {
        let files = Files::in_a_directory();
        let endpoints = format!(
            "resources:
- \"@type\": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: orders
  endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]
"
        );
        let paths = [
            files.with("envoy.yaml", &bootstrap),
            files.with("eds.yaml", &endpoints),
        ];
        run(&["check", "--json", &paths[0], &paths[1]])
    };
    let around = check(8080);
    assert!(around.out.contains("unguarded-chain"), "{}", around.out);
    assert_eq!(around.code, 1, "{}", around.out);
    let elsewhere = check(8090);
    assert!(
        !elsewhere.out.contains("unguarded-chain"),
        "{}",
        elsewhere.out
    );
    assert_eq!(elsewhere.code, 0, "{}", elsewhere.out);
}

/// Two stages of one deployment, with the same names of files.
#[test]
fn a_file_belongs_to_the_bootstrap_in_its_folder() {
    let [envoy, filter] = DEPLOYED.map(shipped);
    let other = |text: &str| {
        text.replace("cluster: auth0", "cluster: auth1")
            .replace("- name: auth0", "- name: auth1")
    };
    let files = [Files::in_a_directory(), Files::in_a_directory()];
    let paths = [
        files[0].with("envoy.yaml", &envoy),
        files[0].with("bearer-gate.yaml", &filter),
        files[1].with("envoy.yaml", &other(&envoy)),
        files[1].with("bearer-gate.yaml", &other(&filter)),
    ];
    let paths = paths.each_ref().map(String::as_str);
    let ran = run(&["check", "--json", paths[0], paths[1], paths[2], paths[3]]);
    let names = [
        "envoy.yaml",
        "bearer-gate.yaml",
        "envoy.yaml",
        "bearer-gate.yaml",
    ];
    assert_eq!((ran.code, found(&ran)), (0, expected(&names, &[])));
    // the filter of the other stage
    let missing = expected(&names, &[("bearer-gate.yaml", "27 cluster-missing")]);
    let ran = run(&["check", "--json", paths[0], paths[3]]);
    assert_eq!(found(&ran), missing[..2]);
}

#[test]
fn a_file_without_a_configuration_stops_nothing() {
    let files = Files::in_a_directory();
    let plain = files.with("plain.yaml", "static_resources: {clusters: []}\n");
    let good = "envoy/envoy-minimal.yaml";
    for paths in [[plain.as_str(), good], [good, plain.as_str()]] {
        let ran = run(&["check", paths[0], paths[1]]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("plain.yaml: good: configurations: 0"));
        assert!(
            ran.out
                .contains("envoy-minimal.yaml: good: configurations: 1")
        );
    }
    // those that cannot be read do, and nothing else is printed
    let broken = files.with("broken.yaml", "a: [");
    let ran = run(&["check", &broken, good, "missing.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    let told: Vec<&str> = ran.err.lines().collect();
    assert_eq!(told.len(), 2, "{}", ran.err);
    assert!(told[0].contains("broken.yaml:2:"), "{}", ran.err);
    assert!(told[1].contains("missing.yaml: "), "{}", ran.err);
    let ran = run(&["check", &plain]);
    assert_eq!(ran.code, 2, "{}", ran.out);
}

/// As with `check envoy/*.yaml`.
#[test]
fn a_file_of_another_kind_is_passed_over() {
    let files = Files::in_a_directory();
    let compose = files.with("compose.yaml", "services: {api: {image: api}}\n");
    let good = "envoy/envoy-minimal.yaml";
    let ran = run(&["check", "--strict", &compose, good]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told = "compose.yaml: passed over: it is a file of Docker Compose";
    assert!(ran.out.contains(told), "{}", ran.out);
    let report = run(&["check", "--json", &compose, good]).json();
    let over = |at: usize| report[at]["passed_over"].as_bool().unwrap();
    assert_eq!((over(0), over(1)), (true, false));
    // there is nothing else
    let ran = run(&["check", &compose]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err.contains("no configuration of bearer-gate"),
        "{}",
        ran.err
    );
    // a slip is no other kind
    let slip = files.with("slip.yaml", "provider: {}\n");
    let ran = run(&["check", &slip, good]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("providers"), "{}", ran.out);
}

/// Envoy reads the filter from a file of another name than the one that was given.
#[test]
fn a_filter_in_a_file_of_another_name() {
    let [envoy, filter] = DEPLOYED.map(shipped);
    let files = Files::in_a_directory();
    let paths = [
        files.with("envoy.yaml", &envoy),
        files.with("bearer-gate-new.yaml", &filter),
    ];
    let ran = run(&["check", "--json", &paths[0], &paths[1]]);
    let names = ["envoy.yaml", "bearer-gate-new.yaml"];
    let finding = ("envoy.yaml", "46 file-not-given");
    assert_eq!((ran.code, found(&ran)), (0, expected(&names, &[finding])));
}

/// Routes by RDS, and their file.
#[test]
fn routes_in_a_file_that_is_not_given() {
    let minimal = shipped("envoy/envoy-minimal.yaml");
    let (before, rest) = minimal.split_once("          route_config:\n").unwrap();
    let (routes, after) = rest.split_once("  clusters:\n").unwrap();
    let by_rds = "          rds: {route_config_name: all, config_source: {path_config_source: {path: /etc/envoy/routes.yaml}}}\n";
    let envoy = format!("node: {{id: a, cluster: a}}\n{before}{by_rds}  clusters:\n{after}");
    let kinds = |paths: &[&str]| {
        let arguments: Vec<&str> = ["check", "--json"].iter().chain(paths).copied().collect();
        let found = found(&run(&arguments));
        let all = found.into_iter().flat_map(|(_, findings)| findings);
        all.map(|it| it.split_once(' ').unwrap().1.to_owned())
            .collect::<Vec<String>>()
    };
    let files = Files::in_a_directory();
    let envoy = files.with("envoy.yaml", &envoy);
    assert_eq!(kinds(&[&envoy]), ["file-not-given"]);
    let head = "resources:\n- \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n  name: all\n";
    let routes = files.with("routes.yaml", &format!("{head}{}", dedented(routes)));
    assert_eq!(kinds(&[&envoy, &routes]), [""; 0]);
}

/// The steps of docs/your-api.md, "Change it while it runs", as somebody takes them by hand.
#[test]
fn the_filter_of_my_api_in_a_file_of_its_own() {
    let page = shipped("docs/your-api.md");
    let (_, section) = page.split_once("\n## Change it while it runs\n").unwrap();
    let blocks: Vec<&str> = section.split("```yaml\n").skip(1).take(3).collect();
    let block = |at: usize| blocks[at].split("```").next().unwrap();
    let (entry, node, head) = (block(0), block(1), block(2));

    let envoy = shipped("envoy/my-api.yaml");
    let wrapped = "          - name: envoy.filters.http.wasm\n            typed_config:\n";
    let (before, rest) = envoy.split_once(wrapped).unwrap();
    let end = "          - name: envoy.filters.http.router\n";
    let (typed, after) = rest.split_once(end).unwrap();
    let entry: String = entry
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    let typed: String = dedented(typed)
        .lines()
        .map(|line| format!("{line}\n"))
        .collect();
    let files = Files::in_a_directory();
    let envoy = files.with("my-api.yaml", &format!("{node}{before}{entry}{end}{after}"));
    let filter = files.with("bearer-gate.yaml", &format!("{head}{typed}"));
    let ran = run(&["check", "--strict", &envoy, &filter]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out
            .contains("bearer-gate.yaml: good: configurations: 1"),
        "{}",
        ran.out
    );
}

/// With ten columns less of white space.
fn dedented(text: &str) -> String {
    let lines = text.lines();
    lines
        .map(|line| format!("{}\n", line.get(10..).unwrap_or_default()))
        .collect()
}

#[test]
fn sarif_has_every_kind_and_the_place_of_each_finding() {
    let files = Files::in_a_directory();
    let text = "rules:\n- match: {prefix: /}\n- match: {prefix: é/}\n";
    let paths = [
        files.with("a b.yaml", "unmatched: allow\n"),
        files.with("c.yaml", text),
    ];
    let ran = run(&["check", "--format", "sarif", &paths[0], &paths[1]]);
    assert_eq!(ran.code, 1);
    let report = ran.json();
    assert_eq!(report["version"], "2.1.0");
    let run_of = &report["runs"][0];
    assert_eq!(report["runs"].as_array().unwrap().len(), 1);
    let driver = &run_of["tool"]["driver"];
    assert_eq!(driver["name"], "bearer-gate");
    let rules = driver["rules"].as_array().unwrap();
    let results = run_of["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{results:?}");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(place["region"]["startColumn"].as_u64().unwrap() > 0);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    let uri = place["artifactLocation"]["uri"].as_str().unwrap();
    assert_eq!(uri, format!("file://{}", paths[0].replace(' ', "%20")));
    assert_eq!(
        (&results[0]["level"], &results[1]["level"]),
        (&"warning".into(), &"error".into())
    );
    assert_eq!(
        results[1]["locations"][0]["physicalLocation"]["region"]["startLine"],
        3
    );
    // a stable name, words, and a place in the documents for each kind
    let mut ids: Vec<&str> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    for rule in rules {
        let id = rule["id"].as_str().unwrap();
        assert!(
            id.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{id}"
        );
        assert_eq!(
            rule["help"]["text"],
            Value::from(format!("docs/checks.md#{id}"))
        );
        assert!(
            rule["shortDescription"]["text"]
                .as_str()
                .unwrap()
                .ends_with('.')
        );
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rules.len());
}

#[test]
fn json_is_one_of_the_formats() {
    let file = "envoy/envoy-minimal.yaml";
    let json = run(&["check", "--json", file]);
    assert_eq!(json.out, run(&["check", "--format", "json", file]).out);
    assert!(json.json()[0]["good"].as_bool().unwrap());
    assert_eq!(
        run(&["check", "--format", "text", file]).out,
        run(&["check", file]).out
    );
    assert_eq!(run(&["check", "--format", "xml", file]).code, 2);
}
