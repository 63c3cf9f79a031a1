//! Whatever the bytes, the parser answers.

use crate::scenario::{alone, folder, pages};
use proptest::prelude::*;
use tidegate_runbook::{Severity, files_wanted, parse};

/// What every answer must satisfy.
fn answer(bytes: Vec<u8>) {
    let sources = alone(bytes);
    let _ = files_wanted(&sources.page, &sources.page_bytes);
    let parsed = parse(&sources);
    let failed = parsed.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(parsed.runbook.is_none(), failed);
    for found in &parsed.diagnostics {
        let span = found.span.as_ref().expect("a place");
        let text = sources.page_bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sources.page_bytes);
        assert!(span.range.start <= span.range.end && span.range.end <= text.len(), "{found:?}");
        if let Ok(text) = std::str::from_utf8(text) {
            assert!(text.get(span.range.clone()).is_some(), "{found:?} cuts a character");
        }
    }
}

/// Every page of the tests, for mutation.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for name in ["good", "malformed"] {
        for page in pages(&folder(name)) {
            seeds.push(std::fs::read(page).expect("the page"));
        }
    }
    seeds
}

/// Pieces from which pages are put together.
const PIECES: [&str; 58] = [
    "```",
    "````",
    "~~~",
    "sql",
    "toml",
    "http",
    "sh",
    "text",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "-- @",
    "# @",
    "check a",
    "migrate b",
    "runbook r",
    "stage s",
    "way w",
    "undo",
    "setup",
    "expect zero",
    "requires a",
    "## A\n",
    "### B\n",
    "## Rollback\n",
    "    ",
    "> ",
    "1. ",
    "<div>",
    "<!--",
    "`",
    "[stores.db]\nkind = \"postgres\"\n",
    "url = \"$U\"\n",
    "SELECT 1;",
    "é",
    ":a",
    "{{a}}",
    "@over SELECT",
    "compare c",
    "backfill d",
    "flags e",
    "against",
    "key id, \"b\"",
    "source a",
    "source :{c.extra}",
    "after e",
    "accept \"1\" why",
    "throttle canary 5ms SELECT 1",
    "expect differences",
    "rows 1..2",
    "INSERT INTO b SELECT * FROM chunk",
    "[flags.a]\ncolumns = [\"x\"]\n",
    "rows = { u = [true], v = { values = [false], lock_first = \"new\" } }\n",
    "moves = [{ from = \"u\", to = \"v\", requires = [\"a\"], back = true }]\n",
    "set = \"a\"\nto = \"v\"\n",
    ":{c.missing}",
    "$TG_A",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        answer(bytes);
    }

    #[test]
    fn arbitrary_texts_are_answered(text in "\\PC{0,400}") {
        answer(text.into_bytes());
    }

    #[test]
    fn pages_of_our_own_pieces_are_answered(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.as_slice()), 0..120)
    ) {
        answer(pieces.concat().into_bytes());
    }

    #[test]
    fn mutated_runbooks_are_answered(
        seed in proptest::sample::select(seeds()),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0_u8..4, any::<u8>()), 1..12),
    ) {
        let mut bytes = seed;
        for (place, kind, byte) in edits {
            let at = place.index(bytes.len() + 1);
            match kind {
                0 if at < bytes.len() => { bytes.remove(at); }
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => bytes[at] = byte,
                _ => bytes.truncate(at.max(1)),
            }
        }
        answer(bytes);
    }
}
