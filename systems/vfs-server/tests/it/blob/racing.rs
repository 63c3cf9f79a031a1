//! Requests at the same time: one of them happens, and what is left is whole.

use serde_json::json;
use tokio::task::JoinSet;

use super::world::World;

/// Rounds of each race.
const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_attaches_one_wins() {
    let world = World::with(27, &[("DATABASE_POOL_MAX", "20")]).await;
    let ann = world.user("ann").await;
    for round in 0..ROUNDS {
        let (stage, blob) = (format!("s{round}"), format!("b{round}"));
        assert_eq!(ann.stage(&stage, &blob, Some("aGk=")).await.status.as_u16(), 201);
        let mut asked = JoinSet::new();
        for at in 0..12 {
            let (ann, stage) = (ann.clone(), stage.clone());
            let item = if at % 2 == 0 { "file-1" } else { "file-2" };
            asked.spawn(async move { (item, ann.attach(&stage, &json!({ "itemId": item })).await) });
        }
        let replies = asked.join_all().await;
        let winners: Vec<&str> =
            replies.iter().filter(|(_, reply)| reply.status.as_u16() == 200).map(|(item, _)| *item).collect();
        // Requests that are identical to the winner's are told the same.
        assert_eq!(winners.len(), 6, "{replies:?}");
        assert!(winners.iter().all(|item| *item == winners[0]));
        for (_, reply) in replies.iter().filter(|(item, _)| *item != winners[0]) {
            assert_eq!(reply.refusal(), (409, "Blob staging is no longer attachable".into()));
        }
        assert_eq!(world.count(&format!("vfs_links WHERE child_id = '{blob}' AND id <> parent_id")).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attach_and_abandon_do_not_both_happen() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for round in 0..ROUNDS {
        let (stage, blob) = (format!("s{round}"), format!("b{round}"));
        assert_eq!(ann.stage(&stage, &blob, Some("aGk=")).await.status.as_u16(), 201);
        let body = json!({ "itemId": "file-1" });
        let (attached, abandoned) = tokio::join!(ann.attach(&stage, &body), ann.abandon(&stage));
        let (attached, abandoned) = (attached.status.as_u16(), abandoned.status.as_u16());
        assert!(matches!((attached, abandoned), (200, 409) | (409, 200)), "{attached} {abandoned}");
        let links = world.count(&format!("vfs_links WHERE child_id = '{blob}' AND id <> parent_id")).await;
        assert_eq!(links, i64::from(attached == 200));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_attached_has_its_object_and_what_is_deleted_is_not_attached() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for round in 0..ROUNDS {
        let (stage, blob) = (format!("s{round}"), format!("b{round}"));
        assert_eq!(ann.stage(&stage, &blob, Some("aGk=")).await.status.as_u16(), 201);
        let body = json!({ "itemId": "file-1" });
        let (attached, deleted) = tokio::join!(ann.attach(&stage, &body), ann.remove(&blob));
        let (attached, deleted) = (attached.status.as_u16(), deleted.status.as_u16());
        match (attached, deleted) {
            (200, 409) => assert_eq!(&ann.read(&blob).await.body[..], b"hi"),
            (404 | 409, 200) => assert_eq!(ann.read(&blob).await.status.as_u16(), 404),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_id_goes_to_one_user_and_keeps_that_users_bytes() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    for round in 0..5 * ROUNDS {
        let blob = format!("b{round}");
        let (of_ann, of_bob) =
            tokio::join!(ann.upload(&blob, "text/plain", "ann"), bob.upload(&blob, "text/plain", "bob"));
        let (winner, bytes, loser) = match (of_ann.status.as_u16(), of_bob.status.as_u16()) {
            (200, status) => (&ann, &b"ann"[..], status),
            (status, 200) => (&bob, &b"bob"[..], status),
            other => panic!("{other:?}"),
        };
        assert!(matches!(loser, 403 | 409), "{loser}");
        assert_eq!(&winner.read(&blob).await.body[..], bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_stage_at_the_same_time_is_one_stage() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for round in 0..ROUNDS {
        let (stage, blob) = (format!("s{round}"), format!("b{round}"));
        let (one, two) =
            tokio::join!(ann.stage(&stage, &blob, Some("aGk=")), ann.stage(&stage, &blob, Some("aGk=")));
        assert_eq!((one.status.as_u16(), two.status.as_u16()), (201, 201), "{one:?} {two:?}");
        assert_eq!(one.json(), two.json());
    }
}
