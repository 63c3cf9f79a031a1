//! Several writes as one, and several writes each for itself.

use super::super::{Condition, Version, Written, WrittenAll};
use super::{Broken, Examined, Verdict, equal};

pub(super) async fn a_batch_is_all_or_nothing(store: Examined) -> Verdict {
    let standing = store.version("a put", store.put("c", b"c", Condition::Always)?).await?;
    let old = store.version("a put", store.put("d", b"d", Condition::Always)?).await?;
    let writes = [
        store.put("a", b"new", Condition::Absent)?,
        store.delete("d", Condition::Version(old))?,
        store.put("c", b"new", Condition::Absent)?,
        store.put("e", b"new", Condition::Version(Version(u64::from(u32::MAX))))?,
    ];
    let refused = WrittenAll::Refused { index: 2, found: Some(standing) };
    equal("a batch whose third write is refused", store.all(&writes).await?, refused)?;
    let found =
        [store.value("a").await?, store.value("c").await?, store.value("d").await?, store.value("e").await?];
    equal("a, c, d, e after it", found, [None, Some(b"c".to_vec()), Some(b"d".to_vec()), None])?;
    let writes = [
        store.put("a", b"new", Condition::Absent)?,
        store.delete("d", Condition::Version(old))?,
        store.put("c", b"new", Condition::Version(standing))?,
    ];
    let done = store.all(&writes).await?;
    let WrittenAll::Done(versions) = &done else {
        return Err(Broken(format!("a batch whose conditions hold: {done:?}; expected: it is made")));
    };
    let mut found = Vec::new();
    for key in ["a", "d", "c"] {
        found.push(store.entry(key).await?.map(|entry| entry.version));
    }
    equal("the versions that stand at a, d, c", found, versions.clone())?;
    equal("d, which was deleted", store.value("d").await?, None)?;
    equal("c", store.value("c").await?, Some(b"new".to_vec()))
}

pub(super) async fn a_batch_may_span_namespaces(store: Examined) -> Verdict {
    let beside = Examined { namespace: store.beside("-b")?, ..store.clone() };
    let version = store.version("a put", store.put("k", b"v", Condition::Always)?).await?;
    let moved = [store.delete("k", Condition::Version(version))?, beside.put("k", b"v", Condition::Absent)?];
    let refused = [beside.put("l", b"v", Condition::Always)?, store.put("k", b"w", Condition::Absent)?];
    equal(
        "a batch that is refused",
        store.all(&refused).await?,
        WrittenAll::Refused { index: 1, found: Some(version) },
    )?;
    equal("the key beside", beside.value("l").await?, None)?;
    let done = store.all(&moved).await?;
    super::holds(matches!(done, WrittenAll::Done(_)), || format!("a move between namespaces: {done:?}"))?;
    equal("the key here", store.value("k").await?, None)?;
    equal("the key beside", beside.value("k").await?, Some(b"v".to_vec()))
}

pub(super) async fn keeping_is_a_condition_alone(store: Examined) -> Verdict {
    let version = store.version("a put", store.put("k", b"v", Condition::Always)?).await?;
    let batch = |condition| {
        Ok::<_, Broken>([
            store.keep("k", Condition::Version(condition))?,
            store.put("l", b"l", Condition::Always)?,
        ])
    };
    let refused = WrittenAll::Refused { index: 0, found: Some(version) };
    equal(
        "a batch that keeps another version",
        store.all(&batch(Version(version.0 + 1_000_000))?).await?,
        refused,
    )?;
    equal("what it would have put", store.value("l").await?, None)?;
    let done = store.all(&batch(version)?).await?;
    let WrittenAll::Done(versions) = &done else {
        return Err(Broken(format!("a batch that keeps what stands: {done:?}; expected: it is made")));
    };
    equal("the version that was kept", versions.first().copied().flatten(), Some(version))?;
    let entry = store.entry("k").await?.map(|entry| (entry.value.to_vec(), entry.version));
    equal("what was kept", entry, Some((b"v".to_vec(), version)))?;
    let absent = store.all(&[store.keep("m", Condition::Absent)?]).await?;
    equal("a batch that keeps an absence", absent, WrittenAll::Done(vec![None]))
}

pub(super) async fn each_write_is_judged_for_itself(store: Examined) -> Verdict {
    let standing = store.version("a put", store.put("b", b"b", Condition::Always)?).await?;
    let writes = [
        store.put("a", b"new", Condition::Absent)?,
        store.put("b", b"new", Condition::Absent)?,
        store.delete("c", Condition::Version(standing))?,
        store.delete("b", Condition::Version(standing))?,
        store.put("d", b"new", Condition::Always)?,
    ];
    let written = store.made.store.write_each(&writes).await?;
    let mut found = Vec::new();
    for key in ["a", "d"] {
        found.push(store.entry(key).await?.map(|entry| entry.version));
    }
    let (a, d) = (found.first().copied().flatten(), found.get(1).copied().flatten());
    super::holds(a.is_some() && d.is_some(), || format!("versions at a and d: {found:?}; expected: both"))?;
    let expected = vec![
        Written::Done(a),
        Written::Refused(Some(standing)),
        Written::Refused(None),
        Written::Done(None),
        Written::Done(d),
    ];
    equal("what became of each", written, expected)?;
    equal("b, which was deleted", store.value("b").await?, None)
}
