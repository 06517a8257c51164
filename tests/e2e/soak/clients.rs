//! Who makes requests, each in a lane of its own.

use std::io;
use std::thread;
use std::time::Duration;

use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::raw::{self, RawConnection, RawResponse};
use bearer_gate_testbed::visitor::Visitor;
use tokio::runtime::Runtime;

use super::World;
use super::conductor::{new_token, stranger, subject};
use crate::chance::Chance;
use crate::hostile::hostile_authorization;

/// Requests on one connection before the next is opened, so that both workers get their part.
const ON_ONE: usize = 500;
/// Between two requests of a lane, so that the machine has time for everybody.
const PACE: Duration = Duration::from_millis(3);
/// What is answered where a key is not to be had, or may not be asked for.
const NO_KEYS: u16 = 503;

fn request(method: &str, target: &str, authorization: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: testbed\r\n").into_bytes();
    request.extend_from_slice(b"content-length: 0\r\nauthorization: ");
    request.extend_from_slice(authorization);
    request.extend_from_slice(b"\r\n\r\n");
    request
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

/// A connection that is opened anew when it is closed.
#[derive(Default)]
struct Lane {
    open: Option<RawConnection>,
    requests: usize,
}

impl Lane {
    /// The response. A connection that Envoy closes between two requests, as it may when listeners change,
    /// is opened anew once.
    fn send(&mut self, world: &World, request: &[u8]) -> io::Result<RawResponse> {
        let is_old = self.open.is_some();
        match self.try_send(world, request) {
            Err(_) if is_old => self.try_send(world, request),
            outcome => outcome,
        }
    }

    fn try_send(&mut self, world: &World, request: &[u8]) -> io::Result<RawResponse> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => RawConnection::open(world.stage.address())?,
        };
        open.send(request)?;
        let response = open.response()?;
        self.requests += 1;
        if response.header("connection") != Some("close") && !self.requests.is_multiple_of(ON_ONE) {
            self.open = Some(open);
        }
        Ok(response)
    }
}

/// One request on a connection of its own.
pub(super) fn get(world: &World, target: &str, token: &str) -> Option<RawResponse> {
    Lane::default()
        .send(world, &request("GET", target, &bearer(token)))
        .ok()
}

/// Tokens in regular use pass, whatever happens to the provider, and as nobody else.
pub(super) fn known(world: &World, lane: usize) {
    let (mut connection, mut number) = (Lane::default(), lane);
    while !world.score.is_over() {
        number += 1;
        let token = world.score.token(number);
        let request = request("GET", "/api/x", &bearer(&token));
        match connection.send(world, &request) {
            Err(error) => world.record.wrong("known", &error.to_string()),
            Ok(reply) => {
                world
                    .record
                    .expect("known", reply.status, &[200], &reply.text());
                let own = format!("[\"x-user\",\"{}\"]", subject(number));
                if reply.status == 200 && !reply.text().contains(&own) {
                    world
                        .record
                        .wrong("known", &format!("not {own}: {}", reply.text()));
                }
            }
        }
        thread::sleep(PACE);
    }
}

/// New tokens pass too.
pub(super) fn new(world: &World, _: usize) {
    let mut connection = Lane::default();
    for number in 0.. {
        if world.score.is_over() {
            break;
        }
        let request = request("GET", "/api/new", &bearer(&new_token(world, number)));
        match connection.send(world, &request) {
            Err(error) => world.record.wrong("new", &error.to_string()),
            Ok(reply) => world
                .record
                .expect("new", reply.status, &[200], &reply.text()),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Tokens with a fault, and by keys that nobody has, never pass.
pub(super) fn hostile(world: &World, lane: usize) {
    let key = SigningKey::generate();
    let mut chance = Chance(lane as u64 + 1);
    let mut connection = Lane::default();
    for number in 0.. {
        if world.score.is_over() {
            break;
        }
        let good = world.score.token(chance.below(100));
        let (kind, authorization) = if number % 64 == 0 {
            ("unknown kid", bearer(&stranger(world, &key, number)))
        } else {
            ("hostile", hostile_authorization(&mut chance, &good, &key))
        };
        let method = ["GET", "POST", "DELETE"][chance.below(3)];
        match connection.send(world, &request(method, "/api/x", &authorization)) {
            Err(error) => world.record.wrong(kind, &error.to_string()),
            Ok(reply) => {
                let of = [400, 401, NO_KEYS];
                world.record.expect(kind, reply.status, &of, &reply.text());
            }
        }
        thread::sleep(PACE);
    }
}

/// Clients that do not wait: in the middle of a request, of a wait for keys, and of a response.
pub(super) fn leaving(world: &World, lane: usize) {
    let key = SigningKey::generate();
    let mut chance = Chance(lane as u64 + 1);
    for number in 0.. {
        if world.score.is_over() {
            break;
        }
        let token = match chance.below(2) {
            0 => world.score.token(chance.below(100)),
            _ => stranger(world, &key, number),
        };
        let mut request = raw::head("POST", "/api/x", &[("authorization", &bearer(&token))]);
        request.truncate(request.len() - [0, 1, 20][chance.below(3)]);
        if let Ok(mut open) = RawConnection::open(world.stage.address()) {
            open.send(&request).ok();
            thread::sleep(Duration::from_millis(chance.below(20) as u64));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// People sign in, look at pages, and sign out; after that a copy of their cookies is worth nothing.
pub(super) fn person(world: &World, (name, password): (&str, &str)) {
    let runtime = Runtime::new().unwrap();
    while !world.score.is_over() {
        runtime.block_on(visit(world, name, password));
    }
}

async fn visit(world: &World, name: &str, password: &str) {
    let (stage, record) = (&world.stage, &world.record);
    let url = stage.url("/pages/first");
    let mut visitor = Visitor::new().hanging_up();
    {
        let _answers = world.score.provider().await;
        let begun = visitor.get(&url).await;
        // Keys may fail while the provider's pages answer.
        record.expect("begins", begun.status, &[303, NO_KEYS], &begun.body);
        let Some(location) = begun.header("location").map(str::to_owned) else {
            return pause().await;
        };
        let back = visitor.sign_in(&location, name, password).await;
        let callback = back.header("location").expect("the way back").to_owned();
        let done = visitor.get(&callback).await;
        record.expect("signed in", done.status, &[303, NO_KEYS, 502], &done.body);
        if done.status != 303 {
            return pause().await;
        }
    }
    let own = [format!("user|{name}")];
    for _ in 0..40 {
        if world.score.is_over() {
            return;
        }
        // Where the provider is down, a session that must be refreshed has to wait.
        let page = visitor.get(&url).await;
        record.expect("page", page.status, &[200, 303, NO_KEYS], &page.body);
        match page.status {
            200 if page.seen("x-user") != own => record.wrong("page", &page.body),
            303 => return,
            _ => pause().await,
        }
    }
    let copy = visitor.clone();
    let left = visitor.post(&stage.url("/sign-out"), &[]).await;
    record.expect("signs out", left.status, &[303], &left.body);
    let page = copy.clone().get(&url).await;
    let of = [303, NO_KEYS];
    record.expect("copy of an ended session", page.status, &of, &page.body);
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
