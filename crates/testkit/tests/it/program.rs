//! Programs under test.

use std::time::Duration;

use testkit::{Error, Program, eventually};

const BOUND: Duration = Duration::from_secs(30);

#[tokio::test]
async fn output_and_code_are_kept_apart() {
    let outcome = Program::new("sh").args(["-c", "echo out; echo err >&2; exit 7"]).run(BOUND).await.unwrap();
    assert_eq!(
        (outcome.code(), outcome.stdout.as_str(), outcome.stderr.as_str()),
        (Some(7), "out\n", "err\n")
    );
}

#[tokio::test]
async fn a_program_gets_the_environment_it_was_given_and_no_other() {
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "the test needs a variable that must not be seen"
    );
    let outcome = Program::new("env").env("GIVEN", "yes").run(BOUND).await.unwrap();
    assert!(outcome.stdout.contains("GIVEN=yes\n"));
    assert!(!outcome.stdout.contains("CARGO_MANIFEST_DIR"));
}

#[tokio::test]
async fn a_frozen_program_goes_on_when_thawed() {
    let mut program =
        Program::new("sh").args(["-c", "while read -r line; do :; done; kill -STOP $$; echo thawed"]);
    program = program.env("UNUSED", "");
    let mut running = program.start().unwrap();
    let stat = format!("/proc/{}/stat", running.pid());
    eventually("the program stops", BOUND, || async {
        std::fs::read_to_string(&stat).unwrap().contains(") T ").then_some(())
    })
    .await
    .unwrap();
    assert_eq!(running.stdout(), "");
    running.thaw().unwrap();
    let outcome = running.wait(BOUND).await.unwrap();
    assert_eq!(outcome.stdout, "thawed\n");
}

#[tokio::test]
async fn a_program_that_does_not_end_is_a_timeout_with_its_output() {
    let program = Program::new("sh").args(["-c", "echo began; exec sleep 1000"]);
    let running = program.start().unwrap();
    running.until_stdout("began", BOUND).await.unwrap();
    let pid = running.pid();
    let error = running.wait(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { seen, .. } if seen == "began\n"), "{error}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it was not killed");
}

#[tokio::test]
async fn a_killed_program_has_no_code_but_keeps_its_output() {
    let mut running = Program::new("sh").args(["-c", "echo began; exec sleep 1000"]).start().unwrap();
    running.until_stdout("began", BOUND).await.unwrap();
    running.kill().unwrap();
    let outcome = running.wait(BOUND).await.unwrap();
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (None, "began\n"));
}
