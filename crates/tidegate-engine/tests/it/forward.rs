//! Forward: finished, halted, resumed, repeated.

use tidegate_engine::ending::Ending;
use tidegate_engine::event::{Event, WaitingOn};
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;
use tidegate_engine::state::Phase;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page, page_with};

const TWO_STAGES: &str = "
## First

```sql
-- @check ready
-- @expect true
SELECT true
```

```sql
-- @migrate m1
-- @version 1
-- @requires ready
-- @ensures made
CREATE TABLE a (id int PRIMARY KEY);
INSERT INTO a VALUES (1), (2)
-- @undo
DROP TABLE a
```

```sql
-- @check made
-- @expect true
SELECT count(*) >= 2 FROM a
```

## Second

```sql
-- @record counted
SELECT count(*) AS rows FROM a
```

```sql
-- @migrate m2
-- @version 2
-- @requires counted
INSERT INTO a SELECT :counted.rows + 100
-- @undo
DELETE FROM a WHERE id > 100
```
";

#[test]
fn a_page_runs_to_its_end_and_versions_are_kept() {
    on_stage(async {
        let stage = Stage::new("forward").await;
        done(&stage.run(&page(TWO_STAGES)).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM a").await, 3);
        assert_eq!(stage.database.value::<i32>("SELECT max(id) FROM a").await, 102);
        let versions = "SELECT string_agg(version, ',' ORDER BY version) FROM tidegate_version";
        assert_eq!(stage.database.value::<String>(versions).await, "1,2");
        assert_eq!(stage.state().await.phase, Phase::Finished {});
        let free = "SELECT holder IS NULL FROM tidegate.lease";
        assert!(stage.database.value::<bool>(free).await);
    });
}

#[test]
fn a_finished_page_is_not_repeated_by_accident() {
    on_stage(async {
        let mut stage = Stage::new("again").await;
        done(&stage.run(&page(TWO_STAGES)).await);
        let refused = stage.open(&page(TWO_STAGES), Purpose::Run).await;
        assert!(matches!(refused, Err(OpenError::Refused { .. })));
        stage.options.again = true;
        done(&stage.run(&page(TWO_STAGES)).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM a").await, 3);
    });
}

#[test]
fn a_check_that_fails_halts_and_is_asked_again() {
    on_stage(async {
        let stage = Stage::new("halt").await;
        let text = page(
            "## S\n\n```sql\n-- @check there\n-- @says \"The table must be there.\"\n-- @expect true\nSELECT to_regclass('wanted') IS NOT NULL\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("The table must be there."), "{ending:?}");
        assert!(matches!(stage.state().await.phase, Phase::Halted { .. }));
        stage.database.execute("CREATE TABLE wanted ()").await;
        done(&stage.run(&text).await);
        let resumed = stage.seen.borrow().events.iter().any(|r| matches!(r.event, Event::Resumed { .. }));
        assert!(resumed);
    });
}

#[test]
fn a_confirm_waits_for_a_person_and_goes_on_when_one_came() {
    on_stage(async {
        let stage = Stage::new("confirm").await;
        let text = page(
            "## S\n\n```text\n# @confirm go\n# @approvers bob\n# @not-actor\nGo?\n```\n\n```sql\n-- @migrate m\n-- @requires go\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n",
        );
        let ending = stage.run(&text).await;
        assert!(
            matches!(&ending, Ending::Waiting { on: WaitingOn::Confirm { step }, .. } if *step == name("go")),
            "{ending:?}"
        );
        // The actor may not approve, nor may a stranger.
        for refused in ["alice", "mallory"] {
            stage.seen.borrow_mut().approve_as = Some(refused.into());
            assert!(matches!(stage.run(&text).await, Ending::Waiting { .. }));
        }
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        done(&stage.run(&text).await);
    });
}

#[test]
fn an_edited_statement_is_drift_and_an_edited_comment_is_not() {
    on_stage(async {
        let stage = Stage::new("drift").await;
        let text = page(
            "## S\n\n```sql\n-- @check no\n-- @expect zero\nSELECT 1\n```\n\n```sql\n-- @migrate m\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n",
        );
        halted(&stage.run(&text).await);
        let comment = text.replace("SELECT 1", "SELECT /* why */ 1");
        halted(&stage.run(&comment).await);
        let changed = text.replace("CREATE TABLE x ()", "CREATE TABLE y ()");
        let Err(OpenError::Drift { message, .. }) = stage.open(&changed, Purpose::Run).await else {
            panic!("a changed statement must be drift");
        };
        assert!(message.contains("step m"), "{message}");
    });
}

#[test]
fn a_parameter_is_fixed_for_the_run() {
    on_stage(async {
        let mut stage = Stage::new("fixed").await;
        let text = page_with(
            "[parameters]\nn = { type = \"int\", default = 1 }",
            "## S\n\n```sql\n-- @check no\n-- @expect zero\nSELECT :n\n```\n",
        );
        let found = stage.run(&text).await;
        assert!(halted(&found).contains("1 where 0 is expected"), "{found:?}");
        stage.options.sets.insert("n".into(), "0".into());
        let refused = stage.open(&text, Purpose::Run).await;
        assert!(matches!(refused, Err(OpenError::Parameters(_))));
        // Who is refused holds nobody up.
        let free = "SELECT holder IS NULL FROM tidegate.lease";
        assert!(stage.database.value::<bool>(free).await);
    });
}

#[test]
fn two_runners_never_work_at_once() {
    on_stage(async {
        let stage = Stage::new("two").await;
        let text = page(TWO_STAGES);
        let first = stage.open(&text, Purpose::Run).await.unwrap();
        let Err(OpenError::Held(holder)) = stage.open(&text, Purpose::Run).await else {
            panic!("the second runner must be told who holds the lease");
        };
        assert_eq!(holder.actor, "alice");
        assert_eq!(holder.pid, i32::try_from(std::process::id()).unwrap());
        first.close().await;
        done(&stage.run(&text).await);
    });
}
