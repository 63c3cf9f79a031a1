//! The server as a program: killed at the worst moment, watched for its memory, read for what it logs.

use std::time::Duration;

use axum::http::{Method, Request};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use testkit::{Program, Running, S3Code, S3Fault, S3Operation, eventually};

use super::world::World;

const BOUND: Duration = Duration::from_secs(30);

/// Starts the server and tells the world where it listens.
async fn serve(world: &mut World) -> Running {
    let mut program = Program::new(env!("CARGO_BIN_EXE_vfs-server")).arg("serve");
    for (name, value) in world.variables() {
        program = program.env(name, value);
    }
    let running = program.start().unwrap();
    running.until_stdout("listening on", BOUND).await.unwrap();
    let line = running.stdout();
    let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
    world.serves_at(address);
    running
}

#[tokio::test]
async fn killed_between_object_and_commit_leaves_an_orphan_and_acknowledges_nothing() {
    let mut world = World::without_server(27, &[]).await;
    let mut server = serve(&mut world).await;
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s0", "b0", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.forget_requests();
    world.s3.fault(S3Operation::Put, S3Fault::HoldReply);
    let asked = tokio::spawn({
        let ann = ann.clone();
        async move { ann.send(Method::POST, "/v1/vfs/blobs/stage", &[], body().to_string()).await }
    });
    eventually("the object is there", BOUND, || async {
        world.s3.keys().unwrap().contains(&"p/b1".to_owned()).then_some(())
    })
    .await
    .unwrap();
    server.kill().unwrap();
    assert!(asked.await.unwrap().is_err(), "nothing was acknowledged");
    world.s3.heal();
    let _server = serve(&mut world).await;
    let ann = world.user("ann").await;
    assert_eq!(&ann.read("b0").await.body[..], b"hi");
    assert_eq!(ann.read("b1").await.status.as_u16(), 404);
    // The id is reserved for whoever began; the object is listed once the reservation is older than the grace period.
    world.database.execute("UPDATE vfs_blob_marks SET marked_at = now() - interval '2 hours'").await;
    let mut orphans =
        Program::new(env!("CARGO_BIN_EXE_vfs-server")).args(["orphans", "--json", "--grace", "0s"]);
    for (name, value) in world.variables() {
        orphans = orphans.env(name, value);
    }
    eventually("the orphan is listed", BOUND, || async {
        let outcome = orphans.run(BOUND).await.unwrap();
        let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        (report["objectsWithoutMetadata"][0]["blobId"] == json!("b1")).then_some(())
    })
    .await
    .unwrap();
    // And the same request makes a blob of it.
    assert_eq!(ann.post("/v1/vfs/blobs/stage", &body()).await.status.as_u16(), 201);
    assert_eq!(&ann.read("b1").await.body[..], b"no");
}

fn body() -> serde_json::Value {
    json!({ "stagingId": "s1", "blobId": "b1", "expiresAt": super::world::LATER, "dataBase64": "bm8=" })
}

#[tokio::test]
async fn killed_between_the_two_commits_of_a_deletion_is_ended_by_the_same_request() {
    let mut world = World::without_server(27, &[]).await;
    let mut server = serve(&mut world).await;
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.fault(S3Operation::Delete, S3Fault::HoldReply);
    let asked = tokio::spawn({
        let ann = ann.clone();
        async move { ann.send(Method::DELETE, "/v1/vfs/blobs/b1", &[], "").await }
    });
    eventually("the object is gone", BOUND, || async { world.s3.keys().unwrap().is_empty().then_some(()) })
        .await
        .unwrap();
    server.kill().unwrap();
    assert!(asked.await.unwrap().is_err());
    world.s3.heal();
    let _server = serve(&mut world).await;
    let ann = world.user("ann").await;
    // The row is there, the object is not: 500, and never 404 before the row is gone.
    assert_eq!(ann.read("b1").await.refusal(), (500, "Failed to read blob data".into()));
    assert_eq!(ann.remove("b1").await.status.as_u16(), 200);
    assert_eq!(ann.read("b1").await.status.as_u16(), 404);
}

/// Kibibytes of a process by a line of its status.
fn kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Mebibytes of the object of the test, and of its long form.
const LARGE_MIB: [u64; 2] = [64, 1024];
/// What the server may need for each besides. Its allocator keeps more after more parts, up to a point.
const GROWTH_MIB: [u64; 2] = [40, 80];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_for_a_large_object_up_and_down() {
    let form = usize::from(std::env::var_os("TIDEGATE_SOAK").is_some());
    let large_mib = LARGE_MIB[form];
    let mut world = World::without_server(27, &[]).await;
    let server = serve(&mut world).await;
    let ann = world.user("ann").await;
    assert_eq!(ann.upload("small", "text/plain", "hi").await.status.as_u16(), 200);
    let before = kib(server.pid(), "VmRSS:");
    let piece = Bytes::from(vec![7_u8; 1 << 20]);
    let pieces = stream::iter(0..large_mib).map(move |_| Ok::<_, std::io::Error>(Frame::data(piece.clone())));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = |method: Method, path: &str| {
        Request::builder()
            .method(method)
            .uri(ann.uri(path))
            .header("authorization", format!("Bearer {}", ann.token))
    };
    let upload =
        request(Method::PUT, "/v1/vfs/blobs/large/content").body(StreamBody::new(pieces).boxed_unsync());
    let reply = client.request(upload.unwrap()).await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    let empty = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
    let download = request(Method::GET, "/v1/vfs/blobs/large").body(empty).unwrap();
    let mut body = client.request(download).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
    }
    assert_eq!(bytes, large_mib << 20);
    let peak = kib(server.pid(), "VmHWM:");
    let growth = peak.saturating_sub(before) / 1024;
    println!("{large_mib} MiB up and down: {} MiB before, {} MiB at most", before / 1024, peak / 1024);
    assert!(growth < GROWTH_MIB[form], "{growth} MiB more than before");
}

#[tokio::test]
async fn a_failure_is_logged_with_its_code_its_retryability_and_its_attempts() {
    let mut world = World::without_server(27, &[]).await;
    let server = serve(&mut world).await;
    let ann = world.user("ann").await;
    for (code, line) in [
        (S3Code::SlowDown, "code=\"SlowDown\" retryability=\"retryable_with_backoff\" attempts=3"),
        (S3Code::InternalError, "code=\"InternalError\" retryability=\"retryable\" attempts=3"),
        (S3Code::AccessDenied, "code=\"AccessDenied\" retryability=\"not_retryable\" attempts=1"),
    ] {
        world.s3.fault_always(S3Operation::Put, S3Fault::Refuse(code));
        assert_eq!(ann.upload("b1", "text/plain", "hi").await.status.as_u16(), 500);
        server.until_stderr(line, BOUND).await.unwrap();
        world.s3.heal();
    }
    assert!(!server.stderr().contains(world.s3.secret_key()));
}
