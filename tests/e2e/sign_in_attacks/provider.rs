//! A provider, or somebody between it and the filter, that misbehaves.

use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour};
use bearer_gate_testbed::visitor::Visitor;

use super::{ALICE, Browser, HOST, PAGE, failed, get, is_alive, stage, to_provider};

/// What a browser gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// A page that says why nobody is signed in, and how often the token endpoint was asked.
    Failed(&'static str, u64),
    /// To the provider again; how often the token endpoint was asked.
    Again(u64),
    /// A session: nothing is wrong here.
    SignedIn,
}

/// What each misbehaviour comes to; `None` for those that are about later than a sign-in.
fn expected(misbehaviour: Misbehaviour) -> Option<Ends> {
    use Ends::{Again, Failed, SignedIn};
    use Misbehaviour::*;
    Some(match misbehaviour {
        StateMissing | CodeRepeated | StateRepeated => Failed("invalid_request", 0),
        StateAltered => Failed("state_invalid", 0),
        CodeOfAnotherFlow => Again(1),
        IssMissing | IssOther => Failed("issuer_mismatch", 0),
        ErrorWithHtml => Failed("server_error", 0),
        // The form goes to the callback with its password.
        RedirectWith307 => Failed("invalid_request", 0),
        CodeOfAnotherFlowUnchecked
        | NonceMissing
        | NonceOther
        | AlgNone
        | AlgHs256
        | SignatureBroken
        | AudienceOther
        | AudienceOfTwo
        | AzpOther
        | IssuerOther
        | Expired
        | AtHashOther
        | AccessTokenAsIdToken
        | LogoutTokenAsIdToken => Failed("id_token_invalid", 1),
        IdTokenMissing | TokenTypeOther | AccessTokenMissing => Failed("tokens_unusable", 1),
        // The error is that of a code that was used.
        ErrorIn200 => Again(1),
        TokenResponseTruncated
        | TokenResponseHtml
        | TokenResponseHuge
        | TokenResponse500
        | TokenResponseRedirect
        | TokenResponseNever
        | TokenResponseCut => Failed("any", 1),
        RefreshRefused
        | RefreshWithoutIdToken
        | RefreshWithOtherSubject
        | RefreshWithOtherAuthTime => SignedIn,
        LogoutTokenOld
        | LogoutTokenReplayed
        | LogoutTokenWithoutEvents
        | LogoutTokenWithNonce
        | LogoutTokenOfNobody
        | LogoutTokenForOther
        | IdTokenAsLogoutToken => return None,
        // These are in `pushed`.
        PushedOfAnotherFlow | PushedUriNoText | PushedUriForged | PushedOver | PushedWith200
        | PushedRefused | Pushed500 => return None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s01_s03_s04_s06_s07_s08_s09_s22_s26_s27_a_provider_that_misbehaves() {
    let stage = stage(|_| ());
    let openid = stage.idp.openid();
    let mut tried = 0;
    // What makes an endpoint rest comes last.
    let rests =
        |misbehaviour: &Misbehaviour| expected(*misbehaviour) == Some(Ends::Failed("any", 1));
    let (last, first): (Vec<&Misbehaviour>, Vec<&Misbehaviour>) =
        Misbehaviour::ALL.iter().partition(|one| rests(one));
    for misbehaviour in first.into_iter().chain(last) {
        let Some(expected) = expected(*misbehaviour) else {
            continue;
        };
        tried += 1;
        let what = format!("{misbehaviour:?}");
        let mut browser = Browser::default();
        openid.misbehave(None);
        let location = browser.begin(&stage, "/page");
        openid.misbehave(Some(*misbehaviour));
        let mut visitor = Visitor::new();
        let page = visitor.get(&location).await;
        let fields = [("username", "alice"), ("password", "wonderland")];
        let answer = visitor.fill(&location, &page, "login", &fields).await;
        let back = answer.header("location").expect("a way back");
        let back = back.strip_prefix(&format!("https://{HOST}")).expect("ours");
        let mut message = get(back, PAGE);
        if answer.status == 307 {
            message.method = b"POST".to_vec();
            message = message.header("content-type", "application/x-www-form-urlencoded");
            message.body = Some(b"username=alice&password=wonderland".to_vec());
        }
        let before = |reason| failed(&stage, reason);
        let (calls, upstream) = (openid.calls(Endpoint::Token), stage.upstream.requests());
        let reasons = ["tokens_unusable", "provider_unavailable", "code_refused"];
        let failures = |reason| match reason {
            "any" => reasons.map(before).iter().sum(),
            reason => before(reason),
        };
        let earlier = match expected {
            Ends::Failed(reason, _) => failures(reason),
            _ => 0,
        };
        let answer = browser.send(&stage, message);
        let asked = openid.calls(Endpoint::Token) - calls;
        assert_eq!(stage.upstream.requests(), upstream, "{what}");
        match expected {
            Ends::SignedIn => assert!(browser.has_session(), "{what}"),
            Ends::Again(calls) => {
                assert!(to_provider(&stage, &answer).is_some(), "{what}: {answer:?}");
                assert_eq!(asked, calls, "{what}");
            }
            Ends::Failed("any", _) if to_provider(&stage, &answer).is_some() => {
                // Nobody knows whether the provider took the code.
                assert!(asked >= 1, "{what}");
            }
            Ends::Failed(reason, calls) => {
                assert!(
                    (400..=503).contains(&answer.status),
                    "{what}: {} {}",
                    answer.status,
                    answer.text()
                );
                assert_eq!(failures(reason), earlier + 1, "{what}: {}", answer.text());
                assert!(asked == calls || reason == "any", "{what}: {asked}");
                let html = answer.text();
                for part in ["<script", "<b>", "wonderland"] {
                    assert!(!html.contains(part), "{what}: {html}");
                }
                let policy = answer.header("content-security-policy").expect("a policy");
                assert!(policy.starts_with("default-src 'none'"), "{policy}");
            }
        }
        if expected != Ends::SignedIn {
            assert!(!browser.has_session(), "{what}: {answer:?}");
            // Nor afterwards, when the provider behaves: the same answer is of no more use.
            openid.misbehave(None);
            let page = browser.fetch(&stage, "/page");
            assert_eq!(page.status, 401, "{what}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        // A cluster or an endpoint that rests is no reason for what comes next.
        if expected == Ends::Failed("any", 1) {
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        }
    }
    assert_eq!(tried, 38);
    openid.misbehave(None);
    // After so many failures the endpoint may rest for a while, for one worker longer than for another.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    let mut in_a_row = 0;
    while in_a_row < 16 {
        let mut browser = Browser::default();
        let back = browser.on_the_way(&stage, "/page", ALICE).await;
        browser.open(&stage, &back);
        if browser.has_session() {
            in_a_row += 1;
            continue;
        }
        in_a_row = 0;
        assert!(std::time::Instant::now() < deadline, "nobody can sign in");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    is_alive(&stage).await;
}
