//! The files that are given, read as if they were one text.

use std::path::{Path, PathBuf};

use crate::command_error::CommandError;
use crate::document::{Node, Yaml};
use crate::plugin::File;

/// Which file has a line of the text.
#[derive(Default)]
pub(super) struct Lines(Vec<(usize, String)>);

impl Lines {
    /// Those of one file.
    pub(super) fn of(path: &Path) -> Self {
        Self(vec![(0, path.display().to_string())])
    }

    /// The file, and the line in it.
    pub(super) fn locate(&self, line: usize) -> (&str, usize) {
        let file = self.0.iter().rev().find(|(above, _)| *above < line);
        file.or(self.0.first())
            .map_or(("", line), |(above, name)| (name.as_str(), line - above))
    }

    /// The names of the files.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(_, name)| name.as_str()).collect();
        names.join(", ")
    }
}

/// The documents of all files, in their order.
#[derive(Default)]
pub(super) struct Files {
    pub documents: Vec<Node>,
    pub lines: Lines,
}

impl Files {
    /// # Errors
    /// A file cannot be read.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, CommandError> {
        let mut files = Self::default();
        let mut above = 0;
        for path in paths {
            let text = std::fs::read_to_string(path)
                .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?;
            let file = File::read(path)?;
            files.lines.0.push((above, file.name));
            for mut document in file.documents {
                shift(&mut document, above);
                files.documents.push(document);
            }
            above += text.lines().count();
        }
        Ok(files)
    }
}

fn shift(node: &mut Node, by: usize) {
    node.line += by;
    match &mut node.yaml {
        Yaml::Map(entries) => {
            for entry in entries {
                entry.line += by;
                shift(&mut entry.node, by);
            }
        }
        Yaml::List(items) => items.iter_mut().for_each(|item| shift(item, by)),
        _ => {}
    }
}
