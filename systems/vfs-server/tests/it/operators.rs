//! What operators do: hold writes back, begin epochs, look; and how instances come and go.

use serde_json::{Value as Json, json};
use testkit::{Outcome, Program, eventually};
use tidegate_store::postgres::Session;
use vfs_server::config::Config;

use crate::ground::{BOUND, Ground, SECRET, Service, Town, link};

pub(crate) fn program(ground: &Ground) -> Program {
    Program::new(env!("CARGO_BIN_EXE_vfs-server"))
        .env("DATABASE_URL", ground.database.url())
        .env("JWT_SECRET", SECRET)
}

async fn run(ground: &Ground, arguments: &[&str]) -> Outcome {
    program(ground).args(arguments.iter().copied()).run(BOUND).await.unwrap()
}

async fn status(ground: &Ground) -> Json {
    let outcome = run(ground, &["status", "--json"]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[tokio::test]
async fn frozen_writes_are_refused_on_every_instance_while_reads_go_on() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    ada.push("a", &[link("a", 1, "file", "p")]).await;
    let freeze =
        run(&town.ground, &["freeze", "--for", "60s", "--reason", "a migration", "--actor", "op"]).await;
    assert_eq!(freeze.code(), Some(0), "{}", freeze.stderr);
    assert!(freeze.stdout.starts_with("writes are frozen: epoch 2"), "{}", freeze.stdout);
    let cursor = vfs_core::Cursor::new("2026-02-14T20:00:00Z".parse().unwrap(), "x").unwrap().encode();
    for (path, body) in [
        ("/v1/vfs/register", json!({ "id": "b", "objectType": "file", "encryptedSessionKey": "k" })),
        ("/v1/vfs/keys", json!({ "publicKey": "k" })),
        ("/v1/vfs/crdt/push", json!({ "clientId": "a", "operations": [link("a", 2, "file", "p")] })),
        ("/v1/vfs/crdt/reconcile", json!({ "clientId": "a", "cursor": cursor })),
        ("/v1/vfs/sync/reconcile", json!({ "clientId": "a", "cursor": cursor })),
        (
            "/v1/vfs/items/file/shares",
            json!({ "shareType": "user", "targetId": "b", "permissionLevel": "view" }),
        ),
    ] {
        for _ in 0..4 {
            let answer = ada.post(path, body.clone()).await;
            assert_eq!(answer.refusal(), (503, "Writes are frozen"), "{path}");
            let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{seconds}");
        }
    }
    for path in ["/v1/vfs/crdt/sync", "/v1/vfs/sync", "/v1/vfs/items/file/shares", "/readyz"] {
        assert_eq!(ada.get(path).await.status, 200, "{path}");
    }
    let seen = status(&town.ground).await;
    assert_eq!(seen["freeze"]["frozen"], true);
    assert_eq!((&seen["freeze"]["reason"], &seen["freeze"]["actor"]), (&json!("a migration"), &json!("op")));
    let instances = seen["instances"].as_array().unwrap();
    let names: Vec<&Json> = instances.iter().map(|instance| &instance["instance"]).collect();
    assert_eq!(names, ["one", "two"]);
    for instance in instances {
        assert_eq!(
            (&instance["freezeEpochSeen"], &instance["highestMigrationKnown"], &instance["live"]),
            (&json!(2), &json!(27), &json!(true))
        );
    }
    assert_eq!(run(&town.ground, &["unfreeze"]).await.code(), Some(0));
    assert_eq!(ada.push("a", &[link("a", 2, "file", "p")]).await, ["applied"]);
}

#[tokio::test]
async fn a_freeze_lifts_by_itself() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let freeze =
        run(&town.ground, &["freeze", "--for", "1500ms", "--reason", "r", "--actor", "a", "--wait", "1ms"])
            .await;
    assert!(
        freeze.stderr.is_empty() || freeze.stderr.contains("have not acknowledged it: one, two"),
        "{}",
        freeze.stderr
    );
    let body = json!({ "clientId": "a", "operations": [link("a", 1, "file", "p")] });
    let lifted = || async {
        let answer = ada.post("/v1/vfs/crdt/push", body.clone()).await;
        assert!(answer.status == 200 || answer.refusal() == (503, "Writes are frozen"));
        (answer.status == 200).then_some(())
    };
    eventually("writes are let in", BOUND, lifted).await.unwrap();
}

#[tokio::test]
async fn a_freeze_waits_for_the_writes_that_are_open_and_none_is_open_after_it() {
    let town = Town::new().await;
    let mut client = town.ground.database.client().await;
    let writer = client.transaction().await.unwrap();
    writer.batch_execute("SELECT pg_advisory_xact_lock_shared(7337001)").await.unwrap();
    let mut freezing = program(&town.ground)
        .args(["freeze", "--for", "60s", "--reason", "r", "--actor", "a"])
        .start()
        .unwrap();
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7337001 AND NOT granted AND mode = 'ExclusiveLock'";
    let waits = || async { (town.ground.text(waiting).await == "1").then_some(()) };
    eventually("the freeze waits", BOUND, waits).await.unwrap();
    assert!(freezing.is_running());
    assert_eq!(town.ground.text("SELECT epoch FROM vfs_freeze").await, "1");
    writer.commit().await.unwrap();
    assert_eq!(freezing.wait(BOUND).await.unwrap().code(), Some(0));
    assert_eq!(town.ground.text("SELECT epoch FROM vfs_freeze").await, "2");
}

#[tokio::test]
async fn a_freeze_names_the_instances_that_have_not_seen_it() {
    let town = Town::new().await;
    town.ground
        .database
        .execute("INSERT INTO vfs_instances VALUES ('deaf', '0', 23, 0, 1, now() + interval '1 hour'), ('gone', '0', 23, 0, 1, now() - interval '1 hour')")
        .await;
    let outcome =
        run(&town.ground, &["freeze", "--for", "1m", "--reason", "r", "--actor", "a", "--wait", "3s"]).await;
    assert_eq!(outcome.code(), Some(1));
    assert!(
        outcome
            .stderr
            .contains("writes are frozen (epoch 2), but these instances have not acknowledged it: deaf;"),
        "{}",
        outcome.stderr
    );
    for arguments in [
        &["freeze", "--for", "2h", "--reason", "r", "--actor", "a"][..],
        &["freeze", "--for", "0s", "--reason", "r", "--actor", "a"],
    ] {
        let outcome = run(&town.ground, arguments).await;
        assert_eq!(outcome.stderr, "vfs-server: --for: must be more than 0 and at most 1h\n");
    }
    let outcome = run(&town.ground, &["freeze", "--for", "1 day", "--reason", "r", "--actor", "a"]).await;
    assert_eq!(outcome.code(), Some(2));
}

#[tokio::test]
async fn instances_come_and_go_and_none_serves_an_older_schema() {
    let ground = Ground::empty().await;
    let serve = program(&ground).arg("serve").env("PORT", "0");
    let outcome = serve.run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(1));
    let why = "the database's schema is at version 0, and this server needs 23 or newer; run `vfs-server migrate` first";
    assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    ground.database.execute("CREATE TABLE schema_migrations (version integer, applied_at timestamptz); INSERT INTO schema_migrations VALUES (22, now())").await;
    let outcome = serve.run(BOUND).await.unwrap();
    assert!(outcome.stderr.contains("at version 22"), "{}", outcome.stderr);

    let ground = Ground::new().await;
    let gone = "INSERT INTO vfs_instances VALUES ('gone', '0', 23, 0, 1, now() - interval '2 days')";
    ground.database.execute(gone).await;
    let service = Service::start(&ground, "one", &[]).await;
    let there = "SELECT string_agg(instance, ',') FROM vfs_instances";
    assert_eq!(ground.text(there).await, "one");
    assert!(service.stop().await);
    assert_eq!(ground.text(there).await, "NULL");

    let mut running =
        program(&ground).arg("serve").env("PORT", "0").env("INSTANCE_NAME", "p").start().unwrap();
    running.until_stdout("listening on http://", BOUND).await.unwrap();
    assert_eq!(ground.text(there).await, "p");
    running.terminate().unwrap();
    let outcome = running.wait(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(ground.text(there).await, "NULL");
}

#[tokio::test]
async fn variables_that_cannot_be_followed_end_it_before_it_listens() {
    let ground = Ground::empty().await;
    for (name, value) in [("PORT", "many"), ("DATABASE_URL", "mysql://x"), ("API_JSON_BODY_LIMIT", "much")] {
        let outcome = program(&ground).arg("serve").env(name, value).run(BOUND).await.unwrap();
        assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.starts_with(&format!("vfs-server: {name}: ")), "{}", outcome.stderr);
    }
    for (name, value) in [
        ("VFS_BLOB_FILE_ROOT", ""),
        ("VFS_BLOB_FILE_ROOT", "/dev/null/blobs"),
        ("VFS_BLOB_ATTEMPTS", "often"),
        ("VFS_BLOB_STORE_PROVIDER", "elsewhere"),
    ] {
        let serve = program(&ground).arg("serve").env("PORT", "0").env("VFS_BLOB_STORE_PROVIDER", "file");
        let serve = serve.env("VFS_BLOB_FILE_ROOT", std::env::temp_dir());
        let outcome = serve.env(name, value).run(BOUND).await.unwrap();
        assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(2), ""), "{name}={value}: {outcome:?}");
        assert!(outcome.stderr.contains(name), "{name}={value}: {}", outcome.stderr);
    }
}

#[tokio::test]
async fn no_statement_of_a_request_runs_for_ever_and_none_is_compiled() {
    let ground = Ground::empty().await;
    let url = ground.database.url();
    let config = Config::read(&|name| (name == "DATABASE_URL").then(|| url.clone())).unwrap();
    let session = Session::connect(&config.database, "test").await.unwrap();
    let answers = session.run("SHOW statement_timeout; SHOW jit").await.unwrap();
    assert_eq!(answers[0].single(), Some(Some("30s")));
    assert_eq!(answers[1].single(), Some(Some("off")));
}

#[tokio::test]
async fn a_token_is_for_users_that_there_are_and_opens_the_routes() {
    let town = Town::new().await;
    town.ground.token("ada").await;
    let outcome = run(&town.ground, &["token", "--user", "nobody"]).await;
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(1), "vfs-server: there is no user nobody\n"));
    let outcome = run(&town.ground, &["token", "--user", "ada", "--for", "1h"]).await;
    let token = format!("Bearer {}", outcome.stdout.trim());
    let version = town.nobody().with("authorization", &token).get("/v1/vfs/version").await.good();
    assert_eq!(
        (&version["schemaVersion"], &version["highestMigrationKnown"], &version["feedEpoch"]),
        (&json!(27), &json!(27), &json!(1))
    );
    let outcome = program(&town.ground)
        .args(["token", "--user", "ada"])
        .env("JWT_SECRET", " ")
        .run(BOUND)
        .await
        .unwrap();
    assert_eq!(outcome.stderr, "vfs-server: JWT_SECRET: must be the secret that the server signs with\n");
}

#[tokio::test]
async fn a_new_epoch_tells_apart_who_has_seen_what_was_lost() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    ada.push("a", &[link("a", 1, "file", "p")]).await;
    let (_, shared) = ada.pull_all(None, 10).await;
    ada.push("a", &[link("a", 2, "file", "p"), link("a", 3, "file", "p")]).await;
    let (_, lost) = ada.pull_all(None, 10).await;
    let (shared, lost) = (shared.unwrap(), lost.unwrap());
    // As a restore does to a database whose backup is older than the last push.
    let restore = "DELETE FROM vfs_crdt_ops WHERE seq > 2; DELETE FROM vfs_crdt_replica_heads;
                   UPDATE vfs_feed_head SET seq = 2, at = (SELECT max(occurred_at) FROM vfs_crdt_ops)";
    town.ground.database.execute(restore).await;
    let pull = async |cursor: &str, path: &str| ada.get(&format!("/v1/vfs/{path}?cursor={cursor}")).await;
    let ahead = pull(&lost, "crdt/sync").await;
    assert_eq!(ahead.refusal(), (409, "The cursor is ahead of the feed; re-materialization required"));
    assert_eq!((&ahead.body["code"], &ahead.body["feedEpoch"]), (&json!("cursor_ahead"), &json!(1)));

    let outcome = run(&town.ground, &["epoch", "begin", "--reason", "restored"]).await;
    assert_eq!(
        (outcome.code(), outcome.stdout.as_str()),
        (Some(0), "feed epoch 2 begins after position 2\n")
    );
    assert_eq!(
        ada.push("a", &[link("a", 4, "file", "p"), link("a", 5, "file", "p"), link("a", 6, "file", "p")])
            .await,
        vec!["applied"; 3]
    );
    let reconcile = |cursor: &str| json!({ "clientId": "a", "cursor": cursor });
    for answer in [
        pull(&lost, "crdt/sync").await,
        pull(&lost, "sync").await,
        pull(&lost, "events").await,
        ada.post("/v1/vfs/crdt/reconcile", reconcile(&lost)).await,
        ada.post("/v1/vfs/sync/reconcile", reconcile(&lost)).await,
    ] {
        let text =
            "The feed epoch has changed and this cursor is not part of it; re-materialization required";
        assert_eq!(answer.refusal(), (409, text));
        assert_eq!(
            (&answer.body["code"], &answer.body["feedEpoch"]),
            (&json!("feed_epoch_changed"), &json!(2))
        );
        assert_eq!(answer.header("x-vfs-feed-epoch"), Some("2"));
    }
    let page = pull(&shared, "crdt/sync").await;
    assert_eq!(page.header("x-vfs-feed-epoch"), Some("2"));
    let items = page.good()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0]["opId"], "0002-0000000000000003");
    ada.post("/v1/vfs/crdt/reconcile", reconcile(&shared)).await.good();

    // A restore may bring back a time before epochs that were; whoever restores says which was seen last.
    let outcome =
        run(&town.ground, &["epoch", "begin", "--reason", "restored", "--above", "6", "--json"]).await;
    assert_eq!(outcome.stdout, "{\"epoch\":7,\"beganAfterSeq\":5}\n");
    assert_eq!(status(&town.ground).await["feed"]["epoch"], 7);
}

#[tokio::test]
async fn balancers_and_scrapers_are_answered() {
    let town = Town::new().await;
    let nobody = town.nobody();
    assert_eq!(nobody.get("/healthz").await.good()["ok"], true);
    assert_eq!(nobody.get("/readyz").await.good()["ready"], true);
    assert_eq!(nobody.get("/v1/vfs/nothing").await.refusal(), (404, "Not found"));
    assert_eq!(nobody.get("/v1/vfs/register").await.refusal(), (405, "Method not allowed"));
    let service = &town.services[0].base;
    let one = crate::ground::Asker { bases: vec![service.clone()], ..nobody };
    one.get("/healthz").await.good();
    let metrics = one.get("/metrics").await;
    let text = metrics.body.as_str().unwrap();
    for line in [
        "vfs_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} ",
        "vfs_feed_epoch 1\n",
        "vfs_pool_sessions ",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
