//! An entry is there until the second in which it expires, and then for no operation.

use super::super::{Condition, UnixSecond, Written};
use super::{BEGIN, Examined, Verdict, equal};

pub(super) async fn an_entry_expires_at_its_second(store: Examined) -> Verdict {
    let expires_at = Some(UnixSecond(BEGIN.0 + 60));
    store.done("a put", store.put_until("k", b"v", expires_at, Condition::Always)?).await?;
    store.made.clock.set(UnixSecond(BEGIN.0 + 59));
    let entry = store.entry("k").await?.map(|entry| (entry.value.to_vec(), entry.expires_at));
    equal("the entry a second before it expires", entry, Some((b"v".to_vec(), expires_at)))?;
    equal("the listing a second before", store.listed("", 10).await?, vec!["k".to_owned()])?;
    store.made.clock.set(UnixSecond(BEGIN.0 + 60));
    equal("the entry in the second in which it expires", store.value("k").await?, None)?;
    equal("the listing in that second", store.listed("", 10).await?, Vec::new())?;
    equal("the clock", store.made.store.now().await?, UnixSecond(BEGIN.0 + 60))
}

pub(super) async fn an_expiry_that_has_passed_leaves_nothing(store: Examined) -> Verdict {
    for (key, second) in [("now", BEGIN.0), ("before", BEGIN.0 - 1), ("long ago", 0), ("before 1970", -5)] {
        let version = store.version("a put", store.put(key, b"old", Condition::Always)?).await?;
        let past = store.put_until(key, b"new", Some(UnixSecond(second)), Condition::Version(version))?;
        equal("the version of a put that has expired", store.done("a put", past).await?, None)?;
        equal("what stands after it", store.value(key).await?, None)?;
    }
    equal("what is listed after them", store.listed("", 10).await?, Vec::new())
}

pub(super) async fn what_has_expired_is_absent_for_conditions(store: Examined) -> Verdict {
    let expires_at = Some(UnixSecond(BEGIN.0 + 60));
    let mut versions = Vec::new();
    for key in ["a", "b", "c"] {
        let put = store.put_until(key, b"old", expires_at, Condition::Always)?;
        versions.push(store.version("a put", put).await?);
    }
    store.made.clock.advance(60);
    let Some(version) = versions.first().copied() else { return Ok(()) };
    let on_version = store.put("a", b"new", Condition::Version(version))?;
    store.refused("a put on the version of what has expired", on_version, None).await?;
    let gone = store.delete("a", Condition::Version(version))?;
    store.refused("a deletion on the version of what has expired", gone, None).await?;
    let kept = store.made.store.write_each(&[store.keep("b", Condition::Absent)?]).await?;
    equal("keeping the absence of what has expired", kept, vec![Written::Done(None)])?;
    store
        .done("a put of what is absent, because it has expired", store.put("c", b"new", Condition::Absent)?)
        .await?;
    equal("its value", store.value("c").await?, Some(b"new".to_vec()))?;
    equal("what is listed", store.listed("", 10).await?, vec!["c".to_owned()])
}
