//! One write that never reaches the second schema, although the service says that it is kept: everything that looks
//! must notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::eventually;
use testkit::history::{Fate, Write};

use super::cast::{Cast, Thing, add_book, name_of};
use super::own::Notes;
use super::service::{Client, Reply};
use super::stage::Stage;
use crate::Error;
use crate::wire::{By, Request};

/// How long the page may take to come so far.
const BOUND: Duration = Duration::from_secs(600);
/// The value that is dropped; no client's values begin so.
const DROPPED: u64 = 0xd << 60;

/// A book whose next write will be dropped.
#[derive(Debug)]
pub(crate) struct Dropping {
    client: Client,
    household: usize,
    key: String,
    book: String,
}

impl Dropping {
    /// Makes the book, in somebody's household.
    pub(crate) async fn prepare(
        cast: &mut Cast,
        notes: &Notes,
        addresses: &[SocketAddr],
    ) -> Result<Self, Error> {
        let mut client = Client::to(addresses);
        let none = || Error::Task("there is no household for the dropped write".to_owned());
        let household = cast.households.first_mut().ok_or_else(none)?;
        let home = household.things.iter().find_map(|thing| match thing {
            Thing::Book { identity, .. } => Some(identity.clone()),
            Thing::Identity { .. } => None,
        });
        let thing =
            Thing::Book { identity: home.ok_or_else(none)?, collection: "demo-slot-dropped".to_owned() };
        let Thing::Book { identity, collection } = &thing else { return Err(none()) };
        let began = notes.history.now();
        let name = name_of(DROPPED | 1);
        let book = add_book(&mut client, &household.person, identity, collection, &name).await?;
        let key = thing.key();
        let write = Write {
            version: 1,
            value: Some(DROPPED | 1),
            began,
            ended: notes.history.now(),
            fate: Fate::Acknowledged,
        };
        notes.history.wrote(&key, write);
        household.things.push(thing);
        Ok(Self { client, household: 0, key, book })
    }

    /// Once writes are mirrored: a trigger that silently drops one row of the second schema, and a write of that row.
    pub(crate) async fn drop_one(
        mut self,
        cast: Arc<Cast>,
        notes: Arc<Notes>,
        stage: &Stage,
    ) -> Result<(), Error> {
        until(stage, "the second schema is there", "SELECT to_regclass('public.pixbooks') IS NOT NULL")
            .await?;
        let trigger = include_str!("dropping/trigger.sql").replace("{name}", &name_of(DROPPED | 2));
        stage.root().await?.batch_execute(&trigger).await.map_err(Error::postgres("make the trigger"))?;
        until(stage, "writes are mirrored", include_str!("dropping/is_mirrored.sql")).await?;
        let Some(household) = cast.households.get(self.household) else { return Ok(()) };
        let (path, body) =
            (format!("/v1/account/pixbooks/{}", self.book), json!({ "name": name_of(DROPPED | 2) }));
        let (cookie, body) = (&*household.person.cookie, body.to_string());
        let began = notes.history.now();
        let request = Request { method: "PATCH", path: &path, by: By::Cookie(cookie), body: &body };
        let reply = self.client.ask(0, request).await;
        let ended = notes.history.now();
        let write = Write { version: 2, value: Some(DROPPED | 2), began, ended, fate: reply.fate() };
        notes.history.wrote(&self.key, write);
        match reply {
            Reply::Done(_) => Ok(()),
            other => {
                Err(Error::Task(format!("the write that is to be dropped was not acknowledged: {other:?}")))
            }
        }
    }
}

async fn until(stage: &Stage, what: &str, sql: &str) -> Result<(), Error> {
    let look = || async { stage.ask::<bool>(sql).await.ok().filter(|holds| *holds).map(|_| ()) };
    Ok(eventually(what, BOUND, look).await?)
}
