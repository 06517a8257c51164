//! Pages for people. They follow the system's light or dark, and can be read out: they have a
//! language, one heading of the first level, and colours with a contrast of 4.5 at least.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = "
:root { color-scheme: light dark; --page: #eef1f5; --card: #fff; --text: #1b2430; --soft: #4a5666;
  --line: #8a95a3; --accent: #1f5fbf; --on-accent: #fff; --bad: #a3172a; }
@media (prefers-color-scheme: dark) { :root { --page: #11161d; --card: #1b232e; --text: #e8edf3;
  --soft: #b0bbc9; --line: #6e7b8c; --accent: #8ab8ff; --on-accent: #0c1a30; --bad: #ff9aa8; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; min-width: 0; max-width: 25rem; padding: 2rem; background: var(--card); border-radius: .75rem;
  box-shadow: 0 1px 3px rgb(0 0 0 / .2); }
main:has(table) { max-width: 44rem; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; color: var(--soft); }
p strong { color: var(--text); }
[role=alert] { color: var(--bad); font-weight: 600; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .4rem; }
button { padding: .6rem 1.1rem; font: inherit; font-weight: 600; color: var(--accent);
  background: transparent; border: 1px solid var(--accent); border-radius: .4rem; cursor: pointer; }
:is(button, a).main { color: var(--on-accent); background: var(--accent); }
button.link { padding: 0; border: 0; text-decoration: underline; }
:is(input, button, a, pre):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.row { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0; } .row:last-child { margin-bottom: 0; }
footer { padding-top: 1rem; border-top: 1px solid var(--line); font-size: .9rem; }
footer p { margin: 0 0 .5rem; } dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 0 1rem; }
a { color: var(--accent); }
.row a { padding: .6rem 0; font-weight: 600; }
.row a.main { padding: .6rem 1.1rem; border: 1px solid var(--accent); border-radius: .4rem; text-decoration: none; }
h2 { margin: 1.5rem 0 .25rem; font-size: 1.15rem; line-height: 1.25; }
table { width: 100%; border-collapse: collapse; } caption { text-align: left; color: var(--soft); }
:is(th, td) { padding: .35rem .75rem .35rem 0; text-align: left; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; } th { white-space: nowrap; }
:is(pre, code) { font: .875rem/1.5 ui-monospace, monospace; }
pre { margin: 0; padding: .75rem; overflow: auto; border: 1px solid var(--line); border-radius: .4rem; }
pre:empty { padding: 0; border: 0; }
dt { font-weight: 600; } dd { margin: 0; font-family: ui-monospace, monospace; } ul { margin: 0; padding-left: 1.25rem; }
";

/// Text for HTML, also between double quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A page that is not stored. `script` runs in it, and nothing else does (Content Security Policy
/// Level 3).
pub(crate) fn page(status: StatusCode, title: &str, body: &str, script: Option<&str>) -> Response {
    let (scripts, script) = match script {
        None => ("'none'".to_owned(), String::new()),
        Some(script) => {
            let hash = STANDARD.encode(Sha256::digest(script));
            let tag = format!("<script>{script}</script>\n");
            (format!("'sha256-{hash}'"), tag)
        }
    };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; connect-src 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>{title}</h1>\n{body}\n</main>\n{script}</body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
    ];
    (status, headers, html).into_response()
}
