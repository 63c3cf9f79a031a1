//! Exactly once, for rows: the program dies at every place of a mirrored copy and its moves of flags, forward and back.

use std::collections::BTreeSet;

use tidegate_engine::crash::Site;

use crate::small_page::{BOUND, SmallPage, all};

/// Copies 500 rows in five chunks while a flag set mirrors. A row that is copied twice breaks the primary key.
const PAGE: &str = r##"# A copy

```toml
# @runbook copy
[stores.db]
kind = "postgres"
url = "$DATABASE_URL"

[flags.app]
columns = ["reads", "writes", "dual"]
lost_after = "50ms"
rows = { v1 = [false, false, false], mirrored = [false, false, true], read_v2 = [true, false, false] }
moves = [
    { from = "v1", to = "mirrored", back = true },
    { from = "mirrored", to = "read_v2", requires = ["parity"], back = true },
]
```

## Copy

```toml
# @flags mirror_on
set = "app"
to = "mirrored"
```

```sql
-- @backfill copy_rows
-- @source old
-- @key id
-- @after mirror_on
-- @workers 1
-- @rows 100..100
INSERT INTO new SELECT * FROM chunk
```

```sql
-- @compare parity
-- @key id
SELECT * FROM old
-- @against
SELECT * FROM new
```

```toml
# @flags reads
# @requires parity
set = "app"
to = "read_v2"
```
"##;

const TABLES: &str = "CREATE TABLE old (id int PRIMARY KEY, name text); INSERT INTO old SELECT n, 'name ' || n FROM generate_series(1, 500) AS n; CREATE TABLE new (LIKE old INCLUDING ALL)";

const RUN: [&str; 5] = ["run", "page.md", "--apply", "--actor", "ann"];
const BACK: [&str; 8] = ["rollback", "page.md", "--to", "start", "--undo", "--apply", "--actor", "ann"];

async fn stage() -> SmallPage {
    let small = SmallPage::new().await;
    small.write(PAGE);
    small.database.execute(TABLES).await;
    small
}

/// The points that an uninterrupted call reaches, each once, in order.
async fn trace<const N: usize>(small: &SmallPage, arguments: [&str; N], code: i32) -> Vec<String> {
    let file = small.folder().join("trace");
    let outcome = small.program(arguments).env("TIDEGATE_CRASH_TRACE", &file).run(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(code), "{}", all(&outcome));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut seen = BTreeSet::new();
    text.lines()
        .filter_map(|line| line.rsplit_once(':').map(|(point, _)| point.to_owned()))
        .filter(|point| seen.insert(point.clone()))
        .collect()
}

/// Calls until it dies no more, each time with the next point; gives the deaths, and asserts how the last call ends.
async fn die_at_each<const N: usize>(
    small: &SmallPage,
    arguments: [&str; N],
    points: &[String],
    codes: &[i32],
) -> usize {
    let mut deaths = 0;
    for point in points {
        let outcome = small.program(arguments).env("TIDEGATE_CRASH", point).run(BOUND).await.unwrap();
        // A point behind a commit is not passed again by a process that finds the step done.
        match outcome.code() {
            None => deaths += 1,
            code => assert!(code.is_some_and(|code| codes.contains(&code)), "{point}: {}", all(&outcome)),
        }
    }
    let last = small.call(arguments).await;
    assert!(last.code().is_some_and(|code| codes.contains(&code)), "{}", all(&last));
    deaths
}

#[tokio::test]
async fn a_copy_that_dies_everywhere_copies_every_row_once_and_moves_every_flag_once() {
    let (whole, broken) = (stage().await, stage().await);
    let forward = trace(&whole, RUN, 0).await;
    let sites: BTreeSet<&str> = forward.iter().filter_map(|point| point.split(':').next()).collect();
    for site in [Site::ChunkWritten, Site::ChunkCommitted, Site::FlagsMoved] {
        assert!(sites.contains(site.name()), "{} was not reached: {forward:?}", site.name());
    }
    let deaths = die_at_each(&broken, RUN, &forward, &[0, 2]).await;
    assert!(deaths >= 20, "only {deaths} deaths at {forward:?}");
    for small in [&whole, &broken] {
        let lost: i64 =
            small.database.value("SELECT count(*) FROM (TABLE old EXCEPT TABLE new) AS lost").await;
        let copied: i64 = small.database.value("SELECT sum(written)::bigint FROM tidegate.chunk").await;
        let epoch: i64 = small.database.value("SELECT epoch FROM tidegate.flag_set").await;
        assert_eq!((lost, copied, epoch), (0, 500, 3));
    }
    let back = trace(&whole, BACK, 7).await;
    let deaths = die_at_each(&broken, BACK, &back, &[7, 2]).await;
    assert!(deaths >= 8, "only {deaths} deaths at {back:?}");
    for small in [&whole, &broken] {
        let row: String = small.database.value("SELECT row_name FROM tidegate.flag_set").await;
        let epoch: i64 = small.database.value("SELECT epoch FROM tidegate.flag_set").await;
        assert_eq!((row.as_str(), epoch), ("v1", 5));
        let noted: i64 = small.database.value("SELECT count(*) FROM tidegate.chunk").await;
        assert_eq!(noted, 0, "what was copied is forgotten, the rows stay");
    }
}

#[tokio::test]
async fn a_knob_is_turned_while_rows_are_copied_and_is_journaled() {
    let small = stage().await;
    small.database.execute("INSERT INTO old SELECT n, 'name ' || n FROM generate_series(501, 20000) AS n; CREATE TABLE brake AS SELECT 1 AS id").await;
    // Slowed to one chunk a second until the brake is taken away: time enough to turn something.
    small.write(&PAGE.replace(
        "-- @rows 100..100\n",
        "-- @rows 100..100\n-- @throttle sql SELECT EXISTS (SELECT FROM brake)\n",
    ));
    let running = small.program(RUN).start().unwrap();
    running.until_stderr("slowed: the page's condition holds, since", BOUND).await.unwrap();
    let refused = small.call(["knob", "copy_rows", "speed=9", "page.md", "--actor", "bob"]).await;
    assert_eq!(refused.code(), Some(2), "{}", all(&refused));
    assert!(
        refused.stderr.contains("the knobs of a backfill are workers, target and rows"),
        "{}",
        refused.stderr
    );
    small.ends(0, ["knob", "copy_rows", "workers=3", "page.md", "--actor", "bob"]).await;
    small.database.execute("DELETE FROM brake").await;
    let outcome = running.wait(BOUND).await.unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", all(&outcome));
    assert!(outcome.stdout.contains("workers to 3, by bob"), "{}", outcome.stdout);
    let copied: i64 = small.database.value("SELECT count(*) FROM new").await;
    assert_eq!(copied, 20_000);
}
