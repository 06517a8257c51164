//! Real Envoys and the provider of the simulation: what sixteen of them do must be among what the simulation says of
//! sixteen, drawn many times.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::http::{Client, try_send};
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::serve::Server;
use bearer_gate_testbed::token::{self, Claims};
use bearer_gate_testbed::upstream::Upstream;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::fleet::{CONFIG, Outcome, Plan, Start, run};
use crate::provider::{Model, Provider, Served};
use crate::{QUIET, SAID, down, plan};

const ENVOYS: usize = 16;
/// How often the simulation is drawn.
const DRAWN: u64 = 200;
/// Within so many hundredths of what was drawn: one in hundreds is beyond it, and a busy machine is slower.
const WITHIN: [u64; 2] = [85, 115];

/// One start of all Envoys, as the provider sees it. Times are in milliseconds from its begin.
struct Scene {
    number: usize,
    provider: Provider,
    dice: Dice,
    begun: Instant,
    calls: u64,
    /// When each Envoy first got keys.
    keys_at: [Option<u64>; ENVOYS],
}

impl Scene {
    fn begin(number: usize, model: Model) -> Self {
        Self {
            number,
            provider: Provider::new(model),
            dice: Dice(number as u64),
            begun: Instant::now(),
            calls: 0,
            keys_at: [None; ENVOYS],
        }
    }

    /// Answers an Envoy: after how long, and what.
    fn call(&mut self, envoy: usize) -> (Duration, Served) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        let (after, served) = self.provider.call(now, &mut self.dice);
        self.calls += 1;
        if served == Served::Keys {
            self.keys_at[envoy].get_or_insert(now + after);
        }
        (Duration::from_millis(after), served)
    }
}

type Provided = Arc<(Mutex<Scene>, Value)>;

async fn provide(
    State(provided): State<Provided>,
    Path((number, envoy)): Path<(usize, usize)>,
) -> Response {
    let (after, served) = {
        let mut scene = provided.0.lock().unwrap();
        assert_eq!(scene.number, number, "a call of the scene before");
        scene.call(envoy)
    };
    sleep(after).await;
    match served {
        Served::Keys => {
            let json = [(CONTENT_TYPE, "application/json")];
            (json, provided.1.to_string()).into_response()
        }
        Served::Status {
            status,
            retry_after,
        } => {
            let status = StatusCode::from_u16(status).unwrap();
            let told = retry_after.map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
            match told {
                Some(told) => (status, told).into_response(),
                None => status.into_response(),
            }
        }
    }
}

/// Envoys of one worker, which know no provider yet, and the provider.
struct Stage {
    envoys: Vec<Arc<Envoy>>,
    provided: Provided,
    token: String,
    server: Server,
    _upstream: Upstream,
}

impl Stage {
    fn open() -> Self {
        let key = SigningKey::generate();
        let claims = Claims::empty().issuer("https://tenant.example/");
        let claims = claims.audience("api").expires_in(3600).value();
        let keys = json!({"keys": [key.jwk(KeyForm::Modulus)]});
        let provided = Arc::new((Mutex::new(Scene::begin(0, Model::Well)), keys));
        let pages = Router::new().route("/jwks/{number}/{envoy}", get(provide));
        let pages = pages.with_state(provided.clone());
        let server = Server::start(([127, 0, 0, 1], 0).into(), |_| pages).unwrap();
        let upstream = Upstream::start();
        let envoy = |_| {
            let envoy = Envoy::builder()
                .concurrency(1)
                .cluster("idp", server.address())
                .cluster("upstream", upstream.address())
                .wasm_filter(json!({"unmatched": "allow"}))
                .start();
            Arc::new(envoy.unwrap_or_else(|refused| panic!("{refused}")))
        };
        Self {
            envoys: (0..ENVOYS).map(envoy).collect(),
            provided,
            token: token::sign(&key, &token::header(key.kid()), &claims),
            server,
            _upstream: upstream,
        }
    }

    /// All of them begin to know the provider, by an address that none of them knows. How long it took, in
    /// milliseconds.
    fn configure(&self, number: usize) -> u64 {
        let begun = Instant::now();
        let configure = |(envoy, of): (usize, &Arc<Envoy>)| {
            let of = of.clone();
            let address = self.server.address();
            let mut config: Value = serde_json::from_str(CONFIG).unwrap();
            let uri = format!("http://{address}/jwks/{number}/{envoy}");
            config["providers"]["p"]["remote_jwks"]["http_uri"]["uri"] = json!(uri);
            std::thread::spawn(move || of.reload_wasm(&config).map_err(|e| e.to_string()))
        };
        let all: Vec<_> = self.envoys.iter().enumerate().map(configure).collect();
        for one in all {
            one.join().unwrap().unwrap();
        }
        u64::try_from(begun.elapsed().as_millis()).unwrap()
    }

    /// Has all of them start at once, with a good request to each in a second, until all have keys for a while. What came
    /// of it, and within which time they started.
    async fn real(&self, number: usize, plan: &Plan) -> (Figures, u64) {
        *self.provided.0.lock().unwrap() = Scene::begin(number, plan.model);
        let within = self.configure(number);
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for (at, envoy) in self.envoys.iter().enumerate() {
            let (url, token) = (envoy.url("/"), self.token.clone());
            let mut dice = Dice(at as u64);
            let until = begun + Duration::from_secs(plan.seconds);
            let provided = self.provided.clone();
            clients.spawn(async move {
                let (client, mut unavailable) = (Client::new(), 0);
                while Instant::now() < until {
                    let request = client.request(Method::GET, &url).bearer_auth(&token);
                    let status = try_send(request).await.unwrap().status;
                    assert!(matches!(status, 200 | 503), "{status}");
                    unavailable += u64::from(status == 503);
                    if provided
                        .0
                        .lock()
                        .unwrap()
                        .keys_at
                        .iter()
                        .all(Option::is_some)
                    {
                        break;
                    }
                    sleep(Duration::from_millis(dice.between(500, 1500))).await;
                }
                unavailable
            });
        }
        let unavailable = clients.join_all().await.iter().sum();
        sleep(Duration::from_secs(2)).await;
        let scene = self.provided.0.lock().unwrap();
        let keys_at = scene.keys_at.map(|at| at.expect("all have keys"));
        let figures = Figures {
            calls: scene.calls,
            last: keys_at.into_iter().max().unwrap(),
            unavailable,
        };
        (figures, within)
    }
}

/// One of them: what it is, and where.
type Figure = (&'static str, fn(&Figures) -> u64);

/// What is compared.
#[derive(Debug, Clone, Copy)]
struct Figures {
    calls: u64,
    /// When the last Envoy had keys, in milliseconds.
    last: u64,
    /// Good requests that got 503.
    unavailable: u64,
}

impl Figures {
    fn simulated(outcome: &Outcome) -> Self {
        assert_eq!(outcome.without_keys, 0);
        Self {
            calls: outcome.calls,
            last: outcome.last_keys_at,
            unavailable: outcome.good.get(&503).copied().unwrap_or(0),
        }
    }

    const OF: [Figure; 3] = [
        ("calls", |of| of.calls),
        ("last keys after, ms", |of| of.last),
        ("good requests that got 503", |of| of.unavailable),
    ];
}

/// The least, the middle and the most.
fn range(mut values: Vec<u64>) -> [u64; 3] {
    values.sort_unstable();
    [
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "real Envoys: make fleet"]
async fn sixteen_real_envoys_do_what_the_simulation_says() {
    let bucket = |told| Model::Bucket {
        per_second: 1,
        told,
    };
    let stage = Stage::open();
    for (number, plan) in [
        plan("serves 1/s, 429", bucket(QUIET)),
        plan("serves 1/s, 429 with Retry-After: 2", bucket(SAID)),
        plan("down for 5 s", down(0, 5_000)),
    ]
    .into_iter()
    .enumerate()
    {
        let plan = Plan {
            processes: ENVOYS,
            workers: 1,
            ..plan
        };
        let (real, within) = stage.real(number + 1, &plan).await;
        let draw = |seed| {
            Figures::simulated(&run(&Plan {
                start: Start::Rolling(within),
                seed,
                ..plan.clone()
            }))
        };
        let drawn: Vec<Figures> = (1..=DRAWN).map(draw).collect();
        println!("figure: {}, started within {within} ms", plan.name);
        for (name, of) in Figures::OF {
            let [least, middle, most] = range(drawn.iter().map(of).collect());
            let real = of(&real);
            println!(
                "figure:   {name}: {real}; simulated {least} to {most}, {middle} in the middle"
            );
            let [low, high] = [least * WITHIN[0] / 100, most * WITHIN[1] / 100];
            assert!(
                (low..=high).contains(&real),
                "{}: {name}: {real}, and simulated {least} to {most}",
                plan.name
            );
        }
    }
}
