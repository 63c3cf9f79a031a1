//! A client at work in its own household: makes, changes, deletes and makes again.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use testkit::history::{History, Moment, Read, Seen, Write};

use super::cast::{Cast, Household, List, Thing, name_of, seen_in, text};
use super::figures::Figures;
use super::service::{Client, Reply};
use crate::dice::Dice;
use crate::wire::{By, Request};

/// Where the reads of the service are noted.
pub(crate) const SERVICE: &str = "the service";

/// Out of so many changes of a thing that is there, one deletes it.
const DELETE_EVERY: usize = 5;

/// What the client knows of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// It has to look.
    Open,
    Absent,
    Present {
        id: String,
    },
    /// A write of it may still happen, so that nothing is written any more.
    Retired,
}

/// A thing with its one writer's knowledge of it.
#[derive(Clone, Debug)]
struct Owned {
    thing: Thing,
    /// Distinguishes its values from those of all others.
    number: u64,
    version: u64,
    standing: Standing,
}

/// A client's household.
#[derive(Debug)]
pub(crate) struct Own {
    cast: Arc<Cast>,
    member: usize,
    things: Vec<Owned>,
}

/// What all clients share.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) history: History,
    pub(crate) figures: Figures,
}

impl Own {
    /// The household of a client.
    pub(crate) fn of(cast: &Arc<Cast>, member: usize) -> Self {
        let things = cast.households.get(member).map(|household| household.things.clone());
        let own = |(at, thing)| Owned {
            thing,
            number: ((member as u64 + 1) << 40) | ((at as u64 + 1) << 32),
            version: 0,
            standing: Standing::Absent,
        };
        let things = things.unwrap_or_default().into_iter().enumerate().map(own).collect();
        Self { cast: Arc::clone(cast), member, things }
    }

    /// Changes one thing in one way.
    pub(crate) async fn change(&mut self, client: &mut Client, dice: &mut Dice, notes: &Notes) {
        let Self { cast, member, things } = self;
        let Some(household) = cast.households.get(*member) else { return };
        let at = dice.below(things.len());
        let Some(owned) = things.get_mut(at) else { return };
        let deletes = dice.below(DELETE_EVERY) == 0;
        match owned.standing.clone() {
            Standing::Retired => {}
            Standing::Open => owned.look(client, household, dice, notes).await,
            Standing::Absent => owned.write(client, household, Change::Make, dice, notes).await,
            Standing::Present { id } if deletes => {
                owned.write(client, household, Change::Delete { id }, dice, notes).await;
            }
            Standing::Present { id } => {
                owned.write(client, household, Change::Rename { id }, dice, notes).await;
            }
        }
    }

    /// Looks at a list of anybody's household.
    pub(crate) async fn read(&self, client: &mut Client, dice: &mut Dice, notes: &Notes) {
        let Some(household) = self.cast.households.get(dice.below(self.cast.households.len())) else {
            return;
        };
        let list = if dice.below(3) == 0 { List::Identities } else { List::Books };
        read(client, household, list, dice, notes).await;
    }
}

/// One change of a thing.
#[derive(Clone, Debug)]
enum Change {
    Make,
    Rename { id: String },
    Delete { id: String },
}

impl Owned {
    async fn write(
        &mut self,
        client: &mut Client,
        household: &Household,
        change: Change,
        dice: &mut Dice,
        notes: &Notes,
    ) {
        self.version += 1;
        let deletes = matches!(change, Change::Delete { .. });
        let value = (!deletes).then_some(self.number | self.version);
        let name = name_of(self.number | self.version);
        let (path, _) = self.thing.list().path();
        let (method, path, body) = match (&change, &self.thing) {
            (Change::Make, Thing::Book { identity, collection }) => {
                let body = json!({ "managedUserId": identity, "collectionId": collection, "name": name });
                ("POST", path.to_owned(), body.to_string())
            }
            (Change::Make, Thing::Identity { profile }) => {
                let key = format!("key of {profile}");
                let body = json!({ "displayName": name, "profileId": profile, "identityPublicKey": key });
                ("POST", path.to_owned(), body.to_string())
            }
            (Change::Rename { id }, Thing::Book { .. }) => {
                ("PATCH", format!("{path}/{id}"), json!({ "name": name }).to_string())
            }
            (Change::Rename { id }, Thing::Identity { .. }) => {
                ("PATCH", format!("{path}/{id}"), json!({ "displayName": name }).to_string())
            }
            (Change::Delete { id }, _) => ("DELETE", format!("{path}/{id}"), String::new()),
        };
        let request = Request { method, path: &path, by: By::Cookie(&household.person.cookie), body: &body };
        let began = notes.history.now();
        let reply = client.ask(dice.below(usize::MAX), request).await;
        let write =
            Write { version: self.version, value, began, ended: notes.history.now(), fate: reply.fate() };
        notes.figures.count(&reply, notes.history.since(began));
        notes.history.wrote(&self.thing.key(), write);
        self.standing = match (reply, change) {
            (Reply::Done(answer), Change::Make) => Standing::Present { id: text(&answer, "/id") },
            (Reply::Done(_), Change::Rename { id }) => Standing::Present { id },
            (Reply::Done(_), Change::Delete { .. }) => Standing::Absent,
            (Reply::Late, _) => Standing::Retired,
            // Of what was refused for a moment's reasons nothing has changed; the rest is worth a look.
            (Reply::Refused { .. } | Reply::Unknown, _) => Standing::Open,
        };
    }

    /// Finds out how it stands.
    async fn look(&mut self, client: &mut Client, household: &Household, dice: &mut Dice, notes: &Notes) {
        let list = self.thing.list();
        let Some(elements) = read(client, household, list, dice, notes).await else { return };
        self.standing = match elements.iter().find(|element| self.thing.is(element)) {
            Some(found) => Standing::Present { id: text(found, "/id") },
            None => Standing::Absent,
        };
    }
}

/// Reads one list and notes what it says of everything that belongs there.
async fn read(
    client: &mut Client,
    household: &Household,
    list: List,
    dice: &mut Dice,
    notes: &Notes,
) -> Option<Vec<Json>> {
    let (path, name) = list.path();
    let request = Request { method: "GET", path, by: By::Cookie(&household.person.cookie), body: "" };
    let began = notes.history.now();
    let Reply::Done(mut answer) = client.ask(dice.below(usize::MAX), request).await else { return None };
    let ended = notes.history.now();
    let Json::Array(elements) = answer.get_mut(name).map(Json::take)? else { return None };
    for thing in household.things.iter().filter(|thing| thing.list() == list) {
        let found = elements.iter().filter(|element| thing.is(element));
        let seen = found.map(|element| seen_in(list.shown(element))).collect();
        note(notes, &thing.key(), (began, ended), seen);
    }
    Some(elements)
}

/// Notes what the service showed.
pub(crate) fn note(notes: &Notes, key: &str, (began, ended): (Moment, Moment), seen: Vec<Seen>) {
    notes.history.read(key, Read { reader: SERVICE, began, ended, seen, last: false });
}
