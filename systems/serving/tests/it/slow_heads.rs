//! Whoever sends the head of a request slowly, or nothing, keeps no connection.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::stand::{BOUND, Stand, heard};

#[tokio::test]
async fn a_connection_whose_head_comes_slowly_is_closed() {
    let stand = Stand::new(Duration::from_millis(400)).await;
    let mut slow = stand.connect().await;
    slow.write_all(b"GET /at-once HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut letters = 0;
    loop {
        assert!(letters < 400, "a head that never ends keeps its connection");
        letters += 1;
        if slow.write_all(b"a").await.is_err() {
            break;
        }
        if let Some(said) = heard(&mut slow, Duration::from_millis(50)).await {
            assert_eq!(said, "");
            break;
        }
    }
    assert!(letters > 2, "{letters}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_more_is_closed() {
    let stand = Stand::new(Duration::from_millis(400)).await;
    let mut idle = stand.connect().await;
    idle.write_all(b"GET /at-once HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(heard(&mut idle, BOUND).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(heard(&mut idle, BOUND).await.as_deref(), Some(""));
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_head() {
    let stand = Stand::new(Duration::from_millis(400)).await;
    let mut patient = stand.connect().await;
    patient.write_all(b"POST /said HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nsl").await.unwrap();
    assert_eq!(heard(&mut patient, Duration::from_secs(1)).await, None);
    patient.write_all(b"ow").await.unwrap();
    let answer = heard(&mut patient, BOUND).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
}
