//! The version table: which migrations were applied to this database, by whom they were.

use std::cell::Cell;

use tidegate_runbook::{VersionKey, Versions};
use tidegate_store::postgres::{Failure, Session, parse_qualified_name, quote_identifier};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The engine's own table.
const OWN_TABLE: &str = "public.tidegate_version";

/// The SQLSTATE of a table that is not there.
const NO_SUCH_TABLE: &str = "42P01";

/// The version table of a runbook.
#[derive(Clone, Debug)]
pub struct VersionTable {
    versions: Versions,
    /// Whether the table was seen: then it is not looked for before every step.
    seen: Cell<bool>,
}

/// A member of the version table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedVersion {
    /// The number, or the file's name in an adopted table that keeps names.
    pub id: String,
    /// Hexadecimal; `None` if an adopted table keeps none.
    pub checksum: Option<String>,
}

impl VersionTable {
    /// The table that `versions` declares.
    #[must_use]
    pub fn new(versions: &Versions) -> Self {
        Self { versions: versions.clone(), seen: Cell::new(false) }
    }

    /// The table's name as a person reads it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.versions.adopted.as_ref().map_or(OWN_TABLE, |adopted| &adopted.table)
    }

    /// What stands in the table for a migration: its number, or in an adopted table its file name or its number without
    /// leading zeros.
    #[must_use]
    pub fn id_of<'a>(&self, version: &'a str, name: &'a str) -> &'a str {
        match self.versions.adopted.as_ref().map(|adopted| adopted.keeps) {
            None => version,
            Some(VersionKey::Name) => name,
            Some(VersionKey::Number) => match version.trim_start_matches('0') {
                "" => "0",
                number => number,
            },
        }
    }

    /// Whether the table is there.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn exists(&self, session: &Session) -> Result<bool, Failure> {
        let name = self.name();
        let rows =
            session.query_prepared("SELECT to_regclass($1) IS NOT NULL", &[(&name, Type::TEXT)]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Makes the engine's own table if it is not there, and says whether it did; an adopted one is never made.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn ensure(&self, session: &Session) -> Result<bool, Failure> {
        if self.versions.adopted.is_some() || self.is_seen(session).await? {
            return Ok(false);
        }
        session.run(include_str!("versions/table.sql")).await?;
        Ok(true)
    }

    /// All members, in order.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn applied(&self, session: &Session) -> Result<Vec<AppliedVersion>, Failure> {
        if !self.is_seen(session).await? {
            return Ok(Vec::new());
        }
        let (table, id, checksum) = self.quoted();
        let checksum = checksum.map_or_else(|| "NULL".to_owned(), |column| format!("{column}::text"));
        let found =
            session.query(&format!("SELECT {id}::text, {checksum} FROM {table} ORDER BY 1"), &[]).await;
        let member = |row: &Row| AppliedVersion { id: row.get(0), checksum: row.get(1) };
        Ok(self.unless_gone(found)?.iter().map(member).collect())
    }

    /// Whether one member is there.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn has(&self, session: &Session, id: &str) -> Result<bool, Failure> {
        if !self.is_seen(session).await? {
            return Ok(false);
        }
        let (table, column, _) = self.quoted();
        let found = match &self.versions.adopted {
            None => {
                let sql = "SELECT 1 FROM public.tidegate_version WHERE version = $1";
                session.query_prepared(sql, &[(&id, Type::TEXT)]).await
            }
            Some(_) => {
                let sql = format!("SELECT 1 FROM {table} WHERE {column}::text = $1 LIMIT 1");
                session.query(&sql, &[(&id, Type::TEXT)]).await
            }
        };
        Ok(!self.unless_gone(found)?.is_empty())
    }

    /// Takes a table that was seen once and is gone since, as by a restore, for an empty one.
    fn unless_gone(&self, found: Result<Vec<Row>, Failure>) -> Result<Vec<Row>, Failure> {
        match found {
            Err(failure) if failure.sqlstate() == Some(NO_SUCH_TABLE) => {
                self.seen.set(false);
                Ok(Vec::new())
            }
            found => found,
        }
    }

    /// Whether the table is there or was.
    async fn is_seen(&self, session: &Session) -> Result<bool, Failure> {
        if !self.seen.get() && self.exists(session).await? {
            self.seen.set(true);
        }
        Ok(self.seen.get())
    }

    /// Adds a member.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn add(
        &self,
        session: &Session,
        version: &str,
        name: &str,
        checksum: &str,
        run: Uuid,
    ) -> Result<(), Failure> {
        match &self.versions.adopted {
            None => {
                session
                    .execute_prepared(
                        "INSERT INTO public.tidegate_version (version, name, checksum, run) VALUES ($1, $2, $3, $4)",
                        &[
                            (&version, Type::TEXT),
                            (&name, Type::TEXT),
                            (&checksum, Type::TEXT),
                            (&run, Type::UUID),
                        ],
                    )
                    .await?;
            }
            Some(adopted) => {
                let (table, id, checksum_column) = self.quoted();
                let mut columns = vec![id];
                let member = self.id_of(version, name);
                let place = match adopted.keeps {
                    VersionKey::Name => "$1",
                    VersionKey::Number => "$1::bigint",
                };
                let mut places = vec![place.to_owned()];
                let mut parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
                    vec![(&member, Type::TEXT)];
                if let Some(column) = checksum_column {
                    columns.push(column);
                    places.push("$2".to_owned());
                    parameters.push((&checksum, Type::TEXT));
                }
                if let Some(column) = &adopted.applied_at {
                    columns.push(quote_identifier(column));
                    places.push("clock_timestamp()".to_owned());
                }
                let (columns, places) = (columns.join(", "), places.join(", "));
                // A file that is applied by hand, too, may have written its number itself, in this transaction: that
                // it was not there before, the runner has seen.
                let or_not = match adopted.keeps {
                    VersionKey::Name => "",
                    VersionKey::Number => " ON CONFLICT DO NOTHING",
                };
                let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places}){or_not}");
                session.execute(&sql, &parameters).await?;
            }
        }
        Ok(())
    }

    /// Removes a member.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn remove(&self, session: &Session, version: &str, name: &str) -> Result<(), Failure> {
        let (table, id, _) = self.quoted();
        let member = self.id_of(version, name);
        session
            .execute(&format!("DELETE FROM {table} WHERE {id}::text = $1"), &[(&member, Type::TEXT)])
            .await?;
        Ok(())
    }

    fn quoted(&self) -> (String, String, Option<String>) {
        match &self.versions.adopted {
            None => (OWN_TABLE.to_owned(), "version".to_owned(), Some("checksum".to_owned())),
            Some(adopted) => (
                parse_qualified_name(&adopted.table)
                    .map_or_else(|_| quote_identifier(&adopted.table), |name| name.quoted()),
                quote_identifier(&adopted.id),
                adopted.checksum.as_deref().map(quote_identifier),
            ),
        }
    }
}

/// A step's place in the version table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<'a> {
    /// The number.
    pub version: &'a str,
    /// The file's base name or the step's id.
    pub name: &'a str,
    /// Hexadecimal.
    pub checksum: &'a str,
}

impl<'a> Versioned<'a> {
    /// The version that a step carries, if any.
    #[must_use]
    pub fn of(step: &'a tidegate_runbook::Step) -> Option<Self> {
        match &step.action {
            tidegate_runbook::Action::Migrate(migrate) => Some(Self {
                version: migrate.version.as_deref()?,
                name: &migrate.name,
                checksum: &migrate.checksum,
            }),
            tidegate_runbook::Action::Retire(retire) => Some(Self {
                version: retire.version.as_deref()?,
                name: step.id.as_str(),
                checksum: &retire.checksum,
            }),
            tidegate_runbook::Action::Backfill(backfill) => Some(Self {
                version: backfill.version.as_deref()?,
                name: &backfill.name,
                checksum: &backfill.checksum,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_runbook::AdoptedVersions;

    use super::*;

    fn table(keeps: Option<VersionKey>) -> VersionTable {
        let adopted = keeps.map(|keeps| AdoptedVersions {
            table: "schema_migrations".into(),
            id: "version".into(),
            checksum: None,
            applied_at: None,
            baseline: None,
            keeps,
        });
        VersionTable::new(&Versions { adopted, first: None, manual: Vec::new() })
    }

    #[test]
    fn a_table_of_numbers_keeps_the_version_without_leading_zeros() {
        let id = |keeps, version| table(keeps).id_of(version, "0024_name.sql").to_owned();
        assert_eq!(id(Some(VersionKey::Number), "0024"), "24");
        assert_eq!(id(Some(VersionKey::Number), "24"), "24");
        assert_eq!(id(Some(VersionKey::Number), "000"), "0");
        assert_eq!(id(Some(VersionKey::Name), "0024"), "0024_name.sql");
        assert_eq!(id(None, "0024"), "0024");
    }
}
