//! Monthly counts of a user.
//!
//! A month's count may stand under a name and under the id: both counted different things, or the same thing twice.
//! The greater of the two is kept, so that a free quota never starts again. `trip_count` and `index_dirty` are not
//! carried over: the index computes the first and owns the second.

use bytes::Bytes;
use tidegate_store::kv::{Change, Condition, Entry, Key, KvStore, Write, Written};

use super::MigrationError;
use crate::keyspace;

/// Months of one spelling that are looked at: a hundred years.
const MONTHS_MAX: usize = 1_200;
/// Tries of one month that others write at the same time.
const TRIES_MAX: usize = 8;

/// What came of the counts of one user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Legacy keys that hold a month's count.
    pub found: u64,
    /// Of these, months whose count under the id was less: written, or in a dry run to be written.
    pub carried: u64,
}

/// Carries the monthly counts of these spellings over to the id; with `apply` false only counts.
///
/// # Errors
/// [`MigrationError`]; a count that is no number is [`MigrationError::Corrupt`].
///
/// # Idempotence
/// A second call carries nothing.
pub async fn carry(
    store: &dyn KvStore,
    user_id: &str,
    spellings: &[String],
    apply: bool,
) -> Result<Carried, MigrationError> {
    let namespace = keyspace::logs();
    let mut carried = Carried::default();
    for spelling in spellings.iter().filter(|spelling| *spelling != user_id) {
        let prefix = format!("meta:user:{spelling}:monthly_count:");
        for listed in store.list_all(&namespace, &prefix, MONTHS_MAX).await? {
            let Some(month) = listed.key.as_str().strip_prefix(&prefix).filter(|month| is_month(month))
            else {
                continue;
            };
            let destination = Key::new(format!("meta:user:{user_id}:monthly_count:{month}"))?;
            carried.found += 1;
            let mut tries = 0;
            loop {
                let keys = [listed.key.clone(), destination.clone()];
                let mut entries = store.get_many(&namespace, &keys).await?.into_iter();
                let (Some(Some(source)), found) = (entries.next(), entries.next().flatten()) else { break };
                let there = found.as_ref().map(|entry| number(entry, &destination)).transpose()?.unwrap_or(0);
                let legacy = number(&source, &listed.key)?;
                if legacy <= there {
                    break;
                }
                let condition =
                    found.as_ref().map_or(Condition::Absent, |entry| Condition::Version(entry.version));
                let change = Change::Put {
                    value: Bytes::from(legacy.to_string()),
                    metadata: source.metadata,
                    expires_at: source.expires_at,
                };
                let write =
                    Write { namespace: namespace.clone(), key: destination.clone(), change, condition };
                if !apply || matches!(store.write(write).await?, Written::Done(_)) {
                    carried.carried += 1;
                    break;
                }
                tries += 1;
                if tries == TRIES_MAX {
                    return Err(MigrationError::Contended { key: destination.to_string(), tries });
                }
            }
        }
    }
    Ok(carried)
}

fn number(entry: &Entry, key: &Key) -> Result<u64, MigrationError> {
    std::str::from_utf8(&entry.value)
        .ok()
        .and_then(|text| text.trim().trim_matches('"').parse().ok())
        .ok_or_else(|| MigrationError::Corrupt { key: key.to_string(), message: "it is no count".to_owned() })
}

/// Whether this is `YYYY-MM`.
pub(super) fn is_month(text: &str) -> bool {
    text.len() == 7
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() })
}
