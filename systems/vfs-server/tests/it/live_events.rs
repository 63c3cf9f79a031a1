//! The stream of changes: who is told, of what, from where, and how it ends.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::ground::{Asker, BOUND, Town, cursor_of, link};

/// An open stream.
struct Events {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _write: OwnedWriteHalf,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Json,
}

impl Events {
    /// Opens a stream at one instance.
    async fn open(asker: &Asker, base: &str, query: &str, more: &str) -> Events {
        let place = base.trim_start_matches("http://");
        let (read, mut write) = TcpStream::connect(place).await.unwrap().into_split();
        let token = &asker.headers[0].1;
        let request = format!(
            "GET /v1/vfs/events{query} HTTP/1.1\r\nhost: {place}\r\nauthorization: {token}\r\n{more}\r\n"
        );
        write.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        let first = timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
        assert_eq!(first, "HTTP/1.1 200 OK");
        let mut kind = String::new();
        loop {
            let line = timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-type: ") {
                value.clone_into(&mut kind);
            }
        }
        assert_eq!(kind, "text/event-stream");
        Events { lines, _write: write }
    }

    /// The next event; `None`: the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: String::new(), data: Json::Null };
        loop {
            let line = timeout(BOUND, self.lines.next_line()).await.expect("an event in time").ok()??;
            // The last of the chunks; the connection may stay.
            if line == "0" {
                return None;
            }
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut event.name);
            } else if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(&mut event.id);
            } else if let Some(data) = line.strip_prefix("data: ") {
                event.data = serde_json::from_str(data).unwrap();
                return Some(event);
            }
        }
    }

    /// Whether nothing comes for a while.
    async fn is_silent(&mut self, within: Duration) -> bool {
        timeout(within, self.next()).await.is_err()
    }
}

#[tokio::test]
async fn whoever_may_see_a_change_is_told_at_every_instance_and_nobody_else() {
    let town = Town::new().await;
    let (ada, bob, eve) = (town.user("ada").await, town.user("bob").await, town.user("eve").await);
    ada.register("file").await;
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_acl_entries (id, item_id, principal_type, principal_id, access_level, created_at, updated_at)
             VALUES ('share:1', 'file', 'user', 'bob', 'read', now(), now())",
        )
        .await;
    let (one, two) = (&town.services[0].base, &town.services[1].base);
    let mut of_bob = Events::open(&bob, one, "", "").await;
    let mut of_ada = Events::open(&ada, two, "", "").await;
    let mut of_eve = Events::open(&eve, one, "", "").await;
    for events in [&mut of_bob, &mut of_ada, &mut of_eve] {
        let open = events.next().await.unwrap();
        assert_eq!((open.name.as_str(), &open.data), ("open", &json!({ "feedEpoch": 1 })));
    }
    for write in 1..=3 {
        assert_eq!(ada.push("a", &[link("a", write, "file", "p")]).await, ["applied"]);
        let newest = cursor_of(ada.pull_all(None, 500).await.0.last().unwrap());
        for events in [&mut of_bob, &mut of_ada] {
            let change = events.next().await.unwrap();
            assert_eq!(change.name, "change");
            assert_eq!(change.data, json!({ "feedEpoch": 1, "crdt": newest, "sync": null }));
        }
    }
    ada.register("other").await;
    let change = of_ada.next().await.unwrap();
    assert_eq!((&change.data["crdt"], change.data["sync"].is_string()), (&Json::Null, true));
    assert!(of_bob.is_silent(Duration::from_millis(1_500)).await);
    assert!(of_eve.is_silent(Duration::from_millis(10)).await);
    // To lose an item is to be told so.
    town.ground.database.execute("UPDATE vfs_acl_entries SET revoked_at = now()").await;
    assert!(of_bob.next().await.unwrap().data["crdt"].is_string());
}

#[tokio::test]
async fn a_stream_goes_on_where_the_last_one_ended() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let base = &town.services[0].base;
    let mut events = Events::open(&ada, base, "", "").await;
    let open = events.next().await.unwrap();
    drop(events);
    ada.push("a", &[link("a", 1, "file", "p")]).await;
    let newest = cursor_of(ada.pull_all(None, 500).await.0.last().unwrap());
    let resumed = format!("last-event-id: {}\r\n", open.id);
    let mut events = Events::open(&ada, &town.services[1].base, "", &resumed).await;
    assert_eq!(events.next().await.unwrap().id, open.id);
    let change = events.next().await.unwrap();
    assert_eq!(change.data["crdt"], json!(newest));
    // What the event is named by is at its change or behind it.
    let mut events = Events::open(&ada, base, &format!("?cursor={}", change.id), "").await;
    events.next().await.unwrap();
    assert!(events.is_silent(Duration::from_millis(1_500)).await);
    for (query, header) in [("?cursor=x", ""), ("", "x")] {
        let answer = ada.with("last-event-id", header).get(&format!("/v1/vfs/events{query}")).await;
        assert_eq!(answer.refusal(), (400, "Invalid cursor"));
    }
}

#[tokio::test]
async fn changes_are_told_soon_and_also_where_nothing_can_be_heard() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let mut events = Events::open(&ada, &town.services[0].base, "", "").await;
    events.next().await.unwrap();
    let mut took = Vec::new();
    for write in 1..=40 {
        let operations = [link("a", write, "file", "p")];
        let pushed = ada.push("a", &operations);
        let (_, told) = tokio::join!(pushed, async {
            let started = Instant::now();
            events.next().await.unwrap();
            started.elapsed()
        });
        took.push(told);
    }
    took.sort();
    println!("from the push's beginning to the event: p50 {:?}, most {:?}", took[20], took[39]);
    assert!(took[20] < Duration::from_millis(500), "{took:?}");
    // Ended connections are made anew; until then the signs of life look at the head.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = 'vfs-server listen' AND datname = current_database()";
    assert_eq!(town.ground.text(end).await, "2");
    for write in 41..=43 {
        ada.push("a", &[link("a", write, "file", "p")]).await;
        assert_eq!(events.next().await.unwrap().name, "change");
    }
}

#[tokio::test]
async fn a_session_that_ends_ends_its_streams() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let mut events = Events::open(&ada, &town.services[0].base, "", "").await;
    events.next().await.unwrap();
    town.ground.database.execute("UPDATE sessions SET revoked_at = now()").await;
    town.user("ada").await.register("another").await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_new_epoch_is_told_and_the_end_of_the_server_ends_the_stream() {
    let mut town = Town::new().await;
    let ada = town.user("ada").await;
    let mut events = Events::open(&ada, &town.services[0].base, "", "").await;
    events.next().await.unwrap();
    let session = town.ground.session().await;
    vfs_server::feed::begin(&session, 0, "a test").await.unwrap();
    let told = events.next().await.unwrap();
    assert_eq!((told.name.as_str(), &told.data["feedEpoch"]), ("epoch", &json!(2)));
    let started = Instant::now();
    assert!(town.services.remove(0).stop().await);
    assert!(started.elapsed() < Duration::from_secs(10), "the stream does not hold up the end");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_session_that_ends_ends_its_streams_also_where_nothing_changes() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let mut events = Events::open(&ada, &town.services[0].base, "", "").await;
    events.next().await.unwrap();
    town.ground.database.execute("UPDATE sessions SET revoked_at = now()").await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_user_has_eight_streams_at_an_instance_and_leaves_room_to_others() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    let base = &town.services[0].base;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(Events::open(&ada, base, "", "").await);
    }
    let at_one = Asker { bases: vec![base.clone()], ..ada.clone() };
    assert_eq!(at_one.get("/v1/vfs/events").await.refusal(), (503, "Too many open change feeds"));
    Events::open(&bob, base, "", "").await.next().await.unwrap();
    // A place that is left is free again.
    drop(open.pop());
    testkit::eventually("there is a place", BOUND, || async {
        let answer = timeout(Duration::from_millis(300), at_one.get("/v1/vfs/events")).await;
        answer.is_err().then_some(())
    })
    .await
    .unwrap();
}
