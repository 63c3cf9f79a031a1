//! Pages with slips, each with what the parser must say about it.
//!
//! `UPDATE_EXPECTED=1` rewrites the expectations: read the difference before it is kept.

use crate::scenario::{findings, folder, pages, sources};

/// Fewest pages that must be there, so that a lost folder is noticed.
const PAGES_MIN: usize = 240;

#[test]
fn every_slip_is_named_with_its_place() {
    let pages = pages(&folder("malformed"));
    assert!(pages.len() >= PAGES_MIN, "{} pages", pages.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = String::new();
    for page in pages {
        let sources = sources(&page);
        let (parsed, described) = findings(&sources);
        assert!(parsed.runbook.is_none(), "{} was accepted", page.display());
        assert!(parsed.diagnostics.iter().all(|found| !found.help.is_empty()), "{}", page.display());
        let expected_path = page.with_extension("expected");
        if update {
            std::fs::write(&expected_path, &described).expect("the expectation can be written");
            continue;
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != described {
            wrong.push_str(&format!("{}\n--- expected\n{expected}--- found\n{described}\n", page.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
