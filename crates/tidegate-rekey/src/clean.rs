//! Removes the legacy keys of who is done.

use tidegate_store::kv::{Change, Condition, Key, Namespace, Version, Write, Written};

use crate::report::LISTED_MAX;
use crate::{Cleaned, Kind, Reason, Refusal, Rekey, RekeyError, State, Subject};

/// Keys of one batch.
const BATCH: usize = 500;

impl Rekey {
    /// Removes the legacy keys of a subject that is done: each only if the version stands there that the ledger has
    /// settled. What was written since is kept and listed. Records in place have no legacy key.
    ///
    /// # Errors
    /// [`RekeyError::NotDone`], [`RekeyError::Held`], [`RekeyError::Store`]. What was removed before stays removed.
    pub async fn clean(&self, subject: &Subject, actor: &str) -> Result<Cleaned, RekeyError> {
        self.clean_where(subject, actor, |_| true).await
    }

    /// As [`Rekey::clean`], only where the subject's state, which no run changes meanwhile, is one that the caller has
    /// judged: a run between the judgement and the cleanup may have copied what is to stand longer.
    ///
    /// # Errors
    /// Also [`RekeyError::Changed`], where it is another one.
    pub async fn clean_where(
        &self,
        subject: &Subject,
        actor: &str,
        is_judged: impl Fn(&State) -> bool + Send,
    ) -> Result<Cleaned, RekeyError> {
        subject.check()?;
        let not_done = || RekeyError::NotDone { id: subject.id.clone() };
        if !self.state(&subject.id).await?.is_some_and(|state| state.done) {
            return Err(not_done());
        }
        let mut lease = self.take_lease(&subject.id, actor).await?;
        let known = self.known(&subject.id).await?;
        if !known.state.as_ref().is_some_and(|(state, _)| state.done) {
            self.give_back(&lease).await?;
            return Err(not_done());
        }
        if known.state.as_ref().is_some_and(|(state, _)| !is_judged(state)) {
            self.give_back(&lease).await?;
            return Err(RekeyError::Changed { id: subject.id.clone() });
        }
        let mut cleaned = Cleaned { subject: subject.id.clone(), ..Cleaned::default() };
        let mut keys: Vec<(String, Namespace, Key, Version)> = known
            .ledger
            .sources()
            .filter_map(|(namespace, key, version)| {
                let rule = self.legacy_rule(subject, namespace, key)?;
                Some((rule.to_owned(), Namespace::new(namespace).ok()?, Key::new(key).ok()?, version))
            })
            .collect();
        keys.sort();
        for some in keys.chunks(BATCH) {
            if self.is_stopped().await? {
                cleaned.stopped = true;
                break;
            }
            lease = self.renew(&lease).await?;
            let writes: Vec<Write> = some
                .iter()
                .map(|(_, namespace, key, version)| Write {
                    namespace: namespace.clone(),
                    key: key.clone(),
                    change: Change::Delete,
                    condition: Condition::Version(*version),
                })
                .collect();
            for ((rule, namespace, key, _), written) in
                some.iter().zip(self.store.0.write_each(&writes).await?)
            {
                match written {
                    Written::Done(_) => cleaned.deleted += 1,
                    Written::Refused(None) => cleaned.gone += 1,
                    Written::Refused(Some(_)) if cleaned.kept.len() < LISTED_MAX => {
                        let (rule, namespace) = (rule.clone(), namespace.to_string());
                        let (key, reason) = (key.to_string(), Reason::ChangedSinceCopied);
                        cleaned.kept.push(Refusal { rule, namespace, key, reason });
                    }
                    Written::Refused(Some(_)) => cleaned.more += 1,
                }
            }
        }
        self.give_back(&lease).await?;
        tracing::info!(
            subject = %cleaned.subject, deleted = cleaned.deleted, kept = cleaned.kept.len(),
            "legacy keys were removed"
        );
        Ok(cleaned)
    }

    /// The rule of a settled legacy key; none: no rule of this plan has it, or it is one of the id.
    fn legacy_rule(&self, subject: &Subject, namespace: &str, key: &str) -> Option<&str> {
        let rules = self.plan.rules.iter().filter(|rule| rule.namespace.as_str() == namespace);
        let mut rules = rules.filter(|rule| key.starts_with(rule.prefix()));
        let rule = rules.find(|rule| match &rule.kind {
            Kind::Prefixed { .. } => !key.starts_with(&rule.keys_of(&subject.id)),
            Kind::Single { .. } => key != rule.keys_of(&subject.id),
            Kind::InPlace { .. } => false,
        })?;
        Some(&rule.name)
    }
}
