//! Users at work, each on any instance, who remember what they were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::stage::{Person, at, sign_in};
use crate::Error;
use crate::dice::Dice;
use crate::wire::{Answer, By, Request, Unanswered, Wire};

/// How long a user waits between two things.
const PAUSE: Duration = Duration::from_millis(20);
/// Records that one user makes at most.
const RECORDS: usize = 40;

/// What a user knows of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// It is live, with this note.
    Live(u64),
    /// It is deleted.
    Deleted,
    /// An answer did not come: it may be so or so.
    Unsure,
}

/// What users found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) acknowledged: u64,
    pub(crate) lists: u64,
    pub(crate) lost: u64,
    pub(crate) resurrected: u64,
    pub(crate) stale: u64,
    /// Records in a list that are nobody's who reads it.
    pub(crate) foreign: u64,
    /// Records of before that a list did not have.
    pub(crate) of_before_missing: u64,
    /// Answers that are neither success nor "come again".
    pub(crate) errors: Vec<String>,
    pub(crate) times: Vec<Duration>,
}

impl Notes {
    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.lists += other.lists;
        self.lost += other.lost;
        self.resurrected += other.resurrected;
        self.stale += other.stale;
        self.foreign += other.foreign;
        self.of_before_missing += other.of_before_missing;
        self.errors.extend(other.errors);
        self.times.extend(other.times);
    }

    /// The time within which 99 of 100 answers came.
    pub(crate) fn p99(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len().saturating_mul(99) / 100).copied().unwrap_or_default()
    }
}

struct Worker {
    person: Person,
    cookie: String,
    wires: Vec<Wire>,
    dice: Dice,
    known: BTreeMap<String, Known>,
    notes: Notes,
    turn: u64,
}

/// The users at work.
#[derive(Debug)]
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    workers: JoinSet<Notes>,
}

impl Traffic {
    /// Sets these users to work.
    pub(crate) async fn start(people: &[Person], addresses: &[SocketAddr], seed: u64) -> Result<Self, Error> {
        let (stop, _) = watch::channel(false);
        let mut workers = JoinSet::new();
        let first = addresses.first().copied().ok_or_else(|| Error::Task("no instance serves".to_owned()))?;
        for (number, person) in people.iter().enumerate() {
            let mut worker = Worker {
                cookie: sign_in(first, &person.name).await?,
                person: person.clone(),
                wires: addresses.iter().map(|address| Wire::to(*address)).collect(),
                dice: Dice::new(seed, number as u64),
                known: BTreeMap::new(),
                notes: Notes::default(),
                turn: 0,
            };
            let mut told = stop.subscribe();
            workers.spawn(async move {
                while !rest(&mut told).await {
                    worker.act().await;
                }
                worker.look(true).await;
                worker.notes
            });
        }
        Ok(Self { stop, workers })
    }

    /// Stops them, lets each look once more, and gives what they found.
    pub(crate) async fn stop(mut self) -> Result<Notes, Error> {
        // Nobody listens only if every user has ended, which the next lines report.
        let _ = self.stop.send(true);
        let mut all = Notes::default();
        while let Some(notes) = self.workers.join_next().await {
            all.add(notes.map_err(|error| Error::Task(format!("a user ended early: {error}")))?);
        }
        Ok(all)
    }
}

impl Worker {
    async fn act(&mut self) {
        self.turn += 1;
        let record = format!("w{}", self.dice.below(RECORDS));
        let note = self.turn;
        let body = json!({ "id": record, "note": note, "date": "2026-03-01" }).to_string();
        let one = format!("/api/trips/{record}");
        match (self.known.get(&record).cloned(), self.dice.below(5)) {
            (Some(Known::Unsure), _) | (_, 4) => self.look(false).await,
            (None, _) => self.write("POST", "/api/trips", &body, &record, Known::Live(note)).await,
            (Some(Known::Live(_)), 0) => self.write("DELETE", &one, "", &record, Known::Deleted).await,
            (Some(Known::Live(_)), _) => self.write("PUT", &one, &body, &record, Known::Live(note)).await,
            (Some(Known::Deleted), _) => {
                self.write("POST", &format!("{one}/restore"), "{}", &record, Known::Unsure).await;
                // What comes back has the note from before, which is read rather than remembered.
                self.learn(&record).await;
            }
        }
    }

    async fn write(&mut self, method: &str, path: &str, body: &str, record: &str, becomes: Known) {
        // A change without a body says so in JSON: a form of another site could not.
        let body = if body.is_empty() { "{}" } else { body };
        let known = match self.ask(method, path, body).await {
            Some(answer) if (200..300).contains(&answer.status) => {
                self.notes.acknowledged += 1;
                becomes
            }
            Some(answer) if [409, 503].contains(&answer.status) => return,
            Some(answer) => {
                self.notes.errors.push(format!("{method} {path}: {}", said(&answer)));
                Known::Unsure
            }
            None => Known::Unsure,
        };
        self.known.insert(record.to_owned(), known);
    }

    async fn learn(&mut self, record: &str) {
        let Some(answer) = self.ask("GET", &format!("/api/trips/{record}"), "").await else { return };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let (200, Some(note)) = (answer.status, at(&body, "/note").as_u64()) {
            self.known.insert(record.to_owned(), Known::Live(note));
        }
    }

    /// Reads the list and holds it against what is known.
    async fn look(&mut self, is_last: bool) {
        let Some(answer) = self.ask("GET", "/api/trips?limit=500", "").await else { return };
        if answer.status != 200 {
            if answer.status != 503 {
                self.notes.errors.push(format!("list: {}", said(&answer)));
            }
            return;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let records = at(&body, "/records").as_array().cloned().unwrap_or_default();
        self.notes.lists += 1;
        let mut found: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let mut of_before = 0;
        for body in &records {
            let id = at(body, "/id").as_str().unwrap_or_default();
            if at(body, "/userId").as_str() != Some(&self.person.id) {
                self.notes.foreign += 1;
            }
            if !is_own(id) {
                of_before += 1;
            }
            found.insert(id.to_owned(), at(body, "/note").as_u64());
        }
        if of_before != self.person.live_trips {
            self.notes.of_before_missing += 1;
        }
        for (record, known) in &self.known {
            match (known, found.get(record)) {
                (Known::Live(_), None) => self.notes.lost += 1,
                (Known::Live(note), Some(seen)) if *seen != Some(*note) => self.notes.stale += 1,
                (Known::Deleted, Some(_)) => self.notes.resurrected += 1,
                _ => {}
            }
        }
        if !is_last {
            // What was unsure is what was seen.
            let unsure: Vec<String> = self
                .known
                .iter()
                .filter(|(_, known)| **known == Known::Unsure)
                .map(|(id, _)| id.clone())
                .collect();
            for record in unsure {
                // One that is not seen may be deleted, or never have been made: it is let be.
                if let Some(note) = found.get(&record).copied().flatten() {
                    self.known.insert(record, Known::Live(note));
                }
            }
        }
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let at = self.dice.below(self.wires.len());
        let request = Request { method, path, by: By::Cookie(&self.cookie), body };
        let begun = Instant::now();
        let answer = self.wires.get_mut(at)?.ask(request).await;
        match answer {
            Ok(answer) => {
                self.notes.times.push(begun.elapsed());
                Some(answer)
            }
            Err(Unanswered::NotSent | Unanswered::Broken | Unanswered::Late) => None,
        }
    }
}

/// Whether a record was made by a user at work.
fn is_own(record: &str) -> bool {
    record.strip_prefix('w').is_some_and(|number| number.parse::<usize>().is_ok())
}

fn said(answer: &Answer) -> String {
    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
}

/// Waits a moment; answers whether it is over.
async fn rest(told: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => *told.borrow(),
        _ = told.changed() => true,
    }
}
