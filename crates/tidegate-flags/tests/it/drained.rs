//! Who has drained, who overrides, and who is gone.

use std::time::Duration;

use testkit::{Cluster, eventually};
use tidegate_flags::{Beat, Blocker, FlagsError, beat, leave, undrained};
use tidegate_store::postgres::Session;
use uuid::Uuid;

use crate::sets::{BOUND, SET, committed, declared, move_now, mover, session, value};

/// An instance is gone after so long in these tests where none is to be gone.
const LONG: Duration = Duration::from_secs(3600);

fn sign(instance: Uuid, seen_epoch: u64, drained_epoch: u64) -> Beat<'static> {
    Beat {
        set: SET,
        instance,
        name: "one",
        host: "here",
        version: "1.2",
        lost_after: LONG,
        seen_epoch,
        drained_epoch,
        contradiction: None,
        rewrite_after: Duration::from_secs(1),
    }
}

/// Lets the set look as old as needed for an instance that never found it to have refused.
async fn old_enough(session: &Session) {
    let sql = "UPDATE tidegate.flag_set SET settled_at = settled_at - interval '1 day'";
    session.run(sql).await.unwrap();
}

#[tokio::test]
async fn an_instance_blocks_until_it_has_drained_and_is_named() {
    let database = Cluster::shared().await.database("drains").await;
    let moving = declared(&database).await;
    let instance = session(&database.url()).await;
    let id = Uuid::new_v4();
    let answer = beat(&instance, &sign(id, 0, 0)).await.unwrap().unwrap();
    assert_eq!((answer.row.epoch, answer.age < BOUND), (1, true));
    beat(&instance, &sign(id, 1, 1)).await.unwrap();
    assert_eq!(undrained(&moving, SET, 1, LONG).await.unwrap(), []);
    old_enough(&moving).await;
    committed(move_now(&moving, "mirrored", &mover(BOUND)).await);
    let behind = undrained(&moving, SET, 2, LONG).await.unwrap();
    assert_eq!(behind.len(), 1);
    let text = behind[0].to_string();
    assert!(text.starts_with("instance one (1.2, on here, last heard"), "{text}");
    assert!(text.ends_with("has seen epoch 1 and still serves requests of epoch 1"), "{text}");
    let answer = beat(&instance, &sign(id, 2, 1)).await.unwrap().unwrap();
    assert_eq!(answer.row.epoch, 2);
    assert_eq!(undrained(&moving, SET, 2, LONG).await.unwrap().len(), 1);
    beat(&instance, &sign(id, 2, 2)).await.unwrap();
    assert_eq!(undrained(&moving, SET, 2, LONG).await.unwrap(), []);
}

#[tokio::test]
async fn an_override_blocks_and_is_named() {
    let database = Cluster::shared().await.database("override").await;
    let moving = declared(&database).await;
    let instance = session(&database.url()).await;
    let id = Uuid::new_v4();
    let overriding = Beat { contradiction: Some("reads is true there"), ..sign(id, 1, 1) };
    beat(&instance, &overriding).await.unwrap();
    let blockers = undrained(&moving, SET, 1, LONG).await.unwrap();
    assert!(matches!(&blockers[..], [Blocker::Override { instance, .. }] if instance.id == id));
    assert!(blockers[0].to_string().ends_with("contradicts the row: reads is true there"), "{}", blockers[0]);
    beat(&instance, &sign(id, 1, 1)).await.unwrap();
    assert_eq!(undrained(&moving, SET, 1, LONG).await.unwrap(), []);
}

#[tokio::test]
async fn a_silent_instance_is_gone_only_after_its_time_and_after_the_movers() {
    let database = Cluster::shared().await.database("silent").await;
    let moving = declared(&database).await;
    let instance = session(&database.url()).await;
    let id = Uuid::new_v4();
    let short = Duration::from_millis(300);
    beat(&instance, &Beat { lost_after: short, ..sign(id, 0, 0) }).await.unwrap();
    assert_eq!(undrained(&moving, SET, 1, short).await.unwrap().len(), 1);
    eventually("the instance is gone", BOUND, || async {
        undrained(&moving, SET, 1, short).await.unwrap().is_empty().then_some(())
    })
    .await
    .unwrap();
    // By the mover's longer time it is still there; and by its own, whatever the mover says.
    assert_eq!(undrained(&moving, SET, 1, LONG).await.unwrap().len(), 1);
    let patient = Uuid::new_v4();
    beat(&instance, &sign(patient, 0, 0)).await.unwrap();
    moving.run("UPDATE tidegate.flag_instance SET beat_at = beat_at - interval '1 minute'").await.unwrap();
    let left = undrained(&moving, SET, 1, short).await.unwrap();
    assert!(matches!(&left[..], [Blocker::Behind { instance, .. }] if instance.id == patient), "{left:?}");
}

#[tokio::test]
async fn after_the_first_move_of_a_new_set_those_who_may_not_have_found_it_are_waited_for() {
    let database = Cluster::shared().await.database("young").await;
    let moving = declared(&database).await;
    assert_eq!(undrained(&moving, SET, 1, LONG).await.unwrap(), []);
    committed(move_now(&moving, "mirrored", &mover(BOUND)).await);
    let blockers = undrained(&moving, SET, 2, LONG).await.unwrap();
    assert!(matches!(&blockers[..], [Blocker::Unheard { .. }]), "{blockers:?}");
    old_enough(&moving).await;
    moving.run("UPDATE tidegate.flag_set SET settled_at = now() - interval '1 hour'").await.unwrap();
    assert_eq!(undrained(&moving, SET, 2, LONG).await.unwrap(), []);
}

#[tokio::test]
async fn who_leaves_is_not_waited_for() {
    let database = Cluster::shared().await.database("leaves").await;
    let moving = declared(&database).await;
    let instance = session(&database.url()).await;
    let id = Uuid::new_v4();
    beat(&instance, &sign(id, 0, 0)).await.unwrap();
    assert_eq!(undrained(&moving, SET, 1, LONG).await.unwrap().len(), 1);
    leave(&instance, SET, id).await.unwrap();
    leave(&instance, SET, id).await.unwrap();
    assert_eq!(undrained(&moving, SET, 1, LONG).await.unwrap(), []);
}

#[tokio::test]
async fn a_sign_that_says_nothing_new_is_not_written_and_tells_the_age_of_the_one_that_stands() {
    let database = Cluster::shared().await.database("unwritten").await;
    let moving = declared(&database).await;
    let instance = session(&database.url()).await;
    let id = Uuid::new_v4();
    let lasting = Beat { rewrite_after: LONG, ..sign(id, 1, 1) };
    beat(&instance, &lasting).await.unwrap();
    moving.run("UPDATE tidegate.flag_instance SET beat_at = beat_at - interval '10 seconds'").await.unwrap();
    let version = "SELECT xmin FROM tidegate.flag_instance";
    let before = value(&moving, version).await;
    let answer = beat(&instance, &lasting).await.unwrap().unwrap();
    assert!(answer.age >= Duration::from_secs(10), "{answer:?}");
    assert_eq!(value(&moving, version).await, before);
    let answer = beat(&instance, &Beat { rewrite_after: Duration::ZERO, ..lasting }).await.unwrap().unwrap();
    assert!(answer.age < Duration::from_secs(10), "{answer:?}");
    assert_ne!(value(&moving, version).await, before);
}

#[tokio::test]
async fn a_newcomer_waits_for_a_mover_and_reads_the_new_row() {
    let database = Cluster::shared().await.database("newcomer").await;
    let moving = declared(&database).await;
    let (instance, observer) = (session(&database.url()).await, session(&database.url()).await);
    moving.run("BEGIN").await.unwrap();
    tidegate_flags::move_to(&moving, &crate::sets::accounts(), "mirrored", "a test").await.unwrap();
    let comes = sign(Uuid::new_v4(), 0, 0);
    let moved = async {
        eventually("the newcomer waits", BOUND, || async {
            let waiting = tidegate_flags::open_writers(&observer, SET).await.ok()?;
            waiting.iter().any(|writer| !writer.inside).then_some(())
        })
        .await
        .unwrap();
        moving.run("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::join!(beat(&instance, &comes), moved);
    assert_eq!(answer.unwrap().unwrap().row.epoch, 2);
}

#[tokio::test]
async fn an_unknown_set_and_missing_tables_are_told_apart() {
    let database = Cluster::shared().await.database("nothing").await;
    let nowhere = session(&database.url()).await;
    let comes = sign(Uuid::new_v4(), 0, 0);
    assert!(matches!(beat(&nowhere, &comes).await, Err(FlagsError::NotInstalled)));
    tidegate_flags::install(&nowhere).await.unwrap();
    assert_eq!(beat(&nowhere, &comes).await.unwrap(), None);
    assert_eq!(value(&nowhere, "SELECT count(*) FROM tidegate.flag_instance").await, "0");
}
