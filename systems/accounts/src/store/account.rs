//! Accounts and who may do what in them.

use serde_json::json;
use tidegate_store::postgres::{Session, Type};

use super::Store;
use super::error::{StoreError, column};
use super::row::{Membership, Summary};
use crate::capability;
use crate::id::fresh;
use crate::mirror::Table;
use crate::write::Write;

/// Somebody whom the authentication knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The authentication's id.
    pub id: String,
    /// The address. Blank: not told.
    pub email: String,
    /// What the person wants to be called. Blank: not told.
    pub name: String,
}

/// Whether somebody may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A member who may.
    Granted,
    /// A member who may not.
    Denied,
    /// No member, or no such account.
    NotFound,
}

/// What [`ensure_workspace`] found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// The membership.
    pub membership: Membership,
    /// Whether it was made now.
    pub created: bool,
}

impl Store {
    /// A user's active membership of an account, or of the oldest where `account` is blank.
    ///
    /// # Errors
    /// The database's.
    pub async fn membership(
        self,
        session: &Session,
        user: &str,
        account: &str,
    ) -> Result<Option<Membership>, StoreError> {
        let parameters: [(&(dyn tidegate_store::postgres::ToSql + Sync), Type); 2] =
            [(&user, Type::TEXT), (&account, Type::TEXT)];
        let rows = session.query(self.statements().find_membership, &parameters).await?;
        rows.first().map(Membership::of).transpose()
    }

    /// What a member may do, sorted.
    ///
    /// # Errors
    /// The database's.
    pub async fn capabilities(self, session: &Session, member: &str) -> Result<Vec<String>, StoreError> {
        let rows = session.query(self.statements().capabilities, &[(&member, Type::TEXT)]).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }

    /// Whether a user may do something in an account.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_capability(
        self,
        session: &Session,
        user: &str,
        account: &str,
        capability: &str,
    ) -> Result<Capability, StoreError> {
        let sql = self.statements().has_capability;
        let rows = session
            .query(sql, &[(&user, Type::TEXT), (&account, Type::TEXT), (&capability, Type::TEXT)])
            .await?;
        Ok(match rows.first().map(|row| column(row, 0)).transpose()? {
            Some(true) => Capability::Granted,
            Some(false) => Capability::Denied,
            None => Capability::NotFound,
        })
    }

    /// An account as a member sees it.
    ///
    /// # Errors
    /// The database's.
    pub async fn summary(self, session: &Session, of: &Membership) -> Result<Summary, StoreError> {
        Ok(Summary {
            account_id: of.account.clone(),
            workspace_id: of.account.clone(),
            name: of.name.clone(),
            role: of.role.clone(),
            capabilities: self.capabilities(session, &of.member).await?,
            created_at: of.created_at,
            updated_at: of.updated_at,
        })
    }
}

/// Writes the platform's own row of a user and, where the user is in no account yet, makes one and its owner.
///
/// Two first visits at once make one account: the user's row is locked before memberships are looked for. An address
/// that another id already has stays with that id, and this one is kept without an address.
///
/// # Errors
/// The database's.
pub async fn ensure_workspace(write: &mut Write<'_>, user: &User) -> Result<Ensured, StoreError> {
    if user.id.trim().is_empty() {
        return Err(StoreError::Invalid("Session user id is required."));
    }
    let (session, store) = (write.session(), write.store());
    write_user(session, user).await?;
    if let Some(membership) = store.membership(session, &user.id, "").await? {
        return Ok(Ensured { membership, created: false });
    }
    let (account, member) = (fresh("ws"), fresh("member"));
    let statements = store.statements();
    let name = first_name(user);
    session.execute(statements.insert_account, &[(&account, Type::TEXT), (&name, Type::TEXT)]).await?;
    session
        .execute(
            statements.insert_member,
            &[(&member, Type::TEXT), (&account, Type::TEXT), (&user.id, Type::TEXT), (&"owner", Type::TEXT)],
        )
        .await?;
    let grants: Vec<String> = capability::OWNER.iter().map(|_| fresh("perm")).collect();
    let capabilities = capability::OWNER.as_slice();
    session
        .execute(
            statements.insert_permissions,
            &[(&member, Type::TEXT), (&grants, Type::TEXT_ARRAY), (&capabilities, Type::TEXT_ARRAY)],
        )
        .await?;
    write.touch(Table::Accounts, &account);
    write.touch(Table::Members, &member);
    for grant in &grants {
        write.touch(Table::Permissions, grant);
    }
    let payload = json!({ "workspaceId": account, "memberId": member });
    record_event(write, &account, &user.id, "workspace.created", payload).await?;
    let made = store.membership(session, &user.id, &account).await?;
    let membership = made.ok_or(StoreError::Invalid("Workspace not found."))?;
    Ok(Ensured { membership, created: true })
}

/// Gives an account another name. `None`: the user is not in it.
///
/// # Errors
/// The database's; a blank name.
pub async fn rename_workspace(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    name: &str,
) -> Result<Option<Summary>, StoreError> {
    if name.trim().is_empty() {
        return Err(StoreError::Invalid("Workspace name is required."));
    }
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let (session, store) = (write.session(), write.store());
    let sql = store.statements().rename_account;
    session.execute(sql, &[(&membership.account, Type::TEXT), (&name.trim(), Type::TEXT)]).await?;
    match store.membership(session, user, &membership.account).await? {
        Some(renamed) => Ok(Some(store.summary(session, &renamed).await?)),
        None => Ok(None),
    }
}

/// Finds the account that a change is for and keeps other writes out of it. `None`: the user is not in it.
pub(crate) async fn enter(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
) -> Result<Option<Membership>, StoreError> {
    if let Some(entered) = write.entered(user, account) {
        return Ok(Some(entered));
    }
    let (session, store) = (write.session(), write.store());
    let Some(found) = store.membership(session, user, account).await? else { return Ok(None) };
    write.lock_account(&found.account).await?;
    // What was read before the lock may be older than the write that held it.
    let Some(found) = store.membership(session, user, &found.account).await? else { return Ok(None) };
    write.enter(user, &found);
    Ok(Some(found))
}

/// Keeps what happened, under an id that both schemas share.
pub(super) async fn record_event(
    write: &mut Write<'_>,
    account: &str,
    actor: &str,
    kind: &str,
    payload: serde_json::Value,
) -> Result<(), StoreError> {
    let id = fresh("audit");
    let sql = write.store().statements().insert_event;
    write
        .session()
        .execute(
            sql,
            &[
                (&id, Type::TEXT),
                (&account, Type::TEXT),
                (&actor, Type::TEXT),
                (&kind, Type::TEXT),
                (&payload, Type::JSONB),
            ],
        )
        .await?;
    write.touch(Table::Events, &id);
    Ok(())
}

/// The platform's row of a user, locked until the transaction ends.
async fn write_user(session: &Session, user: &User) -> Result<(), StoreError> {
    let email = user.email.trim();
    if !email.is_empty() {
        // Two ids with one address meet here instead of at the unique index.
        session
            .query(
                "SELECT pg_advisory_xact_lock(hashtextextended('auth_users.email ' || $1, 0))",
                &[(&email, Type::TEXT)],
            )
            .await?;
    }
    session
        .execute(
            include_str!("sql/write_user.sql"),
            &[(&user.id, Type::TEXT), (&email, Type::TEXT), (&user.name.trim(), Type::TEXT)],
        )
        .await?;
    Ok(())
}

/// What an account is called before anybody named it.
fn first_name(user: &User) -> String {
    match user.email.split('@').next().map(str::trim) {
        Some(local) if !local.is_empty() => format!("{local}'s workspace"),
        _ => "My workspace".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_first_named_for_its_owners_address() {
        let user = |email: &str| User { id: "u".into(), email: email.into(), name: String::new() };
        assert_eq!(first_name(&user("ada@example.org")), "ada's workspace");
        assert_eq!(first_name(&user("")), "My workspace");
    }
}
