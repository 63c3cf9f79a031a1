//! Scripts: `/bin/sh -eu`, with the values they name as `TG_*` variables and nothing else but PATH.

use std::time::Duration;

use tidegate_runbook::{Expectation, Script};
use tidegate_store::process::{Exit, Finished, Invocation, run};

use crate::question::{Answered, Reply};
use crate::values::{Value, Values};
use crate::verdict::Verdict;

/// Most bytes kept of what a script prints, each of stdout and stderr.
pub(crate) const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Runs the script and judges its exit code. A script that did not end in time is unknown.
pub(crate) async fn ask(
    script: &Script,
    expect: &[Expectation],
    path: &str,
    timeout: Duration,
    values: &Values,
) -> Answered {
    let mut environment = vec![("PATH".to_owned(), path.to_owned())];
    for (variable, name) in &script.values {
        match values.get(name) {
            Ok(value) => environment.push((variable.clone(), value.text.clone().unwrap_or_default())),
            Err(missing) => return Answered::unknown(missing.to_string()),
        }
    }
    let invocation = Invocation {
        argv: vec!["/bin/sh".into(), "-eu".into(), "-c".into(), script.text.clone()],
        stdin: None,
        environment,
        timeout,
        output_bytes_max: OUTPUT_BYTES_MAX,
        directory: None,
    };
    match run(invocation).await {
        Err(failure) => Answered::unknown(failure.to_string()),
        Ok(finished) => judge(expect, &finished),
    }
}

fn judge(expect: &[Expectation], finished: &Finished) -> Answered {
    let Exit::Code(code) = finished.exit else {
        return Answered::unknown("the script was ended by a signal".to_owned());
    };
    let wanted = expect.iter().find_map(|expect| match expect {
        Expectation::Exit(wanted) => Some(*wanted),
        _ => None,
    });
    let wanted = wanted.unwrap_or(0);
    let verdict = if code == wanted {
        Verdict::Pass
    } else {
        let errors = String::from_utf8_lossy(&finished.stderr);
        let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed no error");
        Verdict::Fail(format!("exit {code} where {wanted} is expected: {last}"))
    };
    let stdout = String::from_utf8_lossy(&finished.stdout).trim_end().to_owned();
    let kept = Value { type_name: "text".to_owned(), text: Some(stdout), secret: false };
    Answered::new(verdict, Reply::Values(vec![("stdout".to_owned(), kept)]))
}
