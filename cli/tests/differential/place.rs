//! What is in a place of a request, as bearer-gate reads it.

use crate::bench::Seen;
use crate::configuration::Place;
use crate::request::Request;
use crate::token::Token;

/// What a place holds.
pub(crate) enum Found {
    Nothing,
    /// As it stands there, and as it was drawn.
    One(String, Option<Token>),
    Several,
}

pub(crate) fn found(request: &Request, place: &Place) -> Found {
    let token = || {
        let mut tokens = request.tokens();
        let token = tokens.find(|(_, known, _)| *known == place);
        token.map(|(token, ..)| token.clone())
    };
    let one_of = |count: usize| match count {
        0 => Found::Nothing,
        1 => {
            let token = token();
            let text = token.as_ref().map(|token| token.text.clone());
            Found::One(text.unwrap_or_default(), token)
        }
        _ => Found::Several,
    };
    match place {
        Place::Param(name) => {
            let target = request.target();
            let query = target.split_once('?').map_or("", |(_, query)| query);
            one_of(occurrences(query, '&', name))
        }
        Place::Cookie(name) => {
            let headers = request.headers();
            let cookie = headers.iter().find(|(known, _)| known == "cookie");
            one_of(cookie.map_or(0, |(_, text)| occurrences(text, ';', name)))
        }
        Place::Header { name, prefix } => {
            let headers = request.headers();
            let lines = headers.iter().filter(|(known, _)| known == name);
            // What Envoy makes of a line, and what comes after the prefix.
            let lines: Vec<Option<String>> = lines
                .map(|(_, value)| {
                    let value = value.trim();
                    if value.eq_ignore_ascii_case(prefix.trim_end()) && !prefix.is_empty() {
                        return Some(String::new());
                    }
                    let (start, rest) = value.split_at_checked(prefix.len())?;
                    let fits = start.eq_ignore_ascii_case(prefix);
                    fits.then(|| rest.trim_start().to_owned())
                })
                .collect();
            match lines.as_slice() {
                [] => Found::Nothing,
                [Some(rest)] if rest.is_empty() && !prefix.is_empty() => Found::Nothing,
                [Some(rest)] => {
                    let token = token().or_else(|| same_header(request, name));
                    Found::One(rest.clone(), token)
                }
                several if several.iter().any(Option::is_some) => Found::Several,
                _ => Found::Nothing,
            }
        }
    }
}

/// The token in a header, whatever its prefix.
fn same_header(request: &Request, name: &str) -> Option<Token> {
    let mut tokens = request.tokens();
    let token = tokens
        .find(|(_, place, _)| matches!(place, Place::Header { name: known, .. } if known == name));
    token.map(|(token, ..)| token.clone())
}

fn occurrences(list: &str, separator: char, name: &str) -> usize {
    let names = list
        .split(separator)
        .map(|piece| piece.trim().split('=').next());
    names.filter(|known| *known == Some(name)).count()
}

/// Takes a place's token out of what the upstream sees.
pub(crate) fn strip(seen: &mut Seen, place: &Place) {
    match place {
        Place::Header { name, .. } => seen.headers.retain(|(known, _)| known != name),
        Place::Param(name) => seen
            .query
            .retain(|piece| piece.split('=').next() != Some(name.as_str())),
        Place::Cookie(name) => {
            for (known, text) in &mut seen.headers {
                if known == "cookie" {
                    let rest: Vec<&str> = text
                        .split("; ")
                        .filter(|cookie| cookie.split('=').next() != Some(name.as_str()))
                        .collect();
                    *text = rest.join("; ");
                }
            }
            seen.headers
                .retain(|(known, text)| known != "cookie" || !text.is_empty());
        }
    }
}
