//! What is given and has first to be made into files that a gateway reads: templates of Helm, and folders.

use std::path::Path;

/// How actions of a template begin that Helm alone has.
const OF_HELM: [&str; 5] = [".Values", ".Release.", ".Chart.", "include \"", "toYaml "];

/// The first line of a text that is a template of Helm, counted from 1. Of one that is no YAML, any action
/// tells it.
pub(crate) fn line_of_template(text: &str, is_yaml: bool) -> Option<usize> {
    let lines = text.lines().enumerate();
    let mut written = lines.filter(|(_, line)| !line.trim_start().starts_with('#'));
    let is_action = |line: &str| {
        let mut actions = line.split("{{").skip(1);
        actions.any(|action| {
            let action = action.split("}}").next().unwrap_or_default();
            !is_yaml && line.contains("}}") || OF_HELM.iter().any(|word| action.contains(word))
        })
    };
    let (at, _) = written.find(|(_, line)| is_action(line))?;
    Some(at + 1)
}

/// What to do about a template.
pub(crate) const TEMPLATE: &str = "this is a Helm template: render it first with `helm template`, e.g. `helm template . | bearer-gate check -`";

/// What to give in the place of a folder.
pub(crate) fn folder(path: &Path) -> Option<String> {
    let name = path.display();
    let has = |names: &[&str]| names.iter().any(|name| path.join(name).is_file());
    let instead = match path.is_dir() {
        false => return None,
        true if has(&["kustomization.yaml", "kustomization.yml", "Kustomization"]) => {
            format!(
                "this is a folder of Kustomize: give what comes of it, e.g. `kubectl kustomize {name} | bearer-gate check -`"
            )
        }
        true if has(&["Chart.yaml"]) => {
            format!(
                "this is a Helm chart: render it first with `helm template`, e.g. `helm template {name} | bearer-gate check -`"
            )
        }
        true => format!(
            "this is a folder: give its files, e.g. {}",
            path.join("*.yaml").display()
        ),
    };
    Some(instead)
}

#[cfg(test)]
mod tests {
    use super::line_of_template;

    #[test]
    fn what_is_a_template() {
        let table = [
            ("a: 1\nb: {{ .x }}\n", false, Some(2)),
            ("{{- if .Values.gate }}\na: 1\n", false, Some(1)),
            ("a: '{{ .Values.issuer }}'\n", true, Some(1)),
            ("a: {{- include \"gate.name\" . }}\n", true, Some(1)),
            // templates of other programs, a comment, and YAML
            ("a: '{{ $labels.job }}'\n", true, None),
            ("# {{ .Values.issuer }}\na: 1\n", true, None),
            ("a: {b: {c: 1}}\n[", false, None),
            ("a: .Values\n", true, None),
        ];
        for (text, is_yaml, expected) in table {
            assert_eq!(line_of_template(text, is_yaml), expected, "{text}");
        }
    }
}
