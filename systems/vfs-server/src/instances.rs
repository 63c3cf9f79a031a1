//! Every instance gives a sign of life, and says what it has heard of.

use std::sync::Arc;
use std::time::Duration;

use tidegate_store::postgres::{Failure, Session, Type};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::{App, SCHEMA_NEWEST_KNOWN, text};
use crate::db;

/// How often an instance gives a sign of life.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// After so much silence an instance counts as gone.
pub const LOST_AFTER: Duration = Duration::from_secs(10);
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Gives signs of life until the service ends.
pub async fn beat(app: Arc<App>, mut ended: watch::Receiver<bool>) {
    loop {
        if timeout(BEAT_EVERY, ended.changed()).await.is_ok() {
            return;
        }
        let beaten = match app.pool().get().await {
            Ok(session) => beat_once(&app, &session).await.map_err(|failure| failure.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = beaten {
            tracing::warn!(error, "no sign of life could be given");
        }
    }
}

/// Reads the epochs and the head, and writes the epochs down as seen by this instance.
///
/// # Errors
/// The database's.
pub async fn beat_once(app: &App, session: &Session) -> Result<(), Failure> {
    let sql = include_str!("instances/sql/beat.sql");
    let version = env!("CARGO_PKG_VERSION");
    let rows = session
        .query_prepared(
            sql,
            &[
                text(&app.config().instance),
                text(&version),
                (&SCHEMA_NEWEST_KNOWN, Type::INT4),
                (&db::missing_table_errors(), Type::INT8),
            ],
        )
        .await?;
    let row =
        rows.first().ok_or_else(|| Failure::unusable_answer("vfs_freeze or vfs_feed_head has no row"))?;
    app.saw_freeze_epoch(db::column(row, 0)?);
    let (epoch, seq) = (db::column(row, 1)?, db::column(row, 2)?);
    app.saw_feed_epoch(epoch);
    app.pulse().saw_head(epoch, seq);
    Ok(())
}

/// Takes those off the list that ended without a word more than a day ago.
///
/// # Errors
/// The database's.
pub async fn forget_the_gone(session: &Session) -> Result<(), Failure> {
    let sql = "DELETE FROM vfs_instances WHERE seen_at < clock_timestamp() - interval '1 day'";
    session.execute(sql, &[]).await.map(|_| ())
}

/// Takes the instance off the list.
pub(crate) async fn leave(app: &App) {
    let leaving = async {
        let session = app.pool().get().await.map_err(|error| error.to_string())?;
        let sql = "DELETE FROM vfs_instances WHERE instance = $1";
        session.query(sql, &[text(&app.config().instance)]).await.map_err(|failure| failure.to_string())
    };
    if let Ok(Err(error)) = timeout(GOODBYE, leaving).await {
        tracing::debug!(error, "the goodbye was not heard");
    }
}
