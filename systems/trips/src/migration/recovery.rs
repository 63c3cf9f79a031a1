//! Going back to a snapshot.
//!
//! The trail is never removed or overwritten, and the kill switch stays as it is: a restore is most needed while
//! everything is stopped. Indexes are rebuilt from the records afterwards.

use std::path::Path;

use serde_json::Value;
use tidegate_rekey::STOP_KEY;
use tidegate_store::kv::snapshot::{self, Mode, Restored, Selection, Taken};
use tidegate_store::kv::{Key, Namespace, PAGE_MAX};

use super::subject::{self, Found, core_of};
use super::{Actor, Migration, MigrationError};
use crate::audit::Action;
use crate::keyspace;

/// What is brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Everything as it was: later keys are removed, later writes are undone.
    Exact,
    /// What is missing; nothing that stands is touched.
    Missing,
    /// What stands under the id of one user (a user name or an id), as it was.
    User(String),
}

impl Migration {
    /// Writes all namespaces into a new file.
    ///
    /// # Errors
    /// [`MigrationError::Snapshot`].
    pub async fn snapshot(&self, path: &Path) -> Result<Taken, MigrationError> {
        Ok(snapshot::take(&*self.store, &keyspace::all(), None, path).await?)
    }

    /// Brings a snapshot back, or says what that would write. A restore that was cut off is run again.
    ///
    /// # Errors
    /// [`MigrationError`]. A damaged file is refused before the first write.
    pub async fn restore(
        &self,
        path: &Path,
        extent: &Extent,
        apply: bool,
        actor: &Actor,
    ) -> Result<Restored, MigrationError> {
        let user = match extent {
            Extent::User(input) => match subject::find(&*self.store, input).await? {
                Some(found) => Some(found),
                None => {
                    return Err(MigrationError::Refused(format!(
                        "there is no user {input}; nothing was restored"
                    )));
                }
            },
            _ => None,
        };
        let owners = match &user {
            Some(found) => self.app.user_claims().own_now(&found.subject.id, &found.core).await?,
            None => Vec::new(),
        };
        let migrations = keyspace::migrations();
        let id = user.as_ref().map(|found: &Found| found.subject.id.clone());
        let selection = Selection::all().only(move |namespace, key, value| {
            let is_kept =
                *namespace == migrations && (key.as_str().starts_with("audit:") || key.as_str() == STOP_KEY);
            !is_kept && id.as_deref().is_none_or(|id| is_of(id, &owners, namespace, key, value))
        });
        let mode = if *extent == Extent::Missing { Mode::MissingOnly } else { Mode::Exact };
        if !apply {
            return Ok(snapshot::restore(&*self.store, path, mode, &selection, false).await?);
        }
        let event = actor.event(Action::Restore, true).with(
            "extent",
            match extent {
                Extent::Exact => "exact",
                Extent::Missing => "missing",
                Extent::User(_) => "user",
            },
        );
        let event = match &user {
            Some(found) => event.about(&found.subject.id),
            None => event,
        };
        self.audit.append(event.clone().with("phase", "started")).await?;
        let restored = snapshot::restore(&*self.store, path, mode, &selection, true).await?;
        match &user {
            Some(found) => {
                self.app.repair_index(&found.subject.id, &[]).await?;
            }
            None => self.repair_all().await?,
        }
        let event = event.with("phase", "finished").with("added", restored.added.count);
        let event = event.with("replaced", restored.replaced.count).with("removed", restored.removed.count);
        self.audit.append(event).await?;
        Ok(restored)
    }

    async fn repair_all(&self) -> Result<(), MigrationError> {
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.list(&keyspace::users(), "user:", after.as_ref(), PAGE_MAX).await?;
            for listed in &page.entries {
                let Some(id) = listed.key.as_str().strip_prefix("user:").filter(|id| !id.contains(':'))
                else {
                    continue;
                };
                let Some(entry) = self.store.get(&keyspace::users(), &listed.key).await? else { continue };
                // An account that cannot be read has no index to rebuild; it is what the snapshot had.
                if core_of(&listed.key, id, &entry.value).is_ok() {
                    self.app.repair_index(id, &[]).await?;
                }
            }
            after = page.entries.into_iter().last().map(|listed| listed.key);
            if page.complete {
                return Ok(());
            }
        }
    }
}

/// Keys under an owner, whether that is an id or a name.
const UNDER: [&str; 4] = ["trip:", "expense:", "mileage:", "meta:user:"];
/// Keys of an owner.
const AT: [&str; 6] =
    ["hns:settings:", "hns:db:", "hns:session:", "hns:cred:", "settings:", "authenticators:"];

/// Whether an entry stands under a user's id or a name that is provably the user's, or names the user in a namespace
/// whose keys name nobody. Those under names are among them: whoever deletes a record deletes its copies, too.
fn is_of(id: &str, owners: &[(String, Vec<String>)], namespace: &Namespace, key: &Key, value: &[u8]) -> bool {
    let key = key.as_str();
    let in_place = [(keyspace::trash(), "/userId"), (keyspace::hughesnet_orders(), "/ownerId")];
    if let Some((_, pointer)) = in_place.iter().find(|(known, _)| known == namespace) {
        let body = serde_json::from_slice::<Value>(value).unwrap_or_default();
        let named = body.pointer(pointer).and_then(Value::as_str);
        return named.is_some_and(|named| named == id || owners.iter().any(|(owner, _)| owner == named));
    }
    let is_under = |prefixes: &[&str], owner: &str| {
        let mut rests = prefixes.iter().filter_map(|prefix| key.strip_prefix(prefix)?.strip_prefix(owner));
        rests.any(|rest| rest.starts_with(':'))
    };
    let is_at = |prefixes: &[&str], owner: &str| {
        prefixes.iter().any(|prefix| key.strip_prefix(prefix).is_some_and(|rest| rest == owner))
    };
    let of = |owner: &str| is_under(&UNDER, owner) || is_at(&AT, owner);
    of(id)
        || is_under(&["migration:", "index:"], id)
        || is_at(&["user:", "user:stats:", "index:"], id)
        || owners.iter().any(|(name, longer)| of(name) && !longer.iter().any(|name| is_under(&UNDER, name)))
}
