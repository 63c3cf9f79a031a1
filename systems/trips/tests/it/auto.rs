//! Migration at sign-in: each guard alone holds it back.

use std::sync::Arc;

use serde_json::json;
use tidegate_store::kv::watched::{Fault, Plan, Watched};
use tokio::sync::Notify;
use trips::migration::Actor;
use trips::migration::auto::{AutoOutcome, AutoSettings, DEFAULT_UID};
use trips::{App, keyspace};

use crate::migration_ground::{Ground, OLD};
use crate::migration_service::{PASSWORD, Service};

fn on_for(id: &str) -> AutoSettings {
    AutoSettings { on: true, uid: id.to_owned(), is_production: false }
}

async fn ground_with_james() -> (Ground, String) {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    ground.trip("James", "t1", OLD).await;
    (ground, id)
}

async fn sign_in(ground: &Ground, settings: &AutoSettings, id: &str) -> AutoOutcome {
    ground.migration.after_sign_in(settings, id).await.unwrap()
}

async fn trail(ground: &Ground, id: &str) -> String {
    let page = ground.migration.audit().month("2026-03", None, Some(id), None, 100).await.unwrap();
    serde_json::to_string(&page.entries).unwrap()
}

#[test]
fn the_environment_turns_it_on_by_one_word_and_names_one_user() {
    let read = |pairs: &[(&str, &str)]| {
        AutoSettings::read(&|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(read(&[]), AutoSettings { on: false, uid: DEFAULT_UID.to_owned(), is_production: false });
    for word in ["TRUE", "1", "yes", " true", ""] {
        assert!(!read(&[("MIGRATION_AUTO_ON_LOGIN", word)]).on, "{word}");
    }
    let settings = read(&[
        ("MIGRATION_AUTO_ON_LOGIN", "true"),
        ("MIGRATION_AUTO_ON_LOGIN_UID", "u"),
        ("TRIPS_ENV", "production"),
    ]);
    assert_eq!(settings, AutoSettings { on: true, uid: "u".to_owned(), is_production: true });
}

#[tokio::test]
async fn it_copies_and_leaves_state_attempt_and_trail() {
    let (ground, id) = ground_with_james().await;
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::Ran { success: true, migrated: 1 });
    let migrations = keyspace::migrations();
    assert_eq!(ground.json(&migrations, &format!("migration:{id}:state")).await["done"], json!(true));
    let last = ground.json(&migrations, &format!("migration:{id}:auto:lastAttempt")).await;
    assert_eq!(last, json!("2026-03-01T12:00:00Z"));
    let trail = trail(&ground, &id).await;
    assert!(trail.contains("auto_migration") && trail.contains("system:auto"), "{trail}");
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::Done);
}

#[tokio::test]
async fn each_guard_alone_holds_it_back_and_nothing_is_copied() {
    let (ground, id) = ground_with_james().await;
    let before = ground.data().await;
    let off = AutoSettings { on: false, ..on_for(&id) };
    assert_eq!(sign_in(&ground, &off, &id).await, AutoOutcome::Off);
    assert_eq!(sign_in(&ground, &on_for("another"), &id).await, AutoOutcome::OtherUser);
    let production = AutoSettings { is_production: true, ..on_for(&id) };
    assert_eq!(sign_in(&ground, &production, &id).await, AutoOutcome::NotAuthorized);
    ground.migration.stop(true, "stop", &ground.actor()).await.unwrap();
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::Stopped);
    ground.migration.stop(false, "go on", &ground.actor()).await.unwrap();
    let last = format!("migration:{id}:auto:lastAttempt");
    assert!(ground.entry(&keyspace::migrations(), &last).await.is_none(), "no attempt was claimed so far");
    ground.put(&keyspace::migrations(), &last, &json!("2026-02-28T12:00:01Z")).await;
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::TooSoon);
    assert_eq!(ground.data().await, before);
    ground.clock.advance(1);
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::Ran { success: true, migrated: 1 });
}

#[tokio::test]
async fn five_hundred_live_trips_are_too_many_whatever_a_counter_says() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for record in 0..499 {
        ground.trip("James", &format!("r{record}"), OLD).await;
    }
    // Once under the name and once under the id it is one trip.
    ground.trip(&id, "r0", OLD).await;
    let gone = json!({ "id": "gone", "userId": "James", "deleted": true, "updatedAt": OLD });
    ground.put(&keyspace::logs(), "trip:James:gone", &gone).await;
    ground.trip("james", "one-more", OLD).await;
    assert!(ground.entry(&keyspace::logs(), &format!("meta:user:{id}:trip_count")).await.is_none());
    let before = ground.data().await;
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::TooMany);
    assert_eq!(ground.data().await, before);
    let last = format!("migration:{id}:auto:lastAttempt");
    assert!(ground.entry(&keyspace::migrations(), &last).await.is_some());
    assert!(trail(&ground, &id).await.contains("threshold"));
    ground.delete(&keyspace::logs(), "trip:james:one-more").await;
    ground.clock.advance(86_400);
    assert!(matches!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::Ran { success: true, .. }));
}

#[tokio::test]
async fn of_two_sign_ins_at_once_one_runs() {
    let (ground, id) = ground_with_james().await;
    let mut signing_in = tokio::task::JoinSet::new();
    for _n in 0..8 {
        let (migration, id) = (ground.migration.clone(), id.clone());
        signing_in.spawn(async move { migration.after_sign_in(&on_for(&id), &id).await.unwrap() });
    }
    let outcomes = signing_in.join_all().await;
    let ran = outcomes.iter().filter(|outcome| matches!(outcome, AutoOutcome::Ran { .. })).count();
    assert_eq!(ran, 1, "{outcomes:?}");
    let state = ground.json(&keyspace::migrations(), &format!("migration:{id}:state")).await;
    assert_eq!(state["migrated"], json!(1));
}

#[tokio::test]
async fn a_run_that_fails_has_claimed_its_attempt_and_stands_in_the_trail() {
    let (ground, id) = ground_with_james().await;
    ground.raw(&keyspace::logs(), "trip:James:bad", b"{", None, None).await;
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::Ran { success: false, migrated: 1 });
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::TooSoon);
    assert!(trail(&ground, &id).await.contains("\"success\":false"));
    ground.raw(&keyspace::users(), &format!("user:{id}"), b"{", None, None).await;
    ground.clock.advance(86_400);
    assert!(ground.migration.after_sign_in(&on_for(&id), &id).await.is_err());
    assert_eq!(sign_in(&ground, &on_for(&id), &id).await, AutoOutcome::TooSoon);
}

#[tokio::test]
async fn in_production_two_administrators_allow_it_for_a_time() {
    let (ground, id) = ground_with_james().await;
    let admin = json!({ "role": "admin" });
    let first = ground.user_with("ana", "Ana", admin.clone()).await;
    let second = ground.user_with("bo", "Bo", admin).await;
    let actor = |id: &str| Actor { name: id.to_owned(), user_id: id.to_owned(), ip: None };
    let production = AutoSettings { is_production: true, ..on_for(&id) };
    assert!(ground.migration.authorize(0, &actor(&first)).await.is_err());
    assert!(ground.migration.authorize(169, &actor(&first)).await.is_err());
    assert!(!ground.migration.authorize(1, &actor(&first)).await.unwrap().stands());
    assert!(ground.migration.authorize(1, &actor(&first)).await.is_err(), "one person is one person");
    assert_eq!(sign_in(&ground, &production, &id).await, AutoOutcome::NotAuthorized);
    assert!(ground.migration.authorize(99, &actor(&second)).await.unwrap().stands());
    ground.clock.advance(3_600);
    assert_eq!(sign_in(&ground, &production, &id).await, AutoOutcome::NotAuthorized, "its hour is over");
    for admin in [&first, &second] {
        ground.migration.authorize(1, &actor(admin)).await.unwrap();
    }
    let core = json!({ "id": second, "username": "bo", "name": "Bo" });
    ground.put(&keyspace::users(), &format!("user:{second}"), &core).await;
    assert_eq!(
        sign_in(&ground, &production, &id).await,
        AutoOutcome::NotAuthorized,
        "one is no administrator now"
    );
    let core = json!({ "id": second, "username": "bo", "name": "Bo", "role": "admin" });
    ground.put(&keyspace::users(), &format!("user:{second}"), &core).await;
    assert!(ground.migration.is_authorized().await.unwrap());
    ground.migration.forbid(&actor(&first)).await.unwrap();
    assert!(!ground.migration.is_authorized().await.unwrap());
    for admin in [&first, &second] {
        ground.migration.authorize(1, &actor(admin)).await.unwrap();
    }
    assert_eq!(sign_in(&ground, &production, &id).await, AutoOutcome::Ran { success: true, migrated: 1 });
}

#[tokio::test]
async fn a_sign_in_is_answered_at_once_and_the_keys_follow_in_the_background() {
    let id = DEFAULT_UID;
    let ground = Ground::with_environment(&[("MIGRATION_AUTO_ON_LOGIN", "true")]).await;
    let hash = trips::user::hashed(PASSWORD.to_owned()).await.unwrap();
    ground.user_with_id(id, "james", "James", json!({ "password": hash })).await;
    ground.trip("James", "t1", OLD).await;
    let service = Service::new(ground).await;
    let sign_in = async |password: &str| {
        let body = json!({ "username": "james", "password": password }).to_string();
        service.bare_post("/api/auth/signin", "", &body).await.status
    };
    let migrations = keyspace::migrations();
    let state = format!("migration:{id}:state");
    assert_eq!(sign_in("the wrong password").await, 401);
    // The trail cannot be written, so that nothing is copied; whoever signs in does not notice.
    service.ground.refuse_keys(&migrations, "audit:");
    assert_eq!(sign_in(PASSWORD).await, 200);
    let last = format!("migration:{id}:auto:lastAttempt");
    until(async || service.ground.entry(&migrations, &last).await.is_some()).await;
    service.ground.allow_writes();
    service.ground.delete(&migrations, &last).await;
    assert_eq!(sign_in(PASSWORD).await, 200);
    until(async || service.ground.json(&migrations, &state).await["done"] == json!(true)).await;
    assert!(service.ground.entry(&keyspace::logs(), &format!("trip:{id}:t1")).await.is_some());
}

#[tokio::test]
async fn a_sign_in_is_answered_before_the_first_operation_of_what_it_sets_going() {
    let id = DEFAULT_UID;
    let hash = trips::user::hashed(PASSWORD.to_owned()).await.unwrap();
    let body = json!({ "username": "james", "password": PASSWORD }).to_string();
    let signed_in = async |on: &'static str, plan: Plan| {
        let mut ground = Ground::new().await;
        ground.user_with_id(id, "james", "James", json!({ "password": hash })).await;
        ground.trip("James", "t1", OLD).await;
        let watched = Watched::new(ground.store.clone(), plan);
        ground.app =
            App::new(watched.clone(), &|name| (name == "MIGRATION_AUTO_ON_LOGIN").then(|| on.to_owned()));
        let service = Service::new(ground).await;
        let answer = service.bare_post("/api/auth/signin", "", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        (service, watched)
    };
    let (_service, watched) = signed_in("false", Plan::new()).await;
    let of_sign_in = watched.operations().len();
    let release = Arc::new(Notify::new());
    let first = u64::try_from(of_sign_in).unwrap() + 1;
    let (service, watched) = signed_in("true", Plan::new().at(first, Fault::Hold(release.clone()))).await;
    until(async || watched.operations().len() == of_sign_in + 1).await;
    let before = service.ground.data().await;
    let journal = async || service.ground.keys(&keyspace::migrations(), "").await;
    assert!(journal().await.is_empty(), "it waits at its first operation");
    // Whoever is in goes on meanwhile.
    let james = service.session_of(id.to_owned()).await;
    let list = service.get("/api/trips", &james.cookie).await;
    assert!(list.status == 200 && list.text.contains("\"t1\""), "{}", list.text);
    assert!(journal().await.is_empty(), "it still waits");
    let trip = format!("trip:{id}:t1");
    assert!(!before.contains_key(&(keyspace::logs(), trip.clone())));
    release.notify_one();
    let state = format!("migration:{id}:state");
    until(async || service.ground.json(&keyspace::migrations(), &state).await["done"] == json!(true)).await;
    assert!(service.ground.entry(&keyspace::logs(), &trip).await.is_some());
}

/// Looks again and again, for half a minute.
async fn until(look: impl AsyncFn() -> bool) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    for _tick in 0..1_500 {
        ticks.tick().await;
        if look().await {
            return;
        }
    }
    panic!("it never came to that");
}
