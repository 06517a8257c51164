//! `tests/README.md` lists the tests of each attack and each failure, and the list is true.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The names of all functions that are marked as tests.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "cli"] {
        sources(&root.join(folder), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            marked |= line == "#[test]" || line.starts_with("#[tokio::test");
            let line = line.strip_prefix("async ").unwrap_or(line);
            if let (true, Some(rest)) = (marked, line.strip_prefix("fn ")) {
                names.insert(rest.split('(').next().unwrap().to_owned());
                marked = false;
            }
        }
    }
    names
}

/// Whether a test's name begins with a letter and a number: `a07_`, `b3_`, `s10_`.
fn is_numbered(name: &str) -> bool {
    let number = name.split('_').next().unwrap_or_default();
    let digits = number.strip_prefix(['a', 'b', 's']).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn the_list_of_tests_is_true() {
    let list = include_str!("README.md");
    let tests = tests();
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| ")).collect();
    let mut listed = BTreeSet::new();
    for (letter, last, is_complete) in [('A', 34, true), ('B', 14, true), ('S', 32, false)] {
        for number in 1..=last {
            let start = format!("| {letter}{number} |");
            let row = rows.iter().find(|row| row.starts_with(&start));
            let Some(row) = row else {
                assert!(!is_complete, "{letter}{number} is not listed");
                continue;
            };
            // The first cell is empty, the second the number, the third what it is about.
            let named: Vec<&str> = row.split('|').skip(3).flat_map(in_ticks).collect();
            assert!(!named.is_empty() || row.contains("| not yet: "), "{row}");
            let own = letter.to_ascii_lowercase();
            let numbers = [format!("{own}{number}_"), format!("{own}{number:02}_")];
            for name in named {
                assert!(tests.contains(name), "{letter}{number}: there is no {name}");
                let is_other = is_numbered(name)
                    && name.starts_with(own)
                    && !numbers.iter().any(|number| name.starts_with(number));
                assert!(
                    letter != 'S' || !is_other,
                    "{name} is not about {letter}{number}"
                );
                listed.insert(name.to_owned());
            }
        }
    }
    let numbered: BTreeSet<String> = tests.into_iter().filter(|t| is_numbered(t)).collect();
    let missing: Vec<_> = numbered.difference(&listed).collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
}

fn in_ticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Every name in the list that has the form of a test's is a test, in whatever table or text.
#[test]
fn every_test_that_is_named_exists() {
    let list = include_str!("README.md");
    let tests = tests();
    let is_like_a_test = |word: &&str| {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.chars().all(letter) && word.matches('_').count() >= 3
    };
    let named: Vec<&str> = list
        .lines()
        .flat_map(in_ticks)
        .filter(is_like_a_test)
        .collect();
    assert!(named.len() > 100, "{}", named.len());
    let unknown: Vec<_> = named
        .into_iter()
        .filter(|name| !tests.contains(*name))
        .collect();
    assert_eq!(unknown, ["post_logout_redirect_path"], "no tests");
}
