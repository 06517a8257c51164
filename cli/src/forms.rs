//! What Envoy takes in several forms, in one of them: the enums that `check` reads, of which a file may
//! have the numbers, or the names in any case; ports, which may be texts; and lists within lists.

use crate::document::{self, Node, STRUCT, Unreadable, Yaml, snake_case, type_of};
use crate::sort::Sort;

/// Fields, and the names of their values by number, from 0.
const ENUMS: [(&str, &[&str]); 5] = [
    // extensions/wasm/v3/wasm.proto
    (
        "failure_policy",
        &["UNSPECIFIED", "FAIL_RELOAD", "FAIL_CLOSED", "FAIL_OPEN"],
    ),
    // extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto
    (
        "path_with_escaped_slashes_action",
        &[
            "IMPLEMENTATION_SPECIFIC_DEFAULT",
            "KEEP_UNCHANGED",
            "REJECT_REQUEST",
            "UNESCAPE_AND_REDIRECT",
            "UNESCAPE_AND_FORWARD",
        ],
    ),
    // config/core/v3/protocol.proto
    (
        "headers_with_underscores_action",
        &["ALLOW", "REJECT_REQUEST", "DROP_HEADER"],
    ),
    // extensions/transport_sockets/tls/v3/common.proto
    (
        "san_type",
        &[
            "SAN_TYPE_UNSPECIFIED",
            "EMAIL",
            "DNS",
            "URI",
            "IP_ADDRESS",
            "OTHER_NAME",
        ],
    ),
    (
        "trust_chain_verification",
        &["VERIFY_TRUST_CHAIN", "ACCEPT_UNTRUSTED"],
    ),
];

/// A port, wherever one is.
const PORT: &str = "port_value";

/// The documents of a text, in these forms.
pub(crate) fn read(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut documents = document::parse(text, None)?;
    documents.iter_mut().for_each(unify);
    Ok(documents)
}

/// Writes each enum of a document by its name, each port as a number, and lists without lists in them.
fn unify(document: &mut Node) {
    // those of Kubernetes are read by others, who take no list within a list
    let is_of_envoy = matches!(Sort::of(document), Sort::Bootstrap | Sort::Resources);
    unify_below(document, is_of_envoy);
}

fn unify_below(node: &mut Node, is_of_envoy: bool) {
    let is_free = type_of(node) == Some(STRUCT);
    match &mut node.yaml {
        Yaml::Map(_) if is_free => {}
        Yaml::Map(entries) => {
            for entry in entries {
                let field = snake_case(&entry.name);
                match ENUMS.iter().find(|(name, _)| *name == field) {
                    Some((_, names)) => name_value(&mut entry.node, names),
                    None if field == PORT => number_port(&mut entry.node),
                    None => unify_below(&mut entry.node, is_of_envoy),
                }
            }
        }
        Yaml::List(items) => {
            if is_of_envoy {
                flatten(items);
            }
            for item in items {
                unify_below(item, is_of_envoy);
            }
        }
        _ => {}
    }
}

/// Puts the items of lists that are items in their place.
fn flatten(items: &mut Vec<Node>) {
    let is_list = |item: &Node| matches!(item.yaml, Yaml::List(_));
    while items.iter().any(is_list) {
        let nested = std::mem::take(items).into_iter();
        items.extend(nested.flat_map(|item| match item.yaml {
            Yaml::List(items) => items,
            _ => vec![item],
        }));
    }
}

/// Protobuf's JSON takes a whole number as a text too, with an exponent or in hexadecimal.
fn number_port(node: &mut Node) {
    let Some(text) = node.text() else { return };
    let port = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text
            .parse()
            .ok()
            .and_then(|number: f64| (0..=u16::MAX).find(|port| f64::from(*port) == number)),
    };
    if let Some(port) = port {
        node.yaml = Yaml::Number(port.into());
    }
}

/// Protobuf's JSON takes a number as a text too, with blanks around it.
fn name_value(node: &mut Node, names: &[&str]) {
    let number = match &node.yaml {
        Yaml::Number(number) => number.as_u64(),
        Yaml::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let by_number = number.and_then(|number| names.get(usize::try_from(number).ok()?));
    let by_name = node.text().and_then(|text| {
        let mut names = names.iter();
        names.find(|name| name.eq_ignore_ascii_case(text))
    });
    if let Some(name) = by_number.or(by_name) {
        node.yaml = Yaml::Text((*name).to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{Scalars, parse};

    #[test]
    fn a_list_has_no_lists_and_a_port_is_a_number() {
        let table = [
            ("{admin: [[1, [2]], [], 3]}", r#"{"admin":[1,2,3]}"#),
            (
                "{admin: 1, s: {'@type': x/google.protobuf.Struct, value: [[1]]}}",
                r#""value":[[1]]"#,
            ),
            ("{kind: A, a: [[1]]}", r#""a":[[1]]"#),
            ("{port_value: '8080'}", "8080}"),
            ("{portValue: 8e1}", "80}"),
            ("{port_value: 80.0}", "80}"),
            ("{port_value: '0x50'}", "80}"),
            ("{port_value: http}", r#""http""#),
            ("{port_value: 80.5}", r#""80.5""#),
            ("{port_value: ' 80'}", r#"" 80""#),
        ];
        for (text, expected) in table {
            let mut node = parse(text, Some(Scalars::Envoy)).unwrap().remove(0);
            super::unify(&mut node);
            assert!(node.to_json().contains(expected), "{text}");
        }
    }

    #[test]
    fn an_enum_has_its_name() {
        let table = [
            ("{failure_policy: 3}", "FAIL_OPEN"),
            ("{failurePolicy: ' 3'}", "FAIL_OPEN"),
            ("{failure_policy: fail_open}", "FAIL_OPEN"),
            ("{failure_policy: 0x1}", "FAIL_RELOAD"),
            ("{a: [{san_type: 2}]}", "DNS"),
            ("{trust_chain_verification: 1}", "ACCEPT_UNTRUSTED"),
            (
                "{path_with_escaped_slashes_action: 4}",
                "UNESCAPE_AND_FORWARD",
            ),
            ("{headers_with_underscores_action: 2}", "DROP_HEADER"),
            ("{failure_policy: 9}", "9"),
            (
                "{'@type': x/google.protobuf.Struct, value: {san_type: 2}}",
                "2",
            ),
        ];
        for (text, expected) in table {
            let mut node = parse(text, Some(Scalars::Envoy)).unwrap().remove(0);
            super::unify(&mut node);
            assert!(node.to_json().contains(expected), "{text}");
        }
    }
}
