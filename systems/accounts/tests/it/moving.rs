//! `accounts v2 backfill` and `accounts v2 verify`: the first schema copied, and both compared.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use testkit::{Outcome, Program};

use crate::ground::{BOUND, Ground, Service};
use crate::parity::{assert_parity, content};

/// Runs a command of the second schema; returns how it ended and its report.
async fn command(ground: &Ground, name: &str, more: &[&str]) -> (Outcome, Json) {
    let path: PathBuf = std::env::temp_dir().join(format!("accounts-{name}-{}.json", ground.database.name()));
    let outcome = Program::new(env!("CARGO_BIN_EXE_accounts"))
        .args(["v2", name, "--report"])
        .arg(&path)
        .args(more.iter().copied())
        .env("DATABASE_URL", ground.database.url())
        .env("USER", "tester")
        .run(BOUND * 3)
        .await
        .unwrap();
    let report = std::fs::read(&path).unwrap_or_else(|e| panic!("{e}: {}{}", outcome.stdout, outcome.stderr));
    std::fs::remove_file(&path).unwrap();
    (outcome, serde_json::from_slice(&report).unwrap())
}

async fn seeded(rows: i32) -> Ground {
    let ground = Ground::at_row("v1").await;
    accounts::seed::seed(&ground.session().await, rows).await.unwrap();
    // As if the set had stood there for a while: its first move need not wait for instances that nobody heard of.
    ground
        .database
        .execute("UPDATE tidegate.flag_set SET settled_at = clock_timestamp() - interval '1 hour'")
        .await;
    ground
}

/// The checks that did not pass.
fn failing(report: &Json) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] != true);
    checks
        .map(|check| check["name"].as_str().unwrap_or_else(|| check["table"].as_str().unwrap()).to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_copied_is_equal_and_copying_again_changes_nothing() {
    let ground = seeded(120).await;
    let (outcome, report) = command(&ground, "backfill", &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(
        outcome
            .stdout
            .starts_with("accounts-v2 backfill passed\naccounts: old=120 before=0 after=120 affected=120\n")
    );
    assert_eq!(
        (&report["ok"], &report["errors"], &report["warnings"]),
        (&json!(true), &json!([]), &json!([]))
    );
    let stages: Vec<&str> =
        report["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(
        stages,
        [
            "accounts",
            "account_members",
            "account_permissions",
            "identities",
            "pixbooks",
            "pixbook_snapshots",
            "audit_events"
        ]
    );
    assert_parity(&ground, "after the backfill").await;
    let rows = "SELECT string_agg(id || xmin, ',' ORDER BY id) FROM pixbooks";
    let before = ground.text(rows).await;
    let (outcome, report) = command(&ground, "backfill", &[]).await;
    assert_eq!((outcome.code(), &report["ok"]), (Some(0), &json!(true)), "{}", outcome.stderr);
    assert_eq!(ground.text(rows).await, before, "no row was written again");

    let (outcome, report) = command(&ground, "verify", &["--reconcile"]).await;
    assert_eq!(outcome.code(), Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(
        outcome
            .stdout
            .lines()
            .filter(|line| !line.starts_with("report="))
            .all(|line| line.starts_with("PASS "))
    );
    assert_eq!((failing(&report), report["checks"].as_array().unwrap().len()), (Vec::<String>::new(), 25));
    let kept = "SELECT ok || ' ' || checks || ' ' || verified_by || ' ' || (flag_epoch > 0) FROM account_verifications";
    assert_eq!(ground.text(kept).await, "true 25 tester true");
}

#[tokio::test]
async fn what_is_written_while_it_is_copied_is_not_missed() {
    let ground = seeded(400).await;
    let service = Service::start(&ground).await;
    let ada = service.sign_up("ada@example.org").await;
    let writer = tokio::spawn(async move {
        for number in 0..40 {
            let id = ada.add_identity("P", &format!("p{number}"), &format!("k{number}")).await;
            if number % 2 == 0 {
                assert_eq!(ada.delete(&format!("/v1/account/identities/{id}")).await.status, 200);
            }
        }
    });
    let (outcome, _) = command(&ground, "backfill", &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}{}", outcome.stdout, outcome.stderr);
    writer.await.unwrap();
    assert_parity(&ground, "after both").await;
    service.stop().await;
}

#[tokio::test]
async fn every_tampered_column_fails_the_verification() {
    let ground = seeded(40).await;
    command(&ground, "backfill", &[]).await;
    let one = |table: &str| format!("id = (SELECT min(id) FROM {table})");
    for (table, change) in [
        ("accounts", "name = 'x'"),
        ("account_members", "role = 'owner '"),
        ("account_members", "status = 'x'"),
        ("account_permissions", "capability = 'x'"),
        ("identities", "identity_public_key = NULL"),
        ("identities", "avatar_public_id = ''"),
        ("identities", "display_name = display_name || ' '"),
        ("pixbooks", "current_version = current_version + 1"),
        ("pixbook_snapshots", "cipher_sha256 = 'x'"),
        ("pixbook_snapshots", "payload_json = NULL"),
        ("audit_events", "payload = '{}'"),
        ("audit_events", "created_at = created_at + interval '1 microsecond'"),
    ] {
        // Where the first row has the value already, another one has not.
        let undo = format!(
            "BEGIN; CREATE TABLE kept AS TABLE {table}; UPDATE {table} SET {change} WHERE {}; COMMIT",
            one(table)
        );
        ground.database.execute(&undo).await;
        let (outcome, report) = command(&ground, "verify", &[]).await;
        assert_eq!(outcome.code(), Some(1), "{table} {change}");
        assert_eq!(failing(&report), [table], "{change}");
        let differing = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["type"] == "content" && check["table"] == table);
        assert_eq!(differing.unwrap()["differing"], 1, "{change}");
        let columns = ground.text("SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'kept'").await;
        let restore = format!(
            "UPDATE {table} t SET ({columns}) = (SELECT {columns} FROM kept k WHERE k.id = t.id); DROP TABLE kept"
        );
        ground.database.execute(&restore).await;
    }
    // A row lost and a row too many: counts are equal, contents are not.
    ground
        .database
        .execute("UPDATE audit_events SET id = 'stranger' WHERE id = (SELECT min(id) FROM audit_events)")
        .await;
    let (_, report) = command(&ground, "verify", &[]).await;
    assert_eq!(failing(&report), ["audit_events"]);
    ground
        .database
        .execute("DELETE FROM account_permissions WHERE id = (SELECT min(id) FROM account_permissions)")
        .await;
    let (_, report) = command(&ground, "verify", &[]).await;
    assert_eq!(failing(&report), ["account_permissions", "account_permissions", "audit_events"]);
    let kept = "SELECT ok || ' ' || failed::text FROM account_verifications ORDER BY id DESC LIMIT 1";
    assert!(ground.text(kept).await.starts_with("false {count:account_permissions"));
}

#[tokio::test]
async fn what_the_second_schema_would_refuse_is_reported_before_anything_is_written() {
    let ground = seeded(10).await;
    ground
        .database
        .execute(
            "INSERT INTO platform_books (id, workspace_id, managed_user_id, name, collection_id)
             SELECT 'padded', workspace_id, managed_user_id, 'B', ' primary ' FROM platform_books WHERE status = 'active' ORDER BY id LIMIT 1;
             INSERT INTO platform_books (id, workspace_id, managed_user_id, name, collection_id)
             SELECT 'foreign', (SELECT max(id) FROM platform_workspaces), managed_user_id, 'B', 'other' FROM platform_books
             WHERE workspace_id <> (SELECT max(id) FROM platform_workspaces) ORDER BY id LIMIT 1;
             INSERT INTO platform_managed_users (id, workspace_id, display_name, user_key, profile_id, identity_key_fingerprint)
             SELECT 'twin', workspace_id, 'T', 'twin', 'another', identity_key_fingerprint FROM platform_managed_users
             WHERE status = 'active' ORDER BY id LIMIT 1",
        )
        .await;
    let (outcome, report) = command(&ground, "backfill", &[]).await;
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stdout.starts_with("accounts-v2 backfill completed with issues\n"), "{}", outcome.stdout);
    let errors: Vec<&str> =
        report["errors"].as_array().unwrap().iter().map(|error| error["error"].as_str().unwrap()).collect();
    assert_eq!(
        errors,
        [
            "duplicate active identity_key_fingerprint rows",
            "identity account does not match pixbook account",
            "active pixbooks share a collection once blanks around its name are cut",
        ]
    );
    assert_eq!(report["errors"][1]["rows"][0]["id"], "foreign");
    assert_eq!(report["errors"][0]["rows"][0]["duplicate_count"], 2);
    assert_eq!(ground.text("SELECT count(*) FROM accounts").await, "0");
    assert_eq!(ground.text("SELECT row_name FROM tidegate.flag_set WHERE name = 'accounts'").await, "v1");
}

#[tokio::test]
async fn an_active_person_is_copied_as_active_whoever_was_deleted_before_with_the_same_key() {
    let ground = seeded(1).await;
    ground
        .database
        .execute(
            "INSERT INTO platform_managed_users (id, workspace_id, display_name, user_key, status, profile_id, identity_key_fingerprint, created_at)
             SELECT 'before', workspace_id, 'T', 'before', 'deleted', 'another', identity_key_fingerprint, '2000-01-01' FROM platform_managed_users",
        )
        .await;
    let (outcome, _) = command(&ground, "backfill", &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_parity(&ground, "with a deleted elder").await;
}

#[tokio::test]
async fn where_the_second_schema_has_the_say_nothing_is_copied_over_it() {
    let ground = seeded(5).await;
    command(&ground, "backfill", &[]).await;
    for row in ["dual", "write_v2", "steady"] {
        ground.move_to(row).await;
        ground.database.execute("UPDATE accounts SET name = 'newer'").await;
        let before = content(&ground, false).await;
        let (outcome, report) = command(&ground, "backfill", &[]).await;
        assert_eq!(outcome.code(), Some(1), "{row}");
        assert!(
            outcome.stderr.contains(&format!("refused: the flags are at row {row}")),
            "{}",
            outcome.stderr
        );
        assert_eq!(report["ok"], false);
        assert_eq!(content(&ground, false).await, before);
    }
}

#[tokio::test]
async fn after_the_archive_both_say_so() {
    let ground = seeded(3).await;
    command(&ground, "backfill", &[]).await;
    let (outcome, _) = command(&ground, "verify", &[]).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    for row in ["dual", "write_v2", "steady"] {
        ground.move_to(row).await;
    }
    ground.apply(accounts::ARCHIVE.sql).await;
    for name in ["backfill", "verify"] {
        let (outcome, report) = command(&ground, name, &[]).await;
        assert_eq!((outcome.code(), &report["ok"]), (Some(1), &json!(false)));
        assert!(
            outcome.stderr.contains("archived: the platform_* tables are in schema legacy"),
            "{}",
            outcome.stderr
        );
    }
}
