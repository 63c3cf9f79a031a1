//! The caller of a request, whose token and session have been looked at.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use tidegate_store::postgres::{Failure, Session};

use super::session;
use super::token::Claims;
use crate::app::App;
use crate::http::ApiError;

/// Whoever sent a request. As the first argument of a route, nothing else of the request is looked at before.
#[derive(Debug, Clone)]
pub struct Caller {
    claims: Claims,
}

impl Caller {
    /// The user's id.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.claims.user_id
    }

    /// Whether the session is still open, for answers that outlast the look at the beginning.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_welcome(&self, session: &Session) -> Result<bool, Failure> {
        session::is_open(session, &self.claims).await
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Caller, ApiError> {
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.filter(|token| !token.is_empty()).ok_or_else(ApiError::unauthorized)?;
        let Some(secret) = app.token_secret() else {
            tracing::error!("JWT_SECRET is not set: no token can be looked at");
            return Err(failed());
        };
        let claims = secret.verify(token, jiff::Timestamp::now().as_second()).map_err(|error| {
            tracing::debug!(%error, "a token was refused");
            ApiError::unauthorized()
        })?;
        // A NUL cannot be in any row, and the database would refuse to look for it.
        if claims.user_id.contains('\0') || claims.session_id.contains('\0') {
            return Err(ApiError::unauthorized());
        }
        let looked = match app.pool().get().await {
            Ok(pooled) => session::is_open(&pooled, &claims).await.map_err(|failure| failure.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match looked {
            Ok(true) => Ok(Caller { claims }),
            Ok(false) => Err(ApiError::unauthorized()),
            Err(error) => {
                tracing::error!(error, "the sessions could not be looked at");
                Err(failed())
            }
        }
    }
}

fn failed() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed to authenticate")
}
