//! The application at work: writers that remember what was acknowledged to them.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_postgres::Client;

use crate::Error;
use crate::stage::{Stage, connect};

/// How many write at the same time.
const WRITERS: usize = 3;

/// The pace of each.
const EVERY: Duration = Duration::from_millis(15);

/// Each n-th write makes a community; the others make a member of one.
const COMMUNITY_EVERY: usize = 10;

/// The application at work. Ends when it is asked to.
#[derive(Debug)]
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    writers: Vec<JoinHandle<Result<Tally, Error>>>,
}

/// What was written and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Names of communities whose COMMIT was acknowledged.
    pub(crate) communities: Vec<String>,
    /// Handles of members whose COMMIT was acknowledged.
    pub(crate) members: Vec<String>,
    /// What the server said to writes that it refused.
    pub(crate) refused: Vec<String>,
    /// Longest wait for an acknowledgement.
    pub(crate) slowest: Duration,
}

impl Tally {
    /// Writes that were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.communities.len() + self.members.len()
    }

    fn add(mut self, other: Self) -> Self {
        self.communities.extend(other.communities);
        self.members.extend(other.members);
        self.refused.extend(other.refused);
        self.slowest = self.slowest.max(other.slowest);
        self
    }
}

impl Traffic {
    /// Starts the writers, through the pooler as an application would.
    pub(crate) async fn start(stage: &Stage) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(false);
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let client = connect(&stage.pooled_url()).await?;
            let stopped = stopped.clone();
            writers.push(tokio::spawn(async move { write(number, client, stopped).await }));
        }
        Ok(Self { stop, writers })
    }

    /// Stops them and gives what they wrote.
    pub(crate) async fn stop(self) -> Result<Tally, Error> {
        // Writers that ended early have closed the channel; what ended them is their result.
        let _ = self.stop.send(true);
        let mut whole = Tally::default();
        for writer in self.writers {
            let tally = writer.await.map_err(|error| Error::Task(format!("a writer ended: {error}")))??;
            whole = whole.add(tally);
        }
        Ok(whole)
    }
}

/// Writes at its pace until it is stopped. Simple queries only: they need nothing that a pooler forgets.
async fn write(number: usize, client: Client, mut stopped: watch::Receiver<bool>) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let mut pace = tokio::time::interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0_usize.. {
        tokio::select! {
            _ = pace.tick() => {}
            _ = stopped.changed() => break,
        }
        let name = format!("demo {number} {turn}");
        let is_community = turn % COMMUNITY_EVERY == 0;
        let sql = if is_community {
            format!("INSERT INTO public.communities (name) VALUES ('{name}')")
        } else {
            format!(
                "INSERT INTO public.profiles (community_id, handle) \
                 VALUES ('11111111-1111-4111-8111-{:012x}', '{name}')",
                1 + turn % 20
            )
        };
        let started = Instant::now();
        match client.batch_execute(&sql).await {
            Ok(()) if is_community => tally.communities.push(name),
            Ok(()) => tally.members.push(name),
            Err(error) if error.is_closed() => return Err(Error::Postgres { doing: "write", source: error }),
            Err(error) => tally.refused.push(error.to_string()),
        }
        tally.slowest = tally.slowest.max(started.elapsed());
    }
    Ok(tally)
}
