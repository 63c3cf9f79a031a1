//! Sessions: rows that tokens name, and that end tokens when they end.

use std::time::Duration;

use tidegate_store::postgres::{Failure, Session, Type};
use uuid::Uuid;

use super::token::{Claims, TokenError, TokenSecret};

/// How long a session lasts that an operator starts.
pub const SESSION_LIFE_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The database refused or did not answer.
    #[error(transparent)]
    Store(#[from] Failure),
    /// Nobody has that id.
    #[error("there is no user {0}")]
    NoUser(String),
    /// The token cannot be made.
    #[error("no token could be made: {0}")]
    Token(#[from] TokenError),
}

/// Whether a session is open, and is that user's.
pub(super) async fn is_open(session: &Session, claims: &Claims) -> Result<bool, Failure> {
    let sql = include_str!("sql/session_is_open.sql");
    let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
        [(&claims.session_id, Type::TEXT), (&claims.user_id, Type::TEXT)];
    let rows = session.query_prepared(sql, &parameters).await?;
    rows.first().map_or(Ok(false), |row| crate::db::column(row, 0))
}

/// Starts a session for a user and returns its token.
///
/// # Errors
/// [`SessionError`].
pub async fn start_session(
    session: &Session,
    secret: &TokenSecret,
    user: &str,
    life: Duration,
) -> Result<String, SessionError> {
    let id = Uuid::new_v4().to_string();
    let sql = include_str!("sql/start_session.sql");
    let seconds = life.as_secs_f64();
    let rows =
        session.query(sql, &[(&id, Type::TEXT), (&user, Type::TEXT), (&seconds, Type::FLOAT8)]).await?;
    let row = rows.first().ok_or_else(|| SessionError::NoUser(user.to_owned()))?;
    let expires_s: i64 = crate::db::column(row, 0)?;
    Ok(secret.sign(&Claims { user_id: user.to_owned(), session_id: id }, expires_s)?)
}
