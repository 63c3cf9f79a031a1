//! Writes batches under the lease.

use tidegate_store::kv::{Change, Condition, Key, KvError, UnixSecond, Version, Write, WrittenAll};

use crate::asking::{may_try_again, wait};
use crate::document::{Lease, key, put, read};
use crate::lease::HeldLease;
use crate::rekey::{STOP_KEY, WRITE_TRIES_MAX, timestamp};
use crate::{Rekey, RekeyError, State, Stopped, Subject};

/// The lease and the state of a run: each batch writes both anew.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) rekey: &'a Rekey,
    pub(crate) subject: &'a Subject,
    pub(crate) lease: HeldLease,
    pub(crate) state: State,
    pub(crate) state_version: Option<Version>,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Committed {
    Done,
    /// Somebody wrote one of its records.
    Contended,
    /// The store takes one of its writes never.
    Rejected(KvError),
    Stopped(Stopped),
}

impl Writer<'_> {
    /// Writes all of it, the state and the lease anew, or nothing. `until`: when the lease ends; none: as usual.
    ///
    /// # Idempotence
    /// A write whose answer was lost is recognised by the beat in the lease, which only it can have left there.
    pub(crate) async fn commit(
        &mut self,
        mut writes: Vec<Write>,
        state: State,
        may_be_stopped: bool,
        until: Option<UnixSecond>,
    ) -> Result<Committed, RekeyError> {
        let (rekey, journal) = (self.rekey, &self.rekey.plan.journal);
        let state_key = key(&self.subject.id, "state")?;
        let (mut failures, mut tries) = (0, 0);
        self.lease.beats += 1;
        let beat = self.lease.beats;
        loop {
            tries += 1;
            if tries > WRITE_TRIES_MAX {
                return Err(RekeyError::Contended { key: state_key.to_string(), tries: WRITE_TRIES_MAX });
            }
            let now = rekey.store.now().await?;
            let until = until.unwrap_or(UnixSecond(now.0.saturating_add(rekey.lease_seconds)));
            let lease = self.lease.renewed(until.0, beat);
            let state = State { last_run: timestamp(now), dry_run: false, ..state.clone() };
            let of_state = self.state_version.map_or(Condition::Absent, Condition::Version);
            let mut own = vec![
                put(journal, self.lease.key.clone(), &lease, Condition::Version(self.lease.version))?,
                put(journal, state_key.clone(), &state, of_state)?,
            ];
            if may_be_stopped {
                let (change, condition) = (Change::Keep, Condition::Absent);
                let (namespace, key) = (journal.clone(), Key::new(STOP_KEY)?);
                own.push(Write { namespace, key, change, condition });
            }
            // Those of a former try give way to these.
            let former = if tries > 1 { own.len() } else { 0 };
            writes.splice(..former, own);
            let answer = rekey.store.0.write_all(&writes).await;
            let error = match answer {
                Ok(WrittenAll::Done(versions)) => {
                    let mut versions = versions.into_iter().flatten();
                    match (versions.next(), versions.next()) {
                        (Some(of_lease), Some(of_state)) => {
                            self.adopt(lease, of_lease, state, of_state);
                            return Ok(Committed::Done);
                        }
                        _ => KvError::Unknown {
                            store: format!("{:?}", rekey.store.0),
                            message: "it answered a batch without the versions of its first writes"
                                .to_owned(),
                        },
                    }
                }
                Ok(WrittenAll::Refused { index: 0, .. }) => {
                    // An earlier try whose answer was lost may have arrived since.
                    return Ok(match failures > 0 && self.was_written(&lease, &state_key, &state).await? {
                        true => Committed::Done,
                        false => Committed::Stopped(Stopped::LeaseLost),
                    });
                }
                Ok(WrittenAll::Refused { index: 1, found }) => {
                    // Only a dry run writes the state beside the lease's holder.
                    self.state_version = found;
                    continue;
                }
                Ok(WrittenAll::Refused { index: 2, .. }) if may_be_stopped => {
                    return Ok(Committed::Stopped(Stopped::KillSwitch));
                }
                Ok(WrittenAll::Refused { .. }) => return Ok(Committed::Contended),
                Err(error @ (KvError::Unavailable { .. } | KvError::Unknown { .. })) => error,
                Err(error) => return Ok(Committed::Rejected(error)),
            };
            if matches!(error, KvError::Unknown { .. })
                && self.was_written(&lease, &state_key, &state).await?
            {
                return Ok(Committed::Done);
            }
            if !may_try_again(&error, &mut failures) {
                return Err(error.into());
            }
            wait(failures).await;
        }
    }

    fn adopt(&mut self, lease: Lease, of_lease: Version, state: State, of_state: Version) {
        (self.lease.lease, self.lease.version) = (lease, of_lease);
        (self.state, self.state_version) = (state, Some(of_state));
    }

    /// Whether the batch that would leave this lease was written.
    async fn was_written(&mut self, lease: &Lease, at: &Key, state: &State) -> Result<bool, RekeyError> {
        let keys = [self.lease.key.clone(), at.clone()];
        let found = self.rekey.store.get_many(&self.rekey.plan.journal, &keys).await?;
        let [Some(of_lease), Some(of_state)] = found.as_slice() else { return Ok(false) };
        let found: Lease = read(&self.lease.key, of_lease)?;
        let is_ours = found.holder == lease.holder && found.beat == lease.beat;
        if is_ours {
            self.adopt(found, of_lease.version, state.clone(), of_state.version);
        }
        Ok(is_ours)
    }
}
