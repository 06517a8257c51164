//! Regular expressions by texts that they match.
//!
//! Invariant: a text from here is a guess, which the expression itself confirms: a look around itself, as
//! `\b`, is not heeded.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The most texts that one expression is shown by: its alternatives multiply.
const MOST: usize = 32;
/// The most that a part is repeated.
const MOST_TIMES: u32 = 32;

/// The texts behind which an expression takes whatever comes, as `/a` of `/a.*`.
pub(crate) fn open_ends(expression: &str) -> Vec<String> {
    regex_syntax::parse(expression).map_or_else(|_| Vec::new(), |hir| ends_of(&hir))
}

/// Texts that an expression matches, also with `group` in the place of each of its groups.
pub(crate) fn examples(expression: &str, group: Option<&str>) -> Vec<String> {
    regex_syntax::parse(expression).map_or_else(|_| Vec::new(), |hir| texts_of(&hir, group))
}

fn ends_of(hir: &Hir) -> Vec<String> {
    match hir.kind() {
        HirKind::Repetition(repetition) => match (repetition.sub.kind(), repetition.max) {
            (HirKind::Class(class), None) if takes_all(class) => vec![String::new()],
            _ => ends_of(&repetition.sub),
        },
        HirKind::Capture(capture) => ends_of(&capture.sub),
        HirKind::Alternation(parts) => few(parts.iter().flat_map(ends_of)),
        HirKind::Concat(parts) => {
            let is_look = |part: &&Hir| matches!(part.kind(), HirKind::Look(_) | HirKind::Empty);
            let end = parts.iter().rposition(|part| !is_look(&part));
            let (Some(end), parts) = (end, parts.as_slice()) else {
                return Vec::new();
            };
            let last = parts.get(end).map_or_else(Vec::new, ends_of);
            joined(
                texts_of_all(parts.get(..end).unwrap_or_default(), None),
                &last,
            )
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => Vec::new(),
    }
}

/// Whether a class has letters and what separates words.
fn takes_all(class: &Class) -> bool {
    ['x', '-'].iter().all(|wanted| has(class, *wanted))
}

fn has(class: &Class, wanted: char) -> bool {
    match class {
        Class::Unicode(class) => {
            let mut ranges = class.ranges().iter();
            ranges.any(|range| (range.start()..=range.end()).contains(&wanted))
        }
        Class::Bytes(class) => {
            let mut ranges = class.ranges().iter();
            ranges.any(|range| (range.start()..=range.end()).contains(&(wanted as u8)))
        }
    }
}

fn texts_of(hir: &Hir, group: Option<&str>) -> Vec<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        HirKind::Class(class) => {
            let mut letters =
                "xabcdefghijklmnopqrstuvwyz0123456789-/_.XABCDEFGHIJKLMNOPQRSTUVWYZ".chars();
            let letter = letters.find(|letter| has(class, *letter));
            letter.into_iter().map(String::from).collect()
        }
        HirKind::Repetition(repetition) => {
            let least = repetition.min.min(MOST_TIMES);
            let mut times = vec![least];
            if group.is_some() && least == 0 && repetition.max != Some(0) {
                times.push(1);
            }
            let texts = texts_of(&repetition.sub, group);
            few(times.iter().flat_map(|times| {
                let texts = texts.iter();
                texts.map(|text| text.repeat(usize::try_from(*times).unwrap_or_default()))
            }))
        }
        HirKind::Capture(capture) => {
            let given = group.map(str::to_owned).into_iter();
            few(given.chain(texts_of(&capture.sub, group)))
        }
        HirKind::Concat(parts) => texts_of_all(parts, group),
        HirKind::Alternation(parts) => few(parts.iter().flat_map(|part| texts_of(part, group))),
    }
}

fn texts_of_all(parts: &[Hir], group: Option<&str>) -> Vec<String> {
    parts.iter().fold(vec![String::new()], |texts, part| {
        joined(texts, &texts_of(part, group))
    })
}

/// Each of the first before each of the second.
fn joined(starts: Vec<String>, ends: &[String]) -> Vec<String> {
    few(starts
        .iter()
        .flat_map(|start| ends.iter().map(move |end| format!("{start}{end}"))))
}

fn few(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut few: Vec<String> = Vec::new();
    for text in texts {
        if few.len() >= MOST {
            break;
        }
        if !few.contains(&text) {
            few.push(text);
        }
    }
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_expression_is_open() {
        let table: [(&str, &[&str]); 20] = [
            ("/a.*", &["/a"]),
            ("/a.*$", &["/a"]),
            ("/a.+", &["/a"]),
            ("/a[^/]*", &["/a"]),
            ("(?i)/a.*", &["/a"]),
            ("/(ab|cd).*", &["/ab", "/cd"]),
            ("/(a.*|bc)", &["/a"]),
            ("/a.*|/b/.*", &["/a", "/b/"]),
            ("/a(/b.*)?", &["/a/b"]),
            ("/a/.*", &["/a/"]),
            ("/a[-/].*", &["/a-"]),
            (r"/a\d{2}.*", &["/a00"]),
            (".*", &[""]),
            ("/a", &[]),
            ("/a(/b)*", &[]),
            (r"/a\w*", &[]),
            (r"/.*\.css", &[]),
            ("/a.{0,3}", &[]),
            ("(", &[]),
            ("", &[]),
        ];
        for (expression, expected) in table {
            assert_eq!(open_ends(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_an_expression_matches() {
        let table: [(&str, Option<&str>, &[&str]); 8] = [
            ("/a/[^/]+", None, &["/a/x"]),
            ("/a(bc|d)", None, &["/abc", "/ad"]),
            ("^/v1(/.*)$", Some("/api"), &["/v1/api", "/v1/", "/v1/x"]),
            (
                "/v1(/.*)?",
                Some("/api"),
                &["/v1", "/v1/api", "/v1/", "/v1/x"],
            ),
            ("[^a-z]", None, &["0"]),
            ("\u{e9}+", None, &["\u{e9}"]),
            ("x{40}", None, &["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]),
            ("x{1000", None, &[]),
        ];
        for (expression, group, expected) in table {
            assert_eq!(examples(expression, group), expected, "{expression}");
        }
        let many = "(a|b)".repeat(20);
        assert_eq!(examples(&many, Some("c")).len(), MOST);
    }
}
