//! Records: made, changed, deleted, brought back, and read at both keys.

use serde_json::{Value, json};
use tidegate_store::kv::UnixSecond;
use trips::keyspace;
use trips::reading::{Reader, Wanted};
use trips::record::{self, Kind};
use trips::{AppError, user};

use crate::migration_ground::{Ground, NEW, OLD};

async fn reader(ground: &Ground, id: &str) -> Reader {
    let account = user::by_id(&ground.app, id).await.unwrap().unwrap();
    Reader::new(&ground.app, id, &account.value()).await.unwrap()
}

async fn ids(ground: &Ground, id: &str, wanted: &Wanted) -> Vec<String> {
    let listed = reader(ground, id).await.list(&ground.app, Kind::Trip, wanted).await.unwrap();
    assert_eq!(listed.total, listed.records.len());
    listed.records.iter().map(|body| body["id"].as_str().unwrap().to_owned()).collect()
}

fn all() -> Wanted {
    Wanted { limit: 100, ..Wanted::default() }
}

fn given(body: Value) -> serde_json::Map<String, Value> {
    body.as_object().cloned().unwrap()
}

#[tokio::test]
async fn a_record_is_written_under_the_id_and_nowhere_else_whatever_is_done_with_it() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let legacy =
        |key: &String| ["James", "james", "JAMES"].iter().any(|name| key.contains(&format!(":{name}:")));
    for kind in Kind::ALL {
        let user = reader(&ground, &id).await;
        let app = &ground.app;
        record::create(
            app,
            &user,
            kind,
            &given(json!({ "id": "r1", "userId": "James", "date": "2026-03-01" })),
        )
        .await
        .unwrap();
        record::update(app, &user, kind, "r1", &given(json!({ "userId": "James", "notes": "n" })))
            .await
            .unwrap();
        record::delete(app, &user, kind, "r1").await.unwrap();
        record::restore(app, &user, kind, "r1").await.unwrap();
        let body = user.get(app, kind, "r1").await.unwrap();
        assert_eq!((&body["userId"], &body["notes"]), (&json!(id), &json!("n")), "{kind:?}");
        record::purge(app, &user, kind, "r1").await.unwrap();
        assert!(matches!(user.get(app, kind, "r1").await, Err(AppError::Absent { .. })), "{kind:?}");
    }
    for namespace in keyspace::all() {
        let keys = ground.keys(&namespace, "").await;
        assert!(!keys.iter().any(legacy), "{keys:?}");
    }
    assert_eq!(ground.app.check_index(&id).await.unwrap()["consistent"], json!(true));
}

#[tokio::test]
async fn records_at_both_keys_are_one_list_and_the_one_updated_last_counts() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James B").await;
    ground.trip(&id, "t1", OLD).await;
    ground.trip("James B", "t2", OLD).await;
    ground.trip("james", "t3", OLD).await;
    for (record, canonical, legacy) in [("both", NEW, OLD), ("newer", OLD, NEW), ("same", OLD, OLD)] {
        ground.trip(&id, record, canonical).await;
        ground.trip("James B", record, legacy).await;
        ground
            .put(
                &keyspace::logs(),
                &format!("trip:James B:{record}"),
                &json!({ "id": record, "userId": "James B", "updatedAt": legacy, "notes": "legacy" }),
            )
            .await;
    }
    let mut found = ids(&ground, &id, &all()).await;
    found.sort();
    assert_eq!(found, ["both", "newer", "same", "t1", "t2", "t3"]);
    let user = reader(&ground, &id).await;
    for (record, is_legacy) in [("both", false), ("newer", true), ("same", false)] {
        let body = user.get(&ground.app, Kind::Trip, record).await.unwrap();
        assert_eq!(body["notes"] == json!("legacy"), is_legacy, "{record}");
        assert_eq!(body["userId"], json!(id), "the answer names the id");
    }
    let stored = ground.json(&keyspace::logs(), "trip:James B:t2").await;
    assert_eq!(stored["userId"], json!("James B"), "reading writes nothing");
    // Two of the list stand under a name alone, and of one the copy there was newer, in the list and by itself.
    assert!(ground.legacy_reads() >= 4, "{} legacy reads were counted", ground.legacy_reads());
    ground.put(&keyspace::migrations(), keyspace::DUAL_READ_KEY, &json!({ "on": false })).await;
    let mut found = ids(&ground, &id, &all()).await;
    found.sort();
    assert_eq!(found, ["both", "newer", "same", "t1"]);
}

#[tokio::test]
async fn nobody_reads_under_a_name_that_another_may_claim() {
    let ground = Ground::new().await;
    let (one, two) = (ground.user("one", "James").await, ground.user("two", "James").await);
    let (a, colon) = (ground.user("aaa", "aaa").await, ground.user("bbb", "aaa:b").await);
    ground.trip("James", "shared", OLD).await;
    ground.trip("aaa", "own", OLD).await;
    ground.trip("aaa:b", "x", OLD).await;
    ground
        .put(
            &keyspace::logs(),
            "trip:aaa:others",
            &json!({ "id": "others", "userId": two, "updatedAt": OLD }),
        )
        .await;
    for id in [&one, &two] {
        assert!(ids(&ground, id, &all()).await.is_empty(), "the name is two people's");
    }
    assert_eq!(ids(&ground, &a, &all()).await, ["own"], "neither the longer name's nor another's record");
    let user = reader(&ground, &a).await;
    assert!(user.get(&ground.app, Kind::Trip, "b:x").await.is_err());
    assert_eq!(ids(&ground, &colon, &all()).await, ["x"]);
}

#[tokio::test]
async fn what_is_deleted_stays_deleted_when_its_tombstone_has_ended() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    let user = reader(&ground, &id).await;
    record::delete(&ground.app, &user, Kind::Trip, "t1").await.unwrap();
    assert!(ids(&ground, &id, &all()).await.is_empty());
    assert_eq!(user.trash(&ground.app).await.unwrap().len(), 1);
    let since = Wanted { since: Some(NEW.to_owned()), limit: 100, ..Wanted::default() };
    assert_eq!(ids(&ground, &id, &since).await, ["t1"], "those who keep a copy hear of it");
    let entry = ground.entry(&keyspace::logs(), &format!("trip:{id}:t1")).await.unwrap();
    let ends = UnixSecond(ground.store.now().await.unwrap().0 + keyspace::TOMBSTONE_SECONDS);
    assert_eq!(entry.expires_at, Some(ends));
    ground.clock.advance(keyspace::TOMBSTONE_SECONDS - 1);
    assert_eq!(user.trash(&ground.app).await.unwrap().len(), 1);
    ground.clock.advance(1);
    assert!(user.trash(&ground.app).await.unwrap().is_empty());
    assert!(ids(&ground, &id, &all()).await.is_empty());
    ground.app.repair_index(&id, &["James".to_owned()]).await.unwrap();
    assert!(ids(&ground, &id, &all()).await.is_empty());
    assert!(matches!(
        record::restore(&ground.app, &user, Kind::Trip, "t1").await,
        Err(AppError::Absent { .. })
    ));
}

#[tokio::test]
async fn a_tombstone_under_a_name_is_brought_back_under_the_id() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let body = json!({
        "id": "t1", "userId": "James", "deleted": true, "updatedAt": NEW,
        "backup": trips::shapes::trip("t1", "James", OLD),
    });
    ground.put(&keyspace::logs(), "trip:James:t1", &body).await;
    let user = reader(&ground, &id).await;
    record::restore(&ground.app, &user, Kind::Trip, "t1").await.unwrap();
    assert_eq!(ground.json(&keyspace::logs(), &format!("trip:{id}:t1")).await["userId"], json!(id));
    assert_eq!(ground.keys(&keyspace::logs(), "trip:James:").await, Vec::<String>::new());
    record::update(&ground.app, &user, Kind::Trip, "t1", &given(json!({ "notes": "again" }))).await.unwrap();
    assert_eq!(ground.keys(&keyspace::logs(), "trip:").await, [format!("trip:{id}:t1")]);
}

#[tokio::test]
async fn pages_follow_one_another_by_date() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let user = reader(&ground, &id).await;
    for day in 1..=9 {
        let body = given(json!({ "id": format!("t{day}"), "date": format!("2026-02-0{day}") }));
        record::create(&ground.app, &user, Kind::Trip, &body).await.unwrap();
    }
    ground.trip("James", "legacy", OLD).await;
    let mut seen = Vec::new();
    for offset in [0, 4, 8, 12] {
        let wanted = Wanted { limit: 4, offset, ..Wanted::default() };
        let page = user.list(&ground.app, Kind::Trip, &wanted).await.unwrap();
        assert_eq!(page.total, 10);
        seen.extend(page.records.iter().map(|body| body["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ["t9", "t8", "t7", "t6", "t5", "t4", "t3", "t2", "t1", "legacy"]);
}

#[tokio::test]
async fn an_id_that_cannot_be_one_and_one_that_is_taken_are_refused() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let user = reader(&ground, &id).await;
    ground.trip("James", "t1", OLD).await;
    for record in [json!(""), json!(1), json!("x".repeat(201)), json!("a\nb"), json!("t1")] {
        let made = record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": record }))).await;
        assert!(matches!(made, Err(AppError::Refused(_))), "{record}: {made:?}");
    }
    assert!(ground.keys(&keyspace::logs(), &format!("trip:{id}:")).await.is_empty());
}

#[tokio::test]
async fn what_goes_while_dual_reading_is_off_does_not_come_back_when_it_is_turned_on() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in ["purged", "deleted"] {
        ground.trip(&id, record, NEW).await;
        ground.trip("James", record, OLD).await;
    }
    ground.put(&keyspace::migrations(), keyspace::DUAL_READ_KEY, &json!({ "on": false })).await;
    let user = reader(&ground, &id).await;
    record::purge(&ground.app, &user, Kind::Trip, "purged").await.unwrap();
    record::delete(&ground.app, &user, Kind::Trip, "deleted").await.unwrap();
    ground.clock.advance(keyspace::TOMBSTONE_SECONDS);
    ground.put(&keyspace::migrations(), keyspace::DUAL_READ_KEY, &json!({ "on": true })).await;
    assert!(ids(&ground, &id, &all()).await.is_empty());
}

#[tokio::test]
async fn a_record_without_an_update_is_as_old_as_its_making_in_a_list_and_alone() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let body = |owner: &str, field: &str, at: Value| json!({ "id": "t1", "userId": owner, field: at });
    let key = format!("trip:{id}:t1");
    ground.put(&keyspace::logs(), &key, &body(&id, "createdAt", json!(NEW))).await;
    // 2026-01-01T09:00:00Z in milliseconds.
    let legacy = body("James", "updatedAt", json!(1_767_258_000_000_i64));
    ground.put(&keyspace::logs(), "trip:James:t1", &legacy).await;
    let user = reader(&ground, &id).await;
    let listed = user.list(&ground.app, Kind::Trip, &all()).await.unwrap();
    let alone = user.get(&ground.app, Kind::Trip, "t1").await.unwrap();
    assert_eq!(alone["createdAt"], json!(NEW), "the newer one");
    assert_eq!(listed.records, [alone]);
}

#[tokio::test]
async fn a_synced_trip_is_one_trip_before_and_after_its_id_has_lost_the_name() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let (former, known) = ("hns_James_2026-01-05", format!("hns_{id}_2026-01-05"));
    ground.trip("James", former, OLD).await;
    for moved in [false, true] {
        if moved {
            assert_eq!(ground.run("james", true).await["done"], json!(true));
        }
        assert_eq!(ids(&ground, &id, &all()).await, [known.as_str()], "moved: {moved}");
        let user = reader(&ground, &id).await;
        for asked in [former, known.as_str()] {
            let body = user.get(&ground.app, Kind::Trip, asked).await.unwrap();
            assert_eq!(body["id"], json!(known), "moved: {moved}, asked for {asked}");
        }
    }
    let user = reader(&ground, &id).await;
    record::delete(&ground.app, &user, Kind::Trip, former).await.unwrap();
    assert_eq!(
        ground.keys(&keyspace::logs(), "trip:").await,
        [format!("trip:{id}:{known}")],
        "the copy under the name went"
    );
}
