//! The workflow that makes a release, without the service that runs it: its permissions, its actions, and
//! each of its commands, with programs in the place of those that would publish something.
//!
//! What needs the service is not shown: signatures, attestations, the draft itself. RELEASING.md says so. The image
//! is pushed to a real registry by `tests/containers/image.rs`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bearer_gate_testbed::{repository, yaml};
use serde_json::Value;

const WORKFLOW: &str = ".github/workflows/release.yaml";
const VERSION: &str = "0.1.0-rc.1";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The actions, with the inputs that they have and the permissions of the token that they need.
const ACTIONS: [(&str, &[&str], &[&str]); 5] = [
    ("actions/checkout@v4", &["persist-credentials"], &[]),
    (
        "actions/attest-build-provenance@v2",
        &[
            "subject-path",
            "subject-name",
            "subject-digest",
            "push-to-registry",
        ],
        &["attestations", "id-token"],
    ),
    (
        "actions/attest-sbom@v2",
        &["subject-path", "sbom-path"],
        &["attestations", "id-token"],
    ),
    (
        "docker/login-action@v3",
        &["registry", "username", "password"],
        &["packages"],
    ),
    ("sigstore/cosign-installer@v3", &[], &[]),
];
/// Commands that need the token too.
const COMMANDS: [(&str, &str); 3] = [
    ("docker push ", "packages"),
    ("cosign sign ", "id-token"),
    ("gh release create ", "contents"),
];

/// What stands for the programs that the steps call. Each writes down what it was called with.
const STANDING_IN: [(&str, &str); 5] = [
    // a target that is not there fails; behind this folder in PATH is make itself
    (
        "make",
        r#"PATH="${PATH#*:}" exec make -C "$REPOSITORY" -n "$@" > /dev/null"#,
    ),
    (
        "cargo",
        r#"case "$1" in
install) ;;
cyclonedx)
	test "$2 $4 $6 $8" = "--manifest-path --target --format --override-filename"
	test -f "$REPOSITORY/$3"
	echo '{"bomFormat": "CycloneDX"}' > "$(dirname "$3")/$9.$7"
	;;
*) exit 1 ;;
esac"#,
    ),
    (
        "docker",
        r#"case "$1" in
build)
	file=$(echo "$*" | sed 's/.*--file \([^ ]*\) .*/\1/')
	test -f "$REPOSITORY/$file"
	for path in $(sed -n 's/^COPY \([^ ]*\) .*/\1/p' "$REPOSITORY/$file"); do test -f "$path"; done
	;;
push) ;;
inspect) echo "${4%:*}@$DIGEST" ;;
*) exit 1 ;;
esac"#,
    ),
    ("cosign", r#"test "$1 $2" = "sign --yes""#),
    (
        "gh",
        r#"test "$1 $2 $3" = "release create $GITHUB_REF_NAME"
test "$GH_TOKEN $GH_REPO" = "token Owner/Bearer-Gate"
for word in "$@"; do
	case "$word" in
	*.wasm | *.txt | *.json | SHA256SUMS) test -s "$word" ;;
	esac
done"#,
    ),
];

fn workflow() -> Value {
    yaml::parse(&yaml::text(WORKFLOW))
}

fn steps(workflow: &Value) -> Vec<&Value> {
    let steps = workflow["jobs"]["module"]["steps"].as_array().unwrap();
    steps.iter().collect()
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

#[test]
fn the_token_may_do_what_the_steps_need_and_nothing_else() {
    let workflow = workflow();
    let jobs = workflow["jobs"].as_object().unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        workflow["permissions"],
        serde_json::json!({"contents": "read"})
    );
    let granted = workflow["jobs"]["module"]["permissions"].as_object();
    let granted: BTreeSet<&str> = granted
        .unwrap()
        .iter()
        .map(|(name, level)| {
            assert_eq!(level, "write", "{name}");
            name.as_str()
        })
        .collect();
    let mut needed = BTreeSet::new();
    for step in steps(&workflow) {
        if let Some(uses) = text(step, "uses") {
            let action = ACTIONS.iter().find(|(name, ..)| *name == uses);
            let (_, inputs, permissions) = action.unwrap_or_else(|| panic!("{uses} is not known"));
            needed.extend(*permissions);
            let given = step.get("with").and_then(Value::as_object);
            for name in given.into_iter().flat_map(serde_json::Map::keys) {
                assert!(inputs.contains(&name.as_str()), "{uses} has no {name}");
            }
        }
        let run = text(step, "run").unwrap_or_default();
        let commands = COMMANDS.iter().filter(|(command, _)| run.contains(command));
        needed.extend(commands.map(|(_, permission)| *permission));
    }
    assert_eq!(granted, needed);
    // what is signed is what was pushed, by whoever has logged in
    let places = |wanted: &str| {
        let is_it = |step: &&Value| {
            let texts = [text(step, "uses"), text(step, "run")];
            texts.into_iter().flatten().any(|it| it.contains(wanted))
        };
        steps(&workflow).iter().position(is_it).unwrap()
    };
    let order = [
        "make reproducible",
        "docker/login",
        "docker push",
        "cosign sign",
        "gh release",
    ];
    assert!(order.map(places).is_sorted(), "{order:?}");
}

/// A folder in which steps run.
struct Runner {
    folder: tempfile::TempDir,
    values: BTreeMap<String, String>,
}

impl Runner {
    fn start(workflow: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        for (name, what) in STANDING_IN {
            let path = programs.join(name);
            let script =
                format!("#!/bin/bash\nset -eu\necho {name} \"$@\" >> \"$CALLED\"\n{what}\n");
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir_all(folder.path().join("work/module")).unwrap();
        let mut values = BTreeMap::from([
            (
                "github.repository".to_owned(),
                "Owner/Bearer-Gate".to_owned(),
            ),
            ("github.token".to_owned(), "token".to_owned()),
        ]);
        let of_job = workflow["jobs"]["module"]["env"].as_object().unwrap();
        for (name, value) in of_job {
            let value = filled(value.as_str().unwrap(), &values);
            values.insert(format!("env.{name}"), value);
        }
        Self { folder, values }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Runs a step as the service does, and takes its outputs.
    fn run(&mut self, step: &Value) {
        let script = filled(text(step, "run").unwrap(), &self.values);
        let outputs = self.folder.path().join("outputs");
        fs::write(&outputs, "").unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-e", "-c", &script])
            .current_dir(self.work())
            // Of a make that calls this, and does not give its jobs away.
            .env_remove("MAKEFLAGS")
            .env(
                "PATH",
                format!("{}:{path}", self.folder.path().join("programs").display()),
            )
            .env("CALLED", self.folder.path().join("called"))
            .env("REPOSITORY", repository())
            .env("DIGEST", DIGEST)
            .env("GITHUB_REF_NAME", format!("v{VERSION}"))
            .env("GITHUB_OUTPUT", &outputs);
        for (name, value) in &self.values {
            if let Some(name) = name.strip_prefix("env.") {
                command.env(name, value);
            }
        }
        let own = step.get("env").and_then(Value::as_object);
        for (name, value) in own.into_iter().flatten() {
            command.env(name, filled(value.as_str().unwrap(), &self.values));
        }
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {told}");
        let id = text(step, "id").unwrap_or_default();
        for line in fs::read_to_string(&outputs).unwrap().lines() {
            let (name, value) = line.split_once('=').unwrap();
            let name = format!("steps.{id}.outputs.{name}");
            self.values.insert(name, value.to_owned());
        }
    }
}

/// A text with its expressions replaced.
fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, behind) = after.split_once("}}").unwrap();
        let value = values.get(name.trim());
        filled.push_str(before);
        filled.push_str(value.unwrap_or_else(|| panic!("{name} is not known")));
        rest = behind;
    }
    filled + rest
}

#[test]
fn each_command_of_a_release_runs() {
    let workflow = workflow();
    let mut runner = Runner::start(&workflow);
    // what the script behind `make reproducible` leaves
    let out = runner.work().join(&runner.values["env.OUT"]);
    fs::create_dir_all(&out).unwrap();
    let script = yaml::text(".ci/reproducible");
    assert!(script.contains("work=$root/target/reproducible\n"));
    assert_eq!(runner.values["env.OUT"], "target/reproducible");
    for name in ["bearer_gate.wasm", "BUILD.txt", "SHA256SUMS"] {
        assert!(script.contains(name), "{name}");
        fs::write(out.join(name), name).unwrap();
    }
    for step in steps(&workflow) {
        // what an action reads is there by then
        let given = step.get("with").and_then(Value::as_object);
        for (name, value) in given.into_iter().flatten() {
            if let Some(value) = value.as_str().filter(|_| name.ends_with("-path")) {
                let path = filled(value, &runner.values);
                assert!(runner.work().join(&path).is_file(), "{path}");
            }
            if let Some(value) = value.as_str().filter(|_| name.starts_with("subject-")) {
                filled(value, &runner.values);
            }
        }
        if step.get("run").is_some() {
            runner.run(step);
        }
    }
    let image = "ghcr.io/owner/bearer-gate";
    assert_eq!(
        fs::read_to_string(out.join("IMAGE.txt")).unwrap().trim(),
        format!("{image}@{DIGEST}")
    );
    let called = fs::read_to_string(runner.folder.path().join("called")).unwrap();
    for line in [
        "make reproducible".to_owned(),
        format!("docker push {image}:{VERSION}"),
        format!("cosign sign --yes {image}@{DIGEST}"),
        format!("gh release create v{VERSION} --draft --verify-tag"),
    ] {
        assert!(
            called.lines().any(|call| call.starts_with(&line)),
            "{line}: {called}"
        );
    }
    let files = attached(&called);
    assert!(files.len() >= 5, "{files:?}");
    let document = yaml::text("RELEASING.md");
    for file in files {
        assert!(
            document.contains(&format!("`{file}`")),
            "RELEASING.md has no {file}"
        );
    }
}

/// The files of the draft.
fn attached(called: &str) -> Vec<&str> {
    let call = called.lines().find(|line| line.starts_with("gh ")).unwrap();
    let words: Vec<&str> = call.split(' ').collect();
    let notes = words
        .iter()
        .position(|word| *word == "--notes-file")
        .unwrap();
    words[notes + 2..].to_vec()
}

#[test]
fn the_sbom_is_of_the_target_that_is_built() {
    let workflow = workflow();
    let mut runs = steps(&workflow)
        .into_iter()
        .filter_map(|step| text(step, "run"));
    let step = runs.find(|run| run.contains("cargo cyclonedx")).unwrap();
    let script = fs::read_to_string(Path::new(&repository()).join(".ci/reproducible")).unwrap();
    assert!(script.contains("target=wasm32-wasip1\n") && step.contains("--target wasm32-wasip1 "));
}
