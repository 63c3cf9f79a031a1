//! The kill switch: while its key is there, every apply ends within one batch, and none begins.

use serde_json::json;
use tidegate_rekey::STOP_KEY;
use tidegate_store::kv::{Change, Condition, Key, Write};

use super::{Actor, Migration, MigrationError, document};
use crate::audit::{Action, Event};
use crate::keyspace;

impl Migration {
    /// Whether all migration is stopped.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn is_stopped(&self) -> Result<bool, MigrationError> {
        let key = Key::new(STOP_KEY)?;
        Ok(self.store.get(&keyspace::migrations(), &key).await?.is_some())
    }

    /// Stops all migration, or lets it go on.
    ///
    /// Stopping is done first and audited then, so that a broken trail never keeps anybody from stopping. Going on is
    /// audited first.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn stop(&self, stop: bool, reason: &str, actor: &Actor) -> Result<(), MigrationError> {
        let migrations = keyspace::migrations();
        let event = actor.event(Action::KillSwitch, true).with("stop", stop);
        if stop {
            let at = super::timestamp(self.store.now().await?);
            let value = json!({ "by": actor.name, "at": at, "reason": reason });
            let write = document::put(&migrations, STOP_KEY, &value, None, Condition::Always)?;
            document::made(&*self.store, write).await?;
            self.audit.append(event).await?;
        } else {
            self.audit.append(event).await?;
            let key = Key::new(STOP_KEY)?;
            let write =
                Write { namespace: migrations, key, change: Change::Delete, condition: Condition::Always };
            document::made(&*self.store, write).await?;
        }
        Ok(())
    }
}

impl Actor {
    /// An event of this actor.
    #[must_use]
    pub fn event(&self, action: Action, success: bool) -> Event {
        let event = Event::new(action, &self.name, success).from_ip(self.ip.as_deref());
        if self.name == self.user_id { event } else { event.with("by", self.user_id.as_str()) }
    }
}
