//! A write to a side on another server: noted down with the primary's, delivered later, in order, once in effect.

use std::fmt::Display;
use std::time::Duration;

use tidegate_flags::outbox::{self, Behind, Put, TAKEN_MAX, Taken};
use tidegate_store::postgres::{Failure, Session, TxError, TxOptions, TxOutcome, run_tx};

use crate::snapshot::Snapshot;
use crate::switch::failure;

/// Rounds of one replay; each takes the oldest write of every key.
pub const REPLAY_ROUNDS_MAX: u32 = 1000;

/// The outbox of a flag set.
///
/// Each write carries the whole record as it is after the write. The other side keeps, beside each record, the number
/// of the newest write that it got, in the same transaction: a write that comes a second time finds it and does
/// nothing.
#[derive(Debug, Clone)]
pub struct Outbox {
    set: String,
    source: String,
    batch: u32,
    pause: Duration,
    transactions: TxOptions,
}

/// What became of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Writes that the other side got now.
    pub applied: u64,
    /// Writes that it had got before.
    pub repeated: u64,
    /// Writes that it refused, or whose commit is unknown; they stay.
    pub refused: u64,
    /// Why the last of them was refused.
    pub last_refusal: Option<String>,
    /// Writes that are left.
    pub left: u64,
}

impl Outbox {
    /// The outbox of a set. `source` names this database among all that deliver to the same other side.
    #[must_use]
    pub fn new(set: &str, source: &str) -> Outbox {
        Outbox {
            set: set.to_owned(),
            source: format!("{set} from {source}"),
            batch: 100,
            pause: Duration::from_secs(5),
            transactions: TxOptions::default(),
        }
    }

    /// Writes that are taken at once, at most [`TAKEN_MAX`]; 100 unless it is said.
    #[must_use]
    pub fn batch(mut self, batch: u32) -> Outbox {
        self.batch = batch.clamp(1, TAKEN_MAX);
        self
    }

    /// How long a write that was refused is left alone; 5 s unless it is said.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Outbox {
        self.pause = pause;
        self
    }

    /// Notes a write down, in the primary's transaction and after the primary's write. Without a mirror in the stage
    /// there is nothing to note. `payload` is the whole record; `None`: it is gone.
    ///
    /// # Errors
    /// The server's.
    pub async fn put(
        &self,
        session: &Session,
        snapshot: &Snapshot,
        record: &str,
        key: &str,
        payload: Option<&str>,
    ) -> Result<(), Failure> {
        let Some(side) = snapshot.stage().mirror else { return Ok(()) };
        let write = Put { side, record, key, payload, epoch: snapshot.epoch() };
        outbox::put(session, &self.set, &write).await.map_err(failure)?;
        Ok(())
    }

    /// Delivers what is noted down to the other side, which has the flag tables too: the writes of each key in order.
    /// `apply` writes one record in a transaction on the other side; it is not called for what came before.
    ///
    /// Several may replay at once: what one has taken the others leave out. A write that is refused stays, and with it
    /// the later ones of its key.
    ///
    /// # Errors
    /// That of the primary's database. What the other side refuses is counted.
    pub async fn replay<E: TxError + Display>(
        &self,
        primary: &Session,
        other: &Session,
        mut apply: impl AsyncFnMut(&Session, &Taken) -> Result<(), E>,
    ) -> Result<Replayed, Failure> {
        let mut replayed = Replayed::default();
        for _ in 0..REPLAY_ROUNDS_MAX {
            let round = run_tx(primary, "replay outbox", &self.transactions, async |primary: &Session| {
                self.round(primary, other, &mut apply).await
            })
            .await;
            let round = match round {
                TxOutcome::Committed(round) => round,
                // Delivered, but perhaps not removed: they will come a second time and do nothing.
                TxOutcome::RolledBack(failure) | TxOutcome::Unknown(failure) => return Err(failure),
            };
            let more = round.applied + round.repeated > 0;
            replayed.applied += round.applied;
            replayed.repeated += round.repeated;
            replayed.refused += round.refused;
            replayed.last_refusal = round.last_refusal.or(replayed.last_refusal);
            if !more {
                break;
            }
        }
        replayed.left = self.behind(primary).await?.writes;
        Ok(replayed)
    }

    /// Takes the oldest write of each key and delivers it.
    async fn round<E: TxError + Display>(
        &self,
        primary: &Session,
        other: &Session,
        apply: &mut impl AsyncFnMut(&Session, &Taken) -> Result<(), E>,
    ) -> Result<Replayed, Failure> {
        let mut round = Replayed::default();
        let mut delivered = Vec::new();
        for write in outbox::take(primary, &self.set, self.batch, self.pause).await.map_err(failure)? {
            let outcome = run_tx(other, "apply outbox", &self.transactions, async |other: &Session| {
                let is_new =
                    outbox::apply(other, &self.source, &write).await.map_err(failure).map_err(E::from)?;
                if is_new {
                    apply(other, &write).await?;
                }
                Ok::<bool, E>(is_new)
            })
            .await;
            let why = match outcome {
                TxOutcome::Committed(is_new) => {
                    *(if is_new { &mut round.applied } else { &mut round.repeated }) += 1;
                    delivered.push(write.id);
                    continue;
                }
                TxOutcome::RolledBack(error) => error.to_string(),
                TxOutcome::Unknown(failure) => format!("whether it was committed is not known: {failure}"),
            };
            outbox::refused(primary, write.id, &why).await.map_err(failure)?;
            round.refused += 1;
            round.last_refusal = Some(why);
        }
        outbox::done(primary, &delivered).await.map_err(failure)?;
        Ok(round)
    }

    /// How far the other side is behind: its drift.
    ///
    /// # Errors
    /// The server's.
    pub async fn behind(&self, session: &Session) -> Result<Behind, Failure> {
        outbox::behind(session, &self.set).await.map_err(failure)
    }
}
