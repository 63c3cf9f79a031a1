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
