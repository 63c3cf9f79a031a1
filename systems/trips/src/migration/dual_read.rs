//! Turning dual reading off, and on again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_store::kv::Condition;

use super::{Actor, Migration, MigrationError, document};
use crate::audit::Action;
use crate::keyspace;

/// Users named in a refusal.
const NAMED_MAX: usize = 20;

/// Leave for one user whose legacy keys nobody will be able to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The id of the user.
    pub user: String,
    /// The person who answers for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Migration {
    /// Turns dual reading on or off. Off only where each user with something left is migrated, has nothing but
    /// quarantined records left, or is waived by a person who is named.
    ///
    /// # Errors
    /// [`MigrationError::Refused`], naming the users who are in the way.
    pub async fn dual_read(&self, on: bool, waivers: &[Waiver], actor: &Actor) -> Result<(), MigrationError> {
        if !on {
            self.may_turn_off(waivers).await?;
        }
        let event = actor.event(Action::DualRead, true).with("on", on);
        self.audit.append(event.with("waivers", waivers.len())).await?;
        let at = super::timestamp(self.store.now().await?);
        let value = json!({ "on": on, "by": actor.name, "at": at, "waivers": waivers });
        let write =
            document::put(&keyspace::migrations(), keyspace::DUAL_READ_KEY, &value, None, Condition::Always)?;
        document::made(&*self.store, write).await?;
        Ok(())
    }

    async fn may_turn_off(&self, waivers: &[Waiver]) -> Result<(), MigrationError> {
        let mut waived: BTreeMap<&str, &Waiver> = BTreeMap::new();
        for waiver in waivers {
            if waiver.by.trim().is_empty() || waiver.reason.trim().is_empty() {
                return Err(MigrationError::Refused(format!(
                    "the waiver of {} names nobody or gives no reason; write both",
                    waiver.user
                )));
            }
            waived.insert(&waiver.user, waiver);
        }
        let coverage = self.coverage().await?;
        if coverage.more > 0 || !coverage.unreadable.is_empty() {
            return Err(MigrationError::Refused(format!(
                "{} more users are not done, and {} accounts cannot be read; dual reading stays on",
                coverage.more,
                coverage.unreadable.len()
            )));
        }
        let in_the_way: Vec<&str> = coverage
            .not_done
            .iter()
            .filter(|user| user.open > 0 && !waived.contains_key(user.user_id.as_str()))
            .map(|user| user.user_id.as_str())
            .collect();
        if in_the_way.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = in_the_way.iter().take(NAMED_MAX).copied().collect();
        Err(MigrationError::Refused(format!(
            "{} users have legacy keys that nobody could read any more: {}; migrate them or waive each by name",
            in_the_way.len(),
            named.join(", ")
        )))
    }
}
