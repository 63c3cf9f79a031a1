//! What goes wrong around a run: each halts or refuses with its own message and next action, and resumes.

use std::time::Duration;

use testkit::{Cluster, ClusterOptions};
use tidegate_engine::ending::Ending;
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;

use crate::stage_hand::{Stage, done, halted, on_stage, page, page_with};

/// A page whose one migration takes as long as a test needs to break something under it.
fn slow() -> String {
    page_with(
        "[limits]\nlease = \"3s\"\nlock_timeout = \"200ms\"\nlock_attempts = 2",
        "## S\n\n```toml\n# @stage s\nprotect = [\"public.kept\"]\n```\n\n```sql\n-- @migrate m\n-- @version 1\nCREATE TABLE x (id int);\nDO $$ BEGIN PERFORM pg_sleep(coalesce(current_setting('test.sleep', true)::float, 0)); END $$;\nINSERT INTO x VALUES (1)\n-- @undo\nDROP TABLE x\n```\n",
    )
}

async fn sleeping(cluster: &Cluster, database: &str) {
    let client = cluster.connect(database).await.unwrap();
    testkit::eventually("the statement sleeps", Duration::from_secs(20), async || {
        client
            .query_one(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid <> pg_backend_pid()",
                &[],
            )
            .await
            .ok()
    })
    .await
    .unwrap();
}

fn next_of(ending: &Ending) -> String {
    match ending {
        Ending::Halted { next, .. } => next.join(" "),
        other => panic!("expected a halt: {other:?}"),
    }
}

#[test]
fn a_server_restart_rolls_the_step_back_and_the_run_goes_on() {
    on_stage(async {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let stage = Stage::on(cluster.database("restart").await);
        let alter = format!("ALTER DATABASE {} SET test.sleep = '20'", stage.database.name());
        cluster.execute(&alter).await.unwrap();
        let text = slow();
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            sleeping(&cluster, stage.database.name()).await;
            cluster.stop_immediate().await.unwrap();
            cluster.launch().await.unwrap();
        });
        assert!(next_of(&ending).contains("server went away"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
        cluster.execute(&alter.replace("'20'", "'0'")).await.unwrap();
        done(&stage.run(&text).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM x").await, 1);
    });
}

#[test]
fn a_dropped_connection_halts_with_its_own_advice() {
    on_stage(async {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let stage = Stage::on(cluster.database("dropped").await);
        let alter = format!("ALTER DATABASE {} SET test.sleep = '20'", stage.database.name());
        cluster.execute(&alter).await.unwrap();
        let text = slow();
        let (ending, ()) = tokio::join!(stage.run(&text), async {
            sleeping(&cluster, stage.database.name()).await;
            cluster
                .execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
                )
                .await
                .unwrap();
        });
        assert!(next_of(&ending).contains("server went away"), "{ending:?}");
        cluster.execute(&alter.replace("'20'", "'0'")).await.unwrap();
        done(&stage.run(&text).await);
    });
}

#[test]
fn a_locked_table_halts_after_its_attempts_and_names_the_lock() {
    on_stage(async {
        let stage = Stage::new("locked").await;
        stage.database.execute("CREATE TABLE busy (id int)").await;
        let client = stage.database.client().await;
        client.batch_execute("BEGIN; LOCK TABLE busy").await.unwrap();
        let text = page_with(
            "[limits]\nlock_timeout = \"100ms\"\nlock_attempts = 3",
            "## S\n\n```sql\n-- @migrate m\nALTER TABLE busy ADD COLUMN n int\n-- @undo\nALTER TABLE busy DROP COLUMN n\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("55P03"), "{ending:?}");
        assert!(next_of(&ending).contains("holds a lock"), "{ending:?}");
        client.batch_execute("ROLLBACK").await.unwrap();
        done(&stage.run(&text).await);
    });
}

#[test]
fn a_wrong_password_and_a_missing_database_say_so_before_anything_runs() {
    on_stage(async {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        cluster.role_with_password("locked_out", "right").await.unwrap();
        let mut stage = Stage::on(cluster.database("password").await);
        let good = stage.url.clone();
        stage.url =
            format!("postgres://locked_out:wrong@127.0.0.1:{}/{}", cluster.port(), stage.database.name());
        let Err(OpenError::Door(error)) = stage.open(&slow(), Purpose::Run).await else {
            panic!("a wrong password must be told");
        };
        let failure = error.failure().unwrap().to_string();
        assert!(failure.contains("28P01") || failure.contains("password"), "{failure}");
        assert!(!format!("{error} {error:?}").contains("wrong"), "{error}");
        stage.url = good.replace(stage.database.name(), "no_such_database");
        let Err(OpenError::Door(error)) = stage.open(&slow(), Purpose::Run).await else {
            panic!("a missing database must be told");
        };
        assert!(error.failure().unwrap().to_string().contains("no_such_database"));
    });
}

#[test]
fn a_missing_role_halts_the_migration_and_leaves_nothing() {
    on_stage(async {
        let stage = Stage::new("role").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m\nCREATE TABLE x ();\nGRANT SELECT ON x TO role_that_is_not_there_yet\n-- @undo\nDROP TABLE x\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(next_of(&ending).contains("Create the missing role"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
        Cluster::shared().await.role("role_that_is_not_there_yet").await.unwrap();
        done(&stage.run(&text).await);
    });
}

#[test]
fn a_read_only_server_is_refused_before_anything_runs() {
    on_stage(async {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let stage = Stage::on(cluster.database("read_only").await);
        cluster.read_only(true).await.unwrap();
        let refused = stage.open(&slow(), Purpose::Run).await;
        assert!(matches!(refused, Err(OpenError::ReadOnly(_))), "{:?}", refused.err());
        cluster.read_only(false).await.unwrap();
        let runner = stage.open(&slow(), Purpose::Run).await.unwrap();
        runner.close().await;
        // The same with a journal that is there already.
        cluster.read_only(true).await.unwrap();
        let refused = stage.open(&slow(), Purpose::Run).await;
        assert!(matches!(refused, Err(OpenError::ReadOnly(_))), "{:?}", refused.err());
        cluster.read_only(false).await.unwrap();
        done(&stage.run(&slow()).await);
    });
}

#[test]
fn a_role_that_may_not_make_the_journal_is_told_what_it_needs_and_changes_nothing() {
    on_stage(async {
        let mut stage = Stage::new("no_journal").await;
        let (role, database) = ("no_journal_role", stage.database.name().to_owned());
        stage.database.execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN")).await;
        stage.url = stage.database.url_for(role);
        let Err(OpenError::Refused { message, next }) = stage.open(&slow(), Purpose::Run).await else {
            panic!("it may not")
        };
        assert!(message.contains(&format!("may not make the journal in database {database}")), "{message}");
        assert!(message.contains("permission denied"), "{message}");
        assert!(next.contains("GRANT CREATE ON DATABASE") && next.contains("Nothing was changed"), "{next}");
        assert!(stage.database.value::<bool>("SELECT to_regnamespace('tidegate') IS NULL").await);
        stage.database.execute(&format!("GRANT CREATE ON DATABASE \"{database}\" TO {role}")).await;
        let runner = stage.open(&slow(), Purpose::Run).await.unwrap();
        runner.close().await;
    });
}

#[test]
fn a_standby_is_refused_and_an_older_one_that_was_promoted_is_told_apart() {
    on_stage(async {
        let primary = Cluster::start(ClusterOptions::default()).await.unwrap();
        let memory = std::env::temp_dir().join(format!("tidegate-memory-{}", std::process::id()));
        let mut stage = Stage::on(primary.database("failover").await);
        stage.options.memory = Some(memory.clone());
        let halting = page(
            "## S\n\n```sql\n-- @migrate m\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n\n```sql\n-- @check no\n-- @expect zero\nSELECT 1\n```\n",
        );
        halted(&stage.run(&halting).await);
        let standby = primary.standby(ClusterOptions::default()).await.unwrap();
        standby.catch_up_with(&primary).await.unwrap();
        standby.detach().await.unwrap();
        // More happens on the primary than ever reaches the standby.
        halted(&stage.run(&halting).await);
        let on_primary = stage.url.clone();
        stage.url = standby.url(stage.database.name());
        let refused = stage.open(&halting, Purpose::Run).await;
        assert!(matches!(refused, Err(OpenError::ReadOnly(_))), "{:?}", refused.err());
        standby.promote().await.unwrap();
        let Err(OpenError::Drift { message, next }) = stage.open(&halting, Purpose::Run).await else {
            panic!("an older copy must be told apart");
        };
        assert!(message.contains("older copy of the store"), "{message}");
        let notes: Vec<_> = std::fs::read_dir(&memory).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [note] = notes.as_slice() else { panic!("one note: {notes:?}") };
        assert!(next.contains(&note.display().to_string()), "which note it is: {next}");
        stage.url = on_primary;
        halted(&stage.run(&halting).await);
        std::fs::remove_dir_all(memory).unwrap();
    });
}

#[test]
fn an_older_copy_that_went_on_by_itself_is_told_apart_though_its_journal_is_longer() {
    on_stage(async {
        let memory = std::env::temp_dir().join(format!("tidegate-went-on-{}", std::process::id()));
        let mut stage = Stage::new("went_on").await;
        stage.options.memory = Some(memory.clone());
        let halting = page("## S\n\n```sql\n-- @check no\n-- @expect zero\nSELECT 1\n```\n");
        halted(&stage.run(&halting).await);
        let kept: i64 = stage.database.value("SELECT seq FROM tidegate.head").await;
        halted(&stage.run(&halting).await);
        // The copy lacks what came last, and others work on it.
        stage
            .database
            .execute(&format!(
                "ALTER TABLE tidegate.event DISABLE TRIGGER ALL; DELETE FROM tidegate.event WHERE seq > {kept};
                 ALTER TABLE tidegate.event ENABLE TRIGGER ALL;
                 UPDATE tidegate.head SET seq = {kept}, hash = (SELECT hash FROM tidegate.event WHERE seq = {kept})"
            ))
            .await;
        stage.options.memory = None;
        for _ in 0..3 {
            halted(&stage.run(&halting).await);
        }
        stage.options.memory = Some(memory.clone());
        let Err(OpenError::Drift { message, .. }) = stage.open(&halting, Purpose::Run).await else {
            panic!("a copy that went on must be told apart");
        };
        assert!(message.contains("which went on by itself"), "{message}");
        std::fs::remove_dir_all(memory).unwrap();
    });
}
