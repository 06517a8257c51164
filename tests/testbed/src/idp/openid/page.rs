//! The pages that a person sees. They need no script, follow the system's light or dark, and can be
//! read out: each field has a label, each problem is an alert.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::party::Person;

const STYLE: &str = "
:root { color-scheme: light dark; --page: #eef1f5; --card: #fff; --text: #1b2430; --soft: #4a5666;
  --line: #8a95a3; --accent: #1f5fbf; --on-accent: #fff; --bad: #a3172a; }
@media (prefers-color-scheme: dark) { :root { --page: #11161d; --card: #1b232e; --text: #e8edf3;
  --soft: #b0bbc9; --line: #6e7b8c; --accent: #8ab8ff; --on-accent: #0c1a30; --bad: #ff9aa8; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 25rem; padding: 2rem; background: var(--card); border-radius: .75rem;
  box-shadow: 0 1px 3px rgb(0 0 0 / .2); }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; color: var(--soft); }
p strong { color: var(--text); }
[role=alert] { color: var(--bad); font-weight: 600; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .4rem; }
button { padding: .6rem 1.1rem; font: inherit; font-weight: 600; color: var(--accent);
  background: transparent; border: 1px solid var(--accent); border-radius: .4rem; cursor: pointer; }
button.main { color: var(--on-accent); background: var(--accent); }
button.link { padding: 0; border: 0; text-decoration: underline; }
:is(input, button, a):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.row { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0; } .row:last-child { margin-bottom: 0; }
footer { padding-top: 1rem; border-top: 1px solid var(--line); font-size: .9rem; }
footer p { margin: 0 0 .5rem; } dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 0 1rem; }
dt { font-weight: 600; } dd { margin: 0; font-family: ui-monospace, monospace; } ul { margin: 0; padding-left: 1.25rem; }
";

/// Text for HTML, also between double quotes.
fn escape(text: &str) -> String {
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

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    // Only the page of `response_mode=form_post` has a script, and that one sends its form.
    let scripts = if body.contains("<script>") {
        "'unsafe-inline'"
    } else {
        "'none'"
    };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
    ];
    (status, headers, html).into_response()
}

fn form(transaction: &str, fields: &str) -> String {
    let path = super::Endpoint::Form.path();
    let transaction = escape(transaction);
    format!(
        "<form method=\"post\" action=\"{path}\">\n\
         <input type=\"hidden\" name=\"transaction\" value=\"{transaction}\">\n{fields}</form>"
    )
}

fn alert(problem: &str) -> String {
    if problem.is_empty() {
        String::new()
    } else {
        format!("<p role=\"alert\">{}</p>\n", escape(problem))
    }
}

fn input(name: &str, label: &str, kind: &str, autocomplete: &str, value: &str) -> String {
    format!(
        "<label for=\"{name}\">{label}</label>\n<input id=\"{name}\" name=\"{name}\" \
         type=\"{kind}\" autocomplete=\"{autocomplete}\" value=\"{}\" required>\n",
        escape(value)
    )
}

/// A row of buttons: what each does, its words, and whether the fields may be empty.
fn buttons(main: (&str, &str), others: &[(&str, &str)]) -> String {
    let mut row = format!(
        "<div class=\"row\"><button class=\"main\" name=\"action\" value=\"{}\">{}</button>",
        main.0, main.1
    );
    for (action, words) in others {
        let _ = write!(
            row,
            "<button name=\"action\" value=\"{action}\" formnovalidate>{words}</button>"
        );
    }
    row + "</div>\n"
}

pub(super) fn login(transaction: &str, client_id: &str, username: &str, problem: &str) -> Response {
    let mut fields = alert(problem);
    fields += &input("username", "Username", "text", "username", username);
    fields += &input("password", "Password", "password", "current-password", "");
    fields += &buttons(("login", "Sign in"), &[("cancel", "Cancel")]);
    fields += "<p>No account? <button class=\"link\" name=\"action\" value=\"to-sign-up\" \
               formnovalidate>Sign up</button></p>\n";
    let mut people = String::new();
    for person in Person::demo() {
        let (name, password) = (escape(&person.username), escape(&person.password));
        let _ = write!(people, "<dt>{name}</dt><dd>{password}</dd>");
    }
    let body = format!(
        "<p>to continue to <strong>{}</strong></p>\n{}\n\
         <footer><p>This is a provider for tests. Its people and their passwords:</p>\
         <dl>{people}</dl></footer>",
        escape(client_id),
        form(transaction, &fields)
    );
    page(StatusCode::OK, "Sign in", &body)
}

pub(super) fn sign_up(transaction: &str, client_id: &str, problem: &str) -> Response {
    let mut fields = alert(problem);
    fields += &input("name", "Name", "text", "name", "");
    fields += &input("username", "Username", "text", "username", "");
    fields += &input("password", "Password", "password", "new-password", "");
    fields += &buttons(("sign-up", "Create account"), &[("cancel", "Cancel")]);
    fields += "<p>Have an account? <button class=\"link\" name=\"action\" value=\"to-login\" \
               formnovalidate>Sign in</button></p>\n";
    let body = format!(
        "<p>to continue to <strong>{}</strong></p>\n{}",
        escape(client_id),
        form(transaction, &fields)
    );
    page(StatusCode::OK, "Sign up", &body)
}

pub(super) fn consent(transaction: &str, client_id: &str, scopes: &[String]) -> Response {
    let items: String = scopes
        .iter()
        .map(|scope| format!("<li>{}</li>", escape(scope)))
        .collect();
    let fields = buttons(("allow", "Allow"), &[("cancel", "Cancel")]);
    let body = format!(
        "<p><strong>{}</strong> asks for</p>\n<ul>{items}</ul>\n{}",
        escape(client_id),
        form(transaction, &fields)
    );
    page(StatusCode::OK, "Allow access?", &body)
}

/// Asks before signing out, as nothing proves that the person wants it.
pub(super) fn sign_out(parameters: &[(String, String)]) -> Response {
    let mut fields = String::new();
    for (name, value) in parameters {
        let (name, value) = (escape(name), escape(value));
        let _ = writeln!(
            fields,
            "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
        );
    }
    let path = super::Endpoint::EndSession.path();
    let body = format!(
        "<form method=\"post\" action=\"{path}\">{fields}<div class=\"row\">\
         <button class=\"main\" name=\"confirmed\" value=\"yes\">Sign out</button></div></form>"
    );
    page(StatusCode::OK, "Sign out?", &body)
}

pub(super) fn signed_out() -> Response {
    page(
        StatusCode::OK,
        "Signed out",
        "<p>This window can be closed.</p>",
    )
}

pub(super) fn failure(text: &str) -> Response {
    let body = format!("<p role=\"alert\">{}</p>", escape(text));
    page(StatusCode::BAD_REQUEST, "That did not work", &body)
}

/// OAuth 2.0 Form Post Response Mode, with a button for where scripts are off.
pub(super) fn form_post(redirect_uri: &str, parameters: &[(&str, String)]) -> Response {
    let mut fields = String::new();
    for (name, value) in parameters {
        let value = escape(value);
        let _ = writeln!(
            fields,
            "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
        );
    }
    let body = format!(
        "<form method=\"post\" action=\"{}\">{fields}<button class=\"main\">Continue</button>\
         </form>\n<script>document.forms[0].submit()</script>",
        escape(redirect_uri)
    );
    page(StatusCode::OK, "Signed in", &body)
}

/// 303, so that what was posted here is not posted there.
pub(super) fn redirect<N: AsRef<str>>(uri: &str, parameters: &[(N, String)]) -> Response {
    let pairs: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_str()))
        .collect();
    let query = serde_urlencoded::to_string(pairs).expect("pairs of texts");
    let joint = match (query.is_empty(), uri.contains('?')) {
        (true, _) => "",
        (false, false) => "?",
        (false, true) => "&",
    };
    let headers = [
        (header::LOCATION, format!("{uri}{joint}{query}")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Not `Secure`, for clients that keep no such cookie without TLS.
pub(super) fn set_cookie(response: &mut Response, name: &str, value: Option<&str>) {
    let (value, end) = match value {
        Some(value) => (value, ""),
        None => ("", "; Max-Age=0"),
    };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{end}");
    let line = HeaderValue::from_str(&line).expect("letters of base64url");
    response.headers_mut().append(header::SET_COOKIE, line);
}
