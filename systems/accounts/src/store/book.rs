//! Books: one in each collection of a person.

use serde_json::json;
use tidegate_store::postgres::{Session, Type};

use super::Store;
use super::account::{enter, record_event};
use super::error::{StoreError, column, taken};
use super::identity::{ID_TAKEN, ID_UNUSABLE, known_status};
use super::row::{ACTIVE, Book, DELETED, collection_or_primary};
use crate::id::{fresh, is_usable};
use crate::mirror::Table;
use crate::write::Write;

const COLLECTION_TAKEN: &str = "A pixbook already exists for this identity in the requested collection.";

/// A book to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewBook {
    /// The id that the caller wants. Blank: a fresh one.
    pub id: String,
    /// Whose it is.
    pub managed_user_id: String,
    /// What people see.
    pub name: String,
    /// Which collection. Blank: `primary`.
    pub collection_id: String,
}

/// A book that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedBook {
    /// Its id.
    pub id: String,
    /// Whose it was.
    pub managed_user_id: String,
    /// Which collection it was.
    pub collection_id: String,
}

impl Store {
    /// The books of an account that are not deleted, with those of deleted people, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn books(self, session: &Session, account: &str) -> Result<Vec<Book>, StoreError> {
        let rows = session.query(self.statements().list_books, &[(&account, Type::TEXT)]).await?;
        rows.iter().map(Book::of).collect()
    }

    /// One book; neither it nor whose it is may be deleted.
    ///
    /// # Errors
    /// The database's.
    pub async fn book(self, session: &Session, account: &str, id: &str) -> Result<Option<Book>, StoreError> {
        let sql = self.statements().book;
        let rows = session.query(sql, &[(&account, Type::TEXT), (&id, Type::TEXT)]).await?;
        rows.first().map(Book::of).transpose()
    }

    /// The book that a person has in a collection, where it is not deleted.
    ///
    /// # Errors
    /// The database's.
    pub async fn book_in_collection(
        self,
        session: &Session,
        account: &str,
        identity: &str,
        collection: &str,
    ) -> Result<Option<Book>, StoreError> {
        let sql = self.statements().book_in_collection;
        let rows = session
            .query(sql, &[(&account, Type::TEXT), (&identity, Type::TEXT), (&collection, Type::TEXT)])
            .await?;
        rows.first().map(Book::of).transpose()
    }
}

/// Makes a book for an active person. `None`: the user is not in the account.
///
/// # Errors
/// The database's; missing fields; a person of another account; a collection that has its book.
pub async fn create_book(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    new: &NewBook,
) -> Result<Option<String>, StoreError> {
    let identity = new.managed_user_id.trim();
    if identity.is_empty() {
        return Err(StoreError::Invalid("managedUserId is required."));
    }
    if new.name.trim().is_empty() {
        return Err(StoreError::Invalid("name is required."));
    }
    let id = new.id.trim();
    if !id.is_empty() && !is_usable(id) {
        return Err(StoreError::Invalid(ID_UNUSABLE));
    }
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let account = membership.account.as_str();
    let owner = write.store().identity(write.session(), account, identity).await?;
    if owner.is_none_or(|owner| owner.status != ACTIVE) {
        return Err(StoreError::Invalid("managedUserId is not valid for this workspace."));
    }
    let collection = collection_or_primary(&new.collection_id);
    if write.store().book_in_collection(write.session(), account, identity, &collection).await?.is_some() {
        return Err(StoreError::Invalid(COLLECTION_TAKEN));
    }
    insert_book(write, account, identity, id, new.name.trim(), &collection).await.map(Some)
}

/// Within an account that is locked and a person who is active.
pub(super) async fn insert_book(
    write: &mut Write<'_>,
    account: &str,
    identity: &str,
    id: &str,
    name: &str,
    collection: &str,
) -> Result<String, StoreError> {
    write.lock(Table::Identities, &[identity.to_owned()]).await?;
    let id = if id.is_empty() { fresh("book") } else { id.to_owned() };
    let inserted = write
        .session()
        .execute(
            write.store().statements().insert_book,
            &[
                (&id, Type::TEXT),
                (&account, Type::TEXT),
                (&identity, Type::TEXT),
                (&collection, Type::TEXT),
                (&name, Type::TEXT),
            ],
        )
        .await;
    inserted.map_err(|failure| taken(failure, ID_TAKEN))?;
    write.touch(Table::Books, &id);
    Ok(id)
}

/// Changes a book's name or status. `None`: no such book, or it is deleted, or the user is not in the account.
///
/// # Errors
/// The database's; an unknown status.
pub async fn update_book(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    id: &str,
    name: &str,
    status: &str,
) -> Result<Option<String>, StoreError> {
    let status = known_status(status)?;
    if status == Some(DELETED) {
        return Ok(remove_book(write, user, account, id).await?.map(|removed| removed.id));
    }
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let found = write.store().book(write.session(), &membership.account, id).await?;
    let Some(book) = found else { return Ok(None) };
    lock_book(write, &book).await?;
    let (session, statements) = (write.session(), write.store().statements());
    if !name.trim().is_empty() {
        session
            .execute(statements.rename_book, &[(&book.id, Type::TEXT), (&name.trim(), Type::TEXT)])
            .await?;
    }
    if let Some(status) = status {
        session.execute(statements.set_book_status, &[(&book.id, Type::TEXT), (&status, Type::TEXT)]).await?;
    }
    Ok(Some(book.id))
}

/// Marks a book as deleted. `None`: no such book, or the user is not in the account.
///
/// # Errors
/// The database's.
pub async fn remove_book(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    id: &str,
) -> Result<Option<RemovedBook>, StoreError> {
    let Some(membership) = enter(write, user, account).await? else { return Ok(None) };
    let account = membership.account.as_str();
    let Some(book) = write.store().book(write.session(), account, id).await? else { return Ok(None) };
    lock_book(write, &book).await?;
    let ids = [book.id];
    let sql = write.store().statements().delete_books;
    write.session().execute(sql, &[(&ids.as_slice(), Type::TEXT_ARRAY)]).await?;
    let [id] = ids;
    let payload = json!({
        "bookId": id, "managedUserId": book.managed_user_id, "collectionId": book.collection_id,
    });
    record_event(write, account, user, "book.removed", payload).await?;
    Ok(Some(RemovedBook { id, managed_user_id: book.managed_user_id, collection_id: book.collection_id }))
}

/// Locks a book and whose it is.
pub(super) async fn lock_book(write: &mut Write<'_>, book: &Book) -> Result<(), StoreError> {
    write.lock(Table::Identities, std::slice::from_ref(&book.managed_user_id)).await?;
    write.lock(Table::Books, std::slice::from_ref(&book.id)).await
}

/// Marks the books of these people as deleted, or all of the account's where none is named; returns which.
pub(super) async fn delete_books_of(
    write: &mut Write<'_>,
    account: &str,
    people: &[String],
) -> Result<Vec<String>, StoreError> {
    let (session, statements) = (write.session(), write.store().statements());
    let rows = session
        .query(statements.live_book_ids, &[(&account, Type::TEXT), (&people, Type::TEXT_ARRAY)])
        .await?;
    let books: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
    if books.is_empty() {
        return Ok(books);
    }
    if people.is_empty() {
        let rows = session.query(statements.book_owner_ids, &[(&books, Type::TEXT_ARRAY)]).await?;
        let owners: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
        write.lock(Table::Identities, &owners).await?;
    }
    write.lock(Table::Books, &books).await?;
    session.execute(statements.delete_books, &[(&books, Type::TEXT_ARRAY)]).await?;
    Ok(books)
}
