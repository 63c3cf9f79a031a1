//! Applying the migration files by hand, as psql does it.

use crate::ground::{Deployment, Ground, in_both_deployments, number};

in_both_deployments!(
    every_file_applies_with_plain_psql_in_one_transaction,
    applying_again_fails_loudly_and_changes_nothing,
    a_skipped_migration_leaves_nothing_of_the_next,
    every_table_and_column_is_described,
);

async fn every_file_applies_with_plain_psql_in_one_transaction(deployment: Deployment) {
    let ground = Ground::application(deployment).await;
    for (name, _) in ledger::MIGRATIONS {
        let outcome = ground.psql_file(name).await;
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{name}");
    }
    let base = ground.migrator().await;
    assert_eq!(number(&base, "SELECT count(*) FROM communities").await, 20);
    assert_eq!(number(&base, "SELECT count(*) FROM profiles").await, 500);
}

async fn applying_again_fails_loudly_and_changes_nothing(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let before = ground.schema().await;
    let expected = [
        ("0008", "42P06"),
        ("0009", "42P07"),
        ("0010", "42P07"),
        ("0011", "42P07"),
        ("0012", "42P07"),
        ("0013", "42P07"),
        ("0014", "42723"),
        ("0015", "42723"),
        ("0016", "42710"),
        ("0017", "42723"),
        ("0018", "42P07"),
        ("0019", "42P07"),
    ];
    assert_eq!(expected.len(), ledger::MIGRATIONS.len());
    for ((name, _), (version, sqlstate)) in ledger::MIGRATIONS.iter().zip(expected) {
        assert!(name.starts_with(version));
        let outcome = ground.psql_file(name).await;
        assert_eq!(outcome.code(), Some(3), "{name}");
        assert!(outcome.stderr.contains(&format!("ERROR:  {sqlstate}:")), "{name}: {}", outcome.stderr);
    }
    assert_eq!(ground.schema().await, before);
}

async fn a_skipped_migration_leaves_nothing_of_the_next(deployment: Deployment) {
    let ground = Ground::application(deployment).await;
    let before = ground.schema().await;
    let outcome = ground.psql_file("0009_credit_lots_lot_entries.sql").await;
    assert_eq!(outcome.code(), Some(3));
    assert!(outcome.stderr.contains("ERROR:  3F000:"), "{}", outcome.stderr);
    assert_eq!(ground.schema().await, before);
}

async fn every_table_and_column_is_described(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let client = ground.migrator().await;
    let relations = "SELECT oid, relname FROM pg_class
                     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')";
    assert_eq!(number(&client, &format!("SELECT count(*) FROM ({relations}) r")).await, 16);
    let silent = client
        .query(
            &format!(
                "SELECT relname FROM ({relations}) r WHERE obj_description(oid, 'pg_class') IS NULL
                 UNION ALL
                 SELECT relname || '.' || attname FROM ({relations}) r JOIN pg_attribute ON attrelid = oid
                 WHERE attnum > 0 AND NOT attisdropped AND col_description(oid, attnum) IS NULL"
            ),
            &[],
        )
        .await
        .unwrap();
    let silent: Vec<String> = silent.iter().map(|row| row.get(0)).collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn files_hold_no_transaction_control_and_stand_in_order() {
    let mut versions: Vec<&str> = Vec::new();
    for (name, sql) in ledger::MIGRATIONS {
        versions.push(&name[..4]);
        let control = sql.lines().map(|line| line.trim().trim_end_matches(';').to_uppercase()).find(|line| {
            matches!(line.as_str(), "BEGIN TRANSACTION" | "COMMIT" | "ROLLBACK" | "START TRANSACTION")
        });
        assert_eq!(control, None, "{name}");
        assert!(!sql.contains("BEGIN;") && !sql.contains("COMMIT;"), "{name}");
    }
    assert_eq!(
        versions,
        ["0008", "0009", "0010", "0011", "0012", "0013", "0014", "0015", "0016", "0017", "0018", "0019"]
    );
}
