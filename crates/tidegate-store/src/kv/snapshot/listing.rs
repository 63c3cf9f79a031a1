//! The keys of a store, one after the other.

use std::collections::VecDeque;

use super::super::{Key, KvError, KvStore, Listed, Namespace, PAGE_MAX};
use super::RESERVED_PREFIX;

/// A place in the listing of one namespace. Keys of the tool's own are passed over.
#[derive(Debug)]
pub(super) struct Listing {
    namespace: Namespace,
    prefix: String,
    after: Option<Key>,
    page: VecDeque<Listed>,
    complete: bool,
}

impl Listing {
    pub(super) fn new(namespace: &Namespace, prefix: &str) -> Self {
        Self {
            namespace: namespace.clone(),
            prefix: prefix.to_owned(),
            after: None,
            page: VecDeque::new(),
            complete: false,
        }
    }

    /// The key that comes next; none behind the last.
    pub(super) async fn peek(&mut self, store: &dyn KvStore) -> Result<Option<&Listed>, KvError> {
        while self.page.is_empty() && !self.complete {
            let page = store.list(&self.namespace, &self.prefix, self.after.as_ref(), PAGE_MAX).await?;
            self.complete = page.complete;
            if let Some(last) = page.entries.last() {
                self.after = Some(last.key.clone());
            } else if !page.complete {
                // A page without keys that is not the last leads nowhere.
                return Err(KvError::Corrupt {
                    store: format!("{store:?}"),
                    message: "it listed an empty page and said that more follow".to_owned(),
                });
            }
            let ours = |listed: &Listed| listed.key.as_str().starts_with(RESERVED_PREFIX);
            self.page.extend(page.entries.into_iter().filter(|listed| !ours(listed)));
        }
        Ok(self.page.front())
    }

    /// As [`Listing::peek`], and passes it.
    pub(super) async fn next(&mut self, store: &dyn KvStore) -> Result<Option<Listed>, KvError> {
        self.peek(store).await?;
        Ok(self.page.pop_front())
    }
}
