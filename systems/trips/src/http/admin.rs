//! What administrators ask of the migration.
//!
//! Each request is judged in one order: the form token (before it comes here), whether anybody is signed in, whether
//! accounts can be read, whether the stored account is an administrator's, and only then the body. So nobody learns
//! from an answer what is wrong with a body that they may not send.

mod asked;
mod totals;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidegate_rekey::Resolution;

use crate::app::App;
use crate::audit::{AuditEntry, PAGE_ENTRIES_MAX};
use crate::http::reply::{Failure, json as answer};
use crate::keyspace;
use crate::migration::Migration;
use crate::migration::dual_read::Waiver;
use asked::{Admitted, Asked, admit};

/// The routes of this file.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/admin/migration", post(migrate))
        .route("/api/admin/migration/status", post(status))
        .route("/api/admin/migration/index", post(index))
        .route("/api/admin/migration/bindings", get(bindings))
        .route("/api/admin/migration/stop", get(stopped).post(stop))
        .route("/api/admin/migration/coverage", get(coverage))
        .route("/api/admin/migration/quarantine", get(quarantine))
        .route("/api/admin/migration/quarantine/resolve", post(resolve))
        .route("/api/admin/migration/dual-read", post(dual_read))
        .route("/api/admin/migration/cleanup", post(cleanup))
        .route("/api/admin/migration/authorize-auto", post(authorize_auto))
        .route("/api/admin/audit", get(audit))
}

async fn migrate(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (users, apply) = (asked.users()?, asked.flag("apply")?);
    // A task of its own: a caller who goes away does not leave a list half done.
    let done = tokio::spawn(async move { migration.cohort(&users, apply, &actor).await }).await;
    let report = done.map_err(|_| asked::internal("the run ended early; ask for the status"))?;
    with(&report, "totals", totals::totals(&report.results))
}

async fn status(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let users = Asked::read(&body)?.users()?;
    let (success, results) = migration.status(&users).await;
    Ok(answered(success, results))
}

async fn index(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (users, apply) = (asked.users()?, asked.flag("apply")?);
    let (success, results) = migration.indexes(&users, apply, &actor).await;
    Ok(answered(success, results))
}

/// Whether each namespace answers.
async fn bindings(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    admit(&app, &headers).await?;
    let (mut bindings, mut success) = (Map::new(), true);
    for namespace in keyspace::all() {
        let answers = app.store().list(&namespace, "", None, 1).await.is_ok();
        success &= answers;
        bindings.insert(namespace.to_string(), answers.into());
    }
    Ok(answer(StatusCode::OK, &json!({ "success": success, "bindings": bindings })))
}

/// Whether everything is stopped, and whether legacy keys are read.
async fn stopped(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let (stopped, dual_read) = (migration.is_stopped().await?, app.reads_legacy().await?);
    Ok(answer(StatusCode::OK, &json!({ "stopped": stopped, "dualRead": dual_read })))
}

async fn stop(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let (stop, reason) = (asked.needed_flag("stop")?, asked.text("reason")?);
    migration.stop(stop, &reason, &actor).await?;
    Ok(answer(StatusCode::OK, &json!({ "success": true, "stopped": stop })))
}

async fn coverage(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let coverage = migration.coverage().await?;
    with(&coverage, "failureRate", json!(app.metrics().failure_rate()))
}

#[derive(Debug, Deserialize)]
struct OfUser {
    user: Option<String>,
}

async fn quarantine(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    of: Result<Query<OfUser>, QueryRejection>,
) -> Result<Response, Failure> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let Query(of) = of.map_err(|_| Failure::bad("the query cannot be read"))?;
    let user = of.user.filter(|user| !user.is_empty()).ok_or_else(|| Failure::bad("No user specified"))?;
    let id = known(&migration, &user).await?;
    let listed = migration.quarantined(&id).await?;
    Ok(answer(StatusCode::OK, &json!({ "userId": id, "quarantined": listed })))
}

async fn resolve(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let id = known(&migration, &asked.text("user")?).await?;
    let (namespace, key, reason) = (asked.text("namespace")?, asked.text("key")?, asked.text("reason")?);
    let resolution = match asked.text("resolution")?.as_str() {
        "leave" => Resolution::Leave,
        "give" => Resolution::Give { to_id: known(&migration, &asked.text("to")?).await? },
        _ => return Err(Failure::bad("resolution must be give or leave")),
    };
    migration.resolve(&id, &namespace, &key, resolution, &reason, &actor).await?;
    Ok(answer(StatusCode::OK, &json!({ "success": true })))
}

async fn dual_read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    let on = asked.needed_flag("on")?;
    let waivers: Vec<Waiver> = match asked.field("waivers") {
        None => Vec::new(),
        Some(waivers) => serde_json::from_value(waivers.clone())
            .map_err(|_| Failure::bad("waivers must be a list of {user, by, reason}"))?,
    };
    migration.dual_read(on, &waivers, &actor).await?;
    Ok(answer(StatusCode::OK, &json!({ "success": true, "on": on })))
}

async fn cleanup(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
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
) -> Result<Response, Failure> {
    let Admitted { migration, actor } = admit(&app, &headers).await?;
    let asked = Asked::read(&body)?;
    if asked.flag("revoke")? {
        migration.forbid(&actor).await?;
        return Ok(answer(StatusCode::OK, &json!({ "success": true, "stands": false })));
    }
    let hours = match asked.field("hours") {
        None => 24,
        Some(hours) => hours.as_i64().ok_or_else(|| Failure::bad("hours must be a whole number"))?,
    };
    let given = migration.authorize(hours, &actor).await?;
    let body = json!({ "success": true, "stands": given.stands(), "by": given.by, "until": given.until });
    Ok(answer(StatusCode::OK, &body))
}

#[derive(Debug, Deserialize)]
struct OfMonth {
    month: Option<String>,
    subject: Option<String>,
    action: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn audit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    of: Result<Query<OfMonth>, QueryRejection>,
) -> Result<Response, Failure> {
    let Admitted { migration, .. } = admit(&app, &headers).await?;
    let Query(of) = of.map_err(|_| Failure::bad("the query cannot be read"))?;
    let month = match of.month.filter(|month| !month.is_empty()) {
        Some(month) => month,
        None => migration.month().await?,
    };
    let limit = of.limit.unwrap_or(100).min(PAGE_ENTRIES_MAX);
    // A user name is as good as an id; one of an account that is gone is looked for as it is.
    let subject = match of.subject {
        Some(input) => Some(migration.id_of(&input).await?.unwrap_or(input)),
        None => None,
    };
    let (action, after) = (of.action.as_deref(), of.after.as_deref());
    let page = migration.audit().month(&month, action, subject.as_deref(), after, limit).await;
    let page = page.map_err(crate::migration::MigrationError::from)?;
    let subjects: BTreeSet<&str> =
        page.entries.iter().filter_map(|entry| entry.details.get("userId")?.as_str()).collect();
    let is = |entry: &AuditEntry, name: &str, value: Value| entry.details.get(name) == Some(&value);
    // An apply says that it begins, and how it ended.
    let applied = page.entries.iter().filter(|entry| {
        entry.success && is(entry, "apply", Value::Bool(true)) && is(entry, "phase", Value::from("finished"))
    });
    let totals = json!({
        "events": page.entries.len(),
        "succeeded": page.entries.iter().filter(|entry| entry.success).count(),
        "applied": applied.count(),
        "subjects": subjects.len(),
        "complete": page.next.is_none(),
    });
    with(&page, "totals", totals)
}

/// An answer with one field more.
fn with(told: &impl Serialize, name: &str, value: Value) -> Result<Response, Failure> {
    let mut body = serde_json::to_value(told).map_err(|error| asked::internal(&error.to_string()))?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    Ok(answer(StatusCode::OK, &body))
}

/// The id of a user who is there.
async fn known(migration: &Migration, input: &str) -> Result<String, Failure> {
    match migration.id_of(input).await? {
        Some(id) => Ok(id),
        None => Err(Failure::new(StatusCode::NOT_FOUND, "User not found")),
    }
}

fn answered(success: bool, results: Map<String, Value>) -> Response {
    answer(
        StatusCode::OK,
        &json!({ "success": success, "totals": totals::totals(&results), "results": results }),
    )
}
