//! What the program is told to do.

mod grant_admin;
mod index_keys;
mod migrate;
mod restore;
mod seed;
mod snapshot;

use std::fmt::Display;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serving::Ending;
use tidegate_rekey::crash;
use trips::{App, mileage, user};

/// Exit code of what was not done.
const FAILED: u8 = 1;
/// Exit code of arguments or an environment that cannot be followed.
const USAGE: u8 = 2;

/// A trip log on a key-value store.
#[derive(Debug, Parser)]
#[command(name = "trips", version)]
pub(crate) struct Arguments {
    /// The store: `sqlite:PATH` or `redis://[user:password@]HOST:PORT/DB`.
    #[arg(long, global = true, env = "TRIPS_STORE", hide_env_values = true)]
    store: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until it is told to end (SIGTERM, SIGINT).
    Serve {
        /// Where; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// The port, in place of that of --listen.
        #[arg(long, env = "PORT")]
        port: Option<u16>,
    },
    /// Copies the keys of users from their names to their ids; a dry run unless told otherwise.
    Migrate(migrate::MigrateArguments),
    /// What is left of users, or of all.
    Status(migrate::StatusArguments),
    /// Makes a user an administrator; a dry run unless told otherwise.
    GrantAdmin(grant_admin::GrantArguments),
    /// Writes the whole store into a new file.
    KvSnapshot(snapshot::SnapshotArguments),
    /// Brings back what a file holds; says what that would lose unless told otherwise.
    KvRestore(restore::RestoreArguments),
    /// Makes the ordered list of keys of a Redis whose values were written without it.
    KvIndex,
    /// Writes users with every awkward kind of record, to try things on.
    Seed(seed::SeedArguments),
    /// Erases everything from a local store; says what that would be unless told otherwise.
    Clear(seed::ClearArguments),
}

pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let get = |name: &str| std::env::var(name).ok();
    let Some(url) = arguments.store.filter(|url| !url.is_empty()) else {
        return failed("no store is named: set TRIPS_STORE, such as sqlite:trips.db", USAGE);
    };
    if let Command::GrantAdmin(_) = &arguments.command
        && let Some(why) = grant_admin::refused(&get)
    {
        return failed(&why, USAGE);
    }
    let store = match crash::open(&url).await {
        Ok(store) => store,
        Err(error) => return failed(&error.to_string(), USAGE),
    };
    let app = App::new(store.clone(), &get);
    let done = match arguments.command {
        Command::Serve { mut listen, port } => {
            listen.set_port(port.unwrap_or_else(|| listen.port()));
            match mileage::take_over(store.as_ref()).await {
                Ok(_) => serve(app, listen).await,
                Err(error) => Err(error.to_string()),
            }
        }
        Command::Migrate(arguments) => migrate::run(app, &arguments).await,
        Command::Status(arguments) => migrate::status(app, &arguments).await,
        Command::GrantAdmin(arguments) => grant_admin::run(store, &arguments, &get).await,
        Command::KvSnapshot(arguments) => snapshot::run(app, &arguments).await,
        Command::KvRestore(arguments) => restore::run(app, &arguments).await,
        Command::KvIndex => index_keys::run(&url).await,
        Command::Seed(arguments) => match user::hashed(arguments.password().to_owned()).await {
            Ok(hash) => seed::seed(&store, &arguments, &hash).await,
            Err(error) => Err(error.to_string()),
        },
        Command::Clear(arguments) => seed::clear(&store, &arguments, get("TRIPS_ENV").as_deref()).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why, FAILED),
    }
}

async fn serve(app: std::sync::Arc<App>, address: SocketAddr) -> Result<(), String> {
    let listener = serving::listen(address).await.map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    let ending = Ending::take().map_err(told)?;
    say(&format!("listening on http://{address}"));
    match trips::serve::serve(app, listener, ending.told()).await.map_err(told)? {
        true => Ok(()),
        false => Err("some requests did not end in time and were cut off".to_owned()),
    }
}

/// Prints a line.
fn say(line: &str) {
    // Whoever reads no more has read enough.
    let _gone = writeln!(std::io::stdout(), "{line}");
}

fn told(error: impl Display) -> String {
    error.to_string()
}

/// Asks a person at the terminal to type a word; `yes` answers for them.
fn confirmed(question: &str, word: &str, yes: bool) -> Result<(), String> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err("nobody is there to ask; add --yes if this is meant. Nothing was changed".to_owned());
    }
    let mut talk = std::io::stderr();
    let _unseen = write!(talk, "{question}? Type `{word}` to do it: ");
    let _unseen = talk.flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(told)?;
    if line.trim() == word { Ok(()) } else { Err("not confirmed; nothing was changed".to_owned()) }
}

/// Prints why, and gives the code.
pub(crate) fn failed(why: &str, code: u8) -> ExitCode {
    let _unseen = writeln!(std::io::stderr(), "trips: {why}");
    ExitCode::from(code)
}
