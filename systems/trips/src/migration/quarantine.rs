//! Records that are not provably a user's, and what people decide on them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tidegate_rekey::Resolution;
use tidegate_store::kv::Namespace;

use super::{Actor, Migration, MigrationError};
use crate::audit::Action;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;

impl Migration {
    /// The quarantined records of a user.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn quarantined(&self, user_id: &str) -> Result<Value, MigrationError> {
        let listed = self.rekey.quarantined(user_id).await?;
        serde_json::to_value(listed).map_err(|error| MigrationError::Service(error.to_string()))
    }

    /// Decides on a quarantined record: whom the next apply gives it to, or that it is left. Audited first; the
    /// record's key is a name, so that the trail has its hash.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn resolve(
        &self,
        user_id: &str,
        namespace: &str,
        key: &str,
        resolution: Resolution,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), MigrationError> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
            return Err(MigrationError::Refused(format!(
                "a reason of 1 to {REASON_CHARS_MAX} characters is needed"
            )));
        }
        let namespace = Namespace::new(namespace)?;
        let given_to = match &resolution {
            Resolution::Give { to_id } => to_id.clone(),
            Resolution::Leave => "nobody".to_owned(),
        };
        let hash = Sha256::digest(key.as_bytes())
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        let event = actor.event(Action::QuarantineResolved, true).about(user_id);
        let event =
            event.with("namespace", namespace.as_str()).with("keyHash", hash).with("givenTo", given_to);
        self.audit.append(event).await?;
        self.rekey.resolve(user_id, &namespace, key, resolution, &actor.name, reason).await?;
        Ok(())
    }
}
