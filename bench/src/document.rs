//! Puts a report between its two markers in a document.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Replaces the report of this name in the document, and says so.
///
/// # Errors
/// When the document cannot be read or written, or has no place for the report.
pub(crate) fn update(path: &Path, name: &str, report: &str) -> Result<()> {
    let text = fs::read_to_string(path)?;
    let text = with_report(&text, name, report).with_context(|| path.display().to_string())?;
    fs::write(path, text)?;
    println!("{} has the report of {name}", path.display());
    Ok(())
}

/// The text with `report` in place of what stands between `<!-- NAME: begin -->` and
/// `<!-- NAME: end -->`, on lines of their own.
///
/// # Errors
/// When there is not exactly one such pair.
pub(crate) fn with_report(document: &str, name: &str, report: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->\n"),
    );
    for marker in [&begin, &end] {
        let count = document.matches(marker.as_str()).count();
        ensure!(
            count == 1,
            "{count} lines {} instead of one",
            marker.trim_end()
        );
    }
    let (before, rest) = document.split_once(&begin).context("found before")?;
    let (_, after) = rest
        .split_once(&end)
        .context("the end is before the beginning")?;
    Ok(format!(
        "{before}{begin}\n{}\n\n{end}{after}",
        report.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# a\n<!-- x: begin -->\nold\n<!-- x: end -->\nlast\n";

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let expected = "# a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nlast\n";
        let once = with_report(DOCUMENT, "x", "new\n").unwrap();
        assert_eq!(once, expected);
        assert_eq!(with_report(&once, "x", "new\n").unwrap(), expected);
    }

    #[test]
    fn a_document_without_one_pair_of_markers_stays_as_it_is() {
        for document in [
            "nothing\n",
            "<!-- x: begin -->\n",
            "<!-- x: end -->\n<!-- x: begin -->\n",
            "<!-- x: begin -->\n<!-- x: begin -->\n<!-- x: end -->\n",
        ] {
            assert!(with_report(document, "x", "new").is_err(), "{document}");
        }
        assert!(with_report(DOCUMENT, "y", "new").is_err());
    }
}
