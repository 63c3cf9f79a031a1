//! One user's devices: one that writes, one that reads what the first wrote, each on any instance.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use vfs_core::{Cursor, FeedItem, Timestamp};

use super::notes::{Attached, Endpoint, Notes};
use crate::Error;
use crate::dice::Dice;
use crate::wire::{Answer, By, Request, Wire};

/// Items of each user: a folder, and what is moved in and out of it.
pub(crate) const ITEMS: usize = 8;
/// Operations of one push, at most.
const BATCH_MAX: usize = 10;
/// Items of one page.
const PAGE: usize = 100;
/// Out of a hundred turns of a writer, so many stage and attach a blob. The others push.
const BLOB_PERCENT: usize = 15;
/// Bytes of a blob, at most.
const BLOB_BYTES_MAX: usize = 4096;
/// How long a stage may wait.
const STAGED_MS: i64 = 3_600_000;
/// How far clocks are off.
const SKEW_MS_MAX: usize = 3_600_000;
/// How long a request that is told to come again, or is not answered, waits.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a request is sent until its answer comes.
const SENT_MAX: usize = 600;
/// Pages that are read to catch up, at most.
const PAGES_MAX: usize = 100_000;

/// A user with a token.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// From 0.
    pub(crate) number: usize,
    /// As the server knows them.
    pub(crate) id: String,
    /// What proves it.
    pub(crate) token: Arc<str>,
}

impl User {
    /// One of the user's items; 0 is the folder.
    pub(crate) fn item(&self, at: usize) -> String {
        format!("{}-item-{at}", self.id)
    }
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    user: User,
    wires: Vec<Wire>,
    dice: Dice,
    notes: Arc<Notes>,
    skew_ms: i64,
    next_write: u64,
    cursor: Option<Cursor>,
    reconciled: Option<Cursor>,
    blobs: u64,
}

impl Device {
    /// A device of a user that speaks to these instances.
    pub(crate) fn new(user: &User, addresses: &[SocketAddr], dice: Dice, notes: &Arc<Notes>) -> Self {
        let mut dice = dice;
        let skew = i64::try_from(dice.below(2 * SKEW_MS_MAX)).unwrap_or(0);
        Self {
            user: user.clone(),
            wires: addresses.iter().copied().map(Wire::to).collect(),
            dice,
            notes: Arc::clone(notes),
            skew_ms: skew - i64::try_from(SKEW_MS_MAX).unwrap_or(0),
            next_write: 1,
            cursor: None,
            reconciled: None,
            blobs: 0,
        }
    }

    /// Registers the user's items, which nobody has yet.
    pub(crate) async fn register(&mut self) -> Result<(), Error> {
        for at in 0..ITEMS {
            let kind = if at == 0 { "folder" } else { "file" };
            let body = json!({ "id": self.user.item(at), "objectType": kind, "encryptedSessionKey": "key" });
            self.must("POST", "/v1/vfs/register", &body).await?;
        }
        Ok(())
    }

    /// Writes something.
    pub(crate) async fn write(&mut self) {
        if self.dice.below(100) < BLOB_PERCENT { self.blob().await } else { self.push().await }
    }

    /// Pushes a few operations; a push without an answer is repeated as it was.
    async fn push(&mut self) {
        let count = 1 + self.dice.below(BATCH_MAX);
        let operations: Vec<Json> = (0..count).map(|_| self.operation()).collect();
        let body = json!({ "clientId": self.client_id(), "operations": operations });
        let Some(answer) = self.until_answered("POST", "/v1/vfs/crdt/push", &body).await else { return };
        let results = answer.get("results").and_then(Json::as_array).cloned().unwrap_or_default();
        let mut done = Vec::new();
        for result in &results {
            let text = |name: &str| result.get(name).and_then(Json::as_str).unwrap_or_default();
            match text("status") {
                "applied" | "alreadyApplied" => done.push(text("opId").to_owned()),
                _ => self.notes.unexpected(format!("push: {result}")),
            }
        }
        if results.len() != count {
            self.notes.unexpected(format!("push: {} results for {count} operations", results.len()));
        }
        self.notes.pushed(self.user.number, done);
    }

    fn operation(&mut self) -> Json {
        let write = self.next_write;
        self.next_write += 1;
        let item = self.user.item(1 + self.dice.below(ITEMS - 1));
        let kind = if self.dice.below(2) == 0 { "link_add" } else { "link_remove" };
        json!({
            "opId": format!("{}-{write}", self.client_id()),
            "opType": kind,
            "itemId": item,
            "parentId": self.user.item(0),
            "childId": item,
            "replicaId": self.client_id(),
            "writeId": write,
            "occurredAt": now(self.skew_ms),
        })
    }

    /// Stages a blob with its bytes, attaches it, and reads it again.
    async fn blob(&mut self) {
        self.blobs += 1;
        let blob = format!("{}-blob-{}", self.user.id, self.blobs);
        let length = 1 + self.dice.below(BLOB_BYTES_MAX);
        let bytes: Vec<u8> = (0..length).map(|_| u8::try_from(self.dice.below(256)).unwrap_or(0)).collect();
        let expires = now(STAGED_MS);
        let stage = format!("{blob}-stage");
        let body = json!({
            "blobId": blob,
            "stagingId": stage,
            "expiresAt": expires,
            "dataBase64": BASE64_STANDARD.encode(&bytes),
        });
        if self.until_answered("POST", "/v1/vfs/blobs/stage", &body).await.is_none() {
            return;
        }
        let body =
            json!({ "itemId": self.user.item(1 + self.dice.below(ITEMS - 1)), "relationKind": "file" });
        let path = format!("/v1/vfs/blobs/stage/{stage}/attach");
        if self.until_answered("POST", &path, &body).await.is_some() {
            self.notes.attached(self.user.number, Attached { blob: blob.clone(), bytes: bytes.clone() });
            self.compare(&blob, &bytes).await;
        }
    }

    /// Reads a blob, which must be these bytes.
    pub(crate) async fn compare(&mut self, blob: &str, bytes: &[u8]) {
        let path = format!("/v1/vfs/blobs/{blob}");
        if let Some(answer) = self.until_done("GET", &path, "").await
            && answer.body != bytes
        {
            self.notes.changed_blob();
        }
    }

    /// Reads the next page of the feed. Answers whether there is more.
    pub(crate) async fn read(&mut self) -> bool {
        let mut path = format!("/v1/vfs/crdt/sync?limit={PAGE}&clientId={}", self.client_id());
        if let Some(cursor) = &self.cursor {
            path.push_str(&format!("&cursor={}", cursor.encode()));
        }
        let Some(answer) = self.until_done("GET", &path, "").await else { return false };
        let Ok(page) = serde_json::from_slice::<Json>(&answer.body) else {
            self.notes.unexpected("a page that is no JSON".to_owned());
            return false;
        };
        let items = page.get("items").and_then(Json::as_array).cloned().unwrap_or_default();
        for item in items {
            self.take(item);
        }
        page.get("hasMore").and_then(Json::as_bool).unwrap_or(false)
    }

    /// Reconciles what was read. What the server keeps then never lies behind what it kept before.
    pub(crate) async fn reconcile(&mut self) {
        let Some(cursor) = self.cursor.as_ref().map(Cursor::encode) else { return };
        let body = json!({ "clientId": self.client_id(), "cursor": cursor });
        let Some(answer) = self.until_answered("POST", "/v1/vfs/crdt/reconcile", &body).await else { return };
        let kept = answer.get("cursor").and_then(Json::as_str).and_then(Cursor::decode);
        match (kept, &self.reconciled) {
            (None, _) => self.notes.unexpected(format!("reconcile: {answer}")),
            (Some(kept), Some(before)) if kept < *before => self.notes.cursor_fell(),
            (Some(kept), _) => self.reconciled = Some(kept),
        }
    }

    fn take(&mut self, item: Json) {
        let Ok(item) = serde_json::from_value::<FeedItem>(item) else {
            self.notes.unexpected("an item that cannot be read".to_owned());
            return;
        };
        let Some(at) = item.cursor() else {
            self.notes.unexpected(format!("an item without a place: {}", item.op_id));
            return;
        };
        if self.cursor.as_ref().is_some_and(|before| *before >= at) {
            self.notes.out_of_order();
        }
        self.cursor = Some(at);
        // user:replica:writeId:opId, of a user and a device without colons.
        let own = item.source_id.strip_prefix(&format!("{}:", self.user.id));
        if item.source_table == "vfs_crdt_client_push"
            && let Some(id) = own.and_then(|rest| rest.splitn(3, ':').nth(2))
        {
            self.notes.received(self.user.number, id);
        }
    }

    /// Reads until there is no more.
    pub(crate) async fn catch_up(&mut self) {
        for _ in 0..PAGES_MAX {
            if !self.read().await {
                return;
            }
        }
    }

    /// Whose it is.
    pub(crate) fn user_number(&self) -> usize {
        self.user.number
    }

    fn client_id(&self) -> String {
        format!("{}-device", self.user.id)
    }

    async fn must(&mut self, method: &str, path: &str, body: &Json) -> Result<Json, Error> {
        let none = || Error::Task(format!("{method} {path} was refused"));
        self.until_answered(method, path, body).await.ok_or_else(none)
    }

    async fn until_answered(&mut self, method: &str, path: &str, body: &Json) -> Option<Json> {
        let answer = self.until_done(method, path, &body.to_string()).await?;
        serde_json::from_slice(&answer.body).ok()
    }

    /// Asks any instance until it is done; what is told to come again comes again. `None`: it was refused, which is noted.
    async fn until_done(&mut self, method: &str, path: &str, body: &str) -> Option<Answer> {
        const COME_AGAIN: u16 = 503;
        for _ in 0..SENT_MAX {
            let token = Arc::clone(&self.user.token);
            let request = Request { method, path, by: By::Bearer(&token), body };
            let at = self.dice.below(self.wires.len());
            let wire = self.wires.get_mut(at)?;
            let began = Instant::now();
            match wire.ask(request).await {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    self.notes.answered(Endpoint::of(path), began.elapsed());
                    return Some(answer);
                }
                Ok(answer) if answer.status == COME_AGAIN => {
                    self.notes.held_back();
                    tokio::time::sleep(AGAIN).await;
                }
                Ok(answer) => {
                    let said = String::from_utf8_lossy(&answer.body).into_owned();
                    self.notes.unexpected(format!("{method} {path}: {} {said}", answer.status));
                    return None;
                }
                Err(_) => {
                    self.notes.unanswered();
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        self.notes.unexpected(format!("{method} {path}: no answer"));
        None
    }
}

/// The time, as somebody tells it whose clock is so much ahead.
fn now(ahead_ms: i64) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since.as_millis()).unwrap_or(0).saturating_add(ahead_ms);
    Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}
