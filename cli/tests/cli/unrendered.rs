//! What has to be made into files first: templates of Helm, and folders.

use super::{Files, run, run_with};

const TEMPLATE: &str = "providers:\n  idp:\n    issuer: {{ .Values.issuer }}\n";

#[test]
fn a_template_of_helm_is_to_be_rendered() {
    let files = Files::in_a_directory();
    let bare = files.with("bare.yaml", TEMPLATE);
    let quoted = "providers:\n  idp:\n    issuer: '{{ .Values.issuer }}'\n";
    let quoted = files.with("quoted.yaml", quoted);
    for (file, command) in [(&bare, "check"), (&quoted, "check"), (&bare, "migrate")] {
        let ran = run(&[command, file]);
        assert_eq!(ran.code, 2, "{}", ran.out);
        let told = format!(
            "{file}:3: this is a Helm template: render it first with `helm template`, e.g. `helm template . | bearer-gate check -`"
        );
        assert!(ran.err.contains(&told), "{}", ran.err);
    }
    assert!(
        run_with(&["check", "-"], TEMPLATE)
            .err
            .contains("stdin:3: ")
    );
    // another program's templates are texts
    let other = "rules:\n- match: {path: /a}\nrealm: '{{ $labels.job }}'\n";
    let ran = run_with(&["check", "-"], other);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn of_a_folder_is_given_what_comes_of_it() {
    for (name, told) in [
        ("kustomization.yaml", "`kubectl kustomize "),
        ("Chart.yaml", "`helm template "),
        ("envoy.yaml", "give its files, e.g. "),
    ] {
        let files = Files::in_a_directory();
        files.with(name, "a: 1\n");
        let folder = files.path().display().to_string();
        for command in ["check", "migrate"] {
            let ran = run(&[command, &folder]);
            assert_eq!(ran.code, 2, "{}", ran.out);
            let is_told = ran.err.contains(told) && ran.err.contains(&folder);
            assert!(is_told, "{}", ran.err);
        }
    }
}
