//! Keys that are backed up and put back: all of them, or some, or only what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_engine::event::Back;
use tidegate_engine::runner::Purpose;
use tidegate_store::kv::{Change, Condition, Key, Namespace, UnixSecond, Write};

use crate::shelf::{Shelf, outcome_of, set, set_on_redis};
use crate::stage_hand::{Stage, halted, name, on_stage};

/// A page that copies the keys, changes something outside, and has a way back with this restore.
fn page(shelf: &Shelf, backup: &str, restore: &str) -> String {
    let folder = shelf.folder.display();
    shelf.page(&format!(
        "## Copy

```toml
# @stage copy
no_return = true
```

```toml
# @backup copied
# @store trips
file = \"{folder}/copy.jsonl\"
namespaces = [\"logs\"]
{backup}
```

## Change

```toml
# @stage change
no_return = true
```

```sh
# @check changed
# @harmless it looks at a file
# @only unless
# @expect exit 0
test -e {folder}/changed
```

```sh
# @command change_them
# @requires copied
# @unless changed
touch {folder}/changed
```

```sh
# @check halts_here
# @harmless it fails
# @expect exit 0
exit 1
```

## Rollback

### Put the keys back

```toml
# @way put_back
from = [\"change\"]
to = \"copy\"
when = \"keys are wrong\"
```

```toml
# @restore keys_back
# @store trips
backup = \"copied\"
{restore}
```
"
    ))
}

fn way() -> Back {
    Back::Way { way: name("put_back"), to: Some(name("copy")) }
}

/// Value, metadata and end of every key of a namespace.
async fn contents(shelf: &Shelf, namespace: &str) -> BTreeMap<String, (String, Option<UnixSecond>)> {
    let namespace = Namespace::new(namespace).unwrap();
    let listed = shelf.keys.list_all(&namespace, "", 1_000).await.unwrap();
    let mut found = BTreeMap::new();
    for one in listed {
        let entry = shelf.keys.get(&namespace, &one.key).await.unwrap().unwrap();
        let value = String::from_utf8(entry.value.to_vec()).unwrap();
        found.insert(one.key.to_string(), (value, entry.expires_at));
    }
    found
}

/// What others write after the copy: one key changed, one removed, one new, and one of the tool's own.
async fn write_since(shelf: &Shelf) {
    shelf.put("trip:Ann:1", r#"{"userId":"Ann","miles":99}"#).await;
    shelf.change("trip:Ann:2", Change::Delete).await;
    shelf.put("trip:Bob:9", "{}").await;
    shelf.put("tidegate:own", "kept").await;
    let other = Namespace::new("users").unwrap();
    let change = Change::Put { value: "1".into(), metadata: None, expires_at: None };
    let key = Key::new("user:Bob").unwrap();
    let write = Write { namespace: other, key, change, condition: Condition::Always };
    shelf.keys.write(write).await.unwrap();
}

#[test]
fn keys_are_put_back_exactly_with_their_ends_and_nothing_else_is_touched() {
    on_stage(async { put_back_exactly(set("keys_exact").await).await });
}

#[test]
fn keys_of_a_server_are_put_back_exactly_too() {
    on_stage(async { put_back_exactly(set_on_redis("keys_exact_redis").await).await });
}

async fn put_back_exactly((stage, shelf): (Stage, Shelf)) {
    let end = UnixSecond(4_102_444_800);
    let change = Change::Put { value: "{}".into(), metadata: None, expires_at: Some(end) };
    shelf.change("trip:Ann:end", change).await;
    let before = contents(&shelf, "logs").await;
    let text = page(&shelf, "", "mode = \"exact\"");
    halted(&stage.run(&text).await);
    let copied = outcome_of(&stage, "copied");
    assert_eq!(copied.figures["keys"], 4, "{copied:?}");
    assert_eq!(copied.texts["moments"], "of one moment");
    assert_eq!(copied.texts["rehearsed"], "4 keys were restored and compared");
    let files: Vec<_> = std::fs::read_dir(&shelf.folder).unwrap().collect();
    assert!(
        !files.iter().flatten().any(|file| file.file_name().to_string_lossy().contains("rehearsal")),
        "{files:?}"
    );

    write_since(&shelf).await;
    let mut runner = stage.open(&text, Purpose::Back).await.unwrap();
    let plan = runner.plan_back(way()).await.unwrap();
    assert_eq!(plan.figures(), "trips.overwritten=1,trips.removed=1");
    assert_eq!(plan.loss[0].newest.as_deref(), Some("first keys: logs trip:Ann:1"));
    // Somebody writes after the loss was shown: what was accepted is no longer what would be lost.
    shelf.put("trip:Bob:10", "{}").await;
    let message = halted(&runner.go_back(plan).await).to_owned();
    assert!(message.contains("trips.removed=1 was accepted, and now it is"), "{message}");
    assert!(contents(&shelf, "logs").await.contains_key("trip:Bob:10"), "nothing was removed");
    runner.close().await;

    halted(&stage.back(&text, way()).await);
    let mut after = contents(&shelf, "logs").await;
    assert_eq!(after.remove("tidegate:own").unwrap().0, "kept");
    assert_eq!(after, before);
    assert_eq!(contents(&shelf, "users").await.len(), 1);
    let back = outcome_of(&stage, "keys_back");
    let figures: Vec<(&str, u64)> =
        back.figures.iter().map(|(what, count)| (what.as_str(), *count)).collect();
    assert_eq!(
        figures,
        [("added", 1), ("expired", 0), ("left", 0), ("overwritten", 1), ("removed", 2), ("same", 2)]
    );
    assert!(back.notices.iter().any(|notice| notice == "added: logs trip:Ann:2"), "{back:?}");
}

#[test]
fn only_what_is_missing_is_put_back_where_that_is_asked_for_and_nothing_is_lost() {
    on_stage(async {
        let (stage, shelf) = set("keys_missing").await;
        let text = page(&shelf, "", "mode = \"missing\"");
        halted(&stage.run(&text).await);
        write_since(&shelf).await;
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        assert_eq!(runner.plan_back(way()).await.unwrap().figures(), "");
        runner.close().await;
        halted(&stage.back(&text, way()).await);
        let after = contents(&shelf, "logs").await;
        assert!(after["trip:Ann:1"].0.contains("99") && after.contains_key("trip:Bob:9"), "{after:?}");
        assert!(after["trip:Ann:2"].0.contains("Bob"), "{after:?}");
        assert_eq!(outcome_of(&stage, "keys_back").figures["left"], 2);
    });
}

#[test]
fn some_keys_are_put_back_by_name_and_by_prefix() {
    on_stage(async {
        let (stage, shelf) = set("keys_some").await;
        let restore = "mode = \"exact\"\nkeys = [\"migration:{{user}}:state\"]\nprefixes = [\"trip:Bob:\"]";
        let text = page(&shelf, "", restore);
        halted(&stage.run(&text).await);
        write_since(&shelf).await;
        shelf.put("migration:u1:state", "{}").await;
        shelf.put("migration:u1:state2", "another key that begins so").await;
        halted(&stage.back(&text, way()).await);
        let after = contents(&shelf, "logs").await;
        assert!(after["migration:u1:state"].0.contains("migrated"), "{after:?}");
        assert!(!after.contains_key("trip:Bob:9"), "{after:?}");
        assert!(
            after.contains_key("migration:u1:state2") && after["trip:Ann:1"].0.contains("99"),
            "{after:?}"
        );
        assert!(!after.contains_key("trip:Ann:2"), "{after:?}");
    });
}

#[test]
fn an_empty_value_in_a_prefix_puts_nothing_back() {
    on_stage(async {
        let (mut stage, shelf) = set("keys_empty").await;
        stage.options.sets.insert("user".to_owned(), String::new());
        let text = page(&shelf, "", "mode = \"exact\"\nprefixes = [\"trip:{{user}}:\"]");
        halted(&stage.run(&text).await);
        write_since(&shelf).await;
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        let refused = runner.plan_back(way()).await.unwrap_err().to_string();
        assert!(refused.contains("the value user is empty"), "{refused}");
        runner.close().await;
    });
}

#[test]
fn a_file_with_another_byte_in_it_is_not_restored() {
    on_stage(async {
        let (stage, shelf) = set("keys_damaged").await;
        let text = page(&shelf, "", "mode = \"exact\"");
        halted(&stage.run(&text).await);
        write_since(&shelf).await;
        let path = shelf.folder.join("copy.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let before = contents(&shelf, "logs").await;
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        let refused = runner.plan_back(way()).await.unwrap_err().to_string();
        assert!(refused.contains("is not what backup copied wrote"), "{refused}");
        runner.close().await;
        assert_eq!(contents(&shelf, "logs").await, before);

        std::fs::remove_file(&path).unwrap();
        let runner = stage.open(&text, Purpose::Back).await.unwrap();
        let refused = runner.plan_back(way()).await.unwrap_err();
        assert!(refused.to_string().contains("which backup copied wrote, cannot be read"), "{refused}");
        assert!(format!("{refused:?}").contains("Put the file back there"), "{refused:?}");
        runner.close().await;
    });
}

#[test]
fn what_would_stop_a_backup_of_keys_stops_the_run_before_anything_is_done() {
    on_stage(async {
        let (stage, shelf) = set("keys_precheck").await;
        let text = page(&shelf, "", "mode = \"exact\"");
        let nowhere = text.replace(&format!("{}/copy", shelf.folder.display()), "/nowhere/copy");
        let message = halted(&stage.run(&nowhere).await).to_owned();
        assert!(message.contains("the folder /nowhere of the backup is not there"), "{message}");
        let absent = text.replace("keys.db", "absent.db");
        let absent = Stage::new("keys_absent").await.run(&absent).await;
        assert!(format!("{absent:?}").contains("is no file, or an empty one"), "{absent:?}");
        assert!(!shelf.folder.join("absent.db").exists());
    });
}

#[test]
fn a_copy_of_several_moments_is_refused_unless_that_was_waived() {
    on_stage(async {
        let (stage, shelf) = set("keys_moving").await;
        // So much that somebody writes while it is copied.
        let value = "x".repeat(20_000);
        for number in 0..400 {
            shelf.put(&format!("trip:many:{number}"), &value).await;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let (keys, over) = (Arc::clone(&shelf.keys), Arc::clone(&ended));
        let writer = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut number = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    let change =
                        Change::Put { value: number.to_string().into(), metadata: None, expires_at: None };
                    let write = Write {
                        namespace: Namespace::new("logs").unwrap(),
                        key: Key::new("trip:busy").unwrap(),
                        change,
                        condition: Condition::Always,
                    };
                    keys.write(write).await.unwrap();
                }
            });
        });
        let message = halted(&stage.run(&page(&shelf, "", "mode = \"exact\"")).await).to_owned();
        assert!(message.contains("so its keys are of different moments"), "{message}");
        assert!(!shelf.folder.join("copy.jsonl").exists(), "a copy that is not good is removed");
        let waived = page(&shelf, "one_moment = { waived = \"each key alone will do\" }", "mode = \"exact\"");
        let again = Stage::new("keys_moving_waived").await;
        halted(&again.run(&waived).await);
        ended.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert_eq!(outcome_of(&again, "copied").texts["moments"], "of several moments");
    });
}
