//! One connection through the proxy.

use std::io::Result;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::{Orders, Shared};
use crate::fault::Fault;
use crate::frame::{self, Frame, Opening, Statements};

/// Passes one connection on until either side, a fault or the owner ends it.
pub(super) async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut orders = shared.orders.subscribe();
    let generation = orders.borrow().generation;
    tokio::select! {
        // Both ends see the connection close; there is nobody to report a socket's error to.
        _ = pass(client, &shared) => {}
        _ = orders.wait_for(|orders| orders.ended || orders.generation != generation) => {}
    }
    shared.connections.send_modify(|count| *count = count.saturating_sub(1));
}

/// An answer that must not reach the client as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Withheld {
    /// It ends with this *ready for query* of the connection, counted from 1 for the one that ends the start.
    ready: u64,
    /// For an answer that is kept instead of lost: how many releases there had been when its statement came. One more
    /// lets it go, also if that comes before the server has answered.
    kept: Option<u64>,
}

/// What the two directions of a connection share.
#[derive(Debug, Default)]
struct Answers(Mutex<Vec<Withheld>>);

impl Answers {
    fn withhold(&self, answer: Withheld) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }

    fn withheld(&self, ready: u64) -> Option<Withheld> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().find(|answer| answer.ready == ready).copied()
    }
}

async fn pass(mut client: TcpStream, shared: &Shared) -> Result<()> {
    client.set_nodelay(true)?;
    let session = loop {
        match frame::opening(&mut client).await? {
            Opening::Encryption => client.write_all(b"N").await?,
            Opening::Cancel(bytes) => {
                flow(shared).await;
                return upstream(shared).await?.write_all(&bytes).await;
            }
            Opening::Session(bytes) => break bytes,
        }
    };
    flow(shared).await;
    let mut server = upstream(shared).await?;
    server.write_all(&session).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = Answers::default();
    tokio::select! {
        ended = requests(from_client, to_server, shared, &answers) => ended,
        ended = replies(from_server, to_client, shared, &answers) => ended,
    }
}

async fn upstream(shared: &Shared) -> Result<TcpStream> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.upstream)).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Waits while the proxy is frozen.
async fn flow(shared: &Shared) {
    // The sender lives as long as `shared`.
    let _ = shared.orders.subscribe().wait_for(|orders| !orders.frozen).await;
}

/// From the client to the server, looking for statements that set off a fault.
async fn requests(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    answers: &Answers,
) -> Result<()> {
    let mut from = BufReader::new(from);
    let mut statements = Statements::default();
    // The start of the session asks for one.
    let mut asked: u64 = 1;
    while let Some(frame) = frame::next(&mut from).await? {
        flow(shared).await;
        let releases = shared.orders.borrow().releases;
        let executed = statements.executed_by(&frame);
        let fault = executed.and_then(|statement| shared.lock_faults().for_statement(&statement));
        match fault {
            Some(Fault::DropBefore { .. }) => return Ok(()),
            Some(Fault::DropAnswerOf { .. }) => answers.withhold(Withheld { ready: asked + 1, kept: None }),
            Some(Fault::HoldAnswerOf { .. }) => {
                answers.withhold(Withheld { ready: asked + 1, kept: Some(releases) });
            }
            Some(Fault::DelayBefore { by, .. }) => tokio::time::sleep(by).await,
            Some(Fault::CutAfter { .. }) | None => {}
        }
        if frame.asks_for_ready() {
            asked += 1;
        }
        to.write_all(&frame.bytes).await?;
    }
    Ok(())
}

/// From the server to the client, withholding and cutting.
async fn replies(from: OwnedReadHalf, to: OwnedWriteHalf, shared: &Shared, answers: &Answers) -> Result<()> {
    let mut from = BufReader::new(from);
    let mut client = Client { to, left: None };
    let mut orders = shared.orders.subscribe();
    let mut ready: u64 = 0;
    let mut kept: Vec<u8> = Vec::new();
    while let Some(frame) = frame::next(&mut from).await? {
        flow(shared).await;
        let withheld = answers.withheld(ready + 1);
        if frame.is_ready() {
            ready += 1;
        }
        match withheld {
            None => {
                if client.left.is_none() {
                    client.left = shared.lock_faults().cut();
                }
                if !client.write(&frame).await? {
                    return Ok(());
                }
            }
            Some(Withheld { kept: None, .. }) if frame.is_ready() => return Ok(()),
            Some(Withheld { kept: None, .. }) => {}
            Some(Withheld { kept: Some(releases), .. }) => {
                kept.extend_from_slice(&frame.bytes);
                if frame.is_ready() {
                    released(&mut orders, releases).await;
                    client.to.write_all(&std::mem::take(&mut kept)).await?;
                }
            }
        }
    }
    Ok(())
}

/// Waits until there has been a release since.
async fn released(orders: &mut watch::Receiver<Orders>, before: u64) {
    let _ = orders.wait_for(|orders| orders.releases != before).await;
}

/// The client's side, with the bytes it may still get when the connection is to be cut.
struct Client {
    to: OwnedWriteHalf,
    left: Option<usize>,
}

impl Client {
    /// Writes a message, or as much of it as may pass; false when the connection is to be closed.
    async fn write(&mut self, frame: &Frame) -> Result<bool> {
        let Some(left) = self.left.as_mut() else {
            self.to.write_all(&frame.bytes).await?;
            return Ok(true);
        };
        let passes = frame.bytes.len().min(*left);
        self.to.write_all(frame.bytes.get(..passes).unwrap_or_default()).await?;
        *left -= passes;
        Ok(passes == frame.bytes.len() && *left > 0)
    }
}
