//! Pushing, pulling and reconciling operations: every condition and its text.

use serde_json::{Value as Json, json};
use vfs_core::Cursor;

use crate::ground::{Town, cursor_of, link};

const PUSH: &str = "/v1/vfs/crdt/push";
const PULL: &str = "/v1/vfs/crdt/sync";
const RECONCILE: &str = "/v1/vfs/crdt/reconcile";

fn cursor(time: &str, id: &str) -> String {
    Cursor::new(time.parse().unwrap(), id).unwrap().encode()
}

#[tokio::test]
async fn a_malformed_push_is_refused_as_a_whole_with_its_text() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let client = "clientId must be non-empty, <=128 chars, and must not contain \":\"";
    for (body, text) in [
        (json!(null), "clientId and operations are required"),
        (json!([]), "clientId and operations are required"),
        (json!("x"), "clientId and operations are required"),
        (json!({ "operations": [] }), client),
        (json!({ "clientId": " ", "operations": [] }), client),
        (json!({ "clientId": "a:b", "operations": [] }), client),
        (json!({ "clientId": "x".repeat(129), "operations": [] }), client),
        (json!({ "clientId": "a\0", "operations": [] }), client),
        (json!({ "clientId": "a" }), "operations must be an array"),
        (json!({ "clientId": "a", "operations": {} }), "operations must be an array"),
        (json!({ "clientId": "a", "operations": vec![0; 501] }), "operations exceeds max entries (500)"),
    ] {
        assert_eq!(ada.post(PUSH, body.clone()).await.refusal(), (400, text), "{body}");
    }
    let empty = ada.post(PUSH, json!({ "clientId": " a ", "operations": [] })).await.good();
    assert_eq!(empty, json!({ "clientId": "a", "results": [], "feedEpoch": 1 }));
    assert_eq!(town.nobody().post(PUSH, json!(null)).await.refusal(), (401, "Unauthorized"));
}

#[tokio::test]
async fn each_operation_gets_its_answer_in_its_place() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    ada.register("file").await;
    bob.register("bobs").await;
    let with = |field: &str, value: Json| {
        let mut operation = link("a", 9, "file", "p");
        operation[field] = value;
        operation
    };
    let access = json!({
        "opId": "acl:1/@#", "opType": "acl_add", "itemId": "file", "replicaId": "a", "writeId": 2,
        "occurredAt": "Sat, 14 Feb 2026 20:00:00 GMT", "principalType": "user", "principalId": "bob",
        "accessLevel": "write",
    });
    let operations = [
        link("a", 1, "file", "p"),
        json!(7),
        json!({ "opId": "named" }),
        with("opType", json!("link_move")),
        with("itemId", json!("")),
        with("replicaId", json!("b")),
        with("writeId", json!(0)),
        with("writeId", json!(-1)),
        with("writeId", json!(9_007_199_254_740_992_u64)),
        with("writeId", json!("9")),
        with("occurredAt", json!("soon")),
        with("parentId", json!(null)),
        with("parentId", json!("file")),
        with("childId", json!("other")),
        with("itemId", json!("x".repeat(10_240))),
        link("a", 9, "bobs", "p"),
        link("a", 9, "nobodys", "p"),
        access.clone(),
        json!({ "opId": "stale", "opType": "acl_remove", "itemId": "file", "replicaId": "a", "writeId": 2,
            "occurredAt": "2026-02-14T20:00:00Z", "principalType": "user", "principalId": "bob" }),
        with("opId", json!("acl:1/@#")),
    ];
    let answer = ada.post(PUSH, json!({ "clientId": "a", "operations": operations })).await.good();
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<&str> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
    let mut expected = vec!["applied"];
    expected.extend(["invalidOp"; 16]);
    expected.extend(["applied", "staleWriteId", "alreadyApplied"]);
    assert_eq!(statuses, expected);
    assert_eq!(results[1]["opId"], "invalid-1");
    assert_eq!(results[2]["opId"], "named");
    assert_eq!(results[17]["opId"], "acl:1/@#");

    let (items, _) = ada.pull_all(None, 500).await;
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[1]["opType"], &items[1]["accessLevel"], &items[1]["parentId"]),
        (&json!("acl_add"), &json!("write"), &Json::Null)
    );
    assert_eq!(items[1]["sourceId"], "ada:a:2:acl:1/@#");
    assert_eq!(items[1]["sourceTable"], "vfs_crdt_client_push");
    // Pushing access grants none.
    assert_eq!(bob.pull_all(None, 500).await.0, Vec::<Json>::new());
}

#[tokio::test]
async fn a_repeat_is_known_also_under_another_write_id_and_write_ids_only_rise() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    let first = link("a", 5, "file", "p");
    assert_eq!(ada.push("a", std::slice::from_ref(&first)).await, ["applied"]);
    assert_eq!(ada.push("a", std::slice::from_ref(&first)).await, ["alreadyApplied"]);
    let mut rebased = first.clone();
    rebased["writeId"] = json!(6);
    assert_eq!(
        ada.push("a", &[rebased, link("a", 4, "file", "p")]).await,
        ["alreadyApplied", "staleWriteId"]
    );
    // Another of the user's replicas counts for itself; its ids are the user's.
    let mut other = link("b", 1, "file", "q");
    assert_eq!(ada.push("b", std::slice::from_ref(&other)).await, ["applied"]);
    other["opId"] = json!("a-5");
    other["writeId"] = json!(2);
    assert_eq!(ada.push("b", &[other, link("b", 3, "file", "q")]).await, ["alreadyApplied", "applied"]);
    // Also where its number comes too late within a push that is all newer.
    let mut late = link("b", 8, "file", "p");
    late["opId"] = json!("a-5");
    assert_eq!(ada.push("b", &[link("b", 9, "file", "q"), late]).await, ["applied", "alreadyApplied"]);
    let page = ada.get(PULL).await.good();
    assert_eq!(page["lastReconciledWriteIds"], json!({ "a": 5, "b": 9 }));
    assert_eq!(page["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_push_that_fails_half_way_leaves_nothing() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    town.ground
        .database
        .execute("ALTER TABLE vfs_crdt_ops ADD CONSTRAINT not_this_one CHECK (client_op_id <> 'a-3')")
        .await;
    let operations: Vec<Json> = (1..=4).map(|write| link("a", write, "file", "p")).collect();
    let push = json!({ "clientId": "a", "operations": operations });
    assert_eq!(ada.post(PUSH, push).await.refusal(), (500, "Failed to push CRDT operations"));
    let page = ada.get(PULL).await.good();
    assert_eq!((&page["items"], &page["lastReconciledWriteIds"]), (&json!([]), &json!({})));
    let seq = town.ground.text("SELECT seq FROM vfs_feed_head").await;
    assert_eq!(seq, "1", "only the item's registration has a position");
    assert_eq!(ada.push("a", &operations[..2]).await, ["applied"; 2]);
}

#[tokio::test]
async fn what_triggers_write_has_whole_milliseconds_and_is_paged_as_everything_is() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_registry (id, object_type, owner_id, created_at)
             SELECT 'Item:' || n, 'file', 'ada', now() FROM generate_series(1, 6) n;
             INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at)
             SELECT 'l' || n, 'Item:1', 'Item:' || n, 'k', now() FROM generate_series(2, 6) n",
        )
        .await;
    let whole = "SELECT bool_and(occurred_at = date_trunc('milliseconds', occurred_at)) FROM vfs_crdt_ops";
    assert_eq!(town.ground.text(whole).await, "true");
    let (items, _) = ada.pull_all(None, 1).await;
    assert_eq!(items.len(), 5);
    let mut cursor = String::new();
    let mut changes = 0;
    loop {
        let page = ada.get(&format!("/v1/vfs/sync?limit=2&cursor={cursor}")).await.good();
        changes += page["items"].as_array().unwrap().len();
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(changes, 11);
}

#[tokio::test]
async fn the_clocks_of_clients_do_not_move_the_feed() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    ada.register("file").await;
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_acl_entries (id, item_id, principal_type, principal_id, access_level, created_at, updated_at)
             VALUES ('share:1', 'file', 'user', 'bob', 'read', now(), now())",
        )
        .await;
    let (_, start) = bob.pull_all(None, 10).await;
    let times =
        ["2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-02-14T20:00:00Z", "9999-12-30T00:00:00Z"];
    for (write, time) in (1_u64..).zip(times) {
        let mut operation = link("a", write, "file", &format!("p{write}"));
        operation["occurredAt"] = json!(time);
        assert_eq!(ada.push("a", &[operation]).await, ["applied"]);
    }
    let (items, _) = bob.pull_all(start.as_deref(), 1).await;
    let parents: Vec<&str> = items.iter().map(|item| item["parentId"].as_str().unwrap()).collect();
    assert_eq!(parents, ["p1", "p2", "p3", "p4"]);
    let now = jiff::Timestamp::now();
    for item in &items {
        let at: jiff::Timestamp = item["occurredAt"].as_str().unwrap().parse().unwrap();
        assert!((now.as_second() - at.as_second()).abs() < 600, "{item}");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_followed_is_refused_with_its_text() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let limit = "limit must be an integer between 1 and 500";
    for path in [PULL, "/v1/vfs/crdt/vfs-sync", "/v1/vfs/sync", "/v1/vfs/vfs-sync"] {
        for (query, text) in [
            ("limit=0", limit),
            ("limit=501", limit),
            ("limit=x", limit),
            ("limit=", limit),
            ("limit=1&limit=1", limit),
            ("cursor=a&cursor=b", "cursor must be a string"),
            ("rootId=a&rootId=b", "rootId must be a string"),
            ("rootId=%00", "rootId must be a string"),
            ("cursor=nonsense", "Invalid cursor"),
            // {"version":2,…}
            (
                "cursor=eyJ2ZXJzaW9uIjoyLCJjaGFuZ2VkQXQiOiIyMDI2LTAyLTE0VDIwOjAwOjAwLjAwMFoiLCJjaGFuZ2VJZCI6ImEifQ",
                "Invalid cursor",
            ),
        ] {
            let answer = ada.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.refusal(), (400, text), "{path}?{query}");
        }
        let page = ada.get(&format!("{path}?limit=10abc&cursor=%20&rootId=")).await.good();
        assert_eq!(
            (&page["items"], &page["hasMore"], &page["nextCursor"]),
            (&json!([]), &json!(false), &Json::Null)
        );
        assert_eq!(page["feedEpoch"], 1);
        assert_eq!(town.nobody().get(path).await.refusal(), (401, "Unauthorized"));
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat_whatever_their_size() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    for batch in 0..4_u64 {
        let operations: Vec<Json> =
            (1..=10).map(|n| link("a", batch * 10 + n, "file", &format!("p{n}"))).collect();
        assert_eq!(ada.push("a", &operations).await, vec!["applied"; 10]);
    }
    let (whole, end) = ada.pull_all(None, 500).await;
    assert_eq!(whole.len(), 40);
    for limit in [1, 7, 39, 40, 41] {
        assert_eq!(ada.pull_all(None, limit).await.0, whole, "{limit}");
    }
    assert_eq!(ada.pull_all(end.as_deref(), 5).await, (Vec::new(), end));
    let from = cursor_of(&whole[12]);
    assert_eq!(ada.pull_all(Some(&from), 4).await.0, whole[13..]);
}

#[tokio::test]
async fn a_root_narrows_the_feed_to_itself_and_what_lies_directly_in_it() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    for id in ["root", "in", "deep", "out"] {
        ada.register(id).await;
    }
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at)
             VALUES ('l1', 'root', 'in', 'k', now()), ('l2', 'in', 'deep', 'k', now())",
        )
        .await;
    let operations: Vec<Json> =
        (1..).zip(["root", "in", "deep", "out"]).map(|(write, item)| link("a", write, item, "p")).collect();
    ada.push("a", &operations).await;
    let page = ada.get(&format!("{PULL}?rootId=root")).await.good();
    let found: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|item| item["itemId"].as_str().unwrap()).collect();
    assert_eq!(found, ["in", "root", "in"]);
}

#[tokio::test]
async fn a_word_that_is_not_known_fails_the_page_and_is_never_taken_for_another() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    ada.register("file").await;
    ada.push("a", &[link("a", 1, "file", "p")]).await;
    town.ground
        .database
        .execute(
            "ALTER TABLE vfs_crdt_ops DROP CONSTRAINT vfs_crdt_ops_op_type_check;
             UPDATE vfs_crdt_ops SET op_type = 'link_swap'",
        )
        .await;
    assert_eq!(ada.get(PULL).await.refusal(), (500, "Failed to sync VFS CRDT operations"));
    town.ground.database.execute("UPDATE vfs_crdt_ops SET op_type = 'link_add', parent_id = child_id").await;
    assert_eq!(ada.get(PULL).await.refusal(), (500, "Failed to sync VFS CRDT operations"));
    town.ground.database.execute("ALTER TABLE vfs_crdt_ops RENAME TO elsewhere").await;
    assert_eq!(ada.get(PULL).await.refusal(), (500, "Failed to sync VFS CRDT operations"));
    let push = json!({ "clientId": "a", "operations": [link("a", 2, "file", "p")] });
    assert_eq!(ada.post(PUSH, push).await.refusal(), (500, "Failed to push CRDT operations"));
}

#[tokio::test]
async fn reconciling_keeps_the_most_and_answers_it() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let older = cursor("2026-02-14T20:00:00Z", "op-B");
    let newer = cursor("2026-02-14T20:00:00.001Z", "op-a");
    let tell = |cursor: &str, ids: Json| json!({ "clientId": " a ", "cursor": cursor, "lastReconciledWriteIds": ids });
    let first = ada.post(RECONCILE, tell(&newer, json!({ "b": 2, " a ": 3, "a": 1 }))).await.good();
    assert_eq!(
        first,
        json!({ "clientId": "a", "cursor": newer, "lastReconciledWriteIds": { "a": 3, "b": 2 }, "feedEpoch": 1 })
    );
    let stale = ada.post(RECONCILE, tell(&older, json!({ "b": 1, "c": 9 }))).await.good();
    assert_eq!(stale["cursor"], json!(newer));
    assert_eq!(stale["lastReconciledWriteIds"], json!({ "a": 3, "b": 2, "c": 9 }));
    assert_eq!(
        town.ground.text("SELECT string_agg(client_id, ',') FROM vfs_sync_client_state").await,
        "crdt:a"
    );
    // By bytes, in which every capital is before every small letter; a language has it the other way round.
    for (ids, kept) in [(["op-B", "op-a"], "op-a"), (["op-a", "op-B"], "op-a"), (["r:1", "r-2"], "r:1")] {
        let client = ids.join("+").replace(':', "_");
        for id in ids {
            let body = json!({ "clientId": client, "cursor": cursor("2026-02-14T20:00:00Z", id) });
            ada.post(RECONCILE, body).await.good();
        }
        let body = json!({ "clientId": client, "cursor": cursor("2026-02-14T19:00:00Z", "x") });
        let kept_at = cursor("2026-02-14T20:00:00Z", kept);
        assert_eq!(ada.post(RECONCILE, body).await.good()["cursor"], json!(kept_at), "{ids:?}");
    }
}

#[tokio::test]
async fn a_malformed_reconcile_is_refused_with_its_text() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let good = cursor("2026-02-14T20:00:00Z", "a");
    let required = "clientId and cursor are required";
    let not_a_map = "lastReconciledWriteIds must be an object map of replicaId -> writeId";
    let replica = "lastReconciledWriteIds contains invalid replicaId (must be non-empty, <=128 chars, and must not include \":\")";
    let write = "lastReconciledWriteIds contains invalid writeId (must be a positive integer)";
    let with = |ids: Json| json!({ "clientId": "a", "cursor": good, "lastReconciledWriteIds": ids });
    let many: serde_json::Map<_, _> = (0..513).map(|n| (format!("r{n}"), json!(1))).collect();
    for (body, text) in [
        (json!(null), required),
        (json!({ "clientId": "a" }), required),
        (json!({ "clientId": " ", "cursor": good }), required),
        (json!({ "clientId": "a", "cursor": 7 }), required),
        (json!({ "clientId": "a:b", "cursor": "?" }), "Invalid cursor"),
        (json!({ "clientId": "a:b", "cursor": good }), "clientId must not contain \":\""),
        (with(json!([])), not_a_map),
        (with(json!("x")), not_a_map),
        (with(Json::Object(many)), "lastReconciledWriteIds exceeds max entries (512)"),
        (with(json!({ "a:b": 1 })), replica),
        (with(json!({ " ": 1 })), replica),
        (with(json!({ "a": 0 })), write),
        (with(json!({ "a": "1" })), write),
        (with(json!({ "a": 9_007_199_254_740_992_u64 })), write),
    ] {
        assert_eq!(ada.post(RECONCILE, body.clone()).await.refusal(), (400, text), "{body}");
    }
    for (body, text) in [
        (json!(null), required),
        (json!({ "clientId": "a", "cursor": "?" }), "Invalid cursor"),
        (json!({ "clientId": "a:b", "cursor": good }), "clientId must not contain \":\""),
    ] {
        for path in ["/v1/vfs/sync/reconcile", "/v1/vfs/vfs-sync/reconcile"] {
            assert_eq!(ada.post(path, body.clone()).await.refusal(), (400, text), "{body}");
        }
    }
}

#[tokio::test]
async fn stored_states_that_are_malformed_fail_and_are_not_passed_over() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    let body = json!({ "clientId": "a", "cursor": cursor("2026-02-14T20:00:00Z", "a") });
    ada.post(RECONCILE, body.clone()).await.good();
    for ids in ["[1]", "\"x\"", "{\"a:b\": 1}"] {
        let set = format!("UPDATE vfs_sync_client_state SET last_reconciled_write_ids = '{ids}'");
        town.ground.database.execute(&set).await;
        let answer = ada.post(RECONCILE, body.clone()).await;
        assert_eq!(answer.refusal(), (500, "Failed to reconcile CRDT cursor"), "{ids}");
    }
    town.ground.database.execute("DROP TABLE vfs_sync_client_state CASCADE").await;
    assert_eq!(ada.post(RECONCILE, body.clone()).await.refusal(), (500, "Failed to reconcile CRDT cursor"));
    let answer = ada.post("/v1/vfs/sync/reconcile", body).await;
    assert_eq!(answer.refusal(), (500, "Failed to reconcile sync cursor"));
}

#[tokio::test]
async fn a_page_names_at_most_512_replicas_and_the_callers_own_always() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_crdt_replica_heads (actor_id, replica_id, max_write_id, updated_at)
             SELECT 'ada', 'r' || n, n, now() - n * interval '1 minute' FROM generate_series(1, 600) n",
        )
        .await;
    let ids = |page: Json| page["lastReconciledWriteIds"].as_object().unwrap().clone();
    let page = ids(ada.get(PULL).await.good());
    assert_eq!((page.len(), page.contains_key("r512"), page.contains_key("r513")), (512, true, false));
    let page = ids(ada.get(&format!("{PULL}?clientId=r600")).await.good());
    assert_eq!((page.len(), &page["r600"], page.contains_key("r512")), (512, &json!(600), false));
    let refused = ada.get(&format!("{PULL}?clientId=a:b")).await;
    assert_eq!(refused.refusal().0, 400);
    // What is reconciled names as many, too.
    town.ground
        .database
        .execute(
            "INSERT INTO vfs_sync_client_state SELECT 'ada', 'crdt:z', now(), 'x',
                 (SELECT jsonb_object_agg('r' || n, n) FROM generate_series(1, 600) n), now()",
        )
        .await;
    let body = json!({ "clientId": "z", "cursor": cursor("2026-02-14T20:00:00Z", "a"), "lastReconciledWriteIds": { "z": 1 } });
    let kept = ids(ada.post(RECONCILE, body).await.good());
    assert_eq!((kept.len(), &kept["z"]), (512, &json!(1)));
    let stored = "SELECT count(*) FROM vfs_sync_client_state, jsonb_object_keys(last_reconciled_write_ids)";
    assert_eq!(town.ground.text(stored).await, "512", "and keeps no more");
}

#[tokio::test]
async fn ids_of_users_may_have_colons() {
    let town = Town::new().await;
    let (ada, other) = (town.user("org:1:ada").await, town.user("org:1").await);
    ada.register("file").await;
    other.register("others").await;
    assert_eq!(ada.push("a", &[link("a", 1, "file", "p")]).await, ["applied"]);
    assert_eq!(other.push("ada", &[link("ada", 1, "others", "p")]).await, ["applied"]);
    let page = ada.get(PULL).await.good();
    assert_eq!(page["lastReconciledWriteIds"], json!({ "a": 1 }));
    assert_eq!(page["items"][0]["sourceId"], "org:1:ada:a:1:a-1");
    assert_eq!(page["items"][0]["actorId"], "org:1:ada");
}
