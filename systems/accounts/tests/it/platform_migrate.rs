//! `accounts platform-migrate`.

use testkit::{Outcome, Program};

use crate::ground::{BOUND, Ground};
use crate::migrating::schema;

async fn migrate(ground: &Ground) -> Outcome {
    let program = Program::new(env!("CARGO_BIN_EXE_accounts"));
    program.arg("platform-migrate").env("DATABASE_URL", ground.database.url()).run(BOUND).await.unwrap()
}

async fn migrate_to(ground: &Ground, version: &str) -> Outcome {
    let program = Program::new(env!("CARGO_BIN_EXE_accounts")).args(["platform-migrate", "--to", version]);
    program.env("DATABASE_URL", ground.database.url()).run(BOUND).await.unwrap()
}

/// The schema without what the engine and the version table add.
async fn schema_of_files(ground: &Ground) -> String {
    let copy = ground.cluster.try_database("copy", ground.database.name()).await.unwrap();
    let copy = Ground { cluster: ground.cluster, database: copy };
    copy.database.execute("DROP SCHEMA tidegate CASCADE; DROP TABLE platform_schema_migrations").await;
    schema(&copy).await
}

#[tokio::test]
async fn every_file_is_applied_once_and_manual_ones_never() {
    let ground = Ground::empty().await;
    let outcome = migrate(&ground).await;
    assert_eq!(outcome.code(), Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.ends_with("platform-migrate: 9 applied, 9 in all\n"), "{}", outcome.stdout);
    let names = "SELECT string_agg(id, ' ' ORDER BY id COLLATE \"C\") FROM platform_schema_migrations";
    let expected: Vec<&str> = accounts::MIGRATIONS.iter().map(|migration| migration.name).collect();
    assert_eq!(ground.text(names).await, expected.join(" "));
    assert_eq!(schema_of_files(&ground).await, accounts::SCHEMA);
}

#[tokio::test]
async fn a_second_run_applies_nothing_and_a_newer_program_only_what_is_new() {
    let ground = Ground::empty().await;
    let outcome = migrate_to(&ground, "0004").await;
    assert!(outcome.stdout.ends_with("platform-migrate: 5 applied, 5 in all\n"), "{}", outcome.stdout);
    assert_eq!(schema_of_files(&ground).await, schema(&Ground::at("0004").await).await);
    let unknown = migrate_to(&ground, "0100").await;
    assert_eq!(unknown.code(), Some(2));
    assert_eq!(unknown.stderr, "accounts: --to: there is no migration of that version\n");
    for (run, applied) in [("first", 4), ("second", 0)] {
        let outcome = migrate(&ground).await;
        assert_eq!(outcome.code(), Some(0), "{run}: {}", outcome.stderr);
        let end = format!("platform-migrate: {applied} applied, 9 in all\n");
        assert!(outcome.stdout.ends_with(&end), "{run}: {}", outcome.stdout);
    }
    ground
        .database
        .execute("UPDATE platform_schema_migrations SET checksum = 'other' WHERE id LIKE '0006%'")
        .await;
    let before = schema(&ground).await;
    ground.database.execute("DELETE FROM platform_schema_migrations WHERE id LIKE '0008%'").await;
    let outcome = migrate(&ground).await;
    assert_eq!(outcome.code(), Some(1));
    let text = "accounts: Migration checksum mismatch for 0006_account_permissions.sql. Expected other, got ";
    assert!(outcome.stderr.starts_with(text), "{}", outcome.stderr);
    assert_eq!(schema(&ground).await, before);
}

#[tokio::test]
async fn a_file_that_fails_leaves_what_was_before_it_and_the_next_run_goes_on() {
    let ground = Ground::empty().await;
    ground.database.execute("CREATE TABLE account_permissions (in_the_way int)").await;
    let outcome = migrate(&ground).await;
    assert_eq!(outcome.code(), Some(1), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("account_permissions"), "{}", outcome.stderr);
    assert_eq!(ground.text("SELECT count(*) FROM platform_schema_migrations").await, "6");
    ground.database.execute("DROP TABLE account_permissions").await;
    let outcome = migrate(&ground).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(ground.text("SELECT count(*) FROM platform_schema_migrations").await, "9");
}

#[tokio::test]
async fn of_two_at_once_each_either_applies_or_names_the_other() {
    let ground = Ground::empty().await;
    let (one, two) = tokio::join!(migrate(&ground), migrate(&ground));
    for outcome in [&one, &two] {
        match outcome.code() {
            Some(0) => {}
            Some(4) => assert!(outcome.stderr.contains("another runner"), "{}", outcome.stderr),
            code => panic!("{code:?}: {}", outcome.stderr),
        }
    }
    assert!([one.code(), two.code()].contains(&Some(0)), "{one:?} {two:?}");
    let outcome = migrate(&ground).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(ground.text("SELECT count(*) FROM platform_schema_migrations").await, "9");
    let without =
        Program::new(env!("CARGO_BIN_EXE_accounts")).arg("platform-migrate").run(BOUND).await.unwrap();
    assert_eq!(without.code(), Some(2));
    assert_eq!(without.stderr, "accounts: Database pool is unavailable. DATABASE_URL is not configured.\n");
}
