//! The throwaway Redis.

use std::time::Duration;

use testkit::{Redis, eventually};

const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_it_answered_is_there_after_a_kill() {
    let mut redis = Redis::start().await.unwrap();
    for number in 0..50 {
        assert_eq!(redis.ask(&format!("SET key{number} value")).await.unwrap(), "+OK\r\n");
    }
    redis.kill();
    assert!(redis.ask("PING").await.is_err());
    redis.restart().await.unwrap();
    assert_eq!(redis.ask("DBSIZE").await.unwrap(), ":50\r\n");
}

#[tokio::test]
async fn two_of_them_share_nothing() {
    let (one, two) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());
    assert_ne!(one.url(), two.url());
    one.ask("SET key value").await.unwrap();
    assert_eq!(two.ask("DBSIZE").await.unwrap(), ":0\r\n");
}

#[tokio::test]
async fn while_it_is_paused_it_answers_nothing() {
    let redis = Redis::start().await.unwrap();
    redis.pause().unwrap();
    let asked = redis.ask("PING");
    tokio::pin!(asked);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut asked).await.is_err());
    redis.resume().unwrap();
    assert_eq!(asked.await.unwrap(), "+PONG\r\n");
}

#[tokio::test]
async fn its_settings_are_taken_and_dropping_it_ends_it() {
    let redis = Redis::start_with(&[("maxmemory", "64mb"), ("appendfsync", "everysec")]).await.unwrap();
    assert!(redis.ask("CONFIG GET maxmemory").await.unwrap().contains("67108864"));
    assert!(redis.ask("CONFIG GET appendfsync").await.unwrap().contains("everysec"));
    let port = redis.port();
    drop(redis);
    let gone = eventually("nobody listens", BOUND, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.err()
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn a_setting_that_it_refuses_is_told_with_its_log() {
    let refused = Redis::start_with(&[("no-such-setting", "1")]);
    let refused = tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("Redis answers"), "{refused}");
}
