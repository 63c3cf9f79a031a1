//! Seals and retired tables that stand after a run, and what ends them.

use tidegate_engine::left::{self, LeftTable};

use crate::stage_hand::{Stage, done, on_stage, page, program};

async fn standing(stage: &Stage, text: &str) -> Vec<LeftTable> {
    let state = stage.state().await;
    left::tables(&stage.session().await, &program(text), Some(&state)).await.unwrap()
}

#[test]
fn what_stays_sealed_or_retired_names_its_step_and_what_ends_it() {
    on_stage(async {
        let stage = Stage::new("left").await;
        let folder = std::env::temp_dir().join(format!("tidegate-left-{}", stage.database.name()));
        std::fs::create_dir_all(&folder).unwrap();
        stage
            .database
            .execute("CREATE TABLE old (id int); CREATE TABLE other (id int); CREATE TABLE brief (id int)")
            .await;
        let text = page(&format!(
            "## First\n\n```sql\n-- @check seen\n-- @expect empty\nSELECT * FROM old\n```\n\n\
             ## Second\n\n```toml\n# @seal quiet\ntables = [\"public.old\", \"public.other\"]\n```\n\n```toml\n# @seal short\ntables = [\"public.brief\"]\nfor = \"1h\"\n```\n\n\
             ```toml\n# @backup copy\nfile = \"{}/copy.dump\"\nrehearse = {{ waived = \"a test\" }}\n```\n\n```toml\n# @retire gone\n# @requires quiet seen copy\ntables = [\"public.old\"]\n```\n\n\
             ## Cleanup\n\n```toml\n# @stage cleanup\nmanual = true\n```\n\n```sql\n-- @check nobody\n-- @expect empty\nSELECT * FROM tidegate_retired.old\n```\n\n\
             ```sql\n-- @migrate drop_old\n-- @requires nobody copy\nDROP TABLE tidegate_retired.old\n-- @undo\nCREATE TABLE tidegate_retired.old (id int)\n```\n",
            folder.display()
        ));
        done(&stage.run(&text).await);
        let found = standing(&stage, &text).await;
        let back = "Going back before it ends it; see what that would lose: tidegate rollback --to first";
        let shown: Vec<(&str, bool, Option<&str>, Vec<&str>)> = found
            .iter()
            .map(|left| {
                let ends = left.ends.iter().map(String::as_str).collect();
                (left.table.as_str(), left.retired, left.step.as_deref(), ends)
            })
            .collect();
        let drops = "Stage cleanup drops it (drop_old): tidegate run --apply --actor NAME --stage cleanup";
        assert_eq!(
            shown,
            [
                ("public.brief", false, Some("short"), vec![back]),
                ("public.other", false, Some("quiet"), vec![back]),
                ("tidegate_retired.old", true, Some("gone"), vec![drops, back]),
            ]
        );
        assert!(found[0].until.is_some() && found[1].until.is_none(), "{found:?}");
        // An expired seal refuses nothing, and one without a page of its run has to be ended by hand.
        stage.database.execute("UPDATE tidegate.seal SET expires_at = clock_timestamp() - interval '1 second' WHERE step = 'short'").await;
        let other = page("## S\n\n```sql\n-- @check c\n-- @expect true\nSELECT true\n```\n")
            .replace("@runbook test", "@runbook another");
        let found = standing(&stage, &other).await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found.iter().all(|left| left.ends == ["The statements that end it by hand: tidegate doctor"]),
            "{found:?}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
