//! What administrators ask of the migration.
//!
//! Each request is judged in one order: the form token (before it comes here), whether anybody is signed in, whether
//! accounts can be read, whether the stored account is an administrator's, and only then the body. So nobody learns
//! from an answer what is wrong with a body that they may not send.

mod asked;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_rekey::Resolution;

use crate::app::App;
use crate::audit::PAGE_ENTRIES_MAX;
use crate::migration::Migration;
use crate::migration::dual_read::Waiver;
use asked::{Admitted, Asked, Refusal, admit};

/// The routes of this file.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/admin/migration", post(migrate))
        .route("/api/admin/migration/status", post(status))
        .route("/api/admin/migration/index", post(index))
        .route("/api/admin/migration/stop", post(stop))
        .route("/api/admin/migration/coverage", get(coverage))
        .route("/api/admin/migration/quarantine", get(quarantine))
        .route("/api/admin/migration/quarantine/resolve", post(resolve))
        .route("/api/admin/migration/dual-read", post(dual_read))
        .route("/api/admin/migration/cleanup", post(cleanup))
        .route("/api/admin/migration/authorize-auto", post(authorize_auto))
        .route("/api/admin/audit", get(audit))
}

async fn migrate(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (users, apply) = (asked.users()?, asked.flag("apply")?);
    // A task of its own: a caller who goes away does not leave a list half done.
    let done = tokio::spawn(async move { migration.cohort(&users, apply, &actor).await }).await;
    let report = done.map_err(|_| Refusal::internal("the run ended early; ask for the status"))?;
    let body = serde_json::to_value(&report).map_err(|error| Refusal::internal(&error.to_string()))?;
    Ok(asked::json(StatusCode::OK, &body))
}

async fn status(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let users = Asked::read(&body)?.users()?;
    let (success, results) = migration.status(&users).await;
    Ok(answered(success, results))
}

async fn index(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (users, apply) = (asked.users()?, asked.flag("apply")?);
    let (success, results) = migration.indexes(&users, apply, &actor).await;
    Ok(answered(success, results))
}

async fn stop(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (stop, reason) = (asked.needed_flag("stop")?, asked.text("reason")?);
    migration.stop(stop, &reason, &actor).await?;
    Ok(asked::json(StatusCode::OK, &json!({ "success": true, "stopped": stop })))
}

async fn coverage(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let coverage = migration.coverage().await?;
    let body = serde_json::to_value(&coverage).map_err(|error| Refusal::internal(&error.to_string()))?;
    Ok(asked::json(StatusCode::OK, &body))
}

#[derive(Debug, Deserialize)]
struct OfUser {
    user: Option<String>,
}

async fn quarantine(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(of): Query<OfUser>,
) -> Result<Response, Refusal> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let user = of.user.filter(|user| !user.is_empty()).ok_or_else(|| Refusal::bad("No user specified"))?;
    let id = known(&migration, &user).await?;
    let listed = migration.quarantined(&id).await?;
    Ok(asked::json(StatusCode::OK, &json!({ "userId": id, "quarantined": listed })))
}

async fn resolve(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let id = known(&migration, &asked.text("user")?).await?;
    let (namespace, key, reason) = (asked.text("namespace")?, asked.text("key")?, asked.text("reason")?);
    let resolution = match asked.text("resolution")?.as_str() {
        "leave" => Resolution::Leave,
        "give" => Resolution::Give { to_id: known(&migration, &asked.text("to")?).await? },
        _ => return Err(Refusal::bad("resolution must be give or leave")),
    };
    migration.resolve(&id, &namespace, &key, resolution, &reason, &actor).await?;
    Ok(asked::json(StatusCode::OK, &json!({ "success": true })))
}

async fn dual_read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let on = asked.needed_flag("on")?;
    let waivers: Vec<Waiver> = match asked.field("waivers") {
        None => Vec::new(),
        Some(waivers) => serde_json::from_value(waivers.clone())
            .map_err(|_| Refusal::bad("waivers must be a list of {user, by, reason}"))?,
    };
    migration.dual_read(on, &waivers, &actor).await?;
    Ok(asked::json(StatusCode::OK, &json!({ "success": true, "on": on })))
}

async fn cleanup(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (users, apply) = (asked.users()?, asked.flag("apply")?);
    let (success, results) = migration.cleanup(&users, apply, &actor).await?;
    Ok(answered(success, results))
}

async fn authorize_auto(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    if asked.flag("revoke")? {
        migration.forbid(&actor).await?;
        return Ok(asked::json(StatusCode::OK, &json!({ "success": true, "stands": false })));
    }
    let hours = match asked.field("hours") {
        None => 24,
        Some(hours) => hours.as_i64().ok_or_else(|| Refusal::bad("hours must be a whole number"))?,
    };
    let given = migration.authorize(hours, &actor).await?;
    let body = json!({ "success": true, "stands": given.stands(), "by": given.by, "until": given.until });
    Ok(asked::json(StatusCode::OK, &body))
}

#[derive(Debug, Deserialize)]
struct OfMonth {
    month: Option<String>,
    subject: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn audit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(of): Query<OfMonth>,
) -> Result<Response, Refusal> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let month = match of.month {
        Some(month) => month,
        None => migration.month().await?,
    };
    let limit = of.limit.unwrap_or(100).min(PAGE_ENTRIES_MAX);
    let page = migration.audit().month(&month, of.subject.as_deref(), of.after.as_deref(), limit).await;
    let page = page.map_err(crate::migration::MigrationError::from)?;
    let body = serde_json::to_value(&page).map_err(|error| Refusal::internal(&error.to_string()))?;
    Ok(asked::json(StatusCode::OK, &body))
}

/// The id of a user who is there.
async fn known(migration: &Migration, input: &str) -> Result<String, Refusal> {
    match migration.id_of(input).await? {
        Some(id) => Ok(id),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "User not found")),
    }
}

fn answered(success: bool, results: Map<String, Value>) -> Response {
    asked::json(StatusCode::OK, &json!({ "success": success, "results": results }))
}
