//! What the steps above may have made or granted by the time a step runs.

use std::collections::BTreeSet;

use tidegate_runbook::{Action, ObjectName, SqlPiece, SqlStatement, Step};

use crate::verb::retire;

/// Kinds of objects that share the name space of tables.
const RELATIONS: [&str; 4] = ["table", "view", "materialized view", "sequence"];

/// Commands that say who may do what.
const GRANTING: [&str; 3] = ["GRANT", "ALTER DEFAULT PRIVILEGES", "REASSIGN OWNED"];

/// What may be there once these steps have run.
#[derive(Clone, Default)]
pub(super) struct Earlier {
    /// Objects that statements make, as written.
    made: Vec<ObjectName>,
    /// Every word of statements that make or rename something, or whose code cannot be looked into.
    words: BTreeSet<String>,
    /// Words of statements that grant.
    granted: BTreeSet<String>,
    /// Something runs of which nobody knows what it makes.
    anything: bool,
}

impl Earlier {
    /// Takes in a step.
    pub(super) fn step(&mut self, step: &Step) {
        match &step.action {
            Action::Migrate(migrate) => {
                for statement in &migrate.body.statements {
                    self.statement(statement);
                }
            }
            Action::Retire(retire) => {
                for table in &retire.tables {
                    let name = table.rsplit('.').next().unwrap_or(table).to_owned();
                    let schema = Some(retire::SCHEMA.to_owned());
                    self.made.push(ObjectName { kind: "table", schema, name, part: None });
                }
            }
            Action::Command(_) | Action::Restore(_) => self.anything = true,
            _ => {}
        }
    }

    /// Takes in a statement of a migration.
    pub(super) fn statement(&mut self, statement: &SqlStatement) {
        let effect = &statement.effect;
        if effect.reads_only && !effect.opaque {
            return;
        }
        let words = words(statement);
        let looked_through = effect.command == "DO"
            && !["execute", "perform", "call"].iter().any(|word| words.contains(*word));
        let by_others =
            matches!(effect.command.as_str(), "CREATE EXTENSION" | "IMPORT FOREIGN SCHEMA" | "ALTER SCHEMA");
        let is_query = matches!(effect.command.as_str(), "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE");
        let calls = is_query && effect.needs.iter().any(|name| name.kind == "function");
        self.anything |= by_others || calls || (effect.opaque && !looked_through);
        self.anything |= effect.creates.iter().any(|made| made.to_string().contains(':'));
        let grants = GRANTING.contains(&effect.command.as_str()) || words.contains("owner") || effect.opaque;
        if grants {
            self.granted.extend(words.iter().cloned());
        }
        self.made.extend(effect.creates.iter().cloned());
        if !is_query {
            self.words.extend(words);
        }
    }

    /// Whether a statement makes the object by name.
    pub(super) fn makes(&self, object: &ObjectName) -> bool {
        let same_kind = |made: &ObjectName| {
            made.kind == object.kind || (object.kind == "relation" && RELATIONS.contains(&made.kind))
        };
        self.made.iter().any(|made| {
            let schemas = made.schema.as_ref().zip(object.schema.as_ref());
            same_kind(made) && made.name == object.name && schemas.is_none_or(|(one, other)| one == other)
        })
    }

    /// Whether the object may be there by then.
    pub(super) fn may_make(&self, object: &ObjectName) -> bool {
        let own = matches!(object.schema.as_deref(), Some("tidegate" | "pg_catalog" | "information_schema"));
        own || self.anything || self.makes(object) || self.words.contains(&object.name.to_lowercase())
    }

    /// Whether somebody may have granted something to the role by then.
    pub(super) fn may_grant(&self, role: &str) -> bool {
        let to_all = ["public", "current_user", "current_role", "session_user"];
        self.anything
            || (role.is_empty() && !self.granted.is_empty())
            || self.granted.contains(&role.to_lowercase())
            || to_all.iter().any(|word| self.granted.contains(*word))
    }
}

/// Every word of a statement's text, in lower case, texts and comments included.
fn words(statement: &SqlStatement) -> BTreeSet<String> {
    let texts = statement.pieces.iter().filter_map(|piece| match piece {
        SqlPiece::Text(text) => Some(text.as_str()),
        SqlPiece::Bind(_) | SqlPiece::Literal(_) | SqlPiece::Identifier(_) | SqlPiece::Relation(_) => None,
    });
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    texts
        .flat_map(|text| text.split(move |c| !is_word(c)))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
