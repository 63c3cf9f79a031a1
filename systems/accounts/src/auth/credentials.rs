//! Passwords and sessions in the database.

use tidegate_store::postgres::{Session, Type};

use super::SESSION_DAYS;
use super::token::{AuthSecret, Token};
use crate::store::{StoreError, User, column};

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Who it is.
    pub user: User,
    /// The PHC string.
    pub password_hash: String,
}

/// Somebody who will be able to sign in.
#[derive(Debug)]
pub struct NewCredential<'a> {
    /// The fresh id.
    pub user: &'a User,
    /// The PHC string.
    pub password_hash: &'a str,
}

/// The credential of an address, which is given in lower case.
///
/// # Errors
/// The database's.
pub async fn credential_of(session: &Session, email: &str) -> Result<Option<Credential>, StoreError> {
    let sql =
        "SELECT user_id, email, coalesce(name, ''), password_hash FROM auth_credentials WHERE email = $1";
    let rows = session.query(sql, &[(&email, Type::TEXT)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let user = User { id: column(row, 0)?, email: column(row, 1)?, name: column(row, 2)? };
    Ok(Some(Credential { user, password_hash: column(row, 3)? }))
}

/// Whether somebody has an address, whether or not they can sign in here.
///
/// # Errors
/// The database's.
pub async fn is_address_taken(session: &Session, email: &str) -> Result<bool, StoreError> {
    let rows = session.query(include_str!("sql/is_address_taken.sql"), &[(&email, Type::TEXT)]).await?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

/// Adds somebody who can sign in.
///
/// # Errors
/// The database's; [`StoreError::Taken`] where another has the address.
pub async fn add_credential(session: &Session, new: &NewCredential<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO auth_credentials (user_id, email, name, password_hash)
               VALUES ($1, $2, nullif($3, ''), $4) ON CONFLICT (email) DO NOTHING";
    let User { id, email, name } = new.user;
    let made = session
        .execute(
            sql,
            &[(id, Type::TEXT), (email, Type::TEXT), (name, Type::TEXT), (&new.password_hash, Type::TEXT)],
        )
        .await?;
    if made == 1 { Ok(()) } else { Err(StoreError::Taken(ADDRESS_TAKEN)) }
}

/// What is said where another has the address.
pub(crate) const ADDRESS_TAKEN: &str = "This email address is already in use.";

/// Signs somebody in: the token that the cookie will carry. Sessions that have run out go meanwhile, a few at a time.
///
/// # Errors
/// The database's.
pub async fn start_session(
    session: &Session,
    secret: &AuthSecret,
    token: &Token,
    user: &str,
) -> Result<(), StoreError> {
    let hash = token.hash(secret);
    session
        .execute(
            include_str!("sql/start_session.sql"),
            &[(&hash.as_slice(), Type::BYTEA), (&user, Type::TEXT), (&SESSION_DAYS, Type::INT4)],
        )
        .await?;
    Ok(())
}

/// Whose session a token is, if it has not run out.
///
/// # Errors
/// The database's.
pub async fn session_of(
    session: &Session,
    secret: &AuthSecret,
    token: &Token,
) -> Result<Option<User>, StoreError> {
    let hash = token.hash(secret);
    let rows = session.query(include_str!("sql/session_of.sql"), &[(&hash.as_slice(), Type::BYTEA)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(User { id: column(row, 0)?, email: column(row, 1)?, name: column(row, 2)? }))
}

/// Signs out: the token is worth nothing from now on.
///
/// # Errors
/// The database's.
pub async fn end_session(session: &Session, secret: &AuthSecret, token: &Token) -> Result<(), StoreError> {
    let hash = token.hash(secret);
    session
        .execute("DELETE FROM auth_sessions WHERE token_hash = $1", &[(&hash.as_slice(), Type::BYTEA)])
        .await?;
    Ok(())
}
