//! What whoever runs this is told: whether the database is what it must be, and what to do next about an error.

use tidegate_store::postgres::{FailureKind, Pool, PoolError, Type};

use crate::operations::{Ledger, LedgerError};

/// The migration that this program needs, and by what it is known to be there.
pub const SCHEMA_NEEDED: &str = "0019";
const SCHEMA_KNOWN_BY: &str = "public.tenant_totals";

impl Ledger {
    /// Looks whether the application's database has the schema that this program needs.
    ///
    /// # Errors
    /// [`LedgerError::Schema`], or that it cannot be asked.
    pub async fn look_as_application(&self) -> Result<(), LedgerError> {
        look_at_schema(self.application()).await
    }

    /// Looks whether the system's login has that schema before it, and sees every tenant's rows: a look across tenants
    /// that saw none would find nothing wrong.
    ///
    /// # Errors
    /// [`LedgerError::Schema`], [`LedgerError::Blind`], [`LedgerError::NoSystem`], or that it cannot be asked.
    pub async fn look_as_system(&self) -> Result<(), LedgerError> {
        let pool = self.system()?;
        look_at_schema(pool).await?;
        let session = pool.get().await?;
        let rows = session.query(include_str!("sql/sees_all.sql"), &[]).await?;
        let read = rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?)));
        let (role, sees_all): (String, bool) =
            read.ok_or_else(|| LedgerError::Answer("nothing, asked which role this is".to_owned()))?;
        if sees_all { Ok(()) } else { Err(LedgerError::Blind { role }) }
    }
}

async fn look_at_schema(pool: &Pool) -> Result<(), LedgerError> {
    let session = pool.get().await?;
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let rows = session.query(sql, &[(&SCHEMA_KNOWN_BY, Type::TEXT)]).await?;
    let is_there = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false);
    if is_there { Ok(()) } else { Err(LedgerError::Schema) }
}

impl LedgerError {
    /// What to do next; `None`: the error says it itself.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let failure = match self {
            LedgerError::Store(failure) | LedgerError::Pool(PoolError::Store(failure)) => failure,
            _ => return None,
        };
        Some(match failure.kind() {
            FailureKind::CannotConnect | FailureKind::ConnectionLost | FailureKind::ServerShuttingDown => {
                "look whether the database, or the pooler before it, runs where DATABASE_URL and DATABASE_SYSTEM_URL say; then do the same again, which does nothing twice"
            }
            FailureKind::PermissionDenied | FailureKind::WrongPassword => {
                "DATABASE_URL must log in as arrakis_app, DATABASE_SYSTEM_URL as arrakis_admin"
            }
            FailureKind::DatabaseMissing => {
                "DATABASE_URL and DATABASE_SYSTEM_URL must name the ledger's database"
            }
            FailureKind::ReadOnlyServer => {
                "this server only reads, as a standby does: DATABASE_URL must lead to the one that writes"
            }
            FailureKind::DiskFull => {
                "make room where the database keeps its files; then do the same again, which does nothing twice"
            }
            FailureKind::TooManyConnections => {
                "end sessions that nobody needs, give this program fewer (DATABASE_POOL_MAX), or allow the server more"
            }
            FailureKind::LockTimeout => {
                "another transaction holds a lock: find it in pg_stat_activity, end it if it must be, and try again"
            }
            FailureKind::Cancelled => {
                "it took longer than it may, or somebody cancelled it: look in pg_stat_activity what the server is busy with"
            }
            _ => return None,
        })
    }

    /// All that there is to say of it, in one line.
    #[must_use]
    pub fn told(&self) -> String {
        match self.advice() {
            None => self.to_string(),
            Some(advice) => format!("{self}; {advice}"),
        }
    }
}
