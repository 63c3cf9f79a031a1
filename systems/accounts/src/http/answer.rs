//! What a request is answered: JSON with `ok`, and with both names of the account where it is about one.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json};
use tidegate_store::postgres::FailureKind;

use crate::auth::HashError;
use crate::store::StoreError;

/// What is said where a variable of the environment is unset.
pub(crate) const NOT_CONFIGURED: &str =
    "Platform auth is not configured (AUTH_SECRET, AUTH_BASE_URL, DATABASE_URL).";

/// A good answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Map<String, Json>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, body: Json) -> Reply {
        let mut all = Map::new();
        all.insert("ok".to_owned(), Json::Bool(true));
        if let Json::Object(fields) = body {
            all.extend(fields);
        }
        Reply { status, body: all, headers: Vec::new() }
    }

    /// An answer about an account: its id stands in it under both names.
    pub(crate) fn about(status: StatusCode, account: &str, body: Json) -> Reply {
        let mut reply = Reply::new(status, Json::Null);
        for name in ["accountId", "workspaceId"] {
            reply.body.insert(name.to_owned(), Json::String(account.to_owned()));
        }
        if let Json::Object(fields) = body {
            reply.body.extend(fields);
        }
        reply
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, Json::Object(self.body));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// A request that was not done.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
    code: Option<&'static str>,
    extra: Map<String, Json>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into(), code: None, extra: Map::new() }
    }

    pub(crate) fn coded(status: StatusCode, code: &'static str, error: impl Into<String>) -> Refusal {
        Refusal { code: Some(code), ..Refusal::new(status, error) }
    }

    pub(crate) fn bad(error: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn unauthorized() -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized.")
    }

    pub(crate) fn forbidden() -> Refusal {
        Refusal::new(StatusCode::FORBIDDEN, "Forbidden.")
    }

    pub(crate) fn not_found(error: &str) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, error)
    }

    pub(crate) fn not_configured() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, NOT_CONFIGURED)
    }

    /// What cannot be done now and may be later.
    pub(crate) fn unavailable(code: &'static str, error: impl Into<String>) -> Refusal {
        Refusal::coded(StatusCode::SERVICE_UNAVAILABLE, code, error)
    }

    pub(crate) fn with(mut self, name: &str, value: Json) -> Refusal {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Replaces the code and status of what would be the caller's fault, and leaves everything else as it is.
    pub(crate) fn recoded(self, from: StatusCode, code: &'static str) -> Refusal {
        if self.status == from && self.code.is_none() { Refusal { code: Some(code), ..self } } else { self }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn error(&self) -> &str {
        &self.error
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("ok".to_owned(), Json::Bool(false));
        body.insert("error".to_owned(), Json::String(self.error));
        if let Some(code) = self.code {
            body.insert("code".to_owned(), Json::String(code.to_owned()));
        }
        body.extend(self.extra);
        let mut response = json_response(self.status, Json::Object(body));
        if self.status == StatusCode::SERVICE_UNAVAILABLE && self.code.is_some() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error {
            StoreError::Invalid(text) => Refusal::bad(text),
            StoreError::Taken(text) => Refusal::new(StatusCode::CONFLICT, text),
            StoreError::SnapshotConflict { expected, current, ledger_head } => {
                let text = format!("The book is at version {current}, not at {expected}.");
                let details = serde_json::json!({
                    "expected": expected, "currentVersion": current, "ledgerHead": ledger_head,
                });
                Refusal::coded(StatusCode::CONFLICT, "BOOK_SNAPSHOT_CONFLICT", text).with("conflict", details)
            }
            StoreError::Database(failure) => database_refusal(&failure),
            StoreError::Mirror { table, failure } => {
                tracing::error!(table, %failure, "the other schema refused a copy; the write was rolled back");
                Refusal::unavailable(
                    "ACCOUNT_MIRROR_FAILED",
                    "The change could not be kept in both schemas; nothing was changed.",
                )
            }
            StoreError::Shape { .. } => {
                tracing::error!(%error, "a row could not be read");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error.")
            }
        }
    }
}

/// A failure of the database as the caller learns it: without the server's own words.
fn database_refusal(failure: &tidegate_store::postgres::Failure) -> Refusal {
    let sqlstate = failure.sqlstate().unwrap_or_default();
    match failure.kind() {
        // The caller's own text: a NUL, a broken escape, a number out of range.
        _ if sqlstate.starts_with("22") => Refusal::bad("The request holds a value that cannot be kept."),
        _ if sqlstate == "23505" => {
            Refusal::new(StatusCode::CONFLICT, "Another change came first; try again.")
        }
        _ if matches!(sqlstate, "42P01" | "42703" | "3F000" | "42883") => {
            tracing::error!(%failure, "the schema is not the one that this program needs");
            Refusal::unavailable(
                "ACCOUNT_SCHEMA_MISSING",
                "The database's schema is not the one that this service needs.",
            )
        }
        FailureKind::Serialization | FailureKind::Deadlock | FailureKind::LockTimeout => {
            Refusal::unavailable("ACCOUNT_BUSY", "Too many changes at once; nothing was changed. Try again.")
        }
        FailureKind::Cancelled
        | FailureKind::ConnectionLost
        | FailureKind::CannotConnect
        | FailureKind::TooManyConnections
        | FailureKind::ServerShuttingDown
        | FailureKind::ReadOnlyServer
        | FailureKind::DiskFull => {
            tracing::warn!(%failure, "the database did not answer as it should");
            Refusal::unavailable(
                "ACCOUNT_STORAGE_UNAVAILABLE",
                "The database cannot be reached now. Try again.",
            )
        }
        _ if sqlstate == "TG001" => Refusal::unavailable(
            "ACCOUNT_SEALED",
            "Changes are held back while the accounts are moved; nothing was changed. Try again.",
        ),
        _ => {
            tracing::error!(%failure, sqlstate, "the database refused a request");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error.")
        }
    }
}

impl From<HashError> for Refusal {
    fn from(error: HashError) -> Refusal {
        match error {
            HashError::Busy => Refusal::unavailable("AUTH_BUSY", "Too many sign-ins at once. Try again."),
            HashError::Failed(reason) => {
                tracing::error!(reason, "a password could not be hashed");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error.")
            }
        }
    }
}

fn json_response(status: StatusCode, body: Json) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
