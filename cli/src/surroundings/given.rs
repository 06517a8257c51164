//! Files that Envoy reads, and that were not given: what is in them is not looked at.

use crate::finding::{Finding, Kind};
use crate::view::{Group, Part, View, base_name};

pub(super) fn look_at(view: &View<'_>, group: &Group<'_>, findings: &mut Vec<Finding>) {
    let is_given = |path: &str| {
        let mut names = view.names.iter();
        names.any(|name| base_name(name) == base_name(path))
    };
    let mut tell = |source: Part<'_>, what: &str| {
        if let Some(path) = path_of(source)
            && !is_given(path.node.text().unwrap_or_default())
        {
            findings.push(not_given(path, what));
        }
    };
    if let Some(dynamic) = group
        .bootstrap
        .and_then(|bootstrap| bootstrap.get("dynamic_resources"))
    {
        if group.listeners.is_empty()
            && let Some(source) = dynamic.get("lds_config")
        {
            tell(source, "listeners");
        }
        if !group.has_all_clusters()
            && let Some(source) = dynamic.get("cds_config")
        {
            tell(source, "clusters");
        }
    }
    for chain in &group.chains {
        if chain.routes.is_empty()
            && let Some(source) = chain.manager.at(&["rds", "config_source"])
        {
            tell(source, "routes");
        }
        for filter in &chain.filters {
            let source = filter.entry.at(&["config_discovery", "config_source"]);
            if let Some(source) = source {
                tell(source, &format!("the filter {}", filter.name));
            }
        }
    }
}

/// The file that a source is.
fn path_of(source: Part<'_>) -> Option<Part<'_>> {
    let path = source.at(&["path_config_source", "path"]);
    path.or_else(|| source.get("path"))
}

fn not_given(path: Part<'_>, what: &str) -> Finding {
    let file = base_name(path.node.text().unwrap_or_default());
    Finding::warning(
        Kind::FileNotGiven,
        path.spot(),
        "path_config_source.path",
        format!("Envoy reads {what} from {file}, which is not among the files: what is in it is not looked at"),
    )
    .write(format!("{file} as another FILE of this command, or its name here"))
}
