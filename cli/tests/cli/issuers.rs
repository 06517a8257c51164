//! Several issuers, and tenants of one: what `check` finds, and how `explain` says who was refused.

use serde_json::{Value, json};

use super::{Files, run};

const OURS: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
const OTHER: &str = "82229342-1101-4ab6-817b-70c0747630f3";
const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";

fn of(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// The findings of `check` about a provider, and its exit code.
fn check(provider: &Value) -> (i32, Vec<String>) {
    let mut config = json!({
        "providers": {"p": {
            "audiences": ["api"],
            "remote_jwks": {"http_uri": {"uri": "https://i/k", "cluster": "c", "timeout": "1s"}},
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
    });
    for (name, value) in provider.as_object().unwrap() {
        config["providers"]["p"][name] = value.clone();
    }
    let files = Files::in_a_directory();
    let ran = run(&[
        "check",
        "--json",
        &files.with("c.json", &config.to_string()),
    ]);
    let report = ran.json();
    let findings = report[0]["findings"].as_array().unwrap().iter();
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = findings.map(|one| {
        let (severity, path) = (word(one, "severity"), word(one, "path"));
        format!("{severity} {path}")
    });
    (ran.code, findings.collect())
}

#[test]
fn what_check_finds_of_issuers() {
    for (provider, code, expected) in [
        (json!({"issuers": ["https://a/", "b"]}), 0, None),
        (json!({"issuer": TEMPLATE, "tenants": [OURS]}), 0, None),
        (
            json!({"issuer": TEMPLATE}),
            1,
            Some("error providers.p.tenants"),
        ),
        (
            json!({"issuer": TEMPLATE, "tenants": ["contoso.com"]}),
            1,
            Some("error providers.p.tenants[0]"),
        ),
        (
            json!({"issuer": TEMPLATE, "any_tenant": true}),
            0,
            Some("warning providers.p.any_tenant"),
        ),
        (
            json!({"issuer": "https://login.example/{tenant}/v2.0"}),
            0,
            Some("warning providers.p.issuer"),
        ),
        (
            json!({"issuers": ["https://a/", "http://b/"]}),
            0,
            Some("warning providers.p.issuers"),
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(check(&provider), (code, expected), "{provider}");
    }
}

/// A provider whose key is for the tokens of an issuer, and a token of that key.
struct Setup {
    files: Files,
    key: String,
    set: Value,
}

impl Setup {
    fn new() -> Self {
        let files = Files::in_a_directory();
        let name = files.path().join("k").display().to_string();
        assert_eq!(run(&["keygen", "--out", &name]).code, 0);
        let set = std::fs::read_to_string(format!("{name}.jwks.json")).unwrap();
        Self {
            key: format!("{name}.jwk.json"),
            set: serde_json::from_str(&set).unwrap(),
            files,
        }
    }

    /// What `explain` prints of a token with these claims.
    fn explain(&self, iss: &str, tid: Option<&str>, issuer_of_key: &str) -> (i32, String) {
        let mut set = self.set.clone();
        set["keys"][0]["issuer"] = json!(issuer_of_key);
        let config = json!({
            "providers": {"p": {
                "issuer": TEMPLATE, "tenants": [OURS], "audiences": ["api"],
                "local_jwks": {"inline_string": set.to_string()},
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
        });
        let config = self.files.with("c.json", &config.to_string());
        let iss = format!("iss={iss}");
        let mut arguments = vec!["token", "--key", &self.key, "--claim", "aud=api"];
        arguments.extend(["--claim", &iss]);
        let tid = tid.map(|tid| format!("tid={tid}"));
        arguments.extend(tid.iter().flat_map(|tid| ["--claim", tid]));
        let token = run(&arguments);
        assert_eq!(token.code, 0, "{}", token.err);
        let ran = run(&[
            "explain",
            "--config",
            &config,
            "--path",
            "/",
            "--token",
            token.out.trim(),
        ]);
        (ran.code, ran.out)
    }
}

#[test]
fn a_tenant_that_is_refused_is_named() {
    let setup = Setup::new();
    let listed = format!("expected: \"{TEMPLATE}\" of one of {OURS}");
    for (iss, tid, code, why) in [
        (of(OURS), Some(OURS), 0, ""),
        (of(OTHER), Some(OTHER), 1, ": the tenant is not one of them"),
        (of(OURS), Some(OTHER), 1, ": tid is not the tenant of iss"),
        (of(OURS), None, 1, ": tid is not the tenant of iss"),
        (
            TEMPLATE.to_owned(),
            Some(OURS),
            1,
            ": iss has not this form, with a tenant's id for {tenantid}",
        ),
    ] {
        let (exit, out) = setup.explain(&iss, tid, TEMPLATE);
        assert_eq!(exit, code, "{out}");
        let tid = tid.map_or("not there".to_owned(), |tid| format!("\"{tid}\""));
        let line = format!("iss is \"{iss}\", tid is {tid}; {listed}{why}");
        assert!(out.contains(&line), "{line}\n{out}");
    }
}

#[test]
fn a_key_of_another_tenant_is_named() {
    let setup = Setup::new();
    let (code, out) = setup.explain(&of(OURS), Some(OURS), &of(OTHER));
    assert_eq!(code, 1, "{out}");
    let line = format!(" of {} for ", of(OTHER));
    assert!(out.contains("not tried: kid "), "{out}");
    assert!(out.contains(&line), "{out}");
    assert!(out.contains("no_key"), "{out}");
    let (code, out) = setup.explain(&of(OURS), Some(OURS), &of(OURS));
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_workload_that_is_refused_is_named() {
    let setup = Setup::new();
    let config = json!({
        "providers": {"p": {
            "trust_domain": "example.org", "audiences": ["api"],
            "local_jwks": {"inline_string": setup.set.to_string()},
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
    });
    let config = setup.files.with("c.json", &config.to_string());
    for (sub, code) in [
        ("spiffe://example.org/sa/web", 0),
        ("spiffe://example.org.evil/sa/web", 1),
    ] {
        let claim = format!("sub={sub}");
        let token = run(&[
            "token", "--key", &setup.key, "--claim", "aud=api", "--claim", &claim,
        ]);
        let token = token.out.trim();
        let ran = run(&[
            "explain", "--config", &config, "--path", "/", "--token", token,
        ]);
        assert_eq!(ran.code, code, "{}", ran.out);
        let line = format!(
            "sub is \"{sub}\"; expected: the SPIFFE ID of a workload of spiffe://example.org/"
        );
        assert!(ran.out.contains(&line), "{}", ran.out);
    }
}
