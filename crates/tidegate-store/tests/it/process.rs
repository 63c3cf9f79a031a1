//! Child programs and what is left of them.

use std::time::Duration;

use testkit::eventually;
use tidegate_store::process::{Exit, Invocation, Piped, ProcessFailure, run};

use crate::door::BOUND;

fn sh(script: &str) -> Invocation {
    Invocation {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        stdin: None,
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        timeout: BOUND,
        output_bytes_max: 10_000,
        directory: None,
    }
}

/// Waits until a process is dead: gone, or a zombie that nobody has fetched.
async fn until_dead(pid: &str) {
    let pid = pid.trim().to_owned();
    assert!(pid.parse::<u32>().is_ok(), "{pid:?}");
    eventually("the process is dead", BOUND, || async {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.rsplit_once(") ").unwrap().1.starts_with('Z').then_some(()),
            Err(_) => Some(()),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn output_status_and_input_are_passed_on() {
    let invocation = Invocation { stdin: Some(b"in".to_vec()), ..sh("cat; echo err >&2; exit 3") };
    let finished = run(invocation).await.unwrap();
    assert_eq!(finished.exit, Exit::Code(3));
    assert_eq!((&*finished.stdout, &*finished.stderr), (&b"in"[..], &b"err\n"[..]));
    assert!(!finished.truncated && !finished.succeeded());
    assert_eq!(run(sh("kill -9 $$")).await.unwrap().exit, Exit::Signal(9));
    let input = Invocation { stdin: Some(vec![b'x'; 1 << 20]), ..sh("exec 0<&-; true") };
    assert!(run(input).await.unwrap().succeeded(), "a program need not read its input");
    let none = run(sh("cat; echo end")).await.unwrap();
    assert_eq!(none.stdout, b"end\n");
}

#[tokio::test]
async fn the_environment_is_the_listed_one_and_the_directory_the_given_one() {
    let mut invocation = sh("/usr/bin/env; pwd");
    invocation.environment.push(("TG_A".to_owned(), "a b".to_owned()));
    invocation.directory = Some("/usr".into());
    let finished = run(invocation.clone()).await.unwrap();
    let text = String::from_utf8(finished.stdout).unwrap();
    assert!(text.contains("TG_A=a b\n") && text.ends_with("/usr\n"), "{text}");
    assert!(!text.contains("HOME=") && !text.contains("CARGO"), "{text}");
    assert!(!format!("{invocation:?}").contains("a b"), "values may be secrets");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_of_its_own() {
    let named = |argv: &str, path: Option<&str>| Invocation {
        argv: vec![argv.to_owned()],
        environment: path.map(|path| ("PATH".to_owned(), path.to_owned())).into_iter().collect(),
        ..sh("")
    };
    let failure = run(named("no-such-program", Some("/usr/bin:/bin"))).await.unwrap_err();
    assert!(
        matches!(&failure, ProcessFailure::NotFound { searched, .. } if searched == "/usr/bin:/bin"),
        "{failure}"
    );
    assert!(matches!(run(named("/no/such/program", None)).await, Err(ProcessFailure::NotFound { .. })));
    assert!(matches!(run(named("/etc/passwd", None)).await, Err(ProcessFailure::NotFound { .. })));
    assert!(matches!(run(named("sh", None)).await, Err(ProcessFailure::NoPath { .. })));
    assert!(matches!(run(Invocation { argv: vec![], ..sh("") }).await, Err(ProcessFailure::Empty)));
    assert!(run(named("/bin/true", None)).await.unwrap().succeeded());
}

#[tokio::test]
async fn output_beyond_the_bound_is_read_and_dropped() {
    let invocation = Invocation { output_bytes_max: 1_000, ..sh("head -c 5000000 /dev/zero; echo end >&2") };
    let finished = run(invocation).await.unwrap();
    assert_eq!((finished.stdout.len(), &*finished.stderr), (1_000, &b"end\n"[..]));
    assert!(finished.truncated && finished.succeeded());
    let exact = Invocation { output_bytes_max: 5, ..sh("printf 12345") };
    assert!(!run(exact).await.unwrap().truncated);
}

#[tokio::test]
async fn a_timeout_kills_grandchildren_too() {
    // The grandchild ignores the polite signal.
    let script = "sh -c 'trap \"\" TERM; echo $$; while :; do /bin/sleep 600; done' & wait";
    let failure = run(Invocation { timeout: Duration::from_secs(2), ..sh(script) }).await.unwrap_err();
    let ProcessFailure::TimedOut { stdout, program, .. } = failure else { panic!("{failure}") };
    assert_eq!(program, "sh");
    until_dead(&String::from_utf8(stdout).unwrap()).await;
}

#[tokio::test]
async fn a_timeout_lets_the_program_tidy_up() {
    let file = std::env::temp_dir().join(format!("tidegate-store-tidy-{}", std::process::id()));
    let script = format!("trap 'echo tidied > {}; exit 0' TERM; /bin/sleep 600 & wait", file.display());
    let outcome = run(Invocation { timeout: Duration::from_secs(2), ..sh(&script) }).await;
    assert!(matches!(outcome, Err(ProcessFailure::TimedOut { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "tidied\n");
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn dropping_the_future_kills_the_whole_group() {
    let file = std::env::temp_dir().join(format!("tidegate-store-drop-{}", std::process::id()));
    let script = format!("/bin/sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let written = eventually("the pid is written", BOUND, || async { std::fs::read_to_string(&file).ok() });
    let pid = tokio::select! {
        outcome = run(sh(&script)) => panic!("it cannot end: {outcome:?}"),
        pid = written => pid.unwrap(),
    };
    std::fs::remove_file(&file).unwrap();
    until_dead(&pid).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_in_its_group_ends_with_it() {
    let finished = run(sh("/bin/sleep 600 & echo $!")).await.unwrap();
    assert!(finished.succeeded(), "a grandchild that holds the pipe keeps nobody waiting");
    until_dead(&String::from_utf8(finished.stdout).unwrap()).await;
}

#[tokio::test]
async fn output_without_end_is_read_piece_by_piece() {
    let mut piped = Piped::start(&sh(
        "echo begun >&2; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; exit 4",
    ))
    .unwrap();
    let (mut bytes, mut pieces) = (Vec::new(), 0);
    loop {
        let piece = piped.read(1_000).await.unwrap();
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() <= 1_000);
        pieces += 1;
        bytes.extend(piece);
    }
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count(), 3_000);
    assert!(pieces > 25 && text.ends_with("line 2999\n"), "{pieces} pieces");
    let finished = piped.finish().await.unwrap();
    assert_eq!((finished.exit, &*finished.stderr), (Exit::Code(4), &b"begun\n"[..]));
}

#[tokio::test]
async fn a_piped_program_ends_when_its_reader_does_or_its_time_is_up() {
    let mut piped = Piped::start(&sh("echo $$; exec sleep 600")).unwrap();
    let pid = String::from_utf8(piped.read(100).await.unwrap()).unwrap();
    drop(piped);
    until_dead(&pid).await;

    let short = Invocation { timeout: Duration::from_millis(300), ..sh("echo $$; exec sleep 600") };
    let mut piped = Piped::start(&short).unwrap();
    let pid = String::from_utf8(piped.read(100).await.unwrap()).unwrap();
    assert!(matches!(piped.read(100).await, Err(ProcessFailure::TimedOut { .. })));
    until_dead(&pid).await;
    assert!(matches!(Piped::start(&sh_named("no-such-program")), Err(ProcessFailure::NotFound { .. })));
}

fn sh_named(program: &str) -> Invocation {
    Invocation { argv: vec![program.to_owned()], ..sh("") }
}
