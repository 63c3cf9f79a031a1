//! What can happen to a run. The journal is a list of these; state is their fold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_runbook::Name;
use uuid::Uuid;

use crate::digest::Digest;
use crate::outcome::Outcome;

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Gapless from 1 in commit order.
    pub seq: u64,
    /// The run it belongs to.
    pub run: Uuid,
    /// The lease's epoch under which it was written.
    pub epoch: u64,
    /// When, by the runner's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Who did something, as far as can be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name that was claimed with `--actor`.
    pub actor: String,
    /// The user of the operating system.
    pub os_user: String,
    /// The host.
    pub host: String,
    /// The role that the database saw.
    pub db_role: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The first event of every run.
    RunStarted {
        /// `@runbook` id.
        runbook: Name,
        /// The page's title.
        title: String,
        /// Digest of the stored sources.
        plan: Digest,
        /// Digest of the plan's meaning.
        meaning: Digest,
        /// Who started it.
        by: Person,
        /// Parameters in canonical text; a secret is written `‹secret›`.
        parameters: BTreeMap<String, String>,
        /// Database and server the run is bound to.
        bound_to: Binding,
        /// Version of the program.
        program: String,
        /// Digest of the evidence bundle that `needs_run` asked for.
        needs_run: Option<Digest>,
    },
    /// A runner took up a run that is not final.
    Resumed {
        /// Who.
        by: Person,
        /// Backends of the holder before that were ended.
        ended_backends: u64,
    },
    /// The intent: from here on the step may have an effect.
    StepStarted {
        /// Which step.
        step: Name,
        /// 1 for the first.
        attempt: u32,
    },
    /// The step's effect stands.
    StepDone {
        /// Which step.
        step: Name,
        /// Which attempt.
        attempt: u32,
        /// What it did and kept.
        outcome: Outcome,
    },
    /// A flag set was moved. Its step is done when every instance has seen it.
    FlagsMoved {
        /// The step.
        step: Name,
        /// The set.
        set: Name,
        /// The row before.
        from: String,
        /// The row that rules now.
        to: String,
        /// Its epoch.
        epoch: u64,
        /// Writes are mirrored in it.
        mirrors: bool,
    },
    /// A knob of a step was turned while it was at work.
    KnobTurned {
        /// The step.
        step: Name,
        /// The knob.
        knob: String,
        /// What it was turned to.
        value: String,
        /// Who.
        by: Person,
    },
    /// The step had no effect, or an effect that its next attempt takes into account.
    StepFailed {
        /// Which step.
        step: Name,
        /// Which attempt.
        attempt: u32,
        /// Fail, or unknown.
        unknown: bool,
        /// What was found.
        message: String,
        /// SQLSTATE, if a server said one.
        sqlstate: Option<String>,
    },
    /// A read-only step was evaluated again because another step relies on it.
    Rechecked {
        /// Which step.
        step: Name,
        /// Whether it holds.
        holds: bool,
        /// What was found.
        message: String,
    },
    /// A session of another was ended by an `evict` step.
    SessionEnded {
        /// Which step.
        step: Name,
        /// The backend.
        pid: i32,
        /// Its role.
        role: String,
        /// Its application name.
        application: String,
        /// Its state.
        state: String,
    },
    /// The run stopped, fail-closed.
    Halted {
        /// The step it stopped at.
        step: Option<Name>,
        /// Why.
        reason: HaltReason,
        /// The sentence for a person.
        message: String,
    },
    /// The run waits for a person or a time.
    Waiting {
        /// For what.
        on: WaitingOn,
    },
    /// A person approved a confirm.
    Approved {
        /// Which confirm.
        step: Name,
        /// Who.
        by: Person,
        /// The journal's head that the person was shown.
        head: Digest,
    },
    /// Part of a stage's hold was served under watch.
    HoldServed {
        /// Which stage.
        stage: Name,
        /// Seconds served since the last such event.
        seconds: u64,
        /// Nothing is left to serve.
        complete: bool,
    },
    /// A watch began to look.
    WatchOpened {
        /// Which watch.
        step: Name,
    },
    /// A watch failed as often as `@trips-after` allows.
    WatchTripped {
        /// Which watch.
        step: Name,
        /// What it saw.
        message: String,
        /// `halt`, `rollback` or `notify`.
        action: String,
    },
    /// A watch reached its `@until`.
    WatchClosed {
        /// Which watch.
        step: Name,
        /// Looks that were judged.
        looks: u64,
        /// The longest time between two looks, in milliseconds.
        longest_gap_ms: u64,
    },
    /// The way back began.
    RollbackStarted {
        /// By undo to a stage, or along a written way.
        back: Back,
        /// What will be undone, in order.
        order: Vec<Name>,
        /// The loss statement that was accepted.
        loss: Vec<LossLine>,
        /// Who.
        by: Person,
    },
    /// A step's effect was taken back.
    StepUndone {
        /// Which step.
        step: Name,
        /// What was lost, exactly, under the lock.
        loss: Vec<LossLine>,
    },
    /// The way back ended; the run is halted at that stage, or rolled back if that is the start.
    RollbackEnded {
        /// The stage whose state holds now; `None` is the start.
        at: Option<Name>,
        /// Steps after that stage: their results count no longer.
        forgotten: Vec<Name>,
    },
    /// A request of another process was taken up.
    RequestTaken {
        /// Its number.
        request: i64,
        /// What it was.
        what: String,
        /// Whether it could be followed, and if not, why.
        refused: Option<String>,
    },
    /// The page changed without changing the meaning of a started step, and was taken over.
    Amended {
        /// Digest of the stored sources.
        plan: Digest,
        /// Digest of the plan's meaning.
        meaning: Digest,
        /// Steps that were added, changed or removed.
        changed: Vec<Name>,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// A differing checksum or catalog was accepted.
    DriftAccepted {
        /// What differs.
        subject: String,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// What existed was found to be what the step makes, and counts as its effect.
    Adopted {
        /// Which step.
        step: Name,
        /// What was compared and kept.
        outcome: Outcome,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// All stages are complete.
    Finished {},
    /// The run was given up where it stood.
    Abandoned {
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
}

/// What a run is bound to, so that a resume in another place is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Database name.
    pub database: String,
    /// `system_identifier` of the cluster, if it may be read.
    pub system_identifier: Option<u64>,
}

/// How a run goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Back {
    /// By undoing steps, newest first, to the state after this stage; `None` is the start.
    Undo {
        /// The stage; `None` is the start.
        to: Option<Name>,
    },
    /// Along a written way.
    Way {
        /// Its name.
        way: Name,
        /// The stage whose state it leads to; `None` is the start.
        to: Option<Name>,
    },
}

impl Back {
    /// The stage whose state it leads to; `None` is the start.
    #[must_use]
    pub fn destination(&self) -> Option<&Name> {
        match self {
            Self::Undo { to } | Self::Way { to, .. } => to.as_ref(),
        }
    }
}

/// One line of a loss statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossLine {
    /// The step that would be undone.
    pub step: Name,
    /// The qualified table.
    pub table: String,
    /// Rows written since by others; all are lost.
    pub rows: u64,
    /// The newest of them, in the server's text, where the table tells. Of keys: the first of them, by name.
    pub newest: Option<String>,
}

impl LossLine {
    /// What stands before the names of keys.
    pub(crate) const FIRST_KEYS: &str = "first keys: ";

    /// The first keys that would be lost, where it is about keys.
    #[must_use]
    pub fn first_keys(&self) -> Option<&str> {
        self.newest.as_deref()?.strip_prefix(Self::FIRST_KEYS)
    }
}

/// Why a run halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// A check or an expectation did not hold.
    Fail,
    /// A verdict could not be had.
    Unknown,
    /// A step's own work failed.
    Error,
    /// A watch tripped.
    Watch,
    /// A person asked for it.
    Stopped,
    /// A way back ended short of the start.
    WentBack,
    /// The store could not be asked.
    Lost,
}

/// What a waiting run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum WaitingOn {
    /// A person's approval.
    Confirm {
        /// The confirm step.
        step: Name,
    },
    /// The rest of a hold.
    Hold {
        /// The stage.
        stage: Name,
        /// Not before this time.
        until: Timestamp,
    },
    /// A `resume` after a `pause`.
    Pause {},
}
