//! Accounts, sessions and tokens.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use uuid::Uuid;

use super::identity::{Asker, SESSION_COOKIE, signed_in};
use super::reply::{Failure, json as answer, object, text};
use crate::app::App;
use crate::user::{self, Account, NewUser};
use crate::{deletion, keyspace, session, token};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/auth/signup", post(sign_up))
        .route("/api/auth/signin", post(sign_in))
        .route("/api/auth/signout", post(sign_out))
        .route("/api/auth/password", post(password))
        .route("/api/auth/name", post(name))
        .route("/api/auth/account", get(account).delete(remove))
        .route("/api/tokens", get(tokens).post(issue))
        .route("/api/tokens/{id}", delete(revoke))
}

async fn sign_up(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Failure> {
    let fields = object(&body)?;
    let user_name = text(&fields, "username")?;
    let new = NewUser {
        email: text(&fields, "email")?,
        name: fields.get("name").and_then(Value::as_str).unwrap_or(&user_name).to_owned(),
        password: text(&fields, "password")?,
        user_name,
    };
    let account = user::sign_up(&app, new).await?;
    begin(&app, &account, StatusCode::CREATED).await
}

async fn sign_in(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Failure> {
    let fields = object(&body)?;
    let account = user::sign_in(&app, &text(&fields, "username")?, text(&fields, "password")?).await?;
    let account = account
        .ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, "the user name or the password is wrong"))?;
    let answer = begin(&app, &account, StatusCode::OK).await?;
    app.after_sign_in(&account.id);
    Ok(answer)
}

/// A new session, with its cookie and the token for forms.
async fn begin(app: &App, account: &Account, status: StatusCode) -> Result<Response, Failure> {
    let session_id = session::begin(app, account).await?;
    let mut response = answer(status, &account.public());
    let csrf = Uuid::new_v4();
    let age = keyspace::SESSION_SECONDS;
    for cookie in [
        format!("{SESSION_COOKIE}={session_id}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}"),
        format!("csrf_token={csrf}; Path=/; SameSite=Lax; Max-Age={age}"),
    ] {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let asker = signed_in(&app, &headers).await?;
    if let Some(session_id) = &asker.session_id {
        session::end(&app, session_id, &asker.user_id).await?;
    }
    let mut response = answer(StatusCode::OK, &json!({ "success": true }));
    let gone = HeaderValue::from_static("session_id=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    response.headers_mut().append(header::SET_COOKIE, gone);
    Ok(response)
}

/// A session of a person; a token cannot change the account.
async fn person(app: &App, headers: &HeaderMap) -> Result<Asker, Failure> {
    let asker = signed_in(app, headers).await?;
    if asker.session_id.is_none() {
        return Err(Failure::new(StatusCode::FORBIDDEN, "Forbidden"));
    }
    Ok(asker)
}

async fn password(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let asker = person(&app, &headers).await?;
    let fields = object(&body)?;
    user::change_password(&app, &asker.user_id, text(&fields, "old")?, text(&fields, "new")?).await?;
    // Whoever knew the old one is signed out.
    session::end_all(&app, &asker.user_id, asker.session_id.as_deref()).await?;
    Ok(answer(StatusCode::OK, &json!({ "success": true })))
}

async fn name(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let asker = person(&app, &headers).await?;
    user::change_name(&app, &asker.user_id, &text(&object(&body)?, "name")?).await?;
    Ok(answer(StatusCode::OK, &json!({ "success": true })))
}

async fn account(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let asker = signed_in(&app, &headers).await?;
    let account = user::by_id(&app, &asker.user_id).await?.ok_or_else(Failure::unauthorized)?;
    Ok(answer(StatusCode::OK, &account.public()))
}

async fn remove(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let asker = person(&app, &headers).await?;
    deletion::delete(&app, &asker.user_id).await?;
    Ok(answer(StatusCode::OK, &json!({ "success": true })))
}

async fn tokens(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Failure> {
    let asker = person(&app, &headers).await?;
    Ok(answer(StatusCode::OK, &json!({ "tokens": token::list(&app, &asker.user_id).await? })))
}

async fn issue(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let asker = person(&app, &headers).await?;
    let fields = object(&body)?;
    let scopes = fields.get("scopes").cloned().unwrap_or_default();
    let scopes: Vec<String> =
        serde_json::from_value(scopes).map_err(|_| Failure::bad("scopes must be a list of texts"))?;
    let (secret, token) = token::issue(&app, &asker.user_id, &text(&fields, "name")?, &scopes).await?;
    Ok(answer(StatusCode::CREATED, &json!({ "token": secret, "id": token.id, "scopes": token.scopes })))
}

async fn revoke(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let asker = person(&app, &headers).await?;
    if token::revoke(&app, &asker.user_id, &id).await? {
        return Ok(answer(StatusCode::OK, &json!({ "success": true })));
    }
    Err(Failure::new(StatusCode::NOT_FOUND, "there is no such token"))
}
