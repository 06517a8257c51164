//! What the filter gives to browsers and must get back unread and unchanged. It is sealed with
//! XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha-03).
//!
//! Layout: version (1 octet), key id (4), nonce (24), ciphertext and its tag (16 octets more than
//! the plaintext).
//!
//! Invariant: a sealed value opens only under the key that sealed it, and only for the same
//! [`Purpose`], scheme and host. HKDF-SHA-256 (RFC 5869) derives the keys, one for each purpose, so
//! a secret is never itself a key. Nothing of a secret or a key is ever shown.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::bytes::half_digest;
use crate::jose::base64url;
use crate::record::Writer;

/// The shortest secret, in octets.
pub const LEAST_SECRET: usize = 32;

/// The most secrets of one [`Keyring`]: the present one, and those of sessions that still live.
pub const MAX_SECRETS: usize = 8;

/// The longest value that is opened, in octets. It is longer than what all cookies of a session
/// may have together.
pub const MAX_SEALED: usize = 64 * 1024;

/// The octets of a nonce. Nonces are random, and 192 random bits do not repeat.
pub const NONCE_LEN: usize = 24;

/// How many octets a sealed value has more than its plaintext.
pub const OVERHEAD: usize = 1 + KEY_ID_LEN + NONCE_LEN + TAG_LEN;

const KEY_ID_LEN: usize = 4;
const TAG_LEN: usize = 16;
/// The first octet of what is sealed.
pub const VERSION: u8 = 1;

/// The salt of all keys. Another version of the layout gets another salt.
const SALT: &[u8] = b"bearer-gate session 1";

/// Tells the keys of a [`Keyring`] apart. It is derived from the secret, and is not secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; KEY_ID_LEN]);

impl KeyId {
    /// The key of a sealed value, of whatever version it is.
    #[must_use]
    pub fn of_sealed(sealed: &[u8]) -> Option<Self> {
        let (_, rest) = sealed.split_first()?;
        let (id, _) = rest.split_first_chunk()?;
        Some(Self(*id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session, in a cookie.
    Session,
    /// A flow that has begun, in the parameter `state`.
    State,
    /// The `state` of a sign-out at the provider.
    SignOut,
    /// An answer of a provider that the workers of a process share.
    Answer,
    /// Sessions that ended, for other Envoys.
    Ended,
    /// The ticket of a session that is in a store, in a cookie.
    Ticket,
    /// What a store keeps of a session.
    Stored,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 7] = [
        Self::Session,
        Self::State,
        Self::SignOut,
        Self::Answer,
        Self::Ended,
        Self::Ticket,
        Self::Stored,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::State => "state",
            Self::SignOut => "sign-out",
            Self::Answer => "answer",
            Self::Ended => "ended",
            Self::Ticket => "ticket",
            Self::Stored => "stored",
        }
    }
}

/// What a sealed value is bound to in addition to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'c> {
    /// What it is for: a value of one purpose does not open as another.
    pub purpose: Purpose,
    /// The [`scope`] of the scheme; of an answer, the kind of its question; of what ended, the list
    /// that it is in.
    pub scheme: &'c str,
    /// The host, or the domain of the cookies; empty where the value may come back to another host.
    /// Of an answer, what its question is about; of what is stored, the name of its entry.
    pub host: &'c str,
}

/// What of a scheme its sealed values are bound to: its name in the configuration, the issuer of its
/// provider, and the `client_id`. Under another provider or client nobody has a session, although
/// the name stays.
#[must_use]
pub fn scope(name: &str, issuer: &str, client_id: &str) -> String {
    let known_to = half_digest(&[issuer.as_bytes(), client_id.as_bytes()]);
    format!("{name} {}", base64url::encode(&known_to))
}

/// What was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The octets that were sealed.
    pub plaintext: Vec<u8>,
    /// The key that sealed it.
    pub key: KeyId,
}

/// Why a value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealed {
    /// The ring does not have its key: the key was removed, or another gateway has it.
    UnknownKey,
    /// It was altered or cut, has another purpose, scheme or host, or was never sealed.
    Broken,
}

/// Why secrets do not make a [`Keyring`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyringError {
    /// There is no secret.
    Empty,
    /// There are more than [`MAX_SECRETS`].
    TooMany,
    /// The secret at this place has fewer than [`LEAST_SECRET`] octets.
    TooShort(usize),
    /// The secret at the second place has the same key id as the one at the first. Most likely it
    /// is the same secret.
    Alike(usize, usize),
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must have one key at least"),
            Self::TooMany => write!(f, "must have {MAX_SECRETS} keys at most"),
            Self::TooShort(at) => write!(
                f,
                "key {} must have {LEAST_SECRET} octets at least; `openssl rand -base64 32` makes one",
                at.saturating_add(1)
            ),
            Self::Alike(first, second) => write!(
                f,
                "keys {} and {} are the same, or have the same key id; replace one",
                first.saturating_add(1),
                second.saturating_add(1)
            ),
        }
    }
}

/// The keys of one secret.
#[derive(Clone)]
struct Keys {
    id: KeyId,
    /// Every other key is derived from it.
    derive: Hkdf<Sha256>,
    /// In the order of [`Purpose::ALL`].
    seal: [XChaCha20Poly1305; 7],
}

impl Keys {
    fn new(secret: &[u8]) -> Self {
        let derive = Hkdf::new(Some(SALT), secret);
        let mut id = [0; KEY_ID_LEN];
        expand(&derive, &[b"key id"], &mut id);
        let seal = Purpose::ALL.map(|purpose| {
            let mut key = CipherKey::default();
            expand(&derive, &[b"seal ", purpose.name().as_bytes()], &mut key);
            XChaCha20Poly1305::new(&key)
        });
        let id = KeyId(id);
        Self { id, derive, seal }
    }

    /// What seals and opens values of this purpose.
    fn cipher(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        let [session, state, sign_out, answer, ended, ticket, stored] = &self.seal;
        match purpose {
            Purpose::Session => session,
            Purpose::State => state,
            Purpose::SignOut => sign_out,
            Purpose::Answer => answer,
            Purpose::Ended => ended,
            Purpose::Ticket => ticket,
            Purpose::Stored => stored,
        }
    }

    /// The same for what only the holder of a secret opens.
    fn cipher_for(&self, holder: Option<&[u8; 16]>, purpose: Purpose) -> XChaCha20Poly1305 {
        let Some(holder) = holder else {
            return self.cipher(purpose).clone();
        };
        let info = Writer::default().text("held").text(purpose.name());
        let mut key = CipherKey::default();
        expand(&self.derive, &[&info.octets(holder).finish()], &mut key);
        XChaCha20Poly1305::new(&key)
    }
}

/// RFC 5869 section 2.3. It fails only above 8,160 octets, and all of ours are shorter.
#[inline(never)] // smaller
fn expand(derive: &Hkdf<Sha256>, info: &[&[u8]], key: &mut [u8]) {
    let is_expanded = derive.expand_multi_info(info, key).is_ok();
    debug_assert!(is_expanded);
}

/// The keys for sealing. The first one seals, and every one opens.
#[derive(Clone)]
pub struct Keyring {
    first: Keys,
    others: Vec<Keys>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring of {}", self.all().count())
    }
}

/// Two rings are equal if they have the same key ids in the same order.
impl PartialEq for Keyring {
    fn eq(&self, other: &Self) -> bool {
        self.all()
            .map(|keys| keys.id)
            .eq(other.all().map(|keys| keys.id))
    }
}

impl Eq for Keyring {}

impl Keyring {
    /// Makes a ring from secrets. The first one seals. A secret is any text that nobody can guess.
    /// [`LEAST_SECRET`] octets do not make a text such a secret, but a shorter text cannot be one.
    ///
    /// # Errors
    /// [`KeyringError`] says which secret is wrong, by its place and never by its text.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Self, KeyringError> {
        if secrets.len() > MAX_SECRETS {
            return Err(KeyringError::TooMany);
        }
        let is_short = |secret: &S| secret.as_ref().len() < LEAST_SECRET;
        if let Some(at) = secrets.iter().position(is_short) {
            return Err(KeyringError::TooShort(at));
        }
        let mut all: Vec<Keys> = Vec::with_capacity(secrets.len());
        for (at, secret) in secrets.iter().enumerate() {
            let keys = Keys::new(secret.as_ref());
            if let Some(alike) = all.iter().position(|known| known.id == keys.id) {
                return Err(KeyringError::Alike(alike, at));
            }
            all.push(keys);
        }
        let mut all = all.into_iter();
        let first = all.next().ok_or(KeyringError::Empty)?;
        let others = all.collect();
        Ok(Self { first, others })
    }

    /// The key that seals.
    #[must_use]
    pub fn sealing_key(&self) -> KeyId {
        self.first.id
    }

    /// The keys that open. The one that seals is first.
    #[must_use]
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.all().map(|keys| keys.id).collect()
    }

    /// Tells rings with other keys, or in another order, from this one.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        self.all().flat_map(|keys| keys.id.0).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn with_id(&self, id: KeyId) -> Option<&Keys> {
        self.all().find(|keys| keys.id == id)
    }

    /// Seals a plaintext. `nonce` is random and must be used only once. For a plaintext beyond the
    /// cipher's bound of 256 GiB, the result is empty and opens nowhere.
    #[must_use]
    pub fn seal(&self, context: Context<'_>, plaintext: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        self.seal_by(None, context, plaintext, nonce)
    }

    /// The same for whoever holds this secret, too: [`Keyring::open_for`] opens it, and nothing else.
    #[must_use]
    pub fn seal_for(
        &self,
        holder: &[u8; 16],
        context: Context<'_>,
        plaintext: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Vec<u8> {
        self.seal_by(Some(holder), context, plaintext, nonce)
    }

    #[inline(never)] // the cipher is large
    fn seal_by(
        &self,
        holder: Option<&[u8; 16]>,
        context: Context<'_>,
        plaintext: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Vec<u8> {
        let keys = &self.first;
        let payload = Payload {
            msg: plaintext,
            aad: &bound_to(keys.id, context),
        };
        let cipher = keys.cipher_for(holder, context.purpose);
        let Ok(ciphertext) = cipher.encrypt(&XNonce::from(nonce), payload) else {
            return Vec::new();
        };
        [&[VERSION][..], &keys.id.0, &nonce, &ciphertext].concat()
    }

    /// Opens what [`Keyring::seal`] sealed in the same context, under any key of the ring.
    ///
    /// # Errors
    /// [`Unsealed`]. A value longer than [`MAX_SEALED`] counts as broken.
    pub fn open(&self, context: Context<'_>, sealed: &[u8]) -> Result<Opened, Unsealed> {
        self.open_by(None, context, sealed)
    }

    /// Opens what [`Keyring::seal_for`] sealed for the same holder.
    ///
    /// # Errors
    /// As of [`Keyring::open`].
    pub fn open_for(
        &self,
        holder: &[u8; 16],
        context: Context<'_>,
        sealed: &[u8],
    ) -> Result<Opened, Unsealed> {
        self.open_by(Some(holder), context, sealed)
    }

    #[inline(never)] // the cipher is large
    fn open_by(
        &self,
        holder: Option<&[u8; 16]>,
        context: Context<'_>,
        sealed: &[u8],
    ) -> Result<Opened, Unsealed> {
        let (id, nonce, ciphertext) = parts(sealed).ok_or(Unsealed::Broken)?;
        let keys = self.with_id(id).ok_or(Unsealed::UnknownKey)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &bound_to(id, context),
        };
        let cipher = keys.cipher_for(holder, context.purpose);
        let opened = cipher.decrypt(&XNonce::from(nonce), payload);
        let plaintext = opened.map_err(|_| Unsealed::Broken)?;
        Ok(Opened { plaintext, key: id })
    }

    /// A secret of 32 octets that is derived from one key and these parts, or `None` where the ring
    /// lacks the key. Parts are told apart by their lengths.
    #[must_use]
    pub fn derive(&self, key: KeyId, label: &str, parts: [&[u8; 16]; 2]) -> Option<[u8; 32]> {
        let keys = self.with_id(key)?;
        let info = Writer::default().text("derive").text(label);
        let [first, second] = parts;
        let info = info.octets(first).octets(second).finish();
        let mut derived = [0; 32];
        expand(&keys.derive, &[&info], &mut derived);
        Some(derived)
    }
}

/// Key id, nonce and ciphertext of a value whose version is known.
fn parts(sealed: &[u8]) -> Option<(KeyId, [u8; NONCE_LEN], &[u8])> {
    if sealed.len() > MAX_SEALED {
        return None;
    }
    let (version, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (nonce, ciphertext) = rest.split_first_chunk()?;
    let is_whole = *version == VERSION && ciphertext.len() >= TAG_LEN;
    is_whole.then_some((KeyId(*id), *nonce, ciphertext))
}

/// The associated data: everything that a value is bound to and that is not in the ciphertext.
fn bound_to(key: KeyId, context: Context<'_>) -> Vec<u8> {
    Writer::default()
        .octets(&[VERSION])
        .octets(&key.0)
        .text(context.purpose.name())
        .text(context.scheme)
        .text(context.host)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "an old secret, of 32 octets at least";
    const B: &str = "another secret: 32 octets or more too";
    const CONTEXT: Context<'static> = Context {
        purpose: Purpose::Session,
        scheme: "staff",
        host: "app.example",
    };

    fn ring(secrets: &[&str]) -> Keyring {
        Keyring::new(secrets).unwrap()
    }

    fn sealed() -> Vec<u8> {
        ring(&[A]).seal(CONTEXT, b"plaintext", [7; NONCE_LEN])
    }

    #[test]
    fn what_is_sealed_opens_in_its_context() {
        let sealed = sealed();
        assert_eq!(sealed.len(), b"plaintext".len() + OVERHEAD);
        let opened = ring(&[A]).open(CONTEXT, &sealed).unwrap();
        assert_eq!(opened.plaintext, b"plaintext");
        assert_eq!(opened.key, ring(&[A]).sealing_key());
        let empty = ring(&[A]).seal(CONTEXT, b"", [0; NONCE_LEN]);
        assert_eq!(ring(&[A]).open(CONTEXT, &empty).unwrap().plaintext, b"");
    }

    #[test]
    fn what_is_for_a_holder_opens_for_no_other() {
        let ring = ring(&[A]);
        let context = Context {
            purpose: Purpose::Stored,
            ..CONTEXT
        };
        let sealed = ring.seal_for(&[1; 16], context, b"plaintext", [7; NONCE_LEN]);
        let opened = ring.open_for(&[1; 16], context, &sealed);
        assert_eq!(opened.unwrap().plaintext, b"plaintext");
        let broken = Err(Unsealed::Broken);
        assert_eq!(ring.open_for(&[2; 16], context, &sealed), broken);
        assert_eq!(ring.open(context, &sealed), broken);
        assert_eq!(ring.open_for(&[1; 16], CONTEXT, &sealed), broken);
        let for_nobody = ring.seal(context, b"plaintext", [7; NONCE_LEN]);
        assert_eq!(ring.open_for(&[1; 16], context, &for_nobody), broken);
        let other = Keyring::new(&[B]).unwrap();
        let unknown = Err(Unsealed::UnknownKey);
        assert_eq!(other.open_for(&[1; 16], context, &sealed), unknown);
    }

    /// The layout is what other versions of the filter will read.
    #[test]
    fn the_layout_stays() {
        let sealed = sealed();
        assert_eq!(sealed[0], 1);
        assert_eq!(sealed[1..5], ring(&[A]).sealing_key().0);
        assert_eq!(sealed[5..29], [7; NONCE_LEN]);
        assert_eq!(crate::jose::base64url::encode(&sealed), LAYOUT);
    }

    const LAYOUT: &str = "AZBUKN4HBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcjzOkttEuZulOv8C6q5b_573lB-x18yvaC";

    #[test]
    fn s12_a_value_of_another_purpose_scheme_or_host() {
        let sealed = sealed();
        let ring = ring(&[A]);
        let others = [
            (Purpose::State, "staff", "app.example"),
            (Purpose::SignOut, "staff", "app.example"),
            (Purpose::Session, "staf", "app.example"),
            (Purpose::Session, "staff2", "app.example"),
            (Purpose::Session, "", "app.example"),
            (Purpose::Session, "staff", "app.exampl"),
            (Purpose::Session, "staff", "other.example"),
            (Purpose::Session, "staff", ""),
            // the same letters, cut elsewhere
            (Purpose::Session, "staffa", "pp.example"),
        ];
        for (purpose, scheme, host) in others {
            let other = Context {
                purpose,
                scheme,
                host,
            };
            assert_eq!(
                ring.open(other, &sealed),
                Err(Unsealed::Broken),
                "{other:?}"
            );
        }
    }

    #[test]
    fn s13_a_value_that_was_flipped_or_cut() {
        let sealed = sealed();
        let ring = ring(&[A]);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1 << bit;
                let expected = if (1..5).contains(&at) {
                    Unsealed::UnknownKey
                } else {
                    Unsealed::Broken
                };
                assert_eq!(ring.open(CONTEXT, &flipped), Err(expected), "octet {at}");
            }
            assert_eq!(ring.open(CONTEXT, &sealed[..at]), Err(Unsealed::Broken));
        }
        let longer = [&sealed[..], b"\0"].concat();
        assert_eq!(ring.open(CONTEXT, &longer), Err(Unsealed::Broken));
    }

    #[test]
    fn s15_every_key_of_the_ring_opens_and_no_other() {
        let sealed = sealed();
        for (secrets, opens) in [
            (&[A][..], true),
            (&[A, B], true),
            (&[B, A], true),
            (&[B], false),
        ] {
            let ring = ring(secrets);
            let opened = ring.open(CONTEXT, &sealed);
            match opened {
                Ok(opened) => {
                    assert!(opens);
                    // sealed anew where the first key is another one
                    assert_eq!(opened.key == ring.sealing_key(), secrets[0] == A);
                }
                Err(error) => assert!(!opens && error == Unsealed::UnknownKey),
            }
        }
    }

    #[test]
    fn s30_what_is_too_long_is_not_opened() {
        let ring = ring(&[A]);
        let fits = vec![0; MAX_SEALED - OVERHEAD];
        let sealed = ring.seal(CONTEXT, &fits, [0; NONCE_LEN]);
        assert!(ring.open(CONTEXT, &sealed).is_ok());
        let longer = ring.seal(CONTEXT, &vec![0; fits.len() + 1], [0; NONCE_LEN]);
        assert_eq!(ring.open(CONTEXT, &longer), Err(Unsealed::Broken));
    }

    #[test]
    fn secrets_that_make_no_ring() {
        let long = "x".repeat(LEAST_SECRET);
        let table: &[(&[&str], Result<(), KeyringError>)] = &[
            (&[], Err(KeyringError::Empty)),
            (&[""], Err(KeyringError::TooShort(0))),
            (&[&long[1..]], Err(KeyringError::TooShort(0))),
            (&[A, &long[1..]], Err(KeyringError::TooShort(1))),
            (&[&long], Ok(())),
            // octets, not characters
            (
                &[
                    "\u{e4}\u{f6}\u{fc}\u{df}\u{e4}\u{f6}\u{fc}\u{df}\u{e4}\u{f6}\u{fc}\u{df}\u{e4}\u{f6}\u{fc}\u{df}",
                ],
                Ok(()),
            ),
            (&[A, B, A], Err(KeyringError::Alike(0, 2))),
            (&[A; MAX_SECRETS + 1], Err(KeyringError::TooMany)),
        ];
        for (secrets, expected) in table {
            assert_eq!(Keyring::new(secrets).map(|_| ()), *expected, "{secrets:?}");
        }
        let text = KeyringError::TooShort(1).to_string();
        assert!(text.starts_with("key 2 ") && text.contains("openssl rand"));
    }

    #[test]
    fn a_ring_shows_nothing_of_its_secrets() {
        assert_eq!(format!("{:?}", ring(&[A, B])), "Keyring of 2");
        assert_eq!(ring(&[A, B]), ring(&[A, B]));
        assert_ne!(ring(&[A, B]), ring(&[B, A]));
        assert_ne!(ring(&[A]), ring(&[A, B]));
    }

    #[test]
    fn what_is_derived_follows_from_every_part() {
        let ring = ring(&[A, B]);
        let [a, b] = [A, B].map(|secret| Keyring::new(&[secret]).unwrap().sealing_key());
        let base = ring.derive(a, "nonce", [&[1; 16], &[2; 16]]);
        assert!(base.is_some());
        for (key, label, parts) in [
            (b, "nonce", [[1; 16], [2; 16]]),
            (a, "verifier", [[1; 16], [2; 16]]),
            (a, "nonce", [[2; 16], [1; 16]]),
            (a, "nonce", [[1; 16], [1; 16]]),
        ] {
            assert_ne!(ring.derive(key, label, [&parts[0], &parts[1]]), base);
        }
        assert_eq!(
            ring.derive(KeyId([0; 4]), "nonce", [&[1; 16], &[2; 16]]),
            None
        );
    }
}
