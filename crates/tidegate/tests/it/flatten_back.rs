//! The ways back from the flattening: tables come back with every row, a restore begins a new epoch of the feeds.

use crate::flatten_stage::{BOUND, DEPLOYED, FlattenStage, WRITES_HELD};
use crate::ledger_stage::{on_stage, told};
use crate::ledger_whole::figures;

async fn flattened() -> FlattenStage {
    let stage = FlattenStage::new().await;
    stage.begin().await;
    stage.run_until_halted_at("service_knows_the_schema").await;
    stage
}

async fn legacy(stage: &FlattenStage) -> Vec<(String, String)> {
    let tables = ["vfs_blob_staging", "vfs_blob_refs", "vfs_blob_objects", "vfs_access"];
    let is_legacy =
        |(table, _): &(String, String)| tables.iter().any(|name| table.ends_with(&format!(".{name}")));
    stage.contents().await.into_iter().filter(is_legacy).collect()
}

#[test]
fn retired_tables_come_back_with_every_row_and_their_versions_go() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        let before = legacy(&stage).await;
        assert_eq!(before.len(), 4);
        stage.begin().await;
        stage.run_until_halted_at("service_knows_the_schema").await;
        let flattened = stage.contents().await;
        for (to, version) in [("v026", "26"), ("v024", "24"), ("backup", "23")] {
            let back = ["rollback", "--to", to, "--undo", "--apply", "--actor", "alice"];
            let back = stage.call(&stage.with_parameters(&back)).await;
            assert_eq!(back.code(), Some(7), "{to}: {}", told(&back));
            assert_eq!(stage.version().await, version);
        }
        assert_eq!(legacy(&stage).await, before);
        // What was carried over stays, and the way forward finds it there.
        stage.run_until_halted_at("service_knows_the_schema").await;
        assert_eq!(stage.contents().await, flattened);
    });
}

#[test]
fn a_restore_begins_an_epoch_behind_every_position_that_was_told_and_lists_what_is_lost() {
    on_stage(async {
        let stage = FlattenStage::new().await;
        let compacted = |id: &str, seq: &str| {
            format!(
                "INSERT INTO vfs_crdt_forgotten_ops (actor_id, client_op_id, seq) SELECT 'u', '{id}', {seq}"
            )
        };
        stage.database.execute(&compacted("compacted-before", "1")).await;
        let before = stage.contents().await;
        stage
            .database
            .execute("INSERT INTO sessions (id, user_id, expires_at) SELECT 'ended-later', min(id), now() + interval '1 day' FROM users")
            .await;
        stage.begin().await;
        stage.run_until_halted_at("service_knows_the_schema").await;
        stage.database.execute("UPDATE sessions SET revoked_at = now()").await;
        stage
            .database
            .execute(
                "INSERT INTO vfs_crdt_ops (id, item_id, op_type, parent_id, child_id, actor_id, source_table, source_id, occurred_at, seq, client_op_id, replica_id, write_id)
                 SELECT vfs_position_id(epoch, first_seq), 'root', 'link_add', 'p', 'root', 'u', 'vfs_crdt_client_push', 'u:r:1:lost-op', at, first_seq, 'lost-op', 'r', 1
                 FROM vfs_feed_advance(1)",
            )
            .await;
        stage.database.execute(&compacted("compacted-since", "first_seq FROM vfs_feed_advance(1)")).await;
        let last: i64 = stage.database.value("SELECT seq FROM vfs_feed_head").await;
        let way = ["rollback", "--way", "restore_all", "--apply", "--actor", "alice"];

        // Without the freeze the way goes no further than its second step.
        let shown = stage.call(&stage.with_parameters(&way)).await;
        assert_eq!(shown.code(), Some(3), "{}", told(&shown));
        let accepted = figures(&told(&shown));
        let waiting = stage.call(&stage.with_parameters(&way).args(["--accept-loss", &accepted])).await;
        assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
        stage.approve("go_back").await;
        let halted = stage.call(&stage.with_parameters(&way).args(["--accept-loss", &accepted])).await;
        assert!(told(&halted).contains("writes are not frozen"), "{}", told(&halted));
        assert_eq!(stage.version().await, "27");

        let freeze = ["run", "--stage", "freeze", "--apply", "--yes", "--actor", "alice"];
        let frozen = stage.call(&stage.with_parameters(&freeze)).await;
        assert_eq!(frozen.code(), Some(0), "{}", told(&frozen));
        let shown = stage.call(&stage.with_parameters(&way)).await;
        let accepted = figures(&told(&shown));
        let restored = stage.call(&stage.with_parameters(&way).args(["--accept-loss", &accepted])).await;
        assert_eq!(restored.code(), Some(7), "{}", told(&restored));
        // The servers that ran before are no good ones, whatever version they say.
        let deployed = |line: &str| line.contains("redeploy_good_version") && line.contains("started");
        assert!(restored.stdout.lines().any(deployed), "{}", told(&restored));

        assert_eq!(stage.version().await, "23");
        let of_the_feeds = [
            "public.vfs_feed_head",
            "public.vfs_feed_epochs",
            "public.vfs_freeze",
            "public.sessions",
            "public.vfs_instances",
        ];
        let without = |contents: Vec<(String, String)>| {
            let kept = contents.into_iter().filter(|(table, _)| !of_the_feeds.contains(&table.as_str()));
            kept.collect::<Vec<_>>()
        };
        assert_eq!(without(stage.contents().await), without(before));
        assert_eq!(stage.text("SELECT epoch FROM vfs_feed_head").await, "2");
        assert!(stage.database.value::<i64>("SELECT seq FROM vfs_feed_head").await >= last);
        let open = "SELECT string_agg(id || ' ' || (revoked_at IS NULL), ' ') FROM sessions";
        assert_eq!(stage.text(open).await, "ended-later false");
        for (operation, is_lost) in
            [("lost-op", "true"), ("compacted-since", "true"), ("compacted-before", "false")]
        {
            let listed =
                format!("SELECT count(*) > 0 FROM tidegate.evidence WHERE body LIKE '%{operation}%'");
            assert_eq!(stage.text(&listed).await, is_lost, "{operation}");
        }
        assert_eq!(stage.text(WRITES_HELD).await, "0");
        assert_eq!(stage.text("SELECT frozen_until FROM vfs_freeze").await, "NULL");
    });
}

#[test]
fn the_freeze_waits_for_an_instance_that_hears_of_it_late() {
    on_stage(async {
        let stage = flattened().await;
        let late = "INSERT INTO vfs_instances (instance, version, highest_migration_known, freeze_epoch_seen, feed_epoch_seen, seen_at) \
                    VALUES ('late:1', '0.1.0', 27, 0, 1, now() + interval '1 day')";
        stage.database.execute(late).await;
        let freeze =
            stage.with_parameters(&["run", "--stage", "freeze", "--apply", "--yes", "--actor", "alice"]);
        let hears = async {
            let frozen = "SELECT frozen_until > now() FROM vfs_freeze";
            testkit::eventually("writes are frozen", BOUND, async || {
                (stage.text(frozen).await == "true").then_some(())
            })
            .await
            .unwrap();
            stage
                .database
                .execute("SELECT pg_sleep(1); UPDATE vfs_instances SET freeze_epoch_seen = 1000 WHERE instance = 'late:1'")
                .await;
        };
        let (frozen, ()) = tokio::join!(stage.call(&freeze), hears);
        assert_eq!(frozen.code(), Some(0), "{}", told(&frozen));
    });
}

/// A flattened database whose writes are held, and the way back to the whole copy, which somebody has approved.
async fn frozen_and_approved() -> (FlattenStage, testkit::Program) {
    let stage = flattened().await;
    let freeze = ["run", "--stage", "freeze", "--apply", "--yes", "--actor", "alice"];
    assert_eq!(stage.call(&stage.with_parameters(&freeze)).await.code(), Some(0));
    let way = ["rollback", "--way", "restore_all", "--apply", "--actor", "alice"];
    let shown = stage.call(&stage.with_parameters(&way)).await;
    let way = stage.with_parameters(&way);
    let way = if told(&shown).contains("--accept-loss") {
        way.args(["--accept-loss", &figures(&told(&shown))])
    } else {
        way
    };
    assert_eq!(stage.call(&way).await.code(), Some(6));
    stage.approve("go_back").await;
    (stage, way)
}

#[test]
fn writes_are_held_across_the_restore_and_until_the_new_epoch_has_begun() {
    on_stage(async {
        let (stage, way) = frozen_and_approved().await;
        let died = stage.call(&way.clone().env("TIDEGATE_CRASH", "gate_fenced:begin_epoch")).await;
        assert_eq!(died.code(), None, "{}", told(&died));
        // The row of before says that writes are let in; what the servers ask says no.
        assert_eq!(stage.version().await, "23");
        assert_eq!(stage.text("SELECT frozen_until FROM vfs_freeze").await, "NULL");
        let asked = "WITH entered AS (SELECT 1) SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setting LIKE 'vfs.frozen_until=%' \
                     AND split_part(setting, '=', 2)::timestamptz > now() AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())";
        assert_eq!(stage.text(asked).await, "1");
        // However long it takes to go on, it does not lift by itself; where it was taken away, no epoch begins.
        let lasts = asked.replace("> now()", "> now() + interval '10 years'");
        assert_eq!(stage.text(&lasts).await, "1");
        let hold = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET vfs.frozen_until = %L', current_database(), now() + interval '100 years'); END $$";
        stage.database.execute(&hold.replace("100 years", "-1 s")).await;
        let halted = stage.call(&way).await;
        assert!(told(&halted).contains("writes are let in: begin no epoch"), "{}", told(&halted));
        assert_eq!(stage.text("SELECT epoch FROM vfs_feed_head").await, "1");
        stage.database.execute(hold).await;
        let ended = stage.call(&way).await;
        assert_eq!(ended.code(), Some(7), "{}", told(&ended));
        assert_eq!(stage.text(asked).await, "0");
    });
}

#[test]
fn writes_are_let_in_only_when_everybody_who_reports_is_the_good_version_started_anew() {
    on_stage(async {
        let (stage, way) = frozen_and_approved().await;
        // Somebody who ran before is left, and the program deploys one instance of another version.
        let other = DEPLOYED.replace("deployed:1", "other:1").replace("'0.1.0'", "'0.0.9'");
        stage.redeploying(&format!("{DEPLOYED}; {other}"));
        let goes_away = async {
            let deployed =
                "SELECT count(*) = 2 FROM vfs_instances WHERE instance IN ('deployed:1', 'other:1')";
            testkit::eventually("it is deployed", BOUND, async || {
                stage.database.value::<bool>(deployed).await.then_some(())
            })
            .await
            .unwrap();
            let mut held = Vec::new();
            for gone in ["seen:1", "other:1"] {
                stage.database.execute("SELECT pg_sleep(3)").await;
                held.push(stage.text(WRITES_HELD).await);
                stage.database.execute(&format!("DELETE FROM vfs_instances WHERE instance = '{gone}'")).await;
            }
            held
        };
        let (ended, held) = tokio::join!(stage.call(&way), goes_away);
        assert_eq!(held, ["1", "1"], "{}", told(&ended));
        assert_eq!(ended.code(), Some(7), "{}", told(&ended));
        assert_eq!(stage.text(WRITES_HELD).await, "0");
    });
}
