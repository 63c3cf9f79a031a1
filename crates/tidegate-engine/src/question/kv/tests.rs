//! Questions to an embedded store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_runbook::{Action, Name, Question, SourcePath, Sources, ValueRef, parse};
use tidegate_store::kv::clock::SetClock;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, UnixSecond, Write};

use super::*;

/// A store in a file of its own, which is removed with it.
struct Shelf {
    path: PathBuf,
    store: Kv,
}

impl Shelf {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-kv-{}-{name}.db", std::process::id()));
        let clock = Arc::new(SetClock::new(UnixSecond(1_000)));
        let store: Kv = Arc::new(SqliteKv::open_with_clock(&path, clock).unwrap());
        Self { path, store }
    }

    async fn put(&self, namespace: &str, key: &str, value: &str, expires_at: Option<i64>) {
        let write = Write {
            namespace: Namespace::new(namespace).unwrap(),
            key: Key::new(key).unwrap(),
            change: Change::Put {
                value: value.to_owned().into(),
                metadata: None,
                expires_at: expires_at.map(UnixSecond),
            },
            condition: Condition::Always,
        };
        self.store.write(write).await.unwrap();
    }

    async fn ask(&self, lines: &str, expect: &[&str], keys_max: u64) -> Answered {
        let mut page = String::from(
            "# T\n\n```toml\n# @runbook t\n[stores.db]\nkind = \"postgres\"\nurl = \"$U\"\n[stores.k]\nkind = \"kv\"\nurl = \"$K\"\n[parameters]\nuser = { type = \"text\" }\nnobody = { type = \"text\" }\n```\n\n## S\n\n```kv\n",
        );
        page.push_str(if expect.is_empty() { "# @record asked\n" } else { "# @check asked\n" });
        for one in expect {
            page.push_str(&format!("# @expect {one}\n"));
        }
        page.push_str(&format!("{lines}\n```\n"));
        let sources = Sources {
            page: SourcePath("t.md".into()),
            page_bytes: page.into_bytes(),
            files: BTreeMap::new(),
        };
        let parsed = parse(&sources);
        let runbook = parsed.runbook.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
        let step = runbook.step(&Name::parse("asked").unwrap()).unwrap();
        let (body, expect) = match &step.action {
            Action::Record(record) => (&record.question, [].as_slice()),
            Action::Check(check) => (&check.question, check.expect.as_slice()),
            other => panic!("{other:?}"),
        };
        let Question::Kv(body) = body else { panic!("{body:?}") };
        let mut values = Values::default();
        for (name, text) in [("user", "u1"), ("nobody", "")] {
            let name = ValueRef { root: Name::parse(name).unwrap(), field: None };
            values.set(name, value("text", text.to_owned()));
        }
        super::ask(&self.store, &KvQuestion { body, expect, values: &values, keys_max }).await
    }

    async fn verdict(&self, lines: &str, expect: &str) -> Verdict {
        self.ask(lines, &[expect], KEYS_MAX).await.verdict
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.path.display()));
        }
    }
}

async fn trips(name: &str) -> Shelf {
    let shelf = Shelf::new(name);
    shelf.put("logs", "trip:u1:1", r#"{"userId":"u1","n":1,"done":true}"#, None).await;
    shelf.put("logs", "trip:u1:2", r#"{"userId":"u2","n":"9","at":null}"#, None).await;
    shelf.put("logs", "trip:u1:3", r#"{"n":30}"#, None).await;
    shelf.put("logs", "trip:u1:4", r#"{"userId":"u1","n":4}"#, Some(1_000)).await;
    shelf.put("logs", "trip:u10:1", r#"{"userId":"u10","n":2}"#, None).await;
    shelf.put("secrets", "cred:u1", "\u{1}not json", None).await;
    shelf
}

fn fails(verdict: &Verdict, part: &str) {
    assert!(matches!(verdict, Verdict::Fail(found) if found.contains(part)), "{verdict:?}");
}

fn is_unknown(verdict: &Verdict, part: &str) {
    assert!(matches!(verdict, Verdict::Unknown(why) if why.contains(part)), "{verdict:?}");
}

#[tokio::test]
async fn counts_are_of_the_prefix_alone_and_what_expired_is_not_there() {
    let shelf = trips("counts").await;
    let kept = shelf
        .ask(
            "a = count logs trip:u1:\nb = count logs trip:u1\nc = count logs \"\"\nd = count other x\ne = count logs trip:{{user}}: where /userId = \"{{user}}\"",
            &[],
            KEYS_MAX,
        )
        .await;
    assert_eq!(kept.verdict, Verdict::Pass);
    let Reply::Values(values) = kept.reply else { panic!("{:?}", kept.reply) };
    let texts: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.text.as_deref())).collect();
    assert_eq!(
        texts,
        [("a", Some("3")), ("b", Some("4")), ("c", Some("4")), ("d", Some("0")), ("e", Some("1"))]
    );
    fails(
        &shelf.verdict("count logs trip:u1:", "zero").await,
        "3 keys under \"trip:u1:\" of logs where none is expected",
    );
    assert_eq!(shelf.verdict("count logs trip:u2:", "zero").await, Verdict::Pass);
}

#[tokio::test]
async fn conditions_hold_as_they_are_written() {
    let shelf = trips("conditions").await;
    for (condition, count) in [
        ("/userId exists", 2),
        ("/at exists", 1),
        ("/userId != \"u1\"", 2),
        ("/n = 1", 1),
        ("/done = true", 1),
        ("/done != true", 2),
        ("/at = null", 1),
        ("/userId = \"u1\" and /n > 0", 1),
        ("/userId = \"u1\" and /n > 1", 0),
    ] {
        let kept = shelf.ask(&format!("n = count logs trip:u1: where {condition}"), &[], KEYS_MAX).await;
        let Reply::Values(values) = kept.reply else { panic!("{condition}: {:?}", kept.verdict) };
        assert_eq!(values[0].1.text, Some(count.to_string()), "{condition}");
    }
    let verdict = shelf.verdict("count logs trip:u1: where /n > 100", "zero").await;
    is_unknown(&verdict, "\"trip:u1:2\" of logs has \"9\" at /n, which cannot be ordered");
}

#[tokio::test]
async fn what_is_not_json_is_unknown_only_where_a_field_is_asked_for() {
    let shelf = trips("json").await;
    is_unknown(&shelf.verdict("count secrets cred: where /a = 1", "zero").await, "is not JSON");
    is_unknown(&shelf.verdict("get secrets cred:u1 /a", "true").await, "is not JSON");
    is_unknown(&shelf.verdict("get secrets cred:u1", "json /a = 1").await, "is not JSON");
    is_unknown(&shelf.verdict("list secrets cred: columns /a", "empty").await, "is not JSON");
    fails(&shelf.verdict("count secrets cred:", "zero").await, "1 key under");
    fails(&shelf.verdict("missing secrets cred:u1", "true").await, "is there");
}

#[tokio::test]
async fn one_key_is_judged_by_what_stands_there() {
    let shelf = trips("one").await;
    for (line, expect) in [
        ("get logs trip:u1:1", "json /userId = \"{{user}}\""),
        ("get logs trip:u1:1 /done", "true"),
        ("get logs trip:u1:2", "json /at exists"),
        ("missing logs trip:u1:9", "true"),
        ("missing logs trip:u1:4", "true"),
    ] {
        let verdict = shelf.verdict(line, expect).await;
        assert_eq!(verdict, Verdict::Pass, "{line}");
    }
    // Whatever the operator: a check that found nothing has shown nothing.
    fails(&shelf.verdict("get logs trip:u1:1", "json /x != 1").await, "there is nothing at /x");
    fails(&shelf.verdict("get logs trip:u1:4", "json /n = 4").await, "nothing stands at \"trip:u1:4\"");
    fails(&shelf.verdict("get logs trip:u1:1 /x", "true").await, "nothing at its pointer");
    fails(&shelf.verdict("get logs trip:u1:1 /n", "true").await, "is 1 where true is expected");
    let both = shelf.ask("get logs trip:u1:1", &["json /n = 1", "json /done = false"], KEYS_MAX).await;
    fails(&both.verdict, "/done is true where false is expected");
}

#[tokio::test]
async fn a_list_keeps_keys_in_order_and_the_fields_asked_for() {
    let shelf = trips("list").await;
    let kept = shelf.ask("list logs trip: where /n exists columns /userId /n limit 3", &[], KEYS_MAX).await;
    let Reply::Rows(relation) = kept.reply else { panic!("{:?}", kept.verdict) };
    let names: Vec<&str> = relation.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["key", "userid", "n"]);
    let rows: Vec<Vec<&str>> = relation
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect())
        .collect();
    // By bytes `:` comes behind `0`.
    assert_eq!(rows, [["trip:u10:1", "u10", "2"], ["trip:u1:1", "u1", "1"], ["trip:u1:2", "u2", "9"]]);
    let verdict = shelf.verdict("list logs trip:u1: where /userId != {{user}}", "empty").await;
    fails(&verdict, "2 keys under \"trip:u1:\" of logs that meet the conditions where none is expected: ");
    fails(&verdict, "\"trip:u1:2\", \"trip:u1:3\"");
}

#[tokio::test]
async fn a_listing_goes_over_its_pages_and_stops_at_its_bound() {
    let shelf = Shelf::new("pages");
    let namespace = Namespace::new("many").unwrap();
    let keys = 2 * tidegate_store::kv::PAGE_MAX + 1;
    let write = |number: usize| Write {
        namespace: namespace.clone(),
        key: Key::new(format!("k:{number:05}")).unwrap(),
        change: Change::Put { value: format!("{{\"n\":{number}}}").into(), metadata: None, expires_at: None },
        condition: Condition::Always,
    };
    let writes: Vec<Write> = (0..keys).map(write).collect();
    for batch in writes.chunks(1_000) {
        shelf.store.write_each(batch).await.unwrap();
    }
    let total = u64::try_from(keys).unwrap();
    let kept = shelf.ask("n = count many k:\nhalf = count many k: where /n >= 1000", &[], total).await;
    let Reply::Values(values) = kept.reply else { panic!("{:?}", kept.verdict) };
    assert_eq!(values[0].1.text.as_deref(), Some("2001"));
    assert_eq!(values[1].1.text.as_deref(), Some("1001"));
    let bound = shelf.ask("n = count many k:", &[], total - 1).await;
    is_unknown(&bound.verdict, "more than 2000 keys under \"k:\" of many");
    let limited = shelf.ask("list many k: limit 5", &[], total - 1).await;
    let Reply::Rows(relation) = limited.reply else { panic!("{:?}", limited.verdict) };
    assert_eq!(relation.rows.len(), 5, "a limit ends the listing before its bound");
}

#[tokio::test]
async fn reports_tell_keys_and_counts_and_no_values_that_nobody_asked_for() {
    let shelf = trips("reports").await;
    let answered = shelf
        .ask(
            "missing logs nothing\nreport count logs trip:u1:\nreport list logs trip:u1: columns /n limit 2\nreport get logs trip:u1:1\nreport get logs trip:u1:1 /userId\nreport get secrets cred:u1 /a\nreport missing logs x",
            &["true"],
            KEYS_MAX,
        )
        .await;
    assert_eq!(answered.verdict, Verdict::Pass);
    let told: Vec<&str> = answered.told.iter().map(String::as_str).collect();
    assert_eq!(told[0], "count \"trip:u1:\" of logs: 3 keys");
    assert_eq!(told[1..4], ["list \"trip:u1:\" of logs: 2 keys", "trip:u1:1 n = 1", "trip:u1:2 n = 9"]);
    assert!(told[4].starts_with("get \"trip:u1:1\" of logs: 33 bytes, digest "), "{}", told[4]);
    assert_eq!(told[5], "get \"trip:u1:1\" of logs: /userId is \"u1\"");
    assert!(told[6].starts_with("get: could not be told: \"cred:u1\" of secrets is not JSON"), "{}", told[6]);
    assert_eq!(told[7..], ["missing \"x\" of logs: nothing stands there"]);
    assert!(!answered.told.concat().contains("done"), "whole values are not told");
    let failed = shelf.verdict("count logs trip:u10:\nreport list logs trip:u10:", "zero").await;
    fails(&failed, "reported: list \"trip:u10:\" of logs: 1 key; trip:u10:1");
}

#[tokio::test]
async fn a_record_refuses_what_it_cannot_keep_whole() {
    let shelf = trips("whole").await;
    shelf.put("logs", "long", &"x".repeat(VALUE_KEPT_BYTES_MAX + 1), None).await;
    shelf.put("logs", "plain", "as it is", None).await;
    let ask = async |line: &str| shelf.ask(line, &[], KEYS_MAX).await;
    fails(&ask("a = get logs long").await.verdict, "65537 bytes and at most 65536 are kept");
    fails(&ask("a = get logs nothing").await.verdict, "nothing stands at");
    fails(&ask("a = get logs trip:u1:1 /x").await.verdict, "has nothing at /x");
    let Reply::Values(values) = ask("a = get logs plain\nb = get logs trip:u1:1 /n").await.reply else {
        panic!("values")
    };
    assert_eq!((values[0].1.type_name.as_str(), values[0].1.text.as_deref()), ("text", Some("as it is")));
    assert_eq!((values[1].1.type_name.as_str(), values[1].1.text.as_deref()), ("numeric", Some("1")));
}

#[tokio::test]
async fn an_empty_value_in_a_key_does_not_widen_what_is_looked_at() {
    let shelf = trips("empty").await;
    is_unknown(&shelf.verdict("count logs trip:{{nobody}}", "zero").await, "the value nobody is empty");
    let long = format!("get logs {} /a", "k".repeat(600));
    is_unknown(&shelf.verdict(&long, "true").await, "cannot be a key");
}
