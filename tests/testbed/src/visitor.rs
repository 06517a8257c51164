//! A browser without a screen: it keeps cookies, and fills in the forms of the test provider.
//!
//! For tests that look at each step of a sign-in: no redirect is followed by itself. Cookies belong
//! to a host, whatever its port, as in a browser. A host may be elsewhere than its name says.

use std::net::SocketAddr;

use reqwest::{Method, Url};
use serde_json::Value;

use crate::http::{Client, Reply, send};

/// What a browser says of itself when a person opens a page (Fetch Metadata Request Headers).
const OPENS: [(&str, &str); 3] = [
    ("accept", "text/html,*/*;q=0.8"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];
/// When a script of a page calls its own site.
const CALLS: [(&str, &str); 4] = [
    ("accept", "application/json"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-site", "same-origin"),
];

/// A visitor with cookies of its own.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    client: Client,
    cookies: Vec<Cookie>,
    places: Vec<(String, SocketAddr)>,
}

#[derive(Clone, Debug)]
struct Cookie {
    host: String,
    name: String,
    value: String,
}

impl Visitor {
    /// Without cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a connection for each request: after a reload none leads to what was before.
    #[must_use]
    pub fn hanging_up(mut self) -> Self {
        self.client = Client::without_keep_alive();
        self
    }

    /// Finds a host at this address, without TLS even where a URL is https.
    #[must_use]
    pub fn finding(mut self, host: &str, address: SocketAddr) -> Self {
        self.places.push((host.to_owned(), address));
        self
    }

    /// `GET`, as somebody who follows a link.
    pub async fn get(&mut self, url: &str) -> Reply {
        self.request(Method::GET, url, &OPENS, None).await
    }

    /// `GET`, as a script of a page of the same site.
    pub async fn fetch(&mut self, url: &str) -> Reply {
        self.request(Method::GET, url, &CALLS, None).await
    }

    /// `POST` of a form, from a page of the same site.
    pub async fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Reply {
        let form = serde_urlencoded::to_string(fields).expect("pairs of texts");
        let form = ("application/x-www-form-urlencoded", form);
        self.request(Method::POST, url, &OPENS, Some(form)).await
    }

    /// Any method with a body of JSON, as a script of a page of the same site.
    pub async fn call(&mut self, method: Method, url: &str, body: &Value) -> Reply {
        let body = ("application/json", body.to_string());
        self.request(method, url, &CALLS, Some(body)).await
    }

    /// Fills in the form of a page of the test provider, which came from `url`, and presses the
    /// button of this action.
    ///
    /// # Panics
    /// When the page has no form.
    pub async fn fill(
        &mut self,
        url: &str,
        page: &Reply,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Reply {
        let (_, form) = page.body.split_once("<form ").expect("a form in the page");
        let target = attribute(form, "action").expect("a form's action");
        let base = Url::parse(url).expect("a URL");
        let target = base.join(&target).expect("a URL");
        let hidden = form
            .split("<input ")
            .skip(1)
            .filter(|input| attribute(input, "type").as_deref() == Some("hidden"))
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)));
        let hidden: Vec<(String, String)> = hidden.collect();
        let mut all: Vec<(&str, &str)> = vec![("action", action)];
        all.extend(
            hidden
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        all.extend(fields);
        self.post(target.as_str(), &all).await
    }

    /// Opens a URL of the authorization endpoint and signs in. The answer leads back to the client.
    pub async fn sign_in(&mut self, url: &str, username: &str, password: &str) -> Reply {
        let page = self.get(url).await;
        let fields = [("username", username), ("password", password)];
        self.fill(url, &page, "login", &fields).await
    }

    /// Opens a page that leads to the authorization endpoint, signs in there, and comes back. The
    /// client's answer to that.
    ///
    /// # Panics
    /// Where one of the two does not send the browser on.
    pub async fn sign_in_for(&mut self, page: &str, username: &str, password: &str) -> Reply {
        let begun = self.get(page).await;
        assert_eq!(begun.status, 303, "{page}: {}", begun.body);
        let location = begun.header("location").expect("the way to the provider");
        let back = self.sign_in(location, username, password).await;
        let callback = back.header("location").expect("the way back");
        self.get(callback).await
    }

    /// The value of a cookie.
    pub fn cookie(&self, url: &str, name: &str) -> Option<&str> {
        let host = host(url);
        let mut all = self.cookies.iter();
        all.find(|cookie| cookie.host == host && cookie.name == name)
            .map(|cookie| cookie.value.as_str())
    }

    async fn request(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> Reply {
        let host = host(url);
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.host == host)
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        let mut place = Url::parse(url).expect("a URL");
        let origin = place.origin().ascii_serialization();
        let authority = place.authority().to_owned();
        let found = self.places.iter().find(|(known, _)| *known == host);
        if let Some((_, address)) = found {
            place =
                Url::parse(&format!("http://{address}{}", path_and_query(&place))).expect("a URL");
        }
        let mut request = self.client.request(method, place.as_str());
        if found.is_some() {
            request = request.header("host", authority);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some((content_type, body)) = body {
            request = request
                .header("content-type", content_type)
                .header("origin", origin)
                .body(body);
        }
        let reply = send(request).await;
        for line in reply.headers.get_all("set-cookie") {
            self.keep(&host, line.to_str().expect("a cookie of ASCII"));
        }
        reply
    }

    fn keep(&mut self, host: &str, line: &str) {
        let pair = line.split(';').next().unwrap_or_default();
        let (name, value) = pair.split_once('=').expect("a cookie's name and value");
        self.cookies
            .retain(|cookie| cookie.host != host || cookie.name != name);
        if !line.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.push(Cookie {
                host: host.to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }
}

fn host(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    url.host_str().unwrap_or_default().to_owned()
}

fn path_and_query(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}"));
    format!("{}{}", url.path(), query.unwrap_or_default())
}

/// An attribute of the tag that a text begins within.
fn attribute(text: &str, name: &str) -> Option<String> {
    let (tag, _) = text.split_once('>')?;
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let mut value = value.to_owned();
    for (escaped, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        value = value.replace(escaped, letter);
    }
    Some(value)
}

/// The parameters of a URL's query.
///
/// # Panics
/// When it is not a URL.
pub fn parameters(url: &str) -> Vec<(String, String)> {
    let url = Url::parse(url).expect("a URL");
    serde_urlencoded::from_str(url.query().unwrap_or_default()).expect("a query of pairs")
}
