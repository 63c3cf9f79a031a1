//! The program `vfs`: a person's tree of files, kept the same on every machine.

mod command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    command::run(command::Arguments::parse())
}
