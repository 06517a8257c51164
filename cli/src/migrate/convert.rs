//! Fields that mean something else to this filter than to jwt_authn: each is changed so that the
//! decision stays the same, or the difference is reported.
//!
//! `read` has already brought the configuration to one spelling and one form.

use std::path::Path;

use super::{ChangeKind, ToldChange};
use crate::document::{Node, Yaml};

/// Reports a change of a field of a provider.
type Say<'s> = dyn FnMut(ChangeKind, &str, &str) + 's;

pub(super) fn providers(node: &mut Node, directory: &Path) -> Vec<ToldChange> {
    let mut told = Vec::new();
    let Some(Yaml::Map(providers)) = node.get_mut("providers").map(|node| &mut node.yaml) else {
        return told;
    };
    for entry in providers {
        let path = format!("providers.{}", entry.name);
        provider(&mut entry.node, directory, &mut |kind, field, text| {
            told.push((kind, format!("{path}.{field}"), text.to_owned()));
        });
    }
    told
}

fn provider(provider: &mut Node, directory: &Path, say: &mut Say<'_>) {
    if provider.get("issuer").is_none() {
        let text = "There is no issuer, so jwt_authn takes every one. Better: issuer.";
        provider.add("any_issuer", Yaml::Bool(true), text);
        say(ChangeKind::Added, "any_issuer", text);
    }
    audiences(provider, say);
    let requires = provider
        .get("require_expiration")
        .is_some_and(|node| !matches!(node.yaml, Yaml::Bool(false)));
    if !requires && provider.get("max_lifetime").is_none() {
        let text = "jwt_authn takes tokens without exp. Without this line they are refused, which is safer.";
        provider.remove("require_expiration");
        provider.add("require_expiration", Yaml::Bool(false), text);
        say(ChangeKind::Added, "require_expiration", text);
    }
    let is_zero = |skew: &Node| skew.to_json() == "0";
    if provider.get("clock_skew_seconds").is_some_and(is_zero) {
        provider.remove("clock_skew_seconds");
        say(
            ChangeKind::LeftOut,
            "clock_skew_seconds",
            "is 0, which jwt_authn takes for 60; so it is by default here too",
        );
    }
    places(provider, say);
    for field in [
        "payload_in_metadata",
        "header_in_metadata",
        "failed_status_in_metadata",
    ] {
        if provider.get(field).is_some() {
            say(
                ChangeKind::Differs,
                field,
                "is filter state, not dynamic metadata in envoy.filters.http.jwt_authn: who reads that (RBAC, Lua, ext_authz, rate limits, access logs) has to read this instead",
            );
        }
    }
    local_jwks(provider, directory, say);
}

fn audiences(provider: &mut Node, say: &mut Say<'_>) {
    let Some(audiences) = provider.get("audiences") else {
        let text =
            "There are no audiences, so jwt_authn takes tokens for every API. Better: audiences.";
        provider.add("any_audience", Yaml::Bool(true), text);
        say(ChangeKind::Added, "any_audience", text);
        return;
    };
    let is_loose = |one: &str| one.starts_with("http") || one.ends_with('/');
    if audiences
        .items()
        .iter()
        .filter_map(Node::text)
        .any(is_loose)
    {
        say(
            ChangeKind::Differs,
            "audiences",
            "are compared exactly: jwt_authn leaves out http(s):// and a slash at the end, on both sides",
        );
    }
}

fn places(provider: &Node, say: &mut Say<'_>) {
    let places = ["from_headers", "from_params", "from_cookies"];
    if places.iter().all(|place| provider.get(place).is_none()) {
        say(
            ChangeKind::Differs,
            "from_params",
            "the query parameter access_token is no place for tokens by default; to keep it, say from_headers and from_params",
        );
    }
    let headers = provider.get("from_headers").map_or(&[][..], Node::items);
    if headers
        .iter()
        .any(|header| header.get("value_prefix").is_some())
    {
        say(
            ChangeKind::Differs,
            "from_headers",
            "a prefix is compared without case, and at the start of the value only",
        );
    }
    let forwards = provider.get("forward").is_some_and(Node::is_true);
    if provider.get("from_cookies").is_some() && !forwards {
        say(
            ChangeKind::Differs,
            "from_cookies",
            "a cookie with a token is taken out of the request, unless forward is true",
        );
    }
}

fn local_jwks(provider: &mut Node, directory: &Path, say: &mut Say<'_>) {
    let Some(keys) = provider.get_mut("local_jwks") else {
        return;
    };
    if let Some(filename) = keys.text_at(&["filename"]).map(str::to_owned) {
        let path = directory.join(&filename);
        match std::fs::read_to_string(&path) {
            Ok(document) => {
                keys.remove("filename");
                keys.remove("watched_directory");
                let text = "A Wasm filter has no files: these are the keys as they were.";
                let document = document.trim().to_owned();
                keys.add("inline_string", Yaml::Text(document), text);
                say(
                    ChangeKind::Differs,
                    "local_jwks",
                    &format!(
                        "the keys of {} are part of the configuration now: see that it is the file that Envoy reads; changes of it have no effect",
                        path.display()
                    ),
                );
            }
            Err(error) => say(
                ChangeKind::Open,
                "local_jwks.filename",
                &format!("a Wasm filter has no files, and {filename} cannot be read: {error}"),
            ),
        }
    }
}

/// Rules that ask for nothing.
pub(super) fn rules(node: &mut Node) -> Vec<ToldChange> {
    let mut told = Vec::new();
    let Some(Yaml::List(rules)) = node.get_mut("rules").map(|node| &mut node.yaml) else {
        return told;
    };
    let says_nothing = |node: &Node| matches!(&node.yaml, Yaml::Map(entries) if entries.is_empty());
    for (index, rule) in rules.iter_mut().enumerate() {
        if rule.get("requires").is_some_and(says_nothing) {
            rule.remove("requires");
            let text = "has an empty requires, which jwt_authn lets pass: the rule is public now by having none";
            told.push((
                ChangeKind::Differs,
                format!("rules[{index}]"),
                text.to_owned(),
            ));
        }
    }
    told
}

/// Whether the rules leave no request to `unmatched`.
pub(super) fn are_complete(node: &Node) -> bool {
    let rules = node.get("rules").map_or(&[][..], Node::items);
    rules.iter().any(|rule| {
        let only_prefix = rule
            .get("match")
            .is_some_and(|matcher| matcher.entries().len() == 1);
        only_prefix && rule.text_at(&["match", "prefix"]) == Some("/")
    })
}

/// Names of `requirement_map` that no rule asks for: routes may.
pub(super) fn unused_requirements(node: &Node) -> Vec<String> {
    let rules = node.get("rules").map_or(&[][..], Node::items);
    let used: Vec<&str> = rules
        .iter()
        .filter_map(|rule| rule.text_at(&["requirement_name"]))
        .collect();
    let named = node.get("requirement_map").map_or(&[][..], Node::entries);
    let unused = named.iter().map(|entry| entry.name.clone());
    unused
        .filter(|name| !used.contains(&name.as_str()))
        .collect()
}
