//! What the catalog says: objects that a step made, protected objects, dependants.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_store::postgres::{Failure, Session};
use tokio_postgres::types::{ToSql, Type};

use crate::outcome::MadeObject;

/// Every object of the database that is not the system's or ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeMap<i64, BTreeSet<i64>>);

/// Keys of columns in an [`Inventory`].
const COLUMNS: i64 = -1;

/// What a gate looks at before its statements. It tells new columns by each table's width, which costs the server much
/// less than a list of all columns, but does not tell that a column is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Without columns.
    objects: Inventory,
    /// How many columns each table ever had.
    widths: BTreeMap<i64, i32>,
    /// The `xid8` below which every transaction had ended.
    ended_below: u64,
}

/// What a gate that committed knows of the catalog: for the next gate, if nobody wrote anything between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    outline: Outline,
    /// The gate's transaction.
    transaction: u64,
}

/// Rows of `objects.sql` that are no catalog's: widths of tables.
const WIDTHS: i64 = -2;
/// And the oldest running transaction.
const ENDED_BELOW: i64 = -3;

/// What a gate's statements made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// By name.
    pub objects: Vec<MadeObject>,
    /// The `xid8` below which every transaction had ended.
    pub ended_below: u64,
    /// What was made or changed: catalog, row, and of a table how many columns it ever had.
    written: Vec<(i64, u32, Option<i32>)>,
}

/// Lists what is there, without columns.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn outline(session: &Session) -> Result<Outline, Failure> {
    let rows = session.query_prepared(include_str!("catalog/objects.sql"), &[]).await?;
    let mut outline = Outline::default();
    for row in rows {
        let keys = row.get::<_, Option<Vec<i64>>>(1).unwrap_or_default();
        match row.get(0) {
            WIDTHS => outline.widths = keys.iter().map(|key| (key >> 16, low_bits(*key))).collect(),
            ENDED_BELOW => outline.ended_below = keys.first().copied().map_or(0, crate::journal::unsigned),
            class => drop(outline.objects.0.insert(class, keys.into_iter().collect())),
        }
    }
    Ok(outline)
}

/// What `known` says, if it still holds for this transaction; else what is there.
///
/// Whoever changes the catalog has a transaction id. If this transaction's comes right after that of the gate before,
/// nobody else got one since; and [`Known::after`] saw to it that nobody older was left.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn outline_from(
    session: &Session,
    known: Option<Known>,
    transaction: u64,
) -> Result<Outline, Failure> {
    match known {
        Some(known) if known.transaction.checked_add(1) == Some(transaction) => {
            Ok(Outline { ended_below: transaction, ..known.outline })
        }
        _ => outline(session).await,
    }
}

impl Known {
    /// What is known once `transaction` has committed; `None` if, at the look before its statements, somebody older was
    /// still at work, whose objects the look could not see.
    #[must_use]
    pub fn after(before: Outline, made: &Made, transaction: u64) -> Option<Self> {
        if before.ended_below != transaction {
            return None;
        }
        let mut outline = before;
        for (class, object, width) in &made.written {
            let object = i64::from(*object);
            outline.objects.0.entry(*class).or_default().insert(object << 16);
            if let Some(width) = width {
                outline.widths.insert(object, *width);
            }
        }
        Some(Self { outline, transaction })
    }
}

/// Lists what is there.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn inventory(session: &Session) -> Result<Inventory, Failure> {
    let mut inventory = outline(session).await?.objects;
    let rows = session.query_prepared(include_str!("catalog/columns.sql"), &[]).await?;
    let keys: Option<Vec<i64>> = rows.first().and_then(|row| row.get(0));
    inventory.0.insert(COLUMNS, keys.unwrap_or_default().into_iter().collect());
    Ok(inventory)
}

impl Outline {
    fn has(&self, class: i64, object: u32) -> bool {
        self.objects.0.get(&class).is_some_and(|keys| keys.contains(&(i64::from(object) << 16)))
    }

    /// Columns of a table that this outline knows, and that it did not have then.
    fn new_columns(&self, table: u32, width: i32) -> impl Iterator<Item = (i64, i64, i32)> + use<> {
        let table = i64::from(table);
        let before = self.widths.get(&table).copied().unwrap_or(width);
        (before + 1..=width).map(move |column| (COLUMNS, table, column))
    }
}

/// The column in a key.
fn low_bits(key: i64) -> i32 {
    i32::try_from(key & 0xffff).unwrap_or(0)
}

impl Inventory {
    /// What `after` has and this has not, as (catalog, row, column) keys; columns of new tables are left out.
    fn added(&self, after: &Self) -> Vec<(i64, i64, i32)> {
        let mut added = Vec::new();
        let nothing = BTreeSet::new();
        for (class, keys) in &after.0 {
            for key in keys.difference(self.0.get(class).unwrap_or(&nothing)) {
                added.push((*class, key >> 16, low_bits(*key)));
            }
        }
        let relations: BTreeSet<i64> = added
            .iter()
            .filter(|(class, _, sub)| *class != COLUMNS && *sub == 0)
            .map(|(_, o, _)| *o)
            .collect();
        added.retain(|(class, object, _)| *class != COLUMNS || !relations.contains(object));
        added
    }
}

/// What was made since `before`, by name.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn made_since(session: &Session, before: &Inventory) -> Result<Vec<MadeObject>, Failure> {
    let after = inventory(session).await?;
    let added = before.added(&after);
    if added.is_empty() {
        return Ok(Vec::new());
    }
    identify(session, &added).await
}

/// What this transaction has made since `before`, by name.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn made_here(session: &Session, before: &Outline) -> Result<Made, Failure> {
    let rows = session.query_prepared(include_str!("catalog/written.sql"), &[]).await?;
    let mut made = Made::default();
    let mut columns = Vec::new();
    for row in rows {
        made.ended_below = crate::journal::unsigned(row.get("ended_below"));
        let (Some(class), Some(oid)) = (row.get::<_, Option<i64>>("class"), row.get("oid")) else { continue };
        let width: Option<i32> = row.get("width");
        made.written.push((class, oid, width));
        if before.has(class, oid) {
            columns.extend(width.into_iter().flat_map(|width| before.new_columns(oid, width)));
        } else if let Some(identity) = row.get("identity") {
            let (catalog, kind) = (row.get("catalog"), row.get("kind"));
            made.objects.push(MadeObject { catalog, oid, sub: 0, kind, identity });
        }
    }
    if !columns.is_empty() {
        made.objects.extend(identify(session, &columns).await?);
    }
    Ok(made)
}

/// What `before` had and is gone now, by key; names are gone with the objects.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn gone_since(session: &Session, before: &Inventory) -> Result<Vec<(u32, i32)>, Failure> {
    let after = inventory(session).await?;
    Ok(after
        .added(before)
        .into_iter()
        .filter_map(|(_, object, sub)| Some((u32::try_from(object).ok()?, sub)))
        .collect())
}

/// What `before` has and `after` has not, by name: asked while it exists.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn lost(
    session: &Session,
    before: &Inventory,
    after: &Inventory,
) -> Result<Vec<MadeObject>, Failure> {
    let keys = after.added(before);
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    identify(session, &keys).await
}

async fn identify(session: &Session, keys: &[(i64, i64, i32)]) -> Result<Vec<MadeObject>, Failure> {
    let classes: Vec<i64> = keys.iter().map(|(class, ..)| *class).collect();
    let objects: Vec<i64> = keys.iter().map(|(_, object, _)| *object).collect();
    let subs: Vec<i32> = keys.iter().map(|(.., sub)| *sub).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&classes, Type::INT8_ARRAY), (&objects, Type::INT8_ARRAY), (&subs, Type::INT4_ARRAY)];
    let rows = session.query_prepared(include_str!("catalog/identify.sql"), &parameters).await?;
    Ok(rows
        .iter()
        .map(|row| MadeObject {
            catalog: row.get("catalog"),
            oid: row.get("oid"),
            sub: row.get("sub"),
            kind: row.get("kind"),
            identity: row.get("identity"),
        })
        .collect())
}

/// Objects of others that hang on `made`: an undo refuses to take them along.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn dependants(session: &Session, made: &[MadeObject]) -> Result<Vec<String>, Failure> {
    let classes: Vec<&str> = made.iter().map(|object| object.catalog.as_str()).collect();
    let class_ids = session
        .query(
            "SELECT array_agg(c.name::regclass::oid::int8 ORDER BY c.place) FROM unnest($1::text[]) WITH ORDINALITY AS c (name, place)",
            &[(&classes, Type::TEXT_ARRAY)],
        )
        .await?;
    let classes: Vec<i64> = class_ids.first().and_then(|row| row.get(0)).unwrap_or_default();
    let objects: Vec<i64> = made.iter().map(|object| i64::from(object.oid)).collect();
    let subs: Vec<i32> = made.iter().map(|object| object.sub).collect();
    let rows = session
        .query(
            include_str!("catalog/dependants.sql"),
            &[(&classes, Type::INT8_ARRAY), (&objects, Type::INT8_ARRAY), (&subs, Type::INT4_ARRAY)],
        )
        .await?;
    Ok(rows.iter().map(|row| format!("{} {}", row.get::<_, String>(0), row.get::<_, String>(1))).collect())
}

/// Protected objects as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected(BTreeMap<u32, (String, String)>);

/// Looks at all objects that match `patterns` (`schema.name`, `*` for any text, `schema` for all of it).
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn protected(session: &Session, patterns: &[String]) -> Result<Protected, Failure> {
    if patterns.is_empty() {
        return Ok(Protected::default());
    }
    let like: Vec<String> = patterns.iter().map(|pattern| like_pattern(pattern)).collect();
    fingerprints(session, &like, None).await
}

/// Names of objects of `before` that are no longer what they were.
///
/// # Errors
/// [`Failure`] if the server refused or did not answer.
pub async fn touched(session: &Session, before: &Protected) -> Result<Vec<String>, Failure> {
    if before.0.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<u32> = before.0.keys().copied().collect();
    let after = fingerprints(session, &[], Some(oids)).await?;
    Ok(before
        .0
        .iter()
        .filter(|(oid, was)| after.0.get(oid) != Some(was))
        .map(|(_, (identity, _))| identity.clone())
        .collect())
}

async fn fingerprints(
    session: &Session,
    like: &[String],
    oids: Option<Vec<u32>>,
) -> Result<Protected, Failure> {
    let rows = session
        .query(include_str!("catalog/protected.sql"), &[(&like, Type::TEXT_ARRAY), (&oids, Type::OID_ARRAY)])
        .await?;
    Ok(Protected(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()))
}

/// A pattern of a page as one of LIKE: `*` is any text, all else is itself.
#[must_use]
pub fn like_pattern(pattern: &str) -> String {
    let dotted = if pattern.contains('.') { pattern.to_owned() } else { format!("{pattern}.*") };
    dotted.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_").replace('*', "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_say() {
        assert_eq!(like_pattern("public.platform_*"), r"public.platform\_%");
        assert_eq!(like_pattern("app"), "app.%");
    }

    #[test]
    fn columns_of_new_tables_are_not_listed_beside_them() {
        let before =
            Inventory(BTreeMap::from([(1259, BTreeSet::from([7 << 16])), (COLUMNS, BTreeSet::new())]));
        let after = Inventory(BTreeMap::from([
            (1259, BTreeSet::from([7 << 16, 8 << 16])),
            (COLUMNS, BTreeSet::from([(7 << 16) + 2, (8 << 16) + 1])),
        ]));
        assert_eq!(before.added(&after), [(COLUMNS, 7, 2), (1259, 8, 0)]);
    }

    #[test]
    fn a_table_that_grew_wider_has_new_columns_and_a_new_one_has_none_of_its_own() {
        let before = Outline {
            objects: Inventory(BTreeMap::from([(1259, BTreeSet::from([7 << 16]))])),
            widths: BTreeMap::from([(7, 2)]),
            ended_below: 50,
        };
        assert!(before.has(1259, 7) && !before.has(1259, 8) && !before.has(1255, 7));
        let columns: Vec<_> = before.new_columns(7, 4).collect();
        assert_eq!(columns, [(COLUMNS, 7, 3), (COLUMNS, 7, 4)]);
        assert_eq!(before.new_columns(7, 2).count(), 0);
        assert_eq!(before.new_columns(8, 3).count(), 0);
    }
    #[test]
    fn what_a_gate_knows_holds_for_the_very_next_transaction_and_only_if_nobody_older_was_left() {
        let before = Outline { ended_below: 50, ..Outline::default() };
        let made = Made { written: vec![(1259, 7, Some(2))], ..Made::default() };
        assert_eq!(Known::after(before.clone(), &made, 51), None, "50 was still at work");
        let known = Known::after(before, &made, 50).unwrap();
        assert!(known.outline.has(1259, 7));
        assert_eq!(known.outline.new_columns(7, 3).count(), 1);
    }
}
