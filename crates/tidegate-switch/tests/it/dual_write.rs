//! A write to both sides in one transaction.

use testkit::{Cluster, Database};
use tidegate_store::postgres::{Failure, FailureKind, QualifiedName, Session, parse_qualified_name};
use tidegate_switch::{Side, Snapshot, Switch, TablePair, dual_write};

use crate::application::{Operator, committed, rolled_back, session, silent, start, until_seen, value};

fn name(text: &str) -> QualifiedName {
    parse_qualified_name(text).unwrap()
}

fn pair() -> TablePair {
    TablePair::new(
        &name("v1_account"),
        &name("v2.account"),
        &[("id", "account_id")],
        &[("name", "name"), ("made_at", "created_at")],
    )
    .unwrap()
}

async fn two_schemas(database: &Database) {
    database
        .execute(
            "CREATE TABLE v1_account (id uuid PRIMARY KEY, name text, made_at timestamptz DEFAULT clock_timestamp());
             CREATE SCHEMA v2;
             CREATE TABLE v2.account (account_id uuid PRIMARY KEY, name text, created_at timestamptz DEFAULT clock_timestamp())",
        )
        .await;
}

const ID: &str = "11111111-1111-1111-1111-111111111111";

/// Writes, changes or removes the row on the primary.
async fn write(switch: &Switch, session: &Session, new_name: Option<&str>) {
    let pair = pair();
    let outcome = switch
        .write(session, "write", async |session: &Session, snapshot: &Snapshot| {
            dual_write(session, snapshot.stage(), &pair, &[ID], async |session: &Session, side: Side| {
                let (table, key) = match side {
                    Side::Old => ("v1_account", "id"),
                    Side::New => ("v2.account", "account_id"),
                };
                let sql = match new_name {
                    Some(name) => format!(
                        "INSERT INTO {table} ({key}, name) VALUES ('{ID}', '{name}') \
                         ON CONFLICT ({key}) DO UPDATE SET name = excluded.name"
                    ),
                    None => format!("DELETE FROM {table} WHERE {key} = '{ID}'"),
                };
                session.run(&sql).await?;
                Ok::<_, Failure>(())
            })
            .await
        })
        .await;
    committed(outcome);
}

const OLD: &str = "SELECT string_agg(concat_ws('|', id, name, made_at), ',') FROM v1_account";
const NEW: &str = "SELECT string_agg(concat_ws('|', account_id, name, created_at), ',') FROM v2.account";

#[tokio::test]
async fn both_sides_hold_the_same_row_after_each_write_under_every_row_that_mirrors() {
    let database = Cluster::shared().await.database("both").await;
    two_schemas(&database).await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let writer = session(&database.url()).await;
    for row in ["mirrored", "dual", "write_v2"] {
        operator.move_to(row).await;
        write(&switch, &writer, Some("first")).await;
        let (old, new) = (value(&writer, OLD).await, value(&writer, NEW).await);
        assert!(old.contains("first"), "{row}: {old}");
        assert_eq!(old, new, "{row}");
        write(&switch, &writer, Some("second")).await;
        assert!(value(&writer, NEW).await.contains("second"), "{row}");
        assert_eq!(value(&writer, OLD).await, value(&writer, NEW).await, "{row}");
        write(&switch, &writer, None).await;
        assert_eq!((&*value(&writer, OLD).await, &*value(&writer, NEW).await), ("NULL", "NULL"), "{row}");
    }
}

#[tokio::test]
async fn one_side_alone_is_written_where_nothing_mirrors() {
    let database = Cluster::shared().await.database("alone").await;
    two_schemas(&database).await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    let writer = session(&database.url()).await;
    write(&switch, &writer, Some("old")).await;
    assert_eq!(value(&writer, NEW).await, "NULL");
    operator.move_to("steady").await;
    write(&switch, &writer, Some("new")).await;
    assert!(value(&writer, OLD).await.contains("|old|") && value(&writer, NEW).await.contains("|new|"));
}

#[tokio::test]
async fn a_mirror_that_fails_fails_the_whole_write() {
    let database = Cluster::shared().await.database("atomic").await;
    two_schemas(&database).await;
    database.execute("ALTER TABLE v2.account ADD CHECK (name <> 'forbidden')").await;
    let operator = Operator::of(&database).await;
    let switch = start(&database, silent()).await;
    operator.move_to("mirrored").await;
    until_seen(&switch, 2).await;
    let writer = session(&database.url()).await;
    let pair = pair();
    let outcome = switch
        .write(&writer, "write", async |session: &Session, snapshot: &Snapshot| {
            dual_write(session, snapshot.stage(), &pair, &[ID], async |session: &Session, _: Side| {
                let sql = format!("INSERT INTO v1_account VALUES ('{ID}', 'forbidden')");
                session.run(&sql).await
            })
            .await
        })
        .await;
    assert_eq!(rolled_back(outcome).sqlstate(), Some("23514"));
    assert_eq!(value(&writer, OLD).await, "NULL");
    let wrong = pair.lock(&writer, Side::Old, &[ID, ID]).await.unwrap_err();
    assert_eq!(wrong.kind(), FailureKind::Other);
}
