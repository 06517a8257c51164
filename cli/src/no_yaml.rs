//! What is mostly wrong with a file that is no YAML, by what its parser says.
//!
//! Invariant: a fixed text for the words of a parser, which repeats nothing of the file.

/// Words of the parser, and what to look at. Of several that fit the first counts.
const CURES: [(&str, &str); 7] = [
    (
        "tab",
        "YAML is indented by spaces: write spaces for the tab",
    ),
    (
        "unexpected character",
        "a text that begins with a sign, such as @ or %, has quotes",
    ),
    (
        "illegal placement of ':'",
        "a bracket above is not closed; a text with a colon in it has quotes",
    ),
    (
        "parsing a flow",
        "a bracket or a comma is missing here or above; a text with { } [ ] or a comma in it has quotes",
    ),
    (
        "mapping values are not allowed",
        "this line is indented too far, or the one above lacks a space after its colon; a text with a colon and a space has quotes",
    ),
    (
        "did not find expected",
        "this line or one above it is indented too far or not far enough: members of one object begin in one column",
    ),
    (
        "expect ':'",
        "this line or the one above it lacks a colon, or a space after it",
    ),
];

/// What to look at, where the parser says this.
pub(crate) fn cure(problem: &str) -> Option<&'static str> {
    let mut cures = CURES.iter();
    let (_, cure) = cures.find(|(words, _)| problem.contains(words))?;
    Some(cure)
}

#[cfg(test)]
mod tests {
    use super::cure;
    use crate::document::{Scalars, parse};

    #[test]
    fn the_mistakes_that_many_make_have_a_cure() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            ("a:\n  b: 1\n    c: 2\n", "indented too far"),
            ("a:\n    b: 1\n  c: 2\n", "one column"),
            ("a:\n  - b: 1\n  c: 2\n", "one column"),
            ("a:\n  b:1\n  c: 2\n", "lacks a space after its colon"),
            ("a: {b: /x/{id}, c: 1}\n", "has quotes"),
            ("a: [b, c\nd: 1\n", "bracket"),
            ("a:\n\tb: 1\n", "spaces"),
            ("a: b\n\tc: 1\n", "spaces"),
            ("a: @b\n", "quotes"),
            ("a: 1\nb\nc: 2\n", "colon"),
        ] {
            let error = parse(text, Some(Scalars::Envoy)).unwrap_err();
            let told = cure(&error.problem);
            if !told.is_some_and(|told| told.contains(expected)) {
                wrong.push(format!("{text}: {}: {told:?}", error.problem));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
