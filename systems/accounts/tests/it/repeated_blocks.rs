//! The pages of `accounts v2 backfill` and `accounts v2 verify` say the same as the runbook does in its stages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Steps of a page, by what stands behind `fill_`, `parity_` or nothing, as one line of words each.
type Blocks = BTreeMap<String, String>;

/// Tables of the runbook's short names, as the commands' pages call their steps.
const NAMES: [(&str, &str); 3] = [
    ("members", "account_members"),
    ("permissions", "account_permissions"),
    ("snapshots", "pixbook_snapshots"),
];

/// The sql blocks of a page that begin with this word, and whose ids begin so: comments left out, white space made one.
fn blocks(page: &str, word: &str, prefix: &str) -> Blocks {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(path).unwrap();
    let mut blocks = Blocks::new();
    for block in text.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let Some(id) = block.lines().next().and_then(|line| line.strip_prefix(&format!("-- @{word} ")))
        else {
            continue;
        };
        let Some(short) = id.trim().strip_prefix(prefix) else { continue };
        let name = NAMES.iter().find(|(known, _)| *known == short).map_or(short, |(_, table)| *table);
        // What separates both queries of a comparison is no comment.
        let lines = block.lines().filter(|line| !line.starts_with("-- @") || *line == "-- @against");
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        blocks
            .insert(name.to_owned(), words.join(" ").replace("public.", "").replace(" AS collection_id", ""));
    }
    blocks
}

#[test]
fn the_backfill_command_copies_as_the_runbook_does() {
    let (command, mut runbook) = (
        blocks("src/command/backfill/page.md", "backfill", ""),
        blocks("runbooks/accounts-v2.md", "backfill", "fill_"),
    );
    assert_eq!(command.len(), 7);
    // Rows that are marked as deleted come first in the runbook, in steps of their own.
    runbook.retain(|name, _| !name.ends_with("_gone"));
    assert_eq!(command, runbook);
}

#[test]
fn the_verify_command_compares_as_the_runbook_does() {
    let (command, runbook) = (
        blocks("src/command/verify/page.md", "compare", ""),
        blocks("runbooks/accounts-v2.md", "compare", "parity_"),
    );
    assert_eq!(command.len(), 7);
    assert_eq!(command, runbook);
}
