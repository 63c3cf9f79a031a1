//! Tenants through PgBouncer in transaction mode, on one server connection.
//!
//! Statements go by the simple protocol: a prepared one does not outlive its transaction behind such a pooler.

use testkit::{Pgbouncer, PgbouncerOptions};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::ground::{A, APP, B, Deployment, Ground, in_both_deployments, plant_lot, refusal};

in_both_deployments!(
    two_tenants_share_one_server_connection,
    a_sessions_setting_would_leak_but_the_function_does_not
);

/// A pooler with one server connection, and two clients of it.
async fn pooled(ground: &Ground) -> (Pgbouncer, Client, Client) {
    let options = PgbouncerOptions { pool_size: 1, ..PgbouncerOptions::default() };
    let pooler = Pgbouncer::start(ground.cluster, options).await.unwrap();
    let url = pooler.url_for(APP, &ground.database);
    (pooler, connect(&url).await, connect(&url).await)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The first column of the last row that the statements answer.
async fn answer(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let row = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("no row: {sql}"))
}

async fn two_tenants_share_one_server_connection(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant_lot(&ground.app().await).await;
    let (_pooler, first, second) = pooled(&ground).await;
    let backend = "SELECT pg_backend_pid()";
    let one = answer(&first, backend).await;
    for _ in 0..10 {
        assert_eq!(answer(&second, backend).await, one, "both are on the one server connection");
        for (client, tenant, lots) in [(&first, A, "1"), (&second, B, "0")] {
            let sql = format!(
                "BEGIN; SELECT app.set_community_context('{tenant}'); SELECT count(*) FROM credit_lots; COMMIT"
            );
            assert_eq!(answer(client, &sql).await, lots);
        }
        for client in [&first, &second] {
            assert_eq!(answer(client, "SELECT count(*) FROM credit_lots").await, "0");
            assert_eq!(refusal(client, "SELECT app.current_community_id()").await.0, "P0001");
        }
        // A transaction that ends in an error leaves no tenant behind, either.
        let failing = format!("BEGIN; SELECT app.set_community_context('{A}'); SELECT 1/0");
        assert_eq!(refusal(&first, &failing).await.0, "22012");
        first.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(answer(&second, "SELECT count(*) FROM credit_lots").await, "0");
    }
}

async fn a_sessions_setting_would_leak_but_the_function_does_not(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    plant_lot(&ground.app().await).await;
    let (_pooler, first, second) = pooled(&ground).await;
    // Why the function exists: a plain SET stays on the connection for whoever comes next.
    first.batch_execute(&format!("SET app.community_id = '{A}'")).await.unwrap();
    assert_eq!(answer(&second, "SELECT count(*) FROM credit_lots").await, "1");
    first.batch_execute("RESET app.community_id").await.unwrap();
    let named = format!("SELECT app.set_community_context('{A}')");
    first.batch_execute(&named).await.unwrap();
    assert_eq!(answer(&second, "SELECT count(*) FROM credit_lots").await, "0");
}
