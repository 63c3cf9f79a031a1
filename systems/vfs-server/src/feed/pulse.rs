//! Something was committed to a feed: told to whoever waits, once an instance.

use std::sync::Arc;
use std::time::Duration;

use tidegate_store::postgres::{Address, Listener};
use tokio::sync::watch;

/// The channel that an advance of the head is told on.
const CHANNEL: &str = "vfs_feed";
/// How long it takes until a listening connection that was lost is made anew.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Beats when the feeds may have come further. Beats that nobody took yet are one.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<watch::Sender<(i32, i64)>>);

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse(Arc::new(watch::Sender::new((0, 0))))
    }
}

impl Pulse {
    /// Beats, whatever was seen of the head.
    pub(crate) fn beat(&self) {
        self.0.send_modify(|_| {});
    }

    /// Beats if the head is another than was last seen this way: how changes are found where nothing can be heard.
    pub(crate) fn saw_head(&self, epoch: i32, seq: i64) {
        self.0.send_if_modified(|seen| std::mem::replace(seen, (epoch, seq)) != (epoch, seq));
    }

    /// The newest number that was seen of the head: that of the last sign of life; 0: none yet.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.0.borrow().1
    }

    /// Waits for beats from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<(i32, i64)> {
        self.0.subscribe()
    }

    /// Listens, by one connection, until `ending` becomes true. Meanwhile, and where nothing is heard, the signs of life
    /// of the instance look at the head.
    pub(crate) async fn listen(self, address: Address, mut ending: watch::Receiver<bool>) {
        let listening = async {
            loop {
                match Listener::connect(&address, "vfs-server listen", CHANNEL).await {
                    Ok(mut listener) => {
                        // What was committed before it listened was not heard.
                        self.beat();
                        while listener.heard().await.is_ok() {
                            self.beat();
                        }
                        tracing::warn!("the listening connection was lost; the head is looked at meanwhile");
                    }
                    Err(failure) => tracing::warn!(%failure, "changes cannot be listened for"),
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        };
        tokio::select! {
            () = listening => {}
            _ = ending.wait_for(|ending| *ending) => {}
        }
    }
}
