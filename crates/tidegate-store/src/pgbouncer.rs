//! The pooler's console: `SHOW …` and nothing else.
//!
//! The console speaks the simple protocol only; it knows neither `BEGIN` nor parameters nor prepared statements.

use std::time::Duration;

use tokio::time::timeout;

use crate::postgres::{Address, Failure, Session};

/// How long the console may take to answer.
pub const SHOW_TIMEOUT: Duration = Duration::from_secs(10);

/// What a `SHOW` of the console returned: every value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Why the console could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleFailure {
    /// What answered is a database, not a pooler's console.
    #[error(
        "{address} is not a PgBouncer console (it says its version is {version}); name the database 'pgbouncer'"
    )]
    NotAConsole {
        /// The address, without its password.
        address: String,
        /// What the server says it is.
        version: String,
    },
    /// The word after SHOW is not one.
    #[error("'SHOW {what}' cannot be asked of the console; name one list, such as POOLS or CLIENTS")]
    BadName {
        /// What was asked for.
        what: String,
    },
    /// The console answered with no list.
    #[error("the console answered 'SHOW {what}' without rows to read")]
    NoList {
        /// What was asked for.
        what: String,
    },
    /// The console took the question and did not answer.
    #[error("the PgBouncer console at {address} did not answer within {SHOW_TIMEOUT:?}")]
    Silent {
        /// The address, without its password.
        address: String,
    },
    /// The console could not be reached, or refused.
    #[error("the PgBouncer console at {address} did not answer")]
    Failed {
        /// The address, without its password.
        address: String,
        /// Why.
        #[source]
        source: Failure,
    },
}

/// Asks the console at `address` (whose database is `pgbouncer`) for a list: `show(address, "POOLS")`.
///
/// # Errors
/// [`ConsoleFailure::NotAConsole`] when a database answers, so that nobody reads a server's own `SHOW`.
pub async fn show(address: &Address, what: &str) -> Result<Rows, ConsoleFailure> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    // SHOW STATS TOTALS is the longest: two words.
    if !(what.split(' ').count() <= 2 && what.split(' ').all(is_word)) {
        return Err(ConsoleFailure::BadName { what: what.to_owned() });
    }
    let failed = |source| ConsoleFailure::Failed { address: address.redacted(), source };
    let session = Session::connect(address, "tidegate").await.map_err(failed)?;
    if !session.server_version().ends_with("/bouncer") {
        let version = session.server_version().to_owned();
        session.close().await;
        return Err(ConsoleFailure::NotAConsole { address: address.redacted(), version });
    }
    let asked = timeout(SHOW_TIMEOUT, async { session.run(&format!("SHOW {what}")).await }).await;
    session.close().await;
    let Ok(answers) = asked else {
        return Err(ConsoleFailure::Silent { address: address.redacted() });
    };
    answers
        .map_err(failed)?
        .into_iter()
        .find(|answer| !answer.columns.is_empty())
        .map(|answer| Rows { columns: answer.columns, rows: answer.rows })
        .ok_or_else(|| ConsoleFailure::NoList { what: what.to_owned() })
}
