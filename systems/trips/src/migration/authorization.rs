//! Leave for automatic migration in production: two administrators give it, for a time.

use serde::{Deserialize, Serialize};
use tidegate_store::kv::{Change, Condition, Key, UnixSecond, Write};

use super::{Actor, Migration, MigrationError, document};
use crate::audit::Action;
use crate::keyspace;

/// The key of the authorization.
pub const AUTHORIZATION_KEY: &str = "migration:auto:authorization";
/// The longest that one lasts: a week.
pub const HOURS_MAX: i64 = 7 * 24;
/// Tries of its write while others write it.
const TRIES_MAX: usize = 4;

/// Who has allowed automatic migration, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// User ids of those who allowed it, in their order; it stands from the second on.
    pub by: Vec<String>,
    /// Until when, in seconds since 1970. The first one says it; the second agrees.
    pub until: i64,
}

impl Authorization {
    /// Whether two different people have given it.
    #[must_use]
    pub fn stands(&self) -> bool {
        matches!(self.by.as_slice(), [first, second, ..] if first != second)
    }
}

impl Migration {
    /// Whether two people who are administrators now have allowed automatic migration, and its time is not over.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn is_authorized(&self) -> Result<bool, MigrationError> {
        let found =
            document::read::<Authorization>(&*self.store, &keyspace::migrations(), AUTHORIZATION_KEY).await?;
        let Some(found) = found else { return Ok(false) };
        if !found.value.stands() || found.value.until <= self.store.now().await?.0 {
            return Ok(false);
        }
        for user in found.value.by.iter().take(2) {
            if !self.is_admin(user).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Allows automatic migration as the first or the second of two; `hours` counts for the first only.
    ///
    /// # Errors
    /// [`MigrationError::Refused`] where this person has done so already.
    pub async fn authorize(&self, hours: i64, actor: &Actor) -> Result<Authorization, MigrationError> {
        let migrations = keyspace::migrations();
        if !(1..=HOURS_MAX).contains(&hours) {
            return Err(MigrationError::Refused(format!("hours must be 1 to {HOURS_MAX}")));
        }
        for _try in 0..TRIES_MAX {
            let now = self.store.now().await?.0;
            let found = document::read::<Authorization>(&*self.store, &migrations, AUTHORIZATION_KEY).await?;
            let given = match &found {
                Some(found) if found.value.by.contains(&actor.user_id) => {
                    return Err(MigrationError::Refused(
                        "you have allowed it already; another administrator must do so, too".to_owned(),
                    ));
                }
                Some(found) if !found.value.stands() => {
                    let by = found.value.by.iter().cloned().chain([actor.user_id.clone()]).collect();
                    Authorization { by, until: found.value.until }
                }
                Some(found) => return Ok(found.value.clone()),
                None => Authorization { by: vec![actor.user_id.clone()], until: now + hours * 3_600 },
            };
            let event = actor.event(Action::AutoAuthorization, true);
            self.audit.append(event.with("given", given.by.len()).with("until", given.until)).await?;
            let until = Some(UnixSecond(given.until));
            let condition = document::unchanged(found.as_ref());
            let write = document::put(&migrations, AUTHORIZATION_KEY, &given, until, condition)?;
            if document::made(&*self.store, write).await? {
                return Ok(given);
            }
        }
        Err(MigrationError::Contended { key: AUTHORIZATION_KEY.to_owned(), tries: TRIES_MAX })
    }

    /// Takes the leave back. Any one administrator may.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn forbid(&self, actor: &Actor) -> Result<(), MigrationError> {
        let key = Key::new(AUTHORIZATION_KEY)?;
        let namespace = keyspace::migrations();
        let write = Write { namespace, key, change: Change::Delete, condition: Condition::Always };
        document::made(&*self.store, write).await?;
        self.audit.append(actor.event(Action::AutoAuthorization, true).with("given", 0)).await?;
        Ok(())
    }
}
