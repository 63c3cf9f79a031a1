//! A TCP proxy in front of a server that loses, delays and cuts on demand.

mod connection;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::fault::{Fault, Faults};
use crate::port::Port;
use crate::{Error, eventually};
use connection::serve;

/// How long the proxy may take to follow an order.
const BOUND: Duration = Duration::from_secs(30);

/// A proxy on 127.0.0.1 for one upstream port.
///
/// It runs on a thread of its own, so that it goes on while a test blocks. It does not speak TLS: clients that ask
/// for it are told *no*, as a server without certificates would.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
}

/// What the proxy's thread and its owner share.
#[derive(Debug)]
struct Shared {
    upstream: u16,
    faults: Mutex<Faults>,
    orders: watch::Sender<Orders>,
    listening: watch::Sender<bool>,
    connections: watch::Sender<usize>,
}

/// What the owner wants at this moment.
#[derive(Debug, Clone, Copy)]
struct Orders {
    /// New connections are taken.
    open: bool,
    /// Nothing is passed on in either direction.
    frozen: bool,
    /// Raised to drop every connection that began before.
    generation: u64,
    /// Raised to let held answers go.
    releases: u64,
    /// The owner is gone.
    ended: bool,
}

impl Proxy {
    /// Starts a proxy in front of a port of this machine and waits until it listens.
    ///
    /// # Errors
    /// When no port is free or the thread cannot be started.
    pub async fn start(upstream: u16) -> Result<Self, Error> {
        let port = Port::reserve()?;
        let orders = Orders { open: true, frozen: false, generation: 0, releases: 0, ended: false };
        let shared = Arc::new(Shared {
            upstream,
            faults: Mutex::new(Faults::default()),
            orders: watch::Sender::new(orders),
            listening: watch::Sender::new(false),
            connections: watch::Sender::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::process("start the runtime of", "the proxy"))?;
        let (thread_shared, number) = (Arc::clone(&shared), port.number());
        std::thread::Builder::new()
            .name("testkit-proxy".to_owned())
            .spawn(move || runtime.block_on(accept(number, thread_shared)))
            .map_err(Error::process("start the thread of", "the proxy"))?;
        let proxy = Self { port, shared };
        proxy.until_listening(true).await?;
        Ok(proxy)
    }

    /// The port that clients connect to instead of the upstream's; see [`Database::url_at`](crate::Database::url_at).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        self.inject_after(0, fault);
    }

    /// Arms a fault that lets the first `pass` matching statements through.
    pub fn inject_after(&self, pass: usize, fault: Fault) {
        self.shared.lock_faults().arm(fault, pass);
    }

    /// Disarms every fault that has not fired.
    pub fn disarm(&self) {
        self.shared.lock_faults().disarm();
    }

    /// How many faults have fired.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.shared.lock_faults().fired()
    }

    /// Waits until this many faults have fired since the proxy's start.
    ///
    /// # Errors
    /// [`Error::Timeout`] when they have not within the bound.
    pub async fn until_fired(&self, count: usize, bound: Duration) -> Result<(), Error> {
        let what = format!("fault number {count} fires");
        eventually(&what, bound, || async { (self.fired() >= count).then_some(()) }).await
    }

    /// How many connections are open through the proxy.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Refuses new connections (nothing listens any more); those that are open go on.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the proxy does not follow.
    pub async fn refuse(&self) -> Result<(), Error> {
        self.order(|orders| orders.open = false);
        self.until_listening(false).await
    }

    /// Drops every open connection. New ones are taken, unless [`Proxy::refuse`] stands.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the proxy does not follow.
    pub async fn drop_all(&self) -> Result<(), Error> {
        self.order(|orders| orders.generation += 1);
        let mut connections = self.shared.connections.subscribe();
        let gone = tokio::time::timeout(BOUND, connections.wait_for(|count| *count == 0)).await;
        gone.map_err(|_| timeout("every connection is dropped")).map(|_| ())
    }

    /// An outage: refuses new connections and drops the open ones.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the proxy does not follow.
    pub async fn outage(&self) -> Result<(), Error> {
        self.refuse().await?;
        self.drop_all().await
    }

    /// Takes new connections again.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the proxy does not follow.
    pub async fn resume(&self) -> Result<(), Error> {
        self.order(|orders| orders.open = true);
        self.until_listening(true).await
    }

    /// Passes nothing on in either direction, on any connection, while all of them stay open: a network that is
    /// silent.
    pub fn freeze(&self) {
        self.order(|orders| orders.frozen = true);
    }

    /// Passes messages on again, beginning with those that came meanwhile.
    pub fn thaw(&self) {
        self.order(|orders| orders.frozen = false);
    }

    /// Lets the answers go of all statements that have set off a [`Fault::HoldAnswerOf`] until now.
    pub fn release(&self) {
        self.order(|orders| orders.releases += 1);
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.shared.orders.send_modify(change);
    }

    async fn until_listening(&self, wanted: bool) -> Result<(), Error> {
        let mut listening = self.shared.listening.subscribe();
        let done = tokio::time::timeout(BOUND, listening.wait_for(|now| *now == wanted)).await;
        let what = if wanted { "the proxy listens" } else { "the proxy stops listening" };
        done.map_err(|_| timeout(what)).map(|_| ())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.order(|orders| orders.ended = true);
    }
}

impl Shared {
    fn lock_faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timeout(what: &str) -> Error {
    Error::Timeout { what: what.to_owned(), bound: BOUND, seen: String::new() }
}

/// Takes connections while it may; ends with the proxy.
async fn accept(port: u16, shared: Arc<Shared>) {
    let mut orders = shared.orders.subscribe();
    loop {
        let Ok(now) = orders.wait_for(|orders| orders.open || orders.ended).await.map(|now| *now) else {
            return;
        };
        if now.ended {
            return;
        }
        // The port is reserved for us; if somebody took it all the same, the owner's wait times out and says so.
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await else { return };
        shared.listening.send_replace(true);
        let shut = orders.wait_for(|orders| !orders.open || orders.ended);
        tokio::pin!(shut);
        loop {
            tokio::select! {
                taken = listener.accept() => {
                    if let Ok((client, _)) = taken {
                        shared.connections.send_modify(|count| *count += 1);
                        tokio::spawn(serve(client, Arc::clone(&shared)));
                    }
                }
                _ = &mut shut => break,
            }
        }
        drop(listener);
        shared.listening.send_replace(false);
    }
}
