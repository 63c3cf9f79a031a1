//! Reads that are tried again while the store cannot be asked.

use std::time::Duration;

use tidegate_store::kv::{Entry, Key, Kv, KvError, Namespace, PAGE_MAX, Page, UnixSecond};

/// Tries of one operation.
pub(crate) const TRIES_MAX: u32 = 3;
/// The wait after the first failure; twice as long after the second.
const BACKOFF: Duration = Duration::from_millis(20);

/// A store whose reads are tried up to [`TRIES_MAX`] times.
#[derive(Debug, Clone)]
pub(crate) struct Asking(pub(crate) Kv);

impl Asking {
    pub(crate) async fn now(&self) -> Result<UnixSecond, KvError> {
        let mut tries = 0;
        loop {
            match self.0.now().await {
                Err(error) if may_try_again(&error, &mut tries) => wait(tries).await,
                answer => return answer,
            }
        }
    }

    /// What stands at the first of these keys, at most a page: at as many as one reading holds.
    pub(crate) async fn get_some(&self, at: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        let page = keys.get(..PAGE_MAX).unwrap_or(keys);
        let mut tries = 0;
        loop {
            match self.0.get_some(at, page).await {
                Err(error) if may_try_again(&error, &mut tries) => wait(tries).await,
                Ok(found) if found.is_empty() && !page.is_empty() => {
                    // Whoever goes on behind it would never end.
                    let message = format!("it answered {} keys with nothing", page.len());
                    return Err(KvError::Corrupt { store: format!("{:?}", self.0), message });
                }
                answer => return answer,
            }
        }
    }

    /// Any number of keys, a page at a time.
    pub(crate) async fn get_many(&self, at: &Namespace, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
        let mut found = Vec::with_capacity(keys.len());
        for page in keys.chunks(PAGE_MAX) {
            let mut tries = 0;
            loop {
                match self.0.get_many(at, page).await {
                    Ok(entries) => {
                        found.extend(entries);
                        break;
                    }
                    Err(error) if may_try_again(&error, &mut tries) => wait(tries).await,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }

    pub(crate) async fn get(&self, at: &Namespace, key: &Key) -> Result<Option<Entry>, KvError> {
        Ok(self.get_many(at, std::slice::from_ref(key)).await?.pop().flatten())
    }

    pub(crate) async fn list(
        &self,
        at: &Namespace,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, KvError> {
        let mut tries = 0;
        loop {
            match self.0.list(at, prefix, after, limit).await {
                Err(error) if may_try_again(&error, &mut tries) => wait(tries).await,
                answer => return answer,
            }
        }
    }
}

/// Whether this failure may pass, and a try is left.
pub(crate) fn may_try_again(error: &KvError, tries: &mut u32) -> bool {
    *tries += 1;
    *tries < TRIES_MAX && matches!(error, KvError::Unavailable { .. } | KvError::Unknown { .. })
}

pub(crate) async fn wait(tries: u32) {
    tokio::time::sleep(BACKOFF * tries).await;
}
