//! The server and the model of its rules do the same things and give the same answers.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use vfs_core::access::Membership;
use vfs_core::model::{Model, ModelError, Pull, Share};
use vfs_core::{
    AccessLevel, Cursor, ItemId, Principal, PrincipalId, PrincipalType, PushRequest, ReconcileRequest,
    Timestamp, UserId,
};

use crate::far_behind::all_ways_agree;
use crate::ground::{Answered, Asker, Ground, Town, cursor_of};

const USERS: [&str; 3] = ["ada", "bob:of:ours", "Eve"];
const ITEMS: [&str; 4] = ["a", "B", "c:1", "d-1"];
const STEPS: usize = 120;
/// Steps of one of many lists.
const SHORT: usize = 24;
/// Lists of one of the four tests of many; the long form has more.
const LISTS: u64 = 250;
const SOAK_LISTS: u64 = 50_000;
/// Lists after which a long run says how far it is.
const TOLD_EACH: u64 = 1_000;
/// Lists in which a planted fault must be found.
const LISTS_TO_FIND: u64 = 200;

/// Everything that a list leaves.
const RESET: &str = "TRUNCATE vfs_registry, vfs_acl_entries, vfs_links, vfs_sync_changes, vfs_crdt_ops,
                              vfs_crdt_replica_heads, vfs_sync_client_state CASCADE;
                     UPDATE vfs_feed_head SET seq = 0";

/// Faults in the server's SQL: in which function, what stands there, and what in its place.
const FAULTS: [(&str, &str, &str); 7] = [
    ("vfs_merge_reconciled_write_ids", "max(", "min("),
    ("vfs_links_emit", "'link_remove'", "'link_add'"),
    ("vfs_feed_advance", "head.seq + n,", "head.seq + n + 1,"),
    ("vfs_registry_emit", "owner_id", "NULL"),
    ("vfs_acl_removals", "'acl_remove'", "'acl_add'"),
    ("vfs_acl_grants", "'acl_add'", "'acl_remove'"),
    // The first word about whoever else has access, instead of the last.
    ("vfs_acl_told", "op.seq DESC", "op.seq"),
];

/// Numbers that look random, and are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % (1 << 32);
        usize::try_from((self.0 >> 8) % bound as u64).unwrap()
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// Of the feed of objects: id, item, type, who, root.
type Row = (String, String, String, Option<String>, Option<String>);

/// Both, side by side.
struct Both {
    town: Town,
    model: Model,
    askers: Vec<Asker>,
    /// How far each user has read: here and in the model.
    cursors: Vec<(Option<String>, Option<Cursor>)>,
    shares: BTreeMap<(String, String, String), String>,
    /// Who has registered what.
    owners: BTreeMap<String, usize>,
    writes: [u64; 2],
    links: usize,
    clock: i64,
}

fn user(at: usize) -> UserId {
    UserId::parse(USERS[at]).unwrap()
}

fn item(id: &str) -> ItemId {
    ItemId::parse(id).unwrap()
}

/// All are of one organization, and one of a group of it.
fn membership(n: usize) -> Membership {
    let mut membership = Membership::default();
    membership.organizations.insert(PrincipalId::parse("org").unwrap());
    if n == 1 {
        membership.groups.insert(PrincipalId::parse("grp").unwrap());
    }
    membership
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millisecond(1_771_099_200_000 + second * 1_000).unwrap()
}

/// The answer that the model's error stands for.
fn refusal(error: ModelError) -> (u16, String) {
    let status = match error {
        ModelError::ItemNotFound | ModelError::ShareNotFound => 404,
        ModelError::NotTheOwner => 403,
        ModelError::AlreadyRegistered | ModelError::ShareExists | ModelError::Rematerialize => 409,
        ModelError::Limit => 400,
    };
    (status, error.to_string())
}

fn same(answer: &Answered, modelled: Result<(), ModelError>, what: &str) {
    match modelled {
        Ok(()) => assert!(answer.status < 300, "{what}: {} {}", answer.status, answer.body),
        Err(error) => {
            let (status, text) = refusal(error);
            assert_eq!(answer.refusal(), (status, text.as_str()), "{what}");
        }
    }
}

impl Both {
    async fn new() -> Self {
        let town = Ground::at(23).await.town().await;
        let mut model = Model::new(at(0));
        let mut askers = Vec::new();
        town.ground
            .database
            .execute("INSERT INTO organizations (id, name) VALUES ('org', 'o'); INSERT INTO groups VALUES ('grp', 'g', 'org')")
            .await;
        for (n, id) in USERS.iter().enumerate() {
            askers.push(town.user(id).await);
            town.ground
                .database
                .execute(&format!("INSERT INTO user_organizations VALUES ('{id}', 'org')"))
                .await;
            model.set_membership(user(n), membership(n));
        }
        town.ground
            .database
            .execute(&format!("INSERT INTO user_groups VALUES ('{}', 'grp')", USERS[1]))
            .await;
        let cursors = vec![(None, None); USERS.len()];
        Self {
            town,
            model,
            askers,
            cursors,
            shares: BTreeMap::new(),
            owners: BTreeMap::new(),
            writes: [1; 2],
            links: 0,
            clock: 0,
        }
    }

    /// As new, on the same servers.
    async fn anew(&mut self) {
        self.town.ground.database.execute(RESET).await;
        let mut model = Model::new(at(0));
        for n in 0..USERS.len() {
            model.set_membership(user(n), membership(n));
        }
        self.model = model;
        self.cursors = vec![(None, None); USERS.len()];
        self.shares.clear();
        self.owners.clear();
        (self.writes, self.links, self.clock) = ([1; 2], 0, 0);
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1;
        at(self.clock)
    }

    async fn step(&mut self, draw: &mut Draw) {
        let who = draw.below(USERS.len());
        match draw.below(12) {
            0 | 1 => self.register(who, draw.of(&ITEMS)).await,
            2 => self.link(draw.of(&ITEMS), draw.of(&ITEMS)).await,
            3 => self.unlink(draw.of(&ITEMS), draw.of(&ITEMS)).await,
            4 | 5 => self.share(who, draw).await,
            6 => self.take_back(who, draw).await,
            7..=9 => self.push(who, draw).await,
            10 => self.pull(who, 1 + draw.below(4)).await,
            _ => self.reconcile(who, draw).await,
        }
    }

    /// Mostly whoever owns an item: what others ask is refused, and changes nothing.
    fn mostly_owner(&self, id: &str, who: usize, draw: &mut Draw) -> usize {
        let owner = self.owners.get(id).copied().unwrap_or(who);
        if draw.below(4) == 0 { who } else { owner }
    }

    async fn register(&mut self, who: usize, id: &str) {
        let now = self.now();
        let body = json!({ "id": id, "objectType": "folder", "encryptedSessionKey": "k" });
        let answer = self.askers[who].post("/v1/vfs/register", body).await;
        same(&answer, self.model.register(now, &user(who), &item(id)), "register");
        if answer.status < 300 {
            self.owners.entry(id.to_owned()).or_insert(who);
        }
    }

    async fn link(&mut self, parent: &str, child: &str) {
        self.links += 1;
        let (now, id) = (self.now(), format!("link-{}", self.links));
        if parent != child && self.model.link(now, &id, &item(parent), &item(child)).is_ok() {
            let insert = format!(
                "INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at)
                 VALUES ('{id}', '{parent}', '{child}', 'k', now()) ON CONFLICT DO NOTHING"
            );
            self.town.ground.database.execute(&insert).await;
        }
    }

    async fn unlink(&mut self, parent: &str, child: &str) {
        let now = self.now();
        self.model.unlink(now, &item(parent), &item(child));
        let delete = format!("DELETE FROM vfs_links WHERE parent_id = '{parent}' AND child_id = '{child}'");
        self.town.ground.database.execute(&delete).await;
    }

    async fn share(&mut self, who: usize, draw: &mut Draw) {
        let (on, level) = (draw.of(&ITEMS), draw.of(&["view", "edit"]));
        let who = self.mostly_owner(on, who, draw);
        let (kind, target) =
            [("user", USERS[1]), ("user", USERS[2]), ("group", "grp"), ("organization", "org")]
                [draw.below(4)];
        let body = json!({ "shareType": kind, "targetId": target, "permissionLevel": level });
        let answer = self.askers[who].post(&format!("/v1/vfs/items/{on}/shares"), body).await;
        let id = answer.body.pointer("/share/id").and_then(Json::as_str).unwrap_or("none").to_owned();
        let share = Share {
            entry_id: id.clone(),
            item_id: item(on),
            principal: Principal {
                kind: PrincipalType::parse(kind).unwrap(),
                id: PrincipalId::parse(target).unwrap(),
            },
            level: if level == "edit" { AccessLevel::Write } else { AccessLevel::Read },
            expires_at: None,
        };
        let now = self.now();
        same(&answer, self.model.grant(now, &user(who), &share), "share");
        if answer.status == 201 {
            self.shares.insert((on.to_owned(), kind.to_owned(), target.to_owned()), id);
        }
    }

    async fn take_back(&mut self, who: usize, draw: &mut Draw) {
        if self.shares.is_empty() {
            return;
        }
        let at = draw.below(self.shares.len());
        let ((on, kind, target), id) =
            self.shares.iter().nth(at).map(|(k, v)| (k.clone(), v.clone())).unwrap();
        let who = self.mostly_owner(&on, who, draw);
        let answer = self.askers[who].delete(&format!("/v1/vfs/shares/{id}")).await;
        let principal = Principal {
            kind: PrincipalType::parse(&kind).unwrap(),
            id: PrincipalId::parse(&target).unwrap(),
        };
        let now = self.now();
        let modelled = self.model.revoke(now, &user(who), &item(&on), &principal);
        match modelled {
            // The server looks for the share first, and then whose its item is.
            Err(ModelError::NotTheOwner) => assert!(matches!(answer.status, 403 | 404), "{}", answer.body),
            modelled => same(&answer, modelled, "unshare"),
        }
    }

    async fn push(&mut self, who: usize, draw: &mut Draw) {
        let client = draw.below(2);
        let name = ["desktop", "Mobile"][client];
        let mut operations = Vec::new();
        for _ in 0..=draw.below(4) {
            // Mostly a new write; now and then an old one, or an id that was there.
            let write = if draw.below(5) == 0 {
                self.writes[client].saturating_sub(2).max(1)
            } else {
                self.writes[client]
            };
            self.writes[client] += 1;
            let id = if draw.below(6) == 0 {
                "again".to_owned()
            } else {
                format!("{name}:{write}:{}", draw.below(9))
            };
            let mut operation = json!({
                "opId": id, "itemId": draw.of(&ITEMS), "replicaId": name, "writeId": write,
                "occurredAt": at(i64::try_from(draw.below(1_000_000)).unwrap()).to_string(),
            });
            match draw.below(5) {
                0 => {
                    operation["opType"] = json!("acl_add");
                    operation["principalType"] = json!("group");
                    operation["principalId"] = json!("grp");
                    operation["accessLevel"] = json!("admin");
                }
                1 => {
                    operation["opType"] = json!("acl_remove");
                    operation["principalType"] = json!("user");
                    operation["principalId"] = json!(draw.of(&USERS));
                }
                2 => operation["opType"] = json!("nothing"),
                _ => {
                    operation["opType"] = json!(draw.of(&["link_add", "link_remove"]));
                    operation["parentId"] = json!(draw.of(&ITEMS));
                }
            }
            operations.push(operation);
        }
        let body = json!({ "clientId": name, "operations": operations });
        let mut answer = self.askers[who].post("/v1/vfs/crdt/push", body.clone()).await.good();
        answer.as_object_mut().unwrap().remove("feedEpoch");
        let now = self.now();
        let reply = self.model.push(now, &user(who), &PushRequest::parse(&body).unwrap());
        assert_eq!(answer, serde_json::to_value(&reply).unwrap(), "{body}");
    }

    async fn pull(&mut self, who: usize, limit: usize) {
        let (here, there) = self.cursors[who].clone();
        let from = here.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = self.askers[who].get(&format!("/v1/vfs/crdt/sync?limit={limit}{from}")).await.good();
        let now = self.now();
        let pull = Pull { after: there.as_ref(), limit, root_id: None };
        let modelled = self.model.pull(now, &user(who), &pull).unwrap();
        assert_eq!(page["hasMore"], json!(modelled.has_more));
        assert_eq!(
            page["lastReconciledWriteIds"],
            serde_json::to_value(&modelled.last_reconciled_write_ids).unwrap()
        );
        let items = page["items"].as_array().unwrap();
        let timeless = |item: &Json| {
            let mut item = item.clone();
            item["occurredAt"] = Json::Null;
            item
        };
        let expected: Vec<Json> =
            modelled.items.iter().map(|item| timeless(&serde_json::to_value(item).unwrap())).collect();
        assert_eq!(items.iter().map(timeless).collect::<Vec<Json>>(), expected, "of {}", USERS[who]);
        if let Some((here, there)) = items.last().zip(modelled.items.last()) {
            self.cursors[who] = (Some(cursor_of(here)), there.cursor());
        }
    }

    async fn reconcile(&mut self, who: usize, draw: &mut Draw) {
        let cursor =
            Cursor::new(at(i64::try_from(draw.below(3)).unwrap()), draw.of(&["a", "B", "c:1", "Z"])).unwrap();
        let ids = json!({ draw.of(&["x", "Y"]): 1 + draw.below(9) });
        let body = json!({ "clientId": draw.of(&["desktop", "Mobile"]), "cursor": cursor.encode(), "lastReconciledWriteIds": ids });
        let answer = self.askers[who].post("/v1/vfs/crdt/reconcile", body.clone()).await.good();
        let state = self.model.reconcile(&user(who), &ReconcileRequest::parse(&body).unwrap());
        assert_eq!(answer["cursor"], json!(state.cursor.encode()));
        assert_eq!(
            answer["lastReconciledWriteIds"],
            serde_json::to_value(&state.last_reconciled_write_ids).unwrap()
        );
    }

    /// Everybody reads to the end; both have the same rows in the feed of objects.
    async fn settle(&mut self) {
        for who in 0..USERS.len() {
            self.pull(who, 500).await;
        }
        let client = self.town.ground.database.client().await;
        let sql = "SELECT id, item_id, change_type, changed_by, root_id FROM vfs_sync_changes ORDER BY seq";
        let rows = client.query(sql, &[]).await.unwrap();
        let here: Vec<Row> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))).collect();
        let text = |id: &ItemId| id.to_string();
        let there: Vec<Row> = self
            .model
            .changes()
            .iter()
            .map(|change| {
                let kind = format!("{:?}", change.change_type).to_lowercase();
                let by = change.by.as_ref().map(ToString::to_string);
                (
                    change.at.change_id.clone(),
                    text(&change.item_id),
                    kind,
                    by,
                    change.root_id.as_ref().map(text),
                )
            })
            .collect();
        assert_eq!(here, there);
        all_ways_agree(&self.town.ground.session().await, &USERS, &ITEMS[..1]).await;
    }
}

async fn compare(seed: u64) {
    let mut both = Both::new().await;
    let mut draw = Draw(seed);
    for _ in 0..STEPS {
        both.step(&mut draw).await;
    }
    both.settle().await;
    assert!(both.model.operations().count() > 20, "something happened");
}

#[tokio::test]
async fn the_server_does_what_the_model_does_seed_1220() {
    compare(1_220).await;
}

#[tokio::test]
async fn the_server_does_what_the_model_does_seed_1441() {
    compare(1_441).await;
}

#[tokio::test]
async fn the_server_does_what_the_model_does_seed_1771() {
    compare(1_771).await;
}

#[tokio::test]
async fn the_server_does_what_the_model_does_seed_31337() {
    compare(31_337).await;
}

/// Many short lists, one after the other on the same servers.
async fn compare_many(seeds: std::ops::Range<u64>) {
    let mut both = Both::new().await;
    let first = seeds.start;
    for seed in seeds {
        let done = seed - first;
        if done > 0 && done.is_multiple_of(TOLD_EACH) {
            println!("{done} lists were answered alike");
        }
        both.anew().await;
        let mut draw = Draw(seed.wrapping_mul(2_654_435_761) % (1 << 32));
        for _ in 0..SHORT {
            both.step(&mut draw).await;
        }
        both.settle().await;
    }
}

#[tokio::test]
async fn a_thousand_lists_are_answered_alike_first_quarter() {
    compare_many(0..LISTS).await;
}

#[tokio::test]
async fn a_thousand_lists_are_answered_alike_second_quarter() {
    compare_many(LISTS..2 * LISTS).await;
}

#[tokio::test]
async fn a_thousand_lists_are_answered_alike_third_quarter() {
    compare_many(2 * LISTS..3 * LISTS).await;
}

#[tokio::test]
async fn a_thousand_lists_are_answered_alike_last_quarter() {
    compare_many(3 * LISTS..4 * LISTS).await;
}

#[tokio::test]
async fn soak_tens_of_thousands_of_lists_are_answered_alike() {
    let is_long = std::env::var_os("TIDEGATE_SOAK").is_some();
    compare_many(10_000..10_000 + if is_long { SOAK_LISTS } else { 50 }).await;
}

/// The lists until the first that is not answered alike with a fault in the server's SQL; `None`: all are.
async fn lists_to_find(function: &str, stands: &str, instead: &str) -> Option<u64> {
    let mut both = Both::new().await;
    let read = format!("SELECT pg_get_functiondef('{function}'::regproc)");
    let sound: String = both.town.ground.database.value(&read).await;
    assert!(sound.contains(stands), "{function} has no {stands:?}: {sound}");
    both.town.ground.database.execute(&sound.replacen(stands, instead, 1)).await;
    for seed in 0..LISTS_TO_FIND {
        // In a task of its own: what is found ends it.
        let list = tokio::spawn(async move {
            both.anew().await;
            let mut draw = Draw(seed.wrapping_mul(2_654_435_761) % (1 << 32));
            for _ in 0..SHORT {
                both.step(&mut draw).await;
            }
            both.settle().await;
            both
        });
        match list.await {
            Ok(sound) => both = sound,
            Err(_) => return Some(seed + 1),
        }
    }
    None
}

#[tokio::test]
async fn a_fault_in_the_servers_sql_is_found() {
    let mut found = Vec::new();
    for (function, stands, instead) in FAULTS {
        found.push((function, lists_to_find(function, stands, instead).await));
    }
    println!("lists to find: {found:?}");
    assert!(found.iter().all(|(_, lists)| lists.is_some()), "{found:?}");
}
