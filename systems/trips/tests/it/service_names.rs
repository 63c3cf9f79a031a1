//! Names: whoever takes one gets no records by it, and whoever had one keeps them.

use serde_json::json;
use tidegate_store::kv::{Change, Condition, Key, Write};
use trips::reading::{Reader, Wanted};
use trips::record::{self, Kind};
use trips::user::{self, NewUser};
use trips::{AppError, deletion, keyspace, session};

use crate::migration_ground::{Ground, OLD};

fn new_user(user_name: &str, name: &str) -> NewUser {
    NewUser {
        user_name: user_name.to_owned(),
        email: format!("{user_name}@example.org"),
        name: name.to_owned(),
        password: "a long enough password".to_owned(),
    }
}

async fn trips_of(ground: &Ground, id: &str) -> Vec<String> {
    let account = user::by_id(&ground.app, id).await.unwrap().unwrap();
    let reader = Reader::new(&ground.app, id, &account.value()).await.unwrap();
    let wanted = Wanted { limit: 100, ..Wanted::default() };
    let listed = reader.list(&ground.app, Kind::Trip, &wanted).await.unwrap();
    listed.records.iter().map(|body| body["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_changes_the_name_keeps_what_stands_under_the_former_one() {
    let ground = Ground::new().await;
    let id = ground.user("jb", "James").await;
    ground.trip("James", "t1", OLD).await;
    user::change_name(&ground.app, &id, "Jim").await.unwrap();
    assert_eq!(trips_of(&ground, &id).await, ["t1"]);
    let told = ground.run("jb", true).await;
    assert_eq!((&told["done"], &told["migrated"]), (&json!(true), &json!(1)), "{told:#}");
    assert!(ground.entry(&keyspace::logs(), &format!("trip:{id}:t1")).await.is_some());
}

#[tokio::test]
async fn a_name_that_was_given_up_brings_the_next_one_nothing() {
    let ground = Ground::new().await;
    let owner = ground.user("jb", "James").await;
    let thief = ground.user("thief", "Thief").await;
    ground.trip("James", "t1", OLD).await;
    user::change_name(&ground.app, &owner, "Jim").await.unwrap();
    user::change_name(&ground.app, &thief, "James").await.unwrap();
    assert!(trips_of(&ground, &thief).await.is_empty());
    assert_eq!(trips_of(&ground, &owner).await, ["t1"], "nor can the next one get in the way");
    ground.run("thief", true).await;
    assert!(ground.keys(&keyspace::logs(), &format!("trip:{thief}:")).await.is_empty());
}

#[tokio::test]
async fn whoever_is_called_as_the_id_of_another_reads_changes_and_deletes_nothing_of_theirs() {
    // By the name that was taken; in another spelling; by an account that was stored so; of one that cannot be read.
    for how in ["taken", "spelled", "stored", "unreadable"] {
        let ground = Ground::new().await;
        let victim = ground.user("victim", "Victim").await;
        let thief = ground.user("thief", "Thief").await;
        let name = if how == "spelled" { victim.to_uppercase() } else { victim.clone() };
        if how == "taken" || how == "spelled" {
            user::change_name(&ground.app, &thief, &name).await.unwrap();
        } else {
            let mut core = ground.json(&keyspace::users(), &format!("user:{thief}")).await;
            core["name"] = json!(name);
            ground.put(&keyspace::users(), &format!("user:{thief}"), &core).await;
        }
        if how == "unreadable" {
            ground.raw(&keyspace::users(), &format!("user:{victim}"), b"no JSON", None, None).await;
        }
        ground.trip(&victim, "t1", OLD).await;
        ground
            .put(&keyspace::user_settings(), &format!("settings:{victim}"), &json!({ "theme": "dark" }))
            .await;
        let before = ground.keys(&keyspace::logs(), &format!("trip:{victim}:")).await;

        assert!(trips_of(&ground, &thief).await.is_empty(), "{how}");
        let account = user::by_id(&ground.app, &thief).await.unwrap().unwrap();
        let reader = Reader::new(&ground.app, &thief, &account.value()).await.unwrap();
        assert!(!reader.names().contains(&victim), "{how}: {:?}", reader.names());
        let read = reader.get(&ground.app, Kind::Trip, "t1").await;
        assert!(matches!(read, Err(AppError::Absent { .. })), "{how}: {read:?}");
        let purged = record::purge(&ground.app, &reader, Kind::Trip, "t1").await;
        assert!(matches!(purged, Err(AppError::Absent { .. })), "{how}: {purged:?}");
        deletion::delete(&ground.app, &thief).await.unwrap();
        assert_eq!(ground.keys(&keyspace::logs(), &format!("trip:{victim}:")).await, before, "{how}");
        let settings = ground.json(&keyspace::user_settings(), &format!("settings:{victim}")).await;
        assert_eq!(settings, json!({ "theme": "dark" }), "{how}");
    }
}

#[tokio::test]
async fn whoever_is_called_as_the_own_id_keeps_all_of_it() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    user::change_name(&ground.app, &id, &id).await.unwrap();
    ground.trip("James", "t1", OLD).await;
    ground.trip(&id, "t2", OLD).await;
    let mut trips = trips_of(&ground, &id).await;
    trips.sort();
    assert_eq!(trips, ["t1", "t2"]);
    let told = ground.run("james", true).await;
    assert_eq!(told["done"], json!(true), "{told:#}");
}

#[tokio::test]
async fn an_account_that_is_made_under_a_name_with_records_gets_none_of_them() {
    let ground = Ground::new().await;
    ground.trip("James", "of-nobody-known", OLD).await;
    ground.put(&keyspace::user_settings(), "settings:newcomer", &json!({ "theme": "dark" })).await;
    let made = user::sign_up(&ground.app, new_user("newcomer", "James")).await.unwrap();
    assert_eq!(made.core["foreignNames"], json!(["James", "newcomer"]));
    assert!(trips_of(&ground, &made.id).await.is_empty());
    let told = ground.run("newcomer", true).await;
    assert_eq!(told["migrated"], json!(0), "{told:#}");
    // Where nothing stands there is nothing to tell.
    let other = user::sign_up(&ground.app, new_user("other", "Other")).await.unwrap();
    assert!(!other.core.contains_key("foreignNames"));
}

#[tokio::test]
async fn a_name_that_two_had_stays_nobodys_when_one_of_them_is_deleted() {
    let ground = Ground::new().await;
    let (gone, left) = (ground.user("one", "James").await, ground.user("two", "James").await);
    ground.trip("James", "of-one-of-them", OLD).await;
    deletion::delete(&ground.app, &gone).await.unwrap();
    assert!(trips_of(&ground, &left).await.is_empty());
    let told = ground.run("two", true).await;
    assert_eq!(told["done"], json!(false), "{told:#}");
    assert!(ground.keys(&keyspace::logs(), &format!("trip:{left}:")).await.is_empty());
    let all = ground.all().await;
    assert!(!all.keys().any(|(_, key)| key.contains(&gone)), "nothing names who is gone");
}

#[tokio::test]
async fn nothing_is_written_behind_a_deletion_that_has_begun() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip(&id, "t1", OLD).await;
    let account = user::by_id(&ground.app, &id).await.unwrap().unwrap();
    // Signed in and read before, which is as far as a request can be when the deletion begins.
    let reader = Reader::new(&ground.app, &id, &account.value()).await.unwrap();
    let marker = Write {
        namespace: keyspace::users(),
        key: Key::new(format!("deletion:{id}")).unwrap(),
        change: Change::Put { value: b"{}".as_slice().into(), metadata: None, expires_at: None },
        condition: Condition::Absent,
    };
    ground.store.write(marker).await.unwrap();
    let before = ground.all().await;
    let given = json!({ "date": "2026-03-01" });
    let made =
        trips::record::create(&ground.app, &reader, Kind::Trip, given.as_object().unwrap()).await.map(drop);
    let begun = session::begin(&ground.app, &account).await.map(drop);
    let synced = trips::sync::run(&ground.app, &reader, None, &[]).await.map(drop);
    for refused in [made, begun, synced] {
        assert!(matches!(refused, Err(AppError::Absent { .. })), "{refused:?}");
    }
    assert_eq!(ground.all().await, before);
}
