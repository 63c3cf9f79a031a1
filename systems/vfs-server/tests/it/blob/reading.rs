//! Reading, and uploading in a stream.

use axum::http::Method;
use bytes::Bytes;
use serde_json::json;
use testkit::{S3Fault, S3Operation};
use tokio::io::AsyncWriteExt;

use super::world::World;

#[tokio::test]
async fn a_blob_is_read_as_it_was_stored() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let body = json!({
        "stagingId": "s1", "blobId": "b1", "expiresAt": super::world::LATER, "dataBase64": "aGVsbG8=",
        "contentType": "image/png",
    });
    assert_eq!(ann.post("/v1/vfs/blobs/stage", &body).await.status.as_u16(), 201);
    let reply = ann.read("b1").await;
    assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"hello"[..]));
    assert_eq!(reply.header("content-type"), "image/png");
    assert_eq!(reply.header("content-length"), "5");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    let head = ann.send(Method::HEAD, "/v1/vfs/blobs/b1", &[], "").await.unwrap();
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "5", 0));
    assert_eq!(ann.stage("s2", "b2", Some("aGk=")).await.status.as_u16(), 201);
    assert_eq!(ann.read("b2").await.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn refusals_of_reading_ask_nothing_of_the_store() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.forget_requests();
    assert_eq!(ann.read("%20").await.refusal(), (400, "blobId is required".into()));
    assert_eq!(ann.read("%2e%2e").await.refusal(), (400, "blobId must not be \".\" or \"..\"".into()));
    assert_eq!(ann.read("b9").await.refusal(), (404, "Blob object not found".into()));
    assert_eq!(
        ann.read("file-1").await.refusal(),
        (409, "Blob object id conflicts with existing VFS object".into())
    );
    assert_eq!(bob.read("b1").await.refusal(), (403, "Forbidden".into()));
    let nobody = ann.without_token();
    assert_eq!(nobody.read("b1").await.refusal(), (401, "Unauthorized".into()));
    assert_eq!(world.s3.requests(), Vec::new());
}

#[tokio::test]
async fn a_range_is_a_part_of_it() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    assert_eq!(ann.upload("b1", "text/plain", "0123456789").await.status.as_u16(), 200);
    let path = "/v1/vfs/blobs/b1";
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
    ] {
        let reply = ann.send(Method::GET, path, &[("range", range)], "").await.unwrap();
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (status, body.as_bytes()), "{range}");
        assert_eq!(reply.header("content-range"), content_range, "{range}");
        assert_eq!(reply.header("content-length"), body.len().to_string(), "{range}");
    }
    let beyond = ann.send(Method::GET, path, &[("range", "bytes=10-")], "").await.unwrap();
    assert_eq!((beyond.refusal().0, beyond.header("content-range")), (416, "bytes */10"));
}

#[tokio::test]
async fn an_upload_registers_a_blob_that_is_then_staged_without_bytes() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let reply = ann.upload("b1", "text/plain; charset=utf-8", "hello").await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "blobId": "b1", "sizeBytes": 5 })));
    assert_eq!(ann.read("b1").await.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(ann.stage("s1", "b1", None).await.status.as_u16(), 201);
    // The same again is the same; other bytes are the owner's to write.
    assert_eq!(ann.upload("b1", "text/plain", "hello").await.json(), reply.json());
    assert_eq!(ann.upload("empty", "text/plain", "").await.json()["sizeBytes"], json!(0));
    assert_eq!(ann.read("empty").await.body.len(), 0);
    world.s3.forget_requests();
    assert_eq!(bob.upload("b1", "text/plain", "no").await.refusal(), (403, "Forbidden".into()));
    assert_eq!(ann.upload("file-1", "text/plain", "no").await.refusal().0, 409);
    assert_eq!(ann.upload("%2e", "text/plain", "no").await.refusal().0, 400);
    assert_eq!(ann.upload("b2", " ", "no").await.refusal(), (400, "Content-Type is not valid".into()));
    assert_eq!(world.s3.requests(), Vec::new());
    assert_eq!(world.count("vfs_blob_marks").await, 0);
}

#[tokio::test]
async fn an_id_stands_in_the_key_as_it_is() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let ids = [
        "a b",
        "a+b",
        "a%41",
        "a:b",
        "a=b&c",
        "x~*'()!@$,;",
        "ünï",
        "日本",
        "a?b",
        "...",
        ".hidden",
        "#1",
        "<b>\"|^`{}[]",
    ];
    for id in ids {
        let path: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(ann.upload(&path, "text/plain", id.to_owned()).await.status.as_u16(), 200, "{id}");
        assert_eq!(ann.read(&path).await.body, id.as_bytes(), "{id}");
        assert_eq!(world.s3.object(&format!("p/{id}")).unwrap(), id.as_bytes(), "{id}");
        assert_eq!(ann.remove(&path).await.status.as_u16(), 200, "{id}");
    }
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_whose_caller_goes_away_is_given_up() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let mut stream = tokio::net::TcpStream::connect(ann.address()).await.unwrap();
    let head = format!(
        "PUT /v1/vfs/blobs/b1/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        ann.token,
        64 << 20
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes(9 << 20)).await.unwrap();
    let bound = std::time::Duration::from_secs(20);
    let s3 = &world.s3;
    let count = |operation: S3Operation| async move { (s3.count(operation) == 1).then_some(()) };
    testkit::eventually("a part is sent", bound, || count(S3Operation::UploadPart)).await.unwrap();
    drop(stream);
    testkit::eventually("it is given up", bound, || count(S3Operation::AbortMultipart)).await.unwrap();
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
    assert_eq!(ann.read("b1").await.status.as_u16(), 404);
}

/// Bytes that differ at every place of a part.
fn bytes(count: usize) -> Bytes {
    (0..count).map(|at| (at * 31 + at / 251) as u8).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn a_large_upload_goes_in_parts_and_comes_back_whole() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let whole = bytes(20 << 20);
    let reply = ann.upload("b1", "video/mp4", whole.clone()).await;
    assert_eq!((reply.status.as_u16(), reply.json()["sizeBytes"].as_u64()), (200, Some(20 << 20)));
    assert_eq!((world.s3.count(S3Operation::UploadPart), world.s3.count(S3Operation::Put)), (3, 0));
    let back = ann.read("b1").await;
    assert_eq!(back.header("content-type"), "video/mp4");
    assert!(back.body == whole);
    // A part of exactly one part's size, and of none, is no special case.
    let exact = bytes(16 << 20);
    assert_eq!(ann.upload("b2", "video/mp4", exact.clone()).await.status.as_u16(), 200);
    assert!(ann.read("b2").await.body == exact);
}

#[tokio::test]
async fn a_lost_answer_in_any_step_of_a_large_upload_is_harmless() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let whole = bytes(17 << 20);
    for step in [S3Operation::UploadPart, S3Operation::CreateMultipart, S3Operation::CompleteMultipart] {
        world.s3.fault(step, S3Fault::LoseReply);
        let reply = ann.upload("b1", "video/mp4", whole.clone()).await;
        assert_eq!(reply.status.as_u16(), 200, "{step:?}: {reply:?}");
        assert!(ann.read("b1").await.body == whole, "{step:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_where_it_broke() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let whole = bytes(3 << 20);
    assert_eq!(ann.upload("b1", "video/mp4", whole.clone()).await.status.as_u16(), 200);
    world.s3.forget_requests();
    world.s3.fault_times(S3Operation::Get, S3Fault::CutBody, 2);
    let reply = ann.read("b1").await;
    assert_eq!(reply.status.as_u16(), 200);
    assert!(reply.body == whole);
    assert_eq!(world.s3.count(S3Operation::Get), 3);
}

#[tokio::test]
async fn a_body_that_always_breaks_off_is_never_taken_for_a_whole_one() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    assert_eq!(ann.upload("b1", "video/mp4", bytes(1 << 20)).await.status.as_u16(), 200);
    world.s3.forget_requests();
    world.s3.fault_always(S3Operation::Get, S3Fault::CutBody);
    let broken = ann.send(Method::GET, "/v1/vfs/blobs/b1", &[], "").await;
    assert!(broken.is_err(), "{:?}", broken.map(|reply| reply.body.len()));
    assert_eq!(world.s3.count(S3Operation::Get), 4);
}

#[tokio::test]
async fn files_on_one_machine_keep_blobs_too() {
    let root = std::env::temp_dir().join(format!("vfs-blob-files-{}", std::process::id()));
    let variables = [("VFS_BLOB_STORE_PROVIDER", "file"), ("VFS_BLOB_FILE_ROOT", root.to_str().unwrap())];
    let world = World::with(27, &variables).await;
    let ann = world.user("ann").await;
    let whole = bytes(9 << 20);
    assert_eq!(ann.upload("b1", "video/mp4", whole.clone()).await.status.as_u16(), 200);
    let reply = ann.read("b1").await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "video/mp4"));
    assert!(reply.body == whole);
    assert!(root.join("p/b1").is_file());
    let part = ann.send(Method::GET, "/v1/vfs/blobs/b1", &[("range", "bytes=5-9")], "").await.unwrap();
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &whole[5..10]));
    std::fs::remove_file(root.join("p/b1")).unwrap();
    assert_eq!(ann.read("b1").await.refusal(), (500, "Failed to read blob data".into()));
    assert_eq!(ann.remove("b1").await.refusal(), (500, "Failed to delete blob data".into()));
    assert_eq!(ann.remove("b1").await.status.as_u16(), 200);
    assert_eq!(world.s3.requests(), Vec::new());
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn ids_that_cannot_be_names_of_files_are_refused_and_nothing_is_reserved() {
    let root = std::env::temp_dir().join(format!("vfs-blob-names-{}", std::process::id()));
    let variables = [("VFS_BLOB_STORE_PROVIDER", "file"), ("VFS_BLOB_FILE_ROOT", root.to_str().unwrap())];
    let world = World::with(27, &variables).await;
    let ann = world.user("ann").await;
    let long = "x".repeat(300);
    for (blob, in_path) in
        [("foo#1", "foo%231"), (".content-type", ".content-type"), (long.as_str(), long.as_str())]
    {
        let refusal = (400, "blobId cannot be the name of a file".into());
        assert_eq!(ann.upload(in_path, "text/plain", "hi").await.refusal(), refusal, "{blob}");
        assert_eq!(ann.stage("s1", blob, Some("aGk=")).await.refusal(), refusal, "{blob}");
    }
    assert_eq!(world.count("vfs_blob_marks").await, 0);
    for good in ["foo%23", "foo%231a", "a.b"] {
        assert_eq!(ann.upload(good, "text/plain", "hi").await.status.as_u16(), 200, "{good}");
    }
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn blobs_of_an_item_are_told_newest_first_and_read_by_whoever_sees_the_item() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    for (stage, blob, bytes) in [("s1", "b1", "b25l"), ("s2", "b2", "dHdv")] {
        assert_eq!(ann.stage(stage, blob, Some(bytes)).await.status.as_u16(), 201);
        let attach = json!({ "itemId": "file-1", "relationKind": "file" });
        let attached = ann.post(&format!("/v1/vfs/blobs/stage/{stage}/attach"), &attach).await;
        assert_eq!(attached.status.as_u16(), 200);
    }
    let look = json!({ "ids": ["file-1"] });
    let found = ann.post("/v1/vfs/items/lookup", &look).await.json();
    let attachments = found["items"][0]["attachments"].as_array().unwrap().clone();
    let told: Vec<_> = attachments.iter().map(|one| (&one["blobId"], &one["relationKind"])).collect();
    assert_eq!(told, [(&json!("b2"), &json!("file")), (&json!("b1"), &json!("file"))]);
    let get =
        async |asker: &super::world::Asker, path: &str| asker.send(Method::GET, path, &[], "").await.unwrap();
    let path = "/v1/vfs/items/file-1/blobs/b2";
    assert_eq!(get(&bob, path).await.refusal(), (404, "Item not found".into()));
    let share = json!({ "shareType": "user", "targetId": "bob", "permissionLevel": "view" });
    assert_eq!(ann.post("/v1/vfs/items/file-1/shares", &share).await.status.as_u16(), 201);
    let read = get(&bob, path).await;
    assert_eq!((read.status.as_u16(), &read.body[..]), (200, &b"two"[..]));
    // The blob itself stays its owner's.
    assert_eq!(bob.read("b2").await.refusal(), (403, "Forbidden".into()));
    for path in ["/v1/vfs/items/file-1/blobs/none", "/v1/vfs/items/file-2/blobs/b2"] {
        assert_eq!(get(&ann, path).await.refusal(), (404, "Blob object not found".into()), "{path}");
    }
}
