//! Commits whose answers are lost: the same request again is told what became of the first.

use serde_json::{Value as Json, json};
use testkit::{Fault, Proxy};

use super::world::{Asker, Reply, World};

/// A request, the commits that it makes, its failure, its success.
struct Case {
    name: &'static str,
    commits: usize,
    text: &'static str,
    good: u16,
}

const CASES: [Case; 5] = [
    Case { name: "stage", commits: 2, text: "Failed to stage blob", good: 201 },
    Case { name: "attach", commits: 1, text: "Failed to attach staged blob", good: 200 },
    Case { name: "abandon", commits: 1, text: "Failed to abandon staged blob", good: 200 },
    Case { name: "upload", commits: 2, text: "Failed to persist blob data", good: 200 },
    Case { name: "delete", commits: 2, text: "Failed to delete blob data", good: 200 },
];

async fn prepare(ann: &Asker, name: &str, id: &str) {
    match name {
        "attach" | "abandon" => {
            assert_eq!(ann.stage(&format!("s-{id}"), id, Some("aGk=")).await.status.as_u16(), 201)
        }
        "delete" => assert_eq!(ann.upload(id, "text/plain", "hi").await.status.as_u16(), 200),
        _ => {}
    }
}

async fn ask(ann: &Asker, name: &str, id: &str) -> Reply {
    match name {
        "stage" => ann.stage(&format!("s-{id}"), id, Some("aGk=")).await,
        "attach" => ann.attach(&format!("s-{id}"), &json!({ "itemId": "file-1" })).await,
        "abandon" => ann.abandon(&format!("s-{id}")).await,
        "upload" => ann.upload(id, "text/plain", "hi").await,
        _ => ann.remove(id).await,
    }
}

/// What an answer says, without the time and the id that a first success makes.
fn told(reply: &Reply) -> Json {
    let mut body = reply.json();
    if let Some(fields) = body.as_object_mut() {
        for name in ["stagedAt", "attachedAt", "refId"] {
            fields.remove(name);
        }
    }
    body
}

fn lose_commit(proxy: &Proxy, pass: usize) {
    proxy.inject_after(pass, Fault::drop_answer_of("COMMIT"));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_500_and_the_same_request_is_told_what_it_did() {
    let (world, proxy) = World::behind_a_proxy().await;
    let ann = world.user("ann").await;
    let mut lost = 0;
    for case in CASES {
        for pass in 0..case.commits {
            let id = format!("{}-{pass}", case.name);
            prepare(&ann, case.name, &id).await;
            lose_commit(&proxy, pass);
            let first = ask(&ann, case.name, &id).await;
            assert_eq!(first.refusal(), (500, case.text.to_owned()), "{id}");
            lost += 1;
            assert_eq!(proxy.fired(), lost, "{id}: the commit was not lost");
            let second = ask(&ann, case.name, &id).await;
            assert_eq!(second.status.as_u16(), case.good, "{id}: {second:?}");
            let third = ask(&ann, case.name, &id).await;
            assert_eq!((third.status, told(&third)), (second.status, told(&second)), "{id}");
        }
    }
    assert_eq!(world.count("vfs_links WHERE parent_id = 'file-1'").await, 1);
    assert_eq!(
        world.s3.keys().unwrap(),
        ["p/abandon-0", "p/attach-0", "p/stage-0", "p/stage-1", "p/upload-0", "p/upload-1"]
    );
    assert_eq!(world.count("vfs_blob_marks WHERE mark <> 'deleted'").await, 0);
}
