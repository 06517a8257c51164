//! Somebody signs in to the demo and out again, as with a browser that runs no scripts.

use bearer_gate_testbed::application::{ACCOUNT, API, SIGNED_OUT, SITES};
use bearer_gate_testbed::http::Reply;
use bearer_gate_testbed::visitor::Visitor;

/// How often a browser is sent on, between two pages.
const MOST_REDIRECTS: usize = 5;

/// Tells of each step.
pub(super) fn walk() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    SITES
        .into_iter()
        .try_for_each(|site| runtime.block_on(steps(site)))
}

async fn steps(site: &str) -> Result<(), String> {
    let at = |path: &str| format!("{site}{path}");
    let mut visitor = Visitor::new();
    let page = visitor.get(&at("/")).await;
    expect("The start page is public", &page, 200, "Sign in")?;
    let (url, page) = open(&mut visitor, site, &at(ACCOUNT)).await?;
    expect(
        "The account page leads to the provider",
        &page,
        200,
        "wonderland",
    )?;
    let fields = [("username", "alice"), ("password", "wonderland")];
    let back = visitor.fill(&url, &page, "login", &fields).await;
    let (url, page) = follow(&mut visitor, site, back).await?;
    let expected = "<tr><th scope=\"row\">x-user</th><td>user|alice</td></tr>";
    expect(
        "Who signs in comes back, and the application knows her",
        &page,
        200,
        expected,
    )?;
    is_at(&url, &at(ACCOUNT))?;
    let answer = visitor.fetch(&at(API)).await;
    expect(
        "A script calls the API with the session",
        &answer,
        200,
        "user|alice",
    )?;
    let left = visitor.post(&at("/sign-out"), &[]).await;
    let (url, page) = follow(&mut visitor, site, left).await?;
    expect(
        "She signs out, here and at the provider",
        &page,
        200,
        "You have signed out",
    )?;
    is_at(&url, &at(SIGNED_OUT))?;
    let answer = visitor.fetch(&at(API)).await;
    expect("The API wants a session or a token", &answer, 401, "")?;
    let (_, page) = open(&mut visitor, site, &at(ACCOUNT)).await?;
    expect(
        "The provider asks for the password again",
        &page,
        200,
        "wonderland",
    )
}

fn expect(what: &str, reply: &Reply, status: u16, text: &str) -> Result<(), String> {
    if reply.status == status && reply.body.contains(text) {
        println!("ok    {status} {what}");
        return Ok(());
    }
    println!("WRONG {status} {what}: {} {}", reply.status, reply.body);
    Err("signing in does not work as it should".to_owned())
}

fn is_at(url: &str, expected: &str) -> Result<(), String> {
    if url == expected {
        Ok(())
    } else {
        Err(format!("the browser is at {url}, not at {expected}"))
    }
}

/// Opens a page, and returns it with its URL.
async fn open(visitor: &mut Visitor, site: &str, url: &str) -> Result<(String, Reply), String> {
    let reply = visitor.get(url).await;
    if reply.status == 303 {
        follow(visitor, site, reply).await
    } else {
        Ok((url.to_owned(), reply))
    }
}

/// Goes where a browser is sent, and returns the page there with its URL.
async fn follow(
    visitor: &mut Visitor,
    site: &str,
    reply: Reply,
) -> Result<(String, Reply), String> {
    let mut reply = reply;
    let mut url = String::new();
    for _ in 0..MOST_REDIRECTS {
        match reply.header("location") {
            None => return Ok((url, reply)),
            Some(path) if path.starts_with('/') => url = format!("{site}{path}"),
            Some(location) => location.clone_into(&mut url),
        }
        reply = visitor.get(&url).await;
    }
    Err(format!("the browser is sent on and on: {url}"))
}
