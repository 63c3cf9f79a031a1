//! The book that a user means without knowing its id: by a profile and a key.

use tidegate_store::postgres::{Session, Type};

use super::Store;
use super::account::enter;
use super::book::insert_book;
use super::error::StoreError;
use super::identity::{AvatarChange, Wanted, insert_or_revive};
use super::row::{Book, Identity, collection_or_primary};
use crate::binding::Binding;
use crate::write::Write;

/// What a book is called before anybody named it.
const BOOK_NAME: &str = "My Pixbook";
/// What a person is called who gave no name.
const PERSON_NAME: &str = "My profile";

/// Which book is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PixbookWanted {
    /// The profile and its key.
    pub binding: Option<Binding>,
    /// The collection. Blank: `primary`, or whichever the book is.
    pub collection_id: String,
    /// The book. Blank: the one of the profile.
    pub book_id: String,
    /// What to call a person who is new. Blank: a common name.
    pub profile_name: String,
}

/// What a search for a book found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pixbook {
    /// The book, and whose it is.
    Found(Box<(Identity, Book)>),
    /// Neither a book nor a profile with its key was named.
    BindingRequired,
    /// There is no such book in the account.
    NotSaved,
    /// The book is of another profile or key.
    ProfileMismatch,
    /// The book is of another collection.
    CollectionMismatch,
}

impl Pixbook {
    fn found(identity: Identity, book: Book) -> Pixbook {
        Pixbook::Found(Box::new((identity, book)))
    }
}

impl Store {
    /// Looks for a book, and changes nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn pixbook(
        self,
        session: &Session,
        user: &str,
        account: &str,
        wanted: &PixbookWanted,
    ) -> Result<Pixbook, StoreError> {
        if !wanted.book_id.is_empty() {
            return self.pixbook_by_id(session, account, wanted).await;
        }
        let Some(binding) = &wanted.binding else { return Ok(Pixbook::BindingRequired) };
        let found = self.personal_identity(session, user, account, binding).await?;
        let Some(identity) = found.filter(|found| !found.is_deleted()) else { return Ok(Pixbook::NotSaved) };
        if !is_bound(&identity, binding) {
            return Ok(Pixbook::ProfileMismatch);
        }
        let collection = collection_or_primary(&wanted.collection_id);
        match self.book_in_collection(session, account, &identity.id, &collection).await? {
            Some(book) => Ok(Pixbook::found(identity, book)),
            None => Ok(Pixbook::NotSaved),
        }
    }

    async fn pixbook_by_id(
        self,
        session: &Session,
        account: &str,
        wanted: &PixbookWanted,
    ) -> Result<Pixbook, StoreError> {
        let Some(book) = self.book(session, account, &wanted.book_id).await? else {
            return Ok(Pixbook::NotSaved);
        };
        let Some(identity) = self.identity(session, account, &book.managed_user_id).await? else {
            return Ok(Pixbook::NotSaved);
        };
        if wanted.binding.as_ref().is_some_and(|binding| !is_bound(&identity, binding)) {
            return Ok(Pixbook::ProfileMismatch);
        }
        let collection = wanted.collection_id.trim();
        if !collection.is_empty() && collection != book.collection_id {
            return Ok(Pixbook::CollectionMismatch);
        }
        Ok(Pixbook::found(identity, book))
    }

    async fn personal_identity(
        self,
        session: &Session,
        user: &str,
        account: &str,
        binding: &Binding,
    ) -> Result<Option<Identity>, StoreError> {
        let key = binding.personal_key(user);
        let rows = session
            .query(
                self.statements().personal_identity,
                &[
                    (&account, Type::TEXT),
                    (&key, Type::TEXT),
                    (&binding.profile_id, Type::TEXT),
                    (&binding.fingerprint, Type::TEXT),
                ],
            )
            .await?;
        rows.first().map(Identity::of).transpose()
    }
}

/// As [`Store::pixbook`], and makes the person and the book where they are missing and a profile with its key was
/// named. `None`: the user is not in the account.
///
/// # Errors
/// The database's; a key that another identity of the account has.
pub async fn ensure_personal_pixbook(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    wanted: &PixbookWanted,
) -> Result<Option<Pixbook>, StoreError> {
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let account = membership.account.as_str();
    let (session, store) = (write.session(), write.store());
    let found = store.pixbook(session, user, account, wanted).await?;
    let (Pixbook::NotSaved, true, Some(binding)) = (&found, wanted.book_id.is_empty(), &wanted.binding)
    else {
        return Ok(Some(found));
    };
    let identity = match store.personal_identity(session, user, account, binding).await? {
        Some(known) if !known.is_deleted() => known.id,
        _ => {
            let name = wanted.profile_name.trim();
            let person = Wanted {
                id: "",
                display_name: if name.is_empty() { PERSON_NAME } else { name },
                avatar: &AvatarChange::Keep,
                user_key: &binding.personal_key(user),
                binding,
            };
            insert_or_revive(write, account, &person).await?
        }
    };
    let collection = collection_or_primary(&wanted.collection_id);
    insert_book(write, account, &identity, "", BOOK_NAME, &collection).await?;
    Ok(Some(store.pixbook(session, user, account, wanted).await?))
}

fn is_bound(identity: &Identity, binding: &Binding) -> bool {
    identity.profile_id.as_ref() == Some(&binding.profile_id)
        && identity.identity_key_fingerprint.as_ref() == Some(&binding.fingerprint)
}
