//! Requests to the load balancer, good and bad ones, and what became of each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bearer_gate_testbed::http::{Client, try_send};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::token;
use reqwest::Method;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Clients at once, and how long each waits between two requests.
const CLIENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(90);

/// What a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A token of the key that signs now.
    Good,
    /// A good token's claims under a good `kid`, signed by somebody else.
    Forged,
    Expired,
    OtherAudience,
    None,
}

const ALL: [Kind; 8] = [
    Kind::Good,
    Kind::Forged,
    Kind::Good,
    Kind::Expired,
    Kind::Good,
    Kind::OtherAudience,
    Kind::Good,
    Kind::None,
];

/// What the load balancer says where a gateway had begun with a request, and is gone.
const GONE: &str = "reset reason: connection termination";

/// One request's end.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    kind: Kind,
    /// When it was sent.
    pub(crate) at: Instant,
    took: Duration,
    /// None where the connection was lost.
    status: Option<u16>,
    /// Whether the upstream saw it as its subject's.
    as_itself: bool,
    /// What was said of a fault.
    said: String,
}

impl Shot {
    fn is_wrong(&self) -> bool {
        match self.kind {
            Kind::Good => self.status == Some(200) && !self.as_itself,
            _ => self.status.is_some_and(|status| status < 400),
        }
    }

    fn is_lost(&self) -> bool {
        let expected = if self.kind == Kind::Good { 200 } else { 401 };
        self.status != Some(expected)
    }

    /// Whether a gateway had begun with it, or with the answer: it cannot be given to another one.
    pub(crate) fn had_begun(&self) -> bool {
        self.status.is_none() || self.said.contains(GONE)
    }
}

/// Tokens of each kind.
struct Tokens {
    good: Vec<String>,
    forged: String,
    expired: String,
    other: String,
}

impl Tokens {
    fn of(idp: &Idp) -> Self {
        let claims = idp.claims();
        let stranger = SigningKey::generate();
        let subjects = (0..20).map(|n| idp.token(&claims.clone().subject(&format!("user-{n}"))));
        Self {
            good: subjects.collect(),
            forged: token::sign(&stranger, &idp.header(), &claims.value()),
            expired: idp.token(&claims.clone().expires_in(-3600)),
            other: idp.token(&claims.audience("https://other.example.com")),
        }
    }
}

/// A load that runs.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Shot>>>,
}

impl Load {
    /// From now on, to this address.
    pub(crate) fn start(address: SocketAddr, idp: &Idp) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tokens = Arc::new(Tokens::of(idp));
        let clients = (0..CLIENTS).map(|number| {
            let (stop, tokens) = (stop.clone(), tokens.clone());
            tokio::spawn(async move { one(number, address, &stop, &tokens).await })
        });
        let clients = clients.collect();
        Self { stop, clients }
    }

    /// Ends it, when all that was sent has been answered.
    pub(crate) async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut shots = Vec::new();
        for client in self.clients {
            shots.extend(client.await.unwrap());
        }
        Tally(shots)
    }
}

async fn one(number: usize, address: SocketAddr, stop: &AtomicBool, tokens: &Tokens) -> Vec<Shot> {
    let client = Client::new();
    let mut shots = Vec::new();
    for turn in number.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let kind = ALL[turn % ALL.len()];
        let subject = turn % 20;
        let token = match kind {
            Kind::Good => Some(tokens.good[subject].clone()),
            Kind::Forged => Some(tokens.forged.clone()),
            Kind::Expired => Some(tokens.expired.clone()),
            Kind::OtherAudience => Some(tokens.other.clone()),
            Kind::None => None,
        };
        let mut request = client.request(Method::GET, &format!("http://{address}/api"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let at = Instant::now();
        let reply = try_send(request.header("x-user", "mallory")).await.ok();
        let as_itself = reply.as_ref().is_some_and(|reply| {
            reply.status == 200 && reply.seen("x-user") == [format!("user-{subject}")]
        });
        shots.push(Shot {
            kind,
            at,
            took: at.elapsed(),
            status: reply.as_ref().map(|reply| reply.status),
            as_itself,
            said: reply
                .filter(|reply| reply.status >= 500)
                .map(|reply| reply.body)
                .unwrap_or_default(),
        });
        sleep(PAUSE).await;
    }
    shots
}

/// All that was sent.
pub(crate) struct Tally(Vec<Shot>);

impl Tally {
    /// Requests that were let through and should not have been, or as somebody else.
    pub(crate) fn wrong(&self) -> Vec<Shot> {
        self.0
            .iter()
            .filter(|shot| shot.is_wrong())
            .cloned()
            .collect()
    }

    /// Requests that were not answered as they should be.
    pub(crate) fn lost(&self) -> Vec<Shot> {
        self.0
            .iter()
            .filter(|shot| shot.is_lost())
            .cloned()
            .collect()
    }

    /// Of 1, how many took longer.
    pub(crate) fn share_slower_than(&self, limit: Duration) -> f64 {
        let slow = self.0.iter().filter(|shot| shot.took > limit).count();
        slow as f64 / self.0.len() as f64
    }

    /// For people to read.
    pub(crate) fn told(&self) -> String {
        let mut took: Vec<u128> = self.0.iter().map(|shot| shot.took.as_millis()).collect();
        took.sort_unstable();
        let at = |part: usize| took[(took.len() - 1) * part / 1000];
        format!(
            "{} requests, {} lost, {} wrongly admitted; median {} ms, 99 % {} ms, longest {} ms",
            took.len(),
            self.lost().len(),
            self.wrong().len(),
            at(500),
            at(990),
            at(1000)
        )
    }
}
