//! Ports that there are not, for which Envoy refuses the whole of a file.

use crate::document::{Node, STRUCT, Yaml, snake_case, type_of};
use crate::finding::{Finding, Kind, Spot};
use crate::plugin::{File, Sort};

/// The field of an address that is its port.
const PORT: &str = "port_value";
/// What has fields that are nobody's but its readers'.
const FREE: &str = "filter_metadata";

/// Looks at each file of Envoy.
pub(crate) fn look_at(files: &[File], findings: &mut Vec<Finding>) {
    for (at, file) in files.iter().enumerate() {
        let is_of_envoy =
            |document: &&Node| matches!(Sort::of(document), Sort::Bootstrap | Sort::Resources);
        for document in file.documents.iter().filter(is_of_envoy) {
            look_below(document, at, findings);
        }
    }
}

fn look_below(node: &Node, file: usize, findings: &mut Vec<Finding>) {
    if type_of(node) == Some(STRUCT) {
        return;
    }
    for entry in node.entries() {
        match snake_case(&entry.name).as_str() {
            PORT => findings.extend(problem(&entry.node).map(|text| {
                let spot = Spot {
                    file,
                    line: entry.node.line,
                    column: entry.node.column,
                };
                Finding::error(Kind::PortInvalid, spot, PORT, text)
                    .write("port_value with a whole number from 1 to 65535; 0 for a free port of a listener")
            })),
            FREE => {}
            _ => look_below(&entry.node, file, findings),
        }
    }
    let items = node.items().iter();
    items.for_each(|item| look_below(item, file, findings));
}

/// What is wrong with a port, which is a number here wherever Envoy takes it for one that there is.
fn problem(port: &Node) -> Option<String> {
    const THEN: &str = "Envoy refuses it, and does not start or keeps what it had";
    let number = match &port.yaml {
        Yaml::Number(number) => number.as_f64(),
        Yaml::Text(text) => text.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number < 0.0 || number > f64::from(u16::MAX) => Some(format!(
            "is {number}, which is no port, for those end at 65535: {THEN}"
        )),
        Some(number) if number.fract() == 0.0 => None,
        _ => Some(format!("is no whole number: {THEN}")),
    }
}

#[cfg(test)]
mod tests {
    use super::look_below;
    use crate::forms;

    fn found(text: &str) -> usize {
        let node = forms::read(text).unwrap().remove(0);
        let mut findings = Vec::new();
        look_below(&node, 0, &mut findings);
        findings.len()
    }

    #[test]
    fn a_port_is_a_whole_number_of_two_bytes() {
        for port in ["0", "80", "65535", "'80'", "'0x50'", "80.0", "8e1"] {
            assert_eq!(found(&format!("a: [{{port_value: {port}}}]")), 0, "{port}");
        }
        for port in [
            "65536",
            "-1",
            "'81370'",
            "99999999999",
            "80.5",
            "http",
            "' 80'",
            "''",
            "true",
            "null",
            "[80]",
            "{}",
            "nan",
            "inf",
        ] {
            assert_eq!(found(&format!("a: [{{portValue: {port}}}]")), 1, "{port}");
        }
        for (port, expected) in [("80.0", 0), ("1e2", 0), ("1e9", 1), ("80.5", 1)] {
            let text = format!(r#"{{"port_value": {port}}}"#);
            assert_eq!(found(&text), expected, "{port}");
        }
    }

    #[test]
    fn what_others_have_is_no_port() {
        for text in [
            "{'@type': x/google.protobuf.Struct, value: {port_value: http}}",
            "{metadata: {filter_metadata: {a: {port_value: http}}}}",
            "{port: http, named_port: http}",
        ] {
            assert_eq!(found(text), 0, "{text}");
        }
    }
}
