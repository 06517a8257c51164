//! The load: clients and the upstream on one thread, and so on one core, that is not Envoy's.
//!
//! Invariant: every answer is looked at, and one with another status than the case expects ends the
//! run: requests that are refused are never measured for requests that are let through.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet, spawn_local, yield_now};

use crate::supply::Supply;

/// How long a request may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The host that all requests name.
pub(crate) const AUTHORITY: &str = "api.example.com";

type Sender = SendRequest<Empty<Bytes>>;

/// Clients and upstream. They only move while one of its methods runs.
pub(crate) struct Load {
    runtime: Runtime,
    tasks: LocalSet,
    upstream: SocketAddr,
    tokens: TokenResponses,
}

/// What the token endpoint answers, by code; each is given out once.
pub(crate) type TokenResponses = Rc<RefCell<HashMap<String, Bytes>>>;

/// The token endpoint's path at the upstream.
pub(crate) const TOKEN_PATH: &str = "/token";

/// Connections to one listener, and what is asked on them.
pub(crate) struct Client {
    idle: Rc<RefCell<VecDeque<Sender>>>,
    asked: Rc<Asked>,
    /// Between an answer and the next request on its connection.
    pause: Duration,
}

impl Client {
    /// The same with such a pause where its connections are busy.
    pub(crate) fn pausing(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }
}

/// What a client asks for.
pub(crate) struct Asked {
    /// Unless a request brings its own.
    pub path: &'static str,
    pub supply: Rc<Supply>,
    /// The status of each answer.
    pub expected: u16,
}

impl Asked {
    /// What is asked of this path with no credentials.
    pub(crate) fn nothing(path: &'static str) -> Self {
        Self::of(path, Supply::none())
    }

    /// What is asked of this path, and let through.
    pub(crate) fn of(path: &'static str, supply: Supply) -> Self {
        Self {
            path,
            supply: Rc::new(supply),
            expected: 200,
        }
    }
}

impl Load {
    /// An upstream on a free loopback port, and no clients yet.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let tasks = LocalSet::new();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = runtime.block_on(TcpListener::bind(any))?;
        let upstream = listener.local_addr()?;
        let tokens = TokenResponses::default();
        tasks.spawn_local(serve(listener, Rc::clone(&tokens)));
        Ok(Self {
            runtime,
            tasks,
            upstream,
            tokens,
        })
    }

    /// Where the upstream listens.
    pub(crate) fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// What its token endpoint answers.
    pub(crate) fn token_responses(&self) -> TokenResponses {
        Rc::clone(&self.tokens)
    }

    /// Opens connections to a listener.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn client(
        &self,
        address: SocketAddr,
        connections: usize,
        asked: Asked,
    ) -> Result<Client> {
        let open = async {
            let mut idle = VecDeque::with_capacity(connections);
            for _ in 0..connections {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                spawn_local(connection);
                idle.push_back(sender);
            }
            anyhow::Ok(idle)
        };
        let idle = self.tasks.block_on(&self.runtime, open)?;
        Ok(Client {
            idle: Rc::new(RefCell::new(idle)),
            asked: Rc::new(asked),
            pause: Duration::ZERO,
        })
    }

    /// Keeps all connections of the client busy until `most` requests were answered or `time` is
    /// over, whichever is first. Returns the number of answers.
    ///
    /// # Errors
    /// When a request is not answered as expected.
    pub(crate) fn busy(&self, client: &Client, most: usize, time: Duration) -> Result<usize> {
        let deadline = Instant::now() + time;
        let begun = Rc::new(Cell::new(0_usize));
        let run = async {
            let mut connections = JoinSet::new();
            let senders: Vec<Sender> = client.idle.borrow_mut().drain(..).collect();
            for mut sender in senders {
                let asked = Rc::clone(&client.asked);
                let begun = Rc::clone(&begun);
                let pause = client.pause;
                connections.spawn_local(async move {
                    let mut answered = 0_usize;
                    while begun.get() < most && Instant::now() < deadline {
                        begun.set(begun.get() + 1);
                        ask(&mut sender, &asked).await?;
                        answered += 1;
                        wait_until(Instant::now() + pause).await;
                    }
                    anyhow::Ok((sender, answered))
                });
            }
            let mut answered = 0;
            while let Some(connection) = connections.join_next().await {
                let (sender, count) = connection??;
                client.idle.borrow_mut().push_back(sender);
                answered += count;
            }
            anyhow::Ok(answered)
        };
        self.within(time + PATIENCE, run).context("under load")
    }

    /// Sends `rate` requests a second for this time, evenly spaced, whether or not the earlier
    /// ones were answered. Returns the microseconds from the moment at which each was due to its
    /// answer: a queue before Envoy counts, as it does for a client.
    ///
    /// # Errors
    /// When a request is not answered as expected.
    pub(crate) fn at_rate(&self, client: &Client, rate: u32, time: Duration) -> Result<Vec<f64>> {
        ensure!(rate > 0, "the rate of requests is 0");
        let count = time.as_secs_f64() * f64::from(rate);
        let run = async {
            let start = Instant::now();
            let mut requests = JoinSet::new();
            // A count of requests, far below 2^32.
            for number in 0..count as u32 {
                let due = start + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                wait_until(due).await;
                let mut sender = loop {
                    if let Some(sender) = client.idle.borrow_mut().pop_front() {
                        break sender;
                    }
                    yield_now().await;
                };
                let asked = Rc::clone(&client.asked);
                let idle = Rc::clone(&client.idle);
                requests.spawn_local(async move {
                    ask(&mut sender, &asked).await?;
                    let latency = due.elapsed();
                    idle.borrow_mut().push_back(sender);
                    anyhow::Ok(latency.as_secs_f64() * 1e6)
                });
            }
            let mut latencies = Vec::with_capacity(requests.len());
            while let Some(request) = requests.join_next().await {
                latencies.push(request??);
            }
            anyhow::Ok(latencies)
        };
        self.within(time + PATIENCE, run).context("at a fixed rate")
    }

    /// Moves everything until `run` is done, which may take this long.
    fn within<T>(&self, limit: Duration, run: impl Future<Output = Result<T>>) -> Result<T> {
        let limited = async { tokio::time::timeout(limit, run).await };
        self.tasks.block_on(&self.runtime, limited)?
    }

    /// The status of one request with what the client brings next.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) fn status(&self, client: &Client) -> Result<u16> {
        let run = async {
            let sender = client.idle.borrow_mut().pop_front();
            let mut sender = sender.context("no connection")?;
            let status = status(&mut sender, &client.asked).await?;
            client.idle.borrow_mut().push_back(sender);
            Ok(status)
        };
        self.within(PATIENCE, run)
    }
}

/// Timers have milliseconds; this has the time it takes to look at the sockets.
async fn wait_until(due: Instant) {
    while Instant::now() < due {
        yield_now().await;
    }
}

async fn ask(sender: &mut Sender, asked: &Asked) -> Result<()> {
    let status = status(sender, asked).await?;
    ensure!(
        status == asked.expected,
        "{} was answered with {status}, not {}",
        asked.path,
        asked.expected
    );
    Ok(())
}

async fn status(sender: &mut Sender, asked: &Asked) -> Result<u16> {
    let ask = asked.supply.next()?;
    let path = ask.path.as_deref().unwrap_or(asked.path);
    let mut request = Request::get(path).header(HOST, AUTHORITY);
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    for (name, value) in [
        ("accept", "application/json"),
        ("user-agent", "bench/1"),
        ("x-request-start", "t=1"),
    ] {
        request = request.header(name, value);
    }
    sender.ready().await?;
    let response = sender.send_request(request.body(Empty::new())?).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}

async fn serve(listener: TcpListener, tokens: TokenResponses) {
    // An error here is a file descriptor too many; the clients then tell what they miss.
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let tokens = Rc::clone(&tokens);
        let answer = service_fn(move |request| respond(request, Rc::clone(&tokens)));
        let connection = hyper::server::conn::http1::Builder::new();
        spawn_local(connection.serve_connection(TokioIo::new(stream), answer));
    }
}

async fn respond(
    request: Request<Incoming>,
    tokens: TokenResponses,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.uri().path() != TOKEN_PATH {
        return Ok(Response::new(Full::new(Bytes::from_static(b"{}"))));
    }
    let body = request.into_body().collect().await?.to_bytes();
    let body = String::from_utf8_lossy(&body);
    let mut parameters = body.split('&');
    let code = parameters.find_map(|parameter| parameter.strip_prefix("code="));
    let known = code.and_then(|code| tokens.borrow_mut().remove(code));
    // RFC 6749 section 5.2: what is no code of ours was used before.
    let answer = known.unwrap_or(Bytes::from_static(br#"{"error":"invalid_grant"}"#));
    Ok(Response::new(Full::new(answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The upstream itself stands in for a listener of Envoy.
    fn direct(load: &Load, supply: Supply, expected: u16) -> Client {
        let asked = Asked {
            path: "/",
            supply: Rc::new(supply),
            expected,
        };
        load.client(load.upstream(), 4, asked).unwrap()
    }

    #[test]
    fn a_busy_client_stops_at_the_count_and_at_the_time() {
        let load = Load::start().unwrap();
        let client = direct(&load, Supply::none(), 200);
        let long = Duration::from_secs(60);
        assert_eq!(load.busy(&client, 100, long).unwrap(), 100);
        let many = load
            .busy(&client, usize::MAX, Duration::from_millis(50))
            .unwrap();
        assert!(many > 1);
        assert_eq!(load.status(&client).unwrap(), 200);
    }

    #[test]
    fn a_fixed_rate_is_kept() {
        let load = Load::start().unwrap();
        let client = direct(&load, Supply::none(), 200);
        let start = Instant::now();
        let latencies = load
            .at_rate(&client, 200, Duration::from_millis(500))
            .unwrap();
        assert_eq!(latencies.len(), 100);
        assert!(start.elapsed() >= Duration::from_millis(495));
        assert!(latencies.iter().all(|latency| *latency > 0.0));
    }

    #[test]
    fn another_status_than_the_expected_ends_the_run() {
        let load = Load::start().unwrap();
        let client = direct(&load, Supply::none(), 303);
        assert!(load.busy(&client, 1, PATIENCE).is_err());
    }

    #[test]
    fn new_tokens_that_run_out_end_the_run() {
        let load = Load::start().unwrap();
        let client = direct(&load, Supply::once(Rc::from([])), 200);
        assert!(load.busy(&client, 1, PATIENCE).is_err());
    }
}
