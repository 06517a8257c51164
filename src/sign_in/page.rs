//! The filter's own pages: few words, no script, and readable in light and dark.
//!
//! Invariant: only this module writes markup, and every text from outside passes through
//! [`Escaped`]. A page loads nothing, runs nothing, sends nothing, and is in no frame (Content
//! Security Policy Level 3).

use std::fmt;

use crate::http::response::Response;

/// The longest text of a provider that is shown, in characters.
const LONGEST_TOLD: usize = 300;

/// Why somebody could not sign in, as the page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The person or the provider said no.
    Denied,
    /// The provider said that it cannot sign anybody in now, or did not answer.
    Unavailable,
    /// The provider's answer cannot be believed, or cannot be used.
    Unusable,
    /// The browser came back too late, without its cookie, or with a value that was not sent to it.
    /// Beginning again did not help.
    Lost,
    /// The session does not fit into cookies.
    TooLarge,
}

/// A sign-in that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedSignIn<'f> {
    /// What the person is told.
    pub trouble: Trouble,
    /// What the provider says about it (`error_description`). It is shown only for a callback whose
    /// `state` is this browser's own, because anybody can make a link with such a text.
    pub told: Option<&'f str>,
    /// A path at which the person can try again.
    pub again: Option<&'f str>,
}

/// One of several ways to sign in.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'c> {
    /// What the person reads.
    pub name: &'c str,
    /// The path, with its query.
    pub path: &'c str,
}

impl Trouble {
    fn status(self) -> u32 {
        match self {
            Self::Denied => 403,
            Self::Unavailable => 503,
            Self::Unusable => 502,
            Self::Lost => 400,
            Self::TooLarge => 500,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Denied => "Access was not granted.",
            Self::Unavailable => {
                "The sign-in service cannot be reached at the moment. Please try again in a few minutes."
            }
            Self::Unusable => {
                "The sign-in service gave an answer that cannot be used. If this happens again, please tell the people who run this site."
            }
            Self::Lost => {
                "This sign-in took too long, or began in another browser or at another address. If it happens again, please allow this site's cookies."
            }
            Self::TooLarge => {
                "Your account has more information than a session can keep. Please tell the people who run this site."
            }
        }
    }
}

/// A page that says why somebody could not sign in.
#[must_use]
pub fn failure(failure: &FailedSignIn<'_>) -> Response {
    let mut body = Body::default();
    body.paragraph(failure.trouble.words());
    if let Some(told) = failure.told.map(legible).filter(|told| !told.is_empty()) {
        body.quote("The sign-in service says:", &told);
    }
    if let Some(path) = failure.again {
        body.links(&[Choice {
            name: "Try again",
            path,
        }]);
    }
    page(failure.trouble.status(), "Sign-in failed", &body)
}

/// A page on which a person chooses how to sign in. Its status is 401, because there is no session
/// yet.
#[must_use]
pub fn chooser(choices: &[Choice<'_>]) -> Response {
    let mut body = Body::default();
    body.paragraph("Choose how you want to sign in.");
    body.links(choices);
    page(401, "Sign in", &body)
}

/// A page that says that the session has ended. `again` is a path to sign in at.
#[must_use]
pub fn signed_out(again: Option<&str>) -> Response {
    let mut body = Body::default();
    body.paragraph("Your session here has ended.");
    if let Some(path) = again {
        body.links(&[Choice {
            name: "Sign in again",
            path,
        }]);
    }
    page(200, "You are signed out", &body)
}

/// A page that asks whether to sign out. It is shown where another site sent the browser to `path`.
/// Its link makes a request of our own site.
#[must_use]
pub fn confirm_sign_out(path: &str) -> Response {
    let mut body = Body::default();
    body.paragraph("Do you want to end your session here?");
    body.links(&[Choice {
        name: "Sign out",
        path,
    }]);
    page(200, "Sign out", &body)
}

/// A text from outside, escaped for content and for attribute values between double quotes.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                '\'' => f.write_str("&#39;"),
                other => write!(f, "{other}"),
            }?;
        }
        Ok(())
    }
}

/// A provider's text, cut to length, and without the characters that change how it is shown.
fn legible(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() || is_steering(character) {
            ' '
        } else {
            character
        }
    };
    let text: String = text.trim().chars().take(LONGEST_TOLD).map(shown).collect();
    text.trim().to_owned()
}

/// Characters that change the order of others, or that cannot be seen (Unicode Standard Annex 9).
fn is_steering(character: char) -> bool {
    matches!(character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What follows the heading.
#[derive(Default)]
struct Body(String);

impl Body {
    fn paragraph(&mut self, text: &str) {
        self.push(format_args!("<p>{}</p>\n", Escaped(text)));
    }

    fn quote(&mut self, who: &str, text: &str) {
        let (who, text) = (Escaped(who), Escaped(text));
        self.push(format_args!(
            "<p>{who}</p>\n<blockquote>{text}</blockquote>\n"
        ));
    }

    fn links(&mut self, choices: &[Choice<'_>]) {
        self.0.push_str("<ul>\n");
        for choice in choices {
            let (path, name) = (Escaped(choice.path), Escaped(choice.name));
            self.push(format_args!("<li><a href=\"{path}\">{name}</a></li>\n"));
        }
        self.0.push_str("</ul>\n");
    }

    fn push(&mut self, text: fmt::Arguments<'_>) {
        use fmt::Write as _;
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(text);
    }
}

/// How every page looks. Text and links have a contrast of at least 7 (WCAG 2.2, 1.4.6).
const STYLE: &str = "\
:root{color-scheme:light dark;--back:#f4f5f7;--card:#fff;--text:#1f2328;--line:#d0d7de;--link:#0a4a9e;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--back:#0f1216;--card:#1a1f26;--text:#e6eaef;--line:#3b434d;--link:#9cc8ff;--on:#0b1a2e}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}\
main{width:100%;max-width:26rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}\
p{margin:0 0 1rem}\
blockquote{margin:0 0 1rem;padding:.5rem 1rem;border-left:.25rem solid var(--line);overflow-wrap:anywhere}\
ul{margin:1.5rem 0 0;padding:0;list-style:none}\
li+li{margin-top:.75rem}\
a{display:block;padding:.7rem 1rem;border-radius:.5rem;background:var(--link);color:var(--on);font-weight:600;text-align:center;text-decoration:none;overflow-wrap:anywhere}\
a:hover{text-decoration:underline}\
a:focus-visible{outline:3px solid var(--text);outline-offset:2px}";

/// The base64 of the SHA-256 of [`STYLE`].
const STYLE_HASH: &str = "LtrhNLuLQ79GFFAku9lzZhJMMDeY9BZ9U+E6FaiGFYk=";

fn page(status: u32, title: &str, body: &Body) -> Response {
    let (title, body) = (Escaped(title), &body.0);
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let document = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    html(status, &policy, document)
}

/// A page without anything, for a frame of the provider. No other page of the filter may be in a
/// frame.
pub fn empty(status: u32) -> Response {
    html(status, "default-src 'none'", String::new())
}

fn html(status: u32, policy: &str, document: String) -> Response {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    Response::new(status, &headers, document)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    const TROUBLES: [Trouble; 5] = [
        Trouble::Denied,
        Trouble::Unavailable,
        Trouble::Unusable,
        Trouble::Lost,
        Trouble::TooLarge,
    ];

    fn told(told: &str) -> Response {
        failure(&FailedSignIn {
            trouble: Trouble::Denied,
            told: Some(told),
            again: Some("/sign-in?return_to=%2Fa&x=\"><b>"),
        })
    }

    fn pages() -> Vec<Response> {
        let failures = TROUBLES.map(|trouble| {
            failure(&FailedSignIn {
                trouble,
                told: None,
                again: None,
            })
        });
        let choices = [Choice {
            name: "staff",
            path: "/sign-in",
        }];
        let others = [
            told("<b>"),
            chooser(&choices),
            signed_out(None),
            signed_out(Some("/sign-in")),
            confirm_sign_out("/sign-out"),
        ];
        failures.into_iter().chain(others).collect()
    }

    fn header<'r>(page: &'r Response, name: &str) -> Option<&'r str> {
        let mut headers = page.headers.iter();
        let (_, value) = headers.find(|(known, _)| *known == name)?;
        Some(value)
    }

    #[test]
    fn what_every_page_has() {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        for page in pages() {
            let html = &page.body;
            assert!(
                html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n"),
                "{html}"
            );
            for part in [
                "<h1>",
                "</h1>",
                "<main>",
                "<title>",
                "content=\"light dark\"",
            ] {
                assert_eq!(html.matches(part).count(), 1, "{part} in {html}");
            }
            for part in [
                "<script", "<form", "<img", "onclick", "style=\"", "http:", "https:",
            ] {
                assert!(!html.contains(part), "{part} in {html}");
            }
            let between = html.split("<style>").nth(1).unwrap();
            assert_eq!(between.split("</style>").next(), Some(STYLE));
            let policy = format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            );
            for (name, value) in [
                ("content-type", "text/html; charset=utf-8"),
                ("cache-control", "no-store"),
                ("content-security-policy", &policy),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(header(&page, name), Some(value));
            }
        }
    }

    #[test]
    fn statuses() {
        let statuses: Vec<u32> = pages().iter().map(|page| page.status).collect();
        assert_eq!(statuses, [403, 503, 502, 400, 500, 403, 401, 200, 200, 200]);
    }

    #[test]
    fn s26_an_error_description_is_text() {
        for (description, expected) in [
            ("Plain words.", "Plain words."),
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("</blockquote><h1>x", "&lt;/blockquote&gt;&lt;h1&gt;x"),
            (
                "\"><img src=x onerror='x'>",
                "&quot;&gt;&lt;img src=x onerror=&#39;x&#39;&gt;",
            ),
            ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
            ("\u{e9}\u{65e5}", "\u{e9}\u{65e5}"),
            ("a\r\nb\0c\u{7f}d\u{85}e", "a  b c d e"),
            (
                "a\u{202e}b\u{200b}c\u{2028}d\u{feff}e\u{2066}f",
                "a b c d e f",
            ),
            (&"x".repeat(1000), &"x".repeat(LONGEST_TOLD)),
        ] {
            let page = told(description);
            let quote = page.body.split("<blockquote>").nth(1).unwrap();
            let quote = quote.split("</blockquote>").next();
            assert_eq!(quote, Some(expected), "{description}");
        }
        for nothing in ["", " \n", "\u{202e}"] {
            assert!(!told(nothing).body.contains("<blockquote>"));
        }
        // Links are escaped, too.
        let link = "<a href=\"/sign-in?return_to=%2Fa&amp;x=&quot;&gt;&lt;b&gt;\">Try again</a>";
        assert!(told("x").body.contains(link));
        let choice = Choice {
            name: "<i>",
            path: "/a?b&\"c",
        };
        let link = "<li><a href=\"/a?b&amp;&quot;c\">&lt;i&gt;</a></li>";
        assert!(chooser(&[choice]).body.contains(link));
    }
}
