//! What the program is told to do.

#[cfg(feature = "migrate")]
mod backfill;
#[cfg(feature = "migrate")]
mod platform_migrate;
#[cfg(feature = "migrate")]
mod question;
mod recon;
mod seed;
mod serve;
#[cfg(feature = "migrate")]
mod verify;
mod verify_reads;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::Value as Json;
use tidegate_store::postgres::{Address, Session};

/// Exit code of a failure.
const FAILED: u8 = 1;
/// Exit code of arguments or an environment that cannot be followed.
const USAGE: u8 = 2;

/// Serves the accounts, and migrates them.
#[derive(Debug, Parser)]
#[command(name = "accounts", version)]
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
    PlatformMigrate(platform_migrate::PlatformMigrateArguments),
    /// The second schema of the accounts.
    #[command(subcommand)]
    V2(V2),
    /// Fills the first schema with accounts that nobody owns in truth: for demonstrations and tests.
    Seed(seed::SeedArguments),
}

#[derive(Debug, Subcommand)]
enum V2 {
    /// Describes what there is to be moved.
    Recon(recon::ReconArguments),
    /// Copies the first schema to the second, while people write.
    #[cfg(feature = "migrate")]
    Backfill(backfill::BackfillArguments),
    /// Compares both schemas, every row and every column.
    #[cfg(feature = "migrate")]
    Verify(verify::VerifyArguments),
    /// Asks a running service the same in both schemas and compares the answers.
    VerifyReads(verify_reads::VerifyReadsArguments),
}

/// Where a report goes.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Prints the report itself instead of a summary.
    #[arg(long)]
    json: bool,
    /// The file to write the report to. Default: a new one under /tmp.
    #[arg(long, visible_alias = "out", value_name = "PATH")]
    report: Option<PathBuf>,
}

impl ReportArguments {
    /// The report's path: the one given, or `/tmp/<name>-<now>.json` with everything that is no word as a dash.
    fn path(&self, name: &str) -> PathBuf {
        self.report.clone().unwrap_or_else(|| {
            let now = format!("{:.3}", jiff::Timestamp::now());
            let stamp: String =
                now.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            PathBuf::from(format!("/tmp/{name}-{stamp}.json"))
        })
    }

    /// Writes a report, and prints it where that was asked for; returns where it stands.
    fn write(&self, name: &str, report: &Json) -> Result<PathBuf, String> {
        let path = self.path(name);
        let text = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
        std::fs::write(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
        if self.json {
            say(&text);
        }
        Ok(path)
    }
}

/// Does what the arguments say.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Serve => serve::run().await,
        #[cfg(feature = "migrate")]
        Command::PlatformMigrate(arguments) => platform_migrate::run(&arguments).await,
        Command::V2(V2::Recon(arguments)) => recon::run(&arguments).await,
        #[cfg(feature = "migrate")]
        Command::V2(V2::Backfill(arguments)) => backfill::run(&arguments).await,
        #[cfg(feature = "migrate")]
        Command::V2(V2::Verify(arguments)) => verify::run(&arguments).await,
        Command::V2(V2::VerifyReads(arguments)) => verify_reads::run(arguments).await,
        Command::Seed(arguments) => seed::run(&arguments).await,
    }
}

/// Says on standard error why the program ends.
pub(crate) fn failed(why: &str, code: u8) -> ExitCode {
    // Nobody may be reading; the exit code says it, too.
    let _ = writeln!(std::io::stderr(), "accounts: {why}");
    ExitCode::from(code)
}

/// Prints a line for whoever called.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Why a command was not done.
#[derive(Debug)]
struct Refusal {
    code: u8,
    why: String,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { code: FAILED, why }
    }
}

#[cfg(feature = "migrate")]
impl From<Refusal> for tidegate_engine::embedded::Stopped {
    fn from(Refusal { code, why }: Refusal) -> Self {
        Self { code, why }
    }
}

/// A connection to `DATABASE_URL`.
async fn connect(name: &str) -> Result<Session, Refusal> {
    let env = |name: &str| std::env::var(name).ok();
    let unusable = |why: String| Refusal { code: USAGE, why };
    let url = env("DATABASE_URL").filter(|url| !url.trim().is_empty());
    let Some(url) = url else {
        return Err(unusable("Database pool is unavailable. DATABASE_URL is not configured.".to_owned()));
    };
    let address =
        Address::resolve(Some(&url), &env).map_err(|error| unusable(format!("DATABASE_URL: {error}")))?;
    Ok(Session::connect(&address, name).await.map_err(|failure| format!("{address}: {failure}"))?)
}

/// Who runs the pages that this program carries in itself.
#[cfg(feature = "migrate")]
fn actor() -> String {
    tidegate_engine::embedded::actor("ACCOUNTS_ACTOR", "accounts")
}

/// What those pages name of the environment.
#[cfg(feature = "migrate")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
