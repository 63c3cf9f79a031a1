//! A connection that waits for notifications.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client};

use super::address::Address;
use super::connect::{self, Connected, Wire};
use super::failure::{Failure, FailureKind};
use super::quote::quote_identifier;

/// How long the server may take to answer `LISTEN`.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection of its own that hears the notifications of one channel. Dropping it ends the connection.
///
/// It needs a direct connection: a pooler in transaction mode takes `LISTEN` and then tells nothing.
#[derive(Debug)]
pub struct Listener {
    heard: watch::Receiver<u64>,
    task: JoinHandle<()>,
    client: Client,
}

impl Listener {
    /// Connects, and listens from now on.
    ///
    /// # Errors
    /// That of connecting, or the server's about `LISTEN`.
    pub async fn connect(
        address: &Address,
        application_name: &str,
        channel: &str,
    ) -> Result<Listener, Failure> {
        let Connected { client, wire, tls: _ } = connect::open(address, application_name).await?;
        let (tell, heard) = watch::channel(0);
        let task = tokio::spawn(drive(wire, tell));
        let listener = Listener { heard, task, client };
        let listen = format!("LISTEN {}", quote_identifier(channel));
        match timeout(LISTEN_TIMEOUT, listener.client.batch_execute(&listen)).await {
            Ok(Ok(())) => Ok(listener),
            Ok(Err(error)) => Err(Failure::from_driver(&error)),
            Err(_) => Err(Failure::new(FailureKind::ConnectionLost, "LISTEN was not answered in time")),
        }
    }

    /// Waits for the next notification. Those that came since the last call are one: what they were about is read from
    /// the tables, not from them.
    ///
    /// # Errors
    /// When the connection has ended; it must then be made anew, and what was missed is looked for in the tables.
    pub async fn heard(&mut self) -> Result<(), Failure> {
        self.heard.changed().await.map_err(|_| {
            Failure::new(
                FailureKind::ConnectionLost,
                "the connection that listens for notifications was lost",
            )
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Moves bytes until the connection ends; counts the notifications.
async fn drive(mut wire: Wire, tell: watch::Sender<u64>) {
    loop {
        match std::future::poll_fn(|context| wire.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => {
                tell.send_modify(|count| *count = count.wrapping_add(1))
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(failure = %Failure::from_driver(&error), "a listening connection ended");
                return;
            }
            None => return,
        }
    }
}
