//! The file sync's demonstration: small, and whole.

use std::time::Duration;

use testkit::Program;

/// How long it may take.
const BOUND: Duration = Duration::from_secs(240);

/// What it must say.
const CLAIMS: [&str; 12] = [
    "stopped at version 23, with every row of before in its place",
    "the schema is at version 27",
    "of 4 legacy tables, out of sight: 4",
    "acknowledged operations that the other device never received 0",
    "operations received twice 0",
    "operations received out of order 0",
    "read otherwise than staged 0",
    "reconciled cursors that fell 0",
    "of 5 endpoints, answering before 5, after 5",
    "versions at which a request failed 0",
    "errors other than \"come again\" 0",
    "operations acknowledged while the tables were flattened",
];

#[tokio::test]
async fn the_tables_are_flattened_under_load_after_a_guardrail_has_stopped_it() {
    let words = ["vfs", "--rows", "500", "--users", "3", "--seed", "7"];
    let outcome = Program::new(env!("CARGO_BIN_EXE_demo")).args(words).run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
    for claim in CLAIMS {
        let held = outcome.stdout.lines().any(|line| line.contains('✓') && line.contains(claim));
        assert!(held, "{claim}\n{}", outcome.stdout);
    }
    let names = outcome.stdout.contains("v024 backfill conflict: blob object id collides with non-blob");
    assert!(names, "the guardrail's own words: {}", outcome.stdout);
}
