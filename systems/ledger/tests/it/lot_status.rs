//! `app.update_lot_status`, the one way in which a lot changes.

use crate::ground::{
    A, B, Deployment, Ground, LOT, begin_as, in_both_deployments, number, plant_lot, refusal, refusal_inside,
    text,
};

in_both_deployments!(
    a_tenant_moves_its_own_lot_once,
    another_tenants_lot_stays_as_it_is,
    without_a_tenant_nothing_moves,
    only_two_targets_exist,
    other_writers_are_not_held_up,
    the_permission_to_update_ends_with_the_call,
    only_the_status_can_change_whoever_asks,
    a_shadowing_schema_does_not_reach_into_the_function,
);

fn call(status: &str) -> String {
    format!("SELECT app.update_lot_status('{LOT}', '{status}')")
}

async fn ready(deployment: Deployment) -> (Ground, tokio_postgres::Client) {
    let ground = Ground::migrated(deployment).await;
    let app = ground.app().await;
    plant_lot(&app).await;
    (ground, app)
}

/// The stored status, read by the superuser.
async fn status(ground: &Ground) -> String {
    let root = ground.database.client().await;
    text(&root, &format!("SELECT status FROM credit_lots WHERE id = '{LOT}'")).await
}

async fn a_tenant_moves_its_own_lot_once(deployment: Deployment) {
    let (ground, app) = ready(deployment).await;
    begin_as(&app, A).await;
    app.batch_execute(&format!("{}; COMMIT", call("depleted"))).await.unwrap();
    assert_eq!(status(&ground).await, "depleted");
    begin_as(&app, A).await;
    app.batch_execute(&call("depleted")).await.unwrap();
    assert_eq!(
        refusal_inside(&app, &call("expired")).await,
        ("LG002".to_owned(), "Invalid lot status transition: depleted → expired".to_owned())
    );
}

async fn another_tenants_lot_stays_as_it_is(deployment: Deployment) {
    let (ground, app) = ready(deployment).await;
    begin_as(&app, B).await;
    let refused = refusal(&app, &call("expired")).await;
    assert_eq!(refused, ("LG002".to_owned(), format!("Lot {LOT} is not a lot of this community")));
    assert_eq!(status(&ground).await, "active");
}

async fn without_a_tenant_nothing_moves(deployment: Deployment) {
    let (ground, app) = ready(deployment).await;
    let migrator = ground.migrator().await;
    for client in [&app, &migrator] {
        let refused = refusal(client, &call("expired")).await;
        assert_eq!(refused, ("P0001".to_owned(), "app.community_id is not set".to_owned()));
    }
    assert_eq!(status(&ground).await, "active");
}

async fn only_two_targets_exist(deployment: Deployment) {
    let (ground, app) = ready(deployment).await;
    begin_as(&app, A).await;
    for target in ["active", "", "gone"] {
        let refused = refusal_inside(&app, &call(target)).await;
        assert_eq!(refused, ("LG002".to_owned(), format!("Invalid lot status transition: {target}")));
    }
    let null = format!("SELECT app.update_lot_status('{LOT}', NULL)");
    assert_eq!(refusal_inside(&app, &null).await.0, "LG002");
    assert_eq!(status(&ground).await, "active");
}

async fn other_writers_are_not_held_up(deployment: Deployment) {
    let (ground, app) = ready(deployment).await;
    begin_as(&app, A).await;
    app.batch_execute(&call("expired")).await.unwrap();

    let other = ground.app().await;
    begin_as(&other, B).await;
    other
        .batch_execute(&format!(
            "SET LOCAL lock_timeout = '2s';
             INSERT INTO credit_lots (community_id, source, amount_micro) VALUES ('{B}', 'grant', 5);
             COMMIT"
        ))
        .await
        .unwrap();
    let enabled =
        "SELECT count(*) FROM pg_trigger WHERE tgname = 'credit_lots_no_update' AND tgenabled = 'O'";
    assert_eq!(number(&app, enabled).await, 1);
}

async fn the_permission_to_update_ends_with_the_call(deployment: Deployment) {
    let (ground, _app) = ready(deployment).await;
    let migrator = ground.migrator().await;
    begin_as(&migrator, A).await;
    migrator.batch_execute(&call("expired")).await.unwrap();
    let sql = "UPDATE credit_lots SET status = 'depleted'";
    assert_eq!(refusal_inside(&migrator, sql).await.0, "LG001");
    // After a call that failed, too.
    assert_eq!(refusal_inside(&migrator, &call("depleted")).await.0, "LG002");
    assert_eq!(refusal_inside(&migrator, sql).await.0, "LG001");
}

async fn only_the_status_can_change_whoever_asks(deployment: Deployment) {
    let (ground, _app) = ready(deployment).await;
    let migrator = ground.migrator().await;
    begin_as(&migrator, A).await;
    migrator.batch_execute("SELECT set_config('app.lot_status_change', 'pretended', true)").await.unwrap();
    for sql in [
        "UPDATE credit_lots SET amount_micro = 5",
        "UPDATE credit_lots SET status = 'expired', expires_at = now()",
        "UPDATE credit_lots SET status = 'active'",
    ] {
        assert_eq!(refusal_inside(&migrator, sql).await.0, "LG002", "{sql}");
    }
}

async fn a_shadowing_schema_does_not_reach_into_the_function(deployment: Deployment) {
    let (ground, app) = ready(deployment).await;
    begin_as(&app, A).await;
    app.batch_execute(
        "CREATE TEMPORARY TABLE credit_lots (id uuid, community_id uuid, status text);
         SET LOCAL search_path = pg_temp, public",
    )
    .await
    .unwrap();
    app.batch_execute(&format!("{}; COMMIT", call("expired"))).await.unwrap();
    let root = ground.database.client().await;
    assert_eq!(
        text(&root, &format!("SELECT status FROM public.credit_lots WHERE id = '{LOT}'")).await,
        "expired"
    );
}
