//! The devices at work, until they are stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::device::{Device, User};
use super::notes::Notes;
use crate::Error;
use crate::dice::Dice;

/// How long a device waits between two turns.
const PAUSE: Duration = Duration::from_millis(20);

/// The devices at work.
#[derive(Debug)]
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    writers: JoinSet<Device>,
    readers: JoinSet<Device>,
}

impl Traffic {
    /// Sets two devices of each user to work: one writes, one reads.
    pub(crate) async fn start(
        users: &[User],
        addresses: &[SocketAddr],
        seed: u64,
        notes: &Arc<Notes>,
    ) -> Result<Self, Error> {
        let (stop, _) = watch::channel(false);
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for user in users {
            let number = user.number as u64;
            let mut writer = Device::new(user, addresses, Dice::new(seed, 2 * number), notes);
            writer.register().await?;
            let mut reader = Device::new(user, addresses, Dice::new(seed, 2 * number + 1), notes);
            let (mut told, mut also_told) = (stop.subscribe(), stop.subscribe());
            writers.spawn(async move {
                while !rest(&mut told).await {
                    writer.write().await;
                }
                writer
            });
            readers.spawn(async move {
                while !rest(&mut also_told).await {
                    reader.read().await;
                    reader.reconcile().await;
                }
                reader
            });
        }
        Ok(Self { stop, writers, readers })
    }

    /// Stops the writers, lets the readers read what is left, and the writers read every blob again.
    pub(crate) async fn stop(mut self, notes: &Notes) -> Result<(), Error> {
        // Nobody listens only if every device has ended, which the next lines report.
        let _ = self.stop.send(true);
        let early = |error| Error::Task(format!("a device ended early: {error}"));
        let blobs = notes.blobs();
        while let Some(writer) = self.writers.join_next().await {
            let mut writer = writer.map_err(early)?;
            let own = writer.user_number();
            for (_, attached) in blobs.iter().filter(|(user, _)| *user == own) {
                writer.compare(&attached.blob, &attached.bytes).await;
            }
        }
        while let Some(reader) = self.readers.join_next().await {
            reader.map_err(early)?.catch_up().await;
        }
        Ok(())
    }
}

/// Waits a moment; answers whether it is over.
async fn rest(told: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => *told.borrow(),
        _ = told.changed() => true,
    }
}
