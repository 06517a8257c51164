//! The store that several Envoys share.

use bearer_gate::config::SessionStore;

use super::*;

fn with_store(fields: Value) -> Value {
    let mut config = with_sign_in(json!({}));
    let mut store = json!({
        "http_uri": {"uri": "http://redis.internal:7379/", "cluster": "redis", "timeout": "1s"},
    });
    merge(&mut store, fields);
    config["shared_store"] = store;
    config
}

#[test]
fn a_store_has_every_default() {
    let store = parse(&with_store(json!({}))).unwrap().fleet_store.unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(store.uri.address("").path, "/");
    assert_eq!(store.key_prefix, "bearer-gate");
    assert_eq!(
        (store.interval, store.max_stale),
        (seconds(1), seconds(300))
    );
    assert!(!store.allow_stale);
    let given = json!({
        "key_prefix": "shop:EU_1", "interval": "0.2s", "max_stale": "0.2s", "on_stale": "ALLOW",
    });
    let store = parse(&with_store(given)).unwrap().fleet_store.unwrap();
    assert_eq!(store.key_prefix, "shop:EU_1");
    assert!(store.interval == store.max_stale && store.allow_stale);
}

#[test]
fn a_session_is_in_cookies_or_in_the_store() {
    let store = |config: &Value| {
        let sign_in = parse(config).unwrap().sign_in.unwrap();
        sign_in.schemes.iter().next().unwrap().session.store
    };
    let with = |value: Value| {
        let mut config = with_store(json!({}));
        config["sign_in"]["schemes"]["staff"]["session"]["store"] = value;
        config
    };
    assert_eq!(store(&with_store(json!({}))), SessionStore::Cookie);
    assert_eq!(store(&with(json!("COOKIE"))), SessionStore::Cookie);
    let mut in_store = with(json!("SHARED_STORE"));
    assert_eq!(store(&in_store), SessionStore::Shared);
    let field = "sign_in.schemes.staff.session.store";
    let unknown = refused(&with(json!("REDIS")));
    assert!(unknown.starts_with(&format!("{field}: ")), "{unknown}");
    in_store.as_object_mut().unwrap().remove("shared_store");
    let needs = format!("{field}: SHARED_STORE needs shared_store");
    assert_eq!(refused(&in_store), needs);
}

#[test]
fn refuses_stores() {
    let prefix = "shared_store.key_prefix: must be 1 to 64 letters, digits, - _ and :";
    let interval = "shared_store.interval: must be from 0.2 s to 60 s";
    for (fields, expected) in [
        (
            json!({"http_uri": {"uri": "http://redis/", "cluster": "", "timeout": "1s"}}),
            "shared_store.http_uri.cluster: must not be empty",
        ),
        (json!({"key_prefix": ""}), prefix),
        (json!({"key_prefix": "a/b"}), prefix),
        (json!({"key_prefix": "a.raw"}), prefix),
        (json!({"key_prefix": "a%2f"}), prefix),
        (json!({"key_prefix": "x".repeat(65)}), prefix),
        (json!({"interval": "0.1s"}), interval),
        (json!({"interval": "61s"}), interval),
        (
            json!({"interval": "10s", "max_stale": "9s"}),
            "shared_store.max_stale: must not be below interval",
        ),
    ] {
        assert_eq!(refused(&with_store(fields.clone())), expected, "{fields}");
    }
    // What strangers could make up.
    let needs = "shared_store: needs sign_in.cookie_keys: what is put there is sealed with them";
    let mut config = with_store(json!({}));
    config["sign_in"]["cookie_keys"].take();
    config["sign_in"]
        .as_object_mut()
        .unwrap()
        .remove("cookie_keys");
    assert_eq!(refused(&config), needs);
    config.as_object_mut().unwrap().remove("sign_in");
    config["rules"] = json!([]);
    assert_eq!(refused(&config), needs);
}
