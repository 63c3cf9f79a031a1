//! `vfs-server migrate`.

use crate::legacy_ground::{BOUND, LegacyGround};
use testkit::Outcome;
use vfs_server::migrations::SCHEMA;

async fn migrate(ground: &LegacyGround, arguments: &[&str]) -> Outcome {
    ground.program(&["migrate"]).args(arguments).run(BOUND).await.unwrap()
}

#[tokio::test]
async fn a_fresh_database_comes_to_the_last_version_and_a_second_run_applies_nothing() {
    let ground = LegacyGround::empty().await;
    let outcome = migrate(&ground, &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.ends_with("migrate: 5 applied, 5 in all\n"), "{}", outcome.stdout);
    assert_eq!(
        ground.text("SELECT string_agg(version::text, ' ' ORDER BY version) FROM schema_migrations").await,
        "23 24 25 26 27"
    );
    assert_eq!(ground.schema().await, SCHEMA);
    let outcome = migrate(&ground, &[]).await;
    assert!(outcome.stdout.ends_with("migrate: 0 applied, 5 in all\n"), "{}", outcome.stdout);
}

#[tokio::test]
async fn legacy_data_is_flattened_step_by_step_and_files_applied_by_hand_are_not_applied_again() {
    let ground = LegacyGround::at(23).await;
    ground.seed(&["--prefix", "a b"]).await;
    let outcome = migrate(&ground, &["--to", "24"]).await;
    assert!(
        outcome.stdout.ends_with("migrate: 1 applied, 2 in all\n"),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    let unknown = migrate(&ground, &["--to", "100"]).await;
    assert_eq!(unknown.stderr, "vfs-server: --to: there is no migration of that version\n");
    assert_eq!(ground.psql(25).await.code(), Some(0));
    let stopped = migrate(&ground, &[]).await;
    assert_eq!(stopped.code(), Some(1), "{}", stopped.stdout);
    assert!(stopped.stderr.contains("v026 abort: legacy storage keys differ"), "{}", stopped.stderr);
    assert_eq!(ground.text("SELECT max(version) FROM schema_migrations").await, "25");
    let outcome = ground.program(&["migrate"]).env("VFS_BLOB_S3_KEY_PREFIX", "a b").run(BOUND).await.unwrap();
    assert!(
        outcome.stdout.ends_with("migrate: 2 applied, 5 in all\n"),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    assert_eq!(ground.schema().await, SCHEMA);
}

#[tokio::test]
async fn of_two_at_once_each_either_applies_or_names_the_other() {
    let ground = LegacyGround::empty().await;
    let (one, two) = tokio::join!(migrate(&ground, &[]), migrate(&ground, &[]));
    for outcome in [&one, &two] {
        match outcome.code() {
            Some(0) => {}
            Some(4) => assert!(outcome.stderr.contains("another runner"), "{}", outcome.stderr),
            code => panic!("{code:?}: {}", outcome.stderr),
        }
    }
    assert!([one.code(), two.code()].contains(&Some(0)), "{one:?} {two:?}");
    let outcome = migrate(&ground, &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(ground.schema().await, SCHEMA);
}
