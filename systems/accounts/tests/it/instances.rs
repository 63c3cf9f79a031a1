//! Several instances on one database: what they agree on, when they are not ready, and how they end.

use serde_json::json;
use testkit::{Cluster, ClusterOptions, eventually};
use tokio::task::JoinSet;

use crate::ground::{Answered, BOUND, Ground, Service, accounts_set};
use crate::parity::{assert_parity, copy_all};

fn reasons(answer: &Answered) -> String {
    assert_eq!(answer.status, 503, "{}", answer.body);
    answer.body["reasons"].to_string()
}

#[tokio::test]
async fn two_instances_write_through_every_move_and_lose_nothing() {
    let ground = Ground::at_row("v1").await;
    let (one, two) = (Service::start(&ground).await, Service::start(&ground).await);
    let ada = one.sign_up("ada@example.org").await;
    copy_all(&ground).await;
    ground.move_to("mirrored").await;
    let mut written: u32 = 0;
    for row in ["read_v2", "dual", "write_v2", "dual", "read_v2", "mirrored", "dual", "write_v2"] {
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let base = if writer % 2 == 0 { &one.base } else { &two.base };
            let asker = crate::ground::Asker { base: base.clone(), ..ada.clone() };
            let number = written;
            written += 1;
            writers.spawn(async move {
                let id = asker.add_identity("P", &format!("p{number}"), &format!("k{number}")).await;
                // Whoever writes reads it back, by whichever row that instance goes.
                let users = asker.get("/v1/account/users").await;
                assert!(users.body.to_string().contains(&id), "{}", users.body);
            });
        }
        ground.move_to(row).await;
        writers.join_all().await;
        assert_parity(&ground, row).await;
    }
    assert_eq!(ground.text("SELECT count(*) FROM identities").await, written.to_string());
    for service in [one, two] {
        assert_eq!(service.stop().await, 0);
    }
    assert_eq!(ground.text("SELECT count(*) FROM tidegate.flag_instance").await, "0");
}

#[tokio::test]
async fn an_environment_that_contradicts_the_flags_makes_the_instance_unready_and_named() {
    let ground = Ground::at_row("mirrored").await;
    let service =
        Service::start_with(&ground, &[("ACCOUNT_SCHEMA_V2_READS", "true"), ("INSTANCE_NAME", "astray")])
            .await;
    let answer = service.nobody().get("/readyz").await;
    assert!(reasons(&answer).contains("reads is true there and false in row 'mirrored'"), "{}", answer.body);
    // It serves by the row all the same.
    let ada = service.sign_up("ada@example.org").await;
    ground.database.execute("UPDATE accounts SET name = 'V2NAME'").await;
    assert_eq!(ada.get("/v1/account/workspace").await.text("/workspace/name"), "ada's workspace");
    let session = ground.session().await;
    let current = tidegate_flags::current(&session, "accounts").await.unwrap().unwrap();
    let blockers = tidegate_flags::undrained(&session, "accounts", current.epoch, BOUND).await.unwrap();
    assert!(format!("{blockers:?}").contains("astray"), "{blockers:?}");
    ground.move_to("read_v2").await;
    let ready = || async { (service.nobody().get("/readyz").await.status == 200).then_some(()) };
    eventually("it is ready once both agree", BOUND, ready).await.unwrap();
}

#[tokio::test]
async fn an_instance_without_tables_goes_by_its_environment_until_they_appear() {
    let ground = Ground::migrated().await;
    let service = Service::start_with(&ground, &[("ACCOUNT_SCHEMA_V2_DUAL_WRITE", "1")]).await;
    let ada = service.sign_up("ada@example.org").await;
    assert_parity(&ground, "by the environment").await;
    let ready = ada.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["epoch"]), (200, &json!(0)), "{}", ready.body);
    ground.declare("v1").await;
    ada.add_identity("P", "p", "k").await;
    assert_eq!(ground.text("SELECT count(*) FROM identities").await, "0", "the row rules at once");
    let unready = || async { (ada.get("/readyz").await.status == 503).then_some(()) };
    eventually("it notices the contradiction", BOUND, unready).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_is_too_old_is_not_ready_and_is_said_so() {
    let ground = Ground::empty().await;
    let service = Service::start(&ground).await;
    let nobody = service.nobody();
    let answer = nobody.get("/readyz").await;
    assert!(reasons(&answer).contains("platform_workspaces"), "{}", answer.body);
    let body = json!({ "email": "a@example.org", "password": "correct horse" });
    assert_eq!(nobody.post("/v1/auth/sign-up", body).await.code(), (503, "ACCOUNT_SCHEMA_MISSING"));
    for migration in accounts::MIGRATIONS.iter().take(5) {
        ground.apply(migration.sql).await;
    }
    assert_eq!(nobody.get("/readyz").await.status, 200);
    service.stop().await;

    let service = Service::start_with(&ground, &[("ACCOUNT_SCHEMA_V2_DUAL_WRITE", "1")]).await;
    let answer = service.nobody().get("/readyz").await;
    assert!(
        reasons(&answer).contains("missing: account_members, account_permissions, accounts"),
        "{}",
        answer.body
    );
    let body = json!({ "email": "a@example.org", "password": "correct horse" });
    let refused = service.nobody().post("/v1/auth/sign-up", body).await;
    assert_eq!(refused.code(), (503, "ACCOUNT_MIRROR_FAILED"));
    assert_eq!(ground.text("SELECT count(*) FROM platform_workspaces").await, "0");
}

#[tokio::test]
async fn after_the_archive_the_second_schema_serves_alone() {
    let ground = Ground::at_row("v1").await;
    for row in ["mirrored", "dual", "write_v2", "steady"] {
        ground.move_to(row).await;
    }
    ground
        .database
        .execute("INSERT INTO account_verifications (ok, checks, verified_by) VALUES (true, 1, 'test')")
        .await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    ground.apply(accounts::ARCHIVE.sql).await;
    assert_eq!(ada.get("/readyz").await.status, 200);
    let person = ada.add_identity("P", "p", "k").await;
    let book = ada.add_book(&person, "").await;
    for path in ["session", "workspace", "users", "books", "pixbook?profileId=p&identityPublicKey=k"] {
        assert_eq!(ada.get(&format!("/v1/account/{path}")).await.status, 200, "{path}");
    }
    assert_eq!(ada.patch("/v1/account/workspace", json!({ "name": "x" })).await.status, 200);
    assert_eq!(ada.delete(&format!("/v1/account/books/{book}")).await.status, 200);
    assert_eq!(ada.delete("/v1/account/identities").await.status, 200);
}

#[tokio::test]
async fn an_instance_that_is_told_to_end_finishes_what_is_open() {
    let ground = Ground::at_row("dual").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let lock = ground.database.client().await;
    lock.batch_execute("BEGIN; SELECT FROM platform_workspaces FOR UPDATE").await.unwrap();
    let open = tokio::spawn({
        let ada = ada.clone();
        async move {
            ada.post(
                "/v1/account/users",
                json!({ "displayName": "P", "profileId": "p", "identityPublicKey": "k" }),
            )
            .await
        }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    eventually("the request waits", BOUND, || async { (ground.text(waits).await == "1").then_some(()) })
        .await
        .unwrap();
    let stopping = tokio::spawn(service.stop());
    let refused = || async {
        let gone = tidegate_store::http::Client::new();
        let request = tidegate_store::http::Request {
            method: "GET".into(),
            url: format!("{}/healthz", ada.base),
            headers: Vec::new(),
            body: None,
            timeout: BOUND,
        };
        gone.request(request).await.is_err().then_some(())
    };
    eventually("new requests are refused", BOUND, refused).await.unwrap();
    lock.batch_execute("COMMIT").await.unwrap();
    assert_eq!(open.await.unwrap().status, 201);
    assert_eq!(stopping.await.unwrap(), 0);
    assert_parity(&ground, "after the end").await;
    assert_eq!(ground.text("SELECT count(*) FROM tidegate.flag_instance").await, "0");
}

#[tokio::test]
async fn a_database_that_is_gone_is_said_and_comes_back() {
    let cluster = Box::leak(Box::new(Cluster::start(ClusterOptions::default()).await.unwrap()));
    let ground = Ground { database: cluster.database("accounts").await, cluster };
    for migration in accounts::MIGRATIONS {
        ground.apply(migration.sql).await;
    }
    ground.declare("mirrored").await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    cluster.stop_immediate().await.unwrap();
    let answer = ada.get("/v1/account/users").await;
    assert_eq!((answer.status, &answer.body["ok"]), (503, &json!(false)), "{}", answer.body);
    assert!(!answer.body.to_string().contains("127.0.0.1"), "{}", answer.body);
    assert_eq!(ada.get("/readyz").await.status, 503);
    assert_eq!(ada.get("/healthz").await.status, 200);
    cluster.launch().await.unwrap();
    let back = || async { (ada.get("/v1/account/users").await.status == 200).then_some(()) };
    eventually("it serves again", BOUND, back).await.unwrap();
    assert_eq!(
        ada.post(
            "/v1/account/users",
            json!({ "displayName": "P", "profileId": "p", "identityPublicKey": "k" })
        )
        .await
        .status,
        201
    );
    assert_eq!(accounts_set("v1").rows.len(), 7);
}

#[tokio::test]
async fn connections_that_no_request_takes_are_ended_after_their_time() {
    let ground = Ground::migrated().await;
    let pooled = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'accounts'";
    let keeping = Service::start(&ground).await;
    keeping.sign_up("ada@example.org").await;
    assert_ne!(ground.text(pooled).await, "0", "thirty seconds are not over");
    keeping.stop().await;
    let service = Service::start_with(&ground, &[("DATABASE_IDLE_TIMEOUT_MS", "100")]).await;
    service.sign_up("bob@example.org").await;
    let ended = || async { (ground.text(pooled).await == "0").then_some(()) };
    eventually("idle connections are ended", BOUND, ended).await.unwrap();
    service.sign_up("cleo@example.org").await;
}
