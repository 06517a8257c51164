//! Keys that are found by the issuer's metadata.

use bearer_gate_testbed::idp::Fault;
use serde_json::{Value, json};

use crate::keys::rules;
use crate::stage::{Stage, merge, provider};

#[tokio::test(flavor = "multi_thread")]
async fn discovery_finds_the_keys_and_trusts_only_its_issuer() {
    let discovery = |stage: &Stage, more: Value| {
        let mut provider = provider(stage, json!({}));
        provider.as_object_mut().unwrap().remove("remote_jwks");
        let mut source = json!({"cluster": "idp", "timeout": "2s"});
        merge(&mut source, more);
        provider["openid_discovery"] = source;
        json!({"providers": {"demo": provider}, "rules": rules()})
    };
    let stage = Stage::start(|stage| discovery(stage, json!({})));
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        200
    );
    assert_eq!(
        (stage.idp.discovery_requests(), stage.idp.jwks_requests()),
        (1, 1)
    );

    // The place of RFC 8414, where the place of OpenID has no metadata.
    for status in [404, 403] {
        let stage = Stage::start_with(
            |idp| idp.set_discovery(Fault::Status(status)),
            |stage| discovery(stage, json!({})),
        );
        assert_eq!(
            stage.get_with("/x", &stage.idp.good_token()).await.status,
            200
        );
        assert_eq!(
            (
                stage.idp.discovery_requests(),
                stage.idp.metadata_requests()
            ),
            (1, 1)
        );
    }

    // The metadata of another issuer.
    let stage = Stage::start_with(
        |idp| idp.set_discovery_issuer(Some("https://evil.example/")),
        |stage| discovery(stage, json!({})),
    );
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        503
    );
    let issuer = stage.idp.issuer();
    let log = stage.envoy().log();
    for part in [
        format!(r#"issuer: it is "https://evil.example/", configured is "{issuer}""#),
        format!(r#""{issuer}.well-known/openid-configuration" by cluster idp"#),
    ] {
        assert!(log.contains(&part), "{part}");
    }
    assert_eq!(stage.idp.jwks_requests(), 0);

    // Keys on another host: refused until a cluster is named.
    let elsewhere = |stage: &Stage| {
        let port = stage.idp.address().port();
        stage.idp.set_jwks_uri(Some(&format!(
            "http://localhost:{port}/.well-known/jwks.json"
        )));
    };
    let stage = Stage::start(|stage| {
        elsewhere(stage);
        discovery(stage, json!({}))
    });
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        503
    );
    assert!(
        stage
            .envoy()
            .log()
            .contains("configure openid_discovery.jwks_cluster")
    );
    assert_eq!(stage.idp.jwks_requests(), 0);
    let stage = Stage::start(|stage| {
        elsewhere(stage);
        discovery(stage, json!({"jwks_cluster": "idp"}))
    });
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        200
    );
}
