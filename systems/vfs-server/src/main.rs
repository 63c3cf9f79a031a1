//! The program `vfs-server`: serves the files' operations and blobs, and what operators need beside it.

mod command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("vfs_server=info,warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return command::failed(&format!("no runtime could be started: {error}"), 1),
    };
    // The engine keeps its lease by tasks of this thread.
    tokio::task::LocalSet::new().block_on(&runtime, command::run(arguments))
}
