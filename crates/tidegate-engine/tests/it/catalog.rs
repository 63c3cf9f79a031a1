//! What a transaction made, told from what was there, with and without what the gate before knew.

use testkit::Cluster;
use tidegate_engine::catalog::{Known, Made, Outline, made_here, outline, outline_from};
use tidegate_store::postgres::{Address, Session};

use crate::stage_hand::on_stage;

async fn session(url: &str) -> Session {
    let address = Address::resolve(Some(url), &|_| None).unwrap();
    Session::connect(&address, "catalog").await.unwrap()
}

/// Begins a transaction with an id.
async fn begin(session: &Session) -> u64 {
    let answers = session.run("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    answers[1].single().flatten().unwrap().parse().unwrap()
}

/// As a gate: looks, makes, looks, commits; gives what was made and what is known then.
async fn gate(session: &Session, known: Option<Known>, sql: &str) -> (Vec<String>, Option<Known>) {
    let transaction = begin(session).await;
    let before: Outline = outline_from(session, known, transaction).await.unwrap();
    assert_eq!(before, outline(session).await.unwrap(), "what is known is what is there");
    session.run(sql).await.unwrap();
    let made: Made = made_here(session, &before).await.unwrap();
    let known = Known::after(before, &made, transaction);
    session.run("COMMIT").await.unwrap();
    (made.objects.into_iter().map(|object| object.identity).collect(), known)
}

#[test]
fn the_next_gate_knows_what_the_one_before_left_and_sees_what_others_did_between() {
    on_stage(async {
        let cluster =
            Cluster::start(testkit::ClusterOptions::default().set("autovacuum", "off")).await.unwrap();
        let database = cluster.database("known").await;
        let (ours, others) = (session(&database.url()).await, session(&database.url()).await);
        let (made, known) = gate(&ours, None, "CREATE TABLE a (n int)").await;
        assert_eq!(made, ["public.a"]);
        assert!(known.is_some(), "nobody else was at work");

        let (made, known) =
            gate(&ours, known, "ALTER TABLE a ADD m int; CREATE VIEW v AS SELECT n FROM a").await;
        assert_eq!(made, ["public.v", "public.a.m"]);
        assert!(known.is_some());

        others.run("CREATE TABLE b (n int)").await.unwrap();
        let (made, known) = gate(&ours, known, "ALTER TABLE b ADD m int; COMMENT ON TABLE a IS 'x'").await;
        assert_eq!(made, ["public.b.m"], "the table of others was there before");

        others.run("BEGIN; CREATE TABLE c (n int)").await.unwrap();
        let (made, known) = gate(&ours, known, "SAVEPOINT s; CREATE TABLE d (n int); RELEASE s").await;
        assert_eq!(made, ["public.d"], "a savepoint's work is ours, an open transaction's is not");
        assert_eq!(known, None, "somebody older is still at work");
        others.run("COMMIT").await.unwrap();
        let (made, _) = gate(&ours, known, "DROP TABLE d; ALTER TABLE c DROP n").await;
        assert_eq!(made, Vec::<String>::new());
    });
}
