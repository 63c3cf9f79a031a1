//! What was deleted in one schema while the other was not told must not keep its place there.

use serde_json::json;

use crate::ground::{Ground, Service};
use crate::parity::{assert_parity, copy_all};

#[tokio::test]
async fn a_book_is_made_again_although_the_other_schema_still_has_the_one_that_was_deleted() {
    for (alone, mirrored) in [("v1", "mirrored"), ("steady", "catching_up")] {
        let ground = Ground::at_row(if alone == "v1" { "v1" } else { "write_v2" }).await;
        let service = Service::start(&ground).await;
        let ada = service.sign_up("ada@example.org").await;
        let identity = ada.add_identity("P", "p", "k").await;
        let first = ada.add_book(&identity, "travel").await;
        if alone == "v1" {
            copy_all(&ground).await;
        }
        assert_parity(&ground, alone).await;
        if alone == "steady" {
            ground.move_to("steady").await;
        }
        assert_eq!(ada.delete(&format!("/v1/account/books/{first}")).await.status, 200);
        let other = if alone == "v1" { "pixbooks" } else { "platform_books" };
        let there = format!("SELECT status FROM {other} WHERE id = '{first}'");
        assert_eq!(ground.text(&there).await, "active", "{alone}: the other schema was not told");
        ground.move_to(mirrored).await;
        let body = json!({ "managedUserId": identity, "name": "Again", "collectionId": "travel" });
        let answer = ada.post("/v1/account/books", body).await;
        assert_eq!(answer.status, 201, "{mirrored}: {}", answer.body);
        assert_eq!(ground.text(&there).await, "deleted", "{mirrored}: it made room");
    }
}
