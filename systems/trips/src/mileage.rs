//! Keys under the former spelling of the namespace of mileage, which are taken over into it.

use tidegate_store::kv::{Change, Condition, Entry, Key, KvStore, Write, WrittenAll};

use crate::app::AppError;
use crate::{keyspace, scan};

/// Takes over what stands under the former spelling: value, metadata and end. How many keys were taken over.
///
/// # Errors
/// [`AppError::Refused`] where a key stands under both spellings with different content; it is left at both.
pub async fn take_over(store: &dyn KvStore) -> Result<u64, AppError> {
    let former = keyspace::former_mileage();
    let mut keys: Vec<Key> = Vec::new();
    scan::each(store, &former, "", |key, _| {
        keys.push(key);
        Ok(())
    })
    .await?;
    let mut taken = 0;
    for key in keys {
        while let Some(entry) = store.get(&former, &key).await? {
            if move_one(store, &key, entry).await? {
                taken += 1;
                break;
            }
        }
    }
    if taken > 0 {
        tracing::info!(taken, "keys under the former spelling of a namespace were taken over");
    }
    Ok(taken)
}

/// False where somebody wrote it meanwhile.
async fn move_one(store: &dyn KvStore, key: &Key, entry: Entry) -> Result<bool, AppError> {
    let (former, namespace) = (keyspace::former_mileage(), keyspace::mileage());
    let standing = store.get(&namespace, key).await?;
    let (change, condition) = match standing {
        None => {
            let (value, metadata, expires_at) = (entry.value, entry.metadata, entry.expires_at);
            (Change::Put { value, metadata, expires_at }, Condition::Absent)
        }
        Some(standing) if standing.value == entry.value => {
            (Change::Keep, Condition::Version(standing.version))
        }
        Some(_) => {
            return Err(AppError::Refused(format!(
                "{key} stands in {former} and in {namespace} with different content, and both names mean one namespace: \
                 remove the one that is wrong, then start again"
            )));
        }
    };
    let moved = [
        Write { namespace, key: key.clone(), change, condition },
        Write {
            namespace: former,
            key: key.clone(),
            change: Change::Delete,
            condition: Condition::Version(entry.version),
        },
    ];
    Ok(matches!(store.write_all(&moved).await?, WrittenAll::Done(_)))
}
