//! The index of a user against the records, with many at once and with what was written beside it.

use std::sync::Arc;

use serde_json::{Value, json};
use trips::reading::Reader;
use trips::record::{self, Kind};
use trips::{AppError, keyspace, user};

use crate::migration_ground::{Ground, OLD};

async fn reader(ground: &Ground, id: &str) -> Reader {
    let account = user::by_id(&ground.app, id).await.unwrap().unwrap();
    Reader::new(&ground.app, id, &account.value()).await.unwrap()
}

fn given(body: Value) -> serde_json::Map<String, Value> {
    body.as_object().cloned().unwrap()
}

async fn check(ground: &Ground, id: &str) -> Value {
    ground.app.check_index(id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_writers_of_one_user_leave_index_and_count_equal_to_the_records() {
    let ground = Arc::new(Ground::new().await);
    let id = ground.user("james", "James").await;
    let mut writers = Vec::new();
    for writer in 0..32 {
        let (app, user) = (Arc::clone(&ground.app), reader(&ground, &id).await);
        writers.push(tokio::spawn(async move {
            for round in 0..4 {
                let record = format!("r{writer}-{round}");
                record::create(&app, &user, Kind::Trip, &given(json!({ "id": record }))).await?;
                match round {
                    1 => drop(record::delete(&app, &user, Kind::Trip, &record).await?),
                    2 => record::purge(&app, &user, Kind::Trip, &record).await?,
                    _ => drop(
                        record::update(&app, &user, Kind::Trip, &record, &given(json!({ "n": 1 }))).await?,
                    ),
                }
            }
            Ok::<(), AppError>(())
        }));
    }
    for writer in writers {
        // Whoever is in the way too often is told so, and has done a part; index and records agree all the same.
        match writer.await.unwrap() {
            Ok(()) | Err(AppError::Contended { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let told = check(&ground, &id).await;
    assert_eq!(told["consistent"], json!(true), "{told:#}");
    assert_eq!(told["tripCount"], told["live"]["trip"]);
    assert!(told["live"]["trip"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn what_was_written_beside_the_index_is_seen_and_repaired() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let user = reader(&ground, &id).await;
    record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": "t1" }))).await.unwrap();
    ground.trip(&id, "beside", OLD).await;
    ground.delete(&keyspace::logs(), &format!("trip:{id}:t1")).await;
    let told = check(&ground, &id).await;
    assert_eq!(told["consistent"], json!(false));
    assert_eq!((&told["missing"], &told["stale"]), (&json!(["trip:beside"]), &json!(["trip:t1"])));
    ground.app.repair_index(&id, &[]).await.unwrap();
    let told = check(&ground, &id).await;
    assert_eq!((&told["consistent"], &told["tripCount"]), (&json!(true), &json!(1)), "{told:#}");
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_seen_repaired_and_stops_nobody() {
    for how in ["repair", "list", "write"] {
        let ground = Ground::new().await;
        let id = ground.user("james", "James").await;
        let user = reader(&ground, &id).await;
        for record in ["t1", "t2"] {
            record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": record }))).await.unwrap();
        }
        for key in [format!("index:{id}:head"), format!("index:{id}:trip:t1"), "index:James:head".to_owned()]
        {
            ground.raw(&keyspace::index(), &key, b"no JSON", None, None).await;
        }
        ground.raw(&keyspace::logs(), &format!("meta:user:{id}:trip_count"), b"many", None, None).await;
        let told = check(&ground, &id).await;
        assert_eq!((&told["consistent"], &told["missing"]), (&json!(false), &json!(["trip:t1"])), "{told:#}");
        let mut trips = 2;
        match how {
            "repair" => drop(ground.app.repair_index(&id, &["James".to_owned()]).await.unwrap()),
            "list" => {
                let wanted = trips::reading::Wanted { limit: 100, ..Default::default() };
                assert_eq!(user.list(&ground.app, Kind::Trip, &wanted).await.unwrap().total, 2);
            }
            _ => {
                record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": "t3" }))).await.unwrap();
                trips = 3;
            }
        }
        let told = check(&ground, &id).await;
        assert_eq!(
            (&told["consistent"], &told["tripCount"]),
            (&json!(true), &json!(trips)),
            "{how}: {told:#}"
        );
    }
}

#[tokio::test]
async fn a_mark_makes_a_list_come_from_the_records() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let user = reader(&ground, &id).await;
    record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": "t1" }))).await.unwrap();
    ground.trip(&id, "beside", OLD).await;
    let dirty = format!("meta:user:{id}:index_dirty");
    ground.raw(&keyspace::logs(), &dirty, b"1", None, None).await;
    let wanted = trips::reading::Wanted { limit: 100, ..Default::default() };
    assert_eq!(user.list(&ground.app, Kind::Trip, &wanted).await.unwrap().total, 2);
    assert!(ground.entry(&keyspace::logs(), &dirty).await.is_none());
    assert_eq!(check(&ground, &id).await["consistent"], json!(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_during_a_repair_is_not_lost() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in 0..300 {
        ground.trip(&id, &format!("r{record}"), OLD).await;
    }
    let user = reader(&ground, &id).await;
    let app = Arc::clone(&ground.app);
    let of_repair = (Arc::clone(&app), id.clone());
    let repairing = tokio::spawn(async move {
        for _round in 0..5 {
            of_repair.0.repair_index(&of_repair.1, &[]).await.unwrap();
        }
    });
    for record in 0..20 {
        record::create(&app, &user, Kind::Trip, &given(json!({ "id": format!("w{record}") }))).await.unwrap();
    }
    repairing.await.unwrap();
    let told = check(&ground, &id).await;
    assert_eq!((&told["consistent"], &told["rows"]["trip"]), (&json!(true), &json!(320)), "{told:#}");
}

#[tokio::test]
async fn the_index_of_a_name_goes_only_when_that_of_the_id_is_right_and_its_quotas_are_kept() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let head = json!({ "live": { "trip": 9 }, "months": { "2026-01": 7, "2026-02": 1 } });
    ground.put(&keyspace::index(), "index:James:head", &head).await;
    ground.put(&keyspace::index(), "index:James:trip:t1", &json!({ "id": "t1" })).await;
    ground.put(&keyspace::index(), "index:James%3Ab:head", &head).await;
    ground.put(&keyspace::index(), &format!("index:{id}:head"), &json!({ "months": { "2026-02": 4 } })).await;
    ground.trip(&id, "t1", OLD).await;
    let names = ["James".to_owned()];
    let refused = ground.app.wipe_legacy_index(&id, &names).await;
    assert!(matches!(refused, Err(AppError::IndexDiffers { .. })), "{refused:?}");
    ground.app.repair_index(&id, &names).await.unwrap();
    let months = ground.json(&keyspace::index(), &format!("index:{id}:head")).await["months"].clone();
    assert_eq!(months, json!({ "2026-01": 7, "2026-02": 4 }));
    assert_eq!(ground.app.wipe_legacy_index(&id, &names).await.unwrap(), 2);
    let left = ground.keys(&keyspace::index(), "index:James").await;
    assert_eq!(left, ["index:James%3Ab:head"]);
    let left = ground.keys(&keyspace::index(), &format!("index:{id}:")).await;
    assert_eq!(left, [format!("index:{id}:head"), format!("index:{id}:trip:t1")]);
}

#[tokio::test]
async fn what_a_migration_writes_after_a_list_was_made_is_in_the_next_list() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let user = reader(&ground, &id).await;
    let wanted = trips::reading::Wanted { limit: 100, ..Default::default() };
    let total = async || user.list(&ground.app, Kind::Trip, &wanted).await.unwrap().total;
    let dirty = format!("meta:user:{id}:index_dirty");
    let lease = format!("migration:{id}:lease");
    let now = ground.store.now().await.unwrap().0;
    // As a run does it: mark, take the lease, write, renew the lease with each batch. A list in between repairs.
    ground.raw(&keyspace::logs(), &dirty, b"1", None, None).await;
    assert_eq!(total().await, 0);
    assert!(
        ground.entry(&keyspace::logs(), &dirty).await.is_none(),
        "the mark is gone before the run writes"
    );
    for batch in 1..=3 {
        let held = json!({ "holder": "h", "until": now + 60, "epoch": 1, "beat": batch });
        ground.put(&keyspace::migrations(), &lease, &held).await;
        ground.trip(&id, &format!("t{batch}"), OLD).await;
        assert_eq!(total().await, batch);
    }
    // The run is killed here: its lease runs out.
    ground.trip(&id, "last", OLD).await;
    ground.clock.advance(61);
    assert_eq!(total().await, 4);
    assert_eq!(check(&ground, &id).await["consistent"], json!(true));
}

#[tokio::test]
async fn a_record_whose_id_fills_its_key_has_a_row_and_can_be_removed() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let long = "x".repeat(512 - format!("trip:{id}:").len());
    for record in [long.as_str(), "~t", "~"] {
        ground.trip(&id, record, OLD).await;
    }
    ground.app.repair_index(&id, &["n".repeat(510)]).await.unwrap();
    let told = check(&ground, &id).await;
    assert_eq!((&told["consistent"], &told["tripCount"]), (&json!(true), &json!(3)), "{told:#}");
    let user = reader(&ground, &id).await;
    for record in [long.as_str(), "~t"] {
        record::purge(&ground.app, &user, Kind::Trip, record).await.unwrap();
    }
    let wanted = trips::reading::Wanted { limit: 100, ..Default::default() };
    let listed = user.list(&ground.app, Kind::Trip, &wanted).await.unwrap();
    assert_eq!(listed.records.iter().map(|body| &body["id"]).collect::<Vec<_>>(), [&json!("~")]);
    assert_eq!(check(&ground, &id).await["consistent"], json!(true));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_neither_overwritten_nor_in_the_way() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.raw(&keyspace::logs(), &format!("trip:{id}:t1"), b"{", None, None).await;
    let user = reader(&ground, &id).await;
    let made = record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": "t1" }))).await;
    assert!(matches!(made, Err(AppError::Refused(_))), "{made:?}");
    record::create(&ground.app, &user, Kind::Trip, &given(json!({ "id": "t2" }))).await.unwrap();
    assert_eq!(check(&ground, &id).await["consistent"], json!(true));
    record::purge(&ground.app, &user, Kind::Trip, "t1").await.unwrap();
    assert_eq!(ground.keys(&keyspace::logs(), "trip:").await, [format!("trip:{id}:t2")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_while_the_user_writes_sees_no_difference() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let user = reader(&ground, &id).await;
    let app = Arc::clone(&ground.app);
    let writing = tokio::spawn(async move {
        for round in 0..60 {
            let record = format!("r{round}");
            record::create(&app, &user, Kind::Trip, &given(json!({ "id": record }))).await.unwrap();
        }
    });
    let mut looks = 0;
    while !writing.is_finished() {
        let told = check(&ground, &id).await;
        assert_eq!(told["consistent"], json!(true), "{told:#}");
        looks += 1;
    }
    writing.await.unwrap();
    assert!(looks > 0, "{looks} looks");
}
