//! What binds a person to a profile and a key, and the names that follow from it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// A profile and the public key that speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The profile.
    pub profile_id: String,
    /// The key, as it was given.
    pub public_key: String,
    /// [`fingerprint`] of the key.
    pub fingerprint: String,
}

impl Binding {
    /// The binding of a profile to a key; `None` where either is blank.
    #[must_use]
    pub fn of(profile_id: &str, public_key: &str) -> Option<Binding> {
        let (profile_id, public_key) = (profile_id.trim(), public_key.trim());
        (!profile_id.is_empty() && !public_key.is_empty()).then(|| Binding {
            profile_id: profile_id.to_owned(),
            public_key: public_key.to_owned(),
            fingerprint: fingerprint(public_key),
        })
    }

    /// The name of a person whom somebody in the account added.
    #[must_use]
    pub fn user_key(&self) -> String {
        let start: String = self.fingerprint.chars().take(24).collect();
        format!("concord:{}:{start}", self.profile_id)
    }

    /// The name of the person whom a user is.
    #[must_use]
    pub fn personal_key(&self, user: &str) -> String {
        format!("auth:{user}:profile:{}:pk:{}", self.profile_id, self.fingerprint)
    }
}

/// SHA-256 of a public key without any white space, in hexadecimal.
#[must_use]
pub fn fingerprint(public_key: &str) -> String {
    let bare: String = public_key.chars().filter(|c| !c.is_whitespace()).collect();
    hex(&Sha256::digest(bare.as_bytes()))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_in_a_key_says_nothing() {
        let plain = fingerprint("abc");
        assert_eq!(plain, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fingerprint(" a\tb\r\nc "), plain);
    }

    #[test]
    fn names_hold_the_profile_and_the_key() {
        let binding = Binding::of(" p1 ", "abc").unwrap();
        assert_eq!(binding.user_key(), "concord:p1:ba7816bf8f01cfea414140de");
        assert_eq!(binding.personal_key("u"), format!("auth:u:profile:p1:pk:{}", binding.fingerprint));
        assert!(Binding::of(" ", "abc").is_none() && Binding::of("p", "\n").is_none());
    }
}
