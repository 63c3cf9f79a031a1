//! What may be forgotten, and who must begin anew.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use vfs_core::compaction::{BlockedReason, ClientRow, CompactionOptions, CompactionPlan, Horizon, plan};
use vfs_core::{Cursor, Position, Timestamp};

use crate::scene::{at, cursor};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn client(client_key: &str, updated_at: i64, read_to: i64) -> ClientRow<'_> {
    ClientRow { client_key, updated_at: at(updated_at), changed_at: Some(at(read_to)), change_id: "m" }
}

fn planned(latest: i64, clients: &[ClientRow<'_>]) -> CompactionPlan {
    plan(at(0), Some(&cursor(latest, "z")), clients, &CompactionOptions::default())
}

#[test]
fn without_operations_there_is_nothing_to_do() {
    let plan = plan(at(0), None, &[client("crdt:a", 0, 0)], &CompactionOptions::default());
    assert_eq!(plan.note, Some("No CRDT operations found; compaction is not needed."));
    assert_eq!(plan.cutoff_occurred_at, None);
}

#[test]
fn the_cutoff_is_the_earlier_of_retention_and_the_oldest_reader() {
    assert_eq!(planned(0, &[]).cutoff_occurred_at, Some(at(-30 * DAY)));
    let fresh = planned(0, &[client("crdt:a", 0, -DAY)]);
    assert_eq!(fresh.cutoff_occurred_at, Some(at(-30 * DAY)));
    let slow = planned(0, &[client("crdt:a", 0, -DAY), client("crdt:b", -DAY, -40 * DAY)]);
    assert_eq!(slow.cutoff_occurred_at, Some(at(-40 * DAY - 6 * HOUR)));
    assert_eq!(slow.oldest_active_cursor, Some(cursor(-40 * DAY, "m")));
    // The last operation counts, where it is older than now.
    assert_eq!(planned(-5 * DAY, &[]).cutoff_occurred_at, Some(at(-35 * DAY)));
}

#[test]
fn what_is_in_the_future_does_not_move_the_cutoff() {
    let plan = planned(10_000 * DAY, &[client("crdt:a", 0, 10_000 * DAY)]);
    assert_eq!(plan.hot_retention_floor, Some(at(-30 * DAY)));
    assert_eq!(plan.cutoff_occurred_at, Some(at(-30 * DAY)));
}

#[test]
fn a_stale_client_is_not_waited_for_and_a_malformed_one_blocks() {
    let stale = planned(
        0,
        &[client("crdt:a", -91 * DAY, -80 * DAY), client("crdt:b", 0, 0), client("bare", 0, -80 * DAY)],
    );
    assert_eq!(stale.cutoff_occurred_at, Some(at(-30 * DAY)));
    assert_eq!((stale.active_client_count, stale.stale_client_count), (1, 1));
    assert_eq!(stale.stale_client_ids, ["crdt:a"]);
    for malformed in [
        ClientRow { changed_at: None, ..client("crdt:a", 0, 0) },
        ClientRow { change_id: " ", ..client("crdt:a", 0, 0) },
    ] {
        let blocked = planned(0, std::slice::from_ref(&malformed));
        assert_eq!(blocked.blocked_reason, Some(BlockedReason::MalformedClientState));
        assert_eq!((blocked.cutoff_occurred_at, blocked.malformed_client_state_count), (None, 1));
        // Where nobody waits for it, it does not matter.
        let gone = ClientRow { updated_at: at(-91 * DAY), ..malformed };
        assert_eq!(planned(0, &[gone]).blocked_reason, None);
    }
}

#[test]
fn a_cutoff_that_is_not_before_the_last_operation_deletes_nothing() {
    let options = CompactionOptions { hot_retention: Duration::ZERO, ..CompactionOptions::default() };
    let plan = plan(at(0), Some(&cursor(-1, "z")), &[], &options);
    assert_eq!(plan.cutoff_occurred_at, None);
    assert!(plan.note.is_some());
}

#[test]
fn a_plan_names_some_of_the_stale_clients_and_counts_the_rest() {
    let keys: Vec<String> = (0..60).map(|n| format!("crdt:{n:02}")).collect();
    let clients: Vec<ClientRow<'_>> = keys.iter().map(|key| client(key, -100 * DAY, 0)).collect();
    let json = serde_json::to_value(planned(0, &clients)).unwrap();
    assert_eq!(json["staleClientIds"].as_array().unwrap().len(), 50);
    assert_eq!((&json["staleClientIdsTruncatedCount"], &json["staleClientCount"]), (&json!(10), &json!(60)));
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    let wanted = [
        "now",
        "latestCursor",
        "hotRetentionFloor",
        "activeClientCount",
        "staleClientCount",
        "oldestActiveCursor",
        "cutoffOccurredAt",
        "estimatedRowsToDelete",
        "staleClientIds",
        "staleClientIdsTruncatedCount",
        "malformedClientStateCount",
        "blockedReason",
        "note",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(json["blockedReason"], json!(null));
}

fn place(seq: u64, millisecond: i64) -> Cursor {
    Position { epoch: 1, seq }.at(at(millisecond))
}

#[test]
fn whoever_is_behind_the_horizon_must_begin_anew() {
    let horizon = Horizon { seq: 10, at: at(100) };
    assert!(horizon.is_ahead_of(None));
    assert!(horizon.is_ahead_of(Some(&place(9, 100))));
    assert!(!horizon.is_ahead_of(Some(&place(10, 100))));
    assert!(!horizon.is_ahead_of(Some(&place(11, 100))));
    assert!(horizon.is_ahead_of(Some(&cursor(100, "forged"))));
    assert!(!horizon.is_ahead_of(Some(&cursor(101, "forged"))));
    let none = Horizon { seq: 0, at: at(0) };
    assert!(!none.is_ahead_of(None) && !none.is_ahead_of(Some(&cursor(-1, "x"))));
}

#[test]
fn the_horizon_follows_what_is_deleted_and_no_further() {
    let start = Horizon { seq: 0, at: at(0) };
    let feed: Vec<(Timestamp, u64)> = (1..=6).map(|seq| (at(i64::try_from(seq).unwrap() / 2), seq)).collect();
    let after = |cutoff, rows_max| start.after(at(cutoff), feed.clone(), rows_max).seq;
    assert_eq!((after(0, 9), after(1, 9), after(2, 9), after(9, 9), after(9, 2)), (0, 1, 3, 6, 2));
    let far = Horizon { seq: 5, at: at(2) };
    assert_eq!(far.after(at(1), feed, 9), far);
}

proptest! {
    #[test]
    fn no_active_reader_loses_anything(
        readers in prop::collection::vec((0_i64..120, 0_i64..120), 0..6),
        latest in 0_i64..120,
    ) {
        let keys: Vec<String> = (0..readers.len()).map(|n| format!("crdt:{n}")).collect();
        let clients: Vec<ClientRow<'_>> = keys
            .iter()
            .zip(&readers)
            .map(|(key, (updated, read))| client(key, -updated * DAY, -read * DAY))
            .collect();
        if let Some(cutoff) = planned(-latest * DAY, &clients).cutoff_occurred_at {
            for (updated, read) in readers {
                prop_assert!(updated > 90 || cutoff < at(-read * DAY));
            }
            prop_assert!(cutoff <= at(-30 * DAY));
        }
    }
}
