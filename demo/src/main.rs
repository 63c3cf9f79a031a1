//! Each system live, under load, migrated by its runbook, with the proof printed at the end.
//!
//! ```text
//! program ─► accounts, or ledger ─► proof
//! ```
//!
//! Everything happens on a throwaway server. Nothing of it outlives this process, however it ends.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows something to a person")]

mod accounts;
mod dice;
mod error;
mod fleet;
mod ledger;
mod operator;
mod program;
mod proof;
mod schema;
mod stage;
mod traffic;
mod trips;
mod vfs;
mod wire;
mod words;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::error::Error;

const HELP: &str = "\
cargo demo [SYSTEM] [OPTIONS]

  accounts  the accounts' migration under load, on a throwaway PostgreSQL: two instances of the service, clients that
            write and remember every answer, forward to the second schema, back, and forward again, and the proof
              --rows N           accounts that are there before [200000]
              --writes N         writes a second that the clients try for [600]
              --connections N    clients [32]
              --instances N      instances of the service [2]
              --seed N           what the clients' choices follow from [1]
              --confidence TIME  how long stages are held [1s]
              --lost-after-ms N  silence after which an instance counts as gone [2000]
              --kill WHAT@STAGE  kills runner, instance or database while that stage runs, starts it again and goes
                                 on; repeatable
              --drop-a-write     keeps one write from the second schema: everything that looks must notice
  vfs       the file sync's tables flattened under load, on a throwaway PostgreSQL: two instances of the server, devices
            that push, pull, stage and attach, a guardrail that stops it, and the proof
              --rows N           items that are there before [20000]
              --users N          users with two devices each [6]
              --instances N      instances of the server [2]
              --seed N           what the devices' choices follow from [1]
  ledger    the economic ledger's migration, on a throwaway PostgreSQL under traffic: check, dry run, apply,
            a check that does not hold, a kill, a resume, a way back with its loss, the service under load
            through a pooler, and the proof
  trips     the trip log's keys moved from names to ids while users work, on a throwaway store: a snapshot, a dry run, the
            first users, a wave that is stopped by its failure rate, the fix, the finish, and the proof
              --users N          users, in every awkward shape [2000]
              --active N         users who work meanwhile [8]
              --seed N           what choices follow from [1]
              --redis            on a Redis, and not on the embedded store
              --back             everything is put back after the wave, and nothing is finished

Without a SYSTEM it is `accounts`. It starts servers of its own on free ports and touches none of yours. Missing
servers are installed where that is allowed, else the command is printed.

Exit codes: 0 every proof held, 1 one did not or something could not be started, 2 words that are not understood.
";

/// Longest time that the ledger's demonstration may take after the build.
const LEDGER_BOUND: Duration = Duration::from_secs(120);

/// The exit code for words that are not understood.
const USAGE: u8 = 2;

/// What to show.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Accounts(accounts::Options),
    Vfs(vfs::Options),
    Ledger,
    Trips(trips::Options),
    Help,
}

impl Wanted {
    fn of(words: &[&str]) -> Result<Self, String> {
        match words {
            ["ledger"] => Ok(Self::Ledger),
            ["help" | "--help" | "-h"] => Ok(Self::Help),
            ["accounts", options @ ..] => accounts::Options::read(options).map(Self::Accounts),
            ["vfs", options @ ..] => vfs::Options::read(options).map(Self::Vfs),
            ["trips", options @ ..] => trips::Options::read(options).map(Self::Trips),
            options => accounts::Options::read(options).map(Self::Accounts),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let shown = match Wanted::of(&words) {
        Ok(Wanted::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprint!("cargo demo: {why}\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
        Ok(wanted) => show(wanted),
    };
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("\nA proof did not hold; it is marked above.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\nThe demonstration stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Finds what is needed, shows it, and answers whether every proof held.
fn show(wanted: Wanted) -> Result<bool, Error> {
    testkit::prerequisites::ensure(|what| println!("{what}"))?;
    let programs = program::find()?;
    let runtime = tokio::runtime::Runtime::new().map_err(Error::file("start", "the runtime"))?;
    let started = Instant::now();
    let (proof, bound, next) = match wanted {
        Wanted::Accounts(options) => {
            (runtime.block_on(accounts::show(&programs, options))?, None, accounts::WHERE_NEXT)
        }
        Wanted::Vfs(options) => (runtime.block_on(vfs::show(&programs, options))?, None, vfs::WHERE_NEXT),
        Wanted::Ledger => {
            (runtime.block_on(ledger::show(&programs))?, Some(LEDGER_BOUND), ledger::WHERE_NEXT)
        }
        Wanted::Trips(options) => {
            (runtime.block_on(trips::show(&programs, options))?, None, trips::WHERE_NEXT)
        }
        Wanted::Help => return Ok(true),
    };
    proof.print(started.elapsed(), bound);
    println!("{next}");
    Ok(proof.holds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_are_shown_unless_something_else_is_asked_for() {
        let accounts =
            |rows| Ok(Wanted::Accounts(accounts::Options { rows, ..accounts::Options::default() }));
        assert_eq!(Wanted::of(&[]), accounts(200_000));
        assert_eq!(Wanted::of(&["accounts"]), accounts(200_000));
        assert_eq!(Wanted::of(&["--rows", "5000"]), accounts(5000));
        assert_eq!(Wanted::of(&["accounts", "--rows", "5000"]), accounts(5000));
        assert_eq!(Wanted::of(&["ledger"]), Ok(Wanted::Ledger));
        assert_eq!(Wanted::of(&["vfs"]), Ok(Wanted::Vfs(vfs::Options::default())));
        assert_eq!(Wanted::of(&["trips"]), Ok(Wanted::Trips(trips::Options::default())));
        assert_eq!(Wanted::of(&["--help"]), Ok(Wanted::Help));
        assert!(Wanted::of(&["ledgers"]).is_err() && Wanted::of(&["ledger", "twice"]).is_err());
    }
}
