//! `vfs sync`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;
use vfs_client::device::Patience;
use vfs_client::events::{Event, Events};
use vfs_client::transport::Transport;
use vfs_client::{Device, Home, Synced};

use super::{CommandError, open, say, say_json, tell};

/// How often a watch looks whether another command has queued something.
const LOOK: Duration = Duration::from_millis(500);
/// How long a watch relies on being told.
const SYNC_ANYWAY: Duration = Duration::from_secs(60);
/// The pause after a stream that could not be opened, or a sync that failed in passing; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How to sync.
#[derive(Debug, Args)]
pub(crate) struct SyncArguments {
    /// Goes on: syncs when a server tells of something new, and when something is queued here.
    #[arg(long)]
    watch: bool,
    /// Takes the state anew from the server first: after a restore of the server. What waits is kept.
    #[arg(long)]
    rematerialize: bool,
    /// How often something is tried that fails in passing, in all.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    tries: u32,
    /// Says what was done as JSON; with --watch, a line for each sync.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(home: Home, arguments: &SyncArguments) -> Result<(), CommandError> {
    let mut device = open(home)?;
    device.set_patience(Patience { tries: arguments.tries });
    if arguments.rematerialize {
        device.rematerialize()?;
        tell("the state was taken anew from the server");
    }
    if arguments.watch {
        return watch(&mut device, arguments.json);
    }
    let synced = device.sync()?;
    if arguments.json {
        say_json(&synced);
    } else {
        say(line(&synced));
    }
    refused(&synced)
}

fn line(synced: &Synced) -> String {
    let mut line = format!(
        "pushed {}, read {}, {} tasks done",
        synced.pushed_operations, synced.pulled_operations, synced.tasks_done
    );
    if synced.rematerializations > 0 {
        line.push_str(", the state was taken anew");
    }
    line
}

fn refused(synced: &Synced) -> Result<(), CommandError> {
    let (operations, tasks) = (synced.rejected_operations, synced.tasks_refused);
    if operations + tasks == 0 {
        return Ok(());
    }
    Err(CommandError::Negative(format!(
        "the server will not take {operations} operations and {tasks} tasks; `vfs queue` shows them, and `vfs queue \
         retry` or `drop` settles each"
    )))
}

/// What the thread that listens says.
enum Heard {
    News,
    Ended { last_id: Option<String>, why: Option<String> },
}

/// Syncs again and again. It ends with the process, or at a guardrail: those are for a person.
fn watch(device: &mut Device, is_json: bool) -> Result<(), CommandError> {
    let (sender, heard) = channel();
    listen(device.transport().clone(), None, sender.clone());
    let mut pause = PAUSE;
    loop {
        match device.wake().and_then(|()| device.sync()) {
            Ok(synced) => {
                pause = PAUSE;
                if is_json {
                    say(serde_json::to_string(&synced).unwrap_or_default());
                } else if synced != Synced::default() {
                    say(line(&synced));
                }
                if let Err(error) = refused(&synced) {
                    tell(&format!("vfs: {error}"));
                }
            }
            Err(error) if error.violation().is_some() => return Err(error.into()),
            Err(error) if is_passing(&error) => {
                tell(&format!("vfs: {error}; again in {} ms", pause.as_millis()));
                // Others may work meanwhile.
                device.rest();
                std::thread::park_timeout(pause);
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        device.rest();
        wait(device, &heard, &sender)?;
    }
}

fn is_passing(error: &vfs_client::DeviceError) -> bool {
    use vfs_client::DeviceError as E;
    match error {
        E::Transport(error) => error.is_passing(),
        E::Client(vfs_core::client::ClientError::Transport(_)) => true,
        E::Home(vfs_client::home::HomeError::Busy { .. }) => true,
        _ => false,
    }
}

/// Waits until there may be something to do.
fn wait(device: &Device, heard: &Receiver<Heard>, sender: &Sender<Heard>) -> Result<(), CommandError> {
    let until = Instant::now() + SYNC_ANYWAY;
    while Instant::now() < until {
        match heard.recv_timeout(LOOK) {
            Ok(Heard::News) => {
                // Those that came meanwhile are answered by the same sync.
                while let Ok(Heard::News) = heard.try_recv() {}
                return Ok(());
            }
            Ok(Heard::Ended { last_id, why }) => {
                if let Some(why) = why {
                    tell(&format!("vfs: no news: {why}"));
                }
                listen(device.transport().clone(), last_id, sender.clone());
            }
            Err(RecvTimeoutError::Timeout) if device.was_changed()? => return Ok(()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    Ok(())
}

/// Listens on a thread of its own, until the stream ends.
fn listen(transport: Arc<Transport>, last_id: Option<String>, sender: Sender<Heard>) {
    std::thread::spawn(move || {
        let ended = match Events::open(&transport, last_id.clone()) {
            // A place that the server does not know: from now, and a sync for what lies between.
            Err(error) if error.status() == Some(409) => {
                let _ = sender.send(Heard::News);
                Heard::Ended { last_id: None, why: Some(error.to_string()) }
            }
            Err(error) => Heard::Ended { last_id, why: Some(error.to_string()) },
            Ok(mut events) => loop {
                match events.next_event() {
                    Ok(Some(Event::Open)) => {}
                    Ok(Some(Event::Change | Event::Epoch)) => {
                        if sender.send(Heard::News).is_err() {
                            return;
                        }
                    }
                    Ok(None) => break Heard::Ended { last_id: events.last_id, why: None },
                    Err(error) => {
                        break Heard::Ended { last_id: events.last_id, why: Some(error.to_string()) };
                    }
                }
            },
        };
        if let Heard::Ended { why: Some(_), .. } = &ended {
            std::thread::park_timeout(PAUSE);
        }
        let _ = sender.send(ended);
    });
}
