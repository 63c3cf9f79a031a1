//! What changes a runbook's meaning, and what does not.

use crate::scenario::{alone, folder, sources};
use tidegate_runbook::{Runbook, parse};

const PAGE: &str = r#"# Title

```toml
# @runbook meaning
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"
[parameters]
a = { type = "int", default = 1 }
```

## One

```sql
-- @check first
-- @expect zero
-- @says "first failed"
SELECT count(*) FROM orders WHERE state = 'Open' AND id > :a
```

```text
# @confirm second
Go on?
```

## Two

```toml
# @stage two
hold = "5m"
```

```sql
-- @check third
-- @requires first
-- @expect true
SELECT true
```
"#;

fn read(page: &str) -> Runbook {
    let parsed = parse(&alone(page));
    assert!(parsed.runbook.is_some(), "{:?}", parsed.diagnostics);
    parsed.runbook.expect("a runbook")
}

#[test]
fn prose_comments_and_layout_carry_no_meaning() {
    let plain = read(PAGE);
    for (from, to) in [
        ("# Title", "# Another title\n\nProse."),
        ("SELECT count(*)", "-- why\nselect   count( * )"),
        ("first failed", "the first check failed"),
        ("Go on?\n", "Go on?\n\n\n"),
        ("## One\n", "Some words.\n\n## One\n\nMore words.\n"),
        ("-- @expect zero\n", "-- @expect   zero\n\n"),
        ("a = { type = \"int\", default = 1 }", "a = { default = 1, type = \"int\" } # the least"),
        ("-- @requires first\n-- @expect true\n", "-- @expect true\n-- @requires first\n"),
    ] {
        let changed = PAGE.replace(from, to);
        assert_ne!(changed, PAGE, "{from}");
        assert_eq!(read(&changed).meaning, plain.meaning, "{to}");
    }
}

#[test]
fn every_change_of_what_is_done_changes_the_meaning() {
    let plain = read(PAGE);
    let mut seen = vec![plain.meaning];
    for (from, to) in [
        ("'Open'", "'open'"),
        ("id > :a", "id >= :a"),
        ("-- @expect zero", "-- @expect empty"),
        ("-- @requires first\n", ""),
        ("Go on?", "Go on now?"),
        ("hold = \"5m\"", "hold = \"6m\""),
        ("hold = \"5m\"", "hold = \"5m\"\nmanual = true"),
        ("default = 1", "default = 2"),
        ("$DATABASE_URL", "$OTHER_URL"),
        ("# @runbook meaning", "# @runbook another"),
        ("-- @check third", "-- @check fourth"),
        ("SELECT true", "SELECT true, true"),
        ("url = \"$DATABASE_URL\"\n", "url = \"$DATABASE_URL\"\n[limits]\nlock_timeout = \"3s\"\n"),
    ] {
        let changed = PAGE.replace(from, to);
        assert_ne!(changed, PAGE, "{from}");
        let meaning = read(&changed).meaning;
        assert!(!seen.contains(&meaning), "{to}");
        seen.push(meaning);
    }
}

#[test]
fn a_file_counts_by_what_it_says_and_not_by_its_name() {
    let page = std::fs::read_to_string(folder("good/whole.md")).expect("the page");
    let mut sources = sources(&folder("good/whole.md"));
    let plain = parse(&sources).runbook.expect("a runbook").meaning;
    let content = sources.files.keys().next().cloned().expect("a file");
    let moved = sources.files.remove(&content).expect("its content");
    sources.files.insert(tidegate_runbook::SourcePath("files/0010_moved.sql".into()), moved);
    sources.page_bytes = page.replace("0010_tags.sql", "0010_moved.sql").into_bytes();
    assert_eq!(parse(&sources).runbook.expect("a runbook").meaning, plain);
}

#[test]
fn where_setup_ends_is_part_of_the_meaning() {
    let check = |body: &str| {
        let step = format!("-- @check third\n-- @attempt\n-- @each\n-- @expect error 42501\n{body}\n");
        let from = PAGE.find("-- @check third").expect("the check");
        let to = from + PAGE[from..].find("```").expect("its end");
        read(&format!("{}{step}{}", &PAGE[..from], &PAGE[to..])).meaning
    };
    let one = check("DELETE FROM a;\n-- @setup\nDELETE FROM b;\nDELETE FROM c");
    let two = check("DELETE FROM a;\nDELETE FROM b;\n-- @setup\nDELETE FROM c");
    assert_ne!(one, two);
    assert_eq!(one, check("DELETE FROM a;\n-- @setup\nDELETE FROM b;\n\nDELETE  FROM c;"));
}

/// The meaning of the page that switches, with one text in the place of another.
fn switched(from: &str, to: &str) -> [u8; 32] {
    let mut sources = sources(&folder("good/switched.md"));
    let page = String::from_utf8(sources.page_bytes).expect("UTF-8");
    let changed = page.replacen(from, to, 1);
    assert!(from.is_empty() || changed != page, "{from}");
    sources.page_bytes = changed.into_bytes();
    let parsed = parse(&sources);
    assert!(parsed.runbook.is_some(), "{to}: {:?}", parsed.diagnostics);
    parsed.runbook.expect("a runbook").meaning
}

#[test]
fn how_fast_a_backfill_goes_and_why_a_difference_is_accepted_carry_no_meaning() {
    let plain = switched("", "");
    for (from, to) in [
        ("-- @workers 4\n", "-- @workers 8\n"),
        ("-- @workers 4\n", ""),
        ("-- @target 50ms\n", "-- @target 90ms\n"),
        ("-- @rows 50..5000\n", "-- @rows 5..50\n"),
        ("-- @throttle autovacuum\n", ""),
        ("-- @throttle replica-lag 5s", "-- @throttle replica-lag 9s"),
        ("canary 50ms SELECT 1", "canary 50ms SELECT 2"),
        ("closed in March, by hand", "closed in April"),
        ("-- @key region, id", "-- @key Region,  ID"),
        ("-- @key \"Region\", id", "-- @key \"Region\" , \"id\""),
        ("TABLE v1.accounts\n", "table v1.accounts -- all of them\n"),
        ("initial = \"v1\"\n", ""),
        (
            "rows = { off = [false], on = [true] }",
            "rows = { off = [false], on = { values = [true] } } # both",
        ),
        (
            "moves = [{ from = \"off\", to = \"on\", back = true }]",
            "moves = [{ back = true, to = \"on\", from = \"off\" }]",
        ),
    ] {
        assert_eq!(switched(from, to), plain, "{to}");
    }
}

#[test]
fn what_is_compared_copied_and_moved_is_part_of_the_meaning() {
    let mut seen = vec![switched("", "")];
    for (from, to) in [
        ("-- @key region, id", "-- @key id, region"),
        ("-- @key region, id", "-- @key id"),
        ("-- @source v1.accounts", "-- @source v1.account_log"),
        ("-- @reads v1.plans\n", "-- @reads v1.plans\n-- @role copier\n"),
        ("SELECT c.id, c.owner, p.name", "SELECT c.id, c.owner, upper(p.name)"),
        (":{found.extra}\nDELETE", ":{found.missing}\nDELETE"),
        ("-- @equal values\n", ""),
        ("-- @settle 2s\n", "-- @settle 3s\n"),
        ("-- @at-most 500\n", "-- @at-most 501\n"),
        ("-- @mode contained\n", ""),
        ("-- @accept \"us\" \"4\\\"2\" the owner asked for it\n", ""),
        ("-- @accept \"eu\" \"17\"", "-- @accept \"eu\" \"1 7\""),
        ("-- @accept \"eu\" \"17\"", "-- @accept \"eu\" \"1  7\""),
        ("FROM :{found.differing}", "FROM :{found.missing}"),
        (
            "SELECT id, owner, plan FROM v1.accounts\n-- @against\nSELECT id, owner, plan FROM v2.accounts",
            "SELECT id, owner, plan FROM v2.accounts\n-- @against\nSELECT id, owner, plan FROM v1.accounts",
        ),
        ("grant = [\"app\"]", "grant = [\"app\", \"report\"]"),
        ("old = [\"v1.*\"]", "old = [\"v1.accounts\"]"),
        ("\"v2.plans_*\"", "\"v2.plans\""),
        ("dual = [true, false, true]", "dual = [false, true, true]"),
        ("steady = [true, true, false]", "steady = { values = [true, true, false], lock_first = \"new\" }"),
        ("[\"parity\", \"copying\"]", "[\"parity\"]"),
        ("{ from = \"write_v2\", to = \"steady\" }", "{ from = \"write_v2\", to = \"steady\", back = true }"),
        ("columns = [\"accept_workspace_id\"]", "columns = [\"accept_account_id\"]"),
        ("set = \"accounts\"\nto = \"steady\"", "set = \"alias\"\nto = \"on\""),
    ] {
        let meaning = switched(from, to);
        assert!(!seen.contains(&meaning), "{to}");
        seen.push(meaning);
    }
}
