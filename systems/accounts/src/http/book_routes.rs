//! Books, under their old name and their new one (pixbooks).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use super::answer::{Refusal, Reply};
use super::call::Call;
use super::turn::{Turn, unexpected};
use crate::app::App;
use crate::capability::MANAGE_ACCOUNT;
use crate::operation::{Operation, Outcome};
use crate::store::{Book, NewBook};

/// `GET /v1/account/books`.
pub(super) async fn books(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    list(&app, &call, "books").await
}

/// `GET /v1/account/pixbooks`.
pub(super) async fn pixbooks(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    list(&app, &call, "pixbooks").await
}

async fn list(app: &App, call: &Call, named: &str) -> Result<Reply, Refusal> {
    let turn = Turn::begin(app, call).await?;
    let access = turn.member(Some(MANAGE_ACCOUNT)).await?;
    let account = &access.membership.account;
    let found = access.store.books(&access.session, account).await?;
    let books: Vec<Json> = found.iter().map(listed).collect();
    turn.answer(Reply::about(StatusCode::OK, account, json!({ named: books })))
}

/// A book in a list: its version is a text there, as clients have always had it.
fn listed(book: &Book) -> Json {
    let mut listed = json!(book);
    if let Json::Object(fields) = &mut listed {
        fields.insert("currentVersion".to_owned(), Json::String(book.current_version.to_string()));
    }
    listed
}

/// `POST /v1/account/books` and `/pixbooks`.
pub(super) async fn create(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    let operation = Operation::CreateBook(NewBook {
        id: call.text("id")?,
        managed_user_id: call.text("managedUserId")?,
        name: call.text("name")?,
        collection_id: call.text("collectionId")?,
    });
    match turn.change(&operation, "Workspace not found.").await? {
        (account, Outcome::BookCreated(id)) => {
            turn.answer(Reply::about(StatusCode::CREATED, &account, json!({ "id": id })))
        }
        (_, other) => Err(unexpected(&other)),
    }
}

/// `PATCH /v1/account/books/{id}`.
pub(super) async fn update_book(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    update(&app, &call, "Book not found.").await
}

/// `PATCH /v1/account/pixbooks/{id}`.
pub(super) async fn update_pixbook(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    update(&app, &call, "Pixbook not found.").await
}

async fn update(app: &App, call: &Call, missing: &str) -> Result<Reply, Refusal> {
    let turn = Turn::begin(app, call).await?;
    let operation = Operation::UpdateBook {
        id: call.id().to_owned(),
        name: call.text("name")?,
        status: call.text("status")?,
    };
    match turn.change(&operation, missing).await? {
        (account, Outcome::BookUpdated(id)) => {
            turn.answer(Reply::about(StatusCode::OK, &account, json!({ "id": id })))
        }
        (_, other) => Err(unexpected(&other)),
    }
}

/// `DELETE /v1/account/books/{id}`.
pub(super) async fn remove_book(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    remove(&app, &call, "Book not found.").await
}

/// `DELETE /v1/account/pixbooks/{id}`.
pub(super) async fn remove_pixbook(app: State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    remove(&app, &call, "Pixbook not found.").await
}

async fn remove(app: &App, call: &Call, missing: &str) -> Result<Reply, Refusal> {
    let turn = Turn::begin(app, call).await?;
    let operation = Operation::RemoveBook { id: call.id().to_owned() };
    match turn.change(&operation, missing).await? {
        (account, Outcome::BookRemoved(removed)) => {
            let body = json!({
                "id": removed.id,
                "managedUserId": removed.managed_user_id,
                "collectionId": removed.collection_id,
            });
            turn.answer(Reply::about(StatusCode::OK, &account, body))
        }
        (_, other) => Err(unexpected(&other)),
    }
}
