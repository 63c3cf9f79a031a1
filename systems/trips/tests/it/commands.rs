//! The program, as operators run it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidegate_store::kv::sqlite::SqliteKv;
use tidegate_store::kv::{Change, Condition, Key, KvStore, Namespace, Write};
use trips::keyspace;
use uuid::Uuid;

struct Desk {
    directory: PathBuf,
    store: SqliteKv,
}

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What is left in the directory of temporary files disturbs nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Desk {
    fn new() -> Desk {
        let directory = std::env::temp_dir().join(format!("trips-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        let store = SqliteKv::open(&directory.join("trips.db")).unwrap();
        Desk { directory, store }
    }

    fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_trips"))
            .args(arguments)
            .env_clear()
            .env("TRIPS_STORE", format!("sqlite:{}", self.directory.join("trips.db").display()))
            .envs(environment.iter().copied())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn put(&self, namespace: &Namespace, key: &str, value: &Value) {
        let change = Change::Put { value: value.to_string().into(), metadata: None, expires_at: None };
        let (namespace, key) = (namespace.clone(), Key::new(key).unwrap());
        self.store
            .write_each(&[Write { namespace, key, change, condition: Condition::Always }])
            .await
            .unwrap();
    }

    async fn json(&self, namespace: &Namespace, key: &str) -> Value {
        let found = self.store.get_some(namespace, &[Key::new(key).unwrap()]).await.unwrap().pop().unwrap();
        found.map_or(Value::Null, |entry| serde_json::from_slice(&entry.value).unwrap())
    }

    async fn keys(&self, namespace: &Namespace, prefix: &str) -> usize {
        self.store.list(namespace, prefix, None, 1_000).await.unwrap().entries.len()
    }

    async fn james(&self) {
        let core = json!({ "id": "u-1", "username": "james", "name": "James", "password": "$secret" });
        self.put(&keyspace::users(), "user:u-1", &core).await;
        self.put(&keyspace::users(), "idx:username:james", &json!("u-1")).await;
        let trip = trips::shapes::trip("t1", "James", "2026-01-01T09:00:00Z");
        self.put(&keyspace::logs(), "trip:James:t1", &trip).await;
    }
}

#[tokio::test]
async fn granting_says_first_and_writes_only_when_told_by_whom() {
    let desk = Desk::new();
    desk.james().await;
    let role = async || desk.json(&keyspace::users(), "user:u-1").await["role"].clone();
    let grant = ["grant-admin", "--env=production", "--userId=u-1"];
    let dry = desk.run(&grant);
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(dry.out.contains("role none -> admin") && dry.out.contains("dry run"), "{}", dry.out);
    for (more, code) in [
        (vec!["--apply"], 2),
        (vec!["--apply", "--actor", " ", "--yes"], 1),
        (vec!["--apply", "--actor", "ops"], 1),
    ] {
        let done = desk.run(&[&grant[..], &more[..]].concat());
        assert_eq!(done.code, code, "{more:?}: {}{}", done.out, done.err);
        assert_eq!(role().await, Value::Null, "{more:?}");
    }
    let apply = [&grant[..], &["--apply", "--actor", "your.name@example.com", "--yes"]].concat();
    let done = desk.run(&apply);
    assert_eq!((done.code, role().await), (0, json!("admin")), "{}", done.err);
    assert!(!done.out.contains("$secret") && !done.err.contains("$secret"));
    assert_eq!(desk.keys(&keyspace::migrations(), "audit:").await, 2);
    assert_eq!(desk.keys(&keyspace::users(), "tidegate:").await, 0);
    assert!(desk.run(&apply).out.contains("nothing to do"));
    assert_eq!(desk.run(&[&apply[..], &["--revoke"]].concat()).code, 0);
    assert_eq!(role().await, Value::Null);
    assert_eq!(desk.run(&["grant-admin", "--env=production", "--userId=nobody"]).code, 1);
    assert_eq!(desk.run(&["grant-admin", "--env=elsewhere", "--userId=u-1"]).code, 1);
}

#[tokio::test]
async fn stores_that_are_not_supported_are_refused_in_plain_words() {
    let desk = Desk::new();
    desk.james().await;
    let grant = ["grant-admin", "--env=production", "--userId=u-1", "--apply", "--actor", "ops", "--yes"];
    for name in ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"] {
        let done = desk.run_with(&grant, &[(name, "x-secret")]);
        assert_eq!(done.code, 2);
        assert!(
            done.err.contains(name) && done.err.contains("not supported") && !done.err.contains("x-secret")
        );
    }
    assert_eq!(desk.json(&keyspace::users(), "user:u-1").await["role"], Value::Null);
}

#[tokio::test]
async fn namespaces_are_those_that_the_environment_names() {
    let desk = Desk::new();
    let (users, migrations) =
        (Namespace::new("other_users").unwrap(), Namespace::new("other_trail").unwrap());
    desk.put(&users, "user:u-9", &json!({ "id": "u-9" })).await;
    let grant = ["grant-admin", "--env=staging", "--userId=u-9", "--apply", "--actor", "ops", "--yes"];
    let environment = [("USERS_KV_ID", "other_users"), ("MIGRATIONS_KV_ID", "other_trail")];
    let done = desk.run_with(&grant, &environment);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(desk.json(&users, "user:u-9").await["role"], json!("admin"));
    assert_eq!(desk.keys(&migrations, "audit:").await, 2);
}

#[tokio::test]
async fn migrating_counts_first_and_copies_when_told_by_whom() {
    let desk = Desk::new();
    desk.james().await;
    let dry = desk.run(&["migrate", "--user", "james"]);
    let told: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!((dry.code, &told["results"]["james"]["wouldMigrate"]), (0, &json!(1)), "{}", dry.err);
    assert_eq!(desk.keys(&keyspace::logs(), "trip:u-1:").await, 0);
    assert_eq!(desk.run(&["migrate", "--user", "james", "--apply"]).code, 2);
    let unasked = desk.run(&["migrate", "--user", "james", "--apply", "--actor", "ops"]);
    assert_eq!(unasked.code, 1);
    assert!(unasked.err.contains("--yes"), "{}", unasked.err);
    assert_eq!(desk.keys(&keyspace::logs(), "trip:u-1:").await, 0);
    let done = desk.run(&["migrate", "--user", "james", "--apply", "--actor", "ops", "--yes"]);
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &told["results"]["james"]["done"]), (0, &json!(true)), "{}", done.err);
    assert_eq!(desk.keys(&keyspace::logs(), "trip:u-1:").await, 1);
    let status: Value = serde_json::from_str(&desk.run(&["status", "--user", "james"]).out).unwrap();
    assert_eq!((&status["james"]["trip_legacy"], &status["james"]["legacyKeys"]), (&json!(0), &json!(1)));
    let coverage: Value = serde_json::from_str(&desk.run(&["status"]).out).unwrap();
    assert_eq!((&coverage["affected"], &coverage["done"]), (&json!(1), &json!(1)));
    assert_eq!(desk.run(&["migrate", "--user", "nobody"]).code, 1);
}

#[tokio::test]
async fn a_keyspace_is_seeded_snapshotted_changed_and_brought_back() {
    let desk = Desk::new();
    let seeded = desk.run(&["seed", "--users", "17", "--seed", "4"]);
    assert_eq!((seeded.code, seeded.out.lines().count()), (0, 17), "{}{}", seeded.out, seeded.err);
    let snapshot = ["kv-snapshot", "--env=staging", "--out=snapshots/pre.json"];
    let taken = desk.run(&snapshot);
    assert_eq!(taken.code, 0, "{}", taken.err);
    assert!(taken.out.contains("sha256"), "{}", taken.out);
    assert_eq!(desk.run(&snapshot).code, 1, "a file that is there is not overwritten");
    let applied = desk.run(&["migrate", "--user", "user0", "--apply", "--actor", "ops", "--yes"]);
    assert_eq!(applied.code, 0, "{}", applied.err);
    let restore = ["kv-restore", "--from=snapshots/pre.json"];
    let would = desk.run(&restore);
    assert_eq!(would.code, 0, "{}", would.err);
    assert!(
        would.out.contains("lost: removed") && would.out.contains("nothing was written"),
        "{}",
        would.out
    );
    let status: Value = serde_json::from_str(&desk.run(&["status", "--user", "user0"]).out).unwrap();
    assert_eq!(status["user0"]["trip_legacy"], json!(0), "a dry run brings nothing back");
    assert_eq!(desk.run(&[&restore[..], &["--apply", "--actor", "ops"]].concat()).code, 1, "nobody said yes");
    let done = desk.run(&[&restore[..], &["--apply", "--actor", "ops", "--yes"]].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    let status: Value = serde_json::from_str(&desk.run(&["status", "--user", "user0"]).out).unwrap();
    assert_ne!(status["user0"]["trip_legacy"], json!(0));
    let by_user = desk.run(&["kv-restore", "--from=snapshots/pre.json", "--mode", "user"]);
    assert_eq!(by_user.code, 2, "it needs the user");
}

#[tokio::test]
async fn only_a_local_store_is_cleared_and_only_when_told_twice() {
    let desk = Desk::new();
    desk.james().await;
    desk.put(&keyspace::users(), "tidegate:kept", &json!(1)).await;
    for (arguments, environment) in [
        (["clear", "--env=staging", "--apply", "--yes"], vec![]),
        (["clear", "--env=production", "--apply", "--yes"], vec![]),
        (["clear", "--env=local", "--apply", "--yes"], vec![("TRIPS_ENV", "production")]),
        (["clear", "--env=local", "--apply", "--yes"], vec![("TRIPS_ENV", "staging")]),
    ] {
        let done = desk.run_with(&arguments, &environment);
        assert_eq!(done.code, 1, "{arguments:?} {environment:?}");
        assert_eq!(desk.keys(&keyspace::logs(), "").await, 1);
    }
    let clear = ["clear", "--env=local"];
    for (more, code, said) in [
        (vec![], 0, "would erase 3 keys"),
        (vec!["--yes"], 0, "nothing was: add --apply"),
        (vec!["--apply"], 1, "--yes"),
    ] {
        let done = desk.run(&[&clear[..], &more[..]].concat());
        assert_eq!(done.code, code, "{more:?}: {}{}", done.out, done.err);
        assert!(format!("{}{}", done.out, done.err).contains(said), "{more:?}: {}{}", done.out, done.err);
        assert_eq!(desk.keys(&keyspace::logs(), "").await, 1, "{more:?}");
    }
    let done = desk.run(&[&clear[..], &["--apply", "--yes"]].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("erased 3 keys"), "{}", done.out);
    assert_eq!(desk.keys(&keyspace::logs(), "").await, 0);
    assert_eq!(desk.keys(&keyspace::users(), "").await, 1, "keys of tools stay");
}

#[tokio::test]
async fn without_a_store_it_says_which_variable_is_missing() {
    let desk = Desk::new();
    let done = desk.run_with(&["status"], &[("TRIPS_STORE", "")]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("TRIPS_STORE"), "{}", done.err);
}
