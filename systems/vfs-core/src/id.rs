//! Ids: texts with one parser each, and the numbers that replicas give to their writes.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Bytes that any id may have. Two ids and more stand in one index entry of the database, which holds 2,700 bytes.
pub const ID_BYTES_MAX: usize = 1_024;

/// UTF-16 code units that a client's id may have: the length that its own platform tells it.
pub const CLIENT_ID_UNITS_MAX: usize = 128;

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Nothing but white space.
    #[error("an id must not be blank")]
    Blank,
    /// More than [`ID_BYTES_MAX`], or for clients [`CLIENT_ID_UNITS_MAX`].
    #[error("an id is too long")]
    TooLong,
    /// A NUL, which the database cannot hold.
    #[error("an id must not contain a NUL character")]
    Nul,
    /// A `:` in a client's id, which separates the parts of stored keys.
    #[error("a client's id must not contain ':'")]
    Colon,
}

/// A text without the white space around it, as browsers trim: a byte order mark counts as white space.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    if let ([first, ..], [.., last]) = (text.as_bytes(), text.as_bytes())
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

fn plain(text: &str) -> Result<&str, IdError> {
    let text = trimmed(text);
    if text.is_empty() {
        Err(IdError::Blank)
    } else if text.len() > ID_BYTES_MAX {
        Err(IdError::TooLong)
    } else if text.contains('\0') {
        Err(IdError::Nul)
    } else {
        Ok(text)
    }
}

fn client(text: &str) -> Result<&str, IdError> {
    let text = plain(text)?;
    if text.contains(':') {
        Err(IdError::Colon)
    } else if text.encode_utf16().count() > CLIENT_ID_UNITS_MAX {
        Err(IdError::TooLong)
    } else {
        Ok(text)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads it; white space around it is not part of it.
            ///
            /// # Errors
            /// What is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                Ok(Self($check(text)?.to_owned()))
            }

            /// Reads it from a JSON value; `None`: not a string, or not an id.
            #[must_use]
            pub fn from_value(value: Option<&Value>) -> Option<Self> {
                Self::parse(value?.as_str()?).ok()
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// An item of the registry: a file, a folder, a blob.
    ItemId, plain
}
text_id! {
    /// An operation, as its client names it: any text that is not blank.
    OpId, plain
}
text_id! {
    /// A user.
    UserId, plain
}
text_id! {
    /// Who is given access: a user, a group or an organisation, told apart by [`crate::PrincipalType`].
    PrincipalId, plain
}
text_id! {
    /// A client: 1 to 128 UTF-16 code units without `:`.
    ClientId, client
}

/// A replica is a client seen as a writer: the same ids.
pub type ReplicaId = ClientId;

impl ClientId {
    /// The key under which the server keeps this client's place in the operation feed: `crdt:` and the id.
    #[must_use]
    pub fn stored_key(&self) -> String {
        format!("crdt:{}", self.0)
    }
}

/// The number of a write of one replica, 1 to 2^53 − 1: a replica's numbers strictly increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct WriteId(u64);

/// A number that is no write id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a write id is a whole number from 1 to 9007199254740991")]
pub struct WriteIdError;

impl WriteId {
    /// The first.
    pub const MIN: Self = Self(1);
    /// 2^53 − 1, the largest whole number that every JSON reader holds exactly.
    pub const MAX: Self = Self(9_007_199_254_740_991);

    /// From a number.
    ///
    /// # Errors
    /// Where it lies outside of 1 to 2^53 − 1.
    pub fn new(number: u64) -> Result<Self, WriteIdError> {
        let id = Self(number);
        if (Self::MIN..=Self::MAX).contains(&id) { Ok(id) } else { Err(WriteIdError) }
    }

    /// From a JSON number, whole in value: `3` and `3.0` are the same number. `None` for everything else.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        if let Some(whole) = number.as_u64() {
            return Self::new(whole).ok();
        }
        let number = number.as_f64()?;
        // Below 2^53 every whole float is exact, so that its text is the integer.
        let whole = number.fract() == 0.0 && (1.0..9_007_199_254_740_992.0).contains(&number);
        if whole { Self::new(format!("{number:.0}").parse().ok()?).ok() } else { None }
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The next; `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::new(self.0.saturating_add(1)).ok()
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<WriteId> for i64 {
    fn from(id: WriteId) -> Self {
        Self::try_from(id.0).unwrap_or(Self::MAX)
    }
}

impl TryFrom<i64> for WriteId {
    type Error = WriteIdError;

    fn try_from(number: i64) -> Result<Self, WriteIdError> {
        Self::new(u64::try_from(number).map_err(|_| WriteIdError)?)
    }
}

impl<'de> Deserialize<'de> for WriteId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        Self::from_value(&value).ok_or_else(|| serde::de::Error::custom(WriteIdError))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_trimmed_and_bounded() {
        assert_eq!(ItemId::parse(" a:b/../c \u{feff}").unwrap().as_str(), "a:b/../c");
        assert_eq!(ItemId::parse(" \t\n"), Err(IdError::Blank));
        assert_eq!(ItemId::parse("a\0b"), Err(IdError::Nul));
        assert_eq!(ItemId::parse(&"x".repeat(ID_BYTES_MAX + 1)), Err(IdError::TooLong));
        assert!(ItemId::parse(&"x".repeat(ID_BYTES_MAX)).is_ok());
    }

    #[test]
    fn a_client_is_counted_in_the_units_of_its_platform_and_has_no_colon() {
        assert_eq!(ClientId::parse("a:b"), Err(IdError::Colon));
        assert!(ClientId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(ClientId::parse(&"x".repeat(129)), Err(IdError::TooLong));
        assert!(ClientId::parse(&"\u{1f30a}".repeat(64)).is_ok());
        assert_eq!(ClientId::parse(&"\u{1f30a}".repeat(65)), Err(IdError::TooLong));
        assert_eq!(ClientId::parse("desktop").unwrap().stored_key(), "crdt:desktop");
    }

    #[test]
    fn a_write_id_is_a_whole_json_number_in_range() {
        let read = |value: Value| WriteId::from_value(&value).map(WriteId::get);
        assert_eq!(read(json!(1)), Some(1));
        assert_eq!(read(json!(3.0)), Some(3));
        assert_eq!(read(json!(9_007_199_254_740_991_u64)), Some(9_007_199_254_740_991));
        assert_eq!(read(json!(9_007_199_254_740_991.0)), Some(9_007_199_254_740_991));
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!(9_007_199_254_740_992_u64),
            json!("1"),
            json!(null),
            json!(1e300),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn after_the_last_write_id_there_is_none() {
        assert_eq!(WriteId::MIN.next(), WriteId::new(2).ok());
        assert_eq!(WriteId::MAX.next(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_an_id_survives_its_text(text in any::<String>()) {
            if let Ok(id) = ItemId::parse(&text) {
                prop_assert_eq!(ItemId::parse(id.as_str()), Ok(id));
            }
            if let Ok(id) = ClientId::parse(&text) {
                prop_assert!(!id.as_str().contains(':'));
            }
        }

        #[test]
        fn any_float_is_answered(number in any::<f64>()) {
            let _ = WriteId::from_value(&json!(number));
        }
    }
}
