//! What a person does with the program.

use serde_json::json;

use crate::ground::{BOUND, Ground};

#[tokio::test]
async fn a_tree_is_the_same_on_two_machines_and_its_files_have_their_bytes() {
    let ground = Ground::new().await;
    let (desk, lap) = (ground.client("ada", "desk").await, ground.client("ada", "lap").await);
    let notes = ground.file("notes.txt", b"first");
    desk.good(&["mkdir", "-p", "/docs/2026"]).await;
    desk.good(&["put", notes.to_str().unwrap(), "/docs/2026"]).await;
    // Before anything was synced, it is all there.
    assert_eq!(desk.paths().await, ["/docs/", "/docs/2026/", "/docs/2026/notes.txt"]);
    assert_eq!(desk.good(&["get", "/docs/2026/notes.txt"]).await, "first");
    desk.good(&["sync"]).await;
    lap.good(&["sync"]).await;
    assert_eq!(lap.paths().await, desk.paths().await);
    assert_eq!(lap.good(&["get", "/docs/2026/notes.txt"]).await, "first");
    // A new content, another name, another place.
    std::fs::write(&notes, b"second").unwrap();
    lap.good(&["put", notes.to_str().unwrap(), "/docs/2026/notes.txt"]).await;
    lap.good(&["mv", "/docs/2026/notes.txt", "/docs/plan.txt"]).await;
    lap.good(&["sync"]).await;
    desk.good(&["sync"]).await;
    assert_eq!(desk.paths().await, ["/docs/", "/docs/2026/", "/docs/plan.txt"]);
    let copy = ground.scratch.0.join("copy");
    desk.good(&["get", "/docs/plan.txt", copy.to_str().unwrap()]).await;
    assert_eq!(std::fs::read(&copy).unwrap(), b"second");
    desk.good(&["rm", "/docs/2026"]).await;
    desk.good(&["sync"]).await;
    lap.good(&["sync"]).await;
    assert_eq!(lap.paths().await, ["/docs/", "/docs/plan.txt"]);
    assert_eq!(lap.good(&["queue"]).await, "nothing waits\n");
    // Nothing of the bytes stays where they waited.
    assert_eq!(std::fs::read_dir(lap.directory.join("spool")).unwrap().count(), 0);
    let state = lap.state().await;
    assert_eq!(state["reconcileState"], desk.state().await["reconcileState"]);
}

#[tokio::test]
async fn what_is_shared_is_seen_with_its_bytes_until_it_is_taken_back() {
    let ground = Ground::new().await;
    let (ada, bob) = (ground.client("ada", "desk").await, ground.client("bob", "desk").await);
    let file = ground.file("a.bin", &[7; 100_000]);
    ada.good(&["mkdir", "/team"]).await;
    ada.good(&["put", file.to_str().unwrap(), "/team/a.bin"]).await;
    ada.good(&["share", "/team", "--with", "bob"]).await;
    ada.good(&["sync"]).await;
    bob.good(&["sync"]).await;
    assert_eq!(bob.paths().await, ["/shared/team/", "/shared/team/a.bin"]);
    let copy = ground.scratch.0.join("bob.bin");
    bob.good(&["get", "/shared/team/a.bin", copy.to_str().unwrap()]).await;
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&file).unwrap());
    // It is not Bob's to write.
    bob.good(&["put", file.to_str().unwrap(), "/shared/team/a.bin"]).await;
    let said = bob.bad(1, &["sync"]).await;
    assert!(said.contains("Forbidden") && said.contains("`vfs queue` shows them"), "{said}");
    let queue: serde_json::Value = serde_json::from_str(&bob.good(&["queue", "--json"]).await).unwrap();
    assert_eq!(queue["tasks"][0]["refusal"], "Forbidden");
    bob.good(&["queue", "drop", &queue["tasks"][0]["id"].to_string()]).await;
    bob.good(&["sync"]).await;
    assert_eq!(bob.good(&["queue"]).await, "nothing waits\n");
    ada.good(&["share", "/team", "--with", "bob", "--revoke"]).await;
    ada.good(&["sync"]).await;
    bob.good(&["sync"]).await;
    assert_eq!(bob.paths().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_watch_brings_what_others_change_and_what_is_queued_beside_it() {
    let ground = Ground::new().await;
    let (desk, lap) = (ground.client("ada", "desk").await, ground.client("ada", "lap").await);
    let mut watching = desk.program(&["sync", "--watch", "--json"]).start().unwrap();
    lap.good(&["mkdir", "/from-lap"]).await;
    lap.good(&["sync"]).await;
    testkit::eventually("the watch has read it", BOUND, async || {
        (desk.paths().await == ["/from-lap/"]).then_some(())
    })
    .await
    .unwrap();
    desk.good(&["mkdir", "/from-desk"]).await;
    testkit::eventually("the watch has pushed it", BOUND, async || {
        lap.good(&["sync"]).await;
        (lap.paths().await == ["/from-desk/", "/from-lap/"]).then_some(())
    })
    .await
    .unwrap();
    assert!(watching.is_running());
    watching.kill().unwrap();
}

#[tokio::test]
async fn states_are_exported_inspected_compared_and_taken_up() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let path = |name: &str| ground.scratch.0.join(name).to_str().unwrap().to_owned();
    desk.good(&["mkdir", "/a"]).await;
    desk.good(&["state", "export", &path("before")]).await;
    desk.good(&["sync"]).await;
    desk.good(&["state", "export", &path("after")]).await;
    let legal = desk.good(&["state", "diff", &path("before"), &path("after"), "--json"]).await;
    let legal: serde_json::Value = serde_json::from_str(&legal).unwrap();
    assert_eq!(legal["breaches"], json!([]));
    assert!(
        legal["progress"].as_array().unwrap().iter().any(|step| step["progress"] == "settled"),
        "{legal}"
    );
    let said = desk.bad(1, &["state", "diff", &path("after"), &path("before")]).await;
    assert!(said.contains("may not"), "{said}");
    // Where there is a state nothing is taken up by mistake.
    let said = desk.bad(2, &["state", "hydrate", &path("before")]).await;
    assert!(said.contains("--replace"), "{said}");
    desk.good(&["state", "hydrate", &path("before"), "--replace"]).await;
    assert_eq!(desk.state().await["nextLocalWriteId"], 2);
    // What waited then has been pushed since: the server says so, and nothing is done twice.
    let synced: serde_json::Value = serde_json::from_str(&desk.good(&["sync", "--json"]).await).unwrap();
    assert_eq!(synced["pushedOperations"], 1);
    assert_eq!(desk.paths().await, ["/a/"]);
    let count = "SELECT count(*) FROM vfs_crdt_ops WHERE replica_id = 'desk'";
    assert_eq!(ground.database.value::<i64>(count).await, 1);
    let inspected = desk.good(&["state", "inspect", "--json"]).await;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!((&inspected["links"], &inspected["clientId"]), (&json!(1), &json!("desk")));
    desk.good(&["state", "inspect", &path("after")]).await;
}

#[tokio::test]
async fn a_doctor_looks_at_the_store_the_token_and_each_server() {
    let mut ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["sync"]).await;
    let well = desk.good(&["doctor"]).await;
    assert!(well.contains("✓ store: whole") && well.matches("schema 27").count() == 2, "{well}");
    assert!(well.contains("✓ token: of ada, in ") && well.contains("✓ bytes that wait: 0 blobs"), "{well}");
    ground.services[1].stop().await;
    let outcome = desk.run(&["doctor"]).await;
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stdout.contains(&format!("✗ server {}", ground.services[1].base)), "{}", outcome.stdout);
    // One server is enough for a sync.
    desk.good(&["sync"]).await;
    ground.database.execute("UPDATE sessions SET revoked_at = now()").await;
    let outcome = desk.run(&["doctor"]).await;
    assert!(outcome.stdout.contains("does not take this token"), "{}", outcome.stdout);
}

#[tokio::test]
async fn a_restored_server_stops_the_client_and_its_queue_is_kept_over_taking_the_state_anew() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/kept"]).await;
    desk.good(&["sync"]).await;
    // As a restore does it: a new epoch, and what was acknowledged since is gone.
    ground
        .database
        .execute(
            "UPDATE vfs_feed_head SET epoch = epoch + 1;
             INSERT INTO vfs_feed_epochs (epoch, began_after_seq, started_at, reason)
             SELECT epoch, seq - 1, now(), 'a restore' FROM vfs_feed_head",
        )
        .await;
    desk.good(&["mkdir", "/queued"]).await;
    let before = desk.state().await;
    let said = desk.bad(1, &["sync"]).await;
    assert!(said.contains("re-materialize"), "{said}");
    assert_eq!(desk.state().await["pendingOperations"], before["pendingOperations"]);
    desk.good(&["sync", "--rematerialize"]).await;
    assert_eq!(desk.paths().await, ["/kept/", "/queued/"]);
    desk.good(&["sync"]).await;
}

#[tokio::test]
async fn a_server_that_was_set_back_by_hand_stops_the_client_also_when_it_has_overtaken_it() {
    let ground = Ground::new().await;
    let (desk, lap) = (ground.client("ada", "desk").await, ground.client("ada", "lap").await);
    desk.good(&["mkdir", "/kept"]).await;
    desk.good(&["sync"]).await;
    let copied: i64 = ground.database.value("SELECT seq FROM vfs_feed_head").await;
    desk.good(&["mkdir", "/lost"]).await;
    desk.good(&["sync"]).await;
    lap.good(&["sync"]).await;
    assert_eq!(lap.paths().await, ["/kept/", "/lost/"]);
    let read: i64 = ground.database.value("SELECT seq FROM vfs_feed_head").await;
    // Set back without a new epoch; then somebody goes on writing, to beyond what was read here.
    ground
        .database
        .execute(&format!(
            "DELETE FROM vfs_crdt_ops WHERE seq > {copied}; DELETE FROM vfs_sync_changes WHERE seq > {copied};
             UPDATE vfs_feed_head SET seq = {copied}, at = (SELECT max(occurred_at) FROM vfs_crdt_ops)"
        ))
        .await;
    let phone = ground.client("ada", "phone").await;
    for name in ["/one", "/two", "/three"] {
        phone.good(&["mkdir", name]).await;
        phone.good(&["sync"]).await;
    }
    assert!(ground.database.value::<i64>("SELECT seq FROM vfs_feed_head").await > read, "it has overtaken");
    lap.good(&["mkdir", "/mine"]).await;
    let before = lap.state().await;
    let said = lap.bad(1, &["sync"]).await;
    let text = "The feed was set back and this cursor is not part of it; re-materialization required";
    assert!(said.contains(text), "{said}");
    let after = lap.state().await;
    assert_eq!(
        after["replaySnapshot"], before["replaySnapshot"],
        "nothing of the other history was taken in"
    );
    lap.good(&["sync", "--rematerialize"]).await;
    lap.good(&["sync"]).await;
    phone.good(&["sync"]).await;
    assert_eq!(lap.paths().await, ["/kept/", "/mine/", "/one/", "/three/", "/two/"]);
    assert_eq!(phone.paths().await, lap.paths().await);
    assert_eq!(lap.good(&["queue"]).await, "nothing waits\n");
}
