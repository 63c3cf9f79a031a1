//! Each migration's undo, as the runbook prints it, leaves the schema that was there before the migration.

use crate::ground::{Deployment, Ground, apply, in_both_deployments, plant_lot};

in_both_deployments!(
    undoing_in_reverse_order_passes_through_every_earlier_schema,
    the_original_drops_leave_the_earlier_schema,
    undo_works_with_rows_in_the_tables,
);

/// The statements after `@undo` in the block of a version.
fn undo_of(version: &str) -> String {
    let head = format!("-- @migrate apply_{version}\n");
    let block = ledger::RUNBOOK.split_once(&head).unwrap_or_else(|| panic!("no block {head}")).1;
    let block = block.split_once("\n```").unwrap().0;
    block.split_once("-- @undo\n").unwrap_or_else(|| panic!("no undo for {version}")).1.to_owned()
}

/// The reference from entries to lots alone, as it stands in a schema. 0019 drops it for good: one of 0012 contains it.
const DROPPED: &str = "ALTER TABLE ONLY public.lot_entries
    ADD CONSTRAINT lot_entries_lot_id_fkey FOREIGN KEY (lot_id) REFERENCES public.credit_lots(id);

";

async fn undoing_in_reverse_order_passes_through_every_earlier_schema(deployment: Deployment) {
    let ground = Ground::application(deployment).await;
    let mut migrator = ground.migrator().await;
    let mut schemas = Vec::new();
    for (_, sql) in ledger::MIGRATIONS {
        schemas.push(ground.schema().await);
        apply(&mut migrator, sql).await.unwrap();
    }
    assert_eq!(schemas.iter().filter(|schema| schema.contains(DROPPED)).count(), 10, "from 0009 to 0018");
    for ((name, _), earlier) in ledger::MIGRATIONS.iter().zip(schemas).rev() {
        apply(&mut migrator, &undo_of(&name[..4])).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(ground.schema().await, earlier.replace(DROPPED, ""), "after the undo of {name}");
    }
    // And forward again, over what is not there any more.
    for (name, sql) in ledger::MIGRATIONS {
        apply(&mut migrator, sql).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
    }
}

/// The rollback section of the original page, newest first, word for word.
const ORIGINAL_DROPS: [(&str, &str); 4] = [
    (
        "0011",
        "DROP TABLE IF EXISTS reconciliation_cursor CASCADE;\n\
         DROP TABLE IF EXISTS s2s_jwks_public_keys CASCADE;\n\
         DROP TABLE IF EXISTS usage_events CASCADE;",
    ),
    (
        "0010",
        "DROP TABLE IF EXISTS crypto_payments CASCADE;\n\
         DROP TABLE IF EXISTS webhook_events CASCADE;\n\
         DROP FUNCTION IF EXISTS enforce_payment_status_monotonicity() CASCADE;",
    ),
    (
        "0009",
        "DROP VIEW IF EXISTS lot_balances CASCADE;\n\
         DROP TABLE IF EXISTS lot_entries CASCADE;\n\
         DROP TABLE IF EXISTS credit_lots CASCADE;\n\
         DROP FUNCTION IF EXISTS prevent_mutation() CASCADE;\n\
         DROP FUNCTION IF EXISTS app.update_lot_status(UUID, TEXT) CASCADE;",
    ),
    (
        "0008",
        "DROP FUNCTION IF EXISTS app.set_community_context(UUID) CASCADE;\n\
         DROP FUNCTION IF EXISTS app.current_community_id() CASCADE;\n\
         DROP SCHEMA IF EXISTS app CASCADE;",
    ),
];

async fn the_original_drops_leave_the_earlier_schema(deployment: Deployment) {
    let ground = Ground::application(deployment).await;
    let mut migrator = ground.migrator().await;
    let mut schemas = Vec::new();
    for (_, sql) in ledger::MIGRATIONS.iter().take(4) {
        schemas.push(ground.schema().await);
        apply(&mut migrator, sql).await.unwrap();
    }
    for ((version, drops), earlier) in ORIGINAL_DROPS.into_iter().zip(schemas.into_iter().rev()) {
        assert_eq!(undo_of(version), drops);
        apply(&mut migrator, drops).await.unwrap();
        assert_eq!(ground.schema().await, earlier, "after the drops of {version}");
    }
}

async fn undo_works_with_rows_in_the_tables(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant_lot(&ground.app().await).await;
    let mut migrator = ground.migrator().await;
    for (name, _) in ledger::MIGRATIONS.iter().rev() {
        apply(&mut migrator, &undo_of(&name[..4])).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
    }
    assert_eq!(ground.schema().await, Ground::application(deployment).await.schema().await);
}
