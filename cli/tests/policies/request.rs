//! Requests, drawn near to what policies name.

use serde_json::{Value, json};

use crate::dice::Dice;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: String,
    pub host: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub token: Option<Token>,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub claims: Value,
    /// Whether its signature and its audience are right.
    pub is_good: bool,
}

const METHODS: [&str; 4] = ["GET", "GET", "POST", "OPTIONS"];
const HOSTS: [&str; 6] = [
    "a.example",
    "a.example",
    "b.example",
    "x.a.example",
    "A.Example",
    "c.test",
];
const PATHS: [&str; 16] = [
    "/", "/a", "/a/b", "/a/c", "/a/b/c", "/a/x/c", "/ab", "/b", "/b/c", "/c", "/a/", "/abc",
    "/a/b/c/d", "/a/*/c", "/A", "/a/b/",
];
pub(crate) const ISSUERS: [&str; 2] = ["https://one.example", "https://two.example/"];

impl Request {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut headers = Vec::new();
        if dice.chance(50) {
            let value = dice.pick(&["a", "ab", "b", "ba"]);
            headers.push(("x-mode".to_owned(), (*value).to_owned()));
        }
        Self {
            method: (*dice.pick(&METHODS)).to_owned(),
            host: (*dice.pick(&HOSTS)).to_owned(),
            path: (*dice.pick(&PATHS)).to_owned(),
            headers,
            token: dice.chance(75).then(|| Token::draw(dice)),
        }
    }
}

impl Token {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let issuer = match dice.chance(95) {
            true => *dice.pick(&ISSUERS),
            false => "https://other.example",
        };
        let is_good = dice.chance(95);
        let mut claims = json!({"iss": issuer, "aud": "api"});
        if dice.chance(85) {
            claims["sub"] = json!(dice.pick(&["s1", "s2", "s10", ""]));
        }
        let values = [
            json!("a"),
            json!("b"),
            json!(["a", "b"]),
            json!(["b", "x"]),
            json!("a b"),
            json!([]),
            json!(5),
            json!(true),
            json!({"a": "a"}),
            json!(null),
            json!([["a"]]),
            json!(""),
        ];
        for name in ["groups", "role", "scope", "azp", "org.x"] {
            if dice.chance(65) {
                claims[name] = dice.pick(&values).clone();
            }
        }
        if dice.chance(60) {
            claims["org"] = json!({"name": dice.pick(&values)});
        }
        Self { claims, is_good }
    }
}
