//! `vfs state`: exported, taken up, looked at, compared.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use vfs_client::home::write_whole;
use vfs_client::store::{Store, export_text};
use vfs_client::task::Task;
use vfs_client::{DeviceError, Home};
use vfs_core::client::diff::diff;
use vfs_core::client::{Client, Effect, ExportedState, Failure, Options, ReplyBody, Request};
use vfs_core::{Cursor, ReconcileState};

use super::{CommandError, open, say, say_json};

/// What to do with a state.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Writes the whole state as JSON.
    Export {
        /// Where to; unless said, or as `-`, standard output.
        file: Option<PathBuf>,
    },
    /// Takes an exported state up.
    Hydrate {
        /// The export.
        file: PathBuf,
        /// Also where there is a state already: that one is put aside.
        #[arg(long)]
        replace: bool,
    },
    /// Says what is in a state.
    Inspect {
        /// An export; unless said, the state that is kept.
        file: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Says what changed between two exports, and whether it may have.
    Diff {
        /// The earlier export.
        before: PathBuf,
        /// The later export; unless said, the state that is kept.
        after: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Holds the kept state against what the server says, without changing either.
    Compare {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(home: Home, command: &StateCommand) -> Result<(), CommandError> {
    match command {
        StateCommand::Export { file } => export(home, file.as_deref()),
        StateCommand::Hydrate { file, replace } => hydrate(&home, file, *replace),
        StateCommand::Inspect { file, json } => inspect(home, file.as_deref(), *json),
        StateCommand::Diff { before, after, json } => differ(home, before, after.as_deref(), *json),
        StateCommand::Compare { json } => compare(home, *json),
    }
}

fn export(home: Home, file: Option<&Path>) -> Result<(), CommandError> {
    let device = open(home)?;
    let text = export_text(&device.client().export_state());
    match file.filter(|file| *file != Path::new("-")) {
        None => say(text),
        Some(file) => write_whole(file, text.as_bytes())
            .map_err(|error| CommandError::refused(format!("cannot write {}: {error}", file.display())))?,
    }
    Ok(())
}

fn json_of(file: &Path) -> Result<Value, CommandError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::refused(format!("cannot read {}: {error}", file.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| CommandError::refused(format!("{} is no JSON: {error}", file.display())))
}

/// A client that has taken an export up.
fn taken_up(state: &Value, options: Options) -> Result<Client, CommandError> {
    let mut client = Client::new(options);
    for effect in client.hydrate(state) {
        if let Effect::Finished(Err(error)) = effect {
            return Err(DeviceError::from(error).into());
        }
    }
    Ok(client)
}

fn hydrate(home: &Home, file: &Path, replace: bool) -> Result<(), CommandError> {
    let identity = home.identity()?;
    let options = identity.options().map_err(|error| DeviceError::Identity(error.to_string()))?;
    // All of it is examined before anything is put aside.
    let client = taken_up(&json_of(file)?, options.clone())?;
    let _lock = home.lock()?;
    let is_new = Store::open(&home.store())
        .and_then(|mut store| store.load(options))
        .map(|kept| kept.export_state() == Client::new(client.options().clone()).export_state());
    match is_new {
        Ok(true) if !replace => {
            let mut store = Store::open(&home.store()).map_err(DeviceError::from)?;
            store.replace(&client, &[]).map_err(DeviceError::from)?;
        }
        Ok(false) if !replace => {
            return Err(CommandError::refused(
                "there is a state already, and it can be taken up; `--replace` puts it aside",
            ));
        }
        Err(error) if !replace => {
            return Err(CommandError::refused(format!(
                "the state that is kept cannot be taken up: {error}; `--replace` puts it aside"
            )));
        }
        _ => say(format!("what was kept is in {}", replaced(home, &client)?.display())),
    }
    say(format!("taken up: {}", summary(&client)));
    Ok(())
}

/// Puts a new store with this state in the place of the one that is there, which is kept aside. Until the new one has its
/// name, the old one is there as it was.
fn replaced(home: &Home, client: &Client) -> Result<PathBuf, CommandError> {
    let now = vfs_client::device::now()?.as_millisecond();
    let aside = home.path().join(format!("replaced-{now}"));
    let failed =
        |error: std::io::Error| CommandError::Negative(format!("the store cannot be put aside: {error}"));
    std::fs::create_dir(&aside).map_err(failed)?;
    let store = home.store();
    // Whether or not the state can be taken up, what waits beside it may be readable.
    let tasks = Store::open(&store).and_then(|store| {
        let tasks = store.tasks()?;
        store.close()?;
        Ok(tasks)
    });
    let tasks: Vec<Task> = match tasks {
        Ok(tasks) => tasks.into_iter().map(|task| task.task).collect(),
        Err(error) => {
            // Their bytes are of no use here without them, and of some to a person.
            std::fs::rename(home.spool(), aside.join("spool")).map_err(failed)?;
            std::fs::create_dir(home.spool()).map_err(failed)?;
            say(format!(
                "blobs and names that waited cannot be read: {error}; their bytes are put aside, too"
            ));
            Vec::new()
        }
    };
    let new = store.with_extension("new");
    for ending in ["", "-wal", "-shm"] {
        let _gone = std::fs::remove_file(with_ending(&new, ending));
    }
    let written = Store::open(&new).and_then(|mut made| {
        made.replace(client, &tasks)?;
        made.close()
    });
    written.map_err(DeviceError::from)?;
    // A log that is left belongs to the old file, and would be taken for the new one's.
    for ending in ["-wal", "-shm"] {
        let log = with_ending(&store, ending);
        if let Some(name) = log.file_name().filter(|_| log.exists()) {
            std::fs::rename(&log, aside.join(name)).map_err(failed)?;
        }
    }
    if let Some(name) = store.file_name().filter(|_| store.exists()) {
        std::fs::copy(&store, aside.join(name)).map_err(failed)?;
    }
    std::fs::rename(&new, &store).map_err(failed)?;
    Ok(aside)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(ending);
    PathBuf::from(text)
}

fn summary(client: &Client) -> String {
    let snapshot = client.snapshot();
    format!(
        "{} links, {} grants, {} operations wait, {} rejected, next write {}",
        snapshot.links.len(),
        snapshot.acl.len(),
        snapshot.pending_operations,
        snapshot.rejected_operations,
        snapshot.next_local_write_id
    )
}

fn inspect(home: Home, file: Option<&Path>, is_json: bool) -> Result<(), CommandError> {
    let client = match file {
        None => open(home)?.client().clone(),
        Some(file) => {
            let identity = home.identity()?;
            let options = identity.options().map_err(|error| DeviceError::Identity(error.to_string()))?;
            taken_up(&json_of(file)?, options)?
        }
    };
    let snapshot = client.snapshot();
    if is_json {
        say_json(&json!({
            "clientId": client.options().client_id,
            "cursor": snapshot.cursor,
            "replayCursor": client.replay().cursor(),
            "lastReconciledWriteIds": snapshot.last_reconciled_write_ids,
            "links": snapshot.links.len(),
            "acl": snapshot.acl.len(),
            "containers": snapshot.container_clocks.len(),
            "pendingOperations": snapshot.pending_operations,
            "rejectedOperations": snapshot.rejected_operations,
            "nextLocalWriteId": snapshot.next_local_write_id,
            "feedEpoch": client.feed_epoch(),
        }));
        return Ok(());
    }
    say(summary(&client));
    match &snapshot.cursor {
        Some(cursor) => say(format!("read up to {} {}", cursor.changed_at, cursor.change_id)),
        None => say("nothing was read yet"),
    }
    if let Some(epoch) = client.feed_epoch() {
        say(format!("epoch {epoch} of the server's feed"));
    }
    for (replica, write) in snapshot.last_reconciled_write_ids.iter() {
        say(format!("writes of {replica} up to {write}"));
    }
    Ok(())
}

fn differ(home: Home, before: &Path, after: Option<&Path>, is_json: bool) -> Result<(), CommandError> {
    let state = |value: Value, name: &str| -> Result<ExportedState, CommandError> {
        serde_json::from_value(value)
            .map_err(|error| CommandError::refused(format!("{name} is no exported state: {error}")))
    };
    let earlier = state(json_of(before)?, &before.display().to_string())?;
    let later = match after {
        Some(after) => state(json_of(after)?, &after.display().to_string())?,
        None => open(home)?.client().export_state(),
    };
    let found = diff(&earlier, &later);
    if is_json {
        say_json(&found);
    } else {
        for progress in &found.progress {
            say(format!("progress  {}", serde_json::to_string(progress).unwrap_or_default()));
        }
        for breach in &found.breaches {
            say(format!("BREACH    {breach}"));
        }
        if found.is_empty() {
            say("nothing changed");
        }
    }
    if found.is_legal() {
        return Ok(());
    }
    Err(CommandError::Negative(format!(
        "{} things changed that may not: a fault of the client, unless the state was taken anew by order",
        found.breaches.len()
    )))
}

/// Where a client and its server may not stand to each other.
fn compare(home: Home, is_json: bool) -> Result<(), CommandError> {
    let device = open(home)?;
    let client = device.client();
    device.transport().refuse_other_users().map_err(vfs_client::DeviceError::from)?;
    let (reply, _) = device.transport().exchange(&Request::Snapshot);
    let theirs = match reply.body {
        ReplyBody::Snapshot(Some(state)) => state,
        ReplyBody::Failed(Failure::Transport(text)) => return Err(CommandError::Negative(text)),
        other => return Err(CommandError::Negative(format!("the server's state cannot be read: {other:?}"))),
    };
    let reconciled: Option<ReconcileState> =
        theirs.get("reconcileState").and_then(|state| serde_json::from_value(state.clone()).ok());
    let Some(reconciled) = reconciled else {
        return Err(CommandError::Negative("the server's state has no cursor".to_owned()));
    };
    let mut wrong = Vec::new();
    let ours = client.cursor();
    if ours.is_some_and(|ours| *ours > reconciled.cursor) {
        wrong.push(
            "this client has read further than the server has come: the server was set back".to_owned(),
        );
    }
    if let (Some(ours), Some(feed)) = (client.feed_epoch(), reply.feed)
        && ours != feed.epoch
    {
        wrong.push(format!("the server's feed is of epoch {}, here {ours}: it was restored", feed.epoch));
    }
    let known = client.snapshot().last_reconciled_write_ids;
    if let Some(lacking) = known.regression(&reconciled.last_reconciled_write_ids) {
        let (replica, ours, theirs) = (lacking.replica_id, lacking.previous, lacking.incoming);
        wrong.push(format!("the server knows writes of {replica} up to {theirs}, this client up to {ours}"));
    }
    if is_json {
        say_json(&json!({
            "cursor": ours, "serverCursor": reconciled.cursor,
            "lastReconciledWriteIds": known, "serverWriteIds": reconciled.last_reconciled_write_ids,
            "mismatches": wrong,
        }));
    } else {
        let place = |cursor: &Cursor| format!("{} {}", cursor.changed_at, cursor.change_id);
        say(format!("this client: {}", ours.map_or_else(|| "nothing read yet".to_owned(), place)));
        say(format!("the server:  {}", place(&reconciled.cursor)));
        for what in &wrong {
            say(format!("MISMATCH    {what}"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(CommandError::Negative(
        "the state does not fit the server's; export it, then `vfs sync --rematerialize`: what waits is kept"
            .to_owned(),
    ))
}
