//! `schema.sql` is what the migrations make.
//!
//! After a change of the migrations, write it anew with
//! `ACCOUNTS_WRITE_SCHEMA=1 cargo nextest run -p accounts schema_file`.

use crate::ground::Ground;
use crate::migrating::schema;

#[tokio::test]
async fn schema_file_equals_the_migrated_schema() {
    let schema = schema(&Ground::migrated().await).await;
    if std::env::var_os("ACCOUNTS_WRITE_SCHEMA").is_some() {
        std::fs::write(accounts::directory().join("schema.sql"), &schema).unwrap();
    }
    let stored = std::fs::read_to_string(accounts::directory().join("schema.sql")).unwrap();
    assert_eq!(schema, stored, "run with ACCOUNTS_WRITE_SCHEMA=1 and review the difference");
}

#[tokio::test]
async fn loading_the_schema_file_gives_the_same_schema() {
    let ground = Ground::empty().await;
    ground.apply(accounts::SCHEMA).await;
    assert_eq!(schema(&ground).await, accounts::SCHEMA);
}
