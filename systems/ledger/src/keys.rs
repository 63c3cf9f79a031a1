//! The public keys of services, and the tokens that they sign: ES256 and no other algorithm.

use std::sync::RwLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tidegate_store::postgres::{Failure, Pool, Session, Type};
use uuid::Uuid;

use crate::operations::LedgerError;

/// How long keys that were read count.
const CACHE: Duration = Duration::from_secs(60);
/// How often an unknown kid makes them read anew, at most.
const UNKNOWN_KID_PAUSE: Duration = Duration::from_secs(1);
/// How long somebody waits for whoever reads them at the moment.
const READING_WAIT: Duration = Duration::from_secs(5);
/// By how much clocks may differ.
const SKEW_S: i64 = 60;
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 8_192;
/// Bytes of an uncompressed point without its tag.
const COORDINATE_BYTES: usize = 32;

/// A public key as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
    /// By what tokens name it.
    pub kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    #[serde(skip)]
    issuer: String,
}

/// The keys as they are published: the body of the answer, and the tag that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// `{"keys": […]}`.
    pub body: String,
    /// Weak, of the body's SHA-256.
    pub etag: String,
    keys: Vec<PublishedKey>,
}

/// The keys of one database, read now and then.
#[derive(Debug, Default)]
pub struct Keys {
    read: RwLock<Option<(Instant, KeySet)>>,
    /// One reads for all: names of keys that somebody makes up take one session, however many they are.
    reading: tokio::sync::Mutex<()>,
}

/// Why a token is not believed. What is told is always the same; this is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url, or no JSON in them.
    #[error("it is no token")]
    Malformed,
    /// `alg` is not ES256.
    #[error("its algorithm is not ES256")]
    Algorithm,
    /// No key of that name is valid.
    #[error("its key is not known, revoked or expired")]
    UnknownKey,
    /// Signed by another key.
    #[error("its signature is another's")]
    Signature,
    /// `iss` is not whose key it is.
    #[error("its issuer is not that of its key")]
    Issuer,
    /// `aud` is not this service.
    #[error("it is for another service")]
    Audience,
    /// `exp` is over, or is not there.
    #[error("it has expired, or never does")]
    Expired,
    /// `nbf` or `iat` is to come.
    #[error("it is not valid yet")]
    NotYet,
    /// `community` names no tenant.
    #[error("it names no tenant")]
    Community,
}

/// For which tenant a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For every one.
    All,
    /// For one.
    One(Uuid),
}

impl Scope {
    /// Whether it is for a tenant.
    #[must_use]
    pub fn covers(self, community: Uuid) -> bool {
        match self {
            Scope::All => true,
            Scope::One(one) => one == community,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<String>,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    community: Option<String>,
}

impl Keys {
    /// The keys that are valid now, as read at most a minute ago.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn current(&self, pool: &Pool) -> Result<KeySet, LedgerError> {
        match self.cached_within(CACHE) {
            Some(set) => Ok(set),
            None => self.read_within(pool, CACHE).await,
        }
    }

    fn cached_within(&self, age: Duration) -> Option<KeySet> {
        self.cached().filter(|(at, _)| at.elapsed() < age).map(|(_, set)| set)
    }

    /// The keys as read at most so long ago, by whoever asked first.
    async fn read_within(&self, pool: &Pool, age: Duration) -> Result<KeySet, LedgerError> {
        let turn = tokio::time::timeout(READING_WAIT, self.reading.lock()).await;
        let _turn = turn.map_err(|_| LedgerError::KeysUnread)?;
        match self.cached_within(age) {
            Some(set) => Ok(set),
            None => self.refresh(pool).await,
        }
    }

    fn cached(&self) -> Option<(Instant, KeySet)> {
        self.read.read().ok().and_then(|read| read.clone())
    }

    async fn refresh(&self, pool: &Pool) -> Result<KeySet, LedgerError> {
        let session = pool.get().await?;
        let rows = session.query(include_str!("sql/valid_keys.sql"), &[]).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            let text = |at: usize| {
                row.try_get::<_, String>(at).map_err(|error| LedgerError::Answer(error.to_string()))
            };
            keys.push(PublishedKey {
                kid: text(0)?,
                kty: text(1)?,
                crv: text(2)?,
                x: text(3)?,
                y: text(4)?,
                issuer: text(5)?,
                usage: "sig",
                alg: "ES256",
            });
        }
        let body = json!({ "keys": keys }).to_string();
        let digest: String = Sha256::digest(&body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let set = KeySet { body, etag: format!("W/\"{digest}\""), keys };
        if let Ok(mut read) = self.read.write() {
            *read = Some((Instant::now(), set.clone()));
        }
        Ok(set)
    }

    /// For which tenant a token is, if it is to be believed at a moment (seconds since 1970).
    ///
    /// # Errors
    /// Outside: [`LedgerError`]. Inside: [`TokenError`].
    pub async fn verify(
        &self,
        pool: &Pool,
        token: &str,
        audience: &str,
        now_s: i64,
    ) -> Result<Result<Scope, TokenError>, LedgerError> {
        let mut set = self.current(pool).await?;
        let mut said = verify(token, &set, audience, now_s);
        if said == Err(TokenError::UnknownKey) && self.cached_within(UNKNOWN_KID_PAUSE).is_none() {
            // A key that was added a moment ago.
            set = self.read_within(pool, UNKNOWN_KID_PAUSE).await?;
            said = verify(token, &set, audience, now_s);
        }
        Ok(said)
    }
}

fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

fn verify(token: &str, set: &KeySet, audience: &str, now_s: i64) -> Result<Scope, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let header: Header = part(header)?;
    if header.alg != "ES256" {
        return Err(TokenError::Algorithm);
    }
    let kid = header.kid.ok_or(TokenError::UnknownKey)?;
    let key = set.keys.iter().find(|key| key.kid == kid).ok_or(TokenError::UnknownKey)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
    let point = point(&key.x, &key.y).ok_or(TokenError::UnknownKey)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| TokenError::Signature)?;
    // Only what is signed is read for what it says.
    let claims: Claims = part(claims)?;
    if claims.iss.as_deref() != Some(key.issuer.as_str()) {
        return Err(TokenError::Issuer);
    }
    if claims.aud.as_deref() != Some(audience) {
        return Err(TokenError::Audience);
    }
    if claims.exp.is_none_or(|exp| exp.saturating_add(SKEW_S) <= now_s) {
        return Err(TokenError::Expired);
    }
    let begins = claims.nbf.into_iter().chain(claims.iat).max();
    if begins.is_some_and(|begins| begins.saturating_sub(SKEW_S) > now_s) {
        return Err(TokenError::NotYet);
    }
    match claims.community.as_deref() {
        Some("*") => Ok(Scope::All),
        Some(text) => text.parse().map(Scope::One).map_err(|_| TokenError::Community),
        None => Err(TokenError::Community),
    }
}

fn point(x: &str, y: &str) -> Option<Vec<u8>> {
    let mut point = vec![4];
    for coordinate in [x, y] {
        let bytes = URL_SAFE_NO_PAD.decode(coordinate).ok()?;
        if bytes.len() != COORDINATE_BYTES {
            return None;
        }
        point.extend(bytes);
    }
    Some(point)
}

/// A private key, and what signs with it. Nothing of it is in the database.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
}

/// A text that is no private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no P-256 private key of PKCS #8, in base64url")]
pub struct SigningKeyError;

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<SigningKey, SigningKeyError> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        SigningKey::of(pkcs8.map_err(|_| SigningKeyError)?.as_ref())
    }

    fn of(pkcs8: &[u8]) -> Result<SigningKey, SigningKeyError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
        Ok(SigningKey { pair: pair.map_err(|_| SigningKeyError)?, pkcs8: pkcs8.to_vec() })
    }

    /// Reads one that [`SigningKey::text`] wrote.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn parse(text: &str) -> Result<SigningKey, SigningKeyError> {
        SigningKey::of(&URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| SigningKeyError)?)
    }

    /// It, as a text to be kept where nobody else reads it.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.pkcs8)
    }

    /// The public coordinates, as they are published.
    #[must_use]
    pub fn coordinates(&self) -> (String, String) {
        let point = self.pair.public_key().as_ref();
        let half = |from: usize| {
            URL_SAFE_NO_PAD.encode(point.get(from..from + COORDINATE_BYTES).unwrap_or_default())
        };
        (half(1), half(1 + COORDINATE_BYTES))
    }

    /// Signs claims under a key's name.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn sign(&self, kid: &str, claims: &serde_json::Value) -> Result<String, SigningKeyError> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
        let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(claims));
        let signature =
            self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| SigningKeyError)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Publishes a key. `false`: one of that name is there already, and stays as it is.
///
/// # Errors
/// The database's.
pub async fn publish(
    session: &Session,
    kid: &str,
    issuer: &str,
    coordinates: (&str, &str),
    expires_at: Option<jiff::Timestamp>,
) -> Result<bool, Failure> {
    let sql =
        "INSERT INTO public.s2s_jwks_public_keys (kid, issuer, x, y, expires_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (kid) DO NOTHING";
    let (x, y) = coordinates;
    let changed = session
        .execute(
            sql,
            &[
                (&kid, Type::TEXT),
                (&issuer, Type::TEXT),
                (&x, Type::TEXT),
                (&y, Type::TEXT),
                (&expires_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends a key. `false`: there is none of that name that stands.
///
/// # Errors
/// The database's.
pub async fn revoke(session: &Session, kid: &str) -> Result<bool, Failure> {
    let sql =
        "UPDATE public.s2s_jwks_public_keys SET revoked_at = now() WHERE kid = $1 AND revoked_at IS NULL";
    Ok(session.execute(sql, &[(&kid, Type::TEXT)]).await? == 1)
}
