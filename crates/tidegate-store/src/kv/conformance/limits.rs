//! What is too much is refused whole.

use super::super::{
    BATCH_MAX, Change, Condition, KEY_MAX_BYTES, Key, KvError, METADATA_MAX_BYTES, PAGE_MAX, READ_MAX_BYTES,
    VALUE_MAX_BYTES, Write, Written,
};
use super::{Examined, Verdict, equal, holds};

/// What is too much, in a write, and whether an error is the refusal of it.
type TooMuch = (&'static str, Write, fn(&KvError) -> bool);

pub(super) async fn what_is_too_much_is_refused_before_anything_is_written(store: Examined) -> Verdict {
    let good = store.put("good", b"v", Condition::Always)?;
    let with = |value: usize, metadata: Option<String>| Write {
        change: Change::Put { value: vec![b'v'; value].into(), metadata, expires_at: None },
        ..good.clone()
    };
    let long = format!("\"{}\"", "m".repeat(METADATA_MAX_BYTES - 1));
    let too_large = |error: &KvError| matches!(error, KvError::TooLarge { .. });
    let no_json = |error: &KvError| matches!(error, KvError::BadMetadata { .. });
    let cases: [TooMuch; 3] = [
        ("a value that is too large", with(VALUE_MAX_BYTES + 1, None), too_large),
        ("metadata that are too large", with(1, Some(long)), too_large),
        ("metadata that are no JSON", with(1, Some("{".to_owned())), no_json),
    ];
    for (what, mut bad, expected) in cases {
        bad.key = Key::new("bad")?;
        let writes = [good.clone(), bad];
        let each = store.made.store.write_each(&writes).await.map(|_| ());
        holds(each.as_ref().is_err_and(expected), || format!("{what}, each: {each:?}; expected: a refusal"))?;
        let all = store.made.store.write_all(&writes).await.map(|_| ());
        holds(all.as_ref().is_err_and(expected), || format!("{what}, all: {all:?}; expected: a refusal"))?;
    }
    let many: Vec<Write> = std::iter::repeat_n(good, BATCH_MAX + 1).collect();
    let each = store.made.store.write_each(&many).await.map(|_| ());
    let too_many = |error: &KvError| matches!(error, KvError::TooMany { .. });
    holds(each.as_ref().is_err_and(too_many), || format!("too many writes: {each:?}; expected: a refusal"))?;
    let all = store.made.store.write_all(&many).await.map(|_| ());
    holds(all.as_ref().is_err_and(too_many), || {
        format!("a batch that is too long: {all:?}; expected: a refusal")
    })?;
    equal("what was written", store.listed("", 10).await?, Vec::new())
}

pub(super) async fn the_largest_is_taken(store: Examined) -> Verdict {
    let key = "k".repeat(KEY_MAX_BYTES);
    let metadata = format!("\"{}\"", "m".repeat(METADATA_MAX_BYTES - 2));
    let value = vec![0xa5; VALUE_MAX_BYTES];
    let change =
        Change::Put { value: value.clone().into(), metadata: Some(metadata.clone()), expires_at: None };
    let write = Write { change, ..store.put(&key, b"", Condition::Absent)? };
    store.done("a put of the largest value, key and metadata", write).await?;
    let entry = store.entry(&key).await?;
    let same = entry.is_some_and(|entry| entry.value == value && entry.metadata == Some(metadata));
    holds(same, || "the largest value, key and metadata do not come back as they were put".to_owned())?;
    store.done("its deletion", store.delete(&key, Condition::Always)?).await?;
    Ok(())
}

pub(super) async fn pages_and_readings_have_a_limit(store: Examined) -> Verdict {
    let keys = (0..=PAGE_MAX).map(|number| Key::new(format!("k{number:06}")));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let writes = keys.iter().map(|key| store.put(key.as_str(), b"v", Condition::Always));
    let writes = writes.collect::<Result<Vec<_>, _>>()?;
    for batch in writes.chunks(BATCH_MAX) {
        let written = store.made.store.write_each(batch).await?;
        let made = written.iter().filter(|written| matches!(written, Written::Done(Some(_)))).count();
        equal("writes made of a batch", made, batch.len())?;
    }
    let page = store.made.store.list(&store.namespace, "", None, PAGE_MAX * 5).await?;
    equal("a page of too many", (page.entries.len(), page.complete), (PAGE_MAX, false))?;
    let page = store.made.store.list(&store.namespace, "", None, 0).await?;
    holds(!page.entries.is_empty(), || "a page of none is empty, and says that more follow".to_owned())?;
    let read = store.made.store.get_some(&store.namespace, &keys).await.map(|entries| entries.len());
    let refused = matches!(read, Err(KvError::TooMany { .. }));
    holds(refused, || format!("a reading of too many keys: {read:?}; expected: a refusal"))?;
    let most = keys.get(..PAGE_MAX).unwrap_or(&keys);
    let read = store.made.store.get_some(&store.namespace, most).await?;
    equal("a reading of the most keys", read.iter().flatten().count(), PAGE_MAX)
}

pub(super) async fn a_reading_ends_before_its_bytes_are_too_many(store: Examined) -> Verdict {
    // Three of them fit one reading, and a fourth does not; the largest has room in none beside another.
    let part = READ_MAX_BYTES / 4 + 1;
    let sizes = [part, part, part, part, VALUE_MAX_BYTES, part, 1];
    let mut keys = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let key = format!("k{number}");
        store.done("a put", store.put(&key, &vec![b'v'; *size], Condition::Absent)?).await?;
        keys.push(Key::new(key)?);
    }
    keys.insert(1, Key::new("absent")?);
    let mut expected: Vec<Option<usize>> = sizes.iter().map(|size| Some(*size)).collect();
    expected.insert(1, None);
    let lengths = |found: &[Option<super::Entry>]| {
        found.iter().map(|entry| entry.as_ref().map(|entry| entry.value.len())).collect::<Vec<_>>()
    };
    let (mut read, mut readings) = (Vec::new(), 0);
    while read.len() < keys.len() {
        let rest = keys.get(read.len()..).unwrap_or_default();
        let found = store.made.store.get_some(&store.namespace, rest).await?;
        let bytes: usize = found.iter().flatten().map(|entry| entry.value.len()).sum();
        holds(!found.is_empty(), || format!("a reading of {} keys has none of them", rest.len()))?;
        holds(bytes <= READ_MAX_BYTES, || {
            format!("a reading has {bytes} bytes; the most are {READ_MAX_BYTES}")
        })?;
        read.extend(lengths(&found));
        readings += 1;
    }
    equal("the bytes of all values, reading after reading", read, expected.clone())?;
    equal("the readings of it", readings, 4)?;
    let whole = store.made.store.get_many(&store.namespace, &keys).await?;
    equal("the bytes of all values, together", lengths(&whole), expected)?;
    for key in &keys {
        store.done("a deletion", store.delete(key.as_str(), Condition::Always)?).await?;
    }
    Ok(())
}
