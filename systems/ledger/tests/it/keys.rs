//! Public keys of services.

use crate::ground::{Deployment, Ground, accepted_inside, in_both_deployments, number, refusal_inside};

in_both_deployments!(
    only_well_formed_keys_are_stored,
    a_keys_life_changes_and_nothing_else,
    the_index_holds_keys_in_use
);

fn key(kid: &str, kty: &str, crv: &str, x: &str, y: &str, issuer: &str) -> String {
    format!(
        "INSERT INTO s2s_jwks_public_keys (kid, kty, crv, x, y, issuer)
         VALUES ('{kid}', '{kty}', '{crv}', '{x}', '{y}', '{issuer}')"
    )
}

async fn only_well_formed_keys_are_stored(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    app.batch_execute("BEGIN").await.unwrap();
    let good = "A_-z0".repeat(9)[..43].to_owned();
    for issuer in ["freeside", "finn"] {
        accepted_inside(&app, &key("k", "EC", "P-256", &good, &good, issuer)).await;
    }
    let short = &good[..42];
    let long = format!("{good}A");
    let padded = format!("{short}=");
    for sql in [
        key("", "EC", "P-256", &good, &good, "finn"),
        key("k", "RSA", "P-256", &good, &good, "finn"),
        key("k", "EC", "P-384", &good, &good, "finn"),
        key("k", "EC", "P-256", "", &good, "finn"),
        key("k", "EC", "P-256", &good, "not base64!", "finn"),
        key("k", "EC", "P-256", short, &good, "finn"),
        key("k", "EC", "P-256", &good, &long, "finn"),
        key("k", "EC", "P-256", &good, &padded, "finn"),
        key("k", "EC", "P-256", &good, &good, "loa-freeside"),
    ] {
        assert_eq!(refusal_inside(&app, &sql).await.0, "23514", "{sql}");
    }
}

async fn a_keys_life_changes_and_nothing_else(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    app.batch_execute("BEGIN").await.unwrap();
    let good = "A".repeat(43);
    app.batch_execute(&key("k", "EC", "P-256", &good, &good, "finn")).await.unwrap();
    accepted_inside(&app, "UPDATE s2s_jwks_public_keys SET revoked_at = now() WHERE kid = 'k'").await;
    accepted_inside(&app, "UPDATE s2s_jwks_public_keys SET expires_at = now() WHERE kid = 'k'").await;
    for column in ["kid", "x", "y", "issuer"] {
        let sql = format!("UPDATE s2s_jwks_public_keys SET {column} = {column}");
        assert_eq!(refusal_inside(&app, &sql).await.0, "42501", "{sql}");
    }
    assert_eq!(refusal_inside(&app, "DELETE FROM s2s_jwks_public_keys").await.0, "42501");
}

async fn the_index_holds_keys_in_use(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let valid = "SELECT count(*) FROM pg_index WHERE indexrelid = 'idx_s2s_jwks_pg_issuer_active'::regclass
                 AND indisvalid AND pg_get_expr(indpred, indrelid) = '(revoked_at IS NULL)'";
    assert_eq!(number(&ground.migrator().await, valid).await, 1);
}
