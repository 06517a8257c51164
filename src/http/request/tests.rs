use super::*;

fn request(headers: &[(&'static str, &str)]) -> Request {
    Request::new(
        headers
            .iter()
            .map(|(name, value)| ((*name).into(), value.as_bytes().to_vec()))
            .collect(),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn methods_and_hosts_have_one_form_or_none() {
    let request = |method, authority| request(&[(":method", method), (":authority", authority)]);
    let good = request("GET", "Api.Example.:8443");
    assert_eq!(good.method(), Ok(&b"GET"[..]));
    assert_eq!(good.host(), Ok("api.example"));
    // white space around them makes no other reading
    for bad in [
        request("get", "a,b"),
        request(" GET", " a"),
        Request::default(),
    ] {
        assert_eq!(bad.method(), Err(Ambiguous::Method));
        assert_eq!(bad.host(), Err(Ambiguous::Host));
    }
    for (authority, plain) in [
        ("a.example", true),
        ("A.example:80", true),
        ("[::1]:80", true),
        ("a.example.", false),
        ("a.example.:80", false),
        ("[0::1]", false),
        ("a,b", false),
        ("", false),
    ] {
        assert_eq!(
            request("GET", authority).host_is_plain(),
            plain,
            "{authority}"
        );
    }
}

#[test]
fn white_space_around_values_is_taken_off() {
    let padded = request(&[
        ("authorization", " Bearer a"),
        ("cookie", "\ta=1 "),
        ("x", " \t "),
        (":path", " /"),
    ]);
    assert_eq!(padded.value("authorization"), Some(&b"Bearer a"[..]));
    assert_eq!(padded.value("cookie"), Some(&b"a=1"[..]));
    assert_eq!(padded.value("x"), Some(&b""[..]));
    assert_eq!(padded.path(), Some(&b" /"[..]));
}

fn texts(readings: Vec<Reading<'_>>) -> Vec<Option<String>> {
    let mut texts: Vec<Option<String>> = readings
        .into_iter()
        .map(|reading| reading.map(|value| text(&value)))
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

#[test]
fn every_reading_of_a_header() {
    type Headers = &'static [(&'static str, &'static str)];
    let table: &[(Headers, &[Option<&str>])] = &[
        (&[("x-b", "1")], &[None]),
        (&[("x-a", "1")], &[Some("1")]),
        (&[("x-a", "")], &[Some("")]),
        (
            &[("x-a", "1"), ("x-a", "2")],
            &[Some("1"), Some("1, 2"), Some("1,2"), Some("2")],
        ),
        (&[("x_a", "1")], &[None, Some("1")]),
        (&[("x.a", "1")], &[None, Some("1")]),
        (
            &[("x-a", "1"), ("x_a", "2")],
            &[Some("1"), Some("1, 2"), Some("1,2"), Some("2")],
        ),
        (&[("xaa", "1")], &[None]),
        (&[("x-a", "\u{a0}1")], &[Some("1"), Some("\u{a0}1")]),
    ];
    for (headers, expected) in table {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned().into(), value.as_bytes().to_vec()));
        let request = Request::new(headers.collect());
        let found = texts(request.header_readings("x-a"));
        let expected: Vec<_> = expected.iter().map(|r| r.map(str::to_owned)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn every_reading_of_a_parameter() {
    let table: &[(&str, &[Option<&str>])] = &[
        ("/", &[None]),
        ("/?q=1", &[Some("1")]),
        ("/?%71=%31", &[Some("1")]),
        ("/?q", &[Some("")]),
        ("/?x=1&y=q", &[None]),
        (
            "/?q=1&q=2",
            &[Some("1"), Some("1, 2"), Some("1,2"), Some("2")],
        ),
        ("/?q=a+b", &[Some("a b"), Some("a+b")]),
        ("/?Q=1", &[None, Some("1")]),
        ("/?+q=1", &[None, Some("1")]),
        ("/?x=1;q=2", &[None, Some("2")]),
        ("/?x;q=2", &[None, Some("2")]),
        ("/?q;x=2", &[None, Some("")]),
        ("/?q=1\u{a0}", &[Some("1"), Some("1\u{a0}")]),
        ("/?q=1\u{a0}&x", &[Some("1"), Some("1\u{a0}")]),
        ("/?q=\u{a0}1", &[Some("\u{a0}1")]),
        ("/?q=1%20", &[Some("1 ")]),
        ("/?q\u{a0}", &[None, Some("")]),
    ];
    for (path, expected) in table {
        let request = request(&[(":path", path)]);
        let found = texts(request.parameter_readings("q"));
        let expected: Vec<_> = expected.iter().map(|r| r.map(str::to_owned)).collect();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn cookies_that_only_some_upstreams_find() {
    let table: &[(&str, bool)] = &[
        ("s=1", false),
        ("a=1; s=1;b=2", false),
        ("a=s; b=xs=1", false),
        ("sx=1; xs=1", false),
        ("s", false),
        ("S=1", true),
        ("s =1", true),
        ("s\t=1", true),
        ("\u{a0}s=1", true),
        ("s\u{a0}=1", true),
        ("a=1,s=2", true),
        ("a=1, s=2", true),
        ("a=1 s=2", true),
        ("a=1\u{85}s=2", true),
        ("s=1,S=2", true),
        ("$Version=1; s=1; $Path=/", false),
    ];
    for (cookie, expected) in table {
        let request = request(&[("cookie", cookie)]);
        assert_eq!(
            request.has_other_cookie(&|name| name == b"s", &|name| are_alike(name, b"s")),
            *expected,
            "{cookie:?}"
        );
    }
}

#[test]
fn parameters_are_decoded_once() {
    let table: &[(&str, &[(&str, &str)])] = &[
        ("/", &[]),
        ("/?", &[("", "")]),
        ("/?a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]),
        ("/?a", &[("a", "")]),
        ("/?a=b=c", &[("a", "b=c")]),
        ("/?access%5Ftoken=x%2Ey", &[("access_token", "x.y")]),
        (
            "/?a=%252e&b=%zz&c=%2",
            &[("a", "%2e"), ("b", "%zz"), ("c", "%2")],
        ),
        ("/?a=1?b=2", &[("a", "1?b=2")]),
    ];
    for (path, expected) in table {
        let request = request(&[(":path", path)]);
        let found: Vec<_> = request
            .parameters()
            .map(|(name, value)| (text(&name), text(&value)))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn cookies_of_all_headers() {
    let request = request(&[
        ("cookie", "a=1; b=\"2\";c=3=4 ; d; =5"),
        ("x", "a=7"),
        ("cookie", "a=6"),
    ]);
    let found: Vec<_> = request
        .cookies()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let expected = [("a", "1"), ("b", "2"), ("c", "3=4"), ("", "5"), ("a", "6")];
    assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[test]
fn what_is_left_without_some_names() {
    let path = |path: &str| {
        request(&[(":path", path)])
            .path_without(&["token", "t2"])
            .map(|rest| text(&rest))
    };
    for (given, left) in [
        ("/a?token=x", Some("/a")),
        ("/a?b=1&token=x&c=%20", Some("/a?b=1&c=%20")),
        ("/a?t%6Fken=x&token&t2=&b", Some("/a?b")),
        ("/a?b=token", None),
        ("/token=1", None),
        ("/a", None),
    ] {
        assert_eq!(path(given).as_deref(), left, "{given}");
    }
    let cookie = |cookie: &str| {
        request(&[("cookie", cookie), ("cookie", "z=1")])
            .cookie_without(&|name| name == b"s")
            .map(|rest| text(&rest))
    };
    for (given, left) in [
        ("s=x", Some("z=1")),
        ("a=1; s=x; b=2", Some("a=1; b=2; z=1")),
        ("s=x;s=y", Some("z=1")),
        ("a=s", None),
    ] {
        assert_eq!(cookie(given).as_deref(), left, "{given}");
    }
}

#[test]
fn preflights() {
    let full = [
        (":method", "OPTIONS"),
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
    ];
    assert!(request(&full).is_cors_preflight());
    for missing in 0..full.len() {
        for value in [None, Some("")] {
            let mut headers = full.to_vec();
            match value {
                None => drop(headers.remove(missing)),
                Some(value) => headers[missing].1 = value,
            }
            assert!(!request(&headers).is_cors_preflight(), "{headers:?}");
        }
    }
}
