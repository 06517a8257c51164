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
    for folder in ["src", "tests", "cli", "hosts/tests"] {
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

/// The letters and numbers that a test's name begins with: `a07_`, `b3_`, `s10_s11_`.
fn numbers(name: &str) -> Vec<(char, u32)> {
    let number = |part: &str| {
        let letter = part
            .chars()
            .next()
            .filter(|letter| "abs".contains(*letter))?;
        Some((letter, part.get(1..)?.parse().ok()?))
    };
    name.split('_').map_while(number).collect()
}

#[test]
fn the_list_of_tests_is_true() {
    let list = include_str!("README.md");
    let tests = tests();
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| ")).collect();
    let mut listed = BTreeSet::new();
    for (letter, last) in [('A', 36), ('B', 14), ('S', 35)] {
        for number in 1..=last {
            let start = format!("| {letter}{number} |");
            let row = rows.iter().find(|row| row.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("{letter}{number} is not listed"));
            // The first cell is empty, the second the number, the third what it is about.
            let named: Vec<&str> = row.split('|').skip(3).flat_map(in_ticks).collect();
            assert!(!named.is_empty(), "{row}");
            let own = (letter.to_ascii_lowercase(), number);
            for name in named {
                assert!(tests.contains(name), "{letter}{number}: there is no {name}");
                let all = numbers(name);
                let is_other = all.iter().any(|(of, _)| *of == own.0) && !all.contains(&own);
                assert!(
                    letter != 'S' || !is_other,
                    "{name} is not about {letter}{number}"
                );
                listed.insert((own, name.to_owned()));
            }
        }
    }
    let of = |name: &String| {
        let of_name = numbers(name).into_iter();
        of_name
            .map(|number| (number, name.clone()))
            .collect::<Vec<_>>()
    };
    let numbered = tests.iter().flat_map(of);
    let missing: Vec<_> = numbered.filter(|row| !listed.contains(row)).collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
}

fn in_ticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Each feature that the documents promise has a test that exists.
#[test]
fn every_feature_has_a_test() {
    let tests = tests();
    let rows: Vec<&str> = include_str!("../docs/features.md")
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what |"))
        .collect();
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 4, "{row}");
        let named: Vec<&str> = cells
            .last()
            .into_iter()
            .flat_map(|cell| in_ticks(cell))
            .collect();
        assert!(!named.is_empty(), "without a test: {row}");
        for name in named {
            assert!(tests.contains(name), "there is no {name}: {row}");
        }
    }
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
    let of_others = ["post_logout_redirect_path", "proxy_set_effective_context"];
    assert_eq!(unknown, of_others, "no tests");
}
