//! What comes to Envoy from elsewhere: files that it reads and that were not given, so that what is in
//! them is not looked at; and who it says that it is.

use crate::finding::{Finding, Kind};
use crate::plugin::base_name;
use crate::view::{Group, Part, View};

pub(super) fn look_at(view: &View<'_>, group: &Group<'_>, findings: &mut Vec<Finding>) {
    let is_given = |path: &str| view.names.contains(&base_name(path));
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
        if !group.has_listeners_by_xds()
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

/// Envoy takes nothing from elsewhere without a name of its own.
pub(super) fn look_at_node(group: &Group<'_>, findings: &mut Vec<Finding>) {
    let Some(bootstrap) = group.bootstrap else {
        return;
    };
    let is_named = |name: &str| {
        let text = bootstrap.node.text_at(&["node", name]);
        text.is_some_and(|text| !text.is_empty())
    };
    let mut filters = group.chains.iter().flat_map(|chain| &chain.filters);
    let source = filters.find_map(|filter| filter.entry.get("config_discovery"));
    let by_rds = || {
        group
            .chains
            .iter()
            .find_map(|chain| chain.manager.get("rds"))
    };
    let by_xds = || {
        let dynamic = bootstrap.get("dynamic_resources")?;
        dynamic
            .get("lds_config")
            .or_else(|| dynamic.get("cds_config"))
    };
    if let Some(source) = source.or_else(by_rds).or_else(by_xds)
        && !(is_named("id") && is_named("cluster"))
    {
        findings.push(
            Finding::warning(
                Kind::NodeMissing,
                source.spot(),
                "node",
                "id and cluster of node are missing: Envoy takes nothing from elsewhere without them, and does not start",
            )
            .write("node: {id: NAME, cluster: NAME} at the top; or start Envoy with --service-node and --service-cluster"),
        );
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
