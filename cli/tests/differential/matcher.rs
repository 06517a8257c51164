//! Matchers of rules, and requests that match or just do not match.

use serde_json::{Value, json};

use crate::configuration::Draw;
use crate::dice::Dice;
use crate::feature::Feature;

/// Where a request goes, and the headers that matchers look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub path: String,
    /// Pieces of the query, as they are spelt.
    pub query: Vec<String>,
    pub headers: Vec<(String, String)>,
}

/// Texts that match, and texts that just do not match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    paths: [Vec<String>; 2],
    queries: [Vec<Option<String>>; 2],
    headers: [Vec<Vec<(String, String)>>; 2],
}

impl Around {
    pub(crate) fn path(base: &str, inside: &[&str], outside: &[&str]) -> Self {
        let texts = |list: &[&str]| -> Vec<String> {
            list.iter().map(|text| text.replace('$', base)).collect()
        };
        Self {
            paths: [texts(inside), texts(outside)],
            ..Self::default()
        }
    }

    /// A request that is likely to be inside.
    pub(crate) fn target(&self, dice: &mut Dice) -> Target {
        let path = side(dice, &self.paths).cloned();
        let query = side(dice, &self.queries).cloned().flatten();
        let headers = side(dice, &self.headers).cloned();
        Target {
            path: path.unwrap_or_else(|| "/".to_owned()),
            query: query.into_iter().collect(),
            headers: headers.unwrap_or_default(),
        }
    }
}

fn side<'s, T>(dice: &mut Dice, [inside, outside]: &'s [Vec<T>; 2]) -> Option<&'s T> {
    let side = if inside.is_empty() || dice.chance(20) && !outside.is_empty() {
        outside
    } else {
        inside
    };
    if side.is_empty() {
        None
    } else {
        Some(dice.pick(side))
    }
}

const BASES: &[&str] = &["/api", "/public", "/Admin", "/v1/items", "/files/"];

const REGEXES: &[(&str, &[&str], &[&str])] = &[
    (
        "/v[0-9]+/.*",
        &["/v1/items", "/v22/"],
        &["/v1", "/vx/items", "/a/v1/items"],
    ),
    (
        "/[a-z]+\\.json",
        &["/a.json"],
        &["/a.jsonx", "/A.json", "/a/b.json"],
    ),
    (
        "/(api|public)/(x|y)",
        &["/api/x", "/public/y"],
        &["/api/x/", "/api/z"],
    ),
];

/// A matcher and what is around it.
pub(crate) fn draw(draw: &mut Draw, at: usize) -> (Value, Around) {
    let base = *draw.dice.pick(BASES);
    let kind = draw.dice.between(0, 9);
    let (mut matcher, mut around) = if kind < 3 && draw.uses(Feature::SafeRegex, 60) {
        let (regex, inside, outside) = *draw.dice.pick(REGEXES);
        (
            json!({"safe_regex": {"regex": regex}}),
            Around::path("", inside, outside),
        )
    } else if kind < 6 && draw.uses(Feature::PathSeparatedPrefix, 60) {
        let base = base.trim_end_matches('/');
        (
            json!({"path_separated_prefix": base}),
            Around::path(base, &["$", "$/", "$/x", "$/x/y"], &["$x", "/x$"]),
        )
    } else if kind < 8 {
        (
            json!({"prefix": base}),
            Around::path(base, &["$", "$x", "$/x"], &["/x$", "/"]),
        )
    } else {
        (
            json!({"path": base}),
            Around::path(base, &["$"], &["$x", "$/", "/x$"]),
        )
    };
    let folded = around.paths[0]
        .iter()
        .map(|path| path.to_uppercase())
        .collect::<Vec<_>>();
    if draw.uses(Feature::CaseInsensitive, 20) {
        matcher["case_sensitive"] = json!(false);
        around.paths[0].extend(folded);
    } else {
        around.paths[1].extend(folded);
    }
    // Spellings that decide which path was meant.
    around.paths[1].extend(odd_spellings(base));
    if draw.uses(Feature::Headers, 25) {
        let (headers, inside, outside) = headers(draw.dice, at);
        matcher["headers"] = headers;
        around.headers = [inside, outside];
    }
    if draw.uses(Feature::QueryParameters, 20) {
        let (parameters, inside, outside) = query_parameters(draw.dice);
        matcher["query_parameters"] = parameters;
        let texts = |list: &[&str]| list.iter().map(|t| Some((*t).to_owned())).collect();
        around.queries = [texts(inside), texts(outside)];
        around.queries[1].push(None);
    }
    (matcher, around)
}

fn odd_spellings(base: &str) -> Vec<String> {
    let name = base.trim_matches('/');
    let (first, rest) = name.split_at(1);
    let escaped = format!("/%{:02x}{rest}", first.as_bytes()[0]);
    vec![
        escaped,
        format!("//{name}"),
        format!("/{name};v=1"),
        format!("/x/../{name}"),
        format!("/public/%2e%2e/{name}"),
        format!("/{name}%2fx"),
        format!("/./{name}"),
    ]
}

type HeaderLists = Vec<Vec<(String, String)>>;

fn headers(dice: &mut Dice, at: usize) -> (Value, HeaderLists, HeaderLists) {
    let name = format!("x-match-{at}");
    let (matcher, inside, outside): (Value, &[&str], &[&str]) = match dice.between(0, 8) {
        0 => (
            json!({"string_match": {"exact": "beta"}}),
            &["beta"],
            &["Beta", "beta2", "", "-"],
        ),
        1 => (
            json!({"string_match": {"prefix": "be"}}),
            &["beta", "be"],
            &["abe", "-"],
        ),
        2 => (
            json!({"string_match": {"suffix": "ta"}}),
            &["beta", "ta"],
            &["tab", "-"],
        ),
        3 => (
            json!({"string_match": {"contains": "et"}}),
            &["beta", "et"],
            &["e t", "-"],
        ),
        4 => (
            json!({"string_match": {"safe_regex": {"regex": "b[0-9]"}}}),
            &["b1"],
            &["b12", "xb1", "-"],
        ),
        5 => (json!({"present_match": true}), &["beta", ""], &["-"]),
        6 => (
            json!({"range_match": {"start": 5, "end": 10}}),
            &["5", "9"],
            &["10", "4", "x", "5.5", "-"],
        ),
        7 => (
            json!({"string_match": {"exact": "BETA", "ignore_case": true}}),
            &["beta", "BeTa"],
            &["bet", "-"],
        ),
        _ => (
            json!({"string_match": {"exact": "beta"}, "treat_missing_header_as_empty": true}),
            &["beta"],
            &["", "-"],
        ),
    };
    let lists = |values: &[&str]| -> HeaderLists {
        values
            .iter()
            // A dash stands for no such header.
            .map(|value| match *value {
                "-" => Vec::new(),
                value => vec![(name.clone(), value.to_owned())],
            })
            .collect()
    };
    let mut json = matcher;
    json["name"] = json!(name);
    let (mut inside, mut outside) = (lists(inside), lists(outside));
    if dice.chance(25) {
        json["invert_match"] = json!(true);
        std::mem::swap(&mut inside, &mut outside);
    }
    let twice = vec![
        (name.clone(), "beta".to_owned()),
        (name.clone(), "gamma".to_owned()),
    ];
    outside.push(twice);
    (json!([json]), inside, outside)
}

fn query_parameters(dice: &mut Dice) -> (Value, &'static [&'static str], &'static [&'static str]) {
    let (matcher, inside, outside): (Value, &[&str], &[&str]) = match dice.between(0, 4) {
        0 => (
            json!({"string_match": {"exact": "1"}}),
            &["mode=1"],
            &["mode=2", "mode", "Mode=1", "mode=%31", "mode=2&mode=1"],
        ),
        1 => (
            json!({"present_match": true}),
            &["mode", "mode=", "mode=1"],
            &["Mode=1", "other=mode"],
        ),
        2 => (
            json!({"string_match": {"prefix": "a"}}),
            &["mode=ab"],
            &["mode=ba", "mode=%61b"],
        ),
        3 => (
            json!({"string_match": {"safe_regex": {"regex": "[0-9]+"}}}),
            &["mode=12"],
            &["mode=12x", "mode="],
        ),
        _ => (json!({}), &["mode=1", "mode"], &["moder=1"]),
    };
    let mut json = matcher;
    json["name"] = json!("mode");
    (json!([json]), inside, outside)
}
