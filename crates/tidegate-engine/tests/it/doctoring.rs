//! The doctor names what is wrong and what would put it right, and changes nothing.

use testkit::{Cluster, ClusterOptions};
use tidegate_engine::doctor::{Diagnosis, Severity, doctor};
use tidegate_engine::ending::Ending;
use tidegate_engine::runner::Purpose;

use crate::stage_hand::{Stage, done, halted, on_stage, page, page_with, program};

const PAGE: &str = "
## One

```sql
-- @migrate m1
-- @version 1
CREATE SCHEMA IF NOT EXISTS app;
CREATE TABLE app.a (id int PRIMARY KEY);
CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
-- @undo
DROP FUNCTION app.f();
DROP TABLE app.a
```

## Two

```sql
-- @migrate m2
-- @version 2
CREATE TABLE app.b (id int PRIMARY KEY);
CREATE INDEX b_id ON app.b (id);
CREATE OR REPLACE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 2'
-- @undo
DROP TABLE app.b
```
";

async fn examine(stage: &Stage, text: &str) -> Vec<Diagnosis> {
    let program = program(text);
    let doors = stage.doors(&program);
    doctor(Some(program), doors).await.unwrap()
}

fn codes(found: &[Diagnosis]) -> Vec<&'static str> {
    found.iter().map(|one| one.code).collect()
}

/// The one finding of that code.
fn the<'a>(found: &'a [Diagnosis], code: &str) -> &'a Diagnosis {
    let of_code: Vec<&Diagnosis> = found.iter().filter(|one| one.code == code).collect();
    assert_eq!(of_code.len(), 1, "{code}: {found:#?}");
    of_code[0]
}

#[test]
fn a_sound_store_has_no_findings() {
    on_stage(async {
        let stage = Stage::new("sound").await;
        assert_eq!(codes(&examine(&stage, &page(PAGE)).await), ["journal-empty"]);
        done(&stage.run(&page(PAGE)).await);
        assert_eq!(examine(&stage, &page(PAGE)).await, []);
        // Without a page the journal's own is taken.
        let doors = stage.doors(&program(&page(PAGE)));
        assert_eq!(doctor(None, doors).await.unwrap(), []);
    });
}

#[test]
fn a_migration_that_is_there_in_part_is_named_object_by_object_with_both_ways_out() {
    on_stage(async {
        let stage = Stage::new("partly").await;
        stage.database.execute("CREATE SCHEMA app; CREATE TABLE app.b (id int PRIMARY KEY)").await;
        assert!(halted(&stage.run(&page(PAGE)).await).contains("42P07"));
        let found = examine(&stage, &page(PAGE)).await;
        let partly = the(&found, "migration-partly-applied");
        assert_eq!((partly.subject.as_str(), partly.severity), ("step m2", Severity::Problem));
        // app.f is that of m1, which is complete; a schema may be there with good reason.
        assert!(partly.found.contains("exists: table app.b; missing: index b_id"), "{partly:?}");
        assert!(!partly.found.contains("schema") && !partly.found.contains("exists: function"), "{partly:?}");
        assert!(
            partly.next[0].starts_with("A: take away what exists")
                && partly.next[0].contains("DROP TABLE app.b;")
        );
        assert!(partly.next[1].contains("tidegate adopt m2"), "{partly:?}");
        assert!(
            stage.database.value::<bool>("SELECT to_regclass('app.b') IS NOT NULL").await,
            "it only looks"
        );
    });
}

#[test]
fn a_migration_whose_objects_are_all_there_is_told_from_one_in_part() {
    on_stage(async {
        let stage = Stage::new("wholly").await;
        let whole = "CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY); CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'";
        stage.database.execute(whole).await;
        halted(&stage.run(&page(PAGE)).await);
        let found = examine(&stage, &page(PAGE)).await;
        let all = found.iter().find(|one| one.subject == "step m1").unwrap();
        assert_eq!(all.code, "migration-objects-exist");
        assert!(!all.found.contains("missing"), "{all:?}");
    });
}

#[test]
fn versions_that_do_not_fit_each_have_their_code() {
    on_stage(async {
        let stage = Stage::new("versions").await;
        done(&stage.run(&page(PAGE)).await);
        stage
            .database
            .execute(
                "DELETE FROM tidegate_version WHERE version = '1';
                 UPDATE tidegate_version SET checksum = repeat('0', 64) WHERE version = '2';
                 INSERT INTO tidegate_version SELECT '9', 'nine', checksum, run FROM tidegate_version",
            )
            .await;
        let found = examine(&stage, &page(PAGE)).await;
        assert_eq!(the(&found, "version-gap").subject, "version 1");
        assert_eq!(the(&found, "version-checksum").subject, "checksum 2");
        assert_eq!(the(&found, "version-unknown").subject, "version 9");
        let lost = the(&found, "version-lost");
        assert!(lost.subject == "version 1" && lost.found.contains("completed m1"), "{lost:?}");
    });
}

#[test]
fn a_version_that_the_run_did_not_apply_is_noted() {
    on_stage(async {
        let mut stage = Stage::new("not_of_the_run").await;
        stage.options.again = true;
        done(&stage.run(&page(PAGE)).await);
        let text = page(&PAGE.replace(
            "## One",
            "## Zero\n\n```sql\n-- @check never\n-- @expect true\nSELECT false\n```\n\n## One",
        ));
        halted(&stage.run(&text).await);
        let found = examine(&stage, &text).await;
        assert_eq!(codes(&found), ["version-not-of-the-run", "version-not-of-the-run"], "{found:#?}");
        assert!(found.iter().all(|one| one.severity == Severity::Note));
    });
}

#[test]
fn an_invalid_index_comes_with_the_statement_that_removes_it() {
    on_stage(async {
        let stage = Stage::new("invalid").await;
        stage.database.execute("CREATE TABLE dup (n int); INSERT INTO dup VALUES (1), (1)").await;
        let client = stage.database.client().await;
        client.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY dup_n ON dup (n)").await.unwrap_err();
        let found = examine(&stage, &page(PAGE)).await;
        let invalid = the(&found, "index-invalid");
        assert_eq!(invalid.next[0], "DROP INDEX CONCURRENTLY dup_n;");
        client.batch_execute(&invalid.next[0]).await.unwrap();
        assert_eq!(codes(&examine(&stage, &page(PAGE)).await), ["journal-empty"]);
    });
}

fn sealed(more: &str) -> String {
    page(&format!(
        "## S\n\n```toml\n# @seal quiet\ntables = [\"public.kept\"]\n{more}\n```\n\n```sql\n-- @check stop\n-- @expect true\nSELECT to_regclass('go') IS NOT NULL\n```\n"
    ))
}

#[test]
fn a_seal_that_does_not_hold_is_told_by_how_it_fails() {
    on_stage(async {
        let stage = Stage::new("seals").await;
        stage.database.execute("CREATE TABLE kept (id int)").await;
        halted(&stage.run(&sealed("")).await);
        assert_eq!(examine(&stage, &sealed("")).await, []);

        stage.database.execute("ALTER TABLE kept DISABLE TRIGGER tidegate_seal").await;
        let found = examine(&stage, &sealed("")).await;
        let disabled = the(&found, "seal-trigger-disabled");
        stage.database.execute(&disabled.next[0]).await;
        assert_eq!(examine(&stage, &sealed("")).await, []);

        stage.database.execute("UPDATE tidegate.seal SET expires_at = now()").await;
        assert!(the(&examine(&stage, &sealed("")).await, "seal-expired").found.contains("step quiet"));

        stage.database.execute("DROP TRIGGER tidegate_seal ON kept").await;
        let found = examine(&stage, &sealed("")).await;
        assert!(the(&found, "seal-trigger-missing").found.contains("writes pass"));

        stage.database.execute("DROP TABLE kept").await;
        let found = examine(&stage, &sealed("")).await;
        let gone = the(&found, "seal-table-gone");
        stage.database.execute(&gone.next[0]).await;
        assert_eq!(examine(&stage, &sealed("")).await, []);
    });
}

#[test]
fn a_seal_that_outlived_its_run_is_lifted_by_what_is_printed() {
    on_stage(async {
        let stage = Stage::new("outlived").await;
        stage.database.execute("CREATE TABLE kept (id int)").await;
        halted(&stage.run(&sealed("")).await);
        let mut runner = stage.open(&sealed(""), Purpose::Decide).await.unwrap();
        assert!(matches!(runner.abandon("not needed").await, Ending::Done { .. }));
        runner.close().await;
        let found = examine(&stage, &sealed("")).await;
        let outlived = the(&found, "seal-outlived-its-run");
        assert!(outlived.found.contains("abandoned"), "{outlived:?}");
        let client = stage.database.client().await;
        assert!(client.batch_execute("INSERT INTO kept VALUES (1)").await.is_err());
        client.batch_execute(&outlived.next[0]).await.unwrap();
        client.batch_execute("INSERT INTO kept VALUES (1)").await.unwrap();
        assert_eq!(examine(&stage, &sealed("")).await, []);
    });
}

#[test]
fn what_a_finished_run_leaves_sealed_is_a_note_and_no_way_back_is_advised() {
    on_stage(async {
        let stage = Stage::new("left_sealed").await;
        stage.database.execute("CREATE TABLE kept (id int); CREATE TABLE go ()").await;
        done(&stage.run(&sealed("")).await);
        let found = examine(&stage, &sealed("")).await;
        let sealed_still = the(&found, "seal-outlived-its-run");
        assert!(
            sealed_still.severity == Severity::Note && sealed_still.found.contains("finished"),
            "{found:?}"
        );
        stage.database.execute("UPDATE tidegate.seal SET expires_at = now()").await;
        let found = examine(&stage, &sealed("")).await;
        let expired = the(&found, "seal-expired");
        assert_eq!(expired.severity, Severity::Note, "{found:?}");
        assert!(!expired.next.iter().any(|next| next.contains("rollback")), "{found:?}");
        stage.database.execute(&expired.next[0]).await;
        assert_eq!(examine(&stage, &sealed("")).await, []);
    });
}

#[test]
fn triggers_without_a_seal_and_retired_tables_are_noted() {
    on_stage(async {
        let stage = Stage::new("leftovers").await;
        stage.database.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)").await;
        halted(&stage.run(&sealed("")).await);
        stage
            .database
            .execute("DELETE FROM tidegate.seal; CREATE SCHEMA tidegate_retired; CREATE TABLE tidegate_retired.old (id int)")
            .await;
        let found = examine(&stage, &sealed("")).await;
        let orphan = the(&found, "seal-trigger-orphan");
        stage.database.execute(&orphan.next[0]).await;
        let found = examine(&stage, &sealed("")).await;
        assert_eq!(codes(&found), ["retired-table"]);
        assert!(
            found[0].next.iter().any(|next| next.starts_with("DROP TABLE tidegate_retired.old;")),
            "{found:?}"
        );
    });
}

#[test]
fn a_living_holder_is_noted_and_a_silent_one_is_a_problem() {
    on_stage(async {
        let stage = Stage::new("lease").await;
        let text = page_with("[limits]\nlease = \"600s\"", PAGE);
        let runner = stage.open(&text, Purpose::Run).await.unwrap();
        let found = examine(&stage, &text).await;
        let held = the(&found, "lease-held");
        assert!(held.severity == Severity::Note && held.found.contains("alice"), "{held:?}");
        stage
            .database
            .execute("UPDATE tidegate.lease SET expires_at = now(), pid_started = 'another', boot = ''")
            .await;
        let found = examine(&stage, &text).await;
        assert!(the(&found, "lease-expired").found.contains("no sign of life"), "{found:#?}");
        runner.close().await;
    });
}

#[test]
fn a_holder_whose_process_is_gone_from_this_host_is_told_at_once() {
    on_stage(async {
        let stage = Stage::new("gone").await;
        let text = page_with("[limits]\nlease = \"600s\"", PAGE);
        let runner = stage.open(&text, Purpose::Run).await.unwrap();
        stage.database.execute("UPDATE tidegate.lease SET pid_started = 'another'").await;
        let found = examine(&stage, &text).await;
        assert!(the(&found, "lease-holder-gone").next[0].contains("tidegate run"), "{found:#?}");
        runner.close().await;
    });
}

#[test]
fn a_backend_of_a_runner_that_is_gone_is_named() {
    on_stage(async {
        let stage = Stage::new("backends").await;
        done(&stage.run(&page(PAGE)).await);
        let client = stage.database.client().await;
        client.batch_execute("SET application_name = 'tidegate/1/m2'").await.unwrap();
        let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let found = examine(&stage, &page(PAGE)).await;
        let old = the(&found, "backend-of-old-epoch");
        assert_eq!(old.subject, format!("process {pid}"));
        assert!(old.next.contains(&format!("SELECT pg_terminate_backend({pid});")), "{old:?}");
    });
}

#[test]
fn a_database_left_by_a_rehearsal_is_named() {
    on_stage(async {
        let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        let stage = Stage::on(cluster.database("rehearsed").await);
        cluster.execute("CREATE DATABASE \"Left over\"").await.unwrap();
        cluster.execute("COMMENT ON DATABASE \"Left over\" IS 'tidegate rehearsal of run 1'").await.unwrap();
        let found = examine(&stage, &page(PAGE)).await;
        let left = the(&found, "rehearsal-database");
        let drop = left.next.last().unwrap();
        assert_eq!(drop, "DROP DATABASE \"Left over\";");
        cluster.execute(drop).await.unwrap();
        assert_eq!(codes(&examine(&stage, &page(PAGE)).await), ["journal-empty"]);
    });
}
