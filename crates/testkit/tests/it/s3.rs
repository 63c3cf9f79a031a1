//! The S3 endpoint does what it is told, and what a store does.

use std::time::Duration;

use testkit::{S3Code, S3Endpoint, S3Fault, S3Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The whole answer to a GET without a signature.
async fn get(endpoint: &S3Endpoint, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", endpoint.port())).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_endpoint_examines_signatures_and_starts_empty() {
    let endpoint = S3Endpoint::start().await.unwrap();
    assert!(get(&endpoint, "/tide/x").await.starts_with("HTTP/1.1 403"));
    assert_eq!(endpoint.keys().unwrap(), Vec::<String>::new());
    assert_eq!(endpoint.count(S3Operation::Get), 1);
}

#[tokio::test]
async fn faults_are_spent_one_by_one_and_end_when_healed() {
    let endpoint = S3Endpoint::start().await.unwrap();
    endpoint.fault(S3Operation::Get, S3Fault::Refuse(S3Code::SlowDown));
    endpoint.fault(S3Operation::Get, S3Fault::LoseReply);
    let slow = get(&endpoint, "/tide/x").await;
    assert!(slow.starts_with("HTTP/1.1 503") && slow.contains("<Code>SlowDown</Code>"), "{slow}");
    assert_eq!(get(&endpoint, "/tide/x").await, "");
    assert!(get(&endpoint, "/tide/x").await.starts_with("HTTP/1.1 403"));
    endpoint.fault_always(S3Operation::Get, S3Fault::Refuse(S3Code::NoSuchKey));
    assert!(get(&endpoint, "/tide/x").await.starts_with("HTTP/1.1 404"));
    endpoint.heal();
    assert!(get(&endpoint, "/tide/x").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn a_held_answer_goes_out_when_healed_and_a_cut_one_ends_early() {
    let endpoint = S3Endpoint::start().await.unwrap();
    endpoint.fault(S3Operation::Get, S3Fault::HoldReply);
    let mut held = std::pin::pin!(get(&endpoint, "/tide/x"));
    let early = tokio::time::timeout(Duration::from_millis(50), held.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    endpoint.heal();
    let whole = held.await;
    assert!(whole.starts_with("HTTP/1.1 403"), "{whole}");
    endpoint.fault(S3Operation::Get, S3Fault::CutBody);
    let cut = get(&endpoint, "/tide/x").await;
    assert!(cut.starts_with("HTTP/1.1 403") && cut.len() < whole.len(), "{cut}");
}
