//! The cookie of a session.

use super::SESSION_DAYS;
use super::token::Token;

/// The cookie's name.
pub const COOKIE_NAME: &str = "accounts_session";
/// Cookies of one request that are looked at.
const COOKIES_MAX: usize = 64;

/// The header that gives a browser its session. Scripts do not see it, and other sites' forms do not send it.
#[must_use]
pub fn set_cookie(token: &Token, secure: bool) -> String {
    let seconds = i64::from(SESSION_DAYS) * 86_400;
    cookie(&token.text(), seconds, secure)
}

/// The header that takes it away.
#[must_use]
pub fn clear_cookie(secure: bool) -> String {
    cookie("", 0, secure)
}

fn cookie(value: &str, seconds: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The token in a `Cookie` header.
#[must_use]
pub fn token_in(header: &str) -> Option<Token> {
    header
        .split(';')
        .take(COOKIES_MAX)
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE_NAME)
        .find_map(|(_, value)| Token::read(value.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let token = Token::fresh().unwrap();
        let header = format!("a=1; {COOKIE_NAME}=forged; b; {COOKIE_NAME}={}; c=2", token.text());
        assert_eq!(token_in(&header), Some(token.clone()));
        assert_eq!(token_in(&format!("x{COOKIE_NAME}={}", token.text())), None);
        assert_eq!(token_in(""), None);
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_from_other_sites() {
        let token = Token::fresh().unwrap();
        let plain = set_cookie(&token, false);
        assert!(plain.contains("; HttpOnly; SameSite=Lax") && !plain.contains("Secure"), "{plain}");
        assert!(set_cookie(&token, true).ends_with("; Secure"));
        assert!(clear_cookie(true).starts_with("accounts_session=; Path=/; Max-Age=0;"));
    }
}
