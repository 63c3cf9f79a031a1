//! Others' sessions: seen, blamed and ended.

use std::time::Duration;

use testkit::{Cluster, eventually};
use tidegate_store::postgres::sessions::{
    Activity, blockers_of, end, end_by_application, end_by_prefix, of_this_database,
};
use tidegate_store::postgres::{FailureKind, Session};

use crate::door::{BOUND, address, session};

async fn named(url: &str, name: &str) -> Session {
    Session::connect(&address(url), name).await.unwrap()
}

#[tokio::test]
async fn the_blocker_of_a_waiting_backend_is_named() {
    let database = Cluster::shared().await.database("blocked").await;
    database.execute("CREATE TABLE t (a int)").await;
    let watcher = session(&database.url()).await;
    let holder = named(&database.url(), "the holder").await;
    let waiter = named(&database.url(), "the waiter").await;
    let (holder_pid, waiter_pid) = (holder.backend_pid().await.unwrap(), waiter.backend_pid().await.unwrap());
    assert_eq!(blockers_of(&watcher, waiter_pid).await.unwrap(), []);
    holder.run("BEGIN; LOCK TABLE t").await.unwrap();
    let waiting = async { waiter.run("BEGIN; LOCK TABLE t").await };
    let watching = async {
        let blockers = eventually("somebody blocks", BOUND, || async {
            let blockers = blockers_of(&watcher, waiter_pid).await.unwrap();
            (!blockers.is_empty()).then_some(blockers)
        })
        .await
        .unwrap();
        let others = of_this_database(&watcher).await.unwrap();
        holder.run("ROLLBACK").await.unwrap();
        (blockers, others)
    };
    let (_granted, (blockers, others)) = tokio::join!(waiting, watching);
    assert_eq!(blockers.len(), 1);
    let blocker = &blockers[0];
    assert_eq!(blocker.pid, holder_pid);
    assert_eq!(blocker.user.as_deref(), Some("postgres"));
    assert_eq!(blocker.application_name.as_deref(), Some("the holder"));
    assert_eq!(blocker.database.as_deref(), Some(database.name()));
    assert_eq!(blocker.client_address.as_deref(), Some("127.0.0.1"));
    assert_eq!(blocker.activity, Some(Activity::IdleInTransaction));
    assert!(blocker.transaction_age >= blocker.activity_age && blocker.activity_age.is_some());
    assert_eq!(blocker.query_head.as_deref(), Some("BEGIN; LOCK TABLE t"));
    let waiter_seen = others.iter().find(|backend| backend.pid == waiter_pid).unwrap();
    assert_eq!(waiter_seen.waits_for.as_deref(), Some("Lock: relation"));
    assert_eq!(others.len(), 2, "all but the one who asks: {others:?}");
}

#[tokio::test]
async fn backends_are_ended_by_the_beginning_of_their_name_and_are_gone() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("ended").await;
    let elsewhere = cluster.database("elsewhere").await;
    let me = named(&database.url(), "run 7 me").await;
    let busy = named(&database.url(), "run 7 busy").await;
    let idle = named(&database.url(), "run 7 idle").await;
    let other_run = named(&database.url(), "run 70").await;
    let other_database = named(&elsewhere.url(), "run 7 elsewhere").await;
    let running = async { busy.run("SELECT pg_sleep(600)").await };
    let ending = async {
        let outcome = end_by_prefix(&me, "run 7 ", BOUND).await.unwrap();
        assert_eq!(outcome.ended.len(), 2, "{outcome:?}");
        assert!(outcome.lingering.is_empty() && outcome.refused.is_empty());
    };
    let (stopped, ()) = tokio::join!(running, ending);
    assert_eq!(stopped.unwrap_err().kind(), FailureKind::ServerShuttingDown);
    assert!(idle.run("SELECT 1").await.is_err());
    assert!(other_run.run("SELECT 1").await.is_ok());
    assert!(other_database.run("SELECT 1").await.is_ok());
    assert_eq!(end_by_application(&me, "run 7 ", BOUND).await.unwrap(), 0, "nobody is left to end");
    let left = of_this_database(&me).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].application_name.as_deref(), Some("run 70"));
    let refused = end_by_prefix(&me, "", BOUND).await.unwrap_err();
    assert!(refused.message().contains("empty"), "{refused}");
    assert!(other_run.run("SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_pid_that_belongs_to_another_backend_by_now_is_left_alone() {
    let database = Cluster::shared().await.database("reused").await;
    let me = session(&database.url()).await;
    let victim = named(&database.url(), "victim").await;
    let mut backend = of_this_database(&me).await.unwrap().remove(0);
    assert_eq!(backend.application_name.as_deref(), Some("victim"));
    backend.started_at_us = backend.started_at_us.map(|at| at - 1);
    let outcome = end(&me, vec![backend], Duration::ZERO).await.unwrap();
    assert_eq!(outcome.ended.len(), 1, "the one that was meant is gone");
    assert!(victim.run("SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_role_without_privileges_sees_little_and_ends_nobody() {
    let cluster = Cluster::shared().await;
    cluster.role("bystander").await.unwrap();
    cluster.role("worker").await.unwrap();
    let database = cluster.database("bystander").await;
    let worker = named(&database.url_for("worker"), "work").await;
    let bystander = named(&database.url_for("bystander"), "look").await;
    let others = of_this_database(&bystander).await.unwrap();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].pid, worker.backend_pid().await.unwrap());
    assert_eq!(others[0].user.as_deref(), Some("worker"));
    assert_eq!(
        (others[0].activity, others[0].query_head.as_deref()),
        (None, Some("<insufficient privilege>"))
    );
    let outcome = end(&bystander, others, BOUND).await.unwrap();
    assert_eq!((outcome.ended.len(), outcome.refused.len()), (0, 1));
    assert!(worker.run("SELECT 1").await.is_ok());
}
