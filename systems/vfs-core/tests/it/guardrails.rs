//! Every guardrail, letter by letter.

use std::error::Error;

use serde_json::{Value, json};
use vfs_core::guardrail::{Code, Stage, Violation};
use vfs_core::write_ids::WriteIdRegression;
use vfs_core::{PushResult, PushStatus, WriteId};

use crate::scene::{client, cursor};

fn fallen() -> WriteIdRegression {
    let id = |number| WriteId::new(number).expect("a write id");
    WriteIdRegression { replica_id: client("desktop"), previous: id(5), incoming: id(3) }
}

fn result(op_id: &str, status: PushStatus) -> PushResult {
    PushResult { op_id: op_id.to_owned(), status }
}

/// Violation, signature, message, details, what is thrown.
fn table() -> Vec<(Violation, &'static str, &'static str, Value, &'static str)> {
    let (previous, incoming) = (cursor(2, "b"), cursor(1, "a"));
    let places = json!({
        "previousChangedAt": "2026-02-14T12:00:00.002Z", "previousChangeId": "b",
        "incomingChangedAt": "2026-02-14T12:00:00.001Z", "incomingChangeId": "a",
    });
    let writes = json!({ "replicaId": "desktop", "previousWriteId": 5, "incomingWriteId": 3 });
    let results = [
        result("x", PushStatus::StaleWriteId),
        result("y", PushStatus::Applied),
        result("z", PushStatus::StaleWriteId),
    ];
    vec![
        (
            Violation::EmptyPageWithMore,
            "pull:pullPageInvariantViolation",
            "pull response hasMore=true with an empty page",
            json!({ "hasMore": true, "itemsLength": 0 }),
            "transport returned hasMore=true with an empty pull page",
        ),
        (
            Violation::NextCursorMismatch { next: previous.clone(), tail: incoming.clone() },
            "pull:pullPageInvariantViolation",
            "pull response nextCursor does not match page tail cursor",
            json!({
                "nextCursorChangedAt": "2026-02-14T12:00:00.002Z", "nextCursorChangeId": "b",
                "pageCursorChangedAt": "2026-02-14T12:00:00.001Z", "pageCursorChangeId": "a",
            }),
            "transport returned nextCursor that does not match pull page tail",
        ),
        (
            Violation::DuplicateOpReplay { op_id: "X".to_owned() },
            "pull:pullDuplicateOpReplay",
            "pull response replayed an opId within one pull-until-settled cycle",
            json!({ "opId": "X" }),
            "transport replayed opId X during pull pagination",
        ),
        (
            Violation::PullCursorRegression { previous: previous.clone(), incoming: incoming.clone() },
            "pull:pullCursorRegression",
            "pull response regressed local sync cursor",
            places.clone(),
            "transport returned regressing sync cursor",
        ),
        (
            Violation::PullWriteIdRegression(fallen()),
            "pull:lastWriteIdRegression",
            "pull response regressed replica write-id state",
            writes.clone(),
            "transport regressed lastReconciledWriteIds for replica desktop",
        ),
        (
            Violation::ReconcileCursorRegression { previous, incoming },
            "reconcile:reconcileCursorRegression",
            "reconcile acknowledgement regressed sync cursor",
            places,
            "transport reconcile regressed sync cursor",
        ),
        (
            Violation::ReconcileWriteIdRegression(fallen()),
            "reconcile:lastWriteIdRegression",
            "reconcile acknowledgement regressed replica write-id state",
            writes,
            "transport regressed lastReconciledWriteIds for replica desktop",
        ),
        (
            Violation::exhausted(3, 2, &results),
            "flush:staleWriteRecoveryExhausted",
            "stale write-id recovery exceeded max retry attempts without forward progress",
            json!({ "attempts": 3, "maxAttempts": 2, "staleResults": 2 }),
            "push rejected one or more operations",
        ),
        (
            Violation::Hydrate { message: "state.pendingOperations must be an array".to_owned() },
            "hydrate:hydrateGuardrailViolation",
            "state.pendingOperations must be an array",
            Value::Null,
            "state.pendingOperations must be an array",
        ),
    ]
}

#[test]
fn every_guardrail_has_its_signature_message_details_and_thrown_text() {
    for (violation, signature, message, details, thrown) in table() {
        assert_eq!(violation.signature(), signature);
        assert_eq!(violation.message(), message, "{signature}");
        let got = violation.details().map_or(Value::Null, Value::Object);
        assert_eq!(
            serde_json::to_string(&got).unwrap(),
            serde_json::to_string(&details).unwrap(),
            "{signature}"
        );
        assert_eq!(violation.to_string(), thrown, "{signature}");
        assert!(!violation.next_action().is_empty(), "{signature}");
    }
}

#[test]
fn there_are_eight_signatures_and_every_stage_and_code_has_one() {
    let mut signatures: Vec<String> = table().iter().map(|(violation, ..)| violation.signature()).collect();
    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), 8);
    for stage in Stage::ALL {
        assert!(signatures.iter().any(|signature| signature.starts_with(&format!("{stage}:"))), "{stage}");
    }
    for code in Code::ALL {
        assert!(signatures.iter().any(|signature| signature.ends_with(&format!(":{code}"))), "{code}");
    }
}

#[test]
fn an_exhausted_recovery_says_both_what_is_thrown_and_why() {
    let violation = Violation::exhausted(3, 2, &[]);
    let cause = violation.source().expect("a cause").to_string();
    assert_eq!(cause, violation.message());
    assert_ne!(violation.to_string(), cause);
}
