//! Ids of blobs and stages, and the key of an object.

use std::fmt;

/// Bytes of an id. A key of S3 has at most 1,024, prefix included.
pub const ID_BYTES_MAX: usize = 512;

/// Bytes of the prefix of keys.
pub const PREFIX_BYTES_MAX: usize = 480;

/// The id of a blob or of a stage: one segment of a key, whatever is done to it on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(String);

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobIdError {
    /// There is nothing in it.
    #[error("must not be blank")]
    Blank,
    /// It is longer than [`ID_BYTES_MAX`].
    #[error("must have at most {ID_BYTES_MAX} bytes")]
    TooLong,
    /// It would be read as a directory, or as the parent of one.
    #[error("must not be \".\" or \"..\"")]
    Dots,
    /// It holds a separator of paths or a control character.
    #[error("must not contain \"/\", \"\\\" or control characters")]
    Character,
}

impl BlobId {
    /// Reads an id; blanks around it are cut off.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<BlobId, BlobIdError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BlobIdError::Blank);
        }
        if text.len() > ID_BYTES_MAX {
            return Err(BlobIdError::TooLong);
        }
        if text == "." || text == ".." {
            return Err(BlobIdError::Dots);
        }
        if text.chars().any(|c| c == '/' || c == '\\' || c.is_control()) {
            return Err(BlobIdError::Character);
        }
        Ok(BlobId(text.to_owned()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before the id in every key; it may be nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPrefix(String);

/// A prefix that would not stand in a key as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have at most {PREFIX_BYTES_MAX} bytes, no empty, \".\" or \"..\" segment, and no \"\\\" or control character"
)]
pub struct KeyPrefixError;

impl KeyPrefix {
    /// Reads a prefix; one slash at its end is cut off.
    ///
    /// # Errors
    /// When the key would not be the prefix, a slash and the id.
    pub fn parse(text: &str) -> Result<KeyPrefix, KeyPrefixError> {
        let text = text.trim();
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(KeyPrefix::default());
        }
        let good = text.len() <= PREFIX_BYTES_MAX
            && text.split('/').all(|segment| !segment.is_empty() && BlobId::parse(segment).is_ok());
        if good { Ok(KeyPrefix(text.to_owned())) } else { Err(KeyPrefixError) }
    }

    /// The prefix, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a blob's object: the same for writing, reading and deleting, and for ever.
    #[must_use]
    pub fn key(&self, id: &BlobId) -> String {
        if self.0.is_empty() { id.0.clone() } else { format!("{}/{}", self.0, id.0) }
    }

    /// The id whose object has this key; `None`: no blob's.
    #[must_use]
    pub fn id_of(&self, key: &str) -> Option<BlobId> {
        let rest =
            if self.0.is_empty() { key } else { key.strip_prefix(self.0.as_str())?.strip_prefix('/')? };
        BlobId::parse(rest).ok().filter(|id| id.0 == rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_leave_the_prefix_are_refused() {
        for (text, error) in [
            ("", BlobIdError::Blank),
            ("  ", BlobIdError::Blank),
            (".", BlobIdError::Dots),
            ("..", BlobIdError::Dots),
            ("../x", BlobIdError::Character),
            ("a/b", BlobIdError::Character),
            ("a\\b", BlobIdError::Character),
            ("a\0b", BlobIdError::Character),
            ("a\nb", BlobIdError::Character),
        ] {
            assert_eq!(BlobId::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(BlobId::parse(&"x".repeat(10_000)), Err(BlobIdError::TooLong));
        assert!(BlobId::parse(&"x".repeat(ID_BYTES_MAX)).is_ok());
    }

    #[test]
    fn a_key_is_the_prefix_a_slash_and_the_id() {
        let id = BlobId::parse("blob-1").unwrap();
        for (prefix, key) in [("", "blob-1"), ("p", "p/blob-1"), ("p/", "p/blob-1"), ("p/q/", "p/q/blob-1")] {
            let prefix = KeyPrefix::parse(prefix).unwrap();
            assert_eq!(prefix.key(&id), key);
            assert_eq!(prefix.id_of(key), Some(id.clone()));
        }
    }

    #[test]
    fn a_prefix_that_a_store_would_rewrite_is_refused() {
        for prefix in ["/p", "p//", "p//q", "../p", "p/.", "p\\q", "p\u{1}"] {
            assert_eq!(KeyPrefix::parse(prefix), Err(KeyPrefixError), "{prefix:?}");
        }
    }

    #[test]
    fn keys_of_others_have_no_id() {
        let prefix = KeyPrefix::parse("p").unwrap();
        for key in ["p", "px", "px/y", "p/y/z", "q/y", "p/", "p/ y"] {
            assert_eq!(prefix.id_of(key), None, "{key:?}");
        }
    }
}
