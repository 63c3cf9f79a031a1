//! Who asks: by a session's cookie, or by a program's token.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::reply::Failure;
use crate::app::{App, AppError};
use crate::reading::Reader;
use crate::{deletion, session, token, user, waiting};

/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "session_id";

/// Somebody who asks.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    /// The user's id.
    pub(super) user_id: String,
    /// The user's id, or the token's name.
    pub(super) name: String,
    /// The address that a proxy in front told.
    pub(super) ip: Option<String>,
    /// What the token is for; `None`: a session, which is for everything.
    scopes: Option<Vec<String>>,
    /// The session, if it is one.
    pub(super) session_id: Option<String>,
}

impl Asker {
    /// Whether it may be used for this.
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|known| known == scope))
    }
}

/// Who asks; `None`: nobody who is known.
pub(super) async fn asker(app: &App, headers: &HeaderMap) -> Result<Option<Asker>, AppError> {
    let ip = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let ip = ip.and_then(|listed| listed.split(',').next()).map(|ip| ip.trim().chars().take(45).collect());
    if let Some(sent) = bearer(headers) {
        return Ok(token::find(app, sent).await?.map(|token| Asker {
            user_id: token.user_id,
            name: token.name,
            ip,
            scopes: Some(token.scopes),
            session_id: None,
        }));
    }
    let Some(session_id) = cookie(headers, SESSION_COOKIE) else { return Ok(None) };
    Ok(session::find(app, &session_id).await?.map(|session| Asker {
        user_id: session.id.clone(),
        name: session.id,
        ip,
        scopes: None,
        session_id: Some(session_id),
    }))
}

/// Somebody who is signed in.
pub(super) async fn signed_in(app: &App, headers: &HeaderMap) -> Result<Asker, Failure> {
    let asker = asker(app, headers).await?.ok_or_else(Failure::unauthorized)?;
    waiting::is_of(app, &asker.user_id);
    Ok(asker)
}

/// A user who works with records.
pub(super) async fn reader(app: &Arc<App>, headers: &HeaderMap) -> Result<Reader, Failure> {
    let asker = signed_in(app, headers).await?;
    if !asker.has_scope("trips") {
        return Err(Failure::new(axum::http::StatusCode::FORBIDDEN, "Forbidden"));
    }
    if deletion::is_under_way(app, &asker.user_id).await? {
        return Err(Failure::unauthorized());
    }
    let account = user::by_id(app, &asker.user_id).await?.ok_or_else(Failure::unauthorized)?;
    Ok(Reader::new(app, &asker.user_id, &Value::Object(account.core)).await?)
}

/// The token of a program.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// A cookie.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    sent.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (known, value) = cookie.trim().split_once('=')?;
        (known == name).then(|| value.to_owned())
    })
}
