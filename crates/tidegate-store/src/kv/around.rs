//! A store around another: it says what belongs around an operation, and nothing else.

use std::fmt;

use async_trait::async_trait;

use super::{
    Entry, Key, Kv, KvError, KvStore, Namespace, Page, Properties, UnixSecond, Write, Written, WrittenAll,
};

/// An operation of a store. Asking for the time is none, nor is a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`KvStore::get_some`].
    GetSome,
    /// [`KvStore::list`].
    List,
    /// [`KvStore::write_each`].
    WriteEach,
    /// [`KvStore::write_all`].
    WriteAll,
}

impl Operation {
    /// Its name, as the trait spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetSome => "get_some",
            Self::List => "list",
            Self::WriteEach => "write_each",
            Self::WriteAll => "write_all",
        }
    }

    /// Whether it may change the store.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::WriteEach | Self::WriteAll)
    }
}

/// Something that stands around a store. It is a store itself.
pub trait Around: fmt::Debug + Send + Sync + 'static {
    /// The store within.
    fn within(&self) -> &Kv;

    /// Makes an operation of so many keys or writes (of a listing: its limit), and what belongs around it. `make` does
    /// nothing until it is awaited.
    fn around<T: Send>(
        &self,
        operation: Operation,
        size: usize,
        make: impl Future<Output = Result<T, KvError>> + Send,
    ) -> impl Future<Output = Result<T, KvError>> + Send;

    /// The clock of the store within, unless it says otherwise.
    fn clock(&self) -> impl Future<Output = Result<UnixSecond, KvError>> + Send {
        async { self.within().now().await }
    }
}

#[async_trait]
impl<A: Around> KvStore for A {
    fn properties(&self) -> Properties {
        self.within().properties()
    }

    async fn now(&self) -> Result<UnixSecond, KvError> {
        self.clock().await
    }

    async fn get_some(&self, namespace: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        self.around(Operation::GetSome, keys.len(), self.within().get_some(namespace, keys)).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        self.around(Operation::List, limit, self.within().list(namespace, prefix, after, limit)).await
    }

    async fn write_each(&self, writes: &[Write]) -> Result<Vec<Written>, KvError> {
        self.around(Operation::WriteEach, writes.len(), self.within().write_each(writes)).await
    }

    async fn write_all(&self, writes: &[Write]) -> Result<WrittenAll, KvError> {
        self.around(Operation::WriteAll, writes.len(), self.within().write_all(writes)).await
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, KvError> {
        self.within().sweep(at_most).await
    }
}
