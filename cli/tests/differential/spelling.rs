//! The many ways of writing one jwt_authn, each of which Envoy takes: other names, other forms of
//! values, other wrappers. What an Envoy makes of them is asked of it (`Bench::understood`).

use serde_json::{Map, Value};

use crate::dice::Dice;

const MESSAGE: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
/// Members of these are named by the operator.
const MAPS: [&str; 2] = ["providers", "requirement_map"];
/// Durations, of which there is a form with fields.
const DURATIONS: [&str; 4] = [
    "max_lifetime",
    "cache_duration",
    "timeout",
    "failed_refetch_duration",
];
/// What may stand beside any provider without a meaning.
const NOTHINGS: [&str; 5] = [
    "subjects: null",
    "maxLifetime: ~",
    "!ignore audiences: [of, nobody]",
    "from_params: []",
    "forwardPayloadHeader: null",
];

/// A configuration as somebody may have written it.
pub(crate) struct Written {
    /// What stands in `typed_config`, in flow style.
    pub typed_config: String,
    /// A file that has it, as `migrate` is given it.
    pub file: String,
}

/// Draws a spelling.
pub(crate) fn draw(dice: &mut Dice, authentication: &Value) -> Written {
    let mut speller = Speller {
        dice,
        anchors: Vec::new(),
    };
    let message = speller.object(authentication, "");
    let fields = message
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let fields = fields.expect("an object");
    let typed_config = match speller.dice.between(0, 5) {
        0 => typed_struct("xds.type.v3.TypedStruct", "type_url", &message),
        1 => typed_struct("udpa.type.v1.TypedStruct", "typeUrl", &message),
        2 => format!("{{{fields}, '@type': type.example/{MESSAGE}}}"),
        _ => format!("{{\"@type\": type.googleapis.com/{MESSAGE}, {fields}}}"),
    };
    let filter = format!("{{name: envoy.filters.http.jwt_authn, typed_config: {typed_config}}}");
    let manager = format!("{{stat_prefix: x, http_filters: [{filter}]}}");
    let chain =
        format!("{{filter_chains: [{{filters: [{{name: hcm, typed_config: {manager}}}]}}]}}");
    let file = match speller.dice.between(0, 5) {
        0 => message,
        1 => filter,
        2 => format!("http_filters: [{filter}]"),
        3 => format!("resources: [{chain}]"),
        4 => format!(
            "resources: [{{\"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig, name: x, typed_config: {typed_config}}}]"
        ),
        _ => format!("static_resources: {{listeners: [{chain}]}}"),
    };
    Written { typed_config, file }
}

fn typed_struct(name: &str, field: &str, message: &str) -> String {
    format!(
        "{{\"@type\": type.googleapis.com/{name}, {field}: type.googleapis.com/{MESSAGE}, value: {message}}}"
    )
}

struct Speller<'d> {
    dice: &'d mut Dice,
    /// Lists and objects that were written, and the names of their anchors.
    anchors: Vec<(Value, String)>,
}

impl Speller<'_> {
    fn value(&mut self, value: &Value, field: &str) -> String {
        match value {
            Value::Array(items) => self.anchored(value, field, |speller| {
                if let ([one], true) = (items.as_slice(), speller.dice.chance(40))
                    && !one.is_array()
                {
                    return speller.value(one, field);
                }
                let mut texts: Vec<String> =
                    items.iter().map(|item| speller.value(item, "")).collect();
                if texts.len() > 1 && speller.dice.chance(15) {
                    let first = texts.remove(0);
                    texts.insert(0, format!("[{first}]"));
                }
                format!("[{}]", texts.join(", "))
            }),
            Value::Object(_) => self.anchored(value, field, |speller| speller.object(value, field)),
            Value::Bool(value) => self.boolean(*value),
            Value::Number(number) => self.number(number.as_i64().unwrap_or_default()),
            Value::String(text) => self.text(text, field),
            Value::Null => "null".to_owned(),
        }
    }

    fn object(&mut self, value: &Value, field: &str) -> String {
        let empty = Map::new();
        let members = value.as_object().unwrap_or(&empty);
        let is_map = MAPS.contains(&field);
        let mut texts: Vec<String> = members
            .iter()
            .map(|(name, member)| {
                let text = self.value(member, name);
                let name = match is_map || self.dice.chance(60) {
                    true => name.clone(),
                    false => camel_case(name),
                };
                match self.dice.between(0, 2) {
                    0 => format!("{name}: {text}"),
                    1 => format!("'{name}': {text}"),
                    _ => format!("\"{name}\": {text}"),
                }
            })
            .collect();
        let is_provider = members.contains_key("issuer") && members.len() > 1;
        if is_provider && self.dice.chance(30) {
            let nothing = self.dice.pick(&NOTHINGS);
            let name = nothing.split(':').next().unwrap_or_default();
            if !members
                .keys()
                .any(|known| known == name || camel_case(known) == name)
            {
                texts.push((*nothing).to_owned());
            }
        }
        format!("{{{}}}", texts.join(", "))
    }

    /// Something that was written before may be an alias of it.
    fn anchored(
        &mut self,
        value: &Value,
        field: &str,
        write: impl FnOnce(&mut Self) -> String,
    ) -> String {
        let known = self.anchors.iter().find(|(known, _)| known == value);
        // An anchored list may be a list of one in another field's spelling.
        if let (Some((_, name)), true) = (known, !MAPS.contains(&field)) {
            return format!("*{name} ");
        }
        let text = write(self);
        let is_whole = text.starts_with(['{', '[']);
        if is_whole && text.len() > 4 && self.dice.chance(40) {
            let name = format!("a{}", self.anchors.len());
            self.anchors.push((value.clone(), name.clone()));
            return format!("&{name} {text}");
        }
        text
    }

    fn boolean(&mut self, value: bool) -> String {
        let spellings = match value {
            true => [
                "true", "\"true\"", "On", "'yes'", "y", "\"T\"", "'1'", "TRUE",
            ],
            false => [
                "false",
                "\"false\"",
                "Off",
                "'no'",
                "n",
                "\"F\"",
                "'0'",
                "FALSE",
            ],
        };
        (*self.dice.pick(&spellings)).to_owned()
    }

    fn number(&mut self, number: i64) -> String {
        match self.dice.between(0, 7) {
            0 => format!("\"{number}\""),
            1 => format!("{number}.0"),
            2 if number >= 0 => format!("{number:#x}"),
            3 if number > 0 => format!("0{number:o}"),
            4 if number >= 0 => format!("+{number}"),
            _ => number.to_string(),
        }
    }

    fn text(&mut self, text: &str, field: &str) -> String {
        let seconds = text
            .strip_suffix('s')
            .and_then(|text| text.parse::<u32>().ok());
        if let (Some(seconds), true) = (seconds, DURATIONS.contains(&field)) {
            return match self.dice.between(0, 3) {
                0 => format!("{{seconds: {seconds}}}"),
                1 => format!("{seconds}.000s"),
                2 => format!("0{seconds}s"),
                _ => format!("{seconds}s"),
            };
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || "/.-".contains(c);
        let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&text);
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if starts_well && text.chars().all(is_plain) && !is_word && self.dice.chance(50) {
            return text.to_owned();
        }
        if text.chars().all(|c| (' '..='~').contains(&c)) && self.dice.chance(30) {
            return format!("'{}'", text.replace('\'', "''"));
        }
        Value::from(text).to_string()
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        camel + &head.to_ascii_uppercase() + tail
    })
}
