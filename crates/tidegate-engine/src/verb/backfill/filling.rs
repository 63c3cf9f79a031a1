//! Triggers that fill, in every row that is written, the columns which a backfill fills in the rows that are there.

use tidegate_runbook::{Action, ObjectName, Step};
use tidegate_store::postgres::{Session, quote_identifier};
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::job::Job;

/// Bits of `pg_trigger.tgtype`.
const ROW: i16 = 1;
const BEFORE: i16 = 2;
const INSERT: i16 = 4;
const UPDATE: i16 = 16;

/// The triggers that a migration made on the source.
#[derive(Debug)]
pub(super) struct Filling {
    /// The step that made them.
    step: String,
    /// The source, quoted and with its schema.
    source: String,
    names: Vec<String>,
    /// Each trigger and its function as they stood when the copy began: whoever switches one off changes its row.
    marks: Vec<String>,
}

/// One trigger as the catalog has it.
struct Trigger {
    mark: String,
    made_by: u32,
    enabled: bool,
    kind: i16,
}

impl Filling {
    /// Finds them; they must fire for every row that is inserted or updated, and be as the migration made them.
    pub(super) async fn find(
        session: &Session,
        job: Job<'_>,
        after: &Step,
        source: &str,
    ) -> Result<Self, StepError> {
        let Action::Migrate(migrate) = &after.action else {
            return Err(StepError::refused(
                format!("{} makes no trigger", after.id),
                "Name another step in `@after`.",
            ));
        };
        let made = migrate.body.statements.iter().flat_map(|statement| &statement.effect.creates);
        let on_source = |object: &ObjectName| {
            let named = match &object.schema {
                Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&object.name)),
                None => format!(".{}", quote_identifier(&object.name)),
            };
            object.kind == "trigger" && source.ends_with(&named)
        };
        let triggers = made.filter(|object| on_source(object));
        let mut filling = Self {
            step: after.id.to_string(),
            source: source.to_owned(),
            names: triggers.filter_map(|object| object.part.clone()).collect(),
            marks: Vec::new(),
        };
        let found = filling.look(session).await?;
        let before = found.iter().filter(|one| one.kind & (ROW | BEFORE) == ROW | BEFORE);
        let events = before.fold(0, |events, one| events | one.kind);
        if events & (INSERT | UPDATE) != INSERT | UPDATE {
            return Err(StepError::refused(
                format!(
                    "{} made no trigger on {source} that fires BEFORE INSERT OR UPDATE FOR EACH ROW: rows that are \
                     written while others are filled would lack their values",
                    after.id
                ),
                "Make one there that fires for both, for each row.",
            ));
        }
        filling.must_be_enabled(&found)?;
        // Between two attempts nobody looked. Their rows tell whether somebody changed them meanwhile.
        let made_by = job
            .state
            .steps
            .get(&after.id)
            .and_then(|state| state.outcome())
            .and_then(|done| done.transaction);
        let made_by =
            made_by.map(|transaction| u32::try_from(transaction & u64::from(u32::MAX)).unwrap_or(0));
        if made_by.is_some_and(|made_by| found.iter().any(|one| one.made_by != made_by)) {
            return Err(filling.changed());
        }
        filling.marks = found.into_iter().map(|one| one.mark).collect();
        Ok(filling)
    }

    /// Refuses unless they stand as they did when the copy began. In a chunk's transaction they then stand until it ends.
    ///
    /// # Locks
    /// ROW EXCLUSIVE on the source, which the chunk takes anyway, and against which no trigger is changed.
    pub(super) async fn must_still_fire(&self, session: &Session) -> Result<(), StepError> {
        session.run(&format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", self.source)).await?;
        let found = self.look(session).await?;
        self.must_be_enabled(&found)?;
        let same = found.len() == self.marks.len()
            && found.iter().zip(&self.marks).all(|(one, mark)| one.mark == *mark);
        if same { Ok(()) } else { Err(self.changed()) }
    }

    async fn look(&self, session: &Session) -> Result<Vec<Trigger>, StepError> {
        let rows = session
            .query_prepared(
                include_str!("filling.sql"),
                &[(&self.source, Type::TEXT), (&self.names, Type::TEXT_ARRAY)],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| Trigger {
                mark: row.get("mark"),
                made_by: row.get::<_, String>("made_by").parse().unwrap_or(0),
                enabled: row.get("enabled"),
                kind: row.get("kind"),
            })
            .collect())
    }

    fn must_be_enabled(&self, found: &[Trigger]) -> Result<(), StepError> {
        if found.len() == self.names.len() && found.iter().all(|one| one.enabled) {
            return Ok(());
        }
        Err(StepError::refused(
            format!(
                "the triggers that {} made on {} ({}) do not all stand and fire: what is written now is not filled",
                self.step,
                self.source.replace('"', ""),
                self.names.join(", ")
            ),
            self.again(),
        ))
    }

    fn changed(&self) -> StepError {
        StepError::refused(
            format!(
                "the triggers that {} made on {} ({}) were changed or switched off meanwhile: rows may have been \
                 written that are not filled",
                self.step,
                self.source.replace('"', ""),
                self.names.join(", ")
            ),
            self.again(),
        )
    }

    fn again(&self) -> String {
        format!(
            "Go back before {} (`tidegate rollback`), which makes them, and run again from there: rows that lack their \
             values are then filled.",
            self.step
        )
    }
}
