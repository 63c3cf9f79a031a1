//! An instance that cannot reach the database, or stands still.

use std::time::Duration;

use testkit::{Cluster, Program, Proxy, eventually};
use tidegate_switch::{NotReady, Switch};

use crate::application::{BOUND, Operator, options, session, silent, value};

/// After so long an instance is gone in these tests.
const LOST_AFTER: Duration = Duration::from_millis(1000);

/// The variable by which a test of ours knows that it is the process to be stopped.
const CHILD: &str = "TIDEGATE_SWITCH_CHILD";

#[tokio::test]
async fn who_cannot_reach_the_database_refuses_before_others_take_it_for_gone() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("outage").await;
    let operator = Operator::of(&database).await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let mut short = options(&database.url_at(proxy.port(), "postgres"), silent());
    short.lost_after = LOST_AFTER;
    let switch = Switch::start(short).await;
    let open = switch.request().unwrap();
    operator.move_to("mirrored").await;
    proxy.outage().await.unwrap();
    // Whenever the operator sees it gone, it must refuse already.
    eventually("the instance is gone", BOUND, || async {
        let gone = operator.blockers(2).await.is_empty();
        let refuses = switch.request().is_err();
        assert!(refuses || !gone, "taken for gone while it serves");
        gone.then_some(())
    })
    .await
    .unwrap();
    let refused = switch.request().unwrap_err();
    assert!(matches!(&refused, NotReady::LeaseLost { last: Some(_), .. }), "{refused:?}");
    assert!(switch.ready().is_err());
    proxy.resume().await.unwrap();
    eventually("it serves again", BOUND, || async { switch.request().ok() }).await.unwrap().finish().unwrap();
    // What began before must not answer although the lease is back.
    open.finish().unwrap_err();
    assert_eq!(switch.snapshot().epoch(), 2);
    let metrics = switch.metrics();
    assert!(metrics.lapses == 1 && metrics.refused >= 1 && metrics.beat_failures >= 1, "{metrics:?}");
}

#[tokio::test]
async fn who_has_never_reached_the_database_takes_no_request_and_says_why() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("never").await;
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    proxy.refuse().await.unwrap();
    let switch = Switch::start(options(&database.url_at(proxy.port(), "postgres"), silent())).await;
    let refused = switch.request().unwrap_err();
    assert!(matches!(&refused, NotReady::NotYet { last: Some(_), .. }), "{refused:?}");
    proxy.resume().await.unwrap();
    eventually("it serves", BOUND, || async { switch.request().ok() }).await.unwrap().finish().unwrap();
}

#[tokio::test]
async fn a_process_that_stood_still_while_others_went_on_does_not_answer() {
    let database = Cluster::shared().await.database("sigstop").await;
    database.execute("CREATE TABLE go (); CREATE TABLE ended (how text)").await;
    let operator = Operator::of(&database).await;
    let program = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "lease::child_that_is_stopped", "--nocapture"])
        .env(CHILD, database.url());
    let mut child = program.start().unwrap();
    child.until_stdout("request open", BOUND).await.unwrap();
    child.freeze().unwrap();
    operator.move_to("mirrored").await;
    operator.until_drained(2).await;
    operator.session.run("INSERT INTO go DEFAULT VALUES").await.unwrap();
    child.thaw().unwrap();
    let outcome = child.wait(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert_eq!(value(&operator.session, "SELECT how FROM ended").await, "stale");
}

/// The process of the test above; by itself it has nothing to show.
#[tokio::test]
async fn child_that_is_stopped() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let mut short = options(&url, silent());
    short.lost_after = LOST_AFTER;
    let switch = Switch::start(short).await;
    let request = switch.request().unwrap();
    assert_eq!(request.epoch(), 1);
    println!("request open");
    let session = session(&url).await;
    eventually("it is told to go on", BOUND, || async {
        (value(&session, "SELECT count(*) FROM go").await == "1").then_some(())
    })
    .await
    .unwrap();
    // It serves again by now, or soon; the request that stood still is over all the same.
    eventually("it serves again", BOUND, || async { switch.request().ok() }).await.unwrap().finish().unwrap();
    let how = if request.finish().is_err() { "stale" } else { "answered" };
    session.run(&format!("INSERT INTO ended VALUES ('{how}')")).await.unwrap();
    switch.stop(BOUND).await;
}
