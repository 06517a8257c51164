//! Requests: tokens in the right place, in a wrong one, in several or in none.

use crate::configuration::{Configuration, Place, Provider};
use crate::dice::Dice;
use crate::matcher::Target;
use crate::token::Token;

/// How a token, or something in a token's place, is put into the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spelling {
    Plain,
    /// `bearer` for `Bearer`.
    OtherCase,
    /// Several spaces behind the scheme.
    Spaces,
    /// Another scheme before it.
    Inside,
    /// Without the prefix.
    NoPrefix,
}

/// A piece of a request; a request that differs is made smaller piece by piece.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Header(String, String),
    Query(String),
    Cookie(String),
    Token {
        token: Token,
        place: Place,
        spelling: Spelling,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: &'static str,
    pub path: String,
    pub parts: Vec<Part>,
}

const METHODS: &[(u32, &str)] = &[
    (12, "GET"),
    (3, "POST"),
    (1, "PUT"),
    (1, "DELETE"),
    (1, "PATCH"),
    (1, "OPTIONS"),
];

impl Request {
    pub(crate) fn draw(dice: &mut Dice, configuration: &Configuration) -> Self {
        let rule = dice.pick(&configuration.rules);
        let target = if dice.chance(88) {
            rule.around.target(dice)
        } else {
            let elsewhere = [
                "/",
                "/nowhere",
                "/api/%41",
                "/a//b",
                "/x;y/z",
                "/index.html",
            ];
            Target {
                path: (*dice.pick(&elsewhere)).to_owned(),
                ..Target::default()
            }
        };
        let mut parts: Vec<Part> = target.query.into_iter().map(Part::Query).collect();
        parts.extend(
            target
                .headers
                .into_iter()
                .map(|(name, value)| Part::Header(name, value)),
        );
        tokens(dice, configuration, rule.requires.as_ref(), &mut parts);
        // Envoy joins no empty line to a header's others: nothing is there.
        parts.retain(|part| match part {
            Part::Token {
                token,
                place: Place::Header { prefix, .. },
                spelling,
            } => !spelling.text(prefix, &token.text).is_empty(),
            _ => true,
        });
        if dice.chance(15) {
            // What only the filter may set.
            for header in configuration
                .providers
                .iter()
                .flat_map(|provider| &provider.sets)
            {
                parts.push(Part::Header(header.clone(), "forged".to_owned()));
            }
        }
        if dice.chance(10) {
            parts.push(Part::Query("page=2".to_owned()));
        }
        if dice.chance(10) {
            parts.push(Part::Cookie("theme=dark".to_owned()));
        }
        let mut method = dice.weighted(METHODS);
        if dice.chance(6) {
            method = "OPTIONS";
            if dice.chance(85) {
                parts.push(header("origin", "https://app.example.com"));
            }
            if dice.chance(85) {
                parts.push(header("access-control-request-method", "POST"));
            }
        }
        Self {
            method,
            path: target.path,
            parts,
        }
    }

    /// `GET` of a path, with these headers.
    pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            parts: headers
                .iter()
                .map(|(name, value)| header(name, value))
                .collect(),
        }
    }

    /// Path and query, as they are sent.
    pub(crate) fn target(&self) -> String {
        let mut pieces: Vec<String> = Vec::new();
        for part in &self.parts {
            match part {
                Part::Query(piece) => pieces.push(piece.clone()),
                Part::Token {
                    token,
                    place: Place::Param(name),
                    ..
                } => pieces.push(format!("{name}={}", token.text)),
                _ => {}
            }
        }
        match pieces.as_slice() {
            [] => self.path.clone(),
            pieces => format!("{}?{}", self.path, pieces.join("&")),
        }
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let mut cookies: Vec<String> = Vec::new();
        for part in &self.parts {
            match part {
                Part::Header(name, value) => headers.push((name.clone(), value.clone())),
                Part::Cookie(text) => cookies.push(text.clone()),
                Part::Query(_) => {}
                Part::Token {
                    token,
                    place,
                    spelling,
                } => match place {
                    Place::Param(_) => {}
                    Place::Cookie(name) => cookies.push(format!("{name}={}", token.text)),
                    Place::Header { name, prefix } => {
                        headers.push((name.clone(), spelling.text(prefix, &token.text)));
                    }
                },
            }
        }
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), cookies.join("; ")));
        }
        headers
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = (&Token, &Place, Spelling)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Token {
                token,
                place,
                spelling,
            } => Some((token, place, *spelling)),
            _ => None,
        })
    }

    pub(crate) fn is_preflight(&self) -> bool {
        let headers = self.headers();
        let has = |name: &str| headers.iter().any(|(known, _)| known == name);
        self.method == "OPTIONS" && has("origin") && has("access-control-request-method")
    }

    /// How much there is to read of it.
    pub(crate) fn size(&self) -> usize {
        self.parts.len() * 1000 + self.path.len()
    }
}

fn header(name: &str, value: &str) -> Part {
    Part::Header(name.to_owned(), value.to_owned())
}

impl Spelling {
    /// A header's value.
    pub(crate) fn text(self, prefix: &str, token: &str) -> String {
        match self {
            Self::Plain => format!("{prefix}{token}"),
            Self::OtherCase => format!("{}{token}", prefix.to_lowercase()),
            Self::Spaces => format!("{prefix}  {token}"),
            Self::Inside => format!("Other abc {prefix}{token}"),
            Self::NoPrefix => token.to_owned(),
        }
    }
}

const SPELLINGS: &[(u32, Spelling)] = &[
    (40, Spelling::Plain),
    (2, Spelling::OtherCase),
    (2, Spelling::Spaces),
    (1, Spelling::Inside),
    (1, Spelling::NoPrefix),
];

fn tokens(
    dice: &mut Dice,
    configuration: &Configuration,
    requires: Option<&crate::requirement::Requirement>,
    parts: &mut Vec<Part>,
) {
    let named = requires
        .map(|requires| requires.named())
        .unwrap_or_default();
    let wants_all = requires.is_some_and(|requires| requires.is_all());
    // Whose tokens: those of the rule's providers, or of any.
    let mut whose: Vec<(&Provider, Option<&[String]>)> = Vec::new();
    if wants_all && dice.chance(60) {
        whose.extend(
            named
                .iter()
                .map(|(at, audiences)| (&configuration.providers[*at], *audiences)),
        );
    } else {
        let count = dice.weighted(&[(10, 0), (80, 1), (10, 2)]);
        for _ in 0..count {
            whose.push(if !named.is_empty() && dice.chance(80) {
                let (at, audiences) = *dice.pick(&named);
                (&configuration.providers[at], audiences)
            } else {
                (dice.pick(&configuration.providers), None)
            });
        }
    }
    for (provider, audiences) in whose {
        let mut wanted = provider.clone();
        if let Some(audiences) = audiences
            && dice.chance(75)
        {
            wanted.audiences = audiences.to_vec();
        }
        let token = Token::draw(dice, &wanted);
        let place = place(dice, configuration, provider);
        if let Place::Param(_) = place
            && token.text.contains(['!', '#'])
        {
            continue;
        }
        // Two in one place say the same whatever they are: some of those are enough.
        let taken = parts
            .iter()
            .any(|part| matches!(part, Part::Token { place: other, .. } if *other == place));
        if taken && dice.chance(60) {
            continue;
        }
        let mut spelling = dice.weighted(SPELLINGS);
        // A place of the same header without a prefix reads the whole value, scheme and all.
        let has_no_prefix = |name: &str| name == "x-token";
        if spelling == Spelling::Inside
            && matches!(&place, Place::Header { name, .. } if has_no_prefix(name))
        {
            spelling = Spelling::Plain;
        }
        let part = Part::Token {
            token,
            place,
            spelling,
        };
        if dice.chance(3) {
            parts.push(part.clone());
        }
        // The same token once more, somewhere else.
        if dice.chance(5)
            && let Part::Token { token, .. } = &part
            && !token.text.contains(['!', '#'])
        {
            parts.push(Part::Token {
                token: token.clone(),
                place: self::place(dice, configuration, provider),
                spelling: Spelling::Plain,
            });
        }
        parts.push(part);
    }
    if dice.chance(3) {
        parts.push(header(
            "authorization",
            dice.pick::<&str>(&["Basic dTpw", "Bearer", "Digest a=b"]),
        ));
    }
}

fn place(dice: &mut Dice, configuration: &Configuration, provider: &Provider) -> Place {
    if dice.chance(10) {
        let others: Vec<Place> = configuration
            .providers
            .iter()
            .flat_map(|provider| provider.places.clone())
            .collect();
        return dice.pick(&others).clone();
    }
    if provider.default_places && dice.chance(90) {
        return provider.places[0].clone();
    }
    dice.pick(&provider.places).clone()
}
