//! One request from its first look at the flags to its answer.

use axum::http::{HeaderName, StatusCode};
use serde_json::json;
use tidegate_switch::{Pooled, Side, Stage};

use super::account_ref::AccountRef;
use super::answer::{Refusal, Reply};
use super::call::Call;
use crate::alias::client_name;
use crate::app::{App, Backend};
use crate::auth::{self, Passwords, Token};
use crate::capability::MANAGE_ACCOUNT;
use crate::config::AuthConfig;
use crate::operation::{Operation, Outcome, Performed};
use crate::store::{Capability, Membership, Store, User};

/// The header by which somebody who manages an account asks for the answer of one schema.
const SCHEMA_HEADER: &str = "x-account-schema";

/// A service that has everything that it needs.
pub(super) struct Opened<'a> {
    backend: &'a Backend,
    pub(super) auth: &'a AuthConfig,
    pub(super) passwords: &'a Passwords,
}

/// What a request needs before anything else: a configured service, and an origin that may use its cookie.
pub(super) fn opened<'a>(app: &'a App, call: &Call) -> Result<Opened<'a>, Refusal> {
    let (Some(backend), Some(auth)) = (app.backend(), app.auth()) else {
        return Err(Refusal::not_configured());
    };
    let origin = call.header("origin")?;
    if !origin.is_empty() && !origin.eq_ignore_ascii_case(&auth.origin) {
        return Err(Refusal::forbidden());
    }
    Ok(Opened { backend, auth, passwords: app.passwords() })
}

impl Opened<'_> {
    /// A session of the pool.
    pub(super) async fn session(&self) -> Result<Pooled, Refusal> {
        self.backend.session().await
    }

    /// Changes something, in one transaction that no move of the flags can straddle.
    pub(super) async fn change(
        &self,
        user: &User,
        account: &str,
        operation: &Operation,
    ) -> Result<(String, Outcome), Refusal> {
        match self.backend.perform(user, account, operation).await? {
            Performed::Done { account, outcome } => Ok((account, *outcome)),
            Performed::Forbidden => Err(Refusal::forbidden()),
            Performed::NotFound => Err(Refusal::not_found("Not found.")),
        }
    }
}

/// The token that a request's cookie carries.
pub(super) fn token_of(call: &Call) -> Option<Token> {
    let cookies = call.headers.get_all("cookie").iter();
    cookies.filter_map(|header| header.to_str().ok()).find_map(auth::token_in)
}

/// A request of somebody who is signed in.
pub(super) struct Turn<'a> {
    opened: Opened<'a>,
    request: tidegate_switch::Request,
    user: User,
    account: AccountRef,
    /// The schema that was asked for by name.
    asked: Option<Side>,
}

/// A membership, and where to read what it allows to see.
pub(super) struct Access {
    pub(super) session: Pooled,
    pub(super) store: Store,
    pub(super) membership: Membership,
}

impl<'a> Turn<'a> {
    /// Takes one look at the flags, for all of the request, and finds out who asks.
    pub(super) async fn begin(app: &'a App, call: &Call) -> Result<Turn<'a>, Refusal> {
        let opened = opened(app, call)?;
        let Some(token) = token_of(call) else { return Err(Refusal::unauthorized()) };
        let request = opened.backend.request()?;
        let account = AccountRef::of(call, opened.backend.accepts_alias()?)?;
        let asked = match call.header(SCHEMA_HEADER)?.as_str() {
            "" => None,
            "v1" => Some(Side::Old),
            "v2" => Some(Side::New),
            _ => return Err(Refusal::bad("x-account-schema must be v1 or v2.")),
        };
        let known = {
            let session = opened.session().await?;
            auth::session_of(&session, &opened.auth.secret, &token).await?
        };
        let Some(user) = known else { return Err(Refusal::unauthorized()) };
        if account.aliased {
            let client = client_name(&call.header("x-client-name")?, &call.header("user-agent")?);
            app.alias_uses().add(&client);
        }
        Ok(Turn { opened, request, user, account, asked })
    }

    /// Who asks.
    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// The membership that the request is about, with a capability where one is needed. Who is in no account and names
    /// none gets one.
    pub(super) async fn member(&self, capability: Option<&str>) -> Result<Access, Refusal> {
        if let Some(access) = self.find(capability).await? {
            return Ok(access);
        }
        self.opened.change(&self.user, "", &Operation::Ensure).await?;
        self.find(capability).await?.ok_or_else(Refusal::forbidden)
    }

    /// As `member`, for a request that never writes. `None`: the user is in no account.
    pub(super) async fn member_if_any(&self, capability: Option<&str>) -> Result<Option<Access>, Refusal> {
        self.find(capability).await
    }

    async fn find(&self, capability: Option<&str>) -> Result<Option<Access>, Refusal> {
        let stage = self.request.stage();
        let session = self.opened.session().await?;
        let mut store = Store::of(stage.reads);
        let user = self.user.id.as_str();
        let found = store.membership(&session, user, &self.account.id).await?;
        let Some(mut membership) = found else {
            // Whether an account that was named exists is not said.
            return if self.account.id.is_empty() { Ok(None) } else { Err(Refusal::forbidden()) };
        };
        let capability = if self.asked.is_some() { Some(MANAGE_ACCOUNT) } else { capability };
        if let Some(capability) = capability {
            let allowed = store.has_capability(&session, user, &membership.account, capability).await?;
            if allowed != Capability::Granted {
                return Err(Refusal::forbidden());
            }
        }
        if let Some(side) = self.asked {
            refuse_unequal(stage)?;
            store = Store::of(side);
            let there = store.membership(&session, user, &membership.account).await?;
            membership = there.ok_or_else(|| {
                let text = "The account is not in the schema that was asked for.";
                Refusal::coded(StatusCode::CONFLICT, "ACCOUNT_SCHEMA_DIFFERS", text)
            })?;
        }
        Ok(Some(Access { session, store, membership }))
    }

    /// Changes something in the account that the request is about.
    pub(super) async fn change(
        &self,
        operation: &Operation,
        missing: &str,
    ) -> Result<(String, Outcome), Refusal> {
        if self.asked.is_some() {
            return Err(Refusal::bad("x-account-schema is for reading only."));
        }
        match self.opened.backend.perform(&self.user, &self.account.id, operation).await? {
            Performed::Done { account, outcome } => Ok((account, *outcome)),
            Performed::Forbidden => Err(Refusal::forbidden()),
            Performed::NotFound => Err(Refusal::not_found(missing)),
        }
    }

    /// Ends the request with an answer, unless what it read may be from a side that nobody keeps any more.
    pub(super) fn answer(self, mut reply: Reply) -> Result<Reply, Refusal> {
        if self.account.aliased {
            reply = reply
                .header(HeaderName::from_static("deprecation"), "true")
                .header(HeaderName::from_static("x-deprecated-name"), "workspaceId; send accountId");
        }
        if let Some(side) = self.asked {
            let name = if side == Side::Old { "v1" } else { "v2" };
            reply = reply.header(HeaderName::from_static(SCHEMA_HEADER), name);
        }
        let Turn { request, .. } = self;
        match request.finish() {
            Ok(()) => Ok(reply),
            Err(stale) => Err(Refusal::unavailable("ACCOUNT_INSTANCE_STALE", stale.to_string())),
        }
    }
}

/// Reading a schema by name makes sense only while writes reach both.
fn refuse_unequal(stage: Stage) -> Result<(), Refusal> {
    if stage.mirror.is_some() {
        return Ok(());
    }
    let text = "Only one schema is written to now, so that the other one's answer would be old.";
    Err(Refusal::coded(StatusCode::CONFLICT, "ACCOUNT_SCHEMAS_NOT_MIRRORED", text)
        .with("stage", json!(stage.to_string())))
}

/// An outcome that belongs to another operation: a mistake in this program, and nothing that a caller can mend.
pub(super) fn unexpected(outcome: &Outcome) -> Refusal {
    tracing::error!(?outcome, "an operation ended with the outcome of another");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error.")
}
