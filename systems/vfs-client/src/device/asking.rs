//! Doing tasks: one request after the other, each of which can be asked again.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Device, DeviceError, Synced, Told, now};
use crate::home::HomeError;
use crate::task::{Attach, Principal, Progress, Task, WaitingTask};
use crate::transport::{TransportError, encoded};

/// How long a stage can be attached.
const STAGE_TIME: SignedDuration = SignedDuration::from_hours(24);
/// The key of an item whose bytes this program leaves as they are.
const NO_KEY: &str = "none";

/// How a task stands after it was asked.
enum Asked {
    /// It is done.
    Done,
    /// The server will not do it.
    Refused(String),
}

impl Device {
    /// Does the tasks that are due before operations are pushed, or those after it. One that is refused does not stop
    /// the others.
    pub(super) fn do_tasks(&mut self, is_before: bool, synced: &mut Synced) -> Result<(), DeviceError> {
        let tasks = self.store.tasks()?;
        let due =
            |task: &WaitingTask| task.refusal.is_none() && task.task.is_before_operations() == is_before;
        for task in tasks.into_iter().filter(due) {
            let mut tries = 0;
            let asked = loop {
                tries += 1;
                match self.ask(&task) {
                    Ok(asked) => break asked,
                    // Its words about this task. What is wrong with the client, or on the way, is no word about it.
                    Err(DeviceError::Transport(error)) if is_refusal(&error) => {
                        break Asked::Refused(error.to_string());
                    }
                    Err(DeviceError::Transport(error))
                        if error.is_passing() && tries < self.patience.tries =>
                    {
                        self.pause(tries, &error.to_string());
                    }
                    Err(error) => return Err(error),
                }
            };
            match asked {
                Asked::Done => {
                    self.store.end_task(task.id)?;
                    if let Task::Attach(attach) = &task.task {
                        self.forget_bytes(&self.bytes_path(attach));
                    }
                    synced.tasks_done += 1;
                    (self.observer)(&Told::Done(task.task.describe()));
                }
                Asked::Refused(why) => {
                    self.store.set_refusal(task.id, Some(&why))?;
                    synced.tasks_refused += 1;
                    (self.observer)(&Told::Refused { task: task.task.describe(), why });
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, waiting: &WaitingTask) -> Result<Asked, DeviceError> {
        match &waiting.task {
            Task::Register { item_id, object_type, metadata } => {
                self.register(item_id, object_type, metadata)
            }
            Task::SetMetadata { item_id, metadata } => {
                let path = format!("/v1/vfs/items/{}/metadata", encoded(item_id));
                self.transport.ask("PUT", &path, Some(&json!({ "metadata": metadata })))?;
                Ok(Asked::Done)
            }
            Task::Attach(attach) => self.attach(waiting, attach.clone()),
            Task::Abandon { staging_id } => {
                let path = format!("/v1/vfs/blobs/stage/{}/abandon", encoded(staging_id));
                match self.transport.ask("POST", &path, Some(&json!({}))) {
                    // It never came to the server, or is over already: there is nothing to give up.
                    Err(error) if matches!(error.status(), Some(404 | 409)) => Ok(Asked::Done),
                    other => other.map(|_| Asked::Done).map_err(DeviceError::from),
                }
            }
            Task::Share { item_id, with, permission } => self.share(item_id, with, permission),
            Task::Unshare { item_id, with } => self.unshare(item_id, with),
        }
    }

    fn register(&self, item_id: &str, object_type: &str, metadata: &str) -> Result<Asked, DeviceError> {
        let body = json!({
            "id": item_id, "objectType": object_type, "encryptedSessionKey": NO_KEY, "metadata": metadata,
        });
        match self.transport.ask("POST", "/v1/vfs/register", Some(&body)) {
            Ok(_) => Ok(Asked::Done),
            // By this request before, or by another client of the user's.
            Err(error) if error.status() == Some(409) => {
                let found = self.look_up(&[item_id.to_owned()])?;
                let is_mine = |item: &Value| {
                    item.get("ownerId").and_then(Value::as_str) == Some(&self.identity.user_id)
                };
                if found.first().is_some_and(is_mine) {
                    return Ok(Asked::Done);
                }
                Ok(Asked::Refused(format!("{error}: the id {item_id} is somebody else's")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Uploads, stages and attaches: where each step has been kept, the next try goes on behind it.
    fn attach(&mut self, waiting: &WaitingTask, mut attach: Attach) -> Result<Asked, DeviceError> {
        let bytes = self.bytes_path(&attach);
        let mut stages = 0;
        loop {
            match attach.progress.clone() {
                Progress::Here => {
                    let path = format!("/v1/vfs/blobs/{}/content", encoded(&attach.blob_id));
                    if let Err(error) = std::fs::metadata(&bytes) {
                        return Ok(Asked::Refused(format!("cannot read {}: {error}", bytes.display())));
                    }
                    let said = self.transport.upload(&path, &bytes, &attach.content_type)?;
                    let size = said.get("sizeBytes").and_then(Value::as_u64);
                    if size != Some(attach.size_bytes) {
                        let found = size.map_or_else(|| "no size".to_owned(), |size| format!("{size} bytes"));
                        return Ok(Asked::Refused(format!(
                            "{found} for an upload of {} bytes",
                            attach.size_bytes
                        )));
                    }
                    attach.progress = Progress::Uploaded;
                }
                Progress::Uploaded => {
                    let expires_at = jiff::Timestamp::from(now()?).saturating_add(STAGE_TIME);
                    let expires_at = expires_at.map_err(|_| DeviceError::Clock)?.to_string();
                    let staging_id = Uuid::new_v4().to_string();
                    attach.progress = Progress::Staged { staging_id, expires_at };
                    stages += 1;
                }
                Progress::Staged { staging_id, expires_at } => {
                    match self.attach_stage(&attach, &staging_id, &expires_at)? {
                        None => return Ok(Asked::Done),
                        // Its time is over: another stage of the same blob, once.
                        Some(_) if stages < 2 => attach.progress = Progress::Uploaded,
                        Some(error) => {
                            return Ok(Asked::Refused(format!(
                                "{error}: is the clock of this machine right?"
                            )));
                        }
                    }
                }
            }
            self.store.advance(waiting.id, &Task::Attach(attach.clone()))?;
        }
    }

    /// Attaches one stage; `Some`: its time is over.
    fn attach_stage(
        &self,
        attach: &Attach,
        staging_id: &str,
        expires_at: &str,
    ) -> Result<Option<TransportError>, DeviceError> {
        let stage = json!({ "stagingId": staging_id, "blobId": attach.blob_id, "expiresAt": expires_at });
        match self.transport.ask("POST", "/v1/vfs/blobs/stage", Some(&stage)) {
            Err(error) if is_over(&error) => return Ok(Some(error)),
            // Attached by a request whose answer was lost: the one below says so.
            Err(error) if error.status() == Some(409) => {}
            other => drop(other?),
        }
        let mut body = json!({ "itemId": attach.item_id, "relationKind": attach.relation_kind.as_str() });
        // What this client has told the server before: the item's readers then see the item before its blob.
        if let (Some(state), Some(fields)) = (self.client.reconciled(), body.as_object_mut()) {
            let client_id = &self.client.options().client_id;
            let mut writes = serde_json::Map::new();
            if let Some(write) = state.last_reconciled_write_ids.get(client_id) {
                writes.insert(client_id.to_string(), json!(write));
            }
            fields.insert("clientId".to_owned(), json!(client_id));
            fields.insert("requiredCursor".to_owned(), json!(state.cursor.encode()));
            fields.insert("requiredLastReconciledWriteIds".to_owned(), Value::Object(writes));
        }
        let path = format!("/v1/vfs/blobs/stage/{}/attach", encoded(staging_id));
        match self.transport.ask("POST", &path, Some(&body)) {
            Err(error) if is_over(&error) => Ok(Some(error)),
            other => Ok(other.map(|_| None)?),
        }
    }

    fn share(&self, item_id: &str, with: &Principal, permission: &str) -> Result<Asked, DeviceError> {
        let path = format!("/v1/vfs/items/{}/shares", encoded(item_id));
        let body = json!({
            "shareType": with.kind.as_str(), "targetId": with.id, "permissionLevel": permission,
        });
        match self.transport.ask("POST", &path, Some(&body)) {
            Ok(_) => Ok(Asked::Done),
            Err(error) if error.status() == Some(409) => {
                let Some(share) = self.share_id(&path, with)? else { return Err(error.into()) };
                let path = format!("/v1/vfs/shares/{}", encoded(&share));
                self.transport.ask("PATCH", &path, Some(&json!({ "permissionLevel": permission })))?;
                Ok(Asked::Done)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn unshare(&self, item_id: &str, with: &Principal) -> Result<Asked, DeviceError> {
        let path = format!("/v1/vfs/items/{}/shares", encoded(item_id));
        let Some(share) = self.share_id(&path, with)? else { return Ok(Asked::Done) };
        let path = format!("/v1/vfs/shares/{}", encoded(&share));
        match self.transport.ask("DELETE", &path, None) {
            Err(error) if error.status() == Some(404) => Ok(Asked::Done),
            other => other.map(|_| Asked::Done).map_err(DeviceError::from),
        }
    }

    fn share_id(&self, path: &str, with: &Principal) -> Result<Option<String>, DeviceError> {
        let listed = self.transport.ask("GET", path, None)?;
        let shares = listed.get("shares").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_wanted = |share: &&Value| {
            share.get("targetId").and_then(Value::as_str) == Some(&with.id)
                && share.get("shareType").and_then(Value::as_str) == Some(with.kind.as_str())
        };
        let id = shares.iter().find(is_wanted).and_then(|share| share.get("id")).and_then(Value::as_str);
        Ok(id.map(str::to_owned))
    }

    /// Bytes of a blob that nobody needs here any more.
    pub(super) fn forget_bytes(&self, file: &Path) {
        // What stays is swept at the next start.
        let _ = std::fs::remove_file(file);
    }

    /// Removes bytes that no task is about: a process died between the copy and the task, or between the task's end
    /// and the removal.
    pub(super) fn sweep_spool(&self) -> Result<(), DeviceError> {
        let spool = self.home.spool();
        let failed = |error| HomeError::File { doing: "read", path: spool.clone(), error };
        let entries = match std::fs::read_dir(&spool) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error).into()),
        };
        let tasks = self.store.tasks()?;
        let is_needed = |path: &Path| {
            tasks.iter().any(|task| {
                matches!(&task.task, Task::Attach(attach)
                         if path.file_name().is_some_and(|name| name == attach.bytes_file.as_str()))
            })
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if !is_needed(&path) {
                self.forget_bytes(&path);
            }
        }
        Ok(())
    }
}

/// Whether it is the server's word that it will not do a task.
fn is_refusal(error: &TransportError) -> bool {
    error.status().is_some_and(|status| (400..500).contains(&status) && ![401, 408, 429].contains(&status))
}

fn is_over(error: &TransportError) -> bool {
    match error {
        TransportError::Refused { text, .. } => {
            text == "Blob staging has expired" || text == "expiresAt must be in the future"
        }
        _ => false,
    }
}
