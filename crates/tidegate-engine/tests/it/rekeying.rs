//! Keys that are moved from names to ids by a step: counted, held to what was counted, cut off, and gone on with.

use tidegate_engine::event::{Back, Event, EventRecord};
use tidegate_engine::runner::Purpose;
use tidegate_engine::values::Relation;
use tidegate_store::kv::{Change, Condition, Key, Namespace, Write};

use crate::shelf::{Shelf, outcome_of, set, set_on_redis};
use crate::stage_hand::{Stage, done, halted, on_stage};

const TABLES: &str = r#"
[rekey.trips]
journal = "migrations"
rules = [
  { name = "trips", namespace = "logs", many = "trip:", owner = ["/userId"], proof = ["/userId"], clock = ["/updatedAt"] },
  { name = "settings", namespace = "logs", one = "settings:", opaque = true },
]
"#;

/// A page that counts and moves, for these subjects, with these lines more in the apply.
fn page(shelf: &Shelf, subjects: &str, apply: &str) -> String {
    shelf.page_with(
        TABLES,
        &format!(
            "## Move

```toml
# @stage move
no_return = true
```

```sql
-- @record everybody
-- @rows
SELECT * FROM (VALUES ('u1', 'Ann'), ('u2', 'Bea'), ('u3', 'Cleo'), ('u4', 'cleo')) AS t (id, name) ORDER BY id
```

```sql
-- @record people
-- @rows
{subjects}
```

```toml
# @rekey counted
# @store trips
# @for-each people
# @max-failure-rate 100%
plan = \"trips\"
mode = \"dry\"
id = \"{{{{each.id}}}}\"
names = [\"{{{{each.name}}}}\"]
claims = \"everybody\"
```

```toml
# @rekey moved
# @store trips
# @for-each people
# @wave 1
{apply}
plan = \"trips\"
mode = \"apply\"
held_to = \"counted\"
id = \"{{{{each.id}}}}\"
names = [\"{{{{each.name}}}}\"]
claims = \"everybody\"
batch = 2
```

```sql
-- @check all_moved
-- @expect true
SELECT bool_and(moved_whole AND subject_state = 'done') FROM :{{moved}}
```

```kv
# @check under_ids
# @store trips
# @expect json /userId = \"u1\"
get logs trip:u1:1
```
"
        ),
    )
}

const TWO: &str = "SELECT id, name FROM :{everybody} WHERE id IN ('u1', 'u2') ORDER BY id";

async fn shelf(hint: &str) -> (Stage, Shelf) {
    trips_of_two(set(hint).await).await
}

async fn trips_of_two((stage, shelf): (Stage, Shelf)) -> (Stage, Shelf) {
    shelf.change("trip:Ann:2", Change::Delete).await;
    for number in 1..=5 {
        let value = format!(r#"{{"userId":"Ann","n":{number},"updatedAt":"2026-01-0{number}T00:00:00Z"}}"#);
        shelf.put(&format!("trip:Ann:{number}"), &value).await;
    }
    shelf.put("trip:Bea:1", r#"{"userId":"Bea"}"#).await;
    shelf.put("settings:Bea", "dark").await;
    (stage, shelf)
}

async fn get(shelf: &Shelf, namespace: &str, key: &str) -> Option<String> {
    let found = shelf.keys.get(&Namespace::new(namespace).unwrap(), &Key::new(key).unwrap()).await.unwrap();
    found.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
}

async fn rows_of(stage: &Stage, step: &str) -> Relation {
    let digest = outcome_of(stage, step).rows.unwrap().digest;
    let session = stage.session().await;
    let sql = "SELECT body FROM tidegate.evidence WHERE digest = decode($1, 'hex')";
    let digest = digest.to_string();
    let rows = session.query(sql, &[(&digest, tidegate_store::postgres::Type::TEXT)]).await.unwrap();
    serde_json::from_str(rows[0].get(0)).unwrap()
}

#[test]
fn keys_are_counted_and_moved_as_counted_and_nothing_of_the_old_ones_changes() {
    on_stage(async { counted_and_moved(shelf("rekey_moves").await).await });
}

#[test]
fn keys_of_a_server_are_counted_and_moved_too() {
    on_stage(async { counted_and_moved(trips_of_two(set_on_redis("rekey_redis").await).await).await });
}

async fn counted_and_moved((stage, shelf): (Stage, Shelf)) {
    done(&stage.run(&page(&shelf, TWO, "")).await);
    let counted = outcome_of(&stage, "counted");
    assert_eq!((counted.figures["records_migrated"], counted.figures["subjects"]), (7, 2), "{counted:?}");
    let moved = outcome_of(&stage, "moved");
    assert_eq!((moved.figures["records_migrated"], moved.figures["failed"]), (7, 0), "{moved:?}");
    assert_eq!(moved.summary, "done for all 2");
    for number in 1..=5 {
        let value = get(&shelf, "logs", &format!("trip:u1:{number}")).await.unwrap();
        assert!(value.contains(r#""userId":"u1""#) && value.contains(&format!(r#""n":{number}"#)), "{value}");
        assert!(get(&shelf, "logs", &format!("trip:Ann:{number}")).await.unwrap().contains("Ann"));
    }
    assert_eq!(get(&shelf, "logs", "settings:u2").await.as_deref(), Some("dark"));
    assert!(get(&shelf, "migrations", "migration:u1:state").await.unwrap().contains(r#""done":true"#));
    let rows = rows_of(&stage, "moved").await;
    let names: Vec<&str> = rows.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..5], ["id", "name", "subject_state", "subject_detail", "subject_id"], "{names:?}");
}

#[test]
fn what_was_written_since_it_was_counted_keeps_a_subject_from_being_moved_and_no_other() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_held").await;
        // Somebody writes between the two steps: the run is stopped there until that was done.
        let written = shelf.folder.join("written").display().to_string();
        let between = format!(
            "```sh\n# @check somebody_wrote\n# @harmless it looks\n# @expect exit 0\ntest -e {written}\n```\n\n```toml\n# @rekey moved"
        );
        let text = page(&shelf, TWO, "# @max-failure-rate 50%").replace("@wave 1", "@wave 2");
        let text = text.replace("```toml\n# @rekey moved", &between);
        halted(&stage.run(&text).await);
        shelf.put("trip:Ann:6", r#"{"userId":"Ann"}"#).await;
        std::fs::write(&written, "").unwrap();
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("all_moved"), "{message}");
        let moved = outcome_of(&stage, "moved");
        assert_eq!(moved.summary, "done for 1 of 2; 1 failed");
        assert!(get(&shelf, "logs", "trip:u1:1").await.is_none(), "nothing of Ann was copied");
        assert!(get(&shelf, "logs", "trip:u2:1").await.is_some());
        let rows = rows_of(&stage, "moved").await;
        let detail = rows.rows[0][3].clone().unwrap();
        assert_eq!(
            detail,
            "nothing was copied, as it is not what the dry run counted: trips: 6 to be copied where 5 were counted"
        );
    });
}

#[test]
fn an_apply_that_was_cut_off_is_held_to_the_rest_of_what_was_counted() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_rest").await;
        let text = page(&shelf, TWO, "").replace("batch = 2", "batch = 2\niterations = 1");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("1 batches were copied and there is more: resume"), "{message}");
        assert!(get(&shelf, "logs", "trip:u1:1").await.is_some());
        assert!(get(&shelf, "logs", "trip:u1:5").await.is_none());
        // Each resumed attempt goes on behind the last batch, and the numbers still fit.
        halted(&stage.run(&text).await);
        assert!(get(&shelf, "logs", "trip:u1:3").await.is_some());
        for _attempt in 0..8 {
            if !matches!(&stage.run(&text).await, tidegate_engine::ending::Ending::Halted { .. }) {
                break;
            }
        }
        assert!(get(&shelf, "logs", "trip:u1:5").await.is_some());
        let moved = outcome_of(&stage, "moved");
        assert_eq!(moved.summary, "done for all 2");
        // The evidence is of all attempts, not of the last one.
        assert_eq!(
            (moved.figures["records_scanned"], moved.figures["records_migrated"]),
            (7, 7),
            "{moved:?}"
        );
        let rows = rows_of(&stage, "moved").await;
        let migrated: Vec<_> = rows.rows.iter().map(|row| row[6].as_deref().unwrap()).collect();
        assert_eq!(migrated, ["5", "2"]);
    });
}

#[test]
fn what_is_in_quarantine_is_said_also_after_an_attempt_that_was_cut_off_behind_it() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_rest_quarantine").await;
        shelf.put("trip:Ann:0", r#"{"userId":"Eve"}"#).await;
        let text = page(&shelf, TWO, "").replace("batch = 2", "batch = 2\niterations = 2");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("2 batches were copied and there is more: resume"), "{message}");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("records 1 in quarantine (logs trip:Ann:0: "), "{message}");
    });
}

#[test]
fn a_name_of_two_accounts_is_put_in_quarantine_and_the_wave_stops() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_quarantine").await;
        shelf.put("trip:Cleo:1", r#"{"userId":"Cleo"}"#).await;
        let text = page(&shelf, "SELECT id, name FROM :{everybody} WHERE id <> 'u4' ORDER BY id DESC", "");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(
            message.contains("records 1 in quarantine (logs trip:Cleo:1: several accounts may claim"),
            "{message}"
        );
        assert!(
            get(&shelf, "logs", "trip:u3:1").await.is_none()
                && get(&shelf, "logs", "trip:u1:1").await.is_none()
        );
    });
}

#[test]
fn the_kill_switch_stops_all_of_it_and_it_goes_on_when_that_is_gone() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_stop").await;
        let stop = |change: Change| Write {
            namespace: Namespace::new("migrations").unwrap(),
            key: Key::new(tidegate_rekey::STOP_KEY).unwrap(),
            change,
            condition: Condition::Always,
        };
        let put = Change::Put { value: "{}".into(), metadata: None, expires_at: None };
        shelf.keys.write(stop(put)).await.unwrap();
        let text = page(&shelf, TWO, "# @max-failure-rate 100%");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("every move of keys in this store is stopped"), "{message}");
        assert!(get(&shelf, "logs", "trip:u1:1").await.is_none());
        shelf.keys.write(stop(Change::Delete)).await.unwrap();
        done(&stage.run(&text).await);
    });
}

#[test]
fn a_plan_that_contradicts_itself_stops_the_run_before_anything_is_done() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_plan").await;
        let text = page(&shelf, TWO, "").replace(
            "namespace = \"logs\", one = \"settings:\"",
            "namespace = \"migrations\", one = \"migration:\"",
        );
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("the rule `settings` cannot be followed"), "{message}");
        assert!(stage.state().await.steps.values().all(|state| state.outcome().is_none()));
    });
}

#[test]
fn a_record_of_names_without_the_columns_moves_nothing() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_claims").await;
        let text = page(&shelf, TWO, "").replace("claims = \"everybody\"", "claims = \"names\"").replace(
            "```sql\n-- @record people",
            "```sql\n-- @record names\n-- @rows\nSELECT 'u1' AS who\n```\n\n```sql\n-- @record people",
        );
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(
            message.contains("names tells who has which name, and needs columns `id` and `name`"),
            "{message}"
        );
        assert!(get(&shelf, "migrations", "migration:u1:state").await.is_none());
    });
}

#[test]
fn a_half_done_move_is_not_undone_as_if_there_were_nothing() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_undo").await;
        shelf.put("trip:Cleo:1", r#"{"userId":"Cleo"}"#).await;
        let text = page(&shelf, "SELECT id, name FROM :{everybody} WHERE id <> 'u4' ORDER BY id", "");
        halted(&stage.run(&text).await);
        assert!(get(&shelf, "logs", "trip:u1:1").await.is_some(), "the first wave is done");
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        let refused = runner.plan_back(Back::Undo { to: None }).await.unwrap_err().to_string();
        assert!(refused.contains("moved has no inverse"), "{refused}");
        runner.close().await;
    });
}

#[test]
fn a_greater_rate_lets_a_halted_move_go_on_and_what_is_done_stays_done() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_rate").await;
        shelf.put("trip:Cleo:1", r#"{"userId":"Cleo"}"#).await;
        let three = "SELECT id, name FROM :{everybody} WHERE id <> 'u4' ORDER BY id";
        let text = page(&shelf, three, "");
        halted(&stage.run(&text).await);
        let text = page(&shelf, three, "# @max-failure-rate 50%");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("all_moved"), "{message}");
        let moved = outcome_of(&stage, "moved");
        assert_eq!(moved.summary, "done for 2 of 3; 1 failed");
        assert_eq!(moved.texts["max_failure_rate"], "50 %");
        assert!(moved.notices[0].starts_with("failed: u3, Cleo: records 1 in quarantine"), "{moved:?}");
    });
}

#[test]
fn somebody_who_holds_a_subject_is_waited_for() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_lease").await;
        let until = jiff::Timestamp::now().as_second() + 2;
        let lease = format!(r#"{{"holder":"ann (killed)","until":{until},"epoch":3,"beat":9}}"#);
        let write = Write {
            namespace: Namespace::new("migrations").unwrap(),
            key: Key::new("migration:u1:lease").unwrap(),
            change: Change::Put { value: lease.into(), metadata: None, expires_at: None },
            condition: Condition::Absent,
        };
        shelf.keys.write(write).await.unwrap();
        done(&stage.run(&page(&shelf, TWO, "")).await);
        assert_eq!(outcome_of(&stage, "moved").summary, "done for all 2");
    });
}

/// Somebody who moves keys by other means copies one of them after the dry run, and only then lets go.
#[test]
fn what_the_one_who_held_a_subject_has_copied_is_not_missed() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_lease_copied").await;
        let lease = |until: i64| {
            let until = jiff::Timestamp::now().as_second() + until;
            let lease = format!(r#"{{"holder":"ann","until":{until},"epoch":3,"beat":9}}"#);
            Change::Put { value: lease.into(), metadata: None, expires_at: None }
        };
        let journal = Namespace::new("migrations").unwrap();
        let write = |namespace: &Namespace, key: &str, change, condition| {
            let key = Key::new(key).unwrap();
            shelf.keys.write(Write { namespace: namespace.clone(), key, change, condition })
        };
        write(&journal, "migration:u1:lease", lease(600), Condition::Absent).await.unwrap();
        let copies = async {
            let begun = || {
                let said = |record: &EventRecord| matches!(&record.event, Event::StepStarted { step, .. } if step.as_str() == "moved");
                stage.seen.borrow().events.iter().any(said)
            };
            while !begun() {
                tokio::task::yield_now().await;
            }
            let copied = r#"{"userId":"u1","n":1,"updatedAt":"2026-01-01T00:00:00Z"}"#;
            shelf.put("trip:u1:1", copied).await;
            write(&journal, "migration:u1:lease", lease(2), Condition::Always).await.unwrap();
        };
        let text = page(&shelf, TWO, "");
        let (ending, ()) = tokio::join!(stage.run(&text), copies);
        done(&ending);
        assert_eq!(outcome_of(&stage, "moved").figures["records_migrated"], 6);
    });
}

#[test]
fn two_rows_of_one_id_move_nothing() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_twice").await;
        let text = page(&shelf, "SELECT 'u1' AS id, name FROM (VALUES ('Ann'), ('Anna')) AS t (name)", "");
        let message = halted(&stage.run(&text).await).to_owned();
        assert!(message.contains("people has two rows with the id u1"), "{message}");
        assert!(get(&shelf, "migrations", "migration:u1:state").await.is_none());
    });
}

#[test]
fn records_in_place_that_were_moved_are_no_difference_to_what_was_counted() {
    on_stage(async {
        let (stage, shelf) = shelf("rekey_in_place").await;
        for number in 0..4 {
            shelf.put(&format!("trash:{number}"), r#"{"userId":"Ann"}"#).await;
        }
        let rule = "{ name = \"trash\", namespace = \"logs\", in_place = \"trash:\", owner = [\"/userId\"], proof = [\"/userId\"] },\n]";
        let text =
            page(&shelf, TWO, "").replace("opaque = true },\n]", &format!("opaque = true }},\n  {rule}"));
        let text = text.replace("batch = 2", "batch = 2\niterations = 1");
        for _attempt in 0..12 {
            if !matches!(&stage.run(&text).await, tidegate_engine::ending::Ending::Halted { .. }) {
                break;
            }
        }
        assert_eq!(outcome_of(&stage, "moved").summary, "done for all 2");
        assert!(get(&shelf, "logs", "trash:3").await.unwrap().contains("u1"));
    });
}
