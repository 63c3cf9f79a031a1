//! What the catalog says of names and of what a role may do.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_runbook::ObjectName;
use tidegate_store::postgres::{Failure, Session};
use tokio_postgres::types::Type;

/// What a statement does with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Privilege {
    /// Reads rows.
    Select,
    /// Adds rows.
    Insert,
    /// Changes rows, or locks them.
    Update,
    /// Removes rows.
    Delete,
    /// Makes triggers.
    Trigger,
    /// Alters or drops it.
    Own,
}

impl Privilege {
    /// As GRANT writes it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Trigger => "TRIGGER",
            Self::Own => "ownership",
        }
    }
}

/// The columns that tell of each.
const COLUMNS: [(Privilege, &str); 6] = [
    (Privilege::Select, "may_select"),
    (Privilege::Insert, "may_insert"),
    (Privilege::Update, "may_update"),
    (Privilege::Delete, "may_delete"),
    (Privilege::Trigger, "may_trigger"),
    (Privilege::Own, "may_own"),
];

/// A relation, and what the role may do with it.
struct Relation {
    schema: String,
    name: String,
    visible: bool,
    may: BTreeSet<Privilege>,
}

/// What is there of some names.
pub(super) struct Catalog {
    role: String,
    relations: Vec<Relation>,
    /// Functions, types and roles: kind and name, with the schemas they stand in.
    others: BTreeMap<(String, String), Vec<Option<String>>>,
}

impl Catalog {
    /// Asks for these names. `role` is the one that uses them, or whoever is connected.
    pub(super) async fn of(
        session: &Session,
        objects: &[ObjectName],
        role: Option<&str>,
    ) -> Result<Self, Failure> {
        let names: Vec<&str> = objects.iter().map(|object| object.name.as_str()).collect();
        let mut catalog = Self { role: String::new(), relations: Vec::new(), others: BTreeMap::new() };
        if names.is_empty() {
            return Ok(catalog);
        }
        let me = session.query("SELECT current_user::text", &[]).await?;
        catalog.role = me.first().map_or(String::new(), |row| row.get(0));
        let rows = session
            .query(include_str!("relations.sql"), &[(&names, Type::TEXT_ARRAY), (&role, Type::TEXT)])
            .await?;
        for row in rows {
            catalog.relations.push(Relation {
                schema: row.get("nspname"),
                name: row.get("relname"),
                visible: row.get("visible"),
                may: COLUMNS
                    .iter()
                    .filter(|(_, column)| row.get(*column))
                    .map(|(privilege, _)| *privilege)
                    .collect(),
            });
        }
        for row in session.query(include_str!("others.sql"), &[(&names, Type::TEXT_ARRAY)]).await? {
            let key = (row.get("kind"), row.get("name"));
            catalog.others.entry(key).or_default().push(row.get("schema"));
        }
        Ok(catalog)
    }

    /// Whoever is connected.
    pub(super) fn role(&self) -> &str {
        &self.role
    }

    /// Whether something of that name is there; a bare name may be found in any schema.
    pub(super) fn has(&self, object: &ObjectName) -> bool {
        if object.kind == "relation" {
            return self.named(object).next().is_some();
        }
        let found = self.others.get(&(object.kind.to_owned(), object.name.clone()));
        found.is_some_and(|schemas| object.schema.is_none() || schemas.contains(&object.schema))
    }

    /// Whether the role may do that with the relation; `None` where it is not certain which one is meant.
    pub(super) fn may(&self, object: &ObjectName, privilege: Privilege) -> Option<bool> {
        let mut meant = self.named(object).filter(|relation| object.schema.is_some() || relation.visible);
        let relation = meant.next()?;
        meant.next().is_none().then(|| relation.may.contains(&privilege))
    }

    fn named(&self, object: &ObjectName) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| {
            relation.name == object.name
                && object.schema.as_ref().is_none_or(|schema| *schema == relation.schema)
        })
    }
}

/// Whether the role is there, and may be taken.
pub(super) async fn has_role(session: &Session, role: &str) -> Result<bool, Failure> {
    let rows = session
        .query(
            "SELECT pg_catalog.pg_has_role(r.oid, 'MEMBER') FROM pg_catalog.pg_roles r WHERE r.rolname = $1",
            &[(&role, Type::TEXT)],
        )
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// The schema in which such an object is made, and whether that is allowed; `None` if it is not there.
pub(super) async fn may_make_in(
    session: &Session,
    schema: Option<&str>,
) -> Result<Option<(String, bool)>, Failure> {
    let rows = session.query(include_str!("making.sql"), &[(&schema, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| (row.get(0), row.get(1))))
}
