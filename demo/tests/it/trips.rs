//! The trip log's demonstration: small, and whole, on both stores.

use std::time::Duration;

use testkit::Program;

/// How long it may take.
const BOUND: Duration = Duration::from_secs(240);

/// What it must say.
const CLAIMS: [&str; 12] = [
    "users whom the dry run of 12 moved 0",
    "done when the wave was stopped",
    "records in quarantine, in conflict or unreadable, decided on",
    "of 68 users, done 68",
    "trips of user0 before, without and after",
    "of 68 indexes, equal to their records 68",
    "records that a second apply moved 0",
    "records lost 0",
    "deleted records that came back 0",
    "records read as they were before 0",
    "records of others seen 0",
    "lists without a record of before 0",
];

/// What it must say where everything is put back.
const CLAIMS_OF_BACK: [&str; 3] =
    ["done when the wave was stopped", "keys that the loss statement says are written over", "and do now 0"];

async fn shows(words: &[&str], claims: &[&str]) {
    let outcome = Program::new(env!("CARGO_BIN_EXE_demo")).args(words).run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
    for claim in claims {
        let held = outcome.stdout.lines().any(|line| line.contains('✓') && line.contains(*claim));
        assert!(held, "{claim}\n{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("at most 1 % may"), "the wave's own words: {}", outcome.stdout);
}

#[tokio::test]
async fn keys_are_moved_under_load_after_a_wave_was_stopped_on_the_embedded_store() {
    shows(&["trips", "--users", "68", "--active", "4", "--seed", "7"], &CLAIMS).await;
}

#[tokio::test]
async fn keys_are_moved_under_load_after_a_wave_was_stopped_on_redis() {
    shows(&["trips", "--users", "68", "--active", "4", "--seed", "8", "--redis"], &CLAIMS).await;
}

#[tokio::test]
async fn everything_is_put_back_after_a_wave_was_stopped_and_is_as_in_the_snapshot() {
    shows(&["trips", "--users", "68", "--active", "4", "--seed", "9", "--back"], &CLAIMS_OF_BACK).await;
}
