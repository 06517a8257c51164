//! Requirements that take a session.

use super::*;

fn requirement(fields: Value) -> (Requirement, Unauthenticated, Config) {
    let text = with_rule_of(fields);
    let config = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let rule = &config.rules.all()[0];
    let Access::Token(access) = &rule.access else {
        panic!("asks for something");
    };
    (
        access.demand.requirement.clone(),
        rule.unauthenticated,
        config,
    )
}

#[test]
fn a_requirement_takes_a_session() {
    let (lone, unauthenticated, config) = requirement(json!({"requires": {"session": "guests"}}));
    let Requirement::Provider(demand) = lone else {
        panic!("one demand");
    };
    let schemes = &config.sign_in.as_ref().unwrap().schemes;
    assert_eq!(schemes[demand.session.unwrap()].name, "guests");
    assert_eq!(config.providers[demand.provider].name, "p");
    assert!(demand.places.is_empty());
    assert_eq!(unauthenticated, Unauthenticated::Auto);

    // A chooser, or a token in place of a session.
    let any = json!({"requires": {"requires_any": {"requirements": [
        {"session": "staff"}, {"session": "guests"}, {"provider_name": "p"}
    ]}}});
    let (Requirement::Any { members, .. }, _, config) = requirement(any) else {
        panic!("one of several");
    };
    let schemes = &config.sign_in.as_ref().unwrap().schemes;
    let sessions: Vec<Option<&str>> = members
        .iter()
        .map(|member| match member {
            Requirement::Provider(demand) => demand.session.map(|id| schemes[id].name.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sessions, [Some("staff"), Some("guests"), None]);

    // One that is optional by itself is about tokens.
    let (Requirement::Any { members, .. }, _, _) =
        requirement(json!({"requires": {"allow_missing": {}}}))
    else {
        panic!("one of several");
    };
    assert_eq!(members.len(), 1);

    for (word, expected) in [
        ("auto", Unauthenticated::Auto),
        ("redirect", Unauthenticated::Redirect),
        ("unauthorized", Unauthenticated::Unauthorized),
    ] {
        let rule = json!({"requires": {"session": "staff"}, "unauthenticated": word});
        assert_eq!(requirement(rule).1, expected, "{word}");
    }

    // Wherever a requirement stands.
    let mut named =
        with_rule_of(json!({"requirement_name": "people", "unauthenticated": "redirect"}));
    named["requirement_map"] = json!({"people": {"session": "staff"}});
    named["route_metadata"] = json!("bearer_gate");
    let named = parse(&named).unwrap();
    assert!(named.of_routes.unwrap().named(b"people").is_some());
}

#[test]
fn refuses_requirements() {
    let table = [
        (
            json!({"requires": {"session": "stuff"}}),
            "rules[0].requires.session: unknown scheme, did you mean staff?",
        ),
        (
            json!({"requires": {"session": "p"}}),
            "rules[0].requires.session: unknown scheme",
        ),
        (
            json!({"requires": {"provider_name": "staff"}}),
            "rules[0].requires.provider_name: unknown provider",
        ),
        (
            json!({"requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"session": "gests"}]}}}),
            "rules[0].requires.requires_any.requirements[1].session: unknown scheme, did you mean guests?",
        ),
        (
            json!({"requires": {"session": "staff"}, "unauthenticated": "401"}),
            "rules[0].unauthenticated: unknown variant, expected one of `auto`, `redirect`, `unauthorized`",
        ),
        (
            json!({"unauthenticated": "auto"}),
            "rules[0].unauthenticated: changes nothing: the rule takes no session",
        ),
        (
            json!({"requires": {"provider_name": "p"}, "unauthenticated": "redirect"}),
            "rules[0].unauthenticated: changes nothing: the rule takes no session",
        ),
    ];
    for (rule, expected) in table {
        assert_eq!(refused(&with_rule_of(rule.clone())), expected, "{rule}");
    }
    let mut config = with_rule_of(json!({}));
    config["requirement_map"] = json!({"people": {"session": "stuff"}});
    assert_eq!(
        refused(&config),
        "requirement_map.people.session: unknown scheme, did you mean staff?"
    );
    // Two at once must not set one header.
    for (members, names) in [
        (
            json!([{"session": "staff"}, {"session": "guests"}]),
            "session staff and session guests",
        ),
        (
            json!([{"provider_name": "p"}, {"session": "staff"}]),
            "p and session staff",
        ),
    ] {
        let mut config =
            with_rule_of(json!({"requires": {"requires_all": {"requirements": members}}}));
        assert_eq!(refused(&config), "accepted");
        config["providers"]["p"]["claim_to_headers"] =
            json!([{"header_name": "x-user", "claim_name": "sub"}]);
        assert_eq!(
            refused(&config),
            format!(
                "rules[0].requires.requires_all: {names} both set x-user: with a token of each, the upstream could not tell whose it is"
            )
        );
    }
}
