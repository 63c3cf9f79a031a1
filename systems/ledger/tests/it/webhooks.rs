//! Deliveries of payment providers: written by the system role, once each.

use crate::ground::{Deployment, Ground, in_both_deployments, number, refusal};

in_both_deployments!(
    the_system_role_writes_each_delivery_once,
    the_application_sees_and_writes_no_delivery,
    the_table_works_without_bypassing_row_security,
);

const DELIVERY: &str =
    "INSERT INTO webhook_events (provider, event_id) VALUES ('nowpayments', 'pay-1:finished')";

async fn the_system_role_writes_each_delivery_once(deployment: Deployment) {
    let ground = Ground::at(deployment, "0010").await;
    let system = ground.system().await;
    system.batch_execute(DELIVERY).await.unwrap();
    assert_eq!(refusal(&system, DELIVERY).await.0, "23505");
    assert_eq!(system.execute(&format!("{DELIVERY} ON CONFLICT DO NOTHING"), &[]).await.unwrap(), 0);
    assert_eq!(number(&system, "SELECT count(*) FROM webhook_events").await, 1);
    let unknown = "INSERT INTO webhook_events (provider, event_id) VALUES ('paypal', '1')";
    assert_eq!(refusal(&system, unknown).await.0, "23514");
}

async fn the_application_sees_and_writes_no_delivery(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    ground.system().await.batch_execute(DELIVERY).await.unwrap();
    let app = ground.app().await;
    assert_eq!(number(&app, "SELECT count(*) FROM webhook_events").await, 0);
    let (code, message) = refusal(&app, DELIVERY).await;
    assert_eq!((code.as_str(), message.as_str()), ("42501", "permission denied for table webhook_events"));
}

async fn the_table_works_without_bypassing_row_security(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    // Where the system role cannot be given BYPASSRLS, its policies carry it. Taken back with the transaction.
    let root = ground.database.client().await;
    root.batch_execute("BEGIN; ALTER ROLE arrakis_admin NOBYPASSRLS; SET LOCAL ROLE arrakis_admin")
        .await
        .unwrap();
    root.batch_execute(DELIVERY).await.unwrap();
    assert_eq!(number(&root, "SELECT count(*) FROM webhook_events").await, 1);
}
