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

/// The documents of all files, in their order, and those in their `ConfigMap`s.
#[derive(Default)]
pub(super) struct Files {
    pub documents: Vec<Node>,
    pub lines: Lines,
}

impl Files {
    /// # Errors
    /// As [`File::read_each`].
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, CommandError> {
        let mut files = Self::default();
        let mut above = 0;
        for read in File::read_each(paths)? {
            let Some(first) = read.first() else { continue };
            let lines = first.lines;
            files.lines.0.push((above, first.name.clone()));
            for mut document in read.into_iter().flat_map(|file| file.documents) {
                shift(&mut document, above);
                files.documents.push(document);
            }
            above += lines;
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
