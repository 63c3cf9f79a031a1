//! Finds the servers that tests and demonstrations start, or installs them; says what it found.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that answers a person")]

use std::process::ExitCode;

use testkit::prerequisites::ensure;

fn main() -> ExitCode {
    match ensure(|said| eprintln!("{said}")) {
        Ok(programs) => {
            println!("{} in {}", programs.postgres.version(), programs.postgres.directory().display());
            println!("pgbouncer at {}", programs.pgbouncer.display());
            println!("redis-server at {}", programs.redis.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
