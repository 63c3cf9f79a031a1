//! What the program is told to do, and how it ends.

mod arrange;
mod doctor;
mod get;
mod init;
mod put;
mod queue;
mod share;
mod state;
mod sync;
mod tree;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use thiserror::Error;
use vfs_client::device::{DeviceError, Told};
use vfs_client::home::HomeError;
use vfs_client::store::StoreError;
use vfs_client::transport::TransportError;
use vfs_client::tree::PathError;
use vfs_client::{Device, Home};
use vfs_core::client::{Notice, QueueError};

/// Exit code of what could not be done.
const FAILED: u8 = 1;
/// Exit code of arguments or a directory that cannot be followed.
const USAGE: u8 = 2;
/// Exit code of a broken guardrail.
const GUARDRAIL: u8 = 3;
/// Exit code where another `vfs` is at work in the directory.
const BUSY: u8 = 4;

/// Keeps a tree of files the same on every machine of a user, and of whom it is shared with.
#[derive(Debug, Parser)]
#[command(name = "vfs", version)]
pub(crate) struct Arguments {
    /// The client's directory; unless said, $VFS_DIR, then vfs below $XDG_DATA_HOME or ~/.local/share.
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Milliseconds to wait for another `vfs` at work in the directory.
    #[arg(long, global = true, default_value_t = 10_000, value_name = "MS")]
    wait_ms: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a directory a client's.
    Init(init::InitArguments),
    /// Makes a folder.
    Mkdir(put::MkdirArguments),
    /// Puts a file into the tree, or a new content into a file that is there.
    Put(put::PutArguments),
    /// Attaches a further file to an item.
    Attach(put::AttachArguments),
    /// Fetches the newest content of a file.
    Get(get::GetArguments),
    /// Shows the tree.
    Tree(tree::TreeArguments),
    /// Moves an item, or gives it another name.
    Mv(arrange::MvArguments),
    /// Takes an item from where it lies.
    Rm(arrange::RmArguments),
    /// Shares an item and everything below it, or takes that back.
    Share(share::ShareArguments),
    /// Brings what waits to the server and reads what is new.
    Sync(sync::SyncArguments),
    /// Shows what waits and what the server refused.
    Queue(queue::QueueArguments),
    /// The state of this client: exported, taken up, looked at, compared.
    #[command(subcommand)]
    State(state::StateCommand),
    /// Looks whether everything that a sync needs is as it must be.
    Doctor(doctor::DoctorArguments),
}

/// Why a command ends.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Path(#[from] PathError),
    /// What somebody asked for cannot be; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// It was done, and the answer is no.
    #[error("{0}")]
    Negative(String),
}

impl CommandError {
    fn refused(why: impl Display) -> Self {
        Self::Refused(why.to_string())
    }

    fn code(&self) -> u8 {
        let home = match self {
            Self::Device(DeviceError::Store(StoreError::Corrupt { .. })) => return GUARDRAIL,
            Self::Device(error) if error.violation().is_some() => return GUARDRAIL,
            Self::Device(DeviceError::Home(error)) | Self::Home(error) => error,
            Self::Path(_)
            | Self::Refused(_)
            | Self::Device(
                DeviceError::Identity(_) | DeviceError::Transport(TransportError::OtherUser { .. }),
            ) => return USAGE,
            Self::Device(_) | Self::Negative(_) => return FAILED,
        };
        match home {
            HomeError::Busy { .. } => BUSY,
            HomeError::NotMade { .. } | HomeError::Made { .. } | HomeError::Identity { .. } => USAGE,
            HomeError::File { .. } => FAILED,
        }
    }

    /// What whoever sees it should do; `None`: the error says it.
    fn next_action(&self) -> Option<String> {
        match self {
            Self::Device(DeviceError::Hydrate { last_good: Some(path), .. }) => Some(format!(
                "nothing was changed. The last state known to be good is {path}: look at it with `vfs state inspect \
                 {path}`, take it up with `vfs state hydrate {path} --replace`, then `vfs sync`",
                path = path.display()
            )),
            Self::Device(DeviceError::Hydrate { last_good: None, .. }) => Some(
                "nothing was changed, and no good state is kept here. Take up an export of your own with `vfs state \
                 hydrate FILE --replace`, or begin a new client in another directory with `vfs init`"
                    .to_owned(),
            ),
            Self::Device(DeviceError::Client(error)) => Some(error.next_action().to_owned()),
            Self::Device(DeviceError::Queue(QueueError::Full(_))) => Some("`vfs sync`, then try again".to_owned()),
            _ => None,
        }
    }
}

/// Does what the arguments say.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let Some(home) = home(arguments.dir) else {
        return ended(&CommandError::refused("no directory is named: give --dir, or set VFS_DIR or HOME"));
    };
    let home = home.waiting(Duration::from_millis(arguments.wait_ms));
    let done = match arguments.command {
        Command::Init(arguments) => init::run(&home, arguments),
        Command::Mkdir(arguments) => put::mkdir(home, &arguments),
        Command::Put(arguments) => put::put(home, &arguments),
        Command::Attach(arguments) => put::attach(home, &arguments),
        Command::Get(arguments) => get::run(home, &arguments),
        Command::Tree(arguments) => tree::run(home, &arguments),
        Command::Mv(arguments) => arrange::mv(home, &arguments),
        Command::Rm(arguments) => arrange::rm(home, &arguments),
        Command::Share(arguments) => share::run(home, &arguments),
        Command::Sync(arguments) => sync::run(home, &arguments),
        Command::Queue(arguments) => queue::run(home, &arguments),
        Command::State(command) => state::run(home, &command),
        Command::Doctor(arguments) => doctor::run(&home, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ended(&error),
    }
}

fn home(said: Option<PathBuf>) -> Option<Home> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = said
        .or_else(|| variable("VFS_DIR"))
        .or_else(|| variable("XDG_DATA_HOME").map(|path| path.join("vfs")))
        .or_else(|| variable("HOME").map(|path| path.join(".local/share/vfs")))?;
    Some(Home::new(path))
}

fn ended(error: &CommandError) -> ExitCode {
    tell(&format!("vfs: {error}"));
    if let CommandError::Device(device) = error
        && let Some(violation) = device.violation()
    {
        let details = violation.details().map(|details| serde_json::Value::Object(details).to_string());
        tell(&format!("  guardrail: {} {}", violation.signature(), details.unwrap_or_default()));
    }
    if let Some(next) = error.next_action() {
        tell(&format!("  next: {next}"));
    }
    ExitCode::from(error.code())
}

/// Says something to a person.
fn tell(line: &str) {
    // Nobody may be reading; the exit code says it, too.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line for whoever called.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a value for a program.
fn say_json(value: &impl serde::Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A client at work, that tells a person what is not as usual.
fn open(home: Home) -> Result<Device, CommandError> {
    Ok(Device::open(home, Box::new(told))?)
}

fn told(told: &Told) {
    match told {
        Told::Notice(Notice::Guardrail(violation)) => tell(&format!("guardrail {}", violation.signature())),
        Told::Notice(Notice::Rematerialization(_)) => {
            tell("the server has forgotten what would follow; the state is taken anew");
        }
        Told::Refused { task, why } => tell(&format!("refused: {task}: {why}")),
        Told::Again { why, pause } => tell(&format!("{why}; again in {} ms", pause.as_millis())),
        Told::Pushing { .. } | Told::Read { .. } | Told::Done(_) => {}
    }
}
