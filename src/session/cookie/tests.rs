use super::*;

const NAME: &str = "__Host-Http-bg_session_staff";

fn cookie() -> Cookie {
    Cookie::of_session("staff", None, SameSite::Lax, DEFAULT_MAX_BYTES).unwrap()
}

fn request(lines: &[&str]) -> Request {
    let header = |line: &&str| ("cookie".into(), line.as_bytes().to_vec());
    Request::new(lines.iter().map(header).collect())
}

/// What a browser sends after it has received these values of Set-Cookie.
fn sent(set: &[String]) -> Request {
    let kept = set.iter().filter(|line| !line.contains("Max-Age=0"));
    let pairs: Vec<&str> = kept.map(|line| line.split(';').next().unwrap()).collect();
    request(&[&pairs.join("; ")])
}

fn value(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

fn read(cookie: &Cookie, request: &Request) -> Result<Option<Vec<u8>>, Torn> {
    let value = cookie.read(request)?;
    Ok(value.map(Cow::into_owned))
}

#[test]
fn names_and_attributes() {
    let set = |cookie: Cookie, max_age| {
        let set = cookie.set(b"abc", max_age, &request(&[])).unwrap();
        assert_eq!(set.len(), 1);
        set[0].clone()
    };
    let of = |domain, same_site| Cookie::of_session("s-1", domain, same_site, 4096).unwrap();
    assert_eq!(
        set(of(None, SameSite::Lax), None),
        "__Host-Http-bg_session_s-1=YWJj; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    assert_eq!(
        set(of(Some("a.example"), SameSite::Strict), Some(60)),
        "__Secure-bg2_session_s-1=YWJj; Path=/; Secure; HttpOnly; SameSite=Strict; \
         Domain=a.example; Max-Age=60"
    );
    assert_eq!(
        set(Cookie::of_browser(None).unwrap(), Some(1)),
        "__Host-Http-bg_browser=YWJj; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1"
    );
    assert!(set(of(None, SameSite::None), None).ends_with("SameSite=None"));
    // A browser sends the cookies of all domains that a host is in.
    let domains = [
        None,
        Some("b.a.example"),
        Some("a.example"),
        Some("example"),
    ];
    let names = domains.map(|domain| {
        let of_browser = Cookie::of_browser(domain).unwrap();
        [of_browser.name, of(domain, SameSite::Lax).name]
    });
    let names: std::collections::BTreeSet<_> = names.as_flattened().iter().collect();
    assert_eq!(names.len(), 2 * domains.len(), "{names:?}");
}

#[test]
fn cookies_that_cannot_be() {
    let long = "x".repeat(LONGEST_SCHEME + 1);
    for (scheme, domain, max_bytes, expected) in [
        ("", None, 4096, CookieError::Scheme),
        ("a.1", None, 4096, CookieError::Scheme),
        ("a b", None, 4096, CookieError::Scheme),
        ("a;b", None, 4096, CookieError::Scheme),
        ("\u{e4}", None, 4096, CookieError::Scheme),
        (&long, None, 4096, CookieError::Scheme),
        ("a", Some(""), 4096, CookieError::Domain),
        ("a", Some(".a.example"), 4096, CookieError::Domain),
        ("a", Some("A.example"), 4096, CookieError::Domain),
        ("a", Some("a.example:80"), 4096, CookieError::Domain),
        ("a", Some("a.example; x"), 4096, CookieError::Domain),
        ("a", None, 4095, CookieError::MaxBytes),
        ("a", None, LARGEST_MAX_BYTES + 1, CookieError::MaxBytes),
    ] {
        let made = Cookie::of_session(scheme, domain, SameSite::Lax, max_bytes);
        assert_eq!(made, Err(expected), "{scheme:?} {domain:?} {max_bytes}");
    }
}

#[test]
fn a_value_of_any_length_comes_back() {
    let cookie = cookie();
    let mut counts = std::collections::BTreeSet::new();
    for length in (0..9100).step_by(7).chain(3040..3060) {
        let Ok(set) = cookie.set(&value(length), None, &request(&[])) else {
            assert!(length > 9000, "{length}");
            continue;
        };
        counts.insert(set.len());
        for line in &set {
            let pair = line.split(';').next().unwrap();
            assert!(pair.len() - 1 <= LONGEST_COOKIE, "{length}: {}", pair.len());
        }
        let read = read(&cookie, &sent(&set)).unwrap().unwrap();
        assert_eq!(base64url::decode(&read), Some(value(length)), "{length}");
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_value_that_is_too_large_is_a_named_error() {
    let error = cookie().set(&value(10_000), None, &request(&[]));
    let TooLarge { bytes, max_bytes } = error.unwrap_err();
    assert!(bytes > max_bytes && max_bytes == DEFAULT_MAX_BYTES);
    let large = Cookie::of_session("s", None, SameSite::Lax, LARGEST_MAX_BYTES).unwrap();
    let most = (1..MAX_CHUNKS).map(|count| count * 3030);
    for length in most.filter(|length| length * 4 / 3 < LARGEST_MAX_BYTES - 500) {
        assert!(
            large.set(&value(length), None, &request(&[])).is_ok(),
            "{length}"
        );
    }
}

/// A value of three chunks, as a browser sends them.
fn chunks() -> [String; 3] {
    let set = cookie().set(&value(8000), None, &request(&[])).unwrap();
    let pairs = set
        .iter()
        .map(|line| line.split(';').next().unwrap().to_owned());
    pairs.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn s13_chunks_that_are_swapped_missing_or_surplus() {
    let [a, b, c] = &chunks();
    let read = |cookies: &[&str]| read(&cookie(), &request(&[&cookies.join("; ")]));
    let good = read(&[a, b, c]).unwrap().unwrap();
    // whatever their order is
    assert_eq!(read(&[c, "x=y", a, b]), Ok(Some(good.clone())));
    let whole = format!("{NAME}=abc");
    let fourth = format!("{NAME}.3=abc");
    let last = format!("{NAME}.{}=abc", MAX_CHUNKS - 1);
    let table: &[(&[&str], Torn)] = &[
        (&[b, c], Torn::Missing),
        (&[a, c], Torn::Missing),
        (&[a, b], Torn::Missing),
        (&[a], Torn::Missing),
        (&[c], Torn::Missing),
        (&[a, b, &last], Torn::Missing),
        (&[a, b, c, &fourth], Torn::Surplus),
        (&[a, b, c, &last], Torn::Surplus),
        (&[&whole, a, b, c], Torn::Surplus),
        (&[&whole, &last], Torn::Surplus),
    ];
    for (cookies, expected) in table {
        assert_eq!(read(cookies), Err(*expected), "{cookies:.60?}");
    }
    // The seal finds chunks that were swapped.
    let swapped_b = b.replacen(".1=", ".2=", 1);
    let swapped_c = c.replacen(".2=", ".1=", 1);
    assert_ne!(read(&[a, &swapped_b, &swapped_c]), Ok(Some(good)));
    for first in [
        "", "abc", ".abc", "0.abc", "1.abc", "02.abc", "13.abc", "99.abc", "123.a",
    ] {
        let first = format!("{NAME}.0={first}");
        assert_eq!(read(&[&first]), Err(Torn::Malformed), "{first}");
    }
}

#[test]
fn s14_duplicates_and_several_lines() {
    let [a, b, c] = &chunks();
    let whole = format!("{NAME}=abc");
    let read = |lines: &[&str]| read(&cookie(), &request(lines));
    let joined = read(&[&format!("{a}; {b}; {c}")]);
    assert_eq!(read(&[a, &format!("x=y; {b}"), c]), joined);
    assert_eq!(read(&["x=y", &whole]), Ok(Some(b"abc".to_vec())));
    for lines in [
        &[&*format!("{whole}; {whole}")][..],
        &[&whole, &whole],
        &[&format!("{whole}; {NAME}=other")],
        &[&format!("{NAME}="), &whole],
        &[&format!("{a}; {b}; {c}; {b}")],
        &[a, b, c, a],
    ] {
        assert_eq!(read(lines), Err(Torn::Duplicate), "{lines:.60?}");
    }
}

#[test]
fn s17_a_cookie_without_the_prefix_or_of_another_name() {
    for line in [
        "bg_session_staff=abc",
        "__Secure-bg_session_staff=abc",
        "__Host-bg_session_staff=abc",
        "__host-http-bg_session_staff=abc",
        "__Host-Http-bg_session_Staff=abc",
        "__Host-Http-bg_session_staff2=abc",
        "__Host-Http-bg_session_staff.=abc",
        "__Host-Http-bg_session_staff.00=abc",
        "__Host-Http-bg_session_staff.12=abc",
        "__Host-Http-bg_session_staff.x=abc",
        "x=__Host-Http-bg_session_staff=abc",
        "=__Host-Http-bg_session_staff=abc",
        "x=1, __Host-Http-bg_session_staff=abc",
        "__Host-Http-bg_session_staff",
        "\"__Host-Http-bg_session_staff\"=abc",
    ] {
        assert_eq!(cookie().read(&request(&[line])), Ok(None), "{line}");
    }
    let of_domain = Cookie::of_session("staff", Some("a.example"), SameSite::Lax, 4096);
    let host_only = request(&["__Host-Http-bg_session_staff=abc"]);
    assert_eq!(of_domain.unwrap().read(&host_only), Ok(None));
}

#[test]
fn s30_cookies_that_are_too_large_are_not_joined() {
    let piece = "x".repeat(4000);
    let line = format!("{NAME}.0=4.{piece}; {NAME}.1={piece}; {NAME}.2={piece}; {NAME}.3={piece}");
    assert_eq!(cookie().read(&request(&[&line])), Err(Torn::TooLarge));
    let whole = format!("{NAME}={}", "x".repeat(DEFAULT_MAX_BYTES));
    assert_eq!(cookie().read(&request(&[&whole])), Err(Torn::TooLarge));
}

#[test]
fn what_is_deleted_is_what_the_request_has_of_ours() {
    let names = |set: Vec<String>| -> Vec<String> {
        let name = |line: &String| {
            assert!(line.ends_with("; SameSite=Lax; Max-Age=0"), "{line}");
            line.split('=').next().unwrap().replace(NAME, "*")
        };
        set.iter().map(name).collect()
    };
    for (line, expected) in [
        ("a=b", &[][..]),
        ("*=x; a=b", &["*"]),
        ("*.1=x; *.0=; *.1=x; *.11=x", &["*.1", "*.0", "*.11"]),
        ("*2=x; *.12=x; *.01=x; *.=x; *.x=x; x*=y; *", &[]),
    ] {
        let deleted = cookie().delete(&request(&[&line.replace('*', NAME)]));
        assert_eq!(names(deleted), expected, "{line}");
    }
    // A smaller value removes the chunks of the larger one, and the other way round.
    let [a, b, c] = &chunks();
    let before = request(&[&format!("{a}; {b}; {c}; other=x")]);
    let mut set = cookie().set(b"abc", None, &before).unwrap();
    assert_eq!(
        set.pop().unwrap().split(';').next(),
        Some(&*format!("{NAME}=YWJj"))
    );
    assert_eq!(names(set), ["*.0", "*.1", "*.2"]);
    let before = request(&[&format!("{NAME}=abc; {NAME}.7=x; {NAME}.1=x")]);
    let mut set = cookie().set(&value(8000), None, &before).unwrap();
    set.truncate(2);
    assert_eq!(names(set), ["*", "*.7"]);
}

#[test]
fn s21_no_spelling_of_our_names_reaches_the_upstream() {
    let (session, browser) = (cookie(), Cookie::of_browser(None).unwrap());
    let without = |lines: &[&str]| -> Option<Vec<String>> {
        let lines = without_ours(&request(lines), &[&session, &browser])?;
        let text = |line: Vec<u8>| String::from_utf8(line).unwrap();
        Some(lines.into_iter().map(text).collect())
    };
    for ours in [
        NAME,
        "__Host-Http-bg_session_staff.0",
        "__Host-Http-bg_session_staff.11",
        "__Host-Http-bg_session_staff.99",
        "__Host-Http-bg_session_staff.007",
        "__Host-Http-bg_session_staff.",
        "__host-http-BG_session_staff",
        "__Host_Http_bg_session_staff",
        "__Host-Http-bg.session.staff",
        "__Host-Http-bg_session_staff[0]",
        "__Host-Http-bg_session_staff_1",
        "__Host-Http-bg_session_staff.0[]",
        "__Host-Http-bg_session_staff_1[x][y]",
        "__Host-Http-bg_session_staff.0\u{a0}",
        "..Host-Http-bg_session_staff.0[",
        "__Host-Http-bg_browser",
        // of a domain that the configuration had before
        "__Secure-bg_session_staff",
        "__Secure-bg2_session_staff",
        "__Secure-bg12_session_staff.3",
        "__Secure-bg3_browser",
    ] {
        assert_eq!(without(&[&format!("{ours}=x")]), Some(vec![]), "{ours}");
        assert_eq!(without(&[ours]), Some(vec![]), "{ours}");
        let line = format!("a=1; {ours} = x;b=2");
        assert_eq!(
            without(&[&line]),
            Some(vec!["a=1;b=2".to_owned()]),
            "{ours}"
        );
    }
    for theirs in [
        "bg_session_staff",
        "__Secure-bg2_session_staffs",
        "__Secure-bgx_session_staff",
        "__Secure-session_staff",
        "__Host-Http-bg_session_staffs",
    ] {
        assert_eq!(without(&[&format!("{theirs}=x")]), None, "{theirs}");
    }
}

#[test]
fn cookies_of_applications_stay_as_they_are() {
    for (lines, expected) in [
        (&["a=1"][..], None),
        (&["a=1;  b = \"x; y\" ;; =c; d"], None),
        (&[], None),
        (&["*=x"], Some(&[][..])),
        (&["*=x; a=1"], Some(&["a=1"])),
        (&["a=1; *=x"], Some(&["a=1"])),
        (
            &["a=1;  b = \"x\" ;*=x;; =c; d"],
            Some(&["a=1;  b = \"x\" ;; =c; d"]),
        ),
        (
            &["a=1; *=x;  b=2 ; *.1=y; c=\t3"],
            Some(&["a=1;  b=2 ; c=\t3"]),
        ),
        (&["a=1;", "*=x", ";b=2"], Some(&["a=1;", ";b=2"])),
        (&["a=*=x; *=x"], Some(&["a=*=x"])),
    ] {
        let with = |text: &str| text.replace('*', NAME);
        let lines: Vec<String> = lines.iter().map(|line| with(line)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let expected = expected.map(|lines| {
            let octets = |line: &&str| with(line).into_bytes();
            lines.iter().map(octets).collect::<Vec<_>>()
        });
        assert_eq!(
            without_ours(&request(&lines), &[&cookie()]),
            expected,
            "{lines:?}"
        );
    }
}
