//! `keygen` and `token`: marked as for tests, and good for the filter's own verifier.

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwks::KeySet;
use serde_json::Value;

use super::{Files, Ran, run};

#[test]
fn a_key_of_each_algorithm_signs_what_its_set_verifies() {
    for alg in [
        "RS256", "RS512", "PS256", "PS384", "ES256", "ES384", "EdDSA",
    ] {
        let files = Files::in_a_directory();
        let name = files.path().join("k").display().to_string();
        let made = run(&["keygen", "--alg", alg, "--out", &name, "--kid", "one"]);
        assert_eq!(made.code, 0, "{alg} {}", made.err);
        assert!(made.err.contains("for tests"));
        let set = std::fs::read_to_string(format!("{name}.jwks.json")).unwrap();
        assert!(set.contains(r#""kid":"bearer-gate-test-one""#), "{set}");
        for secret in ["\"d\"", "\"p\"", "\"q\""] {
            assert!(!set.contains(secret), "{set}");
        }
        assert_eq!(KeySet::parse(set.as_bytes()).unwrap().keys().len(), 1);
        let config = files.with(
            "c.yaml",
            &format!("providers:\n  p:\n    any_issuer: true\n    any_audience: true\n    local_jwks: {{inline_string: '{}'}}\nrules:\n- match: {{prefix: /}}\n  requires: {{provider_name: p}}\n", set.trim()),
        );
        for form in ["jwk.json", "pem"] {
            let key = format!("{name}.{form}");
            let minted = run(&["token", "--key", &key]);
            assert_eq!(minted.code, 0, "{alg} {form} {}", minted.err);
            assert!(minted.err.contains("for tests"));
            let token = minted.out.trim();
            let ran = run(&["explain", "--config", &config, "--token", token]);
            assert_eq!(ran.code, 0, "{alg} {form} {}", ran.out);
        }
        let again = run(&["keygen", "--alg", alg, "--out", &name]);
        assert_eq!(again.code, 2, "a key is never overwritten");
    }
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_private_key() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::in_a_directory();
    let name = files.path().join("k").display().to_string();
    run(&["keygen", "--alg", "EdDSA", "--out", &name]);
    for form in ["pem", "jwk.json"] {
        let metadata = std::fs::metadata(format!("{name}.{form}")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn claims_are_json_or_text() {
    let ran = run(&[
        "token",
        "--key",
        "tests/fixtures/ed25519.pem",
        "--claim",
        "sub=me",
        "--claim",
        "roles=[\"a\"]",
        "--claim",
        "n=5",
        "--claim",
        "exp=null",
        "--scope",
        "a b",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let part = |at: usize| -> Value {
        let part = ran.out.trim().split('.').nth(at).unwrap();
        serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap()
    };
    let claims = part(1);
    assert_eq!(claims["sub"], "me");
    assert_eq!(claims["roles"][0], "a");
    assert_eq!(claims["n"], 5);
    assert_eq!(claims["scope"], "a b");
    assert!(claims["exp"].is_null() && claims["iat"].is_u64());
    let kid = part(0)["kid"].as_str().unwrap().to_owned();
    assert!(kid.starts_with("bearer-gate-test-"), "{kid}");
    assert_eq!(part(0)["alg"], "EdDSA");
}

#[test]
fn a_key_signs_with_its_own_algorithms_only() {
    let key = "tests/fixtures/p256.pem";
    for alg in ["RS256", "ES384", "EdDSA", "none", "es256"] {
        assert_eq!(run(&["token", "--key", key, "--alg", alg]).code, 2, "{alg}");
    }
    assert_eq!(run(&["token", "--key", key, "--claim", "nothing"]).code, 2);
    assert_eq!(run(&["token", "--key", "README.md"]).code, 2);
}

/// The kid of a token.
fn kid(token: &str) -> Value {
    let header = base64url::decode(token.split('.').next().unwrap().as_bytes()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
}

#[test]
fn one_kid_whichever_file_is_used() {
    for named in [&[][..], &["--kid", "one"]] {
        let files = Files::in_a_directory();
        let name = files.path().join("k").display().to_string();
        let mut arguments = vec!["keygen", "--alg", "ES256", "--out", &name];
        arguments.extend(named);
        let made = run(&arguments);
        let read = |form: &str| std::fs::read_to_string(format!("{name}.{form}")).unwrap();
        let set: Value = serde_json::from_str(&read("jwks.json")).unwrap();
        let expected = &set["keys"][0]["kid"];
        let expected_kid = expected.as_str().unwrap();
        // the final kid, and the next commands
        for told in [
            format!("its kid is {expected_kid}, in each of the files"),
            format!("bearer-gate token --key {name}.pem --config FILE"),
            format!("--jwks {name}.jwks.json --token"),
        ] {
            assert!(made.err.contains(&told), "{told}: {}", made.err);
        }
        let ran = run_as_printed(&made.err, "envoy/envoy-minimal.yaml", "/api/x");
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("x-user: me"), "{}", ran.out);
        let prefixed = made.err.contains("stands before the kid");
        assert_ne!(prefixed, named.is_empty(), "{}", made.err);
        for form in ["pem", "jwk.json"] {
            let minted = run(&["token", "--key", &format!("{name}.{form}")]);
            assert_eq!(kid(minted.out.trim()), *expected, "{form}");
            assert!(minted.err.contains(expected_kid), "{}", minted.err);
        }
        if named.is_empty() {
            // as another program would write it, without what stands above
            let pem = read("pem");
            let bare = files.with("bare.pem", &pem[pem.find("-----").unwrap()..]);
            let minted = run(&["token", "--key", &bare]);
            assert_eq!(kid(minted.out.trim()), *expected);
        }
    }
}

#[test]
fn each_key_has_a_kid_of_its_own_by_default() {
    let files = Files::in_a_directory();
    let kids = ["a", "b"].map(|name| {
        let name = files.path().join(name).display().to_string();
        let made = run(&["keygen", "--alg", "ES256", "--out", &name]);
        assert_eq!(made.code, 0, "{}", made.err);
        let set = std::fs::read_to_string(format!("{name}.jwks.json")).unwrap();
        serde_json::from_str::<Value>(&set).unwrap()["keys"][0]["kid"].clone()
    });
    assert_ne!(kids[0], kids[1]);
}

/// A token by a configuration is one that its provider takes.
#[test]
fn a_token_by_a_configuration_is_good() {
    let files = Files::in_a_directory();
    let name = files.path().join("k").display().to_string();
    assert_eq!(run(&["keygen", "--alg", "ES256", "--out", &name]).code, 0);
    let (key, keys) = (format!("{name}.pem"), format!("{name}.jwks.json"));
    let remote = "remote_jwks: {http_uri: {uri: http://127.0.0.1:1/, cluster: c, timeout: 1s}}";
    let explain = |config: &str, token: &str| {
        let arguments = [
            "explain", "--config", config, "--jwks", &keys, "--token", token,
        ];
        run(&arguments)
    };
    for settings in [
        "issuer: https://i.example/, audiences: [api, other]",
        "issuer: https://i.example/, audiences: [api], token_type: at+jwt, max_lifetime: 60s",
        "issuer: https://i.example/, audiences: [api], token_type: jwt, require_expiration: true",
        "any_issuer: true, any_audience: true",
        "issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', any_tenant: true, audiences: [api]",
        "issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', tenants: [11111111-2222-3333-4444-555555555555], audiences: [api]",
        "issuer: spiffe://prod.example, audiences: [api]",
    ] {
        let config = files.with(
            "c.yaml",
            &format!(
                "providers: {{p: {{{settings}, {remote}}}}}\nrules: [{{match: {{prefix: /}}, requires: {{provider_name: p}}}}]\n"
            ),
        );
        let minted = run(&["token", "--key", &key, "--config", &config]);
        assert_eq!(minted.code, 0, "{settings}: {}", minted.err);
        assert!(
            !minted.err.contains("the provider takes no"),
            "{}",
            minted.err
        );
        let ran = explain(&config, minted.out.trim());
        assert_eq!(ran.code, 0, "{settings}: {}{}", ran.out, ran.err);
        // What is asked for comes before what the provider wants.
        let minted = run(&[
            "token",
            "--key",
            &key,
            "--config",
            &config,
            "--expires-in",
            "-90",
        ]);
        let ran = explain(&config, minted.out.trim());
        assert!(
            ran.out.contains("rejected: expired"),
            "{settings}: {}",
            ran.out
        );
    }
}

#[test]
fn a_configuration_with_several_providers_needs_a_name() {
    let files = Files::in_a_directory();
    let provider = |more: &str| {
        format!(
            "{{issuer: https://i.example/, audiences: [a], {more} remote_jwks: {{http_uri: {{uri: http://127.0.0.1:1/, cluster: c, timeout: 1s}}}}}}"
        )
    };
    let config = files.with(
        "two.yaml",
        &format!(
            "providers:\n  p: {}\n  q: {}\n",
            provider(""),
            provider("algorithms: [RS256],")
        ),
    );
    let token = |more: &[&str]| {
        let arguments = [
            "token",
            "--key",
            "tests/fixtures/ed25519.pem",
            "--config",
            &config,
        ];
        run(&[&arguments[..], more].concat())
    };
    for more in [&[][..], &["--provider", "r"]] {
        let ran = token(more);
        assert_eq!(ran.code, 2, "{}", ran.out);
        assert!(ran.err.contains("--provider one of: p, q"), "{}", ran.err);
    }
    assert_eq!(token(&["--provider", "p"]).code, 0);
    let ran = token(&["--provider", "q"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("takes no EdDSA, only RS256"),
        "{}",
        ran.err
    );
}

/// What a provider looks for first, and a token may lack.
#[test]
fn a_token_without_issuer_or_audience_is_told() {
    for (claims, told) in [
        (&[][..], "it has no iss and no aud"),
        (&["iss=x"], "it has no aud"),
        (&["iss=x", "aud=y"], ""),
    ] {
        let mut arguments = vec!["token", "--key", "tests/fixtures/ed25519.pem"];
        arguments.extend(claims.iter().flat_map(|claim| ["--claim", claim]));
        let ran = run(&arguments);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.err.contains(told), "{}", ran.err);
        assert_eq!(
            ran.err.contains("it has no"),
            !told.is_empty(),
            "{}",
            ran.err
        );
    }
}

/// Runs the commands that `keygen` prints, for this file and path.
fn run_as_printed(told: &str, file: &str, path: &str) -> Ran {
    let command = |start: &str| {
        let found = told
            .lines()
            .find_map(|line| Some(&line[line.find(start)?..]));
        found.unwrap().replace("FILE", file).replace("PATH", path)
    };
    let run = |words: &str| run(&words.split(' ').skip(1).collect::<Vec<&str>>());
    let minted = run(&command("bearer-gate token "));
    run(&command("bearer-gate explain ").replace("TOKEN", minted.out.trim()))
}

#[test]
fn the_commands_that_keygen_prints_work_for_its_example() {
    let files = Files::in_a_directory();
    let name = files.path().join("k").display().to_string();
    let made = run(&["keygen", "--out", &name]);
    let (_, example) = made.err.trim_end().rsplit_once(", as ").unwrap();
    let (file, path) = example.split_once(" and ").unwrap();
    let ran = run_as_printed(&made.err, file, path);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}
