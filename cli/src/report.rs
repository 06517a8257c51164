//! Prints what `check` found: for people, as JSON, or as SARIF.

mod sarif;

use anstream::println;
use serde_json::{Value, json};

use crate::config_map::Entry;
use crate::finding::{Finding, Note};
use crate::output::{BAD, GOOD, WARN, escaped, safe, styled};
use crate::plugin::{File, Plugin};

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// A list of files, each with what is found in it
    Json,
    /// SARIF 2.1.0, which code hosts show beside the lines
    Sarif,
}

/// All that is said of the files.
pub(crate) struct Report<'a> {
    pub files: &'a [File],
    pub plugins: &'a [Plugin<'a>],
    /// In the order of files and lines.
    pub findings: &'a [Finding],
    /// What was not looked at.
    pub notes: &'a [Note],
    /// Whether warnings are errors.
    pub is_strict: bool,
}

impl Report<'_> {
    pub(crate) fn is_good(&self) -> bool {
        !self.findings.iter().any(|finding| self.refuses(finding))
    }

    pub(crate) fn print(&self, format: Format) {
        match format {
            Format::Text => self.print_text(),
            Format::Json => {
                let files = (0..self.files.len()).map(|file| self.file_as_json(file));
                println!("{}", escaped(&files.collect()));
            }
            Format::Sarif => println!("{}", escaped(&sarif::of(self))),
        }
    }

    fn refuses(&self, finding: &Finding) -> bool {
        finding.is_error() || self.is_strict
    }

    /// The name of a file, what is found in it, how many configurations it has, and whether it is
    /// good.
    fn of_file(&self, file: usize) -> (&str, Vec<&Finding>, usize, bool) {
        let name = self.files.get(file).map_or("", |file| file.name.as_str());
        let findings = self.findings.iter();
        let findings: Vec<&Finding> = findings.filter(|found| found.spot.file == file).collect();
        let configurations = self.plugins.iter().filter(|plugin| plugin.file == file);
        let is_good = !findings.iter().any(|finding| self.refuses(finding));
        (name, findings, configurations.count(), is_good)
    }

    fn notes_of(&self, file: usize) -> impl Iterator<Item = &Note> {
        let notes = self.notes.iter();
        notes.filter(move |note| note.spot.file == file)
    }

    fn print_text(&self) {
        for file in 0..self.files.len() {
            let (name, findings, configurations, is_good) = self.of_file(file);
            for finding in &findings {
                println!("{}", line(name, finding));
            }
            for Note { spot, text } in self.notes_of(file) {
                let (line, column) = (spot.line, spot.column);
                println!("{name}:{line}:{column}: note: {}", safe(text));
            }
            let warnings = findings
                .iter()
                .filter(|finding| !finding.is_error())
                .count();
            let other = self.files.get(file).and_then(File::is_of_another_kind);
            if let Some(kind) = other {
                println!("{name}: passed over: it is {kind}");
                continue;
            }
            let verdict = if is_good {
                styled(GOOD, "good")
            } else {
                styled(BAD, "refused")
            };
            let entry = self.files.get(file).and_then(|file| file.entry.as_ref());
            let entry = entry.map_or_else(String::new, |Entry { map, key }| {
                safe(&format!(" {key} of ConfigMap {map}:"))
            });
            println!(
                "{name}:{entry} {verdict}: configurations: {configurations}, warnings: {warnings}"
            );
        }
    }

    fn file_as_json(&self, file: usize) -> Value {
        let (name, findings, configurations, is_good) = self.of_file(file);
        let findings: Vec<Value> = findings.into_iter().map(as_json).collect();
        let other = self.files.get(file).and_then(File::is_of_another_kind);
        let notes: Vec<Value> = self
            .notes_of(file)
            .map(|note| json!({"line": note.spot.line, "column": note.spot.column, "text": note.text}))
            .collect();
        let entry = self.files.get(file).and_then(|file| file.entry.as_ref());
        let entry = entry.map(|Entry { map, key }| json!({"config_map": map, "key": key}));
        json!({"file": name, "entry": entry, "good": is_good, "passed_over": other.is_some(), "configurations": configurations, "findings": findings, "notes": notes})
    }
}

/// A finding for people; what to write stands below it.
pub(crate) fn line(name: &str, finding: &Finding) -> String {
    let level = match finding.is_error() {
        true => styled(BAD, "error"),
        false => styled(WARN, "warning"),
    };
    let path = match finding.path.as_str() {
        "" => String::new(),
        path => format!("{}: ", safe(path)),
    };
    let mut text = format!(
        "{name}:{}:{}: {level}: {path}{}",
        finding.spot.line,
        finding.spot.column,
        safe(&finding.text)
    );
    for (at, line) in finding.instead.lines().enumerate() {
        let head = if at == 0 { "write " } else { "      " };
        text.push_str(&format!("\n    {head}{}", safe(line)));
    }
    text
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "severity": finding.level.name(),
        "kind": finding.kind.name(),
        "line": finding.spot.line,
        "column": finding.spot.column,
        "path": finding.path,
        "text": finding.text,
        "instead": finding.instead,
    })
}
