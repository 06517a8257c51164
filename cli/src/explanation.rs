//! The steps of an explanation and the decision, as they are printed.

use anstream::println;
use bearer_gate::authn::{Decision, RESOURCE_METADATA};
use bearer_gate::config::Config;
use bearer_gate::desk::Need;
use bearer_gate::http::credentials::{Change, Place};
use bearer_gate::http::request::Request;
use bearer_gate::http::response::{Client, Response};
use bearer_gate::sign_in::{Outcome, SHARED_STORE};
use serde_json::{Value, json};

use crate::advice::{self, Advice};
use crate::outlook::Outlook;
use crate::output::{BAD, DIM, GOOD, HEAD, WARN, safe, styled};

/// Longer values of headers are cut when they are shown: nobody reads a whole payload.
const LONGEST_SHOWN: usize = 80;

/// What is said of a value with other characters.
const BEYOND_ASCII: &str = " (sent as UTF-8 bytes, which many frameworks read as other characters: `format: json` or `encode: base64` in claim_to_headers is ASCII)";

/// Whether a line speaks for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Good,
    Bad,
    Note,
    /// Neither, and why it was so decided: what somebody did by mistake.
    Hint,
    /// Of no account for this request: printed below all others.
    Aside,
}

/// A step of the decision. At most one is bad: the one that rejects the request.
pub(crate) struct Step {
    pub name: &'static str,
    pub mark: Mark,
    pub text: String,
    pub details: Vec<(Mark, String)>,
    /// The reasons against the request in this step, as the metrics name them.
    pub reasons: Vec<&'static str>,
}

impl Step {
    pub(crate) fn new(name: &'static str, mark: Mark, text: impl Into<String>) -> Self {
        Self {
            name,
            mark,
            text: text.into(),
            details: Vec::new(),
            reasons: Vec::new(),
        }
    }

    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reasons.push(reason);
        self
    }

    pub(crate) fn detail(&mut self, mark: Mark, text: impl Into<String>) {
        self.details.push((mark, text.into()));
    }
}

/// What happens to the request.
pub(crate) struct ShownVerdict {
    /// `None` if keys are missing that would decide it.
    pub admitted: Option<bool>,
    /// Why it is rejected, or would be rejected by a rule that only reports.
    pub reason: Option<&'static str>,
    /// Whether the provider would have to be asked for tokens.
    pub asks_provider: bool,
    /// Whether the shared store would have to be asked for the session.
    pub asks_store: bool,
    status: Option<u32>,
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// Changes to the request on its way to the upstream.
    upstream: Vec<String>,
}

impl ShownVerdict {
    /// What a decision does with a request. `removed` are the names of the client's headers that the
    /// filter took out of it first.
    pub(crate) fn new(
        decision: &Decision<'_>,
        config: &Config,
        request: &Request,
        removed: &[String],
    ) -> Self {
        let asks = match decision {
            Decision::Await(Need::Answer(question)) => Some(&*question.endpoint),
            _ => None,
        };
        let mut verdict = Self {
            admitted: None,
            reason: None,
            asks_provider: asks.is_some_and(|endpoint| endpoint != SHARED_STORE),
            asks_store: asks == Some(SHARED_STORE),
            status: None,
            headers: Vec::new(),
            body: None,
            upstream: Vec::new(),
        };
        match decision {
            Decision::Await(_) => {}
            Decision::Answer(answer) => {
                // Who is sent to sign in gets nothing of what was asked for.
                let is_final = answer.response.status < 300;
                verdict.admitted = Some(is_final || answer.what == RESOURCE_METADATA);
                if let Outcome::Failed(problem) = answer.outcome {
                    verdict.admitted = Some(false);
                    verdict.reason = Some(problem.name());
                }
                verdict.respond(answer.response.clone());
            }
            Decision::Reject(refusal) => {
                let rejection = &refusal.rejection;
                let client = Client::from_content_type(request.value("content-type"));
                verdict.admitted = Some(false);
                verdict.reason = Some(rejection.reason());
                verdict.respond(
                    config
                        .responses
                        .reject_by(rejection, client, refusal.schemes),
                );
            }
            Decision::Admit(admission) => {
                verdict.admitted = Some(true);
                verdict.reason = admission.reported;
                for name in removed {
                    let text = format!("the client's own {name} is removed");
                    verdict.upstream.push(text);
                }
                for change in &admission.changes.strip {
                    verdict.upstream.push(match change {
                        Change::Remove(name) => format!("{name} is removed: it has the token"),
                        Change::Set(name, _) => format!("the token is taken out of {name}"),
                        Change::Lines(name, _) => {
                            format!("the filter's own are taken out of {name}")
                        }
                    });
                }
                let outputs = admission.changes.outputs.iter();
                for (name, value) in outputs.flat_map(|of| of.set.iter().chain(&of.add)) {
                    let value = String::from_utf8_lossy(value);
                    let shown: String = value.chars().take(LONGEST_SHOWN).collect();
                    let more = if shown.len() < value.len() { "..." } else { "" };
                    let note = if shown.is_ascii() { "" } else { BEYOND_ASCII };
                    verdict
                        .upstream
                        .push(format!("{name}: {shown}{more}{note}"));
                }
                if let Some(reason) = admission.reported {
                    verdict
                        .upstream
                        .push(format!("{}: {reason}", bearer_gate::config::REPORT_HEADER));
                }
            }
        }
        verdict
    }

    /// Tells of the headers that providers with a good token would have set, and have not.
    pub(crate) fn tell_of_missing_headers(&mut self, config: &Config, good: &[String]) {
        if self.admitted != Some(true) || self.status.is_some() || self.reason.is_some() {
            return;
        }
        let providers = config.providers.iter();
        for provider in providers.filter(|provider| good.contains(&provider.name)) {
            for wanted in &provider.outputs.claim_headers {
                let start = format!("{}: ", wanted.header);
                if !self.upstream.iter().any(|line| line.starts_with(&start)) {
                    let claim = wanted.claim.join(".");
                    self.upstream.push(format!(
                        "{} is not set: the token has no claim {claim}, or its value cannot be sent (docs/claims-in-headers.md)",
                        wanted.header
                    ));
                }
            }
        }
    }

    fn respond(&mut self, response: Response) {
        self.status = Some(response.status);
        let headers = response.headers.into_iter();
        self.headers = headers
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        self.body = Some(response.body);
    }

    fn word(&self) -> &'static str {
        match self.admitted {
            Some(true) if self.status.is_some() => "answered",
            Some(true) => "admitted",
            Some(false) if matches!(self.status, Some(300..400)) => "redirected",
            Some(false) => "rejected",
            None => "undecided",
        }
    }
}

/// The steps of a decision, and the decision.
pub(crate) struct Explanation {
    /// What the gateway does, where that is not the decision.
    pub outlook: Option<Outlook>,
    pub steps: Vec<Step>,
    pub verdict: ShownVerdict,
    pub touched: Touched,
}

/// The parts of the configuration that had a part in a decision.
pub(crate) struct Touched {
    /// The rule that decided, if one did.
    pub rule: Option<usize>,
    /// The providers that were asked, by name.
    pub providers: Vec<String>,
}

impl Explanation {
    pub(crate) fn print(&self) {
        let word = self.verdict.word();
        let verdict = match &self.outlook {
            Some(outlook) => safe(&outlook.in_words(word)),
            None => word.to_owned(),
        };
        println!("{}: {verdict}{}", styled(HEAD, "verdict"), self.because());
        println!(
            "{}",
            styled(DIM, "below: + for the request, - against it, . neither")
        );
        for step in &self.steps {
            let text = safe(&step.text);
            println!("{} {}: {text}", sign(step.mark), styled(HEAD, step.name));
            let details = step.details.iter();
            for (mark, text) in details.filter(|(mark, _)| *mark != Mark::Aside) {
                println!("    {} {}", sign(*mark), safe(text));
            }
        }
        let verdict = &self.verdict;
        let style = match verdict.admitted {
            Some(true) => GOOD,
            Some(false) => BAD,
            None => WARN,
        };
        let why = match (verdict.reason, verdict.admitted) {
            (Some(reason), Some(true)) => format!(", although {reason}: the rule only reports"),
            (Some(reason), _) => format!(": {reason}"),
            (None, _) => String::new(),
        };
        let alone = match &self.outlook {
            Some(_) => ", by the configuration alone",
            None => "",
        };
        println!("{}{alone}{why}", styled(style, word));
        if let Some(status) = verdict.status {
            println!("    {status}");
        }
        for (name, value) in &verdict.headers {
            println!("    {name}: {}", safe(value));
        }
        if let Some(body) = &verdict.body {
            let is_page = |(name, value): &(String, String)| {
                name == "content-type" && value.starts_with("text/html")
            };
            match verdict.headers.iter().any(is_page) {
                true => println!("    a page: {}", safe(&page_in_words(body))),
                false => println!("    {}", safe(body)),
            }
        }
        if let Some(advice) = verdict.reason.and_then(advice::of) {
            println!("what to do about {}:", verdict.reason.unwrap_or_default());
            advice.print();
        }
        if !verdict.upstream.is_empty() {
            println!("the upstream's request:");
        }
        for line in &verdict.upstream {
            println!("    {}", safe(line));
        }
        self.print_asides();
    }

    /// The reason and what is against the request, in short.
    fn because(&self) -> String {
        let against = self.steps.iter().find(|step| step.mark == Mark::Bad);
        match (self.verdict.admitted, self.verdict.reason, against) {
            (Some(false), Some(reason), Some(step)) => {
                let marked = |wanted: Mark| step.details.iter().find(|(mark, _)| *mark == wanted);
                let told = marked(Mark::Hint).or_else(|| marked(Mark::Bad));
                let text = told.map_or(&step.text, |(_, text)| text);
                safe(&format!(": {reason}: {text}"))
            }
            (Some(false), Some(reason), None) => format!(": {reason}"),
            _ => String::new(),
        }
    }

    fn print_asides(&self) {
        let details = self.steps.iter().flat_map(|step| &step.details);
        let asides: Vec<_> = details.filter(|(mark, _)| *mark == Mark::Aside).collect();
        if !asides.is_empty() {
            println!("rules before that, which are for other paths:");
        }
        for (_, text) in asides {
            println!("    {} {}", sign(Mark::Aside), safe(text));
        }
    }

    pub(crate) fn to_json(&self, token: Option<&str>) -> Value {
        let word = |mark: Mark| match mark {
            Mark::Good => "good",
            Mark::Bad => "bad",
            Mark::Note | Mark::Hint | Mark::Aside => "note",
        };
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let details: Vec<Value> = step
                    .details
                    .iter()
                    .map(|(mark, text)| json!({"mark": word(*mark), "text": text}))
                    .collect();
                json!({
                    "step": step.name,
                    "mark": word(step.mark),
                    "text": step.text,
                    "details": details,
                })
            })
            .collect();
        let verdict = &self.verdict;
        let headers: serde_json::Map<String, Value> = verdict
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let mut report = json!({
            "verdict": verdict.word(),
            "gateway": self.outlook.as_ref().map(Outlook::to_json),
            "reason": verdict.reason,
            "advice": verdict.reason.and_then(advice::of).map(Advice::to_json),
            "steps": steps,
            "upstream": verdict.upstream,
        });
        if let (Some(status), Some(members)) = (verdict.status, report.as_object_mut()) {
            let response = json!({"status": status, "headers": headers, "body": verdict.body});
            members.insert("response".to_owned(), response);
        }
        if let (Some(token), Some(members)) = (token, report.as_object_mut()) {
            members.insert("token".to_owned(), token.into());
        }
        report
    }
}

fn sign(mark: Mark) -> String {
    match mark {
        Mark::Good => styled(GOOD, "+"),
        Mark::Bad => styled(BAD, "-"),
        Mark::Note | Mark::Hint | Mark::Aside => styled(DIM, "."),
    }
}

/// What a person reads of a page.
fn page_in_words(page: &str) -> String {
    let (_, main) = page.split_once("<main>").unwrap_or(("", page));
    let mut words = String::new();
    for part in main.split('<') {
        let text = part.split_once('>').map_or(part, |(_, text)| text);
        for word in text.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
    }
    words
}

pub(crate) fn place_in_words(place: &Place) -> String {
    match place {
        Place::Header { name, prefix } if prefix.is_empty() => format!("header {name}"),
        Place::Header { name, prefix } => format!("header {name} after \"{prefix}\""),
        Place::Parameter(name) => format!("query parameter {name}"),
        Place::Basic { username: None } => "password of Basic".to_owned(),
        Place::Basic {
            username: Some(name),
        } => format!("password of Basic, of the name {name}"),
        Place::Subprotocol { prefix, base64url } => {
            let form = if *base64url { ", in base64url" } else { "" };
            format!("WebSocket subprotocol after \"{prefix}\"{form}")
        }
        Place::Cookie(name) => format!("cookie {name}"),
        Place::Chunks(name) => format!("cookie {name} or its chunks, {name}.0 and so on"),
    }
}
