//! The people whom an account looks after.

use serde_json::json;
use tidegate_store::postgres::{Session, Type};

use super::Store;
use super::account::{enter, record_event};
use super::error::{StoreError, column};
use super::row::{ACTIVE, DELETED, Identity};
use crate::binding::Binding;
use crate::id::{fresh, is_usable};
use crate::mirror::Table;
use crate::write::Write;

pub(super) const KEY_TAKEN: &str = "This identity key already belongs to another identity of the account.";
pub(super) const ID_TAKEN: &str = "This id is already taken.";
pub(super) const ID_UNUSABLE: &str = "id may hold letters, digits, _ and - only.";

/// Somebody to be looked after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewIdentity {
    /// The id that the caller wants. Blank: a fresh one.
    pub id: String,
    /// What people see.
    pub display_name: String,
    /// The profile.
    pub profile_id: String,
    /// The key.
    pub identity_public_key: String,
    /// The picture. Blank: none.
    pub avatar_public_id: String,
    /// The name within the account. Blank: made of profile and key.
    pub user_key: String,
}

/// What becomes of a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AvatarChange {
    /// It stays.
    #[default]
    Keep,
    /// There is none from now on.
    Clear,
    /// Another one.
    Set(String),
}

/// What is to change about somebody. Blank texts change nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityChange {
    /// What people see.
    pub display_name: String,
    /// The picture.
    pub avatar: AvatarChange,
    /// The profile; only together with the key.
    pub profile_id: String,
    /// The key; only together with the profile.
    pub identity_public_key: String,
    /// `active` or `deleted`.
    pub status: String,
}

/// Who was removed, and which books with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The identity.
    pub id: String,
    /// Its books that were not deleted before.
    pub removed_books: Vec<String>,
}

/// How much a reset removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Identities.
    pub identities: usize,
    /// Books.
    pub books: usize,
}

impl Store {
    /// Everybody in an account who is not deleted, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn identities(self, session: &Session, account: &str) -> Result<Vec<Identity>, StoreError> {
        let rows = session.query(self.statements().list_identities, &[(&account, Type::TEXT)]).await?;
        rows.iter().map(Identity::of).collect()
    }

    /// One person of an account, deleted or not.
    ///
    /// # Errors
    /// The database's.
    pub async fn identity(
        self,
        session: &Session,
        account: &str,
        id: &str,
    ) -> Result<Option<Identity>, StoreError> {
        let sql = self.statements().identity;
        let rows = session.query(sql, &[(&account, Type::TEXT), (&id, Type::TEXT)]).await?;
        rows.first().map(Identity::of).transpose()
    }

    pub(super) async fn identity_by_binding(
        self,
        session: &Session,
        account: &str,
        binding: &Binding,
    ) -> Result<Option<Identity>, StoreError> {
        let Binding { profile_id, fingerprint, .. } = binding;
        let sql = self.statements().identity_by_binding;
        let rows = session
            .query(sql, &[(&account, Type::TEXT), (&profile_id, Type::TEXT), (&fingerprint, Type::TEXT)])
            .await?;
        rows.first().map(Identity::of).transpose()
    }

    async fn identity_by_user_key(
        self,
        session: &Session,
        account: &str,
        user_key: &str,
    ) -> Result<Option<Identity>, StoreError> {
        let sql = self.statements().identity_by_user_key;
        let rows = session.query(sql, &[(&account, Type::TEXT), (&user_key, Type::TEXT)]).await?;
        rows.first().map(Identity::of).transpose()
    }
}

/// Adds somebody, or brings back and updates whom the binding or the name already stand for. `None`: the user is not
/// in the account.
///
/// # Errors
/// The database's; missing fields; a key that another identity of the account has.
pub async fn create_identity(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    new: &NewIdentity,
) -> Result<Option<String>, StoreError> {
    let display_name = new.display_name.trim();
    if display_name.is_empty() {
        return Err(StoreError::Invalid("displayName is required."));
    }
    let Some(binding) = Binding::of(&new.profile_id, &new.identity_public_key) else {
        return Err(StoreError::Invalid("profileId and identityPublicKey are required."));
    };
    let id = new.id.trim();
    if !id.is_empty() && !is_usable(id) {
        return Err(StoreError::Invalid(ID_UNUSABLE));
    }
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let avatar = match new.avatar_public_id.trim() {
        "" => AvatarChange::Keep,
        given => AvatarChange::Set(given.to_owned()),
    };
    let user_key = match new.user_key.trim() {
        "" => binding.user_key(),
        given => given.to_owned(),
    };
    let wanted = Wanted { id, display_name, avatar: &avatar, user_key: &user_key, binding: &binding };
    Ok(Some(insert_or_revive(write, &membership.account, &wanted).await?))
}

/// Somebody who is to be there.
pub(super) struct Wanted<'a> {
    /// Blank: a fresh one.
    pub(super) id: &'a str,
    pub(super) display_name: &'a str,
    pub(super) avatar: &'a AvatarChange,
    pub(super) user_key: &'a str,
    pub(super) binding: &'a Binding,
}

/// Within an account that is locked: the one whom the binding stands for, else the name, else a new one.
pub(super) async fn insert_or_revive(
    write: &mut Write<'_>,
    account: &str,
    wanted: &Wanted<'_>,
) -> Result<String, StoreError> {
    let (session, store) = (write.session(), write.store());
    let found = match store.identity_by_binding(session, account, wanted.binding).await? {
        Some(found) => Some(found),
        None => store.identity_by_user_key(session, account, wanted.user_key).await?,
    };
    if let Some(mut known) = found {
        write.lock(Table::Identities, std::slice::from_ref(&known.id)).await?;
        refuse_rival(write, account, &known.id, wanted.binding).await?;
        wanted.display_name.clone_into(&mut known.display_name);
        change_avatar(&mut known, wanted.avatar);
        bind(&mut known, wanted.binding);
        ACTIVE.clone_into(&mut known.status);
        store_identity(write, &known).await?;
        return Ok(known.id);
    }
    refuse_rival(write, account, "", wanted.binding).await?;
    let id = if wanted.id.is_empty() { fresh("managed-user") } else { wanted.id.to_owned() };
    let avatar = match wanted.avatar {
        AvatarChange::Set(given) => Some(given.as_str()),
        AvatarChange::Keep | AvatarChange::Clear => None,
    };
    let binding = wanted.binding;
    let inserted = session
        .execute(
            store.statements().insert_identity,
            &[
                (&id, Type::TEXT),
                (&account, Type::TEXT),
                (&wanted.display_name, Type::TEXT),
                (&avatar, Type::TEXT),
                (&wanted.user_key, Type::TEXT),
                (&binding.profile_id, Type::TEXT),
                (&binding.public_key, Type::TEXT),
                (&binding.fingerprint, Type::TEXT),
            ],
        )
        .await;
    inserted.map_err(|failure| super::error::taken(failure, ID_TAKEN))?;
    write.touch(Table::Identities, &id);
    Ok(id)
}

/// Changes somebody who is not deleted. `None`: no such person, or the user is not in the account.
///
/// # Errors
/// The database's; a half binding; an unknown status; a key that another identity of the account has.
pub async fn update_identity(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    id: &str,
    change: &IdentityChange,
) -> Result<Option<String>, StoreError> {
    let binding = match (change.profile_id.trim(), change.identity_public_key.trim()) {
        ("", "") => None,
        (profile, key) => match Binding::of(profile, key) {
            Some(binding) => Some(binding),
            None => {
                return Err(StoreError::Invalid(
                    "profileId and identityPublicKey must be provided together.",
                ));
            }
        },
    };
    let status = known_status(&change.status)?;
    if status == Some(DELETED) {
        return Ok(remove_identity(write, user, account, id).await?.map(|removed| removed.id));
    }
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let account = membership.account.as_str();
    let found = write.store().identity(write.session(), account, id).await?;
    let Some(mut known) = found.filter(|known| !known.is_deleted()) else { return Ok(None) };
    write.lock(Table::Identities, std::slice::from_ref(&known.id)).await?;
    if let Some(binding) = &binding {
        refuse_rival(write, account, &known.id, binding).await?;
        bind(&mut known, binding);
    }
    if !change.display_name.trim().is_empty() {
        change.display_name.trim().clone_into(&mut known.display_name);
    }
    change_avatar(&mut known, &change.avatar);
    if let Some(status) = status {
        status.clone_into(&mut known.status);
    }
    store_identity(write, &known).await?;
    Ok(Some(known.id))
}

/// Marks somebody and all of their books as deleted. `None`: no such person, or the user is not in the account.
///
/// # Errors
/// The database's.
pub async fn remove_identity(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    id: &str,
) -> Result<Option<Removed>, StoreError> {
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let account = membership.account.as_str();
    let found = write.store().identity(write.session(), account, id).await?;
    let Some(known) = found.filter(|known| !known.is_deleted()) else { return Ok(None) };
    let ids = [known.id];
    let removed_books = delete_people(write, account, &ids).await?;
    let [id] = ids;
    let payload = json!({ "managedUserId": id, "removedBookIds": removed_books });
    record_event(write, account, user, "managed-user.identity.removed", payload).await?;
    Ok(Some(Removed { id, removed_books }))
}

/// Marks everybody in an account and all of its books as deleted. `None`: the user is not in the account.
///
/// # Errors
/// The database's.
pub async fn reset_identities(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
) -> Result<Option<Reset>, StoreError> {
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let account = membership.account.as_str();
    let sql = write.store().statements().live_identity_ids;
    let rows = write.session().query(sql, &[(&account, Type::TEXT)]).await?;
    let ids: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
    let mut books = delete_people(write, account, &ids).await?;
    // Books whose person was deleted by other means go, too.
    books.extend(super::book::delete_books_of(write, account, &[]).await?);
    let payload = json!({ "removedManagedUsers": ids.len(), "removedBooks": books.len() });
    record_event(write, account, user, "managed-user.identity.reset", payload).await?;
    Ok(Some(Reset { identities: ids.len(), books: books.len() }))
}

/// Marks people and their books as deleted; returns the books.
async fn delete_people(
    write: &mut Write<'_>,
    account: &str,
    ids: &[String],
) -> Result<Vec<String>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    write.lock(Table::Identities, ids).await?;
    let books = super::book::delete_books_of(write, account, ids).await?;
    let sql = write.store().statements().delete_identities;
    write.session().execute(sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
    Ok(books)
}

/// Refuses a key that another identity of the account has: one rule for both schemas.
async fn refuse_rival(
    write: &Write<'_>,
    account: &str,
    id: &str,
    binding: &Binding,
) -> Result<(), StoreError> {
    let sql = write.store().statements().binding_rival;
    let rivals = write
        .session()
        .query(
            sql,
            &[
                (&account, Type::TEXT),
                (&id, Type::TEXT),
                (&binding.profile_id, Type::TEXT),
                (&binding.fingerprint, Type::TEXT),
            ],
        )
        .await?;
    if rivals.is_empty() { Ok(()) } else { Err(StoreError::Taken(KEY_TAKEN)) }
}

async fn store_identity(write: &mut Write<'_>, known: &Identity) -> Result<(), StoreError> {
    let sql = write.store().statements().update_identity;
    write
        .session()
        .execute(
            sql,
            &[
                (&known.id, Type::TEXT),
                (&known.display_name, Type::TEXT),
                (&known.avatar_public_id, Type::TEXT),
                (&known.profile_id, Type::TEXT),
                (&known.identity_public_key, Type::TEXT),
                (&known.identity_key_fingerprint, Type::TEXT),
                (&known.status, Type::TEXT),
            ],
        )
        .await?;
    write.touch(Table::Identities, &known.id);
    Ok(())
}

fn change_avatar(known: &mut Identity, change: &AvatarChange) {
    match change {
        AvatarChange::Keep => {}
        AvatarChange::Clear => known.avatar_public_id = None,
        AvatarChange::Set(given) => known.avatar_public_id = Some(given.clone()),
    }
}

fn bind(known: &mut Identity, binding: &Binding) {
    known.profile_id = Some(binding.profile_id.clone());
    known.identity_public_key = Some(binding.public_key.clone());
    known.identity_key_fingerprint = Some(binding.fingerprint.clone());
}

/// A status that a caller may ask for; `None`: none was asked for.
pub(super) fn known_status(asked: &str) -> Result<Option<&'static str>, StoreError> {
    match asked.trim() {
        "" => Ok(None),
        ACTIVE => Ok(Some(ACTIVE)),
        DELETED => Ok(Some(DELETED)),
        _ => Err(StoreError::Invalid("status must be active or deleted.")),
    }
}
