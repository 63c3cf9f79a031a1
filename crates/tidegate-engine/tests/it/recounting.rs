//! Looking back at a run: its questions asked again, and its report.

use tidegate_engine::event::Back;
use tidegate_engine::history::History;
use tidegate_engine::plan_store;
use tidegate_engine::recheck::{RecheckLine, Rechecked, recheck};
use tidegate_engine::report::{Report, What, report};
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page_with, program};

const PAGE: &str = "
## Before

```sql
-- @record counted
SELECT count(*) AS n FROM people
```

```sql
-- @record names
-- @rows
SELECT name FROM people
```

```sql
-- @check nobody_else
-- @expect zero
SELECT count(*) FROM people WHERE name NOT IN (SELECT name FROM :{names} AS names)
```

```sql
-- @check refuses_null
-- @attempt
-- @expect error 23502
INSERT INTO people VALUES (NULL)
```

## Change

```sql
-- @migrate m1
-- @version 1
-- @ensures made
CREATE TABLE made_here (id int PRIMARY KEY, pass text DEFAULT :'greeting');
CREATE TABLE IF NOT EXISTS people (name text)
-- @undo
DROP TABLE made_here
```

```sql
-- @check made
-- @expect true
SELECT to_regclass('made_here') IS NOT NULL
```
";

fn text() -> String {
    page_with(
        "[parameters]\ngreeting = { type = \"text\", default = \"hello\" }\ntoken = { type = \"text\", secret = true }",
        PAGE,
    )
}

async fn stage(hint: &str) -> Stage {
    let mut stage = Stage::new(hint).await;
    stage.options.sets.insert("token".into(), "hunter2hunter2".into());
    stage
}

async fn ran(hint: &str) -> Stage {
    let stage = stage(hint).await;
    stage
        .database
        .execute("CREATE TABLE people (name text NOT NULL); INSERT INTO people VALUES ('ann'), ('bob')")
        .await;
    done(&stage.run(&text()).await);
    stage
}

async fn again(stage: &Stage, text: &str, only: Option<&str>) -> Result<Vec<RecheckLine>, OpenError> {
    let program = program(text);
    let doors = stage.doors(&program);
    recheck(program, doors, &stage.options, only.map(name)).await
}

fn of<'a>(lines: &'a [RecheckLine], step: &str) -> &'a Rechecked {
    &lines
        .iter()
        .find(|line| line.step.as_str() == step)
        .unwrap_or_else(|| panic!("{step}: {lines:#?}"))
        .finding
}

#[test]
fn questions_asked_again_find_what_they_found_and_journal_nothing() {
    on_stage(async {
        let stage = ran("recheck").await;
        let before = stage.state().await.last_seq;
        let lines = again(&stage, &text(), None).await.unwrap();
        let steps: Vec<&str> = lines.iter().map(|line| line.step.as_str()).collect();
        assert_eq!(steps, ["counted", "names", "nobody_else", "refuses_null", "made"]);
        assert_eq!(of(&lines, "counted"), &Rechecked::Same {});
        assert_eq!(of(&lines, "names"), &Rechecked::Same {});
        for check in ["nobody_else", "refuses_null", "made"] {
            assert_eq!(of(&lines, check), &Rechecked::Holds {}, "{check}");
        }
        assert_eq!(stage.state().await.last_seq, before);
        assert_eq!(
            stage.database.value::<i64>("SELECT count(*) FROM people").await,
            2,
            "an attempt leaves nothing"
        );
    });
}

#[test]
fn what_changed_since_is_told_by_value_and_by_row() {
    on_stage(async {
        let stage = ran("recheck_changed").await;
        stage.database.execute("INSERT INTO people VALUES ('cat'); DELETE FROM people WHERE name = 'ann'; INSERT INTO people VALUES ('dan'); ALTER TABLE people ALTER name DROP NOT NULL").await;
        let lines = again(&stage, &text(), Some("before")).await.unwrap();
        let Rechecked::Differs { differences } = of(&lines, "counted") else { panic!("{lines:#?}") };
        assert_eq!(differences, &["n was 2 and is 3"]);
        let Rechecked::Differs { differences } = of(&lines, "names") else { panic!("{lines:#?}") };
        assert_eq!(differences, &["gone: (ann)", "new: (cat)", "new: (dan)"]);
        // It compares with the rows that were kept, not with those of now.
        assert!(
            matches!(of(&lines, "nobody_else"), Rechecked::Fails { found } if found.contains('2')),
            "{lines:#?}"
        );
        assert!(matches!(of(&lines, "refuses_null"), Rechecked::Fails { .. }), "{lines:#?}");
        assert!(lines.iter().all(|line| line.stage == name("before")));
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM people WHERE name IS NULL").await, 0);
    });
}

#[test]
fn evidence_that_was_deleted_is_said_and_not_taken_for_a_difference() {
    on_stage(async {
        let stage = ran("recheck_deleted").await;
        stage.database.execute("DELETE FROM tidegate.evidence").await;
        let lines = again(&stage, &text(), Some("before")).await.unwrap();
        assert!(
            matches!(of(&lines, "names"), Rechecked::NotAsked { why } if why.contains("deleted")),
            "{lines:#?}"
        );
        assert!(matches!(of(&lines, "nobody_else"), Rechecked::Unknown { .. }), "{lines:#?}");
    });
}

#[test]
fn only_the_runs_own_page_and_its_complete_stages_are_asked() {
    on_stage(async {
        let stage = stage("recheck_refused").await;
        assert!(matches!(again(&stage, &text(), None).await, Err(OpenError::NoRun { .. })));
        stage
            .database
            .execute("CREATE TABLE people (name text NOT NULL); CREATE TABLE made_here (id int)")
            .await;
        halted(&stage.run(&text()).await);
        let lines = again(&stage, &text(), None).await.unwrap();
        assert!(lines.iter().all(|line| line.stage == name("before")), "{lines:#?}");
        let Err(OpenError::Refused { message, .. }) = again(&stage, &text(), Some("change")).await else {
            panic!("stage change is not complete");
        };
        assert!(message.contains("stage change is not complete"), "{message}");
        let edited = text().replace("SELECT count(*) AS n", "SELECT count(*) + 1 AS n");
        assert!(matches!(again(&stage, &edited, None).await, Err(OpenError::Drift { .. })));
        assert!(matches!(again(&stage, &text(), Some("none")).await, Err(OpenError::Refused { .. })));
    });
}

async fn reported(stage: &Stage) -> Report {
    let session = stage.session().await;
    let history = History::read(&session).await.unwrap();
    let state = history.newest().unwrap().unwrap();
    let program = plan_store::load(&session, state.plan).await.unwrap();
    report(&history, state.run, program.as_ref()).unwrap().unwrap()
}

#[test]
fn a_report_tells_what_happened_under_each_step_in_the_pages_order() {
    on_stage(async {
        let stage = ran("report").await;
        let report = reported(&stage).await;
        let steps: Vec<&str> =
            report.sections.iter().flat_map(|section| &section.steps).map(|step| step.id.as_str()).collect();
        assert_eq!(steps, ["counted", "names", "nobody_else", "refuses_null", "m1", "made"]);
        assert!(report.ended_at.is_some());
        let text = report.to_markdown();
        for part in [
            "# Report: A test",
            "| started by | alice (user",
            "| greeting | hello |",
            "| token | ‹secret› |",
            "## Stage `before`",
            "### record `counted`",
            "`n` = 2 (bigint)",
            "kept 2 rows as evidence `",
            "### migrate `m1`",
            "made table `public.made_here`",
            "held in its transaction: `made`",
            "notice: NOTICE: relation \"people\" already exists",
            "**finished**",
            &format!("`{}`", report.head),
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let json = serde_json::to_string(&report).unwrap();
        assert!(!text.contains("hunter2") && !json.contains("hunter2"), "a secret is in the report");
        assert!(json.contains("\"what\":\"done\""), "{json}");
    });
}

#[test]
fn a_report_tells_halts_decisions_and_ways_back_with_their_loss() {
    on_stage(async {
        let stage = stage("report_course").await;
        stage
            .database
            .execute("CREATE TABLE people (name text NOT NULL); CREATE TABLE made_here (id int)")
            .await;
        halted(&stage.run(&text()).await);
        stage.database.execute("DROP TABLE made_here").await;
        let edited = text().replace("id int PRIMARY KEY", "id bigint PRIMARY KEY");
        let mut runner = stage.open(&edited, Purpose::Decide).await.unwrap();
        runner.amend("wider").await.unwrap();
        runner.close().await;
        done(&stage.run(&edited).await);
        stage.database.execute("INSERT INTO made_here VALUES (1)").await;
        stage.back(&edited, Back::Undo { to: None }).await;
        let report = reported(&stage).await;
        let failed =
            report.sections.iter().flat_map(|section| &section.steps).find(|step| step.id.as_str() == "m1");
        let happened: Vec<&What> = failed.unwrap().happened.iter().map(|happened| &happened.what).collect();
        assert!(
            matches!(happened[1], What::Failed { sqlstate: Some(code), .. } if code == "42P07"),
            "{happened:#?}"
        );
        assert!(matches!(happened.last(), Some(What::Undone { loss }) if loss[0].rows == 1), "{happened:#?}");
        let text = report.to_markdown();
        for part in [
            "**halted** at `m1` (error):",
            "**failed** at attempt 1 (SQLSTATE 42P07)",
            "**amended** by alice",
            "`m1` changed",
            "Reason: wider",
            "taken up by alice",
            "**went back** to the start",
            "lost: 1 rows of public.made_here",
            "| state | rolled back |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    });
}

#[test]
fn a_report_without_the_page_still_has_every_step_that_ran() {
    on_stage(async {
        let stage = ran("report_pageless").await;
        let session = stage.session().await;
        let history = History::read(&session).await.unwrap();
        let run = history.newest().unwrap().unwrap().run;
        let report = report(&history, run, None).unwrap().unwrap();
        assert!(report.page.is_none());
        let steps: Vec<&str> = report.sections[0].steps.iter().map(|step| step.id.as_str()).collect();
        assert!(steps.contains(&"m1") && steps.contains(&"counted"), "{steps:?}");
        assert!(tidegate_engine::report::report(&history, uuid::Uuid::nil(), None).unwrap().is_none());
    });
}
