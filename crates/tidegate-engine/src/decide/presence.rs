//! Which of the objects that a migration makes are there.

use tidegate_runbook::{Migrate, ObjectName};
use tidegate_store::postgres::{Failure, Session, quote_identifier};
use tokio_postgres::types::Type;

/// Objects that a migration makes by name, told apart by whether they exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Presence {
    /// Kind and name of those that exist.
    pub(crate) there: Vec<String>,
    /// Kind and name of those that do not.
    pub(crate) missing: Vec<String>,
}

impl Presence {
    /// Looks for everything that the statements of `migrate` create by name.
    pub(crate) async fn of(session: &Session, migrate: &Migrate) -> Result<Self, Failure> {
        let mut presence = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        for statement in &migrate.body.statements {
            if statement.effect.session_state.is_some() {
                continue;
            }
            for object in &statement.effect.creates {
                let shown = format!("{} {object}", object.kind);
                if !seen.insert(shown.clone()) {
                    continue;
                }
                if exists(session, object).await? {
                    presence.there.push(shown);
                } else {
                    presence.missing.push(shown);
                }
            }
        }
        Ok(presence)
    }
}

/// Whether an object of that kind and name is there.
async fn exists(session: &Session, object: &ObjectName) -> Result<bool, Failure> {
    let schema = object.schema.as_deref();
    let qualified = match schema {
        Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(&object.name)),
        None => quote_identifier(&object.name),
    };
    let part = object.part.as_deref();
    let rows = session
        .query(
            include_str!("presence/exists.sql"),
            &[
                (&object.kind, Type::TEXT),
                (&schema, Type::TEXT),
                (&object.name, Type::TEXT),
                (&part, Type::TEXT),
                (&qualified, Type::TEXT),
            ],
        )
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}
