//! Guardrails: what a client refuses to believe, how it is counted, and what is thrown.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::cursor::Cursor;
use crate::operation::word;
use crate::push::{PushResult, PushStatus};
use crate::write_ids::WriteIdRegression;

word! {
    /// During what it happened.
    Stage {
        /// Sending operations.
        Flush = "flush",
        /// Taking up an exported state.
        Hydrate = "hydrate",
        /// Reading a page of the feed.
        Pull = "pull",
        /// Telling the server how far it has come.
        Reconcile = "reconcile",
    }
}

word! {
    /// What happened.
    Code {
        /// An exported state cannot be taken up.
        HydrateGuardrailViolation = "hydrateGuardrailViolation",
        /// A replica's last known write fell.
        LastWriteIdRegression = "lastWriteIdRegression",
        /// The cursor after a page is before that ahead of it.
        PullCursorRegression = "pullCursorRegression",
        /// One operation came twice.
        PullDuplicateOpReplay = "pullDuplicateOpReplay",
        /// A page contradicts itself.
        PullPageInvariantViolation = "pullPageInvariantViolation",
        /// The acknowledged cursor is before the own one.
        ReconcileCursorRegression = "reconcileCursorRegression",
        /// Operations stay stale however often they are renumbered.
        StaleWriteRecoveryExhausted = "staleWriteRecoveryExhausted",
    }
}

/// A broken guardrail. As an error it reads as what is thrown; [`Violation::message`] is what is told to an observer.
///
/// It is told exactly once, before it is thrown, and nothing of what broke it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An empty page that says there is more.
    EmptyPageWithMore,
    /// A next cursor that is not the place of the last item.
    NextCursorMismatch {
        /// What the page says.
        next: Cursor,
        /// Where its last item stands.
        tail: Cursor,
    },
    /// An operation that came before in the same cycle.
    DuplicateOpReplay {
        /// Its id.
        op_id: String,
    },
    /// A page that leads back.
    PullCursorRegression {
        /// The cursor ahead of the page.
        previous: Cursor,
        /// The cursor after it.
        incoming: Cursor,
    },
    /// A page that knows less of a replica's writes.
    PullWriteIdRegression(WriteIdRegression),
    /// An acknowledgement that leads back.
    ReconcileCursorRegression {
        /// The own cursor.
        previous: Cursor,
        /// The acknowledged one.
        incoming: Cursor,
    },
    /// An acknowledgement that knows less of a replica's writes.
    ReconcileWriteIdRegression(WriteIdRegression),
    /// Renumbering did not help.
    StaleWriteRecoveryExhausted {
        /// How often the server said that writes are stale, in a row.
        attempts: u32,
        /// How often it may.
        max_attempts: u32,
        /// The answers of the last push that said so.
        stale: Vec<PushResult>,
    },
    /// A state that cannot be taken up.
    Hydrate {
        /// Why.
        message: String,
    },
}

/// What an observer is told of a guardrail, as the cause of what is thrown.
#[derive(Debug)]
struct Sentence(&'static str);

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Sentence {}

static EXHAUSTED: Sentence =
    Sentence("stale write-id recovery exceeded max retry attempts without forward progress");

/// Whether a text is the signature of a guardrail.
#[must_use]
pub fn is_signature(text: &str) -> bool {
    let Some((stage, code)) = text.split_once(':') else { return false };
    let (Some(stage), Some(code)) = (Stage::parse(stage), Code::parse(code)) else { return false };
    match code {
        Code::HydrateGuardrailViolation => stage == Stage::Hydrate,
        Code::LastWriteIdRegression => matches!(stage, Stage::Pull | Stage::Reconcile),
        Code::PullCursorRegression | Code::PullDuplicateOpReplay | Code::PullPageInvariantViolation => {
            stage == Stage::Pull
        }
        Code::ReconcileCursorRegression => stage == Stage::Reconcile,
        Code::StaleWriteRecoveryExhausted => stage == Stage::Flush,
    }
}

impl Violation {
    /// The exhausted recovery from stale writes, with the stale ones of the last answers.
    #[must_use]
    pub fn exhausted(attempts: u32, max_attempts: u32, results: &[PushResult]) -> Self {
        let stale = results.iter().filter(|result| result.status == PushStatus::StaleWriteId).cloned();
        Self::StaleWriteRecoveryExhausted { attempts, max_attempts, stale: stale.collect() }
    }

    /// During what.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::EmptyPageWithMore
            | Self::NextCursorMismatch { .. }
            | Self::DuplicateOpReplay { .. }
            | Self::PullCursorRegression { .. }
            | Self::PullWriteIdRegression(_) => Stage::Pull,
            Self::ReconcileCursorRegression { .. } | Self::ReconcileWriteIdRegression(_) => Stage::Reconcile,
            Self::StaleWriteRecoveryExhausted { .. } => Stage::Flush,
            Self::Hydrate { .. } => Stage::Hydrate,
        }
    }

    /// What.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::EmptyPageWithMore | Self::NextCursorMismatch { .. } => Code::PullPageInvariantViolation,
            Self::DuplicateOpReplay { .. } => Code::PullDuplicateOpReplay,
            Self::PullCursorRegression { .. } => Code::PullCursorRegression,
            Self::PullWriteIdRegression(_) | Self::ReconcileWriteIdRegression(_) => {
                Code::LastWriteIdRegression
            }
            Self::ReconcileCursorRegression { .. } => Code::ReconcileCursorRegression,
            Self::StaleWriteRecoveryExhausted { .. } => Code::StaleWriteRecoveryExhausted,
            Self::Hydrate { .. } => Code::HydrateGuardrailViolation,
        }
    }

    /// `stage:code`, by which it is counted.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("{}:{}", self.stage(), self.code())
    }

    /// What an observer is told.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::EmptyPageWithMore => "pull response hasMore=true with an empty page",
            Self::NextCursorMismatch { .. } => "pull response nextCursor does not match page tail cursor",
            Self::DuplicateOpReplay { .. } => {
                "pull response replayed an opId within one pull-until-settled cycle"
            }
            Self::PullCursorRegression { .. } => "pull response regressed local sync cursor",
            Self::PullWriteIdRegression(_) => "pull response regressed replica write-id state",
            Self::ReconcileCursorRegression { .. } => "reconcile acknowledgement regressed sync cursor",
            Self::ReconcileWriteIdRegression(_) => {
                "reconcile acknowledgement regressed replica write-id state"
            }
            Self::StaleWriteRecoveryExhausted { .. } => EXHAUSTED.0,
            Self::Hydrate { message } => message,
        }
    }

    /// What it is about, by name; `None` for a state that cannot be taken up. `staleResults` is their number.
    #[must_use]
    pub fn details(&self) -> Option<Map<String, Value>> {
        let details = match self {
            Self::EmptyPageWithMore => json!({ "hasMore": true, "itemsLength": 0 }),
            Self::NextCursorMismatch { next, tail } => json!({
                "nextCursorChangedAt": next.changed_at,
                "nextCursorChangeId": next.change_id,
                "pageCursorChangedAt": tail.changed_at,
                "pageCursorChangeId": tail.change_id,
            }),
            Self::DuplicateOpReplay { op_id } => json!({ "opId": op_id }),
            Self::PullCursorRegression { previous, incoming }
            | Self::ReconcileCursorRegression { previous, incoming } => json!({
                "previousChangedAt": previous.changed_at,
                "previousChangeId": previous.change_id,
                "incomingChangedAt": incoming.changed_at,
                "incomingChangeId": incoming.change_id,
            }),
            Self::PullWriteIdRegression(fallen) | Self::ReconcileWriteIdRegression(fallen) => json!({
                "replicaId": fallen.replica_id,
                "previousWriteId": fallen.previous,
                "incomingWriteId": fallen.incoming,
            }),
            Self::StaleWriteRecoveryExhausted { attempts, max_attempts, stale } => json!({
                "attempts": attempts,
                "maxAttempts": max_attempts,
                "staleResults": stale.len(),
            }),
            Self::Hydrate { .. } => return None,
        };
        match details {
            Value::Object(details) => Some(details),
            _ => None,
        }
    }

    /// What whoever sees it should do.
    #[must_use]
    pub const fn next_action(&self) -> &'static str {
        match self {
            Self::EmptyPageWithMore | Self::NextCursorMismatch { .. } | Self::DuplicateOpReplay { .. } => {
                "export the state, retry once, and compare the two exports; if it persists, the server's feed is \
                 wrong: report the page"
            }
            Self::PullCursorRegression { .. } | Self::ReconcileCursorRegression { .. } => {
                "compare the cursor with the server's; if the server was restored, re-materialize; else hydrate the \
                 last known-good export and sync again"
            }
            Self::PullWriteIdRegression(_) | Self::ReconcileWriteIdRegression(_) => {
                "compare lastReconciledWriteIds with the server's; if the server was restored, re-materialize; else \
                 report the replica"
            }
            Self::StaleWriteRecoveryExhausted { .. } => {
                "look for another client with the same id; nothing is lost: the operations are still queued"
            }
            Self::Hydrate { .. } => {
                "correct the exported state, or take an older export, and hydrate the same client again"
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPageWithMore => f.write_str("transport returned hasMore=true with an empty pull page"),
            Self::NextCursorMismatch { .. } => {
                f.write_str("transport returned nextCursor that does not match pull page tail")
            }
            Self::DuplicateOpReplay { op_id } => {
                write!(f, "transport replayed opId {op_id} during pull pagination")
            }
            Self::PullCursorRegression { .. } => f.write_str("transport returned regressing sync cursor"),
            Self::ReconcileCursorRegression { .. } => {
                f.write_str("transport reconcile regressed sync cursor")
            }
            Self::PullWriteIdRegression(fallen) | Self::ReconcileWriteIdRegression(fallen) => {
                write!(f, "transport regressed lastReconciledWriteIds for replica {}", fallen.replica_id)
            }
            Self::StaleWriteRecoveryExhausted { .. } => f.write_str("push rejected one or more operations"),
            Self::Hydrate { message } => f.write_str(message),
        }
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::StaleWriteRecoveryExhausted { .. } => Some(&EXHAUSTED),
            _ => None,
        }
    }
}
