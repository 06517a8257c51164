//! What `check` reports about a file.

/// A report about a line of a file.
pub(crate) struct Finding {
    pub line: usize,
    pub column: usize,
    pub is_error: bool,
    /// The field, from the top of the plugin's configuration or of the document.
    pub path: String,
    pub text: String,
}
