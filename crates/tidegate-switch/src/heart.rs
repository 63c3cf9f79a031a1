//! Signs of life in the background.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidegate_flags::{Beat, FlagsError, beat, leave};
use tidegate_store::postgres::{Failure, Session};
use tokio::time::timeout;

use crate::clock;
use crate::state::{Heard, Tables};
use crate::switch::{Shared, failure};

/// Whether the functions that an instance calls are there. Fails where they are and this role may not see them.
const LOOK: &str = "SELECT pg_catalog.to_regprocedure('tidegate.flag_enter(text)') IS NOT NULL";

/// Signs in a row that are given at once because there is news; then the next waits its turn.
const AT_ONCE_MAX: u32 = 3;

/// The first sign and, where it brought a row, the second, which says that it was seen. Returns the session for more.
pub(crate) async fn first(shared: &Shared) -> Option<Session> {
    let mut session = None;
    give(shared, &mut session).await;
    session
}

/// Gives signs until the instance has ended and no request is open.
pub(crate) async fn run(shared: Arc<Shared>, mut session: Option<Session>) {
    loop {
        shared.until_next_beat().await;
        if shared.state().is_over() {
            break;
        }
        give(&shared, &mut session).await;
    }
    if let Some(session) = session {
        if shared.state().tables() == Tables::Ruling {
            let left =
                timeout(shared.options.patience(), leave(&session, &shared.options.set, shared.instance));
            if !matches!(left.await, Ok(Ok(()))) {
                tracing::warn!(set = shared.options.set, "an instance could not say that it ended");
            }
        }
        session.close().await;
    }
}

/// Gives a sign and takes in the answer, again at once while that is news that others wait for.
async fn give(shared: &Shared, session: &mut Option<Session>) {
    for _ in 0..AT_ONCE_MAX {
        let (seen, drained) = {
            let state = shared.state();
            (state.seen(), state.drained())
        };
        let heard = one(shared, session, seen, drained).await;
        if let Heard::Failure(why) = &heard {
            shared.figures().beat_failures.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(set = shared.options.set, why, "a sign of life failed");
            shared.state().hear(heard, clock::now());
            return;
        }
        let mut state = shared.state();
        state.hear(heard, clock::now());
        if (state.seen(), state.drained()) == (seen, drained) {
            return;
        }
    }
}

/// One sign within its time. A session that failed is not used again.
async fn one(shared: &Shared, session: &mut Option<Session>, seen: u64, drained: u64) -> Heard {
    let patience = shared.options.patience();
    match timeout(patience, ask(shared, session, seen, drained)).await {
        Ok(Ok(heard)) => heard,
        Ok(Err(failure)) => {
            *session = None;
            Heard::Failure(failure.to_string())
        }
        Err(_) => {
            if let Some(stuck) = session.take() {
                let cancel = stuck.cancel_handle();
                // What waits in the server for a lock would wait on; nobody needs to wait for its end.
                tokio::spawn(async move { cancel.cancel().await });
            }
            Heard::Failure(format!("no answer within {} ms", patience.as_millis()))
        }
    }
}

async fn ask(
    shared: &Shared,
    session: &mut Option<Session>,
    seen: u64,
    drained: u64,
) -> Result<Heard, Failure> {
    let options = &shared.options;
    let sent = clock::now();
    if session.as_ref().is_none_or(Session::is_closed) {
        *session = None;
        let name = format!("{} switch {}", options.name, options.set);
        *session = Some(Session::connect(&options.address, &name).await?);
    }
    let Some(session) = session.as_ref() else { return Ok(Heard::Failure("no session".to_owned())) };
    let (tables, contradiction) = {
        let state = shared.state();
        (state.tables(), state.contradiction().map(str::to_owned))
    };
    let absent = Heard::Nothing { tables: Tables::Absent, sent };
    if tables == Tables::Absent && !session.run(LOOK).await?.first().is_some_and(tidegate_flags::looked) {
        return Ok(absent);
    }
    let sign = Beat {
        set: &options.set,
        instance: shared.instance,
        name: &options.name,
        host: &options.host,
        version: &options.version,
        lost_after: options.lost_after,
        seen_epoch: seen,
        drained_epoch: drained,
        contradiction: contradiction.as_deref(),
        rewrite_after: options.rewrite_after(),
    };
    match beat(session, &sign).await {
        Ok(Some(answer)) => Ok(Heard::Row { row: answer.row, sent, age: answer.age }),
        Ok(None) => Ok(Heard::Nothing { tables: Tables::Undeclared, sent }),
        Err(FlagsError::NotInstalled) => Ok(absent),
        Err(error) => Err(failure(error)),
    }
}
