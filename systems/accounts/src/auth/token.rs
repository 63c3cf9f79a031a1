//! The secret that a cookie carries, and what the database keeps of it.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::binding::hex;

/// Bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The service's own secret, from `AUTH_SECRET`. Another one makes every session worthless.
#[derive(Clone)]
pub struct AuthSecret([u8; 32]);

impl AuthSecret {
    /// The secret of a text.
    #[must_use]
    pub fn of(text: &str) -> AuthSecret {
        AuthSecret(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for AuthSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthSecret(‹secret›)")
    }
}

/// What a signed-in browser or program shows: 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; TOKEN_BYTES]);

impl Token {
    /// A token that nobody else has.
    ///
    /// # Errors
    /// When the operating system gives no random bits.
    pub fn fresh() -> Result<Token, getrandom::Error> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Token(bytes))
    }

    /// Reads what [`Token::text`] wrote.
    #[must_use]
    pub fn read(text: &str) -> Option<Token> {
        let mut bytes = [0; TOKEN_BYTES];
        if text.len() != 2 * TOKEN_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Token(bytes))
    }

    /// The token as the cookie carries it.
    #[must_use]
    pub fn text(&self) -> String {
        hex(&self.0)
    }

    /// What the database keeps: whoever reads it there can make no cookie of it.
    #[must_use]
    pub fn hash(&self, secret: &AuthSecret) -> [u8; 32] {
        Sha256::new().chain_update(secret.0).chain_update(self.0).finalize().into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(‹secret›)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is() {
        let token = Token::fresh().unwrap();
        assert_eq!(Token::read(&token.text()), Some(token.clone()));
        assert_ne!(Token::fresh().unwrap(), token);
        let text = token.text();
        for bad in ["", "zz", &text[1..], &format!("{text}0"), &format!("+{}", &text[1..]), "ä"] {
            assert_eq!(Token::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn another_secret_makes_another_hash_and_neither_is_shown() {
        let token = Token::fresh().unwrap();
        let (one, two) = (AuthSecret::of("one"), AuthSecret::of("two"));
        assert_ne!(token.hash(&one), token.hash(&two));
        assert!(!format!("{one:?} {token:?}").contains(&token.text()));
    }
}
