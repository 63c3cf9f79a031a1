//! One slip anywhere in a good page: either it is reported, or every step is still there and says the same.

use std::collections::BTreeMap;

use crate::scenario::alone;
use tidegate_runbook::{Runbook, parse};

const PAGE: &str = r#"# Slips

Prose with `code` and a [link](https://example.org).

```toml
# @runbook slips
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"
[stores.service]
kind = "http"
url = "$SERVICE_URL"
```

## First

- a list
- of two

```sql
-- @check empty_before
-- @expect zero
SELECT count(*) FROM notes
```

```text
# @confirm go
# @approvers ops
Go on?
```

> A quote.

```sql
-- @migrate tags
-- @requires empty_before go
-- @ensures tags_there
CREATE TABLE tags (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
-- @undo
DROP TABLE tags;
```

1. a numbered list

```sql
-- @check tags_there
-- @expect true
SELECT to_regclass('tags') IS NOT NULL
```

## Second

```json
{"a": "block of prose"}
```

```http
# @check healthy
# @expect status 200
GET /health
```

## Rollback

### Back

```toml
# @way back
from = ["second"]
to = "first"
```

```toml
# @seal quiet
tables = ["tags"]
```
"#;

/// The verbs that compare, copy and switch.
const SWITCHING: &str = r#"# Slips

```toml
# @runbook slips
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"
[flags.notes]
columns = ["dual"]
rows = { alone = [false], mirrored = [true] }
moves = [{ from = "alone", to = "mirrored", back = true }]
```

## First

```toml
# @flags mirror
set = "notes"
to = "mirrored"
```

```sql
-- @backfill copy_notes
-- @source notes
-- @key id
-- @after mirror
-- @throttle autovacuum
INSERT INTO tags (id) SELECT id FROM chunk
```

```sql
-- @compare parity
-- @requires copy_notes
-- @key id
-- @mode contained
SELECT id FROM notes
-- @against
SELECT id FROM tags
```
"#;

/// Steps that look into a key-value store.
const KEYS: &str = r#"# Slips

```toml
# @runbook slips
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"
[stores.keys]
kind = "kv"
url = "$KEYS_URL"
```

## First

```kv
# @record counted
# @valid 1m
n = count logs trip:
report list logs trip: limit 5
```

Prose.

```kv
# @check nothing_left
# @requires counted
# @expect zero
count logs trip: where /deleted exists
```
"#;

/// What each step means, by its id.
fn steps(runbook: &Runbook) -> BTreeMap<String, [u8; 32]> {
    let of_ways = runbook.ways.iter().flat_map(|way| &way.steps);
    let of_stages = runbook.stages.iter().flat_map(|stage| &stage.steps);
    of_stages.chain(of_ways).map(|step| (step.id.to_string(), step.meaning)).collect()
}

/// The page with one line changed.
fn slip(page: &str, at: usize, change: impl Fn(&str) -> String) -> String {
    let changed = |(number, line): (usize, &str)| if number == at { change(line) } else { line.to_owned() };
    let lines: Vec<String> = page.lines().enumerate().map(changed).collect();
    lines.join("\n") + "\n"
}

#[test]
fn no_slip_of_one_line_loses_a_step() {
    slips(PAGE, 6, 500);
}

#[test]
fn no_slip_of_one_line_loses_a_step_that_compares_copies_or_switches() {
    slips(SWITCHING, 3, 200);
}

#[test]
fn no_slip_of_one_line_loses_a_step_that_looks_into_a_key_value_store() {
    slips(KEYS, 2, 100);
}

/// Makes every slip; `silent_least` of them must do no harm, or the page is not the one that was meant.
fn slips(original: &str, count: usize, silent_least: usize) {
    let whole = parse(&alone(original)).runbook.expect("the page is good");
    let whole = steps(&whole);
    assert_eq!(whole.len(), count);
    let inserted = [
        "",
        "Prose.",
        "    ",
        "```",
        "````",
        "~~~",
        "``` sql",
        "```sql `a`",
        "`",
        "<div>",
        "<!--",
        "-->",
        "<pre>",
        "<details>",
        "<script>",
        "<?php",
        "<![CDATA[",
        "> ",
        "- item",
        "1. item",
        "---",
        "***",
        "===",
        "[a]: /b \"",
        "\\",
        "|a|b|",
        "# Heading",
        "<a",
        "**",
        "&nbsp;",
        "    code",
        "\tcode",
    ];
    let mut silent = 0;
    for (at, line) in original.lines().enumerate() {
        let mut pages: Vec<(String, String)> = Vec::new();
        for text in inserted {
            pages.push((
                format!("{text:?} above line {}", at + 1),
                slip(original, at, |line| format!("{text}\n{line}")),
            ));
        }
        for lead in [
            " ", "  ", "   ", "    ", "\t", "> ", "- ", "1. ", "\u{a0}", "\u{3000}", "`", "* ", "#", "\\",
            "<!-- ",
        ] {
            pages.push((
                format!("{lead:?} before line {}", at + 1),
                slip(original, at, |line| format!("{lead}{line}")),
            ));
        }
        for tail in [" ", " `", "\\", "  ", " -->", " ```", " sql"] {
            pages.push((
                format!("{tail:?} after line {}", at + 1),
                slip(original, at, |line| format!("{line}{tail}")),
            ));
        }
        if line.starts_with("```") || line.is_empty() || line.starts_with('>') {
            pages.push((format!("without line {}", at + 1), slip(original, at, |_| String::new())));
            let lines =
                original.lines().enumerate().filter(|(number, _)| *number != at).map(|(_, line)| line);
            pages.push((format!("line {} cut out", at + 1), lines.collect::<Vec<_>>().join("\n")));
        }
        if line.starts_with("```") {
            pages.push((
                format!("tildes in line {}", at + 1),
                slip(original, at, |line| line.replace('`', "~")),
            ));
            pages.push((
                format!("two backticks in line {}", at + 1),
                slip(original, at, |line| line.replacen('`', "", 1)),
            ));
            pages.push((
                format!("four backticks in line {}", at + 1),
                slip(original, at, |line| format!("`{line}")),
            ));
            pages.push((
                format!("upper case in line {}", at + 1),
                slip(original, at, |line| line.to_uppercase()),
            ));
        }
        for (what, page) in pages {
            let Some(runbook) = parse(&alone(page.clone())).runbook else { continue };
            silent += 1;
            let left = steps(&runbook);
            let missing: Vec<&String> = whole.keys().filter(|id| !left.contains_key(*id)).collect();
            assert!(missing.is_empty(), "{what}: {missing:?} vanished\n{page}");
            // A slip in the words of a body is for the person who reviews it; one in a line with `@` is ours to report.
            if line.contains('@') || line.is_empty() || line.starts_with("```") {
                let in_body = |id: &&String| left.get(*id) != whole.get(*id);
                let changed: Vec<&String> = whole.keys().filter(in_body).collect();
                let is_text = what.contains("above line") || changed.iter().all(|id| *id == "go");
                assert!(changed.is_empty() || is_text, "{what}: {changed:?} changed\n{page}");
            }
        }
    }
    assert!(silent > silent_least, "most slips in prose do no harm: {silent}");
}
