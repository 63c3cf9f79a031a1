//! Ways back by undo: order, losses, dependants.

use tidegate_engine::ending::Ending;
use tidegate_engine::event::Back;
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;
use tidegate_engine::state::Phase;

use crate::stage_hand::{Stage, done, halted, name, on_stage, page};

const PAGE: &str = "
## One

```sql
-- @migrate m1
-- @version 1
CREATE TABLE a (id int PRIMARY KEY, created_at timestamptz DEFAULT now());
INSERT INTO a VALUES (1)
-- @undo
DROP TABLE a CASCADE
```

## Two

```sql
-- @migrate m2
-- @version 2
CREATE TABLE b (id int PRIMARY KEY);
ALTER TABLE a ADD COLUMN note text
-- @undo
DROP TABLE b CASCADE;
ALTER TABLE a DROP COLUMN note
```
";

fn text() -> String {
    page(PAGE)
}

#[test]
fn everything_is_taken_back_and_can_go_forward_again() {
    on_stage(async {
        let stage = Stage::new("back").await;
        done(&stage.run(&text()).await);
        let ending = stage.back(&text(), Back::Undo { to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(stage.state().await.phase, Phase::RolledBack {});
        let left = "SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b')";
        assert_eq!(stage.database.value::<i64>(left).await, 0);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 0);
        done(&stage.run(&text()).await);
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tidegate_version").await, 2);
    });
}

#[test]
fn a_partial_way_back_halts_at_the_stage_and_goes_forward_from_there() {
    on_stage(async {
        let stage = Stage::new("partial").await;
        done(&stage.run(&text()).await);
        let ending = stage.back(&text(), Back::Undo { to: Some(name("one")) }).await;
        assert!(halted(&ending).contains("after stage one"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NULL").await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('a') IS NOT NULL").await);
        done(&stage.run(&text()).await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('b') IS NOT NULL").await);
    });
}

#[test]
fn rows_of_others_are_counted_exactly_and_must_be_accepted() {
    on_stage(async {
        let stage = Stage::new("loss").await;
        done(&stage.run(&text()).await);
        stage
            .database
            .execute("INSERT INTO a VALUES (2, '2026-01-02Z'), (3, '2026-01-01Z'); INSERT INTO b VALUES (1)")
            .await;
        stage.database.execute("UPDATE a SET note = 'mine' WHERE id = 1").await;
        let mut runner = stage.open(&text(), Purpose::Back).await.unwrap();
        let plan = runner.plan_back(Back::Undo { to: None }).await.unwrap();
        // Row 1 was the step's own and was updated by another since: it counts, too.
        assert_eq!(plan.figures(), "public.a.note=1,public.a=3,public.b=1");
        let newest = plan.loss.iter().find(|line| line.table == "public.a").unwrap();
        assert!(newest.newest.is_some());
        // A row that comes between the statement and the undo changes the figures.
        stage.database.execute("INSERT INTO b VALUES (2)").await;
        let ending = runner.go_back(plan).await;
        assert!(halted(&ending).contains("what would be lost has changed"), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM b").await, 2);
        // The new figures can be accepted, and the way back goes on.
        let plan = runner.plan_back(Back::Undo { to: None }).await.unwrap();
        assert_eq!(plan.figures(), "public.a.note=1,public.a=3,public.b=2");
        let ending = runner.go_back(plan).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        runner.close().await;
    });
}

#[test]
fn a_dependant_of_others_refuses_the_undo_even_under_cascade() {
    on_stage(async {
        let stage = Stage::new("dependant").await;
        done(&stage.run(&text()).await);
        stage.database.execute("CREATE VIEW theirs AS SELECT id FROM b").await;
        let ending = stage.back(&text(), Back::Undo { to: None }).await;
        assert!(halted(&ending).contains("view public.theirs"), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('theirs') IS NOT NULL").await);
        // What was refused was not undone: it is, once the dependant is gone.
        stage.database.execute("DROP VIEW theirs").await;
        let ending = stage.back(&text(), Back::Undo { to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        let left = "SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b')";
        assert_eq!(stage.database.value::<i64>(left).await, 0);
    });
}

#[test]
fn a_column_added_with_a_default_loses_only_what_was_written_since() {
    on_stage(async {
        let stage = Stage::new("column").await;
        stage.database.execute("CREATE TABLE old (id int); INSERT INTO old VALUES (1), (2), (3)").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m\nALTER TABLE old ADD COLUMN note text NOT NULL DEFAULT 'none'\n-- @undo\nALTER TABLE old DROP COLUMN note\n```\n",
        );
        done(&stage.run(&text).await);
        stage.database.execute("UPDATE old SET note = 'mine' WHERE id = 2").await;
        let mut runner = stage.open(&text, Purpose::Back).await.unwrap();
        let plan = runner.plan_back(Back::Undo { to: None }).await.unwrap();
        assert_eq!(plan.figures(), "public.old.note=1");
        let ending = runner.go_back(plan).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        runner.close().await;
    });
}

#[test]
fn a_way_that_waits_is_gone_on_with_and_never_left_by_going_forward() {
    on_stage(async {
        let stage = Stage::new("way").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n\n## Rollback\n\n### By hand\n\n```toml\n# @way by_hand\nfrom = [\"s\"]\nto = \"start\"\n```\n\n```text\n# @confirm sure\nSure?\n```\n\n```sql\n-- @migrate drop_x\nDROP TABLE x\n```\n",
        );
        done(&stage.run(&text).await);
        let way = || Back::Way { way: name("by_hand"), to: None };
        let waiting = stage.back(&text, way()).await;
        assert!(matches!(waiting, Ending::Waiting { .. }), "{waiting:?}");
        let Err(OpenError::Refused { next, .. }) = stage.open(&text, Purpose::Run).await else {
            panic!("a run on its way back does not go forward");
        };
        assert!(next.contains("--way by_hand"), "{next}");
        stage.seen.borrow_mut().approve_as = Some("bob".into());
        let ending = stage.back(&text, way()).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
        assert_eq!(stage.state().await.phase, Phase::RolledBack {});
    });
}

#[test]
fn what_only_an_unless_asks_is_no_step_of_a_way() {
    on_stage(async {
        let stage = Stage::new("unless").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m\nCREATE TABLE x ()\n-- @undo\nDROP TABLE x\n```\n\n## Rollback\n\n### By hand\n\n```toml\n# @way by_hand\nfrom = [\"s\"]\nto = \"start\"\n```\n\n```sql\n-- @check x_is_gone\n-- @only unless\n-- @expect true\nSELECT to_regclass('x') IS NULL\n```\n\n```sql\n-- @migrate drop_x\n-- @unless x_is_gone\nDROP TABLE x\n```\n",
        );
        done(&stage.run(&text).await);
        let ending = stage.back(&text, Back::Way { way: name("by_hand"), to: None }).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert!(stage.database.value::<bool>("SELECT to_regclass('x') IS NULL").await);
    });
}

/// A migration whose undo deletes and changes rows of a table that others use, too.
const SHARED: &str = "
## S

```sql
-- @migrate kinds
-- @version 1
INSERT INTO kind (name) VALUES ('card');
UPDATE kind SET note = 'old' WHERE name = 'cash'
-- @undo
DELETE FROM kind WHERE name LIKE 'card%';
UPDATE kind SET note = NULL WHERE name = 'cash'
```

## T

```sql
-- @migrate more
-- @version 2
CREATE TABLE later (id int)
-- @undo
DROP TABLE later
```
";

#[test]
fn an_undo_that_deletes_counts_the_rows_of_others_it_would_take() {
    on_stage(async {
        let stage = Stage::new("shared").await;
        stage
            .database
            .execute(
                "CREATE TABLE kind (name text, note text); INSERT INTO kind (name) VALUES ('cash'), ('wire')",
            )
            .await;
        let text = page(SHARED);
        done(&stage.run(&text).await);
        // Nobody has written since: nothing is lost.
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        assert_eq!(runner.plan_back(Back::Undo { to: None }).await.unwrap().figures(), "");
        runner.close().await;
        // Another's row would be deleted, another's change undone, and one is out of reach.
        stage
            .database
            .execute("INSERT INTO kind (name) VALUES ('card-2'), ('cheque'); UPDATE kind SET note = 'mine' WHERE name = 'cash'")
            .await;
        let mut runner = stage.open(&text, Purpose::Back).await.unwrap();
        let plan = runner.plan_back(Back::Undo { to: None }).await.unwrap();
        assert_eq!(plan.figures(), "public.kind=2");
        assert_eq!(
            stage.database.value::<i64>("SELECT count(*) FROM kind").await,
            5,
            "a look changes nothing"
        );
        stage.database.execute("INSERT INTO kind (name) VALUES ('card-3')").await;
        let ending = runner.go_back(plan).await;
        assert!(halted(&ending).contains("now it is public.kind=3"), "{ending:?}");
        runner.close().await;
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM kind").await, 6);
    });
}

#[test]
fn an_undo_that_truncates_counts_every_row_of_others() {
    on_stage(async {
        let stage = Stage::new("truncates").await;
        stage.database.execute("CREATE TABLE kind (name text); INSERT INTO kind VALUES ('cash')").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m\nINSERT INTO kind VALUES ('card')\n-- @undo\nTRUNCATE kind\n```\n",
        );
        done(&stage.run(&text).await);
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        assert_eq!(runner.plan_back(Back::Undo { to: None }).await.unwrap().figures(), "public.kind=1");
        runner.close().await;
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM kind").await, 2);
    });
}

#[test]
fn a_written_way_counts_what_its_statements_would_take_of_others() {
    on_stage(async {
        let stage = Stage::new("way_loss").await;
        let text = page(
            "## S\n\n```sql\n-- @migrate mk\nCREATE TABLE ta (id int);\nINSERT INTO ta VALUES (1)\n-- @undo\nDROP TABLE ta\n```\n\n```sql\n-- @migrate mk2\nCREATE TABLE tb (id int)\n-- @undo\nDROP TABLE tb\n```\n\n## Rollback\n\n### By hand\n\n```toml\n# @way by_hand\nfrom = [\"s\"]\nto = \"start\"\n```\n\n```sql\n-- @migrate drop_both\nDROP TABLE tb;\nDROP TABLE ta\n```\n",
        );
        done(&stage.run(&text).await);
        let way = || Back::Way { way: name("by_hand"), to: None };
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        assert_eq!(
            runner.plan_back(way()).await.unwrap().figures(),
            "",
            "the step's own row is nobody's loss"
        );
        runner.close().await;
        stage.database.execute("INSERT INTO ta VALUES (2); INSERT INTO tb VALUES (1), (2)").await;
        let mut runner = stage.open(&text, Purpose::Back).await.unwrap();
        let plan = runner.plan_back(way()).await.unwrap();
        assert_eq!(plan.figures(), "public.ta=1,public.tb=2");
        // What comes after the statement is not lost unasked.
        stage.database.execute("INSERT INTO tb VALUES (3)").await;
        let ending = runner.go_back(plan).await;
        assert!(halted(&ending).contains("now it is public.ta=1,public.tb=3"), "{ending:?}");
        assert_eq!(stage.database.value::<i64>("SELECT count(*) FROM tb").await, 3);
        // The new figures can be accepted.
        let plan = runner.plan_back(way()).await.unwrap();
        assert_eq!(plan.figures(), "public.ta=1,public.tb=3");
        let ending = runner.go_back(plan).await;
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        runner.close().await;
        assert!(stage.database.value::<bool>("SELECT to_regclass('tb') IS NULL").await);
    });
}
