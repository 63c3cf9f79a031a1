//! Signing up, in and out, and who is signed in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use serde_json::{Value as Json, json};

use super::answer::{Refusal, Reply};
use super::call::Call;
use super::turn::{Turn, opened};
use crate::app::App;
use crate::auth::{self, Token, clear_cookie, set_cookie};
use crate::id::fresh;
use crate::operation::{Operation, SignIn, SignUp};
use crate::store::{Membership, Store, User};

const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_CHARS_MAX: usize = 256;
const EMAIL_CHARS_MAX: usize = 254;
const WRONG: &str = "Invalid email or password.";

/// `POST /v1/auth/sign-up`.
pub(super) async fn sign_up(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let opened = opened(&app, &call)?;
    let (email, password) = (email_of(&call)?, password_of(&call)?);
    let name = call.text("name")?;
    let shortest = password.chars().count() >= PASSWORD_CHARS_MIN;
    if !shortest {
        return Err(Refusal::bad("password must have at least 8 characters."));
    }
    let user = User { id: fresh("user"), email, name };
    let token = fresh_token()?;
    let sign_in = SignIn { secret: opened.auth.secret.clone(), token: token.clone() };
    let password_hash = opened.passwords.hash(password).await?;
    let operation = Operation::SignUp(SignUp { password_hash, sign_in });
    let account = opened.change(&user, "", &operation).await?.0;
    let cookie = set_cookie(&token, opened.auth.is_secure());
    let reply = Reply::about(StatusCode::CREATED, &account, json!({ "user": user_json(&user) }));
    Ok(reply.header(header::SET_COOKIE, &cookie))
}

/// `POST /v1/auth/sign-in`.
pub(super) async fn sign_in(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let opened = opened(&app, &call)?;
    let (email, password) = (email_of(&call)?, password_of(&call)?);
    let known = {
        let session = opened.session().await?;
        auth::credential_of(&session, &email).await?
    };
    let (user, hash) = known.map(|known| (known.user, known.password_hash)).unzip();
    let right = opened.passwords.matches(password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, WRONG));
    };
    let token = fresh_token()?;
    let sign_in = SignIn { secret: opened.auth.secret.clone(), token: token.clone() };
    let account = opened.change(&user, "", &Operation::SignIn(sign_in)).await?.0;
    let cookie = set_cookie(&token, opened.auth.is_secure());
    let reply = Reply::about(StatusCode::OK, &account, json!({ "user": user_json(&user) }));
    Ok(reply.header(header::SET_COOKIE, &cookie))
}

/// `POST /v1/auth/sign-out`: good also for who is not signed in.
pub(super) async fn sign_out(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let opened = opened(&app, &call)?;
    if let Some(token) = super::turn::token_of(&call) {
        let session = opened.session().await?;
        auth::end_session(&session, &opened.auth.secret, &token).await?;
    }
    let reply = Reply::new(StatusCode::OK, Json::Null);
    Ok(reply.header(header::SET_COOKIE, &clear_cookie(opened.auth.is_secure())))
}

/// `GET /v1/account/session`: the user, and the account or null.
pub(super) async fn session(State(app): State<Arc<App>>, call: Call) -> Result<Reply, Refusal> {
    let turn = Turn::begin(&app, &call).await?;
    let user = user_json(turn.user());
    let workspace = match turn.member(None).await {
        Ok(access) => summary(&access.session, access.store, &access.membership).await?,
        // A session is a session, also where its account cannot be had.
        Err(refusal) if refusal.status() == StatusCode::FORBIDDEN => Json::Null,
        Err(refusal) => return Err(refusal),
    };
    let account = workspace.get("accountId").and_then(Json::as_str).map(str::to_owned);
    let body = json!({ "user": user, "workspace": workspace });
    let reply = match account {
        Some(account) => Reply::about(StatusCode::OK, &account, body),
        None => Reply::new(StatusCode::OK, body),
    };
    turn.answer(reply)
}

pub(super) async fn summary(
    session: &tidegate_store::postgres::Session,
    store: Store,
    membership: &Membership,
) -> Result<Json, Refusal> {
    Ok(json!(store.summary(session, membership).await?))
}

fn user_json(user: &User) -> Json {
    let name = (!user.name.is_empty()).then_some(&user.name);
    json!({ "id": user.id, "email": user.email, "name": name })
}

fn fresh_token() -> Result<Token, Refusal> {
    Token::fresh().map_err(|error| {
        tracing::error!(%error, "the system gives no random bits");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error.")
    })
}

fn email_of(call: &Call) -> Result<String, Refusal> {
    let email = call.text("email")?.to_lowercase();
    let parts = email.split_once('@').filter(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
    });
    let plain = email.chars().count() <= EMAIL_CHARS_MAX && !email.contains(char::is_whitespace);
    if parts.is_none() || !plain || email.matches('@').count() != 1 {
        return Err(Refusal::bad("email must be an email address."));
    }
    Ok(email)
}

/// A password as it was typed: blanks in it count.
fn password_of(call: &Call) -> Result<String, Refusal> {
    match call.json("password") {
        Some(Json::String(password)) if password.chars().count() <= PASSWORD_CHARS_MAX => {
            Ok(password.clone())
        }
        Some(Json::String(_)) => Err(Refusal::bad("password is too long.")),
        _ => Err(Refusal::bad("password is required.")),
    }
}
