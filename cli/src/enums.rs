//! Enums of Envoy that `check` reads: a file may have their numbers, or their names in any case.

use crate::document::{Node, STRUCT, Yaml, snake_case, type_of};

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

/// Writes each enum of a document by its name.
pub(crate) fn name(node: &mut Node) {
    let is_free = type_of(node) == Some(STRUCT);
    match &mut node.yaml {
        Yaml::Map(_) if is_free => {}
        Yaml::Map(entries) => {
            for entry in entries {
                let field = snake_case(&entry.name);
                match ENUMS.iter().find(|(name, _)| *name == field) {
                    Some((_, names)) => name_value(&mut entry.node, names),
                    None => name(&mut entry.node),
                }
            }
        }
        Yaml::List(items) => items.iter_mut().for_each(name),
        _ => {}
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
            super::name(&mut node);
            assert!(node.to_json().contains(expected), "{text}");
        }
    }
}
