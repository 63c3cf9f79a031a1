//! Whose keys are moved.

use std::collections::BTreeSet;

use crate::RekeyError;

/// Most bytes of an id.
pub const ID_MAX_BYTES: usize = 128;
/// Most spellings of one subject.
pub const SPELLINGS_MAX: usize = 16;

/// An owner: the id under which records belong, and the names under which they may still stand.
///
/// The caller has proved that the names are this owner's, from the stored account and never from a request. Whether
/// somebody else has the same name is asked of [`crate::Claims`] in each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The id, without `:`.
    pub id: String,
    /// The names, in the order in which they are visited.
    pub spellings: Vec<String>,
}

impl Subject {
    /// A subject with these names.
    ///
    /// # Errors
    /// [`RekeyError::BadSubject`]: the id is empty, too long or has `:` or U+0000 in it; a name is empty, given twice,
    /// the id itself, or starts with the id and `:`; there are more than [`SPELLINGS_MAX`].
    pub fn new(id: impl Into<String>, spellings: Vec<String>) -> Result<Self, RekeyError> {
        let subject = Self { id: id.into(), spellings };
        subject.check()?;
        Ok(subject)
    }

    /// Whether it is as [`Subject::new`] would have it.
    pub(crate) fn check(&self) -> Result<(), RekeyError> {
        let refused = |reason: String| Err(RekeyError::BadSubject { id: self.id.clone(), reason });
        check_id(&self.id)?;
        if self.spellings.len() > SPELLINGS_MAX {
            return refused(format!("it has {} spellings; at most {SPELLINGS_MAX}", self.spellings.len()));
        }
        let canonical = format!("{}:", self.id);
        let mut seen = BTreeSet::new();
        for spelling in &self.spellings {
            if spelling.is_empty() {
                return refused("a spelling is empty".to_owned());
            }
            if *spelling == self.id {
                return refused("a spelling is the id: what stands there has been moved already".to_owned());
            }
            if spelling.starts_with(&canonical) {
                return refused(format!("the spelling `{spelling}` lies within the keys of the id"));
            }
            if spelling.contains('\0') {
                return refused("a spelling has U+0000 in it, which no key has".to_owned());
            }
            if !seen.insert(spelling) {
                return refused(format!("the spelling `{spelling}` is given twice"));
            }
        }
        Ok(())
    }

    /// Whether this text is one of the names.
    #[must_use]
    pub fn is_spelling(&self, text: &str) -> bool {
        self.spellings.iter().any(|spelling| spelling == text)
    }
}

/// Refuses what cannot be an id.
pub(crate) fn check_id(id: &str) -> Result<(), RekeyError> {
    let reason = if id.is_empty() {
        "the id is empty"
    } else if id.len() > ID_MAX_BYTES {
        "the id has more than 128 bytes"
    } else if id.contains([':', '\0']) {
        // With a colon in it, the keys of one id could be those of another id's record.
        "the id has a colon or U+0000 in it"
    } else {
        return Ok(());
    };
    Err(RekeyError::BadSubject { id: id.chars().take(80).collect(), reason: reason.to_owned() })
}
