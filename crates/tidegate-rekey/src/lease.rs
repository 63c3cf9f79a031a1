//! One run at a time for each subject.

use tidegate_store::kv::{Condition, Key, KvError, UnixSecond, Version, Written};
use uuid::Uuid;

use crate::document::{Lease, key, put, read};
use crate::rekey::{WRITE_TRIES_MAX, timestamp};
use crate::{Rekey, RekeyError};

/// A lease that this run has, or had.
#[derive(Debug, Clone)]
pub(crate) struct HeldLease {
    pub(crate) key: Key,
    pub(crate) lease: Lease,
    pub(crate) version: Version,
    /// The beat of the last try to write, written or not.
    pub(crate) beats: u64,
}

impl HeldLease {
    /// The lease after a write with this beat.
    pub(crate) fn renewed(&self, until: i64, beat: u64) -> Lease {
        Lease { until, beat, ..self.lease.clone() }
    }
}

impl Rekey {
    /// Fails with [`RekeyError::Held`] while somebody has the lease of a subject.
    pub(crate) async fn must_be_free(&self, id: &str) -> Result<(), RekeyError> {
        let at = key(id, "lease")?;
        let now = self.store.now().await?;
        let Some(entry) = self.store.get(&self.plan.journal, &at).await? else { return Ok(()) };
        let lease: Lease = read(&at, &entry)?;
        if lease.until > now.0 { Err(held(id, lease)) } else { Ok(()) }
    }

    /// Takes the lease of a subject, if nobody has it.
    pub(crate) async fn take_lease(&self, id: &str, actor: &str) -> Result<HeldLease, RekeyError> {
        let at = key(id, "lease")?;
        let actor: String = actor.chars().take(100).collect();
        let holder = format!("{actor} ({})", Uuid::new_v4().simple());
        for _try in 0..WRITE_TRIES_MAX {
            let now = self.store.now().await?;
            let found = self.store.get(&self.plan.journal, &at).await?;
            let former: Option<(Lease, Version)> = match &found {
                Some(entry) => Some((read(&at, entry)?, entry.version)),
                None => None,
            };
            let (condition, epoch) = match former {
                // An answer that was lost was this one.
                Some((lease, version)) if lease.holder == holder => {
                    return Ok(HeldLease { key: at, lease, version, beats: 0 });
                }
                Some((lease, _)) if lease.until > now.0 => {
                    return Err(held(id, lease));
                }
                Some((lease, version)) => (Condition::Version(version), lease.epoch + 1),
                None => (Condition::Absent, 1),
            };
            let until = now.0.saturating_add(self.lease_seconds);
            let lease = Lease { holder: holder.clone(), until, epoch, beat: 0 };
            match self.store.0.write(put(&self.plan.journal, at.clone(), &lease, condition)?).await {
                Ok(Written::Done(Some(version))) => {
                    return Ok(HeldLease { key: at, lease, version, beats: 0 });
                }
                Ok(_) => {}
                Err(KvError::Unknown { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RekeyError::Contended { key: at.to_string(), tries: WRITE_TRIES_MAX })
    }
}

fn held(id: &str, lease: Lease) -> RekeyError {
    RekeyError::Held { id: id.to_owned(), holder: lease.holder, until: timestamp(UnixSecond(lease.until)) }
}

impl Rekey {
    /// Keeps the lease for as long again.
    pub(crate) async fn renew(&self, held: &HeldLease) -> Result<HeldLease, RekeyError> {
        let until = self.store.now().await?.0.saturating_add(self.lease_seconds);
        self.rewrite(held, until).await
    }

    /// Lets others take the lease at once.
    pub(crate) async fn give_back(&self, held: &HeldLease) -> Result<(), RekeyError> {
        let now = self.store.now().await?.0;
        self.rewrite(held, now).await.map(|_| ())
    }

    async fn rewrite(&self, held: &HeldLease, until: i64) -> Result<HeldLease, RekeyError> {
        let beats = held.beats + 1;
        let lease = held.renewed(until, beats);
        let condition = Condition::Version(held.version);
        let written =
            self.store.0.write(put(&self.plan.journal, held.key.clone(), &lease, condition)?).await?;
        match written {
            Written::Done(Some(version)) => Ok(HeldLease { key: held.key.clone(), lease, version, beats }),
            _ => Err(RekeyError::Contended { key: held.key.to_string(), tries: 1 }),
        }
    }
}
