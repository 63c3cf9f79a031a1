//! `schema.sql` is what the migrations make.
//!
//! After a change of the migrations, write it anew with
//! `LEDGER_WRITE_SCHEMA=1 cargo nextest run -p ledger schema_file`.

use crate::ground::{Deployment, Ground, apply, in_both_deployments};

in_both_deployments!(schema_file_equals_the_migrated_schema, loading_the_schema_file_gives_the_same_schema);

async fn schema_file_equals_the_migrated_schema(deployment: Deployment) {
    let ground = Ground::empty(deployment).await;
    let mut migrator = ground.migrator().await;
    for (_, sql) in ledger::MIGRATIONS {
        apply(&mut migrator, sql).await.unwrap();
    }
    let schema = ground.schema().await;
    if std::env::var_os("LEDGER_WRITE_SCHEMA").is_some() {
        std::fs::write(ledger::directory().join("schema.sql"), &schema).unwrap();
    }
    let stored = std::fs::read_to_string(ledger::directory().join("schema.sql")).unwrap();
    assert_eq!(schema, stored, "run with LEDGER_WRITE_SCHEMA=1 and review the difference");
}

async fn loading_the_schema_file_gives_the_same_schema(deployment: Deployment) {
    let ground = Ground::empty(deployment).await;
    apply(&mut ground.migrator().await, ledger::SCHEMA).await.unwrap();
    assert_eq!(ground.schema().await, ledger::SCHEMA);
}
