//! The archive looks for itself before it moves anything, also when somebody runs it by hand.

use crate::ground::Ground;
use crate::migrating::schema;

const FILE: &str = "manual/0009_legacy_archive_platform_tables.sql";
const WHERE: &str = "SELECT count(*) FILTER (WHERE schemaname = 'public') || ' ' || count(*) FILTER (WHERE schemaname = 'legacy')
                     FROM pg_tables WHERE tablename LIKE 'platform\\_%'";

async fn refused(ground: &Ground, why: &str) {
    // Neither `-1` nor ON_ERROR_STOP protects whoever types the command of an old page.
    for arguments in [&["-1"][..], &[], &["-v", "ON_ERROR_STOP=0"]] {
        let outcome = ground.psql(arguments, FILE).await;
        assert!(outcome.stderr.contains(why), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("AC001"), "{}", outcome.stderr);
        assert_eq!(ground.text(WHERE).await, "7 0");
    }
}

async fn verified(ground: &Ground, ok: bool) {
    let failed = if ok { "" } else { "count:accounts" };
    let sql = format!(
        "INSERT INTO account_verifications (ok, checks, failed, verified_by)
         VALUES ({ok}, 16, string_to_array('{failed}', ','), 'test')"
    );
    ground.database.execute(&sql).await;
}

#[tokio::test]
async fn it_refuses_without_flags_away_from_steady_unverified_and_on_the_way_back() {
    let ground = Ground::migrated().await;
    refused(&ground, "the flags are not in the database").await;
    ground.declare("v1").await;
    verified(&ground, true).await;
    for row in ["mirrored", "read_v2", "dual", "write_v2"] {
        ground.move_to(row).await;
        refused(&ground, &format!("flag set accounts is at row {row}, not at (1,1,0)")).await;
    }
    ground.move_to("steady").await;
    ground.database.execute("TRUNCATE account_verifications").await;
    refused(&ground, "the last verification is missing").await;
    verified(&ground, true).await;
    verified(&ground, false).await;
    refused(&ground, "the last verification failed: count:accounts").await;
    verified(&ground, true).await;
    let run = "11111111-1111-4111-8111-111111111111";
    let event = |seq: i32, kind: &str| {
        format!(
            "INSERT INTO tidegate.event (seq, run, body) VALUES ({seq}, '{run}', '{{\"event\": {{\"kind\": \"{kind}\"}}}}')"
        )
    };
    ground.database.execute("CREATE TABLE tidegate.event (seq bigint, run uuid, body text)").await;
    ground.database.execute(&event(1, "rollback_started")).await;
    ground.database.execute(&event(2, "step_undone")).await;
    refused(&ground, &format!("run {run} is on its way back")).await;
    ground.database.execute(&event(3, "rollback_ended")).await;
    ground.database.execute("DROP TABLE platform_permissions").await;
    let outcome = ground.psql(&[], FILE).await;
    assert!(outcome.stderr.contains("only 6 of the seven platform_* tables"), "{}", outcome.stderr);
}

#[tokio::test]
async fn it_moves_all_seven_once_and_its_undo_brings_them_back() {
    let ground = Ground::at_row("v1").await;
    let before = schema(&ground).await;
    for row in ["mirrored", "dual", "write_v2", "steady"] {
        ground.move_to(row).await;
    }
    verified(&ground, true).await;
    ground.database.execute("INSERT INTO platform_workspaces (id, name) VALUES ('w', 'W')").await;
    for run in ["first", "second"] {
        let outcome = ground.psql(&[], FILE).await;
        assert_eq!(outcome.code(), Some(0), "{run}: {}", outcome.stderr);
        assert_eq!(ground.text(WHERE).await, "0 7", "{run}");
    }
    assert_eq!(ground.text("SELECT name FROM legacy.platform_workspaces_legacy").await, "W");
    for run in ["first", "second"] {
        let outcome = ground.psql(&[], "undo/0009_legacy_archive_platform_tables.sql").await;
        assert_eq!(outcome.code(), Some(0), "{run}: {}", outcome.stderr);
        assert_eq!(ground.text(WHERE).await, "7 0", "{run}");
    }
    assert_eq!(schema(&ground).await, before);
    assert_eq!(ground.text("SELECT name FROM platform_workspaces").await, "W");
}

#[tokio::test]
async fn an_instance_whose_environment_contradicts_the_flags_holds_the_archive_up() {
    let ground = Ground::at_row("v1").await;
    let service = crate::ground::Service::start_with(
        &ground,
        &[("ACCOUNT_SCHEMA_V2_DUAL_WRITE", "1"), ("INSTANCE_NAME", "stray")],
    )
    .await;
    for row in ["mirrored", "dual", "write_v2"] {
        ground.move_to(row).await;
    }
    service.stop().await;
    let service = crate::ground::Service::start_with(
        &ground,
        &[("ACCOUNT_SCHEMA_V2_WRITES", "0"), ("INSTANCE_NAME", "stray")],
    )
    .await;
    ground.move_to("steady").await;
    verified(&ground, true).await;
    refused(&ground, "the environment of instance stray contradicts the flags").await;
    service.stop().await;
    let outcome = ground.psql(&[], FILE).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
}
