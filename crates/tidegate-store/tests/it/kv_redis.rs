//! The store in a Redis: its expiry by the server, its promises, and what it says when an answer is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::{Redis, eventually};
use tidegate_store::kv::redis::RedisKv;
use tidegate_store::kv::snapshot::{Difference, Mode, Selection, diff, restore, take};
use tidegate_store::kv::{
    self, Change, Condition, Key, Kv, KvError, Namespace, UnixSecond, Write, Written, WrittenAll,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BOUND: Duration = Duration::from_secs(20);

fn namespace() -> Namespace {
    Namespace::new("logs").unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn put(at: &str, value: &str, expires_at: Option<UnixSecond>) -> Write {
    let change = Change::Put { value: value.to_owned().into(), metadata: None, expires_at };
    Write { namespace: namespace(), key: key(at), change, condition: Condition::Always }
}

async fn value(store: &Kv, at: &str) -> Option<String> {
    let entry = store.get(&namespace(), &key(at)).await.unwrap();
    entry.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
}

async fn opened(redis: &Redis) -> Kv {
    kv::open(&redis.url()).await.unwrap()
}

#[tokio::test]
async fn the_server_drops_what_has_expired_and_a_listing_clears_the_index() {
    let redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    let soon = UnixSecond(store.now().await.unwrap().0 + 2);
    let later = UnixSecond(soon.0 + 1000);
    store
        .write_each(&[put("a", "v", Some(soon)), put("b", "v", None), put("c", "v", Some(later))])
        .await
        .unwrap();
    assert_eq!(store.get(&namespace(), &key("a")).await.unwrap().unwrap().expires_at, Some(soon));
    assert_eq!(redis.ask("EXPIRETIME tidegate-kv:logs:v:c").await.unwrap(), format!(":{}\r\n", later.0));
    assert_eq!(redis.ask("EXPIRETIME tidegate-kv:logs:v:b").await.unwrap(), ":-1\r\n");
    let gone = eventually("the server drops it", BOUND, || async {
        let left = redis.ask("EXISTS tidegate-kv:logs:v:a").await.ok()?;
        (left == ":0\r\n").then_some(())
    });
    gone.await.unwrap();
    assert!(store.now().await.unwrap() >= soon);
    assert_eq!(redis.ask("ZCARD tidegate-kv:logs:i").await.unwrap(), ":3\r\n");
    let listed = store.list_all(&namespace(), "", 10).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(redis.ask("ZCARD tidegate-kv:logs:i").await.unwrap(), ":2\r\n");
    // Put anew without an expiry, it stays: the server's own expiry is not that of before.
    store.write(put("c", "w", None)).await.unwrap();
    assert_eq!(redis.ask("EXPIRETIME tidegate-kv:logs:v:c").await.unwrap(), ":-1\r\n");
}

#[tokio::test]
async fn what_it_answered_is_there_after_the_server_is_killed_and_versions_go_on() {
    let mut redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    assert!(store.properties().durable);
    let mut last = None;
    for number in 0..20 {
        let written = store.write(put(&format!("k{number}"), "v", None)).await.unwrap();
        let Written::Done(Some(version)) = written else { panic!("{written:?}") };
        last = last.max(Some(version));
    }
    redis.kill();
    let refused = store.get(&namespace(), &key("k0")).await.unwrap_err();
    assert!(matches!(refused, KvError::Unavailable { .. }), "{refused}");
    redis.restart().await.unwrap();
    assert_eq!(store.list_all(&namespace(), "k", 100).await.unwrap().len(), 20);
    let written = store.write(put("after", "v", None)).await.unwrap();
    assert!(matches!(written, Written::Done(version) if version > last), "{written:?} after {last:?}");
}

#[tokio::test]
async fn a_write_to_a_server_that_does_not_run_changes_nothing_and_says_so() {
    let mut redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    redis.kill();
    // The first write may still find the dead connection; whatever it says, no later one is in doubt.
    let _ = store.write(put("k", "v", None)).await;
    for _ in 0..3 {
        let refused = store.write(put("k", "v", None)).await.unwrap_err();
        assert!(matches!(refused, KvError::Unavailable { .. }), "{refused}");
    }
    redis.restart().await.unwrap();
    assert_eq!(value(&store, "k").await, None);
    let refused = kv::open("redis://127.0.0.1:1/0").await.unwrap_err();
    assert!(matches!(refused, KvError::Unavailable { .. }), "{refused}");
}

#[tokio::test]
async fn a_connection_that_died_while_it_rested_is_noticed_before_a_write() {
    let mut redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    store.write(put("k", "1", None)).await.unwrap();
    redis.restart().await.unwrap();
    // Until the connection counts as rested a write may be in doubt; then it never is.
    let since = std::time::Instant::now();
    let rested = eventually("the connection has rested", BOUND, || async {
        (since.elapsed() > Duration::from_millis(600)).then_some(())
    });
    rested.await.unwrap();
    let written = store.write(put("k", "2", None)).await.unwrap();
    assert!(matches!(written, Written::Done(Some(_))));
}

/// Something between a client and the server that, once told to, lets requests through and no answers, and hangs up.
struct Relay {
    port: u16,
    deaf: Arc<AtomicBool>,
}

impl Relay {
    async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let deaf = Arc::new(AtomicBool::new(false));
        let told = deaf.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
                    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(async move {
                        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    });
                    let mut bytes = vec![0; 64 * 1024];
                    while let Ok(read) = from_server.read(&mut bytes).await {
                        if read == 0 || told.load(Ordering::SeqCst) {
                            // Both halves go: the client sees the end of its connection.
                            let _ = to_client.shutdown().await;
                            return;
                        }
                        to_client.write_all(&bytes[..read]).await.unwrap();
                    }
                });
            }
        });
        Self { port, deaf }
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_write_is_unknown_and_to_a_reading_is_not() {
    let redis = Redis::start().await.unwrap();
    let relay = Relay::start(redis.port()).await;
    let direct = opened(&redis).await;
    let store = kv::open(&format!("redis://127.0.0.1:{}/0", relay.port)).await.unwrap();
    store.write(put("k", "1", None)).await.unwrap();
    relay.deaf.store(true, Ordering::SeqCst);
    let lost = store.write(put("k", "2", None)).await.unwrap_err();
    assert!(matches!(lost, KvError::Unknown { .. }), "{lost}");
    assert_eq!(value(&direct, "k").await.as_deref(), Some("2"), "it was made, though nobody was told");
    relay.deaf.store(false, Ordering::SeqCst);
    assert_eq!(value(&store, "k").await.as_deref(), Some("2"), "it connects anew by itself");
    relay.deaf.store(true, Ordering::SeqCst);
    let lost = store.get(&namespace(), &key("k")).await.unwrap_err();
    assert!(matches!(lost, KvError::Unavailable { .. }), "{lost}");
    let lost = store.write_all(&[put("k", "3", None)]).await.unwrap_err();
    assert!(matches!(lost, KvError::Unavailable { .. }), "connecting anew already fails: {lost}");
    assert_eq!(value(&direct, "k").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn the_server_is_asked_whether_it_keeps_what_it_answers() {
    for (settings, durable) in
        [(&[][..], true), (&[("appendfsync", "everysec")][..], false), (&[("appendonly", "no")][..], false)]
    {
        let redis = Redis::start_with(settings).await.unwrap();
        assert_eq!(opened(&redis).await.properties().durable, durable, "{settings:?}");
    }
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_loaded_again() {
    let redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    store.write(put("k", "1", None)).await.unwrap();
    assert_eq!(redis.ask("SCRIPT FLUSH").await.unwrap(), "+OK\r\n");
    store.write(put("k", "2", None)).await.unwrap();
    assert_eq!(value(&store, "k").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_name_that_is_another_programs_is_told_before_anything_is_written() {
    let redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    redis.ask("SET tidegate-kv:logs:v:theirs x").await.unwrap();
    for all in [false, true] {
        let writes = [put("mine", "v", None), put("theirs", "v", None)];
        let refused = if all {
            store.write_all(&writes).await.map(|_| ())
        } else {
            store.write_each(&writes).await.map(|_| ())
        };
        assert!(matches!(refused, Err(KvError::Corrupt { .. })), "{refused:?}");
        assert_eq!(value(&store, "mine").await, None);
    }
    redis.ask("SET tidegate-kv:users:i x").await.unwrap();
    let elsewhere = Write { namespace: Namespace::new("users").unwrap(), ..put("k", "v", None) };
    let refused = store.write_all(&[put("mine", "v", None), elsewhere]).await;
    assert!(matches!(refused, Err(KvError::Corrupt { .. })), "{refused:?}");
    assert_eq!(value(&store, "mine").await, None);
}

#[tokio::test]
async fn a_full_server_refuses_a_batch_whole() {
    let redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    store.write(put("standing", "v", None)).await.unwrap();
    redis.ask("CONFIG SET maxmemory 1mb").await.unwrap();
    let writes = [put("a", "v", None), put("b", "v", None)];
    let refused = store.write_all(&writes).await;
    assert!(matches!(refused, Err(KvError::Unavailable { .. })), "{refused:?}");
    let refused = store.write_each(&writes).await;
    assert!(matches!(refused, Err(KvError::Unavailable { .. })), "{refused:?}");
    redis.ask("CONFIG SET maxmemory 0").await.unwrap();
    assert_eq!((value(&store, "a").await, value(&store, "b").await), (None, None));
    assert!(matches!(store.write_all(&writes).await.unwrap(), WrittenAll::Done(_)));
}

#[tokio::test]
async fn a_large_batch_is_written_and_read() {
    let redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    let large = "v".repeat(4 * 1024 * 1024);
    let writes: Vec<_> = (0..12).map(|number| put(&format!("k{number:02}"), &large, None)).collect();
    assert!(matches!(store.write_all(&writes).await.unwrap(), WrittenAll::Done(_)));
    let keys: Vec<_> = (0..12).map(|number| key(&format!("k{number:02}"))).collect();
    let entries = store.get_many(&namespace(), &keys).await.unwrap();
    assert!(entries.iter().all(|entry| entry.as_ref().is_some_and(|entry| entry.value == large)));
}

#[tokio::test]
async fn many_expired_keys_do_not_hide_those_that_stand() {
    let redis = Redis::start().await.unwrap();
    let store = opened(&redis).await;
    let soon = UnixSecond(store.now().await.unwrap().0 + 2);
    for from in [0, 1000, 2000] {
        let writes: Vec<_> =
            (from..from + 1000).map(|at| put(&format!("k{at:05}"), "v", Some(soon))).collect();
        store.write_each(&writes).await.unwrap();
    }
    store.write_each(&[put("k01500x", "v", None), put("z", "v", None)]).await.unwrap();
    let gone = eventually("they expire", BOUND, || async { (store.now().await.ok()? >= soon).then_some(()) });
    gone.await.unwrap();
    let page = store.list(&namespace(), "", None, 2).await.unwrap();
    assert_eq!(page.entries.iter().map(|listed| listed.key.as_str()).collect::<Vec<_>>(), ["k01500x", "z"]);
    assert!(page.complete);
    let cleared = eventually("the index is cleared", BOUND, || async {
        store.list(&namespace(), "", None, 2).await.ok()?;
        (redis.ask("ZCARD tidegate-kv:logs:i").await.ok()? == ":2\r\n").then_some(())
    });
    cleared.await.unwrap();
}

#[tokio::test]
async fn an_address_that_names_no_redis_is_refused_without_its_password() {
    for url in [
        "redis:",
        "redis://",
        "redis+unix:///tmp/secret@x",
        "rediss://me:secret@127.0.0.1:6379",
        "redis://me:secret@h:port/x",
    ] {
        let refused = kv::open(url).await.unwrap_err();
        assert!(matches!(refused, KvError::BadUrl { .. }), "{url}: {refused}");
        assert!(!refused.to_string().contains("me:secret"), "{refused}");
    }
    let mut redis = Redis::start_with(&[("requirepass", "secret")]).await.unwrap();
    let with = |password: &str| format!("redis://:{password}@127.0.0.1:{}/3", redis.port());
    let refused = kv::open(&with("wrong")).await.unwrap_err();
    assert!(matches!(refused, KvError::Unavailable { .. }), "{refused}");
    assert!(!refused.to_string().contains("wrong@"), "{refused}");
    let store = kv::open(&with("secret")).await.unwrap();
    store.write(put("k", "v", None)).await.unwrap();
    assert_eq!(format!("{store:?}"), format!("redis://127.0.0.1:{}/3", redis.port()));
    redis.kill();
    let refused = store.now().await.unwrap_err().to_string();
    assert!(!refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn a_snapshot_of_it_restores_it_exactly() {
    let redis = Redis::start().await.unwrap();
    let store: Kv = Arc::new(RedisKv::open(&redis.url()).await.unwrap());
    let far = UnixSecond(store.now().await.unwrap().0 + 5000);
    store
        .write_each(&[put("a", "1", None), put("b", "2", Some(far)), put("tidegate:x", "t", None)])
        .await
        .unwrap();
    let path = std::env::temp_dir().join(format!("tidegate-redis-snapshot-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let taken = take(&*store, &[namespace()], None, &path).await.unwrap();
    assert!(taken.manifest.consistent);
    store.write_each(&[put("a", "x", None), put("c", "x", None)]).await.unwrap();
    let done = restore(&*store, &path, Mode::Exact, &Selection::all(), true).await.unwrap();
    assert_eq!((done.replaced.count, done.removed.count, done.same), (1, 1, 1));
    let same = diff(&*store, &path, &Selection::all()).await.unwrap();
    assert_eq!(same, Difference { same: 2, ..Difference::default() });
    std::fs::remove_file(&path).unwrap();
}
