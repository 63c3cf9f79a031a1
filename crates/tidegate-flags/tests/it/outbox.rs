//! Writes that the other side has not got.

use std::time::Duration;

use testkit::{Cluster, eventually};
use tidegate_flags::outbox::{Put, Taken, apply, behind, done, put, refused, take};
use tidegate_flags::{Side, outbox_open};
use tidegate_store::postgres::Session;

use crate::sets::{BOUND, SET, declared, session};

fn write(key: &'static str, payload: Option<&'static str>) -> Put<'static> {
    Put { side: Side::New, record: "account", key, payload, epoch: 1 }
}

async fn taken(session: &Session) -> Vec<Taken> {
    take(session, SET, 10, Duration::ZERO).await.unwrap()
}

fn payloads(taken: &[Taken]) -> Vec<(&str, Option<&str>)> {
    taken.iter().map(|write| (&*write.key, write.payload.as_deref())).collect()
}

#[tokio::test]
async fn each_keys_writes_come_in_order_and_others_do_not_wait_for_them() {
    let database = Cluster::shared().await.database("order").await;
    let session = declared(&database).await;
    for (key, payload) in [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("a", None)] {
        put(&session, SET, &write(key, payload)).await.unwrap();
    }
    assert_eq!(outbox_open(&session, SET).await.unwrap(), 4);
    let first = taken(&session).await;
    assert_eq!(payloads(&first), [("a", Some("1")), ("b", Some("1"))]);
    assert_eq!(done(&session, &[first[0].id]).await.unwrap(), 1);
    assert_eq!(payloads(&taken(&session).await), [("b", Some("1")), ("a", Some("2"))]);
    let how = behind(&session, SET).await.unwrap();
    assert_eq!((how.writes, how.keys, how.refused), (3, 2, 0));
    assert!(how.oldest.is_some());
}

#[tokio::test]
async fn what_one_has_taken_the_others_leave_out() {
    let database = Cluster::shared().await.database("shared_out").await;
    let one = declared(&database).await;
    let two = session(&database.url()).await;
    for key in ["a", "b"] {
        put(&one, SET, &write(key, Some("1"))).await.unwrap();
        put(&one, SET, &write(key, Some("2"))).await.unwrap();
    }
    one.run("BEGIN").await.unwrap();
    let of_one = take(&one, SET, 1, Duration::ZERO).await.unwrap();
    two.run("BEGIN").await.unwrap();
    let of_two = taken(&two).await;
    assert_eq!(payloads(&of_one), [("a", Some("1"))]);
    assert_eq!(payloads(&of_two), [("b", Some("1"))]);
}

#[tokio::test]
async fn ids_of_one_key_grow_in_commit_order() {
    let database = Cluster::shared().await.database("commit_order").await;
    let one = declared(&database).await;
    let (two, observer) = (session(&database.url()).await, session(&database.url()).await);
    one.run("BEGIN").await.unwrap();
    let first = put(&one, SET, &write("a", Some("1"))).await.unwrap();
    put(&two, SET, &write("b", Some("elsewhere"))).await.unwrap();
    let later = write("a", Some("2"));
    let commits = async {
        eventually("the second writer waits", BOUND, || async {
            let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
            (crate::sets::value(&observer, sql).await == "1").then_some(())
        })
        .await
        .unwrap();
        one.run("COMMIT").await.unwrap();
    };
    let (second, ()) = tokio::join!(put(&two, SET, &later), commits);
    assert!(second.unwrap() > first);
}

#[tokio::test]
async fn a_second_delivery_is_told_and_an_older_write_never_comes_after_a_newer_one() {
    let database = Cluster::shared().await.database("twice").await;
    let session = declared(&database).await;
    for payload in ["1", "2"] {
        put(&session, SET, &write("a", Some(payload))).await.unwrap();
    }
    let first = taken(&session).await.remove(0);
    done(&session, &[first.id]).await.unwrap();
    let second = taken(&session).await.remove(0);
    assert!(apply(&session, "here", &first).await.unwrap());
    assert!(!apply(&session, "here", &first).await.unwrap());
    assert!(apply(&session, "here", &second).await.unwrap());
    assert!(!apply(&session, "here", &first).await.unwrap());
    assert!(apply(&session, "elsewhere", &first).await.unwrap());
}

#[tokio::test]
async fn a_refused_write_stays_and_is_left_alone_for_a_while() {
    let database = Cluster::shared().await.database("refused").await;
    let session = declared(&database).await;
    for (key, payload) in [("a", "1"), ("a", "2"), ("b", "1")] {
        put(&session, SET, &write(key, Some(payload))).await.unwrap();
    }
    let first = taken(&session).await.remove(0);
    refused(&session, first.id, "no such column").await.unwrap();
    let left = take(&session, SET, 10, BOUND).await.unwrap();
    assert_eq!(payloads(&left), [("b", Some("1"))]);
    let again = taken(&session).await;
    assert_eq!((again[0].id, again[0].attempts), (first.id, 1));
    assert_eq!(behind(&session, SET).await.unwrap().refused, 1);
}
