//! The service as a value: what it was told, and what it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

use tidegate_store::postgres::{Failure, Pool, PoolError, PoolOptions, Session, Type};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::auth::TokenSecret;
use crate::blob::Readiness;
use crate::blob::config::BlobConfigError;
use crate::blob::store::BlobStore;
use crate::config::Config;
use crate::crdt::Lanes;
use crate::db;
use crate::feed::Pulse;
use crate::http::{BodyPlaces, RequestFigures, UserPlace, UserPlaces};
use crate::instances;

/// The oldest schema that this program serves.
pub const SCHEMA_OLDEST: i32 = 23;
/// The newest migration that this program knows of.
pub const SCHEMA_NEWEST_KNOWN: i32 = 27;

/// Streams of events that one instance keeps open, and those of one user.
const STREAMS_MAX: usize = 1_000;
const STREAMS_OF_USER_MAX: usize = 8;
/// Snapshots that one instance works on at a time, and those of one user: each holds everything that a user sees.
const SNAPSHOTS_MAX: usize = 8;
const SNAPSHOTS_OF_USER_MAX: usize = 2;

/// Why the service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no pool, or no session.
    #[error("the database cannot be used: {0}")]
    Pool(#[from] PoolError),
    /// The database refused.
    #[error("the database cannot be used: {0}")]
    Store(#[from] Failure),
    /// The object store cannot be set up as the environment says.
    #[error("{0}")]
    Blobs(BlobConfigError),
    /// The schema is too old.
    #[error(
        "the database's schema is at version {found}, and this server needs {SCHEMA_OLDEST} or newer; run `vfs-server migrate` first"
    )]
    Schema {
        /// Its version; 0: none.
        found: i32,
    },
}

/// The service. It lives as long as the process serves.
#[derive(Debug)]
pub struct App {
    config: Config,
    pool: Pool,
    blob_store: Result<BlobStore, BlobConfigError>,
    blob_readiness: Readiness,
    figures: RequestFigures,
    feed_epoch: AtomicI32,
    freeze_epoch: AtomicI64,
    pulse: Pulse,
    streams: UserPlaces,
    snapshots: UserPlaces,
    push_lanes: Lanes,
    bodies: BodyPlaces,
    uploads: Arc<Semaphore>,
    ending: watch::Sender<bool>,
}

impl App {
    /// The service that a configuration describes, on a database whose schema it serves.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: Config) -> Result<App, AppError> {
        let options = PoolOptions {
            size: config.pool_max,
            wait: config.connect_timeout,
            application_name: "vfs-server".to_owned(),
        };
        let pool = Pool::new(config.database.clone(), options)?;
        let blob_store = config.blobs.clone().and_then(BlobStore::open);
        match &blob_store {
            Err(error) if error.is_unset() => tracing::error!(%error, "blobs cannot be stored or read"),
            Err(error) => return Err(AppError::Blobs(error.clone())),
            Ok(_) => {}
        }
        let uploads = Arc::new(Semaphore::new(config.uploads_max));
        let app = App {
            config,
            pool,
            blob_store,
            blob_readiness: Readiness::default(),
            figures: RequestFigures::default(),
            feed_epoch: AtomicI32::new(0),
            freeze_epoch: AtomicI64::new(0),
            pulse: Pulse::default(),
            streams: UserPlaces::new(STREAMS_MAX, STREAMS_OF_USER_MAX),
            snapshots: UserPlaces::new(SNAPSHOTS_MAX, SNAPSHOTS_OF_USER_MAX),
            push_lanes: Lanes::default(),
            bodies: BodyPlaces::default(),
            uploads,
            ending: watch::Sender::new(false),
        };
        let session = app.pool.get().await?;
        let found = schema_version(&session).await?;
        if found < SCHEMA_OLDEST {
            return Err(AppError::Schema { found });
        }
        instances::forget_the_gone(&session).await?;
        instances::beat_once(&app, &session).await?;
        drop(session);
        Ok(app)
    }

    /// What the environment said.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The sessions of the database.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn push_lanes(&self) -> &Lanes {
        &self.push_lanes
    }

    pub(crate) fn blob_readiness(&self) -> &Readiness {
        &self.blob_readiness
    }

    pub(crate) fn blob_store(&self) -> Result<&BlobStore, &BlobConfigError> {
        self.blob_store.as_ref()
    }

    pub(crate) fn token_secret(&self) -> Option<&TokenSecret> {
        self.config.token_secret.as_ref()
    }

    pub(crate) fn figures(&self) -> &RequestFigures {
        &self.figures
    }

    /// The epoch of the feeds, as last heard of.
    #[must_use]
    pub fn feed_epoch(&self) -> i32 {
        self.feed_epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn saw_feed_epoch(&self, epoch: i32) {
        self.feed_epoch.store(epoch, Ordering::Relaxed);
    }

    /// The epoch of the freeze, as last heard of.
    #[must_use]
    pub fn freeze_epoch(&self) -> i64 {
        self.freeze_epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn saw_freeze_epoch(&self, epoch: i64) {
        self.freeze_epoch.store(epoch, Ordering::Relaxed);
    }

    /// Beats when the feeds may have come further.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub(crate) fn body_places(&self) -> &BodyPlaces {
        &self.bodies
    }

    /// A place for one more stream of a user's; `None`: there are too many, or the user has too many.
    pub(crate) fn stream_place(&self, user: &str) -> Option<UserPlace> {
        self.streams.take(user)
    }

    /// A place for one more snapshot of a user's; `None`: there are too many, or the user has too many.
    pub(crate) fn snapshot_place(&self, user: &str) -> Option<UserPlace> {
        self.snapshots.take(user)
    }

    /// A place for one more upload of raw bytes, free again when it is dropped; `None`: there are too many.
    pub(crate) fn upload_place(&self) -> Option<OwnedSemaphorePermit> {
        self.uploads.clone().try_acquire_owned().ok()
    }

    /// Tells answers that have no end of their own that the service is ending.
    pub fn begin_ending(&self) {
        self.ending.send_replace(true);
    }

    /// Changes to true when the service is ending.
    #[must_use]
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Ends in good order, once no request is let in any more.
    pub async fn stop(&self) {
        instances::leave(self).await;
        self.pool.close();
    }
}

/// The newest version that is applied to a database; 0 where there is none.
///
/// # Errors
/// The database's.
pub async fn schema_version(session: &Session) -> Result<i32, Failure> {
    let there = session.query("SELECT to_regclass('schema_migrations') IS NOT NULL", &[]).await?;
    let is_there: bool = there.first().map_or(Ok(false), |row| db::column(row, 0))?;
    if !is_there {
        return Ok(0);
    }
    let newest = session.query("SELECT coalesce(max(version), 0) FROM schema_migrations", &[]).await?;
    newest.first().map_or(Ok(0), |row| db::column(row, 0))
}

/// A parameter of type text, for statements of this crate.
pub(crate) fn text(
    value: &(dyn tidegate_store::postgres::ToSql + Sync),
) -> (&(dyn tidegate_store::postgres::ToSql + Sync), Type) {
    (value, Type::TEXT)
}
