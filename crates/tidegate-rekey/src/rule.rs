//! Which keys are moved, and what in their values follows.

use tidegate_store::kv::{Key, Namespace};

use crate::{Reason, Rewrite, Subject};

/// How the owner stands in a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Many records: `<prefix><owner>:<record>`.
    Prefixed {
        /// Such as `trip:`.
        prefix: String,
    },
    /// One record: `<prefix><owner><suffix>`.
    Single {
        /// Such as `settings:`.
        prefix: String,
        /// What follows the owner; often nothing.
        suffix: String,
    },
    /// The owner stands in the body only, and the key stays.
    InPlace {
        /// Such as `trash:`.
        prefix: String,
    },
}

/// One family of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in reports and in the journal's keys: 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    /// Where its keys are.
    pub namespace: Namespace,
    /// Their form.
    pub kind: Kind,
    /// JSON pointers in the body: a text there that is a spelling becomes the id.
    pub owner_pointers: Vec<String>,
    /// JSON pointers in the body: where one is there, it names the subject's id or a spelling, or the record is
    /// quarantined. For [`Kind::InPlace`], one must name a spelling for the record to be the subject's at all.
    pub proof_pointers: Vec<String>,
    /// JSON pointers in the body: a text there that is a legacy key of any rule of the plan becomes the new key.
    pub key_pointers: Vec<String>,
    /// The same in the metadata.
    pub metadata_key_pointers: Vec<String>,
    /// JSON pointers to the time of the last change, in order: RFC 3339 text or a number of milliseconds. The first
    /// that can be read counts.
    pub clock_pointers: Vec<String>,
    /// The body is not JSON: its bytes are copied as they are.
    pub opaque: bool,
}

impl Rule {
    /// What all its keys start with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match &self.kind {
            Kind::Prefixed { prefix } | Kind::Single { prefix, .. } | Kind::InPlace { prefix } => prefix,
        }
    }

    /// Whether the key stays.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.kind, Kind::InPlace { .. })
    }

    /// What the keys of an owner start with; for a single record, its key.
    pub(crate) fn keys_of(&self, owner: &str) -> String {
        match &self.kind {
            Kind::Prefixed { prefix } => format!("{prefix}{owner}:"),
            Kind::Single { prefix, suffix } => format!("{prefix}{owner}{suffix}"),
            Kind::InPlace { prefix } => prefix.clone(),
        }
    }

    /// The key at which a record belongs: the known start is taken off, and what remains is the record's id whatever
    /// it has in it.
    ///
    /// # Errors
    /// A [`Reason`]: the key is not one of this spelling, or the new key cannot be one, or is the old one.
    pub fn destination(
        &self,
        subject: &Subject,
        spelling: &str,
        key: &Key,
        rewrite: &dyn Rewrite,
    ) -> Result<Key, Reason> {
        if self.is_in_place() {
            return Ok(key.clone());
        }
        let Some(to) = self.moved(subject, spelling, key.as_str(), rewrite) else {
            return Err(Reason::BadDestination { message: format!("the key is none of `{spelling}`") });
        };
        if to == key.as_str() {
            return Err(Reason::BadDestination { message: "it is the key itself".to_owned() });
        }
        Key::new(to).map_err(|error| Reason::BadDestination { message: error.to_string() })
    }

    /// A legacy key's text under the id; none: it is no key of this spelling.
    pub(crate) fn moved(
        &self,
        subject: &Subject,
        spelling: &str,
        key: &str,
        rewrite: &dyn Rewrite,
    ) -> Option<String> {
        match &self.kind {
            Kind::Prefixed { prefix } => {
                let record = key.strip_prefix(prefix.as_str())?.strip_prefix(spelling)?.strip_prefix(':')?;
                let record = rewrite.record_id(self, subject, spelling, record);
                Some([prefix, subject.id.as_str(), ":", &record].concat())
            }
            Kind::Single { .. } => (key == self.keys_of(spelling)).then(|| self.keys_of(&subject.id)),
            Kind::InPlace { .. } => None,
        }
    }
}
