//! `token` and `keygen`: tokens and keys for tests only.
//!
//! Invariant: keys and tokens from here say that they are for tests, in their `kid` and on
//! standard error.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anstream::{eprintln, println};
use bearer_gate::jose::base64url;
use bearer_gate::jose::issuer::{Issuer, TENANT_ID};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwt::Expectations;
use bearer_gate::jose::token_type::TokenType;
use serde_json::{Map, Value, json};

use crate::command_error::{CommandError, exit};
use crate::output::{WARN, safe, styled};
use crate::plugin::{File, parse, select};
use crate::signing::{PrivateKey, TestKey};

/// The beginning of the `kid` of each key for tests.
const TEST_KID: &str = "bearer-gate-test";

/// The tenant of a token for a provider of any tenant.
const TEST_TENANT: &str = "00000000-0000-0000-0000-000000000000";

#[derive(clap::Args)]
pub(crate) struct TokenArgs {
    /// The private key: a PKCS#8 PEM or a private JWK, as `keygen` writes them
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A configuration, as `check` takes it: the token gets the issuer, the audience and the kind that
    /// its provider asks for
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which provider of the configuration, if it has several
    #[arg(long, value_name = "NAME", requires = "config")]
    provider: Option<String>,
    /// Which configuration of the file, counted from 0, if the file has several
    #[arg(long, value_name = "N", requires = "config")]
    select: Option<usize>,
    /// A claim, its value as JSON, or as text where it is none: `sub=me`, `roles=["admin"]`
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// The scopes, separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// Seconds until it expires, 3600 by default, or what the provider allows; may be negative
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    expires_in: Option<i64>,
    /// The key's id; by default the one that the file has, or else of its RFC 7638 thumbprint
    #[arg(long)]
    kid: Option<String>,
    /// The algorithm; by default the JWK's, or the usual one of the key
    #[arg(long, value_parser = algorithm)]
    alg: Option<Algorithm>,
}

#[derive(clap::Args)]
pub(crate) struct KeygenArgs {
    /// The algorithm
    #[arg(long, value_parser = algorithm, default_value = "RS256")]
    alg: Algorithm,
    /// The key's id, after the words that say that it is for tests; by default its RFC 7638 thumbprint
    #[arg(long)]
    kid: Option<String>,
    /// Where to write NAME.pem, NAME.jwk.json (both private) and NAME.jwks.json (public)
    #[arg(long, value_name = "NAME", default_value = TEST_KID)]
    out: PathBuf,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Algorithm::ALL.iter().map(|known| known.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

/// How long a token lives, in seconds.
const LIFE: i64 = 3600;

/// What a provider asks of its tokens.
struct Wanted {
    claims: Map<String, Value>,
    kind: &'static str,
    /// The longest life that it allows, in seconds.
    life: Option<i64>,
    /// The only algorithms that it takes; empty if none is known.
    algorithms: Vec<Algorithm>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            claims: Map::new(),
            kind: "JWT",
            life: None,
            algorithms: Vec::new(),
        }
    }
}

impl Wanted {
    fn read(
        path: &Path,
        which: Option<usize>,
        provider: Option<&str>,
    ) -> Result<Self, CommandError> {
        let file = File::read(path)?;
        let plugins = file.plugins();
        let config = parse(&file, select(&file, &plugins, which)?)?;
        let mut providers = config.providers.iter();
        let found = match provider {
            Some(name) => providers.find(|provider| provider.name == name),
            None => providers.next().filter(|_| providers.next().is_none()),
        };
        let found = found.ok_or_else(|| {
            let providers = config.providers.iter();
            let names: Vec<&str> = providers.map(|provider| provider.name.as_str()).collect();
            CommandError::usage(format!(
                "{}: --provider one of: {}",
                file.name,
                names.join(", ")
            ))
        })?;
        Ok(Self::of(&found.expectations))
    }

    fn of(expectations: &Expectations) -> Self {
        let mut wanted = Self {
            algorithms: expectations.algorithms.clone(),
            ..Self::default()
        };
        let mut claim = |name: &str, value: &str| {
            wanted.claims.insert(name.to_owned(), value.into());
        };
        match &expectations.issuer {
            Issuer::OfTenants(tenants) => {
                let ids = tenants.ids.as_deref().unwrap_or_default();
                let id = ids.first().map_or(TEST_TENANT, String::as_str);
                claim("iss", &tenants.template.replace(TENANT_ID, id));
                claim("tid", id);
            }
            Issuer::TrustDomain(domain) => claim("sub", &format!("spiffe://{domain}/test")),
            Issuer::Any | Issuer::One(_) | Issuer::Several(_) => {
                if let Some(issuer) = expectations.issuer.written() {
                    claim("iss", issuer);
                }
            }
        }
        if let Some(audience) = expectations.audiences.first() {
            claim("aud", audience);
        }
        if expectations.token_type == Some(TokenType::AccessToken) {
            for name in ["sub", "client_id", "jti"] {
                claim(name, "test");
            }
            wanted.kind = "at+jwt";
        }
        // A token must expire before that.
        let most = expectations.max_lifetime.map(|most| most.as_secs());
        let most = most.and_then(|most| i64::try_from(most.saturating_sub(1)).ok());
        wanted.life = most.map(|most| most.min(LIFE));
        wanted
    }
}

pub(crate) fn token(args: &TokenArgs) -> Result<ExitCode, CommandError> {
    let text = std::fs::read_to_string(&args.key)
        .map_err(|error| CommandError::usage(format!("{}: {error}", args.key.display())))?;
    let key = TestKey::read(&text)?;
    let algorithm = args
        .alg
        .or(key.algorithm)
        .unwrap_or_else(|| key.private.usual());
    let kid = args.kid.clone().or(key.kid);
    let kid = kid.unwrap_or_else(|| test_kid(&key.private));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| CommandError::usage("the clock is before 1970"))?
        .as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let wanted = match &args.config {
        Some(path) => Wanted::read(path, args.select, args.provider.as_deref())?,
        None => Wanted::default(),
    };
    let life = args.expires_in.unwrap_or(wanted.life.unwrap_or(LIFE));
    let mut claims = wanted.claims;
    claims.insert("iat".to_owned(), now.into());
    claims.insert("exp".to_owned(), now.saturating_add(life).into());
    if let Some(scope) = &args.scope {
        claims.insert("scope".to_owned(), scope.as_str().into());
    }
    for claim in &args.claims {
        let (name, value) = claim
            .split_once('=')
            .ok_or_else(|| CommandError::usage(format!("not a claim, name=value: {claim}")))?;
        // a claim that is null is taken out, so that a token can do without exp
        match serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)) {
            Value::Null => claims.remove(name),
            value => claims.insert(name.to_owned(), value),
        };
    }
    let missing: Vec<&str> = ["iss", "aud"]
        .into_iter()
        .filter(|name| !claims.contains_key(*name))
        .collect();
    let header = json!({"alg": algorithm.name(), "kid": kid, "typ": wanted.kind});
    let input = format!(
        "{}.{}",
        base64url::encode(header.to_string().as_bytes()),
        base64url::encode(Value::Object(claims).to_string().as_bytes())
    );
    let signature = key.private.sign(algorithm, input.as_bytes())?;
    println!("{input}.{}", base64url::encode(&signature));
    note(&format!("a token for tests, of the key {kid}"));
    if !wanted.algorithms.is_empty() && !wanted.algorithms.contains(&algorithm) {
        let names: Vec<&str> = wanted.algorithms.iter().map(|one| one.name()).collect();
        note(&format!(
            "the provider takes no {}, only {}: make a key with keygen --alg",
            algorithm.name(),
            names.join(", ")
        ));
    }
    if !missing.is_empty() {
        note(&format!(
            "it has no {}: a provider with `issuer` and `audiences` refuses it (--config FILE, or --claim NAME=VALUE)",
            missing.join(" and no ")
        ));
    }
    Ok(exit(true))
}

/// The `kid` of a key if none is given. It is the same for each file of the key.
fn test_kid(key: &PrivateKey) -> String {
    format!("{TEST_KID}-{}", key.thumbprint())
}

pub(crate) fn keygen(args: &KeygenArgs) -> Result<ExitCode, CommandError> {
    let key = PrivateKey::generate(args.alg)?;
    let kid = match &args.kid {
        Some(kid) => format!("{TEST_KID}-{kid}"),
        None => test_kid(&key),
    };
    let mut public = key.public();
    for (name, value) in [("use", "sig"), ("alg", args.alg.name()), ("kid", &kid)] {
        public.insert(name.to_owned(), value.into());
    }
    let set = json!({"keys": [&public]});
    let mut private = public.clone();
    private.extend(key.secret());
    let name = |extension: &str| PathBuf::from(format!("{}.{extension}", args.out.display()));
    write(&name("pem"), &key.to_pem(&kid, args.alg)?, true)?;
    write(
        &name("jwk.json"),
        &format!("{}\n", Value::Object(private)),
        true,
    )?;
    write(&name("jwks.json"), &format!("{set}\n"), false)?;
    note("a key for tests: whoever has the file can sign tokens with it");
    let why = match args.kid {
        Some(_) => format!(": {TEST_KID}- stands before the kid of every key for tests"),
        None => String::new(),
    };
    note(&format!("its kid is {kid}, in each of the files{why}"));
    note(&format!(
        "a token by it, for the issuer and audience in FILE: bearer-gate token --key {} --config FILE --claim sub=me",
        name("pem").display()
    ));
    note(&format!(
        "what FILE says of that at PATH: bearer-gate explain --config FILE --jwks {} --token TOKEN --path PATH",
        name("jwks.json").display()
    ));
    note(
        "FILE is your configuration and PATH a path of its rules, as envoy/my-api.yaml and /api/messages",
    );
    Ok(exit(true))
}

fn write(path: &Path, text: &str, secret: bool) -> Result<(), CommandError> {
    let problem =
        |error: std::io::Error| CommandError::usage(format!("{}: {error}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    // an existing key is never overwritten
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(problem)?;
    file.write_all(text.as_bytes()).map_err(problem)?;
    println!("{}", path.display());
    Ok(())
}

fn note(text: &str) {
    eprintln!("{}: {}", styled(WARN, "note"), safe(text));
}
