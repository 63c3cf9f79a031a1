//! What one connection or one user may take of an instance: heads that come slowly, uploads, snapshots.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use vfs_server::db::Trouble;
use vfs_server::snapshot::snapshot;

use crate::ground::{Asker, BOUND, Ground, Service, Town, link};

/// One instance with these variables.
async fn town(more: &[(&str, &str)]) -> Town {
    let ground = Ground::new().await;
    let service = Service::start(&ground, "one", more).await;
    Town { ground, services: vec![service] }
}

/// A connection of somebody's own to the first instance.
async fn connect(town: &Town) -> TcpStream {
    TcpStream::connect(town.services[0].base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// What comes on a connection within a time; `None`: nothing does.
async fn heard(stream: &mut TcpStream, within: Duration) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4_096];
    match timeout(within, stream.read(&mut bytes)).await {
        Err(_) => None,
        Ok(Err(_)) => Some(Vec::new()),
        Ok(Ok(length)) => Some(bytes[..length].to_vec()),
    }
}

#[tokio::test]
async fn a_connection_whose_head_comes_slowly_is_closed_and_a_slow_body_is_not() {
    let town = town(&[("HTTP_HEAD_TIMEOUT_MS", "400")]).await;
    let pause = Duration::from_millis(50);
    let mut slow = connect(&town).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut letters = 0;
    let closed = loop {
        assert!(letters < 200, "a head that never ends keeps its connection");
        letters += 1;
        if slow.write_all(b"a").await.is_err() {
            break true;
        }
        if let Some(told) = heard(&mut slow, pause).await {
            break told.is_empty();
        }
    };
    assert!(closed && letters > 2, "{letters}");
    // Nobody asks a second time on a connection that says nothing for so long.
    let mut idle = connect(&town).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(heard(&mut idle, BOUND).await.unwrap().starts_with(b"HTTP/1.1 200"));
    assert_eq!(heard(&mut idle, BOUND).await, Some(Vec::new()));
    // The body may take longer than the head.
    let ada = town.user("ada").await;
    let body = json!({ "id": "slow", "objectType": "file", "encryptedSessionKey": "k" }).to_string();
    let (first, rest) = body.split_at(10);
    let mut patient = connect(&town).await;
    patient.write_all(head(&ada, "POST", "/v1/vfs/register", body.len()).as_bytes()).await.unwrap();
    patient.write_all(first.as_bytes()).await.unwrap();
    assert_eq!(heard(&mut patient, Duration::from_secs(1)).await, None);
    patient.write_all(rest.as_bytes()).await.unwrap();
    assert!(heard(&mut patient, BOUND).await.unwrap().starts_with(b"HTTP/1.1 201"));
}

fn head(asker: &Asker, method: &str, path: &str, length: usize) -> String {
    let (_, token) = asker.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn an_instance_takes_so_many_uploads_at_a_time_and_says_when_to_come_again() {
    let folder = std::env::temp_dir().join(format!("vfs-uploads-{}", std::process::id()));
    let root = folder.display().to_string();
    let variables = [
        ("VFS_BLOB_STORE_PROVIDER", "file"),
        ("VFS_BLOB_FILE_ROOT", root.as_str()),
        ("VFS_BLOB_UPLOADS_MAX", "1"),
    ];
    let town = town(&variables).await;
    let ada = town.user("ada").await;
    let put =
        async |id: &str| ada.ask("PUT", &format!("/v1/vfs/blobs/{id}/content"), Some(b"hi".to_vec())).await;
    put("before").await.good();
    let mut slow = connect(&town).await;
    slow.write_all(head(&ada, "PUT", "/v1/vfs/blobs/slow/content", 4).as_bytes()).await.unwrap();
    slow.write_all(b"ab").await.unwrap();
    let refused = eventually("an upload is refused", BOUND, || async {
        let answer = put("meanwhile").await;
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.await.unwrap();
    assert_eq!(refused.refusal(), (503, "Too many uploads"));
    assert_eq!(refused.header("retry-after"), Some("5"));
    // Reads and stages with bytes inline go on.
    assert_eq!(ada.get("/v1/vfs/blobs/before").await.status, 200);
    slow.write_all(b"cd").await.unwrap();
    assert!(heard(&mut slow, BOUND).await.unwrap().starts_with(b"HTTP/1.1 200"));
    put("after").await.good();
    // Whoever goes away leaves the place.
    let mut gone = connect(&town).await;
    gone.write_all(head(&ada, "PUT", "/v1/vfs/blobs/gone/content", 4).as_bytes()).await.unwrap();
    drop(gone);
    eventually("the place is free again", BOUND, || async {
        (put("later").await.status == 200).then_some(())
    })
    .await
    .unwrap();
    drop(town);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_two_snapshots_at_a_time_and_others_have_theirs() {
    let town = town(&[]).await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    ada.register("file").await;
    let mut other = town.ground.database.client().await;
    let holding = other.transaction().await.unwrap();
    holding.batch_execute("LOCK TABLE vfs_crdt_replica_heads IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let ask = |asker: &Asker| {
        let asker = asker.clone();
        tokio::spawn(async move { asker.get("/v1/vfs/crdt/snapshot").await })
    };
    let waiting = async |count: i64| {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("snapshots wait", BOUND, || async {
            (town.ground.text(sql).await.parse::<i64>().unwrap() == count).then_some(())
        })
        .await
        .unwrap();
    };
    let open = [ask(&ada), ask(&ada)];
    waiting(2).await;
    let third = ada.get("/v1/vfs/crdt/snapshot").await;
    assert_eq!(third.refusal(), (503, "Too many snapshots"));
    assert_eq!(third.header("retry-after"), Some("2"));
    let of_bob = ask(&bob);
    waiting(3).await;
    holding.rollback().await.unwrap();
    for snapshot in open.into_iter().chain([of_bob]) {
        snapshot.await.unwrap().good();
    }
    ada.get("/v1/vfs/crdt/snapshot").await.good();
}

#[tokio::test]
async fn a_snapshot_has_no_more_rows_than_it_may_and_is_never_cut_short() {
    let town = town(&[]).await;
    let ada = town.user("ada").await;
    for item in ["one", "two", "three"] {
        ada.register(item).await;
    }
    let places: Vec<_> =
        (1..).zip(["one", "two", "three"]).map(|(n, item)| link("a", n, item, "p")).collect();
    ada.push("a", &places).await;
    let session = town.ground.session().await;
    // The head, three links, one clock, one replica.
    let whole = snapshot(&session, "ada", Some("a"), 6).await.unwrap();
    assert_eq!(whole.replay_snapshot.links.len(), 3);
    let refused = snapshot(&session, "ada", Some("a"), 5).await.unwrap_err();
    assert!(matches!(refused, Trouble::Broken(_)), "{refused}");
    let answer = refused.or("Failed to snapshot VFS CRDT state");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
