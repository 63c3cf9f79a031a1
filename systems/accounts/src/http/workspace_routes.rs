//! The account itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::answer::{Refusal, Reply};
use super::call::Call;
use super::session_routes::summary;
use super::turn::Turn;
use crate::app::App;
use crate::capability::MANAGE_ACCOUNT;
use crate::operation::{Operation, Outcome};

/// `GET /v1/account/workspace`.
pub(super) async fn workspace(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    let access = turn.member(Some(MANAGE_ACCOUNT)).await?;
    let workspace = summary(&access.session, access.store, &access.membership).await?;
    let account = &access.membership.account;
    turn.answer(Reply::about(StatusCode::OK, account, json!({ "workspace": workspace })))
}

/// `PATCH /v1/account/workspace`.
pub(super) async fn rename(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    let operation = Operation::RenameWorkspace { name: call.text("name")? };
    match turn.change(&operation, "Workspace not found.").await? {
        (account, Outcome::Renamed(workspace)) => {
            turn.answer(Reply::about(StatusCode::OK, &account, json!({ "workspace": workspace })))
        }
        (_, other) => Err(super::turn::unexpected(&other)),
    }
}
