//! A store that a test can stop, meddle with, and look over the shoulder of.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tidegate_store::kv::{
    Change, Entry, Key, Kv, KvError, KvStore, Namespace, Page, Properties, UnixSecond, Write, Written,
    WrittenAll,
};

#[derive(Debug)]
pub(crate) struct Watched {
    inner: Kv,
    operations: AtomicUsize,
    batches: AtomicUsize,
    /// Bytes of the values of the largest answer.
    pub(crate) largest: AtomicUsize,
    /// Records that were asked for in such answers.
    pub(crate) read: AtomicUsize,
    /// Bytes that were read since the last batch began, and the most that ever were.
    unwritten: AtomicUsize,
    pub(crate) most_unwritten: AtomicUsize,
    /// After so many operations none is answered.
    pub(crate) dies_after: usize,
    /// The batch with this number is written and its answer lost; 0: none.
    pub(crate) loses: usize,
    /// The batch with this number is not written, and nobody knows; 0: none.
    pub(crate) swallows: usize,
    /// Made before the batch with its number.
    pub(crate) meddling: Mutex<Vec<(usize, Write)>>,
    /// Made before every batch.
    pub(crate) always: Option<Write>,
    /// A batch that puts this key is refused.
    pub(crate) rejected: Option<String>,
    pub(crate) properties: Properties,
    /// What was written.
    pub(crate) written: Mutex<Vec<Write>>,
}

impl Watched {
    pub(crate) fn new(inner: Kv) -> Self {
        Self {
            properties: inner.properties(),
            inner,
            operations: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            unwritten: AtomicUsize::new(0),
            most_unwritten: AtomicUsize::new(0),
            dies_after: usize::MAX,
            loses: 0,
            swallows: 0,
            meddling: Mutex::new(Vec::new()),
            always: None,
            rejected: None,
            written: Mutex::new(Vec::new()),
        }
    }

    /// The keys that were changed, and how often.
    pub(crate) fn changed(&self) -> Vec<String> {
        let written = self.written.lock().unwrap();
        let changed = written.iter().filter(|write| write.change != Change::Keep);
        changed.map(|write| format!("{}/{}", write.namespace, write.key)).collect()
    }

    pub(crate) fn batches(&self) -> usize {
        self.batches.load(Ordering::SeqCst)
    }

    fn operation(&self) -> Result<(), KvError> {
        if self.operations.fetch_add(1, Ordering::SeqCst) >= self.dies_after {
            return Err(KvError::Unavailable {
                store: "watched".to_owned(),
                message: "it is gone".to_owned(),
            });
        }
        Ok(())
    }
}

fn unknown() -> KvError {
    KvError::Unknown { store: "watched".to_owned(), message: "the answer was lost".to_owned() }
}

#[async_trait]
impl KvStore for Watched {
    fn properties(&self) -> Properties {
        self.properties
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        self.operation()?;
        self.inner.now().await
    }

    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        self.operation()?;
        let found = self.inner.get_some(namespace, keys).await?;
        let bytes: usize = found.iter().flatten().map(|entry| entry.value.len()).sum();
        self.largest.fetch_max(bytes, Ordering::SeqCst);
        let unwritten = self.unwritten.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most_unwritten.fetch_max(unwritten, Ordering::SeqCst);
        self.read.fetch_add(found.len(), Ordering::SeqCst);
        Ok(found)
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        self.operation()?;
        self.inner.list(namespace, prefix, after, limit).await
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        self.operation()?;
        let answer = self.inner.write_each(writes).await?;
        self.written.lock().unwrap().extend_from_slice(writes);
        Ok(answer)
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        self.operation()?;
        let number = self.batches.fetch_add(1, Ordering::SeqCst) + 1;
        self.unwritten.store(0, Ordering::SeqCst);
        let mut due = Vec::new();
        self.meddling.lock().unwrap().retain(|(at, write)| {
            if *at == number {
                due.push(write.clone());
            }
            *at != number
        });
        due.extend(self.always.clone());
        if !due.is_empty() {
            self.inner.write_each(&due).await?;
        }
        let puts = |key: &String| {
            writes.iter().any(|write| write.change != Change::Keep && write.key.as_str() == key)
        };
        if let Some(key) = self.rejected.as_ref().filter(|key| puts(key)) {
            return Err(KvError::TooLarge { what: "the value", key: key.clone(), bytes: 9, limit: 8 });
        }
        if number == self.swallows {
            return Err(unknown());
        }
        let answer = self.inner.write_all(writes).await?;
        if matches!(answer, WrittenAll::Done(_)) {
            self.written.lock().unwrap().extend_from_slice(writes);
        }
        if number == self.loses {
            return Err(unknown());
        }
        Ok(answer)
    }
}
