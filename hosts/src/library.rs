//! The crate proxy-wasm-host: a host in Rust, by somebody else, on wasmtime.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use proxy_wasm_host::abi::v0_2_1::types::{Action, LogLevel, MapType, Status, StreamType};
use proxy_wasm_host::abi::v0_2_1::{
    Access, CallScope, CalloutId, Callouts, ContextId, Guest, GuestError, Host, HttpCall,
    HttpCallRefusal, HttpCallResponse, InMemoryStore, Invocation, LocalResponse, LogContext,
    LogSink, PluginConfig, SharedServices, Started, StreamKind, StreamState, VmServices,
};
use proxy_wasm_host::{Buffer, Engine, HeaderMap, HeaderMapExt, Limits, Module, VecHeaderMap};
use serde_json::Value;

use crate::{Answer, Call, Headers, Outcome};

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The host, and the module: compiled once.
fn compiled() -> &'static (Host, Module) {
    static COMPILED: OnceLock<(Host, Module)> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let engine = Engine::new().expect("an engine");
        let module = Module::new(&engine, &crate::module()).expect("the module");
        (Host::new(&engine).expect("a host"), module)
    })
}

/// What all workers of a process have in common.
#[derive(Clone)]
pub struct Process {
    log: Arc<Lines>,
    store: Arc<dyn SharedServices>,
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn log(&self, _: LogContext<'_>, level: LogLevel, message: &[u8]) {
        let line = format!("{level:?} {}", text(message));
        self.0.lock().expect("the log").push(line);
    }
}

impl Default for Process {
    fn default() -> Self {
        Self {
            log: Arc::default(),
            store: Arc::new(InMemoryStore::new()),
        }
    }
}

impl Process {
    /// What the module has logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.0.lock().expect("the log").clone()
    }

    /// A worker with this configuration; `None` where the module refuses it.
    #[must_use]
    pub fn worker(&self, configuration: &Value) -> Option<Worker> {
        let outbox = Arc::new(Outbox::default());
        let services = VmServices::new(self.log.clone())
            .with_vm_id("bearer-gate")
            .with_shared(self.store.clone())
            .with_callouts(outbox.clone());
        let (host, module) = compiled();
        let mut guest = Guest::new(host, module, services, &Limits::default()).expect("a guest");
        let plugin = PluginConfig::new().with_configuration(configuration.to_string());
        match guest.start(plugin).expect("a start") {
            Started::Serving(root) => Some(Worker {
                guest,
                root,
                streams: Streams::default(),
                outbox,
            }),
            _ => None,
        }
    }
}

/// The calls of a worker that were not answered.
#[derive(Default)]
struct Outbox(Mutex<Vec<(ContextId, CalloutId, Call)>>);

impl Callouts for Outbox {
    fn http_call(
        &self,
        call: Invocation,
        id: CalloutId,
        request: HttpCall<'_>,
    ) -> Result<(), HttpCallRefusal> {
        if *request.upstream == *b"missing" {
            return Err(HttpCallRefusal::UnknownUpstream);
        }
        let headers = request.headers.iter();
        let sent = Call {
            id: id.get(),
            cluster: text(&request.upstream),
            headers: headers
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            body: text(&request.body),
        };
        let mut calls = self.0.lock().expect("the calls");
        calls.push((call.context, id, sent));
        Ok(())
    }
}

/// The requests of a worker, by their contexts.
#[derive(Default)]
struct Streams(BTreeMap<ContextId, Stream>);

#[derive(Default)]
struct Stream {
    headers: VecHeaderMap,
    body: Vec<u8>,
    response_headers: VecHeaderMap,
    answer: Option<Answer>,
    goes_on: bool,
}

impl Streams {
    fn of(&mut self, call: Invocation) -> Result<&mut Stream, Status> {
        self.0.get_mut(&call.context).ok_or(Status::NotFound)
    }
}

impl StreamState for Streams {
    fn header_map(
        &mut self,
        call: Invocation,
        _: Access,
        map: MapType,
    ) -> Result<&mut dyn HeaderMap, Status> {
        let stream = self.of(call)?;
        match map {
            MapType::HttpRequestHeaders => Ok(&mut stream.headers),
            MapType::HttpResponseHeaders => Ok(&mut stream.response_headers),
            _ => Err(Status::BadArgument),
        }
    }

    fn buffer(
        &mut self,
        call: Invocation,
        _: Access,
        _: proxy_wasm_host::abi::v0_2_1::types::BufferType,
    ) -> Result<&mut dyn Buffer, Status> {
        Ok(&mut self.of(call)?.body)
    }

    fn continue_stream(&mut self, call: Invocation, _: StreamType) -> Result<(), Status> {
        self.of(call)?.goes_on = true;
        Ok(())
    }

    fn send_local_response(
        &mut self,
        call: Invocation,
        response: LocalResponse<'_>,
    ) -> Result<(), Status> {
        let headers = response.headers.iter();
        let answer = Answer {
            status: response.status_code,
            details: text(&response.status_code_details),
            headers: headers
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            body: text(&response.body),
        };
        self.of(call)?.answer = Some(answer);
        Ok(())
    }
}

/// A worker: an instance of the module. Time passes where a test calls [`Worker::tick`].
pub struct Worker {
    guest: Guest,
    root: ContextId,
    streams: Streams,
    outbox: Arc<Outbox>,
}

impl Worker {
    /// Calls the module, with its requests at hand.
    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut CallScope<'_, Streams>) -> Result<T, GuestError>,
    ) -> T {
        let streams = std::mem::take(&mut self.streams);
        let (outcome, streams) = self.guest.with(streams, act);
        self.streams = streams;
        outcome.expect("no trap")
    }

    /// A request without a body.
    pub fn request(&mut self, headers: Headers) -> ContextId {
        let root = self.root;
        let context = self.with(|scope| {
            let context = scope.on_context_create(Some(root))?;
            scope.expect_stream_kind(context, StreamKind::Http)?;
            Ok(context)
        });
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), value.into_bytes()))
            .collect();
        let count = u32::try_from(headers.len()).expect("few headers");
        let stream = Stream {
            headers: headers.into(),
            ..Stream::default()
        };
        self.streams.0.insert(context, stream);
        let action = self.with(|scope| scope.on_request_headers(context, count, true));
        if action == Action::Continue {
            self.stream(context).goes_on = true;
        }
        context
    }

    fn stream(&mut self, context: ContextId) -> &mut Stream {
        self.streams.0.get_mut(&context).expect("a request")
    }

    /// What has become of a request.
    pub fn outcome(&mut self, context: ContextId) -> Outcome {
        let stream = self.stream(context);
        match &stream.answer {
            Some(answer) => Outcome::Answered(answer.clone()),
            None if stream.goes_on => {
                let pairs = stream.headers.pairs().into_iter();
                Outcome::Passes(
                    pairs
                        .map(|(name, value)| (text(&name), text(&value)))
                        .collect(),
                )
            }
            None => Outcome::Waits,
        }
    }

    /// What becomes of a request at once.
    pub fn ask(&mut self, headers: Headers) -> Outcome {
        let context = self.request(headers);
        let outcome = self.outcome(context);
        self.end(context);
        outcome
    }

    /// The request has ended.
    pub fn end(&mut self, context: ContextId) {
        self.with(|scope| {
            scope.on_done(context)?;
            scope.on_log(context)?;
            scope.on_delete(context)
        });
        self.streams.0.remove(&context);
    }

    /// Calls the root context, as a timer would.
    pub fn tick(&mut self) {
        let root = self.root;
        self.with(|scope| scope.on_tick(root));
    }

    /// The calls that the module has made and nobody has answered.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.outbox.0.lock().expect("the calls");
        calls.iter().map(|(.., call)| call.clone()).collect()
    }

    /// Answers the first call.
    pub fn answer(&mut self, status: &str, body: &str) {
        let (context, id, _) = self.outbox.0.lock().expect("the calls").remove(0);
        let headers = vec![(b":status"[..].into(), status.as_bytes().into())];
        let response = HttpCallResponse::received(headers).with_body(body.as_bytes());
        self.with(|scope| scope.on_http_call_response(context, id, response));
    }
}
