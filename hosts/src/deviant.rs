//! A host that keeps to the Proxy-Wasm ABI 0.2.1, except where it is told not to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use wasmtime::{
    Caller, Config, Engine, Extern, ExternType, FuncType, Instance, Linker, Memory, Module,
    OptLevel, RegallocAlgorithm, Store, Val, ValType, bail,
};

use crate::lie::Lie;
use crate::{Answer, Call, Headers, Outcome};

/// What a function of the host does in place of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// It does nothing and answers by this status.
    Status(i32),
    /// It does what it should the first time, and refuses from then on.
    Once,
    /// It traps.
    Traps,
    /// It takes one argument more: the module cannot be linked.
    OtherArity,
    /// A value is created by version 0 alone, and any other version is refused then.
    CreatesByZero,
    /// Version 0 is any version, and no other creates a value.
    ZeroIsAny,
    /// Versions are not compared.
    IgnoresVersions,
    /// It says that it has stored a value, and has not.
    Forgets,
    /// Names are told as `Names-In-Capitals`.
    Capitals,
    /// The map of this number is told by octets that are none.
    Lies(u32, Lie),
    /// All that is drawn is the same.
    Constant,
    /// The clock says this, in nanoseconds.
    Time(u64),
    /// A property has this text, whatever its name is.
    Text(&'static str),
}

/// Functions of the host by their names, and what they do.
pub type Deviations = Vec<(&'static str, Deviation)>;

const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
const CAS_MISMATCH: i32 = 8;

fn compiled() -> &'static (Engine, Module) {
    static COMPILED: OnceLock<(Engine, Module)> = OnceLock::new();
    COMPILED.get_or_init(|| {
        // What takes the least time to compile.
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::None);
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::new(&engine, crate::module()).expect("the module");
        (engine, module)
    })
}

/// The functions of the ABI that the module has the host do.
#[must_use]
pub fn functions() -> Vec<String> {
    let imports = compiled().1.imports();
    imports.map(|import| import.name().to_owned()).collect()
}

/// Values by their names, and their versions.
type Shared = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

/// What all workers of a process have in common.
#[derive(Clone, Default)]
pub struct Process {
    shared: Arc<Mutex<Shared>>,
    log: Arc<Mutex<Vec<String>>>,
    deviations: Arc<Deviations>,
}

struct State {
    process: Process,
    configuration: Vec<u8>,
    effective: u32,
    requests: BTreeMap<u32, Request>,
    calls: Vec<Call>,
    reply: Option<(Headers, Vec<u8>)>,
    metrics: Vec<i64>,
    called: BTreeSet<String>,
    drawn: u64,
}

#[derive(Default)]
struct Request {
    headers: Headers,
    answer: Option<Answer>,
    goes_on: bool,
}

impl Process {
    /// A process whose host does not keep to the ABI where these say so.
    #[must_use]
    pub fn new(deviations: Deviations) -> Self {
        Self {
            deviations: Arc::new(deviations),
            ..Self::default()
        }
    }

    /// What the module has logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }

    /// A worker with this configuration.
    ///
    /// # Errors
    /// Why there is none: the module cannot be linked, it trapped, or it refused the configuration.
    pub fn worker(&self, configuration: &Value) -> Result<Worker, String> {
        let (engine, module) = compiled();
        let mut linker = Linker::new(engine);
        for import in module.imports() {
            let (of, name) = (import.module().to_owned(), import.name().to_owned());
            let ExternType::Func(mut kind) = import.ty() else {
                return Err(format!("{name} is no function"));
            };
            let deviation = self.deviations.iter().find(|(known, _)| *known == name);
            let deviation = deviation.map(|(_, deviation)| *deviation);
            if deviation == Some(Deviation::OtherArity) {
                let params = kind.params().chain([ValType::I32]);
                kind = FuncType::new(engine, params.collect::<Vec<_>>(), kind.results());
            }
            let function = name.clone();
            linker
                .func_new(&of, &name, kind, move |caller, arguments, results| {
                    let status = host(caller, &function, deviation, arguments)?;
                    if let Some(result) = results.first_mut() {
                        *result = Val::I32(status);
                    }
                    Ok(())
                })
                .map_err(|error| error.to_string())?;
        }
        let state = State {
            process: self.clone(),
            configuration: configuration.to_string().into_bytes(),
            effective: 0,
            requests: BTreeMap::new(),
            calls: Vec::new(),
            reply: None,
            metrics: Vec::new(),
            called: BTreeSet::new(),
            drawn: 0x2545_F491_4F6C_DD1D,
        };
        let mut store = Store::new(engine, state);
        let instance = linker.instantiate(&mut store, module);
        let instance = instance.map_err(|error| format!("{error:#}"))?;
        let mut worker = Worker {
            store,
            instance,
            contexts: ROOT,
        };
        worker.call("_initialize", &[])?;
        worker.call("proxy_on_context_create", &[ROOT, 0])?;
        let size = u32::try_from(configuration.to_string().len()).expect("a short configuration");
        match worker.call("proxy_on_configure", &[ROOT, size])? {
            1 => Ok(worker),
            _ => Err("the configuration is refused".to_owned()),
        }
    }
}

const ROOT: u32 = 1;

/// A worker: an instance of the module.
pub struct Worker {
    store: Store<State>,
    instance: Instance,
    contexts: u32,
}

impl Worker {
    /// Calls the module. An error where it traps.
    fn call(&mut self, name: &str, arguments: &[u32]) -> Result<i32, String> {
        let function = self.instance.get_func(&mut self.store, name);
        let function = function.ok_or_else(|| format!("no {name}"))?;
        self.store.data_mut().effective = arguments.first().copied().unwrap_or_default();
        let arguments: Vec<Val> = arguments
            .iter()
            .map(|n| Val::I32(n.cast_signed()))
            .collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function
            .call(&mut self.store, &arguments, &mut results)
            .map_err(|error| format!("{name}: {error:#}"))?;
        Ok(results.first().and_then(Val::i32).unwrap_or_default())
    }

    /// A request without a body. An error where the module traps.
    ///
    /// # Errors
    /// The trap.
    pub fn request(&mut self, headers: Headers) -> Result<u32, String> {
        self.contexts += 1;
        let context = self.contexts;
        let count = u32::try_from(headers.len()).expect("few headers");
        let request = Request {
            headers,
            ..Request::default()
        };
        self.store.data_mut().requests.insert(context, request);
        self.call("proxy_on_context_create", &[context, ROOT])?;
        if self.call("proxy_on_request_headers", &[context, count, 1])? == 0 {
            self.of(context).goes_on = true;
        }
        Ok(context)
    }

    fn of(&mut self, context: u32) -> &mut Request {
        let requests = &mut self.store.data_mut().requests;
        requests.get_mut(&context).expect("a request")
    }

    /// What has become of a request.
    pub fn outcome(&mut self, context: u32) -> Outcome {
        let request = self.of(context);
        match &request.answer {
            Some(answer) => Outcome::Answered(answer.clone()),
            None if request.goes_on => Outcome::Passes(request.headers.clone()),
            None => Outcome::Waits,
        }
    }

    /// What becomes of a request at once.
    ///
    /// # Errors
    /// The trap.
    pub fn ask(&mut self, headers: Headers) -> Result<Outcome, String> {
        let context = self.request(headers)?;
        let outcome = self.outcome(context);
        self.end(context)?;
        Ok(outcome)
    }

    /// The request has ended.
    ///
    /// # Errors
    /// The trap.
    pub fn end(&mut self, context: u32) -> Result<(), String> {
        // As in Envoy, what the module does not have is not called.
        if self
            .instance
            .get_func(&mut self.store, "proxy_on_done")
            .is_some()
        {
            self.call("proxy_on_done", &[context])?;
        }
        self.call("proxy_on_delete", &[context])?;
        self.store.data_mut().requests.remove(&context);
        Ok(())
    }

    /// Calls the root context, as a timer would.
    ///
    /// # Errors
    /// The trap.
    pub fn tick(&mut self) -> Result<(), String> {
        self.call("proxy_on_tick", &[ROOT]).map(|_| ())
    }

    /// The calls that the module has made and nobody has answered.
    pub fn calls(&self) -> &[Call] {
        &self.store.data().calls
    }

    /// Answers the first call; one that there is not, where there is none.
    ///
    /// # Errors
    /// The trap.
    pub fn answer(&mut self, status: &str, body: &str) -> Result<(), String> {
        let state = self.store.data_mut();
        let id = match state.calls.is_empty() {
            true => 4_711,
            false => state.calls.remove(0).id,
        };
        let headers = vec![(":status".to_owned(), status.to_owned())];
        state.reply = Some((headers, body.as_bytes().to_vec()));
        let size = u32::try_from(body.len()).expect("a short body");
        self.call("proxy_on_http_call_response", &[ROOT, id, 1, size, 0])?;
        self.store.data_mut().reply = None;
        Ok(())
    }

    /// The functions of the host that the module has called.
    #[must_use]
    pub fn called(&self) -> &BTreeSet<String> {
        &self.store.data().called
    }
}

/// The memory of the module, during a call of the host.
struct Guest<'c>(Caller<'c, State>);

impl Guest<'_> {
    fn memory(&mut self) -> wasmtime::Result<Memory> {
        match self.0.get_export("memory").and_then(Extern::into_memory) {
            Some(memory) => Ok(memory),
            None => bail!("no memory"),
        }
    }

    fn read(&mut self, at: u32, length: u32) -> wasmtime::Result<Vec<u8>> {
        let mut octets = vec![0; length as usize];
        self.memory()?.read(&self.0, at as usize, &mut octets)?;
        Ok(octets)
    }

    fn write(&mut self, at: u32, octets: &[u8]) -> wasmtime::Result<()> {
        Ok(self.memory()?.write(&mut self.0, at as usize, octets)?)
    }

    /// Hands octets over: `data` and `size` are where the module looks for them.
    fn hand(&mut self, octets: &[u8], data: u32, size: u32) -> wasmtime::Result<i32> {
        let Some(allocate) = self.0.get_export("proxy_on_memory_allocate") else {
            bail!("no proxy_on_memory_allocate")
        };
        let Some(allocate) = allocate.into_func() else {
            bail!("no function")
        };
        let length = u32::try_from(octets.len())?;
        let at = allocate
            .typed::<u32, u32>(&self.0)?
            .call(&mut self.0, length)?;
        self.write(at, octets)?;
        self.write(data, &at.to_le_bytes())?;
        self.write(size, &length.to_le_bytes())?;
        Ok(OK)
    }

    /// The headers of map `map`, where it is at hand.
    fn map(&mut self, map: u32) -> Option<&mut Headers> {
        let state = self.0.data_mut();
        match map {
            0 => state
                .requests
                .get_mut(&state.effective)
                .map(|request| &mut request.headers),
            6 => state.reply.as_mut().map(|(headers, _)| headers),
            _ => None,
        }
    }
}

fn capitals(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}

fn serialized(headers: &Headers) -> Vec<u8> {
    let length = |text: &str| {
        u32::try_from(text.len())
            .expect("a short text")
            .to_le_bytes()
    };
    let mut octets = u32::try_from(headers.len())
        .expect("few headers")
        .to_le_bytes()
        .to_vec();
    for (name, value) in headers {
        octets.extend(length(name));
        octets.extend(length(value));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        octets.extend_from_slice(text.as_bytes());
        octets.push(0);
    }
    octets
}

fn parsed(octets: &[u8]) -> Headers {
    let number = |at: usize| {
        let octets = octets
            .get(at..at + 4)
            .and_then(|octets| octets.try_into().ok());
        octets.map_or(0, u32::from_le_bytes) as usize
    };
    let count = number(0);
    let mut at = 4 + count * 8;
    let mut text = |length: usize| {
        let text = String::from_utf8_lossy(&octets[at..at + length]).into_owned();
        at += length + 1;
        text
    };
    (0..count)
        .map(|pair| {
            let name = text(number(4 + pair * 8));
            (name, text(number(8 + pair * 8)))
        })
        .collect()
}

/// A call of the host: its status.
fn host(
    caller: Caller<'_, State>,
    name: &str,
    deviation: Option<Deviation>,
    arguments: &[Val],
) -> wasmtime::Result<i32> {
    let mut guest = Guest(caller);
    let is_first = guest.0.data_mut().called.insert(name.to_owned());
    match deviation {
        Some(Deviation::Status(status)) => return Ok(status),
        Some(Deviation::Once) if !is_first => return Ok(BAD_ARGUMENT),
        Some(Deviation::Traps) => bail!("the host traps"),
        _ => {}
    }
    let int = |at: usize| arguments.get(at).and_then(Val::i32).unwrap_or_default();
    let arg = |at: usize| int(at).cast_unsigned();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let lower = |name: &str| name.to_ascii_lowercase();
    Ok(match name {
        "proxy_log" => {
            let line = text(guest.read(arg(1), arg(2))?);
            let line = format!("{} {line}", arg(0));
            guest
                .0
                .data()
                .process
                .log
                .lock()
                .expect("the log")
                .push(line);
            OK
        }
        "proxy_get_log_level" => {
            guest.write(arg(0), &2_u32.to_le_bytes())?;
            OK
        }
        "proxy_get_current_time_nanoseconds" | "clock_time_get" => {
            let at = if name == "clock_time_get" { 2 } else { 0 };
            let time = match deviation {
                Some(Deviation::Time(time)) => time,
                _ => u64::try_from(
                    std::time::SystemTime::now()
                        .duration_since(std::time::UNIX_EPOCH)?
                        .as_nanos(),
                )?,
            };
            guest.write(arg(at), &time.to_le_bytes())?;
            OK
        }
        "random_get" => {
            let mut octets = vec![0; arg(1) as usize];
            if deviation != Some(Deviation::Constant) {
                let drawn = &mut guest.0.data_mut().drawn;
                for octet in &mut octets {
                    *drawn ^= *drawn << 13;
                    *drawn ^= *drawn >> 7;
                    *drawn ^= *drawn << 17;
                    [*octet, ..] = drawn.to_le_bytes();
                }
            }
            guest.write(arg(0), &octets)?;
            OK
        }
        "environ_sizes_get" => {
            guest.write(arg(0), &[0; 4])?;
            guest.write(arg(1), &[0; 4])?;
            OK
        }
        "proxy_get_buffer_bytes" => {
            let state = guest.0.data();
            let octets = match (arg(0), &state.reply) {
                (7, _) => state.configuration.clone(),
                (4, Some((_, body))) => body.clone(),
                _ => return Ok(NOT_FOUND),
            };
            guest.hand(&octets, arg(3), arg(4))?
        }
        "proxy_get_header_map_pairs" => {
            let Some(headers) = guest.map(arg(0)) else {
                return Ok(BAD_ARGUMENT);
            };
            let mut headers = headers.clone();
            if deviation == Some(Deviation::Capitals) {
                headers
                    .iter_mut()
                    .for_each(|(name, _)| *name = capitals(name));
            }
            let mut octets = serialized(&headers);
            if let Some(Deviation::Lies(map, lie)) = deviation
                && map == arg(0)
            {
                lie.tell(&mut octets);
            }
            guest.hand(&octets, arg(1), arg(2))?
        }
        "proxy_get_header_map_value" => {
            let wanted = lower(&text(guest.read(arg(1), arg(2))?));
            let Some(headers) = guest.map(arg(0)) else {
                return Ok(BAD_ARGUMENT);
            };
            match crate::find(headers, &wanted).map(str::to_owned) {
                Some(value) => guest.hand(value.as_bytes(), arg(3), arg(4))?,
                None => NOT_FOUND,
            }
        }
        "proxy_add_header_map_value" | "proxy_replace_header_map_value" => {
            let (of, value) = (guest.read(arg(1), arg(2))?, guest.read(arg(3), arg(4))?);
            let (of, value) = (lower(&text(of)), text(value));
            let Some(headers) = guest.map(arg(0)) else {
                return Ok(BAD_ARGUMENT);
            };
            if name == "proxy_replace_header_map_value" {
                headers.retain(|(known, _)| *known != of);
            }
            headers.push((of, value));
            OK
        }
        "proxy_remove_header_map_value" => {
            let of = lower(&text(guest.read(arg(1), arg(2))?));
            let Some(headers) = guest.map(arg(0)) else {
                return Ok(BAD_ARGUMENT);
            };
            headers.retain(|(known, _)| *known != of);
            OK
        }
        "proxy_get_property" => match deviation {
            Some(Deviation::Text(text)) => guest.hand(text.as_bytes(), arg(2), arg(3))?,
            _ => NOT_FOUND,
        },
        "proxy_set_property" => OK,
        "proxy_get_shared_data" => {
            let key = guest.read(arg(0), arg(1))?;
            let value = guest
                .0
                .data()
                .process
                .shared
                .lock()
                .expect("data")
                .get(&key)
                .cloned();
            match value {
                None => NOT_FOUND,
                Some((value, version)) => {
                    guest.write(arg(4), &version.to_le_bytes())?;
                    guest.hand(&value, arg(2), arg(3))?
                }
            }
        }
        "proxy_set_shared_data" => {
            let (key, value) = (guest.read(arg(0), arg(1))?, guest.read(arg(2), arg(3))?);
            let given = arg(4);
            let mut shared = guest.0.data().process.shared.lock().expect("data");
            let version = shared.get(&key).map(|(_, version)| *version);
            let fits = match (deviation, version) {
                (Some(Deviation::IgnoresVersions), _) => true,
                (Some(Deviation::CreatesByZero), version) => given == version.unwrap_or(0),
                (Some(Deviation::ZeroIsAny), None) => given == 0,
                (_, None) => true,
                (_, Some(version)) => given == 0 || given == version,
            };
            if !fits {
                return Ok(CAS_MISMATCH);
            }
            if deviation != Some(Deviation::Forgets) {
                shared.insert(key, (value, version.unwrap_or(0) + 1));
            }
            OK
        }
        "proxy_define_metric" => {
            let metrics = &mut guest.0.data_mut().metrics;
            metrics.push(0);
            let id = u32::try_from(metrics.len())?;
            guest.write(arg(3), &id.to_le_bytes())?;
            OK
        }
        "proxy_record_metric" | "proxy_increment_metric" => OK,
        "proxy_set_effective_context" => {
            let state = guest.0.data_mut();
            if arg(0) != ROOT && !state.requests.contains_key(&arg(0)) {
                return Ok(BAD_ARGUMENT);
            }
            state.effective = arg(0);
            OK
        }
        "proxy_continue_stream" | "proxy_send_local_response" => {
            let answer = (name == "proxy_send_local_response").then_some(Answer {
                status: arg(0),
                details: text(guest.read(arg(1), arg(2))?),
                body: text(guest.read(arg(3), arg(4))?),
                headers: parsed(&guest.read(arg(5), arg(6))?),
            });
            let state = guest.0.data_mut();
            let Some(request) = state.requests.get_mut(&state.effective) else {
                return Ok(BAD_ARGUMENT);
            };
            match answer {
                Some(answer) => request.answer = Some(answer),
                None => request.goes_on = true,
            }
            OK
        }
        "proxy_http_call" => {
            let call = Call {
                id: 0,
                cluster: text(guest.read(arg(0), arg(1))?),
                headers: parsed(&guest.read(arg(2), arg(3))?),
                body: text(guest.read(arg(4), arg(5))?),
            };
            let state = guest.0.data_mut();
            state.drawn = state.drawn.wrapping_add(1);
            let id = u32::try_from(state.drawn & 0xffff)?;
            state.calls.push(Call { id, ..call });
            guest.write(arg(9), &id.to_le_bytes())?;
            OK
        }
        "proxy_set_tick_period_milliseconds" | "environ_get" => OK,
        "proxy_call_foreign_function" => NOT_FOUND,
        "fd_write" => {
            guest.write(arg(3), &[0; 4])?;
            OK
        }
        "proc_exit" => bail!("the module ends"),
        _ => BAD_ARGUMENT,
    })
}
