//! The environment: the rule without tables, an expectation with them.

use testkit::{Cluster, eventually};
use tidegate_flags::{Blocker, declare, install};
use tidegate_store::postgres::{Failure, FailureKind, Session};
use tidegate_switch::{NotReady, Side, Snapshot, Switch};

use crate::application::{
    BOUND, Operator, accounts, committed, options, rolled_back, says, session, silent, start, until_seen,
    went_by,
};

async fn write(switch: &Switch, session: &Session) -> String {
    let outcome = switch.write(session, "write", async |_: &Session, snapshot: &Snapshot| {
        Ok::<_, Failure>(went_by(snapshot))
    });
    committed(outcome.await)
}

#[tokio::test]
async fn without_tables_the_environment_rules() {
    let database = Cluster::shared().await.database("env_only").await;
    let switch = start(&database, says([true, false, true])).await;
    switch.ready().unwrap();
    let request = switch.request().unwrap();
    assert_eq!(
        (request.epoch(), request.stage().reads, request.stage().mirror),
        (0, Side::New, Some(Side::New))
    );
    assert_eq!((request.is_on("writes"), request.is_on("other")), (Some(false), None));
    request.finish().unwrap();
    let session = session(&database.url()).await;
    assert_eq!(write(&switch, &session).await, "environment 0");
    assert_eq!(switch.metrics().writes.get("environment"), Some(&1));
}

#[tokio::test]
async fn tables_that_appear_are_obeyed_by_the_next_write_and_by_requests_at_the_next_sign() {
    let database = Cluster::shared().await.database("appear").await;
    // The next sign is so far away that only the write can find the tables first.
    let mut slow = options(&database.url(), silent());
    slow.lost_after = std::time::Duration::from_secs(600);
    slow.beat = std::time::Duration::from_secs(10);
    let switch = Switch::start(slow).await;
    let session = session(&database.url()).await;
    assert_eq!(write(&switch, &session).await, "environment 0");
    let open = switch.request().unwrap();
    let operator = Operator::of(&database).await;
    assert_eq!(operator.move_to("mirrored").await, 2);
    assert_eq!(write(&switch, &session).await, "mirrored 2");
    // The write gave word that there is news, and the request by the environment keeps the epoch from being drained.
    until_seen(&switch, 2).await;
    let blockers = operator.blockers(2).await;
    assert!(matches!(&blockers[..], [Blocker::Behind { drained_epoch: 0, .. }]), "{blockers:?}");
    assert_eq!(open.epoch(), 0);
    open.finish().unwrap();
    operator.until_drained(2).await;
}

#[tokio::test]
async fn functions_without_the_set_leave_the_rule_to_the_environment() {
    let database = Cluster::shared().await.database("undeclared").await;
    let operator = session(&database.url()).await;
    install(&operator).await.unwrap();
    let switch = start(&database, silent()).await;
    let writer = session(&database.url()).await;
    assert_eq!(write(&switch, &writer).await, "environment 0");
    operator.run("DROP SCHEMA tidegate CASCADE").await.unwrap();
    assert_eq!(write(&switch, &writer).await, "environment 0");
    switch.ready().unwrap();
    install(&operator).await.unwrap();
    declare(&operator, &accounts()).await.unwrap();
    assert_eq!(write(&switch, &writer).await, "v1 1");
}

#[tokio::test]
async fn tables_that_ruled_and_went_away_stop_writes_and_then_requests() {
    let database = Cluster::shared().await.database("vanish").await;
    let operator = Operator::of(&database).await;
    let mut short = options(&database.url(), silent());
    short.lost_after = std::time::Duration::from_millis(500);
    let switch = Switch::start(short).await;
    assert_eq!(switch.request().unwrap().epoch(), 1);
    operator.session.run("DROP SCHEMA tidegate CASCADE").await.unwrap();
    let writer = session(&database.url()).await;
    let outcome =
        switch.write(&writer, "write", async |_: &Session, _: &Snapshot| Ok::<_, Failure>(())).await;
    assert!(tidegate_flags::is_missing(&rolled_back(outcome)));
    install(&operator.session).await.unwrap();
    let outcome =
        switch.write(&writer, "write", async |_: &Session, _: &Snapshot| Ok::<_, Failure>(())).await;
    assert!(rolled_back(outcome).to_string().contains("is no longer in the database"));
    let refused =
        eventually("requests are refused", BOUND, || async { switch.request().err() }).await.unwrap();
    assert!(
        refused.to_string().contains("the flag set that ruled is no longer in the database"),
        "{refused}"
    );
}

#[tokio::test]
async fn tables_that_this_role_may_not_use_do_not_leave_the_rule_to_the_environment() {
    let cluster = Cluster::shared().await;
    cluster.role("switch_app").await.unwrap();
    let database = cluster.database("ungranted").await;
    let operator = Operator::of(&database).await;
    let switch = Switch::start(options(&database.url_for("switch_app"), silent())).await;
    let refused = switch.request().unwrap_err();
    assert!(matches!(&refused, NotReady::NotYet { last: Some(_), .. }), "{refused:?}");
    assert!(refused.to_string().contains("permission denied"), "{refused}");
    let writer = session(&database.url_for("switch_app")).await;
    let outcome =
        switch.write(&writer, "write", async |_: &Session, _: &Snapshot| Ok::<_, Failure>(())).await;
    assert_eq!(rolled_back(outcome).kind(), FailureKind::PermissionDenied);
    tidegate_flags::grant(&operator.session, crate::application::SET, "switch_app").await.unwrap();
    eventually("it serves", BOUND, || async { switch.request().ok() }).await.unwrap().finish().unwrap();
    assert_eq!(write(&switch, &writer).await, "v1 1");
}

#[tokio::test]
async fn an_environment_that_contradicts_the_row_is_named_not_ready_and_blocks_moves() {
    let database = Cluster::shared().await.database("override").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, says([true, false, false])).await;
    let not_ready = switch.ready().unwrap_err();
    assert!(matches!(not_ready, NotReady::Override { .. }));
    assert!(not_ready.to_string().contains("reads is true there and false in row 'v1'"), "{not_ready}");
    // Requests that come all the same go by the row.
    assert_eq!(switch.request().unwrap().stage().reads, Side::Old);
    let named = eventually("the override is reported", BOUND, || async {
        operator.blockers(1).await.into_iter().find(|blocker| matches!(blocker, Blocker::Override { .. }))
    })
    .await
    .unwrap();
    assert!(named.to_string().starts_with("instance app (7, last heard"), "{named}");
    assert!(switch.metrics().overriding);
    switch.stop(BOUND).await;
    assert_eq!(operator.blockers(1).await, []);
}

#[tokio::test]
async fn an_environment_that_agreed_at_the_start_is_no_override_after_later_moves() {
    let database = Cluster::shared().await.database("agreed").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, says([false, false, false])).await;
    switch.ready().unwrap();
    operator.move_to("mirrored").await;
    until_seen(&switch, 2).await;
    switch.ready().unwrap();
    operator.until_drained(2).await;
    // Started again as it was, it contradicts the row.
    let again = start(&database, says([false, false, false])).await;
    assert!(matches!(again.ready(), Err(NotReady::Override { .. })));
    operator.move_to("v1").await;
    until_seen(&again, 3).await;
    again.ready().unwrap();
    let unset = start(&database, silent()).await;
    unset.ready().unwrap();
}

#[tokio::test]
async fn a_set_that_is_no_switch_set_is_asked_by_its_columns() {
    let database = Cluster::shared().await.database("alias").await;
    let operator = session(&database.url()).await;
    install(&operator).await.unwrap();
    let mut alias = accounts();
    alias.name = "alias".to_owned();
    alias.columns = vec!["accept_workspace_id".to_owned()];
    alias.rows.truncate(2);
    alias.rows[0].values = vec![true];
    alias.rows[1].values = vec![false];
    alias.moves.clear();
    declare(&operator, &alias).await.unwrap();
    let mut of_alias =
        options(&database.url(), tidegate_switch::Environment::of(&[("accept_workspace_id", true)]));
    of_alias.set = "alias".to_owned();
    let switch = Switch::start(of_alias).await;
    let request = switch.request().unwrap();
    assert_eq!((request.epoch(), request.is_on("accept_workspace_id")), (1, Some(true)));
    assert_eq!(request.stage(), tidegate_switch::Stage::OLD);
}
