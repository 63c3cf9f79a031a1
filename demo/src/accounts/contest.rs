//! Books that every client writes: each save is on top of a version, and of several on the same one, one is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};
use testkit::history::{Seen, Write};

use super::cast::{Cast, Contested, saved_key};
use super::own::{Notes, note};
use super::service::{Client, Reply};
use crate::dice::Dice;
use crate::wire::{By, Request};

/// The bits of a value that say that it is a saved state.
const SAVED: u64 = 0xff << 32;

/// A client in the contest.
#[derive(Debug)]
pub(crate) struct Contest {
    cast: Arc<Cast>,
    member: u64,
    saves: u64,
}

impl Contest {
    /// A client.
    pub(crate) fn of(cast: &Arc<Cast>, member: usize) -> Self {
        Self { cast: Arc::clone(cast), member: member as u64 + 1, saves: 0 }
    }

    /// Saves a state of one of the books on top of the newest version that anybody heard of.
    pub(crate) async fn save(&mut self, client: &mut Client, dice: &mut Dice, notes: &Notes) {
        let Some(contested) = one(&self.cast, dice) else { return };
        self.saves += 1;
        let value = (self.member << 40) | SAVED | self.saves;
        let expected = contested.known.load(Ordering::Relaxed);
        let body = json!({
            "bookId": contested.book, "expectedVersion": expected, "payload": { "tag": format!("{value:x}") },
        });
        let (cookie, body) = (&*contested.person.cookie, body.to_string());
        let request = Request {
            method: "PUT",
            path: "/v1/account/pixbook/snapshot",
            by: By::Cookie(cookie),
            body: &body,
        };
        let began = notes.history.now();
        let reply = client.ask(dice.below(usize::MAX), request).await;
        let version = expected + 1;
        let (ended, fate) = (notes.history.now(), reply.fate());
        notes.figures.count(&reply, notes.history.since(began));
        let write = Write { version, value: Some(value), began, ended, fate };
        notes.history.wrote(&contested.key(), write);
        notes.history.wrote(&saved_key(&contested.book, version), Write { version: 1, ..write });
        let newest = match &reply {
            Reply::Done(_) => Some(version),
            Reply::Refused { body, .. } => body.pointer("/conflict/currentVersion").and_then(Json::as_u64),
            Reply::Unknown | Reply::Late => None,
        };
        if let Some(newest) = newest {
            contested.known.fetch_max(newest, Ordering::Relaxed);
        }
    }

    /// Looks at one of the books.
    pub(crate) async fn read(&self, client: &mut Client, dice: &mut Dice, notes: &Notes) {
        let Some(contested) = one(&self.cast, dice) else { return };
        let path = format!("/v1/account/pixbook?bookId={}", contested.book);
        let request =
            Request { method: "GET", path: &path, by: By::Cookie(&contested.person.cookie), body: "" };
        let began = notes.history.now();
        let Reply::Done(answer) = client.ask(dice.below(usize::MAX), request).await else { return };
        let ended = notes.history.now();
        let seen: Vec<Seen> = answer.get("snapshot").and_then(seen_in_snapshot).into_iter().collect();
        if let Some(version) = seen.first().and_then(|seen| seen.version) {
            contested.known.fetch_max(version, Ordering::Relaxed);
        }
        note(notes, &contested.key(), (began, ended), seen);
    }
}

fn one<'a>(cast: &'a Cast, dice: &mut Dice) -> Option<&'a Contested> {
    cast.contested.get(dice.below(cast.contested.len()))
}

/// What a saved state carries; `None`: there is none.
fn seen_in_snapshot(snapshot: &Json) -> Option<Seen> {
    let version = snapshot.get("version")?.as_u64()?;
    let tag = snapshot.pointer("/payload/tag").and_then(Json::as_str).unwrap_or_default();
    Some(seen_as(version, tag))
}

/// A saved state's version and tag, as the history takes them.
pub(crate) fn seen_as(version: u64, tag: &str) -> Seen {
    Seen { value: u64::from_str_radix(tag, 16).unwrap_or_default(), version: Some(version) }
}
