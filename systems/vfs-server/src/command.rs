//! What the program is told to do.

mod choose_kind;
mod compact;
mod doctor;
mod epoch;
mod freeze;
mod legacy_seed;
#[cfg(feature = "migrate")]
mod migrate;
mod orphans;
mod serve;
mod status;
mod sweep;
mod token;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tidegate_store::postgres::Session;
use vfs_server::blob::config::BlobConfig;
use vfs_server::blob::store::BlobStore;
use vfs_server::config::database;

/// Exit code of a failure.
const FAILED: u8 = 1;
/// Exit code of arguments or an environment that cannot be followed.
const USAGE: u8 = 2;

/// Serves the files' operations and blobs.
#[derive(Debug, Parser)]
#[command(name = "vfs-server", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until it is told to end (SIGTERM, SIGINT).
    Serve,
    /// Applies every migration that is not applied yet, in order.
    #[cfg(feature = "migrate")]
    Migrate(migrate::MigrateArguments),
    /// Chooses what stays where a blob was attached to one item as several kinds.
    ChooseKind(choose_kind::ChooseKindArguments),
    /// Fills a database of version 23 with what nobody owns in truth: for demonstrations and tests.
    LegacySeed(legacy_seed::LegacySeedArguments),
    /// Starts a session for a user and prints its bearer token.
    Token(token::TokenArguments),
    /// Holds writes back on every instance, for a time; reads go on.
    Freeze(freeze::FreezeArguments),
    /// Lets writes in again.
    Unfreeze,
    /// Abandons stages whose time is over. Looks only, unless told to apply.
    Sweep(sweep::SweepArguments),
    /// Lists blobs without bytes and bytes without blobs, and removes them when told to.
    Orphans(orphans::OrphansArguments),
    /// Asks what the server depends on for everything that it will ask of it.
    Doctor(doctor::DoctorArguments),
    /// Forgets operations that later ones have overtaken; without `--apply`, says which.
    Compact(compact::CompactArguments),
    /// Epochs of the feeds.
    #[command(subcommand)]
    Epoch(epoch::EpochCommand),
    /// Says how writes, feeds and instances stand.
    Status(status::StatusArguments),
}

/// Does what the arguments say.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Serve => serve::run().await,
        #[cfg(feature = "migrate")]
        Command::Migrate(arguments) => migrate::run(&arguments).await,
        Command::ChooseKind(arguments) => ended(choose_kind::run(&arguments).await),
        Command::LegacySeed(arguments) => ended(legacy_seed::run(&arguments).await),
        Command::Token(arguments) => ended(token::run(&arguments).await),
        Command::Freeze(arguments) => ended(freeze::freeze(&arguments).await),
        Command::Unfreeze => ended(freeze::unfreeze().await),
        Command::Sweep(arguments) => ended(sweep::run(&arguments).await),
        Command::Orphans(arguments) => ended(orphans::run(&arguments).await),
        Command::Doctor(arguments) => doctor::run(&arguments).await,
        Command::Compact(arguments) => ended(compact::run(&arguments).await),
        Command::Epoch(command) => ended(epoch::run(&command).await),
        Command::Status(arguments) => ended(status::run(&arguments).await),
    }
}

fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why, FAILED),
    }
}

/// Says on standard error why the program ends.
pub(crate) fn failed(why: &str, code: u8) -> ExitCode {
    // Nobody may be reading; the exit code says it, too.
    let _ = writeln!(std::io::stderr(), "vfs-server: {why}");
    ExitCode::from(code)
}

/// Prints a line for whoever called.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A connection to `DATABASE_URL`.
async fn connect(name: &str) -> Result<Session, String> {
    let address = database(&|name: &str| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    Session::connect(&address, name).await.map_err(|failure| format!("{address}: {failure}"))
}

/// The object store that the environment names.
fn blob_store() -> Result<BlobStore, String> {
    let config = BlobConfig::read(|name| std::env::var(name).ok());
    config.and_then(BlobStore::open).map_err(|error| error.to_string())
}

/// A time as an argument: a whole number with the unit ms, s, m or h.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "a time is a whole number and a unit, such as 60s")?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis).ok_or_else(|| "the unit of a time is ms, s, m or h".to_owned())
}

/// Who runs the pages that this program carries in itself.
#[cfg(feature = "migrate")]
fn actor() -> String {
    tidegate_engine::embedded::actor("VFS_ACTOR", "vfs-server")
}
