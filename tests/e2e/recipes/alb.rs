//! The recipe for an Application Load Balancer, which has no identity provider beside it.

use bearer_gate_testbed::alb::{AlbKey, Answer, HEADER, KeyEndpoint, claims};
use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::http::{self, Client, Reply};
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;
use reqwest::Method;
use serde_json::{Value, json};

use super::kitchen::{ROUTES, localize_module, move_cluster, move_url, plugin};
use crate::stage::merge;

#[tokio::test]
async fn aws_alb() {
    let (endpoint, upstream) = (KeyEndpoint::start(), Upstream::start());
    // A bucket that may not be listed.
    endpoint.set_otherwise(Answer::Status(403));
    let key = AlbKey::generate();
    endpoint.publish(&key);
    let mut recipe = yaml::document("envoy/recipes/aws-alb.yaml");
    let plugin = plugin(&mut recipe);
    localize_module(plugin);
    let provider = &mut plugin["configuration"]["value"]["providers"]["alb"];
    let (issuer, signer, for_client) = (
        provider["issuer"].clone(),
        provider["aws_alb"]["signer"].clone(),
        provider["aws_alb"]["clients"][0].clone(),
    );
    let uri = &mut provider["aws_alb"]["http_uri"]["uri"];
    move_url(uri, &format!("http://{}", endpoint.address()));
    assert_eq!(*uri, endpoint.uri(), "the address of a key");
    let clusters = recipe["static_resources"]["clusters"].as_array_mut();
    for cluster in clusters.unwrap() {
        let cluster = cluster.as_object_mut().unwrap();
        let address = match cluster.remove("transport_socket") {
            Some(_) => endpoint.address(),
            None => upstream.address(),
        };
        move_cluster(cluster, address);
    }
    let envoy = Envoy::builder().start_bootstrap(recipe);
    let envoy = envoy.unwrap_or_else(|refused| panic!("{refused}"));
    let client = Client::without_keep_alive();
    let get = async |path: &str, token: Option<&str>| -> Reply {
        let mut request = client.request(Method::GET, &envoy.url(path));
        for name in ["x-amzn-oidc-accesstoken", "x-amzn-oidc-identity", "x-user"] {
            request = request.header(name, "forged");
        }
        if let Some(token) = token {
            request = request.header(HEADER, token);
        }
        http::send(request).await
    };
    let token = |key: &AlbKey, header: Value, changed: Value| {
        let (mut head, mut body) = (key.header(), claims());
        merge(
            &mut head,
            json!({"signer": signer, "client": for_client, "iss": issuer}),
        );
        merge(&mut head, header);
        merge(&mut body, json!({"iss": issuer, "email_verified": "true"}));
        merge(&mut body, changed);
        key.sign(&head, &body)
    };

    assert_eq!(get("/api/public", None).await.status, 200);
    for path in ROUTES {
        assert_eq!(get(path, None).await.status, 401, "{path}");
    }
    assert_eq!(get("/x", None).await.status, 403);
    let other = "arn:aws:elasticloadbalancing:eu-west-1:999999999999:loadbalancer/app/x/1";
    let none = json!({});
    for (what, token, statuses) in [
        (
            "an administrator",
            token(&key, none.clone(), none.clone()),
            [200; 4],
        ),
        (
            "an editor of another provider",
            token(
                &key,
                none.clone(),
                json!({"email": "ed@example.com", "email_verified": true}),
            ),
            [200, 200, 200, 403],
        ),
        (
            "somebody",
            token(&key, none.clone(), json!({"email": "eve@example.com"})),
            [200, 200, 403, 403],
        ),
        (
            "whose address is not verified",
            token(&key, none.clone(), json!({"email_verified": "false"})),
            [200, 403, 403, 403],
        ),
        (
            "of another load balancer",
            token(&key, json!({"signer": other}), none.clone()),
            [401; 4],
        ),
        (
            "of another rule of the load balancer",
            token(&key, json!({"client": "other"}), none.clone()),
            [401; 4],
        ),
        (
            "of another pool",
            token(&key, none.clone(), json!({"iss": "https://idp.example/"})),
            [401; 4],
        ),
        (
            "by a key of another region",
            token(&AlbKey::generate(), none.clone(), none.clone()),
            [401; 4],
        ),
    ] {
        for (path, status) in ROUTES.into_iter().zip(statuses) {
            let reply = get(path, Some(&token)).await;
            assert_eq!(reply.status, status, "{what} {path}: {}", reply.body);
        }
    }
    let reply = get("/api/private", Some(&token(&key, none.clone(), none))).await;
    let claims = claims();
    assert_eq!(reply.seen("x-user"), [claims["sub"].as_str().unwrap()]);
    assert_eq!(reply.seen("x-email"), ["ada@example.com"]);
    for name in [HEADER, "x-amzn-oidc-accesstoken", "x-amzn-oidc-identity"] {
        assert!(reply.seen(name).is_empty(), "{name}");
    }
}
