//! Looking into the schemas themselves, past the service: each row is noted as a read of the history.

use std::collections::HashMap;
use std::fmt;

use testkit::history::{History, Read, Seen};
use tokio_postgres::{Client, Row};

use super::cast::{Cast, Thing, book_key, identity_key, saved_key, seen_in};
use super::contest::seen_as;
use crate::Error;

/// One of the two schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    V1,
    V2,
}

impl Schema {
    /// What the history calls it.
    fn reader(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    fn books(self) -> &'static str {
        match self {
            Self::V1 => include_str!("look/v1_books.sql"),
            Self::V2 => include_str!("look/v2_books.sql"),
        }
    }

    fn identities(self) -> &'static str {
        match self {
            Self::V1 => include_str!("look/v1_identities.sql"),
            Self::V2 => include_str!("look/v2_identities.sql"),
        }
    }

    fn saved(self) -> &'static str {
        match self {
            Self::V1 => include_str!("look/v1_saved.sql"),
            Self::V2 => include_str!("look/v2_saved.sql"),
        }
    }
}

/// What one look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Registers that were looked at.
    pub(crate) registers: usize,
    /// Those of them that were there.
    pub(crate) present: usize,
    /// Saved states, of every version.
    pub(crate) saved: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registers, present, saved } = self;
        write!(f, "{present} of {registers} things there, {saved} saved states")
    }
}

/// Looks at everything that the clients write. `last`: nobody writes any more.
pub(crate) async fn look(
    client: &Client,
    schema: Schema,
    cast: &Cast,
    history: &History,
    last: bool,
) -> Result<Found, Error> {
    let looker = Looker { client, schema, history, last };
    let mut found = Found::default();
    let things = || cast.households.iter().flat_map(|household| &household.things);
    let books = things().filter(|thing| matches!(thing, Thing::Book { .. })).map(Thing::key).collect();
    looker
        .registers(schema.books(), books, &mut found, |row| {
            let (identity, collection, name) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
            Ok((book_key(&identity, &collection), seen_in(&name)))
        })
        .await?;
    let identities =
        things().filter(|thing| matches!(thing, Thing::Identity { .. })).map(Thing::key).collect();
    looker
        .registers(schema.identities(), identities, &mut found, |row| {
            Ok((identity_key(&text(row, 0)?), seen_in(&text(row, 1)?)))
        })
        .await?;
    looker.saved(cast, &mut found).await?;
    Ok(found)
}

struct Looker<'a> {
    client: &'a Client,
    schema: Schema,
    history: &'a History,
    last: bool,
}

impl Looker<'_> {
    /// Notes what a query finds of each of these registers, also that it finds nothing.
    async fn registers(
        &self,
        sql: &str,
        keys: Vec<String>,
        found: &mut Found,
        of: impl Fn(&Row) -> Result<(String, Seen), Error>,
    ) -> Result<(), Error> {
        let began = self.history.now();
        let rows = self.client.query(sql, &[]).await.map_err(Error::postgres("look into a schema"))?;
        let ended = self.history.now();
        let mut seen: HashMap<String, Vec<Seen>> = HashMap::new();
        for row in &rows {
            let (key, value) = of(row)?;
            seen.entry(key).or_default().push(value);
        }
        for key in keys {
            let seen = seen.remove(&key).unwrap_or_default();
            found.registers += 1;
            found.present += usize::from(!seen.is_empty());
            let read = Read { reader: self.schema.reader(), began, ended, seen, last: self.last };
            self.history.read(&key, read);
        }
        Ok(())
    }

    /// Notes every saved state of the contested books, each version for itself and the newest as the book's.
    async fn saved(&self, cast: &Cast, found: &mut Found) -> Result<(), Error> {
        let books: Vec<&str> = cast.contested.iter().map(|contested| contested.book.as_str()).collect();
        let written = self.history.keys();
        let began = self.history.now();
        let rows = self.client.query(self.schema.saved(), &[&books]).await;
        let rows = rows.map_err(Error::postgres("look into a schema"))?;
        let ended = self.history.now();
        let mut versions: HashMap<String, Vec<Seen>> = HashMap::new();
        let mut newest: HashMap<String, Seen> = HashMap::new();
        for row in &rows {
            let (book, tag) = (text(row, 0)?, text(row, 2)?);
            let version: i64 = row.try_get(1).map_err(Error::postgres("read a row"))?;
            let seen = seen_as(u64::try_from(version).unwrap_or_default(), &tag);
            let key = saved_key(&book, seen.version.unwrap_or_default());
            versions.entry(key).or_default().push(Seen { version: Some(1), ..seen });
            newest.insert(book, seen);
        }
        found.saved += rows.len();
        let read = |seen| Read { reader: self.schema.reader(), began, ended, seen, last: self.last };
        for contested in &cast.contested {
            let seen = newest.get(&contested.book).copied().into_iter().collect();
            self.history.read(&contested.key(), read(seen));
        }
        let is_version = |key: &&String| key.starts_with("saved ") && key.contains(", version ");
        for key in written.iter().filter(is_version) {
            self.history.read(key, read(versions.remove(key).unwrap_or_default()));
        }
        // What is left was saved by nobody.
        for (key, seen) in versions {
            self.history.read(&key, read(seen));
        }
        Ok(())
    }
}

fn text(row: &Row, at: usize) -> Result<String, Error> {
    row.try_get::<_, Option<String>>(at).map(Option::unwrap_or_default).map_err(Error::postgres("read a row"))
}
