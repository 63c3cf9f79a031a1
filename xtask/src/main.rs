//! The repository's automation: one entry point for every check. `cargo xtask` tells what there is.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that answers a person")]

mod demo;
mod prerequisites;
mod soak;
mod steps;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  demo [SYSTEM]      what `cargo demo` is: builds what is shown, in one go, and shows it
  test               every check, as the continuous integration runs them: prerequisites, format, tidy, lints, tests,
                     documentation; each is timed, and the first failure is named last
  soak [FILTER]      the long forms: tests named soak_*, scaled up by TIDEGATE_SOAK=1; prints their figures. Without a
                     filter also the demonstration and the benchmarks of bench/
  tidy               the house rules that a program can check, and cargo-deny where it is installed
  prerequisites      finds the servers that tests start, or installs them where that is allowed
";

/// The exit code for words that are not understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let passed = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            true
        }
        ["demo", words @ ..] => return demo::run(&root, words),
        ["test"] => test::run(&root),
        ["soak"] => soak::run(&root, None),
        ["soak", filter] => soak::run(&root, Some(filter)),
        ["tidy"] => tidy::run(&root),
        ["prerequisites"] => prerequisites::run(&root),
        _ => {
            eprint!("cargo xtask does not know `{}`\n\n{HELP}", words.join(" "));
            return ExitCode::from(USAGE);
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The repository's root: the directory above this package.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
