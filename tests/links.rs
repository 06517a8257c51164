//! Every link of every document leads somewhere: to a file of the tree, and to a heading in it.
//!
//! Invariant: links to other hosts are not followed, so that the test needs no network.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are not the project's own text.
const SKIPPED: [&str; 4] = [".cache", ".git", "target", "node_modules"];

/// The README is one that a stranger reads to its end.
const README_BYTES: usize = 12 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&name.as_str()) {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines that are no code blocks, without their code in ticks.
fn prose(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Where the inline links of a line lead.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("](") {
        let (target, after) = after.split_once(')').unwrap_or((after, ""));
        targets.push(target);
        rest = after;
    }
    targets
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let anchor: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let mut numbered = anchor.clone();
        for number in 1.. {
            if anchors.insert(numbered) {
                break;
            }
            numbered = format!("{anchor}-{number}");
        }
    }
    anchors
}

/// What is wrong with a link that stands in this document.
fn problem(document: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() {
        document.to_owned()
    } else {
        document.parent().unwrap().join(path)
    };
    if !file.exists() {
        return Some(format!("{target}: there is no such file"));
    }
    let anchor = anchor?;
    let known = fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor));
    (!known).then(|| format!("{target}: there is no such heading"))
}

#[test]
fn every_link_leads_somewhere() {
    let mut files = Vec::new();
    documents(root(), &mut files);
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in &files {
        for line in prose(&fs::read_to_string(file).unwrap()) {
            for target in targets(&line) {
                seen += 1;
                let name = file.strip_prefix(root()).unwrap().display();
                wrong.extend(problem(file, target).map(|problem| format!("{name}: {problem}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() > 20 && seen > 150, "{} {seen}", files.len());
}

#[test]
fn a_link_to_nowhere_is_noticed() {
    let readme = root().join("README.md");
    for target in ["docs/none.md", "#none", "docs/rules.md#none", "Makefile#x"] {
        assert!(problem(&readme, target).is_some(), "{target}");
    }
    for target in [
        "docs/rules.md",
        "#try-it",
        "docs/rules.md#report-only",
        "https://x.example/",
    ] {
        assert_eq!(problem(&readme, target), None);
    }
}

#[test]
fn the_index_has_every_document() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let lines = prose(&index);
    let listed: BTreeSet<&str> = lines.iter().flat_map(|line| targets(line)).collect();
    let mut files = Vec::new();
    documents(&root().join("docs"), &mut files);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "README.md" || listed.contains(name.as_str()),
            "{name}"
        );
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().nth(2).unwrap();
        assert!(
            first.starts_with("For "),
            "{name} does not say who needs it"
        );
    }
}

#[test]
fn the_readme_is_short() {
    let bytes = fs::read(root().join("README.md")).unwrap().len();
    assert!(bytes <= README_BYTES, "{bytes}");
}
