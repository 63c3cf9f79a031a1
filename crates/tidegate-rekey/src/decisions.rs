//! What people decide on records in quarantine.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_store::kv::{Condition, Entry, Key, Namespace, UnixSecond, WrittenAll};

use crate::document::{Decision, Held, key, put, read, record_hash, sha256};
use crate::rekey::timestamp;
use crate::subject::check_id;
use crate::{Kind, Reason, Rekey, RekeyError};

/// A decision on a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Resolution {
    /// It is this account's: the next apply of that subject takes it, and writes its id where the record names an owner.
    Give {
        /// The account's id.
        to_id: String,
    },
    /// It stays where it is and no longer keeps the subject from being done.
    Leave,
}

/// A record that is in quarantine, or was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The rule's name.
    pub rule: String,
    /// Where.
    pub namespace: String,
    /// Its legacy key.
    pub key: String,
    /// The spelling under which it was found; in place: nothing.
    pub spelling: String,
    /// Why it was not copied; none: it was decided on without having been in quarantine.
    pub reason: Option<Reason>,
    /// What was decided, if anything was.
    pub resolved: Option<Resolved>,
}

/// A decision and who took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// What was decided.
    pub resolution: Resolution,
    /// Who decided.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, by the store's clock.
    pub at: Timestamp,
}

impl Rekey {
    /// The records in quarantine of a subject, and the decided ones, by namespace and key.
    ///
    /// # Errors
    /// [`RekeyError`].
    pub async fn quarantined(&self, id: &str) -> Result<Vec<Quarantined>, RekeyError> {
        check_id(id)?;
        let known = self.known(id).await?;
        let mut all: Vec<Quarantined> = Vec::new();
        for (hash, held) in &known.held {
            all.push(shown(Some(held), known.decisions.get(hash), held));
        }
        for (hash, decision) in &known.decisions {
            if !known.held.contains_key(hash) {
                all.push(shown(None, Some(decision), &as_held(decision)));
            }
        }
        all.sort_by(|one, other| (&one.namespace, &one.key).cmp(&(&other.namespace, &other.key)));
        Ok(all)
    }

    /// Decides on a record. Kept with who decided and why; it holds for the record as it is now, and one that is
    /// written later is judged anew.
    ///
    /// A record in quarantine can be given or left. Any other legacy record (one in conflict, or that is no JSON) can
    /// be left.
    ///
    /// # Errors
    /// [`RekeyError::NotQuarantined`], [`RekeyError::ChangedSince`], [`RekeyError::BadSubject`] where the id cannot be
    /// one.
    pub async fn resolve(
        &self,
        id: &str,
        namespace: &Namespace,
        key_text: &str,
        resolution: Resolution,
        actor: &str,
        reason: &str,
    ) -> Result<Quarantined, RekeyError> {
        check_id(id)?;
        let hash = record_hash(namespace.as_str(), key_text);
        let place = key(id, &format!("quarantine:{hash}"))?;
        let journal = &self.plan.journal;
        let found = self.store.get(journal, &place).await?;
        let held: Option<Held> = found.map(|entry| read(&place, &entry)).transpose()?;
        let at = Key::new(key_text)?;
        let record = self.store.get(namespace, &at).await?;
        let unknown = || RekeyError::NotQuarantined {
            id: id.to_owned(),
            namespace: namespace.to_string(),
            key: key_text.to_owned(),
        };
        let record = record.ok_or_else(unknown)?;
        let about = match (&held, &resolution) {
            (Some(held), _) if held.sha256 != sha256(&record.value) => {
                return Err(RekeyError::ChangedSince {
                    namespace: namespace.to_string(),
                    key: key_text.to_owned(),
                });
            }
            (Some(held), _) => held.clone(),
            (None, Resolution::Leave) => self.legacy(id, namespace, &at, &record).ok_or_else(unknown)?,
            (None, Resolution::Give { .. }) => return Err(unknown()),
        };
        let mut owners = vec![id];
        if let Resolution::Give { to_id } = &resolution {
            check_id(to_id)?;
            if to_id != id {
                owners.push(to_id);
            }
        }
        // Whom an earlier decision gave it to must not take it any more.
        let mine = key(id, &format!("resolution:{hash}"))?;
        let former = self.store.get(journal, &mine).await?;
        let unchanged = former.as_ref().map_or(Condition::Absent, |entry| Condition::Version(entry.version));
        let earlier: Option<Decision> = former.map(|entry| read(&mine, &entry)).transpose()?;
        let given_before = earlier.as_ref().and_then(|decision| match &decision.resolution {
            Resolution::Give { to_id } => Some(to_id.as_str()),
            Resolution::Leave => None,
        });
        if let Some(former) = given_before
            && !owners.contains(&former)
        {
            owners.push(former);
        }
        let decision = Decision {
            rule: about.rule.clone(),
            namespace: about.namespace.clone(),
            key: about.key.clone(),
            spelling: about.spelling.clone(),
            sha256: about.sha256.clone(),
            resolution: resolution.clone(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            at: self.store.now().await?.0,
        };
        let mut writes = Vec::new();
        for owner in owners {
            let place = key(owner, &format!("resolution:{hash}"))?;
            let condition = if owner == id { unchanged } else { Condition::Always };
            writes.push(put(journal, place, &decision, condition)?);
        }
        match self.store.0.write_all(&writes).await? {
            WrittenAll::Done(_) => Ok(shown(held.as_ref(), Some(&decision), &about)),
            WrittenAll::Refused { .. } => Err(RekeyError::Contended { key: key_text.to_owned(), tries: 1 }),
        }
    }

    /// A legacy record that is not in quarantine; none: its key is of no rule, or of the id itself.
    fn legacy(&self, id: &str, namespace: &Namespace, at: &Key, record: &Entry) -> Option<Held> {
        let rules = self.plan.rules.iter().filter(|rule| rule.namespace == *namespace);
        let mut rules = rules.filter(|rule| at.as_str().starts_with(rule.prefix()));
        let rule = rules.find(|rule| match &rule.kind {
            Kind::Prefixed { .. } => !at.as_str().starts_with(&rule.keys_of(id)),
            Kind::Single { .. } => at.as_str() != rule.keys_of(id),
            Kind::InPlace { .. } => true,
        })?;
        Some(Held {
            rule: rule.name.clone(),
            namespace: namespace.to_string(),
            key: at.to_string(),
            spelling: String::new(),
            reason: Reason::NoClock,
            sha256: sha256(&record.value),
        })
    }
}

fn as_held(decision: &Decision) -> Held {
    Held {
        rule: decision.rule.clone(),
        namespace: decision.namespace.clone(),
        key: decision.key.clone(),
        spelling: decision.spelling.clone(),
        reason: Reason::NoClock,
        sha256: decision.sha256.clone(),
    }
}

fn shown(held: Option<&Held>, decision: Option<&Decision>, about: &Held) -> Quarantined {
    Quarantined {
        rule: about.rule.clone(),
        namespace: about.namespace.clone(),
        key: about.key.clone(),
        spelling: about.spelling.clone(),
        reason: held.map(|held| held.reason.clone()),
        // A decision on other bytes than those in quarantine is none on this record.
        resolved: decision.filter(|decision| decision.sha256 == about.sha256).map(|decision| Resolved {
            resolution: decision.resolution.clone(),
            actor: decision.actor.clone(),
            reason: decision.reason.clone(),
            at: timestamp(UnixSecond(decision.at)),
        }),
    }
}
