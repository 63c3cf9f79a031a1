//! Forgetting what was overtaken, and beginning anew after it.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use testkit::{Outcome, Program};
use vfs_core::Cursor;

use crate::ground::{Asker, BOUND, Ground, Town, cursor_of, link};

async fn compact(ground: &Ground, arguments: &[&str]) -> Outcome {
    Program::new(env!("CARGO_BIN_EXE_vfs-server"))
        .arg("compact")
        .args(arguments.iter().copied())
        .env("DATABASE_URL", ground.database.url())
        .run(BOUND)
        .await
        .unwrap()
}

fn document(outcome: &Outcome) -> Json {
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", outcome.stdout, outcome.stderr))
}

/// Makes everything so far so many days older.
async fn age(ground: &Ground, days: u32) {
    let back = format!("- interval '{days} days'");
    ground
        .database
        .execute(&format!(
            "UPDATE vfs_crdt_ops SET occurred_at = occurred_at {back};
             UPDATE vfs_sync_changes SET changed_at = changed_at {back}"
        ))
        .await;
}

/// What a reader of all pages ends with: links and access that are there.
fn folded(items: &[Json]) -> BTreeSet<String> {
    let mut state = BTreeSet::new();
    for item in items {
        let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let register = format!(
            "{}|{}|{}|{}",
            text("itemId"),
            text("parentId"),
            text("principalType"),
            text("principalId")
        );
        match item["opType"].as_str().unwrap() {
            "link_add" | "acl_add" => state.insert(register),
            _ => state.remove(&register),
        };
    }
    state
}

fn of_snapshot(snapshot: &Json) -> BTreeSet<String> {
    let replay = &snapshot["replaySnapshot"];
    let links = replay["links"].as_array().unwrap().iter().map(|link| {
        format!("{}|{}||", link["childId"].as_str().unwrap(), link["parentId"].as_str().unwrap())
    });
    let acl = replay["acl"].as_array().unwrap().iter().map(|entry| {
        let text = |field: &str| entry[field].as_str().unwrap();
        format!("{}||{}|{}", text("itemId"), text("principalType"), text("principalId"))
    });
    links.chain(acl).collect()
}

async fn snapshot(asker: &Asker) -> Json {
    asker.get("/v1/vfs/crdt/snapshot?clientId=a").await.good()
}

/// Two items, moved about, one of them shared with bob.
async fn moved_about(town: &Town) -> (Asker, Asker) {
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    for item in ["file", "Other"] {
        ada.register(item).await;
    }
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_acl_entries (id, item_id, principal_type, principal_id, access_level, created_at, updated_at)
             VALUES ('share:1', 'file', 'user', 'bob', 'read', now(), now())",
        )
        .await;
    for write in 1..=12_u64 {
        let item = if write % 3 == 0 { "Other" } else { "file" };
        let mut operation = link("a", write, item, &format!("p{}", write % 4));
        if write % 5 == 0 {
            operation["opType"] = json!("link_remove");
        }
        assert_eq!(ada.push("a", &[operation]).await, ["applied"]);
    }
    (ada, bob)
}

#[tokio::test]
async fn a_snapshot_is_what_reading_everything_comes_to_for_each_user() {
    let town = Town::new().await;
    let (ada, bob) = moved_about(&town).await;
    for asker in [&ada, &bob] {
        let (items, end) = asker.pull_all(None, 3).await;
        let snapshot = snapshot(asker).await;
        assert_eq!(of_snapshot(&snapshot), folded(&items));
        let cursor: Cursor = serde_json::from_value(snapshot["replaySnapshot"]["cursor"].clone()).unwrap();
        assert!(cursor >= Cursor::decode(&end.unwrap()).unwrap());
        assert_eq!(snapshot["reconcileState"]["cursor"], snapshot["replaySnapshot"]["cursor"]);
        // Reading goes on from it, and the clock of each container is that of its last change.
        assert_eq!(asker.pull_all(Some(&cursor.encode()), 10).await.0, Vec::<Json>::new());
        for clock in snapshot["containerClocks"].as_array().unwrap() {
            let last = items.iter().rfind(|item| {
                let container = item["parentId"].as_str().or(item["itemId"].as_str());
                container == clock["containerId"].as_str()
            });
            assert_eq!(last.unwrap()["opId"], clock["changeId"]);
        }
    }
    assert_eq!(snapshot(&ada).await["reconcileState"]["lastReconciledWriteIds"], json!({ "a": 12 }));
    assert!(of_snapshot(&snapshot(&bob).await).iter().all(|register| register.starts_with("file|")));
}

#[tokio::test]
async fn what_was_overtaken_is_forgotten_up_to_the_horizon_and_nothing_else() {
    let town = Town::new().await;
    let (ada, bob) = moved_about(&town).await;
    let (items, _) = ada.pull_all(None, 100).await;
    age(&town.ground, 60).await;
    ada.push("a", &[link("a", 13, "file", "new")]).await;
    let before = (snapshot(&ada).await, snapshot(&bob).await);
    let (aged, end) = ada.pull_all(None, 100).await;

    let dry = document(&compact(&town.ground, &[]).await);
    assert!(dry["cutoffOccurredAt"].is_string() && dry["blockedReason"].is_null(), "{dry}");
    let doomed = dry["estimatedRowsToDelete"].as_u64().unwrap();
    assert!(doomed > 0, "{dry}");
    assert_eq!(ada.pull_all(None, 100).await.0, aged, "a dry run changes nothing");

    let outcome = compact(&town.ground, &["--apply"]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(document(&outcome)["deletedRows"], json!(doomed));
    let horizon = &aged[items.len() - 1];
    assert_eq!(
        town.ground.text("SELECT vfs_position_id(1, seq) FROM vfs_crdt_horizon").await,
        horizon["opId"].as_str().unwrap()
    );
    // Whoever has read less, or nothing, begins anew; whoever has read as much goes on.
    let text = "CRDT cursor is older than retained history; re-materialization required";
    let behind = cursor_of(&aged[items.len() - 2]);
    for path in ["/v1/vfs/crdt/sync".to_owned(), format!("/v1/vfs/crdt/sync?cursor={behind}")] {
        let answer = ada.get(&path).await;
        assert_eq!(answer.refusal(), (409, text));
        assert_eq!(answer.body["code"], "crdt_rematerialization_required");
    }
    assert_eq!(ada.pull_all(Some(&cursor_of(horizon)), 10).await.1, end);
    assert_eq!((snapshot(&ada).await, snapshot(&bob).await), before);
    // Write ids outlive the operations.
    let mut late = link("a", 9, "file", "z");
    late["opId"] = json!("forgotten");
    assert_eq!(ada.push("a", &[late]).await, ["staleWriteId"]);
    let again = document(&compact(&town.ground, &["--apply"]).await);
    assert_eq!((&again["horizon"], &again["deletedRows"]), (&Json::Null, &Json::Null));
}

#[tokio::test]
async fn clients_that_are_active_hold_the_horizon_back_and_a_malformed_one_blocks_it() {
    let town = Town::new().await;
    assert_eq!(
        document(&compact(&town.ground, &["--apply"]).await)["note"],
        "No CRDT operations found; compaction is not needed."
    );
    let (ada, _) = moved_about(&town).await;
    age(&town.ground, 60).await;
    let (items, _) = ada.pull_all(None, 100).await;
    let first = Cursor::decode(&cursor_of(&items[0])).unwrap();
    let state = |user: &str, client: &str, at: &str, id: &str, updated: &str| {
        format!(
            "INSERT INTO vfs_sync_client_state VALUES ('{user}', 'crdt:{client}', '{at}', '{id}', '{{}}', {updated})"
        )
    };
    // One that has read little is waited for; one that was not seen for a hundred days is not.
    let at = first.changed_at.to_string();
    town.ground.database.execute(&state("bob", "slow", &at, &first.change_id, "now()")).await;
    town.ground
        .database
        .execute(&state("bob", "gone", "2020-01-01", "x", "now() - interval '100 days'"))
        .await;
    let plan = document(&compact(&town.ground, &["--safety-buffer", "0s"]).await);
    assert_eq!((&plan["activeClientCount"], &plan["staleClientCount"]), (&json!(1), &json!(1)));
    assert_eq!((&plan["staleClientIds"], &plan["horizon"]), (&json!(["crdt:gone"]), &Json::Null));
    assert_eq!(plan["oldestActiveCursor"]["changeId"], json!(first.change_id));
    town.ground.database.execute(&state("bob", "odd", &at, " ", "now()")).await;
    let blocked = compact(&town.ground, &["--apply"]).await;
    assert_eq!(blocked.code(), Some(1));
    assert_eq!(document(&blocked)["blockedReason"], "malformedClientState");
    assert!(blocked.stderr.contains("compaction is blocked"), "{}", blocked.stderr);
    assert_eq!(town.ground.text("SELECT seq FROM vfs_crdt_horizon").await, "0");
}

#[tokio::test]
async fn a_client_that_tells_of_no_position_of_this_server_is_not_waited_for() {
    let town = Town::new().await;
    let (ada, _) = moved_about(&town).await;
    let mal = town.user("mal").await;
    let reconcile = |cursor: &Cursor| json!({ "clientId": "m", "cursor": cursor.encode() });
    let nowhere = Cursor::new("1970-01-01T00:00:00.001Z".parse().unwrap(), "zzz").unwrap();
    mal.post("/v1/vfs/crdt/reconcile", reconcile(&nowhere)).await.good();
    age(&town.ground, 60).await;
    ada.push("a", &[link("a", 13, "file", "new")]).await;
    let (items, _) = ada.pull_all(None, 100).await;
    let outcome = compact(&town.ground, &["--apply"]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let plan = document(&outcome);
    assert!(plan["horizon"].as_i64().unwrap() > 0, "{plan}");
    assert_eq!((&plan["activeClientCount"], &plan["staleClientIds"]), (&json!(0), &json!(["crdt:m"])));
    // What a pull would not go on from is not kept either.
    for gone in [nowhere, Cursor::decode(&cursor_of(&items[0])).unwrap()] {
        let answer = mal.post("/v1/vfs/crdt/reconcile", reconcile(&gone)).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert_eq!(answer.body["code"], "crdt_rematerialization_required");
    }
    let (_, end) = ada.pull_all(Some(&cursor_of(items.last().unwrap())), 100).await;
    let body = json!({ "clientId": "m", "cursor": end.unwrap() });
    mal.post("/v1/vfs/crdt/reconcile", body).await.good();
}

#[tokio::test]
async fn an_operation_that_was_forgotten_is_not_applied_again() {
    let town = Town::new().await;
    let (ada, _) = moved_about(&town).await;
    age(&town.ground, 60).await;
    ada.push("a", &[link("a", 13, "file", "new")]).await;
    let number = town.ground.text("SELECT seq FROM vfs_crdt_ops WHERE client_op_id = 'a-1'").await;
    let outcome = compact(&town.ground, &["--apply"]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let remembered = "SELECT seq FROM vfs_crdt_forgotten_ops WHERE client_op_id = 'a-1'";
    assert_eq!(town.ground.text(remembered).await, number);
    let kept = town.ground.text("SELECT count(*) FROM vfs_crdt_ops WHERE client_op_id = 'a-1'").await;
    assert_eq!(kept, "0", "the first operation was overtaken");
    let mut again = link("a", 14, "file", "p1");
    again["opId"] = json!("a-1");
    assert_eq!(ada.push("a", &[again]).await, ["alreadyApplied"]);
}
