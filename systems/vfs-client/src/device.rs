//! A client at work: what it decides is kept on its disk before the next thing is done.

mod asking;
mod error;
mod learning;
mod told;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vfs_core::Timestamp;
use vfs_core::client::{
    Client, ClientError, Effect, Failure, LocalOperation, Notice, Outcome, QueuedOperation, ReplyBody,
};
use vfs_core::guardrail::Violation;

use crate::home::{Home, HomeError, Identity, Lock, write_whole};
use crate::metrics::Metrics;
use crate::store::{Beside, Store, StoreError, Touched, export_text};
use crate::task::{Attach, Task, TaskId, WaitingTask};
use crate::transport::Transport;
use crate::tree::{Item, Tree, metadata, root_id};
pub use error::DeviceError;
pub use told::{Synced, Told};

/// How old the last good export may be before a sync that changed something writes it anew.
const LAST_GOOD_AGE: Duration = Duration::from_secs(60);
/// The pause before the second try; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often something is tried that fails in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// In all, 1 and up.
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 4 }
    }
}

/// A client at work in its directory. While it is there, no other process works in that directory.
pub struct Device {
    home: Home,
    identity: Identity,
    lock: Option<Lock>,
    store: Store,
    client: Client,
    transport: Arc<Transport>,
    metrics: Metrics,
    patience: Patience,
    observer: Box<dyn FnMut(&Told)>,
    /// Which file the store is: another one has its place where a state was taken up instead.
    file: Option<u64>,
    /// What the store's generation was when this process wrote it last.
    generation: u64,
    last_good: Option<Instant>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("home", &self.home).finish_non_exhaustive()
    }
}

/// The time of this machine.
///
/// # Errors
/// [`DeviceError::Clock`].
pub fn now() -> Result<Timestamp, DeviceError> {
    Timestamp::try_from(jiff::Timestamp::now()).map_err(|_| DeviceError::Clock)
}

impl Device {
    /// Goes to work in a directory, from the state that was kept there last.
    ///
    /// # Errors
    /// [`DeviceError`]; [`DeviceError::Hydrate`] where the kept state cannot be taken up.
    pub fn open(home: Home, observer: Box<dyn FnMut(&Told)>) -> Result<Self, DeviceError> {
        let identity = home.identity()?;
        let lock = home.lock()?;
        let options = identity.options().map_err(|error| DeviceError::Identity(error.to_string()))?;
        let loaded = Store::open(&home.store()).and_then(|mut store| {
            let client = store.load(options)?;
            Ok((store, client))
        });
        let (store, client) = match loaded {
            Ok(loaded) => loaded,
            Err(StoreError::Corrupt { message }) => {
                return Err(refused(&home, &identity, message, observer));
            }
            Err(error) => return Err(error.into()),
        };
        let transport = Arc::new(identity.transport(&identity.servers));
        let (metrics, generation) = (store.metrics()?, store.generation()?);
        let file = inode(&home.store());
        let mut device = Self {
            home,
            identity,
            lock: Some(lock),
            store,
            client,
            transport,
            metrics,
            patience: Patience::default(),
            observer,
            file,
            generation,
            last_good: None,
        };
        device.ensure_root()?;
        device.sweep_spool()?;
        Ok(device)
    }

    /// How often something is tried that fails in passing.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// The state machine, to look at.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its directory.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The way to the servers.
    #[must_use]
    pub fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where the bytes of a blob are that waits.
    #[must_use]
    pub fn bytes_path(&self, attach: &Attach) -> PathBuf {
        self.home.spool().join(&attach.bytes_file)
    }

    /// What waits beside the operations, and what the server refused of it.
    ///
    /// # Errors
    /// [`DeviceError::Store`].
    pub fn tasks(&self) -> Result<Vec<WaitingTask>, DeviceError> {
        Ok(self.store.tasks()?)
    }

    /// The items as a tree.
    ///
    /// # Errors
    /// [`DeviceError::Store`].
    pub fn tree(&self) -> Result<Tree, DeviceError> {
        Ok(Tree::new(&self.client, self.store.items()?))
    }

    /// Lets others work in the directory, until [`Device::wake`].
    pub fn rest(&mut self) {
        self.lock = None;
    }

    /// Is alone in the directory again, and takes up what others did meanwhile.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn wake(&mut self) -> Result<(), DeviceError> {
        if self.lock.is_none() {
            self.lock = Some(self.home.lock()?);
        }
        let file = inode(&self.home.store());
        if file != self.file {
            self.store = Store::open(&self.home.store())?;
            self.file = file;
            self.reload()?;
        } else if self.store.generation()? != self.generation {
            self.reload()?;
        }
        Ok(())
    }

    /// Sees to it that the item from which paths begin is known here, and registered: every client of a user does so, and
    /// the first one makes it.
    fn ensure_root(&mut self) -> Result<(), DeviceError> {
        let id = root_id(&self.identity.user_id);
        if self.store.has_item(&id)? {
            return Ok(());
        }
        let (object_type, owner_id) = ("folder".to_owned(), Some(self.identity.user_id.clone()));
        let item = Item { id: id.clone(), object_type: object_type.clone(), owner_id, name: None };
        let register = Task::Register { item_id: id, object_type, metadata: metadata("My files") };
        self.store.note(&Beside { tasks: &[register], items: &[item] })?;
        self.generation = self.store.generation()?;
        Ok(())
    }

    /// Whether another process has changed what is kept since this one rests.
    ///
    /// # Errors
    /// [`DeviceError::Store`].
    pub fn was_changed(&self) -> Result<bool, DeviceError> {
        Ok(inode(&self.home.store()) != self.file || self.store.generation()? != self.generation)
    }

    /// Goes back to what was kept: after a change that could not be.
    fn reload(&mut self) -> Result<(), DeviceError> {
        self.client = self.store.load(self.client.options().clone())?;
        self.metrics = self.store.metrics()?;
        self.generation = self.store.generation()?;
        Ok(())
    }

    /// Queues operations, with the tasks and names that belong to them: all of it, kept, or nothing.
    ///
    /// # Errors
    /// [`DeviceError::Queue`] or [`DeviceError::Store`].
    pub fn queue(
        &mut self,
        operations: &[LocalOperation],
        tasks: &[Task],
        items: &[Item],
    ) -> Result<(), DeviceError> {
        let now = now()?;
        let queued: Result<(), DeviceError> = (|| {
            for operation in operations {
                self.client.queue_local_operation(operation, now)?;
            }
            let beside = Beside { tasks, items };
            Ok(self.store.keep(&self.client, &Touched::Queue, &beside)?)
        })();
        if queued.is_err() {
            self.reload()?;
        }
        self.generation = self.store.generation()?;
        queued
    }

    /// Forgets a rejected operation, or a task.
    ///
    /// # Errors
    /// [`DeviceError`]; then nothing was changed.
    pub fn undo_rejected(&mut self, op_id: &str) -> Result<QueuedOperation, DeviceError> {
        let undone = self.client.undo_rejected(op_id)?;
        self.keep_queue()?;
        Ok(undone.operation)
    }

    /// Puts a rejected operation at the end of the queue again.
    ///
    /// # Errors
    /// [`DeviceError`]; then nothing was changed.
    pub fn retry_rejected(&mut self, op_id: &str) -> Result<(), DeviceError> {
        self.client.retry_rejected(op_id)?;
        self.keep_queue()
    }

    fn keep_queue(&mut self) -> Result<(), DeviceError> {
        if let Err(error) = self.store.keep(&self.client, &Touched::Queue, &Beside::default()) {
            self.reload()?;
            return Err(error.into());
        }
        self.generation = self.store.generation()?;
        Ok(())
    }

    /// Tries a refused task again with the next sync.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn retry_task(&mut self, id: i64) -> Result<(), DeviceError> {
        let task = self.task(id)?;
        self.store.set_refusal(task.id, None)?;
        self.generation = self.store.generation()?;
        Ok(())
    }

    /// Forgets a task. A stage that it made at the server is given up with the next sync.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn drop_task(&mut self, id: i64) -> Result<Task, DeviceError> {
        use crate::task::Progress;
        let dropped = self.task(id)?;
        match &dropped.task {
            Task::Attach(attach) => {
                match &attach.progress {
                    Progress::Staged { staging_id, .. } => {
                        let abandon = Task::Abandon { staging_id: staging_id.clone() };
                        self.store.advance(dropped.id, &abandon)?;
                    }
                    Progress::Here | Progress::Uploaded => self.store.end_task(dropped.id)?,
                }
                self.forget_bytes(&self.bytes_path(attach));
            }
            _ => self.store.end_task(dropped.id)?,
        }
        self.generation = self.store.generation()?;
        Ok(dropped.task)
    }

    fn task(&self, id: i64) -> Result<WaitingTask, DeviceError> {
        let tasks = self.store.tasks()?;
        tasks.into_iter().find(|task| task.id == TaskId(id)).ok_or(DeviceError::NoTask(id))
    }

    /// Brings everything that waits to the server and reads everything that is new: items first, then operations,
    /// then blobs, whose attachment rests on what was reconciled before.
    ///
    /// # Errors
    /// [`DeviceError`]. What was done until then stays done; what waits goes on waiting.
    pub fn sync(&mut self) -> Result<Synced, DeviceError> {
        self.transport.refuse_other_users()?;
        let synced = self.synced();
        if let Ok(synced) = &synced {
            self.metrics.pushed_operations += synced.pushed_operations as u64;
            self.metrics.pulled_operations += synced.pulled_operations as u64;
        }
        self.count(synced.is_ok())?;
        synced
    }

    fn synced(&mut self) -> Result<Synced, DeviceError> {
        let mut synced = Synced::default();
        self.do_tasks(true, &mut synced)?;
        let before = self.client.cursor().cloned();
        self.flush(&mut synced)?;
        self.do_tasks(false, &mut synced)?;
        self.learn(&mut synced)?;
        let is_due = self.last_good.is_none_or(|at| at.elapsed() >= LAST_GOOD_AGE);
        let has_changed = before != self.client.cursor().cloned() || !self.home.last_good().exists();
        if is_due && has_changed {
            self.keep_last_good()?;
        }
        Ok(synced)
    }

    /// Pushes and pulls, as often as it takes.
    fn flush(&mut self, synced: &mut Synced) -> Result<(), DeviceError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let begun = self.client.flush().effects();
            let (ended, is_passing) = self.drive(begun)?;
            match ended {
                Ok(outcome) => {
                    note(synced, &outcome);
                    return Ok(());
                }
                // Everything was flushed but these, and everything was read.
                Err(ClientError::Rejected { results }) => {
                    synced.rejected_operations += results.len();
                    return Ok(());
                }
                Err(ClientError::Transport(why)) if is_passing && tries < self.patience.tries => {
                    self.pause(tries, &why);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the state anew from the server, because somebody says so. What waits and what was rejected is kept.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn rematerialize(&mut self) -> Result<Outcome, DeviceError> {
        self.transport.refuse_other_users()?;
        let begun = self.client.rematerialize().effects();
        let (ended, _) = self.drive(begun)?;
        let outcome = ended?;
        // Of another history: what was read of items is not to be gone on from.
        self.store.forget_items()?;
        self.generation = self.store.generation()?;
        Ok(outcome)
    }

    /// Does effects in their order until what was begun has ended, and says whether its failure may pass.
    fn drive(&mut self, begun: Vec<Effect>) -> Result<(Result<Outcome, ClientError>, bool), DeviceError> {
        let mut effects = VecDeque::from(begun);
        let mut reply = None;
        let mut is_passing = false;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Tell(notice) => self.notice(notice),
                Effect::Persist => {
                    let touched = match &reply {
                        Some(ReplyBody::Pulled(page)) => Touched::Page(&page.items),
                        Some(ReplyBody::Snapshot(_)) => Touched::Everything,
                        _ => Touched::Queue,
                    };
                    if let Err(error) = self.store.keep(&self.client, &touched, &Beside::default()) {
                        // What could not be kept has not happened.
                        self.reload()?;
                        return Err(error.into());
                    }
                }
                Effect::Send { id, request } => {
                    if let vfs_core::client::Request::Push { operations, .. } = &request {
                        let waiting = self.client.pending().len();
                        (self.observer)(&Told::Pushing { operations: operations.len(), waiting });
                    }
                    let (answered, may_pass) = self.transport.exchange(&request);
                    is_passing = may_pass;
                    if let ReplyBody::Pulled(page) = &answered.body {
                        (self.observer)(&Told::Read { operations: page.items.len() });
                    }
                    // One request is out at a time, and its effects come behind those before it.
                    reply = Some(match &answered.body {
                        ReplyBody::Pulled(page) => ReplyBody::Pulled(page.clone()),
                        ReplyBody::Snapshot(_) => ReplyBody::Snapshot(None),
                        _ => ReplyBody::Failed(Failure::Transport(String::new())),
                    });
                    effects.extend(self.client.reply(id, answered));
                }
                Effect::Finished(ended) => {
                    self.generation = self.store.generation()?;
                    return Ok((ended, is_passing));
                }
            }
        }
        self.generation = self.store.generation()?;
        Ok((Ok(Outcome::default()), false))
    }

    fn notice(&mut self, notice: Notice) {
        match &notice {
            Notice::Guardrail(violation) => {
                *self.metrics.guardrail_violations.entry(violation.signature()).or_default() += 1;
            }
            Notice::Rematerialization(_) => self.metrics.rematerializations_required += 1,
        }
        (self.observer)(&Told::Notice(notice));
    }

    fn count(&mut self, is_good: bool) -> Result<(), DeviceError> {
        if is_good {
            self.metrics.syncs += 1;
        } else {
            self.metrics.failed_syncs += 1;
        }
        self.tell_violations();
        self.store.keep_metrics(&self.metrics)?;
        self.generation = self.store.generation()?;
        let text = self.metrics.render(&self.identity.client_id);
        // For whoever collects it; the counters themselves are in the store.
        let _ = write_whole(&self.home.metrics(), text.as_bytes());
        Ok(())
    }

    /// Tells a server of broken guardrails, for whoever runs it. What could not be told is told after the next sync.
    fn tell_violations(&mut self) {
        for (signature, count) in self.metrics.untold_violations() {
            let body = serde_json::json!({
                "clientId": self.identity.client_id, "signature": signature, "violations": count,
            });
            if self.transport.ask("POST", "/v1/vfs/crdt/guardrails", Some(&body)).is_ok() {
                *self.metrics.told_violations.entry(signature).or_default() += count;
            }
        }
    }

    fn keep_last_good(&mut self) -> Result<(), DeviceError> {
        let path = self.home.last_good();
        write_whole(&path, export_text(&self.client.export_state()).as_bytes())
            .map_err(|error| HomeError::File { doing: "write", path, error })?;
        self.last_good = Some(Instant::now());
        Ok(())
    }

    fn pause(&mut self, tries: u32, why: &str) {
        let pause = PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(8)).min(PAUSE_MAX);
        (self.observer)(&Told::Again { why: why.to_owned(), pause });
        std::thread::park_timeout(pause);
    }
}

/// Which file it is, of those of one file system; `None`: it is not there.
fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

fn note(synced: &mut Synced, outcome: &Outcome) {
    synced.pushed_operations += outcome.pushed_operations;
    synced.pulled_operations += outcome.pulled_operations;
    synced.pull_pages += outcome.pull_pages;
    synced.rematerializations += outcome.rematerializations;
}

/// Tells, counts and refuses a kept state that cannot be taken up.
fn refused(
    home: &Home,
    identity: &Identity,
    message: String,
    mut observer: Box<dyn FnMut(&Told)>,
) -> DeviceError {
    let violation = Violation::Hydrate { message };
    observer(&Told::Notice(Notice::Guardrail(violation.clone())));
    // The store's own counters may not be readable; whoever collects them is told all the same.
    let mut metrics = Store::open(&home.store()).and_then(|store| store.metrics()).unwrap_or_default();
    *metrics.guardrail_violations.entry(violation.signature()).or_default() += 1;
    let _ = write_whole(&home.metrics(), metrics.render(&identity.client_id).as_bytes());
    let last_good = Some(home.last_good()).filter(|path| path.exists());
    DeviceError::Hydrate { violation, last_good }
}
