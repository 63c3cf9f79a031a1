//! The service as a value.

use crate::config::Config;
use crate::http::Figures;
use crate::keys::Keys;
use crate::operations::{Ledger, LedgerError};

/// The migration that this service needs.
pub const SCHEMA_NEEDED: &str = "0019";

/// Why the service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database cannot be asked.
    #[error("the database cannot be used: {0}")]
    Ledger(#[from] LedgerError),
    /// The schema is too old.
    #[error("the database lacks migration {SCHEMA_NEEDED}; run the runbook economic-ledger.md first")]
    Schema,
}

/// The service. It lives as long as the process serves.
#[derive(Debug)]
pub struct App {
    config: Config,
    ledger: Ledger,
    keys: Keys,
    figures: Figures,
}

impl App {
    /// The service that a configuration describes, on a database that has the schema it needs.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: Config) -> Result<App, AppError> {
        let ledger = Ledger::open(&config).map_err(LedgerError::from)?;
        let app = App { config, ledger, keys: Keys::default(), figures: Figures::default() };
        if app.is_ready().await? { Ok(app) } else { Err(AppError::Schema) }
    }

    /// Whether the database answers and has the schema.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn is_ready(&self) -> Result<bool, LedgerError> {
        let session = self.ledger.application().get().await?;
        let sql = "SELECT to_regclass('public.tenant_totals') IS NOT NULL";
        let rows = session.query(sql, &[]).await?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false))
    }

    /// What the environment said.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The keys of services.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }
}
