//! `trips kv-index`.

use tidegate_store::kv::redis::RedisKv;

use super::{say, told};

/// Enters every value of a Redis into the list by which its keys are found in their order.
pub(crate) async fn run(url: &str) -> Result<(), String> {
    if !url.starts_with("redis:") {
        say("the embedded store needs no list of its keys; nothing was done");
        return Ok(());
    }
    let indexed = RedisKv::open(url).await.map_err(told)?.index_keys().await.map_err(told)?;
    say(&format!("{:>8}  values", indexed.seen));
    say(&format!("{:>8}  of them were in no list, and are now", indexed.added));
    say(&format!("{:>8}  of them lacked metadata, an end or a version, and have it now", indexed.mended));
    Ok(())
}
