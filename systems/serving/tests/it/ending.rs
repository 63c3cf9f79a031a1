//! The end in good order: what is open is answered, what is new is refused.

use serving::{Ending, HEAD_TIMEOUT, ServeError, listen};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::stand::{BOUND, Stand, heard};

#[tokio::test]
async fn an_open_request_is_answered_and_no_new_connection_is_taken() {
    let stand = Stand::new(HEAD_TIMEOUT).await;
    let mut open = stand.connect().await;
    open.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stand.begun.notified().await;
    let mut idle = stand.connect().await;
    idle.write_all(b"GET /at-once HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(heard(&mut idle, BOUND).await.unwrap().starts_with("HTTP/1.1 200"));
    stand.end.send(()).unwrap();
    // Whoever asks nothing is sent away at once; then the address is free.
    assert_eq!(heard(&mut idle, BOUND).await.as_deref(), Some(""));
    let refused = || async { TcpStream::connect(stand.address).await.is_err().then_some(()) };
    testkit::eventually("new connections are refused", BOUND, refused).await.unwrap();
    assert!(!stand.served.is_finished());
    stand.let_go.add_permits(1);
    let answer = heard(&mut open, BOUND).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("held"), "{answer}");
    assert!(stand.served.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_is_cut_off() {
    let stand = Stand::new(HEAD_TIMEOUT).await;
    let mut open = stand.connect().await;
    open.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stand.begun.notified().await;
    stand.end.send(()).unwrap();
    // The clock stands still but for what nothing else is waited for.
    assert!(!stand.served.await.unwrap().unwrap());
    assert_eq!(heard(&mut open, BOUND).await.as_deref(), Some(""));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let stand = Stand::new(HEAD_TIMEOUT).await;
    let error = listen(stand.address).await.unwrap_err();
    assert!(matches!(error, ServeError::Listen { address, .. } if address == stand.address));
    assert!(error.to_string().contains("choose another address or port"), "{error}");
}

#[tokio::test]
async fn a_signal_that_comes_before_anybody_waits_is_not_lost() {
    let ending = Ending::take().unwrap();
    let kill = format!("kill -TERM {}", std::process::id());
    let killed = std::process::Command::new("/bin/sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    tokio::time::timeout(BOUND, ending.told()).await.unwrap();
}
