//! Host calls by the Proxy-Wasm ABI 0.2.1 whose status is returned, whatever it is.
//!
//! A panic traps the VM, and every request that waits in its worker is lost. So a refusal is an error
//! like any other here.
//!
//! Invariants: every pointer to what the host reads is that of a slice, with its length; the host
//! reads it during the call and keeps nothing; what the host hands over is memory that it has asked
//! this module for, of the length that it says; and no octet that the host hands over makes this
//! crate panic.

use std::ptr::null_mut;

/// The host has refused, by this status of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u32);

const OK: u32 = 0;
/// There is nothing under that name.
const NOT_FOUND: u32 = 1;
/// What the host handed over cannot be read.
const PARSE_FAILURE: u32 = 4;

/// A map of names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// The headers, with the pseudo-headers.
    RequestHeaders = 0,
    /// The fields after the body.
    RequestTrailers = 1,
    /// The headers of the response, with `:status`.
    ResponseHeaders = 2,
    /// The headers of the response to a call, with `:status`.
    CallResponseHeaders = 6,
}

/// Octets that the host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// What has come of the request's body.
    RequestBody = 0,
    /// The body of the response to a call.
    CallResponseBody = 4,
    /// The configuration.
    PluginConfiguration = 7,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// It grows.
    Counter = 0,
    /// It has a value.
    Gauge = 1,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever follows every step.
    Trace = 0,
    /// For whoever looks for a fault.
    Debug = 1,
    /// What is as it should be.
    Info = 2,
    /// What may need somebody.
    Warn = 3,
    /// What does not work.
    Error = 4,
    /// The module ends.
    Critical = 5,
}

/// A request, among the streams that can go on.
const HTTP_REQUEST: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, text_size: usize) -> u32;

    fn proxy_get_log_level(level: *mut u32) -> u32;

    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;

    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;

    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;

    fn proxy_get_header_map_pairs(map: u32, pairs: *mut *mut u8, pairs_size: *mut usize) -> u32;

    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;

    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;

    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;

    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        version: *mut u32,
    ) -> u32;

    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;

    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;

    fn proxy_record_metric(id: u32, value: u64) -> u32;

    fn proxy_increment_metric(id: u32, change: i64) -> u32;

    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;

    fn proxy_http_call(
        upstream: *const u8,
        upstream_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        id: *mut u32,
    ) -> u32;

    fn proxy_set_effective_context(context: u32) -> u32;

    fn proxy_continue_stream(stream: u32) -> u32;

    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;

    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;

    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;

    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// What the host has put into memory of this module.
struct Handed {
    data: *mut u8,
    size: usize,
}

impl Handed {
    /// Has `call` have the host hand something over. It gets where the host writes a pointer and a
    /// length, and returns the host's status.
    fn by(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> (u32, Self) {
        let mut handed = Self {
            data: null_mut(),
            size: 0,
        };
        let status = call(&raw mut handed.data, &raw mut handed.size);
        (status, handed)
    }

    /// The octets, which this module owns from now on; `None` where the host has handed nothing
    /// over.
    fn octets(self) -> Option<Vec<u8>> {
        if self.data.is_null() {
            return None;
        }
        // SAFETY: the host has got the memory from `proxy_on_memory_allocate`, which is asked for
        // `size` octets and leaves them to whoever calls it.
        Some(unsafe { Vec::from_raw_parts(self.data, self.size, self.size) })
    }

    /// The same, after a call that ended with this status. `None` too where there is nothing under
    /// the name that was asked for.
    fn after(self, status: u32) -> Result<Option<Vec<u8>>, Refused> {
        match status {
            OK => Ok(self.octets()),
            NOT_FOUND => Ok(None),
            refused => Err(Refused(refused)),
        }
    }
}

/// Writes a line into the host's log. Nobody could be told of a refusal.
pub fn log(level: Level, text: &str) {
    // SAFETY: a slice with its length.
    unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// The least level of lines that the host writes, by the numbers of [`Level`].
pub fn log_level() -> Result<u32, Refused> {
    let mut level = 0;
    // SAFETY: the host writes one number.
    accepted(unsafe { proxy_get_log_level(&raw mut level) })?;
    Ok(level)
}

/// The Unix time, in nanoseconds.
pub fn now() -> Result<u64, Refused> {
    let mut time = 0;
    // SAFETY: the host writes one number.
    accepted(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) })?;
    Ok(time)
}

/// Has the root context called every so many milliseconds.
pub fn tick_every(milliseconds: u32) -> Result<(), Refused> {
    // SAFETY: a number.
    accepted(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// At most so many octets of a buffer, from its start; none where there is no such buffer.
pub fn buffer(buffer: Buffer, most: usize) -> Result<Vec<u8>, Refused> {
    // SAFETY: the host writes a pointer and a length.
    let bytes = |data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, most, data, size) };
    let (status, handed) = Handed::by(bytes);
    Ok(handed.after(status)?.unwrap_or_default())
}

/// Hands out all names and values of a map, in order. A name that is not UTF-8 is refused, after those
/// before it.
pub fn fields(map: Map, visit: &mut dyn FnMut(&str, &[u8])) -> Result<(), Refused> {
    // SAFETY: the host writes a pointer and a length.
    let pairs = |data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) };
    let (status, handed) = Handed::by(pairs);
    accepted(status)?;
    let octets = handed.octets().unwrap_or_default();
    each(&octets, visit).ok_or(Refused(PARSE_FAILURE))
}

/// The first value under a name; `None` where there is none.
pub fn value(map: Map, name: &str) -> Result<Option<Vec<u8>>, Refused> {
    // SAFETY: a slice with its length; the host writes a pointer and a length.
    let (status, handed) = Handed::by(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    });
    match status {
        // No octets are a value too.
        OK => Ok(Some(handed.octets().unwrap_or_default())),
        status => handed.after(status),
    }
}

/// A property; `None` where there is none, or it is empty.
pub fn property(path: &[&str]) -> Result<Option<Vec<u8>>, Refused> {
    let path = path.join("\0");
    // SAFETY: a slice with its length; the host writes a pointer and a length.
    let of_path = |data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) };
    let (status, handed) = Handed::by(of_path);
    handed.after(status)
}

/// Sets a property whose path has one part: a filter state of the effective context.
pub fn set_property(name: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: two slices with their lengths.
    accepted(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// A value that all workers share, with its version; `None` where there is none, or it is empty.
pub fn shared(key: &str) -> Result<Option<(Vec<u8>, u32)>, Refused> {
    let mut version = 0;
    // SAFETY: a slice with its length; the host writes a pointer, a length and a number.
    let (status, handed) = Handed::by(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version)
    });
    Ok(handed.after(status)?.map(|value| (value, version)))
}

/// Sets a value that all workers share, where it still has this version.
pub fn set_shared(key: &str, value: &[u8], version: u32) -> Result<(), Refused> {
    let (key_size, value_size) = (key.len(), value.len());
    // SAFETY: two slices with their lengths.
    accepted(unsafe {
        proxy_set_shared_data(key.as_ptr(), key_size, value.as_ptr(), value_size, version)
    })
}

/// The number of the metric of this name, which is made where there is none.
pub fn define_metric(kind: Metric, name: &str) -> Result<u32, Refused> {
    let mut id = 0;
    // SAFETY: a slice with its length; the host writes one number.
    accepted(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Sets a metric.
pub fn record_metric(id: u32, value: u64) -> Result<(), Refused> {
    // SAFETY: numbers.
    accepted(unsafe { proxy_record_metric(id, value) })
}

/// Adds to a metric.
pub fn increment_metric(id: u32, change: i64) -> Result<(), Refused> {
    // SAFETY: numbers.
    accepted(unsafe { proxy_increment_metric(id, change) })
}

/// Calls a function of the host's own by its name. `None` where it has no result, or there is no
/// such function.
pub fn call(name: &str, argument: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let (name_size, argument_size) = (name.len(), argument.len());
    // SAFETY: two slices with their lengths; the host writes a pointer and a length.
    let (status, handed) = Handed::by(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name_size,
            argument.as_ptr(),
            argument_size,
            data,
            size,
        )
    });
    handed.after(status)
}

/// Sends a request to a cluster, of which the root context hears within so many milliseconds. The
/// number of the call.
pub fn dispatch(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    milliseconds: u32,
) -> Result<u32, Refused> {
    let (headers, trailers) = (serialized(headers), serialized(&[]));
    let mut id = 0;
    // SAFETY: four slices with their lengths; the host writes one number.
    accepted(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            milliseconds,
            &raw mut id,
        )
    })?;
    Ok(id)
}

/// Has the calls from now on be about this context.
pub fn set_effective_context(context: u32) -> Result<(), Refused> {
    // SAFETY: a number.
    accepted(unsafe { proxy_set_effective_context(context) })
}

/// Has the effective context's request go on.
pub fn resume_request() -> Result<(), Refused> {
    // SAFETY: a number.
    accepted(unsafe { proxy_continue_stream(HTTP_REQUEST) })
}

/// Adds a value to those that there are under a name.
pub fn add(map: Map, name: &str, value: &[u8]) -> Result<(), Refused> {
    let (map, name_size, value_size) = (map as u32, name.len(), value.len());
    // SAFETY: two slices with their lengths.
    accepted(unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name_size, value.as_ptr(), value_size)
    })
}

/// Sets a value in place of all that there are under a name.
pub fn set(map: Map, name: &str, value: &[u8]) -> Result<(), Refused> {
    let (map, name_size, value_size) = (map as u32, name.len(), value.len());
    // SAFETY: two slices with their lengths.
    accepted(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name_size, value.as_ptr(), value_size)
    })
}

/// Removes all values under a name; there may be none.
pub fn remove(map: Map, name: &str) -> Result<(), Refused> {
    // SAFETY: a slice with its length.
    accepted(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Answers the effective context's request in place of the upstream. `details` is what access logs
/// tell of it (`%RESPONSE_CODE_DETAILS%`). For a gRPC client the host makes the gRPC status of the HTTP
/// status.
pub fn respond(
    status: u32,
    details: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), Refused> {
    let headers = serialized(headers);
    // SAFETY: three slices with their lengths.
    accepted(unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    })
}

/// Headers as the ABI has them: their number, the lengths of each name and value, then these, each
/// with a NUL after it.
fn serialized(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut texts = Vec::new();
    bytes.extend_from_slice(&(headers.len() as u32).to_le_bytes());
    for (name, value) in headers {
        for text in [name, value] {
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            texts.extend_from_slice(text.as_bytes());
            texts.push(0);
        }
    }
    bytes.append(&mut texts);
    bytes
}

/// Hands out what [`serialized`] has written; `None` where the octets are not such headers. Every octet has to be where
/// the lengths say: a forged header that is read as part of another would not be removed.
fn each(octets: &[u8], visit: &mut dyn FnMut(&str, &[u8])) -> Option<()> {
    let Some((count, rest)) = octets.split_first_chunk() else {
        return octets.is_empty().then_some(());
    };
    let count = u32::from_le_bytes(*count) as usize;
    let (lengths, mut texts) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut text = |length: &[u8; 4]| {
        let (text, rest) = texts.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        texts = rest.strip_prefix(&[0])?;
        Some(text)
    };
    for lengths in lengths.chunks_exact(8) {
        let (name, value) = lengths.split_first_chunk()?;
        let name = str::from_utf8(text(name)?).ok()?;
        visit(name, text(value.first_chunk()?)?);
    }
    texts.is_empty().then_some(())
}

fn accepted(status: u32) -> Result<(), Refused> {
    match status {
        OK => Ok(()),
        refused => Err(Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::{each, serialized};

    fn parsed(octets: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
        let mut read = Vec::new();
        each(octets, &mut |name, value| {
            read.push((name.to_owned(), value.to_vec()))
        })
        .map(|()| read)
    }

    #[test]
    fn headers_are_written_as_the_host_reads_them() {
        assert_eq!(serialized(&[]), [0; 4]);
        let table: [&[u8]; 4] = [
            b"\x02\0\0\0",
            b"\x01\0\0\0\x02\0\0\0",
            b"\x03\0\0\0\0\0\0\0",
            b"a\0bc\0def\0\0",
        ];
        assert_eq!(serialized(&[("a", "bc"), ("def", "")]), table.concat());
    }

    #[test]
    fn headers_are_read_as_the_host_writes_them() {
        for headers in [&[][..], &[("a", "bc"), ("def", "")], &[("", "")]] {
            let read = parsed(&serialized(headers)).unwrap();
            let read: Vec<_> = read
                .iter()
                .map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap()))
                .collect();
            assert_eq!(read, headers);
        }
        assert_eq!(parsed(b""), Some(Vec::new()));
    }

    #[test]
    fn octets_that_are_no_headers_are_refused() {
        let whole = serialized(&[("name", "value"), ("other", "")]);
        for length in 1..whole.len() {
            assert_eq!(parsed(&whole[..length]), None, "{length}");
        }
        assert_eq!(parsed(&[&whole[..], b"\0"].concat()), None);
        for (what, changes) in [
            ("no pair", &[(0, 0)][..]),
            ("a pair less", &[(0, 1)]),
            ("a pair more", &[(0, 3)]),
            (
                "so many that eight times of it is 16 in 32 bits",
                &[(3, 0x20)],
            ),
            ("very many pairs", &[(3, 0xff)]),
            ("a long name", &[(4, 0xff)]),
            ("a very long name", &[(7, 0xff)]),
            ("a very long value", &[(11, 0x80)]),
            (
                "a name that is longer, by what its value is shorter",
                &[(4, 5), (8, 4)],
            ),
            (
                "a name that is shorter, by what its value is longer",
                &[(4, 3), (8, 6)],
            ),
            ("a name that is no text", &[(20, 0xff)]),
            ("no end of a name", &[(24, b'x')]),
            ("no end of a value", &[(30, b'x')]),
        ] {
            let mut changed = whole.clone();
            for (at, octet) in changes {
                changed[*at] = *octet;
            }
            assert_eq!(parsed(&changed), None, "{what}");
        }
    }
}
