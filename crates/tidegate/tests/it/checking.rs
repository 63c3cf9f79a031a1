//! What `check` shows of a page that compares, copies and switches.

use std::path::Path;

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, all, program};

/// A page with flag sets and all verbs that belong to them.
fn pages() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tidegate-runbook/tests/it/good"))
}

#[test]
fn the_table_names_verbs_flag_sets_and_where_rows_lead() {
    on_stage(async {
        let checked = program(pages(), ["check", "switched.md"]).run(BOUND).await.unwrap();
        assert_eq!(checked.code(), Some(0), "{}", all(&checked));
        for part in [
            "flags  mirror_on",
            "backfill  copy_accounts",
            "compare   parity",
            "Flag set accounts: begins in v1",
            "mirrored     dual               to v1, dual",
            "locks new first",
        ] {
            assert!(checked.stdout.contains(part), "{part}: {}", all(&checked));
        }
        let json = program(pages(), ["check", "switched.md", "--json"]).run(BOUND).await.unwrap();
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let at = |pointer: &str| json.pointer(pointer).unwrap();
        assert_eq!(at("/runbook/stages/1/steps/0/verb"), "backfill");
        assert_eq!(at("/runbook/flags/0/name"), "accounts");
        assert_eq!(at("/runbook/flags/0/rows/5/lock_first"), "new");
        assert_eq!(at("/runbook/flags/0/moves/1/requires/0"), "parity");
        assert_eq!(at("/runbook/flags/1/moves/0/back"), &serde_json::Value::Bool(true));
    });
}
