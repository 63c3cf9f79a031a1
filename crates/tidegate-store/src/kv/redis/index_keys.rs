//! The ordered index of a store whose values were written, or brought back, without it.

use std::sync::LazyLock;

use redis::Script;

use super::super::KvError;
use super::RedisKv;

/// Keys that one step looks at: it holds up the server for about a millisecond.
const STEP: usize = 500;
/// Most steps: half a thousand million keys.
const STEPS_MAX: usize = 1_000_000;

static INDEX_KEYS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("index_keys.lua")));

/// What an indexing found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Values of this store, in whatever namespace; one that the server moves meanwhile may count twice.
    pub seen: u64,
    /// Of these, those that no listing had found, and every listing finds now.
    pub added: u64,
    /// Of these, those that lacked metadata, expiry or version and have them now: none, the server's own, a new one.
    pub mended: u64,
}

impl RedisKv {
    /// Enters every value below `tidegate-kv:` into the index of its namespace. It may be in use meanwhile.
    ///
    /// # Errors
    /// [`KvError`]; what was entered before stays.
    ///
    /// # Idempotence
    /// A second call adds nothing.
    pub async fn index_keys(&self) -> Result<Indexed, KvError> {
        let (mut indexed, mut from) = (Indexed::default(), "0".to_owned());
        for _ in 0..STEPS_MAX {
            let arguments = [from, STEP.to_string()];
            let (next, seen, added, mended): (String, u64, u64, u64) =
                self.connection.write(&INDEX_KEYS, &arguments).await?;
            indexed.seen += seen;
            indexed.added += added;
            indexed.mended += mended;
            if next == "0" {
                return Ok(indexed);
            }
            from = next;
        }
        Err(KvError::TooMany { what: "steps of an indexing", count: STEPS_MAX, limit: STEPS_MAX })
    }
}
