//! The service as a value.

use crate::config::Config;
use crate::http::Figures;
use crate::keys::Keys;
use crate::operations::{Ledger, LedgerError};

/// Why the service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database cannot be asked.
    #[error("the database cannot be used: {}", .0.told())]
    Ledger(#[from] LedgerError),
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
        app.look().await?;
        if app.ledger.system().is_ok() {
            app.ledger.look_as_system().await?;
        }
        Ok(app)
    }

    /// Looks whether the database answers and has the schema.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn look(&self) -> Result<(), LedgerError> {
        self.ledger.look_as_application().await
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
