//! Every route of administrators: whom it lets in, and whom the trail names for what it changed.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trips::audit::AuditEntry;
use trips::keyspace;

use crate::migration_ground::{Ground, NOON, OLD};
use crate::migration_service::{Answered, Asker, Service};

/// The file that has the routes.
const ROUTES: &str = include_str!("../../src/http/admin.rs");
const MIGRATION: &str = "/api/admin/migration";
const AUTHORIZE: &str = "/api/admin/migration/authorize-auto";
/// The record that is not the user's.
const OTHERS: &str = "trip:Mr Exists:q";

/// A request, and what the last entry of the trail says that it did; none: it changes nothing.
struct Door {
    method: &'static str,
    path: &'static str,
    body: Value,
    action: Option<&'static str>,
}

fn get(path: &'static str) -> Door {
    Door { method: "GET", path, body: Value::Null, action: None }
}

fn post(path: &'static str, body: Value, action: Option<&'static str>) -> Door {
    Door { method: "POST", path, body, action }
}

/// All of them, in an order in which each works.
fn doors() -> Vec<Door> {
    let users = |apply: bool| json!({ "users": ["exists"], "apply": apply });
    let stop = |stop: bool| json!({ "stop": stop, "reason": "a drill" });
    let decision = json!({
        "user": "exists", "namespace": keyspace::logs().as_str(), "key": OTHERS, "resolution": "leave",
        "reason": "not theirs",
    });
    let (stops, moves) = (Some("kill_switch"), Some("storage_migration"));
    vec![
        get("/api/admin/migration/bindings"),
        get("/api/admin/migration/coverage"),
        get("/api/admin/migration/stop"),
        get("/api/admin/audit"),
        post("/api/admin/migration/status", users(false), None),
        post("/api/admin/migration/stop", stop(true), stops),
        post("/api/admin/migration/stop", stop(false), stops),
        post(MIGRATION, users(false), moves),
        post(MIGRATION, users(true), moves),
        get("/api/admin/migration/quarantine?user=exists"),
        post("/api/admin/migration/quarantine/resolve", decision, Some("quarantine_resolved")),
        post(MIGRATION, users(true), moves),
        post("/api/admin/migration/index", users(false), None),
        post("/api/admin/migration/index", users(true), Some("do_migration")),
        post("/api/admin/migration/dual-read", json!({ "on": false }), Some("dual_read")),
        post("/api/admin/migration/dual-read", json!({ "on": true }), Some("dual_read")),
        post(AUTHORIZE, json!({ "hours": 1 }), Some("auto_authorization")),
        post(AUTHORIZE, json!({ "revoke": true }), Some("auto_authorization")),
        post("/api/admin/migration/cleanup", users(false), None),
        post("/api/admin/migration/cleanup", users(true), Some("cleanup")),
    ]
}

/// A service with an administrator whose name is not the id, and `exists`, who has legacy keys.
async fn service() -> (Service, Asker, String) {
    let service = Service::new(Ground::new().await).await;
    let admin = service.sign_up("ana", "Ana").await;
    service.make_admin(&admin.id).await;
    let id = service.ground.user("exists", "Mr Exists").await;
    service.ground.trip("Mr Exists", "t1", OLD).await;
    let others = trips::shapes::trip("q", "another", OLD);
    service.ground.put(&keyspace::logs(), OTHERS, &others).await;
    (service, admin, id)
}

/// Asks as whoever these headers say.
async fn ask(service: &Service, door: &Door, who: &[(&str, &str)]) -> Answered {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(who);
    let body = door.body.to_string();
    let body = (door.method == "POST").then_some(body.as_str());
    service.ask(door.method, door.path, &headers, body).await
}

/// What came into the trail since it had so many entries.
async fn entries_since(ground: &Ground, known: usize) -> Vec<AuditEntry> {
    let page = ground.migration.audit().month(&ground.month(), None, None, None, 500).await.unwrap();
    assert_eq!(page.next, None);
    page.entries.into_iter().skip(known).collect()
}

#[test]
fn no_route_is_left_out() {
    let routes: BTreeSet<&str> =
        ROUTES.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let doors = doors();
    let paths = doors.iter().filter_map(|door| door.path.split('?').next());
    assert_eq!(paths.collect::<BTreeSet<&str>>(), routes);
}

#[tokio::test]
async fn no_door_opens_to_anybody_but_an_administrator_and_nothing_is_written() {
    let (service, admin, _id) = service().await;
    let user = service.sign_up("eve", "Eve").await;
    let of_user = format!("Bearer {}", service.token(&user, "mine", &["admin", "trips"]).await);
    let narrow = format!("Bearer {}", service.token(&admin, "trips only", &["trips"]).await);
    let before = service.ground.all().await;
    for door in doors() {
        for (who, headers) in [
            ("nobody", vec![]),
            ("a session that is none", vec![("cookie", "session_id=11111111-1111-4111-8111-111111111111")]),
            ("a token that is none", vec![("authorization", "Bearer trips_made-up")]),
            ("a user", vec![("cookie", user.cookie.as_str())]),
            ("a user's token", vec![("authorization", of_user.as_str())]),
            ("a token for something else", vec![("authorization", narrow.as_str())]),
            // A token that is none is not made good by a session.
            ("both", vec![("authorization", "Bearer made-up"), ("cookie", admin.cookie.as_str())]),
        ] {
            let answer = ask(&service, &door, &headers).await;
            let told = (answer.status, &answer.body);
            assert_eq!(told, (403, &json!({ "error": "Forbidden" })), "{who}: {} {}", door.method, door.path);
        }
    }
    assert!(service.ground.all().await == before, "somebody who was refused wrote something");
}

#[tokio::test]
async fn an_administrators_session_and_token_open_every_door_and_the_trail_names_the_person() {
    for by_token in [false, true] {
        let (service, admin, id) = service().await;
        let ground = &service.ground;
        let bearer = format!("Bearer {}", service.token(&admin, "night job", &["admin"]).await);
        let who = match by_token {
            true => [("authorization", bearer.as_str())],
            false => [("cookie", admin.cookie.as_str())],
        };
        let (actor, by) = match by_token {
            true => ("token:night job", Some(json!(admin.id))),
            false => (admin.id.as_str(), None),
        };
        let mut known = 0;
        for door in doors() {
            // Each request has a second of its own, so that the trail is in their order.
            ground.clock.advance(1);
            if door.path.ends_with("/cleanup") {
                let since = format!("migration:{id}:doneSince");
                ground.put(&keyspace::migrations(), &since, &json!(NOON.0 - 91 * 86_400)).await;
            }
            let what = format!("{} {} {} by token: {by_token}", door.method, door.path, door.body);
            let answer = ask(&service, &door, &who).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
            let new = entries_since(ground, known).await;
            known += new.len();
            let last = new.last().map(|entry| json!(entry.action));
            assert_eq!(last, door.action.map(Value::from), "{what}: {new:#?}");
            for entry in &new {
                assert_eq!((entry.actor.as_str(), entry.details.get("by")), (actor, by.as_ref()), "{what}");
            }
            // A record of somebody else is in the way until it was decided on.
            let is_waiting = answer.body.pointer("/results/exists/quarantined/0").is_some();
            assert!(is_waiting || answer.body["success"] != json!(false), "{what}: {}", answer.text);
        }
        assert!(ground.entry(&keyspace::logs(), "trip:Mr Exists:t1").await.is_none(), "it was cleaned up");
        assert!(ground.entry(&keyspace::logs(), &format!("trip:{id}:t1")).await.is_some());
        assert!(ground.entry(&keyspace::logs(), OTHERS).await.is_some(), "it is not theirs");
    }
}

#[tokio::test]
async fn one_administrator_by_session_and_by_token_is_one_person() {
    let (service, ana, _id) = service().await;
    let bo = service.sign_up("bo", "Bo").await;
    service.make_admin(&bo.id).await;
    // One of the names is the id of somebody else.
    let first = format!("Bearer {}", service.token(&ana, "night job", &["admin"]).await);
    let other = format!("Bearer {}", service.token(&ana, &bo.id, &["admin"]).await);
    let ways = [("cookie", ana.cookie.as_str()), ("authorization", &first), ("authorization", &other)];
    let authorize =
        async |who: (&str, &str), body: Value| ask(&service, &post(AUTHORIZE, body, None), &[who]).await;
    for begins in ways {
        let answer = authorize(begins, json!({ "hours": 1 })).await;
        assert_eq!((answer.status, &answer.body["stands"]), (200, &json!(false)), "{}", answer.text);
        assert_eq!(answer.body["by"], json!([ana.id]), "the person, and not what a token is called");
        for again in ways {
            let answer = authorize(again, json!({ "hours": 1 })).await;
            assert_eq!(answer.status, 409, "{begins:?} {again:?}: {}", answer.text);
            assert!(!service.ground.migration.is_authorized().await.unwrap(), "{begins:?} {again:?}");
        }
        let answer = authorize(("cookie", &bo.cookie), json!({})).await;
        assert_eq!(answer.body["by"], json!([ana.id, bo.id]), "{}", answer.text);
        assert!(service.ground.migration.is_authorized().await.unwrap(), "{begins:?}");
        assert_eq!(authorize(("cookie", &bo.cookie), json!({ "revoke": true })).await.status, 200);
        assert!(!service.ground.migration.is_authorized().await.unwrap(), "{begins:?}");
    }
}
