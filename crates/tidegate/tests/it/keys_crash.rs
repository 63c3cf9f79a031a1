//! Keys that are copied and put back: the program dies at every place of both, and the end is the same.

use std::collections::BTreeMap;
use std::path::Path;

use tidegate_engine::crash::Site;
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, Key, Kv, Namespace, Write};

use crate::small_page::{BOUND, SmallPage, all};

const PAGE: &str = r##"# Keys

```toml
# @runbook keys
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"

[stores.trips]
kind = "kv"
url = "$KEYS_URL"
```

## Copy

```toml
# @stage copy
no_return = true
```

```toml
# @backup copied
# @store trips
file = "copy-{{run.id}}.jsonl"
namespaces = ["logs"]
```

## Change

```toml
# @stage change
no_return = true
```

```sh
# @check changed
# @only unless
# @harmless it looks at a file
# @expect exit 0
test -e changed
```

```sh
# @command change_them
# @requires copied
# @unless changed
touch changed
```

## Rollback

### Put the keys back

```toml
# @way put_back
from = ["change"]
to = "copy"
when = "keys are wrong"
```

```toml
# @restore keys_back
# @store trips
# @ensures as_before
backup = "copied"
mode = "exact"
```

```kv
# @check as_before
# @store trips
# @expect true
missing logs trip:new
```
"##;

const RUN: [&str; 5] = ["run", "page.md", "--apply", "--actor", "ann"];
const BACK: [&str; 9] = [
    "rollback",
    "page.md",
    "--way",
    "put_back",
    "--apply",
    "--actor",
    "ann",
    "--accept-loss",
    "trips.overwritten=100,trips.removed=1",
];

async fn put(store: &Kv, key: &str, value: &str) {
    let change = Change::Put { value: value.to_owned().into(), metadata: None, expires_at: None };
    let namespace = Namespace::new("logs").unwrap();
    let write = Write { namespace, key: Key::new(key).unwrap(), change, condition: Condition::Always };
    store.write_each(&[write]).await.unwrap();
}

async fn fill(folder: &Path) -> Kv {
    let store: Kv = std::sync::Arc::new(SqliteKv::open(&folder.join("keys.db")).unwrap());
    for number in 0..200 {
        put(&store, &format!("trip:{number:03}"), "old").await;
    }
    store
}

async fn change(store: &Kv) {
    for number in 0..100 {
        put(store, &format!("trip:{number:03}"), "new").await;
    }
    put(store, "trip:new", "new").await;
}

async fn contents(store: &Kv) -> BTreeMap<String, String> {
    let namespace = Namespace::new("logs").unwrap();
    let keys: Vec<Key> =
        store.list_all(&namespace, "", 1_000).await.unwrap().into_iter().map(|one| one.key).collect();
    let values = store.get_many(&namespace, &keys).await.unwrap();
    let text =
        |value: Option<tidegate_store::kv::Entry>| String::from_utf8(value.unwrap().value.to_vec()).unwrap();
    keys.iter().map(ToString::to_string).zip(values.into_iter().map(text)).collect()
}

/// Every place of the copy's and the restore's own.
fn places(trace: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(trace).unwrap();
    let of_ours = |point: &&str| point.contains(":copied:") || point.contains(":keys_back:");
    text.lines().filter(of_ours).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_copy_and_its_restore_that_die_everywhere_come_to_the_same_end() {
    let whole = SmallPage::new().await;
    whole.write(PAGE);
    let store = fill(whole.folder()).await;
    let before = contents(&store).await;
    let trace = whole.folder().join("trace");
    let url = "sqlite:keys.db";
    for (arguments, code) in [(RUN.to_vec(), 0), (BACK.to_vec(), 7)] {
        if code == 7 {
            change(&store).await;
        }
        let call = whole.program([]).args(arguments).env("KEYS_URL", url);
        let outcome = call.env("TIDEGATE_CRASH_TRACE", &trace).run(BOUND).await.unwrap();
        assert_eq!(outcome.code(), Some(code), "{}", all(&outcome));
    }
    assert_eq!(contents(&store).await, before);
    let points = places(&trace);
    for site in [Site::DumpWritten, Site::RehearsalStarted, Site::RehearsalCompared, Site::RestoreReplayed] {
        assert!(points.iter().any(|point| point.starts_with(site.name())), "{points:?}");
    }

    let broken = SmallPage::new().await;
    broken.write(PAGE);
    let store = fill(broken.folder()).await;
    let (mut deaths, mut forward) = (0, true);
    for point in &points {
        if forward && point.contains("keys_back") {
            forward = false;
            let call = broken.program([]).args(RUN).env("KEYS_URL", url);
            let outcome = call.run(BOUND).await.unwrap();
            assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
            change(&store).await;
        }
        let arguments = if forward { RUN.to_vec() } else { BACK.to_vec() };
        let call = broken.program([]).args(arguments).env("KEYS_URL", url);
        let outcome = call.env("TIDEGATE_CRASH", point).run(BOUND).await.unwrap();
        assert_eq!(outcome.code(), None, "{point}: {}", all(&outcome));
        deaths += 1;
    }
    assert!(deaths >= 6, "{points:?}");
    let last = broken.program([]).args(BACK).env("KEYS_URL", url).run(BOUND).await.unwrap();
    assert!(matches!(last.code(), Some(2 | 3 | 7)), "{}", all(&last));
    assert_eq!(contents(&store).await, before, "{}", all(&last));
    let left: Vec<String> = std::fs::read_dir(broken.folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial") || name.contains("rehearsal"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
