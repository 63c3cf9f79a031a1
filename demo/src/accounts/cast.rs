//! Who works in the demonstration, and on what: a household for each client, and books that all of them fight for.

use std::sync::atomic::AtomicU64;

use serde_json::{Value as Json, json};
use testkit::history::Seen;

use super::options::Options;
use super::service::{Client, Person, Reply};
use crate::Error;
use crate::wire::{By, Request};

/// What everybody's password is.
pub(crate) const PASSWORD: &str = "correct horse";
/// Books of each household.
const BOOKS: usize = 4;
/// Books that everybody writes.
const CONTESTED: usize = 4;
/// In the seed, the person of every account of such a number is deleted.
const DELETED_EVERY: usize = 17;

/// A register of a household, with one writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    /// The book that the household's identity has in a collection, under whichever id.
    Book { identity: String, collection: String },
    /// The identity of a profile.
    Identity { profile: String },
}

impl Thing {
    /// Its key in the history.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Book { identity, collection } => book_key(identity, collection),
            Self::Identity { profile } => identity_key(profile),
        }
    }

    /// The list in which the service shows it.
    pub(crate) fn list(&self) -> List {
        match self {
            Self::Book { .. } => List::Books,
            Self::Identity { .. } => List::Identities,
        }
    }

    /// Whether an element of that list is it.
    pub(crate) fn is(&self, element: &Json) -> bool {
        let text = |name: &str| element.get(name).and_then(Json::as_str).unwrap_or_default();
        match self {
            Self::Book { identity, collection } => {
                text("managedUserId") == identity && text("collectionId") == collection
            }
            Self::Identity { profile } => text("profileId") == profile,
        }
    }
}

/// The history's key of a book.
pub(crate) fn book_key(identity: &str, collection: &str) -> String {
    format!("book {identity}/{collection}")
}

/// The history's key of an identity.
pub(crate) fn identity_key(profile: &str) -> String {
    format!("identity {profile}")
}

/// A list that the service shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Books,
    Identities,
}

impl List {
    /// Its path, and its name in the answer.
    pub(crate) fn path(self) -> (&'static str, &'static str) {
        match self {
            Self::Books => ("/v1/account/pixbooks", "pixbooks"),
            Self::Identities => ("/v1/account/identities", "identities"),
        }
    }

    /// The name that people see in an element.
    pub(crate) fn shown(self, element: &Json) -> &str {
        let name = match self {
            Self::Books => "name",
            Self::Identities => "displayName",
        };
        element.get(name).and_then(Json::as_str).unwrap_or_default()
    }
}

/// A name that carries a value.
pub(crate) fn name_of(value: u64) -> String {
    format!("demo {value:x}")
}

/// The value that a name carries; 0, which nobody writes, where it carries none.
pub(crate) fn seen_in(name: &str) -> Seen {
    let value = name.strip_prefix("demo ").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    Seen { value: value.unwrap_or_default(), version: None }
}

/// An account with one client who writes it.
#[derive(Debug)]
pub(crate) struct Household {
    pub(crate) person: Person,
    pub(crate) things: Vec<Thing>,
}

/// A book that everybody writes, each write on top of the version that was seen.
#[derive(Debug)]
pub(crate) struct Contested {
    pub(crate) person: Person,
    pub(crate) book: String,
    /// The newest version that anybody heard of.
    pub(crate) known: AtomicU64,
}

impl Contested {
    /// Its key in the history.
    pub(crate) fn key(&self) -> String {
        format!("saved {}", self.book)
    }
}

/// The history's key of one saved version of a contested book, which is a register of its own.
pub(crate) fn saved_key(book: &str, version: u64) -> String {
    format!("saved {book}, version {version}")
}

/// Everybody and everything.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) households: Vec<Household>,
    pub(crate) contested: Vec<Contested>,
    /// Somebody in whose account nobody changes anything.
    pub(crate) visitor: Person,
}

impl Cast {
    /// Signs everybody in and makes what they need.
    pub(crate) async fn gather(client: &mut Client, options: &Options) -> Result<Self, Error> {
        let mut numbers = (1..).filter(|number| number % DELETED_EVERY != 0);
        let mut households = Vec::new();
        for (member, number) in numbers.by_ref().take(options.connections).enumerate() {
            let person = sign_in(client, number).await?;
            let identity = add_identity(client, &person, &format!("demo-home-{member}")).await?;
            let book = |at| Thing::Book { identity: identity.clone(), collection: format!("demo-slot-{at}") };
            let mut things: Vec<Thing> = (0..BOOKS).map(book).collect();
            things.push(Thing::Identity { profile: format!("demo-guest-{member}") });
            households.push(Household { person, things });
        }
        let mut contested = Vec::new();
        for (at, number) in numbers.by_ref().take(CONTESTED).enumerate() {
            let person = sign_in(client, number).await?;
            let identity = add_identity(client, &person, &format!("demo-square-{at}")).await?;
            let book = add_book(client, &person, &identity, "demo-contested", "A book of all").await?;
            contested.push(Contested { person, book, known: AtomicU64::new(0) });
        }
        let visitor = sign_in(client, numbers.next().unwrap_or(1)).await?;
        Ok(Self { households, contested, visitor })
    }
}

async fn sign_in(client: &mut Client, number: usize) -> Result<Person, Error> {
    let person = client.sign_in(&format!("user{number}@example.org"), PASSWORD).await;
    person.ok_or_else(|| Error::Task(format!("user{number}@example.org could not sign in")))
}

/// Somebody to be looked after; returns the id.
pub(crate) async fn add_identity(
    client: &mut Client,
    person: &Person,
    profile: &str,
) -> Result<String, Error> {
    let body = json!({
        "displayName": "Somebody", "profileId": profile, "identityPublicKey": format!("key of {profile}"),
    });
    add(client, person, "/v1/account/identities", &body).await
}

/// A book; returns the id.
pub(crate) async fn add_book(
    client: &mut Client,
    person: &Person,
    identity: &str,
    collection: &str,
    name: &str,
) -> Result<String, Error> {
    let body = json!({ "managedUserId": identity, "name": name, "collectionId": collection });
    add(client, person, "/v1/account/pixbooks", &body).await
}

async fn add(client: &mut Client, person: &Person, path: &str, body: &Json) -> Result<String, Error> {
    let body = body.to_string();
    let request = Request { method: "POST", path, by: By::Cookie(&person.cookie), body: &body };
    match client.ask(0, request).await {
        Reply::Done(answer) => Ok(text(&answer, "/id")),
        other => Err(Error::Task(format!("POST {path} was not done: {other:?}"))),
    }
}

/// A text of an answer; blank where there is none.
pub(crate) fn text(answer: &Json, pointer: &str) -> String {
    answer.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned()
}
