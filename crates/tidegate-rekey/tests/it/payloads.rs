//! What is rewritten in a record, and what is not.

use serde_json::json;

use crate::world::{MID, World, james, of, put, subject, trip};

#[tokio::test]
async fn names_follow_wherever_a_pointer_leads_and_nothing_else_changes() {
    let world = World::new();
    let text = r#"{ "id":"hns_James_2026-02-03", "userId" : "James","n":1.00,
  "big":123456789012345678901234567890, "note":"James was here",
  "backup":{"userId":"james","id":"hns_James_2026-02-03"}, "metadata":{"originalKey":"trip:James:hns_James_2026-02-03"},
  "updatedAt":"2026-02-01T00:00:00Z"}"#;
    let metadata = r#"{"a": 1.0, "originalKey":"trip:James:hns_James_2026-02-03"}"#;
    world.write(put("LOGS", "trip:James:hns_James_2026-02-03", text, Some(metadata), None)).await;
    assert!(world.apply(&james()).await.done);
    let moved = world.get("LOGS", "trip:u-1:hns_u-1_2026-02-03").await.unwrap();
    let expected = text
        .replace("hns_James_", "hns_u-1_")
        .replace("\"James\"", "\"u-1\"")
        .replace("\"james\"", "\"u-1\"")
        .replace("trip:James:", "trip:u-1:");
    assert_eq!(std::str::from_utf8(&moved.value).unwrap(), expected);
    let metadata = r#"{"a": 1.0, "originalKey":"trip:u-1:hns_u-1_2026-02-03"}"#;
    assert_eq!(moved.metadata.as_deref(), Some(metadata));
}

#[tokio::test]
async fn a_text_that_only_starts_like_a_legacy_key_stays() {
    let world = World::new();
    for (id, key) in [("1", "trip:Jamesy:1"), ("2", "x trip:James:1"), ("3", "trip:$&:1")] {
        let mut record = trip(id, "James", MID);
        record["metadata"] = json!({ "originalKey": key });
        world.put("LOGS", &format!("trip:James:{id}"), &record).await;
    }
    assert!(world.apply(&james()).await.done);
    for (id, key) in [("1", "trip:Jamesy:1"), ("2", "x trip:James:1"), ("3", "trip:$&:1")] {
        let moved = world.json("LOGS", &format!("trip:u-1:{id}")).await.unwrap();
        assert_eq!(moved["metadata"]["originalKey"], json!(key));
    }
}

#[tokio::test]
async fn names_and_ids_with_colons_and_patterns_keep_their_records_ids() {
    let world = World::with(&[("u-9", &["a:b", "$&"])]);
    let nine = subject("u-9", &["a:b", "$&"]);
    world.put("LOGS", "trip:a:b:x:y::", &trip("x", "a:b", MID)).await;
    world.put("LOGS", "trip:$&:$1", &trip("$1", "$&", MID)).await;
    world.put("LOGS", "trip:a:b:", &trip("", "a:b", MID)).await;
    let report = world.apply(&nine).await;
    assert_eq!((report.done, report.migrated), (true, 3));
    for key in ["trip:u-9:x:y::", "trip:u-9:$1", "trip:u-9:"] {
        assert!(world.get("LOGS", key).await.is_some(), "{key}");
    }
}

#[tokio::test]
async fn a_key_that_fits_two_names_of_one_subject_is_the_longer_ones_and_is_visited_once() {
    let world = World::with(&[("u-9", &["a", "a:b"])]);
    let nine = subject("u-9", &["a", "a:b"]);
    world.put("LOGS", "trip:a:b:1", &trip("1", "a:b", MID)).await;
    world.put("LOGS", "trip:a:2", &trip("2", "a", MID)).await;
    let report = world.apply(&nine).await;
    assert_eq!((report.done, of(&report, "trips").scanned, report.migrated), (true, 2, 2));
    let keys: Vec<String> = world.contents("LOGS").await.into_keys().collect();
    assert_eq!(keys, ["trip:a:2", "trip:a:b:1", "trip:u-9:1", "trip:u-9:2"]);
}

#[tokio::test]
async fn metadata_that_is_no_object_is_kept_as_it_is() {
    let world = World::new();
    let body = trip("1", "James", MID).to_string();
    world.write(put("LOGS", "trip:James:1", &body, Some("[ \"trip:James:1\" ]"), None)).await;
    assert!(world.apply(&james()).await.done);
    let moved = world.get("LOGS", "trip:u-1:1").await.unwrap();
    assert_eq!(moved.metadata.as_deref(), Some("[ \"trip:James:1\" ]"));
}
