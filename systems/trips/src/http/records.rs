//! Trips, expenses, mileage, trash and settings.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_store::kv::{Change, Condition, Key, Write, WrittenAll};

use super::identity::reader;
use super::reply::{Failure, json as answer, object};
use crate::app::App;
use crate::keyspace;
use crate::reading::{PAGE_RECORDS_MAX, Wanted};
use crate::record::{self, Kind};

/// Records of a page where nothing is said.
const PAGE_RECORDS: usize = 100;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/trash", get(trash))
        .route("/api/settings", get(settings).put(put_settings))
        .route("/api/{kind}", get(list).post(create))
        .route("/api/{kind}/{id}", get(read).put(update).delete(remove))
        .route("/api/{kind}/{id}/restore", post(restore))
}

/// The kind of record that a path names.
fn kind_of(path: &str) -> Result<Kind, Failure> {
    match path {
        "trips" => Ok(Kind::Trip),
        "expenses" => Ok(Kind::Expense),
        "mileage" => Ok(Kind::Mileage),
        _ => Err(Failure::new(StatusCode::NOT_FOUND, "Not found")),
    }
}

#[derive(Debug, Deserialize)]
struct Asked {
    limit: Option<usize>,
    offset: Option<usize>,
    since: Option<String>,
}

async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(kind): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let kind = kind_of(&kind)?;
    let user = reader(&app, &headers).await?;
    if asked.since.as_ref().is_some_and(|since| since.parse::<jiff::Timestamp>().is_err()) {
        return Err(Failure::bad("since must be a time such as 2026-03-01T00:00:00Z"));
    }
    let limit = asked.limit.unwrap_or(PAGE_RECORDS).clamp(1, PAGE_RECORDS_MAX);
    let offset = asked.offset.unwrap_or(0);
    let wanted = Wanted { since: asked.since, deleted: false, offset, limit };
    let listed = user.list(&app, kind, &wanted).await?;
    let pagination = json!({ "total": listed.total, "limit": limit, "offset": offset });
    Ok(answer(StatusCode::OK, &json!({ "records": listed.records, "pagination": pagination })))
}

async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(kind): Path<String>,
    body: Body,
) -> Result<Response, Failure> {
    let kind = kind_of(&kind)?;
    let user = reader(&app, &headers).await?;
    let made = record::create(&app, &user, kind, &object(&body)?).await?;
    Ok(answer(StatusCode::CREATED, &made))
}

async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let kind = kind_of(&kind)?;
    let user = reader(&app, &headers).await?;
    let body = user.get(&app, kind, &id).await?;
    if record::is_deleted(&body) {
        return Err(Failure::new(StatusCode::GONE, "it is deleted; POST …/restore brings it back"));
    }
    Ok(answer(StatusCode::OK, &body))
}

async fn update(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
    body: Body,
) -> Result<Response, Failure> {
    let kind = kind_of(&kind)?;
    let user = reader(&app, &headers).await?;
    let changed = record::update(&app, &user, kind, &id, &object(&body)?).await?;
    Ok(answer(StatusCode::OK, &changed))
}

#[derive(Debug, Deserialize)]
struct Removal {
    #[serde(default)]
    permanent: bool,
}

async fn remove(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
    Query(removal): Query<Removal>,
) -> Result<Response, Failure> {
    let kind = kind_of(&kind)?;
    let user = reader(&app, &headers).await?;
    if removal.permanent {
        record::purge(&app, &user, kind, &id).await?;
    } else {
        record::delete(&app, &user, kind, &id).await?;
    }
    Ok(answer(StatusCode::OK, &json!({ "success": true })))
}

async fn restore(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let kind = kind_of(&kind)?;
    let user = reader(&app, &headers).await?;
    Ok(answer(StatusCode::OK, &record::restore(&app, &user, kind, &id).await?))
}

async fn trash(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    Ok(answer(StatusCode::OK, &json!({ "records": user.trash(&app).await? })))
}

/// The settings under the id, else those under a name that is the user's.
async fn settings(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    let mut keys: Vec<Key> = Vec::new();
    for owner in [user.id().to_owned()].into_iter().chain(user.names()) {
        keys.extend(keyspace::settings(&owner));
    }
    let found =
        app.store().get_many(&keyspace::user_settings(), &keys).await.map_err(crate::AppError::from)?;
    for (place, entry) in found.into_iter().enumerate() {
        let Some(value) = entry.and_then(|entry| serde_json::from_slice::<Value>(&entry.value).ok()) else {
            continue;
        };
        if place > 0 {
            app.metrics().legacy_reads(1);
        }
        return Ok(answer(StatusCode::OK, &value));
    }
    Ok(answer(StatusCode::OK, &json!({})))
}

async fn put_settings(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let user = reader(&app, &headers).await?;
    let mut fields = object(&body)?;
    let now = crate::user::now(&app).await?;
    fields.insert("updatedAt".to_owned(), json!(now));
    let value = Value::Object(fields);
    let write = Write {
        namespace: keyspace::user_settings(),
        key: keyspace::settings(user.id()).map_err(crate::AppError::from)?,
        change: Change::Put { value: Bytes::from(value.to_string()), metadata: None, expires_at: None },
        condition: Condition::Always,
    };
    let guard = keyspace::unless_deleted(user.id()).map_err(crate::AppError::from)?;
    match app.store().write_all(&[guard, write]).await.map_err(crate::AppError::from)? {
        WrittenAll::Done(_) => Ok(answer(StatusCode::OK, &value)),
        WrittenAll::Refused { .. } => Err(Failure::unauthorized()),
    }
}
