//! docs/cookbook.md: each row of its tables is asked by `explain`, with the rules above it in
//! envoy/my-api.yaml.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bearer_gate_testbed::yaml;
use serde_json::{Value, json};

/// The tool, in a folder, with this on its standard input.
fn tool(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// What stands between the ticks of a cell; `None` if it has none.
fn in_ticks(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// The status that the gateway answers, 200 where the request passes.
fn answer(folder: &Path, request: &str, claims: Option<&str>) -> u64 {
    let (method, target) = request.split_once(' ').expect("a method and a path");
    // `//host/path` as in a link.
    let (host, path) = match target.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').expect("a path")),
        None => ("api.example.com", target),
    };
    let mut arguments = vec!["explain", "--json", "--config", "my-api.json"];
    arguments.extend(["--jwks", "key.jwks.json", "--method", method]);
    arguments.extend(["--host", host, "--path", path]);
    let mut token = String::new();
    if let Some(claims) = claims {
        let mut all =
            json!({"iss": "https://tenant.eu.auth0.com/", "aud": "https://api.example.com"});
        let more: Value = serde_json::from_str(claims).expect(claims);
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let all = all.as_object().unwrap().iter();
        let all: Vec<String> = all.map(|(name, value)| format!("{name}={value}")).collect();
        let claims = all.iter().flat_map(|claim| ["--claim", claim]);
        let mint: Vec<&str> = ["token", "--key", "key.pem"]
            .into_iter()
            .chain(claims)
            .collect();
        token = String::from_utf8(tool(folder, &mint, "").stdout).unwrap();
        arguments.extend(["--token", "-"]);
    }
    let output = tool(folder, &arguments, &token);
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    told["response"]["status"].as_u64().unwrap_or(200)
}

#[test]
fn every_row_of_the_cookbook_is_answered_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(
        tool(folder, &["keygen", "--out", "key"], "")
            .status
            .success()
    );
    let page = yaml::text("docs/cookbook.md");
    let mut rows = 0;
    for section in page.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let (_, piece) = section.split_once("```yaml\n").expect(heading);
        let piece = piece.split("```").next().unwrap();
        let file = yaml::text("envoy/my-api.yaml");
        let mut file: Value = yaml::parse(&file);
        let filters = file
            .pointer_mut(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters",
            )
            .unwrap();
        let wasm = &mut filters[1]["typed_config"]["config"]["configuration"]["value"];
        wasm["rules"] = yaml::parse(piece)["rules"].take();
        fs::write(folder.join("my-api.json"), file.to_string()).unwrap();

        for row in section.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [request, token, status] = cells.as_slice() else {
                panic!("{row}");
            };
            let claims = in_ticks(token);
            assert!(claims.is_some() || *token == "none", "{row}");
            let answer = answer(folder, in_ticks(request).expect(row), claims);
            assert_eq!(answer.to_string(), *status, "{heading}: {row}");
            rows += 1;
        }
    }
    assert!(rows > 30, "{rows}");
}
