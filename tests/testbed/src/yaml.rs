//! YAML files as JSON values, for tests that read what the repository ships.

use std::path::Path;

use serde_json::Value;

/// The documents of a file below the repository's root.
///
/// # Panics
/// When there is no such file, or it is not YAML.
pub fn documents(path: &str) -> Vec<Value> {
    let path = crate::repository().join(path);
    let text = read(&path);
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The one document of a file below the repository's root.
///
/// # Panics
/// When there is no such file, or it is not one YAML document.
pub fn document(path: &str) -> Value {
    let mut documents = documents(path);
    assert_eq!(documents.len(), 1, "{path}: one document");
    documents.remove(0)
}

/// The one document of a text.
///
/// # Panics
/// When it is not one YAML document.
pub fn parse(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("a YAML document")
}

/// The text of a file below the repository's root.
///
/// # Panics
/// When there is no such file.
pub fn text(path: &str) -> String {
    read(&crate::repository().join(path))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
