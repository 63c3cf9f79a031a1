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
