//! A write is made only where what stands there is what its condition names.

use std::collections::BTreeSet;

use super::super::{Condition, Version};
use super::{Broken, Examined, Verdict, equal, holds};

pub(super) async fn absence_is_kept(store: Examined) -> Verdict {
    let first = store.version("a put of an absent key", store.put("k", b"1", Condition::Absent)?).await?;
    let again = store.put("k", b"2", Condition::Absent)?;
    store.refused("a put of an absent key that is there", again, Some(first)).await?;
    let gone = store.delete("k", Condition::Absent)?;
    store.refused("a deletion of an absent key that is there", gone, Some(first)).await?;
    equal("the value", store.value("k").await?, Some(b"1".to_vec()))?;
    store.done("a deletion", store.delete("k", Condition::Version(first))?).await?;
    store.done("a put of an absent key after its deletion", store.put("k", b"3", Condition::Absent)?).await?;
    equal("the value", store.value("k").await?, Some(b"3".to_vec()))
}

pub(super) async fn a_version_is_kept(store: Examined) -> Verdict {
    let on_nothing = store.put("k", b"0", Condition::Version(Version(1)))?;
    store.refused("a put on a version where nothing stands", on_nothing, None).await?;
    let first = store.version("a put", store.put("k", b"1", Condition::Always)?).await?;
    let second =
        store.version("a put on its version", store.put("k", b"2", Condition::Version(first))?).await?;
    let stale = store.put("k", b"3", Condition::Version(first))?;
    store.refused("a put on an old version", stale, Some(second)).await?;
    let stale = store.delete("k", Condition::Version(first))?;
    store.refused("a deletion on an old version", stale, Some(second)).await?;
    equal("the value", store.value("k").await?, Some(b"2".to_vec()))?;
    // A value that is the same again is another write.
    let third = store.version("a put of the same", store.put("k", b"2", Condition::Version(second))?).await?;
    let stale = store.put("k", b"4", Condition::Version(second))?;
    store.refused("a put on the version before the same value", stale, Some(third)).await?;
    store.done("a deletion on its version", store.delete("k", Condition::Version(third))?).await?;
    let gone = store.put("k", b"5", Condition::Version(third))?;
    store.refused("a put on the version of what was deleted", gone, None).await
}

pub(super) async fn versions_never_repeat(store: Examined) -> Verdict {
    let beside = Examined { namespace: store.beside("-b")?, ..store.clone() };
    let mut other = store.clone();
    std::mem::swap(&mut other.made.store, &mut other.made.other);
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        for (place, key) in [(&store, "k"), (&store, "l"), (&beside, "k"), (&other, "k")] {
            let version = place.version("a put", place.put(key, b"v", Condition::Always)?).await?;
            holds(seen.insert(version), || format!("{version:?} was given twice"))?;
            let standing = place.entry(key).await?.map(|entry| entry.version);
            equal("the version that stands", standing, Some(version))?;
        }
        for place in [&store, &beside] {
            place.done("a deletion", place.delete("k", Condition::Always)?).await?;
        }
    }
    let writes = (0..20).map(|number| store.put(&format!("n{number}"), b"v", Condition::Always));
    let writes = writes.collect::<Result<Vec<_>, _>>()?;
    for written in store.made.store.write_each(&writes).await? {
        let super::Written::Done(Some(version)) = written else {
            return Err(Broken(format!("a put among others: {written:?}; expected: made, with a version")));
        };
        holds(seen.insert(version), || format!("{version:?} was given twice"))?;
    }
    Ok(())
}
