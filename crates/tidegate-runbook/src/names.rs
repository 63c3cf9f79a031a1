//! Identifiers that a runbook's author writes, each with one parser.

use std::fmt;

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id: it must match [a-z0-9][a-z0-9_]* and have at most {max} characters", max = Name::CHARS_MAX)]
pub struct NotAName {
    /// The text as written.
    pub text: String,
}

/// The id of a step, stage, way, store, parameter, login or runbook: `[a-z0-9][a-z0-9_]*`.
///
/// Steps, stages and ways share one name space, so that `@requires` can name any of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Longest id, in characters. Ids appear in `application_name`, which PostgreSQL cuts at 63 bytes.
    pub const CHARS_MAX: usize = 60;

    /// Reads an id.
    ///
    /// # Errors
    /// [`NotAName`] when `text` does not match `[a-z0-9][a-z0-9_]*` or is too long.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let mut bytes = text.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let tail = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if head && tail && text.len() <= Self::CHARS_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName { text: text.to_owned() })
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}
