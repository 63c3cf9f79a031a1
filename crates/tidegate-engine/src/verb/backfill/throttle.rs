//! What makes a backfill slow down, looked at again and again on a session of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tidegate_runbook::{Backfill, Expectation, SqlBody, Throttle};
use tidegate_store::postgres::Session;
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::job::Job;
use crate::question::sql::ask_alone;
use crate::verb::backfill::ground::Ground;
use crate::verb::backfill::positions::Positions;
use crate::verdict::Verdict;

/// How often the reasons are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Why, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Throttled {
    pub(super) why: String,
    since: jiff::Timestamp,
}

impl std::fmt::Display for Throttled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, since {}", self.why, self.since.strftime("%H:%M:%S"))
    }
}

/// What holds before the first look: a copy that may be slowed trickles until it is known that it need not be.
pub(super) fn before_the_first_look(backfill: &Backfill) -> Option<Throttled> {
    let unknown = !backfill.throttles.is_empty();
    unknown.then(|| Throttled {
        why: "its reasons to slow down were not looked at yet".to_owned(),
        since: jiff::Timestamp::now(),
    })
}

/// Looks until the copy ends; comes back only with a failure of the session.
pub(super) async fn watch(
    session: &Session,
    job: Job<'_>,
    backfill: &Backfill,
    ground: &Ground,
    throttled: &Rc<RefCell<Option<Throttled>>>,
) -> StepError {
    if backfill.throttles.is_empty() {
        return std::future::pending().await;
    }
    let mut positions = Positions::default();
    loop {
        let found = match look(session, job, backfill, ground, &mut positions).await {
            Ok(found) => found,
            Err(error) => return error,
        };
        let known = throttled.borrow().clone();
        let now = match (found, known) {
            (None, _) => None,
            (Some(why), Some(known)) => Some(Throttled { why, since: known.since }),
            (Some(why), None) => Some(Throttled { why, since: jiff::Timestamp::now() }),
        };
        *throttled.borrow_mut() = now;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The first reason that applies now.
async fn look(
    session: &Session,
    job: Job<'_>,
    backfill: &Backfill,
    ground: &Ground,
    positions: &mut Positions,
) -> Result<Option<String>, StepError> {
    for throttle in &backfill.throttles {
        let found = match throttle {
            Throttle::ReplicaLag(most) => replica_lag(session, *most, positions).await?,
            Throttle::LockWaiters(most) => lock_waiters(session, job, *most).await?,
            Throttle::Autovacuum => autovacuum(session, ground).await?,
            Throttle::Canary { limit, query } => canary(session, job, query, *limit).await,
            Throttle::Sql(query) => asked(session, job, query).await,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn replica_lag(
    session: &Session,
    most: Duration,
    positions: &mut Positions,
) -> Result<Option<String>, StepError> {
    let rows = session.query(include_str!("replica_lag.sql"), &[]).await?;
    let mut worst: Option<(String, f64)> = None;
    for row in &rows {
        let (name, told, replayed): (String, f64, i64) = (row.get(0), row.get(1), row.get(2));
        let lag = told.max(positions.age(Instant::now(), replayed).as_secs_f64());
        if worst.as_ref().is_none_or(|(_, known)| lag > *known) {
            worst = Some((name, lag));
        }
    }
    let replayed_by_all = rows.iter().map(|row| row.get::<_, i64>(2)).min();
    if let (Some(row), Some(replayed)) = (rows.first(), replayed_by_all) {
        positions.note(Instant::now(), row.get(3), replayed);
    }
    let lags = worst.filter(|(_, lag)| *lag > most.as_secs_f64());
    Ok(lags.map(|(name, lag)| format!("standby {name} is {lag:.1} s behind")))
}

async fn lock_waiters(session: &Session, job: Job<'_>, most: u32) -> Result<Option<String>, StepError> {
    let prefix = job.application();
    let rows = session.query(include_str!("lock_waiters.sql"), &[(&prefix, Type::TEXT)]).await?;
    let waiters: i64 = rows.first().map_or(0, |row| row.get(0));
    Ok((waiters > i64::from(most)).then(|| format!("{waiters} sessions wait for locks that the copy holds")))
}

async fn autovacuum(session: &Session, ground: &Ground) -> Result<Option<String>, StepError> {
    let tables = [ground.source.as_str(), ground.target.as_str()];
    let rows =
        session.query(include_str!("autovacuum.sql"), &[(&tables.as_slice(), Type::TEXT_ARRAY)]).await?;
    Ok(rows.first().map(|row| format!("{} is being vacuumed", row.get::<_, String>(0))))
}

async fn canary(session: &Session, job: Job<'_>, query: &SqlBody, limit: Duration) -> Option<String> {
    let question = job.question(query, &[]);
    let begun = Instant::now();
    let answered = ask_alone(session, &question).await;
    let took = begun.elapsed();
    match answered.verdict {
        Verdict::Unknown(why) | Verdict::Fail(why) => Some(format!("the canary was not answered: {why}")),
        Verdict::Pass if took > limit => {
            Some(format!("the canary took {} ms of {} ms", took.as_millis(), limit.as_millis()))
        }
        Verdict::Pass => None,
    }
}

async fn asked(session: &Session, job: Job<'_>, query: &SqlBody) -> Option<String> {
    let expect = [Expectation::True];
    match ask_alone(session, &job.question(query, &expect)).await.verdict {
        Verdict::Pass => Some("the page's condition holds".to_owned()),
        Verdict::Fail(_) => None,
        Verdict::Unknown(why) => Some(format!("the page's condition could not be asked: {why}")),
    }
}
