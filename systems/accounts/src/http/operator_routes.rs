//! What operators and balancers ask.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;
use tidegate_store::postgres::Type;
use tidegate_switch::{Side, Stage};

use super::answer::{NOT_CONFIGURED, Refusal, Reply};
use crate::app::{App, Backend};
use crate::store::column;

/// What every request needs.
const SHARED_TABLES: [&str; 3] = ["auth_users", "auth_credentials", "auth_sessions"];
/// The first schema.
const OLD_TABLES: [&str; 7] = [
    "platform_workspaces",
    "platform_workspace_members",
    "platform_permissions",
    "platform_managed_users",
    "platform_books",
    "platform_book_snapshots",
    "platform_audit_events",
];
/// The second schema.
const NEW_TABLES: [&str; 7] = [
    "accounts",
    "account_members",
    "account_permissions",
    "identities",
    "pixbooks",
    "pixbook_snapshots",
    "audit_events",
];

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Reply {
    Reply::new(StatusCode::OK, json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /readyz`: whether requests should be sent here, and if not, every reason.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Reply, Refusal> {
    let (Some(backend), Some(_)) = (app.backend(), app.auth()) else {
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, NOT_CONFIGURED);
        return Err(refusal.with("reasons", json!([NOT_CONFIGURED])));
    };
    let mut reasons: Vec<String> = Vec::new();
    for switch in [backend.accounts(), backend.alias()] {
        if let Err(reason) = switch.ready() {
            reasons.push(reason.to_string());
        }
    }
    let flags = backend.accounts().snapshot();
    if let Err(reason) = has_schema(backend, flags.stage()).await {
        reasons.push(reason);
    }
    let body = json!({
        "row": flags.row(), "epoch": flags.epoch(), "stage": flags.stage().to_string(),
        "instance": backend.accounts().instance().to_string(),
    });
    let Some(first) = reasons.first() else { return Ok(Reply::new(StatusCode::OK, body)) };
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, first.clone());
    Err(refusal.with("reasons", json!(reasons)).with("flags", body))
}

/// Whether the tables are there that the stage reads or writes; if not, which are missing.
async fn has_schema(backend: &Backend, stage: Stage) -> Result<(), String> {
    let uses = |side| stage.reads == side || stage.primary == side || stage.mirror == Some(side);
    let mut wanted = SHARED_TABLES.to_vec();
    if uses(Side::Old) {
        wanted.extend(OLD_TABLES);
    }
    if uses(Side::New) {
        wanted.extend(NEW_TABLES);
    }
    let session = backend.session().await.map_err(|refusal| refusal.error().to_owned())?;
    let sql =
        "SELECT name FROM unnest($1::text[]) AS wanted (name) WHERE to_regclass(name) IS NULL ORDER BY name";
    let rows =
        session.query(sql, &[(&wanted, Type::TEXT_ARRAY)]).await.map_err(|failure| failure.to_string())?;
    let missing: Vec<String> =
        rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the database's schema is older than this service needs, or was archived; missing: {}. Apply the migrations",
        missing.join(", ")
    ))
}

/// `GET /metrics`, in the text format of Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut text = app.figures().to_prometheus();
    if let Some(backend) = app.backend() {
        text.push_str(&switch_figures(backend));
        let pool = backend.pool().status();
        for (name, help, value) in [
            ("size", "Most connections at a time.", pool.size),
            ("open", "Connections that are open.", pool.open),
            ("idle", "Connections that nobody uses.", pool.idle),
            ("waiting", "Requests that wait for one.", pool.waiting),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "# HELP accounts_pool_{name} {help}\n# TYPE accounts_pool_{name} gauge\naccounts_pool_{name} {value}"
            );
        }
    }
    text.push_str(
        "# HELP accounts_alias_requests_total Requests that named a workspace, by client.\n\
         # TYPE accounts_alias_requests_total counter\n",
    );
    for (client, count) in app.alias_uses().counts() {
        let _ = writeln!(text, "accounts_alias_requests_total{{client=\"{client}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// The figures of both switches, each word explained once.
fn switch_figures(backend: &Backend) -> String {
    let mut text = backend.accounts().metrics().to_prometheus();
    for line in backend.alias().metrics().to_prometheus().lines().filter(|line| !line.starts_with('#')) {
        text.push_str(line);
        text.push('\n');
    }
    text
}
