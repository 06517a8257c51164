//! What the filter tells of the resource that it protects (RFC 9728): raw to valid.
//!
//! Invariant: the document is one that a client can believe. Its resource and its servers are
//! https, or on this machine for those who develop; what it says of tokens the filter can do.

use serde_json::{Map, Number, Value};

use super::authorize::scope;
use super::vet::{not_empty, uri};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw::{RawBearerMethod, RawProtectedResource};
use crate::config::read::value::{Given, filled, vet_each, whole};
use crate::http::path;
use crate::http::protected_resource::ProtectedResource;
use crate::http::uri::{Scheme, Uri};

/// The largest document, in bytes.
const LARGEST_DOCUMENT: usize = 64 * 1024;
/// Members that have fields, so that they are checked.
const FIELDS: [&str; 6] = [
    "resource",
    "authorization_servers",
    "scopes_supported",
    "bearer_methods_supported",
    "resource_name",
    "resource_documentation",
];

pub(super) fn convert(raw: RawProtectedResource) -> Result<ProtectedResource, ConfigError> {
    let mut members = Map::new();
    let mut member = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };

    let (text, resource) = resource(raw.resource).at("resource")?;
    member("resource", text.into());
    if let Some(servers) = list(raw.authorization_servers, &server).at("authorization_servers")? {
        member("authorization_servers", servers);
    }
    if let Some(scopes) = list(raw.scopes_supported, &scope).at("scopes_supported")? {
        member("scopes_supported", scopes);
    }
    if let Some(methods) = raw.bearer_methods_supported.0 {
        let methods = methods.iter().map(|method| match method {
            RawBearerMethod::Header => "header".into(),
            RawBearerMethod::Query => "query".into(),
        });
        member("bearer_methods_supported", Value::Array(methods.collect()));
    }
    if let Some(name) = raw.resource_name.0 {
        member("resource_name", not_empty(name).at("resource_name")?.into());
    }
    if let Some(documentation) = raw.resource_documentation.0 {
        uri(&documentation).at("resource_documentation")?;
        member("resource_documentation", documentation.into());
    }
    for (name, value) in raw.additional.entries() {
        let value = additional(&name, value).at(&name).at("additional")?;
        member(&name, value);
    }

    // Not by Display, which would be two more kinds of writer in the module.
    let document = serde_json::to_string(&Value::Object(members))
        .map_err(|error| ConfigError::here(&format!("makes no document: {error}")))?;
    if document.len() > LARGEST_DOCUMENT {
        return Err(ConfigError::here(&format!(
            "makes a document of more than {LARGEST_DOCUMENT} bytes"
        )));
    }
    Ok(ProtectedResource::new(&resource, document))
}

/// The resource's identifier as it is written, for clients compare it so (section 3.3), and in
/// parts.
fn resource(text: Given<String>) -> Result<(String, Uri), ConfigError> {
    let text = text
        .0
        .ok_or_else(|| ConfigError::here("required: the https URL that clients use"))?;
    let resource = secure(&text)?;
    let origin = format!("{}://{}", resource.scheme.name(), resource.authority);
    if !text.starts_with(&origin) {
        return Err(ConfigError::here(
            "must have its scheme and host in lower case",
        ));
    }
    // Envoy changes other paths, or clients would not send them as they are written.
    match path::normalize(resource.path.as_bytes()) {
        Ok(normal) if normal == resource.path => Ok((text, resource)),
        Ok(normal) => Err(ConfigError::here(&format!(
            "must have its path without parameters and needless escapes, here {normal}"
        ))),
        Err(reason) => Err(ConfigError::here(&format!("has a path that {reason}"))),
    }
}

fn server(text: &str) -> Result<(), ConfigError> {
    secure(text).map(|_| ())
}

/// A URI without a query, whose responses no third party on the way can forge (section 7.3).
fn secure(text: &str) -> Result<Uri, ConfigError> {
    let uri = uri(text)?;
    if uri.scheme != Scheme::Https && !uri.is_loopback() {
        return Err(ConfigError::here(
            "must be https, unless the host is localhost or a loopback address",
        ));
    }
    if uri.path.contains('?') {
        return Err(ConfigError::here("must not have a query"));
    }
    Ok(uri)
}

/// A list of good items. What is empty is to be left out (section 2).
fn list(
    items: Given<Vec<String>>,
    vet: &dyn Fn(&str) -> Result<(), ConfigError>,
) -> Result<Option<Value>, ConfigError> {
    let Some(items) = items.0 else {
        return Ok(None);
    };
    let items = filled(items)?;
    vet_each(&items, &|item| vet(item))?;
    Ok(Some(items.into()))
}

fn additional(name: &str, mut value: Value) -> Result<Value, ConfigError> {
    if FIELDS.contains(&name) {
        return Err(ConfigError::here("has a field of its own"));
    }
    if value.is_null() {
        return Err(ConfigError::here("must not be null: leave it out"));
    }
    as_written(&mut value);
    Ok(value)
}

/// The numbers of a Struct are doubles; a reader that expects a whole number may not take `5.0`.
fn as_written(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(written) = number.as_f64().and_then(whole) {
                *number = Number::from(written);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_written),
        Value::Object(members) => members.values_mut().for_each(as_written),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
