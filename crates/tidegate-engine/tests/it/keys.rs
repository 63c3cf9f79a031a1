//! Checks and records that read a key-value store, beside a home store.

use tidegate_engine::doctor::doctor;
use tidegate_engine::doors::DoorError;
use tidegate_engine::plan::{DryRun, Finding, dry_run};
use tidegate_engine::recheck::{Rechecked, recheck};
use tidegate_store::kv::Change;

use crate::shelf::{outcome_of, set};
use crate::stage_hand::{Stage, done, halted, name, on_stage, page_with, program};

async fn plan(stage: &Stage, text: &str) -> DryRun {
    let program = program(text);
    let doors = stage.doors(&program);
    dry_run(program, doors, &stage.options).await.unwrap()
}

const COUNTED: &str = "## Look

```kv
# @record before_move
legacy = count logs trip:Ann:
done = get logs migration:{{user}}:state /done
fresh = missing logs trip:{{user}}:1
report list logs trip: limit 1
```

```kv
# @record owners
list logs trip: columns /userId /miles
```

```sql
-- @check as_recorded
-- @expect true
SELECT :before_move.legacy = 2 AND NOT :before_move.done AND :before_move.fresh
   AND (SELECT sum(miles::int) FROM :{owners} WHERE key LIKE 'trip:Ann:%' AND userId <> 'x') = 19
```

```kv
# @check as_many
# @evidence rows
# @expect json /migrated = {{before_move.legacy}}
get logs migration:{{user}}:state
```
";

#[test]
fn records_of_keys_feed_later_steps_and_nothing_is_written() {
    on_stage(async {
        let (stage, shelf) = set("keys_records").await;
        let before = shelf.whole().await;
        let text = shelf.page(COUNTED);
        assert!(plan(&stage, &text).await.holds());
        done(&stage.run(&text).await);
        let recorded = outcome_of(&stage, "before_move");
        let values: Vec<_> = recorded
            .values
            .iter()
            .map(|one| (one.name.as_str(), one.type_name.as_str(), one.text.as_deref().unwrap()))
            .collect();
        assert_eq!(
            values,
            [("legacy", "bigint", "2"), ("done", "boolean", "false"), ("fresh", "boolean", "true")]
        );
        assert_eq!(recorded.notices, ["list \"trip:\" of logs: 1 key", "trip:Ann:1"]);
        assert_eq!(outcome_of(&stage, "owners").rows.as_ref().unwrap().count, 2);
        assert_eq!(outcome_of(&stage, "as_many").rows.as_ref().unwrap().count, 1, "evidence was asked for");
        assert_eq!(shelf.whole().await, before);
    });
}

#[test]
fn a_count_that_is_not_zero_halts_with_the_keys_and_goes_on_once_they_are_gone() {
    on_stage(async {
        let (stage, shelf) = set("keys_halt").await;
        let text = shelf.page(
            "## Look\n\n```kv\n# @check nothing_left\n# @expect zero\ncount logs trip:Ann: where /userId = \"Ann\"\nreport count logs trip:Ann:\n```\n",
        );
        let ending = stage.run(&text).await;
        let message = halted(&ending);
        assert!(
            message.contains("1 key under \"trip:Ann:\" of logs that meet the conditions where none is expected: \"trip:Ann:1\"")
                && message.contains("reported: count \"trip:Ann:\" of logs: 2 keys"),
            "{message}"
        );
        shelf.change("trip:Ann:1", Change::Delete).await;
        done(&stage.run(&text).await);
    });
}

#[test]
fn a_store_that_is_not_there_is_unknown_and_is_not_made() {
    on_stage(async {
        let stage = Stage::new("keys_absent").await;
        let path = std::env::temp_dir().join(format!("tidegate-no-keys-{}.db", stage.database.name()));
        let text = page_with(
            &format!("[stores.trips]\nkind = \"kv\"\nurl = \"sqlite:{}\"", path.display()),
            "## Look\n\n```kv\n# @check gone\n# @expect true\nmissing logs trip:Ann:1\n```\n",
        );
        let lines = plan(&stage, &text).await.lines;
        assert!(
            matches!(&lines[0].finding, Finding::Unknown { why } if why.contains("is no file, or an empty one")),
            "{lines:?}"
        );
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("): store trips"), "{ending:?}");
        let program = program(&text);
        let doors = stage.doors(&program);
        let found = doctor(Some(program), doors).await.unwrap();
        let unreachable = found.iter().find(|one| one.code == "keys-unreachable").unwrap();
        assert_eq!(unreachable.subject, "store trips");
        assert!(!path.exists(), "looking makes no store");
        std::fs::write(&path, vec![7; 4096]).unwrap();
        let ending = stage.run(&text).await;
        assert!(halted(&ending).contains("): store trips"), "a file of another kind: {ending:?}");
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_check_of_keys_stands_as_condition_and_as_requirement_of_steps_on_the_home_store() {
    on_stage(async {
        let (stage, shelf) = set("keys_unless").await;
        let text = shelf.page(
            "## Look\n\n```kv\n# @check moved\n# @only unless\n# @expect true\nget logs migration:u1:state /done\n```\n\n```kv\n# @check bob_is_named\n# @expect json /userId = \"Bob\"\nget logs trip:Ann:2\n```\n\n```sql\n-- @migrate mark\n-- @unless moved\n-- @requires bob_is_named\nCREATE TABLE mark (a int)\n-- @undo\nDROP TABLE mark\n```\n",
        );
        shelf.put("migration:u1:state", r#"{"done":true}"#).await;
        done(&stage.run(&text).await);
        assert!(outcome_of(&stage, "mark").already);
        assert!(stage.database.value::<bool>("SELECT to_regclass('mark') IS NULL").await);
        shelf.put("migration:u1:state", r#"{"done":false}"#).await;
        stage.database.execute("DROP SCHEMA tidegate CASCADE").await;
        done(&stage.run(&text).await);
        assert!(stage.database.value::<bool>("SELECT to_regclass('mark') IS NOT NULL").await);
    });
}

#[test]
fn a_recheck_tells_how_keys_differ_from_what_was_recorded() {
    on_stage(async {
        let (stage, shelf) = set("keys_recheck").await;
        let text = shelf.page(COUNTED);
        done(&stage.run(&text).await);
        shelf.put("trip:Ann:3", r#"{"userId":"Ann","miles":1}"#).await;
        let program = program(&text);
        let doors = stage.doors(&program);
        let lines = recheck(program, doors, &stage.options, None).await.unwrap();
        let differs = |step: &str| match &lines.iter().find(|line| line.step == name(step)).unwrap().finding {
            Rechecked::Differs { differences } => differences.clone(),
            other => panic!("{step}: {other:?}"),
        };
        assert_eq!(differs("before_move"), ["legacy was 2 and is 3"]);
        assert_eq!(differs("owners"), ["new: (trip:Ann:3, Ann, 1)"]);
    });
}

#[test]
fn a_report_of_the_run_has_what_was_reported_and_no_values_beside_it() {
    on_stage(async {
        let (stage, shelf) = set("keys_report").await;
        let text = shelf.page(
            "## Look\n\n```kv\n# @check there\n# @expect json /userId exists\nget logs trip:Ann:1\nreport list logs trip:Ann:\n```\n",
        );
        done(&stage.run(&text).await);
        let journal: String = stage.database.value("SELECT string_agg(body, '') FROM tidegate.event").await;
        assert!(journal.contains("trip:Ann:2"), "{journal}");
        assert!(!journal.contains("miles"), "{journal}");
    });
}

#[test]
fn a_store_is_opened_for_change_only_through_its_own_door() {
    on_stage(async {
        let (stage, shelf) = set("keys_doors").await;
        let program = program(&shelf.page(COUNTED));
        let doors = stage.doors(&program);
        doors.keys_to_change(&name("trips")).await.unwrap();
        let error = doors.keys(&name("nothing")).await.unwrap_err();
        assert!(matches!(error, DoorError::Absent { .. }), "{error:?}");
    });
}
