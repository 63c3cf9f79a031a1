//! The file sync's page beside a server that serves: deaths in the health checks and on the ways behind them, and a
//! restore under clients that go on pushing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{Program, eventually};
use tidegate_store::http::{Client, Request};

use crate::flatten_crash::{die_at_each, trace};
use crate::flatten_stage::{DEPLOYED, FlattenStage, WRITES_HELD};
use crate::ledger_stage::{on_stage, told};
use crate::ledger_whole::figures;

const BOUND: Duration = Duration::from_secs(60);

/// The last step before the health checks.
const BEFORE_HEALTH: &str = "outcome:no_client_fell_back";

/// What the feeds tell of the probes, in their order, without the run's name.
const PROBES_TOLD: &str = r"SELECT string_agg(kind || ' ' || regexp_replace(item_id, '-[0-9a-f]{8}-.*$', ''), ', ' ORDER BY seq)
FROM (SELECT seq, op_type AS kind, item_id FROM vfs_crdt_ops WHERE item_id LIKE 'probe-%'
      UNION ALL SELECT seq, change_type, item_id FROM vfs_sync_changes WHERE item_id LIKE 'probe-%') AS told";

/// What is left, but for what names the run, the server or a time.
async fn left(stage: &FlattenStage) -> (Vec<(String, String)>, String) {
    const OTHERWISE: [&str; 7] = [
        "public.users",
        "public.vfs_crdt_ops",
        "public.vfs_sync_changes",
        "public.vfs_instances",
        "public.sessions",
        "public.vfs_blob_marks",
        "public.vfs_freeze",
    ];
    let contents = stage.contents().await.into_iter();
    let contents = contents.filter(|(table, _)| !OTHERWISE.contains(&table.as_str())).collect();
    let users = stage.text("SELECT string_agg(id, ' ' ORDER BY id) FROM users").await;
    (contents, format!("{users}: {}", stage.text(PROBES_TOLD).await))
}

fn way(stage: &FlattenStage, way: &str) -> Program {
    stage.with_parameters(&["rollback", "--way", way, "--apply", "--actor", "alice"])
}

#[test]
fn the_health_checks_and_what_comes_after_them_survive_a_death_at_every_point() {
    on_stage(async {
        let mut whole = FlattenStage::new().await;
        let mut broken = whole.copy().await;
        let _of_whole = whole.serve().await;
        let of_broken = broken.serve().await;
        for stage in [&whole, &broken] {
            stage.begin().await;
            stage.run_until(BEFORE_HEALTH).await;
        }
        let points = trace(&whole, whole.run_program(), 0).await;
        let commands = points.iter().filter(|point| point.starts_with("command_done:")).count();
        assert!(commands >= 6, "{points:?}");
        let expected = left(&whole).await;
        assert!(expected.1.contains("probe-blob"), "{}", expected.1);
        let deaths = die_at_each(&broken, &broken.run_program(), &points).await;
        assert!(deaths >= 45, "only {deaths} deaths");
        let last = broken.run().await;
        assert!(matches!(last.code(), Some(0 | 2)), "{}", told(&last));
        assert_eq!(left(&broken).await, expected);
        assert_eq!(of_broken.objects.keys().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn taking_the_probes_away_survives_a_death_at_every_point() {
    on_stage(async {
        let mut whole = FlattenStage::new().await;
        let mut broken = whole.copy().await;
        let _served = (whole.serve().await, broken.serve().await);
        for stage in [&whole, &broken] {
            stage.begin().await;
            stage.run_until("command_done:attach_probe_a").await;
        }
        let back = with_loss_accepted(&whole, "take_probes_away").await;
        let points = trace(&whole, back, 7).await;
        let expected = left(&whole).await;
        let back = with_loss_accepted(&broken, "take_probes_away").await;
        let deaths = die_at_each(&broken, &back, &points).await;
        assert!(deaths >= 5, "only {deaths} deaths: {points:?}");
        // Whoever comes once more finds nothing left that would be lost.
        let last = broken.call(&way(&broken, "take_probes_away")).await;
        assert!(matches!(last.code(), Some(7 | 2)), "{}", told(&last));
        assert_eq!(left(&broken).await, expected);
        let probes = "SELECT count(*) FROM vfs_registry WHERE owner_id = 'tidegate-probe'";
        assert_eq!(broken.text(probes).await, "0");
    });
}

/// The way, with the loss accepted that it shows, if it shows one.
async fn with_loss_accepted(stage: &FlattenStage, name: &str) -> Program {
    let program = way(stage, name);
    let shown = told(&stage.call(&program).await);
    if shown.contains("--accept-loss") { program.args(["--accept-loss", &figures(&shown)]) } else { program }
}

/// Freezes, and takes the way of the restore up to its approval; gives the program that goes on.
async fn to_the_restore(stage: &FlattenStage) -> Program {
    let freeze = ["run", "--stage", "freeze", "--apply", "--yes", "--actor", "alice"];
    let frozen = stage.call(&stage.with_parameters(&freeze)).await;
    assert_eq!(frozen.code(), Some(0), "{}", told(&frozen));
    let restore = with_loss_accepted(stage, "restore_all").await;
    let waiting = stage.call(&restore).await;
    assert_eq!(waiting.code(), Some(6), "{}", told(&waiting));
    stage.approve("go_back").await;
    restore
}

#[test]
fn the_restore_survives_a_death_at_every_point_of_it() {
    on_stage(async {
        let whole = FlattenStage::new().await;
        let broken = whole.copy().await;
        for stage in [&whole, &broken] {
            stage.begin().await;
            stage.run_until_halted_at("service_knows_the_schema").await;
        }
        let restore = to_the_restore(&whole).await;
        let points = trace(&whole, restore, 7).await;
        for site in ["restore_removed:", "restore_replayed:", "gate_committed:begin_epoch"] {
            assert!(points.iter().any(|point| point.starts_with(site)), "{site}: {points:?}");
        }
        let restore = to_the_restore(&broken).await;
        let deaths = die_at_each(&broken, &restore, &points).await;
        assert!(deaths >= 30, "only {deaths} deaths");
        let last = broken.call(&restore).await;
        assert!(matches!(last.code(), Some(7 | 2)), "{}", told(&last));
        let without_epochs = async |stage: &FlattenStage| {
            let (mut contents, _) = left(stage).await;
            contents.retain(|(table, _)| table != "public.vfs_feed_epochs");
            contents
        };
        assert_eq!(without_epochs(&broken).await, without_epochs(&whole).await);
        let epochs =
            "SELECT string_agg(epoch || ' ' || began_after_seq, ', ' ORDER BY epoch) FROM vfs_feed_epochs";
        assert_eq!(broken.text(epochs).await, whole.text(epochs).await);
        assert_eq!(broken.text(WRITES_HELD).await, "0");
    });
}

/// Somebody who pushes and remembers what was acknowledged.
struct Pusher {
    user: String,
    base: String,
    token: String,
    written: u64,
    acknowledged: Vec<Json>,
}

impl Pusher {
    async fn new(stage: &FlattenStage, user: &str) -> Self {
        let token = stage.token_of(user).await;
        let pusher = Self {
            user: user.to_owned(),
            base: stage.service().to_owned(),
            token,
            written: 0,
            acknowledged: Vec::new(),
        };
        let item = json!({ "id": pusher.item(), "objectType": "file", "encryptedSessionKey": "k" });
        assert_eq!(pusher.ask("register", &item).await.unwrap().0, 201);
        pusher
    }

    fn item(&self) -> String {
        format!("item-of-{}", self.user)
    }

    async fn ask(&self, path: &str, body: &Json) -> Option<(u16, Json)> {
        let headers = [
            ("authorization".to_owned(), format!("Bearer {}", self.token)),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let request = Request {
            method: "POST".to_owned(),
            url: format!("{}/v1/vfs/{path}", self.base),
            headers: headers.into(),
            body: Some(body.to_string().into_bytes()),
            timeout: BOUND,
        };
        let answer = Client::new().request(request).await.ok()?;
        Some((answer.status, serde_json::from_slice(&answer.body).unwrap_or(Json::Null)))
    }

    /// Pushes operations; whether all of them were applied.
    async fn push(&self, operations: &[Json]) -> bool {
        let body = json!({ "clientId": self.user, "operations": operations });
        let Some((200, answer)) = self.ask("crdt/push", &body).await else { return false };
        let results = answer["results"].as_array().unwrap();
        assert!(results.iter().all(|result| result["status"] == "applied"), "{answer}");
        true
    }

    /// Pushes one after the other until told to end. What is refused is pushed again, as it was.
    async fn go_on(mut self, end: Arc<AtomicBool>) -> Self {
        while !end.load(Ordering::Relaxed) {
            let operations: Vec<Json> = (1..=3).map(|n| self.operation(self.written + n)).collect();
            if self.push(&operations).await {
                self.written += 3;
                self.acknowledged.extend(operations);
            } else {
                tokio::task::yield_now().await;
            }
        }
        self
    }

    fn operation(&self, write: u64) -> Json {
        let (user, item) = (&self.user, self.item());
        json!({
            "opId": format!("{user}-{write}"), "opType": "link_add", "itemId": item, "replicaId": user,
            "writeId": write, "occurredAt": "2026-02-14T20:00:00.000Z", "parentId": format!("p{write}"),
            "childId": item,
        })
    }
}

/// The ids by which clients know the operations that the restore's page lists as lost, from the evidence of the run.
async fn listed_as_lost(stage: &FlattenStage) -> BTreeSet<String> {
    let client = stage.database.client().await;
    let rows =
        client.query("SELECT body FROM tidegate.evidence WHERE body LIKE '%desk-%'", &[]).await.unwrap();
    let mut lost = BTreeSet::new();
    for row in rows {
        let body: String = row.get(0);
        lost.extend(body.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter_map(|word| {
            let (desk, write) = word.rsplit_once('-')?;
            (desk.starts_with("desk-") && write.parse::<u64>().is_ok()).then(|| word.to_owned())
        }));
    }
    lost
}

#[test]
fn a_restore_under_clients_lists_what_they_were_told_since_and_they_push_it_again() {
    on_stage(async {
        let mut stage = FlattenStage::new().await;
        let served = stage.serve().await;
        let end = Arc::new(AtomicBool::new(false));
        let mut pushing = Vec::new();
        for n in 0..3 {
            let pusher = Pusher::new(&stage, &format!("desk-{n}")).await;
            pushing.push(tokio::spawn(pusher.go_on(end.clone())));
        }
        let pushed = "SELECT count(*) FROM vfs_crdt_ops WHERE source_table = 'vfs_crdt_client_push'";
        let many = async |more: i64| {
            let before: i64 = stage.database.value(pushed).await;
            let grown =
                || async { (stage.database.value::<i64>(pushed).await >= before + more).then_some(()) };
            eventually("clients push", BOUND, grown).await.unwrap();
        };
        many(30).await;
        stage.begin().await;
        stage.run_until("outcome:retire_v026").await;
        many(30).await;
        let restore = to_the_restore(&stage).await;
        // The server that ran before goes on, also behind the redeployment: until it ends, writes are held.
        stage.redeploying(DEPLOYED);
        let restored = async { stage.call(&restore).await };
        let ends = async {
            let deployed = "SELECT count(*) = 1 FROM vfs_instances WHERE instance = 'deployed:1'";
            eventually("the good version is deployed", 2 * BOUND, async || {
                stage.database.value::<bool>(deployed).await.then_some(())
            })
            .await
            .unwrap();
            stage.database.execute("SELECT pg_sleep(2)").await;
            let held = stage.text(WRITES_HELD).await;
            drop(served);
            held
        };
        let (restored, held) = tokio::join!(restored, ends);
        assert_eq!(restored.code(), Some(7), "{}", told(&restored));
        assert_eq!(held, "1");
        assert_eq!(stage.text(WRITES_HELD).await, "0");
        end.store(true, Ordering::Relaxed);
        let mut pushers = Vec::new();
        for pushing in pushing {
            pushers.push(pushing.await.unwrap());
        }

        // What each was told is done and is not there now, and nothing else, is what the page has listed.
        let there = stage
            .text("SELECT string_agg(client_op_id, ' ') FROM vfs_crdt_ops WHERE client_op_id LIKE 'desk-%'")
            .await;
        let there: BTreeSet<&str> = there.split(' ').collect();
        let id = |operation: &Json| operation["opId"].as_str().unwrap().to_owned();
        let acknowledged: BTreeSet<String> =
            pushers.iter().flat_map(|pusher| pusher.acknowledged.iter().map(id)).collect();
        let gone: BTreeSet<String> =
            acknowledged.iter().filter(|id| !there.contains(id.as_str())).cloned().collect();
        assert!(there.len() >= 30 && gone.len() >= 30, "{} there, {} gone", there.len(), gone.len());
        assert_eq!(listed_as_lost(&stage).await, gone);

        // Everybody signs in again and pushes what is gone, as it was.
        let _served = stage.serve_as("served-again").await;
        for pusher in &mut pushers {
            stage.service().clone_into(&mut pusher.base);
            assert_eq!(pusher.ask("crdt/push", &json!({})).await.unwrap().0, 401);
            pusher.token = stage.new_token(&pusher.user).await;
            let again: Vec<Json> = pusher
                .acknowledged
                .iter()
                .filter(|operation| gone.contains(&id(operation)))
                .cloned()
                .collect();
            for some in again.chunks(100) {
                assert!(pusher.push(some).await);
            }
        }
        let kept = "SELECT string_agg(client_op_id, ' ') FROM vfs_crdt_ops WHERE client_op_id LIKE 'desk-%'";
        let kept = stage.text(kept).await;
        let kept: Vec<&str> = kept.split(' ').collect();
        assert_eq!(kept.len(), acknowledged.len());
        assert_eq!(kept.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), acknowledged);
    });
}
