//! What is printed: colours where it is a terminal, and nothing that could steer one.

use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const WARN: Style = AnsiColor::Yellow.on_default();
pub const DIM: Style = Style::new().dimmed();
pub const HEAD: Style = Style::new().bold();

/// A text in a style; what is no terminal gets it without.
pub fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A text of somebody else's, on one line: control characters, and those that turn the direction
/// of writing, are escaped.
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            // writing to a String does not fail
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_cannot_steer_the_terminal() {
        assert_eq!(
            safe("a\u{1b}[2Jb\r\n\u{9b}\u{202e}é"),
            "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{9b}\\u{202e}é"
        );
    }
}
