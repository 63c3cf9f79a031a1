//! The program's commands where something is wrong around them: each says what, where, and what next, and how it ended.

use serde_json::json;
use testkit::{Outcome, Program};

use crate::ground::{A, APP, B, Deployment, Ground, SYSTEM, in_both_deployments};
use crate::town::{BOUND, Town};

in_both_deployments!(
    what_looks_across_tenants_refuses_a_login_that_does_not,
    a_schema_that_is_half_way_is_named_with_what_leads_on,
    a_tenant_whose_lock_is_held_is_named_and_the_others_are_swept,
    a_full_disk_is_told_as_that,
);

/// Commands that look across tenants.
const ACROSS: [&[&str]; 4] =
    [&["verify"], &["sweep"], &["reconcile"], &["sweep-payments", "--provider", "http://127.0.0.1:1"]];
/// Commands of the application's login alone.
const WITHIN: [&[&str]; 3] =
    [&["statement", A], &["reset-breaker", A, "--actor", "olga"], &["keys", "revoke", "k9"]];

async fn run(arguments: &[&str], application: &str, system: Option<&str>) -> Outcome {
    let mut program = Program::new(env!("CARGO_BIN_EXE_ledger"))
        .args(arguments)
        .env("DATABASE_URL", application)
        .env("PORT", "0");
    if let Some(system) = system {
        program = program.env("DATABASE_SYSTEM_URL", system);
    }
    program.run(BOUND).await.unwrap()
}

/// That a command ended so, and that its last words have all of these.
#[track_caller]
fn ended(arguments: &[&str], outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code(), Some(code), "{arguments:?}: {}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "{arguments:?} does not say {word}: {}", outcome.stderr);
    }
}

async fn what_looks_across_tenants_refuses_a_login_that_does_not(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let (application, system) = (ground.database.url_for(APP), ground.database.url_for(SYSTEM));
    for arguments in ACROSS {
        let outcome = run(arguments, &application, None).await;
        ended(arguments, &outcome, 2, &["DATABASE_SYSTEM_URL is not set", "arrakis_admin"]);
        // As the application it would see no row, and say that all is well.
        let outcome = run(arguments, &application, Some(&application)).await;
        ended(arguments, &outcome, 2, &["logs in as arrakis_app", "it must log in as arrakis_admin"]);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        ended(arguments, &run(arguments, &application, Some(&system)).await, 0, &[]);
        // By its policies alone, or as one that row security does not stop.
        let superuser = ground.database.url();
        ended(arguments, &run(arguments, &application, Some(&superuser)).await, 0, &[]);
    }
    let serve = run(&["serve"], &application, Some(&application)).await;
    ended(&["serve"], &serve, 1, &["logs in as arrakis_app", "it must log in as arrakis_admin"]);
    let statement = run(&["statement", A], &system, None).await;
    ended(&["statement"], &statement, 1, &["permission denied", "DATABASE_URL must log in as arrakis_app"]);
}

async fn a_schema_that_is_half_way_is_named_with_what_leads_on(deployment: Deployment) {
    for version in ["0000", "0011", "0018"] {
        let ground = Ground::at(deployment, version).await;
        let (application, system) = (ground.database.url_for(APP), ground.database.url_for(SYSTEM));
        for arguments in ACROSS.iter().chain(&WITHIN).chain(&[["serve"].as_slice()]) {
            let outcome = run(arguments, &application, Some(&system)).await;
            ended(arguments, &outcome, 1, &["the database lacks migration 0019", "economic-ledger.md"]);
            assert_eq!(outcome.stdout, "", "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_with_its_place_and_what_to_look_at() {
    let ground = Ground::migrated(Deployment::Own).await;
    let url = |role: &str| format!("postgresql://{role}@127.0.0.1:1/ledger");
    for arguments in ACROSS.iter().chain(&WITHIN).chain(&[["serve"].as_slice()]) {
        let outcome = run(arguments, &url(APP), Some(&url(SYSTEM))).await;
        ended(arguments, &outcome, 1, &["127.0.0.1:1", "DATABASE_URL", "the pooler"]);
    }
    let other = ground.cluster.url_for(APP, "another");
    let outcome = run(&["statement", A], &other, None).await;
    ended(&["statement"], &outcome, 1, &["\"another\" does not exist", "must name the ledger's database"]);
    let nobody = ground.database.url_for("nobody_at_all");
    let outcome = run(&["statement", A], &nobody, None).await;
    ended(&["statement"], &outcome, 1, &["\"nobody_at_all\"", "must log in as arrakis_app"]);
    let outcome = run(&["verify"], "not a url", None).await;
    ended(&["verify"], &outcome, 2, &["DATABASE_URL"]);
}

async fn a_tenant_whose_lock_is_held_is_named_and_the_others_are_swept(deployment: Deployment) {
    let town = Town::new(deployment).await;
    for tenant in [A, B] {
        let ask = town.of(tenant);
        ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 100 })).await.good();
        ask.post("reservations", json!({ "reservationId": "r", "amountMicro": 60, "seconds": 1 }))
            .await
            .good();
    }
    testkit::eventually("both are due", BOUND, async || {
        (town.ledger.due(10).await.unwrap().len() == 2).then_some(())
    })
    .await
    .unwrap();
    let holder = town.ground.app().await;
    holder.batch_execute(&format!("BEGIN; SELECT app.enter_tenant('{A}')")).await.unwrap();
    let (application, system) = (town.ground.database.url_for(APP), town.ground.database.url_for(SYSTEM));
    let outcome = run(&["sweep"], &application, Some(&system)).await;
    ended(&["sweep"], &outcome, 1, &[A, "locked by another transaction", "try again"]);
    assert!(
        outcome.stdout.starts_with("1 reservations given back") && !outcome.stderr.contains(B),
        "{outcome:?}"
    );
    // Who asks for its balance meanwhile is told so, too, and that nothing was done.
    assert_eq!(town.of(A).get("balance").await.refusal(), (503, "BUSY"));
    holder.batch_execute("ROLLBACK").await.unwrap();
    ended(&["sweep"], &run(&["sweep"], &application, Some(&system)).await, 0, &[]);
    assert_eq!(town.of(A).get("balance").await.good()["spendableMicro"], 100);
    // A table that somebody has for himself.
    let holder = town.ground.database.client().await;
    holder.batch_execute("BEGIN; LOCK TABLE lot_entries IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let outcome = run(&["verify"], &application, Some(&system)).await;
    ended(&["verify"], &outcome, 1, &["lock timeout", "pg_stat_activity"]);
}

async fn a_full_disk_is_told_as_that(deployment: Deployment) {
    let town = Town::new(deployment).await;
    let ask = town.of(A);
    ask.post("lots", json!({ "key": "l", "source": "grant", "amountMicro": 100 })).await.good();
    ask.post("reservations", json!({ "reservationId": "r", "amountMicro": 60, "seconds": 1 })).await.good();
    testkit::eventually("it is due", BOUND, async || {
        (town.ledger.due(10).await.unwrap().len() == 1).then_some(())
    })
    .await
    .unwrap();
    town.ground
        .database
        .execute(
            "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
               RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
             END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON lot_entries EXECUTE FUNCTION public.full()",
        )
        .await;
    let (application, system) = (town.ground.database.url_for(APP), town.ground.database.url_for(SYSTEM));
    let outcome = run(&["sweep"], &application, Some(&system)).await;
    ended(&["sweep"], &outcome, 1, &[A, "No space left on device", "make room"]);
    // What only reads goes on.
    ended(&["verify"], &run(&["verify"], &application, Some(&system)).await, 0, &[]);
    ended(&["statement"], &run(&["statement", A], &application, None).await, 0, &[]);
    let none = run(&["statement", B], &application, None).await;
    ended(&["statement"], &none, 0, &[B, "has no entry"]);
}

#[tokio::test]
async fn a_service_whose_database_goes_and_comes_says_so_and_no_more() {
    let ground = Ground::mortal(Deployment::Own).await;
    let (application, system) = (ground.database.url_for(APP), ground.database.url_for(SYSTEM));
    let town = Town::with(ground, &application, &system).await;
    let ready = town.plain("/readyz", &[]).await;
    assert_eq!((ready.status, &ready.body["why"]), (200, &json!(null)));
    town.ground.cluster.stop_immediate().await.unwrap();
    let ready = town.plain("/readyz", &[]).await;
    assert_eq!((ready.status, &ready.body["ready"]), (503, &json!(false)));
    let why = ready.body["why"].as_str().unwrap();
    assert!(why.contains("see the log") && !why.contains("127.0.0.1") && !why.contains("arrakis"), "{why}");
    assert_eq!(town.plain("/health", &[]).await.status, 503);
    assert!(town.plain("/metrics", &[]).await.text.contains("route=\"/readyz\",status=\"503\""));
    town.ground.cluster.launch().await.unwrap();
    testkit::eventually("it is ready again", BOUND, async || {
        (town.plain("/readyz", &[]).await.status == 200).then_some(())
    })
    .await
    .unwrap();
}
