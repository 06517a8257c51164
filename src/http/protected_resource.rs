//! OAuth 2.0 Protected Resource Metadata (RFC 9728): with this document, a client that got a
//! challenge finds the authorization server.
//!
//! Invariant: the document and its address are made when the configuration is read. A request only
//! chooses one of three answers, and none of them depends on the client.

use super::response::Response;
use super::uri::Uri;

/// Inserted between host and path of the resource (section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// The methods for the document; browsers send OPTIONS before the request itself.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// What the filter publishes about the resource that it protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    /// Where the document is: the `resource_metadata` of challenges (section 5.1).
    pub url: String,
    /// The `:path` of that, without a query.
    path: String,
    document: String,
}

impl ProtectedResource {
    /// `document` is the metadata of `resource`, as JSON. The resource's query is left out.
    pub fn new(resource: &Uri, document: String) -> Self {
        let (below, _) = resource
            .path
            .split_once('?')
            .unwrap_or((&resource.path, ""));
        // A slash that ends the host is dropped (section 3.1).
        let path = format!("{WELL_KNOWN}{}", if below == "/" { "" } else { below });
        Self {
            url: format!("{}://{}{path}", resource.scheme.name(), resource.authority),
            path,
            document,
        }
    }

    /// The path at which the document is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The answer to a request for the document; `None` where the request is for something else.
    ///
    /// Any web page may read it: clients run in browsers, and everything in it is public.
    pub fn answer(&self, path: Option<&[u8]>, method: Option<&[u8]>) -> Option<Response> {
        let path = path?.split(|byte| *byte == b'?').next()?;
        if path != self.path.as_bytes() {
            return None;
        }
        let mut headers = vec![("access-control-allow-origin", "*".to_owned())];
        let mut header = |name, value: &str| headers.push((name, value.to_owned()));
        let (status, body) = match method {
            Some(b"GET" | b"HEAD") => {
                header("content-type", "application/json");
                header("cache-control", "max-age=300");
                (200, self.document.clone())
            }
            Some(b"OPTIONS") => {
                header("allow", METHODS);
                header("access-control-allow-methods", METHODS);
                header("access-control-allow-headers", "*");
                header("access-control-max-age", "7200");
                (204, String::new())
            }
            _ => {
                header("allow", METHODS);
                (405, String::new())
            }
        };
        Some(Response {
            status,
            headers,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(uri: &str) -> ProtectedResource {
        ProtectedResource::new(&Uri::parse(uri).unwrap(), "{}".to_owned())
    }

    #[test]
    fn the_well_known_path_is_between_host_and_path() {
        let table = [
            ("https://a.example", ""),
            ("https://a.example/", ""),
            ("https://a.example/mcp", "/mcp"),
            ("https://a.example/mcp/", "/mcp/"),
            ("https://a.example/b/mcp", "/b/mcp"),
            ("https://a.example:8443/mcp?x=y", "/mcp"),
        ];
        for (uri, below) in table {
            let resource = resource(uri);
            let path = format!("/.well-known/oauth-protected-resource{below}");
            assert_eq!(resource.path(), path, "{uri}");
            let host = uri.split('/').nth(2).unwrap();
            assert_eq!(resource.url, format!("https://{host}{path}"));
        }
    }

    #[test]
    fn only_the_documents_path_is_answered() {
        let resource = resource("https://a.example/mcp");
        let well_known = "/.well-known/oauth-protected-resource";
        for path in [
            format!("{well_known}/mcp"),
            format!("{well_known}/mcp?"),
            format!("{well_known}/mcp?x=/y?z"),
        ] {
            let answer = resource.answer(Some(path.as_bytes()), Some(b"GET"));
            assert_eq!(answer.unwrap().status, 200, "{path}");
        }
        for path in [
            "",
            "/",
            "/mcp",
            "?",
            well_known,
            &format!("{well_known}/"),
            &format!("{well_known}/mcp/"),
            &format!("{well_known}/mcpx"),
            &format!("{well_known}/MCP"),
            &format!("{well_known}/%6dcp"),
            &format!("{well_known}/mcp;a=b"),
            &format!("/{well_known}/mcp"),
            &format!("{well_known}/mcp/../../admin"),
        ] {
            let answer = resource.answer(Some(path.as_bytes()), Some(b"GET"));
            assert_eq!(answer, None, "{path}");
        }
        assert_eq!(resource.answer(Some(b"/\xff"), None), None);
        assert_eq!(resource.answer(None, Some(b"GET")), None);
    }

    #[test]
    fn methods() {
        let resource = resource("https://a.example");
        let path = resource.path().as_bytes();
        for (method, status) in [
            (Some("GET"), 200),
            (Some("HEAD"), 200),
            (Some("OPTIONS"), 204),
            (Some("POST"), 405),
            (Some("get"), 405),
            (Some(""), 405),
            (None, 405),
        ] {
            let answer = resource
                .answer(Some(path), method.map(str::as_bytes))
                .unwrap();
            let found = status == 200;
            assert_eq!(answer.status, status, "{method:?}");
            assert_eq!(answer.body, if found { "{}" } else { "" });
            for (name, value) in [
                ("content-type", found.then_some("application/json")),
                ("allow", (!found).then_some(METHODS)),
                ("access-control-allow-origin", Some("*")),
            ] {
                let sent = answer.headers.iter().find(|(known, _)| *known == name);
                let sent = sent.map(|(_, value)| value.as_str());
                assert_eq!(sent, value, "{method:?}");
            }
        }
    }
}
