//! Each system live, under load, migrated by its runbook, with the proof printed at the end.
//!
//! ```text
//! program ─► stage ─► traffic ─┐
//!                     ledger ──┴─► proof
//! ```
//!
//! Everything happens on a throwaway server. Nothing of it outlives this process, however it ends.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows something to a person")]

mod error;
mod ledger;
mod operator;
mod program;
mod proof;
mod schema;
mod stage;
mod traffic;
mod words;

use std::process::ExitCode;
use std::time::Instant;

use crate::error::Error;

const HELP: &str = "\
cargo demo [SYSTEM]

  ledger    the economic ledger's migration, on a throwaway PostgreSQL under traffic: check, dry run, apply,
            a check that does not hold, a kill, a resume, a way back with its loss, and the proof

Without a SYSTEM it is `ledger`. It starts servers of its own on free ports and touches none of yours; it takes
less than two minutes after the build. Missing servers are installed where that is allowed, else the command is
printed.

Exit codes: 0 every proof held, 1 one did not or something could not be started, 2 words that are not understood.
";

/// The exit code for words that are not understood.
const USAGE: u8 = 2;

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Ledger,
    Help,
    Unknown,
}

impl Wanted {
    fn of(words: &[&str]) -> Self {
        match words {
            [] | ["ledger"] => Self::Ledger,
            ["help" | "--help" | "-h"] => Self::Help,
            _ => Self::Unknown,
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match Wanted::of(&words) {
        Wanted::Help => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Wanted::Unknown => {
            eprint!("cargo demo does not know `{}`\n\n{HELP}", words.join(" "));
            ExitCode::from(USAGE)
        }
        Wanted::Ledger => match show() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => {
                eprintln!("\nA proof did not hold; it is marked above.");
                ExitCode::FAILURE
            }
            Err(error) => {
                eprintln!("\nThe demonstration stopped: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Finds and builds what is needed, shows the ledger, and answers whether every proof held.
fn show() -> Result<bool, Error> {
    testkit::prerequisites::ensure(|what| println!("{what}"))?;
    let program = program::build()?;
    let runtime = tokio::runtime::Runtime::new().map_err(Error::file("start", "the runtime"))?;
    let started = Instant::now();
    let proof = runtime.block_on(ledger::show(&program))?;
    proof.print(started.elapsed());
    println!("{}", ledger::WHERE_NEXT);
    Ok(proof.holds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_shown_unless_something_else_is_asked_for() {
        assert_eq!(Wanted::of(&[]), Wanted::Ledger);
        assert_eq!(Wanted::of(&["ledger"]), Wanted::Ledger);
        assert_eq!(Wanted::of(&["--help"]), Wanted::Help);
        assert_eq!(Wanted::of(&["ledgers"]), Wanted::Unknown);
        assert_eq!(Wanted::of(&["ledger", "twice"]), Wanted::Unknown);
    }
}
