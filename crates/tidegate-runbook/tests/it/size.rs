//! Pages at and beyond the bounds.

use std::fmt::Write as _;

use crate::scenario::alone;
use tidegate_runbook::{Severity, files_wanted, parse};

const HEAD: &str =
    "```toml\n# @runbook big\n[stores.db]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"\n```\n";

/// A runbook with `steps` checks, ten in a stage, each requiring the one before.
fn page(steps: usize) -> String {
    let mut page = HEAD.to_owned();
    for step in 0..steps {
        if step % 10 == 0 {
            write!(page, "\n## Stage {step}\n").expect("memory");
        }
        let requires = if step == 0 { String::new() } else { format!("-- @requires check_{}\n", step - 1) };
        write!(page, "\n```sql\n-- @check check_{step}\n{requires}-- @expect zero\nSELECT count(*) FROM orders WHERE id = {step} AND total < 0\n```\n")
            .expect("memory");
    }
    page
}

#[test]
fn two_thousand_steps_are_read() {
    let parsed = parse(&alone(page(2_000)));
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics.first());
    let runbook = parsed.runbook.expect("a runbook");
    assert_eq!((runbook.stages.len(), runbook.steps().count()), (200, 2_000));
}

#[test]
fn a_page_of_fifty_megabytes_is_refused_before_it_is_read() {
    let bytes = vec![b'#'; 50 * 1024 * 1024];
    let sources = alone(bytes);
    assert!(files_wanted(&sources.page, &sources.page_bytes).is_empty());
    let parsed = parse(&sources);
    let codes: Vec<&str> = parsed.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["page-too-large"]);
}

#[test]
fn more_than_ten_thousand_steps_are_refused() {
    let mut page = HEAD.to_owned();
    page.push_str("\n## All\n");
    for step in 0..=10_000 {
        write!(page, "\n```sql\n-- @check c{step}\n-- @expect zero\nSELECT 0\n```\n").expect("memory");
    }
    let parsed = parse(&alone(page));
    assert!(parsed.runbook.is_none());
    assert!(
        parsed.diagnostics.iter().any(|found| found.code == "too-many-steps"),
        "{:?}",
        parsed.diagnostics
    );
}

#[test]
fn endless_lists_are_cut_off() {
    let head = HEAD.trim_end_matches("```\n");
    let stores: String =
        (0..5_000).map(|n| format!("[stores.s{n}]\nkind = \"http\"\nurl = \"$A{n}\"\n")).collect();
    let parameters: String = (0..5_000).map(|n| format!("p{n} = {{ type = \"int\" }}\n")).collect();
    let sets: String =
        (0..5_000).map(|n| format!("[flags.f{n}]\ncolumns = [\"x\"]\nrows = {{ a = [true] }}\n")).collect();
    let required: String = (0..5_000).map(|n| format!(" n{n}")).collect();
    let properties = "-- @requires a\n".repeat(5_000);
    let page = format!(
        "{head}{stores}{sets}[parameters]\n{parameters}```\n\n## One\n\n```sql\n-- @check a\n-- @expect zero\n-- @requires{required}\nSELECT 0\n```\n\n```sql\n-- @check b\n{properties}SELECT 0\n```\n"
    );
    let parsed = parse(&alone(page));
    let count = |code: &str| parsed.diagnostics.iter().filter(|found| found.code == code).count();
    assert_eq!(count("toml-value"), 3);
    assert_eq!(count("unknown-name"), 1_000);
    assert_eq!(count("too-many-properties"), 1);
}

#[test]
fn a_page_full_of_strays_is_answered_with_a_bounded_list() {
    let page = format!("{HEAD}{}", "    -- @check a\n\n".repeat(20_000));
    let parsed = parse(&alone(page));
    assert!(parsed.diagnostics.len() < 500, "{}", parsed.diagnostics.len());
    assert!(parsed.diagnostics.iter().all(|found| found.severity == Severity::Error));
}
