//! What stands is not what the page says: checksums, gaps, duplicates, renamed files. Each has its own words.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_engine::decide::DecideError;
use tidegate_engine::ending::Ending;
use tidegate_engine::program::Program;
use tidegate_engine::runner::{Purpose, Runner};
use tidegate_engine::setup::OpenError;
use tidegate_runbook::{FileContent, SourcePath, Sources, parse};

use crate::stage_hand::{Stage, done, on_stage, page, page_with, program};

const PAGE: &str = "
## One

```sql
-- @migrate m1
-- @version 1
-- a remark
CREATE TABLE a (id int PRIMARY KEY)
-- @undo
DROP TABLE a
```

```sql
-- @migrate m2
-- @version 2
CREATE TABLE b (id int PRIMARY KEY)
-- @undo
DROP TABLE b
```
";

/// The ending must be drift; its message and what to do next.
fn drift(ending: &Ending) -> (String, String) {
    match ending {
        Ending::Drift { message, next } => (message.clone(), next.join(" ")),
        other => panic!("expected drift: {other:?}"),
    }
}

/// As `Stage::run`, for a page that has been run to its end.
async fn run_again(stage: &Stage, text: &str) -> Ending {
    run_program(stage, program(text)).await
}

async fn accept(stage: &Stage, text: &str, subject: &str) -> Result<String, DecideError> {
    let mut runner = stage.open(text, Purpose::Decide).await.unwrap();
    let decided = runner.accept_drift(subject, "agreed with the team").await;
    runner.close().await;
    decided.map(|decision| decision.what)
}

#[test]
fn an_applied_version_with_other_statements_stops_a_new_run_until_it_is_accepted() {
    on_stage(async {
        let stage = Stage::new("checksum").await;
        done(&stage.run(&page(PAGE)).await);
        let edited = format!(
            "{}\n```sql\n-- @check more\n-- @expect true\nSELECT true\n```\n\n```sql\n-- @migrate m3\n-- @version 3\nCREATE TABLE c (id int)\n-- @undo\nDROP TABLE c\n```\n",
            page(PAGE)
                .replace("CREATE TABLE b (id int PRIMARY KEY)", "CREATE TABLE b (id bigint PRIMARY KEY)")
        );
        let (message, next) = drift(&stage.run(&edited).await);
        assert!(message.contains("version 2 was applied with other statements than m2"), "{message}");
        assert!(next.contains("accept-drift \"checksum 2\""), "{next}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('c') IS NULL").await);

        let unknown = accept(&stage, &edited, "checksum 1").await.unwrap_err();
        let DecideError::UnknownSubject { present, .. } = &unknown else { panic!("{unknown:?}") };
        assert_eq!(present, &["checksum 2"]);
        assert!(unknown.to_string().contains("what differs now is checksum 2"), "{unknown}");

        assert_eq!(accept(&stage, &edited, "checksum 2").await.unwrap(), "checksum 2 is accepted");
        done(&stage.run(&edited).await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('c') IS NOT NULL").await);
    });
}

#[test]
fn another_edit_of_an_accepted_version_is_drift_again() {
    on_stage(async {
        let stage = Stage::new("edited_twice").await;
        done(&stage.run(&page(PAGE)).await);
        let edited = |to: &str| {
            page(PAGE).replace(
                "CREATE TABLE b (id int PRIMARY KEY)",
                &format!("CREATE TABLE b (id {to} PRIMARY KEY)"),
            )
        };
        drift(&run_again(&stage, &edited("bigint")).await);
        accept(&stage, &edited("bigint"), "checksum 2").await.unwrap();
        let mut runner = stage.open(&edited("bigint"), Purpose::Decide).await.unwrap();
        let again = runner.accept_drift("checksum 2", "once more").await.unwrap_err().to_string();
        assert!(again.contains("was accepted before"), "{again}");
        runner.close().await;
        done(&run_again(&stage, &edited("bigint")).await);
        let (message, _) = drift(&run_again(&stage, &edited("text")).await);
        assert!(message.contains("version 2 was applied with other statements"), "{message}");
    });
}

#[test]
fn what_does_not_differ_cannot_be_accepted() {
    on_stage(async {
        let stage = Stage::new("no_drift").await;
        let text = page(&PAGE.replace("CREATE TABLE b (id int", "CREATE TABLE b (id nothing"));
        assert!(matches!(stage.run(&text).await, Ending::Halted { .. }));
        let error = accept(&stage, &text, "checksum 1").await.unwrap_err();
        assert!(error.to_string().contains("no version of the page differs"), "{error}");
    });
}

#[test]
fn a_gap_is_named_with_both_versions() {
    on_stage(async {
        let stage = Stage::new("gap").await;
        done(&stage.run(&page(PAGE)).await);
        stage.database.execute("DELETE FROM tidegate_version WHERE version = '1'; DROP TABLE a").await;
        let (message, next) = drift(&run_again(&stage, &page(PAGE)).await);
        assert!(message.contains("gap") && message.contains("holds version 2 and not 1"), "{message}");
        assert!(next.contains("accept-drift \"version 1\""), "{next}");
        accept(&stage, &page(PAGE), "version 1").await.unwrap();
        done(&run_again(&stage, &page(PAGE)).await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('a') IS NOT NULL").await);
    });
}

#[test]
fn edited_comments_are_no_drift() {
    on_stage(async {
        let stage = Stage::new("comments").await;
        done(&stage.run(&page(PAGE)).await);
        let edited = page(&PAGE.replace("-- a remark", "-- another remark /* with more */\n--"));
        done(&run_again(&stage, &edited).await);
    });
}

#[test]
fn two_steps_of_one_version_are_refused_before_anything_runs() {
    let text = page(&PAGE.replace("-- @version 2", "-- @version 1"));
    let sources =
        Sources { page: SourcePath("test.md".into()), page_bytes: text.into_bytes(), files: BTreeMap::new() };
    let parsed = parse(&sources);
    assert!(parsed.runbook.is_none());
    let finding = parsed.diagnostics.iter().find(|finding| finding.code == "version-duplicate").unwrap();
    assert!(finding.message.contains("version 1 is carried twice"), "{finding:?}");
}

const FILES: &str = "
## One

```sql
-- @migrate m1
-- @version 1
-- @file FILE
```
";

/// A page whose migration is in a file of that name.
fn filed(more: &str, file: &str) -> Rc<Program> {
    let text = page_with(more, &FILES.replace("FILE", file));
    let body = b"CREATE TABLE a (id int PRIMARY KEY);\n-- @undo\nDROP TABLE a;\n".to_vec();
    let sources = Sources {
        page: SourcePath("test.md".into()),
        page_bytes: text.into_bytes(),
        files: BTreeMap::from([(SourcePath(file.into()), FileContent::Bytes(body))]),
    };
    let parsed = parse(&sources);
    let runbook = parsed.runbook.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    Rc::new(Program::new(runbook, sources))
}

async fn run_program(stage: &Stage, program: Rc<Program>) -> Ending {
    let doors = stage.doors(&program);
    let options = tidegate_engine::setup::Options { again: true, ..stage.options.clone() };
    let opened = Runner::open(program, doors, &options, Purpose::Run, stage.seen.clone()).await;
    let mut runner = opened.unwrap_or_else(|error| panic!("{error}")).runner;
    let ending = runner.forward().await;
    runner.close().await;
    ending
}

#[test]
fn a_renamed_file_with_the_same_statements_is_the_same_version() {
    on_stage(async {
        let stage = Stage::new("renamed").await;
        done(&run_program(&stage, filed("", "0001_a.sql")).await);
        done(&run_program(&stage, filed("", "0001_first.sql")).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 1);
    });
}

#[test]
fn a_renamed_file_is_a_new_member_of_a_table_that_keeps_names_and_doctor_names_both() {
    on_stage(async {
        let stage = Stage::new("renamed_adopted").await;
        stage.database.execute("CREATE TABLE applied (file text PRIMARY KEY)").await;
        let versions = "[versions]\ntable = \"public.applied\"\nid = \"file\"";
        done(&run_program(&stage, filed(versions, "0001_a.sql")).await);
        let renamed = filed(versions, "0001_first.sql");
        let ending = run_program(&stage, renamed.clone()).await;
        let Ending::Halted { message, .. } = &ending else { panic!("{ending:?}") };
        assert!(message.contains("42P07"), "{message}");
        let doors = stage.doors(&renamed);
        let found = tidegate_engine::doctor::doctor(Some(renamed), doors).await.unwrap();
        let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
        assert!(
            codes.contains(&"version-unknown") && codes.contains(&"migration-objects-exist"),
            "{found:#?}"
        );
        let unknown = found.iter().find(|one| one.code == "version-unknown").unwrap();
        assert!(unknown.subject.contains("0001_a.sql"), "{unknown:?}");
    });
}

#[test]
fn another_pages_run_is_not_drift_but_in_the_way() {
    on_stage(async {
        let stage = Stage::new("another").await;
        let text = page(&PAGE.replace("CREATE TABLE b (id int", "CREATE TABLE b (id nothing"));
        assert!(matches!(stage.run(&text).await, Ending::Halted { .. }));
        let other = text.replace("@runbook test", "@runbook other");
        assert_eq!(program(&other).runbook.id.as_str(), "other");
        let Err(OpenError::Refused { message, next }) = stage.open(&other, Purpose::Run).await else {
            panic!("another page must wait");
        };
        assert!(message.contains("is one of test") && next.contains("abandon"), "{message} {next}");
    });
}
