//! One batch, before it is written.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegate_store::kv::{BATCH_MAX, Change, Condition, Entry, Key, Namespace, VALUE_MAX_BYTES, Write};

use crate::document::{Cursor, Held, Recovery, Settled, key, put, record_hash, sha256};
use crate::judging::Judged;
use crate::known::{Known, hash_of};
use crate::report::List;
use crate::stream::Item;
use crate::{Counts, Plan, Reason, Refusal, RekeyError, Rule, Subject, Verdict};

/// Most records of a batch: each that is plainly copied has two writes, and the batch itself five.
pub(crate) const DRAFT_RECORDS_MAX: usize = 497;
/// Writes that a batch has beside its records' and cursors': the lease, the state, the stop key, the ledger.
const OWN_WRITES: usize = 4;
/// Most bytes of a batch, unless it is one record.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One batch, before it is written.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Records that it may have.
    pub(crate) at_most: usize,
    pub(crate) items: Vec<Item>,
    pub(crate) counts: Counts,
    pub(crate) refusals: Vec<(List, Refusal)>,
    pub(crate) settled: Vec<Settled>,
    /// Quarantine records: what stands there once the batch is written.
    pub(crate) held: Vec<(String, Option<Held>)>,
    /// The last record of each cursor.
    cursors: BTreeMap<Arc<str>, usize>,
    writes: Vec<Write>,
    /// Keys that the writes are about, hashed: that two keys share a hash only ends a batch early.
    keys: HashSet<u64>,
    /// New keys by which its records were judged, hashed.
    places: HashSet<u64>,
    hasher: RandomState,
    bytes: usize,
}

/// Whether a record was taken into a batch.
#[derive(Debug)]
pub(crate) enum Taken {
    Yes,
    /// It comes with the next one.
    No(Item),
}

impl Draft {
    /// An empty batch. Those that are compared share a hasher.
    pub(crate) fn new(hasher: RandomState, at_most: usize) -> Self {
        Self { hasher, at_most, ..Self::default() }
    }

    /// Whether one of its records was judged by a key that this batch writes.
    pub(crate) fn judged_beside(&self, written: &Self) -> bool {
        !self.places.is_disjoint(&written.keys)
    }

    /// Takes a record in, with all its writes; not if it does not fit, or touches a key of another one.
    pub(crate) fn take(
        &mut self,
        plan: &Plan,
        subject: &Subject,
        known: &Known,
        mut judged: Judged,
    ) -> Result<Taken, RekeyError> {
        let Some(rule) = plan.rules.get(judged.item.rule) else { return Ok(Taken::Yes) };
        let writes = self.writes_of(plan, subject, rule, &mut judged)?;
        let bytes: usize = writes.iter().map(bytes_of).sum();
        let is_held = matches!(judged.verdict, Verdict::Quarantine(_)) || !known.held.is_empty();
        let has_cursor = judged.item.cursor.as_ref().is_none_or(|name| self.cursors.contains_key(name));
        let more = writes.len() + usize::from(is_held) + usize::from(!has_cursor);
        let count = self.writes.len() + self.cursors.len() + OWN_WRITES + more;
        let keys: Vec<u64> = writes.iter().map(|write| self.hash(&write.namespace, &write.key)).collect();
        let place = judged.destination.as_ref().map(|(key, _)| self.hash(&rule.namespace, key));
        // Whatever the verdict: it was judged by what stood there before this batch.
        let touches = keys.iter().chain(&place).any(|key| self.keys.contains(key));
        let is_full = !self.items.is_empty() && self.bytes + bytes > BATCH_BYTES_MAX;
        if touches || is_full || count > BATCH_MAX {
            return Ok(Taken::No(judged.item));
        }
        self.bytes += bytes;
        self.keys.extend(keys);
        self.places.extend(place);
        self.writes.extend(writes);
        self.hold(plan, subject, known, rule, &judged)?;
        self.note(rule, judged);
        Ok(Taken::Yes)
    }

    /// The writes of a record. One whose former record cannot be saved fails, and has none.
    fn writes_of(
        &self,
        plan: &Plan,
        subject: &Subject,
        rule: &Rule,
        judged: &mut Judged,
    ) -> Result<Vec<Write>, RekeyError> {
        let Verdict::Copy(copy) = &judged.verdict else { return Ok(Vec::new()) };
        let there = judged.destination.as_ref().and_then(|(_, entry)| entry.as_ref());
        let mut writes = Vec::with_capacity(3);
        if let Some(entry) = there.filter(|_| copy.overwrites) {
            let saved = saved(plan, subject, rule, &copy.key, entry)?;
            if bytes_of(&saved) > VALUE_MAX_BYTES {
                let (what, bytes) = ("the saved former record".to_owned(), bytes_of(&saved));
                judged.verdict = Verdict::Failed(Reason::TooLarge { what, bytes, limit: VALUE_MAX_BYTES });
                return Ok(Vec::new());
            }
            writes.push(saved);
        }
        let condition = match (rule.is_in_place(), there) {
            (true, _) => Condition::Version(judged.source.version),
            (false, Some(entry)) => Condition::Version(entry.version),
            (false, None) => Condition::Absent,
        };
        let (value, metadata) = (copy.value.clone(), copy.metadata.clone());
        let change = Change::Put { value, metadata, expires_at: copy.expires_at };
        writes.push(Write { namespace: rule.namespace.clone(), key: copy.key.clone(), change, condition });
        if !rule.is_in_place() {
            // A legacy write since the record was read refuses the batch.
            writes.push(Write {
                namespace: rule.namespace.clone(),
                key: judged.item.key.clone(),
                change: Change::Keep,
                condition: Condition::Version(judged.source.version),
            });
        }
        Ok(writes)
    }

    /// Writes a quarantine record where there is a new one, and removes one that is no longer so.
    fn hold(
        &mut self,
        plan: &Plan,
        subject: &Subject,
        known: &Known,
        rule: &Rule,
        judged: &Judged,
    ) -> Result<(), RekeyError> {
        let is_held = matches!(judged.verdict, Verdict::Quarantine(_));
        if !is_held && known.held.is_empty() {
            return Ok(());
        }
        let hash = hash_of(&rule.namespace, &judged.item.key);
        let held = match &judged.verdict {
            Verdict::Quarantine(reason) => Some(Held {
                rule: rule.name.clone(),
                namespace: rule.namespace.to_string(),
                key: judged.item.key.to_string(),
                spelling: judged.item.spelling.to_string(),
                reason: reason.clone(),
                sha256: sha256(&judged.source.value),
            }),
            // A decision is read beside the record that it is about.
            Verdict::Left => return Ok(()),
            _ => None,
        };
        if known.held.get(&hash) == held.as_ref() {
            return Ok(());
        }
        let at = key(&subject.id, &format!("quarantine:{hash}"))?;
        self.writes.push(match &held {
            Some(held) => put(&plan.journal, at, held, Condition::Always)?,
            None => Write {
                namespace: plan.journal.clone(),
                key: at,
                change: Change::Delete,
                condition: Condition::Always,
            },
        });
        self.held.push((hash, held));
        Ok(())
    }

    fn note(&mut self, rule: &Rule, judged: Judged) {
        *self.counts.of(&rule.name) += judged.counts();
        self.refusals.extend(judged.refusal(rule));
        if judged.settles(rule) {
            let written = match &judged.verdict {
                Verdict::Copy(copy) => Some(sha256(&copy.value)),
                _ => None,
            };
            let destination = match &judged.destination {
                Some((key, _)) => key.to_string(),
                None => judged.item.key.to_string(),
            };
            self.settled.push(Settled {
                rule: rule.name.clone(),
                namespace: rule.namespace.to_string(),
                source: judged.item.key.to_string(),
                version: judged.source.version.0,
                destination,
                sha256: written,
            });
        }
        if let Some(name) = &judged.item.cursor {
            self.cursors.insert(Arc::clone(name), self.items.len());
        }
        self.items.push(judged.item);
    }

    /// All writes of the batch besides the lease, the state and the stop key. They are taken out of it.
    pub(crate) fn writes(
        &mut self,
        plan: &Plan,
        subject: &Subject,
        known: &Known,
    ) -> Result<Vec<Write>, RekeyError> {
        let mut writes = std::mem::take(&mut self.writes);
        if !self.settled.is_empty() {
            let chunk = key(&subject.id, &format!("ledger:{:010}", known.next_chunk))?;
            writes.push(put(&plan.journal, chunk, &self.settled, Condition::Absent)?);
        }
        for (name, index) in &self.cursors {
            let Some(item) = self.items.get(*index) else { continue };
            let cursor = Cursor { spelling: item.spelling.to_string(), key: item.key.to_string() };
            let at = key(&subject.id, &format!("cursor:{name}"))?;
            writes.push(put(&plan.journal, at, &cursor, Condition::Always)?);
        }
        Ok(writes)
    }

    fn hash(&self, namespace: &Namespace, key: &Key) -> u64 {
        self.hasher.hash_one((namespace, key))
    }

    /// The last record.
    pub(crate) fn last_key(&self) -> Option<String> {
        self.items.last().map(|item| item.key.to_string())
    }
}

/// The write that saves what is overwritten.
fn saved(plan: &Plan, subject: &Subject, rule: &Rule, at: &Key, entry: &Entry) -> Result<Write, RekeyError> {
    let recovery = Recovery {
        namespace: rule.namespace.to_string(),
        key: at.to_string(),
        value: STANDARD.encode(&entry.value),
        metadata: entry.metadata.clone(),
        expires_at: entry.expires_at.map(|end| end.0),
        version: entry.version.0,
    };
    let hash = record_hash(rule.namespace.as_str(), at.as_str());
    let place = key(&subject.id, &format!("recovery:{hash}:{}", entry.version.0))?;
    put(&plan.journal, place, &recovery, Condition::Always)
}

fn bytes_of(write: &Write) -> usize {
    match &write.change {
        Change::Put { value, .. } => value.len(),
        Change::Delete | Change::Keep => 0,
    }
}
