//! The base script: two roles with exactly their attributes, however often it runs.

use testkit::{Cluster, ClusterOptions};
use tokio::task::JoinSet;

use crate::ground::{Deployment, Ground, in_both_deployments, text};

in_both_deployments!(the_roles_are_as_the_migrations_need_them);

const ROLES: &str =
    "SELECT string_agg(format('%s login=%s super=%s inherit=%s bypass=%s', rolname, rolcanlogin, rolsuper,
                                              rolinherit, rolbypassrls), '; ' ORDER BY rolname)
                     FROM pg_roles WHERE rolname LIKE 'arrakis%'";
const EXPECTED_ROLES: &str =
    "arrakis_admin login=t super=f inherit=f bypass=t; arrakis_app login=t super=f inherit=t bypass=f";
const MEMBERS: &str = "SELECT string_agg(name, '; ' ORDER BY name)
                       FROM (SELECT DISTINCT format('%s in %s', member::regrole, roleid::regrole) AS name FROM pg_auth_members
                             WHERE member::regrole::text IN ('arrakis_admin', 'arrakis_app', 'ledger_owner')) m";

async fn the_roles_are_as_the_migrations_need_them(deployment: Deployment) {
    let ground = Ground::empty(deployment).await;
    let root = ground.database.client().await;
    assert_eq!(text(&root, ROLES).await, EXPECTED_ROLES);
    let passwords =
        "SELECT count(*)::text FROM pg_authid WHERE rolname LIKE 'arrakis%' AND rolpassword IS NOT NULL";
    assert_eq!(text(&root, passwords).await, "0");
    let migrator = ground.migrator().await;
    for membership in [
        "pg_has_role('arrakis_app', 'MEMBER')",
        "pg_has_role('pg_read_all_stats', 'USAGE')",
        "pg_has_role('pg_signal_backend', 'USAGE')",
    ] {
        assert_eq!(text(&migrator, &format!("SELECT {membership}::text")).await, "true", "{membership}");
    }
}

#[tokio::test]
async fn running_it_at_once_and_again_makes_each_role_and_membership_once() {
    // A cluster of its own: the first of these sessions makes what the others find.
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    cluster.role("ledger_owner").await.unwrap();
    let database = cluster.database("base").await;
    database.execute(&format!("ALTER DATABASE {} OWNER TO ledger_owner", database.name())).await;
    let root = database.client().await;
    for round in ["at once", "again"] {
        let mut sessions = JoinSet::new();
        for _ in 0..8 {
            let session = database.client().await;
            sessions.spawn(async move { session.batch_execute(ledger::BASE_ROLES).await });
        }
        for result in sessions.join_all().await {
            result.unwrap_or_else(|e| panic!("{round}: {e:?}"));
        }
        assert_eq!(text(&root, ROLES).await, EXPECTED_ROLES, "{round}");
        assert_eq!(
            text(&root, MEMBERS).await,
            "arrakis_admin in arrakis_app; ledger_owner in arrakis_app; ledger_owner in pg_read_all_stats; \
             ledger_owner in pg_signal_backend",
            "{round}"
        );
    }
}
