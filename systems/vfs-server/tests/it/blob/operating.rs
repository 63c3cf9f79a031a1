//! What operators run: sweep, orphans, doctor.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{Outcome, Program, S3Code, S3Fault, S3Operation};

use super::world::World;

async fn run(world: &World, arguments: &[&str], extra: &[(&str, &str)]) -> Outcome {
    let mut program = Program::new(env!("CARGO_BIN_EXE_vfs-server")).args(arguments);
    for (name, value) in world.variables() {
        program = program.env(name, value);
    }
    for (name, value) in extra {
        program = program.env(name, value);
    }
    program.run(Duration::from_secs(30)).await.unwrap()
}

async fn read(world: &World, arguments: &[&str]) -> Json {
    let outcome = run(world, arguments, &[]).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn ids(orphans: &Json) -> Vec<&str> {
    orphans.as_array().unwrap().iter().map(|orphan| orphan["blobId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn expired_stages_are_swept_after_a_dry_run() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for stage in ["s1", "s2", "s3", "s4"] {
        assert_eq!(ann.stage(stage, &format!("b-{stage}"), Some("aGk=")).await.status.as_u16(), 201);
    }
    let set = "UPDATE vfs_links SET visible_children = visible_children ||";
    world
        .database
        .execute(&format!(
            "{set} '{{\"expiresAt\": \"2001-01-01T00:00:00+00:00\"}}' WHERE id IN ('s2', 's1');
             {set} '{{\"expiresAt\": \"soon\"}}' WHERE id = 's4';
             INSERT INTO vfs_blob_marks VALUES ('old', 'deleted', 'ann', now() - interval '31 days'),
               ('new', 'deleted', 'ann', now()), ('lost', 'storing', 'ann', now() - interval '2 days')"
        ))
        .await;
    let dry = read(&world, &["sweep", "--json"]).await;
    let of = |report: &Json| {
        let stages = report["expired"].as_array().unwrap();
        stages.iter().map(|stage| stage["stagingId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(&dry), ["s1", "s2"]);
    assert_eq!((&dry["unreadable"], &dry["staleMarks"]), (&json!(["s4"]), &json!(2)));
    assert_eq!(world.count("vfs_links WHERE wrapped_session_key = 'blob-stage:staged'").await, 4);
    let swept = read(&world, &["sweep", "--apply", "--json"]).await;
    assert_eq!((of(&swept), &swept["expiredCount"]), (vec!["s1".to_owned(), "s2".to_owned()], &json!(2)));
    let stage = ann.get("/v1/vfs/blobs/stage/s1").await.json();
    assert_eq!(stage["status"], json!("abandoned"));
    assert!(stage["abandonedAt"].is_string());
    assert_eq!(ann.get("/v1/vfs/blobs/stage/s3").await.json()["status"], json!("staged"));
    assert_eq!(world.count("vfs_blob_marks").await, 1);
    assert_eq!(read(&world, &["sweep", "--apply", "--json"]).await["expiredCount"], json!(0));
}

#[tokio::test]
async fn orphans_of_both_kinds_are_told_apart_and_removed_by_choice() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    for blob in ["whole", "row", "held"] {
        assert_eq!(ann.stage(&format!("s-{blob}"), blob, Some("aGk=")).await.status.as_u16(), 201);
    }
    assert_eq!(ann.attach("s-held", &json!({ "itemId": "file-1" })).await.status.as_u16(), 200);
    world.s3.take_away("p/row").unwrap();
    world.s3.take_away("p/held").unwrap();
    world.s3.plant("p/object", b"nobody's").unwrap();
    world.s3.plant("elsewhere/object", b"another's").unwrap();
    // What is young is on its way.
    let young = read(&world, &["orphans", "--json"]).await;
    assert_eq!(
        (ids(&young["metadataWithoutObject"]).len(), ids(&young["objectsWithoutMetadata"]).len()),
        (0, 0)
    );
    assert_eq!(young["objectsListed"], json!(2));
    let found = read(&world, &["orphans", "--json", "--grace", "0s"]).await;
    assert_eq!(ids(&found["metadataWithoutObject"]), ["held", "row"]);
    assert_eq!(found["metadataWithoutObject"][0]["attachedTo"], json!(1));
    // The store's clock is told in whole seconds, and the object is of this one.
    testkit::eventually("the object is of an earlier second", Duration::from_secs(10), || async {
        let found = read(&world, &["orphans", "--json", "--grace", "0s"]).await;
        (ids(&found["objectsWithoutMetadata"]) == ["object"]).then_some(())
    })
    .await
    .unwrap();
    let base = ["orphans", "--json", "--grace", "0s", "--actor", "olga", "--reason", "INC-7", "--remove"];
    let refused = run(&world, &["orphans", "--remove", "metadata", "--apply"], &[]).await;
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    let dry = read(&world, &[&base[..], &["metadata"]].concat()).await;
    assert_eq!((ids(&dry["candidates"]), &dry["results"]), (vec!["held", "row"], &json!([])));
    let removed = read(&world, &[&base[..], &["metadata", "--apply"]].concat()).await;
    assert_eq!(removed["results"][0]["removed"], json!(false), "{removed}");
    assert_eq!(removed["results"][1], json!({ "blobId": "row", "removed": true }));
    assert_eq!(ann.read("row").await.status.as_u16(), 404);
    assert_eq!(ann.read("held").await.status.as_u16(), 500);
    let removed = read(&world, &[&base[..], &["object", "--apply"]].concat()).await;
    assert_eq!(removed["results"], json!([{ "blobId": "object", "removed": true }]));
    assert_eq!(world.s3.keys().unwrap(), ["elsewhere/object", "p/whole"]);
    read(&world, &[&base[..], &["metadata", "--apply", "--include-attached"]].concat()).await;
    assert_eq!(ann.read("held").await.status.as_u16(), 404);
    assert_eq!(&ann.read("whole").await.body[..], b"hi");
    let noted = "SELECT string_agg(kind || ' ' || blob_id || ' ' || actor || ' ' || reason, ', ' ORDER BY id) FROM vfs_blob_removals";
    assert_eq!(
        world.value(noted).await.unwrap(),
        "metadata row olga INC-7, object object olga INC-7, metadata held olga INC-7"
    );
    assert_eq!(world.count("vfs_blob_marks WHERE mark = 'deleting'").await, 0);
}

#[tokio::test]
async fn an_interrupted_deletion_is_listed_and_ended() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    assert_eq!(ann.stage("s1", "b1", Some("aGk=")).await.status.as_u16(), 201);
    world.s3.fault_always(S3Operation::Delete, S3Fault::Refuse(S3Code::AccessDenied));
    assert_eq!(ann.remove("b1").await.status.as_u16(), 500);
    let end = [
        "orphans", "--grace", "0s", "--actor", "olga", "--reason", "INC-8", "--remove", "deleting", "--apply",
    ];
    let failed = run(&world, &end, &[]).await;
    assert_eq!(failed.code(), Some(1));
    assert!(failed.stderr.contains("AccessDenied"), "{failed:?}");
    world.s3.heal();
    let listed = read(&world, &["orphans", "--json", "--grace", "0s"]).await;
    assert_eq!(ids(&listed["unfinishedDeletions"]), ["b1"]);
    assert_eq!(run(&world, &end, &[]).await.code(), Some(0));
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
    assert_eq!(ann.remove("b1").await.status.as_u16(), 200);
}

#[tokio::test]
async fn orphans_cannot_be_told_before_blobs_are_flattened() {
    let world = World::with(23, &[]).await;
    let outcome = run(&world, &["orphans", "--grace", "0s"], &[]).await;
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stderr.contains("version 23"), "{outcome:?}");
}

#[tokio::test]
async fn the_doctor_names_what_is_missing() {
    let world = World::start().await;
    let good = run(&world, &["doctor", "storage"], &[]).await;
    assert_eq!(good.code(), Some(0), "{good:?}");
    assert!(good.stdout.ends_with("put: ok\nread: ok\nlist: ok\ndelete: ok\n"), "{good:?}");
    assert_eq!(world.s3.keys().unwrap(), Vec::<String>::new());
    for (operation, permission) in [
        (S3Operation::Put, "s3:PutObject"),
        (S3Operation::Get, "s3:GetObject"),
        (S3Operation::List, "s3:ListBucket"),
        (S3Operation::Delete, "s3:DeleteObject"),
    ] {
        world.s3.fault_always(operation, S3Fault::Refuse(S3Code::AccessDenied));
        let outcome = run(&world, &["doctor", "storage"], &[]).await;
        assert_eq!(outcome.code(), Some(1), "{outcome:?}");
        assert!(
            outcome.stdout.contains(&format!("AccessDenied: allow {permission} in bucket tide")),
            "{outcome:?}"
        );
        world.s3.heal();
    }
    let no_bucket = run(&world, &["doctor", "storage"], &[("VFS_BLOB_S3_BUCKET", "")]).await;
    assert_eq!(no_bucket.code(), Some(2));
    assert!(
        no_bucket.stderr.contains("Missing required blob storage environment variable: VFS_BLOB_S3_BUCKET")
    );
    let other = run(&world, &["doctor", "storage"], &[("VFS_BLOB_S3_BUCKET", "elsewhere")]).await;
    assert!(other.stdout.contains("check VFS_BLOB_S3_BUCKET"), "{other:?}");
    let nobody = run(&world, &["doctor", "storage"], &[("VFS_BLOB_S3_ENDPOINT", "http://127.0.0.1:1")]).await;
    assert!(nobody.stdout.contains("check VFS_BLOB_S3_ENDPOINT"), "{nobody:?}");
}

#[tokio::test]
async fn readiness_tells_how_the_store_stands_and_is_ready_without_it() {
    let world = World::start().await;
    let ready = world.user("ann").await.get("/readyz").await;
    assert_eq!(ready.json(), json!({ "ready": true, "blobs": { "ok": true } }));
    let world = World::start().await;
    world.s3.fault_always(S3Operation::Head, S3Fault::Refuse(S3Code::AccessDenied));
    let blobs = json!({ "ok": false, "code": "AccessDenied", "retryability": "not_retryable" });
    // Each instance asks for itself, and once.
    for (at, instance) in (1..).zip(world.user("ann").await.each()) {
        for _ in 0..2 {
            let ready = instance.get("/readyz").await;
            assert_eq!((ready.status.as_u16(), &ready.json()["blobs"]), (200, &blobs));
            assert_eq!(world.s3.count(S3Operation::Head), at);
        }
    }
}
