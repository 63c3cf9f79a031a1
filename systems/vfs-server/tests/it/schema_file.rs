//! `schema.sql` is what the migrations make.
//!
//! After a change of the migrations, write it anew with
//! `VFS_WRITE_SCHEMA=1 cargo nextest run -p vfs-server schema_file`.

use crate::legacy_ground::LegacyGround;
use vfs_server::migrations::{MIGRATIONS, SCHEMA, directory};

#[tokio::test]
async fn schema_file_equals_the_migrated_schema() {
    let schema = LegacyGround::at(27).await.schema().await;
    if std::env::var_os("VFS_WRITE_SCHEMA").is_some() {
        std::fs::write(directory().join("schema.sql"), &schema).unwrap();
    }
    let stored = std::fs::read_to_string(directory().join("schema.sql")).unwrap();
    assert_eq!(schema, stored, "run with VFS_WRITE_SCHEMA=1 and review the difference");
}

#[tokio::test]
async fn loading_the_schema_file_gives_the_same_schema() {
    let ground = LegacyGround::empty().await;
    ground.apply(SCHEMA).await;
    assert_eq!(ground.schema().await, SCHEMA);
}

#[tokio::test]
async fn a_database_with_legacy_data_comes_to_the_schema_of_a_fresh_one_by_hand() {
    let ground = LegacyGround::at(23).await;
    ground.seed(&[]).await;
    let mut files: Vec<String> = std::fs::read_dir(directory().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    files.sort();
    assert_eq!(files, MIGRATIONS.iter().map(|migration| migration.name).collect::<Vec<_>>());
    for version in 24..=27 {
        let outcome = ground.psql(version).await;
        assert_eq!(outcome.code(), Some(0), "{version}: {}", outcome.stderr);
        assert_eq!(ground.text("SELECT max(version) FROM schema_migrations").await, version.to_string());
    }
    assert_eq!(ground.schema().await, SCHEMA);
}

#[tokio::test]
async fn what_goes_with_an_item_is_found_by_an_index_also_in_the_legacy_tables() {
    let ground = LegacyGround::at(23).await;
    let client = ground.database.client().await;
    // As the checks of the foreign keys ask, without the way that reads a small table whole.
    client.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.unwrap();
    let keys = "SELECT conrelid::regclass::text, attname::text FROM pg_constraint \
                JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1] \
                WHERE contype = 'f' AND confrelid = 'vfs_registry'::regclass ORDER BY 1, 2";
    let keys = client.query(keys, &[]).await.unwrap();
    assert!(keys.len() >= 9, "{}", keys.len());
    for (n, key) in keys.iter().enumerate() {
        let (table, column): (String, String) = (key.get(0), key.get(1));
        let prepare = format!(
            "PREPARE of_item_{n} (text) AS SELECT FROM ONLY {table} WHERE {column} = $1 FOR KEY SHARE"
        );
        client.batch_execute(&prepare).await.unwrap();
        let explained = client.query(&format!("EXPLAIN EXECUTE of_item_{n} ('an-item')"), &[]).await.unwrap();
        let plan: Vec<String> = explained.iter().map(|line| line.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Cond") && !plan.contains("Seq Scan"), "{table}.{column}:\n{plan}");
    }
}
