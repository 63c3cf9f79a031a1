//! A command that came to nothing: what happened, and what to do next.

use std::path::Path;

use serde::Serialize;

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::advice::with_page;
use crate::screen::{Screen, Tone};

#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    kind: &'a str,
    message: &'a str,
    next: Vec<String>,
}

/// Shows it, and gives its exit code.
pub(crate) fn show(screen: &Screen, failure: &Failure, page: Option<&Path>) -> ExitCode {
    let next: Vec<String> = failure.next.iter().map(|line| with_page(line, page)).collect();
    let mut text =
        format!("{} {}\n", screen.paint(Tone::Bad, "error:"), failure.message.replace('\n', "\n       "));
    text.push_str(&steps(&next));
    screen.talk(&text);
    if screen.is_json() {
        let error = Body { kind: failure.kind, message: &failure.message, next };
        screen.json(&Document { exit_code: failure.code, error });
    }
    failure.code
}

/// What to do next, numbered where there is a choice.
pub(crate) fn steps(next: &[String]) -> String {
    match next {
        [] => String::new(),
        [only] => format!("Next:  {only}\n"),
        several => {
            let mut text = String::new();
            for (number, line) in several.iter().enumerate() {
                let head = if number == 0 { "Next:" } else { "" };
                text.push_str(&format!("{head:<5}  {}. {line}\n", number + 1));
            }
            text
        }
    }
}
