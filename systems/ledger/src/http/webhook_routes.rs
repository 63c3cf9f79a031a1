//! `POST /webhooks/nowpayments`. What failed is not answered 2xx, so that the provider delivers it again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{self, ApiError};
use crate::app::App;
use crate::notice::{Notice, is_signed};
use crate::payments::Noticed;

fn said(status: StatusCode, what: &str, reason: Option<&str>) -> Response {
    let mut body = json!({ "status": what });
    if let (Some(reason), Some(fields)) = (reason, body.as_object_mut()) {
        fields.insert("reason".to_owned(), reason.into());
    }
    answer::json(status, &body)
}

/// Takes a notice.
pub(super) async fn nowpayments(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    if !app.config().billing_enabled {
        return Ok(said(StatusCode::SERVICE_UNAVAILABLE, "disabled", Some("billing_not_enabled")));
    }
    let signature = headers.get("x-nowpayments-sig").and_then(|value| value.to_str().ok());
    let (Some(signature), Some(secret)) = (signature, app.config().webhook_secret.as_deref()) else {
        return Ok(said(StatusCode::UNAUTHORIZED, "refused", Some("missing_signature")));
    };
    let body = body.map_err(|_| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"))?;
    let text = std::str::from_utf8(&body).ok().filter(|text| is_signed(secret, text, signature));
    let payload: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    let Some(payload) = payload else {
        return Ok(said(StatusCode::UNAUTHORIZED, "refused", Some("invalid_signature")));
    };
    let Some(notice) = Notice::read(&payload) else {
        return Ok(said(StatusCode::OK, "ignored", Some("invalid_payload")));
    };
    Ok(match app.ledger().take_notice(&notice).await? {
        Noticed::Processed { minted_micro } => {
            answer::json(StatusCode::OK, &json!({ "status": "processed", "mintedMicro": minted_micro }))
        }
        Noticed::Duplicate => said(StatusCode::OK, "duplicate", None),
        // Its row may be on the way: the provider delivers again.
        Noticed::UnknownPayment => said(StatusCode::NOT_FOUND, "refused", Some("unknown_payment")),
        Noticed::LimitExceeded => said(StatusCode::CONFLICT, "refused", Some("limit_exceeded")),
        Noticed::Skipped { status } => {
            let is_over = matches!(status.as_str(), "finished" | "expired" | "failed" | "refunded");
            said(
                StatusCode::OK,
                "skipped",
                Some(if is_over { "terminal_state" } else { "backward_transition" }),
            )
        }
        Noticed::AmountMismatch { expected } => {
            let body = json!({ "status": "refused", "reason": "amount_mismatch", "expectedUsd": expected });
            answer::json(StatusCode::CONFLICT, &body)
        }
    })
}
