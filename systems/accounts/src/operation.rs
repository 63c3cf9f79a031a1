//! Everything that changes an account, as values: who may do it, and what comes of it.

use crate::auth::ADDRESS_TAKEN;
use crate::auth::{AuthSecret, NewCredential, Token, add_credential, is_address_taken, start_session};
use crate::capability;
use crate::store::{
    self, Book, Capability, Identity, IdentityChange, Membership, NewBook, NewIdentity, NewSnapshot, Pixbook,
    PixbookWanted, Removed, RemovedBook, Reset, Snapshot, StoreError, Summary, User,
};
use crate::write::Write;

/// One change.
#[derive(Debug, Clone)]
pub enum Operation {
    /// The user's own row, and an account for a user who is in none.
    Ensure,
    /// As `Ensure`, for somebody new, who is signed in with it.
    SignUp(SignUp),
    /// As `Ensure`, for somebody who has shown the password.
    SignIn(SignIn),
    /// Another name for the account.
    RenameWorkspace {
        /// The name.
        name: String,
    },
    /// Somebody to be looked after.
    CreateIdentity(NewIdentity),
    /// A change of somebody.
    UpdateIdentity {
        /// Who.
        id: String,
        /// What.
        change: IdentityChange,
    },
    /// Somebody goes, with all books.
    RemoveIdentity {
        /// Who.
        id: String,
    },
    /// Everybody goes, with all books.
    ResetIdentities,
    /// A book for somebody.
    CreateBook(NewBook),
    /// Another name or status for a book.
    UpdateBook {
        /// Which.
        id: String,
        /// The name. Blank: it stays.
        name: String,
        /// `active` or `deleted`. Blank: it stays.
        status: String,
    },
    /// A book goes.
    RemoveBook {
        /// Which.
        id: String,
    },
    /// A state of a book, which is made where it is missing.
    SavePixbook {
        /// Which book.
        wanted: PixbookWanted,
        /// What to save.
        new: NewSnapshot,
    },
}

/// What signing up needs besides the user.
#[derive(Debug, Clone)]
pub struct SignUp {
    /// The PHC string of the password.
    pub password_hash: String,
    /// The session that begins.
    pub sign_in: SignIn,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The service's secret.
    pub secret: AuthSecret,
    /// The token that the cookie will carry.
    pub token: Token,
}

/// What came of an operation, in the account that it was for.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The user is in an account.
    Ensured,
    /// The account as it is now called.
    Renamed(Summary),
    /// Who was made or brought back.
    Identity(Identity),
    /// Who was changed.
    IdentityUpdated(String),
    /// Who was removed.
    IdentityRemoved(Removed),
    /// How many were removed.
    Reset(Reset),
    /// The book that was made.
    BookCreated(String),
    /// The book that was changed.
    BookUpdated(String),
    /// The book that was removed.
    BookRemoved(RemovedBook),
    /// The state that was saved.
    Saved(Box<(Identity, Book, Snapshot)>),
    /// The book could not be had.
    NoPixbook(Pixbook),
}

/// How an operation ended that the database did not refuse.
#[derive(Debug, Clone, PartialEq)]
pub enum Performed {
    /// It was done.
    Done {
        /// The account.
        account: String,
        /// What came of it.
        outcome: Box<Outcome>,
    },
    /// The user may not, or there is no such account: which of the two is not said.
    Forbidden,
    /// The account holds nothing of that id.
    NotFound,
}

impl Operation {
    /// A name for transactions, metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Ensure => "ensure_workspace",
            Operation::SignUp(_) => "sign_up",
            Operation::SignIn(_) => "sign_in",
            Operation::RenameWorkspace { .. } => "rename_workspace",
            Operation::CreateIdentity(_) => "create_identity",
            Operation::UpdateIdentity { .. } => "update_identity",
            Operation::RemoveIdentity { .. } => "remove_identity",
            Operation::ResetIdentities => "reset_identities",
            Operation::CreateBook(_) => "create_book",
            Operation::UpdateBook { .. } => "update_book",
            Operation::RemoveBook { .. } => "remove_book",
            Operation::SavePixbook { .. } => "save_pixbook",
        }
    }

    /// What a member must be allowed to do for it; `None`: being a member is enough.
    #[must_use]
    pub fn capability(&self) -> Option<&'static str> {
        match self {
            Operation::Ensure
            | Operation::SignUp(_)
            | Operation::SignIn(_)
            | Operation::SavePixbook { .. } => None,
            Operation::RenameWorkspace { .. } => Some(capability::MANAGE_WORKSPACE),
            _ => Some(capability::MANAGE_ACCOUNT),
        }
    }
}

/// Performs an operation for a user, in the account named or, where it is blank, the user's oldest.
///
/// Whether the user may is asked within the same transaction. A user who is in no account and names none gets one.
///
/// # Errors
/// [`StoreError`]: the transaction must be rolled back.
pub async fn perform(
    write: &mut Write<'_>,
    user: &User,
    account: &str,
    operation: &Operation,
) -> Result<Performed, StoreError> {
    if let Some(ensured) = before_all(write, user, operation).await? {
        return Ok(Performed::Done { account: ensured.account, outcome: Box::new(Outcome::Ensured) });
    }
    let (session, store) = (write.session(), write.store());
    if account.is_empty() && store.membership(session, &user.id, "").await?.is_none() {
        store::ensure_workspace(write, user).await?;
    }
    let Some(membership) = store::enter(write, &user.id, account).await? else {
        return Ok(Performed::Forbidden);
    };
    if let Some(capability) = operation.capability() {
        let allowed = store.has_capability(session, &user.id, &membership.account, capability).await?;
        if allowed != Capability::Granted {
            return Ok(Performed::Forbidden);
        }
    }
    let account = membership.account;
    Ok(match change(write, &user.id, &account, operation).await? {
        Some(outcome) => Performed::Done { account, outcome: Box::new(outcome) },
        None => Performed::NotFound,
    })
}

/// The operations that are about a user rather than an account.
async fn before_all(
    write: &mut Write<'_>,
    user: &User,
    operation: &Operation,
) -> Result<Option<Membership>, StoreError> {
    let session = write.session();
    let sign_in = match operation {
        Operation::Ensure => None,
        Operation::SignUp(new) => {
            if is_address_taken(session, &user.email).await? {
                return Err(StoreError::Taken(ADDRESS_TAKEN));
            }
            add_credential(session, &NewCredential { user, password_hash: &new.password_hash }).await?;
            Some(&new.sign_in)
        }
        Operation::SignIn(sign_in) => Some(sign_in),
        _ => return Ok(None),
    };
    let ensured = store::ensure_workspace(write, user).await?;
    if let Some(SignIn { secret, token }) = sign_in {
        start_session(session, secret, token, &user.id).await?;
    }
    Ok(Some(ensured.membership))
}

/// The operation itself. `None`: there is nothing of that id.
async fn change(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    operation: &Operation,
) -> Result<Option<Outcome>, StoreError> {
    let outcome = match operation {
        Operation::Ensure | Operation::SignUp(_) | Operation::SignIn(_) => Some(Outcome::Ensured),
        Operation::RenameWorkspace { name } => {
            store::rename_workspace(write, user, account, name).await?.map(Outcome::Renamed)
        }
        Operation::CreateIdentity(new) => match store::create_identity(write, user, account, new).await? {
            Some(id) => write.store().identity(write.session(), account, &id).await?.map(Outcome::Identity),
            None => None,
        },
        Operation::UpdateIdentity { id, change } => {
            store::update_identity(write, user, account, id, change).await?.map(Outcome::IdentityUpdated)
        }
        Operation::RemoveIdentity { id } => {
            store::remove_identity(write, user, account, id).await?.map(Outcome::IdentityRemoved)
        }
        Operation::ResetIdentities => {
            store::reset_identities(write, user, account).await?.map(Outcome::Reset)
        }
        Operation::CreateBook(new) => {
            store::create_book(write, user, account, new).await?.map(Outcome::BookCreated)
        }
        Operation::UpdateBook { id, name, status } => {
            store::update_book(write, user, account, id, name, status).await?.map(Outcome::BookUpdated)
        }
        Operation::RemoveBook { id } => {
            store::remove_book(write, user, account, id).await?.map(Outcome::BookRemoved)
        }
        Operation::SavePixbook { wanted, new } => save(write, user, account, wanted, new).await?,
    };
    Ok(outcome)
}

async fn save(
    write: &mut Write<'_>,
    user: &str,
    account: &str,
    wanted: &PixbookWanted,
    new: &NewSnapshot,
) -> Result<Option<Outcome>, StoreError> {
    let Some(found) = store::ensure_personal_pixbook(write, user, account, wanted).await? else {
        return Ok(None);
    };
    let Pixbook::Found(found) = found else { return Ok(Some(Outcome::NoPixbook(found))) };
    let (identity, mut book) = *found;
    let saved = store::save_snapshot(write, &book, new).await?;
    book.current_version = saved.version;
    Ok(Some(Outcome::Saved(Box::new((identity, book, saved)))))
}
