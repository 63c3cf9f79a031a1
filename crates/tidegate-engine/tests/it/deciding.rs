//! Decisions with a name and a reason: abandon, accept what differs, take over an edited page.

use tidegate_engine::decide::DecideError;
use tidegate_engine::ending::Ending;
use tidegate_engine::event::Event;
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;
use tidegate_engine::state::{Phase, StepState};

use crate::stage_hand::{Stage, done, halted, name, on_stage, page};

/// One migration that stands, and one that fails until `ready` is there.
const HALTS: &str = "
## One

```sql
-- @migrate m1
-- @version 1
CREATE TABLE a (id int PRIMARY KEY)
-- @undo
DROP TABLE a
```

## Two

```sql
-- @migrate m2
-- @version 2
CREATE TABLE b (id int REFERENCES ready (id))
-- @undo
DROP TABLE b
```

```sql
-- @check at_the_end
-- @expect true
SELECT true
```
";

async fn halted_stage(hint: &str) -> (Stage, String) {
    let stage = Stage::new(hint).await;
    let text = page(HALTS);
    let ending = stage.run(&text).await;
    assert!(halted(&ending).contains("42P01"), "{ending:?}");
    (stage, text)
}

/// Opens to decide, decides, closes.
async fn amend(stage: &Stage, text: &str) -> Result<Vec<String>, String> {
    let mut runner = stage.open(text, Purpose::Decide).await.unwrap();
    let decided = runner.amend("the table has another name here").await;
    runner.close().await;
    match decided {
        Ok(decision) => Ok(decision.details),
        Err(error @ DecideError::Refused { .. }) => Err(error.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn an_abandoned_run_says_what_stands_and_undoes_nothing() {
    on_stage(async {
        let (stage, text) = halted_stage("abandon").await;
        let mut runner = stage.open(&text, Purpose::Decide).await.unwrap();
        let ending = runner.abandon("the page is wrong").await;
        runner.close().await;
        let Ending::Done { what } = ending else { panic!("{ending:?}") };
        assert!(what.contains("migrate m1"), "{what}");
        assert!(!what.contains("m2"), "m2 had no effect: {what}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('a') IS NOT NULL").await);
        assert_eq!(stage.state().await.phase, Phase::Abandoned { reason: "the page is wrong".into() });
        let Err(OpenError::Refused { message, .. }) = stage.open(&text, Purpose::Decide).await else {
            panic!("nothing is left to decide");
        };
        assert!(message.contains("abandoned"), "{message}");
    });
}

#[test]
fn a_decision_without_a_reason_is_none() {
    on_stage(async {
        let (stage, text) = halted_stage("reason").await;
        let before = stage.state().await;
        let mut runner = stage.open(&text, Purpose::Decide).await.unwrap();
        assert!(matches!(runner.abandon(" ").await, Ending::Drift { .. }));
        assert!(matches!(runner.amend("").await, Err(DecideError::Refused { .. })));
        assert!(matches!(runner.accept_drift("checksum 1", "").await, Err(DecideError::Refused { .. })));
        assert!(matches!(runner.adopt(&name("m2"), "").await, Err(DecideError::Refused { .. })));
        runner.close().await;
        assert_eq!(stage.state().await, before);
    });
}

#[test]
fn a_halted_run_goes_on_with_an_amended_page() {
    on_stage(async {
        let (stage, text) = halted_stage("amend").await;
        let edited = text.replace("REFERENCES ready (id)", "REFERENCES a (id)");
        let Err(OpenError::Drift { message, next }) = stage.open(&edited, Purpose::Run).await else {
            panic!("an edited page is drift");
        };
        assert!(message.contains("step m2") && next.contains("tidegate amend"), "{message} {next}");
        assert_eq!(amend(&stage, &edited).await.unwrap(), ["m2"]);
        done(&stage.run(&edited).await);
        let seen = stage.seen.borrow();
        let by = seen.events.iter().find_map(|record| match &record.event {
            Event::Amended { changed, by, reason, .. } => {
                Some((changed.clone(), by.actor.clone(), reason.clone()))
            }
            _ => None,
        });
        assert_eq!(by.unwrap(), (vec![name("m2")], "alice".into(), "the table has another name here".into()));
    });
}

#[test]
fn the_page_as_it_was_is_drift_once_another_was_taken_over() {
    on_stage(async {
        let (stage, text) = halted_stage("amend_back").await;
        let edited = text.replace("REFERENCES ready (id)", "REFERENCES a (id)");
        amend(&stage, &edited).await.unwrap();
        assert!(matches!(stage.open(&text, Purpose::Run).await, Err(OpenError::Drift { .. })));
    });
}

#[test]
fn a_completed_step_may_not_change_and_the_refusal_names_it() {
    on_stage(async {
        let (stage, text) = halted_stage("amend_done").await;
        let before = stage.state().await;
        let edited =
            text.replace("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE a (id bigint PRIMARY KEY)");
        let why = amend(&stage, &edited).await.unwrap_err();
        assert!(why.contains("m1: is complete and changed meaning"), "{why}");
        assert!(!why.contains("m2:"), "{why}");
        assert_eq!(stage.state().await.plan, before.plan);
    });
}

#[test]
fn a_completed_step_may_not_be_removed() {
    on_stage(async {
        let (stage, text) = halted_stage("amend_gone").await;
        let (before, rest) = text.split_once("## One").unwrap();
        let (_, after) = rest.split_once("## Two").unwrap();
        let why = amend(&stage, &format!("{before}## Two{after}")).await.unwrap_err();
        assert!(why.contains("m1: is complete and was removed"), "{why}");
    });
}

#[test]
fn nothing_new_may_stand_above_what_is_done_already() {
    on_stage(async {
        let (stage, text) = halted_stage("amend_above").await;
        let check = "```sql\n-- @check late\n-- @expect true\nSELECT true\n```\n";
        let above = text.replace("## One\n", &format!("## One\n\n{check}"));
        let why = amend(&stage, &above).await.unwrap_err();
        assert!(why.contains("late: is new and stands above m1"), "{why}");
        let below = text.replace("## Two\n", &format!("## Two\n\n{check}"));
        assert_eq!(amend(&stage, &below).await.unwrap(), ["late"]);
    });
}

#[test]
fn a_page_that_did_not_change_is_not_taken_over() {
    on_stage(async {
        let (stage, text) = halted_stage("amend_same").await;
        let why = amend(&stage, &text).await.unwrap_err();
        assert!(why.contains("is the one that the run follows"), "{why}");
        // Prose may change without a decision; taking it over is allowed and changes no step.
        let prose = text.replace("## Two", "Some words.\n\n## Two");
        assert_eq!(amend(&stage, &prose).await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_step_that_failed_begins_anew_when_it_was_amended() {
    on_stage(async {
        let (stage, text) = halted_stage("amend_anew").await;
        let failed = stage.state().await;
        assert!(matches!(failed.steps.get(&name("m2")), Some(StepState::Failed { .. })), "{failed:?}");
        let edited = text.replace("REFERENCES ready (id)", "REFERENCES a (id)");
        amend(&stage, &edited).await.unwrap();
        assert!(!stage.state().await.steps.contains_key(&name("m2")));
        done(&stage.run(&edited).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 2);
    });
}
