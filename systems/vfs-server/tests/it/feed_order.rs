//! No reader ever misses an operation that was committed behind its cursor: many writers, clients' clocks that are
//! wrong, transactions that began long before they write, readers that page meanwhile. And the same harness with the
//! order switched off, to show that it would see a loss.
//!
//! One reader stands at the end of the feed, in the table itself: writers push again when it has come there. Whoever lags
//! behind misses nothing by any order, and would prove nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use testkit::eventually;
use tidegate_store::postgres::{Session, ToSql, Type};
use tokio::sync::watch;

use crate::ground::{Asker, BOUND, Ground, Town, cursor_of, link};

const WRITERS: usize = 8;
/// Pushes of each writer: a hundred thousand operations in all. The long form has more, the naive one fewer.
const PUSHES: usize = 125;
const SOAK_PUSHES: usize = 1_250;
const NAIVE_PUSHES: usize = 15;
const OPERATIONS: usize = 100;
/// Pages of the readers that ask the server.
const LIMITS: [usize; 3] = [97, 250, 500];
/// A page of the reader at the end.
const PAGE: &str =
    "SELECT occurred_at, id FROM vfs_crdt_ops WHERE (occurred_at, id COLLATE \"C\") > ($1, $2 COLLATE \"C\")
    ORDER BY occurred_at, id COLLATE \"C\" LIMIT 500";
/// Transactions that begin, let the reader at the end come further than that, and only then write.
const LONG: usize = 20;

/// A cursor by time, as it was before there was an order: the time is that of the transaction's beginning, nothing is
/// locked, and nobody waits. The head is moved far away, so that no cursor is ahead of it, and numbers rise with the
/// times, so that no cursor looks as if the feed had been set back.
const SWITCHED_OFF: &str = "
    UPDATE vfs_feed_head SET seq = 9000000000000000, at = '2999-01-01';
    CREATE SEQUENCE naive;
    CREATE OR REPLACE FUNCTION vfs_feed_advance(n integer)
        RETURNS TABLE (epoch integer, first_seq bigint, at timestamptz)
    LANGUAGE sql AS $$
        SELECT 1, (floor(extract(epoch FROM now()) * 1000)::bigint - 1767225600000) * 50000
                  + nextval('naive') % 100 * 500, date_trunc('milliseconds', now()) $$";

/// Where the reader is that stands at the end.
#[derive(Default)]
struct End {
    /// The time of its cursor.
    time: AtomicI64,
    /// How often it has come to the end.
    arrivals: watch::Sender<u64>,
}

/// Commits that take their time, one more than another, as they do where the disk or a standby is waited for.
const UNEVEN: &str = "
    CREATE FUNCTION uneven() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(random() * 0.03); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER uneven AFTER INSERT OR UPDATE ON vfs_crdt_replica_heads
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION uneven()";

/// What one reader received, in its order, and how often it asked.
struct Read {
    ids: Vec<String>,
    pages: usize,
}

/// Lets everybody write and read; returns what was committed, and what each reader received.
async fn run(town: &Town, pushes: usize) -> (BTreeSet<String>, Vec<Read>) {
    town.ground.database.execute(UNEVEN).await;
    let reader = town.user("reader").await;
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        let writer = town.user(&format!("writer:{n}")).await;
        writer.register(&format!("item-{n}")).await;
        writers.push(writer);
    }
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_acl_entries (id, item_id, principal_type, principal_id, access_level, created_at, updated_at)
             SELECT 'share:' || id, id, 'user', 'reader', 'read', now(), now() FROM vfs_registry;
             INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
             SELECT 'folder-' || n, 'folder', 'reader', now() FROM generate_series(1, 100) n",
        )
        .await;
    let done = Arc::new(AtomicBool::new(false));
    let pushed = Arc::new(AtomicUsize::new(0));
    let end = Arc::new(End::default());
    let mut readers: Vec<_> =
        LIMITS.into_iter().map(|limit| tokio::spawn(read(reader.clone(), limit, done.clone()))).collect();
    readers.push(tokio::spawn(read_at_end(town.ground.session().await, end.clone(), done.clone())));
    let mut late = town.ground.database.client().await;
    let (seen, overtaking) = (pushed.clone(), end.clone());
    let bound = BOUND * 4 * u32::try_from(pushes.div_ceil(PUSHES)).unwrap();
    let long = tokio::spawn(async move {
        for n in 1..=LONG {
            let work = late.transaction().await.unwrap();
            let began = work.query_one("SELECT extract(epoch FROM now())::float8 * 1000", &[]).await.unwrap();
            let began: f64 = began.get(0);
            // Where all is written that will be, nobody comes further.
            let overtaken = || async {
                let further = overtaking.time.load(Ordering::SeqCst) as f64 > began + 1.0;
                (further || seen.load(Ordering::SeqCst) == WRITERS * pushes).then_some(())
            };
            eventually("a reader overtakes the transaction", bound, overtaken).await.unwrap();
            let insert = "INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at)
                          VALUES ('late-' || $1::text, 'folder-' || $1, 'item-0', 'k', now())";
            work.execute(insert, &[&n.to_string()]).await.unwrap();
            work.commit().await.unwrap();
        }
    });
    let writing: Vec<_> = (0_u64..)
        .zip(writers)
        .map(|(n, writer)| tokio::spawn(write(writer, n, pushes, pushed.clone(), end.clone())))
        .collect();
    for task in writing {
        task.await.unwrap();
    }
    long.await.unwrap();
    done.store(true, Ordering::SeqCst);
    let mut received = Vec::new();
    for task in readers {
        received.push(task.await.unwrap());
    }
    let client = town.ground.database.client().await;
    let rows = client.query("SELECT id FROM vfs_crdt_ops", &[]).await.unwrap();
    (rows.iter().map(|row| row.get(0)).collect(), received)
}

/// Pushes to one's own item, by a clock that is years off in either direction.
async fn write(writer: Asker, n: u64, pushes: usize, pushed: Arc<AtomicUsize>, end: Arc<End>) {
    let item = format!("item-{n}");
    let mut arrivals = end.arrivals.subscribe();
    for push in 0..pushes as u64 {
        let operations: Vec<Json> = (1..=OPERATIONS as u64)
            .map(|at| {
                let mut operation =
                    link("desktop", push * OPERATIONS as u64 + at, &item, &format!("p{}", at % 7));
                operation["occurredAt"] = json!(format!("{}-01-01T00:00:00Z", 1990 + n * 17 + at % 3));
                operation
            })
            .collect();
        assert_eq!(writer.push("desktop", &operations).await, vec!["applied"; OPERATIONS]);
        pushed.fetch_add(1, Ordering::SeqCst);
        arrivals.borrow_and_update();
        tokio::time::timeout(BOUND, arrivals.changed()).await.expect("the reader arrives").unwrap();
    }
}

/// Pages to the end, again and again, until nothing is written any more; then once more.
async fn read(reader: Asker, limit: usize, done: Arc<AtomicBool>) -> Read {
    let mut read = Read { ids: Vec::new(), pages: 0 };
    let mut cursor: Option<String> = None;
    loop {
        let was_done = done.load(Ordering::SeqCst);
        loop {
            let from = cursor.as_deref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = reader.get(&format!("/v1/vfs/crdt/sync?limit={limit}{from}")).await.good();
            let items = page["items"].as_array().unwrap();
            read.ids.extend(items.iter().map(|item| item["opId"].as_str().unwrap().to_owned()));
            read.pages += 1;
            if let Some(last) = items.last() {
                cursor = Some(cursor_of(last));
            }
            if page["hasMore"] == false {
                break;
            }
        }
        if was_done {
            return read;
        }
    }
}

/// The same in the table, without a server between.
async fn read_at_end(session: Session, end: Arc<End>, done: Arc<AtomicBool>) -> Read {
    let mut read = Read { ids: Vec::new(), pages: 0 };
    let mut cursor = (jiff::Timestamp::UNIX_EPOCH, String::new());
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let from: [(&(dyn ToSql + Sync), Type); 2] =
            [(&cursor.0, Type::TIMESTAMPTZ), (&cursor.1, Type::TEXT)];
        let rows = session.query_prepared(PAGE, &from).await.unwrap();
        read.pages += 1;
        read.ids.extend(rows.iter().map(|row| row.get::<_, String>(1)));
        if let Some(last) = rows.last() {
            cursor = (last.get(0), last.get(1));
            end.time.store(cursor.0.as_millisecond(), Ordering::SeqCst);
        } else if was_done {
            return read;
        }
        end.arrivals.send_modify(|arrivals| *arrivals += 1);
    }
}

/// How many operations a reader never received.
fn missed(committed: &BTreeSet<String>, read: &Read) -> usize {
    let received: BTreeSet<&String> = read.ids.iter().collect();
    committed.iter().filter(|id| !received.contains(id)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_misses_an_operation_that_was_committed_behind_its_cursor() {
    nothing_is_missed(PUSHES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_no_reader_misses_one_of_a_million_operations() {
    nothing_is_missed(SOAK_PUSHES).await;
}

async fn nothing_is_missed(pushes: usize) {
    let town = Ground::at(23).await.town().await;
    let (committed, received) = run(&town, pushes).await;
    // The grants of the writers' items, the late links, and everything that was pushed.
    assert_eq!(committed.len(), WRITERS + LONG + WRITERS * pushes * OPERATIONS);
    for read in &received {
        assert_eq!(missed(&committed, read), 0);
        assert!(read.ids.is_sorted_by(|one, next| one < next), "in order, and nothing twice");
        assert_eq!(read.ids.len(), committed.len());
        assert!(read.pages > 2, "it read while others wrote");
    }
    let skew = "SELECT max(abs(extract(epoch FROM occurred_at - now()))) < 600 FROM vfs_crdt_ops";
    assert_eq!(town.ground.text(skew).await, "true", "no client's clock is in the order");
    let order = "SELECT bool_and(ordered) FROM (
        SELECT occurred_at >= lag(occurred_at) OVER (ORDER BY seq)
           AND id COLLATE \"C\" > lag(id) OVER (ORDER BY seq) COLLATE \"C\" AS ordered FROM vfs_crdt_ops) o";
    assert_eq!(town.ground.text(order).await, "true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cursor_by_time_loses_operations_in_the_same_harness() {
    let town = Ground::at(23).await.town().await;
    town.ground.database.execute(SWITCHED_OFF).await;
    let (committed, received) = run(&town, NAIVE_PUSHES).await;
    assert_eq!(committed.len(), WRITERS + LONG + WRITERS * NAIVE_PUSHES * OPERATIONS);
    for read in &received {
        let missed = missed(&committed, read);
        println!("{} of {} operations lost by time, in {} pages", missed, committed.len(), read.pages);
    }
    let at_end = received.last().unwrap();
    assert!(missed(&committed, at_end) > committed.len() / 50, "the harness would not see a loss");
}
