//! docs/your-api.md: its applications behind Envoy with envoy/my-api.yaml, each as it is shipped, but for
//! addresses.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::http::{self, Client, Reply};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::process::Process;
use bearer_gate_testbed::python::python_module;
use bearer_gate_testbed::token::now;
use bearer_gate_testbed::{eventually, path_from, repository, yaml};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::recipes::kitchen::{hcm, localize_clusters, localize_plugin, plugin};
use crate::stage::merge;

const FOLDER: &str = "envoy/my-api";
/// The applications, by the headings that they have in the page, with the languages of their code.
const APPLICATIONS: [(&str, &str, &str); 4] = [
    ("FastAPI", "python", "fastapi_app.py"),
    ("Flask", "python", "flask_app.py"),
    ("BlackSheep", "python", "blacksheep_app.py"),
    ("Express", "js", "express_app.js"),
];
const PAGE: &str = "https://app.example.com";
/// Importing a framework on a busy machine takes most of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// An application that runs; dropping it stops it.
struct Application {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Application {
    fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let folder = TempDir::with_prefix("application").unwrap();
        let port = Envoy::free_port();
        let log = folder.path().join("log");
        let mut application = Self {
            process: Process::spawn(&mut command(port), &log).unwrap(),
            address: ([127, 0, 0, 1], port).into(),
            _folder: folder,
        };
        eventually(PATIENCE, "the application listens", || {
            assert!(
                application.process.exited().is_none(),
                "{}; if a module is missing, run `make e2e`",
                application.process.log()
            );
            TcpStream::connect(application.address).is_ok()
        });
        application
    }

    fn uvicorn(application: &str) -> Self {
        Self::start(|port| {
            let mut uvicorn = python_module("uvicorn", ".");
            let mark = format!(" {}:app ", application.split(':').next().unwrap());
            uvicorn.args(documented("uvicorn ", &mark, port));
            uvicorn
        })
    }

    fn flask() -> Self {
        Self::start(|port| {
            let mut flask = python_module("flask", ".");
            flask.args(documented("flask ", " run ", port));
            flask
        })
    }

    fn express() -> Self {
        Self::start(|port| {
            let mut node = Command::new(node());
            node.args(documented("node ", "express", port))
                .current_dir(repository())
                .env("PORT", port.to_string());
            node
        })
    }
}

/// The arguments of a command of the page, with another port.
fn documented(start: &str, mark: &str, port: u16) -> Vec<String> {
    let page = yaml::text("docs/your-api.md");
    let mut lines = page.lines().filter_map(|line| line.strip_prefix("    "));
    let line = lines.find(|line| line.starts_with(start) && line.contains(mark));
    let line = line.unwrap_or_else(|| panic!("{start}{mark}"));
    let words = line.split(' ').skip(1);
    words
        .map(|word| word.replace("8080", &port.to_string()))
        .collect()
}

fn node() -> std::path::PathBuf {
    path_from("NODE", ".cache/express/node")
}

struct Gateway {
    // Dropped first: it prints its log when a test fails.
    envoy: Envoy,
    idp: Idp,
    application: Application,
    client: Client,
}

impl Gateway {
    fn before(application: Application) -> Self {
        Self::changed(application, |_| {})
    }

    /// With a change of the file.
    fn changed(application: Application, change: impl FnOnce(&mut Value)) -> Self {
        let idp = Idp::builder().issuer_path("/").start().unwrap();
        let mut bootstrap = yaml::document("envoy/my-api.yaml");
        change(&mut bootstrap);
        localize_plugin(plugin(&mut bootstrap), &idp);
        localize_clusters(&mut bootstrap, idp.address(), application.address);
        let envoy = Envoy::builder().start_bootstrap(bootstrap);
        Self {
            envoy: envoy.unwrap_or_else(|refused| panic!("{refused}")),
            idp,
            application,
            client: Client::without_keep_alive(),
        }
    }

    /// A token of Alice's with these claims.
    fn token(&self, more: Value) -> String {
        let mut claims = json!({
            "iss": self.idp.issuer(), "iat": now(), "exp": now() + 3600,
            "aud": "https://api.example.com", "sub": "alice",
        });
        merge(&mut claims, more);
        let header = json!({"alg": "RS256", "kid": self.idp.key().kid()});
        self.idp.sign(&header, &claims)
    }

    /// `GET` with a token of Alice's.
    async fn get(&self, path: &str, claims: Value, headers: &[(&str, &str)]) -> Reply {
        let token = self.token(claims);
        let request = self.client.request(Method::GET, &self.envoy.url(path));
        let mut request = request.bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http::send(request).await
    }
}

const MINE: &str = "/api/messages/alice";
const OTHERS: &str = "/api/messages/bob";

async fn reads_the_user(application: Application) {
    let gateway = Gateway::before(application);
    let (client, envoy) = (&gateway.client, &gateway.envoy);

    // Without a token.
    let reply = client.get(&envoy.url("/api/public")).await;
    assert_eq!(reply.json(), json!({"message": "for everybody"}));
    for path in ["/api/private", "/api/private-scoped", MINE] {
        let reply = client.get(&envoy.url(path)).await;
        assert_eq!(reply.status, 401, "{path}");
        let by_the_gateway = reply.body.contains("Jwt is missing");
        assert!(by_the_gateway, "{path}: {}", reply.body);
    }
    let forged = client.request(Method::GET, &envoy.url("/api/private"));
    let reply = http::send(forged.header("x-user", "alice")).await;
    assert_eq!(reply.status, 401);

    // With one.
    let roles = "https://example.com/roles";
    let claims = json!({"name": "Zoë Łęcka", roles: ["editor", "admin"]});
    let reply = gateway.get("/api/private", claims, &[]).await;
    let zoe = json!({"id": "alice", "name": "Zoë Łęcka", "roles": ["editor", "admin"]});
    assert_eq!((reply.status, reply.json()), (200, zoe));

    // What a client says of itself does not count, in any spelling.
    let alice = json!({"id": "alice", "name": "", "roles": []});
    let forgeries = [
        ("x-user", "mallory"),
        ("X-Name", "TWFsbG9yeQ=="),
        ("x-roles", "admin"),
        ("x.roles", "admin"),
    ];
    let reply = gateway.get("/api/private", json!({}), &forgeries).await;
    assert_eq!((reply.status, reply.json()), (200, alice.clone()));
    let reply = gateway.get(OTHERS, json!({}), &forgeries).await;
    assert_eq!(reply.status, 403);
    let underscore = [("x_user", "mallory")];
    let reply = gateway.get("/api/private", json!({}), &underscore).await;
    assert_eq!(reply.status, 400);

    // The gateway asks for the scope.
    for path in ["/api/private-scoped", "/api/PRIVATE-scoped"] {
        let reply = gateway.get(path, json!({}), &[]).await;
        assert_eq!(reply.status, 403, "{path}");
        let challenge = reply.challenge().unwrap();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
    }
    let scope = json!({"scope": "openid read:messages"});
    let reply = gateway.get("/api/private-scoped", scope, &[]).await;
    assert_eq!((reply.status, reply.json()), (200, alice));

    // The application knows whose a message is.
    let admin = json!({roles: ["admin"]});
    for (path, claims, status) in [
        (MINE, json!({}), 200),
        (OTHERS, json!({}), 403),
        (OTHERS, json!({roles: ["administrator"]}), 403),
        (OTHERS, admin, 200),
    ] {
        let reply = gateway.get(path, claims.clone(), &[]).await;
        assert_eq!(reply.status, status, "{path} {claims}");
        assert_eq!(reply.challenge(), None, "the gateway let it through");
    }

    // Who gets past the gateway without its headers is nobody.
    let direct = format!("http://{}", gateway.application.address);
    for (path, status) in [("/api/public", 200), ("/api/private", 401), (MINE, 401)] {
        let reply = client.get(&format!("{direct}{path}")).await;
        assert_eq!(reply.status, status, "{path}");
    }
}

#[tokio::test]
async fn fastapi_reads_the_user() {
    reads_the_user(Application::uvicorn("fastapi_app:app")).await;
}

#[tokio::test]
async fn flask_reads_the_user() {
    reads_the_user(Application::flask()).await;
}

#[tokio::test]
async fn blacksheep_reads_the_user() {
    reads_the_user(Application::uvicorn("blacksheep_app:app")).await;
}

#[tokio::test]
async fn express_reads_the_user() {
    reads_the_user(Application::express()).await;
}

/// Envoy's CORS filter comes first.
#[tokio::test]
async fn a_page_of_another_origin_reads_rejections() {
    let gateway = Gateway::before(Application::express());
    let url = gateway.envoy.url("/api/private");
    let from = |method, origin| {
        let request = gateway.client.request(method, &url);
        request.header("origin", origin)
    };
    let preflight = |origin| {
        let request = from(Method::OPTIONS, origin);
        request
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
    };
    let reply = http::send(preflight(PAGE)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
    let headers = reply.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("authorization"), "{headers}");

    let reply = http::send(from(Method::GET, PAGE)).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
    let exposed = reply.header("access-control-expose-headers");
    assert_eq!(exposed, Some("www-authenticate, retry-after"));

    let stranger = "https://stranger.example";
    for request in [from(Method::GET, stranger), preflight(stranger)] {
        let reply = http::send(request).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}

/// As docs/rules.md says, and why the order counts.
#[tokio::test]
async fn a_cors_filter_behind_bearer_gate_is_of_no_use_to_rejections() {
    let gateway = Gateway::changed(Application::express(), |file| {
        let filters = hcm(file)["http_filters"].as_array_mut().unwrap();
        filters.swap(0, 1);
    });
    let url = gateway.envoy.url("/api/private");
    let request = gateway.client.request(Method::GET, &url);
    let reply = http::send(request.header("origin", PAGE)).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

/// The blocks of a language between a heading and the next.
fn blocks(page: &str, heading: &str, language: &str) -> Vec<String> {
    let (_, section) = page
        .split_once(&format!("\n## {heading}\n"))
        .expect(heading);
    let section = section.split("\n## ").next().unwrap();
    let begin = format!("```{language}\n");
    let mut blocks = section.split(&*begin).skip(1);
    let code = blocks
        .by_ref()
        .map(|rest| rest.split("```").next().unwrap());
    code.map(str::to_owned).collect()
}

#[test]
fn the_page_has_the_applications_that_run() {
    let page = yaml::text("docs/your-api.md");
    let folder = TempDir::with_prefix("before").unwrap();
    for (heading, language, file) in APPLICATIONS {
        let blocks = blocks(&page, heading, language);
        let [before, after] = blocks.as_slice() else {
            panic!("{heading}: {} blocks", blocks.len());
        };
        assert_eq!(*after, yaml::text(&format!("{FOLDER}/{file}")), "{heading}");
        // It needs a provider to run; it is code all the same.
        let before_file = folder.path().join(file);
        std::fs::write(&before_file, before).unwrap();
        let mut parser = if language == "js" {
            let mut node = Command::new(node());
            node.arg("--check");
            node
        } else {
            python_module("py_compile", FOLDER)
        };
        let status = parser.arg(&before_file).status().unwrap();
        assert!(status.success(), "{heading}: {before}");
    }
}

/// The blocks of YAML in a section of the page.
fn blocks_of(heading: &str) -> Vec<String> {
    let page = yaml::text("docs/your-api.md");
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// The page's way to change the filter while Envoy runs: its pieces of YAML, a file that is moved into
/// place, and one that is refused.
#[tokio::test]
async fn the_filter_is_changed_while_envoy_runs() {
    let blocks = blocks_of("Change it while it runs");
    let [entry, node, head] = blocks.as_slice() else {
        panic!("three blocks: {blocks:?}");
    };
    let application = Application::flask();
    let idp = Idp::builder().issuer_path("/").start().unwrap();
    let mut bootstrap = yaml::document("envoy/my-api.yaml");
    localize_plugin(plugin(&mut bootstrap), &idp);
    localize_clusters(&mut bootstrap, idp.address(), application.address);
    merge(&mut bootstrap, yaml::parse(node));
    let folder = TempDir::with_prefix("gateway").unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("next")).unwrap();
    let entry = entry
        .replace(
            "gateway/bearer-gate.yaml",
            &path("bearer-gate.yaml").display().to_string(),
        )
        .replace(
            "{path: gateway}",
            &format!("{{path: {}}}", folder.path().display()),
        );
    let entry = yaml::parse(&entry)[0].clone();
    let filters = hcm(&mut bootstrap)["http_filters"].as_array_mut().unwrap();
    let place = filters
        .iter_mut()
        .find(|filter| filter["name"] == "envoy.filters.http.wasm");
    let mut typed = std::mem::replace(place.unwrap(), entry)["typed_config"].take();
    // As the page has it: below these lines, where four spaces are before a text in YAML; JSON is YAML.
    let write = |typed: &Value| {
        let next = path("next").join("bearer-gate.yaml");
        std::fs::write(&next, format!("{head}    {typed}\n")).unwrap();
        std::fs::rename(next, path("bearer-gate.yaml")).unwrap();
    };
    write(&typed);
    let envoy = Envoy::builder().start_bootstrap(bootstrap);
    let envoy = envoy.unwrap_or_else(|refused| panic!("{refused}"));
    let client = Client::without_keep_alive();
    let status = async || client.get(&envoy.url("/api/public")).await.status;
    assert_eq!(status().await, 200);

    let rules = "/config/configuration/value/rules/0";
    let rule = typed.pointer_mut(rules).unwrap();
    assert_eq!(rule["match"]["path_separated_prefix"], "/api/public");
    rule["requires"] = json!({"provider_name": "auth0"});
    write(&typed);
    let mut now_is = 200;
    for _ in 0..200 {
        now_is = status().await;
        if now_is == 401 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(now_is, 401, "the change counts, without a new start");

    typed.pointer_mut(rules).unwrap()["requiers"] = json!({});
    write(&typed);
    eventually(Duration::from_secs(20), "the refusal", || {
        let stats = envoy.stats();
        let mut stats = stats.iter();
        stats.any(|(name, count)| name.ends_with("bearer-gate.update_rejected") && *count == 1)
    });
    assert_eq!(status().await, 401, "what ran before runs on");
}
