//! Shares, and what they let others see: owners, later grantees, and those who lose what they had.

use serde_json::{Value as Json, json};
use testkit::eventually;

use crate::ground::{Asker, BOUND, Town, link};

fn of(items: &[Json], field: &str) -> Vec<String> {
    items.iter().map(|item| item[field].as_str().unwrap_or("null").to_owned()).collect()
}

async fn with_organization(town: &Town, users: &[&str]) {
    town.ground
        .database
        .execute(
            "INSERT INTO organizations (id, name) VALUES ('org', 'The Org'), ('far', 'Far away');
             INSERT INTO groups (id, name, organization_id) VALUES ('grp', 'The Group', 'org'), ('farg', 'F', 'far')",
        )
        .await;
    for user in users {
        let add =
            format!("INSERT INTO user_organizations (user_id, organization_id) VALUES ('{user}', 'org')");
        town.ground.database.execute(&add).await;
    }
}

async fn share(owner: &Asker, item: &str, kind: &str, target: &str) -> String {
    let body = json!({ "shareType": kind, "targetId": target, "permissionLevel": "view" });
    let answer = owner.post(&format!("/v1/vfs/items/{item}/shares"), body).await.good();
    answer["share"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_owner_sees_what_happens_to_an_item_without_any_share() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    ada.register("file").await;
    ada.push("a", &[link("a", 1, "file", "p")]).await;
    let (items, _) = ada.pull_all(None, 10).await;
    assert_eq!(of(&items, "itemId"), ["file"]);
    let page = ada.get("/v1/vfs/sync").await.good();
    let change = &page["items"][0];
    assert_eq!(
        (&change["changeType"], &change["objectType"], &change["ownerId"], &change["accessLevel"]),
        (&json!("upsert"), &json!("file"), &json!("ada"), &json!("admin"))
    );
    assert!(change["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(bob.pull_all(None, 10).await.0, Vec::<Json>::new());
    assert_eq!(bob.get("/v1/vfs/sync").await.good()["items"], json!([]));
}

#[tokio::test]
async fn a_later_grantee_receives_where_the_item_lies_and_a_loser_hears_of_the_loss() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    with_organization(&town, &["ada", "bob"]).await;
    ada.register("file").await;
    ada.register("folder").await;
    ada.register("bait").await;
    town.ground
        .database
        .execute("INSERT INTO vfs_links (id, parent_id, child_id, wrapped_session_key, created_at) VALUES ('l', 'folder', 'file', 'k', now())")
        .await;
    let mut below = link("z", 1, "file", "Pushed");
    ada.push("z", std::slice::from_ref(&below)).await;
    below = link("z", 2, "file", "left");
    let mut left = link("z", 3, "file", "left");
    left["opType"] = json!("link_remove");
    ada.push("z", &[below, left]).await;
    share(&ada, "bait", "user", "bob").await;
    // Bob has read to the end before he is given the file.
    let (_, before) = bob.pull_all(None, 10).await;
    assert!(before.is_some());
    let id = share(&ada, "file", "user", "bob").await;
    let (granted, then) = bob.pull_all(before.as_deref(), 10).await;
    assert_eq!(of(&granted, "opType"), ["acl_add", "link_add", "link_add", "link_remove"]);
    assert_eq!(of(&granted, "parentId"), ["null", "Pushed", "folder", "left"]);
    assert_eq!(granted[2]["childId"], json!("file"));
    ada.push("a", &[link("a", 1, "file", "folder-2")]).await;
    let (pushed, then) = bob.pull_all(then.as_deref(), 10).await;
    assert_eq!(of(&pushed, "parentId"), ["folder-2"]);

    let gone = ada.delete(&format!("/v1/vfs/shares/{id}")).await.good();
    assert_eq!(gone, json!({ "deleted": true }));
    let (lost, after) = bob.pull_all(then.as_deref(), 10).await;
    assert_eq!(
        (of(&lost, "opType"), of(&lost, "principalId")),
        (vec!["acl_remove".into()], vec!["bob".into()])
    );
    ada.push("a", &[link("a", 2, "file", "folder-3")]).await;
    assert_eq!(bob.pull_all(after.as_deref(), 10).await.0, Vec::<Json>::new());
    let page = bob.get("/v1/vfs/sync?limit=500").await.good();
    let last = page["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["changeType"], &last["itemId"], &last["accessLevel"]),
        (&json!("acl"), &json!("file"), &Json::Null)
    );
    assert_eq!(last["ownerId"], Json::Null);

    // Given again, it is told again, under the same share.
    assert_eq!(share(&ada, "file", "user", "bob").await, id);
    let (again, _) = bob.pull_all(after.as_deref(), 10).await;
    assert_eq!(
        of(&again, "opType"),
        ["link_add", "acl_add", "link_add", "link_add", "link_add", "link_add", "link_remove"]
    );
}

#[tokio::test]
async fn who_joins_a_group_is_told_all_of_its_items_and_who_leaves_hears_of_the_loss() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    town.user("eve").await;
    with_organization(&town, &["ada", "bob", "eve"]).await;
    for item in ["bait", "mine", "shared"] {
        ada.register(item).await;
    }
    ada.push("a", &[link("a", 1, "shared", "p"), link("a", 2, "mine", "p")]).await;
    let eves = share(&ada, "shared", "user", "eve").await;
    share(&ada, "shared", "group", "grp").await;
    share(&ada, "mine", "group", "grp").await;
    share(&ada, "mine", "user", "bob").await;
    // Bob has read to the end before he comes into the group.
    let (_, before) = bob.pull_all(None, 10).await;
    assert!(before.is_some());
    town.ground.database.execute("INSERT INTO user_groups VALUES ('bob', 'grp')").await;
    let (joined, then) = bob.pull_all(before.as_deref(), 10).await;
    let joined: Vec<Json> = joined.into_iter().filter(|told| told["itemId"] == "shared").collect();
    assert_eq!(of(&joined, "opType"), ["acl_add", "link_add", "acl_add"]);
    assert_eq!(of(&joined, "principalId"), ["grp", "null", "eve"]);
    assert_eq!(joined[2]["accessLevel"], "read");

    town.ground.database.execute("DELETE FROM user_groups").await;
    let (left, then) = bob.pull_all(then.as_deref(), 10).await;
    // What is shared with him besides stays.
    assert_eq!(
        (of(&left, "itemId"), of(&left, "opType")),
        (vec!["shared".into()], vec!["acl_remove".into()])
    );
    ada.push("a", &[link("a", 3, "shared", "q")]).await;
    assert_eq!(bob.pull_all(then.as_deref(), 10).await.0, Vec::<Json>::new());

    // Who is given it later is told, too, who has lost it.
    ada.delete(&format!("/v1/vfs/shares/{eves}")).await.good();
    let id = share(&ada, "shared", "user", "bob").await;
    let (again, _) = bob.pull_all(then.as_deref(), 10).await;
    let about = |who: &str| {
        let last = again.iter().rfind(|told| told["itemId"] == "shared" && told["principalId"] == who);
        last.map(|told| told["opType"].as_str().unwrap().to_owned())
    };
    assert_eq!(about("eve").as_deref(), Some("acl_remove"));
    assert_eq!(about("grp").as_deref(), Some("acl_add"));
    assert_eq!(about("bob").as_deref(), Some("acl_add"), "{id}");
}

#[tokio::test]
async fn groups_and_organizations_see_what_is_shared_with_them_and_expired_shares_show_nothing() {
    let town = Town::new().await;
    let (ada, bob, eve) = (town.user("ada").await, town.user("bob").await, town.user("eve").await);
    with_organization(&town, &["ada", "bob"]).await;
    town.ground.database.execute("INSERT INTO user_groups VALUES ('bob', 'grp')").await;
    for item in ["g", "o", "x"] {
        ada.register(item).await;
    }
    share(&ada, "g", "group", "grp").await;
    share(&ada, "o", "organization", "org").await;
    share(&ada, "x", "user", "bob").await;
    town.ground
        .database
        .execute("UPDATE vfs_acl_entries SET expires_at = now() - interval '1 s' WHERE item_id = 'x'")
        .await;
    let (items, _) = bob.pull_all(None, 2).await;
    // That the last one ended is told to whom it was for.
    assert_eq!(of(&items, "itemId"), ["g", "o", "x"]);
    assert_eq!(items[2]["opType"], "acl_remove");
    let page = bob.get("/v1/vfs/sync").await.good();
    let of_group = &page["items"][0];
    assert_eq!((&of_group["itemId"], &of_group["accessLevel"]), (&json!("g"), &json!("read")));
    assert_eq!(eve.pull_all(None, 10).await.0, Vec::<Json>::new());
}

#[tokio::test]
async fn each_refusal_of_sharing_has_its_text() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    town.ground.token("far").await;
    with_organization(&town, &["ada", "bob"]).await;
    ada.register("file").await;
    let path = "/v1/vfs/items/file/shares";
    let body = |kind: &str, target: &str| json!({ "shareType": kind, "targetId": target, "permissionLevel": "edit" });
    let required = "shareType, targetId, and permissionLevel are required";
    for broken in [json!(null), json!({}), body("robot", "bob"), body("user", " "), body("user", "b\0")] {
        assert_eq!(ada.post(path, broken).await.refusal(), (400, required));
    }
    let mut late = body("user", "bob");
    for at in [json!("2020-01-01T00:00:00Z"), json!("soon"), json!(7)] {
        late["expiresAt"] = at;
        assert_eq!(ada.post(path, late.clone()).await.refusal(), (400, "expiresAt must be in the future"));
    }
    let nothing = ada.post("/v1/vfs/items/none/shares", body("user", "bob")).await;
    assert_eq!(nothing.refusal(), (404, "Item not found"));
    let nul = ada.post("/v1/vfs/items/a%00b/shares", body("user", "bob")).await;
    assert_eq!(nul.refusal(), (404, "Item not found"));
    assert_eq!(
        bob.post(path, body("user", "ada")).await.refusal(),
        (403, "Not authorized to share this item")
    );
    assert_eq!(bob.get(path).await.refusal(), (403, "Not authorized to view shares for this item"));
    assert_eq!(bob.get("/v1/vfs/items/none/shares").await.refusal(), (404, "Item not found"));
    for (kind, target) in [("user", "far"), ("user", "none"), ("group", "farg"), ("organization", "far")] {
        let answer = ada.post(path, body(kind, target)).await;
        assert_eq!(answer.refusal(), (404, format!("{kind} not found").as_str()));
    }
    let made = ada.post(path, body("user", "bob")).await;
    assert_eq!(made.status, 201);
    let made = made.good()["share"].clone();
    assert_eq!(
        (
            &made["shareType"],
            &made["targetId"],
            &made["targetName"],
            &made["permissionLevel"],
            &made["createdBy"]
        ),
        (&json!("user"), &json!("bob"), &json!("Name of bob"), &json!("edit"), &json!("ada"))
    );
    assert_eq!(ada.post(path, body("user", "bob")).await.refusal(), (409, "Share already exists"));
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("share:"));
    let listed = ada.get(path).await.good();
    assert_eq!(listed, json!({ "shares": [made], "orgShares": [] }));

    let one = format!("/v1/vfs/shares/{id}");
    assert_eq!(
        bob.patch(&one, json!({ "permissionLevel": "view" })).await.refusal(),
        (403, "Not authorized to update this share")
    );
    assert_eq!(ada.patch(&one, json!({})).await.refusal(), (400, "permissionLevel or expiresAt is required"));
    let changed =
        ada.patch(&one, json!({ "permissionLevel": "view", "expiresAt": "2999-01-01" })).await.good();
    assert_eq!(
        (&changed["share"]["permissionLevel"], &changed["share"]["expiresAt"]),
        (&json!("view"), &json!("2999-01-01T00:00:00.000Z"))
    );
    let cleared = ada.patch(&one, json!({ "expiresAt": null })).await.good();
    assert_eq!(cleared["share"]["expiresAt"], Json::Null);
    assert_eq!(bob.delete(&one).await.refusal(), (403, "Not authorized to delete this share"));
    let bare = format!("/v1/vfs/shares/{}", id.trim_start_matches("share:"));
    assert_eq!(ada.delete(&bare).await.status, 200);
    assert_eq!(ada.delete(&one).await.refusal(), (404, "Share not found"));
    assert_eq!(
        ada.patch(&one, json!({ "permissionLevel": "view" })).await.refusal(),
        (404, "Share not found")
    );
}

#[tokio::test]
async fn organizations_share_with_each_other() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    with_organization(&town, &["ada"]).await;
    town.ground.database.execute("INSERT INTO user_organizations VALUES ('bob', 'far', false)").await;
    ada.register("file").await;
    let path = "/v1/vfs/items/file/org-shares";
    let body = |source: &str, target: &str| json!({ "sourceOrgId": source, "targetOrgId": target, "permissionLevel": "view" });
    assert_eq!(
        ada.post(path, json!({})).await.refusal(),
        (400, "sourceOrgId, targetOrgId, and permissionLevel are required")
    );
    assert_eq!(ada.post(path, body("far", "org")).await.refusal(), (404, "Source organization not found"));
    assert_eq!(ada.post(path, body("org", "none")).await.refusal(), (404, "Target organization not found"));
    let made = ada.post(path, body("org", "far")).await.good()["orgShare"].clone();
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("org-share:org:"), "{id}");
    assert_eq!(ada.post(path, body("org", "far")).await.refusal(), (409, "Org share already exists"));
    assert_eq!(ada.get("/v1/vfs/items/file/shares").await.good()["orgShares"][0]["id"], json!(id));
    assert_eq!(of(&bob.pull_all(None, 10).await.0, "opType"), ["acl_add"]);
    assert_eq!(ada.delete(&format!("/v1/vfs/shares/{id}")).await.refusal(), (404, "Share not found"));
    assert_eq!(ada.delete(&format!("/v1/vfs/org-shares/{id}")).await.good(), json!({ "deleted": true }));
    assert_eq!(of(&bob.pull_all(None, 10).await.0, "opType"), ["acl_remove"]);
}

#[tokio::test]
async fn whom_to_share_with_is_found_within_ones_organizations() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    town.ground.token("bob").await;
    town.ground.token("nobody-of-ours").await;
    with_organization(&town, &["ada", "bob"]).await;
    let search = async |query: &str| ada.get(&format!("/v1/vfs/share-targets/search?{query}")).await;
    for query in ["", "q=", &format!("q={}", "x".repeat(201)), "q=%00"] {
        assert_eq!(search(query).await.refusal(), (400, "q must be 1 to 200 characters"));
    }
    assert_eq!(search("q=a&type=robot").await.refusal(), (400, "type must be user, group, or organization"));
    let found = search("q=THE").await.good();
    assert_eq!(
        found["results"],
        json!([
            { "id": "grp", "type": "group", "name": "The Group" },
            { "id": "org", "type": "organization", "name": "The Org" },
        ])
    );
    let found = search("q=name%20of&type=user").await.good();
    assert_eq!(found["results"], json!([{ "id": "bob", "type": "user", "name": "Name of bob" }]));
    assert_eq!(search("q=%25").await.good()["results"], json!([]));
}

#[tokio::test]
async fn items_and_keys_are_registered_once() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    let path = "/v1/vfs/register";
    let item = |id: &str, kind: &str| json!({ "id": id, "objectType": kind, "encryptedSessionKey": "k" });
    let required = "id, objectType, and encryptedSessionKey are required";
    for body in [
        json!(null),
        json!([1]),
        json!({ "id": "a", "objectType": "file" }),
        json!({ "id": "a", "objectType": "file", "encryptedSessionKey": " " }),
        item(" ", "file"),
        item("a", "blobStage"),
        item("a", "File"),
        item("a\0", "file"),
        item(&"x".repeat(10_240), "file"),
    ] {
        assert_eq!(ada.post(path, body.clone()).await.refusal(), (400, required), "{body}");
    }
    for (n, kind) in vfs_server::registry::OBJECT_TYPES.iter().enumerate() {
        let made = ada.post(path, item(&format!(" ../{n} "), kind)).await;
        assert_eq!(made.status, 201);
        assert_eq!(made.body["id"], json!(format!("../{n}")));
        assert!(made.body["createdAt"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(bob.post(path, item("../0", "file")).await.refusal(), (409, "Item already registered in VFS"));
    town.ground.database.execute("ALTER TABLE vfs_registry RENAME TO elsewhere").await;
    assert_eq!(ada.post(path, item("b", "file")).await.refusal(), (500, "Failed to register VFS item"));

    assert_eq!(ada.get("/v1/vfs/keys/me").await.refusal(), (404, "VFS keys not set up"));
    assert_eq!(ada.post("/v1/vfs/keys", json!({})).await.refusal(), (400, "publicKey is required"));
    assert_eq!(ada.post("/v1/vfs/keys", json!({ "publicKey": "pk" })).await.status, 201);
    assert_eq!(
        ada.post("/v1/vfs/keys", json!({ "publicKey": "pk" })).await.refusal(),
        (409, "VFS keys already exist")
    );
    assert_eq!(ada.get("/v1/vfs/keys/me").await.good()["publicKey"], "pk");
}

#[tokio::test]
async fn whoever_lost_an_item_hears_of_the_loss_and_of_nothing_after_it() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    town.user("eve").await;
    with_organization(&town, &["ada", "bob", "eve"]).await;
    ada.register("file").await;
    let id = share(&ada, "file", "user", "bob").await;
    ada.delete(&format!("/v1/vfs/shares/{id}")).await.good();
    let told = bob.get("/v1/vfs/sync?limit=500").await.good()["items"].clone();
    assert_eq!(of(told.as_array().unwrap(), "changeType").last().unwrap(), "acl");
    let other = share(&ada, "file", "user", "eve").await;
    ada.delete(&format!("/v1/vfs/shares/{other}")).await.good();
    assert_eq!(bob.get("/v1/vfs/sync?limit=500").await.good()["items"], told);
    // It is the same for one that has ended by itself.
    share(&ada, "file", "user", "bob").await;
    town.ground
        .database
        .execute("UPDATE vfs_acl_entries SET expires_at = now() - interval '1 s' WHERE principal_id = 'bob'")
        .await;
    let told = bob.get("/v1/vfs/sync?limit=500").await.good()["items"].clone();
    share(&ada, "file", "user", "eve").await;
    assert_eq!(bob.get("/v1/vfs/sync?limit=500").await.good()["items"], told);
}

#[tokio::test]
async fn a_pushed_removal_reaches_nobody_who_may_not_see_the_item() {
    let town = Town::new().await;
    let (mal, bob) = (town.user("mal").await, town.user("bob").await);
    with_organization(&town, &["bob"]).await;
    mal.register("bait").await;
    let removal = |write: u64, kind: &str, whom: &str| {
        json!({
            "opId": format!("m{write}"), "opType": "acl_remove", "itemId": "bait", "replicaId": "m",
            "writeId": write, "occurredAt": "2026-02-14T20:00:00.000Z", "principalType": kind, "principalId": whom,
        })
    };
    let pushed = mal.push("m", &[removal(1, "organization", "org"), removal(2, "user", "bob")]).await;
    assert_eq!(pushed, ["applied", "applied"]);
    assert_eq!(bob.pull_all(None, 10).await.0, Vec::<Json>::new());
    assert_eq!(mal.pull_all(None, 10).await.0.len(), 2);
}

#[tokio::test]
async fn a_share_between_organizations_is_one_also_where_a_share_of_another_kind_was_taken_back() {
    let town = Town::new().await;
    let ada = town.user("ada").await;
    with_organization(&town, &["ada"]).await;
    ada.register("file").await;
    let id = share(&ada, "file", "organization", "org").await;
    ada.delete(&format!("/v1/vfs/shares/{id}")).await.good();
    let body = json!({ "sourceOrgId": "org", "targetOrgId": "org", "permissionLevel": "view" });
    let made = ada.post("/v1/vfs/items/file/org-shares", body).await.good();
    let between = made["orgShare"]["id"].as_str().unwrap().to_owned();
    assert!(between.starts_with("org-share:org:"), "{between}");
    let listed = ada.get("/v1/vfs/items/file/shares").await.good();
    assert_eq!((&listed["shares"], listed["orgShares"].as_array().unwrap().len()), (&json!([]), 1));
    ada.delete(&format!("/v1/vfs/org-shares/{between}")).await.good();
    assert!(share(&ada, "file", "organization", "org").await.starts_with("share:"));
}

#[tokio::test]
async fn a_share_that_ends_by_time_is_told_of_once_in_both_feeds() {
    let town = Town::new().await;
    let (ada, bob) = (town.user("ada").await, town.user("bob").await);
    with_organization(&town, &["ada", "bob"]).await;
    for item in ["file", "other"] {
        ada.register(item).await;
    }
    share(&ada, "other", "user", "bob").await;
    let soon = jiff::Timestamp::now() + std::time::Duration::from_millis(1_500);
    let body = json!({
        "shareType": "user", "targetId": "bob", "permissionLevel": "view", "expiresAt": soon.to_string(),
    });
    ada.post("/v1/vfs/items/file/shares", body.clone()).await.good();
    let (seen, cursor) = bob.pull_all(None, 10).await;
    assert_eq!(
        (of(&seen, "itemId"), of(&seen, "opType")),
        (vec!["other".into(), "file".into()], vec!["acl_add".into(), "acl_add".into()],)
    );
    let before = bob.get("/v1/vfs/sync?limit=500").await.good()["items"].clone();
    let before = before.as_array().unwrap().last().unwrap().clone();
    assert_eq!((&before["itemId"], &before["accessLevel"]), (&json!("file"), &json!("read")));
    let told = eventually("the end is told", BOUND, || async {
        let (told, _) = bob.pull_all(cursor.as_deref(), 10).await;
        (!told.is_empty()).then_some(told)
    });
    let told = told.await.unwrap();
    assert_eq!(
        (of(&told, "itemId"), of(&told, "opType"), of(&told, "principalId")),
        (vec!["file".into()], vec!["acl_remove".into()], vec!["bob".into()])
    );
    let page = bob.get("/v1/vfs/sync?limit=500").await.good()["items"].clone();
    let last = page.as_array().unwrap().last().unwrap();
    assert_ne!(last["changeId"], before["changeId"], "{page}");
    assert_eq!(
        (&last["itemId"], &last["changeType"], &last["accessLevel"]),
        (&json!("file"), &json!("acl"), &Json::Null)
    );
    // Each instance looks again and again, and finds nothing more; one that is looked for by hand finds nothing either.
    let address = town.ground.address();
    let pool = tidegate_store::postgres::Pool::new(address, tidegate_store::postgres::PoolOptions::default());
    let pool = pool.unwrap();
    assert_eq!(vfs_server::share::tell_ended(&pool).await.unwrap(), 0);
    // Shared anew under another end, the new end is told as well.
    let again = json!({ "shareType": "user", "targetId": "bob", "permissionLevel": "view" });
    ada.post("/v1/vfs/items/file/shares", again).await.good();
    let id = town.ground.text("SELECT id FROM vfs_acl_entries WHERE item_id = 'file'").await;
    let soon = jiff::Timestamp::now() + std::time::Duration::from_millis(300);
    ada.patch(&format!("/v1/vfs/shares/{id}"), json!({ "expiresAt": soon.to_string() })).await.good();
    let removals = "SELECT count(*) FROM vfs_crdt_ops WHERE item_id = 'file' AND op_type = 'acl_remove'
                    AND source_table = 'vfs_acl_entries'";
    eventually("the second end is told", BOUND, || async {
        (town.ground.text(removals).await == "2").then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_end_that_comes_while_writes_are_frozen_is_told_after_the_freeze() {
    let town = Town::new().await;
    let (ada, _) = (town.user("ada").await, town.user("bob").await);
    with_organization(&town, &["ada", "bob"]).await;
    ada.register("file").await;
    let soon = jiff::Timestamp::now() + std::time::Duration::from_millis(500);
    let body = json!({
        "shareType": "user", "targetId": "bob", "permissionLevel": "view", "expiresAt": soon.to_string(),
    });
    ada.post("/v1/vfs/items/file/shares", body).await.good();
    let database = &town.ground.database;
    database
        .execute("UPDATE vfs_freeze SET frozen_until = now() + interval '1 hour', epoch = epoch + 1")
        .await;
    let pool = tidegate_store::postgres::Pool::new(
        town.ground.address(),
        tidegate_store::postgres::PoolOptions::default(),
    );
    let pool = pool.unwrap();
    let refused = eventually("the end is refused", BOUND, || async {
        vfs_server::share::tell_ended(&pool).await.err()
    });
    assert!(refused.await.unwrap().to_string().contains("Writes are frozen"));
    let told = "SELECT count(*) FROM vfs_crdt_ops WHERE op_type = 'acl_remove'";
    assert_eq!(town.ground.text(told).await, "0");
    database.execute("UPDATE vfs_freeze SET frozen_until = NULL, epoch = epoch + 1").await;
    eventually("the end is told", BOUND, || async { (town.ground.text(told).await == "1").then_some(()) })
        .await
        .unwrap();
}
