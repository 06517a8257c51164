//! The pages that a person sees. They need no script; each field has a label, each problem is an
//! alert.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::party::Person;
use crate::html::{escape, page};

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
    page(StatusCode::OK, "Sign in", &body, None)
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
    page(StatusCode::OK, "Sign up", &body, None)
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
    page(StatusCode::OK, "Allow access?", &body, None)
}

/// Asks before signing out, as nothing proves that the person wants it.
pub(super) fn sign_out(path: &str, parameters: &[(String, String)]) -> Response {
    let mut fields = String::new();
    for (name, value) in parameters {
        let (name, value) = (escape(name), escape(value));
        let _ = writeln!(
            fields,
            "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
        );
    }
    let body = format!(
        "<form method=\"post\" action=\"{path}\">{fields}<div class=\"row\">\
         <button class=\"main\" name=\"confirmed\" value=\"yes\">Sign out</button></div></form>"
    );
    page(StatusCode::OK, "Sign out?", &body, None)
}

pub(super) fn signed_out() -> Response {
    page(
        StatusCode::OK,
        "Signed out",
        "<p>This window can be closed.</p>",
        None,
    )
}

/// Has clients told in frames, and a link to go on.
pub(super) fn framed(frames: &[String], target: Option<&str>) -> Response {
    let mut body = String::from("<p>You have signed out.</p>\n");
    for frame in frames {
        let frame = escape(frame);
        let _ = writeln!(body, "<iframe src=\"{frame}\" title=\"A client\"></iframe>");
    }
    if let Some(target) = target {
        let _ = write!(body, "<p><a href=\"{}\">Continue</a></p>", escape(target));
    }
    let mut response = page(StatusCode::OK, "Signed out", &body, None);
    let policy = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; frame-src http: https:",
    );
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

pub(super) fn failure(text: &str) -> Response {
    let body = format!("<p role=\"alert\">{}</p>", escape(text));
    page(StatusCode::BAD_REQUEST, "That did not work", &body, None)
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
         </form>",
        escape(redirect_uri)
    );
    let submit = Some("document.forms[0].submit()");
    page(StatusCode::OK, "Signed in", &body, submit)
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
