//! `vfs queue`.

use clap::{Args, Subcommand};
use serde_json::json;
use vfs_client::{Device, Home};
use vfs_core::client::QueuedOperation;

use super::{CommandError, open, say, say_json};

/// What to do with what waits; shown unless said.
#[derive(Debug, Args)]
pub(crate) struct QueueArguments {
    #[command(subcommand)]
    command: Option<QueueCommand>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Tries what the server refused again, with the next sync.
    Retry {
        /// A rejected operation's id, or a task's number.
        id: String,
    },
    /// Forgets what the server refused, or a task: what it would have done is not done.
    Drop {
        /// A rejected operation's id, or a task's number.
        id: String,
    },
}

pub(crate) fn run(home: Home, arguments: &QueueArguments) -> Result<(), CommandError> {
    let mut device = open(home)?;
    match &arguments.command {
        None => show(&device, arguments.json),
        Some(QueueCommand::Retry { id }) => match id.parse() {
            Ok(number) => Ok(device.retry_task(number)?),
            Err(_) => Ok(device.retry_rejected(id)?),
        },
        Some(QueueCommand::Drop { id }) => match id.parse() {
            Ok(number) => device.drop_task(number).map(drop).map_err(CommandError::from),
            Err(_) => device.undo_rejected(id).map(drop).map_err(CommandError::from),
        },
    }
}

fn show(device: &Device, is_json: bool) -> Result<(), CommandError> {
    let (client, tasks) = (device.client(), device.tasks()?);
    if is_json {
        say_json(&json!({
            "pendingOperations": client.pending(),
            "rejectedOperations": client.rejected(),
            "tasks": tasks,
        }));
        return Ok(());
    }
    for queued in client.pending() {
        say(format!("waits     {}", line(queued)));
    }
    for rejected in client.rejected() {
        say(format!("rejected  {}: {}", line(&rejected.operation), rejected.status));
    }
    for task in &tasks {
        match &task.refusal {
            None => say(format!("waits     task {}: {}", task.id.0, task.task.describe())),
            Some(why) => say(format!("refused   task {}: {}: {why}", task.id.0, task.task.describe())),
        }
    }
    if client.pending().is_empty() && client.rejected().is_empty() && tasks.is_empty() {
        say("nothing waits");
    }
    Ok(())
}

fn line(queued: &QueuedOperation) -> String {
    let operation = &queued.operation;
    format!("{} {} {}", operation.op_id, operation.change.op_type(), operation.item_id)
}
