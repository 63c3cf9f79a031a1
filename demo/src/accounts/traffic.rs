//! The clients at work, until they are stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::cast::Cast;
use super::contest::Contest;
use super::options::Options;
use super::own::{Notes, Own};
use super::service::Client;
use crate::Error;
use crate::dice::Dice;

/// Out of a hundred requests, so many change the client's own household; most of them write.
const OWN_PERCENT: usize = 60;
/// So many save a state of a contested book.
const SAVE_PERCENT: usize = 15;
/// So many look at somebody's household. The rest looks at a contested book.
const READ_PERCENT: usize = 20;

/// The clients at work.
#[derive(Debug)]
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Traffic {
    /// Sets them to work.
    pub(crate) fn start(
        cast: &Arc<Cast>,
        notes: &Arc<Notes>,
        addresses: &[SocketAddr],
        options: &Options,
    ) -> Self {
        let (stop, _) = watch::channel(false);
        let mut clients = JoinSet::new();
        for member in 0..options.connections {
            let worker = Worker {
                client: Client::to(addresses),
                dice: Dice::new(options.seed, member as u64),
                own: Own::of(cast, member),
                contest: Contest::of(cast, member),
                notes: Arc::clone(notes),
            };
            clients.spawn(worker.work(pace(options), stop.subscribe()));
        }
        Self { stop, clients }
    }

    /// Stops them and waits for the answers that are still out.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        // Nobody listens only if every client has ended, which the next line reports.
        let _ = self.stop.send(true);
        while let Some(ended) = self.clients.join_next().await {
            ended.map_err(|error| Error::Task(format!("a client ended early: {error}")))?;
        }
        Ok(())
    }
}

/// How often each client asks something, so that all together write as often as is wanted.
fn pace(options: &Options) -> Duration {
    let writes = OWN_PERCENT + SAVE_PERCENT;
    let requests = f64::from(options.writes) * 100.0 / writes as f64;
    Duration::from_secs_f64(options.connections as f64 / requests)
}

struct Worker {
    client: Client,
    dice: Dice,
    own: Own,
    contest: Contest,
    notes: Arc<Notes>,
}

impl Worker {
    async fn work(mut self, pace: Duration, mut stopped: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = pace.tick() => self.ask().await,
                _ = stopped.changed() => return,
            }
        }
    }

    async fn ask(&mut self) {
        let Self { client, dice, own, contest, notes } = self;
        let rolled = dice.below(100);
        if rolled < OWN_PERCENT {
            own.change(client, dice, notes).await;
        } else if rolled < OWN_PERCENT + SAVE_PERCENT {
            contest.save(client, dice, notes).await;
        } else if rolled < OWN_PERCENT + SAVE_PERCENT + READ_PERCENT {
            own.read(client, dice, notes).await;
        } else {
            contest.read(client, dice, notes).await;
        }
    }
}
