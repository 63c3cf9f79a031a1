//! What stands at a key is what was put there.

use super::super::{Change, Condition, Entry, Key, UnixSecond, Write, Written, WrittenAll};
use super::{BEGIN, Examined, Verdict, equal};

/// Key, value, metadata and expiry.
type Given<'a> = (&'a str, &'a [u8], Option<&'a str>, Option<UnixSecond>);

pub(super) async fn a_put_stands_as_it_was_given(store: Examined) -> Verdict {
    let every_byte: Vec<u8> = (0..=255).collect();
    let expires_at = Some(UnixSecond(BEGIN.0 + 3600));
    let cases: [Given<'_>; 5] = [
        ("plain", b"value", None, None),
        ("empty", b"", Some("{}"), None),
        ("bytes", &every_byte, Some("{\"a\": \"\u{fc}\\u0000\"}"), expires_at),
        ("key:with \"every\" 'sort' \u{1f30a} \\ %_*[?", b"\r\n", Some("null"), None),
        ("far", b"far", None, Some(UnixSecond(i64::MAX))),
    ];
    for (key, value, metadata, expires_at) in cases {
        let change =
            Change::Put { value: value.to_vec().into(), metadata: metadata.map(str::to_owned), expires_at };
        let write = Write { change, ..store.put(key, b"", Condition::Always)? };
        let version = store.version("a put", write).await?;
        let expected = Entry {
            value: value.to_vec().into(),
            metadata: metadata.map(str::to_owned),
            expires_at,
            version,
        };
        equal("what was put", store.entry(key).await?, Some(expected.clone()))?;
        let page = store.made.store.list(&store.namespace, key, None, 1).await?;
        let listed = page.entries.into_iter().next();
        let listed = listed.map(|listed| (listed.key, listed.metadata, listed.expires_at, listed.version));
        let wanted = (Key::new(key)?, expected.metadata, expected.expires_at, version);
        equal("what was put, listed", listed, Some(wanted))?;
    }
    Ok(())
}

pub(super) async fn a_put_replaces_metadata_and_expiry(store: Examined) -> Verdict {
    let full = |metadata: Option<&str>, expires_at| Change::Put {
        value: b"v".to_vec().into(),
        metadata: metadata.map(str::to_owned),
        expires_at,
    };
    let expires_at = Some(UnixSecond(BEGIN.0 + 60));
    let put = store.put("k", b"", Condition::Always)?;
    store.done("a put", Write { change: full(Some("{\"a\":1}"), expires_at), ..put.clone() }).await?;
    store.done("a put without metadata and expiry", Write { change: full(None, None), ..put }).await?;
    let entry = store.entry("k").await?.map(|entry| (entry.metadata, entry.expires_at));
    equal("metadata and expiry after a put without", entry, Some((None, None)))?;
    store.made.clock.advance(61);
    equal("the value after the former expiry", store.value("k").await?, Some(b"v".to_vec()))
}

pub(super) async fn a_reading_answers_in_the_order_of_its_keys(store: Examined) -> Verdict {
    for key in ["a", "b", "c"] {
        store.done("a put", store.put(key, key.as_bytes(), Condition::Always)?).await?;
    }
    let asked = ["c", "absent", "a", "c", "b"].map(Key::new);
    let keys = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
    let found = store.made.store.get_many(&store.namespace, &keys).await?;
    let found: Vec<_> = found.into_iter().map(|entry| entry.map(|entry| entry.value.to_vec())).collect();
    let value = |text: &str| Some(text.as_bytes().to_vec());
    equal("values of c, absent, a, c, b", found, vec![value("c"), None, value("a"), value("c"), value("b")])
}

pub(super) async fn namespaces_are_apart(store: Examined) -> Verdict {
    let beside = Examined { namespace: store.beside("-b")?, ..store.clone() };
    store.done("a put", store.put("k", b"here", Condition::Always)?).await?;
    equal("the same key beside", beside.value("k").await?, None)?;
    equal("keys beside", beside.listed("", 10).await?, Vec::new())?;
    beside.done("a put of an absent key", beside.put("k", b"there", Condition::Absent)?).await?;
    beside.done("a deletion", beside.delete("k", Condition::Always)?).await?;
    equal("the key here", store.value("k").await?, Some(b"here".to_vec()))?;
    equal("the keys here", store.listed("", 10).await?, vec!["k".to_owned()])
}

pub(super) async fn deleting_nothing_is_no_error(store: Examined) -> Verdict {
    let gone = store.done("a deletion of nothing", store.delete("k", Condition::Always)?).await?;
    equal("its version", gone, None)?;
    store.done("a put", store.put("k", b"v", Condition::Always)?).await?;
    let gone = store.done("a deletion", store.delete("k", Condition::Always)?).await?;
    equal("its version", gone, None)?;
    equal("what stands after it", store.value("k").await?, None)?;
    equal("what is listed after it", store.listed("", 10).await?, Vec::new())
}

pub(super) async fn nothing_asked_is_nothing_answered(store: Examined) -> Verdict {
    equal("entries of no keys", store.made.store.get_many(&store.namespace, &[]).await?, Vec::new())?;
    equal("no writes, each", store.made.store.write_each(&[]).await?, Vec::<Written>::new())?;
    equal("no writes, all", store.all(&[]).await?, WrittenAll::Done(Vec::new()))
}
