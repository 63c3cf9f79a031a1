//! Signs of life, and requests of other processes, on a connection of their own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tidegate_store::postgres::Session;
use tokio::task::JoinHandle;

use crate::doors::Doors;
use crate::lease;
use crate::request::{self, Request};
use crate::signals::{Signal, Signals};

/// How often requests are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Signs of life are given this many times within a lease.
const BEATS_PER_LEASE: u32 = 4;

/// Requests found and not yet followed, oldest first.
pub(crate) type Inbox = Rc<RefCell<Vec<Request>>>;

/// Ends with its value.
#[derive(Debug)]
pub(crate) struct Heartbeat(JoinHandle<()>);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to give signs of life for `epoch`.
pub(crate) fn start(
    doors: Rc<Doors>,
    epoch: u64,
    lasts: Duration,
    signals: Signals,
    inbox: Inbox,
) -> Heartbeat {
    Heartbeat(tokio::task::spawn_local(async move {
        let application = format!("{}heartbeat", lease::application_prefix(epoch));
        let mut session: Option<Session> = None;
        let mut last_beat = Instant::now();
        // What stood before this runner began waits in the inbox already.
        let mut newest_request = inbox.borrow().iter().map(|request| request.id).max().unwrap_or(0);
        loop {
            let tick = match &session {
                Some(session) => tick(session, epoch, lasts, &mut last_beat).await,
                None => Ok(true),
            };
            match (&session, tick) {
                (_, Ok(false)) => {
                    let why = "another runner took it".to_owned();
                    signals.give(Signal::LeaseLost(why));
                    return;
                }
                (Some(open), Ok(true)) => {
                    if let Ok(requests) = request::after(open, newest_request).await {
                        for request in requests {
                            newest_request = newest_request.max(request.id);
                            if request.body.is_stop() {
                                signals.give(Signal::Stop { by: request.describe() });
                            }
                            inbox.borrow_mut().push(request);
                        }
                    }
                }
                (None, Ok(true)) | (_, Err(_)) => {
                    session = doors.connect_home(&application).await.ok();
                    if session.is_some() {
                        continue;
                    }
                }
            }
            if last_beat.elapsed() > lasts {
                let why = format!("no sign of life reached the server for {} s", lasts.as_secs());
                signals.give(Signal::LeaseLost(why));
                return;
            }
            tokio::time::sleep(LOOK_EVERY.min(lasts / BEATS_PER_LEASE)).await;
        }
    }))
}

async fn tick(
    session: &Session,
    epoch: u64,
    lasts: Duration,
    last_beat: &mut Instant,
) -> Result<bool, tidegate_store::postgres::Failure> {
    if last_beat.elapsed() < lasts / BEATS_PER_LEASE {
        return Ok(true);
    }
    let held = lease::beat(session, epoch, lasts).await?;
    *last_beat = Instant::now();
    Ok(held)
}
