//! Mileage under the first spelling of its namespace.

use serde_json::json;
use tidegate_store::kv::UnixSecond;
use trips::mileage::take_over;
use trips::{AppError, keyspace};

use crate::migration_ground::Ground;

#[tokio::test]
async fn what_stands_under_the_first_spelling_is_taken_over_with_metadata_and_end() {
    let ground = Ground::new().await;
    let id = ground.user("james", "James").await;
    let (former, namespace) = (keyspace::former_mileage(), keyspace::mileage());
    let end = UnixSecond(ground.store.now().await.unwrap().0 + 3_600);
    let body = json!({ "id": "m1", "userId": "James" }).to_string();
    ground.raw(&former, "mileage:James:m1", body.as_bytes(), Some("{\"n\":1}"), Some(end)).await;
    ground.raw(&former, "mileage:James:m2", body.as_bytes(), None, None).await;
    // Stands there already, as it was taken over.
    ground.raw(&namespace, "mileage:James:m2", body.as_bytes(), None, None).await;

    assert_eq!(take_over(ground.store.as_ref()).await.unwrap(), 2);
    assert_eq!(take_over(ground.store.as_ref()).await.unwrap(), 0);
    let taken = ground.entry(&namespace, "mileage:James:m1").await.unwrap();
    assert_eq!((taken.value.as_ref(), taken.expires_at), (body.as_bytes(), Some(end)));
    assert_eq!(taken.metadata.as_deref(), Some("{\"n\":1}"));
    for record in ["m1", "m2"] {
        assert!(ground.entry(&former, &format!("mileage:James:{record}")).await.is_none());
    }
    // And is moved with the rest.
    let done = ground.migration.cohort(std::slice::from_ref(&id), true, &ground.actor()).await;
    assert!(done.success, "{:#?}", done.results);
    assert!(ground.entry(&namespace, &format!("mileage:{id}:m1")).await.is_some());
}

#[tokio::test]
async fn a_key_under_both_spellings_with_different_content_is_named_and_left() {
    let ground = Ground::new().await;
    let (former, namespace) = (keyspace::former_mileage(), keyspace::mileage());
    ground.raw(&former, "mileage:James:m1", b"{\"miles\":1}", None, None).await;
    ground.raw(&namespace, "mileage:James:m1", b"{\"miles\":2}", None, None).await;
    let Err(AppError::Refused(why)) = take_over(ground.store.as_ref()).await else { panic!("taken over") };
    assert!(why.contains("mileage:James:m1 stands in BETA_MILLAGE_KV and in BETA_MILEAGE_KV"), "{why}");
    assert_eq!(ground.entry(&former, "mileage:James:m1").await.unwrap().value.as_ref(), b"{\"miles\":1}");
    assert_eq!(ground.entry(&namespace, "mileage:James:m1").await.unwrap().value.as_ref(), b"{\"miles\":2}");
}
