//! The version table: which migrations were applied to this database, by whom they were.

use std::cell::Cell;

use tidegate_runbook::Versions;
use tidegate_store::postgres::{Failure, Session, parse_qualified_name, quote_identifier};
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
    /// The number, or the file's name in an adopted table.
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

    /// What stands in the table for a migration: its number, or in an adopted table its file name.
    #[must_use]
    pub fn id_of<'a>(&self, version: &'a str, name: &'a str) -> &'a str {
        if self.versions.adopted.is_some() { name } else { version }
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

    /// Makes the engine's own table if it is not there; an adopted one is never made.
    ///
    /// # Errors
    /// [`Failure`] if the server refused or did not answer.
    pub async fn ensure(&self, session: &Session) -> Result<(), Failure> {
        if self.versions.adopted.is_none() && !self.is_seen(session).await? {
            session.run(include_str!("versions/table.sql")).await?;
        }
        Ok(())
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
        match found {
            Ok(rows) => {
                Ok(rows.iter().map(|row| AppliedVersion { id: row.get(0), checksum: row.get(1) }).collect())
            }
            // Seen once and gone since, as by a restore.
            Err(failure) if failure.sqlstate() == Some(NO_SUCH_TABLE) => {
                self.seen.set(false);
                Ok(Vec::new())
            }
            Err(failure) => Err(failure),
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
                let mut places = vec!["$1".to_owned()];
                let mut parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
                    vec![(&name, Type::TEXT)];
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
                let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
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
            _ => None,
        }
    }
}
