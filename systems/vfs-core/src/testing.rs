//! Assertions on what a client told of broken guardrails, for the tests of whoever runs one.
//!
//! Each looks at everything that was told: a wrong, a missing and a further violation fail it. A field that is `None`
//! is not looked at.

use crate::guardrail::{Stage, Violation};

/// What was told, as text for a failure.
fn told(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations
        .iter()
        .map(|violation| {
            format!("  {} {} {:?}", violation.signature(), violation.message(), violation.details())
        })
        .collect();
    if lines.is_empty() { "  nothing".to_owned() } else { lines.join("\n") }
}

/// The only violation that was told.
#[track_caller]
fn only<'a>(violations: &'a [Violation], signature: &str) -> &'a Violation {
    match violations {
        [violation] if violation.signature() == signature => violation,
        _ => fail(&format!("{signature}, once"), violations),
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "an assertion fails by a panic")]
fn fail(expected: &str, violations: &[Violation]) -> ! {
    panic!("expected {expected}; told was:\n{}", told(violations));
}

#[track_caller]
fn detail<T: serde::Serialize>(violation: &Violation, name: &str, expected: Option<T>) {
    let Some(expected) = expected else { return };
    let expected = serde_json::to_value(expected).unwrap_or_default();
    let got = violation.details().and_then(|details| details.get(name).cloned());
    if got.as_ref() != Some(&expected) {
        fail(&format!("{name} to be {expected}"), std::slice::from_ref(violation));
    }
}

/// Which page broke its invariant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageInvariant {
    /// Of an empty page: whether it says that there is more.
    pub has_more: Option<bool>,
    /// Of an empty page: its items.
    pub items_length: Option<usize>,
}

/// `pull:pullPageInvariantViolation`, once.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_pull_page_invariant_violation(violations: &[Violation], expected: PageInvariant) {
    let violation = only(violations, "pull:pullPageInvariantViolation");
    detail(violation, "hasMore", expected.has_more);
    detail(violation, "itemsLength", expected.items_length);
}

/// `pull:pullDuplicateOpReplay` of an operation, once.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_pull_duplicate_op_replay_violation(violations: &[Violation], op_id: &str) {
    detail(only(violations, "pull:pullDuplicateOpReplay"), "opId", Some(op_id));
}

/// From where to where a cursor went back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CursorRegression<'a> {
    /// The time of the own cursor.
    pub previous_changed_at: Option<&'a str>,
    /// The change of the own cursor.
    pub previous_change_id: Option<&'a str>,
    /// The time of the cursor that came.
    pub incoming_changed_at: Option<&'a str>,
    /// The change of the cursor that came.
    pub incoming_change_id: Option<&'a str>,
}

#[track_caller]
fn cursors(violation: &Violation, expected: CursorRegression<'_>) {
    detail(violation, "previousChangedAt", expected.previous_changed_at);
    detail(violation, "previousChangeId", expected.previous_change_id);
    detail(violation, "incomingChangedAt", expected.incoming_changed_at);
    detail(violation, "incomingChangeId", expected.incoming_change_id);
}

/// `pull:pullCursorRegression`, once.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_pull_cursor_regression_violation(violations: &[Violation], expected: CursorRegression<'_>) {
    cursors(only(violations, "pull:pullCursorRegression"), expected);
}

/// `reconcile:reconcileCursorRegression`, once.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_reconcile_cursor_regression_violation(
    violations: &[Violation],
    expected: CursorRegression<'_>,
) {
    cursors(only(violations, "reconcile:reconcileCursorRegression"), expected);
}

/// Whose last known write fell, during what, from and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRegression<'a> {
    /// During what: a pull or a reconcile.
    pub stage: Stage,
    /// Whose.
    pub replica_id: &'a str,
    /// What was known.
    pub previous_write_id: Option<u64>,
    /// What came.
    pub incoming_write_id: Option<u64>,
}

/// `pull:lastWriteIdRegression` or `reconcile:lastWriteIdRegression`, once.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_last_write_id_regression_violation(violations: &[Violation], expected: WriteRegression<'_>) {
    let violation = only(violations, &format!("{}:lastWriteIdRegression", expected.stage));
    detail(violation, "replicaId", Some(expected.replica_id));
    detail(violation, "previousWriteId", expected.previous_write_id);
    detail(violation, "incomingWriteId", expected.incoming_write_id);
}

/// `flush:staleWriteRecoveryExhausted` after so many attempts, once.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_stale_write_recovery_exhausted_violation(
    violations: &[Violation],
    attempts: u32,
    max_attempts: u32,
) {
    let violation = only(violations, "flush:staleWriteRecoveryExhausted");
    detail(violation, "attempts", Some(attempts));
    detail(violation, "maxAttempts", Some(max_attempts));
}

/// `hydrate:hydrateGuardrailViolation`, once, whose message contains a text, where one is given.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_hydrate_guardrail_violation(violations: &[Violation], message: Option<&str>) {
    let violation = only(violations, "hydrate:hydrateGuardrailViolation");
    if let Some(message) = message.filter(|message| !violation.message().contains(message)) {
        fail(&format!("a message with {message:?}"), violations);
    }
}

/// A signature among those that were told, as often as it may be: a quick look for presence.
///
/// # Panics
/// Where it is not there.
#[track_caller]
pub fn expect_guardrail_signature(violations: &[Violation], signature: &str) {
    if !violations.iter().any(|violation| violation.signature() == signature) {
        fail(signature, violations);
    }
}

/// These signatures in this order, and no other.
///
/// # Panics
/// Where it is not so.
#[track_caller]
pub fn expect_exact_guardrail_signatures(violations: &[Violation], signatures: &[&str]) {
    let got: Vec<String> = violations.iter().map(Violation::signature).collect();
    if got != signatures {
        fail(&format!("exactly {signatures:?}"), violations);
    }
}
