//! The people whom an account looks after, under their old name (users) and their new one (identities).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::answer::{Refusal, Reply};
use super::call::Call;
use super::turn::{Turn, unexpected};
use crate::app::App;
use crate::capability::MANAGE_ACCOUNT;
use crate::operation::{Operation, Outcome};
use crate::store::{AvatarChange, IdentityChange, NewIdentity};

/// What a picture is set to so that there is none.
const CLEAR: &str = "__clear__";

/// `GET /v1/account/users`.
pub(super) async fn users(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    list(&app, &call, "users").await
}

/// `GET /v1/account/identities`.
pub(super) async fn identities(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    list(&app, &call, "identities").await
}

async fn list(app: &App, call: &Call, named: &str) -> Result<Reply, Refusal> {
    let turn = Turn::begin(app, call).await?;
    let access = turn.member(Some(MANAGE_ACCOUNT)).await?;
    let account = &access.membership.account;
    let found = access.store.identities(&access.session, account).await?;
    turn.answer(Reply::about(StatusCode::OK, account, json!({ named: found })))
}

/// `POST /v1/account/users` and `/identities`.
pub(super) async fn create(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    let operation = Operation::CreateIdentity(NewIdentity {
        id: call.text("id")?,
        display_name: call.text("displayName")?,
        profile_id: call.text("profileId")?,
        identity_public_key: call.text("identityPublicKey")?,
        avatar_public_id: call.text("avatarPublicId")?,
        user_key: call.text("userKey")?,
    });
    match turn.change(&operation, "Workspace not found.").await? {
        (account, Outcome::Identity(made)) => {
            let body = json!({ "id": made.id, "user": made, "identity": made });
            turn.answer(Reply::about(StatusCode::CREATED, &account, body))
        }
        (_, other) => Err(unexpected(&other)),
    }
}

/// `PATCH /v1/account/users/{id}`.
pub(super) async fn update_user(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    update(&app, &call, "Managed user not found.").await
}

/// `PATCH /v1/account/identities/{id}`.
pub(super) async fn update_identity(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    update(&app, &call, "Identity not found.").await
}

async fn update(app: &App, call: &Call, missing: &str) -> Result<Reply, Refusal> {
    let turn = Turn::begin(app, call).await?;
    let avatar = match call.text("avatarPublicId")? {
        text if text.is_empty() => AvatarChange::Keep,
        text if text == CLEAR => AvatarChange::Clear,
        text => AvatarChange::Set(text),
    };
    let change = IdentityChange {
        display_name: call.text("displayName")?,
        avatar,
        profile_id: call.text("profileId")?,
        identity_public_key: call.text("identityPublicKey")?,
        status: call.text("status")?,
    };
    let operation = Operation::UpdateIdentity { id: call.id().to_owned(), change };
    match turn.change(&operation, missing).await? {
        (account, Outcome::IdentityUpdated(id)) => {
            turn.answer(Reply::about(StatusCode::OK, &account, json!({ "id": id })))
        }
        (_, other) => Err(unexpected(&other)),
    }
}

/// `DELETE /v1/account/users/{id}/identity`.
pub(super) async fn remove_user(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    remove(&app, &call, "Managed user not found.").await
}

/// `DELETE /v1/account/identities/{id}`.
pub(super) async fn remove_identity(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    remove(&app, &call, "Identity not found.").await
}

async fn remove(app: &App, call: &Call, missing: &str) -> Result<Reply, Refusal> {
    let turn = Turn::begin(app, call).await?;
    let operation = Operation::RemoveIdentity { id: call.id().to_owned() };
    match turn.change(&operation, missing).await? {
        (account, Outcome::IdentityRemoved(removed)) => {
            let body = json!({ "id": removed.id, "removedBookIds": removed.removed_books });
            turn.answer(Reply::about(StatusCode::OK, &account, body))
        }
        (_, other) => Err(unexpected(&other)),
    }
}

/// `DELETE /v1/account/identities`.
pub(super) async fn reset(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    match turn.change(&Operation::ResetIdentities, "Workspace not found.").await? {
        (account, Outcome::Reset(reset)) => {
            let body = json!({ "removedManagedUsers": reset.identities, "removedBooks": reset.books });
            turn.answer(Reply::about(StatusCode::OK, &account, body))
        }
        (_, other) => Err(unexpected(&other)),
    }
}
