//! The load: clients and the upstream on one thread, and so on one core, that is not Envoy's.
//!
//! Invariant: every answer is looked at, and one that is not 200 ends the run: what is measured is
//! requests that were let through, never refusals.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet, spawn_local, yield_now};

use crate::tokens::Supply;

/// How long a request may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

type Sender = SendRequest<Empty<Bytes>>;

/// Clients and upstream. They only move while one of its methods runs.
pub(crate) struct Load {
    runtime: Runtime,
    tasks: LocalSet,
    upstream: SocketAddr,
}

/// Connections to one listener, and what is asked on them.
pub(crate) struct Client {
    idle: Rc<RefCell<VecDeque<Sender>>>,
    path: String,
    tokens: Rc<Supply>,
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
        tasks.spawn_local(serve(listener));
        Ok(Self {
            runtime,
            tasks,
            upstream,
        })
    }

    /// Where the upstream listens.
    pub(crate) fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// Opens connections to a listener.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn client(
        &self,
        address: SocketAddr,
        connections: usize,
        path: &str,
        tokens: Rc<Supply>,
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
            path: path.to_owned(),
            tokens,
        })
    }

    /// Keeps all connections of the client busy until `most` requests were answered or `time` is
    /// over, whichever is first. Returns the number of answers.
    ///
    /// # Errors
    /// When a request is not answered, or not with 200.
    pub(crate) fn busy(&self, client: &Client, most: usize, time: Duration) -> Result<usize> {
        let deadline = Instant::now() + time;
        let begun = Rc::new(Cell::new(0_usize));
        let run = async {
            let mut connections = JoinSet::new();
            let senders: Vec<Sender> = client.idle.borrow_mut().drain(..).collect();
            for mut sender in senders {
                let (path, tokens) = (client.path.clone(), Rc::clone(&client.tokens));
                let begun = Rc::clone(&begun);
                connections.spawn_local(async move {
                    let mut answered = 0_usize;
                    while begun.get() < most && Instant::now() < deadline {
                        begun.set(begun.get() + 1);
                        ask(&mut sender, &path, &tokens).await?;
                        answered += 1;
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
    /// When a request is not answered, or not with 200.
    pub(crate) fn at_rate(&self, client: &Client, rate: u32, time: Duration) -> Result<Vec<f64>> {
        ensure!(rate > 0, "the rate of requests is 0");
        let count = time.as_secs_f64() * f64::from(rate);
        let run = async {
            let start = Instant::now();
            let mut requests = JoinSet::new();
            // A count of requests, far below 2^32.
            for number in 0..count as u32 {
                let due = start + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                // Timers have milliseconds; this has the time it takes to look at the sockets.
                let mut sender = loop {
                    if Instant::now() >= due
                        && let Some(sender) = client.idle.borrow_mut().pop_front()
                    {
                        break sender;
                    }
                    yield_now().await;
                };
                let (path, tokens) = (client.path.clone(), Rc::clone(&client.tokens));
                let idle = Rc::clone(&client.idle);
                requests.spawn_local(async move {
                    ask(&mut sender, &path, &tokens).await?;
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

    /// The status of one request with the client's next token.
    ///
    /// # Errors
    /// When it is not answered.
    pub(crate) fn status(&self, client: &Client) -> Result<u16> {
        let run = async {
            let sender = client.idle.borrow_mut().pop_front();
            let mut sender = sender.context("no connection")?;
            let status = status(&mut sender, &client.path, &client.tokens).await?;
            client.idle.borrow_mut().push_back(sender);
            Ok(status)
        };
        self.within(PATIENCE, run)
    }
}

async fn ask(sender: &mut Sender, path: &str, tokens: &Supply) -> Result<()> {
    match status(sender, path, tokens).await? {
        200 => Ok(()),
        status => bail!("{path} was answered with {status}"),
    }
}

async fn status(sender: &mut Sender, path: &str, tokens: &Supply) -> Result<u16> {
    let mut request = Request::get(path).header(HOST, "api.example.com");
    if let Some(token) = tokens.next()? {
        request = request.header(AUTHORIZATION, token);
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

async fn serve(listener: TcpListener) {
    // An error here is a file descriptor too many; the clients then tell what they miss.
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let answer = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
        });
        let connection = hyper::server::conn::http1::Builder::new();
        spawn_local(connection.serve_connection(TokioIo::new(stream), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The upstream itself stands in for a listener of Envoy.
    fn direct(load: &Load, tokens: Supply) -> Client {
        let client = load.client(load.upstream(), 4, "/", Rc::new(tokens));
        client.unwrap()
    }

    #[test]
    fn a_busy_client_stops_at_the_count_and_at_the_time() {
        let load = Load::start().unwrap();
        let client = direct(&load, Supply::none());
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
        let client = direct(&load, Supply::none());
        let start = Instant::now();
        let latencies = load
            .at_rate(&client, 200, Duration::from_millis(500))
            .unwrap();
        assert_eq!(latencies.len(), 100);
        assert!(start.elapsed() >= Duration::from_millis(495));
        assert!(latencies.iter().all(|latency| *latency > 0.0));
    }

    #[test]
    fn new_tokens_that_run_out_end_the_run() {
        let load = Load::start().unwrap();
        let client = direct(&load, Supply::once(Rc::from([])));
        assert!(load.busy(&client, 1, PATIENCE).is_err());
    }
}
