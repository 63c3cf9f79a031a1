//! All keys that begin with a prefix, page by page, with what stands at them where that is asked.

use serde_json::Value as Json;
use tidegate_runbook::{JsonOperator, KvColumn, KvCondition};
use tidegate_store::kv::{Entry, Key, Kv, PAGE_MAX};

use super::{Place, not_json};
use crate::outcome::ROWS_KEPT_MAX;
use crate::question::json::{compare, kept_value};
use crate::values::Relation;

/// Most values that are held at once.
const VALUES_AT_ONCE: usize = 32;

/// Most bytes of the columns of one listing.
const COLUMNS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Keys that a verdict names.
const EXAMPLES: usize = 3;

/// What is asked of the keys.
pub(super) struct Wanted<'q> {
    /// Conditions with what they compare with; all must hold.
    pub(super) conditions: Vec<(&'q KvCondition, Option<Json>)>,
    /// What is read beside the key.
    pub(super) columns: &'q [KvColumn],
    /// Where the listing ends.
    pub(super) limit: Option<u64>,
}

/// The keys that were found.
pub(super) struct Listing {
    /// How many.
    pub(super) count: u64,
    /// Column `key` and those asked for; one row more than are kept, and no more.
    pub(super) relation: Relation,
    /// Whether there were conditions.
    pub(super) conditional: bool,
}

impl Listing {
    /// The first keys.
    pub(super) fn examples(&self) -> String {
        let keys = self.relation.rows.iter().filter_map(|row| row.first().cloned().flatten());
        let shown: Vec<String> = keys.take(EXAMPLES).map(|key| format!("{key:?}")).collect();
        let more = usize::try_from(self.count).unwrap_or(usize::MAX) > shown.len();
        format!("{}{}", shown.join(", "), if more { ", …" } else { "" })
    }
}

/// Goes through the keys of a prefix, in the order of their bytes.
///
/// # Errors
/// Why it could not be told: the store did not answer, more than `keys_max` keys stand there, or a value that is
/// asked about is no JSON.
pub(super) async fn read(
    store: &Kv,
    place: &Place,
    wanted: &Wanted<'_>,
    keys_max: u64,
) -> Result<Listing, String> {
    let mut columns = vec![("key".to_owned(), "text".to_owned())];
    columns.extend(wanted.columns.iter().map(|column| (column.name.clone(), "text".to_owned())));
    let relation = Relation { columns, rows: Vec::new() };
    let conditional = !wanted.conditions.is_empty();
    let mut walk =
        Walk { place, wanted, listing: Listing { count: 0, relation, conditional }, columns_bytes: 0 };
    let mut after: Option<Key> = None;
    let mut seen = 0_u64;
    loop {
        let page = store.list(&place.namespace, &place.key, after.as_ref(), PAGE_MAX).await;
        let page = page.map_err(|error| error.to_string())?;
        let keys: Vec<Key> = page.entries.into_iter().map(|listed| listed.key).collect();
        seen = seen.saturating_add(u64::try_from(keys.len()).unwrap_or(u64::MAX));
        if seen > keys_max {
            return Err(format!("more than {keys_max} keys under {place}, and no more are gone through"));
        }
        if walk.page(store, &keys).await? || page.complete {
            return Ok(walk.listing);
        }
        match keys.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Err(format!("the listing of {place} came to a page without keys before its end")),
        }
    }
}

struct Walk<'w> {
    place: &'w Place,
    wanted: &'w Wanted<'w>,
    listing: Listing,
    columns_bytes: usize,
}

impl Walk<'_> {
    /// Takes in a page; true where the limit is reached.
    async fn page(&mut self, store: &Kv, keys: &[Key]) -> Result<bool, String> {
        if self.wanted.conditions.is_empty() && self.wanted.columns.is_empty() {
            for key in keys {
                if self.take(key, Vec::new()) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        for keys in keys.chunks(VALUES_AT_ONCE) {
            let entries = store.get_many(&self.place.namespace, keys).await;
            let entries = entries.map_err(|error| error.to_string())?;
            for (key, entry) in keys.iter().zip(entries) {
                // Removed or expired since it was listed.
                let Some(entry) = entry else { continue };
                if let Some(cells) = self.meets(key, &entry)?
                    && self.take(key, cells)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The columns of a key that meets the conditions.
    fn meets(&mut self, key: &Key, entry: &Entry) -> Result<Option<Vec<Option<String>>>, String> {
        let at = || Place { namespace: self.place.namespace.clone(), key: key.to_string() };
        let asked = self.wanted.conditions.iter().map(|(condition, _)| condition.pointer.as_str());
        let asked = asked.chain(self.wanted.columns.iter().map(|column| column.pointer.as_str())).next();
        let json: Json = serde_json::from_slice(&entry.value)
            .map_err(|error| not_json(&at(), asked.unwrap_or_default(), &error))?;
        for (condition, wanted) in &self.wanted.conditions {
            match holds(condition, json.pointer(&condition.pointer), wanted.as_ref()) {
                Some(true) => {}
                Some(false) => return Ok(None),
                None => {
                    let found = json.pointer(&condition.pointer).cloned().unwrap_or_default();
                    return Err(format!(
                        "{} has {found} at {}, which cannot be ordered by `{}`",
                        at(),
                        condition.pointer,
                        condition.operator
                    ));
                }
            }
        }
        let cell = |column: &KvColumn| json.pointer(&column.pointer).and_then(|found| kept_value(found).text);
        let cells: Vec<Option<String>> = self.wanted.columns.iter().map(cell).collect();
        self.columns_bytes += cells.iter().flatten().map(String::len).sum::<usize>();
        if self.columns_bytes > COLUMNS_BYTES_MAX {
            return Err(format!("the columns of {} have more than {COLUMNS_BYTES_MAX} bytes", self.place));
        }
        Ok(Some(cells))
    }

    /// Counts a key; true where the limit is reached.
    fn take(&mut self, key: &Key, cells: Vec<Option<String>>) -> bool {
        self.listing.count += 1;
        if self.listing.relation.rows.len() <= ROWS_KEPT_MAX {
            let row = std::iter::once(Some(key.to_string())).chain(cells).collect();
            self.listing.relation.rows.push(row);
        }
        self.wanted.limit.is_some_and(|limit| self.listing.count >= limit)
    }
}

/// Whether a condition holds; `None` where the two have no order. Where nothing is, only `!=` does: a record that
/// names no owner is not its owner's.
fn holds(condition: &KvCondition, found: Option<&Json>, wanted: Option<&Json>) -> Option<bool> {
    match (found, wanted) {
        (Some(_), None) => Some(true),
        (None, _) => Some(matches!(condition.operator, JsonOperator::NotEqual(_))),
        (Some(found), Some(wanted)) => compare(&condition.operator, found, wanted),
    }
}
