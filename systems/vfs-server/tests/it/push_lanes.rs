//! Pushes of one user that come while one is at the database: they go there together, and each gets its own answer.

use serde_json::{Value as Json, json};
use testkit::eventually;
use tidegate_store::postgres::Session;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::ground::{Answered, Asker, BOUND, Town, link};

const PUSH: &str = "/v1/vfs/crdt/push";

/// Ada at one instance, and a session that holds the lock of her pushes until it is rolled back.
struct Crowd {
    town: Town,
    ada: Asker,
    holding: Session,
}

impl Crowd {
    async fn new() -> Self {
        let town = Town::new().await;
        let ada = town.user("ada").await;
        ada.register("file").await;
        let ada = Asker { bases: vec![town.services[0].base.clone()], ..ada };
        let holding = town.ground.session().await;
        let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('vfs_crdt_feed:ada', 0))";
        holding.run(lock).await.unwrap();
        Self { town, ada, holding }
    }

    /// A push that waits at the database; those that come now wait behind it.
    async fn first(&self) -> JoinHandle<Answered> {
        let first = self.push(json!([link("first", 1, "file", "p")]), "first");
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'vfs:push' AND wait_event = 'advisory'";
        eventually("the first waits at the database", BOUND, || async {
            (self.town.ground.text(waits).await == "1").then_some(())
        })
        .await
        .unwrap();
        first
    }

    fn push(&self, operations: Json, client: &str) -> JoinHandle<Answered> {
        let (ada, body) = (self.ada.clone(), json!({ "clientId": client, "operations": operations }));
        tokio::spawn(async move { ada.post(PUSH, body).await })
    }

    /// Waits until so many pushes have come to the server and are not answered.
    async fn open(&self, pushes: usize) {
        let ada = self.ada.clone();
        eventually("the pushes have come", BOUND, || async {
            let told = ada.get("/metrics").await;
            let text = told.body.as_str().unwrap_or_default().to_owned();
            let open = text.lines().find(|line| line.starts_with("vfs_pushes_waiting "));
            (open == Some(&format!("vfs_pushes_waiting {pushes}"))).then_some(())
        })
        .await
        .unwrap();
    }

    async fn let_go(&self) {
        self.holding.run("ROLLBACK").await.unwrap();
    }
}

/// The statuses of a push that was taken.
async fn statuses(push: JoinHandle<Answered>) -> Vec<String> {
    let answer = push.await.unwrap().good();
    let results = answer["results"].as_array().unwrap();
    results.iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn those_that_wait_are_committed_together_and_answered_one_by_one() {
    let crowd = Crowd::new().await;
    let first = crowd.first().await;
    let mut waiting = Vec::new();
    for n in 0..4 {
        let client = format!("c{n}");
        let operations = json!([link(&client, 1, "file", "p"), link(&client, 2, "file", "q"), n]);
        waiting.push(crowd.push(operations, &client));
        crowd.open(n + 1).await;
    }
    crowd.let_go().await;
    assert_eq!(statuses(first).await, ["applied"]);
    for push in waiting {
        assert_eq!(statuses(push).await, ["applied", "applied", "invalidOp"]);
    }
    let commits =
        "SELECT count(DISTINCT xmin::text) || ' ' || count(*) FROM vfs_crdt_ops WHERE actor_id = 'ada'
                   AND source_table = 'vfs_crdt_client_push'";
    assert_eq!(crowd.town.ground.text(commits).await, "2 9");
    // In the order in which they came.
    let order =
        "SELECT string_agg(client_op_id, ' ' ORDER BY seq) FROM vfs_crdt_ops WHERE client_op_id LIKE 'c%-2'";
    assert_eq!(crowd.town.ground.text(order).await, "c0-2 c1-2 c2-2 c3-2");
}

#[tokio::test]
async fn what_one_of_them_applies_counts_for_those_behind_it() {
    let crowd = Crowd::new().await;
    let first = crowd.first().await;
    let one = crowd.push(json!([link("a", 5, "file", "p")]), "a");
    crowd.open(1).await;
    let again = crowd
        .push(json!([link("a", 5, "file", "p"), link("a", 4, "file", "p"), link("a", 6, "file", "p")]), "a");
    crowd.open(2).await;
    // The first one's operation, by another client of the same user.
    let mut known = link("other", 9, "file", "p");
    known["opId"] = json!("first-1");
    let other = crowd.push(json!([known]), "other");
    crowd.open(3).await;
    crowd.let_go().await;
    assert_eq!(statuses(first).await, ["applied"]);
    assert_eq!(statuses(one).await, ["applied"]);
    assert_eq!(statuses(again).await, ["alreadyApplied", "staleWriteId", "applied"]);
    assert_eq!(statuses(other).await, ["alreadyApplied"]);
    assert_eq!(
        crowd.town.ground.text("SELECT count(*) FROM vfs_crdt_ops WHERE client_op_id = 'a-5'").await,
        "1"
    );
}

#[tokio::test]
async fn one_that_the_database_refuses_takes_no_other_with_it() {
    let crowd = Crowd::new().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                      RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END $$;
                  CREATE TRIGGER refuse BEFORE INSERT ON vfs_crdt_ops FOR EACH ROW
                      WHEN (NEW.client_op_id = 'bad-1') EXECUTE FUNCTION refuse()";
    crowd.town.ground.database.execute(refuse).await;
    let first = crowd.first().await;
    let good = crowd.push(json!([link("good", 1, "file", "p")]), "good");
    crowd.open(1).await;
    let bad = crowd.push(json!([link("bad", 1, "file", "p")]), "bad");
    crowd.open(2).await;
    let later = crowd.push(json!([link("later", 1, "file", "p")]), "later");
    crowd.open(3).await;
    crowd.let_go().await;
    assert_eq!(statuses(first).await, ["applied"]);
    assert_eq!(statuses(good).await, ["applied"]);
    assert_eq!(bad.await.unwrap().refusal(), (500, "Failed to push CRDT operations"));
    assert_eq!(statuses(later).await, ["applied"]);
}

#[tokio::test]
async fn a_freeze_that_begins_meanwhile_refuses_all_of_them() {
    let crowd = Crowd::new().await;
    let first = crowd.first().await;
    let waiting = [
        // It waits at the database, and is judged when its turn has come.
        first,
        crowd.push(json!([link("a", 1, "file", "p")]), "a"),
        crowd.push(json!([link("b", 1, "file", "p")]), "b"),
    ];
    crowd.open(2).await;
    let freeze = "UPDATE vfs_freeze SET epoch = epoch + 1, frozen_until = now() + interval '1 hour'";
    crowd.town.ground.database.execute(freeze).await;
    crowd.let_go().await;
    for push in waiting {
        assert_eq!(push.await.unwrap().refusal(), (503, "Writes are frozen"));
    }
    assert_eq!(
        crowd
            .town
            .ground
            .text("SELECT count(*) FROM vfs_crdt_ops WHERE client_op_id IN ('first-1', 'a-1', 'b-1')")
            .await,
        "0"
    );
}

#[tokio::test]
async fn whoever_has_gone_away_has_nothing_done_and_others_do_not_wait_for_it() {
    let crowd = Crowd::new().await;
    let first = crowd.first().await;
    let body = json!({ "clientId": "gone", "operations": [link("gone", 1, "file", "p")] }).to_string();
    let mut gone = TcpStream::connect(crowd.ada.bases[0].strip_prefix("http://").unwrap()).await.unwrap();
    let headers = crowd.ada.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "POST {PUSH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n",
        body.len(),
        headers.collect::<String>()
    );
    gone.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    crowd.open(1).await;
    drop(gone);
    crowd.open(0).await;
    let stays = crowd.push(json!([link("stays", 1, "file", "p")]), "stays");
    crowd.open(1).await;
    crowd.let_go().await;
    assert_eq!(statuses(first).await, ["applied"]);
    assert_eq!(statuses(stays).await, ["applied"]);
    assert_eq!(
        crowd.town.ground.text("SELECT count(*) FROM vfs_crdt_ops WHERE client_op_id = 'gone-1'").await,
        "0"
    );
    // The lane is closed, and opened again for the next one.
    let next = crowd.push(json!([link("next", 1, "file", "p")]), "next");
    assert_eq!(statuses(next).await, ["applied"]);
}

#[tokio::test]
async fn users_do_not_wait_for_each_other() {
    let crowd = Crowd::new().await;
    let bob = crowd.town.user("bob").await;
    bob.register("bobs").await;
    let bob = Asker { bases: crowd.ada.bases.clone(), ..bob };
    let first = crowd.first().await;
    assert_eq!(bob.push("b", &[link("b", 1, "bobs", "p")]).await, ["applied"]);
    crowd.let_go().await;
    assert_eq!(statuses(first).await, ["applied"]);
}
