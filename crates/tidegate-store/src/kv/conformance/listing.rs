//! A listing is in the order of bytes, within its prefix, and holds each key once.

use super::super::{BATCH_MAX, Condition, Key, PAGE_MAX, UnixSecond};
use super::{BEGIN, Examined, Verdict, equal, holds};

/// Keys whose order by bytes is not that of their letters, nor of UTF-16, nor without regard to case.
const KEYS: [&str; 13] =
    ["A", "B", "a", "a\u{1}", "a:", "a:1", "aa", "b", "z", "\u{e9}", "\u{e9}:1", "\u{ffff}", "\u{10000}"];

pub(super) async fn a_listing_is_ordered_by_bytes(store: Examined) -> Verdict {
    let mut sorted = KEYS.map(str::to_owned).to_vec();
    sorted.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    for key in KEYS.iter().rev() {
        store.done("a put", store.put(key, b"v", Condition::Always)?).await?;
    }
    for limit in [1, 2, 3, 13, 14, 1000] {
        equal("all keys", store.listed("", limit).await?, sorted.clone())?;
    }
    Ok(())
}

pub(super) async fn a_prefix_has_bounds(store: Examined) -> Verdict {
    let more =
        ["a%", "a_", "a*", "a[b]", "trip:n", "trip:n:1", "trip:n;", "trip:N:1", "\u{10ffff}", "\u{10ffff}x"];
    let keys: Vec<&str> = KEYS.into_iter().chain(more).collect();
    for key in &keys {
        store.done("a put", store.put(key, b"v", Condition::Always)?).await?;
    }
    let prefixes = [
        "",
        "a",
        "a:",
        "a%",
        "a_",
        "a*",
        "a[",
        "trip:n:",
        "\u{e9}",
        "\u{ffff}",
        "\u{10ffff}",
        "zz",
        "aa",
        "B",
    ];
    for prefix in prefixes {
        let mut expected: Vec<String> =
            keys.iter().filter(|key| key.starts_with(prefix)).map(|key| (*key).to_owned()).collect();
        expected.sort();
        equal(&format!("the keys with prefix {prefix:?}"), store.listed(prefix, 2).await?, expected)?;
    }
    // A place before the prefix is the prefix's start, and one behind it is its end.
    let from = async |after: &str| {
        let page = store.made.store.list(&store.namespace, "trip:n:", Some(&Key::new(after)?), 10).await?;
        Ok::<_, super::Broken>((page.entries.len(), page.complete))
    };
    equal("behind a key before the prefix", from("a").await?, (1, true))?;
    equal("behind a key behind the prefix", from("z").await?, (0, true))
}

pub(super) async fn pages_hold_every_key_once(store: Examined) -> Verdict {
    let expected: Vec<String> = (0..PAGE_MAX + 50).map(|number| format!("k{number:06}")).collect();
    let writes = expected.iter().map(|key| store.put(key, b"v", Condition::Always));
    let writes = writes.collect::<Result<Vec<_>, _>>()?;
    for batch in writes.chunks(BATCH_MAX) {
        store.made.store.write_each(batch).await?;
    }
    // Such that the last page is full, nearly empty, or neither.
    for limit in [PAGE_MAX, 525, 7, 350, 1049] {
        let limit = limit.min(PAGE_MAX);
        let listed = store.listed("k", limit).await?;
        let differs = listed.iter().zip(&expected).find(|(found, expected)| found != expected);
        holds(listed == expected, || {
            format!(
                "pages of {limit}: {} keys; expected: {}; the first that differs: {differs:?}",
                listed.len(),
                expected.len()
            )
        })?;
    }
    let page = store.made.store.list(&store.namespace, "k00000", None, 10).await?;
    equal("whether a page with the last key is complete", (page.entries.len(), page.complete), (10, true))
}

pub(super) async fn a_page_goes_on_behind_a_key_that_is_gone(store: Examined) -> Verdict {
    for key in ["a", "b", "c", "d"] {
        store.done("a put", store.put(key, b"v", Condition::Always)?).await?;
    }
    let page = store.made.store.list(&store.namespace, "", None, 2).await?;
    let last = page.entries.last().map(|listed| listed.key.clone());
    equal("the last key of the first page", last.clone(), Some(Key::new("b")?))?;
    store.done("a deletion", store.delete("b", Condition::Always)?).await?;
    let page = store.made.store.list(&store.namespace, "", last.as_ref(), 2).await?;
    let keys: Vec<_> = page.entries.iter().map(|listed| listed.key.to_string()).collect();
    equal("the page behind it", (keys, page.complete), (vec!["c".to_owned(), "d".to_owned()], true))
}

pub(super) async fn a_page_passes_over_what_has_expired(store: Examined) -> Verdict {
    let expires_at = Some(UnixSecond(BEGIN.0 + 60));
    let writes = (0..PAGE_MAX)
        .map(|number| store.put_until(&format!("k{number:06}"), b"v", expires_at, Condition::Always));
    let writes = writes.collect::<Result<Vec<_>, _>>()?;
    for batch in writes.chunks(BATCH_MAX) {
        store.made.store.write_each(batch).await?;
    }
    for key in ["a", "k000500x", "z"] {
        store.done("a put", store.put(key, b"v", Condition::Always)?).await?;
    }
    store.made.clock.advance(60);
    for limit in [1, 2, 3, 4] {
        equal(
            "what stands",
            store.listed("", limit).await?,
            ["a", "k000500x", "z"].map(str::to_owned).to_vec(),
        )?;
    }
    let page = store.made.store.list(&store.namespace, "", None, 3).await?;
    equal("whether a page with all that stands is complete", page.complete, true)
}
