//! Output: colours on a terminal, and no characters that could steer a terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const HEAD: Style = Style::new().bold();

/// A text in a style. The style is left out if the output is no terminal.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A text from outside, on one line: characters that steer a terminal are escaped.
pub(crate) fn safe(text: &str) -> String {
    escape(text, |c| format!("\\u{{{:x}}}", u32::from(c)))
}

/// JSON in which characters that steer a terminal are escaped. Its meaning stays the same.
pub(crate) fn escaped(json: &Value) -> String {
    escape(&json.to_string(), |c| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units).iter();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    })
}

/// A text in quotes, as YAML has it.
pub(crate) fn quoted(text: &str) -> String {
    escape(&Value::from(text).to_string(), |c| {
        format!("\\U{:08x}", u32::from(c))
    })
}

/// `[text](target)` as `text`.
pub(crate) fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let (Some((start, name)), Some((_, end))) =
            (before.rsplit_once('['), after.split_once(')'))
        else {
            break;
        };
        plain.push_str(start);
        plain.push_str(name);
        rest = end;
    }
    plain + rest
}

fn escape(text: &str, escaped: impl Fn(char) -> String) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            safe.push_str(&escaped(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether a character could steer a terminal: control characters, those that change the direction of
/// writing or end a line, and invisible ones.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_cannot_steer_the_terminal() {
        assert_eq!(
            safe("a\u{1b}[2Jb\r\n\u{9b}\u{202e}\u{2028}\u{200b}é"),
            "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{9b}\\u{202e}\\u{2028}\\u{200b}é"
        );
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let json = json!({"a\u{202e}": "\u{1b}\u{9b}\u{e0041}é\n"});
        let text = escaped(&json);
        assert_eq!(text, r#"{"a\u202e":"\u001b\u009b\udb40\udc41é\n"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json);
    }

    #[test]
    fn links_are_told_by_their_words() {
        assert_eq!(
            without_links("see [a b](c#d), [e](f) [g] (h)"),
            "see a b, e [g] (h)"
        );
    }
}
