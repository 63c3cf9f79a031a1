//! The index of a user as a part of the migration.

use serde_json::{Map, Value, json};
use tidegate_store::kv::Condition;

use super::subject;
use super::{Actor, Migration, MigrationError, document};
use crate::audit::Action;
use crate::keyspace;

impl Migration {
    /// Rebuilds the index of a user from the records under the id and says what came of it. The state of it is
    /// written either way; where it failed the index stays marked, so that lists are read from the records.
    pub(crate) async fn repair_index(
        &self,
        id: &str,
        spellings: &[String],
        actor: &Actor,
    ) -> Result<Value, MigrationError> {
        let repaired = self.app.repair_index_gently(id, spellings).await;
        let at = super::timestamp(self.store.now().await?);
        let state = match &repaired {
            Ok(repaired) => json!({ "lastRun": at, "migrated": repaired.rows, "done": true }),
            Err(error) => json!({ "lastRun": at, "migrated": 0, "done": false, "error": error.to_string() }),
        };
        let key = format!("migration:{id}:do:state");
        let write = document::put(&keyspace::migrations(), &key, &state, None, Condition::Always)?;
        document::made(&*self.store, write).await?;
        self.audit.append(actor.event(Action::DoMigration, repaired.is_ok()).about(id)).await?;
        let repaired = repaired?;
        Ok(json!({ "repaired": true, "rows": repaired.rows }))
    }

    /// Marks the index of a user: records are about to be written beside it.
    pub(super) async fn mark_index(&self, id: &str) -> Result<(), MigrationError> {
        let key = keyspace::index_dirty(id)?;
        let write = document::put(&keyspace::logs(), key.as_str(), &1, None, Condition::Always)?;
        document::made(&*self.store, write).await?;
        Ok(())
    }

    /// Checks the indexes of these users, or rebuilds them.
    pub async fn indexes(&self, inputs: &[String], apply: bool, actor: &Actor) -> (bool, Map<String, Value>) {
        let (mut success, mut results) = (true, Map::new());
        for input in inputs {
            let told = match subject::find(&*self.store, input).await {
                Ok(None) => Ok(json!({ "error": "User not found" })),
                Ok(Some(found)) => self.one_index(&found, apply, actor).await,
                Err(error) => Err(error),
            };
            let told = told.unwrap_or_else(|error| json!({ "error": error.sentence() }));
            success &= told.get("error").is_none();
            results.insert(input.clone(), told);
        }
        (success, results)
    }

    async fn one_index(
        &self,
        found: &subject::Found,
        apply: bool,
        actor: &Actor,
    ) -> Result<Value, MigrationError> {
        let id = &found.subject.id;
        let mut told = json!({ "userId": id, "dryRun": !apply });
        if apply {
            let event = actor.event(Action::IndexRepair, true).about(id).with("phase", "started");
            self.audit.append(event).await?;
            let repaired = self.repair_index(id, &self.proven(&found.subject).await?, actor).await?;
            if let Some(fields) = told.as_object_mut() {
                fields.insert("doRepair".to_owned(), repaired);
            }
        }
        let check = self.app.check_index(id).await?;
        if let Some(fields) = told.as_object_mut() {
            fields.insert("check".to_owned(), check);
        }
        self.attach_states(id, &mut told).await?;
        Ok(told)
    }

    /// Removes the indexes of proven names, after the index of the id was found equal to the records.
    pub(crate) async fn wipe_legacy_index(&self, id: &str, proven: &[String]) -> Result<u64, MigrationError> {
        self.app
            .wipe_legacy_index(id, proven)
            .await
            .map_err(|error| MigrationError::Service(error.to_string()))
    }
}
