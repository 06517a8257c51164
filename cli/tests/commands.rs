//! The commands and the configurations in the documents work.
//!
//! Each command is run, or [`NOT_RUN`] says why not. Each piece of YAML is checked by the tool, or by
//! Envoy where it is Envoy's.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Beginnings of commands that no test runs as they stand.
const NOT_RUN: [(&str, &str); 15] = [
    (
        "cargo run --release --package bearer-gate-testbed",
        "runs until it is stopped",
    ),
    ("git clone ", "needs a server; a test with Envoy has one"),
    ("kubectl ", "needs a cluster"),
    (
        "cargo install ",
        "takes minutes, and changes the user's own folder",
    ),
    ("docker ", "needs Docker and a registry"),
    ("export ", "sets what `Scratch` has set"),
    ("uvicorn ", APPLICATION),
    ("flask ", APPLICATION),
    ("node ", APPLICATION),
    ("cp gateway/", STEPS),
    ("mv gateway/", STEPS),
    ("bearer-gate check envoy/my-api.yaml gateway/", STEPS),
    ("gh attestation ", "needs a release"),
    ("cosign ", "needs a release"),
    (
        "cargo build --release --target wasm32-wasip1",
        "takes minutes; it is the command of `make build`",
    ),
];

const APPLICATION: &str = "runs until it is stopped; tests/e2e/your_api.rs runs it";
const STEPS: &str =
    "needs the steps before it, which tests/e2e/your_api.rs and cli/check_files.rs take";

/// Pieces of YAML that are Envoy's and not the filter's, by their first key: what stands above them, and
/// the line of the minimal file below which they stand, and how far in.
const OF_ENVOY: [(&str, &str, &str, usize); 9] = [
    ("- name", "", FILTERS, 10),
    ("access_log", "", MANAGER, 10),
    ("custom_tags", "tracing:\n", MANAGER, 10),
    ("environment_variables", "", VM, 18),
    ("max_request_headers_kb", "", MANAGER, 10),
    ("transport_socket", "", LAST_OF_CHAIN, 6),
    ("typed_extension_protocol_options", "", CLUSTER, 4),
    ("typed_per_filter_config", "", VIRTUAL_HOST, 14),
    ("upgrade_configs", "", MANAGER, 10),
];
const CLUSTER: &str = "  - name: auth0\n";
const FILTERS: &str = "          http_filters:\n";
const LAST_OF_CHAIN: &str = "                route: {cluster: api}\n";
const VIRTUAL_HOST: &str = "              domains: [\"*\"]\n";
const MANAGER: &str = "          stat_prefix: http\n";
const VM: &str = "                  vm_id: bearer-gate\n";

/// Pieces of YAML of other programs, by their first key. `what_runs_before_a_merge_finds_what_is_wrong` runs
/// the commands in them.
const OF_OTHERS: [&str; 3] = ["on", "repos", "apiVersion"];
/// Pieces that are steps, which tests/e2e/your_api.rs puts together.
const OF_STEPS: [&str; 2] = ["node", "resources"];

/// A provider for pieces that have none, but for where its keys are.
const SIGN_IN: &str = "sign_in:
  cookie_keys: [{inline_string: a secret of thirty-two octets or more}]
  allowed_redirect_domains: [app.example]
  schemes:
    staff:
      provider_name: auth0
      credentials: {client_id: web, token_secret: {inline_string: secret}}
      token_endpoint: {cluster: c, timeout: 5s}
      callback_path: /callback
";
const PROVIDER: &str = "\
providers:
  auth0:
    issuer: https://i.example/
    audiences: [a]
";

const KEYS: &str = "    openid_discovery: {cluster: c, timeout: 5s}\n";

/// A rule for pieces of one.
const RULE: &str = "\
rules:
- match: {path: /}
  requires: {provider_name: auth0}
";

/// The fields of a provider, and of a rule, that stand alone in the documents.
const OF_A_PROVIDER: [&str; 6] = [
    "claim_to_headers",
    "from_basic",
    "from_cookies",
    "from_headers",
    "from_subprotocols",
    "local_jwks",
];
const OF_A_RULE: [&str; 1] = ["authorize"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The documents that people read to use the project: their names and texts.
fn documents() -> Vec<(String, String)> {
    let mut names: Vec<String> = ["README", "CONTRIBUTING", "RELEASING", "SECURITY"]
        .iter()
        .map(|name| format!("{name}.md"))
        .collect();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(root().join(&name)).unwrap();
            (name, text)
        })
        .collect()
}

/// A block of code: of a fence with its language, or indented, which has none.
struct Block {
    language: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fenced = false;
    let mut indented = false;
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fenced = !fenced;
            indented = false;
            if fenced {
                blocks.push(Block {
                    language: language.to_owned(),
                    lines: Vec::new(),
                });
            }
            continue;
        }
        let code = if fenced {
            Some(line)
        } else {
            line.strip_prefix("    ")
        };
        match code {
            Some(code) => {
                if !fenced && !indented {
                    blocks.push(Block {
                        language: "sh".to_owned(),
                        lines: Vec::new(),
                    });
                    indented = true;
                }
                blocks.last_mut().unwrap().lines.push(code.to_owned());
            }
            None => indented = false,
        }
    }
    blocks
}

/// What stands between ticks outside of blocks.
fn in_ticks(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    let codes = prose.split('`').skip(1).step_by(2);
    codes.map(str::to_owned).collect()
}

/// A directory that looks like the repository after `make build`, in which commands may write.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(root()).unwrap() {
            let path = entry.unwrap().path().canonicalize().unwrap();
            let name = path.file_name().unwrap();
            if name != "target" && !path.ends_with(".git") {
                std::os::unix::fs::symlink(&path, folder.path().join(name)).unwrap();
            }
        }
        let module = "target/wasm32-wasip1/release";
        fs::create_dir_all(folder.path().join(module)).unwrap();
        let file = format!("{module}/bearer_gate.wasm");
        let (built, here) = (root().join(&file), folder.path().join(&file));
        match built.exists() {
            true => std::os::unix::fs::symlink(built, here).unwrap(),
            // enough for all but Envoy
            false => fs::write(here, "").unwrap(),
        }
        fs::write(
            folder.path().join("request-authentication.yaml"),
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt}\nspec: {jwtRules: [{issuer: 'https://one.example', jwksUri: 'https://one.example/jwks'}]}\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("authorization-policies.yaml"),
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("security-policy.yaml"),
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: jwt}\nspec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]\n  jwt: {providers: [{name: idp, issuer: 'https://one.example', remoteJWKS: {uri: 'https://one.example/jwks'}}]}\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("jwt_authn.yaml"),
            "providers:\n  p:\n    issuer: https://i.example/\n    audiences: [a]\n    remote_jwks:\n      \
             http_uri: {uri: https://i.example/jwks, cluster: c, timeout: 5s}\nrules:\n\
             - match: {prefix: /}\n  requires: {provider_name: p}\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("oauth2.yaml"),
            "config:\n  authorization_endpoint: https://idp.example.com/auth\n  token_endpoint: {uri: \
             https://idp.example.com/token, cluster: c, timeout: 5s}\n  redirect_uri: \
             https://app.example.com/cb\n  redirect_path_matcher: {path: {exact: /cb}}\n  signout_path: \
             {path: {exact: /out}}\n  credentials: {client_id: web, token_secret: {name: a}, \
             hmac_secret: {name: b}}\n",
        )
        .unwrap();
        // of the steps of docs/your-api.md
        fs::create_dir(folder.path().join("gateway")).unwrap();
        fs::write(
            folder.path().join("gateway/bearer-gate.yaml"),
            "resources: []\n",
        )
        .unwrap();
        let certificate =
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout tls.key -out tls.crt";
        let made = Command::new("sh")
            .args(["-c", certificate])
            .current_dir(folder.path())
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "{certificate}");
        fs::write(
            folder.path().join("oauth2-proxy.cfg"),
            "provider = \"oidc\"\noidc_issuer_url = \"https://idp.example.com\"\nclient_id = \"web\"\n\
             redirect_url = \"https://app.example.com/cb\"\nemail_domains = \"*\"\n",
        )
        .unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a line as a shell does, with the tool in its path.
    fn run(&self, line: &str) -> Output {
        let tool = PathBuf::from(env!("CARGO_BIN_EXE_bearer-gate"));
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", tool.parent().unwrap().display());
        Command::new("sh")
            .args(["-c", line])
            .current_dir(self.path())
            // Of a make that calls this, and does not give its jobs away.
            .env_remove("MAKEFLAGS")
            .env("PATH", path)
            // As docs/sign-in.md says.
            .env("BG_CLIENT_SECRET", "the secret of the client")
            .env("BG_COOKIE_KEY", "a key of thirty-two octets or more")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// The command by which Envoy validates a file. `make test` names the Envoy; without one nothing is
/// validated.
fn validate(arguments: &str) -> Option<String> {
    let envoy = std::env::var("ENVOY").ok()?;
    Some(format!(
        "{envoy} --log-level critical --mode validate --{arguments}"
    ))
}

/// A command as a test can run it; `None` if a test cannot run it.
fn runnable(line: &str) -> Option<String> {
    if NOT_RUN.iter().any(|(start, _)| line.starts_with(start)) {
        return None;
    }
    if line.starts_with("make ") {
        return Some(line.replacen("make", "make -n", 1));
    }
    if let Some((path, arguments)) = line.split_once("/envoy --") {
        assert!(path.starts_with(".cache/envoy/"), "{line}");
        return validate(arguments.trim_start_matches("mode validate --"));
    }
    // No Envoy runs here.
    if line.contains(" --admin ") {
        let known = "bearer-gate explain --help | grep -q -e --admin";
        return Some(format!("{known} && {{ {line}; test $? -eq 2; }}"));
    }
    // No test calls another host: the option is there, and the rest denies what is no token.
    if let Some(rest) = line.strip_suffix(" --fetch") {
        let rest = rest.replace(" --token -", " --token x");
        let known = "bearer-gate explain --help | grep -q -e --fetch";
        return Some(format!("{known} && {{ {rest}; test $? -eq 1; }}"));
    }
    if line.ends_with(" --cookie -") {
        // Nobody has signed in here.
        return Some(format!("echo a=b | {line}; test $? -eq 1"));
    }
    Some(line.to_owned())
}

#[test]
fn every_command_runs() {
    let demo = fs::read_to_string(root().join("tests/testbed/src/demo.rs")).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    assert!(
        makefile.contains(
            "\ncargo build --release --target $(TARGET)\n"
                .replace("\nc", "\n\tc")
                .as_str()
        )
    );
    let scratch = Scratch::new();
    let mut seen = 0;
    for (document, text) in documents() {
        for block in blocks(&text).iter().filter(|block| block.language == "sh") {
            for line in block.lines.iter().filter(|line| !line.starts_with('#')) {
                seen += 1;
                if line.starts_with("curl ") {
                    // `make smoke` makes the demo's requests.
                    assert!(demo.contains(line.as_str()), "{document}: {line}");
                    continue;
                }
                let Some(command) = runnable(line) else {
                    continue;
                };
                let output = scratch.run(&command);
                assert!(
                    output.status.success(),
                    "{document}: {command}\n{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn every_command_in_ticks_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let scratch = Scratch::new();
    let mut seen = 0;
    for (document, text) in documents() {
        for code in in_ticks(&text) {
            let words: Vec<&str> = code.split_whitespace().collect();
            match words.as_slice() {
                ["make", target, ..] => {
                    seen += 1;
                    let rule = format!("\n.PHONY: {target}\n");
                    assert!(makefile.contains(&rule), "{document}: `{code}`");
                }
                ["bearer-gate", command, options @ ..] => {
                    seen += 1;
                    let output = scratch.run(&format!("bearer-gate {command} --help"));
                    assert!(output.status.success(), "{document}: `{code}`");
                    let help = String::from_utf8(output.stdout).unwrap();
                    for option in options.iter().filter(|word| word.starts_with("--")) {
                        assert!(help.contains(option), "{document}: `{code}`");
                    }
                }
                _ => {}
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

fn indented(lines: &[String], by: &str) -> String {
    lines.iter().map(|line| format!("{by}{line}\n")).collect()
}

/// The program that checks a configuration.
enum Checker {
    Tool,
    Envoy,
}

/// A whole configuration with this piece in it, and what checks it.
fn completed(lines: &[String]) -> (String, Checker) {
    let key = lines[0].split(':').next().unwrap();
    let mut of_envoy = OF_ENVOY.iter();
    if let Some((_, above, place, indent)) = of_envoy.find(|(known, ..)| *known == key) {
        let minimal = fs::read_to_string(root().join("envoy/envoy-minimal.yaml")).unwrap();
        let (before, after) = minimal.split_once(place).unwrap();
        let piece = indented(lines, if above.is_empty() { "" } else { "  " });
        let lines: Vec<String> = format!("{above}{piece}")
            .lines()
            .map(str::to_owned)
            .collect();
        let piece = indented(&lines, &" ".repeat(*indent));
        // A certificate that the test has made is beside the file.
        let piece = piece.replace("/etc/envoy/tls.", "tls.");
        // So is the secret of the documents.
        let piece = piece.replace("/etc/envoy/secrets", "secrets");
        // Without one Envoy takes nothing from elsewhere.
        let node = "node: {id: a, cluster: a}\n";
        return (
            format!("{node}{before}{place}{piece}{after}"),
            Checker::Envoy,
        );
    }
    let piece = indented(lines, "");
    let config = if key == "static_resources" || key == "providers" {
        piece
    } else if key == "local_jwks" {
        let secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let piece =
            indented(lines, "    ").replace("\"k\": \"...\"", &format!("\"k\": \"{secret}\""));
        format!("{PROVIDER}{piece}{RULE}")
    } else if OF_A_PROVIDER.contains(&key) {
        format!("{PROVIDER}{KEYS}{}{RULE}", indented(lines, "    "))
    } else if OF_A_RULE.contains(&key) {
        format!("{PROVIDER}{KEYS}{RULE}{}", indented(lines, "  "))
    } else if key == "rules" {
        format!("{PROVIDER}{KEYS}{piece}")
    } else if key == "shared_store" {
        format!("{PROVIDER}{KEYS}{SIGN_IN}{RULE}{piece}")
    } else {
        format!("{PROVIDER}{KEYS}{RULE}{piece}")
    };
    (config, Checker::Tool)
}

#[test]
fn every_piece_of_yaml_is_taken() {
    let scratch = Scratch::new();
    let secret = fs::read_to_string(root().join("docs/sign-in.md")).unwrap();
    let secret = blocks(&secret).into_iter().find(|block| {
        let mut lines = block.lines.iter();
        lines.any(|line| line.trim_start().starts_with("generic_secret:"))
    });
    fs::create_dir(scratch.path().join("secrets")).unwrap();
    let file = scratch.path().join("secrets/client.yaml");
    fs::write(file, indented(&secret.unwrap().lines, "")).unwrap();
    let mut seen = 0;
    for (document, text) in documents() {
        for block in blocks(&text)
            .iter()
            .filter(|block| block.language == "yaml")
        {
            let key = block.lines[0].split(':').next().unwrap();
            if OF_OTHERS.contains(&key) || OF_STEPS.contains(&key) {
                continue;
            }
            let (config, checker) = completed(&block.lines);
            seen += 1;
            fs::write(scratch.path().join("piece.yaml"), &config).unwrap();
            let command = match checker {
                Checker::Tool => "bearer-gate check piece.yaml".to_owned(),
                Checker::Envoy => match validate("config-path piece.yaml") {
                    Some(command) => command,
                    None => continue,
                },
            };
            let output = scratch.run(&command);
            assert!(
                output.status.success(),
                "{document}:\n{config}\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn the_minimal_configuration_is_a_file_without_risks() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    let minimal = blocks
        .iter()
        .find(|block| block.language == "yaml")
        .unwrap();
    let file = fs::read_to_string(root().join("envoy/envoy-minimal.yaml")).unwrap();
    assert_eq!(indented(&minimal.lines, ""), file);
    let output = Scratch::new().run("bearer-gate check --strict envoy/envoy-minimal.yaml");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// `check` finds nothing in any configuration of the tree: in each file by itself, in the files of a folder
/// that belong together, in what kustomize makes of them, and in all at once.
#[test]
fn check_is_silent_about_every_good_file() {
    let scratch = Scratch::new();
    let files = |folder: &str| -> Vec<String> {
        let names = fs::read_dir(root().join(folder)).unwrap();
        names
            .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().display()))
            .filter(|name| name.ends_with(".yaml"))
            .collect()
    };
    let of_envoy = [files("envoy"), files("envoy/recipes")].concat();
    let alone = of_envoy
        .iter()
        .filter(|name| !name.contains("docker-compose"));
    let mut sets: Vec<Vec<String>> = alone.map(|name| vec![name.clone()]).collect();
    assert!(sets.len() > 15, "{sets:?}");
    for folder in ["deploy/envoy", "deploy/istio", "deploy/envoy-gateway"] {
        let beside = files("deploy/relay");
        sets.push(files(folder));
        sets.push([files(folder), beside].concat());
        // `make test` names it
        if let Some(kubectl) = std::env::var_os("KUBECTL") {
            let mut kustomize = Command::new(kubectl);
            kustomize.arg("kustomize").arg(root().join(folder));
            let rendered = kustomize.output().unwrap();
            assert!(rendered.status.success(), "{folder}");
            let name = format!("{}.yaml", folder.replace('/', "-"));
            fs::write(scratch.path().join(&name), rendered.stdout).unwrap();
            sets.push(vec![name]);
        }
    }
    sets.push(
        [
            of_envoy,
            files("envoy/my-api"),
            files("envoy/recipes/kubernetes"),
        ]
        .concat(),
    );
    for names in sets {
        let given = names.join(" ");
        let output = scratch.run(&format!("bearer-gate check --strict --json {given}"));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let files = report.as_array().unwrap();
        assert!(files.len() >= names.len(), "{given}: {report:#}");
        for file in files {
            assert_eq!(file["findings"], serde_json::json!([]), "{file:#}");
            let is_kustomization = file["file"].as_str().unwrap().contains("kustomization");
            assert!(
                is_kustomization || file["notes"] == serde_json::json!([]),
                "{file:#}"
            );
        }
        assert!(output.status.success(), "{given}");
    }
}

/// The page has each option that `migrate` knows, once, under the heading of what becomes of it.
#[test]
fn the_page_of_oauth2_proxy_has_every_option() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let page = read("docs/from-oauth2-proxy.md");
    let known = read("cli/src/migrate/oauth2_proxy/options.rs");
    let (_, known) = known.split_once("const KNOWN").unwrap();
    let (known, _) = known.split_once("\n];").unwrap();
    // In each row of the page the options are in the first cell.
    let mut listed = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        for row in section.lines().filter(|line| line.starts_with("| `")) {
            let cell = row.split(" | ").next().unwrap();
            let options = cell.split('`').skip(1).step_by(2);
            listed.extend(options.map(|option| (option, heading)));
        }
    }
    let entries = known.split("    (").skip(1).map(|entry| {
        let mut words = entry.split('"');
        let option = words.nth(1).unwrap();
        let heading = match words.next().unwrap().trim_matches([',', ' ', '\n']) {
            fate if fate.starts_with("Used") => "What is converted",
            fate if fate.starts_with("Differs") || fate.starts_with("BASIC") => "What differs",
            fate if fate.starts_with("Open") || fate.contains("_PEOPLE") => {
                "What is yours to decide"
            }
            _ => "What is not needed",
        };
        (option, heading)
    });
    let entries: BTreeSet<(&str, &str)> = entries.collect();
    assert!(entries.len() > 100, "{}", entries.len());
    let page: BTreeSet<(&str, &str)> = listed.iter().copied().collect();
    assert_eq!(page.len(), listed.len(), "an option is there twice");
    let differ: Vec<_> = page.symmetric_difference(&entries).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

/// The piece of YAML with this first key in docs/command-line.md.
fn piece(key: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/command-line.md")).unwrap();
    let mut blocks = blocks(&text).into_iter();
    let is_it = |block: &Block| block.lines[0].starts_with(&format!("{key}:"));
    blocks.find(is_it).unwrap().lines
}

/// What stands behind a text in one of the lines.
fn behind<'l>(lines: &'l [String], text: &str) -> Vec<&'l str> {
    let lines = lines.iter();
    lines
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(text))
        .collect()
}

#[test]
fn what_runs_before_a_merge_finds_what_is_wrong() {
    let scratch = Scratch::new();
    // pre-commit runs `entry`, in the directory of the user, with `args`
    let hooks = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let hooks: Vec<String> = hooks.lines().map(str::to_owned).collect();
    assert_eq!(behind(&hooks, "language: "), ["script"]);
    assert_eq!(behind(&hooks, "pass_filenames: "), ["false"]);
    let (used, known) = (piece("repos"), behind(&hooks, "id: "));
    assert_eq!(behind(&used, "id: "), known);
    let entry = root().join(behind(&hooks, "entry: ")[0]);
    let arguments = behind(&used, "args: ")[0].trim_matches(['[', ']']);
    let hook = |arguments: &str| {
        let tool = env!("CARGO_BIN_EXE_bearer-gate");
        let output = scratch.run(&format!(
            "BEARER_GATE={tool} {} {}",
            entry.display(),
            arguments.replace(',', "")
        ));
        output.status.code().unwrap()
    };
    assert_eq!(hook(arguments), 0);
    fs::write(scratch.path().join("wrong.yaml"), "rules: 1\n").unwrap();
    assert_eq!(hook(&format!("{arguments}, wrong.yaml")), 1);
    let script = fs::read_to_string(&entry).unwrap();
    assert!(script.contains(" --directory \"$root\" cli "), "{script}");
    // the steps of a workflow
    let workflow = piece("on");
    let steps = behind(&workflow, "run: ");
    assert_eq!(steps.len(), 2);
    for step in steps {
        let command = step
            .replace("make -C bearer-gate ", "make -n ")
            .replace("bearer-gate/target/release/", "");
        let output = scratch.run(&command);
        assert!(output.status.success(), "{command}");
    }
    let file = behind(&workflow, "with: {sarif_file: ")[0].trim_end_matches('}');
    let report = fs::read(scratch.path().join(file)).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["version"], "2.1.0");
}
