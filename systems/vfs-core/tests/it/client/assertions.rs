//! Each assertion on what was told fails on a wrong, a missing and a further violation.

use vfs_core::guardrail::{Stage, Violation};
use vfs_core::testing::*;
use vfs_core::write_ids::WriteIdRegression;
use vfs_core::{PushResult, PushStatus, WriteId};

use crate::scene::{client, cursor};

fn fails(assertion: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(assertion).is_err()
}

fn fallen() -> WriteIdRegression {
    let id = |number| WriteId::new(number).unwrap();
    WriteIdRegression { replica_id: client("mobile"), previous: id(5), incoming: id(3) }
}

/// Passes on exactly this violation, fails on none, on another, and on it with one more.
fn tells_apart(right: &Violation, assertion: fn(&[Violation])) {
    let other = if *right == Violation::EmptyPageWithMore {
        Violation::Hydrate { message: "other".to_owned() }
    } else {
        Violation::EmptyPageWithMore
    };
    assertion(std::slice::from_ref(right));
    assert!(fails(|| assertion(&[])), "a missing one: {right:?}");
    assert!(fails(|| assertion(std::slice::from_ref(&other))), "a wrong one: {right:?}");
    assert!(fails(|| assertion(&[right.clone(), right.clone()])), "one twice: {right:?}");
    assert!(fails(|| assertion(&[right.clone(), other.clone()])), "a further one: {right:?}");
}

#[test]
fn each_assertion_wants_its_violation_once_and_no_other() {
    tells_apart(&Violation::EmptyPageWithMore, |told| {
        expect_pull_page_invariant_violation(
            told,
            PageInvariant { has_more: Some(true), items_length: Some(0) },
        );
    });
    tells_apart(&Violation::DuplicateOpReplay { op_id: "x".to_owned() }, |told| {
        expect_pull_duplicate_op_replay_violation(told, "x");
    });
    let (previous, incoming) = (cursor(5, "b"), cursor(4, "a"));
    let places = CursorRegression {
        previous_changed_at: Some("2026-02-14T12:00:00.005Z"),
        previous_change_id: Some("b"),
        incoming_changed_at: Some("2026-02-14T12:00:00.004Z"),
        incoming_change_id: Some("a"),
    };
    let pulled = Violation::PullCursorRegression { previous: previous.clone(), incoming: incoming.clone() };
    tells_apart(&pulled, |told| expect_pull_cursor_regression_violation(told, CursorRegression::default()));
    expect_pull_cursor_regression_violation(std::slice::from_ref(&pulled), places);
    let reconciled = Violation::ReconcileCursorRegression { previous, incoming };
    tells_apart(&reconciled, |told| {
        expect_reconcile_cursor_regression_violation(told, CursorRegression::default());
    });
    expect_reconcile_cursor_regression_violation(std::slice::from_ref(&reconciled), places);
    tells_apart(&Violation::PullWriteIdRegression(fallen()), |told| write_regression(told, Stage::Pull));
    tells_apart(&Violation::ReconcileWriteIdRegression(fallen()), |told| {
        write_regression(told, Stage::Reconcile);
    });
    let stale = PushResult { op_id: "x".to_owned(), status: PushStatus::StaleWriteId };
    tells_apart(&Violation::exhausted(3, 2, &[stale]), |told| {
        expect_stale_write_recovery_exhausted_violation(told, 3, 2);
    });
    tells_apart(&Violation::Hydrate { message: "state is bad".to_owned() }, |told| {
        expect_hydrate_guardrail_violation(told, Some("is bad"));
    });
    tells_apart(&Violation::EmptyPageWithMore, |told| {
        expect_exact_guardrail_signatures(told, &["pull:pullPageInvariantViolation"]);
    });
}

fn write_regression(told: &[Violation], stage: Stage) {
    let expected = WriteRegression {
        stage,
        replica_id: "mobile",
        previous_write_id: Some(5),
        incoming_write_id: Some(3),
    };
    expect_last_write_id_regression_violation(told, expected);
}

#[test]
fn presence_is_a_quick_look() {
    let told = [Violation::EmptyPageWithMore, Violation::Hydrate { message: String::new() }];
    expect_guardrail_signature(&told, "hydrate:hydrateGuardrailViolation");
    assert!(fails(|| expect_guardrail_signature(&[], "hydrate:hydrateGuardrailViolation")));
    assert!(fails(|| expect_guardrail_signature(
        &[Violation::EmptyPageWithMore],
        "hydrate:hydrateGuardrailViolation"
    )));
}

#[test]
fn every_given_detail_is_looked_at() {
    let (previous, incoming) = (cursor(5, "b"), cursor(4, "a"));
    let told = [Violation::PullCursorRegression { previous, incoming }];
    for wrong in [
        CursorRegression { previous_changed_at: Some("x"), ..CursorRegression::default() },
        CursorRegression { previous_change_id: Some("x"), ..CursorRegression::default() },
        CursorRegression { incoming_changed_at: Some("x"), ..CursorRegression::default() },
        CursorRegression { incoming_change_id: Some("x"), ..CursorRegression::default() },
    ] {
        let told = told.clone();
        assert!(fails(move || expect_pull_cursor_regression_violation(&told, wrong)));
    }
    let empty = [Violation::EmptyPageWithMore];
    for wrong in [
        PageInvariant { has_more: Some(false), items_length: None },
        PageInvariant { has_more: None, items_length: Some(1) },
    ] {
        let empty = empty.clone();
        assert!(fails(move || expect_pull_page_invariant_violation(&empty, wrong)));
    }
    let fallen = [Violation::PullWriteIdRegression(fallen())];
    let right = WriteRegression {
        stage: Stage::Pull,
        replica_id: "mobile",
        previous_write_id: None,
        incoming_write_id: None,
    };
    expect_last_write_id_regression_violation(&fallen, right);
    for wrong in [
        WriteRegression { stage: Stage::Reconcile, ..right },
        WriteRegression { replica_id: "desktop", ..right },
        WriteRegression { previous_write_id: Some(4), ..right },
        WriteRegression { incoming_write_id: Some(4), ..right },
    ] {
        let fallen = fallen.clone();
        assert!(fails(move || expect_last_write_id_regression_violation(&fallen, wrong)));
    }
    let exhausted = [Violation::exhausted(3, 2, &[])];
    for (attempts, most) in [(2, 2), (3, 3)] {
        let exhausted = exhausted.clone();
        assert!(fails(move || expect_stale_write_recovery_exhausted_violation(&exhausted, attempts, most)));
    }
    let hydrate = [Violation::Hydrate { message: "a".to_owned() }];
    expect_hydrate_guardrail_violation(&hydrate, None);
    assert!(fails(move || expect_hydrate_guardrail_violation(&hydrate, Some("b"))));
    let other = [Violation::DuplicateOpReplay { op_id: "x".to_owned() }];
    assert!(fails(move || expect_pull_duplicate_op_replay_violation(&other, "y")));
    let two = [Violation::EmptyPageWithMore, Violation::Hydrate { message: String::new() }];
    let order = ["hydrate:hydrateGuardrailViolation", "pull:pullPageInvariantViolation"];
    assert!(fails(move || expect_exact_guardrail_signatures(&two, &order)));
}
