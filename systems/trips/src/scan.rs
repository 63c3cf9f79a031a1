//! Everything that stands under a prefix, a few bodies at a time: how many follows from how large they are.

use tidegate_store::kv::{Entry, Key, KvError, KvStore, Namespace, PAGE_MAX};

use crate::app::AppError;
use crate::index::RECORDS_MAX;

/// Bodies that are read at once, at first and at most. How large they are is known only then.
const BODIES_FIRST: usize = 16;
const BODIES_MAX: usize = 128;
/// Bytes that they should have together at most; the next ones are fewer where they had more.
const BYTES: usize = 4 * 1024 * 1024;

/// Gives each entry of a prefix to `take`, in the order of the keys; no more are kept than are read at once.
///
/// # Errors
/// [`AppError::Store`], also where there are more than a million.
pub(crate) async fn each(
    store: &dyn KvStore,
    namespace: &Namespace,
    prefix: &str,
    mut take: impl FnMut(Key, Entry) -> Result<(), AppError>,
) -> Result<(), AppError> {
    let (mut after, mut at_once, mut seen): (Option<Key>, usize, usize) = (None, BODIES_FIRST, 0);
    loop {
        let page = store.list(namespace, prefix, after.as_ref(), PAGE_MAX).await?;
        let mut keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
        seen += keys.len();
        if seen > RECORDS_MAX {
            return Err(KvError::TooMany { what: "keys", count: seen, limit: RECORDS_MAX }.into());
        }
        after = keys.last().cloned();
        while !keys.is_empty() {
            let rest = keys.split_off(at_once.min(keys.len()));
            let mut bytes = 0;
            // One that is gone since it was listed is none.
            let taken = store.each(namespace, &keys, |key, entry| {
                bytes += entry.value.len();
                take(key.clone(), entry)
            });
            taken.await?;
            at_once = if bytes > BYTES { (at_once / 4).max(1) } else { (at_once * 2).min(BODIES_MAX) };
            keys = rest;
        }
        if page.complete {
            return Ok(());
        }
    }
}
