//! What the filter tells of the resource that it protects (RFC 9728): raw to valid.
//!
//! Invariant: the document is one that a client can believe. Its resource and its servers are
//! https, or on this machine for those who develop; what it says of tokens the filter can do.

use serde_json::{Map, Number, Value};

use super::authorize::is_scope;
use super::error::{ConfigError, join};
use super::raw::{RawBearerMethod, RawProtectedResource};
use super::value::{Entries, Given};
use crate::http::path;
use crate::http::protected_resource::ProtectedResource;
use crate::http::uri::{Scheme, Uri};

/// The largest document, in bytes.
const LARGEST_DOCUMENT: usize = 64 * 1024;
/// Up to here a whole number that was written is the double that a Struct makes of it: 2^53.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;
/// Members that have fields, so that they are checked.
const FIELDS: [&str; 6] = [
    "resource",
    "authorization_servers",
    "scopes_supported",
    "bearer_methods_supported",
    "resource_name",
    "resource_documentation",
];

pub(super) fn convert(
    path: &str,
    raw: RawProtectedResource,
) -> Result<ProtectedResource, ConfigError> {
    let mut members = Map::new();
    let mut member = |name: &str, value: Value| members.insert(name.to_owned(), value);

    let (text, resource) = resource(&join(path, "resource"), raw.resource)?;
    member("resource", text.into());
    if let Some(servers) = not_empty(
        &join(path, "authorization_servers"),
        raw.authorization_servers,
    )? {
        for (at, server) in servers.iter().enumerate() {
            let path = format!("{path}.authorization_servers[{at}]");
            without_query(&path, &secure(&path, server)?)?;
        }
        member("authorization_servers", servers.into());
    }
    if let Some(scopes) = not_empty(&join(path, "scopes_supported"), raw.scopes_supported)? {
        if let Some(at) = scopes.iter().position(|scope| !is_scope(scope)) {
            return Err(ConfigError::new(
                format!("{path}.scopes_supported[{at}]"),
                "is not a scope: one or more printable ASCII characters without space, \" and \\",
            ));
        }
        member("scopes_supported", scopes.into());
    }
    if let Some(methods) = raw.bearer_methods_supported.0 {
        let methods: Vec<&str> = methods
            .iter()
            .map(|method| match method {
                RawBearerMethod::Header => "header",
                RawBearerMethod::Query => "query",
            })
            .collect();
        member("bearer_methods_supported", methods.into());
    }
    if let Some(name) = raw.resource_name.0 {
        if name.is_empty() {
            return Err(ConfigError::new(
                join(path, "resource_name"),
                "must not be empty",
            ));
        }
        member("resource_name", name.into());
    }
    if let Some(documentation) = raw.resource_documentation.0 {
        uri(&join(path, "resource_documentation"), &documentation)?;
        member("resource_documentation", documentation.into());
    }
    let Entries(additional) = raw.additional.0.unwrap_or(Entries(Vec::new()));
    for (name, value) in additional {
        let path = join(&join(path, "additional"), &name);
        if FIELDS.contains(&name.as_str()) {
            return Err(ConfigError::new(path, "has a field of its own"));
        }
        if value.is_null() {
            return Err(ConfigError::new(path, "must not be null: leave it out"));
        }
        member(&name, as_written(value));
    }

    let document = Value::Object(members).to_string();
    if document.len() > LARGEST_DOCUMENT {
        return Err(ConfigError::new(
            path,
            format!("makes a document of more than {LARGEST_DOCUMENT} bytes"),
        ));
    }
    Ok(ProtectedResource::new(&resource, document))
}

/// The resource's identifier as it is written, for clients compare it so (section 3.3), and in
/// parts.
fn resource(path: &str, text: Given<String>) -> Result<(String, Uri), ConfigError> {
    let text = text
        .0
        .ok_or_else(|| ConfigError::new(path, "required: the https URL that clients use"))?;
    let resource = secure(path, &text)?;
    without_query(path, &resource)?;
    let origin = format!("{}://{}", resource.scheme.name(), resource.authority);
    if !text.starts_with(&origin) {
        return Err(ConfigError::new(
            path,
            "must have its scheme and host in lower case",
        ));
    }
    // Envoy changes other paths, or nobody would ask for them as they are written.
    match path::normalize(resource.path.as_bytes()) {
        Ok(normal) if normal == resource.path => Ok((text, resource)),
        Ok(normal) => Err(ConfigError::new(
            path,
            format!("must have its path without parameters and needless escapes, here {normal}"),
        )),
        Err(reason) => Err(ConfigError::new(path, format!("has a path that {reason}"))),
    }
}

fn uri(path: &str, text: &str) -> Result<Uri, ConfigError> {
    Uri::parse(text).map_err(|error| ConfigError::new(path, error.to_string()))
}

/// A URI that nobody on the way can answer for (section 7.3).
fn secure(path: &str, text: &str) -> Result<Uri, ConfigError> {
    let uri = uri(path, text)?;
    if uri.scheme == Scheme::Https || uri.is_loopback() {
        Ok(uri)
    } else {
        Err(ConfigError::new(
            path,
            "must be https, unless the host is localhost or a loopback address",
        ))
    }
}

fn without_query(path: &str, uri: &Uri) -> Result<(), ConfigError> {
    if uri.path.contains('?') {
        Err(ConfigError::new(path, "must not have a query"))
    } else {
        Ok(())
    }
}

/// What is empty is to be left out (section 2).
fn not_empty(path: &str, items: Given<Vec<String>>) -> Result<Option<Vec<String>>, ConfigError> {
    match items.0 {
        Some(items) if items.is_empty() => Err(ConfigError::new(path, "must not be empty")),
        items => Ok(items),
    }
}

/// The numbers of a Struct are doubles; a reader that expects a whole number may not take `5.0`.
fn as_written(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Number(
            number
                .as_f64()
                .filter(|double| double.fract() == 0.0 && double.abs() <= LARGEST_WHOLE)
                .map_or(number, |double| Number::from(double as i64)),
        ),
        Value::Array(items) => items.into_iter().map(as_written).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, as_written(member)))
            .collect(),
        other => other,
    }
}
