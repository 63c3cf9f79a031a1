//! Bearer tokens: JSON Web Tokens signed by HMAC-SHA-256 (RFC 7515, RFC 7519), and no others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};
use sha2::Sha256;

/// The one algorithm. A token that names another is refused before anything of it is believed.
const ALGORITHM: &str = "HS256";
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 4 << 10;

/// The key that tokens are signed with.
#[derive(Clone)]
pub struct TokenSecret(Vec<u8>);

impl std::fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// What a token claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the user's id.
    pub user_id: String,
    /// `jti`: the session's id.
    pub session_id: String,
}

/// Why a token is not believed. Callers learn none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url with JSON in the first two, or too long.
    #[error("this is no JSON Web Token")]
    Malformed,
    /// Another algorithm than HS256, or an extension that must be understood.
    #[error("the token is not of the algorithm HS256 alone")]
    Algorithm,
    /// The signature is not ours.
    #[error("the token's signature does not fit")]
    Signature,
    /// `sub` or `jti` is missing or blank.
    #[error("the token names no user or no session")]
    Claims,
    /// `exp` has passed, or `nbf` has not.
    #[error("the token is not valid at this time")]
    Time,
}

#[derive(Deserialize, Serialize)]
struct Header {
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Json>,
}

#[derive(Deserialize, Serialize)]
struct Body {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<Number>,
}

impl TokenSecret {
    /// The key in a text.
    #[must_use]
    pub fn of(text: &str) -> TokenSecret {
        TokenSecret(text.as_bytes().to_vec())
    }

    /// What a token claims, where it is signed by this key and valid at `now_s` (seconds since 1970).
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, now_s: i64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, body) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = part(header)?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return Err(TokenError::Algorithm);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        let mut mac = self.mac()?;
        mac.update(signed.as_bytes());
        // In constant time.
        mac.verify_slice(&signature).map_err(|_| TokenError::Signature)?;
        let body: Body = part(body)?;
        if body.sub.trim().is_empty() || body.jti.trim().is_empty() {
            return Err(TokenError::Claims);
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in a double")]
        let now = now_s as f64;
        // A number that cannot be read is never within.
        let has_ended = body.exp.is_some_and(|exp| exp.as_f64().is_none_or(|exp| exp <= now));
        let has_not_begun = body.nbf.is_some_and(|nbf| nbf.as_f64().is_none_or(|nbf| nbf > now));
        if has_ended || has_not_begun {
            return Err(TokenError::Time);
        }
        Ok(Claims { user_id: body.sub, session_id: body.jti })
    }

    /// A token for claims, valid until `exp_s` (seconds since 1970).
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when it cannot be made, or would be longer than one that is taken.
    pub fn sign(&self, claims: &Claims, exp_s: i64) -> Result<String, TokenError> {
        let header = Header { alg: ALGORITHM.to_owned(), typ: Some("JWT".to_owned()), crit: None };
        let exp = Some(exp_s.into());
        let body = Body { sub: claims.user_id.clone(), jti: claims.session_id.clone(), exp, nbf: None };
        let encoded = |part: Result<Vec<u8>, serde_json::Error>| {
            part.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| TokenError::Malformed)
        };
        let signed =
            format!("{}.{}", encoded(serde_json::to_vec(&header))?, encoded(serde_json::to_vec(&body))?);
        let mut mac = self.mac()?;
        mac.update(signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        if token.len() > TOKEN_BYTES_MAX { Err(TokenError::Malformed) } else { Ok(token) }
    }

    fn mac(&self) -> Result<Hmac<Sha256>, TokenError> {
        Hmac::new_from_slice(&self.0).map_err(|_| TokenError::Signature)
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
    // An array would be taken for an object's fields in their order.
    let object: serde_json::Map<String, Json> =
        serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)?;
    T::deserialize(Json::Object(object)).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims { user_id: "u:1".to_owned(), session_id: "s".to_owned() }
    }

    fn secret() -> TokenSecret {
        TokenSecret::of("your-256-bit-secret")
    }

    /// A token of any header and body, signed by a key.
    fn forged(header: &str, body: &str, key: &TokenSecret) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body));
        let mut mac = key.mac().unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn what_was_signed_is_believed_until_it_expires() {
        let token = secret().sign(&claims(), 100).unwrap();
        assert_eq!(secret().verify(&token, 99), Ok(claims()));
        assert_eq!(secret().verify(&token, 100), Err(TokenError::Time));
        assert_eq!(TokenSecret::of("other").verify(&token, 99), Err(TokenError::Signature));
    }

    #[test]
    fn the_example_that_everybody_knows_is_signed_by_its_secret() {
        // The token that jwt.io shows: right signature, no jti.
        let known = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        assert_eq!(secret().verify(known, 0), Err(TokenError::Claims));
    }

    #[test]
    fn other_algorithms_are_refused_whatever_their_signature() {
        let body = r#"{"sub":"u","jti":"s"}"#;
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS384"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"HS256","crit":["b64"]}"#,
        ] {
            assert_eq!(secret().verify(&forged(header, body, &secret()), 0), Err(TokenError::Algorithm));
        }
        let unsigned =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(body));
        assert_eq!(secret().verify(&unsigned, 0), Err(TokenError::Signature));
    }

    #[test]
    fn a_token_in_pieces_is_refused() {
        let good = r#"{"alg":"HS256"}"#;
        for body in ["{}", r#"{"sub":"u"}"#, r#"{"sub":" ","jti":"s"}"#, r#"{"jti":"s","sub":""}"#] {
            assert_eq!(secret().verify(&forged(good, body, &secret()), 0), Err(TokenError::Claims), "{body}");
        }
        for body in [r#"{"sub":1,"jti":"s"}"#, "[]", "no json", r#"{"sub":"u","jti":"s","exp":"soon"}"#] {
            assert_eq!(
                secret().verify(&forged(good, body, &secret()), 0),
                Err(TokenError::Malformed),
                "{body}"
            );
        }
        for token in ["", ".", "..", "a.b.c", "a.b.c.d", &"x".repeat(5000)] {
            assert_eq!(secret().verify(token, 0), Err(TokenError::Malformed), "{token}");
        }
        let early = forged(good, r#"{"sub":"u","jti":"s","nbf":10}"#, &secret());
        assert_eq!(secret().verify(&early, 9), Err(TokenError::Time));
        assert!(secret().verify(&early, 10).is_ok());
    }
}
