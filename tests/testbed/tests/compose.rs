//! envoy/docker-compose.yaml as it is shipped, where a Docker engine answers: it is started, tried from outside with
//! the requests that it prints and by somebody who signs in and out, and stopped.
//!
//! What the first stage of envoy/Dockerfile compiles from source takes minutes. So the first test puts what `make
//! build` has made, and this testbed, where that stage leaves them; all other stages are as shipped. `make soak` and
//! `make compose-check` have the other test, which compiles.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bearer_gate_testbed::docker::{self, Project};
use bearer_gate_testbed::envoy::{MODULE_PATH, module_path};
use bearer_gate_testbed::{holds_within, repository, yaml};
use serde_json::json;
use tempfile::TempDir;

const FILE: &str = "envoy/docker-compose.yaml";
const TESTBED: &str = env!("CARGO_BIN_EXE_bearer-gate-testbed");
/// Where the demo listens: provider, application, Envoy's admin interface, Envoy.
const PORTS: [u16; 4] = [9000, 9001, 9901, 10_000];
/// What marks an image of which nothing is to be left.
const LABEL: &str = "bearer-gate-tested";
const PATIENCE: Duration = Duration::from_secs(30);

/// What the demo's images are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// What is built already.
    Ahead,
    /// The source.
    FromSource,
}

impl Made {
    /// The images that it begins with.
    fn bases(self) -> Vec<String> {
        let dockerfile = yaml::text("envoy/Dockerfile");
        let from = dockerfile.lines().filter_map(|l| l.strip_prefix("FROM "));
        let names = from.filter_map(|line| line.split(' ').next());
        let skipped = usize::from(self == Self::Ahead);
        names.skip(skipped).map(str::to_owned).collect()
    }

    /// The folder to build in.
    fn lay_out(self, root: &Path) {
        fs::create_dir(root.join("envoy")).unwrap();
        for name in [FILE, "envoy/envoy.yaml", "envoy/Dockerfile"] {
            fs::copy(repository().join(name), root.join(name)).unwrap();
        }
        if self == Self::FromSource {
            let ignore = yaml::text("envoy/Dockerfile.dockerignore");
            let sources = ignore.lines().filter_map(|line| line.strip_prefix('!'));
            let copied = Command::new("cp")
                .arg("-r")
                .args(sources.map(|source| repository().join(source)))
                .arg(root)
                .status();
            assert!(copied.unwrap().success());
            return;
        }
        for (from, to) in [
            (module_path().as_path(), MODULE_PATH),
            (Path::new(TESTBED), "target/release/bearer-gate-testbed"),
        ] {
            let to = root.join(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
        // In place of the stage that compiles.
        let shipped = yaml::text("envoy/Dockerfile");
        let stages: Vec<&str> = shipped.split("\nFROM ").collect();
        assert!(stages[1].starts_with("rust:") && stages[1].contains(" AS build\n"));
        let stage =
            format!("debian:bookworm-slim AS build\nLABEL {LABEL}=\nCOPY target /source/target\n");
        let stages = [&[stages[0], stage.as_str()], &stages[2..]].concat();
        fs::write(root.join("envoy/Dockerfile"), stages.join("\nFROM ")).unwrap();
    }
}

/// Whether what this machine compiles runs in the demo's image.
fn runs_there() -> bool {
    let mount = format!("{TESTBED}:/testbed:ro");
    let image = "debian:bookworm-slim";
    docker::succeeds(&[
        "run", "--rm", "--volume", &mount, image, "/testbed", "--help",
    ])
}

fn all_free() -> bool {
    PORTS
        .iter()
        .all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

/// What Envoy warns of in the demo, and may.
const EXPECTED: [&str; 1] = [
    // It listens on loopback.
    "There is no configured limit to the number of allowed active downstream connections",
];

/// The lines of a log that tell of a fault: of Envoy by their level, of the others by their words.
fn complaints(service: &str, log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| match service {
        "envoy" => {
            let expected = EXPECTED.iter().any(|words| line.contains(words));
            !line.contains("][info][") && !expected
        }
        _ => {
            let line = line.to_lowercase();
            ["error", "warn", "panic", "fail"]
                .iter()
                .any(|word| line.contains(word))
        }
    });
    lines.map(str::to_owned).collect()
}

fn try_it(made: Made) {
    if let Some(why) =
        docker::hindrance(&made.bases().iter().map(String::as_str).collect::<Vec<_>>())
    {
        docker::left_out(FILE, &why);
        return;
    }
    if made == Made::Ahead && !runs_there() {
        docker::left_out(
            FILE,
            "what is compiled here does not run in its image; `make soak` compiles it there",
        );
        return;
    }
    assert!(all_free(), "something listens on {PORTS:?}");
    let began = Instant::now();
    let folder = TempDir::with_prefix("demo").unwrap();
    made.lay_out(folder.path());
    let project = Project::new("bearer-gate-demo-tested", folder.path(), FILE);
    project.up();
    let built = began.elapsed();

    // It waits for Envoy, with a limit.
    let tried = Command::new(TESTBED).args(["requests", "--check"]).output();
    let tried = tried.unwrap();
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(
        tried.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&tried.stderr)
    );
    // The requests, and a visit to each of the two sites.
    assert_eq!(said.matches("ok    ").count(), 5 + 2 * 7, "{said}");

    let compose = yaml::document(FILE);
    let services: Vec<&String> = compose["services"].as_object().unwrap().keys().collect();
    assert_eq!(services.len(), 4);
    for service in services {
        let log = project.log(service);
        assert_eq!(complaints(service, &log), [""; 0], "{service}");
        let state = project.container(service)["State"].clone();
        // It prints what to try, and leaves.
        if service == "requests" {
            assert!(
                log.contains("curl -i http://127.0.0.1:10000/public"),
                "{log}"
            );
            assert_eq!(
                [&state["Status"], &state["ExitCode"]],
                [&json!("exited"), &json!(0)]
            );
        } else {
            assert_eq!(state["Running"], true, "{service}");
        }
    }

    assert!(!project.remains().is_empty());
    assert!(project.down());
    // Builders before BuildKit keep the images of stages.
    docker::docker(&[
        "image",
        "prune",
        "--force",
        "--filter",
        &format!("label={LABEL}"),
    ]);
    assert_eq!(project.remains(), [""; 0]);
    assert!(holds_within(PATIENCE, all_free), "a port is still taken");
    println!(
        "figure: the demo in containers: {} s until it was started, {} s in all",
        built.as_secs(),
        began.elapsed().as_secs()
    );
}

#[test]
fn the_demo_in_containers_works_and_leaves_nothing() {
    try_it(Made::Ahead);
}

/// Some minutes.
#[test]
#[ignore = "compiles all from source: make soak"]
fn the_demo_in_containers_is_built_from_source() {
    try_it(Made::FromSource);
}

#[test]
fn what_a_log_complains_of() {
    let envoy = "[2026-01-01 00:00:00.000][1][info][main] [server.cc:1] starting\n\
                 [2026-01-01 00:00:00.000][1][warning][config] [x.cc:1] deprecated\n";
    assert_eq!(complaints("envoy", envoy).len(), 1);
    let idp =
        "identity provider http://127.0.0.1:9000/ at http://127.0.0.1:9000\nthread panicked\n";
    assert_eq!(complaints("idp", idp), ["thread panicked"]);
}
