//! A migration gives way to the user whose keys it moves, and to nobody else.

use std::sync::{Arc, Mutex, OnceLock};

use serde_json::json;
use tidegate_store::kv::around::Operation;
use tidegate_store::kv::watched::{Fault, Plan, Watched, hook};
use trips::migration::Migration;
use trips::reading::Reader;
use trips::record::{self, Kind};
use trips::{App, keyspace, user};

use crate::migration_ground::{Ground, OLD};
use crate::migration_service::{PASSWORD, Service};

/// More operations than any request here makes.
const OPERATIONS: u64 = 200;

/// The service on a store at each of whose operations is noted whether the user of this id counts as waiting.
struct Noted {
    service: Service,
    id: String,
    noted: Arc<Mutex<Vec<bool>>>,
}

impl Noted {
    async fn new(environment: &[(&str, &str)]) -> Noted {
        let mut ground = Ground::new().await;
        let hash = user::hashed(PASSWORD.to_owned()).await.unwrap();
        let id = ground.user_with("james", "James", json!({ "password": hash, "role": "admin" })).await;
        let (noted, known) = (Arc::new(Mutex::new(Vec::new())), Arc::new(OnceLock::<Arc<App>>::new()));
        let note = hook({
            let (noted, known, id) = (noted.clone(), known.clone(), id.clone());
            move || {
                let is_busy = known.get().is_some_and(|app| app.foreground().is_busy(&id));
                noted.lock().unwrap().push(is_busy);
                async {}
            }
        });
        let plan = (1..=OPERATIONS).fold(Plan::new(), |plan, nth| plan.at(nth, Fault::Before(note.clone())));
        let get = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        ground.app = App::new(Watched::new(ground.store.clone(), plan), &get);
        assert!(known.set(ground.app.clone()).is_ok());
        Noted { service: Service::new(ground).await, id, noted }
    }

    fn taken(&self) -> Vec<bool> {
        std::mem::take(&mut *self.noted.lock().unwrap())
    }

    async fn sign_in(&self) -> u16 {
        let right = json!({ "username": "james", "password": PASSWORD }).to_string();
        self.service.bare_post("/api/auth/signin", "", &right).await.status
    }

    async fn cookie(&self) -> String {
        self.service.session_of(self.id.clone()).await.cookie
    }
}

#[tokio::test]
async fn a_request_counts_from_when_its_user_is_known_until_it_is_answered() {
    let noted = Noted::new(&[]).await;
    assert_eq!(noted.sign_in().await, 200);
    let of_sign_in = noted.taken();
    assert_eq!((of_sign_in.first(), of_sign_in.last()), (Some(&false), Some(&true)), "{of_sign_in:?}");
    let cookie = noted.cookie().await;
    noted.taken();
    assert_eq!(noted.service.get("/api/trips", &cookie).await.status, 200);
    let of_list = noted.taken();
    assert!(of_list.len() > 2 && of_list.last() == Some(&true), "{of_list:?}");
}

#[tokio::test]
async fn requests_of_nobody_of_others_and_of_administrators_do_not_count() {
    let noted = Noted::new(&[]).await;
    let other = noted.service.sign_up("mary", "Mary").await;
    let cookie = noted.cookie().await;
    noted.taken();
    for path in ["/health", "/ready", "/metrics"] {
        noted.service.get(path, "").await;
    }
    assert_eq!(noted.service.get("/api/trips", &other.cookie).await.status, 200);
    assert_eq!(noted.service.get("/api/admin/migration/stop", &cookie).await.status, 200);
    let noted = noted.taken();
    assert!(noted.len() > 5 && noted.iter().all(|is_busy| !is_busy), "{noted:?}");
}

#[tokio::test]
async fn where_it_is_told_not_to_give_way_no_request_counts() {
    let noted = Noted::new(&[("MIGRATION_GIVES_WAY", "false")]).await;
    assert_eq!(noted.sign_in().await, 200);
    let noted = noted.taken();
    assert!(noted.len() > 2 && noted.iter().all(|is_busy| !is_busy), "{noted:?}");
}

/// A service with 200 trips of James under the name.
async fn with_trips() -> (Ground, String) {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    for number in 0..200 {
        ground.trip("James", &format!("r{number:03}"), OLD).await;
    }
    (ground, id)
}

#[tokio::test]
async fn a_move_goes_in_small_batches_while_its_user_waits_and_in_whole_ones_while_others_do() {
    let batches = async |waits: &str| {
        let (ground, id) = with_trips().await;
        let _request = ground.app.foreground().enter(if waits == "james" { &id } else { waits });
        let told = ground.run("james", true).await;
        assert_eq!((&told["done"], &told["migrated"]), (&json!(true), &json!(200)), "{told:#}");
        let check = ground.app.check_index(&id).await.unwrap();
        assert_eq!((&check["consistent"], &check["live"]["trip"]), (&json!(true), &json!(200)), "{check:#}");
        told["iterations"].as_u64().unwrap()
    };
    assert_eq!(batches("james").await, 7);
    assert_eq!(batches("somebody else").await, 1);
}

#[tokio::test]
async fn an_index_that_is_rebuilt_gently_and_overtaken_by_a_write_has_the_write_too() {
    let (ground, id) = with_trips().await;
    ground.run("james", true).await;
    // Rows that are wrong, so that there is something to write.
    for number in 0..200 {
        let key = format!("index:{id}:trip:r{number:03}");
        ground
            .put(&keyspace::index(), &key, &json!({ "id": format!("r{number:03}"), "date": "never" }))
            .await;
    }
    let beside = ground.app.clone();
    let account = user::by_id(&beside, &id).await.unwrap().unwrap();
    let reader = Arc::new(Reader::new(&beside, &id, &account.value()).await.unwrap());
    let write = hook(move || {
        let (app, reader) = (beside.clone(), reader.clone());
        async move {
            let body = json!({ "id": "meanwhile" }).as_object().cloned().unwrap();
            record::create(&app, &reader, Kind::Trip, &body).await.unwrap();
        }
    });
    // The second batch of rows comes behind a write of the user.
    let plan = Plan::new().at_the(Operation::WriteAll, 2, Fault::Before(write));
    let watched = Watched::new(ground.store.clone(), plan);
    let app = App::new(watched.clone(), &|_| None);
    let _request = app.foreground().enter(&id);
    let migration = Migration::new(&app).unwrap();
    let (success, told) = migration.indexes(&["james".to_owned()], true, &ground.actor()).await;
    assert!(success, "{told:?}");
    assert_eq!(told["james"]["doRepair"], json!({ "repaired": true, "rows": 201 }), "{told:?}");
    let check = ground.app.check_index(&id).await.unwrap();
    assert_eq!((&check["consistent"], &check["rows"]["trip"]), (&json!(true), &json!(201)), "{check:#}");
    // A small batch, the next one, which was overtaken, all that was left in one, and the head.
    assert_eq!(watched.count(Operation::WriteAll), 4);
}
