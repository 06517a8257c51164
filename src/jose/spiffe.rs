//! SPIFFE IDs, by the SPIFFE ID specification sections 2.1 to 2.4.
//!
//! Invariant: an ID has one spelling, so it is compared byte for byte.

/// The longest ID, in octets (section 2.4).
const LONGEST: usize = 2048;
/// The longest name of a trust domain, in octets (section 2.4).
const LONGEST_NAME: usize = 255;

/// Whether a text is the name of a trust domain (section 2.1).
#[must_use]
pub fn is_trust_domain(name: &str) -> bool {
    let is_legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_legal)
}

/// Whether a text is the ID of a workload in this trust domain (section 2.2): one with a path.
#[must_use]
pub(super) fn is_in(trust_domain: &str, id: &str) -> bool {
    let rest = id.strip_prefix("spiffe://");
    let rest = rest.and_then(|rest| rest.strip_prefix(trust_domain));
    let path = rest.and_then(|rest| rest.strip_prefix('/'));
    id.len() <= LONGEST && path.is_some_and(|path| path.split('/').all(is_segment))
}

fn is_segment(segment: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_trust_domains() {
        for good in [
            "example.org",
            "k8s-west.example_1",
            "a",
            "1",
            &"a".repeat(255),
        ] {
            assert!(is_trust_domain(good), "{good}");
        }
        for bad in [
            "",
            "Example.org",
            "spiffe://example.org",
            "example.org/",
            "example.org/a",
            "example.org:8443",
            "me@example.org",
            "example org",
            "ex\u{e4}mple.org",
            "example.org%2F",
            "[::1]",
            "*",
            &"a".repeat(256),
        ] {
            assert!(!is_trust_domain(bad), "{bad}");
        }
    }

    #[test]
    fn a36_a_workload_is_in_its_trust_domain_alone() {
        let longest = format!("spiffe://example.org/{}", "a".repeat(LONGEST - 21));
        for good in [
            "spiffe://example.org/a",
            "spiffe://example.org/ns/staging/sa/default",
            "spiffe://example.org/9eebccd2-12bf-40a6-b262-65fe0487d453",
            "spiffe://example.org/A.b_c-d/...",
            "spiffe://example.org/.well-known/..a",
            &longest,
        ] {
            assert!(is_in("example.org", good), "{good}");
        }
        for bad in [
            "",
            "a",
            "/a",
            "example.org/a",
            // The trust domain itself, and no path of a workload.
            "spiffe://example.org",
            "spiffe://example.org/",
            // Other trust domains.
            "spiffe://example.org.evil/a",
            "spiffe://example.orga/a",
            "spiffe://evil/example.org/a",
            "spiffe://evil.example.org/a",
            "spiffe://evil/spiffe://example.org/a",
            "spiffe://other.org/a",
            // Other spellings.
            "Spiffe://example.org/a",
            "SPIFFE://example.org/a",
            "spiffe://Example.org/a",
            "spiffe:/example.org/a",
            "spiffe:///example.org/a",
            "spiffe://example.org:443/a",
            "spiffe://example.org:/a",
            "spiffe://me@example.org/a",
            "spiffe://example.org@evil/a",
            "spiffe://example.org\\a",
            "spiffe://example.org%2Fa",
            "https://example.org/a",
            " spiffe://example.org/a",
            "spiffe://example.org/a ",
            // Paths that are none.
            "spiffe://example.org//a",
            "spiffe://example.org/a/",
            "spiffe://example.org/a//b",
            "spiffe://example.org/.",
            "spiffe://example.org/./a",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a/..",
            "spiffe://example.org/%61",
            "spiffe://example.org/a%2fb",
            "spiffe://example.org/a?x",
            "spiffe://example.org/a#x",
            "spiffe://example.org/a;x",
            "spiffe://example.org/\u{e4}",
            "spiffe://example.org/a\0",
            "spiffe://example.org/a\n",
            &format!("{longest}a"),
        ] {
            assert!(!is_in("example.org", bad), "{bad}");
        }
    }
}
