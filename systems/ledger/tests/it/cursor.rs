//! The cursor of reconciliation: one tenant's own, and only forward.

use crate::ground::{
    A, B, Deployment, Ground, accepted_inside, become_tenant, begin_as, in_both_deployments, number,
    refusal_inside,
};

in_both_deployments!(
    a_tenant_creates_and_moves_its_own_cursor,
    another_tenants_cursor_is_out_of_reach,
    the_fence_never_goes_back,
    the_fence_could_go_back_before_its_migration,
);

fn insert(tenant: &str, fence: i64) -> String {
    format!("INSERT INTO reconciliation_cursor (community_id, last_fence_token) VALUES ('{tenant}', {fence})")
}

fn advance(fence: i64) -> String {
    format!("UPDATE reconciliation_cursor SET last_fence_token = {fence}")
}

async fn a_tenant_creates_and_moves_its_own_cursor(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&insert(A, 1)).await.unwrap();
    app.batch_execute(&advance(2)).await.unwrap();
    assert_eq!(number(&app, "SELECT last_fence_token FROM reconciliation_cursor").await, 2);
    assert_eq!(refusal_inside(&app, &insert(A, 3)).await.0, "23505");
}

async fn another_tenants_cursor_is_out_of_reach(deployment: Deployment) {
    // From 0011 on: there is no version in which it is open.
    let ground = Ground::at(deployment, "0011").await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&insert(A, 5)).await.unwrap();
    become_tenant(&app, B).await;
    assert_eq!(number(&app, "SELECT count(*) FROM reconciliation_cursor").await, 0);
    assert_eq!(app.execute(&advance(9), &[]).await.unwrap(), 0);
    assert_eq!(refusal_inside(&app, &insert(A, 9)).await.0, "42501");
    become_tenant(&app, A).await;
    assert_eq!(number(&app, "SELECT last_fence_token FROM reconciliation_cursor").await, 5);
}

async fn the_fence_never_goes_back(deployment: Deployment) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&insert(A, 5)).await.unwrap();
    assert_eq!(
        refusal_inside(&app, &advance(4)).await,
        ("LG007".to_owned(), "Reconciliation cursor cannot go backwards: fence 5 → 4".to_owned())
    );
    accepted_inside(&app, &advance(5)).await;
    accepted_inside(&app, &advance(6)).await;
    assert_eq!(refusal_inside(&app, &insert(A, -5)).await.0, "23514");
    let moved = format!("UPDATE reconciliation_cursor SET community_id = '{B}'");
    assert_eq!(refusal_inside(&app, &moved).await.0, "LG007");
}

async fn the_fence_could_go_back_before_its_migration(deployment: Deployment) {
    let ground = Ground::at(deployment, "0016").await;
    let app = ground.app().await;
    begin_as(&app, A).await;
    app.batch_execute(&insert(A, 5)).await.unwrap();
    app.batch_execute(&advance(4)).await.unwrap();
    assert_eq!(number(&app, "SELECT last_fence_token FROM reconciliation_cursor").await, 4);
}
