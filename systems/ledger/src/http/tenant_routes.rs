//! What is done for one tenant.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, ApiError};
use super::caller::{Fields, Tenant, amount, is_text};
use crate::app::App;
use crate::balance::{LOTS, Place};
use crate::bounds::{AMOUNT_MAX_MICRO, TOTAL_MAX_MICRO};
use crate::operations::{BATCH_MAX, Mode, RESERVATION_MAX_S, RESERVATION_S, Usage};
use crate::payments::PAYMENT_KEYS;

/// Where credit may come from that nobody paid for here.
const SOURCES: [&str; 4] = ["grant", "seed", "transfer_in", "tba_deposit"];

/// `POST /lots`.
pub(super) async fn mint(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (key, amount) = (fields.text("key")?, fields.amount("amountMicro")?);
    if key.starts_with(PAYMENT_KEYS) {
        return Err(ApiError::bad("key must not begin with payment:, which is for lots that were paid for"));
    }
    let source = fields.text("source")?;
    if !SOURCES.contains(&source) {
        return Err(ApiError::bad("source must be grant, seed, transfer_in or tba_deposit"));
    }
    let expires_at = match fields.get("expiresAt") {
        None => None,
        Some(value) => {
            let time = value.as_str().and_then(|text| text.parse().ok());
            Some(time.ok_or_else(|| ApiError::bad("expiresAt must be a time as in RFC 3339"))?)
        }
    };
    let outcome = app.ledger().mint(tenant.community, key, source, amount, expires_at).await?;
    Ok(answer::outcome(outcome))
}

/// `POST /debits`.
pub(super) async fn debit(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (key, amount) = (fields.text("key")?, fields.amount("amountMicro")?);
    Ok(answer::outcome(app.ledger().debit(tenant.community, key, amount).await?))
}

/// `POST /debits/batch`.
pub(super) async fn debit_many(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let wrong = || ApiError::bad("debits must be a list of 1 to 1000 objects with key and amountMicro");
    let list = fields.get("debits").and_then(Value::as_array).ok_or_else(wrong)?;
    if !(1..=BATCH_MAX).contains(&list.len()) {
        return Err(wrong());
    }
    let mut debits = Vec::with_capacity(list.len());
    for one in list {
        let key = one.get("key").and_then(Value::as_str).map(str::trim).filter(|key| is_text(key));
        debits.push((key.ok_or_else(wrong)?, amount(one.get("amountMicro")).ok_or_else(wrong)?));
    }
    let outcomes = app.ledger().debit_many(tenant.community, &debits).await?;
    let answers: Vec<Value> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            crate::outcome::Outcome::Done(value) => value,
            crate::outcome::Outcome::Refused(reason, more) => {
                let mut answer = json!({ "reason": reason.as_str() });
                if let Some(fields) = answer.as_object_mut() {
                    fields.extend(more);
                }
                answer
            }
        })
        .collect();
    Ok(answer::json(StatusCode::OK, &json!({ "answers": answers })))
}

/// `POST /credit-backs`.
pub(super) async fn credit_back(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (key, debit, amount) = (fields.text("key")?, fields.text("debitKey")?, fields.amount("amountMicro")?);
    Ok(answer::outcome(app.ledger().credit_back(tenant.community, key, debit, amount).await?))
}

/// `POST /reservations`.
pub(super) async fn reserve(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (id, amount) = (fields.text("reservationId")?, fields.amount("amountMicro")?);
    let seconds = fields.number("seconds", 1..=i64::from(RESERVATION_MAX_S))?;
    let seconds = seconds.and_then(|seconds| i32::try_from(seconds).ok()).unwrap_or(RESERVATION_S);
    Ok(answer::outcome(app.ledger().reserve(tenant.community, id, amount, seconds).await?))
}

/// `POST /reservations/:id/finalize`.
pub(super) async fn finalize(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let finalization = fields.text("finalizationId")?;
    let cost = fields.number("costMicro", 0..=AMOUNT_MAX_MICRO)?;
    let cost_micro = cost.ok_or_else(|| ApiError::bad("costMicro is required"))?;
    let mode = match fields.get("mode") {
        None => Mode::Live,
        Some(value) => {
            let mode = value.as_str().and_then(Mode::parse);
            mode.ok_or_else(|| ApiError::bad("mode must be live, shadow or soft"))?
        }
    };
    let tokens = |name: &str| -> Result<i32, ApiError> {
        let tokens = fields.number(name, 0..=i64::from(i32::MAX))?;
        Ok(tokens.and_then(|tokens| i32::try_from(tokens).ok()).unwrap_or(0))
    };
    let usage = Usage {
        reservation_id: &tenant.id,
        cost_micro,
        mode,
        fence: fields.number("fence", 0..=i64::MAX)?,
        nft_id: fields.text("nftId")?,
        pool_id: fields.text("poolId")?,
        tokens_input: tokens("tokensInput")?,
        tokens_output: tokens("tokensOutput")?,
    };
    Ok(answer::outcome(app.ledger().finalize(tenant.community, finalization, &usage).await?))
}

/// `POST /reservations/:id/release`.
pub(super) async fn release(tenant: Tenant, State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    Ok(answer::outcome(app.ledger().release(tenant.community, &tenant.id).await?))
}

/// `POST /payments`. The id is the provider's, of one namespace over all tenants: whoever has one tenant's token alone
/// would learn by it which ids others have, and could take one before they do.
pub(super) async fn ask_payment(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Result<Fields, ApiError>,
) -> Result<Response, ApiError> {
    let tenant = tenant.of_all()?;
    let fields = fields?;
    let payment_id = fields.text("paymentId")?;
    let amount = fields.text("amountUsd")?;
    if !is_dollars(amount) {
        return Err(ApiError::bad(
            "amountUsd must be a text such as \"29.99\", with two digits behind the point at most",
        ));
    }
    let id = app.ledger().ask_payment(tenant.community, payment_id, amount).await?;
    Ok(answer::json(StatusCode::CREATED, &json!({ "id": id, "paymentId": payment_id, "status": "waiting" })))
}

/// Whether a text is an amount of dollars above 0, to the cent.
fn is_dollars(text: &str) -> bool {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(whole, 9) && digits(cents, 2) && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

/// `POST /conservation`.
pub(super) async fn conserve(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, ApiError> {
    let needed = |name: &str| -> Result<i64, ApiError> {
        let number = fields.number(name, 0..=TOTAL_MAX_MICRO)?;
        number.ok_or_else(|| ApiError::bad(&format!("{name} is required")))
    };
    let (counted, limit) = (needed("countedMicro")?, needed("limitMicro")?);
    Ok(answer::json(StatusCode::OK, &app.ledger().conserve(tenant.community, counted, limit).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct LotsPage {
    after: Option<String>,
    limit: Option<String>,
}

/// `GET /balance?after&limit`.
pub(super) async fn balance(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    Query(page): Query<LotsPage>,
) -> Result<Response, ApiError> {
    let after = match page.after {
        None => Place::first(),
        Some(text) => Place::parse(&text)
            .ok_or_else(|| ApiError::bad("after must be what the page before it says as next"))?,
    };
    let limit = limit(page.limit, LOTS)?;
    Ok(answer::json(StatusCode::OK, &app.ledger().balance_from(tenant.community, &after, limit).await?))
}

/// How many somebody asks for.
fn limit(text: Option<String>, unless_said: i64) -> Result<i64, ApiError> {
    let limit = text.map_or(Ok(unless_said), |text| text.parse());
    limit.map_err(|_| ApiError::bad("limit must be a whole number"))
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    before: Option<String>,
    limit: Option<String>,
}

/// `GET /statement?before&limit`.
pub(super) async fn statement(
    tenant: Tenant,
    State(app): State<Arc<App>>,
    Query(page): Query<Page>,
) -> Result<Response, ApiError> {
    let before = page.before.map(|text| text.parse()).transpose();
    let before = before.map_err(|_| ApiError::bad("before must be an entry's id"))?;
    let limit = limit(page.limit, 100)?;
    Ok(answer::json(StatusCode::OK, &app.ledger().statement(tenant.community, before, limit).await?))
}
