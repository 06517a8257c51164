//! Where the control planes of Istio and Envoy Gateway take the module from.

use crate::finding::{Finding, Kind};
use crate::view::Part;

/// Looks at a module's address. `has_sum`: whether its SHA-256 is compared.
pub(super) fn look_at(url: Part<'_>, path: &str, has_sum: bool, findings: &mut Vec<Finding>) {
    let text = url.node.text().unwrap_or_default();
    if has_sum || text.starts_with("file://") {
        return;
    }
    let finding = if text.starts_with("http://") {
        Finding::error(
            Kind::ModuleUnverified,
            url.spot(),
            path,
            "is fetched in the clear, and no sum is compared: who is in between brings another module, which lets everybody in",
        )
        .write("an image by its digest, or https:// and sha256")
    } else if text.starts_with("https://") {
        Finding::warning(
            Kind::ModuleUnverified,
            url.spot(),
            path,
            "is fetched, and no sum is compared: who can write to that server decides who gets in",
        )
        .write("sha256: the sum that `sha256sum plugin.wasm` prints, beside url")
    } else if moves(text) {
        Finding::warning(
            Kind::ModuleUnverified,
            url.spot(),
            path,
            "is the latest image, whichever that is: the next push changes the filter, and old and new pods run different ones",
        )
        .write("a version (:0.1.0), or a digest (@sha256:...)")
    } else {
        return;
    };
    findings.push(finding);
}

/// Whether the name of an image is that of the latest one.
fn moves(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

#[cfg(test)]
mod tests {
    use super::moves;

    #[test]
    fn the_latest_image() {
        let table = [
            ("oci://r.example/gate:latest", true),
            ("oci://r.example/gate", true),
            ("r.example:5000/gate", true),
            ("r.example:5000/gate:0.1.0", false),
            ("oci://r.example/gate:latest@sha256:ab", false),
            ("oci://r.example/gate@sha256:ab", false),
        ];
        for (image, expected) in table {
            assert_eq!(moves(image), expected, "{image}");
        }
    }
}
