//! A Redis whose values were written without the ordered list of their keys.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use testkit::Redis;
use tidegate_store::kv::redis::RedisKv;
use tidegate_store::kv::{Change, Condition, Key, Kv, Write, Written};
use trips::{keyspace, shapes};

fn index(url: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_trips"));
    program.env_clear().env("TRIPS_STORE", url).arg("kv-index").stdin(Stdio::null());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn keys(store: &Kv, prefix: &str) -> Vec<String> {
    let listed = store.list_all(&keyspace::logs(), prefix, 100_000).await.unwrap();
    listed.into_iter().map(|listed| listed.key.to_string()).collect()
}

fn write(key: &str, change: Change) -> Write {
    Write { namespace: keyspace::logs(), key: Key::new(key).unwrap(), change, condition: Condition::Always }
}

fn put(text: &'static str) -> Change {
    Change::Put { value: Bytes::from_static(text.as_bytes()), metadata: None, expires_at: None }
}

#[tokio::test]
async fn values_without_a_list_of_their_keys_are_found_again_and_keep_what_they_are() {
    let redis = Redis::start().await.unwrap();
    let store: Kv = Arc::new(RedisKv::open(&redis.url()).await.unwrap());
    shapes::seed(&store, "x", 51, 1).await.unwrap();
    let before = keys(&store, "").await;
    assert!(before.len() > 100, "{}", before.len());
    let last = store.get(&keyspace::logs(), &Key::new(before[0].clone()).unwrap()).await.unwrap().unwrap();
    for namespace in keyspace::all() {
        redis.ask(&format!("DEL tidegate-kv:{namespace}:i")).await.unwrap();
    }
    redis.ask("DEL tidegate-kv:version").await.unwrap();
    // By a program that knew nothing of metadata, ends and versions.
    redis.ask("HSET tidegate-kv:BETA_LOGS_KV:v:trip:old:1 d {}").await.unwrap();
    redis.ask("EXPIREAT tidegate-kv:BETA_LOGS_KV:v:trip:old:1 4102444800").await.unwrap();
    // Of somebody else.
    redis.ask("SET other:thing 1").await.unwrap();
    assert_eq!(keys(&store, "").await, Vec::<String>::new());

    let said = index(&redis.url());
    assert!(said.contains("1  of them lacked metadata"), "{said}");
    let mut wanted = before.clone();
    wanted.push("trip:old:1".to_owned());
    wanted.sort();
    assert_eq!(keys(&store, "").await, wanted);
    let old = store.get(&keyspace::logs(), &Key::new("trip:old:1").unwrap()).await.unwrap().unwrap();
    assert_eq!((&old.value[..], old.expires_at.unwrap().0), (&b"{}"[..], 4_102_444_800));
    let found = store.get(&keyspace::logs(), &Key::new(before[0].clone()).unwrap()).await.unwrap();
    assert_eq!(found, Some(last.clone()));
    // No version is given twice.
    let Written::Done(Some(version)) = store.write(write("trip:new:1", put("{}"))).await.unwrap() else {
        panic!("it was not written")
    };
    assert!(version > last.version && version > old.version, "{version:?}");
    assert!(index(&redis.url()).contains("       0  of them were in no list"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_made_while_others_write_has_what_stands_and_nothing_that_went() {
    let redis = Redis::start().await.unwrap();
    let store: Kv = Arc::new(RedisKv::open(&redis.url()).await.unwrap());
    shapes::seed(&store, "x", 170, 1).await.unwrap();
    let before = keys(&store, "trip:").await;
    redis.ask(&format!("DEL tidegate-kv:{}:i", keyspace::logs())).await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, ended) = (store.clone(), ended.clone());
        async move {
            let mut rounds = 0;
            while !ended.load(Ordering::SeqCst) {
                let key = format!("trip:busy:{}", rounds % 7);
                store.write(write(&key, put("{}"))).await.unwrap();
                store.write(write(&key, Change::Delete)).await.unwrap();
                rounds += 1;
            }
            rounds
        }
    });
    for _ in 0..3 {
        index(&redis.url());
    }
    ended.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 0);
    assert_eq!(keys(&store, "trip:").await, before);
}

#[tokio::test]
async fn the_embedded_store_needs_no_list() {
    let directory = std::env::temp_dir().join(format!("trips-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&directory).unwrap();
    let said = index(&format!("sqlite:{}", directory.join("trips.db").display()));
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(said.contains("needs no list"), "{said}");
}
