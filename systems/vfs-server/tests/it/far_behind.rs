//! Pages of a reader who is far behind, and to whom most of what lies there is nobody's business.

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tidegate_store::postgres::{Row, Session, Type};
use vfs_core::Cursor;
use vfs_server::crdt::{self, Pull};
use vfs_server::feed::pull_changes;

use crate::ground::{Town, cursor_of, link};

/// Rows of others, of so many items.
const OTHERS: i64 = 20_000;
const ITEMS: i64 = 20;
/// The next rows, by which one sees that most are others', once more to see that there are more, and some for the page.
const FEW: i64 = 2_100;
/// Of both feeds, the page by the rows behind the cursor, and the same page by the caller's items.
const WAYS: [[&str; 2]; 2] = [
    [include_str!("../../src/crdt/sql/pull.sql"), include_str!("../../src/crdt/sql/pull_by_item.sql")],
    [
        include_str!("../../src/feed/sql/pull_changes.sql"),
        include_str!("../../src/feed/sql/pull_changes_by_item.sql"),
    ],
];

/// Newest numbers of the feeds: with the one no reader is far behind, with the other every reader is.
const NEAR: i64 = 0;
const FAR: i64 = i64::MAX;

/// Holds the ways of gathering a page against each other: for these users and roots, from the beginning and from the
/// middle of the feed.
pub(crate) async fn all_ways_agree(session: &Session, users: &[&str], roots: &[&str]) {
    let types = [Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT, Type::INT8];
    let middle = "SELECT occurred_at, id FROM vfs_crdt_ops ORDER BY seq
                  OFFSET (SELECT count(*) / 2 FROM vfs_crdt_ops) LIMIT 1";
    let middle = session.query(middle, &[]).await.unwrap();
    let mut starts = vec![(Timestamp::UNIX_EPOCH, String::new())];
    starts.extend(middle.iter().map(|row| (row.get(0), row.get(1))));
    for &user in users {
        for root in std::iter::once(None).chain(roots.iter().map(|root| Some(*root))) {
            for (at, id) in &starts {
                let which = format!("{user} below {root:?} behind {at} {id}");
                for [by_row, by_item] in WAYS {
                    let by_row = session.ready(by_row, &types).await.unwrap();
                    let by_item = session.ready(by_item, &types).await.unwrap();
                    for rows in [2_i64, 501] {
                        let by_row =
                            session.query_ready(&by_row, &[&user, at, id, &root, &rows]).await.unwrap();
                        let by_item =
                            session.query_ready(&by_item, &[&user, at, id, &root, &rows]).await.unwrap();
                        assert_eq!(ids(&by_row), ids(&by_item), "{rows} rows for {which}");
                    }
                }
                let cursor = Cursor::new((*at).try_into().unwrap(), id);
                let cursor = cursor.as_ref();
                for limit in [1, 500] {
                    let asked = |newest| Pull { user, client: None, cursor, root, limit, newest };
                    let (near, far) =
                        (crdt::pull(session, &asked(NEAR)).await, crdt::pull(session, &asked(FAR)).await);
                    assert_eq!(near.unwrap().0, far.unwrap().0, "{limit} for {which}");
                    let near = pull_changes(session, user, cursor, root, limit, NEAR).await.unwrap();
                    let far = pull_changes(session, user, cursor, root, limit, FAR).await.unwrap();
                    assert_eq!(near, far, "{limit} for {which}");
                }
            }
        }
    }
}

fn ids(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.get(0)).collect()
}

/// Rows of the feeds that this session has read by their indexes, of which the server knows elsewhere sometimes later.
async fn read(session: &Session) -> i64 {
    let read = "SELECT sum(coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables
                WHERE relname IN ('vfs_crdt_ops', 'vfs_sync_changes')";
    session.query(read, &[]).await.unwrap()[0].get(0)
}

/// A page of operations, and how many rows were read for it.
async fn page(session: &Session, pull: &Pull<'_>) -> (Json, i64) {
    session.run("BEGIN").await.unwrap();
    let before = read(session).await;
    let (text, _) = crdt::pull(session, pull).await.unwrap();
    let read = read(session).await - before;
    session.run("COMMIT").await.unwrap();
    (serde_json::from_str(&text).unwrap(), read)
}

/// A page of changes, and how many rows were read for it.
async fn changes(session: &Session, user: &str, root: Option<&str>, newest: i64) -> (Vec<Json>, i64) {
    session.run("BEGIN").await.unwrap();
    let before = read(session).await;
    let page = pull_changes(session, user, None, root, 500, newest).await.unwrap();
    let read = read(session).await - before;
    session.run("COMMIT").await.unwrap();
    (page.items, read)
}

#[tokio::test]
async fn whoever_sees_little_of_the_feed_reads_little_of_it() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    for item in ["first", "second", "root"] {
        ada.register(item).await;
    }
    for n in 0..ITEMS {
        bob.register(&format!("others-{n}")).await;
    }
    bob.register("lent").await;
    let share = "INSERT INTO vfs_acl_entries (id, item_id, principal_type, principal_id, access_level, created_at, updated_at)
                 VALUES ('lent', 'lent', 'user', 'ada', 'read', now(), now())";
    town.ground.database.execute(share).await;
    ada.push("a", &[link("a", 1, "first", "root")]).await;
    let cursor = ada.get("/v1/vfs/crdt/sync").await.good();
    let cursor = cursor_of(cursor["items"].as_array().unwrap().last().unwrap());
    let fill = format!(
        "WITH head AS MATERIALIZED (SELECT * FROM vfs_feed_advance({OTHERS}))
         INSERT INTO vfs_crdt_ops (id, item_id, op_type, parent_id, child_id, actor_id, source_table, source_id,
                                   occurred_at, seq)
         SELECT vfs_position_id(head.epoch, head.first_seq + n - 1), 'others-' || n % {ITEMS}, 'link_add', 'p', 'others-' || n % {ITEMS}, 'bob',
                'vfs_crdt_client_push', n::text, head.at, head.first_seq + n - 1
         FROM head, generate_series(1, {OTHERS}) AS n;
         WITH head AS MATERIALIZED (SELECT * FROM vfs_feed_advance({OTHERS}))
         INSERT INTO vfs_sync_changes (id, item_id, change_type, changed_at, changed_by, seq)
         SELECT vfs_position_id(head.epoch, head.first_seq + n - 1), 'others-' || n % {ITEMS}, 'upsert', head.at, 'bob',
                head.first_seq + n - 1
         FROM head, generate_series(1, {OTHERS}) AS n"
    );
    town.ground.database.execute(&fill).await;
    town.ground.database.execute("DELETE FROM vfs_registry WHERE id = 'first'").await;
    ada.push("a", &[link("a", 2, "second", "root")]).await;
    let linked = "INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at)
                  VALUES ('linked', 'root', 'second', 'k', now())";
    town.ground.database.execute(linked).await;
    town.ground.database.execute("UPDATE vfs_acl_entries SET revoked_at = now() WHERE id = 'lent'").await;
    town.ground.database.execute("ANALYZE").await;
    let session = town.ground.session().await;
    all_ways_agree(&session, &["ada", "bob", "nobody"], &["root", "others-1"]).await;

    let newest: i64 = town.ground.database.value("SELECT seq FROM vfs_feed_head").await;
    let cursor = Cursor::decode(&cursor).unwrap();
    let asked = |user, cursor, root, newest| Pull { user, client: None, cursor, root, limit: 500, newest };
    for (cursor, root) in [(Some(&cursor), None), (None, None), (None, Some("root"))] {
        let (whole, read) = page(&session, &asked("ada", cursor, root, 0)).await;
        assert!(read > OTHERS, "row by row it reads {read}");
        let (gathered, read) = page(&session, &asked("ada", cursor, root, newest)).await;
        assert!(read < FEW, "it reads {read}");
        assert_eq!(gathered, whole);
        assert_ne!(whole["items"], json!([]));
    }
    for root in [None, Some("root")] {
        let (whole, read) = changes(&session, "ada", root, 0).await;
        assert!(read > OTHERS, "row by row it reads {read}");
        let (gathered, read) = changes(&session, "ada", root, newest).await;
        assert!(read < FEW, "it reads {read}");
        assert_eq!(gathered, whole);
        assert_ne!(whole, [] as [Json; 0]);
    }
    // Whoever has read it all is told so by the next rows, of which there are none, however far the other feed went.
    let last = "SELECT changed_at, id FROM vfs_sync_changes ORDER BY seq DESC LIMIT 1";
    let last = session.query(last, &[]).await.unwrap();
    let at: Timestamp = last[0].get(0);
    let end = Cursor::new(at.try_into().unwrap(), last[0].get(1)).unwrap();
    session.run("BEGIN").await.unwrap();
    let before = self::read(&session).await;
    let rest = pull_changes(&session, "ada", Some(&end), None, 500, FAR).await.unwrap();
    assert_eq!((rest.items.len(), self::read(&session).await - before), (0, 0));
    session.run("COMMIT").await.unwrap();
    // Whose the feed is, reads it row by row, as far as a page goes: by the items it would be a page of each.
    let (whole, _) = page(&session, &asked("bob", None, None, 0)).await;
    let (paged, read) = page(&session, &asked("bob", None, None, newest)).await;
    assert_eq!(paged, whole);
    assert!(read < 700, "a page is 500 rows, and {read} were read");
}
