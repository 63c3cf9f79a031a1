//! What going back would lose: counted exactly, whoever wrote it and whenever they began.

use tidegate_engine::event::Back;
use tidegate_engine::runner::Purpose;

use crate::stage_hand::{Stage, done, on_stage, page};

async fn figures(stage: &Stage, text: &str) -> String {
    let runner = stage.open(text, Purpose::Back).await.unwrap();
    let figures = runner.plan_back(Back::Undo { to: None }).await.unwrap().figures();
    runner.close().await;
    figures
}

#[test]
fn rows_of_a_transaction_that_began_before_the_step_are_losses() {
    on_stage(async {
        let stage = Stage::new("began_before").await;
        stage
            .database
            .execute(
                "CREATE TABLE elsewhere (id int); CREATE TABLE old (id int); INSERT INTO old VALUES (1), (2)",
            )
            .await;
        let text = page(
            "## S\n\n```sql\n-- @migrate m1\nCREATE TABLE a (id int)\n-- @undo\nDROP TABLE a\n```\n\n```sql\n-- @migrate m2\nALTER TABLE old ADD COLUMN note text DEFAULT 'none'\n-- @undo\nALTER TABLE old DROP COLUMN note\n```\n",
        );
        let early = stage.database.client().await;
        early.batch_execute("BEGIN; INSERT INTO elsewhere VALUES (1)").await.unwrap();
        done(&stage.run(&text).await);
        early
            .batch_execute("INSERT INTO a VALUES (1); UPDATE old SET note = 'x' WHERE id = 1; COMMIT")
            .await
            .unwrap();
        assert_eq!(figures(&stage, &text).await, "public.a=1,public.old.note=1");
    });
}
