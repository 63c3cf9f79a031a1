//! The examples of `docs/runbook-language.md` are what the parser accepts.

use std::path::Path;

use crate::scenario::{alone, findings};

/// A page for examples to stand in: the stores and parameters that they speak of.
const AROUND: &str = r#"```toml
# @runbook around
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"
pooled = "$POOLED_URL"
[stores.db.logins]
scratch = "$SCRATCH_URL"
[stores.service]
kind = "http"
url = "https://orders.example"
[stores.keys]
kind = "kv"
url = "$KEYS_URL"
[flags.orders]
columns = ["dual"]
rows = { v1 = [false], mirrored = [true] }
moves = [{ from = "v1", to = "mirrored", back = true }]
[parameters]
backup_dir = { type = "path" }
region = { type = "text" }
users = { type = "text" }
token = { type = "text", secret = true }
window_start = { type = "timestamp" }
window_end = { type = "timestamp" }
```

## Around

```sql
-- @check something
-- @expect zero
SELECT 0
```

```sql
-- @compare differs
-- @key id
-- @expect differences
SELECT id FROM v1.orders
-- @against
SELECT id FROM v2.orders
```

"#;

/// What an example may lack because it stands alone: the steps and files that it names, and a way back.
const LACKS: [&str; 8] = [
    "destructive-without-requires",
    "evict-unconfirmed",
    "file-outside-root",
    "no-way-back",
    "restore-outside-way",
    "step-outside-way",
    "unknown-name",
    "unknown-value",
];

fn reference() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbook-language.md");
    std::fs::read_to_string(page).expect("docs/runbook-language.md")
}

/// The texts between fences of this many backticks, with their languages.
fn blocks(page: &str, fence: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let ticks = line.chars().take_while(|character| *character == '`').count();
        if ticks < 3 {
            continue;
        }
        let closing = "`".repeat(ticks);
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != closing).collect();
        if ticks == fence.len() {
            blocks.push((line[ticks..].to_owned(), body.join("\n")));
        }
    }
    blocks
}

#[test]
fn every_step_of_the_reference_is_read() {
    let mut steps = 0;
    for (language, body) in blocks(&reference(), "```") {
        if body.contains("@example") {
            continue;
        }
        let block = format!("```{language}\n{body}\n```\n");
        let page = if body.starts_with("# @runbook") {
            AROUND.replacen(&AROUND[..AROUND.find("## Around").expect("a stage")], &block, 1)
        } else {
            format!("{AROUND}\n## Alone\n\n{block}")
        };
        let (parsed, described) = findings(&alone(page));
        let wrong = parsed.diagnostics.iter().any(|found| !LACKS.contains(&found.code));
        assert!(!wrong, "{block}\n{described}");
        steps += 1;
    }
    assert!(steps >= 18, "{steps}");
}

#[test]
fn every_step_of_the_page_about_kv_blocks_is_read() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kv-blocks.md");
    let page = std::fs::read_to_string(page).expect("docs/kv-blocks.md");
    let mut steps = 0;
    for (language, body) in blocks(&page, "```").into_iter().filter(|(language, _)| language == "kv") {
        let (parsed, described) =
            findings(&alone(format!("{AROUND}\n## Alone\n\n```{language}\n{body}\n```\n")));
        assert!(parsed.runbook.is_some(), "{body}\n{described}");
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
}

#[test]
fn the_whole_page_of_the_reference_is_a_runbook() {
    let pages = blocks(&reference(), "````");
    let whole = pages.iter().find(|(_, page)| page.contains("@runbook")).expect("a whole page");
    let (parsed, described) = findings(&alone(whole.1.clone()));
    assert_eq!(described, "");
    assert!(parsed.runbook.is_some());
}
