//! The accounts' migration under load, over and over: each process killed in each stage, and every answer judged.

use std::time::Duration;

use testkit::{Outcome, Program};

/// What is killed.
const TARGETS: [&str; 3] = ["runner", "instance", "database"];
/// While what runs: every stage that is shown, and the way back.
const STAGES: [&str; 11] = [
    "schema",
    "recon",
    "mirror",
    "copy",
    "verify",
    "reads",
    "verify_reads",
    "dual",
    "cutover",
    "steady",
    "from_steady",
];
/// Runs of the suite. Together they kill each target in each stage.
const RUNS: usize = 20;
/// Runs of the long form, unless `TIDEGATE_SOAK_RUNS` says otherwise.
const SOAK_RUNS: usize = 200;
/// How long one run may take.
const BOUND: Duration = Duration::from_secs(240);
/// The same in the long form.
const SOAK_BOUND: Duration = Duration::from_secs(3600);

/// The kills of a run: every `RUNS`-th, so that stages and targets mix.
fn kills(run: usize) -> Vec<String> {
    let all = STAGES.iter().flat_map(|stage| TARGETS.iter().map(move |target| format!("{target}@{stage}")));
    all.skip(run % RUNS).step_by(RUNS).collect()
}

/// The demonstration, which wants the programs that the suite builds to be beside it.
fn demo() -> Program {
    Program::new(env!("CARGO_BIN_EXE_demo"))
}

fn told(outcome: &Outcome) -> String {
    format!("{}\n{}\n{}", outcome.status, outcome.stdout, outcome.stderr)
}

async fn holds(demo: &Program, run: usize, small: bool) {
    let mut program = demo.clone().args(["accounts", "--seed", &(run + 1).to_string()]);
    if small {
        program = program.args(["--rows", "5000", "--writes", "50", "--connections", "12"]);
        program = program.args(["--confidence", "100ms", "--lost-after-ms", "1000"]);
    }
    let kills = kills(run);
    for kill in &kills {
        program = program.args(["--kill", kill]);
    }
    let outcome = program.run(if small { BOUND } else { SOAK_BOUND }).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "run {run}, {kills:?}: {}", told(&outcome));
    for kill in &kills {
        let killed = format!("✓ killed {kill}, and went on");
        assert!(outcome.stdout.contains(&killed), "run {run}, {kill}: {}", told(&outcome));
    }
    for nothing in ["lost 0", "deletions undone 0", "duplicated 0", "stale reads 0", "refused writes found 0"]
    {
        assert!(outcome.stdout.contains(nothing), "run {run}: {nothing}: {}", told(&outcome));
    }
}

#[test]
fn the_runs_together_kill_every_target_in_every_stage() {
    let killed: Vec<String> = (0..RUNS).flat_map(kills).collect();
    for stage in STAGES {
        for target in TARGETS {
            let kill = format!("{target}@{stage}");
            assert_eq!(killed.iter().filter(|known| **known == kill).count(), 1, "{kill}");
        }
    }
}

/// One test for each run, so that a run that fails is named.
macro_rules! runs {
    ($($name:ident: $run:literal,)*) => {$(
        #[tokio::test]
        async fn $name() {
            holds(&demo(), $run, true).await;
        }
    )*};
}

runs! {
    nothing_is_lost_in_run_00: 0,
    nothing_is_lost_in_run_01: 1,
    nothing_is_lost_in_run_02: 2,
    nothing_is_lost_in_run_03: 3,
    nothing_is_lost_in_run_04: 4,
    nothing_is_lost_in_run_05: 5,
    nothing_is_lost_in_run_06: 6,
    nothing_is_lost_in_run_07: 7,
    nothing_is_lost_in_run_08: 8,
    nothing_is_lost_in_run_09: 9,
    nothing_is_lost_in_run_10: 10,
    nothing_is_lost_in_run_11: 11,
    nothing_is_lost_in_run_12: 12,
    nothing_is_lost_in_run_13: 13,
    nothing_is_lost_in_run_14: 14,
    nothing_is_lost_in_run_15: 15,
    nothing_is_lost_in_run_16: 16,
    nothing_is_lost_in_run_17: 17,
    nothing_is_lost_in_run_18: 18,
    nothing_is_lost_in_run_19: 19,
}

#[tokio::test]
async fn a_write_that_was_dropped_is_noticed_by_the_comparison_and_by_the_history() {
    let program = demo().args(["accounts", "--rows", "300", "--writes", "100", "--lost-after-ms", "500"]);
    let outcome = program.arg("--drop-a-write").run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(1), "{}", told(&outcome));
    for expected in [
        "HALTED at parity_pixbooks",
        "✓ tidegate noticed the dropped write",
        "✓ the history noticed the dropped write",
        "demo-slot-dropped: v2 found nothing",
        "DID NOT HOLD: every write reached both schemas",
    ] {
        assert!(outcome.stdout.contains(expected), "{expected}: {}", told(&outcome));
    }
}

#[tokio::test]
async fn soak_nothing_is_lost_in_hundreds_of_runs() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    let said = std::env::var("TIDEGATE_SOAK_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs = if is_long { said.unwrap_or(SOAK_RUNS) } else { 1 };
    let demo = demo();
    for run in 0..runs {
        holds(&demo, run, !is_long).await;
    }
}
