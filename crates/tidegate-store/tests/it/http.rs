//! HTTP requests to endpoints that behave and that do not.

use std::time::Duration;

use tidegate_store::http::{Client, HttpFailure, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::door::BOUND;

/// An endpoint that answers one connection with the given bytes, and returns what it was sent.
async fn endpoint(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let heard = hear(&mut stream).await;
        // The client may hang up in the middle of an answer that is too large.
        let _sent = stream.write_all(&answer).await;
        heard
    });
    (url, served)
}

/// Reads a request's head, and its body by Content-Length.
async fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        heard.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&heard).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return String::from_utf8(heard).unwrap();
            }
        }
        assert!(count > 0, "the request is incomplete: {text}");
    }
}

fn get(url: &str) -> Request {
    Request { method: "GET".to_owned(), url: url.to_owned(), headers: vec![], body: None, timeout: BOUND }
}

#[tokio::test]
async fn a_request_is_sent_as_written_and_any_status_is_an_answer() {
    let (url, served) =
        endpoint("HTTP/1.1 409 Conflict\r\nX-One: 1\r\nContent-Length: 4\r\n\r\nno\r\n").await;
    let request = Request {
        method: "POST".to_owned(),
        headers: vec![("Idempotency-Key".to_owned(), "k1".to_owned())],
        body: Some(b"{\"a\":1}".to_vec()),
        ..get(&format!("{url}/admin/freeze?on=1"))
    };
    let response = Client::new().request(request).await.unwrap();
    assert_eq!((response.status, &*response.body), (409, &b"no\r\n"[..]));
    assert_eq!(response.header("x-ONE"), Some("1"));
    let heard = served.await.unwrap();
    assert!(heard.starts_with("POST /admin/freeze?on=1 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_ascii_lowercase().contains("idempotency-key: k1\r\n"), "{heard}");
    assert!(heard.ends_with("{\"a\":1}"), "{heard}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, _never) = endpoint("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let (url, _served) = endpoint(answer).await;
    let response = Client::new().request(get(&url)).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.header("location"), Some(&*format!("{elsewhere}/")));
}

#[tokio::test]
async fn a_body_is_bounded_whether_or_not_its_length_is_announced() {
    for (extra, length) in [(0, "Content-Length: 100\r\n"), (1, "Content-Length: 101\r\n"), (0, ""), (1, "")]
    {
        let body = "x".repeat(100 + extra);
        let (url, _served) =
            endpoint(format!("HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n{body}")).await;
        let outcome = Client::new().with_body_bytes_max(100).request(get(&url)).await;
        match (extra, outcome) {
            (0, Ok(response)) => assert_eq!(response.body.len(), 100),
            (1, Err(failure @ HttpFailure::BodyTooLarge { limit: 100, .. })) => {
                assert!(failure.may_have_arrived());
            }
            (_, other) => panic!("{extra} {length:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn silence_is_a_timeout_after_which_the_request_may_have_arrived() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:hunter2@{}/x?token=hunter2", listener.local_addr().unwrap());
    let request = Request { timeout: Duration::from_millis(200), ..get(&url) };
    let failure = Client::new().request(request).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::Timeout { .. }), "{failure:?}");
    assert!(failure.may_have_arrived());
    assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure}");
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_no_answer() {
    let (url, _served) = endpoint("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    let failure = Client::new().request(get(&url)).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::NoAnswer { .. }), "{failure:?}");
    assert!(failure.may_have_arrived());
    let (url, _served) = endpoint("this is no HTTP\r\n\r\n").await;
    let failure = Client::new().request(get(&url)).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::NoAnswer { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_closed_port_or_an_unknown_host_means_that_the_request_did_not_arrive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [&*url, "http://no-such-host.invalid/"] {
        let failure = Client::new().request(get(url)).await.unwrap_err();
        assert!(matches!(failure, HttpFailure::NoConnection { .. }), "{failure:?}");
        assert!(!failure.may_have_arrived());
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_without_being_repeated() {
    for request in [
        get("http://u:hunter2@"),
        get("no url"),
        get("http://u:hunter2/x@host/"),
        Request { method: "G E T".to_owned(), ..get("http://127.0.0.1:1/") },
        Request { headers: vec![("a b".to_owned(), "hunter2".to_owned())], ..get("http://127.0.0.1:1/") },
        Request { headers: vec![("a".to_owned(), "hunter2\n".to_owned())], ..get("http://127.0.0.1:1/") },
    ] {
        assert!(!format!("{request:?}").contains("hunter2"), "{request:?}");
        let failure = Client::new().request(request).await.unwrap_err();
        assert!(matches!(failure, HttpFailure::BadRequest { .. }), "{failure:?}");
        assert!(!failure.may_have_arrived());
        assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
    }
}
