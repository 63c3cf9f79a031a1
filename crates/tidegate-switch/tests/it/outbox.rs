//! A write to a side on another server.

use std::time::Duration;

use testkit::{Cluster, Database, Fault, Proxy, eventually};
use tidegate_flags::install;
use tidegate_store::postgres::{Failure, Session, TxOutcome};
use tidegate_switch::{Outbox, Replayed, Snapshot, Switch, Taken};

use crate::application::{Operator, SET, committed, session, silent, start, value};

/// The primary's database, the other side's, and an application that writes to the first.
struct Servers {
    primary: Database,
    other: Database,
    switch: Switch,
    writer: Session,
    outbox: Outbox,
}

async fn servers(hint: &str) -> Servers {
    let cluster = Cluster::shared().await;
    let (primary, other) = (cluster.database(hint).await, cluster.database(&format!("{hint}_other")).await);
    primary.execute("CREATE TABLE account (id text PRIMARY KEY, name text)").await;
    // The log shows how often each write had an effect.
    other
        .execute(
            "CREATE TABLE account (id text PRIMARY KEY, name text); CREATE TABLE log (id text, name text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN INSERT INTO log VALUES (NEW.id, NEW.name); RETURN NULL; END$$;
             CREATE TRIGGER note AFTER INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .await;
    install(&session(&other.url()).await).await.unwrap();
    let operator = Operator::of(&primary).await;
    operator.move_to("mirrored").await;
    let switch = start(&primary, silent()).await;
    let writer = session(&primary.url()).await;
    let outbox = Outbox::new(SET, "primary").pause(Duration::ZERO).batch(10);
    Servers { primary, other, switch, writer, outbox }
}

impl Servers {
    async fn write(&self, id: &str, name: Option<&str>) {
        let outcome = self
            .switch
            .write(&self.writer, "write", async |session: &Session, snapshot: &Snapshot| {
                let sql = match name {
                    Some(name) => format!(
                        "INSERT INTO account VALUES ('{id}', '{name}') ON CONFLICT (id) DO UPDATE SET name = '{name}'"
                    ),
                    None => format!("DELETE FROM account WHERE id = '{id}'"),
                };
                session.run(&sql).await?;
                self.outbox.put(session, snapshot, "account", id, name).await
            })
            .await;
        committed(outcome);
    }

    async fn replay(&self, primary: &Session, other: &Session) -> Result<Replayed, Failure> {
        self.outbox.replay(primary, other, apply).await
    }
}

async fn apply(other: &Session, write: &Taken) -> Result<(), Failure> {
    let sql = match &write.payload {
        Some(name) => format!(
            "INSERT INTO account VALUES ('{0}', '{name}') ON CONFLICT (id) DO UPDATE SET name = '{name}'",
            write.key
        ),
        None => format!("DELETE FROM account WHERE id = '{}'", write.key),
    };
    other.run(&sql).await.map(drop)
}

/// How long a server may take to notice that a session is gone.
const BOUND: Duration = Duration::from_secs(30);
const ALL: &str = "SELECT string_agg(id || '=' || name, ' ' ORDER BY id) FROM account";
const LOG: &str = "SELECT string_agg(name, ' ') FROM log WHERE id = 'a'";

#[tokio::test]
async fn the_other_side_gets_each_keys_writes_in_order_and_each_once() {
    let servers = servers("delivered").await;
    for (id, name) in [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", None), ("a", Some("3"))] {
        servers.write(id, name).await;
    }
    let other = session(&servers.other.url()).await;
    let before = servers.outbox.behind(&servers.writer).await.unwrap();
    assert_eq!((before.writes, before.keys), (5, 2));
    let replayed = servers.replay(&servers.writer, &other).await.unwrap();
    assert_eq!(replayed, Replayed { applied: 5, ..Replayed::default() });
    assert_eq!(value(&other, ALL).await, value(&servers.writer, ALL).await);
    assert_eq!(value(&other, LOG).await, "1 2 3");
    let again = servers.replay(&servers.writer, &other).await.unwrap();
    assert_eq!(again, Replayed::default());
}

#[tokio::test]
async fn what_was_delivered_and_not_removed_comes_again_and_has_no_effect() {
    let servers = servers("again").await;
    servers.write("a", Some("1")).await;
    servers.write("b", Some("1")).await;
    let proxy = Proxy::start(Cluster::shared().await.port()).await.unwrap();
    let primary = session(&servers.primary.url_at(proxy.port(), "postgres")).await;
    let other = session(&servers.other.url()).await;
    proxy.inject(Fault::drop_before("flag_outbox_done"));
    servers.replay(&primary, &other).await.unwrap_err();
    assert_eq!(value(&other, ALL).await, "a=1 b=1");
    servers.write("a", Some("2")).await;
    // The lost session's locks stand until the server has noticed; what is locked is left for the next replay.
    let replayed = eventually("the locks of the lost session are gone", BOUND, || async {
        let replayed = servers.replay(&servers.writer, &other).await.unwrap();
        (replayed.left == 0).then_some(replayed)
    });
    let replayed = replayed.await.unwrap();
    assert_eq!((replayed.applied, replayed.repeated), (1, 2));
    assert_eq!(value(&other, LOG).await, "1 2");
}

#[tokio::test]
async fn a_commit_of_the_other_side_that_is_not_known_is_delivered_again_without_effect() {
    let servers = servers("unknown").await;
    servers.write("a", Some("1")).await;
    let proxy = Proxy::start(Cluster::shared().await.port()).await.unwrap();
    let through = session(&servers.other.url_at(proxy.port(), "postgres")).await;
    proxy.inject(Fault::drop_answer_of("tidegate_commit"));
    let replayed = servers.replay(&servers.writer, &through).await.unwrap();
    assert_eq!((replayed.applied, replayed.refused, replayed.left), (0, 1, 1));
    assert!(replayed.last_refusal.unwrap().starts_with("whether it was committed is not known"));
    let other = session(&servers.other.url()).await;
    let replayed = servers.replay(&servers.writer, &other).await.unwrap();
    assert_eq!((replayed.applied, replayed.repeated, replayed.left), (0, 1, 0));
    assert_eq!(value(&other, LOG).await, "1");
}

#[tokio::test]
async fn a_refused_write_keeps_its_key_waiting_and_no_other() {
    let servers = servers("poison").await;
    let other = session(&servers.other.url()).await;
    other.run("ALTER TABLE account ADD CONSTRAINT good CHECK (name <> 'bad')").await.unwrap();
    for (id, name) in [("a", "bad"), ("a", "good"), ("b", "1")] {
        servers.write(id, Some(name)).await;
    }
    let replayed = servers.replay(&servers.writer, &other).await.unwrap();
    assert_eq!((replayed.applied, replayed.left), (1, 2));
    assert!(replayed.refused >= 1 && replayed.last_refusal.unwrap().contains("good"));
    assert_eq!(value(&other, ALL).await, "b=1");
    let behind = servers.outbox.behind(&servers.writer).await.unwrap();
    assert_eq!((behind.writes, behind.keys, behind.refused), (2, 1, 1));
    other.run("ALTER TABLE account DROP CONSTRAINT good").await.unwrap();
    let replayed = servers.replay(&servers.writer, &other).await.unwrap();
    assert_eq!((replayed.applied, replayed.left), (2, 0));
    assert_eq!(value(&other, LOG).await, "bad good");
}

#[tokio::test]
async fn two_that_replay_at_once_deliver_each_write_once_and_in_order() {
    let servers = servers("two").await;
    for number in 0..20 {
        for id in ["a", "b", "c"] {
            servers.write(id, Some(&number.to_string())).await;
        }
    }
    let (one, two) = (session(&servers.primary.url()).await, session(&servers.primary.url()).await);
    let (to_one, to_two) = (session(&servers.other.url()).await, session(&servers.other.url()).await);
    let (first, second) = tokio::join!(servers.replay(&one, &to_one), servers.replay(&two, &to_two));
    let (first, second) = (first.unwrap(), second.unwrap());
    // Whoever found everything taken may have ended early; a last one leaves nothing.
    let last = servers.replay(&one, &to_one).await.unwrap();
    assert_eq!(first.applied + second.applied + last.applied, 60);
    assert_eq!(last.left, 0);
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(value(&to_one, LOG).await, expected.join(" "));
}

#[tokio::test]
async fn a_write_that_is_rolled_back_leaves_nothing_to_deliver() {
    let servers = servers("rolled_back").await;
    let outcome: TxOutcome<(), Failure> = servers
        .switch
        .write(&servers.writer, "write", async |session: &Session, snapshot: &Snapshot| {
            servers.outbox.put(session, snapshot, "account", "a", Some("1")).await?;
            session.run("SELECT 1 / 0").await.map(drop)
        })
        .await;
    assert!(matches!(outcome, TxOutcome::RolledBack(_)));
    assert_eq!(servers.outbox.behind(&servers.writer).await.unwrap().writes, 0);
    let steady = Operator { session: session(&servers.primary.url()).await };
    steady.move_to("steady").await;
    servers.write("a", Some("1")).await;
    assert_eq!(servers.outbox.behind(&servers.writer).await.unwrap().writes, 0);
}
