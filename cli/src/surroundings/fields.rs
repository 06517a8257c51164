//! Fields that a resource's API does not have.

use bearer_gate::config::nearest;

use crate::finding::{Finding, Kind, Spot};
use crate::view::Part;

/// A field by its name, and the fields in it, or in the items of its list; none where all are taken.
#[derive(Clone, Copy)]
pub(super) struct Field(pub &'static str, pub &'static [Self]);

/// Looks for members that the API does not have. The API server takes no other spelling: not
/// `plugin_config` for `pluginConfig`.
pub(super) fn look_at(part: Part<'_>, path: &str, fields: &[Field], findings: &mut Vec<Finding>) {
    if fields.is_empty() {
        return;
    }
    let items = part.node.items().iter();
    items.for_each(|item| look_at(part.with(item), path, fields, findings));
    for entry in part.node.entries() {
        let path = format!("{path}.{}", entry.name);
        match fields.iter().find(|field| field.0 == entry.name) {
            Some(field) => look_at(part.with(&entry.node), &path, field.1, findings),
            None => {
                let spot = Spot {
                    file: part.file,
                    line: entry.line,
                    column: entry.column,
                };
                let names = || fields.iter().map(|field| field.0);
                let instead = match nearest(&entry.name, &mut names()) {
                    Some(near) => near.to_owned(),
                    None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
                };
                findings.push(
                    Finding::error(
                        Kind::UnknownField,
                        spot,
                        &path,
                        "is no field there: kubectl refuses it, and an API server that takes it drops it in silence",
                    )
                    .write(instead),
                );
            }
        }
    }
}
