//! What is copied, what is not, and that nothing is lost on the way.

use serde_json::{Value, json};
use tidegate_store::kv::{Namespace, UnixSecond};
use trips::keyspace;

use crate::migration_ground::{Ground, NEW, NOON, OLD, count};

fn logs() -> Namespace {
    keyspace::logs()
}

#[tokio::test]
async fn an_id_whose_keys_are_all_its_own_loses_and_changes_nothing() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in ["t1", "t2"] {
        ground.trip(&id, record, OLD).await;
    }
    let before = ground.data().await;
    for _run in 0..2 {
        let told = ground.run(&id, true).await;
        assert_eq!((&told["migrated"], &told["done"]), (&json!(0), &json!(true)), "{told:#}");
    }
    assert_eq!(ground.data().await, before);
}

#[tokio::test]
async fn an_id_finds_the_names_in_the_stored_account() {
    let ground = Ground::new().await;
    let id = ground.user("jk42", "James Kirk").await;
    ground.trip("James Kirk", "t1", OLD).await;
    ground.trip("jk42", "t2", OLD).await;
    let told = ground.run(&id, true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(2), &json!(true)), "{told:#}");
    for record in ["t1", "t2"] {
        assert_eq!(ground.json(&logs(), &format!("trip:{id}:{record}")).await["userId"], json!(id));
    }
    assert_eq!(ground.keys(&logs(), "trip:James Kirk:").await.len(), 1, "legacy keys stay");
    let state = ground.json(&keyspace::migrations(), &format!("migration:{id}:state")).await;
    assert_eq!((&state["done"], &state["migrated"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn the_newer_of_two_copies_stands_and_equal_times_are_left_to_people() {
    for is_tombstone in [false, true] {
        for (case, legacy, canonical, expected) in [
            ("missing", OLD, None, ("migrated", true)),
            ("older", NEW, Some(OLD), ("migrated", true)),
            ("newer", OLD, Some(NEW), ("skippedNewer", true)),
            ("same time", OLD, Some(OLD), ("conflicts", false)),
            ("unreadable", OLD, Some("no time"), ("conflicts", false)),
        ] {
            let ground = Ground::new().await;
            let id = ground.user("james", "James").await;
            let body = |owner: &str, at: &str, notes: &str| {
                let mut body = trips::shapes::trip("t1", owner, at);
                body["notes"] = json!(notes);
                if at == "no time" {
                    body["createdAt"] = json!("neither");
                }
                if is_tombstone {
                    body["deleted"] = json!(true);
                }
                body
            };
            ground.put(&logs(), "trip:James:t1", &body("James", legacy, "under the name")).await;
            let destination = format!("trip:{id}:t1");
            if let Some(at) = canonical {
                ground.put(&logs(), &destination, &body(&id, at, "under the id")).await;
            }
            let dry = ground.run("james", false).await;
            let told = ground.run("james", true).await;
            let (field, is_done) = expected;
            assert_eq!(count(&told, "trips", field), 1, "{case}: {told:#}");
            assert_eq!(dry["counts"]["trips"], told["counts"]["trips"], "{case}: what was foretold");
            assert_eq!(told["done"], json!(is_done), "{case}");
            let notes = ground.json(&logs(), &destination).await["notes"].clone();
            let expected_notes = if field == "migrated" { "under the name" } else { "under the id" };
            assert_eq!(notes, json!(expected_notes), "{case}");
            if field == "conflicts" {
                assert_eq!(told["conflicts"][0]["key"], json!("trip:James:t1"), "{told:#}");
                assert!(!ground.cohort(&["james"], true).await.success);
            }
            let before = ground.data().await;
            let again = ground.run("james", true).await;
            assert_eq!((&again["migrated"], &again["done"]), (&json!(0), &json!(is_done)), "{case}");
            assert_eq!(ground.data().await, before, "{case}: a second run writes nothing");
        }
    }
}

#[tokio::test]
async fn the_same_record_under_the_id_is_counted_and_left() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.trip(&id, "t1", OLD).await;
    let told = ground.run("james", true).await;
    assert_eq!((count(&told, "trips", "identical"), &told["migrated"]), (1, &json!(0)));
    assert_eq!(told["done"], json!(true));
}

#[tokio::test]
async fn a_tombstone_keeps_its_end_and_metadata_and_one_that_has_ended_is_not_made_anew() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let metadata = json!({ "originalKey": "trip:James:gone", "k": 1 }).to_string();
    let body = json!({
        "id": "gone", "userId": "James", "deleted": true, "deletedBy": "James", "deletedAt": NEW,
        "metadata": { "originalKey": "trip:James:gone", "deletedBy": "James" },
        "backup": trips::shapes::trip("gone", "James", OLD), "updatedAt": NEW,
    });
    let end = UnixSecond(NOON.0 + 10);
    ground.raw(&logs(), "trip:James:gone", body.to_string().as_bytes(), Some(&metadata), Some(end)).await;
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    let key = format!("trip:{id}:gone");
    let entry = ground.entry(&logs(), &key).await.unwrap();
    assert_eq!(entry.expires_at, Some(end));
    let metadata: Value = serde_json::from_str(&entry.metadata.unwrap()).unwrap();
    assert_eq!(metadata, json!({ "originalKey": key, "k": 1 }));
    let body: Value = serde_json::from_slice(&entry.value).unwrap();
    for pointer in ["/userId", "/backup/userId", "/deletedBy", "/metadata/deletedBy"] {
        assert_eq!(body.pointer(pointer), Some(&json!(id)), "{pointer}");
    }
    assert_eq!(body.pointer("/metadata/originalKey"), Some(&json!(key)));
    ground.clock.set(UnixSecond(end.0 - 1));
    assert!(ground.entry(&logs(), &key).await.is_some());
    ground.clock.set(end);
    assert!(ground.entry(&logs(), &key).await.is_none());
    ground.run("james", true).await;
    assert!(ground.entry(&logs(), &key).await.is_none());
}

#[tokio::test]
async fn what_the_user_deleted_after_the_migration_does_not_come_back() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    ground.trip("James", "t2", OLD).await;
    assert_eq!(ground.run("james", true).await["migrated"], json!(2));
    ground.delete(&logs(), &format!("trip:{id}:t1")).await;
    let told = ground.run("james", true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(0), &json!(true)), "{told:#}");
    ground.app.repair_index(&id, &["James".to_owned()]).await.unwrap();
    assert!(ground.entry(&logs(), &format!("trip:{id}:t1")).await.is_none());
}

#[tokio::test]
async fn a_name_written_in_several_ways_is_found_in_all_of_them() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for (owner, record) in [("James", "1"), ("james", "2"), ("JAMES", "3")] {
        ground.trip(owner, record, OLD).await;
    }
    ground.trip("james", "1", NEW).await;
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    let keys = ground.keys(&logs(), &format!("trip:{id}:")).await;
    assert_eq!(keys, ["1", "2", "3"].map(|record| format!("trip:{id}:{record}")));
    let newest = ground.json(&logs(), &format!("trip:{id}:1")).await;
    assert_eq!(newest["updatedAt"], json!(NEW));
}

#[tokio::test]
async fn colons_in_names_and_records_and_dollars_in_texts_stay_what_they_are() {
    let ground = Ground::new().await;
    let id = ground.user("odd", "user:$&name").await;
    ground.trip("user:$&name", "a:b:c", OLD).await;
    let told = ground.run("odd", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
    let body = ground.json(&logs(), &format!("trip:{id}:a:b:c")).await;
    assert_eq!((&body["id"], &body["notes"]), (&json!("a:b:c"), &json!("$& stays")));
    assert_eq!(ground.keys(&logs(), &format!("trip:{id}:")).await.len(), 1);
}

#[tokio::test]
async fn a_batch_border_skips_no_key() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in 0..1_203 {
        ground.trip("James", &format!("r{record:05}"), OLD).await;
    }
    let told = ground.run("james", true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(1_203), &json!(true)), "{:#}", told["counts"]);
    assert_eq!(ground.keys(&logs(), &format!("trip:{id}:")).await.len(), 1_203);
}

#[tokio::test]
async fn what_comes_under_the_name_after_the_user_was_done_is_moved_by_the_next_run() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    assert_eq!(ground.run("james", true).await["done"], json!(true));
    ground.trip("James", "late", NEW).await;
    assert_eq!(ground.status("james").await["trip_legacy"], json!(1));
    let told = ground.run("james", true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(1), &json!(true)));
    assert!(ground.entry(&logs(), &format!("trip:{id}:late")).await.is_some());
}

#[tokio::test]
async fn one_write_of_forty_that_fails_is_named_and_the_next_run_finishes() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in 0..40 {
        ground.trip("James", &format!("r{record:03}"), OLD).await;
    }
    ground.refuse_keys(&logs(), &format!("trip:{id}:r021"));
    let report = ground.cohort(&["james"], true).await;
    let told = &report.results["james"];
    assert!(!report.success);
    assert!((report.failure_rate - 0.025).abs() < 1e-9, "{told:#}");
    assert_eq!((&told["migrated"], &told["done"]), (&json!(39), &json!(false)), "{told:#}");
    assert_eq!(told["errors"][0]["key"], json!("trip:James:r021"));
    assert!(ground.app.metrics().render().contains("migration_failure_rate 0.025\n"));
    ground.allow_writes();
    let told = ground.run("james", true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn where_every_write_fails_nothing_is_called_done() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in 0..5 {
        ground.trip("James", &format!("r{record}"), OLD).await;
    }
    ground.refuse_writes_to(&logs());
    let report = ground.cohort(&["james"], true).await;
    assert!(!report.success);
    assert_ne!(report.results["james"]["done"], json!(true));
    let state = ground.json(&keyspace::migrations(), &format!("migration:{id}:state")).await;
    assert_ne!(state["done"], json!(true));
}

#[tokio::test]
async fn a_value_that_is_no_json_is_named_and_keeps_the_user_from_being_done() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "good", OLD).await;
    ground.raw(&logs(), "trip:James:bad", b"{\"id\":", None, None).await;
    let told = ground.run("james", true).await;
    assert_eq!((&told["migrated"], &told["done"]), (&json!(1), &json!(false)));
    assert_eq!(told["errors"][0]["key"], json!("trip:James:bad"), "{told:#}");
    assert!(ground.entry(&logs(), &format!("trip:{id}:bad")).await.is_none());
}

#[tokio::test]
async fn a_dry_run_writes_a_state_that_is_not_done_and_one_entry_of_the_trail() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    let before = ground.all().await;
    let told = ground.run("james", false).await;
    assert_eq!(
        (&told["dryRun"], &told["migrated"], &told["wouldMigrate"]),
        (&json!(true), &json!(0), &json!(1))
    );
    let after = ground.all().await;
    let new: Vec<&str> =
        after.keys().filter(|at| !before.contains_key(*at)).map(|(_, key)| key.as_str()).collect();
    assert_eq!(new.len(), 2, "{new:?}");
    assert!(new[0].starts_with("audit:2026-03:"), "{new:?}");
    assert_eq!(new[1], format!("migration:{id}:state"));
    assert!(before.iter().all(|(at, standing)| after.get(at) == Some(standing)));
    let state = ground.json(&keyspace::migrations(), new[1]).await;
    assert_ne!(state["done"], json!(true));
    assert_eq!(state["dryRun"], json!(true));
    assert!(state["lastRun"].is_string(), "{state}");
}
