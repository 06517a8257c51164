//! As much of a Proxy-Wasm host as a request needs. It counts what runs.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use anyhow::{Result, anyhow, ensure};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use wasmi::{Caller, Engine, Extern, Instance, Linker, Memory, Module, Store, TypedFunc};

use super::instrument::{Instrumented, TOLD};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;

type Headers = Vec<(String, Vec<u8>)>;

#[derive(Default)]
pub(super) struct State {
    configuration: Vec<u8>,
    pub headers: Headers,
    pub status: Option<u32>,
    shared: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    metrics: u32,
    /// Unix time in nanoseconds. It stands still.
    now: u64,
    random: u64,
    /// How often each part has begun.
    pub begun: Vec<u64>,
    pub calls: Vec<&'static str>,
}

type At<'c> = Caller<'c, State>;

fn memory(caller: &At<'_>) -> Option<Memory> {
    caller.get_export("memory").and_then(Extern::into_memory)
}

fn read(caller: &At<'_>, at: u32, size: u32) -> Vec<u8> {
    let mut octets = vec![0; size as usize];
    if let Some(memory) = memory(caller) {
        let _ = memory.read(caller, at as usize, &mut octets);
    }
    octets
}

fn write(caller: &mut At<'_>, at: u32, octets: &[u8]) {
    if let Some(memory) = memory(caller) {
        let _ = memory.write(caller, at as usize, octets);
    }
}

/// Hands octets over in memory that the module is asked for.
fn hand(caller: &mut At<'_>, octets: &[u8], data: u32, size: u32) -> u32 {
    let length = octets.len() as u32;
    let allocate = caller.get_export("proxy_on_memory_allocate");
    let allocate = allocate.and_then(Extern::into_func);
    let allocate = allocate.and_then(|it| it.typed::<u32, u32>(&*caller).ok());
    let Some(at) = allocate.and_then(|it| it.call(&mut *caller, length).ok()) else {
        return 10;
    };
    write(caller, at, octets);
    write(caller, data, &at.to_le_bytes());
    write(caller, size, &length.to_le_bytes());
    OK
}

fn pairs(headers: &Headers) -> Vec<u8> {
    let mut octets = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        octets.extend((name.len() as u32).to_le_bytes());
        octets.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in headers {
        octets.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
    }
    octets
}

/// A field of a protobuf message, all of whose fields are octets.
fn field(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = message;
    while let [tag, after @ ..] = rest {
        let (mut length, mut shift, mut after) = (0_usize, 0, after);
        loop {
            let (octet, next) = after.split_first()?;
            length |= usize::from(octet & 0x7f) << shift;
            (shift, after) = (shift + 7, next);
            if octet & 0x80 == 0 {
                break;
            }
        }
        let (value, next) = after.split_at_checked(length)?;
        if *tag == wanted << 3 | 2 {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// As Envoy's foreign function of this name does, for RS256.
fn verifies(argument: &[u8]) -> Option<bool> {
    let hash = field(argument, 1)?;
    let (key, signature, text) = (
        field(argument, 2)?,
        field(argument, 3)?,
        field(argument, 4)?,
    );
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    Some(hash == b"sha256" && key.verify(text, signature).is_ok())
}

pub(super) struct Host {
    store: Store<State>,
    instance: Instance,
    contexts: u32,
}

impl Host {
    /// Starts a module with a configuration.
    ///
    /// # Errors
    /// When the module or the configuration is refused.
    pub(super) fn start(module: &Instrumented, configuration: &[u8]) -> Result<Self> {
        let engine = Engine::default();
        let compiled = Module::new(&engine, &module.wasm)?;
        let state = State {
            configuration: configuration.to_vec(),
            begun: vec![0; module.parts.len()],
            now: u64::try_from(UNIX_EPOCH.elapsed()?.as_nanos())?,
            ..State::default()
        };
        let mut store = Store::new(&engine, state);
        let mut linker = Linker::new(&engine);
        wasi(&mut linker)?;
        proxy(&mut linker)?;
        linker.func_wrap(TOLD.0, TOLD.1, |mut caller: At<'_>, part: u32| {
            if let Some(begun) = caller.data_mut().begun.get_mut(part as usize) {
                *begun += 1;
            }
        })?;
        let instance = linker.instantiate_and_start(&mut store, &compiled)?;
        let mut host = Self {
            store,
            instance,
            contexts: 1,
        };
        host.call::<(), ()>("_initialize", ())?;
        host.call::<(u32, u32), ()>("proxy_on_context_create", (1, 0))?;
        let size = configuration.len() as u32;
        let accepted = host.call::<(u32, u32), u32>("proxy_on_configure", (1, size))?;
        ensure!(accepted == 1, "the configuration is refused");
        host.call::<u32, ()>("proxy_on_tick", 1)?;
        Ok(host)
    }

    fn call<P, R>(&mut self, name: &str, parameters: P) -> Result<R>
    where
        P: wasmi::WasmParams,
        R: wasmi::WasmResults,
    {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&self.store, name)?;
        function
            .call(&mut self.store, parameters)
            .map_err(|error| anyhow!("{name}: {error}"))
    }

    /// One request without a body, from its start to its end; the status where it is answered.
    ///
    /// # Errors
    /// When the module traps.
    pub(super) fn request(&mut self, headers: Headers) -> Result<Option<u32>> {
        self.contexts += 1;
        let (context, count) = (self.contexts, headers.len() as u32);
        let state = self.store.data_mut();
        state.headers = headers;
        state.status = None;
        state.begun.fill(0);
        state.calls.clear();
        self.call::<(u32, u32), ()>("proxy_on_context_create", (context, 1))?;
        self.call::<(u32, u32, u32), u32>("proxy_on_request_headers", (context, count, 1))?;
        self.call::<(u32, u32, u32), u32>("proxy_on_response_headers", (context, 1, 1))?;
        self.call::<u32, ()>("proxy_on_delete", context)?;
        Ok(self.store.data().status)
    }

    pub(super) fn state(&self) -> &State {
        self.store.data()
    }
}

fn wasi(linker: &mut Linker<State>) -> Result<()> {
    let module = "wasi_snapshot_preview1";
    linker.func_wrap(
        module,
        "clock_time_get",
        |mut caller: At<'_>, _: u32, _: u64, to: u32| {
            let now = caller.data().now;
            write(&mut caller, to, &now.to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap(
        module,
        "random_get",
        |mut caller: At<'_>, to: u32, size: u32| {
            for at in 0..size {
                let state = caller.data_mut();
                // Numerical Recipes' generator: it needs only to differ.
                state.random = state.random.wrapping_mul(6_364_136_223_846_793_005);
                state.random = state.random.wrapping_add(1_442_695_040_888_963_407);
                let octet = (state.random >> 56) as u8;
                write(&mut caller, to + at, &[octet]);
            }
            OK
        },
    )?;
    linker.func_wrap(
        module,
        "environ_sizes_get",
        |mut caller: At<'_>, count: u32, size: u32| {
            write(&mut caller, count, &[0; 4]);
            write(&mut caller, size, &[0; 4]);
            OK
        },
    )?;
    linker.func_wrap(module, "environ_get", |_: u32, _: u32| OK)?;
    linker.func_wrap(module, "fd_write", |_: u32, _: u32, _: u32, _: u32| OK)?;
    linker.func_wrap(module, "sched_yield", || OK)?;
    linker.func_wrap(module, "proc_exit", |_: u32| {})?;
    Ok(())
}

fn proxy(linker: &mut Linker<State>) -> Result<()> {
    let module = "env";
    linker.func_wrap(module, "proxy_log", |_: u32, _: u32, _: u32| OK)?;
    linker.func_wrap(
        module,
        "proxy_get_log_level",
        |mut caller: At<'_>, to: u32| {
            write(&mut caller, to, &3_u32.to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_get_current_time_nanoseconds",
        |mut caller: At<'_>, to: u32| {
            caller.data_mut().calls.push("time");
            let now = caller.data().now;
            write(&mut caller, to, &now.to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap(module, "proxy_set_tick_period_milliseconds", |_: u32| OK)?;
    linker.func_wrap(
        module,
        "proxy_get_buffer_bytes",
        |mut caller: At<'_>, buffer: u32, _: u32, _: u32, data: u32, size: u32| {
            if buffer != PLUGIN_CONFIGURATION {
                return NOT_FOUND;
            }
            let octets = caller.data().configuration.clone();
            hand(&mut caller, &octets, data, size)
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_get_header_map_pairs",
        |mut caller: At<'_>, _: u32, data: u32, size: u32| {
            caller.data_mut().calls.push("headers");
            let octets = pairs(&caller.data().headers);
            hand(&mut caller, &octets, data, size)
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_get_header_map_value",
        |mut caller: At<'_>, map: u32, name: u32, name_size: u32, data: u32, size: u32| {
            caller.data_mut().calls.push("header");
            let name = read(&caller, name, name_size);
            let mut headers = caller.data().headers.iter();
            let known = headers.find(|(known, _)| known.as_bytes() == name);
            match known.map(|(_, value)| value.clone()) {
                Some(value) if map == REQUEST_HEADERS => hand(&mut caller, &value, data, size),
                _ => NOT_FOUND,
            }
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_get_property",
        |_: u32, _: u32, _: u32, _: u32| NOT_FOUND,
    )?;
    linker.func_wrap(
        module,
        "proxy_set_property",
        |_: u32, _: u32, _: u32, _: u32| OK,
    )?;
    linker.func_wrap(
        module,
        "proxy_get_shared_data",
        |mut caller: At<'_>, key: u32, key_size: u32, data: u32, size: u32, version: u32| {
            let key = read(&caller, key, key_size);
            let Some((value, known)) = caller.data().shared.get(&key).cloned() else {
                return NOT_FOUND;
            };
            write(&mut caller, version, &known.to_le_bytes());
            hand(&mut caller, &value, data, size)
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_set_shared_data",
        |mut caller: At<'_>, key: u32, key_size: u32, value: u32, value_size: u32, version: u32| {
            let (key, value) = (
                read(&caller, key, key_size),
                read(&caller, value, value_size),
            );
            let shared = &mut caller.data_mut().shared;
            let known = shared.get(&key).map(|(_, version)| *version);
            if version != 0 && known.unwrap_or(u32::MAX) != version {
                return 6;
            }
            shared.insert(key, (value, known.unwrap_or(0) + 1));
            OK
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_define_metric",
        |mut caller: At<'_>, _: u32, _: u32, _: u32, to: u32| {
            caller.data_mut().metrics += 1;
            let metric = caller.data().metrics;
            write(&mut caller, to, &metric.to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap(module, "proxy_record_metric", |_: u32, _: u64| OK)?;
    linker.func_wrap(
        module,
        "proxy_increment_metric",
        |mut caller: At<'_>, _: u32, _: i64| {
            caller.data_mut().calls.push("metric");
            OK
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_call_foreign_function",
        |mut caller: At<'_>,
         name: u32,
         name_size: u32,
         argument: u32,
         argument_size: u32,
         data: u32,
         size: u32| {
            if read(&caller, name, name_size) != b"verify_signature" {
                return NOT_FOUND;
            }
            caller.data_mut().calls.push("verify");
            let argument = read(&caller, argument, argument_size);
            let result: &[u8] = if verifies(&argument) == Some(true) {
                &[8, 1]
            } else {
                b"\x12\x02no"
            };
            hand(&mut caller, result, data, size)
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_http_call",
        |_: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| 1_u32,
    )?;
    linker.func_wrap(module, "proxy_set_effective_context", |_: u32| OK)?;
    linker.func_wrap(module, "proxy_continue_stream", |_: u32| OK)?;
    for name in [
        "proxy_add_header_map_value",
        "proxy_replace_header_map_value",
    ] {
        linker.func_wrap(
            module,
            name,
            |mut caller: At<'_>, _: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
                caller.data_mut().calls.push("set");
                let name = read(&caller, name, name_size);
                let name = String::from_utf8_lossy(&name).into_owned();
                let value = read(&caller, value, value_size);
                caller.data_mut().headers.push((name, value));
                OK
            },
        )?;
    }
    linker.func_wrap(
        module,
        "proxy_remove_header_map_value",
        |mut caller: At<'_>, _: u32, name: u32, name_size: u32| {
            caller.data_mut().calls.push("remove");
            let name = read(&caller, name, name_size);
            let headers = &mut caller.data_mut().headers;
            headers.retain(|(known, _)| known.as_bytes() != name);
            OK
        },
    )?;
    linker.func_wrap(
        module,
        "proxy_send_local_response",
        |mut caller: At<'_>,
         status: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32| {
            caller.data_mut().status = Some(status);
            OK
        },
    )?;
    Ok(())
}
