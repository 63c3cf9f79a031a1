//! What the program is told to do.

mod keys;
mod payments;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use ledger::operations::LedgerError;
use ledger::{App, Config, Ledger};
use serde_json::Value;
use serving::Ending;
use uuid::Uuid;

/// Exit code of a failure, and of a violation.
const FAILED: u8 = 1;
/// Exit code of arguments or an environment that cannot be followed.
const USAGE: u8 = 2;
/// Things of one kind that a sweep ends for one tenant at a time, and tenants that it looks at.
const SWEEP_BATCH: i32 = 100;
const SWEEP_TENANTS: i64 = 1_000;
/// Events that a reconciliation looks at at a time.
const RECONCILE_BATCH: i32 = 1_000;

/// A ledger of prepaid credit.
#[derive(Debug, Parser)]
#[command(name = "ledger", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until it is told to end (SIGTERM, SIGINT).
    Serve,
    /// Recomputes everything that must hold, and prints the first violation with its rows.
    Verify {
        /// All of it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// What happened to a tenant's credit, the newest first.
    Statement {
        /// The tenant.
        community: Uuid,
        /// Entries, at most 500.
        #[arg(long, default_value_t = 50)]
        limit: i64,
        /// Only those before this entry.
        #[arg(long)]
        before: Option<Uuid>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Gives back reservations and expires lots whose time is over, of every tenant.
    Sweep,
    /// Looks at usage events that nobody has looked at yet, of every tenant.
    Reconcile,
    /// Lets a tenant spend again whose breaker tripped.
    ResetBreaker {
        /// The tenant.
        community: Uuid,
        /// Who has looked.
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        actor: String,
    },
    /// Keys of the services that may ask.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Signs a token with a private key, and prints it.
    Token(keys::TokenArguments),
    /// Asks the provider about payments of which nothing was heard.
    SweepPayments(payments::SweepArguments),
}

/// Does what the arguments say.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Token(arguments) => keys::token(&arguments),
        Command::Keys(keys::KeysCommand::Generate { out }) => keys::generate(out.as_deref()),
        command => match Config::read(&|name| std::env::var(name).ok()) {
            Err(error) => return failed(&error.to_string(), USAGE),
            Ok(config) if matches!(command, Command::Serve) => serve(config).await,
            Ok(config) => match opened(&command, &config).await {
                Ok(ledger) => with_ledger(command, ledger).await,
                Err(error @ (LedgerError::NoSystem | LedgerError::Blind { .. })) => {
                    return failed(&error.told(), USAGE);
                }
                Err(error) => Err(error.told()),
            },
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why, FAILED),
    }
}

/// The ledger, once those of its logins that a command needs were looked at.
async fn opened(command: &Command, config: &Config) -> Result<Ledger, LedgerError> {
    let ledger = Ledger::open(config)?;
    if matches!(
        command,
        Command::Verify { .. } | Command::Sweep | Command::Reconcile | Command::SweepPayments(_)
    ) {
        ledger.look_as_system().await?;
    }
    if !matches!(command, Command::Verify { .. } | Command::SweepPayments(_)) {
        ledger.look_as_application().await?;
    }
    Ok(ledger)
}

async fn with_ledger(command: Command, ledger: Ledger) -> Result<(), String> {
    match command {
        Command::Verify { json } => verify(&ledger, json).await,
        Command::Statement { community, limit, before, json } => {
            let statement = ledger.statement(community, before, limit).await.map_err(why)?;
            if json {
                say(&format!("{statement:#}"));
                return Ok(());
            }
            let entries = statement.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if entries.is_empty() {
                let before =
                    before.map_or(String::new(), |entry| format!(" before {entry}, if it has that one"));
                note(&format!("{community} has no entry{before}"));
            }
            for entry in entries {
                let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
                say(&format!(
                    "{}  {:<11} {:>16}  lot {} ({})  {}",
                    text("at"),
                    text("type"),
                    dollars(number(entry, "amountMicro")),
                    text("lotId"),
                    text("source"),
                    text("reference")
                ));
            }
            Ok(())
        }
        Command::Sweep => sweep(&ledger).await,
        Command::Reconcile => reconcile(&ledger).await,
        Command::ResetBreaker { community, actor } => {
            match ledger.reset_breaker(community, &actor).await.map_err(why)? {
                true => Ok(()),
                false => Err(format!("the breaker of {community} is not open")),
            }
        }
        Command::Keys(command) => keys::run(&ledger, &command).await,
        Command::SweepPayments(arguments) => payments::sweep(&ledger, &arguments).await,
        Command::Serve | Command::Token(_) => Ok(()),
    }
}

/// A number of an answer; 0 where it is not there.
fn number(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// Micro-dollars as dollars.
fn dollars(micro: impl Into<i128>) -> String {
    let micro = micro.into();
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

async fn serve(config: Config) -> Result<(), String> {
    let listener = serving::listen(config.listen).await.map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    let app = Arc::new(App::start(config).await.map_err(told)?);
    let ending = Ending::take().map_err(told)?;
    say(&format!("listening on http://{address}"));
    match ledger::serve::serve(app, listener, ending.told()).await.map_err(told)? {
        true => Ok(()),
        false => Err("requests were cut off that did not end in time".to_owned()),
    }
}

async fn verify(ledger: &Ledger, json: bool) -> Result<(), String> {
    let verified = ledger.verify().await.map_err(why)?;
    if json {
        say(&serde_json::to_string_pretty(&verified).unwrap_or_default());
    }
    for one in &verified {
        match one.violations.as_slice() {
            [] if json => {}
            [] => say(&format!("✓ {}: {}", one.invariant, one.says)),
            rows => {
                if !json {
                    say(&format!("✗ {}: {}", one.invariant, one.says));
                    rows.iter().for_each(|row| say(&format!("  {row}")));
                }
                return Err(format!("{} does not hold", one.invariant));
            }
        }
    }
    Ok(())
}

async fn sweep(ledger: &Ledger) -> Result<(), String> {
    let (mut reservations, mut lots, mut expired) = (0, 0, 0_i128);
    let mut failed = Vec::new();
    for community in ledger.due(SWEEP_TENANTS).await.map_err(why)? {
        loop {
            let swept = match ledger.sweep(community, SWEEP_BATCH).await {
                Ok(swept) => swept,
                // What one tenant has must not keep the others waiting.
                Err(error) if is_of_its_rows(&error) => {
                    failed.push(format!("{community}: {}", error.told()));
                    break;
                }
                Err(error) => return Err(why(error)),
            };
            let (given, over) = (number(&swept, "reservations"), number(&swept, "lots"));
            reservations += given;
            lots += over;
            expired += i128::from(number(&swept, "expiredMicro"));
            if given.max(over) < i64::from(SWEEP_BATCH) {
                break;
            }
        }
    }
    say(&format!("{reservations} reservations given back, {lots} lots ended, {} expired", dollars(expired)));
    if failed.is_empty() { Ok(()) } else { Err(format!("not swept: {}", failed.join("; "))) }
}

async fn reconcile(ledger: &Ledger) -> Result<(), String> {
    let (mut events, mut wrong) = (0, Vec::new());
    for community in ledger.tenants().await.map_err(why)? {
        loop {
            let looked = match ledger.reconcile(community, RECONCILE_BATCH).await {
                Ok(looked) => looked,
                Err(error) if is_of_its_rows(&error) => {
                    wrong.push(format!("{community} was not looked at: {}", error.told()));
                    break;
                }
                Err(error) => return Err(why(error)),
            };
            let count = number(&looked, "events");
            events += count;
            if count < i64::from(RECONCILE_BATCH) {
                match number(&looked, "driftMicro") {
                    0 => {}
                    drift => wrong.push(format!("{community} drifted by {drift} micro-dollars")),
                }
                break;
            }
        }
    }
    say(&format!("{events} usage events looked at"));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Whether the database refused what one tenant's rows led to: others' may be as they should.
fn is_of_its_rows(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Held)
        || matches!(error, LedgerError::Store(failure) if failure.sqlstate().is_some())
}

/// An error of the ledger, with what to do next.
fn why(error: impl Into<LedgerError>) -> String {
    error.into().told()
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// How long the provider is waited for.
const PROVIDER_WAIT: Duration = Duration::from_secs(15);

/// Says on standard error why the program ends.
pub(crate) fn failed(why: &str, code: u8) -> ExitCode {
    // Nobody may be reading; the exit code says it, too.
    let _ = writeln!(std::io::stderr(), "ledger: {why}");
    ExitCode::from(code)
}

/// Says something beside what was asked for, on standard error.
fn note(what: &str) {
    let _ = writeln!(std::io::stderr(), "ledger: {what}");
}

/// Prints a line for whoever called.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
