//! What an operation came to: done, or refused for one of a few reasons.

use serde_json::{Map, Value};

use crate::bounds::TOTAL_MAX_MICRO;

/// Why an operation was not done. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The amount is no whole number of micro-dollars from 1 to [`AMOUNT_MAX_MICRO`](crate::bounds::AMOUNT_MAX_MICRO).
    InvalidAmount,
    /// A lot would be over before it begins.
    AlreadyExpired,
    /// There is not so much to be spent.
    BudgetExceeded,
    /// Another request was done under this key.
    IdempotencyConflict,
    /// The payment has its lot already.
    AlreadyMinted,
    /// There is no debit of this key.
    UnknownDebit,
    /// More would come back than was debited.
    CreditBackExceedsDebit,
    /// There is no such reservation.
    UnknownReservation,
    /// The reservation is finalized, released or expired.
    InvalidState,
    /// A later fence is known.
    StaleFence,
    /// The tenant's breaker is open.
    CircuitOpen,
    /// The tenant would have been given more in all, or more been debited of one lot, than [`TOTAL_MAX_MICRO`].
    LimitExceeded,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 12] = [
        Reason::InvalidAmount,
        Reason::AlreadyExpired,
        Reason::BudgetExceeded,
        Reason::IdempotencyConflict,
        Reason::AlreadyMinted,
        Reason::UnknownDebit,
        Reason::CreditBackExceedsDebit,
        Reason::UnknownReservation,
        Reason::InvalidState,
        Reason::StaleFence,
        Reason::CircuitOpen,
        Reason::LimitExceeded,
    ];

    /// Its word, in the database as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::InvalidAmount => "INVALID_AMOUNT",
            Reason::AlreadyExpired => "ALREADY_EXPIRED",
            Reason::BudgetExceeded => "BUDGET_EXCEEDED",
            Reason::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            Reason::AlreadyMinted => "ALREADY_MINTED",
            Reason::UnknownDebit => "UNKNOWN_DEBIT",
            Reason::CreditBackExceedsDebit => "CREDIT_BACK_EXCEEDS_DEBIT",
            Reason::UnknownReservation => "UNKNOWN_RESERVATION",
            Reason::InvalidState => "INVALID_STATE",
            Reason::StaleFence => "STALE_FENCE",
            Reason::CircuitOpen => "CIRCUIT_OPEN",
            Reason::LimitExceeded => "LIMIT_EXCEEDED",
        }
    }

    /// The status of the answer over HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Reason::InvalidAmount | Reason::AlreadyExpired => 400,
            Reason::BudgetExceeded => 402,
            Reason::UnknownDebit | Reason::UnknownReservation => 404,
            Reason::IdempotencyConflict
            | Reason::AlreadyMinted
            | Reason::CreditBackExceedsDebit
            | Reason::InvalidState
            | Reason::StaleFence
            | Reason::LimitExceeded => 409,
            Reason::CircuitOpen => 503,
        }
    }
}

/// What an operation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; with what there is to say of it.
    Done(Value),
    /// It was not; with what there is to say of that.
    Refused(Reason, Map<String, Value>),
}

impl Outcome {
    /// Reads what a function of the database answered; `None`: it is no such answer.
    #[must_use]
    pub fn read(answer: Value) -> Option<Outcome> {
        let Value::Object(mut fields) = answer else { return None };
        match fields.remove("reason") {
            None => Some(Outcome::Done(Value::Object(fields))),
            Some(Value::String(word)) => {
                let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word)?;
                Some(Outcome::Refused(reason, fields))
            }
            Some(_) => None,
        }
    }

    /// The refusal of what would lead beyond [`TOTAL_MAX_MICRO`].
    #[must_use]
    pub fn beyond() -> Outcome {
        let more = Map::from_iter([("limitMicro".to_owned(), TOTAL_MAX_MICRO.into())]);
        Outcome::Refused(Reason::LimitExceeded, more)
    }

    /// What was done; `None`: it was refused.
    #[must_use]
    pub fn done(self) -> Option<Value> {
        match self {
            Outcome::Done(value) => Some(value),
            Outcome::Refused(..) => None,
        }
    }

    /// Why it was refused; `None`: it was done.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Outcome::Done(_) => None,
            Outcome::Refused(reason, _) => Some(*reason),
        }
    }
}
