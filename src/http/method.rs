//! The method of a request, in the one form that rules are compared with (RFC 9110 section 9.1).
//!
//! Invariant: a method is a token without lower-case letters, as all registered methods are, or it
//! is refused. Methods are case-sensitive, but some upstreams (WSGI and ASGI frameworks among them)
//! run `post` as POST, so `post` has two readings.

/// The method, unless it has several readings.
#[must_use]
pub fn normalize(raw: &[u8]) -> Option<&[u8]> {
    let is_plain = |byte: &u8| super::is_token(*byte) && !byte.is_ascii_lowercase();
    (!raw.is_empty() && raw.iter().all(is_plain)).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_token_without_lower_case_letters() {
        for method in [
            "GET",
            "M-SEARCH",
            "VERSION-CONTROL",
            "X_1",
            "!#$%&'*+-.^`|~",
        ] {
            assert_eq!(normalize(method.as_bytes()), Some(method.as_bytes()));
        }
        let refused: &[&[u8]] = &[
            b"",
            b"get",
            b"Get",
            b"GEt",
            b"post",
            b" GET",
            b"GET ",
            b"\tGET",
            b"GET POST",
            b"GET,POST",
            b"GET/",
            b"G\0T",
            b"GET\r\n",
            b"G\xc3\x89T",
            b"\"GET\"",
            b"G(T",
        ];
        for method in refused {
            assert_eq!(normalize(method), None, "{}", method.escape_ascii());
        }
    }
}
