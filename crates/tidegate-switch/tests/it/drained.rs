//! What an instance says it has drained.

use testkit::Cluster;
use tidegate_flags::Blocker;
use tidegate_switch::{NotReady, Switch};

use crate::application::{BOUND, Operator, options, silent, start, until_seen, value};

#[tokio::test]
async fn an_epoch_is_drained_when_the_last_request_that_began_before_has_ended() {
    let database = Cluster::shared().await.database("requests").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    assert_eq!(operator.blockers(1).await, []);
    let (one, two) = (switch.request().unwrap(), switch.request().unwrap());
    operator.move_to("mirrored").await;
    until_seen(&switch, 2).await;
    let later = switch.request().unwrap();
    assert_eq!((one.epoch(), later.epoch()), (1, 2));
    one.finish().unwrap();
    let blockers = operator.blockers(2).await;
    assert!(matches!(&blockers[..], [Blocker::Behind { drained_epoch: 1, .. }]), "{blockers:?}");
    drop(two);
    operator.until_drained(2).await;
    assert_eq!(switch.metrics().in_flight, 1);
    later.finish().unwrap();
}

#[tokio::test]
async fn all_of_several_instances_must_drain() {
    let database = Cluster::shared().await.database("several").await;
    let operator = Operator::of(&database).await;
    let mut switches = Vec::new();
    for number in 0..5 {
        let mut named = options(&database.url(), silent());
        named.name = format!("app {number}");
        switches.push(Switch::start(named).await);
    }
    let open = switches[3].request().unwrap();
    operator.move_to("mirrored").await;
    for switch in &switches {
        until_seen(switch, 2).await;
    }
    // The others drain; the one is named.
    testkit::eventually("the others have drained", BOUND, || async {
        (operator.blockers(2).await.len() == 1).then_some(())
    })
    .await
    .unwrap();
    assert!(operator.blockers(2).await[0].to_string().starts_with("instance app 3 "));
    open.finish().unwrap();
    operator.until_drained(2).await;
}

#[tokio::test]
async fn an_instance_that_ends_waits_for_its_requests_and_is_then_not_waited_for() {
    let database = Cluster::shared().await.database("ends").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let open = switch.request().unwrap();
    assert_eq!(switch.stop(std::time::Duration::from_millis(50)).await, 1);
    assert_eq!(switch.request().unwrap_err(), NotReady::Stopping);
    operator.move_to("mirrored").await;
    assert_eq!(operator.blockers(2).await.len(), 1);
    open.finish().unwrap();
    assert_eq!(switch.stop(BOUND).await, 0);
    assert_eq!(operator.blockers(2).await, []);
    assert_eq!(value(&operator.session, "SELECT count(*) FROM tidegate.flag_instance").await, "0");
    assert_eq!(switch.stop(BOUND).await, 0);
}

#[tokio::test]
async fn a_switch_that_is_dropped_leaves() {
    let database = Cluster::shared().await.database("dropped").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let clone = switch.clone();
    drop(switch);
    assert_eq!(value(&operator.session, "SELECT count(*) FROM tidegate.flag_instance").await, "1");
    clone.request().unwrap().finish().unwrap();
    drop(clone);
    testkit::eventually("the instance has left", BOUND, || async {
        let sql = "SELECT count(*) FROM tidegate.flag_instance";
        (value(&operator.session, sql).await == "0").then_some(())
    })
    .await
    .unwrap();
}
