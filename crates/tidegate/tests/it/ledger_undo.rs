//! Each undo of the ledger's runbook: exact losses, dependants of others, strict order.

use crate::ledger_stage::{Deployment, LedgerStage, on_stage, told};
use crate::ledger_whole::figures;

const COMMUNITY: &str = "11111111-1111-4111-8111-111111111111";

/// One row in every table that the ledger makes, each written by the role that may.
async fn fill(stage: &LedgerStage) {
    let app = stage.database.client_as("arrakis_app").await;
    app.batch_execute(&format!(
        "BEGIN;
         SELECT app.set_community_context('{COMMUNITY}');
         WITH lot AS (INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{COMMUNITY}', 'seed', 9) RETURNING id)
         INSERT INTO lot_entries (lot_id, community_id, entry_type, amount_micro) SELECT id, '{COMMUNITY}', 'credit', 9 FROM lot;
         INSERT INTO crypto_payments (community_id, amount_usd) VALUES ('{COMMUNITY}', 5);
         INSERT INTO usage_events (event_id, community_id, nft_id, pool_id) VALUES (gen_random_uuid(), '{COMMUNITY}', 'n', 'p');
         INSERT INTO reconciliation_cursor (community_id, last_fence_token) VALUES ('{COMMUNITY}', 1);
         COMMIT"
    ))
    .await
    .unwrap();
    app.batch_execute(
        "INSERT INTO s2s_jwks_public_keys (kid, kty, crv, x, y, issuer)
         VALUES ('k', 'EC', 'P-256', repeat('A', 43), repeat('B', 43), 'freeside')",
    )
    .await
    .unwrap();
    let admin = stage.database.client_as("arrakis_admin").await;
    admin
        .batch_execute("INSERT INTO webhook_events (provider, event_id) VALUES ('x402', 'one')")
        .await
        .unwrap();
}

/// Stages from the newest, each with the stage before it, the figures it must show, and a dependant to hang on it.
const UNDOS: [(&str, &str, &str); 6] = [
    ("m0013", "public.tenant_totals=1", "VIEW theirs AS SELECT count(*) FROM public.tenant_totals"),
    ("m0012", "public.lot_totals=1", "VIEW theirs AS SELECT count(*) FROM public.lot_totals"),
    ("m0011", "", ""),
    (
        "m0010",
        "public.reconciliation_cursor=1,public.s2s_jwks_public_keys=1,public.usage_events=1",
        "VIEW theirs AS SELECT kid FROM public.s2s_jwks_public_keys",
    ),
    (
        "m0009",
        "public.crypto_payments=1,public.webhook_events=1",
        "VIEW theirs AS SELECT id FROM public.crypto_payments",
    ),
    (
        "m0008",
        "public.credit_lots=1,public.lot_entries=1",
        "VIEW theirs AS SELECT lot_id FROM public.lot_balances",
    ),
];

async fn undos(deployment: Deployment) {
    let stage = LedgerStage::new(deployment).await;
    stage.run_to_the_end().await;
    fill(&stage).await;
    let rollback =
        |to: &str| stage.with_parameters(["rollback", "--to", to, "--undo", "--apply", "--actor", "alice"]);

    // Out of order: an older effect is not taken back while newer ones stand.
    let out_of_order = stage
        .call(&stage.with_parameters(["rollback", "--step", "apply_0009", "--apply", "--actor", "alice"]))
        .await;
    assert_eq!(out_of_order.code(), Some(3), "{}", told(&out_of_order));
    assert!(
        format!("{}{}", out_of_order.stdout, out_of_order.stderr).contains("apply_0019"),
        "{}",
        told(&out_of_order)
    );

    for (to, expected, dependant) in UNDOS {
        if !expected.is_empty() {
            let refused = stage.call(&rollback(to)).await;
            let shown = format!("{}{}", refused.stdout, refused.stderr);
            assert_eq!(refused.code(), Some(3), "{}", told(&refused));
            assert!(!shown.contains("Went back"), "nothing is undone without the figures: {shown}");
            assert_eq!(figures(&shown), expected);
            let wrong = expected.replace("=1", "=2");
            let refused = stage.call(&rollback(to).args(["--accept-loss", &wrong])).await;
            assert!(
                !format!("{}{}", refused.stdout, refused.stderr).contains("Went back"),
                "{}",
                told(&refused)
            );

            let theirs = stage.database.client().await;
            theirs.batch_execute(&format!("CREATE {dependant}")).await.unwrap();
            let refused = stage.call(&rollback(to).args(["--accept-loss", expected])).await;
            let shown = format!("{}{}", refused.stdout, refused.stderr);
            assert!(shown.contains("view public.theirs"), "a dependant of others refuses always: {shown}");
            theirs.batch_execute("SELECT 1 FROM theirs LIMIT 1; DROP VIEW theirs").await.unwrap();
        }
        let went = stage.call(&rollback(to).args(["--accept-loss", expected])).await;
        let shown = format!("{}{}", went.stdout, went.stderr);
        assert!(shown.contains(&format!("Went back to the state after stage {to}")), "{}", told(&went));
    }
    let last = stage.call(&rollback("start")).await;
    assert_eq!(last.code(), Some(7), "{}", told(&last));
    assert!(stage.database.value::<bool>("SELECT to_regnamespace('app') IS NULL").await);
}

#[test]
fn each_undo_of_a_superuser_counts_what_it_loses() {
    on_stage(undos(Deployment::Su));
}

#[test]
fn each_undo_of_a_plain_owner_counts_what_row_security_hides_from_it() {
    on_stage(undos(Deployment::Own));
}
