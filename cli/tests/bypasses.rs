//! What `check` calls an error lets requests past the filter: each such file runs in a real Envoy, and
//! a request without a token reaches the upstream. With the file's good twin it does not.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

#[path = "cli/check_envoy/table/mod.rs"]
mod table;

use std::iter;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Envoy, Refused, module_path};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::raw;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;
use serde_json::json;
use table::{Change, Proof, Request, Row, Tunnel, table, with};

/// Runs the good file with a change. What ties it to the world outside is replaced: the upstream's
/// port, the module, and the provider's keys.
fn start(
    change: Change,
    request: Option<&Request>,
    idp: &Idp,
    upstream: SocketAddr,
) -> Result<Envoy, Refused> {
    let keys = idp.jwks().to_string();
    let text = with(change);
    // what names a listener's address elsewhere too needs it as it is
    let own = ["10000", "10001"];
    let names_own = own.iter().any(|port| text.matches(port).count() > 1);
    // the first one is another upstream's for `check`
    let text = text.replace("8088", "8080");
    let text = text.replace("8080", &upstream.port().to_string());
    let text = own.iter().fold(text, |text, port| match names_own {
        true => text.replace(port, &free_port().to_string()),
        false => text,
    });
    let text = text.replace(
        "/opt/bearer-gate/plugin.wasm",
        &module_path().display().to_string(),
    );
    let mut bootstrap = yaml::parse(&text);
    let hcm = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    // who chooses a host chooses its port too, which Envoy is to keep here
    if request.is_some_and(|request| request.host.contains(':')) {
        hcm["typed_config"]["strip_any_host_port"] = json!(false);
    }
    let filters = hcm["typed_config"]["http_filters"].as_array_mut().unwrap();
    for filter in filters {
        let providers = "/typed_config/config/configuration/value/providers/idp";
        if let Some(provider) = filter.pointer_mut(providers) {
            provider["issuer"] = json!(idp.issuer());
            provider["local_jwks"] = json!({"inline_string": keys});
        }
    }
    let builder = Envoy::builder().concurrency(1);
    let builder = match names_own {
        true => builder.keep_addresses(),
        false => builder,
    };
    builder.start_bootstrap(bootstrap)
}

/// A port that nobody has just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The status of a request's answer, if there is one, and whether the request reached the upstream. One that
/// is `to_pass` is waited for: a copy is sent behind the answer.
fn ask(
    envoy: &Envoy,
    request: &Request,
    to_pass: bool,
    idp: &Idp,
    upstream: &Upstream,
) -> (Option<u16>, bool) {
    let before = upstream.requests();
    let token = request.subject.map(|subject| {
        let claims = idp.claims().with("aud", "https://api.example.com");
        format!("Bearer {}", idp.token(&claims.subject(subject)))
    });
    let mut head = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\n",
        request.path, request.host
    );
    for (name, value) in request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut head = head.replace("8080", &upstream.address().port().to_string());
    if let Some(token) = token {
        head.push_str(&format!("authorization: {token}\r\n"));
    }
    let address = envoy.address_of(request.listener);
    let inner = "GET /api/orders HTTP/1.1\r\nhost: api.example.com\r\n\r\n";
    let text = match request.within {
        None => format!("{head}\r\n"),
        Some(Tunnel::Post) => format!(
            "{}transfer-encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n",
            head.replacen("GET", "POST", 1),
            inner.len()
        ),
        Some(Tunnel::Connect) => {
            format!(
                "CONNECT api.example.com:80 HTTP/1.1\r\nhost: api.example.com:80\r\n\r\n{inner}"
            )
        }
    };
    let mut connection = raw::RawConnection::open(address).unwrap();
    connection.send(text.as_bytes()).unwrap();
    let status = connection.response().ok().map(|answer| answer.status);
    let end = Instant::now() + Duration::from_secs(5);
    while to_pass && upstream.requests() == before && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    (status, upstream.requests() > before)
}

/// What is not as the table says of a row.
fn problems(row: &Row, idp: &Idp, upstream: &Upstream) -> Vec<String> {
    let Row {
        kind,
        bad,
        at,
        good,
        proof,
    } = row;
    let mut problems = Vec::new();
    let request = match proof {
        None | Some(Proof::Unseen) => return problems,
        Some(Proof::Refused) => {
            if start(bad, None, idp, upstream.address()).is_ok() {
                problems.push(format!("{kind} at {at}: Envoy takes it"));
            }
            return problems;
        }
        Some(Proof::Passes(request)) => request,
    };
    for (change, passes) in [(bad, true), (good, false)] {
        // the twin may have no such listener
        if !with(change).contains(&format!("- name: {}\n", request.listener)) {
            assert!(!passes, "{kind}: {}", request.listener);
            continue;
        }
        match start(change, Some(request), idp, upstream.address()) {
            Ok(envoy) => {
                let (status, passed) = ask(&envoy, request, passes, idp, upstream);
                if passed != passes {
                    problems.push(format!(
                        "{kind} at {at}, {change:?}: {status:?}, reached the upstream: {passed}"
                    ));
                }
            }
            Err(refused) => problems.push(format!("{kind} at {at}, {change:?}: {refused}")),
        }
    }
    problems
}

/// What a list of capabilities has to have is what the module has and calls.
#[test]
fn the_capabilities_are_the_modules() {
    let module = std::fs::read(module_path()).unwrap();
    let source = include_str!("../src/surroundings/plugin.rs");
    let names = source.lines().filter_map(|line| {
        let name = line.strip_prefix("    \"")?.strip_suffix("\",")?;
        (!name.contains(' ')).then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let mut windows = module.windows(name.len());
        assert!(windows.any(|bytes| bytes == name.as_bytes()), "{name}");
    }
}

/// `BYPASSES=KIND` looks at the rows of one kind alone.
#[test]
fn what_is_an_error_lets_requests_past_the_filter() {
    let idp = &Idp::start();
    let wanted = std::env::var("BYPASSES");
    let rows =
        table().filter(|row| wanted.as_ref().is_ok_and(|kind| kind == row.kind) || wanted.is_err());
    let rows = Mutex::new(rows);
    let next = || rows.lock().expect("no panic while locked").next();
    let run = || {
        let upstream = Upstream::start();
        let rows = iter::from_fn(next);
        let found = rows.flat_map(|row| problems(row, idp, &upstream));
        found.collect::<Vec<String>>()
    };
    // Envoy compiles the module at each start, and then this waits for an answer.
    let lanes = thread::available_parallelism().map_or(1, NonZero::get) + 1;
    let wrong: Vec<String> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(run)).collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().unwrap())
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A warning, for a rewrite may be meant: behind a listener within Envoy, too, the rules have seen another path.
#[test]
fn what_is_rewritten_within_envoy_gets_past_the_rules() {
    let is_within = |row: &&Row| {
        let mut marks = row.bad.iter().map(|(mark, _)| *mark);
        row.kind == "path-rewritten" && marks.any(|mark| mark == "top")
    };
    let row = table().find(is_within).unwrap();
    let request = Request {
        listener: "web",
        host: "api.example.com",
        path: "/open/api/orders",
        headers: &[],
        subject: None,
        within: None,
    };
    let row = Row {
        proof: Some(Proof::Passes(request)),
        ..*row
    };
    let wrong = problems(&row, &Idp::start(), &Upstream::start());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
