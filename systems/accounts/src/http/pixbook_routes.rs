//! The one book that a profile means: looked at, and saved.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use serde_json::{Value as Json, json};

use super::answer::{Refusal, Reply};
use super::call::Call;
use super::turn::{Turn, unexpected};
use crate::app::App;
use crate::binding::Binding;
use crate::operation::{Operation, Outcome};
use crate::store::{Book, Identity, NewSnapshot, Pixbook, PixbookWanted, Snapshot};

/// Until when these two routes are there, and what to use instead.
const SUNSET: &str = "Wed, 30 Sep 2026 00:00:00 GMT";
const SUCCESSOR: &str = "</v1/account/pixbooks>; rel=\"successor-version\"";

/// `GET /v1/account/pixbook`: never writes.
pub(super) async fn look(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    let wanted = wanted_of(&call)?;
    if wanted.book_id.is_empty() && wanted.binding.is_none() {
        return Err(no_pixbook(&Pixbook::BindingRequired));
    }
    let access = match turn.member_if_any(None).await? {
        Some(access) => access,
        None => return Err(no_pixbook(&Pixbook::NotSaved)),
    };
    let account = &access.membership.account;
    match access.store.pixbook(&access.session, &turn.user().id, account, &wanted).await? {
        Pixbook::Found(found) => {
            let (identity, book) = *found;
            let snapshot = access.store.latest_snapshot(&access.session, &book.id).await?;
            turn.answer(about(account, &identity, &book, snapshot.as_ref()))
        }
        other => Err(no_pixbook(&other)),
    }
}

/// `PUT /v1/account/pixbook/snapshot`.
pub(super) async fn save(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    const FAILED: &str = "PIXBOOK_SAVE_FAILED";
    let recode = |refusal: Refusal| refusal.recoded(StatusCode::BAD_REQUEST, FAILED);
    let turn = Turn::begin(&app, &call).await?;
    let wanted = wanted_of(&call).map_err(recode)?;
    if wanted.book_id.is_empty() && wanted.binding.is_none() {
        return Err(no_pixbook(&Pixbook::BindingRequired));
    }
    let payload = match call.json("payload") {
        None | Some(Json::Null) => {
            return Err(Refusal::coded(StatusCode::BAD_REQUEST, FAILED, "payload is required."));
        }
        Some(payload) => payload.clone(),
    };
    let optional = |text: String| (!text.is_empty()).then_some(text);
    let new = NewSnapshot {
        payload,
        ledger_head: optional(call.text("ledgerHead").map_err(recode)?),
        expected_version: call.number("expectedVersion").map_err(recode)?,
        expected_ledger_head: optional(call.text("expectedLedgerHead").map_err(recode)?),
    };
    let operation = Operation::SavePixbook { wanted, new };
    match turn.change(&operation, "Workspace not found.").await.map_err(recode)? {
        (account, Outcome::Saved(saved)) => {
            let (identity, book, snapshot) = *saved;
            turn.answer(about(&account, &identity, &book, Some(&snapshot)))
        }
        (_, Outcome::NoPixbook(why)) => Err(no_pixbook(&why)),
        (_, other) => Err(unexpected(&other)),
    }
}

fn about(account: &str, identity: &Identity, book: &Book, snapshot: Option<&Snapshot>) -> Reply {
    let body = json!({ "managedUser": identity, "book": book, "snapshot": snapshot });
    Reply::about(StatusCode::OK, account, body)
        .header(HeaderName::from_static("deprecation"), "true")
        .header(HeaderName::from_static("sunset"), SUNSET)
        .header(HeaderName::from_static("link"), SUCCESSOR)
}

/// Which book a request means: each word by header, query or body.
fn wanted_of(call: &Call) -> Result<PixbookWanted, Refusal> {
    let profile = call.anywhere("x-pixbook-profile-id", "profileId")?;
    let key = call.anywhere("x-pixbook-identity-key", "identityPublicKey")?;
    Ok(PixbookWanted {
        binding: Binding::of(&profile, &key),
        collection_id: call.anywhere("x-pixbook-collection-id", "collectionId")?,
        book_id: call.anywhere("x-book-id", "bookId")?,
        profile_name: call.anywhere("x-pixbook-profile-name", "profileName")?,
    })
}

fn no_pixbook(why: &Pixbook) -> Refusal {
    let (status, code, text) = match why {
        Pixbook::BindingRequired => (
            StatusCode::BAD_REQUEST,
            "PIXBOOK_PROFILE_BINDING_REQUIRED",
            "profileId and identityPublicKey, or bookId, are required.",
        ),
        Pixbook::NotSaved => (
            StatusCode::NOT_FOUND,
            "PIXBOOK_NOT_SAVED_TO_ACCOUNT",
            "This pixbook is not saved to the account.",
        ),
        Pixbook::ProfileMismatch => (
            StatusCode::CONFLICT,
            "PIXBOOK_BOOK_PROFILE_MISMATCH",
            "The book belongs to another profile or key.",
        ),
        Pixbook::CollectionMismatch => (
            StatusCode::CONFLICT,
            "PIXBOOK_BOOK_COLLECTION_MISMATCH",
            "The book belongs to another collection.",
        ),
        Pixbook::Found(_) => {
            return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Unable to resolve pixbook.");
        }
    };
    Refusal::coded(status, code, text)
}
