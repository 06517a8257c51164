//! Host calls that change a request or answer it, by the Proxy-Wasm ABI 0.2.1.
//!
//! The SDK calls the same functions, but panics where the host refuses: the VM then traps, and every
//! request that waits in its worker is lost. Here a refusal is an error like any other. And the SDK
//! does not pass on why a request is answered.
//!
//! Invariants: every pointer is that of a slice, with its length; the host reads it during the call
//! and keeps nothing; and no call takes memory from the host.

/// The host has refused, by this status of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u32);

/// The headers of a request, what follows its body, or the headers of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// The headers, with the pseudo-headers.
    RequestHeaders = 0,
    /// The fields after the body.
    RequestTrailers = 1,
    /// The headers of the response, with `:status`.
    ResponseHeaders = 2,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;

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

/// Sets a property whose path has one part: a filter state of the effective context.
pub fn set_property(name: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: two slices with their lengths.
    accepted(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
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

fn accepted(status: u32) -> Result<(), Refused> {
    match status {
        0 => Ok(()),
        refused => Err(Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::serialized;

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
}
