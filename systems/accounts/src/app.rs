//! The service as a value: what it was told, and what it holds.

use std::time::Duration;

use tidegate_store::postgres::{Pool, PoolError, PoolOptions, Pooled, TxOptions, TxOutcome};
use tidegate_switch::{Environment, NotReady, Request, Switch, SwitchOptions};

use crate::alias::AliasUses;
use crate::auth::{HashError, Passwords};
use crate::config::{AuthConfig, Config};
use crate::flags::{ACCOUNTS_SET, ALIAS_COLUMN, ALIAS_SET};
use crate::http::Refusal;
use crate::http::RequestFigures;
use crate::operation::{Operation, Performed, perform};
use crate::store::{StoreError, User};
use crate::write::Write;

/// How long a write may wait for a lock that another one holds.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How long one statement may take.
const STATEMENT_BOUND: Duration = Duration::from_secs(20);
/// How often idle sessions of the pool are looked for: half of the time that they may be idle, within these bounds.
const IDLE_LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(10));
/// How often a write is tried.
const ATTEMPTS: u32 = 4;

/// Why the service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Passwords cannot be hashed.
    #[error(transparent)]
    Passwords(#[from] HashError),
    /// There is no pool.
    #[error("no pool of connections could be made: {0}")]
    Pool(#[from] PoolError),
}

/// The service. It lives as long as the process serves.
#[derive(Debug)]
pub struct App {
    auth: Option<AuthConfig>,
    passwords: Passwords,
    backend: Option<Backend>,
    alias_uses: AliasUses,
    figures: RequestFigures,
}

/// The database and the flags.
#[derive(Debug)]
pub struct Backend {
    pool: Pool,
    /// A session of the pool that nobody uses is ended after so long.
    pool_idle: Duration,
    accounts: Switch,
    alias: Switch,
}

impl App {
    /// The service that a configuration and the four flag variables describe. A database that does not answer is no
    /// error: the service says so until it does.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: &Config, flags: (Environment, Environment)) -> Result<App, AppError> {
        let backend = match &config.database {
            Some(_) => Backend::start(config, flags).await?,
            None => None,
        };
        Ok(App {
            auth: config.auth.clone(),
            passwords: Passwords::new(config.hash_cost)?,
            backend,
            alias_uses: AliasUses::default(),
            figures: RequestFigures::default(),
        })
    }

    /// The database and the flags; `None` without `DATABASE_URL`.
    #[must_use]
    pub fn backend(&self) -> Option<&Backend> {
        self.backend.as_ref()
    }

    /// How signing in works; `None` without `AUTH_SECRET` or `AUTH_BASE_URL`.
    #[must_use]
    pub fn auth(&self) -> Option<&AuthConfig> {
        self.auth.as_ref()
    }

    /// Who still says `workspaceId`.
    #[must_use]
    pub fn alias_uses(&self) -> &AliasUses {
        &self.alias_uses
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    pub(crate) fn figures(&self) -> &RequestFigures {
        &self.figures
    }

    /// Keeps in the database what was counted of the alias; where that fails it stays counted here.
    pub async fn save_alias_uses(&self) {
        let Some(backend) = self.backend.as_ref().filter(|_| self.alias_uses.is_unsaved()) else { return };
        let saved = match backend.pool.get().await {
            Ok(session) => self.alias_uses.save(&session).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = saved {
            tracing::debug!(error, "uses of the alias are not saved yet");
        }
    }

    /// Ends what nobody uses of the pool, again and again, until this future is dropped.
    pub(crate) async fn end_idle_sessions(&self) {
        let Some(backend) = &self.backend else { return };
        loop {
            tokio::time::sleep((backend.pool_idle / 2).clamp(IDLE_LOOKS.0, IDLE_LOOKS.1)).await;
            let ended = backend.pool.end_idle(backend.pool_idle);
            tracing::debug!(ended, "idle sessions of the pool were ended");
        }
    }

    /// Ends in good order, once no request is let in any more: waits for the open ones, says goodbye to the flags.
    /// Returns the requests that were still open when the time was up.
    pub async fn stop(&self, within: Duration) -> u64 {
        self.save_alias_uses().await;
        let Some(backend) = &self.backend else { return 0 };
        let open = backend.accounts.stop(within).await + backend.alias.stop(within).await;
        backend.pool.close();
        open
    }
}

impl Backend {
    async fn start(
        config: &Config,
        (accounts, alias): (Environment, Environment),
    ) -> Result<Option<Backend>, PoolError> {
        let Some(address) = &config.database else { return Ok(None) };
        let options = |set: &str, environment: Environment| {
            let mut options = SwitchOptions::new(set, address.clone(), environment);
            if !config.instance.is_empty() {
                options.name.clone_from(&config.instance);
            }
            options.host = std::env::var("HOSTNAME").unwrap_or_default();
            env!("CARGO_PKG_VERSION").clone_into(&mut options.version);
            options.lost_after = config.flags_lost_after;
            options.transactions = TxOptions {
                lock_timeout: Some(LOCK_WAIT),
                statement_timeout: Some(STATEMENT_BOUND),
                idle_in_transaction_timeout: Some(STATEMENT_BOUND),
                attempts: ATTEMPTS,
                jitter_seed: u64::from(std::process::id()),
                application_prefix: "accounts:".to_owned(),
                ..TxOptions::default()
            };
            options
        };
        let pool = Pool::new(
            address.clone(),
            PoolOptions {
                size: config.pool_max,
                wait: config.connect_timeout,
                application_name: "accounts".to_owned(),
            },
        )?;
        let (accounts, alias) = (options(ACCOUNTS_SET, accounts), options(ALIAS_SET, alias));
        let accounts = Switch::start(accounts).await;
        let alias = Switch::start(alias).await;
        Ok(Some(Backend { pool, pool_idle: config.pool_idle, accounts, alias }))
    }

    /// The switch of the set `accounts`.
    #[must_use]
    pub fn accounts(&self) -> &Switch {
        &self.accounts
    }

    /// The switch of the set `alias`.
    #[must_use]
    pub fn alias(&self) -> &Switch {
        &self.alias
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) async fn session(&self) -> Result<Pooled, Refusal> {
        self.pool.get().await.map_err(|error| {
            tracing::warn!(%error, "no session of the pool");
            Refusal::unavailable(
                "ACCOUNT_STORAGE_UNAVAILABLE",
                "The database cannot be reached now. Try again.",
            )
        })
    }

    pub(crate) fn request(&self) -> Result<Request, Refusal> {
        self.accounts.request().map_err(|error| not_serving(&error))
    }

    /// Whether a workspace may be named now.
    pub(crate) fn accepts_alias(&self) -> Result<bool, Refusal> {
        let request = self.alias.request().map_err(|error| not_serving(&error))?;
        Ok(request.is_on(ALIAS_COLUMN).unwrap_or(true))
    }

    /// Performs an operation for a user, in one transaction: the barrier, the change, and the copy for the other
    /// schema.
    pub(crate) async fn perform(
        &self,
        user: &User,
        account: &str,
        operation: &Operation,
    ) -> Result<Performed, Refusal> {
        let session = self.session().await?;
        let mut writing = self.accounts.writing(&session, operation.name(), self.accounts.transactions());
        let outcome = loop {
            let ended = match writing.begin().await {
                Ok(flags) => attempt(Write::begin(&session, flags.stage()), user, account, operation).await,
                Err(failure) => Err(failure.into()),
            };
            if let Some(outcome) = writing.end(ended).await {
                break outcome;
            }
        };
        match outcome {
            TxOutcome::Committed(performed) => Ok(performed),
            TxOutcome::RolledBack(error) => {
                if matches!(error, StoreError::Mirror { .. }) {
                    self.accounts.mirror_failed();
                }
                Err(error.into())
            }
            TxOutcome::Unknown(failure) => {
                tracing::warn!(%failure, operation = operation.name(), "a commit was not answered");
                Err(Refusal::unavailable(
                    "ACCOUNT_OUTCOME_UNKNOWN",
                    "The connection was lost while the change was kept; whether it was is not known. Look before you \
                     try again.",
                ))
            }
        }
    }
}

/// One attempt at an operation, within a transaction that is open.
async fn attempt(
    mut write: Write<'_>,
    user: &User,
    account: &str,
    operation: &Operation,
) -> Result<Performed, StoreError> {
    let performed = perform(&mut write, user, account, operation).await?;
    write.mirror().await?;
    Ok(performed)
}

fn not_serving(error: &NotReady) -> Refusal {
    Refusal::unavailable("ACCOUNT_INSTANCE_NOT_READY", error.to_string())
}
