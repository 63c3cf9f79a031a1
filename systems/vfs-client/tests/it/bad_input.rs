//! What cannot be is said, with what to do next, and nothing is half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::ground::{Ground, Vfs};

/// A server that answers everything alike.
async fn answering(status: &'static str, body: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let (body, count) = (body.clone(), count.clone());
            tokio::spawn(async move {
                let mut read = vec![0; 64 << 10];
                let _request = connection.read(&mut read).await;
                count.fetch_add(1, Ordering::SeqCst);
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _sent = connection.write_all(head.as_bytes()).await;
                let _sent = connection.write_all(&body).await;
            });
        }
    });
    (base, asked)
}

/// A client that has nothing to register any more and asks this server only.
async fn asking(ground: &Ground, client: &str, server: &str) -> Vfs {
    let vfs = ground.client_at("ada", client, &[server.to_owned()]).await;
    vfs.good(&["queue", "drop", "1"]).await;
    vfs
}

#[tokio::test]
async fn an_answer_that_is_none_is_refused_by_its_text_and_changes_nothing() {
    let ground = Ground::new().await;
    let item = |more: Value| {
        let mut item = json!({
            "opId": "o", "itemId": "i", "opType": "link_add", "principalType": null, "principalId": null,
            "accessLevel": null, "parentId": "p", "childId": "i", "actorId": null, "sourceTable": "t",
            "sourceId": "s", "occurredAt": "2026-02-14T20:00:00.000Z",
        });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let page = |items: Value, has_more: bool| json!({ "items": items, "nextCursor": null, "hasMore": has_more, "lastReconciledWriteIds": {} });
    let cases: Vec<(&str, &'static str, Vec<u8>, &str, i32)> = vec![
        ("html", "200 OK", b"<html>".to_vec(), "transport returned non-JSON response", 1),
        ("cut", "200 OK", b"{\"items\":[".to_vec(), "transport returned non-JSON response", 1),
        ("null", "200 OK", b"null".to_vec(), "transport returned invalid pull response payload", 1),
        ("none", "200 OK", b"{}".to_vec(), "transport returned invalid pull response items", 1),
        (
            "type",
            "200 OK",
            page(json!([item(json!({ "opType": "move" }))]), false).to_string().into_bytes(),
            "transport returned invalid items[0].opType",
            1,
        ),
        (
            "link",
            "200 OK",
            page(json!([item(json!({ "childId": "other" }))]), false).to_string().into_bytes(),
            "transport returned invalid link payload at items[0]",
            1,
        ),
        (
            "empty",
            "200 OK",
            page(json!([]), true).to_string().into_bytes(),
            "transport returned hasMore=true with an empty pull page",
            3,
        ),
        ("said", "409 Conflict", b"{\"error\":\"not today\"}".to_vec(), "not today", 1),
        ("bare", "418 Teapot", b"{}".to_vec(), "request failed with status 418", 1),
    ];
    for (name, status, body, expected, code) in cases {
        let (server, asked) = answering(status, body).await;
        let vfs = asking(&ground, name, &server).await;
        let before = vfs.state().await;
        let said = vfs.bad(code, &["sync", "--tries", "1"]).await;
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains("next: "), "{name}: {said}");
        assert!(asked.load(Ordering::SeqCst) > 0);
        assert_eq!(vfs.state().await, before, "{name}");
        if code == 3 {
            assert!(said.contains("guardrail: pull:pullPageInvariantViolation {\"hasMore\":true"), "{said}");
            let metrics = std::fs::read_to_string(vfs.directory.join("metrics.prom")).unwrap();
            let line = "stage=\"pull\",code=\"pullPageInvariantViolation\",signature=\"pull:pullPageInvariantViolation\"} 1";
            assert!(metrics.contains(line), "{metrics}");
        }
    }
}

#[tokio::test]
async fn a_server_that_fails_in_passing_is_asked_as_often_as_was_said() {
    let ground = Ground::new().await;
    let (server, asked) =
        answering("503 Service Unavailable", b"{\"error\":\"Writes are frozen\"}".to_vec()).await;
    let vfs = asking(&ground, "desk", &server).await;
    let said = vfs.bad(1, &["sync", "--tries", "3"]).await;
    assert_eq!(said.matches("Writes are frozen; again in").count(), 2, "{said}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let vfs = asking(&ground, "lap", "http://127.0.0.1:9").await;
    let said = vfs.bad(1, &["sync", "--tries", "1"]).await;
    assert!(said.contains("no server can be reached: http://127.0.0.1:9"), "{said}");
}

#[tokio::test]
async fn files_that_cannot_be_read_are_not_queued() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let before = desk.good(&["queue"]).await;
    let missing = ground.scratch.0.join("missing");
    let said = desk.bad(2, &["put", missing.to_str().unwrap(), "/x"]).await;
    assert!(said.contains("cannot read") && said.contains("nothing was queued"), "{said}");
    let said = desk.bad(2, &["put", ground.scratch.0.to_str().unwrap(), "/x"]).await;
    assert!(said.contains("is no file; nothing was queued"), "{said}");
    // A pipe would never end.
    let said = desk.bad(2, &["put", "/dev/null", "/x"]).await;
    assert!(said.contains("is no file"), "{said}");
    // A file by its name, whose first byte nobody can read, whoever asks.
    let said = desk.bad(2, &["put", "/proc/self/mem", "/x"]).await;
    assert!(said.contains("cannot copy /proc/self/mem") && said.contains("nothing was queued"), "{said}");
    assert_eq!(desk.good(&["queue"]).await, before);
    assert_eq!(std::fs::read_dir(desk.directory.join("spool")).unwrap().count(), 0);
    // An empty file is one.
    let empty = ground.file("empty", b"");
    desk.good(&["put", empty.to_str().unwrap(), "/empty"]).await;
    desk.good(&["sync"]).await;
    assert_eq!(desk.good(&["get", "/empty"]).await, "");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_not_queued() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let before = desk.good(&["queue"]).await;
    let growing = ground.file("growing", &vec![7; 1 << 20]);
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (growing, is_over) = (growing.clone(), is_over.clone());
        move || {
            let mut file = std::fs::OpenOptions::new().write(true).open(growing).unwrap();
            // The same bytes over and over: its time changes, its length does not.
            while !is_over.load(Ordering::SeqCst) {
                std::io::Seek::rewind(&mut file).unwrap();
                std::io::Write::write_all(&mut file, &[8; 4_096]).unwrap();
            }
        }
    });
    let said = desk.bad(2, &["put", growing.to_str().unwrap(), "/growing"]).await;
    assert!(said.contains("changed while it was read; nothing was queued, try again"), "{said}");
    assert_eq!(desk.good(&["queue"]).await, before);
    assert_eq!(std::fs::read_dir(desk.directory.join("spool")).unwrap().count(), 0);
    is_over.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    desk.good(&["put", growing.to_str().unwrap(), "/growing"]).await;
}

#[tokio::test]
async fn a_huge_file_goes_through_in_pieces() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    // As long as many pieces of whoever handles it, and no piece like another.
    let bytes: Vec<u8> = (0_u32..6 << 20).flat_map(|n| n.to_le_bytes()).collect();
    let huge = ground.file("huge", &bytes);
    desk.good(&["put", huge.to_str().unwrap(), "/huge"]).await;
    desk.good(&["sync"]).await;
    let copy = ground.scratch.0.join("copy");
    desk.good(&["get", "/huge", copy.to_str().unwrap()]).await;
    assert!(std::fs::read(&copy).unwrap() == bytes, "it came back as it went");
    assert!(!copy.with_extension("part").exists());
}

#[tokio::test]
async fn bytes_that_vanish_before_they_are_uploaded_are_told_and_stop_nothing_else() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let file = ground.file("f", b"bytes");
    desk.good(&["put", file.to_str().unwrap(), "/gone"]).await;
    let spool = desk.directory.join("spool");
    let entry = std::fs::read_dir(&spool).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&entry).unwrap();
    desk.good(&["put", file.to_str().unwrap(), "/stays"]).await;
    let said = desk.bad(1, &["sync"]).await;
    assert!(said.contains("refused: attach blob") && said.contains("cannot read"), "{said}");
    assert_eq!(desk.good(&["get", "/stays"]).await, "bytes");
    let said = desk.bad(1, &["get", "/gone"]).await;
    assert!(said.contains("/gone has no content of kind file"), "{said}");
    // Bytes that became others on the way are not attached either.
    desk.good(&["put", file.to_str().unwrap(), "/longer"]).await;
    let queue: Value = serde_json::from_str(&desk.good(&["queue", "--json"]).await).unwrap();
    let last = queue["tasks"].as_array().unwrap().last().unwrap().clone();
    std::fs::write(spool.join(last["bytesFile"].as_str().unwrap()), b"other bytes").unwrap();
    let said = desk.bad(1, &["sync"]).await;
    assert!(said.contains("11 bytes for an upload of 5 bytes"), "{said}");
}

#[tokio::test]
async fn arguments_that_cannot_be_followed_say_why_and_change_nothing() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let file = ground.file("f", b"bytes");
    let file = file.to_str().unwrap();
    desk.good(&["mkdir", "/d"]).await;
    desk.good(&["put", file, "/d/f"]).await;
    let before = desk.state().await;
    for (arguments, expected) in [
        (vec!["mkdir", "d"], "is no path"),
        (vec!["mkdir", "/"], "/ is there already"),
        (vec!["mkdir", "/d"], "/d is there already"),
        (vec!["mkdir", "/a/b"], "--parents"),
        (vec!["mkdir", "-p", "/d/f/g"], "/d/f is no folder"),
        (vec!["put", file, "/d/f/"], "/d/f/ is no folder"),
        (vec!["put", file, "/no/where"], "there is no /no"),
        (vec!["get", "/none"], "there is no /none"),
        (vec!["mv", "/d", "/d/e"], "cannot come into itself"),
        (vec!["mv", "/d", "/d/f"], "is there already"),
        (vec!["mv", "/", "/x"], "/ stays where it is"),
        (vec!["rm", "/d"], "`--recursive`"),
        (vec!["share", "/", "--with", "bob"], "each by itself"),
        (vec!["share", "/d", "--with", "group:"], "names nobody"),
        (vec!["attach", "/d/f", file, "--kind", "video"], "--kind is one of"),
        (vec!["queue", "drop", "99"], "there is no task 99"),
        (vec!["queue", "retry", "op"], "opId op is not rejected"),
        (vec!["state", "hydrate", file], "is no JSON"),
    ] {
        let outcome = desk.run(&arguments).await;
        assert!(matches!(outcome.code(), Some(1 | 2)), "{arguments:?}: {:?}", outcome.code());
        assert!(outcome.stderr.contains(expected), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(desk.state().await, before);
    let said = desk.bad(2, &["init", "--user", "bob", "--server", "http://127.0.0.1:9"]).await;
    assert!(said.contains("is a client's directory already, of ada; nothing was changed"), "{said}");
    let nowhere = Vfs::at(ground.scratch.0.join("nowhere"));
    let said = nowhere.bad(2, &["tree"]).await;
    assert!(said.contains("`vfs init`"), "{said}");
    for (user, client, expected) in [
        ("", "c", "userId is required"),
        ("ada", "a:b", "clientId must not include"),
        ("ada", &"x".repeat(129), "at most 128"),
    ] {
        let said = nowhere
            .bad(2, &["init", "--user", user, "--client", client, "--server", "http://127.0.0.1:9"])
            .await;
        assert!(said.contains(expected), "{said}");
    }
    let said = nowhere.bad(2, &["init", "--user", "ada", "--server", "ftp://x"]).await;
    assert!(said.contains("begins with http"), "{said}");
}

#[tokio::test]
async fn a_damaged_state_is_refused_and_the_last_good_one_is_offered() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/a"]).await;
    desk.good(&["sync"]).await;
    let connection = rusqlite::Connection::open(desk.directory.join("client.db")).unwrap();
    connection.execute("DELETE FROM state WHERE kind = 'link'", []).unwrap();
    drop(connection);
    let said = desk.bad(3, &["sync"]).await;
    let last_good = desk.directory.join("last-good.json");
    let hydrate = format!("vfs state hydrate {} --replace", last_good.display());
    assert!(said.contains("guardrail: hydrate:hydrateGuardrailViolation"), "{said}");
    assert!(said.contains(&hydrate), "{said}");
    let outcome = desk.run(&["doctor"]).await;
    assert!(outcome.stdout.contains("✗ state:") && outcome.stdout.contains(&hydrate), "{}", outcome.stdout);
    // What is offered works, and a sync goes on from it.
    desk.good(&["state", "inspect", last_good.to_str().unwrap()]).await;
    desk.good(&["state", "hydrate", last_good.to_str().unwrap(), "--replace"]).await;
    desk.good(&["sync"]).await;
    assert_eq!(desk.paths().await, ["/a/"]);
    // A file that is no database at all.
    for ending in ["", "-wal", "-shm"] {
        let _gone = std::fs::remove_file(desk.directory.join(format!("client.db{ending}")));
    }
    std::fs::write(desk.directory.join("client.db"), vec![7; 8_192]).unwrap();
    let said = desk.bad(3, &["tree"]).await;
    assert!(said.contains("hydrate:hydrateGuardrailViolation") && said.contains(&hydrate), "{said}");
    desk.good(&["state", "hydrate", last_good.to_str().unwrap(), "--replace"]).await;
    // A state that cannot be taken up is refused before anything is put aside.
    let bad = ground.file("bad.json", b"{\"nextLocalWriteId\":1}");
    let said = desk.bad(3, &["state", "hydrate", bad.to_str().unwrap(), "--replace"]).await;
    assert!(said.contains("state.pendingOperations must be an array"), "{said}");
    desk.good(&["sync"]).await;
    // An export of before rejected operations and epochs were in it is taken up, too.
    let mut old: Value = serde_json::from_str(&std::fs::read_to_string(&last_good).unwrap()).unwrap();
    old.as_object_mut().unwrap().retain(|name, _| name != "rejectedOperations" && name != "feedEpoch");
    let old = ground.file("old.json", old.to_string().as_bytes());
    desk.good(&["state", "hydrate", old.to_str().unwrap(), "--replace"]).await;
    desk.good(&["sync"]).await;
}

#[tokio::test]
async fn bytes_that_wait_are_found_by_whatever_path_the_directory_is_named() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    let file = ground.file("f", b"bytes");
    desk.good(&["put", file.to_str().unwrap(), "/absolute"]).await;
    let link = ground.scratch.0.join("linked");
    std::os::unix::fs::symlink(&desk.directory, &link).unwrap();
    let linked = Vfs::at(&link);
    linked.good(&["tree"]).await;
    linked.good(&["put", file.to_str().unwrap(), "/linked"]).await;
    let relative = Vfs::at("ada-desk").program(&["tree"]).directory(&ground.scratch.0);
    let outcome = relative.run(crate::ground::BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    desk.good(&["sync"]).await;
    for path in ["/absolute", "/linked"] {
        assert_eq!(desk.good(&["get", path]).await, "bytes");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_client_is_no_refusal_of_its_tasks() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/a"]).await;
    let identity = std::fs::read_to_string(desk.directory.join("client.json")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let token = std::path::PathBuf::from(identity["tokenFile"].as_str().unwrap());
    let aside = token.with_extension("aside");
    std::fs::rename(&token, &aside).unwrap();
    let said = desk.bad(1, &["sync", "--tries", "1"]).await;
    assert!(said.contains("cannot read"), "{said}");
    std::fs::rename(&aside, &token).unwrap();
    desk.good(&["sync"]).await;
    assert_eq!(desk.good(&["queue"]).await, "nothing waits\n");
    // A page of somebody in between is none of the server's words either.
    let (server, _) = answering("200 OK", b"<html>sign in first</html>".to_vec()).await;
    let lap = ground.client_at("ada", "lap", &[server]).await;
    lap.good(&["mkdir", "/b"]).await;
    let said = lap.bad(1, &["sync", "--tries", "1"]).await;
    assert!(said.contains("non-JSON"), "{said}");
    let queue: Value = serde_json::from_str(&lap.good(&["queue", "--json"]).await).unwrap();
    assert!(queue["tasks"].as_array().unwrap().iter().all(|task| task["refusal"].is_null()), "{queue}");
}

#[tokio::test]
async fn a_state_is_replaced_with_what_waits_beside_it_and_a_watch_sees_that() {
    let ground = Ground::new().await;
    let desk = ground.client("ada", "desk").await;
    desk.good(&["mkdir", "/a"]).await;
    desk.good(&["sync"]).await;
    let mut watching = desk.program(&["sync", "--watch", "--json"]).start().unwrap();
    watching.until_stdout("}", crate::ground::BOUND).await.unwrap();
    // Under its lock the watch is not at work, so that it stands still at rest.
    let held = vfs_client::Home::new(&desk.directory).lock().unwrap();
    watching.freeze().unwrap();
    drop(held);
    let file = ground.file("f", b"bytes");
    desk.good(&["put", file.to_str().unwrap(), "/a/f"]).await;
    let connection = rusqlite::Connection::open(desk.directory.join("client.db")).unwrap();
    connection.execute("DELETE FROM state WHERE kind = 'link'", []).unwrap();
    drop(connection);
    let last_good = desk.directory.join("last-good.json");
    desk.good(&["state", "hydrate", last_good.to_str().unwrap(), "--replace"]).await;
    let queue: Value = serde_json::from_str(&desk.good(&["queue", "--json"]).await).unwrap();
    let tasks = queue["tasks"].as_array().unwrap();
    assert_eq!(tasks.iter().filter(|task| task["task"] == "attach").count(), 1, "{queue}");
    watching.thaw().unwrap();
    // The watch works on the store that is there now, and brings the bytes to the server.
    testkit::eventually("the watch has stored them", crate::ground::BOUND, async || {
        let sql = "SELECT count(*) FROM vfs_links WHERE starts_with(wrapped_session_key, 'blob-link:')";
        (ground.database.value::<i64>(sql).await == 1).then_some(())
    })
    .await
    .unwrap();
    watching.kill().unwrap();
    // A state that is taken up where there is none leaves what waits as it is.
    let lap = ground.client("ada", "lap").await;
    let before = lap.good(&["queue", "--json"]).await;
    let empty = ground.file("empty.json", lap.good(&["state", "export"]).await.as_bytes());
    lap.good(&["state", "hydrate", empty.to_str().unwrap()]).await;
    assert_eq!(lap.good(&["queue", "--json"]).await, before);
}

#[tokio::test]
async fn while_a_watch_finds_no_server_others_work_in_its_directory() {
    let ground = Ground::new().await;
    let desk = ground.client_at("ada", "desk", &["http://127.0.0.1:9".to_owned()]).await;
    let mut watching = desk.program(&["sync", "--watch", "--tries", "1"]).start().unwrap();
    watching.until_stderr("again in", crate::ground::BOUND).await.unwrap();
    desk.good(&["--wait-ms", "5000", "mkdir", "/a"]).await;
    watching.kill().unwrap();
}

#[tokio::test]
async fn a_client_never_works_with_the_token_of_somebody_else() {
    let ground = Ground::new().await;
    let server = ground.services[0].base.clone();
    let [hers, his] = [ground.token_file("ada").await, ground.token_file("zed").await];
    let desk = Vfs::at(ground.scratch.0.join("desk"));
    let init = ["init", "--user", "zed", "--server", &server];
    let with_hers = [&init[..], &["--token-file", hers.to_str().unwrap()]].concat();
    let said = desk.bad(2, &with_hers).await;
    assert!(said.contains("is of ada, and --user says zed") && said.contains("say --user ada"), "{said}");
    let variable = desk.with("VFS_TOKEN", std::fs::read_to_string(&hers).unwrap().trim());
    let said = variable.bad(2, &init).await;
    assert!(said.contains("the token in VFS_TOKEN is of ada"), "{said}");
    assert!(!desk.directory.exists(), "nothing is made for a token of somebody else");

    desk.good(&[&init[..], &["--token-file", his.to_str().unwrap()]].concat()).await;
    desk.good(&["mkdir", "/mine"]).await;
    // A token can become another one after the client was made.
    let kept = std::fs::read(&his).unwrap();
    std::fs::copy(&hers, &his).unwrap();
    for arguments in
        [&["sync"][..], &["sync", "--watch"], &["sync", "--rematerialize"], &["state", "compare"]]
    {
        let said = desk.bad(2, arguments).await;
        assert!(
            said.contains("is of ada, and this client is of zed: no server was asked"),
            "{arguments:?}: {said}"
        );
    }
    let outcome = desk.run(&["doctor"]).await;
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stdout.contains("✗ token: the token in "), "{}", outcome.stdout);
    let pushed = "SELECT count(*) FROM vfs_crdt_ops";
    assert_eq!(ground.database.value::<i64>(pushed).await, 0);
    std::fs::write(&his, kept).unwrap();
    desk.good(&["sync"]).await;
    assert_eq!(ground.database.value::<i64>(pushed).await, 1);

    // What is no web token names nobody: the server decides.
    std::fs::write(&his, "opaque").unwrap();
    let said = desk.bad(1, &["sync", "--tries", "1"]).await;
    assert!(!said.contains("is of"), "{said}");
    let outcome = desk.run(&["doctor"]).await;
    assert!(outcome.stdout.contains("✓ token: in "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("does not take this token"), "{}", outcome.stdout);
}
