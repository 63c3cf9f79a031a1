//! Who asks, for which tenant, and what they say.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use super::answer::ApiError;
use crate::app::App;
use crate::bounds::AMOUNT_MAX_MICRO;
use crate::keys::Scope;

/// The tenant of a request, whose caller's token is for it; and the id behind it in the path, where there is one.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) community: Uuid,
    pub(super) id: String,
    scope: Scope,
}

impl Tenant {
    /// Goes on only where the token is for all tenants: for what is not in one tenant's own keys.
    pub(super) fn of_all(self) -> Result<Tenant, ApiError> {
        match self.scope {
            Scope::All => Ok(self),
            Scope::One(_) => Err(ApiError::new(StatusCode::FORBIDDEN, "ALL_TENANTS_ONLY")),
        }
    }
}

impl FromRequestParts<Arc<App>> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Tenant, ApiError> {
        // Before anything else of the request is looked at.
        let unauthorized = || ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(unauthorized)?;
        let now = jiff::Timestamp::now().as_second();
        let pool = app.ledger().application();
        let scope = app.keys().verify(pool, token.trim(), &app.config().audience, now).await?;
        let scope = scope.map_err(|error| {
            tracing::debug!(%error, "a token is not believed");
            unauthorized()
        })?;
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| ApiError::bad("the path is not valid UTF-8"))?;
        let mut texts = params.iter().map(|(_, text)| text.trim().to_owned());
        let community = texts.next().unwrap_or_default();
        let community: Uuid = community.parse().map_err(|_| ApiError::bad("the community is no UUID"))?;
        if !scope.covers(community) {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "COMMUNITY_MISMATCH"));
        }
        Ok(Tenant { community, id: texts.next().unwrap_or_default(), scope })
    }
}

/// A body that is an object of JSON.
#[derive(Debug)]
pub(super) struct Fields(Value);

impl FromRequest<Arc<App>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Fields, ApiError> {
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE")
            } else {
                ApiError::bad("the body could not be read")
            }
        })?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|_| ApiError::bad("the body is not valid JSON"))?;
        if value.is_object() { Ok(Fields(value)) } else { Err(ApiError::bad("the body is no object")) }
    }
}

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text of 1 to 200 characters.
    pub(super) fn text(&self, name: &str) -> Result<&str, ApiError> {
        let text = self.get(name).and_then(Value::as_str).map(str::trim);
        text.filter(|text| is_text(text))
            .ok_or_else(|| ApiError::bad(&format!("{name} must be a text of 1 to 200 characters")))
    }

    /// An amount: a whole number of micro-dollars above 0.
    pub(super) fn amount(&self, name: &str) -> Result<i64, ApiError> {
        amount(self.get(name)).ok_or_else(|| {
            ApiError::new(StatusCode::BAD_REQUEST, "INVALID_AMOUNT").with(
                "what",
                format!("{name} must be a whole number of micro-dollars from 1 to {AMOUNT_MAX_MICRO}").into(),
            )
        })
    }

    /// A whole number in a range; `None`: it is not there.
    pub(super) fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_i64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::bad(&format!(
                "{name} must be a whole number from {} to {}",
                range.start(),
                range.end()
            ))),
        }
    }
}

/// An amount that can be booked.
pub(super) fn amount(value: Option<&Value>) -> Option<i64> {
    value?.as_i64().filter(|amount| (1..=AMOUNT_MAX_MICRO).contains(amount))
}

/// A text that can be a key.
pub(super) fn is_text(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 200 && !text.contains('\0')
}
