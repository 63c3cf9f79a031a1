//! Faults that are planted on purpose, to prove that tests find them. What ships has none: this is compiled only with
//! the feature `testing`.

/// One planted fault of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// `pull:pullPageInvariantViolation` is not looked for: an empty page may say that there is more.
    EmptyPageBelieved,
    /// `pull:pullPageInvariantViolation` is not looked for: a next cursor need not be the page's tail.
    NextCursorBelieved,
    /// `pull:pullDuplicateOpReplay` is not looked for.
    DuplicatesBelieved,
    /// `pull:pullCursorRegression` is not looked for.
    CursorRegressionBelieved,
    /// `pull:lastWriteIdRegression` is not looked for.
    PulledWriteIdsBelieved,
    /// `reconcile:reconcileCursorRegression` is not looked for.
    AcknowledgedCursorBelieved,
    /// `reconcile:lastWriteIdRegression` is not looked for.
    AcknowledgedWriteIdsBelieved,
    /// `flush:staleWriteRecoveryExhausted` comes one attempt late.
    OneMoreRecovery,
    /// `hydrate:hydrateGuardrailViolation` is thrown after the state was taken up.
    HydratedBeforeValidation,
    /// A page is applied before it is checked.
    PageAppliedBeforeValidation,
    /// Stale writes are pushed again without new numbers.
    NoRebase,
    /// A violation is told twice.
    ToldTwice,
    /// A violation is thrown without being told.
    NotTold,
    /// Operations leave the queue when they are sent.
    SettledWhenSent,
    /// Operations leave the queue when their push fails.
    SettledOnFailure,
    /// The acknowledged cursor becomes the own one.
    AcknowledgementMovesCursor,
    /// Stale operations leave the queue.
    StaleIsSettled,
    /// Invalid operations stay in the queue.
    InvalidStays,
    /// What was pulled is not kept before more is asked for.
    NotPersisted,
    /// The queue is dropped where the state is taken anew.
    QueueDropped,
    /// A reply to an older request is taken.
    LateReplyTaken,
    /// Clocks of containers are not moved.
    ClocksStand,
    /// Numbers of writes begin anew after a restart.
    NumbersForgotten,
    /// The last page's cursor is not remembered.
    LastCursorForgotten,
    /// A server in another epoch is believed.
    EpochBelieved,
    /// Times are lifted, and kept, when a push is tried.
    LiftedOnFailure,
    /// A state to start over from is believed though it leads back.
    SnapshotBelieved,
    /// Positions that were read may be given anew.
    SetBackBelieved,
}

impl Mutation {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::EmptyPageBelieved,
        Self::NextCursorBelieved,
        Self::DuplicatesBelieved,
        Self::CursorRegressionBelieved,
        Self::PulledWriteIdsBelieved,
        Self::AcknowledgedCursorBelieved,
        Self::AcknowledgedWriteIdsBelieved,
        Self::OneMoreRecovery,
        Self::HydratedBeforeValidation,
        Self::PageAppliedBeforeValidation,
        Self::NoRebase,
        Self::ToldTwice,
        Self::NotTold,
        Self::SettledWhenSent,
        Self::SettledOnFailure,
        Self::AcknowledgementMovesCursor,
        Self::StaleIsSettled,
        Self::InvalidStays,
        Self::NotPersisted,
        Self::QueueDropped,
        Self::LateReplyTaken,
        Self::ClocksStand,
        Self::NumbersForgotten,
        Self::LastCursorForgotten,
        Self::EpochBelieved,
        Self::LiftedOnFailure,
        Self::SnapshotBelieved,
        Self::SetBackBelieved,
    ];
}
